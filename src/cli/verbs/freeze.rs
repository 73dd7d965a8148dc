//! `labctl freeze`: students' containers are held, and stay so. The servers go on, so mail is still read and marks stand.

use super::tend::{self, Verb};
use crate::{
    cli::{args::Freeze, error::Error, exit::Exit, naming::Shell},
    engine::docker::Care,
};

/// Freezes them.
pub fn run(shell: &Shell, args: &Freeze) -> Result<Exit, Error> {
    let (opened, whom) = shell.open_for(&args.whose)?;
    let instead = "end the work with `labctl down`: marks stand, and `labctl up` lets it go on";
    let verb = Verb { care: Care::Freeze, name: "freeze", done: "frozen", instead };
    tend::run(shell, &opened, whom.as_ref(), &verb)
}
