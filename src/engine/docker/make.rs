//! What an object is for the Engine: names, options, limits. No calls are made here.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, HostConfigLogConfig, Ipam, IpamConfig,
    Mount, MountType, NetworkCreateRequest, NetworkingConfig, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
    VolumeCreateRequest,
};

use super::{Docker, labels};
use crate::{
    lab::ServerConfig,
    plan::docker::{CONFIGURATION, Object, Role, Spec, Subnet},
};

/// Where a server keeps its store, its socket and what it was told.
pub(super) const SERVER_DIR: &str = "/var/lib/labctl";

/// The file of [`SERVER_DIR`] that a server is started with.
pub(super) const SERVER_CONFIG: &str = "config.json";

/// Whom a server runs as; nobody else's number in its image.
pub(super) const SERVER_USER: u64 = 65_532;

/// Where a student works, and as whom.
const HOME: &str = "/home/student";
const CLIENT_USER: &str = "1000:1000";

/// The longest host name that a kernel takes.
const MAX_HOSTNAME: usize = 63;

/// What a container may use.
struct Limits {
    memory: i64,
    nano_cpus: i64,
    processes: i64,
    files: i64,
}

/// A server is one process; it holds a connection per session and little of each.
const SERVER: Limits = Limits { memory: 256 << 20, nano_cpus: 1_000_000_000, processes: 64, files: 16_384 };

/// A client has room for a compiler and a debugger, and not for a fork bomb.
const CLIENT: Limits = Limits { memory: 512 << 20, nano_cpus: 1_000_000_000, processes: 128, files: 1_024 };

/// What is particular to one client.
pub(super) struct Client<'a> {
    pub image: &'a str,
    pub server: &'a str,
    pub hosts: &'a [String],
    pub variables: &'a BTreeMap<String, String>,
}

/// What comes before the digest of a server's configuration in its name.
pub(super) const TOLD: &str = ".server.";

impl Docker {
    /// What a container is called: a server's name says at its end which configuration it was told.
    pub(super) fn container_name(&self, object: &Object, spec: &Spec) -> String {
        let stem = format!("labctl.{}.{}.{}", self.owner, self.lab, object.group);
        match spec.parts().get(CONFIGURATION) {
            Some(digest) => format!("{stem}{TOLD}{digest}"),
            None => self.name(object),
        }
    }

    /// What a network or a volume is called. Only people look at it.
    pub(super) fn name(&self, object: &Object) -> String {
        let stem = format!("labctl.{}.{}.{}", self.owner, self.lab, object.group);
        match &object.role {
            Role::Network => stem,
            Role::Server => format!("{stem}.server"),
            Role::Client(login) => format!("{stem}.client.{login}"),
        }
    }

    pub(super) fn labels_of(&self, object: &Object, spec: &Spec) -> HashMap<String, String> {
        let mut parts = spec.parts();
        parts.remove(CONFIGURATION);
        labels::of(&self.lab, &self.owner, object, labels::role(object), &parts)
    }

    /// A network without a way out: internal, and its bridge has no address of the host's.
    pub(super) fn network(&self, object: &Object, spec: &Spec, subnet: Subnet) -> NetworkCreateRequest {
        let addresses = IpamConfig { subnet: Some(subnet.to_string()), ..Default::default() };
        let inhibit = ("com.docker.network.bridge.inhibit_ipv4".to_owned(), "true".to_owned());
        NetworkCreateRequest {
            name: self.name(object),
            driver: Some("bridge".into()),
            internal: Some(true),
            ipam: Some(Ipam { config: Some(vec![addresses]), ..Default::default() }),
            options: Some(HashMap::from([inhibit])),
            labels: Some(self.labels_of(object, spec)),
            ..Default::default()
        }
    }

    /// The volume that outlives a container: a server's store, a student's home.
    pub(super) fn volume(&self, object: &Object) -> VolumeCreateRequest {
        let role = match object.role {
            Role::Client(_) => "home",
            Role::Network | Role::Server => "store",
        };
        let labels = labels::of(&self.lab, &self.owner, object, role, &crate::plan::docker::Parts::new());
        VolumeCreateRequest { name: Some(self.name(object)), labels: Some(labels), ..Default::default() }
    }

    /// A server: one static program, nothing of its own can be written but its volume.
    pub(super) fn server(
        &self,
        object: &Object,
        spec: &Spec,
        image: &str,
        config: &ServerConfig,
    ) -> ContainerCreateBody {
        let dir = ["serve", "--dir", SERVER_DIR, "--beyond-loopback", "--config"].map(str::to_owned);
        let command = dir.into_iter().chain([format!("{SERVER_DIR}/{SERVER_CONFIG}")]).collect();
        let host = HostConfig {
            readonly_rootfs: Some(true),
            // Ports below 1024 without being root.
            sysctls: Some(HashMap::from([("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned())])),
            ..self.host(object, &SERVER, SERVER_DIR)
        };
        ContainerCreateBody {
            image: Some(image.to_owned()),
            cmd: Some(command),
            user: Some(format!("{SERVER_USER}:{SERVER_USER}")),
            hostname: Some(hostname(config.group.as_str())),
            host_config: Some(host),
            labels: Some(self.labels_of(object, spec)),
            ..Default::default()
        }
    }

    /// A student's container. Its first process waits and answers signals; work is done in shells beside it.
    pub(super) fn student(&self, object: &Object, spec: &Spec, client: &Client<'_>) -> ContainerCreateBody {
        let Client { image, server, hosts, variables } = client;
        let host = HostConfig {
            init: Some(true),
            extra_hosts: Some(hosts.iter().map(|host| format!("{host}:{server}")).collect()),
            // The Engine's own resolver would ask the host's; a group asks its server or nobody.
            dns: Some(vec![(*server).to_owned()]),
            ..self.host(object, &CLIENT, HOME)
        };
        let login = variables.get("LABCTL_LOGIN").map(String::as_str).unwrap_or_default();
        let own = [("HOME", HOME), ("LOGNAME", login)].map(|(name, value)| format!("{name}={value}"));
        let env = variables.iter().map(|(name, value)| format!("{name}={value}")).chain(own).collect();
        ContainerCreateBody {
            image: Some((*image).to_owned()),
            cmd: Some(vec!["sleep".into(), "infinity".into()]),
            user: Some(CLIENT_USER.into()),
            working_dir: Some(HOME.into()),
            hostname: Some(hostname(object.group.as_str())),
            env: Some(env),
            host_config: Some(host),
            labels: Some(self.labels_of(object, spec)),
            ..Default::default()
        }
    }

    /// What all containers have in common: no privileges, limits, a volume, logs that end, and they survive a reboot.
    fn host(&self, object: &Object, limits: &Limits, volume_at: &str) -> HostConfig {
        let volume = Mount {
            target: Some(volume_at.to_owned()),
            source: Some(self.name(object)),
            typ: Some(MountType::VOLUME),
            ..Default::default()
        };
        let files =
            ResourcesUlimits { name: Some("nofile".into()), soft: Some(limits.files), hard: Some(limits.files) };
        let logs = [("max-size", "1m"), ("max-file", "2")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        HostConfig {
            memory: Some(limits.memory),
            memory_swap: Some(limits.memory),
            nano_cpus: Some(limits.nano_cpus),
            pids_limit: Some(limits.processes),
            ulimits: Some(vec![files]),
            cap_drop: Some(vec!["ALL".into()]),
            security_opt: Some(vec!["no-new-privileges".into()]),
            mounts: Some(vec![volume]),
            log_config: Some(HostConfigLogConfig { typ: Some("json-file".into()), config: Some(HashMap::from(logs)) }),
            restart_policy: Some(RestartPolicy {
                name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
                maximum_retry_count: None,
            }),
            ..Default::default()
        }
    }
}

/// Puts a container on its group's network, at its address.
pub(super) fn at(mut body: ContainerCreateBody, network: &str, address: std::net::Ipv4Addr) -> ContainerCreateBody {
    let ipam = EndpointIpamConfig { ipv4_address: Some(address.to_string()), ..Default::default() };
    let endpoint = EndpointSettings { ipam_config: Some(ipam), ..Default::default() };
    let endpoints = HashMap::from([(network.to_owned(), endpoint)]);
    body.networking_config = Some(NetworkingConfig { endpoints_config: Some(endpoints) });
    if let Some(host) = &mut body.host_config {
        host.network_mode = Some(network.to_owned());
    }
    body
}

fn hostname(name: &str) -> String {
    name.chars().take(MAX_HOSTNAME).map(|c| if c == '_' { '-' } else { c }).collect()
}
