//! CRAM-MD5 (RFC 2195): HMAC-MD5 of a challenge that no two exchanges share, with the password as its key.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;

use super::{Claim, Fault, Step, same, verdict};
use crate::{lab::ServerConfig, protocol::Now};

/// The letters of a digest.
const DIGEST: usize = 32;

/// The challenge, in the form of a message id (RFC 2195 2).
pub fn challenge(nonce: &str, host: &str, now: Now) -> String {
    format!("<{nonce}.{}@{host}>", now.micros / 1_000_000)
}

/// Reads `name digest`.
pub fn check(response: &[u8], challenge: &str, config: &ServerConfig) -> Step {
    let blank = response.iter().rposition(|octet| *octet == b' ');
    let Some((name, given)) = blank.map(|at| (&response[..at], &response[at + 1..])) else {
        return Step::Fault(Fault::Cram);
    };
    if given.len() != DIGEST || !given.iter().all(u8::is_ascii_hexdigit) || name.is_empty() {
        return Step::Fault(Fault::Cram);
    }
    let given = given.to_ascii_lowercase();
    let claim = Claim::of(name, config);
    let proved = claim.proved(config, |account| same(&given, digest(&account.password, challenge).as_bytes()));
    verdict(proved, claim.shown)
}

/// The digest in lower-case hexadecimal.
pub fn digest(password: &str, challenge: &str) -> String {
    let mac = Hmac::<Md5>::new_from_slice(password.as_bytes()).expect("HMAC takes a key of any length");
    let mut text = String::with_capacity(DIGEST);
    for octet in mac.chain_update(challenge).finalize().into_bytes() {
        let _ = write!(text, "{octet:02x}");
    }
    text
}
