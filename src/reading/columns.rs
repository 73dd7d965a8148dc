//! What the columns of a roster mean, by their headers: labctl's own, Moodle's in English and Spanish, Canvas's.

use super::{
    diagnostic::{Code, Findings, closest},
    roster::{Row, at},
    slug::fold,
};

/// What a column gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The group.
    Group,
    /// Canvas's section: a group where there is no other.
    Section,
    /// The login.
    Login,
    /// A number that is a login where there is neither a login nor an address.
    Number,
    /// The whole name.
    Name,
    /// The whole name, surname first and a comma between.
    Reversed,
    /// The first name.
    First,
    /// The surname.
    Last,
    /// The address.
    Email,
    /// The password.
    Password,
}

/// labctl's own columns, in the order of the reference.
pub const OWN: [(&str, Meaning); 5] = [
    ("group", Meaning::Group),
    ("login", Meaning::Login),
    ("name", Meaning::Name),
    ("email", Meaning::Email),
    ("password", Meaning::Password),
];

/// Headers of exports, in lower case and without accents, with the language or program that writes them.
const EXPORTED: &[(&str, Meaning)] = &[
    // Moodle in English.
    ("first name", Meaning::First),
    ("last name", Meaning::Last),
    ("surname", Meaning::Last),
    ("full name", Meaning::Name),
    ("email address", Meaning::Email),
    ("groups", Meaning::Group),
    ("username", Meaning::Login),
    ("id number", Meaning::Number),
    // Moodle in Spanish.
    ("nombre", Meaning::First),
    ("apellido(s)", Meaning::Last),
    ("apellidos", Meaning::Last),
    ("nombre completo", Meaning::Name),
    ("direccion de correo", Meaning::Email),
    ("direccion de correo electronico", Meaning::Email),
    ("direccion email", Meaning::Email),
    ("correo electronico", Meaning::Email),
    ("correo", Meaning::Email),
    ("grupo", Meaning::Group),
    ("grupos", Meaning::Group),
    ("nombre de usuario", Meaning::Login),
    ("usuario", Meaning::Login),
    ("numero de id", Meaning::Number),
    // Canvas.
    ("student", Meaning::Reversed),
    ("sis login id", Meaning::Login),
    ("section", Meaning::Section),
    ("group name", Meaning::Group),
];

/// The columns of one roster.
#[derive(Debug)]
pub struct Columns {
    meanings: Vec<Option<Meaning>>,
}

impl Columns {
    /// Reads the header. An export may have columns that say nothing to labctl; in an own roster they are noted.
    pub fn read(text: &str, header: &Row, dealt: bool, findings: &mut Findings<'_>) -> Option<Self> {
        let titles: Vec<String> = header.cells.iter().map(|cell| fold(cell)).collect();
        let find_in = |table: &[(&str, Meaning)], title: &str| {
            table.iter().find(|(known, _)| *known == title).map(|(_, meaning)| *meaning)
        };
        let exported = titles.iter().any(|title| find_in(EXPORTED, title).is_some());
        let mut meanings: Vec<Option<Meaning>> = Vec::new();
        let mut rest = header.span.clone();
        for (title, cell) in titles.iter().zip(&header.cells) {
            let meaning = find_in(&OWN, title).or_else(|| find_in(EXPORTED, title));
            let start = rest.start + text.get(rest.clone()).and_then(|rest| rest.find(cell.as_str())).unwrap_or(0);
            rest.start = start + cell.len();
            let place = || at(start..start + cell.len());
            if meaning.is_some_and(|meaning| meanings.contains(&Some(meaning))) {
                findings.add(
                    Code::UnknownColumn,
                    place(),
                    format!("column `{cell}` repeats another one and is not read"),
                );
                meanings.push(None);
                continue;
            }
            let own = OWN.map(|(name, _)| name);
            if meaning.is_none() && (!exported || closest(title, own).is_some()) {
                let problem = findings.add(Code::UnknownColumn, place(), format!("column `{cell}` is not read"));
                problem.help(format!("the columns are `{}`", own.join("`, `"))).did_you_mean(title, own);
                problem.alike("columns not read", format!("`{cell}`"));
            }
            meanings.push(meaning);
        }
        let columns = Self { meanings: sections(meanings, dealt) };
        let named =
            [Meaning::Login, Meaning::Email, Meaning::Number].iter().any(|m| columns.meanings.contains(&Some(*m)));
        if !named {
            let problem = findings.add(Code::MissingColumn, at(header.span.clone()), "no column gives the logins");
            problem.help("the first line names the columns: `group,login,name,email`; an export needs the user names or the addresses");
        }
        named.then_some(columns)
    }

    /// The cell of a row, where it says something.
    pub fn cell<'r>(&self, row: &'r Row, meaning: Meaning) -> Option<&'r str> {
        let index = self.meanings.iter().position(|found| *found == Some(meaning))?;
        row.cells.get(index).map(String::as_str).filter(|cell| !cell.is_empty())
    }

    /// The person's name, first name first.
    pub fn name(&self, row: &Row) -> Option<String> {
        if let Some(name) = self.cell(row, Meaning::Name) {
            return Some(name.to_owned());
        }
        if let Some(name) = self.cell(row, Meaning::Reversed) {
            return Some(
                name.split_once(", ").map_or_else(|| name.to_owned(), |(last, first)| format!("{first} {last}")),
            );
        }
        let parts = [Meaning::First, Meaning::Last].into_iter().filter_map(|meaning| self.cell(row, meaning));
        Some(parts.collect::<Vec<_>>().join(" ")).filter(|name| !name.is_empty())
    }

    /// Whether a cell joins several groups by "and", as Canvas does with sections.
    pub fn sections(&self) -> bool {
        self.meanings.contains(&Some(Meaning::Reversed))
    }

    /// Whether a row is a student: Canvas writes a row with the points possible, and has a made-up student of its own.
    pub fn is_student(&self, row: &Row) -> bool {
        let canvas = self.cell(row, Meaning::Reversed).map(fold);
        let is_other = |name: &str| matches!(name, "points possible" | "student, test" | "manual posting");
        let blank = self.sections() && [Meaning::Reversed, Meaning::Login].iter().all(|m| self.cell(row, *m).is_none());
        !blank && !canvas.as_deref().is_some_and(is_other)
    }
}

/// A section is a group where the file has no other and the lab makes none.
fn sections(meanings: Vec<Option<Meaning>>, dealt: bool) -> Vec<Option<Meaning>> {
    let instead = (!dealt && !meanings.contains(&Some(Meaning::Group))).then_some(Meaning::Group);
    meanings.into_iter().map(|meaning| if meaning == Some(Meaning::Section) { instead } else { meaning }).collect()
}
