//! What goes into a card: records, templates and keys of one token, as EMV CPS data groupings, cut into STORE DATA commands.

use band_sim::wire::apdu::CApdu;
use band_sim::wire::dol::Dol;
use band_sim::wire::tag::*;
use band_sim::wire::tlv::{Tag, Writer};

use super::certificates::{CardCertificate, CardKeys};
use super::crypto::TdesKey;
use super::product::{CardProduct, IssuerKeys, Pan, Scheme};
use super::scp03_host::AesKey;

/// A payment token: the number in the band that stands for the one on the plastic card.
#[derive(Clone, Debug)]
pub(super) struct Token {
    /// The number.
    pub(super) number: Pan,
    /// Payment account reference (9F24), 29 letters and digits.
    pub(super) par: String,
    /// The card's own master keys, derived from the issuer's.
    pub(super) keys: IssuerKeys,
}

impl Token {
    /// The token of this number: derives its keys.
    pub(super) fn new(product: &CardProduct, number: Pan, par: String) -> Self {
        let derive = |issuer: &TdesKey| product.cvn.card_master_key(issuer, number.digits(), product.psn);
        let keys =
            IssuerKeys { ac: derive(&product.keys.ac), smi: derive(&product.keys.smi), smc: derive(&product.keys.smc) };
        Self { number, par, keys }
    }
}

/// What one STORE DATA round brings.
// EMV CPS 1.1 2.2: DGI, length, content
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DataGrouping {
    tag: u16,
    content: Vec<u8>,
    /// Under the DEK.
    encrypted: bool,
}

/// The first round of a token: everything but the holder's confirmation.
pub(super) fn personalisation(
    product: &CardProduct,
    token: &Token,
    card_keys: &CardKeys,
    dek: &AesKey,
) -> Vec<DataGrouping> {
    let certificate = certify(product, token, card_keys);
    let IssuerKeys { ac, smi, smc } = &token.keys;
    let keys = [ac, smi, smc].map(|key| *key.bytes()).concat();
    let check_values = [ac, smi, smc].map(TdesKey::check_value).concat();
    let secret = |tag, content: &[u8]| DataGrouping { tag, content: dek.encrypt_sensitive(content), encrypted: true };
    let mut groupings = vec![secret(0x8000, &keys)];
    // EMV CPS 1.1 table 14: the card's RSA key, 8201 to 8205.
    let private_key = certificate.iter().flat_map(|certificate| &certificate.private_key.0);
    groupings.extend((0x8201..).zip(private_key).map(|(tag, part)| secret(tag, part)));
    groupings.extend(product.offline_pin.as_ref().map(|pin| secret(0x8010, &padded_pin_block(pin.digits.as_str()))));
    groupings.push(plain(0x9000, check_values));
    groupings.extend(product.offline_pin.as_ref().map(|pin| plain(0x9010, vec![pin.tries; 2])));
    groupings.extend(records(product, token, certificate.as_ref()).into_iter().map(|(sfi, record, content)| {
        let tag = u16::from_be_bytes([sfi, record]);
        plain(tag, Writer::new().put(TAG_70_RECORD_TEMPLATE, content).finish())
    }));
    groupings.push(plain(0x9102, fci_proprietary(product, None)));
    if product.scheme == Scheme::Visa {
        groupings.push(plain(0x9103, fci_proprietary(product, Some(quick_objects()))));
    }
    groupings.extend(
        processing_options(product, token, certificate.is_some()).into_iter().map(|(tag, content)| plain(tag, content)),
    );
    groupings.push(plain(0xA001, risk_parameters(product)));
    groupings
}

/// A PIN as VERIFY brings it: `24 12 34 FF …`.
// EMV 4.4 B3 table 25
pub(super) fn pin_block(digits: &str) -> Vec<u8> {
    compressed(&format!("2{:X}{digits:F<14}", digits.len()))
}

/// The same, padded to a block of the DEK; that the padding is `80 00 …` is assumed.
fn padded_pin_block(digits: &str) -> [u8; 16] {
    let mut padded = [0; 16];
    for (cell, byte) in padded.iter_mut().zip(pin_block(digits).into_iter().chain([0x80])) {
        *cell = byte;
    }
    padded
}

/// The card's certificate over its signed record and the interchange profile.
// EMV 4.4 B3 10.3: content of the record's template, then what the tag list (9F4A) names
pub(super) fn certify(product: &CardProduct, token: &Token, card_keys: &CardKeys) -> Option<CardCertificate> {
    let mut signed = signed_record(product, token);
    signed.extend(interchange_profile(product.scheme, true));
    card_keys.certify(product.scheme, &token.number, &product.expiry, &signed)
}

/// What lets an instance be activated, or takes that away (`A0FF`, assumed).
pub(super) fn holder_confirmed(confirmed: bool) -> DataGrouping {
    plain(0xA0FF, vec![u8::from(confirmed)])
}

/// What blocks an application, or lifts the block (`A0FE`, assumed).
pub(super) fn application_blocked(blocked: bool) -> DataGrouping {
    plain(0xA0FE, vec![u8::from(blocked)])
}

/// Cuts data groupings into STORE DATA commands of at most `max_data` bytes, before secure messaging.
///
/// Whole groupings share a command where they fit. One that is longer than a command runs on into the next.
// GPCS 2.3.1 11.11.2: P1 b8 last block, b7 b6 encryption, b5 b4 = 01 DGI format; P2 block number
pub(super) fn store_data(groupings: &[DataGrouping], max_data: usize) -> Vec<CApdu> {
    let mut blocks: Vec<Block> = Vec::new();
    for grouping in groupings {
        let bytes = grouping.encode();
        match blocks.last_mut() {
            Some(block) if block.takes(grouping, bytes.len(), max_data) => block.data.extend_from_slice(&bytes),
            _ => {
                let shared = bytes.len() <= max_data;
                let cut = bytes.chunks(max_data.max(1));
                blocks.extend(cut.map(|part| Block { encrypted: grouping.encrypted, shared, data: part.to_vec() }));
            }
        }
    }
    let last = blocks.len().saturating_sub(1);
    let command = |(index, Block { encrypted, data, .. }): (usize, Block)| {
        let p1 = 0x08 | if encrypted { 0x60 } else { 0 } | if index == last { 0x80 } else { 0 };
        // A round has a dozen blocks at most; the number wraps as the standard has it.
        let p2 = u8::try_from(index & 0xFF).unwrap_or(0);
        CApdu::new(0x80, 0xE2, p1, p2).with_data(data).with_ne(256)
    };
    blocks.into_iter().enumerate().map(command).collect()
}

/// The data of one STORE DATA.
struct Block {
    encrypted: bool,
    /// Holds whole groupings, so others of their kind may join.
    shared: bool,
    data: Vec<u8>,
}

impl Block {
    const fn takes(&self, grouping: &DataGrouping, bytes: usize, max_data: usize) -> bool {
        self.shared && self.encrypted == grouping.encrypted && self.data.len() + bytes <= max_data
    }
}

impl DataGrouping {
    // EMV CPS 1.1 2.2: one length byte, or FF and two
    fn encode(&self) -> Vec<u8> {
        let mut out = self.tag.to_be_bytes().to_vec();
        match u8::try_from(self.content.len()) {
            Ok(short) if short < 0xFF => out.push(short),
            _ => {
                out.push(0xFF);
                out.extend(u16::try_from(self.content.len()).unwrap_or(u16::MAX).to_be_bytes());
            }
        }
        out.extend_from_slice(&self.content);
        out
    }
}

const fn plain(tag: u16, content: Vec<u8>) -> DataGrouping {
    DataGrouping { tag, content, encrypted: false }
}

/// What the terminal sends with GENERATE AC.
///
/// In the list's order: what the cryptogram covers, then what the card's own log and risk management read.
// EMV 4.4 B3 5.4; Book C-2 A.1.25
fn card_risk_objects() -> Dol {
    Dol::new(vec![
        (TAG_9F02_AMOUNT_AUTHORISED, 6),
        (TAG_9F03_AMOUNT_OTHER, 6),
        (TAG_9F1A_TERMINAL_COUNTRY_CODE, 2),
        (TAG_95_TVR, 5),
        (TAG_5F2A_TRANSACTION_CURRENCY_CODE, 2),
        (TAG_9A_TRANSACTION_DATE, 3),
        (TAG_9C_TRANSACTION_TYPE, 1),
        (TAG_9F37_UNPREDICTABLE_NUMBER, 4),
        (TAG_9F35_TERMINAL_TYPE, 1),
        (TAG_9F45_DATA_AUTHENTICATION_CODE, 2),
        (TAG_9F34_CVM_RESULTS, 3),
        (TAG_9F21_TRANSACTION_TIME, 3),
    ])
}

/// What the terminal sends with the second GENERATE AC, over contacts: the issuer's answer, what has changed since the first one.
/// Visa's issuer answers in EXTERNAL AUTHENTICATE instead.
// EMV 4.4 B3 5.4
fn second_card_risk_objects(scheme: Scheme) -> Dol {
    let issuer = (TAG_91_ISSUER_AUTHENTICATION_DATA, 10);
    let objects = [(TAG_8A_ARC, 2), (TAG_95_TVR, 5), (TAG_9F37_UNPREDICTABLE_NUMBER, 4)];
    Dol::new((scheme == Scheme::Mastercard).then_some(issuer).into_iter().chain(objects).collect::<Vec<_>>())
}

/// What a Visa card needs to decide and sign within GET PROCESSING OPTIONS: the terminal's qualifiers, what the cryptogram covers,
/// and the time for the log.
// C-3 5.2; facts/emv.md 3.7
fn quick_objects() -> Dol {
    Dol::new(vec![
        (TAG_9F66_TTQ, 4),
        (TAG_9F02_AMOUNT_AUTHORISED, 6),
        (TAG_9F03_AMOUNT_OTHER, 6),
        (TAG_9F1A_TERMINAL_COUNTRY_CODE, 2),
        (TAG_95_TVR, 5),
        (TAG_5F2A_TRANSACTION_CURRENCY_CODE, 2),
        (TAG_9A_TRANSACTION_DATE, 3),
        (TAG_9C_TRANSACTION_TYPE, 1),
        (TAG_9F37_UNPREDICTABLE_NUMBER, 4),
        (TAG_9F21_TRANSACTION_TIME, 3),
    ])
}

/// Records: SFI, number, content of the template. SFI 1 is track 2; SFI 2 record 1 is what the card's certificate covers, records
/// 2 and 3 are the certificates; SFI 3 is about the token; SFI 4 is for contact readers; SFI 5 is where a Visa card puts what its
/// signature covers.
// EMV 4.4 B3 7.2 tables 33 and 34; facts/emv.md 3.6 for the token's own objects
fn records(product: &CardProduct, token: &Token, certificate: Option<&CardCertificate>) -> Vec<(u8, u8, Vec<u8>)> {
    let track2 = Writer::new().put(TAG_57_TRACK_2_EQUIVALENT_DATA, track2(product, token)).finish();
    let other = Writer::new()
        .put(TAG_9F08_APPLICATION_VERSION, application_version(product.scheme))
        .put(TAG_9F19_TOKEN_REQUESTOR_ID, numeric::<6>(decimal(product.token_requestor.as_str())))
        .put(TAG_9F24_PAR, token.par.as_bytes())
        .put(TAG_9F25_LAST_4_DIGITS, numeric::<2>(decimal(product.pan.last4())));
    let other = match product.scheme {
        Scheme::Mastercard => other.put(TAG_9F6E_THIRD_PARTY_DATA, third_party_data(product)),
        Scheme::Visa => other,
    };
    let contact = Writer::new()
        .put(TAG_8D_CDOL2, second_card_risk_objects(product.scheme).encode())
        .put(TAG_9F49_DDOL, Dol::new(vec![(TAG_9F37_UNPREDICTABLE_NUMBER, 4)]).encode())
        .finish();
    let mut records = vec![(1, 1, track2), (2, 1, signed_record(product, token))];
    if let Some(certificate) = certificate {
        let issuer = Writer::new()
            .put(TAG_8F_CA_PUBLIC_KEY_INDEX, [certificate.authority])
            .put(TAG_90_ISSUER_PUBLIC_KEY_CERTIFICATE, &certificate.issuer_certificate)
            .put(TAG_92_ISSUER_PUBLIC_KEY_REMAINDER, &certificate.issuer_remainder)
            .put(TAG_9F32_ISSUER_PUBLIC_KEY_EXPONENT, &certificate.issuer_exponent);
        let card = Writer::new()
            .put(TAG_9F46_ICC_PUBLIC_KEY_CERTIFICATE, &certificate.certificate)
            .put(TAG_9F47_ICC_PUBLIC_KEY_EXPONENT, &certificate.exponent)
            .put(TAG_9F48_ICC_PUBLIC_KEY_REMAINDER, &certificate.remainder);
        records.extend([(2, 2, issuer.finish()), (2, 3, card.finish())]);
    }
    records.extend([(3, 1, other.finish()), (4, 1, contact)]);
    if certificate.is_some() && product.scheme == Scheme::Visa {
        records.push((5, 1, Writer::new().put(TAG_9F69_CARD_AUTHENTICATION_DATA, [0x01, 0, 0, 0, 0, 0, 0]).finish()));
    }
    records
}

/// M/Chip application version 2; VIS 1.5.
const fn application_version(scheme: Scheme) -> [u8; 2] {
    match scheme {
        Scheme::Mastercard => [0x00, 0x02],
        Scheme::Visa => [0x00, 0x96],
    }
}

/// SFI 2 record 1.
fn signed_record(product: &CardProduct, token: &Token) -> Vec<u8> {
    Writer::new()
        .put(TAG_5A_PAN, compressed(token.number.digits()))
        .put(TAG_5F24_EXPIRATION_DATE, product.expiry.last_day())
        .put(TAG_5F25_EFFECTIVE_DATE, &*product.effective)
        .put(TAG_5F28_ISSUER_COUNTRY_CODE, numeric::<2>(product.issuer_country.into()))
        .put(TAG_5F34_PSN, numeric::<1>(product.psn.into()))
        .put(TAG_8C_CDOL1, card_risk_objects().encode())
        .put(TAG_8E_CVM_LIST, &*product.cvm_list)
        .put(TAG_9F07_AUC, &*product.usage_control)
        .put(TAG_9F0D_IAC_DEFAULT, &*product.action_codes.default)
        .put(TAG_9F0E_IAC_DENIAL, &*product.action_codes.denial)
        .put(TAG_9F0F_IAC_ONLINE, &*product.action_codes.online)
        .put(TAG_9F42_APPLICATION_CURRENCY_CODE, numeric::<2>(product.currency.into()))
        .put(TAG_9F4A_SDA_TAG_LIST, [0x82])
        .finish()
}

/// Country, unique identifier, and device type "05": a wristband.
// Book C-2 A.1.171 (facts/emv.md 3.4)
fn third_party_data(product: &CardProduct) -> Vec<u8> {
    [&numeric::<2>(product.issuer_country.into())[..], &[0x00, 0x00], b"05"].concat()
}

/// Form factor indicator of version 1: wrist-worn, with ISO 14443.
// facts/emv.md 3.6
const FORM_FACTOR: [u8; 4] = [0x24, 0x00, 0x00, 0x00];

/// Content of FCI template A5, with what the card wants to know from the terminal first.
// EMV 4.4 B1 11.3.4; the log of ten records is in file 0B (facts/emv.md 3.8)
fn fci_proprietary(product: &CardProduct, processing_objects: Option<Dol>) -> Vec<u8> {
    Writer::new()
        .put(TAG_50_APPLICATION_LABEL, &product.label)
        .put(TAG_87_PRIORITY, [0x01])
        .put_some(TAG_9F38_PDOL, processing_objects.map(|list| list.encode()))
        .put(TAG_5F2D_LANGUAGE_PREFERENCE, &product.languages)
        .put(TAG_9F11_ISSUER_CODE_TABLE_INDEX, [0x01])
        .put(TAG_9F12_PREFERRED_NAME, &product.preferred_name)
        .nest(TAG_BF0C_FCI_DISCRETIONARY, |discretionary| discretionary.put(TAG_9F4D_LOG_ENTRY, [0x0B, 0x0A]))
        .finish()
}

/// DDA (where the card can), cardholder verification, terminal risk management. Mastercard: CDA, contactless EMV mode; its issuer
/// answers in CDOL2. Visa: issuer authentication by EXTERNAL AUTHENTICATE. The same over both interfaces, as the card's certificate
/// covers it.
// EMV 4.4 B3 table 41; Book C-2 A.1.16
const fn interchange_profile(scheme: Scheme, authenticated: bool) -> [u8; 2] {
    match (scheme, authenticated) {
        (Scheme::Mastercard, true) => [0x39, 0x80],
        (Scheme::Mastercard, false) => [0x18, 0x80],
        (Scheme::Visa, true) => [0x3C, 0x00],
        (Scheme::Visa, false) => [0x1C, 0x00],
    }
}

/// Interchange profile and file locator by DGI: over contacts (9104), in the field (9116), and for Visa in the field when the card is
/// to be authenticated offline (9117), there with what stands beside the cryptogram.
// EMV 4.4 B3 6.5.8; the numbers 9116 and 9117 are assumed
fn processing_options(product: &CardProduct, token: &Token, authenticated: bool) -> Vec<(u16, Vec<u8>)> {
    let signed_files = if authenticated { [0x10, 1, 3, 1] } else { [0x10, 1, 1, 1] };
    let (track_2, about_token, contact, signature) =
        ([0x08, 1, 1, 0], [0x18, 1, 1, 0], [0x20, 1, 1, 0], [0x28, 1, 1, 0]);
    let options = |files: &[[u8; 4]]| {
        Writer::new()
            .put(TAG_82_AIP, interchange_profile(product.scheme, authenticated))
            .put(TAG_94_AFL, files.concat())
    };
    let over_contacts = options(&[track_2, signed_files, about_token, contact]).finish();
    let beside_cryptogram = |options: Writer| {
        options
            .put(TAG_57_TRACK_2_EQUIVALENT_DATA, track2(product, token))
            .put(TAG_9F6E_FORM_FACTOR_INDICATOR, FORM_FACTOR)
    };
    match product.scheme {
        Scheme::Mastercard => {
            vec![(0x9104, over_contacts), (0x9116, options(&[track_2, signed_files, about_token]).finish())]
        }
        Scheme::Visa => {
            let online = beside_cryptogram(options(&[about_token])).put(TAG_5F34_PSN, numeric::<1>(product.psn.into()));
            let mut all = vec![(0x9104, over_contacts), (0x9116, online.finish())];
            if authenticated {
                // The sequence number is in the signed record.
                let offline = beside_cryptogram(options(&[signed_files, about_token, signature]));
                all.push((0x9117, offline.finish()));
            }
            all
        }
    }
}

/// What the applet needs to know beside its records (`A001`, assumed).
fn risk_parameters(product: &CardProduct) -> Vec<u8> {
    Writer::new()
        .put(Tag::new(0xC1), [product.cvn.byte()])
        .put(Tag::new(0xC2), [product.dki])
        .put(Tag::new(0xC3), [product.offline.consecutive])
        .put(Tag::new(0xC4), numeric::<6>(product.offline.cumulative_minor))
        .put(Tag::new(0xC5), numeric::<2>(product.currency.into()))
        .put(Tag::new(0xC6), [u8::from(product.log_declined)])
        .put(Tag::new(0xC7), &*product.qualifiers)
        .finish()
}

/// Track 2 equivalent data: number, `D`, expiry, service code, zeros where a stripe has its check values.
// ISO/IEC 7813; EMV 4.4 B3 Annex A, tag 57
fn track2(product: &CardProduct, token: &Token) -> Vec<u8> {
    let number = token.number.digits();
    let mut digits = format!("{number}D{}{}", product.expiry.digits(), product.service_code.as_str());
    // 37 digits are the most a track holds; 34 are a whole number of bytes with a number of 16 digits.
    let length = (number.len() + 18).min(37);
    digits.extend(std::iter::repeat_n('0', length.saturating_sub(digits.len())));
    compressed(&digits)
}

/// Two digits to a byte, filled with `F`; also takes the separator `D`.
// EMV 4.4 B3 4.3: cn
fn compressed(digits: &str) -> Vec<u8> {
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok()).unwrap_or(0xF);
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| pair.first().map_or(0xF, |&high| nibble(high)) << 4 | pair.get(1).map_or(0xF, |&low| nibble(low)))
        .collect()
}

/// Decimal digits, two to a byte, right-aligned.
// EMV 4.4 B3 4.3: n
fn numeric<const N: usize>(value: u64) -> [u8; N] {
    let mut out = [0; N];
    let mut rest = value;
    for cell in out.iter_mut().rev() {
        let pair = u8::try_from(rest % 100).unwrap_or(0);
        *cell = ((pair / 10) << 4) | (pair % 10);
        rest /= 100;
    }
    out
}

fn decimal(digits: &str) -> u64 {
    digits.bytes().fold(0, |value, digit| value * 10 + u64::from(digit.wrapping_sub(b'0') % 10))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::fixtures;
    use band_sim::wire::tlv;

    fn token(product: &CardProduct, number: &str) -> Token {
        Token::new(product, Pan::new(number).expect("number"), "5001".to_owned() + &"A".repeat(25))
    }

    fn debit() -> (CardProduct, Token) {
        let product = fixtures::product("mastercard-debit");
        let token = token(&product, "5413339999999990");
        (product, token)
    }

    fn dek() -> AesKey {
        AesKey::new(&[7; 16]).expect("length")
    }

    #[test]
    fn the_first_round_has_every_mandatory_grouping_and_nothing_that_confirms() {
        let (product, token) = debit();
        let tags = |product: &CardProduct, token: &Token, keys: &CardKeys| -> Vec<u16> {
            personalisation(product, token, keys, &dek()).iter().map(|grouping| grouping.tag).collect()
        };
        let without = tags(&product, &token, &CardKeys::default());
        assert_eq!(without, [0x8000, 0x9000, 0x0101, 0x0201, 0x0301, 0x0401, 0x9102, 0x9104, 0x9116, 0xA001]);
        let with = tags(&product, &token, &fixtures::card_keys());
        assert_eq!(with[..7], [0x8000, 0x8201, 0x8202, 0x8203, 0x8204, 0x8205, 0x9000]);
        assert_eq!(with[7..13], [0x0101, 0x0201, 0x0202, 0x0203, 0x0301, 0x0401]);
        assert_eq!(with[13..], [0x9102, 0x9104, 0x9116, 0xA001]);
        let visa = fixtures::product("visa-debit");
        let with = tags(&visa, &self::token(&visa, "4761739999999992"), &fixtures::card_keys());
        assert_eq!(with[12..], [0x0401, 0x0501, 0x9102, 0x9103, 0x9104, 0x9116, 0x9117, 0xA001]);
    }

    #[test]
    fn every_record_is_a_well_formed_template_that_read_record_can_answer() {
        for name in fixtures::PRODUCTS {
            let product = fixtures::product(name);
            let number = Pan::with_check_digit(&format!("{}999999999", product.token_bin.as_str())).expect("number");
            let token = token(&product, number.digits());
            let certificate = certify(&product, &token, &fixtures::card_keys()).expect(name);
            for (sfi, record, content) in records(&product, &token, Some(&certificate)) {
                assert!(tlv::Node::decode_all(&content).is_ok(), "{name} {sfi} {record}");
                assert!(content.len() + 3 <= 254, "{name} {sfi} {record}");
            }
            assert!(tlv::Node::decode_all(&fci_proprietary(&product, Some(quick_objects()))).is_ok());
            for (_, options) in processing_options(&product, &token, true) {
                assert!(tlv::Node::decode_all(&options).is_ok());
            }
            assert!(tlv::Node::decode_all(&risk_parameters(&product)).is_ok());
        }
    }

    #[test]
    fn the_file_locator_names_each_record_and_what_will_be_signed() {
        let (product, token) = debit();
        let options = processing_options(&product, &token, true);
        let [(0x9104, contact), (0x9116, field)] = &options[..] else { panic!("{options:?}") };
        assert_eq!(tlv::find(field, TAG_94_AFL), Some(&[0x08, 1, 1, 0, 0x10, 1, 3, 1, 0x18, 1, 1, 0][..]));
        assert_eq!(tlv::find(contact, TAG_94_AFL).map(|files| &files[12..]), Some(&[0x20, 1, 1, 0][..]));
        for options in [contact, field] {
            assert_eq!(tlv::find(options, TAG_82_AIP), Some(&[0x39, 0x80][..]));
        }
    }

    #[test]
    fn track_2_and_the_number_agree() {
        let (product, token) = debit();
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
        assert_eq!(hex(&track2(&product, &token)), "5413339999999990D30122010000000000");
        let long = self::token(&product, Pan::with_check_digit("541333123456789012").expect("19").digits());
        let track = hex(&track2(&product, &long));
        assert!(track.len() == 38 && track.ends_with('F'), "{track}");
        assert_eq!(hex(&compressed("123")), "123F");
    }

    #[test]
    fn the_keys_travel_alone_and_encrypted() {
        let (product, token) = debit();
        let commands = store_data(&personalisation(&product, &token, &fixtures::card_keys(), &dek()), 239);
        let p1: Vec<u8> = commands.iter().map(|command| command.p1).collect();
        assert_eq!(p1[..2], [0x68, 0x68]);
        assert_eq!(p1.last(), Some(&0x88));
        assert!(p1[2..p1.len() - 1].iter().all(|p1| *p1 == 0x08));
        assert_eq!(commands[0].data.len(), 3 + 48 + 2 * (3 + 64));
        assert_eq!(commands[1].data.len(), 3 * (3 + 64));
        assert!(!commands[0].data.windows(16).any(|part| part == token.keys.ac.bytes()));
        let certificate = certify(&product, &token, &fixtures::card_keys()).expect("certificate");
        for part in &certificate.private_key.0 {
            assert!(!commands.iter().any(|command| command.data.windows(64).any(|window| window == part)));
        }
        assert_eq!(
            commands.iter().map(|command| usize::from(command.p2)).collect::<Vec<_>>(),
            (0..commands.len()).collect::<Vec<_>>()
        );
        assert!(commands.len() <= 7, "{}", commands.len());
    }

    #[test]
    fn a_pin_in_the_card_travels_encrypted_with_its_tries_beside_it() {
        let (product, token) = debit();
        let offline_pin = serde_yaml::from_str(r#"{ digits: "97531", tries: 5 }"#).expect("PIN");
        let product = CardProduct { offline_pin: Some(offline_pin), ..product };
        let groupings = personalisation(&product, &token, &fixtures::card_keys(), &dek());
        let of = |tag| groupings.iter().find(|grouping| grouping.tag == tag).expect("grouping");
        assert_eq!((of(0x9010).content.as_slice(), of(0x9010).encrypted), (&[5, 5][..], false));
        let block = [0x25, 0x97, 0x53, 0x1F, 0xFF, 0xFF, 0xFF, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!((of(0x8010).content.clone(), of(0x8010).encrypted), (dek().encrypt_sensitive(&block), true));
        assert_eq!(padded_pin_block("123456789012")[..9], [0x2C, 0x12, 0x34, 0x56, 0x78, 0x90, 0x12, 0xFF, 0x80]);
    }

    #[test]
    fn a_long_grouping_runs_on_into_the_next_command() {
        let long = plain(0x0401, (0..=255).chain(0..44).map(|byte| byte as u8).collect());
        let commands = store_data(&[plain(0x0101, vec![1, 2]), long, plain(0xA001, vec![3])], 100);
        let sizes: Vec<usize> = commands.iter().map(|command| command.data.len()).collect();
        assert_eq!(sizes, [5, 100, 100, 100, 5, 4], "300 bytes and their five of header share with none");
        let stream: Vec<u8> = commands.iter().flat_map(|command| command.data.clone()).collect();
        assert_eq!(stream[5..10], [0x04, 0x01, 0xFF, 0x01, 0x2C]);
        assert_eq!(commands[5].p1, 0x88);
    }

    #[test]
    fn an_encrypted_last_block_says_both() {
        let keys = DataGrouping { tag: 0x8201, content: vec![0; 16], encrypted: true };
        assert_eq!(store_data(&[keys], 239)[0].p1, 0xE8);
        assert_eq!(store_data(&[holder_confirmed(true)], 239)[0].data, [0xA0, 0xFF, 0x01, 0x01]);
    }

    #[test]
    fn numbers_are_written_in_decimal_digits() {
        assert_eq!(numeric::<2>(978), [0x09, 0x78]);
        assert_eq!(numeric::<6>(50_110_030_273), [0x05, 0x01, 0x10, 0x03, 0x02, 0x73]);
        assert_eq!(decimal("0434"), 434);
    }
}
