//! Marking as tables from evidence to verdict (`tests/marking/*.txt`), marked after every row, and as properties.

mod notation;
mod properties;
mod shown;

use std::{fmt::Write as _, fs, path::Path};

use labctl::{
    marking::{Marker, Verdict},
    words::Words,
};
use notation::Table;

/// Plays a table and writes, after every row, what changed; the rest of the file stands as it is.
fn play(text: &str) -> String {
    let mut table = Table::read(text);
    let mut marker = table.marker();
    let mut before = said(&marker);
    let mut out = String::new();
    for line in text.lines().filter(|line| !line.starts_with('=')) {
        writeln!(out, "{line}").unwrap();
        if let Some(event) = table.event(line) {
            table.take(&mut marker, &event);
            let after = said(&marker);
            for (new, _) in after.iter().zip(&before).filter(|(new, old)| new != old) {
                writeln!(out, "= {new}").unwrap();
            }
            before = after;
        }
    }
    let replayed = table.replay();
    assert_eq!(replayed, said(&marker), "live marks are the marks of a replay");
    out
}

fn said(marker: &Marker) -> Vec<String> {
    let mut lines = Vec::new();
    for student in marker.marks() {
        for mark in &student.exercises {
            let (login, id, verdict) = (&student.login, &mark.exercise.id, mark.verdict.as_str());
            let events = mark.events().iter().map(|seq| seq.0.to_string()).collect::<Vec<_>>().join(" ");
            let proof = if mark.verdict == Verdict::Done { format!(" [{events}]") } else { String::new() };
            lines.push(format!("{login} {id} {verdict} {}{proof}: {}", mark.points, Words::default().why(mark)));
        }
    }
    lines
}

/// One file; `UPDATE=1` rewrites its `=` lines.
fn check(name: &str) {
    golden(name, play);
}

/// The file under `tests/marking` must be what `made` makes of it; `UPDATE=1` rewrites it.
fn golden(name: &str, made: impl Fn(&str) -> String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/marking").join(name);
    let text = fs::read_to_string(&path).unwrap_or_default();
    let new = made(&text);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, new).unwrap();
    } else {
        assert_eq!(text, new, "`tests/marking/{name}`: run with UPDATE=1 and read the difference");
    }
}

macro_rules! tables {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(concat!(stringify!($name), ".txt"));
        })*

        #[test]
        fn every_table_is_played() {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/marking");
            let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut found: Vec<String> = names.filter(|name| name.ends_with(".txt")).collect();
            found.sort();
            let mut known = vec![$(concat!(stringify!($name), ".txt")),*];
            known.sort_unstable();
            assert_eq!(found, known);
        }
    };
}

tables! {
    a_conversation_is_steps_in_order
    a_forbidden_step_breaks_what_came_before
    a_message_is_seen_from_its_envelope_first
    an_exercise_waits_for_others
    damage_is_never_the_students_fault
    one_connection_or_several
    retrieved_and_deleted
    a_mailbox_belongs_to_the_group
    a_repetition_counts_each_time
    a_reset_forgets
    a_student_known_later
    headers_without_an_empty_line
    words_are_whole_words
    words_speak_to_students
    a_login_may_contradict_the_address
    a_fault_is_met_before_it_is_survived
    a_connection_is_secured_and_logged_in_as_wanted
    parts_are_seen_through_mime
    imap_is_judged_by_its_tagged_line
    pipelined_is_before_the_reply
    folders_are_followed
    filed_is_by_the_students_doing
    a_name_is_asked_for
    mail_goes_on_to_another_server
    one_thing_comes_after_another
    any_other_group
    messages_to_the_letter
    notes_for_both
    a_notice_is_the_students
    steps_in_any_order
    what_goes_together
    the_next_whole_try_decides
    a_login_is_its_address
    a_contradiction_takes_back_one_connection
}
