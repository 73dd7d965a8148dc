//! Which record it is and how far it goes: the identity of a store, the hash of its chain, and where a branch began.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::Seq;

/// The identity of a store: 128 random bits, drawn when the store is made. A store that goes on from a copy of another one
/// has an identity of its own and names its [`Parent`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity(pub [u8; 16]);

/// The SHA-256 of a record up to and with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainHash(pub [u8; 32]);

/// The record that a store goes on from: up to and with this event both are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Whose record it was.
    pub identity: Identity,
    /// The last event that both have.
    pub seq: Seq,
    /// The chain's hash there.
    pub hash: ChainHash,
}

impl ChainHash {
    /// The hash before the first event.
    pub const START: Self = Self([0; 32]);
}

/// Writes octets in lower-case hexadecimal.
fn write_hex(octets: &[u8], out: &mut fmt::Formatter<'_>) -> fmt::Result {
    octets.iter().try_for_each(|octet| write!(out, "{octet:02x}"))
}

/// Octets from hexadecimal in lower case, exactly as many.
fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |octet: u8| match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'a'..=b'f' => Some(octet - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let octets: Option<Vec<u8>> = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { octets?.try_into().ok() } else { None }
}

macro_rules! hexadecimal {
    ($name:ident, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, out)
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                read_hex(text).map(Self).ok_or_else(|| format!("`{text}` is no {}", $what))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
            }
        }
    };
}

hexadecimal!(Identity, "identity of a store: 32 hexadecimal digits");
hexadecimal!(ChainHash, "hash of a record: 64 hexadecimal digits");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_its_digits() {
        let text = "000102030405060708090a0b0c0d0eff";
        let identity: Identity = text.parse().unwrap();
        assert_eq!(identity.to_string(), text);
        assert_eq!(serde_json::to_string(&identity).unwrap(), format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Identity>(&format!("\"{text}\"")).unwrap(), identity);
        for wrong in [&text[1..], &text[2..], "000102030405060708090A0B0C0D0EFF", ""] {
            assert!(wrong.parse::<Identity>().is_err(), "{wrong}");
        }
    }
}
