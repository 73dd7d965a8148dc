//! What holds for every input: no octets make a session panic, and however they are cut, the same comes out.

use labctl::{lab::Protocol, protocol::dialect};
use proptest::prelude::*;

use super::{
    player::{Manner, by_kind, play},
    script::Script,
};

/// Pieces that an SMTP client might send, whole and broken.
const SMTP: &[&str] = &[
    "HELO me\r\n",
    "ehlo me.lab\r\n",
    "EHLO\n",
    "MAIL FROM:<user1@lib.simulacion>",
    "MAIL FROM: ana",
    "mail from:<>",
    " SIZE=10",
    " SMTPUTF8",
    "RCPT TO:<user2@lib.simulacion>\r\n",
    "RCPT TO:<@a,@b:user2@[127.0.0.1]>\r\n",
    "rcpt to: \"a \\\" b\"@lib.simulacion\r\n",
    "DATA\r\n",
    "Received: x\r\n",
    "RSET\r\n",
    "QUIT\r\n",
    "ETRN otro.lab\r\n",
    "ATRN\r\n",
    "BDAT 5\r\n",
    "BDAT 3 LAST\r\n",
    "BDAT 0 LAST\r\n",
    "AUTH LOGIN\r\n",
    "AUTH PLAIN AGFuYQBzZWNyZXQ=\r\n",
    "dXNlcjE=\r\n",
    "*\r\n",
    "\r\n",
    "\r\n.\r\n",
    ".\r\n",
    ".",
    "\r",
    "\n",
    "ñ",
    "\0",
    "0123456789012345678901234567890123456789",
];

/// Pieces that an IMAP client might send.
const IMAP: &[&str] = &[
    "a LOGIN ana secret\r\n",
    "b LOGIN {3+}\r\nana {6}\r\nsecret\r\n",
    "c AUTHENTICATE PLAIN\r\n",
    "AGFuYQBzZWNyZXQ=\r\n",
    "d SELECT inbox\r\n",
    "e EXAMINE Sent\n",
    "f LIST \"\" \"*\" RETURN (STATUS (UNSEEN))\r\n",
    "g FETCH 1:* (FLAGS BODY[] ENVELOPE BODYSTRUCTURE)\r\n",
    "h UID FETCH * BODY.PEEK[1.HEADER]<2.3>\r\n",
    "i STORE 1 +FLAGS.SILENT (\\Deleted x)\r\n",
    "j EXPUNGE\r\n",
    "k SEARCH OR TEXT text NOT (SEEN 1:2)\r\n",
    "l UID SEARCH RETURN (SAVE COUNT) ALL\r\n",
    "m COPY $ Trash\r\n",
    "n MOVE 1 Trash\r\n",
    "o APPEND Sent {4}\r\n",
    "p APPEND INBOX (\\Seen) {4+}\r\na\r\nb\r\n",
    "q CREATE a/b\r\n",
    "r RENAME a c\r\n",
    "s IDLE\r\n",
    "DONE\r\n",
    "t ENABLE IMAP4rev2 CONDSTORE\r\n",
    "u CLOSE\r\n",
    "v LOGOUT\r\n",
    "w STATUS INBOX (MESSAGES)\r\n",
    "x NOOP {99999+}\r\n",
    "{5}\r\n",
    "\r\n",
    "(",
    "\"",
    "ñ",
    "\0",
];

/// Pieces that a POP3 client might send.
const POP3: &[&str] = &[
    "USER ana\r\nPASS secret\r\n",
    "USER user1\r\n",
    "PASS Usuario1\r\n",
    "APOP ana 00000000000000000000000000000000\r\n",
    "AUTH KERBEROS_V4\r\n",
    "STAT\r\n",
    "LIST\r\n",
    "list 2\n",
    "UIDL\r\n",
    "RETR 1\r\n",
    "RETR 18446744073709551616\r\n",
    "TOP 1 0\r\n",
    "TOP 2 3\r\n",
    "DELE 1\r\n",
    "DELE 0\r\n",
    "RSET\r\n",
    "NOOP\r\n",
    "CAPA\r\n",
    "QUIT\r\n",
    "\r\n",
    "\r",
    "\n",
    "\0",
    " ",
    "ñ",
];

fn pieces(protocol: Protocol) -> (&'static [&'static str], &'static [u8]) {
    match protocol {
        Protocol::Smtp => {
            (SMTP, b"RSET\r\nMAIL FROM:<ana@lib.simulacion>\r\nRCPT TO:<user2@lib.simulacion>\r\nDATA\r\n")
        }
        Protocol::Imap => (IMAP, b"a LOGIN ana secret\r\nb SELECT INBOX\r\nc FETCH 1:2 BODY[]\r\n"),
        Protocol::Dns => unreachable!("not among those that are played"),
        Protocol::Pop3 => (POP3, b"USER ana\r\nPASS secret\r\nRETR 1\r\n"),
    }
}

fn octets(protocol: Protocol) -> impl Strategy<Value = Vec<u8>> {
    let (words, deep) = pieces(protocol);
    let piece = prop_oneof![
        8 => proptest::sample::select(words).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
        // What works, so that random input gets as far as data and mailboxes.
        2 => Just(deep.to_vec()),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn input() -> impl Strategy<Value = (Protocol, Vec<u8>)> {
    // IMAP, whose lines may be longer, has a property of its own.
    proptest::sample::select(vec![Protocol::Smtp, Protocol::Pop3])
        .prop_flat_map(|protocol| octets(protocol).prop_map(move |octets| (protocol, octets)))
}

proptest! {
    #[test]
    fn however_a_session_is_cut_the_same_comes_out(
        (protocol, octets) in input(),
        length in 1..9_usize,
        dialect in proptest::sample::select(dialect::names().collect::<Vec<_>>()),
        strict in any::<bool>(),
    ) {
        let script = Script::hostile(&octets, dialect, strict);
        let whole = by_kind(&play(protocol, &script, Manner::Pieces));
        prop_assert_eq!(by_kind(&play(protocol, &script, Manner::Cut(length))), whole.clone());
        // A reply line has at most 512 octets with its CRLF (RFC 5321 4.5.3.1.5, RFC 1939 3).
        prop_assert!(whole.lines().filter(|line| line.starts_with("S: ")).all(|line| line.len() <= 3 + 510));
        prop_assert!(!whole.contains("(no CRLF)"));
    }
}

proptest! {
    // Each of these plays against real stores, twice.
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn however_an_imap_session_is_cut_the_same_comes_out(
        octets in octets(Protocol::Imap),
        length in 1..9_usize,
        strict in any::<bool>(),
    ) {
        let script = Script::hostile(&octets, "labctl", strict);
        let whole = by_kind(&play(Protocol::Imap, &script, Manner::Pieces));
        prop_assert_eq!(by_kind(&play(Protocol::Imap, &script, Manner::Cut(length))), whole.clone());
        prop_assert!(!whole.contains("secret"), "{}", whole);
    }
}
