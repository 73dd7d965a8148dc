//! Copies of the servers' stores in the state directory: what `report`, `trace` and `archive` read. A copy is as of one
//! moment, comes over the control socket, and stays when the lab is down.

use tokio::task::JoinSet;

use super::{Docker, DockerError};
use crate::lab::GroupName;

/// Stores at once.
const AT_ONCE: usize = 8;

impl Docker {
    /// Brings the copies of the stores up to date, of those servers that run.
    pub async fn settle(&self) -> Result<(), DockerError> {
        let mut under_way: JoinSet<Result<(), DockerError>> = JoinSet::new();
        let mut outcome = Ok(());
        for (group, id) in self.running_servers().await? {
            if under_way.len() == AT_ONCE {
                outcome = outcome.and(joined(under_way.join_next().await));
            }
            let docker = self.clone();
            under_way.spawn(async move { docker.copy_store(&group, &id).await });
        }
        while let Some(ended) = under_way.join_next().await {
            outcome = outcome.and(joined(Some(ended)));
        }
        outcome
    }

    /// Brings the copy of one group's store up to date, if its server runs.
    pub async fn settle_group(&self, group: &GroupName) -> Result<(), DockerError> {
        match self.running_servers().await?.get(group) {
            Some(id) => self.copy_store(group, id).await,
            None => Ok(()),
        }
    }

    /// Brings the copy of one group's store up to date, from its server's container: whole or not at all, also while another
    /// labctl does the same. Stores are for their owner only.
    pub(super) async fn copy_store(&self, group: &GroupName, server: &str) -> Result<(), DockerError> {
        let failed = |source| DockerError::Copy { group: group.to_string(), source };
        self.dir.make()?;
        let new = tempfile::Builder::new().prefix(".copy-").tempfile_in(self.dir.stores()).map_err(failed)?;
        let mut file = tokio::fs::File::from_std(new.reopen().map_err(failed)?);
        self.server_client(group, server).store(group, &mut file).await?;
        // Whatever is here and not there stays here.
        Ok(self.dir.place_copy(group, new.path())?)
    }
}

fn joined(ended: Option<Result<Result<(), DockerError>, tokio::task::JoinError>>) -> Result<(), DockerError> {
    ended.and_then(Result::ok).unwrap_or(Ok(()))
}
