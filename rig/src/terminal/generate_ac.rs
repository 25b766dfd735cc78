//! GENERATE AC: the card's own decision, as a cryptogram, and what it must say with it (EMV 4.4 B3 6.5.5, EMV Contactless
//! C-2 S9 and S910). Kernel 2 only: kernel 3 has its cryptogram already.

use band_sim::wire::apdu::{CApdu, RApdu};
use band_sim::wire::dol::Dol;
use band_sim::wire::tag;
use band_sim::wire::tvr::Finding;

use super::action_analysis::Request;
use super::config::{Connectivity, OtherInterface};
use super::gpo::only_object;
use super::io::{Outcome, Step};
use super::transaction::{Application, Decision, Next, Pending, Secret, Stop, Transaction};
use super::{oda, online};

/// The card's decision (bits 8 and 7 of 9F27).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cryptogram {
    /// Declined.
    Aac,
    /// Approved offline.
    Tc,
    /// To be authorised online.
    Arqc,
}

impl Cryptogram {
    /// What cryptogram information data say; `None` for the value that is reserved.
    pub(super) const fn of(cid: u8) -> Option<Self> {
        match cid & 0xC0 {
            0x00 => Some(Self::Aac),
            0x40 => Some(Self::Tc),
            0x80 => Some(Self::Arqc),
            _ => None,
        }
    }
}

/// GENERATE AC for the cryptogram that action analysis asks for.
pub(super) fn command(transaction: &mut Transaction, request: Request) -> Decision<Next> {
    let list = transaction.application.card.value(tag::TAG_8C_CDOL1).unwrap_or_default();
    let list = Dol::decode(list).map_err(|error| Stop::card_error(format!("CDOL1 is malformed: {error}")))?;
    if list.total_len() > 255 {
        return Err(Stop::card_error(format!("CDOL1 asks for {} bytes, more than a command holds", list.total_len())));
    }
    let values = list.fill(|tag| transaction.value(tag));
    let application = &mut transaction.application;
    application.cda = asks_for_cda(application, request);
    // EMV 4.4 B3 table 12
    let kind = match request {
        Request::Aac => 0x00,
        Request::Tc => 0x40,
        Request::Arqc => 0x80,
    };
    let reference = if application.cda { kind | 0x10 } else { kind };
    let command = CApdu::new(0x80, 0xAE, reference, 0x00).with_data(values.clone()).with_ne(256);
    application.request = Some(request);
    application.cdol1_values = Secret(values);
    Ok(Next::Send(Pending::GenerateAc, command))
}

/// Takes the card's decision.
pub(super) fn handle(transaction: &mut Transaction, answer: &RApdu) -> Decision<Next> {
    if !answer.sw.is_ok() {
        return Err(Stop::card_error(format!("GENERATE AC: {}", answer.sw)));
    }
    let response = store(transaction, &answer.data).map_err(Stop::card_error)?;
    let cryptogram = check(transaction, &response)?;
    conclude(transaction, cryptogram)
}

/// C-2 7.6 GAC.20 to GAC.27
fn asks_for_cda(application: &Application, request: Request) -> bool {
    // 9F5D b2.01: CDA over TC, ARQC and AAC
    let capabilities = application.card.value(tag::TAG_9F5D_APPLICATION_CAPABILITIES);
    let over_aac = capabilities.and_then(|bytes| bytes.get(1)).is_some_and(|byte| byte & 0x01 != 0);
    let possible = application.cda && !application.tvr.has(Finding::CDA_FAILED);
    possible && (request != Request::Aac || over_aac)
}

/// Both formats of the answer (EMV 4.4 B3 6.5.5.4). Gives the data objects of the second, which a signature may cover.
fn store(transaction: &mut Transaction, data: &[u8]) -> Result<Vec<u8>, String> {
    let Application { card, kernel, .. } = &mut transaction.application;
    match only_object(data)? {
        (tag::TAG_77_RESPONSE_TEMPLATE_2, value) => {
            card.store_template(value, *kernel)?;
            Ok(value.to_vec())
        }
        (tag::TAG_80_RESPONSE_TEMPLATE_1, &[cid, atc_high, atc_low, ref rest @ ..]) => {
            let Some((cryptogram, iad)) = rest.split_at_checked(8) else {
                return Err("80 is shorter than a cryptogram".into());
            };
            card.store(tag::TAG_9F27_CID, &[cid], *kernel)?;
            card.store(tag::TAG_9F36_ATC, &[atc_high, atc_low], *kernel)?;
            card.store(tag::TAG_9F26_APPLICATION_CRYPTOGRAM, cryptogram, *kernel)?;
            card.store(tag::TAG_9F10_IAD, iad, *kernel)?;
            Ok(Vec::new())
        }
        (other, _) => Err(format!("the answer is a {other}, not a response template")),
    }
}

fn check(transaction: &mut Transaction, response: &[u8]) -> Decision<Cryptogram> {
    let card = &transaction.application.card;
    // C-2 S9.21
    let (Some(cid), Some(_)) = (card.byte(tag::TAG_9F27_CID), card.array::<2>(tag::TAG_9F36_ATC)) else {
        return Err(Stop::card_error("card data missing: cryptogram information data (9F27) or counter (9F36)"));
    };
    let request = transaction.application.request;
    // C-2 S9.23: a card may be stricter than it was asked to be, never laxer.
    let cryptogram = match (Cryptogram::of(cid), request) {
        (Some(Cryptogram::Tc), Some(Request::Tc)) => Cryptogram::Tc,
        (Some(Cryptogram::Arqc), Some(Request::Tc | Request::Arqc)) => Cryptogram::Arqc,
        (Some(Cryptogram::Aac), _) => Cryptogram::Aac,
        _ => {
            return Err(Stop::card_error(format!(
                "the card answers with cryptogram {cid:02X}, which was not asked for"
            )));
        }
    };
    check_authentication(transaction, response, cryptogram)?;
    let said = match cryptogram {
        Cryptogram::Aac => "AAC, declined",
        Cryptogram::Tc => "TC, approved offline",
        Cryptogram::Arqc => "ARQC, to be authorised online",
    };
    transaction.note(Step::GenerateAc, format_args!("the card says {said}"));
    Ok(cryptogram)
}

/// C-2 S910.1 to S910.39: with a signature the cryptogram is inside it, without one it stands alone.
fn check_authentication(transaction: &mut Transaction, response: &[u8], cryptogram: Cryptogram) -> Decision<()> {
    let application = &transaction.application;
    if application.card.value(tag::TAG_9F4B_SDAD).is_some() {
        return oda::check_cda(transaction, response);
    }
    if application.card.value(tag::TAG_9F26_APPLICATION_CRYPTOGRAM).is_none() {
        return Err(Stop::card_error("card data missing: application cryptogram (9F26)"));
    }
    let may_be_unsigned = cryptogram == Cryptogram::Aac && application.request != Some(Request::Aac);
    if application.cda && !may_be_unsigned {
        return Err(Stop::card_error("the card was asked for CDA and gave no signature (9F4B)"));
    }
    Ok(())
}

/// C-2 S910.70 to S910.81
fn conclude(transaction: &mut Transaction, cryptogram: Cryptogram) -> Decision<Next> {
    let card = &transaction.application.card;
    if let Some([_, second, third]) = card.array::<3>(tag::TAG_DF4B_POS_CARDHOLDER_INTERACTION)
        && (second & 0x03 != 0 || third & 0x0F != 0)
    {
        return Err(Stop::end(Outcome::PresentAgain, "the device wants its holder first (DF4B)"));
    }
    match cryptogram {
        Cryptogram::Tc => Err(Stop::end(Outcome::Approved, "card and terminal agreed offline")),
        Cryptogram::Arqc if transaction.config.connectivity == Connectivity::OfflineOnly => {
            Err(Stop::end(Outcome::Declined, "the card wants to go online, and the terminal has no line"))
        }
        Cryptogram::Arqc => online::begin(transaction),
        Cryptogram::Aac => Err(refusal(transaction)),
    }
}

/// C-2 S910.74: a plastic card that refuses may succeed with its contacts; a device has none.
fn refusal(transaction: &Transaction) -> Stop {
    let has_contacts = transaction.config.has(OtherInterface::Contact) && !is_device(transaction);
    let outcome = if has_contacts { Outcome::TryAnotherInterface } else { Outcome::Declined };
    let asked = match transaction.application.request {
        Some(Request::Aac) => "as the terminal asked",
        _ => "though the terminal asked for more",
    };
    Stop::end(outcome, format!("the card declined (AAC), {asked}"))
}

/// Whether third-party data (9F6E) name a device that is not a card: `00` is one (C-2 A.1.169).
fn is_device(transaction: &Transaction) -> bool {
    match transaction.application.card.value(tag::TAG_9F6E_THIRD_PARTY_DATA) {
        // Country, unique identifier without b8 of its first byte, device type.
        Some([_, _, identifier, _, kind @ ..]) if identifier & 0x80 == 0 => {
            kind.first_chunk::<2>().is_some_and(|kind| kind != b"00")
        }
        _ => false,
    }
}
