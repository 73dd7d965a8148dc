//! A server that is killed comes back by itself, and it is told when and why it went.

use super::world::{World, docker};

const LAB: &str = r#"
domain = "{group}.lab"
students = [{ login = "ana", group = "g01" }]
"#;

/// How often it is asked whether the server is back; each answer takes the Engine a while.
const TRIES: usize = 100;

#[test]
fn a_server_that_was_killed_says_why_and_who_was_connected() {
    let Some(world) = World::new(LAB) else { return };
    world.up(&[]);
    // Somebody is connected, and stays.
    let (code, said) = world.sh("ana", "(sleep 60 | nc mail 25 > /dev/null) & sleep 1; echo there");
    assert_eq!((code, said.trim()), (0, "there"));
    let status = world.json(&["status", "--json"]);
    assert_eq!(status["labs"][0]["groups"][0]["students"][0]["connected"], 1, "{status}");
    world.done(&["trace"]);
    let processes = docker(&["top", &world.container("server", "g01"), "-eo", "pid,args"]);
    let serving = processes.iter().find(|line| line.contains("--watched-by")).expect("the process that serves");
    let pid = serving.split_whitespace().next().expect("a number");
    assert!(std::process::Command::new("kill").args(["-9", pid]).status().expect("kill runs").success());
    let after = (0..TRIES).find_map(|_| {
        let status = world.json(&["status", "--json"]);
        let after = status["labs"][0]["groups"][0]["after"].clone();
        (!after.is_null()).then_some(after)
    });
    let after = after.expect("it comes back and says what became of the one before it");
    assert_eq!(
        (&after["cause"], &after["signal"], &after["connected"][0]),
        (&"signal".into(), &9.into(), &"ana".into())
    );
    let why = "it was killed by signal 9; connected then: `ana`";
    let said = |args: &[&str]| {
        let output = world.command(args).output().expect("labctl starts");
        [output.stdout, output.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned()).concat()
    };
    for verb in [&["status"][..], &["logs", "g01"], &["up"], &["trace"]] {
        assert!(said(verb).contains(why), "{verb:?}: {}", said(verb));
    }
}
