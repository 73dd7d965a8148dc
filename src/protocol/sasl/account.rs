//! Who may open which mailbox. Names that are unknown take the same path as known ones, and secrets are compared as hashes, so
//! neither an answer nor its delay tells how near a guess was.

use sha2::{Digest as _, Sha256};

use super::prepared;

use crate::{
    evidence::{By, Who},
    lab::{Login, ServerConfig, server::Account},
};

/// The longest name that a reply repeats and an event keeps, in characters.
pub const SHOWN: usize = 64;

/// The account of a name that nobody has: its proof is worked out like any other, and never counts.
static NOBODY: Account = Account { password: String::new(), token: String::new(), student: false };

/// The mailbox that a client says is its own.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The name as it was given, fit to be repeated: short, and without anything that a terminal would obey.
    pub shown: String,
    login: Option<Login>,
}

impl Claim {
    /// The claim that `name` makes: a mailbox in any case, or its address in the server's own domain.
    pub fn of(name: &[u8], config: &ServerConfig) -> Self {
        let written = prepared(name);
        let text = std::str::from_utf8(&written).unwrap_or_default();
        let local = match text.rsplit_once('@') {
            Some((local, domain)) if domain.eq_ignore_ascii_case(config.domain.as_str()) => local,
            Some(_) | None => text,
        };
        Self { shown: shown(name), login: local.parse().ok() }
    }

    /// The mailbox, if `secret` is its password.
    pub fn with_password(&self, secret: &[u8], config: &ServerConfig) -> Option<Login> {
        let secret = prepared(secret);
        self.proved(config, |account| same(&secret, &prepared(account.password.as_bytes())))
    }

    /// The mailbox, if it exists and `holds` is true of its account. `holds` is asked in any case, so that an unknown name
    /// costs the same time as a known one.
    pub fn proved(&self, config: &ServerConfig, holds: impl Fn(&Account) -> bool) -> Option<Login> {
        let account = self.login.as_ref().and_then(|login| config.accounts.get(login));
        let held = holds(account.unwrap_or(&NOBODY));
        self.login.clone().filter(|_| held && account.is_some())
    }

    /// Whether it may act for `other` (SASL's authorization identity): nobody may for anybody else. Empty is oneself.
    pub fn may_act_for(&self, other: &[u8], config: &ServerConfig) -> bool {
        other.is_empty() || Self::of(other, config).login.is_some_and(|other| Some(other) == self.login)
    }
}

/// A client's text as a reply may repeat it and an event keep it.
pub fn shown(octets: &[u8]) -> String {
    let text = String::from_utf8_lossy(octets);
    text.chars().take(SHOWN).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Whether two secrets are the same, found out in a time that tells neither where they differ nor how long the right one is.
pub fn same(given: &[u8], right: &[u8]) -> bool {
    let hashes = Sha256::digest(given).into_iter().zip(Sha256::digest(right));
    hashes.fold(0, |differences, (given, right)| differences | (given ^ right)) == 0
}

/// Who it is now that the login to `mailbox` succeeded; none where that tells nothing new. An address is stronger evidence
/// than a login, a login stronger than a sender.
pub fn learnt(who: &Who, mailbox: &Login, config: &ServerConfig) -> Option<Who> {
    let own = config.accounts.get(mailbox).is_some_and(|account| account.student);
    let weaker = match who {
        Who::Unknown => true,
        Who::Student { by, .. } => *by == By::Sender,
        Who::Instructor | Who::Server { .. } => false,
    };
    (own && weaker).then(|| Who::Student { login: mailbox.clone(), by: By::Login })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_is_short_and_printable() {
        assert_eq!(shown("a".repeat(SHOWN).as_bytes()).len(), SHOWN);
        assert_eq!(shown("a".repeat(SHOWN + 1).as_bytes()).len(), SHOWN);
        assert_eq!(shown(b"a\r\x1b\xff"), "a\u{fffd}\u{fffd}\u{fffd}");
    }

    #[test]
    fn names_and_passwords_are_the_same_however_they_are_typed() {
        let mut config = (*crate::protocol::fixture::peer("labctl").config).clone();
        let ana: Login = "ana".parse().unwrap();
        for (right, typed) in [("contrase\u{f1}a", "contrasen\u{303}a"), ("contrasen\u{303}a", "contrase\u{f1}a")] {
            right.clone_into(&mut config.accounts.get_mut(&ana).unwrap().password);
            for name in ["ana", "a\u{ad}na", "\u{ff41}na@g1.lab"] {
                let claim = Claim::of(name.as_bytes(), &config);
                assert_eq!(claim.with_password(typed.as_bytes(), &config), Some(ana.clone()), "{name} {typed}");
                assert_eq!(claim.with_password(b"contrasena", &config), None);
            }
        }
    }

    #[test]
    fn secrets_are_the_same_or_not() {
        assert!(same(b"", b"") && same(b"a b", b"a b"));
        assert!(!same(b"a", b"ab") && !same(b"a", b"A") && !same(b"", b"a"));
    }
}
