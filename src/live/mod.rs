//! The room between servers and front ends: what a group's record tells ([`Record`]), and what comes while somebody watches
//! ([`Live`]). One upstream asks the servers; any number of [`Watch`]es read from it.
//!
//! ```text
//!  server of g01 ── events after N ──▶ upstream ──┬──▶ Watch: trace -f
//!  server of g02 ── events after N ──▶  (Live)   ──┴──▶ Watch: report -f
//! ```
//! A server that goes away is waited for, and the watches are told; the stream ends when the lab is down. No watch reads a
//! store's file, and none holds a transaction open.

mod record;
mod upstream;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use tokio::{
    sync::{Mutex, broadcast, broadcast::error::RecvError},
    task::JoinHandle,
};

pub use record::{Reading, Record};

use crate::{
    control::{Client, ClientError, Followed},
    engine::{Engine, LabDir},
    evidence::{Event, MessageId, Seq},
    names::GroupName,
    store::Trouble,
};

/// News that may wait for the slowest watch; one that falls behind further reads again what it missed.
pub const WAITING: usize = 4_096;

/// What a watch is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// A server saw something.
    Event {
        /// Whose server.
        group: GroupName,
        /// What.
        event: Box<Event>,
    },
    /// How a server is.
    Health {
        /// Whose server.
        group: GroupName,
        /// How.
        health: Health,
    },
    /// The watch was too slow. What it missed comes next.
    Behind {
        /// How much of the news it lost.
        missed: u64,
    },
}

/// How a server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It answers again.
    Answers,
    /// It does not answer, and is waited for.
    Awaited {
        /// Why it does not.
        why: String,
    },
    /// Its store cannot be written; none: it can again.
    Store(Option<Trouble>),
}

/// The upstream of a lab that is up. It ends when the lab does, or when this value is gone.
#[derive(Debug)]
pub struct Live {
    source: Source,
    news: broadcast::Receiver<News>,
    upstream: JoinHandle<()>,
}

impl Live {
    /// Asks the servers of these groups for what comes after these events.
    pub fn open(engine: Engine, dir: LabDir, after: BTreeMap<GroupName, Seq>) -> Self {
        let (send, news) = broadcast::channel(WAITING);
        let source = Source { engine, client: Arc::default() };
        let upstream = tokio::spawn(upstream::run(source.clone(), dir, after, send));
        Self { source, news, upstream }
    }

    /// A watch that has seen everything up to these events. It reads what came since, then what comes.
    pub fn watch(&self, seen: BTreeMap<GroupName, Seq>) -> Watch {
        let (news, source) = (self.news.resubscribe(), self.source.clone());
        Watch { news, due: seen.keys().cloned().collect(), seen, again: VecDeque::new(), source }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.upstream.abort();
    }
}

/// One reader of the upstream.
#[derive(Debug)]
pub struct Watch {
    news: broadcast::Receiver<News>,
    /// The last event of each group that was handed out.
    seen: BTreeMap<GroupName, Seq>,
    /// Groups of which something was missed.
    due: BTreeSet<GroupName>,
    /// What was missed, on its way.
    again: VecDeque<News>,
    source: Source,
}

impl Watch {
    /// What comes next; none when the lab is down.
    pub async fn next(&mut self) -> Option<News> {
        loop {
            if self.again.is_empty() {
                self.catch_up().await;
            }
            let news = match self.again.pop_front() {
                Some(news) => news,
                None => match self.news.recv().await {
                    Ok(news) => news,
                    Err(RecvError::Closed) => return None,
                    Err(RecvError::Lagged(missed)) => {
                        self.due = self.seen.keys().cloned().collect();
                        return Some(News::Behind { missed });
                    }
                },
            };
            let News::Event { group, event } = &news else { return Some(news) };
            let seen = self.seen.entry(group.clone()).or_default();
            // What was read again also comes by itself; what comes while something is missing is read with that.
            if event.seq.0 == seen.0 + 1 || (event.seq > *seen && !self.due.contains(group)) {
                *seen = event.seq;
                return Some(news);
            }
        }
    }

    /// Reads what was missed from the servers that answer, some of it at a time. One that does not is asked again when it has
    /// something new.
    async fn catch_up(&mut self) {
        for group in self.due.clone() {
            let after = self.seen.get(&group).copied().unwrap_or_default();
            let Ok(mut events) = self.source.events(&group, after, false).await else { continue };
            let mut read = 0;
            while read < WAITING
                && let Ok(Some(followed)) = events.next().await
            {
                // How the store is comes to who follows.
                if let Followed::Event(event) = followed {
                    read += 1;
                    self.again.push_back(News::Event { group: group.clone(), event });
                }
            }
            if read < WAITING {
                self.due.remove(&group);
            }
            if read > 0 {
                return;
            }
        }
    }

    /// A message of a group's server, by its number there; none where it cannot be had.
    pub async fn message(&self, group: &GroupName, id: MessageId) -> Option<Vec<u8>> {
        self.source.message(group, id).await
    }
}

/// The servers, whichever containers they are in today.
#[derive(Debug, Clone)]
struct Source {
    engine: Engine,
    client: Arc<Mutex<Option<Client>>>,
}

impl Source {
    /// A client that reaches the servers as they were when it was made.
    async fn client(&self) -> Result<Client, ClientError> {
        let mut client = self.client.lock().await;
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        let made = self.engine.client().await;
        let made =
            made.map_err(|why| ClientError::Broken { what: "reach the servers".into(), why: why.to_string() })?;
        Ok(client.insert(made).clone())
    }

    /// Forgets where the servers were.
    async fn look_again(&self) {
        *self.client.lock().await = None;
    }

    async fn events(&self, group: &GroupName, after: Seq, follow: bool) -> Result<crate::control::Events, ClientError> {
        let client = self.client().await?;
        let events = if follow { client.follow(group, after).await } else { client.events(group, after).await };
        if events.is_err() {
            self.look_again().await;
        }
        events
    }

    async fn message(&self, group: &GroupName, id: MessageId) -> Option<Vec<u8>> {
        let message = self.client().await.ok()?.message(group, id).await;
        if message.is_err() {
            self.look_again().await;
            return self.client().await.ok()?.message(group, id).await.ok().flatten();
        }
        message.ok().flatten()
    }
}
