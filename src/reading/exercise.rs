//! Exercises with their points, order and reference solutions; their checks are `check`.

use std::collections::BTreeMap;

use super::{
    diagnostic::{Code, Findings, Span, in_lab},
    fields::{Field, Fields, listed},
    keys,
    placeholders::{Known, Scope},
};
use crate::{
    lab::{
        Exercise, ExerciseId, MAX_EXERCISES, Script, Service, Text,
        exercise::{Asked, Points, Same, ScriptLine},
    },
    marking::checks,
};

/// The highest number of a session.
pub const MAX_SESSION: u64 = 100;

/// The most points of an exercise.
pub const MAX_POINTS: u32 = 1_000;

/// The most checks of an exercise.
pub const MAX_CHECKS: usize = 50;

/// The most connections of a solution.
pub const MAX_SCRIPTS: usize = 50;

/// Reads the exercises.
pub fn exercises(lab: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Vec<Exercise> {
    let Some(field) = lab.get("exercise") else {
        return Vec::new();
    };
    let mut exercises = Vec::new();
    let mut places: BTreeMap<ExerciseId, Span> = BTreeMap::new();
    let mut after: Vec<(ExerciseId, Field<'_>)> = Vec::new();
    for fields in field.tables(&keys::EXERCISE, MAX_EXERCISES, findings) {
        let id = fields.required("id", "id = \"1.1\"", findings);
        let named = id.and_then(|field| Some((field.name::<ExerciseId>("an exercise", findings)?, field.span)));
        let mut exercise = exercise(&fields, known, findings);
        let Some((id, span)) = named else { continue };
        if let Some(first) = places.get(&id) {
            let problem = findings.lab(Code::Duplicate, &span, format!("exercise `{id}` stands twice"));
            problem.second(in_lab(first), "first here");
            continue;
        }
        after.extend(fields.get("after").map(|field| (id.clone(), field)));
        places.insert(id.clone(), span);
        exercise.id = id;
        exercises.push(exercise);
    }
    let order = order(after, &places, findings);
    circles(&order, findings);
    for exercise in &mut exercises {
        let before = order.get(&exercise.id).map(Vec::as_slice).unwrap_or_default();
        exercise.after = before.iter().map(|(id, _)| id.clone()).collect();
    }
    exercises
}

/// Reads one exercise; its id and what it comes after are filled in by who knows all of them.
fn exercise(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Exercise {
    let checks = fields.required("check", "[[exercise.check]]", findings);
    let checks = checks.map(|field| field.tables(&checks::CHECK, MAX_CHECKS, findings)).unwrap_or_default();
    let tables = checks;
    let checks = checks::read(&tables, known, findings);
    let same = same(fields, &checks, findings);
    let any = any(fields, checks.len(), findings);
    let session = fields.number("session", 1, 1..=MAX_SESSION, findings);
    Exercise {
        id: "0".parse().expect("a digit is a name"),
        title: template(fields, "title", known, findings),
        hint: template(fields, "hint", known, findings),
        session: u32::try_from(session).unwrap_or(1),
        points: fields.get("points").and_then(|field| points(&field, findings)).unwrap_or(Points(100)),
        partial: fields.boolean("partial", false, findings),
        after: Vec::new(),
        checks,
        same,
        any,
        weak: fields.text("weak", findings).map(|(why, _)| why.to_owned()),
        solution: solution(fields, known, findings),
    }
}

/// A text whose placeholders stand for the student's own.
fn template(fields: &Fields<'_>, key: &'static str, known: &Known<'_>, findings: &mut Findings<'_>) -> Text {
    let text = self::text(fields, key, findings);
    if let Some(field) = fields.get(key) {
        for text in field.texts() {
            let span = findings.find(&field.span, text).unwrap_or_else(|| field.span.clone());
            known.template(text, &span, Scope::Check, findings);
        }
    }
    text
}

/// Reads `same`.
fn same(fields: &Fields<'_>, checks: &[Asked], findings: &mut Findings<'_>) -> Option<Same> {
    let field = fields.get("same")?;
    let same = field.choice(&[("connection", Same::Connection), ("message", Same::Message)], findings)?;
    let written = || checks.iter().map(|asked| asked.check::<checks::Check>().written());
    if checks.len() < 2 {
        let problem = findings.lab(Code::NoEffect, &field.key_span, "one check is always met by one thing");
        problem.help("leave `same` out, or write the other checks");
    } else if let Some(why) = written().find_map(|check| check.never_bound(same)) {
        findings
            .lab(Code::BadCheck, &field.key_span, why)
            .help("leave `same` out, or put that check into another exercise");
    }
    Some(same)
}

/// Reads `any`.
fn any(fields: &Fields<'_>, checks: usize, findings: &mut Findings<'_>) -> Option<usize> {
    let field = fields.get("any")?;
    let any = usize::try_from(field.number(1..=MAX_CHECKS as u64, findings)?).ok()?;
    if any >= checks {
        let message = format!("`any = {any}` of {checks} checks are all of them");
        findings.lab(Code::NoEffect, &field.span, message).help("leave `any` out");
    }
    if let Some(other) = fields.get("same") {
        let problem = findings.lab(Code::Conflict, &other.key_span, "`any` and `same` exclude each other");
        problem.help("keep one of them");
    }
    Some(any)
}

/// A text, or a table of texts by language.
pub fn text(fields: &Fields<'_>, key: &'static str, findings: &mut Findings<'_>) -> Text {
    let Some(field) = fields.get(key) else {
        return Text::default();
    };
    if !field.is_table() {
        return Text::plain(field.text(findings).unwrap_or_default());
    }
    let mut texts = BTreeMap::new();
    for entry in field.free_table(findings) {
        let language = entry.key;
        if !(matches!(language.len(), 2 | 3) && language.bytes().all(|octet| octet.is_ascii_lowercase())) {
            let problem = findings.lab(Code::BadName, &entry.key_span, format!("`{language}` is no language"));
            problem.help("write its code: `es`, `en`");
        }
        if let Some(text) = entry.text(findings) {
            texts.insert(language.to_owned(), text.to_owned());
        }
    }
    Text(texts)
}

fn points(field: &Field<'_>, findings: &mut Findings<'_>) -> Option<Points> {
    let parse = |text: &str| -> Option<u32> {
        let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
        let rest = rest.trim_end_matches('0');
        let digits = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
        if !digits(whole) || !digits(rest) || rest.len() > 2 {
            return None;
        }
        let hundredths: u32 = format!("{rest:0<2}").parse().ok()?;
        whole.parse::<u32>().ok()?.checked_mul(100)?.checked_add(hundredths)
    };
    let found = field.decimal().and_then(parse).filter(|hundredths| *hundredths <= MAX_POINTS * 100);
    if found.is_none() {
        let message = format!("points are a number from 0 to {MAX_POINTS} with at most two decimals");
        findings.lab(Code::BadNumber, &field.span, message).help("write `points = 2` or `points = 0.25`");
    }
    found.map(Points)
}

/// What each exercise comes after, where that exists.
type Order = BTreeMap<ExerciseId, Vec<(ExerciseId, Span)>>;

fn order(
    after: Vec<(ExerciseId, Field<'_>)>,
    places: &BTreeMap<ExerciseId, Span>,
    findings: &mut Findings<'_>,
) -> Order {
    let mut order = Order::new();
    for (id, field) in after {
        let before: &mut Vec<(ExerciseId, Span)> = order.entry(id.clone()).or_default();
        for entry in field.at_most(MAX_EXERCISES, findings) {
            let Some(text) = entry.text(findings) else { continue };
            match places.get_key_value(text) {
                Some((other, _)) if before.iter().any(|(known, _)| known == other) => {
                    findings.lab(Code::Duplicate, &entry.span, format!("`{other}` stands twice in `after`"));
                }
                Some((other, _)) => before.push((other.clone(), entry.span)),
                None => {
                    let message = format!("`{id}` comes after `{text}`, which does not exist");
                    let problem = findings.lab(Code::UnknownExercise, &entry.span, message);
                    problem.did_you_mean(text, places.keys().map(ExerciseId::as_str));
                }
            }
        }
    }
    order
}

/// Notes each circle once, with its way round. Depth first; an exercise is left behind once all it comes after is known.
fn circles(order: &Order, findings: &mut Findings<'_>) {
    let mut done: Vec<&ExerciseId> = Vec::new();
    for start in order.keys() {
        // The way to the exercise at hand, each with how many of its predecessors are behind us.
        let mut way: Vec<(&ExerciseId, usize)> = Vec::new();
        if !done.contains(&start) {
            way.push((start, 0));
        }
        while let Some((id, next)) = way.last_mut() {
            let before = order.get(*id).map(Vec::as_slice).unwrap_or_default();
            let Some((other, span)) = before.get(*next) else {
                done.push(id);
                way.pop();
                continue;
            };
            *next += 1;
            if let Some(from) = way.iter().position(|(on_way, _)| *on_way == other) {
                let round: Vec<&str> = way[from..].iter().map(|(id, _)| id.as_str()).chain([other.as_str()]).collect();
                let message = match round.len() {
                    2 => format!("exercise `{other}` comes after itself"),
                    _ => format!("exercises come after each other in a circle: `{}`", round.join("` after `")),
                };
                findings.lab(Code::Circle, span, message).help("take one of them out of `after`: nobody could begin");
            } else if !done.contains(&other) {
                way.push((other, 0));
            }
        }
    }
}

/// The services that a solution connects to.
const PLAYED: [Service; 8] = [
    Service::Smtp,
    Service::Submission,
    Service::Submissions,
    Service::Pop3,
    Service::Pop3s,
    Service::Imap,
    Service::Imaps,
    Service::Domain,
];

fn solution(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Vec<Script> {
    let Some(field) = fields.get("solution") else {
        return Vec::new();
    };
    let tables = if field.is_table() {
        field.table(&keys::SOLUTION, findings).into_iter().collect()
    } else {
        field.tables(&keys::SOLUTION, MAX_SCRIPTS, findings)
    };
    let mut scripts = Vec::new();
    for table in tables {
        let mut connections: Vec<(Service, Field<'_>)> =
            PLAYED.into_iter().filter_map(|service| Some((service, table.get(service.as_str())?))).collect();
        connections.sort_by_key(|(_, field)| field.key_span.start);
        if connections.is_empty() && table.written().is_empty() {
            let problem = findings.lab(Code::BadScript, &table.span, "a solution without a connection");
            problem.help(format!("write {}", listed(keys::SOLUTION.keys)));
        }
        scripts.extend(connections.into_iter().filter_map(|(service, field)| script(service, &field, known, findings)));
    }
    scripts
}

fn script(service: Service, field: &Field<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Script> {
    let text = field.text(findings)?;
    let script = match Script::parse(service, text) {
        Ok(script) => script,
        Err(problem) => {
            let span = wrong_line(service, text).and_then(|line| findings.find(&field.span, line));
            findings.lab(Code::BadScript, span.as_ref().unwrap_or(&field.span), problem);
            return None;
        }
    };
    for line in &script.lines {
        match line {
            ScriptLine::Client(text)
            | ScriptLine::Ahead(text)
            | ScriptLine::Base64(text)
            | ScriptLine::Server(text) => {
                let span = findings.find(&field.span, text).unwrap_or_else(|| field.span.clone());
                known.template(text, &span, Scope::Check, findings);
                if let (Service::Domain, ScriptLine::Client(question)) = (service, line) {
                    checks::query::expect_record(question.split(' ').next().unwrap_or_default(), &span, findings);
                }
            }
            ScriptLine::Close | ScriptLine::Hold | ScriptLine::Cut | ScriptLine::Tls | ScriptLine::Silence => {}
        }
    }
    Some(script)
}

/// The first line that cannot stand in a script.
fn wrong_line(service: Service, text: &str) -> Option<&str> {
    let right = if service == Service::Domain { "C: A ." } else { "C: " };
    let wrong = |line: &&str| Script::parse(service, &format!("{line}\n{right}")).is_err();
    text.lines().map(str::trim).find(wrong)
}
