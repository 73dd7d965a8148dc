//! The bare calls of the Engine's API, in their best order: four groups at once, in each the network, the server, the clients
//! in turn. No plan, no labels to find anything again, no look whether it worked: what no program can do without.

use std::{sync::Arc, time::Instant};

use bollard::{
    Docker, body_full,
    models::{ContainerCreateBody, NetworkCreateRequest, VolumeCreateRequest},
    query_parameters::{
        CreateContainerOptions, ListContainersOptions, ListNetworksOptions, ListVolumesOptions, RemoveContainerOptions,
        RemoveVolumeOptions, StartContainerOptions, UploadToContainerOptions,
    },
};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};

use super::same::{CONFIG, Container, Group, Same, block, filter};
use crate::Fallible;

/// Groups at once, coming and going.
const COMING: usize = 4;
const GOING: usize = 8;

/// On all that is made here, so that it can be taken away.
const LABEL: &str = "labctl-bench.bare";

/// One group's calls, ready to be made.
struct Calls {
    network: NetworkCreateRequest,
    containers: Vec<Calling>,
}

struct Calling {
    name: String,
    volume: VolumeCreateRequest,
    body: Value,
    archive: Option<Vec<u8>>,
}

/// Makes the lab; how long that takes.
pub fn up(same: &Same) -> Fallible<f64> {
    let calls: Vec<Calls> = same.groups.iter().map(calls).collect::<Fallible<_>>()?;
    block(async |api| {
        let started = Instant::now();
        each(calls, COMING, async |api, calls| make(&api, calls).await, api).await?;
        Ok(started.elapsed().as_secs_f64())
    })
}

/// Takes it away, volumes not; how long that takes.
pub fn down(same: &Same) -> Fallible<f64> {
    let groups: Vec<(String, Vec<String>)> = same
        .groups
        .iter()
        .map(|group| (name(group, ""), group.containers.iter().map(|one| name(group, &one.name)).collect()))
        .collect();
    block(async |api| {
        let started = Instant::now();
        each(groups, GOING, async |api, (network, containers)| remove(&api, &network, containers).await, api).await?;
        Ok(started.elapsed().as_secs_f64())
    })
}

/// Lists all containers and networks; how long that takes, with the connection.
pub fn list() -> Fallible<f64> {
    let started = Instant::now();
    block(async |api| {
        let all = ListContainersOptions { all: true, ..Default::default() };
        tokio::try_join!(api.list_containers(Some(all)), api.list_networks(None::<ListNetworksOptions>))?;
        Ok(())
    })?;
    Ok(started.elapsed().as_secs_f64())
}

/// Takes away all that an earlier run may have left, with volumes.
pub fn purge() -> Fallible<()> {
    block(async |api| {
        let filters = || Some(filter(LABEL));
        let all = ListContainersOptions { all: true, filters: filters(), ..Default::default() };
        for container in api.list_containers(Some(all)).await? {
            let options = RemoveContainerOptions { force: true, ..Default::default() };
            api.remove_container(&container.id.unwrap_or_default(), Some(options)).await?;
        }
        for network in api.list_networks(Some(ListNetworksOptions { filters: filters() })).await? {
            api.remove_network(&network.id.unwrap_or_default()).await?;
        }
        let volumes = api.list_volumes(Some(ListVolumesOptions { filters: filters() })).await?.volumes;
        for volume in volumes.unwrap_or_default() {
            api.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await?;
        }
        Ok(())
    })
}

/// Works on all of them, so many at once.
async fn each<T: Send + 'static, Work>(
    all: Vec<T>,
    at_once: usize,
    work: impl Fn(Docker, T) -> Work,
    api: &Docker,
) -> Fallible<()>
where
    Work: Future<Output = Fallible<()>> + 'static,
{
    let slots = Arc::new(Semaphore::new(at_once));
    let local = tokio::task::LocalSet::new();
    let mut under_way: JoinSet<Result<(), String>> = JoinSet::new();
    for one in all {
        let (slots, work) = (Arc::clone(&slots), work(api.clone(), one));
        let work = async move {
            let _slot = slots.acquire().await;
            work.await.map_err(|problem| problem.to_string())
        };
        under_way.spawn_local_on(work, &local);
    }
    local
        .run_until(async {
            while let Some(ended) = under_way.join_next().await {
                ended??;
            }
            Ok(())
        })
        .await
}

async fn make(api: &Docker, calls: Calls) -> Fallible<()> {
    let network = api.create_network(calls.network).await?.id;
    for Calling { name, volume, mut body, archive } in calls.containers {
        api.create_volume(volume).await?;
        body["HostConfig"]["NetworkMode"] = json!(network);
        let endpoint = body["Endpoint"].take();
        body["NetworkingConfig"] = json!({ "EndpointsConfig": { network.as_str(): endpoint } });
        let body: ContainerCreateBody = serde_json::from_value(body)?;
        let options = CreateContainerOptions { name: Some(name), ..Default::default() };
        let id = api.create_container(Some(options), body).await?.id;
        if let Some(archive) = archive {
            let path = CONFIG.rsplit_once('/').map_or("/", |(folder, _)| folder).to_owned();
            let options = UploadToContainerOptions { path, ..Default::default() };
            api.upload_to_container(&id, Some(options), body_full(archive.into())).await?;
        }
        api.start_container(&id, None::<StartContainerOptions>).await?;
    }
    Ok(())
}

async fn remove(api: &Docker, network: &str, containers: Vec<String>) -> Fallible<()> {
    let mut under_way: JoinSet<Result<(), bollard::errors::Error>> = JoinSet::new();
    for name in containers {
        let api = api.clone();
        let options = RemoveContainerOptions { force: true, ..Default::default() };
        under_way.spawn(async move { api.remove_container(&name, Some(options)).await });
    }
    while let Some(removed) = under_way.join_next().await {
        removed??;
    }
    Ok(api.remove_network(network).await?)
}

/// What an object is called.
fn name(group: &Group, container: &str) -> String {
    format!("labctl-bench-bare.{}.{container}", group.name).trim_end_matches('.').to_owned()
}

fn calls(group: &Group) -> Fallible<Calls> {
    let network = json!({
        "Name": name(group, ""), "Driver": group.network["Driver"], "Internal": group.network["Internal"],
        "Options": group.network["Options"], "Labels": { LABEL: "" },
        "IPAM": { "Config": [{ "Subnet": group.network["IPAM"]["Config"][0]["Subnet"] }] },
    });
    let containers = group.containers.iter().map(|container| calling(group, container)).collect::<Fallible<_>>()?;
    Ok(Calls { network: serde_json::from_value(network)?, containers })
}

fn calling(group: &Group, container: &Container) -> Fallible<Calling> {
    let name = name(group, &container.name);
    let mut body = container.config.clone();
    body["Labels"] = json!({ LABEL: "" });
    body["HostConfig"] = container.host.clone();
    body["HostConfig"]["Mounts"][0]["Source"] = json!(name);
    body["Endpoint"] = json!({ "IPAMConfig": { "IPv4Address": container.address } });
    let volume = serde_json::from_value(json!({ "Name": name, "Labels": { LABEL: "" } }))?;
    Ok(Calling { name, volume, body, archive: container.archive.clone() })
}
