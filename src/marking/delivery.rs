//! A delivered message as message checks look at it: what the event says, and what several checks ask, worked out once.

use std::cell::OnceCell;

use super::content::Content;
use crate::{
    evidence::{Delivered, MessageId},
    pattern::{Glob, Path},
};

/// A delivered message.
pub struct Delivery<'a> {
    /// Its number.
    pub message: MessageId,
    /// Where it went.
    pub delivered: &'a [Delivered],
    /// Octets as sent.
    pub octets: u64,
    /// The reverse-path.
    pub from: &'a str,
    recipients: &'a [String],
    domain: &'a str,
    fetch: &'a mut dyn FnMut(MessageId) -> Option<Vec<u8>>,
    content: OnceCell<Option<Content>>,
    sender: OnceCell<Path>,
    receivers: OnceCell<Vec<Path>>,
}

impl<'a> Delivery<'a> {
    /// A message of somebody in the group with this domain; `fetch` gives its content.
    pub fn new(
        (message, octets): (MessageId, u64),
        (from, recipients, delivered): (&'a str, &'a [String], &'a [Delivered]),
        domain: &'a str,
        fetch: &'a mut dyn FnMut(MessageId) -> Option<Vec<u8>>,
    ) -> Self {
        Self {
            message,
            delivered,
            octets,
            from,
            recipients,
            domain,
            fetch,
            content: OnceCell::new(),
            sender: OnceCell::new(),
            receivers: OnceCell::new(),
        }
    }

    /// Its content; none where it is lost.
    pub fn content(&mut self) -> Option<&Content> {
        let Self { message, octets, fetch, content, .. } = self;
        content.get_or_init(|| fetch(*message).map(|content| Content::new(content, *octets))).as_ref()
    }

    /// Whether the reverse-path matches.
    pub fn is_from(&self, pattern: &Glob) -> bool {
        self.sender.get_or_init(|| self.path(self.from)).matches(pattern)
    }

    /// Whether one of the recipients matches.
    pub fn is_to(&self, pattern: &Glob) -> bool {
        let all = || self.recipients.iter().map(|path| self.path(path)).collect();
        self.receivers.get_or_init(all).iter().any(|path| path.matches(pattern))
    }

    /// The mailboxes it went to, with commas between.
    pub fn mailboxes(&self) -> String {
        list(self.delivered.iter().map(|delivered| delivered.mailbox.as_str()))
    }

    /// The recipients, with commas between.
    pub fn recipients(&self) -> String {
        list(self.recipients.iter().map(String::as_str))
    }

    fn path(&self, path: &str) -> Path {
        let mut found = Path::default();
        found.set(path, self.domain);
        found
    }
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.take(super::LISTED).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marking::LISTED;

    #[test]
    fn a_list_is_cut() {
        let words = ["a"; LISTED + 1];
        assert_eq!(list(words[..LISTED].iter().copied()), list(words.iter().copied()));
        assert_eq!(list(words[..1].iter().copied()), "a");
    }
}
