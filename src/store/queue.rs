//! The way to the writer: a bounded queue whose reader takes all there is at once. Work that somebody waits for is taken
//! at once; events alone linger, so that they share the next commit that somebody needs anyway.

use std::{
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{Origin, StoreError};
use crate::{
    evidence::{EventKind, Injected},
    lab::Login,
    mail::{Entry, Envelope},
};

/// How long events alone wait for a commit to share.
pub(super) const LINGER: Duration = Duration::from_millis(25);

/// Jobs without anybody waiting that are enough for a commit of their own.
const LINGERING: usize = 4_096;

/// What may be queued before senders wait, in KiB of messages; every job counts as one at least.
pub(super) const QUEUE_KIB: u32 = 32_768;

/// Where a waiting caller hears what became of a job.
pub(super) type Answer = oneshot::Sender<Result<(), StoreError>>;

/// One piece of work for the writer.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) origin: Origin,
    pub(super) events: Vec<EventKind>,
    pub(super) work: Work,
    /// Who waits for the commit.
    pub(super) done: Option<Answer>,
    /// The job's share of the queue, given back after the commit.
    pub(super) share: OwnedSemaphorePermit,
}

/// What a job does besides writing its events.
#[derive(Debug)]
pub(super) enum Work {
    /// Nothing.
    Record,
    /// Stores a message.
    Deliver(Box<Delivery>),
    /// Takes entries out of a mailbox.
    Expunge(Box<(Login, Vec<Entry>)>),
    /// Starts new runs.
    Reset(Box<Reset>),
    /// Commits what came before, writes the log back and ends the writer.
    Close,
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) envelope: Envelope,
    pub(super) sha256: String,
    pub(super) injected: Option<Injected>,
}

/// Whose runs start anew.
#[derive(Debug)]
pub(super) struct Reset {
    pub(super) students: Vec<Login>,
    pub(super) whole_group: bool,
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    room: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: Vec<Job>,
    urgent: bool,
    closed: bool,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(QUEUE_KIB as usize)), waiting: Mutex::default(), bell: Condvar::new() }
    }

    /// Waits until there is room for a job of so many octets.
    pub(super) async fn share(&self, octets: usize) -> Result<OwnedSemaphorePermit, StoreError> {
        let kib = u32::try_from(octets / 1_024).unwrap_or(QUEUE_KIB).clamp(1, QUEUE_KIB);
        Arc::clone(&self.room).acquire_many_owned(kib).await.map_err(|_| StoreError::Closed)
    }

    /// Puts a job at the end.
    pub(super) fn push(&self, job: Job) -> Result<(), StoreError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(StoreError::Closed);
        }
        let urgent = job.done.is_some() || waiting.jobs.len() >= LINGERING;
        // The writer sleeps before the first job, and then until one is urgent: no bell rings in between.
        let rings = waiting.jobs.is_empty() || urgent && !waiting.urgent;
        waiting.urgent |= urgent;
        waiting.closed = matches!(job.work, Work::Close);
        waiting.jobs.push(job);
        drop(waiting);
        if rings {
            self.bell.notify_one();
        }
        Ok(())
    }

    /// Takes everything there is into `jobs`, which must be empty; waits for it. False when nothing will come any more.
    pub(super) fn take(&self, jobs: &mut Vec<Job>) -> bool {
        let waiting = self.lock();
        let idle = |waiting: &mut Waiting| waiting.jobs.is_empty() && !waiting.closed;
        let waiting = self.bell.wait_while(waiting, idle).unwrap_or_else(PoisonError::into_inner);
        let lingers = |waiting: &mut Waiting| !waiting.urgent && !waiting.closed;
        let (mut waiting, _) =
            self.bell.wait_timeout_while(waiting, LINGER, lingers).unwrap_or_else(PoisonError::into_inner);
        mem::swap(&mut waiting.jobs, jobs);
        waiting.urgent = false;
        !jobs.is_empty()
    }

    /// Nothing more is taken in; what is queued is still worked off.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.close();
        self.bell.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
