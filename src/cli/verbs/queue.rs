//! `labctl queue`: the mail that waits for other servers, and trying it now.

use serde::Serialize;

use crate::{
    cli::{
        args::{Queue as Args, QueueAction},
        error::{Error, count},
        exit::Exit,
        naming::Shell,
        whom::Whom,
    },
    control::{Client, Queue},
    evidence::Timestamp,
    lab::GroupName,
    mail::Queued,
    trace::visible,
};

/// What `--json` prints.
#[derive(Serialize)]
struct Shown {
    version: u32,
    groups: Vec<Waiting>,
}

#[derive(Serialize)]
struct Waiting {
    group: String,
    /// How many recipients wait.
    recipients: usize,
    /// How many were told to be tried now.
    #[serde(skip_serializing_if = "Option::is_none")]
    tried: Option<usize>,
    /// The first of them.
    queue: Vec<Row>,
}

/// A recipient that waits.
#[derive(Serialize)]
struct Row {
    message: u64,
    student: Option<String>,
    sender: String,
    recipient: String,
    domain: String,
    queued: Timestamp,
    attempts: u32,
    due: Timestamp,
    reply: Option<String>,
}

/// Shows it, or tries it.
pub fn run(shell: &Shell, args: &Args) -> Result<Exit, Error> {
    let opened = shell.open(args.lab.as_deref())?;
    let runtime = super::runtime()?;
    let tries = args.action == Some(QueueAction::Run);
    let groups: Vec<GroupName> = match &args.group {
        Some(name) => vec![Whom::find(&opened.lab, name)?.group(&opened.lab).name.clone()],
        None => opened.lab.groups.iter().map(|group| group.name.clone()).collect(),
    };
    let all = runtime.block_on(async {
        let engine = opened.engine().await?;
        let not_up = || Error::NotUp { name: opened.lab.name.clone() };
        engine.status().await?.ok_or_else(not_up)?;
        let client = engine.client().await?;
        let mut all = Vec::new();
        for group in &groups {
            all.push(waiting(&client, group, tries).await?);
        }
        Ok::<_, Error>(all)
    })?;
    if args.json {
        shell.out.json(&Shown { version: 1, groups: all })?;
        return Ok(Exit::Done);
    }
    if !opened.lab.settings.relay {
        shell.out.note(format_args!("lab `{}` passes no mail on: it has no `relay = true`", opened.lab.name));
    }
    if tries {
        let tried = all.iter().filter_map(|waiting| waiting.tried).sum();
        shell.out.note(format_args!("trying {}", count(tried, "recipient")));
        return Ok(Exit::Done);
    }
    show(shell, &all)
}

async fn waiting(client: &Client, group: &GroupName, tries: bool) -> Result<Waiting, Error> {
    let tried = if tries { Some(client.try_queue(group).await?.recipients) } else { None };
    let Queue { recipients, first } = client.queue(group).await?;
    let queue = first.into_iter().map(row).collect();
    Ok(Waiting { group: group.to_string(), recipients, tried, queue })
}

fn row(queued: Queued) -> Row {
    Row {
        message: queued.message.0,
        student: queued.who.student().map(ToString::to_string),
        sender: queued.sender,
        recipient: queued.outgoing.recipient,
        domain: queued.outgoing.domain,
        queued: queued.queued,
        attempts: queued.attempts,
        due: queued.due,
        reply: queued.reply,
    }
}

fn show(shell: &Shell, all: &[Waiting]) -> Result<Exit, Error> {
    let now = jiff::Timestamp::now().as_microsecond();
    let rows = all.iter().flat_map(|waiting| {
        waiting.queue.iter().map(move |row| {
            vec![
                waiting.group.clone(),
                row.message.to_string(),
                visible(&format!("<{}>", row.sender)),
                visible(&format!("<{}>", row.recipient)),
                row.attempts.to_string(),
                next(row.due, now),
                row.reply.as_deref().map(visible).unwrap_or_default(),
            ]
        })
    });
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() {
        shell.out.note("no mail waits");
        return Ok(Exit::Done);
    }
    shell.out.table(&["GROUP", "MESSAGE", "FROM", "TO", "TRIES", "NEXT", "LAST ANSWER"], &rows)?;
    for waiting in all.iter().filter(|waiting| waiting.recipients > waiting.queue.len()) {
        let more = waiting.recipients - waiting.queue.len();
        shell.out.note(format_args!("… and {} of `{}`", count(more, "more recipient"), waiting.group));
    }
    Ok(Exit::Done)
}

/// When it is tried, as people say it.
fn next(due: Timestamp, now: i64) -> String {
    match (due.0 - now + 999_999) / 1_000_000 {
        ..=0 => "now".to_owned(),
        secs @ 1..=119 => format!("in {secs} s"),
        secs => format!("in {} min", (secs + 59) / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_try_is_said_as_people_say_it() {
        let at = |secs: i64| next(Timestamp(secs * 1_000_000), 0);
        assert_eq!([-5, 0, 1, 119, 120, 121].map(at), ["now", "now", "in 1 s", "in 119 s", "in 2 min", "in 3 min"]);
    }
}
