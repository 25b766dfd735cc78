//! Looking: opening the app, opening the card list (R13).

use crate::cloud::api::{Refusal, Reply, Request};

use crate::phone::app::App;
use crate::phone::cloud_request::Ask;
use crate::phone::connection::{Ensure, Need};
use crate::phone::io::{Notice, Shown};
use crate::phone::task::{Resume, Step, Value, Wake, call, done};

/// Connects and brings everything to agreement, anew even if it was before.
#[derive(Clone, Debug)]
pub(in crate::phone) struct Refresh {
    started: bool,
}

impl Refresh {
    pub(in crate::phone) const fn new() -> Self {
        Self { started: false }
    }
}

impl Resume for Refresh {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        if std::mem::replace(&mut self.started, true) {
            wake.value()?;
            app.mention_old_service();
            return done(Value::Shown(Shown::Done));
        }
        app.link.agreed = false;
        // R11: without a Xiaomi account there is nothing to agree on.
        call(Ensure::new(if app.may_use_cards().is_ok() { Need::Agreed } else { Need::Reachable }))
    }
}

/// Shows the card list: the bank's, after agreement with the band if it can be reached; the app's own if the bank cannot.
#[derive(Clone, Debug)]
pub(in crate::phone) struct CardList {
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Beginning,
    Agreeing,
    Asking,
}

impl CardList {
    pub(in crate::phone) const fn new() -> Self {
        Self { stage: Stage::Beginning }
    }
}

impl Resume for CardList {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match self.stage {
            Stage::Beginning => {
                app.may_use_cards()?;
                app.link.agreed = false;
                self.stage = Stage::Agreeing;
                call(Ensure::new(Need::Agreed))
            }
            Stage::Agreeing => match (wake.value(), app.unit.clone()) {
                (Ok(_), _) => show(app),
                (Err(refusal), None) => Err(refusal),
                (Err(_), Some(unit)) => {
                    self.stage = Stage::Asking;
                    call(Ask(Request::Cards { unit }))
                }
            },
            Stage::Asking => match wake.reply() {
                Ok(Reply::Cards { cards }) => {
                    app.cards = cards;
                    show(app)
                }
                Ok(_) | Err(Refusal::Interrupted) => show(app),
                Err(refusal) => Err(refusal),
            },
        }
    }
}

fn show(app: &mut App) -> Result<Step, Refusal> {
    app.mention_old_service();
    done(Value::Shown(Shown::Cards { cards: app.cards.clone() }))
}

impl App {
    /// R12: tokens of the old NFC service are worth a word.
    fn mention_old_service(&mut self) {
        if self.cards.iter().any(|card| card.old_service) {
            self.notice(Notice::ServiceUpdate);
        }
    }
}
