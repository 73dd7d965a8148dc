//! SMTP (RFC 5321) as a machine without I/O. Here: the states, and which command goes where. Lines come in by `intake`, replies and
//! events go out by `answer`; the commands are in `transaction` and `auth`, the reply texts in the dialects.
//!
//! ```text
//!           HELO EHLO            MAIL              RCPT               DATA
//!  connect ───────────▶ ready ─────────▶ mail ───────────▶ rcpt ─────────────▶ data
//!                       ▲  │ ▲            │ ▲                │ │ ▲              │
//!            AUTH ends  │  │ └── RSET, HELO, EHLO ───────────┘ └─┘ RCPT         │ CRLF.CRLF
//!                       │  ▼ AUTH         └─┘ RCPT refused                      ▼
//!                       auth          ◀──────────────────────────────────── (commit)
//!
//!  rcpt ─BDAT n─▶ data ─BDAT n LAST─▶ (commit): as DATA, but lengths say where each chunk ends
//!
//!  QUIT, too many errors, idle, shutdown: closed, from everywhere
//! ```

mod answer;
mod auth;
mod chunking;
pub mod client;
mod command;
pub mod hearing;
mod inquiry;
mod intake;
mod offer;
mod parameter;
mod path;
mod reply;
mod route;
mod starttls;
mod trace;
mod transaction;
pub mod turning;

use std::sync::Arc;

pub use self::{
    intake::framing,
    path::takes_path,
    reply::rfc_date as date,
    route::{Destination, destination},
    trace::{queue_name, without_return_path},
};
use crate::{
    evidence::{EventKind, State, Who, kept_reply},
    lab::{Login, Protocol},
};

pub use reply::offers;

use self::{
    chunking::Chunk,
    command::{Command, Verb},
    offer::Offer,
    path::Host,
    reply::Words,
    transaction::{Asked, Transaction},
    turning::Asking,
};
use super::{Action, Input, Next, Now, Outcome, Output, Peer, Refusal, sasl::Exchange, shortened};

/// The words of a refusal that no rule of the protocol asks for: `key` about the recipient in RCPT's `line`, if it is one.
pub fn refusal(peer: &Peer, key: &str, line: &str, now: Now) -> Vec<u8> {
    let path = line.split_once(':').map_or("", |(_, path)| path.trim());
    let address = path.strip_prefix('<').and_then(|path| path.split_once('>')).map_or(path, |(address, _)| address);
    let mut out = Vec::new();
    reply::write(peer, key, &Words { verb: "RCPT", path, address, ..Words::default() }, now, &mut out);
    out
}

/// One SMTP connection.
#[derive(Debug)]
pub struct Session {
    peer: Peer,
    who: Who,
    hello: Option<Hello>,
    login: Option<Login>,
    stage: Stage,
    /// The command that waits for the store.
    waiting: Option<Seen>,
    offer: Offer,
    /// AUTH exchanges begun.
    exchanges: u64,
    /// EHLO lists STARTTLS on this connection until it is secure.
    offers_tls: bool,
    /// TLS is on.
    secure: bool,
    /// An AUTH was refused and nothing sensible came since: what comes now may be its password.
    auth_refused: bool,
    /// DATA was refused and no other command came since: what comes now may be the message.
    data_refused: bool,
    /// In the data that is coming a dot alone ended in LF.
    lone_dot: bool,
    errors: usize,
    messages: u64,
}

/// What HELO or EHLO said.
#[derive(Debug)]
struct Hello {
    extended: bool,
    argument: String,
}

/// Where a session is.
#[derive(Debug)]
enum Stage {
    /// No transaction is open.
    Idle,
    /// After MAIL.
    Open(Transaction),
    /// A recipient waits for the store's word on room.
    Asking(Transaction, Box<Asked>),
    /// After 354.
    Data(Transaction),
    /// After BDAT: its chunk is coming.
    Chunk(Box<Chunk>),
    /// ETRN or ATRN waits for the queue.
    Inquiring(Box<Asking>),
    /// A message waits for its commit, and this reply with it.
    Storing(Vec<u8>),
    /// Inside an AUTH exchange.
    Auth(Exchange),
    /// After 220 to STARTTLS.
    Securing,
    /// Nothing more is read.
    Closed,
}

/// A command as its event will have it.
#[derive(Debug, Clone)]
struct Seen {
    verb: Arc<str>,
    line: String,
    octets: u64,
    before: State,
}

impl Session {
    /// The server that it is a session of, and who is at its other end.
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// A session that has not greeted yet.
    pub fn new(peer: Peer) -> Self {
        Self {
            offer: Offer::of(&peer),
            exchanges: 0,
            offers_tls: peer.offers_tls() && reply::offers(&peer.dialect, "STARTTLS"),
            who: peer.who.clone(),
            peer,
            hello: None,
            login: None,
            stage: Stage::Idle,
            waiting: None,
            secure: false,
            auth_refused: false,
            data_refused: false,
            lone_dot: false,
            errors: 0,
            messages: 0,
        }
    }

    /// Takes one input; `out` is empty.
    pub fn handle(&mut self, input: Input<'_>, now: Now, out: &mut Output) {
        match input {
            Input::Connected => self.greet("greeting", now, out),
            Input::Refused(refusal) => {
                self.stage = Stage::Closed;
                let key = match refusal {
                    Refusal::StudentSessions => "closing.student_sessions",
                    Refusal::ServerSessions => "closing.server_sessions",
                    Refusal::Evidence => "closing.evidence",
                };
                self.greet(key, now, out);
            }
            Input::Line { octets, crlf } => self.line(octets, crlf, now, out),
            Input::LineTooLong { head, octets } => {
                let text = String::from_utf8_lossy(head);
                let (mut seen, _) = self.heard(&Command::parse(&text), head, octets);
                seen.line = shortened(seen.line);
                self.line_too_long(now, out);
                self.finish(seen, now, out);
            }
            Input::Chunk(octets) => self.chunk(octets, now, out),
            Input::Data(data) => self.end_of_data(data, now, out),
            Input::LoneDot { line } => {
                self.lone_dot = true;
                out.events.push(EventKind::LoneDot { line });
            }
            Input::Secured { .. } => self.secured(),
            // Folders are IMAP's: the session never asks for them.
            Input::Changed => {}
            Input::NoRoom => self.give_up(),
            Input::Denied { of, reply } => self.denied(of, reply, out),
            Input::Done(outcome) => self.done(&outcome, now, out),
            Input::Exhausted => self.end("closing.evidence", now, out),
            Input::Idle if self.lone_dot => self.end("closing.lone_dot", now, out),
            Input::Idle => self.end("closing.idle", now, out),
            Input::Shutdown => self.end("closing.shutdown", now, out),
            Input::Ended => self.end("closing.instructor", now, out),
        }
        out.next = match self.stage {
            Stage::Data(_) => Next::Data,
            Stage::Chunk(ref chunk) => Next::Chunk(chunk.left),
            Stage::Securing => Next::StartTls,
            Stage::Closed => Next::Close,
            Stage::Idle
            | Stage::Open(_)
            | Stage::Asking(..)
            | Stage::Inquiring(_)
            | Stage::Storing(_)
            | Stage::Auth(_) => Next::Line,
        };
    }

    fn greet(&mut self, key: &str, now: Now, out: &mut Output) {
        self.say(key, &Words::default(), now, out);
        self.connected(out);
    }

    fn connected(&self, out: &mut Output) {
        out.events.push(EventKind::Connected {
            protocol: Protocol::Smtp,
            service: self.peer.service,
            peer: self.peer.remote,
            local: self.peer.local,
            reply: kept_reply(&out.reply),
        });
    }

    /// A fault answers instead of the session. That is not the client's error, so nothing is counted.
    fn denied(&mut self, of: &Input<'_>, reply: &[u8], out: &mut Output) {
        out.reply.extend_from_slice(reply);
        let seen = if let Input::Line { octets, crlf } = of {
            let text = String::from_utf8_lossy(octets);
            let length = octets.len() + if *crlf { 2 } else { 1 };
            self.heard(&Command::parse(&text), octets, length as u64).0
        } else if let Input::Data(data) = of {
            let seen = self.seen("<message>", String::new(), data.octets);
            self.stage = Stage::Idle;
            self.lone_dot = false;
            seen
        } else {
            return self.connected(out);
        };
        out.events.push(self.event(seen, reply));
    }

    fn command(&mut self, command: &Command<'_>, octets: &[u8], now: Now, out: &mut Output) {
        let state = match self.state() {
            State::Connect if self.peer.config.leniency.no_greeting => State::Ready,
            state => state,
        };
        let words = Words { verb: &command.name, argument: command.argument, ..Words::default() };
        if command.verb == Verb::StartTls && !self.knows_tls() {
            return self.say("missing.command", &words, now, out);
        }
        if self.wants_tls_first(command.verb) {
            return self.say("tls.required", &words, now, out);
        }
        if let Err(key) = command.verb.may_come(state) {
            let refused = matches!(&self.stage, Stage::Open(transaction) if transaction.refused);
            return self.say(
                if refused && key == "sequence.rcpt" { "sequence.refused" } else { key },
                &words,
                now,
                out,
            );
        }
        if command.verb == Verb::Mail && self.login.is_none() && offer::is_submission(&self.peer) {
            let key = if self.offers_auth() { "sequence.login" } else { "sequence.login_tls" };
            return self.say(key, &words, now, out);
        }
        match command.verb {
            Verb::Helo => self.hello(false, &words, now, out),
            Verb::Ehlo => self.hello(true, &words, now, out),
            Verb::Mail => self.mail(command.argument, std::str::from_utf8(octets).is_ok(), now, out),
            Verb::Rcpt => self.rcpt(command.argument, std::str::from_utf8(octets).is_ok(), now, out),
            Verb::Auth => self.auth(command.argument, now, out),
            Verb::StartTls => self.start_tls(&words, now, out),
            Verb::Noop => self.say("noop", &words, now, out),
            Verb::Help => self.help(&words, now, out),
            Verb::Vrfy | Verb::Expn => self.verify(command.verb == Verb::Expn, &words, now, out),
            Verb::Etrn => self.etrn(&words, now, out),
            Verb::Atrn => self.atrn(&words, now, out),
            Verb::Turn => self.say("missing.turn", &words, now, out),
            Verb::Sendmail => self.of_sendmail(command, &words, now, out),
            Verb::Data | Verb::Rset | Verb::Quit if !command.argument.is_empty() => {
                self.say("argument.superfluous", &words, now, out);
            }
            Verb::Data => self.data(now, out),
            Verb::Bdat => self.bdat(command, None, now, out),
            Verb::Rset => {
                self.stage = Stage::Idle;
                self.say("rset", &words, now, out);
            }
            Verb::Quit => self.close("quit", now, out),
            Verb::Missing => self.say("missing.command", &words, now, out),
            Verb::Extension => self.say("unknown.extension", &words, now, out),
            Verb::Pop3 => self.say("unknown.pop3", &words, now, out),
            Verb::Unknown => self.unknown(command, octets, now, out),
        }
    }

    fn hello(&mut self, extended: bool, words: &Words<'_>, now: Now, out: &mut Output) {
        let argument = words.argument;
        if !self.peer.config.leniency.greeting_argument && Host::parse(argument).is_err() {
            return self.say("argument.hello", words, now, out);
        }
        self.stage = Stage::Idle;
        let words = Words { hello: argument, ..*words };
        if extended {
            self.write_ehlo(&words, now, out);
        } else {
            self.say("helo", &words, now, out);
        }
        self.hello = Some(Hello { extended, argument: argument.to_owned() });
    }

    fn done(&mut self, outcome: &Outcome, now: Now, out: &mut Output) {
        match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Asking(transaction, asked) => {
                self.asked(transaction, *asked, outcome, now, out);
                if let Some(seen) = self.waiting.take() {
                    self.finish(seen, now, out);
                }
            }
            Stage::Inquiring(asking) => self.queue_answered(*asking, outcome, now, out),
            Stage::Storing(reply) => self.stored(reply, outcome, now, out),
            // Nothing was asked for.
            stage @ (Stage::Idle
            | Stage::Open(_)
            | Stage::Data(_)
            | Stage::Chunk(_)
            | Stage::Auth(_)
            | Stage::Securing
            | Stage::Closed) => {
                self.stage = stage;
            }
        }
    }

    fn state(&self) -> State {
        let ready = if self.hello.is_none() { State::Connect } else { State::Ready };
        let open = |transaction: &Transaction| match transaction {
            Transaction { chunks: Some(_), .. } => State::Data,
            Transaction { recipients, .. } if recipients.is_empty() => State::Mail,
            Transaction { .. } => State::Rcpt,
        };
        match &self.stage {
            Stage::Idle | Stage::Inquiring(_) | Stage::Storing(_) | Stage::Securing => ready,
            Stage::Open(transaction) | Stage::Asking(transaction, _) => open(transaction),
            Stage::Data(_) => State::Data,
            Stage::Chunk(chunk) => chunk.transaction().map_or(ready, open),
            Stage::Auth(_) => State::Auth,
            Stage::Closed => State::Closed,
        }
    }
}
