//! Commands taken apart (RFC 9051 6 and the extensions the capability list names). Nothing here carries one out; FETCH's items
//! are in `items`, SEARCH's keys in `criteria`.

use std::ops::Range;

use super::{
    criteria::{self, Criteria},
    items::{self, Item},
    list::{List, list, lsub},
    name::{self, Charset},
    resync::Resync,
    sequence::Set,
    syntax::{Cursor, Read},
    verb::Verb,
};
use crate::{
    mail::folder::{Flags, FolderName, MAX_KEYWORD, NamedFlags},
    protocol::folders::Change,
};

/// The most flags that one command names.
pub const MAX_FLAGS: usize = 100;

/// A command with its arguments. `uid` says that numbers are UIDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Capability,
    Noop,
    Logout,
    Id,
    StartTls,
    Authenticate { mechanism: String, initial: Option<Vec<u8>> },
    Login { name: Vec<u8>, password: Vec<u8> },
    Enable(Vec<String>),
    Select { name: Name, read_only: bool, parameters: SelectParameters },
    Create(Name),
    Delete(Name),
    Rename { from: Name, to: Name },
    Subscribe { name: Name, on: bool },
    List(List),
    Namespace,
    Status { name: Name, items: Vec<StatusItem> },
    Append { name: Name, flags: NamedFlags, received_secs: Option<i64>, content: Range<usize> },
    Idle,
    Check,
    Close,
    Unselect,
    Expunge { uids: Option<Set> },
    Search { criteria: Criteria, uid: bool },
    Fetch { set: Set, items: Vec<Item>, since: Option<Since>, uid: bool },
    Store { set: Set, how: Change, flags: NamedFlags, silent: bool, unchanged_since: Option<u64>, uid: bool },
    Copy { set: Set, to: Name, remove: bool, uid: bool },
}

/// What SELECT may ask for beyond opening a folder (RFC 7162 3.1.8, 3.2.5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SelectParameters {
    /// Modification sequences.
    pub condstore: bool,
    /// What changed since the client saw it last.
    pub resync: Option<Resync>,
}

/// A condition of FETCH: only messages that changed after this modification sequence (RFC 7162 3.1.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Since {
    /// The modification sequence.
    pub modseq: u64,
    /// Also which messages are gone (RFC 7162 3.2.6).
    pub vanished: bool,
}

/// A folder's name as a client wrote it: a name that cannot be one is refused with NO, not as bad syntax.
pub type Name = Result<FolderName, String>;

/// What STATUS can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusItem {
    Messages,
    Recent,
    UidNext,
    UidValidity,
    Unseen,
    Deleted,
    Size,
    HighestModSeq,
}

impl StatusItem {
    const ALL: [Self; 8] = [
        Self::Messages,
        Self::Recent,
        Self::UidNext,
        Self::UidValidity,
        Self::Unseen,
        Self::Deleted,
        Self::Size,
        Self::HighestModSeq,
    ];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "MESSAGES",
            Self::Recent => "RECENT",
            Self::UidNext => "UIDNEXT",
            Self::UidValidity => "UIDVALIDITY",
            Self::Unseen => "UNSEEN",
            Self::Deleted => "DELETED",
            Self::Size => "SIZE",
            Self::HighestModSeq => "HIGHESTMODSEQ",
        }
    }
}

/// Reads the arguments of `verb`; the cursor stands behind it.
pub fn arguments(verb: Verb, uid: bool, cursor: &mut Cursor<'_>, charset: Charset) -> Read<Command> {
    let command = match verb {
        Verb::Capability => Command::Capability,
        Verb::Noop => Command::Noop,
        Verb::Logout => Command::Logout,
        Verb::Id => id(cursor)?,
        Verb::StartTls => Command::StartTls,
        Verb::Authenticate => authenticate(cursor)?,
        Verb::Login => login(cursor)?,
        Verb::Enable => enable(cursor)?,
        Verb::Select | Verb::Examine => select(verb == Verb::Examine, cursor, charset)?,
        Verb::Create => Command::Create(created(cursor, charset)?),
        Verb::Delete => Command::Delete(folder(cursor, charset)?),
        Verb::Rename => Command::Rename { from: folder(cursor, charset)?, to: folder(cursor, charset)? },
        Verb::Subscribe => Command::Subscribe { name: folder(cursor, charset)?, on: true },
        Verb::Unsubscribe => Command::Subscribe { name: folder(cursor, charset)?, on: false },
        Verb::List => Command::List(list(cursor, charset)?),
        Verb::Lsub => Command::List(lsub(cursor, charset)?),
        Verb::Namespace => Command::Namespace,
        Verb::Status => {
            let name = folder(cursor, charset)?;
            cursor.space("what to tell, such as (MESSAGES UNSEEN)")?;
            Command::Status { name, items: status_items(cursor)? }
        }
        Verb::Append => append(cursor, charset)?,
        Verb::Idle => Command::Idle,
        Verb::Check => Command::Check,
        Verb::Close => Command::Close,
        Verb::Unselect => Command::Unselect,
        Verb::Expunge if uid => Command::Expunge { uids: Some(set(cursor)?) },
        Verb::Expunge => Command::Expunge { uids: None },
        Verb::Search => Command::Search { criteria: criteria::search(cursor)?, uid },
        Verb::Sort => Command::Search { criteria: criteria::sort(cursor)?, uid },
        Verb::Thread => Command::Search { criteria: criteria::thread(cursor)?, uid },
        Verb::Fetch => fetch(uid, cursor)?,
        Verb::Store => store(uid, cursor)?,
        Verb::Copy | Verb::Move => {
            Command::Copy { set: set(cursor)?, to: folder(cursor, charset)?, remove: verb == Verb::Move, uid }
        }
    };
    cursor.end()?;
    Ok(command)
}

fn id(cursor: &mut Cursor<'_>) -> Read<Command> {
    cursor.space("NIL or a list")?;
    if !cursor.word("NIL") {
        let mut named = true;
        cursor.list("NIL or a list such as (\"name\" \"my program\")", |cursor| {
            let piece = if named {
                cursor.string("a name in quotes").map(drop)
            } else {
                cursor.nstring("a value in quotes, or NIL").map(drop)
            };
            named = !named;
            piece
        })?;
    }
    Ok(Command::Id)
}

fn authenticate(cursor: &mut Cursor<'_>) -> Read<Command> {
    cursor.space("a mechanism, such as PLAIN")?;
    let mechanism = String::from_utf8_lossy(cursor.atom("a mechanism, such as PLAIN")?).to_ascii_uppercase();
    // RFC 4959: the first response on the same line.
    let initial = if cursor.is_end() {
        None
    } else {
        cursor.space("the initial response")?;
        Some(cursor.until_blank().to_vec())
    };
    Ok(Command::Authenticate { mechanism, initial })
}

fn login(cursor: &mut Cursor<'_>) -> Read<Command> {
    cursor.space("a name")?;
    let name = cursor.astring("a name")?.into_owned();
    cursor.space("a password")?;
    Ok(Command::Login { name, password: cursor.astring("a password")?.into_owned() })
}

fn enable(cursor: &mut Cursor<'_>) -> Read<Command> {
    let mut names = Vec::new();
    while names.is_empty() || !cursor.is_end() {
        cursor.space("an extension, such as CONDSTORE")?;
        names.push(String::from_utf8_lossy(cursor.atom("an extension, such as CONDSTORE")?).to_ascii_uppercase());
    }
    Ok(Command::Enable(names))
}

fn select(read_only: bool, cursor: &mut Cursor<'_>, charset: Charset) -> Read<Command> {
    let name = folder(cursor, charset)?;
    let mut parameters = SelectParameters::default();
    if !cursor.is_end() {
        cursor.space("(CONDSTORE)")?;
        cursor.list("(CONDSTORE) or nothing", |cursor| {
            match () {
                () if cursor.word("CONDSTORE") => parameters.condstore = true,
                () if cursor.word("QRESYNC") => parameters.resync = Some(Resync::read(cursor)?),
                () => return Err(cursor.fault("CONDSTORE or QRESYNC: this server knows no other parameter")),
            }
            Ok(())
        })?;
    }
    Ok(Command::Select { name, read_only, parameters })
}

/// CREATE's name may end in a delimiter, which says that folders will lie in it (RFC 3501 6.3.3).
fn created(cursor: &mut Cursor<'_>, charset: Charset) -> Read<Name> {
    cursor.space("a folder's name")?;
    let text = cursor.astring("a folder's name")?;
    let text = text.strip_suffix(b"/").unwrap_or(&text);
    Ok(named(text, charset))
}

fn folder(cursor: &mut Cursor<'_>, charset: Charset) -> Read<Name> {
    cursor.space("a folder's name")?;
    Ok(named(&cursor.astring("a folder's name, in quotes if it holds a blank")?, charset))
}

fn named(text: &[u8], charset: Charset) -> Name {
    let name = name::decoded(text, charset).ok_or("the name is neither modified UTF-7 nor UTF-8: write & as &-")?;
    name.parse().map_err(|problem: crate::mail::folder::BadFolder| problem.to_string())
}

fn set(cursor: &mut Cursor<'_>) -> Read<Set> {
    cursor.space("message numbers, such as 1 or 2:4")?;
    Set::read(cursor)
}

pub(super) fn status_items(cursor: &mut Cursor<'_>) -> Read<Vec<StatusItem>> {
    let mut items: Vec<StatusItem> = Vec::new();
    let expected = "some of MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE HIGHESTMODSEQ in brackets";
    let before = cursor.clone();
    cursor.list(expected, |cursor| {
        let item = StatusItem::ALL.into_iter().find(|item| cursor.word(item.name()));
        let item = item.ok_or_else(|| cursor.fault(expected))?;
        if !items.contains(&item) {
            items.push(item);
        }
        Ok(())
    })?;
    if items.is_empty() { Err(before.fault(expected)) } else { Ok(items) }
}

fn append(cursor: &mut Cursor<'_>, charset: Charset) -> Read<Command> {
    let name = folder(cursor, charset)?;
    cursor.space("the message as a literal")?;
    let mut flags = NamedFlags::default();
    if cursor.peek() == Some(b'(') {
        flags = bracketed_flags(cursor)?;
        cursor.space("the message as a literal")?;
    }
    let mut received_secs = None;
    if cursor.peek() == Some(b'"') {
        received_secs = Some(date_time(cursor)?);
        cursor.space("the message as a literal")?;
    }
    if !matches!(cursor.peek(), Some(b'{' | b'~')) {
        return Err(cursor.fault("the message as a literal: {octets}"));
    }
    let message = cursor.literal()?.content;
    let end = cursor.position();
    Ok(Command::Append { name, flags, received_secs, content: end - message.len()..end })
}

/// `"17-Jul-1996 02:44:25 -0700"` (RFC 9051 9, date-time), in seconds since 1970-01-01T00:00:00Z.
fn date_time(cursor: &mut Cursor<'_>) -> Read<i64> {
    let expected = "a date such as \"17-Jul-1996 02:44:25 -0700\"";
    let before = cursor.clone();
    let text = cursor.string(expected)?;
    let text = std::str::from_utf8(&text).map_err(|_| before.fault(expected))?;
    let time =
        jiff::fmt::strtime::parse("%d-%b-%Y %H:%M:%S %z", text.trim_start()).and_then(|parsed| parsed.to_timestamp());
    time.map(jiff::Timestamp::as_second).map_err(|_| before.fault(expected))
}

fn fetch(uid: bool, cursor: &mut Cursor<'_>) -> Read<Command> {
    let set = set(cursor)?;
    cursor.space("what to fetch, such as FLAGS or (UID BODY[])")?;
    let mut items = items::read(cursor)?;
    let (mut changed_since, mut vanished) = (None, false);
    if !cursor.is_end() {
        cursor.space("(CHANGEDSINCE n)")?;
        let before = cursor.clone();
        cursor.list("(CHANGEDSINCE n) or the end of the command", |cursor| {
            if cursor.word("VANISHED") {
                vanished = true;
                return Ok(());
            }
            if !cursor.word("CHANGEDSINCE") {
                return Err(cursor.fault("CHANGEDSINCE and a number"));
            }
            cursor.space("a modification sequence")?;
            changed_since = Some(cursor.number64("a modification sequence")?);
            Ok(())
        })?;
        if vanished && (changed_since.is_none() || !uid) {
            return Err(before.fault("VANISHED in UID FETCH, together with CHANGEDSINCE"));
        }
    }
    let since = changed_since.map(|modseq| Since { modseq, vanished });
    // RFC 7162 3.1.4.1 and RFC 9051 6.4.9.
    if since.is_some() && !items.contains(&Item::ModSeq) {
        items.push(Item::ModSeq);
    }
    if uid && !items.contains(&Item::Uid) {
        items.insert(0, Item::Uid);
    }
    Ok(Command::Fetch { set, items, since, uid })
}

fn store(uid: bool, cursor: &mut Cursor<'_>) -> Read<Command> {
    let set = set(cursor)?;
    cursor.space("+FLAGS, -FLAGS or FLAGS")?;
    let mut unchanged_since = None;
    if cursor.peek() == Some(b'(') {
        cursor.list("(UNCHANGEDSINCE n)", |cursor| {
            if !cursor.word("UNCHANGEDSINCE") {
                return Err(cursor.fault("UNCHANGEDSINCE and a number"));
            }
            cursor.space("a modification sequence")?;
            unchanged_since = Some(cursor.number64("a modification sequence")?);
            Ok(())
        })?;
        cursor.space("+FLAGS, -FLAGS or FLAGS")?;
    }
    let how = match cursor.peek() {
        Some(b'+') => Change::Add,
        Some(b'-') => Change::Remove,
        Some(_) | None => Change::Replace,
    };
    if how != Change::Replace {
        cursor.take(if how == Change::Add { b'+' } else { b'-' });
    }
    let silent = cursor.word("FLAGS.SILENT");
    if !silent && !cursor.word("FLAGS") {
        return Err(cursor.fault("+FLAGS, -FLAGS or FLAGS, with .SILENT behind it or without"));
    }
    cursor.space("flags, such as (\\Seen)")?;
    let flags = if cursor.peek() == Some(b'(') { bracketed_flags(cursor)? } else { bare_flags(cursor)? };
    Ok(Command::Store { set, how, flags, silent, unchanged_since, uid })
}

fn bracketed_flags(cursor: &mut Cursor<'_>) -> Read<NamedFlags> {
    let mut flags = NamedFlags::default();
    let before = cursor.clone();
    let read = cursor.list("flags in brackets, such as (\\Seen)", |cursor| flag(cursor, &mut flags))?;
    few_flags(read.len(), &before)?;
    Ok(flags)
}

/// STORE's flags may stand without brackets (RFC 9051 9, store-att-flags).
fn bare_flags(cursor: &mut Cursor<'_>) -> Read<NamedFlags> {
    let mut flags = NamedFlags::default();
    let before = cursor.clone();
    flag(cursor, &mut flags)?;
    let mut read = 1;
    while !cursor.is_end() {
        cursor.space("a flag")?;
        flag(cursor, &mut flags)?;
        read += 1;
    }
    few_flags(read, &before)?;
    Ok(flags)
}

fn few_flags(read: usize, before: &Cursor<'_>) -> Read<()> {
    if read > MAX_FLAGS { Err(before.fault("at most 100 flags")) } else { Ok(()) }
}

fn flag(cursor: &mut Cursor<'_>, flags: &mut NamedFlags) -> Read<()> {
    let expected = "a flag: \\Answered \\Flagged \\Deleted \\Seen \\Draft or a keyword";
    let before = cursor.clone();
    if cursor.take(b'\\') {
        let name = cursor.atom(expected)?;
        let known = Flags::SYSTEM.into_iter().find(|(flag, _)| flag.as_bytes()[1..].eq_ignore_ascii_case(name));
        // No client can set \Recent; one that sends back what it was shown means no harm (RFC 3501 6.4.6).
        if known.is_none() && !name.eq_ignore_ascii_case(b"Recent") {
            return Err(before.fault(expected));
        }
        flags.system = flags.system.with(known.map_or(Flags(0), |(_, flag)| flag));
        return Ok(());
    }
    let name = cursor.atom(expected)?;
    let name = std::str::from_utf8(name).ok().filter(|name| name.is_ascii() && name.len() <= MAX_KEYWORD);
    flags.add_keyword(name.ok_or_else(|| before.fault("a keyword of at most 64 ASCII letters"))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(verb: Verb, text: &str) -> Result<Command, &'static str> {
        arguments(verb, false, &mut Cursor::new(text.as_bytes()), Charset::Utf7).map_err(|fault| fault.expected)
    }

    #[test]
    fn flags_are_bounded_in_brackets_and_without() {
        for count in [MAX_FLAGS, MAX_FLAGS + 1] {
            let flags = vec!["\\Seen"; count].join(" ");
            let expected = if count == MAX_FLAGS { Ok(()) } else { Err("at most 100 flags") };
            let stored = |flags: &str| read(Verb::Store, &format!(" 1 FLAGS {flags}")).map(drop);
            assert_eq!([stored(&flags), stored(&format!("({flags})"))], [expected; 2], "{count}");
            assert_eq!(read(Verb::Append, &format!(" x ({flags}) {{1}}\r\nx")).map(drop), expected, "{count}");
        }
    }

    #[test]
    fn keywords_are_bounded() {
        let stored = |length: usize| read(Verb::Store, &format!(" 1 FLAGS {}", "k".repeat(length))).is_ok();
        assert!(stored(MAX_KEYWORD) && !stored(MAX_KEYWORD + 1));
    }
}
