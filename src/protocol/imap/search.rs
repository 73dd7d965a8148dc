//! SEARCH (RFC 9051 6.4.4, 7.3.4; RFC 3501 7.2.5; RFC 5182): most of it from the folder's rows, the rest from the messages, a
//! few at a time.

use std::io::Write as _;

use super::{
    Session, Task, Under,
    changes::numbers_missing,
    criteria::{Criteria, Returned},
    matching::{Candidate, Searched, Test},
    messages::batch,
    reply::Reply,
    view::View,
};
use crate::protocol::{
    Action, Output, WINDOW,
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
    /// What of the answer is told.
    said: Said,
}

/// How far the answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// Nothing: messages may still be to be read.
    Nothing,
    /// The numbers before this place among those found.
    Numbers(usize),
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
        self.condstore |= criteria.key.asks_modseq();
        let Some(view) = self.connection.view() else { return };
        let Ok(test) = Test::of(&criteria.key, view) else { return numbers_missing(self, under, out) };
        let mut searching = Searching {
            test,
            wanted: criteria.wanted,
            modseq: criteria.key.asks_modseq(),
            found: Vec::new(),
            open: Vec::new(),
            next: 0,
            batch: 0,
            said: Said::Nothing,
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

    /// Reads on, or tells on.
    pub(super) fn search_on(&mut self, under: Under, mut searching: Box<Searching>, out: &mut Output) {
        let Some(view) = self.connection.view() else { return };
        if searching.next < searching.open.len() {
            let messages = batch(view, &searching.open[searching.next..]);
            searching.batch = messages.len();
            return self.ask(under, Task::Search(searching), Ask::Read { messages }, out);
        }
        // With IMAP4rev2 every answer is an ESEARCH (RFC 9051 6.4.4).
        let old = self.rev2.then_some(Returned { all: true, ..Returned::default() });
        let wanted = searching.wanted.or(old);
        if searching.said == Said::Nothing {
            searching.found.sort_unstable();
        }
        let told = match wanted {
            Some(wanted) if wanted.tells() => extended(view, &mut searching, wanted, &under, &mut out.reply),
            Some(_) => true,
            None => plain(view, &mut searching, &under, &mut out.reply),
        };
        if !told {
            return self.wait_for(under, Task::Search(searching), Action::Send, out);
        }
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

/// `* SEARCH 1 2 3`, as much as goes at once. Whether that is all.
fn plain(view: &View, searching: &mut Searching, under: &Under, out: &mut Vec<u8>) -> bool {
    let first = match searching.said {
        Said::Nothing => {
            out.extend_from_slice(b"* SEARCH");
            0
        }
        Said::Numbers(first) => first,
    };
    for (at, place) in searching.found.iter().enumerate().skip(first) {
        if out.len() >= WINDOW {
            searching.said = Said::Numbers(at);
            return false;
        }
        let _ = write!(out, " {}", number(view, *place, under.uid));
    }
    if let Some(modseq) = highest(view, searching.found.iter().copied()).filter(|_| searching.modseq) {
        let _ = write!(out, " (MODSEQ {modseq})");
    }
    out.extend_from_slice(b"\r\n");
    true
}

/// `* ESEARCH (TAG "a") UID MIN 1 …` (RFC 4731 3.1), as much as goes at once. Whether that is all.
fn extended(view: &View, searching: &mut Searching, wanted: Returned, under: &Under, out: &mut Vec<u8>) -> bool {
    let found = &searching.found;
    let number = |place: usize| number(view, place, under.uid);
    if searching.said == Said::Nothing {
        let _ = write!(out, "* ESEARCH (TAG \"{}\"){}", under.tag, if under.uid { " UID" } else { "" });
        if let (Some(first), Some(last)) = (found.first(), found.last()) {
            if wanted.min {
                let _ = write!(out, " MIN {}", number(*first));
            }
            if wanted.max {
                let _ = write!(out, " MAX {}", number(*last));
            }
            if wanted.all {
                out.extend_from_slice(b" ALL ");
            }
        }
        searching.said = Said::Numbers(0);
    }
    if let Said::Numbers(mut at) = searching.said {
        while wanted.all && at < found.len() {
            if out.len() >= WINDOW {
                searching.said = Said::Numbers(at);
                return false;
            }
            let (first, comma) = (at, if at == 0 { "" } else { "," });
            while found.get(at + 1).is_some_and(|next| number(*next) == number(found[at]) + 1) {
                at += 1;
            }
            let (start, end) = (number(found[first]), number(found[at]));
            let _ = if first == at { write!(out, "{comma}{start}") } else { write!(out, "{comma}{start}:{end}") };
            at += 1;
        }
    }
    if wanted.count {
        let _ = write!(out, " COUNT {}", found.len());
    }
    // RFC 7162 3.1.5: with MIN or MAX alone it is that of the messages told.
    let modseq = match (wanted.all || wanted.count, wanted.min, wanted.max) {
        (true, ..) | (_, false, false) => highest(view, found.iter().copied()),
        (false, min, max) => {
            let ends = found.first().filter(|_| min).into_iter().chain(found.last().filter(|_| max));
            highest(view, ends.copied())
        }
    };
    if let Some(modseq) = modseq.filter(|_| searching.modseq) {
        let _ = write!(out, " MODSEQ {modseq}");
    }
    out.extend_from_slice(b"\r\n");
    true
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
