//! Modified UTF-7 (RFC 3501 5.1.3): how folder names beyond ASCII are written on the wire until IMAP4rev2 is enabled.

use std::borrow::Cow;

use base64::{
    Engine as _,
    alphabet::Alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

/// Base64 with a comma for the slash and without padding.
const MODIFIED: GeneralPurpose = GeneralPurpose::new(
    &match Alphabet::new("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,") {
        Ok(alphabet) => alphabet,
        Err(_) => panic!("64 different characters"),
    },
    GeneralPurposeConfig::new().with_encode_padding(false).with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// What a text in modified UTF-7 says; none where it is none. Text beyond ASCII is taken as it stands, because many programs send it.
pub fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('&') || !text.is_ascii() {
        return Some(text.into());
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let (shifted, after) = rest[at + 1..].split_once('-')?;
        if shifted.is_empty() {
            out.push('&');
        } else {
            let octets = MODIFIED.decode(shifted).ok()?;
            let units = octets.chunks_exact(2);
            if !units.remainder().is_empty() {
                return None;
            }
            let units = units.map(|unit| u16::from_be_bytes([unit[0], unit[1]]));
            out.extend(char::decode_utf16(units).collect::<Result<Vec<char>, _>>().ok()?);
        }
        rest = after;
    }
    out.push_str(rest);
    Some(out.into())
}

/// A text in modified UTF-7.
pub fn encoded(text: &str) -> Cow<'_, str> {
    let plain = |letter: char| matches!(letter, ' '..='~');
    if text.chars().all(|letter| plain(letter) && letter != '&') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        if plain(letter) {
            out.push(letter);
            if letter == '&' {
                out.push('-');
            }
            rest = &rest[1..];
            continue;
        }
        let end = rest.find(plain).unwrap_or(rest.len());
        let octets: Vec<u8> = rest[..end].encode_utf16().flat_map(u16::to_be_bytes).collect();
        out.push('&');
        out.push_str(&MODIFIED.encode(octets));
        out.push('-');
        rest = &rest[end..];
    }
    out.into()
}
