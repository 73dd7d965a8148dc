//! SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding: neither side says the password, and the server proves that it
//! knows it. For a name that nobody has the exchange goes the same way to its end and fails there.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::{Claim, Fault, prepared, same};
use crate::lab::{Login, ServerConfig};

/// How often the password is hashed: the least that RFC 7677 4 allows, since every login of a class pays for it.
pub const ITERATIONS: u32 = 4_096;

/// Octets of a salt.
const SALT: usize = 16;

/// The longest nonce of a client's, in octets: the challenge repeats it.
pub const NONCE: usize = 256;

/// A mailbox with the server's own proof; or the name that was refused.
type Verdict = Result<(Login, String), String>;

/// An exchange after the client's first message.
#[derive(Debug)]
pub struct Opened {
    claim: Claim,
    /// Whether the client may be who it wants to act for.
    itself: bool,
    /// The header of the first message, which the last one repeats in base64.
    header: String,
    /// The client's nonce and ours.
    nonce: String,
    salt: Vec<u8>,
    /// The first message without header, and our answer to it: the beginning of what both sides sign.
    said: String,
}

impl Opened {
    /// Reads `n,[a=authzid],n=name,r=nonce` and says what to challenge with (RFC 5802 7).
    pub fn read(message: &[u8], nonce: &str, config: &ServerConfig) -> Result<(Self, String), Fault> {
        let text = std::str::from_utf8(message).map_err(|_| Fault::ScramFirst)?;
        let (flag, rest) = text.split_once(',').ok_or(Fault::ScramFirst)?;
        let (other, bare) = rest.split_once(',').ok_or(Fault::ScramFirst)?;
        // `y`: the client could bind channels and thinks that we cannot; it is right.
        match flag {
            "n" | "y" => {}
            _ if flag.starts_with("p=") => return Err(Fault::ScramBinding),
            _ => return Err(Fault::ScramFirst),
        }
        let mut attributes = bare.split(',');
        let first = attributes.next().unwrap_or_default();
        if first.starts_with("m=") {
            return Err(Fault::ScramBinding);
        }
        let name = first.strip_prefix("n=").and_then(unescaped).ok_or(Fault::ScramFirst)?;
        let theirs = attributes.next().and_then(|text| text.strip_prefix("r=")).ok_or(Fault::ScramFirst)?;
        let printable = (1..=NONCE).contains(&theirs.len()) && theirs.bytes().all(|octet| octet.is_ascii_graphic());
        let other = match other {
            "" => Some(String::new()),
            _ => other.strip_prefix("a=").and_then(unescaped),
        };
        let other = other.filter(|_| printable && !name.is_empty()).ok_or(Fault::ScramFirst)?;
        let claim = Claim::of(name.as_bytes(), config);
        let salt = salt(&claim.shown, config);
        let opened = Self {
            itself: claim.may_act_for(other.as_bytes(), config),
            header: text[..text.len() - bare.len()].to_owned(),
            nonce: format!("{theirs}{nonce}"),
            said: bare.to_owned(),
            claim,
            salt,
        };
        Ok(opened.answered())
    }

    /// The challenge `r=nonce,s=salt,i=iterations`, which is part of what both sides sign.
    fn answered(mut self) -> (Self, String) {
        let challenge = format!("r={},s={},i={ITERATIONS}", self.nonce, STANDARD.encode(&self.salt));
        self.said = format!("{},{challenge}", self.said);
        (self, challenge)
    }

    /// Reads `c=header,r=nonce,p=proof`; the answer is the mailbox and the server's own proof.
    pub fn check(self, message: &[u8], config: &ServerConfig) -> Result<Verdict, Fault> {
        let text = std::str::from_utf8(message).map_err(|_| Fault::ScramFinal)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Fault::ScramFinal)?;
        let proof = STANDARD.decode(proof).map_err(|_| Fault::ScramFinal)?;
        let mut attributes = without_proof.split(',');
        let header = attributes.next().and_then(|text| text.strip_prefix("c=")).ok_or(Fault::ScramFinal)?;
        let nonce = attributes.next().and_then(|text| text.strip_prefix("r=")).ok_or(Fault::ScramFinal)?;
        if STANDARD.decode(header).map_err(|_| Fault::ScramFinal)? != self.header.as_bytes() || nonce != self.nonce {
            return Err(Fault::ScramNonce);
        }
        let signed = format!("{},{without_proof}", self.said);
        let keys = |password: &str| Keys::of(password, &self.salt, &signed);
        let proved = self.claim.proved(config, |account| same(&keys(&account.password).proof, &proof));
        let Some(login) = proved.filter(|_| self.itself) else { return Ok(Err(self.claim.shown)) };
        let ours = keys(&config.accounts[&login].password).signature;
        Ok(Ok((login, format!("v={}", STANDARD.encode(ours)))))
    }
}

/// What follows from a password (RFC 5802 3).
struct Keys {
    /// What the client has to send.
    proof: [u8; 32],
    /// What the server sends back.
    signature: [u8; 32],
}

impl Keys {
    fn of(password: &str, salt: &[u8], signed: &str) -> Self {
        let salted = salted(&prepared(password.as_bytes()), salt);
        let client = hmac(&salted, b"Client Key");
        let stored: [u8; 32] = Sha256::digest(client).into();
        let mut proof = hmac(&stored, signed.as_bytes());
        proof.iter_mut().zip(client).for_each(|(octet, key)| *octet ^= key);
        Self { proof, signature: hmac(&hmac(&salted, b"Server Key"), signed.as_bytes()) }
    }
}

/// `Hi`: PBKDF2 with one block (RFC 5802 2.2).
fn salted(password: &[u8], salt: &[u8]) -> [u8; 32] {
    let keyed = Hmac::<Sha256>::new_from_slice(password).expect("HMAC takes a key of any length");
    let mut block: [u8; 32] =
        keyed.clone().chain_update(salt).chain_update([0, 0, 0, 1]).finalize().into_bytes().into();
    let mut all = block;
    for _ in 1..ITERATIONS {
        block = keyed.clone().chain_update(block).finalize().into_bytes().into();
        all.iter_mut().zip(block).for_each(|(sum, octet)| *sum ^= octet);
    }
    all
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.chain_update(text).finalize().into_bytes().into()
}

/// The same for the same name in every exchange, so that a client may keep what it has hashed; made from the name alone, so
/// that it does not tell which names there are.
fn salt(name: &str, config: &ServerConfig) -> Vec<u8> {
    let hash = Sha256::new()
        .chain_update(b"scram salt\0")
        .chain_update(config.lab.as_str())
        .chain_update([0])
        .chain_update(config.domain.as_str())
        .chain_update([0])
        .chain_update(name.to_ascii_lowercase())
        .finalize();
    hash[..SALT].to_vec()
}

/// A name with `=2C` for a comma and `=3D` for `=` (RFC 5802 5.1).
fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (letter, rest) = match part.split_at_checked(2)? {
            ("2C", rest) => (',', rest),
            ("3D", rest) => ('=', rest),
            (_, _) => return None,
        };
        name.push(letter);
        name.push_str(rest);
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677 3.
    #[test]
    fn the_proofs_are_those_of_rfc_7677() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let signed = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
                      r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
                      c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let keys = Keys::of("pencil", &salt, signed);
        assert_eq!(STANDARD.encode(keys.proof), "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        assert_eq!(STANDARD.encode(keys.signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn a_password_is_the_same_however_it_is_typed() {
        let keys = |password: &str| (Keys::of(password, b"salt", "").proof, Keys::of(password, b"salt", "").signature);
        assert_eq!(keys("contrase\u{f1}a"), keys("contrasen\u{303}a"));
        assert_ne!(keys("contrase\u{f1}a"), keys("contrasena"));
    }

    #[test]
    fn names_are_unescaped() {
        assert_eq!(unescaped("a=2Cb=3Dc").as_deref(), Some("a,b=c"));
        assert_eq!(unescaped("ana").as_deref(), Some("ana"));
        for broken in ["a=", "a=2", "a=2c", "=ñ"] {
            assert_eq!(unescaped(broken), None, "{broken}");
        }
    }
}
