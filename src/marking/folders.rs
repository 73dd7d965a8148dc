//! The folders of the mailboxes that checks speak of: which there are, how many messages each holds and, where a check asks for
//! single messages, which these are and what flags they have. A fold over the record, whoever caused what it tells. Who is
//! credited is decided elsewhere; here stands only who brought a message to where it is, as its last change tells.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::quick::QuickMap;
use crate::{
    evidence::{Conn, Event, EventKind, FlagChange, FolderChange, MessageId, Seq, Timestamp},
    lab::Login,
    mail::folder::{Flags, FolderName, INBOX, NamedFlags, Special},
    words::{Phrase, phrase, quoted},
};

/// The most messages of one mailbox that are followed one by one. Of what comes while there are more, only the number is known
/// until others are gone; the lab's own mail comes first.
pub const MAX_FOLLOWED: usize = 10_000;

/// When and where something changed.
pub type Stamp = (Seq, Conn, Timestamp);

/// The mailboxes that checks speak of.
#[derive(Debug)]
pub struct Mailboxes {
    places: QuickMap<Arc<str>, usize>,
    all: Vec<Mailbox>,
    /// The keywords that checks name, without case; others are not remembered.
    keywords: Vec<String>,
    /// What the last event did to single messages.
    touched: Vec<Spot>,
    seq: Seq,
    inbox: FolderName,
}

/// A place in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The mailbox's place.
    pub mailbox: usize,
    /// The folder.
    pub folder: FolderName,
    /// The message's number in it.
    pub uid: u64,
}

/// A mailbox.
#[derive(Debug)]
struct Mailbox {
    name: Arc<str>,
    folders: BTreeMap<FolderName, Folder>,
    /// Whether checks ask for single messages.
    follows: bool,
    followed: usize,
    /// Which student's which rule looks at it, as places.
    watched: Vec<(usize, usize)>,
}

#[derive(Debug, Default)]
struct Folder {
    count: u64,
    changed: Option<Stamp>,
    items: BTreeMap<u64, Item>,
}

/// A message in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Which.
    pub message: MessageId,
    /// Its flags there.
    pub flags: Flagging,
    /// The student, by place, who last changed it: brought it there or changed its flags.
    pub by: Option<usize>,
    /// When that was.
    pub changed: Stamp,
}

/// The flags of a message, as far as checks name them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flagging {
    system: Flags,
    /// Places among the keywords that checks name.
    keywords: BTreeSet<usize>,
}

impl Flagging {
    /// Whether all of `other` are set.
    pub fn has(&self, other: &Self) -> bool {
        self.system.has(other.system) && other.keywords.is_subset(&self.keywords)
    }

    /// Whether none of `other` is set.
    pub fn lacks(&self, other: &Self) -> bool {
        self.system.0 & other.system.0 == 0 && other.keywords.is_disjoint(&self.keywords)
    }

    fn change(&mut self, how: FlagChange, flags: &Self) {
        match how {
            FlagChange::Replaced => self.clone_from(flags),
            FlagChange::Added => {
                self.system = self.system.with(flags.system);
                self.keywords.extend(&flags.keywords);
            }
            FlagChange::Removed => {
                self.system = self.system.without(flags.system);
                self.keywords.retain(|keyword| !flags.keywords.contains(keyword));
            }
        }
    }
}

impl Default for Mailboxes {
    fn default() -> Self {
        Self {
            places: QuickMap::default(),
            all: Vec::new(),
            keywords: Vec::new(),
            touched: Vec::new(),
            seq: Seq(0),
            inbox: FolderName::inbox(),
        }
    }
}

impl Mailboxes {
    /// The place of a mailbox, which is looked at from now on.
    pub fn place(&mut self, name: &str) -> usize {
        let name: Arc<str> = name.to_ascii_lowercase().into();
        *self.places.entry(Arc::clone(&name)).or_insert_with(|| {
            let (folders, watched) = (BTreeMap::new(), Vec::new());
            self.all.push(Mailbox { name, folders, follows: false, followed: 0, watched });
            self.all.len() - 1
        })
    }

    /// Has a student's rule, both by place, look at the mailbox whenever it changes.
    pub fn watch(&mut self, place: usize, student: usize, rule: usize) {
        self.all[place].watched.push((student, rule));
    }

    /// Which student's which rule looks at the mailbox.
    pub fn watched(&self, place: usize) -> &[(usize, usize)] {
        &self.all[place].watched
    }

    /// Follows the mailbox's messages one by one.
    pub fn follow(&mut self, place: usize) {
        self.all[place].follows = true;
    }

    /// Flags that a check names.
    pub fn flagging(&mut self, named: &NamedFlags) -> Flagging {
        for keyword in &named.keywords {
            let keyword = keyword.to_ascii_lowercase();
            if !self.keywords.contains(&keyword) {
                self.keywords.push(keyword);
            }
        }
        let keyword = |name: &Arc<str>| self.keyword(name);
        Flagging { system: named.system, keywords: named.keywords.iter().filter_map(keyword).collect() }
    }

    fn keyword(&self, name: &str) -> Option<usize> {
        self.keywords.iter().position(|known| known.eq_ignore_ascii_case(name))
    }

    /// Flags as an event has them, with blanks between.
    fn read(&self, flags: &str) -> Flagging {
        let mut found = Flagging::default();
        for name in flags.split_ascii_whitespace() {
            if let Some((_, flag)) = Flags::SYSTEM.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name)) {
                found.system = found.system.with(flag);
            } else {
                found.keywords.extend(self.keyword(name));
            }
        }
        found
    }

    /// Flags with blanks between.
    pub fn written(&self, flags: &Flagging) -> String {
        let own = flags.keywords.iter().map(|place| self.keywords[*place].as_str());
        flags.system.names(&[]).chain(own).collect::<Vec<_>>().join(" ")
    }

    /// A folder of the mailbox, in words.
    pub fn named(&self, place: usize, folder: &FolderName) -> Phrase {
        self::place(&self.all[place].name, folder)
    }

    /// Forgets what is in all mailboxes.
    pub fn empty(&mut self) {
        self.seq = Seq(0);
        self.touched.clear();
        for mailbox in &mut self.all {
            mailbox.folders.clear();
            mailbox.followed = 0;
        }
    }

    /// How many messages a folder holds, and what changed it last; none where there is no such folder.
    pub fn standing(&self, place: usize, folder: &FolderName) -> Option<(u64, Option<Stamp>)> {
        let found = self.all[place].folders.get(folder).map(|folder| (folder.count, folder.changed));
        found.or_else(|| is_everywhere(folder).then_some((0, None)))
    }

    /// The messages of a mailbox that are followed, each with its folder.
    pub fn items(&self, place: usize) -> impl Iterator<Item = (&FolderName, &Item)> {
        let folders = self.all[place].folders.iter();
        folders.flat_map(|(name, folder)| folder.items.values().map(move |item| (name, item)))
    }

    /// The followed message at a place.
    pub fn item(&self, spot: &Spot) -> Option<&Item> {
        self.all[spot.mailbox].folders.get(&spot.folder)?.items.get(&spot.uid)
    }

    /// Takes an event, `student` being whom a reset is about; the places of the mailboxes that it changed.
    pub fn take(&mut self, event: &Event, student: Option<usize>) -> BTreeSet<usize> {
        let mut changed = BTreeSet::new();
        self.seq = event.seq;
        self.touched.clear();
        match &event.kind {
            EventKind::Accepted { message, delivered, .. } => {
                let inbox = self.inbox.clone();
                for entry in delivered {
                    changed.extend(self.arrive(event, (&entry.mailbox, &inbox, entry.uid.0), *message, None));
                }
            }
            EventKind::Appended { message, mailbox, folder, uid, flags, .. } => {
                let flags = self.read(flags);
                changed.extend(self.arrive(event, (mailbox, folder, uid.0), *message, Some(flags)));
            }
            EventKind::Copied { mailbox, from, to, copies, moved } => {
                for copy in copies {
                    let flags = self.flags_of(mailbox, from, copy.uid.0);
                    if *moved {
                        changed.extend(self.remove(event, mailbox, from, copy.uid.0));
                    }
                    changed.extend(self.arrive(event, (mailbox, to, copy.copy.0), copy.message, flags));
                }
            }
            EventKind::Deleted { mailbox, uid, folder, .. } => {
                changed.extend(self.remove(event, mailbox, folder, uid.0));
            }
            EventKind::Flagged { mailbox, folder, uids, change, flags } => {
                self.flag(event, (mailbox, folder, uids), *change, flags);
            }
            EventKind::Folder { mailbox, folder, change } => {
                changed.extend(self.shelve(event, mailbox, folder, change));
            }
            EventKind::Reset { student: login, removed } => {
                for entry in removed {
                    changed.extend(self.remove(event, &entry.mailbox, &entry.folder, entry.uid.0));
                }
                changed.extend(self.clear(login));
                self.forget(|item| item.by.is_some() && item.by == student);
            }
            EventKind::Connected { .. }
            | EventKind::Command { .. }
            | EventKind::Secured { .. }
            | EventKind::HandshakeFailed { .. }
            | EventKind::Discarded { .. }
            | EventKind::LoneDot { .. }
            | EventKind::LoggedIn { .. }
            | EventKind::LoginFailed { .. }
            | EventKind::Queued { .. }
            | EventKind::Relayed { .. }
            | EventKind::Deferred { .. }
            | EventKind::Bounced { .. }
            | EventKind::Query { .. }
            | EventKind::Retrieved { .. }
            | EventKind::Disconnected { .. }
            | EventKind::Fault { .. }
            | EventKind::FaultSet { .. }
            | EventKind::FaultCleared { .. }
            | EventKind::Repeated { .. }
            | EventKind::Limited { .. }
            | EventKind::Exhausted { .. }
            | EventKind::Compacted { .. }
            | EventKind::Started { .. }
            | EventKind::Damaged { .. } => {}
        }
        changed
    }

    /// Says that the event of this number was this student's, and whether it touched any message.
    pub fn claim(&mut self, seq: Seq, student: usize) -> bool {
        if seq != self.seq {
            return false;
        }
        for spot in &self.touched {
            let folder = self.all[spot.mailbox].folders.get_mut(&spot.folder);
            if let Some(item) = folder.and_then(|folder| folder.items.get_mut(&spot.uid)) {
                item.by = Some(student);
            }
        }
        !self.touched.is_empty()
    }

    /// Where the messages are that the last event touched.
    pub fn touched(&self) -> &[Spot] {
        &self.touched
    }

    fn forget(&mut self, whose: impl Fn(&Item) -> bool) {
        let folders = self.all.iter_mut().flat_map(|cabinet| cabinet.folders.values_mut());
        for item in folders.flat_map(|folder| folder.items.values_mut()).filter(|item| whose(item)) {
            item.by = None;
        }
    }

    fn of(&self, mailbox: &Login) -> Option<usize> {
        self.places.get(mailbox.as_str()).copied()
    }

    fn flags_of(&self, mailbox: &Login, folder: &FolderName, uid: u64) -> Option<Flagging> {
        let spot = Spot { mailbox: self.of(mailbox)?, folder: folder.clone(), uid };
        self.item(&spot).map(|item| item.flags.clone())
    }

    fn arrive(
        &mut self,
        event: &Event,
        (mailbox, name, uid): (&Login, &FolderName, u64),
        message: MessageId,
        flags: Option<Flagging>,
    ) -> Option<usize> {
        let place = self.of(mailbox)?;
        let cabinet = &mut self.all[place];
        let changed = stamp(event);
        let folder = cabinet.folders.entry(name.clone()).or_default();
        folder.count += 1;
        folder.changed = Some(changed);
        if cabinet.follows && cabinet.followed < MAX_FOLLOWED {
            let item = Item { message, flags: flags.unwrap_or_default(), by: None, changed };
            cabinet.followed += usize::from(folder.items.insert(uid, item).is_none());
            self.touched.push(Spot { mailbox: place, folder: name.clone(), uid });
        }
        Some(place)
    }

    fn remove(&mut self, event: &Event, mailbox: &Login, name: &FolderName, uid: u64) -> Option<usize> {
        let place = self.of(mailbox)?;
        let cabinet = &mut self.all[place];
        let folder = cabinet.folders.get_mut(name)?;
        folder.count = folder.count.saturating_sub(1);
        folder.changed = Some(stamp(event));
        cabinet.followed -= usize::from(folder.items.remove(&uid).is_some());
        Some(place)
    }

    fn flag(
        &mut self,
        event: &Event,
        (mailbox, name, uids): (&Login, &FolderName, &str),
        how: FlagChange,
        flags: &str,
    ) {
        let flags = self.read(flags);
        let Some(cabinet) = self.of(mailbox) else { return };
        let Some(folder) = self.all[cabinet].folders.get_mut(name) else { return };
        for (first, last) in uids.split(',').filter_map(range) {
            for (uid, item) in folder.items.range_mut(first..=last) {
                item.flags.change(how, &flags);
                (item.by, item.changed) = (None, stamp(event));
                self.touched.push(Spot { mailbox: cabinet, folder: name.clone(), uid: *uid });
            }
        }
    }

    /// A folder was made, removed or renamed.
    fn shelve(&mut self, event: &Event, mailbox: &Login, name: &FolderName, change: &FolderChange) -> Option<usize> {
        let place = self.of(mailbox)?;
        match change {
            FolderChange::Created => self.make(event, place, name),
            FolderChange::Removed => {
                let cabinet = &mut self.all[place];
                cabinet.followed -= cabinet.folders.remove(name).map_or(0, |folder| folder.items.len());
            }
            FolderChange::Renamed(to) => {
                // The folders that it lies in now were made with it (RFC 9051 6.3.6).
                to.parents().for_each(|parent| self.make(event, place, &parent));
                // INBOX stays, and what it held is moved by an event of its own.
                if !name.is_inbox() {
                    self.rename(event, place, name, to);
                }
                self.make(event, place, to);
            }
            FolderChange::Subscribed | FolderChange::Unsubscribed => return None,
        }
        Some(place)
    }

    fn make(&mut self, event: &Event, place: usize, name: &FolderName) {
        let made = || Folder { changed: Some(stamp(event)), ..Folder::default() };
        self.all[place].folders.entry(name.clone()).or_insert_with(made);
    }

    /// The folder, and what lies in it, has another name.
    fn rename(&mut self, event: &Event, cabinet: usize, from: &FolderName, to: &FolderName) {
        let folders = &mut self.all[cabinet].folders;
        let moved: Vec<FolderName> =
            folders.keys().filter(|name| *name == from || name.is_below(from)).cloned().collect();
        for before in moved {
            let (Some(mut folder), Some(after)) = (folders.remove(&before), before.moved(from, to)) else { continue };
            folder.changed = Some(stamp(event));
            for (uid, item) in &mut folder.items {
                (item.by, item.changed) = (None, stamp(event));
                self.touched.push(Spot { mailbox: cabinet, folder: after.clone(), uid: *uid });
            }
            folders.insert(after, folder);
        }
    }

    /// A student's new run begins without own folders.
    fn clear(&mut self, login: &Login) -> Option<usize> {
        let place = self.of(login)?;
        let cabinet = &mut self.all[place];
        cabinet.folders.retain(|name, _| is_everywhere(name));
        cabinet.followed = cabinet.folders.values().map(|folder| folder.items.len()).sum();
        Some(place)
    }
}

/// A mailbox, and the folder where it is not INBOX.
pub fn place(mailbox: &str, folder: &FolderName) -> Phrase {
    if folder.is_inbox() {
        phrase("place-inbox").with("mailbox", quoted(mailbox))
    } else {
        phrase("place-folder").with("mailbox", quoted(mailbox)).with("folder", quoted(folder.as_str()))
    }
}

/// Whether every mailbox has a folder of this name, from the start and for good.
pub fn is_everywhere(folder: &FolderName) -> bool {
    folder.as_str() == INBOX || Special::named(folder.as_str()).is_some()
}

const fn stamp(event: &Event) -> Stamp {
    (event.seq, event.conn, event.time)
}

/// A piece of a set as events write it: `7` or `1:3`.
fn range(piece: &str) -> Option<(u64, u64)> {
    let (first, last) = piece.split_once(':').unwrap_or((piece, piece));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests;
