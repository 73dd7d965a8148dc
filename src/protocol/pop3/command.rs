//! POP3 command lines: the verbs, when each may come, what it takes, and how much of its line may be recorded. Nothing here
//! carries a command out. RFC 1939 3, 5 to 7; RFC 2449 5 (CAPA); RFC 5034 (AUTH, known only to be refused).

use std::sync::Arc;

use crate::evidence::{EventKind, State, kept_line, kept_reply, masked};

/// The longest text of a client's that a reply or an event's verb repeats, in characters, so that no reply passes the 512
/// octets of RFC 2449 4.
pub const ECHO: usize = 64;

/// What stands in the record instead of something that may be a password.
const SECRET: &str = "***";

/// A command that this server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    User,
    Pass,
    Apop,
    Auth,
    Capa,
    Stat,
    List,
    Uidl,
    Retr,
    Top,
    Dele,
    Noop,
    Rset,
    Quit,
}

/// In which state a command may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Authorization,
    Transaction,
    Anywhere,
}

/// What the table says of a verb.
pub struct Rule {
    /// As it is written.
    pub name: &'static str,
    /// When it may come.
    pub place: Place,
    /// The fewest arguments it takes.
    pub least: usize,
    /// The most arguments it takes.
    pub most: usize,
    /// How to write it, for a reply.
    pub usage: &'static str,
    /// How many words of its line, verb included, are surely no password.
    pub open_words: usize,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 14] = [
        Self::User,
        Self::Pass,
        Self::Apop,
        Self::Auth,
        Self::Capa,
        Self::Stat,
        Self::List,
        Self::Uidl,
        Self::Retr,
        Self::Top,
        Self::Dele,
        Self::Noop,
        Self::Rset,
        Self::Quit,
    ];

    /// The verb of this name in any case (RFC 1939 3).
    pub fn named(word: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.rule().name.as_bytes().eq_ignore_ascii_case(word))
    }

    /// Its row of the table.
    pub const fn rule(self) -> Rule {
        use Place::{Anywhere, Authorization, Transaction};
        let (name, place, (least, most), usage, open_words) = match self {
            Self::User => ("USER", Authorization, (1, 1), "USER name", 2),
            Self::Pass => ("PASS", Authorization, (1, usize::MAX), "PASS password", 1),
            Self::Apop => ("APOP", Authorization, (2, 2), "APOP name digest", 2),
            Self::Auth => ("AUTH", Authorization, (0, usize::MAX), "AUTH mechanism", 2),
            Self::Capa => ("CAPA", Anywhere, (0, 0), "CAPA", usize::MAX),
            Self::Stat => ("STAT", Transaction, (0, 0), "STAT", usize::MAX),
            Self::List => ("LIST", Transaction, (0, 1), "LIST or LIST number", usize::MAX),
            Self::Uidl => ("UIDL", Transaction, (0, 1), "UIDL or UIDL number", usize::MAX),
            Self::Retr => ("RETR", Transaction, (1, 1), "RETR number", usize::MAX),
            Self::Top => ("TOP", Transaction, (2, 2), "TOP number lines", usize::MAX),
            Self::Dele => ("DELE", Transaction, (1, 1), "DELE number", usize::MAX),
            Self::Noop => ("NOOP", Transaction, (0, 0), "NOOP", usize::MAX),
            Self::Rset => ("RSET", Transaction, (0, 0), "RSET", usize::MAX),
            Self::Quit => ("QUIT", Anywhere, (0, 0), "QUIT", usize::MAX),
        };
        Rule { name, place, least, most, usage, open_words }
    }
}

/// A command line taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words<'a> {
    /// Everything up to the end of the first word, blanks before it too.
    head: &'a [u8],
    /// The first word.
    pub first: &'a [u8],
    /// What follows the one blank after it, as it came: a password may start with a blank, hold some and end in one.
    pub rest: &'a [u8],
}

impl<'a> Words<'a> {
    /// Takes a line without its line end apart.
    pub fn of(line: &'a [u8]) -> Self {
        let start = line.iter().position(|octet| !is_blank(*octet)).unwrap_or(line.len());
        let end = line[start..].iter().position(|octet| is_blank(*octet)).map_or(line.len(), |at| start + at);
        Self { head: &line[..end], first: &line[start..end], rest: line.get(end + 1..).unwrap_or_default() }
    }

    /// The words after the first.
    pub fn arguments(self) -> impl Iterator<Item = &'a [u8]> {
        self.rest.split(|octet| is_blank(*octet)).filter(|word| !word.is_empty())
    }

    /// Whether the words of `line` are separated by single blanks and nothing stands round them; of a password only what
    /// stands before it is asked.
    pub fn is_plain(self, line: &[u8], verb: Verb) -> bool {
        let asked = if verb == Verb::Pass { self.head } else { line };
        asked.split(|octet| *octet == b' ').all(|word| !word.is_empty() && !word.contains(&b'\t'))
    }
}

const fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// What the record keeps of a command, ready before it is answered and free of passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The verb in upper case.
    pub verb: Arc<str>,
    /// The line, masked.
    pub line: String,
    /// Octets that came for it.
    pub octets: u64,
}

/// How far a line that is no known command may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Logged in: passwords are behind us.
    None,
    /// Before USER: what follows the first word may be one.
    Arguments,
    /// Right after USER: the password typed without PASS is the likeliest mistake of all.
    Everything,
}

impl Heard {
    /// What to keep of `line`. A word that starts with PASS and is not PASS has the password glued to it, as like as not.
    pub fn of(words: Words<'_>, verb: Option<Verb>, line: &[u8], octets: u64, suspicion: Suspicion) -> Self {
        if let Some(verb) = verb {
            let rule = verb.rule();
            return Self { verb: rule.name.into(), line: masked(line, rule.open_words), octets };
        }
        let glued = words.first.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"PASS"));
        let (verb, line) = match if glued { Suspicion::Everything } else { suspicion } {
            Suspicion::None => (echo(words.first).to_uppercase(), kept_line(line)),
            Suspicion::Arguments => (echo(words.first).to_uppercase(), masked(line, 1)),
            Suspicion::Everything if words.first.is_empty() => (String::new(), String::new()),
            Suspicion::Everything => (SECRET.to_owned(), SECRET.to_owned()),
        };
        Self { verb: verb.into(), line, octets }
    }

    /// What to keep of a line over the limit, of which nothing is left but its length.
    pub fn too_long(octets: u64) -> Self {
        Self { verb: "".into(), line: String::new(), octets }
    }

    /// The event of this command and its `reply`.
    pub fn answered(self, reply: &[u8], before: State, after: State) -> EventKind {
        let Self { verb, line, octets } = self;
        let reply_octets = reply.len() as u64;
        EventKind::Command { verb, line, octets, reply: kept_reply(reply), reply_octets, before, after }
    }
}

/// A client's text as a reply may repeat it: short, and without anything that a terminal would obey.
pub fn echo(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    text.chars().take(ECHO).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(line: &str, suspicion: Suspicion) -> (String, String) {
        let words = Words::of(line.as_bytes());
        let heard = Heard::of(words, Verb::named(words.first), line.as_bytes(), 0, suspicion);
        (heard.verb.to_string(), heard.line)
    }

    #[test]
    fn the_rest_of_a_line_keeps_its_blanks() {
        let words = Words::of(b"PASS  two words ");
        assert_eq!((words.first, words.rest), (b"PASS".as_slice(), b" two words ".as_slice()));
        assert_eq!(words.arguments().collect::<Vec<_>>(), [b"two".as_slice(), b"words"]);
        for nothing in ["", " ", "\t "] {
            assert_eq!(Words::of(nothing.as_bytes()).first, b"", "{nothing:?}");
        }
    }

    #[test]
    fn single_blanks_are_told_from_others() {
        let plain = |line: &str, verb| Words::of(line.as_bytes()).is_plain(line.as_bytes(), verb);
        assert!(plain("RETR 1", Verb::Retr) && plain("STAT", Verb::Stat) && plain("PASS  a b ", Verb::Pass));
        for line in [" STAT", "STAT ", "RETR  1", "RETR\t1", "TOP 1  2", "TOP 1\t2", "TOP 1 2 "] {
            assert!(!plain(line, Verb::Retr), "{line:?}");
        }
        assert!(!plain(" PASS a", Verb::Pass));
    }

    #[test]
    fn no_line_that_may_hold_a_password_is_kept() {
        use Suspicion::{Arguments, Everything, None};
        for (line, suspicion, kept) in [
            ("pass  Usuario2", Arguments, ("PASS", "pass ***")),
            ("PASS Usuario2", None, ("PASS", "PASS ***")),
            ("USER ana Usuario2", Arguments, ("USER", "USER ana ***")),
            ("APOP ana c4c9334bac560ecc979e58001b3e22fb", Arguments, ("APOP", "APOP ana ***")),
            ("AUTH PLAIN AGFuYQBVc3VhcmlvMg==", Arguments, ("AUTH", "AUTH PLAIN ***")),
            ("PSS Usuario2", Arguments, ("PSS", "PSS ***")),
            ("PASSWORD Usuario2", Arguments, ("***", "***")),
            ("passUsuario2", None, ("***", "***")),
            ("Usuario2", Everything, ("***", "***")),
            ("PASSUsuario2", Everything, ("***", "***")),
            ("", Everything, ("", "")),
            ("xyz 1", None, ("XYZ", "xyz 1")),
            ("retr 1", Everything, ("RETR", "retr 1")),
        ] {
            assert_eq!(heard(line, suspicion), (kept.0.to_owned(), kept.1.to_owned()), "{line}");
        }
    }

    #[test]
    fn what_is_repeated_is_short_and_printable() {
        assert_eq!(echo("a".repeat(ECHO).as_bytes()).len(), ECHO);
        assert_eq!(echo("a".repeat(ECHO + 1).as_bytes()).len(), ECHO);
        assert_eq!(echo(b"a\r\x1b\xff"), "a\u{fffd}\u{fffd}\u{fffd}");
    }
}
