//! What one student may have recorded: so many commands a second, beyond which repetitions are recorded once with their count,
//! and so much evidence altogether. An address that is no student's has the same.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    evidence::{EventKind, State, Who},
    lab::Limits,
    protocol::Now,
    store::{Account, Store, Used},
};

/// Seconds of commands that may come at once.
pub(super) const BURST_SECS: u64 = 60;

/// How long a repetition may wait for more of its kind before it is recorded.
pub(super) const GATHERING: Duration = Duration::from_secs(1);

/// The buckets of a server's accounts. There are as many as the store has accounts.
#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<HashMap<Account, Arc<Mutex<Bucket>>>>);

/// Commands that may still be recorded one by one.
#[derive(Debug)]
struct Bucket {
    /// In millionths of a command.
    left: u64,
    since: i64,
}

impl Bucket {
    /// Whether one more command is within the rate.
    fn take(&mut self, rate: u64, now: Now) -> bool {
        let most = rate * BURST_SECS * 1_000_000;
        let elapsed = now.steady_micros.saturating_sub(self.since).max(0).unsigned_abs();
        self.left = self.left.saturating_add(elapsed.saturating_mul(rate)).min(most);
        self.since = now.steady_micros;
        let within = self.left >= 1_000_000;
        if within {
            self.left -= 1_000_000;
        }
        within
    }
}

impl Rates {
    fn of(&self, account: Account, rate: u64, now: Now) -> Arc<Mutex<Bucket>> {
        let full = || Arc::new(Mutex::new(Bucket { left: rate * BURST_SECS * 1_000_000, since: now.steady_micros }));
        Arc::clone(lock(&self.0).entry(account).or_insert_with(full))
    }
}

/// The allowance as one connection has it.
#[derive(Debug)]
pub(super) struct Allowance {
    rate: u64,
    evidence: u64,
    /// None for labctl's own connections and for other servers.
    account: Option<Charged>,
    /// A command beyond the rate, which waits for more of its kind.
    gathered: Option<EventKind>,
    since: i64,
}

#[derive(Debug)]
struct Charged {
    account: Account,
    used: Arc<Used>,
    bucket: Arc<Mutex<Bucket>>,
}

impl Allowance {
    /// What a connection begins with.
    pub(super) fn new(limits: &Limits) -> Self {
        let Limits { commands_per_second, evidence, .. } = *limits;
        Self { rate: commands_per_second, evidence, account: None, gathered: None, since: 0 }
    }

    /// The connection is this one's from here on.
    pub(super) fn charge(&mut self, who: &Who, peer: Option<IpAddr>, now: Now, store: &Store, rates: &Rates) {
        self.account = Account::of(who, peer).map(|account| {
            let (account, used) = store.used(account);
            let bucket = rates.of(account.clone(), self.rate, now);
            Charged { account, used, bucket }
        });
    }

    /// Whether there is too much evidence of whoever it is.
    pub(super) fn is_exhausted(&self) -> bool {
        self.account.as_ref().is_some_and(|charged| charged.used.octets() >= self.evidence)
    }

    /// What the record is told of that, once.
    pub(super) fn exhausted(&self) -> Option<EventKind> {
        let Charged { account, used, .. } = self.account.as_ref()?;
        used.tells().then(|| EventKind::Exhausted { whom: account.name(), octets: self.evidence })
    }

    /// Takes an event on its way to the record: a command beyond the rate stays here as long as the same comes again.
    pub(super) fn admit(&mut self, event: EventKind, now: Now, events: &mut Vec<EventKind>) {
        if let (EventKind::Command { .. }, Some(charged)) = (&event, &self.account)
            && !lock(&charged.bucket).take(self.rate, now)
        {
            if self.gathered.as_mut().is_some_and(|gathered| repeats(gathered, &event)) {
                if self.has_waited(now) {
                    events.extend(self.gathered.take());
                }
                return;
            }
            events.extend(self.gathered.replace(event));
            self.since = now.steady_micros;
            return;
        }
        events.extend(self.gathered.take());
        events.push(event);
    }

    /// What waits to be recorded, if it does.
    pub(super) fn release(&mut self) -> Option<EventKind> {
        self.gathered.take()
    }

    /// How long what waits may still wait; none where nothing does.
    pub(super) fn waits(&self) -> Option<Duration> {
        self.gathered.as_ref().map(|_| GATHERING)
    }

    fn has_waited(&self, now: Now) -> bool {
        now.steady_micros.saturating_sub(self.since).unsigned_abs() >= u64::try_from(GATHERING.as_micros()).unwrap_or(0)
    }
}

/// Counts a command as one more of `gathered` where both are the same but for IMAP's tag; whether it was.
fn repeats(gathered: &mut EventKind, event: &EventKind) -> bool {
    let (
        EventKind::Command { verb, line, octets, reply, reply_octets, before, after, pipelined, times },
        EventKind::Command {
            verb: next,
            line: said,
            octets: came,
            reply: answer,
            reply_octets: went,
            before: from,
            after: to,
            pipelined: early,
            times: more,
        },
    ) = (gathered, event)
    else {
        return false;
    };
    let same_words = if matches!(from, State::NotAuthenticated | State::Authenticated | State::Selected) {
        untagged(line) == untagged(said) && split_reply(reply) == split_reply(answer)
    } else {
        (&*line, &*octets, &*reply, &*reply_octets) == (said, came, answer, went)
    };
    let same = same_words && (&*verb, &*before, &*after, &*pipelined) == (next, from, to, early);
    if same {
        *times = times.saturating_add(*more);
    }
    same
}

/// A line of IMAP behind its tag.
fn untagged(line: &str) -> &str {
    line.split_once(' ').map_or("", |(_, rest)| rest)
}

/// A reply of IMAP: what stands before its last line, and that line behind its tag.
fn split_reply(reply: &str) -> (&str, &str) {
    let line = reply.strip_suffix("\r\n").unwrap_or(reply);
    let start = line.rfind('\n').map_or(0, |at| at + 1);
    (&reply[..start], untagged(&reply[start..]))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{By, Timestamp};

    fn command(line: &str, reply: &str, state: State) -> EventKind {
        EventKind::Command {
            verb: "NOOP".into(),
            line: line.to_owned(),
            octets: line.len() as u64,
            reply: reply.to_owned(),
            reply_octets: reply.len() as u64,
            before: state,
            after: state,
            pipelined: false,
            times: 1,
        }
    }

    fn at(micros: i64) -> Now {
        Now { micros: 0, steady_micros: micros, utc_offset_secs: 0 }
    }

    /// A student's allowance of one command a second, in a store that lives as long as the folder.
    fn allowance(evidence: u64) -> (tempfile::TempDir, Store, Allowance) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("g1.db")).unwrap();
        let limits = Limits { commands_per_second: 1, evidence, ..Limits::default() };
        let mut allowance = Allowance::new(&limits);
        let ana = Who::Student { login: "ana".parse().unwrap(), by: By::Endpoint };
        allowance.charge(&ana, None, at(0), &store, &Rates::default());
        (folder, store, allowance)
    }

    fn times(events: &[EventKind]) -> Vec<u32> {
        let times = |event: &EventKind| match event {
            EventKind::Command { times, .. } => *times,
            _ => 0,
        };
        events.iter().map(times).collect()
    }

    #[tokio::test]
    async fn within_the_rate_each_command_is_recorded_and_beyond_it_repetitions_once() {
        let (_folder, _store, mut allowance) = allowance(1_000);
        let (noop, burst) = (|| command("NOOP", "250 OK\r\n", State::Ready), usize::try_from(BURST_SECS).unwrap());
        let mut events = Vec::new();
        for _ in 0..burst {
            allowance.admit(noop(), at(0), &mut events);
        }
        assert_eq!(times(&events), vec![1; burst]);
        for _ in 0..1_000 {
            allowance.admit(noop(), at(0), &mut events);
        }
        assert_eq!((events.len(), allowance.waits()), (burst, Some(GATHERING)), "one more than the burst waits");
        allowance.admit(command("RSET", "250 OK\r\n", State::Ready), at(0), &mut events);
        assert_eq!(times(&events[burst..]), [1_000], "something else ends the repetition");
        allowance.admit(
            EventKind::LoginFailed { mailbox: String::new(), mechanism: String::new() },
            at(0),
            &mut events,
        );
        assert_eq!(times(&events[burst..]), [1_000, 1, 0], "in order");
        allowance.admit(noop(), at(1_000_000), &mut events);
        assert_eq!(times(&events[burst + 3..]), [1], "a second later there is one more");
    }

    #[tokio::test]
    async fn a_repetition_is_recorded_at_least_once_a_second() {
        let (_folder, _store, mut allowance) = allowance(1_000);
        let mut events = Vec::new();
        for _ in 0..BURST_SECS {
            allowance.admit(command("NOOP", "250 OK\r\n", State::Ready), at(0), &mut events);
        }
        let waits = i64::try_from(GATHERING.as_micros()).unwrap();
        for now in [0, 1, waits - 1] {
            events.clear();
            // The second that has passed is no command's yet.
            allowance.admit(command("NOOP", "250 OK\r\n", State::Ready), at(now), &mut events);
        }
        assert!(events.is_empty());
        assert_eq!(times(&allowance.release().into_iter().collect::<Vec<_>>()), [3]);
    }

    #[test]
    fn imap_repeats_a_command_with_another_tag() {
        let said =
            |tag: &str| command(&format!("{tag} NOOP"), &format!("* 1 EXISTS\r\n{tag} OK done\r\n"), State::Selected);
        let mut first = said("a1");
        assert!(repeats(&mut first, &said("a20")) && times(&[first.clone()]) == [2]);
        assert!(!repeats(&mut first, &command("a3 NOOP", "* 2 EXISTS\r\na3 OK done\r\n", State::Selected)));
        assert!(!repeats(&mut first, &command("a3 CHECK", "* 1 EXISTS\r\na3 OK done\r\n", State::Selected)));
    }

    #[tokio::test]
    async fn the_bound_of_evidence_is_told_once() {
        let octets = crate::store::EVENT_OCTETS + 4 + 8;
        let (_folder, store, mut allowance) = allowance(2 * octets);
        let ana = Who::Student { login: "ana".parse().unwrap(), by: By::Endpoint };
        for exhausted in [false, true] {
            let origin =
                crate::store::Origin { conn: crate::evidence::Conn(1), who: ana.clone(), time: Timestamp::default() };
            store.record(origin, vec![command("NOOP", "250 OK\r\n", State::Ready)]).await.unwrap();
            store.flush().await.unwrap();
            assert_eq!(allowance.is_exhausted(), exhausted);
        }
        let told = EventKind::Exhausted { whom: "ana".to_owned(), octets: 2 * octets };
        assert_eq!((allowance.exhausted(), allowance.exhausted()), (Some(told), None));
        allowance.charge(&Who::Instructor, None, at(0), &store, &Rates::default());
        assert!(!allowance.is_exhausted() && allowance.exhausted().is_none());
    }
}
