//! What must be there: the system bus, bluetoothd on it, an adapter that is on. And that it has gone away.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use std::collections::HashMap;

use bluer::{Adapter, AdapterEvent, Address, Session};
use dbus::arg::{PropMap, prop_cast};
use dbus::message::MatchRule;
use dbus::nonblock::stdintf::org_freedesktop_dbus::{ObjectManager, Properties};
use dbus::nonblock::{MsgMatch, Proxy, SyncConnection};
use futures::channel::mpsc::UnboundedReceiver;
use futures::stream::{BoxStream, StreamExt};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;

/// Objects by path, interfaces by name.
pub type Objects = HashMap<dbus::Path<'static>, HashMap<String, PropMap>>;

pub(super) const BLUEZ: &str = "org.bluez";
const ADAPTER: &str = "org.bluez.Adapter1";
/// The bus itself answers at once or never.
const BUS_PATIENCE: Duration = Duration::from_secs(10);
/// `bluer` does not tell that its connection to the bus has ended, and nothing answers then: so often it is asked, and so long it has.
const PULSE: Duration = Duration::from_secs(5);
/// What takes an adapter or a connection away is known so long after; if not, somebody has switched the one off, and the other ended by
/// itself. An adapter that is pulled out is switched off first.
const GONE_WITHIN: Duration = Duration::from_secs(1);

/// Why the band cannot be served, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BluezError {
    /// There is no system bus, or it went away.
    NoBus(String),
    /// Nobody owns `org.bluez` on it, or not any more.
    NoBluetoothd,
    /// The adapter is not there, or not any more; these are.
    NoAdapter {
        /// The one that was asked for.
        wanted: String,
        /// Those there are.
        found: Vec<String>,
    },
    /// The adapter was there until now: it was pulled out, or its driver went away.
    AdapterGone {
        /// Its name.
        adapter: String,
    },
    /// Somebody has switched the adapter off.
    SwitchedOff {
        /// Its name.
        adapter: String,
    },
    /// The adapter is off and cannot be switched on.
    AdapterOff {
        /// Its name.
        adapter: String,
        /// What BlueZ says about it.
        why: String,
    },
    /// Another band serves on the adapter.
    Taken {
        /// Its name.
        adapter: String,
    },
    /// BlueZ refused something.
    Refused {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        why: String,
    },
    /// This machine: no thread, no memory.
    Machine(String),
}

impl BluezError {
    /// One of the connections to the bus ended, by itself.
    pub(super) fn cut() -> Self {
        Self::NoBus("a connection to it ended".into())
    }
}

impl fmt::Display for BluezError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBus(why) => write!(f, "the system bus cannot be reached ({why}): is dbus-daemon running?"),
            Self::NoBluetoothd => {
                f.write_str("bluetoothd is not running: start it, for instance with `systemctl start bluetooth`")
            }
            Self::NoAdapter { wanted, found } if found.is_empty() => {
                write!(
                    f,
                    "there is no Bluetooth adapter {wanted}, nor any other: is one plugged in and its driver loaded?"
                )
            }
            Self::NoAdapter { wanted, found } => {
                write!(f, "there is no Bluetooth adapter {wanted}; there is {}", found.join(", "))
            }
            Self::AdapterGone { adapter } => write!(f, "adapter {adapter} is gone: was it pulled out?"),
            Self::SwitchedOff { adapter } => {
                write!(
                    f,
                    "adapter {adapter} was switched off: `bluetoothctl power on` or `rfkill unblock bluetooth` switches it on"
                )
            }
            Self::AdapterOff { adapter, why } => {
                write!(
                    f,
                    "adapter {adapter} is off ({why}): `rfkill unblock bluetooth` and `bluetoothctl power on` may help"
                )
            }
            Self::Taken { adapter } => {
                write!(
                    f,
                    "another band serves on adapter {adapter}: stop that one, or give this one an adapter of its own"
                )
            }
            Self::Refused { what, why } => write!(f, "BlueZ refused to {what}: {why}"),
            Self::Machine(why) => write!(f, "the Bluetooth thread cannot run: {why}"),
        }
    }
}

impl core::error::Error for BluezError {}

/// An adapter of a running bluetoothd.
pub struct World {
    adapter: Adapter,
    address: [u8; 6],
    bus: Bus,
}

/// Our own ear on the bus: BlueZ cannot tell that it is gone, and `bluer` does not tell that an adapter is.
struct Bus {
    connection: Arc<SyncConnection>,
    /// Dropping them ends the streams.
    _rules: [MsgMatch; 2],
    /// Name, old owner, new owner.
    owners: Signals<(String, String, String)>,
    /// Objects, and which of their interfaces are gone.
    removed: Signals<(dbus::Path<'static>, Vec<String>)>,
    /// Kept, for whoever waits for it may be dropped while the bus is asked for more.
    has_lost_bluetoothd: bool,
    resource: JoinHandle<String>,
}

type Signals<T> = UnboundedReceiver<(dbus::Message, T)>;

impl World {
    /// Finds the adapter of this name or address.
    ///
    /// # Errors
    /// No bus, no bluetoothd, no such adapter.
    pub async fn open(wanted: &str) -> Result<Self, BluezError> {
        let bus = Bus::open().await?;
        let found = find(&bus.objects().await?, wanted)?;
        Self::with(bus, found).await
    }

    /// The same, of an adapter that is on: whoever has switched it off has a reason.
    ///
    /// # Errors
    /// As [`World::open`]; it is off.
    pub async fn open_switched_on(wanted: &str) -> Result<Self, BluezError> {
        let bus = Bus::open().await?;
        let found = find(&bus.objects().await?, wanted)?;
        if !found.is_on {
            return Err(BluezError::SwitchedOff { adapter: found.name });
        }
        Self::with(bus, found).await
    }

    /// A session of `bluer` lives on for a minute after its last user, so it is begun when all is there.
    async fn with(bus: Bus, found: Found) -> Result<Self, BluezError> {
        Ok(Self { adapter: opened(&found.name).await?, address: found.address, bus })
    }

    /// The adapter.
    #[must_use]
    pub const fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// Its address, as it is printed.
    #[must_use]
    pub const fn address(&self) -> [u8; 6] {
        self.address
    }

    /// Switches the adapter on.
    ///
    /// # Errors
    /// It cannot be switched on.
    pub async fn power_on(&self) -> Result<(), BluezError> {
        let off = |error: bluer::Error| BluezError::AdapterOff {
            adapter: self.adapter.name().to_owned(),
            why: error.to_string(),
        };
        // One that is on already stays as it is.
        self.adapter.set_powered(true).await.map_err(off)
    }

    /// What happens to the adapter and its devices.
    ///
    /// # Errors
    /// bluetoothd does not tell.
    pub async fn adapter_events(&self) -> Result<BoxStream<'static, AdapterEvent>, BluezError> {
        let events = self.adapter.events().await.map_err(|error| refused("tell about its adapter", &error))?;
        Ok(events.boxed())
    }

    /// Whether the adapter is there and on.
    pub async fn is_on(&self) -> bool {
        self.adapter.is_powered().await.unwrap_or(false)
    }

    /// Returns when `bluer` is not answered any more, because its connection or the bus has ended; a bluetoothd that answers nobody is
    /// only slow.
    pub fn until_silent(&self) -> impl Future<Output = ()> + Send + use<> {
        let (adapter, own) = (self.adapter.clone(), Arc::clone(&self.bus.connection));
        async move {
            let path = format!("/org/bluez/{}", adapter.name());
            let proxy = Proxy::new(BLUEZ, path, BUS_PATIENCE, Arc::clone(&own));
            loop {
                tokio::time::sleep(PULSE).await;
                let mut asked = core::pin::pin!(adapter.is_powered());
                if let Ok(answer) = timeout(PULSE, &mut asked).await {
                    if answer.is_err() {
                        return;
                    }
                    continue;
                }
                // What is asked here comes after it; so does the answer.
                let is_answered =
                    matches!(timeout(BUS_PATIENCE, proxy.get::<bool>(ADAPTER, "Powered")).await, Ok(Ok(_)));
                let is_alive = if is_answered {
                    matches!(timeout(GONE_WITHIN, asked).await, Ok(Ok(_)))
                } else {
                    matches!(timeout(BUS_PATIENCE, has_bluetoothd(&own)).await, Ok(Ok(true)))
                };
                if !is_alive {
                    return;
                }
            }
        }
    }

    /// Returns when the adapter, bluetoothd or the bus is gone, and which.
    pub async fn gone(&mut self) -> BluezError {
        self.bus.gone(&self.adapter).await
    }

    /// What went wrong, by its true name: a world that goes away refuses everything on its way.
    pub async fn named(&mut self, error: BluezError) -> BluezError {
        if matches!(error, BluezError::Refused { .. }) && !self.is_on().await { self.why_off().await } else { error }
    }

    /// Why an adapter that has just gone off did: it was pulled out, or somebody switched it off.
    pub async fn why_off(&mut self) -> BluezError {
        let off = BluezError::SwitchedOff { adapter: self.adapter.name().to_owned() };
        self.gone_soon().await.unwrap_or(off)
    }

    /// Why one of the connections to the bus ended: with the bus, or by itself.
    pub async fn why_cut(&mut self) -> BluezError {
        self.gone_soon().await.unwrap_or_else(BluezError::cut)
    }

    async fn gone_soon(&mut self) -> Option<BluezError> {
        timeout(GONE_WITHIN, self.gone()).await.ok()
    }

    /// All that bluetoothd knows, in one question: asking object by object takes seconds.
    ///
    /// # Errors
    /// bluetoothd does not answer.
    pub async fn objects(&self) -> Result<Objects, BluezError> {
        self.bus.objects().await
    }
}

async fn opened(name: &str) -> Result<Adapter, BluezError> {
    let session = Session::new().await.map_err(|error| BluezError::NoBus(error.to_string()))?;
    session.adapter(name).map_err(|error| refused("open its adapter", &error))
}

impl Bus {
    async fn open() -> Result<Self, BluezError> {
        let no_bus = |error: dbus::Error| BluezError::NoBus(error.to_string());
        let (resource, connection) = dbus_tokio::connection::new_system_sync().map_err(no_bus)?;
        let resource = tokio::spawn(async move { resource.await.to_string() });
        let rule = MatchRule::new_signal("org.freedesktop.DBus", "NameOwnerChanged").static_clone();
        let (names, owners) = connection.add_match(rule).await.map_err(no_bus)?.stream();
        let rule = MatchRule::new_signal("org.freedesktop.DBus.ObjectManager", "InterfacesRemoved").static_clone();
        let (objects, removed) = connection.add_match(rule.with_sender(BLUEZ)).await.map_err(no_bus)?.stream();
        let bus = Self { connection, _rules: [names, objects], owners, removed, has_lost_bluetoothd: false, resource };
        if has_bluetoothd(&bus.connection).await.map_err(no_bus)? { Ok(bus) } else { Err(BluezError::NoBluetoothd) }
    }

    async fn objects(&self) -> Result<Objects, BluezError> {
        let proxy = Proxy::new(BLUEZ, "/", BUS_PATIENCE, self.connection.clone());
        let objects = proxy.get_managed_objects().await;
        objects.map_err(|error| BluezError::Refused { what: "list its objects", why: error.to_string() })
    }

    async fn gone(&mut self, adapter: &Adapter) -> BluezError {
        let no_bus = || BluezError::NoBus("the connection to it ended".into());
        let own = format!("/org/bluez/{}", adapter.name());
        while !self.has_lost_bluetoothd {
            tokio::select! {
                biased;
                ended = &mut self.resource => return bus_ended(ended),
                change = self.owners.next() => match change {
                    Some((_, (name, _, owner))) => self.has_lost_bluetoothd = name == BLUEZ && owner.is_empty(),
                    None => return no_bus(),
                },
                removed = self.removed.next() => match removed {
                    Some((_, (object, interfaces))) if *object == *own && interfaces.iter().any(|gone| gone == ADAPTER) => {
                        return BluezError::AdapterGone { adapter: adapter.name().to_owned() };
                    }
                    Some(_) => {}
                    None => return no_bus(),
                },
            }
        }
        // A bus that ends sends everybody else away first.
        tokio::select! {
            biased;
            ended = &mut self.resource => bus_ended(ended),
            asked = has_bluetoothd(&self.connection) => {
                asked.map_or_else(|error| BluezError::NoBus(error.to_string()), |_| BluezError::NoBluetoothd)
            }
        }
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("adapter", &self.adapter.name()).finish_non_exhaustive()
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        self.resource.abort();
    }
}

async fn has_bluetoothd(connection: &Arc<SyncConnection>) -> Result<bool, dbus::Error> {
    let bus = "org.freedesktop.DBus";
    let proxy = Proxy::new(bus, "/org/freedesktop/DBus", BUS_PATIENCE, Arc::clone(connection));
    let (owned,) = proxy.method_call(bus, "NameHasOwner", (BLUEZ,)).await?;
    Ok(owned)
}

fn bus_ended(why: Result<String, JoinError>) -> BluezError {
    BluezError::NoBus(why.unwrap_or_else(|error| error.to_string()))
}

/// An adapter that bluetoothd has.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    name: String,
    address: [u8; 6],
    is_on: bool,
}

fn find(objects: &Objects, wanted: &str) -> Result<Found, BluezError> {
    let mut adapters = objects.iter().filter_map(|(path, interfaces)| adapter(path, interfaces)).collect::<Vec<_>>();
    adapters.sort_by(|one, other| one.name.cmp(&other.name));
    let address = wanted.parse::<Address>().ok();
    let is_it = |found: &&Found| found.name == wanted || address.is_some_and(|address| address.0 == found.address);
    adapters.iter().find(is_it).cloned().ok_or_else(|| BluezError::NoAdapter {
        wanted: wanted.to_owned(),
        found: adapters.iter().map(|found| found.name.clone()).collect(),
    })
}

fn adapter(path: &str, interfaces: &HashMap<String, PropMap>) -> Option<Found> {
    let properties = interfaces.get(ADAPTER)?;
    let address = prop_cast::<String>(properties, "Address")?.parse::<Address>().ok()?;
    let is_on = prop_cast(properties, "Powered").copied().unwrap_or(false);
    Some(Found { name: path.rsplit('/').next()?.to_owned(), address: address.0, is_on })
}

/// Disconnects a device at once. Where it is not paired its object goes too: `Disconnect` would let it stay for two more
/// seconds (`DISCONNECT_TIMER` in bluetoothd).
pub async fn disconnect(adapter: Adapter, device: [u8; 6]) {
    let address = Address(device);
    let Ok(device) = adapter.device(address) else { return };
    if device.is_paired().await.unwrap_or(true) || adapter.remove_device(address).await.is_err() {
        let _ = device.disconnect().await;
    }
}

pub(super) fn refused(what: &'static str, error: &bluer::Error) -> BluezError {
    BluezError::Refused { what, why: format!("{error}") }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;

    use super::*;

    fn bluetoothd_with(adapters: &[(&str, &str)]) -> Objects {
        let object = |(path, address): &(&str, &str)| {
            let address: Box<dyn dbus::arg::RefArg> = Box::new((*address).to_owned());
            let properties = PropMap::from([("Address".to_owned(), dbus::arg::Variant(address))]);
            (dbus::Path::new(*path).unwrap().into_static(), HashMap::from([(ADAPTER.to_owned(), properties)]))
        };
        let mut objects = adapters.iter().map(object).collect::<Objects>();
        objects.insert("/org/bluez".into(), HashMap::from([("org.bluez.AgentManager1".to_owned(), PropMap::new())]));
        objects
    }

    #[test]
    fn an_adapter_is_found_by_its_name_or_its_address() {
        let objects =
            bluetoothd_with(&[("/org/bluez/hci1", "00:AA:01:01:00:01"), ("/org/bluez/hci0", "00:AA:01:00:00:00")]);
        for wanted in ["hci1", "00:AA:01:01:00:01", "00:aa:01:01:00:01"] {
            let found = Found { name: "hci1".into(), address: [0, 0xAA, 1, 1, 0, 1], is_on: false };
            assert_eq!(find(&objects, wanted), Ok(found), "{wanted}");
        }
        for wanted in ["hci", "hci10", "00:AA:01:01:00:02", "00:AA:01:01:00", ""] {
            let found = Vec::from(["hci0".into(), "hci1".into()]);
            assert_eq!(find(&objects, wanted), Err(BluezError::NoAdapter { wanted: wanted.into(), found }));
        }
    }

    #[test]
    fn every_error_says_what_to_do() {
        let missing = BluezError::NoAdapter { wanted: "hci7".into(), found: Vec::from(["hci0".into(), "hci1".into()]) };
        assert_eq!(missing.to_string(), "there is no Bluetooth adapter hci7; there is hci0, hci1");
        assert!(BluezError::NoBluetoothd.to_string().contains("systemctl start bluetooth"));
        let gone = BluezError::AdapterGone { adapter: "hci1".into() };
        assert_eq!(gone.to_string(), "adapter hci1 is gone: was it pulled out?");
        let off = BluezError::AdapterOff { adapter: "hci1".into(), why: "Blocked through rfkill".into() };
        assert!(off.to_string().contains("rfkill unblock bluetooth"));
    }
}
