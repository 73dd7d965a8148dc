//! Properties of marking over made-up evidence.

use labctl::{
    evidence::{Conn, Event, MessageId, Seq},
    lab::exercise::MAX_STEPS,
    marking::{MAX_UNKNOWN, Marker},
};
use proptest::prelude::*;

use super::{notation::Table, said};

const LAB: &str = "\
lab users=user1,user2 students=ana,ben mails=welcome>{login}
exercise 1.1 partial
  smtp: HELO|EHLO -> 250; MAIL -> 250; RCPT *user2* -> 250
  smtp x2: HELO -> 250; ! RSET; MAIL -> 250
exercise 1.2 after=1.1
  smtp: HELO -> 250; ! RSET
  message: in=user2, times=2, one-connection
exercise 1.3
  message: in=user2, header=Subject:*, secret=welcome
exercise 1.4
  retrieved: own
exercise 1.5
  deleted: mail=welcome
exercise 1.6
  relayed: to=*@g2.lab
exercise 1.7
  query: name=mail.*
";

/// What depends on what came first.
const ORDERED: &str = "\
exercise 3.1
  message: in=user1
  then smtp: HELO -> 250
  then retrieved: own
exercise 3.2
  query: record=A
  then message: in=user2
";

const GROUP_WIDE: &str = "\
exercise 2.1
  mailbox: user2 >= 2
exercise 2.2
  mailbox: {login} = 0, now
";

const FOLDERS_LAB: &str = "\
lab users=user2 students=ana,ben
exercise 3.1
  filed: any, folder=Archive, has=\\Seen
exercise 3.2
  filed: own, lacks=\\Seen, now
exercise 3.3
  mailbox: {login}/Archive >= 1, now
exercise 3.4
  mailbox: {login}/Old
exercise 3.5
  imap: LOGIN {login} * -> OK; ! NOOP; UID FETCH -> OK
exercise 3.6
  imap: pipelined; NOOP -> OK; NOOP -> OK
exercise 3.7
  deleted: own, folder=Archive, via=imap
";

/// What can happen by IMAP in the student's own mailbox.
const IMAP: &[&str] = &[
    "+ imap * OK hello",
    "imap a LOGIN ME *** -> a OK in",
    "imap a NOOP -> a OK",
    "imap a UID FETCH 1 FLAGS -> a OK",
    "accepted 1 a > ME: x",
    "appended 2 ME/Archive/2 \\Seen",
    "appended 3 ME/INBOX/3",
    "copied 3 3>3 ME/INBOX > Archive",
    "moved 1 1>4 ME/INBOX > Archive",
    "flagged ME/Archive 1:4 + \\Seen",
    "flagged ME/INBOX 1,3 - \\Seen",
    "deleted 3 ME/Archive/3",
    "folder ME/Archive created",
    "folder ME/Archive renamed Old",
    "folder ME/Old renamed Archive",
    "folder ME/Old removed",
    "- quit",
    "- failed",
];

/// What can happen, by whom, on a connection of that student's own.
const ROWS: &[&str] = &[
    "+ smtp 220 hello",
    "+ pop3 +OK hello",
    "HELO me -> 250 ok",
    "EHLO -> 501 no",
    "MAIL FROM:<a> -> 250 ok",
    "RCPT TO:<user2> -> 250 ok",
    "RCPT TO:<user1> -> 250 ok",
    "RSET -> 250 ok",
    "<message> -> 250 ok",
    "accepted 1 a > user2: Subject: x\\r\\n\\r\\n{secret:welcome}",
    "accepted 2 a > user2: x",
    "accepted 3 a > user1: x",
    "retrieved 1 user2",
    "retrieved 7 ana",
    "retrieved 2 user2 top",
    "deleted 7 ana",
    "deleted 2 user2",
    "queued 1 x@g2.lab,y@g2.lab",
    "queued 2 x@g2.lab",
    "relayed 1 x@g2.lab: 250 ok",
    "bounced 2 x@g2.lab: 550 5.1.1 no",
    "query mail.g1.lab A NOERROR 1",
    "query mail.g1.lab AAAA NOERROR 0",
    "logged_in user2",
    "logged_in ana",
    "logged_in ben",
    "- quit",
    "- dropped",
    "- failed",
];

fn rows(students: &'static [(&'static str, u64)]) -> impl Strategy<Value = Vec<String>> {
    rows_of(students, ROWS)
}

fn rows_of(
    students: &'static [(&'static str, u64)],
    all: &'static [&'static str],
) -> impl Strategy<Value = Vec<String>> {
    let row = (prop::sample::select(students), 0..3_u64, prop::sample::select(all));
    let line = row.prop_map(|((who, base), conn, what)| {
        let what = what.replace("ME", who.trim_end_matches(['?', '!']));
        // Each student's messages have numbers of their own.
        let numbered = ["accepted ", "retrieved ", "queued ", "relayed ", "bounced "];
        let own = |what: String, word: &str| what.replace(word, &format!("{word}10"));
        let what = if base > 10 { numbered.into_iter().fold(what, own) } else { what };
        // Nobody is connected to the server that tells what became of mail, and a question is no connection.
        let nobodys = ["relayed ", "bounced ", "query "].iter().any(|word| what.starts_with(word));
        format!("{who} {} {what}", if nobodys { 0 } else { base + conn })
    });
    prop::collection::vec(line, 0..60).prop_map(without_the_dead)
}

/// The number of a connection is never used twice: nothing comes after its end.
fn without_the_dead(lines: Vec<String>) -> Vec<String> {
    let conn = |line: &String| line.split(' ').nth(1).map(str::to_owned);
    let mut ended = std::collections::BTreeSet::new();
    let alive = |line: &String| {
        let alive = !ended.contains(&conn(line));
        if line.contains(" - ") {
            ended.insert(conn(line));
        }
        alive
    };
    lines.into_iter().filter(alive).collect()
}

const BOTH: &[(&str, u64)] = &[("ana", 1), ("ben", 11), ("?", 21), ("labctl", 31), ("ana?", 21), ("ben!", 21)];

fn marked(lab: &str, lines: &[String]) -> Vec<String> {
    let mut table = Table::read(lab);
    let mut marker = table.marker();
    for line in lines {
        let event = table.event(line).expect("an event");
        table.take(&mut marker, &event);
    }
    said(&marker)
}

/// Without event numbers and times, which differ where other events are left out.
fn verdicts(said: &[String], login: &str) -> Vec<String> {
    let own = said.iter().filter(|line| line.starts_with(login));
    own.map(|line| line.split([':', '[']).next().unwrap().trim().to_owned()).collect()
}

proptest! {
    #[test]
    fn another_students_events_never_change_my_marks(lines in rows(&BOTH[..2])) {
        let mine: Vec<String> = lines.iter().filter(|line| line.starts_with("ana")).cloned().collect();
        let lab = format!("{LAB}{ORDERED}");
        prop_assert_eq!(verdicts(&marked(&lab, &lines), "ana"), verdicts(&marked(&lab, &mine), "ana"));
    }

    #[test]
    fn another_students_mailbox_never_changes_my_marks(lines in rows_of(&BOTH[..2], IMAP)) {
        let mine: Vec<String> = lines.iter().filter(|line| line.starts_with("ana")).cloned().collect();
        prop_assert_eq!(verdicts(&marked(FOLDERS_LAB, &lines), "ana"), verdicts(&marked(FOLDERS_LAB, &mine), "ana"));
    }

    #[test]
    fn live_marks_of_folders_are_the_marks_of_a_replay(lines in rows_of(&[("ana", 1), ("ben", 11), ("ana!", 21)], IMAP)) {
        let mut table = Table::read(FOLDERS_LAB);
        let mut live = table.marker();
        for (count, line) in lines.iter().enumerate() {
            let reset = (count % 17 == 16).then(|| "labctl 0 reset ana removed ana/Archive/3,ana/INBOX/3".to_owned());
            for line in [Some(line.clone()), reset].into_iter().flatten() {
                let event = table.event(&line).expect("an event");
                table.take(&mut live, &event);
            }
            if count % 7 == 0 {
                prop_assert_eq!(said(&live), table.replay());
            }
        }
        prop_assert_eq!(said(&live), table.replay());
    }

    #[test]
    fn a_connection_that_logs_in_as_another_gives_nothing(lines in rows(&BOTH[..1]), which in 0..3_usize) {
        // One connection after the other, and on one of them somebody else's login at its end.
        let of = |conn: usize| lines.iter().filter(move |line| line.split(' ').nth(1) == Some(&(conn + 1).to_string()));
        let lives = |line: &&String| !line.contains(" logged_in ") && !line.contains(" - ");
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for conn in 0..3 {
            if conn == which {
                with.extend(of(conn).filter(lives).cloned());
                with.push(format!("ana {} logged_in ben", conn + 1));
            } else {
                with.extend(of(conn).cloned());
                without.extend(of(conn).cloned());
            }
        }
        let lab = format!("{LAB}{ORDERED}");
        prop_assert_eq!(verdicts(&marked(&lab, &with), "ana"), verdicts(&marked(&lab, &without), "ana"));
    }

    #[test]
    fn live_marks_are_the_marks_of_a_replay(lines in rows(BOTH)) {
        let lab = format!("{LAB}{ORDERED}{GROUP_WIDE}");
        let mut table = Table::read(&lab);
        let mut live = table.marker();
        for (count, line) in lines.iter().enumerate() {
            let event = table.event(line).expect("an event");
            table.take(&mut live, &event);
            let asked = said(&live);
            if count % 7 == 0 {
                prop_assert_eq!(asked, table.replay());
            }
        }
        prop_assert_eq!(said(&live), table.replay());
    }

    #[test]
    fn what_labctl_does_never_counts(lines in rows(&[("labctl", 31)])) {
        let lab = format!("{LAB}{GROUP_WIDE}");
        prop_assert!(marked(&lab, &lines).iter().all(|line| line.contains(" missing 0:")));
    }

    #[test]
    fn connections_may_come_in_any_order(lines in rows(&BOTH[..1]), turns in prop::collection::vec(0..3_usize, 60)) {
        // Per connection the order stays; the lines of different connections are dealt anew. Of attempts one of which the server
        // broke off, the latest decides.
        let number = |line: &String| line.split(' ').nth(1).unwrap().parse::<usize>().unwrap().checked_sub(1);
        let own = |conn: usize| lines.iter().filter(move |line| number(line) == Some(conn) && !line.contains("retrieved") && !line.contains("logged_in ben") && !line.contains("- failed"));
        let mut queues = [0, 1, 2].map(|conn| own(conn).cloned().collect::<std::collections::VecDeque<_>>());
        let straight: Vec<String> = queues.iter().flatten().cloned().collect();
        let mut dealt: Vec<String> = turns.into_iter().filter_map(|turn| queues[turn].pop_front()).collect();
        dealt.extend(queues.into_iter().flatten());
        prop_assert_eq!(verdicts(&marked(LAB, &dealt), "ana"), verdicts(&marked(LAB, &straight), "ana"));
    }
}

#[test]
fn a_connection_counts_from_its_beginning_up_to_a_limit() {
    for (noops, done) in [(MAX_UNKNOWN - 2, true), (MAX_UNKNOWN - 1, false)] {
        let mut lines = vec!["? 1 + smtp 220 hello".to_owned(), "? 1 HELO me -> 250 ok".to_owned()];
        lines.extend((0..noops).map(|_| "? 1 NOOP -> 250 ok".to_owned()));
        lines.push("ana? 1 MAIL FROM:<ana> -> 250 ok".to_owned());
        let lab = "lab students=ana\nexercise 1\n  smtp: HELO; MAIL\n";
        assert_eq!(marked(lab, &lines)[0].contains("done"), done, "{noops}");
    }
}

#[test]
fn an_ended_connection_leaves_nothing_behind() {
    let mut table = Table::read(LAB);
    let mut marker: Marker = table.marker();
    for conn in 1..=2_000 {
        for what in ["+ smtp 220 hello", "HELO me -> 250 ok", "- quit"] {
            let event: Event = table.event(&format!("ana {conn} {what}")).unwrap();
            assert_eq!((event.conn, event.seq > Seq(0)), (Conn(conn), true));
            marker.take(&event, &mut |_: MessageId| None);
        }
    }
    assert_eq!(marker.live_connections(), 0);
}

#[test]
fn a_conversation_may_have_as_many_steps_as_a_lab_may_write() {
    for forbidding in ["", "; ! RSET"] {
        let steps = vec!["NOOP -> 250"; MAX_STEPS - forbidding.len().min(1)].join("; ");
        let count = steps.split("; ").count();
        let lab = format!("lab students=ana\nexercise 1\n  smtp: {steps}{forbidding}\n");
        let mut lines = vec!["ana 1 NOOP -> 250 ok".to_owned(); count - 1];
        let end = if forbidding.is_empty() { "ana 1 NOOP -> 250 ok" } else { "ana 1 - quit" };
        lines.push(end.to_owned());
        assert_eq!(marked(&lab, &lines)[0].contains("done"), forbidding.is_empty(), "one is missing before the end");
        lines.insert(0, "ana 1 NOOP -> 250 ok".to_owned());
        assert!(marked(&lab, &lines)[0].contains("done"), "{count} steps");
    }
}
