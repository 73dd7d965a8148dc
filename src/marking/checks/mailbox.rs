//! Mailbox checks: that a folder is there, and how many messages it holds. The state belongs to the group, whoever caused it; it
//! counts for a student once this student was there: from the student's first event of the run on and, where the lab
//! injects mail, once some has arrived. So nobody earns anything by doing nothing.

use super::{Deed, Kind, Setup, Standing, View, Written, bounds, filed::folder};
use crate::{
    findings::{Code, Fields, Findings, Known, Section, bound, mailbox},
    lab::{
        exercise::{Bound, Same},
        template::Person,
    },
    mail::folder::{FolderName, Special},
    marking::{
        folders::place,
        marks::Proof,
        progress::{Here, Progress},
    },
    words::{Phrase, phrase, quoted},
};

pub(super) const NAMES: &[&str] = &["mailbox"];
pub(super) const KEYS: &[&str] = NAMES;
pub(super) const TABLES: &[&Section] = &[&TABLE];

static TABLE: Section = Section { name: "`mailbox = { … }`", keys: &["of", "folder", "count", "now"] };

/// The state of a mailbox as the lab wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The mailbox; a template (`{login}` is the student's own).
    pub mailbox: String,
    /// The folder of it, which must exist; INBOX by default.
    pub folder: FolderName,
    /// A bound on the number of messages in the folder; none: that it exists is enough.
    pub count: Option<Bound>,
    /// True: at the end of the record. False: at any time after the lab's mail was injected.
    pub now: bool,
}

/// A mailbox check, compiled.
#[derive(Debug)]
pub struct Rule {
    written: Check,
    /// Per student the mailbox's place.
    places: Box<[usize]>,
}

impl Check {
    /// Reads one of these.
    pub fn read(name: &'static str, fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let fields = &fields.get(name)?.table(&TABLE, findings)?;
        fields.required("of", "of = \"{login}\"", findings);
        let mailbox = mailbox(fields, "of", known, findings);
        let written = fields.get("folder");
        let folder = if written.is_some() { folder(fields, findings) } else { Some(FolderName::inbox()) };
        let count = fields.get("count").map(|field| bound(&field, findings));
        let now = fields.boolean("now", false, findings);
        match (&count, written, &folder) {
            (None, None, _) => {
                fields.required("count", "count = \"= 0\"", findings);
                return None;
            }
            (None, Some(field), Some(name)) if name.is_inbox() || Special::named(name.as_str()).is_some() => {
                let problem = findings.lab(Code::BadCheck, &field.span, format!("every mailbox has a folder `{name}`"));
                problem.help("say how many messages it holds: `count = \">= 1\"`");
                return None;
            }
            (Some(_) | None, Some(_) | None, _) => {}
        }
        let count = match count {
            Some(bound) => Some(bound?),
            None => None,
        };
        Some(Self { mailbox: mailbox?, folder: folder?, count, now })
    }

    /// Compiles it.
    pub fn compile(&self, check: usize, _: Option<usize>, setup: &mut Setup<'_>) -> Rule {
        let place = |person: &Person<'_>| setup.mailboxes.place(&person.fill(&self.mailbox));
        let places: Box<[usize]> = setup.people.iter().map(place).collect();
        if !self.now {
            places.iter().enumerate().for_each(|(student, place)| setup.mailboxes.watch(*place, student, check));
        }
        Rule { written: self.clone(), places }
    }
}

impl Written for Check {
    fn never_bound(&self, _: Same) -> Option<&'static str> {
        Some("a mailbox is the group's, and no one thing of the student's")
    }

    fn wanted(&self, person: &Person<'_>) -> Phrase {
        let mailbox = person.fill(&self.mailbox);
        match self.count {
            None => phrase("folder-wanted")
                .with("folder", quoted(self.folder.as_str()))
                .with("mailbox", quoted(mailbox)),
            Some(count) => phrase("mailbox-wanted")
                .with("bound", bounds::pieces(count))
                .with("count", count.value)
                .with("place", place(&mailbox, &self.folder)),
        }
    }

    fn never_after(&self) -> Option<&'static str> {
        Some("a mailbox is the group's, whoever filled it when")
    }

    fn is_of_the_end(&self) -> bool {
        self.now
    }
}

impl Kind for Rule {
    /// The state is looked at when it changes, whoever changes it.
    fn take(&self, _: &mut Deed<'_, '_>, _: &View<'_>, _: &Here, _: &mut Progress) {}

    fn standing(&self, view: &View<'_>) -> Option<Standing> {
        let (place, folder) = (self.places[view.student], &self.written.folder);
        let found = view.mailboxes.standing(place, folder);
        let nearest = found.map_or_else(|| phrase("no-such-folder"), |(count, _)| phrase("it-holds").with("count", count));
        let arrived = view.arrived.filter(|_| view.settled);
        let proof = arrived.zip(found).and_then(|(arrived, (count, changed))| {
            // Nothing has changed the folder since the student's first event: that one proves it.
            let (seq, conn, at) = changed.unwrap_or(arrived).max(arrived);
            let shows = phrase("mailbox-proof").with("place", view.mailboxes.named(place, folder)).with("count", count);
            let fits = self.written.count.is_none_or(|bound| bound.holds(count));
            fits.then(|| Proof { events: vec![seq], conn, at, message: None, shows })
        });
        Some(Standing { proof, now: self.written.now, nearest: Some(nearest) })
    }

    fn is_shared(&self) -> bool {
        true
    }
}
