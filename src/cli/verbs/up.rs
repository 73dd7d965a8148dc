//! `labctl up`: reads the lab, looks at what runs, plans, performs, and sends the lab's mail. Run again, it changes only what
//! the lab file changed; whatever it was stopped in the middle of, it goes on from there.

pub mod docker;
mod said;

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, TcpListener, UdpSocket},
    sync::Arc,
};

use serde::Serialize;

use super::{
    credentials::{self, Student},
    inject,
};
use crate::{
    cli::{
        args::{Listen, Up},
        error::{Error, count},
        exit::Exit,
        labfile,
        naming::{Orphan, Shell, same_lab},
        output::Output,
        verbs::interrupted,
    },
    control::Status,
    engine::{
        Authority, Engine, LabDir, Record, StateError,
        docker::Host,
        embedded::{self, Embedded, Failure},
        owner,
    },
    lab::{EngineKind, GroupName, Key, Lab, Login},
    plan::{
        self, Addressing, Desired, Step,
        choice::{self, Choice, Elsewhere, Held, Known},
    },
    store::Reader,
};

/// What `--json` prints.
#[derive(Serialize)]
struct Done {
    version: u32,
    lab: String,
    steps: Vec<String>,
    failed: Vec<Failed>,
    /// Whether somebody stopped it before all steps were tried.
    stopped: bool,
    sent: usize,
    undelivered: Vec<String>,
}

#[derive(Serialize)]
struct Failed {
    group: String,
    error: String,
}

/// What one run of `up` works with.
struct Work {
    out: Output,
    lab: Arc<Lab>,
    dir: LabDir,
    key: Key,
    desired: Desired,
    /// Where it listened before.
    listened: Option<IpAddr>,
}

/// Brings the lab up.
pub fn run(shell: &Shell, args: &Up) -> Result<Exit, Error> {
    let located = shell.locate(args.lab.as_deref())?;
    let lab = labfile::read(shell.out, &located.source)?;
    if let Some((known, _)) = located.known.as_ref().filter(|(known, _)| located.by_name && *known.name() != lab.name) {
        let (name, source_file) = (known.name().clone(), located.source);
        return Err(Error::Renamed { name, now: lab.name, source_file });
    }
    warn_of_former_name(shell, &lab)?;
    refuse_a_second(shell, &lab)?;
    let dir = shell.state.lab(&lab.name);
    let wait = || shell.out.note(format_args!("waiting for another labctl that changes lab `{}`", lab.name));
    let _lock = if args.dry_run { None } else { Some(dir.lock(wait)?) };
    let listened = dir.record()?.and_then(|record| record.listen);
    let (mut record, choice) = record(&dir, &lab, args)?;
    if !args.json {
        shell.out.note(&choice);
    }
    let engine = choice.engine;
    warn_of_absent(shell.out, &lab, &dir, &record)?;
    if engine == EngineKind::Docker {
        return docker::run(shell, args, &lab, &dir, record);
    }
    let was_here = record.engine == engine;
    record.engine = engine;
    let key = if args.dry_run {
        dir.key()?.unwrap_or(Key([0; 32]))
    } else {
        record.kept = Some(labfile::files(&lab.source)?);
        let before = record.block;
        let serves = dir.process()?.is_some();
        record =
            shell.state.claim(&dir, record, |record, addressing| !serves && is_elsewhere(&lab, record, addressing))?;
        if was_here && record.block != before && dir.key()?.is_some() {
            shell.out.warn("another lab has the addresses that this one had: the students' addresses have changed");
            shell.out.hint(format_args!("give the new ones away: `labctl credentials --lab {} --cards`", lab.name));
        }
        dir.key_or_new()?
    };
    warn_of_listening(shell.out, &lab, &record, args);
    let mut authority = Authority::open(&dir)?;
    let desired = desired(&lab, &key, &record, &mut authority)?;
    if !args.dry_run {
        authority.keep(&dir)?;
    }
    let work = Work { out: shell.out, lab: Arc::new(lab), dir, key, desired, listened };
    super::runtime()?.block_on(work.run(args))
}

/// A lab whose name was changed in its file still runs under the old one.
fn warn_of_former_name(shell: &Shell, lab: &Lab) -> Result<(), Error> {
    for (dir, record) in shell.state.known()? {
        if record.up && record.source == lab.source && *dir.name() != lab.name {
            let name = dir.name();
            shell.out.warn(format_args!("this file was lab `{name}`, which is still up: `labctl down {name}`"));
        }
    }
    Ok(())
}

/// A lab whose folder was renamed is up under the old name: another one beside it would have none of its mail and evidence.
fn refuse_a_second(shell: &Shell, lab: &Lab) -> Result<(), Error> {
    if shell.state.lab(&lab.name).record()?.is_some() {
        return Ok(());
    }
    match shell.without_file(lab)? {
        Some(Orphan { name, source_file, same: true }) => {
            Err(Error::FileGone { here: lab.name.clone(), name, source_file })
        }
        Some(Orphan { same: false, .. }) | None => Ok(()),
    }
}

/// Who had events in a group that the lab no longer has them in has no marks from them any more.
fn warn_of_absent(out: Output, lab: &Lab, dir: &LabDir, record: &Record) -> Result<(), Error> {
    let Some((before, _)) = labfile::kept(dir, &record.source)? else { return Ok(()) };
    let present: BTreeSet<(&GroupName, &Login)> =
        lab.students().map(|(group, student)| (&group.name, &student.login)).collect();
    for group in &before.groups {
        let logins = group.students.iter().map(|student| &student.login);
        let absent: Vec<&Login> = logins.filter(|login| !present.contains(&(&group.name, *login))).collect();
        let store = dir.store(&group.name);
        if absent.is_empty() || !store.exists() {
            continue;
        }
        // What the process has not written yet counts too; where it cannot write, what is on disk has to do.
        if record.engine == EngineKind::Embedded || record.up {
            let settled = async { Engine::of(dir, record.engine).await?.settle(None).await };
            let _ = super::runtime()?.block_on(settled);
        }
        let seen = Reader::open(&store)?.students()?;
        for login in absent.into_iter().filter(|login| seen.contains(*login)) {
            let group = &group.name;
            out.warn(format_args!(
                "`{login}` had events in `{group}`: they no longer count; put the line back to undo"
            ));
        }
    }
    Ok(())
}

fn warn_of_listening(out: Output, lab: &Lab, record: &Record, args: &Up) {
    let Some(address) = record.listen else { return };
    if !address.is_loopback() {
        out.warn(format_args!(
            "everybody who reaches `{address}` reaches the servers, and passwords travel in the clear"
        ));
    }
    if !lab.settings.ports.is_empty() {
        out.warn(format_args!("`ports` does not hold on `{address}`, where each student has ports"));
    }
    if args.listen.is_none() {
        out.hint("`--listen` is remembered; back to this machine only: `--listen loopback`");
    }
}

/// The address from which this machine reaches others; nothing is sent to find it.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|local| local.ip())
}

/// Whether another labctl, which this one knows nothing of, listens on the lab's first address: an instructor on the same
/// machine. What is known to be no labctl is left in the way, so that the error can name it.
fn is_elsewhere(lab: &Lab, record: &Record, addressing: Addressing) -> bool {
    let Some((group, student)) = lab.students().next() else { return false };
    let Some(place) = record.numbers.place(&group.name, &student.login) else { return false };
    lab.settings.services.iter().any(|&service| {
        let address = addressing.endpoint(place, service, lab.settings.port(service, EngineKind::Embedded));
        let in_use = TcpListener::bind(address).is_err_and(|problem| problem.kind() == io::ErrorKind::AddrInUse);
        in_use && owner::of(address).is_none_or(|owner| owner.name == "labctl")
    })
}

/// What labctl will remember, as far as it is known before a block of addresses is claimed, and where the lab is to run.
fn record(dir: &LabDir, lab: &Lab, args: &Up) -> Result<(Record, Choice), Error> {
    let before = dir.record()?;
    if let Some(record) = &before {
        same_lab(lab, record)?;
    }
    let held = before.as_ref().filter(|record| record.up || dir.has_stores());
    let known = Known {
        asked: args.engine.map(EngineKind::from),
        lab: lab.engine,
        held: held.map(|record| Held { engine: record.engine, up: record.up }),
        option: option(args),
    };
    let elsewhere = |Elsewhere { held }| Error::OtherEngine { name: lab.name.clone(), engine: held };
    let choice = match choice::choose(&known).map_err(elsewhere)? {
        Some(choice) => choice,
        None => super::runtime()?.block_on(what_answers()),
    };
    let mut record = before.unwrap_or_else(|| Record::new(lab.source.clone()));
    record.source.clone_from(&lab.source);
    match args.listen {
        None => {}
        // Containers do not listen there, and nothing that does not hold is remembered.
        Some(_) if choice.engine == EngineKind::Docker => {}
        Some(Listen::Loopback) => record.listen = None,
        Some(Listen::Address(address)) if address.is_unspecified() => {
            return Err(Error::Wildcard { address, own: own_address() });
        }
        Some(Listen::Address(address)) => record.listen = Some(address),
    }
    record.numbers.assign(lab);
    Ok((record, choice))
}

/// The option, if any, that only one engine has.
fn option(args: &Up) -> Option<(EngineKind, &'static str)> {
    let docker = [
        (args.pool.is_some(), "--pool"),
        (args.base.is_some(), "--base"),
        (args.client_image.is_some(), "--client-image"),
    ];
    let docker = docker.into_iter().find_map(|(given, name)| given.then_some((EngineKind::Docker, name)));
    docker.or(args.listen.map(|_| (EngineKind::Embedded, "--listen")))
}

async fn what_answers() -> Choice {
    let answer = Host::connect().await;
    choice::by_answer(answer.map(|host| host.place().to_string()).map_err(|problem| problem.to_string()))
}

fn desired(lab: &Lab, key: &Key, record: &Record, authority: &mut Authority) -> Result<Desired, Error> {
    let addressing = record.addressing().ok_or(StateError::NoBlock)?;
    let mut servers = plan::servers(lab, key, addressing, &record.numbers);
    for server in &mut servers {
        server.identity = authority.identify(server, None)?;
    }
    Ok(Desired {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        beyond_loopback: record.listen.is_some_and(|address| !address.is_loopback()),
        servers: servers.into_iter().map(|server| (server.group.clone(), server)).collect(),
    })
}

/// Where everybody connects.
fn students(status: &Status) -> impl Iterator<Item = Student> {
    status.servers.iter().flat_map(|server| credentials::of_server(&server.config, None))
}

impl Work {
    async fn run(&self, args: &Up) -> Result<Exit, Error> {
        let engine = Embedded::new(self.dir.clone());
        let mut before = engine.status().await?;
        if before.as_ref().is_some_and(|status| status.stopping) && !args.dry_run {
            engine.stop().await?;
            before = None;
        }
        let known: Vec<Student> = before.iter().flat_map(students).collect();
        let steps = plan::steps(&self.desired, &embedded::observed(before.as_ref()));
        if !args.json {
            said::announce(self.out, &self.lab, &steps, args.dry_run);
        }
        if args.dry_run {
            return self.finish(args, &steps, &[], 0, Vec::new());
        }
        let mut progress = self.out.progress("servers", steps.len());
        let failures = engine.perform(&steps, &self.desired, || progress.step()).await?;
        progress.finish();
        let started = steps.iter().any(|step| matches!(step, Step::StartProcess { .. }));
        if started && !failures.is_empty() && failures.len() == self.desired.servers.len() {
            self.undo(&engine).await?;
            self.explain(&failures);
            return self.finish(args, &steps, &failures, 0, Vec::new());
        }
        let status = if steps.is_empty() { before } else { engine.status().await? };
        let (mut sent, mut undelivered) = (0, Vec::new());
        if !args.no_inject {
            let client = engine.client()?;
            let due = inject::due(&self.lab, &client).await?;
            (sent, undelivered) = inject::send(self.out, &self.lab, &self.key, client, due, false).await;
        }
        if let (Some(status), false) = (&status, args.json) {
            self.show(status, &known, sent)?;
        }
        if started {
            interrupted::warn(self.out, interrupted::of(status.as_ref()));
        }
        self.explain(&failures);
        self.finish(args, &steps, &failures, sent, undelivered)
    }

    /// A process that serves nothing is of no use to anybody, nor is an address that it could not listen on.
    async fn undo(&self, engine: &Embedded) -> Result<(), Error> {
        engine.stop().await?;
        if let Some(record) = self.dir.record()? {
            self.dir.write_record(&Record { up: false, listen: self.listened, ..record })?;
        }
        Ok(())
    }

    /// What failed, and how much is not as it should be.
    fn explain(&self, failures: &[Failure]) {
        let name = |failure: &Failure| format!("`{}`", failure.group);
        said::explain(self.out, failures, Failure::is_like, name, Failure::hint);
        if !failures.is_empty() {
            let (all, failed) = (self.desired.servers.len(), failures.len());
            self.out.note(format_args!("{failed} of {} not running as the lab says", count(all, "server")));
        }
    }

    /// The table of endpoints, and what to type next; of a lab that was up, only whoever connects elsewhere than before.
    fn show(&self, status: &Status, known: &[Student], sent: usize) -> Result<(), Error> {
        let new: Vec<Student> = students(status).filter(|student| !known.contains(student)).collect();
        if sent > 0 {
            self.out.note(format_args!("sent {}", count(sent, "mail")));
        }
        let Some(student) = new.first() else { return Ok(()) };
        said::print_table(self.out, &new)?;
        if known.is_empty() {
            self.out.note(said::next(student, self.lab.name.as_str()));
        }
        Ok(())
    }

    fn finish(
        &self,
        args: &Up,
        steps: &[Step],
        failures: &[Failure],
        sent: usize,
        undelivered: Vec<String>,
    ) -> Result<Exit, Error> {
        let exit = match (failures.len(), undelivered.is_empty()) {
            (0, true) => Exit::Done,
            (failed, _) if failed > 0 && failed == self.desired.servers.len() => Exit::Failed,
            _ => Exit::Partly,
        };
        if args.json {
            let failed =
                failures.iter().map(|failure| Failed { group: failure.group.to_string(), error: failure.to_string() });
            let steps = steps.iter().map(ToString::to_string).collect();
            let lab = self.lab.name.to_string();
            self.out.json(&Done {
                version: 1,
                lab,
                steps,
                failed: failed.collect(),
                stopped: false,
                sent,
                undelivered,
            })?;
        }
        Ok(exit)
    }
}
