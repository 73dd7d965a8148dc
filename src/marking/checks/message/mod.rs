//! Message checks: a message that the student delivered, seen from its envelope first; its content is fetched only where the
//! envelope fits. Injected mail never counts.

mod wants;

use super::{Deed, Kind, Setup, View, Written};
use crate::{
    evidence::State,
    findings::{
        Code, Field, Fields, Findings, Known, Scope, Section, bound, known_mail, mailbox, named_headers, pattern, times,
    },
    lab::{
        MailId,
        exercise::{Bound, Pattern, Same},
        template::Person,
    },
    marking::{
        delivery::Delivery,
        marks::Cause,
        progress::{Here, Progress},
    },
    words::{Arg, Phrase, listed, phrase, quoted},
};
use wants::Want;

pub(super) const NAMES: &[&str] = &["message"];
pub(super) const KEYS: &[&str] = NAMES;
pub(super) const TABLES: &[&Section] = &[&TABLE, &PART];

static TABLE: Section = Section {
    name: "`message = { … }`",
    keys: &[
        "in",
        "from",
        "to",
        "headers",
        "raw_headers",
        "body",
        "lines",
        "longest_line",
        "parts",
        "part",
        "size",
        "hash",
        "text",
        "secret",
        "times",
        "one_connection",
    ],
};

static PART: Section = Section { name: "`part = { … }`", keys: &["type", "filename", "encoding", "sha256"] };

/// The most recipients that a message check asks for.
pub const MAX_RECIPIENTS: usize = 20;

/// The most MIME parts that a message check asks for.
pub const MAX_PARTS: usize = 20;

/// A message as the lab wants it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Check {
    /// The mailbox it arrived in; a template (`{login}` is the student's own).
    pub mailbox: Option<String>,
    /// A pattern for the reverse-path.
    pub from: Option<Pattern>,
    /// Patterns that each one of the recipients as given must match.
    pub to: Vec<Pattern>,
    /// Header fields with a pattern each; none: it must not be there.
    pub headers: Vec<(String, Option<Pattern>)>,
    /// The same as sent, before encoded words are decoded and lines unfolded.
    pub raw_headers: Vec<(String, Option<Pattern>)>,
    /// A pattern for the body (line ends count as `\n`).
    pub body: Option<Pattern>,
    /// Patterns for media types: parts that are no multipart themselves, in this order; others may come between.
    pub parts: Vec<Pattern>,
    /// A part with all of this.
    pub part: Option<PartCheck>,
    /// A bound on the lines of the body.
    pub lines: Option<Bound>,
    /// A bound on the octets of the longest line, without its line end.
    pub longest_line: Option<Bound>,
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

/// A MIME part as a check wants it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PartCheck {
    /// A pattern for its media type.
    pub media: Option<Pattern>,
    /// A pattern for its name as a file.
    pub filename: Option<Pattern>,
    /// Its transfer encoding, in lower case.
    pub encoding: Option<String>,
    /// The SHA-256 of what it holds, decoded.
    pub sha256: Option<String>,
}

/// A message check, compiled.
#[derive(Debug)]
pub struct Rule {
    wants: Vec<Want>,
    times: u32,
    one_connection: bool,
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
            to: recipients(fields, known, findings),
            headers: headers(fields, "headers", known, findings),
            raw_headers: headers(fields, "raw_headers", known, findings),
            part: fields.get("part").and_then(|field| part(&field, known, findings)),
            lines: fields.get("lines").and_then(|field| bound(&field, findings)),
            longest_line: fields.get("longest_line").and_then(|field| bound(&field, findings)),
            body: pattern(fields.get("body"), known, findings),
            parts: parts(fields, known, findings),
            size: fields.get("size").and_then(|field| bound(&field, findings)),
            hash: hash(fields, "hash", known, findings),
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

fn recipients(fields: &Fields<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Vec<Pattern> {
    let Some(field) = fields.get("to") else { return Vec::new() };
    if !field.is_list() {
        return pattern(Some(field), known, findings).into_iter().collect();
    }
    let entries = field.at_most(MAX_RECIPIENTS, findings);
    entries.into_iter().filter_map(|entry| pattern(Some(entry), known, findings)).collect()
}

fn part(field: &Field<'_>, known: &Known<'_>, findings: &mut Findings<'_>) -> Option<PartCheck> {
    let fields = field.table(&PART, findings)?;
    let encodings = ["7bit", "8bit", "binary", "quoted-printable", "base64"].map(|name| (name, name));
    let part = PartCheck {
        media: pattern(fields.get("type"), known, findings),
        filename: pattern(fields.get("filename"), known, findings),
        encoding: fields.get("encoding").and_then(|field| field.choice(&encodings, findings)).map(str::to_owned),
        sha256: hash(&fields, "sha256", known, findings),
    };
    if part == PartCheck::default() {
        let problem = findings.lab(Code::BadCheck, &field.span, "nothing of the part, so that any would do");
        problem.help("say which one: `part = { type = \"image/*\", encoding = \"base64\" }`");
    }
    Some(part)
}

fn headers(
    fields: &Fields<'_>,
    key: &'static str,
    known: &Known<'_>,
    findings: &mut Findings<'_>,
) -> Vec<(String, Option<Pattern>)> {
    let entries = fields.get(key).map(|field| named_headers(&field, findings)).unwrap_or_default();
    let mut header = |entry: Field<'_>| {
        let name = entry.key.to_owned();
        if entry.is_switch() {
            return (!entry.boolean(findings)?).then_some((name, None)).or_else(|| {
                let problem = findings.lab(Code::UnknownValue, &entry.span, "a header field is wanted by a pattern");
                problem.help("write `\"*\"` where any will do, and `false` where it must not be there");
                None
            });
        }
        Some((name, Some(pattern(Some(entry), known, findings)?)))
    };
    entries.into_iter().filter_map(&mut header).collect()
}

fn hash(
    fields: &Fields<'_>,
    key: &'static str,
    known: &Known<'_>,
    findings: &mut Findings<'_>,
) -> Option<String> {
    let (text, span) = fields.text(key, findings)?;
    known.template(text, &span, Scope::Check, findings);
    let whole = text.len() == 64 && text.bytes().all(|octet| octet.is_ascii_hexdigit());
    if !whole && !text.contains('{') {
        findings.lab(Code::BadText, &span, "a hash is the 64 hexadecimal digits of a SHA-256");
    }
    // A template's placeholders are lower case too.
    Some(text.to_ascii_lowercase())
}

impl Written for Check {
    fn never_bound(&self, _: Same) -> Option<&'static str> {
        (self.times > 1).then_some("what is wanted several times is not one thing")
    }

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
