//! What only POP3 has of a login: APOP (RFC 1939 7), and blanks round a password that are put up with. Who may open which
//! mailbox is `sasl`'s.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};

use crate::{
    lab::{Login, ServerConfig},
    protocol::{
        Now, Peer,
        sasl::{Claim, prepared, same},
    },
};

/// The mailbox, if `secret` is its password. Where `trim`, blanks round the secret are put up with.
pub fn with_password(claim: &Claim, secret: &[u8], trim: bool, config: &ServerConfig) -> Option<Login> {
    let (whole, trimmed) = (prepared(secret), prepared(secret.trim_ascii()));
    claim.proved(config, |account| {
        let right = prepared(account.password.as_bytes());
        same(&whole, &right) | (trim & same(&trimmed, &right))
    })
}

/// The mailbox, if `digest` is APOP's for its password and the greeting's timestamp.
pub fn with_digest(claim: &Claim, digest: &[u8], timestamp: &str, config: &ServerConfig) -> Option<Login> {
    let digest = digest.to_ascii_lowercase();
    claim.proved(config, |account| same(&digest, apop_digest(timestamp, &account.password).as_bytes()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_one_of_rfc_1939() {
        let digest = apop_digest("<1896.697170952@dbc.mtview.ca.us>", "tanstaaf");
        assert_eq!(digest, "c4c9334bac560ecc979e58001b3e22fb");
    }
}
