//! BDAT's message (RFC 3030 2): its chunks one behind the other. A chunk may end anywhere, between CR and LF too, and a dot is a
//! dot. The message still has lines (BINARYMIME is not offered), so what DATA checks of them is checked here as well.

use super::{
    Limits,
    text::{Data, DataFault, Text},
};

/// The chunks of a message on their way.
#[derive(Debug)]
pub struct Chunks {
    text: Text,
    /// The last octet was a CR: whether it stands alone the next one says.
    cr: bool,
}

impl Chunks {
    /// No chunk yet.
    pub fn new(limits: Limits) -> Self {
        Self { text: Text::new(limits), cr: false }
    }

    /// Why the message cannot be taken, as far as that is known.
    pub const fn fault(&self) -> Option<DataFault> {
        self.text.fault()
    }

    /// Octets of memory that they take.
    pub const fn held(&self) -> usize {
        self.text.held()
    }

    /// Keeps nothing of them any more.
    pub fn refuse(&mut self, fault: DataFault) {
        self.text.refuse(fault);
    }

    /// Takes what came of a chunk.
    pub fn take(&mut self, octets: &[u8]) {
        self.text.came(octets.len());
        let mut rest = octets;
        if self.cr && !rest.is_empty() {
            self.cr = false;
            if let Some(behind) = rest.strip_prefix(b"\n") {
                self.text.newline(2);
                self.text.keep(b"\r\n");
                rest = behind;
            } else {
                self.text.lone_newline(b'\r');
            }
        }
        let (mut used, mut kept) = (0, 0);
        while let Some(run) = memchr::memchr2(b'\r', b'\n', &rest[used..]) {
            self.text.count(run);
            used += run;
            match &rest[used..] {
                [b'\r', b'\n', ..] => {
                    self.text.newline(2);
                    used += 2;
                }
                [b'\r'] => {
                    self.text.keep(&rest[kept..used]);
                    self.cr = true;
                    return;
                }
                lone => {
                    self.text.keep(&rest[kept..used]);
                    self.text.lone_newline(lone[0]);
                    used += 1;
                    kept = used;
                }
            }
        }
        self.text.count(rest.len() - used);
        self.text.keep(&rest[kept..]);
    }

    /// The whole message. A last line without an end gets one, as every line of a stored message has it.
    pub fn end(mut self) -> Data {
        if self.cr {
            self.text.lone_newline(b'\r');
        }
        if self.text.is_inside_a_line() {
            self.text.keep(b"\r\n");
        }
        self.text.into_data()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lab::LoneNewline;

    const LIMITS: Limits = Limits { line: 20, text_line: 12, message: 40, lone_newline: LoneNewline::Refuse };

    fn whole(limits: Limits, chunks: &[&[u8]]) -> Data {
        let mut message = Chunks::new(limits);
        for chunk in chunks {
            message.take(chunk);
        }
        message.end()
    }

    fn content(chunks: &[&[u8]]) -> Result<String, DataFault> {
        let data = whole(LIMITS, chunks);
        data.fault.map_or_else(|| Ok(data.content.escape_ascii().to_string()), Err)
    }

    #[test]
    fn chunks_are_one_message_wherever_they_end() {
        assert_eq!(
            content(&[b"a\r\n.\r\n", b"", b"b\r", b"\n..c\r\n"]).as_deref(),
            Ok("a\\r\\n.\\r\\nb\\r\\n..c\\r\\n")
        );
        assert_eq!(content(&[]).as_deref(), Ok(""));
        assert_eq!(content(&[b"no", b" end"]).as_deref(), Ok("no end\\r\\n"));
    }

    #[test]
    fn a_newline_that_stands_alone_is_seen_across_chunks() {
        for chunks in [[b"a\r".as_slice(), b"b"], [b"a\n", b""], [b"a\r", b""], [b"a\r", b"\r\n"]] {
            assert_eq!(content(&chunks), Err(DataFault::LoneNewline), "{chunks:?}");
        }
        let convert = Limits { lone_newline: LoneNewline::Convert, ..LIMITS };
        assert_eq!(whole(convert, &[b"a\r", b"b\n"]).content, b"a\r\nb\r\n");
        let keep = Limits { lone_newline: LoneNewline::Keep, ..LIMITS };
        assert_eq!(whole(keep, &[b"a\r", b"b\nc\r\n"]).content, b"a\rb\nc\r\n");
    }

    #[test]
    fn lines_and_messages_are_limited_on_both_sides() {
        let line = |octets: usize| content(&[&b"x".repeat(octets - 2), b"\r\n"]).map(|_| ());
        assert_eq!((line(12), line(13)), (Ok(()), Err(DataFault::LineTooLong)));
        let message = |last: usize| content(&[&b"12345678\r\n".repeat(3), &b"x".repeat(last - 2), b"\r\n"]).map(|_| ());
        assert_eq!((message(10), message(11)), (Ok(()), Err(DataFault::TooLarge)));
    }

    #[test]
    fn what_is_refused_is_not_kept() {
        let data = whole(LIMITS, &[&b"12345678\r\n".repeat(5)]);
        assert_eq!((data.content.capacity(), data.octets), (0, 50));
    }

    proptest! {
        #[test]
        fn however_chunks_are_cut_the_same_comes_out(
            octets in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..120),
            step in 1..7_usize,
            lone_newline in prop_oneof![Just(LoneNewline::Refuse), Just(LoneNewline::Convert), Just(LoneNewline::Keep)],
        ) {
            let limits = Limits { lone_newline, ..LIMITS };
            let cut: Vec<&[u8]> = octets.chunks(step).collect();
            prop_assert_eq!(whole(limits, &cut), whole(limits, &[&octets]));
        }
    }
}
