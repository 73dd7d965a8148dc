//! What the record may keep of a login: the one place that knows how AUTH, its responses and what is mistyped for them hide
//! passwords.

/// What stands in the record instead of something that may be a password.
pub const SECRET: &str = "***";

/// Mechanisms that people know (RFC 4422 and its registry, and what servers made up). Any other word in that place may be a
/// password that was typed too early.
const KNOWN: [&str; 17] = [
    "PLAIN",
    "LOGIN",
    "CRAM-MD5",
    "CRAM-SHA1",
    "DIGEST-MD5",
    "SCRAM-SHA-1",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-256-PLUS",
    "XOAUTH",
    "XOAUTH2",
    "OAUTHBEARER",
    "EXTERNAL",
    "ANONYMOUS",
    "GSSAPI",
    "KERBEROS_V4",
    "NTLM",
];

/// How many words of an AUTH command's line are surely no password: the verb, and the mechanism if it is one. `argument` is
/// the first word after the verb.
pub fn open_words(argument: Option<&[u8]>) -> usize {
    let known = |word: &[u8]| KNOWN.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(word));
    if argument.is_some_and(known) { 2 } else { 1 }
}

/// What the record keeps of a response line: that it cancelled, or that it was there.
pub fn response(line: &[u8]) -> &'static str {
    if line.trim_ascii_end() == b"*" { "*" } else { SECRET }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::sasl::Mechanism;

    #[test]
    fn only_a_mechanism_is_no_password() {
        assert!(Mechanism::ALL.iter().all(|mechanism| open_words(Some(mechanism.as_str().as_bytes())) == 2));
        assert_eq!((open_words(Some(b"cram-md5")), open_words(Some(b"Usuario1")), open_words(None)), (2, 1, 1));
    }

    #[test]
    fn a_response_is_kept_as_a_star_or_three() {
        assert_eq!([b"*".as_slice(), b"* ", b"**", b"", b"AA=="].map(response), ["*", "*", "***", "***", "***"]);
    }
}
