//! The states of sessions as the record names them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a session, in the RFCs' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// SMTP: greeted by the server, no HELO or EHLO yet.
    Connect,
    /// SMTP: after HELO or EHLO, no transaction open.
    Ready,
    /// SMTP: after MAIL.
    Mail,
    /// SMTP: after the first accepted RCPT.
    Rcpt,
    /// SMTP: after DATA's 354.
    Data,
    /// SMTP: inside an AUTH exchange.
    Auth,
    /// POP3: before the login is complete (RFC 1939 4).
    Authorization,
    /// POP3: the mailbox is open (RFC 1939 5).
    Transaction,
    /// POP3: after QUIT (RFC 1939 6).
    Update,
    /// IMAP: before the login (RFC 9051 3.1).
    NotAuthenticated,
    /// IMAP: after it, with no folder open (RFC 9051 3.2).
    Authenticated,
    /// IMAP: a folder is open (RFC 9051 3.3).
    Selected,
    /// IMAP: after LOGOUT (RFC 9051 3.4).
    Logout,
    /// The session has ended.
    Closed,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 14] = [
        Self::Connect,
        Self::Ready,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Auth,
        Self::Authorization,
        Self::Transaction,
        Self::Update,
        Self::NotAuthenticated,
        Self::Authenticated,
        Self::Selected,
        Self::Logout,
        Self::Closed,
    ];

    /// The state's name, lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Ready => "ready",
            Self::Mail => "mail",
            Self::Rcpt => "rcpt",
            Self::Data => "data",
            Self::Auth => "auth",
            Self::Authorization => "authorization",
            Self::Transaction => "transaction",
            Self::Update => "update",
            Self::NotAuthenticated => "notauthenticated",
            Self::Authenticated => "authenticated",
            Self::Selected => "selected",
            Self::Logout => "logout",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}
