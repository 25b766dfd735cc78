//! The profile's attribute table as BlueZ wants it, and what BlueZ does differently.

use alloc::vec::Vec;
use core::fmt;

use bluer::Uuid as BluerUuid;
use bluer::adv::Advertisement;
use bluer::gatt::local::ReqError;

use super::application::{self, Object};
use crate::band::profile::BandProfile;
use crate::wire::advertising::{self, AdStructure};
use crate::wire::gatt::{AttError, Characteristic, CharacteristicId, Handle, Profile, Property, Uuid};

/// bluetoothd serves its own.
const SERVED_BY_BLUEZ: [Uuid; 2] = [Uuid::sig(0x1800), Uuid::sig(0x1801)];
/// The longest advertising data that every scanner hears (Core 5.4 vol 6 part B 2.3.1).
const MAX_ADVERTISING_BYTES: usize = 31;

/// Something that BlueZ does not let be as the profile has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// 1800 and 1801 are bluetoothd's own, with other handles and with characteristics that the band has not.
    OwnServices,
    /// Handles are given by bluetoothd, in the order of the profile.
    Handles,
    /// bluetoothd takes a write in either way, with a response or without, and does not tell in which it came: it is taken for the
    /// one that the characteristic has.
    WriteModes,
    /// An ATT error that BlueZ has no name for (0x13, a value that is not allowed) arrives as 0x80.
    Errors,
    /// The manufacturer data is not advertised: with services and flags it would be longer than 31 bytes.
    ManufacturerData,
}

impl Difference {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::OwnServices, Self::Handles, Self::WriteModes, Self::Errors, Self::ManufacturerData];
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnServices => "services 1800 and 1801 are bluetoothd's own",
            Self::Handles => "handles are given by bluetoothd",
            Self::WriteModes => "writes are taken with and without a response",
            Self::Errors => "errors that BlueZ has no name for arrive as 0x80",
            Self::ManufacturerData => "the manufacturer data is not advertised: it does not fit",
        })
    }
}

/// The table to register, in the profile's order.
pub(super) fn served(profile: &Profile) -> Vec<Object> {
    let nfc_channel = profile.value_handle(&CharacteristicId::NFC_CHANNEL);
    let services = profile.services.iter().filter(|service| !SERVED_BY_BLUEZ.contains(&service.uuid));
    application::objects(services.map(|service| {
        let characteristics = service.characteristics.iter().map(|found| characteristic(found, nfc_channel));
        (service.uuid, characteristics.collect())
    }))
}

fn characteristic(found: &Characteristic, nfc_channel: Option<Handle>) -> application::Characteristic {
    // bluetoothd's names of what a band has.
    let names = [
        (Property::Read, "read"),
        (Property::WriteWithoutResponse, "write-without-response"),
        (Property::Write, "write"),
        (Property::Notify, "notify"),
    ];
    // It serves this one by itself.
    let descriptors = found.descriptors.iter().filter(|descriptor| descriptor.uuid != Uuid::CCCD);
    application::Characteristic {
        uuid: found.uuid,
        handle: found.handle,
        flags: names.into_iter().filter(|(property, _)| found.has(*property)).map(|(_, name)| name).collect(),
        written_by_socket: Some(found.handle) == nfc_channel && found.has(Property::WriteWithoutResponse),
        notifies: found.has(Property::Notify),
        descriptors: descriptors.map(|descriptor| (descriptor.uuid, descriptor.handle)).collect(),
    }
}

/// What is advertised, and what of it was left out.
pub(super) fn advertisement(profile: &BandProfile, address: [u8; 6]) -> (Advertisement, Option<Difference>) {
    let advertising = &profile.advertising;
    let manufacturer = [&advertising.manufacturer_prefix.value[..], &address].concat();
    let mut advertisement = Advertisement {
        service_uuids: advertising.services.value.iter().map(bluer_uuid).collect(),
        local_name: Some(profile.identity.name.value.clone()),
        discoverable: Some(true),
        ..Advertisement::default()
    };
    // The name goes into the scan response, everything else into the advertising data.
    let structure = |kind, data| AdStructure { kind, data };
    let data = advertising::encode(&[
        structure(AdStructure::FLAGS, Vec::from([advertising.flags.value])),
        structure(
            AdStructure::SERVICES_16,
            advertising.services.value.iter().flat_map(|uuid| uuid.to_le_bytes()).collect(),
        ),
        structure(AdStructure::MANUFACTURER, [&advertising.company.value.to_le_bytes()[..], &manufacturer].concat()),
    ]);
    // BlueZ would take more than 31 bytes on an adapter that can do extended advertising, and older phones would not hear it.
    if data.len() > MAX_ADVERTISING_BYTES {
        return (advertisement, Some(Difference::ManufacturerData));
    }
    advertisement.manufacturer_data.insert(advertising.company.value, manufacturer);
    (advertisement, None)
}

/// What BlueZ makes the ATT error of: `NotPermitted` is 0x02 for a read and 0x03 for a write, `NotAuthorized` 0x08,
/// `NotSupported` 0x06, `InvalidOffset` 0x07, `InvalidValueLength` 0x0D, anything else 0x80.
pub(super) const fn req_error(error: AttError) -> ReqError {
    match error {
        AttError::ReadNotPermitted | AttError::WriteNotPermitted => ReqError::NotPermitted,
        AttError::InsufficientAuthorization => ReqError::NotAuthorized,
        AttError::RequestNotSupported => ReqError::NotSupported,
        AttError::InvalidOffset => ReqError::InvalidOffset,
        AttError::InvalidLength => ReqError::InvalidValueLength,
        _ => ReqError::Failed,
    }
}

fn bluer_uuid(uuid: &Uuid) -> BluerUuid {
    BluerUuid::from_bytes(uuid.bytes())
}
