//! What a test may do to a band and look up in it, beside what a phone, a reader and a wearer can.

use super::Band;
use super::session::State;
use crate::wire::frame::auth::AuthKey;

/// One of the two memories that keep their content without power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    /// The secure element's: cards, keys, logs.
    SecureElement,
    /// The device's own: key, owner, settings.
    Device,
}

impl Band {
    /// Lets the `nth` physical write to this memory from now (1 is the next one) be torn and power be lost in it.
    pub fn cut_power_at_write(&mut self, memory: Memory, nth: Option<u64>) {
        match memory {
            Memory::SecureElement => self.card.cut_power_at_write(nth),
            Memory::Device => self.settings.nvm_mut().cut_power_at_write(nth),
        }
    }

    /// Makes it a band that a phone has paired with this key before.
    pub fn set_key(&mut self, key: &AuthKey) {
        if self.settings.set_auth_key(key).is_err() {
            self.lose_power();
        }
    }

    /// The key a phone proves to know, if one has paired.
    #[must_use]
    pub fn key(&self) -> Option<AuthKey> {
        self.settings.auth_key()
    }

    /// Physical writes to this memory since the band was made.
    #[must_use]
    pub fn nvm_writes(&self, memory: Memory) -> u64 {
        match memory {
            Memory::SecureElement => self.card.nvm_writes(),
            Memory::Device => self.settings.nvm().writes(),
        }
    }

    /// SHA-256 over the committed content of this memory.
    #[must_use]
    pub fn nvm_digest(&self, memory: Memory) -> [u8; 32] {
        match memory {
            Memory::SecureElement => self.card.nvm_digest(),
            Memory::Device => self.settings.nvm().digest(),
        }
    }

    /// Whether it has power.
    #[must_use]
    pub fn is_powered(&self) -> bool {
        self.state != State::Off
    }

    /// Whether a phone is connected.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.link.is_some()
    }

    /// Whether the connection has authenticated.
    #[must_use]
    pub fn is_authenticated(&self) -> bool {
        self.state.is_authenticated()
    }

    /// Whether the NFC channel is open.
    #[must_use]
    pub fn is_channel_open(&self) -> bool {
        self.state.is_channel_open()
    }

    /// The number of the user it belongs to.
    #[must_use]
    pub fn user_id(&self) -> Option<u32> {
        self.settings.user_id()
    }

    /// Whether a phone was ever paired since the last factory reset.
    #[must_use]
    pub fn is_paired(&self) -> bool {
        self.settings.auth_key().is_some()
    }
}
