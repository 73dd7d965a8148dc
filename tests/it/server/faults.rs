//! Faults over real connections: what a student's program meets, and that nobody else does.

use std::time::{Duration, Instant};

use labctl::{
    evidence::{Ending, Event, EventKind, FaultMoment, Injected},
    lab::{
        Fault, Service,
        fault::{Count, place},
    },
};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::{
    client::Client,
    running::{Running, config, endpoint},
};

fn fault(act: &str, at: &str) -> Fault {
    Fault {
        id: "f".parse().unwrap(),
        protocol: labctl::lab::Protocol::Smtp,
        at: place(at).unwrap(),
        act: act.parse().unwrap(),
        count: Count::Times(1),
        after: Vec::new(),
        again: false,
    }
}

/// A server where ana and ben have an SMTP endpoint each, and ana a POP3 one.
fn running(faults: Vec<Fault>) -> Running {
    let mut config = config();
    config.faults = faults;
    config.endpoints = vec![
        endpoint(Service::Smtp, Some("ana")),
        endpoint(Service::Smtp, Some("ben")),
        endpoint(Service::Pop3, Some("ana")),
    ];
    Running::new(config)
}

fn connect(running: &Running, login: &str) -> (Client, String) {
    let endpoints = running.server.endpoints();
    let own = endpoints.iter().find(|endpoint| {
        endpoint.service == Service::Smtp && endpoint.student.as_ref().is_some_and(|own| own.as_str() == login)
    });
    Client::greeted(own.unwrap().address)
}

/// The faults in the record: whose, and what.
fn met(events: &[Event]) -> Vec<(String, String)> {
    let met = |event: &Event| match &event.kind {
        EventKind::Fault { what: FaultMoment::Struck, act, at, .. } => {
            Some((event.who.student().unwrap().to_string(), format!("{act} at {at}")))
        }
        _ => None,
    };
    events.iter().filter_map(met).collect()
}

fn replies(events: &[Event], verb: &str) -> Vec<String> {
    let reply = |event: &Event| match &event.kind {
        EventKind::Command { verb: own, reply, .. } if **own == *verb => Some(reply.clone()),
        _ => None,
    };
    events.iter().filter_map(reply).collect()
}

#[test]
fn a_refused_greeting_is_one_students_and_ends() {
    let running = running(vec![fault("refuse 421", "<connect>")]);
    let (client, greeting) = connect(&running, "ana");
    assert_eq!(greeting, "421 mail.g1.lab service not available, closing transmission channel");
    assert_eq!(client.rest(), "", "the server closes");
    assert!(connect(&running, "ana").1.starts_with("220 "), "and takes the next one");
    assert!(connect(&running, "ben").1.starts_with("421 "), "ben's count is his own");
    running.all_gone();
    let events = running.stopped();
    assert_eq!(met(&events).len(), 2);
    let ended = events.iter().filter(|event| matches!(event.kind, EventKind::Disconnected { how: Ending::Fault }));
    assert_eq!(ended.count(), 2);
}

#[test]
fn injected_mail_meets_no_fault() {
    let running = running(vec![fault("refuse 554", "<connect>")]);
    let (ours, theirs) = tokio::io::duplex(4_096);
    let injected = Injected { mail: "welcome".parse().unwrap(), student: Some("ana".parse().unwrap()) };
    let greeting = running.runtime.block_on(async {
        let said = async {
            let mut ours = BufReader::new(ours);
            let mut line = String::new();
            ours.read_line(&mut line).await.unwrap();
            ours.get_mut().write_all(b"QUIT\r\n").await.unwrap();
            line
        };
        tokio::join!(running.server.inject(theirs, injected), said).1
    });
    assert!(greeting.starts_with("220 "), "{greeting}");
}

#[test]
fn a_cut_carries_nothing_out_and_a_cut_reply_does() {
    let running =
        running(vec![fault("cut", "<message>"), Fault { id: "g".parse().unwrap(), ..fault("cut 4", "<message>") }]);
    for (sent, kept) in [("", 0), ("250 ", 1)] {
        let (mut client, _) = connect(&running, "ana");
        client.holds(&[("HELO me", "250"), ("MAIL FROM:<ana>", "250"), ("RCPT TO:<user2>", "250"), ("DATA", "354")]);
        client.send("Subject: x\r\n\r\nhello\r\n.\r\n");
        assert_eq!(client.rest(), sent);
        let status = running.server.status().unwrap();
        assert_eq!(status.counts.messages, kept);
    }
    running.all_gone();
    let events = running.stopped();
    assert_eq!(replies(&events, "<message>"), ["", "250 "], "the record has what was sent");
}

#[test]
fn an_unknown_recipient_is_known_the_second_time() {
    let running = running(vec![fault("unknown", "RCPT *user2*")]);
    let (mut client, _) = connect(&running, "ana");
    client.holds(&[
        ("HELO me", "250"),
        ("MAIL FROM:<ana>", "250"),
        ("RCPT TO:<user2>", "550 5.1.1 no mailbox for <user2> here"),
        ("RCPT TO:<user2>", "250"),
        ("DATA", "354"),
        ("x\r\n.", "250"),
        ("QUIT", "221"),
    ]);
    running.all_gone();
    let events = running.stopped();
    assert_eq!(met(&events), [("ana".to_owned(), "unknown at RCPT".to_owned())]);
    let place = |wanted: &dyn Fn(&EventKind) -> bool| events.iter().position(|event| wanted(&event.kind)).unwrap();
    let rcpt = place(&|kind| matches!(kind, EventKind::Command { verb, .. } if &**verb == "RCPT"));
    assert_eq!(place(&|kind| matches!(kind, EventKind::Fault { .. })), rcpt + 1, "the fault stands behind its command");
}

#[test]
fn replies_are_bent_and_recorded_as_sent() {
    for (act, wanted) in [
        ("code 251", "251 2.0.0 ok\r\n"),
        ("bare-lf", "250 2.0.0 ok\n"),
        ("lines", "250-this reply has more lines than usual\r\n250 2.0.0 ok\r\n"),
        ("answer 451 later", "451 later\r\n"),
        ("drip", "250 2.0.0 ok\r\n"),
        ("split 3", "250 2.0.0 ok\r\n"),
    ] {
        let running = running(vec![fault(act, "NOOP")]);
        let (mut client, _) = connect(&running, "ana");
        client.send("NOOP\r\n");
        let mut heard = vec![0; wanted.len()];
        client.exactly(&mut heard);
        assert_eq!(String::from_utf8_lossy(&heard), wanted, "{act}");
        assert_eq!(client.say("NOOP"), "250 2.0.0 ok", "{act}: once");
        assert_eq!(client.say("QUIT"), "221 2.0.0 mail.g1.lab closes the connection");
        running.all_gone();
        assert_eq!(replies(&running.stopped(), "NOOP"), [wanted, "250 2.0.0 ok\r\n"], "{act}");
    }
}

#[test]
fn octets_come_one_a_packet() {
    let running = running(vec![fault("drip", "NOOP"), Fault { id: "g".parse().unwrap(), ..fault("split 3", "NOOP") }]);
    let (mut client, _) = connect(&running, "ana");
    client.send("NOOP\r\n");
    let reads = client.reads_of("250 2.0.0 ok\r\n".len());
    assert!(reads.len() > 7, "a busy machine may join some: {reads:?}");
    client.send("NOOP\r\n");
    assert_eq!(client.reads_of("250 2.0.0 ok\r\n".len()), [3, 11]);
}

#[test]
fn a_late_reply_is_late_and_pipelined_ones_before_it_are_not() {
    let running = running(vec![fault("delay 1s", "RSET")]);
    let (mut client, _) = connect(&running, "ana");
    let began = Instant::now();
    client.send("NOOP\r\nRSET\r\nNOOP\r\n");
    assert!(client.reply().starts_with("250"));
    assert!(began.elapsed() < Duration::from_secs(1));
    assert!(client.reply().starts_with("250") && began.elapsed() >= Duration::from_secs(1));
    assert!(client.reply().starts_with("250"));
}

#[test]
fn silence_lasts_until_the_client_has_enough_and_never_holds_up_the_server() {
    let running = running(vec![fault("silent", "MAIL")]);
    let (mut client, _) = connect(&running, "ana");
    client.holds(&[("HELO me", "250")]);
    client.send("MAIL FROM:<ana>\r\nRSET\r\nQUIT\r\n");
    client.finish();
    assert_eq!(client.rest(), "");
    running.all_gone();
    let (mut client, _) = connect(&running, "ben");
    client.holds(&[("HELO me", "250")]);
    client.send("MAIL FROM:<ben>\r\n");
    let events = running.stopped();
    assert_eq!(met(&events).len(), 2);
    let commands = events.iter().filter(|event| matches!(event.kind, EventKind::Command { .. })).count();
    assert_eq!(commands, 4, "what comes into the silence is not carried out");
}

#[test]
fn counts_outlast_the_server() {
    let two = Fault { count: Count::Times(2), ..fault("refuse 421", "<connect>") };
    let running = running(vec![two]);
    assert!(connect(&running, "ana").1.starts_with("421"));
    running.all_gone();
    let config = (*running.server.config()).clone();
    let Running { runtime, server, folder } = running;
    runtime.block_on(server.stop(Duration::from_secs(20))).unwrap();
    let path = folder.path().join("g1.db");
    let server = runtime.block_on(labctl::server::Server::start(config, &path)).unwrap();
    let running = Running { runtime, server, folder };
    assert!(connect(&running, "ana").1.starts_with("421"), "the second time");
    assert!(connect(&running, "ana").1.starts_with("220"));
    assert!(connect(&running, "ben").1.starts_with("421"));
}

#[test]
fn the_instructor_sets_and_clears_for_one_student() {
    let running = running(Vec::new());
    let ana: labctl::lab::Login = "ana".parse().unwrap();
    let mut set = fault("full", "RCPT");
    set.count = Count::Times(9);
    let change = |kind| running.runtime.block_on(running.server.change_faults(vec![kind])).unwrap();
    change(EventKind::FaultSet { student: ana.clone(), fault: set });
    for (login, code) in [("ana", "452"), ("ben", "250")] {
        let (mut client, _) = connect(&running, login);
        client.holds(&[
            ("HELO me", "250"),
            ("MAIL FROM:<x@g1.lab>", "250"),
            ("RCPT TO:<user2>", code),
            ("QUIT", "221"),
        ]);
    }
    change(EventKind::FaultCleared { student: ana.clone(), fault: "f".parse().unwrap() });
    let (mut client, _) = connect(&running, "ana");
    client.holds(&[("HELO me", "250"), ("MAIL FROM:<x@g1.lab>", "250"), ("RCPT TO:<user2>", "250")]);
    assert!(running.server.faults(&[ana]).is_empty());
}

#[test]
fn pop3_meets_faults_too_and_no_password_is_kept() {
    let mut answer = fault("answer -ERR [SYS/TEMP] not now", "PASS");
    answer.protocol = labctl::lab::Protocol::Pop3;
    let running = running(vec![answer]);
    let mut client = Client::new(running.address(labctl::lab::Service::Pop3));
    client.holds(&[("USER ana", "+OK"), ("PASS Ana", "-ERR [SYS/TEMP] not now"), ("PASS Ana", "+OK"), ("QUIT", "+OK")]);
    running.all_gone();
    let events = running.stopped();
    let lines = events.iter().filter_map(|event| match &event.kind {
        EventKind::Command { verb, line, .. } if &**verb == "PASS" => Some(line.clone()),
        _ => None,
    });
    assert_eq!(lines.collect::<Vec<_>>(), ["PASS ***", "PASS ***"]);
}

#[test]
fn a_fault_strikes_a_command_of_imap_and_never_the_rest_of_one() {
    let mut answer = fault("answer NO later", "*");
    (answer.protocol, answer.count) = (labctl::lab::Protocol::Imap, Count::Times(2));
    let mut config = config();
    config.faults = vec![answer];
    config.auth_before_tls = true;
    config.endpoints = vec![endpoint(Service::Imap, Some("ana"))];
    let running = Running::new(config);
    let (mut client, greeting) = Client::greeted(running.address(Service::Imap));
    assert_eq!(greeting.trim_end(), "NO later", "what a lab says instead of a greeting is said as it is");
    // The first line is spared, because a literal follows it; what comes behind that is a password and no command.
    client.send(b"a LOGIN {3+}\r\nana Ana\r\n");
    assert_eq!(client.line().split(' ').take(2).collect::<Vec<_>>(), ["a", "OK"]);
    client.send(b"b NOOP\r\n");
    assert_eq!(client.line().trim_end(), "b NO later");
    client.send(b"c LOGOUT\r\n");
    running.all_gone();
    let said = format!("{:?}", running.stopped());
    assert!(said.contains("LOGIN") && !said.contains("Ana"), "{said}");
}
