//! SEARCH (RFC 9051 6.4.4, 7.3.4; RFC 3501 7.2.5; RFC 5182): most of it from the folder's rows, the rest from the messages, a
//! few at a time. SORT and THREAD (RFC 5256) are searches whose answer needs more of each message that is found.

use std::fmt::Write as _;

use super::{
    Session, Task, Under,
    criteria::{Criteria, Purpose, Returned},
    matching::{Candidate, Searched, Test},
    messages::batch,
    reply::Reply,
    sequence::written,
    sort::{self, Criterion, Value},
    thread::{self, Algorithm, Member},
    view::View,
};
use crate::{
    mail::body_start,
    protocol::{
        Output,
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
}

/// What is told of the messages that fit, with what that needs of each, by its place.
#[derive(Debug)]
enum Answer {
    Numbers,
    Order(Vec<Criterion>, Vec<(usize, Vec<Value>)>),
    Threads(Algorithm, Vec<(usize, Member)>),
}

impl Answer {
    fn of(purpose: &Purpose) -> Self {
        match purpose {
            Purpose::Search => Self::Numbers,
            Purpose::Sort(criteria) => Self::Order(criteria.clone(), Vec::new()),
            Purpose::Thread(algorithm) => Self::Threads(*algorithm, Vec::new()),
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
            Answer::Threads(_, known) => known.push((place, Member::of(number(view, place, uid), row, header))),
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
        for (place, message) in searching.open[read.clone()].to_vec().into_iter().zip(&messages) {
            let candidate = candidate(view, place, self.now.utc_offset_secs);
            let by_row = searching.test.by_row(candidate);
            if by_row.unwrap_or_else(|| searching.test.holds(candidate, &Searched::of(message))) {
                searching.take(view, place, under.uid, message);
            }
        }
        searching.next = read.end;
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
        let line = match (&mut searching.answer, wanted) {
            (Answer::Numbers, Some(wanted)) if wanted.tells() => extended(view, &searching, wanted, &under),
            (Answer::Numbers, Some(_)) => String::new(),
            (Answer::Numbers, None) => plain("SEARCH", view, &searching.found, &searching, &under),
            (Answer::Order(criteria, known), _) => {
                known.sort_by(|one, other| sort::compare(criteria, &one.1, &other.1).then(one.0.cmp(&other.0)));
                let places: Vec<usize> = known.iter().map(|(place, _)| *place).collect();
                plain("SORT", view, &places, &searching, &under)
            }
            (Answer::Threads(algorithm, known), _) => {
                known.sort_by_key(|(place, _)| *place);
                let members: Vec<Member> = std::mem::take(known).into_iter().map(|(_, member)| member).collect();
                let threads = thread::written(*algorithm, &members);
                format!("* THREAD{}{threads}\r\n", if threads.is_empty() { "" } else { " " })
            }
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
fn plain(verb: &str, view: &View, places: &[usize], searching: &Searching, under: &Under) -> String {
    let mut line = format!("* {verb}");
    for place in places {
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
