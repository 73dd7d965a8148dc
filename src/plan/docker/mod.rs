//! Planning for the docker engine: what a lab wants of an Engine against the labctl objects that it has, and the steps from
//! one to the other. Pure, as its parent: observing and performing are `crate::engine::docker`.
//!
//! A group is a network, a server and a client per student, and groups do not depend on each other, so each group's steps
//! can be performed beside the others'. Volumes are no objects of the plan: the Engine makes a named volume once, whoever
//! asks how often, and only `down --purge` takes one away.

pub mod layout;
pub mod resolve;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::Ipv4Addr,
};

pub use layout::{Layout, NoRoom, Subnet, Taken, layouts};
pub use resolve::{Images, desired, digest};

use crate::lab::{GroupName, Login, ServerConfig};

/// The part of a server that can change while it runs.
pub const CONFIGURATION: &str = "configuration";

/// How this version makes objects; a change of it makes all of them again.
const SHAPE: &str = "1";

/// What an object is, in its group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The isolated network.
    Network,
    /// The mail server.
    Server,
    /// The container of a student.
    Client(Login),
}

/// An object of a lab: found again by its labels, not by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// The group.
    pub group: GroupName,
    /// What it is there.
    pub role: Role,
}

impl fmt::Display for Object {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.role {
            Role::Network => write!(out, "network `{}`", self.group),
            Role::Server => write!(out, "server `{}`", self.group),
            Role::Client(login) => write!(out, "client `{}/{login}`", self.group),
        }
    }
}

/// What makes an object the one that is wanted, by part; it travels as a label, so that a difference can be named.
pub type Parts = BTreeMap<String, String>;

/// How an object should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Spec {
    /// A network.
    Network {
        /// Its addresses.
        subnet: Subnet,
    },
    /// A server.
    Server {
        /// Its image.
        image: String,
        /// Its address.
        address: Ipv4Addr,
        /// What it is told.
        config: Box<ServerConfig>,
    },
    /// A student's container.
    Client {
        /// Its image.
        image: String,
        /// Its address: by it the server knows the student.
        address: Ipv4Addr,
        /// The server's address.
        server: Ipv4Addr,
        /// The names that mean the server.
        hosts: Vec<String>,
        /// What its shell's greeting says, as environment variables.
        variables: BTreeMap<String, String>,
    },
}

impl Spec {
    /// Its parts. A configuration holds passwords, so only its digest is one.
    pub fn parts(&self) -> Parts {
        let parts: Vec<(&str, String)> = match self {
            Self::Network { subnet } => vec![("subnet", subnet.to_string())],
            Self::Server { image, address, config } => vec![
                ("image", image.clone()),
                ("address", address.to_string()),
                (CONFIGURATION, {
                    let told = serde_json::to_vec(config).expect("a configuration has only names and numbers");
                    digest([told.as_slice()])
                }),
            ],
            Self::Client { image, address, server, hosts, variables } => vec![
                ("image", image.clone()),
                ("address", address.to_string()),
                ("server", server.to_string()),
                ("names", hosts.join(",")),
                ("greeting", variables.values().cloned().collect::<Vec<_>>().join(",")),
            ],
        };
        let parts = parts.into_iter().chain([("shape", SHAPE.to_owned())]);
        parts.map(|(part, value)| (part.to_owned(), value)).collect()
    }
}

/// What a lab wants.
pub type Desired = BTreeMap<Object, Spec>;

/// Whether an object does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It does.
    Running,
    /// It was created and not started, or has ended.
    Stopped,
    /// It was frozen.
    Paused,
    /// It keeps failing, or is half removed.
    Broken,
}

/// An object that the Engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The Engine's name for it.
    pub id: String,
    /// Its parts when it was made.
    pub parts: Parts,
    /// Whether it works.
    pub state: State,
    /// The network it is on; none for networks, and for what is on none.
    pub network: Option<String>,
}

/// What an Engine has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The lab's objects.
    pub objects: BTreeMap<Object, Found>,
    /// Addresses that others have.
    pub taken: Vec<Taken>,
}

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Take it away; volumes stay.
    Remove,
    /// Make it and start it.
    Create,
    /// Start it: it is there and stopped.
    Start,
    /// Give a server its new configuration; its sessions go on.
    Update,
    /// Let it go on: it was frozen.
    Resume,
}

/// One thing to do, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What is done.
    pub action: Action,
    /// To what.
    pub object: Object,
    /// Why, as a fragment.
    pub why: String,
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = match self.action {
            Action::Remove => "remove",
            Action::Create => "create",
            Action::Start => "start",
            Action::Update => "update",
            Action::Resume => "resume",
        };
        write!(out, "{action} {}: {}", self.object, self.why)
    }
}

/// The steps from what there is to what there should be, group by group; within a group in the order to perform them.
pub fn steps(desired: &Desired, observed: &Observed) -> Vec<Step> {
    let objects = desired.keys().chain(observed.objects.keys());
    let groups: BTreeSet<&GroupName> = objects.map(|object| &object.group).collect();
    groups.into_iter().flat_map(|group| of_group(group, desired, observed)).collect()
}

fn of_group(group: &GroupName, desired: &Desired, observed: &Observed) -> Vec<Step> {
    let network = Object { group: group.clone(), role: Role::Network };
    let fate_of_network = fate(&network, desired, observed, None);
    let found = observed.objects.get(&network);
    let kept = found.filter(|_| matches!(fate_of_network, Fate::Stays)).map(|found| found.id.as_str());
    let mine = |object: &&Object| object.group == *group && object.role != Role::Network;
    let objects: BTreeSet<&Object> = desired.keys().chain(observed.objects.keys()).filter(mine).collect();
    let step = |action, object: &Object, why: &str| Step { action, object: object.clone(), why: why.to_owned() };
    let (mut goes, mut comes) = (Vec::new(), Vec::new());
    let mut decide = |object: &Object, fate: Fate, comes: &mut Vec<Step>| {
        let found = observed.objects.get(object);
        match fate {
            Fate::Stays => {
                let started = found.and_then(|found| started(found.state));
                comes.extend(started.map(|(action, why)| step(action, object, why)));
            }
            Fate::Changes => {
                let started = found.and_then(|found| started(found.state));
                comes.extend(started.map(|(action, why)| step(action, object, why)));
                // What starts is told anyway.
                let told = matches!(started, Some((Action::Start, _)));
                comes.extend((!told).then(|| step(Action::Update, object, CHANGED)));
            }
            Fate::Goes(why) => {
                goes.extend(found.map(|_| step(Action::Remove, object, &why)));
                comes.extend(desired.contains_key(object).then(|| step(Action::Create, object, &why)));
            }
        }
    };
    for object in objects {
        decide(object, fate(object, desired, observed, kept), &mut comes);
    }
    // The network goes behind what is on it, and comes before.
    let mut first = Vec::new();
    decide(&network, fate_of_network, &mut first);
    goes.into_iter().chain(first).chain(comes).collect()
}

/// What becomes of an object that may be there.
enum Fate {
    /// It stays as it is.
    Stays,
    /// It stays and is told something new.
    Changes,
    /// It is removed, if it is there, and made anew, if it is wanted, for this reason.
    Goes(String),
}

const CHANGED: &str = "its configuration changed";

/// What becomes of an object; `network` is the one that its group keeps.
fn fate(object: &Object, desired: &Desired, observed: &Observed, network: Option<&str>) -> Fate {
    let Some(wanted) = desired.get(object) else {
        return Fate::Goes(match object.role {
            Role::Client(_) => "the lab has no such student".into(),
            Role::Network | Role::Server => "the lab has no such group".into(),
        });
    };
    let Some(found) = observed.objects.get(object) else { return Fate::Goes("there is none".into()) };
    if found.state == State::Broken {
        return Fate::Goes("it does not stay up".into());
    }
    let wanted = wanted.parts();
    let differs = |part: &&String| wanted.get(*part) != found.parts.get(*part);
    let parts: BTreeSet<&String> = wanted.keys().chain(found.parts.keys()).filter(differs).collect();
    if parts.iter().any(|part| *part != CONFIGURATION) {
        let changes = parts.iter().map(|part| change(part, found.parts.get(*part), wanted.get(*part)));
        return Fate::Goes(changes.collect::<Vec<_>>().join("; "));
    }
    if object.role != Role::Network && (network.is_none() || found.network.as_deref() != network) {
        return Fate::Goes("its network is another one".into());
    }
    if parts.is_empty() { Fate::Stays } else { Fate::Changes }
}

fn change(part: &str, from: Option<&String>, to: Option<&String>) -> String {
    match (part, from, to) {
        ("shape", ..) => "this labctl makes it differently".into(),
        ("address" | "subnet" | "image" | "server", Some(from), Some(to)) => {
            format!("its {part} was `{from}` and is `{to}`")
        }
        (part, ..) => format!("its {part} changed"),
    }
}

fn started(state: State) -> Option<(Action, &'static str)> {
    match state {
        // What is broken does not stay.
        State::Running | State::Broken => None,
        State::Stopped => Some((Action::Start, "it does not run")),
        State::Paused => Some((Action::Resume, "it is frozen")),
    }
}

#[cfg(test)]
mod tests;
