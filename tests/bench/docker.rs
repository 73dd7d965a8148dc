//! The docker engine on this machine's Engine: labctl beside docker-compose and beside the bare calls of the Engine's API in
//! their best order, with the same lab, one after the other in each round.
//!
//! The compose file and the bare calls are made from what labctl made, so they are the same containers. Sizes come from the
//! environment: `GROUPS` (30), `ROUNDS` (3), `MANY` groups for the figures of scale (150; 0 leaves them out).

mod bare;
mod compose;
mod lab;
mod memory;
mod same;

use std::{env, process, thread, time::Duration};

use compose::{Client, Compose};
use lab::Lab;
use same::Same;

use crate::{
    Fallible,
    figure::{Figure, Goal, Sample, Unit},
};

/// Students of each group.
const STUDENTS: usize = 2;

/// Groups that the larger class is compared with.
const FEW: usize = 10;

/// Rounds of what takes a moment only.
const MOMENTS: usize = 5;

/// How long programs that Ctrl-C reached as well have to end.
const LAST: Duration = Duration::from_secs(2);

/// The sizes.
struct Sizes {
    groups: usize,
    rounds: usize,
    many: usize,
}

impl Sizes {
    fn from_environment() -> Fallible<Self> {
        let size = |name: &str, otherwise: usize| match env::var(name) {
            Ok(text) => text.parse().map_err(|_| format!("`{name}` is a number, not `{text}`")),
            Err(_) => Ok(otherwise),
        };
        Ok(Self { groups: size("GROUPS", 30)?.max(1), rounds: size("ROUNDS", 3)?.max(1), many: size("MANY", 150)? })
    }
}

/// What the rounds gave.
#[derive(Default)]
struct Samples {
    up: Sample,
    first: Sample,
    down: Sample,
    bare_up: Sample,
    bare_down: Sample,
    compose_up: Sample,
    compose_down_now: Sample,
    compose_down: Sample,
    compose_down_deaf: Sample,
    again: Sample,
    listing: Sample,
    compose_again: Sample,
    one_more: Sample,
    report: Sample,
}

/// All figures of the section. Whatever ends it, nothing is left on the Engine.
pub fn run() -> Fallible<Vec<Figure>> {
    let folder = tempfile::tempdir()?;
    let lab = Lab::new(folder.path())?;
    clean(&lab)?;
    let at_interrupt = lab.clone();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            thread::sleep(LAST);
            let _ = clean(&at_interrupt);
            process::exit(130);
        }
    });
    let figures = measure(&lab, &Sizes::from_environment()?);
    let cleaned = clean(&lab);
    let figures = figures?;
    cleaned?;
    Ok(figures)
}

/// Takes away what this or an earlier run made.
fn clean(lab: &Lab) -> Fallible<()> {
    lab.purge()?;
    Compose::purge()?;
    bare::purge()
}

fn measure(lab: &Lab, sizes: &Sizes) -> Fallible<Vec<Figure>> {
    let mut samples = Samples::default();
    // Images are made, and all files are read, before anything is measured.
    lab.write(1, STUDENTS)?;
    lab.up()?;
    lab.down()?;
    lab.write(sizes.groups, STUDENTS)?;
    let (mut same, mut compose, mut memory) = (None, None, Vec::new());
    for round in 0..sizes.rounds {
        let up = lab.up()?;
        samples.up.push(up.secs);
        samples.first.push(up.first_secs);
        if round == 0 {
            let made = Same::read()?;
            compose = Some(Compose::new(&made, lab.folder(), Client::Answers)?);
            same = Some(made);
            moments(lab, sizes, &mut samples)?;
            memory = memory::figures()?;
        }
        samples.down.push(lab.down()?);
        let (same, compose) = (same.as_ref().ok_or("no lab")?, compose.as_ref().ok_or("no lab")?);
        samples.bare_up.push(bare::up(same)?);
        if round == 0 {
            for _ in 0..MOMENTS {
                samples.listing.push(bare::list()?);
            }
        }
        samples.bare_down.push(bare::down(same)?);
        samples.compose_up.push(compose.up()?);
        if round == 0 {
            for _ in 0..MOMENTS {
                samples.compose_again.push(compose.up()?);
            }
        }
        // The default takes as long as the slowest container needs to answer SIGTERM.
        if round == 0 {
            samples.compose_down.push(compose.down(&[])?);
        } else {
            samples.compose_down_now.push(compose.down(&["-t", "0"])?);
        }
    }
    if sizes.rounds == 1 {
        compose.as_ref().ok_or("no lab")?.up()?;
        samples.compose_down_now.push(compose.as_ref().ok_or("no lab")?.down(&["-t", "0"])?);
    }
    let deaf = Compose::new(same.as_ref().ok_or("no lab")?, lab.folder(), Client::Deaf)?;
    deaf.up()?;
    samples.compose_down_deaf.push(deaf.down(&[])?);
    let on_demand = on_demand(lab, sizes)?;
    let mut figures = figures(sizes, samples, on_demand);
    figures.extend(memory);
    if sizes.many > 0 {
        figures.push(scale(lab, sizes.many)?);
    }
    Ok(figures)
}

/// What is done while the lab is up.
fn moments(lab: &Lab, sizes: &Sizes, samples: &mut Samples) -> Fallible<()> {
    for _ in 0..MOMENTS {
        samples.again.push(lab.up()?.secs);
        samples.report.push(lab.report()?);
    }
    for more in 1..=MOMENTS {
        lab.write_with(sizes.groups, STUDENTS, more)?;
        samples.one_more.push(lab.up()?.secs);
    }
    lab.write(sizes.groups, STUDENTS)?;
    lab.up().map(drop)
}

/// The same class with clients that wait for their student; none where this labctl has no such thing.
fn on_demand(lab: &Lab, sizes: &Sizes) -> Fallible<Option<Sample>> {
    lab.write_on_demand(sizes.groups, STUDENTS)?;
    let sample = if lab.is_right()? {
        let mut sample = Sample::default();
        for _ in 0..sizes.rounds {
            sample.push(lab.up()?.secs);
            lab.down()?;
        }
        Some(sample)
    } else {
        None
    };
    lab.write(sizes.groups, STUDENTS)?;
    Ok(sample)
}

/// Time per container in a large class, with that in a small one.
fn scale(lab: &Lab, many: usize) -> Fallible<Figure> {
    let per_container = |groups: usize| -> Fallible<Sample> {
        lab.write(groups, STUDENTS)?;
        let secs = lab.up()?.secs;
        lab.down()?;
        let containers = u32::try_from(groups * (1 + STUDENTS))?;
        Ok((1000.0 * secs / f64::from(containers)).into())
    };
    let few = per_container(FEW)?;
    Ok(Figure {
        what: format!("up, per container, {many} groups (peer: {FEW} groups)"),
        unit: Unit::Cost("ms"),
        ours: Some(per_container(many)?),
        peer: Some(("labctl", few)),
        goal: Goal::Times(1.0 / 1.3),
    })
}

fn figures(sizes: &Sizes, samples: Samples, on_demand: Option<Sample>) -> Vec<Figure> {
    let (groups, containers) = (sizes.groups, sizes.groups * (1 + STUDENTS));
    let over_listing = samples.again.median() - samples.listing.median();
    let against = |what: &str, ours: &Sample, peer, theirs: &Sample, goal| Figure {
        what: what.to_owned(),
        unit: Unit::Cost("s"),
        ours: Some(ours.clone()),
        peer: Some((peer, theirs.clone())),
        goal,
    };
    let alone = |what: &str, ours: Sample, most: f64| Figure {
        what: what.to_owned(),
        unit: Unit::Cost("s"),
        ours: Some(ours),
        peer: None,
        goal: Goal::Absolute(most),
    };
    let up = format!("up, {groups} groups, {containers} containers");
    let mut figures = vec![
        against(&up, &samples.up, compose::NAME, &samples.compose_up, Goal::Times(1.15)),
        against(&up, &samples.up, "bare calls", &samples.bare_up, Goal::Times(1.0 / 1.05)),
        alone("up, until the first group is usable", samples.first, 2.0),
        against("up, nothing to do", &samples.again, compose::NAME, &samples.compose_again, Goal::Times(1.0)),
        against("up, nothing to do", &samples.again, "listing", &samples.listing, Goal::Reference),
        alone("up, nothing to do, over listing", over_listing.into(), 0.1),
        alone("up, one student more", samples.one_more, 1.5),
        alone(&format!("report, {groups} groups"), samples.report, 2.0),
        against("down", &samples.down, "compose -t 0", &samples.compose_down_now, Goal::Times(1.4)),
        against("down", &samples.down, "compose", &samples.compose_down, Goal::Reference),
        against("down", &samples.down, "compose, no init", &samples.compose_down_deaf, Goal::Times(2.5)),
        against("down", &samples.down, "bare calls", &samples.bare_down, Goal::Reference),
    ];
    if let Some(on_demand) = on_demand {
        let what = "up, clients on demand (peer: all clients)";
        figures.push(against(what, &on_demand, compose::NAME, &samples.compose_up, Goal::Times(2.0)));
    }
    figures
}
