//! The smallest store that does what sessions ask: mailboxes in memory.

use std::collections::{BTreeMap, BTreeSet};

use labctl::{
    evidence::{Delivered, EventKind, MessageId, Uid},
    lab::Login,
    mail::{
        Body, Entry, Envelope,
        dsn::{Notice, Notices, Notify, Original, xtext},
        sha256,
    },
    protocol::{Action, Outcome},
};

/// Messages and mailboxes.
pub struct Store {
    /// The messages as a reader gets them, by their number.
    pub messages: Vec<Vec<u8>>,
    /// What the envelope of the last one had besides addresses.
    pub extras: Vec<String>,
    mailboxes: BTreeMap<Login, Vec<Entry>>,
    pub locked: BTreeSet<Login>,
    pub works: bool,
    limit: u64,
    /// How many recipients may wait for other servers.
    pub queue: usize,
    /// How many wait, by domain.
    pub queued: BTreeMap<String, usize>,
}

impl Store {
    /// A store whose mailboxes hold at most `limit` octets.
    pub fn new(limit: u64) -> Self {
        Self {
            messages: Vec::new(),
            extras: Vec::new(),
            mailboxes: BTreeMap::new(),
            locked: BTreeSet::new(),
            works: true,
            limit,
            queue: usize::MAX,
            queued: BTreeMap::new(),
        }
    }

    /// Puts a message into mailboxes.
    pub fn add(&mut self, mailboxes: &[Login], message: Vec<u8>) -> Vec<Delivered> {
        let octets = message.len() as u64;
        self.messages.push(message);
        let number = MessageId(self.messages.len() as u64);
        let delivered = mailboxes.iter().map(|mailbox| {
            let entries = self.mailboxes.entry(mailbox.clone()).or_default();
            let uid = Uid(entries.last().map_or(1, |last| last.uid.0 + 1));
            entries.push(Entry { uid, message: number, octets });
            Delivered { mailbox: mailbox.clone(), uid }
        });
        delivered.collect()
    }

    /// Performs an action; what the store itself saw comes along.
    pub fn perform(&mut self, action: Action) -> (Outcome, Vec<EventKind>) {
        if !self.works {
            return (Outcome::Failed, Vec::new());
        }
        match action {
            Action::Room { mailbox, octets } => (Outcome::Room(self.used(&mailbox) + octets <= self.limit), Vec::new()),
            Action::QueueRoom { recipients } => (Outcome::Room(recipients <= self.queue), Vec::new()),
            Action::Hurry { domain } | Action::Waiting { domain } => (self.waiting(&domain), Vec::new()),
            Action::TurnRound { domain } => {
                self.queued.remove(&domain);
                (self.waiting(&domain), Vec::new())
            }
            Action::Deliver(envelope) => (Outcome::Stored, self.deliver(envelope)),
            Action::Open { mailbox } => {
                if !self.locked.insert(mailbox.clone()) {
                    return (Outcome::Locked { holder: None }, Vec::new());
                }
                (Outcome::Opened(self.mailboxes.get(&mailbox).cloned().unwrap_or_default()), Vec::new())
            }
            Action::Send => (Outcome::Sent, Vec::new()),
            Action::Read { message, from, most } => {
                let place = |number: u64| usize::try_from(number).expect("small");
                let octets = self.messages[place(message.0) - 1].iter().skip(place(from)).take(place(most));
                (Outcome::Octets(octets.copied().collect()), Vec::new())
            }
            Action::Folders(_) => panic!("IMAP plays against the real store"),
            Action::Expunge { mailbox, entries } => {
                self.mailboxes.entry(mailbox.clone()).or_default().retain(|entry| !entries.contains(entry));
                self.locked.remove(&mailbox);
                (Outcome::Expunged, Vec::new())
            }
        }
    }

    fn waiting(&self, domain: &str) -> Outcome {
        Outcome::Waiting(self.queued.get(domain).copied().unwrap_or(0))
    }

    fn used(&self, mailbox: &Login) -> u64 {
        self.mailboxes.get(mailbox).into_iter().flatten().map(|entry| entry.octets).sum()
    }

    fn deliver(&mut self, envelope: Envelope) -> Vec<EventKind> {
        let Envelope {
            from,
            recipients,
            notices,
            confirmation,
            body,
            utf8,
            mailboxes,
            outgoing,
            came: _,
            queue_name: _,
            trace,
            content,
        } = envelope;
        self.extras = extras(notices.as_deref(), body, utf8);
        let octets = content.len() as u64;
        let hash = sha256(&content);
        let delivered = self.add(&mailboxes, [trace, content].concat());
        let message = MessageId(self.messages.len() as u64);
        let accepted =
            EventKind::Accepted { message, from, recipients, delivered, octets, sha256: hash, injected: None };
        let waiting: Vec<String> = outgoing.into_iter().map(|outgoing| outgoing.recipient).collect();
        let queued = (!waiting.is_empty()).then_some(EventKind::Queued { message, recipients: waiting });
        let mut events: Vec<EventKind> = [accepted].into_iter().chain(queued).collect();
        if let Some(confirmation) = confirmation {
            let extras = std::mem::take(&mut self.extras);
            events.extend(self.deliver(confirmation.envelope));
            self.extras = extras;
        }
        events
    }
}

/// What an envelope has besides addresses, as the parameters of MAIL and RCPT would say it.
fn extras(notices: Option<&Notices>, body: Body, utf8: bool) -> Vec<String> {
    let mut mail = String::new();
    if body == Body::EightBit {
        mail.push_str(" BODY=8BITMIME");
    }
    if utf8 {
        mail.push_str(" SMTPUTF8");
    }
    let Some(notices) = notices else { return if mail.is_empty() { Vec::new() } else { vec![format!("MAIL{mail}")] } };
    if let Some(ret) = notices.ret {
        mail.extend([" RET=", ret.as_str()]);
    }
    if let Some(envid) = &notices.envid {
        mail.extend([" ENVID=", &xtext(envid)]);
    }
    let rcpt = |notice: &Notice| {
        let original =
            notice.original.as_ref().map(|Original { kind, address }| format!(" ORCPT={kind};{}", xtext(address)));
        let notify = if notice.notify == Notify::Unsaid { String::new() } else { format!(" NOTIFY={}", notice.notify) };
        format!("RCPT{notify}{}", original.unwrap_or_default())
    };
    std::iter::once(format!("MAIL{mail}")).chain(notices.recipients.iter().map(rcpt)).collect()
}
