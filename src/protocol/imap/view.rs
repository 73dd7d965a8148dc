//! The open folder as this session's client knows it. Message numbers count along it, so it changes only when the client is
//! told; a newer [`Snapshot`] is compared with it, and the difference is what to tell (RFC 9051 5.2, 7.4, 7.5).
//!
//! Where EXPUNGE may not be told (RFC 9051 7.5.1), messages that are gone stay in the view: their content is still in the
//! store, so that FETCH goes on working.

use std::sync::Arc;

use super::sequence::{Ranges, Set};
use crate::mail::folder::{Flags, Row, Snapshot};

/// An open folder.
#[derive(Debug)]
pub struct View {
    /// What the client knows.
    pub snapshot: Arc<Snapshot>,
    /// Whether it was opened by EXAMINE.
    pub read_only: bool,
    /// UIDs of messages that are recent in this session, from the first up to, but without, the second of each pair.
    recent: Vec<(u32, u32)>,
    /// How many recent messages the client knows of.
    recent_told: usize,
    /// What `$` stands for (RFC 5182).
    pub saved: Vec<u32>,
}

/// What to tell the client.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Message numbers of EXPUNGE answers, each counted after those before it.
    pub expunged: Vec<u32>,
    /// The UIDs of these messages.
    pub gone: Vec<u32>,
    /// How many messages there are now, where there are more.
    pub exists: Option<usize>,
    /// Places of messages whose flags changed.
    pub changed: Vec<usize>,
    /// Whether there are new keywords.
    pub keywords: bool,
}

impl View {
    /// A folder just opened.
    pub fn new(snapshot: Arc<Snapshot>, recent: (u32, u32), read_only: bool) -> Self {
        let mut view = Self { snapshot, read_only, recent: Vec::new(), recent_told: 0, saved: Vec::new() };
        view.claim(recent);
        view
    }

    /// The messages.
    pub fn rows(&self) -> &[Row] {
        &self.snapshot.rows
    }

    /// From now on no message is recent: IMAP4rev2 knows no `\Recent` (RFC 9051 appendix E, 5).
    pub fn forget_recent(&mut self) {
        self.recent.clear();
    }

    /// Messages from the first to, but without, the second UID are recent in this session as well.
    pub fn claim(&mut self, (first, end): (u32, u32)) {
        if first >= end {
            return;
        }
        match self.recent.last_mut() {
            Some(last) if last.1 >= first => last.1 = end.max(last.1),
            Some(_) | None => self.recent.push((first, end)),
        }
    }

    /// Whether a message is recent in this session.
    pub fn is_recent(&self, uid: u32) -> bool {
        self.recent.iter().any(|(first, end)| (*first..*end).contains(&uid))
    }

    /// How many messages are, for the client to be told.
    pub fn tell_recent(&mut self) -> usize {
        let recent = |row: &&Row| self.is_recent(row.uid);
        self.recent_told = if self.recent.is_empty() { 0 } else { self.rows().iter().filter(recent).count() };
        self.recent_told
    }

    /// The same after `changes`: none where the client knows it already. It is told with each EXISTS, and where deletions
    /// changed it (RFC 3501 7.3.2).
    pub fn tell_recent_after(&mut self, changes: &Changes) -> Option<usize> {
        let before = self.recent_told;
        let fewer = !changes.expunged.is_empty() && before > 0;
        (fewer || changes.exists.is_some())
            .then(|| self.tell_recent())
            .filter(|recent| *recent != before || changes.exists.is_some())
    }

    /// The flag of a keyword, if the folder has it.
    pub fn keyword(&self, name: &str) -> Option<Flags> {
        self.snapshot.keywords.iter().position(|known| known.eq_ignore_ascii_case(name)).map(Flags::keyword)
    }

    /// A set as message numbers, whether there are such messages or not.
    pub fn numbers(&self, set: &Set) -> Ranges {
        set.resolved(self.count())
            .unwrap_or_else(|| self.saved_places().filter_map(|place| u32::try_from(place + 1).ok()).collect())
    }

    fn count(&self) -> u32 {
        u32::try_from(self.rows().len()).unwrap_or(u32::MAX)
    }

    /// A set as UIDs.
    pub fn uids(&self, set: &Set) -> Ranges {
        let highest = self.rows().last().map_or(0, |row| row.uid);
        set.resolved(highest).unwrap_or_else(|| self.saved.iter().copied().collect())
    }

    /// The places of the messages in a set, in order; none where it names a message number that no message has, which is BAD in
    /// every command that does something with messages (RFC 9051 9, seq-number; a UID may be missing, 6.4.9).
    pub fn places(&self, set: &Set, uid: bool) -> Option<Vec<usize>> {
        if *set == Set::Saved {
            return Some(self.saved_places().collect());
        }
        let mut places = Vec::new();
        if uid {
            for (first, last) in self.uids(set).iter() {
                let start = self.rows().partition_point(|row| row.uid < first);
                let end = self.rows().partition_point(|row| row.uid <= last);
                places.extend(start..end);
            }
        } else {
            for (first, last) in self.numbers(set).iter() {
                if first == 0 || last > self.count() {
                    return None;
                }
                places.extend(usize::try_from(first - 1).unwrap_or(0)..usize::try_from(last).unwrap_or(0));
            }
        }
        Some(places)
    }

    fn saved_places(&self) -> impl Iterator<Item = usize> + '_ {
        self.saved.iter().filter_map(|uid| self.snapshot.place(*uid))
    }

    /// Takes what the folder holds now. Without `expunge` messages that are gone stay.
    pub fn catch_up(&mut self, newer: Arc<Snapshot>, expunge: bool) -> Changes {
        if Arc::ptr_eq(&self.snapshot, &newer) {
            return Changes::default();
        }
        let old = Arc::clone(&self.snapshot);
        let mut changes = Changes { keywords: newer.keywords.len() > old.keywords.len(), ..Changes::default() };
        let (mut ghosts, mut rows) = (0_usize, Vec::with_capacity(newer.rows.len()));
        let mut later = newer.rows.iter().peekable();
        // Both are in the order of UIDs, and no UID is ever given twice: what the newer one has and the older has not comes last.
        for (place, row) in old.rows.iter().enumerate() {
            while later.next_if(|next| next.uid < row.uid).is_some() {}
            if let Some(now) = later.next_if(|next| next.uid == row.uid) {
                if (now.flags, now.modseq) != (row.flags, row.modseq) {
                    changes.changed.push(rows.len());
                }
                rows.push(*now);
            } else if expunge {
                changes.gone.push(row.uid);
                changes.expunged.push(u32::try_from(place + 1 - changes.expunged.len()).unwrap_or(u32::MAX));
            } else {
                rows.push(*row);
                ghosts += 1;
            }
        }
        let known = rows.len();
        rows.extend(later);
        if rows.len() > known {
            changes.exists = Some(rows.len());
        }
        self.snapshot = if ghosts > 0 { Arc::new(newer.with_rows(rows)) } else { newer };
        if expunge {
            let snapshot = Arc::clone(&self.snapshot);
            self.saved.retain(|uid| snapshot.place(*uid).is_some());
        }
        changes
    }
}

impl Snapshot {
    /// The same folder with these messages.
    fn with_rows(&self, rows: Vec<Row>) -> Self {
        Self {
            id: self.id,
            mailbox: self.mailbox.clone(),
            name: self.name.clone(),
            uid_validity: self.uid_validity,
            next_uid: self.next_uid,
            modseq: self.modseq,
            keywords: self.keywords.clone(),
            rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evidence::MessageId,
        mail::folder::{FolderId, FolderName},
    };

    fn snapshot(rows: &[(u32, u64)]) -> Arc<Snapshot> {
        let row = |(uid, modseq): &(u32, u64)| Row {
            uid: *uid,
            octets: 10,
            message: MessageId(u64::from(*uid)),
            flags: Flags(*modseq),
            modseq: *modseq,
            received_secs: 0,
        };
        Arc::new(Snapshot {
            id: FolderId(1),
            mailbox: "ana".parse().unwrap(),
            name: FolderName::inbox(),
            uid_validity: 1,
            next_uid: 100,
            modseq: 9,
            keywords: Vec::new(),
            rows: rows.iter().map(row).collect(),
        })
    }

    fn view(rows: &[(u32, u64)]) -> View {
        View::new(snapshot(rows), (1, 1), false)
    }

    fn uids(view: &View) -> Vec<u32> {
        view.rows().iter().map(|row| row.uid).collect()
    }

    #[test]
    fn what_changed_is_told_once() {
        let mut view = view(&[(1, 1), (3, 1), (4, 1), (7, 1), (9, 1)]);
        let newer = snapshot(&[(1, 1), (4, 2), (9, 1), (10, 3)]);
        let changes = view.catch_up(Arc::clone(&newer), true);
        // RFC 9051 7.5.1: each number counts after the messages before it are gone.
        assert_eq!(
            changes,
            Changes { expunged: vec![2, 3], gone: vec![3, 7], exists: Some(4), changed: vec![1], keywords: false }
        );
        assert_eq!(uids(&view), [1, 4, 9, 10]);
        assert!(Arc::ptr_eq(&view.snapshot, &newer), "it is shared again");
        assert_eq!(view.catch_up(newer, true), Changes::default());
    }

    #[test]
    fn where_expunge_may_not_come_numbers_stay() {
        let mut view = view(&[(1, 1), (3, 1), (4, 1)]);
        let newer = snapshot(&[(1, 1), (4, 2), (5, 1)]);
        let changes = view.catch_up(Arc::clone(&newer), false);
        assert_eq!(changes, Changes { exists: Some(4), changed: vec![2], ..Changes::default() });
        assert_eq!(uids(&view), [1, 3, 4, 5]);
        let changes = view.catch_up(newer, true);
        assert_eq!(changes, Changes { expunged: vec![2], gone: vec![3], ..Changes::default() });
        assert_eq!(uids(&view), [1, 4, 5]);
    }

    #[test]
    fn everything_may_be_gone() {
        let mut view = view(&[(1, 1), (2, 1)]);
        assert_eq!(view.catch_up(snapshot(&[]), false), Changes::default());
        assert_eq!(uids(&view), [1, 2]);
        assert_eq!(view.catch_up(snapshot(&[]), true).expunged, [1, 1]);
        assert_eq!(uids(&view), [] as [u32; 0]);
    }

    #[test]
    fn recent_messages_are_those_claimed() {
        let mut view = View::new(snapshot(&[(1, 1), (5, 1), (8, 1)]), (5, 6), false);
        view.claim((8, 9));
        view.claim((9, 9));
        assert_eq!([1, 5, 8].map(|uid| view.is_recent(uid)), [false, true, true]);
        assert_eq!(view.tell_recent(), 2);
        let told = |view: &mut View, rows| {
            let changes = view.catch_up(snapshot(rows), true);
            view.tell_recent_after(&changes)
        };
        assert_eq!(told(&mut view, &[(5, 1), (8, 1)]), None, "a message went that was not recent");
        assert_eq!(told(&mut view, &[(5, 2), (8, 1)]), None, "a flag changed");
        assert_eq!(told(&mut view, &[(8, 1)]), Some(1));
        assert_eq!(told(&mut view, &[(8, 1), (20, 1)]), Some(1), "a message came that is another session's");
        view.forget_recent();
        assert!(!view.is_recent(8));
    }

    #[test]
    fn sets_find_messages() {
        let mut view = view(&[(2, 1), (4, 1), (9, 1)]);
        let set = |text: &str| Set::read(&mut super::super::syntax::Cursor::new(text.as_bytes())).unwrap();
        assert_eq!(view.places(&set("2:*"), false), Some(vec![1, 2]));
        assert_eq!([view.places(&set("4"), false), view.places(&set("2:4"), false)], [None, None]);
        assert!(view.numbers(&set("2:4")).contains(3), "a search finds those that there are");
        assert_eq!(view.places(&set("1:3,20:*"), true), Some(vec![0, 2]), "the star is the highest UID");
        view.saved = vec![4, 5];
        assert_eq!(view.places(&set("$"), true), Some(vec![1]));
        assert_eq!(View::new(snapshot(&[]), (1, 1), false).places(&set("1:*"), false), None);
    }

    use proptest::prelude::*;
    proptest! {
        #[test]
        fn a_client_that_follows_what_it_is_told_sees_what_there_is(
            before in proptest::collection::btree_set(1..30_u32, 0..20),
            gone in proptest::collection::btree_set(1..30_u32, 0..20),
            added in 0..5_u32,
            first_without in any::<bool>(),
        ) {
            let rows: Vec<_> = before.iter().map(|uid| (*uid, 1)).collect();
            let left = before.iter().filter(|uid| !gone.contains(uid)).copied();
            let after: Vec<u32> = left.chain((0..added).map(|number| 30 + number)).collect();
            let newer = snapshot(&after.iter().map(|uid| (*uid, 1)).collect::<Vec<_>>());
            let mut view = view(&rows);
            let mut client: Vec<u32> = before.iter().copied().collect();
            let mut told = Vec::new();
            if first_without {
                told.push(view.catch_up(Arc::clone(&newer), false));
            }
            told.push(view.catch_up(newer, true));
            for changes in told {
                for number in changes.expunged {
                    client.remove(usize::try_from(number).unwrap() - 1);
                }
                if let Some(count) = changes.exists {
                    client.resize(count, 0);
                }
            }
            prop_assert_eq!(client.len(), after.len());
            let known: Vec<u32> = client.iter().copied().filter(|uid| *uid != 0).collect();
            prop_assert_eq!(&after[..known.len()], &known[..]);
            prop_assert_eq!(uids(&view), after);
        }
    }
}
