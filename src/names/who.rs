//! Who was at the other end of a connection, and how a server knows.

use serde::{Deserialize, Serialize};

use super::{GroupName, Login};

/// Who was at the other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "who")]
pub enum Who {
    /// Nobody knows (yet).
    #[default]
    Unknown,
    /// A student.
    Student {
        /// Which.
        login: Login,
        /// How the server knows.
        by: By,
    },
    /// labctl itself, on the instructor's behalf: injected mail. It never counts as a student's work.
    Instructor,
    /// The server of a group, which passes mail on or returns it. It never counts as a student's work either: the record of
    /// the group whose student sent the mail says so.
    Server {
        /// Which.
        group: GroupName,
    },
}

/// How a student was recognised, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The connection came from the fixed address of the student's client.
    ClientAddress,
    /// The connection came to the student's own endpoint.
    Endpoint,
    /// The login that authenticated is the student's own mailbox.
    Login,
    /// The reverse-path names the student (RFC 5321 MAIL).
    Sender,
}

impl Who {
    /// The student, if it was one.
    pub fn student(&self) -> Option<&Login> {
        match self {
            Self::Student { login, .. } => Some(login),
            Self::Unknown | Self::Instructor | Self::Server { .. } => None,
        }
    }
}
