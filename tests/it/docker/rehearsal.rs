//! A rehearsal in containers: solutions are played from inside a client, the idle student is idle, and nothing is left.

use std::process::{Command, Stdio};

use super::world::{IMAGE, World, docker};

/// Sending and reading, and a connection that ends without goodbye.
const LAB: &str = r#"
domain = "{group}.lab"
relay = false
users = [{ name = "user2", password = "Usuario2" }]
students = [{ login = "ana", group = "g01" }, { login = "ben", group = "g01" }]

[[mail]]
id = "welcome"
to = "{login}"
from = "profesor"
subject = "hola"
body = "Tu palabra: {secret}"

[[exercise]]
id = "1.1"
title = "Send a message"
[[exercise.check]]
protocol = "smtp"
steps = ["EHLO -> 250", "MAIL -> 250", "RCPT -> 250", "DATA -> 354", "<message> -> 250", "QUIT -> 221"]
[exercise.solution]
smtp = """
C: EHLO me
C: MAIL FROM:<ana@{domain}>
C: RCPT TO:<user2>
C: DATA
C: hi
C: .
C: QUIT
"""

[[exercise]]
id = "1.2"
title = "Read it and leave"
[[exercise.check]]
protocol = "pop3"
steps = ["USER -> +OK", "PASS -> +OK", "RETR -> +OK"]
[exercise.solution]
pop3 = """
C: USER user2
C: PASS Usuario2
C: RETR 1
X: close
"""
"#;

/// Mail for the other group, and the question where it goes.
const RELAY: &str = r#"
domain = "{group}.lab"
relay = true
users = ["user2"]
students = [{ login = "ana", group = "g01" }, { login = "ben", group = "g02" }]

[[exercise]]
id = "1"
weak = "in what order the two mails go does not matter"
check = [
    { query = { name = "{neighbour}", record = "MX" } },
    { then = true, query = { name = "mail.{neighbour}", record = "A" } },
    { relayed = { to = "user2@{neighbour}" } },
    { bounced = { to = "nobody@{neighbour}", status = "5.1.1" } },
]

[exercise.solution]
domain = """
C: MX {neighbour}
S: NOERROR 10 mail.g02.lab.
C: A mail.{neighbour}
S: NOERROR
"""
smtp = """
C: EHLO me
C: MAIL FROM:<ana@{domain}>
C: RCPT TO:<user2@{neighbour}>
C: RCPT TO:<nobody@{neighbour}>
C: DATA
C: hi
C: .
S: 250
"""
"#;

/// What the tool is given out with: its servers refuse, cut and end connections.
const PRACTICAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/labs/practica2");

#[test]
fn a_practical_with_servers_that_hang_up_is_played_in_containers() {
    let Some(world) = World::new(LAB) else { return };
    let (code, said) = world.run(&[&REHEARSE[..], &[PRACTICAL]].concat());
    assert!(code == 0 && said.contains("lab `practica2` is marked right: "), "{said}");
}

const REHEARSE: [&str; 5] = ["rehearse", "--engine", "docker", "--client-image", IMAGE];

/// What the Engine has of the rehearsal.
fn left(world: &World, what: &[&str]) -> Vec<String> {
    let owner = format!("label=labctl.called={}", world.called());
    let filters = ["--quiet", "--filter", "label=labctl.lab=class.rehearsal", "--filter", &owner];
    docker(&[what, &filters].concat())
}

fn nothing_is_left(world: &World) {
    for what in [["ps", "--all"].as_slice(), &["network", "ls"], &["volume", "ls"]] {
        assert_eq!(left(world, what), Vec::<String>::new(), "{what:?}");
    }
}

#[test]
fn mail_goes_on_to_another_group_s_server_and_questions_come_from_inside() {
    let Some(world) = World::new(RELAY) else { return };
    let (code, said) = world.run(&REHEARSE);
    assert!(code == 0 && said.contains("lab `class` is marked right: 1 exercise, "), "{said}");
    nothing_is_left(&world);
}

#[test]
fn a_name_that_a_program_looks_up_is_a_question_on_record() {
    let Some(world) = World::new(RELAY) else { return };
    world.up(&[]);
    assert_eq!(world.sh("ana", "nc -w 5 g01.lab 25 </dev/null").0, 0);
    let (_, report) = world.run(&["trace", "ana"]);
    assert!(report.contains("asked for A g01.lab: NOERROR"), "{report}");
    assert_eq!(world.sh("ana", "nc -w 5 mail 25 </dev/null").0, 0);
    let (_, report) = world.run(&["trace", "ana"]);
    assert!(report.contains("asked for A mail.g01.lab: NOERROR"), "{report}");
}

#[test]
fn solutions_are_played_from_inside_a_client_and_nothing_is_left() {
    let Some(world) = World::new(LAB) else { return };
    let (code, said) = world.run(&REHEARSE);
    assert!(code == 0 && said.contains("lab `class` is marked right: 2 exercises"), "{said}");
    nothing_is_left(&world);
    let mut stopped = world.command(&REHEARSE);
    let mut stopped = stopped.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("labctl starts");
    while left(&world, &["ps", "--all"]).is_empty() {
        assert!(stopped.try_wait().expect("a process").is_none(), "it ended before it had a container");
    }
    let told = Command::new("kill").args(["-INT", &stopped.id().to_string()]).status().expect("kill runs");
    assert!(told.success());
    assert_eq!(stopped.wait().expect("it ends").code(), Some(1));
    nothing_is_left(&world);
}
