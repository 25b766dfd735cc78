//! The band beside its wallet: settings, owner, clock, battery, factory reset.

use alloc::vec::Vec;

use super::io::{BandEvent, Output};
use super::session::{State, Stop};
use super::settings::{Clock, MAX_SETTING_BYTES};
use super::{Band, Timer};
use crate::time::Instant;
use crate::wire::frame::aid::{AidCommand, Operation};
use crate::wire::frame::battery::{Battery, Charging};
use crate::wire::frame::config::{Reply, SettingId};
use crate::wire::frame::nfc_channel::Status;
use crate::wire::frame::reply::ReplyCode;
use crate::wire::frame::time::{CurrentTime, Stamp};
use crate::wire::frame::user::{UserSetting, Wrist};
use crate::wire::gatt::AttError;

/// The answer to a restart on H:1531.
const RESTARTS: [u8; 3] = [0x10, 0x05, 0x01];

impl Band {
    /// Forgets key, owner and settings, and the cards where the profile says so. Power lost in the middle finishes it later.
    /// `asked_by`: the setting a phone asked with, which is answered.
    pub(super) fn factory_reset(&mut self, asked_by: Option<SettingId>) -> Result<(), Stop> {
        self.settings.begin_reset()?;
        self.finish_reset()?;
        if let Some(id) = asked_by {
            self.notify_set(id, ReplyCode::Success);
        }
        if self.link.is_some() && self.profile.behaviour.factory_reset_disconnects.value {
            self.drop_link();
            self.push(Output::Disconnect);
        } else if self.link.is_some() {
            self.lapse();
        }
        Ok(())
    }

    /// The part of a factory reset that is done again when power was lost in it.
    pub(super) fn finish_reset(&mut self) -> Result<(), Stop> {
        let cards_wiped = self.profile.behaviour.factory_reset_wipes_cards.value;
        if cards_wiped {
            self.card.wipe_applets();
            if !self.card.is_powered() {
                return Err(Stop::PowerLost);
            }
        }
        self.settings.wipe()?;
        self.values.clear();
        self.push(Output::Event(BandEvent::FactoryReset { cards_wiped }));
        if self.wallet.reread(&self.card, &self.settings) {
            self.tell_cards();
        }
        Ok(())
    }

    /// The link stays, what it had proved does not.
    fn lapse(&mut self) {
        if self.state.is_channel_open() {
            self.close_channel(Status::Success);
        }
        self.timers.clear(Timer::PairingConfirm);
        self.stop_measuring();
        self.state = State::Unauthenticated;
    }

    pub(super) fn set(&mut self, id: SettingId, value: &[u8]) -> Result<(), Stop> {
        if !id.is_known() || value.len() > MAX_SETTING_BYTES {
            return Err(Stop::Refused(AttError::ValueNotAllowed));
        }
        if id == SettingId::AID || id == SettingId::AID_2018 {
            let bytes = [&[0x06], &id.0.to_le_bytes()[..], value].concat();
            let hint = AidCommand::decode(&bytes).map_err(|_| Stop::Refused(AttError::ValueNotAllowed))?;
            self.take_hint(&hint)?;
        } else {
            self.settings.set_setting(id, value)?;
        }
        self.notify_set(id, ReplyCode::Success);
        Ok(())
    }

    /// No alarms are kept and there are no position data: the answer is there, what it holds is empty.
    pub(super) fn answer_query(&mut self, command: u8) {
        self.notify_config(&Reply::Other { command, code: ReplyCode::Success, data: Vec::new() });
    }

    /// A hint changes the name of a card that is there, never the list itself.
    pub(super) fn take_hint(&mut self, hint: &AidCommand) -> Result<(), Stop> {
        let (aid, name) = match hint {
            AidCommand::Name { aid, name } => (aid, name.as_str()),
            AidCommand::Set { operation: Operation::Delete, aid, .. } => (aid, ""),
            AidCommand::Set { .. } | AidCommand::Set2018 { .. } | AidCommand::Unknown(_) => return Ok(()),
        };
        let cards: Vec<&[u8]> = self.wallet.cards().iter().map(|card| &*card.aid).collect();
        if name.is_empty() || !cards.contains(&aid.as_slice()) {
            return Ok(());
        }
        self.settings.set_card_name(aid, name, &cards)?;
        if self.wallet.reread(&self.card, &self.settings) {
            self.tell_cards();
        }
        Ok(())
    }

    pub(super) fn set_user(&mut self, setting: &UserSetting) -> Result<(), Stop> {
        match setting {
            UserSetting::Goal(steps) => self.settings.set_goal(*steps)?,
            UserSetting::Wear(Wrist::Left) => self.settings.set_wrist(0)?,
            UserSetting::Wear(Wrist::Right) => self.settings.set_wrist(1)?,
            UserSetting::Info(info) => {
                self.settings.set_user_id(info.user_id)?;
                self.push(Output::Event(BandEvent::Bound { user_id: info.user_id }));
            }
            UserSetting::Wear(Wrist::Unknown(_)) | UserSetting::Unknown(_) => {
                return Err(Stop::Refused(AttError::ValueNotAllowed));
            }
        }
        Ok(())
    }

    pub(super) fn set_time(&mut self, now: Instant, time: &CurrentTime) -> Result<(), Stop> {
        let Some(shown) = time.unix_micros() else {
            return Err(Stop::Refused(AttError::ValueNotAllowed));
        };
        let offset_micros = shown.saturating_sub(self.calendar(now));
        let zone_quarters = time.stamp.zone_quarters;
        self.settings.set_clock(Clock { offset_micros, zone_quarters })?;
        self.push(Output::Event(BandEvent::ClockSet { offset_micros, zone_quarters }));
        Ok(())
    }

    /// What the band's clock shows.
    pub(super) fn clock(&self, now: Instant) -> CurrentTime {
        let factory = Clock { offset_micros: 0, zone_quarters: self.profile.behaviour.factory_zone_quarters.value };
        let clock = self.settings.clock().unwrap_or(factory);
        CurrentTime::from_unix_micros(self.calendar(now).saturating_add(clock.offset_micros), clock.zone_quarters)
    }

    pub(super) fn set_battery(&mut self, now: Instant, level: u8, charging: bool) {
        let level = level.min(100);
        let charging = if charging { Charging::Yes } else { Charging::No };
        if self.battery.charging == Charging::Yes && charging == Charging::No {
            self.battery.last_charge = self.stamp(now);
            self.battery.last_charge_level = level;
        }
        let battery = Battery { level, charging, ..self.battery };
        if core::mem::replace(&mut self.battery, battery) != battery {
            self.notify(self.handles.battery, battery.encode());
        }
    }

    /// As the phone asked for: answered, then off and on again.
    pub(super) fn restart(&mut self) -> Result<(), Stop> {
        self.notify(self.handles.firmware, RESTARTS.to_vec());
        self.lose_power();
        self.start()
    }

    /// Power comes back: both memories find out what counts, everything volatile is new.
    pub(super) fn start(&mut self) -> Result<(), Stop> {
        self.settings.nvm_mut().recover();
        self.card.power_on();
        self.state = State::Disconnected;
        self.push(Output::Event(BandEvent::PoweredOn));
        if self.settings.is_reset_begun() {
            self.finish_reset()?;
        }
        if !self.profile.behaviour.clock_survives_power_loss.value && self.settings.clock().is_some() {
            self.settings.forget_clock()?;
        }
        if self.wallet.reread(&self.card, &self.settings) {
            self.tell_cards();
        }
        Ok(())
    }

    pub(super) fn lose_power(&mut self) {
        let was_linked = self.link.is_some();
        self.settings.nvm_mut().lose_power();
        self.card.power_off();
        self.timers.clear_all();
        self.values.clear();
        self.link = None;
        self.state = State::Off;
        self.push(Output::Event(BandEvent::PowerLost));
        if was_linked {
            self.push(Output::Disconnect);
        }
    }

    fn stamp(&self, now: Instant) -> Stamp {
        self.clock(now).stamp
    }

    /// Microseconds since 1970 in the station's calendar.
    fn calendar(&self, now: Instant) -> i64 {
        let since_start = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        self.epoch_unix_us.saturating_add(since_start)
    }
}
