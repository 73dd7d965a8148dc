//! What a lab asks students to use: the services of its exercises, and tokens. Cards are made of it.

use std::collections::BTreeSet;

use super::checks::Check;
use crate::lab::{
    Exercise, Lab, Protocol, Service,
    exercise::{ScriptLine, TlsMode},
};

/// The mechanisms that take a token for a password (RFC 7628, and Google's before it).
const WITH_TOKEN: [&str; 2] = ["XOAUTH2", "OAUTHBEARER"];

/// A service, and whether it is spoken under STARTTLS (or STLS) there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// The service.
    pub service: Service,
    /// Whether TLS is asked for there.
    pub starttls: bool,
}

/// How a student uses the servers: as the exercises do, by their solutions, else by their checks; without exercises the
/// plainest service of each protocol.
pub fn uses(lab: &Lab) -> BTreeSet<Use> {
    let mut uses = BTreeSet::new();
    for exercise in &lab.exercises {
        if exercise.solution.is_empty() {
            uses.extend(exercise.checks.iter().filter_map(|asked| by_check(lab, asked.check())));
        }
        uses.extend(exercise.solution.iter().map(|script| Use {
            service: script.service,
            starttls: script.lines.contains(&ScriptLine::Tls) && !script.service.implicit_tls(),
        }));
    }
    uses.retain(|used| lab.settings.services.contains(&used.service));
    if uses.is_empty() {
        let plainest = Protocol::CHECKED.into_iter().filter_map(|protocol| first_of(lab, &services(protocol)));
        uses.extend(plainest.map(|service| Use { service, starttls: false }));
    }
    uses
}

/// Whether an exercise logs in with a token.
pub fn asks_for_token(lab: &Lab) -> bool {
    lab.exercises.iter().any(|exercise| exercise_texts(exercise).any(names_token))
}

fn by_check(lab: &Lab, check: &Check) -> Option<Use> {
    let starttls = match check {
        Check::Conversation(talk) => talk.terms.tls == Some(TlsMode::Starttls),
        Check::Message(_)
        | Check::Touched(_)
        | Check::Mailbox(_)
        | Check::Filed(_)
        | Check::Query(_)
        | Check::Carried(_) => false,
        #[cfg(test)]
        Check::MadeUp(_) => false,
    };
    Some(Use { service: first_of(lab, &candidates(check))?, starttls })
}

fn first_of(lab: &Lab, services: &[Service]) -> Option<Service> {
    services.iter().copied().find(|service| lab.settings.services.contains(service))
}

/// A protocol's services, the plainest first.
fn services(protocol: Protocol) -> Vec<Service> {
    Service::ALL.into_iter().filter(|service| service.protocol() == protocol).collect()
}

/// The services by which a check can be met; the plainest first.
fn candidates(check: &Check) -> Vec<Service> {
    match check {
        Check::Conversation(talk) => {
            let mut all = services(talk.protocol);
            if let Some(mode) = talk.terms.tls {
                all.retain(|service| service.implicit_tls() == (mode == TlsMode::Implicit));
            }
            all
        }
        Check::Message(_) | Check::Carried(_) => services(Protocol::Smtp),
        Check::Touched(touched) => match (touched.via, &touched.folder) {
            (Some(protocol), _) => services(protocol),
            (None, Some(_)) => services(Protocol::Imap),
            (None, None) => [services(Protocol::Pop3), services(Protocol::Imap)].concat(),
        },
        Check::Filed(_) => services(Protocol::Imap),
        Check::Mailbox(mailbox) if !mailbox.folder.is_inbox() => services(Protocol::Imap),
        Check::Mailbox(_) => Vec::new(),
        Check::Query(_) => services(Protocol::Dns),
        #[cfg(test)]
        Check::MadeUp(_) => Vec::new(),
    }
}

fn names_token(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    WITH_TOKEN.iter().any(|mechanism| text.contains(mechanism))
}

/// Where an exercise can name a mechanism.
fn exercise_texts(exercise: &Exercise) -> impl Iterator<Item = &str> {
    let steps = exercise.checks.iter().flat_map(|asked| match asked.check::<Check>() {
        Check::Conversation(talk) => {
            talk.steps.iter().map(|step| step.text.as_str()).chain(talk.terms.auth.as_deref()).collect()
        }
        Check::Message(_)
        | Check::Touched(_)
        | Check::Mailbox(_)
        | Check::Filed(_)
        | Check::Query(_)
        | Check::Carried(_) => Vec::new(),
        #[cfg(test)]
        Check::MadeUp(_) => Vec::new(),
    });
    let lines = exercise.solution.iter().flat_map(|script| &script.lines).filter_map(|line| match line {
        ScriptLine::Client(text) | ScriptLine::Ahead(text) => Some(text.as_str()),
        ScriptLine::Base64(_)
        | ScriptLine::Server(_)
        | ScriptLine::Close
        | ScriptLine::Hold
        | ScriptLine::Cut
        | ScriptLine::Tls
        | ScriptLine::Silence => None,
    });
    steps.chain(lines)
}
