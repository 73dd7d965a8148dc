//! The lab's mail: each group gets what it has not as soon as its server runs, while other groups are still coming up.

use std::{collections::BTreeSet, sync::Arc};

use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    cli::output::Output,
    control::letters,
    engine::{docker::Docker, state::Delivered},
    inject::{self, Undelivered},
    lab::{Group, GroupName, Key, Lab},
    plan::docker::digest,
};

/// Groups at once: each costs a process in its server's container, and the groups behind it wait for the same processors.
const AT_ONCE: usize = 2;

/// The lab's mail on its way.
pub struct Mail {
    docker: Docker,
    lab: Arc<Lab>,
    key: Key,
    /// What is known to be where it should be, so that nobody need be asked.
    known: Delivered,
    slots: Arc<Semaphore>,
    under_way: JoinSet<Sent>,
    sent: usize,
    undelivered: Vec<Undelivered>,
}

/// What one group was sent.
struct Sent {
    group: GroupName,
    server: String,
    mail: String,
    arrived: usize,
    undelivered: Vec<Undelivered>,
}

impl Mail {
    /// Nothing is on its way yet; with `inject` off nothing ever will be.
    pub fn new(docker: &Docker, lab: &Lab, key: &Key, inject: bool) -> Self {
        let mut lab = lab.clone();
        if !inject {
            lab.mails.clear();
        }
        let known = docker.dir().delivered();
        Self {
            docker: docker.clone(),
            lab: Arc::new(lab),
            key: key.clone(),
            known,
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            under_way: JoinSet::new(),
            sent: 0,
            undelivered: Vec::new(),
        }
    }

    /// Sends what is due to a group, whose server runs in this container.
    pub fn begin(&mut self, group: &GroupName, server: &str) {
        let Some(group) = self.lab.group(group.as_str()).filter(|_| !self.lab.mails.is_empty()) else { return };
        let mail = mail_of(&self.lab, group);
        if self.known.holds(&group.name, server, &mail) {
            return;
        }
        let (docker, lab, key, slots) =
            (self.docker.clone(), Arc::clone(&self.lab), self.key.clone(), Arc::clone(&self.slots));
        let (group, server) = (group.name.clone(), server.to_owned());
        self.under_way.spawn(async move {
            let _slot = slots.acquire().await;
            let client = docker.server_client(&group, &server);
            let due = lab.group(group.as_str()).map(|group| inject::due(&lab, group, &BTreeSet::new()));
            let (arrived, undelivered) =
                letters::send_to(&lab, &key, &client, &group, due.unwrap_or_default(), false).await;
            Sent { group, server, mail, arrived, undelivered }
        });
    }

    /// Waits until all that was begun has come to its end.
    pub async fn all(&mut self) {
        while let Some(sent) = self.under_way.join_next().await {
            self.take(sent.ok());
        }
    }

    fn take(&mut self, sent: Option<Sent>) {
        let Some(Sent { group, server, mail, arrived, undelivered }) = sent else { return };
        self.sent += arrived;
        if undelivered.is_empty() {
            self.known.add(group, server, mail);
        }
        self.undelivered.extend(undelivered);
    }

    /// Gives up what is under way, remembers what arrived, and says what did not: how many arrived, and what did not.
    pub fn end(mut self, out: Output) -> (usize, Vec<String>) {
        while let Some(sent) = self.under_way.try_join_next() {
            self.take(sent.ok());
        }
        self.undelivered.sort_by(|a, b| a.due.cmp(&b.due));
        for problem in inject::summary(&self.undelivered) {
            out.problem(problem, None);
        }
        if !self.lab.mails.is_empty() {
            // Without it the next `up` asks the servers.
            let _ = self.docker.dir().write_delivered(&self.known);
        }
        (self.sent, self.undelivered.iter().map(ToString::to_string).collect())
    }
}

/// What tells the mail of a group from what it was before: which copies there are.
fn mail_of(lab: &Lab, group: &Group) -> String {
    let copies = inject::due(lab, group, &BTreeSet::new());
    let copies: Vec<[String; 2]> = copies
        .into_iter()
        .map(|due| {
            [due.injected.mail.to_string(), due.injected.student.map_or_else(String::new, |login| login.to_string())]
        })
        .collect();
    digest(copies.iter().flatten().map(String::as_bytes))
}
