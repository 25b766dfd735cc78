//! Factory reset from the app (R6): `06 0B 00 01` to H:0003.

use band_sim::wire::frame::config::{Reply, Request, SettingId};
use band_sim::wire::frame::reply::ReplyCode;
use band_sim::wire::gatt::CharacteristicId;

use crate::cloud::api::Refusal;

use crate::phone::app::App;
use crate::phone::connection::{Await, Ensure, Need};
use crate::phone::io::Shown;
use crate::phone::task::{Resume, Step, Value, Wake, call, done};
use crate::phone::timer::Timer;

/// First bytes of the reply to a setting.
const REPLY: [u8; 2] = [0x10, 0x06];

/// Warns, resets the band and drops the link. The key the app stores is worth nothing from then on.
#[derive(Clone, Debug)]
pub(in crate::phone) struct FactoryReset {
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Beginning,
    Reaching,
    Resetting,
}

impl FactoryReset {
    pub(in crate::phone) const fn new() -> Self {
        Self { stage: Stage::Beginning }
    }
}

impl Resume for FactoryReset {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match self.stage {
            Stage::Beginning => {
                self.stage = Stage::Reaching;
                call(Ensure::new(Need::Authenticated))
            }
            Stage::Reaching => {
                wake.value()?;
                app.warn_about_cards();
                self.stage = Stage::Resetting;
                app.write(CharacteristicId::CONFIG, Request::factory_reset().encode());
                call(Await::new(CharacteristicId::CONFIG, REPLY, Timer::Reset))
            }
            Stage::Resetting => match Reply::decode(&wake.bytes()?) {
                Ok(Reply::Set { id: SettingId::FACTORY_RESET, code: ReplyCode::Success }) => {
                    app.disconnect();
                    done(Value::Shown(Shown::Done))
                }
                _ => Err(Refusal::BandError),
            },
        }
    }
}
