//! Framing, apart from parsing: octets to command lines and message data, with every length bounded before it is kept.
//! However the octets are cut on their way, the same inputs come out. What a line means is the session's business.
//!
//! A line ends at LF; whether a CR stood before it is told along (RFC 5321 2.3.8). Data ends at `CRLF.CRLF` and nowhere
//! else, and a dot is taken away only after CRLF (RFC 5321 4.1.1.4, 4.5.2): a server that lets a lone LF do either can be
//! made to see a message that the next server does not. A chunk of BDAT has a length and needs no end (RFC 3030 2): its octets
//! are handed on as they come, and never looked at for commands. Here: lines, and what is cut where; `data` has DATA's message,
//! `chunk` BDAT's, `text` what both check.

mod chunk;
mod data;
mod text;

use crate::lab::{LoneNewline, ServerConfig};

use self::data::Receiver;
use super::{Input, Next};

pub use self::{
    chunk::Chunks,
    text::{Data, DataFault, append},
};

/// How much room [`Framer::buffer`] has for one read, in octets.
pub const READ: usize = 16 << 10;

/// How much is kept of a command line over the limit, in octets: enough to see what it was meant to be.
pub const HEAD: usize = 60;

/// The limits of one connection's framing, in octets with CRLF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest command line; a longer one is thrown away up to its end.
    pub line: usize,
    /// The longest text line of a message.
    pub text_line: usize,
    /// The longest message.
    pub message: u64,
    /// What happens to a lone CR or LF in data.
    pub lone_newline: LoneNewline,
}

impl Limits {
    /// What a server is told, with command lines of at most `line` octets.
    pub fn of(config: &ServerConfig, line: usize) -> Self {
        Self {
            line,
            text_line: config.limits.text_line,
            message: config.limits.message,
            lone_newline: config.lone_newline,
        }
    }
}

/// Cuts what a connection brings into inputs. It holds at most one line and what one read brought; an idle one holds nothing.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    buffer: Vec<u8>,
    /// Up to here the buffer is used up.
    start: usize,
    /// So many octets after `start` hold no line end.
    scanned: usize,
    /// So many octets of a line over the limit are thrown away already.
    dropped: u64,
    /// The beginning of such a line.
    head: Vec<u8>,
    data: Option<Receiver>,
}

impl Framer {
    /// A framer that has seen nothing.
    pub fn new(limits: Limits) -> Self {
        Self { limits, buffer: Vec::new(), start: 0, scanned: 0, dropped: 0, head: Vec::new(), data: None }
    }

    /// Adds what came.
    pub fn feed(&mut self, octets: &[u8]) {
        self.compact();
        self.buffer.extend_from_slice(octets);
    }

    /// The buffer to append to, with room for at least [`READ`] octets: for a driver that reads straight into it.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.compact();
        self.buffer.reserve(READ);
        &mut self.buffer
    }

    /// Whether octets wait that no input has used up: a pipelining client's next commands, or the start of one.
    pub fn is_empty(&self) -> bool {
        self.buffer.len() == self.start
    }

    /// Octets of memory that message data on its way takes.
    pub fn held(&self) -> usize {
        self.data.as_ref().map_or(0, Receiver::held)
    }

    /// Keeps nothing of message data on its way any more: it is heard to its end, and its fault is [`DataFault::NoRoom`].
    pub fn give_up(&mut self) {
        if let Some(receiver) = &mut self.data {
            receiver.refuse(DataFault::NoRoom);
        }
    }

    /// Throws away what waits, and says how many octets that were: after STARTTLS nothing that came in the clear may count
    /// (RFC 3207 4.2).
    pub fn clear(&mut self) -> usize {
        let waiting = self.buffer.len() - self.start;
        *self = Self::new(self.limits);
        waiting
    }

    /// The next input of the kind that the session wants, if all of it is there. After `None` the buffer has given back the memory it does not need.
    pub fn next(&mut self, want: Next) -> Option<Input<'_>> {
        match want {
            Next::Line => self.line(),
            Next::Data => self.data().map(Input::Data),
            Next::Chunk(left) => self.chunk(left).map(Input::Chunk),
            // After STARTTLS nothing is read but the handshake, which is no business of the framer.
            Next::StartTls | Next::Close => None,
        }
    }

    fn line(&mut self) -> Option<Input<'_>> {
        if self.dropped == 0 {
            self.head = Vec::new();
        }
        let rest = &self.buffer[self.start..];
        let Some(end) = memchr::memchr(b'\n', &rest[self.scanned..]).map(|at| self.scanned + at) else {
            self.scanned = rest.len();
            // Whatever ends it now, it is over the limit.
            if self.dropped > 0 || rest.len() >= self.limits.line {
                self.dropped += rest.len() as u64;
                keep_head(&mut self.head, rest);
                self.consume(self.scanned);
            }
            self.release();
            return None;
        };
        let length = end + 1;
        let line = self.start..self.start + end;
        self.consume(length);
        let octets = std::mem::take(&mut self.dropped) + length as u64;
        if octets > self.limits.line as u64 {
            keep_head(&mut self.head, &self.buffer[line]);
            self.head.pop_if(|octet| *octet == b'\r');
            return Some(Input::LineTooLong { head: &self.head, octets });
        }
        let line = &self.buffer[line];
        let (octets, crlf) = line.strip_suffix(b"\r").map_or((line, false), |line| (line, true));
        Some(Input::Line { octets, crlf })
    }

    fn data(&mut self) -> Option<Data> {
        let receiver = self.data.get_or_insert_with(|| Receiver::new(self.limits));
        let (used, ended) = receiver.take(&self.buffer[self.start..]);
        self.consume(used);
        if !ended {
            self.release();
            return None;
        }
        self.data.take().map(Receiver::into_data)
    }

    /// What has come of the octets that are left of a chunk.
    fn chunk(&mut self, left: u64) -> Option<&[u8]> {
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len() - self.start);
        if length == 0 {
            self.release();
            return None;
        }
        let piece = self.start..self.start + length;
        self.consume(length);
        Some(&self.buffer[piece])
    }

    fn consume(&mut self, octets: usize) {
        self.start += octets;
        self.scanned = 0;
    }

    fn compact(&mut self) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
    }

    fn release(&mut self) {
        self.compact();
        self.buffer.shrink_to_fit();
    }
}

/// Adds to the beginning of a line what it still lacks; the line's end is no part of it.
fn keep_head(head: &mut Vec<u8>, octets: &[u8]) {
    head.extend_from_slice(&octets[..octets.len().min(HEAD - head.len())]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { line: 20, text_line: 12, message: 40, lone_newline: LoneNewline::Refuse };

    /// Everything that comes out of `pieces`: lines as text, `!n` for a line of n octets that was too long.
    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut framer = Framer::new(LIMITS);
        let mut found = Vec::new();
        for piece in pieces {
            framer.feed(piece);
            while let Some(input) = framer.next(Next::Line) {
                found.push(match input {
                    Input::Line { octets, crlf } => format!("{}{}", octets.escape_ascii(), if crlf { "" } else { "~" }),
                    Input::LineTooLong { octets, .. } => format!("!{octets}"),
                    other => panic!("{other:?}"),
                });
            }
        }
        found
    }

    #[test]
    fn a_line_ends_at_lf_and_tells_about_its_cr() {
        assert_eq!(lines(&[b"NOOP\r\nQUIT\nx\ry\r\n\r\n"]), ["NOOP", "QUIT~", "x\\ry", ""]);
        assert_eq!(lines(&[b"NO", b"OP\r", b"\nQU"]), ["NOOP"]);
        assert_eq!(lines(&[b"\xff\0\r\n"]), ["\\xff\\x00"]);
    }

    #[test]
    fn a_line_over_the_limit_is_thrown_away_to_its_end() {
        let line = |length: usize| [b"x".repeat(length - 2).as_slice(), b"\r\nNOOP\r\n"].concat();
        assert_eq!(lines(&[&line(20)]), ["x".repeat(18).as_str(), "NOOP"]);
        assert_eq!(lines(&[&line(21)]), ["!21", "NOOP"]);
        let many: Vec<&[u8]> =
            std::iter::repeat_n(b"0123456789".as_slice(), 1_000).chain([b"\r\n".as_slice()]).collect();
        assert_eq!(lines(&many), ["!10002"]);
    }

    #[test]
    fn an_endless_line_costs_no_memory() {
        let mut framer = Framer::new(LIMITS);
        for _ in 0..10_000 {
            framer.feed(b"0123456789");
            assert_eq!(framer.next(Next::Line), None);
            assert!(framer.buffer.capacity() <= 64);
        }
    }

    #[test]
    fn an_idle_framer_holds_no_memory() {
        let mut framer = Framer::new(LIMITS);
        framer.buffer().extend_from_slice(b"NOOP\r\n");
        assert!(framer.next(Next::Line).is_some() && framer.next(Next::Line).is_none());
        assert!(framer.is_empty());
        assert_eq!(framer.buffer.capacity(), 0);
    }

    #[test]
    fn a_chunk_is_cut_off_by_its_length_and_nothing_else() {
        let mut framer = Framer::new(LIMITS);
        framer.feed(b"\r\n.\r\nQUI");
        assert_eq!(framer.next(Next::Chunk(7)), Some(Input::Chunk(b"\r\n.\r\nQU")));
        assert_eq!(framer.next(Next::Chunk(3)), Some(Input::Chunk(b"I")));
        assert_eq!(framer.next(Next::Chunk(2)), None);
        framer.feed(b"T\r\nNOOP\r\n");
        assert_eq!(framer.next(Next::Chunk(u64::MAX)), Some(Input::Chunk(b"T\r\nNOOP\r\n")));
        assert!(framer.is_empty());
    }

    #[test]
    fn what_came_in_the_clear_can_be_thrown_away() {
        let mut framer = Framer::new(LIMITS);
        framer.feed(b"STARTTLS\r\nMAIL FROM:<>\r\n");
        assert!(framer.next(Next::Line).is_some());
        framer.clear();
        assert!(framer.is_empty() && framer.next(Next::Line).is_none());
    }

    #[test]
    fn the_beginning_of_a_line_over_the_limit_is_kept() {
        let limits = Limits { line: 8, ..LIMITS };
        let head = |line: &str, step: usize| {
            let mut framer = Framer::new(limits);
            let mut found = Vec::new();
            for piece in line.as_bytes().chunks(step) {
                framer.feed(piece);
                while let Some(input) = framer.next(Next::Line) {
                    let Input::LineTooLong { head, octets } = input else { panic!("{input:?}") };
                    found.push((String::from_utf8(head.to_vec()).unwrap(), octets));
                }
            }
            found
        };
        for step in [1, 7, 1_000] {
            let long = "x".repeat(HEAD);
            assert_eq!(head(&format!("{long}\n{long}y\n"), step), [(long.clone(), 61), (long.clone(), 62)], "{step}");
            assert_eq!(head("NOOP xxxx\n", step), [("NOOP xxxx".to_owned(), 10)], "{step}");
        }
    }

    proptest! {
        #[test]
        fn however_lines_are_cut_the_same_comes_out(
            octets in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'x')], 0..200),
            step in 1..9_usize,
        ) {
            let cut: Vec<&[u8]> = octets.chunks(step).collect();
            prop_assert_eq!(lines(&cut), lines(&[&octets]));
        }
    }
}
