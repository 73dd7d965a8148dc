//! What became of the messages that a student handed in for other servers: passed on, put off, come back. The server that tells
//! of it is nobody's connection; whose message it was is known by its number.

use super::{Deed, Kind, Setup, View, Written, shown};
use crate::{
    evidence::{Conn, MessageId, State},
    findings::{Code, Fields, Findings, Known, Section, pattern, times},
    lab::{
        exercise::{Pattern, Same},
        template::Person,
    },
    marking::{
        progress::{Here, Progress, cut},
        quick::QuickMap,
    },
    pattern::Filled,
    words::{self, Phrase, joined, phrase, quoted},
};

pub(super) const NAMES: &[&str] = &["relayed", "deferred", "bounced"];
pub(super) const KEYS: &[&str] = NAMES;
pub(super) const TABLES: &[&Section] = &[&TABLE];

static TABLE: Section = Section {
    name: "`relayed = { … }`, `deferred = { … }` or `bounced = { … }`",
    keys: &["to", "status", "times"],
};

/// What is to become of a message, as the lab wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What became of it.
    pub fate: Fate,
    /// A pattern for one of the recipients that it became of.
    pub to: Option<Pattern>,
    /// A pattern for the enhanced status code with which it came back (RFC 3463).
    pub status: Option<Pattern>,
    /// How many such messages there must be (1 by default).
    pub times: u32,
}

/// What becomes of a message for another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It waits for its first try.
    Queued,
    /// A try failed, and there will be another.
    Deferred,
    /// The other server took it.
    Relayed,
    /// It could not be delivered.
    Bounced,
}

/// A check of what became of a message, compiled.
#[derive(Debug)]
pub struct Rule {
    fate: Fate,
    to: Option<Filled>,
    status: Option<Filled>,
    times: u32,
}

/// The messages of a student that wait in the queue: as many as the queue holds, and no more.
#[derive(Debug, Default)]
pub struct Sent(QuickMap<MessageId, Waiting>);

/// A message that waits.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    /// The connection that handed it in.
    conn: Conn,
    /// For how many recipients.
    recipients: usize,
}

/// What became of a message.
#[derive(Debug, Clone, Copy)]
pub struct Carrying<'a> {
    /// The message.
    pub message: MessageId,
    /// What.
    pub fate: Fate,
    /// The recipients of which it became.
    pub recipients: &'a [String],
    /// The other server; empty where it did not come to one.
    pub server: &'a str,
    /// What it answered, or what went wrong.
    pub reply: &'a str,
    /// The enhanced status code of what came back; else empty.
    pub status: &'a str,
}

/// Why what became of a message does not count; what is nearer to counting comes later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Off {
    /// It is for somebody else.
    To,
    /// Something else was wanted to become of it.
    Fate,
    /// It came back with another status code.
    Status,
}

impl Check {
    /// Reads one of these.
    pub fn read(name: &'static str, fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let fate = match name {
            "relayed" => Fate::Relayed,
            "deferred" => Fate::Deferred,
            _ => Fate::Bounced,
        };
        let field = fields.get(name)?;
        let fields = &field.table(&TABLE, findings)?;
        if !known.settings.relay {
            let problem = findings.lab(Code::BadCheck, &field.key_span, "no mail goes to other servers in this lab");
            problem.help("add `relay = true`");
        } else if fate == Fate::Relayed && known.names.groups == 1 && known.settings.routes.is_empty() {
            let problem = findings.lab(Code::BadCheck, &field.key_span, "there is no other server in this lab");
            problem.help("add a group, `groups = [\"g01\", \"g02\"]`, or a way out of the lab, `[[route]]`");
        }
        let status = pattern(fields.get("status"), known, findings);
        if let Some(field) = fields.get("status").filter(|_| fate != Fate::Bounced) {
            let problem = findings.lab(Code::NoEffect, &field.key_span, "only what comes back has a status");
            problem.help("leave it out");
        }
        Some(Self {
            fate,
            to: pattern(fields.get("to"), known, findings),
            status: status.filter(|_| fate == Fate::Bounced),
            times: times(fields, findings),
        })
    }

    /// Compiles it.
    pub fn compile(&self, _: usize, _: Option<usize>, setup: &mut Setup<'_>) -> Rule {
        setup.asks_fate = true;
        let filled = |pattern| Filled::new(pattern, setup.people);
        let (to, status) = (self.to.as_ref().map(filled), self.status.as_ref().map(filled));
        Rule { fate: self.fate, to, status, times: self.times }
    }
}

impl Written for Check {
    fn never_bound(&self, _: Same) -> Option<&'static str> {
        (self.times > 1).then_some("what is wanted several times is not one thing")
    }

    fn wanted(&self, person: &Person<'_>) -> Phrase {
        let wanted = match self.fate {
            Fate::Queued => phrase("queued-wanted"),
            Fate::Deferred => phrase("deferred-wanted"),
            Fate::Relayed => phrase("relayed-wanted"),
            Fate::Bounced => phrase("bounced-wanted"),
        };
        let said = |phrase: Phrase, pattern: &Pattern| phrase.with("pattern", words::pattern(shown(&pattern.0, person)));
        let to = self.to.as_ref().map(|to| said(phrase("carried-to"), to));
        let status = self.status.as_ref().map(|status| said(phrase("carried-status"), status));
        wanted.with("rest", joined([to, status].into_iter().flatten()))
    }

    fn times(&self) -> u32 {
        self.times.max(1)
    }
}

impl Sent {
    /// A message of the student's came into the queue.
    pub fn hand_in(&mut self, message: MessageId, conn: Conn, recipients: usize) {
        self.0.entry(message).or_insert(Waiting { conn, recipients });
    }

    /// The connection that handed the message in, if it is the student's.
    pub fn conn(&self, message: MessageId) -> Option<Conn> {
        self.0.get(&message).map(|waiting| waiting.conn)
    }

    /// Something became of a message: what waits no more is forgotten.
    pub fn settle(&mut self, carrying: &Carrying<'_>) {
        let over = match carrying.fate {
            Fate::Queued | Fate::Deferred => 0,
            Fate::Relayed | Fate::Bounced => carrying.recipients.len(),
        };
        if let Some(waiting) = self.0.get_mut(&carrying.message) {
            waiting.recipients = waiting.recipients.saturating_sub(over);
            if waiting.recipients == 0 {
                self.0.remove(&carrying.message);
            }
        }
    }
}

impl<'a> Carrying<'a> {
    /// What became of these recipients, without a status.
    pub fn new(fate: Fate, message: MessageId, recipients: &'a [String], server: &'a str, reply: &'a str) -> Self {
        Self { message, fate, recipients, server, reply, status: "" }
    }

    fn said(&self, recipient: &str) -> Phrase {
        let said = match self.fate {
            Fate::Queued => phrase("queued-proof"),
            Fate::Deferred => phrase("deferred-proof").with("reply", quoted(cut(self.reply))),
            Fate::Relayed => phrase("relayed-proof").with("server", quoted(cut(self.server))),
            Fate::Bounced => phrase("bounced-proof").with("reply", quoted(cut(self.reply))),
        };
        said.with("message", self.message.0).with("recipient", quoted(cut(recipient)))
    }
}

impl Kind for Rule {
    /// Takes what became of a message that the student handed in over the connection of `here`.
    fn take(&self, deed: &mut Deed<'_, '_>, view: &View<'_>, here: &Here, own: &mut Progress) {
        let Deed::Carried(carrying) = deed else { return };
        let fits = |pattern: &Option<Filled>, text: &str| {
            pattern.as_ref().is_none_or(|pattern| pattern.of(view.student).matches(text))
        };
        let wanted = carrying.recipients.iter().find(|recipient| fits(&self.to, recipient));
        let off = match wanted {
            None => Off::To,
            Some(_) if carrying.fate != self.fate => Off::Fate,
            Some(_) if !fits(&self.status, carrying.status) => Off::Status,
            Some(recipient) => {
                let same = |message: Option<MessageId>| message == Some(carrying.message);
                // A message for many, or one that is put off again and again, is one message.
                if !own.proofs.iter().any(|proof| same(proof.message)) {
                    own.nearest.take_if(|near| same(near.message));
                    own.proven(here.proof(Some(carrying.message), carrying.said(recipient)), self.times);
                }
                return;
            }
        };
        let recipient = wanted.or(carrying.recipients.first()).map_or("", String::as_str);
        own.nearly([off as i64, 0], Some(carrying.message), || {
            phrase("closest-carried").with("said", carrying.said(recipient)).with("at", here.time)
        });
    }

    fn was_under_way(&self, state: State) -> bool {
        matches!(state, State::Mail | State::Rcpt | State::Data)
    }

    fn none_tried(&self) -> Option<Phrase> {
        Some(phrase("none-for-others"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_forgotten_when_nobody_waits_for_it() {
        let mut sent = Sent::default();
        sent.hand_in(MessageId(1), Conn(7), 3);
        let to = ["a@b".to_owned(), "c@b".to_owned()];
        let settled = |fate, recipients| Carrying::new(fate, MessageId(1), recipients, "", "");
        sent.settle(&settled(Fate::Deferred, &to));
        sent.settle(&settled(Fate::Relayed, &to));
        assert_eq!(sent.conn(MessageId(1)), Some(Conn(7)), "one recipient is left");
        sent.settle(&settled(Fate::Bounced, &to[..1]));
        assert_eq!(sent.conn(MessageId(1)), None);
    }
}
