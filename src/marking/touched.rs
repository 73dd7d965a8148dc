//! Retrieved and deleted checks: what the student took out of mailboxes. Only whole messages count as retrieved.

use super::{
    marks::{Closest, Miss, Place, Proof, Shown, TouchedAttempt},
    progress::{Here, Progress},
};
use crate::{
    evidence::MessageId,
    lab::{Login, Protocol, exercise::Touched},
    mail::folder::FolderName,
};

/// A retrieved or deleted check.
#[derive(Debug)]
pub struct Rule {
    /// The check's place among all checks.
    pub check: usize,
    /// What is to be done with the message.
    pub touch: Touch,
    /// Which message, where, how.
    pub wanted: Touched,
    /// Where, for each student.
    pub mailbox: Option<Box<[String]>>,
}

/// What was done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// It was sent to the client.
    Retrieved,
    /// It was deleted.
    Deleted,
}

/// A message that a student touched.
#[derive(Debug)]
pub struct Touching<'a> {
    /// What was done.
    pub touch: Touch,
    /// The message.
    pub message: MessageId,
    /// The mailbox it was in.
    pub mailbox: &'a Login,
    /// The folder of it.
    pub folder: &'a FolderName,
    /// Whether only its beginning was sent.
    pub top: bool,
}

impl Rule {
    /// Takes a message that the student touched over this protocol, as far as the record tells; `the_one` says whether it is
    /// the message that the check wants.
    pub fn take(&self, here: &Here, via: Option<Protocol>, touching: &Touching<'_>, the_one: bool, own: &mut Progress) {
        if touching.touch != self.touch {
            return;
        }
        let message = touching.message;
        let place = Place { mailbox: touching.mailbox.to_string(), folder: touching.folder.clone() };
        let Some(miss) = self.misses(here.student, via, touching, the_one) else {
            let shows = match self.touch {
                Touch::Retrieved => Shown::Retrieved(message, place),
                Touch::Deleted => Shown::Deleted(message, place),
            };
            own.proven(Proof { events: vec![here.seq], conn: here.conn, at: here.time, shows }, 1);
            return;
        };
        if !matches!(own.closest.as_deref(), Some(Closest::Touched(best)) if best.miss > miss) {
            let attempt = TouchedAttempt { seq: here.seq, conn: here.conn, at: here.time, message, place, miss };
            own.closest = Some(Box::new(Closest::Touched(attempt)));
        }
    }

    fn misses(&self, student: usize, via: Option<Protocol>, touching: &Touching<'_>, the_one: bool) -> Option<Miss> {
        let wanted = &self.wanted;
        if wanted.via.is_some() && wanted.via != via {
            Some(Miss::Protocol)
        } else if self.mailbox.as_ref().is_some_and(|mailbox| mailbox[student] != touching.mailbox.as_str()) {
            Some(Miss::Mailbox)
        } else if wanted.folder.as_ref().is_some_and(|folder| folder != touching.folder) {
            Some(Miss::Folder)
        } else if !the_one {
            Some(Miss::Message)
        } else {
            touching.top.then_some(Miss::Top)
        }
    }
}
