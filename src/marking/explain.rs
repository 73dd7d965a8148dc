//! Marks in words: why a verdict is what it is. The sentences stand in the catalogues; here is which of them a mark wants.

use super::marks::{Cause, CheckMark, Mark, Verdict};
use crate::words::{Phrase, Words, listed, phrase, quoted};

impl Words {
    /// Why the verdict is what it is, in one line.
    pub fn why(self, mark: &Mark) -> String {
        let say = |wanted| {
            let checks = mark.checks.iter().filter(move |check| check.verdict == wanted);
            checks.map(|check| self.check(check)).collect::<Vec<_>>().join("; ")
        };
        let rest = match mark.verdict {
            Verdict::Done => say(Verdict::Done),
            Verdict::Missing if mark.after_missing.is_empty() || mark.held() < mark.checks.len() => {
                say(Verdict::Missing)
            }
            Verdict::Missing | Verdict::Unclear if mark.held() == mark.checks.len() => {
                self.say(&phrase("own-checks-hold"))
            }
            Verdict::Missing | Verdict::Unclear => say(Verdict::Unclear),
        };
        match self.after(mark) {
            Some(after) if rest.is_empty() => after,
            Some(after) => format!("{after}; {rest}"),
            None => rest,
        }
    }

    /// What must be done first, if anything.
    pub fn after(self, mark: &Mark) -> Option<String> {
        let first = listed(mark.after_missing.iter().map(|id| quoted(id.as_str())));
        (!mark.after_missing.is_empty()).then(|| self.say(&phrase("do-first").with("exercises", first)))
    }

    /// What proves a check, or what is missing and the closest attempt.
    pub fn check(self, check: &CheckMark) -> String {
        if check.verdict == Verdict::Done {
            return self.proofs(check);
        }
        [Some(self.wanted(check))]
            .into_iter()
            .chain(self.missed(check).map(Some))
            .flatten()
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// What keeps a check from holding, a line each: a fault not met yet, the server's failure, the closest attempt.
    pub fn missed(self, check: &CheckMark) -> impl Iterator<Item = String> {
        let all = [check.awaits.clone(), check.cause.as_ref().map(cause), check.closest.clone()];
        all.into_iter().flatten().map(move |phrase| self.say(&phrase))
    }

    /// What proves a check.
    pub fn proofs(self, check: &CheckMark) -> String {
        check.proofs.iter().map(|proof| self.say(&proof.shows)).collect::<Vec<_>>().join("; ")
    }

    /// What a check wants.
    pub fn wanted(self, check: &CheckMark) -> String {
        let mut wanted = (*check.wanted).clone();
        if check.then {
            wanted = phrase("wanted-then").with("wanted", wanted);
        }
        if check.times > 1 {
            wanted = times(check, wanted);
        }
        self.say(&wanted)
    }
}

fn times(check: &CheckMark, wanted: Phrase) -> Phrase {
    let on = |conn| check.proofs.iter().filter(|proof| proof.conn == conn).count();
    let most = check.proofs.iter().map(|proof| on(proof.conn)).max().unwrap_or(0);
    let (phrase, have) = if check.one_connection {
        (phrase("wanted-times-one-connection"), most)
    } else {
        (phrase("wanted-times"), check.proofs.len())
    };
    phrase.with("wanted", wanted).with("have", have).with("all", u64::from(check.times))
}

/// Why a check is unclear.
fn cause(cause: &Cause) -> Phrase {
    match cause {
        Cause::Damaged { seq, why } => phrase("cause-damaged").with("event", seq.0).with("why", why.as_str()),
        Cause::Failed { conn, at } => phrase("cause-failed").with("conn", conn.0).with("at", *at),
        Cause::ContentLost(id) => phrase("cause-content-lost").with("message", id.0),
    }
}
