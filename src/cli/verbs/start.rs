//! `labctl start`: starts students' containers that wait for somebody, or were stopped.

use super::tend::{self, Verb};
use crate::{
    cli::{args::Start, error::Error, exit::Exit, naming::Shell},
    engine::docker::Care,
};

/// Starts them.
pub fn run(shell: &Shell, args: &Start) -> Result<Exit, Error> {
    let (opened, whom) = shell.open_for(&args.whose)?;
    let instead = "`labctl up` starts its servers";
    let verb = Verb { care: Care::Start, name: "start", done: "started", instead };
    tend::run(shell, &opened, whom.as_ref(), &verb)
}
