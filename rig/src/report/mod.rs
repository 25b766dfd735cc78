//! What a run tells: one stream of events, and its readers.

pub mod event;
