//! Diagnostics as people see them (line, caret, way out) and as JSON. Pure: the text goes to whoever prints.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use annotate_snippets::{Annotation, AnnotationKind, Element, Level, Renderer, Snippet};
use serde_json::{Value, json};

use super::diagnostic::{Code, Diagnostic, File, Place, Severity, Span};

/// The text of a file as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Source {
    /// How it is named in diagnostics.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// The files of a lab.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The lab file.
    pub lab: Source,
    /// The roster, where the lab names one.
    pub roster: Option<Source>,
}

impl Sources {
    /// Names files below `folder` (the working directory) by the rest of their path.
    pub fn shorten_paths(&mut self, folder: &Path) {
        for source in std::iter::once(&mut self.lab).chain(&mut self.roster) {
            if let Ok(rest) = source.path.strip_prefix(folder) {
                source.path = rest.to_owned();
            }
        }
    }

    fn of(&self, file: File) -> &Source {
        match file {
            File::Lab => &self.lab,
            File::Roster => self.roster.as_ref().unwrap_or(&self.lab),
        }
    }

    /// The line and the column (in characters) of a place, both from 1.
    pub fn position(&self, place: &Place) -> (usize, usize) {
        let text = &self.of(place.file).text;
        let before = &text[..within(text, &place.span).start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// The most warnings of one kind that are shown one by one.
const MAX_SINGLE: usize = 3;

/// What a person reads: each diagnostic with its line and a caret, and an empty line after each. Errors come last, where they
/// are read first; many warnings of one kind are one.
pub fn render(diagnostics: &[Diagnostic], sources: &Sources, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let (warnings, errors): (Vec<&Diagnostic>, Vec<&Diagnostic>) =
        diagnostics.iter().partition(|problem| problem.code.severity() == Severity::Warning);
    let mut text = String::new();
    for problem in folded(&warnings).iter().chain(errors) {
        text.push_str(&one(problem, sources, &renderer));
        text.push_str("\n\n");
    }
    text
}

/// Each warning, or one for all of its kind where there are more than [`MAX_SINGLE`].
fn folded(warnings: &[&Diagnostic]) -> Vec<Diagnostic> {
    fn kind(problem: &Diagnostic) -> (Code, &str) {
        (problem.code, problem.alike.as_ref().map_or(problem.message.as_str(), |(kind, _)| kind))
    }
    let mut kinds: BTreeMap<_, Vec<&Diagnostic>> = BTreeMap::new();
    for problem in warnings {
        kinds.entry(kind(problem)).or_default().push(problem);
    }
    let mut shown = Vec::new();
    for problem in warnings {
        let all = &kinds[&kind(problem)];
        if all.len() <= MAX_SINGLE {
            shown.push((*problem).clone());
        } else if std::ptr::eq(all[0], *problem) {
            shown.push(together(all));
        }
    }
    shown
}

/// One for all: the place and the way out are the first one's.
fn together(all: &[&Diagnostic]) -> Diagnostic {
    let message = match &all[0].alike {
        Some((kind, _)) => {
            let each = all.iter().take(MAX_SINGLE).filter_map(|problem| problem.alike.as_ref());
            let each: Vec<&str> = each.map(|(_, this)| this.as_str()).collect();
            format!("{} {kind}: {}, …", all.len(), each.join(", "))
        }
        None => format!("{}, and {} more like this", all[0].message, all.len() - 1),
    };
    Diagnostic { message, ..all[0].clone() }
}

/// `{"version":1,"diagnostics":[{"code","severity","message","file","line","column","help"}]}`; `help` is null where there is none.
pub fn to_json(diagnostics: &[Diagnostic], sources: &Sources) -> Value {
    let one = |problem: &Diagnostic| {
        let (line, column) = sources.position(&problem.place);
        json!({
            "code": problem.code.as_str(),
            "severity": problem.code.severity().as_str(),
            "message": problem.message,
            "file": sources.of(problem.place.file).path.to_string_lossy(),
            "line": line,
            "column": column,
            "help": problem.help,
        })
    };
    json!({ "version": 1, "diagnostics": diagnostics.iter().map(one).collect::<Vec<_>>() })
}

fn one(problem: &Diagnostic, sources: &Sources, renderer: &Renderer) -> String {
    let level = match problem.code.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let here = (&problem.place, problem.label.as_str(), AnnotationKind::Primary);
    let there = problem.second.as_ref().map(|(place, label)| (place, label.as_str(), AnnotationKind::Context));
    let mut elements: Vec<Element<'_>> = Vec::new();
    match there {
        Some(there) if there.0.file == here.0.file => elements.push(snippet(sources, &[here, there]).into()),
        Some(there) => elements.extend([snippet(sources, &[here]).into(), snippet(sources, &[there]).into()]),
        None => elements.push(snippet(sources, &[here]).into()),
    }
    if let Some(help) = &problem.help {
        elements.push(Level::HELP.message(help.as_str()).into());
    }
    let group = level.primary_title(problem.message.as_str()).id(problem.code.as_str()).elements(elements);
    renderer.render(&[group])
}

/// The lines from the first to the last place, and no more: a roster has thousands of others.
fn snippet<'a>(sources: &'a Sources, marks: &[(&Place, &'a str, AnnotationKind)]) -> Snippet<'a, Annotation<'a>> {
    let source = sources.of(marks[0].0.file);
    let text = source.text.as_str();
    let spans: Vec<Span> = marks.iter().map(|(place, ..)| first_line(text, &within(text, &place.span))).collect();
    let from = spans.iter().map(|span| span.start).min().unwrap_or(0);
    let to = spans.iter().map(|span| span.end).max().unwrap_or(0);
    let from = text[..from].rfind('\n').map_or(0, |at| at + 1);
    let to = text[to..].find('\n').map_or(text.len(), |at| to + at);
    let mark = |((_, label, kind), span): (&(&Place, &'a str, AnnotationKind), Span)| {
        let mark = kind.span(span.start - from..span.end - from);
        if label.is_empty() { mark } else { mark.label(*label) }
    };
    Snippet::source(&text[from..to])
        .path(source.path.to_string_lossy())
        .line_start(text[..from].matches('\n').count() + 1)
        .annotations(marks.iter().zip(spans).map(mark))
}

/// The span, made to fit the text.
fn within(text: &str, span: &Span) -> Span {
    let fit = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let start = fit(span.start);
    start..fit(span.end).max(start)
}

fn first_line(text: &str, span: &Span) -> Span {
    let length = text[span.clone()].find(['\r', '\n']).unwrap_or(span.len());
    span.start..span.start + length
}
