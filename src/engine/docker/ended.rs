//! How servers' containers ended, as the Engine remembers it. What a server itself knows of the one before it is in its status.

use std::collections::BTreeMap;

use bollard::{models::ContainerState, query_parameters::InspectContainerOptions};
use tokio::task::JoinSet;

use super::{Docker, DockerError};
use crate::{
    evidence::Cause,
    lab::GroupName,
    plan::docker::{Found, Observed, Role, State},
};

/// Containers that are asked for at once.
const AT_ONCE: usize = 16;

/// What is added to the number of a signal, as the Engine and shells do.
const SIGNALLED: i64 = 128;

/// What the Engine knows of a server's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It was started again by the Engine.
    StartedAgain,
    /// It does not run.
    Stopped(Cause),
}

impl Docker {
    /// The servers that ended without being told to, by group. What the Engine cannot say now is left out.
    pub async fn ended(&self, observed: &Observed) -> BTreeMap<GroupName, Ended> {
        let servers = observed.objects.iter().filter(|(object, _)| object.role == Role::Server);
        let mut asking: JoinSet<Option<(GroupName, Ended)>> = JoinSet::new();
        let mut all = BTreeMap::new();
        for (group, found) in servers.filter_map(|(object, found)| Some((object.group.clone()?, found.clone()))) {
            if asking.len() == AT_ONCE {
                all.extend(asking.join_next().await.and_then(Result::ok).flatten());
            }
            let docker = self.clone();
            asking.spawn(async move { Some((group, docker.end_of(&found).await?)) });
        }
        while let Some(answer) = asking.join_next().await {
            all.extend(answer.ok().flatten());
        }
        all
    }

    /// The servers, of those that were there before, that run because the Engine started them again.
    pub async fn servers_started_again(&self, before: &Observed) -> Result<Vec<(GroupName, String)>, DockerError> {
        let mut again = self.ended(before).await;
        again.retain(|_, ended| *ended == Ended::StartedAgain);
        if again.is_empty() {
            return Ok(Vec::new());
        }
        let running = self.running_servers().await?;
        Ok(again.into_keys().filter_map(|group| Some((group.clone(), running.get(&group)?.clone()))).collect())
    }

    async fn end_of(&self, found: &Found) -> Option<Ended> {
        let inspected = self.api.inspect_container(&found.id, None::<InspectContainerOptions>).await.ok()?;
        match found.state {
            State::Running | State::Paused => (inspected.restart_count.unwrap_or(0) > 0).then_some(Ended::StartedAgain),
            State::Stopped | State::Broken => cause(&inspected.state?).map(Ended::Stopped),
        }
    }
}

/// Why a container does not run; none where it was stopped, or never ran.
fn cause(state: &ContainerState) -> Option<Cause> {
    let code = state.exit_code.unwrap_or(0);
    let signal = i32::try_from(code - SIGNALLED).ok().filter(|signal| (1..=64).contains(signal));
    match (code, signal) {
        (0, _) => None,
        _ if state.oom_killed == Some(true) => Some(Cause::OutOfMemory),
        (_, Some(signal)) => Some(Cause::Signal { signal }),
        (code, None) => Some(Cause::Exit { code: i32::try_from(code).unwrap_or(i32::MAX) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_numbers_have_causes() {
        let of = |exit_code, oom_killed| {
            cause(&ContainerState { exit_code: Some(exit_code), oom_killed: Some(oom_killed), ..Default::default() })
        };
        assert_eq!(of(0, false), None);
        assert_eq!(of(137, true), Some(Cause::OutOfMemory));
        assert_eq!(of(137, false), Some(Cause::Signal { signal: 9 }));
        assert_eq!(of(1, false), Some(Cause::Exit { code: 1 }));
        assert_eq!(of(255, false), Some(Cause::Exit { code: 255 }));
    }
}
