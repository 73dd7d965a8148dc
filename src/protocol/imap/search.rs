//! SEARCH (RFC 9051 6.4.4, 7.3.4; RFC 3501 7.2.5; RFC 5182): most of it from the folder's rows, the rest from the messages, a
//! few at a time. SORT and THREAD (RFC 5256) are searches whose answer needs more of each message that is found.

use std::io::Write as _;

use super::{
    Session, Task, Under,
    criteria::{Criteria, Purpose, Returned},
    matching::{Candidate, Searched, Test},
    messages::batch,
    reply::Reply,
    sort::{self, Criterion, Value},
    thread::{self, Algorithm, Member},
    view::View,
};
use crate::{
    mail::body_start,
    protocol::{
        Action, Output, WINDOW,
        folders::{Ask, Told},
    },
};

/// A SEARCH under way.
#[derive(Debug)]
pub(super) struct Searching {
    test: Test,
    answer: Answer,
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

/// What is told of the messages that fit, with what that needs of each, by its place.
#[derive(Debug)]
enum Answer {
    Numbers,
    Order(Vec<Criterion>, Vec<(usize, Vec<Value>)>),
    /// With the whole answer, once it is known.
    Threads(Algorithm, Vec<(usize, Member)>, String),
}

impl Answer {
    fn of(purpose: &Purpose) -> Self {
        match purpose {
            Purpose::Search => Self::Numbers,
            Purpose::Sort(criteria) => Self::Order(criteria.clone(), Vec::new()),
            Purpose::Thread(algorithm) => Self::Threads(*algorithm, Vec::new(), String::new()),
        }
    }

    /// Whether each message that fits must be read.
    fn needs_message(&self) -> bool {
        match self {
            Self::Numbers => false,
            Self::Order(criteria, _) => criteria.iter().any(|criterion| criterion.by.needs_message()),
            Self::Threads(..) => true,
        }
    }
}

impl Searching {
    /// Takes a message that fits.
    fn take(&mut self, view: &View, place: usize, uid: bool, message: &[u8]) {
        self.found.push(place);
        let (row, header) = (&view.rows()[place], &message[..body_start(message)]);
        match &mut self.answer {
            Answer::Numbers => {}
            Answer::Order(criteria, known) => {
                known.push((place, criteria.iter().map(|criterion| criterion.by.value(row, header)).collect()));
            }
            Answer::Threads(_, known, _) => known.push((place, Member::of(number(view, place, uid), row, header))),
        }
    }
}

impl Searching {
    /// Puts what was found in the order in which it is told.
    fn in_order(&mut self) {
        match &mut self.answer {
            Answer::Numbers => self.found.sort_unstable(),
            Answer::Order(criteria, known) => {
                known.sort_by(|one, other| sort::compare(criteria, &one.1, &other.1).then(one.0.cmp(&other.0)));
                self.found = known.iter().map(|(place, _)| *place).collect();
            }
            Answer::Threads(algorithm, known, text) => {
                known.sort_by_key(|(place, _)| *place);
                let members: Vec<Member> = std::mem::take(known).into_iter().map(|(_, member)| member).collect();
                *text = thread::written(*algorithm, &members);
            }
        }
    }
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
            answer: Answer::of(&criteria.purpose),
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
                Some(true) if !searching.answer.needs_message() => searching.take(view, place, under.uid, &[]),
                Some(false) => {}
                Some(true) | None => searching.open.push(place),
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
        let read = searching.next..searching.next + searching.batch;
        for (at, message) in read.clone().zip(&messages) {
            let place = searching.open[at];
            let candidate = candidate(view, place, self.now.utc_offset_secs);
            let by_row = searching.test.by_row(candidate);
            if by_row.unwrap_or_else(|| searching.test.holds(candidate, &Searched::of(message))) {
                searching.take(view, place, under.uid, message);
            }
        }
        searching.next = read.end;
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
            searching.in_order();
        }
        let told = match (&searching.answer, wanted) {
            (Answer::Numbers, Some(wanted)) if wanted.tells() => {
                extended(view, &mut searching, wanted, &under, &mut out.reply)
            }
            (Answer::Numbers, Some(_)) => true,
            (Answer::Numbers, None) => plain("SEARCH", view, &mut searching, &under, &mut out.reply),
            (Answer::Order(..), _) => plain("SORT", view, &mut searching, &under, &mut out.reply),
            (Answer::Threads(..), _) => threads(&mut searching, &mut out.reply),
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
fn plain(verb: &str, view: &View, searching: &mut Searching, under: &Under, out: &mut Vec<u8>) -> bool {
    let first = match searching.said {
        Said::Nothing => {
            let _ = write!(out, "* {verb}");
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

/// `* THREAD (1)(2 3)`, as much as goes at once. Whether that is all.
fn threads(searching: &mut Searching, out: &mut Vec<u8>) -> bool {
    let Answer::Threads(_, _, text) = &searching.answer else { return true };
    let first = match searching.said {
        Said::Nothing => {
            out.extend_from_slice(if text.is_empty() { b"* THREAD".as_slice() } else { b"* THREAD " });
            0
        }
        Said::Numbers(first) => first,
    };
    let end = text.len().min(first + WINDOW);
    out.extend_from_slice(&text.as_bytes()[first..end]);
    searching.said = Said::Numbers(end);
    if end < text.len() {
        return false;
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
