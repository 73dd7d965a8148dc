//! From a lab and its addresses to the objects that an Engine should have.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use sha2::{Digest as _, Sha256};

use super::{Desired, Layout, Layouts, Object, Published, Reach, Role, Spec};
use crate::{
    lab::{
        Domain, EngineKind, GroupName, Key, Lab, Login, ServerConfig, Service,
        containers::Start,
        server::{Endpoint, Identity},
    },
    plan::{Addressing, Numbers, resolve::connect},
};

/// The octets of a digest that are kept: what must not collide is one object's past with its present.
const DIGEST: usize = 8;

/// The images of a lab, by content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// The servers'.
    pub server: String,
    /// The clients'.
    pub client: String,
}

/// The objects of a lab. Certificates are none of the plan's business: `identify` knows a server's, once its addresses are
/// known.
pub fn desired<E>(
    lab: &Lab,
    key: &Key,
    layouts: &Layouts,
    images: &Images,
    mut identify: impl FnMut(&ServerConfig) -> Result<Option<Identity>, E>,
) -> Result<Desired, E> {
    let mut desired = Desired::new();
    for (role, subnet) in &layouts.shared {
        let reach = if *role == Role::Front { Reach::Front } else { Reach::Isolated };
        desired.insert(Object { group: None, role: role.clone() }, Spec::Network { subnet: *subnet, reach });
    }
    let reach = if lab.docker.internet { Reach::Internet } else { Reach::Isolated };
    // Where the servers listen is replaced below, so nobody has a number.
    let servers = crate::plan::servers(lab, key, Addressing::Ephemeral, &Numbers::default());
    let placed = servers.into_iter().zip(&layouts.groups).map(|(config, layout)| placed(lab, config, layout));
    let mut servers: Vec<ServerConfig> = placed.collect();
    let meet: BTreeMap<&GroupName, Ipv4Addr> = (lab.groups.iter().zip(&layouts.groups))
        .filter_map(|(group, layout)| Some((&group.name, *layout.shared.get(&Role::Backbone)?)))
        .collect();
    // On the backbone SMTP for other servers, and the address by which they know this one.
    connect(lab, &mut servers, |config| {
        let address = *meet.get(&config.group)?;
        Some((SocketAddr::from((address, Service::Smtp.standard_port())), IpAddr::V4(address)))
    });
    for (config, layout) in servers.into_iter().zip(&layouts.groups) {
        let mut config = config;
        config.identity = identify(&config)?;
        let object = |role| Object::of(&config.group, role);
        desired.insert(object(Role::Network), Spec::Network { subnet: layout.subnet, reach });
        let (hosts, search) = names(&config);
        for (login, address) in &layout.clients {
            let client = Spec::Client {
                image: images.client.clone(),
                address: *address,
                server: layout.server,
                hosts: hosts.clone(),
                search: search.clone(),
                variables: variables(&config, login),
                allowance: lab.docker.client,
                on_demand: lab.docker.clients == Start::OnDemand,
            };
            desired.insert(object(Role::Client(login.clone())), client);
        }
        let published = lab.docker.publish.map(|address| Published { address, ports: layout.ports.clone() });
        let server = Spec::Server {
            image: images.server.clone(),
            address: layout.server,
            shared: layout.shared.clone(),
            published,
            allowance: lab.docker.server,
            config: Box::new(config.clone()),
        };
        desired.insert(object(Role::Server), server);
    }
    Ok(desired)
}

/// The configuration with the addresses of its networks: one endpoint per service in the group, where each student is known
/// by the client's address; on the front an endpoint per student, because behind the host's port everybody comes from the
/// same address.
fn placed(lab: &Lab, mut config: ServerConfig, layout: &Layout) -> ServerConfig {
    let endpoint = |service: Service| {
        let address = SocketAddr::from((layout.server, lab.settings.port(service, EngineKind::Docker)));
        Endpoint { service, address, student: None }
    };
    config.endpoints = lab.settings.services.iter().copied().map(endpoint).collect();
    if let Some(address) = layout.shared.get(&Role::Front) {
        let endpoint = |((student, service), port): (&(Option<Login>, Service), &u16)| Endpoint {
            service: *service,
            address: SocketAddr::from((*address, *port)),
            student: student.clone(),
        };
        config.endpoints.extend(layout.ports.iter().map(endpoint));
    }
    config.clients = layout.clients.iter().map(|(login, address)| (IpAddr::V4(*address), login.clone())).collect();
    // An Engine keeps networks apart, but one that lets members out has gaps while other networks come and go.
    config.clients_only = Some(IpAddr::V4(layout.server));
    config
}

/// The variable of a client that has the certificate of the lab's authority.
const AUTHORITY: &str = "LABCTL_CA";

/// Where a client keeps that certificate; OpenSSL, curl and Python look there because a variable says so.
const TRUSTED: &str = "/etc/labctl-ca.pem";

fn variables(config: &ServerConfig, login: &Login) -> BTreeMap<String, String> {
    // Those of the group's own network come first.
    let own = config.endpoints.first().map(|endpoint| endpoint.address.ip());
    let ports = config.endpoints.iter().take_while(|endpoint| Some(endpoint.address.ip()) == own).map(|endpoint| {
        let name = format!("LABCTL_{}", endpoint.service.as_str().to_uppercase());
        (name, endpoint.address.port().to_string())
    });
    let named =
        [("GROUP", config.group.to_string()), ("LOGIN", login.to_string()), ("DOMAIN", config.domain.to_string())];
    let mut variables: BTreeMap<_, _> =
        ports.chain(named.map(|(name, value)| (format!("LABCTL_{name}"), value))).collect();
    if let Some(identity) = &config.identity {
        variables.insert(AUTHORITY.to_owned(), identity.authority.clone());
        variables.insert("SSL_CERT_FILE".to_owned(), TRUSTED.to_owned());
    }
    variables
}

/// The names that mean the server inside its network: its own where it is one, the mail domain, and `mail` there or alone.
pub fn hosts(config: &ServerConfig) -> Vec<String> {
    let own: Option<Domain> = config.host.parse().ok();
    let names = own.into_iter().chain([config.domain.clone()]).map(|name| name.to_string());
    let mut names: Vec<String> = names.chain(["mail".to_owned(), format!("mail.{}", config.domain)]).collect();
    names.sort();
    names.dedup();
    names
}

/// What a client knows of names without asking, and the domain in which it looks short ones up. Where the server answers for
/// names, a client knows none and asks: a student's query is evidence.
fn names(config: &ServerConfig) -> (Vec<String>, Option<String>) {
    if config.endpoints.iter().any(|endpoint| endpoint.service == Service::Domain) {
        return (Vec::new(), Some(config.domain.to_string()));
    }
    (hosts(config), None)
}

/// What tells contents apart: 16 hexadecimal digits.
pub fn digest<'a>(contents: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut digest = Sha256::new();
    for content in contents {
        digest.update((content.len() as u64).to_be_bytes());
        digest.update(content);
    }
    let mut text = String::with_capacity(2 * DIGEST);
    for octet in &digest.finalize()[..DIGEST] {
        let _ = write!(text, "{octet:02x}");
    }
    text
}
