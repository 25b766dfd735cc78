//! See `bandrig::fuzzing::apdu`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bandrig::fuzzing::apdu(bytes));
