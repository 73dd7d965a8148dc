//! Durable accept: how many messages a second are answered 250 when that means "on the disk", and what each costs in
//! processor time. Postfix writes its queue file and delivers to a local Maildir; labctl commits mail and evidence.

use std::path::Path;

use crate::{
    Fallible,
    bare::Bare,
    figure::{Figure, Goal, ROUNDS, Sample, Unit},
    labctl_server::Labctl,
    load::{Shape, smtp_source},
    machine::{Workplace, folder, settle},
    peers::Postfix,
    process::cpu_secs,
};

/// A shape of load and what is asked of labctl under it. Counts differ so that every run takes about as long.
struct Case {
    shape: Shape,
    goal: f64,
    ours: usize,
    postfix: usize,
}

const CASES: [Case; 4] = [
    Case { shape: Shape { sessions: 1, kept: false }, goal: 1.5, ours: 1_500, postfix: 800 },
    Case { shape: Shape { sessions: 10, kept: false }, goal: 4.5, ours: 8_000, postfix: 1_500 },
    Case { shape: Shape { sessions: 50, kept: false }, goal: 6.0, ours: 8_000, postfix: 1_500 },
    Case { shape: Shape { sessions: 10, kept: true }, goal: 6.5, ours: 10_000, postfix: 1_500 },
];

/// The load under which processor time is measured.
const CPU: Case = Case { shape: Shape { sessions: 10, kept: false }, goal: 8.0, ours: 8_000, postfix: 2_000 };

/// Messages of the run before the first round, which starts processes and fills caches.
const WARM_UP: usize = 200;

/// All figures of the section.
pub fn run(place: &Workplace) -> Fallible<Vec<Figure>> {
    let mut figures = on_disk(&place.disk)?;
    figures.extend(on_tmpfs(&place.memory)?);
    Ok(figures)
}

fn on_disk(place: &Path) -> Fallible<Vec<Figure>> {
    let postfix = Postfix::start(&folder(place, "postfix")?)?;
    let labctl = Labctl::start(&folder(place, "accept")?)?;
    let bare = Bare::start(place)?;
    let mut figures = Vec::new();
    for Case { shape, goal, ours: our_count, postfix: postfix_count } in CASES {
        let (mut ours, mut theirs, mut ruler) = (Sample::default(), Sample::default(), Sample::default());
        smtp_source(postfix.address, shape, WARM_UP)?;
        postfix.drain()?;
        for _ in 0..ROUNDS {
            settle(place)?;
            ours.push(smtp_source(labctl.smtp, shape, our_count)?);
            settle(place)?;
            theirs.push(smtp_source(postfix.address, shape, postfix_count)?);
            postfix.drain()?;
            settle(place)?;
            ruler.push(smtp_source(bare.address, shape, our_count)?);
        }
        let what = format!("accept, {}", shape.name());
        let unit = Unit::Rate("messages/s");
        figures.push(Figure {
            what: what.clone(),
            unit,
            ours: Some(ours.clone()),
            peer: Some(("Postfix", theirs)),
            goal: Goal::Times(goal),
        });
        let peer = Some(("bare file, group commit", ruler));
        figures.push(Figure { what, unit, ours: Some(ours), peer, goal: Goal::Reference });
    }
    let expected = CASES.iter().map(|case| WARM_UP + ROUNDS * case.postfix).sum::<usize>();
    let delivered = postfix.delivered()?;
    if delivered != expected {
        return Err(format!("Postfix delivered {delivered} of {expected} messages").into());
    }
    bare.stop()?;
    labctl.stop()?;
    postfix.stop()?;
    Ok(figures)
}

/// Processor time of every process of a server, until the last message is where it belongs.
fn on_tmpfs(place: &Path) -> Fallible<Vec<Figure>> {
    let postfix = Postfix::start(&folder(place, "postfix")?)?;
    let labctl = Labctl::start(&folder(place, "accept")?)?;
    let per_message = |secs: f64, count: usize| -> Fallible<f64> { Ok(secs * 1e6 / f64::from(u32::try_from(count)?)) };
    let (mut ours, mut theirs) = (Sample::default(), Sample::default());
    smtp_source(postfix.address, CPU.shape, WARM_UP)?;
    postfix.drain()?;
    for _ in 0..ROUNDS {
        let before = cpu_secs(labctl.pid)?;
        smtp_source(labctl.smtp, CPU.shape, CPU.ours)?;
        ours.push(per_message(cpu_secs(labctl.pid)? - before, CPU.ours)?);
        let before = cpu_secs(postfix.pid()?)?;
        smtp_source(postfix.address, CPU.shape, CPU.postfix)?;
        postfix.drain()?;
        theirs.push(per_message(cpu_secs(postfix.pid()?)? - before, CPU.postfix)?);
    }
    labctl.stop()?;
    postfix.stop()?;
    Ok(vec![Figure {
        what: format!("processor time on tmpfs, {}", CPU.shape.name()),
        unit: Unit::Cost("µs/message"),
        ours: Some(ours),
        peer: Some(("Postfix", theirs)),
        goal: Goal::Times(CPU.goal),
    }])
}
