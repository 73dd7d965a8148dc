//! A command as it comes: lines, and between them literals, bounded before they are read (RFC 9051 4.3, RFC 7888). And what
//! the record keeps of it: its lines without the literals' content, passwords masked.

use std::sync::Arc;

use super::{syntax::is_tag, verb::Verb};
use crate::{
    evidence::{EventKind, LINE_KEPT, State, kept_line, kept_tagged, masked},
    protocol::{line::append, sasl, shortened},
};

/// The longest line, in octets with CRLF: RFC 7162 4 wants 8,192 for a command, a response of AUTHENTICATE may be longer.
pub const MAX_LINE: usize = sasl::RESPONSE;

/// The most octets of a command together, a message of APPEND apart.
pub const MAX_COMMAND: usize = 64 << 10;

/// The longest literal that is no message, in octets.
pub const MAX_LITERAL: u64 = 16 << 10;

/// The longest unknown verb that the record and a reply repeat, in characters.
pub const MAX_VERB: usize = 32;

/// The command so far.
#[derive(Debug, Default)]
pub struct Gathered {
    /// As it came, without the last line end.
    pub octets: Vec<u8>,
    /// Its lines without the content of literals, cut at what an event keeps.
    line: Vec<u8>,
    /// Octets that came for it.
    count: u64,
    /// A literal was too large and was not kept: the command is refused when it is complete.
    pub too_large: bool,
    /// The server had no room for a literal: the same, for now.
    pub no_room: bool,
}

/// A literal that a line announces at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// How many octets.
    pub octets: u64,
    /// Whether the client waits for leave to send them.
    pub waits: bool,
}

impl Gathered {
    /// Whether nothing of a command has come yet.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes a line, and says whether a literal follows.
    pub fn line(&mut self, octets: &[u8], crlf: bool) -> Option<Announced> {
        self.count += octets.len() as u64 + if crlf { 2 } else { 1 };
        self.octets.extend_from_slice(octets);
        let room = (LINE_KEPT + 1).saturating_sub(self.line.len());
        self.line.extend_from_slice(&octets[..octets.len().min(room)]);
        announced(octets).inspect(|_| self.octets.extend_from_slice(b"\r\n"))
    }

    /// Takes a literal's content.
    pub fn literal(&mut self, content: &[u8]) {
        self.count += content.len() as u64;
        append(&mut self.octets, content);
    }

    /// Keeps nothing but the beginning, which says what command it is.
    pub fn give_up(&mut self) {
        self.octets.truncate(LINE_KEPT);
        self.octets.shrink_to_fit();
        self.no_room = true;
    }

    /// Counts a literal that is not kept.
    pub fn skipped(&mut self, octets: u64) {
        self.count += octets;
        self.too_large = true;
    }

    /// What the record keeps of the command.
    pub fn heard(&self, suspicion: Suspicion) -> Heard {
        Heard::of(&self.line, self.count, suspicion)
    }
}

/// The literal that a line announces: `{12}`, `{12+}` or `~{12}` at its end.
fn announced(line: &[u8]) -> Option<Announced> {
    let inside = line.strip_suffix(b"}")?;
    let open = memchr::memrchr(b'{', inside)?;
    let (digits, waits) = match inside[open + 1..].split_last() {
        Some((b'+', digits)) => (digits, false),
        Some(_) | None => (&inside[open + 1..], true),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // More digits than a number holds are more octets than anybody takes.
    let octets = std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX);
    Some(Announced { octets, waits })
}

/// Tag and verb of a command, as far as they can be made out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// The first word.
    pub tag: &'a [u8],
    /// Whether it can be a tag.
    pub tagged: bool,
    /// The second word, or the third after UID.
    pub word: &'a [u8],
    /// Whether UID stood before it.
    pub uid: bool,
    /// The verb that it is.
    pub verb: Option<Verb>,
    /// Where the arguments begin.
    pub arguments: usize,
}

impl<'a> Head<'a> {
    /// Takes the beginning of a command apart.
    pub fn of(command: &'a [u8]) -> Self {
        let word = |from: usize| {
            let start = from + command[from..].iter().take_while(|octet| **octet == b' ').count();
            let length = command[start..].iter().take_while(|octet| !matches!(octet, b' ' | b'\r' | b'\n')).count();
            (&command[start..start + length], start + length)
        };
        let (tag, after) = word(0);
        let (mut name, mut end) = word(after);
        let uid = name.eq_ignore_ascii_case(b"UID");
        if uid {
            (name, end) = word(end);
        }
        let verb = Verb::named(name).filter(|verb| !uid || verb.rule().uid);
        Self { tag, tagged: is_tag(tag) && command.first() != Some(&b' '), word: name, uid, verb, arguments: end }
    }
}

/// How far a line that is no known command may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Logged in: passwords are behind us.
    None,
    /// Before the login: what follows the second word may be one.
    Arguments,
    /// After a login that was refused any line may be one.
    Everything,
}

/// What stands in the record instead of something that may be a password.
const SECRET: &str = "***";

/// What the record keeps of a command, ready before it is answered and free of passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The verb in upper case.
    pub verb: Arc<str>,
    /// The line, masked.
    line: String,
    /// Octets that came for it.
    octets: u64,
}

impl Heard {
    /// What to keep of a line.
    pub fn of(line: &[u8], octets: u64, suspicion: Suspicion) -> Self {
        let head = Head::of(line);
        let uid = if head.uid { "UID " } else { "" };
        let verb = if let Some(verb) = head.verb {
            format!("{uid}{}", verb.rule().name)
        } else {
            let word = sasl::account::shown(head.word).to_uppercase();
            uid.chars().chain(word.chars()).take(MAX_VERB).collect()
        };
        // Who forgets the tag has the verb in its place, and the password one word earlier.
        let untagged = matches!(Verb::named(head.tag), Some(Verb::Login | Verb::Authenticate));
        let (verb, line) = match head.verb {
            Some(Verb::Login) => (verb, masked(line, 3)),
            Some(Verb::Authenticate) => {
                let mechanism =
                    line[head.arguments.min(line.len())..].split(|octet| *octet == b' ').find(|word| !word.is_empty());
                (verb, masked(line, 1 + sasl::mask::open_words(mechanism)))
            }
            Some(_) if !untagged => (verb, kept_line(line)),
            _ => match suspicion {
                Suspicion::None => (verb, kept_line(line)),
                Suspicion::Arguments if untagged => (sasl::account::shown(head.tag).to_uppercase(), masked(line, 1)),
                Suspicion::Arguments => (verb, masked(line, 2)),
                Suspicion::Everything => (SECRET.to_owned(), SECRET.to_owned()),
            },
        };
        Self { verb: verb.into(), line, octets }
    }

    /// The same for the beginning of a line over the limit, which had so many octets.
    pub fn too_long(self, octets: u64) -> Self {
        Self { line: shortened(self.line), octets, ..self }
    }

    /// A response inside AUTHENTICATE.
    pub fn response(line: &[u8], crlf: bool) -> Self {
        let octets = line.len() as u64 + if crlf { 2 } else { 1 };
        Self { verb: "<response>".into(), line: sasl::mask::response(line).to_owned(), octets }
    }

    /// Octets that came for the command after its line.
    pub fn more(&mut self, octets: u64) {
        self.octets += octets;
    }

    /// The event of this command and what was said to it.
    pub fn answered(self, said: &Said, before: State, after: State) -> EventKind {
        let Self { verb, line, octets } = self;
        EventKind::Command {
            verb,
            line,
            octets,
            reply: kept_tagged(&said.kept, said.octets),
            reply_octets: said.octets,
            before,
            after,
            pipelined: false,
            times: 1,
        }
    }
}

/// What was said to a command so far: all of it while it is short, the last line once it is long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    kept: Vec<u8>,
    octets: u64,
}

impl Said {
    /// Adds what was said.
    pub fn add(&mut self, reply: &[u8]) {
        self.octets += reply.len() as u64;
        if self.octets <= crate::evidence::REPLY_KEPT as u64 {
            self.kept.extend_from_slice(reply);
            return;
        }
        let last = reply.strip_suffix(b"\r\n").unwrap_or(reply);
        let start = memchr::memrchr(b'\n', last).map_or(0, |at| at + 1);
        self.kept = reply[start..].to_vec();
        self.kept.truncate(crate::evidence::REPLY_KEPT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(line: &str, suspicion: Suspicion) -> (String, String) {
        let heard = Heard::of(line.as_bytes(), 0, suspicion);
        (heard.verb.to_string(), heard.line)
    }

    #[test]
    fn a_literal_is_announced_at_the_end_of_a_line() {
        let found = |line: &str| announced(line.as_bytes()).map(|found| (found.octets, found.waits));
        assert_eq!(found("a LOGIN {5}"), Some((5, true)));
        assert_eq!(found("a APPEND x ~{12+}"), Some((12, false)));
        assert_eq!(found("a X {99999999999999999999}"), Some((u64::MAX, true)));
        for line in ["a LOGIN {5} ", "a LOGIN {}", "a LOGIN {+}", "a LOGIN {x}", "a }", ""] {
            assert_eq!(found(line), None, "{line}");
        }
    }

    #[test]
    fn passwords_are_masked_wherever_they_stand() {
        for suspicion in [Suspicion::Arguments, Suspicion::Everything] {
            for line in [
                "a LOGIN ana secret",
                "a login \"ana\" secret",
                "a LOGIN {3} secret",
                "a LOGIN ana secret more",
                "LOGIN ana secret",
                "login secret",
                "a LOGON ana secret",
                "a AUTHENTICATE PLAIN secret",
                "a AUTHENTICATE secret",
                "AUTHENTICATE PLAIN secret",
                "a USER secret",
            ] {
                let (verb, kept) = heard(line, suspicion);
                assert!(!verb.to_lowercase().contains("secret") && !kept.contains("secret"), "{line}: {verb} {kept}");
            }
        }
        assert_eq!(heard("a LOGIN ana secret", Suspicion::Arguments).1, "a LOGIN ana ***");
        assert_eq!(heard("secret", Suspicion::Everything), ("***".into(), "***".into()));
        assert_eq!(heard("a UID fetch 1 flags", Suspicion::None), ("UID FETCH".into(), "a UID fetch 1 flags".into()));
    }

    #[test]
    fn an_unknown_verb_is_repeated_up_to_a_limit() {
        for uid in ["", "UID "] {
            let verb = |length: usize| heard(&format!("a {uid}{}", "x".repeat(length)), Suspicion::None).0;
            let room = MAX_VERB - uid.len();
            let whole = format!("{uid}{}", "X".repeat(room));
            assert_eq!([verb(room), verb(room + 1)], [whole.clone(), whole]);
        }
    }

    #[test]
    fn a_long_reply_keeps_its_last_line() {
        let mut said = Said::default();
        said.add(b"* 1 FETCH ()\r\n");
        assert_eq!(said.kept, b"* 1 FETCH ()\r\n");
        said.add(&b"x".repeat(2_000));
        said.add(b"* 2 EXISTS\r\na OK done\r\n");
        assert_eq!((said.kept.as_slice(), said.octets), (b"a OK done\r\n".as_slice(), 2_037));
    }
}
