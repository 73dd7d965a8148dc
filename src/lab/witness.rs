//! Checks of what no connection of the student shows by itself: names that the student asked for, and what became of mail that
//! the student handed in for other servers. Values only; judging is `crate::marking`.

use super::exercise::Pattern;

/// The record types that checks and solutions speak of (RFC 1035 3.2.2, RFC 3596 2.1, RFC 2782).
pub const RECORDS: [&str; 10] = ["A", "AAAA", "ANY", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"];

/// The student asked the group's server for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryCheck {
    /// A pattern for the name, without its final dot.
    pub name: Option<Pattern>,
    /// The record types that will do, of [`RECORDS`]; none: any.
    pub records: Vec<String>,
    /// What was answered.
    pub answer: Answer,
    /// How many such queries there must be (1 by default).
    pub times: u32,
}

/// What a query was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// There are such records.
    NoError,
    /// There is the name, but no such record (RFC 2308 2.2).
    NoData,
    /// There is no such name (RFC 2308 2.1).
    NxDomain,
    /// The server does not answer this.
    Refused,
}

impl Answer {
    /// Every answer.
    pub const ALL: [Self; 4] = [Self::NoError, Self::NoData, Self::NxDomain, Self::Refused];

    /// As the lab file writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoError => "NOERROR",
            Self::NoData => "NODATA",
            Self::NxDomain => "NXDOMAIN",
            Self::Refused => "REFUSED",
        }
    }

    /// The answer that the record tells of; none for one that no check can ask for.
    pub fn of(code: &str, records: u32) -> Option<Self> {
        let answer = Self::ALL.into_iter().find(|answer| answer.as_str() == code)?;
        Some(if answer == Self::NoError && records == 0 { Self::NoData } else { answer })
    }
}

/// What became of a message that the student handed in for another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedCheck {
    /// What became of it.
    pub fate: Fate,
    /// A pattern for one of the recipients that it became of.
    pub to: Option<Pattern>,
    /// A pattern for the enhanced status code with which it came back (RFC 3463).
    pub status: Option<Pattern>,
    /// How many such messages there must be (1 by default).
    pub times: u32,
}

/// What becomes of a message for another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It waits for its first try.
    Queued,
    /// A try failed, and there will be another.
    Deferred,
    /// The other server took it.
    Relayed,
    /// It could not be delivered.
    Bounced,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_such_records_is_no_data() {
        assert_eq!(Answer::of("NOERROR", 1), Some(Answer::NoError));
        assert_eq!(Answer::of("NOERROR", 0), Some(Answer::NoData));
        assert_eq!(Answer::of("NXDOMAIN", 0), Some(Answer::NxDomain));
        assert_eq!(Answer::of("FAILED", 0), None);
    }
}
