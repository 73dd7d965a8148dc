//! What a lab gives away, found on the record of the whole solution: it is marked again without a connection, or with a message
//! that is otherwise. No server plays these tries, so many of them take a moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    ops::ControlFlow,
    path::Path,
};

use super::stage::Stage;
use crate::{
    evidence::{Conn, Event, EventKind, MessageId, Seq, Who},
    lab::{Lab, Service, exercise::ScriptLine},
    marking::{Marker, StudentMarks, Verdict},
    store::{Reader, StoreError},
};

/// The most lines of one message's body that are tried one by one: the first ones, and the last.
const MAX_LINES: usize = 12;

/// Where nobody's mail goes and comes from.
const ELSEWHERE: &str = "otro@elsewhere.example";

/// A header field that is put in another's place keeps its name.
const OTHERWISE: &str = "otherwise";

/// What was seen of the whole solution.
pub(super) struct Record {
    events: Vec<Event>,
    contents: BTreeMap<MessageId, Vec<u8>>,
    /// The exercise and the connection of its solution that an event belongs to.
    owners: BTreeMap<Seq, (usize, usize)>,
}

/// A way to get an exercise with less than its solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenAway {
    /// What may be left out or otherwise, in a few words.
    pub without: String,
}

/// One thing about a message that is otherwise.
struct Edit {
    what: String,
    message: MessageId,
    conn: Conn,
    how: How,
}

enum How {
    Content(Vec<u8>),
    Sender,
    Recipients,
}

impl Record {
    /// The record of a play of all solutions, from its store.
    pub(super) fn read(stage: &Stage, store: &Path) -> Result<Self, StoreError> {
        let reader = Reader::open(store)?;
        let mut events = Vec::new();
        reader.events(Seq(0), &mut |event| {
            events.push(event);
            ControlFlow::Continue(())
        })?;
        let ids = events.iter().filter_map(|event| match &event.kind {
            EventKind::Accepted { message, .. } | EventKind::Appended { message, .. } => Some(*message),
            _ => None,
        });
        let ids: BTreeSet<MessageId> = ids.collect();
        let content = |id: &MessageId| {
            let message = reader.message(*id).ok().flatten()?;
            Some((*id, message.octets[message.trace_octets..].to_vec()))
        };
        let contents = ids.iter().filter_map(content).collect();
        let owners = owners(stage.lab(), &events);
        Ok(Self { events, contents, owners })
    }

    /// What each other student of the group has, who did nothing while the first one did everything.
    pub(super) fn bystanders(&self, stage: &Stage) -> Vec<StudentMarks> {
        self.mark(stage, |event| Some(event.clone()), None).into_iter().skip(1).collect()
    }

    /// The ways to get an exercise with less than its solution.
    pub(super) fn given_away(&self, stage: &Stage, index: usize, needed: &[usize]) -> Vec<GivenAway> {
        let mut ways: Vec<GivenAway> = self.without_solution(stage, index).into_iter().collect();
        let keep = |event: &Event| self.owners.get(&event.seq).is_none_or(|(owner, _)| needed.contains(owner));
        for edit in self.edits(index) {
            let given = self.gives(stage, index, |event| keep(event).then(|| otherwise(event, &edit)), Some(&edit));
            if given {
                ways.push(GivenAway { without: edit.what });
            }
        }
        ways
    }

    /// Whether whoever solves all other exercises has this one as well, and which of them alone does it.
    fn without_solution(&self, stage: &Stage, index: usize) -> Option<GivenAway> {
        let owner = |event: &Event| self.owners.get(&event.seq).map(|(owner, _)| *owner);
        let gives = |keep: &dyn Fn(usize) -> bool| {
            self.gives(stage, index, |event| owner(event).is_none_or(keep).then(|| event.clone()), None)
        };
        if !gives(&|other| other != index) {
            return None;
        }
        let before = super::with_prerequisites(stage.lab(), index);
        let alone = |other: &usize| gives(&|owner| owner == *other || owner != index && before.contains(&owner));
        let exercises = &stage.lab().exercises;
        let by = (0..exercises.len()).filter(|other| *other != index).find(alone).map(|other| &exercises[other].id);
        let by = by.map_or_else(|| "the others".to_owned(), |id| format!("`{id}`"));
        Some(GivenAway { without: format!("any of its solution, to whoever solves {by}") })
    }

    /// Each way in which a message of an exercise's solution can be otherwise.
    fn edits(&self, index: usize) -> Vec<Edit> {
        let own =
            self.events.iter().filter(|event| self.owners.get(&event.seq).is_some_and(|(owner, _)| *owner == index));
        let mut edits = Vec::new();
        for event in own {
            let EventKind::Accepted { message, injected: None, .. } = event.kind else { continue };
            let edit = |what: String, how| Edit { what, message, conn: event.conn, how };
            edits.push(edit("the sender".into(), How::Sender));
            edits.push(edit("the recipients".into(), How::Recipients));
            let Some(content) = self.contents.get(&message) else { continue };
            let lines: Vec<&[u8]> = content.split_inclusive(|octet| *octet == b'\n').collect();
            let body = lines.iter().position(|line| line.trim_ascii().is_empty()).unwrap_or(lines.len());
            let shown = |line: &[u8]| crate::trace::visible(String::from_utf8_lossy(line).trim_end());
            let edge = (body + MAX_LINES / 2, lines.len().saturating_sub(MAX_LINES / 2));
            for (place, line) in lines.iter().enumerate().filter(|(place, _)| *place < edge.0 || *place >= edge.1) {
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let but =
                    |with: &[u8]| How::Content([&lines[..place].concat(), with, &lines[place + 1..].concat()].concat());
                edits.push(edit(format!("the line `{}`", shown(line)), but(b"")));
                if let Some(colon) = line.iter().position(|octet| *octet == b':').filter(|_| place < body) {
                    let name = &line[..colon];
                    let other = [name, b": ", OTHERWISE.as_bytes(), b"\r\n"].concat();
                    edits.push(edit(format!("what `{}` says", shown(name)), but(&other)));
                }
            }
        }
        edits
    }

    fn gives(&self, stage: &Stage, index: usize, event: impl Fn(&Event) -> Option<Event>, edit: Option<&Edit>) -> bool {
        self.mark(stage, event, edit).first().is_some_and(|marks| marks.exercises[index].verdict == Verdict::Done)
    }

    fn mark(&self, stage: &Stage, event: impl Fn(&Event) -> Option<Event>, edit: Option<&Edit>) -> Vec<StudentMarks> {
        let mut content = |id: MessageId| match edit {
            Some(Edit { message, how: How::Content(other), .. }) if *message == id => Some(other.clone()),
            Some(_) | None => self.contents.get(&id).cloned(),
        };
        let mut marker = Marker::new(stage.lab(), stage.group(), stage.key());
        let Ok(()) = marker.read(|marker| -> Result<(), Infallible> {
            self.events.iter().filter_map(&event).for_each(|event| marker.take(&event, &mut content));
            Ok(())
        });
        marker.marks()
    }
}

/// The event as it would be with a message that is otherwise.
fn otherwise(event: &Event, edit: &Edit) -> Event {
    let mut event = event.clone();
    if let (
        EventKind::Queued { message, recipients }
        | EventKind::Relayed { message, recipients, .. }
        | EventKind::Deferred { message, recipients, .. }
        | EventKind::Bounced { message, recipients, .. },
        How::Recipients,
    ) = (&mut event.kind, &edit.how)
        && *message == edit.message
    {
        *recipients = vec![ELSEWHERE.to_owned()];
    }
    if event.conn != edit.conn {
        return event;
    }
    match (&mut event.kind, &edit.how) {
        (EventKind::Accepted { message, octets, .. }, How::Content(content)) if *message == edit.message => {
            *octets = content.len() as u64;
        }
        (EventKind::Accepted { message, from, .. }, How::Sender) if *message == edit.message => {
            ELSEWHERE.clone_into(from);
        }
        (EventKind::Accepted { message, recipients, delivered, .. }, How::Recipients) if *message == edit.message => {
            *recipients = vec![ELSEWHERE.to_owned()];
            delivered.clear();
        }
        (EventKind::Command { verb, line, .. }, How::Sender) if **verb == *"MAIL" => {
            *line = format!("MAIL FROM:<{ELSEWHERE}>");
        }
        (EventKind::Command { verb, line, .. }, How::Recipients) if **verb == *"RCPT" => {
            *line = format!("RCPT TO:<{ELSEWHERE}>");
        }
        _ => {}
    }
    event
}

/// Which connection of which exercise's solution each event belongs to: the solutions were played one after the other.
fn owners(lab: &Lab, events: &[Event]) -> BTreeMap<Seq, (usize, usize)> {
    let scripts = lab.exercises.iter().enumerate().flat_map(|(index, exercise)| {
        exercise.solution.iter().enumerate().map(move |(place, script)| ((index, place), script))
    });
    let (questions, talks): (Vec<_>, Vec<_>) = scripts.partition(|(_, script)| script.service == Service::Domain);
    let asked = questions.into_iter().flat_map(|(owner, script)| {
        let lines = script.lines.iter().filter(|line| matches!(line, ScriptLine::Client(_)));
        lines.map(move |_| owner)
    });
    let (mut asked, mut talks) = (asked, talks.into_iter().map(|(owner, _)| owner));
    let mut conns: BTreeMap<Conn, Option<(usize, usize)>> = BTreeMap::new();
    let mut owners = BTreeMap::new();
    for event in events {
        let owner = match (&event.kind, &event.who) {
            (EventKind::Query { .. }, _) => asked.next(),
            (_, Who::Instructor | Who::Server { .. }) => None,
            (_, Who::Student { .. } | Who::Unknown) if event.conn == Conn(0) => None,
            (_, Who::Student { .. } | Who::Unknown) => *conns.entry(event.conn).or_insert_with(|| talks.next()),
        };
        owners.extend(owner.map(|owner| (event.seq, owner)));
    }
    owners
}
