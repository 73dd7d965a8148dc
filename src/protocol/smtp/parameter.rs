//! The parameters of MAIL and RCPT (RFC 5321 4.1.2, esmtp-param): SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), AUTH
//! (RFC 4954 5), and those of DSN (RFC 3461 4): RET, ENVID, NOTIFY, ORCPT. One that is not known is refused with 555, one that
//! cannot be read with 501; both are named.

use crate::mail::{
    Body,
    dsn::{Notice, Notify, Original, Ret, from_xtext},
};

/// The most digits of SIZE (RFC 1870 3).
pub const SIZE_DIGITS: usize = 20;

/// The longest ENVID, in octets as written (RFC 3461 4.4).
pub const ENVID: usize = 100;

/// The longest ORCPT, in octets as written (RFC 3461 4.2).
pub const ORCPT: usize = 500;

/// What SIZE, BODY and SMTPUTF8 add to the longest MAIL command, in octets (RFC 1870 3, RFC 6152 2, RFC 6531 3.1).
pub const MAIL_MORE: usize = 26 + 17 + 10;

/// What AUTH adds to that (RFC 4954 3).
pub const MAIL_AUTH_MORE: usize = 500;

/// What RET and ENVID add to that: ` RET=HDRS ENVID=` and the value.
pub const MAIL_DSN_MORE: usize = 16 + ENVID;

/// What NOTIFY and ORCPT add to the longest RCPT command: ` NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=` and the value.
pub const RCPT_DSN_MORE: usize = 36 + ORCPT;

/// A refusal: the key of the reply, and the parameter.
type Refusal<'a> = (&'static str, &'a str);

/// Which extensions with parameters are offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offered {
    /// AUTH.
    pub auth: bool,
    /// DSN.
    pub dsn: bool,
}

/// What MAIL said besides the path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailParameters {
    /// The octets that the message will have; 0 where nothing was said.
    pub size: u64,
    /// What the message may hold.
    pub body: Body,
    /// Whether addresses and header fields may be UTF-8.
    pub utf8: bool,
    /// How much of the message is to come back.
    pub ret: Option<Ret>,
    /// The sender's name for the transaction, decoded.
    pub envid: Option<String>,
}

/// Reads MAIL's parameters.
pub fn mail(text: &str, offered: Offered) -> Result<MailParameters, Refusal<'_>> {
    let mut found = MailParameters::default();
    each(text, |name, value, whole| {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("SIZE") {
            found.size = value.and_then(size).ok_or(("parameter.size", whole))?;
        } else if is("BODY") {
            found.body = value.and_then(body).ok_or(("parameter.body", whole))?;
        } else if is("SMTPUTF8") {
            if value.is_some() {
                return Err(("parameter.smtputf8", whole));
            }
            found.utf8 = true;
        } else if is("AUTH") && offered.auth {
            value.filter(|value| submitter(value)).ok_or(("parameter.auth", whole))?;
        } else if is("RET") && offered.dsn {
            found.ret = Some(value.and_then(ret).ok_or(("parameter.ret", whole))?);
        } else if is("ENVID") && offered.dsn {
            let value = value.filter(|value| (1..=ENVID).contains(&value.len()));
            found.envid = Some(value.and_then(from_xtext).ok_or(("parameter.envid", whole))?);
        } else {
            return Err(("parameter.unknown", whole));
        }
        Ok(())
    })?;
    Ok(found)
}

/// Reads RCPT's parameters. `utf8` says whether an address may go beyond ASCII.
pub fn rcpt(text: &str, offered: Offered, utf8: bool) -> Result<Notice, Refusal<'_>> {
    let mut found = Notice::default();
    each(text, |name, value, whole| {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("NOTIFY") && offered.dsn {
            found.notify = value.and_then(notify).ok_or(("parameter.notify", whole))?;
        } else if is("ORCPT") && offered.dsn {
            found.original = Some(value.and_then(|value| original(value, utf8)).ok_or(("parameter.orcpt", whole))?);
        } else {
            return Err(("parameter.unknown", whole));
        }
        Ok(())
    })?;
    Ok(found)
}

/// Calls `read` with the name, the value and the whole of each parameter; none may come twice.
fn each<'a>(
    text: &'a str,
    mut read: impl FnMut(&'a str, Option<&'a str>, &'a str) -> Result<(), Refusal<'a>>,
) -> Result<(), Refusal<'a>> {
    let mut seen: Vec<&str> = Vec::new();
    for parameter in text.split_ascii_whitespace() {
        let (name, value) = parameter.split_once('=').map_or((parameter, None), |(name, value)| (name, Some(value)));
        if seen.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            return Err(("parameter.twice", parameter));
        }
        seen.push(name);
        read(name, value, parameter)?;
    }
    Ok(())
}

/// A number of octets; one beyond what can be counted is only too large.
pub fn size(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= SIZE_DIGITS && text.bytes().all(|octet| octet.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

fn body(text: &str) -> Option<Body> {
    let all = [("7BIT", Body::SevenBit), ("8BITMIME", Body::EightBit)];
    all.into_iter().find_map(|(name, body)| name.eq_ignore_ascii_case(text).then_some(body))
}

fn ret(text: &str) -> Option<Ret> {
    [Ret::Full, Ret::Hdrs].into_iter().find(|ret| ret.as_str().eq_ignore_ascii_case(text))
}

/// Whether this names who submitted the message: an address as xtext, or `<>` for nobody that the client vouches for.
fn submitter(text: &str) -> bool {
    text == "<>" || !text.is_empty() && from_xtext(text).is_some()
}

/// `NEVER` alone, or any of the others once (RFC 3461 4.1).
fn notify(text: &str) -> Option<Notify> {
    if text.eq_ignore_ascii_case("NEVER") {
        return Some(Notify::Never);
    }
    let (mut success, mut failure, mut delay) = (false, false, false);
    for word in text.split(',') {
        let said = match word.to_ascii_uppercase().as_str() {
            "SUCCESS" => &mut success,
            "FAILURE" => &mut failure,
            "DELAY" => &mut delay,
            _ => return None,
        };
        if std::mem::replace(said, true) {
            return None;
        }
    }
    Some(Notify::On { success, failure, delay })
}

/// `rfc822;address` with the address as xtext (RFC 3461 4.2), or `utf-8;address` as it is where that may come (RFC 6533 3).
fn original(text: &str, utf8: bool) -> Option<Original> {
    let (kind, address) = text.split_once(';').filter(|_| text.len() <= ORCPT)?;
    let kind_is_atom = !kind.is_empty() && kind.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    let beyond_ascii = utf8 && kind.eq_ignore_ascii_case("utf-8") && !address.is_ascii();
    let decoded = if beyond_ascii { Some(address.to_owned()) } else { from_xtext(address) };
    let address =
        decoded.filter(|address| kind_is_atom && !address.is_empty() && !address.contains(char::is_control))?;
    Some(Original { kind: kind.to_ascii_lowercase(), address })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Offered = Offered { auth: true, dsn: true };

    #[test]
    fn known_parameters_are_read_in_any_case() {
        let found = mail("size=100 BODY=8bitmime smtputf8 auth=<> ret=hdrs ENVID=a+2Bb", ALL).unwrap();
        let expected = MailParameters {
            size: 100,
            body: Body::EightBit,
            utf8: true,
            ret: Some(Ret::Hdrs),
            envid: Some("a+b".to_owned()),
        };
        assert_eq!(found, expected);
        assert_eq!(mail("", Offered::default()), Ok(MailParameters::default()));
        assert!(mail("AUTH=ana+40g1.lab", ALL).is_ok());
        let found = rcpt("notify=Delay,SUCCESS orcpt=RFC822;ana+2Bx@g1.lab", ALL, false).unwrap();
        assert_eq!(found.notify, Notify::On { success: true, failure: false, delay: true });
        assert_eq!(found.original, Some(Original { kind: "rfc822".into(), address: "ana+x@g1.lab".into() }));
        assert_eq!(rcpt("NOTIFY=NEVER", ALL, false).unwrap().notify, Notify::Never);
        assert_eq!(rcpt("ORCPT=utf-8;ñ@g1.lab", ALL, true).unwrap().original.unwrap().address, "ñ@g1.lab");
    }

    #[test]
    fn bad_parameters_are_named() {
        for (text, key) in [
            ("SIZE", "parameter.size"),
            ("SIZE=", "parameter.size"),
            ("SIZE=-1", "parameter.size"),
            ("SIZE=1 SIZE=2", "parameter.twice"),
            ("BODY=BINARYMIME", "parameter.body"),
            ("BODY", "parameter.body"),
            ("SMTPUTF8=yes", "parameter.smtputf8"),
            ("AUTH=", "parameter.auth"),
            ("AUTH=a=b", "parameter.auth"),
            ("RET=BOTH", "parameter.ret"),
            ("RET", "parameter.ret"),
            ("ENVID=", "parameter.envid"),
            ("ENVID=+0A", "parameter.envid"),
            ("NOTIFY=NEVER", "parameter.unknown"),
            ("X=Y", "parameter.unknown"),
        ] {
            assert_eq!(mail(text, ALL).map_err(|(key, _)| key), Err(key), "{text}");
        }
        for (text, key) in [
            ("NOTIFY", "parameter.notify"),
            ("NOTIFY=", "parameter.notify"),
            ("NOTIFY=NEVER,DELAY", "parameter.notify"),
            ("NOTIFY=DELAY,DELAY", "parameter.notify"),
            ("ORCPT=ana@g1.lab", "parameter.orcpt"),
            ("ORCPT=rfc822;", "parameter.orcpt"),
            ("ORCPT=;ana", "parameter.orcpt"),
            ("ORCPT=rfc822;a=b", "parameter.orcpt"),
            ("ORCPT=utf-8;ñ", "parameter.orcpt"),
            ("SIZE=1", "parameter.unknown"),
        ] {
            assert_eq!(rcpt(text, ALL, false), Err((key, text)), "{text}");
        }
    }

    #[test]
    fn what_is_not_offered_is_not_known() {
        for text in ["AUTH=<>", "RET=FULL", "ENVID=x"] {
            assert_eq!(mail(text, Offered::default()), Err(("parameter.unknown", text)));
        }
        assert_eq!(rcpt("NOTIFY=NEVER", Offered::default(), false), Err(("parameter.unknown", "NOTIFY=NEVER")));
    }

    #[test]
    fn values_are_limited_on_both_sides() {
        let size = |digits| mail(&format!("SIZE={}", "9".repeat(digits)), ALL).is_ok();
        assert_eq!([size(SIZE_DIGITS), size(SIZE_DIGITS + 1)], [true, false]);
        let envid = |octets| mail(&format!("ENVID={}", "x".repeat(octets)), ALL).is_ok();
        assert_eq!([envid(ENVID), envid(ENVID + 1)], [true, false]);
        let orcpt = |octets: usize| rcpt(&format!("ORCPT=rfc822;{}", "x".repeat(octets - 7)), ALL, false).is_ok();
        assert_eq!([orcpt(ORCPT), orcpt(ORCPT + 1)], [true, false]);
        assert_eq!(" RET=HDRS ENVID=".len() + ENVID, MAIL_DSN_MORE);
        assert_eq!(" NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=".len() + ORCPT, RCPT_DSN_MORE);
    }
}
