//! The order of the cards (R8): the first is the one a tap uses.

use crate::cloud::api::{CardId, Refusal, Request};

use crate::phone::app::App;
use crate::phone::cloud_request::Ask;
use crate::phone::connection::{Ensure, Need};
use crate::phone::io::Shown;
use crate::phone::script::{Hint, RunJob};
use crate::phone::task::{Resume, Step, Value, Wake, call, done};

/// Puts the cards into this order.
#[derive(Clone, Debug)]
pub(in crate::phone) struct Order {
    cards: Vec<CardId>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Beginning,
    Agreeing,
    Asking,
    Running,
    CleaningUp(Refusal),
}

impl Order {
    pub(in crate::phone) const fn new(cards: Vec<CardId>) -> Self {
        Self { cards, stage: Stage::Beginning }
    }

    /// Cards the order does not name, unconfirmed ones, stay behind the others.
    fn ordered(&self, app: &mut App) -> Result<Step, Refusal> {
        app.cards.sort_by_key(|view| self.cards.iter().position(|card| *card == view.card).unwrap_or(self.cards.len()));
        done(Value::Shown(Shown::Done))
    }
}

impl Resume for Order {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match self.stage {
            Stage::Beginning => {
                app.may_use_cards()?;
                self.stage = Stage::Agreeing;
                call(Ensure::new(Need::Agreed))
            }
            Stage::Agreeing => {
                wake.value()?;
                self.stage = Stage::Asking;
                call(Ask(Request::SetOrder { cards: self.cards.clone() }))
            }
            Stage::Asking => {
                let reply = wake.reply()?;
                self.stage = Stage::Running;
                let hint = self.cards.first().map_or(Hint::None, |first| Hint::of(app, first, Hint::Switch));
                call(RunJob::new(reply, hint))
            }
            Stage::Running => match wake.value() {
                Ok(_) => self.ordered(app),
                Err(refusal) if app.link.up => {
                    self.stage = Stage::CleaningUp(refusal);
                    call(Ensure::new(Need::Agreed))
                }
                Err(refusal) => Err(refusal),
            },
            Stage::CleaningUp(refusal) => Err(refusal),
        }
    }
}
