//! A connection to another server: the client machine on a socket, with a limit on every wait.

use std::{io, net::SocketAddr, time::Duration};

use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::protocol::smtp::{
    client::{Client, Letter, Turn, Verdict},
    hearing::{Hearing, Reply},
};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a reply may take: RFC 5321 4.5.3.2 wants minutes, in the time of a class that is one.
const REPLY: Duration = Duration::from_mins(1);

/// Room for one read.
const READ: usize = 4 << 10;

/// A connection that is ready for letters.
pub(super) struct Line {
    stream: TcpStream,
    hearing: Hearing,
    client: Client,
    out: Vec<u8>,
}

/// What became of a letter.
pub(super) struct Sent {
    /// For each recipient.
    pub(super) verdicts: Vec<Verdict>,
    /// Whether the connection can take another letter.
    pub(super) open: bool,
}

/// Connects from `from`, if that is said, and goes on until the server is ready for mail. Otherwise what went wrong, in the
/// words of a reply: it is worth another try, also where the server says at once that it is none (RFC 5321 3.1).
pub(super) async fn open(to: SocketAddr, from: Option<std::net::IpAddr>, host: &str) -> Result<Line, Reply> {
    let failed = |what: &str, problem: &dyn std::fmt::Display| Reply::own(451, format!("4.4.1 {what} {to}: {problem}"));
    let connecting = timeout(CONNECT, connect(to, from));
    let stream = match connecting.await {
        Ok(Ok(stream)) => stream,
        Ok(Err(problem)) => return Err(failed("connect to", &problem)),
        Err(_) => return Err(failed("connect to", &"no answer")),
    };
    let mut line = Line { stream, hearing: Hearing::default(), client: Client::new(host, false), out: Vec::new() };
    match line.turn(Turn::Listen).await {
        Turn::Ready => Ok(line),
        Turn::Over(_, reply) => Err(Reply { code: 451, lines: vec![format!("4.4.2 {to} said {reply}")] }),
        Turn::Listen | Turn::StartTls | Turn::Done(_) => Err(failed("speak SMTP with", &"it came to no end")),
    }
}

async fn connect(to: SocketAddr, from: Option<std::net::IpAddr>) -> io::Result<TcpStream> {
    let stream = match from.filter(|from| from.is_ipv4() == to.is_ipv4()) {
        Some(from) => {
            let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            socket.bind(&SocketAddr::new(from, 0).into())?;
            TcpSocket::from_std_stream(socket.into()).connect(to).await?
        }
        None => TcpStream::connect(to).await?,
    };
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Line {
    /// Sends a letter.
    pub(super) async fn send(&mut self, letter: Letter) -> Sent {
        let turn = self.client.send(letter, &mut self.out);
        match self.turn(turn).await {
            Turn::Done(verdicts) => Sent { verdicts, open: true },
            Turn::Over(verdicts, _) => Sent { verdicts, open: false },
            Turn::Listen | Turn::StartTls | Turn::Ready => Sent { verdicts: Vec::new(), open: false },
        }
    }

    /// Says goodbye, and does not wait long for an answer.
    pub(super) async fn quit(mut self) {
        self.client.quit(&mut self.out);
        let _ = timeout(CONNECT, async {
            self.stream.write_all(&self.out).await?;
            self.stream.read(&mut [0; 64]).await
        })
        .await;
    }

    /// Returns when the server has something to say, or has gone, although it was not asked.
    pub(super) async fn disturbed(&self) {
        let _ = self.stream.readable().await;
    }

    /// Speaks and listens until the machine wants something else.
    async fn turn(&mut self, mut turn: Turn) -> Turn {
        while turn == Turn::Listen {
            turn = match timeout(REPLY, self.exchange()).await {
                Ok(Ok(reply)) => self.client.hear(reply, &mut self.out),
                Ok(Err(why)) => self.client.lost(Reply::own(451, format!("4.4.2 {why}"))),
                Err(_) => self.client.lost(Reply::own(451, "4.4.2 no answer from the server")),
            };
        }
        turn
    }

    /// Sends what there is to send and takes the next reply. While much is sent, what the server says meanwhile can wait: it
    /// is short.
    async fn exchange(&mut self) -> Result<Reply, String> {
        let cut = |problem: io::Error| format!("the connection was cut: {problem}");
        if !self.out.is_empty() {
            self.stream.write_all(&self.out).await.map_err(cut)?;
            self.out.clear();
        }
        loop {
            if let Some(reply) = self.hearing.reply().map_err(|problem| problem.to_string())? {
                return Ok(reply);
            }
            let buffer = self.hearing.buffer();
            buffer.reserve(READ);
            if self.stream.read_buf(buffer).await.map_err(cut)? == 0 {
                return Err("the connection was cut by the server".to_owned());
            }
        }
    }
}
