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
    /// Octets of that reply so far, and those of them that are sent.
    said: usize,
    sent: usize,
}

impl Struck {
    /// It has just struck.
    pub(in crate::server) fn new(strike: Strike) -> Self {
        Self { strike, begins: None, marked: false, said: 0, sent: 0 }
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
                struck.marked = struck.strike.mark(M::PROTOCOL, struck.said, &mut self.out);
            } else if !self.out.reply.is_empty() {
                struck.strike.mark(M::PROTOCOL, struck.said, &mut self.out);
            }
            struck.said += self.out.reply.len();
        }
        if !self.server.faults.is_empty() {
            let armed = self.server.faults.saw::<M>((&self.who, self.conn), &self.out.events, now.steady());
            self.out.events.extend(armed);
        }
    }

    /// Sends the struck reply as the fault wants it sent; an ending where that ends the connection.
    pub(super) async fn suffer(&mut self) -> Option<Ending> {
        let mut struck = self.struck.take()?;
        if let Err(ending) = Box::pin(self.send_struck(&mut struck)).await {
            return Some(ending);
        }
        match struck.strike.then() {
            Then::GoOn => None,
            Then::Cut => Some(Ending::Fault),
            Then::Silence => Some(Box::pin(self.say_nothing()).await),
        }
    }

    /// Sends what is there of an answer that goes on, as a fault wants it sent where one strikes it.
    pub(super) async fn send_on(&mut self) -> Result<(), Ending> {
        let Some(mut struck) = self.struck.take() else { return self.send().await };
        let sent = Box::pin(self.send_struck(&mut struck)).await;
        self.struck = Some(struck);
        sent
    }

    async fn send_struck(&mut self, struck: &mut Struck) -> Result<(), Ending> {
        let reply = self.reply.split_off(struck.begins.unwrap_or(0).min(self.reply.len()));
        self.send().await?;
        struck.begins = Some(0);
        let mut rest = reply.as_slice();
        for piece in struck.strike.pieces(struck.sent, reply.len()) {
            if !piece.pause.is_zero() && !self.pause(piece.pause).await {
                return Err(Ending::Shutdown);
            }
            let (octets, later) = rest.split_at(piece.octets);
            rest = later;
            self.reply = octets.to_vec();
            self.send().await?;
        }
        struck.sent += reply.len();
        if struck.strike.cuts_at(struck.sent) { Err(Ending::Fault) } else { Ok(()) }
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
                Waited::Rest => self.release(),
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
