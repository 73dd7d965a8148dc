//! What does not belong into a command line and gets there all the same: from a program, from a terminal, from another protocol.
//! Each kind has words that say what happened, for the replies of every protocol.

/// What a line holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noise {
    /// The octet that ends a text in C.
    Nul,
    /// What a terminal sends for a letter that is taken back.
    Backspace,
    /// Telnet's own commands (RFC 854).
    Telnet,
    /// The start of a TLS handshake.
    Tls,
    /// A request of HTTP.
    Http,
}

const METHODS: [&[u8]; 7] = [b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT", b"DELETE"];

impl Noise {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Nul, Self::Backspace, Self::Telnet, Self::Tls, Self::Http];

    /// What this line holds that is none of a command.
    pub fn of(line: &[u8]) -> Option<Self> {
        let mut words = line.split(|octet| *octet == b' ');
        let http = words.next().is_some_and(|word| METHODS.contains(&word))
            && words.next_back().is_some_and(|word| word.starts_with(b"HTTP/"));
        match () {
            () if http => Some(Self::Http),
            () if line.starts_with(&[0x16, 0x03]) => Some(Self::Tls),
            // No letter of UTF-8 has this octet.
            () if line.contains(&0xff) => Some(Self::Telnet),
            () if line.contains(&0) => Some(Self::Nul),
            () if memchr::memchr2(0x08, 0x7f, line).is_some() => Some(Self::Backspace),
            () => None,
        }
    }

    /// What happened and what to do about it: a fragment of ASCII that fits into a reply of any protocol.
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Nul => "the line holds a NUL: send strlen(text) octets, the 0 that ends a text in C is not sent",
            Self::Backspace => "the line holds a backspace: what went out cannot be taken back, so type the line again",
            Self::Telnet => "the line holds telnet's negotiation: use nc -C, or in PuTTY the connection type Raw",
            Self::Tls => {
                "this is a TLS handshake, and here TLS begins with STARTTLS or STLS: see which port has it at once"
            }
            Self::Http => "this is HTTP, and here is a mail server: use telnet, nc -C or a mail program",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_belong_into_a_line_is_recognised() {
        for (line, noise) in [
            (b"\0MAIL FROM:<a@b>".as_slice(), Some(Noise::Nul)),
            (b"HELP\x08O me", Some(Noise::Backspace)),
            (b"HELP\x7fO me", Some(Noise::Backspace)),
            (b"\xff\xfb\x1f\xff\xfb\0HELO me", Some(Noise::Telnet)),
            (b"\x16\x03\x01\0\xff", Some(Noise::Tls)),
            (b"GET / HTTP/1.1", Some(Noise::Http)),
            (b"GET", None),
            (b"HELO me", None),
            ("HELO España\t".as_bytes(), None),
            (b"", None),
        ] {
            assert_eq!(Noise::of(line), noise, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn hints_fit_into_a_reply() {
        for noise in Noise::ALL {
            let hint = noise.hint();
            assert!(hint.len() <= 120 && hint.bytes().all(|octet| matches!(octet, b' '..=b'~')), "{hint}");
        }
    }
}
