//! `labctl inject`: sends the lab's mail, through the running servers, to whoever has not got it yet.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::Serialize;
use tokio::task::JoinSet;

use crate::{
    cli::{
        args::Inject,
        error::{Error, count},
        exit::Exit,
        naming::Shell,
        output::Output,
    },
    control::{Client, ServerStatus, Status, letters},
    evidence::Injected,
    inject::{self, Due, Undelivered},
    lab::{GroupName, Key, Lab},
};

/// Groups at once.
const AT_ONCE: usize = 8;

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
        let (lab, client) = (Arc::new(opened.lab), engine.client().await?);
        let (sent, undelivered) = send(shell.out, &lab, &opened.key, client, due, args.again).await;
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

/// Sends the copies through the running servers; how many arrived now, and what did not, which is also said.
pub async fn send(
    out: Output,
    lab: &Arc<Lab>,
    key: &Key,
    client: Client,
    due: Vec<Due>,
    again: bool,
) -> (usize, Vec<String>) {
    let mut groups: BTreeMap<GroupName, Vec<Due>> = BTreeMap::new();
    for due in due {
        groups.entry(due.group.clone()).or_default().push(due);
    }
    let mut progress = out.progress("mail", groups.len());
    let mut under_way: JoinSet<(usize, Vec<Undelivered>)> = JoinSet::new();
    let (mut sent, mut undelivered) = (0, Vec::new());
    let mut take = |ended: (usize, Vec<Undelivered>)| {
        progress.step();
        sent += ended.0;
        undelivered.extend(ended.1);
    };
    for (group, due) in groups {
        if under_way.len() == AT_ONCE {
            take(under_way.join_next().await.and_then(Result::ok).unwrap_or_default());
        }
        let (lab, key, client) = (Arc::clone(lab), key.clone(), client.clone());
        under_way.spawn(async move { letters::send_to(&lab, &key, &client, &group, due, again).await });
    }
    while let Some(ended) = under_way.join_next().await {
        take(ended.unwrap_or_default());
    }
    progress.finish();
    undelivered.sort_by(|a, b| a.due.cmp(&b.due));
    for problem in inject::summary(&undelivered) {
        out.problem(problem, None);
    }
    (sent, undelivered.iter().map(ToString::to_string).collect())
}
