//! A token instead of a password: XOAUTH2, as Google's mail servers take it, and OAUTHBEARER (RFC 7628). The lab issues the
//! tokens itself, one for each account; where there is OAuth, an authorization server does. A refusal takes one step more than
//! elsewhere: the server gives its reason as a challenge, and the client takes note of it with a response that counts for nothing.

use super::{Claim, Fault, Mechanism, same};
use crate::lab::{Login, ServerConfig};

/// What separates the fields.
const CONTROL_A: u8 = 1;

/// Why a token is refused, as JSON, the same for every reason (RFC 7628 3.2.2; Google has a form of its own).
pub const fn reason(mechanism: Mechanism) -> &'static str {
    match mechanism {
        Mechanism::OAuthBearer => r#"{"status":"invalid_token","scope":"mail"}"#,
        Mechanism::XOAuth2 | Mechanism::Plain | Mechanism::Login | Mechanism::CramMd5 | Mechanism::ScramSha256 => {
            r#"{"status":"401","schemes":"bearer","scope":"mail"}"#
        }
    }
}

/// Reads name and token; the answer is the mailbox, or the name that was refused.
pub fn check(mechanism: Mechanism, response: &[u8], config: &ServerConfig) -> Result<Result<Login, String>, Fault> {
    let bearer = mechanism == Mechanism::OAuthBearer;
    let fault = if bearer { Fault::OAuthBearer } else { Fault::XOAuth2 };
    let body = response.strip_suffix(&[CONTROL_A, CONTROL_A]).ok_or(fault)?;
    let mut fields = body.split(|octet| *octet == CONTROL_A);
    let first = fields.next().unwrap_or_default();
    let name = if bearer { header_name(first) } else { first.strip_prefix(b"user=") };
    let token = fields.find_map(|field| field.strip_prefix(b"auth=")).and_then(bearer_token);
    let (name, token) = name.zip(token).ok_or(fault)?;
    let claim = match name {
        // The token alone says who it is (RFC 7628 3.1).
        b"" if bearer => holder(token, config),
        b"" => return Err(fault),
        name => Claim::of(name, config),
    };
    let proved = claim.proved(config, |account| same(token, account.token.as_bytes()));
    Ok(proved.ok_or(claim.shown))
}

/// The name in `n,a=NAME,`; empty in `n,,`.
fn header_name(header: &[u8]) -> Option<&[u8]> {
    let rest = header.strip_prefix(b"n,").or_else(|| header.strip_prefix(b"y,"))?.strip_suffix(b",")?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix(b"a=").filter(|name| !name.is_empty()) }
}

/// The token in `Bearer TOKEN`, the word in any case (RFC 9110 11.1).
fn bearer_token(value: &[u8]) -> Option<&[u8]> {
    let (word, token) = value.split_at_checked(7)?;
    word.eq_ignore_ascii_case(b"Bearer ").then_some(token).filter(|token| !token.is_empty())
}

/// The claim of whoever has this token.
fn holder(token: &[u8], config: &ServerConfig) -> Claim {
    let mut holder = None;
    for (login, account) in &config.accounts {
        if same(token, account.token.as_bytes()) {
            holder = Some(login);
        }
    }
    Claim::of(holder.map_or(b"".as_slice(), |login| login.as_str().as_bytes()), config)
}
