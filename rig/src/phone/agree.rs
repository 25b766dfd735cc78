//! Agreement (R13): what was left undone is undone, the band is brought to what the bank says, the card list is read.

use std::collections::BTreeSet;

use band_sim::wire::gatt::CharacteristicId;

use crate::cloud::api::{CardId, CardState, JobId, Refusal, Reply, Request, Unit};

use super::app::{App, UnfinishedAdd};
use super::cloud_request::Ask;
use super::connection::Attribute;
use super::nfc_channel::Channel;
use super::script::{Hint, RunJob, Transmit};
use super::task::{Resume, Step, Value, Wake, call, done};

/// SELECT the issuer security domain.
const SELECT_ISD: [u8; 13] = [0x00, 0xA4, 0x04, 0x00, 0x08, 0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];
/// GET DATA 9F7F, the card production life cycle data.
const READ_CPLC: [u8; 5] = [0x80, 0xCA, 0x9F, 0x7F, 0x00];
const CPLC_HEAD: [u8; 3] = [0x9F, 0x7F, 0x2A];
const CPLC_BYTES: usize = 0x2A;
const SW_OK: u16 = 0x9000;
/// The secure element says it is restricted.
const SW_RESTRICTED: u16 = 0x66A5;
/// More cards than one failed add can leave behind.
const MAX_STRAYS: u8 = 4;

/// Learns which unit this is: its serial number, and the CPLC unless the app knows it already.
#[derive(Clone, Debug)]
pub(super) struct Identify {
    serial: String,
    waits_for: Identity,
}

#[derive(Clone, Copy, Debug)]
enum Identity {
    Nothing,
    Serial,
    Channel,
    Isd,
    Cplc,
}

impl Identify {
    pub(super) const fn new() -> Self {
        Self { serial: String::new(), waits_for: Identity::Nothing }
    }

    fn transmit(&mut self, waits_for: Identity, apdu: &[u8]) -> Result<Step, Refusal> {
        self.waits_for = waits_for;
        call(Transmit::new(apdu.to_vec()))
    }

    fn named(&mut self, app: &mut App, serial: &[u8]) -> Result<Step, Refusal> {
        self.serial = text(serial);
        if app.unit.as_ref().is_some_and(|unit| unit.serial == self.serial) {
            app.link.identified = true;
            return done(Value::Done);
        }
        self.waits_for = Identity::Channel;
        if app.link.channel_open { self.transmit(Identity::Isd, &SELECT_ISD) } else { call(Channel::Open) }
    }
}

impl Resume for Identify {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match self.waits_for {
            Identity::Nothing => {
                self.waits_for = Identity::Serial;
                call(Attribute::read(CharacteristicId::SERIAL_NUMBER))
            }
            Identity::Serial => self.named(app, &wake.bytes()?),
            Identity::Channel => {
                wake.value()?;
                self.transmit(Identity::Isd, &SELECT_ISD)
            }
            Identity::Isd => {
                answered(wake)?;
                self.transmit(Identity::Cplc, &READ_CPLC)
            }
            Identity::Cplc => {
                let answer = answered(wake)?;
                let cplc = answer.strip_prefix(&CPLC_HEAD).filter(|cplc| cplc.len() == CPLC_BYTES);
                let cplc = cplc.ok_or(Refusal::Cplc)?.to_vec();
                app.unit = Some(Unit { serial: std::mem::take(&mut self.serial), cplc });
                app.link.identified = true;
                done(Value::Done)
            }
        }
    }
}

/// The data of an answer with 9000.
fn answered(wake: Wake) -> Result<Vec<u8>, Refusal> {
    match wake.answer()? {
        (data, SW_OK) => Ok(data),
        (_, SW_RESTRICTED) => Err(Refusal::SecureElementRestricted),
        _ => Err(Refusal::Cplc),
    }
}

/// What a text characteristic holds; what is not UTF-8 shows as such.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Brings the band, the bank and the app to agreement. The band must be authenticated.
#[derive(Clone, Debug)]
pub(super) struct Agree {
    strays: u8,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Beginning,
    Identifying,
    Binding,
    Cleaning,
    Cancelling(JobId),
    Syncing,
    Running,
    Listing,
    RemovingStray,
    RunningStray,
}

impl Agree {
    pub(super) const fn new() -> Self {
        Self { strays: 0, stage: Stage::Beginning }
    }

    /// R6: a band that has just been linked is bound first, and cleaned if it was another account's.
    fn bind_or_go_on(&mut self, app: &mut App) -> Result<Step, Refusal> {
        if !app.bind_due {
            return self.cancel_or_sync(app);
        }
        self.stage = Stage::Binding;
        call(Ask(Request::BindBand { unit: app.unit()? }))
    }

    /// R10: jobs that could not be cancelled come before new ones.
    fn cancel_or_sync(&mut self, app: &mut App) -> Result<Step, Refusal> {
        if let Some(job) = app.uncancelled.pop_front() {
            self.stage = Stage::Cancelling(job);
            return call(Ask(Request::CancelJob { job }));
        }
        self.stage = Stage::Syncing;
        call(Ask(Request::Sync { unit: app.unit()? }))
    }

    fn list(&mut self, app: &App) -> Result<Step, Refusal> {
        self.stage = Stage::Listing;
        call(Ask(Request::Cards { unit: app.unit()? }))
    }

    fn listed(&mut self, app: &mut App, reply: Reply) -> Result<Step, Refusal> {
        let Reply::Cards { cards } = reply else { return Err(Refusal::Interrupted) };
        app.cards = cards;
        match app.stray() {
            Some(card) if self.strays < MAX_STRAYS => {
                self.strays += 1;
                self.stage = Stage::RemovingStray;
                call(Ask(Request::RemoveCard { card }))
            }
            _ => {
                app.unfinished_add = None;
                app.link.agreed = app.link.up;
                done(Value::Done)
            }
        }
    }
}

impl Resume for Agree {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match self.stage {
            Stage::Beginning if !app.link.identified => {
                self.stage = Stage::Identifying;
                call(Identify::new())
            }
            Stage::Beginning => self.bind_or_go_on(app),
            Stage::Identifying => {
                wake.value()?;
                self.bind_or_go_on(app)
            }
            Stage::Binding => {
                let reply = wake.reply()?;
                app.bind_due = false;
                self.stage = Stage::Cleaning;
                call(RunJob::new(reply, Hint::None))
            }
            Stage::Cleaning => {
                wake.value()?;
                self.cancel_or_sync(app)
            }
            Stage::Cancelling(job) => {
                if let Err(refusal @ Refusal::Interrupted) = wake.value() {
                    app.cancel_later(job);
                    return Err(refusal);
                }
                self.cancel_or_sync(app)
            }
            Stage::Syncing => {
                self.stage = Stage::Running;
                call(RunJob::new(wake.reply()?, Hint::None))
            }
            Stage::Running => {
                wake.value()?;
                self.list(app)
            }
            Stage::Listing => self.listed(app, wake.reply()?),
            Stage::RemovingStray => {
                self.stage = Stage::RunningStray;
                call(RunJob::new(wake.reply()?, Hint::None))
            }
            Stage::RunningStray => {
                wake.value()?;
                self.list(app)
            }
        }
    }
}

impl App {
    /// Remembers what was there before an add, so that what a failed one leaves behind is recognised.
    pub(super) fn begin_add(&mut self, product: &str) {
        let known: BTreeSet<CardId> = self.cards.iter().map(|view| view.card.clone()).collect();
        self.unfinished_add = Some(UnfinishedAdd { product: product.to_owned(), known });
    }

    /// A card that a failed add has left at the bank: the last answer of the job was lost, so nobody was told that it was done.
    fn stray(&self) -> Option<CardId> {
        let unfinished = self.unfinished_add.as_ref()?;
        let is_stray = |state| matches!(state, CardState::Adding | CardState::WaitingForCode);
        let mut fresh = self.cards.iter().filter(|view| !unfinished.known.contains(&view.card));
        fresh.find(|view| view.product == unfinished.product && is_stray(view.state)).map(|view| view.card.clone())
    }
}
