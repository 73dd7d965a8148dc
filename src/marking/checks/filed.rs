//! Filed checks: a message that lies in a folder, with flags and without, because of something the student did to it. What has
//! lain there before, or what somebody else has put there, is nobody's merit.

use super::{Deed, Kind, Setup, Standing, View, Which, Written};
use crate::{
    evidence::State,
    findings::{Code, Field, Fields, Findings, Known, Section, mailbox},
    lab::{exercise::Same, template::Person},
    mail::folder::{Flags, FolderName, MAX_KEYWORD, MAX_KEYWORDS, NamedFlags},
    marking::{
        folders::{Flagging, Item},
        marks::Proof,
        progress::{Here, Progress},
    },
    words::{Phrase, joined, phrase, quoted},
};

pub(super) const NAMES: &[&str] = &["filed"];
pub(super) const KEYS: &[&str] = NAMES;
pub(super) const TABLES: &[&Section] = &[&TABLE];

static TABLE: Section =
    Section { name: "`filed = { … }`", keys: &["mail", "own", "in", "folder", "has", "lacks", "now"] };

/// Whose mailbox a check means where it does not say.
const OWN: &str = "{login}";

/// A message in a folder as the lab wants it: delivered, copied, moved or appended there by the student, or given its flags.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// Which message.
    pub what: Which,
    /// The mailbox; a template (`{login}` is the student's own).
    pub mailbox: String,
    /// The folder; none: any.
    pub folder: Option<FolderName>,
    /// The flags that it has.
    pub has: NamedFlags,
    /// The flags that it does not have.
    pub lacks: NamedFlags,
    /// True: at the end of the record. False: at any time.
    pub now: bool,
}

/// A filed check, compiled.
#[derive(Debug)]
pub struct Rule {
    what: Which,
    now: bool,
    folder: Option<FolderName>,
    has: Flagging,
    lacks: Flagging,
    /// Per student the mailbox's place.
    places: Box<[usize]>,
}

/// Why a message in a folder does not count; what is nearer to counting comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Miss {
    /// Another mail was wanted, or one that the student delivered.
    Message,
    /// It is in another folder.
    Folder,
    /// It has other flags.
    Flags,
    /// It was not the student who brought it there or to these flags.
    Others,
}

impl Check {
    /// Reads one of these.
    pub fn read(name: &'static str, fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let fields = &fields.get(name)?.table(&TABLE, findings)?;
        let what = Which::read(fields, known, findings);
        let (has, lacks) = (flags(fields, "has", findings), flags(fields, "lacks", findings));
        let both = |name: &str| {
            let lacks = lacks.text();
            lacks.split_ascii_whitespace().any(|other| other.eq_ignore_ascii_case(name))
        };
        if let Some(name) = has.text().split_ascii_whitespace().find(|name| both(name))
            && let Some(field) = fields.get("lacks")
        {
            let problem = findings.lab(Code::BadCheck, &field.span, format!("no message has `{name}` and lacks it"));
            problem.help("take it out of `has` or of `lacks`");
        }
        if ["folder", "has", "lacks"].iter().all(|key| fields.get(key).is_none()) {
            let problem =
                findings.lab(Code::BadCheck, &fields.span, "neither a folder nor flags, so that anything would do");
            problem.help("say where the message is to be, or how: `folder = \"Archive\"`, `has = ['\\Seen']`");
        }
        let mailbox = mailbox(fields, "in", known, findings).unwrap_or_else(|| OWN.to_owned());
        let now = fields.boolean("now", false, findings);
        Some(Self { what, mailbox, folder: folder(fields, findings), has, lacks, now })
    }

    /// Compiles it.
    pub fn compile(&self, _: usize, _: Option<usize>, setup: &mut Setup<'_>) -> Rule {
        setup.asks_own |= self.what == Which::Own;
        let mailboxes = &mut *setup.mailboxes;
        let places: Box<[usize]> = setup.people.iter().map(|person| mailboxes.place(&person.fill(&self.mailbox))).collect();
        places.iter().for_each(|place| mailboxes.follow(*place));
        let (has, lacks) = (mailboxes.flagging(&self.has), mailboxes.flagging(&self.lacks));
        Rule { what: self.what.clone(), now: self.now, folder: self.folder.clone(), has, lacks, places }
    }
}

/// The folder that a check names.
pub fn folder(fields: &Fields<'_>, findings: &mut Findings<'_>) -> Option<FolderName> {
    let field = fields.get("folder")?;
    let text = field.text(findings)?;
    let parsed = text.parse::<FolderName>();
    if let Err(problem) = &parsed {
        findings
            .lab(Code::BadName, &field.span, format!("`{text}` is no name for a folder"))
            .label(problem.to_string());
    } else if text.contains(['{', '}']) {
        let problem = findings.lab(Code::BadTemplate, &field.span, "a placeholder cannot stand in a folder's name");
        problem.help("the folder is looked for in each student's mailbox: give it the same name for everybody");
        return None;
    }
    parsed.ok()
}

/// A list of flags.
fn flags(fields: &Fields<'_>, key: &'static str, findings: &mut Findings<'_>) -> NamedFlags {
    let most = Flags::SYSTEM.len() + MAX_KEYWORDS;
    let entries = fields.get(key).map(|field| field.at_most(most, findings)).unwrap_or_default();
    let mut named = NamedFlags::default();
    for entry in entries {
        flag(&entry, &mut named, findings);
    }
    named
}

/// A flag: one of the system's, which begin with a backslash, or a keyword (RFC 9051 2.3.2).
fn flag(entry: &Field<'_>, named: &mut NamedFlags, findings: &mut Findings<'_>) {
    let Some(text) = entry.text(findings) else { return };
    let system = |name: &str| Flags::SYSTEM.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
    if let Some((_, flag)) = system(text) {
        named.system = named.system.with(flag);
    } else if text.starts_with('\\') {
        let problem = findings.lab(Code::UnknownValue, &entry.span, format!("there is no flag `{text}`"));
        let names: Vec<&str> = Flags::SYSTEM.iter().map(|(name, _)| *name).collect();
        problem.help(format!("the flags of IMAP are `{}`", names.join("`, `")));
        problem.did_you_mean(text, names);
    } else if let Some((name, _)) = system(&format!("\\{text}")) {
        let problem = findings.lab(Code::UnknownValue, &entry.span, format!("`{text}` would be a keyword"));
        problem.help(format!("write `'{name}'`, in single quotes"));
    } else if !is_keyword(text) {
        let problem = findings.lab(Code::BadText, &entry.span, format!("`{text}` is no keyword"));
        problem.help(format!(
            "it is printable ASCII without blanks, quotes, parentheses, `{{`, `%`, `*`, `]` and `\\`, at most {MAX_KEYWORD} characters"
        ));
    } else {
        named.add_keyword(text);
    }
}

/// An atom (RFC 9051 9, flag-keyword).
fn is_keyword(text: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_graphic() && !b"(){%*\"\\]".contains(&octet);
    !text.is_empty() && text.len() <= MAX_KEYWORD && text.bytes().all(plain)
}

impl Written for Check {
    fn never_bound(&self, same: Same) -> Option<&'static str> {
        match same {
            Same::Message if !self.now => None,
            Same::Message => Some("`now` speaks of the end of the record"),
            Same::Connection => Some("a message lies in a folder, whatever connection brought it there"),
        }
    }

    fn wanted(&self, person: &Person<'_>) -> Phrase {
        let at = match &self.folder {
            Some(folder) => phrase("filed-in-folder").with("folder", quoted(folder.as_str())),
            None => phrase("filed-in-mailbox"),
        };
        let flags = |phrase: Phrase, flags: &NamedFlags| {
            let text = flags.text();
            (!text.is_empty()).then(|| phrase.with("flags", quoted(text)))
        };
        let flags = [flags(phrase("filed-has"), &self.has), flags(phrase("filed-lacks"), &self.lacks)];
        phrase("filed-wanted")
            .with("what", self.what.said(person))
            .with("where", at.with("mailbox", quoted(person.fill(&self.mailbox))))
            .with("flags", joined(flags.into_iter().flatten()))
    }

    fn never_after(&self) -> Option<&'static str> {
        self.now.then_some("it speaks of the end of the record itself")
    }

    fn is_of_the_end(&self) -> bool {
        self.now
    }
}

impl Kind for Rule {
    /// Takes the messages that an event of the student's brought somewhere or flagged.
    fn take(&self, deed: &mut Deed<'_, '_>, view: &View<'_>, here: &Here, own: &mut Progress) {
        let Deed::Filed(spots) = deed else { return };
        let spots = spots.iter().filter(|spot| spot.mailbox == self.places[here.student]);
        let mut found = spots.filter_map(|spot| Some((&spot.folder, view.mailboxes.item(spot)?))).peekable();
        if found.peek().is_some() {
            own.failed = None;
        }
        let proof = found.find(|(folder, item)| self.miss(view, folder, item).is_none());
        if let Some((folder, item)) = proof.filter(|_| !self.now) {
            own.proven(self.proof(view, folder, item), 1);
        }
    }

    /// What proves the check now or, where nothing does, what comes nearest, the latest of these.
    fn standing(&self, view: &View<'_>) -> Option<Standing> {
        let items = view.mailboxes.items(self.places[view.student]);
        let judged = items.map(|(folder, item)| (self.miss(view, folder, item), folder, item));
        // No miss at all is nearer than the nearest.
        let nearest = judged.max_by_key(|(miss, _, item)| (miss.is_none(), *miss, item.changed));
        let (miss, folder, item) = nearest?;
        let proof = miss.is_none().then(|| self.proof(view, folder, item));
        let nearest = miss.map(|miss| {
            let why = match miss {
                Miss::Message => phrase("misses-message"),
                Miss::Folder => phrase("misses-folder"),
                Miss::Flags => phrase("misses-flags"),
                Miss::Others => phrase("misses-others"),
            };
            self.item(phrase("closest-filed"), view, folder, item).with("why", why)
        });
        Some(Standing { proof, now: self.now, nearest })
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn was_under_way(&self, state: State) -> bool {
        matches!(state, State::Authenticated | State::Selected)
    }
}

impl Rule {
    fn proof(&self, view: &View<'_>, folder: &FolderName, item: &Item) -> Proof {
        let (seq, conn, at) = item.changed;
        let shows = self.item(phrase("filed-proof"), view, folder, item);
        Proof { events: vec![seq], conn, at, message: Some(item.message), shows }
    }

    /// A phrase that speaks of a message in a folder.
    fn item(&self, phrase: Phrase, view: &View<'_>, folder: &FolderName, item: &Item) -> Phrase {
        let flags = view.mailboxes.written(&item.flags);
        let flags = (!flags.is_empty()).then(|| crate::words::phrase("with-flags").with("flags", quoted(flags)));
        phrase
            .with("message", item.message.0)
            .with("place", view.mailboxes.named(self.places[view.student], folder))
            .with("flags", joined(flags))
    }

    fn miss(&self, view: &View<'_>, folder: &FolderName, item: &Item) -> Option<Miss> {
        if !view.is_wanted(&self.what, item.message) {
            Some(Miss::Message)
        } else if self.folder.as_ref().is_some_and(|wanted| wanted != folder) {
            Some(Miss::Folder)
        } else if !item.flags.has(&self.has) || !item.flags.lacks(&self.lacks) {
            Some(Miss::Flags)
        } else {
            (item.by != Some(view.student)).then_some(Miss::Others)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_atoms_of_a_length() {
        assert!(is_keyword("$Forwarded") && is_keyword(&"k".repeat(MAX_KEYWORD)));
        assert!(!is_keyword("") && !is_keyword(&"k".repeat(MAX_KEYWORD + 1)));
        for wrong in ["a b", "a(", "\"a", "a*", "ñ", "a]", "\\a"] {
            assert!(!is_keyword(wrong), "{wrong}");
        }
    }
}
