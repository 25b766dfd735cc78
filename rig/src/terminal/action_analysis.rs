//! Terminal action analysis: from the findings to the cryptogram that is asked for (EMV 4.4 B3 10.7, EMV Contactless C-2 7.8).

use std::fmt;

use band_sim::wire::tag;
use band_sim::wire::tlv::Tag;
use band_sim::wire::tvr::{Finding, Tvr};

use super::config::{Connectivity, Kernel2};
use super::io::{Cvm, Step};
use super::transaction::Transaction;

/// The cryptogram the terminal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Decline offline.
    Aac,
    /// Go online.
    Arqc,
    /// Approve offline.
    Tc,
}

/// An issuer action code that the card does not give (C-2 7.8 TAA.8, TAA.14: all but the relay resistance bits).
const MISSING_ACTION_CODE: [u8; 5] = [0xFF, 0xFF, 0xFF, 0xFF, 0xFC];

/// What the findings lead to.
pub(super) fn decide(transaction: &mut Transaction) -> Request {
    let (request, why) = analyse(transaction);
    let tvr = transaction.application.tvr;
    let [a, b, c, d, e] = tvr.0;
    transaction.note(Step::ActionAnalysis, format_args!("TVR {a:02X} {b:02X} {c:02X} {d:02X} {e:02X}: {tvr}"));
    transaction.note(Step::ActionAnalysis, format_args!("{}: {why}", in_words(request)));
    without_believed_cvm(transaction, request)
}

/// Why that cryptogram.
#[derive(Clone, Copy, Debug)]
enum Why {
    /// A setting, or that nothing was found.
    Words(&'static str),
    /// These action codes name findings.
    Named(&'static str, Tvr),
}

fn analyse(transaction: &Transaction) -> (Request, Why) {
    let application = &transaction.application;
    let Some(Kernel2 { action_codes, .. }) = &transaction.config.kernels.kernel_2 else {
        return (Request::Aac, Why::Words("the terminal has no kernel 2"));
    };
    let found = |terminal: [u8; 5], issuer: Tag, missing: [u8; 5]| {
        let issuer = application.card.array::<5>(issuer).unwrap_or(missing);
        let mut both = terminal;
        both.iter_mut().zip(issuer).for_each(|(byte, more)| *byte |= more);
        Some(application.tvr.masked(both)).filter(|found| !found.is_empty())
    };
    if let Some(found) = found(action_codes.denial.0, tag::TAG_9F0E_IAC_DENIAL, [0; 5]) {
        return (Request::Aac, Why::Named("denial", found));
    }
    match transaction.config.connectivity {
        // C-2 7.8 TAA.4
        Connectivity::OnlineOnly => (Request::Arqc, Why::Words("the terminal is online-only")),
        Connectivity::OfflineWithOnlineCapability => {
            // A PIN that only the issuer can check needs the issuer, whatever the action codes say (assumed).
            if application.cvm == Some(Cvm::OnlinePin) {
                return (Request::Arqc, Why::Words("the issuer must check the PIN"));
            }
            match found(action_codes.online.0, tag::TAG_9F0F_IAC_ONLINE, MISSING_ACTION_CODE) {
                Some(found) => (Request::Arqc, Why::Named("online", found)),
                None => (Request::Tc, Why::Words("no finding asks to go online")),
            }
        }
        Connectivity::OfflineOnly => {
            match found(action_codes.default.0, tag::TAG_9F0D_IAC_DEFAULT, MISSING_ACTION_CODE) {
                Some(found) => (Request::Aac, Why::Named("default", found)),
                None => (Request::Tc, Why::Words("no finding forbids it offline")),
            }
        }
    }
}

/// C-2 7.6 GAC.20 to GAC.23: a verification on the device that no CDA proves is not believed, unless the setting says so.
fn without_believed_cvm(transaction: &mut Transaction, request: Request) -> Request {
    let application = &transaction.application;
    let proven = application.cda && !application.tvr.has(Finding::CDA_FAILED);
    let believed = proven || transaction.config.cardholder_verification.cdcvm_without_cda;
    if believed || !super::risk_management::is_verified_on_device(transaction) {
        return request;
    }
    transaction.note(Step::ActionAnalysis, "AAC: a verification on the device without CDA is not believed here");
    Request::Aac
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(words) => f.write_str(words),
            Self::Named(code, found) => write!(f, "the {code} action codes name: {found}"),
        }
    }
}

const fn in_words(request: Request) -> &'static str {
    match request {
        Request::Aac => "AAC, decline offline",
        Request::Arqc => "ARQC, go online",
        Request::Tc => "TC, approve offline",
    }
}
