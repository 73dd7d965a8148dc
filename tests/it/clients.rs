//! Practicals A and D marked from real C programs: the clients of `tests/clients` are compiled with gcc, run against a lab
//! that `labctl up` has brought up, and judged by `labctl report`.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::class::Class;

/// Compiles a client as a student does, warnings shown.
fn compile(class: &Class, name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name).with_extension("c");
    let program = class.folder().join(name);
    let status = Command::new("gcc").args(["-D_GNU_SOURCE", "-Wall", "-o"]).arg(&program).arg(&source).status();
    assert!(status.expect("gcc is installed").success(), "{name}.c compiles");
    program
}

/// Runs a client with the address and port of the student's endpoint in front of `args`.
fn run(program: &Path, student: &Value, args: &[&str], input: &str) {
    let endpoint = student["endpoints"]["smtp"].as_str().expect("an SMTP endpoint");
    let (address, port) = endpoint.rsplit_once(':').expect("host:port");
    let mut child = Command::new(program)
        .args([address, port])
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the client runs");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("the client reads its input");
    let output = child.wait_with_output().expect("the client ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

/// Reads message `number` of the student's own mailbox by POP3; the text after the header, dots unstuffed.
fn retrieve(student: &Value, number: u32) -> String {
    let word = |key: &str| student[key].as_str().expect("a word").to_owned();
    let mut stream =
        TcpStream::connect(student["endpoints"]["pop3"].as_str().expect("a POP3 endpoint")).expect("POP3 answers");
    let script = format!("USER {}\r\nPASS {}\r\nRETR {number}\r\nQUIT\r\n", word("login"), word("password"));
    stream.write_all(script.as_bytes()).expect("sent");
    let mut all = String::new();
    stream.read_to_string(&mut all).expect("text");
    let body = all.split_once("\r\n\r\n").expect("a header and a body").1;
    let body = body.split_once("\r\n.\r\n").expect("an end").0;
    let lines = body.split("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Asks for a fault as a student does by telnet.
fn ask_for(student: &Value, fault: &str) {
    let endpoint = student["endpoints"]["smtp"].as_str().expect("an SMTP endpoint");
    let mut stream = TcpStream::connect(endpoint).expect("SMTP answers");
    stream.write_all(format!("VRFY {fault}\r\nQUIT\r\n").as_bytes()).expect("sent");
    let mut all = String::new();
    stream.read_to_string(&mut all).expect("text");
    assert!(all.starts_with("220 "), "{all}");
}

fn verdicts(class: &Class, login: &str) -> Vec<(String, String)> {
    let report = class.json(&["report", "--json"]);
    let students = report["students"].as_array().expect("students");
    let student = students.iter().find(|student| student["login"] == login).expect("the student");
    let mark = |mark: &Value| (mark["id"].as_str().unwrap().to_owned(), mark["verdict"].as_str().unwrap().to_owned());
    student["exercises"].as_array().expect("exercises").iter().map(mark).collect()
}

fn done(class: &Class, login: &str) -> Vec<String> {
    verdicts(class, login).into_iter().filter(|(_, verdict)| verdict == "done").map(|(id, _)| id).collect()
}

#[test]
fn practical_a_sessions_2_to_4_are_marked_from_a_c_program() {
    let class = Class::up("practica2");
    let credentials = class.json(&["credentials", "--json"]);
    let ana = &credentials["students"][0];
    let program = compile(&class, "practica2");

    run(&program, ana, &["2"], "");
    assert_eq!(done(&class, "ana"), ["2.1"]);
    run(&program, ana, &["3"], "");
    // A program that says all of session 1's commands has done its first exercise, too.
    assert_eq!(done(&class, "ana"), ["1.1", "2.1", "3.1", "3.2"]);

    let text = retrieve(ana, 1);
    let word =
        retrieve(ana, 2).trim().lines().next().and_then(|line| line.rsplit(' ').next()).expect("a word").to_owned();
    run(&program, ana, &["4", &word], &text);
    assert_eq!(done(&class, "ana"), ["1.1", "2.1", "3.1", "3.2", "4.1", "4.2", "4.3"]);
    assert!(done(&class, "ben").is_empty(), "the other student of the group has done nothing");
}

#[test]
fn practical_a_s_faults_are_met_and_survived_by_a_c_program() {
    let class = Class::up("practica2");
    let credentials = class.json(&["credentials", "--json"]);
    let (ana, ben) = (&credentials["students"][0], &credentials["students"][1]);
    let program = compile(&class, "practica2");

    run(&program, ana, &["2"], "");
    assert_eq!(done(&class, "ana"), ["2.1"]);
    for fault in ["ocupado", "cerrado"] {
        ask_for(ana, fault);
        run(&program, ana, &["2"], "");
    }
    assert_eq!(done(&class, "ana"), ["2.1", "2.2"]);
    ask_for(ana, "corte");
    run(&program, ana, &["2"], "");
    assert_eq!(done(&class, "ana"), ["2.1", "2.2", "2.3"]);

    for fault in ["tardio", "corte-final", "a-trozos"] {
        ask_for(ana, fault);
        run(&program, ana, &["3", "user2"], "");
    }
    assert_eq!(done(&class, "ana"), ["1.1", "2.1", "2.2", "2.3", "3.1", "3.2", "3.3", "3.4", "3.5"]);
    // Whoever is cut off at the end of a message sends it again, and it arrives once.
    let trace = class.text(&["trace", "ana"]);
    assert_eq!(trace.matches("accepted for `user2`").count(), 3, "{trace}");

    run(&program, ben, &["2"], "");
    assert_eq!(done(&class, "ben"), ["2.1"], "the other student meets none of it");
}

#[test]
fn another_students_text_and_word_do_not_count() {
    let class = Class::up("practica2");
    let credentials = class.json(&["credentials", "--json"]);
    let (ana, ben) = (&credentials["students"][0], &credentials["students"][1]);
    let program = compile(&class, "practica2");
    run(&program, ben, &["4", "abcdefghijkm"], &retrieve(ana, 1));
    assert_eq!(done(&class, "ben"), ["1.1", "4.2"]);
}

/// Runs the client of session 5 with a name of the group's; its exit status.
fn run_by_name(class: &Class, program: &Path, student: &Value, name: &str) -> Option<i32> {
    let endpoint = |service: &str| {
        let endpoint =
            student["endpoints"][service].as_str().expect("an endpoint").rsplit_once(':').expect("host:port");
        (endpoint.0.trim_matches(['[', ']']).to_owned(), endpoint.1.to_owned())
    };
    let ((dns, dns_port), (_, smtp_port)) = (endpoint("domain"), endpoint("smtp"));
    let output = Command::new(program).args([&dns, &dns_port, name, &smtp_port]).output().expect("the client runs");
    let said = [output.stdout, output.stderr].concat();
    let trace = || class.text(&["trace", student["login"].as_str().expect("a login")]);
    assert!(output.status.code() != Some(1), "{}\n{}", String::from_utf8_lossy(&said), trace());
    output.status.code()
}

#[test]
fn practical_a_session_5_is_marked_from_a_c_program_that_resolves_its_server_s_name() {
    // By an IPv4 address and, where the lab listens on an IPv6 one, by that.
    for options in [[].as_slice(), &["--listen", "::1"]] {
        let class = Class::up_with("practica2", options);
        let credentials = class.json(&["credentials", "--json"]);
        let (ana, ben) = (&credentials["students"][0], &credentials["students"][1]);
        let domain = ana["domain"].as_str().expect("a domain");
        let program = compile(&class, "nombre");
        assert_eq!(run_by_name(&class, &program, ana, &format!("nadie.{domain}")), Some(3));
        assert_eq!(done(&class, "ana"), ["5.2"], "{options:?}");
        assert_eq!(run_by_name(&class, &program, ana, domain), Some(0));
        let all = done(&class, "ana");
        assert!(all.ends_with(&["5.1", "5.2", "5.3"].map(str::to_owned)), "{options:?}: {all:?}");
        assert_eq!(done(&class, "ben"), [""; 0], "another student's question is nobody else's");
        // Who types the address has asked for nothing.
        run_by_address(ben);
        assert!(!done(&class, "ben").contains(&"5.1".to_owned()), "{options:?}");
    }
}

/// Sends a message to the endpoint's own address.
fn run_by_address(student: &Value) {
    let endpoint = student["endpoints"]["smtp"].as_str().expect("an SMTP endpoint");
    let mut stream = TcpStream::connect(endpoint).expect("SMTP answers");
    let lines = ["HELO me", "MAIL FROM:<user1>", "RCPT TO:<user2>", "DATA", "Subject: x\r\n\r\nx\r\n.", "QUIT\r\n"];
    stream.write_all(lines.join("\r\n").as_bytes()).expect("sent");
    let mut all = String::new();
    stream.read_to_string(&mut all).expect("text");
    assert!(all.contains("\r\n221 "), "{all}");
}

#[test]
fn practical_d_is_marked_from_a_c_program_in_both_variants() {
    let class = Class::up("cliente-c");
    let credentials = class.json(&["credentials", "--json"]);
    let program = compile(&class, "cliente_smtp");
    run(&program, &credentials["students"][0], &["waiting"], "");
    run(&program, &credentials["students"][1], &["pipelined"], "");
    for login in ["adrian", "berta"] {
        assert_eq!(done(&class, login), ["1", "2", "4"], "{login}");
    }
    assert!(done(&class, "cesar").is_empty());
    let states = class.text(&["trace", "adrian", "--format", "states"]);
    for line in [
        "Starting session",
        "In state 1, got command 'HELO', args 'localhost'",
        "Got HELO command, switching to MAIL state",
    ] {
        assert!(states.contains(line), "{states}");
    }
}

#[test]
fn the_clients_are_those_of_the_practicals() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "every client is run above: {names:?}");
}
