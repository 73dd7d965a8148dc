//! Conversation checks: one connection of the student with these steps in this order; other commands may come between. How all of
//! them are followed at once is `talk`.

pub mod talk;

use std::collections::BTreeSet;

use super::{Deed, Kind, Setup, View, Written, shown};
use crate::{
    evidence::Ending,
    findings::{Code, Field, Fields, Findings, Known, Section, mailbox, steps, times},
    lab::{
        FaultId, Protocol, TlsVersion,
        exercise::{MAX_STEPS, Pattern, ReplyPattern, Same, Step, Terms, TlsMode},
        template::Person,
    },
    marking::progress::{Attempt, Here, Instead, Progress},
    protocol::sasl::Mechanism,
    words::{Arg, Phrase, joined, listed, pattern, phrase, quoted},
};

pub(super) const NAMES: &[&str] = &["steps"];
pub(super) const KEYS: &[&str] = &[
    "protocol", "steps", "order", "times", "fault", "during", "tls", "tls_version", "auth", "auth_as", "pipelined",
];
pub(super) const TABLES: &[&Section] = &[];

/// A conversation as the lab wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The protocol of the connection.
    pub protocol: Protocol,
    /// The steps, at least one of them not a forbidding one, at most [`MAX_STEPS`].
    pub steps: Vec<Step>,
    /// Whether the steps may come in any order.
    pub any_order: bool,
    /// How many different connections must show it (1 by default).
    pub times: u32,
    /// The fault that the student must have met before the first step.
    pub fault: Option<FaultId>,
    /// Whether it must have been met in this very connection.
    pub during: bool,
    /// What the connection must be like when it has shown the last step.
    pub terms: Terms,
    /// Whether each step but the first must have come before the one before it was answered.
    pub pipelined: bool,
}

/// A conversation check, compiled: the steps themselves are among the [`talk::Talks`].
#[derive(Debug)]
pub struct Rule {
    protocol: Protocol,
    fault: Option<FaultId>,
    during: bool,
    /// What a student says to meet the fault.
    arming: Option<Arg>,
    any_order: bool,
    /// The steps in words: once, or per student.
    said: Box<[Box<[Said]>]>,
}

impl Check {
    /// Reads one of these.
    pub fn read(_: &str, fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let times = times(fields, findings);
        let fault = fields.text("fault", findings).and_then(|(id, span)| {
            known.expect_fault(id, &span, findings);
            id.parse().ok()
        });
        let during = fields.boolean("during", false, findings);
        if let Some(field) = fields.get("during").filter(|_| during && fields.get("fault").is_none()) {
            let problem = findings.lab(Code::NoEffect, &field.key_span, "no fault is asked for");
            problem.help("say which one: `fault = \"busy\"`");
        }
        let terms = terms(fields, known, findings);
        let spans = ["tls", "tls_version", "auth"].map(|key| fields.get(key).map(|field| field.span));
        known.offered.expect_terms(&terms, spans, findings);
        let pipelined = fields.boolean("pipelined", false, findings);
        let protocol = fields.required("protocol", "protocol = \"smtp\"", findings);
        let steps = fields.required("steps", "steps = [\"HELO -> 250\", \"QUIT -> 221\"]", findings);
        let protocols = Protocol::CHECKED.map(|protocol| (protocol.as_str(), protocol));
        let protocol = protocol.and_then(|field| field.choice(&protocols, findings));
        let field = steps?;
        let entries = field.at_most(MAX_STEPS, findings);
        let parse = |entry: &Field<'_>| steps::step(entry, protocol, known, findings);
        let parsed: Vec<_> = entries.iter().filter_map(parse).collect();
        let whole = parsed.len() == entries.len();
        for (step, entry) in parsed.iter().zip(&entries).filter(|_| whole) {
            known.offered.expect_step(step, &entry.span, findings);
        }
        if whole && parsed.iter().all(|step| step.forbidden) {
            let problem =
                findings.lab(Code::BadCheck, &field.span, "no step that must come, so that any connection would do");
            problem.help("begin for example with `<connect>`");
        }
        let wanted = parsed.iter().filter(|step| !step.forbidden).count();
        if let Some(field) = fields.get("pipelined").filter(|_| pipelined && wanted == 1 && whole) {
            let problem = findings.lab(Code::BadCheck, &field.key_span, "one step comes before no other's reply");
            problem.help("name the commands that are to come at once: `steps = [\"MAIL\", \"RCPT\", \"DATA\"]`");
        }
        let orders = [("written", false), ("any", true)];
        let order = fields.get("order");
        let any_order = order.as_ref().and_then(|field| field.choice(&orders, findings)).unwrap_or(false);
        if let Some(field) = order.filter(|_| any_order) {
            if parsed.iter().any(|step| step.forbidden) {
                let problem = findings.lab(Code::BadCheck, &field.key_span, "in any order nothing stands between two steps");
                problem.help("leave the steps with `!` out, or `order`");
            }
            if pipelined {
                let problem = findings.lab(Code::BadCheck, &field.key_span, "what is pipelined has an order");
                problem.help("leave `order` out");
            }
        }
        Some(Self { protocol: protocol?, steps: parsed, any_order, times, fault, during, terms, pipelined })
    }

    /// Compiles it.
    pub fn compile(&self, check: usize, after: Option<usize>, setup: &mut Setup<'_>) -> Rule {
        setup.talks.entry(self.protocol).or_default().add(check, after, self, setup.people);
        let differs = self.steps.iter().any(|step| step.text.contains('{'));
        let people = if differs { setup.people } else { &setup.people[..setup.people.len().min(1)] };
        let said = people.iter().map(|person| Said::all(&self.steps, person)).collect();
        let faults = setup.people.first().map(|person| &person.lab.faults);
        let fault = faults.into_iter().flatten().find(|fault| Some(&fault.id) == self.fault.as_ref());
        let arming = fault.filter(|fault| !fault.after.is_empty()).map(|fault| {
            let said = |step: &Step| quoted(step.text.split(" -> ").next().unwrap_or_default());
            listed(fault.after.iter().map(said))
        });
        let (protocol, fault, during, any_order) = (self.protocol, self.fault.clone(), self.during, self.any_order);
        Rule { protocol, fault, during, arming, any_order, said }
    }
}

fn terms(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Terms {
    let modes = [("none", TlsMode::Clear), ("starttls", TlsMode::Starttls), ("implicit", TlsMode::Implicit)];
    let versions = [TlsVersion::V12, TlsVersion::V13].map(|version| (version.as_str(), version));
    let mechanisms = Mechanism::ALL.map(Mechanism::as_str).into_iter().chain(["PASS", "APOP"]);
    let mechanisms: Vec<(&str, &str)> = mechanisms.map(|name| (name, name)).collect();
    let tls = fields.get("tls").and_then(|field| field.choice(&modes, findings));
    if let Some(field) = fields.get("tls_version").filter(|_| tls == Some(TlsMode::Clear)) {
        let problem = findings.lab(Code::Conflict, &field.key_span, "without TLS there is no version of it");
        problem.help("leave `tls_version` out");
    }
    Terms {
        tls,
        version: fields.get("tls_version").and_then(|field| field.choice(&versions, findings)),
        auth: fields.get("auth").and_then(|field| field.choice(&mechanisms, findings)).map(str::to_owned),
        auth_as: mailbox(fields, "auth_as", known, findings),
    }
}

impl Written for Check {
    fn never_bound(&self, same: Same) -> Option<&'static str> {
        let several = (self.times > 1).then_some("what is wanted several times is not one thing");
        several.or((same == Same::Message).then_some("a conversation is no message"))
    }

    fn wanted(&self, person: &Person<'_>) -> Phrase {
        let terms = [
            self.fault.as_ref().map(|fault| {
                let when = if self.during { phrase("term-during-fault") } else { phrase("term-after-fault") };
                when.with("fault", quoted(fault.as_str()))
            }),
            self.terms.tls.map(|mode| match mode {
                TlsMode::Clear => phrase("term-clear"),
                TlsMode::Starttls => phrase("term-starttls"),
                TlsMode::Implicit => phrase("term-implicit"),
            }),
            self.terms.version.map(|version| phrase("term-version").with("version", version.as_str())),
            self.terms.auth.as_ref().map(|auth| phrase("term-auth").with("mechanism", auth.as_str())),
            self.terms.auth_as.as_ref().map(|name| phrase("term-auth-as").with("mailbox", quoted(person.fill(name)))),
            self.pipelined.then(|| phrase("term-pipelined")),
            self.any_order.then(|| phrase("term-any-order")),
        ];
        phrase("conversation-wanted")
            .with("terms", joined(terms.into_iter().flatten()))
            .with("protocol", self.protocol.as_str().to_ascii_uppercase())
            .with("steps", listed(in_order(&self.steps, |step| text(step, person))))
    }

    fn times(&self) -> u32 {
        self.times.max(1)
    }
}

impl Kind for Rule {
    /// It is followed command by command.
    fn take(&self, _: &mut Deed<'_, '_>, _: &View<'_>, _: &Here, _: &mut Progress) {}

    fn awaits(&self, met: &BTreeSet<FaultId>) -> Option<Phrase> {
        let fault = self.fault.as_ref()?;
        let (phrase, again) = match (met.contains(fault), &self.arming) {
            (false, Some(_)) => (phrase("fault-unmet-ask"), true),
            (false, None) => (phrase("fault-unmet"), false),
            (true, Some(_)) if self.during => (phrase("fault-used"), true),
            (true, _) => return None,
        };
        let phrase = phrase.with("fault", quoted(fault.as_str()));
        Some(if again { phrase.with("command", self.arming.clone().unwrap_or_else(|| quoted(""))) } else { phrase })
    }

    fn attempted(&self, student: usize, attempt: &Attempt) -> Option<Phrase> {
        let steps = self.said.get(student).or(self.said.first())?;
        if self.any_order {
            let unseen = steps.iter().enumerate().filter(|(step, _)| attempt.seen >> (step + 1) & 1 == 0);
            let still = phrase("attempt-still").with("steps", listed(unseen.map(|(_, step)| step.text.clone())));
            let still = (attempt.reached < steps.len()).then_some(still);
            let terms = attempt.why.clone().filter(|_| attempt.instead == Some(Instead::Terms));
            let ended = attempt.ended.map(|how| ending(how, self.protocol));
            let phrase = phrase("closest-connection").with("conn", attempt.conn.0).with("at", attempt.at);
            return Some(phrase.with("rest", joined([still, terms, ended].into_iter().flatten())));
        }
        let last = attempt.reached.checked_sub(1).and_then(|last| steps.get(last));
        let reached = last.map(|last| phrase("attempt-reached").with("step", last.text.clone()));
        let ended = attempt.ended.map(|how| ending(how, self.protocol));
        let rest = [reached, then(attempt, steps.get(attempt.reached)), ended];
        let phrase = phrase("closest-connection").with("conn", attempt.conn.0).with("at", attempt.at);
        Some(phrase.with("rest", joined(rest.into_iter().flatten())))
    }
}

/// A step as it may be shown. A code with an `x` is the lab's notation, so what it means is said.
fn text(step: &Step, person: &Person<'_>) -> Arg {
    let whole = step.text.trim_start_matches(['!', ' ']);
    let class = step.reply.as_ref().filter(|reply| reply.text.is_none() && reply.codes.iter().all(|code| code.ends_with("xx")));
    match (class, whole.rsplit_once("->")) {
        (Some(reply), Some((command, codes))) => {
            let reply = meaning(reply, pattern(codes.trim()));
            phrase("step-answered").with("step", pattern(shown(command.trim(), person))).with("reply", reply).into()
        }
        _ => pattern(shown(whole, person)),
    }
}

/// The steps in order, each said by `text`. A step that forbids everything says that its neighbours follow each other directly.
fn in_order(steps: &[Step], text: impl Fn(&Step) -> Arg) -> Vec<Arg> {
    let nothing = |step: &Step| step.forbidden && step.text.trim_start_matches(['!', ' ']) == "*";
    let mut said: Vec<Arg> = Vec::new();
    for (place, step) in steps.iter().enumerate() {
        let text = || text(step);
        if nothing(step) {
            if place + 1 == steps.len() {
                said.push(phrase("step-nothing-else").into());
            }
        } else if step.forbidden {
            said.push(phrase("step-none").with("step", text()).into());
        } else if place == 1 && nothing(&steps[0]) {
            said.push(phrase("step-first").with("step", text()).into());
        } else if place > 0 && nothing(&steps[place - 1]) {
            said.push(phrase("step-directly-after").with("step", text()).into());
        } else {
            said.push(text());
        }
    }
    said
}

/// A step that must come, in words.
#[derive(Debug)]
struct Said {
    text: Arg,
    argument: Arg,
    reply: Arg,
}

impl Said {
    /// The steps that must come, for this person.
    fn all(steps: &[Step], person: &Person<'_>) -> Box<[Self]> {
        let filled = |pattern: &Pattern| shown(&pattern.0, person);
        let reply = |reply: &ReplyPattern| {
            let text = reply.text.as_ref().map(|text| format!(" {}", filled(text)));
            meaning(reply, pattern(format!("{}{}", reply.codes.join("|"), text.unwrap_or_default())))
        };
        let step = |step: &Step| Self {
            text: text(step, person),
            argument: pattern(step.argument.as_ref().map(filled).unwrap_or_default()),
            reply: step.reply.as_ref().map_or_else(|| quoted(""), reply),
        };
        steps.iter().filter(|step| !step.forbidden).map(step).collect()
    }
}

/// A reply pattern with what it means, where all of its codes mean the same.
fn meaning(reply: &ReplyPattern, said: Arg) -> Arg {
    let all = |begins: &[&str]| reply.codes.iter().all(|code| begins.iter().any(|begin| code.starts_with(begin)));
    let means = match () {
        () if all(&["5", "-ERR", "NO"]) => phrase("reply-refused"),
        () if all(&["4"]) => phrase("reply-later"),
        () if all(&["2", "+OK", "OK"]) => phrase("reply-accepted"),
        () => return said,
    };
    means.with("reply", said).into()
}

/// What came in place of the next step, or what comes next.
fn then(attempt: &Attempt, next: Option<&Said>) -> Option<Phrase> {
    let verb = |phrase: Phrase| phrase.with("verb", verb_quoted(&attempt.verb));
    match (attempt.instead, next) {
        (Some(Instead::Terms), _) => attempt.why.clone(),
        (Some(Instead::Waited), _) => Some(verb(phrase("attempt-waited"))),
        (Some(Instead::Forbidden), _) => Some(verb(phrase("attempt-forbidden"))),
        (Some(Instead::Reply), Some(next)) => Some(
            verb(phrase("attempt-reply")).with("said", quoted(&attempt.said)).with("wanted", next.reply.clone()),
        ),
        (Some(Instead::Argument), Some(next)) => Some(
            verb(phrase("attempt-argument")).with("said", quoted(&attempt.said)).with("wanted", next.argument.clone()),
        ),
        (None, Some(next)) => Some(phrase("attempt-next").with("step", next.text.clone())),
        (None | Some(Instead::Reply | Instead::Argument), None) => {
            attempt.ended.is_none().then(|| phrase("attempt-end"))
        }
    }
}

fn ending(how: Ending, protocol: Protocol) -> Phrase {
    let verb = if protocol == Protocol::Imap { "LOGOUT" } else { "QUIT" };
    match how {
        Ending::Quit => phrase("ended-quit").with("verb", verb),
        Ending::Dropped => phrase("ended-dropped").with("verb", verb),
        Ending::Idle => phrase("ended-idle"),
        Ending::Refused => phrase("ended-refused"),
        Ending::Shutdown => phrase("ended-shutdown"),
        Ending::Instructor => phrase("ended-instructor"),
        Ending::Fault => phrase("ended-fault"),
        Ending::Failed => phrase("ended-failed"),
    }
}

/// What proves a check: the verbs in order.
pub fn proof<'a>(conn: u64, verbs: impl Iterator<Item = &'a str>) -> Phrase {
    phrase("connection-proof").with("conn", conn).with("verbs", listed(verbs.map(verb)))
}

/// A verb as people say it.
fn verb(verb: &str) -> Arg {
    match verb {
        "<message>" => phrase("verb-message").into(),
        "<connect>" => phrase("verb-connect").into(),
        "*" => "…".into(),
        other => other.into(),
    }
}

fn verb_quoted(said: &str) -> Arg {
    match said {
        "<message>" | "<connect>" | "*" => phrase("verb-quoted").with("verb", verb(said)).into(),
        other => quoted(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{Lang, Words};

    fn steps_said(steps: &[&str], lang: Lang) -> String {
        let steps: Vec<Step> = steps.iter().map(|step| step.parse().unwrap()).collect();
        let plain = |step: &Step| quoted(step.text.trim_start_matches(['!', ' ']));
        Words { lang, utc_offset_secs: 0 }.text(&listed(in_order(&steps, plain)))
    }

    #[test]
    fn a_step_that_forbids_everything_is_said_as_an_order() {
        let said = |all: &[&str]| steps_said(all, Lang::ENGLISH);
        assert_eq!(said(&["! *", "HELO|EHLO -> 250", "! *"]), "first of all `HELO|EHLO -> 250`, and nothing else");
        assert_eq!(said(&["<connect>", "! *", "HELO", "QUIT"]), "`<connect>`, directly after it `HELO`, `QUIT`");
        assert_eq!(said(&["! RSET", "HELO", "! RSET|MAIL"]), "no `RSET`, `HELO`, no `RSET|MAIL`");
        assert_eq!(steps_said(&["! *", "NOOP"], Lang::SPANISH), "lo primero `NOOP`");
    }
}
