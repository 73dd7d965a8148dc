//! What marking says: values, without a word of any language ([`super::words`] has those).

use std::sync::Arc;

use crate::{
    evidence::{Conn, Ending, MessageId, Seq, Timestamp},
    lab::{
        Exercise, ExerciseId, FaultId, GroupName, Login, Protocol,
        exercise::{Bound, Filed, Points, Terms, Touched},
        witness::{Answer, Fate},
    },
    mail::folder::FolderName,
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
    /// Connections that count for neither of two students, this one among them: the latest [`super::MAX_CONTRADICTIONS`].
    pub contradictions: Vec<Contradiction>,
}

/// A connection that came to one student's address and logged in as another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// The connection.
    pub conn: Conn,
    /// When it logged in.
    pub at: Timestamp,
    /// Whose address it came to (or from, where clients have addresses).
    pub address: Login,
    /// Whose own login it used.
    pub login: Login,
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
    /// What it wants of this student.
    pub wanted: Arc<Wanted>,
    /// What proves it, or part of it where it must hold several times.
    pub proofs: Vec<Proof>,
    /// How many proofs it takes.
    pub times: u32,
    /// The attempt that came closest, where it does not hold.
    pub closest: Option<Closest>,
    /// Why it is unclear.
    pub cause: Option<Cause>,
    /// The fault that the student must meet first and has not met.
    pub unmet: Option<FaultId>,
    /// Whether it counts only after the check before it held.
    pub then: bool,
}

/// What a check wants, its templates filled in, but for secrets, texts and passwords: marks are shown to students.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// Steps over one connection.
    Conversation(WantedTalk),
    /// A message that meets these conditions, over one connection or not.
    Message(Vec<(Condition, Arc<str>)>, bool),
    /// A message to retrieve.
    Retrieved(Touched),
    /// A message to delete.
    Deleted(Touched),
    /// So many messages in this folder, or just the folder.
    Mailbox(Place, Option<Bound>),
    /// A message in a folder, with flags and without.
    Filed(Filed),
    /// A name to ask the server for.
    Query(WantedQuery),
    /// What is to become of a message for another server.
    Carried(WantedCarried),
}

/// A query as a check wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedQuery {
    /// The name; none: any.
    pub name: Option<String>,
    /// The record types; none: any.
    pub records: Vec<String>,
    /// The answer.
    pub answer: Answer,
}

/// What is to become of a message, as a check wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedCarried {
    /// What.
    pub fate: Fate,
    /// For whom; none: anybody.
    pub to: Option<String>,
    /// The enhanced status code; none: any.
    pub status: Option<String>,
}

/// A conversation as a check wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedTalk {
    /// The protocol of the connection.
    pub protocol: Protocol,
    /// The steps.
    pub steps: Vec<WantedStep>,
    /// The fault that must have been met before.
    pub fault: Option<FaultId>,
    /// Whether in the same connection.
    pub during: bool,
    /// What the connection must be like.
    pub terms: Terms,
    /// Whether the steps must come without waiting for replies.
    pub pipelined: bool,
}

/// A step as a check wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct WantedStep {
    /// Whether it must not come.
    pub forbidden: bool,
    /// All of it, as the lab writes it, without `!`.
    pub text: String,
    /// What should follow the verb.
    pub argument: String,
    /// What the server should answer.
    pub reply: String,
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
    /// What the events show.
    pub shows: Shown,
}

/// A folder of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The mailbox.
    pub mailbox: String,
    /// The folder.
    pub folder: FolderName,
}

/// What a proof shows.
#[derive(Debug, Clone, PartialEq)]
pub enum Shown {
    /// The verbs of a conversation, in order.
    Conversation(Vec<Arc<str>>),
    /// A message that the student delivered, and the mailboxes it went to.
    Message(MessageId, Vec<Login>),
    /// A message that the student retrieved from this folder.
    Retrieved(MessageId, Place),
    /// A message that the student deleted from this folder.
    Deleted(MessageId, Place),
    /// A folder with so many messages.
    Mailbox(Place, u64),
    /// A message that the student brought into this folder, or there to these flags, with blanks between.
    Filed(MessageId, Place, String),
    /// A name that the student asked for, the record type, and the answer.
    Query(String, String, String),
    /// What became of a message that the student handed in for another server.
    Carried(MessageId, Carriage),
}

/// What became of a message for another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carriage {
    /// What.
    pub fate: Fate,
    /// A recipient of which it became.
    pub recipient: String,
    /// The other server, where it came to one.
    pub server: String,
    /// What it answered or what went wrong, cut to [`super::NEAR_KEPT`] octets.
    pub reply: String,
}

/// The attempt that came closest.
#[derive(Debug, Clone, PartialEq)]
pub enum Closest {
    /// A connection.
    Conversation(Attempt),
    /// A message, and each condition that it does not meet.
    Message(MessageAttempt),
    /// A message that was retrieved or deleted.
    Touched(TouchedAttempt),
    /// How many messages the folder holds; none: there is no such folder.
    Mailbox(Option<u64>),
    /// A message that lies where it should not, or otherwise than it should.
    Filed(FiledAttempt),
    /// A query.
    Query(QueryAttempt),
    /// A message for another server.
    Carried(CarriedAttempt),
}

/// A query that is not the one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryAttempt {
    /// The event.
    pub seq: Seq,
    /// When.
    pub at: Timestamp,
    /// The name that was asked for, cut to [`super::NEAR_KEPT`] octets.
    pub name: String,
    /// The record type.
    pub record: String,
    /// What was answered.
    pub answer: String,
    /// How many of name, record type and answer are as wanted, in this order.
    pub fits: usize,
}

/// A message for another server of which something else became than wanted, so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedAttempt {
    /// The event.
    pub seq: Seq,
    /// The connection that handed it in.
    pub conn: Conn,
    /// When.
    pub at: Timestamp,
    /// The message.
    pub message: MessageId,
    /// What became of it.
    pub carriage: Carriage,
    /// Why it does not count.
    pub off: Off,
}

/// Why what became of a message does not count; what is nearer to counting comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Off {
    /// It is for somebody else.
    To,
    /// Something else was wanted to become of it.
    Fate,
    /// It came back with another status code.
    Status,
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
    /// What came in place of the next step, if anything did.
    pub instead: Option<Instead>,
    /// Then, the verb that came.
    pub verb: String,
    /// Then, what was said, cut to [`super::NEAR_KEPT`] octets.
    pub said: String,
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

/// A message that does not meet all conditions.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageAttempt {
    /// The event.
    pub seq: Seq,
    /// The connection.
    pub conn: Conn,
    /// When.
    pub at: Timestamp,
    /// The message.
    pub message: MessageId,
    /// What it does not meet; of a message that its envelope rules out, the content was not looked at.
    pub failings: Vec<Failing>,
}

/// A condition that a message does not meet.
#[derive(Debug, Clone, PartialEq)]
pub struct Failing {
    /// Which.
    pub condition: Condition,
    /// What the check wants.
    pub wanted: Arc<str>,
    /// What the message has; none: nothing of the kind.
    pub found: Option<Arc<str>>,
}

/// A condition on a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The mailbox it went to.
    Mailbox,
    /// The reverse-path.
    From,
    /// The recipients.
    To,
    /// Its octets.
    Size,
    /// A header field.
    Header(Arc<str>),
    /// The body.
    Body,
    /// The types of its MIME parts.
    Parts,
    /// The SHA-256 of the body.
    Hash,
    /// The text the student was given.
    Text,
    /// The student's secret.
    Secret,
}

/// A message that was retrieved or deleted but is not the one.
#[derive(Debug, Clone, PartialEq)]
pub struct TouchedAttempt {
    /// The event.
    pub seq: Seq,
    /// The connection.
    pub conn: Conn,
    /// When.
    pub at: Timestamp,
    /// The message.
    pub message: MessageId,
    /// Where it was.
    pub place: Place,
    /// Why it is not the one.
    pub miss: Miss,
}

/// Where a message lies that is nearly as wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct FiledAttempt {
    /// The message.
    pub message: MessageId,
    /// Where it is.
    pub place: Place,
    /// Its flags there, with blanks between.
    pub flags: String,
    /// Why that does not count.
    pub miss: FiledMiss,
}

/// Why a message in a folder does not count; what is nearer to counting comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FiledMiss {
    /// Another mail was wanted, or one that the student delivered.
    Message,
    /// It is in another folder.
    Folder,
    /// It has other flags.
    Flags,
    /// It was not the student who brought it there or to these flags.
    Others,
}

/// Why a message that was retrieved or deleted does not count; what is nearer to counting comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Miss {
    /// It was touched over another protocol.
    Protocol,
    /// It was in another mailbox.
    Mailbox,
    /// It was in another folder.
    Folder,
    /// Another mail was wanted, or one that the student delivered.
    Message,
    /// Only its beginning was sent (POP3 TOP).
    Top,
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
