//! The device: a phone on one side, a reader on the other, a wearer on top, a secure element inside.
//!
//! # Driving it
//!
//! A [`Band`] does nothing by itself. Whoever drives it says what happened and when, [`Band::handle`], and then drains
//! what the band does about it, [`Band::poll`], until it answers [`Output::Wait`]. `Wait` names the instant at which the
//! band wants to be woken with [`Input::Tick`], if there is one. Inputs and outputs are plain data; the same profile, seed
//! and inputs give the same outputs.
//!
//! ```
//! use std::sync::Arc;
//! use band_sim::band::{Band, Input, Output, WriteMode, profile::BandProfile};
//! use band_sim::{rng::Rng, time::Instant, wire::gatt::CharacteristicId};
//!
//! let file = include_str!("../../../fixtures/profiles/mi-smart-band-4-nfc.yaml");
//! let profile: Arc<BandProfile> = Arc::new(serde_yaml::from_str(file).unwrap());
//! let auth = profile.gatt.value_handle(&CharacteristicId::AUTH).unwrap();
//! let mut band = Band::new(profile, Rng::new(1), 1_592_265_600_000_000);
//!
//! // One closure drives the band: what happened in, everything it did out.
//! let mut drive = |input| {
//!     band.handle(Instant::ZERO, input);
//!     std::iter::from_fn(|| match band.poll() {
//!         Output::Wait(_) => None,
//!         output => Some(output),
//!     })
//!     .collect::<Vec<_>>()
//! };
//!
//! drive(Input::Connected { mtu: 23 });
//! assert_eq!(drive(Input::Subscribe { handle: auth, on: true }), [Output::WriteReply(Ok(()))]);
//!
//! // A fresh band has no key: asked for a random number it answers `10 02 04`, failed.
//! let ask = Input::Write { handle: auth, value: vec![0x02, 0x00], mode: WriteMode::Command };
//! assert_eq!(drive(ask), [Output::Notify { handle: auth, value: vec![0x10, 0x02, 0x04] }]);
//! ```
//!
//! # A tour
//!
//! `attributes` lets bytes in and turns them into events; `session` decides, in one match over state and event; `pairing`,
//! `channel`, `health` and `device` do what it says; `settings` and the secure element keep what must survive; `wallet` is the card
//! list on the display, read from the secure element alone.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::card::{Card, Interface};
use crate::rng::Rng;
use crate::time::{Instant, Timers};
use crate::wire::advertising::{self, AdStructure};
use crate::wire::frame::battery::Battery;
use crate::wire::frame::config::SettingId;
use crate::wire::frame::event::DeviceEvent;
use crate::wire::frame::{chunked, nfc_channel};
use crate::wire::gatt::{CharacteristicId, Handle};

pub mod air;
mod attributes;
mod channel;
mod device;
mod fault;
mod health;
mod image;
mod io;
pub mod pairing;
pub mod period;
pub mod profile;
mod session;
mod settings;
#[cfg(test)]
mod tests;
mod wallet;

pub use fault::Memory;
pub use image::MemoryImage;
pub use io::{BandEvent, Button, Display, Input, Output, Refused, WriteMode};
pub use wallet::{CardEntry, CardState};

use profile::BandProfile;
use session::{Event, State};
use settings::Settings;
use wallet::Wallet;

/// Outputs nobody has drained; past it new ones are lost, as notifications are when nobody listens.
const MAX_OUTPUTS_QUEUED: usize = 8192;

/// A band. Clones run on alike.
#[derive(Clone)]
pub struct Band {
    profile: Arc<BandProfile>,
    handles: Handles,
    epoch_unix_us: i64,
    rng: Rng,
    card: Card,
    settings: Settings,
    wallet: Wallet,
    state: State,
    link: Option<Link>,
    reader: Interface,
    field: bool,
    battery: Battery,
    /// What was written to characteristics that are just memory. At most one value each.
    values: BTreeMap<Handle, Vec<u8>>,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
}

/// What belongs to one connection and ends with it.
#[derive(Clone, Debug)]
struct Link {
    mtu: u16,
    /// What the phone takes it for: the one it had at first, or the last that it was told.
    known_mtu: u16,
    subscriptions: BTreeSet<Handle>,
    transfer: chunked::Assembler,
    command: nfc_channel::Assembler,
}

/// Where the band notifies by itself; `None` where a profile has no such characteristic.
#[derive(Clone, Copy, Debug)]
struct Handles {
    auth: Option<Handle>,
    config: Option<Handle>,
    chunked: Option<Handle>,
    nfc_channel: Option<Handle>,
    event: Option<Handle>,
    battery: Option<Handle>,
    firmware: Option<Handle>,
    fetch: Option<Handle>,
    heart_rate: Option<Handle>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Fires when the wearer has not answered the question about pairing.
    PairingConfirm,
    /// Fires when an open channel was not used.
    ChannelIdle,
    /// Fires when the next fragment of a command has not come.
    FragmentStalled,
    /// Fires when a measurement of the heart rate is done.
    HeartRate,
    /// Fires when the phone has not said for long that it still listens to the heart rate. Set while measurements go on and on.
    NobodyListens,
}

impl Band {
    /// A band as it leaves the factory, switched on. `epoch_unix_us` is where [`Instant::ZERO`] lies in the calendar,
    /// microseconds since 1970-01-01 UTC.
    #[must_use]
    pub fn new(profile: Arc<BandProfile>, seed: Rng, epoch_unix_us: i64) -> Self {
        let card = Card::new(&profile.secure_element, seed.fork("secure element"));
        let settings = Settings::new(seed.fork("device memory"));
        let mut wallet = Wallet::default();
        wallet.refresh(&card, &settings);
        Self {
            handles: Handles::of(&profile),
            epoch_unix_us,
            rng: seed.fork("authentication"),
            card,
            settings,
            wallet,
            state: State::Disconnected,
            link: None,
            reader: Interface::Contactless,
            field: false,
            battery: profile.battery.value,
            values: BTreeMap::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            profile,
        }
    }

    /// The same band behind a reader of this kind: [`Interface::Contactless`], as it is made, or [`Interface::Contact`].
    ///
    /// Over contacts [`Input::Field`] means that the reader gives power (on) or takes it (off, and everything volatile of
    /// the session with it), and [`Input::Contactless`] brings a command over the contacts; its answer is
    /// [`Output::Contactless`] all the same. A warm reset is off and on. The card then answers `FF CA` with 6A81, has the
    /// directory `1PAY.SYS.DDF01` instead of `2PAY.SYS.DDF01`, and its applications behave as contact EMV has it.
    /// [`Interface::Wired`] is no reader and leaves the band as it was.
    #[must_use]
    pub fn behind_reader(mut self, interface: Interface) -> Self {
        if interface != Interface::Wired {
            self.reader = interface;
        }
        self
    }

    /// Something happened at `now`. What the band does about it comes out of [`Band::poll`].
    pub fn handle(&mut self, now: Instant, input: Input) {
        while let Some(timer) = self.timers.pop_due(now) {
            self.handle_event(now, timer.event());
        }
        match input {
            Input::Connected { mtu } => self.handle_event(now, Event::Connected { mtu }),
            Input::Disconnected => self.handle_event(now, Event::Disconnected),
            Input::MtuChanged(mtu) => self.link.iter_mut().for_each(|link| link.mtu = mtu),
            Input::Subscribe { handle, on } => {
                let reply = self.subscribe(handle, on);
                self.push(Output::WriteReply(reply));
            }
            Input::Read { handle } => {
                let reply = self.read(now, handle);
                self.push(Output::ReadReply(reply));
            }
            Input::Write { handle, value, mode } => self.handle_write(now, handle, &value, mode),
            Input::Button(Button::Confirm) => self.handle_event(now, Event::Confirm),
            Input::Button(Button::Deny) => self.handle_event(now, Event::Deny),
            Input::Button(Button::FactoryReset) => self.handle_event(now, Event::ResetButton),
            Input::Field { on } => self.handle_field(now, on),
            Input::Contactless(apdu) => self.handle_contactless(now, &apdu),
            Input::Battery { level, charging } => self.set_battery(now, level, charging),
            Input::PowerLost => self.handle_event(now, Event::PowerLost),
            Input::PowerOn => self.handle_event(now, Event::PowerOn),
            Input::Tick => {}
        }
        self.announce_mtu();
    }

    /// The next thing the band does; [`Output::Wait`] when there is nothing more.
    pub fn poll(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Wait(self.timers.next()))
    }

    /// What a scanner hears now: advertising data and scan response, at most 31 bytes each. `None` while it is silent.
    #[must_use]
    pub fn advertising(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let also_connected = self.settings.setting(SettingId::ADVERTISE_WHEN_CONNECTED) == Some(&[1]);
        if self.state == State::Off || (self.is_linked() && !also_connected) {
            return None;
        }
        let (advertising, identity) = (&self.profile.advertising, &self.profile.identity);
        let structure = |kind, data| AdStructure { kind, data };
        let company = advertising.company.value.to_le_bytes();
        let manufacturer = [&company[..], &advertising.manufacturer_prefix.value, &identity.address()].concat();
        let services = advertising.services.value.iter().flat_map(|uuid| uuid.to_le_bytes()).collect();
        let data = [
            structure(AdStructure::FLAGS, Vec::from([advertising.flags.value])),
            structure(AdStructure::MANUFACTURER, manufacturer),
        ];
        let response = [
            structure(AdStructure::SERVICES_16, services),
            structure(AdStructure::NAME, identity.name.value.clone().into_bytes()),
        ];
        Some((advertising::encode(&data), advertising::encode(&response)))
    }

    /// The secure element, for looking at.
    #[must_use]
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The cards as the display shows them, in order.
    #[must_use]
    pub fn card_list(&self) -> Vec<CardEntry> {
        self.wallet.cards().to_vec()
    }

    /// Whether it lies in a reader's field.
    #[must_use]
    pub const fn is_in_field(&self) -> bool {
        self.field
    }

    /// What kind of band it is.
    #[must_use]
    pub fn profile(&self) -> &BandProfile {
        &self.profile
    }

    /// For events nobody waits on an answer for.
    fn handle_event(&mut self, now: Instant, event: Event) {
        if let Err(refused) = self.step(now, event) {
            self.push(Output::Event(BandEvent::Refused(refused)));
        }
    }

    fn handle_write(&mut self, now: Instant, handle: Handle, value: &[u8], mode: WriteMode) {
        let result = self.write(now, handle, value, mode);
        // A write without response has none, and a link that went down in it cannot carry one.
        if mode == WriteMode::Request && (self.is_linked() || result.is_err()) {
            self.push(Output::WriteReply(result));
        }
    }

    /// A new MTU is told as soon as somebody listens: the exchange comes before any subscription, and clients stay at 23 until they
    /// are told (facts of Gadgetbridge's client).
    fn announce_mtu(&mut self) {
        let Some(link) = self.link.as_mut() else { return };
        let listens = self.handles.event.is_some_and(|event| link.subscriptions.contains(&event));
        if listens && link.known_mtu != link.mtu {
            link.known_mtu = link.mtu;
            let event = DeviceEvent::Mtu(link.mtu);
            self.notify_event(&event);
        }
    }

    fn handle_field(&mut self, now: Instant, on: bool) {
        self.field = on;
        if on {
            self.handle_event(now, Event::FieldOn);
        } else {
            self.card.reset(self.reader);
        }
    }

    fn handle_contactless(&mut self, now: Instant, apdu: &[u8]) {
        if self.state == State::Off || !self.field {
            return;
        }
        let answer = self.card.handle_bytes(self.reader, apdu);
        if !self.card.is_powered() {
            return self.handle_event(now, Event::PowerLost);
        }
        self.push(Output::Contactless(answer));
    }

    fn connect(&mut self, mtu: u16) {
        self.drop_link();
        let channel = &self.profile.nfc_channel;
        self.link = Some(Link {
            mtu,
            known_mtu: mtu,
            subscriptions: BTreeSet::new(),
            transfer: chunked::Assembler::new(usize::from(self.profile.chunked.max_payload_bytes.value)),
            command: nfc_channel::Assembler::new(channel.framing(), usize::from(channel.max_apdu_bytes.value)),
        });
        self.state = State::Unauthenticated;
    }

    fn drop_link(&mut self) {
        if matches!(self.state, State::AwaitingConfirm(_)) {
            self.push(Output::Display(Display::Idle));
        }
        if self.state.is_channel_open() {
            self.end_channel(nfc_channel::Status::Success);
        }
        self.timers.clear_all();
        self.link = None;
        self.state = State::Disconnected;
    }

    fn notify(&mut self, handle: Option<Handle>, value: Vec<u8>) {
        let subscribed = |handle: &Handle| self.link.as_ref().is_some_and(|link| link.subscriptions.contains(handle));
        if let Some(handle) = handle.filter(subscribed) {
            self.push(Output::Notify { handle, value });
        }
    }

    fn push(&mut self, output: Output) {
        if self.outputs.len() < MAX_OUTPUTS_QUEUED {
            self.outputs.push_back(output);
        }
    }
}

impl fmt::Debug for Band {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Band")
            .field("state", &self.state)
            .field("link", &self.link)
            .field("field", &self.field)
            .field("cards", &self.wallet.cards())
            .finish_non_exhaustive()
    }
}

impl Handles {
    fn of(profile: &BandProfile) -> Self {
        let handle = |id| profile.gatt.value_handle(&id);
        Self {
            auth: handle(CharacteristicId::AUTH),
            config: handle(CharacteristicId::CONFIG),
            chunked: handle(CharacteristicId::CHUNKED),
            nfc_channel: handle(CharacteristicId::NFC_CHANNEL),
            event: handle(CharacteristicId::DEVICE_EVENT),
            battery: handle(CharacteristicId::BATTERY),
            firmware: handle(CharacteristicId::FIRMWARE_CONTROL),
            fetch: handle(CharacteristicId::FETCH_CONTROL),
            heart_rate: handle(CharacteristicId::HEART_RATE_MEASUREMENT),
        }
    }
}

impl Timer {
    const fn event(self) -> Event {
        match self {
            Self::PairingConfirm => Event::ConfirmTimeout,
            Self::ChannelIdle | Self::FragmentStalled => Event::ChannelTimeout,
            Self::HeartRate => Event::HeartRateMeasured,
            Self::NobodyListens => Event::NobodyListens,
        }
    }
}
