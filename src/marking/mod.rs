//! Marking: evidence in, marks out, one event at a time. Pure: message contents come through a closure, the time is in the events.
//!
//! ```text
//!  Event ─▶ connections (whose is it?) ─▶ class (which checks wait for it?) ─┬─ conversation   steps over one connection
//!              │ labctl's own, unknown: nobody's                             ├─ message        what was delivered
//!              ▼                                                             ├─ touched        what was retrieved, deleted
//!            witness: folders, injected mail, resets, damage ───────────────▶├─ filed          what was put into folders, and flagged
//!                     queries by who asked, mail by who handed it in ───────▶├─ asked, carried names, mail for other servers
//!                                                                            └─ mailbox        what the group holds
//!                                                              marks() ◀─ judge ◀─ progress per student and check
//! ```
//! What counts:
//! - An event counts for the student that it or, by address, its connection names; labctl's own events and injected mail never count.
//! - A connection that came to one student's address and logged in to another student's own mailbox counts for neither, from its
//!   beginning: what it had proven is taken back at the login, and the marks of both say so.
//! - Ever achieved is achieved, until a reset: then everything of that student from before is forgotten, also connections still open.
//! - What is not done when the record is damaged, or when a session of the server failed on the way, is unclear.

mod asked;
mod carried;
mod class;
mod connections;
mod content;
mod conversation;
mod delivery;
mod filed;
mod folders;
pub(crate) mod glob;
mod judge;
mod mailbox;
pub mod marks;
mod message;
mod phrases;
mod progress;
mod quick;
mod rules;
pub(crate) mod said;
mod touched;
pub mod words;

pub use connections::MAX_UNKNOWN;
pub use folders::MAX_FOLLOWED;
pub use marks::{CheckMark, Contradiction, Mark, StudentMarks, Verdict};

use std::sync::Arc;

use crate::{
    evidence::{Conn, Event, EventKind, MessageId},
    lab::{Exercise, Group, Key, Lab},
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
        Self { group: group.clone(), class, connections: Connections::default() }
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
        if event.conn == Conn(0) {
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
            Turn::Neither(address, login) => self.class.contradict(address, login, live, event),
        }
        if let EventKind::Disconnected { .. } = event.kind {
            self.connections.close(event.conn);
        }
    }

    /// The marks as they are now, in the order of the group's students.
    pub fn marks(&self) -> Vec<StudentMarks> {
        (0..self.group.students.len()).map(|place| self.class.marks(&self.group, place)).collect()
    }

    /// How many connections are under way.
    pub fn live_connections(&self) -> usize {
        self.connections.len()
    }
}

fn exercises(lab: &Lab) -> Vec<Arc<Exercise>> {
    lab.exercises.iter().cloned().map(Arc::new).collect()
}
