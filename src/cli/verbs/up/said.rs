//! What `labctl up` tells a person: what will be done, where the students' servers are, what failed, and what to type next.

use std::{fmt::Display, path::PathBuf};

use clap::ValueEnum as _;

use crate::{
    cli::{
        args::Up,
        error::{Error, count, shell_word},
        output::{Output, growing::Growing},
        verbs::credentials::{self, Student},
    },
    lab::{Lab, Service},
};

/// Steps and students that are shown; of more, the number.
const SHOWN: usize = 24;

/// Groups that are named after the first that failed for the same reason.
const SHOWN_ALIKE: usize = 3;

/// How long a line to type may be that has its explanation beside it.
const NEXT: usize = 34;

/// What the program is called.
const NAME: &str = "labctl";

/// What will be done, or would.
pub(super) fn announce(out: Output, lab: &Lab, steps: &[impl Display], dry_run: bool) {
    let name = &lab.name;
    if steps.is_empty() {
        return out.note(format_args!("lab `{name}`: nothing to do"));
    }
    let will = if dry_run { " would" } else { "" };
    out.heading(format_args!("lab `{name}`:{will}"));
    for step in steps.iter().take(SHOWN) {
        out.note(format_args!("  {step}"));
    }
    if steps.len() > SHOWN {
        out.note(format_args!("  … and {}", count(steps.len() - SHOWN, "more step")));
    }
}

/// Where the students' servers are, and what to say below.
pub(super) fn table(out: Output, students: &[Student]) -> (Growing, Vec<String>) {
    let (head, rows, notes) = credentials::table::endpoints(students, out.is_terminal());
    (out.growing(&head, &rows), notes)
}

/// Rows of it that are printed: a terminal has no room for a whole class.
pub(super) fn most_rows(out: Output) -> usize {
    if out.is_terminal() { SHOWN } else { usize::MAX }
}

/// Prints it.
pub(super) fn print_table(out: Output, students: &[Student]) -> Result<(), Error> {
    let shown = students.len().min(most_rows(out));
    let (table, notes) = table(out, &students[..shown]);
    let rows = (0..shown).map(|row| table.row(row));
    out.data(&std::iter::once(table.head()).chain(rows).chain([table.foot()]).collect::<String>())?;
    if students.len() > shown {
        out.note(format_args!("… and {}", count(students.len() - shown, "more student")));
    }
    for note in &notes {
        out.sentence(note);
    }
    Ok(())
}

/// What failed, last, where it is read; what failed for the same reason shares a line, in which the others are named.
pub(super) fn explain<Failed: Display>(
    out: Output,
    failures: &[Failed],
    alike: impl Fn(&Failed, &Failed) -> bool,
    name: impl Fn(&Failed) -> String,
    hint: impl Fn(&Failed) -> Option<String>,
) {
    let mut lines: Vec<(&Failed, Vec<String>)> = Vec::new();
    for failure in failures {
        match lines.iter_mut().find(|(first, _)| alike(first, failure)) {
            Some((_, others)) => others.push(name(failure)),
            None => lines.push((failure, Vec::new())),
        }
    }
    for (first, others) in lines {
        let same = match others.len() {
            0 => String::new(),
            number @ 1..=SHOWN_ALIKE => format!("; the same for {number} more: {}", others.join(", ")),
            number => format!("; the same for {number} more: {}, …", others[..SHOWN_ALIKE].join(", ")),
        };
        out.problem(format_args!("{first}{same}"), hint(first).as_deref());
    }
}

/// What an instructor types next.
pub(super) fn as_instructor(program: &str, lab: &str) -> [(String, String); 3] {
    [
        (format!("{program} credentials {lab}"), "everybody's passwords; `--cards` to print".to_owned()),
        (format!("{program} trace --lab {lab} -f"), "what goes over the wire".to_owned()),
        (format!("{program} report {lab}"), "marks".to_owned()),
    ]
}

/// The command line that goes on from here: the lab and its options as they were given, which nobody may remember yet.
pub(super) fn again(args: &Up) -> String {
    let mut words = vec![program(), "up".to_owned()];
    let options = [
        (
            "--engine",
            args.engine.and_then(|engine| engine.to_possible_value()).map(|value| value.get_name().to_owned()),
        ),
        ("--pool", args.pool.map(|pool| pool.to_string())),
        ("--base", args.base.clone()),
        ("--client-image", args.client_image.clone()),
    ];
    words.extend(args.lab.as_deref().map(shell_word));
    for (option, value) in options {
        words.extend(value.into_iter().flat_map(|value| [option.to_owned(), shell_word(&value)]));
    }
    let switches = [(args.no_inject, "--no-inject"), (args.engine_changed, "--engine-changed")];
    words.extend(switches.into_iter().filter(|(given, _)| *given).map(|(_, switch)| switch.to_owned()));
    words.join(" ")
}

/// A line to type and what for, which goes on a line of its own where the first one is long.
pub(super) fn explained(line: &str, what: &str) -> String {
    if line.len() <= NEXT { format!("  {line:<NEXT$}  {what}\n") } else { format!("  {line}\n      {what}\n") }
}

/// How this program is called so that the line works: by its name where the shell finds it.
pub(super) fn program() -> String {
    let called = std::env::args().next().unwrap_or_else(|| NAME.into());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(NAME)).find(|file| file.is_file());
    let same =
        |file: PathBuf| file.canonicalize().ok() == std::env::current_exe().and_then(|me| me.canonicalize()).ok();
    if found.is_some_and(same) { NAME.into() } else { shell_word(&called) }
}

/// What to type next, as the first student and as the instructor: lines that work.
pub(super) fn next(student: &Student, lab: &str) -> String {
    let program = program();
    let telnet = |service| {
        let (host, port) = student.endpoints.get(&service)?.rsplit_once(':')?;
        Some(format!("telnet {} {port}", host.trim_matches(['[', ']'])))
    };
    let (login, password) = (&student.login, &student.password);
    let as_student = [
        (telnet(Service::Smtp), "send a mail: EHLO, MAIL, RCPT, DATA".to_owned()),
        (telnet(Service::Pop3), format!("read it: USER {login}, PASS {password}")),
        (
            telnet(Service::Imap).filter(|_| !student.endpoints.contains_key(&Service::Pop3)),
            format!("read it: a LOGIN {login} {password}, b SELECT INBOX"),
        ),
    ];
    let as_instructor = as_instructor(&program, lab).map(|(line, what)| (Some(line), what));
    let lines = |lines: &[(Option<String>, String)]| {
        let line = |(line, what): &(Option<String>, String)| line.as_ref().map(|line| explained(line, what));
        lines.iter().filter_map(line).collect::<String>()
    };
    format!(
        "\nnext, as student `{login}` of group `{}`:\n{}and as the instructor:\n{}",
        student.group,
        lines(&as_student),
        lines(&as_instructor).trim_end()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_type_next_fits_a_terminal() {
        let (fits, long) = ("x".repeat(NEXT), "x".repeat(NEXT + 1));
        assert_eq!(explained(&fits, "marks"), format!("  {fits}  marks\n"));
        assert_eq!(explained(&long, "marks"), format!("  {long}\n      marks\n"));
    }
}
