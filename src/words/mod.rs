//! What people read, in their language: a [`Phrase`] names a message and its arguments, [`Words`] says it. The sentences stand in
//! one catalogue a language (`en.ftl`, `es.ftl` …, in the syntax of Project Fluent); another file there is another language.
//! What clients sent and labs wrote is quoted with its control characters made visible.

mod catalogue;

use std::sync::Arc;

pub use catalogue::Lang;
use fluent_bundle::{FluentArgs, FluentValue};

use crate::{
    evidence::Timestamp,
    lab::template::{Piece, pieces},
    trace::{date, time_of_day, visible},
};

/// A message of the catalogues, with its arguments: words without a language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Phrase {
    id: &'static str,
    args: Vec<(&'static str, Arg)>,
}

/// An argument of a phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arg {
    /// A number, by which a message may choose its plural.
    Number(u64),
    /// A word of ours that is the same in every language, by which a message may choose.
    Word(Arc<str>),
    /// What somebody wrote: in backticks, made visible.
    Quoted(Arc<str>),
    /// A pattern of the lab: the same, but what only the student can know is named instead of shown.
    Pattern(Arc<str>),
    /// Day and time: a practical runs over weeks.
    Time(Timestamp),
    /// Another phrase.
    Phrase(Phrase),
    /// Several, with this between them.
    List(Vec<Arg>, &'static str),
}

/// The phrase of this id.
pub const fn phrase(id: &'static str) -> Phrase {
    Phrase { id, args: Vec::new() }
}

/// What somebody wrote, in backticks.
pub fn quoted(text: impl AsRef<str>) -> Arg {
    Arg::Quoted(text.as_ref().into())
}

/// A pattern of the lab, in backticks.
pub fn pattern(text: impl AsRef<str>) -> Arg {
    Arg::Pattern(text.as_ref().into())
}

/// Several arguments after commas.
pub fn listed(args: impl IntoIterator<Item = Arg>) -> Arg {
    Arg::List(args.into_iter().collect(), ", ")
}

/// Several arguments one after the other, each of which brings what stands before it.
pub fn joined(phrases: impl IntoIterator<Item = Phrase>) -> Arg {
    Arg::List(phrases.into_iter().map(Arg::Phrase).collect(), "")
}

impl Phrase {
    /// The same with an argument.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Arg>) -> Self {
        self.args.push((name, value.into()));
        self
    }
}

impl From<u64> for Arg {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Arg {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

impl From<&str> for Arg {
    fn from(word: &str) -> Self {
        Self::Word(word.into())
    }
}

impl From<String> for Arg {
    fn from(word: String) -> Self {
        Self::Word(word.into())
    }
}

impl From<Timestamp> for Arg {
    fn from(at: Timestamp) -> Self {
        Self::Time(at)
    }
}

impl From<Phrase> for Arg {
    fn from(phrase: Phrase) -> Self {
        Self::Phrase(phrase)
    }
}

/// How to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Words {
    /// The language.
    pub lang: Lang,
    /// Seconds east of UTC, for times of day.
    pub utc_offset_secs: i32,
}

impl Words {
    /// Says a phrase.
    pub fn say(self, phrase: &Phrase) -> String {
        let mut args = FluentArgs::with_capacity(phrase.args.len());
        for (name, value) in &phrase.args {
            args.set(*name, self.value(value));
        }
        self.lang.format(phrase.id, &args)
    }

    fn value(self, arg: &Arg) -> FluentValue<'_> {
        match arg {
            #[expect(clippy::cast_precision_loss, reason = "counts, and numbers of messages and connections")]
            Arg::Number(number) => FluentValue::from(*number as f64),
            Arg::Word(word) => FluentValue::from(word.as_ref()),
            Arg::Quoted(_) | Arg::Pattern(_) | Arg::Time(_) | Arg::Phrase(_) | Arg::List(..) => self.text(arg).into(),
        }
    }

    /// Says an argument alone.
    pub(crate) fn text(self, arg: &Arg) -> String {
        match arg {
            Arg::Number(number) => number.to_string(),
            Arg::Word(word) => word.to_string(),
            Arg::Quoted(text) => format!("`{}`", visible(text)),
            Arg::Pattern(text) => self.pattern(text),
            Arg::Time(at) => self.time(*at),
            Arg::Phrase(phrase) => self.say(phrase),
            Arg::List(all, between) => all.iter().map(|arg| self.text(arg)).collect::<Vec<_>>().join(between),
        }
    }

    fn pattern(self, text: &str) -> String {
        let Ok(pieces) = pieces(text) else { return format!("`{}`", visible(text)) };
        let named = |id, of: &str| format!("‹{}›", self.say(&phrase(id).with("of", of)));
        let said = pieces.into_iter().map(|piece| match piece {
            Piece::Text(text) => visible(text),
            Piece::Value { name: "secret", of: Some(mail) } => named("your-secret", mail),
            Piece::Value { name: "text", of: Some(mail) } => named("your-text", mail),
            Piece::Value { name: "password", of: None } => named("your-password", ""),
            Piece::Value { name: "password", of: Some(user) } => named("password-of", user),
            Piece::Value { name: "neighbour", of: None } => named("other-domain", ""),
            Piece::Value { name, of } => of.map_or_else(|| format!("{{{name}}}"), |of| format!("{{{name}:{of}}}")),
        });
        format!("`{}`", said.collect::<String>())
    }

    /// Day and time.
    pub fn time(self, at: Timestamp) -> String {
        let day = date(at, self.utc_offset_secs);
        let month = phrase("month").with("month", u64::from(day.month().unsigned_abs()));
        let time = time_of_day(at, self.utc_offset_secs);
        format!("{} {} {}", day.day(), self.say(&month), &time[..5])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_names_what_only_the_student_can_know() {
        let words = Words::default();
        let said = |text: &str| words.text(&pattern(text));
        assert_eq!(said("*\n.{secret:punto}\n*"), "`*\\n.‹your secret from mail punto›\\n*`");
        assert_eq!(said("{password}{password:user1}"), "`‹your password›‹the password of user1›`");
        assert_eq!(said("{open"), "`{open`");
    }

    #[test]
    fn what_is_quoted_is_no_message() {
        let phrase = phrase("do-first").with("exercises", quoted("{ $x } \x1b[2J"));
        assert_eq!(Words::default().say(&phrase), "do `{ $x } \\x1b[2J` first");
    }
}
