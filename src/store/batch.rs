//! One transaction of the writer: jobs become rows. Nothing here commits.

use std::collections::BTreeMap;

use rusqlite::{CachedStatement, Connection, params};

use super::{
    Origin,
    code::{self, MAX_SHAPES, Parts, Shape},
    outgoing::{self, Arrival},
    queue::{Delivery, Job, Reset, Settling, Work},
    state::{Holding, Holdings, State, parsed},
};
use crate::{
    evidence::{Conn, Delivered, EventKind, MessageId, Seq, Timestamp, Uid, Who},
    lab::Login,
    mail::Entry,
};

const INSERT_EVENT: &str = "INSERT INTO event (seq, time, conn, shape, octets, reply_octets, line, reply, detail) \
                            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
const INSERT_MESSAGE: &str = "INSERT INTO message (id, student, trace, content) VALUES (?, ?, ?, ?)";
const INSERT_ENTRY: &str = "INSERT INTO entry (mailbox, uid, message, octets) VALUES (?, ?, ?, ?)";
const DELETE_ENTRY: &str = "DELETE FROM entry WHERE mailbox = ? AND uid = ?";

/// What a student's new run starts without: the own mailbox, what the student sent, what was injected for the student.
const ENTRIES_OF_STUDENT: &str = "\
    SELECT entry.mailbox, entry.uid, entry.octets FROM entry JOIN message ON message.id = entry.message \
    WHERE entry.mailbox = ?1 OR message.student = ?1 \
       OR EXISTS (SELECT 1 FROM injected WHERE injected.message = message.id AND injected.student = ?1)";

/// A transaction under way.
pub(super) struct Batch<'a> {
    connection: &'a Connection,
    state: &'a mut State,
    holdings: &'a Holdings,
    event: CachedStatement<'a>,
    message: CachedStatement<'a>,
    entry: CachedStatement<'a>,
    /// Mailboxes with new UIDs; written once a batch.
    grown: BTreeMap<Login, Uid>,
    /// Recipients for other servers, told to whoever carries the mail once they are committed.
    arrivals: Vec<Arrival>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        state: &'a mut State,
        holdings: &'a Holdings,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            event: connection.prepare_cached(INSERT_EVENT)?,
            message: connection.prepare_cached(INSERT_MESSAGE)?,
            entry: connection.prepare_cached(INSERT_ENTRY)?,
            connection,
            state,
            holdings,
            grown: BTreeMap::new(),
            arrivals: Vec::new(),
        })
    }

    /// Writes a job.
    pub(super) fn apply(&mut self, job: &Job) -> rusqlite::Result<()> {
        let run = self.state.run(job.origin.who.student());
        match &job.work {
            Work::Record => self.events(&job.origin, run, &job.events),
            Work::Deliver(delivery) => self.deliver(&job.origin, &job.events, delivery),
            Work::Expunge(expunge) => {
                self.events(&job.origin, run, &job.events)?;
                self.expunge(&expunge.0, &expunge.1)
            }
            Work::Reset(reset) => self.reset(&job.origin, reset),
            Work::Settle(settling) => self.settle(&job.origin, settling),
            Work::Close => Ok(()),
        }
    }

    /// Writes what was gathered for the end of the batch, and hands out what is to be told after the commit.
    pub(super) fn finish(mut self) -> rusqlite::Result<Vec<Arrival>> {
        for (mailbox, next_uid) in std::mem::take(&mut self.grown) {
            let sql = "INSERT INTO mailbox (name, next_uid) VALUES (?, ?) \
                       ON CONFLICT (name) DO UPDATE SET next_uid = excluded.next_uid";
            self.connection.prepare_cached(sql)?.execute(params![mailbox.as_str(), next_uid.0])?;
        }
        Ok(self.arrivals)
    }

    fn deliver(&mut self, origin: &Origin, events: &[EventKind], delivery: &Delivery) -> rusqlite::Result<()> {
        let Delivery { envelope, sha256, injected } = delivery;
        // A copy injected for a student belongs to the run that the student is in.
        let student = origin.who.student();
        let run = self.state.run(student.or_else(|| injected.as_ref()?.student.as_ref()));
        self.state.message += 1;
        let message = MessageId(self.state.message);
        self.message.execute(params![message.0, student.map(Login::as_str), envelope.trace, envelope.content])?;
        let octets = (envelope.trace.len() + envelope.content.len()) as u64;
        let mut delivered = Vec::with_capacity(envelope.mailboxes.len());
        for mailbox in &envelope.mailboxes {
            let uid = self.put(mailbox, octets);
            self.entry.execute(params![mailbox.as_str(), uid.0, message.0, octets])?;
            delivered.push(Delivered { mailbox: mailbox.clone(), uid });
        }
        if let Some(injected) = injected {
            let student = injected.student.as_ref().map_or("", Login::as_str);
            let sql = "INSERT INTO injected (mail, student, message) VALUES (?, ?, ?)";
            self.connection.prepare_cached(sql)?.execute(params![injected.mail.as_str(), student, message.0])?;
        }
        self.events(origin, run, events)?;
        let accepted = EventKind::Accepted {
            message,
            from: envelope.from.clone(),
            recipients: envelope.recipients.clone(),
            delivered,
            octets: envelope.content.len() as u64,
            sha256: sha256.clone(),
            injected: injected.clone(),
        };
        self.write(origin.time, origin.conn, run, &origin.who, &accepted)?;
        if !envelope.outgoing.is_empty() {
            let recipients = envelope.outgoing.iter().map(|outgoing| outgoing.recipient.clone()).collect();
            self.write(origin.time, origin.conn, run, &origin.who, &EventKind::Queued { message, recipients })?;
            let first = self.state.outgoing + 1;
            self.state.outgoing += envelope.outgoing.len() as u64;
            let arrived = outgoing::insert(self.connection, first, message, origin, run, envelope)?;
            self.arrivals.extend(arrived);
        }
        Ok(())
    }

    /// What became of recipients for other servers.
    fn settle(&mut self, origin: &Origin, settling: &Settling) -> rusqlite::Result<()> {
        for event in &settling.events {
            self.write(origin.time, origin.conn, settling.run, &origin.who, event)?;
        }
        outgoing::change(self.connection, &settling.changes)?;
        let origin = Origin { conn: Conn(0), who: settling.server.clone(), time: origin.time };
        settling.notices.iter().try_for_each(|notice| self.deliver(&origin, &[], notice))
    }

    /// The UID of one more message in a mailbox.
    fn put(&mut self, mailbox: &Login, octets: u64) -> Uid {
        let mut holdings = self.holdings.lock();
        let holding = holdings.entry(mailbox.clone()).or_default();
        let uid = holding.next_uid;
        *holding = Holding { next_uid: Uid(uid.0 + 1), count: holding.count + 1, octets: holding.octets + octets };
        self.grown.insert(mailbox.clone(), holding.next_uid);
        uid
    }

    fn expunge(&mut self, mailbox: &Login, entries: &[Entry]) -> rusqlite::Result<()> {
        for entry in entries {
            self.remove(mailbox, entry.uid, entry.octets)?;
        }
        Ok(())
    }

    /// Takes an entry out, unless a reset was faster.
    fn remove(&mut self, mailbox: &Login, uid: Uid, octets: u64) -> rusqlite::Result<()> {
        let gone = self.connection.prepare_cached(DELETE_ENTRY)?.execute(params![mailbox.as_str(), uid.0])?;
        if gone > 0
            && let Some(holding) = self.holdings.lock().get_mut(mailbox)
        {
            holding.count = holding.count.saturating_sub(1);
            holding.octets = holding.octets.saturating_sub(octets);
        }
        Ok(())
    }

    /// New runs. What nobody in particular left behind goes with the last student of a whole group.
    fn reset(&mut self, origin: &Origin, reset: &Reset) -> rusqlite::Result<()> {
        for (place, student) in reset.students.iter().enumerate() {
            let mut removed = self.clear(ENTRIES_OF_STUDENT, Some(student))?;
            self.connection.execute("DELETE FROM injected WHERE student = ?", [student.as_str()])?;
            self.connection.execute("DELETE FROM outgoing WHERE student = ?", [student.as_str()])?;
            if reset.whole_group && place + 1 == reset.students.len() {
                removed.extend(self.clear("SELECT mailbox, uid, octets FROM entry", None)?);
                self.connection.execute("DELETE FROM injected", [])?;
                self.connection.execute("DELETE FROM outgoing", [])?;
            }
            let run = self.state.run(Some(student)) + 1;
            self.state.runs.insert(student.clone(), run);
            let sql = "INSERT INTO run (student, run, time) VALUES (?, ?, ?)";
            self.connection.execute(sql, params![student.as_str(), run, origin.time.0])?;
            let event = EventKind::Reset { student: student.clone(), removed };
            self.write(origin.time, origin.conn, run, &origin.who, &event)?;
        }
        Ok(())
    }

    /// Takes out the entries that a query finds.
    fn clear(&mut self, sql: &str, student: Option<&Login>) -> rusqlite::Result<Vec<Delivered>> {
        let mut statement = self.connection.prepare(sql)?;
        let read = |row: &rusqlite::Row<'_>| {
            Ok((Delivered { mailbox: parsed(row, 0, code::login)?, uid: Uid(row.get(1)?) }, row.get::<_, u64>(2)?))
        };
        let rows = match student {
            Some(student) => statement.query_map([student.as_str()], read)?,
            None => statement.query_map([], read)?,
        };
        let found: Vec<(Delivered, u64)> = rows.collect::<rusqlite::Result<_>>()?;
        drop(statement);
        for (delivered, octets) in &found {
            self.remove(&delivered.mailbox, delivered.uid, *octets)?;
        }
        Ok(found.into_iter().map(|(delivered, _)| delivered).collect())
    }

    fn events(&mut self, origin: &Origin, run: u32, events: &[EventKind]) -> rusqlite::Result<()> {
        events.iter().try_for_each(|event| self.write(origin.time, origin.conn, run, &origin.who, event))
    }

    /// Writes one event under the next number.
    pub(super) fn write(
        &mut self,
        time: Timestamp,
        conn: Conn,
        run: u32,
        who: &Who,
        kind: &EventKind,
    ) -> rusqlite::Result<()> {
        let shape = |word, states| Shape { run, who: who.clone(), kind: kind.name(), word, states };
        let compact = match code::encode(kind) {
            Some(Parts { word, states, columns }) => self.shape(shape(word, states))?.map(|id| (id, columns)),
            None => None,
        };
        let (id, columns) = match compact {
            Some(compact) => compact,
            None => (self.new_shape(shape("".into(), None))?, code::as_json(kind)),
        };
        self.state.seq += 1;
        self.state.conn = self.state.conn.max(conn.0);
        let seq = Seq(self.state.seq);
        let code::Columns { octets, reply_octets, line, reply, detail } = columns;
        self.event.execute(params![seq.0, time.0, conn.0, id, octets, reply_octets, line, reply, detail])?;
        Ok(())
    }

    /// The number of a shape; none where the store has too many to take a new one in.
    fn shape(&mut self, shape: Shape) -> rusqlite::Result<Option<i64>> {
        if self.state.shapes.len() >= MAX_SHAPES && !self.state.shapes.contains_key(&shape) {
            return Ok(None);
        }
        self.new_shape(shape).map(Some)
    }

    fn new_shape(&mut self, shape: Shape) -> rusqlite::Result<i64> {
        if let Some(id) = self.state.shapes.get(&shape) {
            return Ok(*id);
        }
        let (who, login, by) = code::who_words(&shape.who);
        let (before, after) = shape.states.map(|(before, after)| (before.as_str(), after.as_str())).unzip();
        let sql = "INSERT INTO shape (run, who, login, by, kind, word, before, after) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        let values = params![shape.run, who, login, by, shape.kind, shape.word.as_ref(), before, after];
        self.connection.execute(sql, values)?;
        let id = self.connection.last_insert_rowid();
        self.state.shapes.insert(shape, id);
        Ok(id)
    }
}
