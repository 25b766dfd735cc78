//! How a role reaches a band.

pub mod air;
#[cfg(feature = "bluez")]
pub mod ble;
pub mod danger;
pub mod fault;
pub mod in_process;
#[cfg(feature = "pcsc")]
pub mod pcsc;
pub mod t0;
