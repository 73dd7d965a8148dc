//! One client that keeps a server busy leaves the others their turn. The server has one worker thread, as in a container; each
//! flood is bounded by count, and goes on for far longer than a neighbour's sessions take.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use labctl::{
    evidence::EventKind,
    lab::{Limits, ServerConfig, Service},
};
use tokio::runtime::Builder;

use super::{
    client::Client,
    running::{Running, config, endpoint},
};

/// Sessions that the neighbour holds one after the other.
const SESSIONS: usize = 10;

/// A question for the address of `mail.g1.lab`.
const QUERY: &[u8] = b"\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04mail\x02g1\x03lab\x00\x00\x01\x00\x01";

/// How often a flood does what it does, at most.
const ROUNDS: usize = 3_000_000;

/// Commands in one write.
const PIPELINED: usize = 2_000;

/// Connections of one flood at once.
const CONNECTIONS: usize = 4;

fn server() -> Running {
    let own = |service, student| endpoint(service, Some(student));
    let services = [Service::Smtp, Service::Pop3, Service::Imap, Service::Domain];
    let endpoints = services.into_iter().flat_map(|service| [own(service, "ana"), own(service, "ben")]).collect();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    // Few enough for a slow machine's flood to go beyond.
    let limits = Limits { queries_per_second: 200, ..Limits::default() };
    Running::on(runtime, ServerConfig { endpoints, limits, ..config() })
}

fn address(running: &Running, service: Service, student: &str) -> SocketAddr {
    let own = |student: &str| Some(student.parse().unwrap());
    let endpoints = running.server.endpoints();
    endpoints.iter().find(|found| found.service == service && found.student == own(student)).unwrap().address
}

/// Threads that do something over and over until they are told to stop, or have done it `ROUNDS` times.
struct Flood {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<bool>>,
}

impl Flood {
    /// `start` makes what a thread does in a round.
    fn new<F: FnMut() + Send + 'static>(threads: usize, start: impl Fn() -> F) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let spawned = (0..threads).map(|_| {
            let (stop, mut round) = (Arc::clone(&stop), start());
            thread::spawn(move || {
                (0..ROUNDS).any(|_| {
                    round();
                    stop.load(Ordering::Relaxed)
                })
            })
        });
        Self { threads: spawned.collect(), stop }
    }

    /// Ends it. Whether it was still going on.
    fn stopped(self) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        let ended: Vec<bool> = self.threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        ended.into_iter().all(|was_stopped| was_stopped)
    }
}

/// A round of one client that sends `commands` over and over and reads what comes; a connection that has ended is opened anew.
fn chatter(address: SocketAddr, opening: &'static [u8], commands: Vec<u8>) -> impl FnMut() + Send + use<> {
    let connect = move || {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(Duration::from_millis(1))).ok()?;
        stream.set_write_timeout(Some(Duration::from_millis(1))).ok()?;
        stream.write_all(opening).ok()?;
        Some(stream)
    };
    let mut stream = connect();
    let mut room = vec![0; 1 << 16];
    move || {
        let Some(open) = &mut stream else {
            stream = connect();
            return;
        };
        let is_open = |done: std::io::Result<usize>| match done {
            Ok(octets) => octets > 0,
            Err(problem) => matches!(problem.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
        };
        // A write that did not fit may end in the middle of a command: what is answered is as much work.
        if !is_open(open.write(&commands)) || !is_open(open.read(&mut room)) {
            stream = None;
        }
    }
}

/// Ben's sessions, from the connection to the goodbye.
fn neighbour(running: &Running) {
    for _ in 0..SESSIONS {
        let mut smtp = Client::new(address(running, Service::Smtp, "ben"));
        smtp.holds(&[("EHLO ben", "250"), ("QUIT", "221")]);
        let mut pop3 = Client::new(address(running, Service::Pop3, "ben"));
        pop3.holds(&[("USER ben", "+OK"), ("PASS Ben", "+OK"), ("QUIT", "+OK")]);
    }
}

#[test]
fn a_neighbour_is_served_while_one_asks_for_names_as_fast_as_it_can() {
    let running = server();
    let names = address(&running, Service::Domain, "ana");
    let flood = Flood::new(1, || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(names).unwrap();
        move || _ = socket.send(QUERY)
    });
    neighbour(&running);
    assert!(flood.stopped(), "the neighbour's sessions ended while the flood ran");
    let seen = running.stopped();
    let limited = seen.iter().filter(|event| matches!(event.kind, EventKind::Limited { .. }));
    let who: Vec<_> = limited.map(|event| event.who.student().cloned()).collect();
    assert_eq!(who, [Some("ana".parse().unwrap())], "what was dropped is said once");
    let asked = seen.iter().filter(|event| matches!(event.kind, EventKind::Query { .. })).count();
    assert!((100..1_000).contains(&asked), "{asked} are recorded");
}

#[test]
fn a_neighbour_is_served_while_one_pipelines_commands() {
    for (service, opening, command) in [
        (Service::Smtp, "EHLO ana\r\n", "NOOP\r\n"),
        (Service::Pop3, "USER ana\r\nPASS Ana\r\n", "NOOP\r\n"),
        (Service::Imap, "a LOGIN ana Ana\r\na SELECT INBOX\r\n", "a NOOP\r\n"),
    ] {
        let running = server();
        let at = address(&running, service, "ana");
        let commands = command.repeat(PIPELINED).into_bytes();
        let flood = Flood::new(CONNECTIONS, || chatter(at, opening.as_bytes(), commands.clone()));
        neighbour(&running);
        assert!(flood.stopped(), "{service}: the neighbour's sessions ended while the flood ran");
    }
}

#[test]
fn a_neighbour_is_served_while_one_asks_for_names_over_tcp() {
    let running = server();
    let at = address(&running, Service::Domain, "ana");
    let query = [&u16::try_from(QUERY.len()).unwrap().to_be_bytes(), QUERY].concat();
    let flood = Flood::new(CONNECTIONS, || chatter(at, b"", query.repeat(100)));
    neighbour(&running);
    assert!(flood.stopped(), "the neighbour's sessions ended while the flood ran");
}

#[test]
fn a_neighbour_is_served_while_one_connects_over_and_over() {
    let running = server();
    let at = address(&running, Service::Smtp, "ana");
    let flood = Flood::new(CONNECTIONS, || move || drop(TcpStream::connect(at)));
    neighbour(&running);
    assert!(flood.stopped(), "the neighbour's sessions ended while the flood ran");
}

#[test]
fn a_student_who_idles_is_told_while_another_changes_the_same_folder_without_end() {
    let running = server();
    let imap = address(&running, Service::Imap, "ana");
    let (mut idle, greeting) = Client::greeted(imap);
    assert!(greeting.starts_with("* OK"), "{greeting}");
    idle.send("a LOGIN ana Ana\r\nb SELECT INBOX\r\nc IDLE\r\n");
    while !idle.line().starts_with('+') {}
    let append = b"a APPEND INBOX {2+}\r\nhi\r\n".repeat(50);
    let flood = Flood::new(1, || chatter(imap, b"a LOGIN ana Ana\r\n", append.clone()));
    let told = (0..20).all(|_| idle.line().starts_with("* "));
    neighbour(&running);
    assert!(flood.stopped(), "the neighbour's sessions ended while the flood ran");
    assert!(told, "each line of an idle session tells of the folder");
}
