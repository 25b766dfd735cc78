//! What a run tells: one stream of events, and its readers.
//!
//! The runner hands every case's events to a [`reporter::Reporter`]; what a person reads ([`text`]) and what machines read ([`jsonl`],
//! [`junit`], [`out`]) are made from them. Nothing here knows how a case is run.

pub mod block;
pub mod event;
pub mod jsonl;
pub mod junit;
pub mod out;
pub mod paint;
pub mod pcapng;
pub mod reporter;
pub mod said;
#[cfg(test)]
mod sample;
pub mod summary;
pub mod taps;
pub mod text;
pub mod words;
