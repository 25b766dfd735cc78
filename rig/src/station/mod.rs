//! What a scenario runs on: the seam between a case and its station, the stations, and the fixtures every station is built from.

pub mod carrier;
pub mod control;
pub mod embedded;
pub mod file;
pub mod fixtures;
pub mod guest;
pub mod hardware;
mod in_process;
pub mod live;
pub mod local;
pub mod middle;
mod mishaps;
mod offer;
#[cfg(all(feature = "pcsc", feature = "vpcd"))]
pub mod plugged;
mod queue;
pub mod recorder;
mod teller;
mod world;

pub use in_process::Embedded;
pub use offer::{Capability, Offer};
pub use world::{Acted, Inside, Roles, Station, TakesOver, Trouble, World};
