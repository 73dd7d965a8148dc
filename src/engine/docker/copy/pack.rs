//! An instructor's file or folder as an archive for a student's home: it becomes the student's own.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use super::{Copied, MAX_ENTRIES};
use crate::engine::docker::make::CLIENT_NUMBER;

/// Writes an archive of `from`, which is called `name` there and has at most so many octets. Links are left out: they would lead elsewhere there.
pub fn pack(from: &Path, name: &str, most: u64, archive: impl Write) -> io::Result<Copied> {
    let mut archive = tar::Builder::new(archive);
    let mut copied = Copied::default();
    let mut entries = 0;
    let mut waiting = vec![(from.to_owned(), Path::new(name).to_owned())];
    while let Some((path, name)) = waiting.pop() {
        entries += 1;
        if entries > MAX_ENTRIES {
            return Err(io::Error::other(format!("there are more than {MAX_ENTRIES} files in it")));
        }
        // The one that was named may be a link: its owner named it.
        let found = if path == from { fs::metadata(&path)? } else { fs::symlink_metadata(&path)? };
        let mut header = tar::Header::new_gnu();
        header.set_uid(CLIENT_NUMBER);
        header.set_gid(CLIENT_NUMBER);
        header.set_mode(if found.permissions().mode() & 0o100 == 0 { 0o644 } else { 0o755 });
        let modified = found.modified().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        header.set_mtime(modified.unwrap_or_default().as_secs());
        if found.is_dir() {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_size(0);
            archive.append_data(&mut header, &name, io::empty())?;
            let mut below: Vec<_> = fs::read_dir(&path)?.collect::<io::Result<_>>()?;
            below.sort_by_key(fs::DirEntry::file_name);
            waiting.extend(below.into_iter().rev().map(|entry| (entry.path(), name.join(entry.file_name()))));
        } else if found.is_file() {
            copied.files += 1;
            copied.octets += found.len();
            if copied.octets > most {
                return Err(io::Error::other(format!("it has more than {most} octets")));
            }
            header.set_size(found.len());
            // A file that grows meanwhile must not break the archive.
            let content = io::Read::take(fs::File::open(&path)?, found.len());
            archive.append_data(&mut header, &name, content)?;
        } else {
            copied.leave_out(&path, "it is no file and no folder");
        }
    }
    archive.into_inner()?.flush()?;
    Ok(copied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_becomes_the_students_and_its_links_stay_here() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("given");
        fs::create_dir_all(from.join("src")).unwrap();
        fs::write(from.join("src/a.c"), "int").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", from.join("link")).unwrap();
        let mut archive = Vec::new();
        assert!(pack(&from, "work", 2, io::sink()).is_err());
        let copied = pack(&from, "work", 3, &mut archive).unwrap();
        assert_eq!((copied.files, copied.octets, copied.left_out.len()), (1, 3, 1));
        let mut archive = tar::Archive::new(archive.as_slice());
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            (entry.path().unwrap().display().to_string(), entry.header().uid().unwrap())
        });
        let expected =
            ["work/", "work/src/", "work/src/a.c"].map(|name| (name.trim_end_matches('/').to_owned(), CLIENT_NUMBER));
        assert_eq!(
            entries.map(|(name, uid)| (name.trim_end_matches('/').to_owned(), uid)).collect::<Vec<_>>(),
            expected
        );
    }
}
