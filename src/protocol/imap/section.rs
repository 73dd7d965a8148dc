//! Octets of a message: the sections of FETCH's BODY and BINARY (RFC 9051 6.4.5, 6.4.5.1), and their ranges. A section is found
//! as a place in the message, so that a large one is sent without being held.

use std::ops::Range;

use super::items::{Section, SectionText};
use crate::mail::{
    decoding::{Decoder, Encoding},
    fields,
    parts::{Child, Kind, Part},
};

/// How much of a header is looked at for its fields, in octets: ENVELOPE and `HEADER.FIELDS` know nothing of what comes behind.
/// No real header comes near, and what is made of fields is held while it is sent.
pub const LOOKED_AT: usize = 64 << 10;

/// Where a section stands in its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place<'a> {
    /// Its octets, or those of the header that its fields are in.
    pub octets: Range<usize>,
    /// The fields of these names, or all others; none for the octets as they stand.
    pub fields: Option<(&'a [Vec<u8>], bool)>,
}

/// Where a section stands; none where the message has no such part.
pub fn place<'a>(root: &Part, section: &'a Section) -> Option<Place<'a>> {
    let stands = |octets: &Range<usize>| Place { octets: octets.clone(), fields: None };
    let fields =
        |header: &Range<usize>, names: &'a [Vec<u8>], not| Place { octets: header.clone(), fields: Some((names, not)) };
    if section.path.is_empty() {
        return match &section.text {
            SectionText::All => Some(stands(&(0..root.body.end))),
            SectionText::Header => Some(stands(&root.header)),
            SectionText::Fields { names, not } => Some(fields(&root.header, names, *not)),
            SectionText::Text => Some(stands(&root.body)),
            SectionText::Mime => None,
        };
    }
    let part = find(root, &section.path)?.part();
    let inner = match &part.kind {
        Kind::Message(inner) => Some(&**inner),
        Kind::Leaf | Kind::Multipart(_) => None,
    };
    match &section.text {
        SectionText::All => Some(stands(&part.body)),
        SectionText::Mime => Some(stands(&part.header)),
        SectionText::Header => Some(stands(&inner?.header)),
        SectionText::Text => Some(stands(&inner?.body)),
        SectionText::Fields { names, not } => Some(fields(&inner?.header, names, *not)),
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

/// As much of a header as is looked at for its fields, in whole lines.
pub fn looked_at(header: &[u8]) -> &[u8] {
    let most = &header[..header.len().min(LOOKED_AT)];
    if most.len() == header.len() { most } else { &most[..memchr::memrchr(b'\n', most).map_or(0, |end| end + 1)] }
}

/// The fields of these names, or all others, and the empty line.
pub fn some_fields(header: &[u8], names: &[Vec<u8>], not: bool) -> Vec<u8> {
    let named = |field: &fields::Field<'_>| names.iter().any(|name| name.eq_ignore_ascii_case(field.name));
    let mut kept: Vec<u8> = Vec::new();
    for field in fields::fields(looked_at(header)).filter(|field| named(field) != not) {
        kept.extend_from_slice(field.whole);
        if !field.whole.ends_with(b"\n") {
            kept.extend_from_slice(b"\r\n");
        }
    }
    kept.extend_from_slice(b"\r\n");
    kept
}

/// What a range takes of a place; past the end there is nothing (RFC 9051 6.4.5).
pub fn within(place: Range<u64>, range: Option<(u32, u32)>) -> Range<u64> {
    let Some((first, count)) = range else { return place };
    let start = place.start.saturating_add(first.into()).min(place.end);
    start..start.saturating_add(count.into()).min(place.end)
}

/// Whether a message was sent whole: its text, up to the end.
pub fn is_whole(section: &Section, range: Option<(u32, u32)>, octets: usize) -> bool {
    let text = matches!(section.text, SectionText::All | SectionText::Text) && section.path.is_empty();
    let octets = octets as u64;
    let to_the_end = range.is_none_or(|(first, count)| {
        let first = u64::from(first);
        (first < octets || octets == 0) && first + u64::from(count) >= octets
    });
    text && to_the_end
}

/// A part's content, whose transfer encoding is to be taken off.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// It stands here, in no encoding that changes octets.
    Plain(Range<usize>),
    /// It stands here, encoded.
    Encoded {
        /// Where.
        octets: Range<usize>,
        /// How.
        encoding: Encoding,
        /// How many octets it is decoded.
        length: u64,
    },
    /// There is no such part.
    Missing,
    /// The encoding is unknown, or the content is not what it says (RFC 9051 7.1, UNKNOWN-CTE).
    UnknownEncoding,
}

/// The content of the part at `path` (RFC 9051 6.4.5, BINARY).
pub fn content(message: &[u8], root: &Part, path: &[u32]) -> Content {
    if path.is_empty() {
        return Content::Plain(0..message.len());
    }
    let Some(part) = find(root, path).map(Child::part) else { return Content::Missing };
    let (Some(header), Some(body)) = (message.get(part.header.clone()), message.get(part.body.clone())) else {
        return Content::Missing;
    };
    let value = fields::value(looked_at(header), "Content-Transfer-Encoding").unwrap_or_default();
    let encoding = match value.to_ascii_lowercase().as_slice() {
        b"" | b"7bit" | b"8bit" | b"binary" => return Content::Plain(part.body.clone()),
        b"base64" => Encoding::Base64,
        b"quoted-printable" => Encoding::QuotedPrintable,
        _ => return Content::UnknownEncoding,
    };
    let mut length = 0;
    let sound = decoded(body, encoding, |octets| length += octets.len() as u64);
    if sound { Content::Encoded { octets: part.body.clone(), encoding, length } } else { Content::UnknownEncoding }
}

/// Decodes some octets at a time. Whether all of it was in the encoding.
pub fn decoded(body: &[u8], encoding: Encoding, mut each: impl FnMut(&[u8])) -> bool {
    let (mut decoder, mut out) = (Decoder::new(encoding), Vec::new());
    for piece in body.chunks(4 << 10) {
        decoder.write(piece, &mut out);
        each(&out);
        out.clear();
    }
    let sound = decoder.end(&mut out);
    each(&out);
    sound
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

    fn octets(message: &[u8], wanted: &items::Wanted) -> Option<Vec<u8>> {
        let root = Part::of(message);
        let Place { octets, fields } = place(&root, &wanted.section)?;
        let text = message[octets].to_vec();
        let text = fields.map_or(text.clone(), |(names, not)| some_fields(&text, names, not));
        let range = within(0..text.len() as u64, wanted.range);
        let at = |place: u64| usize::try_from(place).unwrap();
        Some(text[at(range.start)..at(range.end)].to_vec())
    }

    fn section(text: &str) -> Option<String> {
        let mut cursor = Cursor::new(text.as_bytes());
        let items = items::read(&mut cursor).unwrap();
        let items::Item::Section(wanted) = &items[0] else { panic!("{text}") };
        Some(String::from_utf8(octets(NESTED.as_bytes(), wanted)?).unwrap())
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
        let root = Part::of(b"Subject: x\r\n\r\ntext\r\n");
        let one = Section { path: vec![1], text: SectionText::All };
        assert_eq!(place(&root, &one), Some(Place { octets: 14..20, fields: None }));
        assert_eq!(place(&root, &Section { path: vec![2], ..one.clone() }), None);
        assert_eq!(place(&root, &Section { path: vec![1, 1], ..one }), None);
    }

    #[test]
    fn so_much_of_a_header_is_looked_at_and_no_more() {
        let header = |octets: usize| {
            let first = format!("A: {}\r\n", "x".repeat(octets - 5 - 6));
            format!("{first}B: y\r\n\r\n").into_bytes()
        };
        let named = |header: &[u8]| some_fields(header, &[b"B".to_vec()], false);
        assert_eq!(named(&header(LOOKED_AT)[..LOOKED_AT]), b"B: y\r\n\r\n");
        assert_eq!(named(&header(LOOKED_AT)), b"B: y\r\n\r\n");
        assert_eq!(named(&header(LOOKED_AT + 1)), b"\r\n");
    }

    #[test]
    fn parts_are_decoded() {
        let root = Part::of(NESTED.as_bytes());
        let text = |path: &[u32]| match content(NESTED.as_bytes(), &root, path) {
            Content::Encoded { octets, encoding, length } => {
                let mut text = Vec::new();
                assert!(decoded(&NESTED.as_bytes()[octets], encoding, |octets| text.extend_from_slice(octets)));
                assert_eq!(text.len() as u64, length);
                text
            }
            Content::Plain(octets) => NESTED.as_bytes()[octets].to_vec(),
            other @ (Content::Missing | Content::UnknownEncoding) => panic!("{other:?}"),
        };
        assert_eq!((text(&[2, 2]), text(&[2, 1])), (b"<b>".to_vec(), b"plain".to_vec()));
        assert_eq!(content(NESTED.as_bytes(), &root, &[4]), Content::Missing);
        let strange = b"Content-Transfer-Encoding: x-uuencode\r\n\r\nabc";
        assert_eq!(content(strange, &Part::of(strange), &[1]), Content::UnknownEncoding);
    }

    #[test]
    fn only_what_reaches_the_end_is_whole() {
        let all = Section::default();
        assert!(is_whole(&all, None, 100) && is_whole(&all, Some((50, 50)), 100));
        assert!(!is_whole(&all, Some((0, 99)), 100));
        assert!(is_whole(&all, Some((99, 1)), 100) && !is_whole(&all, Some((100, 1)), 100));
        assert!(!is_whole(&Section { path: vec![], text: SectionText::Header }, None, 100));
    }
}
