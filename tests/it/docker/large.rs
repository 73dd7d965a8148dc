//! More groups than the Engine's own address pools have networks for.

use std::fmt::Write as _;

use serde_json::json;

use super::world::World;

/// The Engine's own pools end at about 30.
const GROUPS: usize = 40;

/// Clients wait for their student, so that what is tested is networks and servers and not the machine's patience.
#[test]
fn forty_groups_come_up_and_go_without_a_leftover() {
    let mut lab = "domain = \"{group}.lab\"\nrelay = false\nstudents = [\n".to_owned();
    for group in 1..=GROUPS {
        let _ = writeln!(lab, "  {{ login = \"s{group}\", group = \"g{group:02}\" }},");
    }
    let Some(world) = World::large(&(lab + "]\n[docker]\nclients = \"on-demand\"\n")) else { return };
    let up = world.up(&[]);
    assert_eq!(up["steps"].as_array().map(Vec::len), Some(3 * GROUPS), "{up}");
    assert_eq!(world.snapshot().len(), 3 * GROUPS);
    assert_eq!(world.up(&[])["steps"], json!([]));
    world.done(&["down", "--purge", "--yes"]);
    assert_eq!(world.left(), Vec::<String>::new());
}
