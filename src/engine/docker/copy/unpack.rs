//! An archive of a student's files, written into a folder of its own. What is in it the student has chosen: only files and
//! folders are written, only below the path that was named, and no link is followed or made.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read},
    os::unix::fs::OpenOptionsExt as _,
    path::{Component, Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use tar::{Entry, EntryType};

use super::{Copied, MAX_ENTRIES};
use crate::trace::visible;

/// Files that are named when they are left out; of more, how many.
const NAMED: usize = 20;

/// Writes the archive's one file or folder as `to`, where nothing is yet: files of `most` octets together at most.
pub fn unpack(archive: impl Read, to: &Path, most: u64) -> io::Result<Copied> {
    let mut unpacking = Unpacking { to, most, copied: Copied::default(), written: BTreeMap::new() };
    for (count, entry) in tar::Archive::new(archive).entries()?.enumerate() {
        if count == MAX_ENTRIES {
            return Err(io::Error::other(format!("there are more than {MAX_ENTRIES} files in it")));
        }
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if let Some(why) = unpacking.take(&path, &mut entry)? {
            unpacking.copied.leave_out(&path, why);
        }
    }
    Ok(unpacking.copied)
}

struct Unpacking<'a> {
    to: &'a Path,
    most: u64,
    copied: Copied,
    /// Where a file of the archive has gone, for others that are the same file (hard links).
    written: BTreeMap<PathBuf, PathBuf>,
}

impl Unpacking<'_> {
    /// Writes an entry; why it is left out, where it is.
    fn take(&mut self, path: &Path, entry: &mut Entry<'_, impl Read>) -> io::Result<Option<&'static str>> {
        let Some(rest) = below(path) else { return Ok(Some("its name leads elsewhere")) };
        let place = if rest.as_os_str().is_empty() { self.to.to_owned() } else { self.to.join(rest) };
        match entry.header().entry_type() {
            EntryType::Directory => or_left_out(&place, fs::create_dir_all(&place)),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                let (mode, modified) = (entry.header().mode()?, entry.header().mtime().unwrap_or_default());
                let left_out = self.file(entry, &place, mode)?;
                if left_out.is_none() {
                    // A file says when the student last worked on it.
                    let modified = UNIX_EPOCH + Duration::from_secs(modified.min(u64::from(u32::MAX)));
                    let _ = File::open(&place).and_then(|file| file.set_modified(modified));
                    self.written.insert(path.to_owned(), place);
                }
                Ok(left_out)
            }
            EntryType::Link => match entry.link_name()?.and_then(|same| self.written.get(same.as_ref())) {
                Some(same) if *same == place => Ok(None),
                Some(same) => {
                    let mut same = File::open(same)?;
                    self.file(&mut same, &place, 0o644)
                }
                None => Ok(Some("it is a link")),
            },
            EntryType::Symlink => Ok(Some("it is a link")),
            _ => Ok(Some("it is no file and no folder")),
        }
    }

    fn file(&mut self, content: &mut impl Read, place: &Path, mode: u32) -> io::Result<Option<&'static str>> {
        let mode = if mode & 0o100 == 0 { 0o644 } else { 0o755 };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(mode);
        // Folders come before what is in them where an honest program wrote the archive.
        let folder = place.parent().filter(|_| place != self.to).map_or(Ok(()), fs::create_dir_all);
        let mut file = match folder.and_then(|()| options.open(place)) {
            Ok(file) => file,
            Err(problem) => return or_left_out(place, Err(problem)),
        };
        // A file with holes may say that it is of any size.
        let left = self.most - self.copied.octets;
        let octets = io::copy(&mut content.take(left.saturating_add(1)), &mut file)?;
        if octets > left {
            return Err(io::Error::other(format!("it has more than {} octets", self.most)));
        }
        self.copied.octets += octets;
        self.copied.files += 1;
        Ok(None)
    }
}

impl Copied {
    pub(super) fn leave_out(&mut self, path: &Path, why: &str) {
        if self.left_out.len() < NAMED {
            self.left_out.push(format!("`{}`: {why}", visible(&path.to_string_lossy())));
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

/// What a student's names alone can cause is left out, so that it does not keep the rest from being copied.
fn or_left_out(place: &Path, made: io::Result<()>) -> io::Result<Option<&'static str>> {
    match made {
        Ok(()) => Ok(None),
        Err(problem) => match problem.kind() {
            ErrorKind::InvalidFilename | ErrorKind::InvalidInput => Ok(Some("no file here can have its name")),
            ErrorKind::AlreadyExists | ErrorKind::IsADirectory | ErrorKind::NotADirectory => {
                Ok(Some("it is there twice, as a file and as a folder"))
            }
            _ => {
                let place = visible(&place.to_string_lossy());
                Err(io::Error::new(problem.kind(), format!("write `{place}`: {problem}")))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    /// Octets that may be copied.
    const MOST: u64 = 10;

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
            unpack(self.0.into_inner().expect("memory").as_slice(), to, MOST)
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

    /// Entries of an archive by name, kind and link; what is written; why the rest is left out.
    type Hostile<'a> = (&'a [(&'a str, EntryType, &'a str)], &'a [&'a str], &'a str);

    /// What a student puts into an archive, and what becomes of it: what is written, and why the rest is left out.
    #[test]
    fn what_is_hostile_is_left_out_and_the_rest_is_copied() {
        use EntryType::{Block, Char, Directory, Fifo, Link, Regular, Symlink};
        const ELSEWHERE: &str = "its name leads elsewhere";
        const LINK: &str = "it is a link";
        const SPECIAL: &str = "it is no file and no folder";
        const TWICE: &str = "it is there twice, as a file and as a folder";
        let long = "n".repeat(90);
        let deep = format!("work/{long}");
        let table: &[Hostile<'_>] = &[
            (&[("work/../../../out", Regular, "")], &[], ELSEWHERE),
            (&[("work/a/../../../out", Regular, "")], &[], ELSEWHERE),
            (&[("..", Directory, "")], &[], ELSEWHERE),
            (&[("/work/out", Regular, "")], &[], ELSEWHERE),
            (&[("/", Directory, "")], &[], ELSEWHERE),
            (&[("./work/a", Regular, "")], &["a"], ""),
            (&[("work/link", Symlink, "/tmp")], &[], LINK),
            (&[("work/link", Symlink, "../out"), ("work/link", Regular, "")], &["link"], LINK),
            (&[("work/link", Symlink, "../.."), ("work/link/out", Regular, "")], &["link"], LINK),
            (&[("work", Symlink, ".."), ("work/out", Regular, "")], &["out"], LINK),
            (&[("work/hard", Link, "/etc/passwd")], &[], LINK),
            (&[("work/hard", Link, "work/../../out")], &[], LINK),
            (&[("work/a", Regular, ""), ("work/a", Link, "work/a")], &["a"], ""),
            (&[("work/pipe", Fifo, ""), ("work/tty", Char, ""), ("work/disk", Block, "")], &[], SPECIAL),
            (&[("work/a", Regular, ""), ("work/a/b", Regular, "")], &["a"], TWICE),
            (&[("work/a", Regular, ""), ("work/a", Directory, "")], &["a"], TWICE),
            (&[("work/a", Directory, ""), ("work/a", Regular, "")], &["a"], TWICE),
            (&[("work/a", Regular, ""), ("work/a", Regular, "")], &["a"], ""),
            (&[(&deep, Regular, "")], &[&long], ""),
            (&[("work/\x1b]52;c;eA==\x07", Regular, "")], &["\x1b]52;c;eA==\x07"], ""),
            (&[("work/\x1b[2J", Fifo, "")], &[], SPECIAL),
        ];
        for (entries, written, why) in table {
            let folder = tempfile::tempdir().unwrap();
            let to = folder.path().join("in/ana");
            fs::create_dir_all(&to).unwrap();
            let evil = entries.iter().fold(Evil::new(), |evil, (name, kind, link)| evil.add(name, *kind, link, ""));
            let copied = evil.unpack(&to).unwrap();
            let found: Vec<_> = fs::read_dir(&to).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(found, *written, "{entries:?}");
            assert!(copied.left_out.iter().all(|left| left.ends_with(why) && !left.contains('\x1b')), "{copied:?}");
            assert_eq!(copied.left_out.is_empty(), why.is_empty(), "{entries:?}");
            assert!(!folder.path().join("out").exists() && !folder.path().join("in/out").exists(), "{entries:?}");
            assert!(!to.join("link").is_symlink() && !to.join("hard").exists(), "{entries:?}");
        }
    }

    #[test]
    fn a_name_that_no_file_can_have_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = tar::Builder::new(Vec::new());
        for name in ["work/".to_owned() + &"n".repeat(256), "work/".to_owned() + &"d/".repeat(2_100) + "x"] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(EntryType::Regular);
            header.set_size(0);
            header.set_mode(0o644);
            archive.append_data(&mut header, name, io::empty()).unwrap();
        }
        let archive = archive.into_inner().unwrap();
        let copied = unpack(archive.as_slice(), &folder.path().join("ana"), MOST).unwrap();
        assert_eq!((copied.files, copied.left_out.len()), (0, 2), "{:?}", copied.left_out);
    }

    #[test]
    fn so_many_octets_and_not_one_more() {
        let folder = tempfile::tempdir().unwrap();
        let archive = |second: &str| {
            Evil::new().add("work/a", EntryType::Regular, "", "12345").add("work/b", EntryType::Regular, "", second)
        };
        assert_eq!(archive("12345").unpack(&folder.path().join("a")).unwrap().octets, MOST);
        assert!(archive("123456").unpack(&folder.path().join("b")).is_err());
        let links =
            archive("").add("work/c", EntryType::Link, "work/a", "").add("work/d", EntryType::Link, "work/a", "");
        assert!(links.unpack(&folder.path().join("c")).is_err(), "also where a file is there many times");
    }

    /// A file of holes: an archive of three blocks that says it is a terabyte.
    #[test]
    fn holes_do_not_fill_a_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_path("work/holes").unwrap();
        header.set_entry_type(EntryType::GNUSparse);
        header.set_mode(0o644);
        header.set_size(0);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.set_real_size(1 << 40);
        gnu.sparse[0].set_offset(1 << 40);
        gnu.sparse[0].set_length(0);
        header.set_cksum();
        let archive = [header.as_bytes().as_slice(), &[0; 1_024]].concat();
        let problem = unpack(archive.as_slice(), &folder.path().join("ana"), MOST).unwrap_err();
        assert!(problem.to_string().contains("more than 10 octets"), "{problem}");
    }

    #[test]
    fn of_what_is_left_out_so_many_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let links = (0..=NAMED).fold(Evil::new(), |evil, _| evil.add("work/link", EntryType::Symlink, "/tmp", ""));
        let copied = links.unpack(folder.path()).unwrap();
        assert_eq!((copied.left_out.len(), copied.more_left_out), (NAMED, 1));
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
