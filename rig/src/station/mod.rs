//! What a scenario runs on: the embedded station, and the fixtures every station is built from.

pub mod embedded;
pub mod fixtures;
pub mod recorder;
