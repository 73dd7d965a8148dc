//! Telling the client about its open folder: SELECT's answers, and afterwards what others changed (RFC 9051 6.3.2, 7.4, 7.5).

use std::{io::Write as _, sync::Arc, vec};

use super::{
    Connection, Reply, Session, Stage, Task, Under,
    changes::Storing,
    command::{Name, SelectParameters},
    listing,
    messages::Fetching,
    resync::Resync,
    sequence::{Ranges, ranges},
    syntax::write_number,
    verb::Verb,
    view::View,
};
use crate::{
    mail::folder::{Flags, MAX_KEYWORDS, Row, Snapshot},
    protocol::{Action, Output, WINDOW, folders::Ask, replies::plural},
};

/// The most ranges of UIDs in one VANISHED: a line of a few kilobytes.
const VANISHED_A_LINE: usize = 500;

impl Session {
    pub(super) fn select(
        &mut self,
        under: Under,
        name: Name,
        read_only: bool,
        parameters: SelectParameters,
        out: &mut Output,
    ) {
        let SelectParameters { condstore, resync } = parameters;
        if resync.is_some() && !self.qresync {
            return self.refuse(under, Reply::NeedQresync, &[], out);
        }
        // Whatever becomes of it, the folder that was open is not any more (RFC 9051 6.3.2).
        if self.connection.view().is_some() {
            self.leave();
            out.reply.extend_from_slice(b"* OK [CLOSED] the folder before is closed\r\n");
        }
        if condstore {
            self.tell_modseqs(out);
        }
        let Some(mailbox) = self.connection.mailbox().cloned() else { return };
        let Some((under, name)) = self.named(under, name, out) else { return };
        let task = Task::Select { read_only, name: self.wire_name(&name), resync };
        self.ask(under, task, Ask::Select { mailbox, name, claim: !read_only }, out);
    }

    pub(super) fn selected(
        &mut self,
        under: Under,
        read_only: bool,
        shown: &str,
        resync: Option<&Resync>,
        (snapshot, recent): (Arc<Snapshot>, (u32, u32)),
        out: &mut Output,
    ) {
        let mut view = View::new(snapshot, recent, read_only);
        if self.rev2 {
            view.forget_recent();
        }
        let count = view.rows().len();
        write_keywords(&view, &mut out.reply);
        let _ = write!(out.reply, "* {count} EXISTS\r\n");
        if self.rev2 {
            // RFC 9051 6.3.2: the name as the server writes it.
            let name = listing::quoted_name(&view.snapshot.name, self.charset());
            self.list_line("LIST", &[], &name, out);
        } else {
            let _ = write!(out.reply, "* {} RECENT\r\n", view.tell_recent());
            if let Some(place) = view.rows().iter().position(|row| !row.flags.has(Flags::SEEN)) {
                let _ = write!(out.reply, "* OK [UNSEEN {}] the first message not read\r\n", place + 1);
            }
        }
        let Snapshot { uid_validity, next_uid, modseq, .. } = &*view.snapshot;
        let _ = write!(
            out.reply,
            "* OK [UIDVALIDITY {uid_validity}] UIDs are valid\r\n* OK [UIDNEXT {next_uid}] the next UID\r\n"
        );
        write_modseq(*modseq, &mut out.reply);
        let missed = resync.and_then(|resync| resync.missed(&view));
        if let Connection::Authenticated(mailbox) | Connection::Selected(mailbox, _) = &self.connection {
            self.connection = Connection::Selected(mailbox.clone(), Box::new(view));
        }
        let access = if read_only { "READ-ONLY" } else { "READ-WRITE" };
        let values = [("access", access), ("folder", shown), ("count", &count.to_string()), ("s", plural(count))];
        let Some(missed) = missed else { return self.answer(under, Reply::Selected, &values, out) };
        let mut tagged = Vec::new();
        Reply::Selected.write(&self.peer, &under.tag, &values, &mut tagged);
        self.tell_on(under, missed, Then::Tagged(tagged), out);
    }

    /// From now on modification sequences are told. A client whose folder is open already learns where it stands (RFC 7162 3.1).
    pub(super) fn tell_modseqs(&mut self, out: &mut Output) {
        if !std::mem::replace(&mut self.condstore, true)
            && let Some(view) = self.connection.view()
        {
            write_modseq(view.snapshot.modseq, &mut out.reply);
        }
    }

    /// Tells what changed in the open folder, and goes on with `then`. With `expunge` message numbers may change; the flags of
    /// messages whose UIDs are in `known`, which is in order, are passed over.
    pub(super) fn tell(
        &mut self,
        under: Under,
        newer: Arc<Snapshot>,
        recent: (u32, u32),
        (expunge, known): (bool, &[u32]),
        mut then: Then,
        out: &mut Output,
    ) {
        let (rev2, condstore, qresync) = (self.rev2, self.condstore, self.qresync);
        let Some(view) = self.connection.view_mut() else { return };
        let changes = view.catch_up(newer, expunge);
        if !rev2 {
            view.claim(recent);
        }
        if changes.keywords {
            write_keywords(view, &mut out.reply);
        }
        let recent = if rev2 { None } else { view.tell_recent_after(&changes) };
        // RFC 7162 3.2.7: where the folder stands after that.
        if let Then::Tagged(tagged) = &mut then
            && condstore
            && under.verb == Verb::Expunge
            && !changes.gone.is_empty()
        {
            tagged.clear();
            let (verb, modseq) = (under.heard.verb.to_string(), view.snapshot.modseq.to_string());
            let values = [("verb", verb.as_str()), ("modseq", modseq.as_str())];
            Reply::Expunged.write(&self.peer, &under.tag, &values, tagged);
        }
        // RFC 7162 3.2.10: by UID instead of by number.
        let (expunged, vanished) = if qresync {
            (Vec::new(), changes.gone.into_iter().collect::<Ranges>().iter().collect())
        } else {
            (changes.expunged, Vec::new())
        };
        let rows = view.rows();
        let untold = |place: &usize| known.binary_search(&rows[*place].uid).is_err();
        let telling = Telling {
            vanished: vanished.into_iter(),
            earlier: false,
            expunged: expunged.into_iter(),
            exists: changes.exists,
            recent,
            rows: changes.changed.into_iter().filter(untold).collect::<Vec<_>>().into_iter(),
            told: Told { flags: true, uid: under.uid || rev2 || condstore, modseq: condstore },
        };
        self.tell_on(under, telling, then, out);
    }

    /// Tells as much as goes at once; goes on with `then` when all of it is told.
    pub(super) fn tell_on(&mut self, under: Under, mut telling: Telling, then: Then, out: &mut Output) {
        let Some(view) = self.connection.view() else { return };
        if !telling.write(view, &mut out.reply) {
            return self.wait_for(under, Task::Tell(Box::new((telling, then))), Action::Send, out);
        }
        match then {
            Then::Begin(fetching) => self.begin_fetch(under, fetching, out),
            Then::Fetch(fetching) => self.fetch_on(under, fetching, Vec::new(), out),
            Then::Store(storing) => self.stored(under, storing, out),
            Then::Stored(storing) => self.end_store(under, &storing, out),
            Then::Tagged(tagged) => self.tagged(under, tagged, out),
            Then::Idle => self.stage = Stage::Idling(Box::new(under)),
        }
    }
}

/// What comes when the client has been told what changed.
#[derive(Debug)]
pub(super) enum Then {
    /// A FETCH.
    Begin(Box<Fetching>),
    /// The messages of a FETCH.
    Fetch(Box<Fetching>),
    /// What a STORE itself changed.
    Store(Storing),
    /// The end of a STORE.
    Stored(Storing),
    /// The end of a command, which is written already.
    Tagged(Vec<u8>),
    /// IDLE goes on.
    Idle,
}

/// Lines that the client is still to be told.
#[derive(Debug)]
pub(super) struct Telling {
    /// Ranges of UIDs that are gone (RFC 7162 3.2.10), and whether that is older than this session's view.
    vanished: vec::IntoIter<(u32, u32)>,
    earlier: bool,
    expunged: vec::IntoIter<u32>,
    exists: Option<usize>,
    recent: Option<usize>,
    /// Places of messages.
    rows: vec::IntoIter<usize>,
    /// What is told of each.
    told: Told,
}

impl Telling {
    /// The same of messages at these places, and nothing else.
    pub(super) fn of(places: Vec<usize>, told: Told) -> Self {
        Self { rows: places.into_iter(), told, ..Self::earlier(Vec::new(), Vec::new()) }
    }

    /// What a client that comes back has missed: ranges of UIDs that are gone, and the places of messages that changed.
    pub(super) fn earlier(vanished: Vec<(u32, u32)>, places: Vec<usize>) -> Self {
        Self {
            vanished: vanished.into_iter(),
            earlier: true,
            expunged: Vec::new().into_iter(),
            exists: None,
            recent: None,
            rows: places.into_iter(),
            told: Told { flags: true, uid: true, modseq: true },
        }
    }

    /// Writes as much as goes at once. Whether that is all.
    fn write(&mut self, view: &View, out: &mut Vec<u8>) -> bool {
        while out.len() < WINDOW {
            let vanished: Vec<_> = self.vanished.by_ref().take(VANISHED_A_LINE).collect();
            if !vanished.is_empty() {
                let earlier = if self.earlier { " (EARLIER)" } else { "" };
                let _ = write!(out, "* VANISHED{earlier} {}\r\n", ranges(&vanished));
            } else if let Some(number) = self.expunged.next() {
                let _ = write!(out, "* {number} EXPUNGE\r\n");
            } else if let Some(count) = self.exists.take() {
                let _ = write!(out, "* {count} EXISTS\r\n");
            } else if let Some(recent) = self.recent.take() {
                let _ = write!(out, "* {recent} RECENT\r\n");
            } else if let Some(place) = self.rows.next() {
                write_row(view, place, &view.rows()[place], self.told, out);
            } else {
                return true;
            }
        }
        let numbers = self.vanished.len() + self.expunged.len() + self.rows.len();
        numbers == 0 && self.exists.is_none() && self.recent.is_none()
    }
}

fn write_modseq(modseq: u64, out: &mut Vec<u8>) {
    let _ = write!(out, "* OK [HIGHESTMODSEQ {modseq}] the highest modification sequence\r\n");
}

/// What an answer about a message's flags tells.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub(super) flags: bool,
    pub(super) uid: bool,
    pub(super) modseq: bool,
}

/// Appends `* 3 FETCH (…)` with what is to be told.
pub(super) fn write_row(view: &View, place: usize, row: &Row, told: Told, out: &mut Vec<u8>) {
    write_head(place, out);
    let mut gap = "";
    if told.uid {
        let _ = write!(out, "UID {}", row.uid);
        gap = " ";
    }
    if told.flags {
        let _ = write!(out, "{gap}FLAGS (");
        write_flags(view, row, out);
        out.push(b')');
        gap = " ";
    }
    if told.modseq {
        let _ = write!(out, "{gap}MODSEQ ({})", row.modseq);
    }
    out.extend_from_slice(b")\r\n");
}

/// Appends the flags of a message, `\Recent` among them, without brackets.
pub(super) fn write_flags(view: &View, row: &Row, out: &mut Vec<u8>) {
    let start = out.len();
    let recent = view.is_recent(row.uid).then_some("\\Recent");
    for name in row.flags.names(&view.snapshot.keywords).chain(recent) {
        if out.len() > start {
            out.push(b' ');
        }
        out.extend_from_slice(name.as_bytes());
    }
}

/// Appends the beginning of what is said of the message at a place.
pub(super) fn write_head(place: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"* ");
    write_number(place as u64 + 1, out);
    out.extend_from_slice(b" FETCH (");
}

/// Appends the flags that the folder knows, and those that the client can change.
fn write_keywords(view: &View, out: &mut Vec<u8>) {
    let system = Flags::SYSTEM.map(|(name, _)| name).join(" ");
    let keywords = view.snapshot.keywords.iter().fold(String::new(), |all, name| all + " " + name);
    let _ = write!(out, "* FLAGS ({system}{keywords})\r\n");
    let more = if view.snapshot.keywords.len() < MAX_KEYWORDS { " \\*" } else { "" };
    let _ = if view.read_only {
        write!(out, "* OK [PERMANENTFLAGS ()] nothing can be changed\r\n")
    } else {
        write!(out, "* OK [PERMANENTFLAGS ({system}{keywords}{more})] these can be changed\r\n")
    };
}
