//! Planning for the docker engine: what a lab wants of an Engine against the labctl objects that it has, and the steps from
//! one to the other. Pure, as its parent: observing and performing are `crate::engine::docker`.
//!
//! A group is a network, a server and a client per student, and groups do not depend on each other, so each group's steps
//! can be performed beside the others'. Networks of the whole lab come before all groups: a backbone that only servers
//! join, and the front, through which the host lets others in. Volumes are no objects of the plan: the Engine makes a named
//! volume once, whoever asks how often, and only `down --purge` takes one away.

pub mod layout;
pub mod resolve;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{IpAddr, Ipv4Addr},
};

pub use layout::{Layout, Layouts, NoRoom, Taken, layouts};
pub use resolve::{Images, desired, digest, hosts};

use crate::lab::{GroupName, Login, ServerConfig, Service, Subnet, containers::Allowance};

/// The part of a server that can change while it runs.
pub const CONFIGURATION: &str = "configuration";

/// How this version makes objects; a change of it makes all of them again.
const SHAPE: &str = "5";

/// What an object is, in its group or in the whole lab.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// The network of the whole lab that only servers join, for mail between groups.
    Backbone,
    /// The network of the whole lab that only servers join, through which ports of the host lead to them.
    Front,
    /// A group's isolated network.
    Network,
    /// A group's mail server.
    Server,
    /// The container of a student.
    Client(Login),
}

impl Role {
    /// What it is called in labels and parts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Backbone => "backbone",
            Self::Front => "front",
            Self::Network => "network",
            Self::Server => "server",
            Self::Client(_) => "client",
        }
    }

    /// Whether it is a network.
    pub fn is_network(&self) -> bool {
        match self {
            Self::Backbone | Self::Front | Self::Network => true,
            Self::Server | Self::Client(_) => false,
        }
    }
}

/// An object of a lab: found again by its labels, not by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// The group; none: it is the whole lab's.
    pub group: Option<GroupName>,
    /// What it is there.
    pub role: Role,
}

impl Object {
    /// An object of a group.
    pub fn of(group: &GroupName, role: Role) -> Self {
        Self { group: Some(group.clone()), role }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.role, &self.group) {
            (Role::Client(login), Some(group)) => write!(out, "client `{group}/{login}`"),
            (role, Some(group)) => write!(out, "{} `{group}`", role.name()),
            (Role::Backbone, None) => out.write_str("the servers' backbone"),
            (Role::Front, None) => out.write_str("the published front"),
            (role, None) => out.write_str(role.name()),
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
        /// What it lets through.
        reach: Reach,
    },
    /// A server.
    Server {
        /// Its image.
        image: String,
        /// Its address.
        address: Ipv4Addr,
        /// Its addresses on networks of the whole lab.
        shared: BTreeMap<Role, Ipv4Addr>,
        /// The host's address and ports at which it is reached from outside.
        published: Option<Published>,
        /// What it may use.
        allowance: Allowance,
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
        /// The names that mean the server and that nobody need ask for.
        hosts: Vec<String>,
        /// The domain in which short names are looked up, where the server answers for names.
        search: Option<String>,
        /// What its shell's greeting says, as environment variables.
        variables: BTreeMap<String, String>,
        /// What it may use.
        allowance: Allowance,
        /// Whether it waits, stopped, until somebody needs it.
        on_demand: bool,
    },
}

/// What a network lets through beside what its members say to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Nothing; the host has no address on it.
    Isolated,
    /// Whatever the host reaches.
    Internet,
    /// Connections to published ports; its members do not reach each other.
    Front,
}

/// Ports of the host that lead to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The host's address.
    pub address: IpAddr,
    /// The port of each student, and under none that of the group, by service; the server listens at the same number.
    pub ports: BTreeMap<(Option<Login>, Service), u16>,
}

impl Spec {
    /// Its parts. A configuration holds passwords, so only its digest is one.
    pub fn parts(&self) -> Parts {
        let mut parts: Vec<(&str, String)> = match self {
            Self::Network { subnet, reach } => {
                let reach = match reach {
                    Reach::Isolated => None,
                    Reach::Internet => Some("internet"),
                    Reach::Front => Some("published"),
                };
                let reach = reach.map(|reach| ("reach", reach.to_owned()));
                [("subnet", subnet.to_string())].into_iter().chain(reach).collect()
            }
            Self::Server { image, address, shared, published, allowance, config } => {
                let mut parts = vec![
                    ("image", image.clone()),
                    ("address", address.to_string()),
                    (CONFIGURATION, {
                        let told = serde_json::to_vec(config).expect("a configuration has only names and numbers");
                        digest([told.as_slice()])
                    }),
                ];
                parts.extend(shared.iter().map(|(role, address)| (role.name(), address.to_string())));
                if let Some(Published { address, ports }) = published {
                    parts.extend([("publish", address.to_string()), (layout::PORTS, layout::ports_part(ports))]);
                }
                parts.extend(allowance.parts());
                parts
            }
            Self::Client { image, address, server, hosts, search, variables, allowance, on_demand: _ } => {
                let greeting = variables.values().cloned().collect::<Vec<_>>().join(",");
                let mut parts = vec![
                    ("image", image.clone()),
                    ("address", address.to_string()),
                    ("server", server.to_string()),
                    ("names", hosts.join(",")),
                    ("search", search.clone().unwrap_or_default()),
                    ("greeting", greeting),
                ];
                parts.extend(allowance.parts());
                parts
            }
        };
        parts.push(("shape", SHAPE.to_owned()));
        parts.into_iter().map(|(part, value)| (part.to_owned(), value)).collect()
    }

    /// The networks that it is on, beside its group's.
    fn shared(&self) -> impl Iterator<Item = &Role> {
        let shared = match self {
            Self::Server { shared, .. } => Some(shared),
            Self::Network { .. } | Self::Client { .. } => None,
        };
        shared.into_iter().flat_map(BTreeMap::keys)
    }

    /// Whether it waits until somebody needs it.
    pub fn is_on_demand(&self) -> bool {
        matches!(self, Self::Client { on_demand: true, .. })
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
    /// It is held.
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
    /// The networks it is on.
    pub networks: BTreeSet<String>,
    /// Whether an instructor froze it: it stays so until it is thawed.
    pub frozen: bool,
}

#[cfg(test)]
impl Found {
    /// One that runs, without parts and networks.
    pub(crate) fn running(id: &str) -> Self {
        let (parts, networks) = (Parts::new(), BTreeSet::new());
        Self { id: id.to_owned(), parts, state: State::Running, networks, frozen: false }
    }
}

/// What an Engine has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The lab's objects.
    pub objects: BTreeMap<Object, Found>,
    /// Seconds of them: an Engine ends what it was asked to make, also when who asked was killed and another asked again.
    pub doubles: BTreeMap<Object, Vec<Found>>,
    /// Addresses that others have.
    pub taken: Vec<Taken>,
    /// Ports of the host that are in use.
    pub ports: BTreeSet<u16>,
}

impl Observed {
    /// The students whose containers an instructor froze.
    pub fn frozen(&self) -> impl Iterator<Item = &Login> {
        self.objects.iter().filter(|(_, found)| found.frozen).filter_map(|(object, _)| match &object.role {
            Role::Client(login) => Some(login),
            Role::Backbone | Role::Front | Role::Network | Role::Server => None,
        })
    }
}

/// What is done to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Take it away; volumes stay.
    Remove,
    /// Take away what there is of it beside the one that counts.
    RemoveDoubles,
    /// Make it and start it.
    Create,
    /// Start it: it is there and stopped.
    Start,
    /// Give a server its new configuration; its sessions go on.
    Update,
    /// Let it go on: something held it.
    Resume,
    /// Hold it: an instructor froze it, and it goes on.
    Freeze,
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

impl Step {
    /// What is done, without the reason.
    pub fn what(&self) -> String {
        let action = match self.action {
            Action::Remove => "remove",
            Action::RemoveDoubles => "remove the double of",
            Action::Create => "create",
            Action::Start => "start",
            Action::Update => "update",
            Action::Resume => "resume",
            Action::Freeze => "freeze",
        };
        format!("{action} {}", self.object)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.what(), self.why)
    }
}

/// The steps from what there is to what there should be, in the order to perform them: first those of the whole lab, then
/// group by group. Taking a network of the whole lab away takes the servers off it.
pub fn steps(desired: &Desired, observed: &Observed) -> Vec<Step> {
    let objects: BTreeSet<&Object> = desired.keys().chain(observed.objects.keys()).collect();
    let groups = objects.iter().copied().chain(observed.doubles.keys()).map(|object| &object.group);
    let groups: BTreeSet<&Option<GroupName>> = groups.collect();
    let plan = Plan { desired, observed };
    groups.into_iter().flat_map(|group| plan.of_group(group.as_ref(), &objects)).collect()
}

/// What is wanted beside what there is.
struct Plan<'a> {
    desired: &'a Desired,
    observed: &'a Observed,
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

impl Plan<'_> {
    fn of_group(&self, group: Option<&GroupName>, objects: &BTreeSet<&Object>) -> Vec<Step> {
        let mine = objects.iter().filter(|object| object.group.as_ref() == group);
        let (networks, containers): (Vec<&Object>, Vec<&Object>) = mine.partition(|object| object.role.is_network());
        let doubles = self.observed.doubles.keys().filter(|object| object.group.as_ref() == group);
        let (double_networks, doubles): (Vec<&Object>, Vec<&Object>) =
            doubles.partition(|object| object.role.is_network());
        let removal = |object: &&Object| Step {
            action: Action::RemoveDoubles,
            object: (*object).clone(),
            why: "there is one already".into(),
        };
        let (mut goes, mut comes): (Vec<Step>, Vec<Step>) = (doubles.iter().map(removal).collect(), Vec::new());
        for object in containers {
            self.decide(object, &mut goes, &mut comes);
        }
        // A network goes behind what is on it, and comes before.
        let mut first: Vec<Step> = double_networks.iter().map(removal).collect();
        for object in networks {
            self.decide(object, &mut goes, &mut first);
        }
        goes.into_iter().chain(first).chain(comes).collect()
    }

    fn decide(&self, object: &Object, goes: &mut Vec<Step>, comes: &mut Vec<Step>) {
        let found = self.observed.objects.get(object);
        let step = |action, why: &str| Step { action, object: object.clone(), why: why.to_owned() };
        let started = self.started(object).map(|(action, why)| step(action, why));
        match self.fate(object) {
            Fate::Stays => comes.extend(started),
            Fate::Changes => {
                // What starts is told anyway.
                let told = started.as_ref().is_some_and(|step| step.action == Action::Start);
                comes.extend(started);
                comes.extend((!told).then(|| step(Action::Update, CHANGED)));
            }
            Fate::Goes(why) => {
                goes.extend(found.map(|_| step(Action::Remove, &why)));
                comes.extend(self.desired.contains_key(object).then(|| step(Action::Create, &why)));
            }
        }
    }

    /// What becomes of an object.
    fn fate(&self, object: &Object) -> Fate {
        let Some(wanted) = self.desired.get(object) else {
            return Fate::Goes(match object.role {
                Role::Client(_) => "the lab has no such student".into(),
                Role::Network | Role::Server => "the lab has no such group".into(),
                Role::Backbone => "the lab has no relay".into(),
                Role::Front => "the lab publishes nothing".into(),
            });
        };
        let Some(found) = self.observed.objects.get(object) else { return Fate::Goes("there is none".into()) };
        if found.state == State::Broken {
            return Fate::Goes("it does not stay up".into());
        }
        if !object.role.is_network() && self.networks(object, wanted).is_none_or(|ids| ids != found.networks) {
            return Fate::Goes("its network is another one".into());
        }
        // What is frozen changes when it is thawed.
        if found.frozen {
            return Fate::Stays;
        }
        let wanted = wanted.parts();
        let differs = |part: &&String| wanted.get(*part) != found.parts.get(*part);
        let parts: BTreeSet<&String> = wanted.keys().chain(found.parts.keys()).filter(differs).collect();
        if parts.iter().any(|part| *part != CONFIGURATION) {
            let parts = parts.iter().filter(|part| **part != CONFIGURATION);
            let changes = parts.map(|part| change(part, found.parts.get(*part), wanted.get(*part)));
            return Fate::Goes(changes.collect::<Vec<_>>().join("; "));
        }
        if parts.is_empty() { Fate::Stays } else { Fate::Changes }
    }

    /// The networks that a container should be on; none where one of them is still to be made.
    fn networks(&self, object: &Object, wanted: &Spec) -> Option<BTreeSet<String>> {
        let own = Object { group: object.group.clone(), role: Role::Network };
        let shared = wanted.shared().map(|role| Object { group: None, role: role.clone() });
        let kept = |network: Object| {
            let stays = matches!(self.fate(&network), Fate::Stays);
            self.observed.objects.get(&network).filter(|_| stays).map(|found| found.id.clone())
        };
        [own].into_iter().chain(shared).map(kept).collect()
    }

    /// What has to be done to a container that stays, so that it does its work.
    fn started(&self, object: &Object) -> Option<(Action, &'static str)> {
        let found = self.observed.objects.get(object)?;
        let waits = found.frozen || self.desired.get(object).is_some_and(Spec::is_on_demand);
        match found.state {
            State::Running if found.frozen => Some((Action::Freeze, "it was frozen")),
            State::Stopped if !waits => Some((Action::Start, "it does not run")),
            State::Paused if !found.frozen => Some((Action::Resume, "it is held")),
            // What is broken does not stay.
            State::Running | State::Stopped | State::Paused | State::Broken => None,
        }
    }
}

fn change(part: &str, from: Option<&String>, to: Option<&String>) -> String {
    match (part, from, to) {
        ("shape", ..) => "this labctl makes it differently".into(),
        ("reach", ..) => "what it lets through changed".into(),
        (layout::PORTS, Some(_), Some(_)) => "its ports changed".into(),
        ("backbone" | "front" | "publish" | layout::PORTS, None, Some(to)) => format!("it gets its {part} `{to}`"),
        ("backbone" | "front" | "publish" | layout::PORTS, Some(_), None) => format!("it loses its {part}"),
        (
            "address" | "subnet" | "image" | "server" | "publish" | "backbone" | "front" | "memory" | "cpus"
            | "processes" | "files" | "disk",
            Some(from),
            Some(to),
        ) => {
            format!("its {part} was `{from}` and is `{to}`")
        }
        (part, ..) => format!("its {part} changed"),
    }
}

#[cfg(test)]
mod tests;
