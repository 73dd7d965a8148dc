//! Patterns with `*`: matched in linear time, letters in either case. Text is folded once ([`fold`]) and matched many times.

use std::sync::Arc;

use memchr::memmem::Finder;

use crate::lab::{exercise::Pattern, template::Person};

/// A compiled pattern: what stands between its stars, folded.
#[derive(Debug, Clone)]
pub struct Glob {
    /// What the text must start with; the whole text where there is no star.
    first: Box<[u8]>,
    /// What must follow in this order, anywhere.
    middle: Box<[Finder<'static>]>,
    /// What the text must end with; none where there is no star.
    last: Option<Box<[u8]>>,
    /// The domains any of which may stand where the pattern has [`HOLE`].
    domains: Option<Arc<[Box<[u8]>]>>,
}

/// Stands in a pattern for one of several domains; no text that is matched has it.
const HOLE: &str = "\u{1}";

impl Glob {
    /// Compiles a pattern whose placeholders are filled in.
    pub fn new(pattern: &str) -> Self {
        let folded = folded(pattern);
        let mut parts = folded.split(|octet| *octet == b'*');
        let first = parts.next().unwrap_or_default().into();
        let mut rest: Vec<&[u8]> = parts.collect();
        let last = rest.pop().map(Box::from);
        let middle = rest.into_iter().filter(|part| !part.is_empty()).map(|part| Finder::new(part).into_owned());
        Self { first, middle: middle.collect(), last, domains: None }
    }

    /// Whether it matches all of `text`, which [`fold`] has folded.
    pub fn matches_folded(&self, text: &[u8]) -> bool {
        let Some(domains) = &self.domains else { return self.matches_whole(text) };
        domains.iter().any(|domain| {
            memchr::memmem::find(text, domain).is_some_and(|at| {
                let (before, after) = (&text[..at], &text[at + domain.len()..]);
                self.matches_whole(&[before, HOLE.as_bytes(), after].concat())
            })
        })
    }

    fn matches_whole(&self, text: &[u8]) -> bool {
        let Some(last) = &self.last else {
            return *text == *self.first;
        };
        let Some(mut rest) = text.strip_prefix(&*self.first) else {
            return false;
        };
        // The leftmost place for each part leaves the most room for those after it, so nothing is ever tried twice.
        for part in &self.middle {
            let Some(at) = part.find(rest) else {
                return false;
            };
            rest = &rest[at + part.needle().len()..];
        }
        rest.ends_with(last)
    }

    /// Whether it matches all of `text`.
    pub fn matches(&self, text: &str) -> bool {
        self.matches_folded(&folded(text))
    }
}

/// Appends `text` to `out` with its letters in lower case, character by character.
pub fn fold(text: &str, out: &mut Vec<u8>) {
    if text.is_ascii() {
        let start = out.len();
        out.extend_from_slice(text.as_bytes());
        out[start..].make_ascii_lowercase();
        return;
    }
    let mut buffer = [0; 4];
    for letter in text.chars().flat_map(char::to_lowercase) {
        out.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes());
    }
}

/// `text` with its letters in lower case.
pub fn folded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    fold(text, &mut out);
    out
}

/// A pattern of the lab: the same for everybody, or filled in for each student of the group.
#[derive(Debug, Clone)]
pub enum Filled {
    /// Without placeholders.
    Same(Glob),
    /// By the student's place in the group.
    Each(Box<[Glob]>),
}

impl Filled {
    /// Fills in a pattern for these people.
    pub fn new(pattern: &Pattern, people: &[Person<'_>]) -> Self {
        let neighbour = "{neighbour}";
        if let Some(person) = people.first().filter(|person| person.lab.settings.any_neighbour)
            && pattern.0.contains(neighbour)
        {
            let others = person.lab.groups.iter().filter(|group| group.name != person.group.name);
            let domains: Arc<[Box<[u8]>]> = others.map(|group| folded(group.domain.as_str()).into()).collect();
            let template = pattern.0.replace(neighbour, HOLE);
            let filled = |person: &Person<'_>| Glob {
                domains: Some(Arc::clone(&domains)),
                ..Glob::new(&person.fill(&template))
            };
            return Self::Each(people.iter().map(filled).collect());
        }
        if pattern.is_template() {
            Self::Each(people.iter().map(|person| Glob::new(&person.fill(&pattern.0))).collect())
        } else {
            Self::Same(Glob::new(&pattern.0))
        }
    }

    /// The pattern for this student.
    pub fn of(&self, student: usize) -> &Glob {
        match self {
            Self::Same(glob) => glob,
            Self::Each(globs) => &globs[student],
        }
    }
}

/// A mail path, folded, with its other spelling in this domain: `user1` is `user1@lib.simulacion` and the reverse.
#[derive(Debug, Default)]
pub struct Path {
    folded: Vec<u8>,
    other: Vec<u8>,
    has_other: bool,
}

impl Path {
    /// Takes another path, without brackets; the buffers are kept. `domain` is folded already.
    pub fn set(&mut self, path: &str, domain: &str) {
        self.folded.clear();
        self.other.clear();
        fold(path, &mut self.folded);
        self.has_other = match self.folded.iter().rposition(|octet| *octet == b'@') {
            None if !self.folded.is_empty() => {
                self.other.extend_from_slice(&self.folded);
                self.other.push(b'@');
                self.other.extend_from_slice(domain.as_bytes());
                true
            }
            Some(at) if &self.folded[at + 1..] == domain.as_bytes() => {
                self.other.extend_from_slice(&self.folded[..at]);
                true
            }
            None | Some(_) => false,
        };
    }

    /// Whether the pattern matches either spelling.
    pub fn matches(&self, glob: &Glob) -> bool {
        glob.matches_folded(&self.folded) || (self.has_other && glob.matches_folded(&self.other))
    }
}

/// The path in what follows MAIL or RCPT: `TO:<user2@x>`, `to: user2`, `FROM:<> SIZE=10`.
pub fn path_in(argument: &str) -> Option<&str> {
    let rest = argument.split_once(':')?.1.trim_start();
    match rest.strip_prefix('<') {
        Some(inner) => inner.split_once('>').map(|(path, _)| path),
        None => rest.split(char::is_whitespace).next(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The same by trying everything: what `matches` must equal.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|at| naive(rest, &text[at..])),
            Some((letter, rest)) => text.first() == Some(letter) && naive(rest, &text[1..]),
        }
    }

    fn lower(text: &str) -> Vec<char> {
        text.chars().flat_map(char::to_lowercase).collect()
    }

    #[test]
    fn a_pattern_without_a_star_is_the_whole_text() {
        assert!(Glob::new("user2").matches("USER2"));
        assert!(!Glob::new("user2").matches("user22"));
        assert!(!Glob::new("user2").matches("<user2>"));
        assert!(Glob::new("*user2*").matches("TO:<user2@lib.simulacion>"));
        assert!(Glob::new("*").matches("") && Glob::new("").matches("") && !Glob::new("").matches("x"));
        assert!(!Glob::new("aba*aba").matches("ababa"), "two parts may not share letters");
        assert!(Glob::new("*ÑANDÚ").matches("el ñandú"));
    }

    #[test]
    fn many_stars_take_no_longer_than_the_text() {
        let text = "a".repeat(100_000);
        assert!(!Glob::new(&"a*".repeat(500)).matches(&format!("{text}b")[1..].replace('a', "b")));
        assert!(!Glob::new(&format!("{}b", "*a".repeat(500))).matches(&text));
    }

    #[test]
    fn a_path_has_two_spellings_in_its_own_domain() {
        let matches = |pattern: &str, path: &str| {
            let mut found = Path::default();
            found.set(path, "lib.simulacion");
            found.matches(&Glob::new(pattern))
        };
        assert!(matches("user1", "user1@lib.simulacion") && matches("user1@lib.simulacion", "User1"));
        assert!(!matches("user1", "user1@elsewhere") && !matches("user1", "user11") && !matches("user1", ""));
        assert!(matches("", "") && !matches("@lib.simulacion", ""));
    }

    #[test]
    fn the_path_is_found_as_students_write_it() {
        assert_eq!(path_in("TO:<user2@x> SIZE=1"), Some("user2@x"));
        assert_eq!(path_in("FROM:  user1"), Some("user1"));
        assert_eq!(path_in("FROM:<>"), Some(""));
        assert_eq!(path_in("TO:<user2"), None);
        assert_eq!(path_in("user2"), None);
    }

    proptest! {
        #[test]
        fn equals_a_naive_matcher(pattern in "[abñ*]{0,8}", text in "[abÑAB]{0,12}") {
            prop_assert_eq!(Glob::new(&pattern).matches(&text), naive(&lower(&pattern), &lower(&text)));
        }
    }
}
