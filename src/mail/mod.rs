//! Mail as values: envelopes, stored messages, header fields, line ends and dots. No I/O, no sockets, and no MIME code of
//! our own: structure comes from mail-parser.

pub mod address;
pub mod decoding;
pub mod dsn;
pub mod fields;
pub mod folder;
pub mod outgoing;
pub mod parts;
pub mod subject;
pub mod utf7;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use outgoing::{Confirmation, Outgoing, QueueChange, QueueId, Queued, Wishes};

use crate::names::{Login, MessageId, Timestamp, Uid};

/// A message on its way into the store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// The reverse-path without brackets; empty for the null path.
    pub from: String,
    /// The forward-paths as given, without brackets.
    pub recipients: Vec<String>,
    /// What the sender wants to be told of the delivery; none where it said nothing.
    pub notices: Option<Box<dsn::Notices>>,
    /// The notice that goes to the sender once the message is in the mailboxes, in the same commit.
    pub confirmation: Option<Box<Confirmation>>,
    /// What the message may hold, as MAIL said.
    pub body: Body,
    /// Whether MAIL said that addresses and header fields may be UTF-8 (RFC 6531).
    pub utf8: bool,
    /// The mailboxes they stand for, each once.
    pub mailboxes: Vec<Login>,
    /// Those whom other servers are to get it for.
    pub outgoing: Vec<Outgoing>,
    /// When it came, on the clock that nobody sets.
    pub came: Timestamp,
    /// By which name another server of the lab has it in its queue: what comes twice is kept once.
    pub queue_name: Option<String>,
    /// What the server puts in front: Return-Path and Received (RFC 5321 4.4), each line with CRLF.
    pub trace: Vec<u8>,
    /// The message as sent, after dot-unstuffing, every line with CRLF.
    pub content: Vec<u8>,
}

/// What a message may hold (RFC 6152, BODY). A message that needs 8 bits goes to a server that takes them, or nowhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// ASCII, as far as was promised; also where nothing was said.
    #[default]
    SevenBit,
    /// Lines of any octets.
    EightBit,
}

/// A message in an open mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the mailbox.
    pub uid: Uid,
    /// The stored message.
    pub message: MessageId,
    /// Octets as RETR sends them before dot-stuffing, with CRLFs (RFC 1939 11).
    pub octets: u64,
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256(octets: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(64);
    for octet in Sha256::digest(octets) {
        let _ = write!(text, "{octet:02x}");
    }
    text
}

/// Where the body starts: after the first empty line; the end of the message where there is none.
pub fn body_start(message: &[u8]) -> usize {
    let mut at = 0;
    while at < message.len() {
        let line = message[at..].iter().position(|octet| *octet == b'\n').map_or(message.len(), |end| at + end + 1);
        if matches!(&message[at..line], b"\r\n" | b"\n") {
            return line;
        }
        at = line;
    }
    message.len()
}

/// Whether a line may end in this octet, also in one that stands alone.
pub const fn ends_a_line(octet: u8) -> bool {
    matches!(octet, b'\r' | b'\n')
}

/// Writes `message` as a multi-line reply's content: a dot before each line that starts with one, also the very first
/// (RFC 1939 3, RFC 5321 4.5.2). A CR or LF that stands alone counts as a line end: whoever reads on takes it for one
/// perhaps, and a dot behind it for the end. The final `.` line is the caller's.
pub fn dot_stuff(message: &[u8], out: &mut Vec<u8>) {
    dot_stuff_piece(message, true, out);
}

/// The same for octets from the middle of a message; `at_start` says whether they begin a line, whatever ended the one before.
pub fn dot_stuff_piece(message: &[u8], at_start: bool, out: &mut Vec<u8>) {
    out.reserve(message.len() + 64);
    let mut rest = 0;
    for at in memchr::memchr_iter(b'.', message) {
        if at.checked_sub(1).map_or(at_start, |before| ends_a_line(message[before])) {
            out.extend_from_slice(&message[rest..at]);
            out.push(b'.');
            rest = at;
        }
    }
    out.extend_from_slice(&message[rest..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_stuffed_on_every_line_and_the_first() {
        let stuffed = |text: &str| {
            let mut out = Vec::new();
            dot_stuff(text.as_bytes(), &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(stuffed(".a\r\n.b\r\nc.\r\n..\r\n"), "..a\r\n..b\r\nc.\r\n...\r\n");
        assert_eq!(stuffed(""), "");
        assert_eq!(stuffed("\r\n.\r\n.\r\n"), "\r\n..\r\n..\r\n");
        assert_eq!(
            stuffed("a\n.\nb\r.\rc\r\r.\n\n..\r."),
            "a\n..\nb\r..\rc\r\r..\n\n...\r..",
            "CR and LF alone as well"
        );
    }

    #[test]
    fn the_body_starts_after_the_first_empty_line() {
        assert_eq!(body_start(b"A: b\r\n\r\nbody"), 8);
        assert_eq!(body_start(b"\r\nbody"), 2);
        assert_eq!(body_start(b"no blank line\r\n"), 15);
    }
}
