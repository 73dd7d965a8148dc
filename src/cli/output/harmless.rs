//! Text on its way to a terminal, a pipe or a file, with nothing in it that acts there: control characters, C1 ones too, and
//! what reorders or hides text are shown instead.

use std::borrow::Cow;

use crate::trace::{is_harmful, visible};

/// Whether colours and weights (ECMA-48 8.3.117) stand in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Styles {
    /// None is ours.
    None,
    /// Some are: what was shown in them was made visible before.
    Kept,
}

/// The text with what acts made visible. Lines and columns stay: the ends of lines, as they stand or as CSV has them, and tabs.
pub(super) fn harmless(text: &str, styles: Styles) -> Cow<'_, str> {
    if !text.contains(|letter| is_harmful(letter) && !"\n\t".contains(letter)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let kept = match letter {
            '\n' | '\t' => 1,
            '\r' if rest[1..].starts_with('\n') => 2,
            '\x1b' if styles == Styles::Kept => style(rest),
            _ if is_harmful(letter) => 0,
            _ => letter.len_utf8(),
        };
        let taken = if kept == 0 { letter.len_utf8() } else { kept };
        match kept {
            0 => out.push_str(&visible(&rest[..taken])),
            _ => out.push_str(&rest[..taken]),
        }
        rest = &rest[taken..];
    }
    Cow::Owned(out)
}

/// The octets of the style that the text begins with; 0 where it is another sequence.
fn style(text: &str) -> usize {
    let Some(parameters) = text.strip_prefix("\x1b[") else { return 0 };
    let length = parameters.bytes().take_while(|octet| octet.is_ascii_digit() || *octet == b';').count();
    if parameters[length..].starts_with('m') { length + 3 } else { 0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_shown_and_lines_stay() {
        let evil = "a\x1b[2Jb\x1b]52;c;eA==\x07\u{9b}31m\u{202e}c\rd\r\n\te\n";
        let shown = "a\\x1b[2Jb\\x1b]52;c;eA==\\x07\\u{9b}31m\\u{202e}c\\rd\r\n\te\n";
        assert_eq!(harmless(evil, Styles::None), shown);
        assert_eq!(harmless(evil, Styles::Kept), shown, "these are no styles");
        assert_eq!(harmless("práctica 2 ñ €\n", Styles::None), "práctica 2 ñ €\n");
    }

    #[test]
    fn styles_stay_where_they_are_ours() {
        let styled = "\x1b[1m\x1b[38;5;12mred\x1b[0m\x1b[m";
        assert_eq!(harmless(styled, Styles::Kept), styled);
        assert!(!harmless(styled, Styles::None).contains('\x1b'));
        assert_eq!(harmless("\x1b[1", Styles::Kept), "\\x1b[1", "it has no end");
    }

    proptest! {
        #[test]
        fn nothing_that_acts_is_left(text in any::<String>()) {
            let acts = |letter: char| is_harmful(letter) && !"\n\t".contains(letter);
            prop_assert!(!harmless(&text, Styles::None).replace("\r\n", "\n").chars().any(acts));
            prop_assert!(!harmless(&text, Styles::Kept).replace("\r\n", "\n").chars().any(|letter| acts(letter) && letter != '\x1b'));
        }
    }
}
