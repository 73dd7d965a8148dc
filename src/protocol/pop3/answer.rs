//! Long answers, piece by piece: RETR and TOP as the message is read, LIST and UIDL some lines at a time (RFC 1939 5, 7).

use super::{
    Command, Session, Stage,
    command::{Heard, Verb},
    content::{Content, missing_line_end},
    maildrop::{Listing, Maildrop, Number, decimal},
    reply::Reply,
};
use crate::{
    evidence::{EventKind, REPLY_KEPT, State},
    mail::{Entry, folder::FolderName},
    protocol::{Action, Outcome, Output, PIECE},
};

/// An answer under way.
#[derive(Debug)]
pub(super) enum Answer {
    /// RETR, TOP.
    Message(Retrieval),
    /// LIST, UIDL: what is listed, and the place of the next message.
    Listing(Listing, usize),
}

/// A message on its way to the client.
#[derive(Debug)]
pub(super) struct Retrieval {
    number: Number,
    entry: Entry,
    /// Body lines (TOP); none for all (RETR).
    lines: Option<u64>,
    content: Content,
    /// The next octet of the message; none before the first line of the answer.
    from: Option<u64>,
}

impl Retrieval {
    /// RETR tells how many octets follow (RFC 1939 5), and that depends on how the message ends.
    const fn looks_at_the_end_first(&self) -> bool {
        self.lines.is_none() && self.from.is_none() && self.entry.octets > PIECE
    }

    const fn next(&self) -> Action {
        let message = self.entry.message;
        if self.looks_at_the_end_first() {
            return Action::Read { message, from: self.entry.octets - 2, most: 2 };
        }
        let from = if let Some(from) = self.from { from } else { 0 };
        Action::Read { message, from, most: PIECE }
    }

    /// Takes octets of the message; whether more are wanted, or none where the message is shorter than it should be.
    fn take(&mut self, mut octets: &[u8], out: &mut Vec<u8>) -> Option<bool> {
        let from = self.from.unwrap_or(0);
        let left = self.entry.octets.saturating_sub(from);
        if octets.is_empty() && left > 0 {
            return None;
        }
        let last = octets.len() as u64 >= left;
        // CR and LF stay together: a fault that changes line ends sees whole ones.
        if let Some(before) = octets.strip_suffix(b"\r").filter(|before| !last && !before.is_empty()) {
            octets = before;
        }
        self.from = Some(from + octets.len() as u64);
        Some(self.content.write(octets, out) && !last)
    }
}

impl Session {
    /// LIST and UIDL of all messages.
    pub(super) fn list_all(&self, maildrop: Maildrop, what: Listing, heard: &Heard, out: &mut Output) -> Stage {
        let first = match what {
            Listing::Scan => Reply::List,
            Listing::UniqueIds => Reply::Uidl,
        };
        self.say_totals(first, &maildrop, out);
        let Some(next) = maildrop.write_listing(what, 0, &mut out.reply) else {
            return Stage::Transaction(maildrop);
        };
        out.action = Some(Action::Send);
        let said = Said::of(&out.reply);
        Stage::Answering { maildrop, answer: Answer::Listing(what, next), heard: heard.clone(), said }
    }

    /// RETR and TOP.
    pub(super) fn fetch(&mut self, maildrop: Maildrop, command: Command<'_>, out: &mut Output) -> Stage {
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
        let entry = maildrop.entry(number);
        let retrieval = Retrieval { number, entry, lines, content: Content::new(lines), from: None };
        out.action = Some(retrieval.next());
        let heard = command.heard.clone();
        Stage::Answering { maildrop, answer: Answer::Message(retrieval), heard, said: Said::default() }
    }

    /// Goes on with a long answer.
    pub(super) fn go_on(
        &self,
        maildrop: Maildrop,
        answer: Answer,
        heard: Heard,
        mut said: Said,
        outcome: Outcome,
        out: &mut Output,
    ) -> Stage {
        let answer = match (answer, outcome) {
            (Answer::Message(retrieval), Outcome::Octets(octets)) => {
                return self.retrieve(maildrop, retrieval, heard, said, &octets, out);
            }
            (Answer::Listing(what, from), Outcome::Sent) => {
                let next = maildrop.write_listing(what, from, &mut out.reply);
                said.add(&out.reply);
                match next {
                    Some(next) => Answer::Listing(what, next),
                    None => return told(maildrop, heard, &said, out),
                }
            }
            (Answer::Message(Retrieval { number, from: None, .. }), Outcome::Failed) => {
                self.say(Reply::FetchFailed, &[("number", &number.to_string())], out);
                said.add(&out.reply);
                return told(maildrop, heard, &said, out);
            }
            // Nothing can be said in the middle of an answer: only closing tells that it is not whole.
            _ => return broken(heard, &said, out),
        };
        out.action = Some(Action::Send);
        Stage::Answering { maildrop, answer, heard, said }
    }

    fn retrieve(
        &self,
        maildrop: Maildrop,
        mut retrieval: Retrieval,
        heard: Heard,
        mut said: Said,
        octets: &[u8],
        out: &mut Output,
    ) -> Stage {
        let mut more = Some(true);
        let end_only = retrieval.looks_at_the_end_first();
        if retrieval.from.is_none() {
            let number = retrieval.number.to_string();
            let count = (retrieval.entry.octets + missing_line_end(octets).len() as u64).to_string();
            match retrieval.lines {
                None => self.say(Reply::Retr, &[("number", &number), ("octets", &count)], out),
                Some(_) => self.say(Reply::Top, &[("number", &number)], out),
            }
            retrieval.from = Some(0);
        }
        if !end_only {
            more = retrieval.take(octets, &mut out.reply);
        }
        if more == Some(false) {
            retrieval.content.end(&mut out.reply);
        }
        said.add(&out.reply);
        match more {
            Some(true) => {
                out.action = Some(retrieval.next());
                Stage::Answering { maildrop, answer: Answer::Message(retrieval), heard, said }
            }
            Some(false) => {
                let Entry { message, uid, .. } = retrieval.entry;
                let (mailbox, folder) = (maildrop.mailbox.clone(), FolderName::inbox());
                let stage = told(maildrop, heard, &said, out);
                out.events.push(EventKind::Retrieved { message, mailbox, uid, top: retrieval.lines, folder });
                stage
            }
            None => broken(heard, &said, out),
        }
    }
}

/// Ends an answer that was told to its end.
fn told(maildrop: Maildrop, heard: Heard, said: &Said, out: &mut Output) -> Stage {
    out.events.push(heard.answered_with(said, State::Transaction, State::Transaction));
    Stage::Transaction(maildrop)
}

/// Ends an answer that was not. What is marked deleted stays (RFC 1939 3).
fn broken(heard: Heard, said: &Said, out: &mut Output) -> Stage {
    out.events.push(heard.answered_with(said, State::Transaction, State::Closed));
    Stage::Closed
}

/// What was said to a command so far: its beginning, of which the record keeps all or the first line, and how much it was.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) kept: Vec<u8>,
    pub(super) octets: u64,
}

impl Said {
    pub(super) fn of(reply: &[u8]) -> Self {
        let mut said = Self::default();
        said.add(reply);
        said
    }

    fn add(&mut self, reply: &[u8]) {
        self.octets += reply.len() as u64;
        // One octet more than what is kept whole shows that there was more.
        let room = (REPLY_KEPT + 1).saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&reply[..reply.len().min(room)]);
    }
}
