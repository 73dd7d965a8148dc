//! Events as people and programs read them, one at a time. Pure.

use std::fmt::Write as _;

use crate::evidence::Timestamp;

/// `text` with control characters made visible (`\r`, `\n`, `\t`, `\x1b`), and what reorders or hides text (`\u{202e}`), so that
/// nothing that a client sent can steer the terminal it is shown on. A backslash stays one: what was typed is shown as typed.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\0'..='\x1f' | '\x7f' => {
                let _ = write!(out, "\\x{:02x}", u32::from(letter));
            }
            '\u{80}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(letter));
            }
            _ => out.push(letter),
        }
    }
    out
}

/// `10:32:05`, so many seconds east of UTC.
pub fn time_of_day(at: Timestamp, utc_offset_secs: i32) -> String {
    let secs = (at.0.div_euclid(1_000_000) + i64::from(utc_offset_secs)).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", secs / 3_600, secs / 60 % 60, secs % 60)
}
