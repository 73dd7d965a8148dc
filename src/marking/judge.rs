//! From what students have shown to their marks.

use std::sync::Arc;

use super::{
    class::{Class, Student},
    marks::{Cause, CheckMark, Closest, Mark, StudentMarks, Verdict, Wanted},
};
use crate::lab::{Exercise, Group, exercise::Points};

impl Class {
    /// The marks of the student at this place of the group.
    pub fn marks(&self, group: &Group, place: usize) -> StudentMarks {
        let person = &group.students[place];
        let checks: Vec<Vec<CheckMark>> =
            (0..self.rules.exercises.len()).map(|exercise| self.check_marks(exercise, place)).collect();
        let own: Vec<Verdict> = checks.iter().map(|checks| together(checks)).collect();
        let done = self.done(&own);
        let exercises: Vec<Mark> =
            checks.into_iter().enumerate().map(|(exercise, checks)| self.mark(exercise, checks, &own, &done)).collect();
        StudentMarks {
            group: group.name.clone(),
            login: person.login.clone(),
            name: person.name.clone(),
            email: person.email.clone(),
            points: Points(exercises.iter().map(|mark| mark.points.0).sum()),
            out_of: Points(exercises.iter().map(|mark| mark.exercise.points.0).sum()),
            exercises,
            contradictions: self.students[place].contradictions.iter().cloned().collect(),
        }
    }

    fn mark(&self, place: usize, checks: Vec<CheckMark>, own: &[Verdict], done: &[bool]) -> Mark {
        let exercise = Arc::clone(&self.rules.exercises[place]);
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
                share(exercise.points, held, checks.len())
            }
            Verdict::Missing | Verdict::Unclear => Points(0),
        };
        let after_missing = missing.into_iter().map(|other| self.rules.exercises[other].id.clone()).collect();
        Mark { exercise, verdict, points, after_missing, checks }
    }

    /// Which exercises are done, those they come after included.
    fn done(&self, own: &[Verdict]) -> Vec<bool> {
        let mut done: Vec<bool> = own.iter().map(|verdict| *verdict == Verdict::Done).collect();
        loop {
            let before = done.clone();
            for (place, exercise) in self.rules.exercises.iter().enumerate() {
                done[place] = done[place] && self.before(exercise).all(|other| done[other]);
            }
            if done == before {
                return done;
            }
        }
    }

    fn before<'a>(&'a self, exercise: &'a Exercise) -> impl Iterator<Item = usize> + 'a {
        exercise.after.iter().filter_map(|id| self.rules.exercises.iter().position(|other| other.id == *id))
    }

    fn check_marks(&self, exercise: usize, place: usize) -> Vec<CheckMark> {
        let first = self.rules.first_check[exercise];
        let checks = first..first + self.rules.exercises[exercise].checks.len();
        checks.map(|check| self.check_mark(check, place)).collect()
    }

    fn check_mark(&self, check: usize, place: usize) -> CheckMark {
        let student = &self.students[place];
        let compiled = &self.rules.checks[check];
        let progress = &student.progress[check];
        let mut mark = CheckMark {
            verdict: if progress.held { Verdict::Done } else { Verdict::Missing },
            wanted: Arc::clone(compiled.wanted(place)),
            proofs: progress.proofs.clone(),
            times: compiled.times,
            closest: progress.shown(),
            cause: None,
            unmet: None,
            then: compiled.after.is_some(),
        };
        self.stand(check, place, &mut mark);
        if mark.verdict == Verdict::Missing {
            if let Wanted::Conversation(talk) = &*mark.wanted {
                mark.unmet = talk.fault.clone().filter(|fault| !student.met.contains_key(fault));
            }
            mark.cause = self.cause(check, student);
            if mark.cause.is_some() {
                mark.verdict = Verdict::Unclear;
            }
        }
        mark
    }

    /// What a check says that looks at how folders are now, or how they came nearest.
    fn stand(&self, check: usize, place: usize, mark: &mut CheckMark) {
        let mut proof = None;
        if let Some(rule) = self.rules.mailboxes.iter().find(|rule| rule.check == check) {
            mark.closest = Some(Closest::Mailbox(rule.count(place, &self.cabinets)));
            let arrived = self.students[place].arrived.filter(|_| rule.now && self.settled());
            proof = arrived.and_then(|arrived| rule.proof(place, &self.cabinets, arrived));
        } else if let Some(rule) = self.rules.filed.iter().find(|rule| rule.check == check) {
            let the_one = |message| self.is_the_one(place, &rule.what, message);
            match rule.standing(place, &self.cabinets, the_one) {
                Ok(found) => proof = Some(found).filter(|_| rule.now),
                Err(nearest) => mark.closest = nearest.map(Closest::Filed),
            }
        }
        if let Some(proof) = proof {
            mark.verdict = Verdict::Done;
            mark.proofs = vec![proof];
        }
        if mark.verdict == Verdict::Done {
            mark.closest = None;
        }
    }

    /// Why the check is not the student's fault: damage in this run or, where others' events matter, at any time; a session that failed.
    fn cause(&self, check: usize, student: &Student) -> Option<Cause> {
        let damage = self.damage.as_ref().filter(|(seq, _)| *seq > student.reset || self.rules.checks[check].shared);
        damage
            .map(|(seq, why)| Cause::Damaged { seq: *seq, why: why.clone() })
            .or_else(|| student.progress[check].failed.clone())
    }
}

/// All checks must hold; one that is plainly missing outweighs one that is unclear.
fn together(checks: &[CheckMark]) -> Verdict {
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
