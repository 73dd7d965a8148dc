//! POP3 as a machine without I/O: RFC 1939, CAPA of RFC 2449, AUTH of RFC 5034, the response codes of RFC 3206. Here is the session: which
//! state it is in, whether a command may come there, what is recorded. What the commands do is in `authorization`, `auth` and
//! `transaction`, how a long answer goes in `answer` and `content`, what a line is in `command`, the open mailbox in `maildrop`, who may open it in `login`, the words in `reply`.
//!
//! ```text
//!  Fresh ─greeting─▶ Authorization ─PASS, APOP─▶ Opening ─opened─▶ Transaction ─QUIT─▶ Updating ─▶ Closed
//!                     │       ▲                    │               │       ▲                          ▲
//!                     │ ▲     └── locked, failed ──┘         RETR, TOP …   │                          │
//!                AUTH ▼ │ failed                                   │       │                          │
//!                  Authenticating ─proved─▶ Opening                │       │                          │
//!                     │                                            ▼       │                          │
//!                     │                                            Answering                          │
//!                     │  STLS: Securing ─ handshake ─▶ Authorization, and nothing is known any more          │
//!                     └── QUIT ───────────────────────────────────────────────────────────────────────┤
//!                               anywhere: idle, shutdown, too many errors; nothing is deleted then ───┘
//! ```

mod answer;
mod auth;
mod authorization;
mod command;
mod content;
mod login;
mod maildrop;
mod reply;
mod transaction;

use std::mem;

use self::{
    answer::{Answer, Said},
    command::{Heard, Line, Place, Suspicion, Verb},
    maildrop::Maildrop,
    reply::Reply,
};
use super::{
    Input, Next, Now, Outcome, Output, Peer, Refusal,
    line::{self, Noise},
    sasl::{self, Claim, Exchange},
};
use crate::{
    evidence::{EventKind, State, kept_reply},
    lab::{Login, Protocol},
};

/// How the octets of a POP3 connection are framed.
pub fn framing(peer: &Peer) -> line::Limits {
    let line = peer.config.limits.line;
    line::Limits::of(&peer.config, if auth::mechanisms(peer).is_empty() { line } else { line.max(sasl::RESPONSE) })
}

/// One POP3 connection.
#[derive(Debug)]
pub struct Session {
    peer: Peer,
    /// APOP's timestamp, where the greeting had one.
    timestamp: Option<String>,
    errors: usize,
    /// The dialect lists mechanisms of AUTH.
    knows_auth: bool,
    /// AUTH exchanges begun.
    exchanges: u64,
    /// A login was tried: until one succeeds, a line that is no command may be its password.
    login_tried: bool,
    /// TLS is on.
    secure: bool,
    stage: Stage,
}

/// Where the session is, with what it holds there.
#[derive(Debug)]
enum Stage {
    /// Not greeted.
    Fresh,
    /// The login is not complete; after USER with the name it gave.
    Authorization { claim: Option<Claim> },
    /// Inside an AUTH exchange.
    Authenticating(Exchange),
    /// The login is right and the store opens the mailbox.
    Opening { opening: Opening, heard: Heard },
    /// The mailbox is open.
    Transaction(Maildrop),
    /// An answer is under way that does not go at once.
    Answering { maildrop: Maildrop, answer: Answer, heard: Heard, said: Said },
    /// The store deletes what was marked; `farewell` is sent when it has.
    Updating { farewell: Vec<u8>, heard: Heard },
    /// After +OK to STLS.
    Securing,
    /// Over.
    Closed,
}

/// A login on its way into the mailbox.
#[derive(Debug)]
struct Opening {
    mailbox: Login,
    mechanism: &'static str,
}

/// A command that may come here, on its way to be carried out.
#[derive(Debug, Clone, Copy)]
struct Command<'a> {
    verb: Verb,
    line: Line<'a>,
    heard: &'a Heard,
}

impl Stage {
    const fn state(&self) -> State {
        match self {
            Self::Fresh
            | Self::Authorization { .. }
            | Self::Authenticating(_)
            | Self::Opening { .. }
            | Self::Securing => State::Authorization,
            Self::Transaction(_) | Self::Answering { .. } => State::Transaction,
            Self::Updating { .. } => State::Update,
            Self::Closed => State::Closed,
        }
    }

    /// Where commands may come; none where the driver reads no line: before the greeting, during an action, after the end.
    const fn place(&self) -> Option<Place> {
        match self {
            Self::Authorization { .. } => Some(Place::Authorization),
            Self::Transaction(_) => Some(Place::Transaction),
            Self::Fresh
            | Self::Authenticating(_)
            | Self::Opening { .. }
            | Self::Answering { .. }
            | Self::Updating { .. }
            | Self::Securing
            | Self::Closed => None,
        }
    }

    /// The mailbox that is open.
    fn user(&self) -> &str {
        match self {
            Self::Transaction(maildrop) | Self::Answering { maildrop, .. } => maildrop.mailbox.as_str(),
            Self::Fresh
            | Self::Authorization { .. }
            | Self::Authenticating(_)
            | Self::Opening { .. }
            | Self::Updating { .. }
            | Self::Securing
            | Self::Closed => "",
        }
    }

    const fn suspicion(&self, login_tried: bool) -> Suspicion {
        match self {
            Self::Authorization { claim: Some(_) } => Suspicion::Everything,
            Self::Authorization { claim: None } if login_tried => Suspicion::Everything,
            Self::Fresh
            | Self::Authorization { claim: None }
            | Self::Authenticating(_)
            | Self::Opening { .. }
            | Self::Securing => Suspicion::Arguments,
            Self::Transaction(_) | Self::Answering { .. } | Self::Updating { .. } | Self::Closed => Suspicion::None,
        }
    }
}

impl Session {
    /// The server that it is a session of, and who is at its other end.
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// A session that has not greeted yet.
    pub fn new(peer: Peer) -> Self {
        Self {
            knows_auth: !auth::mechanisms(&peer).is_empty(),
            peer,
            timestamp: None,
            errors: 0,
            exchanges: 0,
            login_tried: false,
            secure: false,
            stage: Stage::Fresh,
        }
    }

    /// Takes what came and appends what follows to `out`, which the caller has cleared.
    pub fn handle(&mut self, input: Input<'_>, now: Now, out: &mut Output) {
        match input {
            Input::Connected => self.greet(now, out),
            Input::Refused(Refusal::StudentSessions) => self.turn_away(Reply::StudentSessions, out),
            Input::Refused(Refusal::ServerSessions) => self.turn_away(Reply::ServerSessions, out),
            Input::Refused(Refusal::Evidence) => self.turn_away(Reply::Evidence, out),
            Input::Exhausted => {
                Reply::Evidence.write(&self.peer, &[], &mut out.reply);
                self.stage = Stage::Closed;
            }
            Input::Line { octets, crlf } => self.line(octets, crlf, now, out),
            Input::LineTooLong { head, octets } => self.line_too_long(head, octets, out),
            Input::Denied { of, reply } => self.denied(of, reply, out),
            Input::Done(outcome) => self.done(outcome, out),
            Input::Secured { .. } => self.secured(),
            // POP3 receives no message data and watches no folder: the session never asks for it.
            Input::Data(_) | Input::LoneDot { .. } | Input::Chunk(_) | Input::Changed | Input::NoRoom => {}
            // POP3 replies only to commands, so none of these has words; closing here is not QUIT, and nothing is deleted
            // (RFC 1939 3).
            Input::Idle | Input::Shutdown | Input::Ended => self.stage = Stage::Closed,
        }
        match self.stage {
            Stage::Securing => out.next = Next::StartTls,
            Stage::Closed => out.next = Next::Close,
            Stage::Fresh
            | Stage::Authorization { .. }
            | Stage::Authenticating(_)
            | Stage::Opening { .. }
            | Stage::Transaction(_)
            | Stage::Answering { .. }
            | Stage::Updating { .. } => {}
        }
    }

    fn greet(&mut self, now: Now, out: &mut Output) {
        let timestamp = login::timestamp(&self.peer, now);
        let id = format!("{:x}", self.peer.seed);
        Reply::Greeting.write(&self.peer, &[("timestamp", &timestamp), ("id", &id)], &mut out.reply);
        self.timestamp = Reply::Greeting.mentions(&self.peer, "timestamp").then_some(timestamp);
        self.stage = Stage::Authorization { claim: None };
        self.connected(out);
    }

    /// TLS is on: a name that USER gave in the clear is forgotten (RFC 2595 4).
    fn secured(&mut self) {
        self.secure = true;
        self.login_tried = false;
        if matches!(self.stage, Stage::Securing) {
            self.stage = Stage::Authorization { claim: None };
        }
    }

    /// A fault answers instead of the session. That is not the client's error, so nothing is counted.
    fn denied(&mut self, of: &Input<'_>, reply: &[u8], out: &mut Output) {
        out.reply.extend_from_slice(reply);
        if let Input::Line { octets, crlf } = of {
            let state = self.stage.state();
            let heard = self.heard(&Line::of(octets, *crlf));
            out.events.push(heard.answered(reply, state, state));
        } else {
            self.stage = Stage::Authorization { claim: None };
            self.connected(out);
        }
    }

    fn turn_away(&mut self, reply: Reply, out: &mut Output) {
        reply.write(&self.peer, &[], &mut out.reply);
        self.stage = Stage::Closed;
        self.connected(out);
    }

    fn connected(&self, out: &mut Output) {
        out.events.push(EventKind::Connected {
            protocol: Protocol::Pop3,
            service: self.peer.service,
            peer: self.peer.remote,
            local: self.peer.local,
            reply: kept_reply(&out.reply),
        });
    }

    fn line(&mut self, octets: &[u8], crlf: bool, now: Now, out: &mut Output) {
        if matches!(self.stage, Stage::Authenticating(_)) {
            return self.response_line(octets, crlf, out);
        }
        let length = octets.len() + if crlf { 2 } else { 1 };
        if length > self.peer.config.limits.line {
            return self.line_too_long(&octets[..octets.len().min(line::HEAD)], length as u64, out);
        }
        let Some(place) = self.stage.place() else { return };
        let before = self.stage.state();
        let line = Line::of(octets, crlf);
        let heard = self.heard(&line);
        if let Some(noise) = Noise::of(octets) {
            self.refuse(Reply::Noise, &[("text", noise.hint())], out);
            if noise == Noise::Http {
                self.stage = Stage::Closed;
            }
            return self.answered(heard, before, out);
        }
        match line.may_come(place, self.peer.config.leniency) {
            Ok(verb) => self.obey(Command { verb, line, heard: &heard }, now, out),
            Err(reply) => {
                let user = self.stage.user().to_owned();
                let usage = line.verb.map_or("", |verb| verb.rule().usage);
                self.refuse(reply, &[("verb", &heard.verb), ("usage", usage), ("user", &user)], out);
            }
        }
        if out.action.is_none() {
            self.answered(heard, before, out);
        }
    }

    /// A line inside an AUTH exchange.
    fn response_line(&mut self, octets: &[u8], crlf: bool, out: &mut Output) {
        let heard = Heard::response(octets, octets.len() as u64 + if crlf { 2 } else { 1 });
        let Stage::Authenticating(exchange) = mem::replace(&mut self.stage, Stage::Closed) else { return };
        self.stage = if crlf || self.peer.config.leniency.line_feed {
            self.response(exchange, octets, &heard, out)
        } else {
            self.refuse(Reply::LineFeed, &[], out);
            Stage::Authorization { claim: None }
        };
        if out.action.is_none() {
            self.answered(heard, State::Authorization, out);
        }
    }

    fn line_too_long(&mut self, head: &[u8], octets: u64, out: &mut Output) {
        if matches!(self.stage, Stage::Authenticating(_)) {
            self.stage = Stage::Authorization { claim: None };
            self.refuse(Reply::AuthTooLong, &[], out);
            return self.answered(Heard::response(head, octets), State::Authorization, out);
        }
        if self.stage.place().is_none() {
            return;
        }
        let before = self.stage.state();
        let heard = self.heard(&Line::of(head, true)).too_long(octets);
        let limit = self.peer.config.limits.line.to_string();
        self.refuse(Reply::LineTooLong, &[("limit", &limit)], out);
        self.answered(heard, before, out);
    }

    fn heard(&mut self, line: &Line<'_>) -> Heard {
        let heard = Heard::of(line, self.stage.suspicion(self.login_tried));
        self.login_tried |= matches!(line.verb, Some(Verb::User | Verb::Pass | Verb::Apop | Verb::Auth));
        heard
    }

    fn obey(&mut self, command: Command<'_>, now: Now, out: &mut Output) {
        self.stage = match mem::replace(&mut self.stage, Stage::Closed) {
            Stage::Authorization { claim } => self.authorization(claim, command, now, out),
            Stage::Transaction(maildrop) => self.transaction(maildrop, command, out),
            stage @ (Stage::Fresh
            | Stage::Authenticating(_)
            | Stage::Opening { .. }
            | Stage::Answering { .. }
            | Stage::Updating { .. }
            | Stage::Securing
            | Stage::Closed) => stage,
        };
    }

    fn done(&mut self, outcome: Outcome, out: &mut Output) {
        self.stage = match mem::replace(&mut self.stage, Stage::Closed) {
            Stage::Opening { opening, heard } => self.opened(opening, heard, outcome, out),
            Stage::Answering { maildrop, answer, heard, said } => {
                self.go_on(maildrop, answer, heard, said, outcome, out)
            }
            Stage::Updating { farewell, heard } => self.updated(farewell, heard, &outcome, out),
            stage @ (Stage::Fresh
            | Stage::Authorization { .. }
            | Stage::Authenticating(_)
            | Stage::Transaction(_)
            | Stage::Securing
            | Stage::Closed) => stage,
        };
    }

    fn say(&self, reply: Reply, values: &[(&str, &str)], out: &mut Output) {
        reply.write(&self.peer, values, &mut out.reply);
    }

    /// Says no, and counts it.
    fn refuse(&mut self, reply: Reply, values: &[(&str, &str)], out: &mut Output) {
        self.errors += 1;
        let reply = if self.errors > self.peer.config.limits.errors { Reply::TooManyErrors } else { reply };
        self.say(reply, values, out);
    }

    /// Ends a command that was answered at once. Its event comes first, then those of what it did.
    fn answered(&mut self, heard: Heard, before: State, out: &mut Output) {
        if self.errors > self.peer.config.limits.errors {
            self.stage = Stage::Closed;
        }
        out.events.insert(0, heard.answered(&out.reply, before, self.stage.state()));
    }
}

#[cfg(test)]
mod tests;
