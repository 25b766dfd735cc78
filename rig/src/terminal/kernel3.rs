//! Kernel 3 (Visa, qVSDC): the cryptogram came with GET PROCESSING OPTIONS; what it means, and the checks before it counts
//! (EMV Contactless C-3 5.4 to 5.8).

use band_sim::wire::tag;

use super::config::{Connectivity, OtherInterface};
use super::generate_ac::Cryptogram;
use super::io::{Outcome, Step};
use super::transaction::{Decision, Next, Stop, Transaction};
use super::{cvm, oda, online, restrictions};

/// All decisions after the last record.
pub(super) fn decide(transaction: &mut Transaction) -> Decision<Next> {
    check_mandatory_data(transaction)?;
    let cryptogram = cryptogram(transaction)?;
    // C-3 5.4.3.2: a TC where an online cryptogram was demanded is still not enough.
    let [_, demands, ..] = transaction.application.ttq;
    let mut online = cryptogram == Cryptogram::Arqc || demands & 0x80 != 0;
    if cryptogram == Cryptogram::Tc {
        online |= goes_online_if_expired(transaction)?;
        check_cashback(transaction)?;
    }
    online |= authenticate(transaction, online)?;
    let cvm = cvm::select_by_qualifiers(transaction, cryptogram == Cryptogram::Arqc)?;
    online |= cvm == super::io::Cvm::OnlinePin;
    if !online {
        return Err(Stop::end(Outcome::Approved, "card and terminal agreed offline"));
    }
    if transaction.config.connectivity == Connectivity::OfflineOnly {
        return Err(Stop::end(Outcome::Declined, "the payment must go online, and the terminal has no line"));
    }
    online::begin(transaction)
}

/// C-3 5.4.2.1
fn check_mandatory_data(transaction: &mut Transaction) -> Decision<()> {
    let card = &transaction.application.card;
    let mandatory = [
        (tag::TAG_9F26_APPLICATION_CRYPTOGRAM, "application cryptogram"),
        (tag::TAG_9F36_ATC, "application transaction counter"),
        (tag::TAG_9F10_IAD, "issuer application data"),
        (tag::TAG_57_TRACK_2_EQUIVALENT_DATA, "track 2 equivalent data"),
    ];
    if let Some((tag, name)) = mandatory.into_iter().find(|(tag, _)| card.value(*tag).is_none()) {
        return Err(Stop::card_error(format!("card data missing: {name} ({tag})")));
    }
    restrictions::check_number_and_dates(transaction)
}

/// C-3 5.4.3.1: 9F27, or else what the card verification results in 9F10 say.
fn cryptogram(transaction: &mut Transaction) -> Decision<Cryptogram> {
    let card = &transaction.application.card;
    let of_results = |iad: &[u8]| iad.get(4).map(|results| (results & 0x30) << 2);
    let cid = card.byte(tag::TAG_9F27_CID).or_else(|| card.value(tag::TAG_9F10_IAD).and_then(of_results));
    let said = match cid.and_then(Cryptogram::of) {
        Some(Cryptogram::Arqc) => (Cryptogram::Arqc, "ARQC, to be authorised online"),
        Some(Cryptogram::Tc) => (Cryptogram::Tc, "TC, approved offline"),
        Some(Cryptogram::Aac) => return Err(Stop::end(Outcome::Declined, "the card declined (AAC)")),
        None => return Err(Stop::end(Outcome::Declined, "the card's cryptogram is of no known kind")),
    };
    transaction.note(Step::Kernel3, format_args!("the card says {}", said.1));
    Ok(said.0)
}

/// C-3 5.5.1.1, for a TC: an expired application is declined, unless the card wants it to go online then.
fn goes_online_if_expired(transaction: &mut Transaction) -> Decision<bool> {
    const ONLINE_IF_EXPIRED: u8 = 0x08;
    match restrictions::is_expired(transaction) {
        Some(false) => return Ok(false),
        Some(true) => transaction.note(Step::Restrictions, "the application has expired"),
        None => transaction.note(Step::Restrictions, "the application has no expiration date, which counts as expired"),
    }
    if qualifiers(transaction) & ONLINE_IF_EXPIRED == 0 {
        return Err(Stop::end(Outcome::Declined, "the application has expired"));
    }
    Ok(true)
}

/// For a TC: cashback that the card's usage control forbids is declined, unless the card wants its contacts used for it (9F6C b1.02,
/// facts/emv.md 3.3). That kernel 3 looks at the usage control here is `assumed`: no source at hand has that part of C-3. Cash alone
/// this terminal does not pay out.
fn check_cashback(transaction: &mut Transaction) -> Decision<()> {
    const OTHER_INTERFACE_FOR_CASHBACK: u8 = 0x02;
    let Some(why) = restrictions::forbidden_cashback(transaction) else { return Ok(()) };
    let elsewhere =
        qualifiers(transaction) & OTHER_INTERFACE_FOR_CASHBACK != 0 && transaction.config.has(OtherInterface::Contact);
    Err(Stop::end(if elsewhere { Outcome::TryAnotherInterface } else { Outcome::Declined }, why))
}

/// C-3 5.6: an offline payment must be authenticated; says whether it has to go online instead.
fn authenticate(transaction: &mut Transaction, online: bool) -> Decision<bool> {
    const ONLINE_IF_ODA_FAILS: u8 = 0x20;
    const OTHER_INTERFACE_IF_ODA_FAILS: u8 = 0x10;
    let for_online =
        transaction.config.kernels.kernel_3.as_ref().is_some_and(|kernel| kernel.oda_for_online_authorisation);
    if online && !for_online {
        transaction.note(Step::Oda, "offline data authentication not needed: the issuer will check the card");
        return Ok(false);
    }
    let Err(why) = oda::check_fdda(transaction) else {
        transaction.note(Step::Oda, "fDDA: the signature is right");
        return Ok(false);
    };
    transaction.note(Step::Oda, format_args!("fDDA failed: {why}"));
    let reason = format!("card authentication failed: {why}");
    if online {
        // What C-3 leaves open for a payment that goes online anyway: this terminal declines (assumed).
        return Err(Stop::end(Outcome::Declined, reason));
    }
    let config = &transaction.config;
    if qualifiers(transaction) & ONLINE_IF_ODA_FAILS != 0 && config.connectivity != Connectivity::OfflineOnly {
        return Ok(true);
    }
    if qualifiers(transaction) & OTHER_INTERFACE_IF_ODA_FAILS != 0 && config.has(OtherInterface::Contact) {
        return Err(Stop::end(Outcome::TryAnotherInterface, reason));
    }
    Err(Stop::end(Outcome::Declined, reason))
}

/// The first byte of card transaction qualifiers (9F6C): what the card wants done.
fn qualifiers(transaction: &Transaction) -> u8 {
    transaction.application.card.array::<2>(tag::TAG_9F6C_CTQ).map_or(0, |[wants, _]| wants)
}
