//! The command table: which verbs there are and in which state each may come. What a command does is elsewhere.

use std::sync::{Arc, LazyLock};

use crate::{
    evidence::{State, kept_line, masked},
    protocol::sasl::mask::open_words,
};

/// The longest word that an event keeps as the verb of an unknown command, in characters.
pub const VERB_KEPT: usize = 32;

/// The verb that a password may be glued to.
const PASS: &str = "PASS";

/// What the client wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// RFC 5321 4.1.1.1.
    Helo,
    /// RFC 5321 4.1.1.1.
    Ehlo,
    /// RFC 5321 4.1.1.2.
    Mail,
    /// RFC 5321 4.1.1.3.
    Rcpt,
    /// RFC 5321 4.1.1.4.
    Data,
    /// RFC 5321 4.1.1.5.
    Rset,
    /// RFC 5321 4.1.1.6.
    Vrfy,
    /// RFC 5321 4.1.1.7.
    Expn,
    /// RFC 5321 4.1.1.8.
    Help,
    /// RFC 5321 4.1.1.9.
    Noop,
    /// RFC 5321 4.1.1.10.
    Quit,
    /// RFC 4954 4.
    Auth,
    /// RFC 3030 2.
    Bdat,
    /// RFC 1985.
    Etrn,
    /// RFC 2645.
    Atrn,
    /// RFC 821 3.8: refused, because it gives mail to whoever asks.
    Turn,
    /// What Sendmail made up.
    Sendmail,
    /// RFC 3207 4.
    StartTls,
    /// A command of SMTP that this server does not have.
    Missing,
    /// The name of an extension, typed as if it were a command.
    Extension,
    /// A command of POP3.
    Pop3,
    /// Nothing that anybody knows.
    Unknown,
}

const TABLE: &[(&str, Verb)] = &[
    ("MAIL", Verb::Mail),
    ("RCPT", Verb::Rcpt),
    ("DATA", Verb::Data),
    ("EHLO", Verb::Ehlo),
    ("HELO", Verb::Helo),
    ("QUIT", Verb::Quit),
    ("RSET", Verb::Rset),
    ("NOOP", Verb::Noop),
    ("VRFY", Verb::Vrfy),
    ("EXPN", Verb::Expn),
    ("HELP", Verb::Help),
    ("AUTH", Verb::Auth),
    ("STARTTLS", Verb::StartTls),
    ("BDAT", Verb::Bdat),
    ("BURL", Verb::Missing),
    ("ETRN", Verb::Etrn),
    ("ATRN", Verb::Atrn),
    ("TURN", Verb::Turn),
    ("SEND", Verb::Missing),
    ("SOML", Verb::Missing),
    ("SAML", Verb::Missing),
    ("VERB", Verb::Sendmail),
    ("ONEX", Verb::Sendmail),
    ("XUSR", Verb::Sendmail),
    ("SIZE", Verb::Extension),
    ("DSN", Verb::Extension),
    ("PIPELINING", Verb::Extension),
    ("8BITMIME", Verb::Extension),
    ("SMTPUTF8", Verb::Extension),
    ("CHUNKING", Verb::Extension),
    ("ENHANCEDSTATUSCODES", Verb::Extension),
    ("USER", Verb::Pop3),
    ("PASS", Verb::Pop3),
    ("APOP", Verb::Pop3),
    ("STAT", Verb::Pop3),
    ("LIST", Verb::Pop3),
    ("RETR", Verb::Pop3),
    ("DELE", Verb::Pop3),
    ("UIDL", Verb::Pop3),
    ("TOP", Verb::Pop3),
    ("CAPA", Verb::Pop3),
];

static NAMES: LazyLock<Vec<Arc<str>>> = LazyLock::new(|| TABLE.iter().map(|(name, _)| Arc::from(*name)).collect());

/// A command line, cut into verb and argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command<'a> {
    /// The verb.
    pub verb: Verb,
    /// The verb as events have it: upper case.
    pub name: Arc<str>,
    /// What follows, without the blanks round it.
    pub argument: &'a str,
}

impl<'a> Command<'a> {
    /// Cuts a line. One that starts with a blank has no verb (RFC 5321 4.1.1).
    pub fn parse(line: &'a str) -> Self {
        let blank = [' ', '\t'];
        let (word, argument) = line.split_once(blank).unwrap_or((line, ""));
        let argument = argument.trim_matches(blank);
        match TABLE.iter().position(|(name, _)| name.eq_ignore_ascii_case(word)) {
            Some(at) => Self { verb: TABLE[at].1, name: Arc::clone(&NAMES[at]), argument },
            None => Self { verb: Verb::Unknown, name: first_word(line), argument },
        }
    }

    /// The line as an event may keep it.
    pub fn kept(&self, line: &[u8]) -> String {
        match self.name.as_ref() {
            "AUTH" => masked(line, open_words(self.argument.split_ascii_whitespace().next().map(str::as_bytes))),
            "APOP" | "USER" => masked(line, 2),
            // The password came without a blank: `PASSUsuario1`
            "PASS" if self.verb == Verb::Unknown => "PASS ***".to_owned(),
            // `PASS`, and what was meant for `AUTH`: `AUTH=PLAIN …`
            _ if self.holds_secret() => masked(line, 1),
            _ => kept_line(line),
        }
    }

    /// Whether a password may follow the verb, or in the next lines.
    pub fn holds_secret(&self) -> bool {
        ["AUTH", "APOP", "PASS"].iter().any(|verb| self.name.starts_with(verb))
    }
}

fn first_word(line: &str) -> Arc<str> {
    let word = line.split_ascii_whitespace().next().unwrap_or("");
    if word.len() > PASS.len() && word.get(..PASS.len()).is_some_and(|head| head.eq_ignore_ascii_case(PASS)) {
        return PASS.into();
    }
    // What a program or a terminal puts before the verb is none of it.
    word.chars().filter(|c| !c.is_control()).take(VERB_KEPT).map(|c| c.to_ascii_uppercase()).collect::<String>().into()
}

impl Verb {
    /// Whether the command may come in this state; if not, the key of the reply that says what has to come first.
    pub fn may_come(self, state: State) -> Result<(), &'static str> {
        match (self, state) {
            (Self::Mail | Self::Rcpt | Self::Data | Self::Auth | Self::Etrn | Self::Atrn, State::Connect) => {
                Err("sequence.hello")
            }
            (Self::Mail, State::Mail | State::Rcpt | State::Data) => Err("sequence.nested"),
            (Self::Rcpt | Self::Data, State::Data) => Err("sequence.chunks"),
            (Self::Auth, State::Mail | State::Rcpt | State::Data) => Err("sequence.auth"),
            (Self::Etrn | Self::Atrn, State::Mail | State::Rcpt | State::Data) => Err("sequence.queue"),
            (Self::StartTls, State::Mail | State::Rcpt | State::Data) => Err("sequence.starttls"),
            (Self::Rcpt | Self::Data, State::Ready) => Err("sequence.mail"),
            (Self::Data, State::Mail) => Err("sequence.rcpt"),
            (
                Self::Helo
                | Self::Ehlo
                | Self::Mail
                | Self::Rcpt
                | Self::Data
                | Self::Rset
                | Self::Vrfy
                | Self::Expn
                | Self::Help
                | Self::Noop
                | Self::Quit
                | Self::Auth
                | Self::Bdat
                | Self::Etrn
                | Self::Atrn
                | Self::Turn
                | Self::Sendmail
                | Self::StartTls
                | Self::Missing
                | Self::Extension
                | Self::Pop3
                | Self::Unknown,
                _,
            ) => Ok(()),
        }
    }

    /// What the verb's argument starts with.
    pub const fn clause(self) -> &'static str {
        if matches!(self, Self::Mail) { "FROM:" } else { "TO:" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_is_known_in_any_case() {
        let command = Command::parse("rCpT  TO: user2 \t");
        assert_eq!((command.verb, command.name.as_ref(), command.argument), (Verb::Rcpt, "RCPT", "TO: user2"));
        assert_eq!(Command::parse("RCPTS").verb, Verb::Unknown);
        assert_eq!(Command::parse(" NOOP").verb, Verb::Unknown);
        assert_eq!(Command::parse("").name.as_ref(), "");
    }

    #[test]
    fn an_unknown_verb_is_kept_up_to_its_limit() {
        assert_eq!(Command::parse(&"x".repeat(VERB_KEPT)).name.len(), VERB_KEPT);
        assert_eq!(Command::parse(&"x".repeat(VERB_KEPT + 1)).name.len(), VERB_KEPT);
    }

    #[test]
    fn passwords_are_masked_even_where_they_do_not_belong() {
        let kept = |line: &str| Command::parse(line).kept(line.as_bytes());
        assert_eq!(kept("pass Usuario1"), "pass ***");
        assert_eq!(kept("AUTH PLAIN AHVzZXIxAFVzdWFyaW8x"), "AUTH PLAIN ***");
        assert_eq!(kept("APOP user1 c4c9334bac560ecc979e58001b3e22fb"), "APOP user1 ***");
        assert_eq!(kept("AUTH=PLAIN AHVzZXIxAFVzdWFyaW8x"), "AUTH=PLAIN ***");
        assert_eq!(kept(" AUTH PLAIN AHVzZXIxAFVzdWFyaW8x"), "AUTH ***");
        assert_eq!(kept("AUTH AHVzZXIxAFVzdWFyaW8x"), "AUTH ***");
        assert_eq!(kept("auth cram-md5"), "auth cram-md5");
        assert_eq!(kept("passUsuario1"), "PASS ***");
        assert_eq!(kept(" pass Usuario1"), "PASS ***");
        assert_eq!(kept("USER user1 Usuario1"), "USER user1 ***");
        assert_eq!(kept("MAIL FROM:<user1>"), "MAIL FROM:<user1>");
    }
}
