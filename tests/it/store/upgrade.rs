//! A store of version 1, which knew no folders, is read as it is and brought to this version when a server opens it.

use labctl::{
    evidence::{MessageId, Uid},
    mail::{Entry, folder::FolderName},
    protocol::folders::{Ask, Told},
    store::{Reader, Store},
};
use rusqlite::Connection;

use super::{login, origin, student};

#[tokio::test]
async fn a_store_without_folders_keeps_its_mail() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g1.db");
    Connection::open(&path).unwrap().execute_batch(include_str!("version_1.sql")).unwrap();

    let before = Reader::open(&path).unwrap().mailboxes().unwrap();
    assert_eq!((before[0].name.as_str(), before[0].count, before[0].octets), ("ben", 2, 7));

    let store = Store::open(&path).unwrap();
    let entry = |uid, message, octets| Entry { uid: Uid(uid), message: MessageId(message), octets };
    assert_eq!(store.entries(&login("ben")).unwrap(), [entry(2, 1, 4), entry(5, 2, 3)]);
    let ask = Ask::Status { mailbox: login("ben"), name: FolderName::inbox() };
    let Told::Status(standing) = store.folders(origin(1, student("ben")), &mut Vec::new(), ask).await.unwrap() else {
        panic!("no status")
    };
    assert_eq!((standing.messages, standing.unseen, standing.next_uid), (2, 2, 6));
    store.close().await.unwrap();
    assert_eq!(Reader::open(&path).unwrap().mailboxes().unwrap(), before);
}
