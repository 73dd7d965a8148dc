//! What became of the messages that a student handed in for other servers: passed on, put off, come back. The server that tells
//! of it is nobody's connection; whose message it was is known by its number.

use super::{
    class::Class,
    glob::Filled,
    marks::{Carriage, CarriedAttempt, Closest, Off, Proof, Shown},
    progress::{Here, Progress, cut},
    quick::QuickMap,
};
use crate::{
    evidence::{Conn, Event, MessageId},
    lab::{
        template::Person,
        witness::{CarriedCheck, Fate},
    },
};

/// A check of what became of a message, compiled.
#[derive(Debug)]
pub struct Rule {
    /// The check's place among all checks.
    pub check: usize,
    fate: Fate,
    to: Option<Filled>,
    status: Option<Filled>,
    times: usize,
}

/// The messages of a student that wait in the queue: as many as the queue holds, and no more.
#[derive(Debug, Default)]
pub struct Sent(QuickMap<MessageId, Waiting>);

/// A message that waits.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    /// The connection that handed it in.
    conn: Conn,
    /// For how many recipients.
    recipients: usize,
}

/// What became of a message.
#[derive(Debug, Clone, Copy)]
pub struct Carrying<'a> {
    /// The message.
    pub message: MessageId,
    /// What.
    pub fate: Fate,
    /// The recipients of which it became.
    pub recipients: &'a [String],
    /// The other server; empty where it did not come to one.
    pub server: &'a str,
    /// What it answered, or what went wrong.
    pub reply: &'a str,
    /// The enhanced status code of what came back; else empty.
    pub status: &'a str,
}

impl Sent {
    /// A message of the student's came into the queue.
    pub fn hand_in(&mut self, message: MessageId, conn: Conn, recipients: usize) {
        self.0.entry(message).or_insert(Waiting { conn, recipients });
    }

    /// The connection that handed the message in, if it is the student's.
    pub fn conn(&self, message: MessageId) -> Option<Conn> {
        self.0.get(&message).map(|waiting| waiting.conn)
    }

    /// Something became of a message: what waits no more is forgotten.
    pub fn settle(&mut self, carrying: &Carrying<'_>) {
        let over = match carrying.fate {
            Fate::Queued | Fate::Deferred => 0,
            Fate::Relayed | Fate::Bounced => carrying.recipients.len(),
        };
        if let Some(waiting) = self.0.get_mut(&carrying.message) {
            waiting.recipients = waiting.recipients.saturating_sub(over);
            if waiting.recipients == 0 {
                self.0.remove(&carrying.message);
            }
        }
    }

    /// What a connection handed in is not the student's after all.
    pub fn disown(&mut self, conn: Conn) {
        self.0.retain(|_, waiting| waiting.conn != conn);
    }
}

impl<'a> Carrying<'a> {
    /// What became of these recipients, without a status.
    pub fn new(fate: Fate, message: MessageId, recipients: &'a [String], server: &'a str, reply: &'a str) -> Self {
        Self { message, fate, recipients, server, reply, status: "" }
    }

    fn carriage(&self, recipient: &str) -> Carriage {
        let [recipient, server, reply] = [recipient, self.server, self.reply].map(|text| cut(text).to_owned());
        Carriage { fate: self.fate, recipient, server, reply }
    }
}

impl Rule {
    /// Compiles a check for these people.
    pub fn new(check: usize, written: &CarriedCheck, people: &[Person<'_>]) -> Self {
        let filled = |pattern| Filled::new(pattern, people);
        Self {
            check,
            fate: written.fate,
            to: written.to.as_ref().map(filled),
            status: written.status.as_ref().map(filled),
            times: written.times.max(1) as usize,
        }
    }

    /// Takes what became of a message that the student handed in over the connection of `here`.
    pub fn take(&self, here: &Here, carrying: &Carrying<'_>, own: &mut Progress) {
        let student = here.student;
        let is_wanted =
            |recipient: &&String| self.to.as_ref().is_none_or(|pattern| pattern.of(student).matches(recipient));
        let wanted = carrying.recipients.iter().find(is_wanted);
        let status = || self.status.as_ref().is_none_or(|pattern| pattern.of(student).matches(carrying.status));
        let off = if wanted.is_none() {
            Off::To
        } else if carrying.fate != self.fate {
            Off::Fate
        } else if !status() {
            Off::Status
        } else {
            let carriage = carrying.carriage(wanted.map_or("", String::as_str));
            let shows = Shown::Carried(carrying.message, carriage);
            let same = |proof: &Proof| matches!(&proof.shows, Shown::Carried(id, _) if *id == carrying.message);
            // A message for many, or one that is put off again and again, is one message.
            if !own.proofs.iter().any(same) {
                own.closest.take_if(
                    |closest| matches!(&**closest, Closest::Carried(near) if near.message == carrying.message),
                );
                own.proven(Proof { events: vec![here.seq], conn: here.conn, at: here.time, shows }, self.times);
            }
            return;
        };
        if !matches!(own.closest.as_deref(), Some(Closest::Carried(best)) if best.off > off) {
            let carriage = carrying.carriage(wanted.or(carrying.recipients.first()).map_or("", String::as_str));
            let (seq, conn, at, message) = (here.seq, here.conn, here.time, carrying.message);
            own.closest = Some(Box::new(Closest::Carried(CarriedAttempt { seq, conn, at, message, carriage, off })));
        }
    }
}

impl Class {
    /// A student handed in a message for other servers.
    pub fn hand_in(&mut self, here: &Here, message: MessageId, recipients: &[String]) {
        if !self.rules.carried.is_empty() {
            self.students[here.student].sent.hand_in(message, here.conn, recipients.len());
            self.carry(here, &Carrying::new(Fate::Queued, message, recipients, "", ""));
        }
    }

    /// The server tells what became of a message, whoever handed it in.
    pub fn fate(&mut self, event: &Event, carrying: &Carrying<'_>) {
        if self.rules.carried.is_empty() {
            return;
        }
        let mut students = self.students.iter().enumerate();
        let found = students.find_map(|(place, own)| Some((place, own.sent.conn(carrying.message)?)));
        if let Some((student, conn)) = found {
            let here = Here { student, conn, began: event.time, seq: event.seq, time: event.time };
            self.carry(&here, carrying);
            self.students[student].sent.settle(carrying);
        }
    }

    fn carry(&mut self, here: &Here, carrying: &Carrying<'_>) {
        for rule in &self.rules.carried {
            if self.students[here.student].waits_for(&self.rules, rule.check, here) {
                rule.take(here, carrying, &mut self.students[here.student].progress[rule.check]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_forgotten_when_nobody_waits_for_it() {
        let mut sent = Sent::default();
        sent.hand_in(MessageId(1), Conn(7), 3);
        let to = ["a@b".to_owned(), "c@b".to_owned()];
        let settled = |fate, recipients| Carrying::new(fate, MessageId(1), recipients, "", "");
        sent.settle(&settled(Fate::Deferred, &to));
        sent.settle(&settled(Fate::Relayed, &to));
        assert_eq!(sent.conn(MessageId(1)), Some(Conn(7)), "one recipient is left");
        sent.settle(&settled(Fate::Bounced, &to[..1]));
        assert_eq!(sent.conn(MessageId(1)), None);
    }
}
