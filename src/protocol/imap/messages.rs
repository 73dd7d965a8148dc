//! FETCH (RFC 9051 6.4.5, 7.5.2): the messages in order, a few small ones or a piece of a large one at a time, each when the client has
//! taken what came before. What is said of one message is `fetched`'s.

use super::{
    Session, Stage, Task, Under,
    changes::numbers_missing,
    fetched::{Answer, BATCH_OCTETS, Frame, Halt},
    items::Item,
    reply::Reply,
    sequence::Set,
    tell::Then,
    view::View,
};
use crate::{
    evidence::MessageId,
    mail::folder::{Flags, NamedFlags},
    protocol::{
        Action, Output,
        folders::{Ask, Change, Told},
    },
};

/// The most messages that are read at once.
pub const BATCH_MESSAGES: usize = 64;

/// A FETCH under way.
#[derive(Debug)]
pub(super) struct Fetching {
    items: Vec<Item>,
    /// The messages' places, and the next one of them.
    places: Vec<usize>,
    next: usize,
    /// What is said of that one.
    answer: Answer,
    /// UIDs of messages that this FETCH marks as read, in order: their flags are told.
    marked: Vec<u32>,
    step: Step,
    /// What cannot be told of some message.
    fault: Option<Reply>,
}

impl Fetching {
    /// Whether nothing but octets can be said now.
    pub(super) const fn is_inside_a_literal(&self) -> bool {
        self.answer.is_inside_a_literal()
    }
}

/// What the store was last asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// To mark messages as read.
    Mark,
    /// What the folder holds after that.
    Sync,
    /// This many messages.
    Read(usize),
}

impl Session {
    pub(super) fn fetch(
        &mut self,
        under: Under,
        set: &Set,
        items: Vec<Item>,
        changed_since: Option<u64>,
        out: &mut Output,
    ) {
        self.condstore |= items.contains(&Item::ModSeq);
        let Some(view) = self.connection.view() else { return };
        let Some(mut places) = view.places(set, under.uid) else { return numbers_missing(self, under, out) };
        if let Some(since) = changed_since {
            places.retain(|place| view.rows()[*place].modseq > since);
        }
        let unread =
            |place: &usize| Some(view.rows()[*place]).filter(|row| !row.flags.has(Flags::SEEN)).map(|row| row.uid);
        let marks = !view.read_only && items.iter().any(Item::reads);
        let marked: Vec<u32> = if marks { places.iter().filter_map(unread).collect() } else { Vec::new() };
        let answer = Answer::default();
        let mut fetching = Fetching { items, places, next: 0, answer, marked, step: Step::Mark, fault: None };
        if fetching.marked.is_empty() {
            fetching.step = Step::Read(0);
            return self.fetch_on(under, Box::new(fetching), Vec::new(), out);
        }
        let ask = Ask::Store {
            folder: std::sync::Arc::clone(&view.snapshot),
            uids: fetching.marked.clone(),
            how: Change::Add,
            flags: NamedFlags { system: Flags::SEEN, keywords: Vec::new() },
            unchanged_since: None,
        };
        self.ask(under, Task::Fetch(Box::new(fetching)), ask, out);
    }

    /// Goes on when the store has answered.
    pub(super) fn fetching(&mut self, under: Under, mut fetching: Box<Fetching>, told: Option<Told>, out: &mut Output) {
        let messages = match (fetching.step, told) {
            (Step::Mark, Some(Told::Stored { .. })) => {
                let Some(view) = self.connection.view() else { return };
                fetching.step = Step::Sync;
                let ask = Ask::Sync { known: std::sync::Arc::clone(&view.snapshot), claim: !view.read_only };
                return self.ask(under, Task::Fetch(fetching), ask, out);
            }
            (Step::Sync, Some(Told::Selected { snapshot, recent })) => {
                fetching.step = Step::Read(0);
                let marked = fetching.marked.clone();
                // Numbers must hold until the last message is told, whoever deletes what meanwhile.
                return self.tell(under, snapshot, recent, (false, &marked), Then::Fetch(fetching), out);
            }
            (Step::Read(_), Some(Told::Messages(messages))) => messages,
            (step, _) => {
                // The messages that were to be read cannot be: the others still can.
                fetching.fault = Some(Reply::FetchFailed);
                fetching.answer.close(out);
                if let Step::Read(count) = step {
                    fetching.next += count;
                }
                fetching.step = Step::Read(0);
                Vec::new()
            }
        };
        self.fetch_on(under, fetching, messages, out);
    }

    /// Goes on when octets of a message were read.
    pub(super) fn fetched(&mut self, under: Under, mut fetching: Box<Fetching>, octets: &[u8], out: &mut Output) {
        let Some(view) = self.connection.view() else { return };
        let row = view.rows()[fetching.places[fetching.next]];
        if !fetching.answer.take(view, &row, octets, out) {
            return self.broken(under, out);
        }
        match fetching.answer.read(&row) {
            Some(action) => self.wait_for(under, Task::Fetch(fetching), action, out),
            None => self.fetch_on(under, fetching, Vec::new(), out),
        }
    }

    /// Tells one message after the other, `messages` being those that were read.
    pub(super) fn fetch_on(
        &mut self,
        under: Under,
        mut fetching: Box<Fetching>,
        messages: Vec<Vec<u8>>,
        out: &mut Output,
    ) {
        let Some(view) = self.connection.view() else { return };
        let mut messages = messages.into_iter();
        while let Some(place) = fetching.places.get(fetching.next).copied() {
            let Fetching { items, marked, answer, .. } = &mut *fetching;
            let frame = Frame { view, items, marked, utc_offset_secs: self.now.utc_offset_secs };
            let halt = answer.write(frame, place, messages.next().as_deref(), out);
            let action = match halt {
                Halt::Told => {
                    fetching.fault = fetching.answer.fault.take().or(fetching.fault);
                    fetching.next += 1;
                    continue;
                }
                Halt::Window => Some(Action::Send),
                Halt::Octets => answer.read(&view.rows()[place]),
                Halt::Message => {
                    let messages = batch(view, &fetching.places[fetching.next..]);
                    fetching.step = Step::Read(messages.len());
                    Some(Action::Folders(Box::new(Ask::Read { messages })))
                }
            };
            let Some(action) = action else { return self.broken(under, out) };
            return self.wait_for(under, Task::Fetch(fetching), action, out);
        }
        match fetching.fault {
            Some(reply) => self.answer(under, reply, &[], out),
            None => self.complete(under, out),
        }
    }

    /// Goes on with `task` when an action is done.
    pub(super) fn wait_for(&mut self, under: Under, task: Task, action: Action, out: &mut Output) {
        out.action = Some(action);
        self.stage = Stage::Working(Box::new((under, task)));
    }
}

/// The next messages to read.
pub(super) fn batch(view: &View, places: &[usize]) -> Vec<MessageId> {
    let mut octets = 0;
    let fits = |place: &&usize| {
        octets += u64::from(view.rows()[**place].octets);
        octets <= BATCH_OCTETS
    };
    let count = places.iter().take(BATCH_MESSAGES).take_while(fits).count().max(1);
    places.iter().take(count).map(|place| view.rows()[*place].message).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        evidence::MessageId,
        mail::folder::{FolderId, FolderName, Snapshot},
    };

    /// How many of so many messages, of so many octets each, are read first.
    fn first_batch(count: u32, octets: u32) -> usize {
        let row = |uid| crate::mail::folder::Row {
            uid,
            octets,
            message: MessageId(u64::from(uid)),
            flags: Flags::default(),
            modseq: 1,
            received_secs: 0,
        };
        let snapshot = Snapshot {
            id: FolderId(1),
            mailbox: "ana".parse().unwrap(),
            name: FolderName::inbox(),
            uid_validity: 1,
            next_uid: count + 1,
            modseq: 1,
            keywords: Vec::new(),
            rows: (1..=count).map(row).collect(),
        };
        let places: Vec<usize> = (0..snapshot.rows.len()).collect();
        batch(&View::new(Arc::new(snapshot), (0, 0), true), &places).len()
    }

    #[test]
    fn messages_are_read_a_few_at_a_time() {
        let most = u32::try_from(BATCH_MESSAGES).unwrap();
        assert_eq!([most, most + 1].map(|count| first_batch(count, 1)), [BATCH_MESSAGES; 2]);
        let half = u32::try_from(BATCH_OCTETS / 2).unwrap();
        assert_eq!([half, half + 1].map(|octets| first_batch(2, octets)), [2, 1]);
        assert_eq!(first_batch(2, 2 * half + 1), 1, "a message over the limit is read alone");
    }
}
