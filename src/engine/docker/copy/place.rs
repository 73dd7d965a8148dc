//! Where files of a student's go on the instructor's side: written beside that place first, then moved there at once, or not at
//! all. What is there already stays unless it is to be overwritten, and no symbolic link below the place is followed.

use std::{
    ffi::OsStr,
    fs, io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, openat, renameat, statat};

use crate::trace::visible;

/// Places that are named where something is in the way; of more, how many.
const NAMED: usize = 20;

/// What a copy is called in its staging folder.
const COPY: &str = "copy";

/// What is in the way of a copy.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Blocked {
    /// The places, each with what it is.
    pub places: Vec<String>,
    /// How many more there are.
    pub more: usize,
    /// Whether `--force` would overwrite all of them.
    pub forcible: bool,
}

/// Why a copy did not come to its place.
#[derive(Debug)]
pub enum PlaceError {
    /// Something is there already.
    Blocked(Blocked),
    /// A folder or file of this machine.
    Io(io::Error),
}

/// A copy beside the place that it is for, until it is complete.
pub struct Staging {
    folder: tempfile::TempDir,
    parent: PathBuf,
    name: PathBuf,
    place: PathBuf,
}

impl Staging {
    /// The place that `to` names for a copy called `name`: in it where it is a folder, else itself. A link that the instructor
    /// names for a folder is followed, as they wrote it.
    pub fn new(to: &Path, name: &str, is_folder: bool) -> io::Result<Self> {
        let place = if to.is_dir() { to.join(name) } else { to.to_owned() };
        if !is_folder && place.as_os_str().as_bytes().ends_with(b"/") {
            return Err(missing(&place));
        }
        let own = place.file_name().map(PathBuf::from);
        let own = own.ok_or_else(|| io::Error::other(format!("`{}` is no place for it", place.display())))?;
        let parent = match place.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            Some(_) | None => PathBuf::from("."),
        };
        if !parent.is_dir() {
            return Err(missing(&parent));
        }
        let folder = tempfile::Builder::new().prefix(".labctl-copy-").tempdir_in(&parent);
        let folder = folder
            .map_err(|problem| io::Error::new(problem.kind(), format!("write to `{}`: {problem}", parent.display())))?;
        Ok(Self { folder, parent, name: own, place })
    }

    /// Where the copy is written first.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(COPY)
    }

    /// Moves the copy to its place; with `force` also over files that are there.
    pub fn settle(self, force: bool) -> Result<(), PlaceError> {
        let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent =
            openat(CWD, &self.parent, directory, Mode::empty()).map_err(io::Error::from).map_err(PlaceError::Io)?;
        let mut found = Found { force, blocked: Blocked { forcible: true, ..Blocked::default() } };
        let from = self.path();
        let is_there = found.compare(&from, &parent, self.name.as_os_str(), &self.place).map_err(PlaceError::Io)?;
        if is_there && !force && found.blocked.places.is_empty() {
            found.block(&self.place, "is there already", true);
        }
        if !found.blocked.places.is_empty() {
            return Err(PlaceError::Blocked(found.blocked));
        }
        put(&from, &parent, self.name.as_os_str()).map_err(PlaceError::Io)
    }
}

/// What was found at the places of a copy.
struct Found {
    force: bool,
    blocked: Blocked,
}

impl Found {
    fn block(&mut self, place: &Path, what: &str, forcible: bool) {
        self.blocked.forcible &= forcible;
        if self.blocked.places.len() < NAMED {
            self.blocked.places.push(format!("`{}` {what}", visible(&place.to_string_lossy())));
        } else {
            self.blocked.more += 1;
        }
    }

    /// Notes what is in the way of `from` at `name` in `folder`, and below; whether anything is there.
    fn compare(&mut self, from: &Path, folder: &OwnedFd, name: &OsStr, place: &Path) -> io::Result<bool> {
        let Some(there) = kind(folder, name)? else { return Ok(false) };
        let is_folder = fs::symlink_metadata(from)?.is_dir();
        match (is_folder, there) {
            (_, FileType::Symlink) => self.block(place, "is a symbolic link", false),
            (true, FileType::Directory) => {
                let below = open(folder, name)?;
                for entry in entries(from)? {
                    self.compare(&from.join(&entry), &below, &entry, &place.join(&entry))?;
                }
            }
            (false, FileType::RegularFile) if self.force => {}
            (false, FileType::RegularFile) => self.block(place, "is there already", true),
            (true, _) => self.block(place, "is there already, and no folder", false),
            (false, _) => self.block(place, "is there already, and no file", false),
        }
        Ok(true)
    }
}

/// Moves `from` to `name` in `folder`: a file over a file, a folder into a folder. A link that appeared meanwhile is replaced
/// by a file or stops a folder; it is not followed.
fn put(from: &Path, folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let is_folder = fs::symlink_metadata(from)?.is_dir();
    if is_folder && kind(folder, name)?.is_some() {
        let below = open(folder, name)?;
        return entries(from)?.iter().try_for_each(|entry| put(&from.join(entry), &below, entry));
    }
    Ok(renameat(CWD, from, folder, name)?)
}

fn open(folder: &OwnedFd, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(folder, name, flags, Mode::empty())?)
}

fn kind(folder: &OwnedFd, name: &OsStr) -> io::Result<Option<FileType>> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => Ok(Some(FileType::from_raw_mode(found.st_mode))),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(problem) => Err(problem.into()),
    }
}

fn entries(folder: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    let mut entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    Ok(entries)
}

fn missing(folder: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("there is no folder `{}` here", folder.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Stages a folder `x/y`, `z` or a file, and moves it.
    fn copy(to: &Path, is_folder: bool, force: bool) -> Result<(), PlaceError> {
        let staging = Staging::new(to, "ana", is_folder).map_err(PlaceError::Io)?;
        if is_folder {
            fs::create_dir_all(staging.path().join("x")).expect("a folder");
            fs::write(staging.path().join("x/y"), "new").expect("a file");
            fs::write(staging.path().join("z"), "new").expect("a file");
        } else {
            fs::write(staging.path(), "new").expect("a file");
        }
        staging.settle(force)
    }

    fn blocked(copied: Result<(), PlaceError>, folder: &Path) -> (Vec<String>, bool) {
        match copied {
            Err(PlaceError::Blocked(Blocked { places, forcible, .. })) => {
                let own = format!("{}/", folder.display());
                (places.into_iter().map(|place| place.replace(&own, "")).collect(), forcible)
            }
            other => panic!("{other:?}"),
        }
    }

    fn read(path: PathBuf) -> String {
        fs::read_to_string(path).expect("a file")
    }

    #[test]
    fn a_folder_goes_into_a_folder_that_is_there_else_it_is_called_so() {
        let folder = tempfile::tempdir().unwrap();
        copy(folder.path(), true, false).unwrap();
        copy(&folder.path().join("other"), true, false).unwrap();
        copy(&folder.path().join("file"), false, false).unwrap();
        for place in ["ana/x/y", "other/z", "file"] {
            assert_eq!(read(folder.path().join(place)), "new", "{place}");
        }
        assert_eq!(entries(folder.path()).unwrap(), ["ana", "file", "other"], "nothing else is left");
        for place in ["none/file", "none/"] {
            assert!(matches!(copy(&folder.path().join(place), false, true), Err(PlaceError::Io(_))), "{place}");
        }
    }

    #[test]
    fn what_is_there_already_stays_and_is_named_unless_forced() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path();
        fs::create_dir_all(to.join("ana/x")).unwrap();
        assert_eq!(blocked(copy(to, true, false), to), (vec!["`ana` is there already".to_owned()], true));
        fs::write(to.join("ana/x/y"), "old").unwrap();
        fs::write(to.join("ana/own"), "old").unwrap();
        assert_eq!(blocked(copy(to, true, false), to), (vec!["`ana/x/y` is there already".to_owned()], true));
        assert_eq!(read(to.join("ana/x/y")), "old");
        assert!(!to.join("ana/z").exists(), "nothing was copied");
        copy(to, true, true).unwrap();
        assert_eq!(["ana/x/y", "ana/z", "ana/own"].map(|place| read(to.join(place))), ["new", "new", "old"]);
        let (places, forcible) = blocked(copy(&to.join("ana/z"), true, true), to);
        assert_eq!((places, forcible), (vec!["`ana/z` is there already, and no folder".to_owned()], false));
        let to = to.join("ana");
        fs::create_dir(to.join("ana")).unwrap();
        assert!(!blocked(copy(&to, false, true), &to).1, "a file does not replace a folder");
    }

    #[test]
    fn no_link_is_followed_at_any_depth() {
        let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (to, away) = (folder.path(), elsewhere.path());
        fs::create_dir(away.join("x")).unwrap();
        let link = |at: &str, target: &Path| {
            let _ = fs::remove_dir_all(to.join("ana"));
            fs::create_dir_all(to.join("ana/x")).unwrap();
            let _ = fs::remove_dir(to.join(at));
            symlink(target, to.join(at)).unwrap();
        };
        for (at, target) in [("ana/x/y", away.join("y")), ("ana/x", away.join("x")), ("ana/z", away.join("z"))] {
            link(at, &target);
            let (places, forcible) = blocked(copy(to, true, true), to);
            assert_eq!((places, forcible), (vec![format!("`{at}` is a symbolic link")], false));
            assert!(!to.join("ana/z").exists(), "nothing was copied");
        }
        fs::remove_dir_all(to.join("ana")).unwrap();
        symlink(away, to.join("ana")).unwrap();
        assert!(!blocked(copy(to, true, true), to).1);
        symlink(away.join("dangling"), to.join("named")).unwrap();
        assert!(!blocked(copy(&to.join("named"), false, true), to).1);
        assert_eq!(entries(away).unwrap(), ["x"]);
        assert_eq!(entries(&away.join("x")).unwrap().len(), 0);
    }

    #[test]
    fn of_what_is_in_the_way_so_many_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let mut found = Found { force: false, blocked: Blocked::default() };
        (0..=NAMED).for_each(|_| found.block(folder.path(), "is there already", true));
        assert_eq!((found.blocked.places.len(), found.blocked.more), (NAMED, 1));
    }
}
