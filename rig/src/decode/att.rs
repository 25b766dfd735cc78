//! What is written to the band's characteristics and notified by them, in words.

use band_sim::wire::frame::battery::{Battery, Charging};
use band_sim::wire::frame::chunked::{Ack, Chunk};
use band_sim::wire::frame::event::DeviceEvent;
use band_sim::wire::frame::nfc_channel::{self, Framing};
use band_sim::wire::frame::{auth, config};
use band_sim::wire::gatt::{CharacteristicId, Uuid};

use super::count;

/// Which way a value went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Written by the phone.
    ToBand,
    /// Read by the phone or notified by the band.
    FromBand,
}

/// A value in one line, without its bytes; `None` when it says nothing this project knows, or does not decode.
///
/// `characteristic` is the UUID as it is printed, `H:0009` or `2A25`, or a name with it in brackets: `authentication (H:0009)`.
#[must_use]
pub fn summarize_att(characteristic: &str, direction: Direction, value: &[u8]) -> Option<String> {
    let uuid: Uuid = short(characteristic).parse().ok()?;
    let is = |id: CharacteristicId| id.characteristic == uuid;
    match direction {
        Direction::ToBand if is(CharacteristicId::AUTH) => auth_request(value),
        Direction::FromBand if is(CharacteristicId::AUTH) => auth_reply(value),
        Direction::ToBand if is(CharacteristicId::NFC_CHANNEL) => channel_request(value),
        Direction::FromBand if is(CharacteristicId::NFC_CHANNEL) => channel_notification(value),
        Direction::ToBand if is(CharacteristicId::CONFIG) => config_request(value),
        Direction::FromBand if is(CharacteristicId::CONFIG) => config_reply(value),
        Direction::ToBand if is(CharacteristicId::CHUNKED) => chunk(value),
        Direction::FromBand if is(CharacteristicId::CHUNKED) => chunk_ack(value),
        Direction::FromBand if is(CharacteristicId::DEVICE_EVENT) => device_event(value),
        Direction::FromBand if is(CharacteristicId::BATTERY) => battery(value),
        Direction::FromBand if TEXTS.iter().any(|&id| is(id)) => text(value),
        _ => None,
    }
}

/// Characteristics whose value is text.
const TEXTS: [CharacteristicId; 4] = [
    CharacteristicId::DEVICE_NAME,
    CharacteristicId::SERIAL_NUMBER,
    CharacteristicId::HARDWARE_REVISION,
    CharacteristicId::SOFTWARE_REVISION,
];

/// `authentication (H:0009)` is `H:0009` for short.
fn short(characteristic: &str) -> &str {
    match characteristic.rsplit_once('(') {
        Some((_, tail)) => tail.trim_end_matches(')'),
        None => characteristic,
    }
}

fn auth_request(value: &[u8]) -> Option<String> {
    Some(match auth::Request::decode(value).ok()? {
        auth::Request::Pair { .. } => "pair with this key".to_owned(),
        auth::Request::PairProbe => "ask how to pair".to_owned(),
        auth::Request::Random { .. } => "ask for a random number".to_owned(),
        auth::Request::Answer { .. } => "answer the random number".to_owned(),
        auth::Request::Unknown(_) => return None,
    })
}

fn auth_reply(value: &[u8]) -> Option<String> {
    let reply = auth::Reply::decode(value).ok()?;
    let command = match reply.command & 0x7F {
        0x01 => "pairing",
        0x02 => "random number",
        0x03 => "authentication",
        _ => return None,
    };
    Some(format!("{command}: {}", reply.code))
}

fn channel_request(value: &[u8]) -> Option<String> {
    Some(match Framing::HUAMI.decode_request(value).ok()? {
        nfc_channel::Request::Open => "open the channel".to_owned(),
        nfc_channel::Request::Close => "close the channel".to_owned(),
        nfc_channel::Request::Fragment(fragment) => self::fragment(&fragment),
        nfc_channel::Request::MifareTag => "read a MIFARE tag".to_owned(),
        nfc_channel::Request::Unknown(_) => return None,
    })
}

fn channel_notification(value: &[u8]) -> Option<String> {
    Some(match Framing::HUAMI.decode_notification(value).ok()? {
        nfc_channel::Notification::Opened(status) => format!("channel opened: {status}"),
        nfc_channel::Notification::Closed(status) => format!("channel closed: {status}"),
        nfc_channel::Notification::Fragment(fragment) => self::fragment(&fragment),
        nfc_channel::Notification::MifareTag(_) => "a MIFARE tag".to_owned(),
        nfc_channel::Notification::Unknown(_) => return None,
    })
}

fn fragment(fragment: &nfc_channel::Fragment) -> String {
    let which = if fragment.last { "last fragment" } else { "fragment" };
    format!("{which}, {}", count(fragment.data.len(), "byte"))
}

fn config_request(value: &[u8]) -> Option<String> {
    Some(match config::Request::decode(value).ok()? {
        request if request == config::Request::factory_reset() => "factory reset".to_owned(),
        config::Request::Set { id, .. } => format!("set setting {:02X}", id.0),
        config::Request::GpsVersion => "ask for the position data's version".to_owned(),
        config::Request::Alarms => "ask for the alarms".to_owned(),
        config::Request::Unknown(_) => return None,
    })
}

fn config_reply(value: &[u8]) -> Option<String> {
    Some(match config::Reply::decode(value).ok()? {
        config::Reply::Set { id, code } if id == config::SettingId::FACTORY_RESET => format!("factory reset: {code}"),
        config::Reply::Set { id, code } => format!("setting {:02X}: {code}", id.0),
        config::Reply::Other { command, code, .. } => format!("command {command:02X}: {code}"),
        config::Reply::Unknown(_) => return None,
    })
}

fn chunk(value: &[u8]) -> Option<String> {
    let chunk = Chunk::decode(value).ok()?;
    Some(format!("chunk {} of {}, {}", chunk.index, kind(chunk.kind.byte()), count(chunk.data.len(), "byte")))
}

fn chunk_ack(value: &[u8]) -> Option<String> {
    let ack = Ack::decode(value).ok()?;
    Some(format!("chunks of {}: {}", kind(ack.flags_and_type), ack.code))
}

/// What a chunked transfer carries, by its type byte with or without the flags in the upper bits.
fn kind(flags_and_type: u8) -> String {
    match flags_and_type & 0x3F {
        0 => "a notification".to_owned(),
        1 => "weather".to_owned(),
        2 => "configuration".to_owned(),
        3 => "music".to_owned(),
        4 => "a pairing signature".to_owned(),
        6 => "a position".to_owned(),
        other => format!("type {other:02X}"),
    }
}

fn device_event(value: &[u8]) -> Option<String> {
    Some(match DeviceEvent::decode(value).ok()? {
        DeviceEvent::Mtu(mtu) => format!("the band would like MTU {mtu}"),
        DeviceEvent::Music(_) => "music control".to_owned(),
        DeviceEvent::Unknown(_) => return None,
        DeviceEvent::Asleep => "fell asleep".to_owned(),
        DeviceEvent::Awake => "woke up".to_owned(),
        DeviceEvent::TakenOff => "taken off".to_owned(),
        DeviceEvent::Button => "button".to_owned(),
        DeviceEvent::ButtonLong => "long button".to_owned(),
        other => format!("{other:?}"),
    })
}

fn battery(value: &[u8]) -> Option<String> {
    let battery = Battery::decode(value).ok()?;
    let charging = if battery.charging == Charging::Yes { ", charging" } else { "" };
    Some(format!("{} %{charging}", battery.level))
}

fn text(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    (!text.contains(char::is_control)).then(|| format!("{text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::parse_hex;

    #[test]
    fn each_frame_has_its_words() {
        use Direction::{FromBand, ToBand};
        // facts/band-ble.md 1.5, 1.6, 1.7, 1.3, 2.1.
        let rows = [
            ("H:0009", ToBand, "82 00 02 01 00", "ask for a random number"),
            ("authentication (H:0009)", FromBand, "10 83 01", "authentication: 01 success"),
            ("H:0009", FromBand, "10 03 08", "authentication: 08 wrong key"),
            ("H:0009", ToBand, "01 14", "ask how to pair"),
            ("H:0009", FromBand, "10 01 02", "pairing: 02 invalid state or denied"),
            ("NFC channel (H:0011)", ToBand, "01", "open the channel"),
            ("H:0011", FromBand, "81 00", "channel opened: success (00)"),
            ("H:0011", FromBand, "82 02", "channel closed: closed, timeout (02)"),
            ("H:0011", ToBand, "03 00 A4 04 00 0E 00", "last fragment, 6 bytes"),
            ("H:0003", ToBand, "06 0B 00 01", "factory reset"),
            ("H:0003", FromBand, "10 06 0B 00 01", "factory reset: 01 success"),
            ("H:0020", ToBand, "00 82 01 03 33", "chunk 1 of configuration, 2 bytes"),
            ("H:0020", FromBand, "10 00 84 01 01", "chunks of a pairing signature: 01 success"),
            ("H:0010", FromBand, "16 F7 00", "the band would like MTU 247"),
            ("H:0006", FromBand, "0F 51 00 E7070516000A03 1C E7070516000A0B 1C 64", "81 %"),
            ("2A25", FromBand, "30 31 61 62", "\"01ab\""),
        ];
        for (characteristic, direction, hex, words) in rows {
            let value = parse_hex(hex).unwrap();
            assert_eq!(
                summarize_att(characteristic, direction, &value).as_deref(),
                Some(words),
                "{characteristic} {hex}"
            );
        }
    }

    #[test]
    fn what_nobody_knows_has_no_words() {
        for (characteristic, value) in
            [("H:0009", &[0x77][..]), ("H:0011", &[]), ("2A25", &[0xFF]), ("nonsense", &[1]), ("", &[])]
        {
            for direction in [Direction::ToBand, Direction::FromBand] {
                assert_eq!(summarize_att(characteristic, direction, value), None, "{characteristic} {value:02X?}");
            }
        }
    }
}
