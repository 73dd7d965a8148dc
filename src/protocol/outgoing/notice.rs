//! Notices to senders: delivery status notifications (RFC 3464) in the form of RFC 6522, with what RFC 3461 lets a sender
//! ask for. A notice has the null reverse-path, so no notice is ever about a notice (RFC 5321 6.1).

use std::fmt::Write as _;

use mail_builder::{
    headers::{HeaderType, content_type::ContentType, raw::Raw, text::Text},
    mime::{BodyPart, MimePart},
};

use crate::{
    evidence::Timestamp,
    lab::ServerConfig,
    mail::{
        Body, Envelope, Outgoing, Queued, Wishes, body_start,
        dsn::{Original as Given, Ret},
    },
    protocol::{
        Now,
        smtp::{self, Destination},
    },
};

/// The longest message that comes back whole without the sender's asking for it, in octets.
pub const RETURNED: usize = 64 << 10;

/// What a notice says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It cannot arrive.
    Failed,
    /// It takes long, and is tried again.
    Delayed,
    /// It went to a server that does not know what the sender wants to hear: nothing more will be heard (RFC 3461 5.2.2).
    Relayed,
    /// It has arrived.
    Delivered,
}

/// A recipient of the message that a notice is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// The recipient, without brackets.
    pub recipient: String,
    /// The recipient as the sender first had it.
    pub given: Option<Given>,
    /// What the server said, or what went wrong.
    pub reply: String,
    /// The enhanced status code.
    pub status: String,
    /// The name of the server that said it; empty where none did.
    pub server: String,
    /// Until when it is tried.
    pub until: Timestamp,
}

/// The message that a notice is about.
#[derive(Debug, Clone, Copy)]
pub struct Original<'a> {
    /// Its reverse-path.
    pub sender: &'a str,
    /// What the sender said of it.
    pub wishes: &'a Wishes,
    /// When it came.
    pub arrived: Timestamp,
    /// As sent.
    pub content: &'a [u8],
}

impl<'a> Original<'a> {
    /// The message of a queued recipient.
    pub fn of(queued: &'a Queued, content: &'a [u8]) -> Self {
        Self { sender: &queued.sender, wishes: &queued.wishes, arrived: queued.queued, content }
    }
}

/// A notice to the sender; none where the reverse-path is null, or leads nowhere.
pub fn notice(
    config: &ServerConfig,
    original: Original<'_>,
    kind: Kind,
    about: &[About],
    seed: u64,
    now: Now,
) -> Option<Envelope> {
    let sender = original.sender;
    let (mailboxes, outgoing) = match smtp::destination(config, sender)? {
        Destination::Mailbox(mailbox) => (vec![mailbox], Vec::new()),
        Destination::Domain(domain) => (Vec::new(), vec![Outgoing { recipient: sender.to_owned(), domain }]),
    };
    let id = format!("{seed:016x}");
    let date = smtp::date(now);
    let utf8 = !sender.is_ascii() || about.iter().any(|about| !about.recipient.is_ascii());
    let trace = format!("Return-Path: <>\r\nReceived: by {} (labctl) id {id};\r\n\t{date}\r\n", config.host);
    let content = message(config, original, kind, about, utf8, (&id, &date), now);
    Some(Envelope {
        from: String::new(),
        recipients: vec![sender.to_owned()],
        notices: None,
        confirmation: None,
        body: if content.is_ascii() { Body::SevenBit } else { Body::EightBit },
        utf8,
        mailboxes,
        outgoing,
        came: now.steady(),
        queue_name: None,
        trace: trace.into_bytes(),
        content,
    })
}

fn message(
    config: &ServerConfig,
    original: Original<'_>,
    kind: Kind,
    about: &[About],
    utf8: bool,
    (id, date): (&str, &str),
    now: Now,
) -> Vec<u8> {
    let subject = match kind {
        Kind::Failed => "Mail returned: it could not be delivered",
        Kind::Delayed => "Mail delayed: it will be tried again",
        Kind::Relayed => "Mail relayed to a server that sends no notices",
        Kind::Delivered => "Mail delivered",
    };
    let global = |plain, global| if utf8 { global } else { plain };
    let status = global("message/delivery-status", "message/global-delivery-status");
    let parts = vec![
        part("text/plain", words(config, kind, about), "Notification"),
        part(status, fields(config, original, kind, about, utf8, now), "Delivery report"),
        returned(original, kind, utf8),
    ];
    // Given, and not drawn by the library: the same notice always has the same octets.
    let boundary = format!("{id}/{}", config.host);
    let kind = ContentType::new("multipart/report")
        .attribute("report-type", global("delivery-status", "global-delivery-status"))
        .attribute("boundary", boundary);
    let report = MimePart {
        headers: vec![
            ("From".into(), raw(format!("Mail server of {0} <MAILER-DAEMON@{0}>", config.domain))),
            ("To".into(), raw(format!("<{}>", original.sender))),
            ("Subject".into(), HeaderType::Text(Text::new(subject))),
            ("Date".into(), raw(date.to_owned())),
            ("Message-ID".into(), raw(format!("<{id}@{}>", config.domain))),
            ("Auto-Submitted".into(), raw("auto-replied".to_owned())),
            ("MIME-Version".into(), raw("1.0".to_owned())),
            ("Content-Type".into(), HeaderType::ContentType(kind)),
        ],
        contents: BodyPart::Multipart(parts),
    };
    let mut out = Vec::new();
    report.write_part(&mut out);
    out
}

fn raw(text: String) -> HeaderType<'static> {
    HeaderType::Raw(Raw::new(text))
}

/// A part whose text goes as it is.
fn part(kind: &'static str, content: impl Into<Vec<u8>>, description: &'static str) -> MimePart<'static> {
    let content: Vec<u8> = content.into();
    let encoding = if content.is_ascii() { "7bit" } else { "8bit" };
    let mut kind = ContentType::new(kind);
    if kind.c_type == "text/plain" {
        kind = kind.attribute("charset", "utf-8");
    }
    MimePart::new(kind, content).header("Content-Description", Raw::new(description)).transfer_encoding(encoding)
}

/// What a person reads.
fn words(config: &ServerConfig, kind: Kind, about: &[About]) -> String {
    let head = match kind {
        Kind::Failed => "Your message could not be delivered to the recipients below. It is not tried again.",
        Kind::Delayed => "Your message could not be delivered yet. It is tried again; you need not send it again.",
        Kind::Relayed => "Your message was passed on to a server that sends no notices: you will hear no more of it.",
        Kind::Delivered => "Your message was delivered.",
    };
    let mut text = format!("This is the mail server {} of {}.\r\n\r\n{head}\r\n", config.host, config.domain);
    for About { recipient, reply, server, .. } in about {
        let by = if server.is_empty() { String::new() } else { format!("{server} said: ") };
        let _ = write!(text, "\r\n  <{recipient}>\r\n    {by}{reply}\r\n");
    }
    text
}

/// What a program reads (RFC 3464 2.2, 2.3).
fn fields(config: &ServerConfig, original: Original<'_>, kind: Kind, about: &[About], utf8: bool, now: Now) -> String {
    let at = |time: Timestamp| smtp::date(Now { micros: time.0, ..now });
    let mut text = String::new();
    if let Some(envid) = &original.wishes.envid {
        let _ = write!(text, "Original-Envelope-Id: {envid}\r\n");
    }
    let _ = write!(text, "Reporting-MTA: dns; {}\r\nArrival-Date: {}\r\n", config.host, at(original.arrived));
    let kind_of_address = if utf8 { "utf-8" } else { "rfc822" };
    for About { recipient, given, reply, status, server, until } in about {
        text.push_str("\r\n");
        if let Some(Given { kind, address }) = given {
            let _ = write!(text, "Original-Recipient: {kind}; {address}\r\n");
        }
        let action = match kind {
            Kind::Failed => "failed",
            Kind::Delayed => "delayed",
            Kind::Relayed => "relayed",
            Kind::Delivered => "delivered",
        };
        let _ =
            write!(text, "Final-Recipient: {kind_of_address}; {recipient}\r\nAction: {action}\r\nStatus: {status}\r\n");
        if kind == Kind::Delivered {
            // Nothing went wrong that could be diagnosed.
        } else if server.is_empty() {
            let _ = write!(text, "Diagnostic-Code: x-labctl; {reply}\r\n");
        } else {
            let _ = write!(text, "Remote-MTA: dns; {server}\r\nDiagnostic-Code: smtp; {reply}\r\n");
        }
        let _ = write!(text, "Last-Attempt-Date: {}\r\n", smtp::date(now));
        if kind == Kind::Delayed {
            let _ = write!(text, "Will-Retry-Until: {}\r\n", at(*until));
        }
    }
    text
}

/// What comes back of the message: all of it where it failed and the sender did not ask for less, else its header.
fn returned(original: Original<'_>, kind: Kind, utf8: bool) -> MimePart<'static> {
    let content = original.content;
    let whole = match original.wishes.ret {
        Some(Ret::Full) => true,
        Some(Ret::Hdrs) => false,
        None => content.len() <= RETURNED,
    };
    if whole && kind == Kind::Failed {
        return part(if utf8 { "message/global" } else { "message/rfc822" }, content, "Undelivered message");
    }
    let header = &content[..body_start(content)];
    part(if utf8 { "message/global-headers" } else { "text/rfc822-headers" }, header, "Header of the message")
}
