//! One strike of a fault: what is said instead of an answer, what becomes of the reply, and how it is to be sent.

use std::time::Duration;

use super::Heard;
use crate::{
    evidence::{EventKind, FaultMoment, kept_reply, kept_tagged},
    lab::{
        Fault, FaultId, Protocol,
        fault::{Act, Refusal},
    },
    protocol::{Now, Output, Peer, smtp},
};

/// How many octets of a reply `drip` sends one at a time; the rest of a longer one follows at once.
pub const DRIPPED: usize = 1_024;

/// The pause between two octets of `drip`: long enough for each to be a packet, and read, of its own.
const DRIP_PAUSE: Duration = Duration::from_millis(2);

/// The pause between the two pieces of `split`.
const SPLIT_PAUSE: Duration = Duration::from_millis(200);

/// The line that `lines` puts in front of a reply.
const MORE: &str = "this reply has more lines than usual";

/// A fault that strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strike {
    fault: FaultId,
    act: Act,
    at: String,
    about: String,
}

/// A piece of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// How long to wait before it.
    pub pause: Duration,
    /// How many octets it has.
    pub octets: usize,
}

/// What comes after a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The session goes on.
    GoOn,
    /// The connection is cut.
    Cut,
    /// Nothing is read or said any more.
    Silence,
}

impl Strike {
    /// How many characters are kept of what a strike is about.
    pub const ABOUT: usize = 256;

    /// The strike of a fault at a verb.
    pub fn new(fault: &Fault, verb: &str, about: String) -> Self {
        let at = verb.chars().take(crate::names::MAX_NAME).collect();
        Self { fault: fault.id.clone(), act: fault.act.clone(), at, about }
    }

    /// Its event.
    pub fn event(&self, what: FaultMoment) -> EventKind {
        let (fault, at, about) = (self.fault.clone(), self.at.clone(), self.about.clone());
        EventKind::Fault { fault, what, act: self.act.to_string(), at, about }
    }

    /// What is said instead of carrying out what came, with CRLF; none where it is carried out.
    pub fn instead(&self, peer: &Peer, heard: &Heard<'_>, now: Now) -> Option<Vec<u8>> {
        let words = |key: &str, said: &str| match heard.protocol {
            Protocol::Smtp => smtp::refusal(peer, key, &heard.line, now),
            Protocol::Pop3 => format!("-ERR [SYS/TEMP] {said}\r\n").into_bytes(),
            Protocol::Imap | Protocol::Dns if heard.verb == "<connect>" => format!("* BYE {said}\r\n").into_bytes(),
            Protocol::Imap | Protocol::Dns => format!("{} NO [UNAVAILABLE] {said}\r\n", heard.tag()).into_bytes(),
        };
        match &self.act {
            Act::Refuse(Refusal::Busy) => Some(words("fault.busy", "the server is busy: come back later")),
            Act::Refuse(Refusal::Never) => Some(words("fault.never", "there is no service here")),
            Act::Cut | Act::Silent => Some(Vec::new()),
            Act::Answer(text) if heard.protocol == Protocol::Imap && heard.verb != "<connect>" => {
                Some(format!("{} {text}\r\n", heard.tag()).into_bytes())
            }
            Act::Answer(text) => Some(format!("{text}\r\n").into_bytes()),
            Act::Unknown => Some(words("rcpt.unknown", "unknown")),
            Act::Full => Some(words("rcpt.full", "full")),
            Act::Rate { .. } => Some(words("fault.rate", "too many of these: wait a while")),
            Act::Greylist(_) => Some(words("fault.greylist", "wait a while")),
            Act::CutAfter(_) | Act::Delay(_) | Act::Drip | Act::Split(_) | Act::Lines | Act::Code(_) | Act::BareLf => {
                None
            }
        }
    }

    /// Changes what the session says and records into what is really sent, and puts the strike's event behind that of what it
    /// struck. Says whether it did the latter: that happens once.
    ///
    /// A long reply comes in several turns: `said` is how many octets of it came before, as they are sent.
    pub fn mark(&self, protocol: Protocol, said: usize, out: &mut Output) -> bool {
        if !out.reply.is_empty() {
            out.reply = self.bent(protocol, said, &out.reply);
        }
        let place = out.events.iter_mut().position(|event| match event {
            EventKind::Command { reply, reply_octets, .. } => {
                let sent = self.bent(protocol, 0, reply.as_bytes());
                let all = (*reply_octets + sent.len() as u64).saturating_sub(reply.len() as u64);
                *reply_octets = if let Act::CutAfter(octets) = self.act { all.min(octets.into()) } else { all };
                let tagged = protocol == Protocol::Imap;
                *reply = if tagged { kept_tagged(&sent, sent.len() as u64) } else { kept_reply(&sent) };
                true
            }
            EventKind::Connected { reply, .. } => {
                *reply = kept_reply(&self.bent(protocol, 0, reply.as_bytes()));
                true
            }
            _ => false,
        });
        if let Some(place) = place {
            out.events.insert(place + 1, self.event(FaultMoment::Struck));
        }
        place.is_some()
    }

    /// A reply, of which so many octets came before, with what the fault does to its octets.
    fn bent(&self, protocol: Protocol, said: usize, reply: &[u8]) -> Vec<u8> {
        match &self.act {
            Act::CutAfter(octets) => reply[..reply.len().min((*octets as usize).saturating_sub(said))].to_vec(),
            Act::BareLf => {
                let lines = reply.split_inclusive(|octet| *octet == b'\n');
                let bare = |line: &[u8]| match line.strip_suffix(b"\r\n") {
                    Some(line) => [line, b"\n"].concat(),
                    None => line.to_vec(),
                };
                lines.flat_map(bare).collect()
            }
            Act::Lines => match reply.get(..3).filter(|_| said == 0) {
                Some(code) if code.iter().all(u8::is_ascii_digit) => {
                    [code, format!("-{MORE}\r\n").as_bytes(), reply].concat()
                }
                _ => reply.to_vec(),
            },
            // POP3's status is the first word of all.
            Act::Code(code) if said == 0 || protocol != Protocol::Pop3 => coded(protocol, code, reply),
            Act::Refuse(_)
            | Act::Cut
            | Act::Silent
            | Act::Answer(_)
            | Act::Unknown
            | Act::Full
            | Act::Rate { .. }
            | Act::Greylist(_)
            | Act::Delay(_)
            | Act::Drip
            | Act::Code(_)
            | Act::Split(_) => reply.to_vec(),
        }
    }

    /// How octets of a reply are to be sent, of which so many were sent before.
    pub fn pieces(&self, sent: usize, octets: usize) -> Vec<Piece> {
        let whole = |pause| vec![Piece { pause, octets }];
        let pieces = match &self.act {
            Act::Delay(secs) if sent == 0 => whole(Duration::from_secs(u64::from(*secs))),
            Act::Drip => {
                let single = octets.min(DRIPPED.saturating_sub(sent));
                let mut pieces = vec![Piece { pause: DRIP_PAUSE, octets: 1 }; single];
                let pause = if sent + single > DRIPPED { Duration::ZERO } else { DRIP_PAUSE };
                pieces.push(Piece { pause, octets: octets - single });
                pieces
            }
            Act::Split(at) if sent <= *at as usize => {
                let first = octets.min(*at as usize - sent);
                let first_piece = Piece { pause: Duration::ZERO, octets: first };
                vec![first_piece, Piece { pause: SPLIT_PAUSE, octets: octets - first }]
            }
            Act::Delay(_)
            | Act::Split(_)
            | Act::Refuse(_)
            | Act::Cut
            | Act::CutAfter(_)
            | Act::Silent
            | Act::Answer(_)
            | Act::Unknown
            | Act::Full
            | Act::Rate { .. }
            | Act::Greylist(_)
            | Act::Lines
            | Act::Code(_)
            | Act::BareLf => whole(Duration::ZERO),
        };
        pieces.into_iter().filter(|piece| piece.octets > 0).collect()
    }

    /// Whether the connection ends when so many octets of the reply are sent, whatever was to follow.
    pub fn cuts_at(&self, sent: usize) -> bool {
        matches!(self.act, Act::CutAfter(octets) if sent >= octets as usize)
    }

    /// What comes after the reply.
    pub const fn then(&self) -> Then {
        match &self.act {
            Act::Refuse(_) | Act::Cut | Act::CutAfter(_) => Then::Cut,
            Act::Silent => Then::Silence,
            Act::Delay(_)
            | Act::Drip
            | Act::Split(_)
            | Act::Answer(_)
            | Act::Unknown
            | Act::Full
            | Act::Rate { .. }
            | Act::Greylist(_)
            | Act::Lines
            | Act::Code(_)
            | Act::BareLf => Then::GoOn,
        }
    }
}

/// The reply with another code: on each line of SMTP's, in front of POP3's, behind the tag of IMAP's (where the lines without one
/// are content).
fn coded(protocol: Protocol, code: &str, reply: &[u8]) -> Vec<u8> {
    let word = |line: &[u8]| line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    let mut first = true;
    let line = |line: &[u8]| {
        let status = match protocol {
            Protocol::Smtp => line.get(..3).is_some_and(|code| code.iter().all(u8::is_ascii_digit)).then_some(0..3),
            Protocol::Pop3 => std::mem::take(&mut first).then(|| 0..word(line)),
            Protocol::Imap | Protocol::Dns if line.starts_with(b"* ") || line.starts_with(b"+") => None,
            Protocol::Imap | Protocol::Dns => {
                let start = (word(line) + 1).min(line.len());
                Some(start..start + word(&line[start..]))
            }
        };
        match status {
            Some(status) => [&line[..status.start], code.as_bytes(), &line[status.end..]].concat(),
            None => line.to_vec(),
        }
    };
    reply.split_inclusive(|octet| *octet == b'\n').flat_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strike(act: &str) -> Strike {
        Strike { fault: "f".parse().unwrap(), act: act.parse().unwrap(), at: "MAIL".into(), about: String::new() }
    }

    fn bent(act: &str, reply: &str) -> String {
        let protocol = if reply.starts_with(['+', '-']) { Protocol::Pop3 } else { Protocol::Smtp };
        String::from_utf8(strike(act).bent(protocol, 0, reply.as_bytes())).unwrap()
    }

    #[test]
    fn a_reply_is_bent_as_the_act_says() {
        assert_eq!(bent("bare-lf", "250-a\r\n250 b\r\n"), "250-a\n250 b\n");
        assert_eq!(bent("code 251", "250-a\r\n250 b\r\n"), "251-a\r\n251 b\r\n");
        assert_eq!(bent("code -ERR", "+OK 2\r\n1 10\r\n.\r\n"), "-ERR 2\r\n1 10\r\n.\r\n");
        assert_eq!(bent("code 500", "250\r\n"), "500\r\n");
        assert_eq!(bent("lines", "250 ok\r\n"), format!("250-{MORE}\r\n250 ok\r\n"));
        assert_eq!(bent("lines", "+OK\r\n"), "+OK\r\n");
        assert_eq!(bent("cut 3", "250 ok\r\n"), "250");
        assert_eq!((bent("cut 0", "250 ok\r\n"), bent("cut 99", "250\r\n")), (String::new(), "250\r\n".into()));
        assert_eq!(bent("drip", "250 ok\r\n"), "250 ok\r\n");
    }

    #[test]
    fn the_pieces_are_all_of_the_reply() {
        for act in crate::lab::fault::ACTS {
            for octets in [0, 1, 2, 3, 4, DRIPPED, DRIPPED + 1, DRIPPED + 2] {
                for sent in [0, 2, 3, 4, DRIPPED, 2 * DRIPPED] {
                    let pieces = strike(act).pieces(sent, octets);
                    assert_eq!(pieces.iter().map(|piece| piece.octets).sum::<usize>(), octets, "{act}");
                    assert!(pieces.iter().all(|piece| piece.octets > 0), "{act}");
                }
            }
        }
        let lengths = |act: &str, octets| strike(act).pieces(0, octets).iter().map(|piece| piece.octets).collect();
        let split: Vec<usize> = lengths("split 3", 8);
        assert_eq!(split, [3, 5]);
        let dripped: Vec<usize> = lengths("drip", DRIPPED + 5);
        assert_eq!((dripped.len(), dripped[0], dripped[DRIPPED]), (DRIPPED + 1, 1, 5));
    }

    #[test]
    fn a_reply_in_several_turns_is_struck_like_one_in_a_single_turn() {
        for act in crate::lab::fault::ACTS.into_iter().filter(|act| !act.starts_with("lines")) {
            let (whole, step) = ("+OK 8\r\n12345678\r\n.\r\n", 7);
            let mut said = Vec::new();
            for turn in whole.as_bytes().chunks(step) {
                let bent = strike(act).bent(Protocol::Pop3, said.len(), turn);
                said.extend(bent);
            }
            assert_eq!(said, strike(act).bent(Protocol::Pop3, 0, whole.as_bytes()), "{act}");
            let pauses = |pieces: Vec<Piece>| {
                let mut at = 0;
                let place = |piece: Piece| {
                    at += piece.octets;
                    (piece.pause, at - piece.octets)
                };
                pieces.into_iter().map(place).filter(|(pause, _)| !pause.is_zero()).collect::<Vec<_>>()
            };
            let turns: Vec<Piece> = (0..3).flat_map(|turn| strike(act).pieces(turn * step, step)).collect();
            assert_eq!(pauses(turns), pauses(strike(act).pieces(0, 3 * step)), "{act}");
        }
        assert!(!strike("cut 3").cuts_at(2) && strike("cut 3").cuts_at(3) && !strike("split 3").cuts_at(3));
    }
}
