//! The messages that an event speaks of.

use super::{EventKind, MessageId};

impl EventKind {
    /// The message that came with the event.
    pub fn stored(&self) -> Option<MessageId> {
        match self {
            Self::Accepted { message, .. } | Self::Appended { message, .. } => Some(*message),
            Self::Queued { .. }
            | Self::Relayed { .. }
            | Self::Deferred { .. }
            | Self::Bounced { .. }
            | Self::Retrieved { .. }
            | Self::Deleted { .. }
            | Self::Copied { .. }
            | Self::Connected { .. }
            | Self::Command { .. }
            | Self::Secured { .. }
            | Self::HandshakeFailed { .. }
            | Self::Discarded { .. }
            | Self::LoneDot { .. }
            | Self::Limited { .. }
            | Self::LoggedIn { .. }
            | Self::LoginFailed { .. }
            | Self::Query { .. }
            | Self::Repeated { .. }
            | Self::Flagged { .. }
            | Self::Folder { .. }
            | Self::Disconnected { .. }
            | Self::Reset { .. }
            | Self::Fault { .. }
            | Self::FaultSet { .. }
            | Self::FaultCleared { .. }
            | Self::Exhausted { .. }
            | Self::Compacted { .. }
            | Self::Started { .. }
            | Self::Damaged { .. } => None,
        }
    }

    /// Goes through the messages that the event speaks of.
    pub fn messages(&mut self, each: &mut dyn FnMut(&mut MessageId)) {
        match self {
            Self::Accepted { message, .. }
            | Self::Queued { message, .. }
            | Self::Relayed { message, .. }
            | Self::Deferred { message, .. }
            | Self::Bounced { message, .. }
            | Self::Retrieved { message, .. }
            | Self::Deleted { message, .. }
            | Self::Appended { message, .. } => each(message),
            Self::Copied { copies, .. } => copies.iter_mut().for_each(|copied| each(&mut copied.message)),
            Self::Connected { .. }
            | Self::Command { .. }
            | Self::Secured { .. }
            | Self::HandshakeFailed { .. }
            | Self::Discarded { .. }
            | Self::LoneDot { .. }
            | Self::Limited { .. }
            | Self::LoggedIn { .. }
            | Self::LoginFailed { .. }
            | Self::Query { .. }
            | Self::Repeated { .. }
            | Self::Flagged { .. }
            | Self::Folder { .. }
            | Self::Disconnected { .. }
            | Self::Reset { .. }
            | Self::Fault { .. }
            | Self::FaultSet { .. }
            | Self::FaultCleared { .. }
            | Self::Exhausted { .. }
            | Self::Compacted { .. }
            | Self::Started { .. }
            | Self::Damaged { .. } => {}
        }
    }
}
