//! FETCH's answer for one message (RFC 9051 7.5.2), item by item: what is short is written, what is long is left as a place to read
//! from. Between two pieces only places are kept.

use std::{io::Write as _, ops::Range};

use jiff::{Timestamp, tz::Offset};

use super::{
    items::{Item, SectionText, Wanted},
    reply::Reply,
    section::{self, Content, Place},
    structure,
    syntax::{write_nstring, write_number},
    tell::{write_flags, write_head},
    view::View,
};
use crate::{
    evidence::{EventKind, Uid},
    mail::{decoding::Decoder, folder::Row, parts::Part},
    protocol::{Action, Output, PIECE, WINDOW},
};

/// Messages of more octets are read in pieces, and read whole only for what must see all of them.
pub const BATCH_OCTETS: u64 = 24 << 10;

/// Why an answer does not go on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Halt {
    /// It is complete.
    Told,
    /// The client is to take what is written first.
    Window,
    /// The message must be read.
    Message,
    /// Octets of an item come from the store: [`Answer::read`] says which.
    Octets,
}

/// The answer for one message, as far as it is.
#[derive(Debug, Default)]
pub struct Answer {
    /// The item that comes next.
    item: usize,
    /// The message's parts, once they are known.
    parts: Option<Part>,
    source: Option<Source>,
    /// What cannot be told.
    pub fault: Option<Reply>,
}

/// Octets of a literal that are still to be sent.
#[derive(Debug)]
struct Source {
    /// Where they stand in the message.
    octets: Range<u64>,
    decoding: Option<Decoding>,
    /// Whether they are the last of a whole message.
    whole: bool,
}

/// A literal that stands encoded in the message.
#[derive(Debug)]
struct Decoding {
    decoder: Decoder,
    /// Decoded octets before the literal, and those of it.
    skipped: u64,
    left: u64,
}

/// What all answers of a FETCH have in common.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    pub view: &'a View,
    pub items: &'a [Item],
    /// UIDs of messages whose flags this FETCH changed: they are told with it (RFC 9051 6.4.5).
    pub marked: &'a [u32],
    pub utc_offset_secs: i32,
}

impl Frame<'_> {
    fn tells_flags_too(&self, row: &Row) -> bool {
        self.marked.binary_search(&row.uid).is_ok() && !self.items.contains(&Item::Flags)
    }
}

impl Answer {
    /// Writes on, up to the next halt. `message` is there where it was read; what is in the way otherwise is [`Halt::Message`].
    pub fn write(&mut self, frame: Frame<'_>, place: usize, message: Option<&[u8]>, out: &mut Output) -> Halt {
        let row = frame.view.rows()[place];
        while let Some(item) = frame.items.get(self.item) {
            if out.reply.len() >= WINDOW {
                return Halt::Window;
            }
            if message.is_none() && !self.can_tell(item, &row) {
                return Halt::Message;
            }
            match self.item {
                0 => write_head(place, &mut out.reply),
                _ => out.reply.push(b' '),
            }
            self.item += 1;
            self.write_item(frame, item, &row, message, out);
            if self.source.is_some() {
                return Halt::Octets;
            }
        }
        if frame.tells_flags_too(&row) {
            out.reply.push(b' ');
            write_all_flags(frame.view, &row, &mut out.reply);
        }
        self.close(out);
        Halt::Told
    }

    /// Ends the line, if it is begun: what could not be told is left out.
    pub fn close(&mut self, out: &mut Output) {
        if self.item > 0 {
            out.reply.extend_from_slice(b")\r\n");
        }
        *self = Self { fault: self.fault, ..Self::default() };
    }

    /// Whether a literal was announced and is not complete.
    pub const fn is_inside_a_literal(&self) -> bool {
        self.source.is_some()
    }

    /// The next octets to read.
    pub fn read(&self, row: &Row) -> Option<Action> {
        let Range { start, end } = self.source.as_ref()?.octets;
        Some(Action::Read { message: row.message, from: start, most: (end - start).min(PIECE) })
    }

    /// Takes octets that were read. False where they cannot be what was announced.
    pub fn take(&mut self, view: &View, row: &Row, octets: &[u8], out: &mut Output) -> bool {
        let Some(source) = &mut self.source else { return false };
        let Some(more) = source.take(octets, &mut out.reply) else { return false };
        if !more {
            if source.whole {
                out.events.push(retrieved(view, row));
            }
            self.source = None;
        }
        true
    }

    /// Whether an item can be told without the message at hand.
    fn can_tell(&self, item: &Item, row: &Row) -> bool {
        match item {
            Item::Flags | Item::InternalDate | Item::Size | Item::Uid | Item::ModSeq => true,
            Item::Section(_) if u64::from(row.octets) <= BATCH_OCTETS => false,
            Item::Section(Wanted { section, .. }) => match section.text {
                SectionText::Fields { .. } => false,
                SectionText::All if section.path.is_empty() => true,
                SectionText::All | SectionText::Header | SectionText::Text | SectionText::Mime => self.parts.is_some(),
            },
            Item::Envelope | Item::Body | Item::BodyStructure | Item::Binary(_) | Item::BinarySize(_) => false,
        }
    }

    fn write_item(&mut self, frame: Frame<'_>, item: &Item, row: &Row, message: Option<&[u8]>, out: &mut Output) {
        let Frame { view, utc_offset_secs, .. } = frame;
        let reply = &mut out.reply;
        let whole = |wanted: &Wanted| wanted.section.path.is_empty() && wanted.section.text == SectionText::All;
        if !matches!(item, Item::Section(wanted) if whole(wanted)) && item.needs_message() && self.parts.is_none() {
            self.parts = message.map(Part::of);
        }
        let (root, message_or_none) = (self.parts.as_ref(), message.unwrap_or_default());
        match item {
            Item::Flags => write_all_flags(view, row, reply),
            Item::Uid => {
                reply.extend_from_slice(b"UID ");
                write_number(row.uid, reply);
            }
            Item::Size => {
                reply.extend_from_slice(b"RFC822.SIZE ");
                write_number(row.octets, reply);
            }
            Item::ModSeq => _ = write!(reply, "MODSEQ ({})", row.modseq),
            Item::InternalDate => {
                _ = write!(reply, "INTERNALDATE \"{}\"", date_time(row.received_secs, utc_offset_secs));
            }
            Item::Envelope => {
                reply.extend_from_slice(b"ENVELOPE ");
                let header = root.and_then(|root| message_or_none.get(root.header.clone())).unwrap_or_default();
                structure::write_envelope(section::looked_at(header), reply);
            }
            Item::Body | Item::BodyStructure => {
                let extended = *item == Item::BodyStructure;
                reply.extend_from_slice(if extended { b"BODYSTRUCTURE " } else { b"BODY " });
                if let Some(root) = root {
                    structure::write(message_or_none, root, extended, reply);
                }
            }
            Item::Section(wanted) => {
                let octets = row.octets as usize;
                let found = if whole(wanted) {
                    Some(Place { octets: 0..octets, fields: None })
                } else {
                    root.and_then(|root| section::place(root, &wanted.section))
                };
                match found {
                    None => write_name(wanted, reply, |reply| write_nstring(None, reply)),
                    Some(Place { octets, fields: Some((names, not)) }) => {
                        let header = message_or_none.get(octets).unwrap_or_default();
                        let text = section::some_fields(header, names, not);
                        let range = section::within(0..text.len() as u64, wanted.range);
                        write_name(wanted, reply, |reply| write_literal(&text[usable(&range)], "", reply));
                    }
                    Some(Place { octets, fields: None }) => {
                        let last = section::is_whole(&wanted.section, wanted.range, octets.len());
                        let range = section::within(octets.start as u64..octets.end as u64, wanted.range);
                        let source = Source { octets: range, decoding: None, whole: last };
                        self.send(source, wanted, "", message, frame.view, row, out);
                    }
                }
            }
            Item::Binary(wanted) | Item::BinarySize(wanted) => {
                let content =
                    root.map_or(Content::Missing, |root| section::content(message_or_none, root, &wanted.section.path));
                if content == Content::UnknownEncoding {
                    self.fault = Some(Reply::UnknownEncoding);
                }
                if matches!(item, Item::BinarySize(_)) {
                    let length = match content {
                        Content::Plain(octets) => octets.len() as u64,
                        Content::Encoded { length, .. } => length,
                        Content::Missing | Content::UnknownEncoding => 0,
                    };
                    let _ = write!(reply, "{} {length}", wanted.shown);
                    return;
                }
                let (octets, decoding) = match content {
                    Content::Missing | Content::UnknownEncoding => {
                        return write_name(wanted, reply, |reply| write_nstring(None, reply));
                    }
                    Content::Plain(octets) => {
                        (section::within(octets.start as u64..octets.end as u64, wanted.range), None)
                    }
                    Content::Encoded { octets, encoding, length } => {
                        let range = section::within(0..length, wanted.range);
                        let decoder = Decoder::new(encoding);
                        let decoding = Decoding { decoder, skipped: range.start, left: range.end - range.start };
                        (octets.start as u64..octets.end as u64, Some(decoding))
                    }
                };
                let source = Source { octets, decoding, whole: false };
                let tilde = if source.has_nul(message_or_none) { "~" } else { "" };
                self.send(source, wanted, tilde, message, frame.view, row, out);
            }
        }
    }

    /// Announces a literal, and writes it where it is short and at hand.
    #[expect(clippy::too_many_arguments, reason = "a literal, and the line that it is part of")]
    fn send(
        &mut self,
        mut source: Source,
        wanted: &Wanted,
        tilde: &str,
        message: Option<&[u8]>,
        view: &View,
        row: &Row,
        out: &mut Output,
    ) {
        let length = source.length();
        write_name(wanted, &mut out.reply, |reply| _ = write!(reply, "{tilde}{{{length}}}\r\n"));
        let stands =
            message.filter(|_| length <= WINDOW as u64).and_then(|message| message.get(usable(&source.octets)));
        if let Some(octets) = stands {
            source.take(octets, &mut out.reply);
        }
        if length > 0 && stands.is_none() {
            self.source = Some(source);
        } else if source.whole {
            out.events.push(retrieved(view, row));
        }
    }
}

impl Source {
    /// Octets of the literal that are still to be sent.
    fn length(&self) -> u64 {
        self.decoding.as_ref().map_or(self.octets.end - self.octets.start, |decoding| decoding.left)
    }

    /// Whether the literal has a NUL: it must be a literal8 then (RFC 9051 4.3).
    fn has_nul(&self, message: &[u8]) -> bool {
        let octets = message.get(usable(&self.octets)).unwrap_or_default();
        let Some(Decoding { decoder, skipped, left }) = &self.decoding else { return octets.contains(&0) };
        let (mut at, mut found) = (0_u64, false);
        let wanted = *skipped..skipped + left;
        section::decoded(octets, decoder.encoding(), |piece| {
            found |= piece.iter().zip(at..).any(|(octet, at)| *octet == 0 && wanted.contains(&at));
            at += piece.len() as u64;
        });
        found
    }

    /// Writes what the literal has of these octets; whether more are to be read, none where they cannot be what was announced.
    fn take(&mut self, mut octets: &[u8], reply: &mut Vec<u8>) -> Option<bool> {
        let left = self.octets.end - self.octets.start;
        let last = octets.len() as u64 >= left;
        if octets.is_empty() && left > 0 || octets.len() as u64 > left {
            return None;
        }
        // CR and LF stay together: a fault that changes line ends sees whole ones.
        if let Some(before) = octets.strip_suffix(b"\r").filter(|before| !last && !before.is_empty()) {
            octets = before;
        }
        self.octets.start += octets.len() as u64;
        let Some(decoding) = &mut self.decoding else {
            reply.extend_from_slice(octets);
            return Some(!last);
        };
        let mut text = Vec::new();
        decoding.decoder.write(octets, &mut text);
        if last {
            decoding.decoder.clone().end(&mut text);
        }
        let skipped = decoding.skipped.min(text.len() as u64);
        let taken = decoding.left.min(text.len() as u64 - skipped);
        reply.extend_from_slice(&text[usable(&(skipped..skipped + taken))]);
        decoding.skipped -= skipped;
        decoding.left -= taken;
        if last && decoding.left > 0 { None } else { Some(decoding.left > 0) }
    }
}

/// The message was sent whole.
fn retrieved(view: &View, row: &Row) -> EventKind {
    EventKind::Retrieved {
        message: row.message,
        mailbox: view.snapshot.mailbox.clone(),
        uid: Uid(u64::from(row.uid)),
        top: None,
        folder: view.snapshot.name.clone(),
    }
}

/// A place as one in memory.
fn usable(range: &Range<u64>) -> Range<usize> {
    let place = |octet: u64| usize::try_from(octet).unwrap_or(usize::MAX);
    place(range.start)..place(range.end)
}

fn write_all_flags(view: &View, row: &Row, reply: &mut Vec<u8>) {
    reply.extend_from_slice(b"FLAGS (");
    write_flags(view, row, reply);
    reply.push(b')');
}

/// Appends an item's name, and its value.
fn write_name(wanted: &Wanted, reply: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    reply.extend_from_slice(wanted.shown.as_bytes());
    if let Some((first, _)) = wanted.range {
        let _ = write!(reply, "<{first}>");
    }
    reply.push(b' ');
    value(reply);
}

fn write_literal(octets: &[u8], tilde: &str, reply: &mut Vec<u8>) {
    let _ = write!(reply, "{tilde}{{{}}}\r\n", octets.len());
    reply.extend_from_slice(octets);
}

/// `17-Jul-1996 02:44:25 -0700`, the day with a blank where it has one digit (RFC 9051 9, date-time).
fn date_time(secs: i64, utc_offset_secs: i32) -> String {
    let offset = Offset::from_seconds(utc_offset_secs).unwrap_or(Offset::UTC);
    let time = Timestamp::from_second(secs).unwrap_or_default();
    time.to_zoned(offset.to_time_zone()).strftime("%e-%b-%Y %H:%M:%S %z").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_rfc_9051() {
        assert_eq!(date_time(837_596_665, -25_200), "17-Jul-1996 02:44:25 -0700");
        assert_eq!(date_time(0, 0), " 1-Jan-1970 00:00:00 +0000");
    }
}
