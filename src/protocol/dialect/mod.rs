//! Dialects: whose reply texts a server speaks. A dialect is data, one TOML file each beside this one: a template per
//! reply, and nothing else. A reply that a dialect does not have is said in labctl's own words (`labctl.toml` has them all).

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use serde::Deserialize;

use crate::lab::LoneNewline;

/// The dialects' names with their files, labctl's own first.
const FILES: &[(&str, &str)] = &[
    ("labctl", include_str!("labctl.toml")),
    ("argosoft", include_str!("argosoft.toml")),
    ("sendmail", include_str!("sendmail.toml")),
    ("qpopper4", include_str!("qpopper4.toml")),
    ("postfix", include_str!("postfix.toml")),
    ("gmail", include_str!("gmail.toml")),
    ("mailhog", include_str!("mailhog.toml")),
];

static ALL: LazyLock<BTreeMap<&'static str, Arc<Dialect>>> = LazyLock::new(|| {
    let read = |(name, file): &(&'static str, &str)| {
        let dialect = toml::from_str(file).unwrap_or_else(|problem| panic!("dialect `{name}`: {problem}"));
        (*name, Arc::new(dialect))
    };
    FILES.iter().map(read).collect()
});

/// labctl's own, whose words are used where another has none.
pub static OWN: LazyLock<Arc<Dialect>> = LazyLock::new(|| named("labctl").expect("a bundled dialect"));

/// The names of all dialects, labctl's own first.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// The dialect of this name.
pub fn named(name: &str) -> Option<Arc<Dialect>> {
    ALL.get(name).cloned()
}

/// One server's way of speaking.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dialect {
    /// Which server it is, in a sentence.
    pub about: String,
    /// Whether every recipient is accepted when the lab names no `catch_all` (MailHog).
    #[serde(default)]
    pub catch_all: bool,
    /// What becomes of a CR or LF that stands alone in a message when the lab does not say it.
    #[serde(default)]
    pub lone_newline: LoneNewline,
    /// SMTP replies by key.
    #[serde(default)]
    pub smtp: Templates,
    /// POP3 replies by key.
    #[serde(default)]
    pub pop3: Templates,
    /// IMAP replies by key.
    #[serde(default)]
    pub imap: Templates,
}

/// Reply templates of one protocol by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Templates(BTreeMap<String, Lines>);

/// The lines of one reply.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Lines {
    One(String),
    Many(Vec<String>),
}

impl Lines {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(line) => std::slice::from_ref(line),
            Self::Many(lines) => lines,
        }
    }
}

impl Templates {
    /// The lines of the reply `key`, if this dialect has it.
    pub fn lines(&self, key: &str) -> Option<&[String]> {
        self.0.get(key).map(Lines::as_slice)
    }

    /// The keys it has.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Fills in `{name}` placeholders; one that is not among `values` stays as it stands.
pub fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let value = rest.find('}').and_then(|end| {
            let name = &rest[1..end];
            values.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value, end + 1))
        });
        let (value, length) = value.unwrap_or(("{", 1));
        text.push_str(value);
        rest = &rest[length..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dialect_reads_and_labctl_has_every_key() {
        for name in names() {
            let dialect = named(name).expect(name);
            for key in dialect.smtp.keys() {
                assert!(OWN.smtp.lines(key).is_some(), "{name}: smtp key `{key}` is unknown");
            }
            for key in dialect.pop3.keys() {
                assert!(OWN.pop3.lines(key).is_some(), "{name}: pop3 key `{key}` is unknown");
            }
            for key in dialect.imap.keys() {
                assert!(OWN.imap.lines(key).is_some(), "{name}: imap key `{key}` is unknown");
            }
        }
    }

    #[test]
    fn a_template_is_filled_once_and_never_again() {
        assert_eq!(fill("250 {a} {b}{", &[("a", "{b}"), ("b", "x")]), "250 {b} x{");
    }
}
