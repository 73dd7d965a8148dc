//! What comes in: how long a line may be, what the record keeps of it, and whether it is a command, a response or neither.

use std::sync::Arc;

use super::{
    Now, Output, Peer, Seen, Session, Stage,
    command::{Command, Verb},
    offer::Offer,
    parameter,
    reply::Words,
};
use crate::protocol::{
    line::{self, Noise},
    sasl::{RESPONSE, mask},
};

/// How the octets of an SMTP connection are framed: with lines as long as the longest that may come. The session itself
/// refuses those that are too long where they come.
pub fn framing(peer: &Peer) -> line::Limits {
    let offer = Offer::of(peer);
    let verbs = [Verb::Mail, Verb::Rcpt, Verb::Auth].map(|verb| longest(verb, offer, peer.config.limits.line));
    line::Limits::of(&peer.config, verbs.into_iter().max().unwrap_or(peer.config.limits.line))
}

/// The longest command of this verb, in octets with CRLF: extensions add to the lab's limit what they say.
fn longest(verb: Verb, offer: Offer, line: usize) -> usize {
    let when = |offered: bool, more: usize| if offered { more } else { 0 };
    match verb {
        Verb::Mail => {
            let auth = when(offer.auth, parameter::MAIL_AUTH_MORE);
            line + parameter::MAIL_MORE + auth + when(offer.dsn, parameter::MAIL_DSN_MORE)
        }
        Verb::Rcpt => line + when(offer.dsn, parameter::RCPT_DSN_MORE),
        Verb::Auth => line.max(when(offer.auth, RESPONSE)),
        Verb::Helo
        | Verb::Ehlo
        | Verb::Data
        | Verb::Rset
        | Verb::Vrfy
        | Verb::Expn
        | Verb::Help
        | Verb::Noop
        | Verb::Quit
        | Verb::Bdat
        | Verb::Etrn
        | Verb::Atrn
        | Verb::Turn
        | Verb::Sendmail
        | Verb::StartTls
        | Verb::Missing
        | Verb::Extension
        | Verb::Pop3
        | Verb::Unknown => line,
    }
}

impl Session {
    pub(super) fn line(&mut self, octets: &[u8], crlf: bool, now: Now, out: &mut Output) {
        let length = octets.len() + if crlf { 2 } else { 1 };
        let text = String::from_utf8_lossy(octets);
        let command = Command::parse(&text);
        let (seen, response) = self.heard(&command, octets, length as u64);
        if length > self.longest(command.verb) {
            self.line_too_long(now, out);
        } else if !crlf && !self.peer.config.leniency.line_feed {
            if command.verb == Verb::Bdat && !matches!(self.stage, Stage::Auth(_)) {
                self.bdat(&command, Some("line.line_feed"), now, out);
            } else {
                self.tell("line.line_feed", now, out);
            }
        } else if matches!(self.stage, Stage::Auth(_)) {
            self.response(octets, now, out);
        } else if let Some(noise) = Noise::of(octets) {
            self.say("line.noise", &Words { text: noise.hint(), ..Words::default() }, now, out);
            if noise == Noise::Http {
                self.stage = Stage::Closed;
            }
        } else if octets.contains(&b'\r') {
            self.tell("line.control", now, out);
        } else if response {
            self.tell("unknown.response", now, out);
        } else {
            self.command(&command, octets, now, out);
        }
        if command.verb == Verb::Data {
            self.data_refused = !matches!(self.stage, Stage::Data(_));
        } else if matches!(command.verb, Verb::Helo | Verb::Ehlo | Verb::Mail | Verb::Rcpt | Verb::Rset) {
            self.data_refused = false;
        }
        if matches!(self.stage, Stage::Chunk(_)) {
            self.waiting = Some(seen);
            self.end_of_chunk(now, out);
        } else if out.action.is_some() {
            self.waiting = Some(seen);
        } else {
            self.finish(seen, now, out);
        }
    }

    /// What the record keeps of a line, and whether the line was (or may have been meant as) a response to AUTH.
    pub(super) fn heard(&mut self, command: &Command<'_>, line: &[u8], octets: u64) -> (Seen, bool) {
        let response = matches!(self.stage, Stage::Auth(_)) || self.auth_refused && command.verb == Verb::Unknown;
        if response {
            return (self.seen("<response>", mask::response(line).to_owned(), octets), true);
        }
        self.auth_refused = command.holds_secret();
        let (verb, line) = (Arc::clone(&command.name), command.kept(line));
        (Seen { verb, line, octets, before: self.state() }, false)
    }

    /// The longest line that may come now, in octets.
    fn longest(&self, verb: Verb) -> usize {
        let line = self.peer.config.limits.line;
        if matches!(self.stage, Stage::Auth(_)) { line.max(RESPONSE) } else { longest(verb, self.offer, line) }
    }

    /// No command that anybody knows: says what it was probably meant to be.
    pub(super) fn unknown(&self, command: &Command<'_>, octets: &[u8], now: Now, out: &mut Output) {
        let words = Words { verb: &command.name, argument: command.argument, ..Words::default() };
        if self.data_refused {
            return self.say("unknown.after_data", &words, now, out);
        }
        if command.name.is_empty() {
            return self.say("unknown.empty", &words, now, out);
        }
        match unglued(&String::from_utf8_lossy(octets)) {
            Some(meant) => self.say("unknown.glued", &Words { argument: &meant, ..words }, now, out),
            None => self.say("unknown.command", &words, now, out),
        }
    }

    pub(super) fn line_too_long(&mut self, now: Now, out: &mut Output) {
        if matches!(self.stage, Stage::Auth(_)) {
            self.stage = Stage::Idle;
            self.tell("auth.line_too_long", now, out);
        } else {
            self.tell("line.too_long", now, out);
        }
    }
}

/// `MAIL FROM:<…>` for `MAILFROM:<…>`, and so for the other commands whose argument was put to them without a blank.
fn unglued(line: &str) -> Option<String> {
    ["MAIL", "RCPT", "HELO", "EHLO"].into_iter().find_map(|verb| {
        let (word, rest) = line.split_at_checked(verb.len())?;
        let clause = match verb {
            "MAIL" => "FROM",
            "RCPT" => "TO",
            _ => "",
        };
        let fits = rest.get(..clause.len()).is_some_and(|start| start.eq_ignore_ascii_case(clause));
        (word.eq_ignore_ascii_case(verb) && fits && !rest.is_empty()).then(|| format!("{word} {rest}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blank_that_is_missing_is_put_in() {
        for (line, meant) in [
            ("MAILFROM:<a@b>", Some("MAIL FROM:<a@b>")),
            ("rcptto: <a@b>", Some("rcpt to: <a@b>")),
            ("EHLOme", Some("EHLO me")),
            ("MAILBOX", None),
            ("HELO", None),
            ("ñ", None),
            ("", None),
        ] {
            assert_eq!(unglued(line).as_deref(), meant, "{line}");
        }
    }
}
