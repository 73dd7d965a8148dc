//! Which addresses a group has: a subnet out of the pool, and in it the server and each client. What exists keeps what it
//! has; what is new gets the lowest that is free, so the same world always gives the same addresses.

use std::{collections::BTreeMap, fmt, net::Ipv4Addr, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{Object, Observed, Role};
use crate::lab::{Group, Lab, Login};

/// The smallest subnet of a group: 16 addresses.
const SMALLEST: u8 = 28;

/// The shortest prefix of a pool.
const WIDEST: u8 = 8;

/// Addresses of a subnet that no student gets: its own, the gateway's (which nobody has, but Engines set it aside), the
/// server's and that for broadcasts.
const SET_ASIDE: usize = 4;

/// Students that may join a group before it needs a larger subnet.
const SPARE: usize = 4;

/// Where the server stands in a subnet, and the first client.
const SERVER: u32 = 2;
const FIRST_CLIENT: u32 = 3;

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subnet {
    base: u32,
    prefix: u8,
}

impl Subnet {
    /// The range of `prefix` that holds `address`.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Self {
        let prefix = prefix.min(32);
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        Self { base: u32::from(address) & mask, prefix }
    }

    /// What labs use unless told otherwise.
    pub fn default_pool() -> Self {
        Self::new(Ipv4Addr::new(10, 77, 0, 0), 16)
    }

    fn last(self) -> u32 {
        self.base + (u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0))
    }

    /// Whether the two have an address in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.base <= other.last() && other.base <= self.last()
    }

    fn holds(self, address: Ipv4Addr) -> bool {
        (self.base..=self.last()).contains(&u32::from(address))
    }

    /// The address number `offset`.
    pub fn address(self, offset: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.base + offset)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

impl From<Subnet> for String {
    fn from(subnet: Subnet) -> Self {
        subnet.to_string()
    }
}

impl TryFrom<String> for Subnet {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Subnet {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, prefix) = text.split_once('/').ok_or("a subnet is written as `10.77.0.0/16`")?;
        let address: Ipv4Addr = address.parse().map_err(|_| format!("`{address}` is no IPv4 address"))?;
        let prefix = prefix.parse().ok().filter(|prefix| (0..=32).contains(prefix));
        let prefix: u8 = prefix.ok_or("a prefix is a number from 0 to 32")?;
        Ok(Self::new(address, prefix))
    }
}

/// Reads a pool: a subnet with room for at least one group.
pub fn pool(text: &str) -> Result<Subnet, String> {
    let pool: Subnet = text.parse()?;
    if !(WIDEST..=SMALLEST).contains(&pool.prefix) {
        return Err(format!("a pool has a prefix from {WIDEST} to {SMALLEST}"));
    }
    Ok(pool)
}

/// Addresses that are somebody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Which.
    pub subnet: Subnet,
    /// Whose: "network `bridge`", "the host's route by `eth0`".
    pub by: String,
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
}

/// The pool has no subnet left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pool `{pool}` has no room for group `{group}`{}", blocked(by))]
pub struct NoRoom {
    /// The pool.
    pub pool: Subnet,
    /// The first group without room.
    pub group: String,
    /// Who else has addresses of the pool, in order.
    pub by: Vec<Taken>,
}

fn blocked(by: &[Taken]) -> String {
    let names: Vec<String> = by.iter().map(|taken| format!("{} has `{}`", taken.by, taken.subnet)).collect();
    if names.is_empty() { String::new() } else { format!(": {}", names.join(", ")) }
}

/// The addresses of every group of the lab, in the order of the groups.
pub fn layouts(lab: &Lab, observed: &Observed, pool: Subnet) -> Result<Vec<Layout>, NoRoom> {
    let mut taken: Vec<Subnet> = observed.taken.iter().map(|taken| taken.subnet).collect();
    taken.extend(observed.objects.values().filter_map(|found| found.parts.get("subnet")?.parse::<Subnet>().ok()));
    let mut layouts = Vec::new();
    for group in &lab.groups {
        let subnet = kept(group, observed).or_else(|| free(pool, prefix_for(group), &taken));
        let subnet = subnet.ok_or_else(|| NoRoom {
            pool,
            group: group.name.to_string(),
            by: observed.taken.iter().filter(|taken| taken.subnet.overlaps(pool)).cloned().collect(),
        })?;
        taken.push(subnet);
        layouts.push(Layout { subnet, server: subnet.address(SERVER), clients: clients(group, subnet, observed) });
    }
    Ok(layouts)
}

/// The subnet that the group has, if the group still fits.
fn kept(group: &Group, observed: &Observed) -> Option<Subnet> {
    let network = Object { group: group.name.clone(), role: Role::Network };
    let subnet: Subnet = observed.objects.get(&network)?.parts.get("subnet")?.parse().ok()?;
    let room = usize::try_from(subnet.last() - subnet.base + 1).ok()?;
    (room >= group.students.len() + SET_ASIDE).then_some(subnet)
}

fn prefix_for(group: &Group) -> u8 {
    let addresses = (group.students.len() + SET_ASIDE + SPARE).next_power_of_two();
    let bits = u8::try_from(addresses.trailing_zeros()).expect("a group is smaller than an IPv4 network");
    (32 - bits).min(SMALLEST)
}

fn free(pool: Subnet, prefix: u8, taken: &[Subnet]) -> Option<Subnet> {
    let mut base = pool.base;
    loop {
        let subnet = Subnet::new(Ipv4Addr::from(base), prefix);
        if prefix < pool.prefix || subnet.last() > pool.last() {
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
    if subnet.base == base { Some(base) } else { subnet.last().checked_add(1) }
}

fn clients(group: &Group, subnet: Subnet, observed: &Observed) -> BTreeMap<Login, Ipv4Addr> {
    let has = |login: &Login| {
        let client = Object { group: group.name.clone(), role: Role::Client(login.clone()) };
        let address: Ipv4Addr = observed.objects.get(&client)?.parts.get("address")?.parse().ok()?;
        let usable = subnet.address(FIRST_CLIENT)..Ipv4Addr::from(subnet.last());
        (subnet.holds(address) && usable.contains(&address)).then_some(address)
    };
    let mut clients: BTreeMap<Login, Ipv4Addr> = BTreeMap::new();
    for student in &group.students {
        if let Some(address) = has(&student.login).filter(|address| !clients.values().any(|other| other == address)) {
            clients.insert(student.login.clone(), address);
        }
    }
    for student in &group.students {
        if !clients.contains_key(&student.login) {
            let mut offsets = (FIRST_CLIENT..).map(|offset| subnet.address(offset));
            let address = offsets.find(|address| !clients.values().any(|other| other == address));
            clients.insert(student.login.clone(), address.expect("the subnet was chosen for this many"));
        }
    }
    clients
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::resolve::tests::lab;

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
        let layouts = layouts(&lab, &observed, Subnet::default_pool()).unwrap();
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
        let text = "the pool `10.77.0.0/27` has no room for group `g02`: network `other` has `10.77.0.0/28`";
        assert_eq!(full.to_string(), text);
    }

    #[test]
    fn a_subnet_has_room_for_its_group_at_every_size() {
        for (students, prefix) in [(0, 28), (8, 28), (9, 27), (24, 27), (25, 26), (200, 24)] {
            let logins: Vec<String> = (0..students).map(|n| format!("s{n}")).collect();
            let lab = lab(&[("g01", &logins.iter().map(String::as_str).collect::<Vec<_>>())]);
            let layout = layouts(&lab, &Observed::default(), Subnet::default_pool()).unwrap().remove(0);
            assert_eq!(layout.subnet.prefix, prefix, "{students}");
            let last = Ipv4Addr::from(layout.subnet.last());
            assert!(layout.clients.values().all(|address| *address < last && *address > layout.server));
        }
    }

    #[test]
    fn pools_have_limits() {
        assert!(pool("10.0.0.0/8").is_ok() && pool("10.0.0.0/28").is_ok());
        assert!(pool("0.0.0.0/7").is_err() && pool("10.0.0.0/29").is_err());
        assert!("10.0.0.0/33".parse::<Subnet>().is_err() && "10.0.0.0".parse::<Subnet>().is_err());
        assert!(subnet("0.0.0.0/0").overlaps(subnet("255.255.255.255/32")));
    }
}
