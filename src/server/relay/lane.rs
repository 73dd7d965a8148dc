//! What waits for other servers, by domain: which is next, and how many connections are worth while. It holds no message, only
//! numbers; a lock is held for the moment of a look.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify as Bell;

use crate::{
    evidence::{MessageId, Timestamp},
    mail::{QueueChange, QueueId},
    store::Arrival,
};

/// So many messages wait for each connection before another one is opened.
const BACKLOG: usize = 4;

/// The queue of a server, as whoever carries the mail sees it.
#[derive(Debug, Default)]
pub(super) struct Lanes(Mutex<All>);

#[derive(Debug, Default)]
struct All {
    lanes: BTreeMap<String, Lane>,
    /// Recipients in the queue, those under way among them.
    recipients: usize,
}

/// What waits for one domain.
#[derive(Debug, Default)]
struct Lane {
    waiting: BTreeMap<(Timestamp, QueueId), MessageId>,
    /// Connections, or attempts at one.
    sessions: usize,
    /// Connections that stand open and have nothing to do.
    idle: usize,
    /// Connections that its own server opened: while there is one, no other is worth while.
    turned: usize,
    bell: Arc<Bell>,
}

/// What there is to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Work {
    /// A connection is worth while to each of these domains; to some more than one.
    pub(super) start: Vec<String>,
    /// When there is more to do; none: nothing waits.
    pub(super) next: Option<Timestamp>,
}

impl Lanes {
    /// Takes recipients in.
    pub(super) fn take_in(&self, arrivals: Vec<Arrival>) {
        let mut all = self.lock();
        all.recipients += arrivals.len();
        for Arrival { id, message, domain, due } in arrivals {
            all.lanes.entry(domain).or_default().waiting.insert((due, id), message);
        }
    }

    /// Recipients in the queue.
    pub(super) fn recipients(&self) -> usize {
        self.lock().recipients
    }

    /// What to do at `now` with at most so many connections to a domain. What is to be started counts as started.
    pub(super) fn work(&self, now: Timestamp, sessions: usize) -> Work {
        let mut work = Work::default();
        let mut all = self.lock();
        all.lanes.retain(|_, lane| lane.sessions > 0 || lane.turned > 0 || !lane.waiting.is_empty());
        for (domain, lane) in all.lanes.iter_mut().filter(|(_, lane)| lane.turned == 0) {
            let due = lane.waiting.range(..=(now, QueueId(u64::MAX))).take(sessions.saturating_mul(BACKLOG)).count();
            if due == 0 {
                let first = lane.waiting.keys().next().map(|(due, _)| *due);
                work.next = work.next.into_iter().chain(first).min();
                continue;
            }
            if lane.idle > 0 {
                lane.bell.notify_waiters();
            }
            let wanted = due.div_ceil(BACKLOG).min(sessions.max(1));
            for _ in lane.sessions..wanted {
                lane.sessions += 1;
                work.start.push(domain.clone());
            }
        }
        work
    }

    /// The next message of a domain, with its recipients that are due, at most so many.
    pub(super) fn pull(&self, domain: &str, now: Timestamp, most: usize) -> Option<(MessageId, Vec<QueueId>)> {
        let mut all = self.lock();
        let lane = all.lanes.get_mut(domain)?;
        let mut due = lane.waiting.range(..=(now, QueueId(u64::MAX))).peekable();
        let message = *due.peek()?.1;
        // Recipients of one message came together and are tried together, so they stand together.
        let same = due.take_while(|(_, other)| **other == message).take(most).map(|(key, _)| *key);
        let keys: Vec<(Timestamp, QueueId)> = same.collect();
        for key in &keys {
            lane.waiting.remove(key);
        }
        Some((message, keys.into_iter().map(|(_, id)| id).collect()))
    }

    /// Whether something of a domain is due.
    pub(super) fn is_due(&self, domain: &str, now: Timestamp) -> bool {
        let all = self.lock();
        let first = all.lanes.get(domain).and_then(|lane| lane.waiting.keys().next());
        first.is_some_and(|(due, _)| *due <= now)
    }

    /// What became of recipients that were pulled.
    pub(super) fn settle(&self, domain: &str, message: MessageId, changes: &[QueueChange]) {
        let mut all = self.lock();
        for change in changes {
            match change {
                QueueChange::Done(_) => all.recipients = all.recipients.saturating_sub(1),
                QueueChange::Later { id, due, .. } => {
                    all.lanes.entry(domain.to_owned()).or_default().waiting.insert((*due, *id), message);
                }
            }
        }
    }

    /// Recipients that are no longer in the queue: a reset took them.
    pub(super) fn forget(&self, count: usize) {
        let mut all = self.lock();
        all.recipients = all.recipients.saturating_sub(count);
    }

    /// Makes everything due, or what waits for this domain; says how many recipients that are.
    pub(super) fn hurry(&self, domain: Option<&str>, now: Timestamp) -> usize {
        let mut all = self.lock();
        let mut count = 0;
        for (_, lane) in all.lanes.iter_mut().filter(|(name, _)| domain.is_none_or(|only| only == name.as_str())) {
            count += lane.waiting.len();
            let waiting = std::mem::take(&mut lane.waiting);
            lane.waiting = waiting.into_iter().map(|((due, id), message)| ((due.min(now), id), message)).collect();
        }
        count
    }

    /// What waits for a domain, due or not.
    pub(super) fn waiting(&self, domain: &str) -> usize {
        self.lock().lanes.get(domain).map_or(0, |lane| lane.waiting.len())
    }

    /// The domain's own server takes what waits, until [`Self::given_back`].
    pub(super) fn taken(&self, domain: &str) {
        self.lock().lanes.entry(domain.to_owned()).or_default().turned += 1;
    }

    /// It does not any more.
    pub(super) fn given_back(&self, domain: &str) {
        if let Some(lane) = self.lock().lanes.get_mut(domain) {
            lane.turned = lane.turned.saturating_sub(1);
        }
    }

    /// A connection has nothing to do: the bell that rings when there is.
    pub(super) fn idle(&self, domain: &str) -> Option<Arc<Bell>> {
        let mut all = self.lock();
        let lane = all.lanes.get_mut(domain)?;
        lane.idle += 1;
        Some(Arc::clone(&lane.bell))
    }

    /// It does not wait any more.
    pub(super) fn busy(&self, domain: &str) {
        if let Some(lane) = self.lock().lanes.get_mut(domain) {
            lane.idle = lane.idle.saturating_sub(1);
        }
    }

    /// A connection has ended.
    pub(super) fn ended(&self, domain: &str) {
        if let Some(lane) = self.lock().lanes.get_mut(domain) {
            lane.sessions = lane.sessions.saturating_sub(1);
        }
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(id: u64, message: u64, domain: &str, due: i64) -> Arrival {
        let (id, message, due) = (QueueId(id), MessageId(message), Timestamp(due));
        Arrival { id, message, domain: domain.to_owned(), due }
    }

    fn lanes(arrivals: &[(u64, u64, &str, i64)]) -> Lanes {
        let lanes = Lanes::default();
        lanes.take_in(arrivals.iter().map(|(id, message, domain, due)| arrival(*id, *message, domain, *due)).collect());
        lanes
    }

    fn pulled(lanes: &Lanes, domain: &str, now: i64) -> Vec<u64> {
        let pulled = lanes.pull(domain, Timestamp(now), 2);
        pulled.into_iter().flat_map(|(_, ids)| ids).map(|id| id.0).collect()
    }

    #[test]
    fn a_message_is_pulled_with_its_recipients_of_the_domain_when_it_is_due() {
        let lanes = lanes(&[
            (1, 7, "a.lab", 5),
            (2, 7, "b.lab", 5),
            (3, 7, "a.lab", 5),
            (4, 7, "a.lab", 5),
            (5, 8, "a.lab", 6),
        ]);
        assert_eq!(pulled(&lanes, "a.lab", 4), [0; 0]);
        assert_eq!(pulled(&lanes, "a.lab", 5), [1, 3], "at most two at once here");
        assert_eq!(pulled(&lanes, "a.lab", 5), [4]);
        assert_eq!(pulled(&lanes, "a.lab", 5), [0; 0]);
        assert_eq!(pulled(&lanes, "a.lab", 6), [5]);
        assert_eq!(pulled(&lanes, "b.lab", 9), [2]);
    }

    #[test]
    fn connections_are_opened_as_far_as_they_are_worth_while_and_allowed() {
        let many: Vec<(u64, u64, &str, i64)> = (0..100).map(|n| (n, n, "a.lab", 0)).collect();
        let started = |lanes: &Lanes| lanes.work(Timestamp(0), 3).start.len();
        let several = lanes(&many);
        assert_eq!((started(&several), started(&several)), (3, 0));
        several.ended("a.lab");
        assert_eq!(started(&several), 1);
        assert_eq!(started(&lanes(&many[..BACKLOG])), 1);
        assert_eq!(started(&lanes(&many[..=BACKLOG])), 2);
    }

    #[test]
    fn the_next_work_is_when_the_first_is_due() {
        let lanes = lanes(&[(1, 1, "a.lab", 50), (2, 2, "b.lab", 40)]);
        assert_eq!(lanes.work(Timestamp(0), 1), Work { start: Vec::new(), next: Some(Timestamp(40)) });
        assert_eq!(lanes.hurry(Some("a.lab"), Timestamp(7)), 1);
        assert_eq!(lanes.work(Timestamp(7), 1).start, ["a.lab"]);
        assert_eq!(lanes.hurry(None, Timestamp(7)), 2);
    }

    #[test]
    fn what_is_tried_later_waits_again_and_what_is_done_is_gone() {
        let lanes = lanes(&[(1, 1, "a.lab", 0), (2, 1, "a.lab", 0)]);
        assert_eq!(pulled(&lanes, "a.lab", 0), [1, 2]);
        assert_eq!(lanes.recipients(), 2, "what is under way counts");
        let (due, warned, reply) = (Timestamp(9), false, String::new());
        let later = QueueChange::Later { id: QueueId(2), attempts: 1, due, warned, reply };
        lanes.settle("a.lab", MessageId(1), &[QueueChange::Done(QueueId(1)), later]);
        assert_eq!(lanes.recipients(), 1);
        assert_eq!(lanes.work(Timestamp(0), 1).next, Some(Timestamp(9)));
        assert_eq!(pulled(&lanes, "a.lab", 9), [2]);
        lanes.forget(1);
        assert_eq!(lanes.recipients(), 0);
    }
}
