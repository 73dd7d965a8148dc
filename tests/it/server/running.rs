//! A server in this process, on free ports.

use std::{collections::BTreeMap, net::SocketAddr, ops::ControlFlow, sync::Arc, time::Duration};

use labctl::{
    evidence::{Event, Seq},
    lab::{
        Leniency, Limits, LoneNewline, Relaying, ServerConfig, Service, Tls,
        server::{Account, Endpoint},
    },
    server::Server,
    store::Reader,
};
use tokio::runtime::Runtime;

use super::client::Client;

pub struct Running {
    pub runtime: Runtime,
    pub server: Arc<Server>,
    pub folder: tempfile::TempDir,
}

/// An endpoint on a free port of 127.0.0.1.
pub fn endpoint(service: Service, student: Option<&str>) -> Endpoint {
    Endpoint { service, address: "127.0.0.1:0".parse().unwrap(), student: student.map(|name| name.parse().unwrap()) }
}

/// A group with the student ana, the student ben and the shared mailbox user2; passwords are the names with a capital.
pub fn config() -> ServerConfig {
    let account = |name: &str, password: &str, student| {
        (name.parse().unwrap(), Account { password: password.to_owned(), token: "token".to_owned(), student })
    };
    ServerConfig {
        lab: "lab".parse().unwrap(),
        group: "g1".parse().unwrap(),
        domain: "g1.lab".parse().unwrap(),
        host: "mail.g1.lab".to_owned(),
        dialect: "labctl".to_owned(),
        leniency: Leniency::LENIENT,
        lone_newline: LoneNewline::Refuse,
        tls: Tls::default(),
        identity: None,
        relay: false,
        auth_before_tls: false,
        vrfy: false,
        catch_all: None,
        limits: Limits::default(),
        accounts: BTreeMap::from([
            account("ana", "Ana", true),
            account("ben", "Ben", true),
            account("user2", "Usuario2", false),
        ]),
        faults: Vec::new(),
        endpoints: vec![endpoint(Service::Smtp, None), endpoint(Service::Pop3, None)],
        clients: BTreeMap::new(),
        clients_only: None,
        relaying: Relaying::default(),
    }
}

impl Running {
    pub fn new(config: ServerConfig) -> Self {
        Self::on(Runtime::new().unwrap(), config)
    }

    /// On a runtime of the test's own.
    pub fn on(runtime: Runtime, config: ServerConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = runtime.block_on(Server::start(config, &folder.path().join("g1.db"))).unwrap();
        Self { runtime, server, folder }
    }

    pub fn address(&self, service: Service) -> SocketAddr {
        let endpoints = self.server.endpoints();
        endpoints.iter().find(|endpoint| endpoint.service == service).unwrap().address
    }

    pub fn smtp(&self) -> Client {
        Client::new(self.address(Service::Smtp))
    }

    /// A POP3 session with the mailbox open.
    pub fn pop3(&self, user: &str, password: &str) -> Client {
        let mut client = Client::new(self.address(Service::Pop3));
        client.holds(&[(&format!("USER {user}"), "+OK"), (&format!("PASS {password}"), "+OK")]);
        client
    }

    /// Waits until nobody is connected any more.
    pub fn all_gone(&self) {
        let gone = async {
            while self.server.status().unwrap().connections > 0 {
                tokio::task::yield_now().await;
            }
        };
        self.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(20), gone).await }).unwrap();
    }

    /// Stops the server and hands out what it recorded.
    pub fn stopped(self) -> Vec<Event> {
        self.runtime.block_on(self.server.stop(Duration::from_secs(20))).unwrap();
        let mut events = Vec::new();
        let each = &mut |event| {
            events.push(event);
            ControlFlow::Continue(())
        };
        Reader::open(&self.folder.path().join("g1.db")).unwrap().events(Seq(0), each).unwrap();
        events
    }
}
