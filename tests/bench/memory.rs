//! Memory: idle, with a thousand idle sessions, and with hundreds of groups in one process; and how fast those come up.

use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use crate::{
    Fallible,
    figure::{Figure, Goal, ROUNDS, Sample, Unit},
    labctl_server::{Class, Labctl, PASSWORD},
    machine::{Workplace, folder},
    peers::{Dovecot, Tuning},
    pop3_client::Client,
    process::{Memory, memory},
    smtp_client,
};

/// Idle sessions at once.
const SESSIONS: usize = 1_000;

/// A class with a mailbox for each of them, because POP3 locks: five groups, a thousand students.
const LOGGED_IN: Class = Class { groups: 5, students: SESSIONS / 5 };

/// The largest class: five hundred groups, in pairs.
const LARGE: Class = Class { groups: 500, students: 2 };

/// How long a server is left alone before it is measured.
const REST: Duration = Duration::from_millis(500);

/// All figures of the section.
pub fn run(place: &Workplace) -> Fallible<Vec<Figure>> {
    let (mut figures, connected) = one_group(place)?;
    let logged_in = class_logged_in(place)?;
    for (tuning, peer, name) in
        [(Tuning::Tuned, "Dovecot, tuned", "tuned"), (Tuning::Default, "Dovecot, default", "default")]
    {
        let dovecot = Dovecot::start(&folder(&place.memory, name)?, tuning)?;
        // One session and its end, so that long-lived processes are there before the measure.
        login(&[(dovecot.address, "user1".to_owned())])?;
        let greet = || (0..SESSIONS).map(|_| Client::connect(dovecot.address)).collect::<Fallible<Vec<_>>>();
        let greeted = growth(dovecot.pid(), greet)?;
        let users: Vec<_> = (1..=SESSIONS).map(|number| (dovecot.address, format!("user{number}"))).collect();
        let opened = growth(dovecot.pid(), || login(&users))?;
        dovecot.stop()?;
        let figure = |what: &str, ours: Memory, theirs: Memory| Figure {
            what: format!("{SESSIONS} {what}, PSS"),
            unit: Unit::Cost("MiB more"),
            ours: Some(ours.pss.into()),
            peer: Some((peer, theirs.pss.into())),
            goal: Goal::Reference,
        };
        figures.push(figure("idle SMTP sessions (peer: POP3 before login)", connected, greeted));
        figures.push(figure("POP3 sessions, logged in", logged_in, opened));
    }
    figures.extend(large(place)?);
    Ok(figures)
}

/// A server of one group: idle, and with sessions that have said EHLO.
fn one_group(place: &Workplace) -> Fallible<(Vec<Figure>, Memory)> {
    let labctl = Labctl::start(&folder(&place.disk, "one-group")?)?;
    thread::sleep(REST);
    let idle = memory(labctl.pid)?;
    let connect = || (0..SESSIONS).map(|_| smtp_client::connect(labctl.smtp)).collect::<Fallible<Vec<_>>>();
    let more = growth(labctl.pid, connect)?;
    labctl.stop()?;
    let figures = vec![
        absolute("one group, idle, RSS", Unit::Cost("MiB"), idle.rss, 10.0),
        absolute("one group, idle, PSS", Unit::Cost("MiB"), idle.pss, 10.0),
        absolute(&format!("{SESSIONS} idle SMTP sessions, RSS"), Unit::Cost("MiB more"), more.rss, 15.0),
    ];
    Ok((figures, more))
}

/// What a thousand POP3 sessions add, each logged in to the student's own mailbox.
fn class_logged_in(place: &Workplace) -> Fallible<Memory> {
    let labctl = Labctl::start_class(&folder(&place.memory, "logged-in")?, LOGGED_IN)?;
    let users: Vec<_> = labctl.students()?.into_iter().map(|student| (student.pop3, student.login)).collect();
    let more = growth(labctl.pid, || login(&users))?;
    labctl.stop()?;
    Ok(more)
}

/// Hundreds of groups in one process, each round on a fresh state directory.
fn large(place: &Workplace) -> Fallible<Vec<Figure>> {
    let (mut up, mut rss) = (Sample::default(), Sample::default());
    for round in 0..ROUNDS {
        let home = folder(&place.disk, &format!("large-{round}"))?;
        let started = Instant::now();
        let labctl = Labctl::start_class(&home, LARGE)?;
        up.push(started.elapsed().as_secs_f64());
        thread::sleep(REST);
        rss.push(memory(labctl.pid)?.rss);
        labctl.stop()?;
    }
    let figure = |what: &str, unit, ours, most| Figure {
        what: format!("{} groups of {}, {what}", LARGE.groups, LARGE.students),
        unit,
        ours: Some(ours),
        peer: None,
        goal: Goal::Absolute(most),
    };
    Ok(vec![figure("first `labctl up`", Unit::Cost("s"), up, 3.0), figure("RSS", Unit::Cost("MiB"), rss, 200.0)])
}

fn absolute(what: &str, unit: Unit, value: f64, bound: f64) -> Figure {
    Figure { what: what.to_owned(), unit, ours: Some(value.into()), peer: None, goal: Goal::Absolute(bound) }
}

/// What `connect` adds to a server's memory while its connections stand.
fn growth<T>(pid: u32, connect: impl FnOnce() -> Fallible<T>) -> Fallible<Memory> {
    thread::sleep(REST);
    let before = memory(pid)?;
    let sessions = connect()?;
    thread::sleep(REST);
    let after = memory(pid)?;
    drop(sessions);
    Ok(Memory { rss: after.rss - before.rss, pss: after.pss - before.pss })
}

/// POP3 sessions, each logged in to a mailbox of its own.
fn login(users: &[(SocketAddr, String)]) -> Fallible<Vec<Client>> {
    let session = |(server, user): &(SocketAddr, String)| {
        let mut client = Client::connect(*server)?;
        client.login(user, PASSWORD)?;
        Ok(client)
    };
    users.iter().map(session).collect()
}
