//! POP3 as a machine without I/O: RFC 1939, CAPA of RFC 2449, the response codes of RFC 3206. Here is the session: which
//! state it is in, whether a command may come there, what is recorded. What the commands do is in `authorization` and
//! `transaction`, what a line is in `command`, the open mailbox in `maildrop`, who may open it in `login`, the words in `reply`.
//!
//! ```text
//!  Fresh ─greeting─▶ Authorization ─PASS, APOP─▶ Opening ─opened─▶ Transaction ─QUIT─▶ Updating ─▶ Closed
//!                     │       ▲                    │                │      ▲                          ▲
//!                     │       └── locked, failed ──┘          RETR, TOP    │                          │
//!                     │                                             ▼      │                          │
//!                     │                                            Fetching┘                          │
//!                     └── QUIT ───────────────────────────────────────────────────────────────────────┤
//!                               anywhere: idle, shutdown, too many errors; nothing is deleted then ───┘
//! ```

mod authorization;
mod command;
mod content;
mod login;
mod maildrop;
mod reply;
mod transaction;
use std::mem;

use self::{
    command::{Heard, Place, Suspicion, Verb, Words},
    login::Claim,
    maildrop::{Maildrop, Number},
    reply::Reply,
};
use super::{Input, Next, Now, Outcome, Output, Peer, Refusal};
use crate::{
    evidence::{EventKind, State, kept_reply},
    lab::{Login, Protocol},
};

/// One POP3 connection.
#[derive(Debug)]
pub struct Session {
    peer: Peer,
    /// APOP's timestamp, where the greeting had one.
    timestamp: Option<String>,
    errors: usize,
    stage: Stage,
}

/// Where the session is, with what it holds there.
#[derive(Debug)]
enum Stage {
    /// Not greeted.
    Fresh,
    /// The login is not complete; after USER with the name it gave.
    Authorization { claim: Option<Claim> },
    /// The login is right and the store opens the mailbox.
    Opening { opening: Opening, heard: Heard },
    /// The mailbox is open.
    Transaction(Maildrop),
    /// The store fetches a message for RETR or TOP.
    Fetching { maildrop: Maildrop, wanted: Wanted, heard: Heard },
    /// The store deletes what was marked; `farewell` is sent when it has.
    Updating { farewell: Vec<u8>, heard: Heard },
    /// Over.
    Closed,
}

/// A login on its way into the mailbox.
#[derive(Debug)]
struct Opening {
    mailbox: Login,
    mechanism: Verb,
}

/// A command that may come here, on its way to be carried out.
#[derive(Debug, Clone, Copy)]
struct Command<'a> {
    verb: Verb,
    words: Words<'a>,
    heard: &'a Heard,
}

/// What RETR or TOP asked for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    number: Number,
    /// Body lines (TOP); none for all (RETR).
    lines: Option<u64>,
}

impl Stage {
    const fn state(&self) -> State {
        match self {
            Self::Fresh | Self::Authorization { .. } | Self::Opening { .. } => State::Authorization,
            Self::Transaction(_) | Self::Fetching { .. } => State::Transaction,
            Self::Updating { .. } => State::Update,
            Self::Closed => State::Closed,
        }
    }

    const fn suspicion(&self) -> Suspicion {
        match self {
            Self::Authorization { claim: Some(_) } => Suspicion::Everything,
            Self::Fresh | Self::Authorization { claim: None } | Self::Opening { .. } => Suspicion::Arguments,
            Self::Transaction(_) | Self::Fetching { .. } | Self::Updating { .. } | Self::Closed => Suspicion::None,
        }
    }
}

impl Session {
    /// A session that has not greeted yet.
    pub const fn new(peer: Peer) -> Self {
        Self { peer, timestamp: None, errors: 0, stage: Stage::Fresh }
    }

    /// Takes what came and appends what follows to `out`, which the caller has cleared.
    pub fn handle(&mut self, input: Input<'_>, now: Now, out: &mut Output) {
        match input {
            Input::Connected => self.greet(now, out),
            Input::Refused(Refusal::StudentSessions) => self.turn_away(Reply::StudentSessions, out),
            Input::Refused(Refusal::ServerSessions) => self.turn_away(Reply::ServerSessions, out),
            Input::Line { octets, crlf } => self.line(octets, crlf, out),
            Input::LineTooLong { octets } => self.line_too_long(octets, out),
            Input::Done(outcome) => self.done(outcome, out),
            // POP3 has no message data to receive: the session never asks for it.
            Input::Data(_) => {}
            // POP3 replies only to commands, so neither has words; closing here is not QUIT, and nothing is deleted
            // (RFC 1939 3).
            Input::Idle | Input::Shutdown => self.stage = Stage::Closed,
        }
        if matches!(self.stage, Stage::Closed) {
            out.next = Next::Close;
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

    fn turn_away(&mut self, reply: Reply, out: &mut Output) {
        reply.write(&self.peer, &[], &mut out.reply);
        self.stage = Stage::Closed;
        self.connected(out);
    }

    fn connected(&self, out: &mut Output) {
        out.events.push(EventKind::Connected {
            protocol: Protocol::Pop3,
            peer: self.peer.remote,
            local: self.peer.local,
            reply: kept_reply(&out.reply),
        });
    }

    fn line(&mut self, line: &[u8], crlf: bool, out: &mut Output) {
        let place = match &self.stage {
            Stage::Authorization { .. } => Place::Authorization,
            Stage::Transaction(_) => Place::Transaction,
            // The driver reads no line before the greeting, during an action or after the end.
            Stage::Fresh | Stage::Opening { .. } | Stage::Fetching { .. } | Stage::Updating { .. } | Stage::Closed => {
                return;
            }
        };
        let before = self.stage.state();
        let words = Words::of(line);
        let verb = Verb::named(words.first);
        let octets = line.len() as u64 + if crlf { 2 } else { 1 };
        let heard = Heard::of(words, verb, line, octets, self.stage.suspicion());
        match self.may_come(verb, words, line, crlf, place) {
            Ok(verb) => {
                let command = Command { verb, words, heard: &heard };
                self.stage = match mem::replace(&mut self.stage, Stage::Closed) {
                    Stage::Authorization { claim } => self.authorization(claim, command, out),
                    Stage::Transaction(maildrop) => self.transaction(maildrop, command, out),
                    stage @ (Stage::Fresh
                    | Stage::Opening { .. }
                    | Stage::Fetching { .. }
                    | Stage::Updating { .. }
                    | Stage::Closed) => stage,
                };
            }
            Err(reply) => {
                let user = self.user().to_owned();
                let usage = verb.map_or("", |verb| verb.rule().usage);
                self.refuse(reply, &[("verb", &heard.verb), ("usage", usage), ("user", &user)], out);
            }
        }
        if out.action.is_none() {
            self.answered(heard, before, out);
        }
    }

    /// Whether this line is a command that may come here and now, apart from carrying it out; if not, the refusal.
    fn may_come(
        &self,
        verb: Option<Verb>,
        words: Words<'_>,
        line: &[u8],
        crlf: bool,
        place: Place,
    ) -> Result<Verb, Reply> {
        let leniency = self.peer.config.leniency;
        if !crlf && !leniency.line_feed {
            return Err(Reply::LineFeed);
        }
        let verb = verb.ok_or(Reply::Unknown)?;
        let rule = verb.rule();
        let misplaced = match rule.place {
            Place::Authorization => (place == Place::Transaction).then_some(Reply::LoggedIn),
            Place::Transaction => (place == Place::Authorization).then_some(Reply::NeedLogin),
            Place::Anywhere => None,
        };
        if let Some(reply) = misplaced {
            return Err(reply);
        }
        if !leniency.pop3_blanks && !words.is_plain(line, verb) {
            return Err(Reply::Blanks);
        }
        let arguments = words.arguments().count();
        if arguments < rule.least {
            return Err(Reply::TooFew);
        }
        if !leniency.pop3_blanks && arguments > rule.most {
            return Err(Reply::TooMany);
        }
        Ok(verb)
    }

    fn line_too_long(&mut self, octets: u64, out: &mut Output) {
        let before = self.stage.state();
        let limit = self.peer.config.limits.line.to_string();
        self.refuse(Reply::LineTooLong, &[("limit", &limit)], out);
        self.answered(Heard::too_long(octets), before, out);
    }

    fn done(&mut self, outcome: Outcome, out: &mut Output) {
        self.stage = match mem::replace(&mut self.stage, Stage::Closed) {
            Stage::Opening { opening, heard } => self.opened(opening, heard, outcome, out),
            Stage::Fetching { maildrop, wanted, heard } => self.fetched(maildrop, wanted, heard, outcome, out),
            Stage::Updating { farewell, heard } => self.updated(farewell, heard, &outcome, out),
            stage @ (Stage::Fresh | Stage::Authorization { .. } | Stage::Transaction(_) | Stage::Closed) => stage,
        };
    }

    /// The mailbox that is open.
    fn user(&self) -> &str {
        match &self.stage {
            Stage::Transaction(maildrop) | Stage::Fetching { maildrop, .. } => maildrop.mailbox.as_str(),
            Stage::Fresh
            | Stage::Authorization { .. }
            | Stage::Opening { .. }
            | Stage::Updating { .. }
            | Stage::Closed => "",
        }
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
