//! What travels over the control API, as JSON. A field that is added later has a default, so that versions can meet.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{
    evidence::{Conn, Injected, Interruption},
    inject::Addressed,
    lab::{Fault, FaultId, Login, ServerConfig},
    mail::Queued,
    server::{Descriptors, Session},
    store::Trouble,
};

/// The version of the API's shapes.
pub const VERSION: u32 = 1;

/// The process and its servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The version of this shape.
    pub version: u32,
    /// labctl's version.
    pub labctl: String,
    /// The process's number.
    pub pid: u32,
    /// Whether it may listen beyond loopback.
    pub beyond_loopback: bool,
    /// Whether it was told to end and lets its sessions finish.
    #[serde(default)]
    pub stopping: bool,
    /// How many of the descriptors that it may have are open.
    #[serde(default)]
    pub descriptors: Descriptors,
    /// Its servers, in the order of their groups.
    pub servers: Vec<ServerStatus>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// What it was told.
    pub config: ServerConfig,
    /// How the server before it ended, where it was not stopped.
    #[serde(default)]
    pub after: Option<Interruption>,
    /// Why its store cannot be written, where it cannot.
    #[serde(default)]
    pub trouble: Option<Trouble>,
    /// The sessions that are open now, in the order in which they came.
    #[serde(default)]
    pub sessions: Vec<Session>,
    /// Sessions that are open now, by student; those of nobody known under none.
    pub connected: Vec<Connected>,
    /// What its mailboxes hold, in order; a mailbox that never held anything is not among them.
    pub mailboxes: Vec<MailboxStatus>,
    /// The injected mail of the current runs, where it was asked for.
    #[serde(default)]
    pub injected: Option<Vec<Injected>>,
}

/// Open sessions of one student.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connected {
    /// The student; none: nobody known.
    pub student: Option<Login>,
    /// How many.
    pub sessions: usize,
}

/// What a mailbox holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailboxStatus {
    /// The mailbox.
    pub name: Login,
    /// Messages.
    pub messages: u64,
    /// Their octets together.
    pub octets: u64,
}

/// The mail of a server that waits for others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// How many recipients wait.
    pub recipients: usize,
    /// The first of them, in the order in which they came.
    pub first: Vec<Queued>,
}

/// What was tried at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// How many recipients.
    pub recipients: usize,
}

/// Who starts again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// The students.
    pub students: Vec<Login>,
    /// Whether shared mailboxes are emptied too.
    pub whole_group: bool,
}

/// Faults to set and to clear.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultChanges {
    /// Who is to meet what.
    pub set: Vec<(Login, Fault)>,
    /// Who is to meet what no more.
    pub clear: Vec<(Login, FaultId)>,
}

/// Whose sessions are to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disconnect {
    /// The student.
    pub student: Login,
    /// Only that of this connection.
    pub conn: Option<Conn>,
}

/// What was ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disconnected {
    /// How many sessions.
    pub sessions: usize,
}

/// Letters for the mailboxes of one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letters {
    /// Whether copies that arrived before are sent again.
    pub again: bool,
    /// The letters, in the order of the lab.
    pub letters: Vec<Addressed>,
}

/// What became of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// How many arrived now; others had arrived before.
    pub sent: usize,
    /// Those that did not, each with the reason, as a fragment.
    pub undelivered: Vec<(Injected, String)>,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// As a fragment.
    pub error: String,
    /// The address that is in use, where that was it.
    #[serde(default)]
    pub in_use: Option<SocketAddr>,
    /// The address that the system would not let it listen on, and why, where that was it.
    #[serde(default)]
    pub listening: Option<(SocketAddr, Listening)>,
    /// How many descriptors the process may have, where it has too few.
    #[serde(default)]
    pub descriptors: Option<u64>,
}

/// Why the system does not let a server listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Listening {
    /// The port is for the system's administrator.
    Privileged,
    /// The address is not this machine's.
    Elsewhere,
}

impl Problem {
    /// A problem that has no address.
    pub fn new(error: String) -> Self {
        Self { error, in_use: None, listening: None, descriptors: None }
    }
}
