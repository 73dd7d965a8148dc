//! Commands that ask and change nothing: VRFY and EXPN (RFC 5321 3.5), HELP (4.1.1.8), TURN, which is only refused, and what
//! Sendmail had of its own.

use super::{
    Now, Output, Session,
    command::Command,
    path::Path,
    reply::{self, Words},
    route,
};
use crate::lab::Leniency;

impl Session {
    /// VRFY and EXPN: the mailbox of this name, where the lab lets them tell; else one answer for every name. There are no
    /// lists here, so what EXPN expands to is the mailbox itself.
    pub(super) fn verify(&self, expand: bool, words: &Words<'_>, now: Now, out: &mut Output) {
        if words.argument.is_empty() {
            return self.say("argument.missing", words, now, out);
        }
        if !self.peer.config.vrfy {
            return self.say(if expand { "expn" } else { "vrfy" }, words, now, out);
        }
        let path = Path::parse(words.argument, Leniency::LENIENT).ok();
        let mailbox = path.as_ref().and_then(|path| path.mailbox.as_ref());
        let Some(login) = mailbox.and_then(|mailbox| route::owner(&self.peer, mailbox)) else {
            return self.say("vrfy.unknown", words, now, out);
        };
        let address = format!("{login}@{}", self.peer.config.domain);
        self.say("vrfy.found", &Words { address: &address, ..*words }, now, out);
    }

    /// HELP, of everything or of one command or extension.
    pub(super) fn help(&self, words: &Words<'_>, now: Now, out: &mut Output) {
        if words.argument.is_empty() {
            return self.say("help", &Words { text: &self.commands().join(" "), ..*words }, now, out);
        }
        let key = format!("help.{}", words.argument.to_ascii_lowercase());
        let known = words.argument.bytes().all(|octet| octet.is_ascii_alphanumeric());
        let known = known && !reply::template(&self.peer.dialect, &key).is_empty();
        self.say(if known { &key } else { "no_help" }, words, now, out);
    }

    /// The commands that there are now.
    fn commands(&self) -> Vec<&'static str> {
        let mut commands = vec!["HELO", "EHLO", "MAIL", "RCPT", "DATA", "RSET", "NOOP", "QUIT", "VRFY", "EXPN", "HELP"];
        commands.extend(self.offer.chunking.then_some("BDAT"));
        commands.extend(self.offer.etrn.then_some("ETRN"));
        commands.extend(self.offers_auth().then_some(["AUTH", "ATRN"]).into_iter().flatten());
        commands
    }

    /// VERB, ONEX and XUSR: Sendmail has an answer to them, nobody else.
    pub(super) fn of_sendmail(&self, command: &Command<'_>, words: &Words<'_>, now: Now, out: &mut Output) {
        let key = match command.name.as_ref() {
            "VERB" => "sendmail.verb",
            "ONEX" => "sendmail.onex",
            _ => "sendmail.xusr",
        };
        self.say(key, words, now, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Input, fixture::peer};

    #[test]
    fn every_command_that_help_lists_has_a_help_text() {
        let session = Session { secure: true, ..Session::new(peer("labctl")) };
        let now = Now { micros: 0, steady_micros: 0, utc_offset_secs: 0 };
        let commands = session.commands();
        assert!(commands.len() > 11);
        for command in commands {
            let (mut session, mut out) = (Session::new(peer("labctl")), Output::default());
            let line = format!("HELP {command}");
            session.handle(Input::Line { octets: line.as_bytes(), crlf: true }, now, &mut out);
            assert!(out.reply.starts_with(format!("214 2.0.0 {command}").as_bytes()), "{command}");
        }
    }
}
