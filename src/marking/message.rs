//! Message checks: a message that the student delivered, seen from its envelope first; its content is fetched only where the
//! envelope fits.

use std::cell::OnceCell;

use super::{
    content::Content,
    glob::{Filled, Path},
    marks::{Closest, Condition, Failing, MessageAttempt, Proof, Shown, Wanted},
    progress::{Here, Progress},
};
use crate::{
    evidence::{Delivered, MessageId},
    lab::{
        Key,
        exercise::{Bound, MessageCheck},
        template::Person,
    },
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
    headers: Vec<(String, Filled)>,
    body: Option<Filled>,
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

/// A delivered message: what the event says, and the content once somebody wanted it.
pub struct Delivery<'a> {
    /// Its number.
    pub message: MessageId,
    /// The reverse-path.
    pub from: &'a str,
    /// The recipients.
    pub recipients: &'a [String],
    /// Where it went.
    pub delivered: &'a [Delivered],
    /// Octets as sent.
    pub octets: u64,
    /// The group's domain, folded.
    pub domain: &'a str,
    /// Where the content comes from.
    pub fetch: &'a mut dyn FnMut(MessageId) -> Option<Vec<u8>>,
    /// The content, once fetched; none where it is lost.
    pub content: OnceCell<Option<Content>>,
}

impl Delivery<'_> {
    fn content(&mut self) -> Option<&Content> {
        let Self { message, octets, fetch, content, .. } = self;
        content.get_or_init(|| fetch(*message).map(|content| Content::new(content, *octets))).as_ref()
    }

    fn has_path(&self, path: &str, pattern: &Filled, student: usize) -> bool {
        let mut found = Path::default();
        found.set(path, self.domain);
        found.matches(pattern.of(student))
    }
}

impl Rule {
    /// Compiles a check for these people.
    pub fn new(check: usize, written: &MessageCheck, people: &[Person<'_>]) -> Self {
        let filled = |template: &str| people.iter().map(|person| person.fill(template)).collect();
        let given = |mail: &crate::lab::MailId| {
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
        let pattern = |pattern: &crate::lab::exercise::Pattern| Filled::new(pattern, people);
        Self {
            check,
            mailbox: written.mailbox.as_deref().map(filled),
            from: written.from.as_ref().map(pattern),
            to: written.to.as_ref().map(pattern),
            size: written.size,
            headers: written.headers.iter().map(|(name, value)| (name.clone(), pattern(value))).collect(),
            body: written.body.as_ref().map(pattern),
            hash: written.hash.as_deref().map(filled),
            text: written.text.as_ref().and_then(given),
            secret: written.secret.as_ref().map(|mail| filled(&format!("{{secret:{mail}}}"))),
            times: written.times.max(1) as usize,
            one_connection: written.one_connection,
        }
    }

    /// Takes a delivery of the student; says whether its content was wanted and is lost.
    pub fn take(&self, here: &Here, delivery: &mut Delivery<'_>, wanted: &Wanted, own: &mut Progress) -> bool {
        let mut failings = self.envelope(here.student, delivery);
        let mut lost = false;
        if failings.is_empty() && self.wants_content() {
            match delivery.content() {
                Some(content) => failings = self.content(here.student, content),
                None => lost = true,
            }
        }
        if lost {
            return true;
        }
        if failings.is_empty() {
            self.prove(here, delivery, own);
        } else if closer(&failings, own) {
            let failings = failings.into_iter().map(|failing| explained(failing, delivery, wanted)).collect();
            let attempt = MessageAttempt { seq: here.seq, at: here.time, message: delivery.message, failings };
            own.closest = Some(Box::new(Closest::Message(attempt)));
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
        let Self { headers, body, hash, text, secret, .. } = self;
        !headers.is_empty() || body.is_some() || hash.is_some() || text.is_some() || secret.is_some()
    }

    fn envelope(&self, student: usize, delivery: &Delivery<'_>) -> Vec<(Condition, Option<String>)> {
        let mut failings = Vec::new();
        if let Some(mailbox) = &self.mailbox
            && !delivery.delivered.iter().any(|delivered| delivered.mailbox.as_str() == mailbox[student])
        {
            failings.push((Condition::Mailbox, None));
        }
        if self.from.as_ref().is_some_and(|pattern| !delivery.has_path(delivery.from, pattern, student)) {
            failings.push((Condition::From, None));
        }
        let to = |pattern: &Filled| delivery.recipients.iter().any(|path| delivery.has_path(path, pattern, student));
        if self.to.as_ref().is_some_and(|pattern| !to(pattern)) {
            failings.push((Condition::To, None));
        }
        // A text does not fit in far fewer octets; a sixteenth is more than line ends and trailing blanks can make.
        let fits = |given: &Given| delivery.octets + delivery.octets / 16 + 16 >= given.octets;
        if self.size.is_some_and(|bound| !bound.holds(delivery.octets)) {
            failings.push((Condition::Size, None));
        } else if self.text.as_ref().is_some_and(|given| !fits(given)) {
            failings.push((Condition::Text, None));
        }
        failings
    }

    fn content(&self, student: usize, content: &Content) -> Vec<(Condition, Option<String>)> {
        let mut failings = Vec::new();
        for (name, pattern) in &self.headers {
            let values = content.header(name);
            if !values.iter().any(|value| pattern.of(student).matches(value)) {
                failings.push((Condition::Header(name.clone()), values.into_iter().next()));
            }
        }
        if self.body.as_ref().is_some_and(|pattern| !content.body_matches(pattern.of(student))) {
            failings.push((Condition::Body, content.first_line()));
        }
        if let Some(wanted) = &self.hash {
            let hashes = content.hashes();
            if !hashes.iter().any(|hash| hash.eq_ignore_ascii_case(wanted[student].trim())) {
                failings.push((Condition::Hash, hashes.into_iter().next()));
            }
        }
        if let Some(given) = &self.text {
            let (have, all) = content.lines_of(&given.of(student));
            if have < all {
                failings.push((Condition::Text, Some(format!("{have}/{all}"))));
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
fn closer(failings: &[(Condition, Option<String>)], own: &Progress) -> bool {
    let Some(Closest::Message(best)) = own.closest.as_deref() else {
        return true;
    };
    let envelope = |condition: &Condition| match condition {
        Condition::Mailbox | Condition::From | Condition::To | Condition::Size => true,
        Condition::Header(_) | Condition::Body | Condition::Hash | Condition::Text | Condition::Secret => false,
    };
    let new = (failings.iter().filter(|(condition, _)| envelope(condition)).count(), failings.len());
    let old = (best.failings.iter().filter(|failing| envelope(&failing.condition)).count(), best.failings.len());
    new <= old
}

fn explained((condition, found): (Condition, Option<String>), delivery: &Delivery<'_>, wanted: &Wanted) -> Failing {
    let found = match &condition {
        Condition::Mailbox => Some(list(delivery.delivered.iter().map(|delivered| delivered.mailbox.as_str()))),
        Condition::From => Some(delivery.from.to_owned()),
        Condition::To => Some(list(delivery.recipients.iter().map(String::as_str))),
        Condition::Size => Some(delivery.octets.to_string()),
        Condition::Header(_) | Condition::Body | Condition::Hash | Condition::Text | Condition::Secret => found,
    };
    let wants = match wanted {
        Wanted::Message(conditions, _) => conditions.iter().find(|(own, _)| *own == condition),
        Wanted::Conversation(..) | Wanted::Retrieved(_) | Wanted::Deleted(_) | Wanted::Mailbox(..) => None,
    };
    Failing { wanted: wants.map_or_else(String::new, |(_, wants)| wants.clone()), condition, found }
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.take(super::LISTED).collect::<Vec<_>>().join(", ")
}
