//! A server that is killed comes back by itself, and it is told when and why it went, and who was connected.

use super::world::{World, docker};

const LAB: &str = "domain = \"{group}.lab\"\nrelay = false\nroster = \"roster.csv\"\n";

