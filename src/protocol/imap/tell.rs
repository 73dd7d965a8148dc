//! Telling the client about its open folder: SELECT's answers, and afterwards what others changed (RFC 9051 6.3.2, 7.4, 7.5).

use std::{io::Write as _, sync::Arc, vec};

use super::{
    Connection, Reply, Session, Stage, Task, Under, changes::Storing, command::Name, listing, messages::Fetching,
    syntax::write_number, view::View,
};
use crate::{
    mail::folder::{Flags, MAX_KEYWORDS, Row, Snapshot},
    protocol::{Action, Output, WINDOW, folders::Ask, replies::plural},
};

impl Session {
    pub(super) fn select(&mut self, under: Under, name: Name, read_only: bool, condstore: bool, out: &mut Output) {
        // Whatever becomes of it, the folder that was open is not any more (RFC 9051 6.3.2).
        if self.connection.view().is_some() {
            self.leave();
            out.reply.extend_from_slice(b"* OK [CLOSED] the folder before is closed\r\n");
        }
        self.condstore |= condstore;
        let Some(mailbox) = self.connection.mailbox().cloned() else { return };
        let Some((under, name)) = self.named(under, name, out) else { return };
        let task = Task::Select { read_only, name: self.wire_name(&name) };
        self.ask(under, task, Ask::Select { mailbox, name, claim: !read_only }, out);
    }

    pub(super) fn selected(
        &mut self,
        under: Under,
        read_only: bool,
        shown: &str,
        snapshot: Arc<Snapshot>,
        recent: (u32, u32),
        out: &mut Output,
    ) {
        let view = View::new(snapshot, recent, read_only);
        let count = view.rows().len();
        write_keywords(&view, &mut out.reply);
        let _ = write!(out.reply, "* {count} EXISTS\r\n");
        if self.rev2 {
            // RFC 9051 6.3.2: the name as the server writes it.
            let name = listing::quoted_name(&view.snapshot.name, self.charset());
            self.list_line("LIST", &[], &name, out);
        } else {
            let _ = write!(out.reply, "* {} RECENT\r\n", view.recent_count());
            if let Some(place) = view.rows().iter().position(|row| !row.flags.has(Flags::SEEN)) {
                let _ = write!(out.reply, "* OK [UNSEEN {}] the first message not read\r\n", place + 1);
            }
        }
        let Snapshot { uid_validity, next_uid, modseq, .. } = &*view.snapshot;
        let _ = write!(
            out.reply,
            "* OK [UIDVALIDITY {uid_validity}] UIDs are valid\r\n* OK [UIDNEXT {next_uid}] the next UID\r\n\
             * OK [HIGHESTMODSEQ {modseq}] the highest modification sequence\r\n"
        );
        if let Connection::Authenticated(mailbox) | Connection::Selected(mailbox, _) = &self.connection {
            self.connection = Connection::Selected(mailbox.clone(), Box::new(view));
        }
        let access = if read_only { "READ-ONLY" } else { "READ-WRITE" };
        let values = [("access", access), ("folder", shown), ("count", &count.to_string()), ("s", plural(count))];
        self.answer(under, Reply::Selected, &values, out);
    }

    /// Tells what changed in the open folder, and goes on with `then`. With `expunge` message numbers may change; the flags of
    /// messages whose UIDs are in `known`, which is in order, are passed over.
    pub(super) fn tell(
        &mut self,
        under: Under,
        newer: Arc<Snapshot>,
        recent: (u32, u32),
        (expunge, known): (bool, &[u32]),
        then: Then,
        out: &mut Output,
    ) {
        let (rev2, condstore) = (self.rev2, self.condstore);
        let Some(view) = self.connection.view_mut() else { return };
        let changes = view.catch_up(newer, expunge);
        view.claim(recent);
        if changes.keywords {
            write_keywords(view, &mut out.reply);
        }
        let rows = view.rows();
        let untold = |place: &usize| known.binary_search(&rows[*place].uid).is_err();
        let telling = Telling {
            expunged: changes.expunged.into_iter(),
            exists: changes.exists,
            rows: changes.changed.into_iter().filter(untold).collect::<Vec<_>>().into_iter(),
            told: Told { flags: true, uid: under.uid || rev2 || condstore, modseq: condstore },
        };
        self.tell_on(under, telling, then, out);
    }

    /// Tells as much as goes at once; goes on with `then` when all of it is told.
    pub(super) fn tell_on(&mut self, under: Under, mut telling: Telling, then: Then, out: &mut Output) {
        let Some(view) = self.connection.view() else { return };
        if !telling.write(view, self.rev2, &mut out.reply) {
            return self.wait_for(under, Task::Tell(Box::new((telling, then))), Action::Send, out);
        }
        match then {
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
    expunged: vec::IntoIter<u32>,
    exists: Option<usize>,
    /// Places of messages.
    rows: vec::IntoIter<usize>,
    /// What is told of each.
    told: Told,
}

impl Telling {
    /// The same of messages at these places, and nothing else.
    pub(super) fn of(places: Vec<usize>, told: Told) -> Self {
        Self { expunged: Vec::new().into_iter(), exists: None, rows: places.into_iter(), told }
    }

    /// Writes as much as goes at once. Whether that is all.
    fn write(&mut self, view: &View, rev2: bool, out: &mut Vec<u8>) -> bool {
        while out.len() < WINDOW {
            if let Some(number) = self.expunged.next() {
                let _ = write!(out, "* {number} EXPUNGE\r\n");
            } else if let Some(count) = self.exists.take() {
                let _ = write!(out, "* {count} EXISTS\r\n");
                if !rev2 {
                    let _ = write!(out, "* {} RECENT\r\n", view.recent_count());
                }
            } else if let Some(place) = self.rows.next() {
                write_row(view, place, &view.rows()[place], self.told, out);
            } else {
                return true;
            }
        }
        self.expunged.len() == 0 && self.exists.is_none() && self.rows.len() == 0
    }
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
