//! What a laboratory tries on any band, also on one whose cards are somebody's own: the key, and the NFC channel. Nothing in the band
//! changes by it.

use band_sim::wire::frame::auth::AuthKey;

use crate::cloud::api::Refusal;

use crate::phone::app::App;
use crate::phone::connection::{Authenticate, Ensure, Need};
use crate::phone::io::Shown;
use crate::phone::nfc_channel::Channel;
use crate::phone::task::{Resume, Step, Value, Wake, call, done};
use crate::phone::timer::Timer;

/// Proves to know the key, on a connection that has not been authenticated.
#[derive(Clone, Debug)]
pub(in crate::phone) struct Prove {
    wrong: bool,
    stage: Proof,
}

#[derive(Clone, Copy, Debug)]
enum Proof {
    Beginning,
    Reaching,
    Proving,
}

impl Prove {
    pub(in crate::phone) const fn new(wrong: bool) -> Self {
        Self { wrong, stage: Proof::Beginning }
    }
}

impl Resume for Prove {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match self.stage {
            Proof::Beginning => {
                self.stage = Proof::Reaching;
                if app.link.authenticated {
                    app.disconnect();
                }
                call(Ensure::new(Need::Connected))
            }
            Proof::Reaching => {
                wake.value()?;
                self.stage = Proof::Proving;
                let key = app.key.ok_or(Refusal::BandNotBound)?;
                let key = if self.wrong { another(key) } else { key };
                call(Authenticate::with_stored(key, app.config.dialect))
            }
            Proof::Proving => {
                let result = wake.value();
                if result.is_err() {
                    // What a band thinks of who failed is its own affair: the next one begins anew.
                    app.disconnect();
                }
                result?;
                done(Value::Shown(Shown::Done))
            }
        }
    }
}

/// A key that differs in every bit.
fn another(key: AuthKey) -> AuthKey {
    AuthKey(key.0.map(|byte| !byte))
}

/// Opens the NFC channel or closes it. An open one stays open for a while, as after a raw APDU.
#[derive(Clone, Debug)]
pub(in crate::phone) struct UseChannel {
    open: bool,
    stage: Use,
}

#[derive(Clone, Copy, Debug)]
enum Use {
    Beginning,
    Reaching,
    Using,
}

impl UseChannel {
    pub(in crate::phone) const fn new(open: bool) -> Self {
        Self { open, stage: Use::Beginning }
    }
}

impl Resume for UseChannel {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match self.stage {
            Use::Beginning => {
                self.stage = Use::Reaching;
                call(Ensure::new(Need::Authenticated))
            }
            Use::Reaching => {
                wake.value()?;
                self.stage = Use::Using;
                match (self.open, app.link.channel_open) {
                    (true, false) => call(Channel::Open),
                    (false, true) => call(Channel::Close),
                    // There is nothing to open, or to close.
                    _ => Err(Refusal::NfcChannel),
                }
            }
            Use::Using => {
                wake.value()?;
                if self.open {
                    app.start(Timer::Linger);
                }
                done(Value::Shown(Shown::Done))
            }
        }
    }
}
