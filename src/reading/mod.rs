#![doc = include_str!("reference.md")]
//!
//! # How it is read
//! TOML with places (`fields`) becomes a checked [`Lab`]; what is wrong becomes [`Diagnostic`]s, all in one run. No I/O: the
//! caller loads files. Nothing is guessed silently, and a lab with an error is no lab.
//!
//! ```text
//!  lab.toml ─ fields ─▶ people ◀─ roster ◀─ roster.csv
//!                         ├─▶ groups ─▶ domain ─▶ Group
//!                         ├─▶ settings, containers
//!                         └─▶ known ◀─ mail, exercise ◀─ a check of each kind (`crate::marking::checks`)
//! ```

mod columns;
mod containers;
mod decode;
mod domain;
mod exercise;
mod fault;
mod groups;
pub mod keys;
mod mail;
mod people;
pub mod relaying;
mod render;
mod roster;
mod services;
mod settings;
mod slug;
mod templates;

use std::{io, path::Path};

pub use diagnostic::{Code, Diagnostic, Severity};
pub use render::{Source, Sources, render, to_json};
pub use templates::{Template, templates};
use toml::de::DeTable;

pub use crate::findings::diagnostic;

use self::{
    diagnostic::{Findings, Span},
    fields::Fields,
    offered::Offered,
    people::{People, Seat},
    placeholders::Known,
};
use crate::{
    findings::{fields, known as placeholders, offered, steps},
    lab::{EngineKind, Lab, LabName},
    words::Lang,
};

/// The smallest lab, for whoever has an empty file.
const SMALLEST: &str =
    "write the smallest lab:\n  domain = \"lib.simulacion\"\n  users  = [\"user1\", \"user2\"]\n  relay  = false";

/// The way out for who writes IMAP's flags.
const BACKSLASH: &str =
    "between `'` a backslash stands for itself: write `'\\Seen'` and `\'\'\'` for `\"\"\"`; or double it, `\\\\Seen`";

/// What came of reading a lab.
#[derive(Debug)]
pub struct Reading {
    /// The lab, where nothing is wrong with it but warnings.
    pub lab: Option<Lab>,
    /// What is wrong, in the order of the files.
    pub diagnostics: Vec<Diagnostic>,
    /// What was read.
    pub sources: Sources,
}

impl Reading {
    /// How many errors there are; with none, there is a lab.
    pub fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|problem| problem.code.severity() == Severity::Error).count()
    }
}

/// Reads a lab file, and with `load` the roster that it names. `path` becomes [`Lab::source`], gives the lab its name where the
/// file gives none, and is what the roster's path is relative to: pass an absolute one.
pub fn read(lab: impl AsRef<[u8]>, path: &Path, load: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>) -> Reading {
    let (text, problem) = decode::lab(lab.as_ref());
    let mut sources = Sources { lab: Source { path: path.to_owned(), text }, roster: None };
    let text = sources.lab.text.clone();
    let mut findings = Findings::new(&text, &keys::SECTIONS);
    if let Some(problem) = problem {
        problem.note(&mut findings);
        return Reading { lab: None, diagnostics: findings.finish(), sources };
    }
    let (table, errors) = DeTable::parse_recoverable(&text);
    syntax(&text, &errors, &mut findings);
    if errors.is_empty() && table.get_ref().is_empty() {
        findings.lab(Code::EmptyLab, &(0..0), "a lab needs at least `domain`").help(SMALLEST);
        return Reading { lab: None, diagnostics: findings.finish(), sources };
    }
    let fields = Fields::open(&keys::LAB, table.get_ref(), 0..0, &mut findings);
    let lab = document(&fields, path, load, &mut sources, &mut findings);
    let whole = findings.errors() == 0;
    Reading { lab: lab.filter(|_| whole), diagnostics: findings.finish(), sources }
}

/// Notes where a file does not parse. A bracket left open makes errors of the lines that follow; so after the first one, only
/// those count that are wrong on their own.
fn syntax(text: &str, errors: &[toml::de::Error], findings: &mut Findings<'_>) {
    let mut noted: Option<&str> = None;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        findings.damaged(span.clone());
        let start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let line = text[start..].lines().next().unwrap_or("");
        let again = noted.is_some_and(|noted| std::ptr::eq(noted, line));
        let alone = DeTable::parse(line).is_err() || error.message().starts_with("duplicate");
        if noted.is_none() || alone && !again {
            let problem = findings.lab(Code::Syntax, &span, format!("this is not TOML: {}", error.message()));
            if text[..span.start].ends_with('\\') {
                problem.help(BACKSLASH);
            }
            noted = Some(line);
        }
    }
}

fn document(
    fields: &Fields<'_>,
    path: &Path,
    load: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
    sources: &mut Sources,
    findings: &mut Findings<'_>,
) -> Option<Lab> {
    let name = match fields.get("name") {
        Some(field) => field.name("a lab", findings),
        None => Some(name_of(path)),
    };
    let engine = fields.get("engine").and_then(|field| engine(&field, findings));
    let roster = fields.text("roster", findings);
    let roster = roster.map(|(file, span)| self::roster(file, &span, fields, path, load, sources, findings));
    // A wrong name is noted; what depends on it is still read, under another one.
    let people = People::read(fields, name.as_ref().unwrap_or(&name_of(path)), roster, findings);
    let settings = settings::settings(fields, &people, findings);
    let docker = containers::containers(fields, findings);
    containers::memory(fields, &settings.limits, docker.server, findings);
    let drafts = mail::drafts(fields, findings);
    let known = Known {
        names: &people.names,
        settings: &settings,
        mails: mail::known(&drafts),
        shared_mails: mail::shared(&drafts),
        in_company: people.groups.iter().any(|group| group.students.len() > 1),
        faults: fault::names(fields),
        offered: Offered::of(&settings),
    };
    let mails = mail::mails(drafts, &known, findings);
    let faults = fault::faults(fields, &known, findings);
    let exercises = exercise::exercises(fields, &known, findings);
    let title = exercise::text(fields, "title", findings);
    let (source, groups) = (path.to_owned(), people.groups);
    let language = fields.get("language").and_then(|field| {
        let codes: Vec<_> = Lang::all().map(|lang| (lang.code(), lang.code())).collect();
        field.choice(&codes, findings)
    });
    let language = language.map(str::to_owned);
    Some(Lab { name: name?, title, language, source, engine, groups, settings, docker, mails, exercises, faults })
}

/// The folder's name of a `lab.toml`, else the file's own, made into a name.
fn name_of(path: &Path) -> LabName {
    let stem = path.file_stem().unwrap_or_default();
    let folder = path.parent().and_then(Path::file_name).filter(|_| stem == "lab");
    let text = folder.unwrap_or(stem).to_string_lossy();
    let name = text.parse().or_else(|_| slug::slug(&text).parse());
    name.unwrap_or_else(|_| "lab".parse().expect("letters are a name"))
}

fn engine(field: &fields::Field<'_>, findings: &mut Findings<'_>) -> Option<EngineKind> {
    let text = field.text(findings)?;
    if text == "swarm" {
        let problem = findings.lab(Code::UnknownValue, &field.span, format!("this version has no engine `{text}`"));
        problem.help("it has `embedded` and `docker`");
        return None;
    }
    field.choice(&[("embedded", EngineKind::Embedded), ("docker", EngineKind::Docker)], findings)
}

fn roster(
    file: &str,
    span: &Span,
    fields: &Fields<'_>,
    path: &Path,
    load: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
    sources: &mut Sources,
    findings: &mut Findings<'_>,
) -> Vec<Seat> {
    let roster = path.parent().unwrap_or(Path::new("")).join(file);
    let octets = match load(&roster) {
        Ok(octets) => octets,
        Err(problem) => {
            let message = format!("the roster `{file}` could not be read: {problem}");
            findings.lab(Code::Unreadable, span, message).help("its path is relative to the lab file");
            return Vec::new();
        }
    };
    let (text, problem) = decode::roster(&octets);
    let usable = problem.as_ref().is_none_or(|problem| problem.severity() == Severity::Warning);
    if let Some(problem) = problem {
        problem.note(findings);
    }
    let seats = if usable { roster::students(&text, fields.get("group_size").is_some(), findings) } else { Vec::new() };
    sources.roster = Some(Source { path: roster, text });
    seats
}
