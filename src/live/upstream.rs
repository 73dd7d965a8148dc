//! What asks the servers: a stream of events from each, taken up again where it broke off, until the lab is down.

use std::{collections::BTreeMap, time::Duration};

use tokio::{sync::broadcast, task::JoinSet, time::sleep};

use super::{Health, News, Source};
use crate::{
    control::{ClientError, Followed},
    engine::LabDir,
    evidence::Seq,
    names::GroupName,
};

/// How long after a stream broke off the server is asked again.
const AGAIN: Duration = Duration::from_millis(250);

/// Attempts that fail before anybody is told: a lab that goes down ends before.
const SAID_AFTER: u32 = 4;

/// Follows all groups until each has ended.
pub(super) async fn run(source: Source, dir: LabDir, after: BTreeMap<GroupName, Seq>, send: broadcast::Sender<News>) {
    let mut groups = JoinSet::new();
    for (group, after) in after {
        let upstream =
            Upstream { source: source.clone(), dir: dir.clone(), group, after, send: send.clone(), failed: 0 };
        groups.spawn(upstream.follow());
    }
    drop(send);
    groups.join_all().await;
}

struct Upstream {
    source: Source,
    dir: LabDir,
    group: GroupName,
    after: Seq,
    send: broadcast::Sender<News>,
    /// Attempts in a row that failed.
    failed: u32,
}

impl Upstream {
    async fn follow(mut self) {
        loop {
            let ended = self.read().await;
            if self.is_down() {
                return;
            }
            self.failed += 1;
            if self.failed == SAID_AFTER {
                let why = ended.map_or_else(|problem| problem.to_string(), |()| "it ended".to_owned());
                self.tell(Health::Awaited { why });
            }
            self.source.look_again().await;
            sleep(AGAIN).await;
        }
    }

    /// Sends what the server sees, until its stream ends.
    async fn read(&mut self) -> Result<(), ClientError> {
        let mut events = self.source.events(&self.group, self.after, true).await?;
        if std::mem::take(&mut self.failed) >= SAID_AFTER {
            self.tell(Health::Answers);
        }
        while let Some(followed) = events.next().await? {
            match followed {
                Followed::Event(event) => {
                    self.after = event.seq;
                    // Nobody listens between two watches.
                    let _ = self.send.send(News::Event { group: self.group.clone(), event });
                }
                Followed::Trouble(trouble) => self.tell(Health::Store(trouble)),
            }
        }
        Ok(())
    }

    fn tell(&self, health: Health) {
        let _ = self.send.send(News::Health { group: self.group.clone(), health });
    }

    /// Whether somebody took the lab down, or away.
    fn is_down(&self) -> bool {
        self.dir.record().is_ok_and(|record| record.is_none_or(|record| !record.up))
    }
}
