//! What FETCH asks for (RFC 9051 6.4.5, RFC 3501 6.4.5, RFC 7162 3.1.5).

use std::fmt::Write as _;

use super::syntax::{Cursor, Read};

/// The most items of one FETCH.
pub const MAX_ITEMS: usize = 100;

/// The most numbers in a part's path.
pub const MAX_PATH: usize = 50;

/// The most field names in one `HEADER.FIELDS`.
pub const MAX_FIELDS: usize = 200;

/// One thing to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    Flags,
    InternalDate,
    Size,
    Envelope,
    /// Without the extension data.
    Body,
    BodyStructure,
    Uid,
    ModSeq,
    Section(Wanted),
    /// A part's content decoded (RFC 9051 6.4.5, BINARY).
    Binary(Wanted),
    /// How many octets that is.
    BinarySize(Wanted),
}

/// Octets of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub section: Section,
    /// From where, and how many; all of them otherwise.
    pub range: Option<(u32, u32)>,
    /// Whether the message stays unread.
    pub peek: bool,
    /// The item's name in the answer, without the range.
    pub shown: String,
}

/// A section of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section {
    /// The numbers of the part; none for the message itself.
    pub path: Vec<u32>,
    /// What of it.
    pub text: SectionText,
}

/// What of a part.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SectionText {
    /// All of a message, the body of a part.
    #[default]
    All,
    /// The header of a message.
    Header,
    /// Some of its fields; all others where `not`.
    Fields { names: Vec<Vec<u8>>, not: bool },
    /// The body of a message.
    Text,
    /// The header of a part.
    Mime,
}

impl Item {
    /// Whether the message itself must be read.
    pub const fn needs_message(&self) -> bool {
        match self {
            Self::Flags | Self::InternalDate | Self::Size | Self::Uid | Self::ModSeq => false,
            Self::Envelope
            | Self::Body
            | Self::BodyStructure
            | Self::Section(_)
            | Self::Binary(_)
            | Self::BinarySize(_) => true,
        }
    }

    /// Whether it sets `\Seen`.
    pub const fn reads(&self) -> bool {
        match self {
            Self::Section(wanted) | Self::Binary(wanted) => !wanted.peek,
            Self::Flags
            | Self::InternalDate
            | Self::Size
            | Self::Envelope
            | Self::Body
            | Self::BodyStructure
            | Self::Uid
            | Self::ModSeq
            | Self::BinarySize(_) => false,
        }
    }
}

/// Reads one item, or several in brackets.
pub fn read(cursor: &mut Cursor<'_>) -> Read<Vec<Item>> {
    if let Some(items) = macros(cursor) {
        return Ok(items);
    }
    if cursor.peek() != Some(b'(') {
        return item(cursor).map(|item| vec![item]);
    }
    let before = cursor.clone();
    let mut items = cursor.list("items in brackets", item)?;
    if items.is_empty() {
        return Err(before.fault("at least one item, such as (FLAGS)"));
    }
    if items.len() > MAX_ITEMS {
        return Err(before.fault("at most 100 items"));
    }
    // What is asked for twice is told once.
    let mut place = 0;
    while place < items.len() {
        if items[..place].contains(&items[place]) {
            items.remove(place);
        } else {
            place += 1;
        }
    }
    Ok(items)
}

fn macros(cursor: &mut Cursor<'_>) -> Option<Vec<Item>> {
    let fast = [Item::Flags, Item::InternalDate, Item::Size];
    let more: &[Item] = match () {
        () if cursor.word("FAST") => &[],
        () if cursor.word("ALL") => &[Item::Envelope],
        () if cursor.word("FULL") => &[Item::Envelope, Item::Body],
        () => return None,
    };
    Some(fast.into_iter().chain(more.iter().cloned()).collect())
}

const EXPECTED: &str = "an item: FLAGS UID INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY BODY[section] BODY.PEEK[section] or the like";

fn item(cursor: &mut Cursor<'_>) -> Read<Item> {
    let before = cursor.clone();
    let name = cursor.name(EXPECTED)?.to_ascii_uppercase();
    let bracket = cursor.peek() == Some(b'[');
    let legacy = |text, shown: &str, peek| {
        let section = Section { path: Vec::new(), text };
        Item::Section(Wanted { section, range: None, peek, shown: shown.to_owned() })
    };
    Ok(match (name.as_slice(), bracket) {
        (b"FLAGS", false) => Item::Flags,
        (b"INTERNALDATE", false) => Item::InternalDate,
        (b"RFC822.SIZE", false) => Item::Size,
        (b"ENVELOPE", false) => Item::Envelope,
        (b"BODYSTRUCTURE", false) => Item::BodyStructure,
        (b"UID", false) => Item::Uid,
        (b"MODSEQ", false) => Item::ModSeq,
        (b"BODY", false) => Item::Body,
        (b"RFC822", false) => legacy(SectionText::All, "RFC822", false),
        (b"RFC822.HEADER", false) => legacy(SectionText::Header, "RFC822.HEADER", true),
        (b"RFC822.TEXT", false) => legacy(SectionText::Text, "RFC822.TEXT", false),
        (b"BODY", true) => Item::Section(section(cursor, false)?),
        (b"BODY.PEEK", true) => Item::Section(section(cursor, true)?),
        (b"BINARY", true) => Item::Binary(binary(cursor, "BINARY", false)?),
        (b"BINARY.PEEK", true) => Item::Binary(binary(cursor, "BINARY", true)?),
        (b"BINARY.SIZE", true) => Item::BinarySize(binary(cursor, "BINARY.SIZE", true)?),
        (b"BODY.PEEK" | b"BINARY" | b"BINARY.PEEK" | b"BINARY.SIZE", false) => {
            return Err(cursor.fault("a section in square brackets, such as [] or [1]"));
        }
        _ => return Err(before.fault(EXPECTED)),
    })
}

fn section(cursor: &mut Cursor<'_>, peek: bool) -> Read<Wanted> {
    cursor.must(b'[', "`[`")?;
    let mut shown = "BODY[".to_owned();
    let path = path(cursor, &mut shown)?;
    let text = if cursor.peek() == Some(b']') {
        SectionText::All
    } else {
        section_text(cursor, !path.is_empty(), &mut shown)?
    };
    cursor.must(b']', "`]` or a section: HEADER, TEXT, HEADER.FIELDS (names), or the numbers of a part")?;
    shown.push(']');
    Ok(Wanted { section: Section { path, text }, range: range(cursor)?, peek, shown })
}

fn binary(cursor: &mut Cursor<'_>, name: &str, peek: bool) -> Read<Wanted> {
    cursor.must(b'[', "`[`")?;
    let mut shown = format!("{name}[");
    let path = path(cursor, &mut shown)?;
    cursor.must(b']', "`]` or the numbers of a part")?;
    shown.push(']');
    let range = if name == "BINARY" { range(cursor)? } else { None };
    Ok(Wanted { section: Section { path, text: SectionText::All }, range, peek, shown })
}

/// `1.2.` before a text, `1.2` alone.
fn path(cursor: &mut Cursor<'_>, shown: &mut String) -> Read<Vec<u32>> {
    let mut path = Vec::new();
    while cursor.peek().is_some_and(|octet| octet.is_ascii_digit()) {
        let before = cursor.clone();
        let number = cursor.number("the number of a part")?;
        if number == 0 || path.len() == MAX_PATH {
            return Err(before.fault("the numbers of a part: from 1 on, at most 50 of them"));
        }
        if !path.is_empty() {
            shown.push('.');
        }
        shown.push_str(&number.to_string());
        path.push(number);
        if !cursor.take(b'.') {
            break;
        }
        if !cursor.peek().is_some_and(|octet| octet.is_ascii_digit()) {
            shown.push('.');
            if cursor.peek() == Some(b']') {
                return Err(cursor.fault("a number or HEADER, TEXT, MIME after the dot"));
            }
        }
    }
    Ok(path)
}

fn section_text(cursor: &mut Cursor<'_>, of_part: bool, shown: &mut String) -> Read<SectionText> {
    let before = cursor.clone();
    let expected = "HEADER, HEADER.FIELDS (names), HEADER.FIELDS.NOT (names), TEXT, or MIME after a part's numbers";
    let name = cursor.name(expected)?.to_ascii_uppercase();
    shown.push_str(&String::from_utf8_lossy(&name));
    match name.as_slice() {
        b"HEADER" => Ok(SectionText::Header),
        b"TEXT" => Ok(SectionText::Text),
        b"MIME" if of_part => Ok(SectionText::Mime),
        b"HEADER.FIELDS" | b"HEADER.FIELDS.NOT" => {
            cursor.space("field names in brackets")?;
            let names = cursor.list("field names in brackets, such as (FROM SUBJECT)", |cursor| {
                Ok(cursor.astring("a field name")?.to_ascii_uppercase())
            })?;
            if names.is_empty() || names.len() > MAX_FIELDS {
                return Err(before.fault("1 to 200 field names"));
            }
            let fields = names.iter().map(|name| String::from_utf8_lossy(name)).collect::<Vec<_>>().join(" ");
            let _ = write!(shown, " ({fields})");
            Ok(SectionText::Fields { names, not: name.ends_with(b"NOT") })
        }
        _ => Err(before.fault(expected)),
    }
}

/// `<0.100>` (RFC 9051 6.4.5, partial).
fn range(cursor: &mut Cursor<'_>) -> Read<Option<(u32, u32)>> {
    if !cursor.take(b'<') {
        return Ok(None);
    }
    let expected = "a range such as <0.100>: the first octet's place and how many";
    let first = cursor.number(expected)?;
    cursor.must(b'.', expected)?;
    let before = cursor.clone();
    let count = cursor.number(expected)?;
    if count == 0 {
        return Err(before.fault("at least one octet"));
    }
    cursor.must(b'>', expected)?;
    Ok(Some((first, count)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Result<String, usize> {
        let mut cursor = Cursor::new(text.as_bytes());
        let items = read(&mut cursor).and_then(|items| cursor.end().map(|()| items)).map_err(|fault| fault.at)?;
        let show = |item: &Item| match item {
            Item::Section(wanted) | Item::Binary(wanted) | Item::BinarySize(wanted) => {
                format!("{}{:?}{}", wanted.shown, wanted.range.unwrap_or_default(), if wanted.peek { "" } else { "!" })
            }
            other => format!("{other:?}"),
        };
        Ok(items.iter().map(show).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn items_are_read() {
        assert_eq!(shown("flags").as_deref(), Ok("Flags"));
        assert_eq!(shown("FULL").as_deref(), Ok("Flags InternalDate Size Envelope Body"));
        assert_eq!(shown("(UID body[] UID)").as_deref(), Ok("Uid BODY[](0, 0)!"));
        assert_eq!(shown("BODY.PEEK[1.2.header]<3.4>").as_deref(), Ok("BODY[1.2.HEADER](3, 4)"));
        assert_eq!(
            shown("BODY[header.fields.not (from \"to\")]").as_deref(),
            Ok("BODY[HEADER.FIELDS.NOT (FROM TO)](0, 0)!")
        );
        assert_eq!(shown("BODY[1.MIME]").as_deref(), Ok("BODY[1.MIME](0, 0)!"));
        assert_eq!(shown("RFC822.HEADER").as_deref(), Ok("RFC822.HEADER(0, 0)"));
        assert_eq!(
            shown("(BINARY.SIZE[2] BINARY.PEEK[1]<0.9>)").as_deref(),
            Ok("BINARY.SIZE[2](0, 0) BINARY[1](0, 9)")
        );
    }

    #[test]
    fn mistakes_are_found_where_they_are() {
        for (text, at) in [
            ("BODY[MIME]", 5),
            ("BODY[0]", 5),
            ("BODY[1.]", 7),
            ("BODY[", 5),
            ("BODY[]<0.0>", 9),
            ("BODY[]<0>", 8),
            ("FLAG", 0),
            ("()", 0),
            ("BODY.PEEK", 9),
            ("(FLAGS  UID)", 7),
        ] {
            assert_eq!(shown(text), Err(at), "{text}");
        }
    }

    #[test]
    fn what_may_be_many_is_bounded() {
        let path = |numbers: usize| shown(&format!("BODY[{}]", ["1"].repeat(numbers).join(".")));
        assert!(path(MAX_PATH).is_ok() && path(MAX_PATH + 1).is_err());
        let fields = |names: usize| shown(&format!("BODY[HEADER.FIELDS ({})]", ["A"].repeat(names).join(" ")));
        assert!(fields(MAX_FIELDS).is_ok() && fields(MAX_FIELDS + 1).is_err());
        let items = |items: usize| shown(&format!("({})", ["UID"].repeat(items).join(" ")));
        assert!(items(MAX_ITEMS).is_ok() && items(MAX_ITEMS + 1).is_err());
    }
}
