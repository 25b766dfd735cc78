//! The bench around the band: the phone, the bank and the shop, the links between them and the scenarios that run on them.

pub mod cloud;
pub mod decode;
pub mod fuzzing;
pub mod fuzzing_card;
pub mod mask;
pub mod money;
pub mod phone;
pub mod report;
pub mod scenario;

pub mod terminal;
