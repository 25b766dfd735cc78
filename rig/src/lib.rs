//! The bench around the band: the phone, the bank and the shop, the links between them and the scenarios that run on them.

pub mod band_cli;
pub mod cli;
pub mod cloud;
pub mod decode;
pub mod fuzzing;
pub mod fuzzing_card;
pub mod link;
pub mod mask;
pub mod model;
pub mod money;
pub mod phone;
pub mod report;
pub mod scenario;
pub mod station;
pub mod terminal;
pub mod yaml;
