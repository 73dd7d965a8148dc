//! The queue for other servers as rows, and the word to whoever carries the mail that there is more of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Row, params, types::Type};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify as Bell;

use super::Origin;
use crate::{
    evidence::{MessageId, Timestamp, Who},
    lab::Login,
    mail::{Envelope, Outgoing, QueueChange, QueueId, Queued, Wishes, dsn::Notice},
};

/// A recipient in the queue, as far as whoever carries the mail has to know to choose the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its number.
    pub id: QueueId,
    /// The message.
    pub message: MessageId,
    /// Where it goes, lower case.
    pub domain: String,
    /// When it is tried.
    pub due: Timestamp,
}

/// Recipients that came and were not taken yet.
#[derive(Debug, Default)]
pub struct Waiting {
    arrivals: Mutex<Vec<Arrival>>,
    bell: Bell,
}

impl Waiting {
    /// Takes all there are; possibly none.
    pub fn take(&self) -> Vec<Arrival> {
        std::mem::take(&mut *self.lock())
    }

    /// Returns when there is something to take, or somebody rang.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Wakes whoever waits.
    pub fn ring(&self) {
        self.bell.notify_one();
    }

    /// How many were not taken yet.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether all were taken.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells of more. They are committed.
    pub(super) fn arrived(&self, arrivals: Vec<Arrival>) {
        if !arrivals.is_empty() {
            self.lock().extend(arrivals);
            self.ring();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What of a row is no column of its own.
#[derive(Serialize, Deserialize)]
struct Detail {
    who: Who,
    run: u32,
    notice: Notice,
    wishes: Wishes,
}

/// Writes the recipients of a message that other servers are to get it for, numbered from `first` on.
pub(super) fn insert(
    connection: &Connection,
    first: u64,
    message: MessageId,
    origin: &Origin,
    run: u32,
    envelope: &Envelope,
) -> rusqlite::Result<Vec<Arrival>> {
    let sql = "INSERT INTO outgoing (id, message, sender, recipient, domain, student, queued, since, due, attempts, warned, detail) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?8, ?8, 0, 0, ?9)";
    let mut statement = connection.prepare_cached(sql)?;
    let student = origin.who.student().map(Login::as_str);
    let mut arrivals = Vec::with_capacity(envelope.outgoing.len());
    for (id, outgoing) in (first..).zip(&envelope.outgoing) {
        let Outgoing { recipient, domain } = outgoing;
        let (who, notice) = (origin.who.clone(), envelope.notice(recipient));
        let detail = Detail { who, run, notice, wishes: Wishes::of(envelope) };
        let detail = serde_json::to_string(&detail).expect("names and switches");
        let came = envelope.came;
        let row = params![id, message.0, envelope.from, recipient, domain, student, origin.time.0, came.0, detail];
        statement.execute(row)?;
        arrivals.push(Arrival { id: QueueId(id), message, domain: domain.clone(), due: came });
    }
    Ok(arrivals)
}

/// Writes what a try came to. A recipient that a reset has taken away stays away.
pub(super) fn change(connection: &Connection, changes: &[QueueChange]) -> rusqlite::Result<()> {
    for change in changes {
        match change {
            QueueChange::Done(id) => {
                connection.prepare_cached("DELETE FROM outgoing WHERE id = ?")?.execute([id.0])?;
            }
            QueueChange::Later { id, attempts, due, warned, reply } => {
                let sql = "UPDATE outgoing SET attempts = ?, due = ?, warned = ?, reply = ? WHERE id = ?";
                connection.prepare_cached(sql)?.execute(params![attempts, due.0, warned, reply, id.0])?;
            }
        }
    }
    Ok(())
}

/// Every recipient in the queue, in order, as far as whoever carries the mail has to know.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Arrival>> {
    let mut statement = connection.prepare("SELECT id, message, domain, due FROM outgoing ORDER BY id")?;
    let arrival = |row: &Row<'_>| {
        Ok(Arrival {
            id: QueueId(row.get(0)?),
            message: MessageId(row.get(1)?),
            domain: row.get(2)?,
            due: Timestamp(row.get(3)?),
        })
    };
    statement.query_map([], arrival)?.collect()
}

const COLUMNS: &str = "id, message, sender, recipient, domain, queued, since, due, attempts, warned, reply, detail";

/// The last recipient that came: its date, and the same moment on the clock that nobody sets.
pub(super) fn last_came(connection: &Connection) -> rusqlite::Result<Option<(Timestamp, Timestamp)>> {
    let sql = "SELECT queued, since FROM outgoing ORDER BY id DESC LIMIT 1";
    connection.query_row(sql, [], |row| Ok((Timestamp(row.get(0)?), Timestamp(row.get(1)?)))).optional()
}

/// These recipients, as far as they are there.
pub(super) fn some(connection: &Connection, ids: &[QueueId]) -> rusqlite::Result<Vec<Queued>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM outgoing WHERE id = ?"))?;
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        for row in statement.query_map([id.0], queued)? {
            found.push(row?);
        }
    }
    Ok(found)
}

/// The first recipients, in order.
pub(super) fn first(connection: &Connection, most: usize) -> rusqlite::Result<Vec<Queued>> {
    let sql = format!("SELECT {COLUMNS} FROM outgoing ORDER BY id LIMIT ?");
    connection.prepare_cached(&sql)?.query_map([most], queued)?.collect()
}

fn queued(row: &Row<'_>) -> rusqlite::Result<Queued> {
    let wrong = |problem: serde_json::Error| rusqlite::Error::FromSqlConversionFailure(11, Type::Text, problem.into());
    let detail: Detail = serde_json::from_str(row.get_ref(11)?.as_str()?).map_err(wrong)?;
    let Detail { who, run, notice, wishes } = detail;
    Ok(Queued {
        id: QueueId(row.get(0)?),
        message: MessageId(row.get(1)?),
        sender: row.get(2)?,
        outgoing: Outgoing { recipient: row.get(3)?, domain: row.get(4)? },
        notice,
        wishes,
        who,
        run,
        queued: Timestamp(row.get(5)?),
        since: Timestamp(row.get(6)?),
        due: Timestamp(row.get(7)?),
        attempts: row.get(8)?,
        warned: row.get(9)?,
        reply: row.get(10)?,
    })
}
