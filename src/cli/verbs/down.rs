//! `labctl down`: stops a lab, from what labctl remembers; the lab file is not needed. Mail and evidence stay unless `--purge`.

use crate::{
    cli::{
        args::Down,
        error::{Error, count},
        exit::Exit,
        naming::Shell,
    },
    engine::{LabDir, docker::Docker, embedded::Embedded},
    lab::{EngineKind, LabName},
};

/// Stops the lab; with `--purge` deletes its data, after asking.
pub fn run(shell: &Shell, args: &Down) -> Result<Exit, Error> {
    let (dir, record) = match shell.known(args.lab.as_deref()) {
        Ok(known) => known,
        Err(problem) => return forgotten(shell, args).unwrap_or(Err(problem)),
    };
    let name = dir.name();
    if args.purge && !args.yes {
        let question = format!("delete all mail and evidence of lab `{name}` for good?");
        if !shell.out.ask(&question)? {
            shell.out.note("nothing was done");
            return Ok(Exit::Failed);
        }
    }
    let _lock = dir.lock(|| shell.out.note(format_args!("waiting for another labctl that changes lab `{name}`")))?;
    if record.engine == EngineKind::Docker {
        return super::runtime()?.block_on(docker(shell, args, &dir));
    }
    // It may have been changed while we waited.
    let Some(mut record) = dir.record()? else {
        shell.out.note(format_args!("lab `{name}` is gone already"));
        return Ok(Exit::Done);
    };
    let ran = dir.process()?.is_some();
    super::runtime()?.block_on(Embedded::new(dir.clone()).stop())?;
    record.up = false;
    dir.write_record(&record)?;
    if args.purge {
        dir.delete()?;
        shell.out.note(format_args!("lab `{name}` is down, and its mail and evidence are deleted"));
    } else if ran {
        shell.out.note(format_args!("lab `{name}` is down; mail and evidence are kept"));
    } else {
        shell.out.note(format_args!("lab `{name}` was down already; mail and evidence are kept"));
    }
    Ok(Exit::Done)
}

/// A lab that labctl does not remember may still have containers: their labels are enough.
fn forgotten(shell: &Shell, args: &Down) -> Option<Result<Exit, Error>> {
    let name: LabName = args.lab.as_deref()?.parse().ok()?;
    let dir = shell.state.lab(&name);
    let runtime = super::runtime().ok()?;
    let there = async { Docker::connect(dir.clone()).await.ok()?.has_any(args.purge).await.ok() };
    let asked = args.yes || !args.purge;
    (runtime.block_on(there)? && asked).then(|| runtime.block_on(docker(shell, args, &dir)))
}

/// Stops a lab in containers. Its mail and evidence stay in volumes, and a copy of them here.
async fn docker(shell: &Shell, args: &Down, dir: &LabDir) -> Result<Exit, Error> {
    let docker = Docker::connect(dir.clone()).await?;
    let record = dir.record()?;
    if !args.purge
        && record.is_some()
        && let Err(problem) = docker.settle().await
    {
        shell.out.warn(format_args!("{problem}; the volumes have what the copies here lack"));
    }
    let removed = docker.down(args.purge).await?;
    let name = dir.name();
    if args.purge {
        dir.delete()?;
        shell.out.note(format_args!("lab `{name}` is down, and its mail and evidence are deleted; nothing is left"));
        return Ok(Exit::Done);
    }
    if let Some(mut record) = record {
        record.up = false;
        dir.write_record(&record)?;
    }
    let what = count(removed, "object");
    shell.out.note(format_args!(
        "lab `{name}` is down: {what} removed, none is left; mail, evidence and homes are kept in volumes"
    ));
    Ok(Exit::Done)
}
