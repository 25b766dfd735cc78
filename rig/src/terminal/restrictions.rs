//! Processing restrictions: may this application be used here, for this, today (EMV 4.4 B3 10.4, EMV Contactless C-2 7.7)?

use std::fmt;

use band_sim::wire::hex::Hex;
use band_sim::wire::tag;
use band_sim::wire::tlv::Tag;
use band_sim::wire::tvr::Finding;

use super::io::Step;
use super::transaction::{Decision, Kernel, Stop, Transaction, bcd};
use crate::mask::Pan;

/// Checks version, usage and dates; what does not fit is a finding in the TVR.
pub(super) fn check(transaction: &mut Transaction) {
    check_version(transaction);
    check_usage(transaction);
    check_dates(transaction);
}

/// The number must be one, be the same in 5A and 57, and dates must be dates (EMV 4.4 B3 7.5).
pub(super) fn check_number_and_dates(transaction: &mut Transaction) -> Decision<()> {
    let card = &transaction.application.card;
    if card.value(tag::TAG_5A_PAN).is_some_and(|pan| Pan::from_compressed_numeric(pan).is_none()) {
        return Err(Stop::card_error("the card number (5A) is malformed"));
    }
    let Some(pan) = card.pan() else { return Err(Stop::card_error("card data missing: card number (5A or 57)")) };
    if card.track2().is_some_and(|track2| track2.pan().as_ref() != Some(&pan)) {
        return Err(Stop::card_error("track 2 (57) has another card number than 5A"));
    }
    for tag in [tag::TAG_5F24_EXPIRATION_DATE, tag::TAG_5F25_EFFECTIVE_DATE] {
        if card.array::<3>(tag).is_some_and(|date| !is_date(date)) {
            return Err(Stop::card_error(format!("{tag} is no date")));
        }
    }
    warn_of_brand_mix_up(transaction, &pan);
    Ok(())
}

/// Whether the card says it is past its last day; `None` when it does not say.
pub(super) fn is_expired(transaction: &Transaction) -> Option<bool> {
    let expires = transaction.application.card.array::<3>(tag::TAG_5F24_EXPIRATION_DATE)?;
    Some(sortable(transaction.clock.date) > sortable(expires))
}

/// Decimal digits, month 1 to 12, day 1 to 31.
fn is_date(date: [u8; 3]) -> bool {
    let [_, month, day] = date;
    let digits = date.iter().all(|byte| byte >> 4 <= 9 && byte & 0x0F <= 9);
    digits && (0x01..=0x12).contains(&month) && (0x01..=0x31).contains(&day)
}

/// EMV 4.4 B4 6.7.3: years 00 to 49 are in this century, 50 to 99 in the last.
pub(super) fn sortable([year, month, day]: [u8; 3]) -> [u8; 4] {
    let century = if year < 0x50 { 0x20 } else { 0x19 };
    [century, year, month, day]
}

/// An application of one scheme with a number of another: the published mix-up attack. EMV has no rule for it.
fn warn_of_brand_mix_up(transaction: &mut Transaction, pan: &Pan) {
    // ISO/IEC 7812: numbers that begin with 4 are Visa's, 2 and 5 Mastercard's.
    let of_number = match pan.expose().as_bytes().first() {
        Some(b'4') => Some(Kernel::Kernel3),
        Some(b'2' | b'5') => Some(Kernel::Kernel2),
        _ => None,
    };
    let kernel = transaction.application.kernel;
    if of_number.is_some_and(|of_number| of_number != kernel) {
        transaction.note(
            Step::Restrictions,
            format_args!("warning: {pan} is not a number of the scheme that kernel {} serves", kernel.id()),
        );
    }
}

fn check_version(transaction: &mut Transaction) {
    // C-2 7.7 PRE.1
    let of_card = transaction.application.card.array::<2>(tag::TAG_9F08_APPLICATION_VERSION);
    let of_terminal = transaction.value(tag::TAG_9F09_TERMINAL_APPLICATION_VERSION);
    let (Some(of_card), Some(of_terminal)) = (of_card, of_terminal) else { return };
    if of_card != of_terminal.as_ref() {
        let (card, here) = (Hex(of_card.to_vec()), Hex(of_terminal.as_ref().to_vec()));
        find(
            transaction,
            Finding::VERSIONS_DIFFER,
            format_args!("application version {card} in the card, {here} here"),
        );
    }
}

fn check_usage(transaction: &mut Transaction) {
    const OTHER_THAN_ATM: u8 = 0x01;
    let card = &transaction.application.card;
    let Some([usage, _]) = card.array::<2>(tag::TAG_9F07_AUC) else { return };
    let issuer_country = card.array::<2>(tag::TAG_5F28_ISSUER_COUNTRY_CODE);
    let here = bcd::<2>(transaction.config.country.into());
    let service_not_allowed = Finding::SERVICE_NOT_ALLOWED;
    // C-2 7.7 PRE.9
    if usage & OTHER_THAN_ATM == 0 {
        find(transaction, service_not_allowed, "the card is valid at cash machines only (9F07)");
    }
    // C-2 7.7 PRE.13: without the issuer's country nothing more is checked.
    let Some(issuer_country) = issuer_country else { return };
    let (goods_and_services, whose) = match issuer_country == here {
        true => (0x20 | 0x08, "domestic"),
        false => (0x10 | 0x04, "international"),
    };
    if usage & goods_and_services == 0 {
        find(transaction, service_not_allowed, format_args!("the card is not valid for {whose} purchases (9F07)"));
    }
    if let Some(why) = forbidden_cashback(transaction) {
        find(transaction, service_not_allowed, why);
    }
}

/// Why the card must not be used for the cashback that is asked for, if it must not; a card that names no usage or no country
/// forbids nothing.
pub(super) fn forbidden_cashback(transaction: &Transaction) -> Option<String> {
    let card = &transaction.application.card;
    let [_, cashback] = card.array::<2>(tag::TAG_9F07_AUC)?;
    let domestic = card.array::<2>(tag::TAG_5F28_ISSUER_COUNTRY_CODE)? == bcd::<2>(transaction.config.country.into());
    let (bit, whose) = if domestic { (0x80, "domestic") } else { (0x40, "international") };
    let forbidden = transaction.purchase.amount_other_minor > 0 && cashback & bit == 0;
    forbidden.then(|| format!("the card is not valid for {whose} cashback (9F07)"))
}

fn check_dates(transaction: &mut Transaction) {
    let today = transaction.clock.date;
    let date = |tag: Tag| transaction.application.card.array::<3>(tag);
    let effective = date(tag::TAG_5F25_EFFECTIVE_DATE);
    let expires = date(tag::TAG_5F24_EXPIRATION_DATE);
    if let Some(effective) = effective.filter(|effective| sortable(today) < sortable(*effective)) {
        find(
            transaction,
            Finding::NOT_YET_EFFECTIVE,
            format_args!("effective from {}, today is {}", in_words(effective), in_words(today)),
        );
    }
    if let Some(expires) = expires.filter(|_| is_expired(transaction) == Some(true)) {
        find(
            transaction,
            Finding::EXPIRED,
            format_args!("expired on {}, today is {}", in_words(expires), in_words(today)),
        );
    }
}

fn find(transaction: &mut Transaction, finding: Finding, text: impl fmt::Display) {
    transaction.application.tvr.set(finding);
    transaction.note(Step::Restrictions, text);
}

fn in_words(date: [u8; 3]) -> String {
    let [century, year, month, day] = sortable(date);
    format!("{century:02X}{year:02X}-{month:02X}-{day:02X}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_digits_a_month_and_a_day() {
        assert!(is_date([0x29, 0x12, 0x31]) && is_date([0x00, 0x01, 0x01]));
        for wrong in [
            [0x29, 0x13, 0x01],
            [0x29, 0x00, 0x01],
            [0x29, 0x01, 0x00],
            [0x29, 0x01, 0x32],
            [0x2A, 0x01, 0x01],
            [0x29, 0x0A, 0x01],
        ] {
            assert!(!is_date(wrong), "{wrong:02X?}");
        }
    }

    #[test]
    fn years_from_50_on_are_of_the_last_century() {
        assert!(sortable([0x49, 0x12, 0x31]) > sortable([0x50, 0x01, 0x01]));
        assert_eq!(in_words([0x99, 0x01, 0x02]), "1999-01-02");
    }
}
