//! A server's replies as a client hears them: octets to replies, bounded before they are kept (RFC 5321 4.2), and what an
//! answer says of a recipient.

use std::fmt;

/// The longest line of a reply that is taken, in octets with CRLF: RFC 5321 4.5.3.1.5 allows 512, some servers say more.
pub const MAX_LINE: usize = 2_048;

/// The most lines of one reply.
pub const MAX_LINES: usize = 128;

/// What is kept of a reply, in octets: enough to read what went wrong.
pub const KEPT: usize = 512;

/// A reply: its code, and its text in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Three digits.
    pub code: u16,
    /// The lines' texts, an enhanced status code among them.
    pub lines: Vec<String>,
}

/// Why what a server says is no SMTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unheard {
    /// A line over [`MAX_LINE`].
    #[error("a line of its reply has more than {MAX_LINE} octets")]
    LineTooLong,
    /// A reply over [`MAX_LINES`].
    #[error("its reply has more than {MAX_LINES} lines")]
    TooManyLines,
    /// Not three digits and a blank or a hyphen.
    #[error("what it says is no SMTP reply")]
    NoReply,
}

impl Reply {
    /// A reply of one line, as labctl itself would put what no server said.
    pub fn own(code: u16, text: impl fmt::Display) -> Self {
        Self { code, lines: vec![text.to_string()] }
    }

    /// Whether it agrees.
    pub const fn is_good(&self) -> bool {
        self.code / 100 == 2
    }

    /// Whether it refuses for good (RFC 5321 4.2.1); anything else that is not good is worth another try.
    pub const fn is_final(&self) -> bool {
        self.code / 100 == 5
    }

    /// The enhanced status code (RFC 3463): the one it has if that fits its code, else one that says no more than the code.
    pub fn status(&self) -> String {
        let class = self.code / 100;
        let found = self.lines.first().and_then(|line| line.split(' ').next()).filter(|word| is_status(word, class));
        found.map_or_else(|| format!("{class}.0.0"), str::to_owned)
    }
}

fn is_status(word: &str, class: u16) -> bool {
    let mut parts = word.split('.');
    let number = |part: &str| (1..=3).contains(&part.len()) && part.bytes().all(|octet| octet.is_ascii_digit());
    parts.next() == Some(class.to_string().as_str()) && parts.clone().count() == 2 && parts.all(number)
}

impl fmt::Display for Reply {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{} {}", self.code, self.lines.join(" / "));
        let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= KEPT).last();
        out.write_str(text[..end.unwrap_or(0)].trim_end())
    }
}

/// Cuts what a server sends into replies. It holds at most one reply and what one read brought.
#[derive(Debug, Default)]
pub struct Hearing {
    buffer: Vec<u8>,
    lines: Vec<String>,
}

impl Hearing {
    /// The buffer to append to.
    pub const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Whether something waits that nobody has heard yet: behind a 220 to STARTTLS somebody injects replies.
    pub const fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.lines.is_empty()
    }

    /// The next reply, if all of it is there.
    pub fn reply(&mut self) -> Result<Option<Reply>, Unheard> {
        loop {
            let Some(end) = memchr::memchr(b'\n', &self.buffer) else {
                return if self.buffer.len() >= MAX_LINE { Err(Unheard::LineTooLong) } else { Ok(None) };
            };
            if end + 1 > MAX_LINE {
                return Err(Unheard::LineTooLong);
            }
            let line: Vec<u8> = self.buffer.drain(..=end).collect();
            let text = String::from_utf8_lossy(&line);
            let text = text.trim_end_matches(['\r', '\n']);
            let (code, rest) = text.split_at_checked(3).ok_or(Unheard::NoReply)?;
            let code: u16 = code.parse().ok().filter(|code| (200..600).contains(code)).ok_or(Unheard::NoReply)?;
            let (last, said) = match rest.as_bytes().first() {
                None => (true, ""),
                Some(b' ') => (true, &rest[1..]),
                Some(b'-') => (false, &rest[1..]),
                Some(_) => return Err(Unheard::NoReply),
            };
            if self.lines.len() == MAX_LINES {
                return Err(Unheard::TooManyLines);
            }
            self.lines.push(said.chars().map(|c| if c.is_control() { '?' } else { c }).collect());
            if last {
                return Ok(Some(Reply { code, lines: std::mem::take(&mut self.lines) }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(pieces: &[&[u8]]) -> Result<Vec<String>, Unheard> {
        let mut hearing = Hearing::default();
        let mut all = Vec::new();
        for piece in pieces {
            hearing.buffer().extend_from_slice(piece);
            while let Some(reply) = hearing.reply()? {
                all.push(reply.to_string());
            }
        }
        Ok(all)
    }

    #[test]
    fn replies_come_out_however_they_are_cut() {
        let text = b"220 ready\r\n250-mail.g2.lab\r\n250-SIZE 10\r\n250 HELP\r\n354\r\n";
        let whole = heard(&[text]).unwrap();
        assert_eq!(whole, ["220 ready", "250 mail.g2.lab / SIZE 10 / HELP", "354"]);
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(heard(&single).unwrap(), whole);
    }

    #[test]
    fn what_is_no_reply_is_said_to_be_none() {
        for bad in ["hello\r\n", "25\r\n", "999 x\r\n", "250_x\r\n", "\r\n", "+OK\r\n"] {
            assert_eq!(heard(&[bad.as_bytes()]), Err(Unheard::NoReply), "{bad:?}");
        }
    }

    #[test]
    fn replies_are_limited_on_both_sides() {
        let line = |octets: usize| format!("250 {}\r\n", "x".repeat(octets - 6));
        assert!(heard(&[line(MAX_LINE).as_bytes()]).is_ok());
        assert_eq!(heard(&[line(MAX_LINE + 1).as_bytes()]), Err(Unheard::LineTooLong));
        assert_eq!(heard(&[&b"x".repeat(MAX_LINE)]), Err(Unheard::LineTooLong));
        let lines = |count: usize| "250-x\r\n".repeat(count - 1) + "250 x\r\n";
        assert!(heard(&[lines(MAX_LINES).as_bytes()]).is_ok());
        assert_eq!(heard(&[lines(MAX_LINES + 1).as_bytes()]), Err(Unheard::TooManyLines));
        let kept = |octets: usize| Reply::own(550, "x".repeat(octets - 4)).to_string().len();
        assert_eq!([kept(KEPT), kept(KEPT + 1)], [KEPT, KEPT]);
    }

    #[test]
    fn a_status_is_the_servers_own_where_it_fits() {
        let status = |code, text: &str| Reply::own(code, text).status();
        assert_eq!(status(550, "5.1.1 no such user"), "5.1.1");
        assert_eq!(status(550, "4.1.1 no such user"), "5.0.0");
        assert_eq!(status(452, "no room"), "4.0.0");
        assert_eq!(status(550, "5.1 no"), "5.0.0");
        assert_eq!(status(550, "5.1.1.1 no"), "5.0.0");
    }
}
