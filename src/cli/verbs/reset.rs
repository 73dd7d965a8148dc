//! `labctl reset`: a student or a group starts again. Old evidence is kept under its run and never counted.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    cli::{args::Reset, error::Error, exit::Exit, naming::Shell, verbs::inject, whom::Whom},
    control, inject as injection,
};

/// Resets, then sends the lab's mail again to whom it was taken from.
pub fn run(shell: &Shell, args: &Reset) -> Result<Exit, Error> {
    let opened = shell.open(args.lab.as_deref())?;
    let runtime = super::runtime()?;
    let engine = runtime.block_on(opened.engine())?;
    let lab = Arc::new(opened.lab);
    let whom = Whom::find(&lab, &args.who)?;
    let group = whom.group(&lab);
    let (question, students) = if let Some(login) = whom.student() {
        (format!("let student `{login}` start again?"), vec![login.clone()])
    } else {
        let students = group.students.iter().map(|student| student.login.clone()).collect();
        (format!("let group `{}` start again, and empty its mailboxes?", group.name), students)
    };
    let not_up = || Error::NotUp { name: lab.name.clone() };
    runtime.block_on(engine.status())?.ok_or_else(not_up)?;
    if !args.yes && !shell.out.ask(&question)? {
        shell.out.note("nothing was done");
        return Ok(Exit::Failed);
    }
    let _lock = opened.dir.lock(|| shell.out.note("waiting for another labctl that changes this lab"))?;
    runtime.block_on(async {
        let client = engine.client().await?;
        // Before: who stops between the two is sent it by the next `up`.
        opened.dir.forget_delivered(&group.name)?;
        let reset = control::Reset { students, whole_group: whom.student().is_none() };
        client.reset(&group.name, &reset).await?;
        let mut due = injection::due(&lab, group, &BTreeSet::new());
        due.retain(|due| whom.student().is_none() || due.injected.student.as_ref() == whom.student());
        let (_, undelivered) = inject::send(shell.out, &lab, &opened.key, client, due, false).await;
        shell.out.note(format_args!("`{}` starts again; what was before is kept and not counted", args.who));
        Ok(if undelivered.is_empty() { Exit::Done } else { Exit::Partly })
    })
}
