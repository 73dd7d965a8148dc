//! The lab as values: what the instructor wrote, checked. Reading a file into these is `crate::reading`; nothing here does I/O.

pub mod containers;
pub mod exercise;
pub mod fault;
pub mod personal;
pub mod relaying;
pub mod server;
pub mod service;
pub mod subnet;
pub mod template;
pub mod tls;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

pub use crate::names::{Domain, ExerciseId, FaultId, GroupName, LabName, Login, MailId};
pub use containers::Containers;
pub use exercise::{Asked, Exercise, Script};
pub use fault::Fault;
pub use personal::Key;
pub use relaying::{Neighbour, Patience, Relaying, Route};
pub use server::{Leniency, Limits, LoneNewline, Protocol, ServerConfig, Service, Tls};
pub use subnet::Subnet;
pub use tls::TlsVersion;

/// The most students one lab may have, over all groups.
pub const MAX_STUDENTS: usize = 4_096;

/// The most groups one lab may have (embedded: four second octets of 127.x.G.S).
pub const MAX_GROUPS: usize = 1_024;

/// The most students one group may have (embedded: the last octet of the student's address; docker: a small subnet).
pub const MAX_GROUP: usize = 200;

/// The most exercises of a lab.
pub const MAX_EXERCISES: usize = 200;

/// The most injected mails of a lab.
pub const MAX_MAILS: usize = 100;

/// A text in several languages, by language code (`es`, `en`); a text without languages stands under `""`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Text(pub BTreeMap<String, String>);

impl Text {
    /// The same text for every language.
    pub fn plain(text: impl Into<String>) -> Self {
        Self(BTreeMap::from([(String::new(), text.into())]))
    }

    /// The text in `lang`, else in English, else in whatever there is.
    pub fn in_language(&self, lang: &str) -> &str {
        let found = [lang, "", "en"].iter().find_map(|code| self.0.get(*code));
        found.or_else(|| self.0.values().next()).map_or("", String::as_str)
    }

    /// The same with each of its texts changed.
    #[must_use]
    pub fn map(&self, change: impl Fn(&str) -> String) -> Self {
        Self(self.0.iter().map(|(language, text)| (language.clone(), change(text))).collect())
    }

    /// Whether nobody wrote anything.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(String::is_empty)
    }
}

/// A lab: everything `labctl` needs to know, checked, with all defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Lab {
    /// What the lab is called in commands, labels and the state directory.
    pub name: LabName,
    /// What people call it.
    pub title: Text,
    /// The code of the language that students are given things in; none: by its texts.
    pub language: Option<String>,
    /// The file it was read from, absolute.
    pub source: PathBuf,
    /// The engine that the lab asks for; none: what the command line says or what answers.
    pub engine: Option<EngineKind>,
    /// The groups in the order of their names; a lab has at least one.
    pub groups: Vec<Group>,
    /// What all servers of the lab have in common.
    pub settings: Settings,
    /// How it wants its containers, where it has any.
    pub docker: Containers,
    /// Mail to inject, in the order written.
    pub mails: Vec<Mail>,
    /// Exercises in the order written.
    pub exercises: Vec<Exercise>,
    /// What the servers do wrong on purpose, in the order written.
    pub faults: Vec<Fault>,
}

/// Where a lab can run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// One background process on loopback.
    #[default]
    Embedded,
    /// Containers and isolated networks of a Docker Engine.
    Docker,
}

impl EngineKind {
    /// As the lab file writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Docker => "docker",
        }
    }
}

/// Students that share a mail domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name, for example `g05`.
    pub name: GroupName,
    /// Its mail domain.
    pub domain: Domain,
    /// What its server calls itself in greetings and trace headers (any printable word: old servers have no FQDN).
    pub host: String,
    /// Its students in the order of their logins; possibly none.
    pub students: Vec<Student>,
    /// Its shared mailboxes in the order written.
    pub users: Vec<User>,
}

/// One student.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Student {
    /// The login, unique in the lab; also the name of the student's own mailbox.
    pub login: Login,
    /// The person's name as the roster has it.
    pub name: Option<String>,
    /// The person's address as the roster has it (for Moodle and Canvas, never mailed to).
    pub email: Option<String>,
    /// The password that the lab fixes; none: one is drawn from the lab's key.
    pub password: Option<String>,
}

/// A mailbox that a group shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The local part.
    pub name: Login,
    /// The password that the lab fixes; none: one is drawn from the lab's key.
    pub password: Option<String>,
}

/// What all servers of a lab have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether mail for foreign domains is accepted.
    pub relay: bool,
    /// Whether AUTH, and IMAP's AUTHENTICATE, is offered before TLS is on (RFC 4954 4, RFC 5034 4).
    pub auth_before_tls: bool,
    /// Whether VRFY and EXPN tell which mailboxes there are (RFC 5321 7.3).
    pub vrfy: bool,
    /// The dialect's name, one of `crate::protocol::dialect::NAMES`.
    pub dialect: String,
    /// What the servers put up with.
    pub leniency: Leniency,
    /// What happens to a CR or LF that stands alone in message data.
    pub lone_newline: LoneNewline,
    /// The mailbox that takes mail for unknown local recipients; none: they are refused.
    pub catch_all: Option<Login>,
    /// What the servers say to TLS.
    pub tls: Tls,
    /// The services that are opened.
    pub services: BTreeSet<Service>,
    /// The ports that the lab writes, on either engine.
    pub ports: BTreeMap<Service, u16>,
    /// The limits of each server.
    pub limits: Limits,
    /// Ways to domains outside the lab, in the order written.
    pub routes: Vec<Route>,
    /// How patiently servers try to pass mail on.
    pub patience: Patience,
    /// Whether `{neighbour}` in a check is the domain of any other group, not only of the next one.
    pub any_neighbour: bool,
}

impl Settings {
    /// The port of a service on an engine: as the lab writes it, else the standard one in containers and one above 1023 on this
    /// machine.
    pub fn port(&self, service: Service, engine: EngineKind) -> u16 {
        let left_out = match engine {
            EngineKind::Embedded => service.embedded_port(),
            EngineKind::Docker => service.standard_port(),
        };
        self.ports.get(&service).copied().unwrap_or(left_out)
    }
}

/// A piece of mail that the lab injects, as a template (`crate::lab::template` has the placeholders).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Its name in checks: `retrieved = { mail = "welcome" }`.
    pub id: MailId,
    /// The mailbox it goes to, a template: `{login}` or a user's name.
    pub to: String,
    /// The reverse-path: a local part or an address; a template.
    pub from: String,
    /// The Subject header, a template.
    pub subject: String,
    /// Further header fields, in order, each value a template.
    pub headers: Vec<(String, String)>,
    /// The body, a template; lines end in `\n`.
    pub body: String,
    /// How many octets `{text}` has, with CRLF line ends (0: the mail has no `{text}`).
    pub text_octets: u64,
    /// One copy per student (true when `to`, `subject`, `headers` or `body` speak of a student) or one per group.
    pub per_student: bool,
}

impl Lab {
    /// All students with their groups, in order.
    pub fn students(&self) -> impl Iterator<Item = (&Group, &Student)> {
        self.groups.iter().flat_map(|group| group.students.iter().map(move |student| (group, student)))
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

    /// The group of this name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name.as_str() == name)
    }

    /// The group after this one, in a circle; none where there is no other.
    pub fn neighbour(&self, name: &GroupName) -> Option<&Group> {
        let place = self.groups.iter().position(|group| group.name == *name)?;
        let next = (place + 1) % self.groups.len();
        (next != place).then(|| &self.groups[next])
    }

    /// The injected mail of this name.
    pub fn mail(&self, id: &str) -> Option<&Mail> {
        self.mails.iter().find(|mail| mail.id.as_str() == id)
    }
}
