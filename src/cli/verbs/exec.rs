//! `labctl exec`: a program in a student's container, with our input and output, ending as it ends.

use crate::{
    cli::{
        args::Exec,
        error::Error,
        exit::Exit,
        naming::{Opened, Shell},
        output,
        whom::Whom,
    },
    engine::{Engine, docker::Docker},
    lab::{GroupName, Login},
};

/// Runs it.
pub fn run(shell: &Shell, args: &Exec) -> Result<Exit, Error> {
    let opened = shell.open(args.lab.as_deref())?;
    let (group, login) = student(&opened, &args.student)?;
    let runtime = super::runtime()?;
    let ended = runtime.block_on(async {
        let docker = docker(&opened).await?;
        let running = docker.session(&group, &login, args.command.clone(), None).await?;
        let (input, out) = output::streams();
        Ok(running.join(input, out, output::errors()).await?)
    });
    // A read of standard input that is still under way must not keep the program.
    runtime.shutdown_background();
    ended.map(Exit::Program)
}

/// The student of this name with the group.
pub fn student(opened: &Opened, name: &str) -> Result<(GroupName, Login), Error> {
    Whom::student_only(&opened.lab, name)
}

/// The Engine that has the lab's containers.
pub async fn docker(opened: &Opened) -> Result<Box<Docker>, Error> {
    match opened.engine().await? {
        Engine::Docker(docker) => Ok(docker),
        Engine::Embedded(_) => Err(Error::NoContainers { name: opened.lab.name.clone() }),
    }
}
