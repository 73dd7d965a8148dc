//! SMTP (RFC 5321) as a machine without I/O. Here: the states, what comes in and how it is answered and recorded; the
//! commands are in `transaction` and `auth`, the reply texts in the dialects.
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

mod auth;
mod chunking;
pub mod client;
mod command;
pub mod hearing;
mod inquiry;
mod offer;
mod parameter;
mod path;
mod reply;
mod route;
mod starttls;
mod trace;
mod transaction;
pub mod turning;

use std::sync::{Arc, LazyLock};

pub use self::{
    reply::rfc_date as date,
    route::{Destination, destination},
    trace::without_return_path,
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
use super::{
    Action, Input, Next, Now, Outcome, Output, Peer, Refusal, line,
    sasl::{Exchange, RESPONSE, mask},
    shortened,
};

/// How the octets of an SMTP connection are framed: with lines as long as the longest that may come. The session itself
/// refuses those that are too long where they come.
pub fn framing(peer: &Peer) -> line::Limits {
    let offer = Offer::of(peer);
    let verbs = [Verb::Mail, Verb::Rcpt, Verb::Auth].map(|verb| longest(verb, offer, peer.config.limits.line));
    line::Limits::of(&peer.config, verbs.into_iter().max().unwrap_or(peer.config.limits.line))
}

/// The longest command of this verb, in octets with CRLF: extensions add to the lab's limit what they say.
fn longest(verb: Verb, offer: Offer, line: usize) -> usize {
    let when = |offered: bool, more: usize| if offered { more } else { 0 };
    match verb {
        Verb::Mail => {
            let auth = when(offer.auth, parameter::MAIL_AUTH_MORE);
            line + parameter::MAIL_MORE + auth + when(offer.dsn, parameter::MAIL_DSN_MORE)
        }
        Verb::Rcpt => line + when(offer.dsn, parameter::RCPT_DSN_MORE),
        Verb::Auth => line.max(when(offer.auth, RESPONSE)),
        Verb::Helo
        | Verb::Ehlo
        | Verb::Data
        | Verb::Rset
        | Verb::Vrfy
        | Verb::Expn
        | Verb::Help
        | Verb::Noop
        | Verb::Quit
        | Verb::Bdat
        | Verb::Etrn
        | Verb::Atrn
        | Verb::Turn
        | Verb::Sendmail
        | Verb::StartTls
        | Verb::Missing
        | Verb::Extension
        | Verb::Pop3
        | Verb::Unknown => line,
    }
}

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
            Input::Secured { .. } => self.secured(),
            // Folders are IMAP's: the session never asks for them.
            Input::Changed => {}
            Input::Denied { of, reply } => self.denied(of, reply, out),
            Input::Done(outcome) => self.done(&outcome, now, out),
            Input::Idle => self.end("closing.idle", now, out),
            Input::Shutdown => self.end("closing.shutdown", now, out),
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
            seen
        } else {
            return self.connected(out);
        };
        out.events.push(self.event(seen, reply));
    }

    fn line(&mut self, octets: &[u8], crlf: bool, now: Now, out: &mut Output) {
        let length = octets.len() + if crlf { 2 } else { 1 };
        let text = String::from_utf8_lossy(octets);
        let command = Command::parse(&text);
        let (seen, response) = self.heard(&command, octets, length as u64);
        if length > self.longest(command.verb) {
            self.line_too_long(now, out);
        } else if !crlf && !self.peer.config.leniency.line_feed {
            if command.verb == Verb::Bdat && !matches!(self.stage, Stage::Auth(_)) {
                self.bdat(&command, Some("line.line_feed"), now, out);
            } else {
                self.tell("line.line_feed", now, out);
            }
        } else if memchr::memchr2(b'\0', b'\r', octets).is_some() {
            self.tell("line.control", now, out);
        } else if matches!(self.stage, Stage::Auth(_)) {
            self.response(octets, now, out);
        } else if response {
            self.tell("unknown.response", now, out);
        } else {
            self.command(&command, octets, now, out);
        }
        if matches!(self.stage, Stage::Chunk(_)) {
            self.waiting = Some(seen);
            self.end_of_chunk(now, out);
        } else if out.action.is_some() {
            self.waiting = Some(seen);
        } else {
            self.finish(seen, now, out);
        }
    }

    /// What the record keeps of a line, and whether the line was (or may have been meant as) a response to AUTH.
    fn heard(&mut self, command: &Command<'_>, line: &[u8], octets: u64) -> (Seen, bool) {
        let response = matches!(self.stage, Stage::Auth(_)) || self.auth_refused && command.verb == Verb::Unknown;
        if response {
            return (self.seen("<response>", mask::response(line).to_owned(), octets), true);
        }
        self.auth_refused = command.holds_secret();
        let (verb, line) = (Arc::clone(&command.name), command.kept(line));
        (Seen { verb, line, octets, before: self.state() }, false)
    }

    /// The longest line that may come now, in octets.
    fn longest(&self, verb: Verb) -> usize {
        let line = self.peer.config.limits.line;
        if matches!(self.stage, Stage::Auth(_)) { line.max(RESPONSE) } else { longest(verb, self.offer, line) }
    }

    fn line_too_long(&mut self, now: Now, out: &mut Output) {
        if matches!(self.stage, Stage::Auth(_)) {
            self.stage = Stage::Idle;
            self.tell("auth.line_too_long", now, out);
        } else {
            self.tell("line.too_long", now, out);
        }
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
            Verb::Unknown if command.name.is_empty() => self.say("unknown.empty", &words, now, out),
            Verb::Unknown => self.say("unknown.command", &words, now, out),
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

    /// Ends the session from our side; a BDAT whose chunk has not come whole is on record with that.
    fn end(&mut self, key: &str, now: Now, out: &mut Output) {
        let waiting = self.waiting.take();
        self.close(key, now, out);
        if let Some(seen) = waiting {
            self.finish(seen, now, out);
        }
    }

    fn close(&mut self, key: &str, now: Now, out: &mut Output) {
        self.stage = Stage::Closed;
        self.say(key, &Words::default(), now, out);
    }

    /// Says what needs no words of the client.
    fn tell(&self, key: &str, now: Now, out: &mut Output) {
        self.say(key, &Words::default(), now, out);
    }

    fn say(&self, key: &str, words: &Words<'_>, now: Now, out: &mut Output) {
        reply::write(&self.peer, key, words, now, &mut out.reply);
    }

    /// A command that is being answered, before it has changed the state.
    fn seen(&self, verb: &'static str, line: String, octets: u64) -> Seen {
        static SPECIAL: LazyLock<[Arc<str>; 3]> = LazyLock::new(|| ["", "<message>", "<response>"].map(Arc::from));
        let special = SPECIAL.iter().find(|special| special.as_ref() == verb);
        Seen { verb: special.map_or_else(|| verb.into(), Arc::clone), line, octets, before: self.state() }
    }

    /// Counts a refusal that is the client's fault, closes after too many, and records the command with its reply.
    fn finish(&mut self, seen: Seen, now: Now, out: &mut Output) {
        if out.reply.first() == Some(&b'5') {
            self.errors += 1;
            if self.errors > self.peer.config.limits.errors {
                out.reply.clear();
                self.close("closing.errors", now, out);
            }
        }
        let event = self.event(seen, &out.reply);
        // The command comes before what it led to, such as a login.
        out.events.insert(0, event);
    }

    fn event(&self, seen: Seen, reply: &[u8]) -> EventKind {
        EventKind::Command {
            verb: seen.verb,
            line: seen.line,
            octets: seen.octets,
            reply: kept_reply(reply),
            reply_octets: reply.len() as u64,
            before: seen.before,
            after: self.state(),
            pipelined: false,
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
