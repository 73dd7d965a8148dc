//! The parameters of MAIL and RCPT (RFC 5321 4.1.2, esmtp-param): SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531),
//! AUTH (RFC 4954 5). RCPT has none yet.

/// The most digits of SIZE (RFC 1870 3).
pub const SIZE_DIGITS: usize = 20;

/// What MAIL said besides the path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailParameters {
    /// The octets that the message will have; 0 where nothing was said.
    pub size: u64,
    /// Whether addresses and header fields may be UTF-8.
    pub utf8: bool,
}

/// Reads MAIL's parameters; an error is the key of the reply and the parameter.
pub fn mail(text: &str, offers_auth: bool) -> Result<MailParameters, (&'static str, &str)> {
    let mut found = MailParameters::default();
    let mut seen: Vec<&str> = Vec::new();
    for parameter in text.split_ascii_whitespace() {
        let (name, value) = parameter.split_once('=').map_or((parameter, None), |(name, value)| (name, Some(value)));
        if seen.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            return Err(("parameter.twice", parameter));
        }
        seen.push(name);
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("SIZE") {
            found.size = value.and_then(size).ok_or(("parameter.size", parameter))?;
        } else if is("BODY") {
            let known = |value: &str| ["7BIT", "8BITMIME"].iter().any(|body| body.eq_ignore_ascii_case(value));
            value.filter(|value| known(value)).ok_or(("parameter.body", parameter))?;
        } else if is("SMTPUTF8") {
            if value.is_some() {
                return Err(("parameter.smtputf8", parameter));
            }
            found.utf8 = true;
        } else if !(is("AUTH") && offers_auth && value.is_some()) {
            return Err(("parameter.unknown", parameter));
        }
    }
    Ok(found)
}

/// Reads RCPT's parameters: none is known.
pub fn rcpt(text: &str) -> Result<(), (&'static str, &str)> {
    text.split_ascii_whitespace().next().map_or(Ok(()), |parameter| Err(("parameter.unknown", parameter)))
}

/// A number of octets; one beyond what can be counted is only too large.
fn size(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= SIZE_DIGITS && text.bytes().all(|octet| octet.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_parameters_are_read_in_any_case() {
        let all = mail("size=100 BODY=8bitmime smtputf8", false);
        assert_eq!(all, Ok(MailParameters { size: 100, utf8: true }));
        assert_eq!(mail("", false), Ok(MailParameters::default()));
        assert!(mail("AUTH=<>", true).is_ok());
    }

    #[test]
    fn bad_parameters_are_named() {
        for (text, key) in [
            ("SIZE", "parameter.size"),
            ("SIZE=", "parameter.size"),
            ("SIZE=-1", "parameter.size"),
            ("SIZE=1 SIZE=2", "parameter.twice"),
            ("BODY=BINARYMIME", "parameter.body"),
            ("SMTPUTF8=yes", "parameter.smtputf8"),
            ("RET=FULL", "parameter.unknown"),
            ("AUTH=<>", "parameter.unknown"),
        ] {
            assert_eq!(mail(text, false).map_err(|(key, _)| key), Err(key), "{text}");
        }
        assert_eq!(rcpt("NOTIFY=NEVER"), Err(("parameter.unknown", "NOTIFY=NEVER")));
    }

    #[test]
    fn size_is_limited_on_both_sides() {
        assert!(mail(&format!("SIZE={}", "9".repeat(SIZE_DIGITS)), false).is_ok());
        assert!(mail(&format!("SIZE={}", "9".repeat(SIZE_DIGITS + 1)), false).is_err());
    }
}
