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
        let servers = self.running_servers().await?;
        if servers.is_empty() {
            return Ok(());
        }
        self.dir.make()?;
        let groups: Vec<GroupName> = servers.keys().cloned().collect();
        let dialer = super::Dialer::new(self.api.clone(), servers);
        let client = crate::control::Client::of_containers(std::sync::Arc::new(dialer));
        let mut under_way: JoinSet<Result<(), DockerError>> = JoinSet::new();
        let mut outcome = Ok(());
        for group in groups {
            if under_way.len() == AT_ONCE {
                outcome = outcome.and(joined(under_way.join_next().await));
            }
            let (client, store) = (client.clone(), self.dir.store(&group));
            under_way.spawn(async move {
                let failed = |source| DockerError::Copy { group: group.to_string(), source };
                let new = store.with_extension("new");
                let mut options = tokio::fs::OpenOptions::new();
                // Stores are for their owner only.
                options.write(true).create(true).truncate(true).mode(0o600);
                let mut file = options.open(&new).await.map_err(failed)?;
                client.store(&group, &mut file).await?;
                tokio::fs::rename(&new, &store).await.map_err(failed)
            });
        }
        while let Some(ended) = under_way.join_next().await {
            outcome = outcome.and(joined(Some(ended)));
        }
        outcome
    }
}

fn joined(ended: Option<Result<Result<(), DockerError>, tokio::task::JoinError>>) -> Result<(), DockerError> {
    ended.and_then(Result::ok).unwrap_or(Ok(()))
}
