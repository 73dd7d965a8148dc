//! What RETR and TOP send of a message, piece by piece as it is read: which octets, with dots stuffed and the final `.` line
//! (RFC 1939 3, 5, 7, 11).

use crate::mail::dot_stuff_piece;

/// The content of a multi-line reply on its way.
#[derive(Debug)]
pub struct Content {
    /// For TOP: the body lines that are still to be sent.
    lines: Option<u64>,
    in_header: bool,
    /// Octets of the line that has no end yet.
    open: usize,
    /// The last two octets that were sent.
    tail: [u8; 2],
}

impl Content {
    /// Nothing sent yet; `lines` is TOP's number of body lines.
    pub const fn new(lines: Option<u64>) -> Self {
        Self { lines, in_header: true, open: 0, tail: *b"\r\n" }
    }

    /// Appends what is sent of the message's next octets, and says whether more of them are wanted.
    pub fn write(&mut self, octets: &[u8], out: &mut Vec<u8>) -> bool {
        let at_start = self.open == 0;
        let (sent, more) = self.cut(octets);
        dot_stuff_piece(sent, at_start, out);
        match *sent {
            [.., before, last] => self.tail = [before, last],
            [last] => self.tail = [self.tail[1], last],
            [] => {}
        }
        more
    }

    /// Appends the end. A line end is added in the one case that needs it: without one the final `.` would not stand on a line
    /// of its own.
    pub fn end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(missing_line_end(&self.tail));
        out.extend_from_slice(b".\r\n");
    }

    /// What is sent of these octets: for TOP the header, the empty line after it, and the first lines of the body.
    fn cut<'a>(&mut self, octets: &'a [u8]) -> (&'a [u8], bool) {
        let Some(lines) = &mut self.lines else {
            let end = memchr::memrchr(b'\n', octets);
            self.open = end.map_or(self.open + octets.len(), |end| octets.len() - end - 1);
            return (octets, true);
        };
        let mut at = 0;
        while let Some(length) = memchr::memchr(b'\n', &octets[at..]) {
            let last = if length > 0 { octets[at + length - 1] } else { self.tail[1] };
            let length_of_line = std::mem::take(&mut self.open) + length;
            at += length + 1;
            if self.in_header {
                self.in_header = length_of_line > 1 || length_of_line == 1 && last != b'\r';
            } else {
                *lines -= 1;
            }
            if !self.in_header && *lines == 0 {
                return (&octets[..at], false);
            }
        }
        self.open += octets.len() - at;
        (octets, true)
    }
}

/// The line end that a message lacks, whose last octets these are.
pub fn missing_line_end(octets: &[u8]) -> &'static [u8] {
    if octets.is_empty() || octets.ends_with(b"\r\n") { b"" } else { b"\r\n" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MESSAGE: &[u8] = b".A: b\r\n C: d\r\n\r\n.one\r\ntwo\r\n";

    fn written(message: &[u8], lines: Option<u64>, step: usize) -> Vec<u8> {
        let (mut content, mut out) = (Content::new(lines), Vec::new());
        let _ = message.chunks(step).all(|piece| content.write(piece, &mut out));
        content.end(&mut out);
        out
    }

    /// What a client makes of a multi-line reply's content.
    fn unstuffed(content: &[u8]) -> Vec<u8> {
        let whole = content.strip_suffix(b".\r\n").expect("the final line");
        let lines = whole.split_inclusive(|octet| *octet == b'\n');
        lines.flat_map(|line| line.strip_prefix(b".").unwrap_or(line)).copied().collect()
    }

    #[test]
    fn top_counts_body_lines_only() {
        let top = |message: &[u8], lines| unstuffed(&written(message, Some(lines), 64));
        for (lines, sent) in [
            (0, ".A: b\r\n C: d\r\n\r\n"),
            (1, ".A: b\r\n C: d\r\n\r\n.one\r\n"),
            (2, ".A: b\r\n C: d\r\n\r\n.one\r\ntwo\r\n"),
            (3, ".A: b\r\n C: d\r\n\r\n.one\r\ntwo\r\n"),
            (u64::MAX, ".A: b\r\n C: d\r\n\r\n.one\r\ntwo\r\n"),
        ] {
            assert_eq!(top(MESSAGE, lines), sent.as_bytes(), "{lines}");
        }
        assert_eq!(top(b"A: b\r\n", 1), b"A: b\r\n");
        assert_eq!(top(b"A: b\r\n\r\n", 0), b"A: b\r\n\r\n");
        assert_eq!(top(b"A: b\n\nc\nd\n", 1), b"A: b\n\nc\n\r\n");
    }

    #[test]
    fn a_line_end_is_added_only_where_there_is_none() {
        let written = |message| written(message, None, 64);
        assert_eq!(written(MESSAGE), b"..A: b\r\n C: d\r\n\r\n..one\r\ntwo\r\n.\r\n");
        assert_eq!(written(b"a"), b"a\r\n.\r\n");
        assert_eq!(written(b"a\n"), b"a\n\r\n.\r\n");
        assert_eq!(written(b""), b".\r\n");
        assert_eq!(written(b"."), b"..\r\n.\r\n");
    }

    fn odd_messages() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), Just(b'a')], 0..60)
    }

    proptest! {
        #[test]
        fn octets_announced_are_octets_sent(message in odd_messages()) {
            let received = unstuffed(&written(&message, None, 64));
            prop_assert_eq!(received.len(), message.len() + missing_line_end(&message).len());
            prop_assert!(received.starts_with(&message));
        }

        #[test]
        fn however_a_message_is_read_the_same_is_sent(
            message in odd_messages(),
            step in 1..9_usize,
            lines in proptest::option::of(0..4_u64),
        ) {
            prop_assert_eq!(written(&message, lines, step), written(&message, lines, 64));
        }

        #[test]
        fn the_end_comes_once(message in "[.a\r\n]{0,40}") {
            let content = written(message.as_bytes(), None, 64);
            let ends = content.split_inclusive(|octet| *octet == b'\n').filter(|line| *line == b".\r\n").count();
            prop_assert_eq!(ends, 1);
        }
    }
}
