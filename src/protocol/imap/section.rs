//! Octets of a message: the sections of FETCH's BODY and BINARY (RFC 9051 6.4.5, 6.4.5.1), and their ranges.

use std::borrow::Cow;

use mail_parser::{MessageParser, PartType};

use super::items::{Section, SectionText};
use crate::mail::{
    fields,
    parts::{Child, Kind, Part},
};

/// The octets of a section; none where the message has no such part.
pub fn octets<'a>(message: &'a [u8], root: &Part, section: &Section) -> Option<Cow<'a, [u8]>> {
    let range = |range: &std::ops::Range<usize>| message.get(range.clone()).map(Cow::from);
    if section.path.is_empty() {
        return match &section.text {
            SectionText::All => Some(message.into()),
            SectionText::Header => range(&root.header),
            SectionText::Fields { names, not } => Some(some_fields(&message[root.header.clone()], names, *not).into()),
            SectionText::Text => range(&root.body),
            SectionText::Mime => None,
        };
    }
    let child = find(root, &section.path)?;
    let part = child.part();
    let inner = match &part.kind {
        Kind::Message(inner) => Some(&**inner),
        Kind::Leaf | Kind::Multipart(_) => None,
    };
    match &section.text {
        SectionText::All => range(&part.body),
        SectionText::Mime => range(&part.header),
        SectionText::Header => range(&inner?.header),
        SectionText::Text => range(&inner?.body),
        SectionText::Fields { names, not } => {
            Some(some_fields(message.get(inner?.header.clone())?, names, *not).into())
        }
    }
}

/// The part that a path of numbers leads to.
fn find<'a>(root: &'a Part, path: &[u32]) -> Option<Child<'a>> {
    let mut within = Some(root);
    let mut found = None;
    for number in path {
        let child = within?.child(*number)?;
        within = match (&child.part().kind, child) {
            (Kind::Message(inner), _) => Some(&**inner),
            (Kind::Multipart(_), Child::Part(part)) => Some(part),
            (Kind::Multipart(_) | Kind::Leaf, _) => None,
        };
        found = Some(child);
    }
    found
}

/// The fields of these names, or all others, and the empty line.
fn some_fields(header: &[u8], names: &[Vec<u8>], not: bool) -> Vec<u8> {
    let named = |field: &fields::Field<'_>| names.iter().any(|name| name.eq_ignore_ascii_case(field.name));
    let mut kept: Vec<u8> = Vec::new();
    for field in fields::fields(header).filter(|field| named(field) != not) {
        kept.extend_from_slice(field.whole);
        if !field.whole.ends_with(b"\n") {
            kept.extend_from_slice(b"\r\n");
        }
    }
    kept.extend_from_slice(b"\r\n");
    kept
}

/// The octets within a range; past the end there are none (RFC 9051 6.4.5).
pub fn within(octets: &[u8], range: Option<(u32, u32)>) -> &[u8] {
    let Some((first, count)) = range else { return octets };
    let place = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let start = place(first).min(octets.len());
    &octets[start..start.saturating_add(place(count)).min(octets.len())]
}

/// Whether a message was sent whole: its text, up to the end.
pub fn is_whole(section: &Section, range: Option<(u32, u32)>, octets: usize) -> bool {
    let text = matches!(section.text, SectionText::All | SectionText::Text) && section.path.is_empty();
    let to_the_end = range.is_none_or(|(first, count)| u64::from(first) + u64::from(count) >= octets as u64);
    text && to_the_end
}

/// A part's content without its transfer encoding.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// The content.
    Octets(Cow<'a, [u8]>),
    /// There is no such part.
    Missing,
    /// The encoding is unknown, or the content is not what it says (RFC 9051 7.1, UNKNOWN-CTE).
    UnknownEncoding,
}

/// Decodes the part at `path` (RFC 9051 6.4.5, BINARY).
pub fn decoded<'a>(message: &'a [u8], root: &Part, path: &[u32]) -> Decoded<'a> {
    if path.is_empty() {
        return Decoded::Octets(message.into());
    }
    let Some(part) = find(root, path).map(Child::part) else { return Decoded::Missing };
    let (Some(header), Some(body)) = (message.get(part.header.clone()), message.get(part.body.clone())) else {
        return Decoded::Missing;
    };
    let encoding = fields::value(header, "Content-Transfer-Encoding").unwrap_or_default().to_ascii_lowercase();
    match encoding.as_slice() {
        b"" | b"7bit" | b"8bit" | b"binary" => Decoded::Octets(body.into()),
        b"base64" | b"quoted-printable" => {
            // mail-parser decodes bodies of parts: this one gets a header of its own that says nothing but the encoding, so
            // that no character set is converted.
            let alone = [
                b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: ",
                encoding.as_slice(),
                b"\r\n\r\n",
                body,
            ]
            .concat();
            let parsed = MessageParser::default().parse(&alone);
            let root = parsed.and_then(|message| message.parts.into_iter().next());
            match root {
                Some(part) if !part.is_encoding_problem => match part.body {
                    PartType::Binary(octets) | PartType::InlineBinary(octets) => {
                        Decoded::Octets(octets.into_owned().into())
                    }
                    PartType::Text(_) | PartType::Html(_) | PartType::Message(_) | PartType::Multipart(_) => {
                        Decoded::UnknownEncoding
                    }
                },
                _ => Decoded::UnknownEncoding,
            }
        }
        _ => Decoded::UnknownEncoding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::imap::{items, syntax::Cursor};

    const NESTED: &str = "Subject: outer\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\npreamble\r\n\
        --x\r\nContent-Type: text/plain\r\n\r\none\r\n\
        --x\r\nContent-Type: message/rfc822\r\n\r\n\
        Subject: inner\r\nTo: ana\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n\
        --y\r\n\r\nplain\r\n--y\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+\r\n--y--\r\n\
        --x--\r\nepilogue\r\n";

    fn section(text: &str) -> Option<String> {
        let mut cursor = Cursor::new(text.as_bytes());
        let items = items::read(&mut cursor).unwrap();
        let items::Item::Section(wanted) = &items[0] else { panic!("{text}") };
        let root = Part::of(NESTED.as_bytes());
        let octets = octets(NESTED.as_bytes(), &root, &wanted.section)?;
        Some(String::from_utf8(within(&octets, wanted.range).to_vec()).unwrap())
    }

    #[test]
    fn sections_are_those_of_rfc_9051() {
        for (wanted, text) in [
            ("BODY[HEADER]", "Subject: outer\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"),
            ("BODY[HEADER.FIELDS (SUBJECT)]", "Subject: outer\r\n\r\n"),
            ("BODY[HEADER.FIELDS.NOT (Content-Type)]", "Subject: outer\r\n\r\n"),
            ("BODY[1]", "one"),
            ("BODY[1.MIME]", "Content-Type: text/plain\r\n\r\n"),
            ("BODY[2.HEADER.FIELDS (TO)]", "To: ana\r\n\r\n"),
            ("BODY[2.1]", "plain"),
            ("BODY[2.1.MIME]", "\r\n"),
            ("BODY[2.2]", "PGI+"),
            ("BODY[2.2]<1.2>", "GI"),
            ("BODY[2.2]<4.9>", ""),
            ("BODY[TEXT]<0.8>", "preamble"),
        ] {
            assert_eq!(section(wanted).as_deref(), Some(text), "{wanted}");
        }
        for missing in ["BODY[3]", "BODY[1.1]", "BODY[1.HEADER]", "BODY[2.3]"] {
            assert_eq!(section(missing), None, "{missing}");
        }
        assert!(section("BODY[2.TEXT]").unwrap().starts_with("--y\r\n\r\nplain"));
        assert!(section("BODY[2]").unwrap().ends_with("--y--"), "{:?}", section("BODY[2]"));
        assert_eq!(section("BODY[]").unwrap(), NESTED);
    }

    #[test]
    fn the_body_of_a_plain_message_is_part_one() {
        let message = b"Subject: x\r\n\r\ntext\r\n";
        let root = Part::of(message);
        let one = Section { path: vec![1], text: SectionText::All };
        assert_eq!(octets(message, &root, &one).as_deref(), Some(b"text\r\n".as_slice()));
        assert_eq!(octets(message, &root, &Section { path: vec![2], ..one.clone() }), None);
        assert_eq!(octets(message, &root, &Section { path: vec![1, 1], ..one }), None);
    }

    #[test]
    fn parts_are_decoded() {
        let root = Part::of(NESTED.as_bytes());
        assert_eq!(decoded(NESTED.as_bytes(), &root, &[2, 2]), Decoded::Octets(b"<b>".into()));
        assert_eq!(decoded(NESTED.as_bytes(), &root, &[2, 1]), Decoded::Octets(b"plain".into()));
        assert_eq!(decoded(NESTED.as_bytes(), &root, &[4]), Decoded::Missing);
        let strange = b"Content-Transfer-Encoding: x-uuencode\r\n\r\nabc";
        assert_eq!(decoded(strange, &Part::of(strange), &[1]), Decoded::UnknownEncoding);
    }

    #[test]
    fn only_what_reaches_the_end_is_whole() {
        let all = Section::default();
        assert!(is_whole(&all, None, 100) && is_whole(&all, Some((50, 50)), 100));
        assert!(!is_whole(&all, Some((0, 99)), 100));
        assert!(!is_whole(&Section { path: vec![], text: SectionText::Header }, None, 100));
    }
}
