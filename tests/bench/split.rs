//! A command that comes in two writes, as a first program sends it (`send("NOOP")`, `send("\r\n")`): the client's system holds the
//! second one back until the first is acknowledged. All services, beside Postfix and Dovecot.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Instant,
};

use crate::{
    Fallible,
    figure::{Figure, Goal, ROUNDS, Sample, Unit},
    labctl_server::Labctl,
    machine::{Workplace, folder},
    peers::{Dovecot, Postfix, Tuning},
};

/// Commands of one round.
const COMMANDS: u32 = 20;

/// All figures of the section.
pub fn run(place: &Workplace) -> Fallible<Vec<Figure>> {
    let labctl = Labctl::start(&folder(&place.memory, "split")?)?;
    let postfix = Postfix::start(&folder(&place.memory, "split-postfix")?)?;
    let dovecot = Dovecot::start(&folder(&place.memory, "split-dovecot")?, Tuning::Tuned)?;
    let services = [
        ("SMTP", ["NOOP", "\r\n"], labctl.smtp, ("Postfix", postfix.address)),
        ("POP3", ["CAPA", "\r\n"], labctl.pop3, ("Dovecot, tuned", dovecot.address)),
        ("IMAP", ["a NOOP", "\r\n"], labctl.imap, ("Dovecot, tuned", dovecot.imap)),
    ];
    let mut figures = Vec::new();
    for (service, command, ours, (name, theirs)) in services {
        let (mut our_sample, mut their_sample) = (Sample::default(), Sample::default());
        for _ in 0..ROUNDS {
            our_sample.push(round(ours, command)?);
            their_sample.push(round(theirs, command)?);
        }
        figures.push(Figure {
            what: format!("a command in two writes, {service}"),
            unit: Unit::Cost("ms"),
            ours: Some(our_sample),
            peer: Some((name, their_sample)),
            goal: Goal::Absolute(1.0),
        });
    }
    let mut sample = Sample::default();
    for _ in 0..ROUNDS {
        sample.push(queries(labctl.dns)?);
    }
    figures.push(Figure {
        what: "a query in two writes, DNS over TCP".to_owned(),
        unit: Unit::Cost("ms"),
        ours: Some(sample),
        peer: None,
        goal: Goal::Absolute(1.0),
    });
    dovecot.stop()?;
    postfix.stop()?;
    labctl.stop()?;
    Ok(figures)
}

/// Milliseconds from a command's first write to the end of its answer. The socket is as the system gives it: with Nagle's algorithm.
fn round(server: SocketAddr, [first, second]: [&str; 2]) -> Fallible<f64> {
    let mut line = BufReader::new(TcpStream::connect(server)?);
    let mut answer = String::new();
    line.read_line(&mut answer)?;
    let started = Instant::now();
    for _ in 0..COMMANDS {
        line.get_mut().write_all(first.as_bytes())?;
        line.get_mut().write_all(second.as_bytes())?;
        answer.clear();
        line.read_line(&mut answer)?;
        while first == "CAPA" && !answer.ends_with("\r\n.\r\n") && !answer.starts_with("-ERR") {
            line.read_line(&mut answer)?;
        }
    }
    Ok(started.elapsed().as_secs_f64() * 1_000.0 / f64::from(COMMANDS))
}

/// The same of a query for a name that is not there.
fn queries(server: SocketAddr) -> Fallible<f64> {
    let query = [0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'x', 0, 0, 1, 0, 1];
    let mut stream = TcpStream::connect(server)?;
    let started = Instant::now();
    for _ in 0..COMMANDS {
        stream.write_all(&[0, 19])?;
        stream.write_all(&query)?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        stream.read_exact(&mut vec![0; usize::from(u16::from_be_bytes(length))])?;
    }
    Ok(started.elapsed().as_secs_f64() * 1_000.0 / f64::from(COMMANDS))
}
