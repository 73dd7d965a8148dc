//! Where students connect, as a table: whole addresses for programs; on a terminal, where a row has 80 characters, what is the
//! same in all rows stands below them instead. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Mailbox, Student};
use crate::lab::{Protocol, Service};

/// `host:port` by service.
type Endpoints = BTreeMap<Service, String>;

/// Heads, rows, and what goes below.
pub type Table = (Vec<String>, Vec<Vec<String>>, Vec<String>);

/// The heads of the rows that [`full`] makes.
pub fn head(students: &[Student]) -> Vec<String> {
    let [send, read] =
        shown(students.first().map(Student::outside)).map(|service| service.map_or_else(String::new, upper));
    let fixed = ["GROUP", "DOMAIN", "STUDENT", "PASSWORD"].map(str::to_owned);
    fixed.into_iter().chain([send, read, "SHARED MAILBOXES".to_owned()]).collect()
}

/// One student, in full.
pub fn full(student: &Student) -> Vec<String> {
    let places = whole(student.outside());
    let shared = student.mailboxes.iter().skip(1).map(|mailbox| format!("{}:{}", mailbox.user, mailbox.password));
    let fixed = [&student.group, &student.domain, &student.login, &student.password].map(Clone::clone);
    fixed.into_iter().chain(places).chain([shared.collect::<Vec<_>>().join(" ")]).collect()
}

/// Everybody with addresses and passwords, for a terminal. Who wants the domain finds it on the cards.
pub fn brief(students: &[Student]) -> Table {
    let (places, cells, note) = places(&students.iter().map(Student::outside).collect::<Vec<_>>());
    let shared: BTreeSet<String> = students.iter().map(|student| listed(&student.mailboxes)).collect();
    let common = shared.len() == 1;
    let mut rows = Vec::new();
    for (index, (student, cells)) in students.iter().zip(cells).enumerate() {
        let row = [&student.group, &student.login, &student.password].map(Clone::clone);
        rows.push(row.into_iter().chain(cells).collect::<Vec<String>>());
        let last = students.get(index + 1).is_none_or(|next| next.group != student.group);
        if last && !common {
            rows.extend(student.mailboxes.iter().skip(1).map(|mailbox| {
                let row = [student.group.clone(), format!("{} (shared)", mailbox.user), mailbox.password.clone()];
                row.into_iter().chain(places.iter().map(|_| String::new())).collect()
            }));
        }
    }
    let head = ["GROUP", "STUDENT", "PASSWORD"].map(str::to_owned).into_iter().chain(places).collect();
    let shared = shared.first().filter(|text| common && !text.is_empty());
    (head, rows, note.into_iter().chain(shared.map(|text| format!("shared mailboxes: {text}"))).collect())
}

/// Where everybody connects, for `up`.
pub fn endpoints(students: &[Student], terminal: bool) -> Table {
    let endpoints: Vec<&Endpoints> = students.iter().map(|student| &student.endpoints).collect();
    let (places, cells, note) = if terminal {
        places(&endpoints)
    } else {
        let heads = shown(endpoints.first().copied()).map(|service| service.map_or_else(String::new, upper));
        (heads.to_vec(), endpoints.iter().map(|endpoints| whole(endpoints).to_vec()).collect(), None)
    };
    let row = |(student, cells): (&Student, Vec<String>)| {
        let fixed = [&student.group, &student.domain, &student.login].map(Clone::clone);
        fixed.into_iter().chain(cells).collect()
    };
    let head = ["GROUP", "DOMAIN", "STUDENT"].map(str::to_owned).into_iter().chain(places).collect();
    (head, students.iter().zip(cells).map(row).collect(), note.into_iter().collect())
}

/// The endpoints that a row has room for, in full.
pub fn whole(endpoints: &Endpoints) -> [String; 2] {
    shown(Some(endpoints))
        .map(|service| service.and_then(|service| endpoints.get(&service)).cloned().unwrap_or_default())
}

/// The columns that say where, the cells of each student, and what is the same for all.
pub fn places(students: &[&Endpoints]) -> (Vec<String>, Vec<Vec<String>>, Option<String>) {
    let split = |endpoints: &&Endpoints| {
        let places = endpoints.iter();
        let places = places.filter_map(|(service, place)| Some((*service, place.rsplit_once(':')?)));
        places.map(|(service, (host, port))| (service, host.to_owned(), port.to_owned())).collect::<Vec<_>>()
    };
    let all: Vec<Vec<(Service, String, String)>> = students.iter().map(split).collect();
    let ports = |places: &[(Service, String, String)]| {
        let ports = places.iter().map(|(service, _, port)| format!("{service} {port}"));
        ports.collect::<Vec<_>>().join(", ")
    };
    let host =
        |places: &[(Service, String, String)]| places.first().map_or_else(String::new, |(_, host, _)| host.clone());
    let one_host = all
        .iter()
        .all(|places| places.iter().all(|(_, host, _)| places.first().is_some_and(|(_, first, _)| host == first)));
    if one_host && all.iter().map(|places| ports(places)).collect::<BTreeSet<_>>().len() <= 1 {
        let note = all.first().map(|places| format!("ports: {}", ports(places)));
        return (vec!["ADDRESS".to_owned()], all.iter().map(|places| vec![host(places)]).collect(), note);
    }
    let hosts: BTreeSet<String> = all.iter().map(|places| host(places)).collect();
    let common = one_host && hosts.len() == 1;
    let shown: Vec<Service> = shown(students.first().copied()).into_iter().flatten().collect();
    let cell = |places: &[(Service, String, String)], wanted: Service| {
        let found = places.iter().find(|(service, ..)| *service == wanted);
        found.map_or_else(String::new, |(_, host, port)| if common { port.clone() } else { format!("{host}:{port}") })
    };
    let cells = all.iter().map(|places| shown.iter().map(|service| cell(places, *service)).collect()).collect();
    let note = hosts.first().filter(|_| common).map(|host| format!("address: {host}"));
    (shown.into_iter().map(upper).collect(), cells, note)
}

/// The services that a row has room for: one to send by and one to read by, the plainest that there are.
pub fn shown(endpoints: Option<&Endpoints>) -> [Option<Service>; 2] {
    let offered = |service: &Service| endpoints.is_some_and(|endpoints| endpoints.contains_key(service));
    let first = |protocols: &[Protocol]| {
        let plain = Service::ALL.into_iter().filter(|service| protocols.contains(&service.protocol()));
        let mut all: Vec<Service> = plain.filter(offered).collect();
        all.sort_by_key(|service| service.implicit_tls());
        all.first().copied()
    };
    [first(&[Protocol::Smtp]), first(&[Protocol::Pop3, Protocol::Imap])]
}

fn upper(service: Service) -> String {
    service.as_str().to_uppercase()
}

/// Shared mailboxes with their passwords.
fn listed(mailboxes: &[Mailbox]) -> String {
    let shared = mailboxes.iter().skip(1).map(|mailbox| format!("{} {}", mailbox.user, mailbox.password));
    shared.collect::<Vec<_>>().join(", ")
}
