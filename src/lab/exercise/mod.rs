//! Exercises and their checks, as values; steps, bounds and reference solutions, which are parsed where they live because the
//! text *is* the value, have files of their own. Judging is `crate::marking`.

mod bound;
mod script;
mod step;

use std::{collections::BTreeSet, fmt};

use super::{
    ExerciseId, FaultId, MailId, Protocol, Text, TlsVersion,
    witness::{CarriedCheck, QueryCheck},
};
use crate::mail::folder::{FolderName, NamedFlags};

pub use bound::{Bound, Comparison, octets};
pub use script::{Script, ScriptLine};
pub use step::{Pattern, ReplyPattern, Step};

/// The most steps of one conversation check: the marker keeps its state in the bits of a `u64`.
pub const MAX_STEPS: usize = 60;

/// An exercise: all its checks must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Exercise {
    /// Its number.
    pub id: ExerciseId,
    /// What it is called.
    pub title: Text,
    /// What helps a student who is stuck.
    pub hint: Text,
    /// The session of the practical it belongs to (1 is the first).
    pub session: u32,
    /// What it is worth.
    pub points: Points,
    /// Whether part of the checks gives part of the points.
    pub partial: bool,
    /// Exercises that must be done for this one to count.
    pub after: Vec<ExerciseId>,
    /// What must hold.
    pub checks: Vec<Check>,
    /// The checks, by place, that count only after the one before them held.
    pub then: BTreeSet<usize>,
    /// Connections that solve it, in order; empty where the lab has none.
    pub solution: Vec<Script>,
}

/// Points in hundredths, so that sums are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Points(pub u32);

impl Points {
    /// As a number with at most two decimals.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl fmt::Display for Points {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        let text = match rest {
            0 => format!("{whole}"),
            _ if rest % 10 == 0 => format!("{whole}.{}", rest / 10),
            _ => format!("{whole}.{rest:02}"),
        };
        out.pad(&text)
    }
}

/// One thing that must hold for one student.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// One connection of the student with these steps in this order.
    Conversation(Conversation),
    /// The student delivered a message like this.
    Message(MessageCheck),
    /// The student retrieved a message like this.
    Retrieved(Touched),
    /// The student deleted a message like this, and the deletion was carried out.
    Deleted(Touched),
    /// A mailbox of the group, or a folder of it, is (or once was) like this.
    Mailbox(MailboxCheck),
    /// The student brought a message into a folder, with flags and without.
    Filed(Filed),
    /// The student asked the group's server for a name.
    Query(QueryCheck),
    /// This became of a message that the student handed in for another server.
    Carried(CarriedCheck),
}

/// One connection of the student with these steps in this order; other commands may come between.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// The protocol of the connection.
    pub protocol: Protocol,
    /// The steps, at least one of them not a forbidding one, at most [`MAX_STEPS`].
    pub steps: Vec<Step>,
    /// How many different connections must show it (1 by default).
    pub times: u32,
    /// The fault that the student must have met before the first step.
    pub fault: Option<FaultId>,
    /// Whether it must have been met in this very connection.
    pub during: bool,
    /// What the connection must be like when it has shown the last step.
    pub terms: Terms,
    /// Whether each step but the first must have come before the one before it was answered.
    pub pipelined: bool,
}

/// What a connection must be like; what is none may be any way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// How it is secured.
    pub tls: Option<TlsMode>,
    /// The version of TLS.
    pub version: Option<TlsVersion>,
    /// The mechanism of its last login as events spell it: `PLAIN`, `PASS` …
    pub auth: Option<String>,
}

/// How a connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// It is not.
    Clear,
    /// By STARTTLS, or STLS in POP3.
    Starttls,
    /// From its first octet.
    Implicit,
}

/// A message that the student delivered (injected mail never counts).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MessageCheck {
    /// The mailbox it arrived in; a template (`{login}` is the student's own).
    pub mailbox: Option<String>,
    /// A pattern for the reverse-path.
    pub from: Option<Pattern>,
    /// A pattern for one of the recipients as given.
    pub to: Option<Pattern>,
    /// Header fields that must be there, with a pattern each.
    pub headers: Vec<(String, Pattern)>,
    /// A pattern for the body (line ends count as `\n`).
    pub body: Option<Pattern>,
    /// Patterns for media types: parts that are no multipart themselves, in this order; others may come between.
    pub parts: Vec<Pattern>,
    /// A bound on the octets of the message as sent.
    pub size: Option<Bound>,
    /// The SHA-256 of the body as sent, in hexadecimal, after dot-unstuffing; a template.
    pub hash: Option<String>,
    /// The body holds the whole text that the student was given in this injected mail.
    pub text: Option<MailId>,
    /// The body holds the student's secret of this injected mail.
    pub secret: Option<MailId>,
    /// How many such messages there must be (1 by default).
    pub times: u32,
    /// Whether the messages must have come over one connection (with `times` above 1).
    pub one_connection: bool,
}

/// A message that the student retrieved or deleted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Touched {
    /// Which message.
    pub what: Which,
    /// The mailbox it was in; a template (`{login}` is the student's own).
    pub mailbox: Option<String>,
    /// The folder of the mailbox it was in.
    pub folder: Option<FolderName>,
    /// The protocol.
    pub via: Option<Protocol>,
}

/// Which message a check speaks of.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Which {
    /// Any message at all.
    #[default]
    Any,
    /// A message that this student delivered, or put into a folder (`own = true`).
    Own,
    /// The student's copy of an injected mail (`mail = "welcome"`).
    Injected(MailId),
}

/// The state of a mailbox.
#[derive(Debug, Clone, PartialEq)]
pub struct MailboxCheck {
    /// The mailbox; a template (`{login}` is the student's own).
    pub mailbox: String,
    /// The folder of it, which must exist; INBOX by default.
    pub folder: FolderName,
    /// A bound on the number of messages in the folder; none: that it exists is enough.
    pub count: Option<Bound>,
    /// True: at the end of the record. False: at any time after the lab's mail was injected.
    pub now: bool,
}

/// A message that lies in a folder because of something the student did: delivered, copied, moved, appended it there, or changed
/// its flags.
#[derive(Debug, Clone, PartialEq)]
pub struct Filed {
    /// Which message.
    pub what: Which,
    /// The mailbox; a template (`{login}` is the student's own).
    pub mailbox: String,
    /// The folder; none: any.
    pub folder: Option<FolderName>,
    /// The flags that it has.
    pub has: NamedFlags,
    /// The flags that it does not have.
    pub lacks: NamedFlags,
    /// True: at the end of the record. False: at any time.
    pub now: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_show_what_is_needed() {
        assert_eq!([200, 250, 225, 5].map(|p| Points(p).to_string()), ["2", "2.5", "2.25", "0.05"]);
    }
}
