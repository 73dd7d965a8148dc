//! AUTH (RFC 4954): when it may come, what its exchange is answered with, and what a login changes. The exchange itself is
//! `protocol::sasl`'s.

use crate::{
    evidence::EventKind,
    lab::Login,
    protocol::sasl::{Exchange, Mechanism, Step, learnt},
};

use super::{Now, Output, Session, Stage, offer::mechanisms, reply::Words};

impl Session {
    pub(super) fn auth(&mut self, argument: &str, now: Now, out: &mut Output) {
        let blank = [' ', '\t'];
        let (name, initial) = argument.split_once(blank).unwrap_or((argument, ""));
        let initial = Some(initial.trim_matches(blank)).filter(|initial| !initial.is_empty());
        let extended = self.hello.as_ref().is_some_and(|hello| hello.extended);
        let refusal = if !self.offer.auth {
            Some("missing.auth")
        } else if !self.offers_auth() {
            Some("sequence.auth_tls")
        } else if self.login.is_some() {
            Some("sequence.auth_twice")
        } else if !extended {
            Some("sequence.ehlo")
        } else if name.is_empty() {
            Some("argument.auth")
        } else {
            None
        };
        let offered = mechanisms(&self.peer);
        let mechanism = Mechanism::named(name).filter(|mechanism| refusal.is_none() && offered.contains(mechanism));
        let Some(mechanism) = mechanism else {
            let names: Vec<&str> = offered.iter().map(|mechanism| mechanism.as_str()).collect();
            let words = Words { verb: "AUTH", text: &names.join(" "), ..Words::default() };
            return self.say(refusal.unwrap_or("missing.mechanism"), &words, now, out);
        };
        self.exchanges += 1;
        let step = Exchange::begin(mechanism, initial.map(str::as_bytes), &self.peer, self.exchanges, now);
        self.step(mechanism, step, now, out);
    }

    /// A line inside the exchange.
    pub(super) fn response(&mut self, octets: &[u8], now: Now, out: &mut Output) {
        let Stage::Auth(exchange) = std::mem::replace(&mut self.stage, Stage::Idle) else { return };
        let mechanism = exchange.mechanism();
        let step = exchange.respond(octets, &self.peer.config);
        self.step(mechanism, step, now, out);
    }

    fn step(&mut self, mechanism: Mechanism, step: Step, now: Now, out: &mut Output) {
        let text = |text| Words { text, ..Words::default() };
        match step {
            Step::Challenge(challenge, exchange) => {
                self.say("challenge", &text(&challenge), now, out);
                self.stage = Stage::Auth(exchange);
            }
            Step::Proved(login) => self.logged_in(login, mechanism, now, out),
            Step::Refused { name } => {
                let mechanism = mechanism.as_str().to_owned();
                out.events.push(EventKind::LoginFailed { mailbox: name, mechanism });
                self.tell("auth.failed", now, out);
            }
            Step::Cancelled => self.tell("auth.cancelled", now, out),
            Step::Fault(fault) => self.say("auth.fault", &text(fault.hint()), now, out),
        }
    }

    fn logged_in(&mut self, login: Login, mechanism: Mechanism, now: Now, out: &mut Output) {
        if let Some(who) = learnt(&self.who, &login, &self.peer.config) {
            self.who = who.clone();
            out.who = Some(who);
        }
        out.events.push(EventKind::LoggedIn { mailbox: login.clone(), mechanism: mechanism.as_str().to_owned() });
        self.login = Some(login);
        self.auth_refused = false;
        self.tell("auth", now, out);
    }
}
