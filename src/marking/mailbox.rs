//! Mailbox checks: that a folder is there, and how many messages it holds. The state belongs to the group, whoever caused it; it
//! counts for a student once this student was there: from the student's first event of the run on and, where the lab
//! injects mail, once some has arrived. So nobody earns anything by doing nothing.

use super::{
    folders::{Cabinets, Stamp},
    marks::{Proof, Shown},
};
use crate::{
    lab::{
        exercise::{Bound, MailboxCheck},
        template::Person,
    },
    mail::folder::FolderName,
};

/// A mailbox check, compiled.
#[derive(Debug)]
pub struct Rule {
    /// The check's place among all checks.
    pub check: usize,
    /// True: at the end of the record. False: ever.
    pub now: bool,
    folder: FolderName,
    count: Option<Bound>,
    /// Per student the mailbox's place in [`Cabinets`].
    places: Box<[usize]>,
}

impl Rule {
    /// Compiles a check, the `rule`th, for these people.
    pub fn new(
        check: usize,
        rule: usize,
        written: &MailboxCheck,
        people: &[Person<'_>],
        cabinets: &mut Cabinets,
    ) -> Self {
        let places: Box<[usize]> = people.iter().map(|person| cabinets.place(&person.fill(&written.mailbox))).collect();
        if !written.now {
            places.iter().enumerate().for_each(|(student, place)| cabinets.watch(*place, student, rule));
        }
        Self { check, now: written.now, folder: written.folder.clone(), count: written.count, places }
    }

    /// How many messages the folder that the check means for this student holds; none where there is no such folder.
    pub fn count(&self, student: usize, cabinets: &Cabinets) -> Option<u64> {
        cabinets.standing(self.places[student], &self.folder).map(|(count, _)| count)
    }

    /// What proves the check as the folder is now, if that does; `arrived` is the student's first event, for a folder that
    /// nothing has changed since.
    pub fn proof(&self, student: usize, cabinets: &Cabinets, arrived: Stamp) -> Option<Proof> {
        let place = self.places[student];
        let (count, changed) = cabinets.standing(place, &self.folder)?;
        if self.count.is_some_and(|bound| !bound.holds(count)) {
            return None;
        }
        let (seq, conn, at) = changed.unwrap_or(arrived).max(arrived);
        let shows = Shown::Mailbox(cabinets.named(place, &self.folder), count);
        Some(Proof { events: vec![seq], conn, at, shows })
    }
}
