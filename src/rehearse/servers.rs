//! The servers of one play: the group's own and, where mail goes on to other groups, that of the group beside it.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::stage::StageError;
use crate::{
    engine::Authority,
    evidence::Seq,
    lab::{GroupName, Key, Lab, Service, server::Endpoint},
    mail::Queued,
    plan::{
        address::{Addressing, Numbers},
        resolve,
    },
    server::Server,
};

/// How long a server may take to end after a play: nothing is under way then but what a left-out step left hanging.
const DRAIN: Duration = Duration::from_millis(500);

/// How long mail may take to come where it goes: longer than a server waits for another one's reply.
pub(super) const SETTLE: Duration = Duration::from_secs(90);

/// Running servers, the played group's first.
pub(super) struct Servers {
    all: Vec<Arc<Server>>,
    /// The certificate that clients trust them by.
    pub(super) authority: String,
}

impl Servers {
    /// Starts the servers of the lab's groups; the first one's store is `store`, the others' stand beside it.
    pub(super) async fn start(lab: &Lab, key: &Key, store: &Path) -> Result<Self, StageError> {
        let mut numbers = Numbers::default();
        numbers.assign(lab);
        let mut configs = resolve::servers(lab, key, Addressing::Ephemeral, &numbers);
        if !lab.settings.relay {
            configs.truncate(1);
        }
        // On ports that nobody knows yet; but who comes from these addresses is a server.
        let from = |group: &GroupName| Addressing::loopback(0)?.backbone(numbers.group(group)?);
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        resolve::connect(lab, &mut configs, |config| Some((anywhere, from(&config.group)?)));
        let mut authority = Authority::passing(&lab.name)?;
        let mut all = Vec::new();
        for (number, mut config) in configs.into_iter().enumerate() {
            config.identity = authority.identify(&config, None)?;
            let beside = store.with_extension(format!("beside{number}.sqlite"));
            all.push(Server::start(config, if number == 0 { store } else { &beside }).await?);
        }
        let servers = Self { all, authority: authority.certificate().to_owned() };
        servers.introduce().await?;
        Ok(servers)
    }

    /// Tells each server where the others are, now that they have ports.
    async fn introduce(&self) -> Result<(), StageError> {
        let meets = |endpoint: &Endpoint| endpoint.student.is_none() && endpoint.service == Service::Smtp;
        let place = |server: &Arc<Server>| {
            let endpoint = server.endpoints().into_iter().find(meets)?;
            Some((server.config().group.clone(), endpoint.address))
        };
        let places: BTreeMap<GroupName, SocketAddr> = self.all.iter().filter_map(place).collect();
        for server in &self.all {
            let mut config = (*server.config()).clone();
            for neighbour in &mut config.relaying.neighbours {
                neighbour.smtp = places.get(&neighbour.group).copied().unwrap_or(neighbour.smtp);
            }
            server.reconfigure(config).await?;
        }
        Ok(())
    }

    /// The server of the group that is played.
    pub(super) fn own(&self) -> &Server {
        &self.all[0]
    }

    /// Returns when everything that waits for another server was tried: it is there, has come back, or waits for another try.
    pub(super) async fn settle(&self) -> Result<(), String> {
        let settled = async {
            loop {
                let before = self.committed();
                for server in &self.all {
                    until_settled(server).await?;
                }
                // What came to a server that was looked at already is on its record.
                if self.committed() == before {
                    return Ok(());
                }
            }
        };
        let late = || format!("it is still under way after {} seconds", SETTLE.as_secs());
        timeout(SETTLE, settled).await.unwrap_or_else(|_| Err(late()))
    }

    fn committed(&self) -> Vec<Seq> {
        self.all.iter().map(|server| *server.store().subscribe().borrow()).collect()
    }

    /// Ends them; their stores are whole then.
    pub(super) async fn stop(self) -> Result<(), StageError> {
        for server in self.all {
            server.stop(DRAIN).await?;
        }
        Ok(())
    }
}

/// Looks again at each commit: what becomes of a message is committed with its place in the queue.
async fn until_settled(server: &Server) -> Result<(), String> {
    let most = server.config().relaying.patience.recipients;
    let mut committed = server.store().subscribe();
    loop {
        committed.borrow_and_update();
        let (queue, _) = server.queue(most).map_err(|problem| problem.to_string())?;
        if is_settled(&queue) {
            return Ok(());
        }
        committed.changed().await.map_err(|_| "the server has ended".to_owned())?;
    }
}

/// Whether all that waits was tried.
pub(super) fn is_settled(queue: &[Queued]) -> bool {
    queue.iter().all(|queued| queued.attempts > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        evidence::{MessageId, Timestamp, Who},
        mail::{
            Outgoing, QueueId, Wishes,
            dsn::{Notice, Notify},
        },
    };

    #[test]
    fn a_queue_is_settled_when_all_of_it_was_tried() {
        let queued = |attempts| Queued {
            id: QueueId(1),
            message: MessageId(1),
            sender: "ana@g1.lab".to_owned(),
            outgoing: Outgoing { recipient: "ben@g2.lab".to_owned(), domain: "g2.lab".to_owned() },
            notice: Notice { notify: Notify::Unsaid, original: None },
            wishes: Wishes::default(),
            who: Who::Unknown,
            run: 1,
            queued: Timestamp(0),
            since: Timestamp(0),
            attempts,
            due: Timestamp(0),
            warned: false,
            reply: None,
        };
        assert!(is_settled(&[]) && is_settled(&[queued(1), queued(7)]));
        assert!(!is_settled(&[queued(1), queued(0)]));
    }
}
