//! What happens to folders and flags: values of the IMAP events.

use serde::{Deserialize, Serialize};

use super::{MessageId, Uid};
use crate::{lab::Login, mail::folder::FolderName};

/// A message that a new run starts without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// The mailbox it was in.
    pub mailbox: Login,
    /// The folder.
    #[serde(default = "FolderName::inbox", skip_serializing_if = "FolderName::is_inbox")]
    pub folder: FolderName,
    /// Its number there.
    pub uid: Uid,
}

/// A message that was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// The message; the copy is the same one.
    pub message: MessageId,
    /// Its number in the first folder.
    pub uid: Uid,
    /// Its number in the second.
    pub copy: Uid,
}

/// What was done with flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FlagChange {
    /// The messages have these flags now and no others.
    Replaced,
    /// These were set.
    Added,
    /// These were taken off.
    Removed,
}

/// What was done with a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FolderChange {
    /// It was made.
    Created,
    /// It was removed, and the messages in it are in no folder any more.
    Removed,
    /// It, and what lies in it, has another name now; of INBOX the messages moved there.
    Renamed(FolderName),
    /// Its name is on the list of subscriptions.
    Subscribed,
    /// It is not any more.
    Unsubscribed,
}
