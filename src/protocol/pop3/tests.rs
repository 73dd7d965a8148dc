//! What transcripts cannot show: properties over any input, numbers too large to write down, and a store that answers
//! nonsense. The behaviours themselves are files in `tests/transcripts/pop3`.

use proptest::prelude::*;

use super::*;
use crate::{
    evidence::{By, MessageId, Uid, Who},
    mail::Entry,
    protocol::{Action, dialect, fixture::peer, sasl},
};

const NOW: Now = Now { micros: 1_509_706_863_000_000, steady_micros: 0, utc_offset_secs: 3_600 };

/// A session with a store that has `messages` in every mailbox.
struct Bench {
    session: Session,
    messages: Vec<Vec<u8>>,
    expunged: Vec<Entry>,
    events: Vec<EventKind>,
    closed: bool,
}

impl Bench {
    fn greeted(peer: Peer, messages: Vec<Vec<u8>>) -> Self {
        let session = Session::new(peer);
        let mut bench = Self { session, messages, expunged: Vec::new(), events: Vec::new(), closed: false };
        bench.give(Input::Connected);
        bench
    }

    fn logged_in(messages: Vec<Vec<u8>>) -> Self {
        let mut bench = Self::greeted(peer("labctl"), messages);
        bench.line("USER ana");
        assert!(bench.line("PASS se cret").starts_with("+OK"));
        bench
    }

    fn line(&mut self, line: &str) -> String {
        String::from_utf8_lossy(&self.octets(line.as_bytes())).into_owned()
    }

    fn octets(&mut self, octets: &[u8]) -> Vec<u8> {
        self.give(Input::Line { octets, crlf: true })
    }

    fn give(&mut self, input: Input<'_>) -> Vec<u8> {
        let (mut input, mut reply) = (input, Vec::new());
        loop {
            let mut out = Output::default();
            self.session.handle(input, NOW, &mut out);
            reply.extend(out.reply);
            self.events.extend(out.events);
            self.closed = out.next == Next::Close;
            let Some(action) = out.action else { return reply };
            input = Input::Done(self.perform(action));
        }
    }

    fn perform(&mut self, action: Action) -> Outcome {
        match action {
            Action::Hurry { .. } | Action::Waiting { .. } | Action::TurnRound { .. } => panic!("POP3 has no queue"),
            Action::Open { .. } => Outcome::Opened(self.entries()),
            Action::Read { message, from, most } => {
                let [place, from, most] = [message.0 - 101, from, most].map(|number| usize::try_from(number).unwrap());
                let rest = &self.messages[place][from..];
                Outcome::Octets(rest[..most.min(rest.len())].to_vec())
            }
            Action::Send => Outcome::Sent,
            Action::Expunge { entries, .. } => {
                self.expunged.extend(entries);
                Outcome::Expunged
            }
            Action::Room { .. } | Action::QueueRoom { .. } | Action::Deliver(_) | Action::Folders(_) => {
                panic!("POP3 delivers nothing")
            }
        }
    }

    fn entries(&self) -> Vec<Entry> {
        let numbered = (1..).zip(&self.messages);
        numbered
            .map(|(number, message)| Entry {
                uid: Uid(number),
                message: MessageId(number + 100),
                octets: message.len() as u64,
            })
            .collect()
    }
}

/// The first line of a multi-line reply, and its content as a client reads it.
fn received(reply: &[u8]) -> (String, Vec<u8>) {
    let first = reply.iter().position(|octet| *octet == b'\n').expect("a first line") + 1;
    let content = reply[first..].strip_suffix(b".\r\n").expect("the final line");
    let mut before = b'\n';
    let kept = |octet: &u8| !matches!((std::mem::replace(&mut before, *octet), *octet), (b'\r' | b'\n', b'.'));
    (String::from_utf8_lossy(&reply[..first]).into_owned(), content.iter().copied().filter(kept).collect())
}

#[test]
fn qpopper_counts_as_in_the_practical() {
    let mut messages = vec![b"x".repeat(85_000); 411];
    messages.push(b"x".repeat(35_020_509 - 411 * 85_000));
    let mut bench = Bench::greeted(peer("qpopper4"), messages);
    assert_eq!(bench.line("USER daniel.morato"), "+OK\r\n");
    let welcome = "+OK daniel.morato has 412 visible messages (0 hidden) in 35020509 octets.\r\n";
    assert_eq!(bench.line("PASS clave"), welcome);
}

#[test]
fn ten_thousand_messages_are_one_reply() {
    let mut bench = Bench::logged_in(vec![b"a\r\n".to_vec(); 10_000]);
    let list = bench.line("LIST");
    assert_eq!(list.lines().count(), 10_002);
    assert!(list.ends_with("\r\n10000 3\r\n.\r\n"));
    assert!(bench.line("UIDL").ends_with("\r\n10000 10000.10100\r\n.\r\n"));
    let Some(EventKind::Command { reply, reply_octets, .. }) = bench.events.iter().rev().nth(1) else { panic!() };
    assert_eq!((reply.as_str(), *reply_octets), ("+OK 10000 messages, 30000 octets\r\n", list.len() as u64));
}

#[test]
fn no_two_greetings_have_the_same_timestamp() {
    let greeting = |seed, micros| {
        let mut out = Output::default();
        Session::new(Peer { seed, ..peer("labctl") }).handle(Input::Connected, Now { micros, ..NOW }, &mut out);
        String::from_utf8(out.reply).unwrap()
    };
    assert_ne!(greeting(1, 5), greeting(2, 5));
    assert_ne!(greeting(1, 5), greeting(1, 6));
    assert_ne!(greeting(0x11, 1), greeting(1, 11));
}

#[test]
fn a_sender_is_corrected_by_a_login_and_an_address_is_not() {
    let student = |by| Who::Student { login: "ben".parse().unwrap(), by };
    let ana = Who::Student { login: "ana".parse().unwrap(), by: By::Login };
    for (who, learnt) in [
        (Who::Unknown, Some(&ana)),
        (student(By::Sender), Some(&ana)),
        (student(By::Login), None),
        (student(By::Endpoint), None),
        (student(By::ClientAddress), None),
        (Who::Instructor, None),
    ] {
        let config = peer("labctl").config;
        assert_eq!(sasl::learnt(&who, &"ana".parse().unwrap(), &config).as_ref(), learnt, "{who:?}");
        assert_eq!(sasl::learnt(&who, &"daniel.morato".parse().unwrap(), &config), None, "{who:?}");
    }
}

#[test]
fn a_store_that_answers_nonsense_is_a_store_that_failed() {
    let nonsense = || [Outcome::Stored, Outcome::Room(true), Outcome::Room(false), Outcome::Failed];
    for outcome in nonsense() {
        let mut session = Session::new(peer("labctl"));
        let mut replies = String::new();
        for input in [
            Input::Connected,
            Input::Done(outcome.clone()),
            Input::Line { octets: b"USER ana", crlf: true },
            Input::Line { octets: b"PASS se cret", crlf: true },
            Input::Done(outcome),
            Input::Line { octets: b"QUIT", crlf: true },
        ] {
            let mut out = Output::default();
            session.handle(input, NOW, &mut out);
            replies.push_str(&String::from_utf8(out.reply).unwrap());
        }
        assert!(replies.contains("could not be opened") && replies.ends_with("+OK goodbye\r\n"), "{replies}");
    }
}

#[test]
fn a_line_during_an_action_changes_nothing() {
    let mut session = Session::new(peer("labctl"));
    let mut give = |input| {
        let mut out = Output::default();
        session.handle(input, NOW, &mut out);
        (out.reply.len(), out.events.len(), out.next)
    };
    give(Input::Connected);
    give(Input::Line { octets: b"USER ana", crlf: true });
    give(Input::Line { octets: b"PASS se cret", crlf: true });
    assert_eq!(give(Input::Line { octets: b"QUIT", crlf: true }), (0, 0, Next::Line));
    assert_eq!(give(Input::Shutdown), (0, 0, Next::Close));
    assert_eq!(give(Input::Done(Outcome::Opened(Vec::new()))), (0, 0, Next::Close));
}

/// Commands, some right, some nearly right, some noise.
fn any_line() -> impl Strategy<Value = Vec<u8>> {
    let verb = proptest::sample::select(Verb::ALL.map(|verb| verb.rule().name).to_vec());
    let argument =
        prop_oneof!["[0-5]", "[0-9]{1,25}", "-?[0-9]{1,3}", "ana", "se cret", "[ -~]{0,20}", Just(String::new())];
    prop_oneof![
        4 => (verb, "[ \t]{0,2}", argument.clone(), "[ \t]{0,2}", argument)
            .prop_map(|(verb, a, b, c, d)| format!("{verb}{a}{b}{c}{d}").into_bytes()),
        1 => Just(b"USER ana".to_vec()),
        1 => Just(b"PASS se cret".to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..80),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_each_line_has_one_reply_and_no_password_is_kept(
        lines in proptest::collection::vec(any_line(), 0..60),
        name in proptest::sample::select(dialect::names().collect::<Vec<_>>()),
    ) {
        let mut bench = Bench::greeted(peer(name), vec![b"a\r\n".to_vec(), b".".to_vec(), Vec::new()]);
        for line in &lines {
            if bench.closed {
                break;
            }
            let before = bench.events.len();
            let reply = bench.octets(line);
            prop_assert!(reply.starts_with(b"+OK") || reply.starts_with(b"-ERR"), "{line:?}");
            prop_assert!(reply.ends_with(b"\r\n"));
            let commands = |event: &&EventKind| matches!(event, EventKind::Command { .. });
            prop_assert_eq!(bench.events[before..].iter().filter(commands).count(), 1);
            if line.starts_with(b"PASS") {
                let kept = format!("{:?}", &bench.events[before..]);
                prop_assert!(!kept.contains("se cret"), "{}", kept);
            }
        }
    }

    #[test]
    fn octets_announced_are_octets_sent(message in proptest::collection::vec(
        prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..300,
    ), lines in 0_u64..9) {
        let mut bench = Bench::logged_in(vec![message.clone()]);
        let listed = bench.line("LIST 1");
        let (first, whole) = received(&bench.octets(b"RETR 1"));
        prop_assert_eq!(first, format!("+OK {} octets\r\n", whole.len()));
        prop_assert_eq!(listed, format!("+OK 1 {}\r\n", message.len()));
        prop_assert!(whole.starts_with(&message));
        let (_, part) = received(&bench.octets(format!("TOP 1 {lines}").as_bytes()));
        prop_assert!(whole.starts_with(part.strip_suffix(b"\r\n").unwrap_or(&part)));
    }

    #[test]
    fn a_deleted_message_never_shows_and_only_quit_deletes_it(
        deleted in proptest::collection::btree_set(1_usize..=6, 0..6), quits in any::<bool>(),
    ) {
        let message = |number: usize| format!("Subject: {number}\r\n\r\n{}\r\n", "x".repeat(number)).into_bytes();
        let mut bench = Bench::logged_in((1..=6).map(message).collect());
        for number in &deleted {
            let reply = bench.line(&format!("DELE {number}"));
            prop_assert!(reply.starts_with("+OK"));
        }
        let left: Vec<usize> = (1..=6).filter(|number| !deleted.contains(number)).collect();
        let octets: usize = left.iter().map(|number| message(*number).len()).sum();
        prop_assert_eq!(bench.line("STAT"), format!("+OK {} {octets}\r\n", left.len()));
        for listing in ["LIST", "UIDL"] {
            let reply = bench.line(listing);
            let numbers = reply.lines().skip(1).filter_map(|line| line.split(' ').next()?.parse::<usize>().ok());
            prop_assert_eq!(numbers.collect::<Vec<_>>(), left.clone());
        }
        for number in 1..=6 {
            for command in [format!("LIST {number}"), format!("UIDL {number}"), format!("RETR {number}"), format!("TOP {number} 1")] {
                prop_assert_eq!(bench.line(&command).starts_with("-ERR"), deleted.contains(&number), "{}", command);
            }
        }
        bench.give(if quits { Input::Line { octets: b"QUIT", crlf: true } } else { Input::Idle });
        prop_assert!(bench.closed);
        let expunged: Vec<u64> = bench.expunged.iter().map(|entry| entry.uid.0).collect();
        let wanted: Vec<u64> = deleted.iter().filter(|_| quits).map(|number| *number as u64).collect();
        prop_assert_eq!(&expunged, &wanted);
        let events = bench.events.iter().filter(|event| matches!(event, EventKind::Deleted { .. })).count();
        prop_assert_eq!(events, wanted.len());
    }
}
