//! Mail for other servers: recipients that wait in the queue, and what their senders want to hear of them (RFC 3461).

use serde::{Deserialize, Serialize};

use super::{
    Body, Envelope,
    dsn::{Notice, Ret},
};
use crate::names::{MessageId, Timestamp, Who};

/// The number of a recipient in a server's queue, rising; used again only after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QueueId(pub u64);

/// A recipient whom another server is to get a message for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outgoing {
    /// The forward-path as given, without brackets; one of [`super::Envelope::recipients`].
    pub recipient: String,
    /// Where it goes, lower case: a domain, or an address literal in its brackets.
    pub domain: String,
}

/// A notice to a sender, and the server that it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// The server, as the record names it.
    pub by: Who,
    /// The notice.
    pub envelope: Envelope,
}

/// What a sender said of a whole message that the next server has to hear as well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wishes {
    /// How much of it comes back in a notice.
    #[serde(default)]
    pub ret: Option<Ret>,
    /// The sender's own name for the transaction, decoded.
    #[serde(default)]
    pub envid: Option<String>,
    /// What the message may hold.
    #[serde(default)]
    pub body: Body,
    /// Whether its addresses or header fields may be UTF-8 (RFC 6531).
    #[serde(default)]
    pub utf8: bool,
}

impl Wishes {
    /// Those of an envelope.
    pub fn of(envelope: &Envelope) -> Self {
        let (ret, envid) =
            envelope.notices.as_ref().map(|notices| (notices.ret, notices.envid.clone())).unwrap_or_default();
        Self { ret, envid, body: envelope.body, utf8: envelope.utf8 }
    }
}

impl Envelope {
    /// What the sender wants to be told of a recipient.
    pub fn notice(&self, recipient: &str) -> Notice {
        let place = self.recipients.iter().position(|given| given == recipient);
        let notices = self.notices.as_ref().zip(place);
        notices.map(|(notices, place)| notices.of(place)).unwrap_or_default()
    }
}

/// A recipient in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// Its number.
    pub id: QueueId,
    /// The stored message.
    pub message: MessageId,
    /// The reverse-path without brackets; empty for the null path.
    pub sender: String,
    /// Who it is for.
    #[serde(flatten)]
    pub outgoing: Outgoing,
    /// What the sender wants to be told of the recipient.
    pub notice: Notice,
    /// What the sender said of the message.
    pub wishes: Wishes,
    /// Who brought the message.
    pub who: Who,
    /// The run it belongs to.
    pub run: u32,
    /// When it came: the date, which is told.
    pub queued: Timestamp,
    /// The same moment on the clock that nobody sets, which is waited by.
    pub since: Timestamp,
    /// Tries so far.
    pub attempts: u32,
    /// When it is tried next, on that clock.
    pub due: Timestamp,
    /// Whether the sender has heard of the delay.
    pub warned: bool,
    /// What the last try was told.
    pub reply: Option<String>,
}

/// What a try changes in the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueChange {
    /// The recipient is done with: delivered, or given up.
    Done(QueueId),
    /// It is tried again.
    Later {
        /// Which.
        id: QueueId,
        /// Tries so far.
        attempts: u32,
        /// When, on the clock that nobody sets.
        due: Timestamp,
        /// Whether the sender has heard of the delay.
        warned: bool,
        /// What this try was told.
        reply: String,
    },
}

impl QueueChange {
    /// The recipient that it is about.
    pub const fn id(&self) -> QueueId {
        match self {
            Self::Done(id) | Self::Later { id, .. } => *id,
        }
    }
}
