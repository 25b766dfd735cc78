//! A simulated payment band: the bytes it speaks, its secure element and the device around it.
#![no_std]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod band;
pub mod card;
#[cfg(feature = "std")]
pub mod edge;
pub mod rng;
pub mod time;
pub mod wire;
