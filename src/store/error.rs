//! What can go wrong with a store. Values that can be cloned, because one failed commit answers many sessions.

use std::path::{Path, PathBuf};

/// Why a store could not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The file could not be opened or made.
    #[error("open the store `{}`: {why}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite or the system said.
        why: String,
    },
    /// Another labctl wrote it.
    #[error("the store `{}` has format {found}, this labctl knows format {} only: use the labctl that wrote it", path.display(), super::schema::VERSION)]
    Format {
        /// The file.
        path: PathBuf,
        /// The format it has.
        found: i64,
    },
    /// An SQLite file of somebody else.
    #[error("`{}` is an SQLite file, but no store of labctl: give another path", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file is damaged.
    #[error("the store `{}` is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        why: String,
    },
    /// It could not be read or written: disk full, for example.
    #[error("{doing} the store `{}`: {why}", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// `read` or `write to`.
        doing: &'static str,
        /// What SQLite said.
        why: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// What SQLite said while opening `path`.
    pub(super) fn open(path: &Path, error: &rusqlite::Error) -> Self {
        Self::sorted(path, error, || Self::Open { path: path.to_owned(), why: error.to_string() })
    }

    /// What SQLite said while reading `path`.
    pub(super) fn read(path: &Path, error: &rusqlite::Error) -> Self {
        Self::sorted(path, error, || Self::Failed { path: path.to_owned(), doing: "read", why: error.to_string() })
    }

    /// What SQLite said while writing to `path`.
    pub(super) fn write(path: &Path, error: &rusqlite::Error) -> Self {
        Self::sorted(path, error, || Self::Failed { path: path.to_owned(), doing: "write to", why: error.to_string() })
    }

    fn sorted(path: &Path, error: &rusqlite::Error, otherwise: impl FnOnce() -> Self) -> Self {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        if matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)) {
            return Self::Damaged { path: path.to_owned(), why: error.to_string() };
        }
        otherwise()
    }
}
