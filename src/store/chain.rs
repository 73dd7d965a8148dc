//! The chain over the events of a record, and what it shows: whether all are there, in order, as they were written. Pure: rows
//! and tombstones in, damage out.
//!
//! Each event's hash is SHA-256 over the hash before it and the event's columns ([`link`]); a commit leaves the hash of its
//! last event in that row, its seal. What compaction took out has a [`Tombstone`] instead.

use std::{collections::VecDeque, fmt};

use rusqlite::types::ValueRef;
use sha2::{Digest as _, Sha256};

use crate::evidence::ChainHash;

/// A row of the table `event` without its seal: `seq`, `time`, `conn`, then what stands behind `shape`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) seq: u64,
    pub(super) time: i64,
    pub(super) conn: i64,
    /// The hash of the shape, not its number ([`shape_hash`]).
    pub(super) shape: ChainHash,
    /// `octets`, `reply_octets`, `line`, `reply`, `detail`.
    pub(super) columns: [ValueRef<'a>; 5],
}

/// The hash at an event whose predecessor has the hash `before`. `scratch` is memory to be used again.
pub(super) fn link(before: ChainHash, row: &Row<'_>, scratch: &mut Vec<u8>) -> ChainHash {
    scratch.clear();
    scratch.extend(before.0);
    scratch.extend(row.seq.to_be_bytes());
    scratch.extend(row.time.to_be_bytes());
    scratch.extend(row.conn.to_be_bytes());
    scratch.extend(row.shape.0);
    for column in row.columns {
        add(column, scratch);
    }
    ChainHash(Sha256::digest(&scratch).into())
}

/// The hash of a shape: of its columns from `run` to `after`.
pub(super) fn shape_hash(columns: &[ValueRef<'_>; 8]) -> ChainHash {
    let mut scratch = Vec::with_capacity(128);
    for column in columns {
        add(*column, &mut scratch);
    }
    ChainHash(Sha256::digest(&scratch).into())
}

/// A column: a letter for its type; a number in eight octets, a text behind its length in eight, all with the highest first.
fn add(column: ValueRef<'_>, scratch: &mut Vec<u8>) {
    let mut octets = |letter: u8, octets: &[u8]| {
        scratch.push(letter);
        scratch.extend((octets.len() as u64).to_be_bytes());
        scratch.extend(octets);
    };
    match column {
        ValueRef::Null => scratch.push(b'-'),
        ValueRef::Integer(number) => {
            scratch.push(b'i');
            scratch.extend(number.to_be_bytes());
        }
        ValueRef::Text(text) => octets(b't', text),
        // No column holds these unless somebody meddled.
        ValueRef::Real(number) => octets(b'r', &number.to_be_bytes()),
        ValueRef::Blob(blob) => octets(b'b', blob),
    }
}

/// What compaction took out of a stretch of the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tombstone {
    /// The first event of the stretch; it is gone.
    pub(super) first: u64,
    /// The last event of the stretch.
    pub(super) last: u64,
    /// How many of them are gone.
    pub(super) count: u64,
    /// The hash before the first.
    pub(super) before: ChainHash,
    /// The hash of a chain from `before` on over those that stayed.
    pub(super) kept: ChainHash,
    /// The hash at the last, when all were there.
    pub(super) hash: ChainHash,
}

/// What does not hold in a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// The first number of which it is said.
    pub first: u64,
    /// The last one.
    pub last: u64,
    /// What is wrong with them.
    pub what: Wrong,
}

/// What is wrong with a stretch of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// They are not there, and no tombstone says why.
    Missing,
    /// Something of them was changed, moved, added or taken away after it was written.
    Altered,
    /// They were written down without the seal of a commit.
    Unsealed,
}

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last, what } = self;
        let one = first == last;
        match (what, one) {
            (Wrong::Missing, true) => write!(out, "event {first} is missing"),
            (Wrong::Missing, false) => write!(out, "events {first} to {last} are missing"),
            (Wrong::Altered, true) => write!(out, "event {first} is not as it was written"),
            (Wrong::Altered, false) => write!(out, "events {first} to {last} are not as they were written"),
            (Wrong::Unsealed, true) => write!(out, "event {first} has no seal"),
            (Wrong::Unsealed, false) => write!(out, "events {first} to {last} have no seal"),
        }
    }
}

/// Goes through a record row by row.
#[derive(Debug)]
pub(super) struct Walk {
    /// The last number that is accounted for.
    at: u64,
    /// The hash there; none where damage before it leaves only the next seal to go on from.
    hash: Option<ChainHash>,
    /// The first number that no seal and no tombstone has confirmed.
    open: u64,
    /// The stretch that the walk is in, with the chain over what stayed and how many that were.
    inside: Option<(Tombstone, ChainHash, u64)>,
    /// Those that are still to come, in order.
    tombstones: VecDeque<Tombstone>,
    scratch: Vec<u8>,
}

impl Walk {
    /// Begins behind an event with this hash. `tombstones` are those behind it, in order.
    pub(super) fn from(at: u64, hash: ChainHash, tombstones: VecDeque<Tombstone>) -> Self {
        Self { at, hash: Some(hash), open: at + 1, inside: None, tombstones, scratch: Vec::new() }
    }

    /// Takes the next row and its seal; damage that it shows is added to `found`. What is wrong with this row itself ends with
    /// its number, anything else before it.
    pub(super) fn take(&mut self, row: &Row<'_>, seal: Option<ChainHash>, found: &mut Vec<Damage>) {
        self.pass_tombstones(row.seq, found);
        if let Some((tombstone, kept, stayed)) = &mut self.inside {
            *kept = link(*kept, row, &mut self.scratch);
            *stayed += 1;
            if row.seq == tombstone.last {
                self.leave(found);
            }
            return;
        }
        self.miss(row.seq, found);
        self.at = row.seq;
        self.hash = self.hash.map(|hash| link(hash, row, &mut self.scratch));
        if let Some(seal) = seal {
            self.confirm(seal, row.seq, found);
            self.hash = Some(seal);
        }
    }

    /// The record ends here, where `last` is the highest number that it ever had as far as the store has noted.
    pub(super) fn end(&mut self, last: u64, found: &mut Vec<Damage>) {
        self.pass_tombstones(u64::MAX, found);
        if self.inside.is_some() {
            self.leave(found);
        }
        if self.hash.is_some() && self.open <= self.at {
            found.push(Damage { first: self.open, last: self.at, what: Wrong::Unsealed });
        }
        self.miss(last.saturating_add(1), found);
    }

    /// Where the walk is, with the hash there; none inside a stretch that was compacted, or behind damage.
    pub(super) fn here(&self) -> Option<(u64, ChainHash)> {
        if self.inside.is_some() { None } else { Some((self.at, self.hash?)) }
    }

    /// Passes the stretches that end before this number, and enters the one that it is in.
    fn pass_tombstones(&mut self, seq: u64, found: &mut Vec<Damage>) {
        if self.inside.as_ref().is_some_and(|(tombstone, ..)| tombstone.last < seq) {
            self.leave(found);
        }
        while let Some(tombstone) = self.tombstones.pop_front_if(|tombstone| tombstone.first <= seq) {
            self.miss(tombstone.first, found);
            if tombstone.first > 1 {
                self.confirm(tombstone.before, tombstone.first - 1, found);
            }
            self.inside = Some((tombstone, tombstone.before, 0));
            if tombstone.last >= seq {
                return;
            }
            self.leave(found);
        }
    }

    /// The end of a compacted stretch.
    fn leave(&mut self, found: &mut Vec<Damage>) {
        let Some((tombstone, kept, stayed)) = self.inside.take() else { return };
        let Tombstone { first, last, count, .. } = tombstone;
        let numbers = last.saturating_sub(first).saturating_add(1);
        if kept != tombstone.kept || stayed.saturating_add(count) != numbers {
            found.push(Damage { first, last, what: Wrong::Altered });
        }
        (self.at, self.hash, self.open) = (last, Some(tombstone.hash), last.saturating_add(1));
    }

    /// Whether what came since the last confirmation is as a seal or a tombstone says.
    fn confirm(&mut self, hash: ChainHash, last: u64, found: &mut Vec<Damage>) {
        if self.hash.is_some_and(|own| own != hash) {
            found.push(Damage { first: self.open.min(last), last, what: Wrong::Altered });
        }
        self.open = last.saturating_add(1);
    }

    /// The numbers before this one are missing, unless there are none.
    fn miss(&mut self, seq: u64, found: &mut Vec<Damage>) {
        if seq > self.at.saturating_add(1) {
            found.push(Damage { first: self.at + 1, last: seq - 1, what: Wrong::Missing });
            (self.at, self.hash) = (seq - 1, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An event as a row has it: its number, its text, its seal.
    type Written = (u64, String, Option<ChainHash>);

    fn row(seq: u64, line: &str) -> Row<'_> {
        let line = ValueRef::Text(line.as_bytes());
        let columns = [ValueRef::Integer(7), ValueRef::Null, line, ValueRef::Null, ValueRef::Null];
        Row { seq, time: 1, conn: 2, shape: ChainHash::START, columns }
    }

    /// A record of so many events; where `commits` says so a commit ends.
    fn written(count: u64, commits: u64) -> (Vec<Written>, Vec<ChainHash>) {
        let mut hashes = vec![ChainHash::START];
        let all = (1..=count).map(|seq| {
            let line = format!("line {}", seq % 3);
            let hash = link(hashes[hashes.len() - 1], &row(seq, &line), &mut Vec::new());
            hashes.push(hash);
            (seq, line, (seq == count || commits >> (seq % 64) & 1 == 1).then_some(hash))
        });
        let all: Vec<Written> = all.collect();
        (all, hashes)
    }

    fn found(rows: &[Written], tombstones: &[Tombstone], noted: u64) -> Vec<Damage> {
        let mut walk = Walk::from(0, ChainHash::START, tombstones.iter().copied().collect());
        let mut found = Vec::new();
        for (seq, line, seal) in rows {
            walk.take(&row(*seq, line), *seal, &mut found);
        }
        walk.end(noted, &mut found);
        found
    }

    /// Takes `gone` of the events from `first` to `last` out.
    fn compact(rows: &mut Vec<Written>, hashes: &[ChainHash], first: u64, last: u64, gone: u64) -> Option<Tombstone> {
        let at = |seq: u64| hashes[usize::try_from(seq).unwrap()];
        let goes = |seq: u64| seq == first || gone >> (seq % 64) & 1 == 1;
        let (mut kept, mut count) = (at(first - 1), 0);
        rows.retain_mut(|(seq, line, seal)| {
            if *seq < first || *seq > last {
                return true;
            }
            if goes(*seq) {
                count += 1;
                return false;
            }
            kept = link(kept, &row(*seq, line), &mut Vec::new());
            *seal = None;
            true
        });
        (count > 0).then_some(Tombstone { first, last, count, before: at(first - 1), kept, hash: at(last) })
    }

    proptest! {
        #[test]
        fn whatever_was_done_to_a_record_is_found(
            count in 3..60_u64, commits: u64, stretch in (1..60_u64, 0..30_u64), gone: u64, victim in 1..60_u64, how in 0..7_u32,
        ) {
            let (mut rows, hashes) = written(count, commits);
            let (first, last) = (stretch.0.min(count - 1), (stretch.0 + stretch.1).min(count - 1));
            let tombstone = compact(&mut rows, &hashes, first, last, gone);
            let mut tombstones: Vec<Tombstone> = tombstone.into_iter().collect();
            prop_assert_eq!(found(&rows, &tombstones, count), vec![]);

            let at = usize::try_from(victim).unwrap() % rows.len();
            let seq = rows[at].0;
            let mut latest = count;
            match how {
                0 => rows[at].1.push('!'),
                1 => drop(rows.remove(at)),
                2 => {
                    let other = (at + 1) % rows.len();
                    prop_assume!(rows[at].1 != rows[other].1);
                    let line = rows[at].1.clone();
                    rows[at].1 = std::mem::replace(&mut rows[other].1, line);
                }
                3 => rows[at].2 = Some(ChainHash([7; 32])),
                4 => {
                    latest = count + 1;
                    rows.push((count + 1, "one more".to_owned(), None));
                }
                5 => tombstones.clear(),
                _ => tombstones[0].count += 1,
            }
            let damage = found(&rows, &tombstones, latest);
            // A seal inside a compacted stretch says nothing, and nobody reads it.
            if how != 3 || seq < first || seq > last {
                prop_assert!(!damage.is_empty(), "{how} at {seq}");
            }
            if how < 2 {
                let holds = |damage: &Damage| damage.first <= seq && damage.last >= seq;
                prop_assert!(damage.iter().any(holds), "{:?} at {}", damage, seq);
            }
        }
    }

    #[test]
    fn damage_is_said_once_and_the_rest_is_held_against_the_next_seal() {
        let (mut rows, _) = written(9, 1 << 3 | 1 << 6);
        rows.remove(4);
        rows[0].1.push('!');
        let said: Vec<String> = found(&rows, &[], 12).iter().map(Damage::to_string).collect();
        assert_eq!(
            said,
            ["events 1 to 3 are not as they were written", "event 5 is missing", "events 10 to 12 are missing"]
        );
    }
}
