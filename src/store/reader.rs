//! Reading a store from outside its server: for `report` and `trace`, while the server runs and while it does not.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OptionalExtension as _, Row, types::ValueRef};
use serde::{Deserialize, Serialize};

use super::{
    StoreError,
    code::{self, Shape},
    schema,
    state::{self, parsed},
};
use crate::{
    evidence::{Conn, Event, EventKind, Injected, MessageId, Seq, Timestamp, Who},
    lab::Login,
};

/// A store, read-only.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Connection,
}

/// A message as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// All of it, trace fields first.
    pub octets: Vec<u8>,
    /// How many of the octets the server put in front; the rest is the message as sent.
    pub trace_octets: usize,
}

/// What a mailbox holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// Its name.
    pub name: Login,
    /// Messages.
    pub count: u64,
    /// Their octets together.
    pub octets: u64,
}

/// How much a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Events.
    pub events: u64,
    /// Messages ever accepted.
    pub messages: u64,
    /// Messages in mailboxes, once for each mailbox.
    pub entries: u64,
}

impl Reader {
    /// Opens a store for reading.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), connection: schema::open_reader(path)? })
    }

    /// Hands out the events after a number, in order, until the caller breaks off. What does not read, and what is missing,
    /// comes as [`EventKind::Damaged`] in its place. Returns the number of the last event handed out.
    pub fn events(&self, after: Seq, each: &mut dyn FnMut(Event) -> ControlFlow<()>) -> Result<Seq, StoreError> {
        self.scan(after, each).map_err(|error| StoreError::read(&self.path, &error))
    }

    fn scan(&self, after: Seq, each: &mut dyn FnMut(Event) -> ControlFlow<()>) -> rusqlite::Result<Seq> {
        // Shapes and events of the same moment: otherwise an event could have a shape that was not there yet.
        let transaction = self.connection.unchecked_transaction()?;
        let shapes: HashMap<i64, Result<Shape, String>> = state::shapes(&transaction)?.into_iter().collect();
        let mut statement = transaction.prepare_cached(
            "SELECT seq, time, conn, shape, octets, reply_octets, line, reply, detail FROM event WHERE seq > ? ORDER BY seq",
        )?;
        let mut rows = statement.query([after.0])?;
        let mut last = after;
        while let Some(row) = rows.next()? {
            let seq = Seq(row.get(0)?);
            if seq.0 > last.0 + 1 {
                let why = match (last.0 + 1, seq.0 - 1) {
                    (first, end) if first == end => format!("event {first} is missing"),
                    (first, end) => format!("events {first} to {end} are missing"),
                };
                last = Seq(seq.0 - 1);
                if each(damaged(last, why)).is_break() {
                    return Ok(last);
                }
            }
            last = seq;
            let event = event(seq, row, &shapes).unwrap_or_else(|why| damaged(seq, why));
            if each(event).is_break() {
                break;
            }
        }
        Ok(last)
    }

    /// The events of these kinds, in order; what does not read is left out.
    pub fn events_of(&self, kinds: &[&str]) -> Result<Vec<Event>, StoreError> {
        self.read(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let shapes: HashMap<i64, Result<Shape, String>> = state::shapes(&transaction)?.into_iter().collect();
            let wanted: Vec<String> = kinds.iter().map(|kind| format!("'{kind}'")).collect();
            let sql = format!(
                "SELECT seq, time, conn, shape, octets, reply_octets, line, reply, detail FROM event \
                 WHERE shape IN (SELECT id FROM shape WHERE kind IN ({})) ORDER BY seq",
                wanted.join(", ")
            );
            let mut statement = transaction.prepare(&sql)?;
            let mut rows = statement.query([])?;
            let mut events = Vec::new();
            while let Some(row) = rows.next()? {
                events.extend(event(Seq(row.get(0)?), row, &shapes).ok());
            }
            Ok(events)
        })
    }

    /// A message.
    pub fn message(&self, id: MessageId) -> Result<Option<StoredMessage>, StoreError> {
        message(&self.connection, id).map_err(|error| StoreError::read(&self.path, &error))
    }

    /// The mailboxes that ever held something, in order.
    pub fn mailboxes(&self) -> Result<Vec<Mailbox>, StoreError> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT mailbox, count(uid), coalesce(sum(octets), 0) FROM folder LEFT JOIN entry ON folder = id \
                 WHERE name = 'INBOX' GROUP BY mailbox ORDER BY mailbox",
            )?;
            let mailbox = |row: &Row<'_>| {
                Ok(Mailbox { name: parsed(row, 0, code::login)?, count: row.get(1)?, octets: row.get(2)? })
            };
            statement.query_map([], mailbox)?.collect()
        })
    }

    /// The injected mail of the current runs.
    pub fn injected(&self) -> Result<Vec<Injected>, StoreError> {
        self.read(injected)
    }

    /// The last event before the server that had the file last was started anew, or now: when it was, and who was connected then,
    /// once for each session.
    pub fn left_open(&self) -> Result<(Timestamp, Vec<Who>), StoreError> {
        self.read(|connection| {
            let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
            let started = number(
                "SELECT coalesce(max(seq), 0) FROM event WHERE shape IN (SELECT id FROM shape WHERE kind = 'started')",
            )?;
            let last = number("SELECT coalesce(max(time), 0) FROM event WHERE seq = (SELECT max(seq) FROM event)")?;
            let shapes: HashMap<i64, Result<Shape, String>> = state::shapes(connection)?.into_iter().collect();
            let mut statement =
                connection.prepare("SELECT conn, shape FROM event WHERE seq > ? AND conn > 0 ORDER BY seq")?;
            let mut rows = statement.query([started])?;
            let mut open: BTreeMap<i64, Who> = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let (conn, shape): (i64, i64) = (row.get(0)?, row.get(1)?);
                let Some(Ok(shape)) = shapes.get(&shape) else { continue };
                match shape.kind {
                    "disconnected" => _ = open.remove(&conn),
                    _ => _ = open.insert(conn, shape.who.clone()),
                }
            }
            Ok((Timestamp(last), open.into_values().collect()))
        })
    }

    /// The students who have events.
    pub fn students(&self) -> Result<BTreeSet<Login>, StoreError> {
        self.read(|connection| {
            // A shape is written with its first event.
            let mut statement = connection.prepare_cached("SELECT DISTINCT login FROM shape WHERE who = 'student'")?;
            statement.query_map([], |row| parsed(row, 0, code::login))?.collect()
        })
    }

    /// How much there is.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        self.read(counts)
    }

    /// Copies the store as of one moment into a new file, also while its server writes.
    pub fn copy_to(&self, path: &Path) -> Result<(), StoreError> {
        self.read(|connection| connection.execute("VACUUM INTO ?", [path.to_string_lossy()]).map(drop))
    }

    fn read<T>(&self, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        ask(&self.connection).map_err(|error| StoreError::read(&self.path, &error))
    }
}

/// A message, if there is one of this number.
pub(super) fn message(connection: &Connection, id: MessageId) -> rusqlite::Result<Option<StoredMessage>> {
    let mut statement = connection.prepare_cached("SELECT trace, content FROM message WHERE id = ?")?;
    let joined = |row: &Row<'_>| {
        let (trace, content) = (row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
        Ok(StoredMessage { octets: [trace, content].concat(), trace_octets: trace.len() })
    };
    statement.query_row([id.0], joined).optional()
}

/// How much there is.
pub(super) fn counts(connection: &Connection) -> rusqlite::Result<Counts> {
    let count = |sql: &str| connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, u64>(0));
    Ok(Counts {
        events: count("SELECT coalesce(max(seq), 0) FROM event")?,
        messages: count("SELECT coalesce(max(id), 0) FROM message")?,
        entries: count("SELECT count(*) FROM entry")?,
    })
}

/// The injected mail of the current runs.
pub(super) fn injected(connection: &Connection) -> rusqlite::Result<Vec<Injected>> {
    let mut statement =
        connection.prepare_cached("SELECT DISTINCT mail, student FROM injected ORDER BY mail, student")?;
    let copy = |row: &Row<'_>| {
        let mail = parsed(row, 0, |name| name.parse().map_err(|problem| format!("the mail `{name}`: {problem}")))?;
        let student = match row.get_ref(1)?.as_str()? {
            "" => None,
            _ => Some(parsed(row, 1, code::login)?),
        };
        Ok(Injected { mail, student })
    };
    statement.query_map([], copy)?.collect()
}

fn event(seq: Seq, row: &Row<'_>, shapes: &HashMap<i64, Result<Shape, String>>) -> Result<Event, String> {
    let column = |at: usize| row.get_ref(at).map_err(|error| error.to_string());
    let number = |at: usize| match column(at)? {
        ValueRef::Integer(number) => Ok(number),
        other => Err(format!("{} where a number belongs", other.data_type())),
    };
    let shape = match shapes.get(&number(3)?) {
        Some(Ok(shape)) => shape,
        Some(Err(why)) => return Err(why.clone()),
        None => return Err("an event of an unknown shape".to_owned()),
    };
    let kind = code::decode(shape, [column(4)?, column(5)?, column(6)?, column(7)?, column(8)?])?;
    let conn = u64::try_from(number(2)?).map_err(|_| "a negative connection number".to_owned())?;
    Ok(Event { seq, time: Timestamp(number(1)?), run: shape.run, conn: Conn(conn), who: shape.who.clone(), kind })
}

fn damaged(seq: Seq, why: String) -> Event {
    let kind = EventKind::Damaged { why };
    Event { seq, time: Timestamp(0), run: 1, conn: Conn(0), who: Who::Unknown, kind }
}
