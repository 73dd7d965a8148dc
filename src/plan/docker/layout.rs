//! Which addresses and ports a group has: a subnet out of the pool, and in it the server and each client; the server's
//! addresses on the networks of the whole lab; the ports at which the host lets others in. What exists keeps what it has;
//! what is new gets the lowest that is free, so the same world always gives the same addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    net::Ipv4Addr,
};

use super::{Object, Observed, Role, State};
use crate::lab::{Group, Lab, Login, Service, Subnet, subnet::SMALLEST};

/// Addresses of a subnet that no container gets: its own, the gateway's (which Engines set aside, also where nobody has it)
/// and that for broadcasts.
const SET_ASIDE: usize = 3;

/// Hosts that may join a network before it needs a larger subnet.
const SPARE: usize = 4;

/// The ports of the host that are published: above what services use, below what systems hand out for connections.
const FIRST_PORT: u16 = 20_000;
const LAST_PORT: u16 = 32_767;

/// Where the server stands in a subnet, and the first client.
const SERVER: u32 = 2;
const FIRST_CLIENT: u32 = 3;

/// Addresses that are somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Which.
    pub subnet: Subnet,
    /// Whose: "network `bridge`", "the host's route by `eth0`".
    pub by: String,
}

/// The addresses of a lab.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layouts {
    /// The networks that servers of all groups join.
    pub shared: BTreeMap<Role, Subnet>,
    /// What each group has, in the order of the groups.
    pub groups: Vec<Layout>,
}

/// The addresses of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// All of them.
    pub subnet: Subnet,
    /// The server's.
    pub server: Ipv4Addr,
    /// The clients'.
    pub clients: BTreeMap<Login, Ipv4Addr>,
    /// The server's on networks of the whole lab.
    pub shared: BTreeMap<Role, Ipv4Addr>,
    /// The ports of the host at which the server is reached: of each student, and under none of the group.
    pub ports: BTreeMap<(Option<Login>, Service), u16>,
}

/// There is no room for the lab.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// The pool has no subnet left.
    #[error("the pool `{pool}` has no room for {whose}{}", blocked(by))]
    Addresses {
        /// The pool.
        pool: Subnet,
        /// The first network without room.
        whose: String,
        /// Who else has addresses of the pool, in order.
        by: Vec<Taken>,
    },
    /// The host has no ports left.
    #[error("ports {FIRST_PORT} to {LAST_PORT} of the host are not enough for what group `{group}` publishes")]
    Ports {
        /// The first group without ports.
        group: String,
    },
}

fn blocked(by: &[Taken]) -> String {
    let names: Vec<String> = by.iter().map(|taken| format!("{} has `{}`", taken.by, taken.subnet)).collect();
    if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) }
}

/// The addresses of a lab.
pub fn layouts(lab: &Lab, observed: &Observed, pool: Subnet) -> Result<Layouts, NoRoom> {
    let mut taken: Vec<Subnet> = observed.taken.iter().map(|taken| taken.subnet).collect();
    let own = observed.objects.values().chain(observed.doubles.values().flatten());
    taken.extend(own.filter_map(|found| found.parts.get("subnet")?.parse::<Subnet>().ok()));
    let mut subnet = |object: &Object, hosts: usize| {
        let subnet = kept(object, hosts, observed).or_else(|| free(pool, prefix_for(hosts), &taken));
        let subnet = subnet.ok_or_else(|| NoRoom::Addresses {
            pool,
            whose: object.to_string(),
            by: observed.taken.iter().filter(|taken| taken.subnet.overlaps(pool)).cloned().collect(),
        })?;
        taken.push(subnet);
        Ok(subnet)
    };
    let mut layouts = Layouts::default();
    for role in lab_wide(lab) {
        let subnet = subnet(&Object { group: None, role: role.clone() }, lab.groups.len())?;
        layouts.shared.insert(role, subnet);
    }
    let shared: Vec<(&Role, Vec<Ipv4Addr>)> =
        (layouts.shared.iter()).map(|(role, subnet)| (role, servers(lab, role, *subnet, observed))).collect();
    let mut ports = Ports::of(lab, observed);
    for (index, group) in lab.groups.iter().enumerate() {
        let subnet = subnet(&Object::of(&group.name, Role::Network), group.students.len() + 1)?;
        layouts.groups.push(Layout {
            subnet,
            server: subnet.address(SERVER),
            clients: clients(group, subnet, observed),
            shared: shared.iter().map(|(role, addresses)| ((*role).clone(), addresses[index])).collect(),
            ports: ports.take(lab, group)?,
        });
    }
    Ok(layouts)
}

/// The networks that the lab wants for its servers.
fn lab_wide(lab: &Lab) -> impl Iterator<Item = Role> {
    let backbone = lab.settings.relay.then_some(Role::Backbone);
    backbone.into_iter().chain(lab.docker.publish.map(|_| Role::Front))
}

/// The subnet that a network has, if it still has room for so many hosts.
fn kept(network: &Object, hosts: usize, observed: &Observed) -> Option<Subnet> {
    let subnet: Subnet = observed.objects.get(network)?.parts.get("subnet")?.parse().ok()?;
    let room = usize::try_from(subnet.last() - subnet.first() + 1).ok()?;
    (room >= hosts + SET_ASIDE).then_some(subnet)
}

/// The addresses of the servers on a network of the whole lab, in the order of the groups.
fn servers(lab: &Lab, role: &Role, subnet: Subnet, observed: &Observed) -> Vec<Ipv4Addr> {
    let has = |group: &Group| {
        let server = Object::of(&group.name, Role::Server);
        observed.objects.get(&server)?.parts.get(role.name())?.parse().ok()
    };
    addresses(lab.groups.iter().map(has), subnet, SERVER)
}

fn clients(group: &Group, subnet: Subnet, observed: &Observed) -> BTreeMap<Login, Ipv4Addr> {
    let has = |login: &Login| {
        let client = Object::of(&group.name, Role::Client(login.clone()));
        observed.objects.get(&client)?.parts.get("address")?.parse().ok()
    };
    let logins = group.students.iter().map(|student| &student.login);
    let addresses = addresses(logins.clone().map(has), subnet, FIRST_CLIENT);
    logins.cloned().zip(addresses).collect()
}

/// An address for each: the one it has, if it is usable and nobody else's; else the lowest that is free, from number
/// `first` on. The subnet was chosen for this many.
fn addresses(have: impl Iterator<Item = Option<Ipv4Addr>>, subnet: Subnet, first: u32) -> Vec<Ipv4Addr> {
    let usable = subnet.address(first)..Ipv4Addr::from(subnet.last());
    let mut used: BTreeSet<Ipv4Addr> = BTreeSet::new();
    let kept: Vec<Option<Ipv4Addr>> =
        have.map(|address| address.filter(|address| usable.contains(address) && used.insert(*address))).collect();
    let mut free = (first..).map(|offset| subnet.address(offset));
    kept.into_iter()
        .map(|kept| kept.unwrap_or_else(|| free.find(|address| !used.contains(address)).expect("there is room")))
        .collect()
}

/// What is published: DNS is for the containers, where it is the resolver.
fn services(lab: &Lab) -> impl Iterator<Item = Service> {
    lab.settings.services.iter().copied().filter(|service| *service != Service::Domain)
}

/// The ports of the host while they are given away.
struct Ports {
    kept: BTreeMap<(Object, String), u16>,
    taken: BTreeSet<u16>,
}

impl Ports {
    fn of(lab: &Lab, observed: &Observed) -> Self {
        let mut kept = BTreeMap::new();
        for group in &lab.groups {
            let server = Object::of(&group.name, Role::Server);
            let Some(found) = observed.objects.get(&server) else { continue };
            let pairs = found.parts.get(PORTS).into_iter().flat_map(|ports| ports.split(','));
            for (whose, port) in pairs.filter_map(|pair| pair.split_once('=')) {
                // A port that somebody has while the server does not run is somebody else's now.
                let is_own = |port: &u16| found.state != State::Stopped || !observed.ports.contains(port);
                let port = port.parse().ok().filter(is_own);
                kept.extend(port.map(|port: u16| ((server.clone(), whose.to_owned()), port)));
            }
        }
        let taken = observed.ports.iter().chain(kept.values()).copied().collect();
        Self { kept, taken }
    }

    /// What a group gets: none where nothing is published.
    fn take(&mut self, lab: &Lab, group: &Group) -> Result<BTreeMap<(Option<Login>, Service), u16>, NoRoom> {
        let mut ports = BTreeMap::new();
        if lab.docker.publish.is_none() {
            return Ok(ports);
        }
        let server = Object::of(&group.name, Role::Server);
        let students = group.students.iter().map(|student| Some(student.login.clone()));
        for whose in [None].into_iter().chain(students) {
            for service in services(lab) {
                let name = port_name(whose.as_ref(), service);
                let kept = self.kept.get(&(server.clone(), name)).copied();
                let free = || (FIRST_PORT..=LAST_PORT).find(|port| !self.taken.contains(port));
                let port = kept.or_else(free).ok_or_else(|| NoRoom::Ports { group: group.name.to_string() })?;
                self.taken.insert(port);
                ports.insert((whose.clone(), service), port);
            }
        }
        Ok(ports)
    }
}

/// The part of a server that says which ports of the host are whose.
pub(super) const PORTS: &str = "ports";

fn port_name(whose: Option<&Login>, service: Service) -> String {
    whose.map_or_else(|| format!("*/{service}"), |login| format!("{login}/{service}"))
}

/// The ports as a part of a server: `*/smtp=20000,ana/smtp=20002`.
pub(super) fn ports_part(ports: &BTreeMap<(Option<Login>, Service), u16>) -> String {
    let mut text = String::new();
    for ((whose, service), port) in ports {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{}={port}", port_name(whose.as_ref(), *service));
    }
    text
}

fn prefix_for(hosts: usize) -> u8 {
    let addresses = (hosts + SET_ASIDE + SPARE).next_power_of_two();
    let bits = u8::try_from(addresses.trailing_zeros()).expect("a group is smaller than an IPv4 network");
    (32 - bits).min(SMALLEST)
}

fn free(pool: Subnet, prefix: u8, taken: &[Subnet]) -> Option<Subnet> {
    let mut base = pool.first();
    loop {
        let subnet = Subnet::new(Ipv4Addr::from(base), prefix);
        if prefix < pool.prefix() || subnet.last() > pool.last() {
            return None;
        }
        match taken.iter().find(|taken| taken.overlaps(subnet)) {
            None => return Some(subnet),
            // Behind both, at a multiple of our size, because `new` cuts to one.
            Some(taken) => base = align(taken.last().max(subnet.last()).checked_add(1)?, prefix)?,
        }
    }
}

fn align(base: u32, prefix: u8) -> Option<u32> {
    let subnet = Subnet::new(Ipv4Addr::from(base), prefix);
    if subnet.first() == base { Some(base) } else { subnet.last().checked_add(1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::resolve::tests::lab;
    use crate::{lab::subnet::pool, plan::docker::Found};

    fn subnet(text: &str) -> Subnet {
        text.parse().expect("a subnet")
    }

    fn taken(text: &str) -> Taken {
        Taken { subnet: subnet(text), by: "network `other`".into() }
    }

    #[test]
    fn groups_get_small_subnets_beside_what_others_have() {
        let lab = lab(&[("g01", &["ana", "ben"]), ("g02", &[]), ("g03", &["eva"])]);
        let observed = Observed { taken: vec![taken("10.77.0.16/29")], ..Observed::default() };
        let layouts = layouts(&lab, &observed, Subnet::default_pool()).unwrap().groups;
        let subnets: Vec<String> = layouts.iter().map(|layout| layout.subnet.to_string()).collect();
        assert_eq!(subnets, ["10.77.0.0/28", "10.77.0.32/28", "10.77.0.48/28"]);
        assert_eq!(layouts[0].server, Ipv4Addr::new(10, 77, 0, 2));
        assert_eq!(layouts[0].clients["ben"], Ipv4Addr::new(10, 77, 0, 4));
    }

    #[test]
    fn a_pool_that_is_full_says_who_has_it() {
        let lab = lab(&[("g01", &["ana"]), ("g02", &[])]);
        let observed = Observed { taken: vec![taken("10.77.0.0/28"), taken("192.168.0.0/16")], ..Observed::default() };
        let full = layouts(&lab, &observed, pool("10.77.0.0/27").unwrap()).unwrap_err();
        let text = "the pool `10.77.0.0/27` has no room for network `g02`: network `other` has `10.77.0.0/28`";
        assert_eq!(full.to_string(), text);
    }

    #[test]
    fn a_subnet_has_room_for_its_group_at_every_size() {
        for (students, prefix) in [(0, 28), (8, 28), (9, 27), (24, 27), (25, 26), (200, 24)] {
            let logins: Vec<String> = (0..students).map(|n| format!("s{n}")).collect();
            let lab = lab(&[("g01", &logins.iter().map(String::as_str).collect::<Vec<_>>())]);
            let layout = layouts(&lab, &Observed::default(), Subnet::default_pool()).unwrap().groups.remove(0);
            assert_eq!(layout.subnet.prefix(), prefix, "{students}");
            let last = Ipv4Addr::from(layout.subnet.last());
            assert!(layout.clients.values().all(|address| *address < last && *address > layout.server));
        }
    }

    #[test]
    fn servers_of_a_lab_with_relay_share_a_backbone_and_keep_their_addresses() {
        let mut lab = lab(&[("g01", &["ana"]), ("g02", &[])]);
        lab.settings.relay = true;
        let first = layouts(&lab, &Observed::default(), Subnet::default_pool()).unwrap();
        assert_eq!(first.shared[&Role::Backbone], subnet("10.77.0.0/28"));
        let on = |layouts: &Layouts, index: usize| layouts.groups[index].shared[&Role::Backbone].to_string();
        assert_eq!([on(&first, 0), on(&first, 1)], ["10.77.0.2", "10.77.0.3"]);
        let parts = BTreeMap::from([("backbone".to_owned(), "10.77.0.3".to_owned())]);
        let found = Found { parts, ..Found::running("1") };
        let server = Object::of(&"g02".parse().unwrap(), Role::Server);
        let network =
            Found { parts: BTreeMap::from([("subnet".to_owned(), "10.77.0.0/28".to_owned())]), ..Found::running("2") };
        let backbone = Object { group: None, role: Role::Backbone };
        let objects = BTreeMap::from([(server, found), (backbone, network)]);
        lab.groups.remove(0);
        let observed = Observed { objects, ..Observed::default() };
        assert_eq!(on(&layouts(&lab, &observed, Subnet::default_pool()).unwrap(), 0), "10.77.0.3");
    }

    #[test]
    fn published_ports_are_kept_and_new_ones_are_free() {
        let mut lab = lab(&[("g01", &["ana"])]);
        lab.docker.publish = Some([127, 0, 0, 1].into());
        lab.settings.services = BTreeSet::from([Service::Smtp, Service::Pop3]);
        let mut observed = Observed { ports: BTreeSet::from([FIRST_PORT + 1]), ..Observed::default() };
        let ports = |observed: &Observed| -> Result<BTreeMap<String, u16>, NoRoom> {
            let all = layouts(&lab, observed, Subnet::default_pool())?;
            let ports = all.groups[0].ports.clone();
            let numbers: BTreeSet<u16> = ports.values().copied().collect();
            assert_eq!(numbers.len(), ports.len(), "nobody's port is another's");
            Ok(ports.into_iter().map(|((whose, service), port)| (port_name(whose.as_ref(), service), port)).collect())
        };
        let first = ports(&observed).unwrap();
        assert_eq!(first["*/smtp"], FIRST_PORT);
        assert!(first.values().all(|port| *port != FIRST_PORT + 1), "somebody has it");
        let parts = BTreeMap::from([(PORTS.to_owned(), "ana/smtp=20001,ana/pop3=20700".to_owned())]);
        let server = Object::of(&"g01".parse().unwrap(), Role::Server);
        observed.objects.insert(server, Found { parts, ..Found::running("1") });
        let kept = ports(&observed).unwrap();
        assert_eq!([kept["*/smtp"], kept["ana/smtp"], kept["ana/pop3"]], [20_000, 20_001, 20_700]);
        let server = observed.objects.values_mut().next().expect("inserted");
        server.state = State::Stopped;
        let stopped = ports(&observed).unwrap();
        assert!(stopped["ana/smtp"] != 20_001 && stopped["ana/pop3"] == 20_700, "somebody took it meanwhile");
        let wanted = u16::try_from(first.len()).unwrap();
        let taken = |to: u16| Observed { ports: (FIRST_PORT..=to).collect(), ..Observed::default() };
        assert!(ports(&taken(LAST_PORT - wanted)).is_ok());
        assert!(ports(&taken(LAST_PORT - wanted + 1)).unwrap_err().to_string().contains("group `g01`"));
    }
}
