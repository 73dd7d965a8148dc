//! The store's file: made, recognised, opened. The tables themselves are in `schema.sql`.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags};

use super::{StoreError, branch};
use crate::evidence::Identity;

/// The format this labctl reads and writes, kept as SQLite's `user_version`. Another one is refused.
pub const VERSION: i64 = 2;

/// SQLite's `application_id` of a store: `labc`.
const APPLICATION: i64 = 0x6c61_6263;

/// The writer's page cache in KiB. Appending needs the last pages of a few tables only.
const WRITER_CACHE_KIB: u32 = 512;

/// A reading connection's page cache in KiB.
const READER_CACHE_KIB: u32 = 1_024;

/// How long a connection waits for a lock of another process (a checkpoint, a recovery).
const BUSY: Duration = Duration::from_secs(5);

/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 16;

/// Opens the file for writing and makes it where it is not there.
pub(super) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    // SQLite gives the log and its index the mode of the file, which others must not read: passwords are in it.
    let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map_err(|error| StoreError::Open { path: path.to_owned(), why: error.to_string() })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| StoreError::open(path, &error))?;
    let made = recognise(&connection, path)?;
    if made {
        prepare(&connection, None).map_err(|error| StoreError::open(path, &error))?;
    } else {
        let identity = branch::draw(path)?;
        prepare(&connection, Some(identity)).map_err(|error| StoreError::open(path, &error))?;
    }
    Ok(connection)
}

/// Opens a store that is there for writing; one that is not is an error.
pub(super) fn open_existing(path: &Path) -> Result<Connection, StoreError> {
    drop(open_reader(path)?);
    open_writer(path)
}

/// Opens the file for reading, also while a server writes to it, and where nothing can be written.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let open = |name: &Path| {
        let connection = Connection::open_with_flags(name, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS);
        connection.execute_batch(&format!("PRAGMA cache_size = -{READER_CACHE_KIB}"))?;
        // The first read shows whether the log and its index can be had.
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(connection)
    };
    let connection = match open(path) {
        Ok(connection) => Ok(connection),
        // In a folder that cannot be written to, SQLite cannot make the log's index; without a log there is nothing to miss.
        Err(error) if path.is_file() && !has_log(path) => {
            open(Path::new(&immutable(path))).map_err(|_: rusqlite::Error| error)
        }
        Err(error) => Err(error),
    };
    let connection = connection.map_err(|error| StoreError::open(path, &error))?;
    if recognise(&connection, path)? {
        return Ok(connection);
    }
    Err(StoreError::Foreign { path: path.to_owned() })
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|log| log.len() > 0)
}

/// The file as a URI that tells SQLite that nobody changes it.
fn immutable(path: &Path) -> String {
    use std::fmt::Write as _;
    let mut uri = "file:".to_owned();
    for octet in path.as_os_str().as_encoded_bytes() {
        match octet {
            b'%' | b'?' | b'#' => _ = write!(uri, "%{octet:02x}"),
            _ if octet.is_ascii() => uri.push(char::from(*octet)),
            _ => _ = write!(uri, "%{octet:02x}"),
        }
    }
    uri + "?immutable=1"
}

/// Whether it is a store (an empty file is none yet); an error where it is something else.
fn recognise(connection: &Connection, path: &Path) -> Result<bool, StoreError> {
    let number = |pragma: &str| connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    let ask = || Ok((number("application_id")?, number("user_version")?, number("schema_version")?));
    let (application, version, schema) = ask().map_err(|error| StoreError::open(path, &error))?;
    match (application, version, schema) {
        (0, 0, 0) => Ok(false),
        (APPLICATION, VERSION, _) => Ok(true),
        (APPLICATION, found, _) => Err(StoreError::Format { path: path.to_owned(), found }),
        _ => Err(StoreError::Foreign { path: path.to_owned() }),
    }
}

/// Settings of the writer's connection, and the tables of a new store, which gets this identity.
fn prepare(connection: &Connection, new: Option<Identity>) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // References are documentation here: the writer is the only one who writes, and looking them up costs a tenth of a commit.
    // Checkpoints are the writer's own, between two commits, when nobody waits.
    connection.execute_batch(&format!(
        "PRAGMA foreign_keys = OFF; PRAGMA cache_size = -{WRITER_CACHE_KIB}; PRAGMA wal_autocheckpoint = 0;"
    ))?;
    if let Some(identity) = new {
        // Nothing has been promised yet, so that making 500 stores need not wait for the disk: the first checkpoint,
        // which comes before the first promise, syncs it.
        connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL;")?;
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {} INSERT INTO meta (key, value) VALUES ('identity', '{identity}'); \
             PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; COMMIT;",
            include_str!("schema.sql")
        ))?;
    }
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")
}
