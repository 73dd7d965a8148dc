//! One transaction of the writer: jobs become rows. Nothing here commits.

use std::{borrow::Cow, sync::PoisonError};

use rusqlite::{CachedStatement, Connection, params, types::ValueRef};

use super::{
    Origin, chain,
    code::{self, MAX_SHAPES, Parts, Shape},
    folders::Folder,
    outgoing::{self, Arrival},
    queue::{Delivery, Job, Reset, Settling, Work},
    state::{Holdings, State},
    usage::{self, Usage},
};
use crate::{
    evidence::{ChainHash, Conn, Delivered, EventKind, MessageId, Removed, Seq, Timestamp, Uid, Who},
    lab::Login,
    mail::{
        Entry, Envelope,
        folder::{Flags, FolderId, FolderName, INBOX, Special},
    },
};

const INSERT_EVENT: &str = "INSERT INTO event (seq, time, conn, shape, octets, reply_octets, line, reply, detail) \
                            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
const SEAL_EVENT: &str = "UPDATE event SET seal = ? WHERE seq = ?";
const INSERT_MESSAGE: &str = "INSERT INTO message (id, student, trace, content) VALUES (?, ?, ?, ?)";
const INSERT_ENTRY: &str =
    "INSERT INTO entry (folder, uid, message, octets, flags, modseq, received) VALUES (?, ?, ?, ?, ?, ?, ?)";
const DELETE_ENTRY: &str = "DELETE FROM entry WHERE folder = ? AND uid = ?";

/// What a student's new run starts without: the own mailbox, what the student sent, what was injected for the student.
const ENTRIES_OF_STUDENT: &str = "\
    SELECT entry.folder, entry.uid, entry.octets FROM entry JOIN message ON message.id = entry.message \
    JOIN folder ON folder.id = entry.folder \
    WHERE folder.mailbox = ?1 OR message.student = ?1 \
       OR EXISTS (SELECT 1 FROM injected WHERE injected.message = message.id AND injected.student = ?1)";

/// A message on its way into a folder.
#[derive(Debug, Clone, Copy)]
pub(super) struct Put {
    pub(super) message: MessageId,
    pub(super) octets: u64,
    pub(super) flags: Flags,
    pub(super) received_secs: i64,
}

/// A transaction under way.
pub(super) struct Batch<'a> {
    pub(super) connection: &'a Connection,
    pub(super) state: &'a mut State,
    pub(super) holdings: &'a Holdings,
    usage: &'a Usage,
    event: CachedStatement<'a>,
    pub(super) message: CachedStatement<'a>,
    entry: CachedStatement<'a>,
    /// Recipients for other servers, told to whoever carries the mail once they are committed.
    arrivals: Vec<Arrival>,
    /// The last event before the batch.
    before: u64,
    scratch: Vec<u8>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        state: &'a mut State,
        holdings: &'a Holdings,
        usage: &'a Usage,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            event: connection.prepare_cached(INSERT_EVENT)?,
            message: connection.prepare_cached(INSERT_MESSAGE)?,
            entry: connection.prepare_cached(INSERT_ENTRY)?,
            before: state.seq,
            connection,
            state,
            holdings,
            usage,
            arrivals: Vec::new(),
            scratch: Vec::with_capacity(1_024),
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
            Work::Change(change) => {
                self.events(&job.origin, run, &job.events)?;
                let told = self.change(&job.origin, run, &change.ask)?;
                *change.told.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
                Ok(())
            }
            Work::Furnish(mailbox) => self.furnish(mailbox, job.origin.time),
            Work::Recent(folder, uid) => {
                let sql = "UPDATE folder SET recent_uid = max(recent_uid, ?) WHERE id = ?";
                self.connection.prepare_cached(sql)?.execute(params![uid, folder.0]).map(drop)
            }
            Work::Reset(reset) => self.reset(&job.origin, reset),
            Work::Settle(settling) => self.settle(&job.origin, settling),
            Work::Close => Ok(()),
        }
    }

    /// Writes what was gathered for the end of the batch, seals its last event, and hands out what is to be told after the commit.
    pub(super) fn finish(self) -> rusqlite::Result<Vec<Arrival>> {
        self.state.folders.write(self.connection)?;
        if self.state.seq > self.before {
            let values = params![self.state.hash.0, self.state.seq];
            self.connection.prepare_cached(SEAL_EVENT)?.execute(values)?;
        }
        Ok(self.arrivals)
    }

    fn deliver(&mut self, origin: &Origin, events: &[EventKind], delivery: &Delivery) -> rusqlite::Result<()> {
        let Delivery { envelope, sha256, injected, confirmation } = delivery;
        let Some(envelope) = self.without_what_came_before(envelope)? else {
            let run = self.state.run(origin.who.student());
            self.events(origin, run, events)?;
            let queue_name = envelope.queue_name.clone().unwrap_or_default();
            let repeated = EventKind::Repeated { queue_name, recipients: envelope.recipients.clone() };
            return self.write(origin.time, origin.conn, run, &origin.who, &repeated);
        };
        let envelope = envelope.as_ref();
        // A copy injected for a student belongs to the run that the student is in.
        let student = origin.who.student();
        let run = self.state.run(student.or_else(|| injected.as_ref()?.student.as_ref()));
        self.state.message += 1;
        let message = MessageId(self.state.message);
        self.message.execute(params![message.0, student.map(Login::as_str), envelope.trace, envelope.content])?;
        let octets = (envelope.trace.len() + envelope.content.len()) as u64;
        let mut delivered = Vec::with_capacity(envelope.mailboxes.len());
        for mailbox in &envelope.mailboxes {
            let inbox = self.state.folders.inbox(self.connection, mailbox, origin.time)?;
            let received_secs = origin.time.0 / 1_000_000;
            let uid = self.put(inbox, Put { message, octets, flags: Flags::default(), received_secs })?;
            delivered.push(Delivered { mailbox: mailbox.clone(), uid: Uid(u64::from(uid)) });
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
        match confirmation {
            Some((by, told)) => self.deliver(&Origin { conn: Conn(0), who: by.clone(), time: origin.time }, &[], told),
            None => Ok(()),
        }
    }

    /// The message for those who have not got it from this queue yet; none where all have.
    fn without_what_came_before<'e>(&self, envelope: &'e Envelope) -> rusqlite::Result<Option<Cow<'e, Envelope>>> {
        let Some(queue_name) = &envelope.queue_name else { return Ok(Some(Cow::Borrowed(envelope))) };
        let mut statement =
            self.connection.prepare_cached("INSERT OR IGNORE INTO passed (queue_name, place) VALUES (?, ?)")?;
        let mut is_new = |place: &str| Ok::<_, rusqlite::Error>(statement.execute([queue_name, place])? > 0);
        let mut mailboxes = Vec::with_capacity(envelope.mailboxes.len());
        for mailbox in &envelope.mailboxes {
            if is_new(mailbox.as_str())? {
                mailboxes.push(mailbox.clone());
            }
        }
        let mut outgoing = Vec::with_capacity(envelope.outgoing.len());
        for elsewhere in &envelope.outgoing {
            if is_new(&elsewhere.recipient)? {
                outgoing.push(elsewhere.clone());
            }
        }
        if mailboxes.len() == envelope.mailboxes.len() && outgoing.len() == envelope.outgoing.len() {
            return Ok(Some(Cow::Borrowed(envelope)));
        }
        let some = !mailboxes.is_empty() || !outgoing.is_empty();
        Ok(some.then(|| Cow::Owned(Envelope { mailboxes, outgoing, ..envelope.clone() })))
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

    /// Puts a message into a folder; its UID there.
    pub(super) fn put(&mut self, folder: FolderId, put: Put) -> rusqlite::Result<u32> {
        let Put { message, octets, flags, received_secs } = put;
        let (uid, modseq) = self.state.folders.next(folder);
        self.entry.execute(params![folder.0, uid, message.0, octets, flags.0, modseq, received_secs])?;
        if let Some(Folder { mailbox, name, .. }) = self.state.folders.of(folder) {
            self.holdings.lock().entry(mailbox.clone()).or_default().add(name.is_inbox(), octets);
        }
        Ok(uid)
    }

    fn expunge(&mut self, mailbox: &Login, entries: &[Entry]) -> rusqlite::Result<()> {
        let Some(inbox) = self.state.folders.named(mailbox, INBOX) else { return Ok(()) };
        for entry in entries {
            self.remove(inbox, entry.uid, entry.octets)?;
        }
        if !entries.is_empty() {
            self.state.folders.next_modseq(inbox);
        }
        Ok(())
    }

    /// Takes an entry out, unless somebody was faster; whether it was there.
    pub(super) fn remove(&mut self, folder: FolderId, uid: Uid, octets: u64) -> rusqlite::Result<bool> {
        let gone = self.connection.prepare_cached(DELETE_ENTRY)?.execute(params![folder.0, uid.0])? > 0;
        if gone && let Some(Folder { mailbox, name, .. }) = self.state.folders.of(folder) {
            if let Some(holding) = self.holdings.lock().get_mut(mailbox) {
                holding.remove(name.is_inbox(), octets);
            }
            self.state.folders.touch(folder);
        }
        Ok(gone)
    }

    /// New runs. What nobody in particular left behind goes with the last student of a whole group.
    fn reset(&mut self, origin: &Origin, reset: &Reset) -> rusqlite::Result<()> {
        for (place, student) in reset.students.iter().enumerate() {
            let mut removed = self.clear(ENTRIES_OF_STUDENT, Some(student))?;
            self.forget_folders(student)?;
            self.connection.execute("DELETE FROM injected WHERE student = ?", [student.as_str()])?;
            self.connection.execute("DELETE FROM outgoing WHERE student = ?", [student.as_str()])?;
            if reset.whole_group && place + 1 == reset.students.len() {
                removed.extend(self.clear("SELECT folder, uid, octets FROM entry", None)?);
                self.connection.execute("DELETE FROM injected", [])?;
                self.connection.execute("DELETE FROM outgoing", [])?;
                self.usage.forgive(None);
            }
            self.usage.forgive(Some(student));
            let run = self.state.run(Some(student)) + 1;
            self.state.runs.insert(student.clone(), run);
            let sql = "INSERT INTO run (student, run, time) VALUES (?, ?, ?)";
            self.connection.execute(sql, params![student.as_str(), run, origin.time.0])?;
            let event = EventKind::Reset { student: student.clone(), removed };
            self.write(origin.time, origin.conn, run, &origin.who, &event)?;
        }
        Ok(())
    }

    /// Takes out the entries that a query finds; what they were.
    fn clear(&mut self, sql: &str, student: Option<&Login>) -> rusqlite::Result<Vec<Removed>> {
        let mut statement = self.connection.prepare(sql)?;
        let read = |row: &rusqlite::Row<'_>| Ok((FolderId(row.get(0)?), Uid(row.get(1)?), row.get::<_, u64>(2)?));
        let rows = match student {
            Some(student) => statement.query_map([student.as_str()], read)?,
            None => statement.query_map([], read)?,
        };
        let found: Vec<(FolderId, Uid, u64)> = rows.collect::<rusqlite::Result<_>>()?;
        drop(statement);
        let mut removed = Vec::new();
        for (folder, uid, octets) in found {
            self.remove(folder, uid, octets)?;
            if let Some(Folder { mailbox, name, .. }) = self.state.folders.of(folder) {
                removed.push(Removed { mailbox: mailbox.clone(), folder: name.clone(), uid });
            }
        }
        Ok(removed)
    }

    /// Takes a student's own folders away; those that every mailbox has stay.
    fn forget_folders(&mut self, student: &Login) -> rusqlite::Result<()> {
        let own = |name: &FolderName| !name.is_inbox() && Special::named(name.as_str()).is_none();
        let all = self.state.folders.of_mailbox(student);
        for id in all.filter(|(name, _)| own(name)).map(|(_, id)| id).collect::<Vec<_>>() {
            self.connection.prepare_cached("DELETE FROM folder WHERE id = ?")?.execute([id.0])?;
            self.state.folders.remove(id);
        }
        Ok(())
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
        let ((id, hash_of_shape), columns) = match compact {
            Some(compact) => compact,
            None => (self.new_shape(shape("".into(), None))?, code::as_json(kind)),
        };
        self.state.seq += 1;
        self.state.conn = self.state.conn.max(conn.0);
        let seq = Seq(self.state.seq);
        let row = chain::Row {
            seq: seq.0,
            time: time.0,
            conn: signed(conn.0),
            shape: hash_of_shape,
            columns: columns.values(),
        };
        self.state.hash = chain::link(self.state.hash, &row, &mut self.scratch);
        self.charge(conn, who, kind, &columns);
        let code::Columns { octets, reply_octets, line, reply, detail } = columns;
        self.event.execute(params![seq.0, time.0, conn.0, id, octets, reply_octets, line, reply, detail])?;
        Ok(())
    }

    /// Charges an event to whom it is of.
    fn charge(&mut self, conn: Conn, who: &Who, kind: &EventKind, columns: &code::Columns<'_>) {
        let octets = usage::EVENT_OCTETS + columns.octets_of_texts() + usage::message(kind);
        if let EventKind::Connected { peer: Some(peer), .. } = kind {
            self.state.peers.insert(conn, peer.ip());
        }
        self.usage.charge(who, self.state.peers.get(&conn).copied(), octets);
        if let EventKind::Disconnected { .. } = kind {
            self.state.peers.remove(&conn);
        }
    }

    /// The number of a shape; none where the store has too many to take a new one in.
    fn shape(&mut self, shape: Shape) -> rusqlite::Result<Option<(i64, ChainHash)>> {
        if self.state.shapes.len() >= MAX_SHAPES && !self.state.shapes.contains_key(&shape) {
            return Ok(None);
        }
        self.new_shape(shape).map(Some)
    }

    fn new_shape(&mut self, shape: Shape) -> rusqlite::Result<(i64, ChainHash)> {
        if let Some(known) = self.state.shapes.get(&shape) {
            return Ok(*known);
        }
        let (who, login, by) = code::who_words(&shape.who);
        let (before, after) = shape.states.map(|(before, after)| (before.as_str(), after.as_str())).unzip();
        let sql = "INSERT INTO shape (run, who, login, by, kind, word, before, after) VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        let values = params![shape.run, who, login, by, shape.kind, shape.word.as_ref(), before, after];
        self.connection.execute(sql, values)?;
        let id = self.connection.last_insert_rowid();
        let hash = chain::shape_hash(&[
            ValueRef::Integer(i64::from(shape.run)),
            who.into(),
            login.into(),
            by.into(),
            shape.kind.into(),
            shape.word.as_ref().into(),
            before.into(),
            after.into(),
        ]);
        self.state.shapes.insert(shape, (id, hash));
        Ok((id, hash))
    }
}

/// A count as SQLite keeps it.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
