//! AUTH (RFC 5034): when it may come, the list that AUTH alone shows, and what its exchange is answered with. The exchange
//! itself is `protocol::sasl`'s. A challenge is `+` and base64, whatever the dialect.

use super::{Command, Opening, Session, Stage, command::Heard, reply::Reply};
use crate::{
    evidence::EventKind,
    lab::Login,
    protocol::{
        Action, Now, Output, Peer,
        sasl::{self, Claim, Exchange, Mechanism, Step},
    },
};

/// The mechanisms that the dialect's CAPA lists and labctl has, in the dialect's order.
pub fn mechanisms(peer: &Peer) -> Vec<Mechanism> {
    let lists = Reply::Capa.template(&peer.dialect).iter().filter_map(|line| line.strip_prefix("SASL "));
    lists.flat_map(str::split_ascii_whitespace).filter_map(Mechanism::named).collect()
}

impl Session {
    /// Whether AUTH may come now: a password in the clear only where the lab says so, or typed with PASS.
    pub(super) fn offers_auth(&self) -> bool {
        self.knows_auth && (self.secure || self.peer.config.auth_before_tls)
    }

    /// AUTH, alone or with a mechanism, and that alone or with its initial response.
    pub(super) fn auth(&mut self, claim: Option<Claim>, command: Command<'_>, now: Now, out: &mut Output) -> Stage {
        let here = Stage::Authorization { claim };
        if !self.knows_auth {
            self.refuse(Reply::Auth, &[], out);
            return here;
        }
        if !self.offers_auth() {
            self.refuse(Reply::AuthTls, &[], out);
            return here;
        }
        let offered = mechanisms(&self.peer);
        let names: Vec<&str> = offered.iter().map(|mechanism| mechanism.as_str()).collect();
        let mut words = command.line.arguments();
        let Some(name) = words.next() else {
            self.say(Reply::AuthList, &[], out);
            let lines = names.iter().flat_map(|name| [name.as_bytes(), b"\r\n"]);
            out.reply.extend(lines.flatten());
            out.reply.extend_from_slice(b".\r\n");
            return here;
        };
        let mechanism = std::str::from_utf8(name).ok().and_then(Mechanism::named);
        let Some(mechanism) = mechanism.filter(|mechanism| offered.contains(mechanism)) else {
            self.refuse(Reply::AuthMechanism, &[("text", &names.join(" "))], out);
            return here;
        };
        self.exchanges += 1;
        let step = Exchange::begin(mechanism, words.next(), &self.peer, self.exchanges, now);
        self.step(mechanism, step, command.heard, out)
    }

    /// A line inside the exchange.
    pub(super) fn response(&mut self, exchange: Exchange, octets: &[u8], heard: &Heard, out: &mut Output) -> Stage {
        let mechanism = exchange.mechanism();
        let step = exchange.respond(octets, &self.peer.config);
        self.step(mechanism, step, heard, out)
    }

    fn step(&mut self, mechanism: Mechanism, step: Step, heard: &Heard, out: &mut Output) -> Stage {
        match step {
            Step::Challenge(challenge, exchange) => {
                out.reply.extend_from_slice(format!("+ {challenge}\r\n").as_bytes());
                return Stage::Authenticating(exchange);
            }
            Step::Proved(login) => return self.open(login, mechanism.as_str(), heard, out),
            Step::Refused { name } => {
                self.refuse(Reply::LoginFailed, &[("user", &name)], out);
                let mechanism = mechanism.as_str().to_owned();
                out.events.push(EventKind::LoginFailed { mailbox: name, mechanism });
            }
            Step::Cancelled => self.refuse(Reply::AuthCancelled, &[], out),
            Step::Fault(fault) => self.refuse(Reply::AuthFault, &[("text", fault.hint())], out),
        }
        Stage::Authorization { claim: None }
    }

    /// The login is right: the store opens the mailbox.
    pub(super) fn open(&mut self, mailbox: Login, mechanism: &'static str, heard: &Heard, out: &mut Output) -> Stage {
        // Who has the password is that student, even if the mailbox turns out to be locked.
        if let Some(who) = sasl::learnt(&self.peer.who, &mailbox, &self.peer.config) {
            self.peer.who = who.clone();
            out.who = Some(who);
        }
        out.action = Some(Action::Open { mailbox: mailbox.clone() });
        Stage::Opening { opening: Opening { mailbox, mechanism }, heard: heard.clone() }
    }
}
