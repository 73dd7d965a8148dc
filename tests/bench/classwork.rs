//! A made-up class at work: a lab of forty exercises, and connections of its students as a server would have seen them.
//! Half of the exercises are solved early, the others never, so that marking has to look at every event to the end.

use std::fmt::Write as _;

use labctl::{
    evidence::{By, Delivered, Ending, EventKind, MessageId, State, Uid, Who},
    lab::{Login, Service},
    mail::{Envelope, sha256},
};

use crate::{Fallible, labctl_server::Class};

/// Exercises of the lab.
pub const EXERCISES: usize = 40;

/// Events of one connection, whichever protocol it spoke.
pub const EVENTS: usize = 10;

/// The checks that exercises have in turn; `{}` is the exercise's number.
const CHECKS: [&str; 8] = [
    r#"protocol = "smtp"
steps = ["HELO|EHLO -> 250", "MAIL *{login}* -> 250", "RCPT -> 250", "DATA -> 354", "<message> -> 250", "QUIT -> 221"]"#,
    r#"protocol = "smtp"
steps = ["EHLO -> 250", "MAIL -> 250", "RSET -> 250", "MAIL -> 250", "<message> -> 250"]"#,
    r#"protocol = "pop3"
steps = ["USER {login} -> +OK", "PASS -> +OK", "STAT -> +OK", "! DELE", "RETR -> +OK", "QUIT -> +OK"]"#,
    r#"protocol = "pop3"
steps = ["USER -> +OK", "PASS -> +OK", "TOP * 0 -> +OK", "! RETR", "QUIT -> +OK"]"#,
    r#"message = { from = "*{login}*", headers = { Subject = "task {}" } }"#,
    r#"message = { from = "*{login}*", size = ">= 64 KiB" }"#,
    "retrieved = { own = true }",
    r#"protocol = "smtp"
steps = ["MAIL -> 250", "RCPT *nobody* -> 5xx", "RCPT -> 250", "! RSET", "DATA -> 354"]"#,
];

/// The exercises, to be appended to a lab file.
pub fn exercises() -> String {
    let mut text = String::new();
    for number in 1..=EXERCISES {
        let check = CHECKS[number % CHECKS.len()].replace("{}", &number.to_string());
        let _ = write!(
            text,
            "\n[[exercise]]\nid = \"{number}\"\ntitle = \"exercise {number}\"\n[[exercise.check]]\n{check}\n"
        );
    }
    text
}

/// One connection.
#[derive(Debug)]
pub enum Talk {
    /// A message is sent.
    Smtp {
        /// Up to the answer to the message.
        before: Vec<EventKind>,
        /// The message.
        envelope: Box<Envelope>,
        /// From QUIT to the end.
        after: Vec<EventKind>,
    },
    /// The message of the connection before is read.
    Pop3(Vec<EventKind>),
}

/// What the student of this number does in the connection of this number. `latest` is what the connection before delivered.
pub fn talk(login: &Login, number: usize, latest: MessageId) -> Talk {
    if number.is_multiple_of(2) { smtp(login, number / 2) } else { Talk::Pop3(pop3(login, number / 2, latest)) }
}

/// A student, recognised by the endpoint.
pub fn who(login: &Login) -> Who {
    Who::Student { login: login.clone(), by: By::Endpoint }
}

/// The event that the store adds when it takes a message in.
pub fn accepted(envelope: &Envelope, message: MessageId) -> EventKind {
    EventKind::Accepted {
        message,
        from: envelope.from.clone(),
        recipients: envelope.recipients.clone(),
        delivered: envelope
            .mailboxes
            .iter()
            .map(|mailbox| Delivered { mailbox: mailbox.clone(), uid: Uid(message.0) })
            .collect(),
        octets: envelope.content.len() as u64,
        sha256: sha256(&envelope.content),
        injected: None,
    }
}

/// The logins of one group of the class, the group counted from 0.
pub fn logins(class: Class, group: usize) -> Fallible<Vec<Login>> {
    let numbers = group * class.students..(group + 1) * class.students;
    numbers.map(|number| Ok(format!("user{}", number + 1).parse()?)).collect()
}

fn smtp(login: &Login, number: usize) -> Talk {
    let (mail, rcpt) = (format!("MAIL FROM:<{login}@bench.lab>"), format!("RCPT TO:<{login}@bench.lab>"));
    let content = format!("From: {login}\r\nSubject: task {}\r\n\r\nThis is message {number}.\r\n", number % 50);
    let before = vec![
        connected(Service::Smtp, "220 bench.lab ESMTP labctl\r\n"),
        command("HELO", "HELO 192.168.0.15", "250 hello 192.168.0.15\r\n", State::Connect, State::Ready),
        command("MAIL", &mail, "250 2.1.0 sender is fine\r\n", State::Ready, State::Mail),
        command("RCPT", &rcpt, "250 2.1.5 recipient is fine\r\n", State::Mail, State::Rcpt),
        command("DATA", "DATA", "354 end with a line that holds only a dot\r\n", State::Rcpt, State::Data),
        command("<message>", "", "250 2.0.0 stored\r\n", State::Data, State::Ready),
    ];
    let envelope = Envelope {
        from: format!("{login}@bench.lab"),
        recipients: vec![format!("{login}@bench.lab")],
        mailboxes: vec![login.clone()],
        trace: format!("Return-Path: <{login}@bench.lab>\r\n").into_bytes(),
        content: content.into_bytes(),
        ..Envelope::default()
    };
    let after = vec![
        command("NOOP", "NOOP", "250 2.0.0 fine\r\n", State::Ready, State::Ready),
        command("QUIT", "QUIT", "221 2.0.0 bye\r\n", State::Ready, State::Closed),
        EventKind::Disconnected { how: Ending::Quit },
    ];
    Talk::Smtp { before, envelope: Box::new(envelope), after }
}

fn pop3(login: &Login, number: usize, message: MessageId) -> Vec<EventKind> {
    use State::{Authorization, Closed, Transaction};
    let uid = Uid(message.0);
    vec![
        connected(Service::Pop3, "+OK labctl\r\n"),
        command("USER", &format!("USER {login}"), "+OK now PASS\r\n", Authorization, Authorization),
        command("PASS", "PASS ***", "+OK mailbox open\r\n", Authorization, Transaction),
        EventKind::LoggedIn { mailbox: login.clone(), mechanism: "PASS".to_owned() },
        command("STAT", "STAT", "+OK 2 400\r\n", Transaction, Transaction),
        command("LIST", "LIST", "+OK\r\n1 200\r\n2 200\r\n.\r\n", Transaction, Transaction),
        command("RETR", &format!("RETR {}", number + 1), "+OK 200 octets\r\n", Transaction, Transaction),
        EventKind::Retrieved {
            message,
            mailbox: login.clone(),
            uid,
            top: None,
            folder: labctl::mail::folder::FolderName::inbox(),
        },
        command("QUIT", "QUIT", "+OK bye\r\n", Transaction, Closed),
        EventKind::Disconnected { how: Ending::Quit },
    ]
}

fn connected(service: Service, reply: &str) -> EventKind {
    let peer = "127.0.0.1:53040".parse().ok();
    let local = "127.77.1.2:2525".parse().ok();
    EventKind::Connected { protocol: service.protocol(), service, peer, local, reply: reply.to_owned() }
}

fn command(verb: &str, line: &str, reply: &str, before: State, after: State) -> EventKind {
    EventKind::Command {
        verb: verb.into(),
        line: line.to_owned(),
        octets: line.len() as u64 + 2,
        reply: reply.to_owned(),
        reply_octets: reply.len() as u64,
        before,
        after,
        pipelined: false,
        times: 1,
    }
}
