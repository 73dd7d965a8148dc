//! Faults of the lab: what its servers do wrong on purpose.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    diagnostic::{Code, Findings, Span, in_lab},
    fields::{Field, Fields},
    keys,
    placeholders::Known,
    steps,
};
use crate::lab::{
    Fault, FaultId, Protocol,
    exercise::{MAX_STEPS, Step},
    fault::{ACTS, Act, Count, MAX_FAULTS, MAX_STRIKES, place},
};

/// The names of the faults that the lab has, for whoever speaks of them.
pub fn names(lab: &Fields<'_>) -> BTreeSet<String> {
    // Whatever is wrong with them is noted when they are read.
    let silent = &mut Findings::new("", &[]);
    let field = lab.get("fault").filter(|field| !field.is_text());
    let tables = field.map(|field| field.tables(&keys::FAULT, MAX_FAULTS, silent)).unwrap_or_default();
    tables.iter().filter_map(|fields| fields.text("id", silent)).map(|(id, _)| id.to_owned()).collect()
}

/// Reads the faults.
pub fn faults(lab: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Vec<Fault> {
    let Some(field) = lab.get("fault") else {
        return Vec::new();
    };
    let mut faults = Vec::new();
    let mut places: BTreeMap<FaultId, Span> = BTreeMap::new();
    for fields in field.tables(&keys::FAULT, MAX_FAULTS, findings) {
        let named = fields.required("id", "id = \"busy\"", findings);
        let named = named.and_then(|field| Some((field.name::<FaultId>("a fault", findings)?, field.span)));
        let fault = fault(&fields, known, findings);
        let Some((id, span)) = named else { continue };
        if let Some(first) = places.get(&id) {
            let problem = findings.lab(Code::Duplicate, &span, format!("fault `{id}` stands twice"));
            problem.second(in_lab(first), "first here");
            continue;
        }
        places.insert(id.clone(), span);
        faults.extend(fault.map(|fault| Fault { id, ..fault }));
    }
    faults
}

/// Reads one fault; its id is filled in by who knows all of them.
fn fault(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Fault> {
    let protocols = Protocol::ALL.map(|protocol| (protocol.as_str(), protocol));
    let chosen = fields.get("protocol").map(|field| field.choice(&protocols, findings));
    let protocol = chosen.unwrap_or(Some(Protocol::Smtp));
    let count = count(fields, findings);
    let after = after(fields, protocol, known, findings);
    let again = fields.boolean("again", false, findings);
    if let Some(field) = fields.get("again").filter(|_| again && after.is_empty()) {
        let problem = findings.lab(Code::NoEffect, &field.key_span, "nothing arms this fault again");
        problem.help("say what does: `after = [\"VRFY busy\"]`");
    }
    let act = fields.required("do", "do = \"refuse 421\"", findings);
    let act = act.and_then(|field| Some((self::act(&field, findings)?, field.span)));
    let at = fields.get("at").map(|field| at(&field, protocol, known, findings));
    let (act, span) = act?;
    let usual = || act.usual_place().map(|usual| place(usual).expect("the usual places are places"));
    let Some(at) = at.unwrap_or_else(usual) else {
        if fields.get("at").is_none() {
            let problem = findings.lab(Code::MissingKey, &span, format!("`{act}` does not say where"));
            problem.help("add for example `at = \"MAIL\"`");
        }
        return None;
    };
    if let Err(problem) = act.may_stand(protocol?, &at) {
        findings.lab(Code::BadFault, &span, problem);
        return None;
    }
    let id = "0".parse().expect("a digit is a name");
    Some(Fault { id, protocol: protocol?, at, act, count, after, again })
}

fn act(field: &Field<'_>, findings: &mut Findings<'_>) -> Option<Act> {
    let text = field.text(findings)?;
    match text.parse() {
        Ok(act) => Some(act),
        Err(problem) => {
            let kinds = ACTS.iter().map(|act| act.split(' ').next().unwrap_or_default()).chain(["bare-lf"]);
            let word = text.split(' ').next().unwrap_or_default();
            let known = kinds.clone().any(|kind| kind == word);
            let problem = findings.lab(Code::BadFault, &field.span, problem);
            if !known {
                problem.did_you_mean(word, kinds);
            }
            None
        }
    }
}

fn at(field: &Field<'_>, protocol: Option<Protocol>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Step> {
    let step = plain(field, protocol, known, findings)?;
    if step.forbidden || step.reply.is_some() {
        let problem = findings.lab(Code::BadFault, &field.span, "a fault strikes before there is a reply");
        problem.help("write a verb and what follows it, without `!` and `->`: `at = \"RCPT *user2*\"`");
        return None;
    }
    Some(step)
}

fn after(fields: &Fields<'_>, protocol: Option<Protocol>, known: &Known<'_>, findings: &mut Findings<'_>) -> Vec<Step> {
    let Some(field) = fields.get("after") else {
        return Vec::new();
    };
    let mut steps = Vec::new();
    for entry in field.at_most(MAX_STEPS, findings) {
        let Some(step) = plain(&entry, protocol, known, findings) else { continue };
        if step.forbidden {
            let problem =
                findings.lab(Code::BadFault, &entry.span, "a fault waits for what comes, not for what does not");
            problem.help("leave the `!` step out");
        }
        steps.push(step);
    }
    steps
}

/// A step that is the same for everybody.
fn plain(
    field: &Field<'_>,
    protocol: Option<Protocol>,
    known: &Known<'_>,
    findings: &mut Findings<'_>,
) -> Option<Step> {
    let step = steps::step(field, protocol, known, findings)?;
    if step.text.contains(['{', '}']) {
        let problem = findings.lab(Code::BadFault, &field.span, "a placeholder cannot stand in a fault");
        problem.help("a fault strikes each student alone: write `*`");
        return None;
    }
    Some(step)
}

fn count(fields: &Fields<'_>, findings: &mut Findings<'_>) -> Count {
    let mut number = |key| {
        let field = fields.get(key)?;
        let number = field.number(1..=u64::from(MAX_STRIKES), findings)?;
        Some((u32::try_from(number).ok()?, field.key_span))
    };
    match (number("times"), number("connections")) {
        (Some(_), Some((_, span))) => {
            let problem = findings.lab(Code::Conflict, &span, "`times` and `connections` exclude each other");
            problem.help("keep the one that it counts");
            Count::Times(1)
        }
        (Some((times, _)), None) => Count::Times(times),
        (None, Some((connections, _))) => Count::Connections(connections),
        (None, None) => Count::Times(1),
    }
}
