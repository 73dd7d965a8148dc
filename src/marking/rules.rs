//! A lab's checks, compiled for one group: patterns filled in for each student, and each check where the events it waits for find it.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    asked, carried,
    conversation::Talk,
    filed,
    folders::Cabinets,
    mailbox,
    marks::{Condition, Place, Wanted, WantedCarried, WantedQuery, WantedStep, WantedTalk},
    message,
    touched::{self, Touch},
};
use crate::lab::{
    Check, Exercise, Lab, Protocol,
    exercise::{Conversation, Filed, MessageCheck, Pattern, ReplyPattern, Touched, Which},
    template::{Person, Piece, pieces},
};

/// The checks of a group.
#[derive(Debug)]
pub struct Rules {
    /// The exercises in the lab's order.
    pub exercises: Vec<Arc<Exercise>>,
    /// Per exercise the place of its first check among all.
    pub first_check: Vec<usize>,
    /// All checks.
    pub checks: Vec<Compiled>,
    /// The conversation checks by protocol.
    pub talks: BTreeMap<Protocol, Talk>,
    /// The message checks.
    pub messages: Vec<message::Rule>,
    /// The retrieved and deleted checks.
    pub touched: Vec<touched::Rule>,
    /// The mailbox checks.
    pub mailboxes: Vec<mailbox::Rule>,
    /// The filed checks.
    pub filed: Vec<filed::Rule>,
    /// The query checks.
    pub asked: Vec<asked::Rule>,
    /// The checks of what became of messages for other servers.
    pub carried: Vec<carried::Rule>,
    /// Whether the lab injects mail at all.
    pub injects: bool,
    /// Whether any check asks for a message that the student delivered.
    pub asks_own: bool,
}

/// What all checks have in common.
#[derive(Debug)]
pub struct Compiled {
    /// What it wants: once, or per student.
    wanted: Box<[Arc<Wanted>]>,
    /// How many proofs it takes.
    pub times: u32,
    /// Whether it rests on what others did to the group's record: injected mail, mailboxes.
    pub shared: bool,
    /// The check that must have held before, by its place among all.
    pub after: Option<usize>,
}

impl Compiled {
    /// What it wants of this student.
    pub fn wanted(&self, student: usize) -> &Arc<Wanted> {
        self.wanted.get(student).unwrap_or(&self.wanted[0])
    }
}

impl Rules {
    /// Compiles the lab's checks for these people, and the mailboxes they speak of.
    pub fn new(lab: &Lab, exercises: Vec<Arc<Exercise>>, people: &[Person<'_>]) -> (Self, Cabinets) {
        let mut cabinets = Cabinets::default();
        let mut rules = Self {
            exercises,
            first_check: Vec::new(),
            checks: Vec::new(),
            talks: Protocol::ALL.into_iter().map(|protocol| (protocol, Talk::default())).collect(),
            messages: Vec::new(),
            touched: Vec::new(),
            mailboxes: Vec::new(),
            filed: Vec::new(),
            asked: Vec::new(),
            carried: Vec::new(),
            injects: !lab.mails.is_empty(),
            asks_own: false,
        };
        for exercise in &lab.exercises {
            rules.first_check.push(rules.checks.len());
            for (number, check) in exercise.checks.iter().enumerate() {
                let after = exercise.then.contains(&number).then(|| rules.checks.len().checked_sub(1)).flatten();
                rules.add(check, after, people, &mut cabinets);
            }
        }
        rules.talks.values_mut().for_each(Talk::index);
        (rules, cabinets)
    }

    fn add(&mut self, check: &Check, after: Option<usize>, people: &[Person<'_>], cabinets: &mut Cabinets) {
        let place = self.checks.len();
        let mut compiled = Compiled { wanted: wanted(check, people), times: 1, shared: false, after };
        match check {
            Check::Conversation(written) => {
                compiled.times = written.times.max(1);
                self.talks.entry(written.protocol).or_default().add(place, after, written, people);
            }
            Check::Message(written) => {
                compiled.times = written.times.max(1);
                self.messages.push(message::Rule::new(place, written, people));
            }
            Check::Retrieved(written) | Check::Deleted(written) => {
                compiled.shared = matches!(written.what, Which::Injected(_));
                self.asks_own |= written.what == Which::Own;
                let touch = if matches!(check, Check::Deleted(_)) { Touch::Deleted } else { Touch::Retrieved };
                let filled = |template: &String| people.iter().map(|person| person.fill(template)).collect();
                let mailbox = written.mailbox.as_ref().map(filled);
                self.touched.push(touched::Rule { check: place, touch, wanted: written.clone(), mailbox });
            }
            Check::Mailbox(written) => {
                let rule = self.mailboxes.len();
                compiled.shared = true;
                self.mailboxes.push(mailbox::Rule::new(place, rule, written, people, cabinets));
            }
            Check::Filed(written) => {
                compiled.shared = true;
                self.asks_own |= written.what == Which::Own;
                self.filed.push(filed::Rule::new(place, written, people, cabinets));
            }
            Check::Query(written) => {
                compiled.times = written.times.max(1);
                self.asked.push(asked::Rule::new(place, written, people));
            }
            Check::Carried(written) => {
                compiled.times = written.times.max(1);
                self.carried.push(carried::Rule::new(place, written, people));
            }
        }
        self.checks.push(compiled);
    }
}

fn wanted(check: &Check, people: &[Person<'_>]) -> Box<[Arc<Wanted>]> {
    let differs = match check {
        Check::Conversation(written) => written.steps.iter().any(|step| step.text.contains('{')),
        Check::Message(_) | Check::Mailbox(_) | Check::Filed(_) | Check::Query(_) | Check::Carried(_) => true,
        Check::Retrieved(written) | Check::Deleted(written) => written.mailbox.is_some(),
    };
    let needed = if differs { people } else { &people[..people.len().min(1)] };
    needed.iter().map(|person| Arc::new(wanted_of(check, person))).collect()
}

fn wanted_of(check: &Check, person: &Person<'_>) -> Wanted {
    match check {
        Check::Conversation(written) => Wanted::Conversation(WantedTalk {
            protocol: written.protocol,
            steps: steps(written, person),
            fault: written.fault.clone(),
            during: written.during,
            terms: written.terms.clone(),
            pipelined: written.pipelined,
        }),
        Check::Message(written) => Wanted::Message(conditions(written, person), written.one_connection),
        Check::Retrieved(written) => Wanted::Retrieved(touched(written, person)),
        Check::Deleted(written) => Wanted::Deleted(touched(written, person)),
        Check::Mailbox(written) => {
            let place = Place { mailbox: person.fill(&written.mailbox), folder: written.folder.clone() };
            Wanted::Mailbox(place, written.count)
        }
        Check::Filed(written) => Wanted::Filed(Filed { mailbox: person.fill(&written.mailbox), ..written.clone() }),
        Check::Query(written) => Wanted::Query(WantedQuery {
            name: written.name.as_ref().map(|name| shown(&name.0, person)),
            records: written.records.clone(),
            answer: written.answer,
        }),
        Check::Carried(written) => Wanted::Carried(WantedCarried {
            fate: written.fate,
            to: written.to.as_ref().map(|to| shown(&to.0, person)),
            status: written.status.as_ref().map(|status| shown(&status.0, person)),
        }),
    }
}

fn touched(written: &Touched, person: &Person<'_>) -> Touched {
    Touched { mailbox: written.mailbox.as_ref().map(|mailbox| person.fill(mailbox)), ..written.clone() }
}

fn steps(written: &Conversation, person: &Person<'_>) -> Vec<WantedStep> {
    let pattern = |pattern: &Pattern| shown(&pattern.0, person);
    let reply = |reply: &ReplyPattern| {
        let text = reply.text.as_ref().map(|text| format!(" {}", pattern(text)));
        format!("{}{}", reply.codes.join("|"), text.unwrap_or_default())
    };
    let step = |step: &crate::lab::exercise::Step| WantedStep {
        forbidden: step.forbidden,
        text: shown(step.text.trim_start_matches(['!', ' ']), person),
        argument: step.argument.as_ref().map(pattern).unwrap_or_default(),
        reply: step.reply.as_ref().map(reply).unwrap_or_default(),
    };
    written.steps.iter().map(step).collect()
}

fn conditions(written: &MessageCheck, person: &Person<'_>) -> Vec<(Condition, Arc<str>)> {
    let pattern = |pattern: &Pattern| Arc::from(shown(&pattern.0, person));
    let mut all = Vec::new();
    all.extend(written.mailbox.as_ref().map(|mailbox| (Condition::Mailbox, person.fill(mailbox).into())));
    all.extend(written.from.as_ref().map(|from| (Condition::From, pattern(from))));
    all.extend(written.to.as_ref().map(|to| (Condition::To, pattern(to))));
    all.extend(written.size.map(|size| (Condition::Size, size.to_string().into())));
    let header = |(name, value): &(String, Pattern)| (Condition::Header(name.as_str().into()), pattern(value));
    all.extend(written.headers.iter().map(header));
    all.extend(written.body.as_ref().map(|body| (Condition::Body, pattern(body))));
    let parts: Vec<String> = written.parts.iter().map(|part| shown(&part.0, person)).collect();
    all.extend((!parts.is_empty()).then(|| (Condition::Parts, parts.join(", ").into())));
    all.extend(written.hash.as_ref().map(|hash| (Condition::Hash, shown(hash, person).into())));
    all.extend(written.text.as_ref().map(|mail| (Condition::Text, mail.as_str().into())));
    all.extend(written.secret.as_ref().map(|mail| (Condition::Secret, mail.as_str().into())));
    all
}

/// A template filled in, but for what a student has to find out.
fn shown(template: &str, person: &Person<'_>) -> String {
    let Ok(pieces) = pieces(template) else {
        return template.to_owned();
    };
    let piece = |piece| match piece {
        Piece::Text(text) => text.to_owned(),
        Piece::Value { name: name @ ("secret" | "text" | "password"), of } => {
            of.map_or_else(|| format!("{{{name}}}"), |of| format!("{{{name}:{of}}}"))
        }
        Piece::Value { name, of: _ } => person.fill(&format!("{{{name}}}")),
    };
    pieces.into_iter().map(piece).collect()
}
