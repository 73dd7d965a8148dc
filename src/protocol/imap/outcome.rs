//! What goes on when the store has done something, or will not (RFC 9051 7.1, response codes).

use std::mem;

use super::{Session, Stage, Task, Under, reply::Reply};
use crate::protocol::{
    Outcome, Output,
    folders::{Refused, Told},
};

impl Session {
    /// Goes on after an action.
    pub(super) fn done(&mut self, outcome: Outcome, out: &mut Output) {
        let work = match mem::replace(&mut self.stage, Stage::Ready) {
            Stage::Working(work) => work,
            stage => {
                self.stage = stage;
                return;
            }
        };
        let (under, task) = *work;
        let told = match outcome {
            Outcome::Lost => return self.broken(under, out),
            Outcome::Sent => return self.sent(under, task, out),
            Outcome::Octets(octets) => match task {
                Task::Fetch(fetching) => return self.fetched(under, fetching, &octets, out),
                // No other reads in pieces.
                _ => return self.broken(under, out),
            },
            Outcome::Failed if matches!(&task, Task::Fetch(fetching) if fetching.is_inside_a_literal()) => {
                return self.broken(under, out);
            }
            Outcome::Folders(told) => Some(*told),
            Outcome::Failed
            | Outcome::Room(_)
            | Outcome::Stored
            | Outcome::Opened(_)
            | Outcome::Locked { .. }
            | Outcome::Waiting(_)
            | Outcome::Expunged => None,
        };
        match (task, told) {
            (task, Some(Told::Refused(refused))) => self.refused(under, &task, refused, out),
            (Task::List(listing), told) => self.listing(under, *listing, told, out),
            (Task::Status(items, name), Some(Told::Status(standing))) => {
                self.standing(under, &items, &name, &standing, out);
            }
            (Task::Select { read_only, name, resync }, Some(Told::Selected { snapshot, recent })) => {
                self.selected(under, read_only, &name, resync.as_ref(), (snapshot, recent), out);
            }
            (Task::Append(name), Some(Told::Appended { uid_validity, uid })) => {
                let uids = format!("{uid_validity} {uid}");
                self.complete_with(under, Reply::Appended, &[("uids", &uids), ("folder", &name)], out);
            }
            (Task::Copy { remove, name }, Some(Told::Copied { uid_validity, uids })) => {
                self.copied(under, remove, &name, uid_validity, &uids, out);
            }
            (Task::Store(storing), Some(told)) => self.storing(under, storing, told, out),
            (Task::Plain(_) | Task::Rename { .. } | Task::Expunge, Some(Told::Done)) => self.complete(under, out),
            (Task::Close, Some(Told::Done)) => {
                self.leave();
                self.complete(under, out);
            }
            (Task::Fetch(fetching), told) => self.fetching(under, fetching, told, out),
            (Task::Search(searching), told) => self.searching(under, searching, told, out),
            (Task::Finish { tagged, expunge }, told) => self.finish(under, tagged, expunge, told, out),
            (Task::Watch, Some(Told::Done)) => self.idling(under, out),
            (Task::Look, told) => self.look(under, told, out),
            (Task::Tell(_), _) => self.broken(under, out),
            (
                Task::Status(..)
                | Task::Select { .. }
                | Task::Plain(_)
                | Task::Rename { .. }
                | Task::Append(_)
                | Task::Copy { .. }
                | Task::Store(_)
                | Task::Expunge
                | Task::Close
                | Task::Watch,
                _,
            ) => self.answer(under, Reply::Failed, &[], out),
        }
    }

    /// Goes on with a long answer when the client has taken its beginning.
    fn sent(&mut self, under: Under, task: Task, out: &mut Output) {
        match task {
            Task::Fetch(fetching) => self.fetch_on(under, fetching, Vec::new(), out),
            Task::Search(searching) => self.search_on(under, searching, out),
            Task::Tell(telling) => {
                let (telling, then) = *telling;
                self.tell_on(under, telling, then, out);
            }
            // No other asks for it.
            Task::List(_)
            | Task::Status(..)
            | Task::Select { .. }
            | Task::Plain(_)
            | Task::Rename { .. }
            | Task::Append(_)
            | Task::Copy { .. }
            | Task::Store(_)
            | Task::Expunge
            | Task::Close
            | Task::Finish { .. }
            | Task::Watch
            | Task::Look => self.broken(under, out),
        }
    }

    /// The store will not do what a command wants.
    fn refused(&mut self, under: Under, task: &Task, refused: Refused, out: &mut Output) {
        let (name, creates) = match task {
            Task::Rename { to, .. } if refused == Refused::Exists => (to.clone(), false),
            Task::Rename { from: name, .. } | Task::Status(_, name) | Task::Select { name, .. } | Task::Plain(name) => {
                (name.clone(), false)
            }
            Task::Append(name) | Task::Copy { name, .. } => (name.clone(), true),
            Task::List(_)
            | Task::Store(_)
            | Task::Expunge
            | Task::Close
            | Task::Fetch(_)
            | Task::Search(_)
            | Task::Finish { .. }
            | Task::Tell(_)
            | Task::Watch
            | Task::Look => (String::new(), false),
        };
        // CLOSE ends in any case; messages that POP3 holds on to stay (RFC 9051 6.4.1 knows no NO).
        if matches!(task, Task::Close) {
            self.leave();
            return self.complete(under, out);
        }
        let reply = match refused {
            Refused::NoFolder if creates => Reply::TryCreate,
            Refused::NoFolder => Reply::NoFolder,
            Refused::Exists => Reply::Exists,
            Refused::Inbox => Reply::Inbox,
            Refused::HasChildren => Reply::HasChildren,
            Refused::TooLong => Reply::NameTooLong,
            Refused::TooManyFolders => Reply::TooManyFolders,
            Refused::TooManyKeywords => Reply::TooManyKeywords,
            Refused::Full => Reply::Full,
            Refused::Locked => Reply::Locked,
        };
        self.answer(under, reply, &[("folder", &name)], out);
    }
}
