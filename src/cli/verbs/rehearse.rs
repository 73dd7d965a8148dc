//! `labctl rehearse`
use crate::cli::{args::Rehearse, error::Error, exit::Exit, naming::Shell};
/// Not yet.
pub fn run(_: &Shell, _: &Rehearse) -> Result<Exit, Error> {
    Ok(Exit::Done)
}
