//! Message checks: a message that the student delivered, seen from its envelope first; its content is fetched only where the
//! envelope fits. Injected mail never counts.

use std::sync::Arc;

use super::{Deed, Kind, Setup, View, Written, bounds, shown};
use crate::{
    evidence::State,
    findings::{
        Code, Field, Fields, Findings, Known, Scope, Section, bound, known_mail, mailbox, named_headers, pattern, times,
    },
    lab::{
        Key, MailId,
        exercise::{Bound, Pattern},
        template::Person,
    },
    marking::{
        content::Content,
        delivery::Delivery,
        marks::Cause,
        progress::{Here, Progress, cut},
    },
    pattern::Filled,
    words::{self, Arg, Phrase, listed, phrase, quoted},
};

pub(super) const NAMES: &[&str] = &["message"];
pub(super) const KEYS: &[&str] = NAMES;
pub(super) const TABLES: &[&Section] = &[&TABLE];

static TABLE: Section = Section {
    name: "`message = { … }`",
    keys: &[
        "in",
        "from",
        "to",
        "headers",
        "body",
        "parts",
        "size",
        "hash",
        "text",
        "secret",
        "times",
        "one_connection",
    ],
};

/// The most MIME parts that a message check asks for.
pub const MAX_PARTS: usize = 20;

/// A message as the lab wants it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Check {
    /// The mailbox it arrived in; a template (`{login}` is the student's own).
    pub mailbox: Option<String>,
    /// A pattern for the reverse-path.
    pub from: Option<Pattern>,
    /// A pattern for one of the recipients as given.
    pub to: Option<Pattern>,
    /// Header fields that must be there, with a pattern each.
    pub headers: Vec<(String, Pattern)>,
    /// A pattern for the body (line ends count as `\n`).
    pub body: Option<Pattern>,
    /// Patterns for media types: parts that are no multipart themselves, in this order; others may come between.
    pub parts: Vec<Pattern>,
    /// A bound on the octets of the message as sent.
    pub size: Option<Bound>,
    /// The SHA-256 of the body as sent, in hexadecimal, after dot-unstuffing; a template.
    pub hash: Option<String>,
    /// The body holds the whole text that the student was given in this injected mail.
    pub text: Option<MailId>,
    /// The body holds the student's secret of this injected mail.
    pub secret: Option<MailId>,
    /// How many such messages there must be (1 by default).
    pub times: u32,
    /// Whether the messages must have come over one connection (with `times` above 1).
    pub one_connection: bool,
}

/// A message check, compiled.
#[derive(Debug)]
pub struct Rule {
    wants: Vec<Want>,
    times: u32,
    one_connection: bool,
}

/// One thing that a message must be or have.
#[derive(Debug)]
enum Want {
    Mailbox(Box<[String]>),
    From(Filled, Said),
    To(Filled, Said),
    Size(Bound),
    Header(Arc<str>, Filled, Said),
    Body(Filled, Said),
    Parts(Vec<(Filled, Said)>),
    Hash(Box<[String]>),
    Text(Given),
    Secret(MailId, Box<[String]>),
}

/// A pattern as it may be shown: once, or per student.
#[derive(Debug)]
struct Said(Box<[Arc<str>]>);

/// The text of an injected mail; it is long, so it is made when it is needed.
#[derive(Debug)]
struct Given {
    key: Key,
    mail: MailId,
    octets: u64,
    group: String,
    /// Per student; empty for a mail that the group shares.
    logins: Box<[String]>,
}

impl Check {
    /// Reads one of these.
    pub fn read(name: &'static str, fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let fields = &fields.get(name)?.table(&TABLE, findings)?;
        let times = times(fields, findings);
        let one_connection = fields.boolean("one_connection", false, findings);
        if let Some(field) = fields.get("one_connection").filter(|_| one_connection && times == 1) {
            let message = "one message always comes over one connection";
            let problem = findings.lab(Code::NoEffect, &field.key_span, message);
            problem.help("say how many there are, for example `times = 2`, or leave it out");
        }
        Some(Self {
            mailbox: mailbox(fields, "in", known, findings),
            from: pattern(fields.get("from"), known, findings),
            to: pattern(fields.get("to"), known, findings),
            headers: headers(fields, known, findings),
            body: pattern(fields.get("body"), known, findings),
            parts: parts(fields, known, findings),
            size: fields.get("size").and_then(|field| bound(&field, findings)),
            hash: hash(fields, known, findings),
            text: known_mail(fields, "text", known, findings),
            secret: known_mail(fields, "secret", known, findings),
            times,
            one_connection,
        })
    }

    /// Compiles it.
    pub fn compile(&self, _: usize, _: Option<usize>, setup: &mut Setup<'_>) -> Rule {
        let Self { times, one_connection, .. } = *self;
        Rule { wants: self.wants(setup.people), times, one_connection: one_connection && times > 1 }
    }

    /// All that it wants, of these people.
    fn wants(&self, people: &[Person<'_>]) -> Vec<Want> {
        let filled = |template: &str| people.iter().map(|person| person.fill(template)).collect();
        let pair = |pattern: &Pattern| (Filled::new(pattern, people), Said::new(&pattern.0, people));
        let mut all = Vec::new();
        all.extend(self.mailbox.as_deref().map(|mailbox| Want::Mailbox(filled(mailbox))));
        all.extend(self.from.as_ref().map(pair).map(|(pattern, said)| Want::From(pattern, said)));
        all.extend(self.to.as_ref().map(pair).map(|(pattern, said)| Want::To(pattern, said)));
        all.extend(self.size.map(Want::Size));
        all.extend(self.headers.iter().map(|(name, pattern)| {
            let (pattern, said) = pair(pattern);
            Want::Header(name.as_str().into(), pattern, said)
        }));
        all.extend(self.body.as_ref().map(pair).map(|(pattern, said)| Want::Body(pattern, said)));
        all.extend((!self.parts.is_empty()).then(|| Want::Parts(self.parts.iter().map(pair).collect())));
        all.extend(self.hash.as_deref().map(|hash| Want::Hash(filled(hash))));
        all.extend(self.text.as_ref().and_then(|mail| Given::new(mail, people)).map(Want::Text));
        let secret = |mail: &MailId| Want::Secret(mail.clone(), filled(&format!("{{secret:{mail}}}")));
        all.extend(self.secret.as_ref().map(secret));
        all
    }
}

fn parts(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Vec<Pattern> {
    let entries = fields.get("parts").map(|field| field.at_most(MAX_PARTS, findings)).unwrap_or_default();
    let mut part = |entry: Field<'_>| {
        let span = entry.span.clone();
        let part = pattern(Some(entry), known, findings)?;
        if !part.0.contains(['/', '*', '{']) {
            let problem = findings.lab(Code::BadText, &span, format!("`{}` is no media type", part.0));
            problem.help("write for example `\"text/plain\"` or `\"image/*\"`");
        }
        Some(part)
    };
    entries.into_iter().filter_map(&mut part).collect()
}

fn headers(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Vec<(String, Pattern)> {
    let entries = fields.get("headers").map(|field| named_headers(&field, findings)).unwrap_or_default();
    let mut header = |entry: Field<'_>| {
        let name = entry.key.to_owned();
        Some((name, pattern(Some(entry), known, findings)?))
    };
    entries.into_iter().filter_map(&mut header).collect()
}

fn hash(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<String> {
    let (text, span) = fields.text("hash", findings)?;
    known.template(text, &span, Scope::Check, findings);
    let whole = text.len() == 64 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
    if !whole && !text.contains('{') {
        findings.lab(Code::BadText, &span, "a hash is the 64 hexadecimal digits of a SHA-256");
    }
    // A template's placeholders are lower case too.
    Some(text.to_ascii_lowercase())
}

impl Written for Check {
    fn wanted(&self, person: &Person<'_>) -> Phrase {
        let wants = self.wants(std::slice::from_ref(person));
        if wants.is_empty() {
            return phrase("message-wanted-any");
        }
        phrase("message-wanted").with("conditions", listed(wants.iter().map(|want| want.wanted().into())))
    }

    fn times(&self) -> u32 {
        self.times.max(1)
    }

    fn over_one_connection(&self) -> bool {
        self.one_connection
    }
}

impl Kind for Rule {
    fn take(&self, deed: &mut Deed<'_, '_>, _: &View<'_>, here: &Here, own: &mut Progress) {
        match deed {
            Deed::Delivered(delivery) => self.judge(delivery, here, own),
            // Of several messages over one connection nothing more can come. What it had is kept for words as long as no other
            // connection has anything.
            Deed::Over if self.one_connection && own.proofs.iter().any(|proof| proof.conn != here.conn) => {
                own.proofs.retain(|proof| proof.conn != here.conn);
            }
            Deed::Over | Deed::Touched(_) | Deed::Filed(_) | Deed::Asked(_) | Deed::Carried(_) => {}
        }
    }

    fn was_under_way(&self, state: State) -> bool {
        matches!(state, State::Mail | State::Rcpt | State::Data)
    }

    fn none_tried(&self) -> Option<Phrase> {
        Some(phrase("none-sent"))
    }
}

impl Rule {
    fn judge(&self, delivery: &mut Delivery<'_>, here: &Here, own: &mut Progress) {
        let student = here.student;
        let outside = |want: &&Want| want.is_of_the_envelope();
        let envelope: Vec<Phrase> =
            self.wants.iter().filter(outside).filter_map(|want| want.envelope_failing(student, delivery)).collect();
        let short = self.wants.iter().find_map(|want| want.too_short(delivery));
        let inside = || self.wants.iter().filter(|want| !want.is_of_the_envelope());
        let mut failings = Vec::new();
        if envelope.is_empty() && short.is_none() && inside().next().is_some() {
            let Some(content) = delivery.content() else {
                own.failed = Some(Cause::ContentLost(delivery.message));
                return;
            };
            failings.extend(inside().filter_map(|want| want.content_failing(student, content)));
        }
        let outer = envelope.len();
        failings.splice(0..0, envelope.into_iter().chain(short));
        if failings.is_empty() {
            self.prove(here, delivery, own);
            return;
        }
        // What a message fails in its envelope is worse than what it fails in its content; then fewer are better.
        let rank = [outer, failings.len()].map(|count| -i64::try_from(count).unwrap_or(i64::MAX));
        own.nearly(rank, Some(delivery.message), || {
            phrase("closest-message")
                .with("message", delivery.message.0)
                .with("at", here.time)
                .with("failings", listed(failings.into_iter().map(Arg::from)))
        });
    }

    fn prove(&self, here: &Here, delivery: &Delivery<'_>, own: &mut Progress) {
        let names = delivery.delivered.iter().map(|delivered| quoted(delivered.mailbox.as_str()));
        let shows = if delivery.delivered.is_empty() { phrase("message-proof-nowhere") } else { phrase("message-proof") };
        let shows = shows.with("message", delivery.message.0).with("mailboxes", listed(names));
        let proof = here.proof(Some(delivery.message), shows);
        if !self.one_connection {
            own.proven(proof, self.times);
            return;
        }
        let before = own.proofs.iter().filter(|earlier| earlier.conn == here.conn).count();
        if before + 1 >= self.times as usize {
            own.proofs.retain(|earlier| earlier.conn == here.conn);
            own.proven(proof, self.times);
        } else {
            own.proven(proof, u32::MAX);
        }
    }
}

impl Said {
    fn new(template: &str, people: &[Person<'_>]) -> Self {
        let people = if template.contains('{') { people } else { &people[..people.len().min(1)] };
        Self(people.iter().map(|person| shown(template, person).into()).collect())
    }

    fn of(&self, student: usize) -> &str {
        self.0.get(student).or(self.0.first()).map_or("", |said| said)
    }
}

impl Given {
    fn new(mail: &MailId, people: &[Person<'_>]) -> Option<Self> {
        let person = people.first()?;
        let found = person.lab.mail(mail.as_str());
        let shared = found.is_some_and(|mail| !mail.per_student);
        let login = |person: &Person<'_>| if shared { String::new() } else { person.login().to_owned() };
        Some(Self {
            key: person.key.clone(),
            mail: mail.clone(),
            octets: found.map_or(0, |mail| mail.text_octets),
            group: person.group.name.to_string(),
            logins: people.iter().map(login).collect(),
        })
    }

    fn of(&self, student: usize) -> String {
        self.key.text(&self.group, &self.logins[student], self.mail.as_str(), self.octets)
    }
}

impl Want {
    /// What it is in words, where it was made for one person.
    fn wanted(&self) -> Phrase {
        match self {
            Self::Mailbox(names) => phrase("wants-mailbox").with("mailbox", quoted(&names[0])),
            Self::From(_, said) => phrase("wants-from").with("path", words::pattern(said.of(0))),
            Self::To(_, said) => phrase("wants-to").with("path", words::pattern(said.of(0))),
            Self::Size(bound) => bounds::octets(*bound),
            Self::Header(name, _, said) if said.of(0) == "*" => phrase("wants-header").with("name", quoted(name)),
            Self::Header(name, _, said) => {
                phrase("wants-header-with").with("name", quoted(name)).with("value", words::pattern(said.of(0)))
            }
            Self::Body(_, said) => body(said.of(0)),
            Self::Parts(parts) => phrase("wants-parts").with("parts", all(parts, 0)),
            Self::Hash(hashes) => phrase("wants-hash").with("hash", quoted(&hashes[0])),
            Self::Text(given) => phrase("wants-text").with("mail", quoted(given.mail.as_str())),
            Self::Secret(mail, _) => phrase("wants-secret").with("mail", quoted(mail.as_str())),
        }
    }

    fn is_of_the_envelope(&self) -> bool {
        match self {
            Self::Mailbox(_) | Self::From(..) | Self::To(..) | Self::Size(_) => true,
            Self::Header(..) | Self::Body(..) | Self::Parts(_) | Self::Hash(_) | Self::Text(_) | Self::Secret(..) => false,
        }
    }

    /// How the envelope is otherwise.
    fn envelope_failing(&self, student: usize, delivery: &Delivery<'_>) -> Option<Phrase> {
        let wants = |said: &Said| words::pattern(said.of(student));
        match self {
            Self::Mailbox(names) => {
                let there = delivery.delivered.iter().any(|delivered| delivered.mailbox.as_str() == names[student]);
                let fails = || phrase("fails-mailbox").with("found", quoted(delivery.mailboxes()));
                (!there).then(|| fails().with("wanted", quoted(&names[student])))
            }
            Self::From(pattern, said) => (!delivery.is_from(pattern.of(student)))
                .then(|| phrase("fails-from").with("found", quoted(delivery.from)).with("wanted", wants(said))),
            Self::To(pattern, said) => (!delivery.is_to(pattern.of(student)))
                .then(|| phrase("fails-to").with("found", quoted(delivery.recipients())).with("wanted", wants(said))),
            Self::Size(bound) => (!bound.holds(delivery.octets)).then(|| {
                phrase("fails-size").with("found", delivery.octets).with("wanted", bounds::octets(*bound))
            }),
            Self::Header(..) | Self::Body(..) | Self::Parts(_) | Self::Hash(_) | Self::Text(_) | Self::Secret(..) => None,
        }
    }

    /// What is missing where the message has not the octets for it: its content need not be looked at.
    fn too_short(&self, delivery: &Delivery<'_>) -> Option<Phrase> {
        let Self::Text(given) = self else { return None };
        // A text does not fit in far fewer octets; a sixteenth is more than line ends and trailing blanks can make.
        let fits = delivery.octets + delivery.octets / 16 + 16 >= given.octets;
        (!fits).then(|| phrase("fails-text").with("mail", quoted(given.mail.as_str())))
    }

    /// How the content is otherwise.
    fn content_failing(&self, student: usize, content: &Content) -> Option<Phrase> {
        match self {
            Self::Mailbox(_) | Self::From(..) | Self::To(..) | Self::Size(_) => None,
            Self::Header(name, pattern, said) => {
                let values = content.header(name);
                if values.iter().any(|value| pattern.of(student).matches(value)) {
                    return None;
                }
                let Some(found) = values.first() else {
                    return Some(phrase("fails-header-missing").with("name", quoted(name)));
                };
                let fails = phrase("fails-header").with("name", quoted(name)).with("found", quoted(cut(found)));
                Some(fails.with("wanted", words::pattern(said.of(student))))
            }
            Self::Body(pattern, said) => (!content.body_matches(pattern.of(student))).then(|| {
                let wanted = body(said.of(student));
                match content.first_line() {
                    Some(found) => phrase("fails-body").with("found", quoted(cut(&found))).with("wanted", wanted),
                    None => phrase("fails-body-empty").with("wanted", wanted),
                }
            }),
            Self::Parts(wanted) => {
                let parts = content.parts();
                let mut rest = parts.iter();
                let fits = |(pattern, _): &(Filled, Said)| rest.any(|part| pattern.of(student).matches(part));
                if wanted.iter().all(fits) {
                    return None;
                }
                let found = parts.iter().take(crate::marking::LISTED).map(String::as_str).collect::<Vec<_>>().join(", ");
                Some(phrase("fails-parts").with("found", quoted(cut(&found))).with("wanted", all(wanted, student)))
            }
            Self::Hash(wanted) => {
                let hashes = content.hashes();
                let wanted = wanted[student].trim();
                let same = hashes.iter().any(|hash| hash.eq_ignore_ascii_case(wanted));
                let found = || quoted(hashes.first().map_or("", String::as_str));
                (!same).then(|| phrase("fails-hash").with("found", found()).with("wanted", quoted(wanted)))
            }
            Self::Text(given) => {
                let (have, all) = content.lines_of(&given.of(student));
                let fails = || phrase("fails-text-lines").with("mail", quoted(given.mail.as_str()));
                (have < all).then(|| fails().with("have", have).with("all", all))
            }
            Self::Secret(mail, secrets) => (!content.body_holds(&secrets[student]))
                .then(|| phrase("fails-secret").with("mail", quoted(mail.as_str()))),
        }
    }
}

fn all(parts: &[(Filled, Said)], student: usize) -> Arg {
    listed(parts.iter().map(|(_, said)| words::pattern(said.of(student))))
}

/// A body pattern: `*text*` holds a text, and where line ends stand round it a whole line.
fn body(pattern: &str) -> Phrase {
    let inner = |before: &str, after: &str| {
        let inner = pattern.strip_prefix(before)?.strip_suffix(after)?;
        (!inner.is_empty() && !inner.contains(['*', '\n'])).then(|| words::pattern(inner))
    };
    if let Some(line) = inner("*\n", "\n*") {
        return phrase("wants-body-line").with("line", line);
    }
    match inner("*", "*") {
        Some(text) => phrase("wants-body-with").with("text", text),
        None => phrase("wants-body").with("text", words::pattern(pattern)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::{Lang, Words};

    #[test]
    fn a_body_pattern_is_one_line_without_secrets_or_notation() {
        let said = |pattern: &str, lang| Words { lang, utc_offset_secs: 0 }.say(&body(pattern));
        let english = |pattern: &str| said(pattern, Lang::ENGLISH);
        assert_eq!(english("*\n.{secret:punto}\n*"), "body with the line `.‹your secret from mail punto›`");
        assert_eq!(said("*hola*", Lang::SPANISH), "cuerpo con `hola`");
        assert_eq!(english("a*\nb"), "body `a*\\nb`");
        assert_eq!(english("*"), "body `*`");
    }
}
