//! What an object is for the Engine: names, options, limits. No calls are made here.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HostConfig, HostConfigLogConfig, Ipam, IpamConfig,
    Mount, MountType, NetworkConnectRequest, NetworkCreateRequest, NetworkingConfig, PortBinding, ResourcesUlimits,
    RestartPolicy, RestartPolicyNameEnum, VolumeCreateRequest,
};

use super::{Docker, labels, seccomp};
use crate::{
    lab::{GroupName, ServerConfig, Subnet, containers::Allowance},
    plan::docker::{CONFIGURATION, Object, Published, Reach, Role, Spec},
};

/// Where a server keeps its store, its socket and what it was told.
pub(super) const SERVER_DIR: &str = "/var/lib/labctl";

/// The file of [`SERVER_DIR`] that a server is started with.
pub(super) const SERVER_CONFIG: &str = "config.json";

/// Whom a server runs as; nobody else's number in its image.
pub(super) const SERVER_USER: u64 = 65_532;

/// Where a student works.
pub(super) const HOME: &str = "/home/student";

/// What a client's first process does: it writes down whom programs may trust and which server they ask for names, and waits.
/// The Engine's own resolver hides who asks or, on an internal network, may ask nobody.
const FIRST: &str = "[ -z \"$LABCTL_CA\" ] || printf %s \"$LABCTL_CA\" > \"$SSL_CERT_FILE\"; \
    [ -z \"$2\" ] || printf 'nameserver %s\\nsearch %s\\n' \"$1\" \"$2\" > /etc/resolv.conf; exec sleep infinity";

/// Whom that process runs as: it owns the files that it writes, and has no capability.
const FIRST_USER: &str = "0:0";

/// Whom everything else in a client runs as: the student.
pub(super) const CLIENT_USER: &str = "1000:1000";
pub(super) const CLIENT_NUMBER: u64 = 1_000;

/// The longest host name that a kernel takes.
const MAX_HOSTNAME: usize = 63;

/// Folders of a client that programs write to beside the home; they are of its memory, and empty after a restart.
const SCRATCH: [&str; 3] = ["/tmp", "/var/tmp", "/run"];

/// How large each of them may become.
const SCRATCH_OPTIONS: &str = "rw,exec,nosuid,nodev,size=64m,mode=1777";

/// The Engine counts processors in thousand millionths.
const NANO_PER_MILLI: i64 = 1_000_000;

/// What is particular to one client.
pub(super) struct Client<'a> {
    pub image: &'a str,
    pub server: &'a str,
    pub hosts: &'a [String],
    pub search: Option<&'a str>,
    pub variables: &'a BTreeMap<String, String>,
    pub allowance: &'a Allowance,
}

/// What is particular to one server.
pub(super) struct Server<'a> {
    pub image: &'a str,
    pub published: Option<&'a Published>,
    pub allowance: &'a Allowance,
    pub config: &'a ServerConfig,
}

/// What comes before the digest of a server's configuration in its name.
pub(super) const TOLD: &str = ".server.";

/// What comes before the name of a container that an instructor froze. Labels cannot be changed, and a pause is forgotten
/// by a reboot; a name is not.
pub(super) const FROZEN: &str = "frozen.";

impl Docker {
    /// What a container is called: a server's name says at its end which configuration it was told.
    pub(super) fn container_name(&self, object: &Object, spec: &Spec) -> String {
        match spec.parts().get(CONFIGURATION) {
            Some(digest) => format!("{}{TOLD}{digest}", self.stem(object)),
            None => self.name(object),
        }
    }

    /// What a network or a volume is called. Only people look at it.
    pub(super) fn name(&self, object: &Object) -> String {
        let stem = self.stem(object);
        match &object.role {
            Role::Backbone | Role::Front => format!("{stem}.{}", object.role.name()),
            Role::Network => stem,
            Role::Server => format!("{stem}.server"),
            Role::Client(login) => format!("{stem}.client.{login}"),
        }
    }

    /// A group may be called as a network of the whole lab is; two dots keep these apart.
    fn stem(&self, object: &Object) -> String {
        let group = object.group.as_ref().map_or("", GroupName::as_str);
        format!("labctl.{}.{}.{group}", self.owner.id, self.lab)
    }

    pub(super) fn labels_of(&self, object: &Object, spec: &Spec) -> HashMap<String, String> {
        let mut parts = spec.parts();
        parts.remove(CONFIGURATION);
        labels::of(&self.lab, &self.owner, object, object.role.name(), &parts)
    }

    /// A network. An isolated one is internal, and its bridge has no address of the host's. On the others the Engine
    /// translates addresses, and keeps networks apart; on the front also its members.
    pub(super) fn network(&self, object: &Object, spec: &Spec, subnet: Subnet, reach: Reach) -> NetworkCreateRequest {
        let addresses = IpamConfig { subnet: Some(subnet.to_string()), ..Default::default() };
        let option = match reach {
            Reach::Isolated => Some(("inhibit_ipv4", "true")),
            Reach::Internet => None,
            Reach::Front => Some(("enable_icc", "false")),
        };
        let options = option.map(|(key, value)| (format!("com.docker.network.bridge.{key}"), value.to_owned()));
        NetworkCreateRequest {
            name: self.name(object),
            driver: Some("bridge".into()),
            internal: Some(reach == Reach::Isolated),
            ipam: Some(Ipam { config: Some(vec![addresses]), ..Default::default() }),
            options: Some(options.into_iter().collect()),
            labels: Some(self.labels_of(object, spec)),
            ..Default::default()
        }
    }

    /// The volume that outlives a container: a server's store, a student's home; of `octets` where the Engine's disk has
    /// quotas.
    pub(super) fn volume(&self, object: &Object, octets: Option<u64>) -> VolumeCreateRequest {
        let role = match object.role {
            Role::Client(_) => "home",
            Role::Backbone | Role::Front | Role::Network | Role::Server => "store",
        };
        let driver_opts = octets.map(|octets| HashMap::from([("size".to_owned(), octets.to_string())]));
        let labels = labels::of(&self.lab, &self.owner, object, role, &crate::plan::docker::Parts::new());
        VolumeCreateRequest { name: Some(self.name(object)), labels: Some(labels), driver_opts, ..Default::default() }
    }

    /// A server: one static program, nothing of its own can be written but its volume.
    pub(super) fn server(&self, object: &Object, spec: &Spec, server: &Server<'_>) -> ContainerCreateBody {
        let Server { image, published, allowance, config } = server;
        let dir = ["serve", "--dir", SERVER_DIR, "--beyond-loopback", "--config"].map(str::to_owned);
        let command = dir.into_iter().chain([format!("{SERVER_DIR}/{SERVER_CONFIG}")]).collect();
        let host = HostConfig {
            readonly_rootfs: Some(true),
            // Ports below 1024 without being root.
            sysctls: Some(HashMap::from([("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned())])),
            port_bindings: published.map(bindings),
            ..self.host(object, allowance, SERVER_DIR)
        };
        ContainerCreateBody {
            image: Some((*image).to_owned()),
            cmd: Some(command),
            exposed_ports: published.map(|published| published.ports.values().copied().map(container_port).collect()),
            user: Some(format!("{SERVER_USER}:{SERVER_USER}")),
            hostname: Some(hostname(config.group.as_str())),
            host_config: Some(host),
            labels: Some(self.labels_of(object, spec)),
            ..Default::default()
        }
    }

    /// A student's container. Its first process waits and answers signals; work is done in shells beside it.
    pub(super) fn student(&self, object: &Object, spec: &Spec, client: &Client<'_>) -> ContainerCreateBody {
        let Client { image, server, hosts, search, variables, allowance } = client;
        let mut host = HostConfig {
            init: Some(true),
            extra_hosts: Some(hosts.iter().map(|host| format!("{host}:{server}")).collect()),
            // The Engine's own resolver would ask the host's; a group asks its server or nobody.
            dns: Some(vec![(*server).to_owned()]),
            // What a student writes goes to the home, which is kept and may be limited, or to memory: nothing else in an image
            // can be written by anybody but its owner. It cannot be read-only: the Engine would make its resolv.conf so as well.
            tmpfs: Some(SCRATCH.map(|folder| (folder.to_owned(), SCRATCH_OPTIONS.to_owned())).into()),
            ..self.host(object, allowance, HOME)
        };
        // A server would be ended by a limit on files, where a full disk is an answer; a student's program learns from it.
        // No core dump fills a home.
        let more = [most("fsize", i64::try_from(allowance.disk).unwrap_or(i64::MAX)), most("core", 0)];
        host.ulimits.get_or_insert_default().extend(more);
        let login = variables.get("LABCTL_LOGIN").map(String::as_str).unwrap_or_default();
        let own =
            [("HOME", HOME), ("LOGNAME", login), ("LANG", "C.UTF-8")].map(|(name, value)| format!("{name}={value}"));
        let env = variables.iter().map(|(name, value)| format!("{name}={value}")).chain(own).collect();
        ContainerCreateBody {
            image: Some((*image).to_owned()),
            cmd: Some(["sh", "-c", FIRST, "first", server, search.unwrap_or_default()].map(str::to_owned).to_vec()),
            user: Some(FIRST_USER.into()),
            working_dir: Some(HOME.into()),
            hostname: object.group.as_ref().map(|group| hostname(group.as_str())),
            env: Some(env),
            host_config: Some(host),
            labels: Some(self.labels_of(object, spec)),
            ..Default::default()
        }
    }

    /// What all containers have in common: no privileges, limits, a volume, logs that end, and they survive a reboot.
    fn host(&self, object: &Object, allowance: &Allowance, volume_at: &str) -> HostConfig {
        let volume = Mount {
            target: Some(volume_at.to_owned()),
            source: Some(self.name(object)),
            typ: Some(MountType::VOLUME),
            ..Default::default()
        };
        let memory = i64::try_from(allowance.memory).unwrap_or(i64::MAX);
        let logs = [("max-size", "1m"), ("max-file", "2")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        HostConfig {
            memory: Some(memory),
            memory_swap: Some(memory),
            nano_cpus: Some(i64::from(allowance.millicpus) * NANO_PER_MILLI),
            pids_limit: Some(allowance.processes.into()),
            ulimits: Some(vec![most("nofile", allowance.files.into())]),
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

/// A limit on what each process does.
fn most(name: &str, most: i64) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name.into()), soft: Some(most), hard: Some(most) }
}

/// Has a container make only the system calls that it needs.
pub(super) fn filtered(mut body: ContainerCreateBody) -> ContainerCreateBody {
    if let Some(host) = &mut body.host_config {
        host.security_opt.get_or_insert_default().push(format!("seccomp={}", seccomp::profile()));
    }
    body
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

/// What puts a container on one more network.
pub(super) fn joins(container: &str, address: std::net::Ipv4Addr) -> NetworkConnectRequest {
    let ipam = EndpointIpamConfig { ipv4_address: Some(address.to_string()), ..Default::default() };
    let endpoint = EndpointSettings { ipam_config: Some(ipam), ..Default::default() };
    NetworkConnectRequest { container: container.to_owned(), endpoint_config: Some(endpoint) }
}

/// The host's ports that lead to the same ports of a server.
fn bindings(published: &Published) -> HashMap<String, Option<Vec<PortBinding>>> {
    let binding = |port: &u16| {
        let binding = PortBinding { host_ip: Some(published.address.to_string()), host_port: Some(port.to_string()) };
        (container_port(*port), Some(vec![binding]))
    };
    published.ports.values().map(binding).collect()
}

fn container_port(port: u16) -> String {
    format!("{port}/tcp")
}

fn hostname(name: &str) -> String {
    name.chars().take(MAX_HOSTNAME).map(|c| if c == '_' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostname_is_a_label() {
        assert_eq!(hostname("ana_b"), "ana-b");
        assert_eq!(
            [MAX_HOSTNAME, MAX_HOSTNAME + 1].map(|length| hostname(&"a".repeat(length)).len()),
            [MAX_HOSTNAME; 2]
        );
    }
}
