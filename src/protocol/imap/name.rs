//! Folder names on the wire: modified UTF-7 (RFC 3501 5.1.3) until IMAP4rev2 is enabled, UTF-8 after that (RFC 9051 5.1); and
//! the patterns of LIST (RFC 9051 6.3.9).

use std::borrow::Cow;

use crate::mail::{folder::DELIMITER, utf7};

/// The longest pattern of LIST, in octets.
pub const MAX_PATTERN: usize = 1_024;

/// How a client writes names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// Modified UTF-7; a name that is UTF-8 already is taken as such, because many programs send it.
    Utf7,
    /// UTF-8.
    Utf8,
}

/// A name from the wire; none where it cannot be read.
pub fn decoded(name: &[u8], charset: Charset) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(name).ok()?;
    match charset {
        Charset::Utf7 => utf7::decoded(text),
        Charset::Utf8 => Some(text.into()),
    }
}

/// A name for the wire.
pub fn encoded(name: &str, charset: Charset) -> Cow<'_, str> {
    match charset {
        Charset::Utf7 => utf7::encoded(name),
        Charset::Utf8 => name.into(),
    }
}

/// Whether a name fits a pattern: `*` stands for anything, `%` for anything within one level. INBOX has no case.
pub fn fits(name: &str, pattern: &str) -> bool {
    let inbox = name == "INBOX" && !pattern.contains(DELIMITER);
    let (name, pattern) = (name.as_bytes(), pattern.as_bytes());
    let same = |one: u8, other: u8| if inbox { one.eq_ignore_ascii_case(&other) } else { one == other };
    // Which lengths of the name the pattern so far can have eaten: the time is bounded by both lengths, whatever the pattern.
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for letter in pattern {
        match letter {
            b'*' | b'%' => {
                for at in 0..name.len() {
                    let eats = *letter == b'*' || name[at] != b'/';
                    reached[at + 1] |= reached[at] && eats;
                }
            }
            letter => {
                for at in (0..name.len()).rev() {
                    reached[at + 1] = reached[at] && same(name[at], *letter);
                }
                reached[0] = false;
            }
        }
    }
    reached[name.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn modified_utf7_is_that_of_rfc_3501() {
        for (text, wire) in [
            ("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
            ("Borradores & más", "Borradores &- m&AOE-s"),
            ("😀", "&2D3eAA-"),
            ("plain", "plain"),
        ] {
            assert_eq!(encoded(text, Charset::Utf7), wire);
            assert_eq!(decoded(wire.as_bytes(), Charset::Utf7).as_deref(), Some(text));
        }
        for wrong in ["a&b", "&A-", "&AAA-x&", "&2D0-"] {
            assert_eq!(decoded(wrong.as_bytes(), Charset::Utf7), None, "{wrong}");
        }
        assert_eq!(decoded("más".as_bytes(), Charset::Utf7).as_deref(), Some("más"));
        assert_eq!(decoded(b"a&b", Charset::Utf8).as_deref(), Some("a&b"));
        assert_eq!(decoded(b"\xff", Charset::Utf8), None);
    }

    #[test]
    fn patterns_match_as_in_rfc_9051() {
        for (name, pattern, does) in [
            ("INBOX", "*", true),
            ("INBOX", "inb%", true),
            ("a/b", "%", false),
            ("a/b", "*", true),
            ("a/b", "a/%", true),
            ("a/b/c", "a/%", false),
            ("a/b/c", "%/%/%", true),
            ("a/b/c", "*c", true),
            ("Sent", "sent", false),
            ("Sent", "", false),
        ] {
            assert_eq!(fits(name, pattern), does, "{name} {pattern}");
        }
    }

    #[test]
    fn a_pattern_of_stars_takes_no_longer_than_its_length() {
        assert!(!fits(&"a".repeat(255), &format!("{}b", "*a".repeat(MAX_PATTERN / 2))));
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in "\\PC{0,20}") {
            let wire = encoded(&name, Charset::Utf7).into_owned();
            prop_assert!(wire.is_ascii());
            let back = decoded(wire.as_bytes(), Charset::Utf7);
            prop_assert_eq!(back.as_deref(), Some(name.as_str()));
        }
    }
}
