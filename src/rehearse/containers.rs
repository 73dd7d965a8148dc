//! A rehearsal on a Docker Engine: a group whose solutions are played from inside its student's container, and one like it
//! whose student is idle. The client has no labctl, so a play goes through the bash or the `nc` that students have, too.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::{sync::watch, time::timeout};

use super::{
    Change, Played,
    player::Wire,
    servers::{SETTLE, is_settled},
    stage::{Door, Stage, StageError, connector},
};
use crate::{
    control::{Client, letters},
    engine::{
        Authority, LabDir,
        docker::{Docker, DockerError, Failure, Work},
    },
    evidence::Seq,
    inject,
    lab::{EngineKind, Group, GroupName, Key, Lab, LabName, ServerConfig, Service, Subnet, containers::Start},
    names::MAX_NAME,
    plan::docker::{self, Images, Role},
};

/// The last part of the name of what is up for a rehearsal.
const SUFFIX: &str = ".rehearsal";

/// The group of the idle student, and its name where the other one has that already.
const IDLE: [&str; 2] = ["idle", "idle2"];

/// A connection that ends where the server ends it, and where its input does: `X: cut` and `X: close` in a script. Debian's `nc`
/// waits for its input to end before it tells that the server has closed; bash, where there is one, does not have to.
const CONNECT: &str = "if command -v bash >/dev/null; then exec bash -c \"$2\" \"$0\" \"$1\"; \
    elif nc -h 2>&1 | grep -q -e -N; then exec nc -N \"$0\" \"$1\"; else exec nc \"$0\" \"$1\"; fi";

/// The same in bash: whichever direction ends first ends the other, and with them the process group. `dd` passes on what comes
/// as it comes; some kinds of `cat` wait for more.
const IN_BASH: &str = "exec 3<>\"/dev/tcp/$0/$1\" 4<&0 2>/dev/null || exit 1; trap '' TERM; \
    (trap - TERM; exec dd bs=64k <&3) & (trap - TERM; exec dd bs=64k <&4 >&3) & wait -n; kill 0; exit 0";

/// Plans in a row: each ends with what others who bring labs up at the same moment left of the pool.
const ROUNDS: usize = 8;

/// What the server is called in every client.
pub(super) const SERVER: &str = "mail";

/// A lab with two groups of one student, in containers.
pub struct Containers {
    docker: Docker,
    dir: LabDir,
    key: Key,
    lab: Arc<Lab>,
    images: Images,
    pool: Subnet,
    stages: [Stage; 2],
    stop: watch::Sender<bool>,
}

/// What a lab is called while it is rehearsed; what a rehearsal that was killed left is removed by that name.
pub fn name(lab: &LabName) -> LabName {
    let mut name = lab.to_string();
    name.truncate(MAX_NAME - SUFFIX.len());
    (name + SUFFIX).parse().expect("a name and a few letters more")
}

impl Containers {
    /// Containers for `lab` that are not up yet; `dir` is the folder of [`name`].
    pub fn new(
        docker: Docker,
        dir: LabDir,
        lab: &Lab,
        key: &Key,
        images: Images,
        pool: Subnet,
    ) -> Result<Self, StageError> {
        let first = lab.groups.iter().find(|group| !group.students.is_empty());
        let first = first.ok_or_else(|| StageError::NoStudent(lab.name.to_string()))?.clone();
        let other = IDLE.into_iter().find(|name| *name != first.name.as_str()).unwrap_or(IDLE[0]);
        let mut idle = Group { name: other.parse().expect("a name"), ..first.clone() };
        // With the domain of the group beside it, so that there is somebody to write to.
        if let Some(beside) = lab.neighbour(&first.name) {
            (idle.domain, idle.host) = (beside.domain.clone(), beside.host.clone());
        }
        let mut lab = Lab { name: name(&lab.name), groups: vec![first, idle], ..lab.clone() };
        (lab.docker.publish, lab.docker.internet, lab.docker.clients) = (None, false, Start::Always);
        let stages = [0, 1].map(|group| Stage::of(&lab, &lab.groups[group], key, dir.path()));
        Ok(Self {
            docker,
            dir,
            key: key.clone(),
            lab: Arc::new(lab),
            images,
            pool,
            stages,
            stop: watch::Sender::new(false),
        })
    }

    /// Plays these exercises in one group and nothing in the other; what both gave.
    pub(super) async fn perform(&self, exercises: &[usize]) -> Result<[Played; 2], StageError> {
        let connector = connector(&self.up().await?)?;
        let door = Door::Client(self, connector);
        let [stage, idle] = &self.stages;
        let mut otherwise = BTreeMap::new();
        for index in exercises {
            self.go_on()?;
            if let Err(problem) = stage.exercise(&door, *index, Change::None, stage.student()).await {
                otherwise.insert(*index, problem.to_string());
            }
        }
        self.docker.settle().await?;
        let marks = |stage: &Stage| stage.mark(&self.dir.store(&stage.group().name), stage.student());
        Ok([(marks(stage)?, otherwise), (marks(idle)?, BTreeMap::new())])
    }

    /// Returns when everything that waits for another server was tried.
    pub(super) async fn settle(&self) -> Result<(), String> {
        let settled = async {
            let client = self.docker.client().await.map_err(|problem| problem.to_string())?;
            // Mail that came to a server that was looked at already was answered there before it went from its own queue, so the
            // first one is looked at again.
            for stage in self.stages.iter().chain(&self.stages[..1]) {
                until_settled(&client, &stage.group().name).await?;
            }
            Ok(())
        };
        let late = || format!("it is still under way after {} seconds", SETTLE.as_secs());
        timeout(SETTLE, settled).await.unwrap_or_else(|_| Err(late()))
    }

    /// Takes away all there is of it, also what a rehearsal that was killed left.
    pub async fn down(&self) -> Result<(), StageError> {
        let remains = self.docker.remains(true).await?;
        self.docker.down(remains, false, |_| ()).await?;
        self.dir.delete().map_err(DockerError::from)?;
        Ok(())
    }

    /// Has the play end at the next place where nothing is half done.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    fn go_on(&self) -> Result<(), StageError> {
        if *self.stop.borrow() { Err(StageError::Stopped) } else { Ok(()) }
    }

    /// Brings it up; the certificate of the authority that the servers' are from.
    async fn up(&self) -> Result<String, StageError> {
        self.down().await?;
        // One for all rounds: a server of an earlier one stays as it is.
        let mut authority = Authority::passing(&self.lab.name)?;
        for round in 1..=ROUNDS {
            let failures = self.make(&mut authority).await?;
            self.go_on()?;
            // Somebody else took the subnet meanwhile: the next round finds another.
            let late = failures.iter().any(|failure| matches!(failure.problem, DockerError::Overlap { .. }));
            match failures.is_empty() {
                true => break,
                false if late && round < ROUNDS => {}
                false => return Err(StageError::Containers(failures)),
            }
        }
        let client = self.docker.client().await?;
        let mut undelivered = Vec::new();
        for group in &self.lab.groups {
            let due = inject::due(&self.lab, group, &BTreeSet::new());
            undelivered.extend(letters::send_to(&self.lab, &self.key, &client, &group.name, due, false).await.1);
        }
        undelivered.into_iter().next().map_or_else(|| Ok(authority.certificate().to_owned()), |first| Err(first.into()))
    }

    /// Makes what is not there; what failed.
    async fn make(&self, authority: &mut Authority) -> Result<Vec<Failure>, StageError> {
        let observed = self.docker.observe().await?;
        let layouts = docker::layouts(&self.lab, &observed, self.pool).map_err(DockerError::from)?;
        let identify = |config: &ServerConfig| authority.identify(config, None);
        let mut desired = docker::desired(&self.lab, &self.key, &layouts, &self.images, identify)?;
        // Only the first student of each group does anything.
        let played: Vec<&str> = self.stages.iter().map(|stage| stage.student().login.as_str()).collect();
        desired.retain(|object, _| match &object.role {
            Role::Client(login) => played.contains(&login.as_str()),
            Role::Backbone | Role::Front | Role::Network | Role::Server => true,
        });
        let steps = docker::steps(&desired, &observed);
        let work = Arc::new(Work { desired, observed, steps });
        let mut told = self.stop.subscribe();
        // The sender lives as long as we do.
        let stop = async { drop(told.wait_for(|stop| *stop).await) };
        Ok(self.docker.perform(&work, stop, |_| ()).await.failures)
    }

    /// A connection from the stage's student to a service of the group's server.
    pub(super) async fn connect(&self, stage: &Stage, service: Service) -> Result<Wire, DockerError> {
        let (group, login) = (&stage.group().name, &stage.student().login);
        let port = self.lab.settings.port(service, EngineKind::Docker).to_string();
        let command = ["sh", "-c", CONNECT, SERVER, &port, IN_BASH].map(str::to_owned).to_vec();
        Ok(Box::pin(self.docker.exec(group, login, command).await?.stream()))
    }
}

/// Looks again at each event of a message on its way.
async fn until_settled(client: &Client, group: &GroupName) -> Result<(), String> {
    let failed = |problem: crate::control::ClientError| problem.to_string();
    let mut events = client.follow(group, Seq(0)).await.map_err(failed)?;
    while !is_settled(&client.queue(group).await.map_err(failed)?.first) {
        if events.next().await.map_err(failed)?.is_none() {
            return Err("the server has ended".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_has_a_name_of_its_own_however_long_the_labs_is() {
        assert_eq!(name(&"p2".parse().unwrap()).as_str(), "p2.rehearsal");
        let long: LabName = "a".repeat(MAX_NAME).parse().unwrap();
        assert_eq!(name(&long).as_str().len(), MAX_NAME);
    }
}
