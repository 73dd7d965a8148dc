//! docker-compose with the same lab: the compose file is written from what labctl made. v2 where the `docker` program has it,
//! else v1, which Debian has.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::{Map, Value, json};

use super::same::{CONFIG, Container, Same};
use crate::Fallible;

/// What it is called in the table.
pub const NAME: &str = "docker-compose";

/// The project, whose name compose puts on all that it makes.
const PROJECT: &str = "labctl-bench-compose";

/// How long compose may wait for an answer of the Engine, in seconds: its default is too short for a busy one.
const PATIENCE: &str = "600";

/// Things that compose v1 may have under way at once: more than there are services, because what waits for others keeps its
/// place, and with its default of 64 places the 90 services of the class wait for each other for ever.
const AT_ONCE: &str = "1024";

/// The lab as a compose file.
pub struct Compose {
    file: PathBuf,
}

/// What a client does when it is told to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// It ends, as labctl's do: there is an init in it.
    Answers,
    /// Nothing, as in most compose files: a shell or `sleep` is its first process, and compose waits for it.
    Deaf,
}

impl Compose {
    /// Writes the file, and the servers' configurations beside it.
    pub fn new(same: &Same, folder: &Path, client: Client) -> Fallible<Self> {
        let (mut services, mut networks, mut volumes) = (Map::new(), Map::new(), Map::new());
        for group in &same.groups {
            let subnet = &group.network["IPAM"]["Config"][0]["Subnet"];
            let network = json!({
                "driver": "bridge", "internal": true, "driver_opts": group.network["Options"],
                "ipam": { "config": [{ "subnet": subnet }] },
            });
            networks.insert(group.name.clone(), network);
            for container in &group.containers {
                let name = format!("{}-{}", group.name, container.name);
                let told = match container.told()? {
                    Some(text) => {
                        let file = folder.join(format!("{name}.json"));
                        fs::write(&file, text)?;
                        Some(file)
                    }
                    None => None,
                };
                volumes.insert(name.clone(), json!({}));
                services.insert(name.clone(), service(&name, &group.name, container, told.as_deref()));
                if client == Client::Deaf && told.is_none() {
                    services[&name]["init"] = json!(false);
                }
            }
        }
        let file = folder.join("compose.json");
        let text = json!({ "version": "2.4", "services": services, "networks": networks, "volumes": volumes });
        fs::write(&file, serde_json::to_vec_pretty(&text)?)?;
        Ok(Self { file })
    }

    /// `up -d`; how long it takes.
    pub fn up(&self) -> Fallible<f64> {
        self.run(&["up", "-d"])
    }

    /// `down`; how long it takes. Volumes stay.
    pub fn down(&self, words: &[&str]) -> Fallible<f64> {
        self.run(&[&["down"], words].concat())
    }

    /// Takes away what compose may have left, by the label that it puts on everything.
    pub fn purge() -> Fallible<()> {
        let label = format!("label=com.docker.compose.project={PROJECT}");
        for (list, remove) in [
            (&["ps", "--all", "--quiet"][..], &["rm", "--force"][..]),
            (&["network", "ls", "--quiet"], &["network", "rm"]),
            (&["volume", "ls", "--quiet"], &["volume", "rm"]),
        ] {
            let listed = Command::new("docker").args(list).args(["--filter", &label]).output()?;
            let ids: Vec<String> = String::from_utf8(listed.stdout)?.lines().map(str::to_owned).collect();
            if !ids.is_empty() {
                let removed = Command::new("docker").args(remove).args(&ids).stdout(Stdio::null()).status()?;
                if !removed.success() {
                    return Err(format!("`docker {}` failed", remove.join(" ")).into());
                }
            }
        }
        Ok(())
    }

    fn run(&self, words: &[&str]) -> Fallible<f64> {
        let v2 = Command::new("docker").args(["compose", "version"]).output()?.status.success();
        let mut command = Command::new(if v2 { "docker" } else { "docker-compose" });
        command.args(v2.then_some("compose")).args(["-p", PROJECT, "-f"]).arg(&self.file).args(words);
        command.env("COMPOSE_HTTP_TIMEOUT", PATIENCE).env("COMPOSE_PARALLEL_LIMIT", AT_ONCE).stdin(Stdio::null());
        let started = Instant::now();
        let output = command.output().map_err(|problem| format!("start {NAME}: {problem}"))?;
        let secs = started.elapsed().as_secs_f64();
        if output.status.success() {
            return Ok(secs);
        }
        Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
    }
}

/// The container as a service. A server finds its configuration in a file of the host's, as people do it with compose.
fn service(name: &str, network: &str, container: &Container, told: Option<&Path>) -> Value {
    let (config, host) = (&container.config, &container.host);
    let limits = |limits: &Value| -> Map<String, Value> {
        let each = limits.as_array().into_iter().flatten();
        each.filter_map(|one| {
            Some((one["Name"].as_str()?.to_owned(), json!({ "soft": one["Soft"], "hard": one["Hard"] })))
        })
        .collect()
    };
    let words = config["Cmd"].as_array().into_iter().flatten().filter_map(Value::as_str);
    // Compose puts variables of its own into what follows a single `$`.
    let word = |word: &str| if word == CONFIG { "/config.json".to_owned() } else { word.replace('$', "$$") };
    let command: Vec<String> = words.map(word).collect();
    let target = host["Mounts"][0]["Target"].as_str().unwrap_or_default();
    let file = told.map(|file| format!("{}:/config.json:ro", file.display()));
    let volumes: Vec<String> = std::iter::once(format!("{name}:{target}")).chain(file).collect();
    let all = json!({
        "image": config["Image"], "command": command, "user": config["User"], "hostname": config["Hostname"],
        "environment": config["Env"], "working_dir": config["WorkingDir"], "volumes": volumes,
        "read_only": host["ReadonlyRootfs"], "sysctls": host["Sysctls"], "cap_drop": host["CapDrop"],
        "security_opt": host["SecurityOpt"], "mem_limit": host["Memory"], "memswap_limit": host["MemorySwap"],
        "cpus": host["NanoCpus"].as_f64().map(|cpus| cpus / 1e9), "pids_limit": host["PidsLimit"],
        "ulimits": limits(&host["Ulimits"]), "init": host["Init"], "extra_hosts": host["ExtraHosts"],
        "dns": host["Dns"], "restart": host["RestartPolicy"]["Name"],
        "logging": { "driver": host["LogConfig"]["Type"], "options": host["LogConfig"]["Config"] },
        "networks": { network: { "ipv4_address": container.address } },
    });
    // What was not said must not be said to compose either.
    let said = |value: &Value| !value.is_null() && *value != json!([]) && *value != json!({}) && *value != json!("");
    let all = all.as_object().expect("an object is written above").clone();
    Value::Object(all.into_iter().filter(|(_, value)| said(value)).collect())
}
