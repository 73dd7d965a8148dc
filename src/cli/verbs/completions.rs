//! `labctl completions`: a script for a shell, made from the same definition as the command line.

use clap::CommandFactory as _;

use crate::cli::{
    args::{Args, Completions},
    error::Error,
    exit::Exit,
    naming::Shell,
};

/// Prints the script.
pub fn run(shell: &Shell, args: &Completions) -> Result<Exit, Error> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "labctl", &mut script);
    shell.out.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
