//! IMAP as a machine without I/O: IMAP4rev1 (RFC 3501), IMAP4rev2 (RFC 9051) and the extensions in [`CAPABILITIES`]. Here is the
//! session: which state it is in, and whether a command may come there. How a command comes in is in `intake`, `gather` (literals)
//! and `syntax` (its pieces), what it is in `verb`, `command`, `list`, `items`, `criteria`; what it does in `login`, `folders`,
//! `messages` and `fetched` (FETCH), `search` (with SORT and THREAD), `resync` (QRESYNC), `changes` (STORE, COPY, EXPUNGE, APPEND), `idle`; what goes on when the store has
//! answered in `outcome`, how a command ends in `answer`; how a session begins and ends in `ends`; what the client knows of the open folder in `view`;
//! the words in `reply`.
//!
//! ```text
//!                      LOGIN, AUTHENTICATE               SELECT, EXAMINE
//!  greeting ─▶ NotAuthenticated ─────────▶ Authenticated ───────────────▶ Selected ─┐ SELECT another
//!                     │                       │    ▲                       │  ▲ └────┘
//!                     │                       │    └─ CLOSE, UNSELECT, ────┘  │
//!                     │                       │       SELECT that fails       │
//!                     └───────── LOGOUT, idle, shutdown, too many errors ─────┴──▶ Logout
//!
//!  within each: Ready ─line {n}─▶ Literal ─▶ Ready ─whole command─▶ Working (the store is asked) ─▶ Ready
//!                                                        └─ AUTHENTICATE ─▶ Authenticating, IDLE ─▶ Idling ─▶ Ready
//! ```

mod answer;
mod changes;
mod command;
mod criteria;
mod ends;
mod fetched;
mod folders;
mod gather;
mod idle;
mod intake;
mod items;
mod list;
mod listing;
mod login;
mod matching;
mod messages;
mod name;
mod outcome;
mod reply;
mod resync;
mod search;
mod section;
mod sequence;
mod sort;
mod structure;
mod syntax;
mod tell;
mod thread;
mod verb;
mod view;

use std::mem;

use self::{
    command::Command,
    gather::{Gathered, Head, Heard, MAX_COMMAND, MAX_LINE, MAX_LITERAL, Said, Suspicion},
    reply::Reply,
    syntax::Cursor,
    verb::{Place, Verb},
    view::View,
};
use super::{Input, Next, Now, Output, Peer, Refusal, folders::Ask, line, sasl};
use crate::{evidence::State, lab::Login};

pub use fetched::BATCH_OCTETS;
pub use messages::BATCH_MESSAGES;
pub use sequence::written;

/// What this server can do beyond what comes before the login (RFC 9051 7.2.2).
pub const CAPABILITIES: &str = "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE UIDPLUS MOVE NAMESPACE CHILDREN LIST-EXTENDED \
                                LIST-STATUS SPECIAL-USE ESEARCH SEARCHRES CONDSTORE QRESYNC UNSELECT BINARY STATUS=SIZE SORT SORT=DISPLAY THREAD=ORDEREDSUBJECT THREAD=REFERENCES";

/// Every verb as events spell it, those with `UID` before them as well.
pub fn verbs() -> impl Iterator<Item = String> {
    let forms = |verb: Verb| {
        let rule = verb.rule();
        [Some(rule.name.to_owned()), rule.uid.then(|| format!("UID {}", rule.name))]
    };
    Verb::ALL.into_iter().flat_map(forms).flatten()
}

/// How the octets of an IMAP connection are framed.
pub fn framing(peer: &Peer) -> line::Limits {
    line::Limits::of(&peer.config, MAX_LINE)
}

/// One IMAP connection.
#[derive(Debug)]
pub struct Session {
    peer: Peer,
    now: Now,
    secured: bool,
    errors: usize,
    /// A login was refused: until one succeeds, a line that is no command may be its password.
    login_tried: bool,
    /// A literal was refused that the client may send all the same: the next line may be one of LOGIN's.
    literal_refused: bool,
    /// AUTHENTICATE exchanges so far.
    attempts: u64,
    /// Modification sequences are told (RFC 7162 3.1).
    condstore: bool,
    /// Deletions are told by UID (RFC 7162 3.2.3).
    qresync: bool,
    /// IMAP4rev2 is enabled: names in UTF-8, no `\Recent`, ESEARCH answers (RFC 9051 6.3.1).
    rev2: bool,
    connection: Connection,
    stage: Stage,
    gathered: Gathered,
}

/// The state of the connection (RFC 9051 3), with what it holds there.
#[derive(Debug)]
enum Connection {
    NotAuthenticated,
    Authenticated(Login),
    Selected(Login, Box<View>),
    Logout,
}

/// What the session is doing.
#[derive(Debug)]
enum Stage {
    /// Not greeted.
    Fresh,
    /// Waits for a command, or the rest of one.
    Ready,
    /// Waits for so many octets of a literal.
    Literal { left: u64, kept: bool },
    /// Waits for a response of AUTHENTICATE.
    Authenticating(Box<(Under, sasl::Exchange)>),
    /// STARTTLS was answered: waits for the handshake.
    Securing,
    /// IDLE: waits for DONE, or for the folder to change.
    Idling(Box<Under>),
    /// The store does something.
    Working(Box<(Under, Task)>),
    /// Over.
    Closed,
}

/// A command that is under way.
#[derive(Debug)]
struct Under {
    tag: String,
    verb: Verb,
    /// Whether UID stood before the verb.
    uid: bool,
    heard: Heard,
    before: State,
    said: Said,
}

/// What goes on when the store has answered.
#[derive(Debug)]
enum Task {
    List(Box<listing::Listing>),
    Status(Vec<command::StatusItem>, String),
    Select {
        read_only: bool,
        name: String,
        resync: Option<resync::Resync>,
    },
    /// Nothing more than the reply.
    Plain(String),
    Rename {
        from: String,
        to: String,
    },
    Append(String),
    Copy {
        remove: bool,
        name: String,
    },
    Store(changes::Storing),
    Expunge,
    Close,
    Fetch(Box<messages::Fetching>),
    Search(Box<search::Searching>),
    /// More lines of what changed, and what comes after them.
    Tell(Box<(tell::Telling, tell::Then)>),
    /// The command is done: its tagged line waits until the client has been told what else changed.
    Finish {
        tagged: Vec<u8>,
        expunge: bool,
    },
    /// IDLE: the folder is watched now.
    Watch,
    /// IDLE: the folder changed.
    Look,
}

impl Connection {
    const fn state(&self) -> State {
        match self {
            Self::NotAuthenticated => State::NotAuthenticated,
            Self::Authenticated(_) => State::Authenticated,
            Self::Selected(..) => State::Selected,
            Self::Logout => State::Logout,
        }
    }

    const fn mailbox(&self) -> Option<&Login> {
        match self {
            Self::NotAuthenticated | Self::Logout => None,
            Self::Authenticated(mailbox) | Self::Selected(mailbox, _) => Some(mailbox),
        }
    }

    fn view(&self) -> Option<&View> {
        match self {
            Self::Selected(_, view) => Some(view),
            Self::NotAuthenticated | Self::Authenticated(_) | Self::Logout => None,
        }
    }

    fn view_mut(&mut self) -> Option<&mut View> {
        match self {
            Self::Selected(_, view) => Some(view),
            Self::NotAuthenticated | Self::Authenticated(_) | Self::Logout => None,
        }
    }
}

impl Session {
    /// A session that has not greeted yet.
    pub fn new(peer: Peer) -> Self {
        Self {
            peer,
            now: Now { micros: 0, steady_micros: 0, utc_offset_secs: 0 },
            secured: false,
            errors: 0,
            login_tried: false,
            literal_refused: false,
            attempts: 0,
            condstore: false,
            qresync: false,
            rev2: false,
            connection: Connection::NotAuthenticated,
            stage: Stage::Fresh,
            gathered: Gathered::default(),
        }
    }

    /// Who is at the other end, and under which configuration.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Takes what came and appends what follows to `out`, which the caller has cleared.
    pub fn handle(&mut self, input: Input<'_>, now: Now, out: &mut Output) {
        self.now = now;
        match input {
            Input::Connected => self.greet(Reply::Greeting, out),
            Input::Refused(Refusal::StudentSessions) => self.greet(Reply::StudentSessions, out),
            Input::Refused(Refusal::ServerSessions) => self.greet(Reply::ServerSessions, out),
            Input::Refused(Refusal::Evidence) => self.greet(Reply::Evidence, out),
            Input::Line { octets, crlf } => self.line(octets, crlf, out),
            Input::LineTooLong { head, octets } => self.line_too_long(head, octets, out),
            Input::Chunk(piece) => self.literal(piece),
            Input::Done(outcome) => self.done(outcome, out),
            Input::Changed => self.changed(out),
            Input::Secured { .. } => self.secured(),
            Input::Denied { of, reply } => self.denied(of, reply, out),
            Input::Exhausted => self.end(Reply::Evidence, out),
            // IMAP has no message data that ends in a dot: the session never asks for it.
            Input::Data(_) | Input::LoneDot { .. } => {}
            Input::NoRoom => self.give_up(),
            Input::Idle => self.end(Reply::ByeIdle, out),
            Input::Shutdown => self.end(Reply::ByeShutdown, out),
            Input::Ended => self.end(Reply::ByeInstructor, out),
        }
        out.next = match &mut self.stage {
            Stage::Literal { left, .. } => Next::Chunk(*left),
            Stage::Securing => Next::StartTls,
            Stage::Closed => Next::Close,
            Stage::Working(work) => {
                work.0.said.add(&out.reply);
                Next::Line
            }
            Stage::Authenticating(under) => {
                under.0.said.add(&out.reply);
                Next::Line
            }
            Stage::Idling(under) => {
                under.said.add(&out.reply);
                Next::Line
            }
            Stage::Fresh | Stage::Ready => Next::Line,
        };
    }

    fn under(&self, tag: String, verb: Verb, uid: bool, heard: Heard) -> Under {
        Under { tag, verb, uid, heard, before: self.connection.state(), said: Said::default() }
    }

    /// Whether a command may come here, apart from what it says; if not, the refusal.
    fn may_come(&self, head: &Head<'_>) -> Result<Verb, Reply> {
        let verb = head.verb.ok_or(if head.word.is_empty() { Reply::TagAlone } else { Reply::Unknown })?;
        match (verb.rule().place, &self.connection) {
            (Place::Anywhere, _)
            | (Place::NotAuthenticated, Connection::NotAuthenticated)
            | (Place::Authenticated, Connection::Authenticated(_) | Connection::Selected(..))
            | (Place::Selected, Connection::Selected(..)) => Ok(verb),
            (Place::NotAuthenticated, _) => Err(Reply::LoggedInAlready),
            (Place::Authenticated | Place::Selected, Connection::NotAuthenticated) => Err(Reply::NeedLogin),
            (Place::Authenticated | Place::Selected, _) => Err(Reply::NeedFolder),
        }
    }

    /// A whole command.
    fn command(&mut self, gathered: &Gathered, crlf: bool, out: &mut Output) {
        let head = Head::of(&gathered.octets);
        let heard = gathered.heard(self.suspicion());
        // Where any line may be a password, a reply does not repeat its words either.
        let secret = head.verb.is_none() && self.suspicion() == Suspicion::Everything;
        let untagged = !head.tagged || head.verb.is_none() && Verb::named(head.tag).is_some();
        let tag = if untagged || secret { "*".to_owned() } else { String::from_utf8_lossy(head.tag).into_owned() };
        let under = self.under(tag, head.verb.unwrap_or(Verb::Noop), head.uid, heard);
        if untagged {
            let usage = Verb::named(head.tag).unwrap_or(Verb::Capability).rule().usage;
            return self.refuse(under, Reply::NoTag, &[("usage", usage)], out);
        }
        if !crlf && !self.peer.config.leniency.line_feed {
            return self.refuse(under, Reply::LineFeed, &[], out);
        }
        let verb = match self.may_come(&head) {
            Ok(verb) => verb,
            Err(reply) => {
                let user = self.connection.mailbox().map_or(String::new(), Login::to_string);
                let named = under.heard.verb.to_string();
                return self.refuse(under, reply, &[("verb", &named), ("user", &user)], out);
            }
        };
        if gathered.no_room {
            return self.answer(under, Reply::NoRoom, &[], out);
        }
        if gathered.too_large || gathered.octets.len() > MAX_COMMAND && verb != Verb::Append {
            let message = verb == Verb::Append;
            let limit = if message { self.peer.config.limits.message } else { MAX_LITERAL }.to_string();
            let reply = if message { Reply::MessageTooLarge } else { Reply::TooLarge };
            let whole = MAX_COMMAND.to_string();
            return self.refuse(under, reply, &[("limit", &limit), ("whole", &whole)], out);
        }
        let mut cursor = Cursor::new(&gathered.octets[head.arguments..]);
        match command::arguments(verb, head.uid, &mut cursor, self.charset()) {
            Ok(command) => self.obey(under, command, &gathered.octets[head.arguments..], out),
            Err(fault) => {
                let column = (head.arguments + fault.at + 1).to_string();
                let values = [("expected", fault.expected), ("column", column.as_str()), ("usage", verb.rule().usage)];
                self.refuse(under, Reply::Syntax, &values, out);
            }
        }
    }

    /// Carries a command out; `arguments` is what stands behind its verb.
    fn obey(&mut self, under: Under, command: Command, arguments: &[u8], out: &mut Output) {
        match command {
            Command::Capability => {
                let line = format!("* CAPABILITY {}\r\n", self.capabilities());
                out.reply.extend_from_slice(line.as_bytes());
                self.complete(under, out);
            }
            Command::Noop | Command::Check => self.complete(under, out),
            Command::Logout => {
                self.say(Reply::Bye, "*", &[], out);
                self.connection = Connection::Logout;
                self.complete(under, out);
                self.stage = Stage::Closed;
            }
            Command::Id => {
                let line = concat!("* ID (\"name\" \"labctl\" \"version\" \"", env!("CARGO_PKG_VERSION"), "\")\r\n");
                out.reply.extend_from_slice(line.as_bytes());
                self.complete(under, out);
            }
            Command::StartTls => self.start_tls(under, out),
            Command::Authenticate { mechanism, initial } => {
                self.authenticate(under, &mechanism, initial.as_deref(), out);
            }
            Command::Login { name, password } => self.login(under, &name, &password, out),
            Command::Enable(names) => self.enable(under, &names, out),
            Command::Select { name, read_only, parameters } => self.select(under, name, read_only, parameters, out),
            Command::Create(name) => self.on_folder(under, name, |mailbox, name| Ask::Create { mailbox, name }, out),
            Command::Delete(name) => self.on_folder(under, name, |mailbox, name| Ask::Delete { mailbox, name }, out),
            Command::Subscribe { name, on } => {
                self.on_folder(under, name, |mailbox, name| Ask::Subscribe { mailbox, name, on }, out);
            }
            Command::Rename { from, to } => self.rename(under, from, to, out),
            Command::List(list) => self.list(under, list, out),
            Command::Namespace => {
                out.reply.extend_from_slice(b"* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
                self.complete(under, out);
            }
            Command::Status { name, items } => self.status(under, name, items, out),
            Command::Append { name, flags, received_secs, content } => {
                self.append(under, name, flags, received_secs, arguments[content].to_vec(), out);
            }
            Command::Idle => self.idle(under, out),
            Command::Close => self.close(under, out),
            Command::Unselect => {
                self.leave();
                self.complete(under, out);
            }
            Command::Expunge { uids } => self.expunge(under, uids.as_ref(), out),
            Command::Search { criteria, .. } => self.search(under, &criteria, out),
            Command::Fetch { set, items, since, .. } => self.fetch(under, &set, items, since, out),
            Command::Store { set, how, flags, silent, unchanged_since, .. } => {
                self.store(under, &set, changes::Wish { how, flags, silent, unchanged_since }, out);
            }
            Command::Copy { set, to, remove, .. } => self.copy(under, &set, to, remove, out),
        }
    }

    fn enable(&mut self, under: Under, names: &[String], out: &mut Output) {
        let mut line = "* ENABLED".to_owned();
        let mut modseqs = false;
        for name in names {
            match name.as_str() {
                "CONDSTORE" if !self.condstore && !modseqs => {
                    modseqs = true;
                    line.push_str(" CONDSTORE");
                }
                // Modification sequences come with it (RFC 7162 3.2.3).
                "QRESYNC" if !mem::replace(&mut self.qresync, true) => {
                    modseqs = true;
                    line.push_str(" QRESYNC");
                }
                "IMAP4REV2" if !mem::replace(&mut self.rev2, true) => {
                    line.push_str(" IMAP4rev2");
                    if let Some(view) = self.connection.view_mut() {
                        view.forget_recent();
                    }
                }
                // What is on already is not named again, what is not known passed over in silence (RFC 9051 6.3.1).
                _ => {}
            }
        }
        out.reply.extend_from_slice(line.as_bytes());
        out.reply.extend_from_slice(b"\r\n");
        if modseqs {
            self.tell_modseqs(out);
        }
        self.complete(under, out);
    }

    /// Closes the folder.
    fn leave(&mut self) {
        if let Connection::Selected(mailbox, _) = &self.connection {
            self.connection = Connection::Authenticated(mailbox.clone());
        }
    }
}
