//! POP3 command lines: the verbs, when each may come, what it takes, and how much of its line may be recorded. Nothing here
//! carries a command out. RFC 1939 3, 5 to 7; RFC 2449 5 (CAPA); RFC 2595 4 (STLS); RFC 5034 (AUTH).

use std::sync::Arc;

use super::{answer::Said, reply::Reply};
use crate::{
    evidence::{EventKind, State, kept_line, kept_reply, masked},
    lab::Leniency,
    protocol::{
        sasl::{
            account::shown,
            mask::{self, SECRET},
        },
        shortened,
    },
};

/// A command that this server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    User,
    Pass,
    Apop,
    Auth,
    Stls,
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
    pub const ALL: [Self; 15] = [
        Self::User,
        Self::Pass,
        Self::Apop,
        Self::Auth,
        Self::Stls,
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
            Self::Auth => ("AUTH", Authorization, (0, usize::MAX), "AUTH or AUTH mechanism", 1),
            Self::Stls => ("STLS", Authorization, (0, 0), "STLS", usize::MAX),
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
pub struct Line<'a> {
    /// All of it, without its line end.
    octets: &'a [u8],
    /// Whether it ended in CRLF; a lone LF otherwise.
    crlf: bool,
    /// Where the first word ends.
    end: usize,
    /// The first word.
    pub first: &'a [u8],
    /// The verb that it is.
    pub verb: Option<Verb>,
    /// What follows the one blank after it, as it came: a password may start with a blank, hold some and end in one.
    pub rest: &'a [u8],
}

impl<'a> Line<'a> {
    /// Takes a line apart.
    pub fn of(octets: &'a [u8], crlf: bool) -> Self {
        let start = octets.iter().position(|octet| !is_blank(*octet)).unwrap_or(octets.len());
        let end = octets[start..].iter().position(|octet| is_blank(*octet)).map_or(octets.len(), |at| start + at);
        let first = &octets[start..end];
        let rest = octets.get(end + 1..).unwrap_or_default();
        Self { octets, crlf, end, first, verb: Verb::named(first), rest }
    }

    /// The words after the first.
    pub fn arguments(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.rest.split(|octet| is_blank(*octet)).filter(|word| !word.is_empty())
    }

    /// Whether this is a command that may come in `place`, apart from carrying it out; if not, the refusal.
    pub fn may_come(&self, place: Place, leniency: Leniency) -> Result<Verb, Reply> {
        if !self.crlf && !leniency.line_feed {
            return Err(Reply::LineFeed);
        }
        let verb = self.verb.ok_or(Reply::Unknown)?;
        let rule = verb.rule();
        let misplaced = match rule.place {
            Place::Authorization => (place == Place::Transaction).then_some(Reply::LoggedIn),
            Place::Transaction => (place == Place::Authorization).then_some(Reply::NeedLogin),
            Place::Anywhere => None,
        };
        let arguments = self.arguments().count();
        match misplaced {
            Some(reply) => Err(reply),
            None if !leniency.pop3_blanks && !self.is_plain(verb) => Err(Reply::Blanks),
            None if arguments < rule.least => Err(Reply::TooFew),
            None if !leniency.pop3_blanks && arguments > rule.most => Err(Reply::TooMany),
            None => Ok(verb),
        }
    }

    /// Whether single blanks separate the words and nothing stands round them; of a password only what stands before it is
    /// asked.
    fn is_plain(&self, verb: Verb) -> bool {
        let asked = if verb == Verb::Pass { &self.octets[..self.end] } else { self.octets };
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
    /// Right after USER the password typed without PASS is the likeliest mistake of all; after a login that was refused it
    /// is what may come again, or what the refused AUTH would have asked for.
    Everything,
}

impl Heard {
    /// What to keep of `line`. A word that starts with PASS and is not PASS has the password glued to it, as like as not.
    pub fn of(line: &Line<'_>, suspicion: Suspicion) -> Self {
        let octets = line.octets.len() as u64 + if line.crlf { 2 } else { 1 };
        if let Some(verb) = line.verb {
            let rule = verb.rule();
            let of_auth = (verb == Verb::Auth).then(|| mask::open_words(line.arguments().next()));
            let open_words = of_auth.unwrap_or(rule.open_words);
            return Self { verb: rule.name.into(), line: masked(line.octets, open_words), octets };
        }
        let glued = line.first.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"PASS"));
        let first = || shown(line.first).to_uppercase();
        let (verb, line) = match if glued { Suspicion::Everything } else { suspicion } {
            Suspicion::None => (first(), kept_line(line.octets)),
            Suspicion::Arguments => (first(), masked(line.octets, 1)),
            Suspicion::Everything if line.first.is_empty() => (String::new(), String::new()),
            Suspicion::Everything => (SECRET.to_owned(), SECRET.to_owned()),
        };
        Self { verb: verb.into(), line, octets }
    }

    /// What to keep of a response inside an AUTH exchange, which had so many octets.
    pub fn response(line: &[u8], octets: u64) -> Self {
        Self { verb: "<response>".into(), line: mask::response(line).to_owned(), octets }
    }

    /// The same for the beginning of a line over the limit, which had so many octets.
    pub fn too_long(self, octets: u64) -> Self {
        Self { line: shortened(self.line), octets, ..self }
    }

    /// The event of this command and its `reply`.
    pub fn answered(self, reply: &[u8], before: State, after: State) -> EventKind {
        self.answered_with(&Said::of(reply), before, after)
    }

    /// The event of this command and what was said to it.
    pub(super) fn answered_with(self, said: &Said, before: State, after: State) -> EventKind {
        let Self { verb, line, octets } = self;
        EventKind::Command {
            verb,
            line,
            octets,
            reply: kept_reply(&said.kept),
            reply_octets: said.octets,
            before,
            after,
            pipelined: false,
            times: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(line: &str, suspicion: Suspicion) -> (String, String) {
        let heard = Heard::of(&Line::of(line.as_bytes(), true), suspicion);
        (heard.verb.to_string(), heard.line)
    }

    #[test]
    fn the_rest_of_a_line_keeps_its_blanks() {
        let line = Line::of(b"PASS  two words ", true);
        assert_eq!((line.first, line.rest), (b"PASS".as_slice(), b" two words ".as_slice()));
        assert_eq!(line.arguments().collect::<Vec<_>>(), [b"two".as_slice(), b"words"]);
        for nothing in ["", " ", "\t "] {
            assert_eq!(Line::of(nothing.as_bytes(), true).first, b"", "{nothing:?}");
        }
    }

    #[test]
    fn strict_labs_take_single_blanks_only() {
        let strict = |line: &str| Line::of(line.as_bytes(), true).may_come(Place::Transaction, Leniency::STRICT);
        for line in ["RETR 1", "STAT", "list", "TOP 1 2"] {
            assert!(strict(line).is_ok(), "{line:?}");
        }
        for line in [" STAT", "STAT ", "RETR  1", "RETR\t1", "TOP 1  2", "TOP 1\t2", "TOP 1 2 "] {
            assert_eq!(strict(line), Err(Reply::Blanks), "{line:?}");
        }
        let pass = |line: &str| Line::of(line.as_bytes(), true).may_come(Place::Authorization, Leniency::STRICT);
        assert_eq!((pass("PASS  a b "), pass(" PASS a")), (Ok(Verb::Pass), Err(Reply::Blanks)));
    }

    #[test]
    fn arguments_are_limited_on_both_sides() {
        for verb in Verb::ALL {
            let rule = verb.rule();
            let place = if rule.place == Place::Transaction { Place::Transaction } else { Place::Authorization };
            let with = |arguments: usize, leniency| {
                let line = rule.name.to_owned() + &" 1".repeat(arguments);
                Line::of(line.as_bytes(), true).may_come(place, leniency)
            };
            assert_eq!(with(rule.least, Leniency::STRICT), Ok(verb));
            if rule.least > 0 {
                assert_eq!(with(rule.least - 1, Leniency::LENIENT), Err(Reply::TooFew), "{verb:?}");
            }
            if rule.most < usize::MAX {
                assert_eq!(with(rule.most, Leniency::STRICT), Ok(verb));
                assert_eq!(with(rule.most + 1, Leniency::STRICT), Err(Reply::TooMany), "{verb:?}");
                assert_eq!(with(rule.most + 1, Leniency::LENIENT), Ok(verb));
            }
        }
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
}
