//! The TRANSACTION state (RFC 1939 5), and UPDATE, which only QUIT leads to (RFC 1939 6).

use super::{
    Command, Session, Stage, Wanted,
    command::{Heard, Place, Verb},
    content,
    maildrop::{Maildrop, NoMessage, Number, UniqueId, decimal},
    reply::Reply,
};
use crate::{
    evidence::{EventKind, State},
    mail::folder::FolderName,
    protocol::{Action, Outcome, Output, sasl::account::shown},
};

impl Session {
    /// Carries out a command after the login.
    pub(super) fn transaction(&mut self, mut maildrop: Maildrop, command: Command<'_>, out: &mut Output) -> Stage {
        match command.verb {
            Verb::Stat => self.say_totals(Reply::Stat, &maildrop, out),
            Verb::List => self.list(&maildrop, command, out),
            Verb::Uidl => self.uidl(&maildrop, command, out),
            Verb::Retr | Verb::Top => return self.fetch(maildrop, command, out),
            Verb::Dele => self.dele(&mut maildrop, command, out),
            Verb::Noop => self.say(Reply::Noop, &[], out),
            Verb::Rset => {
                maildrop.unmark_all();
                self.say_totals(Reply::Rset, &maildrop, out);
            }
            Verb::Capa => self.capabilities(Place::Transaction, out),
            Verb::Quit => return self.quit(&maildrop, command, out),
            // These come before the login only; the table of commands says so and they never get here.
            Verb::User | Verb::Pass | Verb::Apop | Verb::Auth | Verb::Stls => {}
        }
        Stage::Transaction(maildrop)
    }

    fn list(&mut self, maildrop: &Maildrop, command: Command<'_>, out: &mut Output) {
        if command.line.arguments().next().is_none() {
            self.say_totals(Reply::List, maildrop, out);
            maildrop.write_scan_listings(&mut out.reply);
            out.reply.extend_from_slice(b".\r\n");
        } else if let Some(number) = self.wanted_message(maildrop, command, out) {
            let octets = maildrop.entry(number).octets.to_string();
            self.say(Reply::ListOne, &[("number", &number.to_string()), ("octets", &octets)], out);
        }
    }

    fn uidl(&mut self, maildrop: &Maildrop, command: Command<'_>, out: &mut Output) {
        if command.line.arguments().next().is_none() {
            self.say_totals(Reply::Uidl, maildrop, out);
            maildrop.write_unique_ids(&mut out.reply);
            out.reply.extend_from_slice(b".\r\n");
        } else if let Some(number) = self.wanted_message(maildrop, command, out) {
            let uid = UniqueId(maildrop.entry(number)).to_string();
            self.say(Reply::UidlOne, &[("number", &number.to_string()), ("uid", &uid)], out);
        }
    }

    fn dele(&mut self, maildrop: &mut Maildrop, command: Command<'_>, out: &mut Output) {
        if let Some(number) = self.wanted_message(maildrop, command, out) {
            maildrop.mark(number);
            self.say(Reply::Dele, &[("number", &number.to_string())], out);
        }
    }

    /// The message that the first argument names; the refusal is written where there is none.
    fn wanted_message(&mut self, maildrop: &Maildrop, command: Command<'_>, out: &mut Output) -> Option<Number> {
        let text = command.line.arguments().next().unwrap_or_default();
        let reply = match maildrop.find(text) {
            Ok(number) => return Some(number),
            Err(NoMessage::NotANumber) => Reply::NotANumber,
            Err(NoMessage::Absent) => Reply::NoMessage,
            Err(NoMessage::Marked) if command.verb == Verb::Dele => Reply::MarkedAlready,
            Err(NoMessage::Marked) => Reply::Marked,
        };
        self.refuse(reply, &[("number", &shown(text))], out);
        None
    }

    fn fetch(&mut self, maildrop: Maildrop, command: Command<'_>, out: &mut Output) -> Stage {
        let Some(number) = self.wanted_message(&maildrop, command, out) else { return Stage::Transaction(maildrop) };
        let lines = match command.line.arguments().nth(1).filter(|_| command.verb == Verb::Top) {
            None => None,
            // More lines than a number holds are more than any body has: all of it (RFC 1939 7, TOP).
            Some(text) if text.iter().all(u8::is_ascii_digit) => Some(decimal(text).unwrap_or(u64::MAX)),
            Some(_) => {
                self.refuse(Reply::NotLines, &[("usage", command.verb.rule().usage)], out);
                return Stage::Transaction(maildrop);
            }
        };
        out.action = Some(Action::Fetch { entry: maildrop.entry(number) });
        Stage::Fetching { maildrop, wanted: Wanted { number, lines }, heard: command.heard.clone() }
    }

    /// Goes on after [`Action::Fetch`].
    pub(super) fn fetched(
        &self,
        maildrop: Maildrop,
        wanted: Wanted,
        heard: Heard,
        outcome: Outcome,
        out: &mut Output,
    ) -> Stage {
        let number = wanted.number.to_string();
        match outcome {
            Outcome::Message(message) => {
                let (reply, part) = match wanted.lines {
                    None => (Reply::Retr, message.as_slice()),
                    Some(lines) => (Reply::Top, content::top(&message, lines)),
                };
                let octets = content::sent_octets(part).to_string();
                self.say(reply, &[("number", &number), ("octets", &octets)], out);
                content::write_content(part, &mut out.reply);
                out.events.push(heard.answered(&out.reply, State::Transaction, State::Transaction));
                let entry = maildrop.entry(wanted.number);
                let (mailbox, uid) = (maildrop.mailbox.clone(), entry.uid);
                out.events.push(EventKind::Retrieved {
                    message: entry.message,
                    mailbox,
                    uid,
                    top: wanted.lines,
                    folder: FolderName::inbox(),
                });
            }
            Outcome::Failed
            | Outcome::Room(_)
            | Outcome::Stored
            | Outcome::Waiting(_)
            | Outcome::Opened(_)
            | Outcome::Locked { .. }
            | Outcome::Folders(_)
            | Outcome::Expunged => {
                self.say(Reply::FetchFailed, &[("number", &number)], out);
                out.events.push(heard.answered(&out.reply, State::Transaction, State::Transaction));
            }
        }
        Stage::Transaction(maildrop)
    }

    /// Asks for the deletions. Their events, and that of QUIT with the reply it will have, are committed with them; the
    /// reply waits for that. QUIT that deletes nothing goes the same way, because it releases the lock.
    fn quit(&mut self, maildrop: &Maildrop, command: Command<'_>, out: &mut Output) -> Stage {
        let entries: Vec<_> = maildrop.marked().collect();
        let (deleted, left) = (entries.len().to_string(), maildrop.count().to_string());
        let values = [("deleted", deleted.as_str()), ("count", &left), ("user", maildrop.mailbox.as_str())];
        let mut farewell = Vec::new();
        Reply::QuitUpdate.write(&self.peer, &values, &mut farewell);
        out.events.push(command.heard.clone().answered(&farewell, State::Transaction, State::Update));
        out.events.extend(entries.iter().map(|entry| EventKind::Deleted {
            message: entry.message,
            mailbox: maildrop.mailbox.clone(),
            uid: entry.uid,
            folder: FolderName::inbox(),
        }));
        out.action = Some(Action::Expunge { mailbox: maildrop.mailbox.clone(), entries });
        Stage::Updating { farewell, heard: command.heard.clone() }
    }

    /// Goes on after [`Action::Expunge`]. Where that failed nothing of its output was committed, so QUIT is recorded here.
    pub(super) fn updated(&self, farewell: Vec<u8>, heard: Heard, outcome: &Outcome, out: &mut Output) -> Stage {
        match outcome {
            Outcome::Expunged => out.reply.extend(farewell),
            Outcome::Failed
            | Outcome::Room(_)
            | Outcome::Stored
            | Outcome::Waiting(_)
            | Outcome::Opened(_)
            | Outcome::Locked { .. }
            | Outcome::Message(_)
            | Outcome::Folders(_) => {
                self.say(Reply::QuitFailed, &[], out);
                out.events.push(heard.answered(&out.reply, State::Transaction, State::Update));
            }
        }
        Stage::Closed
    }
}
