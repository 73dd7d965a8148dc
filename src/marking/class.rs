//! The students of a group, and what each has shown so far. Here an event that is known to be a student's finds the checks that wait for it.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    hash::BuildHasherDefault,
    sync::Arc,
};

use super::{
    MAX_CONTRADICTIONS,
    asked::Asked,
    carried::{Carrying, Sent},
    connections::Live,
    conversation::CONNECT,
    delivery::Delivery,
    folders::Cabinets,
    marks::{Cause, Contradiction, Shown},
    progress::{Here, Progress},
    quick::{Quick, QuickMap},
    rules::Rules,
    said::{Said, Scratch},
    touched::{Touch, Touching},
};
use crate::{
    evidence::{Conn, Ending, Event, EventKind, FaultMoment, Injected, MessageId, Seq, State, Timestamp},
    lab::{Exercise, FaultId, Group, Key, Lab, Login, Protocol, exercise::Which, template::Person, witness::Fate},
};

/// The students of a group.
#[derive(Debug)]
pub struct Class {
    /// The lab's checks.
    pub rules: Rules,
    /// The students in the group's order.
    pub students: Vec<Student>,
    /// The mailboxes that checks speak of, with their folders.
    pub cabinets: Cabinets,
    /// The last damage of the record.
    pub damage: Option<(Seq, String)>,
    places: QuickMap<Login, usize>,
    injected: QuickMap<MessageId, Injected>,
    domain: String,
    scratch: Scratch,
}

/// What one student has shown in the current run.
#[derive(Debug, Default)]
pub struct Student {
    /// Per check.
    pub progress: Vec<Progress>,
    /// Per protocol, per conversation check: 1 as long as it is not done.
    open: BTreeMap<Protocol, Vec<u64>>,
    /// What the student delivered, where a check asks for it, and over which connection.
    own: HashMap<MessageId, Conn, BuildHasherDefault<Quick>>,
    /// What the student handed in for other servers, where a check asks for it, as long as it waits.
    pub sent: Sent,
    /// The first event of the run.
    pub arrived: Option<(Seq, Conn, Timestamp)>,
    /// The reset that began the run; 0: none.
    pub reset: Seq,
    /// The faults that the student has met, each with the connection that met it first.
    pub met: BTreeMap<FaultId, Conn>,
    /// The latest connections that count for this student and another one no more.
    pub contradictions: VecDeque<Contradiction>,
}

impl Class {
    /// A group that has shown nothing yet.
    pub fn new(lab: &Lab, exercises: Vec<Arc<Exercise>>, group: &Group, key: &Key) -> Self {
        let person = |student| Person { lab, group, student: Some(student), key, mail: None };
        let people: Vec<Person<'_>> = group.students.iter().map(person).collect();
        let (rules, cabinets) = Rules::new(lab, exercises, &people);
        let places = group.students.iter().enumerate().map(|(place, student)| (student.login.clone(), place));
        Self {
            students: group.students.iter().map(|_| Student::new(&rules, Seq(0))).collect(),
            places: places.collect(),
            rules,
            cabinets,
            damage: None,
            injected: QuickMap::default(),
            domain: group.domain.to_string(),
            scratch: Scratch::default(),
        }
    }

    /// The student's place in the group.
    pub fn place(&self, login: &str) -> Option<usize> {
        self.places.get(login).copied()
    }

    /// What an event changes for the whole group, whoever caused it.
    pub fn witness(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Accepted { message, injected, .. } => {
                let first = injected.is_some() && self.injected.is_empty();
                if let Some(injected) = injected {
                    self.injected.insert(*message, injected.clone());
                }
                self.change(event);
                if first {
                    (0..self.students.len()).for_each(|student| self.look_round(student));
                }
            }
            EventKind::Reset { student, .. } => {
                self.change(event);
                if let Some(place) = self.place(student.as_str()) {
                    self.students[place] = Student::new(&self.rules, event.seq);
                }
            }
            EventKind::Deleted { .. }
            | EventKind::Appended { .. }
            | EventKind::Copied { .. }
            | EventKind::Flagged { .. }
            | EventKind::Folder { .. } => self.change(event),
            EventKind::Damaged { why } => self.damage = Some((event.seq, why.clone())),
            EventKind::Relayed { message, recipients, server, reply, tls: _ } => {
                self.fate(event, &Carrying::new(Fate::Relayed, *message, recipients, server, reply));
            }
            EventKind::Deferred { message, recipients, server, reply, attempts: _, due: _ } => {
                self.fate(event, &Carrying::new(Fate::Deferred, *message, recipients, server, reply));
            }
            EventKind::Bounced { message, recipients, server, reply, status, returned: _ } => {
                let carrying = Carrying::new(Fate::Bounced, *message, recipients, server, reply);
                self.fate(event, &Carrying { status, ..carrying });
            }
            EventKind::Query { name, record, answer, records, tcp: _ } => {
                self.ask(event, Asked { name, record, code: answer, records: *records });
            }
            EventKind::Connected { .. }
            | EventKind::Command { .. }
            | EventKind::Secured { .. }
            | EventKind::HandshakeFailed { .. }
            | EventKind::Discarded { .. }
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
            | EventKind::Started { .. } => {}
        }
    }

    /// A connection has become this student's.
    pub fn begin(&self, student: usize, live: &mut Live) {
        let Some(protocol) = live.protocol else { return };
        if let (Some(talk), Some(open)) = (self.rules.talks.get(&protocol), self.students[student].open.get(&protocol))
        {
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
            return;
        }
        if self.students[place].arrived.is_none() {
            self.students[place].arrived = Some((event.seq, event.conn, event.time));
            self.look_round(place);
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
            EventKind::LoggedIn { mechanism, .. } => {
                live.track.secure.mechanism = Some(mechanism.clone());
                self.secured(&here, live);
            }
            EventKind::Command { verb, line, reply, after, pipelined, .. } => {
                live.state = Some(*after);
                if !pipelined {
                    self.waited(&here, live, verb);
                }
                if verb.bytes().any(|octet| octet.is_ascii_lowercase()) && !verb.starts_with('<') {
                    self.hear(&here, live, &verb.to_ascii_uppercase(), line, reply);
                } else {
                    self.hear(&here, live, verb, line, reply);
                }
            }
            EventKind::Accepted { message, from, recipients, delivered, octets, sha256: _, injected: None } => {
                let delivery =
                    &mut Delivery::new((*message, *octets), (from, recipients, delivered), &self.domain, fetch);
                deliver(&self.rules, &here, delivery, &mut self.students[place]);
            }
            EventKind::Retrieved { message, mailbox, uid: _, top, folder } => {
                let (touch, message, top) = (Touch::Retrieved, *message, top.is_some());
                self.touch(&here, live, &Touching { touch, message, mailbox, folder, top });
            }
            EventKind::Deleted { message, mailbox, uid: _, folder } => {
                let (touch, message) = (Touch::Deleted, *message);
                self.touch(&here, live, &Touching { touch, message, mailbox, folder, top: false });
            }
            EventKind::Appended { message, .. } => {
                if self.rules.asks_own {
                    self.students[place].own.entry(*message).or_insert(here.conn);
                }
            }
            EventKind::Queued { message, recipients } => self.hand_in(&here, *message, recipients),
            EventKind::Disconnected { how } => self.end(&here, live, *how),
            EventKind::Fault { fault, what: FaultMoment::Struck, .. } => self.meet(&here, live, fault),
            EventKind::Accepted { injected: Some(_), .. }
            | EventKind::HandshakeFailed { .. }
            | EventKind::Discarded { .. }
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
            | EventKind::Started { .. }
            | EventKind::Damaged { .. } => {}
        }
        self.file(&here);
    }

    /// A connection came to one student's address and logged in as another: what it gave is taken back.
    pub fn contradict(&mut self, address: usize, login: usize, live: &Live, event: &Event) {
        self.students[address].disown(&self.rules, live.conn);
        self.cabinets.disown(live.conn);
        let name = |place| self.places.iter().find(|(_, own)| **own == place).map(|(name, _)| name.clone());
        let (Some(from), Some(to)) = (name(address), name(login)) else { return };
        let found = Contradiction { conn: live.conn, at: event.time, address: from, login: to };
        for student in [address, login] {
            let student = &mut self.students[student];
            if live.first <= student.reset {
                continue;
            }
            if student.contradictions.len() == MAX_CONTRADICTIONS {
                student.contradictions.pop_front();
            }
            student.contradictions.push_back(found.clone());
        }
    }

    /// The server started again while the connection was open: it was cut, and not by the student.
    pub fn cut(&mut self, place: usize, live: &mut Live, event: &Event) {
        if live.first > self.students[place].reset {
            let here = Here { student: place, conn: live.conn, began: live.began, seq: event.seq, time: event.time };
            self.end(&here, live, Ending::Failed);
        }
    }

    fn hear(&mut self, here: &Here, live: &mut Live, verb: &str, line: &str, reply: &str) {
        let Some(protocol) = live.protocol else { return };
        let student = &mut self.students[here.student];
        if let (Some(talk), Some(open)) = (self.rules.talks.get(&protocol), student.open.get_mut(&protocol)) {
            let mut said = Said::new(protocol, (verb, line, reply), &self.domain, &mut self.scratch);
            talk.take(&mut live.track, here, &mut said, &mut student.progress, open);
        }
    }

    /// A command came after the reply to the one before it.
    fn waited(&mut self, here: &Here, live: &mut Live, verb: &str) {
        if let Some(talk) = live.protocol.and_then(|protocol| self.rules.talks.get(&protocol)) {
            talk.waited(&mut live.track, here, verb, &mut self.students[here.student].progress);
        }
    }

    fn meet(&mut self, here: &Here, live: &mut Live, fault: &FaultId) {
        let Student { progress, open, met, .. } = &mut self.students[here.student];
        met.entry(fault.clone()).or_insert(here.conn);
        for (protocol, talk) in &self.rules.talks {
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
        if let (Some(talk), Some(open)) = (self.rules.talks.get(&protocol), open.get_mut(&protocol)) {
            talk.secured(&mut live.track, here, progress, open);
        }
    }

    fn touch(&mut self, here: &Here, live: &Live, touching: &Touching<'_>) {
        for rule in &self.rules.touched {
            if self.students[here.student].waits_for(&self.rules, rule.check, here) {
                let the_one = self.is_the_one(here.student, &rule.wanted.what, touching.message);
                let progress = &mut self.students[here.student].progress[rule.check];
                rule.take(here, live.protocol, touching, the_one, progress);
            }
        }
    }

    /// Whether a message is the one that a check wants of a student.
    pub fn is_the_one(&self, student: usize, what: &Which, message: MessageId) -> bool {
        match what {
            Which::Any => true,
            Which::Own => self.students[student].own.contains_key(&message),
            Which::Injected(mail) => self.injected.get(&message).is_some_and(|injected| {
                let mine = |login| self.places.get(login) == Some(&student);
                injected.mail == *mail && injected.student.as_ref().is_none_or(mine)
            }),
        }
    }

    /// Credits a student with what the event at hand did to messages in folders.
    fn file(&mut self, here: &Here) {
        if self.rules.filed.is_empty() || !self.cabinets.claim(here.seq, here.student) {
            return;
        }
        let touched = self.cabinets.touched();
        for rule in self.rules.filed.iter().filter(|rule| !rule.now) {
            let the_one = |message| self.is_the_one(here.student, &rule.what, message);
            let proof = rule.proof(here.student, &self.cabinets, touched, the_one);
            let student = &mut self.students[here.student];
            if let Some(proof) = proof.filter(|_| student.waits_for(&self.rules, rule.check, here)) {
                student.progress[rule.check].proven(proof, 1);
            }
        }
    }

    fn end(&mut self, here: &Here, live: &mut Live, how: Ending) {
        let student = &mut self.students[here.student];
        if let Some(protocol) = live.protocol
            && let (Some(talk), Some(open)) = (self.rules.talks.get(&protocol), student.open.get_mut(&protocol))
        {
            talk.end(&mut live.track, here, how, &mut student.progress, open);
        }
        for rule in &self.rules.messages {
            rule.end(here, &mut student.progress[rule.check]);
        }
        if how == Ending::Failed {
            student.excuse(&self.rules, live.state, &Cause::Failed { conn: here.conn, at: here.time });
        }
    }

    /// Messages came into folders or went, or folders did.
    fn change(&mut self, event: &Event) {
        let reset = if let EventKind::Reset { student, .. } = &event.kind { Some(student) } else { None };
        let student = reset.and_then(|student| self.place(student.as_str()));
        for mailbox in self.cabinets.take(event, student) {
            for watcher in 0..self.cabinets.watched(mailbox).len() {
                let (place, rule) = self.cabinets.watched(mailbox)[watcher];
                self.look(rule, place);
            }
        }
    }

    /// Looks at all mailbox checks of a student.
    fn look_round(&mut self, place: usize) {
        for rule in 0..self.rules.mailboxes.len() {
            self.look(rule, place);
        }
    }

    /// Looks whether a mailbox check that may hold at any time holds now.
    fn look(&mut self, rule: usize, place: usize) {
        let rule = &self.rules.mailboxes[rule];
        if rule.now || !self.settled() {
            return;
        }
        let student = &mut self.students[place];
        let progress = &mut student.progress[rule.check];
        let arrived = student.arrived.filter(|_| !progress.held);
        if let Some(proof) = arrived.and_then(|arrived| rule.proof(place, &self.cabinets, arrived)) {
            progress.proven(proof, 1);
        }
    }

    /// Whether mailbox states count yet: not before the lab's mail came.
    pub fn settled(&self) -> bool {
        !self.rules.injects || !self.injected.is_empty()
    }
}

fn deliver(rules: &Rules, here: &Here, delivery: &mut Delivery<'_>, student: &mut Student) {
    if rules.asks_own {
        student.own.entry(delivery.message).or_insert(here.conn);
    }
    for rule in &rules.messages {
        if !student.waits_for(rules, rule.check, here) {
            continue;
        }
        let progress = &mut student.progress[rule.check];
        if rule.take(here, delivery, rules.checks[rule.check].wanted(here.student), progress) {
            progress.failed = Some(Cause::ContentLost(delivery.message));
        }
    }
}

impl Student {
    fn new(rules: &Rules, reset: Seq) -> Self {
        let mut student = Self {
            progress: rules.checks.iter().map(|_| Progress::default()).collect(),
            open: BTreeMap::new(),
            own: HashMap::default(),
            sent: Sent::default(),
            met: BTreeMap::new(),
            arrived: None,
            reset,
            contradictions: VecDeque::new(),
        };
        student.look_open(rules);
        student
    }

    /// Whether a check is open at this event: it does not hold, and the one that it comes after held before.
    pub fn waits_for(&self, rules: &Rules, check: usize, here: &Here) -> bool {
        let after = rules.checks[check].after;
        !self.progress[check].held && after.is_none_or(|before| self.progress[before].held_before(here.seq))
    }

    /// Which conversation checks are not done and may begin.
    fn look_open(&mut self, rules: &Rules) {
        for (protocol, talk) in &rules.talks {
            self.open.insert(*protocol, talk.open(&self.progress, &self.met));
        }
    }

    /// Takes back what a connection gave. What the student showed elsewhere after this connection had proven the same, and before
    /// it was known to be another's, is not remembered: it has to be shown again.
    fn disown(&mut self, rules: &Rules, conn: Conn) {
        let lost = |own: &MessageId| self.own.get(own) == Some(&conn);
        let touched = rules.touched.iter().filter(|rule| rule.wanted.what == Which::Own).map(|rule| rule.check);
        let filed = rules.filed.iter().filter(|rule| rule.what == Which::Own).map(|rule| rule.check);
        let gone = |shown: &Shown| match shown {
            Shown::Retrieved(message, _) | Shown::Deleted(message, _) | Shown::Filed(message, ..) => lost(message),
            Shown::Conversation(_)
            | Shown::Message(..)
            | Shown::Mailbox(..)
            | Shown::Query(..)
            | Shown::Carried(..) => false,
        };
        for check in touched.chain(filed) {
            self.progress[check].take_back(|proof| gone(&proof.shows), 1);
        }
        self.own.retain(|_, by| *by != conn);
        self.sent.disown(conn);
        for (progress, check) in self.progress.iter_mut().zip(&rules.checks) {
            progress.disown(conn, check.times as usize);
        }
        // A mailbox is the group's, whoever filled it; but somebody else's arrival was none of this student's.
        if self.arrived.is_some_and(|(_, first, _)| first == conn) {
            self.arrived = None;
            rules.mailboxes.iter().for_each(|rule| self.progress[rule.check] = Progress::default());
        }
        // In their order, so that what comes after something that comes after this goes as well.
        for (check, compiled) in rules.checks.iter().enumerate() {
            if compiled.after.is_some_and(|before| !self.progress[before].held) {
                self.progress[check] = Progress::default();
            }
        }
        self.met.retain(|_, by| *by != conn);
        self.look_open(rules);
    }

    /// A session failed in this state: what was under way there is not the student's fault.
    fn excuse(&mut self, rules: &Rules, state: Option<State>, cause: &Cause) {
        let carried = rules.carried.iter().map(|rule| rule.check);
        let messages = rules.messages.iter().map(|rule| rule.check).chain(carried);
        let touched = rules.touched.iter().map(|rule| rule.check);
        let filed = rules.filed.iter().map(|rule| rule.check);
        let checks: Vec<usize> = match state {
            Some(State::Mail | State::Rcpt | State::Data) => messages.collect(),
            Some(State::Transaction | State::Update) => touched.collect(),
            Some(State::Authenticated | State::Selected) => touched.chain(filed).collect(),
            Some(
                State::Connect
                | State::Ready
                | State::Auth
                | State::Authorization
                | State::NotAuthenticated
                | State::Logout
                | State::Closed,
            )
            | None => Vec::new(),
        };
        for check in checks {
            if !self.progress[check].held {
                self.progress[check].failed = Some(cause.clone());
            }
        }
    }
}
