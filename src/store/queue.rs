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
    evidence::{EventKind, Injected, Who},
    lab::Login,
    mail::{self, Entry, Envelope, QueueChange, folder::FolderId},
    protocol::folders::{Ask, Told},
};

/// How long events alone wait for a commit to share.
pub(super) const LINGER: Duration = Duration::from_millis(25);

/// The longest wait for more jobs to share a commit that somebody waits for.
const PATIENCE: Duration = Duration::from_millis(1);

/// Jobs without anybody waiting that are enough for a commit of their own.
const LINGERING: usize = 4_096;

/// What may be queued before senders wait, in KiB of messages and events; every job counts as one at least.
pub(super) const QUEUE_KIB: u32 = 32_768;

/// What events take in memory while they wait, roughly: themselves, and their texts where those are long.
pub(super) fn octets(events: &[EventKind]) -> usize {
    let texts = |event: &EventKind| match event {
        EventKind::Command { line, reply, .. } => line.len() + reply.len(),
        EventKind::Connected { reply, .. } => reply.len(),
        EventKind::Flagged { uids, flags, .. } => uids.len() + flags.len(),
        EventKind::Copied { copies, .. } => size_of_val(copies.as_slice()),
        EventKind::Reset { removed, .. } => size_of_val(removed.as_slice()),
        EventKind::Relayed { recipients, reply, .. }
        | EventKind::Deferred { recipients, reply, .. }
        | EventKind::Bounced { recipients, reply, .. } => {
            recipients.iter().map(String::len).sum::<usize>() + reply.len()
        }
        EventKind::Accepted { recipients, .. }
        | EventKind::Queued { recipients, .. }
        | EventKind::Repeated { recipients, .. } => recipients.iter().map(String::len).sum(),
        EventKind::Secured { .. }
        | EventKind::HandshakeFailed { .. }
        | EventKind::Discarded { .. }
        | EventKind::LoneDot { .. }
        | EventKind::LoggedIn { .. }
        | EventKind::LoginFailed { .. }
        | EventKind::Query { .. }
        | EventKind::Retrieved { .. }
        | EventKind::Deleted { .. }
        | EventKind::Appended { .. }
        | EventKind::Folder { .. }
        | EventKind::Disconnected { .. }
        | EventKind::Fault { .. }
        | EventKind::FaultSet { .. }
        | EventKind::FaultCleared { .. }
        | EventKind::Limited { .. }
        | EventKind::Exhausted { .. }
        | EventKind::Compacted { .. }
        | EventKind::Started { .. }
        | EventKind::Damaged { .. } => 0,
    };
    events.iter().map(|event| size_of::<EventKind>() + texts(event)).sum()
}

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
    /// Makes the folders that every mailbox has.
    Furnish(Login),
    /// Changes folders.
    Change(Box<Change>),
    /// From this UID on, a folder's messages are recent.
    Recent(FolderId, u32),
    /// Starts new runs.
    Reset(Box<Reset>),
    /// Writes what a try to pass a message on came to.
    Settle(Box<Settling>),
    /// Commits what came before, writes the log back and ends the writer.
    Close,
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) envelope: Envelope,
    pub(super) sha256: String,
    pub(super) injected: Option<Injected>,
    /// The notice of it, and the server that it comes from.
    pub(super) confirmation: Option<(Who, Box<Delivery>)>,
}

impl Delivery {
    /// A message with what goes with it. Hashed here and not in the writer, where everybody would wait for it.
    pub(super) fn of(mut envelope: Envelope, injected: Option<Injected>) -> Self {
        let confirmation = envelope.confirmation.take();
        let confirmation = confirmation.map(|told| (told.by, Box::new(Self::of(told.envelope, None))));
        Self { sha256: mail::sha256(&envelope.content), envelope, injected, confirmation }
    }

    /// Octets of its messages.
    pub(super) fn octets(&self) -> usize {
        let confirmation = self.confirmation.as_ref().map_or(0, |(_, told)| told.octets());
        self.envelope.trace.len() + self.envelope.content.len() + confirmation
    }
}

/// What a try to pass a message on came to.
#[derive(Debug)]
pub(super) struct Settling {
    /// The run that the message belongs to.
    pub(super) run: u32,
    /// What was seen of it.
    pub(super) events: Vec<EventKind>,
    /// What it changes in the queue.
    pub(super) changes: Vec<QueueChange>,
    /// Notices to the sender, and the server that they come from.
    pub(super) notices: Vec<Delivery>,
    pub(super) server: Who,
}

/// Something to be done with folders, and what became of it once the job is answered.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) ask: Ask,
    pub(super) told: Arc<Mutex<Option<Told>>>,
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
    /// How many of the jobs somebody waits for.
    urgent: usize,
    /// With so many urgent jobs the writer stops waiting for more.
    enough: usize,
    /// The writer sleeps until there is any job.
    asleep: bool,
    closed: bool,
}

impl Waiting {
    fn is_enough(&self) -> bool {
        self.urgent >= self.enough || self.jobs.len() >= LINGERING || self.closed
    }
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

    /// A small job's share, if there is room right now.
    pub(super) fn share_now(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).try_acquire_owned().ok()
    }

    /// Puts a job at the end.
    pub(super) fn push(&self, job: Job) -> Result<(), StoreError> {
        let mut waiting = self.lock();
        if waiting.closed {
            return Err(StoreError::Closed);
        }
        let was_enough = waiting.is_enough();
        waiting.urgent += usize::from(job.done.is_some());
        waiting.closed = matches!(job.work, Work::Close);
        waiting.jobs.push(job);
        // Waking the writer costs more than most jobs: the bell rings only for what it waits for.
        let rings = mem::take(&mut waiting.asleep) || !was_enough && waiting.is_enough();
        drop(waiting);
        if rings {
            self.bell.notify_one();
        }
        Ok(())
    }

    /// Takes everything there is into `jobs`, which must be empty; waits for it. False when nothing will come any more.
    ///
    /// Whoever was answered by the last commit is likely to be back soon. When `answered` and those who wait already are
    /// more than wait now, the others get `patience` to come along: fewer, larger commits serve everybody sooner. One
    /// session alone never waits.
    pub(super) fn take(&self, jobs: &mut Vec<Job>, answered: usize, patience: Duration) -> bool {
        let mut waiting = self.lock();
        let expected = waiting.urgent + answered;
        waiting = self.until_urgent(waiting);
        if waiting.urgent > 0 {
            waiting.enough = expected;
            waiting = self.wait(waiting, patience.min(PATIENCE));
        }
        waiting.urgent = 0;
        mem::swap(&mut waiting.jobs, jobs);
        !jobs.is_empty()
    }

    /// Waits until somebody waits, or events alone have lingered.
    fn until_urgent<'a>(&'a self, mut waiting: MutexGuard<'a, Waiting>) -> MutexGuard<'a, Waiting> {
        loop {
            waiting.enough = 1;
            waiting = self.wait(waiting, LINGER);
            if !waiting.jobs.is_empty() || waiting.closed {
                return waiting;
            }
            waiting.asleep = true;
            let asleep = |waiting: &mut Waiting| waiting.asleep && !waiting.closed;
            waiting = self.bell.wait_while(waiting, asleep).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until there is enough, at most so long.
    fn wait<'a>(&self, waiting: MutexGuard<'a, Waiting>, at_most: Duration) -> MutexGuard<'a, Waiting> {
        let too_few = |waiting: &mut Waiting| !waiting.is_enough();
        self.bell.wait_timeout_while(waiting, at_most, too_few).unwrap_or_else(PoisonError::into_inner).0
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::writer::nobody;

    async fn job(queue: &Queue, urgent: bool) -> Job {
        let done = urgent.then(|| oneshot::channel().0);
        Job { origin: nobody(), events: Vec::new(), work: Work::Record, done, share: queue.share(0).await.unwrap() }
    }

    #[tokio::test]
    async fn senders_wait_when_the_queue_is_full() {
        let queue = Queue::new();
        let full = queue.share(usize::MAX).await.unwrap();
        assert_eq!(queue.room.available_permits(), 0, "one job may fill it, however large");
        let next = queue.share(1);
        tokio::pin!(next);
        assert!(std::future::poll_fn(|context| std::task::Poll::Ready(next.as_mut().poll(context).is_pending())).await);
        drop(full);
        drop(next.await.unwrap());
    }

    #[tokio::test]
    async fn everything_is_taken_in_order_and_nothing_after_the_end() {
        let queue = Queue::new();
        for urgent in [false, true, false] {
            queue.push(job(&queue, urgent).await).unwrap();
        }
        let mut jobs = Vec::new();
        assert!(queue.take(&mut jobs, 0, Duration::ZERO));
        assert_eq!(jobs.iter().map(|job| job.done.is_some()).collect::<Vec<_>>(), [false, true, false]);
        let late = job(&queue, true).await;
        queue.close();
        jobs.clear();
        assert!(!queue.take(&mut jobs, 3, Duration::MAX));
        assert_eq!(queue.push(late), Err(StoreError::Closed));
    }

    #[tokio::test]
    async fn one_session_alone_never_waits_for_others() {
        let queue = Queue::new();
        queue.push(job(&queue, true).await).unwrap();
        let mut jobs = Vec::new();
        assert!(queue.take(&mut jobs, 0, Duration::MAX));
        assert_eq!(queue.lock().enough, 1);
    }
}
