#![no_main]
//! The IMAP session over its line layer and a store.

use labctl::lab::Protocol;

libfuzzer_sys::fuzz_target!(|input: &[u8]| labctl_fuzz::session(Protocol::Imap, input));
