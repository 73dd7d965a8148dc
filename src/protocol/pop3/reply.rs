//! Replies in the words of the server's dialect; what it has no words for is said in labctl's own. Which reply comes when is
//! decided elsewhere.
//!
//! Placeholders of every template: `{host}`, `{hostname}` (its first label), `{Host}` (that with a capital), `{domain}`.
//! Others by reply: `{timestamp}` and `{id}` (greeting), `{user}`, `{holder}` (whoever has the mailbox open), `{number}`, `{count}` with its plural `{s}`, `{octets}`,
//! `{uid}`, `{verb}`, `{usage}`, `{limit}`, `{deleted}`, `{text}` (the server's own words: a hint, a list).

use crate::protocol::{
    Peer,
    dialect::{Dialect, OWN, fill},
    replies::replies,
};

replies! {
    /// A line that holds what no command does.
    Noise = "noise",
    /// The greeting. Where it has `{timestamp}`, APOP works.
    Greeting = "greeting",
    /// Instead of the greeting: the student has too many sessions.
    StudentSessions = "student_sessions",
    /// Instead of the greeting: the server has too many sessions.
    ServerSessions = "server_sessions",
    /// There is as much evidence of the student as the lab allows.
    Evidence = "evidence",
    /// USER was heard; says nothing of whether the mailbox is there.
    User = "user",
    /// The login is complete and the mailbox is open.
    Welcome = "welcome",
    /// Name or password or digest is wrong.
    LoginFailed = "login_failed",
    /// Another session has the mailbox.
    Locked = "locked",
    /// The store could not open the mailbox.
    OpenFailed = "open_failed",
    /// APOP where the greeting has no timestamp.
    ApopNone = "apop_none",
    /// AUTH (RFC 5034), which this server does not have.
    Auth = "auth",
    /// The first line of what AUTH alone lists.
    AuthList = "auth_list",
    /// AUTH in the clear, where the lab does not offer it.
    AuthTls = "auth_tls",
    /// AUTH with a mechanism that is not offered.
    AuthMechanism = "auth_mechanism",
    /// The client gave up an exchange.
    AuthCancelled = "auth_cancelled",
    /// A response that cannot be read.
    AuthFault = "auth_fault",
    /// A response over the limit.
    AuthTooLong = "auth_too_long",
    /// STLS (RFC 2595 4).
    Stls = "stls",
    /// STLS where there is no TLS.
    StlsNone = "stls_none",
    /// STLS over TLS.
    StlsTwice = "stls_twice",
    /// A login in the clear where the lab wants TLS first.
    NeedTls = "need_tls",
    /// CAPA's lines but for the final one.
    Capa = "capa",
    /// STAT.
    Stat = "stat",
    /// LIST's first line.
    List = "list",
    /// LIST with a number.
    ListOne = "list_one",
    /// UIDL's first line.
    Uidl = "uidl",
    /// UIDL with a number.
    UidlOne = "uidl_one",
    /// RETR's first line.
    Retr = "retr",
    /// TOP's first line.
    Top = "top",
    /// The store could not give the message.
    FetchFailed = "fetch_failed",
    /// DELE.
    Dele = "dele",
    /// NOOP.
    Noop = "noop",
    /// RSET.
    Rset = "rset",
    /// QUIT before the login is complete.
    Quit = "quit",
    /// QUIT after everything marked was deleted.
    QuitUpdate = "quit_update",
    /// QUIT after which messages are still there.
    QuitFailed = "quit_failed",
    /// No command of this server.
    Unknown = "unknown",
    /// A command that wants the login first.
    NeedLogin = "need_login",
    /// PASS without USER.
    NeedUser = "need_user",
    /// A login command after the login.
    LoggedIn = "logged_in",
    /// Arguments are missing.
    TooFew = "too_few",
    /// More arguments than the command takes.
    TooMany = "too_many",
    /// Blanks where none belong.
    Blanks = "blanks",
    /// A line that ended in a lone LF.
    LineFeed = "line_feed",
    /// A line over the limit.
    LineTooLong = "line_too_long",
    /// A message number that is none.
    NotANumber = "not_a_number",
    /// TOP's number of lines is none.
    NotLines = "not_lines",
    /// No message has this number.
    NoMessage = "no_message",
    /// The message is marked deleted.
    Marked = "marked",
    /// DELE of a message that is marked deleted.
    MarkedAlready = "marked_already",
    /// The last error that is put up with has been made.
    TooManyErrors = "too_many_errors",
}

impl Reply {
    /// Appends this reply, each of its lines with CRLF.
    pub fn write(self, peer: &Peer, values: &[(&str, &str)], out: &mut Vec<u8>) {
        self.write_lines(peer, values, &|_| true, out);
    }

    /// The same of a list: its first line, and those of the others that `stand`.
    pub fn write_list(self, peer: &Peer, stands: &dyn Fn(&str) -> bool, out: &mut Vec<u8>) {
        self.write_lines(peer, &[], stands, out);
    }

    fn write_lines(self, peer: &Peer, values: &[(&str, &str)], stands: &dyn Fn(&str) -> bool, out: &mut Vec<u8>) {
        let host = peer.config.host.as_str();
        let hostname = host.split('.').next().unwrap_or(host);
        let capital = capitalised(hostname);
        let everywhere =
            [("host", host), ("hostname", hostname), ("Host", &capital), ("domain", peer.config.domain.as_str())];
        let values: Vec<_> = values.iter().copied().chain(everywhere).collect();
        for (at, line) in self.template(&peer.dialect).iter().enumerate() {
            if at == 0 || stands(line) {
                out.extend_from_slice(fill(line, &values).as_bytes());
                out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// Whether a line of this reply is `line`.
    pub fn lists(self, peer: &Peer, line: &str) -> bool {
        self.template(&peer.dialect).iter().any(|listed| listed == line)
    }

    /// Whether the server's words for this reply have the placeholder `name`.
    pub fn mentions(self, peer: &Peer, name: &str) -> bool {
        self.template(&peer.dialect).iter().any(|line| line.contains(&format!("{{{name}}}")))
    }

    /// The lines of this reply as the dialect has them, or else labctl.
    pub fn template(self, dialect: &Dialect) -> &[String] {
        let own = || OWN.pop3.lines(self.key());
        dialect.pop3.lines(self.key()).or_else(own).expect("labctl's own dialect has every reply; a test holds it")
    }
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::protocol::{dialect, sasl::account::SHOWN};

    /// The longest first line of a reply, with CRLF (RFC 2449 4).
    const REPLY_LINE: usize = 512;

    #[test]
    fn labctl_has_every_reply_and_no_other() {
        let used: BTreeSet<_> = Reply::ALL.iter().map(|reply| reply.key()).collect();
        assert_eq!(OWN.pop3.keys().collect::<BTreeSet<_>>(), used);
        assert_eq!(used.len(), Reply::ALL.len());
    }

    #[test]
    fn every_template_is_a_status_a_short_line_and_nothing_unknown() {
        let long = "n".repeat(SHOWN);
        let names = "timestamp id user holder number count s octets uid verb usage limit deleted text host hostname Host domain";
        let values: Vec<_> = names.split(' ').map(|name| (name, long.as_str())).collect();
        for name in dialect::names() {
            let dialect = dialect::named(name).unwrap();
            for reply in Reply::ALL {
                let Some(lines) = dialect.pop3.lines(reply.key()) else { continue };
                assert!(lines[0].starts_with("+OK") || lines[0].starts_with("-ERR"), "{name}: {lines:?}");
                assert!(lines.len() == 1 || *reply == Reply::Capa, "{name}: {lines:?}");
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
