//! The AUTHORIZATION state (RFC 1939 4): USER, PASS, APOP, and the few commands that need no login.

use super::{
    Command, Opening, Session, Stage,
    command::{Heard, Place, Verb},
    login,
    maildrop::Maildrop,
    reply::Reply,
};
use crate::{
    evidence::{EventKind, State},
    lab::Login,
    protocol::{Now, Outcome, Output, replies::plural, sasl::Claim},
};

/// The capability and the command (RFC 2595 4).
const STLS: &str = "STLS";

impl Session {
    /// Carries out a command before the login. A claim stands until PASS is tried, whatever comes between: RFC 1939 7 wants
    /// PASS right after USER, and nothing is gained by making people type the name again.
    pub(super) fn authorization(
        &mut self,
        claim: Option<Claim>,
        command: Command<'_>,
        now: Now,
        out: &mut Output,
    ) -> Stage {
        let login = matches!(command.verb, Verb::User | Verb::Pass | Verb::Apop | Verb::Auth);
        if login && self.offers_tls() && self.peer.requires_tls() {
            self.refuse(Reply::NeedTls, &[], out);
            return Stage::Authorization { claim };
        }
        match command.verb {
            Verb::User => self.user_command(command, out),
            Verb::Pass => self.pass(claim, command, out),
            Verb::Apop => self.apop(claim, command, out),
            Verb::Auth => self.auth(claim, command, now, out),
            Verb::Stls => self.stls(claim, command, out),
            Verb::Capa => {
                self.capabilities(Place::Authorization, out);
                Stage::Authorization { claim }
            }
            Verb::Quit => {
                self.say(Reply::Quit, &[], out);
                Stage::Closed
            }
            // These come after the login only; the table of commands says so and they never get here.
            Verb::Stat | Verb::List | Verb::Uidl | Verb::Retr | Verb::Top | Verb::Dele | Verb::Noop | Verb::Rset => {
                Stage::Authorization { claim }
            }
        }
    }

    /// Nothing that was said in the clear counts after it (RFC 2595 4).
    fn stls(&mut self, claim: Option<Claim>, command: Command<'_>, out: &mut Output) -> Stage {
        if self.offers_tls() {
            self.say(Reply::Stls, &[], out);
            return Stage::Securing;
        }
        let refusal = match (self.secure, Reply::Capa.lists(&self.peer, STLS)) {
            (true, _) => Reply::StlsTwice,
            (false, true) => Reply::StlsNone,
            // A server that never heard of it.
            (false, false) => Reply::Unknown,
        };
        self.refuse(refusal, &[("verb", &command.heard.verb)], out);
        Stage::Authorization { claim }
    }

    fn offers_tls(&self) -> bool {
        !self.secure && self.peer.offers_tls() && Reply::Capa.lists(&self.peer, STLS)
    }

    /// STLS is listed where it may still come: before the login, and once.
    pub(super) fn capabilities(&self, place: Place, out: &mut Output) {
        let stls = place == Place::Authorization && self.offers_tls();
        let stands = |line: &str| match line {
            STLS => stls,
            line => self.offers_auth() || !line.starts_with("SASL "),
        };
        Reply::Capa.write_list(&self.peer, &stands, &mut out.reply);
        out.reply.extend_from_slice(b".\r\n");
    }

    fn user_command(&mut self, command: Command<'_>, out: &mut Output) -> Stage {
        let name = command.line.arguments().next().unwrap_or_default();
        let claim = Claim::of(name, &self.peer.config);
        self.say(Reply::User, &[("user", &claim.shown)], out);
        Stage::Authorization { claim: Some(claim) }
    }

    fn pass(&mut self, claim: Option<Claim>, command: Command<'_>, out: &mut Output) -> Stage {
        let Some(claim) = claim else {
            self.refuse(Reply::NeedUser, &[], out);
            return Stage::Authorization { claim: None };
        };
        let trim = self.peer.config.leniency.pop3_blanks;
        let mailbox = login::with_password(&claim, command.line.rest, trim, &self.peer.config);
        self.logged_in(mailbox, &claim, command, out)
    }

    fn apop(&mut self, standing: Option<Claim>, command: Command<'_>, out: &mut Output) -> Stage {
        let Some(timestamp) = &self.timestamp else {
            self.refuse(Reply::ApopNone, &[], out);
            return Stage::Authorization { claim: standing };
        };
        let mut arguments = command.line.arguments();
        let claim = Claim::of(arguments.next().unwrap_or_default(), &self.peer.config);
        let mailbox = login::with_digest(&claim, arguments.next().unwrap_or_default(), timestamp, &self.peer.config);
        self.logged_in(mailbox, &claim, command, out)
    }

    fn logged_in(&mut self, mailbox: Option<Login>, claim: &Claim, command: Command<'_>, out: &mut Output) -> Stage {
        let Some(mailbox) = mailbox else {
            self.refuse(Reply::LoginFailed, &[("user", &claim.shown)], out);
            let mechanism = command.verb.rule().name.to_owned();
            out.events.push(EventKind::LoginFailed { mailbox: claim.shown.clone(), mechanism });
            return Stage::Authorization { claim: None };
        };
        self.open(mailbox, command.verb.rule().name, command.heard, out)
    }

    /// Goes on after `Action::Open`.
    pub(super) fn opened(&mut self, opening: Opening, heard: Heard, outcome: Outcome, out: &mut Output) -> Stage {
        let Opening { mailbox, mechanism } = opening;
        let user = mailbox.clone();
        let mut holder = "another session".to_owned();
        let refusal = match outcome {
            Outcome::Opened(entries) => {
                let maildrop = Maildrop::new(mailbox.clone(), entries);
                self.say_totals(Reply::Welcome, &maildrop, out);
                out.events.push(heard.answered(&out.reply, State::Authorization, State::Transaction));
                out.events.push(EventKind::LoggedIn { mailbox, mechanism: mechanism.to_owned() });
                return Stage::Transaction(maildrop);
            }
            Outcome::Locked { holder: known } => {
                if let Some(known) = known {
                    let own = self.peer.who.student() == Some(&known);
                    holder = if own { "another session of yours".to_owned() } else { format!("a session of {known}") };
                }
                Reply::Locked
            }
            Outcome::Failed
            | Outcome::Room(_)
            | Outcome::Waiting(_)
            | Outcome::Stored
            | Outcome::Sent
            | Outcome::Lost
            | Outcome::Octets(_)
            | Outcome::Folders(_)
            | Outcome::Expunged => Reply::OpenFailed,
        };
        self.say(refusal, &[("user", user.as_str()), ("holder", &holder)], out);
        out.events.push(heard.answered(&out.reply, State::Authorization, State::Authorization));
        Stage::Authorization { claim: None }
    }

    /// A reply about the mailbox as a whole.
    pub(super) fn say_totals(&self, reply: Reply, maildrop: &Maildrop, out: &mut Output) {
        let count = maildrop.count().to_string();
        let octets = maildrop.octets().to_string();
        let user = maildrop.mailbox.as_str();
        let values = [("user", user), ("count", &count), ("s", plural(maildrop.count())), ("octets", &octets)];
        self.say(reply, &values, out);
    }
}
