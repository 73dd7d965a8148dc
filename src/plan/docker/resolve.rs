//! From a lab and its addresses to the objects that an Engine should have.

use std::net::{IpAddr, SocketAddr};

use sha2::{Digest as _, Sha256};

use super::{Desired, Layout, Object, Role, Spec};
use crate::{
    lab::{Domain, Key, Lab, Protocol, ServerConfig, server::Endpoint},
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
            };
            desired.insert(object(Role::Client(login.clone())), client);
        }
        let (image, address) = (images.server.clone(), layout.server);
        desired.insert(object(Role::Server), Spec::Server { image, address, config: Box::new(config.clone()) });
    }
    desired
}

/// The configuration with the addresses of its network: one endpoint per protocol, and each student known by the client's.
fn placed(lab: &Lab, mut config: ServerConfig, layout: &Layout) -> ServerConfig {
    let endpoint = |protocol: Protocol| {
        let chosen = lab.settings.ports.get(&protocol).copied().filter(|port| *port != protocol.embedded_port());
        let address = SocketAddr::from((layout.server, chosen.unwrap_or_else(|| protocol.standard_port())));
        Endpoint { protocol, address, student: None }
    };
    config.endpoints = Protocol::ALL.into_iter().map(endpoint).collect();
    config.clients = layout.clients.iter().map(|(login, address)| (IpAddr::V4(*address), login.clone())).collect();
    config
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

/// What tells two configurations apart.
pub fn digest(config: &ServerConfig) -> String {
    let text = serde_json::to_vec(config).expect("a configuration has only names and numbers");
    Sha256::digest(&text).iter().take(DIGEST).map(|octet| format!("{octet:02x}")).collect()
}
