//! `labctl restart`: a group's server with its students' containers, or one student's container. What students left running
//! ends; mail, evidence and homes stay.

use super::tend::{self, Verb};
use crate::{
    cli::{
        args::Restart,
        error::Error,
        exit::Exit,
        naming::{Opened, Shell},
        whom::Whom,
    },
    engine::docker::Care,
    lab::{EngineKind, GroupName},
};

/// Restarts it.
pub fn run(shell: &Shell, args: &Restart) -> Result<Exit, Error> {
    let opened = shell.open(args.lab.as_deref())?;
    let whom = Whom::find(&opened.lab, &args.who)?;
    if opened.record.engine == EngineKind::Embedded
        && let Whom::Group(group) = &whom
    {
        return server(shell, &opened, group);
    }
    let instead = "a student has no container there; `labctl restart GROUP` restarts the group's server";
    let verb = Verb { care: Care::Restart, name: "restart STUDENT", done: "restarted", instead };
    tend::run(shell, &opened, Some(&whom), &verb)
}

/// The group's server in the lab's one process: it is given up and started with what it was told.
fn server(shell: &Shell, opened: &Opened, group: &GroupName) -> Result<Exit, Error> {
    let not_up = || Error::NotUp { name: opened.lab.name.clone() };
    let _lock = opened.dir.lock(|| shell.out.note("waiting for another labctl that changes this lab"))?;
    super::runtime()?.block_on(async {
        let engine = opened.engine().await?;
        let status = engine.status().await?.ok_or_else(not_up)?;
        let server = status.servers.into_iter().find(|server| server.config.group == *group).ok_or_else(not_up)?;
        let client = engine.client().await?;
        client.delete_server(group).await?;
        client.put_server(&server.config).await?;
        shell.out.note(format_args!("restarted: server `{group}`"));
        Ok(Exit::Done)
    })
}
