//! Checks that go together: met by one connection or one message (`same`), or within a time of each other (`within`). Each check
//! keeps what would meet it; here is whether a choice of these goes together.

use super::{marks::Proof, progress::Progress};
use crate::{
    evidence::Timestamp,
    lab::{
        Exercise,
        exercise::{Asked, Same},
    },
    words::{Phrase, phrase},
};

/// Whether the checks of an exercise go together.
pub fn is_bound(exercise: &Exercise) -> bool {
    exercise.same.is_some() || exercise.checks.iter().any(|asked| asked.within_secs.is_some())
}

/// Lets the checks of an exercise hold where what meets them goes together; says whether they do now.
pub fn settle(exercise: &Exercise, progress: &mut [Progress]) -> bool {
    if progress.iter().any(|own| own.held || own.candidates.is_empty()) {
        return false;
    }
    let Some(chosen) = choose(exercise, progress) else { return false };
    for (own, place) in progress.iter_mut().zip(chosen) {
        let proof = own.candidates[place].clone();
        own.bound = false;
        own.proven(proof, 1);
        own.held = true;
        own.candidates.clear();
        own.nearest = None;
    }
    true
}

/// Per check the place of a candidate, so that all go together: the ways that reach each candidate, from the first check on.
fn choose(exercise: &Exercise, progress: &[Progress]) -> Option<Vec<usize>> {
    // Per check and candidate, the candidate of the check before that it goes together with.
    let mut before: Vec<Vec<Option<usize>>> = vec![vec![Some(0); progress[0].candidates.len()]];
    for (check, asked) in exercise.checks.iter().enumerate().skip(1) {
        let reached = &before[check - 1];
        let earlier = &progress[check - 1].candidates;
        let goes = |proof: &Proof| {
            (0..earlier.len())
                .find(|place| reached[*place].is_some() && together(exercise.same, asked, &earlier[*place], proof))
        };
        before.push(progress[check].candidates.iter().map(goes).collect());
    }
    let mut place = before.last()?.iter().position(Option::is_some)?;
    let mut chosen = Vec::new();
    for ways in before.iter().rev() {
        chosen.push(place);
        place = ways[place]?;
    }
    chosen.reverse();
    Some(chosen)
}

/// Whether a proof goes together with that of the check before.
fn together(same: Option<Same>, asked: &Asked, before: &Proof, proof: &Proof) -> bool {
    let one = match same {
        Some(Same::Connection) => before.conn == proof.conn,
        Some(Same::Message) => before.message.is_some() && before.message == proof.message,
        None => true,
    };
    let order = !asked.then || before.events.iter().max() < proof.events.iter().min();
    let in_time = |secs: u32| {
        let Timestamp(early) = before.at;
        proof.at.0 - early <= i64::from(secs) * 1_000_000
    };
    one && order && asked.within_secs.is_none_or(in_time)
}

/// Why a check does not hold although something would meet it.
pub fn apart(exercise: &Exercise, own: &Progress) -> Option<Phrase> {
    let proof = own.candidates.back()?;
    let apart = match exercise.same {
        Some(Same::Connection) => phrase("apart-connection"),
        Some(Same::Message) => phrase("apart-message"),
        None => phrase("apart-time"),
    };
    Some(apart.with("proof", proof.shows.clone()))
}
