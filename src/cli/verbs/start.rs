//! `labctl start`: starts students' containers that wait for somebody, or were stopped.

use super::tend::{self, Verb};
use crate::{
    cli::{args::Start, error::Error, exit::Exit, naming::Shell},
    engine::docker::Care,
};

/// Starts them.
pub fn run(shell: &Shell, args: &Start) -> Result<Exit, Error> {
    let opened = shell.open_to_read(args.lab.as_deref())?;
    let instead = "`labctl up` starts its servers";
    let verb = Verb { care: Care::Start, name: "start", done: "started", instead };
    tend::run(shell, &opened, args.who.as_deref(), &verb)
}
