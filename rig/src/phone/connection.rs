//! The link to the band: what waits for it, authentication, and bringing it to the state an action needs.

use std::time::Duration;

use aes::Aes128;
use aes::cipher::{BlockEncrypt, KeyInit};
use band_sim::wire::frame::auth::{AuthKey, Dialect, Reply, Request};
use band_sim::wire::frame::reply::ReplyCode;
use band_sim::wire::gatt::CharacteristicId;

use crate::cloud::api::Refusal;

use super::agree::Agree;
use super::app::{App, Link};
use super::io::{LinkCommand, LinkEvent};
use super::task::{Resume, Step, Task, Value, Wake, call, done};
use super::timer::Timer;

/// Subscribed before authentication: it speaks here, a first pairing hands its signature over H:0020, the band says its MTU.
const BEFORE_AUTHENTICATION: [CharacteristicId; 3] =
    [CharacteristicId::AUTH, CharacteristicId::CHUNKED, CharacteristicId::DEVICE_EVENT];
const AFTER_AUTHENTICATION: [CharacteristicId; 2] = [CharacteristicId::CONFIG, CharacteristicId::NFC_CHANNEL];
/// How often one action connects; a band that keeps dropping the link is out of reach.
const MAX_CONNECTS: u8 = 3;

/// What an action needs of the band.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// A link, whoever the band may be.
    Connected,
    /// Authenticated if a key is stored, and brought to agreement if that works.
    Reachable,
    /// Authenticated, and brought to agreement if that works.
    Authenticated,
    /// Authenticated and subscribed to everything, no more.
    Subscribed,
    /// Brought to agreement with the bank (R13).
    Agreed,
}

/// Does whatever is missing until the band is as needed.
#[derive(Clone, Debug)]
pub(super) struct Ensure {
    need: Need,
    connects: u8,
    agreement: Agreement,
}

/// How far [`Ensure`] is with bringing the band to agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreement {
    NotTried,
    Running,
    Tried,
}

impl Ensure {
    pub(super) const fn new(need: Need) -> Self {
        Self { need, connects: 0, agreement: Agreement::NotTried }
    }

    /// The next missing thing. Where the app does not manage the band nothing is brought to agreement, whatever needs it.
    fn missing(&mut self, app: &App) -> Result<Option<Task>, Refusal> {
        if !app.link.up {
            self.connects += 1;
            return if self.connects > MAX_CONNECTS { Err(Refusal::OutOfReach) } else { Ok(Some(Connect.into())) };
        }
        if let Some(task) = unsubscribed(app, &BEFORE_AUTHENTICATION) {
            return Ok(Some(task));
        }
        if self.need == Need::Agreed && !app.config.manages_band {
            return Err(Refusal::UnknownUnit);
        }
        let key = match (self.need, app.key) {
            (Need::Connected, _) | (Need::Reachable, None) => return Ok(None),
            (Need::Authenticated | Need::Subscribed | Need::Agreed, None) => return Err(Refusal::BandNotBound),
            (_, Some(key)) => key,
        };
        if !app.link.authenticated {
            return Ok(Some(Authenticate::with_stored(key, app.config.dialect).into()));
        }
        if let Some(task) = unsubscribed(app, &AFTER_AUTHENTICATION) {
            return Ok(Some(task));
        }
        Ok(self.disagreement(app))
    }

    fn disagreement(&mut self, app: &App) -> Option<Task> {
        let wanted = match self.need {
            Need::Agreed => true,
            Need::Subscribed => false,
            _ if !app.config.manages_band => false,
            _ => app.may_use_cards().is_ok() && self.agreement == Agreement::NotTried,
        };
        if app.link.agreed || !wanted {
            return None;
        }
        self.agreement = Agreement::Running;
        Some(Agree::new().into())
    }
}

impl Resume for Ensure {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        let was_agreeing = self.agreement == Agreement::Running;
        if was_agreeing {
            self.agreement = Agreement::Tried;
        }
        match wake.value() {
            // What only wants to look at the band does not mind that the bank has a quarrel with it.
            Err(_) if was_agreeing && self.need != Need::Agreed && app.link.up => {}
            result => drop(result?),
        }
        match self.missing(app)? {
            Some(task) => Ok(Step::Call(task)),
            None => done(Value::Done),
        }
    }
}

fn unsubscribed(app: &App, wanted: &[CharacteristicId]) -> Option<Task> {
    let characteristic = *wanted.iter().find(|characteristic| !app.link.subscribed.contains(characteristic))?;
    Some(Attribute(LinkCommand::Subscribe { characteristic }).into())
}

/// Proves that phone and band share the key, on H:0009. The answer is one block of AES-128.
#[derive(Clone, Debug)]
pub(super) struct Authenticate {
    key: AuthKey,
    dialect: Dialect,
    flags: u8,
    tail: Vec<u8>,
    waits_for: Proof,
}

#[derive(Clone, Copy, Debug)]
enum Proof {
    Nothing,
    Random,
    Verdict,
}

impl Authenticate {
    /// With the key of a band that was paired before.
    pub(super) fn with_stored(key: AuthKey, dialect: Dialect) -> Self {
        let tail = match dialect {
            Dialect::Plain => vec![],
            Dialect::Crypt => vec![0x02, 0x01, 0x00],
        };
        Self { key, dialect, flags: 0x00, tail, waits_for: Proof::Nothing }
    }

    /// With the key of a pairing that has just been confirmed, in the vendor's own form.
    pub(super) fn after_pairing(key: AuthKey, flags: u8) -> Self {
        Self { key, dialect: Dialect::Crypt, flags, tail: vec![0x02], waits_for: Proof::Nothing }
    }
}

impl Resume for Authenticate {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        let Self { key, dialect, flags, .. } = *self;
        match self.waits_for {
            Proof::Nothing => {
                self.waits_for = Proof::Random;
                let request = Request::Random { dialect, flags, tail: self.tail.clone() };
                app.write(CharacteristicId::AUTH, request.encode());
                call(Await::auth(dialect.random_command()))
            }
            Proof::Random => {
                self.waits_for = Proof::Verdict;
                let random = accepted(&wake.bytes()?)?;
                let random = random.try_into().map_err(|_| Refusal::BandError)?;
                let request = Request::Answer { dialect, flags, block: encrypt(key, random) };
                app.write(CharacteristicId::AUTH, request.encode());
                call(Await::auth(dialect.answer_command()))
            }
            Proof::Verdict => {
                accepted(&wake.bytes()?)?;
                app.link.authenticated = true;
                done(Value::Done)
            }
        }
    }
}

fn encrypt(key: AuthKey, mut block: [u8; 16]) -> [u8; 16] {
    Aes128::new(&key.0.into()).encrypt_block((&mut block).into());
    block
}

/// The data of a reply that says yes.
fn accepted(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let reply = Reply::decode(bytes).map_err(|_| Refusal::BandError)?;
    match reply.code {
        ReplyCode::Success => Ok(reply.data),
        // Which of them a band says differs between the sources; all of them end with "check the key".
        ReplyCode::Failed | ReplyCode::KeyError | ReplyCode::WrongKey => Err(Refusal::WrongKey),
        _ => Err(Refusal::BandError),
    }
}

/// Finds and connects the band.
#[derive(Clone, Debug)]
pub(super) struct Connect;

impl Resume for Connect {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match wake {
            Wake::Start => {
                app.ask_link(LinkCommand::Connect);
                app.start(Timer::Connect);
                Ok(Step::Wait)
            }
            Wake::Link(LinkEvent::Connected { .. }) => done(Value::Done),
            Wake::Link(LinkEvent::ConnectFailed) => Err(Refusal::OutOfReach),
            _ => Ok(Step::Wait),
        }
    }
}

/// A request the link answers: subscribe, read, or write with response.
#[derive(Clone, Debug)]
pub(super) struct Attribute(pub(super) LinkCommand);

impl Attribute {
    pub(super) const fn read(characteristic: CharacteristicId) -> Self {
        Self(LinkCommand::Read { characteristic })
    }

    pub(super) const fn write(characteristic: CharacteristicId, value: Vec<u8>) -> Self {
        Self(LinkCommand::Write { characteristic, value, with_response: true })
    }
}

impl Resume for Attribute {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        let event = match wake {
            Wake::Start if !app.link.up => return Err(Refusal::Interrupted),
            Wake::Start => {
                app.ask_link(self.0.clone());
                app.start(Timer::Attribute);
                return Ok(Step::Wait);
            }
            Wake::Link(event) => event,
            _ => return Ok(Step::Wait),
        };
        let (characteristic, result) = match (&self.0, event) {
            (LinkCommand::Subscribe { .. }, LinkEvent::Subscribed { characteristic, result })
            | (LinkCommand::Write { .. }, LinkEvent::WriteDone { characteristic, result }) => {
                (characteristic, result.map(|()| Value::Done))
            }
            (LinkCommand::Read { .. }, LinkEvent::ReadDone { characteristic, result }) => {
                (characteristic, result.map(Value::Bytes))
            }
            _ => return Ok(Step::Wait),
        };
        if self.0.characteristic() != Some(characteristic) {
            return Ok(Step::Wait);
        }
        if let (LinkCommand::Subscribe { .. }, Ok(_)) = (&self.0, &result) {
            app.link.subscribed.insert(characteristic);
        }
        result.map(Step::Return).map_err(|error| {
            app.link.att_error = Some(error);
            Refusal::BandError
        })
    }
}

/// Waits for a notification that starts with these bytes.
#[derive(Clone, Debug)]
pub(super) struct Await {
    characteristic: CharacteristicId,
    prefix: [u8; 2],
    timer: Timer,
}

impl Await {
    pub(super) const fn new(characteristic: CharacteristicId, prefix: [u8; 2], timer: Timer) -> Self {
        Self { characteristic, prefix, timer }
    }

    /// The reply to this command on H:0009.
    pub(super) const fn auth(command: u8) -> Self {
        Self::new(CharacteristicId::AUTH, [0x10, command], Timer::Authentication)
    }

    pub(super) fn takes(&self, characteristic: CharacteristicId, value: &[u8]) -> bool {
        self.characteristic == characteristic && value.starts_with(&self.prefix)
    }
}

impl Resume for Await {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        match wake {
            Wake::Start if !app.link.up => Err(Refusal::Interrupted),
            Wake::Start => {
                let inbox = &mut app.link.inbox;
                if let Some(at) = inbox.iter().position(|(from, value)| self.takes(*from, value)) {
                    let value = inbox.remove(at).map(|(_, value)| value).unwrap_or_default();
                    return done(Value::Bytes(value));
                }
                app.start(self.timer);
                Ok(Step::Wait)
            }
            Wake::Link(LinkEvent::Notified { value, .. }) => done(Value::Bytes(value)),
            _ => Ok(Step::Wait),
        }
    }
}

/// Waits until a timer fires.
#[derive(Clone, Debug)]
pub(super) struct Pause {
    timer: Timer,
    at_most: Duration,
}

impl Pause {
    /// As long as the timer runs.
    pub(super) const fn new(timer: Timer) -> Self {
        Self { timer, at_most: Duration::MAX }
    }

    /// As long as the timer runs, or shorter.
    pub(super) const fn at_most(timer: Timer, at_most: Duration) -> Self {
        Self { timer, at_most }
    }
}

impl Resume for Pause {
    fn resume(&mut self, app: &mut App, wake: Wake) -> Result<Step, Refusal> {
        if matches!(wake, Wake::Start) {
            let pause = self.timer.duration(&app.config).min(self.at_most);
            app.timers.set(self.timer, app.now + pause);
        }
        Ok(Step::Wait)
    }
}

impl Link {
    /// The link came up.
    pub(super) fn connected(address: [u8; 6], mtu: u16) -> Self {
        Self { up: true, address, mtu, ..Self::default() }
    }
}
