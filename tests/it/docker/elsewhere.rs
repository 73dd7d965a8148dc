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
    // The volume that names the Engine may be pruned: what is there of the lab still says whose Engine it is.
    docker(&["volume", "rm", "labctl.engine"]);
    world.done(&["report"]);
    assert_eq!(run_at(&world, &host, &["report"]).0, Some(1));
    world.up(&[]);
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
