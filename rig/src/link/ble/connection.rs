//! A connected band: its characteristics by name, requests, writes, notifications.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use band_sim::edge::bluez::socket::{Values, send_value};
use band_sim::edge::bluez::world::{Objects, World, disconnect};
use band_sim::wire::gatt::{AttError, CharacteristicId, Uuid};
use bluer::gatt::remote::{Characteristic, CharacteristicWriteRequest};
use bluer::gatt::{CharacteristicWriter, WriteOp};
use bluer::{Address, Device, DeviceEvent, DeviceProperty, ErrorKind};
use dbus::arg::{PropMap, prop_cast};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{BleError, Config, HangUp};
use crate::phone::io::LinkEvent;

/// MTU before any exchange (Core 5.4 vol 3 part F 3.2.8).
const DEFAULT_MTU: u16 = 23;
/// Bytes of a write command that are not its value (Core 5.4 vol 3 part F 3.4.5.3).
const WRITE_HEADER_BYTES: usize = 3;
/// The field's clients try a connection again that fails at once.
const MAX_ATTEMPTS: usize = 3;
/// How often a call is tried again where there was a socket just now, and what lies between.
const MAX_TRIES_AFTER_SOCKET: usize = 100;
const TRY_AGAIN: Duration = Duration::from_millis(5);

/// Writes without response that nothing has answered yet.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    /// One more; how many there are now.
    pub(super) fn sent(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The band has said something: one of them, at least, it has taken.
    fn answered(&self) {
        // Nothing but zero is refused.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |sent| sent.checked_sub(1));
    }

    /// All of them have arrived.
    pub(super) fn arrived(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// The link to the band.
pub(super) struct Connection {
    pub(super) device: Device,
    pub(super) address: [u8; 6],
    pub(super) mtu: u16,
    characteristics: BTreeMap<CharacteristicId, Characteristic>,
    writers: BTreeMap<CharacteristicId, CharacteristicWriter>,
    changes: BoxStream<'static, DeviceEvent>,
    /// One task per subscription.
    listeners: JoinSet<()>,
    /// Nobody listens any more.
    hung_up: Arc<AtomicBool>,
}

impl Connection {
    /// Connects a band that was heard and learns what it has.
    pub(super) async fn open(world: &World, address: Address, config: &Config) -> Result<Self, BleError> {
        let device = connected(world, address, config).await?;
        let opened = Self::resolve(world, device, address, config).await;
        if opened.is_err() {
            // A link of which nothing is known would keep the band from being heard.
            disconnect(world.adapter().clone(), address.0).await;
        }
        opened
    }

    async fn resolve(world: &World, device: Device, address: Address, config: &Config) -> Result<Self, BleError> {
        let unresolved = || BleError::NotResolved { address: address.0 };
        let changes = device.events().await.map_err(|_| unresolved())?.boxed();
        timeout(config.deadlines.resolve, resolved(&device)).await.map_err(|_| unresolved())?.ok_or_else(unresolved)?;
        let objects = world.objects().await?;
        let (characteristics, mtu) = table(&device, &objects).await.map_err(|_| unresolved())?;
        Ok(Self {
            device,
            address: address.0,
            mtu,
            characteristics,
            writers: BTreeMap::new(),
            changes,
            listeners: JoinSet::new(),
            hung_up: Arc::default(),
        })
    }

    /// Returns when the link is gone.
    pub(super) async fn gone(&mut self) {
        while let Some(DeviceEvent::PropertyChanged(property)) = self.changes.next().await {
            if matches!(property, DeviceProperty::Connected(false)) {
                return;
            }
        }
    }

    /// Drops the link and waits until it is gone.
    pub(super) async fn close(mut self, world: &World, within: Duration, hang_up: HangUp) {
        self.hung_up.store(true, Ordering::Relaxed);
        if hang_up == HangUp::RadioOff && self.switch_off(world, within).await {
            return;
        }
        self.listeners.abort_all();
        self.writers.clear();
        let gone = async {
            disconnect(world.adapter().clone(), self.address).await;
            // Its object goes with it, and with that the events.
            if self.device.is_connected().await.unwrap_or(false) {
                self.gone().await;
            }
        };
        let _ = timeout(within, gone).await;
    }

    /// Switches the radio off while nothing is on its way. A controller of `btvirt` is woken for what the kernel sends, and when that was
    /// taken back meanwhile, as it is when the adapter goes off, it never listens again. So what was sent arrives first, and no socket is
    /// closed: bluetoothd would unsubscribe, one characteristic after the other.
    async fn switch_off(&self, world: &World, within: Duration) -> bool {
        let _ = timeout(within, self.ping()).await;
        matches!(timeout(within, world.adapter().set_powered(false)).await, Ok(Ok(())))
    }

    pub(super) async fn read(&self, id: CharacteristicId) -> Result<Vec<u8>, AttError> {
        self.characteristic(id)?.read().await.map_err(|error| att_error(&error, AttError::ReadNotPermitted))
    }

    pub(super) async fn write(&mut self, id: CharacteristicId, value: &[u8]) -> Result<(), AttError> {
        self.write_without_socket(id, value, WriteOp::Request).await
    }

    /// A write without response; one that cannot be sent is lost, as on the air.
    pub(super) async fn write_command(&mut self, id: CharacteristicId, value: &[u8]) {
        // A socket takes no value of no bytes, and none that is longer than a packet.
        let fits = !value.is_empty() && value.len() + WRITE_HEADER_BYTES <= usize::from(self.mtu);
        let writer = if fits { self.writer(id).await } else { None };
        match writer {
            Some(writer) => {
                if !send_value(writer, value).await {
                    self.writers.remove(&id);
                }
            }
            None => drop(self.write_without_socket(id, value, WriteOp::Command).await),
        }
    }

    /// Subscribes; from then on the band's notifications are events.
    pub(super) async fn subscribe(
        &mut self,
        id: CharacteristicId,
        events: &SyncSender<LinkEvent>,
        in_flight: InFlight,
    ) -> Result<(), AttError> {
        let reader = self.characteristic(id)?.notify_io().await;
        let mut values = Values::new(reader.map_err(|error| att_error(&error, AttError::WriteNotPermitted))?);
        let (events, hung_up) = (events.clone(), Arc::clone(&self.hung_up));
        self.listeners.spawn(async move {
            while let Some(value) = values.next().await {
                in_flight.answered();
                if !hung_up.load(Ordering::Relaxed) {
                    let _ = events.try_send(LinkEvent::Notified { characteristic: id, value });
                }
            }
        });
        Ok(())
    }

    /// A request that changes nothing: its answer comes after all that was sent before.
    pub(super) async fn ping(&self) {
        let _ = self.read(CharacteristicId::CHUNKED).await;
    }

    async fn writer(&mut self, id: CharacteristicId) -> Option<&CharacteristicWriter> {
        let characteristic = self.characteristics.get(&id)?;
        match self.writers.entry(id) {
            Entry::Occupied(found) => Some(found.into_mut()),
            Entry::Vacant(place) => Some(place.insert(characteristic.write_io().await.ok()?)),
        }
    }

    /// Asks bluetoothd to write, which it refuses as long as it sees a socket.
    async fn write_without_socket(
        &mut self,
        id: CharacteristicId,
        value: &[u8],
        op_type: WriteOp,
    ) -> Result<(), AttError> {
        if self.writers.contains_key(&id) {
            // What lies in the socket comes first.
            self.ping().await;
            self.writers.remove(&id);
        }
        let request = CharacteristicWriteRequest { op_type, ..CharacteristicWriteRequest::default() };
        let characteristic = self.characteristic(id)?;
        let mut written = characteristic.write_ext(value, &request).await;
        for _ in 0..MAX_TRIES_AFTER_SOCKET {
            if !written.as_ref().is_err_and(sees_a_socket) {
                break;
            }
            sleep(TRY_AGAIN).await;
            written = characteristic.write_ext(value, &request).await;
        }
        written.map_err(|error| att_error(&error, AttError::WriteNotPermitted))
    }

    fn characteristic(&self, id: CharacteristicId) -> Result<&Characteristic, AttError> {
        self.characteristics.get(&id).ok_or(AttError::InvalidHandle)
    }
}

async fn connected(world: &World, address: Address, config: &Config) -> Result<Device, BleError> {
    let not_connected = |why: String| BleError::NotConnected { address: address.0, why };
    let device = world.adapter().device(address).map_err(|error| not_connected(error.to_string()))?;
    let mut why = String::new();
    for _ in 0..MAX_ATTEMPTS {
        match timeout(config.deadlines.connect, device.connect()).await {
            Ok(Ok(())) => return Ok(device),
            Ok(Err(error)) if error.kind == ErrorKind::AlreadyConnected => return Ok(device),
            Ok(Err(error)) => why = error.to_string(),
            Err(_) => {
                let _ = device.disconnect().await;
                return Err(not_connected(format!("no answer within {:?}", config.deadlines.connect)));
            }
        }
    }
    Err(not_connected(why))
}

/// `None` when the link is gone before its services are known.
async fn resolved(device: &Device) -> Option<()> {
    let mut events = device.events().await.ok()?.boxed();
    if device.is_services_resolved().await.ok()? {
        return Some(());
    }
    while let Some(DeviceEvent::PropertyChanged(property)) = events.next().await {
        match property {
            DeviceProperty::ServicesResolved(true) => return Some(()),
            DeviceProperty::Connected(false) => return None,
            _ => {}
        }
    }
    None
}

/// The band's characteristics and its MTU. Where two have the same name the first one counts, as for a phone.
async fn table(device: &Device, objects: &Objects) -> bluer::Result<(BTreeMap<CharacteristicId, Characteristic>, u16)> {
    let mut found = BTreeMap::new();
    let mut mtu = None;
    let own = format!("/org/bluez/{}/dev_{}/", device.adapter_name(), device.address().to_string().replace(':', "_"));
    let known: BTreeMap<&str, _> = objects
        .iter()
        .map(|(path, interfaces)| (&**path, interfaces))
        .filter(|(path, _)| path.starts_with(&own))
        .collect();
    for path in known.keys() {
        let Some((service_path, service, id)) = place(path) else { continue };
        let Some(properties) = known.get(path).and_then(|known| known.get("org.bluez.GattCharacteristic1")) else {
            continue;
        };
        let service_properties = known.get(service_path).and_then(|known| known.get("org.bluez.GattService1"));
        let (Some(characteristic_uuid), Some(service_uuid)) = (uuid(properties), service_properties.and_then(uuid))
        else {
            continue;
        };
        mtu = mtu.or_else(|| prop_cast::<u16>(properties, "MTU").copied());
        let characteristic = device.service(service).await?.characteristic(id).await?;
        found.entry(CharacteristicId::new(service_uuid, characteristic_uuid)).or_insert(characteristic);
    }
    Ok((found, mtu.unwrap_or(DEFAULT_MTU)))
}

fn uuid(properties: &PropMap) -> Option<Uuid> {
    prop_cast::<String>(properties, "UUID")?.parse().ok()
}

/// Path of the service, its number and the characteristic's, from `…/service0028/char0029`.
fn place(path: &str) -> Option<(&str, u16, u16)> {
    let (service_path, characteristic) = path.rsplit_once("/char")?;
    let (_, service) = service_path.rsplit_once("/service")?;
    Some((service_path, u16::from_str_radix(service, 16).ok()?, u16::from_str_radix(characteristic, 16).ok()?))
}

/// Whether bluetoothd refused for a socket of which it has not seen yet that it is gone: the band was not asked.
fn sees_a_socket(error: &bluer::Error) -> bool {
    error.kind == ErrorKind::NotPermitted && error.message == "Write acquired"
}

/// What bluetoothd makes of an ATT error, turned back. `denied` is what it calls not permitted.
fn att_error(error: &bluer::Error, denied: AttError) -> AttError {
    match (&error.kind, error.message.as_str()) {
        (ErrorKind::NotPermitted, _) => denied,
        (ErrorKind::NotAuthorized, _) => AttError::InsufficientAuthorization,
        (ErrorKind::NotSupported, _) => AttError::RequestNotSupported,
        (ErrorKind::InvalidArguments, "Invalid Length") | (ErrorKind::InvalidLength, _) => AttError::InvalidLength,
        (ErrorKind::InvalidArguments | ErrorKind::InvalidOffset, _) => AttError::InvalidOffset,
        (_, message) => {
            let code = message.rsplit_once("0x").and_then(|(_, code)| u8::from_str_radix(code, 16).ok());
            code.map_or(AttError::UnlikelyError, AttError::from_code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_says_where_a_characteristic_is() {
        let path = "/org/bluez/hci0/dev_00_AA_01_01_00_01/service0062/char00a0";
        let service = "/org/bluez/hci0/dev_00_AA_01_01_00_01/service0062";
        assert_eq!(place(path), Some((service, 0x62, 0xA0)));
        assert_eq!(place(service), None);
        assert_eq!(place(&format!("{path}/desc00a2")), None);
    }

    #[test]
    fn what_the_band_says_answers_one_write_and_none_that_was_not_sent() {
        let in_flight = InFlight::default();
        in_flight.answered();
        assert_eq!([in_flight.sent(), in_flight.sent(), in_flight.sent()], [1, 2, 3]);
        in_flight.answered();
        assert_eq!(in_flight.sent(), 3);
        in_flight.arrived();
        assert_eq!(in_flight.sent(), 1);
    }

    #[test]
    fn an_att_error_survives_bluetoothd() {
        let told = |kind, message: &str| bluer::Error { kind, message: message.into() };
        let denied = AttError::ReadNotPermitted;
        assert_eq!(att_error(&told(ErrorKind::NotPermitted, "Read not permitted"), denied), denied);
        assert_eq!(att_error(&told(ErrorKind::InvalidArguments, "Invalid Length"), denied), AttError::InvalidLength);
        let failed = told(ErrorKind::Failed, "Operation failed with ATT error: 0x11");
        assert_eq!(att_error(&failed, denied), AttError::InsufficientResources);
        assert_eq!(att_error(&told(ErrorKind::Failed, "Not connected"), denied), AttError::UnlikelyError);
    }
}
