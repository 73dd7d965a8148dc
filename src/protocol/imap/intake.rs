//! What comes in: lines, and the literals that they announce (RFC 9051 4.3, RFC 7888), which are bounded before they are read.

use std::mem;

use super::{
    Connection, Session, Stage,
    gather::{Announced, Head, MAX_COMMAND, MAX_LINE, MAX_LITERAL, Suspicion},
    reply::Reply,
    verb::Verb,
};
use crate::protocol::Output;

impl Session {
    pub(super) fn line(&mut self, octets: &[u8], crlf: bool, out: &mut Output) {
        match mem::replace(&mut self.stage, Stage::Ready) {
            Stage::Ready => self.line_of_command(octets, crlf, out),
            Stage::Authenticating(under) => self.respond(*under, octets, crlf, out),
            Stage::Idling(under) => self.done_idling(*under, octets, crlf, out),
            stage @ (Stage::Fresh | Stage::Literal { .. } | Stage::Securing | Stage::Working(_) | Stage::Closed) => {
                self.stage = stage;
            }
        }
    }

    fn line_of_command(&mut self, octets: &[u8], crlf: bool, out: &mut Output) {
        let announced = self.gathered.line(octets, crlf);
        let Some(Announced { octets, waits }) = announced else {
            let gathered = mem::take(&mut self.gathered);
            self.command(&gathered, crlf, out);
            self.literal_refused = false;
            return;
        };
        let head = Head::of(&self.gathered.octets);
        // A client that waits is told at once what is wrong; one that does not sends the literal in any case.
        let refused =
            waits && (!head.tagged || self.may_come(&head).is_err() || (!crlf && !self.peer.config.leniency.line_feed));
        let room = self.room_for_literal(head.verb);
        if refused || (waits && octets > room) {
            self.gathered.too_large = octets > room;
            let gathered = mem::take(&mut self.gathered);
            self.command(&gathered, crlf, out);
            self.literal_refused = true;
            return;
        }
        let tag = String::from_utf8_lossy(head.tag).into_owned();
        // A literal of no octets is there already.
        if octets > 0 {
            self.stage = Stage::Literal { left: octets, kept: octets <= room };
        }
        if waits {
            self.say(Reply::Continue, &tag, &[("octets", &octets.to_string())], out);
        }
    }

    /// The most octets that a literal may have here.
    fn room_for_literal(&self, verb: Option<Verb>) -> u64 {
        if verb == Some(Verb::Append) && self.connection.mailbox().is_some() {
            return self.peer.config.limits.message.max(MAX_LITERAL);
        }
        MAX_LITERAL.min(MAX_COMMAND.saturating_sub(self.gathered.octets.len()) as u64)
    }

    pub(super) fn literal(&mut self, piece: &[u8]) {
        let Stage::Literal { left, kept } = self.stage else { return };
        if kept {
            self.gathered.literal(piece);
        } else {
            self.gathered.skipped(piece.len() as u64);
        }
        let left = left.saturating_sub(piece.len() as u64);
        self.stage = if left == 0 { Stage::Ready } else { Stage::Literal { left, kept } };
    }

    /// Octets of memory that the command takes which is coming in.
    pub fn held(&self) -> usize {
        self.gathered.octets.capacity()
    }

    /// Keeps nothing of it any more but what command it is.
    pub(super) fn give_up(&mut self) {
        self.gathered.give_up();
        if let Stage::Literal { kept, .. } = &mut self.stage {
            *kept = false;
        }
    }

    pub(super) fn line_too_long(&mut self, head: &[u8], octets: u64, out: &mut Output) {
        let mut gathered = mem::take(&mut self.gathered);
        let under = match mem::replace(&mut self.stage, Stage::Ready) {
            Stage::Ready => {
                gathered.line(head, true);
                let tag = String::from_utf8_lossy(Head::of(&gathered.octets).tag).into_owned();
                let heard = gathered.heard(self.suspicion()).too_long(octets);
                self.under(tag, Verb::Noop, false, heard)
            }
            Stage::Authenticating(under) => under.0,
            Stage::Idling(under) => *under,
            stage => {
                self.stage = stage;
                return;
            }
        };
        self.refuse(under, Reply::LineTooLong, &[("limit", &MAX_LINE.to_string())], out);
    }

    pub(super) const fn suspicion(&self) -> Suspicion {
        match self.connection {
            _ if self.literal_refused => Suspicion::Everything,
            Connection::NotAuthenticated if self.login_tried => Suspicion::Everything,
            Connection::NotAuthenticated => Suspicion::Arguments,
            Connection::Authenticated(_) | Connection::Selected(..) | Connection::Logout => Suspicion::None,
        }
    }
}
