//! Marks as people and programs read them: a table, CSV, JSON, or words for one student. Pure: text out, nothing printed.

mod csv;
mod json;
mod student;
mod table;

pub use csv::csv;
pub use json::json;
pub use student::words;
pub use table::{TableOptions, table};

use crate::{
    lab::{Lab, LabName, Text},
    marking::{Mark, StudentMarks, Verdict},
    names::order::natural,
};

/// The marks of a whole lab.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The lab.
    pub lab: LabName,
    /// What people call it.
    pub title: Text,
    /// All students, by group and login.
    pub students: Vec<StudentMarks>,
}

impl Report {
    /// The marks of all groups of a lab, in any order.
    pub fn new(lab: &Lab, mut students: Vec<StudentMarks>) -> Self {
        students.sort_by(|a, b| a.group.cmp(&b.group).then_with(|| natural(a.login.as_str(), b.login.as_str())));
        Self { lab: lab.name.clone(), title: lab.title.clone(), students }
    }

    /// The student of this login.
    pub fn student(&self, login: &str) -> Option<&StudentMarks> {
        self.students.iter().find(|student| student.login.as_str() == login)
    }
}

/// The mark as a sign that needs no colour. Half: part of the checks hold.
fn sign(mark: &Mark) -> &'static str {
    match mark.verdict {
        Verdict::Done => "✓",
        Verdict::Unclear => "?",
        Verdict::Missing if mark.held() > 0 => "½",
        Verdict::Missing => "–",
    }
}
