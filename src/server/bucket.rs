//! A token bucket: what somebody may do in a second, with a burst. It has no clock of its own: whoever asks brings the time,
//! of the clock that nobody sets ([`crate::protocol::Now::steady_micros`]).

use std::time::Duration;

/// What one token costs, in the unit of [`Bucket::credit`]: a rate of one a second earns it in as many microseconds.
const TOKEN: u64 = 1_000_000;

/// How much is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    /// Tokens that come in a second.
    pub(super) per_second: u64,
    /// Tokens that it holds.
    pub(super) burst: u64,
}

/// What is left to one who is bounded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    credit: u64,
    since: i64,
}

impl Bucket {
    /// A full one.
    pub(super) fn full(rate: Rate, steady_micros: i64) -> Self {
        Self { credit: rate.burst.saturating_mul(TOKEN), since: steady_micros }
    }

    /// Takes a token; false where there is none.
    pub(super) fn take(&mut self, rate: Rate, steady_micros: i64) -> bool {
        self.refill(rate, steady_micros);
        let left = self.credit.checked_sub(TOKEN);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }

    /// Whether nothing was taken for so long that it is as at the beginning.
    pub(super) fn is_full(&mut self, rate: Rate, steady_micros: i64) -> bool {
        self.refill(rate, steady_micros);
        self.credit >= rate.burst.saturating_mul(TOKEN)
    }

    /// How long it takes until there is a token.
    pub(super) fn until_next(&self, rate: Rate) -> Duration {
        Duration::from_micros(TOKEN.saturating_sub(self.credit).div_ceil(rate.per_second.max(1)))
    }

    fn refill(&mut self, rate: Rate, steady_micros: i64) {
        let passed = u64::try_from(steady_micros.saturating_sub(self.since)).unwrap_or(0);
        self.since = self.since.max(steady_micros);
        let earned = passed.saturating_mul(rate.per_second);
        self.credit = self.credit.saturating_add(earned).min(rate.burst.saturating_mul(TOKEN));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { per_second: 4, burst: 8 };

    fn taken(bucket: &mut Bucket, steady_micros: i64) -> usize {
        (0..100).filter(|_| bucket.take(RATE, steady_micros)).count()
    }

    #[test]
    fn a_burst_is_allowed_and_then_so_many_a_second() {
        let mut bucket = Bucket::full(RATE, 0);
        assert_eq!(taken(&mut bucket, 0), 8);
        assert_eq!(bucket.until_next(RATE), Duration::from_millis(250));
        assert_eq!(taken(&mut bucket, 249_999), 0);
        assert_eq!(taken(&mut bucket, 250_000), 1);
        assert_eq!(taken(&mut bucket, 1_250_000), 4);
        assert!(!bucket.is_full(RATE, 3_249_999));
        assert!(bucket.is_full(RATE, 3_250_000));
        assert_eq!(taken(&mut bucket, i64::MAX), 8);
    }

    #[test]
    fn time_that_goes_back_gives_nothing_and_takes_nothing() {
        let mut bucket = Bucket::full(RATE, 10_000_000);
        assert_eq!(taken(&mut bucket, 0), 8);
        assert_eq!(taken(&mut bucket, 10_250_000), 1);
    }
}
