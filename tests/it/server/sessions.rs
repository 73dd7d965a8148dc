//! Sessions: what they are answered, how they end, whose they are.

use std::{net::TcpListener, time::Duration};

use labctl::{
    evidence::{By, Conn, Ending, Event, EventKind, Injected, Who},
    lab::{Limits, Service},
    server::{Server, ServerError},
};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::{
    client::Client,
    running::{Running, config, endpoint},
};

/// How each connection ended, in the order of connections.
fn endings(events: &[Event]) -> Vec<(Conn, Ending)> {
    let mut found: Vec<_> = events
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Disconnected { how } => Some((event.conn, how)),
            _ => None,
        })
        .collect();
    found.sort_by_key(|(conn, _)| *conn);
    found
}

/// Who each connection was in the end.
fn whos(events: &[Event]) -> Vec<Who> {
    let ended = |event: &&Event| matches!(event.kind, EventKind::Disconnected { .. });
    events.iter().filter(ended).map(|event| event.who.clone()).collect()
}

fn student(name: &str, by: By) -> Who {
    Who::Student { login: name.parse().unwrap(), by }
}

#[test]
fn practical_a_works_by_hand() {
    let mut config = config();
    config.dialect = "argosoft".to_owned();
    let running = Running::new(config);
    let (mut smtp, greeting) = Client::greeted(running.address(Service::Smtp));
    assert_eq!(greeting, "220 ArGoSoft Mail Server Freeware, Version 1.8 (1.8.8.8)");
    smtp.holds(&[
        ("helo @lib.simulacion", "250 Welcome [127.0.0.1], pleased to meet you"),
        ("MAIL from: ana@g1.lab", "250 Sender \"ana@g1.lab\" OK..."),
        ("RCPT to: nobody", "554 User unknown"),
        ("RCPT to: user2", "250 Recipient \"user2\" OK..."),
        ("DATA", "354 Enter mail, end with \".\" on a line by itself"),
        ("Subject: hola\r\n\r\n..un punto\r\n.", "250 Message accepted for delivery. <"),
        ("quit", "221"),
    ]);
    assert_eq!(smtp.rest(), "");

    let mut pop3 = Client::new(running.address(Service::Pop3));
    pop3.holds(&[
        ("USER user2", "+OK Password required for user2"),
        ("PASS Usuario2", "+OK Mailbox locked and ready"),
        ("STAT", "+OK 1 "),
        ("RETR 1", "+OK "),
    ]);
    let message = pop3.lines();
    assert_eq!(message[message.len() - 3..], ["Subject: hola", "", "..un punto"]);
    pop3.holds(&[("DELE 1", "+OK Message number 1 marked"), ("QUIT", "+OK")]);
    assert_eq!(pop3.rest(), "");

    let events = running.stopped();
    assert_eq!(endings(&events), [(Conn(1), Ending::Quit), (Conn(2), Ending::Quit)]);
    let kinds: Vec<&str> = events.iter().map(|event| event.kind.name()).collect();
    for kind in ["started", "connected", "accepted", "logged_in", "retrieved", "deleted"] {
        assert!(kinds.contains(&kind), "{kind}: {kinds:?}");
    }
    assert_eq!(events[1].who, Who::Unknown);
    assert_eq!(whos(&events)[0], student("ana", By::Sender));
}

#[test]
fn the_same_comes_back_octet_by_octet_and_in_one_piece() {
    let running = Running::new(config());
    let octets = "EHLO me\r\nMAIL FROM:<ana@g1.lab>\r\nRCPT TO:<ben@g1.lab>\r\nDATA\r\nSubject: a\r\n\r\nb\r\n.\r\nNOOP\r\nQUIT\r\n";
    let mut one = running.smtp();
    for octet in octets.bytes() {
        one.send([octet]);
    }
    let mut other = running.smtp();
    other.send(octets);
    let codes = |text: String| text.lines().map(|line| line[..4].to_owned()).collect::<Vec<_>>();
    let heard = codes(one.rest());
    assert_eq!(heard[heard.len() - 6..], ["250 ", "250 ", "354 ", "250 ", "250 ", "221 "]);
    assert_eq!(heard, codes(other.rest()));
    assert_eq!(running.pop3("ben", "Ben").say("STAT")[..5], *"+OK 2");
}

#[test]
fn what_a_client_sent_before_it_finished_is_answered() {
    let running = Running::new(config());
    let mut client = running.smtp();
    client.send("NOOP\r\nNOO");
    client.finish();
    assert!(client.rest().starts_with("250"));
    assert_eq!(endings(&running.stopped()), [(Conn(1), Ending::Dropped)]);
}

#[test]
fn many_pipelined_replies_all_arrive() {
    let running = Running::new(config());
    let mut sender = running.smtp();
    sender.say("EHLO me");
    let text = "x".repeat(900);
    for _ in 0..5 {
        sender.deliver("ben", &text);
    }
    let mut client = running.pop3("ben", "Ben");
    client.send("RETR 1\r\nRETR 2\r\nRETR 3\r\nRETR 4\r\nRETR 5\r\n".repeat(40) + "QUIT\r\n");
    let heard = client.rest();
    assert_eq!(heard.matches(&format!("\r\n\r\n{text}\r\n.\r\n")).count(), 200);
}

#[test]
fn one_session_at_a_time_has_a_mailbox_however_it_ends() {
    let running = Running::new(config());
    running.smtp().holds(&[("HELO me", "250")]);
    let first = running.pop3("ben", "Ben");
    let mut second = Client::new(running.address(Service::Pop3));
    second.holds(&[("USER ben", "+OK"), ("PASS Ben", "-ERR"), ("QUIT", "+OK")]);
    drop(first);
    running.all_gone();
    let mut third = running.pop3("ben", "Ben");
    third.holds(&[("QUIT", "+OK")]);
    running.pop3("ben", "Ben").holds(&[("NOOP", "+OK")]);
}

#[test]
fn a_dropped_connection_deletes_nothing() {
    let running = Running::new(config());
    let mut sender = running.smtp();
    sender.say("EHLO me");
    sender.deliver("ben", "text");
    let mut client = running.pop3("ben", "Ben");
    client.holds(&[("DELE 1", "+OK")]);
    drop(client);
    drop(sender);
    running.all_gone();
    let mut client = running.pop3("ben", "Ben");
    client.holds(&[("STAT", "+OK 1"), ("DELE 1", "+OK"), ("QUIT", "+OK")]);
    running.pop3("ben", "Ben").holds(&[("STAT", "+OK 0")]);
}

#[test]
fn sessions_are_limited_per_student() {
    let mut config = config();
    config.limits = Limits { sessions_per_student: 2, sessions: 3, ..Limits::default() };
    config.endpoints = vec![endpoint(Service::Smtp, Some("ana")), endpoint(Service::Pop3, None)];
    let running = Running::new(config);
    let (smtp, pop3) = (running.address(Service::Smtp), running.address(Service::Pop3));
    let (first, _second) = (Client::new(smtp), Client::new(smtp));
    let (third, refused) = Client::greeted(smtp);
    assert!(refused.starts_with("421"), "{refused}");
    assert_eq!(third.rest(), "");
    let (_fourth, greeting) = Client::greeted(pop3);
    assert!(greeting.starts_with("+OK"), "{greeting}");
    assert!(Client::greeted(pop3).1.starts_with("-ERR"));
    assert_eq!(running.server.status().unwrap().students.values().copied().collect::<Vec<_>>(), [2]);
    drop(first);
    let again = || Client::greeted(smtp).1.starts_with("220");
    assert!((0..1_000).any(|_| again()), "the seat is free again");
    let ends = endings(&running.stopped());
    assert_eq!((ends[2], ends[4]), ((Conn(3), Ending::Refused), (Conn(5), Ending::Refused)));
}

#[test]
fn an_idle_session_is_told_and_ended() {
    let mut config = config();
    config.limits = Limits { smtp_idle_secs: 1, pop3_idle_secs: 1, ..Limits::default() };
    let running = Running::new(config);
    let smtp = running.smtp();
    let pop3 = running.pop3("ben", "Ben");
    assert!(smtp.rest().starts_with("421"));
    assert_eq!(pop3.rest(), "");
    assert_eq!(endings(&running.stopped()), [(Conn(1), Ending::Idle), (Conn(2), Ending::Idle)]);
}

#[test]
fn a_client_that_does_not_read_is_let_go() {
    let mut config = config();
    config.limits = Limits { pop3_idle_secs: 1, text_line: 100_000, ..Limits::default() };
    let running = Running::new(config);
    let mut sender = running.smtp();
    sender.say("EHLO me");
    sender.deliver("ben", &"x".repeat(90_000));
    sender.holds(&[("QUIT", "221")]);
    let mut deaf = running.pop3("ben", "Ben");
    deaf.send("RETR 1\r\n".repeat(1_000));
    running.all_gone();
    assert_eq!(endings(&running.stopped())[1], (Conn(2), Ending::Idle));
}

#[test]
fn a_student_is_known_by_address_endpoint_login_and_sender() {
    let mut config = config();
    config.endpoints.push(endpoint(Service::Smtp, Some("ben")));
    let running = Running::new(config.clone());
    let find = |student: Option<&str>, service| {
        let matching = |end: &labctl::lab::server::Endpoint| {
            end.service == service && end.student.as_ref().map(labctl::lab::Login::as_str) == student
        };
        running.server.endpoints().into_iter().find(matching).unwrap().address
    };
    let finish = |mut client: Client| {
        client.say("QUIT");
        client.rest();
        running.all_gone();
    };
    let mut by_endpoint = Client::new(find(Some("ben"), Service::Smtp));
    by_endpoint.holds(&[("HELO me", "250"), ("MAIL FROM:<ana@g1.lab>", "250")]);
    finish(by_endpoint);
    finish(running.pop3("ana", "Ana"));
    finish(running.pop3("user2", "Usuario2"));
    let mut by_sender = Client::new(find(None, Service::Smtp));
    by_sender.holds(&[("HELO me", "250"), ("MAIL FROM:<ana@g1.lab>", "250")]);
    finish(by_sender);
    config.clients.insert("127.0.0.1".parse().unwrap(), "ana".parse().unwrap());
    running.runtime.block_on(running.server.reconfigure(config)).unwrap();
    finish(Client::new(find(Some("ben"), Service::Smtp)));
    let known = [
        student("ben", By::Endpoint),
        student("ana", By::Login),
        Who::Unknown,
        student("ana", By::Sender),
        student("ana", By::ClientAddress),
    ];
    assert_eq!(whos(&running.stopped()), known);
}

#[test]
fn a_server_that_stops_tells_its_sessions_and_lets_a_message_finish() {
    let running = Running::new(config());
    let idle = running.smtp();
    let mut busy = running.smtp();
    busy.holds(&[
        ("HELO me", "250"),
        ("MAIL FROM:<ana@g1.lab>", "250"),
        ("RCPT TO:<ben@g1.lab>", "250"),
        ("DATA", "354"),
    ]);
    let address = running.address(Service::Smtp);
    let stopped = std::thread::spawn(|| running.stopped());
    assert!(idle.rest().starts_with("421"));
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
    busy.send("Subject: a\r\n\r\nb\r\n.\r\n");
    assert!(busy.reply().starts_with("250"));
    assert!(busy.rest().starts_with("421"));
    let events = stopped.join().unwrap();
    assert!(events.iter().any(|event| event.kind.name() == "accepted"));
    assert_eq!(endings(&events), [(Conn(1), Ending::Shutdown), (Conn(2), Ending::Shutdown)]);
}

#[test]
fn a_message_that_does_not_finish_in_time_is_given_up() {
    let running = Running::new(config());
    let mut busy = running.smtp();
    busy.holds(&[
        ("HELO me", "250"),
        ("MAIL FROM:<ana@g1.lab>", "250"),
        ("RCPT TO:<ben@g1.lab>", "250"),
        ("DATA", "354"),
    ]);
    running.runtime.block_on(running.server.stop(Duration::ZERO)).unwrap();
    assert_eq!(busy.rest(), "");
}

#[test]
fn a_new_configuration_opens_and_closes_endpoints() {
    let mut config = config();
    let running = Running::new(config.clone());
    let before = running.server.endpoints();
    let mut kept = running.smtp();
    config.endpoints = vec![endpoint(Service::Smtp, None), endpoint(Service::Smtp, Some("ana"))];
    config.endpoints[1].address = "[::1]:0".parse().unwrap();
    running.runtime.block_on(running.server.reconfigure(config.clone())).unwrap();
    let after = running.server.endpoints();
    assert_eq!(after[0], before[0], "an endpoint that stays keeps its port");
    assert!(after[1].address.is_ipv6());
    assert!(std::net::TcpStream::connect(before[1].address).is_err());
    kept.holds(&[("NOOP", "250")]);
    Client::new(after[1].address).holds(&[("NOOP", "250")]);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    config.endpoints[0].address = taken.local_addr().unwrap();
    let refused = running.runtime.block_on(running.server.reconfigure(config.clone())).unwrap_err();
    assert!(matches!(refused, ServerError::InUse { address, .. } if address == taken.local_addr().unwrap()));
    assert_eq!(running.server.endpoints(), after, "nothing has changed");
    let path = running.folder.path().join("other.db");
    assert!(running.runtime.block_on(Server::start(config, &path)).is_err());
    assert!(!path.exists(), "nothing is left of a server that did not start");
}

#[test]
fn an_endpoint_can_pass_to_another_student() {
    let mut config = config();
    config.endpoints = vec![endpoint(Service::Smtp, Some("ana"))];
    let running = Running::new(config.clone());
    let address = running.address(Service::Smtp);
    config.endpoints = vec![endpoint(Service::Smtp, Some("ben"))];
    config.endpoints[0].address = address;
    running.runtime.block_on(running.server.reconfigure(config)).unwrap();
    Client::new(address).say("QUIT");
    running.all_gone();
    assert_eq!(whos(&running.stopped()), [student("ben", By::Endpoint)]);
}

#[test]
fn injected_mail_is_the_instructors() {
    let running = Running::new(config());
    let injected = Injected { mail: "welcome".parse().unwrap(), student: Some("ana".parse().unwrap()) };
    let copy = injected.clone();
    let how = running.runtime.block_on(async {
        // Eight octets at a time: partial reads and writes everywhere.
        let (ours, theirs) = tokio::io::duplex(8);
        let session = running.server.inject(theirs, copy);
        let client = async {
            let mut client = BufReader::new(ours);
            let mut line = String::new();
            for say in
                ["", "HELO me", "MAIL FROM:<>", "RCPT TO:<ana@g1.lab>", "DATA", "Subject: a\r\n\r\nb\r\n.", "QUIT"]
            {
                if !say.is_empty() {
                    client.write_all(format!("{say}\r\n").as_bytes()).await.unwrap();
                }
                line.clear();
                client.read_line(&mut line).await.unwrap();
                assert!(line.starts_with(['2', '3']), "{say}: {line}");
            }
        };
        tokio::join!(session, client).0
    });
    assert_eq!(how, Ending::Quit);
    assert_eq!(running.server.store().injected().unwrap(), std::slice::from_ref(&injected));
    let events = running.stopped();
    assert!(events.iter().all(|event| event.who == Who::Instructor));
    let accepted = events.iter().find_map(|event| match &event.kind {
        EventKind::Accepted { injected, .. } => injected.clone(),
        _ => None,
    });
    assert_eq!(accepted, Some(injected));
}

/// The commands of the record, and whether each was there before the one before it was answered.
fn pipelined(events: &[Event]) -> Vec<(String, bool)> {
    let of = |event: &Event| match &event.kind {
        EventKind::Command { verb, pipelined, .. } => Some((verb.to_string(), *pipelined)),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

#[test]
fn the_record_says_which_commands_did_not_wait_for_the_reply() {
    let running = Running::new(config());
    let mut smtp = running.smtp();
    assert!(smtp.say("EHLO me").starts_with("250"));
    smtp.send("MAIL FROM:<ana@g1.lab>\r\nRCPT TO:<ben@g1.lab>\r\nDATA\r\n");
    assert!(
        [smtp.reply(), smtp.reply(), smtp.reply()].iter().zip(["250", "250", "354"]).all(|(r, c)| r.starts_with(c))
    );
    smtp.send("Subject: x\r\n\r\nx\r\n.\r\nQUIT\r\n");
    assert!(smtp.reply().starts_with("250") && smtp.reply().starts_with("221"));
    running.all_gone();
    let wanted =
        [("EHLO", false), ("MAIL", false), ("RCPT", true), ("DATA", true), ("<message>", false), ("QUIT", true)];
    assert_eq!(pipelined(&running.stopped()), wanted.map(|(verb, pipelined)| (verb.to_owned(), pipelined)));
}

#[test]
fn a_command_of_several_pieces_is_as_pipelined_as_its_first() {
    let mut config = config();
    config.endpoints.push(endpoint(Service::Imap, None));
    let running = Running::new(config);
    let mut imap = Client::new(running.address(Service::Imap));
    imap.send("a LOGIN {3+}\r\nben {3+}\r\nBen\r\nb IDLE\r\n");
    assert!(imap.line().starts_with("a OK") && imap.line().starts_with('+'));
    imap.send("DONE\r\nc LOGOUT\r\n");
    assert!(imap.line().starts_with("b OK") && imap.line().starts_with("* BYE") && imap.line().starts_with("c OK"));
    running.all_gone();
    let wanted = [("LOGIN", false), ("IDLE", true), ("LOGOUT", true)];
    assert_eq!(pipelined(&running.stopped()), wanted.map(|(verb, pipelined)| (verb.to_owned(), pipelined)));
}
