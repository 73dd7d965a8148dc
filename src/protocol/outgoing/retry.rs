//! When a recipient is tried again (RFC 5321 4.5.4.1), in the time of a class. Pure: tries so far and times in, a time out.

use crate::{evidence::Timestamp, lab::Patience};

const MICROS: u64 = 1_000_000;

/// What follows from a try that failed for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is tried again then.
    At(Timestamp),
    /// It has taken too long.
    GiveUp,
}

/// When a recipient that came at `queued` is tried again after its try number `attempts`, which failed at `now`: the pause
/// doubles from try to try up to the longest, and the last try is when the time is up, not before.
pub fn next(patience: &Patience, queued: Timestamp, attempts: u32, now: Timestamp) -> Next {
    let end = later(queued, patience.give_up_secs);
    if now >= end {
        return Next::GiveUp;
    }
    let doubled = 1_u64.checked_shl(attempts.saturating_sub(1)).unwrap_or(u64::MAX);
    let pause = patience.retry_secs.saturating_mul(doubled).min(patience.retry_most_secs).max(1);
    Next::At(later(now, pause).min(end))
}

/// Whether a sender who asked for it is to hear of the delay now (RFC 3461 4.1).
pub fn is_late(patience: &Patience, queued: Timestamp, now: Timestamp) -> bool {
    now >= later(queued, patience.warn_secs)
}

fn later(time: Timestamp, secs: u64) -> Timestamp {
    Timestamp(time.0.saturating_add_unsigned(secs.saturating_mul(MICROS)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patience() -> Patience {
        Patience { retry_secs: 5, retry_most_secs: 60, warn_secs: 100, give_up_secs: 900, ..Patience::default() }
    }

    fn secs(secs: i64) -> Timestamp {
        Timestamp(secs * 1_000_000)
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_the_last_try_is_at_the_end() {
        let (mut now, mut pauses, mut attempts) = (secs(0), Vec::new(), 1);
        while let Next::At(then) = next(&patience(), secs(0), attempts, now) {
            pauses.push((then.0 - now.0) / 1_000_000);
            (now, attempts) = (then, attempts + 1);
        }
        assert_eq!(now, secs(900), "the last try is when the time is up");
        assert_eq!(pauses[..6], [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn limits_hold_on_both_sides() {
        assert_eq!(next(&patience(), secs(0), 1, Timestamp(899_999_999)), Next::At(secs(900)));
        assert_eq!(next(&patience(), secs(0), 1, secs(900)), Next::GiveUp);
        assert!(!is_late(&patience(), secs(0), Timestamp(99_999_999)));
        assert!(is_late(&patience(), secs(0), secs(100)));
    }

    proptest! {
        #[test]
        fn the_next_try_is_later_and_never_after_the_end(
            retry_secs in 0_u64..10_000,
            retry_most_secs in 0_u64..100_000,
            give_up_secs in 0_u64..1_000_000,
            attempts in 0_u32..200,
            queued in -1_000_000_000_000_i64..1_000_000_000_000,
            waited in 0_i64..2_000_000_000_000,
        ) {
            let patience = Patience { retry_secs, retry_most_secs, give_up_secs, ..Patience::default() };
            let (queued, now) = (Timestamp(queued), Timestamp(queued + waited));
            let end = queued.0 + i64::try_from(give_up_secs).unwrap() * 1_000_000;
            match next(&patience, queued, attempts, now) {
                Next::GiveUp => prop_assert!(now.0 >= end),
                Next::At(then) => {
                    prop_assert!(then > now && then.0 <= end);
                    let most = i64::try_from(retry_most_secs.max(1)).unwrap() * 1_000_000;
                    prop_assert!(then.0 - now.0 <= most);
                }
            }
        }

        #[test]
        fn it_ends_however_it_is_set(retry_secs in 0_u64..50, retry_most_secs in 0_u64..50, give_up_secs in 0_u64..500) {
            let patience = Patience { retry_secs, retry_most_secs, give_up_secs, ..Patience::default() };
            let (mut now, mut tries) = (secs(0), 1);
            while let Next::At(then) = next(&patience, secs(0), tries, now) {
                (now, tries) = (then, tries + 1);
                prop_assert!(tries < 600, "a second at least lies between two tries");
            }
        }
    }
}
