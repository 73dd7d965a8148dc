//! Message checks: a message that the student delivered, seen from its envelope first; its content is fetched only where the
//! envelope fits.

use std::sync::Arc;

use super::{
    content::Content,
    delivery::Delivery,
    glob::Filled,
    marks::{Closest, Condition, Failing, MessageAttempt, Proof, Shown, Wanted},
    progress::{Here, Progress},
};
use crate::lab::{
    Key, MailId,
    exercise::{Bound, MessageCheck, Pattern},
    template::Person,
};

/// A message check, compiled.
#[derive(Debug)]
pub struct Rule {
    /// The check's place among all checks.
    pub check: usize,
    mailbox: Option<Box<[String]>>,
    from: Option<Filled>,
    to: Option<Filled>,
    size: Option<Bound>,
    headers: Vec<(Arc<str>, Filled)>,
    body: Option<Filled>,
    parts: Box<[Filled]>,
    hash: Option<Box<[String]>>,
    text: Option<Given>,
    secret: Option<Box<[String]>>,
    times: usize,
    one_connection: bool,
}

/// The text of an injected mail; it is long, so it is made when it is needed.
#[derive(Debug)]
struct Given {
    key: Key,
    mail: String,
    octets: u64,
    group: String,
    /// Per student; empty for a mail that the group shares.
    logins: Box<[String]>,
}

impl Rule {
    /// Compiles a check for these people.
    pub fn new(check: usize, written: &MessageCheck, people: &[Person<'_>]) -> Self {
        let filled = |template: &str| people.iter().map(|person| person.fill(template)).collect();
        let given = |mail: &MailId| {
            let person = people.first()?;
            let found = person.lab.mail(mail.as_str());
            let shared = found.is_some_and(|mail| !mail.per_student);
            let login = |person: &Person<'_>| if shared { String::new() } else { person.login().to_owned() };
            Some(Given {
                key: person.key.clone(),
                mail: mail.to_string(),
                octets: found.map_or(0, |mail| mail.text_octets),
                group: person.group.name.to_string(),
                logins: people.iter().map(login).collect(),
            })
        };
        let pattern = |pattern: &Pattern| Filled::new(pattern, people);
        Self {
            check,
            mailbox: written.mailbox.as_deref().map(filled),
            from: written.from.as_ref().map(pattern),
            to: written.to.as_ref().map(pattern),
            size: written.size,
            headers: written.headers.iter().map(|(name, value)| (name.as_str().into(), pattern(value))).collect(),
            body: written.body.as_ref().map(pattern),
            parts: written.parts.iter().map(pattern).collect(),
            hash: written.hash.as_deref().map(filled),
            text: written.text.as_ref().and_then(given),
            secret: written.secret.as_ref().map(|mail| filled(&format!("{{secret:{mail}}}"))),
            times: written.times.max(1) as usize,
            one_connection: written.one_connection,
        }
    }

    /// Takes a delivery of the student; says whether its content was wanted and is lost.
    pub fn take(&self, here: &Here, delivery: &mut Delivery<'_>, wanted: &Wanted, own: &mut Progress) -> bool {
        let [mailbox, from, to, size, text] = self.envelope(here.student, delivery);
        let envelope = [mailbox, from, to, size].into_iter().filter(|fits| !fits).count();
        if envelope > 0 || !text {
            if closer((envelope, envelope + usize::from(!text)), own) {
                let failing = |fits: bool, condition| (!fits).then_some((condition, None));
                let conditions = [
                    failing(mailbox, Condition::Mailbox),
                    failing(from, Condition::From),
                    failing(to, Condition::To),
                    failing(size, Condition::Size),
                    failing(text, Condition::Text),
                ];
                attempted(here, delivery, conditions.into_iter().flatten(), wanted, own);
            }
            return false;
        }
        let failings = if self.wants_content() {
            let Some(content) = delivery.content() else {
                return true;
            };
            self.content(here.student, content)
        } else {
            Vec::new()
        };
        if failings.is_empty() {
            self.prove(here, delivery, own);
        } else if closer((0, failings.len()), own) {
            attempted(here, delivery, failings.into_iter(), wanted, own);
        }
        false
    }

    /// The connection ended: of several messages over one connection, nothing more can come. What it had is
    /// kept for words as long as no other connection has anything.
    pub fn end(&self, here: &Here, own: &mut Progress) {
        if self.one_connection && !own.held && own.proofs.iter().any(|proof| proof.conn != here.conn) {
            own.proofs.retain(|proof| proof.conn != here.conn);
        }
    }

    fn prove(&self, here: &Here, delivery: &Delivery<'_>, own: &mut Progress) {
        let mailboxes = delivery.delivered.iter().map(|delivered| delivered.mailbox.clone()).collect();
        let shows = Shown::Message(delivery.message, mailboxes);
        let proof = Proof { events: vec![here.seq], conn: here.conn, at: here.time, shows };
        if !self.one_connection || self.times == 1 {
            own.proven(proof, self.times);
            return;
        }
        let before = own.proofs.iter().filter(|earlier| earlier.conn == here.conn).count();
        if before + 1 >= self.times {
            own.proofs.retain(|earlier| earlier.conn == here.conn);
            own.proven(proof, self.times);
        } else {
            own.proven(proof, usize::MAX);
        }
    }

    fn wants_content(&self) -> bool {
        let Self { headers, body, parts, hash, text, secret, .. } = self;
        !headers.is_empty()
            || !parts.is_empty()
            || body.is_some()
            || hash.is_some()
            || text.is_some()
            || secret.is_some()
    }

    /// Whether mailbox, reverse-path, recipients, size fit, and whether the text can be in it at all.
    fn envelope(&self, student: usize, delivery: &Delivery<'_>) -> [bool; 5] {
        let there = |name: &str| delivery.delivered.iter().any(|delivered| delivered.mailbox.as_str() == name);
        // A text does not fit in far fewer octets; a sixteenth is more than line ends and trailing blanks can make.
        let fits = |given: &Given| delivery.octets + delivery.octets / 16 + 16 >= given.octets;
        [
            self.mailbox.as_ref().is_none_or(|names| there(&names[student])),
            self.from.as_ref().is_none_or(|pattern| delivery.is_from(pattern.of(student))),
            self.to.as_ref().is_none_or(|pattern| delivery.is_to(pattern.of(student))),
            self.size.is_none_or(|bound| bound.holds(delivery.octets)),
            self.text.as_ref().is_none_or(fits),
        ]
    }

    fn content(&self, student: usize, content: &Content) -> Vec<(Condition, Option<Arc<str>>)> {
        let mut failings = Vec::new();
        for (name, pattern) in &self.headers {
            let values = content.header(name);
            if !values.iter().any(|value| pattern.of(student).matches(value)) {
                failings.push((Condition::Header(Arc::clone(name)), values.into_iter().next().map(Arc::from)));
            }
        }
        if self.body.as_ref().is_some_and(|pattern| !content.body_matches(pattern.of(student))) {
            failings.push((Condition::Body, content.first_line().map(Arc::from)));
        }
        if !self.parts.is_empty() {
            let parts = content.parts();
            let mut rest = parts.iter();
            if !self.parts.iter().all(|wanted| rest.any(|part| wanted.of(student).matches(part))) {
                let listed = parts.iter().take(super::LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
                failings.push((Condition::Parts, Some(listed.into())));
            }
        }
        if let Some(wanted) = &self.hash {
            let hashes = content.hashes();
            if !hashes.iter().any(|hash| hash.eq_ignore_ascii_case(wanted[student].trim())) {
                failings.push((Condition::Hash, hashes.into_iter().next().map(Arc::from)));
            }
        }
        if let Some(given) = &self.text {
            let (have, all) = content.lines_of(&given.of(student));
            if have < all {
                failings.push((Condition::Text, Some(format!("{have}/{all}").into())));
            }
        }
        if self.secret.as_ref().is_some_and(|secret| !content.body_holds(&secret[student])) {
            failings.push((Condition::Secret, None));
        }
        failings
    }
}

impl Given {
    fn of(&self, student: usize) -> String {
        self.key.text(&self.group, &self.logins[student], &self.mail, self.octets)
    }
}

/// What a message fails in its envelope is worse than what it fails in its content; then fewer are better, then the later.
fn closer(failings: (usize, usize), own: &Progress) -> bool {
    let Some(Closest::Message(best)) = own.closest.as_deref() else {
        return true;
    };
    let envelope = best.failings.iter().filter(|failing| match failing.condition {
        Condition::Mailbox | Condition::From | Condition::To | Condition::Size => true,
        Condition::Header(_)
        | Condition::Body
        | Condition::Parts
        | Condition::Hash
        | Condition::Text
        | Condition::Secret => false,
    });
    failings <= (envelope.count(), best.failings.len())
}

fn attempted(
    here: &Here,
    delivery: &Delivery<'_>,
    failings: impl Iterator<Item = (Condition, Option<Arc<str>>)>,
    wanted: &Wanted,
    own: &mut Progress,
) {
    let wants = |condition: &Condition| match wanted {
        Wanted::Message(conditions, _) => conditions.iter().find(|(own, _)| own == condition),
        Wanted::Conversation(..)
        | Wanted::Retrieved(_)
        | Wanted::Deleted(_)
        | Wanted::Mailbox(..)
        | Wanted::Filed(_)
        | Wanted::Query(_)
        | Wanted::Carried(_) => None,
    };
    let explained = |(condition, found): (Condition, Option<Arc<str>>)| Failing {
        wanted: wants(&condition).map_or_else(|| Arc::from(""), |(_, wants)| Arc::clone(wants)),
        found: found.or_else(|| delivery.found(&condition)),
        condition,
    };
    let failings = failings.map(explained).collect();
    let attempt = MessageAttempt { seq: here.seq, conn: here.conn, at: here.time, message: delivery.message, failings };
    match &mut own.closest {
        Some(closest) => **closest = Closest::Message(attempt),
        none @ None => *none = Some(Box::new(Closest::Message(attempt))),
    }
}
