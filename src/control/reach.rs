//! How the control sockets of a lab's servers are reached: each engine has its way, and the client does not know which.

use std::{fmt, io, pin::Pin};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::names::GroupName;

/// A stream to a control socket.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection that is being made.
pub type Dialing<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn Wire>>> + Send + 'a>>;

/// The way to the process or the processes that serve a lab.
pub trait Dial: fmt::Debug + Send + Sync {
    /// The groups whose servers run, each in a process of its own, in order; none where one process serves all groups.
    fn groups(&self) -> Option<Vec<GroupName>>;

    /// Where the group's control socket is, for messages.
    fn place(&self, group: Option<&GroupName>) -> String;

    /// A stream to the control socket of the process that serves the group; without a group, of the only process.
    fn dial<'a>(&'a self, group: Option<&'a GroupName>) -> Dialing<'a>;
}
