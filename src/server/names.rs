//! DNS on the wire: UDP, and TCP with its two octets of length (RFC 1035 4.2). What is answered is `crate::protocol::dns`'s
//! business. Who asked is recorded, and both are bounded for each student: one who asks in a loop fills no disk, and one who
//! asks as fast as a program can leaves the others their server.

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
    task::yield_now,
    time::{sleep, timeout},
};

use super::{
    Shared,
    bucket::{Bucket, Rate},
    registry::{self, Seat},
    wire::acknowledge,
};
use crate::{
    evidence::{Conn, EventKind, Timestamp, Who},
    lab::{Limits, Login, server::Endpoint},
    protocol::{
        Now,
        dns::{self, zone::Zone},
    },
    store::Origin,
};

/// The longest query over UDP that is read: no question that has an answer here is longer.
const QUERY: usize = 1_024;

/// Queries that are taken in a row before others get their turn.
const BATCH: usize = 32;

/// Queries of one student that are recorded: so many in a row, then one a second.
pub(super) const RECORDED: Rate = Rate { per_second: 1, burst: 100 };

/// Askers that are told apart; those who come when there are so many share what one of them has.
const MAX_ASKERS: usize = 4_096;

/// How long a TCP connection may be idle (RFC 7766 6.2.3).
const IDLE: Duration = Duration::from_secs(20);

/// The pause after the system could not hand over a query.
const PAUSE: Duration = Duration::from_millis(50);

/// Who asks, as far as shares go: a student is one, from however many addresses the questions come.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Asker {
    Student(Login),
    Address(IpAddr),
    /// One too many to be told apart.
    Others,
}

/// What one asker may still ask, and what of it is still recorded.
#[derive(Debug)]
struct Share {
    asked: Bucket,
    recorded: Bucket,
    /// Whether it was said that the share is used up.
    told: bool,
}

/// What becomes of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It is answered; it may be recorded, too.
    Answered { recorded: bool },
    /// It is the first beyond the asker's share: it is refused, and that is recorded.
    Refused,
    /// It is beyond the share, as others before it. There is one token more after so long.
    Dropped(Duration),
}

/// The shares of all who ask.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<BTreeMap<Asker, Share>>);

impl Names {
    /// What becomes of one more query.
    fn turn(&self, who: &Who, from: IpAddr, limits: &Limits, now: Now) -> Turn {
        let (rate, now) = (share(limits), now.steady_micros);
        let mut shares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let asker = who.student().map_or(Asker::Address(from), |student| Asker::Student(student.clone()));
        if shares.len() >= MAX_ASKERS && !shares.contains_key(&asker) {
            shares.retain(|_, share| !share.asked.is_full(rate, now) || !share.recorded.is_full(RECORDED, now));
        }
        let apart = shares.len() < MAX_ASKERS || shares.contains_key(&asker);
        let new = || Share { asked: Bucket::full(rate, now), recorded: Bucket::full(RECORDED, now), told: false };
        let share = shares.entry(if apart { asker } else { Asker::Others }).or_insert_with(new);
        if share.asked.is_full(rate, now) {
            share.told = false;
        }
        if share.asked.take(rate, now) {
            return Turn::Answered { recorded: share.recorded.take(RECORDED, now) };
        }
        if std::mem::replace(&mut share.told, true) {
            return Turn::Dropped(share.asked.until_next(rate));
        }
        Turn::Refused
    }
}

/// What one asker may ask: a second's worth at once.
fn share(limits: &Limits) -> Rate {
    Rate { per_second: limits.queries_per_second, burst: limits.queries_per_second }
}

/// Answers queries over UDP until the endpoint is closed.
pub(super) async fn udp(server: Arc<Shared>, endpoint: Endpoint, address: SocketAddr, socket: Arc<UdpSocket>) {
    loop {
        if socket.readable().await.is_err() {
            sleep(PAUSE).await;
            continue;
        }
        let mut taken = 0;
        while let Some(received) = receive(&server, &endpoint, address, &socket) {
            if let Received::Query { who, now, remote, mut reply } = received {
                // First, so that what a client does with the answer comes after the question.
                record(&server, who, now, reply.seen.take()).await;
                // An answer that does not fit into the system's buffer now is lost, as any may be: whoever asked asks again.
                let _ = socket.try_send_to(&reply.octets, remote);
            }
            taken += 1;
            // There may be more for as long as somebody wants to send it: sessions go first.
            if taken % BATCH == 0 {
                yield_now().await;
            }
        }
    }
}

/// What the system handed over.
enum Received {
    /// A query that gets an answer.
    Query { who: Who, now: Now, remote: SocketAddr, reply: Box<Reply> },
    /// Something that gets none.
    Nothing,
}

/// An answer, and what the record is told.
struct Reply {
    octets: Vec<u8>,
    seen: Option<EventKind>,
}

/// Takes one query; none where no more has come. The buffer lives only here: an endpoint that waits holds none.
fn receive(server: &Shared, endpoint: &Endpoint, address: SocketAddr, socket: &UdpSocket) -> Option<Received> {
    let mut query = [0; QUERY];
    let (length, remote) = match socket.try_recv_from(&mut query) {
        Ok(received) => received,
        // Whoever asked may have gone: the system says so here, and the next query is none the worse for it.
        Err(problem) if problem.kind() == io::ErrorKind::ConnectionRefused => return Some(Received::Nothing),
        Err(_) => return None,
    };
    let settings = server.settings();
    let config = &settings.config;
    if !registry::is_served(config, address.ip(), remote.ip()) {
        return Some(Received::Nothing);
    }
    let who = registry::at_the_door(config, remote.ip(), endpoint.student.as_ref());
    let now = server.clock.now();
    // Within a share as well: saying no costs as much as an answer.
    let exhausted = server.is_exhausted(&who, remote.ip());
    let reply = match server.names.turn(&who, remote.ip(), &config.limits, now) {
        Turn::Answered { .. } if exhausted => dns::refusal(&query[..length]).map(|octets| Reply { octets, seen: None }),
        Turn::Answered { recorded } => {
            dns::answer(&Zone::new(config, here(address.ip(), remote.ip())), &query[..length], false)
                .map(|answer| Reply { octets: answer.octets, seen: answer.seen.filter(|_| recorded) })
        }
        Turn::Refused => {
            let seen = (!exhausted).then(|| limited(&config.limits));
            dns::refusal(&query[..length]).map(|octets| Reply { octets, seen })
        }
        Turn::Dropped(_) => None,
    };
    Some(reply.map_or(Received::Nothing, |reply| Received::Query { who, now, remote, reply: Box::new(reply) }))
}

/// Answers the queries of one connection, one after the other. Its seat is given back when it returns. What goes beyond the
/// asker's share waits: the connection holds it back as it holds back whoever sends it.
pub(super) async fn tcp(server: Arc<Shared>, mut stream: TcpStream, ends: Ends, who: Who, seat: Seat) {
    let mut stopping = server.stopping.subscribe();
    loop {
        let read = timeout(IDLE, query(&mut stream));
        let query = tokio::select! {
            read = read => read,
            _ = stopping.wait_for(Option::is_some) => break,
            () = seat.ended() => break,
        };
        let Ok(Ok(query)) = query else { break };
        let config = Arc::clone(&server.settings().config);
        let exhausted = server.is_exhausted(&who, ends.remote);
        let recorded = loop {
            let now = server.clock.now();
            let pause = match server.names.turn(&who, ends.remote, &config.limits, now) {
                Turn::Answered { recorded } => break recorded,
                Turn::Refused => {
                    record(&server, who.clone(), now, (!exhausted).then(|| limited(&config.limits))).await;
                    continue;
                }
                Turn::Dropped(pause) => pause,
            };
            tokio::select! {
                () = sleep(pause) => {}
                _ = stopping.wait_for(Option::is_some) => return,
            }
        };
        let answer = if exhausted {
            dns::refusal(&query).map(|octets| dns::Answer { octets, seen: None })
        } else {
            dns::answer(&Zone::new(&config, ends.local), &query, true)
        };
        let Some(answer) = answer else { break };
        record(&server, who.clone(), server.clock.now(), answer.seen.filter(|_| recorded)).await;
        let length = u16::try_from(answer.octets.len()).unwrap_or(0).to_be_bytes();
        let sent = timeout(IDLE, async { stream.write_all(&[&length, answer.octets.as_slice()].concat()).await });
        if !matches!(sent.await, Ok(Ok(()))) {
            break;
        }
    }
    drop(seat);
}

/// The two ends of a connection.
pub(super) struct Ends {
    pub(super) local: IpAddr,
    pub(super) remote: IpAddr,
}

async fn query(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    // Some send the length by itself.
    acknowledge(stream);
    let mut query = vec![0; usize::from(length)];
    stream.read_exact(&mut query).await?;
    Ok(query)
}

async fn record(server: &Shared, who: Who, now: Now, seen: Option<EventKind>) {
    if let Some(seen) = seen {
        // A store that takes no events has failed or is closed: the next delivery tells.
        let _ = server.store.record(Origin { conn: Conn(0), who, time: Timestamp(now.micros) }, vec![seen]).await;
    }
}

/// What the record says of who asks more than the share.
fn limited(limits: &Limits) -> EventKind {
    EventKind::Limited { limit: "queries_per_second".to_owned(), value: limits.queries_per_second }
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

    const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn at(steady_micros: i64) -> Now {
        Now { micros: 0, steady_micros, utc_offset_secs: 0 }
    }

    fn limits(queries_per_second: u64) -> Limits {
        Limits { queries_per_second, ..Limits::default() }
    }

    fn ana() -> Who {
        Who::Student { login: "ana".parse().unwrap(), by: By::Endpoint }
    }

    #[test]
    fn so_many_queries_of_a_student_are_recorded_and_no_more() {
        let names = Names::default();
        let recorded = |count: u64, micros| {
            let turn = |_: &u64| names.turn(&ana(), FROM, &limits(5_000), at(micros));
            (0..count).filter(|n| turn(n) == Turn::Answered { recorded: true }).count() as u64
        };
        assert_eq!(recorded(RECORDED.burst + 1, 0), RECORDED.burst);
        assert_eq!(recorded(1, 999_999), 0);
        assert_eq!(recorded(2, 1_000_000), 1);
        assert_eq!(recorded(RECORDED.burst + 1, 1_000_000_000_000), RECORDED.burst);
        let stranger = names.turn(&Who::Unknown, FROM, &limits(5_000), at(0));
        assert_eq!(stranger, Turn::Answered { recorded: true }, "another's bound is another's");
    }

    #[test]
    fn beyond_a_share_the_first_is_refused_and_the_rest_dropped_until_there_is_more() {
        let names = Names::default();
        let turns = |count: usize, micros| -> Vec<Turn> {
            (0..count).map(|_| names.turn(&ana(), FROM, &limits(2), at(micros))).collect()
        };
        let (answered, dropped) = (Turn::Answered { recorded: true }, Turn::Dropped(Duration::from_millis(500)));
        assert_eq!(turns(4, 0), [answered, answered, Turn::Refused, dropped]);
        assert_eq!(turns(2, 500_000), [answered, dropped], "said once");
        assert_eq!(turns(3, 1_500_000), [answered, answered, Turn::Refused], "and again after a time within the share");
    }

    #[test]
    fn many_addresses_of_one_student_have_one_share_and_too_many_strangers_share_one() {
        let names = Names::default();
        let from = |number: usize| IpAddr::from(u32::try_from(number).unwrap().to_be_bytes());
        let answered =
            |who: &Who, number| matches!(names.turn(who, from(number), &limits(1), at(0)), Turn::Answered { .. });
        assert_eq!((0..9).filter(|number| answered(&ana(), *number)).count(), 1);
        let strangers = (0..MAX_ASKERS + 9).filter(|number| answered(&Who::Unknown, *number)).count();
        assert_eq!(strangers, MAX_ASKERS, "one is ana's place, and one is the others'");
        assert!(names.0.lock().unwrap().len() <= MAX_ASKERS + 1);
        let later = names.turn(&Who::Unknown, from(MAX_ASKERS + 99), &limits(1), at(200_000_000));
        assert_eq!(later, Turn::Answered { recorded: true }, "whoever has asked nothing for long is forgotten");
        assert_eq!(names.0.lock().unwrap().len(), 1);
    }
}
