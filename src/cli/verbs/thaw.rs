//! `labctl thaw`: what was frozen goes on.

use super::tend::{self, Verb};
use crate::{
    cli::{args::Thaw, error::Error, exit::Exit, naming::Shell},
    engine::docker::Care,
    lab::containers::Start,
};

/// Lets them go on.
pub fn run(shell: &Shell, args: &Thaw) -> Result<Exit, Error> {
    let (opened, whom) = shell.open_for(&args.whose)?;
    let care = Care::Thaw { on_demand: opened.lab.docker.clients == Start::OnDemand };
    let verb = Verb { care, name: "thaw", done: "thawed", instead: "`labctl up` lets the work go on" };
    tend::run(shell, &opened, whom.as_ref(), &verb)
}
