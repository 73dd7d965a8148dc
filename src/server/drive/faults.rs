//! What a fault makes of one turn of a session: the answer it gives instead, the reply as it is really sent, the end of it.

use std::time::Duration;

use tokio::time::sleep;

use super::{Drive, Heard as Waited, stop};
use crate::{
    evidence::Ending,
    protocol::{
        Input, Next, Now, Output,
        fault::{Heard, Strike, Then},
        line::Framer,
    },
    server::{machine::Machine, wire::Accepted},
};

/// A strike under way.
#[derive(Debug)]
pub(in crate::server) struct Struck {
    strike: Strike,
    /// Where the reply that it strikes begins among those that are not sent yet.
    begins: Option<usize>,
    /// Whether its event stands among those of what it struck.
    marked: bool,
}

impl Struck {
    /// It has just struck.
    pub(in crate::server) fn new(strike: Strike) -> Self {
        Self { strike, begins: None, marked: false }
    }
}

/// Gives the session what came, or the fault's answer to it.
pub(super) fn hand<M: Machine>(
    session: &mut M,
    struck: Option<&mut Struck>,
    input: Input<'_>,
    now: Now,
    out: &mut Output,
) {
    let instead = struck.and_then(|struck| {
        let heard = Heard::of(M::PROTOCOL, &input)?;
        struck.strike.instead(session.peer(), &heard, now)
    });
    match instead {
        Some(reply) => session.handle(Input::Denied { of: &input, reply: &reply }, now, out),
        None => session.handle(input, now, out),
    }
}

impl<M: Machine, W: Accepted> Drive<M, W> {
    /// Makes of the session's turn what the fault makes of it, and notes what it arms.
    pub(super) fn mark(&mut self, now: Now) {
        if let Some(struck) = &mut self.struck {
            struck.begins.get_or_insert(self.reply.len());
            if !struck.marked {
                struck.marked = struck.strike.mark(M::PROTOCOL, &mut self.out);
            } else if !self.out.reply.is_empty() {
                struck.strike.mark(M::PROTOCOL, &mut self.out);
            }
        }
        if !self.server.faults.is_empty() {
            let armed = self.server.faults.saw::<M>((&self.who, self.conn), &self.out.events, now.steady());
            self.out.events.extend(armed);
        }
    }

    /// Sends the struck reply as the fault wants it sent; an ending where that ends the connection.
    pub(super) async fn suffer(&mut self) -> Option<Ending> {
        let struck = self.struck.take()?;
        Box::pin(self.send_struck(*struck)).await
    }

    async fn send_struck(&mut self, struck: Struck) -> Option<Ending> {
        let reply = self.reply.split_off(struck.begins.unwrap_or(0).min(self.reply.len()));
        if let Err(ending) = self.send().await {
            return Some(ending);
        }
        let sending = struck.strike.sending(reply.len());
        let mut rest = reply.as_slice();
        for piece in sending.pieces {
            if !piece.pause.is_zero() && !self.pause(piece.pause).await {
                return Some(Ending::Shutdown);
            }
            let (octets, later) = rest.split_at(piece.octets);
            rest = later;
            self.reply = octets.to_vec();
            if let Err(ending) = self.send().await {
                return Some(ending);
            }
        }
        match sending.then {
            Then::GoOn => None,
            Then::Cut => Some(Ending::Fault),
            Then::Silence => Some(self.say_nothing().await),
        }
    }

    /// Whether the server still runs after so long.
    async fn pause(&mut self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = stop(&mut self.stopping, false) => false,
            () = sleep(pause) => true,
        }
    }

    /// Hears the client and says nothing, until one of both has enough.
    async fn say_nothing(&mut self) -> Ending {
        self.next = Next::Line;
        loop {
            match self.listen().await {
                Waited::Changed => {}
                Waited::Octets => self.framer = Framer::new(M::framing(self.session.peer())),
                Waited::Nothing => return Ending::Idle,
                Waited::Stop => return Ending::Shutdown,
                Waited::Ended => return Ending::Instructor,
                Waited::Gone(ending) => return ending,
            }
        }
    }

    /// The connection has ended.
    pub(super) fn leave_faults(&self) {
        self.server.faults.ended(&self.who, self.conn);
    }
}
