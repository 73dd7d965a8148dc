//! `labctl shell` at a terminal, which is Python's, and at a pipe.

use super::{convergence::LAB, world::World};

/// What is typed, and what must come of it.
const PLAY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/docker/terminal.py");

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
