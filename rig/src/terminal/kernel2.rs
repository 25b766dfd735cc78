//! Kernel 2 (Mastercard): the order of its decisions between the last record and GENERATE AC (EMV Contactless C-2 S456).

use band_sim::wire::tag;

use super::io::Step;
use super::transaction::{Decision, Next, Stop, Transaction};
use super::{action_analysis, cvm, generate_ac, oda, restrictions, risk_management};

/// Which of the two contactless limits holds (C-2 S3.14).
pub(super) fn choose_contactless_limit(transaction: &mut Transaction) -> Decision<()> {
    let (limit, name) = risk_management::contactless_limit(transaction);
    transaction.note(Step::RiskManagement, format_args!("contactless limit {limit} ({name})"));
    Ok(())
}

/// All decisions after the last record, in order, up to the request for a cryptogram.
pub(super) fn decide(transaction: &mut Transaction) -> Decision<Next> {
    risk_management::check_contactless_limit(transaction)?;
    check_mandatory_data(transaction)?;
    oda::prepare_cda(transaction)?;
    restrictions::check(transaction);
    cvm::select(transaction);
    risk_management::check_floor_limit(transaction);
    let request = action_analysis::decide(transaction);
    generate_ac::command(transaction, request)
}

/// C-2 S456.16, and the card number in 57 must be the one in 5A.
fn check_mandatory_data(transaction: &mut Transaction) -> Decision<()> {
    let card = &transaction.application.card;
    let mandatory = [
        (tag::TAG_5A_PAN, "card number"),
        (tag::TAG_5F24_EXPIRATION_DATE, "expiration date"),
        (tag::TAG_8C_CDOL1, "list of what GENERATE AC needs"),
    ];
    if let Some((tag, name)) = mandatory.into_iter().find(|(tag, _)| card.value(*tag).is_none()) {
        return Err(Stop::card_error(format!("card data missing: {name} ({tag})")));
    }
    restrictions::check_number_and_dates(transaction)
}
