//! The profile's attribute table as BlueZ wants it, and what BlueZ does differently.

use alloc::vec::Vec;
use core::fmt;

use bluer::Uuid as BluerUuid;
use bluer::adv::Advertisement;
use bluer::gatt::local::ReqError;

use super::application::{self, Object};
use crate::band::profile::BandProfile;
use crate::wire::advertising::{self, AdStructure};
use crate::wire::gatt::{AttError, Characteristic, CharacteristicId, Handle, Profile, Property, Service, Uuid};

/// bluetoothd serves its own.
const SERVED_BY_BLUEZ: [Uuid; 2] = [Uuid::sig(0x1800), Uuid::sig(0x1801)];
/// The last handle of these two in bluetoothd 5.66, where they take 17.
const LAST_OF_BLUEZ: Handle = Handle(0x11);
/// The longest advertising data that every scanner hears (Core 5.4 vol 6 part B 2.3.1).
pub(super) const MAX_ADVERTISING_BYTES: usize = 31;

/// Something that BlueZ does not let be as the profile has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// 1800 and 1801 are bluetoothd's own, with other handles and with characteristics that the band has not.
    OwnServices,
    /// bluetoothd gives the handles: all of them, or those of the services below this one. Services with others than the profile's
    /// come behind those that have theirs.
    Handles {
        /// From here on they are the profile's.
        kept_from: Option<Handle>,
    },
    /// bluetoothd takes a write in either way, with a response or without, and does not tell in which it came: it is taken for the
    /// one that the characteristic has.
    WriteModes,
    /// bluetoothd counts the handle to the length of a value that is written with a response, and refuses more than 512 bytes of both.
    LongWrites,
    /// An ATT error that BlueZ has no name for (0x13, a value that is not allowed) arrives as 0x80.
    Errors,
    /// The manufacturer data is not advertised: with services and flags it would be longer than 31 bytes.
    ManufacturerData,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Handles { kept_from: Some(Handle(first)) } = self {
            return write!(f, "handles below 0x{first:02X} are given by bluetoothd");
        }
        f.write_str(match self {
            Self::OwnServices => "services 1800 and 1801 are bluetoothd's own",
            Self::Handles { .. } => "handles are given by bluetoothd",
            Self::WriteModes => "writes are taken with and without a response",
            Self::LongWrites => "writes of 511 and 512 bytes with a response are refused",
            Self::Errors => "errors that BlueZ has no name for arrive as 0x80",
            Self::ManufacturerData => "the manufacturer data is not advertised: it does not fit",
        })
    }
}

/// What to ask bluetoothd for, in turn, until it serves the table: the profile's handles from this one on. It refuses all of it when a
/// handle is another service's already. Its own are the first ones, and whatever else it has comes behind them; at the end, none is asked
/// for.
pub(super) fn wishes(profile: &Profile) -> impl Iterator<Item = Option<Handle>> {
    let kept = profile.services.iter().filter(|service| can_keep(service)).map(|service| service.handle);
    kept.map(Some).chain([None])
}

/// Whether bluetoothd can have the service's handles: none of its own is in their place, and each is where bluetoothd would put it. It
/// gives an attribute the handle it is asked for, and the place in the service that is next; with a gap, the two differ.
fn can_keep(service: &Service) -> bool {
    service.handle > LAST_OF_BLUEZ && served_service(service) && {
        let mut last = u32::from(service.handle.0);
        let mut follows = |handle: Handle, by: u32| {
            let follows = u32::from(handle.0) == last + by;
            last = u32::from(handle.0);
            follows
        };
        service.characteristics.iter().all(|found| {
            // It puts this one there by itself, first of all, if the characteristic notifies.
            let cccd = found.descriptors.iter().position(|descriptor| descriptor.uuid == Uuid::CCCD);
            cccd == found.has(Property::Notify).then_some(0)
                && follows(found.handle, 2)
                && found.descriptors.iter().all(|descriptor| follows(descriptor.handle, 1))
        })
    }
}

fn served_service(service: &Service) -> bool {
    !SERVED_BY_BLUEZ.contains(&service.uuid)
}

/// The table to register: first the services that keep their handles, then the others, which get the next ones that are free. Each in
/// the profile's order.
pub(super) fn served(profile: &Profile, kept_from: Option<Handle>) -> Vec<Object> {
    let nfc_channel = profile.value_handle(&CharacteristicId::NFC_CHANNEL);
    let keeps = |service: &&Service| kept_from.is_some_and(|first| service.handle >= first && can_keep(service));
    let (kept, others) = profile.services.iter().filter(|each| served_service(each)).partition::<Vec<_>, _>(keeps);
    application::objects(kept.into_iter().chain(others).map(|service| application::Service {
        uuid: service.uuid,
        handle: service.handle,
        keeps_handles: keeps(&service),
        characteristics: service.characteristics.iter().map(|found| characteristic(found, nfc_channel)).collect(),
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

/// What is advertised. bluetoothd keeps all of it but the name together, which goes into the scan response.
pub(super) fn advertisement(profile: &BandProfile, address: [u8; 6], with_manufacturer_data: bool) -> Advertisement {
    let advertising = &profile.advertising;
    let mut advertisement = Advertisement {
        service_uuids: advertising.services.value.iter().map(bluer_uuid).collect(),
        local_name: Some(profile.identity.name.value.clone()),
        discoverable: Some(true),
        ..Advertisement::default()
    };
    if with_manufacturer_data {
        advertisement.manufacturer_data.insert(advertising.company.value, manufacturer_data(profile, address));
    }
    advertisement
}

/// Whether a scanner that knows no extended advertising hears all of it: BlueZ would take more on an adapter that has extended
/// advertising, and older phones would not hear the band.
pub(super) fn is_heard_by_all(profile: &BandProfile) -> bool {
    let advertising = &profile.advertising;
    let structure = |kind, data| AdStructure { kind, data };
    let manufacturer = manufacturer_data(profile, [0; 6]);
    let data = advertising::encode(&[
        structure(AdStructure::FLAGS, Vec::from([advertising.flags.value])),
        structure(
            AdStructure::SERVICES_16,
            advertising.services.value.iter().flat_map(|uuid| uuid.to_le_bytes()).collect(),
        ),
        structure(AdStructure::MANUFACTURER, [&advertising.company.value.to_le_bytes()[..], &manufacturer].concat()),
    ]);
    data.len() <= MAX_ADVERTISING_BYTES
}

fn manufacturer_data(profile: &BandProfile, address: [u8; 6]) -> Vec<u8> {
    [&profile.advertising.manufacturer_prefix.value[..], &address].concat()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn band() -> BandProfile {
        serde_yaml::from_str(include_str!("../../../../fixtures/profiles/mi-smart-band-4-nfc.yaml")).unwrap()
    }

    /// Which handle each service of the table is asked for, in its order.
    fn asked(profile: &Profile, kept_from: Option<u16>) -> Vec<(Uuid, u16)> {
        served(profile, kept_from.map(Handle)).iter().filter_map(Object::asks_as_service).collect()
    }

    fn wished(profile: &Profile) -> Vec<Option<u16>> {
        wishes(profile).map(|wish| wish.map(|handle| handle.0)).collect()
    }

    const ALL: [Option<u16>; 8] =
        [Some(0x14), Some(0x1A), Some(0x21), Some(0x24), Some(0x2A), Some(0x5E), Some(0x73), None];

    #[test]
    fn bluetoothd_is_asked_for_all_handles_it_may_have_room_for_and_at_last_for_none() {
        assert_eq!(wished(&band().gatt), ALL);
    }

    #[test]
    fn services_that_keep_their_handles_come_first() {
        let gatt = band().gatt;
        let names = |handles: &[u16]| {
            let service = |handle: &u16| gatt.services.iter().find(|each| each.handle.0 == *handle).unwrap().uuid;
            handles.iter().map(service).collect::<Vec<_>>()
        };
        let cases = [
            (Some(0x14), [0x14, 0x1A, 0x21, 0x24, 0x2A, 0x5E, 0x73, 0x09], 7),
            (Some(0x5E), [0x5E, 0x73, 0x09, 0x14, 0x1A, 0x21, 0x24, 0x2A], 2),
            (None, [0x09, 0x14, 0x1A, 0x21, 0x24, 0x2A, 0x5E, 0x73], 0),
        ];
        for (kept_from, order, kept) in cases {
            let handles = order.iter().enumerate().map(|(place, handle)| if place < kept { *handle } else { 0 });
            let expected = names(&order).into_iter().zip(handles).collect::<Vec<_>>();
            assert_eq!(asked(&gatt, kept_from), expected, "{kept_from:?}");
        }
    }

    #[test]
    fn a_service_with_a_gap_in_it_keeps_no_handles() {
        type Change = fn(&mut Service);
        let gaps: [Change; 4] = [
            |service| service.characteristics[0].handle.0 += 1,
            |service| service.characteristics[0].descriptors[0].handle.0 += 1,
            // One that bluetoothd would put there, and one that it would not.
            |service| service.characteristics[0].descriptors.clear(),
            |service| service.characteristics[0].properties.retain(|property| *property != Property::Notify),
        ];
        for (number, gap) in gaps.into_iter().enumerate() {
            let mut gatt = band().gatt;
            let service = gatt.services.iter_mut().find(|service| service.handle == Handle(0x73)).unwrap();
            gap(service);
            assert_eq!(wished(&gatt), [&ALL[..6], &[None]].concat(), "{number}");
            assert_eq!(asked(&gatt, Some(0x5E))[1], (Uuid::sig(0x180A), 0), "{number}");
        }
    }

    #[test]
    fn the_manufacturer_data_is_left_out_where_not_everybody_would_hear_it() {
        let mut profile = band();
        assert!(!is_heard_by_all(&profile), "flags 3, service 4, manufacturer data 4 + 24");
        let address = [1, 2, 3, 4, 5, 6];
        assert!(advertisement(&profile, address, false).manufacturer_data.is_empty());
        profile.advertising.manufacturer_prefix.value.0.truncate(14);
        assert!(is_heard_by_all(&profile), "exactly 31");
        let said = advertisement(&profile, address, true);
        let expected = [&profile.advertising.manufacturer_prefix.value[..], &address].concat();
        assert_eq!(said.manufacturer_data.get(&0x0157), Some(&expected));
        assert_eq!(said.local_name.as_deref(), Some("Mi Smart Band 4"));
        assert_eq!(said.service_uuids.len(), 1);
        profile.advertising.manufacturer_prefix.value.0.push(0);
        assert!(!is_heard_by_all(&profile), "one byte too many");
    }
}
