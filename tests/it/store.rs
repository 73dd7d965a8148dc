//! The store: what it keeps, in which order, and what it says of a file that is not as it left it.

use std::{ops::ControlFlow, path::Path};

use labctl::{
    evidence::{
        By, Cause, Conn, Delivered, Ending, Event, EventKind, Injected, Interruption, MessageId, Removed, Seq, State,
        Timestamp, Uid, Who,
    },
    lab::{Login, Protocol, Service},
    mail::{Entry, Envelope, folder::FolderName, sha256},
    protocol::folders::{Ask, Told},
    store::{Mailbox, Origin, Reader, Store, StoreError, VERSION},
};
use rusqlite::Connection;

mod bounds;
mod chain;
mod limits;

fn login(name: &str) -> Login {
    name.parse().unwrap()
}

fn student(name: &str) -> Who {
    Who::Student { login: login(name), by: By::Endpoint }
}

fn origin(conn: u64, who: Who) -> Origin {
    Origin { conn: Conn(conn), who, time: Timestamp(1_700_000_000_123_456) }
}

fn command(verb: &str) -> EventKind {
    EventKind::Command {
        verb: verb.into(),
        line: format!("{verb} ñ"),
        octets: 9,
        reply: "250 OK\r\n".into(),
        reply_octets: 8,
        before: State::Ready,
        after: State::Mail,
        pipelined: false,
        times: 1,
    }
}

fn pipelined(verb: &str) -> EventKind {
    let mut command = command(verb);
    if let EventKind::Command { pipelined, .. } = &mut command {
        *pipelined = true;
    }
    command
}

fn envelope(mailboxes: &[&str], content: &str) -> Envelope {
    Envelope {
        from: "ana@g1.lab".into(),
        recipients: mailboxes.iter().map(|name| format!("{name}@g1.lab")).collect(),
        mailboxes: mailboxes.iter().map(|name| login(name)).collect(),
        trace: b"Return-Path: <ana@g1.lab>\r\n".to_vec(),
        content: content.as_bytes().to_vec(),
        ..Envelope::default()
    }
}

/// One event of each kind that a caller can record.
fn every_kind() -> Vec<EventKind> {
    let delivered = vec![Delivered { mailbox: login("ben"), uid: Uid(7) }];
    vec![
        EventKind::Started { version: "0.1.0".into(), after: None },
        EventKind::Connected {
            protocol: Protocol::Smtp,
            service: Service::Smtp,
            peer: Some("[::1]:53040".parse().unwrap()),
            local: Some("127.77.1.2:2525".parse().unwrap()),
            reply: "220 hello\r\n".into(),
        },
        EventKind::Connected {
            protocol: Protocol::Pop3,
            service: Service::Pop3s,
            peer: None,
            local: None,
            reply: String::new(),
        },
        command("MAIL"),
        command(&"X".repeat(1_000)),
        pipelined("RCPT"),
        pipelined(&"X".repeat(1_000)),
        EventKind::LoggedIn { mailbox: login("ana"), mechanism: "PASS".into() },
        EventKind::LoginFailed { mailbox: "no such\u{fffd}".into(), mechanism: "APOP".into() },
        EventKind::Accepted {
            message: MessageId(1),
            from: String::new(),
            recipients: vec!["a b".into()],
            delivered,
            octets: 3,
            sha256: sha256(b"abc"),
            injected: Some(Injected { mail: "welcome".parse().unwrap(), student: Some(login("ana")) }),
        },
        EventKind::Retrieved {
            message: MessageId(1),
            mailbox: login("ben"),
            uid: Uid(7),
            top: Some(0),
            folder: FolderName::inbox(),
        },
        EventKind::Deleted {
            message: MessageId(1),
            mailbox: login("ben"),
            uid: Uid(7),
            folder: "Sent/lab".parse().unwrap(),
        },
        EventKind::Reset {
            student: login("ana"),
            removed: vec![Removed { mailbox: login("ben"), folder: "Sent/lab".parse().unwrap(), uid: Uid(7) }],
        },
        EventKind::Damaged { why: "a test".into() },
        EventKind::Disconnected { how: Ending::Quit },
        EventKind::Disconnected { how: Ending::Failed },
        EventKind::Started {
            version: "0.1.0".into(),
            after: Some(Interruption {
                time: Timestamp(7),
                cause: Cause::OutOfMemory,
                connected: vec![login("ana")],
                unknown: 1,
            }),
        },
        EventKind::Repeated { queue_name: "g2.7.1".into(), recipients: vec!["ben@g1.lab".into()] },
        EventKind::Limited { limit: "queries_per_second".into(), value: 5_000 },
    ]
}

fn events(path: &Path, after: u64) -> Vec<Event> {
    let mut found = Vec::new();
    let each = &mut |event| {
        found.push(event);
        ControlFlow::Continue(())
    };
    Reader::open(path).unwrap().events(Seq(after), each).unwrap();
    found
}

fn names(path: &Path) -> Vec<&'static str> {
    events(path, 0).iter().map(|event| event.kind.name()).collect()
}

/// A folder of its own and the path of a store in it.
fn place() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g1 ?#%.db");
    (folder, path)
}

#[tokio::test]
async fn every_kind_of_event_comes_back_as_it_was() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    for who in [Who::Unknown, Who::Instructor, student("ana"), Who::Student { login: login("ben"), by: By::Sender }] {
        store.record(origin(3, who), every_kind()).await.unwrap();
    }
    store.flush().await.unwrap();
    let found = events(&path, 0);
    assert_eq!(found.len(), 4 * every_kind().len());
    for (place, event) in found.iter().enumerate() {
        assert_eq!(event.seq, Seq(place as u64 + 1));
        assert_eq!((event.conn, event.time, event.run), (Conn(3), Timestamp(1_700_000_000_123_456), 1));
        assert_eq!(event.kind, every_kind()[place % every_kind().len()]);
    }
    assert_eq!(found.last().unwrap().who, Who::Student { login: login("ben"), by: By::Sender });
    assert_eq!(events(&path, 50).first().unwrap().seq, Seq(51));
}

#[tokio::test]
async fn a_delivery_is_committed_whole_with_its_events() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let sent = "Subject: a\r\n\r\n.b\r\n";
    store.record(origin(1, student("ana")), vec![command("MAIL")]).await.unwrap();
    let to_two = envelope(&["ben", "user2"], sent);
    store.deliver(origin(1, student("ana")), vec![command("<message>")], to_two, None).await.unwrap();

    assert_eq!(names(&path), ["command", "command", "accepted"]);
    let EventKind::Accepted { message, delivered, octets, sha256: hash, .. } = &events(&path, 2)[0].kind else {
        panic!()
    };
    assert_eq!((*octets, hash), (sent.len() as u64, &sha256(sent.as_bytes())));
    let both = [Delivered { mailbox: login("ben"), uid: Uid(1) }, Delivered { mailbox: login("user2"), uid: Uid(1) }];
    assert_eq!(delivered, &both);
    let whole = format!("Return-Path: <ana@g1.lab>\r\n{sent}").into_bytes();
    let entry = Entry { uid: Uid(1), message: *message, octets: whole.len() as u64 };
    assert_eq!(store.entries(&login("ben")).unwrap(), [entry]);
    assert_eq!(store.message(*message).unwrap(), whole);
    assert_eq!(store.entries(&login("nobody")).unwrap(), []);
    let stored = Reader::open(&path).unwrap().message(*message).unwrap().unwrap();
    assert_eq!(&stored.octets[stored.trace_octets..], sent.as_bytes());
}

#[tokio::test]
async fn a_deleted_message_leaves_its_mailbox_and_stays_as_evidence() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    for _ in 0..2 {
        store.deliver(origin(1, student("ana")), vec![], envelope(&["ben"], "x\r\n"), None).await.unwrap();
    }
    let all = store.entries(&login("ben")).unwrap();
    let deleted = EventKind::Deleted {
        message: all[1].message,
        mailbox: login("ben"),
        uid: all[1].uid,
        folder: FolderName::inbox(),
    };
    store.expunge(origin(2, student("ben")), vec![deleted], login("ben"), vec![all[1]]).await.unwrap();
    assert_eq!(store.entries(&login("ben")).unwrap(), all[..1]);
    assert!(store.message(all[1].message).is_ok());
    assert_eq!(store.mailboxes(), [Mailbox { name: login("ben"), count: 1, octets: all[0].octets }]);
    assert_eq!(Reader::open(&path).unwrap().mailboxes().unwrap(), store.mailboxes());

    store.close().await.unwrap();
    let store = Store::open(&path).unwrap();
    store.deliver(origin(3, student("ana")), vec![], envelope(&["ben"], "x\r\n"), None).await.unwrap();
    assert_eq!(store.entries(&login("ben")).unwrap()[1].uid, Uid(3), "a UID is never used twice");
}

#[tokio::test]
async fn a_mailbox_has_room_up_to_its_limit() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let ben = login("ben");
    assert!(store.room(&ben, 100, 100));
    assert!(!store.room(&ben, 101, 100));
    store.deliver(origin(1, Who::Unknown), vec![], envelope(&["ben"], "x\r\n"), None).await.unwrap();
    let held = store.mailboxes()[0].octets;
    assert!(store.room(&ben, 10, held + 10));
    assert!(!store.room(&ben, 11, held + 10));
    assert!(!store.room(&ben, u64::MAX, u64::MAX - 1));
    drop(store);
    store_reopened(&path).await;
    assert!(!Store::open(&path).unwrap().room(&ben, 11, held + 10));
}

/// Opens and closes the store, so that what the last one queued is in the file.
async fn store_reopened(path: &Path) {
    Store::open(path).unwrap().close().await.unwrap();
}

#[tokio::test]
async fn one_session_at_a_time_has_a_mailbox() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let ben = Who::Student { login: login("ben"), by: By::Login };
    let held = store.try_lock(&login("ana"), &ben).unwrap();
    assert_eq!(store.try_lock(&login("ana"), &Who::Unknown).unwrap_err(), ben, "whoever has it is named");
    assert!(store.clone().try_lock(&login("ben"), &ben).is_ok());
    drop(held);
    assert!(store.try_lock(&login("ana"), &Who::Unknown).is_ok());
}

#[tokio::test]
async fn a_reset_takes_away_what_belongs_to_the_student_and_starts_a_run() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let mail = |student: Option<&str>| Some(Injected { mail: "welcome".parse().unwrap(), student: student.map(login) });
    let put = async |who: Who, to: &str, injected| {
        store.deliver(origin(1, who), vec![], envelope(&[to], "x\r\n"), injected).await.unwrap();
    };
    put(student("ana"), "user2", None).await;
    put(student("ben"), "ana", None).await;
    put(student("ben"), "user2", None).await;
    put(Who::Instructor, "user2", mail(Some("ana"))).await;
    put(Who::Instructor, "user2", mail(Some("ben"))).await;
    put(Who::Instructor, "user2", mail(None)).await;

    store.reset(origin(0, Who::Instructor), vec![login("ana")], false).await.unwrap();
    let uids = |name: &str| store.entries(&login(name)).unwrap().iter().map(|entry| entry.uid.0).collect::<Vec<_>>();
    assert_eq!((uids("user2"), uids("ana")), (vec![2, 4, 5], vec![]));
    let copies = store.injected().unwrap();
    assert_eq!(copies, [mail(None).unwrap(), mail(Some("ben")).unwrap()]);
    let reset = events(&path, 6).remove(0);
    let EventKind::Reset { student: whose, removed } = &reset.kind else { panic!("{reset:?}") };
    assert_eq!((whose, removed.len(), reset.run), (&login("ana"), 3, 2));
    assert!(removed.iter().all(|entry| entry.folder == FolderName::inbox()));

    store.record(origin(2, student("ana")), vec![command("NOOP")]).await.unwrap();
    store.record(origin(3, student("ben")), vec![command("NOOP")]).await.unwrap();
    store.close().await.unwrap();
    let store = Store::open(&path).unwrap();
    store.record(origin(4, student("ana")), vec![command("NOOP")]).await.unwrap();
    store.reset(origin(0, Who::Instructor), vec![login("ana"), login("ben")], true).await.unwrap();
    let runs: Vec<u32> = events(&path, 7).iter().map(|event| event.run).collect();
    assert_eq!(runs, [2, 1, 2, 3, 2]);
    assert_eq!((store.entries(&login("user2")).unwrap(), store.injected().unwrap()), (vec![], vec![]));
}

#[tokio::test]
async fn a_reset_tells_what_it_takes_out_of_folders() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    store.deliver(origin(1, student("ana")), vec![], envelope(&["user2"], "x\r\n"), None).await.unwrap();
    let archive: FolderName = "Archive".parse().unwrap();
    let ask = async |ask| store.folders(origin(2, student("ben")), &mut Vec::new(), ask).await.unwrap();
    let mailbox = login("user2");
    ask(Ask::Create { mailbox: mailbox.clone(), name: archive.clone() }).await;
    let select = Ask::Select { mailbox: mailbox.clone(), name: FolderName::inbox(), claim: false };
    let Told::Selected { snapshot: folder, .. } = ask(select).await else { panic!("no snapshot") };
    ask(Ask::Copy { folder, uids: vec![1], to: archive.clone(), remove: true, limit: 1_000 }).await;

    store.reset(origin(0, Who::Instructor), vec![login("ana")], false).await.unwrap();
    store.close().await.unwrap();
    let Some(EventKind::Reset { removed, .. }) = events(&path, 0).pop().map(|event| event.kind) else {
        panic!("no reset")
    };
    assert_eq!(removed, [Removed { mailbox, folder: archive, uid: Uid(1) }]);
}

#[tokio::test]
async fn connection_numbers_go_on_where_they_ended() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    assert_eq!((store.next_conn(), store.next_conn()), (Conn(1), Conn(2)));
    store.record(origin(2, Who::Unknown), vec![command("NOOP")]).await.unwrap();
    store.close().await.unwrap();
    let store = Store::open(&path).unwrap();
    assert_eq!(store.next_conn(), Conn(3));
    store.record(origin(3, Who::Unknown), vec![command("NOOP")]).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(Store::open(&path).unwrap().next_conn(), Conn(4), "also when nobody closed it");
}

#[tokio::test]
async fn subscribers_hear_of_each_commit() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let mut committed = store.subscribe();
    assert_eq!(*committed.borrow_and_update(), Seq(0));
    store.record(origin(1, Who::Unknown), vec![command("NOOP"), command("NOOP")]).await.unwrap();
    committed.changed().await.unwrap();
    assert_eq!(*committed.borrow(), Seq(2));
    store.close().await.unwrap();
    let late = store.record(origin(1, Who::Unknown), vec![command("NOOP")]).await;
    assert_eq!(late, Err(StoreError::Closed));
    assert_eq!(events(&path, 0).len(), 2);
}

#[tokio::test]
async fn more_verbs_than_a_store_has_shapes_for_are_kept_all_the_same() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let verbs = 20_000 + 5;
    let all = (0..verbs).map(|number| command(&format!("V{number}"))).collect();
    store.record(origin(1, Who::Unknown), all).await.unwrap();
    store.flush().await.unwrap();
    let found = events(&path, 0);
    assert_eq!(found.len(), verbs);
    assert_eq!(found.last().unwrap().kind, command(&format!("V{}", verbs - 1)));
    let shapes = Connection::open(&path).unwrap().query_row("SELECT count(*) FROM shape", [], |row| row.get(0));
    assert_eq!(shapes, Ok(20_001_u32), "the limit, and one for what is JSON");
}

#[tokio::test]
async fn what_is_missing_or_does_not_read_is_said_in_its_place() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let ten = (0..10).map(|_| command("NOOP")).collect();
    store.record(origin(1, Who::Unknown), ten).await.unwrap();
    store.close().await.unwrap();
    let meddler = Connection::open(&path).unwrap();
    meddler.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON").unwrap();
    meddler.execute_batch("DELETE FROM event WHERE seq IN (2, 3, 7)").unwrap();
    meddler
        .execute_batch("UPDATE event SET shape = 99 WHERE seq = 5; UPDATE event SET line = NULL WHERE seq = 8")
        .unwrap();
    meddler
        .execute_batch("UPDATE event SET detail = '{' WHERE seq = 9; UPDATE event SET octets = -1 WHERE seq = 10")
        .unwrap();
    drop(meddler);
    let found = events(&path, 0);
    let damage = |event: &Event| match &event.kind {
        EventKind::Damaged { why } => format!("{} {why}", event.seq.0),
        other => format!("{} {}", event.seq.0, other.name()),
    };
    let said: Vec<String> = found.iter().map(damage).collect();
    insta::assert_snapshot!(said.join("\n"), @"
    1 command
    3 events 2 to 3 are missing
    4 command
    5 an event of an unknown shape
    6 command
    7 event 7 is missing
    8 null where a text belongs
    9 details that do not read: EOF while parsing an object at line 1 column 1
    10 the negative count -1
    ");
}

#[tokio::test]
async fn a_store_of_another_format_is_refused_and_left_as_it_is() {
    for found in [VERSION - 1, VERSION + 1] {
        let (_folder, path) = place();
        store_reopened(&path).await;
        Connection::open(&path).unwrap().pragma_update(None, "user_version", found).unwrap();
        let other = StoreError::Format { path: path.clone(), found };
        assert_eq!(Store::open(&path).unwrap_err(), other);
        assert_eq!(Reader::open(&path).unwrap_err(), other);
        assert!(other.to_string().contains("use the labctl that wrote it"));
        let left = Connection::open(&path).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0));
        assert_eq!(left, Ok(found));
    }
}

#[test]
fn a_file_that_is_no_store_is_refused() {
    let (_folder, path) = place();
    assert!(matches!(Reader::open(&path).unwrap_err(), StoreError::Open { .. }), "no file at all");
    std::fs::write(&path, "To be, or not to be: that is the question. ".repeat(100)).unwrap();
    assert!(matches!(Store::open(&path).unwrap_err(), StoreError::Damaged { .. }));
    assert!(matches!(Reader::open(&path).unwrap_err(), StoreError::Damaged { .. }));
    std::fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE other (x)").unwrap();
    assert_eq!(Store::open(&path).unwrap_err(), StoreError::Foreign { path: path.clone() });
    assert_eq!(Reader::open(&path).unwrap_err(), StoreError::Foreign { path: path.clone() });
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_never_a_panic() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    for _ in 0..50 {
        store.record(origin(1, student("ana")), every_kind()).await.unwrap();
        store
            .deliver(origin(1, student("ana")), vec![], envelope(&["ben"], &"x\r\n".repeat(3_000)), None)
            .await
            .unwrap();
    }
    store.close().await.unwrap();
    let whole = std::fs::read(&path).unwrap();
    let read = |path: &Path| {
        let reader = Reader::open(path)?;
        reader.events(Seq(0), &mut |_| ControlFlow::Continue(()))?;
        (1..50).try_for_each(|id| reader.message(MessageId(id)).map(drop))?;
        reader.mailboxes().map(drop)
    };
    for step in 0..60 {
        let mut torn = whole.clone();
        let at = whole.len() * step / 60;
        let end = (at + 2_000).min(torn.len());
        torn[at..end].fill(0xa5);
        std::fs::write(&path, &torn).unwrap();
        let _ = read(&path);
        std::fs::write(&path, &whole[..at]).unwrap();
        let _ = read(&path);
        if let Ok(store) = Store::open(&path) {
            let _ = store.deliver(origin(1, Who::Unknown), vec![], envelope(&["ben"], "x\r\n"), None).await;
            let _ = store.entries(&login("ben"));
            let _ = store.close().await;
        }
    }
}

#[tokio::test]
async fn what_cannot_be_written_fails_alone_and_the_record_says_so() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let meddler = Connection::open(&path).unwrap();
    let trap = "CREATE TRIGGER trap BEFORE INSERT ON message WHEN NEW.content = CAST('trap' AS BLOB) BEGIN SELECT RAISE(ABORT, 'sprung'); END";
    meddler.execute_batch(trap).unwrap();
    let deliver = async |content: &str| {
        store.deliver(origin(1, student("ana")), vec![command("DATA")], envelope(&["ben"], content), None).await
    };
    let (before, trapped, after) = tokio::join!(deliver("a"), deliver("trap"), deliver("b"));
    assert_eq!((before, after), (Ok(()), Ok(())));
    assert!(trapped.unwrap_err().to_string().contains("sprung"));
    store.flush().await.unwrap();
    let uids: Vec<Uid> = store.entries(&login("ben")).unwrap().iter().map(|entry| entry.uid).collect();
    assert_eq!((uids, store.mailboxes()[0].count), (vec![Uid(1), Uid(2)], 2));
    let damage = |event: Event| match event.kind {
        EventKind::Damaged { why } => Some(why),
        _ => None,
    };
    let said: Vec<String> = events(&path, 0).into_iter().filter_map(damage).collect();
    assert_eq!(said, ["1 of the events before this one could not be written: sprung"]);
}

#[tokio::test]
async fn the_file_reads_in_any_sqlite_client() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    store.record(origin(1, student("ana")), vec![command("MAIL")]).await.unwrap();
    store
        .deliver(origin(1, student("ana")), vec![], envelope(&["ben"], "Subject: a\r\n\r\nb\r\n"), None)
        .await
        .unwrap();
    let client = Connection::open(&path).unwrap();
    let row =
        "SELECT time || ' ' || who || ' ' || by || ' ' || kind || ' ' || word || ' ' || line FROM record WHERE seq = 1";
    let line: String = client.query_row(row, [], |row| row.get(0)).unwrap();
    assert_eq!(line, "2023-11-14T22:13:20.123456Z ana endpoint command MAIL MAIL ñ");
    let row = "SELECT student || ' ' || kept_in || ' ' || content FROM mail";
    let mail: String = client.query_row(row, [], |row| row.get(0)).unwrap();
    assert_eq!(mail, "ana ben Subject: a\r\n\r\nb\r\n");
}
