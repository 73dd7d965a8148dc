//! AUTH (RFC 4954) with PLAIN (RFC 4616) and LOGIN, where the dialect's EHLO offers it. No password leaves this file.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    evidence::{By, EventKind, Who},
    lab::Login,
};

use super::{Now, Output, Session, Stage, reply::Words, route};

/// The longest name that an event of a failed login keeps, in characters.
pub const NAME_KEPT: usize = 64;

/// What an exchange waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchange {
    /// PLAIN: everything.
    Plain,
    /// LOGIN: the name.
    Name,
    /// LOGIN: the password for this name.
    Password(String),
}

impl Session {
    pub(super) fn auth(&mut self, argument: &str, now: Now, out: &mut Output) {
        let (mechanism, initial) = argument.split_once([' ', '\t']).unwrap_or((argument, ""));
        let extended = self.hello.as_ref().is_some_and(|hello| hello.extended);
        let refusal = if !self.offers_auth {
            Some("missing.auth")
        } else if self.login.is_some() {
            Some("sequence.auth_twice")
        } else if !extended {
            Some("sequence.ehlo")
        } else if mechanism.is_empty() {
            Some("argument.auth")
        } else {
            None
        };
        let exchange = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => Some(Exchange::Plain),
            "LOGIN" => Some(Exchange::Name),
            _ => None,
        };
        let Some(exchange) = exchange.filter(|_| refusal.is_none()) else {
            let words = Words { verb: "AUTH", argument: mechanism, ..Words::default() };
            return self.say(refusal.unwrap_or("missing.mechanism"), &words, now, out);
        };
        let initial = initial.trim_matches([' ', '\t']);
        match (initial, exchange) {
            ("", exchange) => self.challenge(exchange, now, out),
            // An initial response that is there but empty (RFC 4954 4).
            ("=", exchange) => self.answer(exchange, "", now, out),
            (response, exchange) => self.answer(exchange, response, now, out),
        }
    }

    /// A line inside the exchange.
    pub(super) fn response(&mut self, octets: &[u8], now: Now, out: &mut Output) {
        let Stage::Auth(exchange) = std::mem::replace(&mut self.stage, Stage::Idle) else { return };
        match std::str::from_utf8(octets).map(str::trim_end) {
            Ok("*") => self.tell("auth.cancelled", now, out),
            Ok(response) => self.answer(exchange, response, now, out),
            Err(_) => self.tell("auth.base64", now, out),
        }
    }

    fn challenge(&mut self, exchange: Exchange, now: Now, out: &mut Output) {
        self.tell(
            match &exchange {
                Exchange::Plain => "challenge.plain",
                Exchange::Name => "challenge.name",
                Exchange::Password(_) => "challenge.password",
            },
            now,
            out,
        );
        self.stage = Stage::Auth(exchange);
    }

    fn answer(&mut self, exchange: Exchange, response: &str, now: Now, out: &mut Output) {
        let Some(text) = STANDARD.decode(response).ok().and_then(|octets| String::from_utf8(octets).ok()) else {
            return self.tell("auth.base64", now, out);
        };
        match exchange {
            Exchange::Name => self.challenge(Exchange::Password(text), now, out),
            Exchange::Password(name) => self.log_in(&name, &text, "LOGIN", now, out),
            Exchange::Plain => {
                let mut parts = text.split('\0');
                let (Some(other), Some(name), Some(password), None) =
                    (parts.next(), parts.next(), parts.next(), parts.next())
                else {
                    return self.tell("auth.plain", now, out);
                };
                // Nobody may act for somebody else.
                let password = if other.is_empty() || other == name { Some(password) } else { None };
                self.log_in(name, password.unwrap_or(""), "PLAIN", now, out);
            }
        }
    }

    fn log_in(&mut self, name: &str, password: &str, mechanism: &str, now: Now, out: &mut Output) {
        let mechanism = mechanism.to_owned();
        let Some(login) = self.account(name).filter(|login| self.right_password(login, password)) else {
            let mailbox = name.chars().take(NAME_KEPT).map(|c| if c.is_control() { '?' } else { c }).collect();
            out.events.push(EventKind::LoginFailed { mailbox, mechanism });
            return self.tell("auth.failed", now, out);
        };
        let student = self.peer.config.accounts[&login].student;
        if student && matches!(self.who, Who::Unknown | Who::Student { by: By::Sender, .. }) {
            self.known_as(login.clone(), By::Login, out);
        }
        out.events.push(EventKind::LoggedIn { mailbox: login.clone(), mechanism });
        self.login = Some(login);
        self.auth_refused = false;
        self.tell("auth", now, out);
    }

    /// The mailbox that a login names, with or without our domain.
    fn account(&self, name: &str) -> Option<Login> {
        let (local, domain) = name.split_once('@').unwrap_or((name, self.peer.config.domain.as_str()));
        let own = domain.eq_ignore_ascii_case(self.peer.config.domain.as_str());
        route::account(&self.peer.config, local).filter(|_| own).cloned()
    }

    /// Compares in a time that tells nothing of where the first difference is.
    fn right_password(&self, login: &Login, given: &str) -> bool {
        let right = self.peer.config.accounts[login].password.as_bytes();
        let given = given.as_bytes();
        let differences = right.iter().zip(given).fold(0, |sum, (right, given)| sum | (right ^ given));
        right.len() == given.len() && differences == 0 && !right.is_empty()
    }
}
