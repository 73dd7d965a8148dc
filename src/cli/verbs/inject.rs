//! `labctl inject`: sends the lab's mail, through the running servers, to whoever has not got it yet.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use serde::Serialize;

use crate::{
    cli::{
        args::Inject,
        error::{Error, count},
        exit::Exit,
        naming::Shell,
        output::Output,
    },
    control::{Client, ServerStatus, Status},
    evidence::Injected,
    inject::{self, Due},
    lab::{GroupName, Key, Lab},
};

/// What was sent, as `--json` prints it.
#[derive(Serialize)]
struct Done {
    version: u32,
    sent: usize,
    undelivered: Vec<String>,
}

/// Sends what is due, or everything `--again`.
pub fn run(shell: &Shell, args: &Inject) -> Result<Exit, Error> {
    let opened = shell.open(args.lab.as_deref())?;
    if let Some(mail) = args.mail.as_deref().filter(|mail| opened.lab.mail(mail).is_none()) {
        let known = opened.lab.mails.iter().map(|mail| mail.id.to_string()).collect();
        return Err(Error::UnknownMail { lab: opened.lab.name, mail: mail.to_owned(), known });
    }
    super::runtime()?.block_on(async {
        let engine = opened.engine().await?;
        let not_up = || Error::NotUp { name: opened.lab.name.clone() };
        let status = engine.status().await?.ok_or_else(not_up)?;
        let mut due = if args.again {
            every(&opened.lab, &status, &BTreeMap::new())
        } else {
            due(&opened.lab, &engine.client().await?).await?
        };
        due.retain(|due| args.mail.as_deref().is_none_or(|mail| due.injected.mail.as_str() == mail));
        let total = due.len();
        let undelivered = send(shell.out, &Arc::new(opened.lab), &opened.key, engine.client().await?, due).await;
        let sent = total - undelivered.len();
        if args.json {
            shell.out.json(&Done { version: 1, sent, undelivered: undelivered.clone() })?;
        } else {
            shell.out.note(format_args!("sent {}", count(sent, "mail")));
        }
        Ok(if undelivered.is_empty() { Exit::Done } else { Exit::Partly })
    })
}

/// The copies that the servers that run have to get and have not got in their current runs.
pub async fn due(lab: &Lab, client: &Client) -> Result<Vec<Due>, Error> {
    if lab.mails.is_empty() {
        return Ok(Vec::new());
    }
    let status = client.status(true).await?;
    let of = |server: &ServerStatus| {
        let injected = server.injected.iter().flatten().cloned().collect();
        (server.config.group.clone(), injected)
    };
    let before = status.servers.iter().map(of).collect();
    Ok(every(lab, &status, &before))
}

/// The copies that the servers that run have to get and have not got `before`.
fn every(lab: &Lab, status: &Status, before: &BTreeMap<GroupName, BTreeSet<Injected>>) -> Vec<Due> {
    let none = BTreeSet::new();
    let runs = |group: &GroupName| status.servers.iter().any(|server| server.config.group == *group);
    let groups = lab.groups.iter().filter(|group| runs(&group.name));
    groups.flat_map(|group| inject::due(lab, group, before.get(&group.name).unwrap_or(&none))).collect()
}

/// Sends the copies through the running servers; says and gives back what did not arrive.
pub async fn send(out: Output, lab: &Arc<Lab>, key: &Key, client: Client, due: Vec<Due>) -> Vec<String> {
    if due.is_empty() {
        return Vec::new();
    }
    let mut progress = out.progress("mail", due.len());
    let open = |due: &Due| {
        let (client, due) = (client.clone(), due.clone());
        async move { client.smtp(&due.group, &due.injected).await.map_err(io::Error::other) }
    };
    let undelivered = inject::send_all(lab, key, due, open, || progress.step()).await;
    progress.finish();
    for problem in inject::summary(&undelivered) {
        out.problem(problem, None);
    }
    undelivered.iter().map(ToString::to_string).collect()
}
