//! One loop over all that happens while the world is there. What it does first when several things have happened is part of
//! its correctness: who is connected, then what the band says, then what is asked, in its order, then what comes by socket.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use core::time::Duration;

use bluer::adv::AdvertisementHandle;
use bluer::gatt::local::ReqError;
use bluer::{AdapterEvent, AdapterProperty, Address, Device, DeviceEvent, DeviceProperty};
use futures::stream::{BoxStream, SelectAll, StreamExt};
use tokio::net::UnixDatagram;
use tokio::sync::{mpsc, oneshot};

use super::application::{Acquire, Answer, Application, Ask, Asked, Direction, What};
use super::claim::Claim;
use super::socket::{Notifications, Values};
use super::table::{self, Difference, req_error};
use super::world::{BluezError, World, disconnect, refused};
use super::{Edge, Notice, stop_asked};
use crate::band::profile::BandProfile;
use crate::band::{Input, Output, WriteMode};
use crate::wire::gatt::{AttError, CharacteristicId, Handle, Profile, Property};

/// MTU before any exchange (Core 5.4 vol 3 part F 3.2.8).
const DEFAULT_MTU: u16 = 23;
/// Questions that have come and wait for the band; more are answered with an error.
const MAX_ASKS_QUEUED: usize = 4096;
/// Comings and goings that wait.
const MAX_PRESENCE_QUEUED: usize = 64;
/// Write sockets of the NFC channel at a time. BlueZ opens a second one when two writes come before the first is open.
const MAX_WRITE_SOCKETS: usize = 8;
/// A virtual controller advertises once to each who listens, at the moment when the one or the other begins; for whoever listens
/// longer it begins so often anew.
const ADVERTISE_ANEW: Duration = Duration::from_secs(1);
/// What each step of the good-bye is given when the band stops: the phone to be gone, the adapter to have its name back.
const FAREWELL: Duration = Duration::from_secs(3);

/// A device has connected, or it is gone.
type Presence = ([u8; 6], bool);

/// Everything that lasts until the world breaks.
pub(super) struct Serve {
    world: World,
    adapter_events: BoxStream<'static, AdapterEvent>,
    is_virtual: bool,
    nfc_channel: Option<Handle>,
    /// What takes write requests, as the profile has it; everything else takes commands.
    by_request: BTreeSet<Handle>,
    /// In the order in which it came: a phone that asks before it subscribes is not told.
    asked: mpsc::Receiver<(Asked, Answer)>,
    presence: mpsc::Receiver<Presence>,
    present: mpsc::Sender<Presence>,
    /// Who follows which device. One whose sender is dropped ends; it would go on for ever, and keep a connection to the bus for that.
    watchers: BTreeMap<[u8; 6], oneshot::Sender<()>>,
    closed: mpsc::Receiver<(Handle, u64)>,
    close: mpsc::Sender<(Handle, u64)>,
    phone: Option<Phone>,
    /// What is written to the NFC channel.
    writes: SelectAll<Values<UnixDatagram>>,
    notifications: BTreeMap<Handle, Notifications>,
    subscriptions: u64,
    /// From here on the handles are the profile's.
    kept_from: Option<Handle>,
    /// Whether the manufacturer data is advertised.
    manufacturer_data: bool,
    advertisement: Option<AdvertisementHandle>,
    /// On a connection of its own: with it beside the advertisement bluetoothd would read all of the table whenever the band begins to
    /// advertise.
    _application: Application,
}

/// The device that the band is connected to.
struct Phone {
    device: [u8; 6],
    mtu: u16,
}

impl Serve {
    /// Sets the adapter up, registers the table, advertises. Returns the band's address as well. `broken` is why it does not go on
    /// with what it had.
    pub(super) async fn begin(edge: &mut Edge, broken: Option<&BluezError>) -> Result<(Self, [u8; 6]), BluezError> {
        let world = match broken {
            // Whoever has switched it off has a reason, and switches it on again.
            Some(BluezError::SwitchedOff { .. }) => World::open_switched_on(&edge.config.adapter).await?,
            _ => World::open(&edge.config.adapter).await?,
        };
        Claim::keep(&mut edge.claim, &world).await?;
        let silent = world.until_silent();
        tokio::select! {
            begun = Self::begin_in(world, edge) => begun,
            () = silent => Err(BluezError::cut()),
        }
    }

    async fn begin_in(world: World, edge: &mut Edge) -> Result<(Self, [u8; 6]), BluezError> {
        world.power_on().await?;
        let adapter_events = world.adapter_events().await?;
        let profile = edge.band.inspect(|band| band.profile().clone());
        let name = profile.identity.name.value.clone();
        // After a recovery the adapter has the band's name already, and so it has after a band that was killed: no name is its own one.
        if edge.old_alias.is_none() {
            edge.old_alias = world.adapter().alias().await.ok().filter(|alias| *alias != name);
        }
        world.adapter().set_alias(name).await.map_err(|error| refused("take the band's name", &error))?;

        let (asking, asked) = mpsc::channel(MAX_ASKS_QUEUED);
        let (application, kept_from) = register(&world, &profile.gatt, &asking).await?;
        let (present, presence) = mpsc::channel(MAX_PRESENCE_QUEUED);
        let (close, closed) = mpsc::channel(MAX_PRESENCE_QUEUED);
        let address = world.address();
        let mut serve = Self {
            adapter_events,
            is_virtual: is_virtual(world.adapter().name()),
            nfc_channel: profile.gatt.value_handle(&CharacteristicId::NFC_CHANNEL),
            by_request: by_request(&profile.gatt),
            asked,
            presence,
            present,
            watchers: BTreeMap::new(),
            closed,
            close,
            phone: None,
            writes: SelectAll::new(),
            notifications: BTreeMap::new(),
            subscriptions: 0,
            kept_from,
            manufacturer_data: with_manufacturer_data(&world, &profile).await,
            advertisement: None,
            _application: application,
            world,
        };
        for device in serve.world.adapter().device_addresses().await.unwrap_or_default() {
            serve.watch(device);
        }
        serve.advertise(edge).await?;
        (edge.notices)(serve.serving());
        Ok((serve, address))
    }

    /// Serves until the band is stopped or the world breaks; leaves the band without a phone.
    pub(super) async fn run(mut self, edge: &mut Edge) -> Result<(), BluezError> {
        let (mut stopped, silent) = (edge.stopped.clone(), self.world.until_silent());
        let ended = tokio::select! {
            biased;
            () = stop_asked(&mut stopped) => Ok(()),
            ended = self.serve_and_name(edge) => ended,
            // Whatever waits for an answer would wait for ever.
            () = silent => Err(self.world.why_cut().await),
        };
        let phone = self.phone.as_ref().map(|phone| phone.device);
        self.end_session(edge);
        if ended.is_ok() {
            self.advertisement = None;
            // None of it is worth waiting for a world that does not answer.
            if let Some(device) = phone {
                let _ = tokio::time::timeout(FAREWELL, disconnect(self.world.adapter().clone(), device)).await;
            }
            let old_alias = edge.old_alias.take().unwrap_or_default();
            let _ = tokio::time::timeout(FAREWELL, self.world.adapter().set_alias(old_alias)).await;
        }
        ended
    }

    async fn serve_and_name(&mut self, edge: &mut Edge) -> Result<(), BluezError> {
        match self.serve(edge).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.world.named(error).await),
        }
    }

    async fn serve(&mut self, edge: &mut Edge) -> Result<(), BluezError> {
        let mut anew = tokio::time::interval(ADVERTISE_ANEW);
        anew.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut manufacturer_data = self.manufacturer_data;
        loop {
            if core::mem::replace(&mut manufacturer_data, self.manufacturer_data) != self.manufacturer_data {
                (edge.notices)(self.serving());
            }
            tokio::select! {
                biased;
                error = self.world.gone() => return Err(error),
                event = self.adapter_events.next() => self.handle_adapter(event).await?,
                Some((device, here)) = self.presence.recv() => {
                    if here {
                        self.admit(edge, device);
                    } else if self.is_session(device) {
                        self.end_session(edge);
                    }
                    self.advertise(edge).await?;
                    // It has just begun.
                    anew.reset();
                }
                Some((handle, number)) = self.closed.recv() => self.handle_closed(edge, handle, number),
                Some(output) = edge.outputs.recv() => self.handle_output(edge, output),
                asked = self.asked.recv() => match asked {
                    Some((Asked::Acquire(acquire), answer)) => self.handle_acquire(edge, &acquire, answer),
                    Some((Asked::Ask(ask), answer)) => self.handle_ask(edge, ask, answer),
                    // The table is gone with its connection.
                    None => return Err(self.world.why_cut().await),
                },
                Some(value) = self.writes.next() => {
                    if let Some(handle) = self.nfc_channel {
                        let _ = edge.band.write(handle, value, WriteMode::Command);
                    }
                }
                Ok(()) = edge.wish.changed() => {
                    let wish = *edge.wish.borrow_and_update();
                    if !wish.linked {
                        self.send_away();
                    }
                    self.advertise(edge).await?;
                }
                _ = anew.tick(), if self.is_virtual && self.phone.is_none() => {
                    // The new one is there before the old one goes.
                    let old = self.advertisement.take();
                    self.advertise(edge).await?;
                    drop(old);
                }
            }
        }
    }

    async fn handle_adapter(&mut self, event: Option<AdapterEvent>) -> Result<(), BluezError> {
        match event {
            Some(AdapterEvent::DeviceAdded(device)) => self.watch(device),
            Some(AdapterEvent::DeviceRemoved(device)) => drop(self.watchers.remove(&device.0)),
            Some(AdapterEvent::PropertyChanged(AdapterProperty::Powered(false))) => {
                return Err(self.world.why_off().await);
            }
            Some(_) => {}
            // What ends with its connection.
            None => return Err(self.world.why_cut().await),
        }
        Ok(())
    }

    /// Tells when this device comes and goes, until its object does.
    fn watch(&mut self, address: Address) {
        let Ok(device) = self.world.adapter().device(address) else { return };
        let (watcher, removed) = oneshot::channel();
        let present = self.present.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = watch(device, &present) => {}
                _ = removed => {}
            }
            let _ = present.send((address.0, false)).await;
        });
        self.watchers.insert(address.0, watcher);
    }

    fn is_session(&self, device: [u8; 6]) -> bool {
        self.phone.as_ref().is_some_and(|phone| phone.device == device)
    }

    /// Whether the device that asks something is the band's phone.
    fn admit_asking(&mut self, edge: &mut Edge, device: [u8; 6]) -> bool {
        let was_free = self.phone.is_none();
        let is_ours = self.admit(edge, device);
        if was_free && is_ours {
            self.look_after(device);
        }
        is_ours
    }

    /// What is asked and who is there come by connections of their own: what one asked that has left may come after that it has.
    fn look_after(&self, device: [u8; 6]) {
        let (adapter, present) = (self.world.adapter().clone(), self.present.clone());
        tokio::spawn(async move {
            let is_there = match adapter.device(Address(device)) {
                Ok(device) => device.is_connected().await.unwrap_or(false),
                Err(_) => false,
            };
            if !is_there {
                let _ = present.send((device, false)).await;
            }
        });
    }

    /// Whether the device is the band's phone; the first that comes becomes it.
    fn admit(&mut self, edge: &mut Edge, device: [u8; 6]) -> bool {
        if self.phone.is_none() {
            self.phone = Some(Phone { device, mtu: DEFAULT_MTU });
            edge.band.input(Input::Connected { mtu: DEFAULT_MTU });
            (edge.notices)(Notice::Connected { device });
        }
        if self.is_session(device) {
            return true;
        }
        // Whatever may be in its sockets: from now on each write has to say whose it is.
        self.writes.clear();
        tokio::spawn(disconnect(self.world.adapter().clone(), device));
        (edge.notices)(Notice::TurnedAway { device });
        false
    }

    fn end_session(&mut self, edge: &mut Edge) {
        self.writes.clear();
        self.notifications.clear();
        if let Some(phone) = self.phone.take() {
            edge.band.input(Input::Disconnected);
            (edge.notices)(Notice::Disconnected { device: phone.device });
        }
    }

    /// Disconnects the phone; the session ends when it is gone.
    fn send_away(&self) {
        if let Some(phone) = &self.phone {
            tokio::spawn(disconnect(self.world.adapter().clone(), phone.device));
        }
    }

    fn learn_mtu(&mut self, edge: &Edge, mtu: Option<u16>) {
        if let (Some(phone), Some(mtu)) = (&mut self.phone, mtu)
            && phone.mtu != mtu
        {
            phone.mtu = mtu;
            edge.band.input(Input::MtuChanged(mtu));
        }
    }

    fn handle_acquire(&mut self, edge: &mut Edge, acquire: &Acquire, answer: Answer) {
        let is_ours = self.admit_asking(edge, acquire.device);
        if acquire.direction == Direction::Writes && !(is_ours && self.writes.len() < MAX_WRITE_SOCKETS) {
            return answer.error(ReqError::NotPermitted);
        }
        let Ok(socket) = answer.socket(acquire) else { return };
        // A subscription that is refused bluetoothd counts all the same, and asks for none the next time; one that ends it takes back.
        if !is_ours {
            return;
        }
        match acquire.direction {
            Direction::Writes => {
                self.learn_mtu(edge, Some(acquire.mtu));
                self.writes.push(Values::new(socket));
            }
            Direction::Notifications => {
                self.subscriptions += 1;
                let (handle, number) = (acquire.handle, self.subscriptions);
                let notifications = Notifications::start(socket, handle, number, self.close.clone());
                self.notifications.insert(handle, notifications);
                let _ = edge.band.subscribe(handle, true);
            }
        }
    }

    fn handle_closed(&mut self, edge: &Edge, handle: Handle, number: u64) {
        if self.notifications.get(&handle).is_some_and(|notifications| notifications.number == number) {
            self.notifications.remove(&handle);
            let _ = edge.band.subscribe(handle, false);
        }
    }

    fn handle_ask(&mut self, edge: &mut Edge, ask: Ask, answer: Answer) {
        let Ask { device, mtu, handle, offset, what } = ask;
        if !self.admit_asking(edge, device) {
            return answer.error(ReqError::NotPermitted);
        }
        self.learn_mtu(edge, mtu);
        match what {
            What::Read => {
                let part = edge.band.read(handle).and_then(|mut value| {
                    let offset = usize::from(offset);
                    if offset > value.len() { Err(AttError::InvalidOffset) } else { Ok(value.split_off(offset)) }
                });
                match part {
                    Ok(part) => answer.value(part),
                    Err(error) => answer.error(req_error(error)),
                }
            }
            // BlueZ puts a long write together; a part of one comes from nowhere.
            What::Write(_) if offset > 0 => answer.error(ReqError::InvalidOffset),
            What::Write(value) => {
                // bluetoothd 5.66 does not say in which way it was written.
                let mode = if self.by_request.contains(&handle) { WriteMode::Request } else { WriteMode::Command };
                match edge.band.write(handle, value, mode) {
                    Ok(()) => answer.done(),
                    Err(error) => answer.error(req_error(error)),
                }
            }
        }
    }

    fn handle_output(&mut self, edge: &mut Edge, output: Output) {
        match output {
            Output::Notify { handle, value } => {
                let sent = self.notifications.get(&handle).is_none_or(|notifications| notifications.notify(value));
                let lost = edge.lost.swap(0, Ordering::Relaxed) + u64::from(!sent);
                if lost > 0 {
                    (edge.notices)(Notice::Lost { notifications: lost });
                }
            }
            Output::Disconnect => self.send_away(),
            _ => {}
        }
    }

    /// Advertises when the band does, and not when it does not.
    async fn advertise(&mut self, edge: &Edge) -> Result<(), BluezError> {
        let wanted = edge.band.inspect(|band| band.advertising().is_some());
        if !wanted {
            self.advertisement = None;
        } else if self.advertisement.is_none() {
            let mut advertised = self.try_to_advertise(edge).await;
            if advertised.is_err() && self.manufacturer_data {
                self.manufacturer_data = false;
                advertised = self.try_to_advertise(edge).await;
            }
            self.advertisement = Some(advertised.map_err(|error| refused("advertise", &error))?);
        }
        Ok(())
    }

    async fn try_to_advertise(&self, edge: &Edge) -> bluer::Result<AdvertisementHandle> {
        let (address, with) = (self.world.address(), self.manufacturer_data);
        let advertisement = edge.band.inspect(|band| table::advertisement(band.profile(), address, with));
        self.world.adapter().advertise(advertisement).await
    }

    fn serving(&self) -> Notice {
        let (adapter, address) = (self.world.adapter().name().into(), self.world.address());
        Notice::Serving { adapter, address, differences: self.differences() }
    }

    fn differences(&self) -> Vec<Difference> {
        let handles = Difference::Handles { kept_from: self.kept_from };
        let mut differences = Vec::from([Difference::OwnServices, handles]);
        differences.extend([Difference::WriteModes, Difference::LongWrites, Difference::Errors]);
        if !self.manufacturer_data {
            differences.push(Difference::ManufacturerData);
        }
        differences
    }
}

/// Whether to advertise the manufacturer data at all. An adapter without extended advertising refuses what is too long; on another one
/// it would be said, and not everybody would hear it.
async fn with_manufacturer_data(world: &World, profile: &BandProfile) -> bool {
    let capabilities = world.adapter().supported_advertising_capabilities().await.ok().flatten();
    let most = capabilities.map_or(usize::MAX, |found| usize::from(found.max_advertisement_length));
    most <= table::MAX_ADVERTISING_BYTES || table::is_heard_by_all(profile)
}

/// Registers the table with as many of the profile's handles as bluetoothd has room for; returns from which one on.
async fn register(
    world: &World,
    profile: &Profile,
    asking: &mpsc::Sender<(Asked, Answer)>,
) -> Result<(Application, Option<Handle>), BluezError> {
    let mut wishes = table::wishes(profile);
    loop {
        let kept_from = wishes.next().flatten();
        let objects = table::served(profile, kept_from);
        if let Some(application) = Application::register(world.adapter().name(), objects, asking.clone()).await? {
            return Ok((application, kept_from));
        }
    }
}

/// Whether no hardware is behind the adapter, as the kernel has it.
fn is_virtual(adapter: &str) -> bool {
    let device = std::fs::read_link(std::path::Path::new("/sys/class/bluetooth").join(adapter));
    device.is_ok_and(|device| device.components().any(|part| part.as_os_str() == "virtual"))
}

fn by_request(profile: &Profile) -> BTreeSet<Handle> {
    profile.characteristics().filter(|(_, found)| found.has(Property::Write)).map(|(_, found)| found.handle).collect()
}

async fn watch(device: Device, present: &mpsc::Sender<Presence>) -> bluer::Result<()> {
    let address = device.address().0;
    let mut events = device.events().await?.boxed();
    if device.is_connected().await? {
        let _ = present.send((address, true)).await;
    }
    while let Some(DeviceEvent::PropertyChanged(property)) = events.next().await {
        if let DeviceProperty::Connected(here) = property {
            let _ = present.send((address, here)).await;
        }
    }
    Ok(())
}
