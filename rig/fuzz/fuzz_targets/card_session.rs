//! See `bandrig::fuzzing_card::card_session`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bandrig::fuzzing_card::card_session(bytes));
