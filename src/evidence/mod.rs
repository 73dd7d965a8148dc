//! Evidence: what a server saw, one [`Event`] at a time. Values only; the store writes them, marking reads them.
//! An event never holds a password: whoever makes one masks it first ([`masked`]).

mod folders;
mod identity;
mod interruption;
mod kept;
mod messages;
mod state;

use std::{net::SocketAddr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    lab::{Fault, FaultId, Login, MailId, Protocol, Service},
    mail::folder::FolderName,
};

pub use crate::lab::TlsVersion;
pub use crate::names::{By, Conn, MessageId, Seq, Timestamp, Uid, Who};

pub use self::{
    folders::{Copied, FlagChange, FolderChange, Removed},
    identity::{ChainHash, Identity, Parent},
    interruption::{Cause, Interruption},
    kept::{LINE_KEPT, REPLY_KEPT, kept_line, kept_reply, kept_tagged, masked},
    state::State,
};

/// One thing that a server saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number.
    pub seq: Seq,
    /// When.
    pub time: Timestamp,
    /// The run it belongs to: a reset starts a student's next one; old runs are kept and never counted.
    pub run: u32,
    /// The connection.
    pub conn: Conn,
    /// Who it was, as far as the server knew then.
    pub who: Who,
    /// What it was.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What a server saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "event")]
pub enum EventKind {
    /// A connection was accepted and greeted (or refused: then the reply says so and `Disconnected` follows).
    Connected {
        /// What is spoken on the endpoint.
        protocol: Protocol,
        /// The endpoint's service: with one of implicit TLS the greeting went over TLS already, and [`EventKind::Secured`] follows.
        service: Service,
        /// The other end; none for labctl's own connections.
        peer: Option<SocketAddr>,
        /// Our end.
        local: Option<SocketAddr>,
        /// The greeting, with its CRLF; empty where a handshake that had to come first failed.
        reply: String,
    },
    /// A command was answered.
    Command {
        /// The verb in upper case, of IMAP with `UID` where that stands before it; `<message>` for the end of message data; for an unknown command its first word; for an AUTH response `<response>`.
        verb: Arc<str>,
        /// The line as it came without its line end, passwords masked, octets that are no UTF-8 as U+FFFD. For `<message>` empty.
        line: String,
        /// How many octets came for it, with line end (for `<message>` everything up to and with CRLF.CRLF, for BDAT with its chunk).
        octets: u64,
        /// The first line of the reply (of IMAP the tagged one, which comes last) or, if it is short, all of it (see
        /// [`REPLY_KEPT`]), with CRLFs.
        reply: String,
        /// How many octets the reply had.
        reply_octets: u64,
        /// The state before.
        before: State,
        /// The state after.
        after: State,
        /// Whether it was there before the command before it was answered (RFC 2920 3.1, RFC 2449 6.6, RFC 9051 5.5).
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pipelined: bool,
        /// How often it came like this in a row. More than once only beyond the lab's `commands_per_second`.
        #[serde(default = "once", skip_serializing_if = "is_once")]
        times: u32,
    },
    /// The connection went over to TLS: from here on, or from its first octet where the service has implicit TLS.
    Secured {
        /// The version of TLS.
        version: TlsVersion,
        /// The cipher suite, by its name in IANA's registry.
        cipher: String,
        /// The name that the client asked for (RFC 6066 3).
        sni: Option<String>,
    },
    /// A TLS handshake failed, and with it the connection ends.
    HandshakeFailed {
        /// What went wrong and what to do about it, as a fragment for the student.
        why: String,
    },
    /// Octets that came in the clear behind STARTTLS or STLS were thrown away (RFC 3207 4.2, RFC 2595 4): somebody
    /// injects commands, or a client that pipelines them.
    Discarded {
        /// How many.
        octets: u64,
    },
    /// In message data a line with a dot alone ended in LF, so it did not end the data (RFC 5321 4.1.1.4): whoever typed it waits.
    LoneDot {
        /// Which line of the message, from 1 on.
        line: u64,
    },
    /// A login succeeded.
    LoggedIn {
        /// The mailbox.
        mailbox: Login,
        /// `PASS`, `APOP`, `PLAIN` …
        mechanism: String,
    },
    /// A login failed.
    LoginFailed {
        /// The name that was tried.
        mailbox: String,
        /// `PASS`, `APOP`, `PLAIN` …
        mechanism: String,
    },
    /// A message was accepted and is stored.
    Accepted {
        /// Its number.
        message: MessageId,
        /// The reverse-path without brackets; empty for the null path.
        from: String,
        /// The recipients as given, without brackets.
        recipients: Vec<String>,
        /// Where it went.
        delivered: Vec<Delivered>,
        /// Octets of the message as sent, after dot-unstuffing, with CRLFs, without what the server put in front.
        octets: u64,
        /// SHA-256 of the same, in lower-case hexadecimal.
        sha256: String,
        /// Set for mail that labctl injected.
        injected: Option<Injected>,
    },
    /// An accepted message waits for other servers.
    Queued {
        /// The message.
        message: MessageId,
        /// The recipients there, as given, without brackets.
        recipients: Vec<String>,
    },
    /// Another server of the lab passed on again what it had passed on before, because it did not get the answer: it is kept once.
    Repeated {
        /// Its name in that server's queue.
        queue_name: String,
        /// The recipients as given, without brackets.
        recipients: Vec<String>,
    },
    /// Another server took a message.
    Relayed {
        /// The message.
        message: MessageId,
        /// The recipients that it took it for.
        recipients: Vec<String>,
        /// Which: its name and address.
        server: String,
        /// What it answered to the message, in one line.
        reply: String,
        /// How the connection was secured: `TLSv1.3`, and after a blank `verified` where it is a server of the lab and its
        /// certificate shows it, else `unverified`; none in the clear.
        tls: Option<String>,
    },
    /// A try to pass a message on failed, and there will be another.
    Deferred {
        /// The message.
        message: MessageId,
        /// The recipients.
        recipients: Vec<String>,
        /// Which server was tried; empty where it did not come to that.
        server: String,
        /// What it answered, or what went wrong.
        reply: String,
        /// Tries so far.
        attempts: u32,
        /// When it is tried again.
        due: Timestamp,
    },
    /// A message could not be passed on, and is not tried again.
    Bounced {
        /// The message.
        message: MessageId,
        /// The recipients.
        recipients: Vec<String>,
        /// Which server refused it; empty where it did not come to that.
        server: String,
        /// What it answered, or what went wrong.
        reply: String,
        /// The enhanced status code (RFC 3463), such as `5.1.1`.
        status: String,
        /// Whether the sender gets a notice: not for the null reverse-path, nor where NOTIFY says so.
        returned: bool,
    },
    /// A name was asked for.
    Query {
        /// The name, without its final dot.
        name: String,
        /// The type: `A`, `AAAA`, `MX` …
        record: String,
        /// What was answered: `NOERROR`, `NXDOMAIN` …
        answer: String,
        /// How many records.
        records: u32,
        /// Whether it came over TCP.
        tcp: bool,
    },
    /// A message was sent to a client.
    Retrieved {
        /// The message.
        message: MessageId,
        /// The mailbox.
        mailbox: Login,
        /// Its number there.
        uid: Uid,
        /// Body lines asked for (POP3 TOP); none for the whole message.
        top: Option<u64>,
        /// The folder of the mailbox; POP3 knows INBOX only.
        #[serde(default = "FolderName::inbox", skip_serializing_if = "FolderName::is_inbox")]
        folder: FolderName,
    },
    /// A deletion was carried out (POP3: at QUIT; IMAP: by EXPUNGE or CLOSE).
    Deleted {
        /// The message.
        message: MessageId,
        /// The mailbox.
        mailbox: Login,
        /// Its number there.
        uid: Uid,
        /// The folder of the mailbox.
        #[serde(default = "FolderName::inbox", skip_serializing_if = "FolderName::is_inbox")]
        folder: FolderName,
    },
    /// A client put a message into a folder (IMAP APPEND).
    Appended {
        /// The message.
        message: MessageId,
        /// The mailbox.
        mailbox: Login,
        /// The folder.
        folder: FolderName,
        /// Its number there.
        uid: Uid,
        /// Its flags, with blanks between.
        flags: String,
        /// Octets as they came.
        octets: u64,
        /// SHA-256 of them, in lower-case hexadecimal.
        sha256: String,
    },
    /// Messages were copied or moved to another folder of the mailbox (IMAP COPY and MOVE).
    Copied {
        /// The mailbox.
        mailbox: Login,
        /// The folder they were in.
        from: FolderName,
        /// The folder that the copies are in.
        to: FolderName,
        /// Each message with its number in both.
        copies: Vec<Copied>,
        /// Whether they left the first folder.
        moved: bool,
    },
    /// Flags of messages were changed (IMAP STORE, and FETCH that marks as read).
    Flagged {
        /// The mailbox.
        mailbox: Login,
        /// The folder.
        folder: FolderName,
        /// The numbers of the messages there, as IMAP writes sets: `1:3,7`.
        uids: String,
        /// What was done with the flags.
        change: FlagChange,
        /// The flags, with blanks between.
        flags: String,
    },
    /// A folder was made, removed or renamed, or its subscription changed (IMAP).
    Folder {
        /// The mailbox.
        mailbox: Login,
        /// The folder, by its name before.
        folder: FolderName,
        /// What was done.
        change: FolderChange,
    },
    /// A connection ended.
    Disconnected {
        /// How.
        how: Ending,
    },
    /// The instructor let a student start again: the events before belong to an old run.
    Reset {
        /// Who starts again.
        student: Login,
        /// What was taken out of mailboxes; the student's own folders are gone besides.
        removed: Vec<Removed>,
    },
    /// A fault of the student's: armed, or met. What the server did wrong on purpose stands in the command before it.
    Fault {
        /// The fault.
        fault: FaultId,
        /// What became of it.
        what: FaultMoment,
        /// The act as the lab writes it.
        act: String,
        /// The verb at which it was.
        at: String,
        /// What it was about, where that counts for later: the recipient that is made to wait.
        about: String,
    },
    /// The instructor set a fault for a student; it counts from here, also where the lab has one of this name.
    FaultSet {
        /// Who meets it.
        student: Login,
        /// What.
        fault: Fault,
    },
    /// The instructor took a fault of the lab or an own one from a student.
    FaultCleared {
        /// Who meets it no more.
        student: Login,
        /// Which.
        fault: FaultId,
    },
    /// A limit was reached that holds for a student in all sessions together. Said once, and again when it is reached anew after
    /// a time in which it was kept.
    Limited {
        /// Its key in `[limits]`.
        limit: String,
        /// What it is set to.
        value: u64,
    },
    /// Somebody has made the store keep as much as the lab allows (`limits.evidence`): sessions of theirs end from here on.
    Exhausted {
        /// A login, or an address in brackets.
        whom: String,
        /// The limit.
        octets: u64,
    },
    /// What no mark, mailbox or attempt needs was taken out of the store; tombstones say where.
    Compacted {
        /// Events that are gone.
        events: u64,
        /// Messages whose content is gone.
        messages: u64,
        /// SHA-256 over all tombstones as they are now, in lower-case hexadecimal.
        tombstones: String,
    },
    /// The server started.
    Started {
        /// labctl's version.
        version: String,
        /// How the one before it ended, where it was not stopped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Interruption>,
    },
    /// A row of the record that could not be read, or a gap before this number.
    Damaged {
        /// What is wrong, as a fragment.
        why: String,
    },
}

/// What becomes of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultMoment {
    /// The student showed what arms it.
    Armed,
    /// Something was let through that counts for it (a rate).
    Passed,
    /// It struck.
    Struck,
}

/// A message in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// The mailbox.
    pub mailbox: Login,
    /// Its number there.
    pub uid: Uid,
}

/// Which mail of the lab was injected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Injected {
    /// The mail.
    pub mail: MailId,
    /// The student whose copy it is; none for one that a group shares.
    pub student: Option<Login>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The client said QUIT.
    Quit,
    /// The client closed or cut the connection.
    Dropped,
    /// It was idle too long.
    Idle,
    /// The server refused it (too many sessions) or ended it (too many errors).
    Refused,
    /// The server was shutting down.
    Shutdown,
    /// The instructor ended it.
    Instructor,
    /// A fault cut it, on purpose.
    Fault,
    /// The server's session failed; a defect of labctl, never the student's fault.
    Failed,
}

const fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_once(times: &u32) -> bool {
    *times == 1
}

impl EventKind {
    /// The kind as `trace` and the store name it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Connected { .. } => "connected",
            Self::Command { .. } => "command",
            Self::Secured { .. } => "secured",
            Self::HandshakeFailed { .. } => "handshake_failed",
            Self::Discarded { .. } => "discarded",
            Self::LoneDot { .. } => "lone_dot",
            Self::LoggedIn { .. } => "logged_in",
            Self::LoginFailed { .. } => "login_failed",
            Self::Accepted { .. } => "accepted",
            Self::Queued { .. } => "queued",
            Self::Repeated { .. } => "repeated",
            Self::Relayed { .. } => "relayed",
            Self::Deferred { .. } => "deferred",
            Self::Bounced { .. } => "bounced",
            Self::Query { .. } => "query",
            Self::Retrieved { .. } => "retrieved",
            Self::Deleted { .. } => "deleted",
            Self::Appended { .. } => "appended",
            Self::Copied { .. } => "copied",
            Self::Flagged { .. } => "flagged",
            Self::Folder { .. } => "folder",
            Self::Disconnected { .. } => "disconnected",
            Self::Reset { .. } => "reset",
            Self::Fault { .. } => "fault",
            Self::FaultSet { .. } => "fault_set",
            Self::FaultCleared { .. } => "fault_cleared",
            Self::Limited { .. } => "limited",
            Self::Exhausted { .. } => "exhausted",
            Self::Compacted { .. } => "compacted",
            Self::Started { .. } => "started",
            Self::Damaged { .. } => "damaged",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_flat_json() {
        let event = Event {
            seq: Seq(1),
            time: Timestamp(0),
            run: 1,
            conn: Conn(2),
            who: Who::Student { login: "ana".parse().unwrap(), by: By::Endpoint },
            kind: EventKind::Disconnected { how: Ending::Quit },
        };
        let json = serde_json::to_string(&event).unwrap();
        let flat = r#"{"seq":1,"time":0,"run":1,"conn":2,"who":{"who":"student","login":"ana","by":"endpoint"},"event":"disconnected","how":"quit"}"#;
        assert_eq!(json, flat);
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event);
    }
}
