//! The flash of a band as bytes, so that a band can be taken up where another process left it.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::profile::BandProfile;
use super::session::State;
use super::{Band, Input};
use crate::rng::Rng;
use crate::time::Instant;
use crate::wire::hex::Hex;

/// Both banks of both memories. Holds keys and card numbers: `Debug` tells sizes only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryImage {
    /// The secure element's flash.
    pub secure_element: [Hex; 2],
    /// The device's own.
    pub device: [Hex; 2],
}

impl fmt::Debug for MemoryImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = |banks: &[Hex; 2]| banks.iter().map(|bank| bank.0.len()).sum::<usize>();
        write!(f, "MemoryImage({} and {} bytes)", bytes(&self.secure_element), bytes(&self.device))
    }
}

impl Band {
    /// What its memories hold now.
    #[must_use]
    pub fn memory_image(&self) -> MemoryImage {
        let hex = |banks: [&[u8]; 2]| banks.map(|bank| Hex(Vec::from(bank)));
        MemoryImage { secure_element: hex(self.card.flash()), device: hex(self.settings.nvm().flash()) }
    }

    /// The band that was made with this profile and seed and whose memories held this, switched on again: everything
    /// volatile is gone, a commit or a factory reset that was cut is undone or finished. `start` counts its starts, so that
    /// what is drawn from the seed afterwards was not drawn before.
    #[must_use]
    pub fn restored(profile: Arc<BandProfile>, seed: Rng, epoch_unix_us: i64, image: MemoryImage, start: u64) -> Self {
        let again = seed.fork(&format!("start {start}"));
        let mut band = Self::new(profile, seed, epoch_unix_us);
        let bytes = |banks: [Hex; 2]| banks.map(|bank| bank.0);
        band.card.replace_flash(bytes(image.secure_element), &again.fork("secure element"));
        band.settings.nvm_mut().replace_flash(bytes(image.device));
        band.rng = again.fork("authentication");
        band.state = State::Off;
        band.handle(Instant::ZERO, Input::PowerOn);
        band
    }
}
