//! Linking the band to the account and letting go of it (R6).

use band_sim::wire::frame::time::CurrentTime;
use band_sim::wire::gatt::CharacteristicId;

use crate::cloud::api::{Refusal, Reply, Request};

use crate::phone::agree::Identify;
use crate::phone::app::App;
use crate::phone::cloud_request::Ask;
use crate::phone::connection::{Attribute, Authenticate, Ensure, Need};
use crate::phone::io::{Notice, Shown};
use crate::phone::pairing::Pair;
use crate::phone::task::{Resume, Step, Value, Wake, call, done};

/// Connects, pairs or authenticates, sets the clock, binds the band to the account and brings it to agreement.
#[derive(Clone, Debug)]
pub(in crate::phone) struct Link {
    stage: Linking,
}

#[derive(Clone, Copy, Debug)]
enum Linking {
    Beginning,
    Connecting,
    Authenticating,
    Reconnecting,
    Pairing,
    SettingTime,
    Agreeing,
}

impl Link {
    pub(in crate::phone) const fn new() -> Self {
        Self { stage: Linking::Beginning }
    }

    fn authenticate(&mut self, app: &mut App) -> Result<Step, Refusal> {
        let Some(key) = app.key else {
            self.stage = Linking::Pairing;
            return call(Pair::new());
        };
        if app.link.authenticated {
            return self.set_time(app);
        }
        self.stage = Linking::Authenticating;
        call(Authenticate::with_stored(key, app.config.dialect))
    }

    fn set_time(&mut self, app: &App) -> Result<Step, Refusal> {
        self.stage = Linking::SettingTime;
        let since_start = i64::try_from(app.now.as_micros()).unwrap_or(i64::MAX);
        let now = app.config.epoch_unix_us.saturating_add(since_start);
        let time = CurrentTime::from_unix_micros(now, app.config.zone_quarters);
        call(Attribute::write(CharacteristicId::CURRENT_TIME, time.encode()))
    }

    /// R11: without a Xiaomi account the band is linked all the same, but bound for cards only once there is one.
    fn bind(&mut self, app: &mut App) -> Result<Step, Refusal> {
        app.bind_due = true;
        app.link.agreed = false;
        self.stage = Linking::Agreeing;
        if app.may_use_cards().is_ok() {
            return call(Ensure::new(Need::Agreed));
        }
        app.notice(Notice::LinkXiaomiAccount);
        call(Ensure::new(Need::Subscribed))
    }
}

impl Resume for Link {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match self.stage {
            Linking::Beginning if app.account.is_none() => Err(Refusal::NotSignedIn),
            Linking::Beginning => {
                self.stage = Linking::Connecting;
                call(Ensure::new(Need::Connected))
            }
            Linking::Connecting => {
                wake.value()?;
                self.authenticate(app)
            }
            Linking::Authenticating => match wake.value() {
                Ok(_) => self.set_time(app),
                // The band was reset or paired anew: so do we.
                Err(Refusal::WrongKey) => {
                    self.stage = Linking::Reconnecting;
                    call(Ensure::new(Need::Connected))
                }
                Err(refusal) => Err(refusal),
            },
            Linking::Reconnecting => {
                wake.value()?;
                self.stage = Linking::Pairing;
                call(Pair::new())
            }
            Linking::Pairing => {
                wake.value()?;
                self.set_time(app)
            }
            Linking::SettingTime => {
                wake.value()?;
                self.bind(app)
            }
            Linking::Agreeing => {
                wake.value()?;
                done(Value::Shown(Shown::Done))
            }
        }
    }
}

/// Lets go of the band, within reach or not; its cards stay in it (R6).
#[derive(Clone, Debug)]
pub(in crate::phone) struct Unlink {
    stage: Unlinking,
}

#[derive(Clone, Copy, Debug)]
enum Unlinking {
    Beginning,
    Reaching,
    Counting,
    Unbinding,
}

impl Unlink {
    pub(in crate::phone) const fn new() -> Self {
        Self { stage: Unlinking::Beginning }
    }

    fn begin(&mut self, app: &mut App) -> Result<Step, Refusal> {
        if app.account.is_none() {
            return Err(Refusal::NotSignedIn);
        }
        if app.unit.is_some() {
            return self.count(app);
        }
        self.stage = Unlinking::Reaching;
        call(Ensure::new(Need::Authenticated))
    }

    fn count(&mut self, app: &mut App) -> Result<Step, Refusal> {
        if app.may_use_cards().is_err() {
            return self.unbind(app);
        }
        self.stage = Unlinking::Counting;
        call(Ask(Request::Cards { unit: app.unit()? }))
    }

    fn unbind(&mut self, app: &mut App) -> Result<Step, Refusal> {
        if app.bind_due {
            return forget(app);
        }
        self.stage = Unlinking::Unbinding;
        call(Ask(Request::UnbindBand { unit: app.unit()? }))
    }
}

impl Resume for Unlink {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match self.stage {
            Unlinking::Beginning => self.begin(app),
            Unlinking::Reaching => {
                wake.value()?;
                if app.unit.is_some() { self.count(app) } else { call(Identify::new()) }
            }
            Unlinking::Counting => {
                if let Ok(Reply::Cards { cards }) = wake.reply() {
                    app.cards = cards;
                }
                app.warn_about_cards();
                self.unbind(app)
            }
            Unlinking::Unbinding => {
                match wake.reply() {
                    // One that is not the account's any more need not be given back.
                    Ok(_) | Err(Refusal::BandNotBound | Refusal::BandOfAnotherAccount) => {}
                    Err(refusal) => return Err(refusal),
                }
                forget(app)
            }
        }
    }
}

/// The phone knows the band no more.
fn forget(app: &mut App) -> Result<Step, Refusal> {
    app.key = None;
    app.unit = None;
    app.bind_due = false;
    app.cards.clear();
    app.disconnect();
    done(Value::Shown(Shown::Done))
}

impl App {
    /// R6: cards are in the band and should be deleted first.
    pub(in crate::phone) fn warn_about_cards(&mut self) {
        if !self.cards.is_empty() {
            let cards = u8::try_from(self.cards.len()).unwrap_or(u8::MAX);
            self.notice(Notice::DeleteCardsFirst { cards });
        }
    }
}
