//! kill -9 of either side: what was accepted arrives, and once, also where the answer was lost on the way (RFC 5321 6.1).
//! This program starts itself as the server to be killed.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use labctl::{
    lab::{ServerConfig, Service, server::Endpoint},
    server::Server,
    store::Store,
};

use super::two::{config, free, neighbour, patience, wait};
use crate::server::client::Client;

/// Where the child finds what it serves: its configuration as JSON, then its store.
const CONFIG: &str = "LABCTL_TEST_RELAY";

/// Messages of one round.
const MESSAGES: usize = 60;

/// After so many messages arrived, or were accepted, a server is killed.
const KILLED_AFTER: [usize; 3] = [1, 12, 40];

/// Not a test: the server that is killed.
#[test]
#[ignore = "started by the tests beside it"]
fn serves_until_killed() {
    let Some(file) = std::env::var_os(CONFIG).map(PathBuf::from) else { return };
    let config: ServerConfig = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _server = runtime.block_on(Server::start(config, &file.with_extension("db"))).unwrap();
    println!("\nready");
    loop {
        std::thread::park();
    }
}

/// A server in a process of its own.
struct Served {
    config: PathBuf,
    smtp: SocketAddr,
    child: Option<Child>,
}

impl Served {
    fn new(folder: &Path, group: u8, students: &[&str], (own, other): (SocketAddr, SocketAddr)) -> Self {
        let mut config = config(group, students);
        let smtp = free();
        config.endpoints = vec![
            Endpoint { service: Service::Smtp, address: smtp, student: None },
            Endpoint { service: Service::Smtp, address: own, student: None },
        ];
        config.relaying.neighbours = vec![neighbour(3 - group, other)];
        config.relaying.patience = patience();
        let file = folder.join(format!("g{group}.json"));
        std::fs::write(&file, serde_json::to_vec(&config).unwrap()).unwrap();
        let mut served = Self { config: file, smtp, child: None };
        served.start();
        served
    }

    fn start(&mut self) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "relay::killed::serves_until_killed", "--ignored", "--nocapture"]);
        command.env(CONFIG, &self.config).stdout(Stdio::piped()).stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        lines.find(|line| line == "ready").expect("it starts");
        // Somebody has to read what else it may say.
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
    }

    fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn store(&self) -> PathBuf {
        self.config.with_extension("db")
    }
}

impl Drop for Served {
    /// A test that fails must not leave a process behind.
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How often each message is in ben's mailbox, by its subject. Read while its server writes.
fn arrived(store: &Path) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    let reader = labctl::store::Reader::open(store).unwrap();
    let each = &mut |event: labctl::evidence::Event| {
        if let labctl::evidence::EventKind::Accepted { message, .. } = event.kind {
            let octets = reader.message(message).unwrap().unwrap().octets;
            let text = String::from_utf8(octets).unwrap();
            let subject = text.lines().find_map(|line| line.strip_prefix("Subject: ")).unwrap().to_owned();
            *found.entry(subject).or_default() += 1;
        }
        std::ops::ControlFlow::Continue(())
    };
    reader.events(labctl::evidence::Seq(0), each).unwrap();
    found
}

/// Sends messages; every subject that was answered 250 goes to `accepted`. Ends early where the server is gone.
fn send(smtp: SocketAddr, round: usize, accepted: &mpsc::Sender<String>) {
    let work = std::panic::catch_unwind(|| {
        let mut client = Client::new(smtp);
        client.holds(&[("EHLO ana", "250")]);
        for number in 0..MESSAGES {
            let subject = format!("{round}-{number}");
            client.holds(&[("MAIL FROM:<ana@g1.lab>", "250"), ("RCPT TO:<ben@g2.lab>", "250"), ("DATA", "354")]);
            client.holds(&[(&format!("Subject: {subject}\r\n\r\ntext\r\n."), "250")]);
            let _ = accepted.send(subject);
        }
    });
    // A server that was killed answers nothing: that is the test.
    drop(work);
}

fn pair() -> (tempfile::TempDir, Served, Served) {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (free(), free());
    let first = Served::new(folder.path(), 1, &["ana"], (one, other));
    let second = Served::new(folder.path(), 2, &["ben"], (other, one));
    (folder, first, second)
}

/// Everything that was accepted has arrived, and nothing twice.
fn all_arrive(second: &Served, accepted: &[String]) {
    let complete = || {
        let found = arrived(&second.store());
        accepted.iter().all(|subject| found.contains_key(subject)).then_some(found)
    };
    let found = wait("all that was accepted", complete);
    let twice: Vec<&String> = found.iter().filter(|(_, count)| **count > 1).map(|(subject, _)| subject).collect();
    assert!(twice.is_empty(), "{twice:?} came twice");
}

#[test]
fn what_was_accepted_arrives_though_the_receiving_server_is_killed() {
    let (_folder, first, mut second) = pair();
    let mut all = Vec::new();
    for (round, count) in KILLED_AFTER.into_iter().enumerate() {
        let before = arrived(&second.store()).len();
        let (accepted, heard) = mpsc::channel();
        let smtp = first.smtp;
        let sender = std::thread::spawn(move || send(smtp, round, &accepted));
        wait("some to arrive", || (arrived(&second.store()).len() >= before + count).then_some(()));
        second.kill();
        sender.join().unwrap();
        all.extend(heard.iter());
        second.start();
    }
    assert_eq!(all.len(), MESSAGES * KILLED_AFTER.len(), "the sending server never noticed");
    all_arrive(&second, &all);
}

#[test]
fn what_was_accepted_arrives_though_the_sending_server_is_killed() {
    let (_folder, mut first, second) = pair();
    let mut all = Vec::new();
    for (round, count) in KILLED_AFTER.into_iter().enumerate() {
        let (accepted, heard) = mpsc::channel();
        let smtp = first.smtp;
        let sender = std::thread::spawn(move || send(smtp, round, &accepted));
        for _ in 0..count {
            all.push(heard.recv_timeout(Duration::from_secs(30)).unwrap());
        }
        first.kill();
        sender.join().unwrap();
        all.extend(heard.iter());
        first.start();
    }
    all_arrive(&second, &all);
    first.kill();
    let left = Store::open(&first.store()).unwrap().queue(1).unwrap();
    drop(left);
}
