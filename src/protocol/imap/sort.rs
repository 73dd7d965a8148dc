//! SORT (RFC 5256 3; RFC 5957 for display names): by what messages are put in order, and what of a message that needs.

use std::cmp::Ordering;

use super::{
    matching::{decoded, sent_secs},
    syntax::{Cursor, Read},
};
use crate::mail::{
    address::{Member, addresses},
    fields,
    folder::Row,
    subject::BaseSubject,
};

/// The most criteria of one SORT.
pub const MAX_CRITERIA: usize = 20;

/// The most octets of a text by which messages are put in order: there is one for each message and criterion.
pub const MAX_TEXT: usize = 256;

/// One thing to put messages in order by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Criterion {
    pub by: By,
    /// The highest first.
    pub reverse: bool,
}

/// What of a message counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// When it came in.
    Arrival,
    /// When its Date field says that it was sent.
    Date,
    /// Its octets.
    Size,
    /// Its base subject.
    Subject,
    /// The local part of the first address in this field.
    Mailbox(&'static str),
    /// The display name of the first address in this field, or the address.
    Display(&'static str),
}

const NAMES: [(&str, By); 9] = [
    ("ARRIVAL", By::Arrival),
    ("CC", By::Mailbox("Cc")),
    ("DATE", By::Date),
    ("DISPLAYFROM", By::Display("From")),
    ("DISPLAYTO", By::Display("To")),
    ("FROM", By::Mailbox("From")),
    ("SIZE", By::Size),
    ("SUBJECT", By::Subject),
    ("TO", By::Mailbox("To")),
];

/// What a criterion is of one message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    Number(i64),
    Text(String),
}

/// Reads the criteria in their brackets.
pub fn read(cursor: &mut Cursor<'_>) -> Read<Vec<Criterion>> {
    let expected = "what to sort by in brackets, such as (DATE) or (REVERSE SIZE SUBJECT)";
    let before = cursor.clone();
    let criteria = cursor.list(expected, |cursor| {
        let reverse = cursor.word("REVERSE");
        if reverse {
            cursor.space("what to sort by after REVERSE")?;
        }
        let by = NAMES.into_iter().find(|(name, _)| cursor.word(name)).map(|(_, by)| by);
        let by =
            by.ok_or_else(|| cursor.fault("ARRIVAL, CC, DATE, DISPLAYFROM, DISPLAYTO, FROM, SIZE, SUBJECT or TO"))?;
        Ok(Criterion { by, reverse })
    })?;
    match criteria.len() {
        0 => Err(before.fault(expected)),
        1..=MAX_CRITERIA => Ok(criteria),
        _ => Err(before.fault("at most 20 things to sort by")),
    }
}

impl By {
    /// Whether the message itself must be read.
    pub const fn needs_message(self) -> bool {
        match self {
            Self::Arrival | Self::Size => false,
            Self::Date | Self::Subject | Self::Mailbox(_) | Self::Display(_) => true,
        }
    }

    /// What it is of a message with this header.
    pub fn value(self, row: &Row, header: &[u8]) -> Value {
        match self {
            Self::Arrival => Value::Number(row.received_secs),
            Self::Size => Value::Number(row.octets.into()),
            Self::Date => Value::Number(sent_secs(header).unwrap_or(row.received_secs)),
            Self::Subject => text(&BaseSubject::of(&subject(header)).text),
            Self::Mailbox(field) => text(&first(header, field).map_or_else(String::new, |first| match first {
                Member::Address { local, .. } | Member::GroupStart(local) => decoded(&local),
                Member::GroupEnd => String::new(),
            })),
            Self::Display(field) => text(&first(header, field).map_or_else(String::new, |first| match first {
                Member::Address { name: Some(name), .. } | Member::GroupStart(name) => decoded(&name),
                Member::Address { local, domain: Some(domain), .. } => decoded(&[&*local, b"@", &*domain].concat()),
                Member::Address { local, .. } => decoded(&local),
                Member::GroupEnd => String::new(),
            })),
        }
    }
}

/// The decoded Subject.
pub fn subject(header: &[u8]) -> String {
    fields::value(header, "Subject").map_or_else(String::new, |subject| decoded(&subject))
}

fn first(header: &[u8], field: &str) -> Option<Member> {
    addresses(&fields::value(header, field)?).into_iter().next()
}

/// A text as it is compared: in upper case (RFC 5256 2; RFC 5051), and not too long.
fn text(text: &str) -> Value {
    let mut upper = text.to_uppercase();
    upper.truncate(upper.floor_char_boundary(MAX_TEXT));
    Value::Text(upper)
}

/// Compares what two messages are, criterion by criterion.
pub fn compare(criteria: &[Criterion], one: &[Value], other: &[Value]) -> Ordering {
    let pairs = criteria.iter().zip(one.iter().zip(other));
    let orders = pairs.map(|(criterion, (one, other))| {
        let order = one.cmp(other);
        if criterion.reverse { order.reverse() } else { order }
    });
    orders.fold(Ordering::Equal, Ordering::then)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{evidence::MessageId, mail::folder::Flags};

    fn value(by: By, header: &str) -> Value {
        let row = Row { uid: 1, octets: 5, message: MessageId(1), flags: Flags(0), modseq: 1, received_secs: 7 };
        by.value(&row, header.as_bytes())
    }

    #[test]
    fn messages_have_values_to_compare() {
        let text = |text: &str| Value::Text(text.to_owned());
        let header = "From: =?utf-8?q?Ana_L=C3=B3pez?= <z@a.lab>\r\nTo: friends: ben@a.lab;\r\nSubject: Re: x\r\n\r\n";
        assert_eq!(value(By::Mailbox("From"), header), text("Z"));
        assert_eq!(value(By::Display("From"), header), text("ANA LÓPEZ"));
        assert_eq!(value(By::Mailbox("To"), header), text("FRIENDS"));
        assert_eq!(value(By::Mailbox("Cc"), header), text(""));
        assert_eq!(value(By::Display("From"), "From: ben@a.lab\r\n\r\n"), text("BEN@A.LAB"));
        assert_eq!(value(By::Subject, header), text("X"));
        assert_eq!((value(By::Size, ""), value(By::Arrival, "")), (Value::Number(5), Value::Number(7)));
        assert_eq!(value(By::Date, "Date: Thu, 1 Jan 1970 01:00:00 +0100\r\n\r\n"), Value::Number(0));
        assert_eq!(value(By::Date, "Date: yesterday\r\n\r\n"), Value::Number(7), "RFC 5256 2.2");
        let long = |octets: usize| value(By::Subject, &format!("Subject: {}\r\n\r\n", "x".repeat(octets)));
        assert_eq!([long(MAX_TEXT), long(MAX_TEXT + 1)], [text(&"X".repeat(MAX_TEXT)), text(&"X".repeat(MAX_TEXT))]);
    }

    #[test]
    fn criteria_are_read_and_bounded() {
        let read = |text: &str| read(&mut Cursor::new(text.as_bytes())).map_err(|fault| fault.at);
        assert_eq!(read("(reverse DATE)"), Ok(vec![Criterion { by: By::Date, reverse: true }]));
        assert_eq!((read("()"), read("DATE"), read("(REVERSE)"), read("(COLOUR)")), (Err(0), Err(0), Err(8), Err(1)));
        let many = |count: usize| read(&format!("({})", vec!["SIZE"; count].join(" "))).map(|all| all.len());
        assert_eq!((many(MAX_CRITERIA), many(MAX_CRITERIA + 1)), (Ok(MAX_CRITERIA), Err(0)));
    }
}
