//! `labctl archive`
use crate::cli::{args::Archive, error::Error, exit::Exit, naming::Shell};
/// Not yet.
pub fn run(_: &Shell, _: &Archive) -> Result<Exit, Error> {
    Ok(Exit::Done)
}
