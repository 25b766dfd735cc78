//! What the band itself remembers without power: its key, its owner, its clock, its settings, the names of its cards.

use alloc::string::String;
use alloc::vec::Vec;

use crate::card::nvm::{Key, Nvm, PowerLost};
use crate::rng::Rng;
use crate::wire::frame::auth::AuthKey;
use crate::wire::frame::config::SettingId;

const AUTH_KEY: Key = 1;
const USER_ID: Key = 2;
const CLOCK: Key = 3;
const RESET_BEGUN: Key = 4;
const CARD_NAMES: Key = 5;
const GOAL: Key = 6;
const WRIST: Key = 7;
/// Setting `id` of H:0003 is kept under this plus `id`.
const SETTING: Key = 0x1_0000;

/// The longest value of a setting that is kept.
pub(super) const MAX_SETTING_BYTES: usize = 32;
/// The longest name of a card that is kept; longer ones are cut.
const MAX_NAME_BYTES: usize = 64;

/// How the clock runs beside the station's calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock {
    /// Microseconds ahead of it.
    pub(super) offset_micros: i64,
    /// Its zone, in quarter hours.
    pub(super) zone_quarters: i8,
}

/// The device's own memory.
#[derive(Clone)]
pub(super) struct Settings {
    nvm: Nvm,
}

impl Settings {
    pub(super) fn new(rng: Rng) -> Self {
        Self { nvm: Nvm::new(rng) }
    }

    pub(super) fn auth_key(&self) -> Option<AuthKey> {
        Some(AuthKey(self.nvm.get(AUTH_KEY)?.try_into().ok()?))
    }

    pub(super) fn set_auth_key(&mut self, key: &AuthKey) -> Result<(), PowerLost> {
        self.nvm.commit(&[(AUTH_KEY, Some(&key.0))])
    }

    pub(super) fn user_id(&self) -> Option<u32> {
        Some(u32::from_le_bytes(self.nvm.get(USER_ID)?.try_into().ok()?))
    }

    pub(super) fn set_user_id(&mut self, user_id: u32) -> Result<(), PowerLost> {
        self.nvm.commit(&[(USER_ID, Some(&user_id.to_le_bytes()))])
    }

    pub(super) fn clock(&self) -> Option<Clock> {
        let (offset, zone) = self.nvm.get(CLOCK)?.split_first_chunk()?;
        let zone = zone.first_chunk()?;
        Some(Clock { offset_micros: i64::from_le_bytes(*offset), zone_quarters: i8::from_le_bytes(*zone) })
    }

    pub(super) fn set_clock(&mut self, clock: Clock) -> Result<(), PowerLost> {
        let bytes = [&clock.offset_micros.to_le_bytes()[..], &clock.zone_quarters.to_le_bytes()].concat();
        self.nvm.commit(&[(CLOCK, Some(&bytes))])
    }

    pub(super) fn forget_clock(&mut self) -> Result<(), PowerLost> {
        self.nvm.commit(&[(CLOCK, None)])
    }

    pub(super) fn setting(&self, id: SettingId) -> Option<&[u8]> {
        self.nvm.get(SETTING + Key::from(id.0))
    }

    pub(super) fn set_setting(&mut self, id: SettingId, value: &[u8]) -> Result<(), PowerLost> {
        self.nvm.commit(&[(SETTING + Key::from(id.0), Some(value))])
    }

    pub(super) fn set_goal(&mut self, steps: u16) -> Result<(), PowerLost> {
        self.nvm.commit(&[(GOAL, Some(&steps.to_le_bytes()))])
    }

    pub(super) fn set_wrist(&mut self, wrist: u8) -> Result<(), PowerLost> {
        self.nvm.commit(&[(WRIST, Some(&[wrist]))])
    }

    pub(super) fn card_name(&self, aid: &[u8]) -> Option<String> {
        self.card_names().into_iter().find(|(named, _)| named == aid).map(|(_, name)| name)
    }

    /// Names a card and forgets the names of all that are not among `cards`, so that the list stays as short as theirs.
    pub(super) fn set_card_name(&mut self, aid: &[u8], name: &str, cards: &[&[u8]]) -> Result<(), PowerLost> {
        let mut names = self.card_names();
        names.retain(|(named, _)| named != aid && cards.contains(&named.as_slice()));
        if cards.contains(&aid) {
            let end = (0..=name.len().min(MAX_NAME_BYTES)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
            names.push((aid.to_vec(), name.split_at_checked(end).map_or("", |(kept, _)| kept).into()));
        }
        let bytes = postcard::to_allocvec(&names).unwrap_or_default();
        self.nvm.commit(&[(CARD_NAMES, Some(&bytes))])
    }

    fn card_names(&self) -> Vec<(Vec<u8>, String)> {
        self.nvm.get(CARD_NAMES).and_then(|bytes| postcard::from_bytes(bytes).ok()).unwrap_or_default()
    }

    /// Notes that a factory reset has begun, so that it is finished even when power is lost in the middle.
    pub(super) fn begin_reset(&mut self) -> Result<(), PowerLost> {
        self.nvm.commit(&[(RESET_BEGUN, Some(&[1]))])
    }

    pub(super) fn is_reset_begun(&self) -> bool {
        self.nvm.get(RESET_BEGUN).is_some()
    }

    /// Forgets everything, the note of [`Self::begin_reset`] included, in one step.
    pub(super) fn wipe(&mut self) -> Result<(), PowerLost> {
        let gone: Vec<_> = self.nvm.keys().map(|key| (key, None)).collect();
        self.nvm.commit(&gone)
    }

    pub(super) fn nvm(&self) -> &Nvm {
        &self.nvm
    }

    pub(super) fn nvm_mut(&mut self) -> &mut Nvm {
        &mut self.nvm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_only_as_long_as_its_card() {
        let mut settings = Settings::new(Rng::new(1));
        settings.set_card_name(&[1], "one", &[&[1], &[2]]).unwrap();
        settings.set_card_name(&[2], "two", &[&[1], &[2]]).unwrap();
        assert_eq!(settings.card_name(&[1]).as_deref(), Some("one"));
        settings.set_card_name(&[2], "zwei", &[&[2]]).unwrap();
        assert_eq!(settings.card_name(&[1]), None);
        assert_eq!(settings.card_name(&[2]).as_deref(), Some("zwei"));
        settings.set_card_name(&[3], "stranger", &[&[2]]).unwrap();
        assert_eq!(settings.card_name(&[3]), None);
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let mut settings = Settings::new(Rng::new(1));
        let name = "é".repeat(40) + "x";
        settings.set_card_name(&[1], &alloc::format!("a{name}"), &[&[1]]).unwrap();
        let kept = settings.card_name(&[1]).unwrap();
        assert_eq!(kept.len(), 63);
    }

    #[test]
    fn a_wipe_leaves_nothing() {
        let mut settings = Settings::new(Rng::new(1));
        let empty = settings.nvm().digest();
        settings.set_auth_key(&AuthKey([1; 16])).unwrap();
        settings.set_user_id(7).unwrap();
        settings.set_clock(Clock { offset_micros: -5, zone_quarters: -20 }).unwrap();
        settings.set_setting(SettingId::GOAL, &[1]).unwrap();
        settings.begin_reset().unwrap();
        assert_eq!(settings.clock(), Some(Clock { offset_micros: -5, zone_quarters: -20 }));
        settings.wipe().unwrap();
        assert_eq!(settings.nvm().digest(), empty);
        assert!(!settings.is_reset_begun());
    }
}
