//! Events that could not be written, remembered across a restart: on a disk that is full nothing new can be written, so a small
//! file beside the store is there from the beginning and is written over in its place.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::evidence::Timestamp;

/// The file's size: one block of any file system.
const OCTETS: usize = 4_096;

/// The longest reason that is kept, in octets.
const WHY: usize = 256;

/// Events that could not be written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Lost {
    /// How many.
    pub(super) count: usize,
    /// When the first of them was.
    pub(super) first: Timestamp,
    /// When the last of them was.
    pub(super) last: Timestamp,
    /// Why.
    pub(super) why: String,
}

/// The file.
#[derive(Debug)]
pub(super) struct LostFile {
    /// None where it could not be made: then a restart forgets.
    file: Option<File>,
}

impl LostFile {
    /// Opens the file of a store and makes it where there is none; what was lost and not yet told.
    pub(super) fn open(store: &Path) -> (Self, Option<Lost>) {
        let open = || -> io::Result<(File, Option<Lost>)> {
            let file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path(store))?;
            let mut octets = vec![0; OCTETS];
            let read = file.read_at(&mut octets, 0)?;
            if read < OCTETS {
                // Not a hole: its block is taken before the disk is full.
                file.write_all_at(&[b' '; OCTETS], 0)?;
                return Ok((file, None));
            }
            Ok((file, serde_json::from_slice(&octets).ok()))
        };
        match open() {
            Ok((file, lost)) => (Self { file: Some(file) }, lost),
            Err(_) => (Self { file: None }, None),
        }
    }

    /// Writes down what was lost, or that it has been told. A failure leaves what was there.
    pub(super) fn write(&self, lost: Option<&Lost>) {
        let Some(file) = &self.file else { return };
        let mut octets = lost.map_or_else(Vec::new, |lost| {
            let why = lost.why.chars().take(WHY / 4).collect();
            serde_json::to_vec(&Lost { why, ..lost.clone() }).expect("numbers and a text")
        });
        octets.resize(OCTETS, b' ');
        let _ = file.write_all_at(&octets, 0).and_then(|()| file.sync_data());
    }
}

/// The file beside the store.
fn path(store: &Path) -> PathBuf {
    let mut path = store.as_os_str().to_owned();
    path.push("-lost");
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_there_after_a_restart_until_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("g1.sqlite");
        let lost = Lost { count: 3, first: Timestamp(1), last: Timestamp(2), why: "no space".to_owned() };
        let (file, none) = LostFile::open(&store);
        assert_eq!(none, None);
        file.write(Some(&lost));
        let (file, again) = LostFile::open(&store);
        assert_eq!(again, Some(lost.clone()));
        file.write(Some(&Lost { why: "x".repeat(10_000), ..lost }));
        assert_eq!(LostFile::open(&store).1.unwrap().why.len(), WHY / 4);
        file.write(None);
        assert_eq!(LostFile::open(&store).1, None);
        assert_eq!(std::fs::metadata(path(&store)).unwrap().len(), OCTETS as u64);
    }
}
