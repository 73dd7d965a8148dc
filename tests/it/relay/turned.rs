//! ATRN (RFC 2645): mail for a student's own domain waits, and comes over the connection that the student opened.

use labctl::{
    evidence::{Ending, EventKind},
    lab::Service,
};

use super::two::{Two, wait, ways};
use crate::server::client::Client;

/// One group whose students log in without TLS.
fn alone() -> Two {
    Two::one_alone(|configs| configs[0].auth_before_tls = true)
}

/// A session in which ana has logged in (her password is `Ana`).
fn ana(two: &Two) -> Client {
    let mut client = two.student(1);
    client.holds(&[("EHLO ana.g1.lab", "250"), ("AUTH PLAIN AGFuYQBBbmE=", "235")]);
    client
}

/// Says what a server says, to the end of the conversation; what the client said comes back.
fn serve(client: &mut Client, answer: impl Fn(&str) -> &'static str) -> Vec<String> {
    client.send("220 ana.g1.lab at last\r\n");
    let mut heard = Vec::new();
    loop {
        let line = client.line();
        heard.push(line.clone());
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_owned();
        client.send(format!("{}\r\n", answer(&verb)));
        match verb.as_str() {
            "DATA" => {
                let message: Vec<String> = client.lines();
                heard.extend(
                    message.into_iter().filter(|line| !line.starts_with("Received") && !line.starts_with('\t')),
                );
                client.send("250 taken\r\n");
            }
            "QUIT" | "" => return heard,
            _ => {}
        }
    }
}

fn agreeable(verb: &str) -> &'static str {
    match verb {
        "DATA" => "354 go on",
        "QUIT" => "221 bye",
        _ => "250 fine",
    }
}

#[test]
fn what_waits_for_a_students_domain_comes_over_the_students_connection() {
    let two = alone();
    assert_eq!(ana(&two).say("ATRN"), "453 4.0.0 you have no mail: nothing waits for ana.g1.lab");
    assert!(two.send(&["root@ana.g1.lab"], "uno").starts_with("250"));
    assert!(two.send(&["root@ana.g1.lab", "ana@ana.g1.lab"], "..dos").starts_with("250"));
    let tried = || ways(&two.events(1)).iter().filter(|way| way.contains("deferred")).count() >= 2;
    wait("the courier to leave it alone", || tried().then_some(()));

    let mut client = ana(&two);
    assert_eq!(
        client.say("ATRN ana.g1.lab"),
        "250 2.0.0 3 waiting for ana.g1.lab: now you are the server, so greet me with 220"
    );
    let heard = serve(&mut client, agreeable);
    assert_eq!(heard[..2], ["EHLO mail.g1.lab", "MAIL FROM:<ana@g1.lab>"], "{heard:?}");
    assert_eq!(heard.iter().filter(|line| line.starts_with("RCPT TO:<")).count(), 3, "{heard:?}");
    assert!(heard.iter().any(|line| line == "uno") && heard.iter().any(|line| line == "..dos"), "{heard:?}");
    assert_eq!(heard.last().map(String::as_str), Some("QUIT"));
    assert_eq!(client.rest(), "");
    two.emptied();
    let relayed = ways(&two.events(1)).into_iter().filter(|way| way.contains("relayed")).collect::<Vec<_>>();
    assert_eq!(relayed.len(), 2, "{relayed:?}");
    let ended = two.events(1).into_iter().rev().find_map(|event| match event.kind {
        EventKind::Disconnected { how } => Some(how),
        _ => None,
    });
    assert_eq!(ended, Some(Ending::Quit));
    assert!(ana(&two).say("ATRN").starts_with("453"), "it is gone from the queue");
}

#[test]
fn what_the_student_refuses_or_cuts_waits_or_comes_back() {
    let two = alone();
    assert!(two.send(&["root@ana.g1.lab"], "uno").starts_with("250"));
    // While the courier looks at the mail, or the connection before is not given up yet, none waits.
    let turned = || {
        let mut client = ana(&two);
        client.say("ATRN").starts_with("250").then_some(client)
    };
    drop(wait("the mail to wait", turned));
    let mut client = wait("the mail to wait again", turned);
    serve(&mut client, |verb| if verb == "RCPT" { "550 5.1.1 nobody here" } else { agreeable(verb) });
    two.emptied();
    let all = ways(&two.events(1));
    assert!(all.iter().any(|way| way.contains("bounced root@ana.g1.lab 5.1.1")), "{all:?}");
}

#[test]
fn nobody_gets_anothers_mail() {
    let two = alone();
    assert!(two.send(&["root@ana.g1.lab"], "secreto").starts_with("250"));
    let mut client = two.student(1);
    client.holds(&[
        ("EHLO ana.g1.lab", "250"),
        ("ATRN ana.g1.lab", "530 5.7.0"),
        ("TURN", "502 5.5.1"),
        ("ATRN", "530 5.7.0"),
    ]);
    assert_eq!(two.address(1, Service::Smtp).ip().to_string(), "127.0.0.1");
}
