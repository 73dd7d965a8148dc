//! The numbers of what a server keeps, and the time it keeps them with: each is its own type, so that none is taken for another.

use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The time of day, so many seconds east of UTC: `10:42:03`.
    pub fn of_day(self, utc_offset_secs: i32) -> String {
        let secs = (self.0.div_euclid(1_000_000) + i64::from(utc_offset_secs)).rem_euclid(86_400);
        format!("{:02}:{:02}:{:02}", secs / 3_600, secs / 60 % 60, secs % 60)
    }
}

/// The number of an event in its server's record: 1, 2, 3 … One that is missing means a damaged record, unless a tombstone says
/// that compaction took it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// The number of a connection in its server's record, never used twice; 0 where an event belongs to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Conn(pub u64);

/// The number of a stored message, never used twice in one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(pub u64);

/// The number of a message in its mailbox, rising, never used twice (RFC 9051 2.3.1.1; POP3's UIDL is made from it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uid(pub u64);
