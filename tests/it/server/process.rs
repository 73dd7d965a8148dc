//! A server in a process of its own, which can be killed and measured. This program starts itself as that server.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use labctl::{lab::Service, server::Server};

use super::running::{config, endpoint};

/// Where the child finds its store.
const STORE: &str = "LABCTL_TEST_STORE";

/// The last line of what it says at the start.
const READY: &str = "ready";

pub struct Process {
    pub child: Child,
    addresses: BTreeMap<String, SocketAddr>,
}

impl Process {
    /// Starts a server and returns when it listens.
    pub fn start(store: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "server::process::serves_until_killed", "--ignored", "--nocapture"]);
        let mut child = command.env(STORE, store).stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said = lines.take_while(|line| line != READY);
        let address = |line: String| {
            let (service, address) = line.split_once(' ')?;
            Some((service.to_owned(), address.parse().ok()?))
        };
        Self { child, addresses: said.filter_map(address).collect() }
    }

    pub fn address(&self, service: Service) -> SocketAddr {
        self.addresses[&service.to_string()]
    }

    /// The most memory that it ever had resident, in octets.
    pub fn highest_resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Not a test: the server.
#[test]
#[ignore = "started by tests that need a process"]
fn serves_until_killed() {
    let Some(path) = std::env::var_os(STORE).map(PathBuf::from) else { return };
    // As many threads as the server in a container has.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut config = config();
    config.endpoints.push(endpoint(Service::Imap, None));
    let server = runtime.block_on(Server::start(config, &path)).unwrap();
    println!();
    for endpoint in server.endpoints() {
        println!("{} {}", endpoint.service, endpoint.address);
    }
    println!("{READY}");
    loop {
        std::thread::park();
    }
}
