//! Reading a lab file with its roster from disk, and showing what is wrong with it; and reading what labctl kept of both when
//! the lab was last brought up.

use std::{env, fs, path::Path};

use super::{
    error::{Error, count, shell_word},
    output::Output,
};
use crate::{
    engine::{Kept, LabDir, state::RosterFile},
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

/// Reads the lab for a verb that is not about the file: of warnings, only how many there are.
pub fn read_briefly(out: Output, source: &Path) -> Result<Lab, Error> {
    let reading = reading(source)?;
    if reading.lab.is_none() {
        out.diagnostics(&rendered(&reading, out.errors_are_colored()));
    } else if !reading.diagnostics.is_empty() {
        let warnings = count(reading.diagnostics.len(), "warning");
        let path = shell_word(&source.display().to_string());
        out.note(format_args!("{warnings} in lab `{}`: see `labctl check {path}`", source.display()));
    }
    let errors = reading.errors();
    reading.lab.ok_or_else(|| Error::WrongLab { path: source.to_owned(), errors })
}

/// The lab as it was when it was last brought up from `source`, and the files; none where nothing was kept.
pub fn kept(dir: &LabDir, source: &Path) -> Result<Option<(Lab, Kept)>, Error> {
    let Some(kept) = dir.kept()? else { return Ok(None) };
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let mut load = |_: &Path| kept.roster.as_ref().map(|roster| roster.content.clone()).ok_or_else(missing);
    let lab = reading::read(&kept.lab, source, &mut load).lab;
    Ok(lab.map(|lab| (lab, kept)))
}

/// The files of a lab that was read, to keep or to copy.
pub fn files(source: &Path) -> Result<Kept, Error> {
    let lab = load(source).map_err(Error::file("read the lab", source))?;
    let roster = reading::read(&lab, source, &mut |path| load(path)).sources.roster.map(|roster| roster.path);
    let roster = match roster {
        Some(path) => {
            let content = load(&path).map_err(Error::file("read the roster", &path))?;
            Some(RosterFile { path, content })
        }
        None => None,
    };
    Ok(Kept { lab, roster })
}

/// Reads the lab and shows nothing.
pub fn reading(source: &Path) -> Result<Reading, Error> {
    let mut reading = unshortened(source)?;
    if let Ok(here) = env::current_dir() {
        reading.sources.shorten_paths(&here);
    }
    Ok(reading)
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
