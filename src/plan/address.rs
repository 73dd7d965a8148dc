//! Who gets which address. A student's endpoint is how the student is recognised, so numbers are given once and stay:
//! adding or removing a student moves nobody else, and who comes back gets the old number again.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use serde::{Deserialize, Serialize};

use crate::lab::{Group, GroupName, Lab, Login, MAX_GROUPS, MAX_STUDENTS, Service};

/// The second octet of the first lab's block: 127.77.G.S.
const FIRST_SECOND: u8 = 77;

/// Second octets of one block: a lab may have [`MAX_GROUPS`] groups, and a third octet counts 256.
const SECONDS: u8 = 4;

/// The first port of the first lab where each student has ports instead of an address: above what services use and below
/// what systems hand out for outgoing connections.
const FIRST_PORT: u16 = 10_000;

/// Students of one block of ports; a lab with more has several blocks in a row.
const STUDENTS: usize = 1_024;

/// Ports of one block: one per service for each of its students, also for services that the lab does not have, so that a
/// student's ports stay when it gets them.
const PORTS: usize = STUDENTS * Service::ALL.len();

/// The highest number of a student in a group, the last octet of the address (255 is for broadcasts).
const MAX_NUMBER: u16 = 254;

/// How endpoints get their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// 127.`second`.G.S with the lab's ports: an address per student, on Linux.
    Loopback {
        /// The second octet; group 256 and up count it on.
        second: u8,
    },
    /// One address, and a port per student and service.
    Ports {
        /// The address.
        address: IpAddr,
        /// The first port.
        first: u16,
    },
    /// 127.0.0.1 and whatever ports the system has free: for servers that live as long as a rehearsal or a test.
    Ephemeral,
}

impl Addressing {
    /// An address per student out of block number `block` (0 is the first); none where the loopback network ends.
    pub fn loopback(block: u8) -> Option<Self> {
        let second = block.checked_mul(SECONDS)?.checked_add(FIRST_SECOND)?;
        second.checked_add(SECONDS - 1).filter(|last| *last < u8::MAX)?;
        Some(Self::Loopback { second })
    }

    /// A port per student and service on `address` out of so many blocks from number `block` on; none where ports end.
    pub fn ports(address: IpAddr, block: u8, blocks: u8) -> Option<Self> {
        let block_size = u16::try_from(PORTS).expect("a block has fewer ports than there are");
        let first = u16::from(block).checked_mul(block_size)?.checked_add(FIRST_PORT)?;
        first.checked_add(block_size.checked_mul(u16::from(blocks))?).map(|_| Self::Ports { address, first })
    }

    /// Where the student with these numbers is served.
    pub fn endpoint(self, place: Place, service: Service, port: u16) -> SocketAddr {
        match self {
            Self::Loopback { second } => {
                let [high, third] = place.group.to_be_bytes();
                let [_, last] = place.number.to_be_bytes();
                SocketAddr::from((Ipv4Addr::new(127, second + high, third, last), port))
            }
            Self::Ports { address, first } => {
                let index = Service::ALL.iter().position(|known| *known == service).expect("every service is in ALL");
                let offset = usize::from(place.slot) * Service::ALL.len() + index;
                SocketAddr::from((address, first + u16::try_from(offset).expect("a slot is below MAX_STUDENTS")))
            }
            Self::Ephemeral => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        }
    }
}

/// The last octet of the address at which a group's server meets the others: on loopback one like any other, and no student's.
const BACKBONE: u8 = 255;

impl Addressing {
    /// Where the server of the group with this number meets the others, who are in the same process: always on loopback, also
    /// where students come from elsewhere. None for servers that live as long as a rehearsal or a test.
    pub fn backbone(self, group: u16) -> Option<IpAddr> {
        let second = match self {
            Self::Loopback { second } => second,
            // The block of ports is the lab's own, and so is the block of addresses of the same number.
            Self::Ports { first, .. } => {
                let block = usize::from(first - FIRST_PORT) / PORTS;
                FIRST_SECOND + SECONDS * u8::try_from(block).ok()?
            }
            Self::Ephemeral => return None,
        };
        let [high, third] = group.to_be_bytes();
        Some(IpAddr::from([127, second + high, third, BACKBONE]))
    }
}

/// The numbers of one student.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The group's number, below [`MAX_GROUPS`].
    pub group: u16,
    /// The student's number in the group, from 1.
    pub number: u16,
    /// The student's number in the lab, from 0, below [`MAX_STUDENTS`].
    pub slot: u16,
}

/// Every number that was given, also to groups and students that the lab no longer has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbers {
    groups: BTreeMap<GroupName, Numbered>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Numbered {
    number: u16,
    students: BTreeMap<Login, Pair>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Pair {
    number: u16,
    slot: u16,
}

impl Numbers {
    /// Numbers whoever has none yet. Numbers of those who left are given away only when no others are free.
    pub fn assign(&mut self, lab: &Lab) {
        self.assign_groups(lab);
        let mut slots: BTreeSet<u16> =
            self.groups.values().flat_map(|group| group.students.values().map(|pair| pair.slot)).collect();
        if slots.len() + lab.students().count() > MAX_STUDENTS {
            slots = self.forget_absent_students(lab);
        }
        for group in &lab.groups {
            let numbered = self.groups.entry(group.name.clone()).or_default();
            numbered.assign(group, &mut slots);
        }
    }

    /// How many blocks of ports the students need who have a number.
    pub fn blocks(&self) -> u8 {
        let slots = self.groups.values().flat_map(|group| group.students.values().map(|pair| pair.slot));
        let last = slots.max().map_or(0, usize::from);
        u8::try_from(last / STUDENTS + 1).expect("a slot is below MAX_STUDENTS")
    }

    /// The number of a group; none for one that was never assigned.
    pub fn group(&self, group: &GroupName) -> Option<u16> {
        self.groups.get(group).map(|numbered| numbered.number)
    }

    /// The numbers of a student; none for one who was never assigned.
    pub fn place(&self, group: &GroupName, login: &Login) -> Option<Place> {
        let numbered = self.groups.get(group)?;
        let pair = numbered.students.get(login)?;
        Some(Place { group: numbered.number, number: pair.number, slot: pair.slot })
    }

    /// A group named `g05` gets 5 if that is free, so that addresses can be read; others the lowest free number from 1.
    fn assign_groups(&mut self, lab: &Lab) {
        let new = || lab.groups.iter().filter(|group| !self.groups.contains_key(&group.name));
        if self.groups.len() + new().count() > MAX_GROUPS {
            self.groups.retain(|name, _| lab.group(name.as_str()).is_some());
        }
        let mut taken: BTreeSet<u16> = self.groups.values().map(|group| group.number).collect();
        let new: Vec<GroupName> = lab
            .groups
            .iter()
            .map(|group| &group.name)
            .filter(|name| !self.groups.contains_key(*name))
            .cloned()
            .collect();
        let (readable, others): (Vec<_>, Vec<_>) = new.into_iter().partition(|name| {
            let number = number_in(name.as_str());
            number.is_some_and(|number| taken.insert(number))
        });
        for name in readable {
            let number = number_in(name.as_str()).expect("partitioned by it");
            self.groups.insert(name, Numbered { number, students: BTreeMap::new() });
        }
        for name in others {
            let number = lowest_free(&taken, 1, MAX_GROUPS);
            taken.insert(number);
            self.groups.insert(name, Numbered { number, students: BTreeMap::new() });
        }
    }

    fn forget_absent_students(&mut self, lab: &Lab) -> BTreeSet<u16> {
        for (name, numbered) in &mut self.groups {
            let present = |login: &Login| {
                lab.group(name.as_str())
                    .is_some_and(|group| group.students.iter().any(|student| student.login == *login))
            };
            numbered.students.retain(|login, _| present(login));
        }
        self.groups.values().flat_map(|group| group.students.values().map(|pair| pair.slot)).collect()
    }
}

impl Numbered {
    fn assign(&mut self, group: &Group, slots: &mut BTreeSet<u16>) {
        let known = self.students.len();
        let new = group.students.iter().filter(|student| !self.students.contains_key(&student.login)).count();
        if known + new > usize::from(MAX_NUMBER) {
            self.students.retain(|login, _| group.students.iter().any(|student| student.login == *login));
        }
        let mut taken: BTreeSet<u16> = self.students.values().map(|pair| pair.number).collect();
        for student in &group.students {
            if self.students.contains_key(&student.login) {
                continue;
            }
            let pair = Pair {
                number: lowest_free(&taken, 1, usize::from(MAX_NUMBER) + 1),
                slot: lowest_free(slots, 0, MAX_STUDENTS),
            };
            taken.insert(pair.number);
            slots.insert(pair.slot);
            self.students.insert(student.login.clone(), pair);
        }
    }
}

/// The digits at the end of a group's name, where they can be its number.
fn number_in(name: &str) -> Option<u16> {
    let digits = name.len() - name.bytes().rev().take_while(u8::is_ascii_digit).count();
    name[digits..].parse().ok().filter(|number| (1..MAX_GROUPS).contains(&usize::from(*number)))
}

/// The lowest number from `from` to below `end` that is not taken; 0, which is no number from 1, where all are.
fn lowest_free(taken: &BTreeSet<u16>, from: u16, end: usize) -> u16 {
    let end = u16::try_from(end).expect("groups and students are counted in 16 bits");
    (from..end).find(|number| !taken.contains(number)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::resolve::tests::lab;

    fn place(numbers: &Numbers, group: &str, login: &str) -> Place {
        numbers.place(&group.parse().unwrap(), &login.parse().unwrap()).expect("assigned")
    }

    #[test]
    fn a_class_reads_its_groups_in_the_addresses() {
        let lab = lab(&[("g01", &["ana", "ben"]), ("g05", &["eva"]), ("tarde", &["leo"])]);
        let mut numbers = Numbers::default();
        numbers.assign(&lab);
        let address = |group: &str, login: &str| {
            let loopback = Addressing::loopback(0).unwrap();
            loopback.endpoint(place(&numbers, group, login), Service::Smtp, 2525).to_string()
        };
        assert_eq!(address("g01", "ben"), "127.77.1.2:2525");
        assert_eq!(address("g05", "eva"), "127.77.5.1:2525");
        assert_eq!(address("tarde", "leo"), "127.77.2.1:2525");
    }

    #[test]
    fn who_comes_and_goes_moves_nobody_else() {
        let mut numbers = Numbers::default();
        numbers.assign(&lab(&[("g01", &["ben", "eva"]), ("g02", &["leo"])]));
        let before = numbers.clone();
        numbers.assign(&lab(&[("g00", &["zoe"]), ("g01", &["ana", "eva"]), ("g02", &["leo"])]));
        for (group, login) in [("g01", "ben"), ("g01", "eva"), ("g02", "leo")] {
            assert_eq!(place(&numbers, group, login), place(&before, group, login));
        }
        assert_eq!(place(&numbers, "g01", "ana").number, 3);
        assert_eq!(place(&numbers, "g00", "zoe").group, 3);
    }

    #[test]
    fn numbers_of_those_who_left_are_given_away_when_no_others_are_free() {
        let logins = |from: usize| (from..from + 200).map(|n| format!("s{n}")).collect::<Vec<_>>();
        let full = |from: usize| {
            let logins = logins(from);
            lab(&[("g01", &logins.iter().map(String::as_str).collect::<Vec<_>>())])
        };
        let mut numbers = Numbers::default();
        for term in 0..30 {
            numbers.assign(&full(term * 200));
        }
        let all: BTreeSet<u16> = logins(29 * 200).iter().map(|login| place(&numbers, "g01", login).number).collect();
        assert_eq!(all.len(), 200);
        assert!(all.iter().all(|number| (1..=MAX_NUMBER).contains(number)));
    }

    #[test]
    fn the_largest_lab_has_an_address_for_everybody() {
        let names: Vec<String> = (0..MAX_GROUPS).map(|n| format!("c{n}x")).collect();
        let groups: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), [].as_slice())).collect();
        let mut numbers = Numbers::default();
        numbers.assign(&lab(&groups));
        let all: BTreeSet<u16> = numbers.groups.values().map(|group| group.number).collect();
        assert_eq!(all.len(), MAX_GROUPS);
        assert!(all.iter().all(|number| usize::from(*number) < MAX_GROUPS));
    }

    #[test]
    fn blocks_do_not_overlap_and_end_where_addresses_do() {
        let seconds: Vec<u8> = (0..=u8::MAX)
            .map_while(Addressing::loopback)
            .filter_map(|addressing| match addressing {
                Addressing::Loopback { second } => Some(second),
                Addressing::Ports { .. } | Addressing::Ephemeral => None,
            })
            .collect();
        assert_eq!(seconds[..2], [77, 81]);
        assert_eq!(seconds.last(), Some(&249));
        let local = IpAddr::from([127, 0, 0, 1]);
        assert_eq!(Addressing::ports(local, 1, 1), Some(Addressing::Ports { address: local, first: 18_192 }));
        assert!(Addressing::ports(local, 5, 1).is_some() && Addressing::ports(local, 2, 4).is_some());
        assert_eq!((Addressing::ports(local, 6, 1), Addressing::ports(local, 3, 4)), (None, None));
        let place = |slot: usize| Place { group: 1, number: 1, slot: u16::try_from(slot).unwrap() };
        let port = |slot| Addressing::ports(local, 0, 1).unwrap().endpoint(place(slot), Service::Domain, 0).port();
        assert_eq!((port(STUDENTS - 1), port(STUDENTS)), (18_191, 18_199), "the next one is in the next block");
    }

    #[test]
    fn servers_meet_where_no_student_is() {
        let shown = |addressing: Option<Addressing>, group| addressing.unwrap().backbone(group).unwrap().to_string();
        assert_eq!(shown(Addressing::loopback(0), 5), "127.77.5.255");
        assert_eq!(shown(Addressing::loopback(1), 1_023), "127.84.255.255");
        let ports = |block| Addressing::ports(IpAddr::from([192, 0, 2, 1]), block, 1);
        assert_eq!((shown(ports(0), 5), shown(ports(2), 5)), ("127.77.5.255".to_owned(), "127.85.5.255".to_owned()));
        assert_eq!(Addressing::Ephemeral.backbone(5), None);
        assert!(MAX_NUMBER < u16::from(BACKBONE));
    }

    #[test]
    fn a_large_class_takes_several_blocks_of_ports() {
        let blocks = |students: usize| {
            let logins: Vec<String> = (0..students).map(|n| format!("s{n}")).collect();
            let names: Vec<String> = (0..students.div_ceil(200)).map(|n| format!("c{n}x")).collect();
            let logins: Vec<&str> = logins.iter().map(String::as_str).collect();
            let groups: Vec<(&str, &[&str])> = names.iter().map(String::as_str).zip(logins.chunks(200)).collect();
            let mut numbers = Numbers::default();
            numbers.assign(&lab(&groups));
            numbers.blocks()
        };
        assert_eq!([0, 1, STUDENTS, STUDENTS + 1, MAX_STUDENTS].map(blocks), [1, 1, 1, 2, 4]);
    }
}
