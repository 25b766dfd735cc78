//! How a role reaches a band.

pub mod air;
pub mod fault;
pub mod in_process;
