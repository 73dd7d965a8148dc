//! A server on real sockets: what its clients hear, what it records, what survives.

mod client;
mod foreign;
mod killed;
mod running;
mod sessions;
mod strangers;
