//! Bounds as checks say them: `>= 64 KiB` is "at least 64 KiB".

use crate::{
    lab::exercise::{Bound, Comparison},
    words::{Arg, Phrase, phrase},
};

/// A bound on a number of pieces.
pub fn pieces(bound: Bound) -> Phrase {
    than(bound, bound.value.into())
}

/// A bound on octets; a round number has its unit.
pub fn octets(bound: Bound) -> Phrase {
    let amount = match bound.value {
        value @ 1.. if value.is_multiple_of(1 << 20) => format!("{} MiB", value >> 20).into(),
        value @ 1.. if value.is_multiple_of(1 << 10) => format!("{} KiB", value >> 10).into(),
        value => phrase("octets").with("count", value).into(),
    };
    than(bound, amount)
}

fn than(bound: Bound, amount: Arg) -> Phrase {
    let phrase = match bound.than {
        Comparison::Less => phrase("bound-less"),
        Comparison::AtMost => phrase("bound-at-most"),
        Comparison::Equal => phrase("bound-equal"),
        Comparison::AtLeast => phrase("bound-at-least"),
        Comparison::More => phrase("bound-more"),
    };
    phrase.with("amount", amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Words;

    #[test]
    fn a_bound_is_said_and_not_written() {
        let said = |phrase: Phrase| Words::default().say(&phrase);
        let bound = |text: &str| text.parse::<Bound>().unwrap();
        assert_eq!(said(octets(bound(">= 64 KiB"))), "at least 64 KiB");
        assert_eq!(said(octets(bound("< 2 MiB"))), "fewer than 2 MiB");
        assert_eq!(said(octets(bound("<= 1000"))), "at most 1000 octets");
        assert_eq!(said(octets(bound("= 1"))), "1 octet");
        assert_eq!(said(octets(bound("= 0"))), "0 octets");
        assert_eq!(said(pieces(bound("> 1024"))), "more than 1024");
    }
}
