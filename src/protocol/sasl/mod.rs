//! SASL (RFC 4422) as one exchange for all protocols, without I/O: what a client proves its name with in AUTH of SMTP
//! (RFC 4954) and POP3 (RFC 5034) and in AUTHENTICATE of IMAP (RFC 9051 6.2.2). Here: the mechanisms by name and the exchange
//! that base64, `*` and the initial response go through; each mechanism's own message is in a file of its own, who may open
//! which mailbox in `account`, what the record may keep in `mask`. No reply text of a protocol is here, but [`Fault::hint`]
//! explains in the same words in all three what was wrong with a response.
//!
//! ```text
//!  AUTH X [initial] ─ Exchange::begin ─┬─▶ Step::Challenge(text, exchange) ─ `334 text`, `+ text` ─▶ a line ─ respond ─┐
//!                                      │       ▲                                                                       │
//!                                      │       └───────────────────────────────────────────────────────────────────────┤
//!                                      └─▶ Proved(mailbox) │ Refused { name } │ Cancelled │ Fault ◀────────────────────┘
//! ```
//!
//! How a session uses it, for example IMAP's `a1 AUTHENTICATE PLAIN [initial]`:
//! 1. [`Mechanism::named`] reads the name; one that the server does not offer is refused by the session.
//! 2. [`Exchange::begin`] takes the initial response if there is one, as it stands on the line (`=` is an empty one: SASL-IR,
//!    RFC 4959 3, has the same form), and the number of this attempt in the connection, so that no challenge comes twice.
//! 3. [`Step::Challenge`]: the session sends the text, which is base64 already, as `+ text` with CRLF, keeps the exchange, reads
//!    a line of at most [`RESPONSE`] octets and gives it to [`Exchange::respond`] without its line end.
//! 4. The end is one of the other steps. `Proved` opens the mailbox (`OK`), `Refused` is one answer for a name that nobody has
//!    and a password that is wrong (`NO [AUTHENTICATIONFAILED]`, event `LoginFailed`), `Cancelled` and `Fault` are `BAD`.
//! 5. The record keeps [`mask::response`] of each response line, and of the command [`mask::open_words`].
//!
//! LOGIN of IMAP, like PASS of POP3, needs no exchange: [`Claim::of`] and [`Claim::with_password`]. After any of them
//! [`learnt`] says whether the session now knows which student it is.

pub mod account;
mod cram;
mod fault;
pub mod mask;
mod oauth;
mod plain;
mod prepared;
mod scram;
#[cfg(test)]
mod tests;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::{
    lab::{Login, ServerConfig},
    protocol::{Now, Peer},
};

pub use self::{
    account::{Claim, learnt, same},
    fault::Fault,
    prepared::prepared,
};

/// The longest command with an initial response, and the longest response, in octets with CRLF (RFC 4954 4).
pub const RESPONSE: usize = 12_288;

/// A way to prove a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mechanism {
    /// RFC 4616: name and password in one message.
    Plain,
    /// draft-murchison-sasl-login: name and password in two.
    Login,
    /// RFC 2195: a digest of the password and a challenge.
    CramMd5,
    /// RFC 5802 and RFC 7677: as that, and the server proves that it knows the password too.
    ScramSha256,
    /// Google's form of an OAuth token; here the token is the lab's.
    XOAuth2,
    /// RFC 7628: the same as a standard.
    OAuthBearer,
}

impl Mechanism {
    /// Every mechanism, the safest last.
    pub const ALL: [Self; 6] =
        [Self::Plain, Self::Login, Self::XOAuth2, Self::OAuthBearer, Self::CramMd5, Self::ScramSha256];

    /// Its name in the registry, as events have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::XOAuth2 => "XOAUTH2",
            Self::OAuthBearer => "OAUTHBEARER",
        }
    }

    /// The mechanism of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.as_str().eq_ignore_ascii_case(name))
    }
}

/// An exchange that waits for the client's response.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    wants: Wants,
}

/// What an exchange waits for.
#[derive(Debug)]
enum Wants {
    /// PLAIN: everything.
    Plain,
    /// LOGIN: the name.
    Name,
    /// LOGIN: the password for this claim.
    Password(Claim),
    /// CRAM-MD5: the digest of this challenge.
    Digest(String),
    /// SCRAM: the client's first message; the server's part of the nonce is this.
    First(String),
    /// SCRAM: the client's proof.
    Proof(scram::Opened),
    /// SCRAM: the empty response that takes note of the server's own proof; then the mailbox is open.
    Consent(Login),
    /// XOAUTH2 or OAUTHBEARER: everything.
    Token,
    /// The same, refused: whatever the client says to the reason, the exchange has failed for this name.
    Regret(String),
}

/// What follows from what the client said.
#[derive(Debug)]
pub enum Step {
    /// Send this challenge, which is base64 already and may be empty; the next line is for the exchange.
    Challenge(String, Exchange),
    /// The client has proved that this mailbox is its own.
    Proved(Login),
    /// The proof is wrong, or nobody has the name; which of them it was stays untold.
    Refused {
        /// The name that was tried, fit to be kept.
        name: String,
    },
    /// The client gave up with `*`.
    Cancelled,
    /// The response could not be read.
    Fault(Fault),
}

impl Exchange {
    /// Begins an exchange. `initial` is the initial response as it stands on the command's line; `attempt` counts the exchanges
    /// of this connection.
    pub fn begin(mechanism: Mechanism, initial: Option<&[u8]>, peer: &Peer, attempt: u64, now: Now) -> Step {
        let nonce = nonce(peer, attempt, now);
        let (wants, challenge) = match mechanism {
            Mechanism::Plain => (Wants::Plain, String::new()),
            Mechanism::Login => (Wants::Name, plain::USERNAME.to_owned()),
            Mechanism::ScramSha256 => (Wants::First(nonce), String::new()),
            Mechanism::XOAuth2 | Mechanism::OAuthBearer => (Wants::Token, String::new()),
            Mechanism::CramMd5 => {
                let challenge = cram::challenge(&nonce, &peer.config.host, now);
                (Wants::Digest(challenge.clone()), challenge)
            }
        };
        let exchange = Self { mechanism, wants };
        match initial {
            None => exchange.challenge(&challenge),
            // The server speaks first in this one (RFC 4954 4).
            Some(_) if mechanism == Mechanism::CramMd5 => Step::Fault(Fault::Initial),
            Some(b"=") => exchange.answer(b"", &peer.config),
            Some(initial) => exchange.decode(initial, &peer.config),
        }
    }

    /// The mechanism, for the event.
    pub const fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Takes a response line without its line end. Blanks at its end are put up with.
    pub fn respond(self, line: &[u8], config: &ServerConfig) -> Step {
        match line.trim_ascii_end() {
            _ if matches!(self.wants, Wants::Regret(_)) => self.answer(b"", config),
            b"*" => Step::Cancelled,
            line if line.contains(&0) => Step::Fault(Fault::Nul),
            // Nobody has an empty name or password; two line ends are easily sent.
            b"" if matches!(self.wants, Wants::Name | Wants::Password(_)) => Step::Fault(Fault::Empty),
            line => self.decode(line, config),
        }
    }

    fn decode(self, line: &[u8], config: &ServerConfig) -> Step {
        match decoded(line) {
            // No name, password or token ends in a line end, but what `echo` gives to base64 does.
            Ok(response) if response.ends_with(b"\n") => Step::Fault(Fault::LineEnd),
            Ok(response) => self.answer(&response, config),
            Err(fault) => Step::Fault(fault),
        }
    }

    fn answer(self, response: &[u8], config: &ServerConfig) -> Step {
        let mechanism = self.mechanism;
        let then = |wants, challenge: &str| Self { mechanism, wants }.challenge(challenge);
        match self.wants {
            Wants::Plain => plain::check(response, config),
            Wants::Name => then(Wants::Password(Claim::of(response, config)), plain::PASSWORD),
            Wants::Password(claim) => verdict(claim.with_password(response, config), claim.shown),
            Wants::Digest(challenge) => cram::check(response, &challenge, config),
            Wants::First(nonce) => match scram::Opened::read(response, &nonce, config) {
                Ok((opened, challenge)) => then(Wants::Proof(opened), &challenge),
                Err(fault) => Step::Fault(fault),
            },
            Wants::Proof(opened) => match opened.check(response, config) {
                Ok(Ok((login, challenge))) => then(Wants::Consent(login), &challenge),
                Ok(Err(name)) => Step::Refused { name },
                Err(fault) => Step::Fault(fault),
            },
            Wants::Consent(login) if response.is_empty() => Step::Proved(login),
            Wants::Consent(_) => Step::Fault(Fault::Superfluous),
            Wants::Token => match oauth::check(mechanism, response, config) {
                Ok(Ok(login)) => Step::Proved(login),
                Ok(Err(name)) => then(Wants::Regret(name), oauth::reason(mechanism)),
                Err(fault) => Step::Fault(fault),
            },
            Wants::Regret(name) => Step::Refused { name },
        }
    }

    fn challenge(self, text: &str) -> Step {
        Step::Challenge(STANDARD.encode(text), self)
    }
}

fn verdict(login: Option<Login>, name: String) -> Step {
    login.map_or(Step::Refused { name }, Step::Proved)
}

/// What base64 stands for.
fn decoded(line: &[u8]) -> Result<Vec<u8>, Fault> {
    STANDARD.decode(line).map_err(|_| {
        // Right but for its last group, or never base64 at all?
        let end = line.iter().rposition(|octet| *octet != b'=').map_or(0, |last| last + 1);
        let letters = line[..end].iter().all(|octet| octet.is_ascii_alphanumeric() || b"+/".contains(octet));
        let wanted = match end % 4 {
            0 => Some(0),
            1 => None,
            rest => Some(4 - rest),
        };
        let filled_up = wanted.is_none_or(|wanted| line.len() - end == wanted);
        if letters && end > 0 && !filled_up { Fault::Padding } else { Fault::Base64 }
    })
}

/// The server's part of what must never come twice, in letters that base64 has and SCRAM and message ids allow.
fn nonce(peer: &Peer, attempt: u64, now: Now) -> String {
    let hash = Sha256::new()
        .chain_update(b"sasl")
        .chain_update(peer.seed.to_be_bytes())
        .chain_update(attempt.to_be_bytes())
        .chain_update(now.micros.to_be_bytes())
        .finalize();
    // 18 octets are 24 letters without padding.
    STANDARD.encode(&hash[..18])
}
