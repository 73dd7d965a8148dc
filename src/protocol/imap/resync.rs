//! QRESYNC (RFC 7162 3.2): what changed in a folder since a client saw it last. Which messages went when is not kept, so the
//! answer names every UID that the client may know and that is not there any more, as 3.2.5.2 has it for such servers.

use super::{
    sequence::{Ranges, Set},
    syntax::{Cursor, Read},
    tell::Telling,
    view::View,
};
use crate::mail::folder::Row;

/// What a client knew of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resync {
    uid_validity: u32,
    modseq: u64,
    /// The UIDs that it knows; without them all that were ever given.
    known: Option<Set>,
}

impl Resync {
    /// Reads what stands behind QRESYNC: `(validity modseq [uids] [(numbers uids)])`.
    pub fn read(cursor: &mut Cursor<'_>) -> Read<Self> {
        cursor.space("the UIDVALIDITY and a modification sequence in brackets")?;
        cursor.must(b'(', "the UIDVALIDITY and a modification sequence in brackets")?;
        let uid_validity = cursor.number("the UIDVALIDITY")?;
        cursor.space("a modification sequence")?;
        let modseq = cursor.number64("a modification sequence")?;
        let mut known = None;
        if !cursor.take(b')') {
            cursor.space("UIDs that you know")?;
            if cursor.peek() == Some(b'(') {
                matched(cursor)?;
            } else {
                known = Some(Set::read(cursor)?);
                if !cursor.take(b')') {
                    cursor.space("message numbers and their UIDs in brackets")?;
                    matched(cursor)?;
                }
            }
        }
        Ok(Self { uid_validity, modseq, known })
    }

    /// What the client has missed; none where it is another folder than the client knew.
    pub fn missed(&self, view: &View) -> Option<Telling> {
        if self.uid_validity != view.snapshot.uid_validity {
            return None;
        }
        let all = Set::Ranges(vec![(Some(1), Some(u32::MAX))]);
        let known = view.uids(self.known.as_ref().unwrap_or(&all));
        let changed = |(_, row): &(usize, &Row)| row.modseq > self.modseq && known.contains(row.uid);
        let places = view.rows().iter().enumerate().filter(changed).map(|(place, _)| place).collect();
        Some(Telling::earlier(vanished(view, &known), places))
    }
}

/// Message numbers with their UIDs, which help a server that keeps what went when; this one passes them over.
fn matched(cursor: &mut Cursor<'_>) -> Read<()> {
    cursor.must(b'(', "message numbers and their UIDs in brackets")?;
    Set::read(cursor)?;
    cursor.space("UIDs")?;
    Set::read(cursor)?;
    cursor.must(b')', "`)`")?;
    cursor.must(b')', "`)`")
}

/// The UIDs of `known` that no message has, as ranges.
pub fn vanished(view: &View, known: &Ranges) -> Vec<(u32, u32)> {
    let rows = view.rows();
    let mut gone = Vec::new();
    // A UID that was never given has not vanished.
    let end = view.snapshot.next_uid.saturating_sub(1);
    for (first, last) in known.iter() {
        let (mut next, last) = (first.max(1), last.min(end));
        let there = rows.partition_point(|row| row.uid < next)..rows.partition_point(|row| row.uid <= last);
        for row in rows.get(there).unwrap_or_default() {
            if next < row.uid {
                gone.push((next, row.uid - 1));
            }
            next = row.uid + 1;
        }
        if next <= last {
            gone.push((next, last));
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Resync, usize> {
        let mut cursor = Cursor::new(text.as_bytes());
        Resync::read(&mut cursor).and_then(|read| cursor.end().map(|()| read)).map_err(|fault| fault.at)
    }

    #[test]
    fn what_a_client_knew_is_read() {
        let resync = |known| Resync { uid_validity: 7, modseq: 90, known };
        let set = Some(Set::Ranges(vec![(Some(1), Some(5)), (Some(9), Some(9))]));
        assert_eq!(read(" (7 90)"), Ok(resync(None)));
        assert_eq!(read(" (7 90 1:5,9)"), Ok(resync(set.clone())));
        assert_eq!(read(" (7 90 1:5,9 (1,3 2,9))"), Ok(resync(set)));
        assert_eq!(read(" (7 90 (1 2))"), Ok(resync(None)));
        for (text, at) in [("", 0), (" (7)", 3), (" (7 90 x)", 7), (" (7 90 1 (1))", 11)] {
            assert_eq!(read(text), Err(at), "{text}");
        }
    }
}
