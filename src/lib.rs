//! labctl: a lab for e-mail protocols. One instructor writes a lab; each group of students gets a mail server; what goes over
//! the wire is recorded as evidence; the evidence is marked.
//!
//! ```text
//!  lab.toml + roster.csv ─ reading ─▶ Lab ─┬─ plan ─▶ engine: embedded ─▶ one server per group, one endpoint per student
//!                                          │          engine: docker ───▶ one network and server per group, one client per student
//!                                          ├─ inject ──────▶ server (real SMTP over the control socket)
//!                                          └─ marking ◀─ evidence ◀─ server's store (SQLite: mail + events, one transaction)
//!                                               └▶ report: table, csv, json, words
//! ```
//!
//! # Layers
//! A file imports from its own layer or from those above it in this list, never from below; `tests/it/layers.rs` holds it.
//!
//! | layer | modules |
//! |---|---|
//! | 0 values | [`names`], [`mail`], [`lab`], [`evidence`] |
//! | 1 pure logic | [`reading`], [`plan`], [`protocol`], [`marking`], [`report`], [`trace`] |
//! | 2 edges | [`store`], [`server`], [`control`], [`engine`], [`inject`], [`rehearse`] |
//! | 3 shell | [`cli`] |
//!
//! # Reading order
//! [`lab`] (what an instructor writes) → [`protocol`] (how a session decides) → [`server`] (what drives it) → [`store`] (what is
//! kept) → [`evidence`] → [`marking`] → [`cli`].
//!
//! # Invariants, also of what is absent
//! - Layers 0 and 1 have no sockets, files, clock, randomness or threads: time and seeds are arguments.
//! - A reply that promises (250 after DATA, +OK after POP3 QUIT) is sent after the commit that keeps the promise.
//! - An event never holds a password. A message once accepted stays in the store as evidence when its mailbox entry is gone.
//! - Docker objects are found by their labels, and nothing without them is touched; no password is in a label or a variable.
//! - No control interface listens on a network; injected mail comes in over the control socket and never counts as a student's.
//! - Only `cli::output` prints.

pub mod cli;
pub mod control;
pub mod engine;
pub mod evidence;
pub mod inject;
pub mod lab;
pub mod mail;
pub mod marking;
pub mod names;
pub mod plan;
pub mod protocol;
pub mod reading;
pub mod rehearse;
pub mod report;
pub mod server;
pub mod store;
pub mod trace;
