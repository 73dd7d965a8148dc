//! Where a lab runs, and that `up` says which engine and why, in its first line.

use std::{fs, process::Stdio};

use super::{LAB, Test};

/// What `up` says first.
fn first_line(test: &Test, args: &[&str], host: &str) -> String {
    let mut up = std::process::Command::new(env!("CARGO_BIN_EXE_labctl"));
    up.args(["up", "class"]).args(args).current_dir(test.folder.path()).stdin(Stdio::null());
    up.env("LABCTL_STATE_DIR", test.path("state")).env("LC_ALL", "C").env_remove("LANG").env("DOCKER_HOST", host);
    let ran = test.ran(&up.output().expect("labctl starts"));
    ran.err.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn without_an_engine_that_answers_the_lab_is_embedded_and_stays_there() {
    let test = Test::with(LAB);
    let missing = format!("unix://{}", test.path("docker.sock").display());
    assert_eq!(
        first_line(&test, &[], &missing),
        "engine `embedded`: no Docker Engine answers at `unix://$DIR/docker.sock` (from `DOCKER_HOST`): No such file or \
         directory (os error 2)"
    );
    assert_eq!(first_line(&test, &[], &missing), "engine `embedded`: the lab is up there");
    test.done(&["down"]);
    assert_eq!(first_line(&test, &[], &missing), "engine `embedded`: the lab's mail and evidence are there");
    let moved = first_line(&test, &["--engine", "docker"], &missing);
    assert_eq!(moved, "error: lab `class` has its mail and evidence on engine `embedded`");
}

#[test]
fn a_place_that_is_none_is_said_and_is_in_nobodys_way() {
    let test = Test::with(LAB);
    let said = first_line(&test, &["--dry-run"], "npipe:////./pipe/docker_engine");
    let expected =
        "engine `embedded`: `npipe:////./pipe/docker_engine` (from `DOCKER_HOST`) is no place of an Engine: write";
    assert!(said.starts_with(expected), "{said}");
}

#[test]
fn who_says_docker_gets_docker_or_an_error_with_the_way_out() {
    let test = Test::with(LAB);
    let missing = format!("unix://{}", test.path("docker.sock").display());
    assert_eq!(first_line(&test, &["--engine", "docker"], &missing), "engine `docker`: `--engine` says so");
    let test = Test::with(&format!("engine = \"docker\"\n{LAB}"));
    assert_eq!(first_line(&test, &[], &missing), "engine `docker`: the lab says so");
    let test = Test::with(LAB);
    assert_eq!(first_line(&test, &["--pool", "10.99.0.0/16"], &missing), "engine `docker`: `--pool` is for that one");
}

#[test]
fn a_lab_whose_engine_is_gone_is_in_no_other_labs_way() {
    let test = Test::with(LAB);
    test.done(&["up", "class"]);
    let record = fs::read_to_string(test.path("state/labs/class/lab.json")).expect("a record");
    fs::create_dir_all(test.path("state/labs/gone")).expect("a folder");
    let away = record.replace("\"embedded\"", "\"docker\"").replace("class/lab.toml", "gone/lab.toml");
    fs::write(test.path("state/labs/gone/lab.json"), &away).expect("a record");
    let all = test.run(&["status"]);
    assert_eq!(all.code, 5, "{}", all.err);
    assert!(all.out.contains("class\tup\t") && all.out.contains("gone\tunknown: it cannot be asked\t"), "{}", all.out);
    assert!(all.err.starts_with("error: lab `gone`: no Docker Engine answers at `unix:///nonexistent"), "{}", all.err);
    assert_eq!(test.run(&["status", "gone"]).code, 1, "asked for alone, it is an error");
    let down = away.replace("\"up\": true", "\"up\": false");
    fs::write(test.path("state/labs/gone/lab.json"), down).expect("a record");
    assert!(test.run(&["status", "gone"]).err.starts_with("lab `gone` is down ("));
    fs::remove_dir_all(test.path("state/labs/gone")).expect("a folder");
}
