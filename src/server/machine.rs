//! The protocols as the driver sees them: a session that takes inputs, whatever it speaks.

use std::{sync::Arc, time::Duration};

use super::{Shared, drive::Drive, registry::Seat, wire::Accepted};
use crate::{
    lab::{Limits, Protocol},
    protocol::{Input, Now, Output, Peer, Refusal, imap, line, pop3, smtp},
};

/// A protocol's session.
pub(super) trait Machine: Send {
    /// What it speaks.
    const PROTOCOL: Protocol;
    /// A session that has not greeted.
    fn new(peer: Peer) -> Self;
    /// The server that it is a session of, and who is at its other end.
    fn peer(&self) -> &Peer;
    /// How its input is cut.
    fn framing(peer: &Peer) -> line::Limits;
    /// How long it may be idle.
    fn idle(limits: &Limits) -> Duration;
    /// Whether what comes next begins a command. What only goes on with one has no verb and no tag of its own, and may be a
    /// password.
    fn begins(&self) -> bool {
        true
    }
    /// Octets of memory that mail takes which is coming in, apart from what the framer holds.
    fn held(&self) -> usize {
        0
    }
    /// Takes an input and appends what follows to `out`.
    fn handle(&mut self, input: Input<'_>, now: Now, out: &mut Output);
}

impl Machine for smtp::Session {
    const PROTOCOL: Protocol = Protocol::Smtp;

    fn new(peer: Peer) -> Self {
        Self::new(peer)
    }

    fn peer(&self) -> &Peer {
        self.peer()
    }

    fn framing(peer: &Peer) -> line::Limits {
        smtp::framing(peer)
    }

    fn idle(limits: &Limits) -> Duration {
        Duration::from_secs(limits.smtp_idle_secs)
    }

    fn held(&self) -> usize {
        self.held()
    }

    fn handle(&mut self, input: Input<'_>, now: Now, out: &mut Output) {
        self.handle(input, now, out);
    }
}

impl Machine for pop3::Session {
    const PROTOCOL: Protocol = Protocol::Pop3;

    fn new(peer: Peer) -> Self {
        Self::new(peer)
    }

    fn peer(&self) -> &Peer {
        self.peer()
    }

    fn framing(peer: &Peer) -> line::Limits {
        pop3::framing(peer)
    }

    fn idle(limits: &Limits) -> Duration {
        Duration::from_secs(limits.pop3_idle_secs)
    }

    fn handle(&mut self, input: Input<'_>, now: Now, out: &mut Output) {
        self.handle(input, now, out);
    }
}

impl Machine for imap::Session {
    const PROTOCOL: Protocol = Protocol::Imap;

    fn peer(&self) -> &Peer {
        self.peer()
    }

    fn new(peer: Peer) -> Self {
        Self::new(peer)
    }

    fn framing(peer: &Peer) -> line::Limits {
        imap::framing(peer)
    }

    fn idle(limits: &Limits) -> Duration {
        Duration::from_secs(limits.imap_idle_secs)
    }

    fn begins(&self) -> bool {
        self.begins()
    }

    fn held(&self) -> usize {
        self.held()
    }

    fn handle(&mut self, input: Input<'_>, now: Now, out: &mut Output) {
        self.handle(input, now, out);
    }
}

/// Starts the session of a protocol on a connection. The server waits for it from now on.
pub(super) fn start(server: &Arc<Shared>, wire: impl Accepted + 'static, peer: Peer, seat: Result<Seat, Refusal>) {
    let (refusal, seat) = (seat.as_ref().err().copied(), seat.ok());
    let server = Arc::clone(server);
    match peer.service.protocol() {
        Protocol::Smtp => tokio::spawn(Drive::<smtp::Session, _>::new(server, wire, peer, seat, None).run(refusal)),
        Protocol::Pop3 => tokio::spawn(Drive::<pop3::Session, _>::new(server, wire, peer, seat, None).run(refusal)),
        Protocol::Imap => tokio::spawn(Drive::<imap::Session, _>::new(server, wire, peer, seat, None).run(refusal)),
        // DNS has no sessions.
        Protocol::Dns => return,
    };
}
