//! Who is connected: the limits on sessions, and which student a connection is taken for.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    evidence::{By, Who},
    lab::{Limits, Login, ServerConfig},
    protocol::Refusal,
};

/// The sessions of one server.
#[derive(Debug, Clone, Default)]
pub(super) struct Registry(Arc<Mutex<Connected>>);

#[derive(Debug, Default)]
struct Connected {
    sessions: usize,
    students: BTreeMap<Login, usize>,
}

/// A session's place among the others; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    registry: Registry,
    student: Option<Login>,
}

impl Registry {
    /// A seat for one more session, or why there is none.
    pub(super) fn admit(&self, who: &Who, limits: &Limits) -> Result<Seat, Refusal> {
        let mut connected = self.lock();
        if connected.sessions >= limits.sessions {
            return Err(Refusal::ServerSessions);
        }
        let sessions = who.student().and_then(|student| connected.students.get(student)).copied().unwrap_or(0);
        if sessions >= limits.sessions_per_student {
            return Err(Refusal::StudentSessions);
        }
        connected.sessions += 1;
        drop(connected);
        let mut seat = Seat { registry: self.clone(), student: None };
        seat.take(who);
        Ok(seat)
    }

    /// Sessions now, all and per student.
    pub(super) fn connected(&self) -> (usize, BTreeMap<Login, usize>) {
        let connected = self.lock();
        (connected.sessions, connected.students.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Connected> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Counts the session for whoever it turned out to be. One that is under way is not refused any more.
    pub(super) fn take(&mut self, who: &Who) {
        let mut connected = self.registry.lock();
        connected.leave(self.student.take().as_ref());
        self.student = who.student().cloned();
        if let Some(student) = &self.student {
            *connected.students.entry(student.clone()).or_default() += 1;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut connected = self.registry.lock();
        connected.sessions -= 1;
        connected.leave(self.student.as_ref());
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
