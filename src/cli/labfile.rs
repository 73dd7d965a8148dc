//! Reading a lab file with its roster from disk, and showing what is wrong with it.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use super::{error::Error, output::Output};
use crate::{
    lab::Lab,
    reading::{self, Reading},
};

/// What a lab file is called in its folder.
pub const NAME: &str = "lab.toml";

/// The largest lab file or roster: a class of thousands is a hundredth of it.
const MAX_FILE: u64 = 16 << 20;

/// Reads the lab; shows every problem, and is an error where one of them is.
pub fn read(out: Output, source: &Path) -> Result<Lab, Error> {
    let reading = reading(source)?;
    let errors = reading.errors();
    if !reading.diagnostics.is_empty() {
        out.diagnostics(&rendered(&reading, out.errors_are_colored()));
    }
    reading.lab.ok_or_else(|| Error::WrongLab { path: source.to_owned(), errors })
}

/// Reads the lab and shows nothing.
pub fn reading(source: &Path) -> Result<Reading, Error> {
    let mut reading = unshortened(source)?;
    if let Ok(here) = env::current_dir() {
        reading.sources.shorten_paths(&here);
    }
    Ok(reading)
}

/// The roster that the lab names, absolute.
pub fn roster(source: &Path) -> Result<Option<PathBuf>, Error> {
    Ok(unshortened(source)?.sources.roster.map(|roster| roster.path))
}

fn unshortened(source: &Path) -> Result<Reading, Error> {
    let file = load(source).map_err(Error::file("read the lab", source))?;
    Ok(reading::read(file, source, &mut |path| load(path)))
}

fn rendered(reading: &Reading, colour: bool) -> String {
    reading::render(&reading.diagnostics, &reading.sources, colour)
}

fn load(path: &Path) -> std::io::Result<Vec<u8>> {
    let octets = fs::metadata(path)?.len();
    if octets > MAX_FILE {
        return Err(std::io::Error::other(format!("it has {octets} octets, and at most {MAX_FILE} are read")));
    }
    fs::read(path)
}
