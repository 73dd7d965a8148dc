//! The folders as the writer knows them: by number and by name, with their next numbers. Read from the file at the start, and
//! again after a commit that failed; written back once a batch.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use rusqlite::{Connection, params};

use super::{code, state::parsed};
use crate::{
    evidence::Timestamp,
    lab::Login,
    mail::folder::{Flags, FolderId, FolderName, INBOX, MAX_KEYWORDS, NamedFlags},
};

/// A folder's numbers.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) mailbox: Login,
    pub(super) name: FolderName,
    pub(super) uid_validity: u32,
    pub(super) next_uid: u32,
    pub(super) modseq: u64,
    pub(super) keywords: Vec<Arc<str>>,
}

/// All folders of a store.
#[derive(Debug, Default)]
pub(super) struct Folders {
    all: HashMap<FolderId, Folder>,
    names: HashMap<Login, BTreeMap<FolderName, FolderId>>,
    last: FolderId,
    last_validity: u32,
    /// Folders whose numbers are not in the file yet.
    grown: BTreeSet<FolderId>,
    /// Folders that the batch changed in any way.
    touched: BTreeSet<FolderId>,
}

impl Folders {
    /// Reads them from the file.
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut folders = Self::default();
        let mut statement =
            connection.prepare("SELECT id, mailbox, name, uid_validity, next_uid, modseq, keywords FROM folder")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let folder = Folder {
                mailbox: parsed(row, 1, code::login)?,
                name: parsed(row, 2, code::folder)?,
                uid_validity: row.get(3)?,
                next_uid: row.get(4)?,
                modseq: row.get(5)?,
                keywords: keywords(row.get_ref(6)?.as_str()?),
            };
            folders.take(FolderId(row.get(0)?), folder);
        }
        let sql = "SELECT coalesce(max(value), 0) FROM meta WHERE key = 'uid_validity'";
        let noted: u32 = connection.query_row(sql, [], |row| row.get(0))?;
        folders.last_validity = folders.last_validity.max(noted);
        Ok(folders)
    }

    fn take(&mut self, id: FolderId, folder: Folder) {
        self.last = self.last.max(id);
        self.last_validity = self.last_validity.max(folder.uid_validity);
        self.names.entry(folder.mailbox.clone()).or_default().insert(folder.name.clone(), id);
        self.all.insert(id, folder);
    }

    /// The folder of this number.
    pub(super) fn of(&self, id: FolderId) -> Option<&Folder> {
        self.all.get(&id)
    }

    /// The folder of this name.
    pub(super) fn named(&self, mailbox: &Login, name: &str) -> Option<FolderId> {
        self.names.get(mailbox)?.get(name).copied()
    }

    /// The folders of a mailbox.
    pub(super) fn of_mailbox(&self, mailbox: &Login) -> impl Iterator<Item = (&FolderName, FolderId)> {
        self.names.get(mailbox).into_iter().flatten().map(|(name, id)| (name, *id))
    }

    /// The mailbox's INBOX, made where it is missing.
    pub(super) fn inbox(
        &mut self,
        connection: &Connection,
        mailbox: &Login,
        now: Timestamp,
    ) -> rusqlite::Result<FolderId> {
        match self.named(mailbox, INBOX) {
            Some(id) => Ok(id),
            None => self.create(connection, mailbox, FolderName::inbox(), now),
        }
    }

    /// Makes a folder. Its UIDVALIDITY is the time, or more where that would not be new (RFC 9051 2.3.1.1).
    pub(super) fn create(
        &mut self,
        connection: &Connection,
        mailbox: &Login,
        name: FolderName,
        now: Timestamp,
    ) -> rusqlite::Result<FolderId> {
        let id = FolderId(self.last.0 + 1);
        let secs = u32::try_from(now.0 / 1_000_000).unwrap_or(1);
        let uid_validity = secs.max(self.last_validity.saturating_add(1)).max(1);
        let sql = "INSERT INTO folder (id, mailbox, name, uid_validity, next_uid, modseq, recent_uid, keywords) \
                   VALUES (?, ?, ?, ?, 1, 1, 1, '')";
        connection.prepare_cached(sql)?.execute(params![id.0, mailbox.as_str(), name.as_str(), uid_validity])?;
        let sql = "INSERT INTO meta (key, value) VALUES ('uid_validity', ?) \
                   ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        connection.prepare_cached(sql)?.execute([uid_validity])?;
        let folder =
            Folder { mailbox: mailbox.clone(), name, uid_validity, next_uid: 1, modseq: 1, keywords: Vec::new() };
        self.take(id, folder);
        self.touched.insert(id);
        Ok(id)
    }

    /// Forgets a folder that is gone.
    pub(super) fn remove(&mut self, id: FolderId) {
        if let Some(folder) = self.all.remove(&id)
            && let Some(names) = self.names.get_mut(&folder.mailbox)
        {
            names.remove(&folder.name);
        }
        self.grown.remove(&id);
        self.touched.insert(id);
    }

    /// Gives a folder another name.
    pub(super) fn rename(&mut self, id: FolderId, name: FolderName) {
        let Some(folder) = self.all.get_mut(&id) else { return };
        let before = std::mem::replace(&mut folder.name, name.clone());
        if let Some(names) = self.names.get_mut(&folder.mailbox) {
            names.remove(&before);
            names.insert(name, id);
        }
        self.touched.insert(id);
    }

    /// The next UID and modification sequence of a folder.
    pub(super) fn next(&mut self, id: FolderId) -> (u32, u64) {
        let modseq = self.next_modseq(id);
        let Some(folder) = self.all.get_mut(&id) else { return (1, modseq) };
        let uid = folder.next_uid;
        folder.next_uid = uid.saturating_add(1);
        (uid, modseq)
    }

    /// The next modification sequence of a folder.
    pub(super) fn next_modseq(&mut self, id: FolderId) -> u64 {
        self.grown.insert(id);
        self.touched.insert(id);
        let Some(folder) = self.all.get_mut(&id) else { return 1 };
        folder.modseq += 1;
        folder.modseq
    }

    /// How many of these keywords the folder does not have yet, together with those it has, against what it may have.
    pub(super) fn has_room_for(&self, id: FolderId, flags: &NamedFlags) -> bool {
        let Some(folder) = self.all.get(&id) else { return false };
        let new = flags.keywords.iter().filter(|name| place(&folder.keywords, name).is_none()).count();
        folder.keywords.len() + new <= MAX_KEYWORDS
    }

    /// Flags as bits; keywords that the folder does not have are added to it, where there is room.
    pub(super) fn bits(&mut self, id: FolderId, flags: &NamedFlags, add: bool) -> Flags {
        let mut bits = flags.system;
        let Some(folder) = self.all.get_mut(&id) else { return bits };
        for name in &flags.keywords {
            let found = place(&folder.keywords, name).or_else(|| {
                (add && folder.keywords.len() < MAX_KEYWORDS).then(|| {
                    folder.keywords.push(Arc::clone(name));
                    self.grown.insert(id);
                    folder.keywords.len() - 1
                })
            });
            bits = found.map_or(bits, |place| bits.with(Flags::keyword(place)));
        }
        bits
    }

    /// A folder's content changed without its numbers.
    pub(super) fn touch(&mut self, id: FolderId) {
        self.touched.insert(id);
    }

    /// Writes the numbers that grew.
    pub(super) fn write(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for id in std::mem::take(&mut self.grown) {
            let Some(folder) = self.all.get(&id) else { continue };
            let sql = "UPDATE folder SET next_uid = ?, modseq = ?, keywords = ? WHERE id = ?";
            let keywords = folder.keywords.join(" ");
            connection.prepare_cached(sql)?.execute(params![folder.next_uid, folder.modseq, keywords, id.0])?;
        }
        Ok(())
    }

    /// The folders that changed since this was last asked.
    pub(super) fn changed(&mut self) -> BTreeSet<FolderId> {
        std::mem::take(&mut self.touched)
    }
}

fn place(keywords: &[Arc<str>], name: &str) -> Option<usize> {
    keywords.iter().position(|known| known.eq_ignore_ascii_case(name))
}

/// Keywords as the file has them.
pub(super) fn keywords(text: &str) -> Vec<Arc<str>> {
    text.split_ascii_whitespace().map(Arc::from).collect()
}
