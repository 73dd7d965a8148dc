//! `labctl check`: every problem of a lab at once. Nothing is started or written.

use crate::{
    cli::{
        args::Check,
        error::{Error, count},
        exit::Exit,
        labfile,
        naming::Shell,
    },
    lab::Lab,
    reading,
};

/// Shows what is wrong, or what there is.
pub fn run(shell: &Shell, args: &Check) -> Result<Exit, Error> {
    let located = shell.locate(args.lab.as_deref())?;
    if args.json {
        let reading = labfile::reading(&located.source)?;
        shell.out.json(&reading::to_json(&reading.diagnostics, &reading.sources))?;
        return Ok(if reading.lab.is_some() { Exit::Done } else { Exit::WrongLab });
    }
    let lab = labfile::read(shell.out, &located.source)?;
    shell.out.data(&summary(&lab))?;
    Ok(Exit::Done)
}

fn summary(lab: &Lab) -> String {
    let parts = [
        count(lab.groups.len(), "group"),
        count(lab.students().count(), "student"),
        count(lab.mails.len(), "mail"),
        count(lab.exercises.len(), "exercise"),
    ];
    format!("lab `{}` is good: {}\n", lab.name, parts.join(", "))
}
