//! FETCH (RFC 9051 6.4.5, 7.5.2): the messages in order, a few at a time, so that an answer is sent while the next one is read
//! and no session holds more than [`BATCH_OCTETS`] of mail and one message.

use std::io::Write as _;

use jiff::{Timestamp, tz::Offset};

use super::{
    Session, Task, Under,
    changes::numbers_missing,
    command::Since,
    items::{Item, Wanted},
    reply::Reply,
    resync::write_vanished,
    section::{self, Decoded},
    sequence::Set,
    structure,
    syntax::write_nstring,
    tell::{Told as Row, write_flags, write_row},
    view::View,
};
use crate::{
    evidence::{EventKind, Uid},
    mail::{
        folder::{Flags, NamedFlags},
        parts::Part,
    },
    protocol::{
        Output,
        folders::{Ask, Change, Told},
    },
};

/// The most messages that are read at once.
pub const BATCH_MESSAGES: usize = 64;

/// The most octets that are read at once, unless one message alone has more.
pub const BATCH_OCTETS: u64 = 256 << 10;

/// A FETCH under way.
#[derive(Debug)]
pub(super) struct Fetching {
    items: Vec<Item>,
    /// The messages' places, and the next one of them.
    places: Vec<usize>,
    next: usize,
    /// How many are being read.
    batch: usize,
    /// UIDs of messages that this FETCH marks as read, in order: their flags are told.
    marked: Vec<u32>,
    step: Step,
    /// What cannot be told of some message.
    fault: Option<Reply>,
}

/// What the store was last asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// To mark messages as read.
    Mark,
    /// What the folder holds after that.
    Sync,
    /// Messages.
    Read,
}

impl Session {
    pub(super) fn fetch(&mut self, under: Under, set: &Set, items: Vec<Item>, since: Option<Since>, out: &mut Output) {
        if since.is_some_and(|since| since.vanished) && !self.qresync {
            return self.refuse(under, Reply::NeedQresync, &[], out);
        }
        if items.contains(&Item::ModSeq) {
            self.tell_modseqs(out);
        }
        let Some(view) = self.connection.view() else { return };
        let Some(mut places) = view.places(set, under.uid) else { return numbers_missing(self, under, out) };
        if let Some(Since { modseq, vanished }) = since {
            places.retain(|place| view.rows()[*place].modseq > modseq);
            if vanished {
                write_vanished(view, &view.uids(set), &mut out.reply);
            }
        }
        let unread =
            |place: &usize| Some(view.rows()[*place]).filter(|row| !row.flags.has(Flags::SEEN)).map(|row| row.uid);
        let marks = !view.read_only && items.iter().any(Item::reads);
        let marked: Vec<u32> = if marks { places.iter().filter_map(unread).collect() } else { Vec::new() };
        let mut fetching = Fetching { items, places, next: 0, batch: 0, marked, step: Step::Mark, fault: None };
        if fetching.marked.is_empty() {
            fetching.step = Step::Read;
            return self.fetch_on(under, Box::new(fetching), out);
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
        match (fetching.step, told) {
            (Step::Mark, Some(Told::Stored { .. })) => {
                let Some(view) = self.connection.view() else { return };
                fetching.step = Step::Sync;
                let ask = Ask::Sync { known: std::sync::Arc::clone(&view.snapshot), claim: !view.read_only };
                return self.ask(under, Task::Fetch(fetching), ask, out);
            }
            (Step::Sync, Some(Told::Selected { snapshot, recent })) => {
                let marked = std::mem::take(&mut fetching.marked);
                // Numbers must hold until the last message is told, whoever deletes what meanwhile.
                self.tell_but(snapshot, recent, false, under.uid, &marked, out);
                fetching.marked = marked;
                fetching.step = Step::Read;
            }
            (Step::Read, Some(Told::Messages(messages))) => {
                let Some(view) = self.connection.view() else { return };
                let read = fetching.places[fetching.next..].iter().zip(&messages).take(fetching.batch);
                for (place, message) in read {
                    let fault = write_answer(view, *place, &fetching, Some(message), self.now.utc_offset_secs, out);
                    fetching.fault = fetching.fault.or(fault);
                }
                fetching.next += fetching.batch;
            }
            _ => {
                // The messages that were to be read cannot be: the others still can.
                fetching.fault = Some(Reply::FetchFailed);
                fetching.step = Step::Read;
                fetching.next += fetching.batch;
            }
        }
        self.fetch_on(under, fetching, out);
    }

    fn fetch_on(&mut self, under: Under, mut fetching: Box<Fetching>, out: &mut Output) {
        let Some(view) = self.connection.view() else { return };
        let rest = &fetching.places[fetching.next..];
        if fetching.items.iter().any(Item::needs_message) && !rest.is_empty() {
            let messages = batch(view, rest);
            fetching.batch = messages.len();
            return self.ask(under, Task::Fetch(fetching), Ask::Read { messages }, out);
        }
        for place in rest {
            let _ = write_answer(view, *place, &fetching, None, self.now.utc_offset_secs, out);
        }
        match fetching.fault {
            Some(reply) => self.answer(under, reply, &[], out),
            None => self.complete(under, out),
        }
    }
}

/// The next messages to read.
pub(super) fn batch(view: &View, places: &[usize]) -> Vec<crate::evidence::MessageId> {
    let mut octets = 0;
    let fits = |place: &&usize| {
        octets += u64::from(view.rows()[**place].octets);
        octets <= BATCH_OCTETS
    };
    let count = places.iter().take(BATCH_MESSAGES).take_while(fits).count().max(1);
    places.iter().take(count).map(|place| view.rows()[*place].message).collect()
}

/// Appends `* 3 FETCH (…)`; what could not be told comes back.
fn write_answer(
    view: &View,
    place: usize,
    fetching: &Fetching,
    message: Option<&Vec<u8>>,
    utc_offset_secs: i32,
    out: &mut Output,
) -> Option<Reply> {
    let row = view.rows()[place];
    let message = message.map(Vec::as_slice).unwrap_or_default();
    let needs_parts = |item: &Item| match item {
        Item::Section(wanted) => {
            !wanted.section.path.is_empty() || wanted.section.text != super::items::SectionText::All
        }
        Item::Binary(_) | Item::BinarySize(_) | Item::Envelope | Item::Body | Item::BodyStructure => true,
        Item::Flags | Item::InternalDate | Item::Size | Item::Uid | Item::ModSeq => false,
    };
    let parts = fetching.items.iter().any(needs_parts).then(|| Part::of(message));
    let root = parts.as_ref();
    let mut fault = None;
    let reply = &mut out.reply;
    let _ = write!(reply, "* {} FETCH ", place + 1);
    let mut opening = b'(';
    let mut open = |reply: &mut Vec<u8>| reply.push(std::mem::replace(&mut opening, b' '));
    for item in &fetching.items {
        open(reply);
        match item {
            Item::Flags => write_all_flags(view, &row, reply),
            Item::Uid => _ = write!(reply, "UID {}", row.uid),
            Item::Size => _ = write!(reply, "RFC822.SIZE {}", row.octets),
            Item::ModSeq => _ = write!(reply, "MODSEQ ({})", row.modseq),
            Item::InternalDate => {
                _ = write!(reply, "INTERNALDATE \"{}\"", date_time(row.received_secs, utc_offset_secs));
            }
            Item::Envelope => {
                reply.extend_from_slice(b"ENVELOPE ");
                let header = root.and_then(|root| message.get(root.header.clone())).unwrap_or_default();
                structure::write_envelope(header, reply);
            }
            Item::Body | Item::BodyStructure => {
                let extended = *item == Item::BodyStructure;
                reply.extend_from_slice(if extended { b"BODYSTRUCTURE " } else { b"BODY " });
                if let Some(root) = root {
                    structure::write_structure(message, root, extended, reply);
                }
            }
            Item::Section(wanted) => {
                let whole = Part { header: 0..0, body: 0..message.len(), kind: crate::mail::parts::Kind::Leaf };
                let octets = section::octets(message, root.unwrap_or(&whole), &wanted.section);
                if octets.as_ref().is_some_and(|octets| section::is_whole(&wanted.section, wanted.range, octets.len()))
                {
                    out.events.push(EventKind::Retrieved {
                        message: row.message,
                        mailbox: view.snapshot.mailbox.clone(),
                        uid: Uid(u64::from(row.uid)),
                        top: None,
                        folder: view.snapshot.name.clone(),
                    });
                }
                write_octets(wanted, octets.as_deref(), false, reply);
            }
            Item::Binary(wanted) | Item::BinarySize(wanted) => {
                let decoded =
                    match root.map_or(Decoded::Missing, |root| section::decoded(message, root, &wanted.section.path)) {
                        Decoded::Octets(octets) => Some(octets),
                        Decoded::Missing => None,
                        Decoded::UnknownEncoding => {
                            fault = Some(Reply::UnknownEncoding);
                            None
                        }
                    };
                if matches!(item, Item::BinarySize(_)) {
                    let _ = write!(reply, "{} {}", wanted.shown, decoded.map_or(0, |octets| octets.len()));
                } else {
                    write_octets(wanted, decoded.as_deref(), true, reply);
                }
            }
        }
    }
    // What this FETCH itself changed is told with it (RFC 9051 6.4.5).
    if fetching.marked.binary_search(&row.uid).is_ok() && !fetching.items.contains(&Item::Flags) {
        open(reply);
        write_all_flags(view, &row, reply);
    }
    reply.extend_from_slice(b")\r\n");
    fault
}

fn write_all_flags(view: &View, row: &crate::mail::folder::Row, reply: &mut Vec<u8>) {
    reply.extend_from_slice(b"FLAGS (");
    write_flags(view, row, reply);
    reply.push(b')');
}

/// Appends an item with its octets: a literal, or for decoded octets with a NUL a literal8 (RFC 9051 4.3).
fn write_octets(wanted: &Wanted, octets: Option<&[u8]>, binary: bool, reply: &mut Vec<u8>) {
    reply.extend_from_slice(wanted.shown.as_bytes());
    if let Some((first, _)) = wanted.range {
        let _ = write!(reply, "<{first}>");
    }
    reply.push(b' ');
    let Some(octets) = octets else { return write_nstring(None, reply) };
    let octets = section::within(octets, wanted.range);
    let tilde = if binary && octets.contains(&0) { "~" } else { "" };
    let _ = write!(reply, "{tilde}{{{}}}\r\n", octets.len());
    reply.extend_from_slice(octets);
}

/// `17-Jul-1996 02:44:25 -0700`, the day with a blank where it has one digit (RFC 9051 9, date-time).
fn date_time(secs: i64, utc_offset_secs: i32) -> String {
    let offset = Offset::from_seconds(utc_offset_secs).unwrap_or(Offset::UTC);
    let time = Timestamp::from_second(secs).unwrap_or_default();
    time.to_zoned(offset.to_time_zone()).strftime("%e-%b-%Y %H:%M:%S %z").to_string()
}

/// Appends the flags of a message that STORE changed or wanted to change.
pub(super) fn write_stored(view: &View, place: usize, told: Row, out: &mut Output) {
    write_row(view, place, &view.rows()[place], told, &mut out.reply);
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

    #[test]
    fn dates_are_those_of_rfc_9051() {
        assert_eq!(date_time(837_596_665, -25_200), "17-Jul-1996 02:44:25 -0700");
        assert_eq!(date_time(0, 0), " 1-Jan-1970 00:00:00 +0000");
    }
}
