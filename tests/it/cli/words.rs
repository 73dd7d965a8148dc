//! What is printed: help, tables into pipes, the JSON shapes that are promised.

use std::{collections::BTreeMap, io::Write as _};

use labctl::lab::Service;
use serde_json::json;

use super::{LAB, Test, exists};

const VERBS: [&str; 16] = [
    "new",
    "check",
    "up",
    "status",
    "credentials",
    "inject",
    "trace",
    "report",
    "rehearse",
    "fault",
    "reset",
    "archive",
    "down",
    "completions",
    "serve",
    "dial",
];

#[test]
fn every_verb_helps_with_an_example() {
    let test = Test::new();
    for verb in VERBS {
        let help = test.done(&[verb, "--help"]);
        assert!(help.contains("Example") && help.contains(&format!("labctl {verb}")), "{help}");
    }
    let help = test.done(&["--help"]);
    assert!(help.contains("Exit codes:") && help.contains("  rehearse "), "{help}");
    assert!(!help.contains("  serve "), "hidden verbs are hidden");
}

#[test]
fn a_wrong_command_line_is_said_on_standard_error() {
    let test = Test::new();
    let wrong = test.run(&["upp"]);
    assert_eq!((wrong.code, wrong.out.as_str()), (2, ""));
    assert!(
        wrong.err.contains("similar subcommands exist: 'up'")
            || wrong.err.contains("a similar subcommand exists: 'up'"),
        "{}",
        wrong.err
    );
}

#[test]
fn a_new_lab_is_good_and_is_not_overwritten() {
    let test = Test::new();
    test.done(&["new", "mine", "--template", "class"]);
    assert_eq!(test.done(&["check", "mine"]).lines().count(), 1);
    let again = test.run(&["new", "mine"]);
    assert_eq!((again.code, again.err.as_str()), (1, "error: `mine/lab.toml` is there already\n"));
    let unknown = test.run(&["new", "yours", "--template", "big"]);
    assert_eq!(unknown.code, 2);
    assert_eq!(
        unknown.err,
        "error: there is no template `big`\nhint: there is `minimal`, `class`, `argosoft`, `argosoft-relay`, `cliente-c`, `email-basics`, `practica2`, `practica6`\n"
    );
    assert!(!exists(&test.path("yours")));
}

#[test]
fn credentials_have_the_promised_shape() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    let endpoints = |number: u8| {
        let address = |service| (service, format!("127.77.1.{number}:{}", test.ports[&service]));
        Service::ALL.into_iter().map(address).collect::<BTreeMap<_, _>>()
    };
    let student = |login: &str, number: u8| {
        json!({
            "group": "class", "domain": "lib.lab", "login": login, "password": format!("{login}pass"),
            "endpoints": endpoints(number),
            "mailboxes": [{ "user": login, "password": format!("{login}pass") }],
        })
    };
    let wanted = json!({ "version": 1, "students": [student("user1", 1), student("user2", 2)] });
    let mut shown = test.json(&["credentials", "--json"]);
    let mut tokens = Vec::new();
    for student in shown["students"].as_array_mut().expect("students") {
        let mailbox = student["mailboxes"][0].as_object_mut().expect("a mailbox");
        let token = mailbox.remove("token").expect("a token");
        tokens.push(token.as_str().expect("text").to_owned());
    }
    assert_eq!(shown, wanted);
    assert!(tokens.iter().all(|token| token.len() == 32) && tokens[0] != tokens[1], "{tokens:?}");
    let csv = test.done(&["credentials", "--csv"]);
    assert!(
        csv.starts_with("group,domain,login,password,smtp,pop3,shared_mailboxes,submission,submissions,pop3s"),
        "{csv}"
    );
    let cards = test.done(&["credentials", "--cards"]);
    assert!(cards.contains("  send        telnet 127.77.1.1 $SMTP\n"), "{cards}");
    assert!(!cards.contains("token"), "nothing asks for one: {cards}");
    assert!(test.done(&["credentials", "--cards", "--lang", "es"]).contains("  enviar      telnet 127.77.1.1 $SMTP\n"));
    let ca = test.done(&["credentials", "--ca"]);
    assert!(ca.starts_with("-----BEGIN CERTIFICATE-----\n") && !ca.contains("PRIVATE"), "{ca}");
}

#[test]
fn everything_that_prints_data_has_versioned_json() {
    let test = Test::with(LAB);
    for args in [
        &["check", "class", "--json"][..],
        &["up", "class", "--json"],
        &["status", "--json"],
        &["inject", "--json"],
        &["report", "--json"],
        &["credentials", "--json"],
    ] {
        assert_eq!(test.json(args)["version"], 1, "{args:?}");
    }
    let first = test.done(&["trace", "--json"]);
    let event: serde_json::Value = serde_json::from_str(first.lines().next().expect("an event")).expect("NDJSON");
    assert_eq!(event["event"], "started");
}

#[test]
fn a_pipe_gets_neither_colour_nor_boxes() {
    let test = Test::with(LAB);
    let up = test.run(&["up", "class"]);
    let all = [up.out, up.err, test.done(&["status"]), test.done(&["credentials"]), test.done(&["report"])].concat();
    assert!(!all.contains('\x1b') && !all.contains('│') && !all.contains('─'), "{all}");
    let coloured = test.run(&["--color", "always", "down", "nothing"]).err;
    assert!(coloured.contains("\x1b["), "{coloured}");
}

#[test]
fn a_report_goes_into_a_file() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    assert_eq!(test.done(&["report", "--csv", "--output", "marks.csv"]), "");
    let csv = std::fs::read_to_string(test.path("marks.csv")).expect("a file");
    assert!(csv.starts_with("group,login,name,email,points,out_of,1.1,"), "{csv}");
    let words = test.done(&["report", "--student", "user1"]);
    assert!(
        words.starts_with("user1 (`user1`, group `class`): 0 of 2 points") || words.contains("0 of 2 points"),
        "{words}"
    );
    assert!(test.done(&["report", "--student", "user1", "--lang", "es"]).contains("de 2 puntos"));
    assert_eq!(test.run(&["report", "--session", "9"]).code, 4);
}

#[test]
fn completions_know_the_verbs() {
    let test = Test::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(test.done(&["completions", shell]).contains("credentials"), "{shell}");
    }
}

#[test]
fn dial_joins_standard_streams_to_the_control_socket() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    let dir = test.path("state/labs/class");
    let mut child = test
        .command(&["dial", "--dir", dir.to_str().expect("a path")])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("labctl");
    let request = b"GET /v1/status HTTP/1.1\r\nHost: labctl\r\nConnection: close\r\n\r\n";
    // Standard input stays open until the answer is there: its end would be the end of the connection.
    let mut input = child.stdin.take().expect("piped");
    input.write_all(request).expect("it reads");
    let answer = std::io::read_to_string(child.stdout.take().expect("piped")).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("\"labctl\":"), "{answer}");
    assert!(child.wait().expect("it ends with the connection").success());
    drop(input);
}

#[test]
fn status_counts_what_is_in_shared_mailboxes() {
    let test =
        Test::with("domain = \"lib.lab\"\nrelay = false\nusers = [\"user2\"]\nstudents = [{ login = \"user1\" }]\n");
    test.done(&["up", "class"]);
    test.send_mail();
    let status = test.run(&["status", "class"]).err;
    assert!(status.contains("messages in shared mailboxes of `class`: user2 1\n"), "{status}");
}
