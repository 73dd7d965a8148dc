//! What containers use now. An Engine answers that after its next round of looking, up to two seconds later, so where its
//! containers are this machine's, the kernel is asked instead.

use std::{collections::BTreeMap, fs, path::Path};

use bollard::query_parameters::StatsOptions;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;

use super::Docker;
use crate::plan::docker::{Object, Observed, State};

/// Containers that are asked at once.
const AT_ONCE: usize = 16;

/// What the kernel would give back if memory were short: the name of its count by version of cgroups.
const GIVEN_BACK: [&str; 2] = ["inactive_file", "total_inactive_file"];

/// Where the kernel keeps a container's counts, below [`CGROUPS`]: the folder, and the file of what is used; by version of
/// cgroups and by who makes the groups, Docker itself or systemd for it. `ID` stands for the container's.
const COUNTED: [(&str, &str); 4] = [
    ("docker/ID", "memory.current"),
    ("system.slice/docker-ID.scope", "memory.current"),
    ("memory/docker/ID", "memory.usage_in_bytes"),
    ("memory/system.slice/docker-ID.scope", "memory.usage_in_bytes"),
];

/// Where cgroups are mounted.
const CGROUPS: &str = "/sys/fs/cgroup";

/// What the kernel of this machine has counted for the container; none where it is another machine's, or kept elsewhere.
fn counted(cgroups: &Path, id: &str) -> Option<u64> {
    // It becomes part of a path.
    if id.is_empty() || !id.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
        return None;
    }
    let read = |(folder, used): (&str, &str)| {
        let folder = cgroups.join(folder.replace("ID", id));
        let used: u64 = fs::read_to_string(folder.join(used)).ok()?.trim().parse().ok()?;
        let counts = fs::read_to_string(folder.join("memory.stat")).ok()?;
        let count =
            |name: &str| counts.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        Some(used.saturating_sub(GIVEN_BACK.iter().find_map(|name| count(name)).unwrap_or(0)))
    };
    COUNTED.into_iter().find_map(read)
}

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
            if let Some(octets) = counted(Path::new(CGROUPS), &found.id) {
                memory.insert(object.clone(), octets);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_counts_in_both_versions_of_cgroups() {
        let folder = tempfile::tempdir().unwrap();
        let id = "0123abcd";
        let write = |name: &str, used: &str, octets: &str, stat: &str| {
            let group = folder.path().join(name);
            fs::create_dir_all(&group).unwrap();
            fs::write(group.join(used), format!("{octets}\n")).unwrap();
            fs::write(group.join("memory.stat"), stat).unwrap();
        };
        assert_eq!(counted(folder.path(), id), None);
        write(
            "memory/docker/0123abcd",
            "memory.usage_in_bytes",
            "1000",
            "cache 5\ninactive_file 300\ntotal_inactive_file 300\n",
        );
        assert_eq!(counted(folder.path(), id), Some(700));
        write("system.slice/docker-0123abcd.scope", "memory.current", "900", "anon 5\ninactive_file 1000\n");
        assert_eq!(counted(folder.path(), id), Some(0), "never less than nothing");
        for elsewhere in ["", "../../etc", "ffff"] {
            assert_eq!(counted(folder.path(), elsewhere), None, "{elsewhere}");
        }
    }
}
