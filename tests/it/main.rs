//! The one integration-test binary: a module per subject.

mod class;
mod cli;
mod clients;
mod layers;
mod marking;
mod reading;
mod rehearse;
mod server;
mod store;
mod transcripts;
