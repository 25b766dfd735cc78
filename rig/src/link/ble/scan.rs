//! Listening for the band.

use std::collections::BTreeSet;

use bluer::{Adapter, AdapterEvent, Address, DiscoveryFilter, DiscoveryTransport};
use futures::StreamExt;
use tokio::time::timeout;

use band_sim::edge::bluez::BluezError;
use band_sim::wire::gatt::Uuid;

use super::{BleError, Config, Target};

/// The address of the band, once it is heard. What bluetoothd knows from earlier does not count.
pub(super) async fn scan(adapter: &Adapter, config: &Config) -> Result<Address, BleError> {
    let mut heard = BTreeSet::new();
    let within = config.deadlines.scan;
    match timeout(within, listen(adapter, &config.band, &mut heard)).await {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => Err(BluezError::Refused { what: "listen for advertisements", why: error.to_string() }.into()),
        Err(_) => {
            let heard = heard.into_iter().map(|address: Address| address.0).collect();
            Err(BleError::NotHeard { target: config.band.clone(), within, heard })
        }
    }
}

async fn listen(adapter: &Adapter, target: &Target, heard: &mut BTreeSet<Address>) -> bluer::Result<Address> {
    let filter =
        DiscoveryFilter { transport: DiscoveryTransport::Le, duplicate_data: true, ..DiscoveryFilter::default() };
    adapter.set_discovery_filter(filter).await?;
    let mut events = Box::pin(adapter.discover_devices_with_changes().await?);
    while let Some(event) = events.next().await {
        let AdapterEvent::DeviceAdded(address) = event else { continue };
        if is_target(adapter, address, target, heard).await.unwrap_or(false) {
            return Ok(address);
        }
    }
    Err(bluer::Error { kind: bluer::ErrorKind::Failed, message: "it stopped listening".into() })
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
