//! Mail that is asked for: ETRN (RFC 1985) has the queue tried for a domain now; ATRN (RFC 2645) turns the roles round, and
//! what waits for the domain of whoever logged in comes over the same connection. TURN (RFC 821 3.8) did that for whoever said
//! a name, and is only refused.

use super::{Action, Now, Outcome, Output, Session, Stage, path::Host, reply::Words};
use crate::lab::{Login, ServerConfig};

/// What was asked of the queue.
#[derive(Debug)]
pub enum Asking {
    /// ETRN of this domain.
    Start(String),
    /// ATRN: whether anything waits for this domain.
    Turn(String),
    /// ATRN: the conversation in which we are the client.
    Turned,
}

/// The domain of a login for mail that waits until it is asked for: `ana.g1.lab` is ana's in `g1.lab`.
pub fn domain_of(login: &Login, config: &ServerConfig) -> String {
    format!("{login}.{}", config.domain)
}

/// The login whose domain this is, lower case.
pub fn login_of<'a>(domain: &str, config: &'a ServerConfig) -> Option<&'a Login> {
    let name = domain.strip_suffix(config.domain.as_str())?.strip_suffix('.')?;
    config.accounts.get_key_value(name).map(|(login, _)| login)
}

impl Session {
    pub(super) fn etrn(&mut self, words: &Words<'_>, now: Now, out: &mut Output) {
        // `@` asks for the names below the domain too; no more waits for them than for itself.
        let name = words.argument.strip_prefix('@').unwrap_or(words.argument);
        let key = if !self.offer.etrn {
            Some("missing.command")
        } else if !matches!(Host::parse(name), Ok(Host::Name(_))) {
            Some("argument.etrn")
        } else if !self.peer.config.relay {
            Some("etrn.refused")
        } else {
            None
        };
        if let Some(key) = key {
            return self.say(key, words, now, out);
        }
        let domain = name.trim_end_matches('.').to_lowercase();
        out.action = Some(Action::Hurry { domain: domain.clone() });
        self.stage = Stage::Inquiring(Box::new(Asking::Start(domain)));
    }

    pub(super) fn atrn(&mut self, words: &Words<'_>, now: Now, out: &mut Output) {
        if !self.offer.auth {
            return self.say("missing.command", words, now, out);
        }
        let Some(login) = &self.login else { return self.say("sequence.atrn", words, now, out) };
        let domain = domain_of(login, &self.peer.config);
        let mut asked = words.argument.split(',').map(|name| name.trim().trim_end_matches('.'));
        let all_own = words.argument.is_empty() || asked.all(|name| name.eq_ignore_ascii_case(&domain));
        if !all_own {
            return self.say("atrn.refused", &Words { text: &domain, ..*words }, now, out);
        }
        out.action = Some(Action::Waiting { domain: domain.clone() });
        self.stage = Stage::Inquiring(Box::new(Asking::Turn(domain)));
    }

    /// The queue has answered.
    pub(super) fn queue_answered(&mut self, asking: Asking, outcome: &Outcome, now: Now, out: &mut Output) {
        match (asking, outcome) {
            // What there was to say, our client has said.
            (Asking::Turned, _) => return self.stage = Stage::Closed,
            (Asking::Start(domain), Outcome::Waiting(count)) => {
                let key = if *count == 0 { "etrn.nothing" } else { "etrn" };
                let words = Words { text: &count.to_string(), argument: &domain, ..Words::default() };
                self.say(key, &words, now, out);
            }
            (Asking::Turn(domain), Outcome::Waiting(0)) => {
                self.say("atrn.nothing", &Words { argument: &domain, ..Words::default() }, now, out);
            }
            (Asking::Turn(domain), Outcome::Waiting(count)) => {
                let words = Words { text: &count.to_string(), argument: &domain, ..Words::default() };
                self.say("atrn", &words, now, out);
                self.stage = Stage::Inquiring(Box::new(Asking::Turned));
                out.action = Some(Action::TurnRound { domain });
            }
            (Asking::Start(_) | Asking::Turn(_), _) => self.tell("failed.queue", now, out),
        }
        if let Some(seen) = self.waiting.take() {
            self.finish(seen, now, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::fixture::peer;

    #[test]
    fn a_login_has_a_domain_and_a_domain_a_login() {
        let config = peer("labctl").config;
        let (login, _) = config.accounts.first_key_value().unwrap();
        assert_eq!((domain_of(login, &config).as_str(), login_of("ana.g1.lab", &config)), ("ana.g1.lab", Some(login)));
        for other in ["g1.lab", ".g1.lab", "eva.g1.lab", "anag1.lab", "ana.g2.lab", "x.ana.g1.lab", "ana.g1.lab."] {
            assert_eq!(login_of(other, &config), None, "{other}");
        }
    }
}
