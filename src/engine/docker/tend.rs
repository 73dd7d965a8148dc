//! What an instructor does to containers that are there: start, restart, freeze, thaw. What `up` makes of them afterwards is
//! decided in `crate::plan::docker`.
//!
//! A frozen container is paused, does not come up by itself after a reboot, and is called so: of these only the name is seen
//! in a listing and outlives a reboot, so it is given first and taken away first. Whatever was stopped in the middle of is
//! finished by the same verb, or by `up`.

use std::time::Duration;

use bollard::{
    models::{ContainerUpdateBody, RestartPolicy, RestartPolicyNameEnum},
    query_parameters::{RenameContainerOptions, RestartContainerOptions, StartContainerOptions},
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{Docker, DockerError, expected, failed, make};
use crate::{
    lab::{GroupName, Login},
    plan::docker::{Found, Object, Observed, Role, State},
};

/// Containers at once.
const AT_ONCE: usize = 4;

/// How long a container may take to end before it is killed, in seconds: a client has nothing to finish, a server has
/// sessions, for [`crate::control::host::DRAIN`].
const CLIENT_GRACE_SECS: i32 = 1;
const SERVER_GRACE_SECS: i32 = 10;

/// How long somebody who needs a container waits while files are copied, and how often it is looked.
const HELD: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// Start what is stopped.
    Start,
    /// End it and start it again.
    Restart,
    /// Hold it until it is thawed.
    Freeze,
    /// Let it go on; also start it where it is stopped, unless it waits until somebody needs it.
    Thaw {
        /// Whether stopped containers wait.
        on_demand: bool,
    },
}

/// How it went with one container.
#[derive(Debug)]
pub struct Tended {
    /// Which.
    pub object: Object,
    /// Whether anything had to be done, or what went wrong.
    pub outcome: Result<bool, DockerError>,
}

impl Docker {
    /// Does it to these containers, a bounded number at once; the outcomes in the order of the objects.
    pub async fn tend(&self, observed: &Observed, objects: Vec<Object>, care: Care) -> Vec<Tended> {
        let mut under_way: JoinSet<Tended> = JoinSet::new();
        let mut ended = Vec::new();
        for object in objects {
            if under_way.len() == AT_ONCE {
                ended.extend(under_way.join_next().await.and_then(Result::ok));
            }
            let (docker, found) = (self.clone(), observed.objects.get(&object).cloned());
            under_way.spawn(async move {
                let outcome = match found {
                    Some(found) => docker.tend_one(&object, &found, care).await,
                    None => Err(DockerError::NotRunning { object: object.to_string() }),
                };
                Tended { object, outcome }
            });
        }
        while let Some(one) = under_way.join_next().await {
            ended.extend(one.ok());
        }
        ended.sort_by(|a, b| a.object.cmp(&b.object));
        ended
    }

    async fn tend_one(&self, object: &Object, found: &Found, care: Care) -> Result<bool, DockerError> {
        let id = found.id.as_str();
        match care {
            Care::Start | Care::Restart if found.frozen => Err(DockerError::Frozen { object: object.to_string() }),
            Care::Start => match found.state {
                State::Running => Ok(false),
                State::Paused => self.resume(id).await.map(|()| true),
                State::Stopped | State::Broken => self.start_again(id).await.map(|()| true),
            },
            Care::Restart => {
                let grace = if object.role == Role::Server { SERVER_GRACE_SECS } else { CLIENT_GRACE_SECS };
                let options = RestartContainerOptions { t: Some(grace), ..Default::default() };
                let restarted = self.api.restart_container(id, Some(options)).await;
                restarted.map(|()| true).map_err(failed("restart"))
            }
            Care::Freeze if found.frozen && found.state != State::Running => Ok(false),
            Care::Freeze => self.hold(object, id, found.frozen).await.map(|()| true),
            Care::Thaw { .. } if !found.frozen && found.state != State::Paused => Ok(false),
            Care::Thaw { on_demand } => {
                self.rename(id, self.name(object)).await?;
                self.restarts(id, RestartPolicyNameEnum::UNLESS_STOPPED).await?;
                match found.state {
                    State::Paused => self.resume(id).await?,
                    State::Stopped if !on_demand => self.start_again(id).await?,
                    State::Stopped | State::Running | State::Broken => {}
                }
                Ok(true)
            }
        }
    }

    /// Freezes a container. Where the Engine cannot, it is as it was before.
    pub(super) async fn hold(&self, object: &Object, id: &str, was_frozen: bool) -> Result<(), DockerError> {
        let hold = async {
            self.rename(id, format!("{}{}", make::FROZEN, self.name(object))).await?;
            self.restarts(id, RestartPolicyNameEnum::NO).await?;
            // What does not run, or is held already, is held well enough.
            expected(self.api.pause_container(id).await, &[304, 409]).map_err(failed("freeze"))
        };
        let held = hold.await;
        if held.is_err() && !was_frozen {
            // What it said first is what there is to say.
            let _ = self.restarts(id, RestartPolicyNameEnum::UNLESS_STOPPED).await;
            let _ = self.rename(id, self.name(object)).await;
        }
        held
    }

    /// The id of a student's container that runs; one that waited for it is started. While files are copied it is held for a
    /// moment, which is waited for.
    pub(super) async fn needed(&self, group: &GroupName, login: &Login) -> Result<String, DockerError> {
        let deadline = Instant::now() + HELD;
        loop {
            let (object, found) = self.client_of(group, login).await?;
            match found.state {
                _ if found.frozen => return Err(DockerError::Frozen { object: object.to_string() }),
                State::Running => return Ok(found.id),
                State::Stopped => return self.start_again(&found.id).await.map(|()| found.id),
                State::Paused if Instant::now() < deadline => sleep(LOOK).await,
                State::Paused | State::Broken => return Err(DockerError::NotRunning { object: object.to_string() }),
            }
        }
    }

    async fn start_again(&self, id: &str) -> Result<(), DockerError> {
        let started = self.api.start_container(id, None::<StartContainerOptions>).await;
        expected(started, &[304]).map_err(failed("start"))
    }

    pub(super) async fn resume(&self, id: &str) -> Result<(), DockerError> {
        // Somebody else may have let it go on.
        expected(self.api.unpause_container(id).await, &[304, 409]).map_err(failed("resume"))
    }

    async fn rename(&self, id: &str, name: String) -> Result<(), DockerError> {
        // It is called so already.
        let renamed = self.api.rename_container(id, RenameContainerOptions { name }).await;
        expected(renamed, &[400]).map_err(failed("rename"))
    }

    async fn restarts(&self, id: &str, policy: RestartPolicyNameEnum) -> Result<(), DockerError> {
        let policy = RestartPolicy { name: Some(policy), maximum_retry_count: None };
        let body = ContainerUpdateBody { restart_policy: Some(policy), ..Default::default() };
        // Podman before 5 has no such call, and starts nothing after a reboot. A container that is gone fails at the next one.
        expected(self.api.update_container(id, body).await, &[404]).map_err(failed("change what a reboot does to it"))
    }
}
