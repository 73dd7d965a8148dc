//! Performing a plan: groups beside each other, a bounded number of them, and in each its steps in their order. What fails
//! is named and the others go on.

use std::{
    collections::BTreeMap,
    fmt,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bollard::{
    body_full,
    query_parameters::{
        CreateContainerOptions, RenameContainerOptions, StartContainerOptions, UploadToContainerOptions,
    },
};
use serde::Serialize;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
};

use super::{
    Docker, DockerError, expected, failed,
    make::{self, FROZEN, SERVER_CONFIG, SERVER_DIR, SERVER_USER},
    status, told as told_of,
};
use crate::{
    lab::{GroupName, ServerConfig},
    plan::docker::{Action, Desired, Object, Observed, Role, Spec, State, Step},
};

/// Groups at once: starting containers is bound by the processor.
const AT_ONCE: usize = 4;

/// Groups at once until the first of them is done: somebody is waiting for it.
const AT_FIRST: usize = 2;

/// Steps whose end may wait to be shown.
const ENDED: usize = 64;

/// A step that could not be performed.
#[derive(Debug)]
pub struct Failure {
    /// What it was done to.
    pub object: Object,
    /// Why not.
    pub problem: DockerError,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.object, self.problem)
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

impl Work {
    /// The ids of what there was and worked.
    fn ids(&self) -> BTreeMap<Object, String> {
        let working = self.observed.objects.iter().filter(|(_, found)| found.state == State::Running);
        working.map(|(object, found)| (object.clone(), found.id.clone())).collect()
    }
}

/// What is told while a plan is performed.
#[derive(Debug)]
pub enum Progress<'a> {
    /// A step ended, well or not.
    Step(&'a Step, Option<&'a DockerError>),
    /// Nothing more will be done for this group, whose server runs in this container, if it does.
    Group(&'a GroupName, Option<&'a str>),
    /// What is under way is brought to its end, and nothing more is begun.
    Stopping,
}

/// How performing a plan ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What failed, in the order of the plan.
    pub failures: Vec<Failure>,
    /// Steps that were not begun: it was told to stop, or their network failed.
    pub left: usize,
    /// Whether it was told to stop.
    pub stopped: bool,
}

/// From a group's steps to who tells.
enum News {
    Step(usize, Option<DockerError>),
    Group(GroupName, Option<String>),
}

/// What a server is told, as `serve --config` reads it.
#[derive(Serialize)]
struct Told<'a> {
    version: u32,
    servers: [&'a ServerConfig; 1],
}

impl Docker {
    /// Performs the steps until they are done, or until `stop` is: then what is under way is brought to its end.
    pub async fn perform(
        &self,
        work: &Arc<Work>,
        stop: impl Future<Output = ()>,
        mut tell: impl FnMut(Progress<'_>),
    ) -> Outcome {
        let mut groups: BTreeMap<Option<GroupName>, Vec<usize>> = BTreeMap::new();
        for (index, step) in work.steps.iter().enumerate() {
            groups.entry(step.object.group.clone()).or_default().push(index);
        }
        // Servers of all groups join what the whole lab has.
        let whole_lab = groups.remove(&None).unwrap_or_default();
        let (slots, stopping) = (Arc::new(Semaphore::new(AT_FIRST)), Arc::new(AtomicBool::new(false)));
        let (send, mut news) = mpsc::channel(ENDED);
        // Aborted where the caller gives up, so that nothing goes on behind its back.
        let mut under_way: JoinSet<()> = JoinSet::new();
        let (docker, work_of_all) = (self.clone(), Arc::clone(work));
        let (stop_all, slots_of_all) = (Arc::clone(&stopping), Arc::clone(&slots));
        under_way.spawn(async move {
            let (work, stopping, slots) = (work_of_all, stop_all, slots_of_all);
            let mut ids = work.ids();
            docker.perform_group(&work, &whole_lab, &mut ids, &stopping, &send).await;
            let mut under_way: JoinSet<()> = JoinSet::new();
            for (group, steps) in groups {
                let (docker, work, mut ids) = (docker.clone(), Arc::clone(&work), ids.clone());
                let (slots, stopping, send) = (Arc::clone(&slots), Arc::clone(&stopping), send.clone());
                under_way.spawn(async move {
                    let _slot = slots.acquire().await;
                    docker.perform_group(&work, &steps, &mut ids, &stopping, &send).await;
                    if let Some(group) = group {
                        let server = ids.remove(&Object::of(&group, Role::Server));
                        // Who does not listen any more needs no news.
                        let _ = send.send(News::Group(group, server)).await;
                    }
                });
            }
            under_way.join_all().await;
        });
        let (mut failures, mut begun, mut held_back) = (BTreeMap::new(), 0, AT_ONCE - AT_FIRST);
        let mut stop = pin!(stop);
        loop {
            let stopped = stopping.load(Ordering::Relaxed);
            let next = tokio::select! {
                () = &mut stop, if !stopped => {
                    stopping.store(true, Ordering::Relaxed);
                    tell(Progress::Stopping);
                    continue;
                }
                next = news.recv() => next,
            };
            match next {
                None => {
                    let failures = failures.into_values().collect();
                    return Outcome { failures, left: work.steps.len() - begun, stopped };
                }
                Some(News::Group(group, server)) => {
                    slots.add_permits(std::mem::take(&mut held_back));
                    tell(Progress::Group(&group, server.as_deref()));
                }
                Some(News::Step(index, problem)) => {
                    begun += 1;
                    let step = &work.steps[index];
                    tell(Progress::Step(step, problem.as_ref()));
                    let failure = |problem| Failure { object: step.object.clone(), problem };
                    failures.extend(problem.map(|problem| (index, failure(problem))));
                }
            }
        }
    }

    /// Performs steps in turn; `ids` has those of what works, and learns from each step. Without its network a
    /// group's containers cannot be: then the rest of its steps is left to the next `up`.
    async fn perform_group(
        &self,
        work: &Work,
        steps: &[usize],
        ids: &mut BTreeMap<Object, String>,
        stopping: &AtomicBool,
        news: &mpsc::Sender<News>,
    ) {
        for index in steps {
            if stopping.load(Ordering::Relaxed) {
                return;
            }
            let step = &work.steps[*index];
            let performed = self.perform_step(work, step, ids).await;
            let lost = performed.is_err() && step.object.role == Role::Network;
            let (id, problem) = match performed {
                Ok(id) => (id, None),
                Err(problem) => (None, Some(problem)),
            };
            match id {
                Some(id) => ids.insert(step.object.clone(), id),
                None => ids.remove(&step.object),
            };
            if news.send(News::Step(*index, problem)).await.is_err() || lost {
                return;
            }
        }
    }

    /// Performs a step; the id of what works after it. `ids` has those of what works before.
    async fn perform_step(
        &self,
        work: &Work,
        step: &Step,
        ids: &BTreeMap<Object, String>,
    ) -> Result<Option<String>, DockerError> {
        let object = &step.object;
        let found = work.observed.objects.get(object);
        let id = found.map_or("", |found| found.id.as_str());
        let there = || Some(id.to_owned());
        match (step.action, work.desired.get(object)) {
            (Action::Remove, _) => self.remove(object, id).await.map(|()| None),
            (Action::RemoveDoubles, _) => {
                for double in work.observed.doubles.get(object).into_iter().flatten() {
                    self.remove(object, &double.id).await?;
                }
                Ok(there())
            }
            (Action::Create, Some(Spec::Network { subnet, reach })) => {
                let spec = &Spec::Network { subnet: *subnet, reach: *reach };
                let created = self.api.create_network(self.network(object, spec, *subnet, *reach)).await;
                created.map(|made| Some(made.id)).map_err(|answer| match status(&answer) {
                    // Somebody else's network came between observing and this.
                    Some(403 | 500) if told_of(&answer).contains("overlaps") => {
                        DockerError::Overlap { subnet: *subnet }
                    }
                    _ => failed("create")(answer),
                })
            }
            (Action::Create, Some(spec)) => {
                let frozen = found.is_some_and(|found| found.frozen);
                self.create(object, spec, ids, frozen).await
            }
            (Action::Start, Some(spec)) => self.start(object, spec, id).await.map(|()| there()),
            (Action::Update, Some(spec)) => self.update(object, spec, id).await.map(|()| there()),
            (Action::Resume, _) => {
                let resumed = expected(self.api.unpause_container(id).await, &[304]);
                resumed.map(|()| there()).map_err(failed("resume"))
            }
            (Action::Freeze, _) => self.hold(object, id, true).await.map(|()| None),
            // The plan makes, starts and tells only what is desired.
            (Action::Create | Action::Start | Action::Update, None) => Ok(None),
        }
    }

    async fn create(
        &self,
        object: &Object,
        spec: &Spec,
        ids: &BTreeMap<Object, String>,
        frozen: bool,
    ) -> Result<Option<String>, DockerError> {
        let none = BTreeMap::new();
        let (body, address, shared, allowance) = match spec {
            Spec::Network { .. } => return Ok(None),
            Spec::Server { image, address, shared, published, allowance, config } => {
                let server = make::Server { image, published: published.as_ref(), allowance, config };
                (self.server(object, spec, &server), *address, shared, allowance)
            }
            Spec::Client { image, address, server, hosts, search, variables, allowance, on_demand: _ } => {
                let client = make::Client {
                    image,
                    server: &server.to_string(),
                    hosts,
                    search: search.as_deref(),
                    variables,
                    allowance,
                };
                (self.student(object, spec, &client), *address, &none, allowance)
            }
        };
        let id = |role: &Role| {
            let group = object.group.clone().filter(|_| *role == Role::Network);
            ids.get(&Object { group, role: role.clone() }).map(String::as_str).unwrap_or_default()
        };
        let name = self.container_name(object, spec);
        let name = if frozen { format!("{FROZEN}{name}") } else { name };
        self.make_volume(object, allowance.disk).await?;
        let options = CreateContainerOptions { name: Some(name.clone()), ..Default::default() };
        let body = make::at(body, id(&Role::Network), address);
        let body = if self.filters_calls().await? { make::filtered(body) } else { body };
        let container = match self.api.create_container(Some(options), body).await {
            Ok(created) => {
                self.known.warned(created.warnings);
                created.id
            }
            // Another `up` may have come first; what it made is looked at again by the next plan.
            Err(answer) if status(&answer) == Some(409) && self.is_own(&name).await => name,
            Err(answer) => return Err(failed("create")(answer)),
        };
        // Engines before API 1.44 make a container on one network only.
        for (role, address) in shared {
            let request = make::joins(&container, *address);
            let joined = self.api.connect_network(id(role), request).await;
            // Another `up` has joined them already.
            expected(joined, &[403]).map_err(failed(format!("join the {}", role.name())))?;
        }
        if frozen || spec.is_on_demand() {
            return Ok(None);
        }
        // It is called as it should be from its beginning.
        if let Spec::Server { config, .. } = spec {
            self.upload(config, &container).await?;
        }
        self.begin(&container).await.map(|()| Some(container))
    }

    async fn is_own(&self, name: &str) -> bool {
        let found = self.api.inspect_container(name, None).await.ok();
        let labels = found.and_then(|found| found.config?.labels);
        labels.is_some_and(|labels| super::labels::are_of(&labels, &self.lab, &self.owner.id))
    }

    /// Starts a container. A server's configuration is put into its volume first, each time: a container that was created
    /// and never started has none, and it is no label or variable, because passwords are in it.
    async fn start(&self, object: &Object, spec: &Spec, id: &str) -> Result<(), DockerError> {
        if let Spec::Server { config, .. } = spec {
            self.upload(config, id).await?;
            self.call(object, spec, id).await?;
        }
        self.begin(id).await
    }

    async fn begin(&self, id: &str) -> Result<(), DockerError> {
        let started = self.api.start_container(id, None::<StartContainerOptions>).await;
        expected(started, &[304]).map_err(failed("start"))
    }

    /// Tells a server that runs its new configuration: for its next start, and for now. Its name says so last: whatever
    /// came before is done again by the next `up`.
    async fn update(&self, object: &Object, spec: &Spec, id: &str) -> Result<(), DockerError> {
        let Spec::Server { config, .. } = spec else { return Ok(()) };
        self.upload(config, id).await?;
        self.server_client(&config.group, id).put_server(config).await?;
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
