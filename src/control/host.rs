//! The process that serves a lab: the servers of all groups, and the control API over one Unix socket. It decides nothing:
//! what it serves it is told over the API, or once by a file.

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
    sync::{Notify, watch},
    task::JoinSet,
    time::timeout,
};

use super::{
    routes,
    values::{
        Connected, Delivered, Disconnect, Disconnected, FaultChanges, Letters, Listening, MailboxStatus, Problem,
        Queue, Reset, ServerStatus, Status, Tried, VERSION,
    },
};
use crate::{
    evidence::{Cause, EventKind, Injected, Timestamp},
    inject,
    lab::{GroupName, Login, ServerConfig, fault::MAX_FAULTS},
    protocol::fault::Standing,
    server::{self, Descriptors, Server, ServerError},
    store::{StoreError, Trouble},
};

/// How long sessions may go on after the process was told to end.
pub const DRAIN: Duration = Duration::from_secs(5);

/// How long answers of the control API may go on after that.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// The most recipients of a queue that are shown.
const SHOWN: usize = 1_000;

/// Where the process writes what people should know, a line each.
pub type Log = Arc<dyn Fn(&str) + Send + Sync>;

/// Octets on their way between a server and the letters that it is handed.
const PIPE: usize = 64 << 10;

/// The servers of one process.
pub struct Host {
    /// When and why the process before this one ended, where it was not stopped and somebody saw it.
    ended: Option<(Timestamp, Cause)>,
    /// Where the process writes what people should know.
    log: Log,
    stores: PathBuf,
    beyond_loopback: bool,
    servers: Mutex<BTreeMap<GroupName, Arc<Server>>>,
    /// Held while a server is started, changed or stopped, so that no group gets two.
    changing: Mutex<BTreeMap<GroupName, Arc<tokio::sync::Mutex<()>>>>,
    stop: Notify,
    stopping: AtomicBool,
    /// Descriptors that servers which are being started will need.
    claimed: Arc<AtomicU64>,
}

impl Host {
    /// A host without servers, which keeps their stores in the folder `stores`. Unless `beyond_loopback`, it refuses
    /// configurations that would listen on a network.
    pub fn new(stores: PathBuf, beyond_loopback: bool) -> Arc<Self> {
        let (servers, changing) = (Mutex::default(), Mutex::default());
        let stopping = AtomicBool::new(false);
        let (ended, log): (_, Log) = (None, Arc::new(|_| {}));
        Arc::new(Self {
            ended,
            log,
            stores,
            beyond_loopback,
            servers,
            changing,
            stop: Notify::new(),
            stopping,
            claimed: Arc::default(),
        })
    }

    /// With what is known of the process before it, and where to write what people should know.
    pub fn telling(self: Arc<Self>, ended: Option<(Timestamp, Cause)>, log: Log) -> Arc<Self> {
        let mut host = Arc::into_inner(self).expect("nobody has it yet");
        (host.ended, host.log) = (ended, log);
        Arc::new(host)
    }

    /// Answers the control API until it is told to end, by the API or by SIGTERM; then drains the servers.
    pub async fn run(self: Arc<Self>, listener: UnixListener) -> io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        // Taking the signal is enough: the terminal that started the process may go away.
        let _hangup = signal(SignalKind::hangup())?;
        let host = Arc::clone(&self);
        let stopped = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                () = host.stop.notified() => {}
            }
            host.drain().await;
        };
        let answering = axum::serve(listener, routes::router(Arc::clone(&self)));
        let (ended, end) = tokio::sync::oneshot::channel();
        let graceful = answering.with_graceful_shutdown(async move {
            stopped.await;
            let _ = ended.send(());
        });
        let answering = tokio::spawn(async move { graceful.await });
        let _ = end.await;
        match timeout(LAST_ANSWERS, answering).await {
            Ok(answered) => answered.unwrap_or_else(|problem| Err(io::Error::other(problem))),
            Err(_) => Ok(()),
        }
    }

    /// Ends the process, after its sessions and commits.
    pub fn stop(&self) {
        self.stop.notify_one();
    }

    /// The server of a group.
    pub fn server(&self, group: &str) -> Result<Arc<Server>, Problem> {
        let missing = || Problem::new(format!("no server of group `{group}` runs"));
        let group = group.parse().ok();
        group.and_then(|group: GroupName| lock(&self.servers).get(&group).cloned()).ok_or_else(missing)
    }

    /// Starts the group's server, or gives it its new configuration.
    pub async fn put(&self, config: ServerConfig) -> Result<(), Problem> {
        if let Some(address) = config
            .endpoints
            .iter()
            .map(|endpoint| endpoint.address)
            .find(|address| !self.beyond_loopback && !address.ip().is_loopback())
        {
            let error = format!("`{address}` is not on loopback, and this process was started for loopback only");
            return Err(Problem::new(error));
        }
        let group = config.group.clone();
        let gate = self.gate(&group);
        let _one_at_a_time = gate.lock().await;
        let running = lock(&self.servers).get(&group).cloned();
        if let Some(server) = running {
            return server.reconfigure(config).await.map_err(|problem| told(&problem));
        }
        let _claim = self.claim(server::needed(&config.endpoints)).ok_or_else(|| too_few(&config))?;
        let store = self.stores.join(format!("{group}.sqlite"));
        let server = Server::start_after(config, &store, self.ended.clone()).await.map_err(|problem| told(&problem))?;
        if let Some(cut) = server.after() {
            let at = cut.time.of_day(jiff::Zoned::now().offset().seconds());
            (self.log)(&format!("server `{group}`: the one before it ended at {at}: {cut}"));
        }
        tokio::spawn(tell_of_trouble(group.clone(), server.store().trouble(), Arc::clone(&self.log)));
        lock(&self.servers).insert(group, server);
        Ok(())
    }

    /// Stops the group's server; its store stays.
    pub async fn delete(&self, group: &str) -> Result<(), Problem> {
        let gate = self.gate(&self.server(group)?.config().group);
        let _one_at_a_time = gate.lock().await;
        let server = self.server(group)?;
        lock(&self.servers).remove(&server.config().group);
        server.stop(DRAIN).await.map_err(|problem| told(&problem.into()))
    }

    /// Ends sessions of a student of a group.
    pub async fn disconnect(&self, group: &str, wanted: Disconnect) -> Result<Disconnected, Problem> {
        let sessions = self.server(group)?.disconnect(&wanted.student, wanted.conn).await;
        Ok(Disconnected { sessions })
    }

    /// Lets students of a group start their next run.
    pub async fn reset(&self, group: &str, reset: Reset) -> Result<(), Problem> {
        let server = self.server(group)?;
        let done = server.reset(reset.students, reset.whole_group).await;
        done.map_err(|problem| told(&problem.into()))
    }

    /// The mail of a group's server that waits for others.
    pub fn queue(&self, group: &str) -> Result<Queue, Problem> {
        let (first, recipients) = self.server(group)?.queue(SHOWN).map_err(|problem| told(&problem.into()))?;
        Ok(Queue { recipients, first })
    }

    /// Tries it now, all of it or that for a domain.
    pub fn try_queue(&self, group: &str, domain: Option<&str>) -> Result<Tried, Problem> {
        Ok(Tried { recipients: self.server(group)?.try_now(domain) })
    }

    /// The faults that each student of a group meets.
    pub fn faults(&self, group: &str) -> Result<Vec<Standing>, Problem> {
        let server = self.server(group)?;
        Ok(server.faults(&students(&server.config())))
    }

    /// Sets and clears faults of students of a group.
    pub async fn change_faults(&self, group: &str, changes: FaultChanges) -> Result<(), Problem> {
        let server = self.server(group)?;
        let known = students(&server.config());
        let meant = changes.set.iter().map(|(login, _)| login).chain(changes.clear.iter().map(|(login, _)| login));
        for login in meant {
            if !known.contains(login) {
                return Err(Problem::new(format!("group `{group}` has no student `{login}`")));
            }
        }
        // One that is cleared makes room, and one that replaces another of its name takes none, but neither has to be counted:
        // who is at the limit clears first.
        let own = |login: &Login| server.faults(std::slice::from_ref(login)).iter().filter(|own| own.by_hand).count();
        let more = |login: &Login| changes.set.iter().filter(|(other, _)| other == login).count();
        if let Some((login, _)) = changes.set.iter().find(|(login, _)| own(login) + more(login) > MAX_FAULTS) {
            let error =
                format!("`{login}` meets {} of at most {MAX_FAULTS} faults already: clear some first", own(login));
            return Err(Problem::new(error));
        }
        let clear = changes.clear.into_iter().map(|(student, fault)| EventKind::FaultCleared { student, fault });
        let set = changes.set.into_iter().map(|(student, fault)| EventKind::FaultSet { student, fault });
        server.change_faults(clear.chain(set).collect()).await.map_err(|problem| told(&problem.into()))
    }

    /// Delivers letters to the group's server as any client would, but those that it has.
    pub async fn deliver(&self, group: &str, wanted: Letters) -> Result<Delivered, Problem> {
        let server = self.server(group)?;
        let Letters { again, mut letters } = wanted;
        if !again {
            let before = server.store().injected().map_err(|problem| told(&problem.into()))?;
            letters.retain(|letter| !before.contains(&letter.copy));
        }
        let total = letters.len();
        let open = |copy: &Injected| {
            let (server, copy) = (Arc::clone(&server), copy.clone());
            async move {
                let (ours, theirs) = tokio::io::duplex(PIPE);
                tokio::spawn(async move { server.inject(theirs, copy).await });
                Ok(ours)
            }
        };
        let undelivered = inject::send_all(letters, open).await;
        let undelivered: Vec<_> = undelivered.into_iter().map(|(copy, problem)| (copy, problem.to_string())).collect();
        Ok(Delivered { sent: total - undelivered.len(), undelivered })
    }

    /// The process and every server in it; with `injected` also what each was sent for the lab.
    pub async fn status(&self, injected: bool) -> Result<Status, Problem> {
        let servers: Vec<Arc<Server>> = lock(&self.servers).values().cloned().collect();
        for server in &servers {
            // Nothing may have come since the disk has room again.
            if server.store().trouble().borrow().is_some() {
                let _ = server.store().flush().await;
            }
        }
        let servers = servers.iter().map(|server| status_of(server, injected)).collect::<Result<_, _>>()?;
        Ok(Status {
            version: VERSION,
            labctl: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            beyond_loopback: self.beyond_loopback,
            stopping: self.stopping.load(Ordering::Relaxed),
            descriptors: Descriptors::now(),
            servers,
        })
    }

    /// Returns when everything that the servers have seen is committed.
    pub async fn flush(&self) -> Result<(), Problem> {
        let servers: Vec<Arc<Server>> = lock(&self.servers).values().cloned().collect();
        let mut flushing: JoinSet<Result<(), StoreError>> = JoinSet::new();
        for server in servers {
            flushing.spawn(async move { server.store().flush().await });
        }
        while let Some(flushed) = flushing.join_next().await {
            flushed.unwrap_or(Ok(())).map_err(|problem| told(&problem.into()))?;
        }
        Ok(())
    }

    /// A claim to so many descriptors, held until they are open; none where the process may not have them.
    fn claim(&self, wanted: u64) -> Option<Claim> {
        let others = self.claimed.fetch_add(wanted, Ordering::Relaxed);
        let claim = Claim { wanted, claimed: Arc::clone(&self.claimed) };
        Descriptors::now().has_room(others + wanted).then_some(claim)
    }

    fn gate(&self, group: &GroupName) -> Arc<tokio::sync::Mutex<()>> {
        Arc::clone(lock(&self.changing).entry(group.clone()).or_default())
    }

    async fn drain(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        let servers = std::mem::take(&mut *lock(&self.servers));
        let mut stopping: JoinSet<()> = JoinSet::new();
        for server in servers.into_values() {
            // A store that cannot be closed has nobody left to be told; what it promised is on disk.
            stopping.spawn(async move { drop(server.stop(DRAIN).await) });
        }
        while stopping.join_next().await.is_some() {}
    }
}

/// Writes down that a store cannot be written, and that it can again, until it is closed.
async fn tell_of_trouble(group: GroupName, mut trouble: watch::Receiver<Option<Trouble>>, log: Log) {
    let mut was_in_trouble = false;
    while trouble.changed().await.is_ok() {
        let now = trouble.borrow_and_update().clone();
        let is_in_trouble = now.is_some();
        match now {
            // Said once, not for each event that is lost.
            Some(trouble) if !was_in_trouble => log(&format!("server `{group}`: {trouble}")),
            None if was_in_trouble => log(&format!("server `{group}`: its store can be written again")),
            Some(_) | None => {}
        }
        was_in_trouble = is_in_trouble;
    }
}

/// The students of a server's group.
fn students(config: &ServerConfig) -> Vec<Login> {
    let own = config.accounts.iter().filter(|(_, account)| account.student);
    own.map(|(login, _)| login.clone()).collect()
}

/// Descriptors that somebody is about to open.
struct Claim {
    wanted: u64,
    claimed: Arc<AtomicU64>,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claimed.fetch_sub(self.wanted, Ordering::Relaxed);
    }
}

/// That a server cannot be started, because the process may not have the descriptors that it needs.
fn too_few(config: &ServerConfig) -> Problem {
    let limit = Descriptors::now().limit;
    let needed = server::needed(&config.endpoints);
    let error = format!(
        "out of file descriptors: this server needs {needed}, and the process may have {limit} for all (`ulimit -Hn`)"
    );
    Problem { descriptors: Some(limit), ..Problem::new(error) }
}

/// What a server says of itself; only what was injected is asked of the disk.
fn status_of(server: &Server, injected: bool) -> Result<ServerStatus, Problem> {
    let (connections, students) = server.connected();
    let known: usize = students.values().sum();
    let mut connected: Vec<Connected> =
        students.into_iter().map(|(login, sessions)| Connected { student: Some(login), sessions }).collect();
    if connections > known {
        connected.push(Connected { student: None, sessions: connections - known });
    }
    let mailbox = |mailbox: crate::store::Mailbox| MailboxStatus {
        name: mailbox.name,
        messages: mailbox.count,
        octets: mailbox.octets,
    };
    let mailboxes = server.store().mailboxes().into_iter().map(mailbox).collect();
    let injected = injected.then(|| server.store().injected()).transpose().map_err(|problem| told(&problem.into()))?;
    let (config, after) = (ServerConfig::clone(&server.config()), server.after().cloned());
    let (trouble, sessions) = (server.store().trouble().borrow().clone(), server.sessions());
    Ok(ServerStatus { config, after, trouble, sessions, connected, mailboxes, injected })
}

/// A server's error for whoever asked.
fn told(problem: &ServerError) -> Problem {
    let told = Problem::new(problem.to_string());
    match problem {
        ServerError::InUse { address, .. } => Problem { in_use: Some(*address), ..told },
        ServerError::Listen { address, source, .. } => {
            let listening = match source.kind() {
                io::ErrorKind::PermissionDenied => Some(Listening::Privileged),
                io::ErrorKind::AddrNotAvailable => Some(Listening::Elsewhere),
                _ => None,
            };
            Problem { listening: listening.map(|why| (*address, why)), ..told }
        }
        ServerError::Dialect(_) | ServerError::Seed(_) | ServerError::Store(_) => told,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        lab::{
            Fault, Protocol,
            fault::{Count, place},
        },
        plan::{
            Addressing, Numbers,
            resolve::tests::{key, lab},
            servers,
        },
    };

    fn config() -> ServerConfig {
        let lab = lab(&[("g01", &["ana"])]);
        let mut numbers = Numbers::default();
        numbers.assign(&lab);
        servers(&lab, &key(), Addressing::Ephemeral, &numbers).remove(0)
    }

    #[tokio::test]
    async fn the_log_says_once_that_a_store_cannot_be_written_and_that_it_can_again() {
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&written);
        let log: Log = Arc::new(move |line: &str| lock(&lines).push(line.to_owned()));
        let (send, receive) = watch::channel(None);
        let telling = tokio::spawn(tell_of_trouble("g01".parse().unwrap(), receive, log));
        let trouble = |events| Some(Trouble { since: Timestamp(7), why: "disk full".into(), events });
        for said in [trouble(1), trouble(2), None, trouble(1)] {
            send.send_replace(said);
            // It has to see each: what is replaced before that is never said.
            while lock(&written).is_empty() {
                tokio::task::yield_now().await;
            }
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        }
        drop(send);
        telling.await.unwrap();
        let full =
            "server `g01`: its store cannot be written (disk full): mail is refused for now (451), and 1 event is lost";
        assert_eq!(*lock(&written), [full, "server `g01`: its store can be written again", full]);
    }

    #[tokio::test]
    async fn a_host_starts_changes_and_stops_servers() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let host = Host::new(folder.path().to_owned(), false);
        let mut config = config();
        host.put(config.clone()).await.unwrap();
        config.relay = true;
        host.put(config.clone()).await.unwrap();
        let status = host.status(true).await.unwrap();
        assert_eq!(status.servers.len(), 1);
        assert_eq!(status.servers[0].config, config);
        assert_eq!(status.servers[0].injected, Some(Vec::new()));
        host.delete("g01").await.unwrap();
        assert_eq!(host.status(false).await.unwrap().servers, []);
        let gone = host.delete("g01").await.unwrap_err();
        assert_eq!(gone.error, "no server of group `g01` runs");
    }

    #[tokio::test]
    async fn a_student_meets_faults_up_to_a_limit() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let host = Host::new(folder.path().to_owned(), false);
        host.put(config()).await.unwrap();
        let ana: Login = "ana".parse().unwrap();
        let set = |first: usize, count: usize| {
            let fault = |number: usize| Fault {
                id: format!("f{number}").parse().unwrap(),
                protocol: Protocol::Smtp,
                at: place("EHLO").unwrap(),
                act: "cut".parse().unwrap(),
                count: Count::Times(1),
                after: Vec::new(),
                again: false,
            };
            let set = (first..first + count).map(|number| (ana.clone(), fault(number))).collect();
            host.change_faults("g01", FaultChanges { set, clear: Vec::new() })
        };
        set(0, MAX_FAULTS - 1).await.unwrap();
        let refused = set(MAX_FAULTS, 2).await.unwrap_err();
        assert_eq!(refused.error, "`ana` meets 99 of at most 100 faults already: clear some first");
        set(MAX_FAULTS, 1).await.unwrap();
        assert!(set(MAX_FAULTS + 1, 1).await.is_err());
        assert_eq!(host.faults("g01").unwrap().len(), MAX_FAULTS);
    }

    #[tokio::test]
    async fn a_host_for_loopback_listens_on_no_network() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let host = Host::new(folder.path().to_owned(), false);
        let mut config = config();
        config.endpoints[0].address = ([0, 0, 0, 0], 0).into();
        let refused = host.put(config).await.unwrap_err();
        assert!(refused.error.starts_with("`0.0.0.0:0` is not on loopback"), "{}", refused.error);
        assert_eq!(host.status(false).await.unwrap().servers, []);
    }

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut config = config();
        config.endpoints[0].address = taken.local_addr().unwrap();
        let refused = Host::new(folder.path().to_owned(), false).put(config).await.unwrap_err();
        assert_eq!(refused.in_use, Some(taken.local_addr().unwrap()));
    }
}
