//! The record as a chain: whose it is, how far it goes, and that nothing of it can be changed without being seen.

use std::process::Command;

use labctl::{
    evidence::{ChainHash, EventKind, Seq, Who},
    store::{Damage, Reader, Store, Wrong, branch},
};
use rusqlite::Connection;

use super::{command, events, every_kind, origin, place, student};

/// A store with so many commits of all kinds of events.
async fn filled(path: &std::path::Path, commits: usize) -> u64 {
    let store = Store::open(path).unwrap();
    for commit in 0..commits {
        store.record(origin(commit as u64 + 1, student("ana")), every_kind()).await.unwrap();
        store.record(origin(commit as u64 + 1, Who::Unknown), vec![command("NOOP")]).await.unwrap();
        store.flush().await.unwrap();
    }
    store.close().await.unwrap();
    Reader::open(path).unwrap().head().unwrap().0.0
}

#[tokio::test]
async fn a_record_holds_and_goes_on_where_it_ended() {
    let (_folder, path) = place();
    let first = filled(&path, 3).await;
    let reader = Reader::open(&path).unwrap();
    let (identity, head) = (reader.identity().unwrap(), reader.head().unwrap());
    assert_eq!((reader.verify(), reader.parent(), head.0), (Ok(None), Ok(None), Seq(first)));
    assert_eq!(reader.hash_at(Seq(0)), Ok(Some(ChainHash::START)));

    assert!(filled(&path, 2).await > first);
    assert_eq!((reader.identity(), reader.verify()), (Ok(identity), Ok(None)));
    assert_eq!(reader.hash_at(head.0), Ok(Some(head.1)), "the part that was there before is the same");
    let (all, one) = (reader.head().unwrap(), Seq(2));
    assert_eq!(reader.hash_at(all.0), Ok(Some(all.1)));
    assert!(reader.hash_at(one).unwrap().is_some(), "also where no commit ended");
    assert_eq!(reader.hash_at(Seq(all.0.0 + 1)), Ok(None));

    let (_folder, other) = place();
    filled(&other, 1).await;
    assert_ne!(Reader::open(&other).unwrap().identity(), Ok(identity));
}

#[tokio::test]
async fn whatever_is_changed_in_the_file_is_found() {
    for (what, first) in [
        ("UPDATE event SET line = line || 'x' WHERE seq = 4", 1),
        ("UPDATE event SET time = time + 1 WHERE seq = 23", 21),
        ("UPDATE event SET conn = conn + 1 WHERE seq = 23", 21),
        ("UPDATE event SET octets = octets + 1 WHERE seq = 4", 1),
        ("UPDATE event SET reply = '' WHERE seq = 4", 1),
        ("UPDATE event SET detail = replace(detail, 'welcome', 'other') WHERE seq = 10", 1),
        ("UPDATE event SET seal = randomblob(32) WHERE seq = 20", 1),
        ("UPDATE event SET seal = NULL WHERE seq = 20; UPDATE event SET line = 'x' WHERE seq = 4", 1),
        ("UPDATE shape SET login = 'ben' WHERE login = 'ana'", 1),
        ("UPDATE shape SET word = 'RSET' WHERE word = 'NOOP'", 1),
        ("DELETE FROM event WHERE seq = 7", 7),
        ("DELETE FROM event WHERE seq > 33", 21),
        (
            "UPDATE event SET seq = -1 WHERE seq = 4; UPDATE event SET seq = 4 WHERE seq = 5; UPDATE event SET seq = 5 WHERE seq = -1",
            1,
        ),
        (
            "INSERT INTO event (seq, time, conn, shape, line, reply, octets, reply_octets) SELECT 41, time, conn, shape, line, reply, 1, 1 FROM event WHERE seq = 4",
            41,
        ),
        ("INSERT INTO tombstone VALUES (1, 3, 3, zeroblob(32), zeroblob(32), zeroblob(32))", 1),
    ] {
        let (_folder, path) = place();
        assert_eq!(filled(&path, 2).await, 40);
        Connection::open(&path).unwrap().execute_batch(what).unwrap();
        let damage = Reader::open(&path).unwrap().verify().unwrap();
        assert_eq!(damage.map(|damage| damage.first), Some(first), "{what}");
        let damaged =
            |event: &labctl::evidence::Event| matches!(&event.kind, EventKind::Damaged { why } if why != "a test");
        assert!(events(&path, 0).iter().any(damaged), "whoever reads the events hears of it: {what}");
    }
}

#[tokio::test]
async fn a_tail_that_was_cut_off_is_missing_for_ever() {
    let (_folder, path) = place();
    filled(&path, 2).await;
    Connection::open(&path).unwrap().execute_batch("DELETE FROM event WHERE seq > 20").unwrap();
    filled(&path, 1).await;
    let missing = Damage { first: 21, last: 40, what: Wrong::Missing };
    assert_eq!(Reader::open(&path).unwrap().verify(), Ok(Some(missing)));
    assert_eq!(events(&path, 20).len(), 21, "one for what is missing, and the numbers go on behind it");
}

#[tokio::test]
async fn a_reader_may_come_in_anywhere() {
    let (_folder, path) = place();
    let last = filled(&path, 80).await;
    let all = events(&path, 0);
    assert_eq!((all.len() as u64, last), (last, 1_600), "more than a page");
    for after in [1, 19, 20, 21, 999, 1_000, 1_001, 1_599, 1_600] {
        assert_eq!(events(&path, after), all[usize::try_from(after).unwrap()..], "after {after}");
    }
}

#[tokio::test]
async fn a_copy_becomes_a_branch_that_names_what_it_goes_on_from() {
    let (_folder, path) = place();
    filled(&path, 2).await;
    let copy = path.with_file_name("copy.sqlite");
    std::fs::copy(&path, &copy).unwrap();
    let old = Reader::open(&path).unwrap();
    let head = old.head().unwrap();
    let (identity, parent) = branch(&copy).unwrap();
    assert_eq!((parent.identity, parent.seq, parent.hash), (old.identity().unwrap(), head.0, head.1));
    assert_ne!(identity, parent.identity);

    filled(&path, 1).await;
    filled(&copy, 2).await;
    let branched = Reader::open(&copy).unwrap();
    assert_eq!((branched.identity(), branched.parent(), branched.verify()), (Ok(identity), Ok(Some(parent)), Ok(None)));
    assert_eq!(old.hash_at(parent.seq), Ok(Some(parent.hash)), "the common part");
    assert_eq!(branched.hash_at(parent.seq), Ok(Some(parent.hash)));

    let (again, second) = branch(&copy).unwrap();
    assert_eq!(branched.ancestors(), Ok(vec![parent, second]));
    assert_eq!((branched.identity(), branched.parent()), (Ok(again), Ok(Some(second))));
    assert!(branch(&path.with_file_name("none")).is_err() && !path.with_file_name("none").exists());
}

#[tokio::test]
async fn the_record_can_be_checked_without_labctl() {
    let (_folder, path) = place();
    filled(&path, 2).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/store/chain.py");
    let check = || Command::new("python3").arg(script).arg(&path).output().unwrap();
    let output = check();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (seq, hash) = Reader::open(&path).unwrap().head().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{} {hash}\n", seq.0));
    Connection::open(&path).unwrap().execute_batch("UPDATE event SET line = 'x' WHERE seq = 20").unwrap();
    assert_eq!(check().status.code(), Some(1));
}
