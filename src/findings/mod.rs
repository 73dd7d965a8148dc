//! What is wrong with a lab file, and the tables and values in which it is found: the tools of whoever reads a part of the file,
//! be it a setting (`crate::reading`) or a kind of check (`crate::marking::checks`). No I/O, and no table of its own.

pub mod diagnostic;
pub mod fields;
pub mod known;
pub mod offered;
mod shared;
pub mod steps;

pub use self::{
    diagnostic::{Code, Findings, Span},
    fields::{Field, Fields, Section, listed},
    known::{Known, Names, Scope},
    shared::{MAX_HEADERS, MAX_TIMES, bound, known_mail, mailbox, named_headers, pattern, times},
};
