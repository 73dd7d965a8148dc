//! What `status` shows of containers: how they are, where they are, what they use.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Group, Student};
use crate::{
    engine::docker::ended::Ended,
    evidence::Cause,
    lab::GroupName,
    names::order::natural,
    plan::docker::{Found, Object, Observed, Role, State},
};

/// The container of a group's server.
#[derive(Default, Serialize)]
pub(super) struct Server {
    /// How it is; `silent`: it runs and does not answer.
    pub state: &'static str,
    /// Where it is.
    pub address: String,
    /// Octets; none: it does not run.
    pub memory: Option<u64>,
    /// Why it does not run, where nobody stopped it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<Cause>,
    /// Sessions that are open now, of whomever.
    pub connected: usize,
}

/// What the Engine says of a lab.
pub(super) struct Containers {
    /// Its objects.
    pub observed: Observed,
    /// What they use.
    pub memory: BTreeMap<Object, u64>,
    /// How servers ended that nobody stopped.
    pub ended: BTreeMap<GroupName, Ended>,
    /// Whether clients that do not run wait until somebody needs them.
    pub on_demand: bool,
}

impl Containers {
    /// Adds them to the groups; a group whose server does not answer is known by them alone.
    pub(super) fn add_to(&self, groups: &mut Vec<Group>) {
        let answer: BTreeSet<String> = groups.iter().map(|group| group.name.clone()).collect();
        for (object, found) in &self.observed.objects {
            let Some(group) = object.group.as_ref().filter(|_| !object.role.is_network()) else { continue };
            let known = groups.iter().position(|known| known.name == group.as_str());
            let index = known.unwrap_or_else(|| {
                groups.push(Group { name: group.to_string(), ..Group::default() });
                groups.len() - 1
            });
            let group = &mut groups[index];
            let address = found.parts.get("address").cloned();
            let memory = self.memory.get(object).copied();
            match &object.role {
                Role::Client(login) => {
                    let student = group.student(login.as_str());
                    (student.container, student.address) = (Some(self.client(found)), address);
                    student.memory = memory;
                }
                Role::Server => {
                    let silent = found.state == State::Running && !answer.contains(&group.name);
                    let state = if silent { "silent" } else { state(found) };
                    let connected = group.connected;
                    let name = object.group.as_ref();
                    let ended = match name.and_then(|name| self.ended.get(name)) {
                        Some(Ended::Stopped(cause)) => Some(cause.clone()),
                        // The server tells it itself.
                        Some(Ended::StartedAgain) | None => None,
                    };
                    let address = address.unwrap_or_default();
                    group.server = Some(Server { state, address, memory, ended, connected });
                }
                Role::Backbone | Role::Front | Role::Network => {}
            }
        }
        groups.sort_by(|a, b| natural(&a.name, &b.name));
    }

    fn client(&self, found: &Found) -> &'static str {
        let waits = found.state == State::Stopped && !found.frozen && self.on_demand;
        if waits { "waits" } else { state(found) }
    }
}

impl Group {
    fn student(&mut self, login: &str) -> &mut Student {
        let known = self.students.iter().position(|student| student.login == login);
        let index = known.unwrap_or_else(|| {
            self.students.push(Student { login: login.to_owned(), ..Student::default() });
            self.students.len() - 1
        });
        &mut self.students[index]
    }
}

fn state(found: &Found) -> &'static str {
    match found.state {
        _ if found.frozen => "frozen",
        State::Running => "running",
        State::Stopped => "stopped",
        State::Paused => "held",
        State::Broken => "broken",
    }
}
