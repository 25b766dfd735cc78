//! The outside world: real time, real sockets. A leaf that nothing else names; the only part of this crate that needs `std`.
//!
//! [`drive`] owns a band and its timers, [`clock`] gives it the time; what carries bytes to it from elsewhere, one file per
//! carrier, holds a [`drive::Handle`] and nothing more.

#[cfg(feature = "bluez")]
pub mod bluez;
pub mod clock;
pub mod drive;
#[cfg(feature = "vpcd")]
pub mod vpcd;
