//! Files into and out of a student's home, through the Engine's archive API, so that it works whether the container runs,
//! waits or is frozen. The student has a shell there: the container is held while the Engine looks at its files, so that
//! nothing is exchanged for a link meanwhile, and no link is followed. What comes out is written by `unpack`, and comes to its
//! place by `place`.

mod pack;
mod path;
mod place;
mod unpack;

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use bollard::{
    body_try_stream,
    query_parameters::{ContainerArchiveInfoOptions, DownloadFromContainerOptions, UploadToContainerOptions},
};
use hyper::body::Bytes;
use tokio::sync::mpsc;
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};

pub use path::HomePath;
pub use place::Blocked;
use place::{PlaceError, Staging};

use super::{Docker, DockerError, expected, failed, make::HOME, status, told};
use crate::{
    lab::{GroupName, Login},
    plan::docker::State,
};

/// The most that is copied at once: a home is a part of it unless its limit was raised.
const MAX_OCTETS: u64 = 1 << 30;

/// The most files and folders.
const MAX_ENTRIES: usize = 100_000;

/// What an archive adds to each file, at most: headers for it and for a long name.
const OVERHEAD: u64 = 4 << 10;

/// Octets of an archive that are sent at once, and how many such pieces may wait.
const CHUNK: usize = 64 << 10;
const CHUNKS: usize = 4;

/// The bits of a mode by which the Engine tells folders and links (Go's `fs.FileMode`).
const FOLDER: u32 = 1 << 31;
const LINK: u32 = 1 << 27;

/// What was copied.
#[derive(Debug, Default)]
pub struct Copied {
    /// Files.
    pub files: u64,
    /// Their octets together.
    pub octets: u64,
    /// What was left out, and why.
    pub left_out: Vec<String>,
    /// How many more were.
    pub more_left_out: u64,
    /// Why the student's programs went on meanwhile, where the Engine cannot hold them.
    pub not_held: Option<String>,
}

impl Docker {
    /// Copies a file or folder of a student's home to `to`; into it, where that is a folder: a home under the student's login.
    /// Where anything is there already, nothing is copied; with `force` files are overwritten.
    pub async fn copy_out(
        &self,
        group: &GroupName,
        login: &Login,
        from: &HomePath,
        to: &Path,
        force: bool,
    ) -> Result<Copied, DockerError> {
        let (whose, to) = (format!("{login}:{from}"), to.to_owned());
        let asked = from.clone();
        let archive =
            self.held(group, login, async move |docker: &Self, id: &str| docker.archive(id, &asked, &whose).await);
        let ((archive, is_folder), not_held) = archive.await?;
        let whose = format!("{login}:{from}");
        let name = from.names().last().cloned().unwrap_or_else(|| login.to_string());
        let unpacked = tokio::task::spawn_blocking(move || {
            let staging = Staging::new(&to, &name, is_folder).map_err(PlaceError::Io)?;
            let copied = unpack::unpack(archive, &staging.path(), MAX_OCTETS).map_err(PlaceError::Io)?;
            staging.settle(force).map(|()| copied)
        });
        match unpacked.await.unwrap_or_else(|problem| Err(PlaceError::Io(io::Error::other(problem)))) {
            Ok(copied) => Ok(Copied { not_held, ..copied }),
            Err(PlaceError::Io(problem)) => Err(not_copied(whose)(problem)),
            Err(PlaceError::Blocked(blocked)) => Err(DockerError::Blocked { whose, blocked }),
        }
    }

    /// Copies a file or folder into a student's home.
    pub async fn copy_in(
        &self,
        group: &GroupName,
        login: &Login,
        from: &Path,
        to: &HomePath,
    ) -> Result<Copied, DockerError> {
        let (whose, to, from) = (format!("{login}:{to}"), to.clone(), from.to_owned());
        let put = async move |docker: &Self, id: &str| docker.put(id, &from, &to, &whose).await;
        let (copied, not_held) = self.held(group, login, put).await?;
        Ok(Copied { not_held, ..copied })
    }

    /// Does something with a container of which no process runs meanwhile; or why they ran. Then a student could exchange a
    /// folder for a link, which an Engine follows inside the container only: into what the student may have anyway.
    async fn held<T>(
        &self,
        group: &GroupName,
        login: &Login,
        work: impl AsyncFnOnce(&Self, &str) -> Result<T, DockerError>,
    ) -> Result<(T, Option<String>), DockerError> {
        let (_, found) = self.client_of(group, login).await?;
        let runs = found.state == State::Running;
        let mut not_held = None;
        if runs {
            let held = expected(self.api.pause_container(&found.id).await, &[304, 409]);
            not_held = held.err().map(|answer| told(&answer));
        }
        // Whoever stops us must not leave it held.
        let done = tokio::select! {
            done = work(self, &found.id) => done,
            _ = tokio::signal::ctrl_c() => Err(DockerError::Stopped),
        };
        let resumed = if runs && not_held.is_none() { self.resume(&found.id).await } else { Ok(()) };
        resumed.and(done).map(|done| (done, not_held))
    }

    /// The archive of a file or folder, in a file without a name, and whether it is a folder.
    async fn archive(&self, id: &str, from: &HomePath, whose: &str) -> Result<(File, bool), DockerError> {
        let mode = self.look(id, from, whose).await?;
        let absent = || DockerError::Copying {
            whose: whose.to_owned(),
            source: io::Error::new(io::ErrorKind::NotFound, "it was not found"),
        };
        let mode = mode.ok_or_else(absent)?;
        let options = DownloadFromContainerOptions { path: from.absolute() };
        let mut chunks = std::pin::pin!(self.api.download_from_container(id, Some(options)));
        let mut file = tempfile::tempfile().map_err(not_copied(whose))?;
        let mut room = Room(MAX_OCTETS + MAX_ENTRIES as u64 * OVERHEAD);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(failed(format!("read `{whose}`")))?;
            room.take(chunk.len()).map_err(not_copied(whose))?;
            file.write_all(&chunk).map_err(not_copied(whose))?;
        }
        file.rewind().map_err(not_copied(whose))?;
        Ok((file, mode & FOLDER != 0))
    }

    async fn put(&self, id: &str, from: &Path, to: &HomePath, whose: &str) -> Result<Copied, DockerError> {
        let wrong = |why: String| DockerError::Copying { whose: whose.to_owned(), source: io::Error::other(why) };
        let own_name = || {
            let path: PathBuf = from.canonicalize().map_err(not_copied(whose))?;
            let name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
            name.ok_or_else(|| wrong("a name is text".into()))
        };
        let mode = self.look(id, to, whose).await?;
        let folder = match to.folder() {
            Some(folder) if mode.is_none() => self.look(id, &folder, whose).await?,
            Some(_) | None => Some(FOLDER),
        };
        let to = match mode {
            Some(mode) if mode & FOLDER != 0 => to.join(&own_name()?),
            // Some Engines would make the folder, as root's.
            None if to.is_folder || folder.is_none_or(|mode| mode & FOLDER == 0) => {
                return Err(wrong("there is no such folder".into()));
            }
            Some(_) if to.is_folder => return Err(wrong("it is no folder".into())),
            Some(_) | None => to.clone(),
        };
        if self.look(id, &to, whose).await?.is_some_and(|mode| (mode & FOLDER != 0) != from.is_dir()) {
            return Err(wrong("a file does not replace a folder, nor a folder a file".into()));
        }
        let (folder, name) = to.split().expect("a home is a folder, and something in it is meant");
        let (from, name) = (from.to_owned(), name.to_owned());
        let packed = tokio::task::spawn_blocking(move || {
            let mut file = tempfile::tempfile()?;
            let copied = pack::pack(&from, &name, MAX_OCTETS, io::BufWriter::new(&mut file))?;
            file.rewind()?;
            Ok((file, copied))
        });
        let packed = packed.await.unwrap_or_else(|problem| Err(io::Error::other(problem)));
        let (file, copied) = packed.map_err(not_copied(whose))?;
        let options = UploadToContainerOptions {
            path: folder,
            no_overwrite_dir_non_dir: Some("true".into()),
            ..Default::default()
        };
        let sent = self.api.upload_to_container(id, Some(options), body_try_stream(chunks(file))).await;
        sent.map_err(failed(format!("write `{whose}`")))?;
        Ok(copied)
    }

    /// The mode of what is there, if anything is. A link on the way, or at its end, is an error.
    async fn look(&self, id: &str, path: &HomePath, whose: &str) -> Result<Option<u32>, DockerError> {
        let mut mode = Some(FOLDER);
        for path in path.prefixes() {
            let options = ContainerArchiveInfoOptions { path: path.clone() };
            mode = match self.api.get_container_archive_info(id, Some(options)).await {
                Ok(found) => Some(found.file_mode),
                Err(answer) if status(&answer) == Some(404) => None,
                Err(answer) => return Err(failed(format!("look for `{whose}`"))(answer)),
            };
            if mode.is_some_and(|mode| mode & LINK != 0) {
                let name = path.strip_prefix(HOME).unwrap_or(&path).trim_start_matches('/').to_owned();
                let source = io::Error::other(format!("`{name}` is a link, and links are not followed"));
                return Err(DockerError::Copying { whose: whose.to_owned(), source });
            }
            if mode.is_none() {
                break;
            }
        }
        Ok(mode)
    }
}

/// What of an archive may still come.
struct Room(u64);

impl Room {
    fn take(&mut self, octets: usize) -> io::Result<()> {
        let left = self.0.checked_sub(octets as u64);
        self.0 = left.ok_or_else(|| io::Error::other(format!("it has more than {MAX_OCTETS} octets")))?;
        Ok(())
    }
}

fn not_copied(whose: impl Into<String>) -> impl FnOnce(io::Error) -> DockerError {
    let whose = whose.into();
    move |source| DockerError::Copying { whose, source }
}

/// A file in pieces.
fn chunks(mut file: File) -> ReceiverStream<io::Result<Bytes>> {
    let (send, receive) = mpsc::channel(CHUNKS);
    tokio::task::spawn_blocking(move || {
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = file.read(&mut chunk);
            let ended = !matches!(read, Ok(count) if count > 0);
            let piece = read.map(|count| {
                chunk.truncate(count);
                chunk.into()
            });
            if piece.as_ref().is_ok_and(Bytes::is_empty) || send.blocking_send(piece).is_err() || ended {
                return;
            }
        }
    });
    ReceiverStream::new(receive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_ends_at_its_limit() {
        let mut room = Room(3);
        assert!(room.take(3).is_ok() && room.take(0).is_ok());
        assert!(room.take(1).is_err());
    }
}
