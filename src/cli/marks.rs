//! Marks from the stores, read from their files whether the lab is up or not: a marker per group, groups spread over the cores.

use std::{
    convert::Infallible,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    engine::LabDir,
    evidence::{Event, Seq},
    lab::{Group, Key, Lab},
    live::Record,
    marking::{Marker, StudentMarks},
    names::GroupName,
    store::StoreError,
};

/// Why something of a record could not be read, as a fragment.
pub type Problem = String;

/// The marker of one group and how far it has read.
pub struct Marked {
    group: GroupName,
    marker: Marker,
    record: Record,
}

impl Marked {
    /// Marks what is in the group's stores; nothing where it has none yet. From where one cannot be read on, it is damaged:
    /// what is not done by then is unclear, and no student's fault.
    fn new(lab: &Lab, group: &Group, key: &Key, dir: &LabDir) -> (Self, Vec<Problem>) {
        let (paths, problem) = match dir.records(&group.name) {
            Ok(paths) => (paths, None),
            Err(problem) => (Vec::new(), Some(problem.to_string())),
        };
        let mut marked =
            Self { group: group.name.clone(), marker: Marker::new(lab, group, key), record: Record::new(paths) };
        let problems = marked.pass();
        (marked, problem.into_iter().chain(problems.iter().map(ToString::to_string)).collect())
    }

    /// Gives the marker what is in the stores, as often as it has to look again.
    fn pass(&mut self) -> Vec<StoreError> {
        let Self { marker, record, .. } = self;
        let mut problems = Vec::new();
        let read = marker.read(|marker| {
            problems = record.read(&mut |reading, event| {
                marker.take(&event, &mut |id| reading.message(id));
            });
            Ok::<(), Infallible>(())
        });
        read.map_or_else(|never| match never {}, |()| problems)
    }

    /// The group.
    pub fn group(&self) -> &GroupName {
        &self.group
    }

    /// The last event that was read of the store that the server writes.
    pub fn last_written(&self) -> Seq {
        self.record.last_written()
    }

    /// Takes an event that came later, with the message that came with it. Whether that was enough: otherwise the marker has to
    /// look again at what was.
    pub fn take(&mut self, event: &Event, message: Option<&[u8]>) -> bool {
        let (mut event, came_with) = (event.clone(), event.kind.stored());
        self.record.renumber(&mut event);
        let (own, reading) = (event.kind.stored(), self.record.reading());
        let mut found = came_with.is_none() || message.is_some();
        self.marker.take(&event, &mut |id| {
            let content = message.filter(|_| own == Some(id)).map(<[u8]>::to_vec).or_else(|| reading.message(id));
            found &= content.is_some();
            content
        });
        found && !self.marker.is_stale()
    }

    /// The marks of the group's students as they are now.
    pub fn marks(&self) -> Vec<StudentMarks> {
        self.marker.marks()
    }
}

/// One group of a lab, marked, and why its store could not be read.
pub fn of_group(lab: &Lab, group: &Group, key: &Key, dir: &LabDir) -> (Marked, Vec<Problem>) {
    Marked::new(lab, group, key, dir)
}

/// The groups of a lab, marked, in the order of the lab, and what could not be read.
pub fn of_lab(lab: &Lab, key: &Key, dir: &LabDir) -> (Vec<Marked>, Vec<Problem>) {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Marked, Vec<Problem>)>> = Mutex::default();
    let work = || {
        while let Some((index, group)) = pick(&next, &lab.groups) {
            let (marked, problem) = Marked::new(lab, group, key, dir);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, marked, problem));
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from).min(lab.groups.len());
    thread::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, ..)| *index);
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for (_, marked, problem) in done {
        all.push(marked);
        problems.extend(problem);
    }
    (all, problems)
}

fn pick<'a>(next: &AtomicUsize, groups: &'a [Group]) -> Option<(usize, &'a Group)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    groups.get(index).map(|group| (index, group))
}
