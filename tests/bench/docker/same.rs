//! What labctl made, as the Engine tells it: so that others can make the same. Also the image of its clients.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Stdio},
};

use bollard::{
    Docker,
    query_parameters::{
        DownloadFromContainerOptions, InspectContainerOptions, InspectNetworkOptions, ListContainersOptions,
        ListNetworksOptions, ListVolumesOptions,
    },
};
use labctl::engine::StateDir;
use serde_json::Value;
use tokio_stream::StreamExt as _;

use super::lab::NAME;
use crate::Fallible;

/// busybox and a home: what is in an image does not matter to how fast containers of it start.
pub const CLIENT_IMAGE: &str = "labctl-bench-client:1";

/// The labels that are read here.
const LAB: &str = "labctl.lab";
const OWNER: &str = "labctl.owner";
const GROUP: &str = "labctl.group";
const ROLE: &str = "labctl.role";

/// Where a server's configuration is.
pub const CONFIG: &str = "/var/lib/labctl/config.json";

/// A lab that somebody can make again.
pub struct Same {
    /// Its groups, in the order of their names.
    pub groups: Vec<Group>,
}

/// One group.
pub struct Group {
    /// Its name.
    pub name: String,
    /// The Engine's words for its network.
    pub network: Value,
    /// Its containers, the server first.
    pub containers: Vec<Container>,
}

/// One container.
pub struct Container {
    /// What it is called in its group.
    pub name: String,
    /// The Engine's words: its configuration, and how it is to run.
    pub config: Value,
    /// See there.
    pub host: Value,
    /// Its address.
    pub address: String,
    /// Of a server, the archive with its configuration.
    pub archive: Option<Vec<u8>>,
}

impl Container {
    /// The configuration alone.
    pub fn told(&self) -> Fallible<Option<String>> {
        let Some(archive) = &self.archive else { return Ok(None) };
        let mut archive = tar::Archive::new(archive.as_slice());
        let mut text = String::new();
        archive.entries()?.next().ok_or("an empty archive")??.read_to_string(&mut text)?;
        Ok(Some(text))
    }
}

impl Same {
    /// Reads the lab that is up.
    pub fn read() -> Fallible<Self> {
        block(async |api| {
            let filters = Some(filter(&format!("{LAB}={NAME}")));
            let mut groups = BTreeMap::new();
            for network in api.list_networks(Some(ListNetworksOptions { filters: filters.clone() })).await? {
                let id = network.id.ok_or("a network without id")?;
                let network = serde_json::to_value(api.inspect_network(&id, None::<InspectNetworkOptions>).await?)?;
                let name = label(&network["Labels"], GROUP)?;
                groups.insert(name.clone(), Group { name, network, containers: Vec::new() });
            }
            let all = ListContainersOptions { all: true, filters, ..Default::default() };
            for listed in api.list_containers(Some(all)).await? {
                let id = listed.id.ok_or("a container without id")?;
                let found = serde_json::to_value(api.inspect_container(&id, None::<InspectContainerOptions>).await?)?;
                let labels = &found["Config"]["Labels"];
                let (group, role) = (label(labels, GROUP)?, label(labels, ROLE)?);
                let networks =
                    found["NetworkSettings"]["Networks"].as_object().ok_or("a container without networks")?;
                let address = networks.values().next().and_then(|on| on["IPAddress"].as_str()).unwrap_or_default();
                let name = if role == "server" { role.clone() } else { label(labels, "labctl.student")? };
                let archive = if role == "server" { Some(download(api, &id).await?) } else { None };
                let container = Container {
                    name,
                    address: address.to_owned(),
                    config: found["Config"].clone(),
                    host: found["HostConfig"].clone(),
                    archive,
                };
                groups.get_mut(&group).ok_or("a container without its network")?.containers.push(container);
            }
            let mut groups: Vec<Group> = groups.into_values().collect();
            for group in &mut groups {
                group.containers.sort_by_key(|container| (container.archive.is_none(), container.name.clone()));
            }
            Ok(Self { groups })
        })
    }
}

async fn download(api: &Docker, id: &str) -> Fallible<Vec<u8>> {
    let options = DownloadFromContainerOptions { path: CONFIG.to_owned() };
    let mut chunks = std::pin::pin!(api.download_from_container(id, Some(options)));
    let mut archive = Vec::new();
    while let Some(chunk) = chunks.next().await {
        archive.extend_from_slice(&chunk?);
    }
    Ok(archive)
}

/// Whose labs of the benchmark's name the Engine has.
pub fn owners() -> Fallible<BTreeSet<String>> {
    block(async |api| {
        let filters = Some(filter(&format!("{LAB}={NAME}")));
        let mut owners = BTreeSet::new();
        let mut add =
            |labels: Option<HashMap<String, String>>| owners.extend(labels.and_then(|mut all| all.remove(OWNER)));
        let containers = ListContainersOptions { all: true, filters: filters.clone(), ..Default::default() };
        for found in api.list_containers(Some(containers)).await? {
            add(found.labels);
        }
        let networks = ListNetworksOptions { filters: filters.clone() };
        for found in api.list_networks(Some(networks)).await? {
            add(found.labels);
        }
        let volumes = api.list_volumes(Some(ListVolumesOptions { filters })).await?.volumes.unwrap_or_default();
        for found in volumes {
            add(Some(found.labels));
        }
        Ok(owners)
    })
}

/// Does something with the Engine.
pub fn block<T>(work: impl AsyncFnOnce(&Docker) -> Fallible<T>) -> Fallible<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // As labctl reaches it; nothing is kept in the folder.
        let dir = StateDir::new(std::env::temp_dir()).lab(&NAME.parse()?);
        work(labctl::engine::docker::Docker::connect(dir).await?.api()).await
    })
}

/// A filter for one label.
pub fn filter(label: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![label.to_owned()])])
}

fn label(labels: &Value, name: &str) -> Fallible<String> {
    labels[name].as_str().map(str::to_owned).ok_or_else(|| format!("no label `{name}`").into())
}

/// Makes the image of the clients, if it is not there.
pub fn client_image(folder: &Path) -> Fallible<()> {
    let there = Command::new("docker").args(["image", "inspect", CLIENT_IMAGE]).output()?;
    if there.status.success() {
        return Ok(());
    }
    let root = folder.join("root");
    for inside in ["bin", "home/student", "tmp"] {
        fs::create_dir_all(root.join(inside))?;
    }
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists());
    fs::copy(busybox.ok_or("there is no busybox: tests/install.sh")?, root.join("bin/busybox"))?;
    for applet in ["sh", "sleep"] {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(&root).args(["--numeric-owner", "--owner=1000", "--group=1000", "-c", "."]);
    let archive = tar.output()?.stdout;
    let mut import = Command::new("docker");
    import.args(["import", "--change", "ENV PATH=/bin", "-", CLIENT_IMAGE]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut import = import.spawn()?;
    import.stdin.take().ok_or("no input")?.write_all(&archive)?;
    if import.wait()?.success() { Ok(()) } else { Err("`docker import` failed".into()) }
}
