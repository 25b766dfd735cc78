//! Selecting one application and reading what it says of itself (EMV Contactless Book B 3.3.3).

use band_sim::wire::apdu::{CApdu, RApdu};
use band_sim::wire::dol::Dol;
use band_sim::wire::hex::Hex;
use band_sim::wire::{tag, tlv};

use super::gpo;
use super::io::Step;
use super::transaction::{Decision, Kernel, Next, Pending, Stop, Transaction};

/// SELECT of the application in use.
pub(super) fn command(transaction: &mut Transaction) -> Next {
    let (name, kernel) = (transaction.application.name.clone(), transaction.application.kernel.id());
    if transaction.explains {
        transaction.note(Step::Selection, format_args!("select {} for kernel {kernel}", Hex(name.clone())));
    }
    Next::Send(Pending::Selection, CApdu::new(0x00, 0xA4, 0x04, 0x00).with_data(name).with_ne(256))
}

/// Takes the answer to SELECT, and goes on to GET PROCESSING OPTIONS.
pub(super) fn handle(transaction: &mut Transaction, answer: &RApdu) -> Decision<Next> {
    // Book B 3.3.3.5: anything but 9000 drops the candidate.
    if !answer.sw.is_ok() {
        return Err(Stop::select_next(format!("the application cannot be selected: {}", answer.sw)));
    }
    read_control_information(transaction, &answer.data).map_err(Stop::select_next)?;
    let application = &transaction.application;
    let asks_for_ttq = application.pdol.as_ref().is_some_and(|pdol| pdol.contains(tag::TAG_9F66_TTQ));
    if application.kernel == Kernel::Kernel3 && !asks_for_ttq {
        // Book B 3.3.3.6: without 9F66 in the PDOL the application belongs to kernel 1.
        return Err(Stop::select_next(
            "the application asks for no 9F66, so it wants kernel 1, which the terminal has not",
        ));
    }
    gpo::command(transaction)
}

fn read_control_information(transaction: &mut Transaction, fci: &[u8]) -> Result<(), String> {
    let application = &mut transaction.application;
    // EMV 4.4 B1 11.3.4 table 45: 6F, in it 84 and A5.
    let template = tlv::find(fci, tag::TAG_6F_FCI_TEMPLATE).ok_or("the answer to SELECT has no 6F")?;
    application.card.store_control(template)?;
    let name = tlv::find(template, tag::TAG_84_DF_NAME).ok_or("the answer to SELECT has no 84")?;
    if name != application.name {
        let (got, wanted) = (Hex(name.to_vec()), Hex(application.name.clone()));
        return Err(format!("the card selected {got} where {wanted} was wanted"));
    }
    let proprietary = tlv::find(template, tag::TAG_A5_FCI_PROPRIETARY).ok_or("the answer to SELECT has no A5")?;
    let pdol = tlv::find(proprietary, tag::TAG_9F38_PDOL).filter(|pdol| !pdol.is_empty());
    application.pdol = pdol.map(Dol::decode).transpose().map_err(|error| format!("the PDOL is malformed: {error}"))?;
    Ok(())
}
