//! JSON, version 1: `{"version":1,"lab":…,"students":[{"group","login","points","exercises":[{"id","verdict","points","why","events"}],"notes":[…]}]}`.
//! Keys may be added within a version, never changed or taken away.

use serde::Serialize;

use super::Report;
use crate::{
    marking::{Mark, StudentMarks},
    trace::json_visible,
    words::Words,
};

/// The version of the shape.
pub const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    lab: &'a str,
    title: &'a str,
    students: Vec<Student<'a>>,
}

#[derive(Serialize)]
struct Student<'a> {
    group: &'a str,
    login: &'a str,
    name: Option<&'a str>,
    email: Option<&'a str>,
    points: f64,
    out_of: f64,
    exercises: Vec<Exercise<'a>>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Exercise<'a> {
    id: &'a str,
    title: &'a str,
    session: u32,
    verdict: &'static str,
    points: f64,
    out_of: f64,
    checks_held: usize,
    why: String,
    events: Vec<u64>,
    after_missing: Vec<&'a str>,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Check {
    verdict: &'static str,
    why: String,
    events: Vec<u64>,
}

/// All marks as one line of JSON; `words` says in which language they are explained.
pub fn json(report: &Report, words: Words) -> String {
    let document = Document {
        version: VERSION,
        lab: report.lab.as_str(),
        title: report.title.in_language(words.lang.code()),
        students: report.students.iter().map(|marks| student(marks, words)).collect(),
    };
    json_visible(&serde_json::to_string(&document).expect("marks are plain values"))
}

fn student(marks: &StudentMarks, words: Words) -> Student<'_> {
    Student {
        group: marks.group.as_str(),
        login: marks.login.as_str(),
        name: marks.name.as_deref(),
        email: marks.email.as_deref(),
        points: marks.points.as_f64(),
        out_of: marks.out_of.as_f64(),
        exercises: marks.exercises.iter().map(|mark| exercise(mark, words)).collect(),
        notes: marks.notes.iter().map(|note| words.say(note)).collect(),
    }
}

fn exercise(mark: &Mark, words: Words) -> Exercise<'_> {
    let check = |check: &crate::marking::CheckMark| Check {
        verdict: check.verdict.as_str(),
        why: words.check(check),
        events: check.proofs.iter().flat_map(|proof| &proof.events).map(|seq| seq.0).collect(),
    };
    Exercise {
        id: mark.exercise.id.as_str(),
        title: mark.exercise.title.in_language(words.lang.code()),
        session: mark.exercise.session,
        verdict: mark.verdict.as_str(),
        points: mark.points.as_f64(),
        out_of: mark.exercise.points.as_f64(),
        checks_held: mark.held(),
        why: words.why(mark),
        events: mark.events().iter().map(|seq| seq.0).collect(),
        after_missing: mark.after_missing.iter().map(crate::lab::ExerciseId::as_str).collect(),
        checks: mark.checks.iter().map(check).collect(),
    }
}
