//! What marking says: values, without a word of any language ([`crate::words`] has those).

use std::sync::Arc;

use crate::{
    evidence::{Conn, MessageId, Seq, Timestamp},
    lab::{Exercise, ExerciseId, GroupName, Login, exercise::Points},
    words::Phrase,
};

/// What became of an exercise or of one of its checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It holds; events prove it.
    Done,
    /// It does not hold (yet).
    Missing,
    /// It does not hold, and the record is to blame: never the student's fault.
    Unclear,
}

impl Verdict {
    /// As JSON and CSV write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Missing => "missing",
            Self::Unclear => "unclear",
        }
    }
}

/// One student's marks.
#[derive(Debug, Clone, PartialEq)]
pub struct StudentMarks {
    /// The group.
    pub group: GroupName,
    /// The student.
    pub login: Login,
    /// The person's name as the roster has it.
    pub name: Option<String>,
    /// The person's address as the roster has it.
    pub email: Option<String>,
    /// The sum over all exercises.
    pub points: Points,
    /// What the exercises are worth together.
    pub out_of: Points,
    /// One mark per exercise, in the lab's order.
    pub exercises: Vec<Mark>,
    /// What else there is to know: connections that count for neither of two students …
    pub notes: Vec<Phrase>,
}

/// One student's mark in one exercise.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// The exercise: id, title, hint, session, worth, checks.
    pub exercise: Arc<Exercise>,
    /// What became of it.
    pub verdict: Verdict,
    /// What it earned: all, nothing, or with `partial` the share of the checks that hold.
    pub points: Points,
    /// Exercises that must be done first and are not.
    pub after_missing: Vec<ExerciseId>,
    /// One mark per check, in the exercise's order.
    pub checks: Vec<CheckMark>,
}

impl Mark {
    /// The events that prove what holds, each once, in order.
    pub fn events(&self) -> Vec<Seq> {
        let mut events: Vec<Seq> =
            self.checks.iter().flat_map(|check| &check.proofs).flat_map(|proof| proof.events.iter().copied()).collect();
        events.sort_unstable();
        events.dedup();
        events
    }

    /// How many of its checks hold.
    pub fn held(&self) -> usize {
        self.checks.iter().filter(|check| check.verdict == Verdict::Done).count()
    }
}

/// One student's mark in one check.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckMark {
    /// What became of it.
    pub verdict: Verdict,
    /// What it wants of this student, its templates filled in, but for secrets, texts and passwords: marks are shown to students.
    pub wanted: Arc<Phrase>,
    /// What proves it, or part of it where it must hold several times.
    pub proofs: Vec<Proof>,
    /// How many proofs it takes.
    pub times: u32,
    /// Whether these must come over one connection.
    pub one_connection: bool,
    /// What came closest, where it does not hold, or that nothing of the kind was tried.
    pub closest: Option<Phrase>,
    /// Why it is unclear.
    pub cause: Option<Cause>,
    /// What the student has to bring about first: a fault not met yet, or one that has struck already.
    pub awaits: Option<Phrase>,
    /// Whether it counts only after the check before it held.
    pub then: bool,
}

/// What proves a check.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// The events.
    pub events: Vec<Seq>,
    /// The connection.
    pub conn: Conn,
    /// When it was proven.
    pub at: Timestamp,
    /// The message that it is about.
    pub message: Option<MessageId>,
    /// What the events show.
    pub shows: Phrase,
}

/// Why a check is unclear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The record is damaged.
    Damaged {
        /// Where.
        seq: Seq,
        /// What is wrong, as a fragment.
        why: String,
    },
    /// The server's session failed.
    Failed {
        /// The connection.
        conn: Conn,
        /// When.
        at: Timestamp,
    },
    /// The content of a message that the check speaks of is not in the store.
    ContentLost(MessageId),
}
