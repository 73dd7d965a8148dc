//! Bounds on numbers, and sizes as they are written.

use std::{fmt, str::FromStr};

/// A bound on a number: `>= 64 KiB`, `= 0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The comparison.
    pub than: Comparison,
    /// The number, in octets or pieces.
    pub value: u64,
}

/// How a number is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `=`
    Equal,
    /// `>=`
    AtLeast,
    /// `>`
    More,
}

impl Bound {
    /// Whether `number` keeps the bound.
    pub fn holds(self, number: u64) -> bool {
        match self.than {
            Comparison::Less => number < self.value,
            Comparison::AtMost => number <= self.value,
            Comparison::Equal => number == self.value,
            Comparison::AtLeast => number >= self.value,
            Comparison::More => number > self.value,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.than {
            Comparison::Less => "<",
            Comparison::AtMost => "<=",
            Comparison::Equal => "=",
            Comparison::AtLeast => ">=",
            Comparison::More => ">",
        };
        write!(out, "{sign} {}", self.value)
    }
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let signs = [
            ("<=", Comparison::AtMost),
            (">=", Comparison::AtLeast),
            ("<", Comparison::Less),
            (">", Comparison::More),
            ("=", Comparison::Equal),
        ];
        let found = signs.iter().find_map(|(sign, than)| text.strip_prefix(sign).map(|rest| (*than, rest)));
        let (than, rest) = found.unwrap_or((Comparison::Equal, text));
        Ok(Self { than, value: octets(rest)? })
    }
}

/// A number of octets: `4096`, `64 KiB`, `10 MiB`, `1 kB`.
pub fn octets(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let cut = text.find(|c: char| !(c.is_ascii_digit() || c == '_')).unwrap_or(text.len());
    let (digits, unit) = (text[..cut].replace('_', ""), text[cut..].trim());
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is no size"))?;
    let scale = match unit {
        "" | "B" => 1,
        "kB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        other => {
            return Err(format!("`{other}` is no unit: use B, kB, KiB, MB, MiB or GiB"));
        }
    };
    number.checked_mul(scale).ok_or_else(|| format!("`{text}` is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_reads_units_and_signs() {
        let bound: Bound = ">= 64 KiB".parse().unwrap();
        assert!(bound.holds(65_536) && !bound.holds(65_535));
        assert!("0".parse::<Bound>().unwrap().holds(0));
        assert!("< 1 parsec".parse::<Bound>().is_err());
        assert!("99999999999999999999".parse::<Bound>().is_err());
        assert!("20000000000 GiB".parse::<Bound>().is_err());
    }
}
