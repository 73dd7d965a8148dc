//! A POP3 client that checks what it is sent: blocking, one thread, the same for every server.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::Fallible;

/// RETR commands on their way when pipelining (RFC 2449 6.8).
const WINDOW: usize = 64;

/// How long a server may keep silent.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection.
pub struct Client {
    input: BufReader<TcpStream>,
    line: Vec<u8>,
}

/// What a mailbox sent, summed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// Messages.
    pub messages: usize,
    /// Octets without dot-stuffing, CRLFs included.
    pub octets: u64,
    /// Lines.
    pub lines: u64,
}

impl Client {
    /// Connects and takes the greeting.
    pub fn connect(server: SocketAddr) -> Fallible<Self> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut client = Self { input: BufReader::with_capacity(64 << 10, stream), line: Vec::new() };
        client.status()?;
        Ok(client)
    }

    /// USER and PASS.
    pub fn login(&mut self, user: &str, password: &str) -> Fallible<()> {
        self.command(&format!("USER {user}"))?;
        self.command(&format!("PASS {password}"))?;
        Ok(())
    }

    /// STAT: messages and octets.
    pub fn stat(&mut self) -> Fallible<(usize, u64)> {
        let reply = self.command("STAT")?;
        let mut words = reply.split(' ').skip(1);
        let number = words.next().and_then(|word| word.parse().ok());
        let octets = words.next().and_then(|word| word.parse().ok());
        number.zip(octets).ok_or_else(|| format!("STAT: `{reply}`").into())
    }

    /// LIST: messages and the sum of their octets.
    pub fn list(&mut self) -> Fallible<(usize, u64)> {
        self.command("LIST")?;
        let (mut count, mut octets) = (0, 0);
        while self.read_line()? != b".\r\n" {
            let line = std::str::from_utf8(&self.line)?.trim_end();
            let size = line.split_once(' ').and_then(|(number, size)| {
                (number.parse::<usize>().ok()? == count + 1).then_some(())?;
                size.parse::<u64>().ok()
            });
            octets += size.ok_or_else(|| format!("LIST: `{line}`"))?;
            count += 1;
        }
        Ok((count, octets))
    }

    /// RETR of messages 1 to `count`, each after the one before has come.
    pub fn retrieve_one_by_one(&mut self, count: usize) -> Fallible<Received> {
        let mut sum = Received::default();
        for number in 1..=count {
            self.send(format!("RETR {number}\r\n").as_bytes())?;
            self.message(&mut sum, &mut None)?;
        }
        Ok(sum)
    }

    /// RETR of messages 1 to `count`, up to [`WINDOW`] commands ahead.
    pub fn retrieve_pipelined(&mut self, count: usize) -> Fallible<Received> {
        let mut sum = Received::default();
        let mut sent = 0;
        while sum.messages < count {
            if sent < count && sent - sum.messages <= WINDOW / 2 {
                let until = count.min(sum.messages + WINDOW);
                let commands: Vec<String> = (sent + 1..=until).map(|number| format!("RETR {number}\r\n")).collect();
                self.send(commands.concat().as_bytes())?;
                sent = until;
            }
            self.message(&mut sum, &mut None)?;
        }
        Ok(sum)
    }

    /// The messages 1 to `count` themselves.
    pub fn fetch(&mut self, count: usize) -> Fallible<Vec<Vec<u8>>> {
        let mut messages = Vec::with_capacity(count);
        for number in 1..=count {
            self.send(format!("RETR {number}\r\n").as_bytes())?;
            let mut content = Some(Vec::new());
            self.message(&mut Received::default(), &mut content)?;
            messages.extend(content);
        }
        Ok(messages)
    }

    /// QUIT, and the end of the connection.
    pub fn quit(mut self) -> Fallible<()> {
        self.command("QUIT")?;
        Ok(())
    }

    /// One reply to RETR: the octets announced must be the octets that come.
    fn message(&mut self, sum: &mut Received, content: &mut Option<Vec<u8>>) -> Fallible<()> {
        let status = self.status()?;
        let announced: Option<u64> = status.split(' ').nth(1).and_then(|word| word.parse().ok());
        let mut octets = 0;
        while self.read_line()? != b".\r\n" {
            let line = self.line.strip_prefix(b".").unwrap_or(&self.line);
            octets += u64::try_from(line.len())?;
            sum.lines += 1;
            if let Some(content) = content {
                content.extend_from_slice(line);
            }
        }
        if announced.is_some_and(|announced| announced != octets) {
            return Err(format!("RETR: `{status}`, but {octets} octets came").into());
        }
        sum.messages += 1;
        sum.octets += octets;
        Ok(())
    }

    fn command(&mut self, line: &str) -> Fallible<String> {
        self.send(format!("{line}\r\n").as_bytes())?;
        self.status()
    }

    fn send(&mut self, octets: &[u8]) -> Fallible<()> {
        Ok(self.input.get_mut().write_all(octets)?)
    }

    fn status(&mut self) -> Fallible<String> {
        let line = String::from_utf8_lossy(self.read_line()?).trim_end().to_owned();
        if line.starts_with("+OK") { Ok(line) } else { Err(format!("the server said `{line}`").into()) }
    }

    fn read_line(&mut self) -> Fallible<&[u8]> {
        self.line.clear();
        if self.input.read_until(b'\n', &mut self.line)? == 0 {
            return Err("the server closed the connection".into());
        }
        Ok(&self.line)
    }
}
