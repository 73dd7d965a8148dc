//! Plays one reference solution as a student's program would: over a real connection, command by command, reading each reply.

use std::{pin::Pin, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, empty},
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use crate::lab::{Protocol, Script, Service, exercise::ScriptLine};

/// How long a reply may take before the player gives up on its connection: far longer than a busy machine needs.
const REPLY_SECS: u64 = 30;

/// How long a server must say nothing for `X: silence`.
const SILENCE_SECS: u64 = 1;

/// The longest reply that the player reads, in octets; a message of the largest size fits.
const REPLY_LIMIT: u64 = 64 << 20;

/// One thing that a script does. Leaving one out must cost the exercise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A command line.
    Command(String),
    /// The lines of a message, from the first to the single dot.
    Message(Vec<String>),
    /// What the last reply must start with.
    Expect(String),
    /// Cut the connection.
    Close,
    /// Leave the connection open until the exercise is over.
    Hold,
    /// The server has ended the connection.
    Cut,
    /// The server says nothing.
    Silence,
    /// The handshake.
    Tls,
}

impl Step {
    /// Whether a rehearsal can leave it out.
    pub const fn can_be_left_out(&self) -> bool {
        match self {
            Self::Command(_) | Self::Message(_) => true,
            Self::Expect(_) | Self::Close | Self::Hold | Self::Cut | Self::Silence | Self::Tls => false,
        }
    }

    /// The step in a few words, for the matrix.
    pub fn label(&self) -> String {
        match self {
            Self::Command(line) => line.clone(),
            Self::Message(_) => "<message>".into(),
            Self::Expect(reply) => format!("S: {reply}"),
            Self::Close => "close".into(),
            Self::Hold => "hold".into(),
            Self::Cut => "cut".into(),
            Self::Silence => "silence".into(),
            Self::Tls => "tls".into(),
        }
    }
}

/// What went otherwise than the script says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlayError {
    /// The connection could not be made or broke.
    #[error("the connection to {address} failed: {why}")]
    Connection {
        /// Where the server is.
        address: String,
        /// What the system says.
        why: String,
    },
    /// No reply came.
    #[error("no reply to `{command}`")]
    Silence {
        /// The command.
        command: String,
    },
    /// The server goes on where the script expects it to end the connection, or to say nothing.
    #[error("after `{command}` the server should have {what}")]
    Lively {
        /// The command.
        command: String,
        /// What the script expects.
        what: &'static str,
    },
    /// Mail for other servers did not come to an end.
    #[error("mail for other servers: {0}")]
    Queue(String),
    /// Another reply came.
    #[error("`{command}` was answered `{reply}`, the script expects `{wanted}`")]
    Reply {
        /// The command.
        command: String,
        /// The first line of the reply.
        reply: String,
        /// What the script expects it to start with.
        wanted: String,
    },
}

/// The steps of a script, its placeholders filled in by `fill`.
pub fn steps(script: &Script, fill: &dyn Fn(&str) -> String) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut message: Option<Vec<String>> = None;
    for line in &script.lines {
        match (line, &mut message) {
            (ScriptLine::Client(template), Some(lines)) => {
                // A placeholder of many lines is text, so its dots are stuffed; what the script spells out is sent as written.
                let filled = fill(template);
                if filled.contains('\n') {
                    let stuff = |line: &str| if line.starts_with('.') { format!(".{line}") } else { line.to_owned() };
                    lines.extend(filled.lines().map(stuff));
                } else {
                    let last = filled == ".";
                    lines.push(filled);
                    if last {
                        steps.extend(message.take().map(Step::Message));
                    }
                }
            }
            (ScriptLine::Client(template), None) => {
                let line = fill(template);
                let data = script.service.protocol() == Protocol::Smtp && line.trim().eq_ignore_ascii_case("DATA");
                steps.push(Step::Command(line));
                if data {
                    message = Some(Vec::new());
                }
            }
            (ScriptLine::Base64(template), Some(lines)) => lines.push(STANDARD.encode(fill(template))),
            (ScriptLine::Base64(template), None) => steps.push(Step::Command(STANDARD.encode(fill(template)))),
            // An expectation between DATA and its message is about DATA's own reply.
            (ScriptLine::Server(template), _) => steps.push(Step::Expect(fill(template))),
            (ScriptLine::Close, _) => steps.push(Step::Close),
            (ScriptLine::Hold, _) => steps.push(Step::Hold),
            (ScriptLine::Cut, _) => steps.push(Step::Cut),
            (ScriptLine::Silence, _) => steps.push(Step::Silence),
            (ScriptLine::Tls, _) => steps.push(Step::Tls),
        }
    }
    steps.extend(message.map(Step::Message));
    steps
}

/// A stream to a server, of whatever kind.
pub trait Stream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}

/// A connection to a server.
pub type Wire = Pin<Box<dyn Stream>>;

/// Whom the player believes to be the lab's server.
pub struct Trust {
    /// Believes the lab's authority and nobody else.
    pub connector: TlsConnector,
    /// What the server is called where the player connects.
    pub server: ServerName<'static>,
}

/// A connection that a script left open.
pub struct Held(#[expect(dead_code, reason = "held for its being open, not for its value")] BufReader<Wire>);

/// Plays `steps` over one connection to `address`, without the step `left_out`. Where the replies are not `judged` (something of the
/// solution was left out) any will do: what counts then is what the server recorded.
pub async fn play(
    service: Service,
    address: &str,
    wire: Wire,
    trust: &Trust,
    steps: &[Step],
    left_out: Option<usize>,
    judged: bool,
) -> Result<Option<Held>, PlayError> {
    let broken =
        |problem: std::io::Error| PlayError::Connection { address: address.to_owned(), why: problem.to_string() };
    let protocol = service.protocol();
    let mut line = Line { protocol, stream: BufReader::new(wire), in_data: false, ended: false, patience: REPLY_SECS };
    if service.implicit_tls() {
        line.secure(trust).await.map_err(broken)?;
    }
    line.expect_silence(steps.first());
    let mut last = ("the greeting".to_owned(), line.reply("").await.map_err(broken)?);
    for (index, step) in steps.iter().enumerate() {
        if left_out == Some(index) {
            continue;
        }
        line.expect_silence(steps.get(index + 1));
        let silent = last.1.is_none();
        match step {
            // With something left out, nothing depends on it how the connection ends, and nobody waits for it.
            Step::Cut | Step::Silence if !judged => return Ok(None),
            Step::Cut | Step::Silence => {
                let (as_wanted, what) = if *step == Step::Cut {
                    (line.ended || !silent && line.is_over().await, "ended the connection")
                } else {
                    (silent && !line.ended, "said nothing")
                };
                return if as_wanted { Ok(None) } else { Err(PlayError::Lively { command: last.0, what }) };
            }
            _ if silent => break,
            Step::Tls => match last.1.as_deref().unwrap_or_default() {
                reply if invites(&last.0, reply) => line.secure(trust).await.map_err(broken)?,
                reply if judged => {
                    let (command, reply) = (last.0.clone(), reply.to_owned());
                    return Err(PlayError::Reply {
                        command,
                        reply,
                        wanted: "220` or `+OK` to `STARTTLS` or `STLS".into(),
                    });
                }
                // Where STARTTLS was left out, the script goes on in the clear, and that must cost the exercise.
                _ => {}
            },
            Step::Command(command) => last = (command.clone(), line.command(command).await.map_err(broken)?),
            Step::Message(lines) => last = ("<message>".into(), line.message(lines).await.map_err(broken)?),
            Step::Expect(wanted) if judged => {
                let reply = last.1.clone().ok_or_else(|| PlayError::Silence { command: last.0.clone() })?;
                if !reply.starts_with(wanted.as_str()) {
                    return Err(PlayError::Reply { command: last.0, reply, wanted: wanted.clone() });
                }
            }
            Step::Expect(_) => {}
            Step::Close => return Ok(None),
            Step::Hold => return Ok(Some(Held(line.stream))),
        }
    }
    if judged && last.1.is_none() { Err(PlayError::Silence { command: last.0 }) } else { Ok(None) }
}

/// One connection, read a reply at a time.
struct Line {
    protocol: Protocol,
    stream: BufReader<Wire>,
    in_data: bool,
    /// Whether the server has ended the connection.
    ended: bool,
    /// How long a reply may take, in seconds.
    patience: u64,
}

impl Line {
    /// Goes over to TLS.
    async fn secure(&mut self, trust: &Trust) -> std::io::Result<()> {
        let clear = std::mem::replace(&mut self.stream, BufReader::new(Box::pin(empty()))).into_inner();
        let shaken = trust.connector.connect(trust.server.clone(), clear);
        let secured = timeout(Duration::from_secs(REPLY_SECS), shaken).await;
        self.stream = BufReader::new(Box::pin(secured.map_err(|_elapsed| std::io::ErrorKind::TimedOut)??));
        Ok(())
    }

    /// Waits less for a reply where the step after it says that none will come.
    fn expect_silence(&mut self, next: Option<&Step>) {
        self.patience = if next == Some(&Step::Silence) { SILENCE_SECS } else { REPLY_SECS };
    }

    /// Whether the server ends the connection, and says nothing before.
    async fn is_over(&mut self) -> bool {
        let rest = timeout(Duration::from_secs(REPLY_SECS), self.stream.fill_buf()).await;
        matches!(rest, Ok(Ok([]) | Err(_)))
    }

    /// Sends; a server that has ended the connection is found out when its reply is read.
    async fn send(&mut self, text: &str) -> std::io::Result<()> {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
        match self.stream.get_mut().write_all(text.as_bytes()).await {
            Err(problem) if matches!(problem.kind(), BrokenPipe | ConnectionReset) => Ok(()),
            sent => sent,
        }
    }

    /// Sends a command; its reply's first line, or none where no reply came. Where the message was left out the server takes
    /// it for a line of that message, and no reply will come: the first line is empty then.
    async fn command(&mut self, command: &str) -> std::io::Result<Option<String>> {
        self.send(&format!("{command}\r\n")).await?;
        if self.in_data {
            return Ok(Some(String::new()));
        }
        let reply = self.reply(command).await?;
        self.in_data =
            command.trim().eq_ignore_ascii_case("DATA") && reply.as_deref().is_some_and(|r| r.starts_with("354"));
        Ok(reply)
    }

    /// Sends a message; where the server does not wait for one, each of its lines is a command of its own.
    async fn message(&mut self, lines: &[String]) -> std::io::Result<Option<String>> {
        if !self.in_data {
            let mut reply = Some(String::new());
            for line in lines {
                reply = self.command(line).await?;
                if reply.is_none() {
                    break;
                }
            }
            return Ok(reply);
        }
        self.in_data = false;
        self.send(&(lines.join("\r\n") + "\r\n")).await?;
        self.reply("").await
    }

    /// Reads a whole reply and gives its first line; none where it does not come in time or the server has closed.
    async fn reply(&mut self, command: &str) -> std::io::Result<Option<String>> {
        let read = timeout(Duration::from_secs(self.patience), self.read(command)).await;
        match read {
            Ok(Err(problem)) if problem.kind() == std::io::ErrorKind::ConnectionReset => {
                self.ended = true;
                Ok(None)
            }
            Ok(result) => result,
            Err(_elapsed) => Ok(None),
        }
    }

    async fn read(&mut self, command: &str) -> std::io::Result<Option<String>> {
        let mut first: Option<String> = None;
        let mut octets = 0_u64;
        let mut line = Vec::new();
        loop {
            line.clear();
            octets += self.stream.read_until(b'\n', &mut line).await? as u64;
            // A reply that is cut off in its middle has no line end either.
            if !line.ends_with(b"\n") || octets > REPLY_LIMIT {
                self.ended = true;
                return Ok(None);
            }
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']);
            let first = first.get_or_insert_with(|| text.to_owned());
            let over = match self.protocol {
                // RFC 5321 4.2.1: a hyphen after the code says that more lines follow.
                Protocol::Smtp => text.as_bytes().get(3) != Some(&b'-'),
                // Solutions speak neither (`Protocol::CHECKED`).
                Protocol::Imap | Protocol::Dns => true,
                Protocol::Pop3 => !(first.starts_with("+OK") && is_multi_line(command)) || text == ".",
            };
            if over {
                return Ok(Some(first.clone()));
            }
        }
    }
}

/// Whether a handshake follows this command and its reply (RFC 3207 4, RFC 2595 4).
fn invites(command: &str, reply: &str) -> bool {
    let is = |verb: &str| command.trim().eq_ignore_ascii_case(verb);
    is("STARTTLS") && reply.starts_with("220") || is("STLS") && reply.starts_with("+OK")
}

/// Whether RFC 1939 answers this command with several lines when it succeeds.
fn is_multi_line(command: &str) -> bool {
    let mut words = command.split_ascii_whitespace();
    let verb = words.next().unwrap_or_default().to_ascii_uppercase();
    match verb.as_str() {
        "RETR" | "TOP" | "CAPA" => true,
        "LIST" | "UIDL" => words.next().is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_step_and_texts_are_stuffed() {
        let script =
            Script::parse(Service::Smtp, "C: DATA\nS: 354\nC: Subject: x\nC: {text}\nC: ..y\nC: .\nC: QUIT").unwrap();
        let steps = steps(&script, &|template| template.replace("{text}", "a\r\n.b\r\n"));
        let message = ["Subject: x", "a", "..b", "..y", "."].map(str::to_owned).to_vec();
        let wanted = [
            Step::Command("DATA".into()),
            Step::Expect("354".into()),
            Step::Message(message),
            Step::Command("QUIT".into()),
        ];
        assert_eq!(steps, wanted);
    }

    #[test]
    fn a_handshake_stands_behind_a_command_that_asks_for_it() {
        assert!(invites("starttls", "220 go") && invites("STLS", "+OK"));
        assert!(!invites("STARTTLS", "454 no") && !invites("EHLO me", "220 go") && !invites("STLS", "-ERR"));
        let script = Script::parse(Service::Smtp, "C: STARTTLS\nX: tls\nB: {login}").unwrap();
        let wanted = [Step::Command("STARTTLS".into()), Step::Tls, Step::Command("YW5h".into())];
        assert_eq!(steps(&script, &|template| template.replace("{login}", "ana")), wanted);
        let script = Script::parse(Service::Smtp, "C: DATA\nC:\nB: ana\nC: .").unwrap();
        let message = ["", "YW5h", "."].map(str::to_owned).to_vec();
        assert_eq!(steps(&script, &str::to_owned), [Step::Command("DATA".into()), Step::Message(message)]);
    }

    #[test]
    fn only_listings_without_a_number_are_multi_line() {
        assert!(is_multi_line("list") && is_multi_line("RETR 1") && is_multi_line("TOP 1 0"));
        assert!(!is_multi_line("LIST 1") && !is_multi_line("STAT"));
    }
}
