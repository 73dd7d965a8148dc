//! Load: Postfix's `smtp-source`, and the messages that the benchmark makes itself.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::{Duration, Instant},
};

use crate::{Fallible, machine::wait_for};

/// Octets of a message.
pub const MESSAGE: usize = 4096;

/// Where Debian puts it.
const SMTP_SOURCE: &str = "/usr/sbin/smtp-source";

/// How a load is shaped.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Sessions at once.
    pub sessions: usize,
    /// Whether a session is kept for the next message.
    pub kept: bool,
}

impl Shape {
    /// As the table says it.
    pub fn name(self) -> String {
        let how = if self.kept { "kept" } else { "a message each" };
        format!("{} {}, {how}", self.sessions, if self.sessions == 1 { "session" } else { "sessions" })
    }
}

/// Sends `count` messages to a server and says how many a second were accepted.
pub fn smtp_source(server: SocketAddr, shape: Shape, count: usize) -> Fallible<f64> {
    smtp_source_between(server, shape, count, ("user1@bench.lab", "user2@bench.lab"))
}

/// The same from one address to another.
pub fn smtp_source_between(server: SocketAddr, shape: Shape, count: usize, (from, to): (&str, &str)) -> Fallible<f64> {
    let mut command = Command::new(SMTP_SOURCE);
    command.args(["-s", &shape.sessions.to_string(), "-m", &count.to_string(), "-l", &MESSAGE.to_string()]);
    command.args(["-M", "bench.lab", "-f", from, "-t", to]);
    if shape.kept {
        command.arg("-d");
    }
    command.arg(server.to_string());
    let started = Instant::now();
    let output = command.output().map_err(|error| format!("start `{SMTP_SOURCE}`: {error}"))?;
    let took = started.elapsed();
    if !output.status.success() || !output.stderr.is_empty() {
        return Err(format!("`smtp-source` failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into());
    }
    Ok(f64::from(u32::try_from(count)?) / took.as_secs_f64())
}

/// A free address of loopback.
pub fn free_address() -> Fallible<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Waits until somebody listens.
pub fn wait_for_server(address: SocketAddr) -> Fallible<()> {
    wait_for(&format!("a server on {address}"), Duration::from_secs(20), || Ok(TcpStream::connect(address).is_ok()))
}

/// Message `number` of a mailbox: about [`MESSAGE`] octets, every line with CRLF, no two alike, every eighth line with a dot
/// in front so that dot-stuffing is part of the work.
pub fn message(number: usize) -> Vec<u8> {
    let mut text = format!(
        "From: <user1@bench.lab>\r\nTo: <user2@bench.lab>\r\nSubject: message {number}\r\nMessage-ID: <{number}@bench.lab>\r\n\r\n"
    );
    let mut line = 0;
    while text.len() < MESSAGE {
        let dot = if line % 8 == 7 { "." } else { "" };
        let _ = write!(text, "{dot}line {line} of message {number} {}\r\n", "abcdefghij".repeat(4));
        line += 1;
    }
    text.into_bytes()
}
