//! Protocols as text: each file in `tests/transcripts/{smtp,pop3,imap}` is one behaviour, played against the session without
//! I/O three ways: line by line, one octet at a time, and everything in one piece. `UPDATE=1` rewrites what was seen.
//!
//! ```text
//! # A comment. The settings come first; all of them are optional (`script.rs` has the keys and defaults).
//! lab: dialect=argosoft strict=true users=user1:Usuario1,user2:Usuario2 students=ana:secret
//! clock: 2017-11-03T12:01:03+01:00
//! mail: user2 Subject: a message that is there already\r\n\r\ntext\r\n
//! C: a line that the client sends, with CRLF
//! R: octets as they are: \r \n \0 \xff \\ and {x*500} for 500 times x
//! S: a line that the server sends
//! E: a piece of evidence: `VERB code state>state`, or another event with what matters of it
//! M: a line of the message that was stored, with `lab: mail=shown`; before it in brackets what else the envelope has
//! T: +5m
//! O: a line that another IMAP session of the mailbox sends; its replies are not shown
//! X: secured | close | shutdown | store fails | store works | mail MAILBOX MESSAGE | pop3 MAILBOX | pop3 closes
//! ```

mod folders;
mod player;
mod properties;
mod script;
mod store;

use std::{fs, path::Path};

use labctl::lab::Protocol;

use player::{Manner, by_kind, play};
use script::Script;

#[test]
fn smtp_transcripts() {
    check_all(Protocol::Smtp);
}

#[test]
fn pop3_transcripts() {
    check_all(Protocol::Pop3);
}

#[test]
fn imap_transcripts() {
    check_all(Protocol::Imap);
}

fn check_all(protocol: Protocol) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(protocol.as_str());
    let mut files = Vec::new();
    collect(&folder, &mut files);
    files.sort();
    let failures: Vec<String> = files.iter().filter_map(|file| check(protocol, file).err()).collect();
    assert!(failures.is_empty(), "{}\n\n{} of {} files", failures.join("\n\n"), failures.len(), files.len());
}

fn collect(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("a folder that can be read").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "txt") {
            files.push(path);
        }
    }
}

fn check(protocol: Protocol, file: &Path) -> Result<(), String> {
    let name = file.display();
    let text = fs::read_to_string(file).map_err(|problem| format!("{name}: {problem}"))?;
    let script = Script::parse(&text).map_err(|problem| format!("{name}: {problem}"))?;
    let played = play(protocol, &script, Manner::Lines);
    let shown = script.with_seen(&played);
    if shown != text {
        if std::env::var_os("UPDATE").is_some() {
            fs::write(file, &shown).map_err(|problem| format!("{name}: {problem}"))?;
        } else {
            return Err(format!("{name}: {}", first_difference(&text, &shown)));
        }
    }
    for manner in [Manner::Cut(1), Manner::Pieces] {
        let again = play(protocol, &script, manner);
        let (expected, seen) = (by_kind(&played), by_kind(&again));
        if expected != seen {
            return Err(format!("{name}, {manner:?}: {}", first_difference(&expected, &seen)));
        }
    }
    Ok(())
}

fn first_difference(expected: &str, seen: &str) -> String {
    let (mut wanted, mut got) = (expected.lines(), seen.lines());
    let mut number = 0;
    loop {
        number += 1;
        match (wanted.next(), got.next()) {
            (None, None) => return "only the line ends differ".into(),
            (want, got) if want != got => {
                let show = |line: Option<&str>| line.unwrap_or("(the end)").to_owned();
                return format!("line {number}\n  expected {}\n  seen     {}", show(want), show(got));
            }
            _ => {}
        }
    }
}
