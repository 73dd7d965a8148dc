//! An IMAP client that checks what it is sent: blocking, one thread, the same for every server.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::Fallible;

/// How long a server may keep silent.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection.
pub struct Client {
    input: BufReader<TcpStream>,
    line: Vec<u8>,
    scratch: Vec<u8>,
}

/// What a command was answered, summed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answered {
    /// FETCH answers.
    pub fetched: usize,
    /// Octets in literals.
    pub octets: u64,
    /// Numbers in SEARCH answers.
    pub found: usize,
}

impl Client {
    /// Connects and takes the greeting.
    pub fn connect(server: SocketAddr) -> Fallible<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let input = BufReader::with_capacity(64 << 10, stream);
        let mut client = Self { input, line: Vec::new(), scratch: Vec::new() };
        client.read_line()?;
        Ok(client)
    }

    /// Sends a command and takes its answers; anything but OK is an error.
    pub fn command(&mut self, command: &str) -> Fallible<Answered> {
        self.input.get_mut().write_all(format!("a {command}\r\n").as_bytes())?;
        let mut sum = Answered::default();
        loop {
            self.read_line()?;
            if self.line.starts_with(b"a ") {
                let line = String::from_utf8_lossy(&self.line).trim_end().to_owned();
                return if line.starts_with("a OK") { Ok(sum) } else { Err(format!("{command}: `{line}`").into()) };
            }
            if self.line.starts_with(b"* SEARCH") {
                sum.found += self.line.split(|octet| *octet == b' ').count() - 2;
            }
            let text = |name: &[u8]| self.line.windows(name.len()).take(24).any(|part| part == name);
            sum.fetched += usize::from(text(b" FETCH ("));
            while let Some(octets) = literal(&self.line) {
                sum.octets += octets;
                self.scratch.resize(usize::try_from(octets)?, 0);
                self.input.read_exact(&mut self.scratch)?;
                self.read_line()?;
            }
        }
    }

    /// Begins IDLE, and stays in it.
    pub fn idle(&mut self) -> Fallible<()> {
        self.input.get_mut().write_all(b"a IDLE\r\n")?;
        self.read_line()?;
        if self.line.starts_with(b"+ ") { Ok(()) } else { Err("no leave to idle".into()) }
    }

    fn read_line(&mut self) -> Fallible<()> {
        self.line.clear();
        if self.input.read_until(b'\n', &mut self.line)? == 0 {
            return Err("the server closed the connection".into());
        }
        Ok(())
    }
}

fn literal(line: &[u8]) -> Option<u64> {
    let inside = line.strip_suffix(b"}\r\n")?;
    let open = inside.iter().rposition(|octet| *octet == b'{')?;
    std::str::from_utf8(&inside[open + 1..]).ok()?.parse().ok()
}
