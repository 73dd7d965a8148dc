//! Replies in the words of the server's dialect; what it has no words for is said in labctl's own. Which reply comes when is
//! decided elsewhere.
//!
//! Placeholders of every template: `{host}`, `{hostname}` (its first label), `{Host}` (that with a capital), `{domain}`.
//! Others by reply: `{timestamp}` and `{id}` (greeting), `{user}`, `{number}`, `{count}` with its plural `{s}`, `{octets}`,
//! `{uid}`, `{verb}`, `{usage}`, `{limit}`, `{deleted}`.

use crate::protocol::{
    Peer,
    dialect::{self, Dialect, fill},
};

/// A reply of this protocol; its key in the dialects' files is the name in snake case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// The greeting. Where it has `{timestamp}`, APOP works.
    Greeting,
    /// Instead of the greeting: the student has too many sessions.
    StudentSessions,
    /// Instead of the greeting: the server has too many sessions.
    ServerSessions,
    /// USER was heard; says nothing of whether the mailbox is there.
    User,
    /// The login is complete and the mailbox is open.
    Welcome,
    /// Name or password or digest is wrong.
    LoginFailed,
    /// Another session has the mailbox.
    Locked,
    /// The store could not open the mailbox.
    OpenFailed,
    /// APOP where the greeting has no timestamp.
    ApopNone,
    /// AUTH, which comes with another release.
    Auth,
    /// CAPA's lines but for the final one.
    Capa,
    /// STAT.
    Stat,
    /// LIST's first line.
    List,
    /// LIST with a number.
    ListOne,
    /// UIDL's first line.
    Uidl,
    /// UIDL with a number.
    UidlOne,
    /// RETR's first line.
    Retr,
    /// TOP's first line.
    Top,
    /// The store could not give the message.
    FetchFailed,
    /// DELE.
    Dele,
    /// NOOP.
    Noop,
    /// RSET.
    Rset,
    /// QUIT before the login is complete.
    Quit,
    /// QUIT after everything marked was deleted.
    QuitUpdate,
    /// QUIT after which messages are still there.
    QuitFailed,
    /// No command of this server.
    Unknown,
    /// A command that wants the login first.
    NeedLogin,
    /// PASS without USER.
    NeedUser,
    /// A login command after the login.
    LoggedIn,
    /// Arguments are missing.
    TooFew,
    /// More arguments than the command takes.
    TooMany,
    /// Blanks where none belong.
    Blanks,
    /// A line that ended in a lone LF.
    LineFeed,
    /// A line over the limit.
    LineTooLong,
    /// A message number that is none.
    NotANumber,
    /// TOP's number of lines is none.
    NotLines,
    /// No message has this number.
    NoMessage,
    /// The message is marked deleted.
    Marked,
    /// DELE of a message that is marked deleted.
    MarkedAlready,
    /// The last error that is put up with has been made.
    TooManyErrors,
}

impl Reply {
    /// The key in the dialects' files.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Greeting => "greeting",
            Self::StudentSessions => "student_sessions",
            Self::ServerSessions => "server_sessions",
            Self::User => "user",
            Self::Welcome => "welcome",
            Self::LoginFailed => "login_failed",
            Self::Locked => "locked",
            Self::OpenFailed => "open_failed",
            Self::ApopNone => "apop_none",
            Self::Auth => "auth",
            Self::Capa => "capa",
            Self::Stat => "stat",
            Self::List => "list",
            Self::ListOne => "list_one",
            Self::Uidl => "uidl",
            Self::UidlOne => "uidl_one",
            Self::Retr => "retr",
            Self::Top => "top",
            Self::FetchFailed => "fetch_failed",
            Self::Dele => "dele",
            Self::Noop => "noop",
            Self::Rset => "rset",
            Self::Quit => "quit",
            Self::QuitUpdate => "quit_update",
            Self::QuitFailed => "quit_failed",
            Self::Unknown => "unknown",
            Self::NeedLogin => "need_login",
            Self::NeedUser => "need_user",
            Self::LoggedIn => "logged_in",
            Self::TooFew => "too_few",
            Self::TooMany => "too_many",
            Self::Blanks => "blanks",
            Self::LineFeed => "line_feed",
            Self::LineTooLong => "line_too_long",
            Self::NotANumber => "not_a_number",
            Self::NotLines => "not_lines",
            Self::NoMessage => "no_message",
            Self::Marked => "marked",
            Self::MarkedAlready => "marked_already",
            Self::TooManyErrors => "too_many_errors",
        }
    }

    /// Appends this reply, each of its lines with CRLF.
    pub fn write(self, peer: &Peer, values: &[(&str, &str)], out: &mut Vec<u8>) {
        let host = peer.config.host.as_str();
        let hostname = host.split('.').next().unwrap_or(host);
        let capital = capitalised(hostname);
        let everywhere =
            [("host", host), ("hostname", hostname), ("Host", &capital), ("domain", peer.config.domain.as_str())];
        let values: Vec<_> = values.iter().copied().chain(everywhere).collect();
        for line in self.template(&peer.dialect, &labctl()) {
            out.extend_from_slice(fill(line, &values).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Whether the server's words for this reply have the placeholder `name`.
    pub fn mentions(self, peer: &Peer, name: &str) -> bool {
        self.template(&peer.dialect, &labctl()).iter().any(|line| line.contains(&format!("{{{name}}}")))
    }

    fn template<'a>(self, dialect: &'a Dialect, own: &'a Dialect) -> &'a [String] {
        let own = || own.pop3.lines(self.key());
        dialect.pop3.lines(self.key()).or_else(own).expect("labctl's own dialect has every reply; a test holds it")
    }
}

fn labctl() -> std::sync::Arc<Dialect> {
    dialect::named("labctl").expect("labctl's own dialect is built in")
}

/// `s` where a count wants the plural.
pub const fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::protocol::pop3::command::ECHO;

    /// The longest first line of a reply, with CRLF (RFC 2449 4).
    const REPLY_LINE: usize = 512;

    const ALL: [Reply; 40] = [
        Reply::Greeting,
        Reply::StudentSessions,
        Reply::ServerSessions,
        Reply::User,
        Reply::Welcome,
        Reply::LoginFailed,
        Reply::Locked,
        Reply::OpenFailed,
        Reply::ApopNone,
        Reply::Auth,
        Reply::Capa,
        Reply::Stat,
        Reply::List,
        Reply::ListOne,
        Reply::Uidl,
        Reply::UidlOne,
        Reply::Retr,
        Reply::Top,
        Reply::FetchFailed,
        Reply::Dele,
        Reply::Noop,
        Reply::Rset,
        Reply::Quit,
        Reply::QuitUpdate,
        Reply::QuitFailed,
        Reply::Unknown,
        Reply::NeedLogin,
        Reply::NeedUser,
        Reply::LoggedIn,
        Reply::TooFew,
        Reply::TooMany,
        Reply::Blanks,
        Reply::LineFeed,
        Reply::LineTooLong,
        Reply::NotANumber,
        Reply::NotLines,
        Reply::NoMessage,
        Reply::Marked,
        Reply::MarkedAlready,
        Reply::TooManyErrors,
    ];

    #[test]
    fn labctl_has_every_reply_and_no_other() {
        let used: BTreeSet<_> = ALL.into_iter().map(Reply::key).collect();
        assert_eq!(labctl().pop3.keys().collect::<BTreeSet<_>>(), used);
        assert_eq!(used.len(), ALL.len());
    }

    #[test]
    fn every_template_is_a_status_a_short_line_and_nothing_unknown() {
        let long = "n".repeat(ECHO);
        let names = "timestamp id user number count s octets uid verb usage limit deleted host hostname Host domain";
        let values: Vec<_> = names.split(' ').map(|name| (name, long.as_str())).collect();
        for name in dialect::names() {
            let dialect = dialect::named(name).unwrap();
            for reply in ALL {
                let Some(lines) = dialect.pop3.lines(reply.key()) else { continue };
                assert!(lines[0].starts_with("+OK") || lines[0].starts_with("-ERR"), "{name}: {lines:?}");
                assert!(lines.len() == 1 || reply == Reply::Capa, "{name}: {lines:?}");
                for line in lines {
                    let filled = fill(line, &values);
                    assert!(filled.len() + 2 <= REPLY_LINE, "{name}: {line}");
                    assert!(!filled.contains(['{', '\r', '\n']) && !line.starts_with('.'), "{name}: {line}");
                }
            }
        }
    }

    #[test]
    fn a_host_name_may_be_capitalised_whatever_it_is() {
        assert_eq!(
            (capitalised("goliat"), capitalised(""), capitalised("1a")),
            ("Goliat".into(), String::new(), "1a".into())
        );
    }
}
