//! How a server passes mail on: the other groups' servers, ways out of the lab, and how patiently it tries.

use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::names::{Domain, GroupName};

/// What one server knows of the world that its mail goes to. Without `relay = true` it has no neighbours and no routes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relaying {
    /// The address that its own connections come from, by which its neighbours know it; none: any.
    pub from: Option<IpAddr>,
    /// The servers of the lab's other groups, in the order of the groups.
    pub neighbours: Vec<Neighbour>,
    /// Ways to domains outside the lab, in the order of the lab file.
    pub routes: Vec<Route>,
    /// How patiently it tries.
    pub patience: Patience,
}

/// The server of another group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its group.
    pub group: GroupName,
    /// The mail domain it is final destination for.
    pub domain: Domain,
    /// What it calls itself.
    pub host: String,
    /// Where it takes mail from other servers.
    pub smtp: SocketAddr,
    /// The address that its connections come from: who comes from there is no student.
    pub from: IpAddr,
}

/// A way to a domain outside the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The domain.
    pub domain: Domain,
    /// The server that takes its mail: a name that the system can look up, or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// How patiently a server tries, in the time of a class: RFC 5321 4.5.4.1 thinks of half an hour between tries and of
/// days until it gives up, and nobody would see that in a lesson.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patience {
    /// Seconds to the second try; each pause after it is twice as long.
    pub retry_secs: u64,
    /// The longest pause in seconds.
    pub retry_most_secs: u64,
    /// Seconds after which a sender who asked for it hears of the delay (RFC 3461 4.1).
    pub warn_secs: u64,
    /// Seconds after which the message is returned.
    pub give_up_secs: u64,
    /// Connections at once to one domain.
    pub sessions: usize,
    /// Recipients that may wait; with so many there, others are refused for the time being.
    pub recipients: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Self { retry_secs: 5, retry_most_secs: 60, warn_secs: 120, give_up_secs: 900, sessions: 8, recipients: 10_000 }
    }
}
