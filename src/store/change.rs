//! Changes of folders as rows: what an IMAP session asks for, with the events that the store itself sees. Whatever may not be
//! done is found before anything is written, because the whole batch shares one transaction.

use rusqlite::params;

use super::{
    Origin,
    batch::{Batch, Put},
    folders::Folder,
    state::Holding,
};
use crate::{
    evidence::{Copied, EventKind, FlagChange, FolderChange, MessageId, Timestamp, Uid},
    lab::Login,
    mail::{
        folder::{DELIMITER, Flags, FolderId, FolderName, MAX_FOLDERS, NamedFlags, Special},
        sha256,
    },
    protocol::{
        folders::{Ask, Change, Refused, Told},
        imap::written,
    },
};

/// What an entry holds besides its UID.
struct Entry {
    message: MessageId,
    octets: u64,
    flags: Flags,
    modseq: u64,
    received_secs: i64,
}

/// Octets that a change takes room for in the queue.
pub(super) const fn octets(ask: &Ask) -> usize {
    match ask {
        Ask::Append { content, .. } => content.len(),
        Ask::Store { uids, .. } | Ask::Expunge { uids, .. } | Ask::Copy { uids, .. } => uids.len() * 16,
        Ask::List { .. }
        | Ask::Status { .. }
        | Ask::Select { .. }
        | Ask::Sync { .. }
        | Ask::Read { .. }
        | Ask::Create { .. }
        | Ask::Delete { .. }
        | Ask::Rename { .. }
        | Ask::Subscribe { .. }
        | Ask::Watch { .. } => 0,
    }
}

impl Batch<'_> {
    /// Does it, or says why not.
    pub(super) fn change(&mut self, origin: &Origin, run: u32, ask: &Ask) -> rusqlite::Result<Told> {
        let (told, events) = match ask {
            Ask::Create { mailbox, name } => self.create_folder(mailbox, name, origin.time)?,
            Ask::Delete { mailbox, name } => self.delete_folder(mailbox, name)?,
            Ask::Rename { mailbox, from, to } => self.rename_folder(mailbox, from, to, origin.time)?,
            Ask::Subscribe { mailbox, name, on } => self.subscribe(mailbox, name, *on)?,
            Ask::Store { folder, uids, how, flags, unchanged_since } => {
                self.store_flags(folder.id, uids, *how, flags, *unchanged_since)?
            }
            Ask::Expunge { folder, uids } => self.expunge_folder(folder.id, uids)?,
            Ask::Append { mailbox, name, content, flags, received_secs, limit } => {
                let received_secs = received_secs.unwrap_or(origin.time.0 / 1_000_000);
                let Some(id) = self.state.folders.named(mailbox, name.as_str()) else {
                    return Ok(Told::Refused(Refused::NoFolder));
                };
                self.append(origin, id, content, flags, received_secs, *limit)?
            }
            Ask::Copy { folder, uids, to, remove, limit } => self.copy(folder.id, uids, to, *remove, *limit)?,
            // These change nothing and never come here.
            Ask::List { .. }
            | Ask::Status { .. }
            | Ask::Select { .. }
            | Ask::Sync { .. }
            | Ask::Read { .. }
            | Ask::Watch { .. } => (Told::Done, Vec::new()),
        };
        for event in &events {
            self.write(origin.time, origin.conn, run, &origin.who, event)?;
        }
        Ok(told)
    }

    /// Makes the folders that every mailbox has, and subscribes to them.
    pub(super) fn furnish(&mut self, mailbox: &Login, now: Timestamp) -> rusqlite::Result<()> {
        self.state.folders.inbox(self.connection, mailbox, now)?;
        let special = Special::ALL.map(|special| special.name().parse().expect("a name of ours"));
        for name in [FolderName::inbox()].into_iter().chain(special) {
            if self.state.folders.named(mailbox, name.as_str()).is_none() {
                self.state.folders.create(self.connection, mailbox, name.clone(), now)?;
            }
            self.set_subscribed(mailbox, &name, true)?;
        }
        Ok(())
    }

    fn create_folder(
        &mut self,
        mailbox: &Login,
        name: &FolderName,
        now: Timestamp,
    ) -> rusqlite::Result<(Told, Vec<EventKind>)> {
        let folders = &self.state.folders;
        if folders.named(mailbox, name.as_str()).is_some() {
            return Ok(refused(Refused::Exists));
        }
        // The folders it lies in are made as well (RFC 9051 6.3.4).
        let missing = |name: &FolderName| folders.named(mailbox, name.as_str()).is_none();
        let new: Vec<FolderName> = name.parents().chain([name.clone()]).filter(missing).collect();
        if folders.of_mailbox(mailbox).count() + new.len() > MAX_FOLDERS {
            return Ok(refused(Refused::TooManyFolders));
        }
        let mut events = Vec::new();
        for folder in new {
            self.state.folders.create(self.connection, mailbox, folder.clone(), now)?;
            events.push(EventKind::Folder { mailbox: mailbox.clone(), folder, change: FolderChange::Created });
        }
        Ok((Told::Done, events))
    }

    fn delete_folder(&mut self, mailbox: &Login, name: &FolderName) -> rusqlite::Result<(Told, Vec<EventKind>)> {
        let Some(id) = self.state.folders.named(mailbox, name.as_str()) else { return Ok(refused(Refused::NoFolder)) };
        if belongs_to_all(name) {
            return Ok(refused(Refused::Inbox));
        }
        if self.state.folders.of_mailbox(mailbox).any(|(other, _)| other.is_below(name)) {
            return Ok(refused(Refused::HasChildren));
        }
        for uid in self.uids(id)? {
            if let Some(entry) = self.entry(id, uid)? {
                self.remove(id, Uid(u64::from(uid)), entry.octets)?;
            }
        }
        self.connection.prepare_cached("DELETE FROM folder WHERE id = ?")?.execute([id.0])?;
        self.state.folders.remove(id);
        let event = EventKind::Folder { mailbox: mailbox.clone(), folder: name.clone(), change: FolderChange::Removed };
        Ok((Told::Done, vec![event]))
    }

    fn rename_folder(
        &mut self,
        mailbox: &Login,
        from: &FolderName,
        to: &FolderName,
        now: Timestamp,
    ) -> rusqlite::Result<(Told, Vec<EventKind>)> {
        let folders = &self.state.folders;
        let Some(id) = folders.named(mailbox, from.as_str()) else { return Ok(refused(Refused::NoFolder)) };
        if folders.named(mailbox, to.as_str()).is_some() || to.is_below(from) {
            return Ok(refused(Refused::Exists));
        }
        if belongs_to_all(from) && !from.is_inbox() {
            return Ok(refused(Refused::Inbox));
        }
        let parents =
            to.parents().filter(|parent| folders.named(mailbox, parent.as_str()).is_none()).collect::<Vec<_>>();
        if folders.of_mailbox(mailbox).count() + parents.len() + usize::from(from.is_inbox()) > MAX_FOLDERS {
            return Ok(refused(Refused::TooManyFolders));
        }
        let mut moved: Vec<(FolderId, FolderName)> = Vec::new();
        if !from.is_inbox() {
            for (name, child) in folders.of_mailbox(mailbox).filter(|(name, _)| name.is_below(from)) {
                let Some(name) = name.moved(from, to) else { return Ok(refused(Refused::TooLong)) };
                moved.push((child, name));
            }
        }
        let change = FolderChange::Renamed(to.clone());
        let mut events = vec![EventKind::Folder { mailbox: mailbox.clone(), folder: from.clone(), change }];
        for parent in parents {
            self.state.folders.create(self.connection, mailbox, parent, now)?;
        }
        if from.is_inbox() {
            // INBOX stays, and its messages go (RFC 9051 6.3.6).
            let target = self.state.folders.create(self.connection, mailbox, to.clone(), now)?;
            let uids = self.uids(id)?;
            let copies = self.copy_entries(id, target, &uids, true)?;
            let (from, to, mailbox) = (from.clone(), to.clone(), mailbox.clone());
            events.push(EventKind::Copied { mailbox, from, to, copies, moved: true });
            return Ok((Told::Done, events));
        }
        moved.push((id, to.clone()));
        for (id, name) in moved {
            self.connection
                .prepare_cached("UPDATE folder SET name = ? WHERE id = ?")?
                .execute(params![name.as_str(), id.0])?;
            self.state.folders.rename(id, name);
        }
        Ok((Told::Done, events))
    }

    fn subscribe(&mut self, mailbox: &Login, name: &FolderName, on: bool) -> rusqlite::Result<(Told, Vec<EventKind>)> {
        // A name that is on the list already takes no more room.
        let sql = "SELECT count(*) FROM subscription WHERE mailbox = ? AND name <> ?";
        let names = [mailbox.as_str(), name.as_str()];
        let held: usize = self.connection.prepare_cached(sql)?.query_row(names, |row| row.get(0))?;
        if on && held >= MAX_FOLDERS {
            return Ok(refused(Refused::TooManyFolders));
        }
        self.set_subscribed(mailbox, name, on)?;
        let change = if on { FolderChange::Subscribed } else { FolderChange::Unsubscribed };
        Ok((Told::Done, vec![EventKind::Folder { mailbox: mailbox.clone(), folder: name.clone(), change }]))
    }

    fn set_subscribed(&self, mailbox: &Login, name: &FolderName, on: bool) -> rusqlite::Result<()> {
        let sql = if on {
            "INSERT INTO subscription (mailbox, name) VALUES (?, ?) ON CONFLICT DO NOTHING"
        } else {
            "DELETE FROM subscription WHERE mailbox = ? AND name = ?"
        };
        self.connection.prepare_cached(sql)?.execute([mailbox.as_str(), name.as_str()]).map(drop)
    }

    fn store_flags(
        &mut self,
        id: FolderId,
        uids: &[u32],
        how: Change,
        flags: &NamedFlags,
        unchanged_since: Option<u64>,
    ) -> rusqlite::Result<(Told, Vec<EventKind>)> {
        if how != Change::Remove && !self.state.folders.has_room_for(id, flags) {
            return Ok(refused(if self.state.folders.of(id).is_some() {
                Refused::TooManyKeywords
            } else {
                Refused::NoFolder
            }));
        }
        let bits = self.state.folders.bits(id, flags, how != Change::Remove);
        let (mut modified, mut changed, mut stored) = (Vec::new(), Vec::new(), Vec::new());
        for uid in uids {
            let Some(entry) = self.entry(id, *uid)? else { continue };
            if unchanged_since.is_some_and(|since| entry.modseq > since) {
                modified.push(*uid);
                continue;
            }
            stored.push(*uid);
            let after = how.apply(entry.flags, bits);
            if after != entry.flags {
                changed.push((*uid, after));
            }
        }
        if !changed.is_empty() {
            // One command, one modification sequence (RFC 7162 3.1).
            let modseq = self.state.folders.next_modseq(id);
            let mut update = self
                .connection
                .prepare_cached("UPDATE entry SET flags = ?, modseq = ? WHERE folder = ? AND uid = ?")?;
            for (uid, after) in changed {
                update.execute(params![after.0, modseq, id.0, uid])?;
            }
        }
        let mut events = Vec::new();
        if let Some(Folder { mailbox, name, .. }) = self.state.folders.of(id)
            && !stored.is_empty()
        {
            let change = match how {
                Change::Replace => FlagChange::Replaced,
                Change::Add => FlagChange::Added,
                Change::Remove => FlagChange::Removed,
            };
            let (mailbox, folder, flags) = (mailbox.clone(), name.clone(), flags.text());
            events.push(EventKind::Flagged { mailbox, folder, uids: written(stored), change, flags });
        }
        Ok((Told::Stored { modified }, events))
    }

    fn expunge_folder(&mut self, id: FolderId, uids: &[u32]) -> rusqlite::Result<(Told, Vec<EventKind>)> {
        let Some(Folder { mailbox, name, .. }) = self.state.folders.of(id).cloned() else {
            return Ok((Told::Done, Vec::new()));
        };
        let mut events = Vec::new();
        for uid in uids {
            let Some(entry) = self.entry(id, *uid)?.filter(|entry| entry.flags.has(Flags::DELETED)) else { continue };
            let uid = Uid(u64::from(*uid));
            self.remove(id, uid, entry.octets)?;
            let (mailbox, folder) = (mailbox.clone(), name.clone());
            events.push(EventKind::Deleted { message: entry.message, mailbox, uid, folder });
        }
        if !events.is_empty() {
            self.state.folders.next_modseq(id);
        }
        Ok((Told::Done, events))
    }

    fn append(
        &mut self,
        origin: &Origin,
        id: FolderId,
        content: &[u8],
        flags: &NamedFlags,
        received_secs: i64,
        limit: u64,
    ) -> rusqlite::Result<(Told, Vec<EventKind>)> {
        let Some(Folder { mailbox, name, uid_validity, .. }) = self.state.folders.of(id).cloned() else {
            return Ok(refused(Refused::NoFolder));
        };
        let octets = content.len() as u64;
        if !self.has_room(&mailbox, octets, limit) {
            return Ok(refused(Refused::Full));
        }
        if !self.state.folders.has_room_for(id, flags) {
            return Ok(refused(Refused::TooManyKeywords));
        }
        self.state.message += 1;
        let message = MessageId(self.state.message);
        let student = origin.who.student().map(Login::as_str);
        self.message.execute(params![message.0, student, b"".as_slice(), content])?;
        let bits = self.state.folders.bits(id, flags, true);
        let uid = self.put(id, Put { message, octets, flags: bits, received_secs })?;
        let event = EventKind::Appended {
            message,
            mailbox,
            folder: name,
            uid: Uid(u64::from(uid)),
            flags: flags.text(),
            octets,
            sha256: sha256(content),
        };
        Ok((Told::Appended { uid_validity, uid }, vec![event]))
    }

    fn copy(
        &mut self,
        id: FolderId,
        uids: &[u32],
        to: &FolderName,
        remove: bool,
        limit: u64,
    ) -> rusqlite::Result<(Told, Vec<EventKind>)> {
        let Some(Folder { mailbox, name, keywords, .. }) = self.state.folders.of(id).cloned() else {
            return Ok(refused(Refused::NoFolder));
        };
        let target = self.state.folders.named(&mailbox, to.as_str());
        let Some((target, folder)) = target.and_then(|id| Some((id, self.state.folders.of(id)?.clone()))) else {
            return Ok(refused(Refused::NoFolder));
        };
        let mut octets = 0;
        let mut flags = NamedFlags::default();
        for uid in uids {
            if let Some(entry) = self.entry(id, *uid)? {
                octets += entry.octets;
                entry.flags.without(Flags(0xff)).names(&keywords).for_each(|keyword| flags.add_keyword(keyword));
            }
        }
        if !remove && !self.has_room(&mailbox, octets, limit) {
            return Ok(refused(Refused::Full));
        }
        if !self.state.folders.has_room_for(target, &flags) {
            return Ok(refused(Refused::TooManyKeywords));
        }
        let copies = self.copy_entries(id, target, uids, remove)?;
        let pairs = copies.iter().map(|copy| (short(copy.uid), short(copy.copy))).collect();
        let told = Told::Copied { uid_validity: folder.uid_validity, uids: pairs };
        if copies.is_empty() {
            return Ok((told, Vec::new()));
        }
        let event = EventKind::Copied { mailbox, from: name, to: to.clone(), copies, moved: remove };
        Ok((told, vec![event]))
    }

    /// Puts entries into another folder, with their flags and dates.
    fn copy_entries(
        &mut self,
        from: FolderId,
        to: FolderId,
        uids: &[u32],
        remove: bool,
    ) -> rusqlite::Result<Vec<Copied>> {
        let keywords = self.state.folders.of(from).map(|folder| folder.keywords.clone()).unwrap_or_default();
        let mut copies = Vec::new();
        for uid in uids {
            let Some(entry) = self.entry(from, *uid)? else { continue };
            let mut flags = NamedFlags { system: Flags(entry.flags.0 & 0xff), keywords: Vec::new() };
            entry.flags.without(Flags(0xff)).names(&keywords).for_each(|keyword| flags.add_keyword(keyword));
            let flags = self.state.folders.bits(to, &flags, true);
            let Entry { message, octets, received_secs, .. } = entry;
            let copy = self.put(to, Put { message, octets, flags, received_secs })?;
            let uid = Uid(u64::from(*uid));
            copies.push(Copied { message, uid, copy: Uid(u64::from(copy)) });
            if remove {
                self.remove(from, uid, octets)?;
            }
        }
        if remove && !copies.is_empty() {
            self.state.folders.next_modseq(from);
        }
        Ok(copies)
    }

    fn has_room(&self, mailbox: &Login, octets: u64, limit: u64) -> bool {
        let held = self.holdings.lock().get(mailbox).map_or(0, Holding::all_octets);
        held.saturating_add(octets) <= limit
    }

    fn entry(&self, folder: FolderId, uid: u32) -> rusqlite::Result<Option<Entry>> {
        let sql = "SELECT message, octets, flags, modseq, received FROM entry WHERE folder = ? AND uid = ?";
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![folder.0, uid])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some(Entry {
            message: MessageId(row.get(0)?),
            octets: row.get(1)?,
            flags: Flags(row.get(2)?),
            modseq: row.get(3)?,
            received_secs: row.get(4)?,
        }))
    }

    fn uids(&self, folder: FolderId) -> rusqlite::Result<Vec<u32>> {
        let mut statement = self.connection.prepare_cached("SELECT uid FROM entry WHERE folder = ? ORDER BY uid")?;
        statement.query_map([folder.0], |row| row.get(0))?.collect()
    }
}

const fn refused(why: Refused) -> (Told, Vec<EventKind>) {
    (Told::Refused(why), Vec::new())
}

/// INBOX and the folders for a purpose; a name below one of them is nobody's but the owner's.
fn belongs_to_all(name: &FolderName) -> bool {
    name.is_inbox() || !name.as_str().contains(DELIMITER) && Special::named(name.as_str()).is_some()
}

fn short(uid: Uid) -> u32 {
    u32::try_from(uid.0).unwrap_or(u32::MAX)
}
