//! Faults on purpose: which of them strikes now. A [`Ledger`] is a fold over the record of one server, so that counts outlast
//! it: it decides by what the student's connections have shown, never by chance. What a fault does to a reply is in `strike`;
//! waiting, cutting and writing in pieces is the driver's part.
//!
//! ```text
//!  Input ─ heard ─▶ Ledger::strike ─┬─ none ──▶ Session ─▶ reply
//!                        │          └─ Strike ─▶ Session, or Input::Denied ─▶ reply, bent ─▶ pieces, cut, silence
//!                        ▼
//!                  EventKind::Fault ─▶ record ─▶ Ledger::take, when the server starts again
//! ```

mod strike;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, VecDeque},
};

use serde::{Deserialize, Serialize};
pub use strike::{DRIPPED, Piece, Strike, Then};

use super::Input;
use crate::{
    evidence::{Conn, Event, EventKind, FaultMoment, Timestamp},
    lab::{
        Fault, FaultId, Login, Protocol,
        exercise::Step,
        fault::{Act, Count, MAX_STRIKES},
    },
    pattern::{Glob, Reply, Said, Scratch},
};

/// What came, as faults look at it.
#[derive(Debug)]
pub struct Heard<'a> {
    /// The protocol.
    pub protocol: Protocol,
    /// The verb in upper case; `<connect>`, `<message>`.
    pub verb: Cow<'a, str>,
    /// The whole line.
    pub line: Cow<'a, str>,
}

impl<'a> Heard<'a> {
    /// The tag of an IMAP command; `*` where it has none (RFC 9051 7.1).
    pub fn tag(&self) -> &str {
        self.line.split_ascii_whitespace().next().unwrap_or("*")
    }

    /// What an input is to faults; none for what they never strike.
    pub fn of(protocol: Protocol, input: &Input<'a>) -> Option<Self> {
        let (verb, line): (Cow<'_, str>, _) = match input {
            Input::Connected => ("<connect>".into(), Cow::Borrowed("")),
            Input::Line { octets, .. } => {
                let line = String::from_utf8_lossy(octets);
                let mut words = line.split_ascii_whitespace();
                // IMAP's commands begin with a tag, and UID makes another verb of the one after it (RFC 9051 2.2.1, 6.4.9).
                let _tag = (protocol == Protocol::Imap).then(|| words.next());
                let mut verb = words.next().unwrap_or_default().to_ascii_uppercase();
                if protocol == Protocol::Imap && verb == "UID" {
                    verb = format!("UID {}", words.next().unwrap_or_default().to_ascii_uppercase());
                }
                // A chunk follows BDAT whatever is answered (RFC 3030 2): a server that did not take it would take mail for commands.
                if protocol == Protocol::Smtp && verb == "BDAT" {
                    return None;
                }
                // Nor does an octet count of IMAP (RFC 7888 4): its literal would be taken for commands.
                if protocol == Protocol::Imap && octets.ends_with(b"}") {
                    return None;
                }
                (verb.into(), line)
            }
            Input::Data(_) => ("<message>".into(), Cow::Borrowed("")),
            Input::Refused(_)
            | Input::LineTooLong { .. }
            | Input::Chunk(_)
            | Input::LoneDot { .. }
            | Input::Changed
            | Input::NoRoom
            | Input::Secured { .. }
            | Input::Denied { .. }
            | Input::Done(_)
            | Input::Exhausted
            | Input::Idle
            | Input::Ended
            | Input::Shutdown => return None,
        };
        Some(Self { protocol, verb, line })
    }
}

/// The faults of one server.
#[derive(Debug, Default)]
pub struct Ledger {
    lab: Vec<Fault>,
    domain: String,
    students: BTreeMap<Login, Own>,
}

/// What one student meets and has met.
#[derive(Debug, Default)]
struct Own {
    /// Set by the instructor; they come before the lab's.
    set: BTreeMap<FaultId, Fault>,
    /// Of the lab's, those that the instructor took away.
    cleared: BTreeSet<FaultId>,
    tallies: BTreeMap<FaultId, Tally>,
    /// How many of the arming steps each connection has shown.
    shown: BTreeMap<Conn, BTreeMap<FaultId, usize>>,
}

/// What became of one fault of one student since it was armed.
#[derive(Debug, Default)]
struct Tally {
    /// By which connection; only those that begin after it meet the fault.
    armed: Option<Conn>,
    strikes: u32,
    connections: BTreeSet<Conn>,
    /// What is made to wait, since when.
    waiting: BTreeMap<String, Timestamp>,
    /// What was let through.
    passed: VecDeque<Timestamp>,
}

/// One fault of one student, for whoever wants to see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The student.
    pub student: Login,
    /// The fault.
    pub fault: Fault,
    /// Whether the instructor set it; the lab otherwise.
    pub by_hand: bool,
    /// Whether it is armed.
    pub armed: bool,
    /// How often it struck since it was armed.
    pub strikes: u32,
    /// Whether it will strike no more unless it is armed again.
    pub spent: bool,
}

impl Ledger {
    /// Takes on what the lab says; what was met stays met.
    pub fn tell(&mut self, lab: Vec<Fault>, domain: &str) {
        self.lab = lab;
        domain.clone_into(&mut self.domain);
    }

    /// Whether there is any fault at all.
    pub fn is_empty(&self) -> bool {
        self.lab.is_empty() && self.students.values().all(|own| own.set.is_empty())
    }

    /// Takes an event of the record.
    pub fn take(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Fault { fault, what, about, .. } => {
                if let Some(student) = event.who.student() {
                    let own = self.students.entry(student.clone()).or_default();
                    own.note(fault, *what, about, event.conn, event.time);
                }
            }
            EventKind::FaultSet { student, fault } => {
                let own = self.students.entry(student.clone()).or_default();
                own.forget(&fault.id);
                own.cleared.remove(&fault.id);
                own.set.insert(fault.id.clone(), fault.clone());
            }
            EventKind::FaultCleared { student, fault } => {
                let own = self.students.entry(student.clone()).or_default();
                own.forget(fault);
                own.set.remove(fault);
                own.cleared.insert(fault.clone());
            }
            EventKind::Reset { student, .. } => {
                if let Some(own) = self.students.get_mut(student) {
                    own.tallies.clear();
                    own.shown.clear();
                }
            }
            // Of the much else that the record has, nothing is about faults.
            _ => {}
        }
    }

    /// The fault that strikes what came, if one does, and what is to be recorded that stands in no strike.
    pub fn strike(
        &mut self,
        student: &Login,
        conn: Conn,
        heard: &Heard<'_>,
        now: Timestamp,
    ) -> (Option<Strike>, Vec<EventKind>) {
        let mut events = Vec::new();
        let own = self.students.entry(student.clone()).or_default();
        for fault in own.faults(&self.lab) {
            if fault.protocol != heard.protocol || !fits(&fault.at, heard, None, &self.domain) {
                continue;
            }
            let tally = own.tallies.get(&fault.id);
            let Some((moment, about)) = decide(&fault, tally, conn, heard, now) else { continue };
            let strike = Strike::new(&fault, &heard.verb, about.clone());
            own.note(&fault.id, moment, &about, conn, now);
            if moment == FaultMoment::Struck {
                return (Some(strike), events);
            }
            events.push(strike.event(moment));
        }
        (None, events)
    }

    /// What a greeting or an answered command arms.
    pub fn saw(
        &mut self,
        student: &Login,
        conn: Conn,
        protocol: Protocol,
        (event, now): (&EventKind, Timestamp),
    ) -> Vec<EventKind> {
        let (verb, line, reply) = match event {
            EventKind::Connected { reply, .. } => ("<connect>", "", reply),
            EventKind::Command { verb, line, reply, .. } => (&**verb, line.as_str(), reply),
            _ => return Vec::new(),
        };
        let heard = Heard { protocol, verb: verb.to_ascii_uppercase().into(), line: line.into() };
        let heard = if verb.starts_with('<') { Heard { verb: verb.into(), ..heard } } else { heard };
        let own = self.students.entry(student.clone()).or_default();
        let mut armed = Vec::new();
        for fault in own.faults(&self.lab) {
            let done = !fault.again && own.tallies.get(&fault.id).is_some_and(|tally| tally.armed.is_some());
            if fault.after.is_empty() || fault.protocol != protocol || done {
                continue;
            }
            let shown = own.shown.get(&conn).and_then(|shown| shown.get(&fault.id)).copied().unwrap_or(0);
            if !fits(&fault.after[shown], &heard, Some(reply), &self.domain) {
                continue;
            }
            let shown = (shown + 1) % fault.after.len();
            own.shown.entry(conn).or_default().insert(fault.id.clone(), shown);
            if shown == 0 {
                own.note(&fault.id, FaultMoment::Armed, "", conn, now);
                armed.push(Strike::new(&fault, verb, String::new()).event(FaultMoment::Armed));
            }
        }
        armed
    }

    /// A connection has ended.
    pub fn ended(&mut self, student: &Login, conn: Conn) {
        if let Some(own) = self.students.get_mut(student) {
            own.shown.remove(&conn);
        }
    }

    /// Every fault of every one of these students, in order.
    pub fn standing(&self, students: &[Login]) -> Vec<Standing> {
        let none = Own::default();
        let of = |student: &Login| {
            let own = self.students.get(student).unwrap_or(&none);
            let standing = |fault: Fault| {
                let tally = own.tallies.get(&fault.id);
                Standing {
                    student: student.clone(),
                    by_hand: own.set.contains_key(&fault.id),
                    armed: is_armed(&fault, tally),
                    strikes: tally.map_or(0, |tally| tally.strikes),
                    spent: tally.is_some_and(|tally| tally.is_spent(fault.count, Conn(0))),
                    fault,
                }
            };
            own.faults(&self.lab).into_iter().map(standing).collect::<Vec<_>>()
        };
        students.iter().flat_map(of).collect()
    }
}

impl Own {
    /// The faults of this student, the instructor's first.
    fn faults(&self, lab: &[Fault]) -> Vec<Fault> {
        let own = |fault: &&Fault| !self.set.contains_key(&fault.id) && !self.cleared.contains(&fault.id);
        self.set.values().chain(lab.iter().filter(own)).cloned().collect()
    }

    fn forget(&mut self, fault: &FaultId) {
        self.tallies.remove(fault);
        self.shown.values_mut().for_each(|shown| _ = shown.remove(fault));
    }

    fn note(&mut self, fault: &FaultId, what: FaultMoment, about: &str, conn: Conn, at: Timestamp) {
        let tally = self.tallies.entry(fault.clone()).or_default();
        match what {
            FaultMoment::Armed => *tally = Tally { armed: Some(conn), ..Tally::default() },
            FaultMoment::Passed => {
                if tally.passed.len() >= MAX_STRIKES as usize {
                    tally.passed.pop_front();
                }
                tally.passed.push_back(at);
            }
            // What waits already is met once, however often it comes too early.
            FaultMoment::Struck if tally.waiting.contains_key(about) => {}
            FaultMoment::Struck => {
                tally.strikes = tally.strikes.saturating_add(1);
                tally.connections.insert(conn);
                if !about.is_empty() {
                    tally.waiting.insert(about.to_owned(), at);
                }
            }
        }
    }
}

impl Tally {
    fn is_spent(&self, count: Count, conn: Conn) -> bool {
        match count {
            _ if self.waiting.len() >= MAX_STRIKES as usize => true,
            Count::Times(times) => self.strikes >= times,
            Count::Connections(most) => self.connections.len() >= most as usize && !self.connections.contains(&conn),
        }
    }
}

fn is_armed(fault: &Fault, tally: Option<&Tally>) -> bool {
    fault.after.is_empty() || tally.is_some_and(|tally| tally.armed.is_some())
}

/// What a fault that stands at this place does there, and what that is about.
fn decide(
    fault: &Fault,
    tally: Option<&Tally>,
    conn: Conn,
    heard: &Heard<'_>,
    now: Timestamp,
) -> Option<(FaultMoment, String)> {
    let none = Tally::default();
    let tally = tally.unwrap_or(&none);
    if !fault.after.is_empty() && tally.armed.is_none_or(|by| conn <= by) {
        return None;
    }
    let since = |secs: u32| Timestamp(now.0.saturating_sub(i64::from(secs) * 1_000_000));
    match &fault.act {
        Act::Greylist(secs) => {
            let about = recipient(&heard.line);
            match tally.waiting.get(&about) {
                Some(first) if *first <= since(*secs) => None,
                None if tally.is_spent(fault.count, conn) => None,
                Some(_) | None => Some((FaultMoment::Struck, about)),
            }
        }
        Act::Rate { .. } if tally.is_spent(fault.count, conn) => None,
        Act::Rate { most, secs } => {
            let recent = tally.passed.iter().filter(|passed| **passed > since(*secs)).count();
            let moment = if recent < *most as usize { FaultMoment::Passed } else { FaultMoment::Struck };
            Some((moment, String::new()))
        }
        Act::Refuse(_)
        | Act::Cut
        | Act::CutAfter(_)
        | Act::Silent
        | Act::Answer(_)
        | Act::Unknown
        | Act::Full
        | Act::Delay(_)
        | Act::Drip
        | Act::Split(_)
        | Act::Lines
        | Act::Code(_)
        | Act::BareLf => (!tally.is_spent(fault.count, conn)).then(|| (FaultMoment::Struck, String::new())),
    }
}

/// The recipient that RCPT names, in lower case.
fn recipient(line: &str) -> String {
    let path = line.split_once(':').map_or("", |(_, path)| path.trim());
    let path = path.strip_prefix('<').and_then(|path| path.split_once('>')).map_or(path, |(path, _)| path);
    path.chars().take(Strike::ABOUT).collect::<String>().to_lowercase()
}

/// Whether what came fits a step of a fault; `reply` is the answer, where there is one.
fn fits(step: &Step, heard: &Heard<'_>, reply: Option<&str>, domain: &str) -> bool {
    let verb = |own: &String| own == "*" || own.eq_ignore_ascii_case(&heard.verb);
    if !step.verbs.iter().any(verb) {
        return false;
    }
    let mut scratch = Scratch::default();
    let words = (&*heard.verb, &*heard.line, reply.unwrap_or_default());
    let mut said = Said::new(heard.protocol, words, domain, &mut scratch);
    step.argument.as_ref().is_none_or(|pattern| said.has_argument(&Glob::new(&pattern.0)))
        && step.reply.as_ref().is_none_or(|pattern| said.has_reply(&Reply::new(pattern, &[]), 0))
}

#[cfg(test)]
mod tests;
