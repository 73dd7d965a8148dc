//! A server whose volume is new goes on from the newest copy of its store, if there is one here: as a record of its own, so
//! that the old volume, should it come back, is a branch and no rival.

use std::{
    fs::{self, File},
    io::{self, Seek as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use bollard::{
    body_try_stream,
    query_parameters::{ContainerArchiveInfoOptions, UploadToContainerOptions},
};

use super::{
    Docker, DockerError,
    copy::chunks,
    failed,
    make::{SERVER_DIR, SERVER_USER},
    status,
};
use crate::{
    engine::state::SEED,
    names::{GroupName, Seq},
    store,
};

/// Groups whose servers went on from a copy, with its last event.
#[derive(Debug, Clone, Default)]
pub(super) struct Seeded(Arc<Mutex<Vec<(GroupName, Seq)>>>);

impl Docker {
    /// The groups whose servers went on from a copy since this was asked last, in order.
    pub fn seeded(&self) -> Vec<(GroupName, Seq)> {
        let mut seeded = std::mem::take(&mut *self.seeded.0.lock().unwrap_or_else(PoisonError::into_inner));
        seeded.sort();
        seeded
    }

    /// Gives a server that does not run, and has no store, the newest copy. Whatever stops it in the middle, the next one does
    /// it again: the server takes the copy when it starts, and it starts after this.
    pub(super) async fn seed(&self, group: &GroupName, container: &str) -> Result<(), DockerError> {
        let copy = self.dir.store(group);
        if !copy.exists() || self.has_store(group, container).await? {
            return Ok(());
        }
        let not_seeded = |source| DockerError::Copy { group: group.to_string(), source };
        let name = group.to_string();
        let packed = tokio::task::spawn_blocking(move || pack(&copy, &name));
        let (archive, from) =
            packed.await.unwrap_or_else(|problem| Err(io::Error::other(problem))).map_err(not_seeded)?;
        let options = UploadToContainerOptions { path: SERVER_DIR.into(), ..Default::default() };
        let sent = self.api.upload_to_container(container, Some(options), body_try_stream(chunks(archive))).await;
        sent.map_err(failed("give it the copy of its store"))?;
        self.seeded.0.lock().unwrap_or_else(PoisonError::into_inner).push((group.clone(), from));
        Ok(())
    }

    async fn has_store(&self, group: &GroupName, container: &str) -> Result<bool, DockerError> {
        let path = format!("{SERVER_DIR}/stores/{group}.sqlite");
        match self.api.get_container_archive_info(container, Some(ContainerArchiveInfoOptions { path })).await {
            Ok(_) => Ok(true),
            Err(answer) if status(&answer) == Some(404) => Ok(false),
            Err(answer) => Err(failed("look whether it has a store")(answer)),
        }
    }
}

/// An archive with the copy as a record of its own, and the last event that both have.
fn pack(copy: &Path, group: &str) -> io::Result<(File, Seq)> {
    let folder = tempfile::tempdir()?;
    let seed = folder.path().join("seed.sqlite");
    fs::copy(copy, &seed)?;
    let (_, parent) = store::branch(&seed).map_err(io::Error::other)?;
    let mut archive = tar::Builder::new(tempfile::tempfile()?);
    let mut header = tar::Header::new_gnu();
    header.set_uid(SERVER_USER);
    header.set_gid(SERVER_USER);
    header.set_mode(0o700);
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    archive.append_data(&mut header, SEED, io::empty())?;
    header.set_mode(0o600);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(fs::metadata(&seed)?.len());
    archive.append_data(&mut header, format!("{SEED}/{group}.sqlite"), File::open(&seed)?)?;
    let mut archive = archive.into_inner()?;
    archive.rewind()?;
    Ok((archive, parent.seq))
}
