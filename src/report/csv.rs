//! CSV for spreadsheets and gradebooks (RFC 4180): a row a student, per exercise its points and its verdict, and behind all
//! of them how many of each exercise's checks hold.

use csv::{Terminator, WriterBuilder};

use super::Report;

/// All marks as CSV, with a header row.
pub fn csv(report: &Report) -> String {
    let mut writer = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(Vec::new());
    let fixed = ["group", "login", "name", "email", "points", "out_of"];
    let exercises = report.students.first().map_or(&[][..], |student| &student.exercises[..]);
    let ids = exercises.iter().flat_map(|mark| [mark.exercise.id.to_string(), format!("{} verdict", mark.exercise.id)]);
    let held = exercises.iter().map(|mark| format!("{} checks", mark.exercise.id));
    let header = fixed.into_iter().map(str::to_owned).chain(ids).chain(held);
    let written = "writing to memory does not fail";
    writer.write_record(header).expect(written);
    for student in &report.students {
        let text = |value: &Option<String>| harmless(value.as_deref().unwrap_or(""));
        let fixed = [
            harmless(student.group.as_str()),
            harmless(student.login.as_str()),
            text(&student.name),
            text(&student.email),
            student.points.to_string(),
            student.out_of.to_string(),
        ];
        let marks = student.exercises.iter();
        let marks = marks.flat_map(|mark| [mark.points.to_string(), mark.verdict.as_str().to_owned()]);
        // Not `1/2`, which a spreadsheet takes for a date.
        let held = student.exercises.iter().map(|mark| format!("{} of {}", mark.held(), mark.checks.len()));
        writer.write_record(fixed.into_iter().chain(marks).chain(held)).expect(written);
    }
    String::from_utf8(writer.into_inner().expect(written)).expect("text in, text out")
}

/// A text that no spreadsheet takes for a formula: one that starts like one gets an apostrophe in front.
fn harmless(text: &str) -> String {
    let formula = text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
        || text.starts_with(['\t', '\r', '\n']);
    if formula { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn a_name_is_no_formula() {
        assert_eq!(harmless("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")");
        for bad in ["+1", "-1", "@x", " =1", "\t=1", "\r"] {
            assert!(harmless(bad).starts_with('\''), "{bad}");
        }
        assert_eq!(harmless("Ana-María"), "Ana-María");
        assert_eq!(harmless(""), "");
    }
}
