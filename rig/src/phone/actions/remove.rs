//! Removing a card, with the band at hand (R5) or lost (R7): the token dies first.

use crate::cloud::api::{CardId, CardState, Refusal, Request};

use crate::phone::app::App;
use crate::phone::cloud_request::Ask;
use crate::phone::io::Shown;
use crate::phone::script::{Hint, Settle};
use crate::phone::task::{Resume, Step, Value, Wake, call, done};

/// Removes a card at the bank, then from the band, now or when it is next seen.
#[derive(Clone, Debug)]
pub(in crate::phone) struct Remove {
    card: CardId,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Beginning,
    Asking,
    Settling,
}

impl Remove {
    pub(in crate::phone) const fn new(card: CardId) -> Self {
        Self { card, stage: Stage::Beginning }
    }

    fn removed(&self, app: &mut App, on_band: bool) -> Result<Step, Refusal> {
        if on_band {
            app.cards.retain(|card| card.card != self.card);
        } else if let Some(card) = app.cards.iter_mut().find(|card| card.card == self.card) {
            // R13: out of reach, the list says so.
            card.state = CardState::Deleting;
        }
        done(Value::Shown(Shown::Removed { card: self.card.clone(), pending: !on_band }))
    }
}

impl Resume for Remove {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match self.stage {
            Stage::Beginning => {
                app.may_use_cards()?;
                self.stage = Stage::Asking;
                call(Ask(Request::RemoveCard { card: self.card.clone() }))
            }
            Stage::Asking => {
                let reply = wake.reply()?;
                self.stage = Stage::Settling;
                call(Settle::new(reply, Hint::of(app, &self.card, Hint::Delete)))
            }
            Stage::Settling => {
                let on_band = matches!(wake.value()?, Value::OnBand(true));
                self.removed(app, on_band)
            }
        }
    }
}
