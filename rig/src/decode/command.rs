//! APDUs in words.

use band_sim::wire::apdu::{CApdu, RApdu};
use band_sim::wire::tag::{self, Secret};
use band_sim::wire::tlv::{self, Tag};

use super::mask::{hidden, masked_hex, tokens, value_tokens};
use super::tree::{named_bytes, tag_with_name};
use super::{count, explain_tlv, is_known_tlv, is_tlv, spaced_hex, value};

/// Instructions this project meets, told apart by class as the standards do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instruction {
    Select,
    ReadRecord,
    ReadBinary,
    GetChallenge,
    Verify,
    InternalAuthenticate,
    ExternalAuthenticate,
    ManageChannel,
    GetResponse,
    GetData,
    PutData,
    GetProcessingOptions,
    GenerateAc,
    ExchangeRelayResistanceData,
    ComputeCryptographicChecksum,
    ApplicationBlock,
    ApplicationUnblock,
    CardBlock,
    PinChange,
    InitializeUpdate,
    Install,
    Load,
    StoreData,
    Delete,
    PutKey,
    GetStatus,
    SetStatus,
    GetUid,
}

/// Whether class and instruction are ones this project meets.
pub(super) fn is_known(command: &CApdu) -> bool {
    instruction(command).is_some()
}

/// A command in one line, without its bytes: `READ RECORD 1 of file 2`.
#[must_use]
pub fn summarize_command(command: &CApdu) -> String {
    let CApdu { p1, p2, data, .. } = command;
    let Some(instruction) = instruction(command) else {
        return format!("unknown command {}", spaced_hex(&[command.cla, command.ins, *p1, *p2]));
    };
    match instruction {
        Instruction::Select => format!("SELECT {}{}", aid(data), if p2 & 0x02 == 0 { "" } else { " (next)" }),
        Instruction::ReadRecord => format!("READ RECORD {p1} of file {}", p2 >> 3),
        Instruction::ReadBinary => "READ BINARY".to_owned(),
        Instruction::GetChallenge => "GET CHALLENGE".to_owned(),
        Instruction::Verify => "VERIFY".to_owned(),
        Instruction::InternalAuthenticate => "INTERNAL AUTHENTICATE".to_owned(),
        Instruction::ExternalAuthenticate if command.cla & 0x80 == 0 => "EXTERNAL AUTHENTICATE".to_owned(),
        Instruction::ExternalAuthenticate => format!("EXTERNAL AUTHENTICATE, security level {p1:02X}"),
        Instruction::ManageChannel => "MANAGE CHANNEL".to_owned(),
        Instruction::GetResponse => "GET RESPONSE".to_owned(),
        Instruction::GetData => format!("GET DATA {}", tag_with_name(parameter_tag(*p1, *p2))),
        Instruction::PutData => format!("PUT DATA {}", tag_with_name(parameter_tag(*p1, *p2))),
        Instruction::GetProcessingOptions => "GET PROCESSING OPTIONS".to_owned(),
        Instruction::GenerateAc => generate_ac(*p1),
        Instruction::ExchangeRelayResistanceData => "EXCHANGE RELAY RESISTANCE DATA".to_owned(),
        Instruction::ComputeCryptographicChecksum => "COMPUTE CRYPTOGRAPHIC CHECKSUM".to_owned(),
        Instruction::ApplicationBlock => "APPLICATION BLOCK".to_owned(),
        Instruction::ApplicationUnblock => "APPLICATION UNBLOCK".to_owned(),
        Instruction::CardBlock => "CARD BLOCK".to_owned(),
        Instruction::PinChange => "PIN CHANGE/UNBLOCK".to_owned(),
        Instruction::InitializeUpdate => format!("INITIALIZE UPDATE, key version {p1:02X}"),
        Instruction::Install => format!("INSTALL [{}]", install_purpose(*p1)),
        Instruction::Load => format!("LOAD block {p2}"),
        Instruction::StoreData => format!("STORE DATA block {p2}{}", if p1 & 0x80 == 0 { "" } else { ", the last" }),
        Instruction::Delete => format!("DELETE {}", named_aid(data)),
        Instruction::PutKey => format!("PUT KEY, key version {p1:02X}"),
        Instruction::GetStatus => format!("GET STATUS{}", if p2 & 0x01 == 0 { "" } else { " (next)" }),
        Instruction::SetStatus => set_status(*p1, *p2, data),
        Instruction::GetUid => "GET UID (reader command)".to_owned(),
    }
}

/// A response in one line, without its bytes.
#[must_use]
pub fn summarize_response(response: &RApdu) -> String {
    match response.data.len() {
        0 => response.sw.to_string(),
        len => format!("{}, {}", response.sw, count(len, "byte")),
    }
}

/// A command in words, over several lines.
#[must_use]
pub fn explain_command(command: &CApdu) -> String {
    let header = spaced_hex(&[command.cla, command.ins, command.p1, command.p2]);
    let mut lines = format!("C-APDU, case {}: {}\n  header {header}\n", command.case(), summarize_command(command));
    if command.cla & 0x0C != 0 && instruction(command) != Some(Instruction::GetUid) {
        lines += "  secure messaging\n";
    }
    if !command.data.is_empty() {
        lines += &explain_data(command);
    }
    if let Some(ne) = command.ne {
        lines += &format!("  wants up to {}\n", count(ne.try_into().unwrap_or(usize::MAX), "byte"));
    }
    lines
}

/// A response in words, over several lines.
#[must_use]
pub fn explain_response(response: &RApdu) -> String {
    let mut lines = format!("R-APDU: {}\n", summarize_response(response));
    if !response.data.is_empty() {
        lines += &if is_tlv(&response.data) {
            explain_tlv(&response.data, 2)
        } else {
            named_bytes("data", &tokens(&response.data), 2)
        };
    }
    lines
}

/// A command's bytes in spaced hex, with card data, PINs and keys masked.
#[must_use]
pub fn masked_command(command: &CApdu) -> String {
    let bytes = command.encode();
    let shown = data_tokens(command);
    let data_at = bytes.len().saturating_sub(shown.len() + le_bytes(command));
    let plain = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>();
    let (head, rest) = bytes.split_at_checked(data_at).unwrap_or((&bytes, &[]));
    let tail = rest.get(shown.len()..).unwrap_or_default();
    [plain(head), shown, plain(tail)].concat().join(" ")
}

/// Bytes that are no command in spaced hex, masked. Where they begin like one whose data is secret, all behind its header is hidden.
#[must_use]
pub fn masked_no_command(bytes: &[u8]) -> String {
    match bytes {
        [cla, ins, p1, p2, rest @ ..] if hides_its_data(instruction(&CApdu::new(*cla, *ins, *p1, *p2))) => {
            let header = [cla, ins, p1, p2].map(|byte| format!("{byte:02X}"));
            [&header[..], &hidden(rest.len())].concat().join(" ")
        }
        _ => masked_hex(bytes),
    }
}

/// A response's bytes in spaced hex, with card data masked.
#[must_use]
pub fn masked_response(response: &RApdu) -> String {
    let mut shown = tokens(&response.data);
    shown.push(spaced_hex(&response.sw.value().to_be_bytes()));
    shown.join(" ")
}

/// Whether `data` answer GET RESPONSE and are no whole objects: the tags that say what of them is secret came in an earlier piece.
#[must_use]
pub fn is_later_piece(command: &[u8], data: &[u8]) -> bool {
    let fetches = CApdu::decode(command).is_ok_and(|it| instruction(&it) == Some(Instruction::GetResponse));
    fetches && !data.is_empty() && !is_known_tlv(data)
}

fn instruction(command: &CApdu) -> Option<Instruction> {
    let proprietary = match command.cla {
        0x00..=0x1F => false,
        0x80..=0x9F => true,
        0xFF if command.ins == 0xCA => return Some(Instruction::GetUid),
        _ => return None,
    };
    Some(match (proprietary, command.ins) {
        (false, 0xA4) => Instruction::Select,
        (false, 0xB2) => Instruction::ReadRecord,
        (false, 0xB0) => Instruction::ReadBinary,
        (false, 0x84) => Instruction::GetChallenge,
        (_, 0x20) => Instruction::Verify,
        (false, 0x88) => Instruction::InternalAuthenticate,
        (_, 0x82) => Instruction::ExternalAuthenticate,
        (false, 0x70) => Instruction::ManageChannel,
        (_, 0xC0) => Instruction::GetResponse,
        (_, 0xCA) => Instruction::GetData,
        (_, 0xDA) => Instruction::PutData,
        (true, 0xA8) => Instruction::GetProcessingOptions,
        (true, 0xAE) => Instruction::GenerateAc,
        (true, 0xEA) => Instruction::ExchangeRelayResistanceData,
        (true, 0x2A) => Instruction::ComputeCryptographicChecksum,
        (true, 0x1E) => Instruction::ApplicationBlock,
        (true, 0x18) => Instruction::ApplicationUnblock,
        (true, 0x16) => Instruction::CardBlock,
        (_, 0x24) => Instruction::PinChange,
        (true, 0x50) => Instruction::InitializeUpdate,
        (true, 0xE6) => Instruction::Install,
        (true, 0xE8) => Instruction::Load,
        (true, 0xE2) => Instruction::StoreData,
        (true, 0xE4) => Instruction::Delete,
        (true, 0xD8) => Instruction::PutKey,
        (true, 0xF2) => Instruction::GetStatus,
        (true, 0xF0) => Instruction::SetStatus,
        _ => return None,
    })
}

fn explain_data(command: &CApdu) -> String {
    match instruction(command) {
        Some(Instruction::Select) => {
            let mut lines = named_bytes("name", &tokens(&command.data), 2);
            lines.extend(value::text(&command.data).iter().map(|text| format!("    = {text}\n")));
            lines
        }
        Some(Instruction::StoreData) => match data_groupings(&command.data) {
            Some(groupings) => groupings.iter().map(explain_grouping).collect(),
            None => named_bytes("data", &data_tokens(command), 2),
        },
        Some(Instruction::Install) => match install_fields(&command.data) {
            Some(fields) => fields.iter().map(|(name, field)| named_bytes(name, &tokens(field), 2)).collect(),
            None => named_bytes("data", &data_tokens(command), 2),
        },
        // These carry values without tags, whatever they may look like.
        Some(Instruction::GenerateAc | Instruction::Verify | Instruction::PinChange | Instruction::PutKey) => {
            named_bytes("data", &data_tokens(command), 2)
        }
        _ if is_tlv(&command.data) && command.cla & 0x0C == 0 => explain_tlv(&command.data, 2),
        _ => named_bytes("data", &data_tokens(command), 2),
    }
}

/// One token for each byte of the command's data.
fn data_tokens(command: &CApdu) -> Vec<String> {
    match instruction(command) {
        secret if hides_its_data(secret) => hidden(command.data.len()),
        // Values for the card in the order of its CDOL1: amounts and dates, no card number.
        Some(Instruction::GenerateAc) => command.data.iter().map(|byte| format!("{byte:02X}")).collect(),
        Some(Instruction::PutData) => value_tokens(parameter_tag(command.p1, command.p2), &command.data),
        Some(Instruction::StoreData) => match data_groupings(&command.data) {
            Some(groupings) => groupings.iter().flat_map(grouping_tokens).collect(),
            None if command.cla & 0x0C != 0 || is_known_tlv(&command.data) => tokens(&command.data),
            // A part of a grouping: what says how secret it is may stand in another command.
            None => hidden(command.data.len()),
        },
        _ => tokens(&command.data),
    }
}

/// PINs and keys.
const fn hides_its_data(instruction: Option<Instruction>) -> bool {
    matches!(instruction, Some(Instruction::Verify | Instruction::PinChange | Instruction::PutKey))
}

/// How many bytes behind the data are Le.
fn le_bytes(command: &CApdu) -> usize {
    use band_sim::wire::apdu::Case;
    match command.case() {
        Case::C1 | Case::C3S | Case::C3E => 0,
        Case::C2S | Case::C4S => 1,
        Case::C4E => 2,
        Case::C2E => 3,
    }
}

/// One data grouping: its header as it came, its identifier, its content.
struct Grouping<'a> {
    header: &'a [u8],
    identifier: u16,
    content: &'a [u8],
}

// EMV CPS 2.0 2.2: identifier, length of one byte or FF and two bytes, content.
fn data_groupings(data: &[u8]) -> Option<Vec<Grouping<'_>>> {
    let mut groupings = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let (identifier, after) = rest.split_first_chunk()?;
        let (header_bytes, len) = match after {
            [0xFF, high, low, ..] => (5, usize::from(u16::from_be_bytes([*high, *low]))),
            [len, ..] => (3, usize::from(*len)),
            [] => return None,
        };
        let (header, after) = rest.split_at_checked(header_bytes)?;
        let (content, after) = after.split_at_checked(len)?;
        groupings.push(Grouping { header, identifier: u16::from_be_bytes(*identifier), content });
        rest = after;
    }
    Some(groupings)
}

/// Groupings that hold keys (EMV CPS 2.0 Annex A: 8000 and the private key parts 8101, 8103, 8201 to 8205).
fn holds_keys(grouping: &Grouping<'_>) -> bool {
    matches!(grouping.identifier, 0x8000 | 0x8010 | 0x8100..=0x82FF)
}

fn content_tokens(grouping: &Grouping<'_>) -> Vec<String> {
    if holds_keys(grouping) {
        return hidden(grouping.content.len());
    }
    // An identifier that is a tag of two bytes may be one: `9F46` and its value are the same in either form.
    match tag::info(Tag::new(grouping.identifier.into())) {
        Some(row) if row.secret != Secret::No => value_tokens(row.tag, grouping.content),
        _ => tokens(grouping.content),
    }
}

fn grouping_tokens(grouping: &Grouping<'_>) -> Vec<String> {
    let mut shown = grouping.header.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>();
    shown.extend(content_tokens(grouping));
    shown
}

fn explain_grouping(grouping: &Grouping<'_>) -> String {
    let name = format!("DGI {:04X}", grouping.identifier);
    if holds_keys(grouping) {
        return named_bytes(&format!("{name} (keys)"), &content_tokens(grouping), 2);
    }
    if grouping.content.is_empty() || !is_tlv(grouping.content) {
        return named_bytes(&name, &content_tokens(grouping), 2);
    }
    format!("  {name}, {}\n{}", count(grouping.content.len(), "byte"), explain_tlv(grouping.content, 4))
}

// GPCS 2.3.1 11.5.2.3: six fields, each behind its length.
fn install_fields(data: &[u8]) -> Option<Vec<(&'static str, &[u8])>> {
    const NAMES: [&str; 6] = ["load file", "module", "instance", "privileges", "parameters", "token"];
    let mut rest = data;
    let mut fields = Vec::new();
    for name in NAMES {
        let (&len, after) = rest.split_first()?;
        let (field, after) = after.split_at_checked(len.into())?;
        fields.push((name, field));
        rest = after;
    }
    rest.is_empty().then_some(fields)
}

// GPCS 2.3.1 table 11-41
fn install_purpose(p1: u8) -> String {
    let purposes = [
        (0x02, "for load"),
        (0x04, "for install"),
        (0x08, "for make selectable"),
        (0x10, "for extradition"),
        (0x20, "for personalization"),
        (0x40, "for registry update"),
    ];
    let named = purposes.iter().filter(|(bit, _)| p1 & bit != 0).map(|&(_, name)| name).collect::<Vec<_>>();
    if named.is_empty() { format!("P1 {p1:02X}") } else { named.join(" and ") }
}

// EMV 4.4 B3 6.5.5.2
fn generate_ac(p1: u8) -> String {
    let wanted = ["AAC", "TC", "ARQC", "reserved type"].get(usize::from(p1 >> 6)).copied().unwrap_or_default();
    let signed = match p1 & 0x18 {
        0x10 => " with CDA",
        0x08 => " with XDA",
        _ => "",
    };
    format!("GENERATE AC, {wanted}{signed}")
}

// GPCS 2.3.1 11.10; GPC Amendment C 3.11.3 for the contactless registry.
fn set_status(p1: u8, p2: u8, data: &[u8]) -> String {
    match (p1, p2) {
        (0x01, 0x00) => format!("SET STATUS, deactivate {}", named_aid(data)),
        (0x01, 0x01) => format!("SET STATUS, activate {}", named_aid(data)),
        _ => format!("SET STATUS {}", spaced_hex(&[p1, p2])),
    }
}

fn parameter_tag(p1: u8, p2: u8) -> Tag {
    Tag::new(u16::from_be_bytes([p1, p2]).into())
}

/// A name as text when it is text, as bytes when not.
fn aid(name: &[u8]) -> String {
    match value::text(name).pop() {
        Some(text) => text.trim_matches('"').to_owned(),
        None if name.is_empty() => "the default application".to_owned(),
        None => spaced_hex(name),
    }
}

fn named_aid(data: &[u8]) -> String {
    tlv::find(data, tag::TAG_4F_ADF_NAME).map_or_else(|| "something".to_owned(), aid)
}
