//! What two stores have in common, and whether one has all that the other has: then it may take its place.

use std::path::Path;

use super::{Reader, StoreError};
use crate::evidence::{Identity, Seq};

/// The records that a store is made of, the oldest first, each with its last event there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage(Vec<(Identity, Seq)>);

impl Lineage {
    /// Up to which event both are the same.
    pub fn fork(&self, other: &Self) -> Seq {
        let mut same = Seq(0);
        for ((identity, last), (beside, until)) in self.0.iter().zip(&other.0) {
            if identity != beside {
                break;
            }
            same = *last.min(until);
            if last != until {
                break;
            }
        }
        same
    }
}

impl Reader {
    /// What the store is made of.
    pub fn lineage(&self) -> Result<Lineage, StoreError> {
        let ancestors = self.ancestors()?.into_iter().map(|parent| (parent.identity, parent.seq));
        Ok(Lineage(ancestors.chain([(self.identity()?, self.head()?.0)]).collect()))
    }
}

/// Whether the store `new` has everything that `old` has.
pub fn covers(new: &Path, old: &Path) -> Result<bool, StoreError> {
    let (new, old) = (Reader::open(new)?, Reader::open(old)?);
    let (seq, hash) = old.head()?;
    if new.lineage()?.fork(&old.lineage()?) < seq {
        return Ok(false);
    }
    // Compaction may have taken away what the hash would be worked out from; the lineage has to do then.
    Ok(new.hash_at(seq)?.is_none_or(|found| found == hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage(records: &[(u8, u64)]) -> Lineage {
        Lineage(records.iter().map(|(name, last)| (Identity([*name; 16]), Seq(*last))).collect())
    }

    #[test]
    fn stores_are_the_same_up_to_where_one_went_its_own_way() {
        let (old, seeded) = (lineage(&[(1, 60)]), lineage(&[(1, 40), (2, 55)]));
        assert_eq!((old.fork(&seeded), seeded.fork(&old)), (Seq(40), Seq(40)));
        assert_eq!(lineage(&[(1, 40)]).fork(&seeded), Seq(40));
        assert_eq!(seeded.fork(&lineage(&[(1, 40), (2, 50), (3, 70)])), Seq(50));
        assert_eq!(seeded.fork(&lineage(&[(1, 40), (4, 70)])), Seq(40));
        assert_eq!(seeded.fork(&lineage(&[(5, 70)])), Seq(0));
        assert_eq!(seeded.fork(&seeded), Seq(55));
    }
}
