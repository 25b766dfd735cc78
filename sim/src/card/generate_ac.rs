//! GENERATE AC: card risk management decides, and the cryptogram says so; signed too if the terminal wants CDA.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::command::require_class;
use super::cvn::ArpcKeys;
use super::payment::Payment;
use super::registry::Counters;
use super::session::{Interface, IssuerAuthentication, Online, Phase, Selected};
use super::transaction::{ApplicationCryptogram, Cryptogram, Known, Transaction};
use super::verify::PinStatus;
use super::{Answer, Card};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;
use crate::wire::tag;
use crate::wire::tlv::Writer;

/// GENERATE AC.
#[derive(Clone, Copy, Debug)]
pub struct GenerateAc<'a> {
    requested: Cryptogram,
    combined: bool,
    cdol_values: &'a [u8],
}

impl<'a> GenerateAc<'a> {
    /// P1 b8-b7 what the terminal asks for, b5 whether signed (CDA); P2 00.
    // EMV 4.4 B3 6.5.5.2
    pub fn parse(apdu: &'a CApdu) -> Result<Self, Sw> {
        require_class(apdu, 0x80)?;
        let requested = match apdu.p1 & 0xC0 {
            0x00 => Cryptogram::Aac,
            0x40 => Cryptogram::Tc,
            0x80 => Cryptogram::Arqc,
            _ => return Err(Sw::INCORRECT_P1_P2),
        };
        if apdu.p1 & 0x2F != 0 || apdu.p2 != 0 {
            return Err(Sw::INCORRECT_P1_P2);
        }
        Ok(Self { requested, combined: apdu.p1 & 0x10 != 0, cdol_values: &apdu.data })
    }
}

impl Card {
    /// In the field one cryptogram ends the transaction, as nothing comes back online in one tap. Over contacts an ARQC is
    /// followed by a second GENERATE AC. Any other one is refused.
    // EMV 4.4 B3 9.2
    pub(super) fn handle_generate_ac(
        &mut self,
        interface: Interface,
        slot: u8,
        phase: &Phase,
        command: GenerateAc<'_>,
    ) -> Answer {
        let applet = self.registry.applet(slot).ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let payment = applet.payment.clone().ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let counters = applet.counters;
        match phase {
            Phase::Initiated(pdol_values) => {
                self.first_cryptogram(interface, slot, &payment, counters, pdol_values, command)
            }
            Phase::Online(online) => self.second_cryptogram(interface, slot, &payment, counters, online, command),
            Phase::Selected | Phase::Concluded(_) => Err(Sw::CONDITIONS_NOT_SATISFIED),
        }
    }

    fn first_cryptogram(
        &mut self,
        interface: Interface,
        slot: u8,
        payment: &Arc<Payment>,
        counters: Counters,
        pdol_values: &[u8],
        command: GenerateAc<'_>,
    ) -> Answer {
        let cdol_values = command.cdol_values;
        if cdol_values.len() != payment.cdol1.total_len() {
            return Err(Sw::WRONG_LENGTH);
        }
        let side = payment.side(interface);
        let known = Known {
            payment,
            application_interchange_profile: side.application_interchange_profile,
            values: [(&payment.cdol1, cdol_values), (&side.pdol, pdol_values), (&payment.none, &[])],
            blocked: self.is_blocked_by_issuer(slot),
            pin: self.pin_status(interface, slot),
        };
        let mut transaction = Transaction::first(command.requested, &known, counters);
        transaction.combined = signs(command, payment, transaction.first);
        let answer = transaction.sign(&known);
        let signed = transaction.combined.then_some([pdol_values, cdol_values, &[]]);
        let data = self.encode_answer(payment, &known, &answer, signed)?;

        let (counters, record) = transaction.log_entry(&known, &answer, &self.profile.log_format.value);
        self.registry.commit_counters(&mut self.nvm, slot, counters, record.as_deref())?;
        let script_cryptogram = (interface == Interface::Contact).then_some(answer.cryptogram);
        self.session_mut(interface).script_cryptogram = script_cryptogram;
        let goes_on = interface == Interface::Contact && transaction.first == Cryptogram::Arqc;
        let phase = if goes_on {
            Phase::Online(Box::new(Online {
                pdol_values: pdol_values.to_vec(),
                cdol1_values: cdol_values.to_vec(),
                arqc: answer.cryptogram,
                issuer: IssuerAuthentication::NotPerformed,
            }))
        } else {
            Phase::Concluded(None)
        };
        self.conclude(interface, slot, phase, answer);
        Ok(RApdu::ok(data))
    }

    /// Data of CDOL2 replace those of CDOL1 where both have them (assumed).
    fn second_cryptogram(
        &mut self,
        interface: Interface,
        slot: u8,
        payment: &Arc<Payment>,
        counters: Counters,
        online: &Online,
        command: GenerateAc<'_>,
    ) -> Answer {
        // EMV 4.4 B3 table 12: the issuer is asked once.
        if command.requested == Cryptogram::Arqc {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let cdol_values = command.cdol_values;
        if cdol_values.len() != payment.cdol2.total_len() {
            return Err(Sw::WRONG_LENGTH);
        }
        let side = payment.side(interface);
        let known = Known {
            payment,
            application_interchange_profile: side.application_interchange_profile,
            values: [
                (&payment.cdol2, cdol_values),
                (&payment.cdol1, &online.cdol1_values),
                (&side.pdol, &online.pdol_values),
            ],
            blocked: self.is_blocked_by_issuer(slot),
            pin: self.pin_status(interface, slot),
        };
        // A CDOL2 that asks for the issuer's cryptogram spares EXTERNAL AUTHENTICATE; zeros mean that there is none.
        let issuer = match (online.issuer, known.value(tag::TAG_91_ISSUER_AUTHENTICATION_DATA)) {
            (IssuerAuthentication::NotPerformed, Some(data)) if data.iter().any(|byte| *byte != 0) => {
                check_issuer(payment, counters.atc, online, data)
            }
            (already, _) => already,
        };
        let mut transaction = Transaction::second(command.requested, issuer, &known, counters);
        transaction.combined = signs(command, payment, transaction.cryptogram());
        let answer = transaction.sign(&known);
        let signed = transaction.combined.then_some([online.pdol_values.as_slice(), &online.cdol1_values, cdol_values]);
        let data = self.encode_answer(payment, &known, &answer, signed)?;
        self.registry.commit_counters(&mut self.nvm, slot, transaction.counters, None)?;
        self.conclude(interface, slot, Phase::Concluded(None), answer);
        Ok(RApdu::ok(data))
    }

    /// The answer's data. `signed` is what CDA covers beside the answer itself: the values of PDOL, CDOL1 and CDOL2.
    // EMV 4.4 B3 6.5.5.4, format 2; with CDA the cryptogram itself is inside the signature (B2 6.6.1, tables 18 to 20)
    fn encode_answer(
        &mut self,
        payment: &Payment,
        known: &Known<'_>,
        answer: &ApplicationCryptogram,
        signed: Option<[&[u8]; 3]>,
    ) -> Result<Vec<u8>, Sw> {
        let objects = |signature: Option<&[u8]>| {
            let bare = signed.is_none().then_some(answer.cryptogram);
            Writer::new()
                .put(tag::TAG_9F27_CID, [answer.information])
                .put(tag::TAG_9F36_ATC, answer.atc.to_be_bytes())
                .put_some(tag::TAG_9F26_APPLICATION_CRYPTOGRAM, bare)
                .put_some(tag::TAG_9F4B_SDAD, signature)
                .put(tag::TAG_9F10_IAD, &answer.issuer_application_data)
                .finish()
        };
        let signature = match (signed, &payment.private_key) {
            (Some([pdol_values, cdol1_values, cdol2_values]), Some(key)) => {
                let exchanged = [pdol_values, cdol1_values, cdol2_values, &objects(None)].concat();
                let dynamic = self.combined_dynamic_data(answer, &exchanged);
                let challenge = known.array::<4>(tag::TAG_9F37_UNPREDICTABLE_NUMBER);
                let signature = key.sign_dynamic_data(&self.signatures, &dynamic, &[&challenge]);
                Some(signature.ok_or(Sw::CONDITIONS_NOT_SATISFIED)?)
            }
            _ => None,
        };
        Ok(Writer::new().put(tag::TAG_77_RESPONSE_TEMPLATE_2, objects(signature.as_deref())).finish())
    }

    /// ICC dynamic number, cryptogram information data, cryptogram, hash of the exchange.
    // EMV 4.4 B2 table 20
    fn combined_dynamic_data(&mut self, answer: &ApplicationCryptogram, exchanged: &[u8]) -> Vec<u8> {
        use sha1::{Digest, Sha1};
        let number: [u8; 8] = self.rng.array();
        let mut dynamic = Vec::with_capacity(38);
        dynamic.push(8);
        dynamic.extend(number);
        dynamic.push(answer.information);
        dynamic.extend(answer.cryptogram);
        dynamic.extend(Sha1::digest(exchanged));
        dynamic
    }

    /// The cryptogram is out.
    pub(super) fn conclude(&mut self, interface: Interface, slot: u8, phase: Phase, answer: ApplicationCryptogram) {
        let session = self.session_mut(interface);
        session.selected = Selected::Applet(slot, phase);
        session.cryptogram_input = answer.input;
    }
}

/// Whether the answer is signed: a decline is not, and a card without a key answers as if CDA had not been asked for.
// EMV 4.4 B2 6.6.1
fn signs(command: GenerateAc<'_>, payment: &Payment, cryptogram: Cryptogram) -> bool {
    command.combined && payment.private_key.is_some() && cryptogram != Cryptogram::Aac
}

/// Whether issuer authentication data (91) answer the ARQC genuinely.
// EMV 4.4 B2 8.2
pub(super) fn check_issuer(payment: &Payment, atc: u16, online: &Online, data: &[u8]) -> IssuerAuthentication {
    let known = Known {
        payment,
        application_interchange_profile: [0; 2],
        values: [(&payment.cdol1, &online.cdol1_values), (&payment.none, &[]), (&payment.none, &[])],
        blocked: false,
        pin: PinStatus::default(),
    };
    let cvn = payment.risk.cvn;
    let unpredictable_number = known.array(tag::TAG_9F37_UNPREDICTABLE_NUMBER);
    let session_key = cvn.session_key(&payment.master_key_ac, atc, unpredictable_number);
    let keys = ArpcKeys { master_key: &payment.master_key_ac, session_key: &session_key };
    if cvn.verify_arpc(&keys, online.arqc, data) { IssuerAuthentication::Passed } else { IssuerAuthentication::Failed }
}
