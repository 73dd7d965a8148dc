//! The text of a message on its way, however it is framed: its limits, and what becomes of a CR or LF that stands alone.

use super::Limits;
use crate::lab::LoneNewline;

/// A message as it came, by DATA up to `CRLF.CRLF` or by BDAT in chunks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Data {
    /// The content, after DATA without its dots, every line with its CRLF; empty where a limit was passed.
    pub content: Vec<u8>,
    /// Octets that came, after DATA with dots and the final `.CRLF`.
    pub octets: u64,
    /// Why the content is not whole or not wanted, the first reason found.
    pub fault: Option<DataFault>,
}

/// What is wrong with message data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataFault {
    /// More octets than the message limit.
    TooLarge,
    /// A text line over the limit.
    LineTooLong,
    /// A CR or LF that stands alone, where the lab refuses it.
    LoneNewline,
    /// The server has too much mail under way to keep it.
    NoRoom,
}

/// Text on its way.
#[derive(Debug)]
pub struct Text {
    limits: Limits,
    data: Data,
    /// Octets of the text line so far.
    line: usize,
    /// Octets of the message so far, kept or not.
    size: u64,
}

impl Text {
    /// Nothing yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, data: Data::default(), line: 0, size: 0 }
    }

    /// Why the message cannot be taken, as far as that is known.
    pub const fn fault(&self) -> Option<DataFault> {
        self.data.fault
    }

    /// Whether the last line has no end yet.
    pub const fn is_inside_a_line(&self) -> bool {
        self.line > 0
    }

    /// All of it.
    pub fn into_data(self) -> Data {
        self.data
    }

    /// Octets of memory that it takes.
    pub const fn held(&self) -> usize {
        self.data.content.capacity()
    }

    /// Notes that so many octets came.
    pub const fn came(&mut self, octets: usize) {
        self.data.octets += octets as u64;
    }

    /// Counts text of one line against both limits. Which of them is passed first must not depend on how the text was cut.
    pub fn count(&mut self, octets: usize) {
        let line_room = self.limits.text_line.saturating_sub(2 + self.line) as u64;
        let room = self.limits.message.saturating_sub(self.size);
        self.line += octets;
        self.size += octets as u64;
        if octets as u64 > line_room.min(room) {
            self.refuse(if line_room <= room { DataFault::LineTooLong } else { DataFault::TooLarge });
        }
    }

    /// Counts a line end of so many octets.
    pub fn newline(&mut self, octets: u64) {
        self.line = 0;
        self.size += octets;
        if self.size > self.limits.message {
            self.refuse(DataFault::TooLarge);
        }
    }

    /// A CR or LF that stands alone.
    pub fn lone_newline(&mut self, octet: u8) {
        match self.limits.lone_newline {
            LoneNewline::Refuse => self.refuse(DataFault::LoneNewline),
            LoneNewline::Convert => {
                self.newline(2);
                self.keep(b"\r\n");
            }
            LoneNewline::Keep => {
                self.newline(1);
                self.keep(&[octet]);
            }
        }
    }

    /// Keeps octets that are counted already.
    pub fn keep(&mut self, octets: &[u8]) {
        if self.data.fault.is_none() {
            append(&mut self.data.content, octets);
        }
    }

    /// Keeps nothing of the message any more, and says why: the first reason counts.
    pub fn refuse(&mut self, fault: DataFault) {
        self.data.fault.get_or_insert(fault);
        self.data.content = Vec::new();
    }
}

/// Appends to what may become large: its room grows by a quarter at a time, where a vector's own would double.
pub fn append(content: &mut Vec<u8>, octets: &[u8]) {
    if content.capacity() - content.len() < octets.len() {
        content.reserve_exact(octets.len().max(content.len() / 4));
    }
    content.extend_from_slice(octets);
}
