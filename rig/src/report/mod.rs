//! What a run tells: one stream of events, and its readers.
//!
//! What a person reads ([`text`]) and what machines read ([`jsonl`]) are made from the events. Nothing here knows how a case is run.

pub mod block;
pub mod event;
pub mod jsonl;
pub mod junit;
pub mod paint;
#[cfg(test)]
mod sample;
pub mod summary;
pub mod text;
