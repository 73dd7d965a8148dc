//! From a mail of the lab to the message that one student gets: placeholders filled in, header fields added, CRLF line ends.
//! Pure: the key and the date are arguments.

use std::fmt::Write as _;

use jiff::{Zoned, fmt::rfc2822};
use serde::{Deserialize, Serialize};

use super::Due;
use crate::lab::{Key, Lab, template::Person};

/// A message and its envelope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// What the sender calls itself in EHLO.
    pub host: String,
    /// The reverse-path without brackets.
    pub from: String,
    /// The forward-path without brackets.
    pub to: String,
    /// The message, every line with CRLF, without dot-stuffing.
    pub content: String,
}

/// The letter for one copy, dated `now`; none where the lab has no such mail, group or student.
///
/// A text that is no ASCII is sent as UTF-8 as it stands (RFC 6531, RFC 6152), because students read it by telnet.
pub fn letter(lab: &Lab, key: &Key, due: &Due, now: &Zoned) -> Option<Letter> {
    let mail = lab.mail(due.injected.mail.as_str())?;
    let group = lab.group(due.group.as_str())?;
    let student = match &due.injected.student {
        Some(login) => Some(group.students.iter().find(|student| student.login == *login)?),
        None => None,
    };
    let person = Person { lab, group, student, key, mail: Some(mail.id.as_str()) };
    let address = |template: &str| {
        let filled = one_line(&person.fill(template));
        if filled.is_empty() || filled.contains('@') { filled } else { format!("{filled}@{}", group.domain) }
    };
    let (from, to) = (address(&mail.from), address(&mail.to));
    let body = crlf(&person.fill(&mail.body));
    let mut headers: Vec<(String, String)> =
        mail.headers.iter().map(|(name, value)| (name.clone(), one_line(&person.fill(value)))).collect();
    let mut add = |name: &str, value: String| {
        if !headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            headers.push((name.to_owned(), value));
        }
    };
    add("Date", rfc2822::to_string(now).unwrap_or_default());
    add("From", from.clone());
    add("To", to.clone());
    add("Subject", one_line(&person.fill(&mail.subject)));
    let moment = now.timestamp().as_microsecond();
    add("Message-ID", format!("<{}.{}.{moment}@{}>", mail.id, person.login(), group.domain).replace("..", "."));
    if !body.is_ascii() {
        add("MIME-Version", "1.0".into());
        add("Content-Type", "text/plain; charset=utf-8".into());
        add("Content-Transfer-Encoding", "8bit".into());
    }
    let mut content = String::new();
    for (name, value) in &headers {
        let _ = write!(content, "{name}: {value}\r\n");
    }
    content.push_str("\r\n");
    content.push_str(&body);
    Some(Letter { host: "labctl".into(), from, to, content })
}

/// A value that stays in its header field whatever the roster has in it.
fn one_line(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The text with CRLF line ends, also the last one.
fn crlf(text: &str) -> String {
    let mut lines = text.replace("\r\n", "\n");
    if !lines.is_empty() && !lines.ends_with('\n') {
        lines.push('\n');
    }
    lines.replace('\n', "\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evidence::Injected,
        lab::Mail,
        plan::resolve::tests::{key, lab},
    };

    fn composed(change: impl FnOnce(&mut Lab)) -> Letter {
        let mut lab = lab(&[("g01", &["ana"])]);
        lab.mails.push(Mail {
            id: "welcome".parse().unwrap(),
            to: "{login}".into(),
            from: "profesor".into(),
            subject: "Hola, {name}".into(),
            headers: vec![("X-Secret".into(), "{secret}".into())],
            body: "Hola.\n\n{text}".into(),
            text_octets: 2_000,
            per_student: true,
        });
        change(&mut lab);
        let injected = Injected { mail: "welcome".parse().unwrap(), student: Some("ana".parse().unwrap()) };
        let due = Due { group: "g01".parse().unwrap(), injected };
        let now: Zoned = "2026-11-21T12:01:03+01:00[Europe/Madrid]".parse().unwrap();
        letter(&lab, &key(), &due, &now).expect("a mail of the lab")
    }

    #[test]
    fn a_letter_has_the_fields_that_a_mail_needs() {
        let letter = composed(|_| ());
        assert_eq!((letter.from.as_str(), letter.to.as_str()), ("profesor@g01.lab", "ana@g01.lab"));
        let text = letter.content;
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let secret = format!("X-Secret: {}", key().secret("g01", "ana", "welcome"));
        assert_eq!(
            head.split("\r\n").collect::<Vec<_>>(),
            [
                secret.as_str(),
                "Date: Sat, 21 Nov 2026 12:01:03 +0100",
                "From: profesor@g01.lab",
                "To: ana@g01.lab",
                "Subject: Hola, ana",
                "Message-ID: <welcome.ana.1795258863000000@g01.lab>",
            ]
        );
        assert_eq!(body, format!("Hola.\r\n\r\n{}", key().text("g01", "ana", "welcome", 2_000)));
    }

    #[test]
    fn a_roster_cannot_add_header_fields() {
        let letter = composed(|lab| lab.groups[0].students[0].name = Some("Ana\r\nBcc: ben@g02.lab".into()));
        let text = letter.content;
        assert!(text.contains("Subject: Hola, Ana  Bcc: ben@g02.lab\r\n"));
    }

    #[test]
    fn what_the_lab_writes_itself_is_not_added_again_and_utf_8_is_declared() {
        let letter = composed(|lab| {
            lab.mails[0].headers.push(("subject".into(), "otra".into()));
            lab.mails[0].body = "¡Hola!".into();
        });
        let text = letter.content;
        assert!(!text.contains("Hola, ana"));
        assert!(text.contains("Content-Type: text/plain; charset=utf-8\r\n"));
        assert!(text.ends_with("\r\n\r\n¡Hola!\r\n"));
    }
}
