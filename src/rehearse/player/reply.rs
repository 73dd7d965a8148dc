//! Where a reply ends, and what of it a script is held against: the first line of SMTP's and POP3's, the tagged line of IMAP's.

use crate::lab::Protocol;

/// A literal that a line announces at its end (RFC 9051 4.3, RFC 7888).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Announced {
    /// How many octets.
    pub(super) octets: usize,
    /// Whether leave to send them has to be waited for.
    pub(super) waits: bool,
}

/// The literal at the end of a line: `{12}` or `{12+}`.
pub(super) fn announced(line: &[u8]) -> Option<Announced> {
    let inside = line.strip_suffix(b"}")?;
    let open = inside.iter().rposition(|octet| *octet == b'{')?;
    let digits = std::str::from_utf8(&inside[open + 1..]).ok()?;
    let (digits, waits) = digits.strip_suffix('+').map_or((digits, true), |digits| (digits, false));
    Some(Announced { octets: digits.parse().ok()?, waits })
}

/// The tag of a command of IMAP: its first word.
pub(super) fn tag(command: &str) -> &str {
    command.split_ascii_whitespace().next().unwrap_or_default()
}

/// Whether a handshake follows this command and its reply (RFC 3207 4, RFC 2595 4, RFC 9051 6.2.1).
pub(super) fn invites(protocol: Protocol, command: &str, reply: &str) -> bool {
    let is = |verb: &str| command.trim().eq_ignore_ascii_case(verb);
    match protocol {
        Protocol::Smtp => is("STARTTLS") && reply.starts_with("220"),
        Protocol::Pop3 => is("STLS") && reply.starts_with("+OK"),
        Protocol::Imap => {
            let verb = command.split_ascii_whitespace().nth(1).unwrap_or_default();
            verb.eq_ignore_ascii_case("STARTTLS") && status(reply).starts_with("OK")
        }
        Protocol::Dns => false,
    }
}

/// Whether a reply begins as a script wants; IMAP's with or without its tag.
pub(super) fn begins(protocol: Protocol, reply: &str, wanted: &str) -> bool {
    reply.starts_with(wanted) || protocol == Protocol::Imap && status(reply).starts_with(wanted)
}

/// A line of IMAP without its tag.
fn status(line: &str) -> &str {
    if line.starts_with('+') { line } else { line.split_once(' ').map_or("", |(_, rest)| rest) }
}

/// Finds the end of one reply.
#[derive(Debug)]
pub(super) struct Ends {
    protocol: Protocol,
    /// The tag that the last line of IMAP's reply begins with; empty for the greeting.
    tag: String,
    /// Whether POP3 answers with several lines when it succeeds.
    multi_line: bool,
    first: Option<String>,
    /// Octets of a literal that come before the next line; that line then goes on with the one before.
    literal: u64,
}

impl Ends {
    pub(super) fn new(protocol: Protocol, command: &str, tag: &str) -> Self {
        Self { protocol, tag: tag.to_owned(), multi_line: is_multi_line(command), first: None, literal: 0 }
    }

    /// Octets to be read before the next line.
    pub(super) const fn literal(&self) -> u64 {
        self.literal
    }

    /// Takes a line without its end; where the reply is over, the line that scripts speak of.
    pub(super) fn line(&mut self, line: &str) -> Option<String> {
        if self.protocol == Protocol::Imap {
            let goes_on = std::mem::take(&mut self.literal) > 0;
            self.literal = announced(line.as_bytes()).map_or(0, |literal| literal.octets as u64);
            return (!goes_on && self.is_last_of_imap(line)).then(|| line.to_owned());
        }
        let first = self.first.get_or_insert_with(|| line.to_owned());
        let over = match self.protocol {
            // RFC 5321 4.2.1: a hyphen after the code says that more lines follow.
            Protocol::Smtp => line.as_bytes().get(3) != Some(&b'-'),
            Protocol::Pop3 => !(first.starts_with("+OK") && self.multi_line) || line == ".",
            Protocol::Imap | Protocol::Dns => true,
        };
        over.then(|| first.clone())
    }

    /// The tagged line, a request to go on, the greeting; or that the server made no tag out.
    fn is_last_of_imap(&self, line: &str) -> bool {
        let word = tag(line);
        self.tag.is_empty() || word == self.tag || word == "+" || line.starts_with("* BAD")
    }
}

/// Whether RFC 1939 answers this command with several lines when it succeeds.
fn is_multi_line(command: &str) -> bool {
    let mut words = command.split_ascii_whitespace();
    let verb = words.next().unwrap_or_default().to_ascii_uppercase();
    match verb.as_str() {
        "RETR" | "TOP" | "CAPA" => true,
        "LIST" | "UIDL" => words.next().is_none(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a reply up to its end, each with the literal that is to be read behind it; what a script is held against.
    fn read(protocol: Protocol, command: &str, lines: &[&str]) -> (usize, Option<String>) {
        let mut ends = Ends::new(protocol, command, tag(command));
        for (count, line) in lines.iter().enumerate() {
            if let Some(reply) = ends.line(line) {
                return (count + 1, Some(reply));
            }
        }
        (lines.len(), None)
    }

    #[test]
    fn a_handshake_stands_behind_a_command_that_asks_for_it() {
        let smtp = |command: &str, reply: &str| invites(Protocol::Smtp, command, reply);
        let pop3 = |command: &str, reply: &str| invites(Protocol::Pop3, command, reply);
        let imap = |command: &str, reply: &str| invites(Protocol::Imap, command, reply);
        assert!(smtp("starttls", "220 go") && pop3("STLS", "+OK") && imap("a starttls", "a OK go"));
        assert!(!smtp("STARTTLS", "454 no") && !smtp("EHLO me", "220 go") && !pop3("STLS", "-ERR"));
        assert!(!imap("STARTTLS", "* BAD") && !imap("a STARTTLS", "a NO") && !imap("a NOOP", "a OK"));
    }

    #[test]
    fn only_listings_without_a_number_are_multi_line() {
        assert!(is_multi_line("list") && is_multi_line("RETR 1") && is_multi_line("TOP 1 0"));
        assert!(!is_multi_line("LIST 1") && !is_multi_line("STAT"));
        assert_eq!(read(Protocol::Pop3, "LIST", &["+OK 1", "1 10", "."]), (3, Some("+OK 1".into())));
        assert_eq!(read(Protocol::Smtp, "EHLO", &["250-a", "250 b", "x"]), (2, Some("250-a".into())));
    }

    #[test]
    fn a_reply_of_imap_ends_with_its_tag() {
        let imap = |command: &str, lines: &[&str]| read(Protocol::Imap, command, lines);
        assert_eq!(imap("", &["* OK ready"]), (1, Some("* OK ready".into())));
        assert_eq!(imap("a LOGOUT", &["* BYE", "a OK done"]), (2, Some("a OK done".into())));
        assert_eq!(imap("a X", &["* 1 EXISTS", "b OK x", "* BAD no"]), (3, Some("* BAD no".into())));
        assert_eq!(imap("a IDLE", &["+ idling"]), (1, Some("+ idling".into())));
    }

    #[test]
    fn a_line_behind_a_literal_ends_no_reply() {
        let mut ends = Ends::new(Protocol::Imap, "a FETCH 1 BODY[]", "a");
        assert_eq!((ends.line("* 1 FETCH (BODY[] {12}"), ends.literal()), (None, 12));
        assert_eq!((ends.line("a OK this is no tag {3}"), ends.literal()), (None, 3));
        assert_eq!((ends.line(" FLAGS (\\Seen))"), ends.literal()), (None, 0));
        assert_eq!(ends.line("a OK done"), Some("a OK done".into()));
    }

    #[test]
    fn a_script_is_held_against_the_status() {
        assert!(begins(Protocol::Imap, "a OK done", "OK") && begins(Protocol::Imap, "a OK done", "a OK"));
        assert!(begins(Protocol::Imap, "* OK hello", "OK") && begins(Protocol::Imap, "+ go", "+"));
        assert!(!begins(Protocol::Imap, "a NO done", "OK") && !begins(Protocol::Smtp, "250 OK", "OK"));
    }
}
