//! The mail protocols as machines without I/O: a session takes an [`Input`] and the time and says what to send, what was
//! seen, what the store must do and what it waits for next. No sockets, no clock, no randomness: the seed comes with [`Peer`].
//!
//! ```text
//!  octets ─ line::Framer ─▶ Input ─ smtp::Session │ pop3::Session ─▶ Output { reply, events, action, next }
//!                             ▲                                            │
//!                             └────────── Outcome ◀── store ◀── Action ◀───┘
//! ```
//!
//! # Long answers
//! No session ever holds an answer that a client can make long. It writes at most about [`WINDOW`] octets of text in one turn
//! and then asks for [`Action::Send`]; octets of a message it asks for piece by piece with [`Action::Read`], and writes what it
//! makes of each (dots stuffed, base64 decoded) before it asks for the next. What it keeps in between is a place: the next
//! message, the next item, the next octet. The driver performs both actions only when the wire has taken what was written
//! before; it holds no lock and no transaction of the store while it waits, and says how large a piece may be. A client that
//! goes in the middle is [`Outcome::Lost`]: the session records what was said, and counts nothing as retrieved.

pub mod dialect;
pub mod dns;
pub mod fault;
#[cfg(test)]
pub(crate) mod fixture;
pub mod folders;
pub mod imap;
pub mod line;
pub mod outgoing;
pub mod pop3;
mod replies;
pub mod sasl;
pub mod smtp;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use crate::{
    evidence::{EventKind, MessageId, Timestamp, Who},
    lab::{Login, ServerConfig, Service, Tls, TlsVersion},
    mail::{Entry, Envelope},
};

/// The most octets of text that a session writes in one turn, give or take a line: the rest of a long answer waits until the
/// client has taken these.
pub const WINDOW: usize = 32 << 10;

/// The most octets of a message that are read in one piece.
pub const PIECE: u64 = 128 << 10;

/// The time a session is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The date: microseconds since 1970-01-01T00:00:00Z. Somebody may set it, so it is told and never waited by.
    pub micros: i64,
    /// The same moment on a clock that nobody sets: what is waited by, and what rates are measured by.
    pub steady_micros: i64,
    /// Seconds east of UTC, for dates that people read.
    pub utc_offset_secs: i32,
}

impl Now {
    /// The same moment, as what is waited by says it.
    pub const fn steady(self) -> Timestamp {
        Timestamp(self.steady_micros)
    }

    /// The date of a moment on the clock that nobody sets, as far as the date is right now.
    pub const fn date_of(self, steady: Timestamp) -> Timestamp {
        Timestamp(self.micros.saturating_add(steady.0.saturating_sub(self.steady_micros)))
    }
}

/// Everything a session knows from the start.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The server's configuration when the connection came.
    pub config: Arc<ServerConfig>,
    /// The dialect of that configuration.
    pub dialect: Arc<dialect::Dialect>,
    /// The service that was connected to. On one with implicit TLS the handshake comes before everything, and
    /// [`Input::Secured`] before [`Input::Connected`].
    pub service: Service,
    /// The other end; none for labctl's own connections.
    pub remote: Option<SocketAddr>,
    /// Our end.
    pub local: Option<SocketAddr>,
    /// The other end's name in the DNS, where somebody knows it.
    pub name: Option<String>,
    /// Who it is, as far as the address tells.
    pub who: Who,
    /// Different for each connection; ids in replies and APOP's timestamp are made from it.
    pub seed: u64,
}

impl Peer {
    /// The other end's address, `127.0.0.1` for labctl's own connections.
    pub fn address(&self) -> IpAddr {
        self.remote.map_or(IpAddr::from([127, 0, 0, 1]), |remote| remote.ip())
    }

    /// Whether it came to where only other servers belong: who comes there is no student, whatever is said.
    pub fn is_for_servers(&self) -> bool {
        let local = self.local.map(|local| local.ip());
        local.is_some() && local == self.config.relaying.from
    }

    /// Whether TLS can be had on a connection that begins in the clear; labctl's own need none.
    pub fn offers_tls(&self) -> bool {
        let Self { config, service, remote, .. } = self;
        config.tls != Tls::Off && config.identity.is_some() && remote.is_some() && !service.implicit_tls()
    }

    /// Whether TLS must come first on such a connection.
    pub fn requires_tls(&self) -> bool {
        self.offers_tls() && self.config.tls == Tls::Required
    }
}

/// What a session is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<'a> {
    /// The connection was accepted: greet.
    Connected,
    /// The connection is one too many: say so and close.
    Refused(Refusal),
    /// A command line.
    Line {
        /// Without its line end.
        octets: &'a [u8],
        /// Whether it ended in CRLF; a lone LF otherwise.
        crlf: bool,
    },
    /// A command line over the limit; the framer has thrown away all but its beginning.
    LineTooLong {
        /// Its first octets, at most [`line::HEAD`].
        head: &'a [u8],
        /// How many octets it had, with line end.
        octets: u64,
    },
    /// Message data up to its end (`CRLF.CRLF`), after [`Next::Data`].
    Data(line::Data),
    /// In message data a line with a dot alone has ended in LF, which does not end the data (RFC 5321 4.1.1.4): told once for a
    /// message, because whoever types that waits for an answer that does not come.
    LoneDot {
        /// Which line of the message, from 1 on.
        line: u64,
    },
    /// Octets of a chunk, at most so many as [`Next::Chunk`] said.
    Chunk(&'a [u8]),
    /// The folder that the session watches has changed ([`folders::Ask::Watch`]).
    Changed,
    /// The connection is secured: after [`Next::StartTls`], or first of all where the service has implicit TLS. After
    /// STARTTLS the session forgets all that it learnt in the clear (RFC 3207 4.2, RFC 2595 4, RFC 9051 6.2.1); a reply to it
    /// goes over TLS, and none is due. A handshake that fails ends the connection, and the session hears of neither.
    Secured {
        /// The version of TLS.
        version: TlsVersion,
        /// The cipher suite, by its name in IANA's registry.
        cipher: &'a str,
    },
    /// A fault is in the way of a greeting, a command or message data: it is not carried out, and changes nothing; what the
    /// session records as its answer is `reply`.
    Denied {
        /// What came.
        of: &'a Input<'a>,
        /// What is said, with CRLF.
        reply: &'a [u8],
    },
    /// What became of the action that the last output asked for.
    Done(Outcome),
    /// Instead of what came: there is as much evidence of the student as the lab allows.
    Exhausted,
    /// The server has too much mail under way: what the session holds of a message that is coming in must go. It is heard to its
    /// end and refused for now.
    NoRoom,
    /// Nothing came for the idle time of the protocol.
    Idle,
    /// The server is shutting down.
    Shutdown,
    /// The instructor ends the session.
    Ended,
}

/// Why a connection is one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The student has too many sessions.
    StudentSessions,
    /// The server has too many sessions.
    ServerSessions,
    /// There is as much evidence of the student as the lab allows.
    Evidence,
}

/// What a session wants. The driver appends `reply` to what it sends, so one output's reply leaves in one write.
#[derive(Debug, Default)]
pub struct Output {
    /// What to send; empty while an action is under way.
    pub reply: Vec<u8>,
    /// What was seen, in order.
    pub events: Vec<EventKind>,
    /// What the store must do before anything else is read.
    pub action: Option<Action>,
    /// What to read next (after the action, if there is one).
    pub next: Next,
    /// Set when the session has learnt who it is.
    pub who: Option<Who>,
}

/// What a session waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Next {
    /// A line of at most this many octets with CRLF.
    #[default]
    Line,
    /// Message data.
    Data,
    /// This many octets of a chunk; the input may bring fewer.
    Chunk(u64),
    /// A TLS handshake, after the reply is sent -> [`Input::Secured`]. What came in the clear behind the command is thrown
    /// away, and the driver records that, as it records the handshake.
    StartTls,
    /// Nothing: send what there is and close.
    Close,
}

/// What a session asks of the store. The driver performs it and comes back with [`Input::Done`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Is there room for this many octets in the mailbox? -> [`Outcome::Room`]
    Room {
        /// The mailbox.
        mailbox: Login,
        /// Octets; 0 where the client did not say.
        octets: u64,
    },
    /// Is there room in the queue for so many recipients of other servers? -> [`Outcome::Room`]
    QueueRoom {
        /// How many, those of this message together.
        recipients: usize,
    },
    /// Try now what waits for the server of this domain -> [`Outcome::Waiting`]
    Hurry {
        /// The domain, lower case.
        domain: String,
    },
    /// Count what waits for the server of this domain -> [`Outcome::Waiting`]
    Waiting {
        /// The domain, lower case.
        domain: String,
    },
    /// Send the reply; then be the client on this connection, send what waits for this domain, and say QUIT (RFC 2645 5.3) ->
    /// [`Outcome::Waiting`] with what still waits, or [`Outcome::Failed`]
    TurnRound {
        /// The domain, lower case.
        domain: String,
    },
    /// Store the message and commit it together with the output's events -> [`Outcome::Stored`] or [`Outcome::Failed`]
    Deliver(Envelope),
    /// Lock and list the mailbox -> [`Outcome::Opened`], [`Outcome::Locked`] or [`Outcome::Failed`]
    Open {
        /// The mailbox.
        mailbox: Login,
    },
    /// Send the reply, the beginning of a long answer -> [`Outcome::Sent`] or [`Outcome::Lost`]
    Send,
    /// Send the reply, then read octets of a message, trace fields first -> [`Outcome::Octets`], [`Outcome::Failed`] or
    /// [`Outcome::Lost`]
    Read {
        /// The message.
        message: MessageId,
        /// The first octet.
        from: u64,
        /// The most that are wanted, at most [`PIECE`]. There may be fewer, and are none only past the end.
        most: u64,
    },
    /// Delete the messages, commit that together with the output's events, release the lock -> [`Outcome::Expunged`] or [`Outcome::Failed`]
    Expunge {
        /// The mailbox.
        mailbox: Login,
        /// What to delete; possibly nothing.
        entries: Vec<Entry>,
    },
    /// Something with folders -> [`Outcome::Folders`] or [`Outcome::Failed`]
    Folders(Box<folders::Ask>),
}

/// What became of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Whether there is room.
    Room(bool),
    /// So many recipients wait in the queue.
    Waiting(usize),
    /// The message is committed.
    Stored,
    /// The mailbox is open, in the order of its UIDs.
    Opened(Vec<Entry>),
    /// Another session has the mailbox.
    Locked {
        /// Whose it is, as far as it is known.
        holder: Option<Login>,
    },
    /// The client has taken what was said so far.
    Sent,
    /// The client has gone, or takes nothing: the answer is not told to its end, and what the session writes now is for nobody.
    Lost,
    /// Octets of the message.
    Octets(Vec<u8>),
    /// The deletions are committed.
    Expunged,
    /// What was asked of folders.
    Folders(Box<folders::Told>),
    /// The store could not do it (disk full, damaged file): a temporary failure for the client.
    Failed,
}

/// What the record keeps of the beginning of a line over the limit, masked already; it says that there was more.
fn shortened(kept: String) -> String {
    if kept.ends_with("***") { kept } else { kept + "…" }
}
