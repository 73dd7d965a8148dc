//! Who owns a port that is in use, where the system tells: on Linux `/proc` does, for processes of the same user (and for
//! all of them when root asks).

use std::{fmt, net::SocketAddr};

/// A process that listens somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// Its number.
    pub pid: i32,
}

impl fmt::Display for Owner {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{}` (process {})", self.name, self.pid)
    }
}

/// The process that keeps us from listening on `address`; none where the system does not tell.
#[cfg(target_os = "linux")]
pub fn of(address: SocketAddr) -> Option<Owner> {
    use procfs::{
        net::{TcpState, tcp, tcp6},
        process::{FDTarget, all_processes},
    };
    let blocks = |local: SocketAddr| {
        local.port() == address.port()
            && (local.ip() == address.ip() || local.ip().is_unspecified() || address.ip().is_unspecified())
    };
    let entries = [tcp().unwrap_or_default(), tcp6().unwrap_or_default()].concat();
    let listening = entries.iter().filter(|entry| entry.state == TcpState::Listen);
    let inode = listening.filter(|entry| blocks(entry.local_address)).map(|entry| entry.inode).next()?;
    let holds = |process: &procfs::process::Process| {
        let targets = process.fd().into_iter().flatten().flatten().map(|descriptor| descriptor.target);
        targets.into_iter().any(|target| matches!(target, FDTarget::Socket(socket) if socket == inode))
    };
    let process = all_processes().ok()?.flatten().find(holds)?;
    Some(Owner { name: process.stat().ok()?.comm, pid: process.pid })
}

/// The process that keeps us from listening on `address`; this system does not tell.
#[cfg(not(target_os = "linux"))]
pub fn of(_address: SocketAddr) -> Option<Owner> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn our_own_listener_is_found_by_its_address_and_by_the_wildcard() {
        let me = i32::try_from(std::process::id()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(of(address).unwrap().pid, me);
        drop(listener);
        assert_eq!(of(address), None);
        let wild = TcpListener::bind("0.0.0.0:0").unwrap();
        let beside = SocketAddr::from(([127, 0, 0, 1], wild.local_addr().unwrap().port()));
        assert_eq!(of(beside).unwrap().pid, me);
    }
}
