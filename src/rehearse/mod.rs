//! Rehearsal: is the lab's marking right? For a made-up class it plays every reference solution (must give every point), an
//! idle student (must give none, also beside an active one), each solution with each of its steps left out or two connections in the
//! other order (must not give that exercise), and a second student after the first (must get what the first got). On the record of
//! the whole solution it tries what else an exercise is given without (`tries`); a lab may say why that is meant so.
//!
//! Each play has a group, a server, a store and a student of its own, on ports that the system picks, so plays run side by
//! side and nothing of one can prove anything of another. Where mail goes on to other groups there is a second group with a server
//! beside it, and each connection waits until the mail of the one before it is where it goes. With [`containers`] the solutions and the idle student are played
//! from inside clients on a Docker Engine; what is left out of solutions is about marking, and stays in this process.

mod asking;
pub mod containers;
pub mod player;
mod servers;
mod stage;
mod tries;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    lab::{Exercise, ExerciseId, Key, Lab},
    marking::{Mark, StudentMarks, Verdict},
    words::Words,
};

use containers::Containers;
use player::Step;
use stage::Stage;
pub use stage::StageError;
use tries::Record;

/// How many plays run at once: they wait for each other's replies more than they compute.
const PLAYS_AT_ONCE: usize = 16;

/// What a rehearsal found.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsal {
    /// A row for each exercise, in the lab's order.
    pub rows: Vec<Row>,
}

/// What a rehearsal found of one exercise.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The exercise.
    pub id: ExerciseId,
    /// Whether the whole solution gave it.
    pub solved: bool,
    /// Whether the idle student was given nothing.
    pub idle: bool,
    /// Each step of the solution and whether leaving it out cost the exercise.
    pub steps: Vec<LeftOut>,
    /// What of the solution the exercise is given without, as fragments: meant so where the lab says why.
    pub away: Vec<String>,
    /// What is wrong, as fragments that name the step; empty where the row is right.
    pub problems: Vec<String>,
}

/// A solution with one step left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The step, in a few words.
    pub step: String,
    /// Whether leaving it out cost the exercise, as it must.
    pub cost: bool,
}

impl Rehearsal {
    /// Whether every row is right.
    pub fn passed(&self) -> bool {
        self.rows.iter().all(|row| row.problems.is_empty())
    }
}

/// One play: the solutions of these exercises in order, by one student, with one step left out of the last of them.
#[derive(Debug, Clone, Default)]
struct Play {
    /// Indices into the lab's exercises.
    exercises: Vec<usize>,
    /// What is otherwise in the last exercise's solution.
    change: Change,
    /// The step's label, for the row.
    label: String,
}

/// What is otherwise in a play.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Change {
    /// Nothing.
    #[default]
    None,
    /// This step of this script is left out.
    LeaveOut(usize, usize),
    /// This connection comes after the one behind it.
    Swap(usize),
    /// This connection is left out, and all other exercises are solved before.
    LeaveConnection(usize),
    /// A second student of the group does it all after the first.
    Second,
}

/// Rehearses `lab` with stores below `folder`, and where there are containers the first two plays in them; `progress` hears
/// of each play that is over (done, of all).
pub async fn run(
    lab: &Lab,
    key: &Key,
    folder: &Path,
    containers: Option<&Containers>,
    progress: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<Rehearsal, StageError> {
    let stage = Arc::new(Stage::new(lab, key, folder)?);
    let plays = plays(lab, &stage);
    let places = Arc::new(Semaphore::new(PLAYS_AT_ONCE));
    let mut outcomes = BTreeMap::new();
    if let Some(containers) = containers {
        outcomes.extend(containers.perform(&plays[0].exercises).await?.into_iter().enumerate());
    }
    let mut running = JoinSet::new();
    for (number, play) in plays.iter().cloned().enumerate().skip(outcomes.len()) {
        let (stage, places) = (Arc::clone(&stage), Arc::clone(&places));
        running.spawn(async move {
            let _place = places.acquire_owned().await.expect("never closed");
            (number, stage.perform(number, &play).await)
        });
    }
    while let Some(ended) = running.join_next().await {
        let (number, outcome) = ended.map_err(|problem| StageError::Play(problem.to_string()))?;
        outcomes.insert(number, outcome?);
        progress(outcomes.len(), plays.len());
    }
    let record = Record::read(&stage, &stage.store(0)).ok();
    Ok(judge(&stage, &plays, &outcomes, record.as_ref()))
}

/// The whole solution, the idle student, then every step of every solution left out.
fn plays(lab: &Lab, stage: &Stage) -> Vec<Play> {
    let all = (0..lab.exercises.len()).collect();
    let mut plays = vec![Play { exercises: all, ..Play::default() }, Play::default()];
    for (index, exercise) in lab.exercises.iter().enumerate() {
        for (script, steps) in stage.steps(exercise, stage.student()).iter().enumerate() {
            for (step, what) in steps.iter().enumerate().filter(|(_, step)| Step::can_be_left_out(step)) {
                let exercises = with_prerequisites(lab, index);
                plays.push(Play { exercises, change: Change::LeaveOut(script, step), label: what.label() });
            }
        }
        let alone = exercise.solution.len() < 2;
        for (script, _) in exercise.solution.iter().enumerate().filter(|_| !alone) {
            let others = (0..lab.exercises.len()).filter(|other| *other != index);
            let label = format!("connection {} ({})", script + 1, stage.label(index, script));
            plays.push(Play {
                exercises: others.chain([index]).collect(),
                change: Change::LeaveConnection(script),
                label,
            });
        }
        for first in 1..exercise.solution.len() {
            let label = format!("the order of connections {first} and {}", first + 1);
            let exercises = with_prerequisites(lab, index);
            plays.push(Play { exercises, change: Change::Swap(first - 1), label });
        }
    }
    if stage.group().students.len() > 1 {
        let exercises = (0..lab.exercises.len()).collect();
        plays.push(Play { exercises, change: Change::Second, label: String::new() });
    }
    plays
}

/// The exercises that `index` comes after, in the lab's order, and itself last.
fn with_prerequisites(lab: &Lab, index: usize) -> Vec<usize> {
    let mut needed = vec![false; lab.exercises.len()];
    let mut open = vec![index];
    while let Some(next) = open.pop() {
        let exercise = &lab.exercises[next];
        for (before, other) in lab.exercises.iter().enumerate() {
            if exercise.after.contains(&other.id) && !needed[before] {
                needed[before] = true;
                open.push(before);
            }
        }
    }
    needed[index] = false;
    (0..needed.len()).filter(|at| needed[*at]).chain([index]).collect()
}

/// What one play gave: the student's marks, and what went otherwise than the scripts say, by exercise.
type Played = (StudentMarks, BTreeMap<usize, String>);

fn judge(stage: &Stage, plays: &[Play], outcomes: &BTreeMap<usize, Played>, record: Option<&Record>) -> Rehearsal {
    let lab = stage.lab();
    let bystanders = record.map(|record| record.bystanders(stage)).unwrap_or_default();
    let row = |(index, exercise): (usize, &Exercise)| {
        let mark = |play: usize| &outcomes[&play].0.exercises[index];
        let done = |mark: &Mark| mark.verdict == Verdict::Done;
        let steps: Vec<LeftOut> = (2..plays.len())
            .filter(|play| plays[*play].exercises.last() == Some(&index))
            .filter(|play| matches!(plays[*play].change, Change::LeaveOut(..)))
            .map(|play| LeftOut { step: plays[play].label.clone(), cost: !done(mark(play)) })
            .collect();
        let (solved, idle) = (done(mark(0)), !done(mark(1)) && mark(1).points.0 == 0);
        let mut problems = Vec::new();
        if exercise.solution.is_empty() {
            problems.push("it has no solution to rehearse: add `[exercise.solution]`".to_owned());
        } else if !solved {
            problems.push(format!("its solution does not give it: {}", Words::default().why(mark(0))));
        }
        problems.extend(outcomes[&0].1.get(&index).cloned());
        if !idle {
            problems.push("an idle student is given it".to_owned());
        }
        let spare = steps.iter().filter(|step| !step.cost);
        problems
            .extend(spare.map(|step| {
                format!("it is given without the step `{}`: ask for it in a check, or drop it", step.step)
            }));
        if bystanders.iter().any(|own| done(&own.exercises[index]) || own.exercises[index].points.0 > 0) {
            problems.push("an idle student is given it by another one's work".to_owned());
        }
        let after = |play: &usize| plays[*play].change == Change::Second;
        if solved && (2..plays.len()).find(after).is_some_and(|play| !done(mark(play))) {
            let why = (2..plays.len()).find(after).map(|play| Words::default().why(mark(play)));
            problems.push(format!(
                "a second student of the group does not get it after the first: {}",
                why.unwrap_or_default()
            ));
        }
        let swapped = (2..plays.len()).filter(|play| plays[*play].exercises.last() == Some(&index));
        let tried = |change| matches!(change, Change::Swap(_) | Change::LeaveConnection(_));
        let swapped = swapped.filter(|play| tried(plays[*play].change) && done(mark(*play)));
        let mut away: Vec<String> = swapped.map(|play| plays[play].label.clone()).collect();
        let needed = with_prerequisites(lab, index);
        let tried =
            record.filter(|_| solved).map(|record| record.given_away(stage, index, &needed)).unwrap_or_default();
        away.extend(tried.into_iter().map(|way| way.without));
        if exercise.weak.is_none() && !away.is_empty() {
            problems.push(format!(
                "it is given without {}: ask for it in a check, or say why that is meant so, `weak = \"…\"`",
                away.join(", without ")
            ));
        }
        Row { id: exercise.id.clone(), solved, idle, steps, away, problems }
    };
    Rehearsal { rows: lab.exercises.iter().enumerate().map(row).collect() }
}
