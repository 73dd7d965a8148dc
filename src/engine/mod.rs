//! Where a lab runs. Today that is the embedded engine: one background process for all groups, on loopback. What an engine
//! keeps on disk is [`state`]; what should run is decided in `crate::plan`, here it is only observed and performed.

pub mod embedded;
pub mod owner;
pub mod state;

pub use state::{Kept, LabDir, Record, StateDir, StateError};
