//! One connection's worth of mail for one domain.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{net::lookup_host, sync::watch, time::Instant, time::timeout};

use super::{
    super::{
        Shared,
        wire::{Connection, Wire},
    },
    line::{self, Line, To},
};
use crate::{
    evidence::{Conn, MessageId, Timestamp},
    lab::ServerConfig,
    mail::{QueueChange, QueueId, Queued},
    protocol::{
        dns::zone::{self, Way},
        outgoing::{self, Tried},
        smtp::{
            self,
            client::{Addressee, Letter, MAX_RECIPIENTS, Verdict},
            hearing::Reply,
        },
    },
    store::{Origin, Settlement},
};

/// How long a connection stays open for more mail (RFC 5321 4.5.4.1 wants it used again, and nobody wants it kept for ever).
const KEPT: Duration = Duration::from_millis(500);

/// Messages over one connection; servers may have limits, and a changed configuration should be noticed.
const MESSAGES: usize = 1_000;

/// The pause after the store failed to write down what became of mail.
const PAUSE_MICROS: i64 = 5_000_000;

/// What became of the next message.
pub(super) enum Sending {
    /// It is settled, or cannot be sent now.
    Sent,
    /// There is none.
    Nothing,
    /// The connection is not to be used again.
    Over,
}

/// A journey to one domain.
pub(super) struct Courier {
    server: Arc<Shared>,
    domain: String,
    config: Arc<ServerConfig>,
    /// Whether it goes to a server of the lab, which keeps once what comes twice.
    to_neighbour: bool,
    stopping: watch::Receiver<Option<Instant>>,
}

/// Carries what is due for a domain. Counted as a connection until it returns.
pub(super) async fn carry(server: Arc<Shared>, domain: String) {
    let mut courier = Courier::new(server, domain);
    courier.run().await;
    courier.server.relay.lanes.ended(&courier.domain);
    // Something may have come since the last look.
    courier.server.relay.arrivals.ring();
}

impl Courier {
    /// A journey that has not begun.
    pub(super) fn new(server: Arc<Shared>, domain: String) -> Self {
        let config = Arc::clone(&server.settings().config);
        let stopping = server.stopping.subscribe();
        Self { server, domain, config, to_neighbour: false, stopping }
    }

    async fn run(&mut self) {
        let config = Arc::clone(&self.config);
        // A server of this lab, or whoever was given a certificate by its authority, can show that it is the one.
        let authority = config.identity.as_ref().map(|own| own.authority.as_str());
        let refusal = match zone::way(&config, &self.domain) {
            Way::Neighbour(neighbour) => {
                self.to_neighbour = true;
                return self.visit(neighbour.host.clone(), &[neighbour.smtp], config.relaying.from, authority).await;
            }
            Way::Route(route) => match self.look_up(&route.host, route.port).await {
                Ok(addresses) if addresses.iter().any(|address| zone::is_own(&config, *address)) => {
                    circle(&self.domain)
                }
                Ok(addresses) => return self.visit(route.host.clone(), &addresses, None, authority).await,
                Err(why) => return self.all(&Tried::default(), &Verdict::Later(why)).await,
            },
            Way::OnDemand => {
                let why = format!("4.7.1 mail for {} waits until its server asks for it with ATRN", self.domain);
                return self.all(&Tried::default(), &Verdict::Later(Reply::own(450, why))).await;
            }
            Way::Circle => circle(&self.domain),
            Way::Nowhere => {
                Reply::own(550, format!("5.1.2 no such domain: nobody in this lab takes mail for {}", self.domain))
            }
        };
        self.all(&Tried::default(), &Verdict::Never(refusal)).await;
    }

    async fn look_up(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Reply> {
        let failed = |why: &dyn std::fmt::Display| Reply::own(451, format!("4.4.3 look up {host}: {why}"));
        let found: Vec<SocketAddr> = lookup_host((host, port)).await.map_err(|problem| failed(&problem))?.collect();
        if found.is_empty() { Err(failed(&"it has no address")) } else { Ok(found) }
    }

    /// Goes to the first of the addresses that answers.
    async fn visit(&mut self, name: String, addresses: &[SocketAddr], from: Option<IpAddr>, authority: Option<&str>) {
        let mut tried = Tried { name, ..Tried::default() };
        let mut why = Reply::own(451, "4.4.1 no address");
        for address in addresses {
            tried.address = address.ip().to_string();
            let to = To { name: &tried.name, address: *address, from, authority };
            let opened = tokio::select! {
                opened = line::open(to, &self.config) => opened,
                _ = self.stopping.wait_for(Option::is_some) => return,
            };
            match opened {
                Ok(line) => {
                    tried.tls.clone_from(&line.tls);
                    return self.deliver(line, &tried).await;
                }
                Err(reply) => why = reply,
            }
        }
        self.all(&tried, &Verdict::Later(why)).await;
    }

    /// Sends message after message, until there are no more.
    async fn deliver(&mut self, mut line: Line<Connection>, tried: &Tried) {
        for _ in 0..MESSAGES {
            match self.next(&mut line, tried).await {
                Sending::Sent => {}
                Sending::Nothing if self.more(&line).await => {}
                Sending::Nothing => break,
                Sending::Over => return,
            }
        }
        line.quit().await;
    }

    /// Sends the next message that is due.
    pub(super) async fn next<W: Wire>(&mut self, line: &mut Line<W>, tried: &Tried) -> Sending {
        let Some(pulled) = self.pull() else { return Sending::Nothing };
        let Some((letter, content)) = self.letter(&pulled) else { return Sending::Sent };
        let mut sent = tokio::select! {
            sent = line.send(letter) => sent,
            // What is not settled stays in the queue.
            () = deadline(&mut self.stopping) => return Sending::Over,
        };
        // What has no verdict was not sent.
        let lost = || Verdict::Later(Reply::own(451, "4.4.2 the connection was cut"));
        sent.verdicts.resize_with(pulled.len(), lost);
        let verdicts = pulled.into_iter().zip(sent.verdicts).collect::<Vec<_>>();
        self.settle(tried, &verdicts, &content).await;
        if sent.open { Sending::Sent } else { Sending::Over }
    }

    /// Waits a moment for more mail. False: it is time to go.
    async fn more(&mut self, line: &Line<Connection>) -> bool {
        let Some(bell) = self.server.relay.lanes.idle(&self.domain) else { return false };
        let rung = bell.notified();
        if self.server.relay.lanes.is_due(&self.domain, self.now()) {
            self.server.relay.lanes.busy(&self.domain);
            return true;
        }
        let wait = async {
            tokio::select! {
                () = rung => true,
                () = line.disturbed() => false,
                _ = self.stopping.wait_for(Option::is_some) => false,
            }
        };
        let more = timeout(KEPT, wait).await.unwrap_or(false);
        self.server.relay.lanes.busy(&self.domain);
        more
    }

    /// The recipients of the next message that are due; none where nothing is, or the server stops.
    fn pull(&self) -> Option<Vec<Queued>> {
        loop {
            if self.stopping.borrow().is_some() {
                return None;
            }
            let now = self.now();
            let (message, ids) = self.server.relay.lanes.pull(&self.domain, now, MAX_RECIPIENTS)?;
            match self.server.store.queued(&ids) {
                Ok(found) => {
                    self.server.relay.lanes.forget(ids.len() - found.len());
                    if !found.is_empty() {
                        return Some(found);
                    }
                }
                // A store that cannot be read now may be later.
                Err(_) => self.put_back(message, &ids),
            }
        }
    }

    fn put_back(&self, message: MessageId, ids: &[QueueId]) {
        let due = Timestamp(self.now().0 + PAUSE_MICROS);
        let later =
            |id: &QueueId| QueueChange::Later { id: *id, attempts: 0, due, warned: false, reply: String::new() };
        let changes: Vec<QueueChange> = ids.iter().map(later).collect();
        self.server.relay.lanes.settle(&self.domain, message, &changes);
    }

    /// The message as the next server gets it, and as it was sent; none where the store cannot give it now.
    fn letter(&self, pulled: &[Queued]) -> Option<(Letter, Vec<u8>)> {
        let first = pulled.first()?;
        let Ok((trace, content)) = self.server.store.parts(first.message) else {
            self.put_back(first.message, &pulled.iter().map(|queued| queued.id).collect::<Vec<_>>());
            return None;
        };
        let addressee =
            |queued: &Queued| Addressee { address: queued.outgoing.recipient.clone(), notice: queued.notice.clone() };
        let name = if self.to_neighbour {
            smtp::queue_name(&format!("{}.{}.{}", self.config.group, first.message.0, first.queued.0))
        } else {
            Vec::new()
        };
        let letter = Letter {
            sender: first.sender.clone(),
            recipients: pulled.iter().map(addressee).collect(),
            wishes: first.wishes.clone(),
            content: [name.as_slice(), smtp::without_return_path(&trace), &content].concat(),
        };
        Some((letter, content))
    }

    /// The same verdict for everything that is due.
    async fn all(&mut self, tried: &Tried, verdict: &Verdict) {
        while let Some(pulled) = self.pull() {
            let Some((_, content)) = self.letter(&pulled) else { return };
            let verdicts: Vec<_> = pulled.into_iter().map(|queued| (queued, verdict.clone())).collect();
            self.settle(tried, &verdicts, &content).await;
        }
    }

    /// Writes down what became of recipients of one message.
    async fn settle(&self, tried: &Tried, verdicts: &[(Queued, Verdict)], content: &[u8]) {
        let Some((first, _)) = verdicts.first() else { return };
        let now = self.server.clock.now();
        let seed = self.server.seeds.draw();
        let settled = outgoing::settle(&self.config, tried, verdicts, content, seed, now);
        let origin = Origin { conn: Conn(0), who: first.who.clone(), time: Timestamp(now.micros) };
        let settlement = Settlement {
            run: first.run,
            events: settled.events,
            changes: settled.changes.clone(),
            notices: settled.notices,
            server: outgoing::sender_of_notices(&self.config),
        };
        match self.server.store.settle(origin, settlement).await {
            Ok(()) => self.server.relay.lanes.settle(&self.domain, first.message, &settled.changes),
            // The rows are as they were: it is done again, which is better than losing a notice.
            Err(_) => self.put_back(first.message, &verdicts.iter().map(|(queued, _)| queued.id).collect::<Vec<_>>()),
        }
    }

    fn now(&self) -> Timestamp {
        self.server.clock.now().steady()
    }
}

/// Returns when the server stops and its sessions have had their time.
async fn deadline(stopping: &mut watch::Receiver<Option<Instant>>) {
    let until = stopping.wait_for(Option::is_some).await.ok().and_then(|until| *until);
    tokio::time::sleep_until(until.unwrap_or_else(Instant::now)).await;
}

fn circle(domain: &str) -> Reply {
    Reply::own(554, format!("5.4.6 mail for {domain} leads back to this server, which does not take it"))
}
