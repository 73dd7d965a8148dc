//! Address lists of header fields, undecoded, as IMAP's ENVELOPE shows them (RFC 9051 7.5.2): display name, source route,
//! local part, domain; a group's start and end. RFC 5322 3.4 with what people really write.

/// One member of an address list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// An address.
    Address {
        /// The display name, encoded words left as they are.
        name: Option<Vec<u8>>,
        /// The source route of RFC 822 6.1, if somebody still writes one.
        route: Option<Vec<u8>>,
        /// What stands before the `@`.
        local: Vec<u8>,
        /// What stands after it; none where there is no `@`.
        domain: Option<Vec<u8>>,
    },
    /// A group begins: its name.
    GroupStart(Vec<u8>),
    /// The group ends.
    GroupEnd,
}

/// The members of the list in `value`. What is no address in brackets or with an `@` still counts as a local part alone.
pub fn addresses(value: &[u8]) -> Vec<Member> {
    let mut list = List::default();
    let mut octets = value.iter().copied().peekable();
    while let Some(octet) = octets.next() {
        match octet {
            b'"' => {
                list.word(quoted(&mut octets));
            }
            b'(' => list.comment = Some(comment(&mut octets)),
            b'<' if list.angle.is_none() => {
                let mut inside = Vec::new();
                while let Some(octet) = octets.next() {
                    match octet {
                        b'>' => break,
                        b'"' => inside.extend(quoted(&mut octets)),
                        b'(' => _ = comment(&mut octets),
                        b' ' | b'\t' | b'\r' | b'\n' => {}
                        _ => inside.push(octet),
                    }
                }
                list.angle = Some(inside);
            }
            b',' => list.end_of_address(),
            b':' if !list.in_group && list.angle.is_none() => {
                let name = list.words.join(&b' ');
                list.words.clear();
                list.comment = None;
                list.open = false;
                list.in_group = true;
                list.members.push(Member::GroupStart(name));
            }
            b';' if list.in_group => {
                list.end_of_address();
                list.in_group = false;
                list.members.push(Member::GroupEnd);
            }
            b' ' | b'\t' | b'\r' | b'\n' => list.open = false,
            0 => {}
            _ => list.push(octet),
        }
    }
    list.end_of_address();
    if list.in_group {
        list.members.push(Member::GroupEnd);
    }
    list.members
}

#[derive(Default)]
struct List {
    members: Vec<Member>,
    words: Vec<Vec<u8>>,
    /// Whether the last word goes on with the next octet.
    open: bool,
    angle: Option<Vec<u8>>,
    comment: Option<Vec<u8>>,
    in_group: bool,
}

impl List {
    fn push(&mut self, octet: u8) {
        match self.words.last_mut().filter(|_| self.open) {
            Some(word) => word.push(octet),
            None => self.words.push(vec![octet]),
        }
        self.open = true;
    }

    /// A quoted string: a word, or part of one: `"a b"@c`.
    fn word(&mut self, text: Vec<u8>) {
        match self.words.last_mut().filter(|_| self.open) {
            Some(word) => word.extend(text),
            None => self.words.push(text),
        }
        self.open = true;
    }

    fn end_of_address(&mut self) {
        let (words, comment) = (std::mem::take(&mut self.words), self.comment.take());
        self.open = false;
        if let Some(inside) = self.angle.take() {
            let (route, spec) = match inside.first() {
                Some(b'@') => {
                    let colon = memchr::memchr(b':', &inside).unwrap_or(inside.len());
                    (Some(inside[..colon].to_vec()), inside.get(colon + 1..).unwrap_or_default())
                }
                Some(_) | None => (None, inside.as_slice()),
            };
            let name = words.join(&b' ');
            let (local, domain) = split(spec);
            self.members.push(Member::Address { name: (!name.is_empty()).then_some(name), route, local, domain });
            return;
        }
        // Blanks round `@` and dots are no part of the address (RFC 5322 4.4, obs-addr-spec).
        let spec = words.concat();
        if !spec.is_empty() {
            let (local, domain) = split(&spec);
            self.members.push(Member::Address { name: comment, route: None, local, domain });
        }
    }
}

fn split(spec: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    match memchr::memrchr(b'@', spec) {
        Some(at) => (spec[..at].to_vec(), Some(spec[at + 1..].to_vec())),
        None => (spec.to_vec(), None),
    }
}

fn quoted(octets: &mut impl Iterator<Item = u8>) -> Vec<u8> {
    let mut text = Vec::new();
    while let Some(octet) = octets.next() {
        match octet {
            b'"' => break,
            b'\\' => text.extend(octets.next()),
            b'\r' | b'\n' | 0 => {}
            _ => text.push(octet),
        }
    }
    text
}

fn comment(octets: &mut impl Iterator<Item = u8>) -> Vec<u8> {
    let (mut text, mut depth) = (Vec::new(), 1);
    while let Some(octet) = octets.next() {
        match octet {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b'\\' => {
                text.extend(octets.next());
                continue;
            }
            b'\r' | b'\n' | 0 => continue,
            _ => {}
        }
        if depth == 0 {
            break;
        }
        text.push(octet);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let show = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let or_dash = |octets: &Option<Vec<u8>>| octets.as_ref().map_or("-".to_owned(), |octets| show(octets));
        let members = addresses(text.as_bytes());
        let shown = members.iter().map(|member| match member {
            Member::Address { name, route, local, domain } => {
                format!("{}|{}|{}|{}", or_dash(name), or_dash(route), show(local), or_dash(domain))
            }
            Member::GroupStart(name) => format!("{}:", show(name)),
            Member::GroupEnd => ";".to_owned(),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn addresses_are_taken_apart() {
        assert_eq!(shown("ana@g1.lab"), "-|-|ana|g1.lab");
        assert_eq!(shown("Ana Gil <ana@g1.lab>, ben@g1.lab"), "Ana Gil|-|ana|g1.lab -|-|ben|g1.lab");
        assert_eq!(shown("\"Gil, Ana\" <ana@g1.lab>"), "Gil, Ana|-|ana|g1.lab");
        assert_eq!(shown("=?utf-8?q?=C3=B1?= <n@x>"), "=?utf-8?q?=C3=B1?=|-|n|x");
        assert_eq!(shown("ana@g1.lab (Ana Gil)"), "Ana Gil|-|ana|g1.lab");
        assert_eq!(shown("<@a,@b:ana@g1.lab>"), "-|@a,@b|ana|g1.lab");
        assert_eq!(shown("\"a b\"@g1.lab"), "-|-|a b|g1.lab");
    }

    #[test]
    fn groups_begin_and_end() {
        assert_eq!(shown("undisclosed-recipients:;"), "undisclosed-recipients: ;");
        assert_eq!(shown("A: x@y, z@w; q@r"), "A: -|-|x|y -|-|z|w ; -|-|q|r");
        assert_eq!(shown("A: x@y"), "A: -|-|x|y ;");
    }

    #[test]
    fn what_is_no_address_does_no_harm() {
        assert_eq!(shown(""), "");
        assert_eq!(shown("ana"), "-|-|ana|-");
        assert_eq!(shown("<>"), "-|-||-");
        assert_eq!(shown(",,\r\n ,"), "");
        assert_eq!(shown("\"open"), "-|-|open|-");
        assert_eq!(shown("(open"), "");
    }
}
