//! One command and its reply as steps look at them. What several checks ask is worked out once per command.

use super::glob::{Filled, Glob, Path, fold, path_in};
use crate::lab::{exercise::ReplyPattern, template::Person};

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
    domain: &'a str,
    scratch: &'a mut Scratch,
    ready: bool,
}

/// Buffers that live longer than one command.
#[derive(Debug, Default)]
pub struct Scratch {
    argument: Vec<u8>,
    path: Path,
    has_path: bool,
    text: Vec<u8>,
}

impl<'a> Said<'a> {
    /// A command of somebody in the group with this domain.
    pub fn new(verb: &'a str, line: &'a str, reply: &'a str, domain: &'a str, scratch: &'a mut Scratch) -> Self {
        Self { verb, line, reply, domain, scratch, ready: false }
    }

    /// What follows the verb, blanks as they came.
    pub fn argument(&self) -> &'a str {
        let line = self.line.trim_ascii_start();
        line.split_once(|letter: char| letter.is_ascii_whitespace()).map_or("", |(_, rest)| rest.trim_ascii())
    }

    /// Whether the pattern matches what follows the verb (runs of blanks count as one) or, for MAIL and RCPT, the path in it:
    /// `RCPT user2` is `RCPT TO:<user2@its.own.domain>` and nobody else.
    pub fn has_argument(&mut self, pattern: &Glob) -> bool {
        if !self.ready {
            self.work_out();
        }
        let scratch = &*self.scratch;
        pattern.matches_folded(&scratch.argument) || (scratch.has_path && scratch.path.matches(pattern))
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
        let path = matches!(self.verb, "MAIL" | "RCPT").then(|| path_in(argument)).flatten();
        scratch.has_path = path.is_some();
        if let Some(path) = path {
            scratch.path.set(path, self.domain);
        }
        self.ready = true;
    }

    /// Whether the reply has one of the codes and, in one of its lines, the text.
    pub fn has_reply(&mut self, wanted: &Reply, student: usize) -> bool {
        if !wanted.codes.iter().any(|code| code.starts(self.reply.as_bytes())) {
            return false;
        }
        let Some(pattern) = &wanted.text else {
            return true;
        };
        let text = &mut self.scratch.text;
        self.reply.split_terminator('\n').any(|line| {
            text.clear();
            fold(after_code(line).trim_ascii(), text);
            pattern.of(student).matches_folded(text)
        })
    }
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
        let code = |code: &String| match code.as_bytes() {
            b"+OK" => Code::Word(b"+OK"),
            b"-ERR" => Code::Word(b"-ERR"),
            [a, b, c] => Code::Digits([*a, *b, *c]),
            _ => Code::Any,
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

/// A reply line without its code.
fn after_code(line: &str) -> &str {
    if let Some(rest) = line.strip_prefix("+OK").or_else(|| line.strip_prefix("-ERR")) {
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
        Said::new("EHLO", "EHLO me", reply, "x", &mut Scratch::default()).has_reply(&wanted, 0)
    }

    fn argued(pattern: &str, verb: &str, line: &str) -> bool {
        Said::new(verb, line, "", "lib.simulacion", &mut Scratch::default()).has_argument(&Glob::new(pattern))
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
    }
}
