#![no_main]
//! The line layer alone.

libfuzzer_sys::fuzz_target!(|input: &[u8]| labctl_fuzz::framing(input));
