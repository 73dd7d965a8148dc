//! What each student, and each address that is no student's, has made the store keep: counted as it is written, noted in the
//! file now and then, so that it holds after a restart.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rusqlite::{Connection, params};

use super::{code, state::parsed};
use crate::evidence::{By, Conn, EventKind, Who};
use crate::lab::Login;

/// What a row of the record takes besides its texts, roughly: its numbers, and its share of pages.
pub const EVENT_OCTETS: u64 = 64;

/// Addresses that have a count of their own; all others share one, so that nobody has as many as there are addresses.
pub const MAX_ADDRESSES: usize = 256;

/// Who is charged for what a connection makes the store keep.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// A student, known by address, endpoint or login. A sender's name is anybody's to give.
    Student(Login),
    /// An address that is no student's.
    Address(IpAddr),
    /// All addresses beyond [`MAX_ADDRESSES`].
    Others,
}

impl Account {
    /// Who is charged; nobody for labctl's own and for other servers, whose students are charged where they hand mail in.
    pub fn of(who: &Who, peer: Option<IpAddr>) -> Option<Self> {
        match who {
            Who::Student { login, by: By::ClientAddress | By::Endpoint | By::Login } => {
                Some(Self::Student(login.clone()))
            }
            Who::Student { by: By::Sender, .. } | Who::Unknown => {
                Some(peer.map_or(Self::Others, |peer| Self::Address(peer.to_canonical())))
            }
            Who::Instructor | Who::Server { .. } => None,
        }
    }

    /// The account as the file and the record name it.
    pub fn name(&self) -> String {
        match self {
            Self::Student(login) => login.to_string(),
            Self::Address(address) => format!("[{address}]"),
            Self::Others => "[*]".to_owned(),
        }
    }

    fn parse(name: &str) -> Result<Self, String> {
        match name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            Some("*") => Ok(Self::Others),
            Some(address) => address.parse().map(Self::Address).map_err(|_| format!("the address `{address}`")),
            None => code::login(name).map(Self::Student),
        }
    }
}

/// What one account has made the store keep.
#[derive(Debug, Default)]
pub struct Used {
    octets: AtomicU64,
    /// Whether the record says that it was too much.
    told: AtomicBool,
}

impl Used {
    /// Octets.
    pub fn octets(&self) -> u64 {
        self.octets.load(Ordering::Relaxed)
    }

    /// Whether the record has still to be told that it was too much; it is from now on.
    pub fn tells(&self) -> bool {
        !self.told.swap(true, Ordering::Relaxed)
    }

    fn add(&self, octets: u64) {
        self.octets.fetch_add(octets, Ordering::Relaxed);
    }

    fn set(&self, octets: u64, told: bool) {
        self.octets.store(octets, Ordering::Relaxed);
        self.told.store(told, Ordering::Relaxed);
    }
}

/// All accounts, shared by the writer (who adds) and the sessions (who look).
#[derive(Debug, Clone, Default)]
pub(super) struct Usage(Arc<Mutex<HashMap<Account, Arc<Used>>>>);

impl Usage {
    fn lock(&self) -> MutexGuard<'_, HashMap<Account, Arc<Used>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The count of an account.
    pub(super) fn of(&self, account: Account) -> (Account, Arc<Used>) {
        let mut all = self.lock();
        let account = match account {
            Account::Address(_) if !all.contains_key(&account) && all.len() >= MAX_ADDRESSES => {
                let addresses = all.keys().filter(|account| matches!(account, Account::Address(_))).count();
                if addresses < MAX_ADDRESSES { account } else { Account::Others }
            }
            Account::Address(_) | Account::Student(_) | Account::Others => account,
        };
        let used = Arc::clone(all.entry(account.clone()).or_default());
        (account, used)
    }

    /// Charges somebody.
    pub(super) fn charge(&self, who: &Who, peer: Option<IpAddr>, octets: u64) {
        if let Some(account) = Account::of(who, peer) {
            self.of(account).1.add(octets);
        }
    }

    /// Lets a student, or everybody, begin anew.
    pub(super) fn forgive(&self, student: Option<&Login>) {
        for (account, used) in &*self.lock() {
            if student.is_none_or(|student| matches!(account, Account::Student(login) if login == student)) {
                used.set(0, false);
            }
        }
    }

    /// Those who have used at least so much, in order.
    pub(super) fn beyond(&self, octets: u64) -> Vec<Account> {
        let all = self.lock();
        let beyond = all.iter().filter(|(_, used)| used.octets() >= octets);
        let mut found: Vec<Account> = beyond.map(|(account, _)| account.clone()).collect();
        found.sort_unstable();
        found
    }

    /// Writes all counts down.
    pub(super) fn note(&self, connection: &Connection) -> rusqlite::Result<()> {
        let sql = "INSERT INTO usage (account, octets, told) VALUES (?, ?, ?) \
                   ON CONFLICT (account) DO UPDATE SET octets = excluded.octets, told = excluded.told";
        let mut statement = connection.prepare_cached(sql)?;
        for (account, used) in &*self.lock() {
            statement.execute(params![account.name(), used.octets(), used.told.load(Ordering::Relaxed)])?;
        }
        Ok(())
    }

    /// Reads the counts anew: what was noted, and what came after it. Returns the addresses of connections that may go on.
    pub(super) fn load(&self, connection: &Connection, noted: u64) -> rusqlite::Result<HashMap<Conn, IpAddr>> {
        self.lock().values().for_each(|used| used.set(0, false));
        let mut statement = connection.prepare("SELECT account, octets, told FROM usage")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.of(parsed(row, 0, Account::parse)?).1.set(row.get(1)?, row.get(2)?);
        }
        let sql = "SELECT conn, who, login, by, kind, line, detail, \
                          coalesce(octet_length(line), 0) + coalesce(octet_length(reply), 0) + coalesce(octet_length(detail), 0) \
                   FROM event JOIN shape ON shape.id = shape WHERE seq > ? ORDER BY seq";
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([noted])?;
        let mut peers = HashMap::new();
        while let Some(row) = rows.next()? {
            let conn = Conn(row.get(0)?);
            let text = |at: usize| row.get_ref(at).ok().and_then(|value| value.as_str_or_null().ok().flatten());
            // What does not read is damage, and whoever reads the record says so.
            let Ok(who) = code::who(text(1).unwrap_or_default(), text(2), text(3)) else { continue };
            match text(4) {
                Some("connected") => {
                    let peer = text(5).and_then(|line| line.split_once(' ')?.0.parse::<std::net::SocketAddr>().ok());
                    peers.extend(peer.map(|peer| (conn, peer.ip())));
                }
                Some("exhausted") => {
                    if let Some(account) = Account::of(&who, peers.get(&conn).copied()) {
                        self.of(account).1.told.store(true, Ordering::Relaxed);
                    }
                }
                Some(_) | None => {}
            }
            let message = match text(4) {
                Some("accepted" | "appended") => {
                    text(6).and_then(|json| serde_json::from_str(json).ok()).map_or(0, |kind| message(&kind))
                }
                Some(_) | None => 0,
            };
            self.charge(&who, peers.get(&conn).copied(), EVENT_OCTETS + row.get::<_, u64>(7)? + message);
            if text(4) == Some("disconnected") {
                peers.remove(&conn);
            }
        }
        Ok(peers)
    }
}

/// Octets of the message that an event put into the store.
pub(super) fn message(kind: &EventKind) -> u64 {
    if let EventKind::Accepted { octets, .. } | EventKind::Appended { octets, .. } = kind { *octets } else { 0 }
}
