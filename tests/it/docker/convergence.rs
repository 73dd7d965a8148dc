//! Whatever happens to `up`, or to the objects behind its back: the next `up` ends where an undisturbed one does.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    thread,
};

use serde_json::json;

use super::world::{World, docker};

/// Four containers on two networks: six steps, and two for the images.
pub const LAB: &str = r#"
domain = "{group}.lab"
relay = false
users = ["user2"]
students = [{ login = "ana", group = "g01" }, { login = "eva", group = "g02" }]

[[mail]]
id = "welcome"
to = "{login}"
from = "profesor"
subject = "hola"
body = "hola"
"#;

/// Steps of an `up` of [`LAB`] that are told one by one.
const STEPS: usize = 8;

impl World {
    /// An `up` that is sent a signal when it has told so many steps; its exit status, if it had one, and what it said.
    fn up_signalled(&self, signal: &str, after: usize) -> (Option<i32>, String) {
        self.up_disturbed(after, |process| {
            let status = Command::new("kill").args([signal, &process.to_string()]).status();
            assert!(status.is_ok_and(|status| status.success()));
        })
    }

    /// An `up` during which something happens when it has told so many steps.
    pub fn up_interrupted(&self, after: usize, happens: impl FnOnce()) -> (Option<i32>, String) {
        self.up_disturbed(after, |_| happens())
    }

    fn up_disturbed(&self, after: usize, happens: impl FnOnce(u32)) -> (Option<i32>, String) {
        let mut up = self.up_command().stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("labctl starts");
        let said = BufReader::new(up.stderr.take().expect("piped"));
        let (mut text, mut told, mut happens) = (String::new(), 0, Some(happens));
        let mut disturb = |told: usize| {
            if told == after
                && let Some(happens) = happens.take()
            {
                happens(up.id());
            }
        };
        disturb(told);
        for line in said.lines() {
            let line = line.expect("text");
            let is_step = line.trim_start().split_once('/').is_some_and(|(number, _)| number.parse::<usize>().is_ok());
            text = text + &line + "\n";
            told += usize::from(is_step);
            disturb(told);
        }
        (up.wait().expect("a process").code(), text)
    }

    fn converges(&self, end: &[String], how: &str) {
        self.up(&[]);
        assert_eq!(self.snapshot(), end, "{how}");
        assert_eq!(self.up(&[])["steps"], json!([]), "{how}");
    }
}

#[test]
fn an_up_that_is_killed_after_any_step_is_finished_by_the_next() {
    let Some(world) = World::new(LAB) else { return };
    world.up(&[]);
    let end = world.snapshot();
    assert_eq!(end.len(), 6, "{end:?}");
    for after in 0..STEPS {
        world.done(&["down"]);
        world.up_signalled("-KILL", after);
        world.converges(&end, &format!("killed after {after}"));
    }
}

#[test]
fn ctrl_c_ends_what_was_begun_and_the_next_up_goes_on() {
    let Some(world) = World::new(LAB) else { return };
    let (code, said) = world.up_signalled("-INT", 4);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("stopped; `") && said.contains("` goes on from here"), "{said}");
    assert!(said.contains(" up --engine docker --pool "), "as it was typed: {said}");
    let left = world.snapshot();
    assert!(!left.is_empty() && left.len() < 6, "{left:?}");
    assert!(left.iter().all(|line| !line.contains("created")), "nothing is half made: {left:?}");
    let steps = world.up(&[])["steps"].as_array().map(Vec::len);
    assert_eq!(steps, Some(6 - left.len()));
}

#[test]
fn two_at_once_share_the_pool_and_one_lab_is_brought_up_once() {
    let Some(one) = World::new(LAB) else { return };
    let other = one.beside(LAB);
    let steps = thread::scope(|scope| {
        let ups = [&one, &one, &other].map(|world| scope.spawn(|| world.up(&[])["steps"].as_array().map(Vec::len)));
        ups.map(|up| up.join().expect("it comes up"))
    });
    let mut of_one = [steps[0], steps[1]];
    of_one.sort();
    assert_eq!((of_one, steps[2]), ([Some(0), Some(6)], Some(6)));
    for world in [&one, &other] {
        assert_eq!((world.snapshot().len(), world.up(&[])["steps"].clone()), (6, json!([])));
    }
}

#[test]
fn what_is_altered_behind_its_back_is_mended() {
    let Some(world) = World::new(LAB) else { return };
    world.up(&[]);
    let end = world.snapshot();
    let (network, client) = (world.network("g01"), world.container("client", "ana"));
    docker(&["network", "disconnect", &network, &client]);
    docker(&["pause", &world.container("client", "eva")]);
    docker(&["stop", "--time", "0", &world.container("server", "g02")]);
    world.converges(&end, "disconnected, paused, stopped");
    for container in [world.container("client", "ana"), world.container("server", "g01")] {
        docker(&["network", "disconnect", "--force", &network, &container]);
    }
    docker(&["network", "rm", &network]);
    let steps = world.up(&["--dry-run"])["steps"].as_array().map(Vec::len);
    assert_eq!(steps, Some(5), "a network, and two containers that go and come; nothing of the other group");
    world.converges(&end, "its network removed");
}

/// What is not the lab's is left alone, and said to be in the way.
#[test]
fn a_foreign_container_on_a_network_is_named_and_left_alone() {
    let Some(world) = World::new(LAB) else { return };
    world.up(&[]);
    let name = format!("labctl-test-foreign-{}", std::process::id());
    docker(&[
        "run",
        "--detach",
        "--network",
        &world.network("g01"),
        "--name",
        &name,
        super::world::IMAGE,
        "sleep",
        "99",
    ]);
    let again = world.up(&[])["steps"].clone();
    let (code, said) = world.run(&["down"]);
    let still = docker(&["ps", "--quiet", "--filter", &format!("name={name}")]);
    docker(&["rm", "--force", &name]);
    assert_eq!(again, json!([]));
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("network `g01`") && said.contains(&name), "{said}");
    assert_eq!(still.len(), 1);
    world.done(&["down"]);
    assert_eq!(world.left(), ["volume"; 4]);
}

/// Two state directories are two instructors: neither removes the other's by accident, and what nobody needs has a way out.
#[test]
fn a_lab_of_somebody_else_goes_only_where_its_owner_is_named() {
    let Some(one) = World::new(LAB) else { return };
    let other = one.beside(LAB);
    one.up(&[]);
    let (code, said) = other.run(&["down", "class", "--yes"]);
    assert_eq!(code, 4, "{said}");
    let owner = one.owner();
    assert!(said.contains(&format!("`{owner}`")) && said.contains("labctl down class --owner "), "{said}");
    assert_eq!(one.snapshot().len(), 6);
    let (code, said) = other.run(&["down", "class", "--owner", &owner]);
    assert_eq!(code, 2, "nobody can be asked: {said}");
    assert_eq!(other.run(&["down", "class", "--owner", "nobody", "--yes"]).0, 4);
    other.done(&["down", "class", "--owner", &owner, "--purge", "--yes"]);
    assert_eq!(one.left(), Vec::<String>::new());
}
