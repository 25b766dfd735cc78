//! The bench around the band: the phone, the bank and the shop, the links between them and the scenarios that run on them.

pub mod cloud;
pub mod phone;
pub mod report;
