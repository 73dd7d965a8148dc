//! A connection to another server: the client machine on a socket, with a limit on every wait.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use socket2::{Domain, Socket, Type};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::secure;

use crate::{
    lab::ServerConfig,
    protocol::{
        line::{Framer, Limits},
        smtp::{
            client::{Client, Letter, Turn, Verdict},
            hearing::{Hearing, Reply},
        },
    },
    server::wire::{Connection, Wire},
};

/// How long a connection may take to open.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a reply may take: RFC 5321 4.5.3.2 wants minutes, in the time of a class that is one.
const REPLY: Duration = Duration::from_mins(1);

/// A connection that is ready for letters.
pub(super) struct Line<W> {
    wire: W,
    framer: Framer,
    hearing: Hearing,
    client: Client,
    out: Vec<u8>,
    /// How it is secured, as the record says it; none in the clear.
    pub(super) tls: Option<String>,
}

/// Where a connection goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct To<'a> {
    /// The server's name.
    pub(super) name: &'a str,
    /// Its address.
    pub(super) address: SocketAddr,
    /// The address to come from; none: any.
    pub(super) from: Option<IpAddr>,
    /// The certificate, in PEM, of the authority that has signed the server's where it is one of ours.
    pub(super) authority: Option<&'a str>,
}

/// Why there is no connection.
enum Refusal {
    /// In the words of a reply.
    Said(Reply),
    /// The handshake that the server offered failed: in the clear it may go.
    Handshake,
}

/// What became of a letter.
pub(super) struct Sent {
    /// For each recipient.
    pub(super) verdicts: Vec<Verdict>,
    /// Whether the connection can take another letter.
    pub(super) open: bool,
}

/// A connection that is there already, whose other end is a server from now on and has said `early`.
pub(super) async fn on<W: Wire>(wire: W, early: Vec<u8>, config: &ServerConfig) -> Result<Line<W>, Reply> {
    let mut line = Line::new(wire, config, false);
    *line.hearing.buffer() = early;
    match line.turn(Turn::Listen).await {
        Turn::Ready => Ok(line),
        Turn::Over(_, reply) => Err(reply),
        Turn::Listen | Turn::StartTls | Turn::Done(_) => Err(Reply::own(451, "4.4.2 it came to no end")),
    }
}

/// Connects and goes on until the server is ready for mail: over TLS where it offers that and a handshake succeeds, else in the
/// clear. Otherwise what went wrong, in the words of a reply: it is worth another try, also where the server says at once
/// that it is none (RFC 5321 3.1).
pub(super) async fn open(to: To<'_>, config: &ServerConfig) -> Result<Line<Connection>, Reply> {
    let opened = match attempt(to, config, true).await {
        Err(Refusal::Handshake) => attempt(to, config, false).await,
        opened => opened,
    };
    opened.map_err(|refusal| match refusal {
        Refusal::Said(reply) => reply,
        Refusal::Handshake => Reply::own(451, format!("4.7.0 no TLS with {}", to.address)),
    })
}

async fn attempt(to: To<'_>, config: &ServerConfig, wants_tls: bool) -> Result<Line<Connection>, Refusal> {
    let address = to.address;
    let failed = |what: &str, problem: &dyn std::fmt::Display| {
        Refusal::Said(Reply::own(451, format!("4.4.1 {what} {address}: {problem}")))
    };
    let stream = match timeout(CONNECT, connect(address, to.from)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(problem)) => return Err(failed("connect to", &problem)),
        Err(_) => return Err(failed("connect to", &"no answer")),
    };
    let mut line = Line::new(Connection::Clear(stream), config, wants_tls);
    let mut turn = line.turn(Turn::Listen).await;
    if turn == Turn::StartTls {
        line.secure(to).await?;
        let hello = line.client.secured(&mut line.out);
        turn = line.turn(hello).await;
    }
    match turn {
        Turn::Ready => Ok(line),
        Turn::Over(_, reply) => {
            Err(Refusal::Said(Reply { code: 451, lines: vec![format!("4.4.2 {address} said {reply}")] }))
        }
        Turn::Listen | Turn::StartTls | Turn::Done(_) => Err(failed("speak SMTP with", &"it came to no end")),
    }
}

async fn connect(to: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
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

impl Line<Connection> {
    /// Goes over to TLS. Replies that came in the clear behind the one to STARTTLS are nobody's (RFC 3207 4.2).
    async fn secure(&mut self, to: To<'_>) -> Result<(), Refusal> {
        self.hearing = Hearing::default();
        self.framer.clear();
        let Connection::Clear(stream) = std::mem::replace(&mut self.wire, Connection::Gone) else { return Ok(()) };
        let secured = timeout(REPLY, secure::handshake(stream, to.name, to.address, to.authority)).await;
        let Ok(Ok((stream, tls))) = secured else { return Err(Refusal::Handshake) };
        (self.wire, self.tls) = (Connection::Secure(Box::new(stream.into())), Some(tls));
        Ok(())
    }

    /// Returns when the server has something to say, or has gone, although it was not asked.
    pub(super) async fn disturbed(&self) {
        self.wire.disturbed().await;
    }
}

impl<W: Wire> Line<W> {
    fn new(wire: W, config: &ServerConfig, wants_tls: bool) -> Self {
        let framer = Framer::new(Limits::of(config, config.limits.line));
        let client = Client::new(&config.host, wants_tls);
        Self { wire, framer, hearing: Hearing::default(), client, out: Vec::new(), tls: None }
    }

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
            self.wire.write(&self.out).await?;
            self.wire.read(&mut self.framer).await
        })
        .await;
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
            self.wire.write(&self.out).await.map_err(cut)?;
            self.out.clear();
        }
        loop {
            if let Some(reply) = self.hearing.reply().map_err(|problem| problem.to_string())? {
                return Ok(reply);
            }
            let read = self.wire.read(&mut self.framer).await.map_err(cut)?;
            self.hearing.buffer().append(self.framer.buffer());
            if read == 0 {
                return Err("the connection was cut by the server".to_owned());
            }
        }
    }
}
