//! One command and its reply as steps look at them. What several checks ask is worked out once per command.

use super::glob::{Filled, Glob, Path, fold, path_in};
use crate::lab::{Protocol, exercise::ReplyPattern, template::Person};

/// Whether a command fits a step whose verb it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It fits.
    Yes,
    /// What follows the verb does not.
    Argument,
    /// The reply does not.
    Reply,
}

/// A command and its reply.
#[derive(Debug)]
pub struct Said<'a> {
    /// The verb as events spell it.
    pub verb: &'a str,
    /// The whole line.
    pub line: &'a str,
    /// The reply as far as the event keeps it.
    pub reply: &'a str,
    protocol: Protocol,
    domain: &'a str,
    scratch: &'a mut Scratch,
    ready: bool,
}

/// Buffers that live longer than one command.
#[derive(Debug, Default)]
pub struct Scratch {
    argument: Vec<u8>,
    /// Of IMAP the same without quotes: `SELECT "INBOX"` is `SELECT INBOX` (RFC 9051 4.3).
    unquoted: Vec<u8>,
    path: Path,
    has_path: bool,
    /// The argument with the login that it begins with spelt the other way: `ana` for `ana@its.own.domain` and the reverse.
    respelt: Vec<u8>,
    text: Vec<u8>,
}

impl<'a> Said<'a> {
    /// What somebody in the group with this domain said in this protocol: the verb, the line, the reply.
    pub fn new(
        protocol: Protocol,
        (verb, line, reply): (&'a str, &'a str, &'a str),
        domain: &'a str,
        scratch: &'a mut Scratch,
    ) -> Self {
        Self { verb, line, reply, protocol, domain, scratch, ready: false }
    }

    /// What follows the verb, blanks as they came. IMAP has a tag before the verb, and perhaps UID (RFC 9051 2.2.1).
    pub fn argument(&self) -> &'a str {
        let before = match self.protocol {
            Protocol::Imap => 1 + self.verb.split(' ').count(),
            Protocol::Smtp | Protocol::Pop3 | Protocol::Dns => 1,
        };
        let mut rest = self.line.trim_ascii_start();
        for _ in 0..before {
            let after = rest.split_once(|letter: char| letter.is_ascii_whitespace());
            rest = after.map_or("", |(_, after)| after.trim_ascii_start());
        }
        rest.trim_ascii_end()
    }

    /// The line of the reply that says how it went: the first, but in IMAP, whose tagged line comes last, that without its tag.
    pub fn status(&self) -> &'a str {
        match self.protocol {
            Protocol::Imap => tagged(self.reply),
            Protocol::Smtp | Protocol::Pop3 | Protocol::Dns => self.reply.lines().next().unwrap_or(""),
        }
    }

    /// Whether the pattern matches what follows the verb (runs of blanks count as one) or, for MAIL and RCPT, the path in it:
    /// `RCPT user2` is `RCPT TO:<user2@its.own.domain>` and nobody else. In IMAP quotes may be left out.
    pub fn has_argument(&mut self, pattern: &Glob) -> bool {
        if !self.ready {
            self.work_out();
        }
        let scratch = &*self.scratch;
        pattern.matches_folded(&scratch.argument)
            || (scratch.has_path && scratch.path.matches(pattern))
            || (self.protocol == Protocol::Imap && pattern.matches_folded(&scratch.unquoted))
            || (!scratch.respelt.is_empty() && pattern.matches_folded(&scratch.respelt))
    }

    fn work_out(&mut self) {
        let argument = self.argument();
        let scratch = &mut *self.scratch;
        scratch.argument.clear();
        for word in argument.split_ascii_whitespace() {
            if !scratch.argument.is_empty() {
                scratch.argument.push(b' ');
            }
            fold(word, &mut scratch.argument);
        }
        if self.protocol == Protocol::Imap {
            scratch.unquoted.clear();
            scratch.unquoted.extend(scratch.argument.iter().filter(|octet| **octet != b'"'));
        }
        scratch.respelt.clear();
        if matches!(self.verb, "USER" | "APOP" | "LOGIN" | "VRFY" | "EXPN") {
            let said = if self.protocol == Protocol::Imap { &scratch.unquoted } else { &scratch.argument };
            respell(said, self.domain, &mut scratch.respelt);
        }
        let path = matches!(self.verb, "MAIL" | "RCPT").then(|| path_in(argument)).flatten();
        scratch.has_path = path.is_some();
        if let Some(path) = path {
            scratch.path.set(path, self.domain);
        }
        self.ready = true;
    }

    /// Whether the reply has one of the codes and, in one of its lines, the text.
    pub fn has_reply(&mut self, wanted: &Reply, student: usize) -> bool {
        let status = match self.protocol {
            Protocol::Imap => tagged(self.reply),
            Protocol::Smtp | Protocol::Pop3 | Protocol::Dns => self.reply,
        };
        if !wanted.codes.iter().any(|code| code.starts(status.as_bytes())) {
            return false;
        }
        let Some(pattern) = &wanted.text else {
            return true;
        };
        let (protocol, text) = (self.protocol, &mut self.scratch.text);
        let mut has = |line: &str| {
            text.clear();
            fold(after_code(protocol, line).trim_ascii(), text);
            pattern.of(student).matches_folded(text)
        };
        if self.protocol == Protocol::Imap {
            let untagged = self.reply.split_terminator('\n').filter_map(|line| line.strip_prefix("* "));
            return has(status) || untagged.into_iter().any(&mut has);
        }
        self.reply.split_terminator('\n').any(has)
    }
}

/// What follows a verb that names a mailbox, that name spelt the other way: a login and its address are the same.
fn respell(said: &[u8], domain: &str, out: &mut Vec<u8>) {
    let end = memchr::memchr(b' ', said).unwrap_or(said.len());
    let (name, rest) = said.split_at(end);
    match memchr::memrchr(b'@', name) {
        Some(at) if name[at + 1..] == *domain.as_bytes() => out.extend_from_slice(&name[..at]),
        None if !name.is_empty() => {
            out.extend_from_slice(name);
            out.push(b'@');
            out.extend_from_slice(domain.as_bytes());
        }
        Some(_) | None => return,
    }
    out.extend_from_slice(rest);
}

/// A reply pattern, compiled.
#[derive(Debug)]
pub struct Reply {
    codes: Vec<Code>,
    text: Option<Filled>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    Any,
    Word(&'static [u8]),
    /// `x` is any digit.
    Digits([u8; 3]),
}

impl Reply {
    /// Compiles a pattern for these people.
    pub fn new(pattern: &ReplyPattern, people: &[Person<'_>]) -> Self {
        let code = |code: &String| {
            let word = ReplyPattern::WORDS.into_iter().find(|word| word == code);
            match (word, code.as_bytes()) {
                (Some(word), _) => Code::Word(word.as_bytes()),
                (None, [a, b, c]) => Code::Digits([*a, *b, *c]),
                (None, _) => Code::Any,
            }
        };
        let text = pattern.text.as_ref().map(|text| Filled::new(text, people));
        Self { codes: pattern.codes.iter().map(code).collect(), text }
    }
}

impl Code {
    /// Whether the reply starts with the code, and the code ends there: `2500` is no `250`.
    fn starts(self, reply: &[u8]) -> bool {
        let ends = |at: usize| reply.get(at).is_none_or(|octet| !octet.is_ascii_alphanumeric());
        match self {
            Self::Any => true,
            Self::Word(word) => reply.starts_with(word) && ends(word.len()),
            Self::Digits(digits) => {
                let same = |(own, octet): (&u8, &u8)| own == octet || (*own == b'x' && octet.is_ascii_digit());
                reply.len() >= 3 && digits.iter().zip(reply).all(same) && ends(3)
            }
        }
    }
}

/// The last line of IMAP's reply without its tag, or from the `+` on where it asks the client to go on (RFC 9051 7).
fn tagged(reply: &str) -> &str {
    let line = reply.lines().next_back().unwrap_or("");
    if line.starts_with('+') { line } else { line.split_once(' ').map_or("", |(_, status)| status) }
}

/// A reply line without its code.
fn after_code(protocol: Protocol, line: &str) -> &str {
    let word = |word: &str| {
        let rest = line.strip_prefix(word)?;
        (rest.is_empty() || rest.starts_with(|letter: char| letter.is_ascii_whitespace())).then_some(rest)
    };
    let words = if protocol == Protocol::Imap { &ReplyPattern::WORDS[2..] } else { &ReplyPattern::WORDS[..2] };
    if let Some(rest) = words.iter().find_map(|own| word(own)) {
        return rest;
    }
    match line.as_bytes() {
        [a, b, c, b' ' | b'-', ..] if [a, b, c].iter().all(|octet| octet.is_ascii_digit()) => &line[4..],
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replied(pattern: &str, reply: &str) -> bool {
        let wanted = Reply::new(&pattern.parse().unwrap(), &[]);
        Said::new(Protocol::Smtp, ("EHLO", "EHLO me", reply), "x", &mut Scratch::default()).has_reply(&wanted, 0)
    }

    fn imap<T>(verb: &str, line: &str, reply: &str, judge: impl Fn(&mut Said<'_>) -> T) -> T {
        judge(&mut Said::new(Protocol::Imap, (verb, line, reply), "x", &mut Scratch::default()))
    }

    fn argued(pattern: &str, verb: &str, line: &str) -> bool {
        let said = (verb, line, "");
        Said::new(Protocol::Smtp, said, "lib.simulacion", &mut Scratch::default()).has_argument(&Glob::new(pattern))
    }

    #[test]
    fn an_argument_of_imap_stands_behind_tag_and_verb() {
        let argued =
            |pattern: &str, verb: &str, line: &str| imap(verb, line, "", |said| said.has_argument(&Glob::new(pattern)));
        assert!(argued("ana *", "LOGIN", "a1 login  ana ***") && argued("ana *", "LOGIN", "a LOGIN \"ana\" ***"));
        assert!(argued("1 body*", "UID FETCH", "a uid  fetch 1 BODY[]") && argued("", "LOGOUT", "a logout"));
        assert!(!argued("fetch 1*", "UID FETCH", "a UID FETCH 1 FLAGS") && !argued("ana", "LOGIN", "ana LOGIN"));
        assert!(argued("\"\" \"*\"", "LIST", "a LIST \"\" \"*\"") && argued("*", "<response>", ""));
    }

    #[test]
    fn of_an_imap_reply_the_tagged_line_counts() {
        let replied = |pattern: &str, reply: &str| {
            let wanted = Reply::new(&pattern.parse().unwrap(), &[]);
            imap("SELECT", "a SELECT INBOX", reply, |said| said.has_reply(&wanted, 0))
        };
        assert!(
            replied("OK", "a OK done\r\n") && replied("OK", "* NO odd\r\na OK\r\n") && replied("BAD", "* BAD x\r\n")
        );
        assert!(!replied("OK", "* OK hm\r\na NO x\r\n") && !replied("NO", "a NOT x\r\n") && !replied("OK", ""));
        assert!(replied("+", "+ go\r\n") && replied("+", "+\r\n") && !replied("OK", "+ OK\r\n") && replied("*", ""));
        assert!(replied("OK *read-only*", "* 3 EXISTS\r\na OK [READ-ONLY] open\r\n"));
        assert!(
            replied("OK 3 exists", "* 3 EXISTS\r\na OK x\r\n") && !replied("OK 3 exists", "* 13 EXISTS\r\na OK x\r\n")
        );
        assert_eq!(imap("NOOP", "a NOOP", "* 1 EXISTS\r\na OK x\r\n", |said| said.status().to_owned()), "OK x");
    }

    #[test]
    fn a_code_is_a_whole_word_at_the_start() {
        assert!(replied("250", "250 ok\r\n") && replied("250", "250-a\r\n250 b\r\n") && replied("250", "250"));
        assert!(!replied("250", "2500 ok\r\n") && !replied("250", "550 250\r\n") && !replied("250", "25"));
        assert!(replied("2xx|354", "354 go\r\n") && replied("2xx", "221 bye\r\n") && !replied("2xx", "2a1 bye\r\n"));
        assert!(replied("+OK", "+OK\r\n") && !replied("+OK", "+OKAY\r\n") && !replied("-ERR", ""));
        assert!(replied("*", ""));
    }

    #[test]
    fn a_reply_text_may_stand_on_any_line() {
        assert!(replied("250 SIZE*", "250-Welcome\r\n250-SIZE 5242880\r\n250 HELP\r\n"));
        assert!(replied("250 help", "250-Welcome\r\n250 HELP\r\n") && !replied("250 elp", "250 HELP\r\n"));
        assert!(replied("+OK 4 *", "+OK 4 995\r\n") && !replied("+OK 4 *", "+OK 44 995\r\n"));
    }

    #[test]
    fn an_argument_is_what_follows_the_verb() {
        assert!(argued("me", "HELO", "helo   me ") && !argued("me", "HELO", "helo me too"));
        assert!(argued("", "EHLO", "ehlo") && argued("from: user1", "MAIL", "MAIL FROM:   user1"));
        assert!(argued("user2", "RCPT", "RCPT TO:<user2@lib.simulacion>") && argued("user2", "RCPT", "rcpt to: USER2"));
        assert!(!argued("user2", "RCPT", "RCPT TO:<user22>") && !argued("user2", "VRFY", "VRFY TO:<user2>"));
        assert!(argued("user2@lib.simulacion", "RCPT", "RCPT TO: user2"));
        assert!(argued("ana", "USER", "USER Ana@lib.simulacion") && argued("ana@lib.simulacion", "USER", "USER ana"));
        assert!(argued("ana *", "APOP", "APOP ana@lib.simulacion 00") && !argued("ana", "USER", "USER ana@other"));
        assert!(!argued("ana", "NOOP", "NOOP ana@lib.simulacion") && !argued("*@*", "USER", "USER"));
    }
}
