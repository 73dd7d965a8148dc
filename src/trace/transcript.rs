//! The transcript: what client and server said, with a heading wherever another connection (or student)
//! speaks, a line for each day, and the header of what was mailed.
//!
//! ```text
//! ── 2026-11-21
//! ── g05 connection 12 · ana (own endpoint) · smtp from 127.0.0.1:53040
//! 10:32:05   101 S: 220 mail ready
//! 10:32:07   102 C: HELO me
//! ```
//! Behind the time stands the number of the event, by which marks name their proof.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::{Look, Open, time_of_day, visible};
use crate::{
    evidence::{By, Delivered, Ending, Event, EventKind, FaultMoment, FlagChange, FolderChange, MessageId, Who},
    lab::{GroupName, Login},
    mail::folder::FolderName,
};

/// The line of a day; after another one with an empty line above.
pub(super) fn day(after: bool, day: jiff::civil::Date, look: Look) -> String {
    let bold = if look.colour { Style::new().bold() } else { Style::new() };
    format!("{}{bold}── {day}{bold:#}\n", if after { "\n" } else { "" })
}

/// The heading of a connection; after another one with an empty line above.
pub(super) fn heading(after: bool, group: &GroupName, event: &Event, who: &Who, open: &Open, look: Look) -> String {
    let bold = if look.colour { Style::new().bold() } else { Style::new() };
    let who = match who {
        Who::Unknown => "unknown".to_owned(),
        Who::Instructor => "labctl".to_owned(),
        Who::Server { group } => format!("server of `{group}`"),
        Who::Student { login, by } => format!("{login} ({})", known_by(*by)),
    };
    let over = open.service.map_or(String::new(), |service| format!(" · {service}"));
    let from = open.peer.map_or(String::new(), |peer| format!(" from {peer}"));
    let gap = if after { "\n" } else { "" };
    format!("{gap}{bold}── {group} connection {} · {who}{over}{from}{bold:#}\n", event.conn.0)
}

const fn known_by(by: By) -> &'static str {
    match by {
        By::ClientAddress => "client's address",
        By::Endpoint => "own endpoint",
        By::Login => "login",
        By::Sender => "sender",
    }
}

/// The most lines of a message's header that a transcript shows.
pub const HEADER_LINES: usize = 20;

/// The most characters of such a line that it shows.
pub const HEADER_WIDTH: usize = 200;

/// The header of a message that a student mailed, as it was sent; labctl's own mail is known.
pub(super) fn header(event: &Event, content: &mut dyn FnMut(MessageId) -> Option<Vec<u8>>, look: Look) -> String {
    let mut out = Out { number: None, ..Out::of(event, look) };
    if let EventKind::Accepted { message, octets, injected: None, .. } = &event.kind
        && let Some(content) = content(*message)
    {
        // What the server put in front of it is not the student's.
        let start = content.len().saturating_sub(usize::try_from(*octets).unwrap_or(usize::MAX));
        let text = String::from_utf8_lossy(&content[start..]);
        let mut fields = text.lines().take_while(|line| is_field(line)).peekable();
        if fields.peek().is_none() {
            out.note("it has no header");
        }
        for line in fields.by_ref().take(HEADER_LINES) {
            let end = line.char_indices().nth(HEADER_WIDTH);
            let shown = end.map_or_else(|| visible(line), |(end, _)| visible(&line[..end]) + "…");
            out.line(" |", &shown, AnsiColor::Cyan);
        }
        if fields.next().is_some() {
            out.line(" |", "…", AnsiColor::Cyan);
        }
    }
    out.text
}

/// Whether the line is a header field (RFC 5322 2.2) or goes on with one.
fn is_field(line: &str) -> bool {
    let name = |(name, _): (&str, &str)| {
        !name.trim_end().is_empty() && name.trim_end().bytes().all(|octet| octet.is_ascii_graphic())
    };
    line.starts_with([' ', '\t']) && !line.trim().is_empty() || line.split_once(':').is_some_and(name)
}

/// What follows a login as another student than the one whose address the connection came to.
pub(super) fn contradiction(event: &Event, address: &Login, login: &Login, look: Look) -> String {
    let mut out = Out { number: None, ..Out::of(event, look) };
    let conn = event.conn.0;
    out.note(&format!(
        "connection {conn} came to `{address}`'s address but logged in as `{login}`: it counts for neither"
    ));
    out.text
}

/// The lines of an event.
pub(super) fn lines(group: &GroupName, event: &Event, look: Look) -> String {
    let mut out = Out::of(event, look);
    match &event.kind {
        EventKind::Connected { service, reply, .. } => {
            if service.implicit_tls() && !reply.is_empty() {
                out.note("TLS from the first octet");
            }
            out.server(reply, reply.len() as u64);
        }
        EventKind::Command { verb, line, octets, reply, reply_octets, pipelined, times, .. } => {
            if *times > 1 {
                out.note(&format!("{times} times in a row:"));
            }
            match &**verb {
                "<message>" => out.note(&format!("message data, {octets} octets")),
                "<response>" => out.client("***", *pipelined),
                // The session keeps the beginning of a line over the limit.
                _ if line.ends_with('…') => out.client(&format!("{line} ({octets} octets)"), *pipelined),
                _ => out.client(line, *pipelined),
            }
            out.server(reply, *reply_octets);
        }
        EventKind::Secured { version, cipher, sni } => {
            let asked = sni.as_ref().map_or(String::new(), |name| format!(", for `{}`", visible(name)));
            out.note(&format!("secured by {version} ({}{asked})", visible(cipher)));
        }
        EventKind::HandshakeFailed { why } => out.note(&format!("TLS handshake failed: {}", visible(why))),
        EventKind::Discarded { octets } => {
            out.note(&format!("{octets} octets in the clear behind STARTTLS thrown away"));
        }
        EventKind::LoneDot { line } => {
            out.note(&format!(
                "line {line} of the message is a dot that ends in LF alone, so the message goes on: CR LF is missing (nc -C sends it)"
            ));
        }
        EventKind::LoggedIn { mailbox, mechanism } => {
            out.note(&format!("logged in to `{mailbox}` ({})", visible(mechanism)));
        }
        EventKind::LoginFailed { mailbox, mechanism } => {
            out.note(&format!("login to `{}` failed ({})", visible(mailbox), visible(mechanism)));
        }
        EventKind::Accepted { message, delivered, octets, injected, .. } => {
            let what = injected.as_ref().map_or(String::new(), |injected| format!(" (the lab's `{}`)", injected.mail));
            out.note(&format!("message {}{what} accepted for {}, {octets} octets", message.0, places(delivered)));
        }
        EventKind::Queued { message, recipients } => {
            out.note(&format!("message {} queued for {}", message.0, addresses(recipients)));
        }
        EventKind::Repeated { queue_name, recipients } => {
            let (name, to) = (visible(queue_name), addresses(recipients));
            out.note(&format!("message `{name}` of another server for {to} came again, and is kept once"));
        }
        EventKind::Relayed { message, recipients, server, reply, tls } => {
            let over = tls.as_ref().map_or(String::new(), |tls| format!(" over {}", visible(tls)));
            let (message, to, reply) = (message.0, addresses(recipients), visible(reply));
            out.note(&format!("message {message} for {to} taken by {}{over}: {reply}", visible(server)));
        }
        EventKind::Deferred { message, recipients, server, reply, attempts, .. } => {
            let (message, to, reply) = (message.0, addresses(recipients), visible(reply));
            out.note(&format!("message {message} for {to} not taken{} (try {attempts}): {reply}", by(server)));
        }
        EventKind::Bounced { message, recipients, server, reply, returned, .. } => {
            let what = if *returned { "its sender is told" } else { "nobody is told" };
            let (message, to, reply) = (message.0, addresses(recipients), visible(reply));
            out.note(&format!("message {message} for {to} given up{}, {what}: {reply}", by(server)));
        }
        EventKind::Query { name, record, answer, records, tcp } => {
            let over = if *tcp { ", over TCP" } else { "" };
            let what = format!("asked for {} {}", visible(record), visible(name));
            out.note(&format!("{what}: {} with {records} records{over}", visible(answer)));
        }
        EventKind::Retrieved { message, mailbox, top, folder, .. } => {
            let part = top.map_or(String::new(), |lines| format!(", its top {lines} lines"));
            out.note(&format!("message {} retrieved from {}{part}", message.0, place(mailbox, folder)));
        }
        EventKind::Deleted { message, mailbox, folder, .. } => {
            out.note(&format!("message {} deleted from {}", message.0, place(mailbox, folder)));
        }
        EventKind::Appended { message, mailbox, folder, octets, .. } => {
            out.note(&format!("message {} put into {}, {octets} octets", message.0, place(mailbox, folder)));
        }
        EventKind::Copied { mailbox, from, to, copies, moved } => {
            let numbers: Vec<String> = copies.iter().map(|copy| copy.message.0.to_string()).collect();
            let (many, done) = (if copies.len() == 1 { "" } else { "s" }, if *moved { "moved" } else { "copied" });
            let (from, to) = (place(mailbox, from), place(mailbox, to));
            out.note(&format!("message{many} {} {done} from {from} to {to}", numbers.join(", ")));
        }
        EventKind::Flagged { mailbox, folder, uids, change, flags } => {
            let done = match change {
                FlagChange::Replaced => "flags are now",
                FlagChange::Added => "flagged",
                FlagChange::Removed => "no longer flagged",
            };
            out.note(&format!("UID {uids} in {} {done} ({})", place(mailbox, folder), visible(flags)));
        }
        EventKind::Folder { mailbox, folder, change } => {
            let done = match change {
                FolderChange::Created => "made".to_owned(),
                FolderChange::Removed => "removed".to_owned(),
                FolderChange::Renamed(to) => format!("renamed to `{}`", visible(to.as_str())),
                FolderChange::Subscribed => "subscribed to".to_owned(),
                FolderChange::Unsubscribed => "unsubscribed from".to_owned(),
            };
            out.note(&format!("folder `{}` of `{mailbox}` {done}", visible(folder.as_str())));
        }
        EventKind::Disconnected { how } => out.note(ending(*how)),
        EventKind::Reset { student, .. } => out.note(&format!("{group}: `{student}` starts again")),
        EventKind::Fault { fault, what: FaultMoment::Struck, act, at, .. } => {
            out.note(&format!("fault `{fault}` at {}: {}", visible(at), visible(act)));
        }
        EventKind::Fault { fault, what: FaultMoment::Armed, .. } => out.note(&format!("fault `{fault}` is armed")),
        EventKind::Fault { what: FaultMoment::Passed, .. } => {}
        EventKind::FaultSet { student, fault } => {
            let (id, at, act) = (&fault.id, visible(&fault.at.text), visible(&fault.act.to_string()));
            out.note(&format!("{group}: fault `{id}` at {at} is set for `{student}`: {act}"));
        }
        EventKind::FaultCleared { student, fault } => {
            out.note(&format!("{group}: fault `{fault}` is cleared for `{student}`"));
        }
        EventKind::Limited { limit, value } => out.note(&format!("over the limit `{}` of {value}", visible(limit))),
        EventKind::Exhausted { whom, octets } => {
            out.note(&format!("{group}: the evidence of {} has reached its limit of {octets} octets", visible(whom)));
        }
        EventKind::Compacted { events, messages, .. } => {
            out.note(&format!("{group}: compacted, {events} events and {messages} messages taken out"));
        }
        EventKind::Started { version, after } => {
            if let Some(cut) = after {
                let at = time_of_day(cut.time, look.utc_offset_secs);
                out.note(&format!("{group}: the server before it ended at {at}: {}", visible(&cut.to_string())));
            }
            out.note(&format!("{group}: server started (labctl {})", visible(version)));
        }
        EventKind::Damaged { why } => out.note(&format!("{group}: the record is damaged: {}", visible(why))),
    }
    out.text
}

fn addresses(recipients: &[String]) -> String {
    recipients.iter().map(|recipient| format!("`{}`", visible(recipient))).collect::<Vec<_>>().join(", ")
}

/// ` by NAME [ADDRESS]`, where a server was spoken to.
fn by(server: &str) -> String {
    if server.is_empty() { String::new() } else { format!(" by {}", visible(server)) }
}

/// A mailbox, and the folder where it is not INBOX.
fn place(mailbox: &Login, folder: &FolderName) -> String {
    if folder.is_inbox() {
        format!("`{mailbox}`")
    } else {
        format!("`{mailbox}`, folder `{}`", visible(folder.as_str()))
    }
}

fn places(delivered: &[Delivered]) -> String {
    let names: Vec<String> = delivered.iter().map(|entry| format!("`{}`", entry.mailbox)).collect();
    if names.is_empty() { "another domain".to_owned() } else { names.join(", ") }
}

const fn ending(how: Ending) -> &'static str {
    match how {
        Ending::Quit => "ended with QUIT",
        Ending::Dropped => "cut by the client",
        Ending::Idle => "ended: idle too long",
        Ending::Refused => "ended by the server",
        Ending::Shutdown => "ended: the server shuts down",
        Ending::Instructor => "ended by the instructor",
        Ending::Fault => "cut by a fault, on purpose",
        Ending::Failed => "ended: the server's session failed",
    }
}

struct Out {
    text: String,
    time: String,
    /// The event's number, for its first line.
    number: Option<u64>,
    colour: bool,
}

impl Out {
    fn of(event: &Event, look: Look) -> Self {
        let time = time_of_day(event.time, look.utc_offset_secs);
        Self { text: String::new(), time, number: Some(event.seq.0), colour: look.colour }
    }

    /// A command; `P:` stands before one that came before the one before it was answered, as in a solution.
    fn client(&mut self, line: &str, pipelined: bool) {
        self.line(if pipelined { "P:" } else { "C:" }, &visible(line), AnsiColor::Cyan);
    }

    fn server(&mut self, reply: &str, octets: u64) {
        for line in reply.split_terminator('\n') {
            self.line("S:", &visible(line.strip_suffix('\r').unwrap_or(line)), AnsiColor::Green);
        }
        if octets > reply.len() as u64 {
            self.line("S:", &format!("… ({octets} octets in all)"), AnsiColor::Green);
        }
    }

    fn note(&mut self, text: &str) {
        self.line("--", text, AnsiColor::Yellow);
    }

    fn line(&mut self, mark: &str, text: &str, colour: AnsiColor) {
        let style = if self.colour { Style::new().fg_color(Some(colour.into())) } else { Style::new() };
        let number = self.number.take().map(|number| number.to_string()).unwrap_or_default();
        let _ = writeln!(self.text, "{} {number:>5} {style}{mark}{style:#} {text}", self.time);
    }
}
