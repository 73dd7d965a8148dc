//! The steps of all conversation checks of a protocol, followed at once over each connection, each check as a small automaton
//! whose states are the bits of a `u64`:
//!
//! ```text
//!  bit 0 ──step 1──▶ bit 1 ──step 2──▶ bit 2 … bit n      bit i: "the first i steps came"; it stays set, as others may come between,
//!    ╰ ! steps clear it    ╰ ! steps clear it             until a `!` step that stands after step i clears it
//! ```
//! Bit n proves the check, at once or, where `!` steps stand last, when the connection ends.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Check, proof};
use crate::{
    evidence::{Ending, Seq},
    lab::{
        FaultId, Login, Protocol, TlsVersion,
        exercise::{Terms, TlsMode},
        template::Person,
    },
    marking::{
        marks::{Cause, Proof},
        progress::{Here, Progress},
        quick::QuickMap,
    },
    pattern::{Filled, Fit, Reply, Said},
    words::{Phrase, listed, phrase, quoted},
};

/// The conversation checks by protocol.
pub type Talks = BTreeMap<Protocol, Talk>;

/// The verb under which a greeting is looked up.
pub const CONNECT: &str = "<connect>";

/// The conversation checks of one protocol.
#[derive(Debug, Default)]
pub struct Talk {
    rules: Vec<Automaton>,
    /// The rows of `interests` by verb.
    rows: QuickMap<Box<str>, u16>,
    /// The verbs by row.
    verbs: Vec<Arc<str>>,
    /// Who cares for a verb; the last row is that of all verbs that no step names.
    interests: Vec<Vec<Interest>>,
    /// How many hits a track keeps.
    hits: usize,
    /// The rules that wait for another check.
    waiting: Vec<usize>,
    /// Whether any check wants its steps pipelined.
    pipelined: bool,
}

#[derive(Debug)]
struct Automaton {
    /// The check's place among all checks.
    check: usize,
    times: u32,
    steps: Vec<Step>,
    /// Per state the forbidding steps that clear it; the last for the state that proves.
    forbidden: Vec<Vec<Step>>,
    /// Where its hits begin in a track.
    hits: usize,
    /// Whether states may be cleared, so that each must remember its own way.
    branching: bool,
    /// The fault that must have been met before the first step.
    fault: Option<FaultId>,
    /// Whether only the connection that met it counts.
    during: bool,
    terms: Terms,
    /// Per student the mailbox of the login.
    auth_as: Option<Box<[String]>>,
    /// Whether the steps may come in any order: then bit i + 1 says that step i has come.
    any_order: bool,
    /// The check that must have held before the connection began, by its place among all checks.
    after: Option<usize>,
    /// Whether its steps must come one after the other without waiting for replies.
    pipelined: bool,
}

#[derive(Debug)]
struct Step {
    verbs: Vec<Box<str>>,
    argument: Option<Filled>,
    reply: Option<Reply>,
}

/// What a verb can do to a rule.
#[derive(Debug, Clone, Copy)]
struct Interest {
    rule: usize,
    /// The states that it may advance.
    advance: u64,
    /// The states that it may clear.
    forbid: u64,
}

/// How far one connection got with each rule.
#[derive(Debug, Default)]
pub struct Track {
    /// The connection's first event.
    first: Seq,
    states: Vec<u64>,
    hits: Vec<Hit>,
    /// The rules whose last step came with the last command, but not on a connection as they want it.
    unfit: Vec<usize>,
    /// How the connection is secured and logged in so far.
    pub secure: Secure,
}

/// How a connection is secured and logged in.
#[derive(Debug, Default)]
pub struct Secure {
    /// Whether its service has TLS from the first octet.
    pub implicit: bool,
    /// The version, once there is TLS.
    pub version: Option<TlsVersion>,
    /// The mechanism of the last login.
    pub mechanism: Option<String>,
    /// The mailbox of the last login.
    pub mailbox: Option<Login>,
}

impl Secure {
    fn mode(&self) -> TlsMode {
        match self.version {
            _ if self.implicit => TlsMode::Implicit,
            Some(_) => TlsMode::Starttls,
            None => TlsMode::Clear,
        }
    }

    /// Whether the connection is what these terms want.
    fn meets(&self, terms: &Terms, login: Option<&str>) -> bool {
        terms.tls.is_none_or(|wanted| wanted == self.mode())
            && terms.version.is_none_or(|wanted| self.version == Some(wanted))
            && terms.auth.as_deref().is_none_or(|wanted| self.mechanism.as_deref() == Some(wanted))
            && login.is_none_or(|wanted| self.mailbox.as_ref().is_some_and(|own| own.as_str() == wanted))
    }

    /// What of the connection is otherwise than these terms want.
    fn otherwise(&self, terms: &Terms, login: Option<&str>) -> Phrase {
        let mode = terms.tls.filter(|wanted| *wanted != self.mode()).map(|_| match self.mode() {
            TlsMode::Clear => phrase("was-clear"),
            TlsMode::Starttls => phrase("was-starttls"),
            TlsMode::Implicit => phrase("was-implicit"),
        });
        let version = self.version.filter(|own| mode.is_none() && terms.version.is_some_and(|wanted| wanted != *own));
        let version = version.map(|version| phrase("was-version").with("version", version.as_str()));
        let auth = terms.auth.as_deref().filter(|wanted| self.mechanism.as_deref() != Some(wanted));
        let auth = auth.map(|_| match &self.mechanism {
            Some(mechanism) => phrase("was-auth").with("mechanism", mechanism.as_str()),
            None => phrase("was-nobody"),
        });
        let login = login.filter(|wanted| self.mailbox.as_ref().is_none_or(|own| own.as_str() != *wanted));
        let login = login.filter(|_| auth.is_none()).map(|_| match &self.mailbox {
            Some(mailbox) => phrase("was-as").with("mailbox", quoted(mailbox.as_str())),
            None => phrase("was-nobody"),
        });
        let all = [mode, version, auth, login].into_iter().flatten();
        phrase("attempt-terms").with("how", listed(all.map(Into::into)))
    }
}

/// A command that matched a step.
#[derive(Debug, Clone, Copy, Default)]
struct Hit {
    seq: Seq,
    row: u16,
}

impl Talk {
    /// Adds a check.
    pub fn add(&mut self, check: usize, after: Option<usize>, conversation: &Check, people: &[Person<'_>]) {
        let mut rule = Automaton {
            check,
            after,
            times: conversation.times.max(1),
            steps: Vec::new(),
            forbidden: vec![Vec::new()],
            hits: self.hits,
            branching: conversation.steps.iter().any(|step| step.forbidden),
            fault: conversation.fault.clone(),
            during: conversation.during,
            terms: conversation.terms.clone(),
            auth_as: conversation.terms.auth_as.as_ref().map(|name| people.iter().map(|person| person.fill(name)).collect()),
            any_order: conversation.any_order,
            pipelined: conversation.pipelined,
        };
        self.pipelined |= conversation.pipelined;
        for written in &conversation.steps {
            let step = Step {
                verbs: written.verbs.iter().map(|verb| spelt(verb)).collect(),
                argument: written.argument.as_ref().map(|pattern| Filled::new(pattern, people)),
                reply: written.reply.as_ref().map(|pattern| Reply::new(pattern, people)),
            };
            if written.forbidden {
                rule.forbidden[rule.steps.len()].push(step);
            } else {
                rule.steps.push(step);
                rule.forbidden.push(Vec::new());
            }
        }
        self.hits += rule.room();
        self.waiting.extend(rule.after.map(|_| self.rules.len()));
        self.rules.push(rule);
    }

    /// Makes the index of verbs; to be called once, after the last [`Talk::add`].
    pub fn index(&mut self) {
        let named = self.rules.iter().flat_map(|rule| rule.steps.iter().chain(rule.forbidden.iter().flatten()));
        for verb in named.flat_map(|step| &step.verbs).filter(|verb| &***verb != "*") {
            if !self.rows.contains_key(verb) {
                self.rows.insert(verb.clone(), u16::try_from(self.verbs.len()).unwrap_or(u16::MAX));
                self.verbs.push(Arc::from(&**verb));
            }
        }
        self.verbs.push("*".into());
        self.interests = self.verbs.iter().map(|verb| self.interested(verb)).collect();
    }

    fn interested(&self, verb: &str) -> Vec<Interest> {
        let wants = |step: &Step| step.wants(verb);
        let bits = |hit: &dyn Fn(usize) -> bool, count: usize| {
            (0..count).filter(|place| hit(*place)).fold(0_u64, |bits, place| bits | 1 << place)
        };
        let interests = self.rules.iter().enumerate().map(|(place, rule)| Interest {
            rule: place,
            advance: bits(&|state| wants(&rule.steps[state]), rule.steps.len()),
            forbid: bits(&|state| rule.forbidden[state].iter().any(wants), rule.forbidden.len()),
        });
        interests.filter(|interest| interest.advance | interest.forbid != 0).collect()
    }

    /// 1 for each rule that a student with this progress, who has met these faults, still needs.
    pub fn open(&self, progress: &[Progress], met: &BTreeSet<FaultId>) -> Vec<u64> {
        let may = |rule: &Automaton| rule.fault.as_ref().is_none_or(|fault| !rule.during && met.contains(fault));
        self.rules.iter().map(|rule| u64::from(!progress[rule.check].held && may(rule))).collect()
    }

    /// The student has met a fault: what waits for that begins here, in this connection (if it is of this protocol) and, where
    /// that may be, in those to come.
    pub fn met(&self, fault: &FaultId, track: Option<&mut Track>, progress: &[Progress], open: &mut [u64]) {
        let waits = |rule: &Automaton| rule.fault.as_ref() == Some(fault) && !progress[rule.check].held;
        let places: Vec<usize> = (0..self.rules.len()).filter(|place| waits(&self.rules[*place])).collect();
        for place in places.iter().filter(|place| !self.rules[**place].during) {
            open[*place] = 1;
        }
        if let Some(track) = track {
            let first = track.first;
            for place in places.into_iter().filter(|place| self.rules[*place].may_begin(first, progress)) {
                track.states[place] |= 1;
            }
        }
    }

    /// A command comes that waited for the reply to the one before: no way goes on that is to be pipelined.
    pub fn waited(&self, track: &mut Track, here: &Here, verb: &str, progress: &mut [Progress]) {
        if !self.pipelined {
            return;
        }
        for (rule, states) in self.rules.iter().zip(&mut track.states).filter(|(rule, _)| rule.pipelined) {
            let way = *states & !1;
            if way != 0 && *states >> rule.steps.len() & 1 == 0 {
                progress[rule.check].waited(here, 63 - way.leading_zeros() as usize, verb);
            }
            *states &= 1 | 1 << rule.steps.len();
        }
    }

    /// Starts a connection whose first event is `first`; `open` has 1 for each rule that the student still needs.
    pub fn start(&self, track: &mut Track, first: Seq, open: &[u64], progress: &[Progress]) {
        track.first = first;
        track.states.clear();
        track.states.extend_from_slice(open);
        for place in &self.waiting {
            if !self.rules[*place].may_begin(first, progress) {
                track.states[*place] = 0;
            }
        }
        track.unfit.clear();
        track.hits.resize(self.hits, Hit::default());
    }

    /// Takes a greeting or a command of the connection.
    pub fn take(
        &self,
        track: &mut Track,
        here: &Here,
        said: &mut Said<'_>,
        progress: &mut [Progress],
        open: &mut [u64],
    ) {
        let row = self.row(said.verb);
        // What the last command did not settle is settled now: what is secured later was not when the step came.
        while let Some(place) = track.unfit.pop() {
            track.states[place] &= !(1 << self.rules[place].steps.len());
        }
        for interest in &self.interests[usize::from(row)] {
            let states = track.states[interest.rule];
            if self.rules[interest.rule].any_order {
                if states & 1 == 1 && interest.advance & !(states >> 1) != 0 {
                    let hit = Hit { seq: here.seq, row };
                    self.gather(*interest, hit, track, here, said, progress, open);
                }
                continue;
            }
            // A state whose successor is set has nothing to gain, unless that one is cleared by this very command.
            if states & interest.forbid | states & interest.advance & !(states >> 1) != 0 {
                let hit = Hit { seq: here.seq, row };
                self.advance(*interest, hit, track, here, said, progress, open);
            }
        }
    }

    /// Whether the same verb again changes nothing.
    pub fn is_settled(&self, track: &Track, verb: &str) -> bool {
        let settled = |interest: &Interest| {
            let states = track.states[interest.rule];
            states & interest.forbid | states & interest.advance & !(states >> 1) == 0
        };
        track.unfit.is_empty() && self.interests[usize::from(self.row(verb))].iter().all(settled)
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one marker, borrowed apart")]
    fn advance(
        &self,
        interest: Interest,
        hit: Hit,
        track: &mut Track,
        here: &Here,
        said: &mut Said<'_>,
        progress: &mut [Progress],
        open: &mut [u64],
    ) {
        let rule = &self.rules[interest.rule];
        let before = track.states[interest.rule];
        let mut alive = before;
        for state in bits(before & interest.forbid) {
            let forbidden = |step: &Step| step.wants(said.verb) && step.fits(here.student, said) == Fit::Yes;
            if rule.forbidden[state].iter().any(forbidden) {
                alive &= !(1 << state);
            }
        }
        let top = 63 - (before | 1).leading_zeros() as usize;
        let mut reached = 0_u64;
        let own = &mut progress[rule.check];
        let mut near = false;
        // From the last state to the first: the way to a state is copied before it is written anew.
        for state in bits_down(before & interest.advance & !(alive >> 1)) {
            match rule.steps[state].fits(here.student, said) {
                Fit::Yes => {
                    reached |= 1 << (state + 1);
                    rule.keep(track, state, hit);
                }
                Fit::Argument | Fit::Reply if state != top || own.held => {}
                fit @ (Fit::Argument | Fit::Reply) => {
                    near = true;
                    own.near(here, state, fit, said);
                }
            }
        }
        track.states[interest.rule] = alive | reached;
        let whole = reached >> rule.steps.len() & 1 == 1;
        if whole && !rule.meets(track, here) {
            // It may still become what is wanted: a login and a handshake stand behind the command that they answer.
            track.unfit.push(interest.rule);
            own.unfit(here, rule.steps.len(), track.secure.otherwise(&rule.terms, rule.login(here)));
        } else if whole && rule.proves_at_once() {
            self.prove(interest.rule, track, here, None, progress, open);
        } else if reached != 0 {
            own.advanced(here, 63 - reached.leading_zeros() as usize);
        } else if alive >> top & 1 == 0 && !near {
            // What was nearly the wanted explains more than that it was something forbidden.
            own.broken(here, top, said.verb);
        }
    }

    /// A command comes that may be one of several steps whose order does not matter.
    #[expect(clippy::too_many_arguments, reason = "the parts of one marker, borrowed apart")]
    fn gather(
        &self,
        interest: Interest,
        hit: Hit,
        track: &mut Track,
        here: &Here,
        said: &mut Said<'_>,
        progress: &mut [Progress],
        open: &mut [u64],
    ) {
        let rule = &self.rules[interest.rule];
        let states = track.states[interest.rule];
        let mut unseen = bits(interest.advance & !(states >> 1));
        let Some(step) = unseen.find(|step| rule.steps[*step].fits(here.student, said) == Fit::Yes) else { return };
        let states = states | 1 << (step + 1);
        track.states[interest.rule] = states;
        track.hits[rule.hits + step] = hit;
        let own = &mut progress[rule.check];
        own.gathered(here, states);
        if rule.is_whole(states) && rule.meets(track, here) {
            self.prove(interest.rule, track, here, None, progress, open);
        } else if rule.is_whole(states) {
            track.unfit.push(interest.rule);
            own.unfit(here, rule.steps.len(), track.secure.otherwise(&rule.terms, rule.login(here)));
        }
    }

    /// The connection was secured or logged in: what had its last step with the last command may be proven now.
    pub fn secured(&self, track: &mut Track, here: &Here, progress: &mut [Progress], open: &mut [u64]) {
        let (fit, unfit) = track.unfit.iter().partition(|place| self.rules[**place].meets(track, here));
        track.unfit = unfit;
        for place in &track.unfit {
            let rule = &self.rules[*place];
            let why = track.secure.otherwise(&rule.terms, rule.login(here));
            progress[rule.check].unfit(here, rule.steps.len(), why);
        }
        let fit: Vec<usize> = fit;
        for place in fit {
            let rule = &self.rules[place];
            if rule.proves_at_once() {
                self.prove(place, track, here, Some(here.seq), progress, open);
            }
        }
    }

    /// The connection ended.
    pub fn end(&self, track: &mut Track, here: &Here, how: Ending, progress: &mut [Progress], open: &mut [u64]) {
        for (place, rule) in self.rules.iter().enumerate() {
            let states = track.states[place];
            let own = &mut progress[rule.check];
            if own.held || states <= 1 && own.attempt.conn != here.conn {
                continue;
            }
            if states > 1 && rule.is_whole(states) && !track.unfit.contains(&place) {
                self.prove(place, track, here, Some(here.seq), progress, open);
                continue;
            }
            match how {
                Ending::Failed if states <= 1 => {}
                Ending::Failed => own.failed = Some(Cause::Failed { conn: here.conn, at: here.time }),
                Ending::Shutdown | Ending::Instructor => {}
                // A whole try tells what is missing, whatever came of one before.
                Ending::Quit | Ending::Dropped | Ending::Idle | Ending::Refused | Ending::Fault => own.failed = None,
            }
            own.ended(here, how);
        }
    }

    fn prove(
        &self,
        place: usize,
        track: &mut Track,
        here: &Here,
        end: Option<Seq>,
        progress: &mut [Progress],
        open: &mut [u64],
    ) {
        let rule = &self.rules[place];
        track.states[place] = 0;
        // What it comes after may have been taken back since the connection began.
        if !rule.may_begin(track.first, progress) {
            return;
        }
        let own = &mut progress[rule.check];
        if own.held {
            return;
        }
        let way = rule.way(track, rule.steps.len());
        let proof = Proof {
            events: way.iter().map(|hit| hit.seq).chain(end).collect::<BTreeSet<Seq>>().into_iter().collect(),
            conn: here.conn,
            at: here.time,
            message: None,
            shows: proof(here.conn.0, way.iter().map(|hit| &*self.verbs[usize::from(hit.row)])),
        };
        own.proven(proof, rule.times);
        if own.held {
            open[place] = 0;
        }
    }

    fn row(&self, verb: &str) -> u16 {
        let other = u16::try_from(self.verbs.len().saturating_sub(1)).unwrap_or(u16::MAX);
        self.rows.get(verb).copied().unwrap_or(other)
    }
}

impl Automaton {
    /// Whether a connection that began with this event comes after what the rule waits for.
    fn may_begin(&self, first: Seq, progress: &[Progress]) -> bool {
        self.after.is_none_or(|before| progress[before].held_before(first))
    }

    /// Whether all steps have come.
    fn is_whole(&self, states: u64) -> bool {
        let steps = self.steps.len();
        if self.any_order { (states >> 1).count_ones() as usize == steps } else { states >> steps & 1 == 1 }
    }

    /// Whether the connection is what the check wants.
    fn meets(&self, track: &Track, here: &Here) -> bool {
        track.secure.meets(&self.terms, self.login(here))
    }

    /// As whom the student is to log in.
    fn login(&self, here: &Here) -> Option<&str> {
        self.auth_as.as_ref().map(|names| names[here.student].as_str())
    }

    /// Whether the last step proves it; with forbidding steps behind that, only the end of the connection does.
    fn proves_at_once(&self) -> bool {
        self.forbidden[self.steps.len()].is_empty()
    }

    /// How many hits a track keeps for it: one way for all states or, where states may be cleared, one for each.
    fn room(&self) -> usize {
        let steps = self.steps.len();
        if self.branching { steps * (steps + 1) / 2 } else { steps }
    }

    /// Where the way to `state` begins.
    fn at(&self, state: usize) -> usize {
        self.hits + if self.branching { state * state.saturating_sub(1) / 2 } else { 0 }
    }

    /// The hits that led to `state`.
    fn way<'a>(&self, track: &'a Track, state: usize) -> &'a [Hit] {
        &track.hits[self.at(state)..][..state]
    }

    /// Writes the way to the state after `state`.
    fn keep(&self, track: &mut Track, state: usize, hit: Hit) {
        let (from, to) = (self.at(state), self.at(state + 1));
        track.hits.copy_within(from..from + state, to);
        track.hits[to + state] = hit;
    }
}

impl Step {
    fn wants(&self, verb: &str) -> bool {
        self.verbs.iter().any(|own| **own == *verb || (&**own == "*" && verb != CONNECT))
    }

    fn fits(&self, student: usize, said: &mut Said<'_>) -> Fit {
        if self.argument.as_ref().is_some_and(|pattern| !said.has_argument(pattern.of(student))) {
            Fit::Argument
        } else if self.reply.as_ref().is_some_and(|reply| !said.has_reply(reply, student)) {
            Fit::Reply
        } else {
            Fit::Yes
        }
    }
}

/// A verb of a step as events spell it.
fn spelt(verb: &str) -> Box<str> {
    if verb.starts_with('<') { verb.to_ascii_lowercase().into() } else { verb.into() }
}

fn bits(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(place)
    })
}

fn bits_down(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = (set != 0).then(|| 63 - set.leading_zeros() as usize)?;
        set &= !(1 << place);
        Some(place)
    })
}
