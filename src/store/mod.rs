//! The store: mail and evidence of one server in one SQLite file, committed together. One thread writes; whoever promises
//! something waits for the commit that keeps it. No protocol knowledge, no sockets.
//!
//! ```text
//!  sessions ── record, deliver, expunge ──▶ queue ──▶ writer ── one transaction, one sync ──▶ file
//!           ◀─────────── committed ────────────────────┘                                       │
//!  sessions ── entries, message ◀───────────── a reading connection ◀──────────────────────────┤
//!  report, trace ── Reader ◀───────── any process, also while nothing runs ◀───────────────────┘
//! ```

mod batch;
mod branch;
mod chain;
mod change;
mod code;
mod error;
mod folders;
mod hub;
mod lineage;
mod looking;
mod lost;
mod outgoing;
mod pages;
mod queue;
mod reader;
mod schema;
mod state;
mod usage;
mod writer;

use std::{
    collections::{BTreeSet, HashMap, HashSet, hash_map::Entry as Held},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Instant,
};

use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

pub use branch::branch;
pub use chain::{Damage, Wrong};
pub use error::StoreError;
pub use lineage::{Lineage, covers};
pub use outgoing::{Arrival, Waiting};
pub use reader::{Counts, Mailbox, Reader, StoredMessage};
pub use schema::VERSION;
pub use usage::{Account, EVENT_OCTETS, MAX_ADDRESSES, Used};
pub use writer::Trouble;

pub use self::writer::LOG_OCTETS;
use self::{
    hub::Hub,
    lost::LostFile,
    queue::{Change, Delivery, Job, Queue, Reset, Settling, Work},
    state::{Holdings, State},
    usage::Usage,
    writer::Writer,
};
use crate::{
    evidence::{Conn, EventKind, Injected, MessageId, Seq, Timestamp, Uid, Who},
    lab::Login,
    mail::{
        Entry, Envelope, QueueChange, QueueId, Queued,
        folder::{FolderId, INBOX},
    },
    protocol::folders::{Ask, Refused, Told},
};

/// The writer's stack. SQLite needs a few tens of KiB; the rest is room, and costs address space only.
const WRITER_STACK: usize = 256 << 10;

/// Where events come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The connection; 0 for none.
    pub conn: Conn,
    /// Who it was, as far as the server knew.
    pub who: Who,
    /// When.
    pub time: Timestamp,
}

/// What a try to pass a message on came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The run that the message belongs to.
    pub run: u32,
    /// What was seen of it.
    pub events: Vec<EventKind>,
    /// What it changes in the queue.
    pub changes: Vec<QueueChange>,
    /// Notices to the sender.
    pub notices: Vec<Envelope>,
    /// The server that they come from: ours.
    pub server: Who,
}

/// A server's store. Clones are the same store.
#[derive(Debug, Clone)]
pub struct Store(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    queue: Arc<Queue>,
    holdings: Holdings,
    usage: Usage,
    waiting: Arc<Waiting>,
    hub: Hub,
    /// Mailboxes that have the folders every mailbox has.
    furnished: Mutex<HashSet<Login>>,
    locked: Arc<Mutex<HashMap<Login, Who>>>,
    conn: AtomicU64,
    /// Whether the file was closed by whoever had it before.
    closed: bool,
    /// The kinds of events that were in the file when it was opened.
    had: BTreeSet<&'static str>,
    committed: watch::Receiver<Seq>,
    trouble: watch::Receiver<Option<Trouble>>,
    /// Opened by the first reader; gone after [`Store::close`].
    reading: Mutex<Option<Connection>>,
}

impl Store {
    /// Opens the store and makes it where there is none.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let connection = schema::open_writer(path)?;
        let holdings = Holdings::default();
        let usage = Usage::default();
        let waiting = Arc::new(Waiting::default());
        let load = || {
            holdings.load(&connection)?;
            waiting.arrived(outgoing::all(&connection)?);
            State::load(&connection, &usage)
        };
        let state = load().map_err(|error| StoreError::read(path, &error))?;
        // What making or reading the tables left in the page cache is not needed again: with 500 stores that is 25 MiB.
        connection.execute_batch("PRAGMA shrink_memory").map_err(|error| StoreError::read(path, &error))?;
        let queue = Arc::new(Queue::new());
        let hub = Hub::default();
        let (committed, last) = watch::channel(Seq(state.seq));
        let (trouble, troubled) = watch::channel(None);
        let store = Shared {
            path: path.to_owned(),
            queue: Arc::clone(&queue),
            holdings: holdings.clone(),
            usage: usage.clone(),
            waiting: Arc::clone(&waiting),
            hub: hub.clone(),
            furnished: Mutex::default(),
            locked: Arc::default(),
            conn: AtomicU64::new(state.conn),
            closed: state.closed,
            had: state.shapes.keys().map(|shape| shape.kind).collect(),
            committed: last,
            trouble: troubled,
            reading: Mutex::new(None),
        };
        let (lost_file, lost) = LostFile::open(path);
        let path = path.to_owned();
        let writer = Writer {
            path: path.clone(),
            connection,
            queue,
            state,
            holdings,
            usage,
            waiting,
            hub,
            committed,
            written_back: Instant::now(),
            lost,
            lost_file,
            trouble,
            closing: None,
        };
        let thread = thread::Builder::new().name("store".to_owned()).stack_size(WRITER_STACK);
        thread.spawn(|| writer.run()).map_err(|error| StoreError::Open { path, why: error.to_string() })?;
        Ok(Self(Arc::new(store)))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Whether the file was closed by whoever had it before, or is new. Else that server was killed.
    pub fn was_closed(&self) -> bool {
        self.0.closed
    }

    /// Whether events of this kind were in the file when it was opened.
    pub fn had(&self, kind: &str) -> bool {
        self.0.had.contains(kind)
    }

    /// Writes events down, in order with everything else of the same caller. They are durable with the next commit, soon.
    pub async fn record(&self, origin: Origin, events: Vec<EventKind>) -> Result<(), StoreError> {
        let share = self.0.queue.share(queue::octets(&events)).await?;
        self.0.queue.push(Job { origin, events, work: Work::Record, done: None, share })
    }

    /// Stores a message; `events` come first, [`EventKind::Accepted`] after them. Returns when all of it is committed.
    pub async fn deliver(
        &self,
        origin: Origin,
        events: Vec<EventKind>,
        envelope: Envelope,
        injected: Option<Injected>,
    ) -> Result<(), StoreError> {
        let delivery = Delivery::of(envelope, injected);
        let octets = delivery.octets();
        self.commit(origin, events, Work::Deliver(Box::new(delivery)), octets).await
    }

    /// Writes down what a try to pass a message on came to. With a notice to the sender it returns when all of it is committed:
    /// a notice is there once, or its message is still in the queue. Otherwise nobody waits: what is lost with the machine is
    /// tried again (RFC 5321 4.5.3.2.6).
    pub async fn settle(&self, origin: Origin, settlement: Settlement) -> Result<(), StoreError> {
        let Settlement { run, events, changes, notices, server } = settlement;
        let notices: Vec<Delivery> = notices.into_iter().map(|notice| Delivery::of(notice, None)).collect();
        let octets = queue::octets(&events) + notices.iter().map(Delivery::octets).sum::<usize>();
        let waits = !notices.is_empty();
        let work = Work::Settle(Box::new(Settling { run, events, changes, notices, server }));
        if waits {
            return self.commit(origin, Vec::new(), work, octets).await;
        }
        let share = self.0.queue.share(octets).await?;
        self.0.queue.push(Job { origin, events: Vec::new(), work, done: None, share })
    }

    /// The recipients for other servers that came and were not taken yet by whoever carries them; first those that were
    /// there when the store was opened.
    pub fn waiting(&self) -> Arc<Waiting> {
        Arc::clone(&self.0.waiting)
    }

    /// These recipients, as far as they are still in the queue, in order.
    pub fn queued(&self, ids: &[QueueId]) -> Result<Vec<Queued>, StoreError> {
        self.read(|connection| outgoing::some(connection, ids))
    }

    /// The last recipient of the queue that came: its date, and the same moment on the clock of the server that took it.
    pub fn last_came(&self) -> Result<Option<(Timestamp, Timestamp)>, StoreError> {
        self.read(outgoing::last_came)
    }

    /// The first recipients in the queue, at most so many, in order.
    pub fn queue(&self, most: usize) -> Result<Vec<Queued>, StoreError> {
        self.read(|connection| outgoing::first(connection, most))
    }

    /// A stored message without joining its parts: what the server put in front, and the message as sent.
    pub fn parts(&self, id: MessageId) -> Result<(Vec<u8>, Vec<u8>), StoreError> {
        let found = self.read(|connection| reader::message(connection, id))?;
        let missing = || StoreError::Damaged { path: self.0.path.clone(), why: format!("message {} is missing", id.0) };
        found
            .map(|mut message| {
                let content = message.octets.split_off(message.trace_octets);
                (message.octets, content)
            })
            .ok_or_else(missing)
    }

    /// Takes entries out of a mailbox, together with `events`. Returns when that is committed.
    pub async fn expunge(
        &self,
        origin: Origin,
        events: Vec<EventKind>,
        mailbox: Login,
        entries: Vec<Entry>,
    ) -> Result<(), StoreError> {
        self.commit(origin, events, Work::Expunge(Box::new((mailbox, entries))), 0).await
    }

    /// Starts a new run of each student: takes out of the mailboxes what is in the student's own, what the student sent and
    /// what was injected for the student; for a whole group everything. An [`EventKind::Reset`] for each says what.
    pub async fn reset(&self, origin: Origin, students: Vec<Login>, whole_group: bool) -> Result<(), StoreError> {
        self.commit(origin, Vec::new(), Work::Reset(Box::new(Reset { students, whole_group })), 0).await
    }

    /// Returns when everything that was recorded before is committed.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.commit(writer::nobody(), Vec::new(), Work::Record, 0).await
    }

    /// Commits what is under way and closes the file. Whoever comes later gets [`StoreError::Closed`].
    pub async fn close(&self) -> Result<(), StoreError> {
        *lock(&self.0.reading) = None;
        let result = self.commit(writer::nobody(), Vec::new(), Work::Close, 0).await;
        self.0.queue.close();
        result
    }

    async fn commit(
        &self,
        origin: Origin,
        events: Vec<EventKind>,
        work: Work,
        octets: usize,
    ) -> Result<(), StoreError> {
        let share = self.0.queue.share(octets + queue::octets(&events)).await?;
        let (done, answer) = oneshot::channel();
        self.0.queue.push(Job { origin, events, work, done: Some(done), share })?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Does something with folders. What only looks is done right here, from memory or the page cache; what changes something
    /// is committed together with `events`, which otherwise come back.
    pub async fn folders(&self, origin: Origin, events: &mut Vec<EventKind>, ask: Ask) -> Result<Told, StoreError> {
        if let Some(mailbox) = looked_at(&ask) {
            self.furnish(&origin, mailbox).await?;
        }
        match ask {
            Ask::List { mailbox } => self.folder_list(&mailbox),
            Ask::Status { mailbox, name } => self.folder_status(&mailbox, &name),
            Ask::Select { mailbox, name, claim } => self.folder_select(&mailbox, &name, claim),
            Ask::Sync { known, claim } => self.folder_sync(&known, claim),
            Ask::Read { messages } => {
                messages.iter().map(|id| self.message(*id)).collect::<Result<_, _>>().map(Told::Messages)
            }
            Ask::Watch { .. } => Ok(Told::Done),
            ask => {
                if self.is_held_by_pop3(&ask) {
                    return Ok(Told::Refused(Refused::Locked));
                }
                let (told, octets) = (Arc::new(Mutex::new(None)), change::octets(&ask));
                let work = Work::Change(Box::new(Change { ask, told: Arc::clone(&told) }));
                self.commit(origin, std::mem::take(events), work, octets).await?;
                lock(&told).take().ok_or(StoreError::Closed)
            }
        }
    }

    /// Tells when a folder changes.
    pub fn watch_folder(&self, folder: FolderId) -> watch::Receiver<u64> {
        self.0.hub.watch(folder)
    }

    /// Makes the folders that every mailbox has, once.
    async fn furnish(&self, origin: &Origin, mailbox: &Login) -> Result<(), StoreError> {
        if lock(&self.0.furnished).contains(mailbox) {
            return Ok(());
        }
        let furnished = self.read(|connection| {
            let sql = "SELECT count(*) FROM folder WHERE mailbox = ? AND name IN ('INBOX', 'Drafts', 'Junk', 'Sent', 'Trash')";
            connection.query_row(sql, [mailbox.as_str()], |row| row.get::<_, u64>(0))
        })?;
        if furnished < 5 {
            self.commit(origin.clone(), Vec::new(), Work::Furnish(mailbox.clone()), 0).await?;
        }
        lock(&self.0.furnished).insert(mailbox.clone());
        Ok(())
    }

    /// While a POP3 session has the maildrop no message may leave it (RFC 1939 3).
    fn is_held_by_pop3(&self, ask: &Ask) -> bool {
        let folder = match ask {
            Ask::Expunge { folder, .. } | Ask::Copy { folder, remove: true, .. } => folder,
            Ask::Rename { mailbox, from, .. } if from.as_str() == INBOX => {
                return lock(&self.0.locked).contains_key(mailbox);
            }
            _ => return false,
        };
        folder.name.is_inbox() && lock(&self.0.locked).contains_key(&folder.mailbox)
    }

    /// Writes down which messages of a folder are recent, some time soon.
    fn note_recent(&self, folder: FolderId, uid: u32) {
        // Without room in the queue it is not written down: the next session that claims messages does it.
        if let Some(share) = self.0.queue.share_now() {
            let job = Job {
                origin: writer::nobody(),
                events: Vec::new(),
                work: Work::Recent(folder, uid),
                done: None,
                share,
            };
            let _ = self.0.queue.push(job);
        }
    }

    /// What the mailbox holds, in the order of UIDs. Reads from memory or the page cache: a few microseconds, a few
    /// milliseconds for 10,000 entries.
    pub fn entries(&self, mailbox: &Login) -> Result<Vec<Entry>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT uid, message, octets FROM entry \
                       WHERE folder = (SELECT id FROM folder WHERE mailbox = ? AND name = 'INBOX') ORDER BY uid";
            let mut statement = connection.prepare_cached(sql)?;
            let entry = |row: &rusqlite::Row<'_>| {
                Ok(Entry { uid: Uid(row.get(0)?), message: MessageId(row.get(1)?), octets: row.get(2)? })
            };
            statement.query_map([mailbox.as_str()], entry)?.collect()
        })
    }

    /// The whole message, trace fields first.
    pub fn message(&self, id: MessageId) -> Result<Vec<u8>, StoreError> {
        let found = self.read(|connection| reader::message(connection, id))?;
        let missing = || StoreError::Damaged { path: self.0.path.clone(), why: format!("message {} is missing", id.0) };
        found.map(|message| message.octets).ok_or_else(missing)
    }

    /// At most so many octets of a message from a place on, trace fields first; none past its end. Nothing of the store is held
    /// between two of these.
    pub fn octets(&self, id: MessageId, from: u64, most: u64) -> Result<Vec<u8>, StoreError> {
        let found = self.read(|connection| reader::octets(connection, id, from, most))?;
        let missing = || StoreError::Damaged { path: self.0.path.clone(), why: format!("message {} is missing", id.0) };
        found.ok_or_else(missing)
    }

    /// The injected mail of the current runs.
    pub fn injected(&self) -> Result<Vec<Injected>, StoreError> {
        self.read(reader::injected)
    }

    /// How much there is.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        self.read(reader::counts)
    }

    fn read<T>(&self, ask: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let mut reading = lock(&self.0.reading);
        let connection = match reading.take() {
            Some(connection) => connection,
            None => schema::open_reader(&self.0.path)?,
        };
        let connection = reading.insert(connection);
        ask(connection).map_err(|error| StoreError::read(&self.0.path, &error))
    }

    /// Locks a mailbox for a session of whoever it is; where another session has it, whose. Dropping the lock frees it.
    pub fn try_lock(&self, mailbox: &Login, who: &Who) -> Result<MailboxLock, Who> {
        match lock(&self.0.locked).entry(mailbox.clone()) {
            Held::Occupied(held) => Err(held.get().clone()),
            Held::Vacant(free) => {
                free.insert(who.clone());
                Ok(MailboxLock { mailbox: mailbox.clone(), locked: Arc::clone(&self.0.locked) })
            }
        }
    }

    /// Whether so many octets more would keep the mailbox within `limit`.
    pub fn room(&self, mailbox: &Login, octets: u64, limit: u64) -> bool {
        let held = self.0.holdings.lock().get(mailbox).map_or(0, state::Holding::all_octets);
        held.saturating_add(octets) <= limit
    }

    /// What an account has made the store keep; of an address beyond [`MAX_ADDRESSES`] what they have together.
    pub fn used(&self, account: Account) -> (Account, Arc<Used>) {
        self.0.usage.of(account)
    }

    /// Those who have made the store keep at least so many octets, in order.
    pub fn beyond(&self, octets: u64) -> Vec<Account> {
        self.0.usage.beyond(octets)
    }

    /// The mailboxes that ever held something, in order, with what they hold.
    pub fn mailboxes(&self) -> Vec<Mailbox> {
        let holdings = self.0.holdings.lock();
        let mailbox = |(name, holding): (&Login, &state::Holding)| Mailbox {
            name: name.clone(),
            count: holding.count,
            octets: holding.octets,
        };
        let mut all: Vec<Mailbox> = holdings.iter().map(mailbox).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// A connection number that was never used before.
    pub fn next_conn(&self) -> Conn {
        Conn(self.0.conn.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Whether the store can be written, and a signal when that changes.
    pub fn trouble(&self) -> watch::Receiver<Option<Trouble>> {
        self.0.trouble.clone()
    }

    /// The last committed event, and a signal when there are more.
    pub fn subscribe(&self) -> watch::Receiver<Seq> {
        self.0.committed.clone()
    }
}

impl Drop for Shared {
    /// Without its senders the writer works off what is queued and ends.
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// The mailbox whose folders must be there for this.
const fn looked_at(ask: &Ask) -> Option<&Login> {
    match ask {
        Ask::List { mailbox }
        | Ask::Status { mailbox, .. }
        | Ask::Select { mailbox, .. }
        | Ask::Create { mailbox, .. }
        | Ask::Delete { mailbox, .. }
        | Ask::Rename { mailbox, .. }
        | Ask::Subscribe { mailbox, .. }
        | Ask::Append { mailbox, .. } => Some(mailbox),
        Ask::Sync { .. }
        | Ask::Read { .. }
        | Ask::Store { .. }
        | Ask::Expunge { .. }
        | Ask::Copy { .. }
        | Ask::Watch { .. } => None,
    }
}

/// A locked mailbox.
#[derive(Debug)]
pub struct MailboxLock {
    mailbox: Login,
    locked: Arc<Mutex<HashMap<Login, Who>>>,
}

impl Drop for MailboxLock {
    fn drop(&mut self) {
        lock(&self.locked).remove(&self.mailbox);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
