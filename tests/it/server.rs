//! A server on real sockets: what its clients hear, what it records, what survives.

pub mod client;
mod evidence;
mod fair;
mod faults;
mod foreign;
mod imap;
mod killed;
mod process;
pub mod running;
mod sessions;
mod strangers;
mod streamed;
mod tls;
mod under_way;
