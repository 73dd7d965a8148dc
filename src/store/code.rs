//! Events as rows and back. What many events share is a [`Shape`], written once; a row holds the rest in columns, and only
//! the rarer kinds are JSON.

use std::{borrow::Cow, net::SocketAddr, sync::Arc};

use rusqlite::types::ValueRef;

use crate::{
    evidence::{By, Ending, EventKind, State, Who},
    lab::{Login, Service},
    mail::folder::FolderName,
};

/// The longest word that is kept in a shape, in octets: longer than any verb. Events with a longer one are JSON.
pub(super) const WORD_KEPT: usize = 24;

/// The most shapes of one store. Clients choose verbs, so their number must end somewhere; later events are JSON.
pub(super) const MAX_SHAPES: usize = 20_000;

/// What many events have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub(super) run: u32,
    pub(super) who: Who,
    pub(super) kind: &'static str,
    pub(super) word: Arc<str>,
    pub(super) states: Option<(State, State)>,
}

/// What a row holds besides its shape.
#[derive(Debug, Default)]
pub(super) struct Columns<'a> {
    pub(super) octets: Option<u64>,
    pub(super) reply_octets: Option<u64>,
    pub(super) line: Option<Cow<'a, str>>,
    pub(super) reply: Option<&'a str>,
    pub(super) detail: Option<Cow<'static, str>>,
}

impl Columns<'_> {
    /// Octets of the texts.
    pub(super) fn octets_of_texts(&self) -> u64 {
        let texts = [self.line.as_deref(), self.reply, self.detail.as_deref()];
        texts.into_iter().flatten().map(|text| text.len() as u64).sum()
    }

    /// The columns as SQLite keeps them.
    pub(super) fn values(&self) -> [ValueRef<'_>; 5] {
        let count = |count: Option<u64>| {
            count.map_or(ValueRef::Null, |count| ValueRef::Integer(i64::try_from(count).unwrap_or(i64::MAX)))
        };
        [
            count(self.octets),
            count(self.reply_octets),
            self.line.as_deref().into(),
            self.reply.into(),
            self.detail.as_deref().into(),
        ]
    }
}

/// What stands in the details of a command that was pipelined or came several times: words, where rarer kinds have JSON.
const PIPELINED: &str = "pipelined";

/// Before how often it came.
const TIMES: &str = "times ";

fn how_words(pipelined: bool, times: u32) -> Option<Cow<'static, str>> {
    match (pipelined, times) {
        (false, 1) => None,
        (true, 1) => Some(PIPELINED.into()),
        (false, times) => Some(format!("{TIMES}{times}").into()),
        (true, times) => Some(format!("{PIPELINED} {TIMES}{times}").into()),
    }
}

/// The reverse of [`how_words`]; none where it is something else.
fn how(detail: ValueRef<'_>) -> Option<(bool, u32)> {
    let ValueRef::Text(words) = detail else { return Some((false, 1)) };
    let words = std::str::from_utf8(words).ok()?;
    let (pipelined, rest) = words.strip_prefix(PIPELINED).map_or((false, words), |rest| (true, rest.trim_start()));
    match rest.strip_prefix(TIMES) {
        Some(times) => Some((pipelined, times.parse().ok()?)),
        None => (pipelined && rest.is_empty()).then_some((true, 1)),
    }
}

/// An event taken apart: its share of the shape, and its columns.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    pub(super) word: Arc<str>,
    pub(super) states: Option<(State, State)>,
    pub(super) columns: Columns<'a>,
}

/// Takes an event apart; none where it has to be JSON ([`as_json`]).
pub(super) fn encode(kind: &EventKind) -> Option<Parts<'_>> {
    let mut columns = Columns::default();
    let (word, states): (Arc<str>, _) = match kind {
        EventKind::Command { verb, line, octets, reply, reply_octets, before, after, pipelined, times } => {
            columns.octets = Some(*octets);
            columns.reply_octets = Some(*reply_octets);
            columns.line = Some(line.into());
            columns.reply = Some(reply);
            columns.detail = how_words(*pipelined, *times);
            (verb.clone(), Some((*before, *after)))
        }
        EventKind::Connected { protocol: _, service, peer, local, reply } => {
            let name = |end: &Option<SocketAddr>| end.map_or("-".to_owned(), |end| end.to_string());
            columns.line = Some(format!("{} {}", name(peer), name(local)).into());
            columns.reply = Some(reply);
            (service.as_str().into(), None)
        }
        EventKind::LoggedIn { mailbox, mechanism } => {
            columns.line = Some(mailbox.as_str().into());
            (mechanism.as_str().into(), None)
        }
        EventKind::LoginFailed { mailbox, mechanism } => {
            columns.line = Some(mailbox.into());
            (mechanism.as_str().into(), None)
        }
        EventKind::Disconnected { how } => (ending_word(*how).into(), None),
        EventKind::Accepted { .. }
        | EventKind::Queued { .. }
        | EventKind::Repeated { .. }
        | EventKind::Relayed { .. }
        | EventKind::Deferred { .. }
        | EventKind::Bounced { .. }
        | EventKind::Query { .. }
        | EventKind::Retrieved { .. }
        | EventKind::Deleted { .. }
        | EventKind::Appended { .. }
        | EventKind::Copied { .. }
        | EventKind::Flagged { .. }
        | EventKind::Folder { .. }
        | EventKind::Secured { .. }
        | EventKind::HandshakeFailed { .. }
        | EventKind::Discarded { .. }
        | EventKind::LoneDot { .. }
        | EventKind::Reset { .. }
        | EventKind::Fault { .. }
        | EventKind::FaultSet { .. }
        | EventKind::FaultCleared { .. }
        | EventKind::Limited { .. }
        | EventKind::Exhausted { .. }
        | EventKind::Compacted { .. }
        | EventKind::Started { .. }
        | EventKind::Damaged { .. } => return None,
    };
    (word.len() <= WORD_KEPT).then_some(Parts { word, states, columns })
}

/// The columns of an event that is JSON.
pub(super) fn as_json(kind: &EventKind) -> Columns<'static> {
    let detail = serde_json::to_string(kind).expect("an event is plain data with text keys");
    Columns { detail: Some(detail.into()), ..Columns::default() }
}

/// The event of a row, in the order of [`Columns`]; an error says what is wrong with it, as a fragment.
pub(super) fn decode(shape: &Shape, columns: [ValueRef<'_>; 5]) -> Result<EventKind, String> {
    let [octets, reply_octets, line, reply, detail] = columns;
    let how = how(detail);
    if let ValueRef::Text(json) = detail
        && how.is_none()
    {
        return serde_json::from_slice(json).map_err(|problem| format!("details that do not read: {problem}"));
    }
    let (pipelined, times) = how.unwrap_or((false, 1));
    Ok(match (shape.kind, shape.states) {
        ("command", Some((before, after))) => EventKind::Command {
            verb: shape.word.clone(),
            line: text(line)?.to_owned(),
            octets: count(octets)?,
            reply: text(reply)?.to_owned(),
            reply_octets: count(reply_octets)?,
            before,
            after,
            pipelined,
            times,
        },
        ("connected", None) => {
            let (peer, local) = text(line)?.split_once(' ').ok_or("a connection without addresses")?;
            let service: Service = shape.word.parse().map_err(|()| format!("the service `{}`", shape.word))?;
            EventKind::Connected {
                protocol: service.protocol(),
                service,
                peer: end(peer)?,
                local: end(local)?,
                reply: text(reply)?.to_owned(),
            }
        }
        ("logged_in", None) => {
            EventKind::LoggedIn { mailbox: login(text(line)?)?, mechanism: shape.word.as_ref().to_owned() }
        }
        ("login_failed", None) => {
            EventKind::LoginFailed { mailbox: text(line)?.to_owned(), mechanism: shape.word.as_ref().to_owned() }
        }
        ("disconnected", None) => EventKind::Disconnected { how: ending(&shape.word)? },
        (kind, _) => return Err(format!("an event `{kind}` without its details")),
    })
}

/// The kind's name as a constant.
pub(super) fn kind(name: &str) -> Result<&'static str, String> {
    const KINDS: [&str; 30] = [
        "command",
        "connected",
        "disconnected",
        "accepted",
        "queued",
        "repeated",
        "relayed",
        "deferred",
        "bounced",
        "query",
        "retrieved",
        "deleted",
        "appended",
        "copied",
        "flagged",
        "folder",
        "secured",
        "handshake_failed",
        "discarded",
        "logged_in",
        "login_failed",
        "reset",
        "fault",
        "fault_set",
        "fault_cleared",
        "limited",
        "exhausted",
        "compacted",
        "started",
        "damaged",
    ];
    KINDS.into_iter().find(|kind| *kind == name).ok_or_else(|| format!("an event of the unknown kind `{name}`"))
}

/// A state by its name.
pub(super) fn state(name: &str) -> Result<State, String> {
    State::ALL.into_iter().find(|state| state.as_str() == name).ok_or_else(|| format!("the unknown state `{name}`"))
}

/// A login as the store keeps it.
pub(super) fn login(name: &str) -> Result<Login, String> {
    name.parse().map_err(|problem| format!("the login `{name}`: {problem}"))
}

/// A folder's name as the store keeps it.
pub(super) fn folder(name: &str) -> Result<FolderName, String> {
    name.parse().map_err(|problem| format!("the folder `{name}`: {problem}"))
}

/// `who`, `login` and `by` as the store keeps them.
pub(super) fn who_words(who: &Who) -> (&'static str, Option<&str>, Option<&'static str>) {
    match who {
        Who::Unknown => ("unknown", None, None),
        Who::Instructor => ("instructor", None, None),
        Who::Server { group } => ("server", Some(group.as_str()), None),
        Who::Student { login, by } => ("student", Some(login.as_str()), Some(by_word(*by))),
    }
}

/// The reverse of [`who_words`].
pub(super) fn who(who: &str, name: Option<&str>, by: Option<&str>) -> Result<Who, String> {
    match (who, name, by) {
        ("unknown", None, None) => Ok(Who::Unknown),
        ("instructor", None, None) => Ok(Who::Instructor),
        ("server", Some(name), None) => {
            let group = name.parse().map_err(|problem| format!("the group `{name}`: {problem}"))?;
            Ok(Who::Server { group })
        }
        ("student", Some(name), Some(by)) => {
            const ALL: [By; 4] = [By::ClientAddress, By::Endpoint, By::Login, By::Sender];
            let by =
                ALL.into_iter().find(|known| by_word(*known) == by).ok_or_else(|| format!("recognised by `{by}`"))?;
            Ok(Who::Student { login: login(name)?, by })
        }
        (who, ..) => Err(format!("the unknown party `{who}`")),
    }
}

const fn by_word(by: By) -> &'static str {
    match by {
        By::ClientAddress => "client_address",
        By::Endpoint => "endpoint",
        By::Login => "login",
        By::Sender => "sender",
    }
}

const fn ending_word(how: Ending) -> &'static str {
    match how {
        Ending::Quit => "quit",
        Ending::Dropped => "dropped",
        Ending::Idle => "idle",
        Ending::Refused => "refused",
        Ending::Shutdown => "shutdown",
        Ending::Instructor => "instructor",
        Ending::Fault => "fault",
        Ending::Failed => "failed",
    }
}

fn ending(word: &str) -> Result<Ending, String> {
    const ALL: [Ending; 8] = [
        Ending::Quit,
        Ending::Dropped,
        Ending::Idle,
        Ending::Refused,
        Ending::Shutdown,
        Ending::Instructor,
        Ending::Fault,
        Ending::Failed,
    ];
    ALL.into_iter().find(|how| ending_word(*how) == word).ok_or_else(|| format!("the unknown ending `{word}`"))
}

fn end(name: &str) -> Result<Option<SocketAddr>, String> {
    match name {
        "-" => Ok(None),
        name => name.parse().map(Some).map_err(|_| format!("the address `{name}`")),
    }
}

fn text(value: ValueRef<'_>) -> Result<&str, String> {
    match value {
        ValueRef::Text(octets) => std::str::from_utf8(octets).map_err(|_| "a text that is no UTF-8".to_owned()),
        other => Err(format!("{} where a text belongs", other.data_type().to_string().to_lowercase())),
    }
}

fn count(value: ValueRef<'_>) -> Result<u64, String> {
    match value {
        ValueRef::Integer(number) => u64::try_from(number).map_err(|_| format!("the negative count {number}")),
        other => Err(format!("{} where a count belongs", other.data_type().to_string().to_lowercase())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_word_is_no_shape_of_its_own() {
        let command = |length: usize| EventKind::Command {
            verb: "X".repeat(length).into(),
            line: String::new(),
            octets: 0,
            reply: String::new(),
            reply_octets: 0,
            before: State::Ready,
            after: State::Ready,
            pipelined: false,
            times: 1,
        };
        assert!(encode(&command(WORD_KEPT)).is_some() && encode(&command(WORD_KEPT + 1)).is_none());
    }
}
