//! A lab as a mail account of programs that we did not write: what a student who sets up a real client meets. The server is
//! the whole program on loopback, with TLS from the lab's own authority, which every client here verifies.

mod fetching;
mod folders;
mod host;
mod scanners;
mod sending;
