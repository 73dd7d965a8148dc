//! The students of a group, and what each has shown so far. Here an event that is known to be a student's finds the checks that wait for it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use super::{
    bonds,
    checks::{
        Compiled, Deed, Rule, Setup, View,
        carried::{Carrying, Fate, Sent},
        conversation::talk::{CONNECT, Talk, Talks},
        query::Query,
        shown,
        touched::{Touch, Touching},
    },
    connections::Live,
    delivery::Delivery,
    folders::{Mailboxes, Stamp},
    marks::Cause,
    progress::{Here, Progress},
    quick::{QuickMap, QuickSet},
};
use crate::{
    evidence::{Conn, Ending, Event, EventKind, FaultMoment, Injected, MessageId, Seq, State, Timestamp, Who},
    lab::{Exercise, FaultId, Group, Key, Lab, Login, Protocol, template::Person},
    pattern::{Said, Scratch},
    words::{Phrase, phrase, quoted},
};

/// How often a command that came again and again is counted at most: more than any check asks for.
const MOST_TIMES: u32 = 64 * 1_000;

/// The most messages in another's name that a student's marks tell of, the latest.
pub const MAX_NOTES: usize = 10;

/// The students of a group.
#[derive(Debug)]
pub struct Class {
    /// The exercises in the lab's order.
    pub exercises: Vec<Arc<Exercise>>,
    /// Those whose title or hint is a template, as each student sees them.
    own: BTreeMap<(usize, usize), Arc<Exercise>>,
    /// Per exercise the place of its first check among all.
    pub first_check: Vec<usize>,
    /// All checks.
    pub checks: Vec<Compiled>,
    /// The students in the group's order.
    pub students: Vec<Student>,
    /// What belongs to nobody alone.
    pub common: Common,
    /// The last damage of the record.
    pub damage: Option<(Seq, String)>,
    talks: Talks,
    /// The checks that are no conversations.
    others: Vec<usize>,
    /// Whether any check asks for a message that the student delivered.
    asks_own: bool,
    /// Whether any check asks what became of messages for other servers.
    asks_fate: bool,
    domain: String,
    scratch: Scratch,
}

/// What belongs to the whole group.
#[derive(Debug)]
pub struct Common {
    /// The students' places.
    pub places: QuickMap<Login, usize>,
    /// The lab's own mail.
    pub injected: QuickMap<MessageId, Injected>,
    /// The notices that servers wrote, and of which student's messages.
    pub notices: QuickMap<MessageId, usize>,
    /// The student of whose message the record told last.
    told: Option<usize>,
    /// The mailboxes that checks speak of, with their folders.
    pub mailboxes: Mailboxes,
    /// Whether the lab injects mail at all.
    injects: bool,
}

/// What one student has shown in the current run.
#[derive(Debug, Default)]
pub struct Student {
    /// Per check.
    pub progress: Vec<Progress>,
    /// Per protocol, per conversation check: 1 as long as it is not done.
    open: BTreeMap<Protocol, Vec<u64>>,
    /// What the student delivered, where a check asks for it.
    own: QuickSet<MessageId>,
    /// What the student handed in for other servers, where a check asks for it, as long as it waits.
    sent: Sent,
    /// The first event of the run.
    arrived: Option<Stamp>,
    /// The reset that began the run; 0: none.
    pub reset: Seq,
    /// The faults that the student has met.
    pub met: BTreeSet<FaultId>,
    /// The last connection from before the reset that went on after it.
    pub ignored: Option<(Conn, Timestamp)>,
    /// What both of two students should know: the latest [`MAX_NOTES`].
    pub notes: VecDeque<Phrase>,
}

impl Common {
    /// Whether mailbox states count yet: not before the lab's mail came.
    fn is_settled(&self) -> bool {
        !self.injects || !self.injected.is_empty()
    }
}

impl Class {
    /// A group that has shown nothing yet.
    pub fn new(lab: &Lab, exercises: Vec<Arc<Exercise>>, group: &Group, key: &Key) -> Self {
        let person = |student| Person { lab, group, student: Some(student), key, mail: None };
        let people: Vec<Person<'_>> = group.students.iter().map(person).collect();
        let (mut talks, mut mailboxes) = (Talks::new(), Mailboxes::default());
        let mut setup =
            Setup { people: &people, talks: &mut talks, mailboxes: &mut mailboxes, asks_own: false, asks_fate: false };
        let (mut first_check, mut checks) = (Vec::new(), Vec::new());
        for exercise in &exercises {
            first_check.push(checks.len());
            for asked in &exercise.checks {
                checks.push(Compiled::new(asked, checks.len(), bonds::is_bound(exercise), &mut setup));
            }
        }
        let (asks_own, asks_fate) = (setup.asks_own, setup.asks_fate);
        talks.values_mut().for_each(Talk::index);
        let is = |wanted: fn(&Rule) -> bool| {
            let checks = checks.iter().enumerate().filter(move |(_, check)| wanted(&check.rule));
            checks.map(|(check, _)| check).collect::<Vec<usize>>()
        };
        let others = is(|rule| !matches!(rule, Rule::Conversation(_)));
        let places = group.students.iter().enumerate().map(|(place, student)| (student.login.clone(), place)).collect();
        let injects = !lab.mails.is_empty();
        let mut own = BTreeMap::new();
        for (place, exercise) in exercises.iter().enumerate() {
            if exercise.title.0.values().chain(exercise.hint.0.values()).any(|text| text.contains('{')) {
                own.extend(people.iter().enumerate().map(|(student, person)| {
                    let [title, hint] =
                        [&exercise.title, &exercise.hint].map(|text| text.map(|text| shown(text, person)));
                    ((student, place), Arc::new(Exercise { title, hint, ..(**exercise).clone() }))
                }));
            }
        }
        let mut class = Self {
            exercises,
            own,
            first_check,
            checks,
            students: Vec::new(),
            common: Common {
                places,
                injected: QuickMap::default(),
                notices: QuickMap::default(),
                told: None,
                mailboxes,
                injects,
            },
            damage: None,
            talks,
            others,
            asks_own,
            asks_fate,
            domain: group.domain.to_string(),
            scratch: Scratch::default(),
        };
        class.start_again();
        class
    }

    /// Forgets what everybody has shown.
    pub fn start_again(&mut self) {
        self.students = self.common.places.iter().map(|_| self.student(Seq(0))).collect();
        self.common.injected.clear();
        self.common.notices.clear();
        self.common.told = None;
        self.common.mailboxes.empty();
        self.damage = None;
    }

    fn student(&self, reset: Seq) -> Student {
        let fresh = |check: &Compiled| Progress { bound: check.bound, ..Progress::default() };
        let progress: Vec<Progress> = self.checks.iter().map(fresh).collect();
        let met = BTreeSet::new();
        let open = self.talks.iter().map(|(protocol, talk)| (*protocol, talk.open(&progress, &met))).collect();
        Student { progress, open, reset, met, ..Student::default() }
    }

    /// An exercise as this student sees it.
    pub fn exercise(&self, student: usize, place: usize) -> Arc<Exercise> {
        Arc::clone(self.own.get(&(student, place)).unwrap_or(&self.exercises[place]))
    }

    /// The student's place in the group.
    pub fn place(&self, login: &str) -> Option<usize> {
        self.common.places.get(login).copied()
    }

    /// What an event changes for the whole group, whoever caused it.
    pub fn witness(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Accepted { message, injected, from, .. } => {
                // A server writes a notice in the same breath as it tells what became of the message.
                if from.is_empty() && matches!(event.who, Who::Server { .. }) && event.conn == Conn(0) {
                    self.common.notices.extend(self.common.told.map(|student| (*message, student)));
                }
                let first = injected.is_some() && self.common.injected.is_empty();
                if let Some(injected) = injected {
                    self.common.injected.insert(*message, injected.clone());
                }
                self.change(event);
                if first {
                    (0..self.students.len()).for_each(|student| self.recheck_mailboxes(student));
                }
            }
            EventKind::Reset { student, .. } => {
                self.change(event);
                if let Some(place) = self.place(student.as_str()) {
                    self.students[place] = self.student(event.seq);
                }
            }
            EventKind::Deleted { .. }
            | EventKind::Appended { .. }
            | EventKind::Copied { .. }
            | EventKind::Flagged { .. }
            | EventKind::Folder { .. } => self.change(event),
            EventKind::Damaged { why } => self.damage = Some((event.seq, why.clone())),
            EventKind::Relayed { message, recipients, server, reply, tls: _ } => {
                self.fate(event, Carrying::new(Fate::Relayed, *message, recipients, server, reply));
            }
            EventKind::Deferred { message, recipients, server, reply, attempts: _, due: _ } => {
                self.fate(event, Carrying::new(Fate::Deferred, *message, recipients, server, reply));
            }
            EventKind::Bounced { message, recipients, server, reply, status, returned: _ } => {
                let carrying = Carrying::new(Fate::Bounced, *message, recipients, server, reply);
                self.fate(event, Carrying { status, ..carrying });
            }
            EventKind::Query { name, record, answer, records, tcp: _ } => {
                let Some(student) = event.who.student().and_then(|login| self.place(login.as_str())) else { return };
                let here = Here { student, conn: Conn(0), began: event.time, seq: event.seq, time: event.time };
                let asked = Query { name, record, code: answer, records: *records };
                self.tell(&here, Some(Protocol::Dns), &mut Deed::Asked(asked));
            }
            EventKind::Connected { .. }
            | EventKind::Command { .. }
            | EventKind::Secured { .. }
            | EventKind::HandshakeFailed { .. }
            | EventKind::Discarded { .. }
            | EventKind::LoneDot { .. }
            | EventKind::LoggedIn { .. }
            | EventKind::LoginFailed { .. }
            | EventKind::Queued { .. }
            | EventKind::Retrieved { .. }
            | EventKind::Disconnected { .. }
            | EventKind::Fault { .. }
            | EventKind::FaultSet { .. }
            | EventKind::FaultCleared { .. }
            | EventKind::Repeated { .. }
            | EventKind::Limited { .. }
            | EventKind::Exhausted { .. }
            | EventKind::Compacted { .. }
            | EventKind::Started { .. } => {}
        }
    }

    /// A connection has become this student's.
    pub fn begin(&self, student: usize, live: &mut Live) {
        let Some(protocol) = live.protocol else { return };
        if let (Some(talk), Some(open)) = (self.talks.get(&protocol), self.students[student].open.get(&protocol)) {
            talk.start(&mut live.track, live.first, open, &self.students[student].progress);
        }
    }

    /// Counts an event for a student.
    pub fn count(
        &mut self,
        place: usize,
        live: &mut Live,
        event: &Event,
        fetch: &mut dyn FnMut(MessageId) -> Option<Vec<u8>>,
    ) {
        // What a connection does that was open at a reset belongs to the run before it.
        if live.first <= self.students[place].reset {
            self.students[place].ignored = Some((live.conn, live.began));
            return;
        }
        if self.students[place].arrived.is_none() {
            self.students[place].arrived = Some((event.seq, event.conn, event.time));
            self.recheck_mailboxes(place);
        }
        let here = Here { student: place, conn: event.conn, began: live.began, seq: event.seq, time: event.time };
        match &event.kind {
            EventKind::Connected { service, reply, .. } => {
                live.track.secure.implicit = service.implicit_tls();
                self.hear(&here, live, CONNECT, "", reply);
            }
            EventKind::Secured { version, .. } => {
                live.track.secure.version = Some(*version);
                self.secured(&here, live);
            }
            EventKind::LoggedIn { mechanism, mailbox } => {
                live.track.secure.mechanism = Some(mechanism.clone());
                live.track.secure.mailbox = Some(mailbox.clone());
                self.secured(&here, live);
            }
            EventKind::Command { verb, line, reply, after, pipelined, times, .. } => {
                live.state = Some(*after);
                let upper = verb.bytes().any(|octet| octet.is_ascii_lowercase()) && !verb.starts_with('<');
                let verb = if upper { verb.to_ascii_uppercase().into() } else { Arc::clone(verb) };
                for _ in 0..(*times).clamp(1, MOST_TIMES) {
                    if !pipelined {
                        self.waited(&here, live, &verb);
                    }
                    self.hear(&here, live, &verb, line, reply);
                    let talk = live.protocol.and_then(|spoken| self.talks.get(&spoken));
                    if talk.is_none_or(|talk| talk.is_settled(&live.track, &verb)) {
                        break;
                    }
                }
            }
            EventKind::Accepted { message, from, recipients, delivered, octets, sha256: _, injected: None } => {
                self.put_in(place, *message);
                self.common.told = Some(place);
                let domain = self.domain.clone();
                let delivery = &mut Delivery::new((*message, *octets), (from, recipients, delivered), &domain, fetch);
                self.tell(&here, live.protocol, &mut Deed::Delivered(delivery));
            }
            EventKind::Retrieved { message, mailbox, uid: _, top, folder } => {
                let touch = Touch::Retrieved;
                let touching = Touching { touch, message: *message, mailbox, folder, top: top.is_some(), moved: false };
                self.tell(&here, live.protocol, &mut Deed::Touched(touching));
            }
            EventKind::Deleted { message, mailbox, uid: _, folder } => {
                let touching =
                    Touching { touch: Touch::Deleted, message: *message, mailbox, folder, top: false, moved: false };
                self.tell(&here, live.protocol, &mut Deed::Touched(touching));
            }
            // A message that is moved is copied and expunged (RFC 6851 3.1).
            EventKind::Copied { mailbox, from, copies, moved: true, .. } => {
                for copy in copies {
                    let touching = Touching {
                        touch: Touch::Deleted,
                        message: copy.message,
                        mailbox,
                        folder: from,
                        top: false,
                        moved: true,
                    };
                    self.tell(&here, live.protocol, &mut Deed::Touched(touching));
                }
            }
            EventKind::Appended { message, .. } => self.put_in(place, *message),
            EventKind::Queued { message, recipients } if self.asks_fate => {
                self.students[place].sent.hand_in(*message, here.conn, recipients.len());
                let carrying = Carrying::new(Fate::Queued, *message, recipients, "", "");
                self.tell(&here, live.protocol, &mut Deed::Carried(carrying));
            }
            EventKind::Disconnected { how } => self.end(&here, live, *how),
            EventKind::Fault { fault, what: FaultMoment::Struck, .. } => self.meet(place, live, fault),
            EventKind::Accepted { injected: Some(_), .. }
            | EventKind::HandshakeFailed { .. }
            | EventKind::Discarded { .. }
            | EventKind::LoneDot { .. }
            | EventKind::Queued { .. }
            | EventKind::Relayed { .. }
            | EventKind::Deferred { .. }
            | EventKind::Bounced { .. }
            | EventKind::Query { .. }
            | EventKind::LoginFailed { .. }
            | EventKind::Copied { .. }
            | EventKind::Flagged { .. }
            | EventKind::Folder { .. }
            | EventKind::Reset { .. }
            | EventKind::Fault { .. }
            | EventKind::FaultSet { .. }
            | EventKind::FaultCleared { .. }
            | EventKind::Repeated { .. }
            | EventKind::Limited { .. }
            | EventKind::Exhausted { .. }
            | EventKind::Compacted { .. }
            | EventKind::Started { .. }
            | EventKind::Damaged { .. } => {}
        }
        self.note_foreign(place, live, event);
        // What the event did to messages in folders is this student's doing.
        if self.common.mailboxes.claim(here.seq, place) {
            let spots = self.common.mailboxes.touched().to_vec();
            self.tell(&here, live.protocol, &mut Deed::Filed(&spots));
        }
        self.bind(place);
    }

    /// Lets checks that go together hold where what meets them does.
    fn bind(&mut self, place: usize) {
        let student = &mut self.students[place];
        for (exercise, first) in self.exercises.iter().zip(&self.first_check) {
            let own = *first..*first + exercise.checks.len();
            if own.clone().next().is_some_and(|check| self.checks[check].bound)
                && bonds::settle(exercise, &mut student.progress[own])
            {
                for (protocol, talk) in &self.talks {
                    student.open.insert(*protocol, talk.open(&student.progress, &student.met));
                }
            }
        }
    }

    /// A message came from one student's address in the name of another one of the group: both are told.
    fn note_foreign(&mut self, place: usize, live: &Live, event: &Event) {
        let EventKind::Accepted { message, from, injected: None, .. } = &event.kind else { return };
        let named = from.strip_suffix(&format!("@{}", self.domain)).unwrap_or(from);
        let Some(other) =
            self.place(&named.to_ascii_lowercase()).filter(|other| *other != place && live.is_by_address())
        else {
            return;
        };
        let name = |place: usize| self.common.places.iter().find(|(_, own)| **own == place);
        let (Some((own, _)), Some((named, _))) = (name(place), name(other)) else { return };
        let note = phrase("note-foreign").with("message", message.0).with("at", event.time);
        let note = note.with("address", quoted(own.as_str())).with("sender", quoted(named.as_str()));
        for place in [place, other] {
            let notes = &mut self.students[place].notes;
            if notes.len() == MAX_NOTES {
                notes.pop_front();
            }
            notes.push_back(note.clone());
        }
    }

    /// The server started again while the connection was open: it was cut, and not by the student.
    pub fn cut(&mut self, place: usize, live: &mut Live, event: &Event) {
        if live.first > self.students[place].reset {
            let here = Here { student: place, conn: live.conn, began: live.began, seq: event.seq, time: event.time };
            self.end(&here, live, Ending::Failed);
            self.bind(place);
        }
    }

    /// Tells the checks that are open what the student did.
    fn tell(&mut self, here: &Here, protocol: Option<Protocol>, deed: &mut Deed<'_, '_>) {
        let Self { students, checks, common, .. } = self;
        let Student { progress, own, arrived, .. } = &mut students[here.student];
        let view = View::new(here.student, protocol, own, *arrived, common);
        for check in &self.others {
            let compiled = &checks[*check];
            let may = compiled.after.is_none_or(|before| progress[before].held_before(here.seq));
            if may && !progress[*check].held {
                compiled.rule.kind().take(deed, &view, here, &mut progress[*check]);
            }
        }
    }

    /// A message that the student delivered, or put into a folder.
    fn put_in(&mut self, place: usize, message: MessageId) {
        if self.asks_own {
            self.students[place].own.insert(message);
        }
    }

    /// The server tells what became of a message, whoever handed it in.
    fn fate(&mut self, event: &Event, carrying: Carrying<'_>) {
        let mut students = self.students.iter().enumerate();
        let found = students.find_map(|(place, own)| Some((place, own.sent.conn(carrying.message)?)));
        if let Some((student, conn)) = found {
            let here = Here { student, conn, began: event.time, seq: event.seq, time: event.time };
            self.tell(&here, None, &mut Deed::Carried(carrying));
            self.students[student].sent.settle(&carrying);
            self.common.told = Some(student);
            self.bind(student);
        }
    }

    fn hear(&mut self, here: &Here, live: &mut Live, verb: &str, line: &str, reply: &str) {
        let Some(protocol) = live.protocol else { return };
        let student = &mut self.students[here.student];
        if let (Some(talk), Some(open)) = (self.talks.get(&protocol), student.open.get_mut(&protocol)) {
            let mut said = Said::new(protocol, (verb, line, reply), &self.domain, &mut self.scratch);
            talk.take(&mut live.track, here, &mut said, &mut student.progress, open);
        }
    }

    /// A command came after the reply to the one before it.
    fn waited(&mut self, here: &Here, live: &mut Live, verb: &str) {
        if let Some(talk) = live.protocol.and_then(|protocol| self.talks.get(&protocol)) {
            talk.waited(&mut live.track, here, verb, &mut self.students[here.student].progress);
        }
    }

    fn meet(&mut self, place: usize, live: &mut Live, fault: &FaultId) {
        let Student { progress, open, met, .. } = &mut self.students[place];
        met.insert(fault.clone());
        for (protocol, talk) in &self.talks {
            let track = (live.protocol == Some(*protocol)).then_some(&mut live.track);
            if let Some(open) = open.get_mut(protocol) {
                talk.met(fault, track, progress, open);
            }
        }
    }

    /// The connection was secured or logged in.
    fn secured(&mut self, here: &Here, live: &mut Live) {
        let Some(protocol) = live.protocol else { return };
        let Student { progress, open, .. } = &mut self.students[here.student];
        if let (Some(talk), Some(open)) = (self.talks.get(&protocol), open.get_mut(&protocol)) {
            talk.secured(&mut live.track, here, progress, open);
        }
    }

    fn end(&mut self, here: &Here, live: &mut Live, how: Ending) {
        let student = &mut self.students[here.student];
        if let Some(protocol) = live.protocol
            && let (Some(talk), Some(open)) = (self.talks.get(&protocol), student.open.get_mut(&protocol))
        {
            talk.end(&mut live.track, here, how, &mut student.progress, open);
        }
        self.tell(here, live.protocol, &mut Deed::Over);
        if let (Ending::Failed, Some(state)) = (how, live.state) {
            self.excuse(here, state);
        }
    }

    /// A session failed in this state: what was under way there is not the student's fault.
    fn excuse(&mut self, here: &Here, state: State) {
        for check in &self.others {
            let progress = &mut self.students[here.student].progress[*check];
            if !progress.held && self.checks[*check].rule.kind().was_under_way(state) {
                progress.failed = Some(Cause::Failed { conn: here.conn, at: here.time });
            }
        }
    }

    /// Messages came into folders or went, or folders did.
    fn change(&mut self, event: &Event) {
        let reset = if let EventKind::Reset { student, .. } = &event.kind { Some(student) } else { None };
        let student = reset.and_then(|student| self.place(student.as_str()));
        for mailbox in self.common.mailboxes.take(event, student) {
            for watcher in 0..self.common.mailboxes.watched(mailbox).len() {
                let (place, check) = self.common.mailboxes.watched(mailbox)[watcher];
                self.recheck(check, place);
            }
        }
    }

    /// Looks at all checks of mailboxes for a student.
    fn recheck_mailboxes(&mut self, place: usize) {
        for other in 0..self.others.len() {
            let check = self.others[other];
            if matches!(self.checks[check].rule, Rule::Mailbox(_)) {
                self.recheck(check, place);
            }
        }
    }

    /// Looks whether a check of a mailbox that may hold at any time holds now.
    fn recheck(&mut self, check: usize, place: usize) {
        let Student { progress, own, arrived, .. } = &mut self.students[place];
        let view = View::new(place, None, own, *arrived, &self.common);
        let standing = self.checks[check].rule.kind().standing(&view).filter(|standing| !standing.now);
        if let Some(proof) = standing.and_then(|standing| standing.proof).filter(|_| !progress[check].held) {
            progress[check].proven(proof, 1);
        }
    }

    /// What a student's checks may look at.
    pub fn view(&self, place: usize) -> View<'_> {
        let student = &self.students[place];
        View::new(place, None, &student.own, student.arrived, &self.common)
    }
}

impl<'a> View<'a> {
    fn new(
        student: usize,
        protocol: Option<Protocol>,
        own: &'a QuickSet<MessageId>,
        arrived: Option<Stamp>,
        common: &'a Common,
    ) -> Self {
        let Common { places, injected, notices, mailboxes, .. } = common;
        Self { student, protocol, own, arrived, injected, notices, places, mailboxes, settled: common.is_settled() }
    }
}
