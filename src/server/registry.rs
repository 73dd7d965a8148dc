//! Who is connected: the limits on sessions, and which student a connection is taken for.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{sync::Notify, time::timeout};

use crate::{
    evidence::{By, Conn, Timestamp, Who},
    lab::{Limits, Login, ServerConfig, Service},
    protocol::Refusal,
};

/// How long sessions that are ended may take to be gone; one that waits for its disk takes longer, and goes all the same.
const FAREWELL: Duration = Duration::from_secs(2);

/// The sessions of one server.
#[derive(Debug, Clone, Default)]
pub(super) struct Registry(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    connected: Mutex<Connected>,
    /// Rings when a session has gone.
    gone: Notify,
}

#[derive(Debug, Default)]
struct Connected {
    /// The last number that was given away.
    last: u64,
    open: BTreeMap<u64, Open>,
    students: BTreeMap<Login, usize>,
}

/// A session, as far as others are concerned.
#[derive(Debug)]
struct Open {
    student: Option<Login>,
    session: Option<Session>,
    end: Arc<End>,
}

/// That a session is to end.
#[derive(Debug, Default)]
struct End {
    wanted: AtomicBool,
    bell: Notify,
}

/// A session that is open now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its connection.
    pub conn: Conn,
    /// Whose it is, as far as it is known.
    pub student: Option<Login>,
    /// What it is with.
    pub service: Service,
    /// The other end.
    pub peer: Option<SocketAddr>,
    /// Since when.
    pub since: Timestamp,
    /// The mailbox that it has for itself (RFC 1939 4).
    pub holds: Option<Login>,
}

/// A session's place among the others; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    registry: Registry,
    number: u64,
    end: Arc<End>,
}

impl Registry {
    /// A seat for one more session, or why there is none.
    pub(super) fn admit(&self, who: &Who, limits: &Limits) -> Result<Seat, Refusal> {
        let mut connected = self.lock();
        if connected.open.len() >= limits.sessions {
            return Err(Refusal::ServerSessions);
        }
        let sessions = who.student().and_then(|student| connected.students.get(student)).copied().unwrap_or(0);
        if sessions >= limits.sessions_per_student {
            return Err(Refusal::StudentSessions);
        }
        connected.last += 1;
        let (number, end) = (connected.last, Arc::new(End::default()));
        connected.open.insert(number, Open { student: None, session: None, end: Arc::clone(&end) });
        drop(connected);
        let mut seat = Seat { registry: self.clone(), number, end };
        seat.take(who);
        Ok(seat)
    }

    /// Sessions now, all and per student.
    pub(super) fn connected(&self) -> (usize, BTreeMap<Login, usize>) {
        let connected = self.lock();
        (connected.open.len(), connected.students.clone())
    }

    /// The sessions that are open, in the order in which they came.
    pub(super) fn sessions(&self) -> Vec<Session> {
        let connected = self.lock();
        let session = |open: &Open| Some(Session { student: open.student.clone(), ..open.session.clone()? });
        connected.open.values().filter_map(session).collect()
    }

    /// Ends the sessions of a student, or only that of one connection, and returns when they have gone; how many they are.
    pub(super) async fn disconnect(&self, student: &Login, conn: Option<Conn>) -> usize {
        let numbers: Vec<u64> = {
            let connected = self.lock();
            let is_meant = |open: &Open| {
                open.student.as_ref() == Some(student)
                    && conn.is_none_or(|conn| open.session.as_ref().is_some_and(|session| session.conn == conn))
            };
            let meant = connected.open.iter().filter(|(_, open)| is_meant(open));
            meant.map(|(number, open)| (open.end.ring(), *number).1).collect()
        };
        let gone = async {
            loop {
                let rung = self.0.gone.notified();
                if numbers.iter().all(|number| !self.lock().open.contains_key(number)) {
                    return;
                }
                rung.await;
            }
        };
        let _ = timeout(FAREWELL, gone).await;
        numbers.len()
    }

    fn lock(&self) -> MutexGuard<'_, Connected> {
        self.0.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl End {
    fn ring(&self) {
        self.wanted.store(true, Ordering::Relaxed);
        self.bell.notify_one();
    }
}

impl Seat {
    /// Counts the session for whoever it turned out to be. One that is under way is not refused any more.
    pub(super) fn take(&mut self, who: &Who) {
        let mut connected = self.registry.lock();
        let student = who.student().cloned();
        let before = connected.open.get_mut(&self.number).and_then(|open| {
            let before = open.student.take();
            open.student.clone_from(&student);
            before
        });
        connected.leave(before.as_ref());
        if let Some(student) = student {
            *connected.students.entry(student).or_default() += 1;
        }
    }

    /// Says what the session is.
    pub(super) fn introduce(&self, session: Session) {
        self.change(|open| open.session = Some(session));
    }

    /// Says which mailbox it has for itself.
    pub(super) fn holds(&self, mailbox: Option<Login>) {
        self.change(|open| {
            if let Some(session) = &mut open.session {
                session.holds = mailbox;
            }
        });
    }

    /// Returns when somebody wants the session to end.
    pub(super) async fn ended(&self) {
        self.end.bell.notified().await;
    }

    /// Whether somebody wants it to.
    pub(super) fn is_ended(&self) -> bool {
        self.end.wanted.load(Ordering::Relaxed)
    }

    fn change(&self, change: impl FnOnce(&mut Open)) {
        if let Some(open) = self.registry.lock().open.get_mut(&self.number) {
            change(open);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut connected = self.registry.lock();
        let open = connected.open.remove(&self.number);
        connected.leave(open.and_then(|open| open.student).as_ref());
        drop(connected);
        self.registry.0.gone.notify_waiters();
    }
}

impl Connected {
    fn leave(&mut self, student: Option<&Login>) {
        let Some(student) = student else { return };
        match self.students.get_mut(student) {
            Some(sessions) if *sessions > 1 => *sessions -= 1,
            Some(_) | None => _ = self.students.remove(student),
        }
    }
}

/// Who a connection is from, by the address it came from, else by the endpoint it came to.
pub(super) fn at_the_door(config: &ServerConfig, from: IpAddr, endpoint: Option<&Login>) -> Who {
    let student = |login: &Login, by| Who::Student { login: login.clone(), by };
    let from = from.to_canonical();
    let client = config.clients.get(&from).map(|login| student(login, By::ClientAddress));
    let server = || {
        let neighbour = config.relaying.neighbours.iter().find(|neighbour| neighbour.from == from)?;
        Some(Who::Server { group: neighbour.group.clone() })
    };
    client.or_else(server).or_else(|| endpoint.map(|login| student(login, By::Endpoint))).unwrap_or_default()
}

/// Whether somebody is served at an address of the server's at all.
pub(super) fn is_served(config: &ServerConfig, at: IpAddr, from: IpAddr) -> bool {
    config.clients_only != Some(at.to_canonical()) || config.clients.contains_key(&from.to_canonical())
}

/// Who a session is after it has learnt something: an address is stronger than a login, a login than a sender.
pub(super) fn learnt(known: &Who, now: Who) -> Who {
    match (known, &now) {
        (Who::Unknown, _)
        | (Who::Student { by: By::Login | By::Sender, .. }, Who::Student { by: By::Login, .. })
        | (Who::Student { by: By::Sender, .. }, Who::Student { by: By::Sender, .. }) => now,
        (Who::Student { .. } | Who::Instructor | Who::Server { .. }, _) => known.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn student(name: &str, by: By) -> Who {
        Who::Student { login: name.parse().unwrap(), by }
    }

    fn limits() -> Limits {
        Limits { sessions: 3, sessions_per_student: 2, ..Limits::default() }
    }

    #[test]
    fn sessions_are_limited_per_student_and_per_server() {
        let registry = Registry::default();
        let (ana, ben) = (student("ana", By::Endpoint), student("ben", By::Endpoint));
        let first = registry.admit(&ana, &limits()).unwrap();
        let _second = registry.admit(&ana, &limits()).unwrap();
        assert_eq!(registry.admit(&ana, &limits()).unwrap_err(), Refusal::StudentSessions);
        let _third = registry.admit(&ben, &limits()).unwrap();
        assert_eq!(registry.admit(&Who::Unknown, &limits()).unwrap_err(), Refusal::ServerSessions);
        drop(first);
        assert_eq!(registry.connected().0, 2);
        assert!(registry.admit(&ana, &limits()).is_ok());
    }

    #[test]
    fn where_only_clients_are_served_nobody_else_is() {
        let [at, elsewhere, ana, stranger] = [2, 3, 4, 5].map(|last| IpAddr::from([10, 77, 0, last]));
        let open = (*crate::protocol::fixture::peer("labctl").config).clone();
        assert!(is_served(&open, at, stranger));
        let clients = [(ana, "ana".parse().unwrap())].into();
        let closed = ServerConfig { clients, clients_only: Some(at), ..open };
        assert!(is_served(&closed, at, ana) && is_served(&closed, elsewhere, stranger));
        assert!(is_served(&closed, at, "::ffff:10.77.0.4".parse().unwrap()), "a mapped address is the same");
        assert!(!is_served(&closed, at, stranger));
    }

    #[test]
    fn a_session_counts_for_whoever_it_turns_out_to_be() {
        let registry = Registry::default();
        let mut seat = registry.admit(&Who::Unknown, &limits()).unwrap();
        seat.take(&student("ana", By::Sender));
        seat.take(&student("ben", By::Login));
        assert_eq!(registry.connected(), (1, BTreeMap::from([("ben".parse().unwrap(), 1)])));
        drop(seat);
        assert_eq!(registry.connected(), (0, BTreeMap::new()));
    }

    #[tokio::test]
    async fn a_students_sessions_are_ended_and_nobody_elses() {
        let registry = Registry::default();
        let seat = |name: &str, conn| {
            let seat = registry.admit(&student(name, By::Endpoint), &Limits::default()).unwrap();
            seat.introduce(Session {
                conn: Conn(conn),
                student: None,
                service: Service::Pop3,
                peer: None,
                since: Timestamp(0),
                holds: None,
            });
            seat
        };
        let (first, second, bens) = (seat("ana", 1), seat("ana", 2), seat("ben", 3));
        first.holds(Some("user1".parse().unwrap()));
        let held = registry.sessions().into_iter().find(|session| session.holds.is_some()).unwrap();
        assert_eq!((held.conn, held.student), (Conn(1), Some("ana".parse().unwrap())));
        let ana = "ana".parse().unwrap();
        let end = |seat: Seat| async move { seat.ended().await };
        assert_eq!(registry.disconnect(&ana, Some(Conn(3))).await, 0, "that is ben's");
        assert_eq!(tokio::join!(registry.disconnect(&ana, Some(Conn(2))), end(second)).0, 1);
        assert_eq!(tokio::join!(registry.disconnect(&ana, None), end(first)).0, 1);
        assert_eq!(registry.connected().0, 1);
        drop(bens);
    }

    #[test]
    fn the_stronger_knowledge_stays() {
        let all = [By::ClientAddress, By::Endpoint, By::Login, By::Sender];
        for known in all {
            for now in all {
                let stronger = matches!((known, now), (By::Login | By::Sender, By::Login) | (By::Sender, By::Sender));
                let who = learnt(&student("ana", known), student("ben", now));
                assert_eq!(who, if stronger { student("ben", now) } else { student("ana", known) });
            }
        }
        assert_eq!(learnt(&Who::Unknown, student("ana", By::Sender)), student("ana", By::Sender));
        assert_eq!(learnt(&Who::Instructor, student("ana", By::Sender)), Who::Instructor);
    }
}
