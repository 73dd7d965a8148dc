//! What a lab asks students to use: the services of its exercises, tokens, and the language it is written in. Cards are
//! made of it.

use std::collections::BTreeSet;

use super::{
    Check, Exercise, Lab, Protocol, Service,
    exercise::{Conversation, ScriptLine, TlsMode, Touched},
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

impl Lab {
    /// How a student uses the servers: as the exercises do, by their solutions, else by their checks; without exercises the
    /// plainest service of each protocol.
    pub fn uses(&self) -> BTreeSet<Use> {
        let mut uses = BTreeSet::new();
        for exercise in &self.exercises {
            if exercise.solution.is_empty() {
                uses.extend(exercise.checks.iter().filter_map(|check| self.by_check(check)));
            }
            uses.extend(exercise.solution.iter().map(|script| Use {
                service: script.service,
                starttls: script.lines.contains(&ScriptLine::Tls) && !script.service.implicit_tls(),
            }));
        }
        uses.retain(|used| self.settings.services.contains(&used.service));
        if uses.is_empty() {
            let plainest = Protocol::CHECKED.into_iter().filter_map(|protocol| self.first_of(&services(protocol)));
            uses.extend(plainest.map(|service| Use { service, starttls: false }));
        }
        uses
    }

    fn by_check(&self, check: &Check) -> Option<Use> {
        let starttls = match check {
            Check::Conversation(talk) => talk.terms.tls == Some(TlsMode::Starttls),
            Check::Message(_)
            | Check::Retrieved(_)
            | Check::Deleted(_)
            | Check::Mailbox(_)
            | Check::Filed(_)
            | Check::Query(_)
            | Check::Carried(_) => false,
        };
        Some(Use { service: self.first_of(&candidates(check))?, starttls })
    }

    /// Whether an exercise logs in with a token.
    pub fn asks_for_token(&self) -> bool {
        self.exercises.iter().any(|exercise| exercise_texts(exercise).any(|text| names_token(text)))
    }

    /// The code of the language that the lab is in: the one it states, else the only one that its texts are written in.
    pub fn language(&self) -> Option<&str> {
        if self.language.is_some() {
            return self.language.as_deref();
        }
        let titles = self.exercises.iter().map(|exercise| &exercise.title);
        let codes = std::iter::once(&self.title).chain(titles).flat_map(|text| text.0.keys());
        let codes: BTreeSet<&str> = codes.map(String::as_str).filter(|code| !code.is_empty()).collect();
        codes.first().copied().filter(|_| codes.len() == 1)
    }

    fn first_of(&self, services: &[Service]) -> Option<Service> {
        services.iter().copied().find(|service| self.settings.services.contains(service))
    }
}

/// A protocol's services, the plainest first.
fn services(protocol: Protocol) -> Vec<Service> {
    Service::ALL.into_iter().filter(|service| service.protocol() == protocol).collect()
}

/// The services by which a check can be met; the plainest first.
fn candidates(check: &Check) -> Vec<Service> {
    match check {
        Check::Conversation(Conversation { protocol, terms, .. }) => {
            let mut all = services(*protocol);
            if let Some(mode) = terms.tls {
                all.retain(|service| service.implicit_tls() == (mode == TlsMode::Implicit));
            }
            all
        }
        Check::Message(_) | Check::Carried(_) => services(Protocol::Smtp),
        Check::Retrieved(Touched { via: Some(protocol), .. }) | Check::Deleted(Touched { via: Some(protocol), .. }) => {
            services(*protocol)
        }
        Check::Retrieved(Touched { folder: None, .. }) | Check::Deleted(Touched { folder: None, .. }) => {
            [services(Protocol::Pop3), services(Protocol::Imap)].concat()
        }
        Check::Retrieved(_) | Check::Deleted(_) | Check::Filed(_) => services(Protocol::Imap),
        Check::Mailbox(mailbox) if !mailbox.folder.is_inbox() => services(Protocol::Imap),
        Check::Mailbox(_) => Vec::new(),
        Check::Query(_) => services(Protocol::Dns),
    }
}

fn names_token(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    WITH_TOKEN.iter().any(|mechanism| text.contains(mechanism))
}

/// Where an exercise can name a mechanism.
fn exercise_texts(exercise: &Exercise) -> impl Iterator<Item = &str> {
    let steps = exercise.checks.iter().flat_map(|check| match check {
        Check::Conversation(talk) => {
            talk.steps.iter().map(|step| step.text.as_str()).chain(talk.terms.auth.as_deref()).collect()
        }
        Check::Message(_)
        | Check::Retrieved(_)
        | Check::Deleted(_)
        | Check::Mailbox(_)
        | Check::Filed(_)
        | Check::Query(_)
        | Check::Carried(_) => Vec::new(),
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
