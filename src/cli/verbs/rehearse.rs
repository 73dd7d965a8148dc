//! `labctl rehearse`: is the marking right? The matrix of what each solution gives, whole and with each step left out.

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _, time::Duration};

use serde_json::{Value, json};
use tokio::{
    signal::{
        ctrl_c,
        unix::{SignalKind, signal},
    },
    time::timeout,
};

use super::runtime;
use crate::{
    cli::{
        args::{Engine, Rehearse},
        error::{Error, count},
        exit::Exit,
        labfile,
        naming::Shell,
    },
    engine::{
        Lock,
        docker::{Docker, Making},
    },
    lab::{Key, Lab},
    plan::docker::Images,
    rehearse::{
        self, Rehearsal, Row,
        containers::{self, Containers},
    },
};

/// How long what is under way in containers may take to end once it was told to.
const PATIENCE: Duration = Duration::from_mins(1);

/// Plays everything, prints the matrix, leaves nothing behind.
pub fn run(shell: &Shell, args: &Rehearse) -> Result<Exit, Error> {
    let located = shell.locate(args.lab.as_deref())?;
    let lab = labfile::read(shell.out, &located.source)?;
    // The stores hold the reference solutions as they are played: nobody else may look.
    let owner_only = Permissions::from_mode(0o700);
    let folder = tempfile::Builder::new().prefix("labctl-rehearse-").permissions(owner_only).tempdir();
    let folder = folder.map_err(Error::file("make a folder in", std::env::temp_dir()))?;
    // Any key does: what is rehearsed is the lab, not the class, and the lab may never have been up.
    let key = Key(*b"a rehearsal needs no secret key.");
    let mut bar = None;
    let mut progress = |_, of| bar.get_or_insert_with(|| shell.out.progress("plays", of)).step();
    let rehearsal = runtime()?.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::Runtime)?;
        let stage = stage(shell, args, &lab, &key).await?;
        let containers = stage.as_ref().map(|(containers, _)| containers);
        let mut rehearsal = Box::pin(rehearse::run(&lab, &key, folder.path(), containers, &mut progress));
        let ended = tokio::select! {
            rehearsal = &mut rehearsal => rehearsal.map_err(Error::from),
            _ = ctrl_c() => Err(Error::Interrupted),
            _ = terminate.recv() => Err(Error::Interrupted),
        };
        if let Some(containers) = containers {
            if matches!(ended, Err(Error::Interrupted)) {
                // What an Engine is in the middle of making cannot be taken away yet.
                containers.stop();
                let _ = timeout(PATIENCE, rehearsal).await;
            }
            let gone = containers.down().await;
            return ended.and_then(|rehearsal| gone.map(|()| rehearsal).map_err(Error::from));
        }
        ended
    })?;
    if let Some(bar) = bar {
        bar.finish();
    }
    if args.json {
        shell.out.json(&as_json(&lab, &rehearsal))?;
    } else {
        show(shell, &lab, &rehearsal)?;
    }
    Ok(if rehearsal.passed() { Exit::Done } else { Exit::Rehearsal })
}

/// Containers to play in, where they are asked for, and what keeps another rehearsal of the lab out meanwhile.
async fn stage(shell: &Shell, args: &Rehearse, lab: &Lab, key: &Key) -> Result<Option<(Containers, Lock)>, Error> {
    if args.engine != Engine::Docker {
        return Ok(None);
    }
    let dir = shell.state.lab(&containers::name(&lab.name));
    let lock = dir.lock(|| shell.out.note("waiting for another rehearsal of this lab"))?;
    let choices = shell.state.lab(&lab.name).record()?.map(|record| record.docker).unwrap_or_default();
    let docker = Docker::connect(dir.clone()).await?.owned()?;
    let (machine, say) = (docker.machine(), |what: &str| shell.out.note(what));
    let making = Making { state: &shell.state, say: &say };
    let server = machine.server_image(choices.server_binary.as_deref(), Some(&making)).await?;
    let client = match args.client_image.as_ref().or(choices.client_image.as_ref()) {
        Some(image) => machine.image_of_others(image).await?,
        None => machine.client_image(choices.base.as_deref(), Some(&making)).await?,
    };
    let (images, pool) = (Images { server, client }, choices.pool(lab.docker.pool));
    Ok(Some((Containers::new(docker, dir, lab, key, images, pool)?, lock)))
}

fn show(shell: &Shell, lab: &Lab, rehearsal: &Rehearsal) -> Result<(), Error> {
    let rows: Vec<Vec<String>> = rehearsal.rows.iter().map(cells).collect();
    shell.out.table(&["exercise", "solution", "idle student", "without each step", "right"], &rows)?;
    let wrong: Vec<&Row> = rehearsal.rows.iter().filter(|row| !row.problems.is_empty()).collect();
    for row in &wrong {
        for problem in &row.problems {
            shell.out.problem(format!("exercise `{}`: {problem}", row.id), None);
        }
    }
    let verdict = if wrong.is_empty() { "is marked right" } else { "is not marked right" };
    for row in rehearsal.rows.iter().filter(|row| !row.away.is_empty() && row.problems.is_empty()) {
        shell.out.note(format!("exercise `{}` is given without {}, as it says", row.id, row.away.join(", without ")));
    }
    let plays = rehearsal.rows.iter().map(|row| row.steps.len()).sum::<usize>() + 2;
    shell.out.note(format!(
        "lab `{}` {verdict}: {}, {}",
        lab.name,
        count(rehearsal.rows.len(), "exercise"),
        count(plays, "play")
    ));
    Ok(())
}

fn cells(row: &Row) -> Vec<String> {
    let cost = row.steps.iter().filter(|step| step.cost).count();
    vec![
        row.id.to_string(),
        if row.solved { "given" } else { "not given" }.into(),
        if row.idle { "not given" } else { "given" }.into(),
        format!("not given {cost} of {}", row.steps.len()),
        if row.problems.is_empty() { "✓ yes" } else { "✗ no" }.into(),
    ]
}

fn as_json(lab: &Lab, rehearsal: &Rehearsal) -> Value {
    let step = |step: &rehearse::LeftOut| json!({ "step": step.step, "given": !step.cost });
    let row = |row: &Row| {
        json!({
            "id": row.id,
            "solution": row.solved,
            "idle": !row.idle,
            "without": row.steps.iter().map(step).collect::<Vec<_>>(),
            "away": row.away,
            "problems": row.problems,
        })
    };
    let exercises: Vec<Value> = rehearsal.rows.iter().map(row).collect();
    json!({ "version": 1, "lab": lab.name, "passed": rehearsal.passed(), "exercises": exercises })
}
