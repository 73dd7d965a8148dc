//! What a group's server knows of names: its own domain, its students, and with relay the other groups' domains. It is the
//! one truth: the same for who asks by DNS and for the server's own look-up of where mail goes (RFC 5321 5.1).

use std::net::{IpAddr, SocketAddr};

use crate::{
    lab::{Domain, Neighbour, Route, ServerConfig},
    protocol::smtp::turning,
};

/// The names as they are for somebody who asks at one address of the server.
#[derive(Debug, Clone, Copy)]
pub struct Zone<'a> {
    config: &'a ServerConfig,
    here: IpAddr,
}

/// What there is of a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The server that takes its mail, for a mail domain; it is the name server as well.
    pub exchange: Option<String>,
    /// The name that an address has.
    pub pointer: Option<String>,
    /// The domain that it belongs to.
    pub domain: String,
}

/// Where mail for a domain goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way<'a> {
    /// To the server of another group.
    Neighbour(&'a Neighbour),
    /// Out of the lab.
    Route(&'a Route),
    /// Back to this server, which does not take it.
    Circle,
    /// Nowhere until whoever has this login asks for it (ATRN).
    OnDemand,
    /// Nobody knows.
    Nowhere,
}

impl<'a> Zone<'a> {
    /// The names for who asks at `here`: that is then the server's own address, so that a student who looks it up comes to the
    /// endpoint that is the student's.
    pub const fn new(config: &'a ServerConfig, here: IpAddr) -> Self {
        Self { config, here }
    }

    /// What there is of a name, lower case without its final dot; none where there is no such name.
    pub fn find(&self, name: &str) -> Option<Node> {
        let found = self.own(name).or_else(|| self.neighbour(name)).or_else(|| self.pointer(name));
        // A name that others end in exists, with nothing to it (RFC 8020 2).
        let between = || self.names().any(|known| ends_in(&known, name));
        found.or_else(|| between().then(|| Node { domain: self.config.domain.to_string(), ..Node::default() }))
    }

    fn own(&self, name: &str) -> Option<Node> {
        let (domain, host) = (self.config.domain.as_str(), host(self.config));
        let node = |addresses| Node { addresses, domain: domain.to_owned(), ..Node::default() };
        if name == domain {
            return Some(Node { exchange: Some(host), ..node(vec![self.here]) });
        }
        if name == host || name == usual(&self.config.domain) {
            return Some(node(vec![self.here]));
        }
        let login = name.strip_suffix(domain)?.strip_suffix('.')?;
        let clients = self.config.clients.iter().filter(|(_, known)| known.as_str() == login);
        let addresses: Vec<IpAddr> = clients.map(|(address, _)| *address).collect();
        (!addresses.is_empty()).then(|| node(addresses))
    }

    fn neighbour(&self, name: &str) -> Option<Node> {
        self.config.relaying.neighbours.iter().find_map(|neighbour| {
            let domain = neighbour.domain.to_string();
            let host = host_of(&neighbour.host, &neighbour.domain);
            let addresses = vec![neighbour.smtp.ip()];
            let exchange = (name == domain).then(|| host.clone());
            (name == domain || name == host || name == usual(&neighbour.domain)).then_some(Node {
                addresses,
                exchange,
                pointer: None,
                domain,
            })
        })
    }

    fn pointer(&self, name: &str) -> Option<Node> {
        if !ends_in(name, "arpa") {
            return None;
        }
        let config = self.config;
        let is = |address: IpAddr| reverse(address) == name;
        let own = || is(self.here) || config.endpoints.iter().any(|endpoint| is(endpoint.address.ip()));
        let client = config.clients.iter().find(|(address, _)| is(**address));
        let neighbour = || {
            let mut all = config.relaying.neighbours.iter();
            all.find(|neighbour| is(neighbour.smtp.ip()) || is(neighbour.from))
        };
        let pointer = match client {
            Some((_, login)) => format!("{login}.{}", config.domain),
            None if own() => host(config),
            None => neighbour().map(|neighbour| host_of(&neighbour.host, &neighbour.domain))?,
        };
        Some(Node { pointer: Some(pointer), domain: config.domain.to_string(), ..Node::default() })
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let neighbours = self.config.relaying.neighbours.iter();
        let others = neighbours.flat_map(|other| [other.domain.to_string(), host_of(&other.host, &other.domain)]);
        others.chain([self.config.domain.to_string(), host(self.config)])
    }

    /// The domain that a name would be in, where it is one of ours or the neighbours'.
    pub fn domain_of(&self, name: &str) -> Option<&'a str> {
        let neighbours = self.config.relaying.neighbours.iter().map(|neighbour| neighbour.domain.as_str());
        let mut domains = neighbours.chain([self.config.domain.as_str()]);
        domains.find(|domain| name == *domain || ends_in(name, domain))
    }

    /// The server's own name.
    pub fn host(&self) -> String {
        host(self.config)
    }
}

/// Where a server's mail for a domain goes, lower case, or for an address literal in its brackets. Out of the lab there are
/// only the routes that the lab names: a literal leads to other groups' servers and nowhere else, so nobody can have the
/// server connect to what they like.
pub fn way<'a>(config: &'a ServerConfig, domain: &str) -> Way<'a> {
    let relaying = &config.relaying;
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    if let Some(literal) = domain.strip_prefix('[').and_then(|domain| domain.strip_suffix(']')) {
        let address = literal.strip_prefix("ipv6:").unwrap_or(literal).parse::<IpAddr>();
        let neighbour = relaying.neighbours.iter().find(|neighbour| address == Ok(neighbour.smtp.ip()));
        return neighbour.map_or(Way::Nowhere, Way::Neighbour);
    }
    if domain == config.domain.as_str() || domain == host(config) {
        return Way::Circle;
    }
    if let Some(route) = relaying.routes.iter().find(|route| route.domain.as_str() == domain) {
        return Way::Route(route);
    }
    // A host without MX takes its own mail (RFC 5321 5.1).
    let takes = |neighbour: &&Neighbour| {
        neighbour.domain.as_str() == domain || host_of(&neighbour.host, &neighbour.domain) == domain
    };
    let otherwise = if turning::login_of(domain, config).is_some() { Way::OnDemand } else { Way::Nowhere };
    relaying.neighbours.iter().find(takes).map_or(otherwise, Way::Neighbour)
}

/// Whether the server itself listens there.
pub fn is_own(config: &ServerConfig, address: SocketAddr) -> bool {
    config.endpoints.iter().any(|endpoint| endpoint.address == address)
}

/// The name that the server has in the DNS: what it calls itself where that is a name, else `mail` in its domain.
fn host(config: &ServerConfig) -> String {
    host_of(&config.host, &config.domain)
}

fn host_of(host: &str, domain: &Domain) -> String {
    host.parse::<Domain>().map_or_else(|_| usual(domain), |host| host.to_string())
}

/// The name that every mail domain's server has beside its own: people try it first.
fn usual(domain: &Domain) -> String {
    format!("mail.{domain}")
}

fn ends_in(name: &str, end: &str) -> bool {
    name.strip_suffix(end).is_some_and(|rest| rest.ends_with('.'))
}

/// The name under which an address's own name stands (RFC 1035 3.5, RFC 3596 2.5).
fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().map(|octet| format!("{:x}.{:x}.", octet & 15, octet >> 4));
            nibbles.collect::<String>() + "ip6.arpa"
        }
    }
}
