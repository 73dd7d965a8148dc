//! Marking: events a second from ten thousand to ten million events, and a whole report of a large class.

use std::{fs, path::Path, time::Instant};

use labctl::{
    evidence::{Conn, Event, MessageId, Seq, Timestamp},
    lab::{Key, Lab, Login},
    marking::Marker,
    reading,
    store::{Origin, Store},
};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{
    Fallible,
    classwork::{self, EVENTS, EXERCISES, Talk},
    figure::{Figure, Goal, ROUNDS, Sample, Unit},
    labctl_server::{Class, Labctl, lab_file},
    machine::{Workplace, folder},
};

/// Numbers of events; that the rate stays shows that marking is linear.
const SIZES: [usize; 4] = [10_000, 100_000, 1_000_000, 10_000_000];

/// The group whose events are marked from memory.
const GROUP: Class = Class { groups: 1, students: 200 };

/// The events that are in memory at once: later ones are the same under other numbers.
const CHAPTER: usize = 100_000;

/// The class whose report is timed.
const CLASS: Class = Class { groups: 50, students: 20 };

/// Its events.
const RECORD: usize = 1_000_000;

/// All figures of the section.
pub fn run(place: &Workplace) -> Fallible<Vec<Figure>> {
    let mut figures = rates()?;
    figures.push(report(place)?);
    Ok(figures)
}

fn rates() -> Fallible<Vec<Figure>> {
    let lab = lab(&format!("{}{}", lab_file(GROUP)?, classwork::exercises()))?;
    let mut chapter = chapter()?;
    let mut rates = SIZES.map(|_| Sample::default());
    for _ in 0..ROUNDS {
        for (size, rate) in SIZES.into_iter().zip(&mut rates) {
            rate.push(mark(&lab, &mut chapter, size)?);
        }
    }
    let figure = |(size, rate): (usize, Sample)| Figure {
        what: format!("marking from memory, {size} events"),
        unit: Unit::Rate("events/s"),
        ours: Some(rate),
        peer: None,
        goal: Goal::Absolute(500_000.0),
    };
    Ok(SIZES.into_iter().zip(rates).map(figure).collect())
}

/// Marks so many events and gives the rate; renumbering them costs a few nanoseconds each and is part of it.
fn mark(lab: &Lab, chapter: &mut [Event], size: usize) -> Fallible<f64> {
    let mut marker = Marker::new(lab, &lab.groups[0], &Key([7; 32]));
    let content = b"Subject: task 1\r\n\r\nThis is a message.\r\n";
    let started = Instant::now();
    let mut seq = 0;
    while seq < size {
        let count = CHAPTER.min(size - seq);
        for event in &mut chapter[..count] {
            event.seq = Seq(u64::try_from(seq)? + 1);
            event.conn = Conn(u64::try_from(seq / EVENTS)? + 1);
            seq += 1;
            marker.take(event, &mut |_| Some(content.to_vec()));
        }
    }
    let marks = marker.marks();
    let took = started.elapsed();
    if marks.len() != GROUP.students || marks.iter().any(|student| student.exercises.len() != EXERCISES) {
        return Err("the marks are not those of the class".into());
    }
    Ok(f64::from(u32::try_from(size)?) / took.as_secs_f64())
}

/// Connections of all students in turn, one after the other.
fn chapter() -> Fallible<Vec<Event>> {
    let logins = classwork::logins(GROUP, 0)?;
    let mut events = Vec::with_capacity(CHAPTER);
    for number in 0..CHAPTER / EVENTS {
        let login = &logins[number % logins.len()];
        let message = MessageId(u64::try_from(number)? + 1);
        let kinds = match classwork::talk(login, number / logins.len(), message) {
            Talk::Smtp { before, envelope, after } => {
                let accepted = classwork::accepted(&envelope, message);
                before.into_iter().chain([accepted]).chain(after).collect()
            }
            Talk::Pop3(kinds) => kinds,
        };
        events.extend(kinds.into_iter().map(|kind| Event {
            seq: Seq(0),
            time: Timestamp(1_700_000_000_000_000),
            run: 1,
            conn: Conn(0),
            who: classwork::who(login),
            kind,
        }));
    }
    Ok(events)
}

/// `labctl report --json` of a class whose record is in the stores of its state directory.
fn report(place: &Workplace) -> Fallible<Figure> {
    let home = folder(&place.disk, "report")?;
    let labctl = Labctl::start_with(&home, CLASS, &classwork::exercises())?;
    labctl.pause()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().build()?;
    for group in 0..CLASS.groups {
        runtime.block_on(record(&labctl.store(group), &classwork::logins(CLASS, group)?))?;
    }
    let mut secs = Sample::default();
    for _ in 0..ROUNDS {
        let started = Instant::now();
        let json = labctl.report()?;
        secs.push(started.elapsed().as_secs_f64());
        check(&serde_json::from_slice(&json)?)?;
    }
    Ok(Figure {
        what: format!(
            "report --json, {} students × {EXERCISES} exercises, {RECORD} events",
            CLASS.groups * CLASS.students
        ),
        unit: Unit::Cost("s"),
        ours: Some(secs),
        peer: None,
        goal: Goal::Absolute(2.0),
    })
}

/// Every student has a verdict for every exercise, and about half of them are done.
fn check(report: &Value) -> Fallible<()> {
    let students = report["students"].as_array().ok_or("a report without students")?;
    let exercises: Vec<&Value> =
        students.iter().filter_map(|student| student["exercises"].as_array()).flatten().collect();
    let done = exercises.iter().filter(|exercise| exercise["verdict"] == "done").count();
    let all = CLASS.groups * CLASS.students * EXERCISES;
    if exercises.len() == all && (all / 4..all * 3 / 4).contains(&done) {
        return Ok(());
    }
    Err(format!("the report has {} verdicts instead of {all}, {done} of them done", exercises.len()).into())
}

/// Writes the group's share of the record; its students work at the same time.
async fn record(path: &Path, logins: &[Login]) -> Fallible<()> {
    let store = Store::open(path)?;
    let connections = RECORD / EVENTS / (CLASS.groups * CLASS.students);
    let mut students = JoinSet::new();
    for login in logins {
        students.spawn(work(store.clone(), login.clone(), connections));
    }
    while let Some(done) = students.join_next().await {
        done??;
    }
    store.close().await?;
    Ok(())
}

async fn work(store: Store, login: Login, connections: usize) -> Result<(), labctl::store::StoreError> {
    for number in 0..connections {
        let conn = store.next_conn();
        let origin = Origin { conn, who: classwork::who(&login), time: Timestamp(1_700_000_000_000_000) };
        match classwork::talk(&login, number, MessageId(1)) {
            Talk::Smtp { before, envelope, after } => {
                store.deliver(origin.clone(), before, *envelope, None).await?;
                store.record(origin, after).await?;
            }
            Talk::Pop3(kinds) => store.record(origin, kinds).await?,
        }
    }
    Ok(())
}

fn lab(text: &str) -> Fallible<Lab> {
    let reading = reading::read(text, Path::new("/bench.toml"), &mut |path| fs::read(path));
    reading.lab.ok_or_else(|| format!("the lab file of the benchmark is wrong: {:?}", reading.diagnostics).into())
}
