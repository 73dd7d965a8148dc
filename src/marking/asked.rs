//! Query checks: names that the student asked the group's DNS server for. Who asked is known by the address it came from or came
//! to, and by nothing else: there is no login in DNS.

use super::{
    class::Class,
    glob::Filled,
    marks::{Closest, Proof, QueryAttempt, Shown},
    progress::{Here, Progress, cut},
};
use crate::{
    evidence::{Conn, Event},
    lab::{
        template::Person,
        witness::{Answer, QueryCheck},
    },
};

/// A query check, compiled.
#[derive(Debug)]
pub struct Rule {
    /// The check's place among all checks.
    pub check: usize,
    name: Option<Filled>,
    records: Vec<String>,
    answer: Answer,
    times: usize,
}

/// A query that the student sent.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The name.
    pub name: &'a str,
    /// The record type.
    pub record: &'a str,
    /// The response code as the record has it.
    pub code: &'a str,
    /// How many records came back.
    pub records: u32,
}

impl Rule {
    /// Compiles a check for these people.
    pub fn new(check: usize, written: &QueryCheck, people: &[Person<'_>]) -> Self {
        Self {
            check,
            name: written.name.as_ref().map(|pattern| Filled::new(pattern, people)),
            records: written.records.clone(),
            answer: written.answer,
            times: written.times.max(1) as usize,
        }
    }

    /// Takes a query of the student.
    pub fn take(&self, here: &Here, asked: Asked<'_>, own: &mut Progress) {
        let answer = Answer::of(asked.code, asked.records);
        let conditions = [
            self.name.as_ref().is_none_or(|pattern| pattern.of(here.student).matches(asked.name)),
            self.records.is_empty() || self.records.iter().any(|record| record == asked.record),
            answer == Some(self.answer),
        ];
        let fits = conditions.iter().take_while(|fits| **fits).count();
        let (name, record) = (cut(asked.name).to_owned(), asked.record.to_owned());
        let answer = answer.map_or_else(|| asked.code.to_owned(), |answer| answer.as_str().to_owned());
        if fits == conditions.len() {
            let shows = Shown::Query(name, record, answer);
            own.proven(Proof { events: vec![here.seq], conn: here.conn, at: here.time, shows }, self.times);
        } else if !matches!(own.closest.as_deref(), Some(Closest::Query(best)) if best.fits > fits) {
            let attempt = QueryAttempt { seq: here.seq, at: here.time, name, record, answer, fits };
            own.closest = Some(Box::new(Closest::Query(attempt)));
        }
    }
}

impl Class {
    /// Somebody asked for a name.
    pub fn ask(&mut self, event: &Event, asked: Asked<'_>) {
        let Some(student) = event.who.student().and_then(|login| self.place(login.as_str())) else { return };
        let here = Here { student, conn: Conn(0), began: event.time, seq: event.seq, time: event.time };
        for rule in &self.rules.asked {
            if self.students[student].waits_for(&self.rules, rule.check, &here) {
                rule.take(&here, asked, &mut self.students[student].progress[rule.check]);
            }
        }
    }
}
