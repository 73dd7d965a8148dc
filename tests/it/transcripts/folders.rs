//! The real store behind IMAP transcripts: what its sessions ask for is too much to play in memory, and worth playing for real.

use std::ops::ControlFlow;

use labctl::{
    evidence::{Conn, Event, EventKind, MessageId, Seq, Timestamp, Who},
    lab::Login,
    mail::{Envelope, folder::FolderId},
    protocol::{
        Now, Outcome,
        folders::{Ask, Told},
    },
    store::{Origin, Reader, Store},
};
use tokio::sync::watch;

/// A store in a folder of its own.
pub struct Folders {
    runtime: tokio::runtime::Runtime,
    store: Store,
    folder: tempfile::TempDir,
    seen: Seq,
    pub works: bool,
}

impl Folders {
    /// A store that holds these messages.
    pub fn new(mail: &[(Login, Vec<u8>)], now: Now) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("g1.db")).expect("a store");
        let mut folders = Self { runtime, store, folder, seen: Seq(0), works: true };
        for (mailbox, message) in mail {
            folders.deliver(mailbox, message.clone(), now);
        }
        folders.events();
        folders
    }

    /// Mail comes in.
    pub fn deliver(&mut self, mailbox: &Login, message: Vec<u8>, now: Now) {
        let envelope = Envelope { mailboxes: vec![mailbox.clone()], content: message, ..Envelope::default() };
        let delivered = self.store.deliver(origin(now), Vec::new(), envelope, None);
        self.runtime.block_on(delivered).expect("delivered");
    }

    /// Does what a session asks for, and tells what the store itself saw.
    pub fn perform(&mut self, ask: Ask, now: Now) -> (Outcome, Vec<EventKind>) {
        if !self.works {
            return (Outcome::Failed, Vec::new());
        }
        let told = self.runtime.block_on(self.store.folders(origin(now), &mut Vec::new(), ask));
        let told: Told = told.expect("a store that works");
        (Outcome::Folders(Box::new(told)), self.events())
    }

    /// Octets of a message.
    pub fn octets(&self, message: MessageId, from: u64, most: u64) -> Outcome {
        if self.works {
            Outcome::Octets(self.store.octets(message, from, most).expect("a store that works"))
        } else {
            Outcome::Failed
        }
    }

    /// A POP3 session takes the maildrop, or gives it back.
    pub fn lock(&self, mailbox: &Login) -> Option<labctl::store::MailboxLock> {
        self.store.try_lock(mailbox, &Who::Unknown).ok()
    }

    /// Tells of changes.
    pub fn watch(&self, folder: FolderId) -> watch::Receiver<u64> {
        self.store.watch_folder(folder)
    }

    /// What the store wrote down since it was last asked.
    fn events(&mut self) -> Vec<EventKind> {
        self.runtime.block_on(self.store.flush()).expect("flushed");
        let mut found = Vec::new();
        let mut each = |event: Event| {
            found.push(event.kind);
            ControlFlow::Continue(())
        };
        let reader = Reader::open(&self.folder.path().join("g1.db")).expect("a reader");
        self.seen = reader.events(self.seen, &mut each).expect("events");
        found
    }
}

fn origin(now: Now) -> Origin {
    Origin { conn: Conn(1), who: Who::Unknown, time: Timestamp(now.micros) }
}
