//! Where a lab runs: [`embedded`], one background process for all groups, on loopback; or [`docker`], containers and
//! isolated networks. What labctl keeps on disk is [`state`]; what should run is decided in `crate::plan`, here it is only
//! observed and performed.

pub mod authority;
pub mod docker;
pub mod embedded;
pub mod owner;
pub mod state;

pub use authority::Authority;
pub use state::{Home, Kept, LabDir, Lock, Record, StateDir, StateError};

use self::{
    docker::{Docker, DockerError},
    embedded::{Embedded, EngineError},
};
use crate::{
    control::{Client, ClientError, Status},
    lab::EngineKind,
};

/// A lab where it runs: what verbs ask of it, whatever engine that is.
#[derive(Debug, Clone)]
pub enum Engine {
    /// In one process.
    Embedded(Embedded),
    /// In containers.
    Docker(Box<Docker>),
}

impl Engine {
    /// The lab whose state is in `dir`, on the engine that it was brought up on.
    pub async fn of(dir: &LabDir, kind: EngineKind) -> Result<Self, EngineError> {
        match kind {
            EngineKind::Embedded => Ok(Self::Embedded(Embedded::new(dir.clone()))),
            EngineKind::Docker => Ok(Self::Docker(Box::new(Docker::connect(dir.clone()).await?))),
        }
    }

    /// A client of the lab's servers.
    pub async fn client(&self) -> Result<Client, EngineError> {
        match self {
            Self::Embedded(embedded) => embedded.client(),
            Self::Docker(docker) => Ok(docker.client().await?),
        }
    }

    /// What the servers say of themselves; none where none runs.
    pub async fn status(&self) -> Result<Option<Status>, EngineError> {
        match self {
            Self::Embedded(embedded) => embedded.status().await,
            Self::Docker(docker) => match docker.client().await?.status(false).await {
                Ok(status) => Ok(Some(status)),
                Err(ClientError::Connect { .. }) => Ok(None),
                Err(problem) => Err(DockerError::from(problem).into()),
            },
        }
    }

    /// Makes the stores' files here tell all that the servers have seen.
    pub async fn settle(&self) -> Result<(), EngineError> {
        match self {
            Self::Embedded(embedded) => embedded.settle().await,
            Self::Docker(docker) => Ok(docker.settle().await?),
        }
    }
}
