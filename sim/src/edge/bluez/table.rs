//! The profile's attribute table as BlueZ wants it, and what BlueZ does differently.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use bluer::Uuid as BluerUuid;
use bluer::adv::Advertisement;
use bluer::gatt::local::{
    Application, Characteristic as BluerCharacteristic, CharacteristicControl, CharacteristicControlEvent,
    CharacteristicNotify, CharacteristicNotifyMethod, CharacteristicRead, CharacteristicReadRequest,
    CharacteristicWrite, CharacteristicWriteMethod, CharacteristicWriteRequest, Descriptor as BluerDescriptor,
    DescriptorRead, DescriptorReadRequest, ReqError, ReqResult, Service as BluerService, characteristic_control,
};
use futures::future::FutureExt;
use futures::stream::{BoxStream, SelectAll, StreamExt};
use tokio::sync::{mpsc, oneshot};

use crate::band::profile::BandProfile;
use crate::wire::advertising::{self, AdStructure};
use crate::wire::gatt::{
    AttError, Characteristic, CharacteristicId, Descriptor, Handle, Profile, Property, Service, Uuid,
};

/// bluetoothd serves its own.
const SERVED_BY_BLUEZ: [Uuid; 2] = [Uuid::sig(0x1800), Uuid::sig(0x1801)];
/// The longest advertising data that every scanner hears (Core 5.4 vol 6 part B 2.3.1).
const MAX_ADVERTISING_BYTES: usize = 31;

/// Something that BlueZ does not let be as the profile has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// 1800 and 1801 are bluetoothd's own, with other handles and with characteristics that the band has not.
    OwnServices,
    /// Handles are given by bluetoothd, in an order that it chooses.
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

/// A phone asks something that the band answers. Handles are the profile's.
pub(super) struct Ask {
    pub(super) device: [u8; 6],
    pub(super) mtu: Option<u16>,
    pub(super) what: What,
}

pub(super) enum What {
    Read { handle: Handle, offset: u16, reply: oneshot::Sender<ReqResult<Vec<u8>>> },
    Write { handle: Handle, offset: u16, value: Vec<u8>, reply: oneshot::Sender<ReqResult<()>> },
}

/// Sockets of the characteristic with this value handle.
pub(super) type Controls = SelectAll<BoxStream<'static, (Handle, CharacteristicControlEvent)>>;

/// The table to register, with what comes out of it.
pub(super) fn application(profile: &Profile, asks: &mpsc::Sender<Ask>) -> (Application, Controls) {
    let mut controls = Controls::new();
    let nfc_channel = profile.value_handle(&CharacteristicId::NFC_CHANNEL);
    let services = profile.services.iter().filter(|service| !SERVED_BY_BLUEZ.contains(&service.uuid));
    let services = services.map(|service| served(service, nfc_channel, asks, &mut controls)).collect();
    (Application { services, ..Application::default() }, controls)
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

fn served(
    service: &Service,
    nfc_channel: Option<Handle>,
    asks: &mpsc::Sender<Ask>,
    controls: &mut Controls,
) -> BluerService {
    let characteristics = service.characteristics.iter();
    let characteristics = characteristics.map(|found| characteristic(found, nfc_channel, asks, controls)).collect();
    BluerService { uuid: bluer_uuid(&service.uuid), primary: true, characteristics, ..BluerService::default() }
}

fn characteristic(
    found: &Characteristic,
    nfc_channel: Option<Handle>,
    asks: &mpsc::Sender<Ask>,
    controls: &mut Controls,
) -> BluerCharacteristic {
    let handle = found.handle;
    let by_socket = Some(handle) == nfc_channel && found.has(Property::WriteWithoutResponse);
    let (control, control_handle) = characteristic_control();
    if found.has(Property::Notify) || by_socket {
        controls.push(tagged(control, handle));
    }
    let writable = found.has(Property::Write) || found.has(Property::WriteWithoutResponse);
    let descriptors = found.descriptors.iter().filter(|descriptor| descriptor.uuid != Uuid::CCCD);
    BluerCharacteristic {
        uuid: bluer_uuid(&found.uuid),
        descriptors: descriptors.map(|found| descriptor(found, asks)).collect(),
        read: found.has(Property::Read).then(|| read(handle, asks)),
        write: writable.then(|| CharacteristicWrite {
            write: found.has(Property::Write),
            write_without_response: found.has(Property::WriteWithoutResponse),
            method: if by_socket { CharacteristicWriteMethod::Io } else { write(handle, asks) },
            ..CharacteristicWrite::default()
        }),
        notify: found.has(Property::Notify).then(|| CharacteristicNotify {
            notify: true,
            method: CharacteristicNotifyMethod::Io,
            ..CharacteristicNotify::default()
        }),
        control_handle,
        ..BluerCharacteristic::default()
    }
}

fn tagged(control: CharacteristicControl, handle: Handle) -> BoxStream<'static, (Handle, CharacteristicControlEvent)> {
    control.map(move |event| (handle, event)).boxed()
}

fn read(handle: Handle, asks: &mpsc::Sender<Ask>) -> CharacteristicRead {
    let asks = asks.clone();
    let fun = move |request: CharacteristicReadRequest| {
        let (reply, answer) = oneshot::channel();
        let what = What::Read { handle, offset: request.offset, reply };
        ask(&asks, Ask { device: request.device_address.0, mtu: Some(request.mtu), what }, answer)
    };
    CharacteristicRead {
        read: true,
        fun: Box::new(move |request| fun(request).boxed()),
        ..CharacteristicRead::default()
    }
}

fn write(handle: Handle, asks: &mpsc::Sender<Ask>) -> CharacteristicWriteMethod {
    let asks = asks.clone();
    let fun = move |value: Vec<u8>, request: CharacteristicWriteRequest| {
        let (reply, answer) = oneshot::channel();
        let what = What::Write { handle, offset: request.offset, value, reply };
        ask(&asks, Ask { device: request.device_address.0, mtu: Some(request.mtu), what }, answer)
    };
    CharacteristicWriteMethod::Fun(Box::new(move |value, request| fun(value, request).boxed()))
}

fn descriptor(found: &Descriptor, asks: &mpsc::Sender<Ask>) -> BluerDescriptor {
    let (handle, asks) = (found.handle, asks.clone());
    let fun = move |request: DescriptorReadRequest| {
        let (reply, answer) = oneshot::channel();
        let what = What::Read { handle, offset: request.offset, reply };
        ask(&asks, Ask { device: request.device_address.0, mtu: None, what }, answer)
    };
    BluerDescriptor {
        uuid: bluer_uuid(&found.uuid),
        read: Some(DescriptorRead {
            read: true,
            fun: Box::new(move |request| fun(request).boxed()),
            ..DescriptorRead::default()
        }),
        ..BluerDescriptor::default()
    }
}

/// Hands the question over at once, so that questions stay in order, and waits for the answer.
fn ask<T: Send>(
    asks: &mpsc::Sender<Ask>,
    question: Ask,
    answer: oneshot::Receiver<ReqResult<T>>,
) -> impl Future<Output = ReqResult<T>> + Send + use<T> {
    let handed_over = asks.try_send(question).map_err(|_| ReqError::Failed);
    async move {
        handed_over?;
        answer.await.unwrap_or(Err(ReqError::Failed))
    }
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
