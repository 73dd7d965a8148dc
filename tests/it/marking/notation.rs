//! The notation of `tests/marking/*.txt`: a lab, then one event a row.
//!
//! ```text
//! lab domain=lib.simulacion users=user1,user2 students=ana,ben mails=welcome>{login}
//! exercise 1.1 points=2 after=1.0 partial
//!   smtp x2: HELO|EHLO -> 250; ! RSET; QUIT -> 221
//!   smtp: after fault busy; HELO -> 250
//!   message: in=user2, from=user1, header=Subject:*, size=>= 64 KiB, text=welcome, times=2, one-connection
//!   smtp: pipelined; MAIL -> 250; RCPT -> 250
//!   retrieved: own, in=user2, folder=Archive, via=pop3
//!   mailbox: user2/Archive >= 1, now
//!   filed: mail=welcome, in={login}, folder=Archive, has=\Seen k, lacks=\Deleted, now
//!   query: name=mail.*, record=A|AAAA, answer=NXDOMAIN
//!   then relayed: to=*@g2.lab                (also deferred, bounced; `then`: after what the check before it wants)
//! ana 1 + smtp 220 hello           a connection of ana's own endpoint; `ana?` known by sender, `ana!` by login, `?` unknown
//! ana 1 HELO me -> 250 hi
//! ana 1 accepted 5 user1 > user2: Subject: hi\r\n\r\n{secret:welcome}
//! labctl 9 injected 6 welcome/ana > ana
//! ana 1 logged_in user2
//! ana 1 & NOOP -> 250 ok           a command that was pipelined
//! ana 1 x37 NOOP -> 250 ok         a command that came so often in a row
//! ana 1 imap a UID FETCH 1 -> * 1 FETCH ()\r\na OK
//! ana 1 copied 5 1>2 ana/INBOX > Archive        message 5; also `moved`
//! ana 1 flagged ana/Archive 1:3,7 + \Seen       `+`, `-` or `=`
//! ana 1 folder ana/Archive renamed Old          `created`, `removed`, `renamed`
//! ana 1 appended 6 ana/Archive/3 \Draft         UID 3; so also `retrieved` and `deleted`
//! ana 1 queued 5 ben@g2.lab,eva@g2.lab
//! ana 0 relayed 5 ben@g2.lab: 250 ok
//! ana 0 bounced 5 eva@g2.lab: 550 5.1.1 no such user
//! ana 0 query mail.g1.lab A NOERROR 1
//! ana 1 - quit
//! ```

use std::collections::BTreeMap;

use labctl::{
    evidence::{
        By, Conn, Copied, Delivered, Ending, Event, EventKind, FaultMoment, FlagChange, FolderChange, Injected,
        MessageId, Removed, Seq, State, Timestamp, TlsVersion, Uid, Who,
    },
    lab::{
        Asked, Exercise, Group, Key, Lab, Leniency, Limits, LoneNewline, Mail, Patience, Protocol, Service, Settings,
        Student, Text, Tls, User,
        exercise::{Pattern, Points, Same, Terms, TlsMode},
        template::Person,
    },
    mail::{
        folder::{Flags, FolderName, NamedFlags},
        sha256,
    },
    marking::{
        Marker,
        checks::{
            Check, Which,
            carried::{self, Fate},
            conversation, filed, mailbox, message,
            query::{self, Answer},
            touched::{self, Touch},
        },
    },
};

/// A lab and what has happened in it.
pub struct Table {
    pub lab: Lab,
    pub key: Key,
    contents: BTreeMap<u64, Vec<u8>>,
    events: Vec<Event>,
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split_whitespace().map(|word| word.split_once('=').unwrap_or((word, "")))
}

impl Table {
    /// Reads the lab at the top of a file.
    pub fn read(text: &str) -> Self {
        let mut lab = empty();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("lab ") {
                describe(&mut lab, rest);
            } else if let Some(rest) = line.strip_prefix("exercise ") {
                lab.exercises.push(exercise(rest));
            } else if line.starts_with("  ") {
                let exercise = lab.exercises.last_mut().expect("a check belongs to an exercise");
                let line = line.trim();
                let then = line.strip_prefix("then ");
                let within = then.and_then(|rest| rest.strip_prefix("within ")?.split_once("s "));
                let rest = within.map(|(_, rest)| rest).or(then).unwrap_or(line);
                let asked = Asked::new(parse_check(rest)).within(within.map(|(secs, _)| secs.parse().unwrap()));
                exercise.checks.push(asked.then(then.is_some()));
            }
        }
        Self { lab, key: Key([7; 32]), contents: BTreeMap::new(), events: Vec::new() }
    }

    pub fn marker(&self) -> Marker {
        Marker::new(&self.lab, &self.lab.groups[0], &self.key)
    }

    pub fn content(&self, id: MessageId) -> Option<Vec<u8>> {
        self.contents.get(&id.0).cloned()
    }

    /// Gives a marker the record so far, as often as it has to look again.
    pub fn give(&self, marker: &mut Marker) {
        let all = |marker: &mut Marker| -> Result<(), std::convert::Infallible> {
            self.events.iter().for_each(|event| marker.take(event, &mut |id| self.content(id)));
            Ok(())
        };
        let Ok(()) = marker.read(all);
    }

    /// Takes an event that the table has just made, and the record again where the marker has to look again.
    pub fn take(&self, marker: &mut Marker, event: &Event) {
        marker.take(event, &mut |id| self.content(id));
        if marker.is_stale() {
            marker.start_again();
            self.give(marker);
        }
    }

    /// What another marker says that is given all events so far at once.
    pub fn replay(&self) -> Vec<String> {
        let mut marker = self.marker();
        self.give(&mut marker);
        super::said(&marker)
    }

    /// The event of a row; none for a row that is none.
    pub fn event(&mut self, line: &str) -> Option<Event> {
        let line = line.split("   #").next().unwrap_or(line);
        let none = line.is_empty() || line.starts_with(['#', ' ']);
        if none || line.starts_with("lab ") || line.starts_with("exercise ") {
            return None;
        }
        let mut words = line.splitn(3, ' ');
        let (who, conn, rest) = (words.next()?, words.next()?, words.next()?);
        let seq = self.events.len() as u64 + 1;
        let conn: u64 = conn.parse().unwrap_or_else(|_| panic!("`{line}`: a connection is a number"));
        let event = Event {
            seq: Seq(seq),
            time: Timestamp(36_000_000_000 + i64::try_from(seq).unwrap() * 1_000_000),
            run: 1,
            conn: Conn(conn),
            kind: self.kind(who, rest),
            who: known(who),
        };
        self.events.push(event.clone());
        Some(event)
    }

    fn kind(&mut self, who: &str, rest: &str) -> EventKind {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        let ids = |text: &str| {
            let (id, rest) = text.split_once(' ').unwrap();
            (MessageId(id.parse().unwrap()), rest.to_owned())
        };
        match word {
            "+" => {
                let (protocol, reply) = after.split_once(' ').unwrap_or((after, ""));
                let reply = format!("{reply}\r\n");
                let service: Service = protocol.parse().unwrap();
                EventKind::Connected { protocol: service.protocol(), service, peer: None, local: None, reply }
            }
            "-" => EventKind::Disconnected { how: serde_json::from_str::<Ending>(&format!("\"{after}\"")).unwrap() },
            "accepted" => self.accepted(who, after),
            "fault" => EventKind::Fault {
                fault: after.parse().unwrap(),
                what: FaultMoment::Struck,
                act: "cut".into(),
                at: "MAIL".into(),
                about: String::new(),
            },
            "injected" => {
                let (message, rest) = ids(after);
                let (mail, mailbox) = rest.split_once(" > ").unwrap();
                let (mail, student) = mail.split_once('/').map_or((mail, None), |(mail, login)| (mail, Some(login)));
                let injected =
                    Injected { mail: mail.parse().unwrap(), student: student.map(|login| login.parse().unwrap()) };
                accepted(message, "instructor", mailbox, 10, Some(injected))
            }
            "retrieved" | "deleted" => {
                let (message, rest) = ids(after);
                let (place, top) = rest.split_once(' ').unwrap_or((&rest, ""));
                let Removed { mailbox, folder, uid } = place_of(place, message.0);
                if word == "deleted" {
                    EventKind::Deleted { message, mailbox, uid, folder }
                } else {
                    EventKind::Retrieved { message, mailbox, uid, top: (top == "top").then_some(3), folder }
                }
            }
            "copied" | "moved" => {
                let (message, rest) = ids(after);
                let words: Vec<&str> = rest.split(' ').collect();
                let (uid, copy) = words[0].split_once('>').unwrap();
                let number = |text: &str| Uid(text.parse().unwrap());
                let copies = vec![Copied { message, uid: number(uid), copy: number(copy) }];
                let Removed { mailbox, folder: from, .. } = place_of(words[1], 0);
                EventKind::Copied { mailbox, from, to: words[3].parse().unwrap(), copies, moved: word == "moved" }
            }
            "flagged" => {
                let words: Vec<&str> = after.splitn(4, ' ').collect();
                let Removed { mailbox, folder, .. } = place_of(words[0], 0);
                let change = match words[2] {
                    "+" => FlagChange::Added,
                    "-" => FlagChange::Removed,
                    _ => FlagChange::Replaced,
                };
                EventKind::Flagged { mailbox, folder, uids: words[1].to_owned(), change, flags: words[3].to_owned() }
            }
            "folder" => {
                let words: Vec<&str> = after.split(' ').collect();
                let Removed { mailbox, folder, .. } = place_of(words[0], 0);
                let change = match words[1] {
                    "created" => FolderChange::Created,
                    "removed" => FolderChange::Removed,
                    _ => FolderChange::Renamed(words[2].parse().unwrap()),
                };
                EventKind::Folder { mailbox, folder, change }
            }
            "appended" => {
                let (message, rest) = ids(after);
                let (place, flags) = rest.split_once(' ').unwrap_or((&rest, ""));
                let (Removed { mailbox, folder, uid }, flags) = (place_of(place, message.0), flags.to_owned());
                EventKind::Appended { message, mailbox, folder, uid, flags, octets: 1, sha256: sha256(b"") }
            }
            "imap" => imap(after),
            _ if word.strip_prefix('x').is_some_and(|count| count.parse::<u32>().is_ok()) => {
                let mut command = command(after);
                if let EventKind::Command { times, .. } = &mut command {
                    *times = word[1..].parse().unwrap();
                }
                command
            }
            "&" => match command(after) {
                EventKind::Command { verb, line, octets, reply, reply_octets, before, after, .. } => {
                    EventKind::Command {
                        verb,
                        line,
                        octets,
                        reply,
                        reply_octets,
                        before,
                        after,
                        pipelined: true,
                        times: 1,
                    }
                }
                other => other,
            },
            "logged_in" => {
                let (mailbox, mechanism) = after.split_once(' ').unwrap_or((after, "PASS"));
                EventKind::LoggedIn { mailbox: mailbox.parse().unwrap(), mechanism: mechanism.into() }
            }
            "secured" => {
                let version = if after == "TLSv1.3" { TlsVersion::V13 } else { TlsVersion::V12 };
                EventKind::Secured { version, cipher: "x".into(), sni: None }
            }
            "reset" => {
                let (student, removed) = after.split_once(" removed ").unwrap_or((after, ""));
                let removed = removed.split(',').filter(|name| !name.is_empty());
                let removed = removed.map(|place| place_of(place, 1)).collect();
                EventKind::Reset { student: student.parse().unwrap(), removed }
            }
            "query" => {
                let words: Vec<&str> = after.split(' ').collect();
                let records = words.get(3).map_or(0, |count| count.parse().unwrap());
                let [name, record, answer] = [0, 1, 2].map(|place| words[place].to_owned());
                EventKind::Query { name, record, answer, records, tcp: false }
            }
            "queued" | "relayed" | "deferred" | "bounced" => carried(word, after),
            "damaged" => EventKind::Damaged { why: after.to_owned() },
            "started" => EventKind::Started { version: "0.1.0".into(), after: None },
            _ => command(rest),
        }
    }

    fn accepted(&mut self, who: &str, text: &str) -> EventKind {
        let (envelope, content) = text.split_once(": ").unwrap_or((text, ""));
        let (id, paths) = envelope.split_once(' ').unwrap();
        let (from, to) = paths.split_once(" > ").unwrap();
        let id: u64 = id.parse().unwrap();
        let group = &self.lab.groups[0];
        let login = who.trim_end_matches(['?', '!']);
        let student = group.students.iter().find(|student| student.login.as_str() == login);
        let person = Person { lab: &self.lab, group, student, key: &self.key, mail: None };
        let content = format!("{}\r\n", person.fill(&content.replace("\\r\\n", "\r\n").replace("\\t", "\t")));
        let octets = content.len() as u64;
        if !content.starts_with("LOST") {
            self.contents.entry(id).or_insert_with(|| content.into_bytes());
        }
        accepted(MessageId(id), from.trim_matches('-'), to, octets, None)
    }
}

fn accepted(message: MessageId, from: &str, to: &str, octets: u64, injected: Option<Injected>) -> EventKind {
    let names = || to.split(',').filter(|name| !name.contains('@'));
    EventKind::Accepted {
        message,
        from: from.to_owned(),
        recipients: to.split(',').map(str::to_owned).collect(),
        delivered: names().map(|name| Delivered { mailbox: name.parse().unwrap(), uid: Uid(message.0) }).collect(),
        octets,
        sha256: sha256(b""),
        injected,
    }
}

fn carried(word: &str, text: &str) -> EventKind {
    let (mail, reply) = text.split_once(": ").unwrap_or((text, ""));
    let (id, to) = mail.split_once(' ').unwrap();
    let message = MessageId(id.parse().unwrap());
    let recipients = to.split(',').map(str::to_owned).collect();
    let (server, reply) = ("mail.g2.lab [127.77.2.255]".to_owned(), reply.to_owned());
    match word {
        "queued" => EventKind::Queued { message, recipients },
        "relayed" => EventKind::Relayed { message, recipients, server, reply, tls: None },
        "deferred" => EventKind::Deferred { message, recipients, server, reply, attempts: 1, due: Timestamp(0) },
        _ => {
            let status = reply.split(' ').nth(1).unwrap_or_default().to_owned();
            EventKind::Bounced { message, recipients, server, reply, status, returned: true }
        }
    }
}

/// `user2`, `user2/Archive` or `user2/Archive/7`.
fn place_of(text: &str, uid: u64) -> Removed {
    let mut words = text.split('/');
    let mailbox = words.next().unwrap().parse().unwrap();
    let folder = words.next().map_or_else(FolderName::inbox, |name| name.replace('.', "/").parse().unwrap());
    Removed { mailbox, folder, uid: Uid(words.next().map_or(uid, |uid| uid.parse().unwrap())) }
}

/// A command of IMAP with its tag.
fn imap(text: &str) -> EventKind {
    let (line, reply) = text.split_once(" -> ").unwrap();
    let mut words = line.split(' ').skip(1).map(str::to_ascii_uppercase);
    let mut verb = words.next().unwrap();
    if verb == "UID" {
        verb = format!("UID {}", words.next().unwrap());
    }
    EventKind::Command {
        verb: verb.into(),
        line: line.to_owned(),
        octets: line.len() as u64 + 2,
        reply: format!("{}\r\n", reply.replace("\\r\\n", "\r\n")),
        reply_octets: reply.len() as u64 + 2,
        before: State::Authenticated,
        after: State::Selected,
        pipelined: false,
        times: 1,
    }
}

fn command(text: &str) -> EventKind {
    let (line, reply) = text.split_once(" -> ").unwrap_or_else(|| panic!("`{text}` is no event"));
    let verb = line.split_whitespace().next().unwrap_or("");
    let special = verb.starts_with('<');
    let verb = if special { verb.to_owned() } else { verb.to_ascii_uppercase() };
    let after = match verb.as_str() {
        "MAIL" => State::Mail,
        "RCPT" => State::Rcpt,
        "DATA" => State::Data,
        "PASS" | "RETR" | "DELE" | "STAT" | "LIST" => State::Transaction,
        "QUIT" => State::Closed,
        _ => State::Ready,
    };
    EventKind::Command {
        verb: verb.into(),
        line: if special { String::new() } else { line.to_owned() },
        octets: line.len() as u64 + 2,
        reply_octets: reply.len() as u64 + 2,
        reply: format!("{}\r\n", reply.replace("\\r\\n", "\r\n")),
        before: State::Ready,
        after,
        pipelined: false,
        times: 1,
    }
}

fn known(who: &str) -> Who {
    let (login, by) = match who {
        "?" => return Who::Unknown,
        "labctl" => return Who::Instructor,
        "server" => return Who::Server { group: "g05".parse().unwrap() },
        _ if who.ends_with('?') => (&who[..who.len() - 1], By::Sender),
        _ if who.ends_with('!') => (&who[..who.len() - 1], By::Login),
        _ => (who, By::Endpoint),
    };
    Who::Student { login: login.parse().unwrap(), by }
}

fn empty() -> Lab {
    let group = Group {
        name: "g05".parse().unwrap(),
        domain: "lib.simulacion".parse().unwrap(),
        host: "mail".into(),
        students: Vec::new(),
        users: Vec::new(),
    };
    Lab {
        name: "table".parse().unwrap(),
        title: Text::plain("Table"),
        language: None,
        source: "/table".into(),
        engine: None,
        groups: vec![group],
        settings: Settings {
            relay: false,
            auth_before_tls: false,
            vrfy: false,
            dialect: "labctl".into(),
            leniency: Leniency::LENIENT,
            lone_newline: LoneNewline::Refuse,
            tls: Tls::default(),
            services: Service::ALL.into(),
            catch_all: None,
            ports: BTreeMap::new(),
            limits: Limits::default(),
            routes: Vec::new(),
            patience: Patience::default(),
            any_neighbour: false,
        },
        docker: labctl::lab::Containers::default(),
        mails: Vec::new(),
        exercises: Vec::new(),
        faults: Vec::new(),
    }
}

fn describe(lab: &mut Lab, text: &str) {
    for (key, value) in pairs(text) {
        let words = value.split(',').filter(|word| !word.is_empty());
        match key {
            "domain" => lab.groups[0].domain = value.parse().unwrap(),
            "others" => {
                lab.settings.any_neighbour = true;
                let own = lab.groups[0].clone();
                let other = |domain: &str| Group {
                    name: domain.split('.').next().unwrap().parse().unwrap(),
                    domain: domain.parse().unwrap(),
                    ..own.clone()
                };
                lab.groups.extend(words.map(other));
            }
            "users" => {
                lab.groups[0].users = words.map(|name| User { name: name.parse().unwrap(), password: None }).collect();
            }
            "students" => {
                let student =
                    |login: &str| Student { login: login.parse().unwrap(), name: None, email: None, password: None };
                lab.groups[0].students = words.map(student).collect();
            }
            "mails" => {
                let mail = |text: &str| {
                    let (id, to) = text.split_once('>').unwrap();
                    Mail {
                        id: id.parse().unwrap(),
                        to: to.to_owned(),
                        from: "instructor".into(),
                        subject: "hello".into(),
                        headers: Vec::new(),
                        body: "{text}".into(),
                        text_octets: 200,
                        per_student: to.contains('{'),
                    }
                };
                lab.mails = words.map(mail).collect();
            }
            other => panic!("`{other}` is nothing of a lab"),
        }
    }
}

fn exercise(text: &str) -> Exercise {
    let (id, rest) = text.split_once(' ').unwrap_or((text, ""));
    let mut exercise = Exercise {
        id: id.parse().unwrap(),
        title: Text::plain("Title"),
        hint: Text::default(),
        session: 1,
        points: Points(100),
        partial: false,
        after: Vec::new(),
        checks: Vec::new(),
        same: None,
        any: None,
        weak: None,
        solution: Vec::new(),
    };
    for (key, value) in pairs(rest) {
        match key {
            "points" => exercise.points = Points(value.parse::<u32>().unwrap() * 100),
            "after" => exercise.after = value.split(',').map(|id| id.parse().unwrap()).collect(),
            "partial" => exercise.partial = true,
            "same" => exercise.same = Some(if value == "message" { Same::Message } else { Same::Connection }),
            "any" => exercise.any = Some(value.parse().unwrap()),
            other => panic!("`{other}` is nothing of an exercise"),
        }
    }
    exercise
}

fn parse_check(text: &str) -> Check {
    let (kind, rest) = text.split_once(": ").unwrap_or((text.trim_end_matches(':'), ""));
    let (kind, times) = kind.split_once(" x").map_or((kind, 1), |(kind, times)| (kind, times.parse().unwrap()));
    if let Ok(protocol) = kind.parse::<Protocol>() {
        let during = rest.starts_with("during fault ");
        let faulty = rest.strip_prefix("after fault ").or_else(|| rest.strip_prefix("during fault "));
        let (fault, rest) = match faulty.and_then(|rest| rest.split_once("; ")) {
            Some((fault, rest)) => (Some(fault.parse().unwrap()), rest),
            None => (None, rest),
        };
        let mut terms = Terms::default();
        let mut rest = rest;
        let pipelined = rest.strip_prefix("pipelined; ");
        rest = pipelined.unwrap_or(rest);
        while let Some((term, more)) = rest.split_once("; ") {
            match term.split_once(' ') {
                Some(("tls", mode)) => {
                    terms.tls = Some(match mode {
                        "none" => TlsMode::Clear,
                        "starttls" => TlsMode::Starttls,
                        _ => TlsMode::Implicit,
                    });
                }
                Some(("version", "TLSv1.3")) => terms.version = Some(TlsVersion::V13),
                Some(("auth", mechanism)) => terms.auth = Some(mechanism.to_owned()),
                Some(("auth-as", mailbox)) => terms.auth_as = Some(mailbox.to_owned()),
                _ => break,
            }
            rest = more;
        }
        let unordered = rest.strip_prefix("any order; ");
        let (any_order, rest) = (unordered.is_some(), unordered.unwrap_or(rest));
        let steps = rest.split("; ").map(|step| step.parse().unwrap()).collect();
        let pipelined = pipelined.is_some();
        return Check::Conversation(conversation::Check {
            protocol,
            steps,
            any_order,
            times,
            fault,
            during,
            terms,
            pipelined,
        });
    }
    let words = rest.split(", ").filter(|word| !word.is_empty());
    let words = words.map(|word| word.split_once('=').filter(|_| kind != "mailbox").unwrap_or((word, "")));
    match kind {
        "message" => Check::Message(message(words)),
        "retrieved" => Check::Touched(touched(Touch::Retrieved, words)),
        "deleted" => Check::Touched(touched(Touch::Deleted, words)),
        "query" => Check::Query(query(words)),
        "relayed" => Check::Carried(on_its_way(Fate::Relayed, times, words)),
        "deferred" => Check::Carried(on_its_way(Fate::Deferred, times, words)),
        "bounced" => Check::Carried(on_its_way(Fate::Bounced, times, words)),
        "mailbox" => {
            let words: Vec<&str> = words.map(|(word, _)| word).collect();
            let (place, count) = words[0].split_once(' ').unwrap_or((words[0], ""));
            let (mailbox, folder) = place.split_once('/').unwrap_or((place, "INBOX"));
            Check::Mailbox(mailbox::Check {
                mailbox: mailbox.to_owned(),
                folder: folder.parse().unwrap(),
                count: (!count.is_empty()).then(|| count.parse().unwrap()),
                now: words.contains(&"now"),
            })
        }
        "filed" => Check::Filed(filed(words)),
        other => panic!("`{other}` is no check"),
    }
}

fn message<'a>(words: impl Iterator<Item = (&'a str, &'a str)>) -> message::Check {
    let mut check = message::Check { times: 1, ..message::Check::default() };
    for (key, value) in words {
        let pattern = || Some(Pattern(value.to_owned()));
        match key {
            "in" => check.mailbox = Some(value.parse().unwrap()),
            "from" => check.from = pattern(),
            "to" => check.to.extend(pattern()),
            "no-header" => check.headers.push((value.to_owned(), None)),
            "raw-header" => {
                let (name, value) = value.split_once(':').unwrap();
                check.raw_headers.push((name.to_owned(), Some(Pattern(value.to_owned()))));
            }
            "lines" => check.lines = Some(value.parse().unwrap()),
            "longest" => check.longest_line = Some(value.parse().unwrap()),
            "encoded-part" => {
                let (media, encoding) = value.split_once(':').unwrap();
                let (media, encoding) = (Some(Pattern(media.to_owned())), Some(encoding.to_owned()));
                check.part = Some(message::PartCheck { media, encoding, ..message::PartCheck::default() });
            }
            "body" => check.body = Some(Pattern(value.replace("\\n", "\n"))),
            "header" => {
                let (name, value) = value.split_once(':').unwrap();
                check.headers.push((name.to_owned(), Some(Pattern(value.to_owned()))));
            }
            "part" => check.parts.push(Pattern(value.to_owned())),
            "size" => check.size = Some(value.parse().unwrap()),
            "hash" => check.hash = Some(sha256(value.replace("\\r\\n", "\r\n").as_bytes())),
            "text" => check.text = Some(value.parse().unwrap()),
            "secret" => check.secret = Some(value.parse().unwrap()),
            "times" => check.times = value.parse().unwrap(),
            "one-connection" => check.one_connection = true,
            other => panic!("`{other}` is nothing of a message"),
        }
    }
    check
}

fn query<'a>(words: impl Iterator<Item = (&'a str, &'a str)>) -> query::Check {
    let mut check = query::Check { name: None, records: Vec::new(), answer: Answer::NoError, times: 1 };
    for (key, value) in words {
        match key {
            "name" => check.name = Some(Pattern(value.to_owned())),
            "record" => check.records = value.split('|').map(str::to_owned).collect(),
            "answer" => check.answer = Answer::ALL.into_iter().find(|answer| answer.as_str() == value).unwrap(),
            "times" => check.times = value.parse().unwrap(),
            other => panic!("`{other}` is nothing of a query"),
        }
    }
    check
}

fn on_its_way<'a>(fate: Fate, times: u32, words: impl Iterator<Item = (&'a str, &'a str)>) -> carried::Check {
    let mut check = carried::Check { fate, to: None, status: None, times };
    for (key, value) in words {
        match key {
            "any" => {}
            "to" => check.to = Some(Pattern(value.to_owned())),
            "status" => check.status = Some(Pattern(value.to_owned())),
            other => panic!("`{other}` is nothing of mail on its way"),
        }
    }
    check
}

fn touched<'a>(touch: Touch, words: impl Iterator<Item = (&'a str, &'a str)>) -> touched::Check {
    let mut check = touched::Check { touch, what: Which::Any, mailbox: None, folder: None, via: None };
    for (key, value) in words {
        match key {
            "any" => check.what = Which::Any,
            "own" => check.what = Which::Own,
            "notice" => check.what = Which::Notice,
            "mail" => check.what = Which::Injected(value.parse().unwrap()),
            "in" => check.mailbox = Some(value.parse().unwrap()),
            "folder" => check.folder = Some(value.parse().unwrap()),
            "via" => check.via = Some(value.parse().unwrap()),
            other => panic!("`{other}` is nothing of what is retrieved"),
        }
    }
    check
}

fn filed<'a>(words: impl Iterator<Item = (&'a str, &'a str)>) -> filed::Check {
    let mut check = filed::Check {
        what: Which::Any,
        mailbox: "{login}".into(),
        folder: None,
        has: NamedFlags::default(),
        lacks: NamedFlags::default(),
        now: false,
    };
    let flags = |text: &str| {
        let mut named = NamedFlags::default();
        for word in text.split(' ') {
            match Flags::SYSTEM.into_iter().find(|(name, _)| *name == word) {
                Some((_, flag)) => named.system = named.system.with(flag),
                None => named.add_keyword(word),
            }
        }
        named
    };
    for (key, value) in words {
        match key {
            "any" => check.what = Which::Any,
            "own" => check.what = Which::Own,
            "mail" => check.what = Which::Injected(value.parse().unwrap()),
            "in" => value.clone_into(&mut check.mailbox),
            "folder" => check.folder = Some(value.parse().unwrap()),
            "has" => check.has = flags(value),
            "lacks" => check.lacks = flags(value),
            "now" => check.now = true,
            other => panic!("`{other}` is nothing of what is filed"),
        }
    }
    check
}
