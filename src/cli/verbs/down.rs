//! `labctl down`: stops a lab, from what labctl remembers; the lab file is not needed. Mail and evidence stay unless `--purge`.

use crate::{
    cli::{args::Down, error::Error, exit::Exit, naming::Shell},
    engine::embedded::Embedded,
};

/// Stops the lab; with `--purge` deletes its data, after asking.
pub fn run(shell: &Shell, args: &Down) -> Result<Exit, Error> {
    let (dir, _) = shell.known(args.lab.as_deref())?;
    let name = dir.name();
    if args.purge && !args.yes {
        let question = format!("delete all mail and evidence of lab `{name}` for good?");
        if !shell.out.ask(&question)? {
            shell.out.note("nothing was done");
            return Ok(Exit::Failed);
        }
    }
    let _lock = dir.lock(|| shell.out.note(format_args!("waiting for another labctl that changes lab `{name}`")))?;
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
