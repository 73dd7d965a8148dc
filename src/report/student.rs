//! One student's marks in words: every verdict with what proves it or what is missing, the closest attempt, and the lab's hint.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::sign;
use crate::{
    evidence::Seq,
    lab::exercise::Points,
    marking::{CheckMark, Mark, StudentMarks, Verdict},
    trace::visible,
    words::{Phrase, Words, phrase, quoted},
};

/// How much further the rest of a sentence is indented that does not fit a line.
const HANGING: usize = 2;

/// Explains every verdict of a student, in lines of `width` characters where that is known.
pub fn words(student: &StudentMarks, words: Words, colour: bool, width: Option<usize>) -> String {
    let text = explained(student, words, colour);
    width.map_or_else(|| text.clone(), |width| wrapped(&text, width))
}

/// The text with its long lines broken between words.
fn wrapped(text: &str, width: usize) -> String {
    let line = |line: &str| {
        let rest = line.trim_start_matches(' ');
        let indent = line.len() - rest.len();
        let (first, next) = (" ".repeat(indent), " ".repeat(indent + HANGING));
        // A word that is longer than a line stays whole: it may have to be copied.
        let options = textwrap::Options::new(width)
            .initial_indent(&first)
            .subsequent_indent(&next)
            .word_splitter(textwrap::WordSplitter::NoHyphenation)
            .break_words(false);
        textwrap::fill(rest, options) + "\n"
    };
    text.lines().map(line).collect()
}

fn explained(student: &StudentMarks, words: Words, colour: bool) -> String {
    let name = student.name.as_ref().map_or_else(|| student.login.to_string(), |name| visible(name));
    let head = phrase("student-head")
        .with("name", name)
        .with("login", quoted(student.login.as_str()))
        .with("group", quoted(student.group.as_str()));
    let mut out = words.say(&points(head, student.points, student.out_of)) + "\n";
    for note in &student.notes {
        let _ = writeln!(out, "! {}", words.say(note));
    }
    let mut session = None;
    for mark in &student.exercises {
        if session != Some(mark.exercise.session) {
            session = Some(mark.exercise.session);
            let _ = writeln!(out, "\n{}", words.say(&session_head(student, mark.exercise.session)));
        }
        explain(mark, words, colour, &mut out);
    }
    out
}

fn points(phrase: Phrase, points: Points, all: Points) -> Phrase {
    // Only a whole one is one of them.
    let count = if all == Points(100) { 1_u64 } else { 2 };
    phrase.with("points", points.to_string()).with("all", all.to_string()).with("count", count)
}

/// The session's points, and whether everything in it that is worth points is done.
fn session_head(student: &StudentMarks, session: u32) -> Phrase {
    let marks = || student.exercises.iter().filter(|mark| mark.exercise.session == session);
    let (own, of) = marks().fold((0, 0), |(own, of), mark| (own + mark.points.0, of + mark.exercise.points.0));
    let worth = |mark: &&Mark| mark.exercise.points.0 > 0;
    let complete = marks().filter(worth).all(|mark| mark.verdict == Verdict::Done);
    let head = if complete { phrase("session-head-complete") } else { phrase("session-head") };
    let number = phrase("session").with("session", u64::from(session));
    points(head.with("session", number), Points(own), Points(of))
}

fn explain(mark: &Mark, words: Words, colour: bool, out: &mut String) {
    let style = if colour { style(mark.verdict) } else { Style::new() };
    let title = visible(mark.exercise.title.in_language(words.lang.code()));
    let worth = if mark.exercise.points.0 == 0 {
        phrase("worth-nothing")
    } else {
        points(phrase("worth"), mark.points, mark.exercise.points)
    };
    let worth = words.say(&worth);
    let _ = writeln!(out, "{style}{} {}{style:#} {title} ({worth})", sign(mark), mark.exercise.id);
    if let Some(after) = words.after(mark) {
        let _ = writeln!(out, "    {after}");
    }
    for check in &mark.checks {
        explain_check(check, words, out);
    }
    let hint = visible(mark.exercise.hint.in_language(words.lang.code()));
    if mark.verdict == Verdict::Missing && !hint.is_empty() {
        let _ = writeln!(out, "    {}", words.say(&phrase("hint").with("hint", hint)));
    }
}

fn explain_check(check: &CheckMark, words: Words, out: &mut String) {
    let sign = check_sign(check.verdict);
    if check.verdict == Verdict::Done {
        let events = check.proofs.iter().flat_map(|proof| proof.events.iter().copied()).collect::<Vec<Seq>>();
        let proven = phrase("proven-by").with("proofs", words.proofs(check)).with("count", events.len());
        let _ = writeln!(out, "    {sign} {}", words.say(&proven.with("events", runs(&events))));
        return;
    }
    let _ = writeln!(out, "    {sign} {}", words.wanted(check));
    for missed in words.missed(check) {
        let _ = writeln!(out, "      {missed}");
    }
}

const fn check_sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Done => "✓",
        Verdict::Missing => "–",
        Verdict::Unclear => "?",
    }
}

fn style(verdict: Verdict) -> Style {
    let colour = match verdict {
        Verdict::Done => AnsiColor::Green,
        Verdict::Missing => AnsiColor::Red,
        Verdict::Unclear => AnsiColor::Yellow,
    };
    Style::new().fg_color(Some(colour.into()))
}

/// Numbers with runs drawn together: `3, 5–7`.
fn runs(events: &[Seq]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for Seq(number) in events {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let run = |(first, last): &(u64, u64)| if first == last { first.to_string() } else { format!("{first}–{last}") };
    runs.iter().map(run).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_broken_between_words() {
        let text = "\u{1b}[32m✓\u{1b}[0m done\n    – wanted: one two three\n";
        assert_eq!(wrapped(text, 20), "\u{1b}[32m✓\u{1b}[0m done\n    – wanted: one\n      two three\n");
        assert_eq!(wrapped(text, 80), text);
        assert_eq!(wrapped("  a-word-without-end b\n", 8), "  a-word-without-end\n    b\n");
    }

    #[test]
    fn runs_of_events_are_drawn_together() {
        let numbers = |numbers: &[u64]| runs(&numbers.iter().map(|number| Seq(*number)).collect::<Vec<_>>());
        assert_eq!(numbers(&[3, 5, 6, 7, 9]), "3, 5–7, 9");
        assert_eq!(numbers(&[]), "");
    }
}
