//! Sets of message numbers and UIDs: `1,3:5,7:*` and `$` (RFC 9051 9, sequence-set; RFC 5182).

use std::fmt::Write as _;

use super::syntax::{Cursor, Read};

/// A set as a client writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Set {
    /// Ranges; `*` is none.
    Ranges(Vec<(Option<u32>, Option<u32>)>),
    /// `$`: what the last SEARCH with SAVE found.
    Saved,
}

impl Set {
    /// Reads a set.
    pub fn read(cursor: &mut Cursor<'_>) -> Read<Self> {
        if cursor.take(b'$') {
            return Ok(Self::Saved);
        }
        let mut ranges = Vec::new();
        loop {
            let first = bound(cursor)?;
            let last = if cursor.take(b':') { bound(cursor)? } else { first };
            ranges.push((first, last));
            if !cursor.take(b',') {
                return Ok(Self::Ranges(ranges));
            }
        }
    }

    /// The ranges in order, apart from each other, `*` being `highest`; none for `$`. `4:2` is `2:4` (RFC 9051 9, seq-range).
    pub fn resolved(&self, highest: u32) -> Option<Ranges> {
        let Self::Ranges(ranges) = self else { return None };
        let number = |bound: Option<u32>| bound.unwrap_or(highest);
        let ordered = ranges.iter().map(|(one, other)| {
            let (one, other) = (number(*one), number(*other));
            (one.min(other), one.max(other))
        });
        Some(Ranges::of(ordered.collect()))
    }
}

fn bound(cursor: &mut Cursor<'_>) -> Read<Option<u32>> {
    if cursor.take(b'*') {
        return Ok(None);
    }
    let before = cursor.clone();
    match cursor.number("message numbers such as 1, 2:4, 7:* or a mix with commas")? {
        0 => Err(before.fault("a number from 1 on")),
        number => Ok(Some(number)),
    }
}

/// Numbers in rising ranges that neither touch nor overlap.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ranges(Vec<(u32, u32)>);

impl Ranges {
    /// Puts ranges in order and together.
    fn of(mut ranges: Vec<(u32, u32)>) -> Self {
        ranges.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
                Some(_) | None => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    /// Whether a number is in it.
    pub fn contains(&self, number: u32) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        after > 0 && self.0[after - 1].1 >= number
    }

    /// The ranges.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<u32> for Ranges {
    fn from_iter<T: IntoIterator<Item = u32>>(numbers: T) -> Self {
        Self::of(numbers.into_iter().map(|number| (number, number)).collect())
    }
}

/// Ranges as a set.
pub fn ranges(ranges: &[(u32, u32)]) -> String {
    let one = |(first, last): &(u32, u32)| if first == last { first.to_string() } else { format!("{first}:{last}") };
    ranges.iter().map(one).collect::<Vec<_>>().join(",")
}

/// Numbers as a set, runs as ranges, in the order given: `1:3,7`. Pairs such as COPYUID's keep their order (RFC 4315 3).
pub fn written(numbers: impl IntoIterator<Item = u32>) -> String {
    let mut text = String::new();
    let mut run: Option<(u32, u32)> = None;
    let finish = |run: Option<(u32, u32)>, text: &mut String| {
        let Some((first, last)) = run else { return };
        let comma = if text.is_empty() { "" } else { "," };
        let _ = if first == last { write!(text, "{comma}{first}") } else { write!(text, "{comma}{first}:{last}") };
    };
    for number in numbers {
        run = match run {
            Some((first, last)) if last.checked_add(1) == Some(number) => Some((first, number)),
            before => {
                finish(before, &mut text);
                Some((number, number))
            }
        };
    }
    finish(run, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(text: &str) -> Option<Set> {
        let mut cursor = Cursor::new(text.as_bytes());
        Set::read(&mut cursor).ok().filter(|_| cursor.is_end())
    }

    fn resolved(text: &str, highest: u32) -> Vec<(u32, u32)> {
        set(text).unwrap().resolved(highest).unwrap().iter().collect()
    }

    #[test]
    fn sets_are_put_in_order() {
        assert_eq!(resolved("5,1:3,2:4,9:7", 20), [(1, 5), (7, 9)]);
        assert_eq!(resolved("7:*", 5), [(5, 7)], "the star may be lower (RFC 9051 9)");
        assert_eq!(resolved("*", 5), [(5, 5)]);
        assert_eq!(set("$"), Some(Set::Saved));
        for wrong in ["", "0", "1:", "1,,2", "a", "1:0", "-1", "4294967296"] {
            assert_eq!(set(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn runs_are_written_as_ranges() {
        assert_eq!(written([1, 2, 3, 7, 9, 10]), "1:3,7,9:10");
        assert_eq!(written([3, 2]), "3,2");
        assert_eq!(written([]), "");
    }

    proptest! {
        #[test]
        fn a_set_holds_what_was_written_into_it(numbers in proptest::collection::btree_set(1..60_u32, 1..30)) {
            let ranges = set(&written(numbers.iter().copied())).unwrap().resolved(99).unwrap();
            for number in 0..70 {
                prop_assert_eq!(ranges.contains(number), numbers.contains(&number));
            }
        }
    }
}
