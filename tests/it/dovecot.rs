//! The same IMAP scripts against Dovecot and against us, over messages of the shapes that there are (`tests/mime`). What differs
//! is mended, or named here with the line of the RFC that allows it.

#[path = "dovecot/peer.rs"]
mod peer;
#[path = "dovecot/tree.rs"]
mod tree;

use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
};

use labctl::lab::{Service, server::Account};

use self::{
    peer::{Dovecot, Talk},
    tree::Node,
};
use crate::server::running::{Running, config, endpoint};

/// Where the two may differ in more than can be written down: the message (or script; empty for each), what the command holds, and what allows it.
const ALLOWED: &[(&str, &str, &str)] = &[
    (
        "",
        "BODY.PEEK[1.1]",
        "RFC 9051 6.4.5.1: part 1 of a part that is no message and has no parts; Dovecot takes it for the part",
    ),
    ("", "BODY.PEEK[2.1]", "RFC 9051 6.4.5.1: the same"),
    ("prefix_boundary", "BODY.PEEK[1.1.1]", "RFC 9051 6.4.5.1: the same"),
    (
        "deep",
        "BODY.PEEK[1.1]",
        "RFC 2046 5.1.1: the CRLF before a boundary belongs to it, also behind an inner boundary",
    ),
    ("prefix_boundary", "BODY.PEEK[1]", "RFC 2046 5.1.1: the same"),
    (
        "empty_parts",
        ".MIME]",
        "RFC 2046 5.1.1: whether the line end after an empty header is the header's or the boundary's",
    ),
    ("no_empty_line", "HEADER.FIELDS.NOT", "RFC 9051 6.4.5: the empty line may be missing where the message has none"),
    ("repeated", "ENVELOPE", "RFC 5322 3.6: Subject may come once; we show the first, Dovecot the last"),
    ("search", "SENTBEFORE", "RFC 9051 6.4.4: without a Date field there is no date that is earlier"),
    (
        "search",
        "BODY text",
        "RFC 2046 5.1.1: what is no multipart is text, and searched; Dovecot has made it an empty part",
    ),
    ("search", "BODY TEXT", "RFC 2046 5.1.1: the same"),
    ("folders", "STORE 1 +FLAGS (\\Seen)", "RFC 9051 6.4.6: the new flags are told, also where they are the old ones"),
    (
        "folders",
        "STORE 1 +FLAGS (\\Deleted)",
        "RFC 9051 6.3.3: nothing changes after EXAMINE; we say NO, Dovecot OK and does nothing",
    ),
    (
        "folders",
        "EXPUNGE",
        "RFC 9051 7.5.1: in which order numbers are told is the server's affair; each counts after those before it",
    ),
];

/// A message of the corpus, what Dovecot says of it piece by piece with what we say instead, and what allows that. Nothing else of an answer may
/// differ.
type Exact = (&'static str, &'static [(&'static str, &'static str)], &'static str);

/// Where the two differ to the letter.
const EXACTLY: &[Exact] = &[
    (
        "bad_type",
        &[(r#"("text" "" ("#, r#"("text" "plain" ("#)],
        "RFC 2045 5.2: a type that cannot be read is text/plain; Dovecot shows an empty subtype",
    ),
    (
        "nested_message",
        &[
            (r#""rfc822" NIL NIL NIL "7bit" "363""#, r#""rfc822" NIL NIL NIL "7bit" "361""#),
            (r#""mixed") "18")"#, r#""mixed") "17")"#),
            (r#"NIL NIL NIL) "18" NIL"#, r#"NIL NIL NIL) "17" NIL"#),
            (r#"--inner--\r\n""#, r#"--inner--""#),
        ],
        "RFC 2046 5.1.1: the CRLF before a boundary belongs to it, also behind an inner boundary",
    ),
    (
        "missing_boundary",
        &[
            (
                r#"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" "0" "0") "mixed")"#,
                r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" "12" "1")"#,
            ),
            (
                r#"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" "0" "0" NIL NIL NIL NIL) "mixed" ("boundary" "never") NIL NIL NIL)"#,
                r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" "12" "1" NIL NIL NIL NIL)"#,
            ),
            (r#""BODY[1]" """#, r#""BODY[1]" "Just text.\r\n""#),
            (r#""BODY[1]<2>" """#, r#""BODY[1]<2>" "st te""#),
            (
                r#""BODY[1.MIME]" """#,
                r#""BODY[1.MIME]" "From: ana@g1.lab\r\nSubject: the boundary never comes\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=never\r\n\r\n""#,
            ),
        ],
        "RFC 2046 5.1.1: without a part it is no multipart; Dovecot makes up an empty part",
    ),
    (
        "no_boundary_parameter",
        &[
            (
                r#"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" "0" "0") "mixed")"#,
                r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" "46" "5")"#,
            ),
            (
                r#"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" "0" "0" NIL NIL NIL NIL) "mixed" NIL NIL NIL NIL)"#,
                r#"("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" "46" "5" NIL NIL NIL NIL)"#,
            ),
            (r#""BODY[1]" """#, r#""BODY[1]" "--x\r\nContent-Type: text/plain\r\n\r\ntext\r\n--x--\r\n""#),
            (r#""BODY[1]<2>" """#, r#""BODY[1]<2>" "x\r\nCo""#),
            (
                r#""BODY[1.MIME]" """#,
                r#""BODY[1.MIME]" "From: ana@g1.lab\r\nSubject: no boundary is named\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed\r\n\r\n""#,
            ),
        ],
        "RFC 2046 5.1.1: the same",
    ),
];

/// The messages by name, with CRLF.
fn corpus() -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mime");
    let mut messages = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("tests/mime") {
        let path = entry.expect("an entry").path();
        let text = fs::read(&path).expect("a message");
        let lines: Vec<u8> =
            text.iter().flat_map(|octet| if *octet == b'\n' { b"\r\n".to_vec() } else { vec![*octet] }).collect();
        messages.insert(path.file_stem().expect("a name").to_string_lossy().into_owned(), lines);
    }
    messages
}

/// Plays the same against both, and gathers what differs.
struct Pair {
    ours: Talk,
    theirs: Talk,
    differences: Vec<String>,
}

impl Pair {
    fn login(ours: std::net::SocketAddr, theirs: std::net::SocketAddr) -> Self {
        let mut pair = Self { ours: Talk::new(ours), theirs: Talk::new(theirs), differences: Vec::new() };
        pair.ours.ask("LOGIN user1 Usuario1");
        pair.theirs.ask("LOGIN user1 Usuario1");
        pair
    }

    /// A command that is only to be done.
    fn both(&mut self, command: &str) {
        let (ours, theirs) = (self.ours.ask(command), self.theirs.ask(command));
        assert_eq!(ours.status, theirs.status, "{command}: {ours:?} {theirs:?}");
    }

    fn append(&mut self, folder: &str, message: &[u8]) {
        for talk in [&mut self.ours, &mut self.theirs] {
            let status = talk.append(&format!("{folder} () \"03-Nov-2017 12:01:03 +0100\""), message);
            assert_eq!(status, "OK", "{folder}");
        }
    }

    /// A command whose answers are compared.
    fn compare(&mut self, what: &str, command: &str) {
        let (ours, theirs) = (self.ours.ask(command), self.theirs.ask(command));
        let (a, b) = (ours.normal(), theirs.normal());
        if a == b {
            return;
        }
        let allowed =
            ALLOWED.iter().any(|(name, part, _)| (name.is_empty() || *name == what) && command.contains(part));
        let (ours, theirs) = (show(&a), show(&b));
        let mended =
            |pieces: &[(&str, &str)]| pieces.iter().fold(theirs.clone(), |text, (they, we)| text.replace(they, we));
        let exact = EXACTLY.iter().any(|(name, pieces, _)| *name == what && mended(pieces) == ours);
        if !allowed && !exact {
            self.differences.push(format!("{what}: {command}\n  ours   {ours}\n  theirs {theirs}"));
        }
    }

    fn end(self) {
        assert!(
            self.differences.is_empty(),
            "{} differences\n\n{}",
            self.differences.len(),
            self.differences.join("\n\n")
        );
    }
}

fn show(nodes: &[Node]) -> String {
    nodes.iter().map(Node::to_string).collect::<Vec<_>>().join("\n         ")
}

/// Both servers, and a session on each.
fn pair(test: impl FnOnce(Pair)) {
    let mut config = config();
    config.accounts.insert(
        "user1".parse().unwrap(),
        Account { password: "Usuario1".to_owned(), token: "token".to_owned(), student: false },
    );
    config.endpoints = vec![endpoint(Service::Imap, None)];
    let running = Running::new(config);
    let dovecot = Dovecot::start();
    let pair = || test(Pair::login(running.address(Service::Imap), dovecot.address));
    let result = catch_unwind(AssertUnwindSafe(pair));
    dovecot.stop();
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

#[test]
fn messages_are_fetched_alike() {
    pair(|mut pair| {
        let corpus = corpus();
        for message in corpus.values() {
            pair.append("INBOX", message);
        }
        pair.both("SELECT INBOX");
        for (number, name) in (1..).zip(corpus.keys()) {
            for item in [
                "BODY.PEEK[]",
                "RFC822.SIZE",
                "INTERNALDATE",
                "ENVELOPE",
                "BODY",
                "BODYSTRUCTURE",
                "BODY.PEEK[HEADER]",
                "BODY.PEEK[TEXT]",
                "BODY.PEEK[HEADER.FIELDS (SUBJECT FROM X-Folded Received)]",
                "BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT FROM DATE)]",
                "BODY.PEEK[HEADER.FIELDS (X-None)]",
                "BODY.PEEK[]<0.10>",
                "BODY.PEEK[]<5.100000>",
                "BODY.PEEK[]<100000.10>",
                "BODY.PEEK[TEXT]<3.7>",
                "BODY.PEEK[1]",
                "BODY.PEEK[1]<2.5>",
                "BODY.PEEK[1.MIME]",
                "BODY.PEEK[2]",
                "BODY.PEEK[2.MIME]",
                "BODY.PEEK[2.HEADER]",
                "BODY.PEEK[2.TEXT]",
                "BODY.PEEK[2.1]",
                "BODY.PEEK[2.2]",
                "BODY.PEEK[2.2.MIME]",
                "BODY.PEEK[1.1]",
                "BODY.PEEK[1.1.1]",
                "BODY.PEEK[1.1.2]",
                "BODY.PEEK[1.2]",
                "BODY.PEEK[3]",
                "BODY.PEEK[2.HEADER.FIELDS (SUBJECT)]",
                "RFC822.HEADER",
            ] {
                pair.compare(name, &format!("FETCH {number} ({item})"));
            }
        }
        pair.end();
    });
}

#[test]
fn messages_are_found_alike() {
    pair(|mut pair| {
        for message in corpus().values() {
            pair.append("INBOX", message);
        }
        pair.both("SELECT INBOX");
        pair.both("STORE 2,4 +FLAGS.SILENT (\\Seen $Lab)");
        pair.both("STORE 3 +FLAGS.SILENT (\\Deleted \\Flagged)");
        for keys in [
            "ALL",
            "SEEN",
            "UNSEEN",
            "NOT DELETED",
            "KEYWORD $Lab",
            "UNKEYWORD $lab",
            "FLAGGED UNSEEN",
            "OR SEEN DELETED",
            "2:4",
            "UID 3:*",
            "NOT 2:*",
            "FROM ana",
            "FROM ANA@g1.lab",
            "TO ben",
            "CC dana",
            "SUBJECT boundary",
            "SUBJECT \"pr\u{e1}ctica\"",
            "SUBJECT second",
            "HEADER Message-ID inner",
            "HEADER X-Empty \"\"",
            "HEADER X-Folded three",
            "BODY text",
            "BODY TEXT",
            "BODY \"qu\u{e9} tal\"",
            "BODY \"the inner message\"",
            "BODY epilogue",
            "BODY R0lGODlh",
            "TEXT g1.lab",
            "TEXT \"nothing else\"",
            "TEXT \"Ma\u{f1}ana\"",
            "SENTBEFORE 3-Nov-2017",
            "SENTON 3-Nov-2017",
            "SENTSINCE 3-Nov-2017",
            "BEFORE 4-Nov-2017",
            "ON 3-Nov-2017",
            "SINCE 4-Nov-2017",
            "LARGER 500",
            "SMALLER 100",
            "RETURN (MIN MAX COUNT ALL) FROM ana",
        ] {
            for verb in ["SEARCH", "UID SEARCH"] {
                let charset = if keys.is_ascii() { "" } else { "CHARSET UTF-8 " };
                pair.compare("search", &format!("{verb} {charset}{keys}"));
            }
        }
        pair.end();
    });
}

#[test]
fn folders_and_flags_change_alike() {
    pair(|mut pair| {
        let corpus = corpus();
        for message in corpus.values().take(6) {
            pair.append("INBOX", message);
        }
        for command in [
            "LIST \"\" \"%\"",
            "CREATE lab",
            "CREATE lab/one",
            "CREATE lab/one",
            "CREATE \"pr&AOE-ctica\"",
            "LIST \"\" \"*\"",
            "LIST \"lab/\" \"%\"",
            "LIST \"\" INBOX",
            "LIST \"\" \"lab*\"",
            "RENAME lab/one lab/two",
            "RENAME lab/one lab/three",
            "LIST \"\" \"lab/%\"",
            "DELETE lab/none",
            "SUBSCRIBE lab/two",
            "LSUB \"\" \"lab/*\"",
            "UNSUBSCRIBE lab/two",
            "LSUB \"\" \"lab/*\"",
            "STATUS INBOX (MESSAGES UIDNEXT UNSEEN)",
            "SELECT none",
            "SELECT INBOX",
            "FETCH 1:* (UID)",
            "STORE 1:2 +FLAGS (\\Seen)",
            "STORE 1 +FLAGS (\\Seen)",
            "STORE 2 FLAGS (\\Answered lab)",
            "STORE 2 -FLAGS (LAB)",
            "STORE 1:3 +FLAGS.SILENT (\\Deleted)",
            "FETCH 1:* (FLAGS)",
            "UID FETCH 2:3 (FLAGS)",
            "UID FETCH 99 (FLAGS)",
            "COPY 1:2 lab/two",
            "COPY 1 none",
            "UID COPY 99 lab/two",
            "UID EXPUNGE 2",
            "EXPUNGE",
            "EXPUNGE",
            "FETCH 1:* (UID FLAGS)",
            "MOVE 1 lab/two",
            "FETCH 1:* (UID)",
            "FETCH 9 (UID)",
            "STORE 9 +FLAGS (\\Seen)",
            "FETCH 1 BODY[TEXT]",
            "FETCH 1 (FLAGS)",
            "CHECK",
            "CLOSE",
            "EXAMINE lab/two",
            "FETCH 1:* (UID FLAGS RFC822.SIZE)",
            "STORE 1 +FLAGS (\\Deleted)",
            "SEARCH DELETED",
            "UNSELECT",
            "DELETE lab/two",
            "LIST \"\" \"lab/%\"",
            "STATUS INBOX (MESSAGES UIDNEXT UNSEEN)",
            "NAMESPACE",
            "LOGOUT",
        ] {
            pair.compare("folders", command);
        }
        pair.end();
    });
}
