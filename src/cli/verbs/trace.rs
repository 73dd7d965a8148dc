//! `labctl trace`
use crate::cli::{args::Trace, error::Error, exit::Exit, naming::Shell};
/// Not yet.
pub fn run(_: &Shell, _: &Trace) -> Result<Exit, Error> {
    Ok(Exit::Done)
}
