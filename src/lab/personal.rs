//! What is different for each student: secrets, drawn passwords, texts to send. All are HMAC-SHA-256 (RFC 2104) of a key
//! that only the instructor has, so no student can compute another's, or the own before it was read where it was put.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The lab's key: 32 octets from the system's randomness, in the instructor's state directory.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub [u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Key(…)")
    }
}

/// Letters and digits that cannot be mistaken for each other when typed from a screen.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Characters of a secret: 60 bits.
const SECRET: usize = 12;

/// Characters of a drawn password: 40 bits, and short enough to type by telnet.
const PASSWORD: usize = 8;

/// Characters of a token: 160 bits.
const TOKEN: usize = 32;

/// The width of a line of generated text, without CRLF.
const TEXT_WIDTH: usize = 70;

impl Key {
    fn draw(&self, purpose: &str, group: &str, login: &str, name: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        for part in [purpose, group, login, name] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    /// The student's secret in the injected mail `mail`; `login` is empty for a mail that a group shares.
    pub fn secret(&self, group: &str, login: &str, mail: &str) -> String {
        letters(&self.draw("secret", group, login, mail), SECRET)
    }

    /// The drawn password of the mailbox `user`.
    pub fn password(&self, group: &str, user: &str) -> String {
        letters(&self.draw("password", group, user, ""), PASSWORD)
    }

    /// The token of the mailbox `user`, which mechanisms with OAuth take instead of the password.
    pub fn token(&self, group: &str, user: &str) -> String {
        letters(&self.draw("token", group, user, ""), TOKEN)
    }

    /// The student's text in the injected mail `mail`: lines of words with CRLF ends, exactly `octets` long with
    /// them (at least one line end), with a line that starts with a dot every eight lines (RFC 5321 4.5.2 must be obeyed to send it).
    pub fn text(&self, group: &str, login: &str, mail: &str, octets: u64) -> String {
        let length = usize::try_from(octets).unwrap_or(usize::MAX).max(3);
        let mut text = String::with_capacity(length);
        let mut block = 0_u64;
        let mut pool: Vec<u8> = Vec::new();
        let mut line = 0_usize;
        while text.len() < length {
            let room = length - text.len();
            // A rest too short for a line of its own joins this one, so that the last line ends in CRLF too.
            let width = if room <= TEXT_WIDTH + 4 { room - 2 } else { TEXT_WIDTH };
            for column in 0..width {
                if pool.is_empty() {
                    pool.extend(self.draw("text", group, login, &format!("{mail}/{block}")));
                    block += 1;
                }
                let octet = pool.pop().expect("filled above");
                let dotted = line % 8 == 7 && column == 0;
                let inner = column > 0 && column + 1 < width;
                text.push(if dotted {
                    '.'
                } else if inner && octet.is_multiple_of(6) {
                    ' '
                } else {
                    char::from(ALPHABET[usize::from(octet / 8)])
                });
            }
            text.push_str("\r\n");
            line += 1;
        }
        text
    }
}

fn letters(octets: &[u8; 32], count: usize) -> String {
    octets.iter().take(count).map(|octet| char::from(ALPHABET[usize::from(octet % 32)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_differ_by_student_purpose_and_key() {
        let key = Key([7; 32]);
        let all = [
            key.secret("g01", "ana", "m"),
            key.secret("g01", "ben", "m"),
            key.secret("g02", "ana", "m"),
            key.secret("g01", "ana", "n"),
            key.secret("g01a", "na", "m"),
            Key([8; 32]).secret("g01", "ana", "m"),
        ];
        for (i, a) in all.iter().enumerate() {
            assert_eq!(a.len(), SECRET);
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
        assert_eq!(all[0], key.secret("g01", "ana", "m"));
        assert_eq!(key.token("g01", "ana").len(), TOKEN);
        assert_ne!(key.token("g01", "ana"), key.token("g01", "ben"));
    }

    #[test]
    fn a_text_has_the_length_asked_for_and_ends_in_crlf() {
        let key = Key([7; 32]);
        for octets in [3, 10, 71, 72, 73, 74, 75, 76, 77, 144, 65_536, 70_001] {
            let text = key.text("g01", "ana", "long", octets);
            assert_eq!(text.len() as u64, octets);
            assert!(text.ends_with("\r\n"));
            assert!(text.split("\r\n").all(|line| line.len() <= 80 && !line.contains(['\r', '\n'])));
        }
        assert!(key.text("g01", "ana", "long", 2_000).contains("\r\n."));
    }
}
