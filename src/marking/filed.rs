//! Filed checks: a message that lies in a folder, with flags and without, because of something the student did to it. What has
//! lain there before, or what somebody else has put there, is nobody's merit.

use super::{
    folders::{Cabinets, Item, Spot},
    marks::{FiledAttempt, FiledMiss, Proof, Shown},
};
use crate::{
    evidence::MessageId,
    lab::{
        exercise::{Filed, Which},
        template::Person,
    },
    mail::folder::FolderName,
};

/// A filed check, compiled.
#[derive(Debug)]
pub struct Rule {
    /// The check's place among all checks.
    pub check: usize,
    /// Which message.
    pub what: Which,
    /// True: at the end of the record. False: ever.
    pub now: bool,
    folder: Option<FolderName>,
    has: super::folders::Flagging,
    lacks: super::folders::Flagging,
    /// Per student the mailbox's place in [`Cabinets`].
    places: Box<[usize]>,
}

impl Rule {
    /// Compiles a check for these people.
    pub fn new(check: usize, written: &Filed, people: &[Person<'_>], cabinets: &mut Cabinets) -> Self {
        let places: Box<[usize]> = people.iter().map(|person| cabinets.place(&person.fill(&written.mailbox))).collect();
        places.iter().for_each(|place| cabinets.follow(*place));
        Self {
            check,
            what: written.what.clone(),
            now: written.now,
            folder: written.folder.clone(),
            has: cabinets.flagging(&written.has),
            lacks: cabinets.flagging(&written.lacks),
            places,
        }
    }

    /// What proves the check for this student among the messages that an event of the student's touched; `the_one` says
    /// whether a message is the one wanted.
    pub fn proof(
        &self,
        student: usize,
        cabinets: &Cabinets,
        touched: &[Spot],
        the_one: impl Fn(MessageId) -> bool,
    ) -> Option<Proof> {
        let own = touched.iter().filter(|spot| spot.cabinet == self.places[student]);
        let mut found = own.filter_map(|spot| Some((&spot.folder, cabinets.item(spot)?)));
        let (folder, item) = found.find(|(folder, item)| self.miss(student, folder, item, &the_one).is_none())?;
        Some(self.proven(student, cabinets, folder, item))
    }

    /// How the mailbox stands: what proves the check now or, where nothing does, what comes nearest, the latest of these.
    pub fn standing(
        &self,
        student: usize,
        cabinets: &Cabinets,
        the_one: impl Fn(MessageId) -> bool,
    ) -> Result<Proof, Option<FiledAttempt>> {
        let place = self.places[student];
        let judged = cabinets
            .items(place)
            .map(|(folder, item)| (self.miss(student, folder, item, &the_one), item.changed, folder, item));
        // No miss at all is nearer than the nearest.
        let nearest = judged.max_by_key(|(miss, changed, ..)| (miss.is_none(), *miss, *changed));
        let Some((miss, _, folder, item)) = nearest else { return Err(None) };
        let Some(miss) = miss else { return Ok(self.proven(student, cabinets, folder, item)) };
        let flags = cabinets.written(&item.flags);
        Err(Some(FiledAttempt { message: item.message, place: cabinets.named(place, folder), flags, miss }))
    }

    fn proven(&self, student: usize, cabinets: &Cabinets, folder: &FolderName, item: &Item) -> Proof {
        let (seq, conn, at) = item.changed;
        let place = cabinets.named(self.places[student], folder);
        let shows = Shown::Filed(item.message, place, cabinets.written(&item.flags));
        Proof { events: vec![seq], conn, at, shows }
    }

    fn miss(
        &self,
        student: usize,
        folder: &FolderName,
        item: &Item,
        the_one: impl Fn(MessageId) -> bool,
    ) -> Option<FiledMiss> {
        if !the_one(item.message) {
            Some(FiledMiss::Message)
        } else if self.folder.as_ref().is_some_and(|wanted| wanted != folder) {
            Some(FiledMiss::Folder)
        } else if !item.flags.has(&self.has) || !item.flags.lacks(&self.lacks) {
            Some(FiledMiss::Flags)
        } else {
            (item.by != Some(student)).then_some(FiledMiss::Others)
        }
    }
}
