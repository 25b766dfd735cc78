//! Terminal risk management: the amount against the contactless and the floor limit (EMV Contactless C-2 S456.14, S456.37).
//!
//! A contact terminal also picks payments at random and counts those offline in a row (EMV 4.4 B3 10.6.2, 10.6.3). That kernels 2
//! and 3 have neither is `assumed`: no source at hand says either. Kernel 3 compares the amount with its limits before the card
//! (`entry_point.rs`).

use band_sim::wire::tag;
use band_sim::wire::tvr::Finding;

use super::io::Step;
use super::transaction::{Decision, Stop, Transaction, Unfit};
use crate::money::Money;

/// The limit that holds for this card, and its name.
pub(super) fn contactless_limit(transaction: &Transaction) -> (Money, &'static str) {
    let limits = &transaction.config.limits;
    match is_verified_on_device(transaction) {
        true => (limits.contactless_cdcvm, "DF8125, with verification on the device"),
        false => (limits.contactless, "DF8124, without verification on the device"),
    }
}

/// Whether card and terminal agree that the device verifies its holder (82 b1.02, DF811B b6).
pub(super) fn is_verified_on_device(transaction: &Transaction) -> bool {
    let aip = transaction.application.card.array::<2>(tag::TAG_82_AIP);
    transaction.config.cardholder_verification.cdcvm && aip.is_some_and(|[first, _]| first & 0x02 != 0)
}

/// C-2 S456.14: above the limit the application is not used.
pub(super) fn check_contactless_limit(transaction: &mut Transaction) -> Decision<()> {
    let (limit, name) = contactless_limit(transaction);
    let amount = transaction.amount();
    if amount.minor <= limit.minor {
        return Ok(());
    }
    let reason = format!("{amount} is above the contactless limit {limit} of {} ({name})", transaction.config.name);
    Err(Stop::SelectNext(Unfit { reason, over_limit: true }))
}

/// C-2 S456.37: above the floor limit the payment is to go online.
pub(super) fn check_floor_limit(transaction: &mut Transaction) {
    let (amount, limit) = (transaction.amount(), transaction.config.limits.floor);
    if amount.minor > limit.minor {
        transaction.application.tvr.set(Finding::FLOOR_LIMIT_EXCEEDED);
        transaction.note(Step::RiskManagement, format_args!("{amount} is above the floor limit {limit}"));
    } else {
        transaction.note(Step::RiskManagement, format_args!("{amount} is within the floor limit {limit}"));
    }
}
