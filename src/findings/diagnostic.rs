//! What is wrong with a lab, as values: a stable code, where it stands, what it is in words, and the way out.
//! Nothing here renders; that is `render`.

use std::{collections::BTreeMap, ops::Range};

use super::fields::Section;

/// Octets of a source, from the first to the one behind the last.
pub type Span = Range<usize>;

/// The most errors of one code that are shown; the last of them says how many more there are. Warnings are folded where they
/// are rendered.
pub const MAX_ALIKE: usize = 20;

/// The longest word that a "did you mean" is looked for.
const MAX_SUGGESTED: usize = 64;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is started with it.
    Error,
    /// It works, but perhaps not as meant.
    Warning,
}

impl Severity {
    /// As the JSON form writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

macro_rules! codes {
    ($($variant:ident $severity:ident $name:literal $about:literal;)*) => {
        /// What kind of problem it is. The names are stable: scripts may look for them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $about] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the reference.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name as people and scripts see it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it means, in a line.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => $about,)* }
            }

            /// Whether it stops the lab.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    // The file as such.
    EmptyLab Error "empty-lab" "The lab file says nothing.";
    Syntax Error "syntax" "The lab file is not TOML.";
    NotText Error "not-text" "A file is not UTF-8 text (a roster may also be Windows-1252).";
    TooLarge Error "too-large" "A file is larger than any lab needs.";
    Unreadable Error "unreadable" "The roster could not be read.";
    // Keys and values.
    UnknownKey Error "unknown-key" "There is no such key here.";
    MissingKey Error "missing-key" "A key that must be there is not.";
    WrongType Error "wrong-type" "A value is of another type: a string where a number belongs.";
    UnknownValue Error "unknown-value" "A value is none of those there are.";
    OutOfRange Error "out-of-range" "A number is below its minimum or above its maximum.";
    TightMemory Warning "tight-memory" "Limits let more come in at once than there is memory or room for.";
    BelowRfc Warning "below-rfc" "A limit is lower than the RFC asks for: programs that keep to the RFC will meet it.";
    BadNumber Error "bad-number" "A size, a bound or points cannot be read.";
    BadText Error "bad-text" "A text has characters that it may not have, or is too long.";
    BadName Error "bad-name" "A name breaks the rule for names.";
    Conflict Error "conflict" "Two keys or values exclude each other.";
    NoEffect Warning "no-effect" "A value changes nothing.";
    TooMany Error "too-many" "There are more students, groups, exercises or the like than a lab may have.";
    Duplicate Error "duplicate" "The same name stands twice.";
    // Domains and people.
    BadDomain Error "bad-domain" "A domain is no domain.";
    SameDomain Error "same-domain" "Two groups would have the same mail domain.";
    BadHost Error "bad-host" "A server's name for itself is no printable word.";
    Nobody Error "nobody" "The lab has no students.";
    SameStudent Error "same-student" "A student stands twice.";
    TakenLogin Error "taken-login" "A student's login is also a shared mailbox.";
    UnknownGroup Error "unknown-group" "A student's group is not among `groups`.";
    MissingGroup Error "missing-group" "Students have no group, and the lab does not say how to make groups.";
    SeveralGroups Warning "several-groups" "A student stands in several groups; the first one counts.";
    SameGroup Error "same-group" "Two groups of the roster would get the same name.";
    Renamed Warning "renamed" "A login or a group was changed into a name that can stand in an address.";
    // The roster as a file.
    NotUtf8 Warning "not-utf8" "The roster is not UTF-8 and was read as Windows-1252.";
    MissingColumn Error "missing-column" "The roster has no column that gives logins.";
    UnknownColumn Warning "unknown-column" "A column of the roster is not read.";
    BadRow Error "bad-row" "A row of the roster cannot be read.";
    // References.
    UnknownMailbox Error "unknown-mailbox" "There is no such mailbox in every group that needs it.";
    NoCatchAll Warning "no-catch-all" "The dialect accepts every recipient, but the lab has no mailbox for their mail.";
    UnknownMail Error "unknown-mail" "There is no injected mail of this id.";
    UnknownExercise Error "unknown-exercise" "There is no exercise of this id.";
    Circle Error "circle" "Exercises come after each other in a circle.";
    BadTemplate Error "bad-template" "A placeholder does not exist or cannot stand here.";
    // Checks and solutions.
    BadCheck Error "bad-check" "A check is not exactly one kind of check, or can never hold.";
    BadFault Error "bad-fault" "A fault does not parse, or stands where it means nothing.";
    UnknownFault Error "unknown-fault" "There is no fault of this id.";
    BadStep Error "bad-step" "A step does not parse.";
    UnknownVerb Warning "unknown-verb" "A step waits for a verb that the protocol does not have.";
    NeverOffered Warning "never-offered" "Something needs TLS or AUTH, which these servers never offer.";
    ForeignReply Warning "foreign-reply" "A step waits for a reply that the protocol does not have.";
    BadScript Error "bad-script" "A reference solution does not parse.";
}

impl Code {
    /// Whether it may be there only because something else could not be read.
    const fn asks_for_more(self) -> bool {
        matches!(
            self,
            Self::MissingKey
                | Self::Nobody
                | Self::UnknownGroup
                | Self::MissingGroup
                | Self::UnknownMailbox
                | Self::NoCatchAll
                | Self::UnknownMail
                | Self::UnknownExercise
                | Self::BadTemplate
                | Self::BadCheck
        )
    }
}

/// Which of the files of a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum File {
    /// The lab file.
    Lab,
    /// The roster that it names.
    Roster,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: File,
    /// The octets.
    pub span: Span,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind.
    pub code: Code,
    /// What is wrong: a fragment in lower case, names in backticks.
    pub message: String,
    /// Where.
    pub place: Place,
    /// What stands there, in a few words; possibly empty.
    pub label: String,
    /// Another place that matters, and why.
    pub second: Option<(Place, String)>,
    /// The way out.
    pub help: Option<String>,
    /// What many of its kind are called together, and this one among them.
    pub alike: Option<(&'static str, String)>,
}

impl Diagnostic {
    /// Says what stands at the place.
    pub fn label(&mut self, text: impl Into<String>) -> &mut Self {
        self.label = text.into();
        self
    }

    /// Points at another place.
    pub fn second(&mut self, place: Place, text: impl Into<String>) -> &mut Self {
        self.second = Some((place, text.into()));
        self
    }

    /// Says the way out.
    pub fn help(&mut self, text: impl Into<String>) -> &mut Self {
        self.help = Some(text.into());
        self
    }

    /// Says how many of its kind are told in one: `groups renamed`, and of this one `` `Grupo 1` to `grupo-1` ``.
    pub fn alike(&mut self, kind: &'static str, this: impl Into<String>) -> &mut Self {
        self.alike = Some((kind, this.into()));
        self
    }

    /// Says what was probably meant, if anything like `word` is among `known`.
    pub fn did_you_mean<'a>(&mut self, word: &str, known: impl IntoIterator<Item = &'a str>) -> &mut Self {
        if let Some(meant) = closest(word, known) {
            self.help = Some(format!("did you mean `{meant}`?"));
        }
        self
    }
}

/// The problems found so far.
#[derive(Debug)]
pub struct Findings<'t> {
    lab: &'t str,
    /// Every table of the file, for a key that stands in the wrong one.
    pub sections: &'static [&'static Section],
    list: Vec<Diagnostic>,
    damaged: Vec<Span>,
}

impl<'t> Findings<'t> {
    /// None yet, in a lab file with this text, whose tables are these.
    pub fn new(lab: &'t str, sections: &'static [&'static Section]) -> Self {
        Self { lab, sections, list: Vec::new(), damaged: Vec::new() }
    }

    /// Notes a problem at any place.
    pub fn add(&mut self, code: Code, place: Place, message: impl Into<String>) -> &mut Diagnostic {
        let (message, label) = (message.into(), String::new());
        self.list.push(Diagnostic { code, message, place, label, second: None, help: None, alike: None });
        self.list.last_mut().expect("just pushed")
    }

    /// Notes a problem in the lab file.
    pub fn lab(&mut self, code: Code, span: &Span, message: impl Into<String>) -> &mut Diagnostic {
        self.add(code, in_lab(span), message)
    }

    /// Notes a problem in the lab file, and points at what the message names first, where that stands within `span` just once.
    pub fn within(&mut self, code: Code, span: &Span, message: impl Into<String>) -> &mut Diagnostic {
        let message = message.into();
        let span =
            message.split('`').nth(1).and_then(|word| find(self.lab, span, word)).unwrap_or_else(|| span.clone());
        self.lab(code, &span, message)
    }

    /// The place of `word` in the lab file, where it stands within `span` just once.
    pub fn find(&self, span: &Span, word: &str) -> Option<Span> {
        find(self.lab, span, word)
    }

    /// Remembers where the lab file did not parse.
    pub fn damaged(&mut self, span: Span) {
        self.damaged.push(span);
    }

    /// How many problems stop the lab so far.
    pub fn errors(&self) -> usize {
        self.list.iter().filter(|problem| problem.code.severity() == Severity::Error).count()
    }

    /// All problems in the order of their places, at most [`MAX_ALIKE`] errors of one code. Where the file does not parse, what seems
    /// to be missing may only be unreadable: that is not held against it.
    pub fn finish(self) -> Vec<Diagnostic> {
        let follows = |problem: &Diagnostic| {
            let on_line = |span| same_line(self.lab, span, &problem.place.span);
            problem.code != Code::Syntax
                && (problem.code.asks_for_more() || problem.place.file == File::Lab && self.damaged.iter().any(on_line))
        };
        let kept = |problem: &Diagnostic| self.damaged.is_empty() || !follows(problem);
        let mut list: Vec<Diagnostic> = self.list.into_iter().filter(kept).collect();
        list.sort_by(|a, b| {
            (a.place.file, a.place.span.start, a.code).cmp(&(b.place.file, b.place.span.start, b.code))
        });
        shorten(list)
    }
}

/// A place in the lab file.
pub fn in_lab(span: &Span) -> Place {
    Place { file: File::Lab, span: span.clone() }
}

/// The one of `known` that `word` is probably meant to be.
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > MAX_SUGGESTED {
        return None;
    }
    let word = word.to_lowercase();
    let most = (word.chars().count() / 3).max(1);
    let distance = |name: &&str| strsim::damerau_levenshtein(&word, &name.to_lowercase());
    let (distance, best) =
        known.into_iter().map(|name| (distance(&name), name)).min_by_key(|(distance, _)| *distance)?;
    (distance <= most && distance < word.chars().count()).then_some(best)
}

/// The place of `word` within `span`, where it stands there just once.
pub fn find(text: &str, span: &Span, word: &str) -> Option<Span> {
    let mut hits = text.get(span.clone())?.match_indices(word);
    let (at, _) = hits.next().filter(|_| !word.is_empty())?;
    hits.next().is_none().then(|| span.start + at..span.start + at + word.len())
}

fn same_line(text: &str, one: &Span, other: &Span) -> bool {
    let (start, end) = (one.start.min(other.start), one.start.max(other.start));
    text.as_bytes().get(start..end).is_none_or(|between| !between.contains(&b'\n'))
}

fn shorten(list: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let mut counts: BTreeMap<Code, usize> = BTreeMap::new();
    for problem in list.iter().filter(|problem| problem.code.severity() == Severity::Error) {
        *counts.entry(problem.code).or_default() += 1;
    }
    let mut shown: BTreeMap<Code, usize> = BTreeMap::new();
    let mut short = Vec::new();
    for mut problem in list {
        let Some(count) = counts.get(&problem.code) else {
            short.push(problem);
            continue;
        };
        let number = shown.entry(problem.code).or_default();
        *number += 1;
        let more = count.saturating_sub(MAX_ALIKE);
        if *number == MAX_ALIKE && more > 0 {
            let help = problem.help.take().map_or_else(String::new, |help| format!("{help}; "));
            problem.help = Some(format!("{help}there are {more} more like this"));
        }
        if *number <= MAX_ALIKE {
            short.push(problem);
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_word_is_suggested_and_a_far_one_is_not() {
        assert_eq!(closest("relai", ["relay", "users"]), Some("relay"));
        assert_eq!(closest("RELAY", ["relay", "users"]), Some("relay"));
        assert_eq!(closest("banana", ["relay", "users"]), None);
        assert_eq!(closest("x", ["id", "to"]), None);
        assert_eq!(closest(&"r".repeat(MAX_SUGGESTED + 1), ["r"]), None);
        assert_eq!(closest("anything", []), None);
    }

    #[test]
    fn a_word_is_pointed_at_only_where_it_is_the_only_one() {
        assert_eq!(find("a bad step", &(2..10), "bad"), Some(2..5));
        assert_eq!(find("bad bad", &(0..7), "bad"), None);
        assert_eq!(find("bad", &(1..3), "bad"), None);
        assert_eq!(find("bad", &(2..9), "bad"), None);
    }

    #[test]
    fn only_so_many_of_a_kind_are_shown() {
        for (count, shown) in [(MAX_ALIKE, MAX_ALIKE), (MAX_ALIKE + 1, MAX_ALIKE)] {
            let text = "x".repeat(count);
            let mut findings = Findings::new(&text, &[]);
            for at in 0..count {
                findings.lab(Code::BadName, &(at..at), "no name").help("think");
            }
            let list = findings.finish();
            assert_eq!(list.len(), shown);
            let last = list.last().unwrap().help.as_deref().unwrap();
            assert_eq!(last, if count > MAX_ALIKE { "think; there are 1 more like this" } else { "think" });
        }
    }

    #[test]
    fn codes_are_unique_words() {
        let names: std::collections::BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(
            names.iter().all(|name| name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'))
        );
        assert!(Code::ALL.iter().all(|code| code.about().ends_with('.')));
    }
}
