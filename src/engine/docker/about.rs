//! What an Engine is: asked once, before anything is made on it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use bollard::models::{SystemInfo, SystemVersion};
use tokio::sync::OnceCell;

use super::{Docker, DockerError, failed};

/// What Podman's service calls itself among the parts of its version.
const PODMAN: &str = "Podman Engine";

/// What an Engine said of itself when it was connected to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// Whether it is Podman's service.
    pub is_podman: bool,
    /// The system that its containers run on, as Go names it: `linux`.
    pub system: String,
    /// Their processor, as Go names it: `amd64`, `arm64`.
    pub processor: String,
}

impl About {
    pub(super) fn of(version: &SystemVersion) -> Self {
        let parts = version.components.iter().flatten();
        Self {
            is_podman: parts.map(|part| part.name.as_str()).any(|name| name == PODMAN),
            system: version.os.clone().unwrap_or_default(),
            processor: version.arch.clone().unwrap_or_default(),
        }
    }
}

/// What is known of an Engine once something was made on it.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    filters: Arc<OnceCell<bool>>,
    warnings: Arc<Mutex<BTreeSet<String>>>,
}

impl Known {
    /// Remembers what the Engine warned of when it made a container.
    pub fn warned(&self, warnings: Vec<String>) {
        let mut all = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(warnings.into_iter().filter(|warning| !warning.trim().is_empty()));
    }
}

impl Docker {
    /// Whether the Engine takes a profile of system calls with the request. Podman takes the name of a file over there.
    pub(super) async fn filters_calls(&self) -> Result<bool, DockerError> {
        let ask = || async {
            let info = self.api.info().await.map_err(failed("ask what the Engine can do"))?;
            Ok(!self.about.is_podman && has_seccomp(&info))
        };
        self.known.filters.get_or_try_init(ask).await.copied()
    }

    /// What of a container's limits does not hold there, as far as the Engine has warned since we connected.
    pub fn not_held(&self) -> BTreeSet<String> {
        let warnings = self.known.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        warnings.iter().map(|warning| limit(warning)).collect()
    }
}

fn has_seccomp(info: &SystemInfo) -> bool {
    info.security_options.iter().flatten().any(|option| option.starts_with("name=seccomp"))
}

/// The limit that a warning is about, or the warning itself.
fn limit(warning: &str) -> String {
    let told = warning.to_lowercase();
    let about = |words: &[&str]| words.iter().any(|word| told.contains(word));
    let known = if about(&["swap"]) {
        "memory with what is swapped out"
    } else if about(&["memory"]) {
        "memory"
    } else if about(&["pids", "processes"]) {
        "processes"
    } else if about(&["cpu", "cfs"]) {
        "processors"
    } else {
        return warning.trim().to_owned();
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_warns_of_is_a_limit() {
        for (warning, named) in [
            (
                "Your kernel does not support memory limit capabilities or the cgroup is not mounted. Limitation discarded.",
                "memory",
            ),
            (
                "Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.",
                "memory with what is swapped out",
            ),
            (
                "Your kernel does not support PIDs limit capabilities or the cgroup is not mounted. PIDs limit discarded.",
                "processes",
            ),
            ("Your kernel does not support CPU CFS scheduler. CPU period/quota discarded.", "processors"),
            ("Something else.\n", "Something else."),
        ] {
            assert_eq!(limit(warning), named);
        }
    }

    #[test]
    fn podman_is_told_by_its_parts() {
        let text =
            r#"{ "Os": "linux", "Arch": "arm64", "Components": [{ "Name": "Podman Engine", "Version": "5.4.2" }] }"#;
        let version: SystemVersion = serde_json::from_str(text).unwrap();
        let about = About { is_podman: true, system: "linux".into(), processor: "arm64".into() };
        assert_eq!(About::of(&version), about);
    }
}
