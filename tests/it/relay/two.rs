//! Two groups whose servers know each other: g1 with the student ana, g2 with the students ben and eva.

use std::{
    net::{IpAddr, SocketAddr},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::{Duration, Instant},
};

use labctl::{
    evidence::{Event, EventKind, Seq, Who},
    lab::{Neighbour, Patience, Route, ServerConfig, Service, server::Endpoint},
    server::Server,
    store::Reader,
};
use tokio::runtime::Runtime;

use crate::server::{client::Client, running};

/// Longer than anything here takes: a test that fails should end.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Where a server's own connections come from: on loopback every 127.x is there.
pub fn from(group: u8) -> IpAddr {
    IpAddr::from([127, 66, group, 255])
}

/// Tries often, gives up late.
pub fn patience() -> Patience {
    Patience { retry_secs: 1, retry_most_secs: 1, warn_secs: 60, give_up_secs: 600, ..Patience::default() }
}

/// The configuration of a group without neighbours.
pub fn config(group: u8, students: &[&str]) -> ServerConfig {
    let mut config = running::config();
    config.group = format!("g{group}").parse().unwrap();
    config.domain = format!("g{group}.lab").parse().unwrap();
    config.host = format!("mail.g{group}.lab");
    let account = config.accounts["ana"].clone();
    config.accounts = students.iter().map(|name| (name.parse().unwrap(), account.clone())).collect();
    config.endpoints = vec![running::endpoint(Service::Smtp, students.first().copied())];
    config.endpoints.push(running::endpoint(Service::Pop3, None));
    config.endpoints.push(running::endpoint(Service::Domain, students.first().copied()));
    config.relay = true;
    config.relaying.from = Some(from(group));
    config.relaying.patience = patience();
    config
}

/// A server of another group as a neighbour knows it.
pub fn neighbour(group: u8, smtp: SocketAddr) -> Neighbour {
    Neighbour {
        group: format!("g{group}").parse().unwrap(),
        domain: format!("g{group}.lab").parse().unwrap(),
        host: format!("mail.g{group}.lab"),
        smtp,
        from: from(group),
    }
}

/// An address for a server that is to come: of loopback's many one that nobody else has, because a port that is free now may
/// be the end of somebody's connection by then.
pub fn free() -> SocketAddr {
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let [process, _, _, _] = std::process::id().to_le_bytes();
    let [high, low] = GIVEN.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    SocketAddr::from(([127, 90 + process % 100, high, low], 2_525))
}

/// Two groups.
pub struct Two {
    pub runtime: Runtime,
    pub folder: tempfile::TempDir,
    pub one: Arc<Server>,
    pub other: Option<Arc<Server>>,
    /// Where the servers meet.
    pub meet: [SocketAddr; 2],
    pub configs: [ServerConfig; 2],
}

impl Two {
    /// Both run.
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// Both run, after the configurations were changed.
    pub fn with(change: impl FnOnce(&mut [ServerConfig; 2])) -> Self {
        let mut two = Self::one_alone(change);
        two.start_other();
        two
    }

    /// Only the first one runs.
    pub fn one_alone(change: impl FnOnce(&mut [ServerConfig; 2])) -> Self {
        let meet = [free(), free()];
        let mut configs = [config(1, &["ana"]), config(2, &["ben", "eva"])];
        let endpoint = |address| Endpoint { service: Service::Smtp, address, student: None };
        for (number, config) in configs.iter_mut().enumerate() {
            config.endpoints.push(endpoint(meet[number]));
        }
        configs[0].relaying.neighbours = vec![neighbour(2, meet[1])];
        configs[1].relaying.neighbours = vec![neighbour(1, meet[0])];
        change(&mut configs);
        let (runtime, folder) = (Runtime::new().unwrap(), tempfile::tempdir().unwrap());
        let path = folder.path().join("g1.db");
        let one = runtime.block_on(Server::start(configs[0].clone(), &path)).unwrap();
        Self { runtime, folder, one, other: None, meet, configs }
    }

    pub fn start_other(&mut self) {
        let path = self.path(2);
        self.other = Some(self.runtime.block_on(Server::start(self.configs[1].clone(), &path)).unwrap());
    }

    pub fn path(&self, group: u8) -> PathBuf {
        self.folder.path().join(format!("g{group}.db"))
    }

    /// A session of the student of the first group (the second's: ben).
    pub fn student(&self, group: u8) -> Client {
        Client::new(self.address(group, Service::Smtp))
    }

    pub fn address(&self, group: u8, service: Service) -> SocketAddr {
        let server = if group == 1 { &self.one } else { self.other.as_ref().unwrap() };
        let meet = self.meet;
        let own = |endpoint: &&Endpoint| endpoint.service == service && !meet.contains(&endpoint.address);
        server.endpoints().iter().find(own).unwrap().address
    }

    /// Ana sends a message to these recipients; the reply to the message.
    pub fn send(&self, recipients: &[&str], text: &str) -> String {
        let mut client = self.student(1);
        client.holds(&[("EHLO ana", "250"), ("MAIL FROM:<ana@g1.lab>", "250")]);
        for recipient in recipients {
            client.holds(&[(&format!("RCPT TO:<{recipient}>"), "250")]);
        }
        client.holds(&[("DATA", "354")]);
        client.say(&format!("From: <ana@g1.lab>\r\nSubject: {text}\r\n\r\n{text}\r\n."))
    }

    /// The messages of a mailbox.
    pub fn mailbox(&self, group: u8, name: &str) -> Vec<String> {
        let server = if group == 1 { &self.one } else { self.other.as_ref().unwrap() };
        let store = server.store();
        let entries = store.entries(&name.parse().unwrap()).unwrap();
        entries.iter().map(|entry| String::from_utf8(store.message(entry.message).unwrap()).unwrap()).collect()
    }

    /// Waits for so many messages in a mailbox.
    pub fn arrived(&self, group: u8, name: &str, count: usize) -> Vec<String> {
        wait(&format!("{count} messages in {name}"), || {
            let found = self.mailbox(group, name);
            (found.len() >= count).then_some(found)
        })
    }

    /// Waits until nothing waits in the first group's queue.
    pub fn emptied(&self) {
        wait("the queue to be empty", || (self.one.queue(10).unwrap().1 == 0).then_some(()));
    }

    /// What a group's server recorded so far.
    pub fn events(&self, group: u8) -> Vec<Event> {
        let server = if group == 1 { Some(&self.one) } else { self.other.as_ref() };
        if let Some(server) = server {
            self.runtime.block_on(server.store().flush()).unwrap();
        }
        events(&self.path(group))
    }
}

/// The events of a store.
pub fn events(path: &Path) -> Vec<Event> {
    let mut events = Vec::new();
    let each = &mut |event| {
        events.push(event);
        ControlFlow::Continue(())
    };
    Reader::open(path).unwrap().events(Seq(0), each).unwrap();
    events
}

/// Waits until something is there.
pub fn wait<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Events of mail on its way: who it counts for, and what it was.
pub fn ways(events: &[Event]) -> Vec<String> {
    let who = |who: &Who| match who {
        Who::Student { login, .. } => login.to_string(),
        Who::Server { group } => format!("server {group}"),
        Who::Instructor => "instructor".to_owned(),
        Who::Unknown => "nobody".to_owned(),
    };
    let what = |event: &Event| {
        let who = who(&event.who);
        Some(match &event.kind {
            EventKind::Accepted { from, recipients, .. } => {
                format!("{who}: accepted <{from}> for {}", recipients.join(" "))
            }
            EventKind::Queued { recipients, .. } => format!("{who}: queued {}", recipients.join(" ")),
            EventKind::Relayed { recipients, .. } => format!("{who}: relayed {}", recipients.join(" ")),
            EventKind::Deferred { recipients, attempts, .. } => {
                format!("{who}: deferred {} ({attempts})", recipients.join(" "))
            }
            EventKind::Bounced { recipients, status, returned, .. } => {
                format!("{who}: bounced {} {status} {returned}", recipients.join(" "))
            }
            _ => return None,
        })
    };
    events.iter().filter_map(what).collect()
}

/// A route to a domain.
pub fn route(domain: &str, to: SocketAddr) -> Route {
    Route { domain: domain.parse().unwrap(), host: to.ip().to_string(), port: to.port() }
}
