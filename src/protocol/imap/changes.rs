//! Commands that change what folders hold: STORE, EXPUNGE, CLOSE, COPY, MOVE, APPEND (RFC 9051 6.3.12, 6.4; RFC 4315; RFC 7162).

use std::sync::Arc;

use super::{
    Session, Task, Under,
    command::Name,
    reply::Reply,
    sequence::{Set, written},
    tell::{Telling, Then, Told as Row},
};
use crate::{
    lab::LoneNewline,
    mail::folder::{Flags, NamedFlags},
    protocol::{
        Output,
        folders::{Ask, Change, Told},
    },
};

/// What STORE wants.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) how: Change,
    pub(super) flags: NamedFlags,
    pub(super) silent: bool,
    pub(super) unchanged_since: Option<u64>,
}

/// A STORE under way.
#[derive(Debug)]
pub(super) struct Storing {
    /// The messages, by UID, in order.
    uids: Vec<u32>,
    silent: bool,
    /// Messages left alone; set once the store has answered.
    modified: Option<Vec<u32>>,
}

/// Refuses a set that names a message that is not there.
pub(super) fn numbers_missing(session: &mut Session, under: Under, out: &mut Output) {
    let count = session.connection.view().map_or(0, |view| view.rows().len()).to_string();
    session.refuse(under, Reply::NoMessage, &[("count", &count)], out);
}

impl Session {
    /// The UIDs of a set; none, and a refusal, where a message is not there or the folder may only be read.
    fn chosen(&mut self, under: Under, set: &Set, write: bool, out: &mut Output) -> Option<(Under, Vec<u32>)> {
        let view = self.connection.view()?;
        if write && view.read_only {
            self.answer(under, Reply::ReadOnly, &[], out);
            return None;
        }
        let Some(places) = view.places(set, under.uid) else {
            numbers_missing(self, under, out);
            return None;
        };
        let uids = places.into_iter().map(|place| view.rows()[place].uid).collect();
        Some((under, uids))
    }

    pub(super) fn store(&mut self, under: Under, set: &Set, wish: Wish, out: &mut Output) {
        self.condstore |= wish.unchanged_since.is_some();
        let Some((under, uids)) = self.chosen(under, set, true, out) else { return };
        let Some(view) = self.connection.view() else { return };
        let Wish { how, flags, silent, unchanged_since } = wish;
        let ask = Ask::Store { folder: Arc::clone(&view.snapshot), uids: uids.clone(), how, flags, unchanged_since };
        self.ask(under, Task::Store(Storing { uids, silent, modified: None }), ask, out);
    }

    /// Goes on when the flags are stored, and again when what the folder holds now is known.
    pub(super) fn storing(&mut self, under: Under, mut storing: Storing, told: Told, out: &mut Output) {
        match told {
            Told::Stored { modified } => {
                let Some(view) = self.connection.view() else { return };
                let ask = Ask::Sync { known: Arc::clone(&view.snapshot), claim: !view.read_only };
                storing.modified = Some(modified);
                self.ask(under, Task::Store(storing), ask, out);
            }
            Told::Selected { snapshot, recent } => {
                // Message numbers may change during UID STORE only (RFC 9051 7.5.1).
                let (expunge, known) = (under.uid, storing.uids.clone());
                self.tell(under, snapshot, recent, (expunge, &known), Then::Store(storing), out);
            }
            Told::Folders(_)
            | Told::Status(_)
            | Told::Messages(_)
            | Told::Done
            | Told::Appended { .. }
            | Told::Copied { .. }
            | Told::Refused(_) => self.answer(under, Reply::Failed, &[], out),
        }
    }

    /// Tells what STORE itself changed.
    pub(super) fn stored(&mut self, under: Under, storing: Storing, out: &mut Output) {
        let (condstore, rev2) = (self.condstore, self.rev2);
        let Some(view) = self.connection.view() else { return };
        let modified = storing.modified.as_deref().unwrap_or_default();
        // RFC 7162 3.1.3: with .SILENT the new modification sequence is told all the same.
        let told = Row { flags: !storing.silent, uid: under.uid || condstore || rev2, modseq: condstore };
        let changed = |uid: &&u32| (told.flags || told.modseq) && modified.binary_search(uid).is_err();
        let places = storing.uids.iter().filter(changed).filter_map(|uid| view.snapshot.place(*uid)).collect();
        self.tell_on(under, Telling::of(places, told), Then::Stored(storing), out);
    }

    /// Ends STORE when that is told.
    pub(super) fn end_store(&mut self, under: Under, storing: &Storing, out: &mut Output) {
        let Some(view) = self.connection.view() else { return };
        let modified = storing.modified.as_deref().unwrap_or_default();
        if modified.is_empty() {
            return self.complete(under, out);
        }
        let number = |uid: &u32| {
            if under.uid { Some(*uid) } else { u32::try_from(view.snapshot.place(*uid)? + 1).ok() }
        };
        let uids = written(modified.iter().filter_map(number));
        self.complete_with(under, Reply::Modified, &[("uids", &uids)], out);
    }

    pub(super) fn expunge(&mut self, under: Under, set: Option<&Set>, out: &mut Output) {
        let all = Set::Ranges(vec![(Some(1), None)]);
        let Some(view) = self.connection.view() else { return };
        // Without a set all messages are meant, also where there are none.
        let uids = view.uids(set.unwrap_or(&all));
        if view.read_only {
            return self.answer(under, Reply::ReadOnly, &[], out);
        }
        // What is marked deleted is the store's to say: others may have marked what this session has not seen yet. Only
        // messages that this client knows are meant, though.
        let uids = view.rows().iter().map(|row| row.uid).filter(|uid| uids.contains(*uid)).collect();
        let ask = Ask::Expunge { folder: Arc::clone(&view.snapshot), uids };
        self.ask(under, Task::Expunge, ask, out);
    }

    pub(super) fn close(&mut self, under: Under, out: &mut Output) {
        let Some(view) = self.connection.view() else { return };
        let marked: Vec<u32> =
            view.rows().iter().filter(|row| row.flags.has(Flags::DELETED)).map(|row| row.uid).collect();
        if view.read_only || marked.is_empty() {
            self.leave();
            return self.complete(under, out);
        }
        let ask = Ask::Expunge { folder: Arc::clone(&view.snapshot), uids: marked };
        self.ask(under, Task::Close, ask, out);
    }

    pub(super) fn copy(&mut self, under: Under, set: &Set, to: Name, remove: bool, out: &mut Output) {
        let Some((under, to)) = self.named(under, to, out) else { return };
        let Some((under, uids)) = self.chosen(under, set, remove, out) else { return };
        let Some(view) = self.connection.view() else { return };
        let name = self.wire_name(&to);
        let limit = self.peer.config.limits.mailbox;
        let ask = Ask::Copy { folder: Arc::clone(&view.snapshot), uids, to, remove, limit };
        self.ask(under, Task::Copy { remove, name }, ask, out);
    }

    /// Goes on after [`Ask::Copy`].
    pub(super) fn copied(
        &mut self,
        under: Under,
        remove: bool,
        name: &str,
        uid_validity: u32,
        uids: &[(u32, u32)],
        out: &mut Output,
    ) {
        // Nothing was copied: there is nothing to name (RFC 4315 3).
        if uids.is_empty() {
            return self.complete(under, out);
        }
        let from = written(uids.iter().map(|(uid, _)| *uid));
        let to = written(uids.iter().map(|(_, copy)| *copy));
        let uids = format!("{uid_validity} {from} {to}");
        let values = [("uids", uids.as_str()), ("folder", name)];
        if remove {
            // Before the EXPUNGE answers, which the numbers are gone after (RFC 6851 4.3).
            self.say(Reply::Moved, "*", &values, out);
            return self.complete(under, out);
        }
        self.complete_with(under, Reply::Copied, &values, out);
    }

    pub(super) fn append(
        &mut self,
        under: Under,
        name: Name,
        flags: NamedFlags,
        received_secs: Option<i64>,
        content: Vec<u8>,
        out: &mut Output,
    ) {
        let Some(mailbox) = self.connection.mailbox().cloned() else { return };
        let Some((under, name)) = self.named(under, name, out) else { return };
        let Some(content) = newlines(content, self.peer.config.lone_newline) else {
            return self.refuse(under, Reply::LoneNewline, &[], out);
        };
        let limits = &self.peer.config.limits;
        if content.len() as u64 > limits.message {
            let limit = limits.message.to_string();
            return self.refuse(under, Reply::MessageTooLarge, &[("limit", &limit)], out);
        }
        let (shown, limit) = (self.wire_name(&name), limits.mailbox);
        let ask = Ask::Append { mailbox, name, content, flags, received_secs, limit };
        self.ask(under, Task::Append(shown), ask, out);
    }
}

/// A message whose lines end in CRLF, as the lab wants lone CRs and LFs treated; none where it refuses them.
fn newlines(content: Vec<u8>, lone: LoneNewline) -> Option<Vec<u8>> {
    let stands_alone = |at: usize| match content[at] {
        b'\n' => at == 0 || content[at - 1] != b'\r',
        _ => content.get(at + 1) != Some(&b'\n'),
    };
    if lone == LoneNewline::Keep || !memchr::memchr2_iter(b'\r', b'\n', &content).any(stands_alone) {
        return Some(content);
    }
    if lone == LoneNewline::Refuse {
        return None;
    }
    let mut text = Vec::with_capacity(content.len() + 64);
    for (at, octet) in content.iter().enumerate() {
        match octet {
            b'\r' | b'\n' if stands_alone(at) => text.extend_from_slice(b"\r\n"),
            octet => text.push(*octet),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_newlines_are_refused_converted_or_kept() {
        let lone = b"a\nb\r\nc\rd\r\n\n".to_vec();
        assert_eq!(newlines(lone.clone(), LoneNewline::Refuse), None);
        assert_eq!(newlines(lone.clone(), LoneNewline::Keep), Some(lone.clone()));
        assert_eq!(newlines(lone, LoneNewline::Convert).unwrap(), b"a\r\nb\r\nc\r\nd\r\n\r\n");
        assert_eq!(newlines(b"a\r\n".to_vec(), LoneNewline::Refuse).unwrap(), b"a\r\n");
    }
}
