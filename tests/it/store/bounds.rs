//! What the store holds at most: its log beside the file, whoever reads meanwhile, and what it knows of events that were lost.

use std::{ops::ControlFlow, sync::mpsc, thread};

use labctl::{
    evidence::{EventKind, Seq, Who},
    store::{Account, EVENT_OCTETS, LOG_OCTETS, MAX_ADDRESSES, Reader, Store},
};
use rusqlite::Connection;

use super::{command, envelope, events, login, origin, place, student};

/// A command whose line has so many octets more than usual.
fn long(octets: usize) -> EventKind {
    let mut command = command("NOOP");
    if let EventKind::Command { line, .. } = &mut command {
        line.push_str(&"x".repeat(octets));
    }
    command
}

#[tokio::test]
async fn the_log_stays_within_its_bound_while_somebody_reads_slowly() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    store.record(origin(1, student("ana")), (0..2_000).map(|_| command("NOOP")).collect()).await.unwrap();
    store.flush().await.unwrap();
    // As `labctl trace | less` does: the first event is shown, and nobody scrolls.
    let ((begun, has_begun), (goes_on, may_go_on)) = (mpsc::channel(), mpsc::channel::<()>());
    let reads = path.clone();
    let pager = thread::spawn(move || {
        let mut read = 0;
        let each = &mut |_| {
            read += 1;
            if read == 1 {
                begun.send(()).unwrap();
                may_go_on.recv().unwrap();
            }
            ControlFlow::Continue(())
        };
        Reader::open(&reads).unwrap().events(Seq(0), each).unwrap();
        read
    });
    has_begun.recv().unwrap();
    let mut log = path.clone().into_os_string();
    log.push("-wal");
    let (students, mut largest) = (1_000, 0);
    for number in 0..students {
        let who = student(&format!("s{number}"));
        store.record(origin(number + 2, who), (0..20).map(|_| long(1_000)).collect()).await.unwrap();
        store.flush().await.unwrap();
        largest = largest.max(std::fs::metadata(&log).unwrap().len());
    }
    let (octets, one_commit) = (students * 20 * 1_000, 256 << 10);
    assert!(octets > LOG_OCTETS, "more than the bound was written");
    assert!(largest <= LOG_OCTETS + one_commit, "{largest}");
    goes_on.send(()).unwrap();
    assert_eq!(pager.join().unwrap(), 2_000 + students * 20, "and the reader has missed nothing");
}

#[tokio::test]
async fn events_that_were_lost_before_a_restart_are_damage_after_it() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    store.record(origin(1, student("ana")), vec![command("NOOP")]).await.unwrap();
    store.flush().await.unwrap();
    let meddler = Connection::open(&path).unwrap();
    meddler
        .execute_batch("CREATE TRIGGER full BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'disk full'); END")
        .unwrap();
    store.record(origin(1, student("ana")), vec![command("HELO"), command("MAIL")]).await.unwrap();
    assert!(store.flush().await.is_err() && store.close().await.is_err());
    drop(store);
    meddler.execute_batch("DROP TRIGGER full").unwrap();

    for _ in 0..2 {
        let store = Store::open(&path).unwrap();
        store.record(origin(2, Who::Unknown), vec![command("NOOP")]).await.unwrap();
        store.close().await.unwrap();
    }
    let kinds: Vec<String> = events(&path, 0)
        .into_iter()
        .map(|event| match event.kind {
            EventKind::Damaged { why } => why,
            other => other.name().to_owned(),
        })
        .collect();
    let lost = "2 of the events before this one could not be written: disk full";
    assert_eq!(kinds, ["command", lost, "command", "command"], "said once");
}

#[tokio::test]
async fn what_everybody_has_used_is_known_after_a_restart_whoever_closed_the_store() {
    let (_folder, path) = place();
    let line = "NOOP ñ".len() as u64 + "250 OK\r\n".len() as u64;
    let from = |last: u8| std::net::IpAddr::from([127, 0, 0, last]);
    let connected = |last: u8| EventKind::Connected {
        protocol: labctl::lab::Protocol::Smtp,
        service: labctl::lab::Service::Smtp,
        peer: Some((from(last), 4_000).into()),
        local: None,
        reply: "220\r\n".to_owned(),
    };
    let used = |store: &Store| {
        [Account::Student(login("ana")), Account::Student(login("ben")), Account::Address(from(9))]
            .map(|account| store.used(account).1.octets())
    };
    let store = Store::open(&path).unwrap();
    let mut told = Vec::new();
    for round in 0..2 {
        store.record(origin(round + 1, student("ana")), vec![command("NOOP")]).await.unwrap();
        store.record(origin(9, Who::Unknown), vec![connected(9), command("NOOP")]).await.unwrap();
        // A sender's name is anybody's to give: it is charged to where it came from.
        let sender = Who::Student { login: login("ben"), by: labctl::evidence::By::Sender };
        store.record(origin(9, sender), vec![command("NOOP")]).await.unwrap();
        store.deliver(origin(1, student("ana")), vec![], envelope(&["ben"], "12345"), None).await.unwrap();
        store.deliver(origin(0, Who::Instructor), vec![], envelope(&["ben"], "12345"), None).await.unwrap();
        told.push(used(&store));
        if round == 0 {
            store.flush().await.unwrap();
        }
    }
    let [ana, ben, stranger] = told[1];
    assert!(ana >= 2 * (2 * EVENT_OCTETS + line + 5), "events and messages: {ana}");
    assert_eq!((ben, stranger), (0, 2 * (3 * EVENT_OCTETS + 2 * line + "127.0.0.9:4000 -".len() as u64 + 5)));
    drop(store);
    assert_eq!(used(&Store::open(&path).unwrap()), [ana, ben, stranger], "nobody closed it");
    Store::open(&path).unwrap().close().await.unwrap();
    let store = Store::open(&path).unwrap();
    assert_eq!(used(&store), [ana, ben, stranger]);
    store.reset(origin(0, Who::Instructor), vec![login("ana")], false).await.unwrap();
    store.close().await.unwrap();
    let store = Store::open(&path).unwrap();
    assert_eq!(used(&store), [0, ben, stranger], "a new run begins anew");
    store.reset(origin(0, Who::Instructor), vec![login("ana"), login("ben")], true).await.unwrap();
    assert_eq!(used(&store), [0, 0, 0], "and a whole group's everybody");
}

#[tokio::test]
async fn addresses_beyond_a_limit_share_a_count() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let at = |number: usize| {
        let [.., third, fourth] = u32::try_from(number).unwrap().to_be_bytes();
        Account::Address([127, 1, third, fourth].into())
    };
    for number in 0..MAX_ADDRESSES {
        assert_eq!(store.used(at(number)).0, at(number));
    }
    assert_eq!(store.used(at(MAX_ADDRESSES)).0, Account::Others);
    assert_eq!(store.used(at(0)).0, at(0));
    assert_eq!(store.used(Account::Student(login("ana"))).0, Account::Student(login("ana")));
}
