//! Raw APDUs and raw writes, for hostile scenarios: the band gets exactly these bytes, the person exactly what came back.

use band_sim::wire::gatt::CharacteristicId;

use crate::cloud::api::Refusal;

use crate::phone::app::App;
use crate::phone::connection::{Attribute, Ensure, Need, Pause};
use crate::phone::io::{LinkCommand, Shown};
use crate::phone::nfc_channel::Channel;
use crate::phone::task::{Resume, Step, Value, Wake, call, done};
use crate::phone::timer::Timer;

/// Exchanges one APDU. The channel stays open for a while, so that the next raw APDU finds the card as this one left it.
#[derive(Clone, Debug)]
pub(in crate::phone) struct RawApdu {
    apdu: Vec<u8>,
    stage: Exchange,
}

#[derive(Clone, Copy, Debug)]
enum Exchange {
    Beginning,
    Reaching,
    Opening,
    Exchanging,
}

impl RawApdu {
    pub(in crate::phone) const fn new(apdu: Vec<u8>) -> Self {
        Self { apdu, stage: Exchange::Beginning }
    }

    fn exchange(&mut self) -> Result<Step, Refusal> {
        self.stage = Exchange::Exchanging;
        call(Channel::exchange(std::mem::take(&mut self.apdu)))
    }
}

impl Resume for RawApdu {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match self.stage {
            Exchange::Beginning => {
                self.stage = Exchange::Reaching;
                call(Ensure::new(Need::Authenticated))
            }
            Exchange::Reaching => {
                wake.value()?;
                if app.link.channel_open {
                    return self.exchange();
                }
                self.stage = Exchange::Opening;
                call(Channel::Open)
            }
            Exchange::Opening => {
                wake.value()?;
                self.exchange()
            }
            Exchange::Exchanging => {
                let result = wake.bytes();
                app.start(Timer::Linger);
                done(Value::Shown(Shown::Answer { rapdu: result? }))
            }
        }
    }
}

/// Writes once and collects what the band notifies until it is quiet. What state the band is in then nobody knows: the next
/// ordinary action starts with a new connection.
#[derive(Clone, Debug)]
pub(in crate::phone) struct RawWrite {
    characteristic: CharacteristicId,
    value: Vec<u8>,
    authenticated: bool,
    stage: Write,
}

#[derive(Clone, Copy, Debug)]
enum Write {
    Beginning,
    Reaching,
    Subscribing,
    Writing,
    Collecting,
}

impl RawWrite {
    pub(in crate::phone) const fn new(characteristic: CharacteristicId, value: Vec<u8>, authenticated: bool) -> Self {
        Self { characteristic, value, authenticated, stage: Write::Beginning }
    }

    fn begin(&mut self, app: &mut App) -> Result<Step, Refusal> {
        self.stage = Write::Reaching;
        if self.authenticated {
            return call(Ensure::new(Need::Authenticated));
        }
        if app.link.authenticated {
            app.disconnect();
        }
        call(Ensure::new(Need::Connected))
    }

    fn subscribe(&mut self, app: &mut App) -> Result<Step, Refusal> {
        if app.link.subscribed.contains(&self.characteristic) {
            return self.write(app);
        }
        self.stage = Write::Subscribing;
        call(Attribute(LinkCommand::Subscribe { characteristic: self.characteristic }))
    }

    fn write(&mut self, app: &mut App) -> Result<Step, Refusal> {
        app.link.touched = true;
        app.link.inbox.clear();
        app.link.att_error = None;
        let value = std::mem::take(&mut self.value);
        if takes_requests(self.characteristic) {
            self.stage = Write::Writing;
            return call(Attribute::write(self.characteristic, value));
        }
        app.write(self.characteristic, value);
        self.collect()
    }

    fn collect(&mut self) -> Result<Step, Refusal> {
        self.stage = Write::Collecting;
        call(Pause::new(Timer::Quiet))
    }
}

impl Resume for RawWrite {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match self.stage {
            Write::Beginning => self.begin(app),
            Write::Reaching => {
                wake.value()?;
                self.subscribe(app)
            }
            // What does not notify can be written all the same.
            Write::Subscribing => self.write(app),
            Write::Writing => self.collect(),
            // A band that drops the link has said what it had to say.
            Write::Collecting => done(Value::Shown(Shown::Notifications {
                result: app.link.att_error.take(),
                values: app.link.inbox.drain(..).collect(),
            })),
        }
    }
}

/// Whether the band answers writes to this characteristic (property W of its attribute table).
pub(in crate::phone) fn takes_requests(characteristic: CharacteristicId) -> bool {
    const WRITES: [CharacteristicId; 14] = [
        CharacteristicId::FIRMWARE_CONTROL,
        CharacteristicId::NEW_ALERT,
        CharacteristicId::ALERT_CONTROL,
        CharacteristicId::HEART_RATE_CONTROL,
        CharacteristicId::CURRENT_TIME,
        CharacteristicId::USER_SETTINGS,
        CharacteristicId::UNNAMED_000E,
        CharacteristicId::AUDIO_DATA,
        CharacteristicId::UNNAMED_FEDD,
        CharacteristicId::UNNAMED_FED0,
        CharacteristicId::UNNAMED_FED1,
        CharacteristicId::UNNAMED_FED3,
        CharacteristicId::UNNAMED_FEC1,
        CharacteristicId::UNNAMED_4A02,
    ];
    WRITES.contains(&characteristic)
}
