//! Before the login: LOGIN, AUTHENTICATE with its responses, STARTTLS, and what the capability list says in which state
//! (RFC 9051 6.2, 6.1.1).

use super::{CAPABILITIES, Connection, Session, Stage, Under, name::Charset, reply::Reply};
use crate::{
    evidence::EventKind,
    lab::Login,
    protocol::{
        Output,
        imap::gather::Heard,
        sasl::{self, Claim, Exchange, Mechanism, Step},
    },
};

impl Session {
    /// How names are written: in UTF-8 once IMAP4rev2 is enabled (RFC 9051 A).
    pub(super) const fn charset(&self) -> Charset {
        if self.rev2 { Charset::Utf8 } else { Charset::Utf7 }
    }

    /// What can be done in this state.
    pub(super) fn capabilities(&self) -> String {
        let mut all = CAPABILITIES.to_owned();
        if self.offers_tls() {
            all.push_str(" STARTTLS");
        }
        if self.needs_tls() {
            all.push_str(" LOGINDISABLED");
        }
        if matches!(self.connection, Connection::NotAuthenticated) && self.offers_auth() {
            for mechanism in Mechanism::ALL {
                all.push_str(" AUTH=");
                all.push_str(mechanism.as_str());
            }
        }
        all
    }

    /// Whether AUTHENTICATE may come now: a password in the clear only where the lab says so, or typed with LOGIN.
    fn offers_auth(&self) -> bool {
        self.secured || (self.peer.config.auth_before_tls && !self.needs_tls())
    }

    /// Whether STARTTLS may come now.
    fn offers_tls(&self) -> bool {
        !self.secured && self.peer.offers_tls() && matches!(self.connection, Connection::NotAuthenticated)
    }

    /// Whether no login may come before STARTTLS (RFC 9051 6.2.3).
    fn needs_tls(&self) -> bool {
        !self.secured && self.peer.requires_tls()
    }

    pub(super) fn start_tls(&mut self, under: Under, out: &mut Output) {
        if self.offers_tls() {
            self.answer(under, Reply::TlsBegin, &[], out);
            self.stage = Stage::Securing;
            return;
        }
        let reply = if self.secured { Reply::TlsAlready } else { Reply::TlsNone };
        self.refuse(under, reply, &[], out);
    }

    pub(super) fn login(&mut self, under: Under, name: &[u8], password: &[u8], out: &mut Output) {
        if self.needs_tls() {
            return self.refuse(under, Reply::NeedTls, &[], out);
        }
        let claim = Claim::of(name, &self.peer.config);
        match claim.with_password(password, &self.peer.config) {
            Some(mailbox) => self.logged_in(under, mailbox, "LOGIN", out),
            None => self.login_failed(under, claim.shown, "LOGIN", out),
        }
    }

    pub(super) fn authenticate(&mut self, under: Under, mechanism: &str, initial: Option<&[u8]>, out: &mut Output) {
        let Some(mechanism) = Mechanism::named(mechanism) else {
            let offered: Vec<&str> = Mechanism::ALL.iter().map(|mechanism| mechanism.as_str()).collect();
            return self.refuse(under, Reply::NoMechanism, &[("mechanisms", &offered.join(" "))], out);
        };
        if !self.offers_auth() {
            return self.refuse(under, Reply::NeedTls, &[], out);
        }
        self.attempts += 1;
        let step = Exchange::begin(mechanism, initial, &self.peer, self.attempts, self.now);
        self.step(under, mechanism, step, out);
    }

    /// A response line.
    pub(super) fn respond(&mut self, under: (Under, Exchange), octets: &[u8], crlf: bool, out: &mut Output) {
        let (mut under, exchange) = under;
        // The command and each of its responses are events of their own, as in SMTP and POP3.
        let next = Heard::response(octets, crlf);
        let before = under.before;
        let heard = std::mem::replace(&mut under.heard, next);
        let said = std::mem::take(&mut under.said);
        out.events.push(heard.answered(&said, before, before));
        let mechanism = exchange.mechanism();
        let step = exchange.respond(octets, &self.peer.config);
        self.step(under, mechanism, step, out);
    }

    fn step(&mut self, under: Under, mechanism: Mechanism, step: Step, out: &mut Output) {
        match step {
            Step::Challenge(challenge, exchange) => {
                out.reply.extend_from_slice(format!("+ {challenge}\r\n").as_bytes());
                self.stage = Stage::Authenticating(Box::new((under, exchange)));
            }
            Step::Proved(mailbox) => self.logged_in(under, mailbox, mechanism.as_str(), out),
            Step::Refused { name } => self.login_failed(under, name, mechanism.as_str(), out),
            Step::Cancelled => self.answer(under, Reply::Cancelled, &[], out),
            Step::Fault(fault) => self.refuse(under, Reply::BadResponse, &[("hint", fault.hint())], out),
        }
    }

    fn logged_in(&mut self, under: Under, mailbox: Login, mechanism: &str, out: &mut Output) {
        if let Some(who) = sasl::learnt(&self.peer.who, &mailbox, &self.peer.config) {
            self.peer.who = who.clone();
            out.who = Some(who);
        }
        self.login_tried = false;
        self.connection = Connection::Authenticated(mailbox.clone());
        let capabilities = self.capabilities();
        let values = [("capabilities", capabilities.as_str()), ("user", mailbox.as_str())];
        self.answer(under, Reply::LoggedIn, &values, out);
        out.events.push(EventKind::LoggedIn { mailbox, mechanism: mechanism.to_owned() });
    }

    fn login_failed(&mut self, under: Under, name: String, mechanism: &str, out: &mut Output) {
        self.login_tried = true;
        self.refuse(under, Reply::LoginFailed, &[], out);
        out.events.push(EventKind::LoginFailed { mailbox: name, mechanism: mechanism.to_owned() });
    }
}
