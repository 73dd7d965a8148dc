//! The checks of an exercise: each table is exactly one kind.

use super::{
    diagnostic::{Code, Findings, Span},
    fields::{Field, Fields, listed},
    folders, keys,
    mail::{mailbox, named_headers},
    placeholders::{Known, Scope},
    steps, witness,
};
use crate::{
    lab::{
        Check, Protocol, TlsVersion,
        exercise::{Bound, Comparison, Conversation, MAX_STEPS, MessageCheck, Pattern, Terms, TlsMode, Touched, Which},
        witness::Fate,
    },
    protocol::sasl::Mechanism,
};

/// The most times that something may have to be shown.
pub const MAX_TIMES: u64 = 1_000;

/// The most MIME parts that a message check asks for.
pub const MAX_PARTS: usize = 20;

/// The kinds of checks by the key that makes them.
const KINDS: [&str; 10] =
    ["steps", "message", "retrieved", "deleted", "mailbox", "filed", "query", "relayed", "deferred", "bounced"];

/// The keys that make a check a conversation.
const CONVERSATION: [&str; 9] =
    ["protocol", "steps", "times", "fault", "during", "tls", "tls_version", "auth", "pipelined"];

/// Reads a check.
pub fn check(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Check> {
    let conversation = CONVERSATION.iter().any(|key| fields.get(key).is_some());
    let kinds: Vec<&str> = KINDS
        .into_iter()
        .filter(|kind| if *kind == "steps" { conversation } else { fields.get(kind).is_some() })
        .collect();
    let [kind] = kinds.as_slice() else {
        let message = match kinds.as_slice() {
            [] => "a check that asks for nothing".to_owned(),
            several => format!("one check asks for `{}` at once", several.join("` and `")),
        };
        let problem = findings.lab(Code::BadCheck, &fields.span, message);
        problem.help(format!(
            "a check has one of {}; write several checks where several things must hold",
            listed(&KINDS)
        ));
        return None;
    };
    let table =
        |section, findings: &mut Findings<'_>| fields.get(kind).and_then(|field| field.table(section, findings));
    match *kind {
        "steps" => self::conversation(fields, known, findings).map(Check::Conversation),
        "message" => Some(Check::Message(message(&table(&keys::MESSAGE, findings)?, known, findings))),
        "retrieved" => Some(Check::Retrieved(touched(&table(&keys::TOUCHED, findings)?, known, findings))),
        "deleted" => Some(Check::Deleted(touched(&table(&keys::TOUCHED, findings)?, known, findings))),
        "query" => witness::query(&fields.get("query")?, known, findings).map(Check::Query),
        "relayed" => witness::carried(Fate::Relayed, &fields.get("relayed")?, known, findings).map(Check::Carried),
        "deferred" => witness::carried(Fate::Deferred, &fields.get("deferred")?, known, findings).map(Check::Carried),
        "bounced" => witness::carried(Fate::Bounced, &fields.get("bounced")?, known, findings).map(Check::Carried),
        "mailbox" => folders::state(&table(&keys::MAILBOX, findings)?, known, findings).map(Check::Mailbox),
        _ => Some(Check::Filed(folders::filed(&table(&keys::FILED, findings)?, known, findings))),
    }
}

fn conversation(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Conversation> {
    let times = times(fields, findings);
    let fault = fields.text("fault", findings).and_then(|(id, span)| {
        known.expect_fault(id, &span, findings);
        id.parse().ok()
    });
    let during = fields.boolean("during", false, findings);
    if let Some(field) = fields.get("during").filter(|_| during && fields.get("fault").is_none()) {
        let problem = findings.lab(Code::NoEffect, &field.key_span, "no fault is asked for");
        problem.help("say which one: `fault = \"busy\"`");
    }
    let terms = terms(fields, findings);
    let spans = ["tls", "tls_version", "auth"].map(|key| fields.get(key).map(|field| field.span));
    known.offered.expect_terms(&terms, spans, findings);
    let pipelined = fields.boolean("pipelined", false, findings);
    let protocol = fields.required("protocol", "protocol = \"smtp\"", findings);
    let steps = fields.required("steps", "steps = [\"HELO -> 250\", \"QUIT -> 221\"]", findings);
    let protocol = protocol.and_then(|field| field.choice(&protocols(), findings));
    let field = steps?;
    let entries = field.at_most(MAX_STEPS, findings);
    let parse = |entry: &Field<'_>| steps::step(entry, protocol, known, findings);
    let parsed: Vec<_> = entries.iter().filter_map(parse).collect();
    for (step, entry) in parsed.iter().zip(&entries).filter(|_| parsed.len() == entries.len()) {
        known.offered.expect_step(step, &entry.span, findings);
    }
    if parsed.len() == entries.len() && parsed.iter().all(|step| step.forbidden) {
        let problem =
            findings.lab(Code::BadCheck, &field.span, "no step that must come, so that any connection would do");
        problem.help("begin for example with `<connect>`");
    }
    let wanted = parsed.iter().filter(|step| !step.forbidden).count();
    if let Some(field) = fields.get("pipelined").filter(|_| pipelined && wanted == 1 && parsed.len() == entries.len()) {
        let problem = findings.lab(Code::BadCheck, &field.key_span, "one step comes before no other's reply");
        problem.help("name the commands that are to come at once: `steps = [\"MAIL\", \"RCPT\", \"DATA\"]`");
    }
    Some(Conversation { protocol: protocol?, steps: parsed, times, fault, during, terms, pipelined })
}

fn terms(fields: &Fields<'_>, findings: &mut Findings<'_>) -> Terms {
    let modes = [("none", TlsMode::Clear), ("starttls", TlsMode::Starttls), ("implicit", TlsMode::Implicit)];
    let versions = [TlsVersion::V12, TlsVersion::V13].map(|version| (version.as_str(), version));
    let mechanisms = Mechanism::ALL.map(Mechanism::as_str).into_iter().chain(["PASS", "APOP"]);
    let mechanisms: Vec<(&str, &str)> = mechanisms.map(|name| (name, name)).collect();
    let tls = fields.get("tls").and_then(|field| field.choice(&modes, findings));
    if let Some(field) = fields.get("tls_version").filter(|_| tls == Some(TlsMode::Clear)) {
        let problem = findings.lab(Code::Conflict, &field.key_span, "without TLS there is no version of it");
        problem.help("leave `tls_version` out");
    }
    Terms {
        tls,
        version: fields.get("tls_version").and_then(|field| field.choice(&versions, findings)),
        auth: fields.get("auth").and_then(|field| field.choice(&mechanisms, findings)).map(str::to_owned),
    }
}

fn protocols() -> [(&'static str, Protocol); 3] {
    Protocol::CHECKED.map(|protocol| (protocol.as_str(), protocol))
}

/// How many times something must be shown.
pub fn times(fields: &Fields<'_>, findings: &mut Findings<'_>) -> u32 {
    u32::try_from(fields.number("times", 1, 1..=MAX_TIMES, findings)).unwrap_or(1)
}

fn message(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> MessageCheck {
    let times = times(fields, findings);
    let one_connection = fields.boolean("one_connection", false, findings);
    if let Some(field) = fields.get("one_connection").filter(|_| one_connection && times == 1) {
        let problem = findings.lab(Code::NoEffect, &field.key_span, "one message always comes over one connection");
        problem.help("say how many there are, for example `times = 2`, or leave it out");
    }
    MessageCheck {
        mailbox: mailbox(fields, "in", known, findings),
        from: pattern(fields.get("from"), known, findings),
        to: pattern(fields.get("to"), known, findings),
        headers: headers(fields, known, findings),
        body: pattern(fields.get("body"), known, findings),
        parts: parts(fields, known, findings),
        size: fields.get("size").and_then(|field| bound(&field, findings)),
        hash: hash(fields, known, findings),
        text: mail_of(fields, "text", known, findings),
        secret: mail_of(fields, "secret", known, findings),
        times,
        one_connection,
    }
}

/// A pattern for this student.
pub fn pattern(field: Option<Field<'_>>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Pattern> {
    let field = field?;
    let text = field.text(findings)?;
    known.template(text, &field.span, Scope::Check, findings);
    Some(Pattern(text.to_owned()))
}

fn parts(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Vec<Pattern> {
    let entries = fields.get("parts").map(|field| field.at_most(MAX_PARTS, findings)).unwrap_or_default();
    let mut part = |entry: Field<'_>| {
        let span = entry.span.clone();
        let part = pattern(Some(entry), known, findings)?;
        if !part.0.contains(['/', '*', '{']) {
            let problem = findings.lab(Code::BadText, &span, format!("`{}` is no media type", part.0));
            problem.help("write for example `\"text/plain\"` or `\"image/*\"`");
        }
        Some(part)
    };
    entries.into_iter().filter_map(&mut part).collect()
}

fn headers(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Vec<(String, Pattern)> {
    let entries = fields.get("headers").map(|field| named_headers(&field, findings)).unwrap_or_default();
    let mut header = |entry: Field<'_>| {
        let name = entry.key.to_owned();
        Some((name, pattern(Some(entry), known, findings)?))
    };
    entries.into_iter().filter_map(&mut header).collect()
}

fn hash(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<String> {
    let (text, span) = fields.text("hash", findings)?;
    known.template(text, &span, Scope::Check, findings);
    let whole = text.len() == 64 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
    if !whole && !text.contains('{') {
        findings.lab(Code::BadText, &span, "a hash is the 64 hexadecimal digits of a SHA-256");
    }
    // A template's placeholders are lower case too.
    Some(text.to_ascii_lowercase())
}

/// The injected mail that a key names.
fn mail_of(
    fields: &Fields<'_>,
    key: &'static str,
    known: &Known<'_>,
    findings: &mut Findings<'_>,
) -> Option<crate::lab::MailId> {
    let (id, span) = fields.text(key, findings)?;
    if key == "text" {
        known.expect_text(id, &span, findings);
    } else {
        known.expect_mail(id, &span, findings);
    }
    id.parse().ok()
}

fn touched(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Touched {
    let via = [Protocol::Pop3, Protocol::Imap].map(|protocol| (protocol.as_str(), protocol));
    let via = fields.get("via").and_then(|field| field.choice(&via, findings));
    let folder = folders::folder(fields, findings);
    if let Some(field) = fields.get("folder").filter(|_| via == Some(Protocol::Pop3))
        && folder.as_ref().is_some_and(|folder| !folder.is_inbox())
    {
        let problem = findings.lab(Code::BadCheck, &field.span, "POP3 knows the folder INBOX only");
        problem.help("write `via = \"imap\"`, or leave the folder out");
    }
    Touched { what: which(fields, known, findings), mailbox: mailbox(fields, "in", known, findings), folder, via }
}

/// Which message a check speaks of.
pub fn which(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Which {
    let own = fields.boolean("own", false, findings);
    let mail = mail_of(fields, "mail", known, findings);
    if let Some(field) = fields.get("own").filter(|_| own && fields.get("mail").is_some()) {
        let problem =
            findings.lab(Code::BadCheck, &field.key_span, "no message is both the student's own and an injected one");
        problem.help("keep `mail` or `own`");
    }
    match mail {
        Some(mail) => Which::Injected(mail),
        None if own => Which::Own,
        None => Which::Any,
    }
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
