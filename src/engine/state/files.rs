//! Files, locks and sockets as such: written whole or not at all, for their owner only.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use tokio::net::UnixStream;

use super::StateError;
use crate::{
    control::{Dial, Dialing, Wire},
    names::GroupName,
};

/// The longest path of a Unix socket, in octets (`sun_path` without its final NUL).
pub const MAX_SOCKET_PATH: usize = 107;

pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    move |source| StateError::File { what, path: path.to_owned(), source }
}

/// Held as long as it lives; the system releases it when the process ends, however that happens.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn new(file: File) -> Self {
        Self { _file: file }
    }
}

/// The path of a Unix socket, as short as the system wants it. On Linux a folder whose name is too long is reached through
/// its descriptor, so every state directory works.
#[derive(Debug)]
pub struct SocketPath {
    path: PathBuf,
    _folder: Option<File>,
}

impl SocketPath {
    pub(crate) fn new(folder: &Path, name: &str) -> Result<Self, StateError> {
        let path = folder.join(name);
        if path.as_os_str().len() <= MAX_SOCKET_PATH {
            return Ok(Self { path, _folder: None });
        }
        if !cfg!(target_os = "linux") {
            return Err(StateError::SocketPath(path));
        }
        let open = File::open(folder).map_err(failed("open", folder))?;
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&open);
        Ok(Self { path: PathBuf::from(format!("/proc/self/fd/{descriptor}/{name}")), _folder: Some(open) })
    }

    /// The path, good as long as this value lives.
    pub fn as_path(&self) -> &Path {
        &self.path
    }
}

/// One process serves all groups.
impl Dial for SocketPath {
    fn groups(&self) -> Option<Vec<GroupName>> {
        None
    }

    fn place(&self, _: Option<&GroupName>) -> String {
        self.path.display().to_string()
    }

    fn dial<'a>(&'a self, _: Option<&'a GroupName>) -> Dialing<'a> {
        Box::pin(async { UnixStream::connect(&self.path).await.map(|stream| Box::new(stream) as Box<dyn Wire>) })
    }
}

pub(super) fn make_folder(path: &Path) -> Result<(), StateError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("make the folder", path))
}

pub(super) fn open_lock(path: &Path) -> Result<File, StateError> {
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    open.map_err(failed("open", path))
}

pub(super) fn read_text(path: &Path) -> Result<Option<String>, StateError> {
    let text = read(path)?.map(String::from_utf8).transpose();
    text.map_err(|problem| failed("read", path)(io::Error::new(io::ErrorKind::InvalidData, problem)))
}

pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    match fs::read(path) {
        Ok(octets) => Ok(Some(octets)),
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(problem) => Err(failed("read", path)(problem)),
    }
}

/// Writes the file whole or not at all, whenever the power goes. One that says it already is left alone: waiting for the
/// disk is most of what a command with nothing to do would do.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), StateError> {
    if fs::read(path).is_ok_and(|before| before == content) {
        return Ok(());
    }
    let new = path.with_extension("new");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        // The new name is on the disk when its folder is.
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(failed("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_written_where_it_says_something_else() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("a");
        let number = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(&path).expect("a file"));
        replace(&path, b"one").unwrap();
        let first = number();
        replace(&path, b"one").unwrap();
        assert_eq!(number(), first);
        replace(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
    }

    #[test]
    fn a_socket_path_is_short_enough_whatever_the_folder_is_called() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let base = folder.path().as_os_str().len() + 1;
        let name = "s";
        for length in [MAX_SOCKET_PATH, MAX_SOCKET_PATH + 1, 200] {
            let deep = folder.path().join("x".repeat(length - base - 2));
            fs::create_dir(&deep).unwrap();
            let socket = SocketPath::new(&deep, name).unwrap();
            assert!(socket.as_path().as_os_str().len() <= MAX_SOCKET_PATH);
            std::os::unix::net::UnixListener::bind(socket.as_path()).unwrap();
            assert!(deep.join(name).exists());
        }
    }
}
