//! The TRANSACTION state (RFC 1939 5), and UPDATE, which only QUIT leads to (RFC 1939 6).

use super::{
    Command, Session, Stage,
    command::{Heard, Place, Verb},
    maildrop::{Listing, Maildrop, NoMessage, Number, UniqueId},
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
            Verb::List => return self.list(maildrop, Listing::Scan, command, out),
            Verb::Uidl => return self.list(maildrop, Listing::UniqueIds, command, out),
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

    /// LIST and UIDL, of all messages or of one.
    fn list(&mut self, maildrop: Maildrop, what: Listing, command: Command<'_>, out: &mut Output) -> Stage {
        if command.line.arguments().next().is_none() {
            return self.list_all(maildrop, what, command.heard, out);
        }
        if let Some(number) = self.wanted_message(&maildrop, command, out) {
            let (entry, number) = (maildrop.entry(number), number.to_string());
            match what {
                Listing::Scan => {
                    self.say(Reply::ListOne, &[("number", &number), ("octets", &entry.octets.to_string())], out);
                }
                Listing::UniqueIds => {
                    self.say(Reply::UidlOne, &[("number", &number), ("uid", &UniqueId(entry).to_string())], out);
                }
            }
        }
        Stage::Transaction(maildrop)
    }

    fn dele(&mut self, maildrop: &mut Maildrop, command: Command<'_>, out: &mut Output) {
        if let Some(number) = self.wanted_message(maildrop, command, out) {
            maildrop.mark(number);
            self.say(Reply::Dele, &[("number", &number.to_string())], out);
        }
    }

    /// The message that the first argument names; the refusal is written where there is none.
    pub(super) fn wanted_message(
        &mut self,
        maildrop: &Maildrop,
        command: Command<'_>,
        out: &mut Output,
    ) -> Option<Number> {
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
            | Outcome::Sent
            | Outcome::Lost
            | Outcome::Octets(_)
            | Outcome::Folders(_) => {
                self.say(Reply::QuitFailed, &[], out);
                out.events.push(heard.answered(&out.reply, State::Transaction, State::Update));
            }
        }
        Stage::Closed
    }
}
