//! GENERATE AC: card risk management decides, and the cryptogram says so.

use alloc::vec::Vec;

use super::command::require_class;
use super::crypto::Block;
use super::cvn::{CardData, TerminalData};
use super::payment::{Payment, decimal, to_decimal};
use super::registry::Counters;
use super::session::{Interface, Phase, Selected};
use super::{Answer, Card};
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::dol::Dol;
use crate::wire::sw::Sw;
use crate::wire::tag;
use crate::wire::tlv::{Tag, Writer};

/// GENERATE AC.
#[derive(Clone, Copy, Debug)]
pub struct GenerateAc<'a> {
    requested: Cryptogram,
    combined: bool,
    cdol_values: &'a [u8],
}

/// The three kinds of Application Cryptogram, with their code in P1 and in the cryptogram information data.
// EMV 4.4 B3 table 12
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cryptogram {
    /// Declined.
    Aac = 0x00,
    /// Approved offline.
    Tc = 0x40,
    /// The issuer is asked.
    Arqc = 0x80,
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
    /// One cryptogram per transaction: a second GENERATE AC is refused, as nothing comes back online in one tap.
    pub(super) fn handle_generate_ac(
        &mut self,
        interface: Interface,
        slot: u8,
        phase: &Phase,
        command: GenerateAc<'_>,
    ) -> Answer {
        let applet = self.registry.applet(slot).ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let payment = applet.payment.clone().ok_or(Sw::CONDITIONS_NOT_SATISFIED)?;
        let Phase::Initiated(pdol_values) = phase else { return Err(Sw::CONDITIONS_NOT_SATISFIED) };
        if command.cdol_values.len() != payment.cdol1.total_len() {
            return Err(Sw::WRONG_LENGTH);
        }
        let known = Known { payment: &payment, pdol_values, cdol_values: command.cdol_values };
        let transaction = Transaction::decide(command.requested, &known, applet.counters);
        let answer = transaction.sign(&known);

        let (counters, record) = self.log_entry(&known, &transaction, &answer);
        self.registry.commit_counters(&mut self.nvm, slot, counters, record.as_deref())?;
        self.session_mut(interface).selected = Selected::Applet(slot, Phase::Done);
        Ok(RApdu::ok(answer.encode(self.combined_signature(&known, &answer, command.combined))))
    }

    /// The signed dynamic application data (9F4B) of CDA; `None` as long as no RSA key is personalised.
    // EMV 4.4 B2 6.6.1: a card without the key answers as if CDA had not been asked for.
    fn combined_signature(
        &self,
        _known: &Known<'_>,
        _answer: &ApplicationCryptogram,
        _wanted: bool,
    ) -> Option<Vec<u8>> {
        None
    }

    /// The log record of the transaction, if there is to be one, and the counters that go with it.
    fn log_entry(
        &self,
        known: &Known<'_>,
        transaction: &Transaction,
        answer: &ApplicationCryptogram,
    ) -> (Counters, Option<Vec<u8>>) {
        let counters = transaction.counters;
        let wanted = transaction.cryptogram != Cryptogram::Aac || known.payment.risk.logs_declined;
        let Some(log) = known.payment.log.filter(|_| wanted) else { return (counters, None) };
        let Ok(format) = Dol::decode(&self.profile.log_format.value) else { return (counters, None) };
        let record = format.fill(|wanted| match wanted {
            tag::TAG_9F27_CID => Some([answer.information].into()),
            tag::TAG_9F36_ATC => Some(answer.atc.to_be_bytes().into()),
            _ => known.value(wanted).map(Vec::from),
        });
        let counters = Counters {
            log_newest: counters.log_newest.wrapping_add(1) % log.records,
            log_records: counters.log_records.saturating_add(1).min(log.records),
            ..counters
        };
        (counters, Some(record))
    }
}

/// What the card knows about the transaction.
struct Known<'a> {
    payment: &'a Payment,
    pdol_values: &'a [u8],
    cdol_values: &'a [u8],
}

impl Known<'_> {
    /// The terminal's value of a tag: from CDOL1, else from the PDOL.
    fn value(&self, wanted: Tag) -> Option<&[u8]> {
        let lists = [(&self.payment.cdol1, self.cdol_values), (&self.payment.pdol, self.pdol_values)];
        lists
            .into_iter()
            .find_map(|(list, values)| list.split(values).find(|(tag, _)| *tag == wanted).map(|(_, value)| value))
    }

    /// The same with a fixed length; zeros when the terminal was not asked for it or in another length.
    fn array<const N: usize>(&self, wanted: Tag) -> [u8; N] {
        self.value(wanted).and_then(|value| value.try_into().ok()).unwrap_or([0; N])
    }

    fn terminal_data(&self) -> TerminalData {
        let [transaction_type] = self.array(tag::TAG_9C_TRANSACTION_TYPE);
        TerminalData {
            amount_authorised: self.array(tag::TAG_9F02_AMOUNT_AUTHORISED),
            amount_other: self.array(tag::TAG_9F03_AMOUNT_OTHER),
            terminal_country: self.array(tag::TAG_9F1A_TERMINAL_COUNTRY_CODE),
            terminal_verification_results: self.array(tag::TAG_95_TVR),
            currency: self.array(tag::TAG_5F2A_TRANSACTION_CURRENCY_CODE),
            date: self.array(tag::TAG_9A_TRANSACTION_DATE),
            transaction_type,
            unpredictable_number: self.array(tag::TAG_9F37_UNPREDICTABLE_NUMBER),
        }
    }
}

/// The card's decision and what it counted.
struct Transaction {
    cryptogram: Cryptogram,
    counters: Counters,
    consecutive_exceeded: bool,
    cumulative_exceeded: bool,
}

impl Transaction {
    /// Card risk management: an offline approval counts against both limits; what would exceed one goes online. The card
    /// never grants more than was asked for.
    // EMV 4.4 B3 10.8; limits from DGI A001
    fn decide(requested: Cryptogram, known: &Known<'_>, counters: Counters) -> Self {
        let risk = &known.payment.risk;
        let terminal = known.terminal_data();
        let consecutive = counters.consecutive_offline.saturating_add(1);
        let consecutive_exceeded = consecutive > risk.consecutive_offline_limit;
        // Only amounts in the card's own currency can be summed; others always go online, and so do amounts that are none.
        let amount = decimal(&terminal.amount_authorised).filter(|_| terminal.currency == risk.currency);
        let cumulative = amount.map(|amount| counters.cumulative_offline.saturating_add(amount));
        let cumulative_exceeded = cumulative.is_none_or(|sum| sum > risk.cumulative_offline_limit);

        let cryptogram = match requested {
            Cryptogram::Tc if consecutive_exceeded || cumulative_exceeded => Cryptogram::Arqc,
            requested => requested,
        };
        let counters = match (cryptogram, cumulative) {
            (Cryptogram::Tc, Some(cumulative_offline)) => {
                Counters { consecutive_offline: consecutive, cumulative_offline, ..counters }
            }
            _ => counters,
        };
        Self { cryptogram, counters, consecutive_exceeded, cumulative_exceeded }
    }

    fn sign(&self, known: &Known<'_>) -> ApplicationCryptogram {
        let risk = &known.payment.risk;
        let terminal = known.terminal_data();
        let cvr = self.card_verification_results(known, &terminal);
        let counters = self.plaintext_counters();
        let mut issuer_application_data = Vec::with_capacity(18);
        issuer_application_data.extend([risk.derivation_key_index, risk.cvn.value]);
        issuer_application_data.extend(cvr);
        // No data authentication code: nothing is signed statically.
        issuer_application_data.extend([0, 0]);
        issuer_application_data.extend(counters);

        let atc = self.counters.atc;
        let card = CardData {
            application_interchange_profile: known.payment.application_interchange_profile,
            atc,
            cvr: &cvr,
            counters: &counters,
            issuer_application_data: &issuer_application_data,
        };
        let key = risk.cvn.session_key(&known.payment.master_key_ac, atc, terminal.unpredictable_number);
        let cryptogram = risk.cvn.application_cryptogram(&key, &risk.cvn.ac_input(&terminal, &card));
        ApplicationCryptogram { information: self.cryptogram as u8, atc, cryptogram, issuer_application_data }
    }

    // M/Chip Requirements, 15 March 2022, Appendix B (bits as in emv-utils' emv_fields.h)
    fn card_verification_results(&self, known: &Known<'_>, terminal: &TerminalData) -> [u8; 6] {
        const SECOND_NOT_REQUESTED: u8 = 0x80;
        const OFFLINE_PIN_NOT_PERFORMED: u8 = 0x20;
        let first = match self.cryptogram {
            Cryptogram::Aac => 0x00,
            Cryptogram::Tc => 0x10,
            Cryptogram::Arqc => 0x20,
        };
        let place = match known.payment.issuer_country {
            Some(country) if country == terminal.terminal_country => 0x02,
            Some(_) => 0x04,
            None => 0x00,
        };
        let limits = u8::from(self.consecutive_exceeded) << 7 | u8::from(self.cumulative_exceeded) << 5;
        [SECOND_NOT_REQUESTED | first, 0, 0, OFFLINE_PIN_NOT_PERFORMED | place, limits, 0]
    }

    /// Cumulative amount (n12), consecutive approvals, FF; as they stand after this transaction (assumed).
    fn plaintext_counters(&self) -> Block {
        let [a, b, c, d, e, f] = to_decimal(self.counters.cumulative_offline);
        [a, b, c, d, e, f, self.counters.consecutive_offline, 0xFF]
    }
}

/// The answer's values.
struct ApplicationCryptogram {
    information: u8,
    atc: u16,
    cryptogram: Block,
    issuer_application_data: Vec<u8>,
}

impl ApplicationCryptogram {
    // EMV 4.4 B3 6.5.5.4, format 2; with CDA the cryptogram itself is inside the signature (B2 table 19)
    fn encode(&self, signature: Option<Vec<u8>>) -> Vec<u8> {
        let cryptogram = signature.is_none().then_some(self.cryptogram);
        Writer::new()
            .nest(tag::TAG_77_RESPONSE_TEMPLATE_2, |answer| {
                answer
                    .put(tag::TAG_9F27_CID, [self.information])
                    .put(tag::TAG_9F36_ATC, self.atc.to_be_bytes())
                    .put_some(tag::TAG_9F26_APPLICATION_CRYPTOGRAM, cryptogram)
                    .put_some(tag::TAG_9F4B_SDAD, signature)
                    .put(tag::TAG_9F10_IAD, &self.issuer_application_data)
            })
            .finish()
    }
}
