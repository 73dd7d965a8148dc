//! How far one student is with one check.

use super::{
    NEAR_KEPT,
    marks::{Attempt, Cause, Closest, Instead, Proof, Shown},
    said::{Fit, Said},
};
use crate::evidence::{Conn, Ending, Seq, Timestamp};

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

/// How far one student is with one check.
#[derive(Debug, Default)]
pub struct Progress {
    /// Whether it holds.
    pub held: bool,
    /// The event with which it came to hold; 0 as long as it does not.
    pub held_at: Seq,
    /// What proves it, in part as long as it does not hold.
    pub proofs: Vec<Proof>,
    /// The attempt that came closest, as long as it does not hold. Of equals the latest: that is what the student remembers.
    pub closest: Option<Box<Closest>>,
    /// The same for a conversation, here and not behind a pointer because nearly every command touches some; its connection is 0
    /// as long as there is none.
    attempt: Attempt,
    /// Set when a session of the server failed on the way to it; it counts as long as the check does not hold.
    pub failed: Option<Cause>,
}

impl Progress {
    /// Takes a proof; `times` of them make it hold.
    pub fn proven(&mut self, proof: Proof, times: usize) {
        if self.attempt.conn == proof.conn {
            self.attempt = Attempt::default();
        }
        let last = proof.events.iter().max().copied().unwrap_or_default();
        self.proofs.push(proof);
        if self.proofs.len() >= times {
            (self.held, self.held_at) = (true, last);
            self.closest = None;
            self.attempt = Attempt::default();
        }
    }

    /// Whether it held before this event.
    pub fn held_before(&self, seq: Seq) -> bool {
        self.held && self.held_at < seq
    }

    /// Takes back the proofs that are `gone`; `times` of them must be left for it to hold.
    pub fn take_back(&mut self, gone: impl Fn(&Proof) -> bool, times: usize) {
        let before = self.proofs.len();
        self.proofs.retain(|proof| !gone(proof));
        self.held &= self.proofs.len() == before || self.proofs.len() >= times;
    }

    /// Takes back all that a connection gave, attempts as well. A mailbox's proof stays: it is the group's.
    pub fn disown(&mut self, conn: Conn, times: usize) {
        self.take_back(|proof| proof.conn == conn && !matches!(proof.shows, Shown::Mailbox(..)), times);
        if self.attempt.conn == conn {
            self.attempt = Attempt::default();
        }
        let of_it = |closest: &Closest| match closest {
            Closest::Conversation(attempt) => attempt.conn == conn,
            Closest::Message(attempt) => attempt.conn == conn,
            Closest::Touched(attempt) => attempt.conn == conn,
            Closest::Carried(attempt) => attempt.conn == conn,
            Closest::Mailbox(_) | Closest::Filed(_) | Closest::Query(_) => false,
        };
        self.closest.take_if(|closest| of_it(closest));
    }

    /// A connection showed its first `reached` steps.
    pub fn advanced(&mut self, here: &Here, reached: usize) {
        if let Some(attempt) = self.attempt(here, reached) {
            attempt.instead = None;
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
    pub fn unfit(&mut self, here: &Here, reached: usize) {
        self.instead(here, reached, Instead::Terms, "", "");
    }

    /// A connection that had shown `reached` steps, which were to be pipelined, waited for the reply before it went on.
    pub fn waited(&mut self, here: &Here, reached: usize, verb: &str) {
        self.instead(here, reached, Instead::Waited, verb, "");
    }

    fn instead(&mut self, here: &Here, reached: usize, instead: Instead, verb: &str, said: &str) {
        if let Some(attempt) = self.attempt(here, reached) {
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

    /// The attempt that came closest, to show.
    pub fn shown(&self) -> Option<Closest> {
        let attempt = (self.attempt.conn != Conn(0)).then(|| Closest::Conversation(self.attempt.clone()));
        attempt.or_else(|| self.closest.as_deref().cloned())
    }

    /// The attempt of this connection, if none came closer than `reached` steps. Its texts keep their buffers: most attempts are
    /// overwritten by the next.
    fn attempt(&mut self, here: &Here, reached: usize) -> Option<&mut Attempt> {
        let attempt = &mut self.attempt;
        if self.held || attempt.reached > reached {
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
    fn of_equal_attempts_the_latest_stands() {
        let here = |conn| Here { student: 0, conn: Conn(conn), began: Timestamp(0), seq: Seq(1), time: Timestamp(0) };
        let mut own = Progress::default();
        own.advanced(&here(1), 2);
        own.advanced(&here(2), 1);
        assert_eq!(own.attempt.conn, Conn(1));
        own.advanced(&here(2), 2);
        assert_eq!(own.attempt.conn, Conn(2));
    }
}
