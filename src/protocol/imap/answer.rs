//! How a command ends: what the client is told, and the event of it.

use super::{Connection, Session, Stage, Task, Under, reply::Reply, tell::Then, verb::Verb};
use crate::{
    evidence::State,
    protocol::{
        Action, Output,
        folders::{Ask, Told},
    },
};

impl Session {
    pub(super) fn say(&self, reply: Reply, tag: &str, values: &[(&str, &str)], out: &mut Output) {
        reply.write(&self.peer, tag, values, &mut out.reply);
    }

    /// Asks the store, and goes on with `task`.
    pub(super) fn ask(&mut self, under: Under, task: Task, ask: Ask, out: &mut Output) {
        out.action = Some(Action::Folders(Box::new(ask)));
        self.stage = Stage::Working(Box::new((under, task)));
    }

    /// Says no to a client that made a mistake, and counts it.
    pub(super) fn refuse(&mut self, under: Under, reply: Reply, values: &[(&str, &str)], out: &mut Output) {
        self.errors += 1;
        self.answer(under, reply, values, out);
        if self.errors > self.peer.config.limits.errors {
            self.end(Reply::ByeErrors, out);
        }
    }

    /// Ends a command with a reply, and tells nothing else.
    pub(super) fn answer(&mut self, mut under: Under, reply: Reply, values: &[(&str, &str)], out: &mut Output) {
        self.say(reply, &under.tag, values, out);
        under.said.add(&out.reply);
        self.stage = Stage::Ready;
        let after = self.connection.state();
        out.events.push(under.heard.answered(&under.said, under.before, after));
    }

    /// Ends a command in the middle of its answer, and with it the session: nobody listens any more, or what was announced cannot
    /// be said, and only closing tells that.
    pub(super) fn broken(&mut self, mut under: Under, out: &mut Output) {
        under.said.add(&out.reply);
        self.connection = Connection::Logout;
        self.stage = Stage::Closed;
        out.events.push(under.heard.answered(&under.said, under.before, State::Logout));
    }

    /// Ends a command that did what it should.
    pub(super) fn complete(&mut self, under: Under, out: &mut Output) {
        let verb = under.heard.verb.to_string();
        self.complete_with(under, Reply::Completed, &[("verb", &verb)], out);
    }

    /// The same with a reply of its own. While a folder is open its client hears first what else changed.
    pub(super) fn complete_with(&mut self, under: Under, reply: Reply, values: &[(&str, &str)], out: &mut Output) {
        let Some(view) = self.connection.view() else { return self.answer(under, reply, values, out) };
        let ask = Ask::Sync { known: std::sync::Arc::clone(&view.snapshot), claim: !view.read_only };
        let mut tagged = Vec::new();
        reply.write(&self.peer, &under.tag, values, &mut tagged);
        // RFC 9051 7.5.1: message numbers do not change during these.
        let expunge = under.uid || !matches!(under.verb, Verb::Fetch | Verb::Store | Verb::Search);
        self.ask(under, Task::Finish { tagged, expunge }, ask, out);
    }

    /// Ends a command after the client was told what changed.
    pub(super) fn finish(
        &mut self,
        under: Under,
        tagged: Vec<u8>,
        expunge: bool,
        told: Option<Told>,
        out: &mut Output,
    ) {
        // What cannot be read now is told later: the command itself is done.
        if let Some(Told::Selected { snapshot, recent }) = told {
            return self.tell(under, snapshot, recent, (expunge, &[]), Then::Tagged(tagged), out);
        }
        self.tagged(under, tagged, out);
    }

    /// Ends a command with its tagged line.
    pub(super) fn tagged(&mut self, mut under: Under, tagged: Vec<u8>, out: &mut Output) {
        self.stage = Stage::Ready;
        out.reply.extend(tagged);
        under.said.add(&out.reply);
        let after = self.connection.state();
        out.events.push(under.heard.answered(&under.said, under.before, after));
    }
}
