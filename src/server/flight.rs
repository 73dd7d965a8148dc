//! Octets in flight: what is answered and not yet taken by the wire. Each session's are bounded by how answers are made
//! (`crate::protocol`, long answers), all sessions' together by [`PER_SERVER`]: beyond it pieces become small, and nobody waits for a
//! slow reader's.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::{
    lab::Limits,
    protocol::{PIECE, WINDOW},
};

/// Replies to pipelined commands leave in one write, up to about so many octets.
pub(super) const GATHERED: usize = WINDOW;

/// The most octets in flight of one session: replies that were gathered, and a turn's: a piece, in which each line may get a dot
/// (`.`, CR and LF become four octets), or the longest of an IMAP item's texts.
pub const PER_SESSION: usize = 512 << 10;

/// How many octets may be in flight on one server before pieces become small.
#[expect(clippy::cast_possible_truncation, reason = "32 MiB")]
pub const PER_SERVER: usize = Limits::ANSWERS_UNDER_WAY as usize;

/// A piece as what is in flight is counted.
#[expect(clippy::cast_possible_truncation, reason = "128 KiB")]
const LARGE_PIECE: usize = PIECE as usize;

/// The most octets of a message that are read in one piece then.
pub(super) const SMALL_PIECE: u64 = 16 << 10;

/// What is in flight on one server.
#[derive(Debug, Clone, Default)]
pub(super) struct Flight(Arc<Gauge>);

#[derive(Debug, Default)]
struct Gauge {
    octets: AtomicUsize,
    highest: AtomicUsize,
}

/// One session's share. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    flight: Flight,
    octets: usize,
}

impl Flight {
    /// A session that has said nothing.
    pub(super) fn join(&self) -> Share {
        Share { flight: self.clone(), octets: 0 }
    }

    /// Octets now, and the most there ever were.
    pub(super) fn octets(&self) -> (usize, usize) {
        (self.0.octets.load(Ordering::Relaxed), self.0.highest.load(Ordering::Relaxed))
    }
}

impl Share {
    /// Notes how many octets the session holds now.
    pub(super) fn hold(&mut self, octets: usize) {
        let gauge = &*self.flight.0;
        if octets > self.octets {
            let more = octets - self.octets;
            gauge.highest.fetch_max(gauge.octets.fetch_add(more, Ordering::Relaxed) + more, Ordering::Relaxed);
        } else if octets < self.octets {
            gauge.octets.fetch_sub(self.octets - octets, Ordering::Relaxed);
        }
        self.octets = octets;
    }

    /// How many of so many octets of a message may be read now.
    pub(super) fn piece(&self, most: u64) -> u64 {
        let full = self.flight.octets().0.saturating_add(LARGE_PIECE) > PER_SERVER;
        if full { most.min(SMALL_PIECE) } else { most }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.hold(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_small_when_the_server_has_enough_in_flight() {
        let flight = Flight::default();
        let (mut one, other) = (flight.join(), flight.join());
        one.hold(PER_SERVER - LARGE_PIECE);
        assert_eq!([PIECE, 10].map(|most| other.piece(most)), [PIECE, 10]);
        one.hold(PER_SERVER - LARGE_PIECE + 1);
        assert_eq!([PIECE, 10].map(|most| other.piece(most)), [SMALL_PIECE, 10]);
        drop(one);
        assert_eq!((other.piece(PIECE), flight.octets()), (PIECE, (0, PER_SERVER - LARGE_PIECE + 1)));
    }
}
