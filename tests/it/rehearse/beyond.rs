//! Rehearsals of what goes beyond one connection: names that are asked for, mail for the group beside this one, and their order.

use std::fs;

use super::rehearse;

/// A lab of two groups with this exercise; the scripts are those of its solution, in order.
fn two_groups(checks: &str, scripts: &str) -> (bool, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lab = format!(
        "domain = \"{{group}}.lab\"\nusers = [\"user2\"]\nrelay = true\n\
         students = [{{ login = \"ana\", group = \"g01\" }}, {{ login = \"ben\", group = \"g02\" }}]\n\
         [[route]]\ndomain = \"off.test\"\nhost = \"127.0.0.1\"\nport = 9\n\
         [[exercise]]\nid = \"1\"\nweak = \"what is sent does not matter here\"\ncheck = [{checks}]\n{scripts}"
    );
    let file = folder.path().join("lab.toml");
    fs::write(&file, lab).expect("written");
    rehearse(&file)
}

fn send(to: &str) -> String {
    format!(
        "[[exercise.solution]]\nsmtp = \"\"\"\nC: EHLO me\nC: MAIL FROM:<{{login}}@{{domain}}>\nC: RCPT TO:<{to}>\n\
         C: DATA\nC: Subject: x\nC:\nC: x\nC: .\nS: 250\n\"\"\"\n"
    )
}

fn ask(lines: &str) -> String {
    format!("[[exercise.solution]]\ndomain = \"\"\"\n{lines}\"\"\"\n")
}

#[test]
fn mail_goes_to_the_group_beside_and_its_fate_is_known_when_marks_are_taken() {
    let fates = [
        (r#"{ relayed = { to = "user2@{neighbour}" } }"#, "user2@{neighbour}"),
        (r#"{ bounced = { to = "*@{neighbour}", status = "5.1.1" } }"#, "nobody@{neighbour}"),
        (r#"{ bounced = { status = "5.1.2" } }"#, "x@nowhere.test"),
        (r#"{ deferred = { to = "*@off.test" } }"#, "x@off.test"),
    ];
    for (check, to) in fates {
        let (passed, said) = two_groups(check, &send(to));
        assert!(passed, "{check}: {said}");
    }
    let (passed, said) = two_groups(fates[0].0, &send("user2@{domain}"));
    assert!(!passed && said.contains("none of your messages is for another server"), "{said}");
    let (passed, said) = two_groups(fates[0].0, &send("nobody@{neighbour}"));
    assert!(!passed && said.contains("message 1 for `nobody@g02.lab` could not be delivered: `550 5.1.1"), "{said}");
}

#[test]
fn a_notice_is_in_the_mailbox_before_the_next_connection_begins() {
    let read = "[[exercise.solution]]\npop3 = \"\"\"\nC: USER ana\nC: PASS {password}\nC: RETR 1\nS: +OK\n\"\"\"\n";
    let checks = r#"{ bounced = {} }, { then = true, protocol = "pop3", steps = ["USER -> +OK", "PASS -> +OK", "RETR -> +OK"] }"#;
    let (passed, said) = two_groups(checks, &(send("nobody@{neighbour}") + read));
    assert!(passed, "{said}");
}

#[test]
fn questions_are_asked_and_their_answers_expected() {
    let check = r#"{ query = { name = "{neighbour}", record = "MX" } }, { then = true, query = { name = "mail.{neighbour}", record = "A" } }"#;
    let lines = "C: MX {neighbour}\nS: NOERROR 10 mail.g02.lab.\nC: A mail.{neighbour}\nS: NOERROR 127.0.0.1\n";
    let (passed, said) = two_groups(check, &ask(lines));
    assert!(passed, "{said}");
    let other = lines.replace("10 mail", "20 mail");
    let (passed, said) = two_groups(check, &ask(&other));
    assert!(!passed && said.contains("`MX g02.lab` was answered `NOERROR 10 mail.g02.lab.`"), "{said}");
    let (passed, said) = two_groups(check, &ask(&(lines.to_owned() + "C: SOA {domain}\n")));
    assert!(!passed && said.contains("it is given without the step `SOA g01.lab`"), "{said}");
    let absent = r#"{ query = { answer = "NXDOMAIN" } }, { query = { answer = "NODATA" } }"#;
    let (passed, said) = two_groups(absent, &ask("C: A nobody.{domain}\nS: NXDOMAIN\nC: AAAA {domain}\nS: NODATA\n"));
    assert!(passed, "{said}");
}

#[test]
fn what_must_come_after_a_question_does_not_count_before_it() {
    let checks = r#"{ query = { name = "*{domain}" } }, { then = true, message = { in = "user2" } }"#;
    let (asked, sent) = (ask("C: A {domain}\n"), send("user2"));
    let (passed, said) = two_groups(checks, &(asked.clone() + &sent));
    assert!(passed, "{said}");
    let (passed, said) = two_groups(checks, &(sent + &asked));
    assert!(!passed && said.contains("(it counts only after what is asked for before it)"), "{said}");
}
