//! Mail that the lab injects.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    diagnostic::{Code, Findings, Span, in_lab},
    fields::Fields,
    keys,
    placeholders::{Known, Scope},
};
use crate::{
    findings::{mailbox, named_headers},
    lab::{
        MAX_MAILS, Mail, MailId,
        template::{Piece, pieces},
    },
};

/// The octets that a student's text may have: at least one line end, at most what a class can send within a minute.
pub const TEXT: std::ops::RangeInclusive<u64> = 3..=(1 << 20);

/// The longest body as written, in octets.
pub const MAX_BODY: usize = 1 << 20;

/// A mail with its place, read up to its id and its text's length, so that others can speak of it. One whose id is missing,
/// wrong or taken has none; what else is wrong with it is still found.
#[derive(Debug)]
pub struct Draft<'a> {
    id: Option<MailId>,
    text_octets: u64,
    fields: Fields<'a>,
}

/// Reads which mails there are.
pub fn drafts<'a>(lab: &Fields<'a>, findings: &mut Findings<'_>) -> Vec<Draft<'a>> {
    let tables = lab.get("mail").map(|field| field.tables(&keys::MAIL, MAX_MAILS, findings)).unwrap_or_default();
    let mut seen: BTreeMap<MailId, Span> = BTreeMap::new();
    let mut drafts = Vec::new();
    for fields in tables {
        let id = id(&fields, &mut seen, findings);
        let text_octets = fields.get("text").and_then(|field| field.octets(TEXT, findings)).unwrap_or(0);
        drafts.push(Draft { id, text_octets, fields });
    }
    drafts
}

fn id(fields: &Fields<'_>, seen: &mut BTreeMap<MailId, Span>, findings: &mut Findings<'_>) -> Option<MailId> {
    let field = fields.required("id", "id = \"welcome\"", findings)?;
    let id: MailId = field.name("a mail", findings)?;
    if let Some(first) = seen.get(&id) {
        let problem = findings.lab(Code::Duplicate, &field.span, format!("mail `{id}` stands twice"));
        problem.second(in_lab(first), "first here");
        return None;
    }
    seen.insert(id.clone(), field.span);
    Some(id)
}

/// What other templates may know of the mails.
pub fn known(drafts: &[Draft<'_>]) -> BTreeMap<String, u64> {
    drafts.iter().filter_map(|draft| Some((draft.id.as_ref()?.to_string(), draft.text_octets))).collect()
}

/// The mails of which a group gets one copy, as far as their own words tell.
pub fn shared(drafts: &[Draft<'_>]) -> BTreeSet<String> {
    let speaks = |draft: &Draft<'_>| {
        let texts = ["to", "from", "subject", "headers", "body"].into_iter().filter_map(|key| draft.fields.get(key));
        let to_student = draft.fields.get("to").is_none();
        to_student
            || texts
                .flat_map(|field| field.texts())
                .any(|text| pieces(text).unwrap_or_default().iter().any(|piece| is_personal(piece, &[])))
    };
    drafts.iter().filter(|draft| !speaks(draft)).filter_map(|draft| Some(draft.id.as_ref()?.to_string())).collect()
}

/// Reads the mails themselves.
pub fn mails(drafts: Vec<Draft<'_>>, known: &Known<'_>, findings: &mut Findings<'_>) -> Vec<Mail> {
    let mut mails: Vec<Mail> = drafts.into_iter().map(|draft| mail(draft, known, findings)).collect();
    // A mail that gives away another's individual value is individual itself; each round finds one such step at least.
    loop {
        let individual: Vec<String> = mails.iter().filter(|m| m.per_student).map(|m| m.id.to_string()).collect();
        let found = |mail: &&mut Mail| !mail.per_student && speaks_of(mail, &individual);
        let mut changed = false;
        for mail in mails.iter_mut().filter(found) {
            mail.per_student = true;
            changed = true;
        }
        if !changed {
            return mails;
        }
    }
}

fn mail(draft: Draft<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Mail {
    let Draft { id, text_octets, fields } = draft;
    let to = mailbox(&fields, "to", known, findings).unwrap_or_else(|| "{login}".into());
    let mut line = |key, default: &str| match fields.text(key, findings) {
        Some((text, span)) => {
            header_text(key, text, &span, known, findings);
            text.to_owned()
        }
        None => default.to_owned(),
    };
    let (from, subject) = (line("from", "instructor@{domain}"), line("subject", ""));
    if let Some(field) = fields.get("from").filter(|_| from.contains([' ', '<', '>'])) {
        findings
            .lab(Code::BadText, &field.span, format!("`{from}` is no sender"))
            .help("write an address, or \"\" for none");
    }
    let headers = headers(&fields, known, findings);
    let body = body(&fields, id.as_ref(), known, findings);
    let id = id.unwrap_or_else(|| "0".parse().expect("a digit is a name"));
    let mut mail = Mail { id, to, from, subject, headers, body, text_octets, per_student: false };
    mail.per_student = speaks_of(&mail, &[]);
    mail
}

fn headers(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Vec<(String, String)> {
    let Some(field) = fields.get("headers") else {
        return Vec::new();
    };
    let mut headers = Vec::new();
    for header in named_headers(&field, findings) {
        let Some(text) = header.text(findings) else { continue };
        if header.key.eq_ignore_ascii_case("subject") {
            findings
                .lab(Code::Conflict, &header.key_span, "the subject has a key of its own")
                .help("write `subject = \"…\"`");
        }
        header_text(header.key, text, &header.span, known, findings);
        headers.push((header.key.to_owned(), text.to_owned()));
    }
    headers
}

fn header_text(key: &str, text: &str, span: &Span, known: &Known<'_>, findings: &mut Findings<'_>) {
    if text.chars().any(char::is_control) {
        findings.lab(Code::BadText, span, format!("`{key}` is one line of printable text"));
    }
    known.template(text, span, Scope::Header, findings);
}

fn body(fields: &Fields<'_>, id: Option<&MailId>, known: &Known<'_>, findings: &mut Findings<'_>) -> String {
    let Some((text, span)) = fields.text("body", findings) else {
        return String::new();
    };
    if text.len() > MAX_BODY {
        findings.lab(Code::BadText, &span, format!("`body` is longer than {MAX_BODY} octets"));
    }
    let text = text.replace("\r\n", "\n");
    if text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t')) {
        findings.lab(Code::BadText, &span, "`body` has control characters");
    }
    known.template(&text, &span, Scope::Body(id.map(MailId::as_str)), findings);
    text
}

/// Whether a mail speaks of one student: by name, or by a value of a mail that does (`individual`).
fn speaks_of(mail: &Mail, individual: &[String]) -> bool {
    let headers = mail.headers.iter().map(|(_, value)| value.as_str());
    let templates = [mail.to.as_str(), &mail.from, &mail.subject, &mail.body].into_iter().chain(headers);
    templates.flat_map(|template| pieces(template).unwrap_or_default()).any(|piece| is_personal(&piece, individual))
}

/// Whether a piece of a template is another for each student.
fn is_personal(piece: &Piece<'_>, individual: &[String]) -> bool {
    match piece {
        Piece::Value { name: "login" | "name" | "email", .. } | Piece::Value { name: "password", of: None } => true,
        Piece::Value { name: "secret" | "text", of: Some(other) } => individual.iter().any(|id| id == other),
        Piece::Text(_) | Piece::Value { .. } => false,
    }
}
