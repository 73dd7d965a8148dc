//! What a mailbox may have of folders, subscriptions and keywords: up to a limit, and not one more.

use std::sync::Arc;

use labctl::{
    lab::Login,
    mail::folder::{FolderName, MAX_FOLDERS, MAX_KEYWORDS, NamedFlags, Special},
    protocol::folders::{Ask, Change, Refused, Told},
    store::Store,
};

use super::{login, origin, place, student};

/// The folders that every mailbox has.
const OF_EVERY_MAILBOX: usize = 1 + Special::ALL.len();

async fn ask(store: &Store, ask: Ask) -> Told {
    store.folders(origin(1, student("ben")), &mut Vec::new(), ask).await.unwrap()
}

/// Names whose making makes so many folders: each lies in a chain of a hundred others, which are made as well.
fn names(count: usize) -> impl Iterator<Item = FolderName> {
    let chain = move |number: usize| {
        let levels = (count - number * 100).min(100);
        format!("{number}{}", "/x".repeat(levels - 1)).parse().unwrap()
    };
    (0..count.div_ceil(100)).map(chain)
}

async fn make(store: &Store, mailbox: &Login, count: usize) {
    for name in names(count) {
        assert_eq!(ask(store, Ask::Create { mailbox: mailbox.clone(), name }).await, Told::Done);
    }
}

#[tokio::test]
async fn a_mailbox_has_folders_up_to_a_limit() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let mailbox = login("ben");
    let named = |name: &str| -> FolderName { name.parse().unwrap() };
    let create = |name: &str| Ask::Create { mailbox: mailbox.clone(), name: named(name) };
    let rename = |from: &str, to: &str| Ask::Rename { mailbox: mailbox.clone(), from: named(from), to: named(to) };

    make(&store, &mailbox, MAX_FOLDERS - OF_EVERY_MAILBOX - 1).await;
    let Told::Folders(found) = ask(&store, Ask::List { mailbox: mailbox.clone() }).await else { panic!("no list") };
    assert_eq!(found.len(), MAX_FOLDERS - 1);
    let refused = Told::Refused(Refused::TooManyFolders);
    assert_eq!(ask(&store, create("new/child")).await, refused, "two at once are one too many");
    assert_eq!(ask(&store, create("new")).await, Told::Done);
    assert_eq!(ask(&store, create("newer")).await, refused);
    assert_eq!(ask(&store, rename("new", "newer")).await, Told::Done, "there are no more than before");
    assert_eq!(ask(&store, rename("newer", "a/b")).await, refused, "its parent would be one too many");
    assert_eq!(ask(&store, rename("INBOX", "old")).await, refused, "INBOX stays, so that there would be one more");
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_mailbox_has_subscriptions_up_to_a_limit() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let mailbox = login("ben");
    let subscribe = |name: String, on| Ask::Subscribe { mailbox: mailbox.clone(), name: name.parse().unwrap(), on };
    for number in OF_EVERY_MAILBOX..MAX_FOLDERS {
        assert_eq!(ask(&store, subscribe(format!("s{number}"), true)).await, Told::Done);
    }
    assert_eq!(ask(&store, subscribe("more".into(), true)).await, Told::Refused(Refused::TooManyFolders));
    assert_eq!(ask(&store, subscribe("s7".into(), true)).await, Told::Done, "it is there already");
    assert_eq!(ask(&store, subscribe("s7".into(), false)).await, Told::Done);
    assert_eq!(ask(&store, subscribe("more".into(), true)).await, Told::Done);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_folder_has_keywords_up_to_a_limit() {
    let (_folder, path) = place();
    let store = Store::open(&path).unwrap();
    let (mailbox, name) = (login("ben"), FolderName::inbox());
    let keywords = |first: usize, count: usize| NamedFlags {
        keywords: (first..first + count).map(|number| Arc::from(format!("k{number}"))).collect(),
        ..NamedFlags::default()
    };
    let append = |flags: NamedFlags| Ask::Append {
        mailbox: mailbox.clone(),
        name: name.clone(),
        content: b"x".to_vec(),
        flags,
        received_secs: None,
        limit: 1_000,
    };
    assert!(matches!(ask(&store, append(keywords(0, MAX_KEYWORDS - 1))).await, Told::Appended { uid: 1, .. }));
    let select = Ask::Select { mailbox: mailbox.clone(), name: name.clone(), claim: true };
    let Told::Selected { snapshot, .. } = ask(&store, select).await else { panic!("not open") };
    let set = |flags| Ask::Store {
        folder: Arc::clone(&snapshot),
        uids: vec![1],
        how: Change::Add,
        flags,
        unchanged_since: None,
    };
    let (refused, stored) = (Told::Refused(Refused::TooManyKeywords), Told::Stored { modified: Vec::new() });
    assert_eq!(ask(&store, set(keywords(MAX_KEYWORDS - 1, 2))).await, refused, "two more");
    assert_eq!(ask(&store, set(keywords(MAX_KEYWORDS - 1, 1))).await, stored);
    assert_eq!(ask(&store, set(keywords(MAX_KEYWORDS, 1))).await, refused);
    assert_eq!(ask(&store, append(keywords(MAX_KEYWORDS, 1))).await, refused);
    assert_eq!(ask(&store, set(keywords(0, MAX_KEYWORDS))).await, stored, "those that it has");
    store.close().await.unwrap();
}
