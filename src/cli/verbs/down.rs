//! `labctl down`: stops a lab, from what labctl remembers; the lab file is not needed. Mail and evidence stay unless `--purge`.

use std::{collections::BTreeSet, io};

use crate::{
    cli::{
        args::Down,
        error::{Error, count},
        exit::Exit,
        naming::Shell,
    },
    engine::{
        LabDir, Lock, Record, StateError,
        docker::{Docker, Remains, Removal},
        embedded::Embedded,
    },
    lab::{EngineKind, LabName},
};

/// Stops the lab; with `--purge` deletes its data, after asking.
pub fn run(shell: &Shell, args: &Down) -> Result<Exit, Error> {
    if let Some(owner) = &args.owner {
        return of_owner(shell, args, owner);
    }
    let (dir, record) = match shell.known(args.lab.as_deref()) {
        Ok(known) => known,
        Err(problem) => return forgotten(shell, args, problem),
    };
    let name = dir.name();
    if !asked(shell, args, name, record.engine)? {
        return Ok(Exit::Failed);
    }
    let _lock = lock(shell, &dir)?;
    if record.engine == EngineKind::Docker {
        return super::runtime()?.block_on(async {
            if args.engine_changed {
                return elsewhere(shell, args, &dir, record).await;
            }
            docker_down(shell, args, &dir, Docker::connect(dir.clone()).await?).await
        });
    }
    // It may have been changed while we waited.
    let Some(record) = dir.record()? else {
        shell.out.note(format_args!("lab `{name}` is gone already"));
        return Ok(Exit::Done);
    };
    let ran = dir.process()?.is_some();
    super::runtime()?.block_on(Embedded::new(dir.clone()).stop())?;
    if args.purge {
        dir.delete()?;
        shell.out.note(format_args!("lab `{name}` is down, and its mail and evidence are deleted"));
        return Ok(Exit::Done);
    }
    note_down(shell, &dir, record);
    if ran {
        shell.out.note(format_args!("lab `{name}` is down; mail and evidence are kept"));
    } else {
        shell.out.note(format_args!("lab `{name}` was down already; mail and evidence are kept"));
    }
    Ok(Exit::Done)
}

/// Keeps others that change the lab out. A disk that takes nothing more is no reason to leave the lab up: stopping it may be
/// what makes room.
fn lock(shell: &Shell, dir: &LabDir) -> Result<Option<Lock>, Error> {
    let wait = || shell.out.note(format_args!("waiting for another labctl that changes lab `{}`", dir.name()));
    match dir.lock(wait) {
        Ok(lock) => Ok(Some(lock)),
        Err(StateError::File { source, .. }) if takes_nothing(source.kind()) => Ok(dir.lock_unwritten(wait)?),
        Err(problem) => Err(problem.into()),
    }
}

const fn takes_nothing(why: io::ErrorKind) -> bool {
    matches!(why, io::ErrorKind::StorageFull | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::QuotaExceeded)
}

/// Remembers that the lab is down, where that can be written.
fn note_down(shell: &Shell, dir: &LabDir, record: Record) {
    if let Err(problem) = dir.write_record(&Record { up: false, ..record }) {
        shell.out.warn(format_args!("that lab `{}` is down could not be noted: {problem}", dir.name()));
        shell.out.hint("run the same again when there is room, so that `status` says so too");
    }
}

/// The lab is on another Engine than this one. What this one has of it goes; where it has nothing, the lab is forgotten here
/// and what the other one has stays.
async fn elsewhere(shell: &Shell, args: &Down, dir: &LabDir, record: Record) -> Result<Exit, Error> {
    let (name, docker) = (dir.name(), Docker::connect_anywhere(dir.clone()).await?);
    let Some(home) = docker.not_home().await? else { return docker_down(shell, args, dir, docker).await };
    let remains = docker.remains(args.purge).await?;
    if !remains.is_empty() {
        let what = what(&remains);
        remove(shell, &docker, remains, !args.purge).await?;
        shell.out.note(format_args!("{what} of lab `{name}` removed here; the lab is on the Engine at {}", home.place));
    } else if args.purge {
        dir.delete()?;
        shell.out.note(format_args!(
            "mail and evidence of lab `{name}` here are deleted; what the Engine at {} has of it stays there",
            home.place
        ));
    } else {
        note_down(shell, dir, record);
        shell.out.note(format_args!(
            "lab `{name}` counts as down; what the Engine at {} has of it stays there, and the copies of its stores here",
            home.place
        ));
    }
    Ok(Exit::Done)
}

/// Whether what cannot be had back may go.
fn asked(shell: &Shell, args: &Down, name: &LabName, engine: EngineKind) -> Result<bool, Error> {
    let what = match engine {
        EngineKind::Embedded => "all mail and evidence",
        EngineKind::Docker => "all mail and evidence, and the students' homes,",
    };
    if !args.purge || args.yes || shell.out.ask(&format!("delete {what} of lab `{name}` for good?"))? {
        return Ok(true);
    }
    shell.out.note("nothing was done");
    Ok(false)
}

/// A lab that labctl does not remember may still have containers: their labels are enough.
fn forgotten(shell: &Shell, args: &Down, unknown: Error) -> Result<Exit, Error> {
    let Some(name) = args.lab.as_deref().and_then(|name| name.parse::<LabName>().ok()) else { return Err(unknown) };
    let dir = shell.state.lab(&name);
    super::runtime()?.block_on(async {
        // Where no Engine answers there is nothing to find.
        let Ok(docker) = Docker::connect(dir.clone()).await else { return Err(unknown) };
        if !docker.remains(args.purge).await?.is_empty() {
            if !asked(shell, args, &name, EngineKind::Docker)? {
                return Ok(Exit::Failed);
            }
            return docker_down(shell, args, &dir, docker).await;
        }
        let owners = docker.other_owners().await?;
        if let Some(lost) = owners.iter().find(|owner| docker.has_lost(owner)) {
            let question =
                format!("remove lab `{name}` of `{}`, a state directory that was called as this one is?", lost.id);
            if !args.yes && !shell.out.ask(&question)? {
                shell.out.note("nothing was done");
                return Ok(Exit::Failed);
            }
            let docker = docker.of_owner(lost.id.clone());
            return docker_down(shell, args, &dir, docker).await;
        }
        let owners: BTreeSet<String> = owners.into_iter().map(|owner| owner.id).collect();
        if owners.is_empty() { Err(unknown) } else { Err(Error::NotYours { name, owners }) }
    })
}

/// Removes a lab that is somebody else's, named as such and after asking.
fn of_owner(shell: &Shell, args: &Down, owner: &str) -> Result<Exit, Error> {
    let named = args.lab.as_deref().unwrap_or_default();
    let unknown = || Error::UnknownOwner { lab: named.to_owned(), owner: owner.to_owned() };
    let name: LabName = named.parse().map_err(|_| unknown())?;
    let dir = shell.state.lab(&name);
    super::runtime()?.block_on(async {
        let docker = Docker::connect_anywhere(dir.clone()).await?;
        if !docker.other_owners().await?.iter().any(|other| other.id == owner) {
            return Err(unknown());
        }
        let docker = docker.of_owner(owner.to_owned());
        let remains = docker.remains(args.purge).await?;
        let what = what(&remains);
        if !args.yes
            && !shell.out.ask(&format!("remove {what} of lab `{name}`, which is `{owner}`'s and not yours?"))?
        {
            shell.out.note("nothing was done");
            return Ok(Exit::Failed);
        }
        remove(shell, &docker, remains, false).await?;
        shell.out.note(format_args!("lab `{name}` of `{owner}` is down: {what} removed, nothing is left"));
        Ok(Exit::Done)
    })
}

/// Stops a lab in containers. Its mail and evidence stay in volumes, and a copy of them here.
async fn docker_down(shell: &Shell, args: &Down, dir: &LabDir, docker: Docker) -> Result<Exit, Error> {
    let name = dir.name();
    let record = dir.record()?;
    let remains = docker.remains(args.purge).await?;
    let what = what(&remains);
    remove(shell, &docker, remains, !args.purge && record.is_some()).await?;
    if args.purge {
        docker.release().await?;
        dir.delete()?;
        shell.out.note(format_args!(
            "lab `{name}` is down: {what} removed, nothing is left; its mail, evidence and homes are deleted"
        ));
        return Ok(Exit::Done);
    }
    if let Some(record) = record {
        note_down(shell, dir, record);
    }
    shell.out.note(format_args!(
        "lab `{name}` is down: {what} removed, none is left; mail, evidence and homes are kept in volumes"
    ));
    Ok(Exit::Done)
}

/// `3 containers and 1 network`.
fn what(remains: &Remains) -> String {
    let kinds = [(remains.containers(), "container"), (remains.networks(), "network"), (remains.volumes(), "volume")];
    let named: Vec<String> = kinds.into_iter().filter(|(n, _)| *n > 0).map(|(n, kind)| count(n, kind)).collect();
    match named.split_last() {
        None => "nothing".into(),
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
    }
}

/// Removes it, and shows how far it is.
async fn remove(shell: &Shell, docker: &Docker, remains: Remains, copy: bool) -> Result<(), Error> {
    let stages =
        [("containers", remains.containers()), ("networks", remains.networks()), ("volumes", remains.volumes())];
    let mut stages = shell.out.stages(&stages);
    let removed = docker.down(remains, copy, |removal| match removal {
        Removal::Object(object) => {
            stages.step(usize::from(object.role.is_network()), format_args!("removed {object}"));
        }
        Removal::Volume(volume) => stages.step(2, format_args!("removed volume `{volume}`")),
        Removal::NotCopied(problem) => stages.apart(|| {
            shell.out.warn(format_args!("{problem}; the volumes have what the copies here lack"));
        }),
        Removal::Failed(failure) => stages.apart(|| {
            shell.out.problem(failure, failure.problem.hint().as_deref());
        }),
    });
    let removed = removed.await;
    stages.finish();
    Ok(removed?)
}
