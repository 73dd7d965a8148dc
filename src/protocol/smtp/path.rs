//! Paths: the addresses in MAIL and RCPT (RFC 5321 4.1.2, 4.1.3; RFC 6531 3.3 for addresses beyond ASCII), with the
//! lenient forms that students' first programs send. Whom an address belongs to is `route`'s business.

use std::{borrow::Cow, net::IpAddr};

use crate::{
    lab::Leniency,
    names::{MAX_DOMAIN, MAX_LABEL},
};

/// The longest local part, in octets (RFC 5321 4.5.3.1.1).
pub const MAX_LOCAL_PART: usize = 64;

/// The longest path, in octets, with its brackets (RFC 5321 4.5.3.1.3).
pub const MAX_PATH: usize = 256;

/// A path with what stands after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path<'a> {
    /// As written, with brackets if it had them.
    pub written: &'a str,
    /// Without brackets and source route; empty for the null path.
    pub address: &'a str,
    /// The mailbox; none for the null path.
    pub mailbox: Option<Mailbox<'a>>,
    /// The parameters after it.
    pub parameters: &'a str,
}

/// A mailbox: local part and domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox<'a> {
    /// The local part, unquoted.
    pub local: Cow<'a, str>,
    /// Where; none for a local part alone.
    pub domain: Option<Host<'a>>,
}

/// The part after the `@`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host<'a> {
    /// A domain, as written.
    Name(&'a str),
    /// An address literal.
    Address(IpAddr),
}

/// What is wrong with a path, and the path as far as it goes, for the reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault<'a> {
    /// The key of the reply.
    pub key: &'static str,
    /// The address that was probably meant.
    pub address: &'a str,
}

impl<'a> Path<'a> {
    /// Reads what follows `FROM:` or `TO:`.
    pub fn parse(text: &'a str, leniency: Leniency) -> Result<Self, Fault<'a>> {
        let trimmed = text.trim_start_matches([' ', '\t']);
        let bracketed = trimmed.starts_with('<');
        let end = end_of_path(trimmed, bracketed);
        let (written, rest) = trimmed.split_at(end.unwrap_or(trimmed.len()));
        let inner = if bracketed { written[1..].strip_suffix('>').unwrap_or(&written[1..]) } else { written };
        let fault = |key| Fault { key, address: inner };
        if end.is_none() {
            return Err(fault("path.unclosed"));
        }
        if written.is_empty() {
            return Err(fault("path.missing"));
        }
        if written.len() + if bracketed { 0 } else { 2 } > MAX_PATH {
            return Err(fault("path.too_long"));
        }
        if trimmed.len() < text.len() && !leniency.space_after_colon {
            return Err(fault("path.space"));
        }
        if !bracketed && !leniency.bare_path {
            return Err(fault("path.brackets"));
        }
        if !(rest.is_empty() || rest.starts_with([' ', '\t'])) {
            return Err(fault("path.after"));
        }
        let address = without_route(inner).map_err(fault)?;
        let mailbox = if address.is_empty() { None } else { Some(Mailbox::parse(address).map_err(fault)?) };
        if let Some(Mailbox { local, domain: None }) = &mailbox
            && !leniency.local_part
            && !local.eq_ignore_ascii_case("postmaster")
        {
            return Err(fault("path.local_part"));
        }
        Ok(Self { written, address, mailbox, parameters: rest.trim_matches([' ', '\t']) })
    }
}

/// Where the path ends; none if its bracket or quote is not closed.
fn end_of_path(text: &str, bracketed: bool) -> Option<usize> {
    let mut quoted = false;
    let mut octets = text.bytes().enumerate();
    while let Some((at, octet)) = octets.next() {
        match octet {
            b'"' => quoted = !quoted,
            b'\\' if quoted => {
                octets.next();
            }
            b'>' if bracketed && !quoted => return Some(at + 1),
            b' ' | b'\t' if !bracketed && !quoted => return Some(at),
            _ => {}
        }
    }
    (!bracketed && !quoted).then_some(text.len())
}

/// The address after a source route, which is accepted and ignored (RFC 5321 4.1.2, appendix C).
fn without_route(text: &str) -> Result<&str, &'static str> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    let (route, address) = text.split_once(':').ok_or("path.route")?;
    let valid = route.split(',').all(|hop| hop.strip_prefix('@').is_some_and(|domain| Host::parse(domain).is_ok()));
    if valid && !address.is_empty() { Ok(address) } else { Err("path.route") }
}

impl<'a> Mailbox<'a> {
    fn parse(text: &'a str) -> Result<Self, &'static str> {
        let (local, rest) = if text.starts_with('"') { quoted(text)? } else { dotted(text)? };
        if local.is_empty() && rest.is_empty() {
            return Err("path.local");
        }
        if local.len() > MAX_LOCAL_PART {
            return Err("path.too_long");
        }
        let domain = match rest.strip_prefix('@') {
            Some(domain) => Some(Host::parse(domain)?),
            None if rest.is_empty() => None,
            None => return Err("path.local"),
        };
        Ok(Self { local, domain })
    }
}

/// A dot-string and what stands after it.
fn dotted(text: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    let (local, rest) = text.split_at(text.find('@').unwrap_or(text.len()));
    let atom = |atom: &str| !atom.is_empty() && atom.chars().all(is_atext);
    if local.split('.').all(atom) { Ok((Cow::Borrowed(local), rest)) } else { Err("path.local") }
}

fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii() && !c.is_control()
}

/// A quoted string without its quotes, and what stands after it.
fn quoted(text: &str) -> Result<(Cow<'_, str>, &str), &'static str> {
    let mut local = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((Cow::Owned(local), &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, escaped)) if escaped == ' ' || escaped.is_ascii_graphic() => local.push(escaped),
                _ => return Err("path.local"),
            },
            c if c.is_control() => return Err("path.local"),
            c => local.push(c),
        }
    }
    Err("path.local")
}

impl<'a> Host<'a> {
    /// Reads a domain or an address literal.
    pub fn parse(text: &'a str) -> Result<Self, &'static str> {
        if let Some(literal) = text.strip_prefix('[') {
            let literal = literal.strip_suffix(']').ok_or("path.literal")?;
            return literal_address(literal).map(Self::Address).ok_or("path.literal");
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.len() > MAX_DOMAIN {
            return Err("path.too_long");
        }
        let letter = |c: char| c.is_ascii_alphanumeric() || c == '-' || !c.is_ascii() && c.is_alphanumeric();
        let label = |label: &str| {
            let inner = !label.is_empty() && label.len() <= MAX_LABEL && label.chars().all(letter);
            inner && !label.starts_with('-') && !label.ends_with('-')
        };
        if name.split('.').all(label) { Ok(Self::Name(name)) } else { Err("path.domain") }
    }
}

/// `192.0.2.1` or `IPv6:2001:db8::1` (RFC 5321 4.1.3).
fn literal_address(text: &str) -> Option<IpAddr> {
    match text.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => text[5..].parse().ok().map(IpAddr::V6),
        _ => text.parse().ok().map(IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Path<'_>, &'static str> {
        Path::parse(text, Leniency::LENIENT).map_err(|fault| fault.key)
    }

    fn strict(text: &str) -> Result<(), &'static str> {
        Path::parse(text, Leniency::STRICT).map(|_| ()).map_err(|fault| fault.key)
    }

    fn local(text: &str) -> String {
        parse(text).expect(text).mailbox.expect(text).local.into_owned()
    }

    #[test]
    fn paths_come_as_the_rfc_has_them() {
        let path = parse("<user1@lib.simulacion> SIZE=5 ").unwrap();
        assert_eq!((path.address, path.parameters), ("user1@lib.simulacion", "SIZE=5"));
        assert_eq!(parse("<>").unwrap().mailbox, None);
        assert_eq!(parse("<@a.lab,@b.lab:user1@c.lab>").unwrap().address, "user1@c.lab");
        assert_eq!(local(r#"<"ana \"x\" > y"@a.lab>"#), r#"ana "x" > y"#);
        assert_eq!(local("<o'neil+tag@a.lab>"), "o'neil+tag");
        let host = |text| parse(text).unwrap().mailbox.unwrap().domain;
        assert_eq!(host("<a@[127.0.0.1]>"), Some(Host::Address([127, 0, 0, 1].into())));
        assert_eq!(host("<a@[IPv6:::1]>"), Some(Host::Address("::1".parse().unwrap())));
        assert_eq!(host("<a@B.lab.>"), Some(Host::Name("B.lab")));
        assert!(strict("<Postmaster>").is_ok());
    }

    #[test]
    fn lenient_paths_are_read_and_strict_ones_explained() {
        for (text, key) in [("  user1", "path.space"), ("user1", "path.brackets"), ("<user1>", "path.local_part")] {
            assert_eq!(local(text), "user1");
            assert_eq!(strict(text), Err(key));
        }
    }

    #[test]
    fn bad_paths_name_what_is_wrong() {
        for (text, key) in [
            ("", "path.missing"),
            ("<a@b.lab", "path.unclosed"),
            (r#"<"a@b.lab>"#, "path.unclosed"),
            ("<a@b.lab>x", "path.after"),
            ("<a b@c.lab>", "path.local"),
            ("<a..b@c.lab>", "path.local"),
            ("<a@b@c.lab>", "path.domain"),
            ("<@c.lab>", "path.route"),
            ("<@c.lab:>", "path.route"),
            ("<a@>", "path.domain"),
            ("<a@-b.lab>", "path.domain"),
            ("<a@[999.0.0.1]>", "path.literal"),
            ("<a@[127.0.0.1>", "path.literal"),
            ("a@b.lab>", "path.domain"),
        ] {
            assert_eq!(parse(text).map(|_| ()), Err(key), "{text}");
        }
    }

    #[test]
    fn paths_are_limited_on_both_sides() {
        let local_part = |length| parse(&format!("<{}@b.lab>", "a".repeat(length))).map(|_| ());
        assert_eq!(local_part(MAX_LOCAL_PART), Ok(()));
        assert_eq!(local_part(MAX_LOCAL_PART + 1), Err("path.too_long"));
        let path = |length: usize| {
            let label = "b".repeat(MAX_LABEL);
            let head = format!("<{}@{label}.{label}.{label}", "a".repeat(length - 3 - 3 * MAX_LABEL - 2));
            parse(&format!("{head}>")).map(|path| path.written.len())
        };
        assert_eq!(path(256), Ok(MAX_PATH));
        assert_eq!(path(257), Err("path.too_long"));
    }
}
