//! Exercises as values; steps, bounds and reference solutions, which are parsed where they live because the text *is* the value,
//! have files of their own. What a check asks for, and judging, is `crate::marking`.

mod bound;
mod script;
mod step;

use std::{any::Any, fmt, sync::Arc};

use super::{ExerciseId, Text, TlsVersion};

pub use bound::{Bound, Comparison, octets};
pub use script::{Script, ScriptLine};
pub use step::{Pattern, ReplyPattern, Step};

/// The most steps of one conversation check: the marker keeps its state in the bits of a `u64`.
pub const MAX_STEPS: usize = 60;

/// An exercise: all its checks must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Exercise {
    /// Its number.
    pub id: ExerciseId,
    /// What it is called.
    pub title: Text,
    /// What helps a student who is stuck.
    pub hint: Text,
    /// The session of the practical it belongs to (1 is the first).
    pub session: u32,
    /// What it is worth.
    pub points: Points,
    /// Whether part of the checks gives part of the points.
    pub partial: bool,
    /// Exercises that must be done for this one to count.
    pub after: Vec<ExerciseId>,
    /// What must hold.
    pub checks: Vec<Asked>,
    /// What all of them must have been met by.
    pub same: Option<Same>,
    /// How many of them are enough; none: all.
    pub any: Option<usize>,
    /// Why its checks may ask for less than its solution does.
    pub weak: Option<String>,
    /// Connections that solve it, in order; empty where the lab has none.
    pub solution: Vec<Script>,
}

/// Points in hundredths, so that sums are exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Points(pub u32);

impl Points {
    /// As a number with at most two decimals.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl fmt::Display for Points {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        let text = match rest {
            0 => format!("{whole}"),
            _ if rest % 10 == 0 => format!("{whole}.{}", rest / 10),
            _ => format!("{whole}.{rest:02}"),
        };
        out.pad(&text)
    }
}

/// A check of an exercise. The lab only carries what it asks for: who reads it and who marks it looks inside
/// (`crate::marking::checks`), so that nothing here knows the kinds that there are.
#[derive(Clone)]
pub struct Asked {
    check: Arc<dyn Any + Send + Sync>,
    /// Whether it counts only after the check before it held.
    pub then: bool,
    /// At most so many seconds after the check before it.
    pub within_secs: Option<u32>,
}

/// What all checks of an exercise must have been met by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Same {
    /// One connection.
    Connection,
    /// One message.
    Message,
}

impl Asked {
    /// A check that stands alone.
    pub fn new<T: Any + Send + Sync>(check: T) -> Self {
        Self { check: Arc::new(check), then: false, within_secs: None }
    }

    /// The same, counting only after the check before it held.
    #[must_use]
    pub fn then(self, then: bool) -> Self {
        Self { then, ..self }
    }

    /// The same, counting only so many seconds after the check before it.
    #[must_use]
    pub fn within(self, within_secs: Option<u32>) -> Self {
        Self { within_secs, ..self }
    }

    /// What it asks for, in the type of whoever made it.
    pub fn check<T: Any>(&self) -> &T {
        self.check.downcast_ref().expect("checks are made and looked at in one place")
    }
}

impl PartialEq for Asked {
    /// Whether it is the same one, not one like it.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.check, &other.check) && self.then == other.then && self.within_secs == other.within_secs
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Asked").field("then", &self.then).finish_non_exhaustive()
    }
}

/// What a connection must be like; what is none may be any way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Terms {
    /// How it is secured.
    pub tls: Option<TlsMode>,
    /// The version of TLS.
    pub version: Option<TlsVersion>,
    /// The mechanism of its last login as events spell it: `PLAIN`, `PASS` …
    pub auth: Option<String>,
    /// The mailbox of its last login; a template (`{login}` is the student's own).
    pub auth_as: Option<String>,
}

/// How a connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// It is not.
    Clear,
    /// By STARTTLS, or STLS in POP3.
    Starttls,
    /// From its first octet.
    Implicit,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_show_what_is_needed() {
        assert_eq!([200, 250, 225, 5].map(|p| Points(p).to_string()), ["2", "2.5", "2.25", "0.05"]);
    }
}
