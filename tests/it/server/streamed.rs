//! Long answers: they say what is stored, and never are in memory, however slowly a client reads.

use std::fmt::Write as _;

use base64::Engine as _;
use labctl::{
    evidence::EventKind,
    lab::Service,
    protocol::WINDOW,
    server::{PER_SERVER, PER_SESSION},
};

use super::{
    client::Client,
    process::Process,
    running::{Running, config, endpoint},
};

/// Clients that ask for much and read nothing.
const SLOW: usize = 12;

/// Octets of the large message, about.
const LARGE: usize = 9 << 20;

fn running() -> Running {
    let mut config = config();
    config.endpoints.push(endpoint(Service::Imap, None));
    Running::new(config)
}

/// A message of about so many octets whose lines begin with dots now and then.
fn message(octets: usize) -> String {
    let mut text = "Subject: large\r\n\r\n".to_owned();
    for number in 0.. {
        if text.len() >= octets {
            return text;
        }
        let _ = write!(text, "{}line {number} {}\r\n", ["", ".", ".."][number % 3], "x".repeat(number % 90));
    }
    text
}

fn log_in(mut client: Client) -> Client {
    assert!(client.say("a LOGIN user2 Usuario2").starts_with("a OK"));
    client
}

/// Puts a message into INBOX and selects it.
fn append(client: &mut Client, message: &str) {
    client.send(format!("b APPEND INBOX {{{}+}}\r\n{message}\r\n", message.len()));
    assert!(client.line().starts_with("b OK"));
    client.send("c SELECT INBOX\r\n");
    while !client.line().starts_with("c OK") {}
}

/// What a FETCH of one item says of the first message: the literal, or the value as it stands.
fn fetched(client: &mut Client, item: &str) -> Vec<u8> {
    client.send(format!("d FETCH 1 {item}\r\n"));
    let line = client.line();
    let value = line.strip_prefix("* 1 FETCH (").unwrap_or_else(|| panic!("{item}: {line}"));
    let Some(octets) = value.strip_suffix('}') else {
        assert!(client.line().starts_with("d OK"));
        return value.strip_suffix(')').unwrap().rsplit(' ').next().unwrap().as_bytes().to_vec();
    };
    let mut literal = vec![0; octets.rsplit('{').next().unwrap().parse().unwrap()];
    client.exactly(&mut literal);
    assert!(client.line().ends_with(')'), "{item}");
    assert!(client.line().starts_with("d OK"), "{item}");
    literal
}

/// One FETCH for the large message twenty times, from twenty places on.
fn greedy() -> String {
    let items: Vec<String> = (0..20).map(|first| format!("BODY.PEEK[]<{first}.11000000>")).collect();
    format!("e FETCH 1 ({})\r\n", items.join(" "))
}

#[test]
fn what_comes_in_pieces_is_what_is_stored() {
    let running = running();
    let mut client = log_in(Client::new(running.address(Service::Imap)));
    let binary: Vec<u8> = (0..700_000_u32).map(|number| u8::try_from(number * 7 % 251).unwrap()).collect();
    let encoded = base64::engine::general_purpose::STANDARD.encode(&binary);
    let encoded = encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>();
    let encoded = encoded.join("\r\n");
    let text = message(400_000);
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    let header = "Subject: parts\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n";
    let message =
        format!("{header}--x\r\n\r\n{body}\r\n--x\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}\r\n--x--\r\n");
    append(&mut client, &message);
    let octets = message.as_bytes();
    assert_eq!(fetched(&mut client, "BODY.PEEK[]"), octets);
    assert_eq!(fetched(&mut client, "RFC822"), octets);
    assert_eq!(fetched(&mut client, "BODY[TEXT]"), &octets[header.len()..]);
    assert_eq!(fetched(&mut client, "BODY[HEADER]"), header.as_bytes());
    assert_eq!(fetched(&mut client, "BODY[1]"), body.as_bytes());
    assert_eq!(fetched(&mut client, "BODY[2]"), encoded.as_bytes());
    assert_eq!(fetched(&mut client, "BINARY[2]"), binary);
    assert_eq!(fetched(&mut client, "BINARY.SIZE[2]"), b"700000");
    assert_eq!(fetched(&mut client, "BODY[HEADER.FIELDS (SUBJECT)]"), b"Subject: parts\r\n\r\n");
    for (first, count) in [(0, 1), (131_071, 131_074), (399_999, 200_000), (0, 11_000_000), (2_000_000, 5)] {
        let part = |all: &[u8]| all[first.min(all.len())..(first + count).min(all.len())].to_vec();
        for (item, all) in [("BODY[]", octets), ("BODY[1]", body.as_bytes()), ("BINARY[2]", &binary)] {
            assert_eq!(fetched(&mut client, &format!("{item}<{first}.{count}>")), part(all), "{item} {first} {count}");
        }
    }
    drop(client);
    let mut pop3 = running.pop3("user2", "Usuario2");
    assert_eq!(pop3.say("RETR 1"), format!("+OK {} octets", message.len()));
    let unstuffed = |lines: Vec<String>| -> String {
        lines.iter().map(|line| line.strip_prefix('.').unwrap_or(line).to_owned() + "\r\n").collect()
    };
    assert!(unstuffed(pop3.lines()) == message);
    assert!(pop3.say("TOP 1 4000").starts_with("+OK"));
    let top = unstuffed(pop3.lines());
    assert!(message.starts_with(&top) && top.lines().count() == 3 + 4_000);
    pop3.say("QUIT");
    let events = running.stopped();
    let whole = events.iter().filter(|event| matches!(event.kind, EventKind::Retrieved { top: None, .. })).count();
    assert_eq!(whole, 5, "BODY[], RFC822, BODY[TEXT], BODY[]<0.11000000>, RETR");
}

#[test]
fn what_slow_readers_ask_for_is_not_held_and_holds_nobody_up() {
    let running = running();
    let text = message(LARGE);
    append(&mut log_in(Client::new(running.address(Service::Imap))), &text);
    let slow: Vec<Client> = (0..SLOW)
        .map(|_| {
            let mut client = log_in(Client::new(running.address(Service::Imap)));
            client.send("s SELECT INBOX\r\n");
            client.send(greedy());
            while !client.line().ends_with('}') {}
            client
        })
        .collect();
    // Others are served meanwhile, one of them with the same message, and mail comes in.
    let mut smtp = running.smtp();
    smtp.holds(&[("HELO x", "250")]);
    assert!(smtp.deliver("ben", "meanwhile").starts_with("250"));
    let mut pop3 = running.pop3("user2", "Usuario2");
    assert!(pop3.say("RETR 1").starts_with("+OK"));
    assert_eq!(pop3.lines().len(), text.lines().count());
    pop3.say("QUIT");
    let (now, highest) = running.server.octets_in_flight();
    assert!(now > 0 && highest <= (SLOW + 1) * PER_SESSION, "{now} now, {highest} at most");
    assert!(highest < PER_SERVER);
    drop((slow, smtp));
    running.all_gone();
    assert_eq!(running.server.octets_in_flight().0, 0);
    let events = running.stopped();
    let greedy = events.iter().filter(|event| match &event.kind {
        EventKind::Command { verb, reply, .. } => &**verb == "FETCH" && !reply.starts_with("e OK"),
        _ => false,
    });
    assert_eq!(greedy.count(), SLOW, "what was asked is on record");
    let retrieved = events.iter().filter(|event| matches!(event.kind, EventKind::Retrieved { .. }));
    assert_eq!(retrieved.count(), 1, "and only what was taken counts");
}

/// The untagged lines up to a tagged OK.
fn untagged(client: &mut Client, command: &str) -> Vec<String> {
    client.send(format!("g {command}\r\n"));
    std::iter::from_fn(|| Some(client.line()).filter(|line| !line.starts_with("g OK"))).collect()
}

#[test]
fn lines_about_thousands_of_messages_leave_a_few_at_a_time() {
    const DOUBLINGS: u32 = 13;
    let running = running();
    let mut client = log_in(Client::new(running.address(Service::Imap)));
    append(&mut client, "Subject: small\r\n\r\n");
    for _ in 0..DOUBLINGS {
        untagged(&mut client, "COPY 1:* INBOX");
    }
    let count = 1 << DOUBLINGS;
    let mut other = log_in(Client::new(running.address(Service::Imap)));
    untagged(&mut other, "SELECT INBOX");
    assert_eq!(untagged(&mut client, "FETCH 1:* (UID FLAGS INTERNALDATE)").len(), count);
    assert_eq!(
        untagged(&mut client, "FETCH 1:* (UID BODY.PEEK[HEADER])").len(),
        4 * count,
        "with each literal's lines"
    );
    assert_eq!(untagged(&mut client, "STORE 1:* +FLAGS (\\Flagged)").len(), count);
    assert_eq!(untagged(&mut other, "NOOP").len(), count);
    untagged(&mut client, "STORE 1:* +FLAGS.SILENT (\\Deleted)");
    untagged(&mut client, "UID STORE 2:3,5:7,9:11 -FLAGS.SILENT (\\Deleted \\Flagged)");
    let numbers = |line: &str| line.split(' ').filter_map(|word| word.parse().ok()).collect::<Vec<usize>>();
    let found = untagged(&mut client, "SEARCH DELETED");
    let mut deleted: Vec<usize> = (1..=count).collect();
    deleted.retain(|number| ![2, 3, 5, 6, 7, 9, 10, 11].contains(number));
    assert_eq!(found.iter().map(|line| numbers(line)).collect::<Vec<_>>(), [deleted]);
    let found = untagged(&mut client, "SEARCH RETURN (MIN MAX ALL COUNT) DELETED");
    let said = format!("UID MIN 1 MAX {count} ALL 1,4,8,12:{count} COUNT {}", count - 8).replace("UID ", "");
    assert_eq!(found, [format!("* ESEARCH (TAG \"g\") {said}")]);
    // Every second message: a set that has no runs.
    let odd: Vec<String> = (1..1 << 11).step_by(2).map(|number| number.to_string()).collect();
    untagged(&mut client, &format!("STORE {} +FLAGS.SILENT (\\Answered)", odd.join(",")));
    let found = untagged(&mut client, "SEARCH RETURN () ANSWERED");
    assert_eq!(found, [format!("* ESEARCH (TAG \"g\") ALL {}", odd.join(","))]);
    let gone = untagged(&mut client, "EXPUNGE").iter().filter(|line| line.ends_with("EXPUNGE")).count();
    assert_eq!(gone, count - 8);
    assert_eq!(untagged(&mut other, "NOOP").iter().filter(|line| line.ends_with("EXPUNGE")).count(), count - 8);
    let mut pop3 = running.pop3("user2", "Usuario2");
    assert!(pop3.say("UIDL").starts_with("+OK") && pop3.lines().len() == 8);
    assert!(running.server.octets_in_flight().1 < 2 * WINDOW);
}

#[test]
fn the_memory_of_a_server_stays_flat_whoever_reads_slowly() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("g1.db");
    let first = Process::start(&store);
    append(&mut log_in(Client::new(first.address(Service::Imap))), &message(LARGE));
    first.kill();
    // Another process, whose memory has not been larger before.
    let process = Process::start(&store);
    log_in(Client::new(process.address(Service::Imap)));
    let before = process.highest_resident();
    let slow: Vec<Client> = (0..SLOW)
        .map(|_| {
            let mut client = log_in(Client::new(process.address(Service::Imap)));
            client.send("s SELECT INBOX\r\n");
            client.send(greedy());
            while !client.line().ends_with('}') {}
            client
        })
        .collect();
    // One of them reads to the end: twenty times nine MiB go through.
    let mut reader = log_in(Client::new(process.address(Service::Imap)));
    reader.send("s SELECT INBOX\r\n");
    reader.send(greedy());
    while !reader.line().starts_with("e OK") {}
    let more = process.highest_resident() - before;
    assert!(more < 32 << 20, "{} MiB more", more >> 20);
    drop(slow);
    process.kill();
}
