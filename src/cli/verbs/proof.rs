//! Event numbers lead somewhere: the connections of a trace by number, and those that prove a student's marks.

use std::ops::ControlFlow;

use crate::{
    cli::{error::Error, naming::Opened},
    evidence::{Conn, Seq},
    lab::GroupName,
    marking::StudentMarks,
    store::Reader,
    trace::{Filter, Format, Look, Only, Renderer},
};

/// The group among these whose server has this connection or event, and what to show of it. Numbers are per server.
pub fn find(
    opened: &Opened,
    groups: &[GroupName],
    conn: Option<u64>,
    event: Option<u64>,
) -> Result<(GroupName, Only), Error> {
    let mut found: Vec<(GroupName, Only)> = Vec::new();
    for group in groups {
        let path = opened.dir.store(group);
        if path.exists() {
            let only = look(&Reader::open(&path)?, conn, event)?;
            found.extend(only.map(|only| (group.clone(), only)));
        }
    }
    let (what, number) = if event.is_some() { ("event", event) } else { ("connection", conn) };
    let number = number.unwrap_or(0);
    if found.len() > 1 {
        let groups = found.into_iter().map(|(group, _)| group.to_string()).collect();
        return Err(Error::SeveralNumbers { what, number, groups });
    }
    let place = format!("lab `{}`", opened.lab.name);
    found.pop().ok_or(Error::NoNumber { what, number, place })
}

fn look(reader: &Reader, conn: Option<u64>, event: Option<u64>) -> Result<Option<Only>, Error> {
    let mut only = None;
    let after = Seq(event.map_or(0, |event| event.saturating_sub(1)));
    reader.events(after, &mut |seen| {
        let here = event.map_or(conn == Some(seen.conn.0), |event| seen.seq == Seq(event));
        if here {
            let conns = [seen.conn].into_iter().filter(|conn| *conn != Conn(0));
            only = Some(Only { conns: conns.collect(), events: [seen.seq].into() });
        }
        if here || event.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(only)
}

/// The connections and events that prove a student's marks, as a transcript.
pub fn transcript(opened: &Opened, marks: &StudentMarks, look: Look) -> Result<String, Error> {
    let proofs = || marks.exercises.iter().flat_map(|mark| &mark.checks).flat_map(|check| &check.proofs);
    let only = Only {
        conns: proofs().map(|proof| proof.conn).filter(|conn| *conn != Conn(0)).collect(),
        events: proofs().flat_map(|proof| proof.events.iter().copied()).collect(),
    };
    let path = opened.dir.store(&marks.group);
    let mut text = String::new();
    if path.exists() {
        let filter = Filter { only: Some(only), ..Filter::default() };
        let mut renderer = Renderer::new(Format::Transcript, filter, look).knowing(&opened.lab);
        let reader = Reader::open(&path)?;
        reader.events(Seq(0), &mut |event| {
            let mut content = |id| reader.message(id).ok().flatten().map(|message| message.octets);
            text += &renderer.render_with(&marks.group, &event, &mut content);
            ControlFlow::Continue(())
        })?;
    }
    Ok(text)
}
