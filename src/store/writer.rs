//! The one thread that writes: takes what is queued, commits it as one transaction, then answers whoever waits.

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{
    Origin, StoreError,
    batch::Batch,
    hub::Hub,
    lost::{Lost, LostFile},
    outgoing::Waiting,
    queue::{Answer, Job, Queue, Work},
    state::{Holdings, State},
    usage::Usage,
};
use crate::evidence::{Conn, EventKind, Seq, Timestamp, Who};

/// Octets of the log at which it is written back to the file. It is then used again from its start, and overwriting is
/// cheaper to sync than growing; a larger log makes the writing back rarer. A commit may go beyond it by what it writes.
pub const LOG_OCTETS: u64 = 16 << 20;

/// Octets of the log at which it is written back where that has not been done for [`CALM`]: at human speed it grows slowly, and
/// many stores together should not hold more in their logs than in themselves.
const CALM_OCTETS: u64 = 256 << 10;

/// How long after the log was written back a smaller one is, too.
const CALM: Duration = Duration::from_secs(10);

/// What a page takes in the log: 4 KiB, and 24 octets in front.
const FRAME_OCTETS: u64 = 4_096 + 24;

/// Events between two notes of the highest connection number and of what everybody has used; what comes after the last note is searched when the
/// store is opened.
const NOTE_EVENTS: u64 = 50_000;

/// The writer's half of a store.
pub(super) struct Writer {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    pub(super) queue: Arc<Queue>,
    pub(super) state: State,
    pub(super) holdings: Holdings,
    pub(super) usage: Usage,
    /// Whoever carries mail to other servers hears here of more.
    pub(super) waiting: Arc<Waiting>,
    pub(super) hub: Hub,
    pub(super) committed: watch::Sender<Seq>,
    /// When the log was last written back.
    pub(super) written_back: Instant,
    /// What could not be written; the record says so as soon as it can.
    pub(super) lost: Option<Lost>,
    /// Where that is remembered across a restart.
    pub(super) lost_file: LostFile,
    /// Tells whether what comes can be written.
    pub(super) trouble: watch::Sender<Option<Trouble>>,
    /// Who waits for the file to be closed.
    pub(super) closing: Option<(Answer, Result<(), StoreError>)>,
}

/// That the store cannot be written: whoever delivers is told to come again, and what is seen meanwhile is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// When the first write failed.
    pub since: Timestamp,
    /// Why the last one did, as a fragment.
    pub why: String,
    /// How many events are lost.
    pub events: usize,
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { why, events, .. } = self;
        let lost = if *events == 1 { "1 event is" } else { &format!("{events} events are") };
        write!(out, "its store cannot be written ({why}): mail is refused for now (451), and {lost} lost")
    }
}

impl Writer {
    /// Works until the queue is closed and empty.
    pub(super) fn run(mut self) {
        let mut jobs = Vec::new();
        // The file was made, or left behind, without waiting for the disk: settle it before anything is promised.
        let mut settled = false;
        let (mut answered, mut patience) = (0, Duration::ZERO);
        while self.queue.take(&mut jobs, answered, patience) {
            let start = Instant::now();
            answered = jobs.iter().filter(|job| job.done.is_some()).count();
            if !settled && jobs.iter().any(|job| job.done.is_some()) {
                self.write_back();
                settled = true;
            }
            match self.commit(&jobs) {
                Ok(()) => self.answer(&mut jobs, &Ok(())),
                // One job that cannot be written must not fail the others: each gets a transaction of its own.
                Err(error) => {
                    self.one_by_one(&mut jobs, &error);
                    self.lost_file.write(self.lost.as_ref());
                }
            }
            // Waiting for more is worth a part of what a commit takes.
            patience = start.elapsed() / 2;
            let logged = self.logged();
            if logged >= LOG_OCTETS || logged >= CALM_OCTETS && self.written_back.elapsed() >= CALM {
                self.write_back();
            }
        }
        // The last connection to go takes the log with it; whoever closes the store then finds one file.
        drop(self.connection);
        if let Some((done, result)) = self.closing {
            let _ = done.send(result);
        }
    }

    fn commit(&mut self, jobs: &[Job]) -> Result<(), rusqlite::Error> {
        let result = self.transaction(jobs);
        if result.is_err() {
            // The transaction may be gone already, and the numbers must be those of the file again.
            let _ = self.connection.execute_batch("ROLLBACK");
            if let Ok(state) = State::load(&self.connection, &self.usage) {
                self.state = state;
                let _ = self.holdings.load(&self.connection);
            }
        }
        result
    }

    fn transaction(&mut self, jobs: &[Job]) -> rusqlite::Result<()> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut batch = Batch::new(&self.connection, &mut self.state, &self.holdings, &self.usage)?;
        if let Some(Lost { count, first, last, why }) = &self.lost {
            let over = match (last.0 - first.0).max(0) / 1_000_000 {
                0 => String::new(),
                secs => format!(" (over {secs} s)"),
            };
            let why = format!("{count} of the events before this one{over} could not be written: {why}");
            batch.write(*last, Conn(0), 1, &Who::Unknown, &EventKind::Damaged { why })?;
        }
        jobs.iter().try_for_each(|job| batch.apply(job))?;
        let arrivals = batch.finish()?;
        let unnoted = self.state.seq - self.state.noted;
        // After a reset what was used before counts no more, also when it is read anew.
        let notes = || jobs.iter().any(|job| matches!(job.work, Work::Close | Work::Reset(_)));
        if unnoted >= NOTE_EVENTS || unnoted > 0 && notes() {
            note(&self.connection, &mut self.state)?;
            self.usage.note(&self.connection)?;
        }
        if jobs.iter().any(|job| matches!(job.work, Work::Close)) {
            self.connection.execute(
                "INSERT INTO meta (key, value) VALUES ('closed_seq', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                [self.state.seq],
            )?;
        }
        self.connection.prepare_cached("COMMIT")?.execute([])?;
        self.waiting.arrived(arrivals);
        if self.lost.take().is_some() {
            self.lost_file.write(None);
            self.trouble.send_if_modified(|trouble| trouble.take().is_some());
        }
        self.hub.changed(&self.state.folders.changed());
        Ok(())
    }

    fn one_by_one(&mut self, jobs: &mut Vec<Job>, error: &rusqlite::Error) {
        if jobs.len() == 1 {
            self.give_up(jobs, error);
            return;
        }
        for job in jobs.drain(..) {
            let mut job = vec![job];
            match self.commit(&job) {
                Ok(()) => self.answer(&mut job, &Ok(())),
                Err(error) => self.give_up(&mut job, &error),
            }
        }
    }

    fn give_up(&mut self, jobs: &mut Vec<Job>, error: &rusqlite::Error) {
        // Jobs without events come from nobody and have no time.
        for job in jobs.iter().filter(|job| !job.events.is_empty()) {
            let last = job.origin.time;
            let (count, first) = self.lost.take().map_or((0, last), |lost| (lost.count, lost.first));
            self.lost = Some(Lost { count: count + job.events.len(), first, last, why: error.to_string() });
        }
        if let Some(Lost { count, first, why, .. }) = &self.lost {
            self.trouble.send_replace(Some(Trouble { since: *first, why: why.clone(), events: *count }));
        }
        self.answer(jobs, &Err(StoreError::write(&self.path, error)));
    }

    fn answer(&mut self, jobs: &mut Vec<Job>, result: &Result<(), StoreError>) {
        self.committed.send_replace(Seq(self.state.seq));
        for Job { done, share, work, .. } in jobs.drain(..) {
            drop(share);
            match done {
                Some(done) if matches!(work, Work::Close) => self.closing = Some((done, result.clone())),
                // Whoever waited may have gone; the commit stands.
                Some(done) => _ = done.send(result.clone()),
                None => {}
            }
        }
    }

    /// Octets that the log holds now, as SQLite counts them.
    fn logged(&self) -> u64 {
        let frames = |connection: &Connection| {
            let mut statement = connection.prepare_cached("PRAGMA wal_checkpoint(NOOP)")?;
            statement.query_row([], |row| row.get::<_, i64>(1))
        };
        frames(&self.connection).map_or(0, |frames| u64::try_from(frames).unwrap_or(0) * FRAME_OCTETS)
    }

    /// Writes the log back to the file and syncs it. A failure costs nothing: the log keeps everything.
    fn write_back(&mut self) {
        self.written_back = Instant::now();
        let _ = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    }
}

/// Leaves the highest connection number in the file.
fn note(connection: &Connection, state: &mut State) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta (key, value) VALUES ('noted_seq', ?1), ('noted_conn', ?2) \
               ON CONFLICT (key) DO UPDATE SET value = excluded.value";
    connection.execute(sql, params![state.seq, state.conn])?;
    state.noted = state.seq;
    Ok(())
}

/// Where a job comes from that nobody in particular sent.
pub(super) fn nobody() -> Origin {
    Origin { conn: Conn(0), who: Who::Unknown, time: Timestamp(0) }
}
