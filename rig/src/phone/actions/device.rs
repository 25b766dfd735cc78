//! The band as a device: who it is (W1), its battery, its clock.

use band_sim::wire::frame::battery::{Battery, Charging};
use band_sim::wire::frame::time::CurrentTime;
use band_sim::wire::gatt::CharacteristicId;

use crate::cloud::api::Refusal;

use crate::phone::agree::text;
use crate::phone::app::App;
use crate::phone::connection::{Attribute, Ensure, Need};
use crate::phone::io::Shown;
use crate::phone::task::{Resume, Step, Value, Wake, call, done};

/// In the order in which [`Shown::Identity`] names them.
const IDENTITY: [CharacteristicId; 5] = [
    CharacteristicId::SERIAL_NUMBER,
    CharacteristicId::HARDWARE_REVISION,
    CharacteristicId::SOFTWARE_REVISION,
    CharacteristicId::SYSTEM_ID,
    CharacteristicId::PNP_ID,
];

/// Reads some values, or writes one; all of them work without a key.
#[derive(Clone, Debug)]
pub(in crate::phone) struct Device {
    wish: Wish,
    reached: bool,
    values: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug)]
enum Wish {
    Identity,
    Battery,
    Time,
    SetTime { unix_s: i64 },
}

impl Device {
    pub(in crate::phone) const fn identity() -> Self {
        Self::new(Wish::Identity)
    }

    pub(in crate::phone) const fn battery() -> Self {
        Self::new(Wish::Battery)
    }

    pub(in crate::phone) const fn time() -> Self {
        Self::new(Wish::Time)
    }

    pub(in crate::phone) const fn set_time(unix_s: i64) -> Self {
        Self::new(Wish::SetTime { unix_s })
    }

    const fn new(wish: Wish) -> Self {
        Self { wish, reached: false, values: Vec::new() }
    }

    const fn wanted(&self) -> &'static [CharacteristicId] {
        match self.wish {
            Wish::Identity => &IDENTITY,
            Wish::Battery => &[CharacteristicId::BATTERY],
            Wish::Time => &[CharacteristicId::CURRENT_TIME],
            Wish::SetTime { .. } => &[],
        }
    }

    fn reach(&mut self, app: &App) -> Result<Step, Refusal> {
        self.reached = true;
        if let Wish::SetTime { unix_s } = self.wish {
            let time = CurrentTime::from_unix_micros(unix_s.saturating_mul(1_000_000), app.config.zone_quarters);
            return call(Attribute::write(CharacteristicId::CURRENT_TIME, time.encode()));
        }
        self.read_next()
    }

    fn read_next(&self) -> Result<Step, Refusal> {
        match self.wanted().get(self.values.len()) {
            Some(characteristic) => call(Attribute::read(*characteristic)),
            None => done(Value::Shown(self.shown().ok_or(Refusal::BandError)?)),
        }
    }

    fn shown(&self) -> Option<Shown> {
        Some(match (self.wish, self.values.as_slice()) {
            (Wish::Identity, [serial, hardware, software, system_id, pnp_id]) => Shown::Identity {
                serial: text(serial),
                hardware_revision: text(hardware),
                software_revision: text(software),
                system_id: system_id.clone(),
                pnp_id: pnp_id.clone(),
            },
            (Wish::Battery, [value]) => {
                let battery = Battery::decode(value).ok()?;
                Shown::Battery { percent: battery.level, charging: battery.charging == Charging::Yes }
            }
            (Wish::Time, [value]) => {
                let unix_us = CurrentTime::decode(value).ok()?.unix_micros()?;
                Shown::Time { unix_s: unix_us.div_euclid(1_000_000) }
            }
            (Wish::SetTime { .. }, []) => Shown::Done,
            _ => return None,
        })
    }
}

impl Resume for Device {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        if matches!(wake, Wake::Start) {
            return call(Ensure::new(Need::Reachable));
        }
        match wake.value()? {
            Value::Bytes(value) => {
                self.values.push(value);
                self.read_next()
            }
            _ if self.reached => self.read_next(),
            _ => self.reach(app),
        }
    }
}
