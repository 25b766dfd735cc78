//! The attribute table of a band as data: services, characteristics, handles, and who may touch them when.
//!
//! Names and numbers follow the Bluetooth Core Specification 5.4, volume 3, parts F (ATT) and G (GATT). The table of a
//! particular band is a file in `fixtures/profiles/`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::hex::Hex;
use super::marked::{Marked, Source};
use super::{DecodeError, DecodeErrorKind};

/// A 128-bit UUID, most significant byte first as it is printed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid([u8; 16]);

/// `0000XXXX-0000-1000-8000-00805F9B34FB` (Core 5.4 vol 3 part B 2.5.1).
const SIG_BASE: [u8; 16] = [0, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0x80, 0x5F, 0x9B, 0x34, 0xFB];
/// `0000XXXX-0000-3512-2118-0009AF100700`, the vendor's own base.
const HUAMI_BASE: [u8; 16] = [0, 0, 0, 0, 0, 0, 0x35, 0x12, 0x21, 0x18, 0, 0x09, 0xAF, 0x10, 0x07, 0];

impl Uuid {
    /// Client Characteristic Configuration descriptor.
    pub const CCCD: Self = Self::sig(0x2902);
    /// Characteristic User Description descriptor.
    pub const USER_DESCRIPTION: Self = Self::sig(0x2901);

    /// A 16-bit UUID of the Bluetooth SIG.
    #[must_use]
    pub const fn sig(short: u16) -> Self {
        Self::on_base(SIG_BASE, short)
    }

    /// A 16-bit number on the vendor's base, written `H:XXXX`.
    #[must_use]
    pub const fn huami(short: u16) -> Self {
        Self::on_base(HUAMI_BASE, short)
    }

    /// The UUID of these bytes, most significant first.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes, most significant first.
    #[must_use]
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// All 128 bits as Bluetooth stacks write them: `00000009-0000-3512-2118-0009af100700`.
    #[must_use]
    pub fn hyphenated(self) -> String {
        alloc::format!("{self:#}")
    }

    /// The 16-bit number when this UUID lies on the Bluetooth SIG's base.
    #[must_use]
    pub fn sig_short(self) -> Option<u16> {
        self.short_on(SIG_BASE)
    }

    /// As it stands in attributes: 2 bytes when on the Bluetooth SIG's base, else 16; least significant first.
    #[must_use]
    pub fn to_le_bytes(self) -> Vec<u8> {
        match self.sig_short() {
            Some(short) => short.to_le_bytes().to_vec(),
            None => self.0.iter().rev().copied().collect(),
        }
    }

    #[allow(clippy::indexing_slicing, reason = "constant indices into arrays of 16")]
    const fn on_base(mut base: [u8; 16], short: u16) -> Self {
        let [high, low] = short.to_be_bytes();
        base[2] = high;
        base[3] = low;
        Self(base)
    }

    fn short_on(self, base: [u8; 16]) -> Option<u16> {
        let [_, _, high, low, ..] = self.0;
        let short = u16::from_be_bytes([high, low]);
        (Self::on_base(base, short) == self).then_some(short)
    }
}

impl fmt::Display for Uuid {
    /// `2A25`, `H:0011` or, on no known base or with `{:#}`, all 128 bits in lower case with hyphens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            if let Some(short) = self.short_on(SIG_BASE) {
                return write!(f, "{short:04X}");
            }
            if let Some(short) = self.short_on(HUAMI_BASE) {
                return write!(f, "H:{short:04X}");
            }
        }
        for (index, byte) in self.0.iter().enumerate() {
            let gap = if matches!(index, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{gap}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = DecodeError;

    /// Reads what [`fmt::Display`] writes, in either case.
    fn from_str(text: &str) -> Result<Self, DecodeError> {
        if let Some(short) = text.strip_prefix("H:") {
            return Ok(Self::huami(short_number(short, 2)?));
        }
        if text.len() == 4 {
            return Ok(Self::sig(short_number(text, 0)?));
        }
        let groups = text.split('-').map(str::len);
        if !groups.eq([8, 4, 4, 4, 12]) {
            return Err(DecodeErrorKind::BadLength.at(0));
        }
        let digits: String = text.chars().filter(|character| *character != '-').collect();
        let bytes = digits.parse::<Hex>().map_err(|error| error.kind.at(0))?;
        Ok(Self(bytes.0.try_into().map_err(|_| DecodeErrorKind::BadLength.at(0))?))
    }
}

fn short_number(digits: &str, at: usize) -> Result<u16, DecodeError> {
    let bytes = digits.parse::<Hex>().map_err(|error| error.kind.at(at + error.at))?;
    let bytes: [u8; 2] = bytes.0.try_into().map_err(|_| DecodeErrorKind::BadLength.at(at))?;
    Ok(u16::from_be_bytes(bytes))
}

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(|error| D::Error::custom(format_args!("not a UUID: {error}")))
    }
}

/// A characteristic by name: its own UUID is not enough, 2A04 exists in two services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CharacteristicId {
    /// The service it is in.
    pub service: Uuid,
    /// Its own UUID.
    pub characteristic: Uuid,
}

macro_rules! characteristics {
    ($($constant:ident, $service:expr, $characteristic:expr, $name:literal;)*) => {
        impl CharacteristicId {
            $(
                #[doc = concat!("The band's ", $name, ".")]
                pub const $constant: Self = Self::new($service, $characteristic);
            )*

            /// Every characteristic of the band, in the order of its attribute table.
            pub const ALL: &'static [Self] = &[$(Self::$constant),*];

            /// What it is called in reports; `None` for one that is not the band's.
            #[must_use]
            pub fn name(&self) -> Option<&'static str> {
                $(if *self == Self::$constant { return Some($name); })*
                None
            }
        }
    };
}

characteristics! {
    DEVICE_NAME, Uuid::sig(0x1800), Uuid::sig(0x2A00), "device name";
    APPEARANCE, Uuid::sig(0x1800), Uuid::sig(0x2A01), "appearance";
    PREFERRED_CONNECTION_PARAMETERS, Uuid::sig(0x1800), Uuid::sig(0x2A04), "preferred connection parameters";
    SERIAL_NUMBER, Uuid::sig(0x180A), Uuid::sig(0x2A25), "serial number";
    HARDWARE_REVISION, Uuid::sig(0x180A), Uuid::sig(0x2A27), "hardware revision";
    SOFTWARE_REVISION, Uuid::sig(0x180A), Uuid::sig(0x2A28), "software revision";
    SYSTEM_ID, Uuid::sig(0x180A), Uuid::sig(0x2A23), "system id";
    PNP_ID, Uuid::sig(0x180A), Uuid::sig(0x2A50), "PnP id";
    FIRMWARE_CONTROL, Uuid::huami(0x1530), Uuid::huami(0x1531), "firmware control";
    FIRMWARE_DATA, Uuid::huami(0x1530), Uuid::huami(0x1532), "firmware data";
    NEW_ALERT, Uuid::sig(0x1811), Uuid::sig(0x2A46), "new alert";
    ALERT_CONTROL, Uuid::sig(0x1811), Uuid::sig(0x2A44), "alert notification control";
    ALERT_LEVEL, Uuid::sig(0x1802), Uuid::sig(0x2A06), "alert level";
    HEART_RATE_MEASUREMENT, Uuid::sig(0x180D), Uuid::sig(0x2A37), "heart rate measurement";
    HEART_RATE_CONTROL, Uuid::sig(0x180D), Uuid::sig(0x2A39), "heart rate control";
    CURRENT_TIME, Uuid::sig(0xFEE0), Uuid::sig(0x2A2B), "current time";
    SENSOR_CONTROL, Uuid::sig(0xFEE0), Uuid::huami(0x0001), "sensor control";
    SENSOR_DATA, Uuid::sig(0xFEE0), Uuid::huami(0x0002), "sensor data";
    CONFIG, Uuid::sig(0xFEE0), Uuid::huami(0x0003), "configuration";
    CONNECTION_PARAMETERS, Uuid::sig(0xFEE0), Uuid::sig(0x2A04), "connection parameters";
    FETCH_CONTROL, Uuid::sig(0xFEE0), Uuid::huami(0x0004), "fetch control";
    ACTIVITY_DATA, Uuid::sig(0xFEE0), Uuid::huami(0x0005), "activity data";
    BATTERY, Uuid::sig(0xFEE0), Uuid::huami(0x0006), "battery";
    STEPS, Uuid::sig(0xFEE0), Uuid::huami(0x0007), "steps";
    USER_SETTINGS, Uuid::sig(0xFEE0), Uuid::huami(0x0008), "user settings";
    DEVICE_EVENT, Uuid::sig(0xFEE0), Uuid::huami(0x0010), "device event";
    CHUNKED, Uuid::sig(0xFEE0), Uuid::huami(0x0020), "chunked transfer";
    UNNAMED_000E, Uuid::sig(0xFEE0), Uuid::huami(0x000E), "unnamed H:000E";
    WORKOUT, Uuid::sig(0xFEE0), Uuid::huami(0x000F), "workout";
    NFC_CHANNEL, Uuid::sig(0xFEE0), Uuid::huami(0x0011), "NFC channel";
    AUDIO, Uuid::sig(0xFEE0), Uuid::huami(0x0012), "audio";
    AUDIO_DATA, Uuid::sig(0xFEE0), Uuid::huami(0x0013), "audio data";
    AUTH, Uuid::sig(0xFEE1), Uuid::huami(0x0009), "authentication";
    UNNAMED_FEDD, Uuid::sig(0xFEE1), Uuid::sig(0xFEDD), "unnamed FEDD";
    UNNAMED_FEDE, Uuid::sig(0xFEE1), Uuid::sig(0xFEDE), "unnamed FEDE";
    UNNAMED_FEDF, Uuid::sig(0xFEE1), Uuid::sig(0xFEDF), "unnamed FEDF";
    UNNAMED_FED0, Uuid::sig(0xFEE1), Uuid::sig(0xFED0), "unnamed FED0";
    UNNAMED_FED1, Uuid::sig(0xFEE1), Uuid::sig(0xFED1), "unnamed FED1";
    UNNAMED_FED2, Uuid::sig(0xFEE1), Uuid::sig(0xFED2), "unnamed FED2";
    UNNAMED_FED3, Uuid::sig(0xFEE1), Uuid::sig(0xFED3), "unnamed FED3";
    UNNAMED_FEC1, Uuid::sig(0xFEE1), Uuid::huami(0xFEC1), "unnamed H:FEC1";
    UNNAMED_4A02, Uuid::sig(0x3802), Uuid::sig(0x4A02), "unnamed 4A02";
}

impl CharacteristicId {
    /// The characteristic of these two UUIDs.
    #[must_use]
    pub const fn new(service: Uuid, characteristic: Uuid) -> Self {
        Self { service, characteristic }
    }
}

impl fmt::Display for CharacteristicId {
    /// `NFC channel (H:0011)`, or `2A99 in 1800` when it has no name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.characteristic),
            None => write!(f, "{} in {}", self.characteristic, self.service),
        }
    }
}

/// An attribute handle. Where a characteristic is meant it is the handle of its value, never of its declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Handle(pub u16);

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:04x}", self.0)
    }
}

macro_rules! att_errors {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// Why an attribute request was refused (Core 5.4 vol 3 part F 3.4.1.1).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum AttError {
            $($(#[$doc])* $name,)*
            /// Any other code.
            Other(u8),
        }

        impl AttError {
            /// The error of this code.
            #[must_use]
            pub const fn from_code(code: u8) -> Self {
                match code {
                    $($code => Self::$name,)*
                    code => Self::Other(code),
                }
            }

            /// Its code on the air.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Other(code) => code,
                }
            }
        }

        impl fmt::Display for AttError {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name => write!(f, concat!("ATT error 0x{:02x} ", $text), $code),)*
                    Self::Other(code) => write!(f, "ATT error 0x{code:02x}"),
                }
            }
        }
    };
}

att_errors! {
    /// No attribute has this handle.
    InvalidHandle = 0x01, "invalid handle";
    /// The attribute cannot be read, or not now.
    ReadNotPermitted = 0x02, "read not permitted";
    /// The attribute cannot be written, or not now.
    WriteNotPermitted = 0x03, "write not permitted";
    /// The request itself is malformed.
    InvalidPdu = 0x04, "invalid PDU";
    /// The link must be authenticated first.
    InsufficientAuthentication = 0x05, "insufficient authentication";
    /// The band does not do this.
    RequestNotSupported = 0x06, "request not supported";
    /// An offset past the end of the value.
    InvalidOffset = 0x07, "invalid offset";
    /// The application on the band does not allow it.
    InsufficientAuthorization = 0x08, "insufficient authorization";
    /// A value of this length does not fit the attribute.
    InvalidLength = 0x0D, "invalid attribute value length";
    /// Something went wrong that has no better word.
    UnlikelyError = 0x0E, "unlikely error";
    /// The band has no room left for it.
    InsufficientResources = 0x11, "insufficient resources";
    /// The attribute does not take this value.
    ValueNotAllowed = 0x13, "value not allowed";
}

/// What a characteristic offers (Core 5.4 vol 3 part G 3.3.1.1), of the properties a band uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Property {
    /// Can be read.
    Read,
    /// Can be written without an answer.
    WriteWithoutResponse,
    /// Can be written, the band answers.
    Write,
    /// Notifies.
    Notify,
}

impl Property {
    /// Its bit in the characteristic declaration.
    #[must_use]
    pub const fn bit(self) -> u8 {
        match self {
            Self::Read => 0x02,
            Self::WriteWithoutResponse => 0x04,
            Self::Write => 0x08,
            Self::Notify => 0x10,
        }
    }
}

/// When an attribute may be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// At any time.
    Open,
    /// Once this connection has authenticated.
    AfterAuthentication,
    /// Not at all, although its properties offer it.
    Never,
}

/// The attribute table of a band.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// In the order of their handles.
    pub services: Vec<Service>,
}

/// A primary service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// What it is.
    pub uuid: Uuid,
    /// Handle of its declaration.
    pub handle: Handle,
    /// Source of UUID and handle.
    pub source: Source,
    /// In the order of their handles.
    #[serde(default)]
    pub characteristics: Vec<Characteristic>,
}

/// A characteristic of a [`Service`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Characteristic {
    /// What it is.
    pub uuid: Uuid,
    /// Handle of its declaration.
    pub declaration: Handle,
    /// Handle of its value.
    pub handle: Handle,
    /// What it offers.
    pub properties: Vec<Property>,
    /// Source of UUID, handles and properties.
    pub source: Source,
    /// When it may be read; without meaning where its properties do not offer reading.
    pub read: Marked<Gate>,
    /// When it may be written, with or without response; without meaning where its properties do not offer writing.
    pub write: Marked<Gate>,
    /// What it holds at first. Values the band computes (clock, battery, identity) are not kept here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Marked<Hex>>,
    /// Its descriptors, in the order of their handles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub descriptors: Vec<Descriptor>,
}

/// A descriptor of a [`Characteristic`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descriptor {
    /// What it is.
    pub uuid: Uuid,
    /// Its handle.
    pub handle: Handle,
    /// Source of UUID and handle.
    pub source: Source,
    /// What it holds, for those that hold something fixed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Marked<Hex>>,
}

/// What a handle stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute<'a> {
    /// The declaration of a service.
    Service(&'a Service),
    /// The declaration of a characteristic.
    Declaration(&'a Characteristic),
    /// The value of a characteristic.
    Value(CharacteristicId, &'a Characteristic),
    /// A descriptor of a characteristic.
    Descriptor(&'a Characteristic, &'a Descriptor),
}

impl Profile {
    /// The value handle of a characteristic.
    #[must_use]
    pub fn value_handle(&self, id: &CharacteristicId) -> Option<Handle> {
        self.characteristics()
            .find(|(service, found)| service.uuid == id.service && found.uuid == id.characteristic)
            .map(|(_, found)| found.handle)
    }

    /// The characteristic whose value has this handle.
    #[must_use]
    pub fn characteristic(&self, handle: Handle) -> Option<&Characteristic> {
        self.characteristics().find(|(_, found)| found.handle == handle).map(|(_, found)| found)
    }

    /// The name of the characteristic whose value has this handle.
    #[must_use]
    pub fn id(&self, handle: Handle) -> Option<CharacteristicId> {
        self.characteristics()
            .find(|(_, found)| found.handle == handle)
            .map(|(service, found)| CharacteristicId::new(service.uuid, found.uuid))
    }

    /// Whatever has this handle.
    #[must_use]
    pub fn attribute(&self, handle: Handle) -> Option<Attribute<'_>> {
        if let Some(service) = self.services.iter().find(|service| service.handle == handle) {
            return Some(Attribute::Service(service));
        }
        self.characteristics().find_map(|(service, found)| {
            if found.handle == handle {
                return Some(Attribute::Value(CharacteristicId::new(service.uuid, found.uuid), found));
            }
            if found.declaration == handle {
                return Some(Attribute::Declaration(found));
            }
            let descriptor = found.descriptors.iter().find(|descriptor| descriptor.handle == handle)?;
            Some(Attribute::Descriptor(found, descriptor))
        })
    }

    /// Every characteristic with its service, in the order of the table.
    pub fn characteristics(&self) -> impl Iterator<Item = (&Service, &Characteristic)> {
        self.services.iter().flat_map(|service| service.characteristics.iter().map(move |found| (service, found)))
    }
}

impl Service {
    /// The value of its declaration (Core 5.4 vol 3 part G 3.1).
    #[must_use]
    pub fn declaration_value(&self) -> Vec<u8> {
        self.uuid.to_le_bytes()
    }
}

impl Characteristic {
    /// The value of its declaration: properties, value handle, UUID (Core 5.4 vol 3 part G 3.3.1).
    #[must_use]
    pub fn declaration_value(&self) -> Vec<u8> {
        let properties = self.properties.iter().fold(0, |bits, property| bits | property.bit());
        [&[properties], &self.handle.0.to_le_bytes()[..], &self.uuid.to_le_bytes()].concat()
    }

    /// Whether it offers this.
    #[must_use]
    pub fn has(&self, property: Property) -> bool {
        self.properties.contains(&property)
    }

    /// Its client characteristic configuration descriptor.
    #[must_use]
    pub fn cccd(&self) -> Option<&Descriptor> {
        self.descriptors.iter().find(|descriptor| descriptor.uuid == Uuid::CCCD)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::string::ToString;

    #[test]
    fn a_uuid_is_written_short_where_its_base_is_known() {
        assert_eq!(Uuid::sig(0x2A25).to_string(), "2A25");
        assert_eq!(Uuid::huami(0x11).to_string(), "H:0011");
        assert_eq!(Uuid::huami(0x11).hyphenated(), "00000011-0000-3512-2118-0009af100700");
        assert_eq!(Uuid::sig(0x2A25).hyphenated(), "00002a25-0000-1000-8000-00805f9b34fb");
        let foreign = Uuid::from_bytes([0x8E; 16]);
        assert_eq!(foreign.to_string(), "8e8e8e8e-8e8e-8e8e-8e8e-8e8e8e8e8e8e");
    }

    #[test]
    fn a_uuid_reads_what_it_writes() {
        for uuid in [Uuid::sig(0xFEE0), Uuid::huami(0xFEC1), Uuid::from_bytes([0xA5; 16])] {
            assert_eq!(uuid.to_string().parse(), Ok(uuid));
            assert_eq!(uuid.hyphenated().parse(), Ok(uuid));
        }
        for wrong in ["", "2A2", "2A2G", "H:1", "H:00111", "00002a25-0000-1000-8000-00805f9b34f", "é𝄞"] {
            assert!(wrong.parse::<Uuid>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_characteristic_has_its_own_name_and_place() {
        let places: BTreeSet<_> = CharacteristicId::ALL.iter().collect();
        let names: BTreeSet<_> = CharacteristicId::ALL.iter().filter_map(CharacteristicId::name).collect();
        assert_eq!(places.len(), CharacteristicId::ALL.len());
        assert_eq!(names.len(), CharacteristicId::ALL.len());
        assert_eq!(CharacteristicId::NFC_CHANNEL.to_string(), "NFC channel (H:0011)");
    }

    #[test]
    fn a_declaration_holds_properties_handle_and_uuid() {
        let found = Characteristic {
            uuid: Uuid::sig(0x2A2B),
            declaration: Handle(0x2B),
            handle: Handle(0x2C),
            properties: Vec::from([Property::Read, Property::Write, Property::Notify]),
            source: Source::Public,
            read: Marked::public(Gate::Open),
            write: Marked::public(Gate::Open),
            value: None,
            descriptors: Vec::new(),
        };
        assert_eq!(found.declaration_value(), [0x1A, 0x2C, 0x00, 0x2B, 0x2A]);
        let vendor = Characteristic { uuid: Uuid::huami(0x11), ..found };
        let value = vendor.declaration_value();
        assert_eq!((value.len(), value.last_chunk()), (19, Some(&[0x11, 0x00, 0x00, 0x00])));
    }

    #[test]
    fn every_att_error_code_survives() {
        for code in 0..=u8::MAX {
            assert_eq!(AttError::from_code(code).code(), code);
        }
        assert_eq!(AttError::ReadNotPermitted.to_string(), "ATT error 0x02 read not permitted");
    }
}
