//! The descriptors of a process: how many it may have, and some that its clients never get. A process that has none left
//! answers nobody, not even whoever wants to know why.

use std::fs;

use serde::{Deserialize, Serialize};

use crate::lab::{Protocol, server::Endpoint};

/// Descriptors that clients never get: for the control socket and whoever asks over it, for the stores' files, and for mail on
/// its way to other servers. Of a process that may have few, a quarter of them.
const RESERVED: u64 = 64;

/// What a store has open: its file, log and index for the writer and for a reader, and one more while it is copied.
const STORE: u64 = 7;

/// Where the system lists them.
const OPEN: &str = "/proc/self/fd";

/// Descriptors that are open, and how many may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Descriptors {
    /// Open now.
    pub open: u64,
    /// The limit; 0: nobody knows.
    pub limit: u64,
}

impl Descriptors {
    /// Those of this process.
    pub fn now() -> Self {
        let open = fs::read_dir(OPEN).map_or(0, |open| open.count() as u64);
        Self { open, limit: limit() }
    }

    /// Whether clients are turned away.
    pub fn is_exhausted(self) -> bool {
        self.limit > 0 && self.open >= self.limit - reserved(self.limit)
    }

    /// Whether there is room for so many more without what is reserved.
    pub fn has_room(self, more: u64) -> bool {
        self.limit == 0 || self.open.saturating_add(more) <= self.limit - reserved(self.limit)
    }
}

/// What a server with these endpoints needs, before anybody connects.
pub fn needed(endpoints: &[Endpoint]) -> u64 {
    let sockets = |endpoint: &Endpoint| match endpoint.service.protocol() {
        Protocol::Dns => 2,
        Protocol::Smtp | Protocol::Pop3 | Protocol::Imap => 1,
    };
    STORE + endpoints.iter().map(sockets).sum::<u64>()
}

/// Whether a client's connection with this descriptor takes one of those that are reserved: the system gives the lowest that is
/// free, so its number says how many are in use.
pub(super) fn is_reserved(descriptor: i32, limit: u64) -> bool {
    limit > 0 && u64::try_from(descriptor).is_ok_and(|number| number >= limit - reserved(limit))
}

/// How many descriptors this process may have; 0 where the system does not tell.
pub(super) fn limit() -> u64 {
    rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(0, |(soft, _)| soft)
}

fn reserved(limit: u64) -> u64 {
    RESERVED.min(limit / 4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Service;

    #[test]
    fn the_last_descriptors_are_not_for_clients() {
        assert!(!is_reserved(1_024 - 65, 1_024) && is_reserved(1_024 - 64, 1_024));
        assert!(!is_reserved(47, 64) && is_reserved(48, 64), "of few, a quarter");
        assert!(!is_reserved(i32::MAX, 0));
        let few = Descriptors { open: 60, limit: 100 };
        assert!(few.has_room(15) && !few.has_room(16));
        assert!(!few.is_exhausted() && Descriptors { open: 75, ..few }.is_exhausted());
    }

    #[test]
    fn a_server_needs_a_socket_for_each_endpoint_and_two_for_names() {
        let endpoint = |service| Endpoint { service, address: "127.0.0.1:0".parse().unwrap(), student: None };
        assert_eq!(needed(&[Service::Smtp, Service::Domain].map(endpoint)), STORE + 3);
    }

    #[test]
    fn this_process_has_some() {
        let now = Descriptors::now();
        assert!(now.open > 0 && now.open < now.limit, "{now:?}");
    }
}
