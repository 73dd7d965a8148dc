//! An archive of a student's files, written where the instructor wants it. What is in it the student has chosen: only files
//! and folders are written, only below the place that was named, and no link is followed or made.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt as _,
    path::{Component, Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use tar::EntryType;

use super::{Copied, MAX_ENTRIES};

/// Files that are named when they are left out; of more, how many.
const NAMED: usize = 20;

/// Writes the archive's one file or folder as `to`.
pub fn unpack(archive: impl Read, to: &Path) -> io::Result<Copied> {
    let mut copied = Copied::default();
    // Where a file of the archive has gone, for others that are the same file (hard links).
    let mut written: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    for (count, entry) in tar::Archive::new(archive).entries()?.enumerate() {
        if count == MAX_ENTRIES {
            return Err(io::Error::other(format!("there are more than {MAX_ENTRIES} files in it")));
        }
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let Some(place) =
            below(&path).map(|rest| if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) })
        else {
            copied.leave_out(&path, "its name leads elsewhere");
            continue;
        };
        match entry.header().entry_type() {
            EntryType::Directory => make_folder(&place)?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let mode = entry.header().mode()?;
                let mut file = create(&place, mode)?;
                copied.octets += io::copy(&mut entry, &mut file)?;
                copied.files += 1;
                // A file says when the student last worked on it.
                let modified = entry.header().mtime().unwrap_or_default();
                let _ = file.set_modified(UNIX_EPOCH + Duration::from_secs(modified.min(u64::from(u32::MAX))));
                written.insert(path, place);
            }
            EntryType::Link => match entry.link_name()?.and_then(|same| written.get(same.as_ref())) {
                Some(same) => {
                    copied.octets += io::copy(&mut File::open(same)?, &mut create(&place, 0o644)?)?;
                    copied.files += 1;
                }
                None => copied.leave_out(&path, "it is a link"),
            },
            EntryType::Symlink => copied.leave_out(&path, "it is a link"),
            _ => copied.leave_out(&path, "it is no file and no folder"),
        }
    }
    Ok(copied)
}

impl Copied {
    pub(super) fn leave_out(&mut self, path: &Path, why: &str) {
        if self.left_out.len() < NAMED {
            self.left_out.push(format!("`{}`: {why}", path.display()));
        } else {
            self.more_left_out += 1;
        }
    }
}

/// The path without its first name, which the place stands for; none where a name of it is no plain name.
fn below(path: &Path) -> Option<PathBuf> {
    let mut names = path.components().filter(|name| *name != Component::CurDir);
    let plain = |name: Component<'_>| matches!(name, Component::Normal(_));
    names.next().filter(|name| plain(*name))?;
    names.map(|name| plain(name).then_some(name)).collect()
}

fn make_folder(place: &Path) -> io::Result<()> {
    match fs::symlink_metadata(place) {
        Ok(found) if found.is_dir() => Ok(()),
        // The place itself may be a link of the instructor's; below it none is followed.
        Ok(_) => Err(named(place, "is there already and no folder")),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => {
            fs::create_dir(place).map_err(|problem| named(place, &problem.to_string()))
        }
        Err(problem) => Err(named(place, &problem.to_string())),
    }
}

fn create(place: &Path, mode: u32) -> io::Result<File> {
    match fs::symlink_metadata(place) {
        Ok(found) if !found.is_file() => return Err(named(place, "is there already and no file")),
        Ok(_) | Err(_) => {}
    }
    let mode = if mode & 0o100 == 0 { 0o644 } else { 0o755 };
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(mode);
    options.open(place).map_err(|problem| named(place, &problem.to_string()))
}

fn named(place: &Path, why: &str) -> io::Error {
    io::Error::other(format!("`{}` {why}", place.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    /// An archive with entries as no honest program would write them.
    struct Evil(tar::Builder<Vec<u8>>);

    impl Evil {
        fn new() -> Self {
            Self(tar::Builder::new(Vec::new()))
        }

        fn add(mut self, name: &str, kind: EntryType, link: &str, content: &str) -> Self {
            let mut header = tar::Header::new_gnu();
            let old = header.as_old_mut();
            old.name[..name.len()].copy_from_slice(name.as_bytes());
            old.linkname[..link.len()].copy_from_slice(link.as_bytes());
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            header.set_mode(0o6777);
            header.set_mtime(1_000);
            header.set_cksum();
            self.0.append(&header, content.as_bytes()).expect("memory");
            self
        }

        fn unpack(self, to: &Path) -> io::Result<Copied> {
            unpack(self.0.into_inner().expect("memory").as_slice(), to)
        }
    }

    #[test]
    fn a_folder_is_written_with_its_files_and_nothing_else_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("ana");
        let evil =
            Evil::new().add("work/", EntryType::Directory, "", "").add("work/a.c", EntryType::Regular, "", "int");
        let copied = evil.add("work/same.c", EntryType::Link, "work/a.c", "").unpack(&to).unwrap();
        assert_eq!((copied.files, copied.octets, copied.left_out.len()), (2, 6, 0));
        assert_eq!(fs::read_to_string(to.join("same.c")).unwrap(), "int");
        let found = fs::metadata(to.join("a.c")).unwrap();
        assert_eq!((found.permissions().mode() & 0o7000, found.mtime()), (0, 1_000), "no set-user-id bit is kept");
    }

    #[test]
    fn what_leads_elsewhere_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("in/ana");
        fs::create_dir_all(&to).unwrap();
        let evil = Evil::new()
            .add("work/../../../out", EntryType::Regular, "", "x")
            .add("/work/out", EntryType::Regular, "", "x")
            .add("work/link", EntryType::Symlink, "/tmp", "")
            .add("work/hard", EntryType::Link, "/etc/passwd", "")
            .add("work/pipe", EntryType::Fifo, "", "")
            .add("work/disk", EntryType::Block, "", "");
        let copied = evil.unpack(&to).unwrap();
        assert_eq!((copied.files, copied.left_out.len()), (0, 6), "{:?}", copied.left_out);
        assert_eq!(fs::read_dir(&to).unwrap().count(), 0);
        assert!(!folder.path().join("out").exists());
    }

    #[test]
    fn of_what_is_left_out_so_many_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let links = (0..=NAMED).fold(Evil::new(), |evil, _| evil.add("work/link", EntryType::Symlink, "/tmp", ""));
        let copied = links.unpack(folder.path()).unwrap();
        assert_eq!((copied.left_out.len(), copied.more_left_out), (NAMED, 1));
    }

    #[test]
    fn a_file_is_not_written_through_a_link_or_over_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (to, target) = (folder.path().join("ana"), folder.path().join("target"));
        fs::create_dir(&to).unwrap();
        std::os::unix::fs::symlink(&target, to.join("a.c")).unwrap();
        let evil = Evil::new().add("work/a.c", EntryType::Regular, "", "x");
        assert!(evil.unpack(&to).unwrap_err().to_string().contains("no file"));
        assert!(!target.exists());
    }

    #[test]
    fn so_many_entries_and_not_one_more() {
        let folder = tempfile::tempdir().unwrap();
        let archive =
            |count: usize| (0..count).fold(Evil::new(), |evil, _| evil.add("work/", EntryType::Directory, "", ""));
        assert!(archive(MAX_ENTRIES).unpack(&folder.path().join("a")).is_ok());
        assert!(archive(MAX_ENTRIES + 1).unpack(&folder.path().join("b")).is_err());
    }
}
