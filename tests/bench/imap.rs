//! IMAP on a large mailbox, beside a Dovecot tuned for speed, and what a thousand idling sessions cost. Both hold the same
//! octets: what labctl accepted by SMTP is written into Dovecot's Maildir.

use std::{net::SocketAddr, thread, time::Duration, time::Instant};

use crate::{
    Fallible,
    figure::{Figure, Goal, ROUNDS, Sample, Unit},
    imap_client::{Answered, Client},
    labctl_server::{Class, Labctl, PASSWORD},
    load,
    machine::{Workplace, folder, settle},
    peers::{Dovecot, Tuning, maildir},
    pop3_client,
    process::memory,
};

/// Messages in the mailbox.
const MESSAGES: usize = 10_000;

/// The mailbox.
const USER: &str = "user2";

/// A word that no message holds: every body is read to its end.
const WORD: &str = "nowhere-to-be-found";

/// Idling sessions at once, each in a mailbox of its own.
const SESSIONS: usize = 1_000;

/// A class with that many students.
const CLASS: Class = Class { groups: 5, students: SESSIONS / 5 };

/// How long a server is left alone before it is measured.
const REST: Duration = Duration::from_millis(500);

/// What one server showed, in milliseconds.
#[derive(Default)]
struct Rounds {
    flags: Sample,
    search: Sample,
    bodies: Sample,
}

/// All figures of the section.
pub fn run(place: &Workplace) -> Fallible<Vec<Figure>> {
    let labctl = Labctl::start(&folder(&place.disk, "imap")?)?;
    labctl.deliver((0..MESSAGES).map(load::message))?;
    let mut client = pop3_client::Client::connect(labctl.pop3)?;
    client.login(USER, PASSWORD)?;
    let messages = client.fetch(MESSAGES)?;
    client.quit()?;
    let octets = messages.iter().map(Vec::len).sum::<usize>();
    let all = Answered { fetched: MESSAGES, octets: u64::try_from(octets)?, found: 0 };

    let home = folder(&place.disk, "dovecot-imap")?;
    let dovecot = Dovecot::start(&home, Tuning::Tuned)?;
    maildir(&home.join("mail").join(USER), &messages)?;
    settle(&place.disk)?;

    let (mut ours, mut theirs) = (Rounds::default(), Rounds::default());
    // Dovecot builds its index when it first sees a mailbox: that round does not count.
    round(dovecot.imap, &all, &mut Rounds::default())?;
    round(labctl.imap, &all, &mut Rounds::default())?;
    for _ in 0..ROUNDS {
        round(labctl.imap, &all, &mut ours)?;
        round(dovecot.imap, &all, &mut theirs)?;
    }
    dovecot.stop()?;
    labctl.stop()?;
    let figure = |what: &str, ours, theirs| Figure {
        what: format!("{what}, 10,000 messages"),
        unit: Unit::Cost("ms"),
        ours: Some(ours),
        peer: Some(("Dovecot, tuned", theirs)),
        goal: Goal::Times(1.5),
    };
    Ok(vec![
        figure("SELECT + FETCH of all flags", ours.flags, theirs.flags),
        figure("SEARCH of a word in all bodies", ours.search, theirs.search),
        figure("FETCH of all bodies", ours.bodies, theirs.bodies),
        idling(place)?,
    ])
}

/// One session: open, all flags, a search, all bodies.
fn round(server: SocketAddr, all: &Answered, rounds: &mut Rounds) -> Fallible<()> {
    let mut client = Client::connect(server)?;
    client.command(&format!("LOGIN {USER} {PASSWORD}"))?;
    let mut timed = |sample: &mut Sample, commands: &[&str]| -> Fallible<Answered> {
        let started = Instant::now();
        let mut last = Answered::default();
        for command in commands {
            last = client.command(command)?;
        }
        sample.push(started.elapsed().as_secs_f64() * 1000.0);
        Ok(last)
    };
    let flags = timed(&mut rounds.flags, &["SELECT INBOX", "FETCH 1:* (FLAGS)"])?;
    let search = timed(&mut rounds.search, &[&format!("SEARCH BODY {WORD}")])?;
    let bodies = timed(&mut rounds.bodies, &["FETCH 1:* (BODY.PEEK[])"])?;
    client.command("LOGOUT")?;
    if flags.fetched != all.fetched || search.found != 0 || bodies != *all {
        return Err(format!("FETCH gave {flags:?} and {bodies:?}, but the mailbox holds {all:?}").into());
    }
    Ok(())
}

/// What a thousand sessions add that wait in IDLE.
fn idling(place: &Workplace) -> Fallible<Figure> {
    let labctl = Labctl::start_class(&folder(&place.memory, "idling")?, CLASS)?;
    let students = labctl.students()?;
    let session = |imap: SocketAddr, login: &str| {
        let mut client = Client::connect(imap)?;
        client.command(&format!("LOGIN {login} {PASSWORD}"))?;
        client.command("SELECT INBOX")?;
        Ok::<_, Box<dyn std::error::Error>>(client)
    };
    // Each mailbox is opened once before the measure: what making its folders costs is not what a session costs.
    for student in &students {
        session(student.imap, &student.login)?.command("LOGOUT")?;
    }
    thread::sleep(REST);
    let before = memory(labctl.pid)?;
    let mut sessions = Vec::with_capacity(students.len());
    for student in &students {
        let mut client = session(student.imap, &student.login)?;
        client.idle()?;
        sessions.push(client);
    }
    thread::sleep(REST);
    let after = memory(labctl.pid)?;
    drop(sessions);
    labctl.stop()?;
    Ok(Figure {
        what: format!("{SESSIONS} sessions in IDLE, RSS"),
        unit: Unit::Cost("MiB more"),
        ours: Some((after.rss - before.rss).into()),
        peer: None,
        goal: Goal::Absolute(15.0),
    })
}
