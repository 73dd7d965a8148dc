//! The one integration-test binary: a module per subject.

mod class;
mod cli;
mod clients;
mod docker;
mod dovecot;
mod layers;
mod marking;
mod package;
mod reading;
mod rehearse;
mod relay;
mod server;
mod store;
mod strangers;
mod transcripts;
