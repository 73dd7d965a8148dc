//! `labctl report`
use crate::cli::{args::Report, error::Error, exit::Exit, naming::Shell};
/// Not yet.
pub fn run(_: &Shell, _: &Report) -> Result<Exit, Error> {
    Ok(Exit::Done)
}
