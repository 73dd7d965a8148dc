//! What of a command line and of a reply the record keeps, and how a password is masked.

/// The longest reply that an event keeps whole, in octets; of a longer one it keeps the first line.
pub const REPLY_KEPT: usize = 1_024;

/// The longest command line that an event keeps, in octets; the rest is cut.
pub const LINE_KEPT: usize = 1_024;

/// What of a reply an event keeps: all of a short one, the first line of a long one.
pub fn kept_reply(reply: &[u8]) -> String {
    let kept = if reply.len() <= REPLY_KEPT {
        reply
    } else {
        let line = reply.iter().position(|octet| *octet == b'\n').map_or(reply.len(), |at| at + 1);
        &reply[..line.min(REPLY_KEPT)]
    };
    String::from_utf8_lossy(kept).into_owned()
}

/// What of the reply to an IMAP command an event keeps: all of a short one, the tagged line, which comes last, of a long one.
/// `kept` ends in that line; `octets` is the length of all that was sent.
pub fn kept_tagged(kept: &[u8], octets: u64) -> String {
    if octets <= REPLY_KEPT as u64 {
        return String::from_utf8_lossy(kept).into_owned();
    }
    let line = kept.strip_suffix(b"\r\n").unwrap_or(kept);
    let start = line.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
    kept_reply(&kept[start..])
}

/// What of a command line an event keeps.
pub fn kept_line(line: &[u8]) -> String {
    String::from_utf8_lossy(&line[..line.len().min(LINE_KEPT)]).into_owned()
}

/// A line whose first `keep` words stand and whose rest is a secret.
pub fn masked(line: &[u8], keep: usize) -> String {
    let text = kept_line(line);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    if words.len() <= keep {
        return text;
    }
    format!("{} ***", words[..keep].join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_masked_whatever_stands_round_it() {
        assert_eq!(masked(b"PASS Usuario2", 1), "PASS ***");
        assert_eq!(masked(b"pass  two words", 1), "pass ***");
        assert_eq!(masked(b"APOP ana c4c9334bac560ecc979e58001b3e22fb", 2), "APOP ana ***");
        assert_eq!(masked(b"PASS", 1), "PASS");
    }

    #[test]
    fn a_long_reply_keeps_its_first_line() {
        let long = [b"+OK 3\r\n".as_slice(), &b"x".repeat(REPLY_KEPT)].concat();
        assert_eq!(kept_reply(&long), "+OK 3\r\n");
        let short = b"+OK\r\n1 2\r\n.\r\n";
        assert_eq!(kept_reply(short).as_bytes(), short);
        let edge = b"y".repeat(REPLY_KEPT);
        assert_eq!(kept_reply(&edge).len(), REPLY_KEPT);
    }
}
