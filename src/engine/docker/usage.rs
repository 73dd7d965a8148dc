//! What containers use now.

use std::collections::BTreeMap;

use bollard::query_parameters::StatsOptions;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;

use super::Docker;
use crate::plan::docker::{Object, Observed, State};

/// Containers that are asked at once.
const AT_ONCE: usize = 16;

/// What the kernel would give back if memory were short: the name of its count by version of cgroups.
const GIVEN_BACK: [&str; 2] = ["inactive_file", "total_inactive_file"];

impl Docker {
    /// The octets of memory of each container that runs or is held, without what the kernel only keeps because nobody else
    /// needs it. One that has just ended has none.
    pub async fn memory(&self, observed: &Observed) -> BTreeMap<Object, u64> {
        let mut asking: JoinSet<Option<(Object, u64)>> = JoinSet::new();
        let mut memory = BTreeMap::new();
        for (object, found) in &observed.objects {
            if object.role.is_network() || !matches!(found.state, State::Running | State::Paused) {
                continue;
            }
            if asking.len() == AT_ONCE {
                memory.extend(asking.join_next().await.and_then(Result::ok).flatten());
            }
            let (docker, object, id) = (self.clone(), object.clone(), found.id.clone());
            asking.spawn(async move { Some((object, docker.memory_of(&id).await?)) });
        }
        while let Some(answered) = asking.join_next().await {
            memory.extend(answered.ok().flatten());
        }
        memory
    }

    async fn memory_of(&self, id: &str) -> Option<u64> {
        let options = StatsOptions { stream: false, one_shot: true };
        let mut stats = std::pin::pin!(self.api.stats(id, Some(options)));
        let memory = stats.next().await?.ok()?.memory_stats?;
        let counts = memory.stats.unwrap_or_default();
        let given_back = GIVEN_BACK.iter().find_map(|name| counts.get(*name)).copied().unwrap_or(0);
        Some(memory.usage?.saturating_sub(given_back))
    }
}
