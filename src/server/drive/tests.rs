//! Sessions that are no protocol's: what the driver makes of a defect, and of what comes early.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    ops::ControlFlow,
    sync::Mutex,
};

use tokio::io::AsyncReadExt as _;

use super::*;
use crate::{
    evidence::{Event, Seq, State},
    lab::{Leniency, Limits, LoneNewline, Protocol, Relaying, ServerConfig, Service, Tls},
    protocol::{dialect, line},
    server::{
        Server,
        tls::Secured,
        wire::{Stream, Wire},
    },
    store::Reader,
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
        clients_only: None,
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

/// A session that answers and never ends.
struct Patient(Peer);

impl Machine for Patient {
    const PROTOCOL: Protocol = Protocol::Smtp;

    fn new(peer: Peer) -> Self {
        Self(peer)
    }

    fn peer(&self) -> &Peer {
        &self.0
    }

    fn framing(peer: &Peer) -> line::Limits {
        line::Limits::of(&peer.config, 512)
    }

    fn idle(_: &Limits) -> Duration {
        Duration::from_mins(1)
    }

    fn handle(&mut self, input: Input<'_>, _: Now, out: &mut Output) {
        out.reply.extend(b"x\r\n");
        if let Input::Line { octets, .. } = input {
            let line = String::from_utf8_lossy(octets).into_owned();
            out.events.push(EventKind::Command {
                verb: line.as_str().into(),
                line,
                octets: 0,
                reply: String::new(),
                reply_octets: 0,
                before: State::Ready,
                after: State::Ready,
                pipelined: false,
                times: 1,
            });
        }
    }
}

/// A connection whose reads bring these octets, one piece each, the first of which must be waited for; and what was done with it.
struct Pieces(VecDeque<(bool, &'static [u8])>, Arc<Mutex<Vec<&'static str>>>);

impl Wire for Pieces {
    async fn read(&mut self, framer: &mut Framer) -> io::Result<usize> {
        if self.0.front_mut().is_some_and(|(late, _)| std::mem::take(late)) {
            tokio::task::yield_now().await;
        }
        let Some((_, piece)) = self.0.pop_front() else { return Ok(0) };
        framer.feed(piece);
        self.done("read");
        Ok(piece.len())
    }

    async fn write(&mut self, _: &[u8]) -> io::Result<()> {
        self.done("write");
        Ok(())
    }

    fn acknowledge(&self) {
        self.done("acknowledge");
    }
}

impl Pieces {
    fn done(&self, what: &'static str) {
        self.1.lock().unwrap().push(what);
    }
}

impl Accepted for Pieces {
    async fn secure(&mut self, _: &Arc<rustls::ServerConfig>) -> io::Result<Secured> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn finish(&mut self) {}
}

#[tokio::test]
async fn what_comes_before_the_reply_is_sent_is_pipelined() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start((*peer().config).clone(), &folder.path().join("g1.db")).await.unwrap();
    let seat = server.shared.registry.admit(&Who::Unknown, &Limits::default()).unwrap();
    let pieces = [(true, b"a\r\n".as_slice()), (false, b"b\r\nc\r\nd".as_slice()), (true, b"\r\n".as_slice())];
    let wire = Pieces(pieces.into_iter().collect(), Arc::default());
    let drive = Drive::<Patient, _>::new(Arc::clone(&server.shared), wire, peer(), Some(seat), None);
    assert_eq!(drive.run(None).await, Ending::Dropped);
    server.store().flush().await.unwrap();
    let mut seen = Vec::new();
    let mut note = |event: Event| {
        if let EventKind::Command { verb, pipelined, .. } = event.kind {
            seen.push((verb.to_string(), pipelined));
        }
        ControlFlow::Continue(())
    };
    let reader = Reader::open(&folder.path().join("g1.db")).unwrap();
    reader.events(Seq(0), &mut note).unwrap();
    let wanted = [("a", false), ("b", true), ("c", true), ("d", false)];
    assert_eq!(seen, wanted.map(|(verb, pipelined)| (verb.to_owned(), pipelined)));
}

#[tokio::test]
async fn what_nothing_is_said_to_is_acknowledged_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start((*peer().config).clone(), &folder.path().join("g1.db")).await.unwrap();
    let done = Arc::default();
    let pieces = [(true, b"NO".as_slice()), (true, b"OP"), (true, b"\r\n"), (true, b"NOOP\r\n")];
    let wire = Pieces(pieces.into_iter().collect(), Arc::clone(&done));
    let drive = Drive::<Patient, _>::new(Arc::clone(&server.shared), wire, peer(), None, None);
    assert_eq!(drive.run(None).await, Ending::Dropped);
    let wanted = ["write", "read", "acknowledge", "read", "acknowledge", "read", "write", "read", "write"];
    assert_eq!(*done.lock().unwrap(), wanted);
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
