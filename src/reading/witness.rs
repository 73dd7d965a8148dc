//! Checks of queries and of mail for other servers, and checks that come after each other: each can hold in the lab at hand.

use std::collections::BTreeSet;

use super::{
    check::{pattern, times},
    diagnostic::{Code, Findings, Span},
    fields::{Field, Fields},
    keys,
    placeholders::Known,
};
use crate::lab::{
    Check, Service,
    exercise::{Filed, MailboxCheck},
    witness::{Answer, CarriedCheck, Fate, QueryCheck, RECORDS},
};

/// Reads `query = { … }`.
pub fn query(field: &Field<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<QueryCheck> {
    let fields = field.table(&keys::QUERY, findings)?;
    if !known.settings.services.contains(&Service::Domain) {
        let problem = findings.lab(Code::BadCheck, &field.key_span, "nobody can ask for names in this lab");
        problem.help("add `domain` to `services`");
    }
    let answers = Answer::ALL.map(|answer| (answer.as_str(), answer));
    Some(QueryCheck {
        name: pattern(fields.get("name"), known, findings),
        records: fields.get("record").map(|field| records(&field, findings)).unwrap_or_default(),
        answer: fields.get("answer").and_then(|field| field.choice(&answers, findings)).unwrap_or(Answer::NoError),
        times: times(&fields, findings),
    })
}

/// The record types between bars: `A|AAAA`.
fn records(field: &Field<'_>, findings: &mut Findings<'_>) -> Vec<String> {
    let Some(text) = field.text(findings) else { return Vec::new() };
    let mut records = Vec::new();
    for record in text.split('|').map(str::trim) {
        expect_record(record, &field.span, findings);
        records.push(record.to_ascii_uppercase());
    }
    records
}

/// Notes it where there is no such record type.
pub fn expect_record(record: &str, span: &Span, findings: &mut Findings<'_>) {
    let upper = record.to_ascii_uppercase();
    if !RECORDS.contains(&upper.as_str()) {
        let problem = findings.within(Code::UnknownValue, span, format!("there is no record type `{record}`"));
        problem.help(format!("write one of `{}`", RECORDS.join("`, `"))).did_you_mean(&upper, RECORDS);
    }
}

/// Reads `relayed = { … }`, `deferred = { … }` or `bounced = { … }`.
pub fn carried(fate: Fate, field: &Field<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<CarriedCheck> {
    let fields = field.table(&keys::CARRIED, findings)?;
    if !known.settings.relay {
        let problem = findings.lab(Code::BadCheck, &field.key_span, "no mail goes to other servers in this lab");
        problem.help("add `relay = true`");
    } else if fate == Fate::Relayed && known.people.groups.len() == 1 && known.settings.routes.is_empty() {
        let problem = findings.lab(Code::BadCheck, &field.key_span, "there is no other server in this lab");
        problem.help("add a group, `groups = [\"g01\", \"g02\"]`, or a way out of the lab, `[[route]]`");
    }
    let status = pattern(fields.get("status"), known, findings);
    if let Some(field) = fields.get("status").filter(|_| fate != Fate::Bounced) {
        let problem = findings.lab(Code::NoEffect, &field.key_span, "only what comes back has a status");
        problem.help("leave it out");
    }
    Some(CarriedCheck {
        fate,
        to: pattern(fields.get("to"), known, findings),
        status: status.filter(|_| fate == Fate::Bounced),
        times: times(&fields, findings),
    })
}

/// Which checks come after the one before them; `tables` are those that were read into `checks`.
pub fn then(tables: &[Fields<'_>], checks: &[Check], findings: &mut Findings<'_>) -> BTreeSet<usize> {
    let mut then = BTreeSet::new();
    for (place, (table, check)) in tables.iter().zip(checks).enumerate() {
        if !table.boolean("then", false, findings) {
            continue;
        }
        let wrong = match (place.checked_sub(1).map(|before| &checks[before]), check) {
            (None, _) => Some("there is no check before it"),
            (Some(_), Check::Mailbox(_)) => Some("a mailbox is the group's, whoever filled it when"),
            (Some(_), Check::Filed(Filed { now: true, .. })) => Some("it speaks of the end of the record itself"),
            (Some(Check::Mailbox(MailboxCheck { now: true, .. }) | Check::Filed(Filed { now: true, .. })), _) => {
                Some("the check before it speaks of the end of the record")
            }
            (Some(_), _) => None,
        };
        if let (Some(why), Some(field)) = (wrong, table.get("then")) {
            let problem = findings.lab(Code::BadCheck, &field.key_span, why);
            problem.help("leave `then` out");
        }
        then.insert(place);
    }
    then
}
