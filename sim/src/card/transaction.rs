//! A transaction as the card sees it: what the terminal said, what card risk management decides, and the cryptogram that
//! says so. GENERATE AC and, for Visa in the field, GET PROCESSING OPTIONS ask for it.

use alloc::vec::Vec;

use super::crypto::Block;
use super::cvn::{CardData, Scheme, TerminalData};
use super::payment::{LogEntry, Payment, decimal, to_decimal};
use super::registry::Counters;
use super::session::{IssuerAuthentication, PinVerification};
use super::verify::PinStatus;
use crate::wire::dol::Dol;
use crate::wire::tag;
use crate::wire::tlv::Tag;

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

/// What the card knows about the transaction.
pub(super) struct Known<'a> {
    pub(super) payment: &'a Payment,
    pub(super) application_interchange_profile: [u8; 2],
    /// Lists and what came for them, the newest first.
    pub(super) values: [(&'a Dol, &'a [u8]); 3],
    /// Its issuer blocked the application.
    pub(super) blocked: bool,
    pub(super) pin: PinStatus,
}

impl Known<'_> {
    /// The terminal's value of a tag, from the newest list that has it.
    pub(super) fn value(&self, wanted: Tag) -> Option<&[u8]> {
        self.values
            .iter()
            .find_map(|(list, values)| list.split(values).find(|(tag, _)| *tag == wanted).map(|(_, value)| value))
    }

    /// The same with a fixed length; zeros when the terminal was not asked for it or in another length.
    pub(super) fn array<const N: usize>(&self, wanted: Tag) -> [u8; N] {
        self.value(wanted).and_then(|value| value.try_into().ok()).unwrap_or([0; N])
    }

    /// Whether the terminal says (9F34) that a PIN was right in a card that saw no such PIN: somebody answered in its place.
    // EMV 4.4 B3 table 43: methods 01 and 03 to 05 are PINs in the card; B4 A4: 02 successful
    fn terminal_believes_in_a_pin_that_was_not(&self) -> bool {
        let [method, _, result] = self.array(tag::TAG_9F34_CVM_RESULTS);
        matches!((method & 0x3F, result), (0x01 | 0x03..=0x05, 0x02))
            && self.pin.verification != PinVerification::Passed
    }

    pub(super) fn terminal_data(&self) -> TerminalData {
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
pub(super) struct Transaction {
    /// What the first cryptogram is, or was.
    pub(super) first: Cryptogram,
    /// What the second one is, when it is one.
    pub(super) second: Option<Cryptogram>,
    /// Whether the answer is signed (CDA).
    pub(super) combined: bool,
    pub(super) issuer: IssuerAuthentication,
    pub(super) counters: Counters,
    consecutive_exceeded: bool,
    cumulative_exceeded: bool,
}

impl Transaction {
    /// Card risk management: an offline approval counts against both limits; what would exceed one goes online. The card
    /// never grants more than was asked for, and a blocked application grants nothing.
    // EMV 4.4 B3 10.8, 6.5.1.1; limits from DGI A001
    pub(super) fn first(requested: Cryptogram, known: &Known<'_>, counters: Counters) -> Self {
        let limits = Limits::check(known, counters);
        let cryptogram = match requested {
            _ if known.blocked => Cryptogram::Aac,
            Cryptogram::Tc if limits.exceeded() => Cryptogram::Arqc,
            requested => requested,
        };
        let mut transaction = limits.transaction(counters, cryptogram);
        if cryptogram == Cryptogram::Tc {
            limits.count(&mut transaction.counters);
        }
        transaction
    }

    /// After the issuer was asked, or could not be. A genuine answer resets the offline counters; a false one declines. Where
    /// nobody could be asked the limits hold (assumed: an issuer that sends no cryptogram of its own is believed).
    // EMV 4.4 B3 10.11, 6.5.1.1
    pub(super) fn second(
        requested: Cryptogram,
        issuer: IssuerAuthentication,
        known: &Known<'_>,
        counters: Counters,
    ) -> Self {
        // EMV 4.4 B4 A6: Y3, unable to go online, approved.
        let unable_to_go_online = known.value(tag::TAG_8A_ARC) == Some(b"Y3");
        let limits = Limits::check(known, counters);
        let refused =
            known.blocked || issuer == IssuerAuthentication::Failed || unable_to_go_online && limits.exceeded();
        let cryptogram = if requested == Cryptogram::Tc && !refused { Cryptogram::Tc } else { Cryptogram::Aac };
        let mut transaction = limits.transaction(counters, Cryptogram::Arqc);
        transaction.second = Some(cryptogram);
        transaction.issuer = issuer;
        let counted = &mut transaction.counters;
        match (cryptogram, issuer) {
            (_, IssuerAuthentication::Passed) => {
                (counted.consecutive_offline, counted.cumulative_offline) = (0, 0);
                counted.last_online_atc = counted.atc;
            }
            (Cryptogram::Tc, _) if unable_to_go_online => limits.count(counted),
            _ => {}
        }
        transaction
    }

    /// What the answer says.
    pub(super) const fn cryptogram(&self) -> Cryptogram {
        match self.second {
            Some(second) => second,
            None => self.first,
        }
    }

    pub(super) fn sign(&self, known: &Known<'_>) -> ApplicationCryptogram {
        let risk = &known.payment.risk;
        let terminal = known.terminal_data();
        let counters = self.plaintext_counters();
        let (cvr, issuer_application_data) = match risk.cvn.scheme {
            Scheme::Mastercard => self.m_chip_issuer_application_data(known, &terminal, counters),
            Scheme::Visa => self.vsdc_issuer_application_data(known),
        };
        let atc = self.counters.atc;
        let card = CardData {
            application_interchange_profile: known.application_interchange_profile,
            atc,
            cvr: &cvr,
            counters: &counters,
            issuer_application_data: &issuer_application_data,
        };
        let key = risk.cvn.session_key(&known.payment.master_key_ac, atc, terminal.unpredictable_number);
        let input = risk.cvn.ac_input(&terminal, &card);
        let cryptogram = risk.cvn.application_cryptogram(&key, &input);
        let information = self.cryptogram() as u8;
        ApplicationCryptogram { information, atc, cryptogram, issuer_application_data, input }
    }

    /// Key index, cryptogram version, card verification results (6), data authentication code (2), counters (8).
    // M/Chip Requirements, 15 March 2022, Appendix B (bits as in emv-utils' emv_fields.h)
    fn m_chip_issuer_application_data(
        &self,
        known: &Known<'_>,
        terminal: &TerminalData,
        counters: Block,
    ) -> (Vec<u8>, Vec<u8>) {
        const PIN_PERFORMED: u8 = 0x04;
        const PIN_SUCCESSFUL: u8 = 0x01;
        const PIN_NOT_PERFORMED: u8 = 0x20;
        const PIN_FAILED: u8 = 0x10;
        const PIN_TRY_LIMIT_EXCEEDED: u8 = 0x08;
        const PIN_ERRONEOUSLY_OK: u8 = 0x01;
        const ISSUER_AUTHENTICATION_PERFORMED: u8 = 0x10;
        let signed = match (self.combined, self.second) {
            (false, _) => 0x00,
            (true, None) => 0x40,
            (true, Some(_)) => 0x20,
        };
        let authenticated = match self.issuer {
            IssuerAuthentication::NotPerformed => 0x00,
            IssuerAuthentication::Passed | IssuerAuthentication::Failed => ISSUER_AUTHENTICATION_PERFORMED,
        };
        let place = match known.payment.issuer_country {
            Some(country) if country == terminal.terminal_country => 0x02,
            Some(_) => 0x04,
            None => 0x00,
        };
        let (pin_done, pin) = match known.pin.verification {
            PinVerification::NotPerformed => (0, PIN_NOT_PERFORMED),
            PinVerification::Passed => (PIN_PERFORMED | PIN_SUCCESSFUL, 0),
            PinVerification::Failed => (PIN_PERFORMED, PIN_FAILED),
        };
        let blocked = if known.pin.is_blocked() { PIN_TRY_LIMIT_EXCEEDED } else { 0 };
        let erroneous = if known.terminal_believes_in_a_pin_that_was_not() { PIN_ERRONEOUSLY_OK } else { 0 };
        let tries_left = known.pin.tries_left.unwrap_or_default();
        let limits = u8::from(self.consecutive_exceeded) << 7 | u8::from(self.cumulative_exceeded) << 5;
        let cvr = [
            self.decisions() | pin_done,
            signed | authenticated,
            tries_left,
            pin | blocked | erroneous | place,
            limits,
            0,
        ]
        .to_vec();
        let risk = &known.payment.risk;
        let mut data = Vec::with_capacity(18);
        data.extend([risk.derivation_key_index, risk.cvn.value]);
        data.extend_from_slice(&cvr);
        // No data authentication code: nothing is signed statically.
        data.extend([0, 0]);
        data.extend(counters);
        (cvr, data)
    }

    /// Length, key index, cryptogram version, card verification results with their own length.
    // VIS 1.6 appendix, format 0/1/3 (bits as in emv-utils' emv_fields.h)
    fn vsdc_issuer_application_data(&self, known: &Known<'_>) -> (Vec<u8>, Vec<u8>) {
        const ISSUER_AUTHENTICATION_FAILED: u8 = 0x08;
        const PIN_PERFORMED: u8 = 0x04;
        const PIN_FAILED: u8 = 0x02;
        const PIN_TRY_LIMIT_EXCEEDED: u8 = 0x40;
        const VELOCITY_EXCEEDED: u8 = 0x20;
        let failed = match self.issuer {
            IssuerAuthentication::Failed => ISSUER_AUTHENTICATION_FAILED,
            IssuerAuthentication::NotPerformed | IssuerAuthentication::Passed => 0,
        };
        let pin = match known.pin.verification {
            PinVerification::NotPerformed => 0,
            PinVerification::Passed => PIN_PERFORMED,
            PinVerification::Failed => PIN_PERFORMED | PIN_FAILED,
        };
        let blocked = if known.pin.is_blocked() { PIN_TRY_LIMIT_EXCEEDED } else { 0 };
        let velocity = if self.consecutive_exceeded || self.cumulative_exceeded { VELOCITY_EXCEEDED } else { 0 };
        let cvr = [0x03, self.decisions() | failed | pin, blocked | velocity, 0].to_vec();
        let risk = &known.payment.risk;
        let mut data = [0x06, risk.derivation_key_index, risk.cvn.value].to_vec();
        data.extend_from_slice(&cvr);
        (cvr, data)
    }

    /// The first byte that both schemes' card verification results begin with: b8-b7 second GENERATE AC (10 not
    /// requested), b6-b5 the first one.
    const fn decisions(&self) -> u8 {
        let second = match self.second {
            None => 0x80,
            Some(second) => second as u8,
        };
        second | (self.first as u8) >> 2
    }

    /// Cumulative amount (n12), consecutive approvals, FF; as they stand after this transaction (assumed).
    fn plaintext_counters(&self) -> Block {
        let [a, b, c, d, e, f] = to_decimal(self.counters.cumulative_offline);
        [a, b, c, d, e, f, self.counters.consecutive_offline, 0xFF]
    }

    /// The log record of the transaction, if there is to be one, and the counters that go with it.
    pub(super) fn log_entry(
        &self,
        known: &Known<'_>,
        answer: &ApplicationCryptogram,
        format: &[u8],
    ) -> (Counters, Option<Vec<u8>>) {
        let counters = self.counters;
        let wanted = self.first != Cryptogram::Aac || known.payment.risk.logs_declined;
        let Some(log) = known.payment.log.filter(|_| wanted) else { return (counters, None) };
        let Ok(format) = Dol::decode(format) else { return (counters, None) };
        let (information, atc) = ([answer.information], answer.atc.to_be_bytes());
        let record = format.fill(|wanted| match wanted {
            tag::TAG_9F27_CID => Some(&information[..]),
            tag::TAG_9F36_ATC => Some(&atc[..]),
            _ => known.value(wanted),
        });
        (counted(counters, log), Some(record))
    }
}

fn counted(counters: Counters, log: LogEntry) -> Counters {
    Counters {
        log_newest: counters.log_newest.wrapping_add(1) % log.records,
        log_records: counters.log_records.saturating_add(1).min(log.records),
        ..counters
    }
}

/// How an offline approval of this amount would stand to the limits.
struct Limits {
    consecutive: u8,
    cumulative: Option<u64>,
    consecutive_exceeded: bool,
    cumulative_exceeded: bool,
}

impl Limits {
    fn check(known: &Known<'_>, counters: Counters) -> Self {
        let risk = &known.payment.risk;
        let consecutive = counters.consecutive_offline.saturating_add(1);
        // Only amounts in the card's own currency can be summed; others always go online, and so do amounts that are none.
        let own_currency = known.array(tag::TAG_5F2A_TRANSACTION_CURRENCY_CODE) == risk.currency;
        let amount = decimal(&known.array::<6>(tag::TAG_9F02_AMOUNT_AUTHORISED)).filter(|_| own_currency);
        let cumulative = amount.map(|amount| counters.cumulative_offline.saturating_add(amount));
        Self {
            consecutive,
            cumulative,
            consecutive_exceeded: consecutive > risk.consecutive_offline_limit,
            cumulative_exceeded: cumulative.is_none_or(|sum| sum > risk.cumulative_offline_limit),
        }
    }

    const fn exceeded(&self) -> bool {
        self.consecutive_exceeded || self.cumulative_exceeded
    }

    fn count(&self, counters: &mut Counters) {
        if let Some(cumulative) = self.cumulative {
            (counters.consecutive_offline, counters.cumulative_offline) = (self.consecutive, cumulative);
        }
    }

    const fn transaction(&self, counters: Counters, first: Cryptogram) -> Transaction {
        Transaction {
            first,
            second: None,
            combined: false,
            issuer: IssuerAuthentication::NotPerformed,
            counters,
            consecutive_exceeded: self.consecutive_exceeded,
            cumulative_exceeded: self.cumulative_exceeded,
        }
    }
}

/// The answer's values.
pub(super) struct ApplicationCryptogram {
    /// 9F27.
    pub(super) information: u8,
    /// 9F36.
    pub(super) atc: u16,
    /// 9F26.
    pub(super) cryptogram: Block,
    /// 9F10.
    pub(super) issuer_application_data: Vec<u8>,
    /// What the cryptogram covers, before padding.
    pub(super) input: Vec<u8>,
}
