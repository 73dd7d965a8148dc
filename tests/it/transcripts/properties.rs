//! What holds for every input: no octets make a session panic, and however they are cut, the same comes out.

use labctl::{lab::Protocol, protocol::dialect};
use proptest::prelude::*;

use super::{
    by_kind,
    player::{Manner, play},
    script::{Line, Script, Settings, Step},
};

/// Pieces that a client of either kind might send, whole and broken.
const PIECES: &[&str] = &[
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

fn octets() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => proptest::sample::select(PIECES).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..40),
        // A transaction that works, so that random input gets as far as data.
        2 => Just(b"RSET\r\nMAIL FROM:<ana@lib.simulacion>\r\nRCPT TO:<user2@lib.simulacion>\r\nDATA\r\n".to_vec()),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn script(octets: &[u8], dialect: &str, strict: bool) -> Script {
    let mut settings = Settings::default();
    dialect.clone_into(&mut settings.config.dialect);
    settings.config.limits.line = 60;
    settings.config.limits.text_line = 50;
    settings.config.limits.message = 100;
    settings.config.limits.errors = 8;
    settings.show_mail = true;
    if strict {
        settings.config.leniency = labctl::lab::Leniency::STRICT;
    }
    let account = labctl::lab::server::Account { password: "secret".to_owned(), student: true };
    settings.config.accounts.insert("ana".parse().expect("a login"), account);
    Script { settings, lines: vec![Line::Step(String::new(), Step::Send(octets.to_vec()))] }
}

proptest! {
    #[test]
    fn however_smtp_is_cut_the_same_comes_out(
        octets in octets(),
        length in 1..9_usize,
        dialect in proptest::sample::select(dialect::names().collect::<Vec<_>>()),
        strict in any::<bool>(),
    ) {
        let script = script(&octets, dialect, strict);
        let whole = by_kind(&play(Protocol::Smtp, &script, Manner::Pieces));
        prop_assert_eq!(by_kind(&play(Protocol::Smtp, &script, Manner::Cut(length))), whole.clone());
        prop_assert!(whole.lines().filter(|line| line.starts_with("S: ")).all(|line| line.len() <= 3 + 510));
        prop_assert!(!whole.contains("(no CRLF)"));
    }
}
