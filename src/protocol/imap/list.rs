//! What LIST and LSUB ask for (RFC 9051 6.3.9, RFC 3501 6.3.9, RFC 5258), read. What is said of which name is `listing`'s.

use super::{
    command::{StatusItem, status_items},
    name::{self, Charset, MAX_PATTERN},
    syntax::{Cursor, Read},
};
use crate::mail::folder::FolderName;

/// The most patterns of one LIST.
pub const MAX_PATTERNS: usize = 20;

/// What LIST and LSUB ask for (RFC 9051 6.3.9, RFC 3501 6.3.9).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List {
    /// Whether it is LSUB.
    pub lsub: bool,
    /// The patterns, each behind the reference.
    pub patterns: Vec<Pattern>,
    /// An empty pattern asks for the delimiter (RFC 9051 6.3.9).
    pub delimiter: bool,
    /// A pattern ends in `*`: whole trees are asked for.
    pub trees: bool,
    /// Only subscribed names.
    pub subscribed: bool,
    /// Also parents of what fits.
    pub recursive: bool,
    /// Only folders with a special use.
    pub special: bool,
    /// Whether selection options were given at all, so that answers show what they asked for.
    pub extended: bool,
    /// Answers say `\Subscribed`.
    pub show_subscribed: bool,
    /// A STATUS answer for each folder (RFC 5819).
    pub status: Vec<StatusItem>,
}

impl List {
    /// What a name must be to be selected, as CHILDINFO has it (RFC 5258 6, RFC 6154 6).
    pub const fn selection(&self) -> &'static str {
        match (self.subscribed, self.special) {
            (true, true) => "\"SUBSCRIBED\" \"SPECIAL-USE\"",
            (true, false) => "\"SUBSCRIBED\"",
            (false, true) => "\"SPECIAL-USE\"",
            (false, false) => "",
        }
    }
}

/// A pattern of LIST. What is not modified UTF-7 is no syntax error: it is compared with names as
/// they are written on the wire, and `a&b` is none of those (RFC 3501 5.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// Decoded.
    Name(String),
    /// As written.
    Wire(String),
}

impl Pattern {
    /// The pattern `text`.
    pub fn of(text: String, charset: Charset) -> Self {
        match name::decoded(text.as_bytes(), charset) {
            Some(name) => Self::Name(name.into()),
            None => Self::Wire(text),
        }
    }

    /// Whether a folder fits it.
    pub fn fits(&self, folder: &FolderName) -> bool {
        match self {
            Self::Name(pattern) => name::fits(folder.as_str(), pattern),
            Self::Wire(pattern) => name::fits(&name::encoded(folder.as_str(), Charset::Utf7), pattern),
        }
    }
}

fn pattern(cursor: &mut Cursor<'_>) -> Read<String> {
    let before = cursor.clone();
    let text = if cursor.at_string() {
        cursor.string("a pattern")?.into_owned()
    } else {
        let mut text = Vec::new();
        // An atom in which the wildcards may stand as well (RFC 9051 9, list-mailbox).
        while let Some(octet) = cursor.peek().filter(|octet| !matches!(octet, b' ' | b'(' | b')' | b'{' | b'"' | b'\\'))
        {
            text.push(octet);
            cursor.take(octet);
        }
        text
    };
    if text.len() > MAX_PATTERN {
        return Err(before.fault("a pattern of at most 1024 octets"));
    }
    String::from_utf8(text).map_err(|_| before.fault("a pattern in modified UTF-7 or UTF-8"))
}

/// Reads what stands behind LIST.
pub fn list(cursor: &mut Cursor<'_>, charset: Charset) -> Read<List> {
    let mut list = List::default();
    cursor.space("a reference, such as \"\"")?;
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        cursor.list("selection options", |cursor| {
            match () {
                () if cursor.word("SUBSCRIBED") => list.subscribed = true,
                () if cursor.word("RECURSIVEMATCH") => list.recursive = true,
                () if cursor.word("SPECIAL-USE") => list.special = true,
                () if cursor.word("REMOTE") => {}
                () => return Err(cursor.fault("SUBSCRIBED, REMOTE, RECURSIVEMATCH or SPECIAL-USE")),
            }
            Ok(())
        })?;
        if list.recursive && !list.subscribed && !list.special {
            return Err(cursor.fault("RECURSIVEMATCH together with SUBSCRIBED or SPECIAL-USE"));
        }
        cursor.space("a reference, such as \"\"")?;
    }
    let reference = pattern(cursor)?;
    let mut trees = false;
    let mut behind = |text: String| {
        trees |= text.ends_with('*');
        Pattern::of(reference.clone() + &text, charset)
    };
    cursor.space("a pattern, such as \"*\"")?;
    if cursor.peek() == Some(b'(') {
        list.extended = true;
        let before = cursor.clone();
        list.patterns = cursor.list("patterns", |cursor| pattern(cursor).map(&mut behind))?;
        if list.patterns.len() > MAX_PATTERNS {
            return Err(before.fault("at most 20 patterns"));
        }
    } else {
        let text = pattern(cursor)?;
        list.delimiter = text.is_empty();
        list.patterns = vec![behind(text)];
    }
    list.trees = trees;
    if !cursor.is_end() {
        cursor.space("RETURN")?;
        if !cursor.word("RETURN") {
            return Err(cursor.fault("RETURN or the end of the command"));
        }
        cursor.space("what to return in brackets")?;
        cursor.list("what to return in brackets, such as (CHILDREN)", |cursor| {
            match () {
                () if cursor.word("SUBSCRIBED") => list.show_subscribed = true,
                // Answers always say whether there are children, and what a folder is for.
                () if cursor.word("CHILDREN") || cursor.word("SPECIAL-USE") => {}
                () if cursor.word("STATUS") => {
                    cursor.space("what to tell, such as (MESSAGES UNSEEN)")?;
                    list.status = status_items(cursor)?;
                }
                () => return Err(cursor.fault("SUBSCRIBED, CHILDREN, SPECIAL-USE or STATUS (...)")),
            }
            Ok(())
        })?;
    }
    Ok(list)
}

/// Reads what stands behind LSUB.
pub fn lsub(cursor: &mut Cursor<'_>, charset: Charset) -> Read<List> {
    cursor.space("a reference, such as \"\"")?;
    let reference = pattern(cursor)?;
    cursor.space("a pattern, such as \"*\"")?;
    let text = pattern(cursor)?;
    let delimiter = text.is_empty();
    let patterns = vec![Pattern::of(reference + &text, charset)];
    Ok(List { lsub: true, subscribed: true, delimiter, patterns, ..List::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Reader = fn(&mut Cursor<'_>, Charset) -> Read<List>;

    fn read(reader: Reader, text: &str) -> Result<List, &'static str> {
        reader(&mut Cursor::new(text.as_bytes()), Charset::Utf7).map_err(|fault| fault.expected)
    }

    #[test]
    fn patterns_are_bounded_in_number_and_length() {
        let listed = |count: usize| read(list, &format!(" \"\" ({})", vec!["%"; count].join(" ")));
        assert!(matches!(listed(MAX_PATTERNS), Ok(list) if list.patterns.len() == MAX_PATTERNS));
        assert_eq!(listed(MAX_PATTERNS + 1), Err("at most 20 patterns"));
        for verb in [list as Reader, lsub] {
            let fits = |length: usize| read(verb, &format!(" {0} {0}", "x".repeat(length))).is_ok();
            assert!(fits(MAX_PATTERN) && !fits(MAX_PATTERN + 1),);
        }
    }
}
