//! The content of a message as checks look at it. It is lenient where students' first programs are: header fields are the
//! lines at the top that look like some, and the body starts after the empty line or, where that is missing
//! (`Date:23/11/17 19:39` and then the text), at the first line that does not. In the latter case a line of the text may look
//! like a field, so checks on the body look at the whole message as well.

use std::cell::OnceCell;

use mail_parser::{MessageParser, MessagePart, MimeHeaders as _, PartType, parsers::MessageStream};
use memchr::memmem;

use crate::{
    mail::sha256,
    pattern::{Glob, folded},
};

/// A part of a message that is no multipart itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its media type, in lower case.
    pub media: String,
    /// Its transfer encoding, in lower case.
    pub encoding: String,
    /// The name it has as a file, or nothing.
    pub filename: String,
    /// The SHA-256 of what it holds, decoded.
    pub sha256: String,
}

/// A message as sent.
#[derive(Debug)]
pub struct Content {
    octets: Vec<u8>,
    body: usize,
    no_empty_line: bool,
    /// The body as text, in each way it can be read; lines end in `\n` and not in blanks.
    texts: OnceCell<Vec<String>>,
}

impl Content {
    /// A message of which the last `sent` octets came from the client (a store may keep trace fields in front).
    pub fn new(mut octets: Vec<u8>, sent: u64) -> Self {
        let front = octets.len().saturating_sub(usize::try_from(sent).unwrap_or(usize::MAX));
        octets.drain(..front);
        let (body, no_empty_line) = body_start(&octets);
        Self { octets, body, no_empty_line, texts: OnceCell::new() }
    }

    /// The values of the header fields of this name, unfolded, encoded words decoded (RFC 2047).
    pub fn header(&self, name: &str) -> Vec<String> {
        self.fields(name).iter().map(|value| decoded(value)).collect()
    }

    fn fields(&self, name: &str) -> Vec<Vec<u8>> {
        let mut found: Vec<Vec<u8>> = Vec::new();
        let mut inside = false;
        for line in self.octets[..self.body].split_inclusive(|octet| *octet == b'\n') {
            if matches!(line.first(), Some(b' ' | b'\t')) {
                if let Some(value) = found.last_mut().filter(|_| inside) {
                    value.extend_from_slice(line);
                }
                continue;
            }
            let own = field_name(line).filter(|own| own.eq_ignore_ascii_case(name.as_bytes()));
            inside = own.is_some();
            if own.is_some() {
                let colon = line.iter().position(|octet| *octet == b':').map_or(line.len(), |at| at + 1);
                found.push(line[colon..].to_vec());
            }
        }
        found
    }

    /// How many lines the body has.
    pub fn lines(&self) -> u64 {
        let body = &self.octets[self.body..];
        memchr::memchr_iter(b'\n', body).count() as u64 + u64::from(!body.is_empty() && body.last() != Some(&b'\n'))
    }

    /// The octets of the longest line, without its line end.
    pub fn longest_line(&self) -> u64 {
        let lines = self.octets.split(|octet| *octet == b'\n');
        lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line).len() as u64).max().unwrap_or(0)
    }

    /// The values of the header fields of this name as sent, with their line ends as `\n`.
    pub fn raw_header(&self, name: &str) -> Vec<String> {
        let values = self.fields(name).into_iter();
        values.map(|value| String::from_utf8_lossy(value.trim_ascii()).replace("\r\n", "\n")).collect()
    }

    /// Whether the pattern matches the body.
    pub fn body_matches(&self, pattern: &Glob) -> bool {
        self.texts().iter().any(|text| pattern.matches(text.trim_end_matches('\n')))
    }

    /// Whether the body holds this word, in either case.
    pub fn body_holds(&self, word: &str) -> bool {
        let word = folded(word);
        self.texts().iter().any(|text| memmem::find(&folded(text), &word).is_some())
    }

    /// How many lines of `text` stand in the body in one piece from its first line on, and how many lines it has.
    pub fn lines_of(&self, text: &str) -> (usize, usize) {
        let wanted = normal(text);
        let wanted = wanted.trim_end_matches('\n');
        let lines: Vec<&str> = wanted.split('\n').collect();
        let common = |text: &String| {
            if text.contains(wanted) {
                return lines.len();
            }
            let Some(at) = text.find(lines[0]) else {
                return 0;
            };
            text[at..].split('\n').zip(&lines).take_while(|(own, line)| own == *line).count().min(lines.len() - 1)
        };
        (self.texts().iter().map(common).max().unwrap_or(0), lines.len())
    }

    /// The media types of its MIME parts in order, in lower case; multiparts themselves are none, and a message inside a
    /// message is one part. A message without MIME is `text/plain` (RFC 2045 5.2).
    pub fn parts(&self) -> Vec<Part> {
        let Some(message) = MessageParser::default().parse(&self.octets) else {
            return Vec::new();
        };
        let leaf = |part: &&MessagePart<'_>| !matches!(part.body, PartType::Multipart(_));
        let media = |part: &MessagePart<'_>| match part.content_type() {
            Some(media) => format!("{}/{}", media.ctype(), media.subtype().unwrap_or("*")).to_ascii_lowercase(),
            None => "text/plain".to_owned(),
        };
        let part = |part: &MessagePart<'_>| Part {
            media: media(part),
            encoding: part.content_transfer_encoding().unwrap_or("7bit").trim().to_ascii_lowercase(),
            filename: part.attachment_name().unwrap_or("").to_owned(),
            sha256: sha256(part.contents()),
        };
        message.parts.iter().filter(leaf).map(part).collect()
    }

    /// The SHA-256 of the body as sent: one for each place where it may start.
    pub fn hashes(&self) -> Vec<String> {
        self.starts().map(|start| sha256(&self.octets[start..])).collect()
    }

    /// The first line of the body that is not empty.
    pub fn first_line(&self) -> Option<String> {
        let body = String::from_utf8_lossy(&self.octets[self.body..]);
        body.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    }

    fn starts(&self) -> impl Iterator<Item = usize> {
        [self.body].into_iter().chain((self.no_empty_line && self.body > 0).then_some(0))
    }

    fn texts(&self) -> &[String] {
        self.texts.get_or_init(|| {
            let mut texts: Vec<String> =
                self.starts().map(|start| normal(&String::from_utf8_lossy(&self.octets[start..]))).collect();
            // Only a declared encoding or structure makes the text other than its octets.
            if ["Content-Transfer-Encoding", "Content-Type"].iter().any(|name| !self.header(name).is_empty())
                && let Some(message) = MessageParser::default().parse(&self.octets)
            {
                let decoded = message.text_bodies().filter_map(|part| part.text_contents());
                texts.extend(decoded.map(normal));
            }
            texts
        })
    }
}

/// Where the body starts, and whether no empty line stands before it.
fn body_start(octets: &[u8]) -> (usize, bool) {
    let mut at = 0;
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        if line.trim_ascii().is_empty() {
            return (at + line.len(), false);
        }
        let continued = at > 0 && matches!(line[0], b' ' | b'\t');
        if !continued && field_name(line).is_none() {
            return (at, true);
        }
        at += line.len();
    }
    (at, true)
}

/// The name before the colon, where the line looks like a header field (RFC 5322 2.2; blanks before the colon are obsolete, 4.5).
fn field_name(line: &[u8]) -> Option<&[u8]> {
    let colon = line.iter().position(|octet| *octet == b':')?;
    let name = line[..colon].trim_ascii_end();
    (!name.is_empty() && name.iter().all(u8::is_ascii_graphic)).then_some(name)
}

fn decoded(value: &[u8]) -> String {
    let unfolded = [value.trim_ascii(), b"\n"].concat();
    let text = MessageStream::new(&unfolded).parse_unstructured();
    text.as_text().unwrap_or("").to_owned()
}

/// Text with `\n` for line ends and no blanks before them.
fn normal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_terminator('\n') {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content(text: &str) -> Content {
        Content::new(text.as_bytes().to_vec(), text.len() as u64)
    }

    #[test]
    fn fields_are_found_without_an_empty_line() {
        let message = content("Date:23/11/17 19:39\r\nSubject: hola\r\nHola Ana\r\nP.D.: adios\r\n");
        assert_eq!(message.header("date"), ["23/11/17 19:39"]);
        assert_eq!(message.header("Subject"), ["hola"]);
        assert!(message.header("P.D.").is_empty());
        assert!(message.body_matches(&Glob::new("Hola Ana\nP.D.: adios")));
    }

    #[test]
    fn fields_are_unfolded_and_decoded() {
        let message = content("Subject: =?UTF-8?Q?pr=C3=A1ctica?=\r\n  dos\r\nX : y\r\n\r\nSubject: no\r\n");
        assert_eq!(message.header("subject"), ["práctica dos"]);
        assert_eq!(message.header("x"), ["y"]);
        assert!(message.header("To").is_empty());
    }

    #[test]
    fn a_text_that_looks_like_a_field_is_still_text() {
        let message = content("secreto: abc123\r\n");
        assert!(message.body_holds("ABC123"));
        assert!(!content("X: abc123\r\n\r\nnada\r\n").body_holds("abc123"), "a real header is no body");
    }

    #[test]
    fn trace_fields_in_front_are_left_out() {
        let message = Content::new(b"Received: x\r\nSubject: a\r\n\r\nb\r\n".to_vec(), 17);
        assert!(message.header("Received").is_empty());
        assert_eq!(message.header("Subject"), ["a"]);
    }

    #[test]
    fn a_text_arrives_whole_or_up_to_a_line() {
        let text = "one\r\n.two\r\nthree\r\n";
        assert_eq!(content("A: b\r\n\r\nhello\r\none  \n.two\r\nthree\r\n").lines_of(text), (3, 3));
        assert_eq!(content("A: b\r\n\r\none\r\ntwo\r\nthree\r\n").lines_of(text), (1, 3));
        assert_eq!(content("A: b\r\n\r\n").lines_of(text), (0, 3));
    }

    #[test]
    fn parts_are_those_that_hold_something() {
        let medias = |text: &str| content(text).parts().into_iter().map(|part| part.media).collect::<Vec<_>>();
        assert_eq!(medias("Subject: x\r\n\r\nhi\r\n"), ["text/plain"]);
        let mixed = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\nContent-Type: Image/PNG\r\n                     Content-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--b--\r\n";
        assert_eq!(medias(mixed), ["text/plain", "image/png"]);
        let unended = "Content-Type: multipart/mixed; boundary=b\r\n\r\nno boundary\r\n";
        assert!(content(unended).parts().len() < 2);
    }

    #[test]
    fn an_encoded_body_is_read() {
        let head = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n";
        assert!(content(&format!("{head}aG9sYSBtdW5kbw==\r\n")).body_holds("mundo"));
    }

    proptest! {
        #[test]
        fn any_octets_are_looked_at_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..300), sent in 0_u64..400) {
            let message = Content::new(octets, sent);
            message.header("Subject");
            message.body_holds("x");
            message.lines_of("a\r\nb");
            message.hashes();
            message.parts();
            message.first_line();
        }
    }
}
