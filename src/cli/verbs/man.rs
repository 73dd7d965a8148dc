//! `labctl man`: the manual pages, a file for each verb, made from the same definition as the command line.

use std::fs;

use clap::CommandFactory as _;

use crate::cli::{
    args::{Args, Man},
    error::Error,
    exit::Exit,
};

/// Writes `labctl.1` and a page for each verb into the folder.
pub fn run(args: &Man) -> Result<Exit, Error> {
    fs::create_dir_all(&args.to).map_err(Error::file("make the folder", &args.to))?;
    clap_mangen::generate_to(Args::command(), &args.to).map_err(Error::file("write manual pages to", &args.to))?;
    Ok(Exit::Done)
}
