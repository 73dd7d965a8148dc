//! Folders as values: their names, the flags of a message, and [`Snapshot`], what a folder held at one moment. A session shows
//! its client one snapshot after the other; what changed between two of them is found by comparing. No store, no protocol.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::names::{Login, MessageId};

/// The longest folder name, in octets of UTF-8.
pub const MAX_NAME: usize = 255;

/// The most keywords of one folder: each is a bit beside the system flags.
pub const MAX_KEYWORDS: usize = 48;

/// The longest keyword, in octets.
pub const MAX_KEYWORD: usize = 64;

/// The most folders of one mailbox.
pub const MAX_FOLDERS: usize = 500;

/// The folder that every mailbox has; POP3's maildrop (RFC 9051 5.1).
pub const INBOX: &str = "INBOX";

/// What separates the levels of a folder's name.
pub const DELIMITER: char = '/';

/// The number of a folder in its store, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FolderId(pub u64);

/// A folder's name: levels separated by `/`, none of them empty. `INBOX` in any case is `INBOX`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FolderName(Arc<str>);

/// Why a text is no folder's name; `Display` says it as a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadFolder {
    /// Nothing at all.
    #[error("a folder needs a name")]
    Empty,
    /// Over [`MAX_NAME`].
    #[error("the name is too long: at most 255 octets")]
    TooLong,
    /// Two delimiters in a row, or one at an end.
    #[error("a level of the name is empty: write parent/child")]
    EmptyLevel,
    /// A control character.
    #[error("the name holds a control character")]
    Control,
    /// `*` or `%`, which LIST takes for wildcards.
    #[error("the name holds `*` or `%`, which stand for other names in LIST")]
    Wildcard,
}

impl FolderName {
    /// INBOX.
    pub fn inbox() -> Self {
        Self(INBOX.into())
    }

    /// Whether it is INBOX.
    pub fn is_inbox(&self) -> bool {
        &*self.0 == INBOX
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folders it lies in, outermost first.
    pub fn parents(&self) -> impl Iterator<Item = Self> + '_ {
        self.0.match_indices(DELIMITER).map(|(at, _)| Self(self.0[..at].into()))
    }

    /// Whether it lies in `other`, at any depth.
    pub fn is_below(&self, other: &Self) -> bool {
        self.0.strip_prefix(other.as_str()).is_some_and(|rest| rest.starts_with(DELIMITER))
    }

    /// The name it has when `from`, which is it or one it lies in, is called `to`; none where that is too long.
    pub fn moved(&self, from: &Self, to: &Self) -> Option<Self> {
        let rest = self.0.strip_prefix(from.as_str())?;
        format!("{to}{rest}").parse().ok()
    }
}

impl FromStr for FolderName {
    type Err = BadFolder;

    fn from_str(text: &str) -> Result<Self, BadFolder> {
        if text.is_empty() {
            return Err(BadFolder::Empty);
        }
        if text.len() > MAX_NAME {
            return Err(BadFolder::TooLong);
        }
        if text.split(DELIMITER).any(str::is_empty) {
            return Err(BadFolder::EmptyLevel);
        }
        if text.chars().any(char::is_control) {
            return Err(BadFolder::Control);
        }
        if text.contains(['*', '%']) {
            return Err(BadFolder::Wildcard);
        }
        let first = text.split(DELIMITER).next().unwrap_or(text);
        if first.eq_ignore_ascii_case(INBOX) {
            return Ok(Self(format!("{INBOX}{}", &text[first.len()..]).into()));
        }
        Ok(Self(text.into()))
    }
}

impl Borrow<str> for FolderName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FolderName {
    type Error = BadFolder;

    fn try_from(text: String) -> Result<Self, BadFolder> {
        text.parse()
    }
}

impl From<FolderName> for String {
    fn from(name: FolderName) -> Self {
        name.0.as_ref().to_owned()
    }
}

impl fmt::Display for FolderName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

/// What a folder is for (RFC 6154 2). These exist in every mailbox from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// Messages being written.
    Drafts,
    /// What was found to be spam.
    Junk,
    /// Copies of what was sent.
    Sent,
    /// What is to be deleted.
    Trash,
}

impl Special {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 4] = [Self::Drafts, Self::Junk, Self::Sent, Self::Trash];

    /// The folder's name, which the store keeps it under as well.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drafts => "Drafts",
            Self::Junk => "Junk",
            Self::Sent => "Sent",
            Self::Trash => "Trash",
        }
    }

    /// The attribute in LIST.
    pub const fn attribute(self) -> &'static str {
        match self {
            Self::Drafts => "\\Drafts",
            Self::Junk => "\\Junk",
            Self::Sent => "\\Sent",
            Self::Trash => "\\Trash",
        }
    }

    /// By the name of [`Self::name`].
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|special| special.name() == name)
    }
}

/// The flags of a message: the system flags of RFC 9051 2.3.2 in the low bits, the folder's keywords above. `\Recent` is no
/// property of a message but of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Flags(pub u64);

impl Flags {
    /// Answered.
    pub const ANSWERED: Self = Self(1);
    /// Flagged for attention.
    pub const FLAGGED: Self = Self(1 << 1);
    /// To be taken away by EXPUNGE.
    pub const DELETED: Self = Self(1 << 2);
    /// Read.
    pub const SEEN: Self = Self(1 << 3);
    /// Not finished.
    pub const DRAFT: Self = Self(1 << 4);
    /// The system flags as they are written, in the order that replies have.
    pub const SYSTEM: [(&'static str, Self); 5] = [
        ("\\Answered", Self::ANSWERED),
        ("\\Flagged", Self::FLAGGED),
        ("\\Deleted", Self::DELETED),
        ("\\Seen", Self::SEEN),
        ("\\Draft", Self::DRAFT),
    ];
    const FIRST_KEYWORD: usize = 8;

    /// The flag of the folder's keyword at this place.
    pub const fn keyword(place: usize) -> Self {
        Self(1 << (Self::FIRST_KEYWORD + place))
    }

    /// Whether all of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Their names, `keywords` being the folder's.
    pub fn names(self, keywords: &[Arc<str>]) -> impl Iterator<Item = &str> {
        let system = Self::SYSTEM.into_iter().filter(move |(_, flag)| self.has(*flag)).map(|(name, _)| name);
        let own = keywords.iter().enumerate().filter(move |(place, _)| self.has(Self::keyword(*place)));
        system.chain(own.map(|(_, name)| &**name))
    }
}

/// Flags by name, before a folder gives its keywords their places.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NamedFlags {
    /// The system flags.
    pub system: Flags,
    /// The keywords, each once, as they were first written.
    pub keywords: Vec<Arc<str>>,
}

impl NamedFlags {
    /// Adds a keyword, unless it is there in any case (RFC 9051 2.3.2).
    pub fn add_keyword(&mut self, name: &str) {
        if !self.keywords.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            self.keywords.push(name.into());
        }
    }

    /// Their names with blanks between.
    pub fn text(&self) -> String {
        let system = self.system.names(&[]).map(str::to_owned);
        system.chain(self.keywords.iter().map(|name| (**name).to_owned())).collect::<Vec<_>>().join(" ")
    }
}

/// A message in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Its number in the folder (RFC 9051 2.3.1.1).
    pub uid: u32,
    /// Octets with CRLFs, trace fields included.
    pub octets: u32,
    /// The stored message.
    pub message: MessageId,
    /// Its flags.
    pub flags: Flags,
    /// When something of it last changed (RFC 7162 3.1).
    pub modseq: u64,
    /// When it came in, in seconds since 1970-01-01T00:00:00Z.
    pub received_secs: i64,
}

/// What a folder held at one moment. Shared by all sessions that look at it, because a large folder is large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Which folder.
    pub id: FolderId,
    /// Whose mailbox.
    pub mailbox: Login,
    /// Its name.
    pub name: FolderName,
    /// Different for each folder that ever had this name (RFC 9051 2.3.1.1).
    pub uid_validity: u32,
    /// The next message's UID.
    pub next_uid: u32,
    /// The highest modification sequence (RFC 7162 3.1.2.1).
    pub modseq: u64,
    /// The keywords in use, by place.
    pub keywords: Vec<Arc<str>>,
    /// The messages in the order of their UIDs.
    pub rows: Vec<Row>,
}

impl Snapshot {
    /// The place of the message with this UID.
    pub fn place(&self, uid: u32) -> Option<usize> {
        self.rows.binary_search_by_key(&uid, |row| row.uid).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<String, BadFolder> {
        text.parse::<FolderName>().map(String::from)
    }

    #[test]
    fn inbox_has_no_case_and_other_names_do() {
        assert_eq!(name("inBox").as_deref(), Ok("INBOX"));
        assert_eq!(name("inbox/Lab").as_deref(), Ok("INBOX/Lab"));
        assert_eq!(name("inboxes").as_deref(), Ok("inboxes"));
        assert_eq!(name("Práctica 6").as_deref(), Ok("Práctica 6"));
    }

    #[test]
    fn names_are_bounded_and_have_no_empty_level() {
        assert_eq!(name(""), Err(BadFolder::Empty));
        assert!(name(&"x".repeat(MAX_NAME)).is_ok());
        assert_eq!(name(&"x".repeat(MAX_NAME + 1)), Err(BadFolder::TooLong));
        for text in ["/a", "a/", "a//b", "/"] {
            assert_eq!(name(text), Err(BadFolder::EmptyLevel), "{text}");
        }
        assert_eq!(name("a\u{7}"), Err(BadFolder::Control));
        assert_eq!(name("a*"), Err(BadFolder::Wildcard));
    }

    #[test]
    fn a_folder_knows_where_it_lies() {
        let folder: FolderName = "a/b/c".parse().unwrap();
        assert_eq!(folder.parents().map(String::from).collect::<Vec<_>>(), ["a", "a/b"]);
        let (a, x) = ("a".parse().unwrap(), "x/y".parse().unwrap());
        assert!(folder.is_below(&a) && !a.is_below(&a));
        assert_eq!(folder.moved(&a, &x).map(String::from).as_deref(), Some("x/y/b/c"));
    }

    #[test]
    fn flags_have_names() {
        let keywords: Vec<Arc<str>> = vec!["$Forwarded".into(), "lab".into()];
        let flags = Flags::SEEN.with(Flags::keyword(1)).with(Flags::ANSWERED);
        assert_eq!(flags.names(&keywords).collect::<Vec<_>>(), ["\\Answered", "\\Seen", "lab"]);
        assert!(!flags.without(Flags::SEEN).has(Flags::SEEN));
        assert!(Flags::keyword(MAX_KEYWORDS - 1).0 < 1 << 63, "it fits a column of SQLite");
    }
}
