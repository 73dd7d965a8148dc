//! What an IMAP session asks of the store, and what it is told. The driver performs it; the tests' store does the same in memory.

use std::sync::Arc;

use crate::{
    evidence::MessageId,
    lab::Login,
    mail::folder::{Flags, FolderId, FolderName, NamedFlags, Snapshot, Special},
};

/// Something to be done with folders. What changes something is committed, with what the store saw of it, before the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The folders of a mailbox; those every mailbox has are made where they are missing -> [`Told::Folders`]
    List {
        /// Whose.
        mailbox: Login,
    },
    /// How a folder stands -> [`Told::Status`], [`Told::Refused`]
    Status {
        /// Whose.
        mailbox: Login,
        /// Which.
        name: FolderName,
    },
    /// Open a folder -> [`Told::Selected`], [`Told::Refused`]
    Select {
        /// Whose.
        mailbox: Login,
        /// Which.
        name: FolderName,
        /// Whether messages that are recent become this session's (not for EXAMINE).
        claim: bool,
    },
    /// What an open folder holds now -> [`Told::Selected`]; a folder that is gone holds nothing.
    Sync {
        /// What the session knows.
        known: Arc<Snapshot>,
        /// Whether messages that are recent become this session's.
        claim: bool,
    },
    /// Messages, trace fields first -> [`Told::Messages`]
    Read {
        /// Which, in the order wanted; at most what [`crate::protocol::imap::BATCH_MESSAGES`] and [`crate::protocol::imap::BATCH_OCTETS`] allow.
        messages: Vec<MessageId>,
    },
    /// Make a folder, and those it lies in -> [`Told::Done`], [`Told::Refused`]
    Create {
        /// Whose.
        mailbox: Login,
        /// Its name.
        name: FolderName,
    },
    /// Remove a folder -> [`Told::Done`], [`Told::Refused`]
    Delete {
        /// Whose.
        mailbox: Login,
        /// Its name.
        name: FolderName,
    },
    /// Give a folder, and what lies in it, another name; INBOX's messages move and INBOX stays -> [`Told::Done`], [`Told::Refused`]
    Rename {
        /// Whose.
        mailbox: Login,
        /// Its name.
        from: FolderName,
        /// Its new name.
        to: FolderName,
    },
    /// Put a name on the list of subscriptions or take it off -> [`Told::Done`]
    Subscribe {
        /// Whose.
        mailbox: Login,
        /// Its name; the folder need not exist (RFC 9051 6.3.7).
        name: FolderName,
        /// On or off.
        on: bool,
    },
    /// Change flags -> [`Told::Stored`], [`Told::Refused`]
    Store {
        /// Which folder.
        folder: Arc<Snapshot>,
        /// Of which messages; one that is gone is passed over.
        uids: Vec<u32>,
        /// What to do with the flags.
        how: Change,
        /// The flags.
        flags: NamedFlags,
        /// Only messages that have not changed since (RFC 7162 3.1.3).
        unchanged_since: Option<u64>,
    },
    /// Take messages out -> [`Told::Done`], [`Told::Refused`]
    Expunge {
        /// Which folder.
        folder: Arc<Snapshot>,
        /// Which messages: of these, those that are marked deleted now.
        uids: Vec<u32>,
    },
    /// Put messages into a folder -> [`Told::Appended`], [`Told::Refused`]
    Append {
        /// Whose.
        mailbox: Login,
        /// Which folder.
        name: FolderName,
        /// The message as it came.
        content: Vec<u8>,
        /// Its flags.
        flags: NamedFlags,
        /// When it came in, in seconds since 1970-01-01T00:00:00Z; now where the client does not say.
        received_secs: Option<i64>,
        /// The most octets that the mailbox may hold.
        limit: u64,
    },
    /// Put copies of messages into a folder, with their flags and dates -> [`Told::Copied`], [`Told::Refused`]
    Copy {
        /// From which folder.
        folder: Arc<Snapshot>,
        /// Which messages; one that is gone is passed over.
        uids: Vec<u32>,
        /// Into which folder of the same mailbox.
        to: FolderName,
        /// Whether they leave the first folder (RFC 6851), in the same commit.
        remove: bool,
        /// The most octets that the mailbox may hold.
        limit: u64,
    },
    /// Tell when the folder changes: while the session waits for its client, [`crate::protocol::Input::Changed`] comes -> [`Told::Done`]
    Watch {
        /// Which folder; none ends the watch.
        folder: Option<FolderId>,
    },
}

/// What STORE does with flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// They become these.
    Replace,
    /// These are set.
    Add,
    /// These are taken off.
    Remove,
}

impl Change {
    /// The flags that `before` become.
    pub const fn apply(self, before: Flags, flags: Flags) -> Flags {
        match self {
            Self::Replace => flags,
            Self::Add => before.with(flags),
            Self::Remove => before.without(flags),
        }
    }
}

/// What became of an [`Ask`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// The folders, in the order of their names, INBOX first.
    Folders(Vec<Folder>),
    /// How a folder stands.
    Status(Standing),
    /// A folder's content.
    Selected {
        /// What it holds.
        snapshot: Arc<Snapshot>,
        /// From the first UID up to, but without, the second: recent messages that are this session's (all there are, where it
        /// did not claim them).
        recent: (u32, u32),
    },
    /// The messages.
    Messages(Vec<Vec<u8>>),
    /// Done, and committed.
    Done,
    /// Flags are changed.
    Stored {
        /// UIDs of messages that had changed in the meantime and were left alone (RFC 7162 3.1.3).
        modified: Vec<u32>,
    },
    /// The message is stored.
    Appended {
        /// The folder's UIDVALIDITY.
        uid_validity: u32,
        /// The message's UID.
        uid: u32,
    },
    /// The copies are stored.
    Copied {
        /// The UIDVALIDITY of the folder they are in.
        uid_validity: u32,
        /// UIDs of the messages and of their copies, pair by pair.
        uids: Vec<(u32, u32)>,
    },
    /// It may not be done.
    Refused(Refused),
}

/// A folder in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its name.
    pub name: FolderName,
    /// What it is for.
    pub special: Option<Special>,
    /// Whether its name is on the list of subscriptions.
    pub subscribed: bool,
    /// Whether there is such a folder; only its subscription otherwise.
    pub exists: bool,
    /// Whether it holds messages that no session has been told of (`\Marked`).
    pub marked: bool,
}

/// How a folder stands (RFC 9051 6.3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Messages.
    pub messages: u64,
    /// Messages that no session has been told of.
    pub recent: u64,
    /// Messages without `\Seen`.
    pub unseen: u64,
    /// Messages with `\Deleted`.
    pub deleted: u64,
    /// Their octets together.
    pub octets: u64,
    /// The next message's UID.
    pub next_uid: u32,
    /// The UIDVALIDITY.
    pub uid_validity: u32,
    /// The highest modification sequence.
    pub modseq: u64,
}

/// Why the store will not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is no such folder.
    NoFolder,
    /// There is one already.
    Exists,
    /// INBOX and the folders that every mailbox has cannot be removed.
    Inbox,
    /// Folders lie in it.
    HasChildren,
    /// The new name is too long for a folder that lies in it.
    TooLong,
    /// The mailbox has as many folders as it may.
    TooManyFolders,
    /// The folder has as many keywords as it may.
    TooManyKeywords,
    /// The mailbox is full.
    Full,
    /// A POP3 session has locked the maildrop: no message leaves it meanwhile (RFC 1939 3).
    Locked,
}
