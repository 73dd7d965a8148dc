//! The kinds of checks, a file each: its keys and what may be wrong with them, the check as written, what it compiles to for a
//! group, how it takes what a student did, and the phrases that explain it. A kind more is a file, a line in `kinds!`, its
//! messages in the catalogues, and a section of the reference.

mod bounds;

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use super::{
    delivery::Delivery,
    folders::{Mailboxes, Spot, Stamp},
    marks::Proof,
    progress::{Attempt, Here, Progress},
    quick::{QuickMap, QuickSet},
};
use crate::{
    evidence::{Injected, MessageId, State},
    findings::{Code, Field, Fields, Findings, Known, Section, known_mail, listed},
    lab::{Asked, FaultId, Login, MailId, Protocol, exercise::Same, template::Person},
    words::{Phrase, phrase, quoted},
};
use carried::Carrying;
use conversation::talk::Talks;
use query::Query as Question;
use touched::Touching;

macro_rules! kinds {
    ($($(#[doc = $about:literal])* $(#[cfg($when:meta)])? $module:ident $Kind:ident;)*) => {
        $($(#[cfg($when)])? pub mod $module;)*

        /// A check as the lab has it.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(clippy::large_enum_variant, reason = "a lab has some hundred checks, each behind its own pointer")]
        pub enum Check {
            $($(#[doc = $about])* $(#[cfg($when)])? $Kind($module::Check),)*
        }

        /// A check, compiled for a group.
        #[derive(Debug)]
        pub enum Rule {
            $($(#[doc = $about])* $(#[cfg($when)])? $Kind($module::Rule),)*
        }

        /// Per kind the keys of a check that make it this one, each with all that may stand beside it.
        const NAMES: &[&[&str]] = &[$($(#[cfg($when)])? $module::NAMES),*];

        /// Per kind its keys of `[[exercise.check]]`.
        const KEYS: &[&[&str]] = &[$($(#[cfg($when)])? $module::KEYS),*];

        /// Per kind the tables that its keys have.
        const TABLES: &[&[&Section]] = &[$($(#[cfg($when)])? $module::TABLES),*];

        impl Check {
            fn parse(name: &'static str, fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Self> {
                $($(#[cfg($when)])? if $module::NAMES.contains(&name) {
                    return $module::Check::read(name, fields, known, findings).map(Self::$Kind);
                })*
                None
            }

            fn compile(&self, check: usize, after: Option<usize>, setup: &mut Setup<'_>) -> Rule {
                match self {
                    $($(#[cfg($when)])? Self::$Kind(written) => Rule::$Kind(written.compile(check, after, setup)),)*
                }
            }

            /// What every kind can tell of itself as written.
            pub fn written(&self) -> &dyn Written {
                match self {
                    $($(#[cfg($when)])? Self::$Kind(written) => written,)*
                }
            }
        }

        impl Rule {
            /// What every kind does.
            pub fn kind(&self) -> &dyn Kind {
                match self {
                    $($(#[cfg($when)])? Self::$Kind(rule) => rule,)*
                }
            }
        }
    };
}

kinds! {
    /// One connection of the student with these steps.
    conversation Conversation;
    /// A message that the student delivered.
    message Message;
    /// A message that the student retrieved or deleted.
    touched Touched;
    /// What a folder holds.
    mailbox Mailbox;
    /// A message that the student brought into a folder, or there to its flags.
    filed Filed;
    /// A name that the student asked for.
    query Query;
    /// What became of a message that the student handed in for another server.
    carried Carried;
    /// A kind that only the tests know.
    #[cfg(test)]
    made_up MadeUp;
}

/// The keys that every kind of check may have.
const COMMON: &[&str] = &["then", "within"];

/// The table of a check.
pub static CHECK: Section =
    Section { name: "`[[exercise.check]]`", keys: &together::<{ count(KEYS) + COMMON.len() }>(KEYS, COMMON) };

/// The tables of checks, for who reads the lab file.
pub fn sections() -> impl Iterator<Item = &'static Section> {
    [&CHECK].into_iter().chain(TABLES.iter().copied().flatten().copied())
}

const fn count(lists: &[&[&str]]) -> usize {
    let (mut count, mut list) = (0, 0);
    while list < lists.len() {
        count += lists[list].len();
        list += 1;
    }
    count
}

const fn together<const N: usize>(lists: &[&[&'static str]], last: &[&'static str]) -> [&'static str; N] {
    let mut all = [""; N];
    let (mut at, mut list) = (0, 0);
    while list <= lists.len() {
        let from = if list < lists.len() { lists[list] } else { last };
        let mut entry = 0;
        while entry < from.len() {
            all[at] = from[entry];
            (at, entry) = (at + 1, entry + 1);
        }
        list += 1;
    }
    all
}

/// What a kind of check can tell of itself as written.
pub trait Written: Debug {
    /// What it wants of this student; secrets, texts and passwords stay placeholders, as marks are shown to students.
    fn wanted(&self, person: &Person<'_>) -> Phrase;

    /// How many proofs it takes.
    fn times(&self) -> u32 {
        1
    }

    /// Whether its proofs must come over one connection.
    fn over_one_connection(&self) -> bool {
        false
    }

    /// Why it can come after no other check.
    fn never_after(&self) -> Option<&'static str> {
        None
    }

    /// Why it cannot be met by the same thing as other checks.
    fn never_bound(&self, _same: Same) -> Option<&'static str> {
        None
    }

    /// Whether it speaks of the end of the record, so that nothing comes after it.
    fn is_of_the_end(&self) -> bool {
        false
    }
}

/// What a kind of check does, compiled for a group.
pub trait Kind: Debug {
    /// Takes what the student did while the check was open.
    fn take(&self, deed: &mut Deed<'_, '_>, view: &View<'_>, here: &Here, own: &mut Progress);

    /// What it says that looks at how folders are, or how they came nearest.
    fn standing(&self, _view: &View<'_>) -> Option<Standing> {
        None
    }

    /// Whether it rests on what others did to the group's record, too: injected mail, mailboxes.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether a session that failed in this state may have kept the student from it.
    fn was_under_way(&self, _state: State) -> bool {
        false
    }

    /// What the student has to bring about first, having met these faults.
    fn awaits(&self, _met: &BTreeSet<FaultId>) -> Option<Phrase> {
        None
    }

    /// How the connection that came closest explains itself.
    fn attempted(&self, _student: usize, _attempt: &Attempt) -> Option<Phrase> {
        None
    }

    /// What to say where nothing of the kind was ever tried.
    fn none_tried(&self) -> Option<Phrase> {
        None
    }
}

/// What a student did, as checks look at it; conversations are followed command by command instead.
pub enum Deed<'a, 'd> {
    /// A message was delivered.
    Delivered(&'a mut Delivery<'d>),
    /// A message was retrieved or deleted.
    Touched(Touching<'a>),
    /// Messages came into folders, or have other flags there.
    Filed(&'a [Spot]),
    /// A name was asked for.
    Asked(Question<'a>),
    /// Something became of a message for another server.
    Carried(Carrying<'a>),
    /// The connection ended.
    Over,
}

/// What a check may look at beside the deed.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The student's place in the group.
    pub student: usize,
    /// The protocol of the connection, as far as the record tells.
    pub protocol: Option<Protocol>,
    /// The messages that the student delivered, or put into a folder.
    pub own: &'a QuickSet<MessageId>,
    /// The student's first event of the run.
    pub arrived: Option<Stamp>,
    /// The notices that servers wrote, and of which student's messages.
    pub notices: &'a QuickMap<MessageId, usize>,
    /// The lab's own mail.
    pub injected: &'a QuickMap<MessageId, Injected>,
    /// The students' places.
    pub places: &'a QuickMap<Login, usize>,
    /// The mailboxes that checks speak of.
    pub mailboxes: &'a Mailboxes,
    /// Whether mailbox states count yet: not before the lab's mail came.
    pub settled: bool,
}

/// How folders are.
#[derive(Debug, Default)]
pub struct Standing {
    /// What proves the check as they are now.
    pub proof: Option<Proof>,
    /// Whether that counts at the end of the record only.
    pub now: bool,
    /// How they come nearest.
    pub nearest: Option<Phrase>,
}

/// What is needed to compile checks.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The students.
    pub people: &'a [Person<'a>],
    /// The conversation checks, by protocol.
    pub talks: &'a mut Talks,
    /// The mailboxes that checks speak of.
    pub mailboxes: &'a mut Mailboxes,
    /// Whether any check asks for a message that the student delivered.
    pub asks_own: bool,
    /// Whether any check asks what became of messages for other servers.
    pub asks_fate: bool,
}

/// A check with what all kinds have in common.
#[derive(Debug)]
pub struct Compiled {
    /// The rule of its kind.
    pub rule: Rule,
    /// What it wants: once, or per student.
    wanted: Box<[Arc<Phrase>]>,
    /// How many proofs it takes.
    pub times: u32,
    /// Whether these must come over one connection.
    pub one_connection: bool,
    /// The check that must have held before, by its place among all.
    pub after: Option<usize>,
    /// Whether what it is met by must go together with what the exercise's other checks are met by (`super::bonds`).
    pub bound: bool,
}

impl Compiled {
    /// Compiles a check, by its place among all.
    pub fn new(asked: &Asked, check: usize, bound: bool, setup: &mut Setup<'_>) -> Self {
        let after = check.checked_sub(1).filter(|_| asked.then && !bound);
        let check_written: &Check = asked.check();
        let rule = check_written.compile(check, after, setup);
        let written = check_written.written();
        let mut wanted: Vec<Arc<Phrase>> = setup.people.iter().map(|person| Arc::new(written.wanted(person))).collect();
        if wanted.iter().all(|phrase| *phrase == wanted[0]) {
            wanted.truncate(1);
        }
        let (times, one_connection) = (written.times(), written.over_one_connection());
        Self { rule, wanted: wanted.into(), times, one_connection, after, bound }
    }

    /// What it wants of this student.
    pub fn wanted(&self, student: usize) -> &Arc<Phrase> {
        self.wanted.get(student).unwrap_or(&self.wanted[0])
    }
}

impl View<'_> {
    /// Whether a message is the one that a check wants of the student.
    pub fn is_wanted(&self, which: &Which, message: MessageId) -> bool {
        match which {
            Which::Any => true,
            Which::Own => self.own.contains(&message),
            Which::Notice => self.notices.get(&message) == Some(&self.student),
            Which::Injected(mail) => self.injected.get(&message).is_some_and(|injected| {
                let mine = |login| self.places.get(login) == Some(&self.student);
                injected.mail == *mail && injected.student.as_ref().is_none_or(mine)
            }),
        }
    }
}

/// Which message a check speaks of.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Which {
    /// Any message at all.
    #[default]
    Any,
    /// A message that this student delivered, or put into a folder (`own = true`).
    Own,
    /// The student's copy of an injected mail (`mail = "welcome"`).
    Injected(MailId),
    /// A notice of what became of a message that the student sent (`notice = true`).
    Notice,
}

impl Which {
    /// Reads `own` and `mail`.
    fn read(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Self {
        let own = fields.boolean("own", false, findings);
        let mail = known_mail(fields, "mail", known, findings);
        if let Some(field) = fields.get("own").filter(|_| own && fields.get("mail").is_some()) {
            let message = "no message is both the student's own and an injected one";
            findings.lab(Code::BadCheck, &field.key_span, message).help("keep `mail` or `own`");
        }
        match mail {
            Some(mail) => Self::Injected(mail),
            None if own => Self::Own,
            None => Self::Any,
        }
    }

    fn said(&self, person: &Person<'_>) -> Phrase {
        match self {
            Self::Any => phrase("which-any"),
            Self::Own => phrase("which-own"),
            Self::Injected(mail) => phrase("which-mail").with("mail", quoted(subject(mail, person))),
            Self::Notice => phrase("which-notice"),
        }
    }
}

/// What a student sees of an injected mail: its subject, or where it has none what the lab calls it.
pub fn subject(mail: &MailId, person: &Person<'_>) -> String {
    let found = person.lab.mail(mail.as_str()).map(|found| shown(&found.subject, person));
    found.filter(|subject| !subject.is_empty()).unwrap_or_else(|| mail.to_string())
}

/// Reads the checks of an exercise.
pub fn read(tables: &[Fields<'_>], known: &Known<'_>, findings: &mut Findings<'_>) -> Vec<Asked> {
    let mut checks: Vec<Asked> = Vec::new();
    for fields in tables {
        let Some(check) = one(fields, known, findings) else { continue };
        let then = fields.boolean("then", false, findings);
        let wrong = match checks.last() {
            None => Some("there is no check before it"),
            Some(before) => check.written().never_after().or_else(|| {
                let before = before.check::<Check>();
                before.written().is_of_the_end().then_some("the check before it speaks of the end of the record")
            }),
        };
        if let (true, Some(why), Some(field)) = (then, wrong, fields.get("then")) {
            findings.lab(Code::BadCheck, &field.key_span, why).help("leave `then` out");
        }
        let within = fields.get("within").and_then(|field| within(&field, then, findings));
        checks.push(Asked::new(check).then(then).within(within));
    }
    checks
}

/// Reads `within`.
fn within(field: &Field<'_>, then: bool, findings: &mut Findings<'_>) -> Option<u32> {
    let text = field.text(findings)?;
    let parsed = text.split_at_checked(text.len().saturating_sub(1)).and_then(|(number, unit)| {
        let scale = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            _ => return None,
        };
        number.trim().parse::<u32>().ok()?.checked_mul(scale).filter(|secs| *secs > 0)
    });
    if parsed.is_none() {
        let problem = findings.lab(Code::BadNumber, &field.span, format!("`{text}` is no length of time"));
        problem.help("write for example `within = \"60s\"`, `\"5m\"` or `\"1h\"`");
    }
    if !then {
        let problem = findings.lab(Code::BadCheck, &field.key_span, "within what, after what?");
        problem.help("say that it comes after the check before it: `then = true`");
    }
    parsed
}

fn one(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Check> {
    let has = |keys: &[&'static str]| keys.iter().any(|key| fields.get(key).is_some());
    let mut kinds: Vec<&'static str> = Vec::new();
    for (names, keys) in NAMES.iter().zip(KEYS) {
        let before = kinds.len();
        kinds.extend(names.iter().copied().filter(|name| has(&[name])));
        if kinds.len() == before && has(keys) {
            kinds.push(names[0]);
        }
    }
    let [kind] = kinds.as_slice() else {
        let message = match kinds.as_slice() {
            [] => "a check that asks for nothing".to_owned(),
            several => format!("one check asks for `{}` at once", several.join("` and `")),
        };
        let names: Vec<&str> = NAMES.iter().copied().flatten().copied().collect();
        findings.lab(Code::BadCheck, &fields.span, message).help(format!(
            "a check has one of {}; write several checks where several things must hold",
            listed(&names)
        ));
        return None;
    };
    Check::parse(kind, fields, known, findings)
}

/// A template as it may be shown: filled in for this person, but for secrets, texts and passwords.
pub fn shown(template: &str, person: &Person<'_>) -> String {
    use crate::lab::template::{Piece, pieces};
    let Ok(pieces) = pieces(template) else { return template.to_owned() };
    let piece = |piece| match piece {
        Piece::Text(text) => text.to_owned(),
        Piece::Value { name: name @ ("secret" | "text" | "password"), of } => {
            of.map_or_else(|| format!("{{{name}}}"), |of| format!("{{{name}:{of}}}"))
        }
        // Which group it is the student chooses.
        Piece::Value { name: "neighbour", .. } if person.lab.settings.any_neighbour => "{neighbour}".to_owned(),
        Piece::Value { name, of: _ } => person.fill(&format!("{{{name}}}")),
    };
    pieces.into_iter().map(piece).collect()
}
