//! What a session asks for, done: by the store, by the queue for other servers.

use super::Drive;
use crate::{
    evidence::{MessageId, Timestamp},
    lab::Login,
    mail::{Entry, Envelope},
    protocol::{Action, Outcome, folders::Ask},
    server::{machine::Machine, relay, wire::Accepted},
    store::Origin,
};

impl<M: Machine, W: Accepted> Drive<M, W> {
    /// The rare and large branches are boxed: a session that only waits should not carry room for them.
    pub(super) async fn perform(&mut self, action: Action) -> Outcome {
        if changes(&action) {
            self.release();
        }
        match action {
            Action::Room { mailbox, octets } => {
                Outcome::Room(self.server.store.room(&mailbox, octets, self.mailbox_limit))
            }
            Action::QueueRoom { recipients } => Outcome::Room(self.server.relay.room(recipients, self.queue_limit)),
            Action::Hurry { domain } => Outcome::Waiting(self.server.relay.hurry(Some(&domain), self.now())),
            Action::Waiting { domain } => Outcome::Waiting(self.server.relay.waiting(&domain)),
            Action::TurnRound { domain } => Box::pin(self.turn_round(domain)).await,
            Action::Deliver(envelope) => Box::pin(self.deliver(envelope)).await,
            Action::Open { mailbox } => self.open(&mailbox),
            Action::Send => Outcome::Sent,
            Action::Read { message, from, most } => self.read(message, from, most).await,
            Action::Expunge { mailbox, entries } => Box::pin(self.expunge(mailbox, entries)).await,
            Action::Folders(ask) => Box::pin(self.folders(*ask)).await,
        }
    }

    /// Reads right here: a piece costs some ten microseconds, less than handing it to another thread.
    async fn read(&mut self, message: MessageId, from: u64, most: u64) -> Outcome {
        if from > 0 {
            // A long answer to a client that takes it at once: others get their turn in between.
            tokio::task::yield_now().await;
        }
        let most = self.flight.piece(most);
        self.server.store.octets(message, from, most).map_or(Outcome::Failed, Outcome::Octets)
    }

    async fn deliver(&mut self, mut envelope: Envelope) -> Outcome {
        // A notice of success may be lost (RFC 3461 5.2.3), so that nobody fills a mailbox or the queue with them.
        envelope.confirmation.take_if(|told| !self.has_room(&told.envelope));
        let (origin, events) = self.taken();
        let stored = self.server.store.deliver(origin, events, envelope, self.injected.clone()).await;
        stored.map_or(Outcome::Failed, |()| Outcome::Stored)
    }

    fn has_room(&self, envelope: &Envelope) -> bool {
        let octets = (envelope.trace.len() + envelope.content.len()) as u64;
        let held = |mailbox| self.server.store.room(mailbox, octets, self.mailbox_limit);
        let queued = || self.server.relay.room(envelope.outgoing.len(), self.queue_limit);
        envelope.mailboxes.iter().all(held) && (envelope.outgoing.is_empty() || queued())
    }

    /// From here on the client is the server. What it said too early is its greeting, as like as not.
    async fn turn_round(&mut self, domain: String) -> Outcome {
        if self.send().await.is_err() {
            return Outcome::Failed;
        }
        let early = std::mem::take(self.framer.buffer());
        let left = relay::turned(&self.server, &mut self.wire, early, domain).await;
        self.quit = true;
        Outcome::Waiting(left)
    }

    fn now(&self) -> Timestamp {
        self.server.clock.now().steady()
    }

    fn open(&mut self, mailbox: &Login) -> Outcome {
        let lock = match self.server.store.try_lock(mailbox, &self.who) {
            Ok(lock) => lock,
            Err(holder) => return Outcome::Locked { holder: holder.student().cloned() },
        };
        // Right here too: 10,000 entries take about a millisecond.
        self.server.store.entries(mailbox).map_or(Outcome::Failed, |entries| {
            self.lock = Some(lock);
            self.hold(Some(mailbox));
            Outcome::Opened(entries)
        })
    }

    fn hold(&self, mailbox: Option<&Login>) {
        if let Some(seat) = &self.seat {
            seat.holds(mailbox.cloned());
        }
    }

    async fn expunge(&mut self, mailbox: Login, entries: Vec<Entry>) -> Outcome {
        let (origin, events) = self.taken();
        let deleted = if entries.is_empty() {
            self.server.store.record(origin, events).await
        } else {
            self.server.store.expunge(origin, events, mailbox, entries).await
        };
        // Freed before the client hears of it: whoever comes back at once finds the mailbox open.
        self.lock = None;
        self.hold(None);
        deleted.map_or(Outcome::Failed, |()| Outcome::Expunged)
    }

    async fn folders(&mut self, ask: Ask) -> Outcome {
        if let Ask::Watch { folder } = ask {
            self.watched = folder.map(|folder| self.server.store.watch_folder(folder));
        }
        if matches!(ask, Ask::Read { .. }) {
            // A large FETCH or SEARCH is many of these: others get their turn in between, and nothing is held meanwhile.
            tokio::task::yield_now().await;
        }
        let origin = Origin { conn: self.conn, who: self.who.clone(), time: self.since };
        let told = self.server.store.folders(origin, &mut self.events, ask).await;
        told.map_or(Outcome::Failed, |told| Outcome::Folders(Box::new(told)))
    }
}

/// Whether an action leaves events of its own: what was seen before it is recorded before it.
fn changes(action: &Action) -> bool {
    match action {
        Action::TurnRound { .. } | Action::Deliver(_) | Action::Expunge { .. } => true,
        Action::Folders(ask) => match **ask {
            Ask::Create { .. }
            | Ask::Delete { .. }
            | Ask::Rename { .. }
            | Ask::Subscribe { .. }
            | Ask::Store { .. }
            | Ask::Expunge { .. }
            | Ask::Append { .. }
            | Ask::Copy { .. } => true,
            Ask::List { .. }
            | Ask::Status { .. }
            | Ask::Select { .. }
            | Ask::Sync { .. }
            | Ask::Read { .. }
            | Ask::Watch { .. } => false,
        },
        Action::Room { .. }
        | Action::QueueRoom { .. }
        | Action::Hurry { .. }
        | Action::Waiting { .. }
        | Action::Open { .. }
        | Action::Send
        | Action::Read { .. } => false,
    }
}
