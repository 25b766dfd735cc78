//! What one payment has come to: the purchase, the candidates, and all that is known of the application in use. Every step
//! reads it and writes its findings here.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use band_sim::wire::apdu::CApdu;
use band_sim::wire::dol::Dol;
use band_sim::wire::tag;
use band_sim::wire::tlv::Tag;
use band_sim::wire::tvr::Tvr;

use super::card_data::CardData;
use super::config::TerminalConfig;
use super::io::{Cvm, Note, Outcome, Purchase, Step};
use crate::cloud::api::Authorisation;
use crate::money::{Currency, Money};

/// What a step decides: what comes next, or that this is the end of the application.
pub(super) type Decision<T> = Result<T, Stop>;

/// What comes next.
#[derive(Clone, Debug)]
pub(super) enum Next {
    /// Send a command; its answer belongs to this step.
    Send(Pending, CApdu),
    /// Send a command that belongs to the answer under way.
    Continue(CApdu),
    /// Ask the customer for the PIN.
    AskPin,
    /// Ask the acquirer.
    AskAcquirer(Box<Authorisation>),
}

/// Whose answer the terminal waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    /// SELECT of the PPSE.
    Ppse,
    /// SELECT of an application.
    Selection,
    /// GET PROCESSING OPTIONS.
    Gpo,
    /// READ RECORD.
    Record,
    /// GENERATE AC.
    GenerateAc,
    /// The customer.
    Pin,
    /// The acquirer.
    Acquirer,
}

/// Why an application is not used any further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The next candidate is tried (EMV Contactless Book A 6.2: select next).
    SelectNext(Unfit),
    /// The payment ends.
    End(End),
}

/// Why the next candidate is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    /// In words.
    pub(super) reason: String,
    /// It is the amount, so another interface could help.
    pub(super) over_limit: bool,
}

/// How a payment ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// EMV's word for it.
    pub(super) outcome: Outcome,
    /// Why.
    pub(super) reason: String,
}

impl Stop {
    /// This payment ends so.
    pub(super) fn end(outcome: Outcome, reason: impl Into<String>) -> Self {
        Self::End(End { outcome, reason: reason.into() })
    }

    /// The card cannot be used: end application.
    pub(super) fn card_error(reason: impl Into<String>) -> Self {
        Self::end(Outcome::EndApplication, reason)
    }

    /// This application cannot be used; another may.
    pub(super) fn select_next(reason: impl Into<String>) -> Self {
        Self::SelectNext(Unfit { reason: reason.into(), over_limit: false })
    }
}

/// The rules by which an application is processed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kernel {
    /// Mastercard's.
    #[default]
    Kernel2,
    /// Visa's.
    Kernel3,
}

impl Kernel {
    /// The number by which a card asks for it (9F2A).
    pub(super) const fn id(self) -> u8 {
        match self {
            Self::Kernel2 => 2,
            Self::Kernel3 => 3,
        }
    }
}

/// An application of the card that the terminal supports, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The kernel that will process it.
    pub(super) kernel: Kernel,
    /// Its name in the card (4F), with the extended selection (9F29) behind it if there is one.
    pub(super) name: Vec<u8>,
    /// The terminal's application identifier that it matched (9F06).
    pub(super) terminal_aid: Vec<u8>,
    /// 1 is the first choice, 15 the last; 0 is none and comes after 15.
    pub(super) priority: u8,
}

/// A payment.
#[derive(Clone, Debug)]
pub(super) struct Transaction {
    pub(super) config: Arc<TerminalConfig>,
    pub(super) purchase: Purchase,
    pub(super) clock: LocalClock,
    /// Kernels that pre-processing allows for this amount.
    pub(super) allowed: Vec<Kernel>,
    /// Not tried yet, best first.
    pub(super) candidates: VecDeque<Candidate>,
    /// A candidate was dropped because of the amount.
    pub(super) over_limit: bool,
    /// The application in use, or the last one that was.
    pub(super) application: Application,
    /// Whether the acquirer was asked.
    pub(super) asked_online: bool,
    /// The issuer's answer code.
    pub(super) arc: Option<[u8; 2]>,
    /// Whether anybody reads the notes.
    pub(super) explains: bool,
    /// Not yet given out.
    pub(super) notes: Vec<Note>,
}

/// All that is known of the application in use.
#[derive(Clone, Debug, Default)]
pub(super) struct Application {
    pub(super) kernel: Kernel,
    pub(super) terminal_aid: Vec<u8>,
    /// The name that was selected.
    pub(super) name: Vec<u8>,
    /// What the card wants to be told in GET PROCESSING OPTIONS (9F38).
    pub(super) pdol: Option<Dol>,
    pub(super) card: CardData,
    pub(super) tvr: Tvr,
    /// Terminal transaction qualifiers (9F66), kernel 3.
    pub(super) ttq: [u8; 4],
    /// Terminal capabilities (9F33).
    pub(super) terminal_capabilities: [u8; 3],
    pub(super) cvm: Option<Cvm>,
    /// CVM results (9F34).
    pub(super) cvm_results: Option<[u8; 3]>,
    /// Records still to be read.
    pub(super) records: VecDeque<super::read_records::Record>,
    /// What the card's certificate signs of its records (EMV 4.4 B3 10.3).
    pub(super) signed: SignedRecords,
    /// Combined data authentication is asked of the card.
    pub(super) cda: bool,
    /// The values that were sent, for the hash in the card's signature.
    pub(super) pdol_values: Secret,
    pub(super) cdol1_values: Secret,
    pub(super) request: Option<super::action_analysis::Request>,
}

/// Bytes that do not appear in any output.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Secret(pub(super) Vec<u8>);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

/// Records for offline data authentication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SignedRecords {
    pub(super) bytes: Secret,
    /// A record had a form that cannot be signed, so authentication must fail.
    pub(super) unfit: Option<String>,
}

/// Local date and time as the card is told them, in decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LocalClock {
    /// `YY MM DD` (9A).
    pub(super) date: [u8; 3],
    /// `hh mm ss` (9F21).
    pub(super) time: [u8; 3],
}

impl fmt::Display for LocalClock {
    /// `2026-03-01 10:00:05`; the century is the terminal's (EMV 4.4 B4 6.7.3 knows none in 9A).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([year, month, day], [hour, minute, second]) = (self.date, self.time);
        write!(f, "20{year:02X}-{month:02X}-{day:02X} {hour:02X}:{minute:02X}:{second:02X}")
    }
}

impl LocalClock {
    /// The terminal's calendar at this second; the ends of the calendar outside it.
    pub(super) fn at(unix_s: i64, offset_s: i32) -> Self {
        let bounds = jiff::Timestamp::MIN.as_second()..=jiff::Timestamp::MAX.as_second();
        let local = unix_s.saturating_add(i64::from(offset_s)).clamp(*bounds.start(), *bounds.end());
        let civil =
            jiff::Timestamp::from_second(local).unwrap_or_default().to_zoned(jiff::tz::TimeZone::UTC).datetime();
        let bcd = |number: i16| {
            let number = u8::try_from(number.rem_euclid(100)).unwrap_or_default();
            (number / 10) << 4 | (number % 10)
        };
        Self {
            date: [bcd(civil.year()), bcd(civil.month().into()), bcd(civil.day().into())],
            time: [bcd(civil.hour().into()), bcd(civil.minute().into()), bcd(civil.second().into())],
        }
    }
}

/// The value of a data object, without a buffer of its own: a payment asks for dozens.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// As the card gave it, or as the terminal keeps it.
    Kept(&'a [u8]),
    /// Made when it was asked for: `len` of these bytes.
    Made { bytes: [u8; 8], len: usize },
}

impl Value<'_> {
    fn made<const N: usize>(value: [u8; N]) -> Self {
        const { assert!(N <= 8, "no computed value is longer than 9F1D") };
        let mut bytes = [0; 8];
        bytes.iter_mut().zip(value).for_each(|(byte, made)| *byte = made);
        Self::Made { bytes, len: N }
    }
}

impl AsRef<[u8]> for Value<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Kept(bytes) => bytes,
            Self::Made { bytes, len } => bytes.get(..*len).unwrap_or_default(),
        }
    }
}

impl Transaction {
    /// A payment that has just begun.
    pub(super) fn new(config: Arc<TerminalConfig>, purchase: Purchase) -> Self {
        Self {
            clock: LocalClock::at(purchase.unix_s, config.time_zone_offset.seconds),
            config,
            purchase,
            allowed: Vec::new(),
            candidates: VecDeque::new(),
            over_limit: false,
            application: Application::default(),
            asked_online: false,
            arc: None,
            explains: true,
            notes: Vec::new(),
        }
    }

    /// Says what was decided, and which rule decided it. The text is made only if somebody reads it.
    pub(super) fn note(&mut self, step: Step, text: impl fmt::Display) {
        if self.explains {
            self.notes.push(Note { step, text: text.to_string() });
        }
    }

    /// The amount as it was asked for, maybe in a currency that this terminal does not take.
    pub(super) fn asked_amount(&self) -> String {
        let Purchase { amount_minor, currency, .. } = self.purchase;
        match Currency::of_number(currency) {
            Some(currency) => currency.of(amount_minor).to_string(),
            None => format!("{amount_minor} minor units of currency {currency}"),
        }
    }

    /// The amount with its currency, the terminal's own.
    pub(super) fn amount(&self) -> Money {
        self.config.money(self.purchase.amount_minor)
    }

    /// Whether the holder must be verified for this amount, kernel 2's way: above the limit.
    pub(super) fn is_above_cvm_limit(&self) -> bool {
        self.purchase.amount_minor > self.config.limits.cvm_required.minor
    }

    /// Transaction type (9C).
    pub(super) fn transaction_type(&self) -> u8 {
        // ISO 8583 processing code: 00 goods and services, 09 the same with cashback.
        if self.purchase.amount_other_minor > 0 { 0x09 } else { 0x00 }
    }

    /// The value of a data object for a DOL: the terminal's own, or else the card's.
    pub(super) fn value(&self, tag: Tag) -> Option<Value<'_>> {
        self.terminal_value(tag).or_else(|| self.application.card.value(tag).map(Value::Kept))
    }

    fn terminal_value(&self, tag: Tag) -> Option<Value<'_>> {
        let (config, purchase, application) = (&self.config, &self.purchase, &self.application);
        let number = |digits: u16| Value::made(bcd::<2>(digits.into()));
        Some(match tag {
            tag::TAG_81_AMOUNT_AUTHORISED_BINARY => binary_amount(purchase.amount_minor),
            tag::TAG_95_TVR => Value::Kept(&application.tvr.0),
            tag::TAG_9A_TRANSACTION_DATE => Value::Kept(&self.clock.date),
            tag::TAG_9C_TRANSACTION_TYPE => Value::made([self.transaction_type()]),
            tag::TAG_5F2A_TRANSACTION_CURRENCY_CODE => number(config.currency.number),
            tag::TAG_5F36_TRANSACTION_CURRENCY_EXPONENT => Value::made([config.currency.exponent]),
            tag::TAG_9F02_AMOUNT_AUTHORISED => Value::made(bcd::<6>(purchase.amount_minor)),
            tag::TAG_9F03_AMOUNT_OTHER => Value::made(bcd::<6>(purchase.amount_other_minor)),
            tag::TAG_9F04_AMOUNT_OTHER_BINARY => binary_amount(purchase.amount_other_minor),
            tag::TAG_9F06_AID_TERMINAL => Value::Kept(&application.terminal_aid),
            tag::TAG_9F09_TERMINAL_APPLICATION_VERSION => Value::made(self.application_version()?.to_be_bytes()),
            tag::TAG_9F15_MERCHANT_CATEGORY_CODE => number(config.merchant.category_code),
            tag::TAG_9F16_MERCHANT_IDENTIFIER => Value::Kept(config.merchant.id.as_bytes()),
            tag::TAG_9F1A_TERMINAL_COUNTRY_CODE => number(config.country),
            tag::TAG_9F1C_TERMINAL_IDENTIFICATION => Value::Kept(config.merchant.terminal_id.as_bytes()),
            tag::TAG_9F1D_TERMINAL_RISK_DATA => {
                Value::made(config.terminal_risk_management_data(self.is_above_cvm_limit()))
            }
            tag::TAG_9F21_TRANSACTION_TIME => Value::Kept(&self.clock.time),
            tag::TAG_9F33_TERMINAL_CAPABILITIES => Value::Kept(&application.terminal_capabilities),
            tag::TAG_9F34_CVM_RESULTS => Value::Kept(application.cvm_results.as_ref()?),
            tag::TAG_9F35_TERMINAL_TYPE => Value::made([config.terminal_type()]),
            tag::TAG_9F37_UNPREDICTABLE_NUMBER => Value::Kept(&purchase.unpredictable_number),
            // Contactless chip (EMV 4.4 B4, ISO 8583 point-of-service entry mode 07).
            tag::TAG_9F39_POS_ENTRY_MODE => Value::Kept(&[0x07]),
            // Goods, services and cashback; a keypad; a printer (EMV 4.4 B4 A3; assumed for every terminal).
            tag::TAG_9F40_ADDITIONAL_CAPABILITIES => Value::Kept(&[0x70, 0x00, 0xF0, 0xA0, 0x01]),
            tag::TAG_9F4E_MERCHANT_NAME => Value::Kept(config.merchant.name.as_bytes()),
            tag::TAG_9F66_TTQ if application.kernel == Kernel::Kernel3 => Value::Kept(&application.ttq),
            _ => return None,
        })
    }

    fn application_version(&self) -> Option<u16> {
        let kernels = &self.config.kernels;
        match self.application.kernel {
            Kernel::Kernel2 => kernels.kernel_2.as_ref().map(|kernel| kernel.application_version),
            Kernel::Kernel3 => kernels.kernel_3.as_ref().map(|kernel| kernel.application_version),
        }
    }
}

/// The last `2 N` decimal digits of a number, two to a byte.
pub(super) fn bcd<const N: usize>(number: u64) -> [u8; N] {
    let mut bytes = [0; N];
    let mut rest = number;
    for byte in bytes.iter_mut().rev() {
        // Below 100, so each digit fits its half.
        let pair = (rest % 100) as u8;
        *byte = (pair / 10) << 4 | (pair % 10);
        rest /= 100;
    }
    bytes
}

/// An amount as tags 81 and 9F04 have it; zeros when it does not fit (EMV 4.4 B3 A1).
fn binary_amount(minor: u64) -> Value<'static> {
    Value::made(u32::try_from(minor).unwrap_or_default().to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_the_shop_s_own() {
        // 2024-12-31 23:30:05 UTC
        let unix_s = 1_735_687_805;
        let utc = LocalClock::at(unix_s, 0);
        assert_eq!((utc.date, utc.time), ([0x24, 0x12, 0x31], [0x23, 0x30, 0x05]));
        assert_eq!(LocalClock::at(unix_s, 3600).date, [0x25, 0x01, 0x01]);
        assert_eq!(LocalClock::at(1_709_164_800, 0).date, [0x24, 0x02, 0x29], "a leap day");
    }

    #[test]
    fn a_clock_beyond_the_calendar_does_not_panic() {
        let _ = (LocalClock::at(i64::MIN, -1), LocalClock::at(i64::MAX, 1));
    }

    #[test]
    fn numbers_become_decimal_digits_and_lose_what_does_not_fit() {
        assert_eq!(bcd::<6>(6000), [0, 0, 0, 0, 0x60, 0]);
        assert_eq!(bcd::<2>(978), [0x09, 0x78]);
        assert_eq!(bcd::<2>(12345), [0x23, 0x45]);
    }
}
