//! Replies in the words of the server's dialect; what it has no words for is said in labctl's own. Which reply comes when is
//! decided elsewhere; untagged data (`* 3 EXISTS`, `* 1 FETCH …`) is protocol, not words, and is not here.
//!
//! Placeholders of every template: `{host}`, `{domain}`, `{tag}`. Others by reply: `{capabilities}`, `{user}`, `{verb}`,
//! `{usage}`, `{expected}`, `{column}`, `{folder}`, `{count}` with its plural `{s}`, `{access}`, `{octets}`, `{limit}`, `{whole}`, `{why}`,
//! `{uids}`, `{modseq}`, `{hint}`, `{line}`, `{newline}`, `{attributes}` (of which `{mark}` is one and `{rest}` the others), `{name}`, `{mechanisms}`.

use crate::protocol::{
    Peer,
    dialect::{Dialect, OWN, fill},
    replies::replies,
};

replies! {
    /// The greeting.
    Greeting = "greeting",
    /// Instead of the greeting: the student has too many sessions.
    StudentSessions = "student_sessions",
    /// Instead of the greeting: the server has too many sessions.
    ServerSessions = "server_sessions",
    /// There is as much evidence of the student as the lab allows.
    Evidence = "evidence",
    /// A command without words of its own was carried out.
    Completed = "completed",
    /// LOGIN or AUTHENTICATE was.
    LoggedIn = "logged_in",
    /// LIST was.
    Listed = "listed",
    /// One line of LIST or LSUB.
    ListLine = "list_line",
    /// SELECT or EXAMINE was carried out.
    Selected = "selected",
    /// APPEND was.
    Appended = "appended",
    /// COPY was.
    Copied = "copied",
    /// MOVE: the copies are there.
    Moved = "moved",
    /// STORE left some messages alone (RFC 7162 3.1.3).
    Modified = "modified",
    /// EXPUNGE deleted messages, and modification sequences are told.
    Expunged = "expunged",
    /// STARTTLS may go on: the handshake comes next.
    TlsBegin = "tls_begin",
    /// STARTTLS where TLS is on.
    TlsAlready = "tls_already",
    /// STARTTLS where there is no TLS.
    TlsNone = "tls_none",
    /// IDLE has begun.
    Idling = "idling",
    /// The client may send its literal.
    Continue = "continue",
    /// What comes before the end of LOGOUT.
    Bye = "bye",
    /// The client was idle too long.
    ByeIdle = "bye_idle",
    /// The server stops.
    ByeShutdown = "bye_shutdown",
    /// The instructor ends the session.
    ByeInstructor = "bye_instructor",
    /// The last error that is put up with has been made.
    ByeErrors = "bye_errors",
    /// Name or password is wrong.
    LoginFailed = "login_failed",
    /// AUTHENTICATE before TLS, where the lab wants TLS first.
    NeedTls = "need_tls",
    /// A mechanism that is not offered.
    NoMechanism = "no_mechanism",
    /// `*` in AUTHENTICATE.
    Cancelled = "cancelled",
    /// A response of AUTHENTICATE that cannot be read.
    BadResponse = "bad_response",
    /// A line without a tag.
    NoTag = "no_tag",
    /// A tag alone.
    TagAlone = "tag_alone",
    /// No command of this server.
    Unknown = "unknown",
    /// A command that wants the login first.
    NeedLogin = "need_login",
    /// A login command after the login.
    LoggedInAlready = "logged_in_already",
    /// A command that wants an open folder.
    NeedFolder = "need_folder",
    /// A command that cannot be read.
    Syntax = "syntax",
    /// QRESYNC is used before it is enabled.
    NeedQresync = "need_qresync",
    /// A line over the limit.
    LineTooLong = "line_too_long",
    /// A line that holds what no command does.
    Noise = "noise",
    /// A line that ended in a lone LF.
    LineFeed = "line_feed",
    /// A command over the limit.
    TooLarge = "too_large",
    /// A message over the limit.
    MessageTooLarge = "message_too_large",
    /// APPEND while the server has too much mail under way.
    NoRoom = "no_room",
    /// A CR or LF that stands alone in a message.
    LoneNewline = "lone_newline",
    /// A NUL in a message.
    NotBinary = "not_binary",
    /// Something else than DONE in IDLE.
    NotDone = "not_done",
    /// A message number that no message has.
    NoMessage = "no_message",
    /// A name that no folder can have.
    BadName = "bad_name",
    /// There is no such folder.
    NoFolder = "no_folder",
    /// The same, for what would put messages there.
    TryCreate = "try_create",
    /// There is one already.
    Exists = "exists",
    /// INBOX cannot be removed.
    Inbox = "inbox",
    /// Folders lie in it.
    HasChildren = "has_children",
    /// A new name is too long.
    NameTooLong = "name_too_long",
    /// There are too many folders.
    TooManyFolders = "too_many_folders",
    /// There are too many keywords.
    TooManyKeywords = "too_many_keywords",
    /// The mailbox is full.
    Full = "full",
    /// A POP3 session has the maildrop.
    Locked = "locked",
    /// The folder is open for reading only.
    ReadOnly = "read_only",
    /// A character set that is not known.
    BadCharset = "bad_charset",
    /// A part whose encoding is not known.
    UnknownEncoding = "unknown_encoding",
    /// The store could not do it.
    Failed = "failed",
    /// Some messages could not be read.
    FetchFailed = "fetch_failed",
}

impl Reply {
    /// Appends this reply, each of its lines with CRLF.
    pub fn write(self, peer: &Peer, tag: &str, values: &[(&str, &str)], out: &mut Vec<u8>) {
        let everywhere = [("host", peer.config.host.as_str()), ("domain", peer.config.domain.as_str()), ("tag", tag)];
        let values: Vec<_> = values.iter().copied().chain(everywhere).collect();
        for line in self.template(&peer.dialect) {
            out.extend_from_slice(fill(line, &values).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }

    fn template(self, dialect: &Dialect) -> &[String] {
        let own = || OWN.imap.lines(self.key());
        dialect.imap.lines(self.key()).or_else(own).expect("labctl's own dialect has every reply; a test holds it")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::protocol::dialect;

    #[test]
    fn labctl_has_every_reply_and_no_other() {
        let used: BTreeSet<_> = Reply::ALL.iter().map(|reply| reply.key()).collect();
        assert_eq!(OWN.imap.keys().collect::<BTreeSet<_>>(), used);
        assert_eq!(used.len(), Reply::ALL.len());
    }

    #[test]
    fn every_template_is_a_status_line_with_nothing_unknown() {
        let names = "capabilities user verb usage expected column folder count s access octets limit whole why uids modseq hint line newline attributes mark \
                     rest name mechanisms host domain tag";
        let values: Vec<_> = names.split_ascii_whitespace().map(|name| (name, "x")).collect();
        for name in dialect::names() {
            let dialect = dialect::named(name).unwrap();
            for reply in Reply::ALL {
                let Some(lines) = dialect.imap.lines(reply.key()) else { continue };
                for line in lines {
                    let filled = fill(line, &values);
                    let known = ["x OK ", "x NO ", "x BAD ", "* OK ", "* BYE ", "* x ", "* BAD ", "+ "];
                    assert!(known.iter().any(|start| filled.starts_with(start)), "{name}: {filled}");
                    assert!(!filled.contains(['{', '\r', '\n']), "{name}: {line}");
                }
            }
        }
    }
}
