//! Commands about folders as a whole: CREATE, DELETE, RENAME, SUBSCRIBE, STATUS (RFC 9051 6.3.4 to 6.3.8, 6.3.11).

use std::{borrow::Cow, fmt::Write as _};

use super::{
    Session, Task, Under,
    command::{Name, StatusItem},
    listing,
    name::{Charset, encoded},
    reply::Reply,
};
use crate::{
    lab::Login,
    mail::folder::FolderName,
    protocol::{
        Output,
        folders::{Ask, Standing},
    },
};

impl Session {
    /// The folder that a command names; the refusal is written where the name can be none.
    pub(super) fn named(&mut self, under: Under, name: Name, out: &mut Output) -> Option<(Under, FolderName)> {
        match name {
            Ok(name) => Some((under, name)),
            Err(why) => {
                self.refuse(under, Reply::BadName, &[("why", &why)], out);
                None
            }
        }
    }

    /// A name as replies show it.
    pub(super) fn wire_name(&self, name: &FolderName) -> String {
        encoded(name.as_str(), self.charset()).into_owned()
    }

    /// Something done with one folder.
    pub(super) fn on_folder(
        &mut self,
        under: Under,
        name: Name,
        ask: impl FnOnce(Login, FolderName) -> Ask,
        out: &mut Output,
    ) {
        let Some(mailbox) = self.connection.mailbox().cloned() else { return };
        let Some((under, name)) = self.named(under, name, out) else { return };
        let shown = self.wire_name(&name);
        self.ask(under, Task::Plain(shown), ask(mailbox, name), out);
    }

    pub(super) fn rename(&mut self, under: Under, from: Name, to: Name, out: &mut Output) {
        let Some(mailbox) = self.connection.mailbox().cloned() else { return };
        let Some((under, to)) = self.named(under, to, out) else { return };
        let Some((under, from)) = self.named(under, from, out) else { return };
        let task = Task::Rename { from: self.wire_name(&from), to: self.wire_name(&to) };
        self.ask(under, task, Ask::Rename { mailbox, from, to }, out);
    }

    pub(super) fn status(&mut self, under: Under, name: Name, items: Vec<StatusItem>, out: &mut Output) {
        let Some(mailbox) = self.connection.mailbox().cloned() else { return };
        let Some((under, name)) = self.named(under, name, out) else { return };
        if items.contains(&StatusItem::HighestModSeq) {
            self.tell_modseqs(out);
        }
        let shown = listing::quoted_name(&name, self.charset()).into_owned();
        self.ask(under, Task::Status(items, shown), Ask::Status { mailbox, name }, out);
    }

    /// Goes on after [`Ask::Status`].
    pub(super) fn standing(
        &mut self,
        under: Under,
        items: &[StatusItem],
        shown: &str,
        standing: &Standing,
        out: &mut Output,
    ) {
        out.reply.extend_from_slice(status_line(shown, items, standing).as_bytes());
        self.complete(under, out);
    }
}

/// `* STATUS folder (…)`.
pub(super) fn status_line(shown: &str, items: &[StatusItem], standing: &Standing) -> String {
    let mut line = format!("* STATUS {shown} (");
    for (place, item) in items.iter().enumerate() {
        let value = match item {
            StatusItem::Messages => standing.messages,
            StatusItem::Recent => standing.recent,
            StatusItem::UidNext => u64::from(standing.next_uid),
            StatusItem::UidValidity => u64::from(standing.uid_validity),
            StatusItem::Unseen => standing.unseen,
            StatusItem::Deleted => standing.deleted,
            StatusItem::Size => standing.octets,
            StatusItem::HighestModSeq => standing.modseq,
        };
        let gap = if place == 0 { "" } else { " " };
        let _ = write!(line, "{gap}{} {value}", item.name());
    }
    line.push_str(")\r\n");
    line
}

/// A name as an astring, quoted where it must be.
pub(super) fn astring(name: &FolderName, charset: Charset) -> Cow<'static, str> {
    let name = encoded(name.as_str(), charset);
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+&,#$@!".contains(letter);
    if name.chars().all(plain) && !name.eq_ignore_ascii_case("NIL") {
        return name.into_owned().into();
    }
    let mut quoted = Vec::with_capacity(name.len() + 2);
    super::syntax::write_quoted(name.as_bytes(), &mut quoted);
    String::from_utf8(quoted).expect("quotes added to a text").into()
}
