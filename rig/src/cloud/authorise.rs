//! Online authorisation: the issuer checks the cryptogram with its own keys, then the token's state, the PIN and the funds.

use band_sim::time::Instant;
use band_sim::wire::tag::*;
use band_sim::wire::tlv::{self, Tag, Tlv};

use super::api::{Authorisation, AuthorisationReason, AuthorisationReply, BankEntry};
use super::bank::{Bank, BankCard, CardKey, OldServicePayments, Phase};
use super::crypto::TdesKey;
use super::cvn::Signed;
use super::product::Pan;

/// What of the acquirer's message the issuer reads, decoded.
struct ChipData<'a> {
    signed: Signed<'a>,
    cryptogram: [u8; 8],
    cryptogram_information: u8,
    cvm_results: Option<[u8; 3]>,
    terminal_qualifiers: Option<[u8; 4]>,
    card_qualifiers: Option<[u8; 2]>,
}

impl Bank {
    /// Decides about a payment, and answers the card.
    pub(super) fn authorise(&mut self, now: Instant, unix_us: i64, request: &Authorisation) -> AuthorisationReply {
        let Some(key) = track2_number(&request.track2).and_then(|number| self.by_number(&number)) else {
            return refuse(AuthorisationReason::UnknownToken);
        };
        let Some(card) = self.card(key) else { return refuse(AuthorisationReason::UnknownToken) };
        let Some(data) = ChipData::decode(&request.chip_data) else {
            return refuse(AuthorisationReason::ChipDataInvalid);
        };
        let session_key = match check_cryptogram(card, request, &data) {
            Ok(session_key) => session_key,
            Err((reason, input)) => return AuthorisationReply { cryptogram_input: input, ..refuse(reason) },
        };
        let reason = self.decide(key, request, &data);
        let arc = response_code(reason);
        let approved = reason == AuthorisationReason::Approved;
        let (master, cvn, suspicion) = match self.card(key) {
            Some(card) => (card.token.keys.ac, card.product.cvn, changed_qualifiers(card, &data)),
            None => return refuse(AuthorisationReason::UnknownToken),
        };
        let answer = cvn.issuer_authentication_data(&master, &session_key, data.cryptogram, arc);
        self.book(key, &data, approved, unix_us.saturating_add_unsigned(now.as_micros()) / 1_000_000);
        let issuer_authentication_data = Some(answer);
        AuthorisationReply { approved, arc, issuer_authentication_data, reason, cryptogram_input: None, suspicion }
    }

    /// Everything but the cryptogram.
    fn decide(&self, key: CardKey, request: &Authorisation, data: &ChipData<'_>) -> AuthorisationReason {
        let Some(card) = self.card(key) else { return AuthorisationReason::UnknownToken };
        if card.counters.contains(&data.counter()) {
            return AuthorisationReason::CounterRepeated;
        }
        match card.phase {
            Phase::Adding | Phase::Waiting => return AuthorisationReason::NotConfirmed,
            Phase::Deleted | Phase::Gone => return AuthorisationReason::TokenDeleted,
            Phase::Confirmed if card.suspended => return AuthorisationReason::TokenSuspended,
            Phase::Confirmed => {}
        }
        // R12
        if card.old_service && self.settings.old_service_payments == OldServicePayments::Declined {
            return AuthorisationReason::OldService;
        }
        if !pin_agrees(card, request, data) {
            return AuthorisationReason::PinWrong;
        }
        if data.amount() > self.funds_of(card) {
            return AuthorisationReason::InsufficientFunds;
        }
        AuthorisationReason::Approved
    }

    /// What the account behind a card holds.
    pub(super) fn funds_of(&self, card: &BankCard) -> u64 {
        let spent = self.funds.get(&card.owner).and_then(|of_owner| of_owner.get(&card.product.name));
        spent.copied().unwrap_or(card.product.funds_minor)
    }

    /// Remembers the counter, takes the money, writes the record.
    fn book(&mut self, key: CardKey, data: &ChipData<'_>, approved: bool, at_unix_s: i64) {
        let Some(card) = self.card(key) else { return };
        let (owner, product) = (card.owner.clone(), card.product.name.clone());
        let left = self.funds_of(card).saturating_sub(if approved { data.amount() } else { 0 });
        let Some(card) = self.card_mut(key) else { return };
        let repeated = !card.counters.insert(data.counter());
        if card.phase != Phase::Confirmed || repeated {
            return;
        }
        card.record(BankEntry {
            amount_minor: data.amount(),
            currency: decimal(&data.signed.currency).try_into().unwrap_or(0),
            atc: data.counter(),
            approved,
            at_unix_s,
        });
        self.funds.entry(owner).or_default().insert(product, left);
    }
}

/// Whether the cryptogram is the card's, over this payment; answers the session key, or why not and what it was computed over.
// EMV 4.4 B2 8.1, B4 12.2
fn check_cryptogram(
    card: &BankCard,
    request: &Authorisation,
    data: &ChipData<'_>,
) -> Result<TdesKey, (AuthorisationReason, Option<Vec<u8>>)> {
    let invalid = (AuthorisationReason::ChipDataInvalid, None);
    let cvn = card.product.cvn;
    let Some(identifiers) = cvn.identifiers(data.signed.iad) else { return Err(invalid) };
    let known = identifiers == (card.product.dki, cvn.byte());
    let sequence = request.pan_sequence.unwrap_or(0) == card.product.psn;
    // EMV 4.4 B3 table 15: 10 in the top bits is an ARQC
    let asks_online = data.cryptogram_information & 0xC0 == 0x80 && cvn.is_arqc(data.signed.iad);
    if !known || !sequence || !asks_online {
        return Err(invalid);
    }
    let Some(input) = cvn.input(&data.signed) else { return Err(invalid) };
    let session_key = cvn.session_key(&card.token.keys.ac, &data.signed);
    if cvn.cryptogram(&session_key, &input) != data.cryptogram {
        return Err((AuthorisationReason::CryptogramWrong, Some(input)));
    }
    Ok(session_key)
}

/// Whether the PIN is the right one where there is one, and there where the terminal says so.
// R3: that it was asked is the terminal's affair; EMV 4.4 B3 10.5.2 online PIN is method 02
fn pin_agrees(card: &BankCard, request: &Authorisation, data: &ChipData<'_>) -> bool {
    let said_online = data.cvm_results.is_some_and(|[method, _, _]| method & 0x3F == 0x02);
    match &request.online_pin {
        Some(pin) => pin == card.product.online_pin.as_str(),
        None => !said_online,
    }
}

/// Card transaction qualifiers (9F6C) are in no cryptogram, and fDDA is often left out where a payment goes online: changed on the way
/// they make a terminal believe in a verification that never was. The issuer knows what its card says to which terminal.
// EMV Contactless C-3 5.7.1, A.2; facts/emv.md 2
fn changed_qualifiers(card: &BankCard, data: &ChipData<'_>) -> Option<String> {
    const ONLINE_PIN: u8 = 0x80;
    const SIGNATURE: u8 = 0x40;
    let ([reader, demands, ..], said) = data.terminal_qualifiers.zip(data.card_qualifiers)?;
    let [may, second] = *card.product.qualifiers.first_chunk::<2>()?;
    let demanded = demands & 0x40 != 0;
    let offers = |verification, known| demanded && may & verification != 0 && reader & known != 0;
    let verification = match (offers(ONLINE_PIN, 0x04), offers(SIGNATURE, 0x02)) {
        (true, _) => ONLINE_PIN,
        (false, true) => SIGNATURE,
        (false, false) => 0,
    };
    let meant = [may & !(ONLINE_PIN | SIGNATURE) | verification, second];
    let hex = |[first, second]: [u8; 2]| format!("{first:02X} {second:02X}");
    (said != meant).then(|| {
        format!(
            "card transaction qualifiers (9F6C) are {} where this card says {}: changed on the way, which the cryptogram does not show",
            hex(said),
            hex(meant)
        )
    })
}

/// About as many data objects as an acquirer sends (ISO 8583 field 55).
const USUAL_FIELDS: usize = 32;

/// The acquirer's data objects. Of two with one name the first counts.
struct Fields<'a>(Vec<Tlv<'a>>);

impl<'a> Fields<'a> {
    fn value(&self, tag: Tag) -> Option<&'a [u8]> {
        self.0.iter().find(|object| object.tag == tag).map(|object| object.value)
    }

    fn array<const N: usize>(&self, tag: Tag) -> Option<[u8; N]> {
        self.value(tag)?.try_into().ok()
    }
}

impl<'a> ChipData<'a> {
    fn decode(bytes: &'a [u8]) -> Option<Self> {
        // A malformed tail must not hide behind fields that were found before it.
        let mut fields = Vec::with_capacity(USUAL_FIELDS);
        for object in tlv::walk(bytes) {
            fields.push(object.ok()?);
        }
        let fields = Fields(fields);
        let signed = Signed {
            amount_authorised: fields.array(TAG_9F02_AMOUNT_AUTHORISED)?,
            amount_other: fields.array(TAG_9F03_AMOUNT_OTHER).unwrap_or_default(),
            terminal_country: fields.array(TAG_9F1A_TERMINAL_COUNTRY_CODE)?,
            tvr: fields.array(TAG_95_TVR)?,
            currency: fields.array(TAG_5F2A_TRANSACTION_CURRENCY_CODE)?,
            date: fields.array(TAG_9A_TRANSACTION_DATE)?,
            transaction_type: u8::from_be_bytes(fields.array(TAG_9C_TRANSACTION_TYPE)?),
            unpredictable_number: fields.array(TAG_9F37_UNPREDICTABLE_NUMBER)?,
            aip: fields.array(TAG_82_AIP)?,
            atc: fields.array(TAG_9F36_ATC)?,
            iad: fields.value(TAG_9F10_IAD)?,
        };
        let is_decimal = |digits: &[u8]| digits.iter().all(|byte| byte >> 4 < 10 && byte & 0x0F < 10);
        if !is_decimal(&signed.amount_authorised) || !is_decimal(&signed.currency) {
            return None;
        }
        Some(Self {
            signed,
            cryptogram: fields.array(TAG_9F26_APPLICATION_CRYPTOGRAM)?,
            cryptogram_information: u8::from_be_bytes(fields.array(TAG_9F27_CID)?),
            cvm_results: fields.array(TAG_9F34_CVM_RESULTS),
            terminal_qualifiers: fields.array(TAG_9F66_TTQ),
            card_qualifiers: fields.array(TAG_9F6C_CTQ),
        })
    }

    const fn counter(&self) -> u16 {
        u16::from_be_bytes(self.signed.atc)
    }

    fn amount(&self) -> u64 {
        decimal(&self.signed.amount_authorised)
    }
}

/// The card number in track 2, up to its separator.
// ISO/IEC 7813
fn track2_number(track2: &[u8]) -> Option<Pan> {
    let nibbles = track2.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]);
    let mut digits = String::with_capacity(2 * track2.len());
    digits.extend(nibbles.map_while(|nibble| char::from_digit(u32::from(nibble), 10)));
    Pan::new(&digits)
}

fn decimal(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, byte| value * 100 + u64::from(byte >> 4) * 10 + u64::from(byte & 0x0F))
}

const fn refuse(reason: AuthorisationReason) -> AuthorisationReply {
    let arc = response_code(reason);
    AuthorisationReply {
        approved: false,
        arc,
        issuer_authentication_data: None,
        reason,
        cryptogram_input: None,
        suspicion: None,
    }
}

/// Authorisation response code.
// ISO 8583:1987 field 39
const fn response_code(reason: AuthorisationReason) -> [u8; 2] {
    *match reason {
        AuthorisationReason::Approved => b"00",
        AuthorisationReason::CryptogramWrong | AuthorisationReason::CounterRepeated => b"05",
        AuthorisationReason::UnknownToken => b"14",
        AuthorisationReason::ChipDataInvalid => b"30",
        AuthorisationReason::TokenDeleted => b"41",
        AuthorisationReason::InsufficientFunds => b"51",
        AuthorisationReason::PinWrong => b"55",
        AuthorisationReason::NotConfirmed | AuthorisationReason::OldService => b"57",
        AuthorisationReason::TokenSuspended => b"62",
    }
}
