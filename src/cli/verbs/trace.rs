//! `labctl trace`: what went over the wire, from the stores; with `--follow` also what comes.

use std::collections::BTreeMap;

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
    evidence::{Event, MessageId, Seq},
    lab::GroupName,
    live::{Health, Live, News, Record},
    trace::{Filter, Format, Look, Renderer},
};

/// Shows what went over the wire, group by group; then what comes, as it comes.
pub fn run(shell: &Shell, args: &Args) -> Result<Exit, Error> {
    let (opened, whom) = shell.open_for(&args.whose)?;
    opened.settle(shell.out, whom.as_ref().map(|whom| &whom.group(&opened.lab).name))?;
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
        records: BTreeMap::new(),
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
    /// What was read of each group.
    records: BTreeMap<GroupName, Record>,
}

impl Printer {
    /// Prints what the group's stores have; the number of the last event in the one that is written.
    fn print_stored(&mut self, opened: &Opened, group: &GroupName) -> Result<Seq, Error> {
        let mut record = Record::new(opened.dir.records(group)?);
        let Self { out, renderer, .. } = self;
        let mut printed = Ok(());
        let problems = record.read(&mut |reading, event| {
            if printed.is_ok() {
                printed = show(*out, renderer, (group, &event), &mut |id| reading.message(id));
            }
        });
        printed?;
        let last = record.last_written();
        self.records.insert(group.clone(), record);
        problems.into_iter().next().map_or(Ok(last), |problem| Err(problem.into()))
    }

    /// Prints an event that came, with the message that it speaks of, if that could be had.
    fn print(&mut self, group: &GroupName, event: &mut Event, message: Option<&[u8]>) -> Result<(), Error> {
        let Self { out, renderer, records } = self;
        let record = records.get(group);
        if let Some(record) = record {
            record.renumber(event);
        }
        let mut content = |id| message.map(<[u8]>::to_vec).or_else(|| record?.reading().message(id));
        show(*out, renderer, (group, event), &mut content)
    }
}

fn show(
    out: Output,
    renderer: &mut Renderer,
    (group, event): (&GroupName, &Event),
    content: &mut dyn FnMut(MessageId) -> Option<Vec<u8>>,
) -> Result<(), Error> {
    let text = renderer.render_with(group, event, content);
    if text.is_empty() { Ok(()) } else { out.styled(&text) }
}

/// Shows what comes, until the lab is down. What does not answer is waited for, and it is said.
async fn follow(printer: &mut Printer, opened: &Opened, groups: &[GroupName]) -> Result<(), Error> {
    let engine = opened.engine().await?;
    engine.status().await?.ok_or_else(|| Error::NotUp { name: opened.lab.name.clone() })?;
    let mut seen = BTreeMap::new();
    for group in groups {
        seen.insert(group.clone(), printer.print_stored(opened, group)?);
    }
    let live = Live::open(engine, opened.dir.clone(), seen.clone());
    let mut watch = live.watch(seen);
    while let Some(news) = watch.next().await {
        match news {
            News::Event { group, mut event } => {
                let message = match event.kind.stored() {
                    Some(id) => watch.message(&group, id).await,
                    None => None,
                };
                printer.print(&group, &mut event, message.as_deref())?;
            }
            News::Health { group, health } => tell(printer.out, &group, &health),
            News::Behind { missed } => {
                printer.out.note(format_args!("{missed} events came faster than they were shown; they follow"));
            }
        }
    }
    Ok(())
}

/// Says how a server is.
pub fn tell(out: Output, group: &GroupName, health: &Health) {
    match health {
        Health::Answers => out.note(format_args!("server `{group}` answers again")),
        Health::Awaited { why } => out.note(format_args!("waiting for server `{group}`: {why}")),
        Health::Store(trouble) => interrupted::tell(out, group.as_str(), trouble.as_ref()),
    }
}
