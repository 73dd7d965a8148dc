//! Plays one reference solution as a student's program would: over a real connection, command by command, reading each reply.
//! How a reply of each protocol ends is in `reply`.

mod reply;

use std::{pin::Pin, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt, BufReader, empty},
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use self::reply::{Ends, announced, tag};
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
    /// A command line that is sent together with the next one.
    Ahead(String),
    /// The lines of a message, from the first to the single dot; of IMAP those of a literal, with the rest of its command.
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
            Self::Command(_) | Self::Ahead(_) | Self::Message(_) => true,
            Self::Expect(_) | Self::Close | Self::Hold | Self::Cut | Self::Silence | Self::Tls => false,
        }
    }

    /// The step in a few words, for the matrix.
    pub fn label(&self) -> String {
        match self {
            Self::Command(line) | Self::Ahead(line) => line.clone(),
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
    if script.service.protocol() == Protocol::Imap {
        return steps_of_imap(script, fill);
    }
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
            (ScriptLine::Ahead(template), Some(lines)) => lines.push(fill(template)),
            (ScriptLine::Ahead(template), None) => steps.push(Step::Ahead(fill(template))),
            (ScriptLine::Base64(template), Some(lines)) => lines.push(STANDARD.encode(fill(template))),
            (ScriptLine::Base64(template), None) => steps.push(Step::Command(STANDARD.encode(fill(template)))),
            // An expectation between DATA and its message is about DATA's own reply.
            (other, _) => steps.extend(besides(other, fill)),
        }
    }
    steps.extend(message.map(Step::Message));
    steps
}

/// The step of a line that sends nothing.
fn besides(line: &ScriptLine, fill: &dyn Fn(&str) -> String) -> Option<Step> {
    match line {
        ScriptLine::Client(_) | ScriptLine::Ahead(_) | ScriptLine::Base64(_) => None,
        ScriptLine::Server(template) => Some(Step::Expect(fill(template))),
        ScriptLine::Close => Some(Step::Close),
        ScriptLine::Hold => Some(Step::Hold),
        ScriptLine::Cut => Some(Step::Cut),
        ScriptLine::Silence => Some(Step::Silence),
        ScriptLine::Tls => Some(Step::Tls),
    }
}

/// The same for IMAP: what a line announces as a literal (RFC 9051 4.3) comes on the lines after it, and the rest of the command
/// behind that.
fn steps_of_imap(script: &Script, fill: &dyn Fn(&str) -> String) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut literal: Option<(usize, Vec<String>)> = None;
    for line in &script.lines {
        let said = match line {
            ScriptLine::Client(template) | ScriptLine::Ahead(template) => fill(template),
            ScriptLine::Base64(template) => STANDARD.encode(fill(template)),
            other => {
                steps.extend(besides(other, fill));
                continue;
            }
        };
        let mut ends = said.clone();
        if let Some((left, mut lines)) = literal.take() {
            lines.push(said.clone());
            if said.len() + 2 <= left {
                literal = Some((left - said.len() - 2, lines));
                continue;
            }
            said.get(left..).unwrap_or_default().clone_into(&mut ends);
            steps.push(Step::Message(lines));
        } else if matches!(line, ScriptLine::Ahead(_)) {
            steps.push(Step::Ahead(said));
        } else {
            steps.push(Step::Command(said));
        }
        literal = announced(ends.as_bytes()).map(|found| (found.octets, Vec::new()));
    }
    steps.extend(literal.filter(|(_, lines)| !lines.is_empty()).map(|(_, lines)| Step::Message(lines)));
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
    let mut line = Line {
        protocol,
        stream: BufReader::new(wire),
        in_data: false,
        ahead: Vec::new(),
        pending: None,
        ended: false,
        patience: REPLY_SECS,
    };
    if service.implicit_tls() {
        line.secure(trust).await.map_err(broken)?;
    }
    line.expect_silence(steps.first());
    // What STAT told: how many messages there are.
    let mut count = String::new();
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
                reply if reply::invites(protocol, &last.0, reply) => line.secure(trust).await.map_err(broken)?,
                reply if judged => {
                    let (command, reply) = (last.0.clone(), reply.to_owned());
                    return Err(PlayError::Reply {
                        command,
                        reply,
                        wanted: "220`, `+OK` or `OK` to `STARTTLS` or `STLS".into(),
                    });
                }
                // Where STARTTLS was left out, the script goes on in the clear, and that must cost the exercise.
                _ => {}
            },
            Step::Ahead(command) => line.ahead.push(command.clone()),
            Step::Command(command) => {
                let command = command.replace("{last}", &count);
                let reply = line.command(&command).await.map_err(broken)?;
                if let Some(told) = reply.as_deref().filter(|_| command.eq_ignore_ascii_case("STAT")) {
                    told.split_ascii_whitespace().nth(1).unwrap_or_default().clone_into(&mut count);
                }
                last = (command, reply);
            }
            Step::Message(lines) => last = ("<message>".into(), line.message(lines).await.map_err(broken)?),
            Step::Expect(wanted) if judged => {
                let reply = last.1.clone().ok_or_else(|| PlayError::Silence { command: last.0.clone() })?;
                if !reply::begins(protocol, &reply, wanted) {
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
    /// Whether the server waits for a message, or for a literal.
    in_data: bool,
    /// Commands that are sent together with the next one.
    ahead: Vec<String>,
    /// The tag of a command of IMAP that the server wants more of.
    pending: Option<String>,
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
        let before = std::mem::take(&mut self.ahead);
        let all: Vec<&str> = before.iter().map(String::as_str).chain([command, ""]).collect();
        self.send(&all.join("\r\n")).await?;
        if self.in_data {
            return Ok(Some(String::new()));
        }
        for ahead in before {
            if self.reply(&ahead).await?.is_none() {
                return Ok(None);
            }
        }
        if self.protocol == Protocol::Imap {
            return self.command_of_imap(command).await;
        }
        let reply = self.reply(command).await?;
        self.in_data =
            command.trim().eq_ignore_ascii_case("DATA") && reply.as_deref().is_some_and(|r| r.starts_with("354"));
        Ok(reply)
    }

    /// Reads what comes for a line of IMAP that was sent, unless more of the command follows in any case.
    async fn command_of_imap(&mut self, line: &str) -> std::io::Result<Option<String>> {
        let literal = announced(line.as_bytes());
        self.pending.get_or_insert_with(|| tag(line).to_owned());
        if literal.as_ref().is_some_and(|literal| !literal.waits) {
            self.in_data = true;
            return Ok(Some(String::new()));
        }
        let reply = self.reply(line).await?;
        let goes_on = reply.as_deref().is_some_and(|reply| reply.starts_with('+'));
        self.in_data = goes_on && literal.is_some();
        if !goes_on {
            self.pending = None;
        }
        Ok(reply)
    }

    /// Sends a message; where the server does not wait for one, each of its lines is a command of its own.
    async fn message(&mut self, lines: &[String]) -> std::io::Result<Option<String>> {
        if self.protocol == Protocol::Imap {
            // Where the command was left out, its literal is nothing.
            if !std::mem::take(&mut self.in_data) {
                return Ok(Some(String::new()));
            }
            self.send(&(lines.join("\r\n") + "\r\n")).await?;
            return self.command_of_imap(lines.last().map_or("", String::as_str)).await;
        }
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
        let tag = self.pending.as_deref().unwrap_or_else(|| tag(command)).to_owned();
        let mut ends = Ends::new(self.protocol, command, &tag);
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
            if let Some(reply) = ends.line(text.trim_end_matches(['\r', '\n'])) {
                return Ok(Some(reply));
            }
            octets += self.skip(ends.literal()).await?;
        }
    }

    /// Reads the content of a literal; how many octets were there.
    async fn skip(&mut self, octets: u64) -> std::io::Result<u64> {
        if octets == 0 || octets > REPLY_LIMIT {
            return Ok(octets);
        }
        tokio::io::copy(&mut (&mut self.stream).take(octets), &mut tokio::io::sink()).await
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
        let script = Script::parse(Service::Smtp, "C: STARTTLS\nX: tls\nB: {login}").unwrap();
        let wanted = [Step::Command("STARTTLS".into()), Step::Tls, Step::Command("YW5h".into())];
        assert_eq!(steps(&script, &|template| template.replace("{login}", "ana")), wanted);
        let script = Script::parse(Service::Smtp, "C: DATA\nC:\nB: ana\nC: .").unwrap();
        let message = ["", "YW5h", "."].map(str::to_owned).to_vec();
        assert_eq!(steps(&script, &str::to_owned), [Step::Command("DATA".into()), Step::Message(message)]);
    }

    #[test]
    fn a_literal_and_the_rest_of_its_command_are_one_step() {
        let steps = |text: &str| steps(&Script::parse(Service::Imap, text).unwrap(), &str::to_owned);
        let command = |line: &str| Step::Command(line.into());
        let message = |lines: &[&str]| Step::Message(lines.iter().map(|line| (*line).to_owned()).collect());
        let append = steps("C: a APPEND x {11}\nS: +\nC: A: b\nC:\nC: c\nC:\nS: OK\nC: b LOGOUT");
        let wanted = [
            command("a APPEND x {11}"),
            Step::Expect("+".into()),
            message(&["A: b", "", "c", ""]),
            Step::Expect("OK".into()),
            command("b LOGOUT"),
        ];
        assert_eq!(append, wanted);
        let login = steps("C: a LOGIN {3}\nC: ana {6+}\nC: secret\nC: b NOOP");
        assert_eq!(login, [command("a LOGIN {3}"), message(&["ana {6+}"]), message(&["secret"]), command("b NOOP")]);
        assert_eq!(steps("P: a NOOP\nC: b NOOP"), [Step::Ahead("a NOOP".into()), command("b NOOP")]);
    }
}
