//! Mailbox checks: how many messages a mailbox of the group holds. The state belongs to the group, whoever caused it; it counts
//! for a student once this student was there: from the student's first event of the run on and, where the lab
//! injects mail, once some has arrived. So nobody earns anything by doing nothing.

use std::sync::Arc;

use super::{
    marks::{Proof, Shown},
    quick::QuickMap,
};
use crate::{
    evidence::{Conn, Event, Seq, Timestamp},
    lab::{
        Login,
        exercise::{Bound, MailboxCheck},
        template::Person,
    },
};

/// A mailbox check, compiled.
#[derive(Debug)]
pub struct Rule {
    /// The check's place among all checks.
    pub check: usize,
    /// How many messages.
    pub count: Bound,
    /// True: at the end of the record. False: ever.
    pub now: bool,
    /// Per student the mailbox's place in [`Mailboxes`].
    places: Box<[usize]>,
}

/// The mailboxes that checks speak of.
#[derive(Debug, Default)]
pub struct Mailboxes {
    places: QuickMap<Arc<str>, usize>,
    states: Vec<Mailbox>,
}

/// One mailbox.
#[derive(Debug)]
pub struct Mailbox {
    name: Arc<str>,
    /// How many messages it holds.
    pub count: u64,
    /// The event that last changed it.
    changed: Option<(Seq, Conn, Timestamp)>,
    /// Which student's which rule looks at it, as places.
    watched: Vec<(usize, usize)>,
}

impl Mailboxes {
    /// Compiles a check, the `rule`th, for these people.
    pub fn rule(&mut self, check: usize, rule: usize, written: &MailboxCheck, people: &[Person<'_>]) -> Rule {
        let places = people.iter().map(|person| self.place(&person.fill(&written.mailbox))).collect::<Box<[usize]>>();
        if !written.now {
            for (student, place) in places.iter().enumerate() {
                self.states[*place].watched.push((student, rule));
            }
        }
        Rule { check, count: written.count, now: written.now, places }
    }

    fn place(&mut self, name: &str) -> usize {
        let name: Arc<str> = name.to_ascii_lowercase().into();
        *self.places.entry(Arc::clone(&name)).or_insert_with(|| {
            self.states.push(Mailbox { name, count: 0, changed: None, watched: Vec::new() });
            self.states.len() - 1
        })
    }

    /// A message came in or went; the mailbox's place, if a check speaks of it.
    pub fn change(&mut self, mailbox: &Login, came: bool, event: &Event) -> Option<usize> {
        let place = *self.places.get(mailbox.as_str())?;
        let state = &mut self.states[place];
        state.count = if came { state.count + 1 } else { state.count.saturating_sub(1) };
        state.changed = Some((event.seq, event.conn, event.time));
        Some(place)
    }

    /// Which student's which rule looks at this mailbox, as places.
    pub fn watched(&self, place: usize) -> &[(usize, usize)] {
        &self.states[place].watched
    }

    /// The mailbox that the rule means for this student.
    pub fn of(&self, rule: &Rule, student: usize) -> &Mailbox {
        &self.states[rule.places[student]]
    }
}

impl Mailbox {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its state as a proof; `arrived` is the student's first event, for a mailbox that nothing has changed since.
    pub fn proof(&self, arrived: (Seq, Conn, Timestamp)) -> Proof {
        let (seq, conn, at) = self.changed.unwrap_or(arrived).max(arrived);
        Proof { events: vec![seq], conn, at, shows: Shown::Mailbox(self.name.to_string(), self.count) }
    }
}
