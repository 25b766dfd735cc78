//! What must hold in any session with the secure element: the property behind the fuzz target `card_session`.
//!
//! Bytes become a sequence of steps — bare commands, commands through an SCP03 channel opened with the right keys, whole
//! personalisations, payments, resets, power cuts — on one of three prepared cards. After each command:
//!
//! - the status word is one its instruction may have, and an error carries no data;
//! - unless the answer says that something was done, memory is as it was;
//! - a power cut leaves memory as before the command or as after it;
//! - there are never more than six instances, and the ATC of one never repeats.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use band_sim::card::profile::CardProfile;
use band_sim::card::{Card, Interface};
use band_sim::rng::Rng;
use band_sim::wire::apdu::{CApdu, RApdu};
use band_sim::wire::{tag, tlv};
use des::TdesEde2;
use des::cipher::{BlockEncrypt, KeyInit};

use crate::cloud::scp03_host::{AesKey, Channel, ChannelMode, IsdKeys, Opening};

/// A session with the secure element, read from any bytes.
pub fn card_session(bytes: &[u8]) {
    let mut script = Script(bytes);
    let mut session = Session::new(script.byte());
    for _ in 0..STEPS_MAX {
        if script.0.is_empty() {
            break;
        }
        session.step(&mut script);
    }
    session.finish();
}

/// Sends one command to a card under the same checks as [`card_session`] does.
fn checked(card: &mut Card, interface: Interface, command: &CApdu, instruction: u8) -> RApdu {
    let before = card.nvm_digest();
    let answer = card.handle(interface, command);
    let sw = answer.sw.value();
    assert!(is_allowed(instruction, sw), "instruction {instruction:02X} was answered {}", answer.sw);
    assert!(sw < 0x6400 || sw == 0x9000 || answer.data.is_empty(), "{} carries data", answer.sw);
    assert!(answer.data.len() <= 256 || command.ne > Some(256), "{} bytes were not asked for", answer.data.len());
    if sw != 0x9000 && sw >> 8 != 0x61 {
        assert_eq!(card.nvm_digest(), before, "memory changed although the answer is {}", answer.sw);
    }
    answer
}

const STEPS_MAX: usize = 64;

const LOAD_FILE: &[u8] = b"\xF0bandrig";
const MODULE: &[u8] = b"\xF0bandrig\x01";
const ISD: &[u8] = &[0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];
const CRS: &[u8] = &[0xA0, 0x00, 0x00, 0x01, 0x51, 0x43, 0x52, 0x53, 0x00];
const PPSE: &[u8] = b"2PAY.SYS.DDF01";

const INSTRUCTIONS: &[u8] =
    &[0x50, 0x70, 0x82, 0xA4, 0xA8, 0xAE, 0xB2, 0xC0, 0xCA, 0xE2, 0xE4, 0xE6, 0xF0, 0xF2, 0x00, 0x84];

/// Parameters worth more than random ones.
const PARAMETERS: &[[u8; 2]] = &[
    [0x04, 0x00],
    [0x04, 0x02],
    [0x0C, 0x00],
    [0x20, 0x00],
    [0x08, 0x00],
    [0x88, 0x00],
    [0x08, 0x01],
    [0xE8, 0x01],
    [0x40, 0x00],
    [0x40, 0x02],
    [0x40, 0x03],
    [0x01, 0x01],
    [0x01, 0x00],
    [0x80, 0x00],
    [0x00, 0x00],
    [0x01, 0x0C],
    [0x01, 0x5C],
    [0x9F, 0x36],
    [0x9F, 0x4F],
    [0x9F, 0x7F],
    [0x40, 0x80],
    [0x40, 0x07],
    [0x80, 0x7F],
    [0x80, 0x0F],
    [0x10, 0x02],
    [0x33, 0x00],
];

/// The bytes of the fuzzer; when they run out, zeros.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        byte
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken.to_vec()
    }

    fn pick<'c, T>(&mut self, choices: &'c [T]) -> &'c T {
        &choices[usize::from(self.byte()) % choices.len()]
    }

    fn interface(&mut self) -> Interface {
        if self.byte().is_multiple_of(2) { Interface::Wired } else { Interface::Contactless }
    }

    /// A command near to a meaningful one.
    fn command(&mut self) -> CApdu {
        let cla = *self.pick(&[0x00, 0x80, 0x80, 0x84, 0x90, 0x10, 0x01, 0x0C]);
        let ins = *self.pick(INSTRUCTIONS);
        let [p1, p2] = match self.byte() {
            0xFF => [self.byte(), self.byte()],
            n => PARAMETERS[usize::from(n) % PARAMETERS.len()],
        };
        let data = self.data();
        let ne = match self.byte() % 4 {
            0 => None,
            1 => Some(u32::from(self.byte().max(1))),
            _ => Some(256),
        };
        CApdu { cla, ins, p1, p2, data, ne, extended: false }
    }

    fn data(&mut self) -> Vec<u8> {
        match self.byte() % 12 {
            0 => Vec::new(),
            1 => self.name(),
            2 => object(0x4F, &self.name()),
            3 => install_data(&self.name()),
            4 => length_values(&[&[], &[], &self.name(), &[], &[], &[]]),
            5 => vec![0x83, 0x02, 0x00, 0x00],
            6 => cdol_values(self.byte()),
            7 => data_grouping(0xA0FF, &[self.byte() % 3]),
            8 => vec![0x4F, 0x00, 0x5C, 0x03, 0x4F, 0x9F, 0x70],
            9 => (1..=6).flat_map(|n| object(0x4F, &instance(n))).collect(),
            _ => {
                let len = usize::from(self.byte());
                self.bytes(len)
            }
        }
    }

    fn name(&mut self) -> Vec<u8> {
        match self.byte() {
            n @ 0..=7 => instance(n),
            8 => ISD.to_vec(),
            9 => CRS.to_vec(),
            10 => PPSE.to_vec(),
            11 => instance(1)[..7].to_vec(),
            12 => LOAD_FILE.to_vec(),
            n => self.bytes(usize::from(n % 20)),
        }
    }
}

struct Session {
    card: Card,
    channel: Option<Channel>,
    rng: Rng,
    /// The last ATC seen of each instance.
    atcs: BTreeMap<Vec<u8>, u16>,
}

impl Session {
    fn new(card: u8) -> Self {
        let cards = prepared_cards();
        let card = cards[usize::from(card) % cards.len()].clone();
        Self { card, channel: None, rng: Rng::new(1), atcs: BTreeMap::new() }
    }

    fn step(&mut self, script: &mut Script<'_>) {
        match script.byte() % 12 {
            0 => self.send_bytes(script),
            1..=3 => {
                let (interface, command) = (script.interface(), script.command());
                self.send(interface, &command);
            }
            4 => self.open(),
            5..=6 => {
                let command = script.command();
                self.send_protected(command, None);
            }
            7 => {
                let (command, at) = (script.command(), script.byte());
                self.send_protected(command, Some(at));
            }
            8 => self.add(script.byte() % 8),
            9 => self.tap(script.byte() % 8, script.byte()),
            10 => {
                let interface = script.interface();
                self.card.reset(interface);
                if interface == Interface::Wired {
                    self.channel = None;
                }
            }
            _ => self.cut_power(script),
        }
        assert!(self.card.applets().len() <= 6, "more than six instances");
    }

    /// What is in memory is what the card says is in it.
    fn finish(self) {
        let mut reloaded = self.card.clone();
        reloaded.power_off();
        reloaded.power_on();
        assert_eq!(reloaded.applets(), self.card.applets(), "the card remembers something else than its memory");
        assert_eq!(reloaded.nvm_digest(), self.card.nvm_digest());
    }

    fn send_bytes(&mut self, script: &mut Script<'_>) {
        let (interface, len) = (script.interface(), usize::from(script.byte()));
        let bytes = script.bytes(len);
        match CApdu::decode(&bytes) {
            Ok(command) => {
                self.send(interface, &command);
            }
            Err(_) => assert_eq!(self.card.handle_bytes(interface, &bytes), [0x67, 0x00]),
        }
    }

    fn send(&mut self, interface: Interface, command: &CApdu) -> RApdu {
        let answer = checked(&mut self.card, interface, command, command.ins);
        if command.ins == 0xE4 && answer.sw.is_ok() {
            // A deleted instance may come back and count from the beginning.
            self.atcs.clear();
        }
        answer
    }

    /// Opens a channel; with the right keys that works in every state but a terminated card's.
    fn open(&mut self) {
        self.channel = None;
        if !self.send(Interface::Wired, &select(ISD)).sw.is_ok() {
            return;
        }
        let opening = Opening::new(ChannelMode::S16, &mut self.rng);
        let answer = self.send(Interface::Wired, &opening.command(keys()));
        if let Ok((channel, command)) = opening.finish(keys(), &answer.data) {
            let answer = self.send(Interface::Wired, &command);
            assert!(answer.sw.is_ok(), "the right keys were refused with {}", answer.sw);
            self.channel = Some(channel);
        }
    }

    /// A command through the channel, perhaps with one byte of it spoilt on the way.
    fn send_protected(&mut self, command: CApdu, spoilt: Option<u8>) -> Option<RApdu> {
        let mut channel = self.channel.take()?;
        let instruction = command.ins;
        let plain = CApdu { cla: command.cla & 0x80, ..command };
        if plain.data.len() > channel.max_data() {
            self.channel = Some(channel);
            return None;
        }
        let (mut wrapped, receipt) = channel.wrap(plain);
        if let Some(at) = spoilt {
            let at = usize::from(at) % wrapped.data.len();
            wrapped.data[at] ^= 0x01;
        }
        let answer = checked(&mut self.card, Interface::Wired, &wrapped, instruction);
        if instruction == 0xE4 && answer.sw.is_ok() {
            self.atcs.clear();
        }
        if spoilt.is_some() {
            assert!(!answer.sw.is_ok(), "a spoilt command was carried out");
            return None;
        }
        // Only an answer that proves itself keeps the channel; SELECT and the like have ended it at the card.
        let data = channel.unwrap(&receipt, &answer.data, answer.sw.value()).ok()?;
        self.channel = Some(channel);
        Some(RApdu { data, sw: answer.sw })
    }

    /// A whole add: install, personalise, activate. It fails only where there is no place for it.
    fn add(&mut self, n: u8) {
        self.open();
        let install = CApdu::new(0x80, 0xE6, 0x0C, 0x00).with_data(install_data(&instance(n))).with_ne(256);
        if !self.send_protected(install, None).is_some_and(|answer| answer.sw.is_ok()) {
            return;
        }
        for command in personalisation(n) {
            let answer = self.send_protected(command, None);
            assert!(answer.is_some_and(|answer| answer.sw.is_ok()), "a right personalisation was refused");
        }
        self.send(Interface::Wired, &select(CRS));
        self.channel = None;
        let activate = CApdu::new(0x80, 0xF0, 0x01, 0x01).with_data(object(0x4F, &instance(n))).with_ne(256);
        let answer = self.send(Interface::Wired, &activate);
        assert!(answer.sw.is_ok(), "a personalised instance cannot be activated: {}", answer.sw);
    }

    fn tap(&mut self, n: u8, p1: u8) {
        self.card.reset(Interface::Contactless);
        let aid = instance(n);
        if !self.send(Interface::Contactless, &select(&aid)).sw.is_ok() {
            return;
        }
        let options = CApdu::new(0x80, 0xA8, 0x00, 0x00).with_data([0x83, 0x02, 0x00, 0x00]).with_ne(256);
        if !self.send(Interface::Contactless, &options).sw.is_ok() {
            return;
        }
        let generate = CApdu::new(0x80, 0xAE, p1 & 0xD0, 0x00).with_data(cdol_values(p1)).with_ne(256);
        let answer = self.send(Interface::Contactless, &generate);
        let Some(&[high, low]) = tlv::find_deep(&answer.data, tag::TAG_9F36_ATC) else { return };
        let atc = u16::from_be_bytes([high, low]);
        let last = self.atcs.insert(aid, atc);
        assert!(last < Some(atc), "ATC {atc} after {last:?}");
    }

    /// Power is lost at one of the next writes: memory is as before the command or as after it.
    fn cut_power(&mut self, script: &mut Script<'_>) {
        let (nth, interface) = (u64::from(script.byte() % 6) + 1, script.interface());
        let command = script.command();
        let command = match self.channel.take() {
            Some(mut channel) if interface == Interface::Wired && command.data.len() <= channel.max_data() => {
                channel.wrap(CApdu { cla: command.cla & 0x80, ..command }).0
            }
            _ => command,
        };
        let before = self.card.nvm_digest();
        let mut uncut = self.card.clone();
        uncut.handle(interface, &command);
        self.card.cut_power_at_write(Some(nth));
        self.card.handle(interface, &command);
        self.card.cut_power_at_write(None);
        self.card.power_off();
        self.card.power_on();
        let found = self.card.nvm_digest();
        assert!(found == before || found == uncut.nvm_digest(), "a power cut left something in between");
        self.atcs.clear();
    }
}

/// Status words an instruction may be answered with, beside those any may.
// GPCS 2.3.1 chapter 11, GPC Amendment C 3.11, EMV 4.4 B3 6.5, as far as this card uses them
fn is_allowed(instruction: u8, sw: u16) -> bool {
    const ANY: &[u16] = &[0x6700, 0x6881, 0x6882, 0x6883, 0x6884, 0x6982, 0x6985, 0x6A86, 0x6D00, 0x6E00];
    let own: &[u16] = match instruction {
        0x50 => &[0x9000, 0x6A88],
        0x70 => &[0x6A81, 0x6200],
        0x82 => &[0x9000, 0x6300],
        0xA4 => &[0x9000, 0x6283, 0x6A81, 0x6A82],
        0xA8 => &[0x9000, 0x6A80],
        0xAE => &[0x9000],
        0xB2 => &[0x9000, 0x6A83],
        0xC0 => &[0x9000, 0x6310, 0x6320, 0x6330],
        0xCA => &[0x9000, 0x6A88],
        0xE2 | 0xE6 => &[0x9000, 0x6A80, 0x6A84, 0x6A88],
        0xE4 => &[0x9000, 0x6A80, 0x6A88],
        0xF0 => &[0x9000, 0x6320, 0x6330, 0x6A80, 0x6A88],
        0xF2 => &[0x9000, 0x6310, 0x6A80, 0x6A88],
        _ => &[],
    };
    ANY.contains(&sw) || own.contains(&sw) || sw >> 8 == 0x61 && own.contains(&0x9000)
}

fn keys() -> &'static IsdKeys {
    static KEYS: OnceLock<IsdKeys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let profile = CardProfile::default().issuer_security_domain;
        // The default profile's keys are AES keys: every session that a test replays opens with them.
        let key = |hex: &band_sim::card::profile::KeyHex| AesKey::new(&hex.0).unwrap_or_else(|| unreachable!());
        let set = &profile.keys.value;
        IsdKeys { version: profile.key_version.value, enc: key(&set.enc), mac: key(&set.mac), dek: key(&set.dek) }
    })
}

/// A fresh card, one with two cards in it, one that is full.
fn prepared_cards() -> &'static [Card; 3] {
    static CARDS: OnceLock<[Card; 3]> = OnceLock::new();
    CARDS.get_or_init(|| [0, 2, 6].map(prepared_card))
}

/// A secure element with this many activated test cards in it, numbered from 1. Benchmarks use it too.
#[must_use]
pub fn prepared_card(cards: u8) -> Card {
    let card = Card::new(&CardProfile::default(), Rng::new(1));
    let mut session = Session { card, channel: None, rng: Rng::new(1), atcs: BTreeMap::new() };
    (1..=cards).for_each(|n| session.add(n));
    session.card.reset(Interface::Wired);
    session.card
}

/// The wrapped commands of an add, as they were accepted by a clone of `card`: the card's side alone can be measured.
#[must_use]
pub fn recorded_add(card: &Card, n: u8) -> Vec<CApdu> {
    let mut session = Session { card: card.clone(), channel: None, rng: Rng::new(1), atcs: BTreeMap::new() };
    let mut script = vec![select(ISD)];
    session.send(Interface::Wired, &select(ISD));
    let opening = Opening::new(ChannelMode::S16, &mut session.rng);
    script.push(opening.command(keys()));
    let answer = session.send(Interface::Wired, &opening.command(keys()));
    let Ok((mut channel, command)) = opening.finish(keys(), &answer.data) else { return Vec::new() };
    script.push(command);
    let install = CApdu::new(0x80, 0xE6, 0x0C, 0x00).with_data(install_data(&instance(n))).with_ne(256);
    script.extend([install].into_iter().chain(personalisation(n)).map(|command| channel.wrap(command).0));
    script.push(select(CRS));
    script.push(CApdu::new(0x80, 0xF0, 0x01, 0x01).with_data(object(0x4F, &instance(n))).with_ne(256));
    script
}

/// The AID of test card `n`.
#[must_use]
pub fn instance(n: u8) -> Vec<u8> {
    vec![0xA0, 0x00, 0x00, 0x00, 0x04, 0x10, 0x10, 0x00, n]
}

/// SELECT by name.
#[must_use]
pub fn select(name: &[u8]) -> CApdu {
    CApdu::new(0x00, 0xA4, 0x04, 0x00).with_data(name).with_ne(256)
}

/// The values a test card's CDOL1 asks for.
#[must_use]
pub fn cdol_values(amount: u8) -> Vec<u8> {
    let mut values = vec![0, 0, 0, 0, amount % 0x50, 0x20];
    values.extend([0; 6]);
    values.extend([0x08, 0x04, 0, 0, 0, 0, 0, 0x09, 0x80, 0x26, 0x11, 0x22, 0x00, 1, 2, 3, 4]);
    values
}

fn install_data(aid: &[u8]) -> Vec<u8> {
    length_values(&[LOAD_FILE, MODULE, aid, &[0x00], &[0xC9, 0x00], &[]])
}

/// INSTALL [for personalization] and the STORE DATA commands of test card `n`.
fn personalisation(n: u8) -> Vec<CApdu> {
    let icc_keys = (0..48).map(|at| at ^ n).collect::<Vec<u8>>();
    let check_values = icc_keys.chunks(16).flat_map(|key| key_check_value(key).into_iter().take(3)).collect::<Vec<_>>();
    let mut record = object(0x5A, &[0x54, 0x13, 0x33, 0x00, 0x89, 0x01, 0x04, 0x34]);
    let cdol1 = b"\x9F\x02\x06\x9F\x03\x06\x9F\x1A\x02\x95\x05\x5F\x2A\x02\x9A\x03\x9C\x01\x9F\x37\x04";
    record.extend(object(0x8C, cdol1));
    let mut properties = object(0x50, b"MASTERCARD");
    properties.extend(b"\x9F\x38\x03\x9F\x1D\x02\xBF\x0C\x05\x9F\x4D\x02\x0B\x0A");
    let clear = [
        data_grouping(0x0101, &object(0x70, &record)),
        data_grouping(0x9102, &properties),
        data_grouping(0x9104, b"\x82\x02\x19\x80\x94\x04\x08\x01\x01\x00"),
        data_grouping(0x9000, &check_values),
        data_grouping(0xA001, b"\xC1\x01\x10\xC2\x01\x01\xC3\x01\x02\xC4\x06\0\0\0\0\x50\0\xC5\x02\x09\x80\xC6\x01\0"),
        data_grouping(0xA0FF, &[0x01]),
    ];
    let secret = data_grouping(0x8000, &keys().dek.encrypt_sensitive(&icc_keys));
    let perso = length_values(&[&[], &[], &instance(n), &[], &[], &[]]);
    vec![
        CApdu::new(0x80, 0xE6, 0x20, 0x00).with_data(perso).with_ne(256),
        CApdu::new(0x80, 0xE2, 0x08, 0x00).with_data(clear.concat()).with_ne(256),
        CApdu::new(0x80, 0xE2, 0xE8, 0x01).with_data(secret).with_ne(256),
    ]
}

fn key_check_value(key: &[u8]) -> [u8; 8] {
    let mut block = [0; 8].into();
    // Test keys have 16 bytes.
    if let Ok(cipher) = TdesEde2::new_from_slice(key) {
        cipher.encrypt_block(&mut block);
    }
    block.into()
}

fn object(tag: u8, value: &[u8]) -> Vec<u8> {
    [&[tag, value.len() as u8], value].concat()
}

fn data_grouping(identifier: u16, content: &[u8]) -> Vec<u8> {
    [&identifier.to_be_bytes()[..], &[content.len() as u8], content].concat()
}

fn length_values(fields: &[&[u8]]) -> Vec<u8> {
    fields.iter().flat_map(|field| [&[field.len() as u8], *field].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prepared_cards_hold_what_they_should() {
        let applets = prepared_cards().each_ref().map(|card| card.applets().len());
        assert_eq!(applets, [0, 2, 6]);
    }

    #[test]
    fn random_sessions_hold_their_properties() {
        let mut rng = Rng::new(7);
        for _ in 0..2_000 {
            let mut bytes = vec![0; usize::from(rng.array::<1>()[0]) * 2];
            rng.fill(&mut bytes);
            card_session(&bytes);
        }
    }

    #[test]
    fn a_recorded_add_is_taken_by_the_card() {
        let mut card = prepared_card(0);
        let script = recorded_add(&card, 1);
        assert!(script.iter().all(|command| card.handle(Interface::Wired, command).sw.is_ok()));
        assert_eq!(card.applets().len(), 1);
    }
}
