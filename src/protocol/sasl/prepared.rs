//! Names and passwords in one form (RFC 4013, SASLprep), so that it does not matter whether a keyboard gives `ñ` as one character or
//! as two. RFC 4616 2 and RFC 5802 5.1 ask for it; LOGIN and PASS get the same treatment, or one password would be two.

use std::borrow::Cow;

/// The octets of a name or a password as they are compared and hashed. What SASLprep does not allow, and what is no UTF-8, stays
/// as it is: it is right if it is the same.
pub fn prepared(octets: &[u8]) -> Cow<'_, [u8]> {
    if octets.is_ascii() {
        return octets.into();
    }
    let text = std::str::from_utf8(octets).ok().and_then(|text| stringprep::saslprep(text).ok());
    text.map_or(Cow::Borrowed(octets), |text| text.into_owned().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_are_those_of_rfc_4013() {
        for (text, form) in
            [("I\u{ad}X", "IX"), ("user", "user"), ("USER", "USER"), ("\u{aa}", "a"), ("\u{2168}", "IX")]
        {
            assert_eq!(prepared(text.as_bytes()), form.as_bytes(), "{text}");
        }
        assert_eq!(prepared("contrasen\u{303}a".as_bytes()), "contrase\u{f1}a".as_bytes());
        assert_eq!(prepared("a\u{a0}b".as_bytes()), b"a b".as_slice());
    }

    #[test]
    fn what_may_not_be_stays_as_it_is() {
        for octets in [b"\x07".as_slice(), "\u{627}1".as_bytes(), b"\xff", b""] {
            assert_eq!(prepared(octets), octets);
        }
    }
}
