//! How far one student is with one check.

use std::collections::VecDeque;

use super::{
    NEAR_KEPT,
    marks::{Cause, Proof},
};
use crate::{
    evidence::{Conn, Ending, MessageId, Seq, Timestamp},
    pattern::{Fit, Said},
    words::Phrase,
};

/// The most connections or messages that are kept of those that would meet a check which goes together with others.
pub const MAX_CANDIDATES: usize = 100;

/// Where and when an event happened, and whose it is.
#[derive(Debug, Clone, Copy)]
pub struct Here {
    /// The student's place in the group.
    pub student: usize,
    /// The connection.
    pub conn: Conn,
    /// When it began.
    pub began: Timestamp,
    /// The event.
    pub seq: Seq,
    /// When.
    pub time: Timestamp,
}

impl Here {
    /// A proof by this event alone.
    pub fn proof(&self, message: Option<MessageId>, shows: Phrase) -> Proof {
        Proof { events: vec![self.seq], conn: self.conn, at: self.time, message, shows }
    }
}

/// How far one student is with one check.
#[derive(Debug, Default)]
pub struct Progress {
    /// Whether it holds.
    pub held: bool,
    /// The event with which it came to hold; 0 as long as it does not.
    pub held_at: Seq,
    /// What proves it, in part as long as it does not hold.
    pub proofs: Vec<Proof>,
    /// What came nearest, as long as it does not hold. Of equals the latest: that is what the student remembers.
    pub nearest: Option<Box<Near>>,
    /// The same for a conversation, here and not behind a pointer because nearly every command touches some; its connection is 0
    /// as long as there is none.
    pub attempt: Attempt,
    /// Whether what meets it must go together with what other checks are met by: then all that would do is kept here.
    pub bound: bool,
    /// What would do, the latest [`MAX_CANDIDATES`].
    pub candidates: VecDeque<Proof>,
    /// Set when a session of the server failed on the way to it, until the next whole try tells more.
    pub failed: Option<Cause>,
}

/// What nearly proves a check.
#[derive(Debug)]
pub struct Near {
    /// How near, by the measure of its kind; more is nearer.
    pub rank: [i64; 2],
    /// The message that it speaks of.
    pub message: Option<MessageId>,
    /// It in words.
    pub phrase: Phrase,
}

/// A connection that did not show all steps.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Attempt {
    /// The connection.
    pub conn: Conn,
    /// When it began.
    pub at: Timestamp,
    /// How many steps it showed (forbidding ones do not count).
    pub reached: usize,
    /// Of steps in any order those that it showed, by their bits.
    pub seen: u64,
    /// What came in place of the next step, if anything did.
    pub instead: Option<Instead>,
    /// Then, the verb that came.
    pub verb: String,
    /// Then, what was said, cut to [`super::NEAR_KEPT`] octets.
    pub said: String,
    /// Where it was secured or logged in otherwise than wanted, how.
    pub why: Option<Phrase>,
    /// How it ended; none: it is still open.
    pub ended: Option<Ending>,
}

/// What came in place of the next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// Its verb, with another reply.
    Reply,
    /// Its verb, with something else after it.
    Argument,
    /// What a forbidding step does not want.
    Forbidden,
    /// All steps came, but the connection was secured or logged in otherwise than wanted.
    Terms,
    /// A command that came only after the reply to the one before it, where both had to come at once.
    Waited,
}

impl Progress {
    /// Takes a proof; `times` of them make it hold.
    pub fn proven(&mut self, proof: Proof, times: u32) {
        if self.attempt.conn == proof.conn {
            self.attempt = Attempt::default();
        }
        if self.bound {
            if self.candidates.len() == MAX_CANDIDATES {
                self.candidates.pop_front();
            }
            self.candidates.push_back(proof);
            return;
        }
        let last = proof.events.iter().max().copied().unwrap_or_default();
        self.proofs.push(proof);
        if self.proofs.len() >= times.max(1) as usize {
            (self.held, self.held_at) = (true, last);
            self.nearest = None;
            self.attempt = Attempt::default();
        }
    }

    /// Whether it held before this event.
    pub fn held_before(&self, seq: Seq) -> bool {
        self.held && self.held_at < seq
    }

    /// A whole try was not what is wanted.
    pub fn nearly(&mut self, rank: [i64; 2], message: Option<MessageId>, phrase: impl FnOnce() -> Phrase) {
        // A content that is lost stays lost: it may have been the wanted one.
        self.failed.take_if(|cause| matches!(cause, Cause::Failed { .. }));
        if self.nearest.as_ref().is_none_or(|best| best.rank <= rank) {
            self.nearest = Some(Box::new(Near { rank, message, phrase: phrase() }));
        }
    }

    /// A connection showed its first `reached` steps.
    pub fn advanced(&mut self, here: &Here, reached: usize) {
        if let Some(attempt) = self.attempt(here, reached, None) {
            attempt.instead = None;
        }
    }

    /// A connection showed these steps, in whatever order.
    pub fn gathered(&mut self, here: &Here, seen: u64) {
        if let Some(attempt) = self.attempt(here, (seen >> 1).count_ones() as usize, None) {
            (attempt.instead, attempt.seen) = (None, seen);
        }
    }

    /// A connection that had shown `reached` steps showed the next one's verb with something else about it.
    pub fn near(&mut self, here: &Here, reached: usize, fit: Fit, said: &Said<'_>) {
        match fit {
            Fit::Yes => {}
            Fit::Argument => self.instead(here, reached, Instead::Argument, said.verb, said.argument()),
            Fit::Reply => self.instead(here, reached, Instead::Reply, said.verb, said.status()),
        }
    }

    /// A connection that had shown `reached` steps showed what must not come there.
    pub fn broken(&mut self, here: &Here, reached: usize, verb: &str) {
        self.instead(here, reached, Instead::Forbidden, verb, "");
    }

    /// A connection had shown all steps but was not what it had to be.
    pub fn unfit(&mut self, here: &Here, reached: usize, why: Phrase) {
        self.instead(here, reached, Instead::Terms, "", "");
        if self.attempt.conn == here.conn {
            self.attempt.why = Some(why);
        }
    }

    /// A connection that had shown `reached` steps, which were to be pipelined, waited for the reply before it went on.
    pub fn waited(&mut self, here: &Here, reached: usize, verb: &str) {
        self.instead(here, reached, Instead::Waited, verb, "");
    }

    fn instead(&mut self, here: &Here, reached: usize, instead: Instead, verb: &str, said: &str) {
        if let Some(attempt) = self.attempt(here, reached, Some(instead)) {
            attempt.instead = Some(instead);
            attempt.verb.clear();
            attempt.verb.push_str(cut(verb));
            attempt.said.clear();
            attempt.said.push_str(cut(said));
        }
    }

    /// The connection of the closest attempt ended.
    pub fn ended(&mut self, here: &Here, how: Ending) {
        if self.attempt.conn == here.conn {
            self.attempt.ended = Some(how);
        }
    }

    /// The attempt of this connection, if none came closer than `reached` steps and this. Of others that came as far, one in which
    /// something else came in place of the next step says more than one that just went no further. Its texts keep their
    /// buffers: most attempts are overwritten by the next.
    fn attempt(&mut self, here: &Here, reached: usize, instead: Option<Instead>) -> Option<&mut Attempt> {
        let attempt = &mut self.attempt;
        let says_less = attempt.conn != here.conn && attempt.instead.is_some() && instead.is_none();
        if self.held || attempt.reached > reached || (attempt.reached == reached && says_less) {
            return None;
        }
        if attempt.conn != here.conn {
            attempt.conn = here.conn;
            attempt.at = here.began;
            attempt.instead = None;
            attempt.ended = None;
        }
        attempt.reached = reached;
        Some(attempt)
    }
}

/// What of a student's words an attempt keeps.
pub fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(NEAR_KEPT)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_at_a_character() {
        let n = "a".repeat(NEAR_KEPT);
        assert_eq!(cut(&n), n);
        assert_eq!(cut(&format!("{n}b")), n);
        assert_eq!(cut(&format!("{}ñ", &n[1..])).len(), NEAR_KEPT - 1);
    }

    #[test]
    fn of_equal_attempts_the_latest_stands_that_says_as_much() {
        let here = |conn| Here { student: 0, conn: Conn(conn), began: Timestamp(0), seq: Seq(1), time: Timestamp(0) };
        let mut own = Progress::default();
        own.advanced(&here(1), 2);
        own.advanced(&here(2), 1);
        assert_eq!(own.attempt.conn, Conn(1));
        own.advanced(&here(2), 2);
        assert_eq!(own.attempt.conn, Conn(2));
        own.broken(&here(2), 2, "RSET");
        own.advanced(&here(3), 2);
        assert_eq!(own.attempt.conn, Conn(2));
        own.broken(&here(3), 2, "RSET");
        assert_eq!(own.attempt.conn, Conn(3));
    }
}
