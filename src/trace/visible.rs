//! Text that a client sent, made harmless for the terminal it is shown on.

use std::fmt::Write as _;

/// `text` with control characters made visible (`\r`, `\n`, `\t`, `\x1b`), and with them what reorders or hides text
/// (`\u{202e}`). A backslash stays one: what was typed is shown as typed.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            _ if !is_harmful(letter) => out.push(letter),
            '\0'..='\x7f' => {
                let _ = write!(out, "\\x{:02x}", u32::from(letter));
            }
            _ => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(letter));
            }
        }
    }
    out
}

/// JSON text on one line with what could steer a terminal written as escapes: such characters stand only in its strings.
pub fn json_visible(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut copied = 0;
    for (at, letter) in json.match_indices(is_harmful) {
        out.push_str(&json[copied..at]);
        for unit in letter.encode_utf16() {
            let _ = write!(out, "\\u{unit:04x}");
        }
        copied = at + letter.len();
    }
    out + &json[copied..]
}

/// Whether it acts on a terminal: C0 and C1 controls, and the format characters that change direction, join or take no room.
pub fn is_harmful(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_instead() {
        assert_eq!(visible("a\x1b[2Jb\r\n\t\0\x7f"), "a\\x1b[2Jb\\r\\n\\t\\x00\\x7f");
        assert_eq!(visible("\u{9b}31m\u{202e}x"), "\\u{9b}31m\\u{202e}x");
        assert_eq!(visible("práctica 2 \\ ñ €"), "práctica 2 \\ ñ €");
    }

    proptest! {
        #[test]
        fn nothing_harmful_is_left(text in any::<String>()) {
            prop_assert!(!visible(&text).chars().any(is_harmful));
            let json = serde_json::to_string(&text).unwrap();
            let shown = json_visible(&json);
            prop_assert!(!shown.chars().any(is_harmful));
            prop_assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        }
    }
}
