//! The time and the randomness that sessions are given: both come from the system here and nowhere else in the server.

use std::{
    fmt,
    sync::atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use sha2::{Digest as _, Sha256};

use super::ServerError;
use crate::{evidence::Timestamp, protocol::Now};

/// How long the local offset from UTC is taken as read. Looking it up for every command would cost more than the command.
const OFFSET_KEPT_MICROS: i64 = 30_000_000;

/// What the system says: the date, which somebody may set, and the time that has passed since some moment, which nobody may.
pub(super) type Reading = (SystemTime, Duration);

/// What reads it.
pub(super) type Read = Box<dyn Fn() -> Reading + Send + Sync>;

/// A clock with a date to tell and a time to wait by.
pub(super) struct Clock {
    read: Read,
    /// What the time to wait by was when it began, and what the system said then.
    began: (i64, Duration),
    utc_offset_secs: AtomicI32,
    /// When the offset was looked up, by the time to wait by.
    looked_up: AtomicI64,
}

impl fmt::Debug for Clock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Clock").field("began", &self.began).finish_non_exhaustive()
    }
}

impl Clock {
    /// The system's clock; `before` is a date and the same moment on the clock of the server that had the queue before.
    pub(super) fn system(before: Option<(Timestamp, Timestamp)>) -> Self {
        let start = Instant::now();
        Self::of(Box::new(move || (SystemTime::now(), start.elapsed())), before)
    }

    /// A clock that is read so. What is waited by goes on where it was: a date that was set while nobody looked makes nobody
    /// wait for it to catch up.
    pub(super) fn of(read: Read, before: Option<(Timestamp, Timestamp)>) -> Self {
        let (date, passed) = read();
        let date = micros(date);
        let since = before.map_or(date, |(before, steady)| {
            let between = date.saturating_sub(before.0).max(0);
            steady.0.saturating_add(between)
        });
        let (utc_offset_secs, looked_up) = (AtomicI32::new(0), AtomicI64::new(i64::MIN));
        Self { read, began: (since, passed), utc_offset_secs, looked_up }
    }

    /// The time.
    pub(super) fn now(&self) -> Now {
        let (date, passed) = (self.read)();
        let passed = i64::try_from(passed.saturating_sub(self.began.1).as_micros()).unwrap_or(i64::MAX);
        let steady_micros = self.began.0.saturating_add(passed);
        let looked_up = self.looked_up.load(Ordering::Relaxed);
        if steady_micros.saturating_sub(looked_up) > OFFSET_KEPT_MICROS {
            self.utc_offset_secs.store(jiff::Zoned::now().offset().seconds(), Ordering::Relaxed);
            self.looked_up.store(steady_micros, Ordering::Relaxed);
        }
        let utc_offset_secs = self.utc_offset_secs.load(Ordering::Relaxed);
        Now { micros: micros(date), steady_micros, utc_offset_secs }
    }
}

fn micros(date: SystemTime) -> i64 {
    i64::try_from(date.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()).unwrap_or(i64::MAX)
}

/// Seeds for sessions: a secret of this server hashed with a counter, so none repeats and none can be guessed.
#[derive(Debug)]
pub(super) struct Seeds {
    secret: [u8; 32],
    drawn: AtomicU64,
}

impl Seeds {
    /// Takes the secret from the system.
    pub(super) fn new() -> Result<Self, ServerError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(ServerError::Seed)?;
        Ok(Self { secret, drawn: AtomicU64::new(0) })
    }

    /// The next seed.
    pub(super) fn draw(&self) -> u64 {
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        let hash = Sha256::new().chain_update(self.secret).chain_update(number.to_be_bytes()).finalize();
        hash.iter().take(8).fold(0, |seed, octet| seed << 8 | u64::from(*octet))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn seeds_differ() {
        let (one, other) = (Seeds::new().unwrap(), Seeds::new().unwrap());
        let drawn = [one.draw(), one.draw(), other.draw(), other.draw()];
        assert_eq!(drawn.iter().collect::<std::collections::HashSet<_>>().len(), 4);
    }

    #[test]
    fn what_is_waited_by_goes_on_when_the_date_is_set() {
        let at = |secs| UNIX_EPOCH + Duration::from_secs(secs);
        let reading = Arc::new(Mutex::new((at(10_000), Duration::from_secs(5))));
        let read = Arc::clone(&reading);
        let clock = Clock::of(Box::new(move || *read.lock().unwrap()), None);
        let told = |date, passed| {
            *reading.lock().unwrap() = (at(date), Duration::from_secs(passed));
            let now = clock.now();
            (now.micros / 1_000_000, now.steady_micros / 1_000_000)
        };
        assert_eq!(told(10_000, 5), (10_000, 10_000));
        assert_eq!(told(2_800, 6), (2_800, 10_001), "set back two hours");
        assert_eq!(told(99_000, 7), (99_000, 10_002), "set forward");
    }

    #[test]
    fn what_is_waited_by_goes_on_where_the_server_before_it_was() {
        let begins = |date, before: Option<(i64, i64)>| {
            let read = move || (UNIX_EPOCH + Duration::from_secs(date), Duration::ZERO);
            let clock = Clock::of(Box::new(read), before.map(|(date, steady)| (Timestamp(date), Timestamp(steady))));
            clock.now().steady_micros / 1_000_000
        };
        assert_eq!(begins(100, None), 100);
        assert_eq!(begins(160, Some((100_000_000, 100_000_000))), 160, "it was down for a minute");
        assert_eq!(
            begins(160, Some((100_000_000, 7_300_000_000))),
            7_360,
            "the date had been set back two hours before"
        );
        assert_eq!(begins(100, Some((7_300_000_000, 7_300_000_000))), 7_300, "and here while it was down");
    }
}
