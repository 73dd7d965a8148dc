//! Who takes part: shared mailboxes and students. Which group they are in is `groups`, the groups' domains are `domain`.

use std::collections::{BTreeSet, HashMap};

use super::{
    diagnostic::{Code, Findings, Place, Span, in_lab},
    domain::Addresses,
    fields::{Field, Fields},
    groups, keys,
};
use crate::findings::Names;
use crate::lab::{Group, LabName, Login, MAX_STUDENTS, Student, User};

/// The most shared mailboxes of a lab.
pub const MAX_USERS: usize = 200;

/// The longest password, in octets; `PASS` and it fit a command line (RFC 2449 4: 255).
pub const MAX_PASSWORD: usize = 128;

/// Everybody, in groups.
#[derive(Debug, Default)]
pub struct People {
    /// The groups in the order of their names.
    pub groups: Vec<Group>,
    /// The mailbox that a dialect with a catch-all takes: the first one written that every group has.
    pub first_mailbox: Option<Login>,
    /// The names that mail and checks may speak of.
    pub names: Names,
}

/// A student before the groups are made.
#[derive(Debug, Clone)]
pub struct Seat {
    /// The student.
    pub student: Student,
    /// The group as written, and where.
    pub group: Option<(String, Place)>,
    /// Where the student stands.
    pub place: Place,
}

impl People {
    /// Reads `users`, `students`, `groups`, `group_size`, `domain` and `host`; `roster` holds the students of the roster, where
    /// the lab names one.
    pub fn read(lab: &Fields<'_>, name: &LabName, roster: Option<Vec<Seat>>, findings: &mut Findings<'_>) -> Self {
        let before = findings.errors();
        let users = users(lab, findings);
        let (mut seats, shared) = seats(lab, users, roster, findings);
        check(&mut seats, &shared, findings);
        let addresses = Addresses::read(lab, findings);
        let users: Vec<User> = shared.into_iter().map(|(user, _)| user).collect();
        let first_seat = seats.first().map(|seat| seat.student.login.clone());
        let rooms = groups::seat(lab, seats, addresses.shared(), findings);
        let students: BTreeSet<Login> = rooms.values().flatten().map(|student| student.login.clone()).collect();
        let mut mailboxes: BTreeSet<Login> = users.iter().map(|user| user.name.clone()).collect();
        let mut first_mailbox = users.first().map(|user| user.name.clone());
        if rooms.len() == 1 {
            mailboxes.extend(students.iter().cloned());
            first_mailbox = first_mailbox.or(first_seat);
        }
        let groups = addresses.groups(name, rooms, &users, findings);
        let doubtful = if findings.errors() > before { written(lab) } else { BTreeSet::new() };
        let names = Names { mailboxes, students, doubtful, groups: groups.len() };
        Self { groups, first_mailbox, names }
    }
}

/// Every text in `users` and `students`, in lower case.
fn written(lab: &Fields<'_>) -> BTreeSet<String> {
    let fields = ["users", "students"].into_iter().filter_map(|key| lab.get(key));
    fields.flat_map(|field| field.texts()).map(str::to_ascii_lowercase).collect()
}

/// The students with what else they stand with, and the shared mailboxes: without a class, the users are the students.
fn seats(
    lab: &Fields<'_>,
    users: Vec<(User, Span)>,
    roster: Option<Vec<Seat>>,
    findings: &mut Findings<'_>,
) -> (Vec<Seat>, Vec<(User, Span)>) {
    if let Some(field) = lab.get("students") {
        if let Some(other) = lab.get("roster") {
            let problem = findings.lab(Code::Conflict, &field.key_span, "a lab has `students` or `roster`, not both");
            problem.second(in_lab(&other.key_span), "the roster is named here").help("remove one of the two");
        }
        return (students(&field, findings), users);
    }
    if let Some(seats) = roster {
        return (seats, users);
    }
    let seat = |(user, span): (User, Span)| Seat {
        student: Student { login: user.name, name: None, email: None, password: user.password },
        group: None,
        place: in_lab(&span),
    };
    (users.into_iter().map(seat).collect(), Vec::new())
}

/// Notes students that stand twice or have the name of a shared mailbox, and cuts the list at its limit.
fn check(seats: &mut Vec<Seat>, shared: &[(User, Span)], findings: &mut Findings<'_>) {
    if seats.len() > MAX_STUDENTS {
        let message = format!("there are {} students, but a lab has at most {MAX_STUDENTS}", seats.len());
        let problem = findings.add(Code::TooMany, seats[MAX_STUDENTS].place.clone(), message);
        problem.label("the first one too many").help("make several labs of the class");
        seats.truncate(MAX_STUDENTS);
    }
    let shared: HashMap<&str, &Span> = shared.iter().map(|(user, span)| (user.name.as_str(), span)).collect();
    let mut seen: HashMap<Login, Place> = HashMap::new();
    seats.retain(|seat| {
        let login = &seat.student.login;
        if let Some(first) = seen.get(login) {
            let problem =
                findings.add(Code::SameStudent, seat.place.clone(), format!("student `{login}` stands twice"));
            problem
                .second(first.clone(), "first here")
                .help("a login is unique in the whole lab: remove or rename one");
            return false;
        }
        if let Some(span) = shared.get(login.as_str()) {
            let message = format!("student `{login}` has the name of a shared mailbox");
            let problem = findings.add(Code::TakenLogin, seat.place.clone(), message);
            problem
                .second(in_lab(span), "the shared mailbox")
                .help("rename the mailbox: each student has one of the own login");
        }
        seen.insert(login.clone(), seat.place.clone());
        true
    });
}

fn users(lab: &Fields<'_>, findings: &mut Findings<'_>) -> Vec<(User, Span)> {
    let Some(field) = lab.get("users") else {
        return Vec::new();
    };
    let mut users: Vec<(User, Span)> = Vec::new();
    let mut seen: HashMap<Login, Span> = HashMap::new();
    for entry in field.at_most(MAX_USERS, findings) {
        let Some(user) = user(&entry, findings) else { continue };
        if let Some(first) = seen.insert(user.name.clone(), entry.span.clone()) {
            let problem = findings.lab(Code::Duplicate, &entry.span, format!("user `{}` stands twice", user.name));
            problem.second(in_lab(&first), "first here");
            continue;
        }
        users.push((user, entry.span));
    }
    users
}

fn user(entry: &Field<'_>, findings: &mut Findings<'_>) -> Option<User> {
    if !entry.is_table() {
        return Some(User { name: entry.name("a mailbox", findings)?, password: None });
    }
    let fields = entry.table(&keys::USER, findings)?;
    let name = fields.required("name", "name = \"user1\"", findings)?.name("a mailbox", findings)?;
    Some(User { name, password: password(&fields, findings) })
}

fn students(field: &Field<'_>, findings: &mut Findings<'_>) -> Vec<Seat> {
    field.list(findings).iter().filter_map(|entry| student(entry, findings)).collect()
}

fn student(entry: &Field<'_>, findings: &mut Findings<'_>) -> Option<Seat> {
    let place = in_lab(&entry.span);
    if !entry.is_table() {
        let login = entry.name("a student", findings)?;
        return Some(Seat { student: Student { login, name: None, email: None, password: None }, group: None, place });
    }
    let fields = entry.table(&keys::STUDENT, findings)?;
    let login = fields.required("login", "login = \"ana\"", findings)?.name("a student", findings)?;
    let mut text = |key| {
        let (text, span) = fields.text(key, findings)?;
        Some((one_line(text), in_lab(&span))).filter(|(text, _)| !text.is_empty())
    };
    let (group, name, email) = (text("group"), text("name"), text("email"));
    let (name, email) = (name.map(|(name, _)| name), email.map(|(email, _)| email));
    Some(Seat { student: Student { login, name, email, password: password(&fields, findings) }, group, place })
}

fn password(fields: &Fields<'_>, findings: &mut Findings<'_>) -> Option<String> {
    let (text, span) = fields.text("password", findings)?;
    if let Some(problem) = bad_password(text) {
        findings.lab(Code::BadText, &span, problem).help("leave it out, and one is drawn");
    }
    Some(text.to_owned())
}

/// Why a text is no password, if so.
pub fn bad_password(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some("a password may not be empty".into());
    }
    if text.len() > MAX_PASSWORD {
        return Some(format!("a password has at most {MAX_PASSWORD} octets"));
    }
    text.chars().any(char::is_control).then(|| "a password is printable and stands on one line".into())
}

/// A person's name or address on one line: it may come to stand in a header field.
pub fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control() || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_limited_and_printable() {
        assert!(bad_password(&"x".repeat(MAX_PASSWORD)).is_none());
        assert!(bad_password(&"x".repeat(MAX_PASSWORD + 1)).is_some());
        for bad in ["", "a\r\nQUIT", "a\0", "tab\t"] {
            assert!(bad_password(bad).is_some(), "{bad:?}");
        }
        assert!(bad_password("Usuario 1ñ").is_none());
    }

    #[test]
    fn a_persons_name_cannot_leave_its_line() {
        assert_eq!(one_line(" Ana\r\nBcc: x\u{85}  b "), "Ana Bcc: x b");
    }
}
