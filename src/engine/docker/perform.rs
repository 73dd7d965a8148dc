//! Performing a plan: groups beside each other, a bounded number of them, and in each its steps in their order. What fails
//! is named and the others go on.

use std::{collections::BTreeMap, fmt, sync::Arc};

use bollard::{
    body_full,
    query_parameters::{
        CreateContainerOptions, RemoveContainerOptions, RenameContainerOptions, StartContainerOptions,
        UploadToContainerOptions,
    },
};
use serde::Serialize;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use super::{
    Dialer, Docker, DockerError, expected, failed,
    make::{self, SERVER_CONFIG, SERVER_DIR, SERVER_USER},
    status,
};
use crate::{
    control::Client,
    lab::{GroupName, ServerConfig},
    plan::docker::{Action, Desired, Object, Observed, Role, Spec, Step},
};

/// Groups at once: starting containers is bound by the processor.
const AT_ONCE: usize = 4;

/// Steps whose end may wait to be shown.
const ENDED: usize = 64;

/// A step that could not be performed.
#[derive(Debug)]
pub struct Failure {
    /// Which.
    pub step: Step,
    /// Why not.
    pub problem: DockerError,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.step.object, self.problem)
    }
}

/// What is performed.
#[derive(Debug)]
pub struct Work {
    /// What should be.
    pub desired: Desired,
    /// What was there.
    pub observed: Observed,
    /// The steps between them.
    pub steps: Vec<Step>,
}

/// What a server is told, as `serve --config` reads it.
#[derive(Serialize)]
struct Told<'a> {
    version: u32,
    servers: [&'a ServerConfig; 1],
}

impl Docker {
    /// Performs the steps; `done` is called after each. What failed comes back in the order of the plan.
    pub async fn perform(&self, work: &Arc<Work>, mut done: impl FnMut()) -> Vec<Failure> {
        let mut groups: BTreeMap<&GroupName, Vec<usize>> = BTreeMap::new();
        for (index, step) in work.steps.iter().enumerate() {
            groups.entry(&step.object.group).or_default().push(index);
        }
        let slots = Arc::new(Semaphore::new(AT_ONCE));
        let (send, mut ended) = mpsc::channel(ENDED);
        let mut under_way: JoinSet<()> = JoinSet::new();
        for steps in groups.into_values() {
            let (docker, work, slots, send) = (self.clone(), Arc::clone(work), Arc::clone(&slots), send.clone());
            under_way.spawn(async move {
                let _slot = slots.acquire().await;
                docker.perform_group(&work, &steps, &send).await;
            });
        }
        drop(send);
        let mut failures = BTreeMap::new();
        while let Some((index, problem)) = ended.recv().await {
            done();
            if let Some(problem) = problem {
                failures.insert(index, Failure { step: work.steps[index].clone(), problem });
            }
        }
        failures.into_values().collect()
    }

    /// Without its network a group's containers cannot be: then the rest of its steps is left to the next `up`.
    async fn perform_group(&self, work: &Work, steps: &[usize], ended: &mpsc::Sender<(usize, Option<DockerError>)>) {
        let network = |object: &Object| Object { group: object.group.clone(), role: Role::Network };
        let mut on = None;
        for index in steps {
            let step = &work.steps[*index];
            let kept = || work.observed.objects.get(&network(&step.object)).map(|found| found.id.clone());
            let on_network = on.clone().or_else(kept).unwrap_or_default();
            let performed = self.perform_step(work, step, &on_network).await;
            let lost = performed.is_err() && step.object.role == Role::Network;
            let problem = match performed {
                Ok(made) => {
                    on = made.or(on);
                    None
                }
                Err(problem) => Some(problem),
            };
            if ended.send((*index, problem)).await.is_err() || lost {
                return;
            }
        }
    }

    /// Performs a step; the network's id, where it made one.
    async fn perform_step(&self, work: &Work, step: &Step, network: &str) -> Result<Option<String>, DockerError> {
        let object = &step.object;
        let id = work.observed.objects.get(object).map_or("", |found| found.id.as_str());
        match (step.action, work.desired.get(object)) {
            (Action::Remove, _) => self.remove(object, id).await.map(|()| None),
            (Action::Create, Some(spec)) => self.create(object, spec, network).await,
            (Action::Start, Some(spec)) => self.start(object, spec, id).await.map(|()| None),
            (Action::Update, Some(spec)) => self.update(object, spec, id).await.map(|()| None),
            (Action::Resume, _) => {
                let resumed = expected(self.api.unpause_container(id).await, &[304]);
                resumed.map(|()| None).map_err(failed("resume"))
            }
            // The plan makes, starts and tells only what is desired.
            (Action::Create | Action::Start | Action::Update, None) => Ok(None),
        }
    }

    pub(super) async fn remove(&self, object: &Object, id: &str) -> Result<(), DockerError> {
        let removed = match object.role {
            Role::Network => self.api.remove_network(id).await,
            Role::Server | Role::Client(_) => {
                let options = RemoveContainerOptions { force: true, ..Default::default() };
                // A conflict is a removal that is under way already.
                expected(self.api.remove_container(id, Some(options)).await, &[409])
            }
        };
        expected(removed, &[404]).map_err(failed("remove"))
    }

    async fn create(&self, object: &Object, spec: &Spec, network: &str) -> Result<Option<String>, DockerError> {
        let (body, address) = match spec {
            Spec::Network { subnet } => {
                let created = self.api.create_network(self.network(object, spec, *subnet)).await;
                return created.map(|made| Some(made.id)).map_err(failed("create"));
            }
            Spec::Server { image, address, config } => (self.server(object, spec, image, config), *address),
            Spec::Client { image, address, server, hosts, variables } => {
                let client = make::Client { image, server: &server.to_string(), hosts, variables };
                (self.student(object, spec, &client), *address)
            }
        };
        let name = self.container_name(object, spec);
        self.api.create_volume(self.volume(object)).await.map_err(failed("create the volume"))?;
        let options = CreateContainerOptions { name: Some(name.clone()), ..Default::default() };
        let created = self.api.create_container(Some(options), make::at(body, network, address)).await;
        let id = match created {
            Ok(created) => created.id,
            // Another `up` may have come first; what it made is looked at again by the next plan.
            Err(answer) if status(&answer) == Some(409) && self.is_own(&name).await => name,
            Err(answer) => return Err(failed("create")(answer)),
        };
        self.start(object, spec, &id).await.map(|()| None)
    }

    async fn is_own(&self, name: &str) -> bool {
        let found = self.api.inspect_container(name, None).await.ok();
        let labels = found.and_then(|found| found.config?.labels);
        labels.is_some_and(|labels| super::labels::are_of(&labels, &self.lab, &self.owner))
    }

    /// Starts a container. A server's configuration is put into its volume first, each time: a container that was created
    /// and never started has none, and it is no label or variable, because passwords are in it.
    async fn start(&self, object: &Object, spec: &Spec, id: &str) -> Result<(), DockerError> {
        if let Spec::Server { config, .. } = spec {
            self.upload(config, id).await?;
            self.call(object, spec, id).await?;
        }
        let started = self.api.start_container(id, None::<StartContainerOptions>).await;
        expected(started, &[304]).map_err(failed("start"))
    }

    /// Tells a server that runs its new configuration: for its next start, and for now. Its name says so last: whatever
    /// came before is done again by the next `up`.
    async fn update(&self, object: &Object, spec: &Spec, id: &str) -> Result<(), DockerError> {
        let Spec::Server { config, .. } = spec else { return Ok(()) };
        self.upload(config, id).await?;
        let dialer = Dialer::new(self.api.clone(), BTreeMap::from([(object.group.clone(), id.to_owned())]));
        Client::of_containers(Arc::new(dialer)).put_server(config).await?;
        self.call(object, spec, id).await
    }

    /// Has a container's name say what it was told.
    async fn call(&self, object: &Object, spec: &Spec, id: &str) -> Result<(), DockerError> {
        let name = self.container_name(object, spec);
        let options = RenameContainerOptions { name };
        let renamed = self.api.rename_container(id, options).await;
        // It is called so already.
        expected(renamed, &[400]).map_err(failed("rename"))
    }

    async fn upload(&self, config: &ServerConfig, id: &str) -> Result<(), DockerError> {
        let options = UploadToContainerOptions { path: SERVER_DIR.into(), ..Default::default() };
        let uploaded = self.api.upload_to_container(id, Some(options), body_full(told(config).into())).await;
        uploaded.map_err(failed("give it its configuration"))
    }
}

/// An archive with the configuration, for its owner only.
fn told(config: &ServerConfig) -> Vec<u8> {
    let told = serde_json::to_vec(&Told { version: 1, servers: [config] }).expect("only names and numbers");
    let mut header = tar::Header::new_gnu();
    header.set_size(told.len() as u64);
    header.set_mode(0o600);
    header.set_uid(SERVER_USER);
    header.set_gid(SERVER_USER);
    let mut archive = tar::Builder::new(Vec::new());
    let appended = archive.append_data(&mut header, SERVER_CONFIG, told.as_slice());
    appended.and_then(|()| archive.into_inner()).expect("a list of octets takes every archive")
}
