//! From a lab and its addresses to the objects that an Engine should have.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::{IpAddr, SocketAddr},
};

use sha2::{Digest as _, Sha256};

use super::{Desired, Layout, Object, Role, Spec};
use crate::{
    lab::{Domain, Key, Lab, Login, ServerConfig, Service, server::Endpoint},
    plan::{Addressing, Numbers},
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

/// The objects of a lab; the layouts are in the order of its groups.
pub fn desired(lab: &Lab, key: &Key, layouts: &[Layout], images: &Images) -> Desired {
    let mut desired = Desired::new();
    // Where the servers listen is replaced below, so nobody has a number.
    let servers = crate::plan::servers(lab, key, Addressing::Ephemeral, &Numbers::default());
    for (config, layout) in servers.into_iter().zip(layouts) {
        let config = placed(lab, config, layout);
        let object = |role| Object { group: config.group.clone(), role };
        desired.insert(object(Role::Network), Spec::Network { subnet: layout.subnet });
        let hosts = hosts(&config);
        for (login, address) in &layout.clients {
            let client = Spec::Client {
                image: images.client.clone(),
                address: *address,
                server: layout.server,
                hosts: hosts.clone(),
                variables: variables(&config, login),
            };
            desired.insert(object(Role::Client(login.clone())), client);
        }
        let (image, address) = (images.server.clone(), layout.server);
        desired.insert(object(Role::Server), Spec::Server { image, address, config: Box::new(config.clone()) });
    }
    desired
}

/// The configuration with the addresses of its network: one endpoint per service, and each student known by the client's.
fn placed(lab: &Lab, mut config: ServerConfig, layout: &Layout) -> ServerConfig {
    let endpoint = |service: Service| {
        let chosen = lab.settings.ports.get(&service).copied().filter(|port| *port != service.embedded_port());
        let address = SocketAddr::from((layout.server, chosen.unwrap_or_else(|| service.standard_port())));
        Endpoint { service, address, student: None }
    };
    config.endpoints = Service::served().map(endpoint).collect();
    config.clients = layout.clients.iter().map(|(login, address)| (IpAddr::V4(*address), login.clone())).collect();
    config
}

fn variables(config: &ServerConfig, login: &Login) -> BTreeMap<String, String> {
    let ports = config.endpoints.iter().map(|endpoint| {
        let name = format!("LABCTL_{}", endpoint.service.as_str().to_uppercase());
        (name, endpoint.address.port().to_string())
    });
    let named =
        [("GROUP", config.group.to_string()), ("LOGIN", login.to_string()), ("DOMAIN", config.domain.to_string())];
    ports.chain(named.map(|(name, value)| (format!("LABCTL_{name}"), value))).collect()
}

/// The names that mean the server inside its network: its own where it is one, the mail domain, and `mail`.
fn hosts(config: &ServerConfig) -> Vec<String> {
    let own: Option<Domain> = config.host.parse().ok();
    let names = own.into_iter().chain([config.domain.clone()]).map(|name| name.to_string());
    let mut names: Vec<String> = names.chain(["mail".to_owned()]).collect();
    names.sort();
    names.dedup();
    names
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
