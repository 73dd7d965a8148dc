//! DNS on the wire: UDP, and TCP with its two octets of length (RFC 1035 4.2). What is answered is `crate::protocol::dns`'s
//! business; who asked is recorded, within a bound: a student who asks in a loop gets answers and fills no disk.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use super::{
    Shared,
    registry::{self, Seat},
    wire::acknowledge,
};
use crate::{
    evidence::{Conn, EventKind, Timestamp, Who},
    lab::{Login, server::Endpoint},
    protocol::{
        Now,
        dns::{self, zone::Zone},
    },
    store::Origin,
};

/// The longest query over UDP that is read: no question that has an answer here is longer.
const QUERY: usize = 1_024;

/// Queries of one student that are recorded in a row.
pub(super) const BURST: u32 = 100;

/// The time after which one more is, in microseconds.
pub(super) const REFILL_MICROS: i64 = 1_000_000;

/// How long a TCP connection may be idle (RFC 7766 6.2.3).
const IDLE: Duration = Duration::from_secs(20);

/// The pause after the system could not hand over a query.
const PAUSE: Duration = Duration::from_millis(50);

/// Whose queries are still recorded.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<BTreeMap<Option<Login>, Bucket>>);

/// What one student may still have recorded.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: u32,
    since: i64,
}

impl Names {
    /// Whether one more query of a student, or of nobody known, is recorded.
    fn is_recorded(&self, who: &Who, now: Now) -> bool {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = Bucket { left: BURST, since: now.micros };
        let bucket = buckets.entry(who.student().cloned()).or_insert(full);
        let refilled = (now.micros - bucket.since).max(0) / REFILL_MICROS;
        bucket.since += refilled * REFILL_MICROS;
        bucket.left = bucket.left.saturating_add(u32::try_from(refilled).unwrap_or(BURST)).min(BURST);
        if bucket.left == 0 {
            return false;
        }
        bucket.left -= 1;
        true
    }
}

/// Answers queries over UDP until the endpoint is closed.
pub(super) async fn udp(server: Arc<Shared>, endpoint: Endpoint, address: SocketAddr, socket: Arc<UdpSocket>) {
    loop {
        if socket.readable().await.is_err() {
            tokio::time::sleep(PAUSE).await;
            continue;
        }
        while let Some(received) = receive(&server, &endpoint, address, &socket) {
            let Received { who, now, remote, answer } = received;
            let Some(answer) = answer else { continue };
            // First, so that what a client does with the answer comes after the question.
            if let Some(seen) = answer.seen {
                record(&server, who, now, seen).await;
            }
            // An answer that does not fit into the system's buffer now is lost, as any may be: whoever asked asks again.
            let _ = socket.try_send_to(&answer.octets, remote);
        }
    }
}

/// A query.
struct Received {
    who: Who,
    now: Now,
    remote: SocketAddr,
    /// None where it gets none.
    answer: Option<dns::Answer>,
}

/// Takes one query; none where no more has come. The buffer lives only here: an endpoint that waits holds none.
fn receive(server: &Shared, endpoint: &Endpoint, address: SocketAddr, socket: &UdpSocket) -> Option<Received> {
    let mut query = [0; QUERY];
    let (length, remote) = match socket.try_recv_from(&mut query) {
        Ok(received) => received,
        // Whoever asked may have gone: the system says so here, and the next query is none the worse for it.
        Err(problem) if problem.kind() == io::ErrorKind::ConnectionRefused => (0, address),
        Err(_) => return None,
    };
    let config = Arc::clone(&server.settings().config);
    if !registry::is_served(&config, address.ip(), remote.ip()) {
        return Some(Received { who: Who::Unknown, now: server.clock.now(), remote, answer: None });
    }
    let who = registry::at_the_door(&config, remote.ip(), endpoint.student.as_ref());
    let now = server.clock.now();
    let answer = dns::answer(&Zone::new(&config, here(address.ip(), remote.ip())), &query[..length], false);
    Some(Received { who, now, remote, answer })
}

/// Answers the queries of one connection, one after the other. Its seat is given back when it returns.
pub(super) async fn tcp(server: Arc<Shared>, mut stream: TcpStream, local: SocketAddr, who: Who, seat: Seat) {
    let mut stopping = server.stopping.subscribe();
    loop {
        let read = timeout(IDLE, query(&mut stream));
        let query = tokio::select! {
            read = read => read,
            _ = stopping.wait_for(Option::is_some) => break,
        };
        let Ok(Ok(query)) = query else { break };
        let config = Arc::clone(&server.settings().config);
        let Some(answer) = dns::answer(&Zone::new(&config, local.ip()), &query, true) else { break };
        if let Some(seen) = answer.seen {
            record(&server, who.clone(), server.clock.now(), seen).await;
        }
        let length = u16::try_from(answer.octets.len()).unwrap_or(0).to_be_bytes();
        let sent = timeout(IDLE, async { stream.write_all(&[&length, answer.octets.as_slice()].concat()).await });
        if !matches!(sent.await, Ok(Ok(()))) {
            break;
        }
    }
    drop(seat);
}

async fn query(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    // Some send the length by itself.
    acknowledge(stream);
    let mut query = vec![0; usize::from(length)];
    stream.read_exact(&mut query).await?;
    Ok(query)
}

async fn record(server: &Shared, who: Who, now: Now, seen: EventKind) {
    if server.names.is_recorded(&who, now) {
        // A store that takes no events has failed or is closed: the next delivery tells.
        let _ = server.store.record(Origin { conn: Conn(0), who, time: Timestamp(now.micros) }, vec![seen]).await;
    }
}

/// The address at which whoever asks reaches the server.
fn here(listening: IpAddr, remote: IpAddr) -> IpAddr {
    // Listening everywhere, the server cannot tell by UDP where it was reached; on the machine itself that is loopback.
    if listening.is_unspecified() && remote.is_loopback() { remote } else { listening }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::By;

    #[test]
    fn so_many_queries_of_a_student_are_recorded_and_no_more() {
        let names = Names::default();
        let ana = Who::Student { login: "ana".parse().unwrap(), by: By::Endpoint };
        let at = |micros| Now { micros, utc_offset_secs: 0 };
        let recorded = |count: u32, micros| (0..count).filter(|_| names.is_recorded(&ana, at(micros))).count();
        assert_eq!(recorded(BURST + 1, 0), BURST as usize);
        assert_eq!(recorded(1, REFILL_MICROS - 1), 0);
        assert_eq!(recorded(2, REFILL_MICROS), 1);
        assert_eq!(recorded(BURST + 1, REFILL_MICROS * 1_000_000), BURST as usize);
        assert!(names.is_recorded(&Who::Unknown, at(0)), "another's bound is another's");
    }
}
