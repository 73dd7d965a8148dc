//! Copies of stores, and what is never done to them: one is not replaced by another that lacks something it has. Whatever went
//! its own way stays beside it, as a branch.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    LabDir, StateError,
    files::{failed, make_folder},
};
use crate::{
    names::GroupName,
    store::{Reader, StoreError, covers},
};

/// Why a copy could not be put into its place.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// What came is no store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The folder of stores that a process takes where it has none of that name yet.
pub const SEED: &str = "seed";

impl LabDir {
    /// Takes the store that somebody left for a group that has none. In a container it is whole: the process starts when it is.
    pub fn take_seed(&self, group: &GroupName) -> Result<(), StateError> {
        let (seed, store) = (self.path().join(SEED).join(format!("{group}.sqlite")), self.store(group));
        if store.exists() || !seed.exists() {
            return Ok(());
        }
        fs::rename(&seed, &store).map_err(failed("rename", &seed))
    }

    /// The stores of a group that went their own ways, in order; last the one that its server writes.
    pub fn records(&self, group: &GroupName) -> Result<Vec<PathBuf>, StateError> {
        let mut all = self.branches(group)?;
        all.extend(Some(self.store(group)).filter(|store| store.exists()));
        Ok(all)
    }

    /// Those that the server does not write.
    fn branches(&self, group: &GroupName) -> Result<Vec<PathBuf>, StateError> {
        let folder = self.branch_folder(group);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries.collect::<Result<Vec<_>, _>>(),
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(problem) => Err(problem),
        };
        let paths = entries.map_err(failed("read the folder", &folder))?.into_iter().map(|entry| entry.path());
        let mut paths: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|end| end == "sqlite")).collect();
        paths.sort();
        Ok(paths)
    }

    /// The folder of the stores that went their own ways, of every group that has one.
    pub fn all_branches(&self) -> PathBuf {
        self.path().join("branches")
    }

    fn branch_folder(&self, group: &GroupName) -> PathBuf {
        self.all_branches().join(group.as_str())
    }

    /// Puts a new copy of the group's store into its place. Where it lacks something that the copy before has, that one
    /// becomes a branch; branches that it has all of are not needed any more. A copy that does not read stays as well.
    pub fn place_copy(&self, group: &GroupName, new: &Path) -> Result<(), CopyError> {
        // What came is looked at before anything is moved for it.
        Reader::open(new)?.head()?;
        let old = self.store(group);
        if old.exists() {
            if covers(&old, new).unwrap_or(false) && !covers(new, &old)? {
                // It is older than what is here: an image of the volume was put back. The server goes its own way from there.
                return self.keep_branch(group, new);
            }
            if !covers(new, &old).unwrap_or(false) {
                self.keep_branch(group, &old)?;
            }
        }
        fs::rename(new, &old).map_err(failed("rename", new))?;
        for branch in self.branches(group)? {
            if covers(&old, &branch).unwrap_or(false) {
                fs::remove_file(&branch).map_err(failed("remove", &branch))?;
            }
        }
        Ok(())
    }

    /// Moves a store to the branches, under a name that nothing there has.
    fn keep_branch(&self, group: &GroupName, store: &Path) -> Result<(), CopyError> {
        let folder = self.branch_folder(group);
        make_folder(&self.all_branches())?;
        make_folder(&folder)?;
        let name = Reader::open(store)
            .and_then(|reader| Ok(format!("{}-{}", reader.identity()?, reader.head()?.0.0)))
            .unwrap_or_else(|_| "unreadable".to_owned());
        let free = |number: &u32| !folder.join(format!("{name}.{number}.sqlite")).exists();
        let number = (1..=u32::MAX).find(free).unwrap_or_default();
        let target = folder.join(format!("{name}.{number}.sqlite"));
        fs::rename(store, &target).map_err(failed("rename", store)).map_err(CopyError::from)
    }
}
