//! Taking a lab away, by its labels alone, also one that is half there; then looking whether anything is left.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bollard::{
    models::{ContainerInspectResponse, NetworkDisconnectRequest},
    query_parameters::{InspectContainerOptions, InspectNetworkOptions, ListVolumesOptions, RemoveContainerOptions},
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::sleep,
};

use super::{Docker, DockerError, Failure, expected, failed, labels, status};
use crate::{
    lab::GroupName,
    plan::docker::{Found, Object, Observed, Role, State},
};

/// Groups at once. Killing computes and removing a network waits, so more of them than when a lab comes up.
const AT_ONCE: usize = 8;

/// How often, and how many times, it is looked whether a container is gone that somebody else removes.
const LOOK: Duration = Duration::from_millis(100);
const LOOKS: usize = 100;

/// What of a lab there is to remove.
#[derive(Debug)]
pub struct Remains {
    objects: Vec<(Object, Found)>,
    volumes: Vec<String>,
    purge: bool,
}

impl Remains {
    /// Containers.
    pub fn containers(&self) -> usize {
        self.objects.len() - self.networks()
    }

    /// Networks.
    pub fn networks(&self) -> usize {
        self.objects.iter().filter(|(object, _)| object.role.is_network()).count()
    }

    /// Volumes, where they go as well.
    pub fn volumes(&self) -> usize {
        self.volumes.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty() && self.volumes.is_empty()
    }
}

/// What is told while a lab goes.
#[derive(Debug)]
pub enum Removal {
    /// An object is gone.
    Object(Object),
    /// A volume is gone.
    Volume(String),
    /// The store of a server that goes could not be copied here.
    NotCopied(DockerError),
    /// Something could not be removed.
    Failed(Failure),
}

impl Docker {
    /// What there is of the lab; with `purge` also its volumes.
    pub async fn remains(&self, purge: bool) -> Result<Remains, DockerError> {
        let Observed { objects, doubles, .. } = self.observe().await?;
        let doubles = doubles.into_iter().flat_map(|(object, found)| {
            found.into_iter().map(move |found| (object.clone(), found)).collect::<Vec<_>>()
        });
        let objects = objects.into_iter().chain(doubles).collect();
        let volumes = if purge { self.volumes().await? } else { Vec::new() };
        Ok(Remains { objects, volumes, purge })
    }

    /// Removes it, group by group: the containers, then their network; volumes last. With `copy`, the stores of servers
    /// that run are copied here before. What is still there in the end is an error that names it and says why.
    pub async fn down(&self, remains: Remains, copy: bool, mut tell: impl FnMut(&Removal)) -> Result<(), DockerError> {
        let mut groups: BTreeMap<Option<GroupName>, Vec<(Object, Found)>> = BTreeMap::new();
        for (object, found) in remains.objects {
            groups.entry(object.group.clone()).or_default().push((object, found));
        }
        let (send, mut news) = mpsc::unbounded_channel();
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        // Networks of the whole lab go last: servers are on them.
        let whole_lab = groups.remove(&None).unwrap_or_default();
        let mut of_groups: JoinSet<()> = JoinSet::new();
        for objects in groups.into_values() {
            let (docker, slots, send) = (self.clone(), Arc::clone(&slots), send.clone());
            of_groups.spawn(async move {
                let _slot = slots.acquire().await;
                docker.remove_group(objects, copy, &send).await;
            });
        }
        let docker = self.clone();
        let mut under_way: JoinSet<()> = JoinSet::new();
        under_way.spawn(async move {
            of_groups.join_all().await;
            docker.remove_group(whole_lab, copy, &send).await;
        });
        let mut reasons = BTreeMap::new();
        while let Some(removal) = news.recv().await {
            tell(&removal);
            if let Removal::Failed(failure) = removal {
                reasons.insert(failure.object.to_string(), failure.problem.to_string());
            }
        }
        let stay = self.remove_volumes(&remains.volumes, |volume| tell(&Removal::Volume(volume.to_owned()))).await;
        reasons.extend(stay.into_iter().map(|(volume, problem)| (format!("volume `{volume}`"), problem.to_string())));
        let left = self.remains(remains.purge).await?;
        let objects: BTreeSet<String> = left.objects.iter().map(|(object, _)| object.to_string()).collect();
        let left = objects.into_iter().chain(left.volumes.iter().map(|volume| format!("volume `{volume}`")));
        let why = |name: String| match reasons.get(&name) {
            Some(reason) => format!("{name} ({reason})"),
            None => name,
        };
        let left: Vec<String> = left.map(why).collect();
        if left.is_empty() { Ok(()) } else { Err(DockerError::Left { left }) }
    }

    /// Removes the objects of one group: containers all at once, then networks.
    async fn remove_group(&self, objects: Vec<(Object, Found)>, copy: bool, news: &mpsc::UnboundedSender<Removal>) {
        let (networks, containers): (Vec<_>, Vec<_>) =
            objects.into_iter().partition(|(object, _)| object.role.is_network());
        for objects in [containers, networks] {
            let mut under_way: JoinSet<Vec<Removal>> = JoinSet::new();
            for (object, found) in objects {
                let docker = self.clone();
                under_way.spawn(async move {
                    let mut told = Vec::new();
                    let server = object.group.as_ref().filter(|_| object.role == Role::Server);
                    if let Some(group) = server.filter(|_| copy && found.state == State::Running) {
                        let copied = docker.copy_store(group, &found.id).await;
                        told.extend(copied.err().map(Removal::NotCopied));
                    }
                    told.push(match docker.remove(&object, &found.id).await {
                        Ok(()) => Removal::Object(object),
                        Err(problem) => Removal::Failed(Failure { object, problem }),
                    });
                    told
                });
            }
            while let Some(told) = under_way.join_next().await {
                for told in told.unwrap_or_default() {
                    // Who asked is always listening.
                    let _ = news.send(told);
                }
            }
        }
    }

    /// Removes one object. What is gone already, or is being removed by somebody else, is as good.
    pub(super) async fn remove(&self, object: &Object, id: &str) -> Result<(), DockerError> {
        if object.role.is_network() {
            if object.group.is_none() {
                self.clear(id).await?;
            }
            return match expected(self.api.remove_network(id).await, &[404]) {
                Err(answer) if status(&answer) == Some(403) => match self.users(id).await {
                    users if users.is_empty() => Err(failed("remove")(answer)),
                    users => Err(DockerError::InUse { users }),
                },
                removed => removed.map_err(failed("remove")),
            };
        }
        let options = RemoveContainerOptions { force: true, ..Default::default() };
        match self.api.remove_container(id, Some(options)).await {
            Err(answer) if status(&answer) == Some(409) => self.gone(id).await,
            removed => expected(removed, &[404]).map_err(failed("remove")),
        }
    }

    /// Takes all servers off a network of the whole lab.
    async fn clear(&self, network: &str) -> Result<(), DockerError> {
        let found = match self.api.inspect_network(network, None).await {
            Err(answer) if status(&answer) == Some(404) => return Ok(()),
            found => found.map_err(failed("look who is on it"))?,
        };
        for container in found.containers.unwrap_or_default().into_keys() {
            let request = NetworkDisconnectRequest { container, force: Some(true) };
            let left = self.api.disconnect_network(network, request).await;
            expected(left, &[404]).map_err(failed("take a server off it"))?;
        }
        Ok(())
    }

    /// Waits for a container that is being removed already.
    async fn gone(&self, id: &str) -> Result<(), DockerError> {
        for _ in 0..LOOKS {
            let found: Result<ContainerInspectResponse, _> =
                self.api.inspect_container(id, None::<InspectContainerOptions>).await;
            match found {
                Err(answer) if status(&answer) == Some(404) => return Ok(()),
                Ok(_) => sleep(LOOK).await,
                Err(answer) => return Err(failed("look whether it is gone")(answer)),
            }
        }
        Err(DockerError::Going)
    }

    /// Whose containers are on a network.
    async fn users(&self, network: &str) -> Vec<String> {
        let found = self.api.inspect_network(network, None::<InspectNetworkOptions>).await.ok();
        let containers = found.and_then(|found| found.containers).unwrap_or_default();
        let mut users: Vec<String> =
            containers.into_iter().map(|(id, container)| container.name.unwrap_or(id)).collect();
        users.sort();
        users
    }

    /// The lab's volumes, which `down` without `purge` keeps.
    async fn volumes(&self) -> Result<Vec<String>, DockerError> {
        let filters = Some(labels::filter(&self.lab, &self.owner.id));
        let listed = self.api.list_volumes(Some(ListVolumesOptions { filters })).await;
        let volumes = listed.map_err(failed("list the volumes"))?.volumes.unwrap_or_default();
        Ok(volumes.into_iter().map(|volume| volume.name).collect())
    }
}
