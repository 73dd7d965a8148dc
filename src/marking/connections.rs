//! Connections under way, and whose each is. What a connection did before its student was known is kept, within a limit,
//! and counts from the beginning once a login or a sender says who it was.

use super::{
    checks::conversation::talk::{Secure, Track},
    quick::QuickMap,
};
use crate::{
    evidence::{By, Conn, Event, EventKind, Seq, State, Timestamp, Who},
    lab::Protocol,
};

/// The most events that are kept of a connection whose student is not known. Of a longer one only what comes after
/// the student became known counts.
pub const MAX_UNKNOWN: usize = 1_000;

/// The most buffers of ended connections that are kept for new ones.
const SPARE: usize = 1_024;

/// A connection under way.
#[derive(Debug, Default)]
pub struct Live {
    /// Its number.
    pub conn: Conn,
    /// Its protocol, as far as the record tells.
    pub protocol: Option<Protocol>,
    /// When it began.
    pub began: Timestamp,
    /// Its first event.
    pub first: Seq,
    /// The session's state after the last command.
    pub state: Option<State>,
    /// How far it got with each conversation check.
    pub track: Track,
    owner: Owner,
    unknown: Vec<Event>,
    overflowed: bool,
}

/// Whose a connection is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// Nobody knows yet.
    #[default]
    Unknown,
    /// A student of the group, by place.
    Student(usize, By),
    /// labctl's own, or somebody's who is no student of the group.
    Nobody,
}

/// What an event's connection says about whom it counts for.
#[derive(Debug)]
pub enum Turn {
    /// For nobody (so far).
    Nobody,
    /// For the student it counted for before.
    Same(usize),
    /// For a student from now on, together with what is kept from before.
    New(usize, Vec<Event>),
    /// For neither the student whose address it came to (the first) nor the one whose own login it used, from its beginning.
    Neither(usize, usize),
}

/// All connections under way.
#[derive(Debug, Default)]
pub struct Connections {
    live: QuickMap<u64, Live>,
    spare: Vec<Live>,
}

impl Connections {
    /// The event's connection; a new one where the record does not show its beginning.
    pub fn of(&mut self, event: &Event) -> &mut Live {
        let spare = &mut self.spare;
        self.live.entry(event.conn.0).or_insert_with(|| {
            let mut live = spare.pop().unwrap_or_default();
            live.begin(event);
            live
        })
    }

    /// Forgets a connection that has ended.
    pub fn close(&mut self, conn: Conn) {
        if let Some(live) = self.live.remove(&conn.0)
            && self.spare.len() < SPARE
        {
            self.spare.push(live);
        }
    }

    /// Ends all connections, in order.
    pub fn end_all(&mut self) -> Vec<Live> {
        let mut all: Vec<Live> = self.live.drain().map(|(_, live)| live).collect();
        all.sort_unstable_by_key(|live| live.conn);
        all
    }

    /// How many are under way.
    pub fn len(&self) -> usize {
        self.live.len()
    }
}

impl Live {
    fn begin(&mut self, event: &Event) {
        self.conn = event.conn;
        self.began = event.time;
        self.first = event.seq;
        self.state = None;
        self.track.secure = Secure::default();
        self.owner = Owner::Unknown;
        self.unknown.clear();
        self.overflowed = false;
        self.protocol = match &event.kind {
            EventKind::Connected { protocol, .. } => Some(*protocol),
            EventKind::Command { before, .. } => spoken_in(*before),
            EventKind::LoggedIn { .. }
            | EventKind::LoginFailed { .. }
            | EventKind::Secured { .. }
            | EventKind::HandshakeFailed { .. }
            | EventKind::Discarded { .. }
            | EventKind::LoneDot { .. }
            | EventKind::Accepted { .. }
            | EventKind::Queued { .. }
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
            | EventKind::Disconnected { .. }
            | EventKind::Reset { .. }
            | EventKind::Fault { .. }
            | EventKind::FaultSet { .. }
            | EventKind::FaultCleared { .. }
            | EventKind::Repeated { .. }
            | EventKind::Limited { .. }
            | EventKind::Exhausted { .. }
            | EventKind::Compacted { .. }
            | EventKind::Started { .. }
            | EventKind::Damaged { .. } => None,
        };
    }

    /// The student it belongs to.
    pub fn student(&self) -> Option<usize> {
        match self.owner {
            Owner::Student(student, _) => Some(student),
            Owner::Unknown | Owner::Nobody => None,
        }
    }

    /// Whether the address tells whose it is.
    pub fn is_by_address(&self) -> bool {
        matches!(self.owner, Owner::Student(_, By::ClientAddress | By::Endpoint))
    }

    /// Whom the event counts for; `place` finds a student of the group. An address settles it, unless a login contradicts
    /// it. Otherwise the event says it; where it names another student than before, the conversation starts again as that student's.
    pub fn turn(&mut self, event: &Event, place: impl Fn(&str) -> Option<usize>) -> Turn {
        if let Some((address, login)) = self.contradiction(event, &place) {
            return Turn::Neither(address, login);
        }
        if let Owner::Student(student, By::ClientAddress | By::Endpoint) = self.owner {
            return Turn::Same(student);
        }
        match (&event.who, self.owner) {
            (Who::Unknown, Owner::Unknown) => {
                self.remember(event);
                Turn::Nobody
            }
            (Who::Unknown, Owner::Student(student, _)) => Turn::Same(student),
            (Who::Unknown, Owner::Nobody) => Turn::Nobody,
            (Who::Instructor | Who::Server { .. }, Owner::Unknown | Owner::Nobody | Owner::Student(..)) => {
                self.owner = Owner::Nobody;
                Turn::Nobody
            }
            (Who::Student { login, by }, owner) => {
                let Some(student) = place(login.as_str()) else {
                    self.owner = Owner::Nobody;
                    return Turn::Nobody;
                };
                self.owner = Owner::Student(student, *by);
                match owner {
                    Owner::Student(same, _) if same == student => Turn::Same(student),
                    Owner::Unknown | Owner::Nobody | Owner::Student(..) => {
                        Turn::New(student, std::mem::take(&mut self.unknown))
                    }
                }
            }
        }
    }

    /// The student whose address the connection came to and the other one whose own login it now uses. A login to a
    /// mailbox that the group shares contradicts nothing.
    fn contradiction(&self, event: &Event, place: impl Fn(&str) -> Option<usize>) -> Option<(usize, usize)> {
        let EventKind::LoggedIn { mailbox, .. } = &event.kind else { return None };
        let login = place(mailbox.as_str())?;
        let address = match (self.owner, &event.who) {
            (Owner::Student(student, By::ClientAddress | By::Endpoint), _) => Some(student),
            (_, Who::Student { login, by: By::ClientAddress | By::Endpoint }) => place(login.as_str()),
            (
                _,
                Who::Student { by: By::Login | By::Sender, .. } | Who::Unknown | Who::Instructor | Who::Server { .. },
            ) => None,
        };
        address.filter(|address| *address != login).map(|address| (address, login))
    }

    fn remember(&mut self, event: &Event) {
        if self.unknown.len() == MAX_UNKNOWN {
            self.unknown = Vec::new();
            self.overflowed = true;
        }
        if !self.overflowed {
            self.unknown.push(event.clone());
        }
    }
}

/// The protocol that has this state.
const fn spoken_in(state: State) -> Option<Protocol> {
    match state {
        State::Connect | State::Ready | State::Mail | State::Rcpt | State::Data | State::Auth => Some(Protocol::Smtp),
        State::Authorization | State::Transaction | State::Update => Some(Protocol::Pop3),
        State::NotAuthenticated | State::Authenticated | State::Selected | State::Logout => Some(Protocol::Imap),
        State::Closed => None,
    }
}
