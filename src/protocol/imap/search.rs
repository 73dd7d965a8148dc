//! SEARCH (RFC 9051 6.4.4, 7.3.4; RFC 3501 7.2.5; RFC 5182): most of it from the folder's rows, the rest from the messages, a
//! few at a time.

use std::fmt::Write as _;

use super::{
    Session, Task, Under,
    criteria::{Criteria, Returned},
    matching::{Candidate, Searched, Test},
    messages::batch,
    reply::Reply,
    sequence::written,
    view::View,
};
use crate::protocol::{
    Output,
    folders::{Ask, Told},
};

/// A SEARCH under way.
#[derive(Debug)]
pub(super) struct Searching {
    test: Test,
    wanted: Option<Returned>,
    modseq: bool,
    /// Places of messages that fit.
    found: Vec<usize>,
    /// Places of messages that must be read, and the next one of them.
    open: Vec<usize>,
    next: usize,
    batch: usize,
}

impl Session {
    pub(super) fn search(&mut self, under: Under, criteria: &Criteria, out: &mut Output) {
        if criteria.wanted.is_some_and(|wanted| wanted.save)
            && let Some(view) = self.connection.view_mut()
            && criteria.charset.is_err()
        {
            // A search that fails leaves `$` empty (RFC 5182 2.1).
            view.saved.clear();
        }
        if criteria.charset.is_err() {
            return self.refuse(under, Reply::BadCharset, &[], out);
        }
        if criteria.key.asks_modseq() {
            self.tell_modseqs(out);
        }
        let Some(view) = self.connection.view() else { return };
        let mut searching = Searching {
            test: Test::of(&criteria.key, view),
            wanted: criteria.wanted,
            modseq: criteria.key.asks_modseq(),
            found: Vec::new(),
            open: Vec::new(),
            next: 0,
            batch: 0,
        };
        for place in 0..view.rows().len() {
            match searching.test.by_row(candidate(view, place, self.now.utc_offset_secs)) {
                Some(true) => searching.found.push(place),
                Some(false) => {}
                None => searching.open.push(place),
            }
        }
        self.search_on(under, Box::new(searching), out);
    }

    /// Goes on when messages were read.
    pub(super) fn searching(
        &mut self,
        under: Under,
        mut searching: Box<Searching>,
        told: Option<Told>,
        out: &mut Output,
    ) {
        let Some(Told::Messages(messages)) = told else { return self.answer(under, Reply::Failed, &[], out) };
        let Some(view) = self.connection.view() else { return };
        let read = searching.open[searching.next..].iter().zip(&messages).take(searching.batch);
        let found: Vec<usize> = read
            .filter(|(place, message)| {
                let candidate = candidate(view, **place, self.now.utc_offset_secs);
                searching.test.holds(candidate, &Searched::of(message))
            })
            .map(|(place, _)| *place)
            .collect();
        searching.found.extend(found);
        searching.next += searching.batch;
        self.search_on(under, searching, out);
    }

    fn search_on(&mut self, under: Under, mut searching: Box<Searching>, out: &mut Output) {
        let Some(view) = self.connection.view() else { return };
        if searching.next < searching.open.len() {
            let messages = batch(view, &searching.open[searching.next..]);
            searching.batch = messages.len();
            return self.ask(under, Task::Search(searching), Ask::Read { messages }, out);
        }
        searching.found.sort_unstable();
        // With IMAP4rev2 every answer is an ESEARCH (RFC 9051 6.4.4).
        let old = self.rev2.then_some(Returned { all: true, ..Returned::default() });
        let wanted = searching.wanted.or(old);
        let line = match wanted {
            Some(wanted) if wanted.tells() => extended(view, &searching, wanted, &under),
            Some(_) => String::new(),
            None => plain(view, &searching, &under),
        };
        out.reply.extend_from_slice(line.as_bytes());
        if wanted.is_some_and(|wanted| wanted.save)
            && let Some(view) = self.connection.view_mut()
        {
            view.saved = saved(view, &searching.found, wanted.unwrap_or_default());
        }
        self.complete(under, out);
    }
}

fn candidate(view: &View, place: usize, utc_offset_secs: i32) -> Candidate<'_> {
    let row = &view.rows()[place];
    let number = u32::try_from(place + 1).unwrap_or(u32::MAX);
    Candidate { row, number, recent: view.is_recent(row.uid), utc_offset_secs }
}

/// The number of a message as this search tells it.
fn number(view: &View, place: usize, uid: bool) -> u32 {
    if uid { view.rows()[place].uid } else { u32::try_from(place + 1).unwrap_or(u32::MAX) }
}

/// `* SEARCH 1 2 3`.
fn plain(view: &View, searching: &Searching, under: &Under) -> String {
    let mut line = "* SEARCH".to_owned();
    for place in &searching.found {
        let _ = write!(line, " {}", number(view, *place, under.uid));
    }
    if let Some(modseq) = highest(view, searching.found.iter().copied()).filter(|_| searching.modseq) {
        let _ = write!(line, " (MODSEQ {modseq})");
    }
    line + "\r\n"
}

/// `* ESEARCH (TAG "a") UID MIN 1 …` (RFC 4731 3.1).
fn extended(view: &View, searching: &Searching, wanted: Returned, under: &Under) -> String {
    let found = &searching.found;
    let mut line = format!("* ESEARCH (TAG \"{}\")", under.tag);
    if under.uid {
        line.push_str(" UID");
    }
    if let (Some(first), Some(last)) = (found.first(), found.last()) {
        if wanted.min {
            let _ = write!(line, " MIN {}", number(view, *first, under.uid));
        }
        if wanted.max {
            let _ = write!(line, " MAX {}", number(view, *last, under.uid));
        }
        if wanted.all {
            let _ = write!(line, " ALL {}", written(found.iter().map(|place| number(view, *place, under.uid))));
        }
    }
    if wanted.count {
        let _ = write!(line, " COUNT {}", found.len());
    }
    // RFC 7162 3.1.5: with MIN or MAX alone it is that of the messages told.
    let told = match (wanted.all || wanted.count, wanted.min, wanted.max) {
        (true, ..) | (_, false, false) => found.clone(),
        (false, min, max) => {
            found.first().filter(|_| min).into_iter().chain(found.last().filter(|_| max)).copied().collect()
        }
    };
    if let Some(modseq) = highest(view, told.into_iter()).filter(|_| searching.modseq) {
        let _ = write!(line, " MODSEQ {modseq}");
    }
    line + "\r\n"
}

fn highest(view: &View, places: impl Iterator<Item = usize>) -> Option<u64> {
    places.map(|place| view.rows()[place].modseq).max()
}

/// What `$` becomes: all that was found, or with MIN and MAX alone those (RFC 5182 2.4).
fn saved(view: &View, found: &[usize], wanted: Returned) -> Vec<u32> {
    let few = (wanted.min || wanted.max) && !wanted.all && !wanted.count;
    let ends = || found.first().filter(|_| wanted.min).into_iter().chain(found.last().filter(|_| wanted.max));
    let places: Vec<usize> = if few { ends().copied().collect() } else { found.to_vec() };
    let mut uids: Vec<u32> = places.into_iter().map(|place| view.rows()[place].uid).collect();
    uids.dedup();
    uids
}
