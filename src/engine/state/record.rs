//! What labctl remembers of a lab: one value, written as one file, so that a lab file never meets the record of another `up`.

use std::{net::IpAddr, ops::RangeInclusive, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::octets;
use crate::{
    lab::{EngineKind, Subnet},
    plan::{Addressing, Numbers},
};

/// The version of `lab.json` that this labctl writes and the only one it reads.
pub(super) const RECORD_VERSION: u32 = 2;

/// What labctl remembers of a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this file's shape.
    pub version: u32,
    /// The lab file, absolute.
    #[serde(with = "octets::path")]
    pub source: PathBuf,
    /// Where it runs.
    #[serde(default)]
    pub engine: EngineKind,
    /// Whether it should be up.
    pub up: bool,
    /// Its block of addresses or ports.
    pub block: u8,
    /// The address beyond loopback that it listens on, where the instructor said so.
    pub listen: Option<IpAddr>,
    /// What was chosen for the docker engine.
    #[serde(default)]
    pub docker: DockerChoices,
    /// The Docker Engine that has its containers and volumes; none where it never was up on one.
    #[serde(default)]
    pub home: Option<Home>,
    /// The numbers of its groups and students.
    pub numbers: Numbers,
    /// The lab's files as they were when it was last brought up; none where it never was.
    #[serde(default)]
    pub kept: Option<Kept>,
}

/// A Docker Engine that holds a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// Its id, which `up` keeps in the label of a volume there.
    pub id: String,
    /// Where it was, as people read it.
    pub place: String,
}

/// The files of a lab as they were when it was last brought up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The lab file.
    #[serde(with = "octets")]
    pub lab: Vec<u8>,
    /// The roster, where the lab names one.
    pub roster: Option<RosterFile>,
}

/// A roster and where it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RosterFile {
    /// Its path.
    #[serde(with = "octets::path")]
    pub path: PathBuf,
    /// What it said.
    #[serde(with = "octets")]
    pub content: Vec<u8>,
}

/// What was chosen for the docker engine and holds until something else is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerChoices {
    /// The addresses of which groups get theirs.
    pub pool: Option<Subnet>,
    /// The image that the clients' is built on.
    pub base: Option<String>,
    /// The clients' image, where it is not built.
    pub client_image: Option<String>,
    /// The servers' program, where it is not this one.
    #[serde(default)]
    pub server_binary: Option<PathBuf>,
}

impl DockerChoices {
    /// The pool: what was chosen, else what the lab says, else what labs use.
    pub fn pool(&self, of_lab: Option<Subnet>) -> Subnet {
        self.pool.or(of_lab).unwrap_or_else(Subnet::default_pool)
    }
}

impl Record {
    /// The record of a lab that was never up.
    pub fn new(source: PathBuf) -> Self {
        let (engine, docker, numbers) = (EngineKind::default(), DockerChoices::default(), Numbers::default());
        let (listen, home, kept) = (None, None, None);
        Self { version: RECORD_VERSION, source, engine, up: false, block: 0, listen, docker, home, numbers, kept }
    }

    /// How its endpoints get their addresses; none where its block does not exist.
    pub fn addressing(&self) -> Option<Addressing> {
        self.addressing_in(self.block)
    }

    pub(super) fn addressing_in(&self, block: u8) -> Option<Addressing> {
        match self.listen {
            Some(address) => Addressing::ports(address, block, self.numbers.blocks()),
            None if cfg!(target_os = "linux") => Addressing::loopback(block),
            None => Addressing::ports(IpAddr::from([127, 0, 0, 1]), block, self.numbers.blocks()),
        }
    }

    /// The blocks that it has: one of addresses, or as many of ports as its students need.
    pub(super) fn blocks(&self) -> RangeInclusive<u8> {
        self.blocks_from(self.block)
    }

    pub(super) fn blocks_from(&self, block: u8) -> RangeInclusive<u8> {
        let count = if self.listen.is_none() && cfg!(target_os = "linux") { 1 } else { self.numbers.blocks() };
        block..=block.saturating_add(count - 1)
    }
}
