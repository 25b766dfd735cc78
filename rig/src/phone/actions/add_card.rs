//! Adding a card (R9, R10): all of it or nothing of it.

use crate::cloud::api::{Refusal, Reply, Request};

use crate::phone::app::App;
use crate::phone::cloud_request::Ask;
use crate::phone::connection::{Ensure, Need};
use crate::phone::io::{Notice, Shown};
use crate::phone::script::RunJob;
use crate::phone::task::{Resume, Step, Value, Wake, call, done};

/// Has the bank make a token and puts it into the band. A failed one is cleaned up before the person hears of it, as far as
/// band and cloud can be reached; the rest is done before anything else when they can.
#[derive(Clone, Debug)]
pub(in crate::phone) struct AddCard {
    product: String,
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

impl AddCard {
    pub(in crate::phone) const fn new(product: String) -> Self {
        Self { product, stage: Stage::Beginning }
    }

    fn begin(&mut self, app: &mut App) -> Result<Step, Refusal> {
        app.may_use_cards()?;
        if !app.foreground {
            return Err(Refusal::NotInForeground);
        }
        app.adding = true;
        self.stage = Stage::Agreeing;
        call(Ensure::new(Need::Agreed))
    }

    fn ask(&mut self, app: &mut App) -> Result<Step, Refusal> {
        app.take_interruption()?;
        app.begin_add(&self.product);
        app.notice(Notice::Progress { percent: 1 });
        self.stage = Stage::Asking;
        call(Ask(Request::AddCard { product: self.product.clone(), unit: app.unit()? }))
    }

    fn asked(&mut self, app: &mut App, reply: Result<Reply, Refusal>) -> Result<Step, Refusal> {
        match reply {
            Ok(reply) => {
                self.stage = Stage::Running;
                call(RunJob::adding(reply))
            }
            Err(Refusal::Interrupted) => self.clean_up(app, Refusal::Interrupted),
            Err(refusal) => {
                app.unfinished_add = None;
                Err(refusal)
            }
        }
    }

    fn clean_up(&mut self, app: &mut App, refusal: Refusal) -> Result<Step, Refusal> {
        app.adding = false;
        app.interrupted = false;
        app.link.agreed = false;
        if !app.link.up {
            return Err(refusal);
        }
        self.stage = Stage::CleaningUp(refusal);
        call(Ensure::new(Need::Agreed))
    }
}

impl Resume for AddCard {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match self.stage {
            Stage::Beginning => self.begin(app),
            Stage::Agreeing => {
                wake.value()?;
                self.ask(app)
            }
            Stage::Asking => self.asked(app, wake.reply()),
            Stage::Running => match wake.value() {
                Ok(Value::Card(Some(card))) => {
                    app.unfinished_add = None;
                    app.remember(card.clone());
                    done(Value::Shown(Shown::CardAdded { card }))
                }
                Ok(_) => self.clean_up(app, Refusal::Interrupted),
                Err(refusal) => self.clean_up(app, refusal),
            },
            Stage::CleaningUp(refusal) => Err(refusal),
        }
    }
}
