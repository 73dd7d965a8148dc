//! The embedded engine: one background process for all groups of a lab, started from this same program. It is observed once,
//! `crate::plan` decides, and the steps are performed here. A server that cannot start is named and the others go on.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io,
    os::unix::{fs::OpenOptionsExt as _, process::CommandExt as _},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    docker::DockerError,
    owner,
    state::{LabDir, StateError},
};
use crate::{
    control::{Client, ClientError, Listening, Status},
    lab::GroupName,
    plan::{Desired, Observed, Process, Step},
};

/// Servers that are started or changed at once: most of the time they wait for the disk.
const AT_ONCE: usize = 16;

/// How long a process may take from its start to its first answer.
const START: Duration = Duration::from_secs(15);

/// How long a process may take to end its sessions and commit; longer than [`crate::control::host::DRAIN`].
const STOP: Duration = Duration::from_secs(20);

/// How often it is looked whether a process has come up or ended.
const LOOK: Duration = Duration::from_millis(5);

/// How much of the log is shown when a process does not start, in lines.
const LOG_TAIL: usize = 10;

/// What can go wrong with the process. What goes wrong with one server is a [`Failure`].
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The state directory.
    #[error(transparent)]
    State(#[from] StateError),
    /// A Docker Engine.
    #[error(transparent)]
    Docker(#[from] DockerError),
    /// The process answered that it could not.
    #[error("process {pid} of lab `{lab}` could not: {why}")]
    Refused {
        /// The lab.
        lab: String,
        /// The process.
        pid: u32,
        /// What it said.
        why: String,
    },
    /// The process runs and does not answer.
    #[error("process {pid} of lab `{lab}` does not answer: {source}")]
    Silent {
        /// The lab.
        lab: String,
        /// The process.
        pid: u32,
        /// What it did.
        source: Box<ClientError>,
    },
    /// The program could not be started.
    #[error("start `{}`: {source}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The process ended before it answered.
    #[error("the process of lab `{lab}` ended at its start ({status}); the end of `{}`:\n{tail}", log.display())]
    Died {
        /// The lab.
        lab: String,
        /// How it ended.
        status: ExitStatus,
        /// Its log.
        log: PathBuf,
        /// The end of it.
        tail: String,
    },
    /// The process runs and did not answer in time.
    #[error("the process of lab `{lab}` did not answer within {} seconds; see `{}`", START.as_secs(), log.display())]
    Slow {
        /// The lab.
        lab: String,
        /// Its log.
        log: PathBuf,
    },
    /// The process was told to end and did not.
    #[error("process {pid} of lab `{lab}` did not end within {} seconds", STOP.as_secs())]
    Endless {
        /// The lab.
        lab: String,
        /// The process.
        pid: u32,
    },
}

impl EngineError {
    /// The way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            // It lives and has not said its number yet.
            Self::Silent { pid: 0, .. } | Self::Endless { pid: 0, .. } => {
                Some("it has only just started: run the command again".into())
            }
            Self::Silent { pid, .. } | Self::Endless { pid, .. } => Some(format!(
                "run the command again; if it never answers, end it with `kill -9 {pid}` (what it answered for is on disk)"
            )),
            Self::Docker(problem) => problem.hint(),
            Self::Refused { why, .. } if why.contains("full") => {
                Some("free space on the disk of the state directory".into())
            }
            Self::Refused { .. } | Self::State(_) | Self::Spawn { .. } | Self::Died { .. } | Self::Slow { .. } => None,
        }
    }
}

/// A step that could not be performed.
#[derive(Debug)]
pub struct Failure {
    /// The group whose server it was.
    pub group: GroupName,
    /// What went wrong.
    pub problem: ClientError,
    /// Who has the address that is in use, where that was it and the system tells.
    pub owner: Option<owner::Owner>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "server `{}`: {}", self.group, self.problem)?;
        match &self.owner {
            Some(owner) => write!(out, ", by {owner}"),
            None => Ok(()),
        }
    }
}

impl Failure {
    fn new(group: GroupName, problem: ClientError) -> Self {
        let in_use = match &problem {
            ClientError::Refused(problem) => problem.in_use,
            ClientError::Connect { .. } | ClientError::Broken { .. } | ClientError::Slow { .. } => None,
        };
        Self { group, problem, owner: in_use.and_then(owner::of) }
    }

    /// Whether the other one failed for the same reason, at an address of its own.
    pub fn is_like(&self, other: &Self) -> bool {
        let reason = |failure: &Self| {
            let text = failure.problem.to_string();
            let parts: Vec<&str> = text.splitn(3, '`').collect();
            match parts.as_slice() {
                [before, _address, after] => format!("{before}{after}"),
                _ => text,
            }
        };
        reason(self) == reason(other) && self.owner == other.owner
    }

    /// The way out, where there is one.
    pub fn hint(&self) -> Option<String> {
        let ClientError::Refused(problem) = &self.problem else { return None };
        if let Some(address) = problem.in_use {
            let port = address.port();
            return Some(format!(
                "end what listens there, or choose other ports in the lab file than {port}: `[ports]`"
            ));
        }
        if problem.descriptors.is_some() {
            return Some(
                "raise the limit (`ulimit -Hn 65536` as root, `LimitNOFILE=` in a unit, `/etc/security/limits.conf`), \
                 then `labctl down` and `labctl up`; or make several labs of the class"
                    .into(),
            );
        }
        match problem.listening? {
            (_, Listening::Privileged) => Some(
                "ports below 1024 need root: write others in the lab file, `ports = { smtp = 2525, pop3 = 2110 }`"
                    .into(),
            ),
            (address, Listening::Elsewhere) => Some(format!(
                "`{}` is no address of this machine: give `--listen` one that is, or `--listen loopback`",
                address.ip()
            )),
        }
    }
}

/// A lab on the embedded engine.
#[derive(Debug, Clone)]
pub struct Embedded {
    dir: LabDir,
}

impl Embedded {
    /// The lab whose state is in `dir`.
    pub fn new(dir: LabDir) -> Self {
        Self { dir }
    }

    /// A client of the lab's process, whether that runs or not.
    pub fn client(&self) -> Result<Client, EngineError> {
        Ok(Client::new(Arc::new(self.dir.socket()?)))
    }

    /// What the process says of itself and its servers; none where none runs.
    pub async fn status(&self) -> Result<Option<Status>, EngineError> {
        let Some(pid) = self.dir.process()? else { return Ok(None) };
        match self.client()?.status(false).await {
            Ok(status) => Ok(Some(status)),
            // Between the two looks it may have ended, and between its start and its first answer there is a moment.
            Err(ClientError::Connect { .. } | ClientError::Broken { .. }) => self.wait_for_answer(None).await,
            Err(source) => Err(self.refusal(pid, source)),
        }
    }

    /// Has the process, if one runs, commit what it has seen, so that the stores' files tell all of it.
    pub async fn settle(&self) -> Result<(), EngineError> {
        let Some(pid) = self.dir.process()? else { return Ok(()) };
        match self.client()?.flush().await {
            // A process that is ending, or that does not listen yet, has seen nothing that it does not write.
            Ok(()) | Err(ClientError::Connect { .. } | ClientError::Broken { .. }) => Ok(()),
            Err(source) => Err(self.refusal(pid, source)),
        }
    }

    /// That the process could not, or did not answer: only of the latter is it any use to kill it.
    fn refusal(&self, pid: u32, source: ClientError) -> EngineError {
        let lab = self.dir.name().to_string();
        match source {
            ClientError::Refused(problem) => EngineError::Refused { lab, pid, why: problem.error },
            ClientError::Connect { .. } | ClientError::Broken { .. } | ClientError::Slow { .. } => {
                EngineError::Silent { lab, pid, source: Box::new(source) }
            }
        }
    }

    /// Performs the steps. What could not be done for single servers comes back, in the order of groups; `done` is called
    /// after each step.
    pub async fn perform(
        &self,
        steps: &[Step],
        desired: &Desired,
        mut done: impl FnMut(),
    ) -> Result<Vec<Failure>, EngineError> {
        let mut failures = Vec::new();
        let mut rest = steps;
        while let Some(step) = rest.first() {
            match step {
                Step::StopProcess { .. } => {
                    self.stop().await?;
                    done();
                    rest = &rest[1..];
                }
                Step::StartProcess { .. } => {
                    self.start(desired.beyond_loopback).await?;
                    done();
                    rest = &rest[1..];
                }
                Step::RemoveServer { .. } | Step::UpdateServer { .. } | Step::AddServer { .. } => {
                    // Servers that go are gone before others come, because they may want the same addresses.
                    let removes = matches!(step, Step::RemoveServer { .. });
                    let alike =
                        |step: &&Step| step.group().is_some() && matches!(step, Step::RemoveServer { .. }) == removes;
                    let count = rest.iter().take_while(alike).count();
                    failures.extend(self.perform_on_servers(&rest[..count], desired, &mut done).await?);
                    rest = &rest[count..];
                }
            }
        }
        failures.sort_by(|a, b| a.group.cmp(&b.group));
        Ok(failures)
    }

    async fn perform_on_servers(
        &self,
        steps: &[Step],
        desired: &Desired,
        done: &mut impl FnMut(),
    ) -> Result<Vec<Failure>, EngineError> {
        let client = self.client()?;
        let mut under_way: JoinSet<Option<Failure>> = JoinSet::new();
        let mut failures = Vec::new();
        for step in steps {
            if under_way.len() == AT_ONCE {
                failures.extend(under_way.join_next().await.and_then(Result::ok).flatten());
                done();
            }
            let Some(group) = step.group().cloned() else { continue };
            let config = desired.servers.get(&group).cloned().map(Arc::new);
            let client = client.clone();
            under_way.spawn(async move {
                let performed = match &config {
                    Some(config) => client.put_server(config).await,
                    None => client.delete_server(&group).await,
                };
                performed.err().map(|problem| Failure::new(group, problem))
            });
        }
        while let Some(ended) = under_way.join_next().await {
            failures.extend(ended.ok().flatten());
            done();
        }
        Ok(failures)
    }

    /// Tells the process to end and waits until it has; does nothing where none runs.
    pub async fn stop(&self) -> Result<(), EngineError> {
        let Some(pid) = self.dir.process()? else { return Ok(()) };
        let lab = || self.dir.name().to_string();
        match self.client()?.stop().await {
            // A process that is ending already may break off; whether it ends is seen below.
            Ok(()) | Err(ClientError::Connect { .. } | ClientError::Broken { .. }) => {}
            Err(source) => return Err(self.refusal(pid, source)),
        }
        let deadline = Instant::now() + STOP;
        while self.dir.process()?.is_some() {
            if Instant::now() > deadline {
                return Err(EngineError::Endless { lab: lab(), pid });
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    async fn start(&self, beyond_loopback: bool) -> Result<(), EngineError> {
        self.dir.make()?;
        let child = self.spawn(beyond_loopback)?;
        self.wait_for_answer(Some(child)).await.map(drop)
    }

    /// The process has its own process group, so that Ctrl-C in the terminal that started it does not reach it.
    fn spawn(&self, beyond_loopback: bool) -> Result<Child, EngineError> {
        let log = self.dir.log();
        let failed = |program: PathBuf| move |source| EngineError::Spawn { program, source };
        let program = std::env::current_exe().map_err(failed("labctl".into()))?;
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&log).map_err(failed(log))?;
        let errors = file.try_clone().map_err(failed(program.clone()))?;
        let mut command = Command::new(&program);
        command.arg("serve").arg("--dir").arg(self.dir.path()).current_dir("/").process_group(0);
        if beyond_loopback {
            command.arg("--beyond-loopback");
        }
        command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn().map_err(failed(program))
    }

    /// Waits until the process answers; none where it has ended without a trace and was not started by us.
    async fn wait_for_answer(&self, mut child: Option<Child>) -> Result<Option<Status>, EngineError> {
        let client = self.client()?;
        let deadline = Instant::now() + START;
        let lab = || self.dir.name().to_string();
        loop {
            match client.status(false).await {
                Ok(status) => return Ok(Some(status)),
                // It breaks off what is asked while it ends.
                Err(ClientError::Connect { .. } | ClientError::Broken { .. }) => {}
                Err(source) => return Err(self.refusal(self.dir.process()?.unwrap_or(0), source)),
            }
            match &mut child {
                Some(child) => {
                    if let Ok(Some(status)) = child.try_wait() {
                        return Err(EngineError::Died {
                            lab: lab(),
                            status,
                            log: self.dir.log(),
                            tail: self.log_tail(),
                        });
                    }
                }
                None => {
                    if self.dir.process()?.is_none() {
                        return Ok(None);
                    }
                }
            }
            if Instant::now() > deadline {
                return Err(EngineError::Slow { lab: lab(), log: self.dir.log() });
            }
            sleep(LOOK).await;
        }
    }

    fn log_tail(&self) -> String {
        let text = fs::read(self.dir.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
    }
}

/// What the planner wants to know of a status.
pub fn observed(status: Option<&Status>) -> Observed {
    let status = status?;
    let servers: BTreeMap<_, _> =
        status.servers.iter().map(|server| (server.config.group.clone(), server.config.clone())).collect();
    Some(Process { version: status.labctl.clone(), beyond_loopback: status.beyond_loopback, servers })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Problem;

    fn failure(group: &str, error: &str, listening: Option<Listening>) -> Failure {
        let address = ([127, 77, 1, 1], 25).into();
        let problem = Problem { listening: listening.map(|why| (address, why)), ..Problem::new(error.into()) };
        Failure::new(group.parse().expect("a group"), ClientError::Refused(problem))
    }

    #[test]
    fn what_the_system_forbids_has_a_way_out() {
        let hint = |why| failure("g01", "listen", Some(why)).hint().expect("a hint");
        assert!(hint(Listening::Privileged).starts_with("ports below 1024 need root"));
        assert!(hint(Listening::Elsewhere).contains("`127.77.1.1` is no address of this machine"));
        assert_eq!(failure("g01", "the dialect `x` is unknown", None).hint(), None);
    }

    #[test]
    fn failures_are_alike_whatever_the_address() {
        let of = |address: &str, why: &str| failure("g01", &format!("listen for smtp on `{address}`: {why}"), None);
        assert!(of("127.77.1.1:25", "denied").is_like(&of("127.77.2.1:25", "denied")));
        assert!(!of("127.77.1.1:25", "denied").is_like(&of("127.77.1.1:25", "in use")));
    }
}
