//! `labctl up` on a Docker Engine: images, then group by group a network, a server and a client per student.

mod interrupts;
mod mail;
mod shown;

use std::{collections::BTreeSet, sync::Arc};

use self::{interrupts::Interrupts, mail::Mail, shown::Shown};
use super::said;
use crate::{
    cli::{
        args::Up,
        error::{Error, count},
        exit::Exit,
        labfile,
        naming::Shell,
        output::Output,
        verbs::{credentials, interrupted},
    },
    engine::{
        Authority, LabDir, Record,
        docker::{Docker, DockerError, Failure, Making, Outcome, Progress, Work},
        state::DockerChoices,
    },
    lab::{EngineKind, Key, Lab, ServerConfig, Service},
    plan::docker::{self, Desired, Images, Object, Observed, Role, Spec, State},
};

/// Plans in a row: each ends with what others who bring labs up at the same moment left of the pool.
const ROUNDS: usize = 8;

/// Brings the lab up.
pub fn run(shell: &Shell, args: &Up, lab: &Lab, dir: &LabDir, mut record: Record) -> Result<Exit, Error> {
    if args.listen.is_some() {
        shell.out.warn("`--listen` is for the embedded engine: students of this lab work in their containers");
    }
    record.engine = EngineKind::Docker;
    record.up = true;
    choose(&mut record.docker, args);
    super::super::runtime()?.block_on(up(shell.out, args, lab, dir, record))
}

/// What the command line says now holds for later runs, too.
fn choose(choices: &mut DockerChoices, args: &Up) {
    if let Some(pool) = args.pool {
        choices.pool = Some(pool);
    }
    if let Some(base) = &args.base {
        (choices.base, choices.client_image) = (Some(base.clone()), None);
    }
    if let Some(program) = &args.server_binary {
        // As another `up` finds it, wherever it is called.
        choices.server_binary = Some(std::path::absolute(program).unwrap_or_else(|_| program.clone()));
    }
    if let Some(image) = &args.client_image {
        (choices.client_image, choices.base) = (Some(image.clone()), None);
    }
}

/// One run of `up`.
struct Run<'a> {
    out: Output,
    args: &'a Up,
    lab: &'a Lab,
    dir: &'a LabDir,
    record: Record,
    key: Key,
    docker: Docker,
    /// What the servers' image is called.
    server: String,
    shown: Shown,
    mail: Mail,
    /// The first plan's steps.
    steps: Vec<String>,
    failures: Vec<Failure>,
    stopped: bool,
}

async fn up(out: Output, args: &Up, lab: &Lab, dir: &LabDir, mut record: Record) -> Result<Exit, Error> {
    let interrupts = Interrupts::listen()?;
    let docker = if args.engine_changed {
        Docker::connect_anywhere(dir.clone()).await?
    } else {
        Docker::connect(dir.clone()).await?
    };
    let docker = if args.dry_run { docker } else { docker.owned()? };
    // A program that cannot run there is known before anything is asked or made.
    let server = docker.machine().server_image(record.docker.server_binary.as_deref(), None).await?;
    say_what_was_lost(out, &docker, lab).await?;
    if !args.dry_run {
        record.home = Some(docker.claim().await?);
        record.kept = Some(labfile::files(&lab.source)?);
    }
    let key = if args.dry_run { dir.key()?.unwrap_or(Key([0; 32])) } else { dir.key_or_new()? };
    let (shown, steps, failures) = (Shown::new(out), Vec::new(), Vec::new());
    let mail = Mail::new(&docker, lab, &key, !args.no_inject);
    let mut run =
        Run { out, args, lab, dir, record, key, docker, server, shown, mail, steps, failures, stopped: false };
    let done = tokio::select! {
        biased;
        done = run.all(&interrupts) => done,
        () = interrupts.give_up() => {
            run.stopped = true;
            Ok(())
        }
    };
    run.shown.rest();
    done?;
    run.finish()
}

impl Run<'_> {
    async fn all(&mut self, interrupts: &Interrupts) -> Result<(), Error> {
        // What they are called; they are made where the plan needs them. What is called by its base needs that now.
        let early = self.record.docker.base.is_some() && !self.args.dry_run;
        let images = Images { server: self.server.clone(), client: self.client_image(early).await? };
        let first = self.plan(&images).await?;
        if !self.args.json {
            said::announce(self.out, self.lab, &first.steps, self.args.dry_run);
        }
        say_what_holds(self.out, self.lab, &first.observed);
        self.steps = first.steps.iter().map(ToString::to_string).collect();
        if self.args.dry_run {
            return Ok(());
        }
        self.converge(interrupts, Arc::clone(&first), &images).await?;
        self.shown.end()?;
        if !self.stopped {
            self.mail.all().await;
            if !self.args.json {
                self.tell_of_interruptions(&first.observed).await;
            }
        }
        Ok(())
    }

    /// Servers that the Engine had to start again since they were made say why; the others are not asked.
    async fn tell_of_interruptions(&self, before: &Observed) {
        let Ok(servers) = self.docker.servers_started_again(before).await else { return };
        for (group, id) in servers {
            // A server that does not answer now is told of by `status`.
            let status = self.docker.server_client(&group, &id).status(false).await.ok();
            interrupted::warn(self.out, interrupted::of(status.as_ref()));
        }
    }

    async fn plan(&self, images: &Images) -> Result<Arc<Work>, Error> {
        let observed = self.docker.observe().await?;
        let layouts = docker::layouts(self.lab, &observed, self.record.docker.pool(self.lab.docker.pool))
            .map_err(DockerError::from)?;
        let mut authority = Authority::open(self.dir)?;
        let identify = |config: &ServerConfig| authority.identify(config, self.lab.docker.publish);
        let desired = docker::desired(self.lab, &self.key, &layouts, images, identify)?;
        if !self.args.dry_run {
            authority.keep(self.dir)?;
        }
        let steps = docker::steps(&desired, &observed);
        Ok(Arc::new(Work { desired, observed, steps }))
    }

    /// Performs the plan, then looks whether another one would find nothing to do. Where somebody else took a subnet
    /// meanwhile, another plan finds another subnet.
    async fn converge(&mut self, interrupts: &Interrupts, first: Arc<Work>, images: &Images) -> Result<(), Error> {
        let mut work = first;
        for round in 1..=ROUNDS {
            self.shown.begin(self.lab, &work, self.args.json)?;
            self.make_images(&work).await?;
            // Before the first object is made, because an `up` that is killed must be known to `down`; and not before it is
            // sure that some can be made.
            self.dir.write_record(&self.record)?;
            self.send_to_idle(&work);
            if work.steps.is_empty() {
                return Ok(());
            }
            let outcome = self.perform(interrupts, &work).await?;
            (self.failures, self.stopped) = (outcome.failures, outcome.stopped);
            if self.stopped {
                return Ok(());
            }
            work = self.plan(images).await?;
            let late = self.failures.iter().any(|failure| matches!(failure.problem, DockerError::Overlap { .. }));
            if !late || round == ROUNDS {
                break;
            }
        }
        let failed: BTreeSet<&Object> = self.failures.iter().map(|failure| &failure.object).collect();
        // What stands on a network that failed is no failure of its own.
        let without = |object: &Object| {
            let own = Object { group: object.group.clone(), role: Role::Network };
            failed.contains(&own) || failed.iter().any(|failed| failed.group.is_none())
        };
        let unstable = work.steps.iter().filter(|step| !failed.contains(&step.object) && !without(&step.object));
        let unstable = unstable.map(|step| Failure {
            object: step.object.clone(),
            problem: DockerError::Unstable { why: step.why.clone() },
        });
        let unstable: Vec<Failure> = unstable.collect();
        self.failures.extend(unstable);
        Ok(())
    }

    /// Sends what is due to the groups that the plan does not touch.
    fn send_to_idle(&mut self, work: &Work) {
        let busy: BTreeSet<_> = work.steps.iter().map(|step| &step.object.group).collect();
        for (object, found) in &work.observed.objects {
            let idle = object.role == Role::Server && !busy.contains(&object.group);
            if let Some(group) = object.group.as_ref().filter(|_| idle && found.state == State::Running) {
                self.mail.begin(group, &found.id);
            }
        }
    }

    /// Makes the images that the plan needs and that are not there.
    async fn make_images(&mut self, work: &Work) -> Result<(), Error> {
        let needed = shown::images(work);
        if needed.server {
            let image = self.server_image().await?;
            self.shown.image(&image);
        }
        if needed.client {
            let image = self.client_image(true).await?;
            self.shown.image(&image);
        }
        Ok(())
    }

    async fn server_image(&self) -> Result<String, Error> {
        let (state, say) = (self.dir.state(), |what: &str| self.shown.making(what));
        let making = Making { state: &state, say: &say };
        let program = self.record.docker.server_binary.as_deref();
        Ok(self.docker.machine().server_image(program, Some(&making)).await?)
    }

    async fn client_image(&self, make: bool) -> Result<String, Error> {
        let machine = self.docker.machine();
        let (state, say) = (self.dir.state(), |what: &str| self.shown.making(what));
        let making = Making { state: &state, say: &say };
        Ok(match &self.record.docker.client_image {
            Some(image) if make => machine.image_of_others(image).await?,
            Some(image) => image.clone(),
            None => {
                let base = self.record.docker.base.as_deref();
                machine.client_image(base, make.then_some(&making)).await?
            }
        })
    }

    async fn perform(&mut self, interrupts: &Interrupts, work: &Arc<Work>) -> Result<Outcome, Error> {
        let (docker, shown, mail) = (&self.docker, &mut self.shown, &mut self.mail);
        let mut told = Ok(());
        let outcome = interrupts
            .patiently(async |interrupts| {
                let tell = |news: Progress<'_>| {
                    if let Progress::Group(group, Some(server)) = &news {
                        mail.begin(group, server);
                    }
                    let shown = shown.tell(&news);
                    if told.is_ok() {
                        told = shown;
                    }
                };
                docker.perform(work, interrupts.reach(1), tell).await
            })
            .await;
        // A table that nobody reads is no reason to leave the lab half done.
        told.map(|()| outcome)
    }

    /// What failed, what to type next, and how it ended.
    fn finish(self) -> Result<Exit, Error> {
        for (group, seq) in self.docker.seeded() {
            self.out.note(format_args!(
                "server `{group}`: its volume is new; it goes on from the copy here, which ends with event {}",
                seq.0
            ));
        }
        let not_held = self.docker.not_held();
        if !not_held.is_empty() {
            let limits = not_held.into_iter().collect::<Vec<_>>().join(", ");
            self.out.warn(format_args!("this Engine does not hold containers to limits of: {limits}"));
        }
        let (sent, undelivered) = self.mail.end(self.out);
        if sent > 0 && !self.args.json {
            self.out.note(format_args!("sent {}", count(sent, "mail")));
        }
        let alike = |a: &Failure, b: &Failure| a.problem.to_string() == b.problem.to_string();
        said::explain(
            self.out,
            &self.failures,
            alike,
            |failure| failure.object.to_string(),
            |failure| failure.problem.hint(),
        );
        let (failed, name) = (self.failures.len(), &self.lab.name);
        let again = format!("`{}` goes on from here", said::again(self.args));
        if self.stopped {
            self.out.note(format_args!("stopped; {again}"));
        } else if failed > 0 {
            self.out.hint(format_args!("{} not as the lab says; {again}", count(failed, "object")));
        } else if let Some(student) = self.shown.first().filter(|_| !self.args.json) {
            self.out.note(next(student, name.as_str()));
        }
        if self.args.json {
            let failed = self
                .failures
                .iter()
                .map(|failure| super::Failed { group: group_of(failure), error: failure.to_string() });
            let (steps, lab, failed) = (self.steps.clone(), name.to_string(), failed.collect());
            let undelivered = undelivered.clone();
            self.out.json(&super::Done { version: 1, lab, steps, failed, stopped: self.stopped, sent, undelivered })?;
        }
        Ok(match failed {
            0 if undelivered.is_empty() && !self.stopped => Exit::Done,
            failed if failed > 0 && failed >= self.steps.len() => Exit::Failed,
            _ => Exit::Partly,
        })
    }
}

/// A lab of this name whose state directory was lost has a way out, and no other: nobody has its key any more.
async fn say_what_was_lost(out: Output, docker: &Docker, lab: &Lab) -> Result<(), Error> {
    for lost in docker.other_owners().await?.iter().filter(|owner| docker.has_lost(owner)) {
        let (name, owner) = (&lab.name, &lost.id);
        out.warn(format_args!(
            "the Engine has another lab `{name}`, of a state directory that was called as this one is"
        ));
        out.hint(format_args!(
            "if that one is lost: `labctl down {name} --owner {owner}`, with `--purge` its volumes too"
        ));
    }
    Ok(())
}

/// What an instructor may have forgotten: who is frozen, and what is open.
fn say_what_holds(out: Output, lab: &Lab, observed: &Observed) {
    let name = &lab.name;
    let frozen: Vec<String> = observed.frozen().map(|login| format!("`{login}`")).collect();
    if !frozen.is_empty() {
        let frozen = frozen.join(", ");
        out.note(format_args!("frozen, and stays as it is until `labctl thaw --lab {name}`: {frozen}"));
    }
    if lab.docker.internet {
        out.warn(
            "with `internet` students reach what the Engine's host reaches, and its own addresses; groups stay apart",
        );
    }
    if let Some(address) = lab.docker.publish.filter(|address| !address.is_loopback()) {
        out.warn(format_args!(
            "everybody who reaches `{address}` reaches the servers, and whoever connects to a student's port is that student"
        ));
    }
}

fn group_of(failure: &Failure) -> String {
    failure.object.group.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// What the servers of a plan are told.
pub fn servers(desired: &Desired) -> impl Iterator<Item = &ServerConfig> {
    desired.values().filter_map(|spec| match spec {
        Spec::Server { config, .. } => Some(config.as_ref()),
        Spec::Network { .. } | Spec::Client { .. } => None,
    })
}

fn next(student: &credentials::Student, lab: &str) -> String {
    let program = said::program();
    let (login, password) = (&student.login, &student.password);
    let telnet = |service| {
        let (_, port) = student.endpoints.get(&service)?.rsplit_once(':')?;
        let password = if service == Service::Pop3 { format!(", PASS {password}") } else { String::new() };
        Some(format!("`telnet mail {port}`{password}"))
    };
    let ways: Vec<String> =
        [Service::Smtp, Service::Pop3, Service::Imap].into_iter().filter_map(telnet).take(2).collect();
    let shell = (format!("{program} shell {login}"), format!("then {}", ways.join("; ")));
    let rest = said::as_instructor(&program, lab);
    let line = |(line, what): &(String, String)| said::explained(line, what);
    let rest: String = rest.iter().map(line).collect();
    format!(
        "\nnext, as student `{login}` of group `{}`:\n{}and as the instructor:\n{}",
        student.group,
        line(&shell),
        rest.trim_end()
    )
}
