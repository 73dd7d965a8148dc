//! What is left of a Subject without what replying and forwarding add to it: the base subject of RFC 5256 2.1.

/// A base subject.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BaseSubject {
    /// What is left, in upper case, since it is there to be compared.
    pub text: String,
    /// Whether something was taken off that says it is a reply or a forwarded message.
    pub reply: bool,
}

impl BaseSubject {
    /// The base of a subject whose encoded words are decoded.
    pub fn of(subject: &str) -> Self {
        let whole = subject.split_whitespace().collect::<Vec<_>>().join(" ").to_uppercase();
        let (mut text, mut reply) = (whole.as_str(), false);
        loop {
            while let Some(rest) = text.strip_suffix("(FWD)").or_else(|| text.strip_suffix(' ')) {
                reply |= text.ends_with(')');
                text = rest;
            }
            loop {
                if let Some(rest) = without_leader(text) {
                    reply = true;
                    text = rest;
                } else if let Some(rest) = without_blob(text).filter(|rest| !rest.is_empty()) {
                    text = rest;
                } else if let Some(rest) = text.strip_prefix(' ') {
                    text = rest;
                } else {
                    break;
                }
            }
            match text.strip_prefix("[FWD:").and_then(|rest| rest.strip_suffix(']')) {
                Some(inside) => {
                    reply = true;
                    text = inside;
                }
                None => return Self { text: text.to_owned(), reply },
            }
        }
    }
}

/// What follows `RE:`, `FW:` or `FWD:`, with any number of blobs before it and one before its colon.
fn without_leader(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(after) = without_blob(rest) {
        rest = after;
    }
    let word = ["RE", "FWD", "FW"].into_iter().find_map(|word| rest.strip_prefix(word))?.trim_start();
    without_blob(word).unwrap_or(word).strip_prefix(':')
}

/// What follows `[something]` and the blanks behind it.
fn without_blob(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('[')?;
    let end = inside.find(['[', ']'])?;
    inside[end..].strip_prefix(']').map(str::trim_start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_replies_and_forwarding_add_is_taken_off() {
        for (subject, base, reply) in [
            ("Práctica 2", "PRÁCTICA 2", false),
            ("  two \t words ", "TWO WORDS", false),
            ("Re: x", "X", true),
            ("re [list]: Fwd: x (fwd) (FWD) ", "X", true),
            ("[list] RE: x", "X", true),
            ("[list] x", "X", false),
            ("[list]", "[LIST]", false),
            ("[a] [b]", "[B]", false),
            ("[fwd: Re: x]", "X", true),
            ("Re:", "", true),
            ("(fwd)", "", true),
            ("Recall: x", "RECALL: x", false),
            ("fw : x", "X", true),
            ("[open x", "[OPEN X", false),
            ("", "", false),
        ] {
            let expected = BaseSubject { text: base.to_uppercase(), reply };
            assert_eq!(BaseSubject::of(subject), expected, "{subject:?}");
        }
    }

    proptest! {
        #[test]
        fn a_base_has_itself_as_base(subject in "(re|fwd|:|\\[|\\]|\\(fwd\\)| |x){0,12}") {
            let base = BaseSubject::of(&subject).text;
            prop_assert_eq!(&BaseSubject::of(&base).text, &base);
        }
    }
}
