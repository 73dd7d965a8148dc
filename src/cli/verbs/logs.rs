//! `labctl logs`: what servers, or a student's container, had to say. On the embedded engine all servers are one process.

use std::{
    fs::File,
    io::{BufRead as _, BufReader},
    time::Duration,
};

use crate::{
    cli::{
        args::Logs,
        error::Error,
        exit::Exit,
        naming::{Opened, Shell},
        whom::Whom,
    },
    engine::{
        Engine,
        docker::{Docker, logs::Wanted},
    },
    lab::EngineKind,
    plan::docker::{Object, Role},
    trace::visible,
};

/// How often it is looked whether the process has written more.
const LOOK: Duration = Duration::from_millis(200);

/// Shows them. What is in them a student may have written, so nothing of it steers the terminal.
pub fn run(shell: &Shell, args: &Logs) -> Result<Exit, Error> {
    let (opened, whom) = shell.open_for(&args.whose)?;
    if opened.record.engine == EngineKind::Embedded {
        if matches!(whom, Some(Whom::Student(..))) {
            let instead = "a student has no container there; `labctl trace STUDENT` shows what went over the wire";
            return Err(Error::OnlyContainers { name: opened.lab.name.clone(), verb: "logs STUDENT", instead });
        }
        return process(shell, &opened, args);
    }
    let wanted = Wanted { follow: args.follow, tail: args.tail };
    super::runtime()?.block_on(async {
        match opened.engine().await? {
            Engine::Docker(docker) => containers(shell, &opened, &docker, whom.as_ref(), wanted).await,
            Engine::Embedded(_) => Err(Error::NoContainers { name: opened.lab.name.clone() }),
        }
    })
}

async fn containers(
    shell: &Shell,
    opened: &Opened,
    docker: &Docker,
    whom: Option<&Whom>,
    wanted: Wanted,
) -> Result<Exit, Error> {
    let objects: Vec<Object> = match whom {
        Some(Whom::Student(group, login)) => vec![Object::of(group, Role::Client(login.clone()))],
        Some(Whom::Group(group)) => vec![Object::of(group, Role::Server)],
        None => opened.lab.groups.iter().map(|group| Object::of(&group.name, Role::Server)).collect(),
    };
    let several = objects.len() > 1;
    let observed = docker.observe().await?;
    let show = |object: &Object, line: &str| {
        let group = object.group.as_ref().filter(|_| several);
        let whose = group.map(|group| format!("{group}: ")).unwrap_or_default();
        shell.out.data(&format!("{whose}{}\n", visible(line)))
    };
    docker.logs(&observed, objects, wanted, show).await?;
    Ok(Exit::Done)
}

/// The log of the one process that serves all groups.
fn process(shell: &Shell, opened: &Opened, args: &Logs) -> Result<Exit, Error> {
    let path = opened.dir.log();
    let mut lines = match File::open(&path) {
        Ok(file) => BufReader::new(file),
        Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NeverUp { name: opened.lab.name.to_string() });
        }
        Err(problem) => return Err(Error::file("open", &path)(problem)),
    };
    let mut next = || {
        let mut line = Vec::new();
        let read = lines.read_until(b'\n', &mut line).map_err(Error::file("read", &path))?;
        let line = String::from_utf8_lossy(&line);
        Ok::<_, Error>((read > 0).then(|| format!("{}\n", visible(line.trim_end_matches(['\n', '\r'])))))
    };
    let mut before = Vec::new();
    while let Some(line) = next()? {
        before.push(line);
    }
    let tail = args.tail.and_then(|tail| usize::try_from(tail).ok()).unwrap_or(usize::MAX);
    shell.out.data(&before[before.len().saturating_sub(tail)..].concat())?;
    if !args.follow {
        return Ok(Exit::Done);
    }
    loop {
        match next()? {
            Some(line) => shell.out.data(&line)?,
            None => std::thread::sleep(LOOK),
        }
    }
}
