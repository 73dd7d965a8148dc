//! IDLE (RFC 2177): the client waits and is told at once what changes in its folder, until it says DONE.

use std::{mem, sync::Arc};

use super::{Session, Stage, Task, Under, reply::Reply, tell::Then};
use crate::protocol::{
    Action, Output,
    folders::{Ask, Told},
};

impl Session {
    pub(super) fn idle(&mut self, under: Under, out: &mut Output) {
        match self.connection.view() {
            Some(view) => {
                let folder = Some(view.snapshot.id);
                self.ask(under, Task::Watch, Ask::Watch { folder }, out);
            }
            None => self.idling(under, out),
        }
    }

    pub(super) fn idling(&mut self, under: Under, out: &mut Output) {
        self.say(Reply::Idling, &under.tag, &[], out);
        self.stage = Stage::Idling(Box::new(under));
        // What changed between the last command and this one is told at once.
        self.changed(out);
    }

    /// The folder that is watched has changed.
    pub(super) fn changed(&mut self, out: &mut Output) {
        let Some(view) = self.connection.view() else { return };
        let ask = Ask::Sync { known: Arc::clone(&view.snapshot), claim: !view.read_only };
        match mem::replace(&mut self.stage, Stage::Ready) {
            Stage::Idling(under) => self.ask(*under, Task::Look, ask, out),
            stage => self.stage = stage,
        }
    }

    pub(super) fn look(&mut self, under: Under, told: Option<Told>, out: &mut Output) {
        if let Some(Told::Selected { snapshot, recent }) = told {
            return self.tell(under, snapshot, recent, (true, &[]), Then::Idle, out);
        }
        self.stage = Stage::Idling(Box::new(under));
    }

    pub(super) fn done_idling(&mut self, mut under: Under, octets: &[u8], crlf: bool, out: &mut Output) {
        under.heard.more(octets.len() as u64 + if crlf { 2 } else { 1 });
        out.action = Some(Action::Folders(Box::new(Ask::Watch { folder: None })));
        let mut tagged = Vec::new();
        if octets.eq_ignore_ascii_case(b"DONE") {
            let verb = under.heard.verb.to_string();
            Reply::Completed.write(&self.peer, &under.tag, &[("verb", &verb)], &mut tagged);
        } else {
            Reply::NotDone.write(&self.peer, &under.tag, &[], &mut tagged);
            self.errors += 1;
        }
        self.stage = Stage::Working(Box::new((under, Task::Finish { tagged, expunge: true })));
    }
}
