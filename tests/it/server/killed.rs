//! kill -9 at any moment: what was promised is there afterwards.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    ops::ControlFlow,
    path::Path,
    sync::{Mutex, mpsc},
    time::Duration,
};

use labctl::{
    evidence::{EventKind, MessageId, Seq},
    lab::Service,
    store::{Reader, Store},
};

use super::process::Process;

/// After so many messages were answered 250 each server is killed.
const KILLED_AFTER: [usize; 6] = [1, 2, 5, 17, 60, 140];

const SENDERS: usize = 4;

/// What the clients were promised.
#[derive(Default)]
struct Promised {
    stored: BTreeSet<String>,
    deleted: BTreeSet<String>,
    /// Deletions that were asked for and perhaps not answered.
    asked: BTreeSet<String>,
}

#[test]
fn what_was_promised_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g1.db");
    let promised = Mutex::default();
    for (round, count) in KILLED_AFTER.into_iter().enumerate() {
        let mut process = Process::start(&path);
        let (smtp, pop3) = (process.address(Service::Smtp), process.address(Service::Pop3));
        let (stored, heard) = mpsc::channel();
        std::thread::scope(|scope| {
            for sender in 0..SENDERS {
                let stored = stored.clone();
                let promised = &promised;
                scope.spawn(move || send(smtp, &format!("{round}-{sender}"), promised, &stored));
            }
            scope.spawn(|| delete(pop3, &promised));
            for _ in 0..count {
                heard.recv_timeout(Duration::from_secs(30)).unwrap();
            }
            process.child.kill().unwrap();
        });
        process.child.wait().unwrap();
        check(&path, &promised.lock().unwrap());
    }
}

/// One line up, one line down; none when the server is gone.
struct Line(BufReader<TcpStream>);

impl Line {
    fn new(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_nodelay(true).ok()?;
        let mut line = Self(BufReader::new(stream));
        line.hear()?;
        Some(line)
    }

    fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        self.0.read_line(&mut line).ok()?;
        line.ends_with('\n').then_some(line)
    }

    fn say(&mut self, line: &str) -> Option<String> {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).ok()?;
        self.hear()
    }
}

/// Delivers messages until the server is gone.
fn send(address: SocketAddr, name: &str, promised: &Mutex<Promised>, stored: &mpsc::Sender<()>) {
    let work = || {
        let mut line = Line::new(address)?;
        line.say("HELO me")?;
        for number in 0.. {
            let id = format!("{name}-{number}");
            for say in ["MAIL FROM:<ana@g1.lab>", "RCPT TO:<user2@g1.lab>", "DATA"] {
                line.say(say)?;
            }
            let reply = line.say(&format!("X-Id: {id}\r\n\r\n{}\r\n.", "text\r\n".repeat(number % 2_000)))?;
            assert!(reply.starts_with("250"), "{reply}");
            promised.lock().unwrap().stored.insert(id);
            let _ = stored.send(());
        }
        Some(())
    };
    let _ = work();
}

/// Reads and deletes the first message of the mailbox again and again until the server is gone.
fn delete(address: SocketAddr, promised: &Mutex<Promised>) {
    let work = || {
        loop {
            let mut line = Line::new(address)?;
            line.say("USER user2")?;
            line.say("PASS Usuario2")?;
            let mut id = None;
            if line.say("RETR 1")?.starts_with("+OK") {
                while let Some(text) = Some(line.hear()?).filter(|text| text != ".\r\n") {
                    id = text.strip_prefix("X-Id: ").map(|id| id.trim().to_owned()).or(id);
                }
                line.say("DELE 1")?;
                promised.lock().unwrap().asked.extend(id.clone());
            }
            if line.say("QUIT")?.starts_with("+OK") {
                promised.lock().unwrap().deleted.extend(id);
            }
        }
    };
    let _: Option<()> = work();
}

/// Every promise kept, once, with its evidence.
fn check(path: &Path, promised: &Promised) {
    let store = Store::open(path).unwrap();
    let id = |message: MessageId| {
        let text = String::from_utf8(store.message(message).unwrap()).unwrap();
        text.lines().find_map(|line| line.strip_prefix("X-Id: ")).unwrap().to_owned()
    };
    let held: Vec<String> =
        store.entries(&"user2".parse().unwrap()).unwrap().iter().map(|entry| id(entry.message)).collect();
    let once: BTreeSet<String> = held.iter().cloned().collect();
    assert_eq!(once.len(), held.len(), "every message once");
    let missing: Vec<_> = promised.stored.difference(&once).filter(|id| !promised.asked.contains(*id)).collect();
    assert!(missing.is_empty(), "answered 250 and gone: {missing:?}");
    let back: Vec<_> = promised.deleted.intersection(&once).collect();
    assert!(back.is_empty(), "answered +OK and still there: {back:?}");

    let (mut accepted, mut deleted) = (Vec::new(), BTreeSet::new());
    let each = &mut |event: labctl::evidence::Event| {
        match event.kind {
            EventKind::Accepted { message, .. } => accepted.push(id(message)),
            EventKind::Deleted { message, .. } => _ = deleted.insert(id(message)),
            EventKind::Damaged { why } => panic!("{why}"),
            _ => {}
        }
        ControlFlow::Continue(())
    };
    Reader::open(path).unwrap().events(Seq(0), each).unwrap();
    let evidence: BTreeSet<String> = accepted.iter().cloned().collect();
    assert_eq!(evidence.len(), accepted.len(), "every message accepted once");
    assert!(promised.stored.is_subset(&evidence) && once.is_subset(&evidence));
    assert!(promised.deleted.is_subset(&deleted));
}
