//! The embedded station: every role in one process under virtual time.
//!
//! A [`World`] holds the roles and a queue of what arrives where and when. Each turn takes the earliest arrival or the earliest
//! deadline that a role named, moves the clock there, hands it in and spreads what comes out. Nothing else moves the clock, so a
//! case depends on its seed and on nothing around it, and a clone of a world runs on alike: that is how a sweep tries every point.

use std::sync::Arc;
use std::time::Duration;

use band_sim::band::profile::BandProfile;
use band_sim::band::{Band, Button, Input as BandInput, Memory, Output as BandOutput};
use band_sim::card::Interface;
use band_sim::rng::Rng;
use band_sim::time::Instant;
use band_sim::wire::gatt::CharacteristicId;

use crate::cloud::Cloud;
use crate::cloud::api::{AuthorisationReason, AuthorisationReply, Envelope, Refusal, Reply, Request, Sms};
use crate::link::air::Air;
use crate::link::fault::{Armed, Direction, Fault};
use crate::link::in_process::{Hop, InProcess, Timing};
use crate::phone::Phone;
use crate::phone::io::{Input as PhoneInput, LinkCommand, Notice, Output as PhoneOutput, Shown, UserAction};
use crate::report::event::{AttOp, Kind};
use crate::terminal::Terminal;
use crate::terminal::io::{Input as TerminalInput, Output as TerminalOutput, Purchase, Receipt};

use super::carrier::{Carrier, ToCard, UnderWay};
use super::middle::{Bend, Middle};
use super::queue::Queue;
use super::recorder::{Recorder, Struck};
use super::world::Roles;

/// What the person at the band does when it asks to confirm a pairing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Confirm {
    /// Taps it.
    #[default]
    Tap,
    /// Denies.
    Deny,
    /// Does nothing.
    Ignore,
}

/// Everything a world is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The band's profile.
    pub profile: Arc<BandProfile>,
    /// The band, as it left the factory.
    pub band: Band,
    /// The cloud.
    pub cloud: Cloud,
    /// The phone.
    pub phone: Phone,
    /// The link's timing.
    pub timing: Timing,
    /// One way through the network, phone or shop to cloud.
    pub network: Duration,
    /// How fast a person taps the band that asks, or types a PIN.
    pub reaction: Duration,
    /// Microseconds since 1970 at power-on.
    pub epoch_unix_us: i64,
    /// The seed of the case.
    pub rng: Rng,
}

/// A fault armed for one action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionFault {
    /// When it strikes.
    pub at: Where,
    /// What happens then.
    pub strike: Strike,
}

impl ActionFault {
    /// The same fault, counted from where these points have been passed; `None` when it lies behind.
    #[must_use]
    pub fn after(self, passed: &Points) -> Option<Self> {
        let left = |nth: u64, passed: u64| nth.checked_sub(passed).filter(|left| *left > 0);
        let at = match self.at {
            Where::ToBand(nth) => Where::ToBand(left(nth, passed.to_band)?),
            Where::ToPhone(nth) => Where::ToPhone(left(nth, passed.to_phone)?),
            Where::SecureElementWrite(nth) => Where::SecureElementWrite(left(nth, passed.secure_element_writes)?),
            Where::DeviceWrite(nth) => Where::DeviceWrite(left(nth, passed.device_writes)?),
            Where::Request(nth) => Where::Request(left(nth, passed.cloud_requests)?),
            Where::ContactlessByte(nth) => Where::ContactlessByte(left(nth, passed.contactless_bytes)?),
        };
        Some(Self { at, ..self })
    }
}

/// A point of an action, counted from 1 from the moment the fault was armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    /// The n-th packet to the band.
    ToBand(u64),
    /// The n-th packet to the phone.
    ToPhone(u64),
    /// The n-th write to the secure element's memory.
    SecureElementWrite(u64),
    /// The n-th write to the band's own memory.
    DeviceWrite(u64),
    /// The n-th request to the cloud.
    Request(u64),
    /// The n-th byte between band and reader, either way.
    ContactlessByte(u64),
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// Something to the packet.
    Link(Fault),
    /// The band loses power, in the middle of the write or with the packet.
    PowerLoss,
    /// The app leaves the foreground (R10).
    LeaveForeground,
    /// Somebody resets the band on the band itself (R6).
    FactoryReset,
    /// The request is never answered.
    CloudLost,
    /// The band leaves the reader's field.
    FieldLoss,
}

/// How many points an action offered to each kind of fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Points {
    /// Packets to the band.
    pub to_band: u64,
    /// Packets to the phone.
    pub to_phone: u64,
    /// Writes to the secure element's memory.
    pub secure_element_writes: u64,
    /// Writes to the band's own memory.
    pub device_writes: u64,
    /// Requests to the cloud.
    pub cloud_requests: u64,
    /// Bytes between band and reader.
    pub contactless_bytes: u64,
}

impl std::ops::AddAssign for Points {
    fn add_assign(&mut self, more: Self) {
        self.to_band += more.to_band;
        self.to_phone += more.to_phone;
        self.secure_element_writes += more.secure_element_writes;
        self.device_writes += more.device_writes;
        self.cloud_requests += more.cloud_requests;
        self.contactless_bytes += more.contactless_bytes;
    }
}

/// How a payment is made.
#[derive(Clone, Debug)]
pub struct Tap {
    /// The shop.
    pub terminal: Arc<crate::terminal::config::TerminalConfig>,
    /// What is to be paid.
    pub purchase: Purchase,
    /// What the customer types when asked.
    pub pin: Option<String>,
    /// Whether the shop reaches its acquirer.
    pub online: bool,
    /// The field is lost after this many answers.
    pub field_lost_after: Option<u32>,
    /// What a man in the middle does.
    pub man_in_the_middle: Vec<Bend>,
}

/// One exchange over the air, and how long each part of it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The answer: data and status word.
    pub answer: Vec<u8>,
    /// The command on its way.
    pub to_band: Duration,
    /// The band's computing.
    pub computing: Duration,
    /// The answer on its way.
    pub to_reader: Duration,
}

/// The world did not come to rest: a bug in a role, never a finding about a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// What was being waited for.
    pub waiting_for: &'static str,
}

#[derive(Clone, Debug)]
enum Arrival {
    Hop(Hop, u64),
    CloudRequest(Box<Envelope>),
    CloudReply(Option<Box<Reply>>),
    ButtonPress(Button),
    ToTerminal(TerminalInput),
    TerminalCommand(Vec<u8>),
    /// The air carries nothing more in this payment: the field is gone, or the band's power.
    AirLost(Strike),
    Authorise(Box<crate::cloud::api::Authorisation>),
    PowerLoss,
    LeaveForeground,
}

impl Arrival {
    const fn is_of_a_payment(&self) -> bool {
        matches!(self, Self::ToTerminal(_) | Self::TerminalCommand(_) | Self::AirLost(_) | Self::Authorise(_))
    }
}

/// Most turns one action may take; a whole add takes about a thousand.
const MOST_TURNS: u32 = 200_000;
/// How long an action may take in virtual time before the station gives up on the phone.
const ACTION_DEADLINE: Duration = Duration::from_secs(1800);
/// How long a payment may take in virtual time.
const TAP_DEADLINE: Duration = Duration::from_secs(300);

/// All roles, the links between them, and the clock.
#[derive(Clone, Debug)]
pub struct World {
    now: Instant,
    epoch_unix_us: i64,
    profile: Arc<BandProfile>,
    band: Band,
    phone: Phone,
    cloud: Cloud,
    link: InProcess,
    terminal: Option<Terminal>,
    queue: Queue<Arrival>,
    band_wait: Option<Instant>,
    phone_wait: Option<Instant>,
    terminal_wait: Option<Instant>,
    network: Duration,
    air: Air,
    reaction: Duration,
    in_reach: bool,
    band_was_powered: bool,
    confirm: Confirm,
    action_done: Option<Result<Shown, Refusal>>,
    notices: Vec<Notice>,
    inbox: Vec<Sms>,
    tap: TapState,
    faults: Vec<ActionFault>,
    cloud_requests: u64,
    contactless_bytes: u64,
    last_authorisation: Option<AuthorisationReason>,
    suspicious: bool,
    pin_asked: bool,
    rng: Rng,
    outside: Outside,
    recorder: Recorder,
}

/// What the world keeps of a carrier that is not the air.
#[derive(Clone, Debug, Default)]
struct Outside {
    by: Option<Arc<dyn Carrier>>,
    under_way: UnderWay,
    /// The band answers to the carrier now, not to the terminal.
    at_card: bool,
    answer: Option<Vec<u8>>,
    trouble: Option<String>,
}

#[derive(Clone, Debug, Default)]
struct TapState {
    receipt: Option<Box<Receipt>>,
    pin: Option<String>,
    online: bool,
    field_lost_after: Option<u32>,
    answers: u32,
    middle: Middle,
    /// The command that the band is answering.
    command: Vec<u8>,
    /// When the band came into the field.
    began: Instant,
    /// When the reader had the band's last answer, or lost it.
    last_heard: Option<Instant>,
}

impl World {
    /// A world at power-on: the band on the table, nothing connected.
    #[must_use]
    pub fn new(parts: Parts, recorder: Recorder) -> Self {
        let mut world = Self {
            now: Instant::ZERO,
            epoch_unix_us: parts.epoch_unix_us,
            air: Air::new(&parts.profile.air),
            profile: parts.profile,
            band: parts.band,
            phone: parts.phone,
            cloud: parts.cloud,
            link: InProcess::new(parts.timing, parts.rng.fork("link")),
            terminal: None,
            queue: Queue::new(),
            band_wait: None,
            phone_wait: None,
            terminal_wait: None,
            network: parts.network,
            reaction: parts.reaction,
            in_reach: true,
            band_was_powered: true,
            confirm: Confirm::Tap,
            action_done: None,
            notices: vec![],
            inbox: vec![],
            tap: TapState::default(),
            faults: vec![],
            cloud_requests: 0,
            contactless_bytes: 0,
            last_authorisation: None,
            suspicious: false,
            pin_asked: false,
            rng: parts.rng.fork("world"),
            outside: Outside::default(),
            recorder,
        };
        world.drain_band();
        world.drain_phone();
        world
    }

    /// The same world, its taps carried by something real.
    #[must_use]
    pub fn carried_by(mut self, carrier: Arc<dyn Carrier>) -> Self {
        self.outside.by = Some(carrier);
        self
    }

    /// What stood in the carrier's way since this was last asked.
    pub fn take_trouble(&mut self) -> Option<String> {
        self.outside.trouble.take()
    }

    /// Virtual time since power-on.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Virtual calendar time, microseconds since 1970.
    #[must_use]
    pub fn unix_us(&self) -> i64 {
        self.epoch_unix_us.saturating_add_unsigned(self.now.as_micros())
    }

    /// The band.
    #[must_use]
    pub const fn band(&self) -> &Band {
        &self.band
    }

    /// The band alone, as it is now.
    #[must_use]
    pub fn into_band(self) -> Band {
        self.band
    }

    /// The cloud.
    #[must_use]
    pub const fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The phone.
    #[must_use]
    pub const fn phone(&self) -> &Phone {
        &self.phone
    }

    /// The band's profile.
    #[must_use]
    pub fn profile(&self) -> &BandProfile {
        &self.profile
    }

    /// The bank's clerk at work: what she does needs no link and no time.
    pub fn cloud_mut(&mut self) -> &mut Cloud {
        &mut self.cloud
    }

    /// What is written down.
    pub fn recorder(&mut self) -> &mut Recorder {
        &mut self.recorder
    }

    /// Messages that have reached the holder's phone, oldest first.
    #[must_use]
    pub fn inbox(&self) -> &[Sms] {
        &self.inbox
    }

    /// A fresh unpredictable number.
    pub fn unpredictable_number(&mut self) -> [u8; 4] {
        self.rng.array()
    }

    /// Why the bank decided as it did in the last payment; `None` when it was not asked.
    #[must_use]
    pub const fn last_authorisation(&self) -> Option<AuthorisationReason> {
        self.last_authorisation
    }

    /// Whether the bank found something odd in the last payment.
    #[must_use]
    pub const fn was_suspicious(&self) -> bool {
        self.suspicious
    }

    /// Whether the last payment asked the customer for a PIN.
    #[must_use]
    pub const fn pin_was_asked(&self) -> bool {
        self.pin_asked
    }

    /// How long the band had to be held to the reader in the last payment: from entering the field to its last answer there,
    /// or to the loss of the field. What the bank and the customer take comes after it.
    #[must_use]
    pub fn last_card_time(&self) -> Duration {
        self.tap.last_heard.map_or(Duration::ZERO, |heard| heard.saturating_since(self.tap.began))
    }

    /// The first of the changes in the last payment that a man in the middle found no occasion for, counted from 0.
    #[must_use]
    pub fn idle_bend(&self) -> Option<usize> {
        self.tap.middle.idle()
    }

    /// Whether the phone and the band see each other.
    #[must_use]
    pub const fn is_in_reach(&self) -> bool {
        self.in_reach
    }

    /// What the person does at the next pairing.
    pub fn set_confirm(&mut self, confirm: Confirm) {
        self.confirm = confirm;
    }

    /// Arms faults for the next action and counts points from zero.
    pub fn arm(&mut self, faults: Vec<ActionFault>) {
        let on_link = faults.iter().filter_map(|fault| match (fault.at, fault.strike) {
            (Where::ToBand(nth), Strike::Link(fault)) => Some(Armed { direction: Direction::ToBand, nth, fault }),
            (Where::ToPhone(nth), Strike::Link(fault)) => Some(Armed { direction: Direction::ToPhone, nth, fault }),
            _ => None,
        });
        self.link.faults().arm(on_link.collect());
        self.band.cut_power_at_write(Memory::SecureElement, None);
        self.band.cut_power_at_write(Memory::Device, None);
        for fault in faults.iter().filter(|fault| fault.strike == Strike::PowerLoss) {
            match fault.at {
                Where::SecureElementWrite(nth) => self.band.cut_power_at_write(Memory::SecureElement, Some(nth)),
                Where::DeviceWrite(nth) => self.band.cut_power_at_write(Memory::Device, Some(nth)),
                _ => {}
            }
        }
        self.cloud_requests = 0;
        self.contactless_bytes = 0;
        self.faults = faults;
    }

    /// The action is over: no fault strikes any more, and what a fault took away is given back: power and the foreground.
    pub fn disarm(&mut self) {
        let faults = std::mem::take(&mut self.faults);
        self.arm(vec![]);
        if faults.iter().any(|fault| fault.strike == Strike::PowerLoss) {
            self.power(true);
        }
        if faults.iter().any(|fault| fault.strike == Strike::LeaveForeground) {
            self.foreground(true);
        }
    }

    /// Points passed since [`World::arm`]; `before` is [`World::writes`] at that moment.
    #[must_use]
    pub fn points(&mut self, before: (u64, u64)) -> Points {
        let (secure_element, device) = self.writes();
        Points {
            to_band: self.link.faults().seen(Direction::ToBand),
            to_phone: self.link.faults().seen(Direction::ToPhone),
            secure_element_writes: secure_element - before.0,
            device_writes: device - before.1,
            cloud_requests: self.cloud_requests,
            contactless_bytes: self.contactless_bytes,
        }
    }

    /// Writes to the secure element's and the band's own memory so far.
    #[must_use]
    pub fn writes(&self) -> (u64, u64) {
        (self.band.nvm_writes(Memory::SecureElement), self.band.nvm_writes(Memory::Device))
    }

    /// The person at the phone acts; runs until the app has answered.
    ///
    /// # Errors
    /// [`Stuck`] when the app never answers.
    pub fn act(&mut self, action: UserAction) -> Result<(Result<Shown, Refusal>, Vec<Notice>), Stuck> {
        self.action_done = None;
        self.notices.clear();
        self.phone_input(PhoneInput::User(action));
        let deadline = self.now + ACTION_DEADLINE;
        for _ in 0..MOST_TURNS {
            if let Some(done) = self.action_done.take() {
                return Ok((done, std::mem::take(&mut self.notices)));
            }
            if !self.turn(deadline) {
                break;
            }
        }
        Err(Stuck { waiting_for: "the app to end the action" })
    }

    /// The app comes to the foreground or leaves it.
    pub fn foreground(&mut self, foreground: bool) {
        self.phone_input(PhoneInput::Foreground(foreground));
        self.settle();
    }

    /// Lets everything that is due now happen.
    pub fn settle(&mut self) {
        for _ in 0..MOST_TURNS {
            if !self.turn(self.now) {
                return;
            }
        }
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..MOST_TURNS {
            if !self.turn(until) {
                break;
            }
        }
        self.now = until;
    }

    /// The band goes out of reach of the phone, or comes back.
    pub fn set_reach(&mut self, in_reach: bool) {
        self.in_reach = in_reach;
        if !in_reach {
            let notice = self.link.supervision();
            self.break_link(notice);
            // Gone is what both sides have noticed.
            return self.wait(notice);
        }
        self.settle();
    }

    /// Drops the link, which both sides notice at once, and ends the world.
    #[must_use]
    pub fn into_roles(mut self) -> Roles {
        self.break_link(Duration::ZERO);
        self.settle();
        let Self { now, band, cloud, phone, inbox, recorder, .. } = self;
        Roles { now, band, cloud, phone, inbox, recorder }
    }

    /// Somebody presses a button on the band.
    pub fn press(&mut self, button: Button) {
        self.band_input(BandInput::Button(button), None);
        self.settle();
    }

    /// The band's power is cut, or comes back.
    pub fn power(&mut self, on: bool) {
        if on == self.band.is_powered() {
            return;
        }
        self.band_input(if on { BandInput::PowerOn } else { BandInput::PowerLost }, None);
        if on {
            return self.settle();
        }
        self.wait(self.link.supervision());
    }

    /// The band is held to a reader and one raw command is sent; no terminal decides anything.
    pub fn raw_contactless(&mut self, commands: &[Vec<u8>]) -> Vec<Vec<u8>> {
        self.band_input(BandInput::Field { on: true }, None);
        let answers =
            commands.iter().map(|command| self.exchange_contactless(command.clone()).unwrap_or_default()).collect();
        self.band_input(BandInput::Field { on: false }, None);
        self.settle();
        answers
    }

    /// The band is held to a reader, or taken away; in the field when the reader has activated it.
    pub fn hold_to_reader(&mut self, on: bool) {
        self.band_input(BandInput::Field { on }, None);
        if on {
            self.wait(self.air.activation());
        } else {
            self.settle();
        }
    }

    /// One exchange with the band in the field, as long as the air and its computing take; `None` when it does not answer.
    pub fn carry(&mut self, command: &[u8]) -> Option<Carried> {
        let to_band = self.air.command(command.len()).time;
        self.wait(to_band);
        let answer = self.exchange_contactless(command.to_vec())?;
        let computing = self.air.waiting(self.air.computing(command, &answer)).time;
        let to_reader = self.air.answer(answer.len()).time;
        self.wait(computing + to_reader);
        Some(Carried { answer, to_band, computing, to_reader })
    }

    /// The shop asks the bank, as long as the network takes.
    pub fn ask_bank(&mut self, request: &crate::cloud::api::Authorisation) -> AuthorisationReply {
        self.wait(self.network);
        let reply = self.cloud.authorise(self.now, request);
        self.wait(self.network);
        reply
    }

    /// The customer pays. Runs until the terminal has ended the payment.
    ///
    /// # Errors
    /// [`Stuck`] when the terminal never ends.
    pub fn pay(&mut self, tap: Tap) -> Result<Receipt, Stuck> {
        self.tap = TapState {
            pin: tap.pin,
            online: tap.online,
            field_lost_after: tap.field_lost_after,
            began: self.now,
            middle: Middle::new(tap.man_in_the_middle),
            ..TapState::default()
        };
        self.last_authorisation = None;
        self.suspicious = false;
        self.pin_asked = false;
        // What comes too late for one payment must not pass for an answer in the next.
        self.queue.retain(|arrival| !arrival.is_of_a_payment());
        self.band_input(BandInput::Field { on: true }, None);
        self.recorder.shop(self.now, &tap.terminal);
        // Its reasons are told by the recorder.
        self.terminal = Some(Terminal::new(tap.terminal).without_notes());
        self.terminal_input(TerminalInput::Start(tap.purchase));
        let deadline = self.now + TAP_DEADLINE;
        for _ in 0..MOST_TURNS {
            if let Some(receipt) = self.tap.receipt.take() {
                self.terminal = None;
                self.terminal_wait = None;
                self.band_input(BandInput::Field { on: false }, None);
                self.settle();
                return Ok(*receipt);
            }
            if !self.turn(deadline) {
                break;
            }
        }
        Err(Stuck { waiting_for: "the terminal to end the payment" })
    }

    /// Takes the earliest thing that is due by `until`; false when there is none.
    fn turn(&mut self, until: Instant) -> bool {
        let arrival = self.queue.first();
        let Some(at) = [arrival, self.band_wait, self.phone_wait, self.terminal_wait].into_iter().flatten().min()
        else {
            return false;
        };
        if at > until {
            return false;
        }
        self.now = self.now.max(at);
        if arrival == Some(at) {
            if let Some(arrival) = self.queue.pop() {
                self.deliver(arrival);
            }
        } else if self.band_wait == Some(at) {
            self.band_wait = None;
            self.band_input(BandInput::Tick, None);
        } else if self.phone_wait == Some(at) {
            self.phone_wait = None;
            self.phone_input(PhoneInput::Tick);
        } else {
            self.terminal_wait = None;
            self.terminal_input(TerminalInput::Tick);
        }
        true
    }

    fn deliver(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Hop(Hop::ToBand(BandInput::Connected { mtu }, _), _) => self.connect_band(mtu),
            Arrival::Hop(Hop::ToBand(input, characteristic), epoch) => {
                let stale = epoch != self.link.epoch() || !self.link.is_connected();
                if !stale || input == BandInput::Disconnected {
                    self.band_input(input, characteristic);
                }
            }
            Arrival::Hop(Hop::ToPhone(event), epoch) => {
                let ends = matches!(event, crate::phone::io::LinkEvent::ConnectFailed);
                if ends || epoch == self.link.epoch() {
                    self.phone_input(PhoneInput::Link(event));
                }
            }
            Arrival::Hop(Hop::TransactionEnds(number), _) => {
                self.link.end_transaction(self.now, number);
                self.take_hops();
            }
            Arrival::CloudRequest(envelope) => self.ask_cloud(&envelope),
            Arrival::CloudReply(reply) => self.phone_input(PhoneInput::Cloud(reply.map(|reply| *reply))),
            Arrival::ButtonPress(button) => self.band_input(BandInput::Button(button), None),
            Arrival::ToTerminal(input) => self.terminal_input(input),
            Arrival::TerminalCommand(command) => self.command_from_terminal(command),
            Arrival::AirLost(strike) => self.lose_air(strike),
            Arrival::PowerLoss => self.band_input(BandInput::PowerLost, None),
            Arrival::LeaveForeground => {
                self.recorder.struck(self.now, Struck::AppLeft);
                self.phone_input(PhoneInput::Foreground(false));
            }
            Arrival::Authorise(request) => {
                let reply = self.cloud.authorise(self.now, &request);
                self.recorder.authorisation(self.now, &request, &reply);
                if let Some(issuers) = &reply.cryptogram_input {
                    let cards = self.band.card().cryptogram_input(Interface::Contactless);
                    self.recorder.cryptogram_inputs(self.now, cards, issuers);
                }
                self.last_authorisation = Some(reply.reason);
                self.suspicious = reply.suspicion.is_some();
                self.later(self.network, Arrival::ToTerminal(TerminalInput::Online(Some(reply))));
            }
        }
    }

    fn later(&mut self, delay: Duration, arrival: Arrival) {
        self.at(self.now + delay, arrival);
    }

    fn at(&mut self, at: Instant, arrival: Arrival) {
        self.queue.insert(at, arrival);
    }

    // --- the band

    fn connect_band(&mut self, mtu: u16) {
        if !self.in_reach || !self.band.is_powered() {
            return self.phone_input(PhoneInput::Link(crate::phone::io::LinkEvent::ConnectFailed));
        }
        let address = self.profile.identity.address();
        self.link.connected(self.now, address);
        self.band_input(BandInput::Connected { mtu }, None);
    }

    fn band_input(&mut self, input: BandInput, characteristic: Option<CharacteristicId>) {
        match input {
            BandInput::Field { on } if self.outside.by.is_some() => self.hold_to_carrier(on),
            BandInput::Contactless(command) if self.outside.by.is_some() => {
                match self.through_carrier(&command) {
                    Some(answer) => self.answer_to_terminal(answer),
                    // A band without power is noticed where the command was sent.
                    None if self.band.is_powered() => self.terminal_input(TerminalInput::FieldLost),
                    None => {}
                }
                return;
            }
            _ => {}
        }
        self.band_takes(input, characteristic);
    }

    fn band_takes(&mut self, input: BandInput, characteristic: Option<CharacteristicId>) {
        let subscribing = matches!(input, BandInput::Subscribe { .. });
        self.band.handle(self.now, input);
        self.drain_band_for(characteristic, if subscribing { AttOp::Subscribe } else { AttOp::Write });
        let powered = self.band.is_powered();
        if self.band_was_powered && !powered {
            self.recorder.note(self.now, Kind::Fault { text: "the band lost power".into() });
            self.break_link(self.link.supervision());
        }
        self.band_was_powered = powered;
    }

    fn drain_band(&mut self) {
        self.drain_band_for(None, AttOp::Write);
    }

    fn drain_band_for(&mut self, asked: Option<CharacteristicId>, write_op: AttOp) {
        loop {
            match self.band.poll() {
                BandOutput::Notify { handle, value } => {
                    if let Some(id) = self.profile.gatt.id(handle) {
                        self.link.handle_notification(self.now, id, value);
                    }
                }
                BandOutput::ReadReply(reply) => {
                    if let Some(id) = asked {
                        self.link.handle_read_reply(self.now, id, reply);
                    }
                }
                BandOutput::WriteReply(reply) => {
                    if let Some(id) = asked {
                        self.link.handle_write_reply(self.now, write_op, id, reply);
                    }
                }
                BandOutput::Contactless(answer) if self.outside.at_card => self.outside.answer = Some(answer),
                BandOutput::Contactless(answer) => self.answer_to_terminal(answer),
                BandOutput::Disconnect => self.break_link(Duration::ZERO),
                BandOutput::Event(event) => self.recorder.band(self.now, &event),
                BandOutput::Display(shown) => self.recorder.display(self.now, &shown),
                BandOutput::Wait(until) => {
                    self.band_wait = until;
                    break;
                }
            }
        }
        self.take_hops();
    }

    // --- the carrier

    fn hold_to_carrier(&mut self, on: bool) {
        self.outside.under_way = UnderWay::default();
        let Some(carrier) = self.outside.by.clone().filter(|_| on) else { return };
        match carrier.begin(&mut |arrived| self.at_card(arrived)) {
            Ok(passage) => self.outside.under_way = UnderWay(Some(passage)),
            Err(words) => self.outside.trouble = Some(words),
        }
    }

    /// A command on its way out and back; `None` when there is no answer, for whatever reason.
    fn through_carrier(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        let mut passage = self.outside.under_way.0.take()?;
        match passage.exchange(command, &mut |arrived| self.at_card(arrived)) {
            Ok(Some(answer)) => {
                self.outside.under_way = UnderWay(Some(passage));
                Some(answer)
            }
            Ok(None) => None,
            Err(words) => {
                self.outside.trouble = Some(words);
                None
            }
        }
    }

    /// What has arrived at the card's end of the carrier.
    fn at_card(&mut self, arrived: ToCard) -> Option<Vec<u8>> {
        let input = match arrived {
            ToCard::Power(on) => BandInput::Field { on },
            ToCard::Command(command) => BandInput::Contactless(command),
        };
        self.outside.at_card = true;
        self.band_takes(input, None);
        self.outside.at_card = false;
        self.outside.answer.take()
    }

    fn break_link(&mut self, notice: Duration) {
        self.link.break_link(self.now, notice);
        self.take_hops();
    }

    fn take_hops(&mut self) {
        if self.link.is_silent() {
            return;
        }
        while let Some(att) = self.link.next_seen() {
            self.recorder.att(self.now, att);
        }
        for armed in self.link.faults().take_struck() {
            self.recorder.note(
                self.now,
                Kind::Fault { text: format!("{:?} strikes packet {} {:?}", armed.fault, armed.nth, armed.direction) },
            );
        }
        self.strike_with_packets();
        let epoch = self.link.epoch();
        while let Some((at, hop)) = self.link.next_hop() {
            self.at(at, Arrival::Hop(hop, epoch));
        }
    }

    // --- the phone and the cloud

    fn phone_input(&mut self, input: PhoneInput) {
        self.phone.handle(self.now, input);
        self.drain_phone();
    }

    fn drain_phone(&mut self) {
        loop {
            match self.phone.poll() {
                PhoneOutput::Link(command) => self.phone_commands_link(command),
                PhoneOutput::Cloud(envelope) => self.later(self.network, Arrival::CloudRequest(Box::new(envelope))),
                PhoneOutput::Ui(notice) => self.notice(notice),
                PhoneOutput::Done(result) => {
                    self.recorder.done(self.now, &result);
                    self.action_done = Some(result);
                }
                PhoneOutput::Wait(until) => {
                    self.phone_wait = until;
                    return;
                }
            }
        }
    }

    fn phone_commands_link(&mut self, command: LinkCommand) {
        let reachable = self.in_reach && self.band.is_powered();
        let profile = Arc::clone(&self.profile);
        self.link.handle_command(self.now, command, &profile.gatt, reachable);
        self.take_hops();
    }

    /// Faults that strike with a packet but not on the link.
    fn strike_with_packets(&mut self) {
        let seen = (self.link.faults().seen(Direction::ToBand), self.link.faults().seen(Direction::ToPhone));
        let is_due = |fault: &&mut ActionFault| match fault.at {
            Where::ToBand(nth) => seen.0 >= nth && !matches!(fault.strike, Strike::Link(_)),
            Where::ToPhone(nth) => seen.1 >= nth && !matches!(fault.strike, Strike::Link(_)),
            _ => false,
        };
        while let Some(fault) = self.faults.iter_mut().find(is_due) {
            // Struck: the point is passed for good, and `disarm` still knows what was taken away.
            fault.at = Where::ToBand(u64::MAX);
            let strike = fault.strike;
            self.strike(strike);
        }
    }

    fn strike(&mut self, strike: Strike) {
        match strike {
            Strike::PowerLoss => self.at(self.now, Arrival::PowerLoss),
            Strike::LeaveForeground => self.at(self.now, Arrival::LeaveForeground),
            Strike::FactoryReset => self.at(self.now, Arrival::ButtonPress(Button::FactoryReset)),
            Strike::Link(_) | Strike::CloudLost | Strike::FieldLoss => {}
        }
    }

    fn notice(&mut self, notice: Notice) {
        self.recorder.notice(self.now, &notice);
        if notice == Notice::TapTheBand {
            match self.confirm {
                Confirm::Tap => self.later(self.reaction, Arrival::ButtonPress(Button::Confirm)),
                Confirm::Deny => self.later(self.reaction, Arrival::ButtonPress(Button::Deny)),
                Confirm::Ignore => {}
            }
        }
        self.notices.push(notice);
    }

    fn ask_cloud(&mut self, envelope: &Envelope) {
        self.cloud_requests += 1;
        let nth = self.cloud_requests;
        let struck = self.faults.iter().find(|fault| fault.at == Where::Request(nth)).map(|fault| fault.strike);
        match struck {
            Some(Strike::CloudLost) => {
                self.recorder.struck(self.now, Struck::RequestLost(nth));
                return self.later(self.network, Arrival::CloudReply(None));
            }
            Some(strike) => self.strike(strike),
            None => {}
        }
        let reply = self.cloud.handle(self.now, envelope.clone());
        if matches!(envelope.request, Request::AddCard { .. }) {
            // A new token has a number nobody may see.
            self.recorder.hide(&self.cloud);
        }
        self.recorder.cloud(self.now, envelope, &reply);
        for sms in self.cloud.take_sms() {
            self.recorder.sms(self.now, &sms);
            self.inbox.push(sms);
        }
        self.later(self.network, Arrival::CloudReply(Some(Box::new(reply))));
    }

    // --- the shop

    fn terminal_input(&mut self, input: TerminalInput) {
        let Some(terminal) = &mut self.terminal else { return };
        if matches!(input, TerminalInput::FieldLost) {
            self.recorder.contactless_lost(self.now);
        }
        self.recorder.terminal(self.now, &input);
        terminal.handle(self.now, input);
        self.drain_terminal();
    }

    fn drain_terminal(&mut self) {
        while let Some(terminal) = &mut self.terminal {
            match terminal.poll() {
                TerminalOutput::Command(command) => self.send_command(command),
                TerminalOutput::Online(request) => {
                    if self.tap.online {
                        self.later(self.network, Arrival::Authorise(request));
                    } else {
                        self.later(
                            self.network,
                            Arrival::ToTerminal(TerminalInput::Online(None::<AuthorisationReply>)),
                        );
                    }
                }
                TerminalOutput::AskPin => {
                    self.pin_asked = true;
                    let pin = self.tap.pin.clone();
                    self.later(self.reaction, Arrival::ToTerminal(TerminalInput::Pin(pin)));
                }
                TerminalOutput::Note(_) => {}
                TerminalOutput::Done(receipt) => self.tap.receipt = Some(receipt),
                TerminalOutput::Wait(until) => {
                    self.terminal_wait = until;
                    return;
                }
            }
        }
    }

    /// The reader sends a command; the first one after it has activated the band.
    fn send_command(&mut self, command: Vec<u8>) {
        let before = if self.tap.last_heard.is_none() { self.air.activation() } else { Duration::ZERO };
        let leg = self.air.command(command.len());
        match self.air_fault(leg.bytes) {
            Some((nth, strike)) => {
                self.recorder.contactless_command(self.now, &command);
                self.later(before + self.air.byte_of_command(command.len(), nth), Arrival::AirLost(strike));
            }
            None => self.later(before + leg.time, Arrival::TerminalCommand(command)),
        }
    }

    /// So many bytes go over the air; the fault that strikes one of them, and which.
    fn air_fault(&mut self, bytes: u64) -> Option<(u64, Strike)> {
        let before = self.contactless_bytes;
        self.contactless_bytes += bytes;
        self.faults.iter().find_map(|fault| match fault.at {
            Where::ContactlessByte(nth) if before < nth && nth <= before + bytes => Some((nth - before, fault.strike)),
            _ => None,
        })
    }

    /// The band leaves the field or loses its power; the reader asks in vain for a while.
    fn lose_air(&mut self, strike: Strike) {
        self.tap.last_heard = Some(self.now);
        if strike == Strike::PowerLoss {
            self.band_input(BandInput::PowerLost, None);
        } else {
            self.recorder.struck(self.now, Struck::FieldLeft);
            self.band_input(BandInput::Field { on: false }, None);
        }
        self.later(self.air.notice(), Arrival::ToTerminal(TerminalInput::FieldLost));
    }

    fn command_from_terminal(&mut self, command: Vec<u8>) {
        if self.tap.field_lost_after == Some(self.tap.answers) {
            return self.lose_air(Strike::FieldLoss);
        }
        self.tap.answers += 1;
        let command = self.tap.middle.command(command);
        self.recorder.contactless_command(self.now, &command);
        self.tap.command.clone_from(&command);
        self.band_input(BandInput::Contactless(command), None);
        if !self.band.is_powered() {
            self.tap.last_heard = Some(self.now);
            self.later(self.air.notice(), Arrival::ToTerminal(TerminalInput::FieldLost));
        }
    }

    fn answer_to_terminal(&mut self, answer: Vec<u8>) {
        let computing = self.air.computing(&self.tap.command, &answer);
        let bent = self.tap.middle.answer(answer);
        if bent.changed {
            self.recorder.struck(self.now, Struck::AnswerChanged);
        }
        let answer = bent.answer;
        self.recorder.contactless_answer(self.now, &answer);
        let waiting = self.air.waiting(computing);
        let leg = self.air.answer(answer.len());
        if let Some((nth, strike)) = self.air_fault(waiting.bytes + leg.bytes) {
            // A fault while the card asks for more time strikes in the middle of its computing, which it finishes.
            let at = match nth.checked_sub(waiting.bytes) {
                None | Some(0) => waiting.time / 2,
                Some(nth) => waiting.time + self.air.byte_of_answer(answer.len(), nth),
            };
            return self.later(at, Arrival::AirLost(strike));
        }
        let Some(late) = bent.late else { return };
        let heard = waiting.time + leg.time + late;
        self.tap.last_heard = Some(self.now + heard);
        self.later(heard, Arrival::ToTerminal(TerminalInput::Answer(answer)));
    }

    /// One raw exchange, past the queue.
    fn exchange_contactless(&mut self, command: Vec<u8>) -> Option<Vec<u8>> {
        self.recorder.contactless_command(self.now, &command);
        if self.outside.by.is_some() {
            let answer = self.through_carrier(&command)?;
            self.recorder.contactless_answer(self.now, &answer);
            return Some(answer);
        }
        self.band.handle(self.now, BandInput::Contactless(command));
        let mut answer = None;
        loop {
            match self.band.poll() {
                BandOutput::Contactless(bytes) => answer = Some(bytes),
                BandOutput::Wait(until) => {
                    self.band_wait = until;
                    break;
                }
                _ => {}
            }
        }
        if let Some(answer) = &answer {
            self.recorder.contactless_answer(self.now, answer);
        }
        answer
    }
}
