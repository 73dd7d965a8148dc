//! How a lab wants its containers on the docker engine: where their addresses come from, what they may use, and what may
//! reach them or be reached from them.

use std::{fmt, net::IpAddr};

use super::subnet::Subnet;

/// The settings of `[docker]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Containers {
    /// The addresses of which each group gets a small subnet; none: [`Subnet::default_pool`].
    pub pool: Option<Subnet>,
    /// Whether students' containers have a way out of their group's network.
    pub internet: bool,
    /// When students' containers are started.
    pub clients: Start,
    /// The address of the host at which each student has ports of the group's server; none: nothing is published.
    pub publish: Option<IpAddr>,
    /// What each server may use.
    pub server: Allowance,
    /// What each student's container may use.
    pub client: Allowance,
}

/// When a student's container is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// By `up`.
    Always,
    /// By the first `shell`, `exec` or `start`.
    OnDemand,
}

/// What a container may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// Memory, octets; there is no swap beside it.
    pub memory: u64,
    /// Processors, thousandths of one.
    pub millicpus: u32,
    /// Processes and threads at once.
    pub processes: u32,
    /// Open files of a process.
    pub files: u32,
    /// What may be kept, octets: the volume where the Engine's disk has quotas, and of a client a single file everywhere.
    pub disk: u64,
}

impl Allowance {
    /// A server is one process; it holds a connection per session and little of each. Its disk has room for what its
    /// mailboxes may hold.
    pub const SERVER: Self = Self { memory: 256 << 20, millicpus: 1_000, processes: 64, files: 16_384, disk: 8 << 30 };

    /// A client has room for a compiler and a debugger, and not for a fork bomb.
    pub const CLIENT: Self =
        Self { memory: 512 << 20, millicpus: 1_000, processes: 128, files: 1_024, disk: 256 << 20 };

    /// Its parts by name, as the lab file calls them, each in words.
    pub fn parts(&self) -> [(&'static str, String); 5] {
        let processors = format!("{}.{:03}", self.millicpus / 1_000, self.millicpus % 1_000);
        [
            ("memory", Octets(self.memory).to_string()),
            ("cpus", processors.trim_end_matches('0').trim_end_matches('.').to_owned()),
            ("processes", self.processes.to_string()),
            ("files", self.files.to_string()),
            ("disk", Octets(self.disk).to_string()),
        ]
    }
}

impl Default for Containers {
    fn default() -> Self {
        Self {
            pool: None,
            internet: false,
            clients: Start::Always,
            publish: None,
            server: Allowance::SERVER,
            client: Allowance::CLIENT,
        }
    }
}

/// A number of octets in the largest unit that it is a multiple of.
#[derive(Debug, Clone, Copy)]
pub struct Octets(pub u64);

impl fmt::Display for Octets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.into_iter().find(|(bits, _)| self.0 > 0 && self.0.is_multiple_of(1 << bits)) {
            Some((bits, unit)) => write!(out, "{} {unit}", self.0 >> bits),
            None => write!(out, "{} B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_container_may_use_is_said_in_words() {
        let allowance = Allowance { millicpus: 1_250, ..Allowance::CLIENT };
        let words: Vec<String> = allowance.parts().iter().map(|(part, value)| format!("{part} {value}")).collect();
        assert_eq!(words, ["memory 512 MiB", "cpus 1.25", "processes 128", "files 1024", "disk 256 MiB"]);
        let whole = Allowance { millicpus: 10_000, memory: 1_000, ..Allowance::CLIENT };
        assert_eq!([&whole.parts()[0].1, &whole.parts()[1].1], ["1000 B", "10"]);
    }
}
