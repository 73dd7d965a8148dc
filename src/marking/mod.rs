//! Marking: evidence in, marks out, one event at a time. Pure: message contents come through a closure, the time is in the events.
//!
//! ```text
//!  Event ─▶ connections (whose is it?) ─▶ class ─ deed ─▶ checks: conversation, message, touched, mailbox, filed, query, carried
//!              │ labctl's own, unknown, contradictory: nobody's           │ each a file: keys, rule, words
//!              ▼                                                          ▼
//!            witness: folders, injected mail, resets, damage         progress per student and check ─▶ judge ─▶ marks()
//!                     queries by who asked, mail by who handed it in
//! ```
//! What counts:
//! - An event counts for the student that it or, by address, its connection names; labctl's own events and injected mail never count.
//! - A connection that came to one student's address and logged in to another student's own mailbox counts for neither, from its
//!   beginning, and the marks of both say so. What it had counted for until then is taken back by giving the marker the record
//!   again: what is left of the record decides.
//! - Ever achieved is achieved, until a reset: then everything of that student from before is forgotten, also connections still open.
//! - What is not done when the record is damaged, or when a session of the server failed on the way, is unclear.

mod bonds;
pub mod checks;
mod class;
mod connections;
mod content;
mod delivery;
mod explain;
mod folders;
mod judge;
pub mod marks;
mod progress;
mod quick;
pub mod used;

pub use connections::MAX_UNKNOWN;
pub use folders::MAX_FOLLOWED;
pub use marks::{CheckMark, Mark, StudentMarks, Verdict};

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    evidence::{Conn, Event, EventKind, MessageId, Seq},
    lab::{Exercise, Group, Key, Lab},
    words::{Phrase, phrase, quoted},
};
use class::Class;
use connections::{Connections, Turn};

/// The most octets that an attempt keeps of what was said in place of the wanted.
pub const NEAR_KEPT: usize = 200;

/// The most recipients or mailboxes that an attempt lists.
pub const LISTED: usize = 10;

/// The most contradictions that a student's marks tell of, the latest.
pub const MAX_CONTRADICTIONS: usize = 10;

/// Marks one group, live: give it every event of the group's server in order, and ask at any moment.
#[derive(Debug)]
pub struct Marker {
    group: Group,
    class: Class,
    connections: Connections,
    /// The connections that count for neither of two students.
    neithers: BTreeMap<Conn, Contradiction>,
    stale: bool,
}

/// A connection that came to one student's address and logged in as another.
#[derive(Debug)]
struct Contradiction {
    first: Seq,
    students: [usize; 2],
    note: Phrase,
}

impl Marker {
    /// Nobody has done anything yet.
    pub fn new(lab: &Lab, group: &Group, key: &Key) -> Self {
        Self::sharing(exercises(lab), lab, group, key)
    }

    /// A marker for each group of the lab, in the lab's order; the exercises are kept once.
    pub fn for_lab(lab: &Lab, key: &Key) -> Vec<Self> {
        let exercises = exercises(lab);
        lab.groups.iter().map(|group| Self::sharing(exercises.clone(), lab, group, key)).collect()
    }

    fn sharing(exercises: Vec<Arc<Exercise>>, lab: &Lab, group: &Group, key: &Key) -> Self {
        let class = Class::new(lab, exercises, group, key);
        let (connections, neithers) = (Connections::default(), BTreeMap::new());
        Self { group: group.clone(), class, connections, neithers, stale: false }
    }

    /// The group it marks.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// Takes the next event. `content` gives a message as sent (what the server put in front does no harm) and is asked
    /// only where a check needs it and the envelope fits; none where it is lost.
    pub fn take(&mut self, event: &Event, content: &mut dyn FnMut(MessageId) -> Option<Vec<u8>>) {
        self.class.witness(event);
        if let EventKind::Started { .. } = event.kind {
            for mut live in self.connections.end_all() {
                if let Some(student) = live.student() {
                    self.class.cut(student, &mut live, event);
                }
            }
        }
        if event.conn == Conn(0) || self.neithers.contains_key(&event.conn) {
            return;
        }
        let live = self.connections.of(event);
        match live.turn(event, |login| self.class.place(login)) {
            Turn::Nobody => {}
            Turn::Same(student) => self.class.count(student, live, event, content),
            Turn::New(student, before) => {
                self.class.begin(student, live);
                for event in before.iter().chain([event]) {
                    self.class.count(student, live, event, content);
                }
            }
            Turn::Neither(address, login) => {
                self.stale |= live.student().is_some();
                let first = live.first;
                self.contradict(first, [address, login], event);
            }
        }
        if let EventKind::Disconnected { .. } = event.kind {
            self.connections.close(event.conn);
        }
    }

    /// A connection came to one student's address and logged in as another.
    fn contradict(&mut self, first: Seq, students: [usize; 2], event: &Event) {
        let [address, login] = students.map(|place| quoted(self.group.students[place].login.as_str()));
        let note = phrase("note-neither").with("conn", event.conn.0).with("at", event.time);
        let note = note.with("address", address).with("login", login);
        self.neithers.insert(event.conn, Contradiction { first, students, note });
        self.connections.close(event.conn);
    }

    /// Whether a connection turned out to be nobody's after it had counted for somebody: the marks are right again once
    /// [`Marker::start_again`] was called and the record was given from its first event.
    pub fn is_stale(&self) -> bool {
        self.stale
    }

    /// Forgets everything but which connections are nobody's, to be given the record from its first event.
    pub fn start_again(&mut self) {
        self.class.start_again();
        self.connections = Connections::default();
        self.stale = false;
    }

    /// Has `pass` give the whole record, and again for as long as the marker finds connections in it that are nobody's.
    pub fn read<E>(&mut self, mut pass: impl FnMut(&mut Self) -> Result<(), E>) -> Result<(), E> {
        pass(self)?;
        while self.stale {
            self.start_again();
            pass(self)?;
        }
        Ok(())
    }

    /// The marks as they are now, in the order of the group's students.
    pub fn marks(&self) -> Vec<StudentMarks> {
        let marked = |place: usize| StudentMarks { notes: self.notes(place), ..self.class.marks(&self.group, place) };
        (0..self.group.students.len()).map(marked).collect()
    }

    /// What else there is to say of a student's current run.
    fn notes(&self, place: usize) -> Vec<Phrase> {
        let reset = self.class.students[place].reset;
        let own = |found: &&Contradiction| found.students.contains(&place) && found.first > reset;
        let mut notes: Vec<Phrase> =
            self.neithers.values().rev().filter(own).take(MAX_CONTRADICTIONS).map(|found| found.note.clone()).collect();
        notes.reverse();
        notes.extend(self.class.students[place].notes.iter().cloned());
        notes
    }

    /// How many connections are under way.
    pub fn live_connections(&self) -> usize {
        self.connections.len()
    }
}

fn exercises(lab: &Lab) -> Vec<Arc<Exercise>> {
    lab.exercises.iter().cloned().map(Arc::new).collect()
}
