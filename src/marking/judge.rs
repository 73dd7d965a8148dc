//! From what students have shown to their marks.

use std::sync::Arc;

use super::{
    bonds,
    class::{Class, Student},
    marks::{Cause, CheckMark, Mark, StudentMarks, Verdict},
};
use crate::{
    evidence::Conn,
    lab::{Exercise, Group, exercise::Points},
    words::phrase,
};

impl Class {
    /// The marks of the student at this place of the group.
    pub fn marks(&self, group: &Group, place: usize) -> StudentMarks {
        let person = &group.students[place];
        let checks: Vec<Vec<CheckMark>> =
            (0..self.exercises.len()).map(|exercise| self.check_marks(exercise, place)).collect();
        let exercises = self.exercises.iter();
        let own: Vec<Verdict> =
            checks.iter().zip(exercises).map(|(checks, exercise)| together(checks, exercise.any)).collect();
        let done = self.done(&own);
        let exercises: Vec<Mark> = checks
            .into_iter()
            .enumerate()
            .map(|(exercise, checks)| self.mark(place, exercise, checks, &own, &done))
            .collect();
        StudentMarks {
            group: group.name.clone(),
            login: person.login.clone(),
            name: person.name.clone(),
            email: person.email.clone(),
            points: Points(exercises.iter().map(|mark| mark.points.0).sum()),
            out_of: Points(exercises.iter().map(|mark| mark.exercise.points.0).sum()),
            exercises,
            notes: Vec::new(),
        }
    }

    fn mark(&self, student: usize, place: usize, checks: Vec<CheckMark>, own: &[Verdict], done: &[bool]) -> Mark {
        let exercise = self.exercise(student, place);
        let missing: Vec<usize> = self.before(&exercise).filter(|other| !done[*other]).collect();
        let held = checks.iter().filter(|check| check.verdict == Verdict::Done).count();
        let verdict = if own[place] == Verdict::Done && !missing.is_empty() {
            // What waits for something unclear is itself unclear.
            let unclear = missing.iter().all(|other| own[*other] == Verdict::Unclear);
            if unclear { Verdict::Unclear } else { Verdict::Missing }
        } else {
            own[place]
        };
        let points = match verdict {
            Verdict::Done => exercise.points,
            Verdict::Missing | Verdict::Unclear if exercise.partial && missing.is_empty() => {
                share(exercise.points, held, exercise.any.unwrap_or(checks.len()))
            }
            Verdict::Missing | Verdict::Unclear => Points(0),
        };
        let after_missing = missing.into_iter().map(|other| self.exercises[other].id.clone()).collect();
        Mark { exercise, verdict, points, after_missing, checks }
    }

    /// Which exercises are done, those they come after included.
    fn done(&self, own: &[Verdict]) -> Vec<bool> {
        let mut done: Vec<bool> = own.iter().map(|verdict| *verdict == Verdict::Done).collect();
        loop {
            let before = done.clone();
            for (place, exercise) in self.exercises.iter().enumerate() {
                done[place] = done[place] && self.before(exercise).all(|other| done[other]);
            }
            if done == before {
                return done;
            }
        }
    }

    fn before<'a>(&'a self, exercise: &'a Exercise) -> impl Iterator<Item = usize> + 'a {
        exercise.after.iter().filter_map(|id| self.exercises.iter().position(|other| other.id == *id))
    }

    fn check_marks(&self, exercise: usize, place: usize) -> Vec<CheckMark> {
        let first = self.first_check[exercise];
        let checks = first..first + self.exercises[exercise].checks.len();
        let exercise = &self.exercises[exercise];
        checks.map(|check| self.check_mark(exercise, check, place)).collect()
    }

    fn check_mark(&self, exercise: &Exercise, check: usize, place: usize) -> CheckMark {
        let student = &self.students[place];
        let compiled = &self.checks[check];
        let (kind, progress) = (compiled.rule.kind(), &student.progress[check]);
        let mut mark = CheckMark {
            verdict: if progress.held { Verdict::Done } else { Verdict::Missing },
            wanted: Arc::clone(compiled.wanted(place)),
            proofs: progress.proofs.clone(),
            times: compiled.times,
            one_connection: compiled.one_connection,
            closest: None,
            cause: None,
            awaits: None,
            then: compiled.after.is_some(),
        };
        let standing = kind.standing(&self.view(place)).unwrap_or_default();
        if let Some(proof) = standing.proof.filter(|_| standing.now) {
            mark.verdict = Verdict::Done;
            mark.proofs = vec![proof];
        }
        if mark.verdict == Verdict::Missing {
            mark.awaits = kind.awaits(&student.met);
            mark.cause = self.cause(check, student);
            let attempt = Some(&progress.attempt).filter(|attempt| attempt.conn != Conn(0));
            let attempt = attempt.and_then(|attempt| kind.attempted(place, attempt));
            let nearest = || progress.nearest.as_ref().map(|near| near.phrase.clone());
            // Of what comes after something else, nobody says what there was before.
            let silent = !mark.proofs.is_empty() || mark.cause.is_some() || mark.then;
            let ignored = || {
                let (conn, began) = student.ignored.filter(|_| !silent)?;
                Some(phrase("began-before-reset").with("conn", conn.0).with("at", began))
            };
            let none = || kind.none_tried().filter(|_| !silent);
            let apart = bonds::apart(exercise, progress);
            mark.closest = apart.or(attempt).or_else(nearest).or(standing.nearest).or_else(ignored).or_else(none);
            if mark.cause.is_some() {
                mark.verdict = Verdict::Unclear;
            }
        }
        mark
    }

    /// Why the check is not the student's fault: damage in this run or, where others' events matter, at any time; a session that failed.
    fn cause(&self, check: usize, student: &Student) -> Option<Cause> {
        let damage =
            self.damage.as_ref().filter(|(seq, _)| *seq > student.reset || self.checks[check].rule.kind().is_shared());
        damage
            .map(|(seq, why)| Cause::Damaged { seq: *seq, why: why.clone() })
            .or_else(|| student.progress[check].failed.clone())
    }
}

/// All checks must hold, or so many of them; one that is plainly missing outweighs one that is unclear.
fn together(checks: &[CheckMark], any: Option<usize>) -> Verdict {
    let held = checks.iter().filter(|check| check.verdict == Verdict::Done).count();
    if any.is_some_and(|any| held >= any) {
        return Verdict::Done;
    }
    let has = |verdict| checks.iter().any(|check| check.verdict == verdict);
    if has(Verdict::Missing) || checks.is_empty() {
        Verdict::Missing
    } else if has(Verdict::Unclear) {
        Verdict::Unclear
    } else {
        Verdict::Done
    }
}

/// The share of the checks that hold, in whole hundredths, rounded down.
fn share(points: Points, held: usize, all: usize) -> Points {
    let share = u64::from(points.0) * held as u64 / all.max(1) as u64;
    Points(u32::try_from(share).unwrap_or(points.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_down() {
        assert_eq!(share(Points(200), 2, 3), Points(133));
        assert_eq!(share(Points(200), 3, 3), Points(200));
        assert_eq!(share(Points(u32::MAX), 0, 1), Points(0));
    }
}
