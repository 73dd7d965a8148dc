//! Header fields as they stand in a message: names, values with their folds, and the parameters of `Content-Type` and its
//! like undecoded. IMAP's ENVELOPE and BODYSTRUCTURE show values as they are written (RFC 9051 7.5.2), so a parser that
//! decodes them is of no use there. RFC 5322 2.2, RFC 2045 5.1.

/// One header field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its name, as written.
    pub name: &'a [u8],
    /// What follows the colon, folds and the final line end included.
    pub value: &'a [u8],
    /// All of it, from the name to the line end.
    pub whole: &'a [u8],
}

/// The fields of a header, in order. A line that is none is left out.
pub fn fields(header: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = header;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let end = field_end(rest);
            let (whole, after) = rest.split_at(end);
            rest = after;
            let Some(colon) = memchr::memchr(b':', whole) else { continue };
            let name = whole[..colon].trim_ascii_end();
            if name.is_empty() || name.iter().any(u8::is_ascii_whitespace) {
                continue;
            }
            return Some(Field { name, value: &whole[colon + 1..], whole });
        }
        None
    })
}

/// Where the field at the start of `octets` ends: at the first line that does not go on with white space.
fn field_end(octets: &[u8]) -> usize {
    for at in memchr::memchr_iter(b'\n', octets) {
        if !matches!(octets.get(at + 1), Some(b' ' | b'\t')) {
            return at + 1;
        }
    }
    octets.len()
}

/// The value of the first field of this name, without its folds and the blanks round it.
pub fn value(header: &[u8], name: &str) -> Option<Vec<u8>> {
    let found = fields(header).find(|field| field.name.eq_ignore_ascii_case(name.as_bytes()))?;
    Some(unfolded(found.value))
}

/// A value without line ends and the blanks round it.
pub fn unfolded(value: &[u8]) -> Vec<u8> {
    let mut text: Vec<u8> = value.iter().copied().filter(|octet| !matches!(octet, b'\r' | b'\n' | 0)).collect();
    while text.last().is_some_and(u8::is_ascii_whitespace) {
        text.pop();
    }
    let start = text.iter().position(|octet| !octet.is_ascii_whitespace()).unwrap_or(text.len());
    text.drain(..start);
    text
}

/// A value with parameters: `text/plain; charset=utf-8`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parametrised {
    /// What stands before the first semicolon, without comments and blanks.
    pub value: Vec<u8>,
    /// Names and values, quotes taken off.
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Parametrised {
    /// Takes a value apart. What cannot be read as a parameter is left out.
    pub fn of(text: &[u8]) -> Self {
        let mut pieces = pieces(text).into_iter();
        let value = pieces.next().unwrap_or_default();
        let value = value.plain.into_iter().filter(|octet| !octet.is_ascii_whitespace()).collect();
        let parameters = pieces.filter_map(|piece| {
            let (name, value) = piece.name?;
            (!name.is_empty()).then_some((name, value))
        });
        Self { value, parameters: joined(parameters.collect()) }
    }

    /// The two halves of a media type, if it is one.
    pub fn media_type(&self) -> Option<(&[u8], &[u8])> {
        let slash = memchr::memchr(b'/', &self.value)?;
        let (kind, subtype) = (&self.value[..slash], &self.value[slash + 1..]);
        (!kind.is_empty() && !subtype.is_empty() && !subtype.contains(&b'/')).then_some((kind, subtype))
    }
}

/// Parameters with continuations put together (RFC 2231 3, which section 6 asks of IMAP servers): `a*0=x; a*1=y` is `a=xy`, and
/// with an encoded piece `a*`. They come last.
fn joined(parameters: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (mut whole, mut pieces) = (Vec::new(), Vec::<(Vec<u8>, bool, Vec<(usize, Vec<u8>)>)>::new());
    for (name, value) in parameters {
        let Some((base, place, encoded)) = continuation(&name) else {
            whole.push((name, value));
            continue;
        };
        match pieces.iter_mut().find(|(known, ..)| known.eq_ignore_ascii_case(base)) {
            Some((_, any_encoded, values)) => {
                *any_encoded |= encoded;
                values.push((place, value));
            }
            None => pieces.push((base.to_vec(), encoded, vec![(place, value)])),
        }
    }
    for (mut name, encoded, mut values) in pieces {
        values.sort_by_key(|(place, _)| *place);
        if encoded {
            name.push(b'*');
        }
        whole.push((name, values.into_iter().flat_map(|(_, value)| value).collect()));
    }
    whole
}

/// `name*1` and `name*1*`: the name, the place, and whether the piece is encoded.
fn continuation(name: &[u8]) -> Option<(&[u8], usize, bool)> {
    let (rest, encoded) = name.strip_suffix(b"*").map_or((name, false), |rest| (rest, true));
    let star = memchr::memrchr(b'*', rest)?;
    let place = std::str::from_utf8(&rest[star + 1..]).ok()?.parse().ok()?;
    Some((&rest[..star], place, encoded))
}

/// What stands between two semicolons.
#[derive(Debug, Default)]
struct Piece {
    plain: Vec<u8>,
    /// Where an equals sign stood: what was before and after it.
    name: Option<(Vec<u8>, Vec<u8>)>,
}

impl Piece {
    fn push(&mut self, octet: u8) {
        match &mut self.name {
            Some((_, value)) => value.push(octet),
            None => self.plain.push(octet),
        }
    }

    fn finished(mut self, quoted: bool) -> Self {
        if let Some((name, value)) = &mut self.name {
            *name = name.trim_ascii().to_vec();
            if !quoted {
                *value = value.trim_ascii().to_vec();
            }
        }
        self
    }
}

/// Cuts at semicolons outside quotes and comments, which are taken out (RFC 2045 5.1, RFC 5322 3.2.2).
fn pieces(text: &[u8]) -> Vec<Piece> {
    let (mut found, mut piece, mut was_quoted) = (Vec::new(), Piece::default(), false);
    let mut octets = text.iter().copied();
    while let Some(octet) = octets.next() {
        match octet {
            b'"' => {
                was_quoted = true;
                while let Some(octet) = octets.next() {
                    match octet {
                        b'"' => break,
                        b'\\' => octets.next().into_iter().for_each(|octet| piece.push(octet)),
                        _ => piece.push(octet),
                    }
                }
            }
            b'(' => {
                let mut depth = 1;
                while depth > 0
                    && let Some(octet) = octets.next()
                {
                    match octet {
                        b'(' => depth += 1,
                        b')' => depth -= 1,
                        b'\\' => _ = octets.next(),
                        _ => {}
                    }
                }
            }
            b';' => {
                found.push(std::mem::take(&mut piece).finished(was_quoted));
                was_quoted = false;
            }
            b'=' if piece.name.is_none() && !found.is_empty() => {
                piece.name = Some((std::mem::take(&mut piece.plain), Vec::new()));
            }
            b'\r' | b'\n' | 0 => {}
            // Blanks round a quoted value are none of it.
            b' ' | b'\t' if piece.name.as_ref().is_some_and(|(_, value)| was_quoted || value.is_empty()) => {}
            _ => piece.push(octet),
        }
    }
    found.push(piece.finished(was_quoted));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parametrised(text: &str) -> String {
        let Parametrised { value, parameters } = Parametrised::of(text.as_bytes());
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let shown = parameters.iter().map(|(name, value)| format!("|{}={}", text(name), text(value)));
        shown.fold(text(&value), |all, one| all + &one)
    }

    #[test]
    fn fields_keep_their_folds() {
        let header = b"A: 1\r\n folded\r\nno field\r\nB : 2\r\nC:3\n\r\n";
        let found: Vec<_> = fields(header).map(|field| (field.name, field.whole)).collect();
        assert_eq!(
            found,
            [(b"A".as_slice(), b"A: 1\r\n folded\r\n".as_slice()), (b"B", b"B : 2\r\n"), (b"C", b"C:3\n")]
        );
        assert_eq!(value(header, "a").unwrap(), b"1 folded");
        assert_eq!(value(header, "d"), None);
    }

    #[test]
    fn parameters_are_taken_apart_and_not_decoded() {
        assert_eq!(parametrised("text/plain; charset=utf-8"), "text/plain|charset=utf-8");
        assert_eq!(parametrised(" Text / Plain ; a = \"b; \\\"c\" ; d=e"), "Text/Plain|a=b; \"c|d=e");
        assert_eq!(parametrised("a/b (comment; x=y); z*=utf-8''%20"), "a/b|z*=utf-8''%20");
        assert_eq!(parametrised("a/b; z*1=d; z*0=c; y=1"), "a/b|y=1|z=cd", "RFC 2231 3");
        assert_eq!(parametrised("a/b; z*0*=utf-8''%20; z*1=e"), "a/b|z*=utf-8''%20e");
        assert_eq!(parametrised("multipart/mixed; boundary"), "multipart/mixed");
        assert_eq!(parametrised(""), "");
        assert_eq!(Parametrised::of(b"text").media_type(), None);
    }
}
