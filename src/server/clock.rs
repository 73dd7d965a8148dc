//! The time and the randomness that sessions are given: both come from the system here and nowhere else in the server.

use std::{
    sync::atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use sha2::{Digest as _, Sha256};

use super::ServerError;
use crate::protocol::Now;

/// How long the local offset from UTC is taken as read. Looking it up for every command would cost more than the command.
const OFFSET_KEPT_MICROS: i64 = 30_000_000;

/// The system's clock.
#[derive(Debug, Default)]
pub(super) struct Clock {
    utc_offset_secs: AtomicI32,
    /// When the offset was looked up; 0 for never.
    looked_up: AtomicI64,
}

impl Clock {
    /// The time.
    pub(super) fn now(&self) -> Now {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        if micros.abs_diff(self.looked_up.load(Ordering::Relaxed)) > OFFSET_KEPT_MICROS.unsigned_abs() {
            self.utc_offset_secs.store(jiff::Zoned::now().offset().seconds(), Ordering::Relaxed);
            self.looked_up.store(micros, Ordering::Relaxed);
        }
        Now { micros, utc_offset_secs: self.utc_offset_secs.load(Ordering::Relaxed) }
    }
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
    use super::*;

    #[test]
    fn seeds_differ() {
        let (one, other) = (Seeds::new().unwrap(), Seeds::new().unwrap());
        let drawn = [one.draw(), one.draw(), other.draw(), other.draw()];
        assert_eq!(drawn.iter().collect::<std::collections::HashSet<_>>().len(), 4);
    }
}
