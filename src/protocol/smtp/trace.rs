//! What the server puts in front of a message (RFC 5321 4.4), in the words of the dialect, and what it reads of the
//! header to decide that: lines that start with a name, up to the first empty line. Nothing else of the content is looked at.

use crate::protocol::{Now, Peer};

use super::reply::{self, Words};

/// The trace fields: Return-Path and Received, and Message-ID and Date where the dialect adds them to a message without.
pub fn fields(peer: &Peer, words: &Words<'_>, content: &[u8], now: Now) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    reply::write(peer, "trace.return_path", words, now, &mut out);
    reply::write(peer, "trace.received", words, now, &mut out);
    for (name, key) in [("Message-ID", "trace.message_id"), ("Date", "trace.date")] {
        if !reply::template(&peer.dialect, key).is_empty() && count(content, name) == 0 {
            reply::write(peer, key, words, now, &mut out);
        }
    }
    out
}

/// The trace fields as the next server gets them: Return-Path is for the last one to add (RFC 5321 4.4).
pub fn without_return_path(trace: &[u8]) -> &[u8] {
    const NAME: &[u8] = b"Return-Path:";
    if !trace.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
        return trace;
    }
    let mut ends = memchr::memchr_iter(b'\n', trace).map(|at| at + 1);
    let end = ends.find(|end| !matches!(trace.get(*end), Some(b' ' | b'\t'))).unwrap_or(trace.len());
    &trace[end..]
}

/// In front of a message that goes to another server of the lab: by which name it is in the queue of the one that sends it.
/// Where the answer to it is lost on the way, or one of both is killed, it comes again under the same name (RFC 5321 6.1).
const QUEUE_NAME: &[u8] = b"X-Labctl-Queue: ";

/// The longest name that is taken for one, in octets.
const MAX_QUEUE_NAME: usize = 100;

/// The field that says it.
pub fn queue_name(name: &str) -> Vec<u8> {
    [QUEUE_NAME, name.as_bytes(), b"\r\n"].concat()
}

/// Takes the field away, which no reader of the message is to see; none where another server did not put it there.
pub fn take_queue_name(content: &mut Vec<u8>) -> Option<String> {
    let rest = content.strip_prefix(QUEUE_NAME)?;
    let end = memchr::memchr(b'\n', rest.get(..rest.len().min(MAX_QUEUE_NAME + 2))?)?;
    let name = rest[..end].strip_suffix(b"\r")?;
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return None;
    }
    let name = String::from_utf8_lossy(name).into_owned();
    content.drain(..=(QUEUE_NAME.len() + end));
    Some(name)
}

/// How many header fields of this name there are.
pub fn count(content: &[u8], name: &str) -> usize {
    let mut found = 0;
    let mut rest = content;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let line = &rest[..end];
        if matches!(line, b"" | b"\r") {
            break;
        }
        let (head, after) = line.split_at_checked(name.len()).unwrap_or((b"", b""));
        if head.eq_ignore_ascii_case(name.as_bytes()) && after.trim_ascii_start().starts_with(b":") {
            found += 1;
        }
        rest = &rest[end + 1..];
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_fields_are_counted_up_to_the_empty_line() {
        let message = b"Received: a\r\n\tReceived: folded\r\nRECEIVED : b\r\nReceivedx: c\r\n\r\nReceived: text\r\n";
        assert_eq!(count(message, "Received"), 2);
        assert_eq!(count(b"Date:23/11/17 19:39\r\nhola\r\n", "Date"), 1);
        assert_eq!(count(b"", "Date"), 0);
    }

    #[test]
    fn a_message_between_servers_has_a_name_that_readers_do_not_see() {
        let taken = |name: &str| {
            let mut content = [queue_name(name).as_slice(), b"Subject: a\r\n\r\nb\r\n"].concat();
            (take_queue_name(&mut content), content.starts_with(b"Subject: a"))
        };
        assert_eq!(taken("g1.7.1509706863000000"), (Some("g1.7.1509706863000000".to_owned()), true));
        let long = "x".repeat(MAX_QUEUE_NAME);
        assert_eq!(taken(&long), (Some(long.clone()), true));
        for wrong in [&format!("{long}x"), "", "a b"] {
            assert_eq!(taken(wrong), (None, false), "`{wrong}`");
        }
        let mut other = b"Subject: a\r\nX-Labctl-Queue: b\r\n\r\n".to_vec();
        assert_eq!(take_queue_name(&mut other), None, "only in front of everything else");
    }

    #[test]
    fn the_next_server_gets_no_return_path() {
        let rest = b"Received: a\r\n\tb\r\n";
        assert_eq!(without_return_path(&[b"Return-Path: <a@b.lab>\r\n".as_slice(), rest].concat()), rest);
        assert_eq!(without_return_path(&[b"return-path:\r\n <a@b.lab>\r\n".as_slice(), rest].concat()), rest);
        assert_eq!(without_return_path(rest), rest);
        assert_eq!(without_return_path(b"Return-Path: <>"), b"");
    }
}
