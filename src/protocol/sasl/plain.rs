//! PLAIN (RFC 4616), and the two questions of LOGIN (draft-murchison-sasl-login 2).

use super::{Claim, Fault, Step, verdict};
use crate::lab::ServerConfig;

/// LOGIN's first challenge, in the letters that clients look for.
pub const USERNAME: &str = "Username:";

/// LOGIN's second challenge.
pub const PASSWORD: &str = "Password:";

/// Reads `authzid NUL authcid NUL password`.
pub fn check(response: &[u8], config: &ServerConfig) -> Step {
    let parts: Vec<&[u8]> = response.split(|octet| *octet == 0).collect();
    let [other, name, password] = parts[..] else { return Step::Fault(Fault::Plain) };
    if name.is_empty() || password.is_empty() {
        return Step::Fault(Fault::Plain);
    }
    let claim = Claim::of(name, config);
    let proved = claim.with_password(password, config);
    verdict(proved.filter(|_| claim.may_act_for(other, config)), claim.shown)
}
