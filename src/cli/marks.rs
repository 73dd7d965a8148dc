//! Marks from the stores, read from their files whether the lab is up or not: a marker per group, groups spread over the cores.

use std::{
    ops::ControlFlow,
    path::Path,
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
    /// Marks what is in the group's store; nothing where it has none yet. From where it cannot be read on, it is damaged:
    /// what is not done by then is unclear, and no student's fault.
    fn new(lab: &Lab, group: &Group, key: &Key, dir: &LabDir) -> (Self, Option<StoreError>) {
        let mut marked = Self { marker: Marker::new(lab, group, key), reader: None, last: Seq(0) };
        let problem = marked.read(&dir.store(&group.name)).err();
        if let Some(problem) = &problem {
            let kind = EventKind::Damaged { why: problem.to_string() };
            let seq = Seq(marked.last.0 + 1);
            marked.take(&Event { seq, time: Timestamp(0), run: 1, conn: Conn(0), who: Who::Unknown, kind });
        }
        (marked, problem)
    }

    fn read(&mut self, store: &Path) -> Result<(), StoreError> {
        if !store.exists() {
            return Ok(());
        }
        self.reader = Some(Reader::open(store)?);
        self.pass()
    }

    /// Gives the marker what is in the store, as often as it has to look again.
    fn pass(&mut self) -> Result<(), StoreError> {
        let Self { marker, last, reader: Some(reader) } = self else { return Ok(()) };
        marker.read(|marker| {
            let read = reader.events(Seq(0), &mut |event| {
                marker.take(&event, &mut |id| content(reader, id));
                *last = (*last).max(event.seq);
                ControlFlow::Continue(())
            });
            read.map(drop)
        })
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
        if self.marker.is_stale() {
            // What cannot be read again was read before: the marker keeps what it has until it can.
            let _ = self.pass();
        }
    }

    /// The marks of the group's students as they are now.
    pub fn marks(&self) -> Vec<StudentMarks> {
        self.marker.marks()
    }
}

/// One group of a lab, marked, and why its store could not be read.
pub fn of_group(lab: &Lab, group: &Group, key: &Key, dir: &LabDir) -> (Marked, Option<StoreError>) {
    Marked::new(lab, group, key, dir)
}

/// The groups of a lab, marked, in the order of the lab, and what could not be read.
pub fn of_lab(lab: &Lab, key: &Key, dir: &LabDir) -> (Vec<Marked>, Vec<StoreError>) {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Marked, Option<StoreError>)>> = Mutex::default();
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

fn content(reader: &Reader, id: MessageId) -> Option<Vec<u8>> {
    reader.message(id).ok().flatten().map(|message| message.octets)
}
