//! What the fuzz targets have in common. A target's input is two octets that choose the server and how the rest is cut, and
//! the rest, which is what the client sends. The player is the transcripts' own: what a finding shows can be written
//! down as a transcript.

#[path = "../../tests/it/transcripts/folders.rs"]
mod folders;
#[path = "../../tests/it/transcripts/player.rs"]
pub mod player;
#[path = "../../tests/it/transcripts/script.rs"]
pub mod script;
#[path = "../../tests/it/transcripts/store.rs"]
mod store;

use labctl::{
    lab::{LoneNewline, Protocol},
    protocol::{
        Input, Next, dialect,
        line::{Framer, Limits},
    },
};
use player::{Manner, by_kind, play};
use script::Script;

/// Plays what a client sends in one piece and cut up: nothing panics, the same comes out, and every reply line is whole.
pub fn session(protocol: Protocol, input: &[u8]) {
    let [server, cut, octets @ ..] = input else { return };
    let names: Vec<&str> = dialect::names().collect();
    let dialect = names[usize::from(server >> 1) % names.len()];
    let script = Script::hostile(octets, dialect, server & 1 == 1);
    let whole = by_kind(&play(protocol, &script, Manner::Pieces));
    let pieces = by_kind(&play(protocol, &script, Manner::Cut(usize::from(cut % 16) + 1)));
    assert_eq!(whole, pieces, "the same octets, cut differently");
    assert!(!whole.contains("(no CRLF)"), "{whole}");
    // RFC 5321 4.5.3.1.5 and RFC 1939 3: 512 octets with the CRLF; `S: ` stands before them here. IMAP has no such limit.
    assert!(
        protocol == Protocol::Imap
            || whole.lines().filter(|line| line.starts_with("S: ")).all(|line| line.len() <= 3 + 510),
        "{whole}"
    );
}

/// Frames octets in one piece and cut up, lines and message data in turn: the same inputs come out, each within its limit.
pub fn framing(input: &[u8]) {
    let [choice, cut, octets @ ..] = input else { return };
    let lone_newline = [LoneNewline::Refuse, LoneNewline::Convert, LoneNewline::Keep][usize::from(choice % 3)];
    let limits = Limits { line: 40, text_line: 30, message: 100, lone_newline };
    let whole = framed(limits, &[octets]);
    let pieces: Vec<&[u8]> = octets.chunks(usize::from(cut % 16) + 1).collect();
    assert_eq!(whole, framed(limits, &pieces), "the same octets, cut differently");
}

fn framed(limits: Limits, pieces: &[&[u8]]) -> Vec<String> {
    let mut framer = Framer::new(limits);
    let (mut want, mut inputs) = (Next::Line, Vec::new());
    for piece in pieces {
        framer.feed(piece);
        while let Some(input) = framer.next(want) {
            match &input {
                Input::Line { octets, .. } => assert!(octets.len() < limits.line, "a line over its limit"),
                Input::LineTooLong { octets, .. } => assert!(*octets > limits.line as u64, "a line within its limit"),
                // A lone CR or LF that is converted becomes two octets; the limit counts what came.
                Input::Data(data) => assert!(data.content.len() as u64 <= 2 * limits.message, "data over its limit"),
                Input::LoneDot { line } => assert!(*line > 0, "lines count from 1"),
                other => panic!("a framer says {other:?}"),
            }
            inputs.push(format!("{input:?}"));
            let data = matches!(&input, Input::Line { octets: b"DATA", .. } | Input::LoneDot { .. });
            want = if data { Next::Data } else { Next::Line };
        }
    }
    inputs
}
