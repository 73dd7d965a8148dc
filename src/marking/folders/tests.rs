//! What is followed equals a store that keeps everything: however its changes are told, and whatever is renamed or reset.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::evidence::{Copied, Removed, Uid, Who};

const FOLDERS: [&str; 6] = ["INBOX", "Trash", "A", "A/B", "A/B/C", "D"];

/// A mailbox as the store has it: its folders, with the next UID of each, and their messages with flags.
#[derive(Debug, Default, Clone)]
struct Model(BTreeMap<FolderName, (u64, BTreeMap<u64, Kept>)>);

/// A message and its flags.
type Kept = (u64, Flags);

#[derive(Debug, Clone)]
enum Doing {
    Append(usize, u64),
    Copy(usize, usize, bool),
    Delete(usize, usize),
    /// Flags of the first messages; told in so many events.
    Flag(usize, usize, u64, bool, bool),
    Create(usize),
    Remove(usize),
    Rename(usize, usize),
    Reset,
}

fn doing() -> impl Strategy<Value = Doing> {
    let folder = || 0..FOLDERS.len();
    prop_oneof![
        4 => (folder(), 0..32_u64).prop_map(|(folder, flags)| Doing::Append(folder, flags)),
        3 => (folder(), folder(), any::<bool>()).prop_map(|(from, to, moved)| Doing::Copy(from, to, moved)),
        2 => (folder(), 0..3_usize).prop_map(|(folder, which)| Doing::Delete(folder, which)),
        3 => (folder(), 1..5_usize, 0..32_u64, any::<bool>(), any::<bool>())
            .prop_map(|(folder, most, flags, add, apart)| Doing::Flag(folder, most, flags, add, apart)),
        3 => folder().prop_map(Doing::Create),
        1 => folder().prop_map(Doing::Remove),
        3 => (folder(), folder()).prop_map(|(from, to)| Doing::Rename(from, to)),
        1 => Just(Doing::Reset),
    ]
}

fn folder(place: usize) -> FolderName {
    FOLDERS[place].parse().unwrap()
}

fn ana() -> Login {
    "ana".parse().unwrap()
}

impl Model {
    fn exists(&self, name: &FolderName) -> bool {
        is_everywhere(name) || self.0.contains_key(name)
    }

    fn put(&mut self, name: &FolderName, message: Kept) -> u64 {
        let (next, messages) = self.0.entry(name.clone()).or_default();
        *next += 1;
        messages.insert(*next, message);
        *next
    }

    fn make(&mut self, name: &FolderName) {
        for name in name.parents().chain([name.clone()]) {
            self.0.entry(name).or_default();
        }
    }

    /// Does it, if it can be done, and tells it as the store does.
    fn perform(&mut self, doing: &Doing, message: u64) -> Vec<EventKind> {
        let mailbox = ana();
        match doing {
            Doing::Append(place, bits) if self.exists(&folder(*place)) => {
                let (folder, flags) = (folder(*place), Flags(*bits));
                let uid = Uid(self.put(&folder, (message, flags)));
                let flags = flags.names(&[]).collect::<Vec<_>>().join(" ");
                let (message, sha256) = (MessageId(message), String::new());
                vec![EventKind::Appended { message, mailbox, folder, uid, flags, octets: 1, sha256 }]
            }
            Doing::Copy(from, to, moved) if self.exists(&folder(*to)) => {
                let (from, to) = (folder(*from), folder(*to));
                let all: Vec<(u64, Kept)> =
                    self.0.get(&from).iter().flat_map(|(_, all)| all.iter().map(|(uid, kept)| (*uid, *kept))).collect();
                let mut copies = Vec::new();
                for (uid, kept) in all {
                    if *moved {
                        self.0.get_mut(&from).unwrap().1.remove(&uid);
                    }
                    let copy = Uid(self.put(&to, kept));
                    copies.push(Copied { message: MessageId(kept.0), uid: Uid(uid), copy });
                }
                vec![EventKind::Copied { mailbox, from, to, copies, moved: *moved }]
            }
            Doing::Delete(place, which) => {
                let folder = folder(*place);
                let Some((_, messages)) = self.0.get_mut(&folder) else { return Vec::new() };
                let Some((uid, (message, _))) = messages.iter().nth(*which).map(|(uid, kept)| (*uid, *kept)) else {
                    return Vec::new();
                };
                messages.remove(&uid);
                vec![EventKind::Deleted { message: MessageId(message), mailbox, uid: Uid(uid), folder }]
            }
            Doing::Flag(place, most, bits, add, apart) => {
                let (folder, flags) = (folder(*place), Flags(*bits));
                let Some((_, messages)) = self.0.get_mut(&folder) else { return Vec::new() };
                let change = if *add { FlagChange::Added } else { FlagChange::Removed };
                let mut uids = Vec::new();
                for (uid, (_, own)) in messages.iter_mut().take(*most) {
                    *own = if *add { own.with(flags) } else { own.without(flags) };
                    uids.push(u32::try_from(*uid).unwrap());
                }
                let flags = flags.names(&[]).collect::<Vec<_>>().join(" ");
                let told = |uids: &[u32]| EventKind::Flagged {
                    mailbox: mailbox.clone(),
                    folder: folder.clone(),
                    uids: crate::protocol::imap::written(uids.to_vec()),
                    change,
                    flags: flags.clone(),
                };
                if *apart { uids.chunks(1).map(told).collect() } else { vec![told(&uids)] }
            }
            Doing::Create(place) if !self.exists(&folder(*place)) => {
                let name = folder(*place);
                let new = name.parents().chain([name.clone()]).filter(|name| !self.exists(name)).collect::<Vec<_>>();
                self.make(&name);
                let made = |folder| EventKind::Folder { mailbox: ana(), folder, change: FolderChange::Created };
                new.into_iter().map(made).collect()
            }
            Doing::Remove(place) if !is_everywhere(&folder(*place)) => {
                let folder = folder(*place);
                let parent = self.0.keys().any(|other| other.is_below(&folder));
                if parent || self.0.remove(&folder).is_none() {
                    return Vec::new();
                }
                vec![EventKind::Folder { mailbox, folder, change: FolderChange::Removed }]
            }
            Doing::Rename(from, to) => {
                let (from, to) = (folder(*from), folder(*to));
                if !self.exists(&from) || self.exists(&to) || to.is_below(&from) || from.as_str() == "Trash" {
                    return Vec::new();
                }
                self.make(&to);
                let change = FolderChange::Renamed(to.clone());
                let event = EventKind::Folder { mailbox, folder: from.clone(), change };
                if from.is_inbox() {
                    let to = FOLDERS.iter().position(|name| *name == to.as_str()).unwrap();
                    let moved = self.perform(&Doing::Copy(0, to, true), 0);
                    return [event].into_iter().chain(moved).collect();
                }
                let moved = |name: &FolderName| *name == from || name.is_below(&from);
                let all: Vec<FolderName> = self.0.keys().filter(|name| moved(name)).cloned().collect();
                for name in all {
                    let kept = self.0.remove(&name).unwrap();
                    self.0.insert(name.moved(&from, &to).unwrap(), kept);
                }
                vec![event]
            }
            Doing::Reset => {
                let entries = self.0.iter().flat_map(|(folder, (_, all))| all.keys().map(move |uid| (folder, uid)));
                let removed =
                    entries.map(|(folder, uid)| Removed { mailbox: ana(), folder: folder.clone(), uid: Uid(*uid) });
                let event = EventKind::Reset { student: ana(), removed: removed.collect() };
                self.0.retain(|name, _| is_everywhere(name));
                self.0.values_mut().for_each(|(_, all)| all.clear());
                vec![event]
            }
            Doing::Append(..) | Doing::Copy(..) | Doing::Create(_) | Doing::Remove(_) => Vec::new(),
        }
    }
}

fn event(seq: u64, kind: EventKind) -> Event {
    Event { seq: Seq(seq), time: Timestamp(0), run: 1, conn: Conn(1), who: Who::Unknown, kind }
}

fn following() -> (Mailboxes, usize) {
    let mut cabinets = Mailboxes::default();
    let place = cabinets.place("ana");
    cabinets.follow(place);
    (cabinets, place)
}

proptest! {
    #[test]
    fn what_is_followed_is_what_the_store_has(all in proptest::collection::vec(doing(), 0..40)) {
        let (mut cabinets, place) = following();
        let (mut model, mut seq) = (Model::default(), 0);
        for (message, doing) in all.iter().enumerate() {
            for kind in model.perform(doing, message as u64) {
                seq += 1;
                cabinets.take(&event(seq, kind), Some(0));
            }
            for name in FOLDERS {
                let name: FolderName = name.parse().unwrap();
                let count = model.0.get(&name).map_or(0, |(_, all)| all.len() as u64);
                let wanted = model.exists(&name).then_some(count);
                prop_assert_eq!(cabinets.standing(place, &name).map(|(count, _)| count), wanted, "{} after {:?}", name, doing);
            }
            let found: Vec<(FolderName, MessageId, String)> = cabinets
                .items(place)
                .map(|(name, item)| (name.clone(), item.message, cabinets.written(&item.flags)))
                .collect();
            let kept = model.0.iter().flat_map(|(name, (_, all))| all.values().map(move |kept| (name, *kept)));
            let wanted: Vec<(FolderName, MessageId, String)> = kept
                .map(|(name, (message, flags))| {
                    (name.clone(), MessageId(message), flags.names(&[]).collect::<Vec<_>>().join(" "))
                })
                .collect();
            prop_assert_eq!(found, wanted, "after {:?}", doing);
            prop_assert_eq!(cabinets.all[place].followed, cabinets.items(place).count());
        }
    }
}

fn appended(uid: u64) -> EventKind {
    let (flags, sha256) = (String::new(), String::new());
    EventKind::Appended {
        message: MessageId(uid),
        mailbox: ana(),
        folder: FolderName::inbox(),
        uid: Uid(uid),
        flags,
        octets: 1,
        sha256,
    }
}

#[test]
fn so_many_messages_are_followed_and_no_more() {
    let (mut cabinets, place) = following();
    for uid in 1..=MAX_FOLLOWED as u64 + 1 {
        cabinets.take(&event(uid, appended(uid)), None);
        assert_eq!(cabinets.claim(Seq(uid), 0), uid <= MAX_FOLLOWED as u64, "{uid}");
    }
    let inbox = FolderName::inbox();
    assert_eq!(cabinets.standing(place, &inbox).map(|(count, _)| count), Some(MAX_FOLLOWED as u64 + 1));
    assert_eq!(cabinets.items(place).count(), MAX_FOLLOWED);
    // What is gone makes room.
    let kind = EventKind::Deleted { message: MessageId(1), mailbox: ana(), uid: Uid(1), folder: inbox };
    cabinets.take(&event(20_000, kind), None);
    cabinets.take(&event(20_001, appended(20_001)), None);
    assert_eq!(cabinets.items(place).count(), MAX_FOLLOWED);
}

#[test]
fn single_messages_are_followed_only_where_a_check_asks_for_them() {
    let mut cabinets = Mailboxes::default();
    let place = cabinets.place("ANA");
    cabinets.take(&event(1, appended(1)), None);
    assert_eq!((cabinets.items(place).count(), cabinets.claim(Seq(1), 0)), (0, false));
    assert_eq!(cabinets.standing(place, &FolderName::inbox()).map(|(count, _)| count), Some(1));
    assert_eq!(cabinets.standing(place, &"Archive".parse().unwrap()), None);
}

#[test]
fn a_set_is_read_as_it_is_written() {
    assert_eq!(["7", "1:3"].map(range), [Some((7, 7)), Some((1, 3))]);
    assert_eq!(["", "3:1", "1:", "*", "-1"].map(range), [None; 5]);
}
