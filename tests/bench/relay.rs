//! Relay: how many messages a second get from one group to another through the queue. Each is answered 250 when the first
//! server has it on the disk, and counts when the second one has; both ends are in the same process and on the same disk.

use std::time::{Duration, Instant};

use crate::{
    Fallible,
    figure::{Figure, Goal, ROUNDS, Sample, Unit},
    labctl_server::Labctl,
    load::{Shape, smtp_source_between},
    machine::{Workplace, folder, settle, wait_for},
};

/// The load at the first server.
const SHAPE: Shape = Shape { sessions: 10, kept: true };

/// Messages of a round.
const COUNT: usize = 8_000;

/// Messages of the run before the first round.
const WARM_UP: usize = 200;

/// How long the last message may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// All figures of the section.
pub fn run(place: &Workplace) -> Fallible<Vec<Figure>> {
    let labctl = Labctl::start_relaying(&folder(&place.disk, "relay")?)?;
    let (mut ours, mut sent) = (Sample::default(), 0);
    for count in std::iter::once(WARM_UP).chain([COUNT; ROUNDS]) {
        settle(&place.disk)?;
        sent += count;
        let started = Instant::now();
        smtp_source_between(labctl.smtp, SHAPE, count, ("user1@g001.lab", "user2@g002.lab"))?;
        wait_for("the last message in the other group", PATIENCE, || Ok(labctl.messages("g002")? >= sent))?;
        if count == COUNT {
            ours.push(f64::from(u32::try_from(count)?) / started.elapsed().as_secs_f64());
        }
    }
    let arrived = labctl.messages("g002")?;
    if arrived != sent {
        return Err(format!("{arrived} messages arrived of {sent} that were sent").into());
    }
    labctl.stop()?;
    Ok(vec![Figure {
        what: format!("relay from group to group, {}", SHAPE.name()),
        unit: Unit::Rate("messages/s"),
        ours: Some(ours),
        peer: None,
        goal: Goal::Absolute(1_000.0),
    }])
}
