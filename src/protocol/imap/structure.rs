//! ENVELOPE, BODY and BODYSTRUCTURE (RFC 9051 7.5.2). Values are shown as they stand in the message; the parts are
//! `mail::parts`'.

use std::io::Write as _;

use super::{
    section,
    syntax::{write_nstring, write_string},
};
use crate::mail::{
    address::{Member, addresses},
    fields::{self, Parametrised},
    parts::{Kind, Part},
};

/// Appends the ENVELOPE of a header.
pub fn write_envelope(header: &[u8], out: &mut Vec<u8>) {
    let value = |name| fields::value(header, name);
    out.push(b'(');
    write_nstring(value("Date").as_deref(), out);
    out.push(b' ');
    write_nstring(value("Subject").as_deref(), out);
    let list = |name| value(name).map(|value| addresses(&value)).unwrap_or_default();
    let from = list("From");
    // Who is not named is who the From field names (RFC 9051 7.5.2).
    let or_from = |members: Vec<Member>| if members.is_empty() { from.clone() } else { members };
    let (sender, reply_to) = (or_from(list("Sender")), or_from(list("Reply-To")));
    for members in [&from, &sender, &reply_to, &list("To"), &list("Cc"), &list("Bcc")] {
        out.push(b' ');
        write_addresses(members, out);
    }
    out.push(b' ');
    write_nstring(value("In-Reply-To").as_deref(), out);
    out.push(b' ');
    write_nstring(value("Message-Id").as_deref(), out);
    out.push(b')');
}

fn write_addresses(members: &[Member], out: &mut Vec<u8>) {
    if members.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for member in members {
        // A NIL host says that it is the start or the end of a group, so a missing one is an empty string.
        let (name, route, local, domain) = match member {
            Member::Address { name, route, local, domain } => {
                (name.as_deref(), route.as_deref(), Some(local.as_slice()), Some(domain.as_deref().unwrap_or_default()))
            }
            Member::GroupStart(name) => (None, None, Some(name.as_slice()), None),
            Member::GroupEnd => (None, None, None, None),
        };
        for (opening, text) in [(b'(', name), (b' ', route), (b' ', local), (b' ', domain)] {
            out.push(opening);
            write_nstring(text, out);
        }
        out.push(b')');
    }
    out.push(b')');
}

/// The longest BODY or BODYSTRUCTURE, in octets: of a message that would have a longer one no parts are told.
pub const LONGEST: usize = 256 << 10;

/// Appends the structure of a message; with `extended` it is BODYSTRUCTURE.
pub fn write(message: &[u8], root: &Part, extended: bool, out: &mut Vec<u8>) {
    let start = out.len();
    if !write_structure(message, root, extended, start + LONGEST, out) {
        out.truncate(start);
        let alone = Part { header: root.header.clone(), body: root.body.clone(), kind: Kind::Leaf };
        write_structure(message, &alone, extended, usize::MAX, out);
    }
}

/// Appends the structure of a part; false where that goes beyond `end`, and then it is not whole.
fn write_structure(message: &[u8], part: &Part, extended: bool, end: usize, out: &mut Vec<u8>) -> bool {
    let header = section::looked_at(message.get(part.header.clone()).unwrap_or_default());
    let body = message.get(part.body.clone()).unwrap_or_default();
    let kind = content_type(header, part);
    out.push(b'(');
    match &part.kind {
        Kind::Multipart(parts) => {
            if !parts.iter().all(|part| write_structure(message, part, extended, end, out)) {
                return false;
            }
            out.push(b' ');
            write_string(&kind.subtype, out);
            if extended {
                out.push(b' ');
                write_parameters(&kind.parameters, out);
            }
        }
        Kind::Leaf | Kind::Message(_) => {
            write_string(&kind.main, out);
            out.push(b' ');
            write_string(&kind.subtype, out);
            out.push(b' ');
            write_parameters(&kind.parameters, out);
            for name in ["Content-Id", "Content-Description"] {
                out.push(b' ');
                write_nstring(fields::value(header, name).as_deref(), out);
            }
            out.push(b' ');
            let encoding = fields::value(header, "Content-Transfer-Encoding").filter(|value| !value.is_empty());
            write_string(encoding.as_deref().unwrap_or(b"7BIT"), out);
            let _ = write!(out, " {}", body.len());
            if let Kind::Message(inner) = &part.kind {
                out.push(b' ');
                write_envelope(section::looked_at(message.get(inner.header.clone()).unwrap_or_default()), out);
                out.push(b' ');
                if !write_structure(message, inner, extended, end, out) {
                    return false;
                }
            }
            if matches!(part.kind, Kind::Message(_)) || kind.main.eq_ignore_ascii_case(b"text") {
                let _ = write!(out, " {}", memchr::memchr_iter(b'\n', body).count());
            }
            if extended {
                out.push(b' ');
                write_nstring(fields::value(header, "Content-MD5").as_deref(), out);
            }
        }
    }
    if extended {
        write_extension(header, out);
    }
    out.push(b')');
    out.len() <= end
}

/// Disposition, language and location.
fn write_extension(header: &[u8], out: &mut Vec<u8>) {
    out.push(b' ');
    let disposition = fields::value(header, "Content-Disposition").map(|value| Parametrised::of(&value));
    match disposition.filter(|disposition| !disposition.value.is_empty()) {
        Some(disposition) => {
            out.push(b'(');
            write_string(&disposition.value, out);
            out.push(b' ');
            write_parameters(&disposition.parameters, out);
            out.push(b')');
        }
        None => out.extend_from_slice(b"NIL"),
    }
    out.push(b' ');
    let languages = fields::value(header, "Content-Language").unwrap_or_default();
    let languages: Vec<&[u8]> =
        languages.split(|octet| *octet == b',').map(<[u8]>::trim_ascii).filter(|one| !one.is_empty()).collect();
    match languages.as_slice() {
        [] => out.extend_from_slice(b"NIL"),
        several => {
            for (place, language) in several.iter().enumerate() {
                out.push(if place == 0 { b'(' } else { b' ' });
                write_string(language, out);
            }
            out.push(b')');
        }
    }
    out.push(b' ');
    write_nstring(fields::value(header, "Content-Location").as_deref(), out);
}

fn write_parameters(parameters: &[(Vec<u8>, Vec<u8>)], out: &mut Vec<u8>) {
    if parameters.is_empty() {
        out.extend_from_slice(b"NIL");
        return;
    }
    for (place, (name, value)) in parameters.iter().enumerate() {
        out.push(if place == 0 { b'(' } else { b' ' });
        write_string(name, out);
        out.push(b' ');
        write_string(value, out);
    }
    out.push(b')');
}

struct ContentType {
    main: Vec<u8>,
    subtype: Vec<u8>,
    parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

impl ContentType {
    fn plain(main: &[u8], subtype: &[u8]) -> Self {
        Self { main: main.to_vec(), subtype: subtype.to_vec(), parameters: Vec::new() }
    }
}

/// The media type of a part. It never says more than the structure does: a multipart without parts is text (RFC 2046 5.1.1
/// wants at least one), and what is said to be a message but is encoded is octets (RFC 2046 5.2.1).
fn content_type(header: &[u8], part: &Part) -> ContentType {
    let value = fields::value(header, "Content-Type").map(|value| Parametrised::of(&value));
    let written = value.as_ref().and_then(|value| {
        let (main, subtype) = value.media_type()?;
        Some(ContentType { main: main.to_vec(), subtype: subtype.to_vec(), parameters: value.parameters.clone() })
    });
    let is = |main: &[u8]| written.as_ref().is_some_and(|written| written.main.eq_ignore_ascii_case(main));
    let is_message = is(b"message")
        && written.as_ref().is_some_and(|written| {
            written.subtype.eq_ignore_ascii_case(b"rfc822") || written.subtype.eq_ignore_ascii_case(b"global")
        });
    match &part.kind {
        Kind::Multipart(_) if is(b"multipart") => written.unwrap_or_else(|| ContentType::plain(b"MULTIPART", b"MIXED")),
        Kind::Multipart(_) => ContentType::plain(b"MULTIPART", b"MIXED"),
        Kind::Message(_) if is_message => written.unwrap_or_else(|| ContentType::plain(b"MESSAGE", b"RFC822")),
        Kind::Message(_) => ContentType::plain(b"MESSAGE", b"RFC822"),
        Kind::Leaf if is_message => ContentType::plain(b"APPLICATION", b"OCTET-STREAM"),
        Kind::Leaf => match written.filter(|written| !written.main.eq_ignore_ascii_case(b"multipart")) {
            // RFC 2045 5.2: plain text in ASCII is what a part is that says nothing.
            None => ContentType {
                parameters: vec![(b"CHARSET".to_vec(), b"us-ascii".to_vec())],
                ..ContentType::plain(b"TEXT", b"PLAIN")
            },
            Some(mut written) => {
                let text = written.main.eq_ignore_ascii_case(b"text");
                let named = |(name, _): &(Vec<u8>, Vec<u8>)| name.eq_ignore_ascii_case(b"charset");
                if text && !written.parameters.iter().any(named) {
                    written.parameters.push((b"CHARSET".to_vec(), b"us-ascii".to_vec()));
                }
                written
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn structure(message: &str, extended: bool) -> String {
        let mut out = Vec::new();
        write(message.as_bytes(), &Part::of(message.as_bytes()), extended, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn a_plain_message_is_text() {
        let message = "Subject: x\r\n\r\none\r\ntwo\r\n";
        assert_eq!(structure(message, false), r#"("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 10 2)"#);
        let long = r#"("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 10 2 NIL NIL NIL NIL)"#;
        assert_eq!(structure(message, true), long);
        assert_eq!(structure("", false), r#"("TEXT" "PLAIN" ("CHARSET" "us-ascii") NIL NIL "7BIT" 0 0)"#);
    }

    #[test]
    fn parts_nest() {
        let message = "Content-Type: multipart/mixed; boundary=\"x\"\r\n\r\n--x\r\nContent-Type: text/html; charset=utf-8\r\n\
            Content-Transfer-Encoding: base64\r\nContent-Id: <a@b>\r\n\r\nPGI+\r\n--x\r\nContent-Type: message/rfc822\r\n\
            Content-Disposition: attachment; filename=\"a b.eml\"\r\nContent-Language: es, en\r\n\r\nSubject: in\r\n\r\nhello\r\n--x--\r\n";
        assert_eq!(
            structure(message, false),
            "((\"text\" \"html\" (\"charset\" \"utf-8\") \"<a@b>\" NIL \"base64\" 4 0)\
             (\"message\" \"rfc822\" NIL NIL NIL \"7BIT\" 20 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) \
             (\"TEXT\" \"PLAIN\" (\"CHARSET\" \"us-ascii\") NIL NIL \"7BIT\" 5 0) 2) \"mixed\")"
        );
        let long = structure(message, true);
        assert!(long.contains("(\"attachment\" (\"filename\" \"a b.eml\")) (\"es\" \"en\") NIL"), "{long}");
        assert!(long.ends_with("\"mixed\" (\"boundary\" \"x\") NIL NIL NIL)"), "{long}");
    }

    #[test]
    fn a_structure_says_no_more_than_there_is() {
        let without = structure("Content-Type: multipart/mixed; boundary=x\r\n\r\ntext\r\n", false);
        assert!(without.starts_with("(\"TEXT\" \"PLAIN\""), "{without}");
        let encoded =
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0KDQp4\r\n";
        assert!(structure(encoded, false).starts_with("(\"APPLICATION\" \"OCTET-STREAM\" NIL"));
    }

    #[test]
    fn an_envelope_shows_what_is_written() {
        let header = "Date: Fri, 3 Nov 2017 12:01:03 +0100\r\nSubject: =?utf-8?q?=C3=B1?=\r\n folded\r\nFrom: Ana <ana@g1.lab>\r\n\
            To: friends: ben@g1.lab;\r\nCc: carla\r\nMessage-Id: <1@g1.lab>\r\n\r\n";
        let mut out = Vec::new();
        write_envelope(header.as_bytes(), &mut out);
        let ana = "((\"Ana\" NIL \"ana\" \"g1.lab\"))";
        assert_eq!(
            String::from_utf8(out).unwrap(),
            format!(
                "(\"Fri, 3 Nov 2017 12:01:03 +0100\" \"=?utf-8?q?=C3=B1?= folded\" {ana} {ana} {ana} \
                 ((NIL NIL \"friends\" NIL)(NIL NIL \"ben\" \"g1.lab\")(NIL NIL NIL NIL)) \
                 ((NIL NIL \"carla\" \"\")) NIL NIL \"<1@g1.lab>\")"
            )
        );
    }
}
