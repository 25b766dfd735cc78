//! See `bandrig::fuzzing::tlv`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bandrig::fuzzing::tlv(bytes));
