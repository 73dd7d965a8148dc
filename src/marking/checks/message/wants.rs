//! The single things that a message must be or have: whether it is so, and the phrases that say what is wanted and what is otherwise.

use std::sync::Arc;

use super::{super::{bounds, shown, subject}, Check};
use crate::{
    lab::{
        Key, MailId,
        exercise::{Bound, Pattern},
        template::Person,
    },
    marking::{
        content::{Content, Part},
        delivery::Delivery,
        progress::cut,
    },
    pattern::Filled,
    words::{self, Arg, Phrase, listed, phrase, quoted},
};

/// One thing that a message must be or have.
#[derive(Debug)]
pub(super) enum Want {
    Mailbox(Box<[String]>),
    From(Filled, Said),
    To(Filled, Said),
    Size(Bound),
    Header(Arc<str>, Raw, Filled, Said),
    NoHeader(Arc<str>),
    Lines(Bound),
    LongestLine(Bound),
    Part(Vec<(PartKey, Filled, Said)>),
    Body(Filled, Said),
    Parts(Vec<(Filled, Said)>),
    Hash(Box<[String]>),
    Text(Given),
    Secret(Arc<str>, Box<[String]>),
}

/// What of a part a pattern is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum PartKey {
    Media,
    Filename,
    Encoding,
    Sha256,
}

/// Whether a header field is looked at as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Raw {
    No,
    Yes,
}

/// A pattern as it may be shown: once, or per student.
#[derive(Debug)]
pub(super) struct Said(Box<[Arc<str>]>);

/// The text of an injected mail; it is long, so it is made when it is needed.
#[derive(Debug)]
pub(super) struct Given {
    key: Key,
    mail: MailId,
    subject: String,
    octets: u64,
    group: String,
    /// Per student; empty for a mail that the group shares.
    logins: Box<[String]>,
}

impl Check {
    /// All that it wants, of these people.
    pub(super) fn wants(&self, people: &[Person<'_>]) -> Vec<Want> {
        let filled = |template: &str| people.iter().map(|person| person.fill(template)).collect();
        let pair = |pattern: &Pattern| (Filled::new(pattern, people), Said::new(&pattern.0, people));
        let mut all = Vec::new();
        all.extend(self.mailbox.as_deref().map(|mailbox| Want::Mailbox(filled(mailbox))));
        all.extend(self.from.as_ref().map(pair).map(|(pattern, said)| Want::From(pattern, said)));
        all.extend(self.to.iter().map(pair).map(|(pattern, said)| Want::To(pattern, said)));
        all.extend(self.size.map(Want::Size));
        for (raw, headers) in [(Raw::No, &self.headers), (Raw::Yes, &self.raw_headers)] {
            all.extend(headers.iter().map(|(name, wanted)| match wanted.as_ref().map(pair) {
                Some((pattern, said)) => Want::Header(name.as_str().into(), raw, pattern, said),
                None => Want::NoHeader(name.as_str().into()),
            }));
        }
        all.extend(self.lines.map(Want::Lines));
        all.extend(self.longest_line.map(Want::LongestLine));
        all.extend(self.body.as_ref().map(pair).map(|(pattern, said)| Want::Body(pattern, said)));
        all.extend((!self.parts.is_empty()).then(|| Want::Parts(self.parts.iter().map(pair).collect())));
        all.extend(self.part.as_ref().map(|part| {
            let exact = |text: &String| Pattern(text.clone());
            let wanted = [
                (PartKey::Media, part.media.clone()),
                (PartKey::Filename, part.filename.clone()),
                (PartKey::Encoding, part.encoding.as_ref().map(exact)),
                (PartKey::Sha256, part.sha256.as_ref().map(exact)),
            ];
            let wanted = wanted.into_iter().filter_map(|(key, wanted)| Some((key, wanted?)));
            Want::Part(wanted.map(|(key, wanted)| (key, Filled::new(&wanted, people), Said::new(&wanted.0, people))).collect())
        }));
        all.extend(self.hash.as_deref().map(|hash| Want::Hash(filled(hash))));
        all.extend(self.text.as_ref().and_then(|mail| Given::new(mail, people)).map(Want::Text));
        let secret = |mail: &MailId| Want::Secret(people.first().map_or_else(String::new, |person| subject(mail, person)).into(), filled(&format!("{{secret:{mail}}}")));
        all.extend(self.secret.as_ref().map(secret));
        all
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
            subject: subject(mail, person),
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
    pub(super) fn wanted(&self) -> Phrase {
        match self {
            Self::Mailbox(names) => phrase("wants-mailbox").with("mailbox", quoted(&names[0])),
            Self::From(_, said) => phrase("wants-from").with("path", words::pattern(said.of(0))),
            Self::To(_, said) => phrase("wants-to").with("path", words::pattern(said.of(0))),
            Self::Size(bound) => bounds::octets(*bound),
            Self::NoHeader(name) => phrase("wants-no-header").with("name", quoted(name)),
            Self::Lines(bound) => phrase("wants-lines").with("bound", bounds::pieces(*bound)),
            Self::LongestLine(bound) => phrase("wants-longest-line").with("bound", bounds::octets(*bound)),
            Self::Part(wanted) => phrase("wants-part").with("part", part_wanted(wanted, 0)),
            Self::Header(name, _, _, said) if said.of(0) == "*" => phrase("wants-header").with("name", quoted(name)),
            Self::Header(name, _, _, said) => {
                phrase("wants-header-with").with("name", quoted(name)).with("value", words::pattern(said.of(0)))
            }
            Self::Body(_, said) => body(said.of(0)),
            Self::Parts(parts) => phrase("wants-parts").with("parts", all(parts, 0)),
            Self::Hash(hashes) => phrase("wants-hash").with("hash", quoted(&hashes[0])),
            Self::Text(given) => phrase("wants-text").with("mail", quoted(&given.subject)),
            Self::Secret(mail, _) => phrase("wants-secret").with("mail", quoted(mail)),
        }
    }

    pub(super) fn is_of_the_envelope(&self) -> bool {
        match self {
            Self::Mailbox(_) | Self::From(..) | Self::To(..) | Self::Size(_) => true,
            Self::Header(..)
            | Self::NoHeader(_)
            | Self::Lines(_)
            | Self::LongestLine(_)
            | Self::Body(..)
            | Self::Parts(_)
            | Self::Part(_)
            | Self::Hash(_)
            | Self::Text(_)
            | Self::Secret(..) => false,
        }
    }

    /// How the envelope is otherwise.
    pub(super) fn envelope_failing(&self, student: usize, delivery: &Delivery<'_>) -> Option<Phrase> {
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
            Self::Header(..)
            | Self::NoHeader(_)
            | Self::Lines(_)
            | Self::LongestLine(_)
            | Self::Body(..)
            | Self::Parts(_)
            | Self::Part(_)
            | Self::Hash(_)
            | Self::Text(_)
            | Self::Secret(..) => None,
        }
    }

    /// What is missing where the message has not the octets for it: its content need not be looked at.
    pub(super) fn too_short(&self, delivery: &Delivery<'_>) -> Option<Phrase> {
        let Self::Text(given) = self else { return None };
        // A text does not fit in far fewer octets; a sixteenth is more than line ends and trailing blanks can make.
        let fits = delivery.octets + delivery.octets / 16 + 16 >= given.octets;
        (!fits).then(|| phrase("fails-text").with("mail", quoted(&given.subject)))
    }

    /// How the content is otherwise.
    pub(super) fn content_failing(&self, student: usize, content: &Content) -> Option<Phrase> {
        match self {
            Self::Mailbox(_) | Self::From(..) | Self::To(..) | Self::Size(_) => None,
            Self::Header(name, raw, pattern, said) => {
                let values = if *raw == Raw::Yes { content.raw_header(name) } else { content.header(name) };
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
            Self::NoHeader(name) => {
                let values = content.header(name);
                values.first().map(|_| phrase("fails-header-there").with("name", quoted(name)))
            }
            Self::Lines(bound) => {
                let lines = content.lines();
                let fails = || phrase("fails-lines").with("found", lines).with("wanted", bounds::pieces(*bound));
                (!bound.holds(lines)).then(fails)
            }
            Self::LongestLine(bound) => {
                let longest = content.longest_line();
                let fails = || phrase("fails-longest-line").with("found", longest).with("wanted", bounds::octets(*bound));
                (!bound.holds(longest)).then(fails)
            }
            Self::Part(wanted) => {
                let fits = |part: &Part| {
                    wanted.iter().all(|(key, pattern, _)| {
                        let own = match key {
                            PartKey::Media => &part.media,
                            PartKey::Filename => &part.filename,
                            PartKey::Encoding => &part.encoding,
                            PartKey::Sha256 => &part.sha256,
                        };
                        pattern.of(student).matches(own)
                    })
                };
                let parts = content.parts();
                let shown = parts.iter().take(crate::marking::LISTED).map(|part| format!("{} {}", part.media, part.encoding));
                let found = shown.collect::<Vec<_>>().join(", ");
                let fails = || phrase("fails-parts").with("found", quoted(cut(&found)));
                (!parts.iter().any(fits)).then(|| fails().with("wanted", part_wanted(wanted, student)))
            }
            Self::Parts(wanted) => {
                let parts: Vec<String> = content.parts().into_iter().map(|part| part.media).collect();
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
                let fails = || phrase("fails-text-lines").with("mail", quoted(&given.subject));
                (have < all).then(|| fails().with("have", have).with("all", all))
            }
            Self::Secret(mail, secrets) => (!content.body_holds(&secrets[student]))
                .then(|| phrase("fails-secret").with("mail", quoted(mail))),
        }
    }
}

/// What of a part is wanted, in words.
fn part_wanted(wanted: &[(PartKey, Filled, Said)], student: usize) -> Arg {
    let said = |(key, _, said): &(PartKey, Filled, Said)| {
        let said = words::pattern(said.of(student));
        match key {
            PartKey::Media => said,
            PartKey::Filename => phrase("part-filename").with("name", said).into(),
            PartKey::Encoding => phrase("part-encoding").with("name", said).into(),
            PartKey::Sha256 => phrase("part-sha256").with("hash", said).into(),
        }
    };
    listed(wanted.iter().map(said))
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
