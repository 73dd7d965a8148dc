//! Telling the client about its open folder: SELECT's answers, and afterwards what others changed (RFC 9051 6.3.2, 7.4, 7.5).

use std::{io::Write as _, sync::Arc};

use super::{
    Connection, Reply, Session, Task, Under,
    command::{Name, SelectParameters},
    listing,
    resync::Resync,
    sequence::written,
    view::View,
};
use crate::{
    mail::folder::{Flags, MAX_KEYWORDS, Row, Snapshot},
    protocol::{Output, folders::Ask, replies::plural},
};

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
        if let Some(resync) = resync {
            resync.write(&view, &mut out.reply);
        }
        if let Connection::Authenticated(mailbox) | Connection::Selected(mailbox, _) = &self.connection {
            self.connection = Connection::Selected(mailbox.clone(), Box::new(view));
        }
        let access = if read_only { "READ-ONLY" } else { "READ-WRITE" };
        let values = [("access", access), ("folder", shown), ("count", &count.to_string()), ("s", plural(count))];
        self.answer(under, Reply::Selected, &values, out);
    }

    /// From now on modification sequences are told. A client whose folder is open already learns where it stands (RFC 7162 3.1).
    pub(super) fn tell_modseqs(&mut self, out: &mut Output) {
        if !std::mem::replace(&mut self.condstore, true)
            && let Some(view) = self.connection.view()
        {
            write_modseq(view.snapshot.modseq, &mut out.reply);
        }
    }

    /// Tells what changed in the open folder, and says whether messages were deleted.
    pub(super) fn tell(
        &mut self,
        newer: Arc<Snapshot>,
        recent: (u32, u32),
        expunge: bool,
        uid: bool,
        out: &mut Output,
    ) -> bool {
        self.tell_but(newer, recent, expunge, uid, &[], out)
    }

    /// The same, passing over the flags of messages whose UIDs are in `known`, which is in order.
    pub(super) fn tell_but(
        &mut self,
        newer: Arc<Snapshot>,
        recent: (u32, u32),
        expunge: bool,
        uid: bool,
        known: &[u32],
        out: &mut Output,
    ) -> bool {
        let (rev2, condstore, qresync) = (self.rev2, self.condstore, self.qresync);
        let Some(view) = self.connection.view_mut() else { return false };
        let changes = view.catch_up(newer, expunge);
        if !rev2 {
            view.claim(recent);
        }
        if changes.keywords {
            write_keywords(view, &mut out.reply);
        }
        if qresync && !changes.gone.is_empty() {
            let _ = write!(out.reply, "* VANISHED {}\r\n", written(changes.gone.iter().copied()));
        } else {
            for number in &changes.expunged {
                let _ = write!(out.reply, "* {number} EXPUNGE\r\n");
            }
        }
        if let Some(count) = changes.exists {
            let _ = write!(out.reply, "* {count} EXISTS\r\n");
        }
        if !rev2 && let Some(recent) = view.tell_recent_after(&changes) {
            let _ = write!(out.reply, "* {recent} RECENT\r\n");
        }
        for place in changes.changed {
            let row = view.rows()[place];
            if known.binary_search(&row.uid).is_err() {
                let told = Told { flags: true, uid: uid || rev2 || condstore, modseq: condstore };
                write_row(view, place, &row, told, &mut out.reply);
            }
        }
        !changes.gone.is_empty()
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
    let _ = write!(out, "* {} FETCH (", place + 1);
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
    let mut gap = "";
    let recent = view.is_recent(row.uid).then_some("\\Recent");
    for name in row.flags.names(&view.snapshot.keywords).chain(recent) {
        let _ = write!(out, "{gap}{name}");
        gap = " ";
    }
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
