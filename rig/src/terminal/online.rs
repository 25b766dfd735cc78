//! Online authorisation: the chip data for the acquirer, the customer's PIN, the answer, and no answer (EMV 4.4 B4 12.1).

use band_sim::wire::tag;
use band_sim::wire::tlv::{Tag, Writer};

use super::io::{Cvm, Outcome, Step};
use super::transaction::{Decision, Next, Stop, Transaction};
use super::ui::Message;
use crate::cloud::api::{Authorisation, AuthorisationReply};
use crate::mask::Pan;

/// What the issuer needs to check the cryptogram and to decide (EMV 4.4 B4 table 10; ISO 8583 field 55), in this order.
const CHIP_DATA: [Tag; 25] = [
    tag::TAG_9F26_APPLICATION_CRYPTOGRAM,
    tag::TAG_9F27_CID,
    tag::TAG_9F10_IAD,
    tag::TAG_9F37_UNPREDICTABLE_NUMBER,
    tag::TAG_9F36_ATC,
    tag::TAG_95_TVR,
    tag::TAG_9A_TRANSACTION_DATE,
    tag::TAG_9C_TRANSACTION_TYPE,
    tag::TAG_9F02_AMOUNT_AUTHORISED,
    tag::TAG_5F2A_TRANSACTION_CURRENCY_CODE,
    tag::TAG_82_AIP,
    tag::TAG_9F1A_TERMINAL_COUNTRY_CODE,
    tag::TAG_9F34_CVM_RESULTS,
    tag::TAG_9F03_AMOUNT_OTHER,
    tag::TAG_84_DF_NAME,
    tag::TAG_9F33_TERMINAL_CAPABILITIES,
    tag::TAG_9F35_TERMINAL_TYPE,
    tag::TAG_9F09_TERMINAL_APPLICATION_VERSION,
    tag::TAG_9F39_POS_ENTRY_MODE,
    tag::TAG_5F34_PSN,
    tag::TAG_9F66_TTQ,
    tag::TAG_9F6C_CTQ,
    tag::TAG_9F6E_THIRD_PARTY_DATA,
    tag::TAG_9F24_PAR,
    tag::TAG_9F19_TOKEN_REQUESTOR_ID,
];

/// An ARQC was made: the customer's PIN first if it is the verification, then the acquirer.
pub(super) fn begin(transaction: &mut Transaction) -> Decision<Next> {
    if transaction.application.cvm == Some(Cvm::OnlinePin) {
        let shown = Message::EnterPin;
        transaction.note(Step::Online, format_args!("the customer is asked for the PIN; the terminal shows {shown}"));
        return Ok(Next::AskPin);
    }
    Ok(ask(transaction, None))
}

/// Takes the PIN.
pub(super) fn handle_pin(transaction: &mut Transaction, pin: Option<String>) -> Decision<Next> {
    match pin {
        // ISO 9564-1: 4 to 12 digits. A pad accepts nothing else, so nothing else is sent.
        Some(pin) if (4..=12).contains(&pin.len()) && pin.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(ask(transaction, Some(pin)))
        }
        _ => {
            transaction.application.cvm = Some(Cvm::Failed);
            Err(Stop::end(Outcome::Declined, "the customer entered no PIN"))
        }
    }
}

/// Takes the acquirer's answer, or that there is none. Either ends the payment.
pub(super) fn handle_answer(transaction: &mut Transaction, reply: Option<&AuthorisationReply>) -> Stop {
    let Some(reply) = reply else { return unable_to_go_online(transaction) };
    transaction.arc = Some(reply.arc);
    let code = String::from_utf8_lossy(&reply.arc).into_owned();
    if reply.issuer_authentication_data.is_some() {
        // Contactless has one tap only: nothing is left that the card could be told.
        transaction.note(Step::Online, "issuer authentication data (91) are not passed on: the card is gone");
    }
    match reply.approved {
        true => Stop::end(Outcome::Approved, format!("the issuer approved ({code})")),
        false => Stop::end(Outcome::Declined, format!("the issuer declined ({code}): {}", in_words(reply))),
    }
}

fn ask(transaction: &mut Transaction, online_pin: Option<String>) -> Next {
    transaction.asked_online = true;
    let shown = Message::Authorising;
    transaction.note(Step::Online, format_args!("the acquirer is asked, the card may go; the terminal shows {shown}"));
    Next::AskAcquirer(Box::new(Authorisation {
        track2: track2(transaction),
        pan_sequence: transaction.application.card.byte(tag::TAG_5F34_PSN),
        chip_data: chip_data(transaction),
        online_pin,
        merchant: transaction.config.merchant.name.clone(),
    }))
}

fn chip_data(transaction: &Transaction) -> Vec<u8> {
    CHIP_DATA.into_iter().fold(Writer::new(), |data, tag| data.put_some(tag, transaction.value(tag))).finish()
}

/// Track 2 equivalent data, or what the number and the expiry make of it when the card gave none.
fn track2(transaction: &Transaction) -> Vec<u8> {
    let card = &transaction.application.card;
    if let Some(track2) = card.track2() {
        return track2.expose().to_vec();
    }
    let pan = card.pan();
    let [year, month, _] = card.array::<3>(tag::TAG_5F24_EXPIRATION_DATE).unwrap_or_default();
    let text = format!("{}D{year:02X}{month:02X}", pan.as_ref().map_or("", Pan::expose));
    let digits: Vec<u8> = text.chars().filter_map(|digit| digit.to_digit(16)?.try_into().ok()).collect();
    digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .zip(digits.chunks(2))
        .map(pad)
        .collect()
}

/// A last digit without a partner is followed by `F`.
fn pad((byte, pair): (u8, &[u8])) -> u8 {
    if pair.len() == 1 { byte << 4 | 0x0F } else { byte }
}

fn unable_to_go_online(transaction: &mut Transaction) -> Stop {
    let amount = transaction.amount();
    let limit = transaction.config.limits.deferred_authorisation;
    // A PIN that nobody has checked is no verification.
    let unverified = transaction.application.cvm == Some(Cvm::OnlinePin);
    match limit.filter(|limit| amount.minor <= limit.minor && !unverified) {
        Some(limit) => {
            let text = format!(
                "the acquirer cannot be reached; {amount} is within {limit}: authorised later, at the shop's risk"
            );
            transaction.note(Step::Online, text);
            Stop::end(Outcome::Approved, "the acquirer cannot be reached: authorised later")
        }
        None => Stop::end(Outcome::Declined, "the acquirer cannot be reached"),
    }
}

fn in_words(reply: &AuthorisationReply) -> String {
    let name = serde_json::to_value(reply.reason).unwrap_or_default();
    name.as_str().unwrap_or("no reason").replace('_', " ")
}
