//! `labctl up` on a Docker Engine: images, then group by group a network, a server and a client per student.

use std::sync::Arc;

use crate::{
    cli::{
        args::Up,
        error::{Error, count},
        exit::Exit,
        labfile,
        naming::Shell,
        output::Output,
        verbs::{credentials, inject},
    },
    engine::{
        LabDir, Record,
        docker::{Docker, Failure, Work},
        state::DockerChoices,
    },
    lab::{EngineKind, Key, Lab, ServerConfig},
    plan::docker::{self, Desired, Images, Spec},
};

/// Brings the lab up.
pub fn run(shell: &Shell, args: &Up, lab: Lab, dir: &LabDir, mut record: Record) -> Result<Exit, Error> {
    if args.listen.is_some() {
        shell.out.warn("`--listen` is for the embedded engine: students of this lab work in their containers");
    }
    record.engine = EngineKind::Docker;
    record.up = true;
    choose(&mut record.docker, args);
    super::super::runtime()?.block_on(async {
        let docker = Docker::connect(dir.clone()).await?;
        let images = images(shell.out, args, &docker, &record.docker).await?;
        let key = if args.dry_run {
            dir.key()?.unwrap_or(Key([0; 32]))
        } else {
            // Before the first object is made, because an `up` that is killed must be known to `down`; and not before it is
            // sure that some can be made.
            dir.write_record(&record)?;
            dir.keep(&labfile::files(&lab.source)?)?;
            dir.key_or_new()?
        };
        up(shell.out, args, lab, &docker, &images, &key, &record.docker).await
    })
}

/// What the command line says now holds for later runs, too.
fn choose(choices: &mut DockerChoices, args: &Up) {
    if let Some(pool) = args.pool {
        choices.pool = Some(pool);
    }
    if let Some(base) = &args.base {
        (choices.base, choices.client_image) = (Some(base.clone()), None);
    }
    if let Some(image) = &args.client_image {
        (choices.client_image, choices.base) = (Some(image.clone()), None);
    }
}

async fn up(
    out: Output,
    args: &Up,
    lab: Lab,
    docker: &Docker,
    images: &Images,
    key: &Key,
    choices: &DockerChoices,
) -> Result<Exit, Error> {
    let observed = docker.observe().await?;
    let layouts = docker::layouts(&lab, &observed, choices.pool(lab.docker.pool))
        .map_err(crate::engine::docker::DockerError::from)?;
    let desired = docker::desired(&lab, key, &layouts, images);
    let steps = docker::steps(&desired, &observed);
    if !args.json {
        super::announce(out, &lab, &steps, args.dry_run);
    }
    let frozen: Vec<String> = observed.frozen().map(|login| format!("`{login}`")).collect();
    if !frozen.is_empty() {
        let (lab, frozen) = (&lab.name, frozen.join(", "));
        out.note(format_args!("frozen, and stays as it is until `labctl thaw --lab {lab}`: {frozen}"));
    }
    let work = Arc::new(Work { desired, observed, steps });
    if args.dry_run {
        return finish(out, args, &lab, &work, &[], 0, Vec::new());
    }
    let mut progress = out.progress("containers", work.steps.len());
    let failures = docker.perform(&work, || progress.step()).await;
    progress.finish();
    for failure in &failures {
        out.problem(failure, failure.problem.hint().as_deref());
    }
    let lab = Arc::new(lab);
    let (mut sent, mut undelivered) = (0, Vec::new());
    if !args.no_inject && !lab.mails.is_empty() {
        let client = docker.client().await?;
        let due = inject::due(&lab, &client).await?;
        sent = due.len();
        undelivered = inject::send(out, &lab, key, client, due).await;
        sent -= undelivered.len();
    }
    if !args.json {
        let students: Vec<_> =
            servers(&work.desired).flat_map(|config| credentials::of_server(config, lab.docker.publish)).collect();
        super::table(out, &students, sent)?;
        if let Some(student) = students.first() {
            out.note(next(student, lab.name.as_str()));
        }
    }
    finish(out, args, &lab, &work, &failures, sent, undelivered)
}

async fn images(out: Output, args: &Up, docker: &Docker, choices: &DockerChoices) -> Result<Images, Error> {
    let built = |image: &str| out.note(format_args!("building image `{image}`"));
    let build = !args.dry_run;
    let server = docker.server_image(build, built).await?;
    let client = match &choices.client_image {
        Some(image) => docker.image_of_others(image).await?,
        None => docker.client_image(choices.base(), build, built).await?,
    };
    Ok(Images { server, client })
}

/// What the servers of a plan are told.
pub fn servers(desired: &Desired) -> impl Iterator<Item = &ServerConfig> {
    desired.values().filter_map(|spec| match spec {
        Spec::Server { config, .. } => Some(config.as_ref()),
        Spec::Network { .. } | Spec::Client { .. } => None,
    })
}

fn next(student: &credentials::Student, lab: &str) -> String {
    let program = super::program();
    let (login, password) = (&student.login, &student.password);
    let shell =
        (format!("{program} shell {login}"), format!("then `telnet mail 25`; `telnet mail 110`, PASS {password}"));
    let rest = super::as_instructor(&program, lab);
    let line = |(line, what): &(String, String)| super::explained(line, what);
    let rest: String = rest.iter().map(line).collect();
    format!(
        "\nnext, as student `{login}` of group `{}`:\n{}and as the instructor:\n{}",
        student.group,
        line(&shell),
        rest.trim_end()
    )
}

fn finish(
    out: Output,
    args: &Up,
    lab: &Lab,
    work: &Work,
    failures: &[Failure],
    sent: usize,
    undelivered: Vec<String>,
) -> Result<Exit, Error> {
    let exit = match (failures.len(), undelivered.is_empty()) {
        (0, true) => Exit::Done,
        (failed, _) if failed > 0 && failed == work.steps.len() => Exit::Failed,
        _ => Exit::Partly,
    };
    if !failures.is_empty() {
        out.hint(format_args!("{} failed; the next `labctl up` goes on from here", count(failures.len(), "step")));
    }
    if args.json {
        let failed = failures.iter().map(|failure| super::Failed {
            group: failure.step.object.group.as_ref().map(ToString::to_string).unwrap_or_default(),
            error: failure.to_string(),
        });
        let steps = work.steps.iter().map(ToString::to_string).collect();
        let (lab, failed) = (lab.name.to_string(), failed.collect());
        out.json(&super::Done { version: 1, lab, steps, failed, sent, undelivered })?;
    }
    Ok(exit)
}
