//! Planning: what should run against what does, and the steps from one to the other, each with its reason. Pure: observing
//! and performing are `crate::engine`, so a plan can be shown (`up --dry-run`) and tested without a single socket.
//!
//! ```text
//!  Lab + Key ─ resolve ─▶ Desired ─┐
//!                                  ├─ steps ─▶ [Step] ─ engine performs, one by one ─▶ Observed = Desired
//!  engine ── observe ──▶ Observed ─┘
//! ```

pub mod address;
pub mod changes;
pub mod choice;
pub mod docker;
pub mod resolve;

use std::{collections::BTreeMap, fmt};

pub use address::{Addressing, Numbers};
pub use resolve::servers;

use crate::lab::{GroupName, ServerConfig};

/// What should run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The version of labctl that should run it.
    pub version: String,
    /// Whether the process may listen beyond loopback.
    pub beyond_loopback: bool,
    /// The servers by group.
    pub servers: BTreeMap<GroupName, ServerConfig>,
}

/// What runs; nothing where no process does.
pub type Observed = Option<Process>;

/// A process that runs, with its servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// The version of labctl that runs.
    pub version: String,
    /// Whether it may listen beyond loopback.
    pub beyond_loopback: bool,
    /// The servers that run in it, by group.
    pub servers: BTreeMap<GroupName, ServerConfig>,
}

/// One thing to do, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Stop the process; mail and evidence stay.
    StopProcess {
        /// Why, as a fragment.
        why: String,
    },
    /// Start a process without servers.
    StartProcess {
        /// Why, as a fragment.
        why: String,
    },
    /// Stop the server of a group; its mail and evidence stay.
    RemoveServer {
        /// The group.
        group: GroupName,
        /// Why, as a fragment.
        why: String,
    },
    /// Give the server of a group its new configuration.
    UpdateServer {
        /// The group.
        group: GroupName,
        /// What changes, a fragment each; at least one.
        changes: Vec<String>,
    },
    /// Start the server of a group.
    AddServer {
        /// The group.
        group: GroupName,
        /// Why, as a fragment.
        why: String,
    },
}

impl Step {
    /// The group whose server it concerns; none for the process.
    pub fn group(&self) -> Option<&GroupName> {
        match self {
            Self::StopProcess { .. } | Self::StartProcess { .. } => None,
            Self::RemoveServer { group, .. } | Self::UpdateServer { group, .. } | Self::AddServer { group, .. } => {
                Some(group)
            }
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StopProcess { why } => write!(out, "stop the process: {why}"),
            Self::StartProcess { why } => write!(out, "start the process: {why}"),
            Self::RemoveServer { group, why } => write!(out, "remove server `{group}`: {why}"),
            Self::UpdateServer { group, changes } => write!(out, "update server `{group}`: {}", changes.join("; ")),
            Self::AddServer { group, why } => write!(out, "add server `{group}`: {why}"),
        }
    }
}

/// The steps from what runs to what should, in the order to perform them; none where nothing differs.
///
/// Servers that go come first, because their addresses may be wanted by those that come.
pub fn steps(desired: &Desired, observed: &Observed) -> Vec<Step> {
    let mut steps = Vec::new();
    let running = match observed {
        None => {
            steps.push(Step::StartProcess { why: "none runs".into() });
            None
        }
        Some(process) => match replaced(desired, process) {
            Some(why) => {
                steps.push(Step::StopProcess { why: why.clone() });
                steps.push(Step::StartProcess { why });
                None
            }
            None => Some(&process.servers),
        },
    };
    let empty = BTreeMap::new();
    let running = running.unwrap_or(&empty);
    for group in running.keys().filter(|group| !desired.servers.contains_key(*group)) {
        steps.push(Step::RemoveServer { group: group.clone(), why: "the lab has no such group".into() });
    }
    for (group, wanted) in &desired.servers {
        let Some(found) = running.get(group) else { continue };
        let changes = changes::between(found, wanted);
        if !changes.is_empty() {
            steps.push(Step::UpdateServer { group: group.clone(), changes });
        }
    }
    for group in desired.servers.keys().filter(|group| !running.contains_key(*group)) {
        steps.push(Step::AddServer { group: group.clone(), why: "it does not run".into() });
    }
    steps
}

/// Why the process that runs cannot stay, if so.
fn replaced(desired: &Desired, process: &Process) -> Option<String> {
    if process.version != desired.version {
        return Some(format!("labctl {} runs and this is labctl {}", process.version, desired.version));
    }
    if desired.beyond_loopback && !process.beyond_loopback {
        return Some("it was started for loopback only".into());
    }
    if process.beyond_loopback && !desired.beyond_loopback {
        return Some("it may listen beyond loopback and need not".into());
    }
    None
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::plan::resolve::tests::{key, lab};

    /// The world: what runs after a step.
    fn world(step: &Step, desired: &Desired, observed: Observed) -> Observed {
        let wanted = |group: &GroupName| desired.servers[group].clone();
        match step {
            Step::StopProcess { .. } => None,
            Step::StartProcess { .. } => {
                assert!(observed.is_none(), "a second process");
                Some(Process {
                    version: desired.version.clone(),
                    beyond_loopback: desired.beyond_loopback,
                    servers: BTreeMap::new(),
                })
            }
            Step::RemoveServer { group, .. } => observed.map(|mut process| {
                assert!(process.servers.remove(group).is_some(), "`{group}` does not run");
                process
            }),
            Step::UpdateServer { group, .. } => observed.map(|mut process| {
                assert!(process.servers.insert(group.clone(), wanted(group)).is_some(), "`{group}` does not run");
                process
            }),
            Step::AddServer { group, .. } => observed.map(|mut process| {
                assert!(process.servers.insert(group.clone(), wanted(group)).is_none(), "`{group}` runs already");
                process
            }),
        }
    }

    fn perform(steps: &[Step], desired: &Desired, observed: Observed) -> Observed {
        steps.iter().fold(observed, |observed, step| world(step, desired, observed))
    }

    fn desired(groups: &[(&str, &[&str])]) -> Desired {
        let lab = lab(groups);
        let mut numbers = Numbers::default();
        numbers.assign(&lab);
        let servers = servers(&lab, &key(), Addressing::Loopback { second: 77 }, &numbers);
        let servers = servers.into_iter().map(|server| (server.group.clone(), server)).collect();
        Desired { version: "1".into(), beyond_loopback: false, servers }
    }

    /// Labs in the order in which an instructor may come to them.
    fn worlds() -> Vec<Desired> {
        let mut relay = desired(&[("g01", &["ana", "ben"]), ("g02", &["eva"])]);
        for server in relay.servers.values_mut() {
            server.relay = true;
        }
        let mut newer = desired(&[("g01", &["ana", "ben"])]);
        newer.version = "2".into();
        let mut wide = desired(&[("g01", &["ana"])]);
        wide.beyond_loopback = true;
        vec![
            desired(&[]),
            desired(&[("g01", &["ana", "ben"])]),
            desired(&[("g01", &["ana", "ben"]), ("g02", &["eva"])]),
            desired(&[("g02", &["eva"]), ("g03", &[])]),
            relay,
            newer,
            wide,
        ]
    }

    #[test]
    fn planning_again_after_performing_finds_nothing() {
        for from in worlds() {
            let before = perform(&steps(&from, &None), &from, None);
            for to in worlds() {
                let after = perform(&steps(&to, &before), &to, before.clone());
                assert_eq!(steps(&to, &after), []);
            }
        }
    }

    #[test]
    fn stopping_after_any_prefix_still_converges() {
        for from in worlds() {
            let before = perform(&steps(&from, &None), &from, None);
            for to in worlds() {
                let plan = steps(&to, &before);
                for cut in 0..=plan.len() {
                    let halfway = perform(&plan[..cut], &to, before.clone());
                    let rest = steps(&to, &halfway);
                    assert_eq!(steps(&to, &perform(&rest, &to, halfway)), []);
                }
            }
        }
    }

    #[test]
    fn only_the_group_that_changed_is_touched_and_the_step_says_why() {
        let before = desired(&[("g01", &["ana"]), ("g02", &["eva"])]);
        let running = perform(&steps(&before, &None), &before, None);
        let after = desired(&[("g01", &["ana", "ben"]), ("g02", &["eva"])]);
        let plan: Vec<String> = steps(&after, &running).iter().map(Step::to_string).collect();
        assert_eq!(plan, ["update server `g01`: mailbox `ben` is new; endpoints of `ben` are new"]);
    }

    #[test]
    fn a_plan_reads_like_a_to_do_list() {
        let before = desired(&[("g01", &["ana"]), ("g02", &["eva"])]);
        let running = perform(&steps(&before, &None), &before, None);
        let mut after = desired(&[("g01", &["ana"]), ("g03", &["eva"])]);
        let moved = after.servers.get_mut(&"g01".parse().unwrap()).expect("a group of the test");
        moved.endpoints[0].address.set_ip(IpAddr::from([127, 80, 1, 1]));
        let plan: Vec<String> = steps(&after, &running).iter().map(Step::to_string).collect();
        assert_eq!(
            plan,
            [
                "remove server `g02`: the lab has no such group",
                "update server `g01`: endpoints of `ana` move",
                "add server `g03`: it does not run",
            ]
        );
        after.version = "2".into();
        let plan = steps(&after, &running);
        assert_eq!(plan[0].to_string(), "stop the process: labctl 1 runs and this is labctl 2");
        assert_eq!(plan.len(), 4);
    }
}
