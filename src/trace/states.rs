//! State lines as MailHog logs them, for the practical that shows them: what came, in which state, what it did, what was sent.

use std::{fmt::Write as _, net::SocketAddr};

use anstyle::Style;

use super::{Look, visible};
use crate::{
    evidence::{Event, EventKind, State},
    lab::Protocol,
};

/// The lines of an event; none for what is no part of the protocol's conversation.
pub(super) fn lines(event: &Event, protocol: Option<Protocol>, peer: Option<SocketAddr>, look: Look) -> String {
    let name = protocol.map_or("?", Protocol::as_str).to_ascii_uppercase();
    let peer = peer.map_or_else(|| "labctl".to_owned(), |peer| peer.to_string());
    let dim = if look.colour { Style::new().dimmed() } else { Style::new() };
    let mut text = String::new();
    let mut line = |said: &str| {
        let _ = writeln!(text, "{dim}[{name} {peer}]{dim:#} {said}");
    };
    match &event.kind {
        EventKind::Connected { protocol, reply, .. } => {
            line("Starting session");
            let first = match protocol {
                Protocol::Smtp => Some(State::Connect),
                Protocol::Pop3 => Some(State::Authorization),
                Protocol::Imap => Some(State::NotAuthenticated),
                Protocol::Dns => None,
            };
            if let Some(first) = first {
                line(&format!("Started session, switching to {} state", named(first).1));
            }
            line(&sent(reply, reply.len() as u64));
        }
        EventKind::Command { verb, line: said, octets, reply, reply_octets, before, after, pipelined: _, times } => {
            if *times > 1 {
                line(&format!("{times} times in a row:"));
            }
            let (before, after) = (named(*before), named(*after));
            if &**verb == "<message>" {
                line(&format!("Received {octets} bytes of message data"));
                line(&format!("Got EOF, storing message and switching to {} state", after.1));
            } else {
                let args = said.split_once(|letter: char| letter.is_ascii_whitespace()).map_or("", |(_, args)| args);
                let end = if *octets == said.len() as u64 + 1 { "\\n" } else { "\\r\\n" };
                line(&format!("Received {octets} bytes: '{}{end}'", visible(said)));
                let verb = visible(verb);
                line(&format!("In state {}, got command '{verb}', args '{}'", before.0, visible(args)));
                let switch = if before == after { String::new() } else { format!(", switching to {} state", after.1) };
                line(&format!("Got {verb} command{switch}"));
            }
            line(&sent(reply, *reply_octets));
        }
        EventKind::Secured { version, cipher, .. } => line(&format!("Secured by {version}, {}", visible(cipher))),
        EventKind::HandshakeFailed { why } => line(&format!("TLS handshake failed: {}", visible(why))),
        EventKind::Discarded { octets } => line(&format!("Discarded {octets} bytes of plaintext behind STARTTLS")),
        EventKind::Disconnected { .. } => line("Session ended"),
        EventKind::LoggedIn { .. }
        | EventKind::LoginFailed { .. }
        | EventKind::LoneDot { .. }
        | EventKind::Accepted { .. }
        | EventKind::Queued { .. }
        | EventKind::Relayed { .. }
        | EventKind::Deferred { .. }
        | EventKind::Bounced { .. }
        | EventKind::Query { .. }
        | EventKind::Retrieved { .. }
        | EventKind::Deleted { .. }
        | EventKind::Appended { .. }
        | EventKind::Copied { .. }
        | EventKind::Flagged { .. }
        | EventKind::Folder { .. }
        | EventKind::Reset { .. }
        | EventKind::Fault { .. }
        | EventKind::FaultSet { .. }
        | EventKind::FaultCleared { .. }
        | EventKind::Repeated { .. }
        | EventKind::Limited { .. }
        | EventKind::Exhausted { .. }
        | EventKind::Compacted { .. }
        | EventKind::Started { .. }
        | EventKind::Damaged { .. } => {}
    }
    text
}

fn sent(reply: &str, octets: u64) -> String {
    let more = if octets > reply.len() as u64 { "…" } else { "" };
    format!("Sent {octets} bytes: '{}{more}'", visible(reply))
}

/// MailHog's number and name of a state: its states are named after the command that they wait for. POP3 and IMAP, which it
/// does not speak, have the RFCs' names and numbers of their own.
const fn named(state: State) -> (u8, &'static str) {
    match state {
        State::Connect => (1, "ESTABLISH"),
        State::Auth => (2, "AUTHPLAIN"),
        State::Ready => (6, "MAIL"),
        State::Mail | State::Rcpt => (7, "RCPT"),
        State::Data => (8, "DATA"),
        State::Closed => (9, "DONE"),
        State::Authorization => (1, "AUTHORIZATION"),
        State::Transaction => (2, "TRANSACTION"),
        State::Update => (3, "UPDATE"),
        State::NotAuthenticated => (1, "NOT AUTHENTICATED"),
        State::Authenticated => (2, "AUTHENTICATED"),
        State::Selected => (3, "SELECTED"),
        State::Logout => (4, "LOGOUT"),
    }
}
