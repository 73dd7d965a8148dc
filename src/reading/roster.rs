//! The roster: a CSV file of labctl's own columns, or Moodle's list of participants, or Canvas's gradebook, as exported.
//! What the columns mean is `columns`; here is how the file is cut into rows, and how a row becomes a student.

use super::{
    columns::{Columns, Meaning},
    diagnostic::{Code, File, Findings, Place, Span, find},
    people::{Seat, bad_password, one_line},
    slug::slug,
};
use crate::lab::{Login, Student};

/// Reads a roster that is text already. `dealt` says that the lab makes the groups, so that Canvas's sections are none.
pub fn students(text: &str, dealt: bool, findings: &mut Findings<'_>) -> Vec<Seat> {
    let mut rows = rows(text).into_iter();
    let Some(header) = rows.next() else {
        let problem = findings.add(Code::Nobody, at(0..0), "the roster is empty");
        problem.help("its first line names the columns: `group,login,name,email`");
        return Vec::new();
    };
    let Some(columns) = Columns::read(text, &header, dealt, findings) else {
        return Vec::new();
    };
    let students = rows.filter(|row| columns.is_student(row));
    students.filter_map(|row| seat(text, &columns, &row, findings)).collect()
}

/// A line of the file, cut into cells.
#[derive(Debug)]
pub struct Row {
    /// Where it stands, without its line end.
    pub span: Span,
    /// Its cells, without blanks around them.
    pub cells: Vec<String>,
}

/// A place in the roster.
pub fn at(span: Span) -> Place {
    Place { file: File::Roster, span }
}

/// The rows that say something. The separator is the one of `,`, `;` and tab that stands most often in the first of them.
fn rows(text: &str) -> Vec<Row> {
    let start = text.len() - skip_separator_line(text).len();
    let body = &text[start..];
    let first = body.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    let separator =
        [b',', b';', b'\t'].into_iter().max_by_key(|octet| (count(first, *octet), *octet == b',')).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_reader(body.as_bytes());
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    // Reading text from memory into rows of any length cannot fail; a failure would end the file.
    while let Ok(true) = reader.read_record(&mut record) {
        let from = record.position().map_or(0, |position| usize::try_from(position.byte()).unwrap_or(0));
        let to = usize::try_from(reader.position().byte()).unwrap_or(body.len());
        let raw = body.get(from..to).unwrap_or("");
        let from = start + from + (raw.len() - raw.trim_start().len());
        let cells: Vec<String> = record.iter().map(str::to_owned).collect();
        if cells.iter().any(|cell| !cell.is_empty()) {
            rows.push(Row { span: from..from + raw.trim().len(), cells });
        }
    }
    rows
}

/// Spreadsheets write `sep=;` as a first line.
fn skip_separator_line(text: &str) -> &str {
    match text.split_once('\n') {
        Some((first, rest)) if first.trim_end().len() == 5 && first.starts_with("sep=") => rest,
        _ => text,
    }
}

fn count(line: &str, separator: u8) -> usize {
    let mut quoted = false;
    let outside = |octet: &&u8| {
        quoted ^= **octet == b'"';
        !quoted && **octet == separator
    };
    line.as_bytes().iter().filter(outside).count()
}

fn seat(text: &str, columns: &Columns, row: &Row, findings: &mut Findings<'_>) -> Option<Seat> {
    if row.cells.iter().any(|cell| cell.contains('\n')) {
        let problem = findings.add(Code::BadRow, at(row.span.clone()), "a cell goes over several lines");
        problem.help("close the quote that is open here");
        return None;
    }
    let login = login(text, columns, row, findings)?;
    let password = columns.cell(row, Meaning::Password).map(str::to_owned);
    if let Some(problem) = password.as_deref().and_then(bad_password) {
        findings.add(Code::BadText, at(row.span.clone()), problem).help("leave it out, and one is drawn");
    }
    let email = columns.cell(row, Meaning::Email).map(one_line);
    let group = columns.cell(row, Meaning::Group).and_then(|cell| group(cell, columns, row, &login, findings));
    let group = group.map(|name| {
        let span = find(text, &row.span, &name).unwrap_or_else(|| row.span.clone());
        (name, at(span))
    });
    let student = Student { login, name: columns.name(row).map(|name| one_line(&name)), email, password };
    Some(Seat { student, group, place: at(row.span.clone()) })
}

/// The login as written, or what stands before the `@` of the address, made into a name.
fn login(text: &str, columns: &Columns, row: &Row, findings: &mut Findings<'_>) -> Option<Login> {
    let sources = [Meaning::Login, Meaning::Email, Meaning::Number];
    let Some(written) = sources.into_iter().find_map(|meaning| columns.cell(row, meaning)) else {
        let problem = findings.add(Code::BadRow, at(row.span.clone()), "this row has neither a login nor an address");
        problem.help("fill in the login, or remove the row");
        return None;
    };
    let local = written.split('@').next().unwrap_or(written);
    let span = find(text, &row.span, written).unwrap_or_else(|| row.span.clone());
    let name = slug(local);
    let Ok(login) = local.parse::<Login>().or_else(|_| name.parse()) else {
        let problem = findings.add(Code::BadName, at(span), format!("`{written}` is no login"));
        problem.help("write one of letters, digits, `-`, `_` and `.`");
        return None;
    };
    if login.as_str() != local.to_ascii_lowercase() {
        let message = format!("`{local}` gets the login `{login}`");
        let problem = findings.add(Code::Renamed, at(span), message);
        problem.help("a login is of letters, digits, `-`, `_` and `.`");
        problem.alike("logins changed", format!("`{local}` to `{login}`"));
    }
    Some(login)
}

/// The first group of a cell that may list several.
fn group(cell: &str, columns: &Columns, row: &Row, login: &Login, findings: &mut Findings<'_>) -> Option<String> {
    let joined = if columns.sections() { cell.replace(" and ", ",") } else { cell.to_owned() };
    let mut groups = joined.split([',', ';']).map(str::trim).filter(|group| !group.is_empty());
    let first = groups.next()?;
    if let Some(second) = groups.next() {
        let message = format!("student `{login}` is in `{first}` and `{second}`: the first one counts");
        let problem = findings.add(Code::SeveralGroups, at(row.span.clone()), message);
        problem.alike("students in several groups, of which the first counts", format!("`{login}` in `{first}`"));
    }
    Some(one_line(first))
}
