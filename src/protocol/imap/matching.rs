//! Whether a message is what SEARCH looks for. What the folder's row tells is asked first; the message itself is read only
//! where that leaves the question open.

use jiff::{civil::Date, tz::Offset};
use mail_parser::{MessageParser, PartType, parsers::MessageStream};
use memchr::memmem;

use super::{
    criteria::{Key, Text},
    sequence::Ranges,
};
use crate::{
    mail::{
        address::{Member, addresses},
        body_start,
        fields::{fields, unfolded},
        folder::{Flags, Row},
    },
    protocol::imap::view::View,
};

/// A search with its sets and keywords resolved against an open folder.
#[derive(Debug)]
pub enum Test {
    /// Known already.
    Is(bool),
    Flags {
        flags: Flags,
        set: bool,
    },
    Recent(bool),
    Numbers(Ranges),
    Uids(Ranges),
    Received(super::criteria::When, Date),
    Sent(super::criteria::When, Date),
    Larger(u64),
    Smaller(u64),
    Header {
        name: Vec<u8>,
        text: Text,
    },
    Body(Text),
    Text(Text),
    ModSeq(u64),
    Not(Box<Test>),
    Or(Box<Test>, Box<Test>),
    And(Vec<Test>),
}

/// A message as far as the folder knows it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub row: &'a Row,
    /// Its message number.
    pub number: u32,
    pub recent: bool,
    /// For days in the server's own time zone.
    pub utc_offset_secs: i32,
}

impl Test {
    /// Resolves `key`. A message number that no message has fits none.
    pub fn of(key: &Key, view: &View) -> Self {
        match key {
            Key::All => Self::Is(true),
            Key::Flags { flags, set } => Self::Flags { flags: *flags, set: *set },
            Key::Keyword { name, set } => match view.keyword(name) {
                Some(flags) => Self::Flags { flags, set: *set },
                None => Self::Is(!set),
            },
            Key::Recent(recent) => Self::Recent(*recent),
            Key::Numbers(set) => Self::Numbers(view.numbers(set)),
            Key::Uids(set) => Self::Uids(view.uids(set)),
            Key::Received(when, day) => Self::Received(*when, *day),
            Key::Sent(when, day) => Self::Sent(*when, *day),
            Key::Larger(octets) => Self::Larger(*octets),
            Key::Smaller(octets) => Self::Smaller(*octets),
            Key::Header { name, text } => Self::Header { name: name.clone(), text: text.clone() },
            // Every text holds the empty one.
            Key::Body(text) | Key::Text(text) if text.as_str().is_empty() => Self::Is(true),
            Key::Body(text) => Self::Body(text.clone()),
            Key::Text(text) => Self::Text(text.clone()),
            Key::ModSeq(modseq) => Self::ModSeq(*modseq),
            Key::Not(key) => Self::Not(Box::new(Self::of(key, view))),
            Key::Or(one, other) => Self::Or(Box::new(Self::of(one, view)), Box::new(Self::of(other, view))),
            Key::And(keys) => Self::And(keys.iter().map(|key| Self::of(key, view)).collect()),
        }
    }

    /// What the row tells; none where the message must be read.
    pub fn by_row(&self, candidate: Candidate<'_>) -> Option<bool> {
        let Candidate { row, number, recent, utc_offset_secs } = candidate;
        Some(match self {
            Self::Is(known) => *known,
            Self::Flags { flags, set } => row.flags.has(*flags) == *set,
            Self::Recent(wanted) => recent == *wanted,
            Self::Numbers(ranges) => ranges.contains(number),
            Self::Uids(ranges) => ranges.contains(row.uid),
            Self::Received(when, day) => when.holds(day_of(row.received_secs, utc_offset_secs), *day),
            Self::Larger(octets) => u64::from(row.octets) > *octets,
            Self::Smaller(octets) => u64::from(row.octets) < *octets,
            Self::ModSeq(modseq) => row.modseq >= *modseq,
            Self::Sent(..) | Self::Header { .. } | Self::Body(_) | Self::Text(_) => return None,
            Self::Not(test) => !test.by_row(candidate)?,
            Self::Or(one, other) => match (one.by_row(candidate), other.by_row(candidate)) {
                (Some(true), _) | (_, Some(true)) => true,
                (Some(false), Some(false)) => false,
                _ => return None,
            },
            Self::And(tests) => {
                let mut open = false;
                for test in tests {
                    match test.by_row(candidate) {
                        Some(false) => return Some(false),
                        Some(true) => {}
                        None => open = true,
                    }
                }
                if open {
                    return None;
                }
                true
            }
        })
    }

    /// What row and message tell.
    pub fn holds(&self, candidate: Candidate<'_>, message: &Searched<'_>) -> bool {
        match self {
            Self::Not(test) => !test.holds(candidate, message),
            Self::Or(one, other) => one.holds(candidate, message) || other.holds(candidate, message),
            Self::And(tests) => tests.iter().all(|test| test.holds(candidate, message)),
            Self::Sent(when, day) => message.sent().is_some_and(|sent| when.holds(sent, *day)),
            Self::Header { name, text } => message.header_has(name, text),
            Self::Body(text) => message.body_has(text),
            Self::Text(text) => message.has(text) || message.body_has(text),
            Self::Is(_)
            | Self::Flags { .. }
            | Self::Recent(_)
            | Self::Numbers(_)
            | Self::Uids(_)
            | Self::Received(..)
            | Self::Larger(_)
            | Self::Smaller(_)
            | Self::ModSeq(_) => self.by_row(candidate).unwrap_or_default(),
        }
    }
}

fn day_of(secs: i64, utc_offset_secs: i32) -> Date {
    let time = jiff::Timestamp::from_second(secs).unwrap_or_default();
    Offset::from_seconds(utc_offset_secs).unwrap_or(Offset::UTC).to_datetime(time).date()
}

/// A message that is looked into.
#[derive(Debug)]
pub struct Searched<'a> {
    octets: &'a [u8],
    /// The same in lower case, for texts that are ASCII.
    lower: Vec<u8>,
    body: usize,
    /// Whether the body has parts or is encoded, so that its octets alone do not tell.
    structured: bool,
}

impl<'a> Searched<'a> {
    /// Looks a message over.
    pub fn of(octets: &'a [u8]) -> Self {
        let lower = octets.to_ascii_lowercase();
        let body = body_start(octets);
        let words = [&b"multipart/"[..], b"message/", b"base64", b"quoted-printable"];
        let structured =
            words.iter().any(|word| memmem::find(&lower[..body], word).is_some()) || !octets[body..].is_ascii();
        Self { octets, lower, body, structured }
    }

    fn header(&self) -> &'a [u8] {
        &self.octets[..self.body]
    }

    /// The day that the Date field names, as it stands there: neither time nor zone count (RFC 9051 6.4.4, SENTBEFORE).
    fn sent(&self) -> Option<Date> {
        let date = date(self.header())?;
        Date::new(i16::try_from(date.year).ok()?, i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?).ok()
    }

    fn header_has(&self, name: &[u8], text: &Text) -> bool {
        let mut named = fields(self.header()).filter(|field| field.name.eq_ignore_ascii_case(name));
        if text.as_str().is_empty() {
            return named.next().is_some();
        }
        let lists = [&b"From"[..], b"To", b"Cc", b"Bcc"].iter().any(|list| list.eq_ignore_ascii_case(name));
        named.any(|field| value_has(field.value, text) || lists && addresses_have(field.value, text))
    }

    /// Whether it has the text as it stands, or in a decoded header field.
    fn has(&self, text: &Text) -> bool {
        memmem::find(&self.lower, text.as_str().as_bytes()).is_some()
            || fields(self.header()).any(|field| value_has(field.value, text))
    }

    /// Whether the texts of the body have it. The headers of parts are no body (RFC 9051 6.4.4, BODY).
    fn body_has(&self, text: &Text) -> bool {
        if !self.structured {
            return memmem::find(&self.lower[self.body..], text.as_str().as_bytes()).is_some();
        }
        let parsed = MessageParser::default().parse(self.octets);
        parsed.is_some_and(|message| decoded_has(&message, text))
    }
}

/// What the Date field of a header says, in seconds since 1970-01-01T00:00:00Z.
pub fn sent_secs(header: &[u8]) -> Option<i64> {
    date(header).filter(mail_parser::DateTime::is_valid).map(|date| date.to_timestamp())
}

fn date(header: &[u8]) -> Option<mail_parser::DateTime> {
    let field = fields(header).find(|field| field.name.eq_ignore_ascii_case(b"Date"))?;
    MessageStream::new(&terminated(field.value)).parse_date().into_datetime()
}

/// A value, which has no folds any more, with its encoded words decoded.
pub fn decoded(value: &[u8]) -> String {
    let stands = || String::from_utf8_lossy(value).into_owned();
    if memmem::find(value, b"=?").is_none() {
        return stands();
    }
    let value = terminated(value);
    MessageStream::new(&value).parse_unstructured().as_text().map_or_else(stands, str::to_owned)
}

/// Whether the texts of a message hold `text`, decoded, in any case.
fn decoded_has(message: &mail_parser::Message<'_>, text: &Text) -> bool {
    message.parts.iter().any(|part| match &part.body {
        PartType::Text(content) | PartType::Html(content) => content.to_lowercase().contains(text.as_str()),
        PartType::Message(inner) => decoded_has(inner, text),
        PartType::Binary(_) | PartType::InlineBinary(_) | PartType::Multipart(_) => false,
    })
}

/// Whether a field's value holds `text` as it stands or with its encoded words decoded.
fn value_has(value: &[u8], text: &Text) -> bool {
    let value = unfolded(value);
    String::from_utf8_lossy(&value).to_lowercase().contains(text.as_str())
        || decoded(&value).to_lowercase().contains(text.as_str())
}

/// Whether an address of a list holds `text`, with what comments and blanks stand inside it taken out: FROM and its like ask
/// for what ENVELOPE shows (RFC 9051 6.4.4).
fn addresses_have(value: &[u8], text: &Text) -> bool {
    addresses(value).into_iter().any(|member| match member {
        Member::Address { local, domain: Some(domain), .. } => {
            let address = [local.as_slice(), b"@", &domain].concat();
            String::from_utf8_lossy(&address).to_lowercase().contains(text.as_str())
        }
        Member::Address { domain: None, .. } | Member::GroupStart(_) | Member::GroupEnd => false,
    })
}

/// A value with the line end that mail-parser looks for.
fn terminated(value: &[u8]) -> Vec<u8> {
    [value.trim_ascii(), b"\r\n"].concat()
}
