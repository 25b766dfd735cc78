//! The shop's role: a contactless terminal, sans-IO. One file per EMV step, in order.

pub mod config;
pub mod io;
