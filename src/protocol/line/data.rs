//! DATA's message: it ends at `CRLF.CRLF` and nowhere else, and a dot is taken away only after CRLF (RFC 5321 4.1.1.4, 4.5.2).

use super::{
    Limits,
    text::{Data, DataFault, Newline, Text},
};

/// Message data on its way.
#[derive(Debug)]
pub struct Receiver {
    text: Text,
    /// The next octet is the first after CRLF: a dot there is not text.
    at_start: bool,
    /// What the line has, whatever ended the one before it.
    open: Open,
    /// A line with a dot alone that ended in LF was told.
    told: bool,
}

/// What has come of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    Dot,
    More,
}

/// How far message data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More has to come.
    Open,
    /// The first time that a line with a dot alone ended in LF, and so did not end the data: which line it was. There may be more.
    LoneDot { line: u64 },
    /// All of it is there.
    Ended,
}

impl Receiver {
    /// Nothing yet.
    pub fn new(limits: Limits) -> Self {
        // The CRLF before the final dot may be the one that ended DATA's own line (RFC 5321 4.1.1.4).
        Self { text: Text::new(limits), at_start: true, open: Open::Nothing, told: false }
    }

    /// Takes what it can, and says how much that was and how far the data is. Up to two octets may stay until it is known what
    /// they mean.
    pub fn take(&mut self, octets: &[u8]) -> (usize, Progress) {
        let (mut used, mut kept) = (0, 0);
        let progress = loop {
            let rest = &octets[used..];
            if self.at_start {
                match rest {
                    [b'.', b'\r', b'\n', ..] => {
                        self.text.keep(&octets[kept..used]);
                        used += 3;
                        kept = used;
                        break Progress::Ended;
                    }
                    [] | [b'.'] | [b'.', b'\r'] => break Progress::Open,
                    [b'.', ..] => {
                        self.text.keep(&octets[kept..used]);
                        used += 1;
                        kept = used;
                        self.open = Open::Dot;
                    }
                    [..] => {}
                }
                self.at_start = false;
                continue;
            }
            let Some(run) = memchr::memchr2(b'\r', b'\n', rest) else {
                self.text.count(rest.len());
                self.open = self.open.with(rest);
                used += rest.len();
                break Progress::Open;
            };
            self.text.count(run);
            self.open = self.open.with(&rest[..run]);
            used += run;
            match &octets[used..] {
                [b'\r'] => break Progress::Open,
                [b'\r', b'\n', ..] => {
                    self.text.newline(2);
                    self.at_start = true;
                    self.open = Open::Nothing;
                    used += 2;
                }
                lone => {
                    let line = self.text.line_number();
                    self.text.keep(&octets[kept..used]);
                    self.text.lone_newline(Newline::of(lone[0]));
                    let dot = lone[0] == b'\n' && self.open == Open::Dot && !self.told;
                    self.open = Open::Nothing;
                    used += 1;
                    kept = used;
                    if dot {
                        self.told = true;
                        break Progress::LoneDot { line };
                    }
                }
            }
        };
        self.text.keep(&octets[kept..used]);
        self.text.came(used);
        (used, progress)
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

impl Open {
    const fn with(self, octets: &[u8]) -> Self {
        match (self, octets) {
            (open, []) => open,
            (Self::Nothing, [b'.']) => Self::Dot,
            (Self::Nothing | Self::Dot | Self::More, _) => Self::More,
        }
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
            while let Some(input) = framer.next(Next::Data) {
                let data = match input {
                    Input::Data(data) => data,
                    Input::LoneDot { .. } => continue,
                    input => panic!("{input:?}"),
                };
                let rest = framer.buffer().clone();
                return Some((data, [rest, pieces.collect::<Vec<_>>().concat()].concat()));
            }
        }
    }

    /// The lines that the framer tells of: a dot alone that ended in LF.
    fn lone_dots(octets: &[u8], step: usize) -> Vec<u64> {
        let mut framer = Framer::new(LIMITS);
        let mut found = Vec::new();
        for piece in octets.chunks(step) {
            framer.feed(piece);
            while let Some(input) = framer.next(Next::Data) {
                match input {
                    Input::LoneDot { line } => found.push(line),
                    _ => return found,
                }
            }
        }
        found
    }

    #[test]
    fn a_dot_that_ends_in_lf_is_told_once() {
        for (octets, lines) in [
            ("a\n\nb\n.\nQUIT\n", vec![4]),
            (".\n", vec![1]),
            ("a\r\n.\n", vec![2]),
            ("a\n.\n.\n", vec![2]),
            ("a\r\n..\n", vec![]),
            ("a\n..\nb.\n", vec![]),
            ("a\r.\r", vec![]),
            ("a\r\n.\r\n.\n", vec![]),
        ] {
            for step in [1, 2, 99] {
                assert_eq!(lone_dots(octets.as_bytes(), step), lines, "{octets:?} by {step}");
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
            let fault = content(LoneNewline::Refuse, octets);
            assert!(matches!(fault, Err(DataFault::LoneNewline { .. })), "{fault:?}");
            assert_eq!(content(LoneNewline::Convert, octets).as_deref(), Ok(converted));
            assert_eq!(content(LoneNewline::Keep, octets).as_deref(), Ok(kept));
        }
    }

    #[test]
    fn the_first_lone_newline_is_named_with_its_line() {
        let fault = |octets| content(LoneNewline::Refuse, octets);
        let lone = |line, newline| Err(DataFault::LoneNewline { line, newline });
        assert_eq!(fault(b"a\r\nb\nc\r\n.\r\n"), lone(2, Newline::Lf));
        assert_eq!(fault(b"a\nb\rc\r\n.\r\n"), lone(1, Newline::Lf));
        assert_eq!(fault(b"a\rb\n\r\n.\r\n"), lone(1, Newline::Cr));
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
