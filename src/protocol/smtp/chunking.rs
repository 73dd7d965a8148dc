//! BDAT (RFC 3030): a message in chunks whose lengths are said beforehand. The octets of a chunk come right behind the command,
//! also behind one that is refused, so they are always taken away before anything is answered: what stands in a chunk is never
//! read as a command. BINARYMIME is not offered, since POP3 and the next server want lines.

use crate::protocol::line::{Chunks, DataFault, Limits};

use super::{
    Now, Output, Session, Stage,
    command::Command,
    parameter,
    reply::Words,
    transaction::{self, Transaction},
};

/// A chunk on its way.
#[derive(Debug)]
pub struct Chunk {
    target: Target,
    /// Its octets, as BDAT said.
    size: u64,
    /// Those that have not come yet.
    pub left: u64,
    /// Whether the message ends with it.
    last: bool,
}

/// What becomes of a chunk.
#[derive(Debug)]
enum Target {
    /// It belongs to this message.
    Message(Transaction),
    /// It is thrown away, this is said, and the transaction stays as it was.
    Refused {
        /// The key of the reply.
        key: &'static str,
        transaction: Option<Transaction>,
    },
}

impl Chunk {
    /// The transaction that the session is in.
    pub const fn transaction(&self) -> Option<&Transaction> {
        match &self.target {
            Target::Message(transaction) => Some(transaction),
            Target::Refused { transaction, .. } => transaction.as_ref(),
        }
    }
}

impl Session {
    /// Octets of memory that chunks take whose message is not complete.
    pub fn held(&self) -> usize {
        let transaction = match &self.stage {
            Stage::Open(transaction) => Some(transaction),
            Stage::Chunk(chunk) => chunk.transaction(),
            Stage::Idle
            | Stage::Asking(..)
            | Stage::Data(_)
            | Stage::Inquiring(_)
            | Stage::Storing(_)
            | Stage::Auth(_)
            | Stage::Securing
            | Stage::Closed => None,
        };
        transaction.and_then(|transaction| transaction.chunks.as_ref()).map_or(0, |chunks| chunks.held())
    }

    /// Keeps nothing of such chunks any more.
    pub(super) fn give_up(&mut self) {
        let transaction = match &mut self.stage {
            Stage::Open(transaction) => Some(transaction),
            Stage::Chunk(chunk) => match &mut chunk.target {
                Target::Message(transaction) => Some(transaction),
                Target::Refused { transaction, .. } => transaction.as_mut(),
            },
            Stage::Idle
            | Stage::Asking(..)
            | Stage::Data(_)
            | Stage::Inquiring(_)
            | Stage::Storing(_)
            | Stage::Auth(_)
            | Stage::Securing
            | Stage::Closed => None,
        };
        if let Some(chunks) = transaction.and_then(|transaction| transaction.chunks.as_mut()) {
            chunks.refuse(DataFault::NoRoom);
        }
    }

    /// BDAT: from now on its octets are awaited, also where it is refused already. A length that cannot be read is the one case
    /// in which nothing is.
    pub(super) fn bdat(&mut self, command: &Command<'_>, refusal: Option<&'static str>, now: Now, out: &mut Output) {
        let words = Words { verb: "BDAT", ..Words::default() };
        if !self.offer.chunking {
            return self.say("missing.command", &words, now, out);
        }
        let mut arguments = command.argument.split_ascii_whitespace();
        let size = arguments.next().and_then(parameter::size);
        let last = match (arguments.next(), arguments.next()) {
            (None, _) => Some(false),
            (Some(word), None) if word.eq_ignore_ascii_case("LAST") => Some(true),
            (Some(_), _) => None,
        };
        let Some((size, last)) = size.zip(last) else { return self.say("argument.bdat", &words, now, out) };
        let target = match std::mem::replace(&mut self.stage, Stage::Idle) {
            Stage::Open(transaction) if !transaction.recipients.is_empty() && refusal.is_none() => {
                Target::Message(transaction)
            }
            Stage::Open(transaction) => {
                let key = if transaction.refused { "sequence.refused" } else { "sequence.rcpt" };
                Target::Refused { key: refusal.unwrap_or(key), transaction: Some(transaction) }
            }
            Stage::Idle
            | Stage::Asking(..)
            | Stage::Data(_)
            | Stage::Chunk(_)
            | Stage::Inquiring(_)
            | Stage::Storing(_)
            | Stage::Auth(_)
            | Stage::Securing
            | Stage::Closed => {
                let key = if self.hello.is_some() { "sequence.mail" } else { "sequence.hello" };
                Target::Refused { key: refusal.unwrap_or(key), transaction: None }
            }
        };
        self.stage = Stage::Chunk(Box::new(Chunk { target, size, left: size, last }));
    }

    /// What came of a chunk.
    pub(super) fn chunk(&mut self, octets: &[u8], now: Now, out: &mut Output) {
        let limits = Limits::of(&self.peer.config, self.peer.config.limits.line);
        let Stage::Chunk(chunk) = &mut self.stage else { return };
        chunk.left = chunk.left.saturating_sub(octets.len() as u64);
        if let Target::Message(transaction) = &mut chunk.target {
            transaction.chunks.get_or_insert_with(|| Box::new(Chunks::new(limits))).take(octets);
        }
        if let Some(seen) = &mut self.waiting {
            seen.octets += octets.len() as u64;
        }
        self.end_of_chunk(now, out);
    }

    /// Answers BDAT, if all of its chunk is there.
    pub(super) fn end_of_chunk(&mut self, now: Now, out: &mut Output) {
        if !matches!(&self.stage, Stage::Chunk(chunk) if chunk.left == 0) {
            return;
        }
        let Stage::Chunk(chunk) = std::mem::replace(&mut self.stage, Stage::Idle) else { return };
        let Some(seen) = self.waiting.take() else { return };
        match chunk.target {
            Target::Refused { key, transaction } => {
                self.stage = transaction.map_or(Stage::Idle, Stage::Open);
                self.say(key, &Words { verb: "BDAT", ..Words::default() }, now, out);
            }
            Target::Message(mut transaction) if chunk.last => {
                let limits = Limits::of(&self.peer.config, self.peer.config.limits.line);
                let data = transaction.chunks.take().map_or_else(|| Chunks::new(limits), |chunks| *chunks).end();
                return self.accept(transaction, data, seen, now, out);
            }
            Target::Message(mut transaction) => {
                let limits = Limits::of(&self.peer.config, self.peer.config.limits.line);
                let fault = transaction.chunks.get_or_insert_with(|| Box::new(Chunks::new(limits))).fault();
                // The message is lost; the chunks that a pipelining client has sent behind this one find no transaction.
                if let Some(fault) = fault {
                    self.tell(transaction::refusal(fault), now, out);
                } else {
                    self.stage = Stage::Open(transaction);
                    self.say("chunk", &Words { text: &chunk.size.to_string(), ..Words::default() }, now, out);
                }
            }
        }
        self.finish(seen, now, out);
    }
}
