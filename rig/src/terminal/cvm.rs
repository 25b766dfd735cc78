//! Cardholder verification: whether the holder must be verified is decided here, by the terminal's limits and its means, and
//! by nothing in the band (R3). Kernel 2 walks the card's CVM list (EMV 4.4 B3 10.5, EMV Contactless C-2 7.5); kernel 3
//! reads the card's transaction qualifiers (C-3 5.7).

use std::fmt;
use std::sync::Arc;

use band_sim::wire::tag;
use band_sim::wire::tvr::Finding;

use super::config::CardholderVerification;
use super::io::{Cvm, Outcome, Step};
use super::risk_management::is_verified_on_device;
use super::transaction::{Decision, Stop, Transaction};

/// CVM results (9F34), third byte.
const UNKNOWN: u8 = 0x00;
const FAILED: u8 = 0x01;
const SUCCESSFUL: u8 = 0x02;
/// "No CVM performed" in the first byte of 9F34.
const NOT_PERFORMED: u8 = 0x3F;

/// Kernel 2: chooses the verification and writes 9F34.
pub(super) fn select(transaction: &mut Transaction) {
    let above = transaction.is_above_cvm_limit();
    let (amount, limit) = (transaction.amount(), transaction.config.limits.cvm_required);
    let relation = if above { "is above" } else { "is within" };
    let (cvm, results, why) = choose(transaction, above);
    transaction.application.cvm = Some(cvm);
    transaction.application.cvm_results = Some(results);
    let [code, condition, result] = results;
    let (config, cvm) = (Arc::clone(&transaction.config), in_words(cvm));
    let (sentence, said) = (
        format_args!("{amount} {relation} the CVM limit {limit} of {}", config.name),
        format_args!("9F34 {code:02X} {condition:02X} {result:02X}"),
    );
    transaction.note(Step::Cvm, format_args!("{sentence}: {cvm}{why} ({said})"));
}

/// Which of the card's rules led there.
#[derive(Clone, Copy, Debug)]
enum Why {
    /// None: the device has verified its holder.
    Verified,
    /// Bit 5 of 82 is not set.
    SupportsNone,
    NoList,
    /// The rule at this place, from 1.
    Rule(usize),
    /// The last one that counted, from 1.
    CannotBeKept(usize),
    NoRuleApplies,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verified => Ok(()),
            Self::SupportsNone => f.write_str(", the card supports none (82)"),
            Self::NoList => f.write_str(", the card has no CVM list"),
            Self::Rule(place) => write!(f, ", rule {place} of the card's list"),
            Self::CannotBeKept(place) => write!(f, ", rule {place} of the card's list cannot be kept"),
            Self::NoRuleApplies => f.write_str(", no rule of the card's list applies"),
        }
    }
}

fn choose(transaction: &mut Transaction, above: bool) -> (Cvm, [u8; 3], Why) {
    let card = &transaction.application.card;
    // C-2 7.5 CVM.1 to CVM.4
    if is_verified_on_device(transaction) {
        return match above {
            true => (Cvm::Cdcvm, [0x01, 0x00, SUCCESSFUL], Why::Verified),
            false => (Cvm::None, [NOT_PERFORMED, 0x00, SUCCESSFUL], Why::Verified),
        };
    }
    // CVM.5 and CVM.6
    if card.array::<2>(tag::TAG_82_AIP).is_none_or(|[first, _]| first & 0x10 == 0) {
        return (Cvm::None, [NOT_PERFORMED, 0x00, UNKNOWN], Why::SupportsNone);
    }
    // CVM.7 and CVM.8; EMV 4.4 B3 10.5: a list without rules is an absent one.
    let Some((amounts, rules @ [_, ..])) = card.value(tag::TAG_8E_CVM_LIST).and_then(<[u8]>::split_first_chunk::<8>)
    else {
        transaction.application.tvr.set(Finding::ICC_DATA_MISSING);
        return (Cvm::None, [NOT_PERFORMED, 0x00, UNKNOWN], Why::NoList);
    };
    let (amounts, rules) = (*amounts, rules.as_chunks::<2>().0.to_vec());
    walk(transaction, amounts, &rules)
}

/// CVM.9 to CVM.25: the first rule that applies and can be kept.
fn walk(transaction: &mut Transaction, amounts: [u8; 8], rules: &[[u8; 2]]) -> (Cvm, [u8; 3], Why) {
    const TRY_NEXT: u8 = 0x40;
    for (index, &[code, condition]) in rules.iter().enumerate() {
        if !applies(transaction, amounts, code, condition) {
            continue;
        }
        let method = Method::of(code);
        if method == Method::Unrecognised {
            transaction.application.tvr.set(Finding::UNRECOGNISED_CVM);
        }
        if let Some(cvm) = method.cvm().filter(|_| supports(transaction, code)) {
            if cvm == Cvm::OnlinePin {
                transaction.application.tvr.set(Finding::ONLINE_CVM_CAPTURED);
            }
            let result = if cvm == Cvm::None { SUCCESSFUL } else { UNKNOWN };
            return (cvm, [code, condition, result], Why::Rule(index + 1));
        }
        // CVM.19 to CVM.25
        if code & TRY_NEXT == 0 || index + 1 == rules.len() {
            transaction.application.tvr.set(Finding::CVM_NOT_SUCCESSFUL);
            let results =
                if method == Method::Fail { [code, condition, FAILED] } else { [NOT_PERFORMED, 0x00, FAILED] };
            return (Cvm::Failed, results, Why::CannotBeKept(index + 1));
        }
    }
    // CVM.14
    transaction.application.tvr.set(Finding::CVM_NOT_SUCCESSFUL);
    (Cvm::Failed, [NOT_PERFORMED, 0x00, FAILED], Why::NoRuleApplies)
}

/// A cardholder verification method (EMV 4.4 B3 C3 table 43).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Fail,
    OfflinePin,
    OnlinePin,
    Signature,
    None,
    Unrecognised,
}

impl Method {
    const fn of(code: u8) -> Self {
        match code & 0x3F {
            0x00 => Self::Fail,
            0x01 | 0x03..=0x05 => Self::OfflinePin,
            0x02 => Self::OnlinePin,
            0x1E => Self::Signature,
            0x1F => Self::None,
            _ => Self::Unrecognised,
        }
    }

    /// The verification it comes to; no contactless card is given a PIN.
    const fn cvm(self) -> Option<Cvm> {
        match self {
            Self::OnlinePin => Some(Cvm::OnlinePin),
            Self::Signature => Some(Cvm::Signature),
            Self::None => Some(Cvm::None),
            Self::Fail | Self::OfflinePin | Self::Unrecognised => None,
        }
    }
}

/// Whether the second byte of 9F33, which depends on the amount, allows the method.
fn supports(transaction: &Transaction, code: u8) -> bool {
    let [_, means, _] = transaction.application.terminal_capabilities;
    match Method::of(code) {
        Method::OnlinePin => means & 0x40 != 0,
        Method::Signature => means & 0x20 != 0,
        Method::None => means & 0x08 != 0,
        Method::Fail | Method::OfflinePin | Method::Unrecognised => false,
    }
}

/// EMV 4.4 B3 C3 table 44: whether the rule's condition is known and holds.
fn applies(transaction: &Transaction, amounts: [u8; 8], code: u8, condition: u8) -> bool {
    let [x @ .., _, _, _, _] = amounts;
    let [_, _, _, _, y @ ..] = amounts;
    let (x, y) = (u64::from(u32::from_be_bytes(x)), u64::from(u32::from_be_bytes(y)));
    let amount = transaction.purchase.amount_minor;
    let own_currency = transaction.application.card.value(tag::TAG_9F42_APPLICATION_CURRENCY_CODE)
        == transaction.value(tag::TAG_5F2A_TRANSACTION_CURRENCY_CODE).as_ref().map(AsRef::as_ref);
    let cashback = transaction.purchase.amount_other_minor > 0;
    match condition {
        0x00 => true,
        0x02 => !cashback,
        0x03 => supports(transaction, code),
        0x05 => cashback,
        0x06 => own_currency && amount < x,
        0x07 => own_currency && amount > x,
        0x08 => own_currency && amount < y,
        0x09 => own_currency && amount > y,
        // 01 and 04 are cash, which this terminal does not pay out; the rest is not known.
        _ => false,
    }
}

/// Kernel 3: chooses the verification from the card's transaction qualifiers (9F6C).
pub(super) fn select_by_qualifiers(transaction: &mut Transaction, is_arqc: bool) -> Decision<Cvm> {
    let [_, demands, ..] = transaction.application.ttq;
    let required = demands & 0x40 != 0;
    let (cvm, why) = match choose_by_qualifiers(transaction, required, is_arqc) {
        Ok(chosen) => chosen,
        Err(why) => {
            transaction.application.cvm = Some(Cvm::Failed);
            return Err(Stop::end(Outcome::Declined, why));
        }
    };
    transaction.application.cvm = Some(cvm);
    let relation = if required { "is not below" } else { "is below" };
    let (amount, limit) = (transaction.amount(), transaction.config.limits.cvm_required);
    let (config, said) = (Arc::clone(&transaction.config), in_words(cvm));
    transaction
        .note(Step::Cvm, format_args!("{amount} {relation} the CVM limit {limit} of {}: {said} ({why})", config.name));
    Ok(cvm)
}

fn choose_by_qualifiers(
    transaction: &Transaction,
    required: bool,
    is_arqc: bool,
) -> Result<(Cvm, &'static str), &'static str> {
    let CardholderVerification { online_pin, signature, cdcvm, .. } = transaction.config.cardholder_verification;
    let card = &transaction.application.card;
    let qualifiers = card.array::<2>(tag::TAG_9F6C_CTQ);
    let Some([wants, did]) = qualifiers else {
        // C-3 5.7.1.1
        return match required {
            false => Ok((Cvm::None, "no 9F6C, none required")),
            true if signature => Ok((Cvm::Signature, "no 9F6C")),
            true if online_pin => Ok((Cvm::OnlinePin, "no 9F6C")),
            true => Err("a verification is required, and card and terminal have none in common"),
        };
    };
    // C-3 5.7.1.2, in this order
    if wants & 0x80 != 0 && online_pin {
        return Ok((Cvm::OnlinePin, "9F6C: online PIN required"));
    }
    if did & 0x80 != 0 && cdcvm {
        return match signed_qualifiers(transaction) {
            Some(copy) if Some(copy) == qualifiers => Ok((Cvm::Cdcvm, "9F6C: verified on the device, 9F69 agrees")),
            Some(_) => Err("9F6C says verified on the device, but its copy in 9F69 differs"),
            None if is_arqc => Ok((Cvm::Cdcvm, "9F6C: verified on the device, no copy in 9F69")),
            None => {
                Err("9F6C says verified on the device, without a copy in 9F69 an offline payment must not believe it")
            }
        };
    }
    if wants & 0x40 != 0 && signature {
        return Ok((Cvm::Signature, "9F6C: signature required"));
    }
    // C-3 5.7.1.3
    match required {
        true => Err("a verification is required, and card and terminal have none in common"),
        false => Ok((Cvm::None, "none required")),
    }
}

/// The copy of 9F6C that the card signs: bytes 6 and 7 of card authentication related data (9F69).
pub(super) fn signed_qualifiers(transaction: &Transaction) -> Option<[u8; 2]> {
    match transaction.application.card.value(tag::TAG_9F69_CARD_AUTHENTICATION_DATA)? {
        [_, _, _, _, _, first, second, ..] => Some([*first, *second]),
        _ => None,
    }
}

const fn in_words(cvm: Cvm) -> &'static str {
    match cvm {
        Cvm::None => "no CVM",
        Cvm::OnlinePin => "online PIN",
        Cvm::Signature => "signature",
        Cvm::Cdcvm => "verified on the device",
        Cvm::Failed => "verification failed",
    }
}
