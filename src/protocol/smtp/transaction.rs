//! A mail transaction: MAIL, RCPT, DATA and the end of the data (RFC 5321 3.3, 4.1.1).

use crate::{
    evidence::{By, Who},
    lab::Login,
    mail::{
        Body, Envelope, Outgoing,
        dsn::{Notice, Notices},
    },
    protocol::{
        line::{Chunks, Data, DataFault},
        outgoing,
    },
};

use super::{
    Action, Now, Outcome, Output, Seen, Session, Stage,
    command::Verb,
    offer, parameter,
    path::{Fault, Path},
    reply::{self, Words},
    route::{self, Route},
    trace,
};

/// What MAIL and RCPT have said so far.
#[derive(Debug)]
pub struct Transaction {
    /// The reverse-path without brackets.
    pub from: String,
    /// Octets that MAIL announced; 0 where it did not.
    pub size: u64,
    /// What the message may hold.
    pub body: Body,
    /// Whether addresses may be UTF-8.
    pub utf8: bool,
    /// What MAIL and RCPT want to be told.
    pub notices: Notices,
    /// Forward-paths as given, without brackets.
    pub recipients: Vec<String>,
    /// The mailboxes they stand for, each once.
    pub mailboxes: Vec<Login>,
    /// Those whom other servers are to get it for, each once.
    pub outgoing: Vec<Outgoing>,
    /// Whether a recipient was refused.
    pub refused: bool,
    /// What BDAT has brought; none before the first.
    pub chunks: Option<Box<Chunks>>,
}

/// A recipient that waits for the store's word.
#[derive(Debug)]
pub struct Asked {
    /// The path as written.
    written: String,
    /// Without brackets.
    address: String,
    target: Target,
    notice: Notice,
}

/// Where a recipient's mail would go.
#[derive(Debug)]
enum Target {
    Mailbox(Login),
    /// To the server of this domain.
    Domain(String),
}

impl Session {
    pub(super) fn mail(&mut self, argument: &str, utf8: bool, now: Now, out: &mut Output) {
        let Some(path) = self.path(Verb::Mail, argument, now, out) else { return };
        let said =
            Words { verb: "MAIL", clause: "MAIL FROM", path: path.written, address: path.address, ..Words::default() };
        let parameters = match parameter::mail(path.parameters, self.parameters()) {
            Ok(parameters) => parameters,
            Err((key, argument)) => return self.say(key, &Words { argument, ..said }, now, out),
        };
        let said = Words { utf8: parameters.utf8, ..said };
        if !(path.address.is_ascii() || parameters.utf8 && utf8) {
            return self.say("path.utf8", &said, now, out);
        }
        if parameters.size > self.peer.config.limits.message {
            return self.say("message.announced", &said, now, out);
        }
        if offer::is_submission(&self.peer)
            && let Some(login) = &self.login
            && let Some(sender) = &path.mailbox
            && route::owner(&self.peer, sender) != Some(login)
        {
            return self.say("sender.foreign", &Words { text: login.as_str(), ..said }, now, out);
        }
        if self.who == Who::Unknown
            && let Some(login) = path.mailbox.as_ref().and_then(|sender| route::student(&self.peer, sender))
        {
            let login = login.clone();
            self.known_as(login, By::Sender, out);
        }
        self.stage = Stage::Open(Transaction {
            from: path.address.to_owned(),
            size: parameters.size,
            body: parameters.body,
            utf8: parameters.utf8,
            notices: Notices { ret: parameters.ret, envid: parameters.envid, recipients: Vec::new() },
            recipients: Vec::new(),
            mailboxes: Vec::new(),
            outgoing: Vec::new(),
            refused: false,
            chunks: None,
        });
        self.say("mail", &said, now, out);
    }

    pub(super) fn rcpt(&mut self, argument: &str, utf8: bool, now: Now, out: &mut Output) {
        let Stage::Open(mut transaction) = std::mem::replace(&mut self.stage, Stage::Idle) else { return };
        let recipients = transaction.recipients.len();
        let asked = self.recipient(&mut transaction, argument, utf8, now, out);
        transaction.refused |= asked.is_none() && transaction.recipients.len() == recipients;
        match asked {
            Some(asked) => {
                out.action = Some(match &asked.target {
                    Target::Mailbox(mailbox) => Action::Room { mailbox: mailbox.clone(), octets: transaction.size },
                    Target::Domain(_) => Action::QueueRoom { recipients: transaction.outgoing.len() + 1 },
                });
                self.stage = Stage::Asking(transaction, Box::new(asked));
            }
            None => self.stage = Stage::Open(transaction),
        }
    }

    /// Takes or refuses a recipient, or says what the store has to be asked about first.
    fn recipient(
        &self,
        transaction: &mut Transaction,
        argument: &str,
        utf8: bool,
        now: Now,
        out: &mut Output,
    ) -> Option<Asked> {
        let path = self.path(Verb::Rcpt, argument, now, out)?;
        let (written, address) = (path.written, path.address);
        let said = Words {
            verb: "RCPT",
            clause: "RCPT TO",
            path: written,
            address,
            utf8: transaction.utf8,
            ..Words::default()
        };
        let refuse = |key, out: &mut Output| self.say(key, &said, now, out);
        let Some(mailbox) = &path.mailbox else {
            refuse("path.null", out);
            return None;
        };
        let notice = match parameter::rcpt(path.parameters, self.parameters(), transaction.utf8 && utf8) {
            Ok(notice) => notice,
            Err((key, argument)) => {
                self.say(key, &Words { argument, ..said }, now, out);
                return None;
            }
        };
        if !(address.is_ascii() || transaction.utf8 && utf8) {
            refuse("path.utf8", out);
            return None;
        }
        if transaction.recipients.len() >= self.peer.config.limits.recipients {
            refuse("rcpt.too_many", out);
            return None;
        }
        let target = match route::route(&self.peer, mailbox) {
            Route::Refused(key) => {
                refuse(key, out);
                return None;
            }
            Route::Mailbox(mailbox) => Target::Mailbox(mailbox),
            Route::Domain(domain) => Target::Domain(domain),
        };
        // Who gets the message already gets it once.
        let again = match &target {
            Target::Mailbox(mailbox) => transaction.mailboxes.contains(mailbox),
            Target::Domain(_) => transaction.outgoing.iter().any(|other| other.recipient == address),
        };
        if again {
            transaction.recipients.push(address.to_owned());
            transaction.notices.recipients.push(notice);
            refuse("rcpt", out);
            return None;
        }
        Some(Asked { written: written.to_owned(), address: address.to_owned(), target, notice })
    }

    /// The store has said whether there is room.
    pub(super) fn asked(
        &mut self,
        mut transaction: Transaction,
        asked: Asked,
        outcome: &Outcome,
        now: Now,
        out: &mut Output,
    ) {
        let Asked { written, address, target, notice } = asked;
        let key = match (outcome, &target) {
            (Outcome::Room(true), _) => "rcpt",
            (Outcome::Room(false), Target::Mailbox(_)) => "rcpt.full",
            (Outcome::Room(false), Target::Domain(_)) => "rcpt.queue_full",
            (
                Outcome::Stored
                | Outcome::Waiting(_)
                | Outcome::Opened(_)
                | Outcome::Locked { .. }
                | Outcome::Sent
                | Outcome::Lost
                | Outcome::Octets(_)
                | Outcome::Folders(_)
                | Outcome::Expunged
                | Outcome::Failed,
                _,
            ) => "failed.rcpt",
        };
        let said =
            Words { verb: "RCPT", path: &written, address: &address, utf8: transaction.utf8, ..Words::default() };
        self.say(key, &said, now, out);
        if key == "rcpt" {
            match target {
                Target::Mailbox(mailbox) => transaction.mailboxes.push(mailbox),
                Target::Domain(domain) => {
                    transaction.outgoing.push(Outgoing { recipient: address.clone(), domain });
                }
            }
            transaction.recipients.push(address);
            transaction.notices.recipients.push(notice);
        } else {
            transaction.refused = true;
        }
        self.stage = Stage::Open(transaction);
    }

    pub(super) fn data(&mut self, now: Now, out: &mut Output) {
        if let Stage::Open(transaction) = std::mem::replace(&mut self.stage, Stage::Idle) {
            self.stage = Stage::Data(transaction);
            self.lone_dot = false;
            self.say("data", &Words::default(), now, out);
        }
    }

    pub(super) fn end_of_data(&mut self, data: Data, now: Now, out: &mut Output) {
        self.lone_dot = false;
        let seen = self.seen("<message>", String::new(), data.octets);
        let Stage::Data(transaction) = std::mem::replace(&mut self.stage, Stage::Idle) else { return };
        self.accept(transaction, data, seen, now, out);
    }

    /// All of a message is there: refuses it, or has it stored.
    pub(super) fn accept(&mut self, transaction: Transaction, data: Data, seen: Seen, now: Now, out: &mut Output) {
        if let Some(fault) = data.fault {
            self.say_fault(fault, now, out);
            return self.finish(seen, now, out);
        }
        if trace::count(&data.content, "Received") > self.peer.config.limits.hops {
            self.tell("message.loop", now, out);
            return self.finish(seen, now, out);
        }
        self.messages += 1;
        let seed = self.peer.seed ^ self.messages.wrapping_mul(0xA24B_AED4_963E_E407);
        let id = reply::id(&self.peer, "message.id", seed, now);
        let words = Words { id: &id, ..Words::default() };
        let mut envelope = self.envelope(transaction, data.content, &id, now);
        // Another seed: the notice has a name of its own.
        envelope.confirmation = outgoing::delivered(&self.peer.config, &envelope, seed.wrapping_add(1), now);
        let mut reply = Vec::new();
        reply::write(&self.peer, "message", &words, now, &mut reply);
        // The event goes with the message into one commit, so the reply is decided now and sent later.
        out.events.push(self.event(seen.clone(), &reply));
        out.action = Some(Action::Deliver(envelope));
        self.waiting = Some(seen);
        self.stage = Stage::Storing(reply);
    }

    /// Says why a message cannot be taken.
    pub(super) fn say_fault(&self, fault: DataFault, now: Now, out: &mut Output) {
        match fault {
            DataFault::TooLarge => self.tell("message.too_large", now, out),
            DataFault::LineTooLong => self.tell("message.line_too_long", now, out),
            DataFault::NoRoom => self.tell("message.no_room", now, out),
            DataFault::LoneNewline { line, newline } => {
                let words = Words { text: &line.to_string(), argument: newline.as_str(), ..Words::default() };
                self.say("message.lone_newline", &words, now, out);
            }
        }
    }

    fn envelope(&self, transaction: Transaction, mut content: Vec<u8>, id: &str, now: Now) -> Envelope {
        let queue_name = match self.peer.who {
            Who::Server { .. } => trace::take_queue_name(&mut content),
            Who::Unknown | Who::Student { .. } | Who::Instructor => None,
        };
        let Transaction { from, recipients, mailboxes, outgoing, body, utf8, notices, .. } = transaction;
        let extended = self.hello.as_ref().is_some_and(|hello| hello.extended);
        let only_for = match recipients.as_slice() {
            [only] => format!(" for <{only}>"),
            _ => String::new(),
        };
        let words = Words {
            address: &from,
            hello: self.hello.as_ref().map_or("", |hello| &hello.argument),
            utf8,
            id,
            only_for: &only_for,
            with: match (utf8, extended, self.secure, self.login.is_some()) {
                (true, _, false, false) => "UTF8SMTP",
                (true, _, false, true) => "UTF8SMTPA",
                (true, _, true, false) => "UTF8SMTPS",
                (true, _, true, true) => "UTF8SMTPSA",
                (false, true, false, false) => "ESMTP",
                (false, true, false, true) => "ESMTPA",
                (false, true, true, false) => "ESMTPS",
                (false, true, true, true) => "ESMTPSA",
                // RFC 3848 has no word for HELO over TLS.
                (false, false, _, _) => "SMTP",
            },
            ..Words::default()
        };
        let trace = trace::fields(&self.peer, &words, &content, now);
        let notices = notices.unless_default();
        Envelope {
            from,
            recipients,
            notices,
            confirmation: None,
            body,
            utf8,
            mailboxes,
            outgoing,
            came: now.steady(),
            queue_name,
            trace,
            content,
        }
    }

    /// The message is committed, or is not.
    pub(super) fn stored(&mut self, reply: Vec<u8>, outcome: &Outcome, now: Now, out: &mut Output) {
        let seen = self.waiting.take();
        if *outcome == Outcome::Stored {
            out.reply = reply;
            return;
        }
        self.tell("failed.message", now, out);
        if let Some(seen) = seen {
            self.finish(seen, now, out);
        }
    }

    /// The path in MAIL's or RCPT's argument; if there is none, the refusal is said.
    fn path<'a>(&self, verb: Verb, argument: &'a str, now: Now, out: &mut Output) -> Option<Path<'a>> {
        let (name, clause) = if verb == Verb::Mail { ("MAIL", "MAIL FROM") } else { ("RCPT", "RCPT TO") };
        let head = verb.clause().len();
        let text = match argument.split_at_checked(head) {
            Some((word, text)) if word.eq_ignore_ascii_case(verb.clause()) => Ok(text),
            _ => Err(Fault { key: "path.clause", address: "" }),
        };
        match text.and_then(|text| Path::parse(text, self.peer.config.leniency)) {
            Ok(path) => Some(path),
            Err(Fault { key, address }) => {
                self.say(key, &Words { verb: name, clause, argument, address, ..Words::default() }, now, out);
                None
            }
        }
    }

    /// The session has learnt who it is.
    pub(super) fn known_as(&mut self, login: Login, by: By, out: &mut Output) {
        if self.peer.is_for_servers() {
            return;
        }
        self.who = Who::Student { login, by };
        out.who = Some(self.who.clone());
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc};

    use super::*;
    use crate::protocol::{Input, fixture::peer};

    #[test]
    fn whoever_comes_to_where_servers_belong_is_no_student() {
        let at: SocketAddr = "127.77.1.255:2525".parse().unwrap();
        for (from, known) in [(None, true), (Some("127.77.1.254".parse().unwrap()), true), (Some(at.ip()), false)] {
            let mut peer = peer("labctl");
            let mut config = (*peer.config).clone();
            config.relaying.from = from;
            (peer.config, peer.local) = (Arc::new(config), Some(at));
            let (mut session, now) = (Session::new(peer), Now { micros: 0, steady_micros: 0, utc_offset_secs: 0 });
            let mut who = None;
            let lines =
                ["HELO me", "MAIL FROM:<ana@g1.lab>"].map(|line| Input::Line { octets: line.as_bytes(), crlf: true });
            for input in [Input::Connected].into_iter().chain(lines) {
                let mut out = Output::default();
                session.handle(input, now, &mut out);
                who = out.who.or(who);
            }
            assert_eq!(who.is_some(), known, "{from:?}");
        }
    }
}
