//! The end: EMV's outcome, and what is known then (EMV Contactless Book A 6.2 and 9.2).

use std::fmt;

use band_sim::wire::tag;

use super::card_data::CardData;
use super::io::{Cvm, Outcome, Receipt, Step};
use super::transaction::{End, Transaction};
use super::ui::Message;
use crate::mask::Pan;

/// The receipt of a payment that ends so.
pub(super) fn receipt(transaction: &mut Transaction, end: End) -> Receipt {
    let application = &transaction.application;
    let card = &application.card;
    let cvm = application.cvm.unwrap_or(Cvm::None);
    let (aid, pan) = (card.value(tag::TAG_84_DF_NAME).map(<[u8]>::to_vec), card.pan());
    let (atc, cid) = (card.array::<2>(tag::TAG_9F36_ATC).map(u16::from_be_bytes), card.byte(tag::TAG_9F27_CID));
    let tvr = application.tvr.0;
    let cryptogram = card.array::<8>(tag::TAG_9F26_APPLICATION_CRYPTOGRAM);
    let label = label(card);
    let message = Message::of(end.outcome, cvm);
    transaction
        .note(Step::Outcome, format_args!("{}: {}; the terminal shows {message}", in_words(end.outcome), end.reason));
    Receipt {
        outcome: end.outcome,
        reason: end.reason,
        message,
        cvm,
        online: transaction.asked_online,
        merchant: transaction.config.merchant.name.clone(),
        terminal_id: transaction.config.merchant.terminal_id.clone(),
        amount: transaction.asked_amount(),
        local_time: transaction.clock.to_string(),
        aid,
        label,
        last4: pan.as_ref().map(Pan::last4).map(Into::into),
        atc,
        cid,
        cryptogram,
        tvr,
        arc: transaction.arc,
    }
}

/// The preferred name when it is in Latin letters (code table 1, or digits and letters alone), else the label (EMV 4.4 B4 11.3).
fn label(card: &CardData) -> Option<String> {
    let readable = |tag| {
        let text = card.value(tag).filter(|text| text.iter().all(|byte| matches!(byte, b' '..=b'~')))?;
        String::from_utf8(text.to_vec()).ok()
    };
    readable(tag::TAG_9F12_PREFERRED_NAME).or_else(|| readable(tag::TAG_50_APPLICATION_LABEL))
}

const fn in_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Approved => "approved",
        Outcome::Declined => "declined",
        Outcome::TryAnotherInterface => "try another interface",
        Outcome::PresentAgain => "present again",
        Outcome::EndApplication => "end application",
        Outcome::FieldLost => "field lost",
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(in_words(*self))
    }
}
