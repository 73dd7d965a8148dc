#![no_main]
//! The POP3 session over its line layer.

use labctl::lab::Protocol;

libfuzzer_sys::fuzz_target!(|input: &[u8]| labctl_fuzz::session(Protocol::Pop3, input));
