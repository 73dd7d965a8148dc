//! Checks of folders and of the messages in them: folder names and flags as IMAP has them.

use super::{
    check::{bound, which},
    diagnostic::{Code, Findings},
    fields::{Field, Fields},
    mail::mailbox,
    placeholders::Known,
};
use crate::{
    lab::exercise::{Filed, MailboxCheck},
    mail::folder::{Flags, FolderName, MAX_KEYWORD, MAX_KEYWORDS, NamedFlags, Special},
};

/// Whose mailbox a filed check means where it does not say.
const OWN: &str = "{login}";

/// The folder that a check names.
pub fn folder(fields: &Fields<'_>, findings: &mut Findings<'_>) -> Option<FolderName> {
    let field = fields.get("folder")?;
    let text = field.text(findings)?;
    let parsed = text.parse::<FolderName>();
    if let Err(problem) = &parsed {
        findings
            .lab(Code::BadName, &field.span, format!("`{text}` is no name for a folder"))
            .label(problem.to_string());
    } else if text.contains(['{', '}']) {
        let problem = findings.lab(Code::BadTemplate, &field.span, "a placeholder cannot stand in a folder's name");
        problem.help("the folder is looked for in each student's mailbox: give it the same name for everybody");
        return None;
    }
    parsed.ok()
}

/// The state of a mailbox.
pub fn state(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<MailboxCheck> {
    fields.required("of", "of = \"{login}\"", findings);
    let mailbox = mailbox(fields, "of", known, findings);
    let written = fields.get("folder");
    let folder = if written.is_some() { folder(fields, findings) } else { Some(FolderName::inbox()) };
    let count = fields.get("count").map(|field| bound(&field, findings));
    let now = fields.boolean("now", false, findings);
    match (&count, written, &folder) {
        (None, None, _) => {
            fields.required("count", "count = \"= 0\"", findings);
            return None;
        }
        (None, Some(field), Some(name)) if name.is_inbox() || Special::named(name.as_str()).is_some() => {
            let problem = findings.lab(Code::BadCheck, &field.span, format!("every mailbox has a folder `{name}`"));
            problem.help("say how many messages it holds: `count = \">= 1\"`");
            return None;
        }
        (Some(_) | None, Some(_) | None, _) => {}
    }
    let count = match count {
        Some(bound) => Some(bound?),
        None => None,
    };
    Some(MailboxCheck { mailbox: mailbox?, folder: folder?, count, now })
}

/// A message in a folder.
pub fn filed(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Filed {
    let what = which(fields, known, findings);
    let (has, lacks) = (flags(fields, "has", findings), flags(fields, "lacks", findings));
    let both = |name: &str| {
        let lacks = lacks.text();
        lacks.split_ascii_whitespace().any(|other| other.eq_ignore_ascii_case(name))
    };
    if let Some(name) = has.text().split_ascii_whitespace().find(|name| both(name))
        && let Some(field) = fields.get("lacks")
    {
        let problem = findings.lab(Code::BadCheck, &field.span, format!("no message has `{name}` and lacks it"));
        problem.help("take it out of `has` or of `lacks`");
    }
    if ["folder", "has", "lacks"].iter().all(|key| fields.get(key).is_none()) {
        let problem =
            findings.lab(Code::BadCheck, &fields.span, "neither a folder nor flags, so that anything would do");
        problem.help("say where the message is to be, or how: `folder = \"Archive\"`, `has = ['\\Seen']`");
    }
    let mailbox = mailbox(fields, "in", known, findings).unwrap_or_else(|| OWN.to_owned());
    let now = fields.boolean("now", false, findings);
    Filed { what, mailbox, folder: folder(fields, findings), has, lacks, now }
}

/// A list of flags.
fn flags(fields: &Fields<'_>, key: &'static str, findings: &mut Findings<'_>) -> NamedFlags {
    let most = Flags::SYSTEM.len() + MAX_KEYWORDS;
    let entries = fields.get(key).map(|field| field.at_most(most, findings)).unwrap_or_default();
    let mut named = NamedFlags::default();
    for entry in entries {
        flag(&entry, &mut named, findings);
    }
    named
}

/// A flag: one of the system's, which begin with a backslash, or a keyword (RFC 9051 2.3.2).
fn flag(entry: &Field<'_>, named: &mut NamedFlags, findings: &mut Findings<'_>) {
    let Some(text) = entry.text(findings) else { return };
    let system = |name: &str| Flags::SYSTEM.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
    if let Some((_, flag)) = system(text) {
        named.system = named.system.with(flag);
    } else if text.starts_with('\\') {
        let problem = findings.lab(Code::UnknownValue, &entry.span, format!("there is no flag `{text}`"));
        let names: Vec<&str> = Flags::SYSTEM.iter().map(|(name, _)| *name).collect();
        problem.help(format!("the flags of IMAP are `{}`", names.join("`, `")));
        problem.did_you_mean(text, names);
    } else if let Some((name, _)) = system(&format!("\\{text}")) {
        let problem = findings.lab(Code::UnknownValue, &entry.span, format!("`{text}` would be a keyword"));
        problem.help(format!("write `'{name}'`, in single quotes"));
    } else if !is_keyword(text) {
        let problem = findings.lab(Code::BadText, &entry.span, format!("`{text}` is no keyword"));
        problem.help(format!(
            "it is printable ASCII without blanks, quotes, parentheses, `{{`, `%`, `*`, `]` and `\\`, at most {MAX_KEYWORD} characters"
        ));
    } else {
        named.add_keyword(text);
    }
}

/// An atom (RFC 9051 9, flag-keyword).
fn is_keyword(text: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_graphic() && !b"(){%*\"\\]".contains(&octet);
    !text.is_empty() && text.len() <= MAX_KEYWORD && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_atoms_of_a_length() {
        assert!(is_keyword("$Forwarded") && is_keyword(&"k".repeat(MAX_KEYWORD)));
        assert!(!is_keyword("") && !is_keyword(&"k".repeat(MAX_KEYWORD + 1)));
        for wrong in ["a b", "a(", "\"a", "a*", "ñ", "a]", "\\a"] {
            assert!(!is_keyword(wrong), "{wrong}");
        }
    }
}
