//! What the writer knows without asking the file: the next numbers, the runs, the shapes written so far, and what each
//! mailbox holds. Read from the file at the start, and again after a commit that failed.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::{
    Connection, Row,
    types::{Type, ValueRef},
};

use super::{
    chain,
    code::{self, Shape},
    folders::Folders,
    pages,
    usage::Usage,
};
use crate::{
    evidence::{ChainHash, Conn},
    lab::Login,
};

/// A shape, or what is wrong with it, and its hash.
pub(super) type Known = (Result<Shape, String>, ChainHash);

/// The writer's numbers.
#[derive(Debug)]
pub(super) struct State {
    /// The last event.
    pub(super) seq: u64,
    /// The last message.
    pub(super) message: u64,
    /// The last recipient in the queue for other servers.
    pub(super) outgoing: u64,
    /// The highest connection among the events.
    pub(super) conn: u64,
    /// Whether whoever had the file before closed it, or there was nobody.
    pub(super) closed: bool,
    /// The event up to which the file's `meta` says what the highest connection is.
    pub(super) noted: u64,
    /// The current run of students that started anew.
    pub(super) runs: HashMap<Login, u32>,
    /// The shapes in the file.
    pub(super) shapes: HashMap<Shape, (i64, ChainHash)>,
    /// The hash of the record up to the last event.
    pub(super) hash: ChainHash,
    /// The folders.
    pub(super) folders: Folders,
    /// Where connections under way come from.
    pub(super) peers: HashMap<Conn, IpAddr>,
}

/// What one mailbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Holding {
    /// Messages in INBOX.
    pub(super) count: u64,
    /// Their octets.
    pub(super) octets: u64,
    /// Octets in all other folders.
    pub(super) elsewhere: u64,
}

impl Holding {
    /// A message came into a folder.
    pub(super) const fn add(&mut self, inbox: bool, octets: u64) {
        if inbox {
            self.count += 1;
            self.octets += octets;
        } else {
            self.elsewhere += octets;
        }
    }

    /// A message left a folder.
    pub(super) const fn remove(&mut self, inbox: bool, octets: u64) {
        if inbox {
            self.count = self.count.saturating_sub(1);
            self.octets = self.octets.saturating_sub(octets);
        } else {
            self.elsewhere = self.elsewhere.saturating_sub(octets);
        }
    }

    /// Octets in all folders.
    pub(super) const fn all_octets(&self) -> u64 {
        self.octets.saturating_add(self.elsewhere)
    }
}

/// What the mailboxes hold, shared by the writer (who changes it) and the sessions (who ask for room).
#[derive(Debug, Clone, Default)]
pub(super) struct Holdings(Arc<Mutex<HashMap<Login, Holding>>>);

impl Holdings {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<Login, Holding>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads them anew.
    pub(super) fn load(&self, connection: &Connection) -> rusqlite::Result<()> {
        let mut statement = connection.prepare(
            "SELECT mailbox, count(uid) FILTER (WHERE name = 'INBOX'), coalesce(sum(octets) FILTER (WHERE name = 'INBOX'), 0), \
                    coalesce(sum(octets) FILTER (WHERE name <> 'INBOX'), 0) \
             FROM folder LEFT JOIN entry ON folder = id GROUP BY mailbox",
        )?;
        let rows = statement.query_map([], |row| {
            let holding = Holding { count: row.get(1)?, octets: row.get(2)?, elsewhere: row.get(3)? };
            Ok((parsed(row, 0, code::login)?, holding))
        })?;
        let found = rows.collect::<rusqlite::Result<_>>()?;
        *self.lock() = found;
        Ok(())
    }
}

impl State {
    /// Reads the numbers from the file, and what everybody has used.
    pub(super) fn load(connection: &Connection, usage: &Usage) -> rusqlite::Result<Self> {
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u64>(0));
        let noted = number("SELECT coalesce(max(value), 0) FROM meta WHERE key = 'noted_seq'")?;
        let noted_conn = number("SELECT coalesce(max(value), 0) FROM meta WHERE key = 'noted_conn'")?;
        let later =
            connection.query_row("SELECT coalesce(max(conn), 0) FROM event WHERE seq > ?", [noted], |row| row.get(0));
        let shape = |(id, (shape, hash)): (i64, Known)| Some((shape.ok()?, (id, hash)));
        // A number that the file once had is never used again.
        let seq = number("SELECT coalesce(max(seq), 0) FROM event")?.max(noted);
        let closed = number("SELECT coalesce(max(value), 0) FROM meta WHERE key = 'closed_seq'")?;
        Ok(Self {
            seq,
            closed: closed == seq,
            hash: pages::anchor(connection, u64::MAX)?.1,
            message: number("SELECT coalesce(max(id), 0) FROM message")?,
            outgoing: number("SELECT coalesce(max(id), 0) FROM outgoing")?,
            conn: noted_conn.max(later?),
            noted,
            runs: runs(connection)?,
            shapes: shapes(connection, 0)?.into_iter().filter_map(shape).collect(),
            folders: Folders::load(connection)?,
            peers: usage.load(connection, noted)?,
        })
    }

    /// The run a student is in.
    pub(super) fn run(&self, student: Option<&Login>) -> u32 {
        student.and_then(|student| self.runs.get(student)).copied().unwrap_or(1)
    }
}

fn runs(connection: &Connection) -> rusqlite::Result<HashMap<Login, u32>> {
    let mut statement = connection.prepare("SELECT student, max(run) FROM run GROUP BY student")?;
    let rows = statement.query_map([], |row| Ok((parsed(row, 0, code::login)?, row.get(1)?)))?;
    rows.collect()
}

/// The shapes of the file behind this number.
pub(super) fn shapes(connection: &Connection, after: i64) -> rusqlite::Result<Vec<(i64, Known)>> {
    let sql = "SELECT id, run, who, login, by, kind, word, before, after FROM shape WHERE id > ?";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([after], |row| {
        let mut columns = [ValueRef::Null; 8];
        for (at, column) in columns.iter_mut().enumerate() {
            *column = row.get_ref(at + 1)?;
        }
        Ok((row.get(0)?, (shape(row), chain::shape_hash(&columns))))
    })?;
    rows.collect()
}

fn shape(row: &Row<'_>) -> Result<Shape, String> {
    let text = |at: usize| {
        let value = row.get_ref(at).map_err(|error| error.to_string())?;
        value.as_str_or_null().map_err(|error| error.to_string())
    };
    let required = |at: usize| text(at)?.ok_or_else(|| "a shape with an empty column".to_owned());
    let states = match (text(7)?, text(8)?) {
        (Some(before), Some(after)) => Some((code::state(before)?, code::state(after)?)),
        _ => None,
    };
    Ok(Shape {
        run: row.get(1).map_err(|error| error.to_string())?,
        who: code::who(required(2)?, text(3)?, text(4)?)?,
        kind: code::kind(required(5)?)?,
        word: required(6)?.into(),
        states,
    })
}

/// A text column as one of our names.
pub(super) fn parsed<T>(row: &Row<'_>, at: usize, parse: fn(&str) -> Result<T, String>) -> rusqlite::Result<T> {
    let wrong = |why: String| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, why.into());
    parse(row.get_ref(at)?.as_str()?).map_err(wrong)
}
