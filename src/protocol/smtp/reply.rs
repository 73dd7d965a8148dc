//! From a dialect's templates to octets. What can stand in a template is written down at the top of `labctl.toml`; what the
//! client said is made fit to print before it goes into a reply or a header field.

use std::{io::Write as _, net::IpAddr};

use jiff::{Timestamp, Zoned, fmt::strtime, tz};

use crate::protocol::{
    Now, Peer,
    dialect::{Dialect, OWN},
    sasl::Mechanism,
};

use super::path::Host;

/// The longest piece of the client's own text that a reply repeats, in octets: with it a reply line stays under 512 octets (RFC 5321 4.5.3.1.5).
pub const REPEATED: usize = 256;

/// The date of RFC 5322 3.3.
const DATE: &str = "%a, %-d %b %Y %H:%M:%S %z";

/// What a template may speak of besides the server: the client's words and what was made of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Words<'a> {
    /// The verb, upper case.
    pub verb: &'a str,
    /// `MAIL FROM` or `RCPT TO`.
    pub clause: &'a str,
    /// What followed the verb, or the parameter in question.
    pub argument: &'a str,
    /// The path as written.
    pub path: &'a str,
    /// The address without brackets.
    pub address: &'a str,
    /// HELO's or EHLO's argument.
    pub hello: &'a str,
    /// Whether the client's text may go beyond ASCII (RFC 6531 3.7.4.2).
    pub utf8: bool,
    /// The message's id.
    pub id: &'a str,
    /// The protocol's name in Received (RFC 5321 4.4, RFC 3848).
    pub with: &'a str,
    /// ` for <recipient>` where there is one recipient only.
    pub only_for: &'a str,
    /// The server's own words for this reply: a challenge, a hint, a list.
    pub text: &'a str,
}

/// The template of `key`: the dialect's own, or else labctl's.
pub fn template<'a>(dialect: &'a Dialect, key: &str) -> &'a [String] {
    own_template(dialect, key).or_else(|| OWN.smtp.lines(key)).unwrap_or_default()
}

/// The dialect's text for `key`, or for the whole group of refusals that it belongs to (`path.*`).
fn own_template<'a>(dialect: &'a Dialect, key: &str) -> Option<&'a [String]> {
    let group = || dialect.smtp.lines(&format!("{}.*", key.split_once('.')?.0));
    dialect.smtp.lines(key).or_else(group)
}

/// Whether the dialect's EHLO lists this extension.
pub fn offers(dialect: &Dialect, extension: &str) -> bool {
    template(dialect, "ehlo").iter().skip(1).any(|line| keyword(line) == extension)
}

/// The mechanisms that the dialect's EHLO lists and labctl has, in the dialect's order.
pub fn mechanisms(dialect: &Dialect) -> Vec<Mechanism> {
    let lists = template(dialect, "ehlo").iter().filter_map(|line| line.get(4..)?.strip_prefix("AUTH "));
    lists.flat_map(str::split_ascii_whitespace).filter_map(Mechanism::named).collect()
}

/// Writes the lines of `key` with CRLFs.
pub fn write(peer: &Peer, key: &str, words: &Words<'_>, now: Now, out: &mut Vec<u8>) {
    let own = own_template(&peer.dialect, key);
    let bare = own.is_none() && !offers(&peer.dialect, "ENHANCEDSTATUSCODES");
    for line in own.or_else(|| OWN.smtp.lines(key)).unwrap_or_default() {
        let line = if bare { without_status(line, out) } else { line };
        expand(line, out, &mut |name, out| value(peer, name, words, now, out));
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes the lines of `key` as one list: the first, of the others those whose keyword `stands`, and `more` behind them.
pub fn write_list(
    peer: &Peer,
    key: &str,
    words: &Words<'_>,
    now: Now,
    stands: &dyn Fn(&str) -> bool,
    more: Option<&str>,
    out: &mut Vec<u8>,
) {
    let lines = template(&peer.dialect, key).iter().enumerate();
    let kept = lines.filter(|(at, line)| *at == 0 || stands(keyword(line))).map(|(_, line)| line.as_str());
    let texts: Vec<(&str, &str)> = kept.filter_map(|line| Some((line.get(..3)?, line.get(4..)?))).collect();
    let code = texts.first().map_or("250", |(code, _)| code);
    let texts: Vec<&str> = texts.iter().map(|(_, text)| *text).chain(more).collect();
    for (at, text) in texts.iter().enumerate() {
        let last = at + 1 == texts.len();
        put(out, format_args!("{code}{}", if last { ' ' } else { '-' }));
        expand(text, out, &mut |name, out| value(peer, name, words, now, out));
        out.extend_from_slice(b"\r\n");
    }
}

/// The first word behind the reply code.
fn keyword(line: &str) -> &str {
    line.get(4..).and_then(|text| text.split(' ').next()).unwrap_or_default()
}

/// Writes the reply code of a borrowed line that has an enhanced status code (RFC 2034 4), which this dialect does not speak,
/// and gives back what stands after that.
fn without_status<'a>(line: &'a str, out: &mut Vec<u8>) -> &'a str {
    let status = line.get(4..).and_then(|rest| rest.split_once(' '));
    match status {
        Some((status, rest))
            if status.len() >= 5 && status.bytes().all(|octet| octet == b'.' || octet.is_ascii_digit()) =>
        {
            out.extend_from_slice(&line.as_bytes()[..4]);
            rest
        }
        _ => line,
    }
}

/// An id of the dialect: the template of `key` on one line.
pub fn id(peer: &Peer, key: &str, seed: u64, now: Now) -> String {
    let words = Words::default();
    let mut random = Random(seed);
    let mut out = Vec::new();
    for line in template(&peer.dialect, key) {
        expand(line, &mut out, &mut |name, out| {
            random.write(name, out) || name != "session" && value(peer, name, &words, now, out)
        });
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn expand(template: &str, out: &mut Vec<u8>, value: &mut dyn FnMut(&str, &mut Vec<u8>) -> bool) {
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        match rest.find('}') {
            Some(end) if value(&rest[1..end], out) => rest = &rest[end + 1..],
            _ => {
                out.push(b'{');
                rest = &rest[1..];
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Writes the value of a placeholder, or says that there is none of this name.
fn value(peer: &Peer, name: &str, words: &Words<'_>, now: Now, out: &mut Vec<u8>) -> bool {
    let config = &*peer.config;
    match name {
        "host" => out.extend_from_slice(config.host.as_bytes()),
        "domain" => out.extend_from_slice(config.domain.as_str().as_bytes()),
        "ip" => put(out, format_args!("{}", peer.address().to_canonical())),
        "client" => match &peer.name {
            Some(name) => printable(name, words.utf8, out),
            None if words.hello.is_empty() => put(out, format_args!("{}", literal(peer))),
            None => printable(words.hello, words.utf8, out),
        },
        "from" => match Host::parse(words.hello) {
            Ok(_) => printable(words.hello, words.utf8, out),
            Err(_) => put(out, format_args!("{}", literal(peer))),
        },
        "tcp" => {
            if let Some(name) = &peer.name {
                printable(name, words.utf8, out);
                out.push(b' ');
            }
            put(out, format_args!("[{}]", peer.address().to_canonical()));
        }
        "verb" => printable(words.verb, words.utf8, out),
        "clause" => printable(words.clause, words.utf8, out),
        "argument" => printable(words.argument, words.utf8, out),
        "path" => printable(words.path, words.utf8, out),
        "address" => printable(words.address, words.utf8, out),
        "full" => {
            printable(words.address, words.utf8, out);
            if !words.address.is_empty() && !words.address.contains('@') {
                put(out, format_args!("@{}", config.domain));
            }
        }
        "hello" => printable(words.hello, words.utf8, out),
        "id" => out.extend_from_slice(words.id.as_bytes()),
        "with" => out.extend_from_slice(words.with.as_bytes()),
        "text" => out.extend_from_slice(words.text.as_bytes()),
        "for" => out.extend_from_slice(words.only_for.as_bytes()),
        "session" => out.extend_from_slice(id(peer, "session.id", peer.seed, now).as_bytes()),
        "size" => put(out, format_args!("{}", config.limits.message)),
        "line" => put(out, format_args!("{}", config.limits.line)),
        "text_line" => put(out, format_args!("{}", config.limits.text_line)),
        "recipients" => put(out, format_args!("{}", config.limits.recipients)),
        "date" => date(DATE, now, out),
        "hour" => out.push(hour(now)),
        _ => match name.strip_prefix("now:") {
            Some(format) => date(format, now, out),
            None => return false,
        },
    }
    true
}

/// The client's address as RFC 5321 4.1.3 writes it.
pub fn literal(peer: &Peer) -> String {
    match peer.address().to_canonical() {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a Vec takes everything");
}

/// The client's own text: no control characters, and not too much of it.
fn printable(text: &str, utf8: bool, out: &mut Vec<u8>) {
    for (_, c) in text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= REPEATED) {
        let c = if c.is_control() || !(c.is_ascii() || utf8) { '?' } else { c };
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// The date of RFC 5322 3.3.
pub fn rfc_date(now: Now) -> String {
    strtime::format(DATE, &local(now)).unwrap_or_default()
}

fn date(format: &str, now: Now, out: &mut Vec<u8>) {
    out.extend_from_slice(strtime::format(format, &local(now)).unwrap_or_default().as_bytes());
}

/// The hour as a letter: A at 0h, X at 23h, as Sendmail's queue ids begin.
fn hour(now: Now) -> u8 {
    b'A' + local(now).hour().unsigned_abs()
}

/// The time where the server stands.
fn local(now: Now) -> Zoned {
    let time = Timestamp::from_microsecond(now.micros).unwrap_or(Timestamp::UNIX_EPOCH);
    let offset = tz::Offset::from_seconds(now.utc_offset_secs).unwrap_or(tz::Offset::UTC);
    Zoned::new(time, tz::TimeZone::fixed(offset))
}

/// Numbers that look drawn and are the same for the same seed (SplitMix64).
#[derive(Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Writes `{KIND:COUNT}` characters, for ids.
    fn write(&mut self, name: &str, out: &mut Vec<u8>) -> bool {
        let alphabet: &[u8] = match name.split_once(':').map(|(kind, _)| kind) {
            Some("letters") => b"abcdefghijklmnopqrstuvwxyz",
            Some("capitals") => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            Some("digits") => b"0123456789",
            Some("hex") => b"0123456789ABCDEF",
            Some("lower") => b"abcdefghijklmnopqrstuvwxyz0123456789",
            Some("mixed") => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
            _ => return false,
        };
        let count: usize = name.split_once(':').and_then(|(_, count)| count.parse().ok()).unwrap_or(0);
        for _ in 0..count {
            let at = self.draw() % alphabet.len() as u64;
            out.push(alphabet[usize::try_from(at).unwrap_or(0)]);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labctl_has_every_reply_that_the_code_says() {
        let sources = [
            include_str!("auth.rs"),
            include_str!("chunking.rs"),
            include_str!("command.rs"),
            include_str!("inquiry.rs"),
            include_str!("mod.rs"),
            include_str!("parameter.rs"),
            include_str!("path.rs"),
            include_str!("route.rs"),
            include_str!("starttls.rs"),
            include_str!("trace.rs"),
            include_str!("transaction.rs"),
            include_str!("turning.rs"),
        ];
        let is_key = |text: &str| {
            let letters =
                |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || "_8".contains(c));
            text.split_once('.').is_some_and(|(group, key)| letters(group) && letters(key))
        };
        let mut found = 0;
        for key in sources.iter().flat_map(|source| source.split('"')).filter(|text| is_key(text)) {
            assert!(OWN.smtp.lines(key).is_some(), "`{key}` is not in labctl.toml");
            found += 1;
        }
        assert!(found > 60, "{found}");
    }

    #[test]
    fn an_enhanced_status_code_is_taken_away_and_nothing_else() {
        let bare = |line: &str| {
            let mut out = Vec::new();
            let rest = without_status(line, &mut out);
            format!("{}{rest}", String::from_utf8(out).unwrap())
        };
        assert_eq!(bare("550 5.1.1 no mailbox"), "550 no mailbox");
        assert_eq!(bare("250-5.1.12 x"), "250-x");
        assert_eq!(bare("214-to send mail"), "214-to send mail");
        assert_eq!(bare("334 "), "334 ");
    }

    #[test]
    fn a_reply_repeats_so_much_of_the_client_and_no_more() {
        let repeated = |length| {
            let mut out = Vec::new();
            printable(&"x".repeat(length), false, &mut out);
            out.len()
        };
        assert_eq!([REPEATED - 1, REPEATED, REPEATED + 1].map(repeated), [REPEATED - 1, REPEATED, REPEATED]);
    }

    #[test]
    fn an_hour_is_a_letter() {
        assert_eq!([0, 12, 15, 23].map(|o_clock| hour(at(o_clock))), *b"AMPX");
        assert_eq!(hour(Now { utc_offset_secs: -3_600, ..at(0) }), b'X');
    }

    fn at(hour: i64) -> Now {
        Now { micros: hour * 3_600_000_000, steady_micros: 0, utc_offset_secs: 0 }
    }

    #[test]
    fn drawn_characters_are_of_their_kind_and_number() {
        let draw = |name: &str| {
            let mut out = Vec::new();
            assert!(Random(7).write(name, &mut out), "{name}");
            String::from_utf8(out).unwrap()
        };
        assert!(draw("digits:20").bytes().all(|octet| octet.is_ascii_digit()));
        assert!(draw("hex:9").bytes().all(|octet| octet.is_ascii_hexdigit()));
        assert_eq!(draw("mixed:43").len(), 43);
        assert_eq!(draw("lower:15"), draw("lower:15"));
        assert!(!Random(7).write("now:%s", &mut Vec::new()));
    }
}
