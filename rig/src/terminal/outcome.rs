//! The end: EMV's outcome, what the terminal shows, and the receipt (EMV Contactless Book A 6.2 and 9.2).

use std::fmt;

use band_sim::wire::hex::Hex;
use band_sim::wire::tag;

use super::io::{Cvm, Outcome, Receipt, Step};
use super::transaction::{End, Transaction};
use crate::mask::Pan;

/// The receipt of a payment that ends so.
pub(super) fn receipt(transaction: &mut Transaction, end: End) -> Receipt {
    let application = &transaction.application;
    let card = &application.card;
    let cvm = application.cvm.unwrap_or(Cvm::None);
    let (aid, pan) = (card.value(tag::TAG_84_DF_NAME).map(<[u8]>::to_vec), card.pan());
    let (atc, cid) = (card.array::<2>(tag::TAG_9F36_ATC).map(u16::from_be_bytes), card.byte(tag::TAG_9F27_CID));
    let tvr = application.tvr.0;
    let message = message(end.outcome, cvm);
    transaction
        .note(Step::Outcome, format!("{}: {}; the terminal shows \"{message}\"", in_words(end.outcome), end.reason));
    Receipt {
        outcome: end.outcome,
        reason: end.reason,
        cvm,
        online: transaction.asked_online,
        aid,
        last4: pan.as_ref().map(Pan::last4).map(Into::into),
        atc,
        cid,
        tvr,
        arc: transaction.arc,
    }
}

/// The user interface message, with its standard wording (Book A table 9-3).
const fn message(outcome: Outcome, cvm: Cvm) -> &'static str {
    match (outcome, cvm) {
        (Outcome::Approved, Cvm::Signature) => "Approved, please sign",
        (Outcome::Approved, _) => "Approved",
        (Outcome::Declined, _) => "Not authorised",
        (Outcome::TryAnotherInterface, _) => "Please insert or swipe card",
        (Outcome::PresentAgain, _) => "See phone for instructions",
        (Outcome::EndApplication, _) => "Insert, swipe or try another card",
        (Outcome::FieldLost, _) => "Present card again",
    }
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

impl fmt::Display for Receipt {
    /// One line; of the number only its last four digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.outcome, self.reason)?;
        if let Some(last4) = &self.last4 {
            write!(f, ", card **** {last4}")?;
        }
        if let Some(aid) = &self.aid {
            write!(f, ", AID {}", Hex(aid.clone()))?;
        }
        if let Some(atc) = self.atc {
            write!(f, ", ATC {atc:04X}")?;
        }
        write!(f, ", TVR {}", Hex(self.tvr.to_vec()))
    }
}
