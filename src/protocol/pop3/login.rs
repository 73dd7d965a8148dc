//! Who may open which mailbox: USER with PASS, and APOP (RFC 1939 7). Names that are unknown take the same path as known
//! ones, and secrets are compared as hashes, so neither the reply nor its delay tells how near a guess was.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};

use super::command::echo;
use crate::{
    evidence::{By, Who},
    lab::{Login, ServerConfig},
    mail::sha256,
    protocol::{Now, Peer},
};

/// The mailbox that a client says is its own.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The name as it was given, fit to be repeated.
    pub shown: String,
    login: Option<Login>,
}

impl Claim {
    /// The claim that `name` makes: a mailbox, or its address in the server's own domain.
    pub fn of(name: &[u8], config: &ServerConfig) -> Self {
        let shown = echo(name);
        let text = std::str::from_utf8(name).unwrap_or_default();
        let local = match text.rsplit_once('@') {
            Some((local, domain)) if domain.eq_ignore_ascii_case(config.domain.as_str()) => local,
            Some(_) | None => text,
        };
        Self { shown, login: local.parse().ok() }
    }

    /// The mailbox, if `secret` is its password. Where `trim`, blanks round the secret are put up with.
    pub fn with_password(&self, secret: &[u8], trim: bool, config: &ServerConfig) -> Option<Login> {
        self.proved(config, |password| {
            let exact = sha256(secret) == sha256(password.as_bytes());
            exact | (trim & (sha256(secret.trim_ascii()) == sha256(password.as_bytes())))
        })
    }

    /// The mailbox, if `digest` is APOP's for its password and the greeting's timestamp.
    pub fn with_digest(&self, digest: &[u8], timestamp: &str, config: &ServerConfig) -> Option<Login> {
        let digest = digest.to_ascii_lowercase();
        self.proved(config, |password| sha256(&digest) == sha256(apop_digest(timestamp, password).as_bytes()))
    }

    fn proved(&self, config: &ServerConfig, holds: impl Fn(&str) -> bool) -> Option<Login> {
        let account = self.login.as_ref().and_then(|login| config.accounts.get(login));
        let held = holds(account.map_or("", |account| account.password.as_str()));
        self.login.clone().filter(|_| held && account.is_some())
    }
}

/// APOP's timestamp, in the form of a message id: the connection's seed and the time, so that no two greetings have the same.
pub fn timestamp(peer: &Peer, now: Now) -> String {
    format!("<{:x}.{}@{}>", peer.seed, now.micros, peer.config.host)
}

/// APOP's digest: the MD5 of timestamp and password, in lower-case hexadecimal.
pub fn apop_digest(timestamp: &str, password: &str) -> String {
    let mut text = String::with_capacity(32);
    for octet in Md5::new().chain_update(timestamp).chain_update(password).finalize() {
        let _ = write!(text, "{octet:02x}");
    }
    text
}

/// Who it is now that the login to `mailbox` succeeded; none where that tells nothing new. An address is stronger evidence
/// than a login, a login stronger than a sender.
pub fn learnt(who: &Who, mailbox: &Login, config: &ServerConfig) -> Option<Who> {
    let own = config.accounts.get(mailbox).is_some_and(|account| account.student);
    let weaker = match who {
        Who::Unknown => true,
        Who::Student { by, .. } => *by == By::Sender,
        Who::Instructor => false,
    };
    (own && weaker).then(|| Who::Student { login: mailbox.clone(), by: By::Login })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_one_of_rfc_1939() {
        let digest = apop_digest("<1896.697170952@dbc.mtview.ca.us>", "tanstaaf");
        assert_eq!(digest, "c4c9334bac560ecc979e58001b3e22fb");
    }
}
