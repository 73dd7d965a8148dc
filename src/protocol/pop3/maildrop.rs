//! An open mailbox: its messages by number, which of them are marked deleted, and the listings made from that. A message
//! keeps its number for the whole session (RFC 1939 4); one that is marked is in no total and no listing (RFC 1939 5).

use std::{fmt, io::Write as _};

use crate::{lab::Login, mail::Entry, protocol::WINDOW};

/// A mailbox while a session has it.
#[derive(Debug)]
pub struct Maildrop {
    /// Its name.
    pub mailbox: Login,
    entries: Vec<Entry>,
    marked: Vec<bool>,
    count: usize,
    octets: u64,
}

/// The number of a message in this session: 1, 2, 3 …
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number(usize);

/// Why a number stands for no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoMessage {
    /// It is no whole number from 1 on.
    NotANumber,
    /// There is none so high.
    Absent,
    /// It is marked deleted.
    Marked,
}

impl Maildrop {
    /// The mailbox as the store gave it.
    pub fn new(mailbox: Login, entries: Vec<Entry>) -> Self {
        let (count, octets) = (entries.len(), total(&entries));
        Self { mailbox, marked: vec![false; count], entries, count, octets }
    }

    /// How many messages there are, without marked ones.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// Their octets together.
    pub const fn octets(&self) -> u64 {
        self.octets
    }

    /// The message that `text` names.
    pub fn find(&self, text: &[u8]) -> Result<Number, NoMessage> {
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) || text.iter().all(|digit| *digit == b'0') {
            return Err(NoMessage::NotANumber);
        }
        // Digits that overflow are a number all the same: higher than any message's.
        let number = decimal(text).and_then(|number| usize::try_from(number).ok()).unwrap_or(usize::MAX);
        match self.marked.get(number - 1) {
            Some(false) => Ok(Number(number)),
            Some(true) => Err(NoMessage::Marked),
            None => Err(NoMessage::Absent),
        }
    }

    /// The message of this number.
    pub fn entry(&self, number: Number) -> Entry {
        self.entries[number.0 - 1]
    }

    /// Marks a message deleted.
    pub fn mark(&mut self, number: Number) {
        let marked = &mut self.marked[number.0 - 1];
        if !*marked {
            *marked = true;
            self.count -= 1;
            self.octets = self.octets.saturating_sub(self.entries[number.0 - 1].octets);
        }
    }

    /// Takes all marks off.
    pub fn unmark_all(&mut self) {
        self.marked.fill(false);
        self.count = self.entries.len();
        self.octets = total(&self.entries);
    }

    /// What QUIT is to delete.
    pub fn marked(&self) -> impl Iterator<Item = Entry> {
        self.entries.iter().zip(&self.marked).filter_map(|(entry, marked)| marked.then_some(*entry))
    }

    /// Appends lines for the messages that are there, from a place on; the place of the next message where these are as many as
    /// go at once. The final line comes with the last of them.
    pub fn write_listing(&self, what: Listing, from: usize, out: &mut Vec<u8>) -> Option<usize> {
        out.reserve((self.count.saturating_sub(from) * 20).min(WINDOW));
        for (index, (entry, marked)) in self.entries.iter().zip(&self.marked).enumerate().skip(from) {
            if out.len() >= WINDOW {
                return Some(index);
            }
            let _ = match what {
                _ if *marked => Ok(()),
                Listing::Scan => write!(out, "{} {}\r\n", index + 1, entry.octets),
                Listing::UniqueIds => write!(out, "{} {}\r\n", index + 1, UniqueId(*entry)),
            };
        }
        out.extend_from_slice(b".\r\n");
        None
    }
}

/// What is told of each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// Its octets (LIST).
    Scan,
    /// Its unique-id (UIDL).
    UniqueIds,
}

impl fmt::Display for Number {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A message's unique-id (RFC 1939 7): its number in the mailbox, which is never given twice there, a dot, and its number in
/// the store, which is never given twice either. Digits and one dot, so no two pairs look alike; 41 characters at most.
#[derive(Debug, Clone, Copy)]
pub struct UniqueId(pub Entry);

impl fmt::Display for UniqueId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.0.uid.0, self.0.message.0)
    }
}

/// A number of decimal digits; none where it is something else or overflows.
pub fn decimal(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()))?.parse().ok()
}

fn total(entries: &[Entry]) -> u64 {
    entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{MessageId, Uid};

    fn three() -> Maildrop {
        let entry = |uid, message, octets| Entry { uid: Uid(uid), message: MessageId(message), octets };
        Maildrop::new("ana".parse().unwrap(), vec![entry(4, 11, 100), entry(6, 20, 20), entry(7, 30, 3)])
    }

    fn scan(maildrop: &Maildrop) -> String {
        let mut out = Vec::new();
        assert_eq!(maildrop.write_listing(Listing::Scan, 0, &mut out), None);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_limited_on_both_sides() {
        let maildrop = three();
        for (text, found) in [
            ("0", Err(NoMessage::NotANumber)),
            ("000", Err(NoMessage::NotANumber)),
            ("1", Ok(Number(1))),
            ("3", Ok(Number(3))),
            ("4", Err(NoMessage::Absent)),
            ("003", Ok(Number(3))),
            ("18446744073709551615", Err(NoMessage::Absent)),
            ("18446744073709551616", Err(NoMessage::Absent)),
            ("18446744073709551617", Err(NoMessage::Absent)),
            ("99999999999999999999999999", Err(NoMessage::Absent)),
            ("-1", Err(NoMessage::NotANumber)),
            ("+1", Err(NoMessage::NotANumber)),
            ("1x", Err(NoMessage::NotANumber)),
            ("1.0", Err(NoMessage::NotANumber)),
            ("uno", Err(NoMessage::NotANumber)),
            ("", Err(NoMessage::NotANumber)),
        ] {
            assert_eq!(maildrop.find(text.as_bytes()), found, "{text:?}");
        }
    }

    #[test]
    fn a_marked_message_is_in_no_total_and_no_listing_and_keeps_its_number() {
        let mut maildrop = three();
        let second = maildrop.find(b"2").unwrap();
        maildrop.mark(second);
        maildrop.mark(second);
        assert_eq!((maildrop.count(), maildrop.octets()), (2, 103));
        assert_eq!(scan(&maildrop), "1 100\r\n3 3\r\n.\r\n");
        assert_eq!(maildrop.find(b"2"), Err(NoMessage::Marked));
        assert_eq!(maildrop.marked().map(|entry| entry.uid.0).collect::<Vec<_>>(), [6]);
        maildrop.unmark_all();
        assert_eq!((maildrop.count(), maildrop.octets()), (3, 123));
        assert_eq!(scan(&maildrop), "1 100\r\n2 20\r\n3 3\r\n.\r\n");
    }

    #[test]
    fn a_unique_id_fits_its_rule_and_no_two_look_alike() {
        let id = |uid, message| UniqueId(Entry { uid: Uid(uid), message: MessageId(message), octets: 0 }).to_string();
        assert_ne!(id(1, 23), id(12, 3));
        let longest = id(u64::MAX, u64::MAX);
        assert!(longest.len() <= 70 && longest.bytes().all(|octet| (0x21..=0x7e).contains(&octet)), "{longest}");
        let mut out = Vec::new();
        three().write_listing(Listing::UniqueIds, 0, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "1 4.11\r\n2 6.20\r\n3 7.30\r\n.\r\n");
    }
}
