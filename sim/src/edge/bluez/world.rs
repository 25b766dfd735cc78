//! What must be there: the system bus, bluetoothd on it, an adapter that is on. And that it has gone away.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use std::collections::HashMap;

use bluer::{Adapter, AdapterEvent, AdapterProperty, Address, Session};
use dbus::arg::PropMap;
use dbus::message::MatchRule;
use dbus::nonblock::stdintf::org_freedesktop_dbus::ObjectManager;
use dbus::nonblock::{MsgMatch, Proxy, SyncConnection};
use futures::channel::mpsc::UnboundedReceiver;
use futures::stream::{BoxStream, StreamExt};
use tokio::task::JoinHandle;

/// Objects by path, interfaces by name.
pub type Objects = HashMap<dbus::Path<'static>, HashMap<String, PropMap>>;

const BLUEZ: &str = "org.bluez";
/// The bus itself answers at once or never.
const BUS_PATIENCE: Duration = Duration::from_secs(10);

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
    /// The adapter is off and cannot be switched on.
    AdapterOff {
        /// Its name.
        adapter: String,
        /// What BlueZ says about it.
        why: String,
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
            Self::AdapterOff { adapter, why } => {
                write!(
                    f,
                    "adapter {adapter} is off ({why}): `rfkill unblock bluetooth` and `bluetoothctl power on` may help"
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

/// Our own ear on the bus: BlueZ cannot tell that it is gone.
struct Bus {
    connection: Arc<SyncConnection>,
    /// Dropping it ends `changes`.
    _rule: MsgMatch,
    changes: UnboundedReceiver<(dbus::Message, (String, String, String))>,
    resource: JoinHandle<String>,
}

impl World {
    /// Finds the adapter of this name or address.
    ///
    /// # Errors
    /// No bus, no bluetoothd, no such adapter.
    pub async fn open(wanted: &str) -> Result<Self, BluezError> {
        let bus = Bus::open().await?;
        let session = Session::new().await.map_err(|error| BluezError::NoBus(error.to_string()))?;
        let adapter = find(&session, wanted).await?;
        let address = adapter.address().await.map_err(|error| refused("tell the adapter's address", &error))?.0;
        Ok(Self { adapter, address, bus })
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
        if !self.adapter.is_powered().await.map_err(off)? {
            self.adapter.set_powered(true).await.map_err(off)?;
        }
        Ok(())
    }

    /// What happens to the adapter and its devices.
    ///
    /// # Errors
    /// bluetoothd does not tell.
    pub async fn adapter_events(&self) -> Result<BoxStream<'static, AdapterEvent>, BluezError> {
        let events = self.adapter.events().await.map_err(|error| refused("tell about its adapter", &error))?;
        Ok(events.boxed())
    }

    /// Returns when bluetoothd or the bus is gone, and which.
    pub async fn gone(&mut self) -> BluezError {
        self.bus.gone().await
    }

    /// What an event of the adapter means for the world, if it is bad.
    #[must_use]
    pub fn trouble(&self, event: &AdapterEvent) -> Option<BluezError> {
        match event {
            AdapterEvent::PropertyChanged(AdapterProperty::Powered(false)) => Some(BluezError::AdapterOff {
                adapter: self.adapter.name().to_owned(),
                why: "it was switched off".into(),
            }),
            _ => None,
        }
    }

    /// All that bluetoothd knows, in one question: asking object by object takes seconds.
    ///
    /// # Errors
    /// bluetoothd does not answer.
    pub async fn objects(&self) -> Result<Objects, BluezError> {
        let proxy = Proxy::new(BLUEZ, "/", BUS_PATIENCE, self.bus.connection.clone());
        let objects = proxy.get_managed_objects().await;
        objects.map_err(|error| BluezError::Refused { what: "list its objects", why: error.to_string() })
    }

    /// The error for an adapter that is not there any more.
    #[must_use]
    pub fn adapter_gone(&self) -> BluezError {
        BluezError::NoAdapter { wanted: self.adapter.name().to_owned(), found: Vec::new() }
    }
}

impl Bus {
    async fn open() -> Result<Self, BluezError> {
        let no_bus = |error: dbus::Error| BluezError::NoBus(error.to_string());
        let (resource, connection) = dbus_tokio::connection::new_system_sync().map_err(no_bus)?;
        let resource = tokio::spawn(async move { resource.await.to_string() });
        let rule = MatchRule::new_signal("org.freedesktop.DBus", "NameOwnerChanged").static_clone();
        let (rule, changes) = connection.add_match(rule).await.map_err(no_bus)?.stream();
        let bus = Self { connection, _rule: rule, changes, resource };
        let proxy = Proxy::new("org.freedesktop.DBus", "/org/freedesktop/DBus", BUS_PATIENCE, bus.connection.clone());
        let (owned,): (bool,) =
            proxy.method_call("org.freedesktop.DBus", "NameHasOwner", (BLUEZ,)).await.map_err(no_bus)?;
        if owned { Ok(bus) } else { Err(BluezError::NoBluetoothd) }
    }

    async fn gone(&mut self) -> BluezError {
        loop {
            tokio::select! {
                change = self.changes.next() => match change {
                    Some((_, (name, _, owner))) if name == BLUEZ && owner.is_empty() => return BluezError::NoBluetoothd,
                    Some(_) => {}
                    None => return BluezError::NoBus("the connection to it ended".into()),
                },
                ended = &mut self.resource => {
                    return BluezError::NoBus(ended.unwrap_or_else(|error| error.to_string()));
                }
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

async fn find(session: &Session, wanted: &str) -> Result<Adapter, BluezError> {
    let asked = |error: bluer::Error| refused("list its adapters", &error);
    let mut found = session.adapter_names().await.map_err(asked)?;
    found.sort();
    for name in &found {
        let adapter = session.adapter(name).map_err(asked)?;
        let is_it = name == wanted
            || (wanted.contains(':')
                && adapter.address().await.is_ok_and(|address| address.to_string().eq_ignore_ascii_case(wanted)));
        if is_it {
            return Ok(adapter);
        }
    }
    Err(BluezError::NoAdapter { wanted: wanted.to_owned(), found })
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
    use super::*;

    #[test]
    fn every_error_says_what_to_do() {
        let missing = BluezError::NoAdapter { wanted: "hci7".into(), found: Vec::from(["hci0".into(), "hci1".into()]) };
        assert_eq!(missing.to_string(), "there is no Bluetooth adapter hci7; there is hci0, hci1");
        assert!(BluezError::NoBluetoothd.to_string().contains("systemctl start bluetooth"));
        let off = BluezError::AdapterOff { adapter: "hci1".into(), why: "Blocked through rfkill".into() };
        assert!(off.to_string().contains("rfkill unblock bluetooth"));
    }
}
