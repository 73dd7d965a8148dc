//! Mail under way: what clients are sending and what waits for its commit is in memory, and all of it together has a bound
//! (`[limits] mail_under_way`). One student has at most half of it, so that others' mail comes in meanwhile; a small message needs
//! none of it. Where there is no room the rest of the message is heard and thrown away, and refused at its end for now
//! (SMTP 452 4.3.1, IMAP `NO [LIMIT]`).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    evidence::Who,
    lab::{Limits, Login},
};

/// A message of at most so many octets always has room; sessions are bounded in number.
pub(super) const SMALL: usize = 64 << 10;

/// What is under way on one server.
#[derive(Debug, Clone, Default)]
pub(super) struct UnderWay(Arc<Mutex<Held>>);

#[derive(Debug, Default)]
struct Held {
    octets: u64,
    /// By student; those of nobody known together.
    students: BTreeMap<Option<Login>, u64>,
}

/// One session's share. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct Load {
    under_way: UnderWay,
    /// What the session holds, and what of it counts for whom.
    held: usize,
    counted: u64,
    student: Option<Login>,
}

impl UnderWay {
    /// A session that holds nothing.
    pub(super) fn join(&self) -> Load {
        Load { under_way: self.clone(), held: 0, counted: 0, student: None }
    }
}

impl Load {
    /// What the session holds, as was last noted.
    pub(super) const fn held(&self) -> usize {
        self.held
    }

    /// Notes that the session holds so many octets of mail. False where there is no room for them: they must go.
    pub(super) fn hold(&mut self, held: usize, who: &Who, limits: &Limits) -> bool {
        self.held = held;
        let wanted = if held > SMALL { held as u64 } else { 0 };
        if wanted == self.counted {
            return true;
        }
        let mut all = self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner);
        if self.counted == 0 {
            self.student = who.student().cloned();
        }
        let own = all.students.get(&self.student).copied().unwrap_or(0) - self.counted;
        let others = all.octets - self.counted;
        if wanted > self.counted
            && (own + wanted > limits.mail_under_way_of_a_student() || others + wanted > limits.mail_under_way)
        {
            return false;
        }
        all.octets = others + wanted;
        match own + wanted {
            0 => _ = all.students.remove(&self.student),
            octets => _ = all.students.insert(self.student.clone(), octets),
        }
        self.counted = wanted;
        true
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.hold(0, &Who::Unknown, &Limits::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::By;

    fn student(name: &str) -> Who {
        Who::Student { login: name.parse().unwrap(), by: By::Login }
    }

    #[test]
    fn one_student_has_half_of_it_and_a_small_message_always_has_room() {
        let (ana, ben, eva) = (student("ana"), student("ben"), student("eva"));
        let limits = Limits { mail_under_way: 4 << 20, message: 1 << 20, ..Limits::default() };
        let all = UnderWay::default();
        let mut loads = [(); 4].map(|()| all.join());
        let half = 2 << 20;
        assert!(!loads[0].hold(half + 1, &ana, &limits));
        assert!(loads[0].hold(half, &ana, &limits));
        assert!(!loads[1].hold(SMALL + 1, &ana, &limits) && loads[1].hold(SMALL, &ana, &limits));
        assert!(loads[2].hold(half, &ben, &limits));
        assert!(!loads[3].hold(SMALL + 1, &eva, &limits) && loads[3].hold(SMALL, &eva, &limits));
        // What is given back is there for others.
        assert!(loads[0].hold(0, &ana, &limits) && loads[3].hold(half, &eva, &limits));
        drop(loads);
        let held = all.0.lock().unwrap();
        assert_eq!((held.octets, held.students.len()), (0, 0));
    }

    #[test]
    fn the_largest_message_has_room_where_nothing_else_is_under_way() {
        let limits = Limits { mail_under_way: 13 << 20, message: 10 << 20, ..Limits::default() };
        let largest = usize::try_from(limits.largest_message()).unwrap();
        let mut load = UnderWay::default().join();
        assert!(load.hold(largest, &student("ana"), &limits) && !load.hold(largest + 1, &student("ana"), &limits));
    }
}
