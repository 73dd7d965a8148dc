//! What containers cost in memory: what their control groups are charged, and the shim that each has on the host.

use std::{collections::BTreeMap, fs};

use bollard::query_parameters::{InspectContainerOptions, ListContainersOptions, StatsOptions};
use tokio_stream::StreamExt as _;

use super::{
    lab::NAME,
    same::{block, filter},
};
use crate::{
    Fallible,
    figure::{Figure, Goal, Sample, Unit},
};

/// Containers of each role that are looked at.
const LOOKED_AT: usize = 10;

const KIB: f64 = 1024.0;

/// Memory of the lab that is up, by role.
pub fn figures() -> Fallible<Vec<Figure>> {
    let samples = block(async |api| {
        let mut samples: BTreeMap<String, (Sample, Sample, usize)> = BTreeMap::new();
        let filters = Some(filter(&format!("labctl.lab={NAME}")));
        for listed in api.list_containers(Some(ListContainersOptions { filters, ..Default::default() })).await? {
            let role = listed.labels.and_then(|mut labels| labels.remove("labctl.role")).unwrap_or_default();
            let (charged, shim, count) = samples.entry(role).or_default();
            if *count == LOOKED_AT {
                continue;
            }
            *count += 1;
            let id = listed.id.ok_or("a container without id")?;
            let options = StatsOptions { stream: false, one_shot: true };
            let stats = std::pin::pin!(api.stats(&id, Some(options))).next().await.ok_or("no statistics")??;
            let memory = stats.memory_stats.unwrap_or_default();
            // What is only a cache of files can be taken back.
            let cache = memory
                .stats
                .as_ref()
                .and_then(|all| all.get("total_inactive_file").or_else(|| all.get("inactive_file")).copied());
            let used = memory.usage.unwrap_or(0).saturating_sub(cache.unwrap_or(0));
            charged.push(f64::from(u32::try_from(used >> 10)?) / KIB);
            let found = api.inspect_container(&id, None::<InspectContainerOptions>).await?;
            let process = found.state.and_then(|state| state.pid).unwrap_or(0);
            shim.push(resident(&parent(process)?)?);
        }
        Ok(samples)
    })?;
    let figure = |what: String, sample: Sample| Figure {
        what,
        unit: Unit::Cost("MiB"),
        ours: Some(sample),
        peer: None,
        goal: Goal::Reference,
    };
    let of_role = |(role, (charged, shim, _)): (String, (Sample, Sample, usize))| {
        [figure(format!("{role}, charged to its container"), charged), figure(format!("{role}, its shim's RSS"), shim)]
    };
    Ok(samples.into_iter().flat_map(of_role).collect())
}

/// Who started a process: of a container's first one that is its shim.
fn parent(process: i64) -> Fallible<String> {
    field(&process.to_string(), "PPid:")
}

/// Resident memory in MiB.
fn resident(process: &str) -> Fallible<f64> {
    let text = field(process, "VmRSS:")?;
    let number: f64 = text.trim_end_matches("kB").trim().parse()?;
    Ok(number / KIB)
}

fn field(process: &str, name: &str) -> Fallible<String> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    Ok(line.ok_or_else(|| format!("no `{name}` of process {process}"))?.trim().to_owned())
}
