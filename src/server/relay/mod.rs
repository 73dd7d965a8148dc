//! Carries mail to other servers: takes what is due out of the queue, connects, and writes down what came of it. Where mail goes,
//! what is said, when it is tried again and what the sender hears is decided in `crate::protocol`.
//!
//! ```text
//!  store ── committed recipients ──▶ lanes (by domain) ──▶ courier: a connection to one server, message after message
//!    ▲                                  ▲ tried again later        │ verdicts
//!    └──────── events, changes, notices ┴────── outgoing::settle ◀─┘
//! ```

mod courier;
mod lane;
mod line;
mod secure;
mod turned;

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use self::lane::Lanes;
pub(super) use self::turned::turned;
use super::Shared;
use crate::{
    evidence::Timestamp,
    store::{Store, Waiting},
};

/// The longest sleep.
const NAP: Duration = Duration::from_mins(1);

/// The queue of a server in memory.
#[derive(Debug)]
pub(super) struct Relay {
    arrivals: Arc<Waiting>,
    lanes: Lanes,
}

impl Relay {
    /// The queue that is in the store.
    pub(super) fn new(store: &Store) -> Self {
        Self { arrivals: store.waiting(), lanes: Lanes::default() }
    }

    /// Whether so many recipients more are within the limit. Those of messages that are being committed at this moment are not
    /// counted yet.
    pub(super) fn room(&self, recipients: usize, limit: usize) -> bool {
        self.recipients().saturating_add(recipients) <= limit
    }

    /// Recipients in the queue.
    pub(super) fn recipients(&self) -> usize {
        self.lanes.recipients() + self.arrivals.len()
    }

    /// Recipients that wait for a domain.
    pub(super) fn waiting(&self, domain: &str) -> usize {
        self.lanes.take_in(self.arrivals.take());
        self.lanes.waiting(domain)
    }

    /// Tries everything now, or what waits for a domain; says how many recipients that are.
    pub(super) fn hurry(&self, domain: Option<&str>, now: Timestamp) -> usize {
        self.lanes.take_in(self.arrivals.take());
        let count = self.lanes.hurry(domain, now);
        self.arrivals.ring();
        count
    }
}

/// Works until the server stops.
pub(super) async fn run(server: Arc<Shared>) {
    let mut stopping = server.stopping.subscribe();
    loop {
        let now = server.clock.now();
        server.relay.lanes.take_in(server.relay.arrivals.take());
        let sessions = server.settings().config.relaying.patience.sessions;
        let work = server.relay.lanes.work(now.steady(), sessions);
        for domain in work.start {
            tokio::spawn(courier::carry(Arc::clone(&server), domain));
        }
        let pause = work.next.map(|next| Duration::from_micros(u64::try_from(next.0 - now.steady_micros).unwrap_or(0)));
        tokio::select! {
            biased;
            _ = stopping.wait_for(Option::is_some) => return,
            () = server.relay.arrivals.rung() => {}
            () = sleep(pause.map_or(NAP, |pause| pause.clamp(Duration::from_millis(1), NAP))) => {}
        }
    }
}
