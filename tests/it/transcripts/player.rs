//! Plays a script against a session: what a driver does, without sockets.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use labctl::{
    evidence::{EventKind, State, TlsVersion, Who},
    lab::{Login, Protocol, Service},
    mail::folder::FolderName,
    protocol::{
        Action, Input, Next, Now, Outcome, Output, Peer, Refusal, dialect,
        folders::Ask,
        imap,
        line::{Framer, Limits},
        pop3, smtp,
    },
    store::MailboxLock,
};
use tokio::sync::watch;

use super::{
    folders::Folders,
    script::{Line, Script, Settings, Step},
    store::Store,
};

/// How the octets come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Each step for itself.
    Lines,
    /// So many octets for themselves.
    Cut(usize),
    /// Everything that is sent in a row in one piece.
    Pieces,
}

/// A handshake went well.
const SECURED: Input<'static> = Input::Secured { version: TlsVersion::V13, cipher: "TLS_AES_128_GCM_SHA256" };

type Session = Box<dyn FnMut(Input<'_>, Now, &mut Output)>;

struct Player {
    session: Session,
    /// The store of an IMAP session, which another session shares.
    folders: Option<Rc<RefCell<Folders>>>,
    watched: Option<watch::Receiver<u64>>,
    /// The other session, whose replies are not shown.
    other: Option<Box<Player>>,
    pop3: Vec<MailboxLock>,
    framer: Option<Framer>,
    store: Store,
    now: Now,
    next: Next,
    show_mail: bool,
    replies: Vec<u8>,
    seen: Vec<String>,
}

/// What is seen at the greeting and after each step (with [`Manner::Pieces`]: at the last of each row of sends).
pub fn play(protocol: Protocol, script: &Script, manner: Manner) -> Vec<Vec<String>> {
    let settings = &script.settings;
    let mut player = Player::new(protocol, settings);
    let idle_secs = match protocol {
        Protocol::Smtp => settings.config.limits.smtp_idle_secs,
        Protocol::Pop3 => settings.config.limits.pop3_idle_secs,
        Protocol::Imap => settings.config.limits.imap_idle_secs,
        Protocol::Dns => unreachable!("no transcripts"),
    };
    if settings.service.is_some_and(Service::implicit_tls) {
        player.give(SECURED);
    }
    player.give(match settings.refuse.as_deref() {
        None => Input::Connected,
        Some("student") => Input::Refused(Refusal::StudentSessions),
        Some(_) => Input::Refused(Refusal::ServerSessions),
    });
    let mut steps = vec![player.take_seen()];
    let mut waiting = Vec::new();
    for line in &script.lines {
        let Line::Step(_, step) = line else { continue };
        if !matches!(step, Step::Send(_)) {
            player.receive(&std::mem::take(&mut waiting));
        }
        match step {
            Step::Send(octets) => match manner {
                Manner::Lines => player.receive(octets),
                Manner::Cut(length) => octets.chunks(length).for_each(|piece| player.receive(piece)),
                Manner::Pieces => waiting.extend_from_slice(octets),
            },
            Step::Later(seconds) => {
                player.now.micros += i64::try_from(*seconds).expect("small") * 1_000_000;
                if *seconds >= idle_secs {
                    player.give(Input::Idle);
                }
            }
            Step::Secured => player.secured(),
            Step::Close => player.next = Next::Close,
            Step::Shutdown => player.give(Input::Shutdown),
            Step::Store(works) => {
                player.store.works = *works;
                if let Some(folders) = &player.folders {
                    folders.borrow_mut().works = *works;
                }
            }
            Step::Other(octets) => player.other(octets, settings),
            Step::Mail(mailbox, message) => player.mail(mailbox, message),
            Step::Pop3(mailbox) => player.pop3(mailbox.as_ref()),
        }
        steps.push(player.take_seen());
    }
    player.receive(&waiting);
    if manner == Manner::Pieces {
        steps.push(player.take_seen());
    }
    steps
}

/// What was seen without its steps: replies in order, then evidence in order, then stored messages.
pub fn by_kind(steps: &[Vec<String>]) -> String {
    let mut text = String::new();
    for kind in ["S: ", "E: ", "M: "] {
        for line in steps.iter().flatten().filter(|line| line.starts_with(kind)) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

fn session(protocol: Protocol, peer: Peer) -> (Session, Limits) {
    match protocol {
        Protocol::Smtp => {
            let limits = smtp::framing(&peer);
            let mut session = smtp::Session::new(peer);
            (Box::new(move |input, now, out| session.handle(input, now, out)), limits)
        }
        Protocol::Imap => {
            let limits = imap::framing(&peer);
            let mut session = imap::Session::new(peer);
            (Box::new(move |input, now, out| session.handle(input, now, out)), limits)
        }
        Protocol::Dns => unreachable!("no transcripts"),
        Protocol::Pop3 => {
            let limits = pop3::framing(&peer);
            let mut session = pop3::Session::new(peer);
            (Box::new(move |input, now, out| session.handle(input, now, out)), limits)
        }
    }
}

impl Player {
    fn new(protocol: Protocol, settings: &Settings) -> Self {
        let config = Arc::new(settings.config.clone());
        let peer = Peer {
            dialect: dialect::named(&config.dialect).expect("a dialect"),
            service: settings.service.unwrap_or(match protocol {
                Protocol::Smtp => Service::Smtp,
                Protocol::Pop3 => Service::Pop3,
                Protocol::Imap => Service::Imap,
                Protocol::Dns => Service::Domain,
            }),
            remote: Some(settings.peer),
            local: Some(settings.local),
            name: settings.name.clone(),
            who: settings.who.clone(),
            seed: settings.seed,
            config,
        };
        let (session, limits) = session(protocol, peer);
        let mut store = Store::new(settings.config.limits.mailbox);
        store.queued.clone_from(&settings.queued);
        store.queue = settings.config.relaying.patience.recipients;
        for (mailbox, message) in &settings.mail {
            store.add(std::slice::from_ref(mailbox), message.clone());
        }
        store.locked.extend(settings.locked.iter().cloned());
        let real = || Rc::new(RefCell::new(Folders::new(&settings.mail, settings.now)));
        Self {
            session,
            folders: (protocol == Protocol::Imap).then(real),
            watched: None,
            other: None,
            pop3: Vec::new(),
            framer: Some(Framer::new(limits)),
            store,
            now: settings.now,
            next: Next::Line,
            show_mail: settings.show_mail,
            replies: Vec::new(),
            seen: Vec::new(),
        }
    }

    fn receive(&mut self, octets: &[u8]) {
        let Some(mut framer) = self.framer.take() else { return };
        framer.feed(octets);
        while let Some(input) = framer.next(self.next) {
            self.give(input);
        }
        self.framer = Some(framer);
    }

    /// The handshake after STARTTLS: what came behind it in the clear is gone.
    fn secured(&mut self) {
        assert_eq!(self.next, Next::StartTls, "nobody asked for a handshake");
        if let Some(framer) = &mut self.framer {
            framer.clear();
        }
        self.give(SECURED);
    }

    fn give(&mut self, input: Input<'_>) {
        let mut input = input;
        loop {
            let mut out = Output::default();
            (self.session)(input, self.now, &mut out);
            self.replies.extend_from_slice(&out.reply);
            self.next = out.next;
            if let Some(Who::Student { login, by }) = &out.who {
                self.seen.push(format!("E: who {login} {by:?}"));
            }
            let events = out.events.iter().map(describe);
            let Some(action) = out.action else {
                self.seen.extend(events);
                return;
            };
            let action = match action {
                Action::Folders(ask) => {
                    self.seen.extend(events);
                    let (outcome, events) = self.on_folders(*ask);
                    self.seen.extend(events.iter().map(describe));
                    input = Input::Done(outcome);
                    continue;
                }
                Action::Read { message, from, most } if self.folders.is_some() => {
                    self.seen.extend(events);
                    let folders = Rc::clone(self.folders.as_ref().expect("an IMAP session"));
                    input = Input::Done(folders.borrow().octets(message, from, most));
                    continue;
                }
                action => action,
            };
            // What is committed together fails together.
            let together = matches!(action, Action::Deliver(_) | Action::Expunge { .. });
            let before = self.store.messages.len();
            let (outcome, event) = self.store.perform(action);
            if outcome != Outcome::Failed || !together {
                self.seen.extend(events);
            }
            self.seen.extend(event.iter().map(describe));
            if self.show_mail && outcome == Outcome::Stored {
                self.seen.extend(self.store.extras.iter().map(|line| format!("M: ({line})")));
                for message in &self.store.messages[before..] {
                    self.seen.extend(lines(message).map(|line| format!("M: {line}")));
                }
            }
            input = Input::Done(outcome);
        }
    }

    fn on_folders(&mut self, ask: Ask) -> (Outcome, Vec<EventKind>) {
        let folders = Rc::clone(self.folders.as_ref().expect("an IMAP session"));
        if let Ask::Watch { folder } = &ask {
            self.watched = folder.map(|folder| folders.borrow().watch(folder));
        }
        folders.borrow_mut().perform(ask, self.now)
    }

    /// Another session of the same mailbox does something. Its replies are not shown.
    fn other(&mut self, octets: &[u8], settings: &Settings) {
        let mut other = self.other.take().unwrap_or_else(|| {
            let mut other = Box::new(Self::new(Protocol::Imap, settings));
            other.folders.clone_from(&self.folders);
            other.give(Input::Connected);
            other
        });
        other.now = self.now;
        other.receive(octets);
        self.other = Some(other);
        self.tell_changes();
    }

    /// Mail comes in while the session goes on.
    fn mail(&mut self, mailbox: &Login, message: &[u8]) {
        let folders = Rc::clone(self.folders.as_ref().expect("an IMAP session"));
        folders.borrow_mut().deliver(mailbox, message.to_vec(), self.now);
        self.tell_changes();
    }

    /// A POP3 session takes the maildrop, or gives back what it took.
    fn pop3(&mut self, mailbox: Option<&Login>) {
        self.pop3.clear();
        let folders = Rc::clone(self.folders.as_ref().expect("an IMAP session"));
        self.pop3.extend(mailbox.and_then(|mailbox| folders.borrow().lock(mailbox)));
    }

    fn tell_changes(&mut self) {
        if self.watched.as_mut().is_some_and(|watched| watched.has_changed().unwrap_or(false)) {
            self.watched.as_mut().map(watch::Receiver::mark_unchanged);
            self.give(Input::Changed);
        }
    }

    fn take_seen(&mut self) -> Vec<String> {
        let replies = std::mem::take(&mut self.replies);
        let said = lines(&replies).map(|line| format!("S: {line}"));
        said.chain(std::mem::take(&mut self.seen)).collect()
    }
}

/// The lines of `octets`, control characters escaped; what has no CRLF at its end shows it.
fn lines(octets: &[u8]) -> impl Iterator<Item = String> {
    let text = String::from_utf8_lossy(octets).into_owned();
    let lines: Vec<String> = text
        .split_inclusive("\r\n")
        .map(|line| {
            let (line, open) = line.strip_suffix("\r\n").map_or((line, "(no CRLF)"), |line| (line, ""));
            let escaped = line.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() });
            escaped.chain([open.to_owned()]).collect()
        })
        .collect();
    lines.into_iter()
}

fn describe(event: &EventKind) -> String {
    match event {
        EventKind::Connected { service, reply, .. } => format!("E: connected {service} {}", code(reply)),
        EventKind::Command { verb, line, reply, before, after, .. } => {
            let states = if before == after { before.to_string() } else { format!("{before}>{after}") };
            let masked = if line.contains("***") || line.ends_with('…') { format!(" {line}") } else { String::new() };
            let imap = [State::NotAuthenticated, State::Authenticated, State::Selected, State::Logout].contains(before);
            format!("E: {verb} {} {states}{masked}", if imap { status(reply) } else { code(reply) })
        }
        EventKind::LoggedIn { mailbox, mechanism } => format!("E: logged_in {mailbox} {mechanism}"),
        EventKind::LoginFailed { mailbox, mechanism } => format!("E: login_failed {mailbox} {mechanism}"),
        EventKind::Accepted { from, recipients, delivered, octets, .. } => {
            let boxes: Vec<String> = delivered.iter().map(|d| format!("{}/{}", d.mailbox, d.uid.0)).collect();
            format!("E: accepted <{from}> to {} in {} octets={octets}", recipients.join(","), boxes.join(","))
        }
        EventKind::Retrieved { mailbox, uid, top, folder, .. } => {
            let top = top.map(|lines| format!(" top={lines}")).unwrap_or_default();
            format!("E: retrieved {}/{}{top}", place(mailbox, folder), uid.0)
        }
        EventKind::Deleted { mailbox, uid, folder, .. } => {
            format!("E: deleted {}/{}", place(mailbox, folder), uid.0)
        }
        EventKind::Appended { mailbox, folder, uid, flags, octets, .. } => {
            format!("E: appended {}/{} ({flags}) octets={octets}", place(mailbox, folder), uid.0)
        }
        EventKind::Copied { mailbox, from, to, copies, moved } => {
            let copies: Vec<String> = copies.iter().map(|copy| format!("{}>{}", copy.uid.0, copy.copy.0)).collect();
            let done = if *moved { "moved" } else { "copied" };
            format!("E: {done} {mailbox}/{from} to {to} {}", copies.join(","))
        }
        EventKind::Flagged { mailbox, folder, uids, change, flags } => {
            format!("E: flagged {mailbox}/{folder} {uids} {change:?} ({flags})")
        }
        EventKind::Folder { mailbox, folder, change } => format!("E: folder {mailbox}/{folder} {change:?}"),
        EventKind::LoneDot { line } => format!("E: lone_dot line={line}"),
        EventKind::Queued { recipients, .. } => format!("E: queued {}", recipients.join(",")),
        EventKind::Relayed { .. }
        | EventKind::Deferred { .. }
        | EventKind::Bounced { .. }
        | EventKind::Query { .. }
        | EventKind::Disconnected { .. }
        | EventKind::Secured { .. }
        | EventKind::HandshakeFailed { .. }
        | EventKind::Discarded { .. }
        | EventKind::Fault { .. }
        | EventKind::FaultSet { .. }
        | EventKind::FaultCleared { .. }
        | EventKind::Reset { .. }
        | EventKind::Repeated { .. }
        | EventKind::Limited { .. }
        | EventKind::Exhausted { .. }
        | EventKind::Compacted { .. }
        | EventKind::Started { .. }
        | EventKind::Damaged { .. } => panic!("no session says {event:?}"),
    }
}

/// A mailbox, and its folder where that is not INBOX.
fn place(mailbox: &Login, folder: &FolderName) -> String {
    if folder.is_inbox() { mailbox.to_string() } else { format!("{mailbox}/{folder}") }
}

/// OK, NO or BAD of the tagged line, which comes last; `+` where the client was asked for more.
fn status(reply: &str) -> &str {
    let mut words = reply.trim_end().rsplit('\n').next().unwrap_or_default().split(' ');
    let tag = words.next().unwrap_or_default();
    if tag == "+" { tag } else { words.next().unwrap_or(tag) }
}

fn code(reply: &str) -> &str {
    let end = reply.bytes().skip(1).position(|octet| matches!(octet, b' ' | b'-' | b'\r'));
    end.map_or(reply, |end| &reply[..=end])
}
