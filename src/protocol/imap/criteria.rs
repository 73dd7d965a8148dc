//! What SEARCH looks for (RFC 9051 6.4.4, RFC 3501 6.4.4, RFC 7162 3.1.5), read but not yet looked for.

use jiff::civil::Date;

use super::{
    sequence::Set,
    sort::{self, Criterion},
    syntax::{Cursor, Fault, Read},
    thread::Algorithm,
};
use crate::mail::folder::Flags;

/// The deepest nesting of NOT, OR and brackets; each level costs stack.
pub const MAX_DEPTH: usize = 20;

/// The most keys of one SEARCH.
pub const MAX_KEYS: usize = 200;

/// A whole search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criteria {
    /// What for.
    pub purpose: Purpose,
    /// What to return (RFC 4731); none asks for the old answer.
    pub wanted: Option<Returned>,
    /// The text's character set, if it is one that is known here; the name otherwise.
    pub charset: Result<(), String>,
    /// What a message must be.
    pub key: Key,
}

/// What is done with the messages that are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// They are told in the order of the folder.
    Search,
    /// They are put in order (RFC 5256).
    Sort(Vec<Criterion>),
    /// They are put together to conversations (RFC 5256).
    Thread(Algorithm),
}

/// What an ESEARCH answer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Returned {
    pub min: bool,
    pub max: bool,
    pub all: bool,
    pub count: bool,
    /// The result becomes `$` (RFC 5182).
    pub save: bool,
}

impl Returned {
    /// Whether it tells anything.
    pub const fn tells(self) -> bool {
        self.min || self.max || self.all || self.count
    }
}

/// One thing that a message must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// Anything.
    All,
    /// These flags set, or not set.
    Flags { flags: Flags, set: bool },
    /// A keyword set, or not set.
    Keyword { name: String, set: bool },
    /// Recent in this session, or not.
    Recent(bool),
    /// By message number.
    Numbers(Set),
    /// By UID.
    Uids(Set),
    /// By the day it came in.
    Received(When, Date),
    /// By the day its Date field says.
    Sent(When, Date),
    /// More octets than this.
    Larger(u64),
    /// Fewer octets than this.
    Smaller(u64),
    /// A text in a header field; an empty one asks whether the field is there.
    Header { name: Vec<u8>, text: Text },
    /// A text in the body.
    Body(Text),
    /// A text anywhere.
    Text(Text),
    /// Changed at or after this modification sequence.
    ModSeq(u64),
    /// The opposite.
    Not(Box<Key>),
    /// One or the other.
    Or(Box<Key>, Box<Key>),
    /// All of these.
    And(Vec<Key>),
}

/// Before, on, or on and after a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    Before,
    On,
    Since,
}

impl When {
    /// Whether a day is when it says.
    pub fn holds(self, day: Date, named: Date) -> bool {
        match self {
            Self::Before => day < named,
            Self::On => day == named,
            Self::Since => day >= named,
        }
    }
}

/// A text to look for, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    fn of(octets: &[u8]) -> Option<Self> {
        std::str::from_utf8(octets).ok().map(|text| Self(text.to_lowercase()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Key {
    /// Whether it asks for modification sequences (RFC 7162 3.1.5).
    pub fn asks_modseq(&self) -> bool {
        match self {
            Self::ModSeq(_) => true,
            Self::Not(key) => key.asks_modseq(),
            Self::Or(one, other) => one.asks_modseq() || other.asks_modseq(),
            Self::And(keys) => keys.iter().any(Self::asks_modseq),
            Self::All
            | Self::Flags { .. }
            | Self::Keyword { .. }
            | Self::Recent(_)
            | Self::Numbers(_)
            | Self::Uids(_)
            | Self::Received(..)
            | Self::Sent(..)
            | Self::Larger(_)
            | Self::Smaller(_)
            | Self::Header { .. }
            | Self::Body(_)
            | Self::Text(_) => false,
        }
    }
}

impl Criteria {
    const fn new(purpose: Purpose) -> Self {
        Self { purpose, wanted: None, charset: Ok(()), key: Key::All }
    }
}

/// Reads everything after SEARCH.
pub fn search(cursor: &mut Cursor<'_>) -> Read<Criteria> {
    let mut criteria = Criteria::new(Purpose::Search);
    cursor.space(EXPECTED)?;
    if cursor.word("RETURN") {
        cursor.space("what to return in brackets")?;
        criteria.wanted = Some(returned(cursor)?);
        cursor.space(EXPECTED)?;
    }
    if cursor.word("CHARSET") {
        cursor.space("a character set")?;
        return charset_and_keys(cursor, criteria);
    }
    keys(cursor, criteria)
}

/// Reads everything after SORT.
pub fn sort(cursor: &mut Cursor<'_>) -> Read<Criteria> {
    cursor.space("what to sort by in brackets, such as (DATE)")?;
    let criteria = Criteria::new(Purpose::Sort(sort::read(cursor)?));
    cursor.space("a character set, such as UTF-8")?;
    charset_and_keys(cursor, criteria)
}

/// Reads everything after THREAD.
pub fn thread(cursor: &mut Cursor<'_>) -> Read<Criteria> {
    cursor.space("REFERENCES or ORDEREDSUBJECT")?;
    let criteria = Criteria::new(Purpose::Thread(Algorithm::read(cursor)?));
    cursor.space("a character set, such as UTF-8")?;
    charset_and_keys(cursor, criteria)
}

fn charset_and_keys(cursor: &mut Cursor<'_>, mut criteria: Criteria) -> Read<Criteria> {
    let name = String::from_utf8_lossy(&cursor.astring("a character set, such as UTF-8")?).to_ascii_uppercase();
    if name != "UTF-8" && name != "US-ASCII" {
        criteria.charset = Err(name);
        // The texts are in a character set that is not known here: they are not read (RFC 9051 7.1, BADCHARSET).
        while cursor.peek().is_some_and(|octet| cursor.take(octet)) {}
        return Ok(criteria);
    }
    cursor.space(EXPECTED)?;
    keys(cursor, criteria)
}

fn keys(cursor: &mut Cursor<'_>, mut criteria: Criteria) -> Read<Criteria> {
    let mut left = MAX_KEYS;
    let mut keys = vec![key(cursor, MAX_DEPTH, &mut left)?];
    while !cursor.is_end() {
        cursor.space(EXPECTED)?;
        keys.push(key(cursor, MAX_DEPTH, &mut left)?);
    }
    criteria.key = together(keys);
    Ok(criteria)
}

fn together(mut keys: Vec<Key>) -> Key {
    if keys.len() == 1 { keys.remove(0) } else { Key::And(keys) }
}

fn returned(cursor: &mut Cursor<'_>) -> Read<Returned> {
    let mut wanted = Returned::default();
    cursor.list("what to return in brackets: MIN MAX ALL COUNT SAVE", |cursor| {
        match () {
            () if cursor.word("MIN") => wanted.min = true,
            () if cursor.word("MAX") => wanted.max = true,
            () if cursor.word("ALL") => wanted.all = true,
            () if cursor.word("COUNT") => wanted.count = true,
            () if cursor.word("SAVE") => wanted.save = true,
            () => return Err(cursor.fault("MIN, MAX, ALL, COUNT or SAVE")),
        }
        Ok(())
    })?;
    // `RETURN ()` is `RETURN (ALL)` (RFC 4731 3.1).
    wanted.all |= !wanted.tells() && !wanted.save;
    Ok(wanted)
}

const EXPECTED: &str =
    "a search key: ALL, UNSEEN, FROM \"ana\", SUBJECT \"x\", SINCE 1-Feb-2026, UID 1:9, NOT, OR or the like";

fn key(cursor: &mut Cursor<'_>, depth: usize, left: &mut usize) -> Read<Key> {
    let before = cursor.clone();
    let Some(depth) = depth.checked_sub(1) else {
        return Err(before.fault("at most 20 levels of NOT, OR and brackets"));
    };
    *left = left.checked_sub(1).ok_or_else(|| before.fault("at most 200 search keys"))?;
    match cursor.peek() {
        Some(b'(') => {
            let keys = cursor.list(EXPECTED, |cursor| key(cursor, depth, left))?;
            return if keys.is_empty() {
                Err(before.fault("a search key in the brackets"))
            } else {
                Ok(together(keys))
            };
        }
        Some(b'0'..=b'9' | b'*' | b'$') => return Set::read(cursor).map(Key::Numbers),
        Some(_) | None => {}
    }
    let name = cursor.name(EXPECTED)?.to_ascii_uppercase();
    let flags = |flags, set| Ok(Key::Flags { flags, set });
    match name.as_slice() {
        b"ALL" => Ok(Key::All),
        b"ANSWERED" => flags(Flags::ANSWERED, true),
        b"DELETED" => flags(Flags::DELETED, true),
        b"DRAFT" => flags(Flags::DRAFT, true),
        b"FLAGGED" => flags(Flags::FLAGGED, true),
        b"SEEN" => flags(Flags::SEEN, true),
        b"UNANSWERED" => flags(Flags::ANSWERED, false),
        b"UNDELETED" => flags(Flags::DELETED, false),
        b"UNDRAFT" => flags(Flags::DRAFT, false),
        b"UNFLAGGED" => flags(Flags::FLAGGED, false),
        b"UNSEEN" => flags(Flags::SEEN, false),
        b"NEW" => Ok(Key::And(vec![Key::Recent(true), Key::Flags { flags: Flags::SEEN, set: false }])),
        b"OLD" => Ok(Key::Recent(false)),
        b"RECENT" => Ok(Key::Recent(true)),
        b"KEYWORD" | b"UNKEYWORD" => {
            cursor.space("a keyword")?;
            let keyword = String::from_utf8_lossy(cursor.atom("a keyword")?).into_owned();
            Ok(Key::Keyword { name: keyword, set: name == b"KEYWORD" })
        }
        b"UID" => {
            cursor.space("UIDs")?;
            Set::read(cursor).map(Key::Uids)
        }
        b"BEFORE" => date(cursor).map(|day| Key::Received(When::Before, day)),
        b"ON" => date(cursor).map(|day| Key::Received(When::On, day)),
        b"SINCE" => date(cursor).map(|day| Key::Received(When::Since, day)),
        b"SENTBEFORE" => date(cursor).map(|day| Key::Sent(When::Before, day)),
        b"SENTON" => date(cursor).map(|day| Key::Sent(When::On, day)),
        b"SENTSINCE" => date(cursor).map(|day| Key::Sent(When::Since, day)),
        b"LARGER" => octets(cursor).map(Key::Larger),
        b"SMALLER" => octets(cursor).map(Key::Smaller),
        b"HEADER" => {
            cursor.space("a field name")?;
            let name = cursor.astring("a field name")?.into_owned();
            text(cursor).map(|text| Key::Header { name, text })
        }
        b"BCC" | b"CC" | b"FROM" | b"SUBJECT" | b"TO" => text(cursor).map(|text| Key::Header { name, text }),
        b"BODY" => text(cursor).map(Key::Body),
        b"TEXT" => text(cursor).map(Key::Text),
        b"MODSEQ" => modseq(cursor),
        b"NOT" => {
            cursor.space(EXPECTED)?;
            key(cursor, depth, left).map(|key| Key::Not(Box::new(key)))
        }
        b"OR" => {
            cursor.space(EXPECTED)?;
            let one = key(cursor, depth, left)?;
            cursor.space("a second search key after OR")?;
            Ok(Key::Or(Box::new(one), Box::new(key(cursor, depth, left)?)))
        }
        _ => Err(before.fault(EXPECTED)),
    }
}

fn text(cursor: &mut Cursor<'_>) -> Read<Text> {
    cursor.space("a text to look for")?;
    let before = cursor.clone();
    let text = cursor.astring("a text to look for, in quotes if it holds a blank")?;
    Text::of(&text).ok_or_else(|| before.fault("a text in UTF-8"))
}

fn octets(cursor: &mut Cursor<'_>) -> Read<u64> {
    cursor.space("a number of octets")?;
    cursor.number64("a number of octets")
}

/// `MODSEQ 5`, or with an entry that this server treats like all others: `MODSEQ "/flags/\\draft" all 5` (RFC 7162 3.1.5).
fn modseq(cursor: &mut Cursor<'_>) -> Read<Key> {
    cursor.space("a modification sequence")?;
    if cursor.peek() == Some(b'"') {
        cursor.string("an entry")?;
        cursor.space("priv, shared or all")?;
        if !(cursor.word("PRIV") || cursor.word("SHARED") || cursor.word("ALL")) {
            return Err(cursor.fault("priv, shared or all"));
        }
        cursor.space("a modification sequence")?;
    }
    cursor.number64("a modification sequence").map(Key::ModSeq)
}

/// `1-Feb-1994`, with quotes or without (RFC 9051 9, date).
fn date(cursor: &mut Cursor<'_>) -> Read<Date> {
    let expected = "a date such as 1-Feb-2026";
    cursor.space(expected)?;
    let before = cursor.clone();
    let text = cursor.astring(expected)?;
    parse_date(&text).ok_or(Fault { expected, ..before.fault(expected) })
}

fn parse_date(text: &[u8]) -> Option<Date> {
    let text = std::str::from_utf8(text).ok()?;
    let (day, rest) = text.split_once('-')?;
    let (month, year) = rest.split_once('-')?;
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))?;
    let digits = |text: &str, least, most| {
        (text.len() >= least && text.len() <= most && text.bytes().all(|digit| digit.is_ascii_digit())).then_some(())
    };
    digits(day, 1, 2)?;
    digits(year, 4, 4)?;
    Date::new(year.parse().ok()?, i8::try_from(month + 1).ok()?, day.parse().ok()?).ok()
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(text: &str) -> Result<Criteria, Fault> {
        let mut cursor = Cursor::new(text.as_bytes());
        search(&mut cursor).and_then(|criteria| cursor.end().map(|()| criteria))
    }

    fn key(text: &str) -> Key {
        read_all(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}")).key
    }

    #[test]
    fn keys_nest() {
        let seen = |set| Key::Flags { flags: Flags::SEEN, set };
        assert_eq!(key(" UNSEEN"), seen(false));
        assert_eq!(key(" OR SEEN NOT SEEN"), Key::Or(Box::new(seen(true)), Box::new(Key::Not(Box::new(seen(true))))));
        assert_eq!(key(" (SEEN UNSEEN)"), Key::And(vec![seen(true), seen(false)]));
        assert_eq!(key(" CHARSET utf-8 TEXT \"Ñ\""), Key::Text(Text("ñ".into())));
        let day = Date::new(1994, 2, 1).unwrap();
        assert_eq!(key(" SENTSINCE \"1-feb-1994\""), Key::Sent(When::Since, day));
        assert_eq!(key(" MODSEQ \"/flags/\\\\draft\" all 5"), Key::ModSeq(5));
        assert!(key(" NOT MODSEQ 5").asks_modseq());
    }

    #[test]
    fn what_to_return_is_read() {
        let wanted = |text: &str| read_all(text).unwrap().wanted.unwrap();
        assert_eq!(wanted(" RETURN () ALL"), Returned { all: true, ..Returned::default() });
        assert_eq!(wanted(" RETURN (SAVE) ALL"), Returned { save: true, ..Returned::default() });
        assert_eq!(read_all(" CHARSET KOI8-R TEXT x").unwrap().charset, Err("KOI8-R".into()));
    }

    #[test]
    fn mistakes_are_found_where_they_are() {
        for (text, at) in [
            ("", 0),
            (" NOTHING", 1),
            (" OR SEEN", 8),
            (" SINCE 31-Feb-2026", 7),
            (" SINCE yesterday", 7),
            (" FROM", 5),
            (" ()", 1),
            (" LARGER -1", 8),
            (" UID 0", 5),
        ] {
            assert_eq!(read_all(text).map_err(|fault| fault.at), Err(at), "{text}");
        }
    }

    #[test]
    fn sort_and_thread_name_a_character_set() {
        let read = |text: &str| sort(&mut Cursor::new(text.as_bytes())).map_err(|fault| fault.at);
        let by_size = Criterion { by: sort::By::Size, reverse: false };
        assert_eq!(read(" (SIZE) UTF-8 ALL").unwrap().purpose, Purpose::Sort(vec![by_size]));
        assert_eq!((read(" (SIZE) ALL").map(|all| all.charset), read(" (SIZE)")), (Ok(Err("ALL".into())), Err(7)));
        let read = |text: &str| thread(&mut Cursor::new(text.as_bytes())).map_err(|fault| fault.at);
        assert_eq!(read(" references us-ascii UNSEEN").unwrap().purpose, Purpose::Thread(Algorithm::References));
        assert_eq!(read(" REFS UTF-8 ALL"), Err(1));
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let deep = |levels: usize| read_all(&format!("{} ALL", " NOT".repeat(levels)));
        assert!(deep(MAX_DEPTH - 1).is_ok() && deep(MAX_DEPTH).is_err());
        let many = |keys: usize| read_all(&" SEEN".repeat(keys));
        assert!(many(MAX_KEYS).is_ok() && many(MAX_KEYS + 1).is_err());
    }
}
