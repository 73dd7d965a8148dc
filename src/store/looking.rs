//! Folders as sessions read them, on the reading connection: lists, standings, snapshots, messages.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Store, StoreError, code, folders::keywords, state::parsed};
use crate::{
    lab::Login,
    mail::folder::{Flags, FolderId, FolderName, Row, Snapshot, Special},
    protocol::folders::{Folder, Refused, Standing, Told},
};

/// A folder's row.
struct Found {
    id: FolderId,
    uid_validity: u32,
    next_uid: u32,
    modseq: u64,
    recent_uid: u32,
    keywords: Vec<Arc<str>>,
}

impl Store {
    /// The folders of a mailbox.
    pub(super) fn folder_list(&self, mailbox: &Login) -> Result<Told, StoreError> {
        let hub = &self.0.hub;
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT name, id, recent_uid, next_uid, \
                        EXISTS (SELECT 1 FROM subscription WHERE subscription.mailbox = ?1 AND subscription.name = folder.name) \
                 FROM folder WHERE mailbox = ?1 \
                 UNION ALL \
                 SELECT name, NULL, 0, 0, 1 FROM subscription \
                 WHERE mailbox = ?1 AND name NOT IN (SELECT name FROM folder WHERE folder.mailbox = ?1)",
            )?;
            let rows = statement.query_map([mailbox.as_str()], |row| {
                let name: FolderName = parsed(row, 0, code::folder)?;
                let id: Option<u64> = row.get(1)?;
                let recent = id.map_or(Ok(0), |id| row.get(2).map(|recent| hub.recent(FolderId(id), recent)))?;
                Ok(Folder {
                    special: Special::named(name.as_str()).filter(|_| id.is_some()),
                    name,
                    subscribed: row.get(4)?,
                    exists: id.is_some(),
                    marked: id.is_some() && recent < row.get::<_, u32>(3)?,
                })
            })?;
            let mut all = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            all.sort_by_key(|folder| (!folder.name.is_inbox(), folder.name.clone()));
            Ok(Told::Folders(all))
        })
    }

    /// How a folder stands.
    pub(super) fn folder_status(&self, mailbox: &Login, name: &FolderName) -> Result<Told, StoreError> {
        let hub = &self.0.hub;
        self.read(|connection| {
            let Some(found) = find(connection, mailbox, name)? else { return Ok(Told::Refused(Refused::NoFolder)) };
            let recent = hub.recent(found.id, found.recent_uid);
            let mut statement = connection.prepare_cached(
                "SELECT count(*), coalesce(sum(octets), 0), count(*) FILTER (WHERE flags & 8 = 0), \
                        count(*) FILTER (WHERE flags & 4 <> 0), count(*) FILTER (WHERE uid >= ?2) \
                 FROM entry WHERE folder = ?1",
            )?;
            let standing = statement.query_row(params![found.id.0, recent], |row| {
                Ok(Standing {
                    messages: row.get(0)?,
                    octets: row.get(1)?,
                    unseen: row.get(2)?,
                    deleted: row.get(3)?,
                    recent: row.get(4)?,
                    next_uid: found.next_uid,
                    uid_validity: found.uid_validity,
                    modseq: found.modseq,
                })
            })?;
            Ok(Told::Status(standing))
        })
    }

    /// Opens a folder.
    pub(super) fn folder_select(&self, mailbox: &Login, name: &FolderName, claim: bool) -> Result<Told, StoreError> {
        let id = self.read(|connection| find(connection, mailbox, name).map(|found| found.map(|found| found.id)))?;
        let Some(id) = id else { return Ok(Told::Refused(Refused::NoFolder)) };
        Ok(self.with_recent(self.folder_snapshot(id, None)?, claim))
    }

    /// What an open folder holds now.
    pub(super) fn folder_sync(&self, known: &Arc<Snapshot>, claim: bool) -> Result<Told, StoreError> {
        Ok(self.with_recent(self.folder_snapshot(known.id, Some(known))?, claim))
    }

    fn folder_snapshot(&self, id: FolderId, known: Option<&Arc<Snapshot>>) -> Result<Arc<Snapshot>, StoreError> {
        self.0.hub.snapshot(id, || {
            self.read(|connection| {
                // One moment for the folder and its messages.
                let transaction = connection.unchecked_transaction()?;
                let found = by_id(&transaction, id)?;
                let snapshot = match (found, known) {
                    (Some((mailbox, name, found)), _) => {
                        self.0.hub.recent(id, found.recent_uid);
                        snapshot(&transaction, mailbox, name, found)?
                    }
                    // A folder that is gone holds nothing.
                    (None, Some(known)) => Snapshot {
                        rows: Vec::new(),
                        keywords: known.keywords.clone(),
                        mailbox: known.mailbox.clone(),
                        name: known.name.clone(),
                        ..**known
                    },
                    (None, None) => return Err(rusqlite::Error::QueryReturnedNoRows),
                };
                Ok(snapshot)
            })
        })
    }

    fn with_recent(&self, snapshot: Arc<Snapshot>, claim: bool) -> Told {
        let (id, next_uid) = (snapshot.id, snapshot.next_uid);
        if !claim {
            return Told::Selected { recent: (self.0.hub.recent(id, 0), next_uid), snapshot };
        }
        let before = self.0.hub.claim(id, next_uid);
        if before < next_uid {
            self.note_recent(id, next_uid);
        }
        Told::Selected { recent: (before, next_uid), snapshot }
    }
}

fn find(connection: &Connection, mailbox: &Login, name: &FolderName) -> rusqlite::Result<Option<Found>> {
    let sql =
        "SELECT id, uid_validity, next_uid, modseq, recent_uid, keywords FROM folder WHERE mailbox = ? AND name = ?";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row([mailbox.as_str(), name.as_str()], found).optional()
}

fn by_id(connection: &Connection, id: FolderId) -> rusqlite::Result<Option<(Login, FolderName, Found)>> {
    let sql = "SELECT id, uid_validity, next_uid, modseq, recent_uid, keywords, mailbox, name FROM folder WHERE id = ?";
    let mut statement = connection.prepare_cached(sql)?;
    let read = |row: &rusqlite::Row<'_>| Ok((parsed(row, 6, code::login)?, parsed(row, 7, code::folder)?, found(row)?));
    statement.query_row([id.0], read).optional()
}

fn found(row: &rusqlite::Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        id: FolderId(row.get(0)?),
        uid_validity: row.get(1)?,
        next_uid: row.get(2)?,
        modseq: row.get(3)?,
        recent_uid: row.get(4)?,
        keywords: keywords(row.get_ref(5)?.as_str()?),
    })
}

fn snapshot(connection: &Connection, mailbox: Login, name: FolderName, found: Found) -> rusqlite::Result<Snapshot> {
    let sql = "SELECT uid, octets, message, flags, modseq, received FROM entry WHERE folder = ? ORDER BY uid";
    let mut statement = connection.prepare_cached(sql)?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Row {
            uid: row.get(0)?,
            octets: row.get(1)?,
            message: crate::evidence::MessageId(row.get(2)?),
            flags: Flags(row.get(3)?),
            modseq: row.get(4)?,
            received_secs: row.get(5)?,
        })
    };
    let rows = statement.query_map([found.id.0], row)?.collect::<rusqlite::Result<_>>()?;
    let Found { id, uid_validity, next_uid, modseq, keywords, recent_uid: _ } = found;
    Ok(Snapshot { id, mailbox, name, uid_validity, next_uid, modseq, keywords, rows })
}
