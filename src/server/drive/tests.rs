//! A session that fails ends alone.

use std::collections::BTreeMap;

use tokio::io::AsyncReadExt as _;

use super::*;
use crate::{
    lab::{Leniency, Limits, LoneNewline, Protocol, Relaying, ServerConfig, Service, Tls},
    protocol::{dialect, line},
    server::{Server, wire::Stream},
};

/// A session with a defect.
struct Defective;

impl Machine for Defective {
    const PROTOCOL: Protocol = Protocol::Smtp;

    fn new(_: Peer) -> Self {
        Self
    }

    fn peer(&self) -> &Peer {
        unreachable!("no fault is armed here")
    }

    fn framing(peer: &Peer) -> line::Limits {
        line::Limits::of(&peer.config, 512)
    }

    fn idle(_: &Limits) -> Duration {
        Duration::from_secs(1)
    }

    fn handle(&mut self, input: Input<'_>, _: Now, out: &mut Output) {
        match input {
            Input::Line { .. } => panic!("a defect"),
            _ => out.reply.extend(b"hello\r\n"),
        }
    }
}

fn peer() -> Peer {
    let config = ServerConfig {
        lab: "lab".parse().unwrap(),
        group: "g1".parse().unwrap(),
        domain: "g1.lab".parse().unwrap(),
        host: "mail".to_owned(),
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
        accounts: BTreeMap::new(),
        endpoints: Vec::new(),
        faults: Vec::new(),
        clients: BTreeMap::new(),
        relaying: Relaying::default(),
    };
    let dialect = dialect::named("labctl").unwrap();
    let service = Service::Smtp;
    Peer {
        config: Arc::new(config),
        dialect,
        service,
        remote: None,
        local: None,
        name: None,
        who: Who::Unknown,
        seed: 1,
    }
}

#[tokio::test]
async fn a_defective_session_ends_alone() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start((*peer().config).clone(), &folder.path().join("g1.db")).await.unwrap();
    let (mut ours, theirs) = tokio::io::duplex(64);
    let seat = server.shared.registry.admit(&Who::Unknown, &Limits::default()).unwrap();
    let drive = Drive::<Defective, _>::new(Arc::clone(&server.shared), Stream(theirs), peer(), Some(seat), None);
    tokio::io::AsyncWriteExt::write_all(&mut ours, b"NOOP\r\n").await.unwrap();
    assert_eq!(drive.run(None).await, Ending::Failed);
    let mut heard = String::new();
    ours.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "hello\r\n");
    server.store().flush().await.unwrap();
    let status = server.status().unwrap();
    assert_eq!((status.connections, status.counts.events), (0, 2), "it is gone, and its end is on record");
}
