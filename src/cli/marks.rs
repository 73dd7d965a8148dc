//! Marks from the stores, read from their files whether the lab is up or not: a marker per group, groups spread over the cores.

use std::{
    ops::ControlFlow,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use crate::{
    engine::LabDir,
    evidence::{Conn, Event, EventKind, MessageId, Seq, Timestamp, Who},
    lab::{Group, Key, Lab},
    marking::{Marker, StudentMarks},
    store::{Reader, StoreError},
};

/// The marker of one group and how far it has read.
pub struct Marked {
    marker: Marker,
    reader: Option<Reader>,
    last: Seq,
}

impl Marked {
    /// Marks what is in the group's store; nothing where it has none yet.
    fn new(lab: &Lab, group: &Group, key: &Key, dir: &LabDir) -> Result<Self, StoreError> {
        let mut marked = Self { marker: Marker::new(lab, group, key), reader: None, last: Seq(0) };
        let path = dir.store(&group.name);
        if path.exists() {
            let reader = Reader::open(&path)?;
            let marker = &mut marked.marker;
            marked.last = reader.events(Seq(0), &mut |event| {
                marker.take(&event, &mut |id| content(&reader, id));
                ControlFlow::Continue(())
            })?;
            marked.reader = Some(reader);
        }
        Ok(marked)
    }

    /// A group whose store cannot be read: what it would show is unclear, and no student's fault.
    fn unreadable(lab: &Lab, group: &Group, key: &Key, problem: &StoreError) -> Self {
        let mut marker = Marker::new(lab, group, key);
        let kind = EventKind::Damaged { why: problem.to_string() };
        let event = Event { seq: Seq(0), time: Timestamp(0), run: 1, conn: Conn(0), who: Who::Unknown, kind };
        marker.take(&event, &mut |_| None);
        Self { marker, reader: None, last: Seq(0) }
    }

    /// The number of the last event that was marked.
    pub fn last(&self) -> Seq {
        self.last
    }

    /// Takes an event that came later.
    pub fn take(&mut self, event: &Event) {
        let reader = self.reader.as_ref();
        self.marker.take(event, &mut |id| reader.and_then(|reader| content(reader, id)));
        self.last = event.seq;
    }

    /// The marks of the group's students as they are now.
    pub fn marks(&self) -> Vec<StudentMarks> {
        self.marker.marks()
    }
}

/// The groups of a lab, marked, in the order of the lab, and what could not be read.
pub fn of_lab(lab: &Lab, key: &Key, dir: &LabDir) -> (Vec<Marked>, Vec<StoreError>) {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Marked, Option<StoreError>)>> = Mutex::default();
    let work = || {
        while let Some((index, group)) = pick(&next, &lab.groups) {
            let (marked, problem) = match Marked::new(lab, group, key, dir) {
                Ok(marked) => (marked, None),
                Err(problem) => (Marked::unreadable(lab, group, key, &problem), Some(problem)),
            };
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

fn content(reader: &Reader, id: MessageId) -> Option<Vec<u8>> {
    reader.message(id).ok().flatten().map(|message| message.octets)
}
