//! The band found in each way in which it may be looked for, and what it says of the link.

use std::time::Duration;

use band_sim::wire::frame::event::DeviceEvent;
use band_sim::wire::gatt::{CharacteristicId, Uuid};
use bandrig::link::ble::{Ble, BleError, Deadlines, HangUp, Target};
use bandrig::phone::io::LinkCommand;
use bandrig::station::fixtures::Fixtures;

use crate::bench::PROFILE;
use crate::raw::Raw;
use crate::{Checks, Cli};

/// A virtual controller advertises now and then, and that may be missed many times.
const PATIENCE: Duration = Duration::from_secs(30);
/// For a band that is not there.
const NOT_HEARD_WITHIN: Duration = Duration::from_secs(4);
/// Before any exchange (Core 5.4 vol 3 part F 3.2.8).
const DEFAULT_MTU: u16 = 23;

pub fn run(cli: &Cli, checks: &mut Checks) -> Result<(), BleError> {
    let fixtures = Fixtures::load(&cli.fixtures).expect("the fixtures");
    let address = cli.config(&cli.adapter, HangUp::RadioOff).band.address;
    let name = Some(fixtures.profiles[PROFILE].identity.name.value.clone());
    let service = Some(Uuid::sig(0xFEE0));
    let nothing = Target { address: None, name: None, service: None };

    nobody(cli, Target { name: Some("nobody's band".into()), ..nothing.clone() }, checks)?;
    for (known_by, band) in [
        ("its name", Target { name: name.clone(), ..nothing.clone() }),
        ("its service", Target { service, ..nothing.clone() }),
        // With its address alone it need not be heard once bluetoothd has met it.
        ("its address, name and service", Target { address, name, service }),
    ] {
        let mut raw = open(cli, band, PATIENCE)?;
        let (found, mtu) = raw.connect()?;
        checks.check(&format!("the band is found by {known_by}"), Some(found) == address, &found);
        event_of_mtu(&mut raw, mtu, checks);
        raw.disconnect();
    }
    Ok(())
}

/// The radio is switched off after each link: that takes no two seconds.
fn open(cli: &Cli, band: Target, scan: Duration) -> Result<Raw, BleError> {
    let mut config = cli.config(&cli.adapter, HangUp::RadioOff);
    config.band = band;
    config.deadlines = Deadlines { scan, ..Deadlines::default() };
    Ok(Raw::new(Ble::open(config)?))
}

fn nobody(cli: &Cli, band: Target, checks: &mut Checks) -> Result<(), BleError> {
    let ended = open(cli, band.clone(), NOT_HEARD_WITHIN)?.connect();
    let is_named = matches!(&ended, Err(BleError::NotHeard { target, within, .. })
        if *target == band && *within == NOT_HEARD_WITHIN);
    checks.check("a name that nobody has is not heard within its deadline", is_named, &ended);
    Ok(())
}

/// The band says which MTU the two bluetoothds have agreed upon.
fn event_of_mtu(raw: &mut Raw, mtu: u16, checks: &mut Checks) {
    let subscribed = raw.subscribe(CharacteristicId::DEVICE_EVENT);
    // It learns the MTU with a request, unless bluetoothd has made one of its own before.
    raw.ble.send(LinkCommand::Read { characteristic: CharacteristicId::BATTERY });
    let event = raw.notified(CharacteristicId::DEVICE_EVENT, PATIENCE);
    let said = event.as_deref().map(DeviceEvent::decode);
    let is_said = said == Some(Ok(DeviceEvent::Mtu(mtu)));
    checks.check("it says the MTU of the link", subscribed && is_said && mtu > DEFAULT_MTU, &(mtu, event));
}
