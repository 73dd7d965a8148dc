//! The faults of one server, shared by its sessions: the ledger behind a lock, and a quick answer where there are none.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use super::{drive::Struck, machine::Machine};
use crate::{
    evidence::{Conn, Event, EventKind, Timestamp, Who},
    lab::{Login, ServerConfig},
    protocol::{
        Input, Now,
        fault::{Heard, Ledger, Standing},
    },
};

/// The kinds of events that the ledger is made from.
pub(super) const KINDS: [&str; 4] = ["fault", "fault_set", "fault_cleared", "reset"];

/// The faults of a server.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Whether there is any; nearly always there is none.
    any: AtomicBool,
    ledger: Mutex<Ledger>,
}

impl Desk {
    /// Takes on what the lab says.
    pub(super) fn tell(&self, config: &ServerConfig) {
        self.change(|ledger| ledger.tell(config.faults.clone(), config.domain.as_str()));
    }

    /// Takes in an event of the record.
    pub(super) fn take(&self, event: &Event) {
        self.change(|ledger| ledger.take(event));
    }

    fn change(&self, change: impl FnOnce(&mut Ledger)) {
        let mut ledger = self.lock();
        change(&mut ledger);
        self.any.store(!ledger.is_empty(), Ordering::Relaxed);
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    /// The fault that strikes what came; what is to be recorded besides goes to `events`.
    pub(super) fn strike<M: Machine>(
        &self,
        (who, conn): (&Who, Conn),
        session: &M,
        input: &Input<'_>,
        now: Now,
        events: &mut Vec<EventKind>,
    ) -> Option<Box<Struck>> {
        if self.is_empty() || !session.begins() {
            return None;
        }
        let (student, heard) = (who.student()?, Heard::of(M::PROTOCOL, input)?);
        let (strike, passed) = self.lock().strike(student, conn, &heard, now.steady());
        events.extend(passed);
        strike.map(|strike| Box::new(Struck::new(strike)))
    }

    /// What these events arm.
    pub(super) fn saw<M: Machine>(
        &self,
        (who, conn): (&Who, Conn),
        events: &[EventKind],
        now: Timestamp,
    ) -> Vec<EventKind> {
        let Some(student) = who.student() else { return Vec::new() };
        let mut ledger = self.lock();
        events.iter().flat_map(|event| ledger.saw(student, conn, M::PROTOCOL, (event, now))).collect()
    }

    /// A connection has ended.
    pub(super) fn ended(&self, who: &Who, conn: Conn) {
        if let Some(student) = who.student().filter(|_| !self.is_empty()) {
            self.lock().ended(student, conn);
        }
    }

    /// Every fault of these students.
    pub(super) fn standing(&self, students: &[Login]) -> Vec<Standing> {
        self.lock().standing(students)
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
