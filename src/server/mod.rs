//! The server of one group: listens, drives a session for each connection, keeps everything in the store. It decides
//! nothing about mail: that is `crate::protocol`.
//!
//! ```text
//!  accept ─▶ registry (who, one too many?) ─▶ drive: wire ─▶ framer ─▶ session ─▶ reply ─▶ wire
//!                                                                        └ events, actions ─▶ store
//! ```
//!
//! A long answer is made as the wire takes it (`crate::protocol`, long answers): `drive` performs `Action::Send` and `Action::Read`
//! only when what was said before is written, and `flight` counts what is not, for each session and for the server. Mail that comes in
//! is counted by `under_way`.

mod accept;
mod allowance;
mod bucket;
mod clock;
mod descriptors;
mod drive;
mod error;
mod faults;
mod flight;
mod machine;
mod names;
mod registry;
mod relay;
mod tls;
mod under_way;
mod wire;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    task::JoinSet,
    time::Instant,
};

pub use descriptors::{Descriptors, needed};
pub use error::ServerError;
pub use flight::{PER_SERVER, PER_SESSION};
pub use registry::Session;

use self::{
    accept::{Listener, Sockets},
    allowance::Rates,
    clock::{Clock, Seeds},
    drive::Drive,
    faults::Desk,
    flight::Flight,
    names::Names,
    registry::Registry,
    relay::Relay,
    under_way::UnderWay,
    wire::Stream,
};
use crate::{
    evidence::{Cause, Conn, Ending, Event, EventKind, Injected, Interruption, Seq, Timestamp, Who},
    lab::{Login, ServerConfig, Service, server::Endpoint},
    mail::Queued,
    protocol::{
        Peer,
        dialect::{self, Dialect},
        fault::Standing,
        smtp,
    },
    store::{Account, Counts, Mailbox, Origin, Reader, Store, StoreError},
};

/// A running server.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    listeners: Mutex<BTreeMap<Endpoint, Listener>>,
    /// How the one before it ended, where it was not stopped.
    after: Option<Interruption>,
    /// Carries mail to other servers as long as the server is there.
    _relay: JoinSet<()>,
}

/// What all sessions of a server share.
#[derive(Debug)]
struct Shared {
    store: Store,
    relay: Relay,
    names: Names,
    rates: Rates,
    settings: RwLock<Arc<Settings>>,
    registry: Registry,
    clock: Clock,
    seeds: Seeds,
    faults: Desk,
    /// How many descriptors the process may have; 0: nobody knows.
    descriptors: u64,
    flight: Flight,
    under_way: UnderWay,
    /// Until when sessions may finish what is under way; none while the server runs.
    stopping: watch::Sender<Option<Instant>>,
}

/// The configuration with what it names.
#[derive(Debug)]
struct Settings {
    config: Arc<ServerConfig>,
    dialect: Arc<Dialect>,
    /// Made when the first handshake comes: most servers of a large class see none for hours.
    handshakes: OnceLock<Result<Arc<rustls::ServerConfig>, String>>,
}

/// What a server is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Connections now.
    pub connections: usize,
    /// Connections now by student, as far as they are known.
    pub students: BTreeMap<Login, usize>,
    /// The mailboxes that ever held something.
    pub mailboxes: Vec<Mailbox>,
    /// How much the store holds.
    pub counts: Counts,
}

impl Server {
    /// Opens the store, listens on every endpoint, records that it started. Nothing stays where one of these fails.
    pub async fn start(config: ServerConfig, store_path: &Path) -> Result<Arc<Self>, ServerError> {
        Self::start_after(config, store_path, None).await
    }

    /// The same; `ended` is when and why the process ended that had the store before, where somebody saw it.
    pub async fn start_after(
        config: ServerConfig,
        store_path: &Path,
        ended: Option<(Timestamp, Cause)>,
    ) -> Result<Arc<Self>, ServerError> {
        Self::start_by(Clock::system, config, store_path, ended).await
    }

    /// The same by another clock than the system's.
    async fn start_by(
        clock: impl FnOnce(Option<(Timestamp, Timestamp)>) -> Clock,
        config: ServerConfig,
        store_path: &Path,
        ended: Option<(Timestamp, Cause)>,
    ) -> Result<Arc<Self>, ServerError> {
        let settings = Settings::new(config)?;
        let bound = bind(&settings.config.endpoints, &BTreeMap::new())?;
        let store = Store::open(store_path)?;
        let after = if store.was_closed() { None } else { Some(interruption(store_path, ended)?) };
        let clock = clock(store.last_came()?);
        let shared = Arc::new(Shared {
            relay: Relay::new(&store),
            names: Names::default(),
            rates: Rates::default(),
            store,
            settings: RwLock::new(Arc::new(settings)),
            registry: Registry::default(),
            clock,
            seeds: Seeds::new()?,
            faults: Desk::default(),
            descriptors: descriptors::limit(),
            flight: Flight::default(),
            under_way: UnderWay::default(),
            stopping: watch::Sender::new(None),
        });
        shared.remember_faults()?;
        let started = EventKind::Started { version: env!("CARGO_PKG_VERSION").to_owned(), after: after.clone() };
        let time = Timestamp(shared.clock.now().micros);
        shared.store.record(Origin { conn: Conn(0), who: Who::Instructor, time }, vec![started]).await?;
        let mut listeners = BTreeMap::new();
        for (endpoint, bound) in bound {
            bound.listen(&shared, endpoint, &mut listeners)?;
        }
        let mut relay = JoinSet::new();
        relay.spawn(relay::run(Arc::clone(&shared)));
        Ok(Arc::new(Self { shared, listeners: Mutex::new(listeners), after, _relay: relay }))
    }

    /// Takes a new configuration on: new endpoints are opened, those that are no longer named are closed. Sessions under way
    /// keep what they had. Nothing changes where an endpoint cannot be opened.
    pub async fn reconfigure(&self, config: ServerConfig) -> Result<(), ServerError> {
        let settings = Settings::new(config)?;
        let changed = settings.config.relaying != self.config().relaying;
        let closed = self.listen(settings)?;
        if changed {
            // Somebody may be reached now who was not before.
            self.try_now(None);
        }
        for listener in closed.into_values() {
            listener.stop().await;
        }
        Ok(())
    }

    /// Opens what is new; what remains is to be closed.
    fn listen(&self, settings: Settings) -> Result<BTreeMap<Endpoint, Listener>, ServerError> {
        self.shared.faults.tell(&settings.config);
        let mut listeners = self.lock();
        let bound = bind(&settings.config.endpoints, &listeners)?;
        *self.shared.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        let mut closed = std::mem::take(&mut *listeners);
        for (endpoint, bound) in bound {
            match closed.remove(&endpoint) {
                Some(kept) => _ = listeners.insert(endpoint, kept),
                None => bound.listen(&self.shared, endpoint, &mut listeners)?,
            }
        }
        Ok(closed)
    }

    /// The endpoints with the addresses they really have, in order.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let real =
            |(endpoint, listener): (&Endpoint, &Listener)| Endpoint { address: listener.address, ..endpoint.clone() };
        self.lock().iter().map(real).collect()
    }

    /// The configuration now.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.shared.settings().config)
    }

    /// How the one before it ended, where it was not stopped.
    pub fn after(&self) -> Option<&Interruption> {
        self.after.as_ref()
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    /// The first recipients in the queue for other servers, at most so many, and how many there are. When they are due is told
    /// as a date.
    pub fn queue(&self, most: usize) -> Result<(Vec<Queued>, usize), StoreError> {
        let (mut first, now) = (self.shared.store.queue(most)?, self.shared.clock.now());
        for queued in &mut first {
            queued.due = now.date_of(queued.due);
        }
        Ok((first, self.shared.relay.recipients()))
    }

    /// Tries all mail for other servers now, or that for one domain; says how many recipients that are.
    pub fn try_now(&self, domain: Option<&str>) -> usize {
        self.shared.relay.hurry(domain, self.shared.clock.now().steady())
    }

    /// Octets that are answered and not yet taken by a client, now and at most so far.
    pub fn octets_in_flight(&self) -> (usize, usize) {
        self.shared.flight.octets()
    }

    /// Connections now: all of them, and by student as far as they are known. Asks nothing of the store.
    pub fn connected(&self) -> (usize, BTreeMap<Login, usize>) {
        self.shared.registry.connected()
    }

    /// The sessions that are open now.
    pub fn sessions(&self) -> Vec<Session> {
        self.shared.registry.sessions()
    }

    /// Ends the sessions of a student, or only that of one connection; how many they are.
    pub async fn disconnect(&self, student: &Login, conn: Option<Conn>) -> usize {
        self.shared.registry.disconnect(student, conn).await
    }

    /// What it is doing now.
    pub fn status(&self) -> Result<Status, StoreError> {
        let (connections, students) = self.shared.registry.connected();
        let (mailboxes, counts) = (self.shared.store.mailboxes(), self.shared.store.counts()?);
        Ok(Status { connections, students, mailboxes, counts })
    }

    /// Those of whom there is as much evidence as the lab allows: their sessions end.
    pub fn exhausted(&self) -> Vec<Account> {
        self.shared.store.beyond(self.config().limits.evidence)
    }

    /// Starts a new run of each student; a whole group's mailboxes are emptied.
    pub async fn reset(&self, students: Vec<Login>, whole_group: bool) -> Result<(), StoreError> {
        let now = self.shared.clock.now();
        let origin = Origin { conn: Conn(0), who: Who::Instructor, time: Timestamp(now.micros) };
        self.shared.store.reset(origin, students.clone(), whole_group).await?;
        let reset = |student| EventKind::Reset { student, removed: Vec::new() };
        self.shared.take_faults(now.steady(), students.into_iter().map(reset).collect());
        Ok(())
    }

    /// Every fault that these students meet.
    pub fn faults(&self, students: &[Login]) -> Vec<Standing> {
        self.shared.faults.standing(students)
    }

    /// Writes down that faults are set or cleared ([`EventKind::FaultSet`], [`EventKind::FaultCleared`]); they are from here on.
    pub async fn change_faults(&self, changes: Vec<EventKind>) -> Result<(), StoreError> {
        let now = self.shared.clock.now();
        let origin = Origin { conn: Conn(0), who: Who::Instructor, time: Timestamp(now.micros) };
        self.shared.store.record(origin, changes.clone()).await?;
        self.shared.store.flush().await?;
        self.shared.take_faults(now.steady(), changes);
        Ok(())
    }

    /// Holds an SMTP session for labctl itself over any stream; what it delivers counts as `injected`.
    pub async fn inject<S>(&self, stream: S, injected: Injected) -> Ending
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let settings = self.shared.settings();
        let peer = Peer {
            config: Arc::clone(&settings.config),
            dialect: Arc::clone(&settings.dialect),
            service: Service::Smtp,
            remote: None,
            local: None,
            name: None,
            who: Who::Instructor,
            seed: self.shared.seeds.draw(),
        };
        let shared = Arc::clone(&self.shared);
        Drive::<smtp::Session, _>::new(shared, Stream(stream), peer, None, Some(injected)).run(None).await
    }

    /// Stops: takes no more connections, tells idle sessions, lets messages under way finish within `drain`, closes the store.
    pub async fn stop(&self, drain: Duration) -> Result<(), StoreError> {
        let listeners = std::mem::take(&mut *self.lock());
        for listener in listeners.into_values() {
            listener.stop().await;
        }
        self.shared.stopping.send_replace(Some(Instant::now() + drain));
        self.shared.stopping.closed().await;
        self.shared.store.close().await
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Endpoint, Listener>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the record tells of a server that was not stopped, and why it ended, as far as somebody saw it.
fn interruption(store: &Path, ended: Option<(Timestamp, Cause)>) -> Result<Interruption, StoreError> {
    let (last, open) = Reader::open(store)?.left_open()?;
    // An older end is not this one's.
    let (time, cause) = ended.filter(|(time, _)| *time >= last).unwrap_or((last, Cause::Unseen));
    let connected: Vec<Login> = open.iter().filter_map(Who::student).cloned().collect();
    let unknown = open.len() - connected.len();
    Ok(Interruption { time, cause, connected, unknown })
}

impl Shared {
    /// The faults of the lab and of the record.
    fn remember_faults(&self) -> Result<(), StoreError> {
        self.faults.tell(&self.settings().config);
        if faults::KINDS.iter().any(|kind| kind.starts_with("fault") && self.store.had(kind)) {
            let events = Reader::open(self.store.path())?.events_of(&faults::KINDS)?;
            for event in &events {
                self.faults.take(event);
            }
        }
        Ok(())
    }

    fn take_faults(&self, time: Timestamp, changes: Vec<EventKind>) {
        for kind in changes {
            self.faults.take(&Event { seq: Seq(0), time, run: 1, conn: Conn(0), who: Who::Instructor, kind });
        }
    }

    /// Whether there is as much evidence of somebody as the lab allows.
    fn is_exhausted(&self, who: &Who, from: IpAddr) -> bool {
        let limit = self.settings().config.limits.evidence;
        Account::of(who, Some(from)).is_some_and(|account| self.store.used(account).1.octets() >= limit)
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Settings {
    fn new(config: ServerConfig) -> Result<Self, ServerError> {
        let dialect = dialect::named(&config.dialect).ok_or_else(|| ServerError::Dialect(config.dialect.clone()))?;
        Ok(Self { config: Arc::new(config), dialect, handshakes: OnceLock::new() })
    }

    /// What handshakes are held with, or why there can be none.
    fn handshakes(&self) -> Result<&Arc<rustls::ServerConfig>, &str> {
        let make = || match &self.config.identity {
            Some(identity) => tls::config(identity).map_err(|why| format!("the server's certificate is no use: {why}")),
            None => Err("the server has no certificate".to_owned()),
        };
        self.handshakes.get_or_init(make).as_ref().map_err(String::as_str)
    }
}

/// An endpoint's socket.
enum Bound {
    /// The endpoint is listened on already.
    Kept,
    /// A listener is to be started on it.
    New(Sockets),
}

impl Bound {
    fn listen(
        self,
        shared: &Arc<Shared>,
        endpoint: Endpoint,
        listeners: &mut BTreeMap<Endpoint, Listener>,
    ) -> Result<(), ServerError> {
        if let Self::New(sockets) = self {
            let listener = Listener::start(shared, &endpoint, sockets)?;
            listeners.insert(endpoint, listener);
        }
        Ok(())
    }
}

/// Sockets for all endpoints, or the first error. An address that is listened on already, but for somebody else, keeps its
/// socket: there is no moment in which nobody listens.
fn bind(endpoints: &[Endpoint], before: &BTreeMap<Endpoint, Listener>) -> Result<Vec<(Endpoint, Bound)>, ServerError> {
    let bound = |endpoint: &Endpoint| {
        if before.contains_key(endpoint) {
            return Ok((endpoint.clone(), Bound::Kept));
        }
        let same = before.values().find(|listener| listener.address == endpoint.address && listener.serves(endpoint));
        let sockets = same.map_or_else(|| accept::bind(endpoint), |listener| Ok(listener.sockets.clone()))?;
        Ok((endpoint.clone(), Bound::New(sockets)))
    };
    endpoints.iter().map(bound).collect()
}
