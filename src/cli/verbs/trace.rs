//! `labctl trace`: what went over the wire, from the stores; with `--follow` also what comes.

use std::{collections::BTreeMap, ops::ControlFlow};

use tokio::sync::mpsc;

use super::proof;
use crate::{
    cli::{
        args::{Trace as Args, TraceFormat},
        error::Error,
        exit::Exit,
        naming::{Opened, Shell},
        output::Output,
        verbs::interrupted,
        whom::Whom,
    },
    control::{ClientError, Followed},
    evidence::{Event, Seq},
    lab::GroupName,
    store::Reader,
    trace::{Filter, Format, Look, Renderer},
};

/// Events that may wait to be printed.
const WAITING: usize = 1_024;

/// Shows what went over the wire, group by group; then what comes, as it comes.
pub fn run(shell: &Shell, args: &Args) -> Result<Exit, Error> {
    let (opened, whom) = shell.open_for(&args.whose)?;
    opened.settle(shell.out)?;
    let filter = Filter {
        group: whom.as_ref().map(|whom| whom.group(&opened.lab).name.clone()),
        student: whom.as_ref().and_then(Whom::student).cloned(),
        only: None,
    };
    let mut groups: Vec<GroupName> = match &filter.group {
        Some(group) => vec![group.clone()],
        None => opened.lab.groups.iter().map(|group| group.name.clone()).collect(),
    };
    let mut filter = filter;
    if args.conn.is_some() || args.event.is_some() {
        let (group, only) = proof::find(&opened, &groups, args.conn, args.event)?;
        (filter.only, groups) = (Some(only), vec![group]);
    }
    let format = match (args.json, args.format) {
        (true, _) | (false, TraceFormat::Json) => Format::Ndjson,
        (false, TraceFormat::Transcript) => Format::Transcript,
        (false, TraceFormat::States) => Format::States,
    };
    let words = shell.out.words();
    let look = Look { utc_offset_secs: words.utc_offset_secs, colour: shell.out.is_colored() };
    let mut printer = Printer {
        out: shell.out,
        renderer: Renderer::new(format, filter, look).knowing(&opened.lab),
        readers: BTreeMap::new(),
    };
    if !args.follow {
        for group in &groups {
            printer.print_stored(&opened, group)?;
        }
        return Ok(Exit::Done);
    }
    super::runtime()?.block_on(follow(&mut printer, &opened, &groups))?;
    Ok(Exit::Done)
}

struct Printer {
    out: Output,
    renderer: Renderer,
    /// The stores that were read, for what was mailed.
    readers: BTreeMap<GroupName, Reader>,
}

impl Printer {
    /// Prints what the group's store has; the number of its last event.
    fn print_stored(&mut self, opened: &Opened, group: &GroupName) -> Result<Seq, Error> {
        let path = opened.dir.store(group);
        if !path.exists() {
            return Ok(Seq(0));
        }
        let reader = Reader::open(&path)?;
        self.readers.insert(group.clone(), reader);
        let Self { out, renderer, readers } = self;
        let reader = &readers[group];
        let mut printed = Ok(());
        let last = reader.events(Seq(0), &mut |event| {
            printed = show(*out, renderer, Some(reader), (group, &event));
            if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        printed.map(|()| last)
    }

    fn print(&mut self, group: &GroupName, event: &Event) -> Result<(), Error> {
        show(self.out, &mut self.renderer, self.readers.get(group), (group, event))
    }
}

fn show(
    out: Output,
    renderer: &mut Renderer,
    reader: Option<&Reader>,
    (group, event): (&GroupName, &Event),
) -> Result<(), Error> {
    let mut content = |id| reader?.message(id).ok().flatten().map(|message| message.octets);
    let text = renderer.render_with(group, event, &mut content);
    if text.is_empty() { Ok(()) } else { out.styled(&text) }
}

async fn follow(printer: &mut Printer, opened: &Opened, groups: &[GroupName]) -> Result<(), Error> {
    let engine = opened.engine().await?;
    engine.status().await?.ok_or_else(|| Error::NotUp { name: opened.lab.name.clone() })?;
    let client = engine.client().await?;
    let (send, mut receive) = mpsc::channel(WAITING);
    for group in groups {
        let last = printer.print_stored(opened, group)?;
        let mut events = match client.follow(group, last).await {
            // The lab went down while its store was read: this is its end, too.
            Err(ClientError::Connect { .. } | ClientError::Broken { .. }) => continue,
            events => events?,
        };
        let (send, group) = (send.clone(), group.clone());
        tokio::spawn(async move {
            while let Ok(Some(followed)) = events.next().await {
                if send.send((group.clone(), followed)).await.is_err() {
                    return;
                }
            }
        });
    }
    drop(send);
    while let Some((group, followed)) = receive.recv().await {
        match followed {
            Followed::Event(event) => printer.print(&group, &event)?,
            Followed::Trouble(trouble) => interrupted::tell(printer.out, group.as_str(), trouble.as_ref()),
        }
    }
    Ok(())
}
