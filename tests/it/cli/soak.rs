//! kill -9 in the middle of everything at once: deliveries, POP3's QUIT, IMAP's EXPUNGE, mail between groups, injection and
//! resets. What was promised is there afterwards, nothing is there twice, and marks stand. By count, not by time: 30 rounds
//! here, and as many as `make soak` says.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    ops::ControlFlow,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use labctl::{
    evidence::{EventKind, Seq},
    lab::Service,
    store::{Reader, Store},
};

use super::{PATIENCE, Test};

/// How many rounds there are where nobody says otherwise, and what says it.
const ROUNDS: usize = 30;
const ROUNDS_SET: &str = "LABCTL_SOAK_ROUNDS";

/// Marks are looked at after so many rounds.
const MARKED_EVERY: usize = 5;

/// Messages that POP3 deletes at once.
const DELETED_AT_ONCE: usize = 3;

/// How long mail for the other group may take to arrive in the end.
const ARRIVAL: Duration = Duration::from_mins(1);

const LAB: &str = r#"
domain = "{group}.lab"
relay = true
users = [{ name = "box", password = "box" }]
students = [
    { login = "ana", group = "g01" }, { login = "ben", group = "g01" }, { login = "eva", group = "g01" },
    { login = "ida", group = "g02" },
]
[limits]
sessions_per_student = 100
[queue]
retry_secs = 1
retry_most_secs = 2
[[mail]]
id = "welcome"
to = "box"
from = "teacher"
subject = "hello"
body = "hello"
[[exercise]]
id = "1.1"
title = "Send a message"
points = 2
[[exercise.check]]
protocol = "smtp"
steps = ["EHLO -> 250", "MAIL -> 250", "RCPT -> 250", "DATA -> 354", "<message> -> 250", "QUIT -> 221"]
"#;

/// What clients were promised, by the subjects of messages.
#[derive(Default)]
struct Promised {
    accepted: BTreeSet<String>,
    deleted: BTreeSet<String>,
    /// Deletions that were asked for, and perhaps not answered.
    asked: BTreeSet<String>,
}

/// Where one student's server is.
#[derive(Clone)]
struct Place {
    smtp: SocketAddr,
    pop3: SocketAddr,
    imap: SocketAddr,
    password: String,
}

/// A client that stops where the server does.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let mut client = Self(BufReader::new(stream));
        client.line().map(|_greeting| client)
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.0.read_line(&mut line).ok()?;
        (read > 0 && line.ends_with('\n')).then(|| line.trim_end().to_owned())
    }

    fn send(&mut self, line: &str) -> Option<()> {
        self.0.get_mut().write_all(format!("{line}\r\n").as_bytes()).ok()
    }

    /// SMTP's or POP3's reply, its last line.
    fn say(&mut self, line: &str) -> Option<String> {
        self.send(line)?;
        loop {
            let line = self.line()?;
            if line.as_bytes().get(3) != Some(&b'-') || line.starts_with('-') {
                return Some(line);
            }
        }
    }

    /// What comes up to a line that starts so.
    fn until(&mut self, start: &str) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            let last = line.starts_with(start);
            lines.push(line);
            if last {
                return Some(lines);
            }
        }
    }
}

/// Sends messages from ana to ben and herself, or to ida of the other group; says of each that it was accepted.
fn send(place: &Place, name: &str, relayed: bool, promised: &Mutex<Promised>, told: &mpsc::Sender<()>) -> Option<()> {
    let mut client = Client::new(place.smtp)?;
    client.say("EHLO ana")?;
    for number in 0.. {
        let subject = format!("{name}-{number}");
        let to = match (relayed, number % 2) {
            (true, _) => "ida@g02.lab",
            (false, 0) => "ben@g01.lab",
            (false, _) => "ana@g01.lab",
        };
        client.say("MAIL FROM:<ana@g01.lab>")?;
        client.say(&format!("RCPT TO:<{to}>"))?;
        client.say("DATA")?;
        let reply = client.say(&format!("Subject: {subject}\r\n\r\ntext\r\n."))?;
        assert!(reply.starts_with("250"), "{reply}");
        promised.lock().unwrap().accepted.insert(subject);
        let _ = told.send(());
    }
    None
}

fn subject(lines: &[String]) -> Option<String> {
    lines.iter().find_map(|line| line.strip_prefix("Subject: ")).map(str::to_owned)
}

/// Deletes ben's messages by POP3.
fn delete(place: &Place, promised: &Mutex<Promised>) -> Option<()> {
    loop {
        let mut client = Client::new(place.pop3)?;
        client.say("USER ben")?;
        if !client.say(&format!("PASS {}", place.password))?.starts_with("+OK") {
            continue;
        }
        let mut marked = Vec::new();
        for number in 1..=DELETED_AT_ONCE {
            if !client.say(&format!("TOP {number} 0"))?.starts_with("+OK") {
                break;
            }
            let subject = subject(&client.until(".")?).expect("a subject");
            promised.lock().unwrap().asked.insert(subject.clone());
            client.say(&format!("DELE {number}"))?;
            marked.push(subject);
        }
        if client.say("QUIT")?.starts_with("+OK") {
            promised.lock().unwrap().deleted.extend(marked);
        }
    }
}

/// Expunges ana's messages by IMAP.
fn expunge(place: &Place, promised: &Mutex<Promised>) -> Option<()> {
    let mut client = Client::new(place.imap)?;
    client.send(&format!("a LOGIN ana {}", place.password))?;
    client.until("a OK")?;
    loop {
        client.send("b SELECT INBOX")?;
        client.until("b OK")?;
        client.send("c FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]")?;
        let Some(subject) = subject(&client.until("c ")?) else { continue };
        promised.lock().unwrap().asked.insert(subject.clone());
        client.send("d STORE 1 +FLAGS.SILENT (\\Deleted)")?;
        client.until("d OK")?;
        client.send("e EXPUNGE")?;
        client.until("e OK")?;
        promised.lock().unwrap().deleted.insert(subject);
    }
}

/// How often each message was accepted by a store, by its subject, and which are in its mailboxes now.
fn kept(store: &Path) -> (BTreeMap<String, usize>, BTreeSet<String>) {
    let reader = Reader::open(store).unwrap();
    let of = |id| {
        let octets = reader.message(id).unwrap().expect("no message is ever lost").octets;
        let lines: Vec<String> = String::from_utf8_lossy(&octets).lines().map(str::to_owned).collect();
        subject(&lines).unwrap_or_default()
    };
    let mut accepted = BTreeMap::new();
    let mut mailboxes = BTreeSet::new();
    let each = &mut |event: labctl::evidence::Event| {
        assert!(!matches!(event.kind, EventKind::Damaged { .. }), "{event:?}");
        if let EventKind::Accepted { message, injected: None, .. } = event.kind {
            *accepted.entry(of(message)).or_default() += 1;
        }
        ControlFlow::Continue(())
    };
    reader.events(Seq(0), each).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let open = Store::open(store).unwrap();
    for mailbox in open.mailboxes() {
        mailboxes.extend(open.entries(&mailbox.name).unwrap().into_iter().map(|entry| of(entry.message)));
    }
    runtime.block_on(open.close()).unwrap();
    (accepted, mailboxes)
}

impl Test {
    fn place(&self, student: &str) -> Place {
        let status = self.json(&["status", "--json"]);
        let groups = status["labs"][0]["groups"].as_array().unwrap();
        let students = groups.iter().flat_map(|group| group["students"].as_array().unwrap());
        let found = students.clone().find(|found| found["login"] == student).unwrap();
        let address = |service: &str| -> SocketAddr { found[service].as_str().unwrap().parse().unwrap() };
        let mut imap = address("pop3");
        imap.set_port(self.ports[&Service::Imap]);
        let credentials = self.json(&["credentials", "--json"]);
        let all = credentials["students"].as_array().unwrap();
        let own = all.iter().find(|own| own["login"] == student).unwrap();
        let password = own["password"].as_str().unwrap().to_owned();
        Place { smtp: address("smtp"), pop3: address("pop3"), imap, password }
    }

    fn in_the_background(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("labctl starts")
    }

    fn kill(&self) {
        assert!(Command::new("kill").args(["-9", &self.process()]).status().expect("kill runs").success());
    }

    /// The marks of who is never reset.
    fn standing(&self) -> Vec<(String, String)> {
        let report = self.json(&["report", "--json"]);
        let students = report["students"].as_array().unwrap().iter().filter(|student| student["login"] != "eva");
        students.map(|student| (student["login"].to_string(), student["exercises"][0]["verdict"].to_string())).collect()
    }
}

#[test]
fn what_was_promised_survives_any_number_of_kills_under_load() {
    let rounds = std::env::var(ROUNDS_SET).ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    let (ana, ben) = (test.place("ana"), test.place("ben"));
    let mut first = Client::new(ana.smtp).unwrap();
    for line in
        ["EHLO ana", "MAIL FROM:<ana@g01.lab>", "RCPT TO:<ida@g02.lab>", "DATA", "Subject: done\r\n\r\nx\r\n.", "QUIT"]
    {
        first.say(line).unwrap();
    }
    let marks = test.standing();
    assert_eq!(marks.iter().filter(|(_, verdict)| verdict == "\"done\"").count(), 1, "{marks:?}");
    let promised = Mutex::<Promised>::default();
    for round in 0..rounds {
        let (told, accepted) = mpsc::channel();
        let mut others = vec![test.in_the_background(&["inject", "--again"])];
        if round % 5 == 4 {
            others.push(test.in_the_background(&["reset", "eva", "--yes"]));
        }
        thread::scope(|scope| {
            for sender in 0..2 {
                let (told, ana, promised) = (told.clone(), &ana, &promised);
                scope.spawn(move || send(ana, &format!("d{round}-{sender}"), false, promised, &told));
            }
            let (told, ana, promised) = (told.clone(), &ana, &promised);
            scope.spawn(move || send(ana, &format!("r{round}"), true, promised, &told));
            scope.spawn(|| delete(&ben, promised));
            scope.spawn(|| expunge(ana, promised));
            for _ in 0..=(round * 7 % 40) {
                accepted.recv_timeout(PATIENCE).expect("mail is accepted");
            }
            test.kill();
        });
        for mut other in others {
            other.wait().expect("it ends");
        }
        let up = test.run(&["up", "--no-inject"]);
        assert_eq!(up.code, 0, "round {round}: {}", up.err);
        if round % MARKED_EVERY == 0 || round + 1 == rounds {
            assert_eq!(test.standing(), marks, "round {round}");
        }
    }
    let started = std::time::Instant::now();
    while test.json(&["queue", "--json"])["groups"].as_array().unwrap().iter().any(|group| group["recipients"] != 0) {
        assert!(started.elapsed() < ARRIVAL, "mail for the other group arrives");
        thread::yield_now();
    }
    test.done(&["down"]);
    let Promised { accepted, deleted, asked } = promised.into_inner().unwrap();
    let (own, in_own) = kept(&test.path("state/labs/class/stores/g01.sqlite"));
    let (other, in_other) = kept(&test.path("state/labs/class/stores/g02.sqlite"));
    let relayed = |subject: &str| subject.starts_with('r');
    for subject in &accepted {
        let (found, mailboxes) = if relayed(subject) { (&other, &in_other) } else { (&own, &in_own) };
        assert_eq!(found.get(subject), Some(&1), "{subject} was promised once");
        assert!(mailboxes.contains(subject) || asked.contains(subject), "{subject} is in its mailbox");
    }
    let again = |found: &BTreeMap<String, usize>| found.iter().filter(|(_, count)| **count > 1).count();
    assert_eq!(again(&other), 0, "nothing came twice");
    assert!(deleted.iter().all(|subject| !in_own.contains(subject)), "what was deleted is gone");
    assert!(accepted.iter().any(|subject| relayed(subject)) && !deleted.is_empty(), "there was something to lose");
}
