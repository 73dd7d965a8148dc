//! A lab that one Engine has, and labctl that is pointed at another: nothing is shown or said that is not true of the lab.

use std::fs;

use super::{
    convergence::LAB,
    restart::Engine,
    world::{World, docker},
};

/// What a command says of the other Engine, and how it ends.
fn run_at(world: &World, host: &str, args: &[&str]) -> (Option<i32>, String) {
    let output = world.command(args).env("DOCKER_HOST", host).output().expect("labctl starts");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn another_engine_is_named_by_every_verb_and_takes_nothing_away() {
    let Some(world) = World::new(LAB) else { return };
    world.up(&[]);
    let before = world.snapshot();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let _engine = Engine::start(folder.path());
    let host = Engine::host(folder.path());
    let expected =
        format!("and another one answers at `{host}` (from `DOCKER_HOST`)\nhint: have `DOCKER_HOST` name that one");
    let verbs: [&[&str]; 10] = [
        &["up", "."],
        &["status", "class"],
        &["report", "class"],
        &["trace", "--lab", "class"],
        &["report", "class", "--follow"],
        &["archive", "class"],
        &["exec", "ana", "--", "true"],
        &["restart", "g01"],
        &["down", "class", "--purge", "--yes"],
        &["down", "class"],
    ];
    for verb in verbs {
        let (code, said) = run_at(&world, &host, verb);
        assert_eq!(code, Some(1), "{verb:?}: {said}");
        assert!(said.contains("error: lab `class` is on the Engine at `unix:///"), "{verb:?}: {said}");
        assert!(said.contains(&expected), "{verb:?}: {said}");
    }
    assert_eq!(world.snapshot(), before);
    let id = || docker(&["volume", "inspect", "--format", "{{index .Labels \"labctl.engine\"}}", "labctl.engine"]);
    let record = fs::read_to_string(world.state().join("labs/class/lab.json")).expect("a record");
    assert!(record.contains(&id()[0]), "{:?}: {record}", id());
    // Whoever knows that the other one is gone can go on without it.
    let (code, said) = run_at(&world, &host, &["down", "class", "--engine-changed"]);
    assert!(code == Some(0) && said.contains("counts as down; what the Engine at `unix:///"), "{said}");
    assert!(run_at(&world, &host, &["report", "class"]).1.contains("ana"), "marks are there without an Engine");
    let (code, said) = run_at(&world, &host, &["down", "class", "--engine-changed", "--purge", "--yes"]);
    assert!(code == Some(0) && said.contains("here are deleted; what the Engine at `unix:///"), "{said}");
    assert_eq!(world.snapshot(), before);
    let owner = world.owner();
    world.done(&["down", "class", "--purge", "--yes"]);
    assert_eq!(world.left(), Vec::<String>::new());
    assert_eq!(world.owner(), owner, "it is the state directory's, not the lab's");
}

/// A session of ana's, with which she solves the exercise.
const SESSION: &str = "(for line in 'EHLO me' 'MAIL FROM:<ana@g01.lab>' 'RCPT TO:<user2>' DATA 'hello' . QUIT; do \
                       sleep 0.2; printf '%s\\r\\n' \"$line\"; done) | nc mail 25";

/// The verdict of the exercise for ana.
fn verdict(world: &World, host: Option<&str>) -> String {
    let mut command = world.command(&["report", "--json"]);
    command.envs(host.map(|host| ("DOCKER_HOST", host)));
    let output = command.output().expect("labctl starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let students = report["students"].as_array().expect("students");
    let ana = students.iter().find(|student| student["login"] == "ana").expect("a student");
    ana["exercises"][0]["verdict"].as_str().expect("a verdict").to_owned()
}

#[test]
fn a_server_that_lost_its_volume_goes_on_from_the_copy_and_no_point_is_lost() {
    let Some(world) = World::new(super::LAB) else { return };
    world.up(&[]);
    world.done(&["exec", "ana", "--", "sh", "-c", SESSION]);
    assert_eq!(verdict(&world, None), "done");
    let server = world.container("server", "g01");
    let volume = docker(&["inspect", "--format", "{{range .Mounts}}{{.Name}}{{end}}", &server]).remove(0);
    docker(&["rm", "--force", &server]);
    docker(&["volume", "rm", &volume]);
    let output = world.up_command().output().expect("labctl starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let expected = "server `g01`: its volume is new; it goes on from the copy here, which ends with event ";
    assert!(said.contains(expected) && !said.contains("server `g02`: its volume"), "{said}");
    assert_eq!(verdict(&world, None), "done");
    assert!(!world.state().join("labs/class/branches").exists(), "what came has all that was here");
    assert!(world.done(&["exec", "ana", "--", "sh", "-c", SESSION]).contains("221 "), "it serves");
    assert!(world.done(&["trace", "ana", "--json"]).matches(r#""event":"accepted""#).count() == 2);
    // A store that lacks something takes nobody's place.
    docker(&["rm", "--force", &world.container("server", "g01")]);
    docker(&["volume", "rm", &volume]);
    let copy = world.state().join("labs/class/stores/g01.sqlite");
    let aside = world.path("aside.sqlite");
    fs::rename(&copy, &aside).expect("a file");
    world.up(&[]);
    fs::rename(&aside, &copy).expect("a file");
    assert_eq!(verdict(&world, None), "done");
    let branches = fs::read_dir(world.state().join("labs/class/branches/g01")).expect("a branch").count();
    assert_eq!(branches, 1);
    assert_eq!(verdict(&world, None), "done");
    world.done(&["down", "--purge", "--yes"]);
}
