//! From a lab to what each server is told: passwords drawn, addresses chosen. Pure; the key and the numbers are arguments.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use super::address::{Addressing, Numbers};
use crate::lab::{
    EngineKind, Group, Key, Lab, Login, Neighbour, Relaying, ServerConfig, Service, Settings,
    server::{Account, Endpoint},
    template::Person,
};

/// The configuration of every group's server, in the order of the groups. A student whom `numbers` does not know has no
/// endpoint: call [`Numbers::assign`] first.
pub fn servers(lab: &Lab, key: &Key, addressing: Addressing, numbers: &Numbers) -> Vec<ServerConfig> {
    let mut servers: Vec<ServerConfig> =
        lab.groups.iter().map(|group| server(lab, group, key, addressing, numbers)).collect();
    let port = lab.settings.port(Service::Smtp, EngineKind::Embedded);
    connect(lab, &mut servers, |config| {
        let address = addressing.backbone(numbers.group(&config.group)?)?;
        Some((SocketAddr::new(address, port), address))
    });
    servers
}

/// Joins the servers of a lab with `relay = true`: each listens for the others at an address that is no student's, connects
/// from one by which they know it, and knows where they are. `place` says both for a server; one that has no place stays alone.
pub fn connect(lab: &Lab, servers: &mut [ServerConfig], place: impl Fn(&ServerConfig) -> Option<(SocketAddr, IpAddr)>) {
    let Settings { relay, routes, patience, .. } = &lab.settings;
    if !relay {
        return;
    }
    let places: Vec<Option<Neighbour>> =
        servers.iter().map(|config| place(config).map(|place| neighbour(config, place))).collect();
    for (number, (config, own)) in servers.iter_mut().zip(&places).enumerate() {
        config.relaying = Relaying { routes: routes.clone(), patience: patience.clone(), ..Relaying::default() };
        let Some(own) = own else { continue };
        config.relaying.from = Some(own.from);
        let others = places.iter().enumerate().filter(|(other, _)| *other != number);
        config.relaying.neighbours = others.filter_map(|(_, place)| place.clone()).collect();
        config.endpoints.push(Endpoint { service: Service::Smtp, address: own.smtp, student: None });
    }
}

fn neighbour(config: &ServerConfig, (smtp, from): (SocketAddr, IpAddr)) -> Neighbour {
    let (group, domain, host) = (config.group.clone(), config.domain.clone(), config.host.clone());
    Neighbour { group, domain, host, smtp, from }
}

fn server(lab: &Lab, group: &Group, key: &Key, addressing: Addressing, numbers: &Numbers) -> ServerConfig {
    let settings = &lab.settings;
    ServerConfig {
        lab: lab.name.clone(),
        group: group.name.clone(),
        domain: group.domain.clone(),
        host: group.host.clone(),
        dialect: settings.dialect.clone(),
        leniency: settings.leniency,
        lone_newline: settings.lone_newline,
        tls: settings.tls,
        identity: None,
        relay: settings.relay,
        auth_before_tls: settings.auth_before_tls,
        vrfy: settings.vrfy,
        catch_all: settings.catch_all.clone(),
        limits: settings.limits.clone(),
        accounts: accounts(lab, group, key),
        endpoints: endpoints(lab, group, addressing, numbers),
        faults: lab.faults.clone(),
        clients: BTreeMap::new(),
        clients_only: None,
        relaying: Relaying::default(),
    }
}

/// A student's own mailbox wins over a shared one of the same name.
fn accounts(lab: &Lab, group: &Group, key: &Key) -> BTreeMap<Login, Account> {
    let person = Person { lab, group, student: None, key, mail: None };
    let account = |name: &Login, student: bool| {
        let token = key.token(group.name.as_str(), name.as_str());
        (name.clone(), Account { password: person.password(name.as_str()), token, student })
    };
    let shared = group.users.iter().map(|user| account(&user.name, false));
    let own = group.students.iter().map(|student| account(&student.login, true));
    shared.chain(own).collect()
}

fn endpoints(lab: &Lab, group: &Group, addressing: Addressing, numbers: &Numbers) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    for student in &group.students {
        let Some(place) = numbers.place(&group.name, &student.login) else { continue };
        for service in lab.settings.services.iter().copied() {
            let address = addressing.endpoint(place, service, lab.settings.port(service, EngineKind::Embedded));
            endpoints.push(Endpoint { service, address, student: Some(student.login.clone()) });
        }
    }
    endpoints
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::lab::{Leniency, Limits, LoneNewline, Patience, Settings, Student, Text, Tls, User};

    /// A lab with these groups and their students, all else as small as can be.
    pub(crate) fn lab(groups: &[(&str, &[&str])]) -> Lab {
        let student = |login: &&str| Student { login: login.parse().unwrap(), name: None, email: None, password: None };
        let group = |(name, students): &(&str, &[&str])| Group {
            name: name.parse().unwrap(),
            domain: format!("{name}.lab").parse().unwrap(),
            host: format!("mail.{name}.lab"),
            students: students.iter().map(student).collect(),
            users: vec![User { name: "user2".parse().unwrap(), password: Some("Usuario2".into()) }],
        };
        Lab {
            name: "test".parse().unwrap(),
            title: Text::plain("Test"),
            language: None,
            source: "/tmp/lab.toml".into(),
            engine: None,
            groups: groups.iter().map(group).collect(),
            settings: Settings {
                relay: false,
                auth_before_tls: false,
                vrfy: false,
                tls: Tls::default(),
                services: Service::ALL.into(),
                dialect: "labctl".into(),
                leniency: Leniency::LENIENT,
                lone_newline: LoneNewline::Refuse,
                catch_all: None,
                ports: BTreeMap::new(),
                limits: Limits::default(),
                routes: Vec::new(),
                patience: Patience::default(),
                any_neighbour: false,
            },
            docker: crate::lab::Containers::default(),
            mails: Vec::new(),
            exercises: Vec::new(),
            faults: Vec::new(),
        }
    }

    pub(crate) fn key() -> Key {
        Key([7; 32])
    }

    #[test]
    fn a_server_gets_fixed_and_drawn_passwords_and_an_endpoint_per_student_and_service() {
        let mut lab = lab(&[("g01", &["ana", "ben"])]);
        lab.settings.services = BTreeSet::from([Service::Imap, Service::Pop3, Service::Domain, Service::Smtp]);
        let mut numbers = Numbers::default();
        numbers.assign(&lab);
        let config = servers(&lab, &key(), Addressing::Loopback { second: 77 }, &numbers).remove(0);
        let token = key().token("g01", "user2");
        assert_eq!(config.accounts["user2"], Account { password: "Usuario2".into(), token, student: false });
        assert_eq!(config.accounts["ana"].password, key().password("g01", "ana"));
        let shown: Vec<String> = config
            .endpoints
            .iter()
            .map(|endpoint| format!("{} {} {}", endpoint.student.as_ref().unwrap(), endpoint.service, endpoint.address))
            .collect();
        assert_eq!(
            shown,
            [
                "ana smtp 127.77.1.1:2525",
                "ana pop3 127.77.1.1:2110",
                "ana imap 127.77.1.1:2143",
                "ana domain 127.77.1.1:2053",
                "ben smtp 127.77.1.2:2525",
                "ben pop3 127.77.1.2:2110",
                "ben imap 127.77.1.2:2143",
                "ben domain 127.77.1.2:2053",
            ]
        );
        assert_eq!(config.relaying, Relaying::default(), "without `relay = true` it knows nobody");
    }

    #[test]
    fn with_relay_each_server_knows_the_others_and_has_a_place_to_meet_them() {
        let mut lab = lab(&[("g01", &["ana"]), ("g02", &[]), ("g03", &["eva"])]);
        lab.settings.relay = true;
        let mut numbers = Numbers::default();
        numbers.assign(&lab);
        let servers = servers(&lab, &key(), Addressing::Loopback { second: 77 }, &numbers);
        let meets = |config: &ServerConfig| config.endpoints.last().map(|endpoint| endpoint.address.to_string());
        let knows = |config: &ServerConfig| {
            let all = config.relaying.neighbours.iter();
            all.map(|other| format!("{} {} {}", other.domain, other.smtp, other.from)).collect::<Vec<_>>()
        };
        assert_eq!(meets(&servers[1]).as_deref(), Some("127.77.2.255:2525"));
        assert_eq!(
            knows(&servers[1]),
            ["g01.lab 127.77.1.255:2525 127.77.1.255", "g03.lab 127.77.3.255:2525 127.77.3.255"]
        );
        assert_eq!(servers[1].relaying.from, Some(IpAddr::from([127, 77, 2, 255])));
    }
}
