//! Transfer encodings taken off piece by piece (RFC 2045 6.7, 6.8), however the pieces are cut.

/// How a part's body is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 2045 6.8.
    Base64,
    /// RFC 2045 6.7.
    QuotedPrintable,
}

/// The longest white space that may turn out to end a line, in octets: a line of text has no more (RFC 5321 4.5.3.1.6).
const BLANKS: usize = 1_000;

/// Takes an encoding off.
#[derive(Debug, Clone)]
pub struct Decoder {
    encoding: Encoding,
    /// What cannot be decoded before more has come: sextets of base64, or the end of a line of quoted-printable.
    open: Vec<u8>,
    sound: bool,
}

impl Decoder {
    /// Nothing decoded yet.
    pub const fn new(encoding: Encoding) -> Self {
        Self { encoding, open: Vec::new(), sound: true }
    }

    /// What it takes off.
    pub const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Appends what these octets stand for, as far as that is clear already.
    pub fn write(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        match self.encoding {
            Encoding::Base64 => octets.iter().for_each(|octet| self.sextet(*octet, out)),
            Encoding::QuotedPrintable => octets.iter().for_each(|octet| self.quoted(*octet, out)),
        }
    }

    /// Appends what is left at the end. Whether all of it was in the encoding.
    pub fn end(mut self, out: &mut Vec<u8>) -> bool {
        match self.encoding {
            // Padding may be missing; one sextet alone stands for nothing.
            Encoding::Base64 => self.sound && self.open.len() != 1 && self.flush(out),
            Encoding::QuotedPrintable => {
                let open = std::mem::take(&mut self.open);
                // A soft line break may be the last thing of all.
                if open.first() != Some(&b'=') {
                    out.extend(open.iter().filter(|octet| !matches!(octet, b' ' | b'\t')));
                } else if open.iter().skip(1).any(|octet| !octet.is_ascii_whitespace()) {
                    self.sound = false;
                }
                self.sound
            }
        }
    }

    fn sextet(&mut self, octet: u8, out: &mut Vec<u8>) {
        let value = match octet {
            b'A'..=b'Z' => octet - b'A',
            b'a'..=b'z' => octet - b'a' + 26,
            b'0'..=b'9' => octet - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                // The padding ends the content, or the stretch of it that was encoded by itself.
                self.sound &= self.open.len() != 1;
                self.flush(out);
                return;
            }
            _ if octet.is_ascii_whitespace() => return,
            // RFC 2045 6.8 lets a decoder pass over what is not of the alphabet; a body full of it is something else.
            _ => {
                self.sound = false;
                return;
            }
        };
        self.open.push(value);
        if self.open.len() == 4 {
            self.flush(out);
        }
    }

    /// Writes the octets of the sextets that wait.
    fn flush(&mut self, out: &mut Vec<u8>) -> bool {
        let bits = self.open.iter().fold(0_u32, |bits, sextet| bits << 6 | u32::from(*sextet));
        let count = self.open.len();
        let [_, first, second, third] = (bits << (6 * (4 - count.min(4)))).to_be_bytes();
        out.extend_from_slice(&[first, second, third][..(count * 6 / 8).min(3)]);
        self.open.clear();
        true
    }

    fn quoted(&mut self, octet: u8, out: &mut Vec<u8>) {
        if self.open.len() > BLANKS {
            out.append(&mut self.open);
        }
        match (self.open.as_slice(), octet) {
            // `=` and what stands behind it on its line.
            ([b'=', rest @ ..], b'\n') if rest.iter().all(u8::is_ascii_whitespace) => self.open.clear(),
            ([b'='] | [b'=', b' ' | b'\t' | b'\r', ..], b' ' | b'\t' | b'\r') => {
                self.open.push(octet);
            }
            ([b'='], _) if octet.is_ascii_hexdigit() => self.open.push(octet),
            ([b'=', first], _) if first.is_ascii_hexdigit() && octet.is_ascii_hexdigit() => {
                let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                out.push(digit(*first).unwrap_or(0) << 4 | digit(octet).unwrap_or(0));
                self.open.clear();
            }
            ([b'=', ..], _) => {
                // No encoding at all: it stands for itself.
                self.sound = false;
                out.append(&mut self.open);
                self.quoted(octet, out);
            }
            // White space at the end of a line was put there on the way (RFC 2045 6.7, rule 3).
            (_, b' ' | b'\t') => self.open.push(octet),
            (_, b'\r') => {
                self.open.retain(|octet| !matches!(octet, b' ' | b'\t'));
                out.append(&mut self.open);
                out.push(octet);
            }
            (_, b'\n') => {
                self.open.clear();
                out.push(octet);
            }
            (_, b'=') => {
                out.append(&mut self.open);
                self.open.push(octet);
            }
            (_, _) => {
                out.append(&mut self.open);
                out.push(octet);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use proptest::prelude::*;

    use super::*;

    fn decoded(encoding: Encoding, octets: &[u8], step: usize) -> Option<Vec<u8>> {
        let (mut decoder, mut out) = (Decoder::new(encoding), Vec::new());
        octets.chunks(step).for_each(|piece| decoder.write(piece, &mut out));
        decoder.end(&mut out).then_some(out)
    }

    #[test]
    fn quoted_printable_is_that_of_rfc_2045() {
        for (encoded, wanted) in [
            ("a=3Db=\r\nc=  \r\nd\r\n", Some("a=bcd\r\n")),
            ("blanks  \t\r\nat the end  ", Some("blanks\r\nat the end")),
            ("caf=C3=a9 =E2=82=AC=", Some("café €")),
            ("a =\r\n b", Some("a  b")),
            ("1 = 2", None),
            ("=4", None),
        ] {
            let text = decoded(Encoding::QuotedPrintable, encoded.as_bytes(), 64);
            assert_eq!(text.map(|text| String::from_utf8(text).unwrap()).as_deref(), wanted, "{encoded}");
        }
    }

    #[test]
    fn base64_may_lack_its_padding_and_nothing_else() {
        let text = |encoded: &str| decoded(Encoding::Base64, encoded.as_bytes(), 64);
        assert_eq!(text("PGI+\r\n").as_deref(), Some(b"<b>".as_slice()));
        assert_eq!(
            [text("YQ=="), text("YQ"), text("YWI=\r\n")].map(Option::unwrap),
            [b"a".to_vec(), b"a".to_vec(), b"ab".to_vec()]
        );
        assert_eq!((text("YQ==YQ=="), text("")), (Some(b"aa".to_vec()), Some(Vec::new())));
        assert_eq!((text("Y"), text("Y!Q=")), (None, None));
    }

    proptest! {
        #[test]
        fn however_octets_are_cut_the_same_comes_out(
            octets in proptest::collection::vec(prop_oneof![Just(b'='), Just(b'\r'), Just(b'\n'), Just(b' '), Just(b'3'), Just(b'D')], 0..40),
            step in 1..6_usize,
            encoding in prop_oneof![Just(Encoding::Base64), Just(Encoding::QuotedPrintable)],
        ) {
            prop_assert_eq!(decoded(encoding, &octets, step), decoded(encoding, &octets, 64));
        }

        #[test]
        fn what_was_encoded_comes_back(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
            let encoded = base64::engine::general_purpose::STANDARD.encode(&octets);
            prop_assert_eq!(decoded(Encoding::Base64, encoded.as_bytes(), 7), Some(octets));
        }
    }
}
