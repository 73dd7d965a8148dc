//! What goes out: a reply, the event of the command that it answers, and the end of a session.

use std::sync::{Arc, LazyLock};

use super::{
    Now, Output, Seen, Session, Stage,
    reply::{self, Words},
};
use crate::evidence::{EventKind, kept_reply};

impl Session {
    /// Ends the session from our side; a BDAT whose chunk has not come whole is on record with that.
    pub(super) fn end(&mut self, key: &str, now: Now, out: &mut Output) {
        let waiting = self.waiting.take();
        self.close(key, now, out);
        if let Some(seen) = waiting {
            self.finish(seen, now, out);
        }
    }

    pub(super) fn close(&mut self, key: &str, now: Now, out: &mut Output) {
        self.stage = Stage::Closed;
        self.say(key, &Words::default(), now, out);
    }

    /// Says what needs no words of the client.
    pub(super) fn tell(&self, key: &str, now: Now, out: &mut Output) {
        self.say(key, &Words::default(), now, out);
    }

    pub(super) fn say(&self, key: &str, words: &Words<'_>, now: Now, out: &mut Output) {
        reply::write(&self.peer, key, words, now, &mut out.reply);
    }

    /// A command that is being answered, before it has changed the state.
    pub(super) fn seen(&self, verb: &'static str, line: String, octets: u64) -> Seen {
        static SPECIAL: LazyLock<[Arc<str>; 3]> = LazyLock::new(|| ["", "<message>", "<response>"].map(Arc::from));
        let special = SPECIAL.iter().find(|special| special.as_ref() == verb);
        Seen { verb: special.map_or_else(|| verb.into(), Arc::clone), line, octets, before: self.state() }
    }

    /// Counts a refusal that is the client's fault, closes after too many, and records the command with its reply.
    pub(super) fn finish(&mut self, seen: Seen, now: Now, out: &mut Output) {
        if out.reply.first() == Some(&b'5') {
            self.errors += 1;
            if self.errors > self.peer.config.limits.errors {
                out.reply.clear();
                self.close("closing.errors", now, out);
            }
        }
        let event = self.event(seen, &out.reply);
        // The command comes before what it led to, such as a login.
        out.events.insert(0, event);
    }

    pub(super) fn event(&self, seen: Seen, reply: &[u8]) -> EventKind {
        EventKind::Command {
            verb: seen.verb,
            line: seen.line,
            octets: seen.octets,
            reply: kept_reply(reply),
            reply_octets: reply.len() as u64,
            before: seen.before,
            after: self.state(),
            pipelined: false,
            times: 1,
        }
    }
}
