//! Visa in the field: the whole transaction in GET PROCESSING OPTIONS, its cryptogram and, where the card is authenticated
//! offline, its fDDA signature in the answer (VCPS 2.2, EMV Contactless C-3).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::payment::Payment;
use super::registry::Counters;
use super::session::{Interface, Phase};
use super::transaction::{Cryptogram, Known, Transaction};
use super::verify::PinStatus;
use super::{Answer, Card};
use crate::wire::apdu::RApdu;
use crate::wire::sw::Sw;
use crate::wire::tag;
use crate::wire::tlv::Writer;

/// Terminal transaction qualifiers (9F66), as far as the card reads them.
// C-3 A.2; facts/emv.md 3.3
#[derive(Clone, Copy, Debug)]
struct Qualifiers([u8; 4]);

impl Qualifiers {
    const fn knows_emv_mode(self) -> bool {
        self.0[0] & 0x20 != 0
    }

    const fn is_offline_only(self) -> bool {
        self.0[0] & 0x08 != 0
    }

    const fn knows_online_pin(self) -> bool {
        self.0[0] & 0x04 != 0
    }

    const fn knows_signature(self) -> bool {
        self.0[0] & 0x02 != 0
    }

    const fn authenticates_online_payments(self) -> bool {
        self.0[0] & 0x01 != 0
    }

    const fn demands_online(self) -> bool {
        self.0[1] & 0x80 != 0
    }

    const fn demands_verification(self) -> bool {
        self.0[1] & 0x40 != 0
    }
}

impl Card {
    /// Counts, decides, signs and logs in one: `counters` have the new ATC already.
    // VCPS 2.2 appendix D (card path), reproduced from its public descriptions; what those leave open is assumed
    pub(super) fn quick_transaction(
        &mut self,
        interface: Interface,
        slot: u8,
        payment: &Arc<Payment>,
        counters: Counters,
        pdol_values: &[u8],
    ) -> Answer {
        let side = payment.side(interface);
        let known = Known {
            payment,
            application_interchange_profile: side.application_interchange_profile,
            values: [(&side.pdol, pdol_values), (&payment.none, &[]), (&payment.none, &[])],
            blocked: self.is_blocked_by_issuer(slot),
            pin: PinStatus::default(),
        };
        let terminal = Qualifiers(known.array(tag::TAG_9F66_TTQ));
        if !terminal.knows_emv_mode() {
            return Err(Sw::CONDITIONS_NOT_SATISFIED);
        }
        let qualifiers = card_qualifiers(payment.risk.qualifiers, terminal);
        let needs_issuer = terminal.demands_online() || qualifiers[0] & ONLINE_PIN != 0;
        let requested = if needs_issuer { Cryptogram::Arqc } else { Cryptogram::Tc };
        let mut transaction = Transaction::first(requested, &known, counters);
        if transaction.first == Cryptogram::Arqc && terminal.is_offline_only() {
            // Nobody can be asked.
            transaction.first = Cryptogram::Aac;
        }
        let answer = transaction.sign(&known);

        let authenticates = match transaction.first {
            Cryptogram::Tc => true,
            Cryptogram::Arqc => terminal.authenticates_online_payments(),
            Cryptogram::Aac => false,
        };
        let options = payment.authenticated_options.as_deref().filter(|_| authenticates);
        let related = options.map(|_| self.card_authentication_data(qualifiers));
        let signature = match (&payment.private_key, related) {
            (Some(key), Some(related)) => {
                // The ICC dynamic number is the ATC.
                let [high, low] = answer.atc.to_be_bytes();
                let challenge: [u8; 4] = known.array(tag::TAG_9F37_UNPREDICTABLE_NUMBER);
                let amount: [u8; 6] = known.array(tag::TAG_9F02_AMOUNT_AUTHORISED);
                let currency: [u8; 2] = known.array(tag::TAG_5F2A_TRANSACTION_CURRENCY_CODE);
                let signature = key.sign_dynamic_data(
                    &self.signatures,
                    &[2, high, low],
                    &[&challenge, &amount, &currency, &related],
                );
                Some(signature.ok_or(Sw::CONDITIONS_NOT_SATISFIED)?)
            }
            _ => None,
        };
        let static_objects = options.or_else(|| content(&side.processing_options)).unwrap_or_default();
        let data = Writer::new()
            .nest(tag::TAG_77_RESPONSE_TEMPLATE_2, |objects| {
                objects
                    .raw(static_objects)
                    .put(tag::TAG_9F10_IAD, &answer.issuer_application_data)
                    .put(tag::TAG_9F26_APPLICATION_CRYPTOGRAM, answer.cryptogram)
                    .put(tag::TAG_9F27_CID, [answer.information])
                    .put(tag::TAG_9F36_ATC, answer.atc.to_be_bytes())
                    .put(tag::TAG_9F6C_CTQ, qualifiers)
                    .put_some(tag::TAG_9F4B_SDAD, signature)
            })
            .finish();

        let (counters, record) = transaction.log_entry(&known, &answer, &self.profile.log_format.value);
        self.registry.commit_counters(&mut self.nvm, slot, counters, record.as_deref())?;
        self.conclude(interface, slot, Phase::Concluded(related), answer);
        Ok(RApdu::ok(data))
    }

    /// 9F69: version 1, the card's own unpredictable number, and the qualifiers that the signature covers.
    // C-3 Annex C (facts/emv.md 3.3)
    fn card_authentication_data(&mut self, [first, second]: [u8; 2]) -> [u8; 7] {
        let [a, b, c, d] = self.rng.array();
        [0x01, a, b, c, d, first, second]
    }
}

/// The record that holds 9F69, as it is after this transaction.
pub(super) fn authentication_record(related: [u8; 7]) -> Vec<u8> {
    let content = |record: Writer| record.put(tag::TAG_9F69_CARD_AUTHENTICATION_DATA, related);
    Writer::new().nest(tag::TAG_70_RECORD_TEMPLATE, content).finish()
}

const ONLINE_PIN: u8 = 0x80;
const SIGNATURE: u8 = 0x40;

/// What the card wants done (9F6C): a verification only where one is required, the strongest that the terminal knows. With
/// none in common the terminal decides alone (R3).
const fn card_qualifiers([first, second]: [u8; 2], terminal: Qualifiers) -> [u8; 2] {
    let verification = if !terminal.demands_verification() {
        0
    } else if first & ONLINE_PIN != 0 && terminal.knows_online_pin() {
        ONLINE_PIN
    } else if first & SIGNATURE != 0 && terminal.knows_signature() {
        SIGNATURE
    } else {
        0
    };
    [first & !(ONLINE_PIN | SIGNATURE) | verification, second]
}

/// What the one template of an answer holds.
fn content(answer: &[u8]) -> Option<&[u8]> {
    crate::wire::tlv::find(answer, tag::TAG_77_RESPONSE_TEMPLATE_2)
}
