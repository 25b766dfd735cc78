//! A payment for machines: the same as the text, field by field, masked alike.

use band_sim::wire::apdu::{CApdu, RApdu};
use band_sim::wire::hex::Hex;
use band_sim::wire::tvr::Tvr;
use band_sim::wire::{tag, tlv};
use serde_json::{Value, json};

use super::drive::{Happened, Moment};
use super::{Place, Told};
use crate::decode;
use crate::mask::Masker;

/// The whole object, indented.
pub(super) fn rendered(told: &Told<'_>) -> String {
    let (payment, receipt) = (told.payment, &told.payment.receipt);
    let (cards, reader) = match told.place {
        Place::Band(cards) => (Some(cards), None::<&&str>),
        #[cfg(feature = "pcsc")]
        Place::Reader(name) => (None, Some(name)),
    };
    let mut whole = json!({
        "amount": told.amount.to_string(),
        "terminal": told.terminal.name,
        "cards": cards,
        "reader": reader,
        "outcome": receipt.outcome,
        "reason": receipt.reason,
        "message": { "id": format!("{:02X}", receipt.message.id()), "words": receipt.message.words() },
        "cvm": receipt.cvm,
        "online": receipt.online,
        "arc": receipt.arc.map(|arc| String::from_utf8_lossy(&arc).into_owned()),
        "aid": receipt.aid.as_ref().map(|aid| Hex(aid.clone()).to_string()),
        "atc": receipt.atc,
        "tvr": { "hex": Hex(receipt.tvr.to_vec()).to_string(), "words": Tvr(receipt.tvr).to_string() },
        "card_time_us": micros(payment.card_time),
        "time_us": micros(payment.time),
        "steps": payment.moments.iter().map(|moment| step(moment, told.masker)).collect::<Vec<_>>(),
        "receipt": receipt.lines(),
    });
    told.masker.json(&mut whole);
    serde_json::to_string_pretty(&whole).unwrap_or_default()
}

fn step(moment: &Moment, masker: &Masker) -> Value {
    let at_us = micros(moment.at);
    match &moment.what {
        Happened::Exchange { command, carried } => {
            let answer = RApdu::decode(&carried.answer).ok();
            json!({
                "step": "exchange",
                "at_us": at_us,
                "name": name(command),
                "command": masker.command(command),
                "answer": masker.answer(command, &carried.answer),
                "sw": answer.as_ref().map(|answer| format!("{:04X}", answer.sw.value())),
                "objects": answer.map(|answer| objects(command, &answer.data)),
                "time_us": micros(carried.time),
                "parts_us": carried.parts.map(|parts| json!({
                    "to_card": micros(parts.to_card),
                    "computing": micros(parts.computing),
                    "to_reader": micros(parts.to_reader),
                })),
            })
        }
        Happened::Lost { command, why } => {
            json!({ "step": "lost", "at_us": at_us, "name": name(command), "command": masker.command(command), "why": why })
        }
        Happened::Note(note) => {
            json!({ "step": "decision", "at_us": at_us, "rule": note.step, "text": masker.text(&note.text) })
        }
        Happened::Online { request, reply, time } => json!({
            "step": "online",
            "at_us": at_us,
            "merchant": request.merchant,
            "chip_data": objects(&[], &request.chip_data),
            "arc": reply.as_ref().map(|reply| String::from_utf8_lossy(&reply.arc).into_owned()),
            "reason": reply.as_ref().map(|reply| reply.reason),
            "time_us": micros(*time),
        }),
        Happened::Pin { typed, time } => {
            json!({ "step": "pin", "at_us": at_us, "typed": typed, "time_us": micros(*time) })
        }
    }
}

fn name(command: &[u8]) -> String {
    CApdu::decode(command).map_or_else(|_| "no command".to_owned(), |command| decode::summarize_command(&command))
}

/// The data objects that answer `command`, templates opened: tag, name and value.
fn objects(command: &[u8], data: &[u8]) -> Vec<Value> {
    if decode::is_later_piece(command, data) {
        return vec![];
    }
    let objects = tlv::walk_deep(data).map_while(Result::ok).filter(|(_, object)| !object.tag.is_constructed());
    let object = |(_, object): (_, tlv::Tlv<'_>)| {
        let name = tag::info(object.tag).map(|row| row.name);
        json!({ "tag": object.tag.to_string(), "name": name, "value": decode::masked_value(object.tag, object.value) })
    };
    objects.map(object).collect()
}

fn micros(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
