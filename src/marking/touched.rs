//! Retrieved and deleted checks: what the student took out of mailboxes. Only whole messages count as retrieved.

use super::{
    marks::{Closest, Miss, Proof, Shown, TouchedAttempt},
    progress::{Here, Progress},
};
use crate::{
    evidence::{Injected, MessageId},
    lab::{
        Login, Protocol,
        exercise::{Touched, Which},
    },
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
    /// Over which protocol, as far as the record tells.
    pub via: Option<Protocol>,
    /// Whether only its beginning was sent.
    pub top: bool,
    /// Whether this student delivered it.
    pub own: bool,
    /// The injected mail that it is, if its copy is this student's or the group's.
    pub injected: Option<&'a Injected>,
}

impl Rule {
    /// Takes a message that the student touched.
    pub fn take(&self, here: &Here, touching: &Touching<'_>, own: &mut Progress) {
        if touching.touch != self.touch {
            return;
        }
        let (message, mailbox) = (touching.message, touching.mailbox.clone());
        let Some(miss) = self.misses(here.student, touching) else {
            let shows = match self.touch {
                Touch::Retrieved => Shown::Retrieved(message, mailbox),
                Touch::Deleted => Shown::Deleted(message, mailbox),
            };
            own.proven(Proof { events: vec![here.seq], conn: here.conn, at: here.time, shows }, 1);
            return;
        };
        if !matches!(own.closest.as_deref(), Some(Closest::Touched(best)) if best.miss > miss) {
            let attempt = TouchedAttempt { seq: here.seq, conn: here.conn, at: here.time, message, mailbox, miss };
            own.closest = Some(Box::new(Closest::Touched(attempt)));
        }
    }

    fn misses(&self, student: usize, touching: &Touching<'_>) -> Option<Miss> {
        let wanted = &self.wanted;
        let the_one = match &wanted.what {
            Which::Any => true,
            Which::Own => touching.own,
            Which::Injected(mail) => touching.injected.is_some_and(|injected| injected.mail == *mail),
        };
        if wanted.via.is_some() && wanted.via != touching.via {
            Some(Miss::Protocol)
        } else if self.mailbox.as_ref().is_some_and(|mailbox| mailbox[student] != touching.mailbox.as_str()) {
            Some(Miss::Mailbox)
        } else if !the_one {
            Some(Miss::Message)
        } else {
            touching.top.then_some(Miss::Top)
        }
    }
}
