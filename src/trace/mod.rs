//! Events as people and programs read them, one at a time, so that a trace can be followed live. Pure: text out, nothing printed.
//! Nothing that a client sent reaches the text raw.

mod states;
mod transcript;
mod visible;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
};

use serde::Serialize;

pub use transcript::{HEADER_LINES, HEADER_WIDTH};
pub use visible::{is_harmful, json_visible, visible};

use crate::{
    evidence::{By, Conn, Event, EventKind, MessageId, Seq, Timestamp, Who},
    lab::{Group, GroupName, Lab, Login, Protocol, Service},
};

/// The most events that are kept of a connection while a trace of one student waits to learn whose it is.
pub const MAX_WAITING: usize = 1_000;

/// How a trace looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `C:` and `S:` lines under a heading per connection.
    Transcript,
    /// What each command does to the session's state, as MailHog logs it.
    States,
    /// One event a line, as JSON, with its group.
    Ndjson,
}

/// What of a trace is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this group.
    pub group: Option<GroupName>,
    /// Only this student; of a connection whose student becomes known later, also what came before.
    pub student: Option<Login>,
    /// Only these connections and events.
    pub only: Option<Only>,
}

/// Connections and events by number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Only {
    /// All events of these connections.
    pub conns: BTreeSet<Conn>,
    /// These events.
    pub events: BTreeSet<Seq>,
}

/// Renders one event after the other.
#[derive(Debug)]
pub struct Renderer {
    format: Format,
    filter: Filter,
    look: Look,
    open: BTreeMap<(GroupName, Conn), Open>,
    /// Each group's students: a login as one of them at another's address is told.
    students: BTreeSet<(GroupName, Login)>,
    /// The connection and student of the last heading.
    heading: Option<(GroupName, Conn, Who)>,
    /// The day of the last line of a transcript.
    day: Option<jiff::civil::Date>,
}

/// How it is written, whatever the format.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Seconds east of UTC, for times of day.
    pub utc_offset_secs: i32,
    /// Whether to use colour.
    pub colour: bool,
}

/// What a renderer knows of a connection under way.
#[derive(Debug, Default)]
struct Open {
    protocol: Option<Protocol>,
    service: Option<Service>,
    peer: Option<SocketAddr>,
    who: Who,
    waiting: VecDeque<Event>,
}

/// An event with its group, as NDJSON has it.
#[derive(Serialize)]
struct Line<'a> {
    group: &'a str,
    #[serde(flatten)]
    event: &'a Event,
}

impl Renderer {
    /// Nothing rendered yet.
    pub fn new(format: Format, filter: Filter, look: Look) -> Self {
        Self { format, filter, look, open: BTreeMap::new(), students: BTreeSet::new(), heading: None, day: None }
    }

    /// Knows the lab's students, so that a transcript says which connection counts for nobody.
    #[must_use]
    pub fn knowing(mut self, lab: &Lab) -> Self {
        let of = |group: &Group| {
            let name = group.name.clone();
            group.students.iter().map(move |student| (name.clone(), student.login.clone())).collect::<Vec<_>>()
        };
        self.students = lab.groups.iter().flat_map(of).collect();
        self
    }

    /// The event as lines, each with its line end; empty where there is nothing to show (yet).
    pub fn render(&mut self, group: &GroupName, event: &Event) -> String {
        self.render_with(group, event, &mut |_| None)
    }

    /// The same, with the header fields of what was mailed; `content` gives a message, with what the server put in front or
    /// without.
    pub fn render_with(
        &mut self,
        group: &GroupName,
        event: &Event,
        content: &mut dyn FnMut(MessageId) -> Option<Vec<u8>>,
    ) -> String {
        let other = |only: &Only| !only.conns.contains(&event.conn) && !only.events.contains(&event.seq);
        if self.filter.group.as_ref().is_some_and(|only| only != group) || self.filter.only.as_ref().is_some_and(other)
        {
            return String::new();
        }
        let key = (group.clone(), event.conn);
        self.learn(&key, event);
        let text = match self.wanted(&key, event) {
            None => String::new(),
            Some(before) => before.iter().chain([event]).map(|event| self.one(&key, event, content)).collect(),
        };
        if let EventKind::Disconnected { .. } = event.kind {
            self.open.remove(&key);
        }
        text
    }

    fn learn(&mut self, key: &(GroupName, Conn), event: &Event) {
        if event.conn == Conn(0) {
            return;
        }
        let open = self.open.entry(key.clone()).or_default();
        if let EventKind::Connected { protocol, service, peer, .. } = &event.kind {
            open.protocol = Some(*protocol);
            open.service = Some(*service);
            open.peer = *peer;
        }
        if event.who != Who::Unknown {
            open.who = event.who.clone();
        }
    }

    /// What to show before the event, or nothing where the event is not wanted (yet).
    fn wanted(&mut self, key: &(GroupName, Conn), event: &Event) -> Option<VecDeque<Event>> {
        let Some(only) = &self.filter.student else {
            return Some(VecDeque::new());
        };
        // Whoever's login somebody used at another's address is told of it, and of nothing else there.
        if self.contradicted(&key.0, event).is_some_and(|(_, login)| login == only) {
            return Some(VecDeque::new());
        }
        let Some(open) = self.open.get_mut(key) else {
            let about = match &event.kind {
                EventKind::Reset { student, .. }
                | EventKind::FaultSet { student, .. }
                | EventKind::FaultCleared { student, .. } => student == only,
                EventKind::Started { .. } | EventKind::Compacted { .. } | EventKind::Damaged { .. } => true,
                EventKind::Exhausted { whom, .. } => whom == only.as_str(),
                EventKind::Connected { .. }
                | EventKind::Command { .. }
                | EventKind::Secured { .. }
                | EventKind::HandshakeFailed { .. }
                | EventKind::Discarded { .. }
                | EventKind::LoneDot { .. }
                | EventKind::LoggedIn { .. }
                | EventKind::LoginFailed { .. }
                | EventKind::Accepted { .. }
                | EventKind::Queued { .. }
                | EventKind::Relayed { .. }
                | EventKind::Deferred { .. }
                | EventKind::Bounced { .. }
                | EventKind::Query { .. }
                | EventKind::Repeated { .. }
                | EventKind::Limited { .. }
                | EventKind::Retrieved { .. }
                | EventKind::Deleted { .. }
                | EventKind::Appended { .. }
                | EventKind::Copied { .. }
                | EventKind::Flagged { .. }
                | EventKind::Folder { .. }
                | EventKind::Fault { .. }
                | EventKind::Disconnected { .. } => event.who.student() == Some(only),
            };
            return about.then(VecDeque::new);
        };
        match &open.who {
            Who::Student { login, .. } if login == only => Some(std::mem::take(&mut open.waiting)),
            Who::Unknown => {
                if open.waiting.len() == MAX_WAITING {
                    open.waiting.pop_front();
                }
                open.waiting.push_back(event.clone());
                None
            }
            Who::Student { .. } | Who::Instructor | Who::Server { .. } => {
                open.waiting = VecDeque::new();
                None
            }
        }
    }

    /// Whose address a login came to that is another student's own, and whose login it was.
    fn contradicted<'a>(&self, group: &GroupName, event: &'a Event) -> Option<(&'a Login, &'a Login)> {
        let EventKind::LoggedIn { mailbox, .. } = &event.kind else { return None };
        let Who::Student { login, by: By::ClientAddress | By::Endpoint } = &event.who else { return None };
        let own = self.students.contains(&(group.clone(), mailbox.clone()));
        (own && mailbox != login).then_some((login, mailbox))
    }

    fn one(
        &mut self,
        key: &(GroupName, Conn),
        event: &Event,
        content: &mut dyn FnMut(MessageId) -> Option<Vec<u8>>,
    ) -> String {
        let none = Open::default();
        let open = self.open.get(key).unwrap_or(&none);
        match self.format {
            Format::Transcript => {
                let who = if event.who == Who::Unknown { &open.who } else { &event.who };
                let day = Some(date(event.time, self.look.utc_offset_secs));
                let new_day =
                    day.filter(|_| self.day != day).map(|day| transcript::day(self.day.is_some(), day, self.look));
                self.day = day;
                if new_day.is_some() {
                    self.heading = None;
                }
                let heading = Some((key.0.clone(), key.1, who.clone()));
                let head = if event.conn == Conn(0) || self.heading == heading {
                    String::new()
                } else {
                    transcript::heading(self.heading.is_some(), &key.0, event, who, open, self.look)
                };
                self.heading = heading;
                let text = new_day.unwrap_or_default() + &head + &transcript::lines(&key.0, event, self.look);
                let text = text + &transcript::header(event, content, self.look);
                match self.contradicted(&key.0, event) {
                    Some((address, login)) => text + &transcript::contradiction(event, address, login, self.look),
                    None => text,
                }
            }
            Format::States => states::lines(event, open.protocol, open.peer, self.look),
            Format::Ndjson => {
                let line = Line { group: key.0.as_str(), event };
                json_visible(&serde_json::to_string(&line).expect("events are plain values")) + "\n"
            }
        }
    }
}

/// The day, so many seconds east of UTC.
pub fn date(at: Timestamp, utc_offset_secs: i32) -> jiff::civil::Date {
    let time = jiff::Timestamp::from_microsecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    jiff::tz::Offset::from_seconds(utc_offset_secs).unwrap_or(jiff::tz::Offset::UTC).to_datetime(time).date()
}

/// `10:32:05`, so many seconds east of UTC.
pub fn time_of_day(at: Timestamp, utc_offset_secs: i32) -> String {
    at.of_day(utc_offset_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_knows_its_zone() {
        assert_eq!(time_of_day(Timestamp(0), 3_600), "01:00:00");
        assert_eq!(time_of_day(Timestamp(-1), 0), "23:59:59");
        assert_eq!(date(Timestamp(-1), 0).to_string(), "1969-12-31");
        assert_eq!(date(Timestamp(-1), 1).to_string(), "1970-01-01");
        assert_eq!(time_of_day(Timestamp(86_399_999_999), -3_600), "22:59:59");
    }
}
