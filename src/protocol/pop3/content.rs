//! What RETR and TOP send of a message: which octets, how many of them, with dots stuffed and the final `.` line
//! (RFC 1939 3, 5, 7, 11).

use crate::mail::{body_start, dot_stuff};

/// The octets of `message` that are sent before dot-stuffing. A line end is added in the one case that needs it: without
/// one the final `.` would not stand on a line of its own.
pub fn sent_octets(message: &[u8]) -> u64 {
    (message.len() + missing_line_end(message).len()) as u64
}

/// Appends the content of a multi-line reply and its end.
pub fn write_content(message: &[u8], out: &mut Vec<u8>) {
    dot_stuff(message, out);
    out.extend_from_slice(missing_line_end(message));
    out.extend_from_slice(b".\r\n");
}

/// The header, the empty line after it, and the first `lines` lines of the body.
pub fn top(message: &[u8], lines: u64) -> &[u8] {
    let body = body_start(message);
    let mut ends = memchr::memchr_iter(b'\n', &message[body..]).map(|at| body + at + 1);
    let end = match usize::try_from(lines) {
        Ok(0) => body,
        Ok(lines) => ends.nth(lines - 1).unwrap_or(message.len()),
        Err(_) => message.len(),
    };
    &message[..end]
}

fn missing_line_end(message: &[u8]) -> &'static [u8] {
    if message.is_empty() || message.ends_with(b"\r\n") { b"" } else { b"\r\n" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MESSAGE: &[u8] = b".A: b\r\n C: d\r\n\r\n.one\r\ntwo\r\n";

    fn written(message: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_content(message, &mut out);
        out
    }

    /// What a client makes of a multi-line reply's content.
    fn unstuffed(content: &[u8]) -> Vec<u8> {
        let whole = content.strip_suffix(b".\r\n").expect("the final line");
        let mut before = b'\n';
        let kept = |octet: &u8| !matches!((std::mem::replace(&mut before, *octet), *octet), (b'\r' | b'\n', b'.'));
        whole.iter().copied().filter(kept).collect()
    }

    #[test]
    fn top_counts_body_lines_only() {
        for (lines, sent) in [
            (0, ".A: b\r\n C: d\r\n\r\n"),
            (1, ".A: b\r\n C: d\r\n\r\n.one\r\n"),
            (2, ".A: b\r\n C: d\r\n\r\n.one\r\ntwo\r\n"),
            (3, ".A: b\r\n C: d\r\n\r\n.one\r\ntwo\r\n"),
            (u64::MAX, ".A: b\r\n C: d\r\n\r\n.one\r\ntwo\r\n"),
        ] {
            assert_eq!(top(MESSAGE, lines), sent.as_bytes(), "{lines}");
        }
        assert_eq!(top(b"A: b\r\n", 1), b"A: b\r\n");
        assert_eq!(top(b"A: b\r\n\r\n", 0), b"A: b\r\n\r\n");
    }

    #[test]
    fn a_line_end_is_added_only_where_there_is_none() {
        assert_eq!(written(MESSAGE), b"..A: b\r\n C: d\r\n\r\n..one\r\ntwo\r\n.\r\n");
        assert_eq!(written(b"a"), b"a\r\n.\r\n");
        assert_eq!(written(b"a\n"), b"a\n\r\n.\r\n");
        assert_eq!(written(b""), b".\r\n");
        assert_eq!(written(b"."), b"..\r\n.\r\n");
    }

    proptest! {
        #[test]
        fn octets_announced_are_octets_sent(message in proptest::collection::vec(
            prop_oneof![Just(b'.'), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..200,
        )) {
            let received = unstuffed(&written(&message));
            prop_assert_eq!(received.len() as u64, sent_octets(&message));
            prop_assert!(received.starts_with(&message));
        }

        #[test]
        fn the_end_comes_once(message in "[.a\r\n]{0,40}") {
            let content = written(message.as_bytes());
            // However a client takes line ends: no line before the last is a dot alone.
            let lines = content[..content.len() - 2].split(|octet| matches!(octet, b'\r' | b'\n'));
            prop_assert_eq!(lines.filter(|line| *line == b".").count(), 1);
        }
    }
}
