//! Open folders: who is told when one changes, and the snapshot that all sessions with the same folder open share.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use tokio::sync::watch;

use crate::mail::folder::{FolderId, Snapshot};

/// A folder of at most so many messages stays in memory for a while after its last session has left it: some 650 KiB.
const KEPT: usize = 16_384;

/// The folders that sessions have open.
#[derive(Debug, Clone, Default)]
pub(super) struct Hub(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    folders: HashMap<FolderId, Shared>,
    /// From which UID on messages are recent, for each folder that was looked at; the file may lag behind.
    recent: HashMap<FolderId, u32>,
    /// The one that was looked at last, until it changes: whoever comes back to it need not wait for the file.
    kept: Option<(FolderId, Arc<Snapshot>)>,
    /// Where the counts of the last folder that was taken in began. No two have a count in common: what was read before a folder
    /// was forgotten and taken in again does not pass for what holds now.
    counts: u64,
}

#[derive(Debug)]
struct Shared {
    /// Counts the changes.
    changes: watch::Sender<u64>,
    /// The last snapshot, and at which count it was taken.
    snapshot: (u64, Weak<Snapshot>),
}

impl Hub {
    /// These folders have changed, and that is committed.
    pub(super) fn changed(&self, folders: &BTreeSet<FolderId>) {
        let mut open = self.lock();
        if open.kept.as_ref().is_some_and(|(id, _)| folders.contains(id)) {
            open.kept = None;
        }
        for id in folders {
            let Some(shared) = open.folders.get(id) else { continue };
            if shared.snapshot.1.strong_count() == 0 && shared.changes.receiver_count() == 0 {
                open.folders.remove(id);
            } else {
                shared.changes.send_modify(|count| *count += 1);
            }
        }
    }

    /// Tells of changes from now on.
    pub(super) fn watch(&self, id: FolderId) -> watch::Receiver<u64> {
        self.lock().shared(id).changes.subscribe()
    }

    /// The snapshot that holds now, taken with `read` where nobody has it.
    pub(super) fn snapshot<E>(
        &self,
        id: FolderId,
        read: impl FnOnce() -> Result<Snapshot, E>,
    ) -> Result<Arc<Snapshot>, E> {
        let count = {
            let mut open = self.lock();
            let shared = open.shared(id);
            let count = *shared.changes.borrow();
            match shared.snapshot.1.upgrade() {
                Some(snapshot) if shared.snapshot.0 == count => {
                    open.keep(&snapshot);
                    return Ok(snapshot);
                }
                _ => count,
            }
        };
        // Read without the lock: what changes meanwhile makes the count differ, and the next one reads again.
        let snapshot = Arc::new(read()?);
        let mut open = self.lock();
        let shared = open.shared(id);
        shared.snapshot = (count, Arc::downgrade(&snapshot));
        if *shared.changes.borrow() == count {
            open.keep(&snapshot);
        }
        Ok(snapshot)
    }

    /// From which UID on messages are recent, `in_file` being what the file says. From then on it is known here.
    pub(super) fn recent(&self, id: FolderId, in_file: u32) -> u32 {
        let mut open = self.lock();
        let recent = open.recent.entry(id).or_insert(in_file);
        *recent = in_file.max(*recent);
        *recent
    }

    /// Messages below `next_uid` are somebody's now; from which UID on they were nobody's before.
    pub(super) fn claim(&self, id: FolderId, next_uid: u32) -> u32 {
        let mut open = self.lock();
        let recent = open.recent.entry(id).or_insert(next_uid);
        std::mem::replace(recent, next_uid.max(*recent))
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn keep(&mut self, snapshot: &Arc<Snapshot>) {
        self.kept = (snapshot.rows.len() <= KEPT).then(|| (snapshot.id, Arc::clone(snapshot)));
    }

    fn shared(&mut self, id: FolderId) -> &mut Shared {
        let counts = &mut self.counts;
        self.folders.entry(id).or_insert_with(|| {
            *counts += 1 << 32;
            Shared { changes: watch::Sender::new(*counts), snapshot: (0, Weak::new()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evidence::MessageId,
        mail::folder::{Flags, FolderName, Row},
    };

    fn folder(id: u64, messages: usize) -> Snapshot {
        let row =
            Row { uid: 1, octets: 1, message: MessageId(1), flags: Flags::default(), modseq: 1, received_secs: 0 };
        Snapshot {
            id: FolderId(id),
            mailbox: "ana".parse().unwrap(),
            name: FolderName::inbox(),
            uid_validity: 1,
            next_uid: 2,
            modseq: 1,
            keywords: Vec::new(),
            rows: vec![row; messages],
        }
    }

    /// Whether opening a folder reads it, nobody having it open.
    fn is_read(hub: &Hub, id: u64, messages: usize) -> bool {
        let mut read = false;
        let opened = hub.snapshot(FolderId(id), || {
            read = true;
            Ok::<_, ()>(folder(id, messages))
        });
        drop(opened);
        read
    }

    #[test]
    fn the_folder_that_was_open_last_is_read_again_only_when_it_has_changed() {
        let hub = Hub::default();
        assert!(is_read(&hub, 1, KEPT) && !is_read(&hub, 1, KEPT));
        hub.changed(&[FolderId(1)].into());
        assert!(is_read(&hub, 1, KEPT) && !is_read(&hub, 1, KEPT));
        assert!(is_read(&hub, 2, KEPT + 1) && is_read(&hub, 2, KEPT + 1), "a larger one is not kept");
        assert!(is_read(&hub, 1, 1), "nor more than one");
    }

    #[test]
    fn what_changed_while_it_was_read_is_read_again() {
        let hub = Hub::default();
        let opened = hub.snapshot(FolderId(1), || {
            hub.changed(&[FolderId(1)].into());
            Ok::<_, ()>(folder(1, 1))
        });
        assert!(is_read(&hub, 1, 2), "also where somebody still has the first one");
        drop(opened);
    }
}
