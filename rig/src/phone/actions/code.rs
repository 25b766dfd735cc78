//! The confirmation code (R1, R2). It never crosses Bluetooth: the bank hears it first, and the band in its own time.

use crate::cloud::api::{CardId, CardState, OtpMethod, Refusal, Reply, Request, Unit};

use crate::phone::app::App;
use crate::phone::cloud_request::Ask;
use crate::phone::io::Shown;
use crate::phone::script::{Hint, Settle};
use crate::phone::task::{Resume, Step, Value, Wake, call, done};

/// Asks the bank for a code.
#[derive(Clone, Debug)]
pub(in crate::phone) struct RequestCode {
    card: CardId,
    method: OtpMethod,
}

impl RequestCode {
    pub(in crate::phone) const fn new(card: CardId, method: OtpMethod) -> Self {
        Self { card, method }
    }
}

impl Resume for RequestCode {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        if matches!(wake, Wake::Start) {
            app.may_use_cards()?;
            return call(Ask(Request::RequestCode { card: self.card.clone(), method: self.method }));
        }
        let Reply::CodeSent { requests_left, valid_for } = wake.reply()? else { return Err(Refusal::Interrupted) };
        if let Some(card) = app.cards.iter_mut().find(|card| card.card == self.card) {
            card.requests_left = requests_left;
        }
        done(Value::Shown(Shown::CodeSent { requests_left, valid_for }))
    }
}

/// Hands in a code, then lets the band know. R2: the instant at which the bank receives it decides, so nothing comes before.
#[derive(Clone, Debug)]
pub(in crate::phone) struct EnterCode {
    card: CardId,
    code: String,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Beginning,
    Asking,
    Settling,
}

impl EnterCode {
    pub(in crate::phone) const fn new(card: CardId, code: String) -> Self {
        Self { card, code, stage: Stage::Beginning }
    }
}

impl Resume for EnterCode {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match self.stage {
            Stage::Beginning => {
                app.may_use_cards()?;
                self.stage = Stage::Asking;
                // A phone that has not seen its band yet cannot name it; the bank takes the code all the same.
                let unit = app.unit.clone().unwrap_or(Unit { serial: String::new(), cplc: Vec::new() });
                call(Ask(Request::EnterCode { card: self.card.clone(), code: self.code.clone(), unit }))
            }
            Stage::Asking => {
                let reply = wake.reply()?;
                self.stage = Stage::Settling;
                call(Settle::new(reply, Hint::of(app, &self.card, Hint::Present)))
            }
            Stage::Settling => {
                let on_band = matches!(wake.value()?, Value::OnBand(true));
                if let Some(card) = app.cards.iter_mut().find(|card| card.card == self.card) {
                    card.state = CardState::Active;
                    card.history = true;
                }
                done(Value::Shown(Shown::Confirmed { card: self.card.clone(), on_band }))
            }
        }
    }
}
