//! The sending side of one SMTP dialogue (RFC 5321 3.3), as a client that checks every reply. It sends one mail and quits.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufStream},
    time::timeout,
};

use super::Letter;
use crate::mail;

/// The longest reply line that is read, in octets: RFC 5321 4.5.3.1.5 allows 512.
const MAX_REPLY_LINE: u64 = 4_096;

/// The most lines of one reply.
const MAX_REPLY_LINES: usize = 200;

/// How long the whole dialogue may take; a disk that is slow to sync is within it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Why a letter did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The lab has no such mail, group or student.
    #[error("the lab does not have it")]
    NotInLab,
    /// No connection, or it broke.
    #[error("no connection to the server: {0}")]
    Connection(io::Error),
    /// The server refused.
    #[error("the server answered `{reply}` to `{command}`")]
    Refused {
        /// What was said.
        command: String,
        /// The first line of the reply.
        reply: String,
    },
    /// Whoever held the dialogue said so.
    #[error("{0}")]
    Told(String),
    /// The dialogue took longer than labctl waits.
    #[error("the server did not finish within {} seconds", PATIENCE.as_secs())]
    TooSlow,
}

impl From<io::Error> for SendError {
    fn from(problem: io::Error) -> Self {
        Self::Connection(problem)
    }
}

/// Sends the letter; it has arrived when this is `Ok`.
pub async fn send(stream: impl AsyncRead + AsyncWrite + Unpin, letter: &Letter) -> Result<(), SendError> {
    let mut dialogue = Dialogue { stream: BufStream::new(stream) };
    timeout(PATIENCE, dialogue.run(letter)).await.unwrap_or(Err(SendError::TooSlow))
}

struct Dialogue<Stream> {
    stream: Stream,
}

/// A reply: its lines without line ends, at least one.
struct Reply(Vec<String>);

impl Reply {
    fn first(&self) -> &str {
        &self.0[0]
    }

    /// Whether an extension stands in this reply to EHLO (RFC 5321 4.1.1.1).
    fn offers(&self, extension: &str) -> bool {
        let keyword = |line: &String| line.get(4..).and_then(|rest| rest.split(' ').next().map(str::to_owned));
        self.0.iter().skip(1).filter_map(keyword).any(|word| word.eq_ignore_ascii_case(extension))
    }
}

impl<Stream: AsyncBufRead + AsyncWrite + Unpin> Dialogue<Stream> {
    async fn run(&mut self, letter: &Letter) -> Result<(), SendError> {
        self.expect("the connection", "220").await?;
        let hello = self.command(&format!("EHLO {}", letter.host), "250").await?;
        let eight_bit = !letter.content.is_ascii();
        let mut mail = format!("MAIL FROM:<{}>", letter.from);
        for extension in ["BODY=8BITMIME", "SMTPUTF8"] {
            if eight_bit && hello.offers(extension.trim_start_matches("BODY=")) {
                mail = format!("{mail} {extension}");
            }
        }
        self.command(&mail, "250").await?;
        self.command(&format!("RCPT TO:<{}>", letter.to), "25").await?;
        self.command("DATA", "354").await?;
        let mut data = Vec::new();
        mail::dot_stuff(letter.content.as_bytes(), &mut data);
        data.extend_from_slice(b".\r\n");
        self.stream.write_all(&data).await?;
        self.stream.flush().await?;
        self.expect("the message", "250").await?;
        // The letter has arrived; a server that does not say goodbye takes nothing back.
        let _ = self.command("QUIT", "221").await;
        Ok(())
    }

    async fn command(&mut self, line: &str, wanted: &str) -> Result<Reply, SendError> {
        self.stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        self.stream.flush().await?;
        self.expect(line, wanted).await
    }

    async fn expect(&mut self, command: &str, wanted: &str) -> Result<Reply, SendError> {
        let reply = self.reply().await?;
        if reply.first().starts_with(wanted) {
            return Ok(reply);
        }
        Err(SendError::Refused { command: command.to_owned(), reply: reply.first().to_owned() })
    }

    async fn reply(&mut self) -> Result<Reply, SendError> {
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            (&mut self.stream).take(MAX_REPLY_LINE).read_until(b'\n', &mut line).await?;
            if line.last() != Some(&b'\n') || lines.len() == MAX_REPLY_LINES {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            let last = line.get(3) != Some(&b'-');
            lines.push(String::from_utf8_lossy(&line).trim_end().to_owned());
            if last {
                return Ok(Reply(lines));
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::io::{BufReader, DuplexStream};

    use super::*;

    /// A server that answers every RCPT with `rcpt` and gives back what it was sent.
    pub(crate) async fn server(stream: DuplexStream, rcpt: &'static str) -> String {
        let mut stream = BufReader::new(stream);
        let mut seen = String::new();
        let mut in_data = false;
        stream.write_all(b"220 test\r\n").await.unwrap();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return seen;
            }
            seen.push_str(&line);
            let verb = line.split([' ', '\r']).next().unwrap_or("");
            let reply = match verb {
                "." => "250 stored",
                _ if in_data => continue,
                "EHLO" => "250-test\r\n250-8BITMIME\r\n250-SIZE 100\r\n250 SMTPUTF8",
                "RCPT" => rcpt,
                "DATA" => "354 go on",
                "QUIT" => "221 bye",
                _ => "250 ok",
            };
            in_data = reply.starts_with("354");
            let _ = stream.write_all(format!("{reply}\r\n").as_bytes()).await;
        }
    }

    fn letter(content: &str) -> Letter {
        Letter { host: "labctl".into(), from: "a@g01.lab".into(), to: "ana@g01.lab".into(), content: content.into() }
    }

    async fn sent(content: &str) -> String {
        // Eight octets at a time, so that no reply comes in one piece.
        let (ours, theirs) = tokio::io::duplex(8);
        let server = tokio::spawn(server(theirs, "250 ok"));
        send(ours, &letter(content)).await.unwrap();
        server.await.unwrap()
    }

    #[tokio::test]
    async fn a_letter_goes_through_the_whole_dialogue_with_its_dots_stuffed() {
        assert_eq!(
            sent("Subject: x\r\n\r\n.a\r\n").await,
            "EHLO labctl\r\nMAIL FROM:<a@g01.lab>\r\nRCPT TO:<ana@g01.lab>\r\nDATA\r\nSubject: x\r\n\r\n..a\r\n.\r\nQUIT\r\n"
        );
    }

    #[tokio::test]
    async fn extensions_are_used_where_they_are_needed_and_offered() {
        assert!(sent("Subject: ¡x!\r\n\r\n").await.contains("MAIL FROM:<a@g01.lab> BODY=8BITMIME SMTPUTF8\r\n"));
    }

    #[tokio::test]
    async fn a_refusal_names_the_command_and_the_reply() {
        let (ours, theirs) = tokio::io::duplex(64);
        tokio::spawn(server(theirs, "452 full"));
        let problem = send(ours, &letter("\r\n")).await.unwrap_err();
        assert_eq!(problem.to_string(), "the server answered `452 full` to `RCPT TO:<ana@g01.lab>`");
    }

    #[tokio::test]
    async fn reply_lines_and_replies_are_bounded() {
        let reply = |sent: Vec<u8>| async move {
            let mut dialogue = Dialogue { stream: tokio::io::join(std::io::Cursor::new(sent), tokio::io::sink()) };
            dialogue.reply().await.map(|reply| reply.0.len()).ok()
        };
        let line =
            |octets: u64| [b"250 ".as_slice(), &vec![b'x'; usize::try_from(octets).unwrap() - 6], b"\r\n"].concat();
        assert_eq!(reply(line(MAX_REPLY_LINE)).await, Some(1));
        assert_eq!(reply(line(MAX_REPLY_LINE + 1)).await, None);
        let lines = |count: usize| [b"250-x\r\n".repeat(count - 1), b"250 x\r\n".to_vec()].concat();
        assert_eq!(reply(lines(MAX_REPLY_LINES)).await, Some(MAX_REPLY_LINES));
        assert_eq!(reply(lines(MAX_REPLY_LINES + 1)).await, None);
    }
}
