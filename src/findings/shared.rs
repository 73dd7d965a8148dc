//! Values that several tables of the lab file have: mailboxes, patterns, bounds, names of header fields.

use super::{
    diagnostic::{Code, Findings, Span},
    fields::{Field, Fields},
    known::{Known, Scope},
};
use crate::lab::{
    MailId,
    exercise::{Bound, Comparison, Pattern},
};

/// The most header fields of one mail, or of one check.
pub const MAX_HEADERS: usize = 50;

/// The most times that something may have to be shown.
pub const MAX_TIMES: u64 = 1_000;

/// The mailbox that a key names: `user2`, or `{login}` for the student's own.
pub fn mailbox(
    fields: &Fields<'_>,
    key: &'static str,
    known: &Known<'_>,
    findings: &mut Findings<'_>,
) -> Option<String> {
    let (text, span) = fields.text(key, findings)?;
    if text != "{login}" {
        known.names.expect_mailbox(text, &span, findings);
    }
    // Mailboxes are kept in lower case, as the placeholder is.
    Some(text.to_ascii_lowercase())
}

/// The entries of a table of header fields, with names that a header field can have (RFC 5322 2.2).
pub fn named_headers<'a>(field: &Field<'a>, findings: &mut Findings<'_>) -> Vec<Field<'a>> {
    let mut entries = field.free_table(findings);
    if let Some(first) = entries.get(MAX_HEADERS) {
        findings.lab(Code::TooMany, &first.key_span, format!("there are more than {MAX_HEADERS} header fields"));
        entries.truncate(MAX_HEADERS);
    }
    entries.retain(|entry| {
        let good = !entry.key.is_empty() && entry.key.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':');
        if !good {
            let message = format!("`{}` is no name of a header field", entry.key);
            findings
                .lab(Code::BadName, &entry.key_span, message)
                .help("it is printable ASCII without blanks and colons");
        }
        good
    });
    entries
}

/// How many times something must be shown.
pub fn times(fields: &Fields<'_>, findings: &mut Findings<'_>) -> u32 {
    u32::try_from(fields.number("times", 1, 1..=MAX_TIMES, findings)).unwrap_or(1)
}

/// A pattern for this student.
pub fn pattern(field: Option<Field<'_>>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Pattern> {
    let field = field?;
    let text = field.text(findings)?;
    known.template(text, &field.span, Scope::Check, findings);
    Some(Pattern(text.to_owned()))
}

/// The injected mail that a key names.
pub fn known_mail(
    fields: &Fields<'_>,
    key: &'static str,
    known: &Known<'_>,
    findings: &mut Findings<'_>,
) -> Option<MailId> {
    let (id, span) = fields.text(key, findings)?;
    if key == "text" {
        known.expect_text(id, &span, findings);
    } else {
        known.expect_mail(id, &span, findings);
    }
    id.parse().ok()
}

/// A bound: a number, or a comparison with one.
pub fn bound(field: &Field<'_>, findings: &mut Findings<'_>) -> Option<Bound> {
    let parsed = if field.is_text() {
        field.text(findings)?.parse::<Bound>()
    } else {
        Ok(Bound { than: Comparison::Equal, value: field.number(0..=u64::MAX >> 1, findings)? })
    };
    match parsed {
        Ok(bound) => {
            never_or_always(bound, &field.span, findings);
            Some(bound)
        }
        Err(problem) => {
            findings.lab(Code::BadNumber, &field.span, problem).help("write for example `\">= 64 KiB\"` or `\"= 0\"`");
            None
        }
    }
}

fn never_or_always(bound: Bound, span: &Span, findings: &mut Findings<'_>) {
    match (bound.than, bound.value) {
        (Comparison::Less, 0) => {
            findings.lab(Code::BadCheck, span, "nothing is less than 0");
        }
        (Comparison::AtLeast, 0) => {
            findings.lab(Code::NoEffect, span, "everything is at least 0");
        }
        (Comparison::Less | Comparison::AtMost | Comparison::Equal | Comparison::AtLeast | Comparison::More, _) => {}
    }
}
