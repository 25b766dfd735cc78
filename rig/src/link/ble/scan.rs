//! Listening for the band.

use std::collections::BTreeSet;

use bluer::{Adapter, AdapterEvent, Address, DiscoveryFilter, DiscoveryTransport, ErrorKind};
use futures::StreamExt;
use tokio::time::{Duration, Instant, sleep, timeout};

use band_sim::edge::bluez::BluezError;
use band_sim::wire::gatt::Uuid;

use super::{BleError, Config, Target};

/// Listening starts anew so often. What comes in the moment of starting is lost, and a virtual controller advertises just once to
/// each who starts.
const START_AGAIN: Duration = Duration::from_millis(700);
/// With nothing to be heard, what is known is looked through so often.
const LOOK: Duration = Duration::from_millis(50);
/// Between two looks whether bluetoothd has stopped listening, and how many.
const STOPPED: (Duration, usize) = (Duration::from_millis(10), 200);

/// The address of the band when that is all it is known by and bluetoothd has met it before.
pub(super) async fn known(adapter: &Adapter, config: &Config) -> Option<Address> {
    let Target { address: Some(address), name: None, service: None } = config.band else { return None };
    let address = Address(address);
    // bluetoothd answers for what it knows, and for nothing else.
    adapter.device(address).ok()?.is_paired().await.ok()?;
    Some(address)
}

/// The address of the band, once it is heard. What bluetoothd knows from earlier does not count.
pub(super) async fn scan(adapter: &Adapter, config: &Config) -> Result<Address, BleError> {
    let mut heard = BTreeSet::new();
    let within = config.deadlines.scan;
    let until = Instant::now() + within;
    while Instant::now() < until {
        let listened = listen(adapter, &config.band, &mut heard).await;
        let refused =
            |error: bluer::Error| BluezError::Refused { what: "listen for advertisements", why: error.to_string() };
        if let Some(found) = listened.map_err(refused)? {
            return Ok(found);
        }
    }
    let heard = heard.into_iter().map(|address: Address| address.0).collect();
    Err(BleError::NotHeard { target: config.band.clone(), within, heard })
}

/// Listens for a while; `None` when the band was not heard. What bluetoothd is asked on the way is never broken off: it would go on
/// listening for ever.
async fn listen(adapter: &Adapter, target: &Target, heard: &mut BTreeSet<Address>) -> bluer::Result<Option<Address>> {
    until_stopped(adapter).await?;
    let filter =
        DiscoveryFilter { transport: DiscoveryTransport::Le, duplicate_data: true, ..DiscoveryFilter::default() };
    match adapter.set_discovery_filter(filter).await {
        // It is this filter that the one before has.
        Err(error) if error.kind == ErrorKind::DiscoveryActive => {}
        set => set?,
    }
    let mut events = Box::pin(adapter.discover_devices_with_changes().await?);
    let until = Instant::now() + START_AGAIN;
    while Instant::now() < until {
        let candidates = match timeout(LOOK, events.next()).await {
            Ok(Some(AdapterEvent::DeviceAdded(address))) => vec![address],
            Ok(Some(_)) => continue,
            Ok(None) => return Err(bluer::Error { kind: ErrorKind::Failed, message: "it stopped listening".into() }),
            // A device that was known already may have been heard before its changes are told.
            Err(_) => adapter.device_addresses().await?,
        };
        for address in candidates {
            if is_target(adapter, address, target, heard).await.unwrap_or(false) {
                return Ok(Some(address));
            }
        }
    }
    Ok(None)
}

/// Listening that has just been dropped goes on for a moment, and what starts meanwhile is only a part of it.
async fn until_stopped(adapter: &Adapter) -> bluer::Result<()> {
    for _ in 0..STOPPED.1 {
        if !adapter.is_discovering().await? {
            break;
        }
        sleep(STOPPED.0).await;
    }
    Ok(())
}

async fn is_target(
    adapter: &Adapter,
    address: Address,
    target: &Target,
    heard: &mut BTreeSet<Address>,
) -> bluer::Result<bool> {
    if target.address.is_some_and(|wanted| wanted != address.0) {
        heard.insert(address);
        return Ok(false);
    }
    let device = adapter.device(address)?;
    // Only a device that is heard now has a strength.
    if device.rssi().await?.is_none() {
        return Ok(false);
    }
    heard.insert(address);
    let name_is_it = match &target.name {
        Some(name) => device.name().await?.as_ref() == Some(name),
        None => true,
    };
    let service_is_it = match target.service {
        Some(service) => device.uuids().await?.is_some_and(|uuids| uuids.contains(&uuid(service))),
        None => true,
    };
    Ok(name_is_it && service_is_it)
}

fn uuid(uuid: Uuid) -> bluer::Uuid {
    bluer::Uuid::from_bytes(uuid.bytes())
}
