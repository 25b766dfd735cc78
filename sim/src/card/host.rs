//! For tests: the other end of the wire. Opens secure channels, personalises test cards, and checks cryptograms.

use alloc::vec::Vec;
use std::vec;

use super::crypto::{Padding, TdesKey, mac_algorithm_3};
use super::cvn::{CardData, Cvn, TerminalData};
use super::profile::CardProfile;
use super::scp03::{AesKey, Derive, derive};
use super::{Card, Interface};
use crate::rng::Rng;
use crate::wire::apdu::{CApdu, RApdu};
use crate::wire::sw::Sw;

pub(crate) const LOAD_FILE: &[u8] = &[0xF0, 0x62, 0x61, 0x6E, 0x64, 0x72, 0x69, 0x67];
pub(crate) const MODULE: &[u8] = &[0xF0, 0x62, 0x61, 0x6E, 0x64, 0x72, 0x69, 0x67, 0x01];
pub(crate) const ISD: &[u8] = &[0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];
pub(crate) const CRS: &[u8] = &[0xA0, 0x00, 0x00, 0x01, 0x51, 0x43, 0x52, 0x53, 0x00];
pub(crate) const PPSE: &[u8] = b"2PAY.SYS.DDF01";

/// The AID of the `n`-th test instance.
pub(crate) fn instance(n: u8) -> Vec<u8> {
    vec![0xA0, 0x00, 0x00, 0x00, 0x04, 0x10, 0x10, 0x00, n]
}

/// A host that knows the card's keys.
pub(crate) struct Host {
    keys: [AesKey; 3],
    session: Option<HostSession>,
}

struct HostSession {
    enc: AesKey,
    mac: AesKey,
    r_mac: AesKey,
    chaining: [u8; 16],
    counter: u128,
    level: u8,
    mac_bytes: usize,
}

impl Host {
    pub(crate) fn new(profile: &CardProfile) -> Self {
        let keys = profile.issuer_security_domain.keys.value.static_keys().unwrap();
        Self { keys: [keys.enc, keys.mac, keys.dek], session: None }
    }

    /// SELECT ISD, INITIALIZE UPDATE, EXTERNAL AUTHENTICATE; checks the card's cryptogram.
    pub(crate) fn open(&mut self, card: &mut Card, level: u8) -> Sw {
        assert_eq!(select(card, Interface::Wired, ISD).sw, Sw::OK);
        let external_authenticate = self.initialize(card, level);
        let answer = card.handle(Interface::Wired, &external_authenticate);
        answer.sw
    }

    /// INITIALIZE UPDATE; gives the EXTERNAL AUTHENTICATE to send.
    pub(crate) fn initialize(&mut self, card: &mut Card, level: u8) -> CApdu {
        let field = card.profile.issuer_security_domain.scp03_i.value.field_bytes();
        let challenge = (1..).take(field).collect::<Vec<u8>>();
        let command = CApdu::new(0x80, 0x50, 0x00, 0x00).with_data(challenge.clone()).with_ne(256);
        let answer = card.handle(Interface::Wired, &command);
        assert_eq!(answer.sw, Sw::OK);
        let (card_challenge, card_cryptogram) = answer.data[13..13 + 2 * field].split_at(field);
        let context = [&challenge, card_challenge].concat();
        let [enc, mac, _] = &self.keys;
        let session_key = |key: &AesKey, constant| AesKey::new(&derive(key, constant, key.len(), &context)).unwrap();
        let mut session = HostSession {
            enc: session_key(enc, Derive::SessionEnc),
            mac: session_key(mac, Derive::SessionMac),
            r_mac: session_key(mac, Derive::SessionRMac),
            chaining: [0; 16],
            counter: 0,
            level,
            mac_bytes: field,
        };
        assert_eq!(derive(&session.mac, Derive::CardCryptogram, field, &context), card_cryptogram);
        let host_cryptogram = derive(&session.mac, Derive::HostCryptogram, field, &context);
        let command = session.mac(CApdu::new(0x84, 0x82, level, 0x00).with_data(host_cryptogram));
        self.session = Some(session);
        command
    }

    /// What `command` looks like in the session.
    pub(crate) fn wrap(&mut self, command: CApdu) -> CApdu {
        let session = self.session.as_mut().unwrap();
        session.wrap(command)
    }

    /// Sends a command protected as agreed and takes the protection off the answer.
    pub(crate) fn send(&mut self, card: &mut Card, command: CApdu) -> RApdu {
        let session = self.session.as_mut().unwrap();
        let answer = card.handle(Interface::Wired, &session.wrap(command));
        session.unwrap(answer)
    }

    /// Encrypts a key under the DEK.
    pub(crate) fn encrypt_key(&self, key: &[u8]) -> Vec<u8> {
        self.keys[2].encrypt_cbc([0; 16], key)
    }
}

impl HostSession {
    fn wrap(&mut self, mut command: CApdu) -> CApdu {
        self.counter += 1;
        if self.level == 0 {
            return command;
        }
        command.cla |= 0x04;
        if self.level & 0x02 != 0 && !command.data.is_empty() {
            command.data.push(0x80);
            command.data.resize(command.data.len().next_multiple_of(16), 0);
            command.data = self.enc.encrypt_cbc(self.enc.encrypt_block(self.counter.to_be_bytes()), &command.data);
        }
        self.mac(command)
    }

    fn mac(&mut self, mut command: CApdu) -> CApdu {
        let len = command.data.len() + self.mac_bytes;
        let lc = if len > 255 { vec![0, (len >> 8) as u8, len as u8] } else { vec![len as u8] };
        let header = [command.cla, command.ins, command.p1, command.p2];
        self.chaining = self.mac.cmac(&[&self.chaining, &header, &lc, &command.data]);
        command.data.extend(&self.chaining[..self.mac_bytes]);
        command.extended |= len > 255;
        command
    }

    fn unwrap(&self, answer: RApdu) -> RApdu {
        if self.level & 0x10 == 0 || !(answer.sw.is_ok() || matches!(answer.sw.sw1(), 0x62 | 0x63)) {
            return answer;
        }
        let (data, mac) = answer.data.split_at(answer.data.len() - self.mac_bytes);
        let expected = self.r_mac.cmac(&[&self.chaining, data, &answer.sw.value().to_be_bytes()]);
        assert_eq!(mac, &expected[..self.mac_bytes], "R-MAC");
        if self.level & 0x20 == 0 || data.is_empty() {
            return RApdu { data: data.to_vec(), sw: answer.sw };
        }
        let icv = self.enc.encrypt_block((self.counter | 0x80 << 120).to_be_bytes());
        let mut plain = self.enc.decrypt_cbc(icv, data).unwrap();
        let end = plain.iter().rposition(|byte| *byte == 0x80).unwrap();
        plain.truncate(end);
        RApdu { data: plain, sw: answer.sw }
    }
}

/// A card of the default profile.
pub(crate) fn new_card() -> Card {
    Card::new(&CardProfile::default(), Rng::new(1))
}

/// A card with an open channel at level 33.
pub(crate) fn opened() -> (Card, Host) {
    let mut card = new_card();
    let mut host = Host::new(&CardProfile::default());
    assert_eq!(host.open(&mut card, 0x33), Sw::OK);
    (card, host)
}

/// A card with `n` personalised and activated instances.
pub(crate) fn activated(n: u8) -> Card {
    let (mut card, mut host) = opened();
    for n in 1..=n {
        assert_eq!(host.send(&mut card, install(&instance(n))).sw, Sw::OK);
        personalise(&mut card, &mut host, &instance(n), &Personalisation::default());
    }
    assert_eq!(select(&mut card, Interface::Wired, CRS).sw, Sw::OK);
    for n in 1..=n {
        assert_eq!(card.handle(Interface::Wired, &set_activation(true, &instance(n))).sw, Sw::OK);
    }
    card.reset(Interface::Wired);
    card
}

/// A card with one activated instance that signs.
pub(crate) fn signing(data: &Personalisation) -> Card {
    let (mut card, mut host) = opened();
    assert_eq!(host.send(&mut card, install(&instance(1))).sw, Sw::OK);
    personalise(&mut card, &mut host, &instance(1), data);
    assert_eq!(select(&mut card, Interface::Wired, CRS).sw, Sw::OK);
    assert_eq!(card.handle(Interface::Wired, &set_activation(true, &instance(1))).sw, Sw::OK);
    card.reset(Interface::Wired);
    card
}

/// A whole personalisation of an instance.
pub(crate) fn personalise(card: &mut Card, host: &mut Host, aid: &[u8], data: &Personalisation) {
    let dgis = data.dgis(host);
    store(card, host, aid, &dgis);
}

/// INSTALL [for personalization] and the STORE DATA blocks; all must succeed.
pub(crate) fn store(card: &mut Card, host: &mut Host, aid: &[u8], dgis: &[(u16, Vec<u8>, bool)]) {
    assert_eq!(host.send(card, install_for_personalisation(aid)).sw, Sw::OK);
    for block in blocks(dgis) {
        assert_eq!(host.send(card, block).sw, Sw::OK);
    }
}

pub(crate) fn install(aid: &[u8]) -> CApdu {
    let fields = [LOAD_FILE, MODULE, aid, &[0x00], &[0xC9, 0x00], &[]];
    CApdu::new(0x80, 0xE6, 0x0C, 0x00).with_data(length_values(&fields)).with_ne(256)
}

pub(crate) fn install_for_personalisation(aid: &[u8]) -> CApdu {
    CApdu::new(0x80, 0xE6, 0x20, 0x00).with_data(length_values(&[&[], &[], aid, &[], &[], &[]])).with_ne(256)
}

pub(crate) fn delete(aid: &[u8]) -> CApdu {
    CApdu::new(0x80, 0xE4, 0x00, 0x00).with_data(object_4f(aid)).with_ne(256)
}

pub(crate) fn set_activation(on: bool, aid: &[u8]) -> CApdu {
    CApdu::new(0x80, 0xF0, 0x01, u8::from(on)).with_data(object_4f(aid)).with_ne(256)
}

pub(crate) fn object_4f(aid: &[u8]) -> Vec<u8> {
    [&[0x4F, aid.len() as u8], aid].concat()
}

pub(crate) fn length_values(fields: &[&[u8]]) -> Vec<u8> {
    fields.iter().flat_map(|field| [&[field.len() as u8], *field].concat()).collect()
}

pub(crate) fn select(card: &mut Card, interface: Interface, name: &[u8]) -> RApdu {
    card.handle(interface, &CApdu::new(0x00, 0xA4, 0x04, 0x00).with_data(name).with_ne(256))
}

/// STORE DATA blocks: data groupings of one kind (encrypted or not) are packed together, 200 bytes to a block.
pub(crate) fn blocks(dgis: &[(u16, Vec<u8>, bool)]) -> Vec<CApdu> {
    let mut pieces = Vec::new();
    for run in dgis.chunk_by(|a, b| a.2 == b.2) {
        let bytes = run.iter().flat_map(|(dgi, content, _)| data_grouping(*dgi, content)).collect::<Vec<u8>>();
        pieces.extend(bytes.chunks(200).map(|piece| (piece.to_vec(), run[0].2)));
    }
    let last = pieces.len() - 1;
    let block = |(number, (data, encrypted)): (usize, (Vec<u8>, bool))| {
        let p1 = 0x08 | if number == last { 0x80 } else { 0 } | if encrypted { 0x60 } else { 0 };
        CApdu::new(0x80, 0xE2, p1, number as u8).with_data(data)
    };
    pieces.into_iter().enumerate().map(block).collect()
}

pub(crate) fn data_grouping(dgi: u16, content: &[u8]) -> Vec<u8> {
    let len = content.len();
    let len = if len < 0xFF { vec![len as u8] } else { vec![0xFF, (len >> 8) as u8, len as u8] };
    [&dgi.to_be_bytes()[..], &len, content].concat()
}

/// What a test card is personalised with.
pub(crate) struct Personalisation {
    pub(crate) cvn: u8,
    pub(crate) consecutive_limit: u8,
    pub(crate) cumulative_limit: [u8; 6],
    pub(crate) log_declined: bool,
    pub(crate) activatable: Option<u8>,
    /// With an RSA key, certificates aside, and what contact readers need.
    pub(crate) signs: bool,
    /// Tries left and tries in all of the PIN 1234.
    pub(crate) pin_tries: Option<[u8; 2]>,
}

impl Default for Personalisation {
    fn default() -> Self {
        Self {
            cvn: 0x10,
            consecutive_limit: 2,
            cumulative_limit: [0, 0, 0, 0, 0x50, 0x00],
            log_declined: false,
            activatable: Some(1),
            signs: false,
            pin_tries: None,
        }
    }
}

pub(crate) const ICC_KEY: [u8; 16] = *b"ICC master key 1";
/// 1234.
pub(crate) const PIN_BLOCK: [u8; 8] = [0x24, 0x12, 0x34, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
/// Amount, other amount, country, TVR, currency, date, type, unpredictable number, time.
const CDOL1: &[u8] = &[
    0x9F, 0x02, 0x06, 0x9F, 0x03, 0x06, 0x9F, 0x1A, 0x02, 0x95, 0x05, 0x5F, 0x2A, 0x02, 0x9A, 0x03, 0x9C, 0x01, 0x9F,
    0x37, 0x04, 0x9F, 0x21, 0x03,
];

/// Response code, TVR, unpredictable number.
const CDOL2: &[u8] = &[0x8A, 0x02, 0x95, 0x05, 0x9F, 0x37, 0x04];

/// The key of cards that sign.
pub(crate) fn rsa_key() -> rsa::RsaPrivateKey {
    use rsa::pkcs1::DecodeRsaPrivateKey;
    rsa::RsaPrivateKey::from_pkcs1_pem(include_str!("../../../fixtures/keys/pairing.pem")).unwrap()
}

/// q^-1 mod p, d mod (q - 1), d mod (p - 1), q, p.
pub(crate) fn crt_parts(key: &rsa::RsaPrivateKey) -> [Vec<u8>; 5] {
    use rsa::BigUint;
    use rsa::traits::PrivateKeyParts;
    let [p, q] = key.primes() else { panic!("two primes") };
    let one = BigUint::from(1_u8);
    let inverse = q.modpow(&(p - BigUint::from(2_u8)), p);
    [inverse, key.d() % (q - &one), key.d() % (p - &one), q.clone(), p.clone()].map(|part| {
        let digits = part.to_bytes_be();
        [vec![0; 64 - digits.len()], digits].concat()
    })
}

/// What stands between `6A` and `BC` of something signed.
pub(crate) fn recover(signature: &[u8]) -> Vec<u8> {
    use rsa::BigUint;
    use rsa::traits::PublicKeyParts;
    let key = rsa_key();
    let message = BigUint::from_bytes_be(signature).modpow(key.e(), key.n()).to_bytes_be();
    assert_eq!((message.len(), message[0], message[127]), (128, 0x6A, 0xBC));
    message[1..127].to_vec()
}

impl Personalisation {
    /// 82: a card that signs does DDA, CDA and issuer authentication.
    pub(crate) fn interchange_profile(&self) -> [u8; 2] {
        [if self.signs { 0x3D } else { 0x19 }, 0x80]
    }

    /// Data groupings: identifier, content, whether encrypted.
    pub(crate) fn dgis(&self, host: &Host) -> Vec<(u16, Vec<u8>, bool)> {
        let keys = [ICC_KEY, *b"ICC master key 2", *b"ICC master key 3"];
        let check_values = keys.iter().flat_map(|key| TdesKey::new(*key).check_value()).collect::<Vec<u8>>();
        let fci = [
            &[0x50, 0x0A][..],
            b"MASTERCARD",
            &[0x87, 0x01, 0x01, 0x9F, 0x38, 0x03, 0x9F, 0x1D, 0x02],
            &[0xBF, 0x0C, 0x05, 0x9F, 0x4D, 0x02, 0x0B, 0x0A],
        ];
        let mut record = vec![0x5A, 0x08, 0x54, 0x13, 0x33, 0x00, 0x89, 0x01, 0x04, 0x34, 0x5F, 0x28, 0x02, 0x08, 0x04];
        record.extend([0x5F, 0x34, 0x01, 0x00, 0x8C, CDOL1.len() as u8]);
        record.extend(CDOL1);
        let record = [&[0x70, record.len() as u8], &record[..]].concat();
        let [aip, _] = self.interchange_profile();
        let options = vec![0x82, 0x02, aip, 0x80, 0x94, 0x04, 0x08, 0x01, 0x01, 0x00];
        let risk = [
            &[0xC1, 1, self.cvn, 0xC2, 1, 0x01, 0xC3, 1, self.consecutive_limit, 0xC4, 6][..],
            &self.cumulative_limit,
            &[0xC5, 2, 0x09, 0x80, 0xC6, 1, u8::from(self.log_declined)],
        ];
        let mut dgis = vec![
            (0x0101, record, false),
            (0x9102, fci.concat(), false),
            (0x9104, options, false),
            (0x9000, check_values, false),
            (0xA001, risk.concat(), false),
            (0x8000, host.encrypt_key(&keys.concat()), true),
        ];
        dgis.extend(self.activatable.map(|value| (0xA0FF, vec![value], false)));
        if let Some(tries) = self.pin_tries {
            let padded = [PIN_BLOCK, [0x80, 0, 0, 0, 0, 0, 0, 0]].concat();
            dgis.push((0x9010, tries.to_vec(), false));
            dgis.push((0x8010, host.encrypt_key(&padded), true));
        }
        if self.signs {
            let record = [&[0x70, 2 + CDOL2.len() as u8, 0x8D, CDOL2.len() as u8], CDOL2].concat();
            dgis.push((0x0401, record, false));
            let parts = crt_parts(&rsa_key()).into_iter().map(|part| host.encrypt_key(&part));
            dgis.extend((0x8201..).zip(parts).map(|(dgi, part)| (dgi, part, true)));
        }
        dgis
    }
}

/// A payment at a test shop.
#[derive(Clone, Copy)]
pub(crate) struct Purchase {
    pub(crate) amount: [u8; 6],
    pub(crate) currency: [u8; 2],
    pub(crate) country: [u8; 2],
}

impl Default for Purchase {
    fn default() -> Self {
        Self { amount: [0, 0, 0, 0, 0x04, 0x20], currency: [0x09, 0x80], country: [0x08, 0x04] }
    }
}

impl Purchase {
    pub(crate) fn terminal_data(&self) -> TerminalData {
        TerminalData {
            amount_authorised: self.amount,
            amount_other: [0; 6],
            terminal_country: self.country,
            terminal_verification_results: [0; 5],
            currency: self.currency,
            date: [0x26, 0x11, 0x22],
            transaction_type: 0,
            unpredictable_number: [1, 2, 3, 4],
        }
    }

    pub(crate) fn generate_ac(&self, p1: u8) -> CApdu {
        let terminal = self.terminal_data();
        let data = [
            &terminal.amount_authorised[..],
            &terminal.amount_other,
            &terminal.terminal_country,
            &terminal.terminal_verification_results,
            &terminal.currency,
            &terminal.date,
            &[terminal.transaction_type],
            &terminal.unpredictable_number,
            &[0x12, 0x34, 0x56],
        ];
        CApdu::new(0x80, 0xAE, p1, 0x00).with_data(data.concat()).with_ne(256)
    }
}

pub(crate) fn processing_options() -> CApdu {
    CApdu::new(0x80, 0xA8, 0x00, 0x00).with_data(vec![0x83, 0x02, 0x00, 0x00]).with_ne(256)
}

/// SELECT, GET PROCESSING OPTIONS, GENERATE AC.
pub(crate) fn tap(card: &mut Card, aid: &[u8], purchase: &Purchase, p1: u8) -> RApdu {
    card.reset(Interface::Contactless);
    assert_eq!(select(card, Interface::Contactless, aid).sw, Sw::OK);
    assert_eq!(card.handle(Interface::Contactless, &processing_options()).sw, Sw::OK);
    card.handle(Interface::Contactless, &purchase.generate_ac(p1))
}

/// The cryptogram the issuer expects, computed from the answer's issuer application data.
pub(crate) fn expected_cryptogram(purchase: &Purchase, atc: u16, iad: &[u8]) -> [u8; 8] {
    cryptogram_of(purchase, [0x19, 0x80], atc, iad)
}

/// The same for a card with this interchange profile.
pub(crate) fn cryptogram_of(purchase: &Purchase, profile: [u8; 2], atc: u16, iad: &[u8]) -> [u8; 8] {
    let cvn = Cvn::find(iad[1]).unwrap();
    let terminal = purchase.terminal_data();
    let key = cvn.session_key(&TdesKey::new(ICC_KEY), atc, terminal.unpredictable_number);
    let card = CardData {
        application_interchange_profile: profile,
        atc,
        cvr: &iad[2..8],
        counters: &iad[10..18],
        issuer_application_data: iad,
    };
    mac_algorithm_3(&key, Padding::Method2, &cvn.ac_input(&terminal, &card))
}
