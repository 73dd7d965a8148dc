//! The record of one group: that of its store, and of other stores that went their own ways from the same beginning. A server's
//! volume may have been lost, and its group gone on from a copy; what comes back later is a branch. What they have in common
//! is read once, then each branch; the last one is the store that the server writes.
//!
//! ```text
//!  branches/g01/A-60.1.sqlite    events 1 to 60 of record A                     read first
//!  stores/g01.sqlite             1 to 40 of record A, then 41 to 55 of record B  its own 41 to 55 are read as 61 to 75
//! ```
//! The numbers of a branch that is read later go on behind those before it: events, connections and messages of two branches
//! have the same ones.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use crate::{
    evidence::{Conn, Event, EventKind, MessageId, Seq, Timestamp, Who},
    store::{Lineage, Reader, StoreError},
};

/// The stores of one group.
#[derive(Debug, Default)]
pub struct Record {
    /// In the order in which they are read; the last is the one that is written.
    paths: Vec<PathBuf>,
    branches: Vec<Branch>,
    /// The highest numbers so far.
    highest: Numbers<u64>,
    /// The last event of the last store, as that numbers it.
    written: Seq,
}

/// One store of a record, as far as it was read.
#[derive(Debug)]
struct Branch {
    reader: Reader,
    lineage: Lineage,
    renumbering: Numbers<Renumbering>,
}

/// One of each kind of number.
#[derive(Debug, Clone, Default)]
struct Numbers<T> {
    seq: T,
    conn: T,
    message: T,
}

/// Above which number how much is added: the last piece that applies counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Renumbering(Vec<(u64, u64)>);

impl Renumbering {
    /// The number in the record of a number in the store.
    fn of(&self, number: u64) -> u64 {
        number + self.0.iter().rfind(|(above, _)| number > *above).map_or(0, |(_, more)| *more)
    }

    /// The number in the store; none where the record's number is another store's.
    fn back(&self, number: u64) -> Option<u64> {
        let pieces = self.0.iter().rev().copied().chain([(0, 0)]);
        let mut below = u64::MAX;
        for (above, more) in pieces {
            let found = number.checked_sub(more).filter(|found| *found > above && *found <= below);
            if found.is_some() {
                return found;
            }
            below = above;
        }
        None
    }

    /// The same up to a number; what comes above it goes behind the highest.
    fn branch(&self, fork: u64, highest: u64) -> Self {
        let common = self.0.iter().copied().filter(|(above, _)| *above < fork);
        Self(common.chain([(fork, highest - fork)]).collect())
    }
}

impl Record {
    /// The stores in these files, the one that is written last. Nothing is read yet.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self { paths, ..Self::default() }
    }

    /// Whether the group has evidence of more than one store.
    pub fn is_branched(&self) -> bool {
        self.paths.len() > 1
    }

    /// Hands out all events, in order. A store that cannot be read, or not to its end, comes as damage: what depends on it is
    /// unclear. Returns what could not be read.
    pub fn read(&mut self, each: &mut dyn FnMut(&Reading<'_>, Event)) -> Vec<StoreError> {
        self.branches.clear();
        self.highest = Numbers::default();
        let mut problems = Vec::new();
        for path in self.paths.clone() {
            if let Err(problem) = self.read_branch(&path, each) {
                let kind = EventKind::Damaged { why: problem.to_string() };
                self.highest.seq += 1;
                let (seq, time) = (Seq(self.highest.seq), Timestamp(0));
                let event = Event { seq, time, run: 1, conn: Conn(0), who: Who::Unknown, kind };
                each(&Reading { branches: &self.branches }, event);
                problems.push(problem);
            }
        }
        problems
    }

    fn read_branch(&mut self, path: &Path, each: &mut dyn FnMut(&Reading<'_>, Event)) -> Result<(), StoreError> {
        let reader = Reader::open(path)?;
        let lineage = reader.lineage()?;
        let forks = self.branches.iter().map(|branch| (branch.lineage.fork(&lineage), &branch.renumbering));
        let (fork, common) =
            forks.max_by_key(|(fork, _)| *fork).map_or_else(Default::default, |(fork, common)| (fork, common.clone()));
        // Up to the fork nothing is new but which connections and messages there were.
        let (mut conn, mut message) = (0, 0);
        if fork > Seq(0) {
            reader.events(Seq(0), &mut |mut event| {
                if event.seq > fork {
                    return ControlFlow::Break(());
                }
                conn = conn.max(event.conn.0);
                event.kind.messages(&mut |id| message = message.max(id.0));
                ControlFlow::Continue(())
            })?;
        }
        let highest = self.highest.clone();
        let renumbering = Numbers {
            seq: common.seq.branch(fork.0, highest.seq),
            conn: common.conn.branch(conn, highest.conn),
            message: common.message.branch(message, highest.message),
        };
        self.branches.push(Branch { reader, lineage, renumbering });
        let Self { branches, highest, written, .. } = self;
        *written = fork;
        let Some(branch) = branches.last() else { return Ok(()) };
        let reading = Reading { branches };
        branch.reader.events(fork, &mut |mut event| {
            *written = event.seq;
            branch.renumber(&mut event);
            highest.seq = highest.seq.max(event.seq.0);
            highest.conn = highest.conn.max(event.conn.0);
            event.kind.messages(&mut |id| highest.message = highest.message.max(id.0));
            each(&reading, event);
            ControlFlow::Continue(())
        })?;
        Ok(())
    }

    /// An event that came from the store that is written, after all of it was read, as an event of this record.
    pub fn renumber(&self, event: &mut Event) {
        if let Some(branch) = self.branches.last().filter(|_| self.is_branched()) {
            branch.renumber(event);
        }
    }

    /// The last event that was read of the store that is written, as that numbers it.
    pub fn last_written(&self) -> Seq {
        self.written
    }

    /// What of the stores is open.
    pub fn reading(&self) -> Reading<'_> {
        Reading { branches: &self.branches }
    }
}

/// The stores of a record, for what events speak of.
pub struct Reading<'a> {
    branches: &'a [Branch],
}

impl Reading<'_> {
    /// A message, whichever store it is in.
    pub fn message(&self, id: MessageId) -> Option<Vec<u8>> {
        let found = |branch: &Branch| {
            let id = branch.renumbering.message.back(id.0)?;
            branch.reader.message(MessageId(id)).ok().flatten().map(|message| message.octets)
        };
        self.branches.iter().rev().find_map(found)
    }
}

impl Branch {
    fn renumber(&self, event: &mut Event) {
        let Numbers { seq, conn, message } = &self.renumbering;
        event.seq = Seq(seq.of(event.seq.0));
        event.conn = Conn(conn.of(event.conn.0));
        event.kind.messages(&mut |id| *id = MessageId(message.of(id.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_branch_go_on_behind_the_others_and_lead_back_to_their_store() {
        let first = Renumbering::default().branch(0, 0);
        let second = first.branch(40, 60);
        let third = second.branch(50, 75);
        assert_eq!([40, 41, 55].map(|number| second.of(number)), [40, 61, 75]);
        assert_eq!([40, 41, 50, 51].map(|number| third.of(number)), [40, 61, 70, 76]);
        assert_eq!([40, 60, 61, 75].map(|number| second.back(number)), [Some(40), None, Some(41), Some(55)]);
        assert_eq!([60, 70, 71, 76].map(|number| third.back(number)), [None, Some(50), None, Some(51)]);
        assert_eq!([1, 60].map(|number| first.back(number)), [Some(1), Some(60)]);
    }
}
