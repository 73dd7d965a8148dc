//! The room between stores and front ends: what a group's record tells, whichever stores it is in.

mod record;

pub use record::{Reading, Record};
