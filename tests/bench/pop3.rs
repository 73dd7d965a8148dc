//! POP3 on a large mailbox, beside a Dovecot tuned for speed. Both hold the same octets: what labctl accepted by SMTP and
//! sends by RETR is written into Dovecot's Maildir.

use std::{net::SocketAddr, time::Instant};

use crate::{
    Fallible,
    figure::{Figure, Goal, ROUNDS, Sample, Unit},
    labctl_server::{Labctl, PASSWORD},
    load,
    machine::{Workplace, folder, settle},
    peers::{Dovecot, Tuning, maildir},
    pop3_client::{Client, Received},
};

/// Messages in the mailbox.
const MESSAGES: usize = 10_000;

/// The mailbox.
const USER: &str = "user2";

/// What one server showed.
#[derive(Default)]
struct Rounds {
    opened_ms: Sample,
    one_by_one: Sample,
    pipelined: Sample,
}

/// All figures of the section.
pub fn run(place: &Workplace) -> Fallible<Vec<Figure>> {
    let labctl = Labctl::start(&folder(&place.disk, "pop3")?)?;
    labctl.deliver((0..MESSAGES).map(load::message))?;
    let mut client = Client::connect(labctl.pop3)?;
    client.login(USER, PASSWORD)?;
    let messages = client.fetch(MESSAGES)?;
    client.quit()?;
    let all = count(&messages)?;

    let home = folder(&place.disk, "dovecot")?;
    let dovecot = Dovecot::start(&home, Tuning::Tuned)?;
    maildir(&home.join("mail").join(USER), &messages)?;
    settle(&place.disk)?;

    let (mut ours, mut theirs) = (Rounds::default(), Rounds::default());
    // Dovecot builds its index when it first sees a mailbox: that round does not count.
    round(dovecot.address, &all, &mut Rounds::default())?;
    round(labctl.pop3, &all, &mut Rounds::default())?;
    for _ in 0..ROUNDS {
        round(labctl.pop3, &all, &mut ours)?;
        round(dovecot.address, &all, &mut theirs)?;
    }
    dovecot.stop()?;
    labctl.stop()?;
    let figure = |what: &str, unit, ours, theirs, goal| Figure {
        what: what.to_owned(),
        unit,
        ours: Some(ours),
        peer: Some(("Dovecot, tuned", theirs)),
        goal: Goal::Times(goal),
    };
    Ok(vec![
        figure("login + STAT + LIST, 10,000 messages", Unit::Cost("ms"), ours.opened_ms, theirs.opened_ms, 5.0),
        figure("RETR one by one", Unit::Rate("messages/s"), ours.one_by_one, theirs.one_by_one, 1.5),
        figure("RETR pipelined", Unit::Rate("messages/s"), ours.pipelined, theirs.pipelined, 1.5),
    ])
}

/// One session: open, list, retrieve everything twice.
fn round(server: SocketAddr, all: &Received, rounds: &mut Rounds) -> Fallible<()> {
    let started = Instant::now();
    let mut client = Client::connect(server)?;
    client.login(USER, PASSWORD)?;
    let stat = client.stat()?;
    let list = client.list()?;
    rounds.opened_ms.push(started.elapsed().as_secs_f64() * 1000.0);
    if stat != (all.messages, all.octets) || list != stat {
        return Err(format!("STAT {stat:?}, LIST {list:?}, but the mailbox holds {all:?}").into());
    }
    let rate = |started: Instant| -> Fallible<f64> {
        Ok(f64::from(u32::try_from(MESSAGES)?) / started.elapsed().as_secs_f64())
    };
    let started = Instant::now();
    let received = client.retrieve_one_by_one(MESSAGES)?;
    rounds.one_by_one.push(rate(started)?);
    let started = Instant::now();
    let again = client.retrieve_pipelined(MESSAGES)?;
    rounds.pipelined.push(rate(started)?);
    client.quit()?;
    if received != *all || again != *all {
        return Err(format!("RETR gave {received:?} and {again:?}, but the mailbox holds {all:?}").into());
    }
    Ok(())
}

fn count(messages: &[Vec<u8>]) -> Fallible<Received> {
    let lines = messages.iter().flatten().filter(|octet| **octet == b'\n').count();
    let octets = messages.iter().map(Vec::len).sum::<usize>();
    Ok(Received { messages: messages.len(), octets: u64::try_from(octets)?, lines: u64::try_from(lines)? })
}
