//! How far one student is with one check.

use super::{
    NEAR_KEPT,
    marks::{Attempt, Cause, Closest, Near, NearPart, Proof},
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
    /// What proves it, in part as long as it does not hold.
    pub proofs: Vec<Proof>,
    /// The attempt that came closest, as long as it does not hold. Of equals the latest: that is what the student remembers.
    pub closest: Option<Box<Closest>>,
    /// Set when a session of the server failed on the way to it.
    pub failed: Option<Cause>,
}

impl Progress {
    /// Takes a proof; `times` of them make it hold.
    pub fn proven(&mut self, proof: Proof, times: usize) {
        if matches!(self.closest.as_deref(), Some(Closest::Conversation(attempt)) if attempt.conn == proof.conn) {
            self.closest = None;
        }
        self.proofs.push(proof);
        if self.proofs.len() >= times {
            self.held = true;
            self.closest = None;
            self.failed = None;
        }
    }

    /// A connection showed its first `reached` steps.
    pub fn advanced(&mut self, here: &Here, reached: usize) {
        if let Some(attempt) = self.attempt(here, reached) {
            attempt.near = None;
            attempt.broken = None;
        }
    }

    /// A connection that had shown `reached` steps showed the next one's verb with something else about it.
    pub fn near(&mut self, here: &Here, reached: usize, fit: Fit, said: &Said<'_>) {
        let (what, text) = match fit {
            Fit::Yes => return,
            Fit::Argument => (NearPart::Argument, said.argument()),
            Fit::Reply => (NearPart::Reply, said.reply.lines().next().unwrap_or("")),
        };
        let Some(attempt) = self.attempt(here, reached) else {
            return;
        };
        let mut near =
            attempt.near.take().unwrap_or(Near { seq: here.seq, verb: String::new(), what, said: String::new() });
        near.seq = here.seq;
        near.what = what;
        near.verb.clear();
        near.verb.push_str(cut(said.verb));
        near.said.clear();
        near.said.push_str(cut(text));
        attempt.near = Some(near);
    }

    /// A connection that had shown `reached` steps showed what must not come there.
    pub fn broken(&mut self, here: &Here, reached: usize, verb: &str) {
        if let Some(attempt) = self.attempt(here, reached) {
            attempt.broken = Some(cut(verb).to_owned());
        }
    }

    /// The connection of the closest attempt ended.
    pub fn ended(&mut self, here: &Here, how: Ending) {
        if let Some(Closest::Conversation(attempt)) = self.closest.as_deref_mut()
            && attempt.conn == here.conn
        {
            attempt.ended = Some(how);
        }
    }

    /// The attempt of this connection, if none came closer than `reached` steps.
    fn attempt(&mut self, here: &Here, reached: usize) -> Option<&mut Attempt> {
        if self.held {
            return None;
        }
        let closer = matches!(self.closest.as_deref(), Some(Closest::Conversation(best)) if best.reached > reached);
        if closer {
            return None;
        }
        let same = matches!(self.closest.as_deref(), Some(Closest::Conversation(best)) if best.conn == here.conn);
        if !same {
            let fresh = Attempt { conn: here.conn, at: here.began, reached, near: None, broken: None, ended: None };
            match &mut self.closest {
                Some(boxed) => **boxed = Closest::Conversation(fresh),
                none @ None => *none = Some(Box::new(Closest::Conversation(fresh))),
            }
        }
        match self.closest.as_deref_mut() {
            Some(Closest::Conversation(attempt)) => {
                attempt.reached = reached;
                Some(attempt)
            }
            Some(Closest::Message(_) | Closest::Touched(_) | Closest::Mailbox(..)) | None => None,
        }
    }
}

/// What of a student's words an attempt keeps.
fn cut(text: &str) -> &str {
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
        let conn = |own: &Progress| match own.closest.as_deref() {
            Some(Closest::Conversation(attempt)) => attempt.conn,
            other => panic!("{other:?}"),
        };
        assert_eq!(conn(&own), Conn(1));
        own.advanced(&here(2), 2);
        assert_eq!(conn(&own), Conn(2));
    }
}
