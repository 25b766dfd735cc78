//! Before the card and at first sight of it: which kernels may take this amount, and which of the card's applications will be
//! tried, in which order (EMV Contactless Book B, Entry Point).

use std::cmp::Reverse;

use band_sim::wire::apdu::{CApdu, RApdu};
use band_sim::wire::hex::Hex;
use band_sim::wire::{tag, tlv};

use super::config::{Connectivity, TerminalConfig};
use super::io::{Outcome, Step};
use super::selection;
use super::transaction::{Application, Candidate, Decision, End, Kernel, Next, Pending, Stop, Transaction, Unfit};
use crate::money::{Currency, Money};

/// The name of the directory of contactless applications.
pub(super) const PPSE: &[u8] = b"2PAY.SYS.DDF01";
/// At most this many applications of a card are tried; the rest are passed over.
const MAX_CANDIDATES: usize = 16;
/// The largest amount that 9F02 can say.
const MAX_AMOUNT: u64 = 999_999_999_999;

/// Start A: pre-processing of the amount, then SELECT PPSE.
pub(super) fn begin(transaction: &mut Transaction) -> Decision<Next> {
    check_purchase(transaction)?;
    transaction.allowed = allowed_kernels(transaction);
    // Book B 3.1.1.13
    if transaction.allowed.is_empty() {
        let config = &transaction.config;
        let limit = highest_contactless_limit(config);
        let reason = format!("{} is above the contactless limit {limit} of {}", transaction.amount(), config.name);
        return Err(Stop::end(elsewhere(config), reason));
    }
    // Book B 3.3.2.2
    let select = CApdu::new(0x00, 0xA4, 0x04, 0x00).with_data(PPSE).with_ne(256);
    Ok(Next::Send(Pending::Ppse, select))
}

/// Takes the answer to SELECT PPSE: the candidate list, then the best of it is selected.
pub(super) fn handle_ppse(transaction: &mut Transaction, answer: &RApdu) -> Decision<Next> {
    if !answer.sw.is_ok() {
        // Book B 3.3.2.3 and 3.3.2.7
        return Err(Stop::card_error(format!("the card has no directory of contactless applications: {}", answer.sw)));
    }
    let mut candidates = candidates(&answer.data, transaction).map_err(Stop::card_error)?;
    // Book B 3.3.3.2: by priority, then in the card's order; no priority comes last.
    candidates.sort_by_key(|candidate| (candidate.priority == 0, candidate.priority));
    candidates.truncate(MAX_CANDIDATES);
    if transaction.explains {
        let names: Vec<String> = candidates.iter().map(describe).collect();
        let text = match names.as_slice() {
            [] => "no application in common".into(),
            names => format!("candidates: {}", names.join(", ")),
        };
        transaction.note(Step::EntryPoint, text);
    }
    transaction.candidates = candidates.into();
    select_best(transaction, "no application in common")
}

/// Start C: the application in use is dropped, the next candidate is selected, or the payment ends.
pub(super) fn handle_unfit(transaction: &mut Transaction, unfit: Unfit) -> Decision<Next> {
    transaction.note(Step::EntryPoint, format_args!("{}: next candidate", unfit.reason));
    transaction.over_limit |= unfit.over_limit;
    select_best(transaction, &unfit.reason)
}

fn select_best(transaction: &mut Transaction, why_not: &str) -> Decision<Next> {
    let Some(candidate) = transaction.candidates.pop_front() else {
        // Book B 3.3.2.7: end application. When it was the amount, the message "insert or swipe" is the point of it, and
        // this terminal calls that by its name.
        let outcome = match transaction.over_limit {
            true => elsewhere(&transaction.config),
            false => Outcome::EndApplication,
        };
        return Err(Stop::End(End { outcome, reason: why_not.into() }));
    };
    transaction.application = Application {
        kernel: candidate.kernel,
        ttq: match candidate.kernel {
            Kernel::Kernel2 => [0; 4],
            Kernel::Kernel3 => terminal_transaction_qualifiers(transaction),
        },
        terminal_capabilities: transaction.config.terminal_capabilities(transaction.is_above_cvm_limit()),
        terminal_aid: candidate.terminal_aid,
        name: candidate.name,
        ..Application::default()
    };
    Ok(selection::command(transaction))
}

/// What the reader can be asked for at all.
fn check_purchase(transaction: &Transaction) -> Decision<()> {
    let (config, purchase) = (&transaction.config, &transaction.purchase);
    if purchase.currency != config.currency.number {
        let named = Currency::of_number(purchase.currency).map(|currency| currency.code);
        let named = named.map_or_else(|| format!("currency {}", purchase.currency), Into::into);
        return Err(Stop::card_error(format!("{} takes {}, not {named}", config.name, config.currency)));
    }
    if purchase.amount_minor > MAX_AMOUNT || purchase.amount_other_minor > purchase.amount_minor {
        return Err(Stop::card_error("the amount has more than 12 digits, or less than the cashback in it"));
    }
    Ok(())
}

/// Book B 3.1.1: the kernels for which "contactless application not allowed" stays 0.
fn allowed_kernels(transaction: &mut Transaction) -> Vec<Kernel> {
    let config = transaction.config.clone();
    let (kernels, amount, limit) =
        (&config.kernels, transaction.purchase.amount_minor, highest_contactless_limit(&config));
    let mut allowed = Vec::new();
    // Kernel 2 has its two limits itself (C-2 S456.14, amounts above them); here only what neither of them allows.
    if kernels.kernel_2.is_some() && amount <= limit.minor {
        allowed.push(Kernel::Kernel2);
    }
    // Book B 3.1.1.5: an amount at the limit is over it.
    let over_limit = amount >= limit.minor;
    // Book B 3.1.1.11: an amount of zero wants an online cryptogram.
    let zero = amount == 0 && config.connectivity == Connectivity::OfflineOnly;
    if kernels.kernel_3.is_some() && !over_limit && !zero {
        allowed.push(Kernel::Kernel3);
    }
    if kernels.kernel_3.is_some() && over_limit && !allowed.is_empty() {
        let amount = transaction.amount();
        transaction.note(
            Step::EntryPoint,
            format_args!("{amount} is not below the contactless limit {limit}: not for kernel 3"),
        );
    }
    allowed
}

/// The limit for a payment with the verification that a device can give, if this terminal believes it.
fn highest_contactless_limit(config: &TerminalConfig) -> Money {
    let limits = &config.limits;
    if config.cardholder_verification.cdcvm { limits.contactless_cdcvm } else { limits.contactless }
}

/// 9F66 for this amount.
fn terminal_transaction_qualifiers(transaction: &mut Transaction) -> [u8; 4] {
    const ONLINE_CRYPTOGRAM_REQUIRED: u8 = 0x80;
    const CVM_REQUIRED: u8 = 0x40;
    let config = transaction.config.clone();
    let (limits, amount) = (&config.limits, transaction.purchase.amount_minor);
    let [reader, mut demands, device, fdda] = config.terminal_transaction_qualifiers();
    let online_only = config.connectivity == Connectivity::OnlineOnly;
    // Book B 3.1.1.9 and 3.1.1.11
    if online_only || amount > limits.floor.minor || amount == 0 {
        demands |= ONLINE_CRYPTOGRAM_REQUIRED;
        let why =
            if online_only { "the terminal is online-only".into() } else { format!("floor limit {}", limits.floor) };
        transaction.note(Step::EntryPoint, format_args!("9F66: online cryptogram required ({why})"));
    }
    // Book B 3.1.1.8 and 3.1.1.12: an amount at the limit is over it.
    if amount >= limits.cvm_required.minor {
        demands |= CVM_REQUIRED;
        let (amount, limit) = (transaction.amount(), limits.cvm_required);
        transaction
            .note(Step::EntryPoint, format_args!("9F66: CVM required, {amount} is not below the CVM limit {limit}"));
    }
    [reader, demands, device, fdda]
}

/// Another interface, if the terminal has one.
pub(super) fn elsewhere(config: &TerminalConfig) -> Outcome {
    if config.other_interfaces.is_empty() { Outcome::EndApplication } else { Outcome::TryAnotherInterface }
}

/// Book B 3.3.2.5: the directory's entries that the terminal supports, in the card's order.
fn candidates(fci: &[u8], transaction: &Transaction) -> Result<Vec<Candidate>, String> {
    let malformed = |error| format!("the directory is malformed: {error}");
    tlv::walk_deep(fci).try_for_each(|object| object.map(drop)).map_err(malformed)?;
    let path = [tag::TAG_6F_FCI_TEMPLATE, tag::TAG_A5_FCI_PROPRIETARY, tag::TAG_BF0C_FCI_DISCRETIONARY];
    let Some(directory) = tlv::find_path(fci, &path) else { return Err("the directory lacks 6F, A5 or BF0C".into()) };
    let entries =
        tlv::walk(directory).map_while(Result::ok).filter(|object| object.tag == tag::TAG_61_APPLICATION_TEMPLATE);
    Ok(entries.filter_map(|entry| candidate(entry.value, transaction)).collect())
}

fn candidate(entry: &[u8], transaction: &Transaction) -> Option<Candidate> {
    let name = tlv::find(entry, tag::TAG_4F_ADF_NAME).filter(|name| (5..=16).contains(&name.len()))?;
    let (kernel, terminal_aid) = matching(name, transaction)?;
    let requested = requested_kernel(name, tlv::find(entry, tag::TAG_9F2A_KERNEL_IDENTIFIER))?;
    // 0: the card leaves it to the terminal.
    if requested != 0 && requested != kernel.id() {
        return None;
    }
    let extended = tlv::find(entry, tag::TAG_9F29_EXTENDED_SELECTION).unwrap_or_default();
    let extended = if name.len() + extended.len() <= 16 { extended } else { &[] };
    let priority = tlv::find(entry, tag::TAG_87_PRIORITY).and_then(|value| value.first()).map_or(0, |byte| byte & 0x0F);
    Some(Candidate { kernel, name: [name, extended].concat(), terminal_aid, priority })
}

/// The allowed kernel with the longest identifier that the card's name begins with.
fn matching(name: &[u8], transaction: &Transaction) -> Option<(Kernel, Vec<u8>)> {
    let kernels = &transaction.config.kernels;
    let kernel_2 = kernels.kernel_2.iter().flat_map(|kernel| &kernel.aids).map(|aid| (Kernel::Kernel2, aid));
    let kernel_3 = kernels.kernel_3.iter().flat_map(|kernel| &kernel.aids).map(|aid| (Kernel::Kernel3, aid));
    let all =
        kernel_2.chain(kernel_3).filter(|(kernel, aid)| transaction.allowed.contains(kernel) && name.starts_with(aid));
    all.min_by_key(|(_, aid)| Reverse(aid.len())).map(|(kernel, aid)| (kernel, aid.to_vec()))
}

/// Book B 3.3.2.5 C: the kernel the card asks for, or the one of its scheme; `None` when the entry must be passed over.
fn requested_kernel(name: &[u8], identifier: Option<&[u8]>) -> Option<u8> {
    match identifier {
        None | Some([] | [0]) => Some(default_kernel(name)),
        Some([first, rest @ ..]) if first & 0x80 == 0 => (rest.len() < 8).then_some(*first),
        // A domestic kernel: none of ours.
        Some(_) => None,
    }
}

/// Book B table 3-6.
fn default_kernel(name: &[u8]) -> u8 {
    match name {
        [0xA0, 0, 0, 0, 0x04, ..] => 2,
        [0xA0, 0, 0, 0, 0x03, ..] => 3,
        [0xA0, 0, 0, 0, 0x25, ..] => 4,
        [0xA0, 0, 0, 0, 0x65, ..] => 5,
        [0xA0, 0, 0, 0x01, 0x52, ..] | [0xA0, 0, 0, 0x03, 0x24, ..] => 6,
        [0xA0, 0, 0, 0x03, 0x33, ..] => 7,
        _ => 0,
    }
}

fn describe(candidate: &Candidate) -> String {
    let name = Hex(candidate.name.clone());
    format!("{name} (kernel {}, priority {})", candidate.kernel.id(), candidate.priority)
}
