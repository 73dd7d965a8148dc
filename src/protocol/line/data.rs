//! DATA's message: it ends at `CRLF.CRLF` and nowhere else, and a dot is taken away only after CRLF (RFC 5321 4.1.1.4, 4.5.2).

use super::{
    Limits,
    text::{Data, DataFault, Text},
};

/// Message data on its way.
#[derive(Debug)]
pub struct Receiver {
    text: Text,
    /// The next octet is the first after CRLF: a dot there is not text.
    at_start: bool,
}

impl Receiver {
    /// Nothing yet.
    pub fn new(limits: Limits) -> Self {
        // The CRLF before the final dot may be the one that ended DATA's own line (RFC 5321 4.1.1.4).
        Self { text: Text::new(limits), at_start: true }
    }

    /// Takes what it can, and says how much that was and whether the data has ended. Up to two octets may stay until it
    /// is known what they mean.
    pub fn take(&mut self, octets: &[u8]) -> (usize, bool) {
        let (mut used, mut kept) = (0, 0);
        let ended = loop {
            let rest = &octets[used..];
            if self.at_start {
                match rest {
                    [b'.', b'\r', b'\n', ..] => {
                        self.text.keep(&octets[kept..used]);
                        used += 3;
                        kept = used;
                        break true;
                    }
                    [] | [b'.'] | [b'.', b'\r'] => break false,
                    [b'.', ..] => {
                        self.text.keep(&octets[kept..used]);
                        used += 1;
                        kept = used;
                    }
                    [..] => {}
                }
                self.at_start = false;
                continue;
            }
            let Some(run) = memchr::memchr2(b'\r', b'\n', rest) else {
                self.text.count(rest.len());
                used += rest.len();
                break false;
            };
            self.text.count(run);
            used += run;
            match &octets[used..] {
                [b'\r'] => break false,
                [b'\r', b'\n', ..] => {
                    self.text.newline(2);
                    self.at_start = true;
                    used += 2;
                }
                lone => {
                    self.text.keep(&octets[kept..used]);
                    self.text.lone_newline(lone[0]);
                    used += 1;
                    kept = used;
                }
            }
        };
        self.text.keep(&octets[kept..used]);
        self.text.came(used);
        (used, ended)
    }

    /// Octets of memory that it takes.
    pub const fn held(&self) -> usize {
        self.text.held()
    }

    /// Keeps nothing of it any more.
    pub fn refuse(&mut self, fault: DataFault) {
        self.text.refuse(fault);
    }

    /// The message, when it has ended.
    pub fn into_data(self) -> Data {
        self.text.into_data()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        lab::LoneNewline,
        protocol::{
            Input, Next,
            line::{DataFault, Framer},
        },
    };

    const LIMITS: Limits = Limits { line: 20, text_line: 12, message: 40, lone_newline: LoneNewline::Refuse };

    fn data(limits: Limits, octets: &[u8], step: usize) -> Option<(Data, Vec<u8>)> {
        let mut framer = Framer::new(limits);
        let mut pieces = octets.chunks(step);
        loop {
            framer.feed(pieces.next()?);
            if let Some(input) = framer.next(Next::Data) {
                let Input::Data(data) = input else { panic!("{input:?}") };
                let rest = framer.buffer().clone();
                return Some((data, [rest, pieces.collect::<Vec<_>>().concat()].concat()));
            }
        }
    }

    fn content(lone_newline: LoneNewline, octets: &[u8]) -> Result<String, DataFault> {
        let (data, _) = data(Limits { lone_newline, ..LIMITS }, octets, 3).expect("the end");
        assert_eq!(data.octets, octets.len() as u64);
        data.fault.map_or_else(|| Ok(data.content.escape_ascii().to_string()), Err)
    }

    #[test]
    fn data_ends_at_crlf_dot_crlf_only() {
        let refuse = |octets| content(LoneNewline::Refuse, octets);
        assert_eq!(refuse(b".\r\n").as_deref(), Ok(""));
        assert_eq!(refuse(b"a\r\n.\r\n").as_deref(), Ok("a\\r\\n"));
        assert_eq!(refuse(b"..\r\n.b\r\n...\r\nc.\r\n.\r\n").as_deref(), Ok(".\\r\\nb\\r\\n..\\r\\nc.\\r\\n"));
        for open in
            ["", ".", ".\r", ".\n", "a\r\n.\n", "a\n.\r\n", "a\n.\n", "a\r.\r\n", "a\r.\r", "a\r\n.\r", ".\r\r\n"]
        {
            for lone_newline in [LoneNewline::Refuse, LoneNewline::Convert, LoneNewline::Keep] {
                assert_eq!(data(Limits { lone_newline, ..LIMITS }, open.as_bytes(), 9), None, "{open:?}");
            }
        }
    }

    #[test]
    fn a_lone_newline_is_refused_converted_or_kept() {
        for (octets, converted, kept) in [
            (b"a\nb\r\n.\r\n".as_slice(), "a\\r\\nb\\r\\n", "a\\nb\\r\\n"),
            (b"a\rb\r\n.\r\n", "a\\r\\nb\\r\\n", "a\\rb\\r\\n"),
            (b"a\n.\r\n.\r\n", "a\\r\\n.\\r\\n", "a\\n.\\r\\n"),
            (b".\n\r\n.\r\n", "\\r\\n\\r\\n", "\\n\\r\\n"),
            (b"a\r\r\n.\r\n", "a\\r\\n\\r\\n", "a\\r\\r\\n"),
        ] {
            assert_eq!(content(LoneNewline::Refuse, octets), Err(DataFault::LoneNewline));
            assert_eq!(content(LoneNewline::Convert, octets).as_deref(), Ok(converted));
            assert_eq!(content(LoneNewline::Keep, octets).as_deref(), Ok(kept));
        }
    }

    #[test]
    fn text_lines_and_messages_are_limited_on_both_sides() {
        let text = |lines: &[usize]| {
            let lines: Vec<String> = lines.iter().map(|length| "x".repeat(length - 2)).collect();
            content(LoneNewline::Refuse, format!("{}\r\n.\r\n", lines.join("\r\n")).as_bytes()).map(|_| ())
        };
        assert_eq!(text(&[12]), Ok(()));
        assert_eq!(text(&[13]), Err(DataFault::LineTooLong));
        assert_eq!(text(&[10, 10, 10, 10]), Ok(()));
        assert_eq!(text(&[10, 10, 10, 11]), Err(DataFault::TooLarge));
        // The dot that is taken away counts for neither limit.
        assert!(content(LoneNewline::Refuse, b"..345678901\r\n.\r\n").is_ok());
    }

    proptest! {
        #[test]
        fn however_data_is_cut_the_same_comes_out(
            octets in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a')], 0..120),
            step in 1..7_usize,
            lone_newline in prop_oneof![Just(LoneNewline::Refuse), Just(LoneNewline::Convert), Just(LoneNewline::Keep)],
        ) {
            let limits = Limits { lone_newline, ..LIMITS };
            let whole = data(limits, &octets, usize::MAX);
            prop_assert_eq!(&data(limits, &octets, step), &whole);
            let end = memchr::memmem::find(&[b"\r\n", octets.as_slice()].concat(), b"\r\n.\r\n").map(|at| at + 3);
            prop_assert_eq!(whole.map(|(data, _)| data.octets), end.map(|end| end as u64));
        }
    }
}
