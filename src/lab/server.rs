//! What one server is told before it starts: the checked, resolved configuration of one group. It travels as JSON
//! (state directory, control API), so that the same `labctl serve` runs under every engine.

use std::{collections::BTreeMap, fmt, net::SocketAddr};

use serde::{Deserialize, Serialize};

pub use super::service::{Protocol, Service};
use super::{fault::Fault, relaying::Relaying};
use crate::names::{Domain, GroupName, LabName, Login};

/// What a server puts up with from programs that are still being written. Each point is named in the lab reference;
/// `strict = true` turns all of them off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leniency {
    /// HELO and EHLO without an argument, or with one that is neither a domain nor an address literal (RFC 5321 4.1.1.1).
    pub greeting_argument: bool,
    /// Paths without angle brackets: `MAIL FROM: user1@lib.simulacion` (RFC 5321 4.1.2).
    pub bare_path: bool,
    /// White space between the colon and the path, any amount (RFC 5321 3.3 forbids it).
    pub space_after_colon: bool,
    /// A local part without its domain: `RCPT TO: user2` (RFC 5321 4.1.2; only `<postmaster>` may).
    pub local_part: bool,
    /// MAIL before HELO or EHLO (RFC 5321 4.1.4).
    pub no_greeting: bool,
    /// Command lines that end in a lone LF (RFC 5321 2.3.8).
    pub line_feed: bool,
    /// POP3 commands with blanks before, between or after their words beyond the single ones that separate them, and with
    /// more arguments than they take (RFC 1939 3).
    pub pop3_blanks: bool,
}

impl Leniency {
    /// The default of a lab.
    pub const LENIENT: Self = Self {
        greeting_argument: true,
        bare_path: true,
        space_after_colon: true,
        local_part: true,
        no_greeting: false,
        line_feed: true,
        pop3_blanks: true,
    };
    /// With `strict = true`.
    pub const STRICT: Self = Self {
        greeting_argument: false,
        bare_path: false,
        space_after_colon: false,
        local_part: false,
        no_greeting: false,
        line_feed: false,
        pop3_blanks: false,
    };
}

/// What happens to a CR or LF that stands alone in message data (RFC 5321 2.3.8: neither may be sent).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LoneNewline {
    /// The message is drained and refused: what one server takes for a line end and the next does not is how mail is smuggled.
    #[default]
    Refuse,
    /// It becomes CRLF in the stored message; it still never ends the data.
    Convert,
    /// It is stored as it came; it still never ends the data.
    Keep,
}

/// What a server says to TLS on the services that begin in the clear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// There is none, nor any service with implicit TLS.
    Off,
    /// STARTTLS and STLS are offered where the dialect knows them, and nobody has to use them.
    #[default]
    Offered,
    /// Nothing but the way to TLS is answered before it (RFC 3207 4, RFC 2595 2.5).
    Required,
}

impl Tls {
    /// As the lab file writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Offered => "offered",
            Self::Required => "required",
        }
    }
}

/// A server's certificate and its key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The certificate in PEM (RFC 7468), signed by the lab's authority.
    pub certificate: String,
    /// Its private key in PEM, PKCS #8. No student may read it.
    pub key: String,
    /// The authority's own certificate in PEM, by which clients trust it.
    pub authority: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Identity").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// The limits of one server. Lengths are octets with their CRLF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// A command line (RFC 5321 4.5.3.1.4: 512; extensions add what they say).
    pub line: usize,
    /// A text line of a message (RFC 5321 4.5.3.1.6: 1,000).
    pub text_line: usize,
    /// Recipients of one message (RFC 5321 4.5.3.1.8: at least 100).
    pub recipients: usize,
    /// A message as sent in DATA.
    pub message: u64,
    /// A mailbox: all its messages together.
    pub mailbox: u64,
    /// All messages together that clients are sending or that wait for their commit; small ones do not count.
    pub mail_under_way: u64,
    /// Sessions at once of one student.
    pub sessions_per_student: usize,
    /// Sessions at once of one server.
    pub sessions: usize,
    /// Commands of one student that are recorded one by one, a second; for a minute's worth of them it may be more at once.
    pub commands_per_second: u64,
    /// What one student can make a store keep: events and messages together.
    pub evidence: u64,
    /// Received header fields before a message counts as looping (RFC 5321 6.3: at least 100).
    pub hops: usize,
    /// Errors in one session before it is closed.
    pub errors: usize,
    /// DNS queries of one student, or of one address, that are answered in a second.
    pub queries_per_second: u64,
    /// Idle time of an SMTP session in seconds (RFC 5321 4.5.3.2.7: at least 5 minutes).
    pub smtp_idle_secs: u64,
    /// Idle time of a POP3 session in seconds (RFC 1939 3: at least 10 minutes).
    pub pop3_idle_secs: u64,
    /// How long a TLS handshake may take, in seconds.
    pub handshake_secs: u64,
    /// Idle time of an IMAP session in seconds (RFC 9051 5.4: at least 30 minutes).
    pub imap_idle_secs: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: 512,
            text_line: 1_000,
            recipients: 100,
            message: 10 << 20,
            mailbox: 100 << 20,
            mail_under_way: 64 << 20,
            sessions_per_student: 20,
            sessions: 2_000,
            commands_per_second: 100,
            evidence: 256 << 20,
            hops: 100,
            errors: 100,
            queries_per_second: 5_000,
            smtp_idle_secs: 300,
            pop3_idle_secs: 600,
            handshake_secs: 30,
            imap_idle_secs: 1_800,
        }
    }
}

impl Limits {
    /// The octets of answers that clients have not taken yet, all together, beyond which pieces become small.
    pub const ANSWERS_UNDER_WAY: u64 = 32 << 20;

    /// What the program and a store's cache take, about.
    const PROGRAM: u64 = 32 << 20;

    /// What a session takes that does nothing, about.
    const SESSION: u64 = 16 << 10;

    /// What a message of the largest size takes in memory while it comes in: its room grows by a quarter at a time.
    pub const fn largest_message(&self) -> u64 {
        self.message + self.message / 4
    }

    /// What one student's part of `mail_under_way` is: half of it, and one message at least.
    pub fn mail_under_way_of_a_student(&self) -> u64 {
        (self.mail_under_way / 2).max(self.largest_message())
    }

    /// What a server needs in memory, with everything under way that these limits let come. The database takes the message that is
    /// written twice.
    pub const fn memory(&self) -> u64 {
        let sessions = (self.sessions as u64).saturating_mul(Self::SESSION);
        let mail = self.mail_under_way.saturating_add(self.message.saturating_mul(2));
        Self::PROGRAM.saturating_add(Self::ANSWERS_UNDER_WAY).saturating_add(sessions).saturating_add(mail)
    }
}

/// A mailbox of a server and who may open it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The password, resolved.
    pub password: String,
    /// The token that stands in for it with XOAUTH2 and OAUTHBEARER, as an authorization server would issue it.
    pub token: String,
    /// Whether this is a student's own mailbox (then logging in to it identifies the student).
    pub student: bool,
}

/// An address that a server listens on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    /// What is served there.
    pub service: Service,
    /// Where; port 0 asks the system for a free one.
    pub address: SocketAddr,
    /// The student whose endpoint it is: who connects to it is that student.
    pub student: Option<Login>,
}

/// The whole configuration of one group's server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerConfig {
    /// The lab.
    pub lab: LabName,
    /// The group.
    pub group: GroupName,
    /// The mail domain it is final destination for.
    pub domain: Domain,
    /// What it calls itself.
    pub host: String,
    /// The dialect's name.
    pub dialect: String,
    /// What it puts up with.
    pub leniency: Leniency,
    /// What happens to a lone CR or LF in data.
    pub lone_newline: LoneNewline,
    /// What it says to TLS.
    pub tls: Tls,
    /// With what it does TLS; without, it does none.
    pub identity: Option<Identity>,
    /// Whether mail for foreign domains is accepted.
    pub relay: bool,
    /// Whether AUTH, and IMAP's AUTHENTICATE, is offered before TLS is on (RFC 4954 4, RFC 5034 4).
    pub auth_before_tls: bool,
    /// Whether VRFY and EXPN tell which mailboxes there are (RFC 5321 7.3).
    pub vrfy: bool,
    /// The mailbox for unknown local recipients.
    pub catch_all: Option<Login>,
    /// Its limits.
    pub limits: Limits,
    /// Its mailboxes by name.
    pub accounts: BTreeMap<Login, Account>,
    /// Where it listens.
    pub endpoints: Vec<Endpoint>,
    /// What it does wrong on purpose, to each student.
    #[serde(default)]
    pub faults: Vec<Fault>,
    /// Addresses of students' own machines (docker: the client container's fixed address), for identity.
    pub clients: BTreeMap<std::net::IpAddr, Login>,
    /// The address at which nobody else is served (docker: its own in the group's network).
    #[serde(default)]
    pub clients_only: Option<std::net::IpAddr>,
    /// Where mail for other domains goes.
    #[serde(default)]
    pub relaying: Relaying,
}
