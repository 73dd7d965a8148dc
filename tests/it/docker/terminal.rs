//! `labctl shell` at a terminal, which is Python's, and at a pipe.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    convergence::LAB,
    world::{World, docker},
};

/// What is typed, and what must come of it.
const PLAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/docker/terminal.py");

/// A terminal that is closed while somebody reads mail in it.
const CLOSED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/docker/closed.py");

/// How long something may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until what runs in ana's container is as wanted.
fn until(world: &World, wanted: impl Fn(&[String]) -> bool) {
    let (container, deadline) = (world.container("client", "ana"), Instant::now() + PATIENCE);
    loop {
        let programs = world.programs(&container);
        if wanted(&programs) {
            return;
        }
        assert!(Instant::now() < deadline, "{programs:?}");
    }
}

fn are_there(programs: &[String], names: &[&str]) -> bool {
    names.iter().all(|name| programs.iter().any(|program| program == name))
}

fn is_over(programs: &[String]) -> bool {
    !programs
        .iter()
        .any(|program| ["sleep 10", "nc ", "LABCTL_SESSION", "bash"].iter().any(|name| program.contains(name)))
}

/// The mailbox that a POP3 session holds is free again, and programs that would rather stay are gone.
#[test]
fn a_session_ends_when_its_client_goes() {
    let Some(world) = World::new(LAB) else { return };
    world.up(&[]);
    let ends = |signal: &str, line: &str, names: &[&str]| {
        let mut exec = world.command(&["exec", "ana", "--", "sh", "-c", line]);
        let mut exec = exec.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("labctl starts");
        until(&world, |programs| are_there(programs, names));
        let killed = Command::new("kill").args([signal, &exec.id().to_string()]).status().expect("kill runs");
        assert!(killed.success());
        exec.wait().expect("it ends");
        until(&world, is_over);
    };
    ends("-KILL", "sleep 1001 & sleep 1002", &["sleep 1001", "sleep 1002"]);
    ends("-INT", "sleep 1003", &["sleep 1003"]);
    ends("-KILL", "trap '' HUP TERM; sleep 1004 & env -i sleep 1005; :", &["sleep 1004", "sleep 1005"]);
    ends("-KILL", "setsid sleep 1006 & sleep 1007", &["sleep 1006", "sleep 1007"]);
    // What comes to its own end leaves behind what it means to leave.
    assert_eq!(world.sh("ana", "sleep 1008 >/dev/null 2>&1 & :").0, 0);
    until(&world, |programs| are_there(programs, &["sleep 1008"]));
}

/// Two students with a mailbox in common.
const MAILBOX: &str = r#"
domain = "{group}.lab"
relay = false
users = [{ name = "user2", password = "Usuario2" }]
students = [{ login = "ana", group = "g01" }, { login = "eva", group = "g01" }]
"#;

#[test]
fn a_closed_terminal_frees_the_mailbox() {
    let Some(world) = World::new(MAILBOX) else { return };
    world.up(&[]);
    let login = "(printf 'USER user2\\r\\nPASS Usuario2\\r\\n'; sleep 1) | nc mail 110";
    let mut play = world.command_under(&["python3", CLOSED], &["shell", "ana"]);
    let output = play.env("TERM", "xterm").output().expect("python3");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    until(&world, is_over);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (_, said) = world.sh("eva", login);
        if said.matches("+OK").count() == 3 {
            return;
        }
        assert!(Instant::now() < deadline, "{said}");
    }
}

#[test]
fn a_program_that_is_not_there_is_named_in_our_words() {
    let Some(world) = World::new(LAB) else { return };
    world.up(&[]);
    let missing = "error: there is no program `nonesuch` in the container\n";
    assert_eq!(world.run(&["exec", "ana", "--", "nonesuch", "x"]), (127, missing.to_owned()));
    let (code, said) = world.run(&["exec", "ana", "--", "/etc/resolv.conf"]);
    assert!(code == 126 && !said.contains("OCI"), "{code} {said}");
    assert_eq!(
        world.sh("ana", "echo 'OCI runtime exec failed: no'; exit 3"),
        (3, "OCI runtime exec failed: no\n".into())
    );
    // Nothing can be started any more, the program that says so neither.
    docker(&["exec", "--user", "1000:1000", &world.container("client", "ana"), "rm", "/bin/sh"]);
    let (code, said) = world.run(&["exec", "ana", "--", "true"]);
    assert!(
        code == 1
            && said.contains("`sh`") | said.contains("\"sh\"")
            && !said.contains("OCI")
            && !said.contains(&world.container("client", "ana")),
        "{code} {said}"
    );
}

#[test]
fn a_shell_is_resized_interrupted_and_ends_with_its_status() {
    let Some(world) = World::new(LAB) else { return };
    world.up(&[]);
    let mut play = world.command_under(&["python3", PLAY], &["shell", "ana"]);
    let output = play.env("TERM", "xterm").output().expect("python3");
    assert_eq!(output.status.code(), Some(7), "{}", String::from_utf8_lossy(&output.stderr));
    let script = "printf 'echo $((6 * 7))\\nexit 3\\n' | \"$0\" \"$@\"";
    let output = world.command_under(&["sh", "-c", script], &["shell", "eva"]).output().expect("sh");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stdout).trim()), (Some(3), "42"));
}
