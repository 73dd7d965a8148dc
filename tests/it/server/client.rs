//! A client that says what it is told and hears what comes back.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

/// Longer than any answer takes: a test that fails should end.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects and hears the greeting.
    pub fn greeted(address: SocketAddr) -> (Self, String) {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self(BufReader::new(stream));
        let greeting = client.line();
        (client, greeting)
    }

    pub fn new(address: SocketAddr) -> Self {
        Self::greeted(address).0
    }

    /// Sends octets as they are.
    pub fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(octets.as_ref()).unwrap();
    }

    /// The next line without its CRLF; empty at the end.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end_matches("\r\n").to_owned()
    }

    /// Sends a line and hears the reply: all lines of an SMTP reply, one of POP3's.
    pub fn say(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n"));
        self.reply()
    }

    /// As many octets as there is room for.
    pub fn exactly(&mut self, room: &mut [u8]) {
        self.0.read_exact(room).unwrap();
    }

    /// How many octets each read brings, up to so many in all.
    pub fn reads_of(&mut self, octets: usize) -> Vec<usize> {
        let mut reads = Vec::new();
        while reads.iter().sum::<usize>() < octets {
            let read = self.0.fill_buf().unwrap().len();
            self.0.consume(read);
            reads.push(read);
        }
        reads
    }

    pub fn reply(&mut self) -> String {
        let mut reply = self.line();
        while reply.rsplit('\n').next().unwrap().as_bytes().get(3) == Some(&b'-') {
            reply += "\n";
            reply += &self.line();
        }
        reply
    }

    /// The lines of a multi-line POP3 reply, up to the dot.
    pub fn lines(&mut self) -> Vec<String> {
        std::iter::from_fn(|| Some(self.line()).filter(|line| line != ".")).collect()
    }

    /// Says each line and expects each answer to start as given.
    pub fn holds(&mut self, conversation: &[(&str, &str)]) {
        for (line, start) in conversation {
            let reply = self.say(line);
            assert!(reply.starts_with(start), "`{line}`: `{reply}`, not `{start}`");
        }
    }

    /// Everything up to the end of the connection.
    pub fn rest(mut self) -> String {
        let mut rest = String::new();
        self.0.read_to_string(&mut rest).unwrap();
        rest
    }

    /// Says that nothing more will be sent.
    pub fn finish(&self) {
        self.0.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// Delivers a message of one line.
    pub fn deliver(&mut self, to: &str, text: &str) -> String {
        self.holds(&[("MAIL FROM:<ana@g1.lab>", "250"), (&format!("RCPT TO:<{to}@g1.lab>"), "250"), ("DATA", "354")]);
        self.say(&format!("Subject: {text}\r\n\r\n{text}\r\n."))
    }
}
