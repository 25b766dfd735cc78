//! How a role reaches a band.

pub mod air;
#[cfg(feature = "bluez")]
pub mod ble;
pub mod fault;
pub mod in_process;
