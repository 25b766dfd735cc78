//! The attribute table at work: who may read and write what now, and what the bytes written mean.

use alloc::vec::Vec;

use super::Band;
use super::io::{BandEvent, Output, Refused, WriteMode};
use super::session::Event;
use crate::time::Instant;
use crate::wire::frame::aid::AidCommand;
use crate::wire::frame::auth::{self, SignedAnswer};
use crate::wire::frame::chunked::{Chunk, Kind};
use crate::wire::frame::config::{self, SettingId};
use crate::wire::frame::nfc_channel;
use crate::wire::frame::reply::ReplyCode;
use crate::wire::frame::time::CurrentTime;
use crate::wire::frame::user::UserSetting;
use crate::wire::frame::{fetch, heart_rate};
use crate::wire::gatt::{AttError, Attribute, Characteristic, CharacteristicId, Gate, Handle, Property, Uuid};

/// The longest attribute value (Core 5.4 vol 3 part F 3.2.9).
const MAX_VALUE_BYTES: usize = 512;
/// Notifications switched on (Core 5.4 vol 3 part G 3.3.3.3).
const CCCD_NOTIFY: [u8; 2] = [1, 0];
const CCCD_OFF: [u8; 2] = [0, 0];
const FACTORY_RESET_VALUE: &[u8] = &[1];
/// On H:1531.
const RESTART: &[u8] = &[0x05];

/// What a write comes to.
enum Meaning {
    /// Something for the session to decide.
    Event(Event),
    /// A chunk with more to come.
    Unfinished,
    /// Nothing is known of the characteristic but that it can be written.
    Memory,
}

impl Band {
    pub(super) fn read(&self, now: Instant, handle: Handle) -> Result<Vec<u8>, AttError> {
        let link = self.link.as_ref().ok_or(AttError::UnlikelyError)?;
        match self.profile.gatt.attribute(handle).ok_or(AttError::InvalidHandle)? {
            Attribute::Service(service) => Ok(service.declaration_value()),
            Attribute::Declaration(characteristic) => Ok(characteristic.declaration_value()),
            Attribute::Descriptor(characteristic, descriptor) if descriptor.uuid == Uuid::CCCD => {
                let on = link.subscriptions.contains(&characteristic.handle);
                Ok(if on { CCCD_NOTIFY } else { CCCD_OFF }.to_vec())
            }
            Attribute::Descriptor(_, descriptor) => {
                Ok(descriptor.value.as_ref().map(|value| value.value.to_vec()).unwrap_or_default())
            }
            Attribute::Value(id, characteristic) => {
                if !characteristic.has(Property::Read) || !self.may(characteristic.read.value) {
                    return Err(AttError::ReadNotPermitted);
                }
                Ok(self.value(now, id, characteristic))
            }
        }
    }

    pub(super) fn subscribe(&mut self, handle: Handle, on: bool) -> Result<(), AttError> {
        let link = self.link.as_mut().ok_or(AttError::UnlikelyError)?;
        let characteristic = self.profile.gatt.characteristic(handle).ok_or(AttError::InvalidHandle)?;
        if !characteristic.has(Property::Notify) {
            return Err(AttError::WriteNotPermitted);
        }
        if on {
            link.subscriptions.insert(handle);
        } else {
            link.subscriptions.remove(&handle);
        }
        Ok(())
    }

    pub(super) fn write(
        &mut self,
        now: Instant,
        handle: Handle,
        value: &[u8],
        mode: WriteMode,
    ) -> Result<(), AttError> {
        if self.link.is_none() {
            return Err(AttError::UnlikelyError);
        }
        if value.len() > MAX_VALUE_BYTES {
            return Err(AttError::InvalidLength);
        }
        let profile = self.profile.clone();
        match profile.gatt.attribute(handle).ok_or(AttError::InvalidHandle)? {
            Attribute::Service(_) | Attribute::Declaration(_) => Err(AttError::WriteNotPermitted),
            Attribute::Descriptor(characteristic, descriptor) if descriptor.uuid == Uuid::CCCD => match value {
                [on @ (0 | 1), 0] => self.subscribe(characteristic.handle, *on == 1),
                [_, _] => Err(AttError::ValueNotAllowed),
                _ => Err(AttError::InvalidLength),
            },
            Attribute::Descriptor(..) => Err(AttError::WriteNotPermitted),
            Attribute::Value(id, characteristic) => self.write_value(now, id, characteristic, value, mode),
        }
    }

    fn write_value(
        &mut self,
        now: Instant,
        id: CharacteristicId,
        characteristic: &Characteristic,
        value: &[u8],
        mode: WriteMode,
    ) -> Result<(), AttError> {
        let needed = match mode {
            WriteMode::Request => Property::Write,
            WriteMode::Command => Property::WriteWithoutResponse,
        };
        if !characteristic.has(needed) {
            return Err(AttError::WriteNotPermitted);
        }
        let may = self.may(characteristic.write.value);
        let done = match self.understand(id, value)? {
            Meaning::Unfinished => Ok(()),
            Meaning::Event(event) if may => self.step(now, event),
            Meaning::Event(event) => Err(self.refuse(&event, AttError::WriteNotPermitted)),
            Meaning::Memory if may => {
                self.keep(characteristic, value);
                Ok(())
            }
            Meaning::Memory => Err(Refused {
                state: self.state.name().into(),
                event: alloc::format!("write to {id}"),
                error: AttError::WriteNotPermitted,
            }),
        };
        done.map_err(|refused| {
            let error = refused.error;
            self.push(Output::Event(BandEvent::Refused(refused)));
            error
        })
    }

    fn may(&self, gate: Gate) -> bool {
        match gate {
            Gate::Open => true,
            Gate::AfterAuthentication => self.state.is_authenticated(),
            Gate::Never => false,
        }
    }

    fn value(&self, now: Instant, id: CharacteristicId, characteristic: &Characteristic) -> Vec<u8> {
        let identity = &self.profile.identity;
        match id {
            CharacteristicId::DEVICE_NAME => identity.name.value.clone().into_bytes(),
            CharacteristicId::SERIAL_NUMBER => identity.serial_ble.value.clone().into_bytes(),
            CharacteristicId::HARDWARE_REVISION => identity.hardware_revision.value.clone().into_bytes(),
            CharacteristicId::SOFTWARE_REVISION => identity.software_revision.value.clone().into_bytes(),
            CharacteristicId::SYSTEM_ID => identity.system_id().to_vec(),
            CharacteristicId::PNP_ID => identity.pnp_id.value.to_vec(),
            CharacteristicId::CURRENT_TIME => self.clock(now).encode(),
            CharacteristicId::BATTERY => self.battery.encode(),
            _ => match (self.values.get(&characteristic.handle), &characteristic.value) {
                (Some(written), _) => written.clone(),
                (None, Some(initial)) => initial.value.to_vec(),
                (None, None) => Vec::new(),
            },
        }
    }

    /// What can be read as well holds what was written until power is lost.
    fn keep(&mut self, characteristic: &Characteristic, value: &[u8]) {
        if characteristic.has(Property::Read) {
            self.values.insert(characteristic.handle, value.to_vec());
        }
    }

    fn understand(&mut self, id: CharacteristicId, value: &[u8]) -> Result<Meaning, AttError> {
        Ok(Meaning::Event(match id {
            CharacteristicId::AUTH => understand_auth(value),
            CharacteristicId::CONFIG => understand_config(value),
            CharacteristicId::CHUNKED => {
                return Ok(self.understand_chunk(value).map_or(Meaning::Unfinished, Meaning::Event));
            }
            CharacteristicId::NFC_CHANNEL => self.understand_channel(value),
            CharacteristicId::USER_SETTINGS => {
                Event::SetUser(UserSetting::decode(value).map_err(|_| AttError::InvalidLength)?)
            }
            CharacteristicId::CURRENT_TIME => {
                Event::SetTime(CurrentTime::decode(value).map_err(|_| AttError::InvalidLength)?)
            }
            CharacteristicId::HEART_RATE_CONTROL => match heart_rate::Request::decode(value) {
                Ok(heart_rate::Request::Unknown(_)) | Err(_) => return Ok(Meaning::Memory),
                Ok(request) => Event::HeartRate(request),
            },
            CharacteristicId::FETCH_CONTROL => {
                Event::Fetch(fetch::Request::decode(value).unwrap_or_else(|_| fetch::Request::Unknown(value.to_vec())))
            }
            CharacteristicId::FIRMWARE_CONTROL if value == RESTART => Event::Restart,
            _ => return Ok(Meaning::Memory),
        }))
    }

    fn understand_channel(&self, value: &[u8]) -> Event {
        match self.profile.nfc_channel.framing().decode_request(value) {
            Ok(nfc_channel::Request::Open) => Event::OpenChannel,
            Ok(nfc_channel::Request::Close) => Event::CloseChannel,
            Ok(nfc_channel::Request::Fragment(fragment)) => Event::Fragment(fragment),
            Ok(nfc_channel::Request::MifareTag) => Event::MifareTag,
            Ok(nfc_channel::Request::Unknown(_)) | Err(_) => Event::ChannelJunk,
        }
    }

    /// `None` for a chunk that is not the last of its transfer.
    fn understand_chunk(&mut self, value: &[u8]) -> Option<Event> {
        let Ok(chunk) = Chunk::decode(value) else {
            let chunk = value.get(1).copied().unwrap_or(0);
            return Some(Event::TransferJunk { chunk, code: ReplyCode::Failed });
        };
        let flags = chunk.flags_and_type();
        let junk = |code| Event::TransferJunk { chunk: flags, code };
        let (kind, payload) = match self.link.as_mut()?.transfer.push(chunk) {
            Ok(done) => done?,
            Err(_) => return Some(junk(ReplyCode::Failed)),
        };
        Some(match kind {
            Kind::AuthSignature => match SignedAnswer::decode(&payload) {
                Ok(answer) => Event::Signed { chunk: flags, answer },
                Err(_) => junk(ReplyCode::Failed),
            },
            Kind::Config => match AidCommand::decode(&payload) {
                Ok(hint) => Event::CardHint { chunk: flags, hint },
                Err(_) => junk(ReplyCode::Failed),
            },
            Kind::Notification | Kind::Weather | Kind::Music | Kind::PhoneGps => Event::Transfer { chunk: flags },
            Kind::Unknown(_) => junk(ReplyCode::UnknownCommand),
        })
    }
}

fn understand_auth(value: &[u8]) -> Event {
    let junk = |code| Event::AuthJunk { command: value.first().copied().unwrap_or(0), code };
    match auth::Request::decode(value) {
        Ok(auth::Request::PairProbe) => Event::PairProbe,
        Ok(auth::Request::Pair { key, .. }) => Event::PairWithKey(key),
        Ok(auth::Request::Random { dialect, .. }) => Event::RandomAsked(dialect),
        Ok(auth::Request::Answer { dialect, block, .. }) => Event::Answered { dialect, block },
        Ok(auth::Request::Unknown(_)) => junk(ReplyCode::UnknownCommand),
        Err(_) => junk(ReplyCode::Failed),
    }
}

fn understand_config(value: &[u8]) -> Event {
    let command = value.first().copied().unwrap_or(0);
    let junk = |code| Event::ConfigJunk { reply: config::Reply::Other { command, code, data: Vec::new() } };
    match config::Request::decode(value) {
        Ok(config::Request::Set { id, value }) if id == SettingId::FACTORY_RESET && value == FACTORY_RESET_VALUE => {
            Event::FactoryReset
        }
        Ok(config::Request::Set { id, .. }) if id == SettingId::FACTORY_RESET => {
            Event::ConfigJunk { reply: config::Reply::Set { id, code: ReplyCode::Failed } }
        }
        Ok(config::Request::Set { id, value }) => Event::Set { id, value },
        Ok(config::Request::GpsVersion | config::Request::Alarms) => Event::Query { command },
        Ok(config::Request::Unknown(_)) => junk(ReplyCode::UnknownCommand),
        Err(_) => junk(ReplyCode::Failed),
    }
}
