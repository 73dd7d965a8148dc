//! Listening: one task per endpoint that takes connections in and starts a session for each.

use std::{io, net::SocketAddr, os::fd::AsRawFd as _, sync::Arc, time::Duration};

use socket2::{Domain, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};

use super::{ServerError, Shared, descriptors, machine, names, registry, wire::Connection};
use crate::{
    lab::{Protocol, server::Endpoint},
    protocol::{Peer, Refusal},
};

/// Connections that the system keeps for a listener until they are taken in.
const BACKLOG: i32 = 1_024;

/// What the system keeps of answers that a client has not read yet, in octets (Linux takes twice as much). Left to itself it takes
/// several MiB for each connection.
const SEND_BUFFER: usize = 256 << 10;

/// The pause after the system refused to hand over a connection (no descriptors left, for example).
const PAUSE: Duration = Duration::from_millis(50);

/// How often a port is looked for that is free for TCP and UDP alike, where the system chooses.
const TRIES: usize = 16;

/// The sockets of an endpoint.
#[derive(Debug, Clone)]
pub(super) struct Sockets {
    tcp: Arc<TcpListener>,
    /// For DNS.
    udp: Option<Arc<UdpSocket>>,
}

/// An endpoint that is listened on. Dropping it stops that, sooner or later; sessions go on.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) sockets: Sockets,
    pub(super) address: SocketAddr,
    task: JoinSet<()>,
}

impl Listener {
    /// Starts taking connections in.
    pub(super) fn start(server: &Arc<Shared>, endpoint: &Endpoint, sockets: Sockets) -> Result<Self, ServerError> {
        let address = sockets.tcp.local_addr().map_err(|error| failed(endpoint, error))?;
        let mut task = JoinSet::new();
        task.spawn(accept(Arc::clone(server), endpoint.clone(), address, Arc::clone(&sockets.tcp)));
        if let Some(udp) = &sockets.udp {
            task.spawn(names::udp(Arc::clone(server), endpoint.clone(), address, Arc::clone(udp)));
        }
        Ok(Self { sockets, address, task })
    }

    /// Whether its sockets are those that the endpoint needs.
    pub(super) fn serves(&self, endpoint: &Endpoint) -> bool {
        self.sockets.udp.is_some() == (endpoint.service.protocol() == Protocol::Dns)
    }

    /// Stops listening, and returns when nobody can connect any more.
    pub(super) async fn stop(mut self) {
        self.task.shutdown().await;
    }
}

/// Binds an endpoint's address.
pub(super) fn bind(endpoint: &Endpoint) -> Result<Sockets, ServerError> {
    let listen = || {
        let socket = Socket::new(Domain::for_address(endpoint.address), Type::STREAM, None)?;
        // A server that comes back must not wait for the last connections of the one before it.
        socket.set_reuse_address(true)?;
        // Connections have it from their listener.
        socket.set_send_buffer_size(SEND_BUFFER)?;
        if endpoint.address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&endpoint.address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    let receive = |address: SocketAddr| {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, None)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        UdpSocket::from_std(socket.into())
    };
    let bound = || -> io::Result<Sockets> {
        let tcp = Arc::new(listen()?);
        let udp = match endpoint.service.protocol() {
            Protocol::Dns => Some(Arc::new(receive(tcp.local_addr()?)?)),
            Protocol::Smtp | Protocol::Pop3 | Protocol::Imap => None,
        };
        Ok(Sockets { tcp, udp })
    };
    let mut found = bound();
    // A port that the system chose for TCP may be somebody's for UDP.
    for _ in 1..TRIES {
        let taken = found.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse);
        if endpoint.address.port() != 0 || !taken {
            break;
        }
        found = bound();
    }
    found.map_err(|error| failed(endpoint, error))
}

fn failed(endpoint: &Endpoint, source: io::Error) -> ServerError {
    let Endpoint { service, address, .. } = *endpoint;
    match source.kind() {
        io::ErrorKind::AddrInUse => ServerError::InUse { service, address },
        _ => ServerError::Listen { service, address, source },
    }
}

async fn accept(server: Arc<Shared>, endpoint: Endpoint, address: SocketAddr, socket: Arc<TcpListener>) {
    loop {
        match socket.accept().await {
            Ok((stream, remote)) => welcome(&server, &endpoint, address, stream, remote),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn welcome(server: &Arc<Shared>, endpoint: &Endpoint, address: SocketAddr, stream: TcpStream, remote: SocketAddr) {
    // A connection that is gone already fails when it is written to.
    let _ = stream.set_nodelay(true);
    let local = if address.ip().is_unspecified() { stream.local_addr().unwrap_or(address) } else { address };
    let settings = server.settings();
    if !registry::is_served(&settings.config, local.ip(), remote.ip()) {
        return;
    }
    let who = registry::at_the_door(&settings.config, remote.ip(), endpoint.student.as_ref());
    let exhausted = server.is_exhausted(&who, remote.ip());
    let mut seat = server.registry.admit(&who, &settings.config.limits);
    if descriptors::is_reserved(stream.as_raw_fd(), server.descriptors) {
        // It hears that there are too many, and whoever asks for the status hears why.
        seat = Err(Refusal::ServerSessions);
    }
    let seat = if exhausted { seat.and(Err(Refusal::Evidence)) } else { seat };
    if endpoint.service.protocol() == Protocol::Dns {
        if let Ok(seat) = seat {
            let ends = names::Ends { local: local.ip(), remote: remote.ip() };
            tokio::spawn(names::tcp(Arc::clone(server), stream, ends, who, seat));
        }
        return;
    }
    let peer = Peer {
        config: Arc::clone(&settings.config),
        dialect: Arc::clone(&settings.dialect),
        service: endpoint.service,
        remote: Some(remote),
        local: Some(local),
        name: None,
        who,
        seed: server.seeds.draw(),
    };
    machine::start(server, Connection::Clear(stream), peer, seat);
}
