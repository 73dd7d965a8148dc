//! The pieces that commands are made of (RFC 9051 9): atoms, strings, numbers, lists. Each either reads or says what was
//! expected where, so that a refusal can teach. The octets are those of a whole command, literals in their places.

use std::borrow::Cow;

/// Where a command cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Octets of the command before the place.
    pub at: usize,
    /// What should stand there.
    pub expected: &'static str,
}

/// The result of reading a piece.
pub type Read<T> = Result<T, Fault>;

/// A place in a command.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    octets: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The start of a command.
    pub const fn new(octets: &'a [u8]) -> Self {
        Self { octets, at: 0 }
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        &self.octets[self.at..]
    }

    /// Whether nothing is left.
    pub fn is_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// Octets read.
    pub const fn position(&self) -> usize {
        self.at
    }

    /// The fault of something else than `expected` standing here.
    pub const fn fault(&self, expected: &'static str) -> Fault {
        Fault { at: self.at, expected }
    }

    /// The next octet, left where it is.
    pub fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// Takes this octet if it is next.
    pub fn take(&mut self, octet: u8) -> bool {
        let here = self.peek() == Some(octet);
        self.at += usize::from(here);
        here
    }

    /// Takes this octet.
    pub fn must(&mut self, octet: u8, expected: &'static str) -> Read<()> {
        if self.take(octet) { Ok(()) } else { Err(self.fault(expected)) }
    }

    /// Takes the one blank between two words. Where the command ends, `expected` is what is missing.
    pub fn space(&mut self, expected: &'static str) -> Read<()> {
        if self.is_end() {
            return Err(self.fault(expected));
        }
        self.must(b' ', "one blank")?;
        match self.peek() {
            Some(b' ') => Err(self.fault("one blank only")),
            Some(_) => Ok(()),
            None => Err(self.fault(expected)),
        }
    }

    /// Nothing more may follow.
    pub fn end(&self) -> Read<()> {
        if self.is_end() { Ok(()) } else { Err(self.fault("the end of the command")) }
    }

    /// Takes a word, whatever its case, if it is next and ends there.
    pub fn word(&mut self, word: &str) -> bool {
        let rest = self.rest();
        let here = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
            && rest.get(word.len()).is_none_or(|octet| !is_atom(*octet));
        self.at += if here { word.len() } else { 0 };
        here
    }

    fn run(&mut self, belongs: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let length = rest.iter().position(|octet| !belongs(*octet)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// An atom.
    pub fn atom(&mut self, expected: &'static str) -> Read<&'a [u8]> {
        let before = self.clone();
        match self.run(is_atom) {
            [] => Err(before.fault(expected)),
            atom => Ok(atom),
        }
    }

    /// A run of letters, digits, dots and hyphens: the name of an item.
    pub fn name(&mut self, expected: &'static str) -> Read<&'a [u8]> {
        let before = self.clone();
        match self.run(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'=')) {
            [] => Err(before.fault(expected)),
            name => Ok(name),
        }
    }

    /// An atom or a string.
    pub fn astring(&mut self, expected: &'static str) -> Read<Cow<'a, [u8]>> {
        if self.at_string() {
            return self.string(expected);
        }
        let before = self.clone();
        match self.run(|octet| is_atom(octet) || octet == b']') {
            [] => Err(before.fault(expected)),
            atom => Ok(atom.into()),
        }
    }

    /// A string or NIL.
    pub fn nstring(&mut self, expected: &'static str) -> Read<Option<Cow<'a, [u8]>>> {
        if self.word("NIL") { Ok(None) } else { self.string(expected).map(Some) }
    }

    /// Whether a string begins here.
    pub fn at_string(&self) -> bool {
        matches!(self.peek(), Some(b'"' | b'{')) || self.rest().starts_with(b"~{")
    }

    /// A quoted string or a literal.
    pub fn string(&mut self, expected: &'static str) -> Read<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted().map(Into::into),
            Some(b'{' | b'~') => self.literal().map(Into::into),
            Some(_) | None => Err(self.fault(expected)),
        }
    }

    fn quoted(&mut self) -> Read<Vec<u8>> {
        let open = self.clone();
        self.at += 1;
        let mut text = Vec::new();
        while let Some(octet) = self.peek() {
            match octet {
                b'"' => {
                    self.at += 1;
                    return Ok(text);
                }
                b'\\' => {
                    self.at += 1;
                    match self.peek() {
                        Some(octet @ (b'"' | b'\\')) => text.push(octet),
                        Some(_) | None => return Err(self.fault("`\"` or `\\` after a `\\` in a quoted string")),
                    }
                }
                b'\r' | b'\n' | 0 => return Err(self.fault("a closing `\"` before the end of the line")),
                _ => text.push(octet),
            }
            self.at += 1;
        }
        Err(open.fault("a closing `\"`"))
    }

    /// A literal, `{5}` CRLF and five octets; the session has seen to it that they are there.
    pub fn literal(&mut self) -> Read<&'a [u8]> {
        let open = self.clone();
        let fault = || open.fault("a literal: {n} at the end of a line, then n octets");
        self.take(b'~');
        self.must(b'{', "a literal").map_err(|_| fault())?;
        let digits = self.run(|octet| octet.is_ascii_digit());
        let length: usize =
            std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or_else(fault)?;
        self.take(b'+');
        let after = self.rest().strip_prefix(b"}\r\n").ok_or_else(fault)?;
        let content = after.get(..length).ok_or_else(fault)?;
        self.at += 3 + length;
        Ok(content)
    }

    /// A number of 32 bits.
    pub fn number(&mut self, expected: &'static str) -> Read<u32> {
        let before = self.clone();
        let number = self.number64(expected)?;
        u32::try_from(number).map_err(|_| before.fault("a number up to 4294967295"))
    }

    /// A number of 63 bits (RFC 7162 7).
    pub fn number64(&mut self, expected: &'static str) -> Read<u64> {
        let before = self.clone();
        let digits = self.run(|octet| octet.is_ascii_digit());
        if digits.is_empty() {
            return Err(before.fault(expected));
        }
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<i64>().ok());
        number.map(i64::unsigned_abs).ok_or_else(|| before.fault("a number up to 9223372036854775807"))
    }

    /// What stands in brackets, read piece by piece with single blanks between.
    pub fn list<T>(&mut self, expected: &'static str, mut piece: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        self.must(b'(', expected)?;
        let mut pieces = Vec::new();
        if self.take(b')') {
            return Ok(pieces);
        }
        loop {
            pieces.push(piece(self)?);
            if self.take(b')') {
                return Ok(pieces);
            }
            self.space("`)`")?;
        }
    }

    /// An octet run up to a blank: a tag, or what stands where one should.
    pub fn until_blank(&mut self) -> &'a [u8] {
        self.run(|octet| octet != b' ')
    }
}

/// Whether an octet may be in an atom; octets of UTF-8 are put up with.
pub const fn is_atom(octet: u8) -> bool {
    !matches!(octet, 0..=b' ' | b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']' | 0x7f)
}

/// Whether a text is a tag (RFC 9051 9: ASTRING-CHAR but for `+`).
pub fn is_tag(text: &[u8]) -> bool {
    !text.is_empty()
        && text.len() <= MAX_TAG
        && text.iter().all(|octet| octet.is_ascii() && (is_atom(*octet) || *octet == b']') && *octet != b'+')
}

/// The longest tag, in octets.
pub const MAX_TAG: usize = 64;

/// Appends a string: quoted where that can be, a literal otherwise.
pub fn write_string(text: &[u8], out: &mut Vec<u8>) {
    let plain = text.len() <= MAX_QUOTED && text.iter().all(|octet| !matches!(octet, 0 | b'\r' | b'\n' | 0x80..));
    if plain {
        write_quoted(text, out);
        return;
    }
    out.extend_from_slice(format!("{{{}}}\r\n", text.len()).as_bytes());
    out.extend_from_slice(text);
}

/// The longest text that is sent as a quoted string, in octets: a client with a small line buffer gets the others as literals.
const MAX_QUOTED: usize = 4_096;

/// Appends a quoted string; the text holds no line end.
pub fn write_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for octet in text {
        if matches!(octet, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*octet);
    }
    out.push(b'"');
}

/// Appends a number. FETCH says a few for each message, and formatting them takes three times as long.
pub fn write_number(number: impl Into<u64>, out: &mut Vec<u8>) {
    let (mut number, mut digits, mut at) = (number.into(), [b'0'; 20], 20);
    loop {
        at -= 1;
        digits[at] += u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a string, NIL where there is none.
pub fn write_nstring(text: Option<&[u8]>, out: &mut Vec<u8>) {
    match text {
        Some(text) => write_string(text, out),
        None => out.extend_from_slice(b"NIL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 7, 10, 1_234_567_890, u64::MAX] {
            let mut out = Vec::new();
            write_number(number, &mut out);
            assert_eq!(out, number.to_string().into_bytes());
        }
    }

    #[test]
    fn strings_are_read_in_each_form() {
        for (text, read) in [
            ("abc", "abc"),
            ("a]b", "a]b"),
            ("\"a b\\\"\\\\\"", "a b\"\\"),
            ("{3}\r\na\r\n", "a\r\n"),
            ("{0+}\r\n", ""),
            ("~{2}\r\n\0x", "\0x"),
        ] {
            let mut cursor = Cursor::new(text.as_bytes());
            assert_eq!(cursor.astring("x").as_deref(), Ok(read.as_bytes()), "{text:?}");
            assert!(cursor.is_end());
        }
    }

    #[test]
    fn what_cannot_be_read_is_named_with_its_place() {
        let astring = |text: &'static str| Cursor::new(text.as_bytes()).astring("a name").unwrap_err();
        assert_eq!(astring(""), Fault { at: 0, expected: "a name" });
        assert_eq!(astring("\"abc"), Fault { at: 0, expected: "a closing `\"`" });
        assert_eq!(astring("\"a\\b\"").at, 3);
        assert_eq!(astring("{9}\r\nabc").at, 0);
        assert_eq!(astring("(").expected, "a name");
        assert_eq!(Cursor::new(b" x").space("y"), Ok(()));
        assert_eq!(Cursor::new(b"  x").space("y"), Err(Fault { at: 1, expected: "one blank only" }));
        assert_eq!(Cursor::new(b"").space("y"), Err(Fault { at: 0, expected: "y" }));
    }

    #[test]
    fn numbers_are_bounded() {
        let number = |text: &str| Cursor::new(text.as_bytes()).number("n").ok();
        assert_eq!((number("4294967295"), number("4294967296"), number("x")), (Some(u32::MAX), None, None));
        let number = |text: &str| Cursor::new(text.as_bytes()).number64("n").ok();
        assert_eq!(number("9223372036854775807"), Some(i64::MAX.unsigned_abs()));
        assert_eq!((number("9223372036854775808"), number("99999999999999999999")), (None, None));
    }

    #[test]
    fn strings_are_written_so_that_they_can_be_read() {
        let written = |text: &[u8]| {
            let mut out = Vec::new();
            write_string(text, &mut out);
            out
        };
        assert_eq!(written(b"a\"b\\"), b"\"a\\\"b\\\\\"");
        assert_eq!(written("ñ".as_bytes()), "{2}\r\nñ".as_bytes());
        assert_eq!(written(b""), b"\"\"");
        assert_eq!(written(&b"x".repeat(MAX_QUOTED + 1))[..8], *b"{4097}\r\n");
    }

    #[test]
    fn a_tag_has_no_plus_and_an_end() {
        assert!(is_tag(b"a001") && is_tag(b"A.1]") && is_tag(&b"t".repeat(MAX_TAG)));
        assert!(
            !is_tag(b"") && !is_tag(b"+") && !is_tag(b"a+") && !is_tag(b"a*") && !is_tag(&b"t".repeat(MAX_TAG + 1))
        );
    }
}
