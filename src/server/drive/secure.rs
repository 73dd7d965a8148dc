//! How a connection goes over to TLS: from its first octet, or when the session says so.

use std::{net::SocketAddr, time::Duration};

use tokio::time::timeout;

use super::{Drive, ended, stop};
use crate::{
    evidence::{Ending, EventKind},
    lab::Service,
    protocol::{Input, Peer, Refusal},
    server::{
        machine::Machine,
        tls::{self, Secured},
        wire::Accepted,
    },
};

/// A service with implicit TLS and the two ends of a connection to it.
pub(super) struct Door {
    service: Service,
    peer: Option<SocketAddr>,
    local: Option<SocketAddr>,
}

impl Door {
    pub(super) fn of(peer: &Peer) -> Option<Box<Self>> {
        let Peer { service, remote, local, .. } = *peer;
        service.implicit_tls().then(|| Box::new(Self { service, peer: remote, local }))
    }

    /// Nobody was greeted there.
    fn event(&self) -> EventKind {
        let Self { service, peer, local } = *self;
        EventKind::Connected { protocol: service.protocol(), service, peer, local, reply: String::new() }
    }
}

impl<M: Machine, W: Accepted> Drive<M, W> {
    /// Greets over TLS from the first octet. Whoever is one too many is not worth a handshake and hears nothing.
    pub(super) async fn open_door(&mut self, door: &Door, refusal: Option<Refusal>) -> Result<(), Ending> {
        if refusal.is_some() {
            let why = "too many connections: close one, then try again".to_owned();
            self.note([door.event(), EventKind::HandshakeFailed { why }]);
            return Err(Ending::Refused);
        }
        match Box::pin(self.handshake()).await {
            Ok(secured) => {
                self.say(Input::Secured { version: secured.version, cipher: &secured.cipher }).await?;
                self.say(Input::Connected).await?;
                self.note([secured.event()]);
                Ok(())
            }
            Err((why, ending)) => {
                self.note([door.event(), EventKind::HandshakeFailed { why }]);
                Err(ending)
            }
        }
    }

    /// Goes over to TLS. What came behind the command in the clear may have been put there by anybody on the way.
    pub(super) async fn start_tls(&mut self) -> Result<(), Ending> {
        self.send().await?;
        let octets = self.framer.clear() as u64;
        if octets > 0 {
            self.note([EventKind::Discarded { octets }]);
        }
        match self.handshake().await {
            Ok(secured) => {
                self.note([secured.event()]);
                self.say(Input::Secured { version: secured.version, cipher: &secured.cipher }).await
            }
            Err((why, ending)) => {
                self.note([EventKind::HandshakeFailed { why }]);
                Err(ending)
            }
        }
    }

    /// Holds a handshake; if it fails, why, and how the connection ends with that.
    async fn handshake(&mut self) -> Result<Secured, (String, Ending)> {
        let settings = self.server.settings();
        let config = settings.handshakes().map_err(|why| (why.to_owned(), Ending::Refused))?;
        let limit = Duration::from_secs(self.handshake_secs);
        let held = tokio::select! {
            biased;
            held = timeout(limit, self.wire.secure(config)) => held,
            () = stop(&mut self.stopping, false) => return Err(("the server stops".to_owned(), Ending::Shutdown)),
            () = ended(self.seat.as_ref()) => return Err(("the instructor ended it".to_owned(), Ending::Instructor)),
        };
        match held {
            Ok(Ok(secured)) => Ok(secured),
            Ok(Err(problem)) => {
                let (why, by_client) = tls::explain(&problem);
                Err((why, if by_client { Ending::Dropped } else { Ending::Refused }))
            }
            Err(_) => {
                let why = format!("it was not complete within {} seconds: the server waits for TLS", limit.as_secs());
                Err((why, Ending::Idle))
            }
        }
    }
}
