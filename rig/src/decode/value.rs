//! What the bytes of a value say, for the values one looks at first when a payment goes wrong.

use band_sim::wire::aip;
use band_sim::wire::dol::Dol;
use band_sim::wire::tag::{self, Format, Secret};
use band_sim::wire::tlv::Tag;
use band_sim::wire::tvr::Tvr;

use super::count;
use super::tree::tag_with_name;

/// Lines of words for this value; none when the bytes say it best.
pub(super) fn meaning(tag: Tag, value: &[u8]) -> Vec<String> {
    match tag::info(tag).map_or(Secret::No, |row| row.secret) {
        Secret::No => {}
        Secret::Signed => return vec!["not shown: public keys open it to the card number".to_owned()],
        Secret::Pan | Secret::Track2 | Secret::Key => return Vec::new(),
    }
    match (tag, value) {
        (tag::TAG_82_AIP, _) => aip::words(value).map(str::to_owned).collect(),
        (tag::TAG_95_TVR, &[a, b, c, d, e]) => Tvr([a, b, c, d, e]).words().map(str::to_owned).collect(),
        (tag::TAG_9F66_TTQ, [_, _, _, _]) => bits(TTQ, value),
        (tag::TAG_9F6C_CTQ, [_, _]) => bits(CTQ, value),
        (tag::TAG_94_AFL, _) => value.chunks_exact(4).map(application_file_locator).collect(),
        (tag::TAG_8E_CVM_LIST, _) => cvm_list(value),
        (tag::TAG_9F34_CVM_RESULTS, &[method, condition, result]) => vec![cvm_results(method, condition, result)],
        (tag::TAG_9F27_CID, &[cid]) => vec![cryptogram(cid).to_owned()],
        (tag::TAG_9F4D_LOG_ENTRY, &[sfi, records]) => vec![format!("file {sfi}, {}", count(records.into(), "record"))],
        (tag::TAG_9F70_LIFE_CYCLE_STATE, &[_, activation]) => vec![activation_state(activation)],
        (tag::TAG_87_PRIORITY, &[priority]) => vec![application_priority(priority)],
        (tag::TAG_9F36_ATC | tag::TAG_9F13_LAST_ONLINE_ATC, &[high, low]) => {
            vec![u16::from_be_bytes([high, low]).to_string()]
        }
        (tag::TAG_8A_ARC, _) => text(value),
        (tag::TAG_5C_TAG_LIST, _) => tag_list(value),
        (
            tag::TAG_9A_TRANSACTION_DATE | tag::TAG_5F24_EXPIRATION_DATE | tag::TAG_5F25_EFFECTIVE_DATE,
            &[year, month, day],
        ) => {
            // EMV 4.4 B3 4.3: n 6, YYMMDD.
            vec![format!("20{year:02X}-{month:02X}-{day:02X}")]
        }
        _ if DATA_OBJECT_LISTS.contains(&tag) => data_object_list(value),
        _ if is_text(tag) => text(value),
        _ => Vec::new(),
    }
}

/// What GENERATE AC gave or is asked for, in the two highest bits (EMV 4.4 B3 6.5.5).
pub(super) fn cryptogram(byte: u8) -> &'static str {
    match byte >> 6 {
        0 => "AAC: declined",
        1 => "TC: approved offline",
        2 => "ARQC: wants to go online",
        _ => "reserved cryptogram type",
    }
}

/// Quoted, when every byte is printable.
pub(super) fn text(value: &[u8]) -> Vec<String> {
    let printable = !value.is_empty() && value.iter().all(|byte| matches!(byte, b' '..=b'~'));
    if printable { vec![format!("{:?}", String::from_utf8_lossy(value))] } else { Vec::new() }
}

const DATA_OBJECT_LISTS: [Tag; 7] = [
    tag::TAG_8C_CDOL1,
    tag::TAG_8D_CDOL2,
    tag::TAG_97_TDOL,
    tag::TAG_9F38_PDOL,
    tag::TAG_9F49_DDOL,
    tag::TAG_9F4F_LOG_FORMAT,
    tag::TAG_DF811A_DEFAULT_UDOL,
];

type Bits = &'static [(usize, u8, &'static str)];

// EMV Contactless Book C-3, Annex A.
const TTQ: Bits = &[
    (0, 0x80, "mag-stripe mode supported"),
    (0, 0x20, "EMV mode supported"),
    (0, 0x10, "EMV contact chip supported"),
    (0, 0x08, "offline-only reader"),
    (0, 0x04, "online PIN supported"),
    (0, 0x02, "signature supported"),
    (0, 0x01, "offline data authentication for online authorisations supported"),
    (1, 0x80, "online cryptogram required"),
    (1, 0x40, "CVM required"),
    (1, 0x20, "(contact chip) offline PIN supported"),
    (2, 0x80, "issuer update processing supported"),
    (2, 0x40, "consumer device CVM supported"),
    (3, 0x80, "fDDA version 1 supported"),
];

// EMV Contactless Book C-3, Annex A.
const CTQ: Bits = &[
    (0, 0x80, "online PIN required"),
    (0, 0x40, "signature required"),
    (0, 0x20, "go online if offline data authentication fails and reader is online capable"),
    (0, 0x10, "switch interface if offline data authentication fails"),
    (0, 0x08, "go online if application expired"),
    (0, 0x04, "switch interface for cash transactions"),
    (0, 0x02, "switch interface for cashback transactions"),
    (0, 0x01, "not valid for contactless ATM transactions"),
    (1, 0x80, "consumer device CVM performed"),
    (1, 0x40, "issuer update processing at the POS supported"),
];

fn bits(table: Bits, value: &[u8]) -> Vec<String> {
    let set = table.iter().filter(|&&(byte, mask, _)| value.get(byte).is_some_and(|byte| byte & mask != 0));
    set.map(|&(.., words)| words.to_owned()).collect()
}

fn is_text(tag: Tag) -> bool {
    tag == tag::TAG_84_DF_NAME
        || tag::info(tag).is_some_and(|row| {
            matches!(row.format, Format::Alphabetic | Format::Alphanumeric | Format::AlphanumericSpecial)
        })
}

// EMV 4.4 B3 10.2: SFI in the five highest bits, first record, last record, how many of them are signed.
fn application_file_locator(entry: &[u8]) -> String {
    let &[sfi, first, last, signed] = entry else { return String::new() };
    format!("file {}, records {first} to {last}, {signed} of them for offline data authentication", sfi >> 3)
}

fn data_object_list(value: &[u8]) -> Vec<String> {
    let Ok(dol) = Dol::decode(value) else { return vec!["not a data object list".to_owned()] };
    let row = |(tag, len)| format!("{}, {}", tag_with_name(tag), count(len, "byte"));
    dol.entries().map(row).collect()
}

fn tag_list(value: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = value;
    while let Ok((tag, after)) = Tag::decode(rest) {
        names.push(tag_with_name(tag));
        rest = after;
    }
    names
}

// GPC Amendment C 3.11.2: life cycle state, then contactless activation state.
fn activation_state(state: u8) -> String {
    match state {
        0x00 => "deactivated".to_owned(),
        0x01 => "activated".to_owned(),
        0x80 => "not activatable".to_owned(),
        _ => format!("unknown activation state {state:02X}"),
    }
}

// EMV 4.4 B1 12.2.3 table 13.
fn application_priority(priority: u8) -> String {
    let confirmation = if priority & 0x80 == 0 { "" } else { ", only with the cardholder's confirmation" };
    match priority & 0x0F {
        0 => format!("no priority{confirmation}"),
        order => format!("priority {order}{confirmation}"),
    }
}

// EMV 4.4 B3 10.5: two amounts of four bytes, then rules of two.
fn cvm_list(value: &[u8]) -> Vec<String> {
    let Some((x, rest)) = value.split_first_chunk() else { return Vec::new() };
    let Some((y, rules)) = rest.split_first_chunk() else { return Vec::new() };
    let amounts = format!("X {}, Y {}", u32::from_be_bytes(*x), u32::from_be_bytes(*y));
    let rule = |rule: &[u8]| match rule {
        &[method, condition] => {
            let after = if method & 0x40 == 0 { "else fail" } else { "else next" };
            format!("{}, {}, {after}", cvm(method), cvm_condition(condition))
        }
        _ => "half a rule".to_owned(),
    };
    std::iter::once(amounts).chain(rules.chunks(2).map(rule)).collect()
}

// EMV 4.4 B4 Annex A4
fn cvm_results(method: u8, condition: u8, result: u8) -> String {
    let result = match result {
        0 => "result unknown",
        1 => "failed",
        2 => "successful",
        _ => "reserved result",
    };
    if method == 0x3F {
        return format!("no CVM performed, {result}");
    }
    format!("{}, {}, {result}", cvm(method), cvm_condition(condition))
}

// EMV 4.4 B3 Annex C3
fn cvm(method: u8) -> &'static str {
    match method & 0x3F {
        0x00 => "fail CVM processing",
        0x01 => "plaintext PIN by the card",
        0x02 => "enciphered PIN online",
        0x03 => "plaintext PIN by the card and signature",
        0x04 => "enciphered PIN by the card",
        0x05 => "enciphered PIN by the card and signature",
        0x1E => "signature",
        0x1F => "no CVM required",
        _ => "unknown CVM",
    }
}

// EMV 4.4 B3 Annex C3
fn cvm_condition(condition: u8) -> &'static str {
    match condition {
        0x00 => "always",
        0x01 => "if unattended cash",
        0x02 => "if not cash and not cashback",
        0x03 => "if the terminal supports it",
        0x04 => "if manual cash",
        0x05 => "if purchase with cashback",
        0x06 => "if under X",
        0x07 => "if over X",
        0x08 => "if under Y",
        0x09 => "if over Y",
        _ => "unknown condition",
    }
}
