//! Reading a store from outside its server: for `report` and `trace`, while the server runs and while it does not.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OptionalExtension as _, Row, params, types::ValueRef};
use serde::{Deserialize, Serialize};

use super::{
    StoreError, branch,
    chain::Damage,
    code,
    pages::{self, Item, Position, Shapes},
    schema,
    state::{self, Known, parsed},
};
use crate::{
    evidence::{ChainHash, Conn, Event, EventKind, Identity, Injected, MessageId, Parent, Seq, Timestamp, Who},
    lab::Login,
};

/// A store, read-only.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Connection,
    shapes: RefCell<Shapes>,
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
        Ok(Self { path: path.to_owned(), connection: schema::open_reader(path)?, shapes: RefCell::default() })
    }

    /// Hands out the events after a number, in order, until the caller breaks off. What does not read, and what is missing,
    /// comes as [`EventKind::Damaged`] in its place; what compaction took out does not come. No transaction is open while the
    /// caller works. Returns the number of the last event handed out.
    pub fn events(&self, after: Seq, each: &mut dyn FnMut(Event) -> ControlFlow<()>) -> Result<Seq, StoreError> {
        let mut position = Position::after(after);
        let mut events = Vec::new();
        loop {
            let more = self.read(|connection| {
                pages::page(connection, &self.shapes, &mut position, &mut |item| match item {
                    Item::Row(seq, row, shape) => events.push(event(Seq(seq), row, shape)),
                    Item::Damaged(seq, damage) => {
                        events.pop_if(|event: &mut Event| event.seq.0 == seq);
                        events.push(damaged(Seq(seq), damage.to_string()));
                    }
                })
            })?;
            for event in events.drain(..) {
                let seq = event.seq;
                if each(event).is_break() {
                    return Ok(seq);
                }
            }
            if !more {
                return Ok(Seq(position.last));
            }
        }
    }

    /// The identity of the record.
    pub fn identity(&self) -> Result<Identity, StoreError> {
        self.read(branch::identity)
    }

    /// The record that this one goes on from, if it is a branch.
    pub fn parent(&self) -> Result<Option<Parent>, StoreError> {
        Ok(self.ancestors()?.pop())
    }

    /// All records that this one goes on from, the oldest first.
    pub fn ancestors(&self) -> Result<Vec<Parent>, StoreError> {
        self.read(branch::ancestors)
    }

    /// The last event and the hash of the record up to it.
    pub fn head(&self) -> Result<(Seq, ChainHash), StoreError> {
        self.read(|connection| pages::anchor(connection, u64::MAX)).map(|(seq, hash)| (Seq(seq), hash))
    }

    /// The hash of the record up to an event; none where that event is not there, or where compaction has taken away what it
    /// would have to be worked out from.
    pub fn hash_at(&self, seq: Seq) -> Result<Option<ChainHash>, StoreError> {
        self.read(|connection| pages::hash_at(connection, &self.shapes, seq))
    }

    /// Holds the whole record against its chain: the first thing that does not hold.
    pub fn verify(&self) -> Result<Option<Damage>, StoreError> {
        self.read(|connection| pages::first_damage(connection, &self.shapes))
    }

    /// The events of these kinds, in order; what does not read is left out.
    pub fn events_of(&self, kinds: &[&str]) -> Result<Vec<Event>, StoreError> {
        self.read(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let mut shapes = self.shapes.borrow_mut();
            shapes.refresh(&transaction)?;
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
                events.push(event(Seq(row.get(0)?), row, shapes.of(row.get(3)?)));
            }
            events.retain(|event: &Event| !matches!(event.kind, EventKind::Damaged { .. }));
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
            let shapes: HashMap<i64, Known> = state::shapes(connection, 0)?.into_iter().collect();
            let mut statement =
                connection.prepare("SELECT conn, shape FROM event WHERE seq > ? AND conn > 0 ORDER BY seq")?;
            let mut rows = statement.query([started])?;
            let mut open: BTreeMap<i64, Who> = BTreeMap::new();
            while let Some(row) = rows.next()? {
                let (conn, shape): (i64, i64) = (row.get(0)?, row.get(1)?);
                let Some((Ok(shape), _)) = shapes.get(&shape) else { continue };
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

/// At most so many octets of a message from a place on, trace fields first.
pub(super) fn octets(
    connection: &Connection,
    id: MessageId,
    from: u64,
    most: u64,
) -> rusqlite::Result<Option<Vec<u8>>> {
    // A small message comes with its lengths; of a large one only the octets that are wanted are read.
    let sql = "SELECT length(trace), length(content), \
                      CASE WHEN ?2 AND length(trace) + length(content) <= ?3 THEN trace END, \
                      CASE WHEN ?2 AND length(trace) + length(content) <= ?3 THEN content END \
               FROM message WHERE id = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let look = |row: &Row<'_>| {
        let (trace, content) = (row.get_ref(2)?.as_blob_or_null()?, row.get_ref(3)?.as_blob_or_null()?);
        let whole = trace.zip(content).map(|(trace, content)| [trace, content].concat());
        Ok(([row.get::<_, u64>(0)?, row.get::<_, u64>(1)?], whole))
    };
    let most_signed = i64::try_from(most).unwrap_or(i64::MAX);
    let Some((lengths, whole)) = statement.query_row(params![id.0, from == 0, most_signed], look).optional()? else {
        return Ok(None);
    };
    if let Some(whole) = whole {
        return Ok(Some(whole));
    }
    let mut octets = Vec::new();
    let (mut before, end) = (0, from.saturating_add(most));
    for (column, length) in ["trace", "content"].into_iter().zip(lengths) {
        let wanted = from.clamp(before, before + length) - before..end.clamp(before, before + length) - before;
        before += length;
        if wanted.is_empty() {
            continue;
        }
        let row = i64::try_from(id.0).unwrap_or(i64::MAX);
        let place = |octet: u64| usize::try_from(octet).unwrap_or(usize::MAX);
        let start = octets.len();
        octets.resize(start + place(wanted.end - wanted.start), 0);
        let blob = connection.blob_open("main", "message", column, row, true)?;
        blob.read_at_exact(&mut octets[start..], place(wanted.start))?;
    }
    Ok(Some(octets))
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

/// The event of a row, or the damage that it is.
fn event(seq: Seq, row: &Row<'_>, shape: Option<&Known>) -> Event {
    decoded(seq, row, shape).unwrap_or_else(|why| damaged(seq, why))
}

fn decoded(seq: Seq, row: &Row<'_>, shape: Option<&Known>) -> Result<Event, String> {
    let column = |at: usize| row.get_ref(at).map_err(|error| error.to_string());
    let number = |at: usize| match column(at)? {
        ValueRef::Integer(number) => Ok(number),
        other => Err(format!("{} where a number belongs", other.data_type())),
    };
    let (shape, _) = shape.ok_or("an event of an unknown shape")?;
    let shape = shape.as_ref().map_err(Clone::clone)?;
    let kind = code::decode(shape, [column(4)?, column(5)?, column(6)?, column(7)?, column(8)?])?;
    let conn = u64::try_from(number(2)?).map_err(|_| "a negative connection number".to_owned())?;
    Ok(Event { seq, time: Timestamp(number(1)?), run: shape.run, conn: Conn(conn), who: shape.who.clone(), kind })
}

fn damaged(seq: Seq, why: String) -> Event {
    let kind = EventKind::Damaged { why };
    Event { seq, time: Timestamp(0), run: 1, conn: Conn(0), who: Who::Unknown, kind }
}
