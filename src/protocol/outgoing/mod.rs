//! Mail for other servers: what follows from a try to pass a message on. Pure: verdicts of [`super::smtp::client`] in;
//! events, changes of the queue and notices to the sender out. When something is tried is [`retry`], how a notice looks is
//! [`notice`]; who connects where and when is `crate::server`.

pub mod notice;
pub mod retry;

use self::{
    notice::{About, Kind, Original},
    retry::Next,
};
use super::{
    Now,
    smtp::{client::Verdict, hearing::Reply},
};
use crate::{
    evidence::{EventKind, Timestamp, Who},
    lab::ServerConfig,
    mail::{Confirmation, Envelope, QueueChange, Queued, Wishes, dsn::Notice},
    protocol::smtp,
};

/// A server that was tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tried {
    /// Its name.
    pub name: String,
    /// Its address; empty where it did not come to a connection.
    pub address: String,
    /// How the connection was secured.
    pub tls: Option<String>,
}

impl Tried {
    /// `name [address]`; empty where nobody was tried.
    fn shown(&self) -> String {
        if self.address.is_empty() { self.name.clone() } else { format!("{} [{}]", self.name, self.address) }
    }
}

/// What follows from a try.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// What was seen.
    pub events: Vec<EventKind>,
    /// What changes in the queue, in the order of the recipients.
    pub changes: Vec<QueueChange>,
    /// Notices to the sender.
    pub notices: Vec<Envelope>,
}

/// Recipients with the same fate.
struct Group {
    kind: Fate,
    reply: String,
    status: String,
    attempts: u32,
    due: Timestamp,
    recipients: Vec<String>,
    returned: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Relayed,
    Deferred,
    Bounced,
}

/// What follows for recipients of one message, each with its verdict. `content` is the message as sent.
pub fn settle(
    config: &ServerConfig,
    server: &Tried,
    recipients: &[(Queued, Verdict)],
    content: &[u8],
    seed: u64,
    now: Now,
) -> Settled {
    let mut settled = Settled::default();
    let mut groups: Vec<Group> = Vec::new();
    let mut notices: [(Kind, Vec<About>); 3] =
        [Kind::Failed, Kind::Delayed, Kind::Relayed].map(|kind| (kind, Vec::new()));
    let time = now.steady();
    let patience = &config.relaying.patience;
    for (queued, verdict) in recipients {
        let id = queued.id;
        let attempts = queued.attempts + 1;
        let end = queued.since.0.saturating_add_unsigned(patience.give_up_secs.saturating_mul(1_000_000));
        let about = |reply: &Reply, status: String| About {
            recipient: queued.outgoing.recipient.clone(),
            given: queued.notice.original.clone(),
            reply: reply.to_string(),
            status,
            server: if server.address.is_empty() { String::new() } else { server.name.clone() },
            until: now.date_of(Timestamp(end)),
        };
        let notify = queued.notice.notify;
        let can_hear = smtp::destination(config, &queued.sender).is_some();
        let (kind, reply, status, due, returned) = match verdict {
            Verdict::Taken { reply, told } => {
                settled.changes.push(QueueChange::Done(id));
                if notify.of_success() && !told {
                    notices[2].1.push(about(reply, reply.status()));
                }
                (Fate::Relayed, reply, reply.status(), time, false)
            }
            Verdict::Later(reply) => match retry::next(patience, queued.since, attempts, time) {
                Next::At(due) => {
                    let warn = !queued.warned && notify.of_delay() && retry::is_late(patience, queued.since, time);
                    if warn {
                        notices[1].1.push(about(reply, reply.status()));
                    }
                    let warned = queued.warned || warn;
                    settled.changes.push(QueueChange::Later { id, attempts, due, warned, reply: reply.to_string() });
                    (Fate::Deferred, reply, reply.status(), now.date_of(due), false)
                }
                Next::GiveUp => {
                    settled.changes.push(QueueChange::Done(id));
                    // The time is up (RFC 3463 3.5), whatever the last server said; that is in the diagnostic code.
                    let returned = notify.of_failure() && can_hear;
                    if returned {
                        notices[0].1.push(about(reply, "5.4.7".to_owned()));
                    }
                    (Fate::Bounced, reply, "5.4.7".to_owned(), time, returned)
                }
            },
            Verdict::Never(reply) => {
                settled.changes.push(QueueChange::Done(id));
                let returned = notify.of_failure() && can_hear;
                if returned {
                    notices[0].1.push(about(reply, reply.status()));
                }
                (Fate::Bounced, reply, reply.status(), time, returned)
            }
        };
        let reply = reply.to_string();
        let recipient = queued.outgoing.recipient.clone();
        let same = |group: &&mut Group| {
            group.kind == kind
                && group.reply == reply
                && group.attempts == attempts
                && (group.due, group.returned) == (due, returned)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.recipients.push(recipient),
            None => groups.push(Group { kind, reply, status, attempts, due, recipients: vec![recipient], returned }),
        }
    }
    let Some((first, _)) = recipients.first() else { return settled };
    settled.events = groups.into_iter().map(|group| event(first, server, group)).collect();
    let original = Original::of(first, content);
    let notice = |(number, (kind, about)): (usize, (Kind, Vec<About>))| {
        let seed = seed.wrapping_add(number as u64);
        (!about.is_empty()).then(|| notice::notice(config, original, kind, &about, seed, now)).flatten()
    };
    settled.notices = notices.into_iter().enumerate().filter_map(notice).collect();
    settled
}

/// The notice of what goes into mailboxes of this server, for a sender that asked for it (RFC 3461 5.2.3). Other servers' recipients
/// are told of when they are settled.
pub fn delivered(config: &ServerConfig, envelope: &Envelope, seed: u64, now: Now) -> Option<Box<Confirmation>> {
    let notices = envelope.notices.as_ref()?;
    let time = Timestamp(now.micros);
    let mut about: Vec<About> = Vec::new();
    for (place, recipient) in envelope.recipients.iter().enumerate() {
        let Notice { notify, original: given } = notices.of(place);
        let elsewhere = envelope.outgoing.iter().any(|outgoing| outgoing.recipient == *recipient);
        let told = about.iter().any(|about| about.recipient == *recipient);
        if notify.of_success() && !elsewhere && !told {
            about.push(About {
                recipient: recipient.clone(),
                given,
                reply: "it is in the mailbox".to_owned(),
                status: "2.0.0".to_owned(),
                server: String::new(),
                until: time,
            });
        }
    }
    let wishes = Wishes::of(envelope);
    let original = Original { sender: &envelope.from, wishes: &wishes, arrived: time, content: &envelope.content };
    let envelope =
        (!about.is_empty()).then(|| notice::notice(config, original, Kind::Delivered, &about, seed, now)).flatten()?;
    Some(Box::new(Confirmation { by: sender_of_notices(config), envelope }))
}

/// The server itself, as the one who sends notices.
pub fn sender_of_notices(config: &ServerConfig) -> Who {
    Who::Server { group: config.group.clone() }
}

fn event(queued: &Queued, server: &Tried, group: Group) -> EventKind {
    let Group { kind, reply, status, attempts, due, recipients, returned } = group;
    let (message, shown) = (queued.message, server.shown());
    match kind {
        Fate::Relayed => EventKind::Relayed { message, recipients, server: shown, reply, tls: server.tls.clone() },
        Fate::Deferred => EventKind::Deferred { message, recipients, server: shown, reply, attempts, due },
        Fate::Bounced => EventKind::Bounced { message, recipients, server: shown, reply, status, returned },
    }
}

#[cfg(test)]
mod tests;
