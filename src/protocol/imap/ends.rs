//! How a connection begins and ends: the greeting, the turn to TLS, a fault's answer instead of ours, a last word.

use std::mem;

use super::{
    Session, Stage,
    gather::{Gathered, Said},
    reply::Reply,
};
use crate::{
    evidence::{EventKind, kept_reply},
    lab::Protocol,
    protocol::{Input, Output},
};

impl Session {
    /// A fault answers instead, and nothing else changes; a command under way ends with that.
    pub(super) fn denied(&mut self, of: &Input<'_>, reply: &[u8], out: &mut Output) {
        out.reply.extend_from_slice(reply);
        self.stage = Stage::Ready;
        let Input::Line { octets, crlf } = of else { return self.greeted(out) };
        self.gathered.line(octets, *crlf);
        let gathered = mem::take(&mut self.gathered);
        let mut said = Said::default();
        said.add(&out.reply);
        let state = self.connection.state();
        out.events.push(gathered.heard(self.suspicion()).answered(&said, state, state));
    }

    /// Whether what comes next begins a command, or is the greeting; not the rest of one, a response of AUTHENTICATE or DONE.
    pub fn begins(&self) -> bool {
        matches!(self.stage, Stage::Fresh | Stage::Ready) && self.gathered.is_empty()
    }

    pub(super) fn greet(&mut self, reply: Reply, out: &mut Output) {
        let capabilities = self.capabilities();
        reply.write(&self.peer, "*", &[("capabilities", &capabilities)], &mut out.reply);
        self.stage = if reply == Reply::Greeting { Stage::Ready } else { Stage::Closed };
        self.greeted(out);
    }

    pub(super) fn greeted(&self, out: &mut Output) {
        out.events.push(EventKind::Connected {
            protocol: Protocol::Imap,
            service: self.peer.service,
            peer: self.peer.remote,
            local: self.peer.local,
            reply: kept_reply(&out.reply),
        });
    }

    /// After STARTTLS nothing that came in the clear counts, and there was nothing to forget but the attempts (RFC 9051 6.2.1).
    pub(super) fn secured(&mut self) {
        self.secured = true;
        self.gathered = Gathered::default();
        if !matches!(self.stage, Stage::Fresh) {
            self.stage = Stage::Ready;
        }
    }

    /// The connection ends without LOGOUT.
    pub(super) fn end(&mut self, reply: Reply, out: &mut Output) {
        reply.write(&self.peer, "*", &[], &mut out.reply);
        self.stage = Stage::Closed;
    }
}
