//! Retrieved and deleted checks: what the student took out of mailboxes. Only whole messages count as retrieved.

use super::{Deed, Kind, Setup, View, Which, Written};
use crate::{
    evidence::{MessageId, State},
    findings::{Code, Fields, Findings, Known, Section, mailbox},
    lab::{Login, Protocol, template::Person},
    mail::folder::FolderName,
    marking::{
        checks::filed::folder,
        folders::place,
        progress::{Here, Progress},
    },
    words::{Phrase, joined, phrase, quoted},
};

pub(super) const NAMES: &[&str] = &["retrieved", "deleted"];
pub(super) const KEYS: &[&str] = NAMES;
pub(super) const TABLES: &[&Section] = &[&TABLE];

static TABLE: Section =
    Section { name: "`retrieved = { … }` or `deleted = { … }`", keys: &["mail", "own", "notice", "in", "folder", "via"] };

/// A message that is to be retrieved or deleted, as the lab wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What is to be done with it.
    pub touch: Touch,
    /// Which message.
    pub what: Which,
    /// The mailbox it was in; a template (`{login}` is the student's own).
    pub mailbox: Option<String>,
    /// The folder of the mailbox it was in.
    pub folder: Option<FolderName>,
    /// The protocol.
    pub via: Option<Protocol>,
}

/// A retrieved or deleted check, compiled.
#[derive(Debug)]
pub struct Rule {
    written: Check,
    /// Where, for each student.
    mailbox: Option<Box<[String]>>,
}

/// What was done with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Touch {
    /// It was sent to the client.
    Retrieved,
    /// It was deleted.
    Deleted,
}

/// A message that a student touched.
#[derive(Debug, Clone, Copy)]
pub struct Touching<'a> {
    /// What was done.
    pub touch: Touch,
    /// The message.
    pub message: MessageId,
    /// The mailbox it was in.
    pub mailbox: &'a Login,
    /// The folder of it.
    pub folder: &'a FolderName,
    /// Whether only its beginning was sent.
    pub top: bool,
    /// Whether it went to another folder.
    pub moved: bool,
}

/// Why a message does not count; what is nearer to counting comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Miss {
    /// It was touched over another protocol.
    Protocol,
    /// It was in another mailbox.
    Mailbox,
    /// It was in another folder.
    Folder,
    /// Another mail was wanted, or one that the student delivered.
    Message,
    /// Only its beginning was sent (POP3 TOP).
    Top,
}

impl Check {
    /// Reads one of these.
    pub fn read(name: &'static str, fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let fields = &fields.get(name)?.table(&TABLE, findings)?;
        let via = [Protocol::Pop3, Protocol::Imap].map(|protocol| (protocol.as_str(), protocol));
        let via = fields.get("via").and_then(|field| field.choice(&via, findings));
        let folder = folder(fields, findings);
        if let Some(field) = fields.get("folder").filter(|_| via == Some(Protocol::Pop3))
            && folder.as_ref().is_some_and(|folder| !folder.is_inbox())
        {
            let problem = findings.lab(Code::BadCheck, &field.span, "POP3 knows the folder INBOX only");
            problem.help("write `via = \"imap\"`, or leave the folder out");
        }
        if let ("deleted", Some((mail, span))) = (name, fields.text("mail", findings))
            && known.shared_mails.contains(mail)
            && known.in_company
        {
            let message = format!("mail `{mail}` is one for the whole group: only the first student can delete it");
            let problem = findings.lab(Code::NoEffect, &span, message);
            problem.help("give each student an own copy: `to = \"{login}\"`");
        }
        let touch = if name == "deleted" { Touch::Deleted } else { Touch::Retrieved };
        let what = notice(fields, known, findings).unwrap_or_else(|| Which::read(fields, known, findings));
        Some(Self { touch, what, mailbox: mailbox(fields, "in", known, findings), folder, via })
    }

    /// Compiles it.
    pub fn compile(&self, _: usize, _: Option<usize>, setup: &mut Setup<'_>) -> Rule {
        setup.asks_own |= self.what == Which::Own;
        setup.asks_fate |= self.what == Which::Notice;
        let filled = |template: &String| setup.people.iter().map(|person| person.fill(template)).collect();
        Rule { written: self.clone(), mailbox: self.mailbox.as_ref().map(filled) }
    }
}

/// Reads `notice`.
fn notice(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Which> {
    let field = fields.get("notice")?;
    field.boolean(findings).filter(|notice| *notice)?;
    if let Some(other) = ["mail", "own"].iter().find_map(|key| fields.get(key)) {
        let problem = findings.lab(Code::BadCheck, &other.key_span, "a notice is neither the lab's mail nor the student's");
        problem.help("keep `notice` alone");
    }
    if !known.settings.relay {
        let problem = findings.lab(Code::BadCheck, &field.key_span, "nothing comes back in this lab");
        problem.help("add `relay = true`");
    }
    Some(Which::Notice)
}

impl Written for Check {
    fn wanted(&self, person: &Person<'_>) -> Phrase {
        let wanted = match (self.touch, self.via) {
            (Touch::Retrieved, Some(Protocol::Imap)) => phrase("retrieve-imap"),
            (Touch::Retrieved, Some(Protocol::Pop3)) => phrase("retrieve-pop3"),
            (Touch::Retrieved, Some(Protocol::Smtp | Protocol::Dns) | None) => phrase("retrieve"),
            (Touch::Deleted, Some(Protocol::Imap)) => phrase("delete-imap"),
            (Touch::Deleted, Some(Protocol::Pop3)) => phrase("delete-pop3"),
            (Touch::Deleted, Some(Protocol::Smtp | Protocol::Dns) | None) => phrase("delete"),
        };
        let mailbox = self.mailbox.as_ref().map(|mailbox| phrase("from-mailbox").with("mailbox", quoted(person.fill(mailbox))));
        let folder = self.folder.as_ref().map(|folder| phrase("in-folder").with("folder", quoted(folder.as_str())));
        wanted.with("what", self.what.said(person)).with("where", joined([mailbox, folder].into_iter().flatten()))
    }
}

impl Kind for Rule {
    fn take(&self, deed: &mut Deed<'_, '_>, view: &View<'_>, here: &Here, own: &mut Progress) {
        let Deed::Touched(touching) = deed else { return };
        // What was moved is gone from its folder, and no more.
        if touching.touch != self.written.touch || touching.moved && self.written.folder.is_none() {
            return;
        }
        let place = || place(touching.mailbox.as_str(), touching.folder);
        let Some(miss) = self.misses(view, touching) else {
            let shows = match self.written.touch {
                Touch::Retrieved => phrase("retrieved-proof"),
                Touch::Deleted => phrase("deleted-proof"),
            };
            let shows = shows.with("message", touching.message.0).with("place", place());
            own.proven(here.proof(Some(touching.message), shows), 1);
            return;
        };
        own.nearly([miss as i64, 0], Some(touching.message), || {
            let why = match miss {
                Miss::Protocol => phrase("misses-protocol"),
                Miss::Mailbox => phrase("misses-mailbox"),
                Miss::Folder => phrase("misses-folder"),
                Miss::Message => phrase("misses-message"),
                Miss::Top => phrase("misses-top"),
            };
            let closest = phrase("closest-touched").with("message", touching.message.0).with("at", here.time);
            closest.with("place", place()).with("why", why)
        });
    }

    fn is_shared(&self) -> bool {
        matches!(self.written.what, Which::Injected(_))
    }

    fn was_under_way(&self, state: State) -> bool {
        matches!(state, State::Transaction | State::Update | State::Authenticated | State::Selected)
    }
}

impl Rule {
    fn misses(&self, view: &View<'_>, touching: &Touching<'_>) -> Option<Miss> {
        let wanted = &self.written;
        if wanted.via.is_some() && wanted.via != view.protocol {
            Some(Miss::Protocol)
        } else if self.mailbox.as_ref().is_some_and(|mailbox| mailbox[view.student] != touching.mailbox.as_str()) {
            Some(Miss::Mailbox)
        } else if wanted.folder.as_ref().is_some_and(|folder| folder != touching.folder) {
            Some(Miss::Folder)
        } else if !view.is_wanted(&wanted.what, touching.message) {
            Some(Miss::Message)
        } else {
            touching.top.then_some(Miss::Top)
        }
    }
}
