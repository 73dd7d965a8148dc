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

const REHEARSE: [&str; 5] = ["rehearse", "--engine", "docker", "--client-image", IMAGE];

/// What the Engine has of the rehearsal.
fn left(world: &World, what: &[&str]) -> Vec<String> {
    let owner = format!("label=labctl.owner={}", world.owner());
    let filters = ["--quiet", "--filter", "label=labctl.lab=class.rehearsal", "--filter", &owner];
    docker(&[what, &filters].concat())
}

fn nothing_is_left(world: &World) {
    for what in [["ps", "--all"].as_slice(), &["network", "ls"], &["volume", "ls"]] {
        assert_eq!(left(world, what), Vec::<String>::new(), "{what:?}");
    }
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
