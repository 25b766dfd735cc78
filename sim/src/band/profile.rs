//! What a band is: everything a file in `fixtures/profiles/` says, each entry with its source.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::air::AirProfile;
use super::period::Period;
use crate::card::profile::CardProfile;
use crate::wire::frame::battery::Battery;
use crate::wire::frame::nfc_channel::{Framing, LengthField, Opcodes, Status};
use crate::wire::gatt::{Profile, Uuid};
use crate::wire::hex::Hex;
use crate::wire::marked::Marked;

/// A band as it leaves the factory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BandProfile {
    /// Who it is.
    pub identity: Identity,
    /// What it advertises.
    pub advertising: Advertising,
    /// How it knows its phone.
    pub authentication: Authentication,
    /// The APDU channel.
    pub nfc_channel: NfcChannel,
    /// How it speaks to a reader.
    pub air: AirProfile,
    /// The transfers on H:0020.
    pub chunked: Chunked,
    /// The battery as it is at first.
    pub battery: Marked<Battery>,
    /// The heart of whoever wears it.
    pub heart_rate: HeartRate,
    /// Where sources leave room.
    pub behaviour: Behaviour,
    /// Its attribute table.
    pub gatt: Profile,
    /// Its secure element.
    #[serde(default)]
    pub secure_element: CardProfile,
}

/// Who a band is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The device name, advertised and in 2A00.
    pub name: Marked<String>,
    /// The Bluetooth address, 6 bytes as it is printed.
    pub address: Marked<Hex>,
    /// The serial number as Bluetooth gives it (2A25).
    pub serial_ble: Marked<String>,
    /// The serial number on its back (W1).
    pub serial_printed: Marked<String>,
    /// Hardware revision (2A27).
    pub hardware_revision: Marked<String>,
    /// Software revision (2A28), which is the firmware's.
    pub software_revision: Marked<String>,
    /// PnP id (2A50), 7 bytes.
    pub pnp_id: Marked<Hex>,
}

impl Identity {
    /// The address as six bytes; what a file gives too short counts as zeros.
    #[must_use]
    pub fn address(&self) -> [u8; 6] {
        self.address.value.first_chunk().copied().unwrap_or_default()
    }

    /// System id (2A23): the address with FF FE in its middle.
    #[must_use]
    pub fn system_id(&self) -> [u8; 8] {
        let [a, b, c, d, e, f] = self.address();
        [a, b, c, 0xFF, 0xFE, d, e, f]
    }
}

/// What a band advertises.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advertising {
    /// Flags (Core Specification Supplement 11, part A 1.3).
    pub flags: Marked<u8>,
    /// 16-bit UUIDs of the services it names.
    pub services: Marked<Vec<Uuid>>,
    /// Company of its manufacturer data.
    pub company: Marked<u16>,
    /// Manufacturer data before the address.
    pub manufacturer_prefix: Marked<Hex>,
}

/// How a band knows its phone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Authentication {
    /// Code of the reply to a wrong key.
    pub wrong_key_code: Marked<u8>,
    /// Whether a phone may bring its own key in the clear (`01 00 <key>`).
    pub legacy_pairing: Marked<bool>,
    /// Version of signed pairing, four bits; in the reply to `01 14`.
    pub pairing_version: Marked<u8>,
    /// Algorithm of the hash that names the public key, four bits; 0 is `SHA1:`.
    pub pairing_algorithm: Marked<u8>,
    /// Hash that names the public key, 16 bytes.
    pub pairing_public_key_hash: Marked<Hex>,
    /// The RSA key that signed pairings must be signed with. Its private half is the cloud's.
    pub pairing_public_key: Marked<PublicKey>,
    /// How long the wearer is asked.
    pub confirm_timeout: Marked<Period>,
}

/// An RSA public key, big-endian numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicKey {
    /// n.
    pub modulus: Hex,
    /// e.
    pub public_exponent: Hex,
}

/// The APDU channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NfcChannel {
    /// First bytes of its messages.
    pub opcodes: Marked<Opcodes>,
    /// The most bytes of one message.
    pub fragment_bytes: Marked<u16>,
    /// Where the length stands.
    pub length: Marked<LengthField>,
    /// The most bytes of a command APDU.
    pub max_apdu_bytes: Marked<u16>,
    /// An open channel in which nothing was exchanged for so long is closed by the band.
    pub idle_timeout: Marked<Period>,
    /// A command whose next fragment does not come for so long closes the channel.
    pub fragment_timeout: Marked<Period>,
    /// What the band answers when something goes wrong.
    pub status: ChannelStatus,
}

impl NfcChannel {
    /// The framing for the codecs.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        Framing { opcodes: self.opcodes.value, fragment_bytes: self.fragment_bytes.value, length: self.length.value }
    }
}

/// What the band answers on the channel when something goes wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelStatus {
    /// The connection has not authenticated.
    pub not_authenticated: Marked<Status>,
    /// A command came while the channel was closed.
    pub not_open: Marked<Status>,
    /// A message made no sense: the channel is closed.
    pub malformed: Marked<Status>,
    /// Opening while the band is in a reader's field.
    pub field_present: Marked<Status>,
    /// The band came into a reader's field: the channel is closed.
    pub field_appeared: Marked<Status>,
    /// Nothing came in time: the channel is closed.
    pub timeout: Marked<Status>,
}

/// The transfers on H:0020.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chunked {
    /// The most bytes of one transfer.
    pub max_payload_bytes: Marked<u16>,
    /// The profile byte of its acks.
    pub ack_profile: Marked<u8>,
}

/// The heart of whoever wears a band, and how it is measured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeartRate {
    /// Beats per minute.
    pub beats_per_minute: Marked<u8>,
    /// How long one measurement takes.
    pub measurement: Marked<Period>,
    /// How long measurements go on when the phone does not say that it still listens.
    pub listener_timeout: Marked<Period>,
}

/// Where sources leave room, and what this band does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behaviour {
    /// Whether a factory reset takes the cards out of the secure element (R6).
    pub factory_reset_wipes_cards: Marked<bool>,
    /// Whether the link is dropped after a factory reset.
    pub factory_reset_disconnects: Marked<bool>,
    /// Whether a reader's field closes an open NFC channel.
    pub field_closes_channel: Marked<bool>,
    /// Whether the clock keeps its time without power.
    pub clock_survives_power_loss: Marked<bool>,
    /// Time zone of the clock before it is set, quarter hours.
    pub factory_zone_quarters: Marked<i8>,
}
