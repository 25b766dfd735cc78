//! The card as a whole, from the outside: bytes in, status words and memory out.

use alloc::vec::Vec;
use proptest::prelude::*;
use std::vec;

use super::host::*;
use super::nvm::PowerLost;
use super::profile::{CardProfile, Conflicts, PpseLists};
use super::scp03::Implementation;
use super::*;
use crate::rng::Rng;
use crate::wire::{tag, tlv};

const WIRED: Interface = Interface::Wired;
const CONTACTLESS: Interface = Interface::Contactless;

fn apdu(text: &str) -> CApdu {
    let digits = text.replace(' ', "");
    let bytes = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap());
    CApdu::decode(&bytes.collect::<Vec<u8>>()).unwrap()
}

fn sw(card: &mut Card, interface: Interface, text: &str) -> u16 {
    card.handle(interface, &apdu(text)).sw.value()
}

// ---- the main way

#[test]
fn a_card_is_added_activated_and_pays() {
    for cvn in [0x10, 0x11, 0x14, 0x15] {
        let (mut card, mut host) = opened();
        assert_eq!(host.send(&mut card, install(&instance(1))), RApdu::ok([0x00]));
        let data = Personalisation { cvn, ..Personalisation::default() };
        personalise(&mut card, &mut host, &instance(1), &data);
        select(&mut card, WIRED, CRS);
        assert_eq!(card.handle(WIRED, &set_activation(true, &instance(1))), RApdu::sw(Sw::OK));

        let ppse = select(&mut card, CONTACTLESS, PPSE);
        assert_eq!(tlv::find_deep(&ppse.data, tag::TAG_4F_ADF_NAME), Some(&instance(1)[..]));
        assert_eq!(tlv::find_deep(&ppse.data, tag::TAG_50_APPLICATION_LABEL), Some(&b"MASTERCARD"[..]));
        assert_eq!(tlv::find_deep(&ppse.data, tag::TAG_87_PRIORITY), Some(&[1][..]));

        let purchase = Purchase::default();
        let answer = tap(&mut card, &instance(1), &purchase, 0x80);
        assert_eq!(answer.sw, Sw::OK);
        let value = |tag| tlv::find_path(&answer.data, &[tag::TAG_77_RESPONSE_TEMPLATE_2, tag]).unwrap();
        assert_eq!(value(tag::TAG_9F27_CID), [0x80]);
        assert_eq!(value(tag::TAG_9F36_ATC), [0x00, 0x01]);
        let iad = value(tag::TAG_9F10_IAD);
        assert_eq!(iad.len(), 18);
        assert_eq!(iad[..2], [0x01, cvn]);
        assert_eq!(iad[2..8], [0xA0, 0x00, 0x00, 0x22, 0x00, 0x00]);
        assert_eq!(value(tag::TAG_9F26_APPLICATION_CRYPTOGRAM), expected_cryptogram(&purchase, 1, iad));
    }
}

#[test]
fn a_combined_signature_is_left_out_as_long_as_there_is_no_rsa_key() {
    let mut card = activated(1);
    let answer = tap(&mut card, &instance(1), &Purchase::default(), 0x90);
    assert_eq!(answer.sw, Sw::OK);
    assert_eq!(tlv::find_deep(&answer.data, tag::TAG_9F4B_SDAD), None);
    assert!(tlv::find_deep(&answer.data, tag::TAG_9F26_APPLICATION_CRYPTOGRAM).is_some());
}

#[test]
fn every_key_size_mode_and_level_adds_a_card() {
    for key_bytes in [16, 24, 32] {
        for i in [0x00, 0x10, 0x70, 0x71, 0x60, 0x61] {
            for level in [0x00, 0x01, 0x03, 0x11, 0x13, 0x33] {
                let mut profile = CardProfile::default();
                profile.issuer_security_domain.scp03_i.value = Implementation(i);
                let keys = &mut profile.issuer_security_domain.keys.value;
                for key in [&mut keys.enc, &mut keys.mac, &mut keys.dek] {
                    key.0.0 = (0x50..).take(key_bytes).collect();
                }
                let mut card = Card::new(&profile, Rng::new(1));
                let mut host = Host::new(&profile);
                let opened = host.open(&mut card, level);
                if level & 0x30 > u8::from(i & 0x20 != 0) * 0x10 + u8::from(i & 0x40 != 0) * 0x20 {
                    assert_eq!(opened, Sw::INCORRECT_P1_P2, "i {i:02X} has no level {level:02X}");
                    continue;
                }
                assert_eq!(opened, Sw::OK);
                host.send(&mut card, install(&instance(1)));
                personalise(&mut card, &mut host, &instance(1), &Personalisation::default());
                assert!(card.applets()[0].personalised);
            }
        }
    }
}

#[test]
fn pseudo_random_challenges_never_repeat_and_random_ones_change_nothing() {
    let (mut card, _) = opened();
    let initialize = apdu("80 50 00 00 10 00 01 02 03 04 05 06 07 08 09 0A 0B 0C 0D 0E 0F 00");
    let mut seen = vec![];
    for _ in 0..3 {
        let answer = card.handle(WIRED, &initialize);
        assert_eq!(answer.data.len(), 10 + 3 + 16 + 16 + 3);
        assert!(!seen.contains(&answer.data));
        seen.push(answer.data);
    }
    assert_eq!(card.handle(WIRED, &apdu("80 CA 00 C1 00")).data, [0xC1, 3, 0, 0, 4]);

    let mut profile = CardProfile::default();
    profile.issuer_security_domain.scp03_i.value = Implementation(0x61);
    let mut card = Card::new(&profile, Rng::new(1));
    let before = card.nvm_digest();
    assert_eq!(card.handle(WIRED, &initialize).data.len(), 10 + 3 + 16 + 16);
    assert_eq!(card.nvm_digest(), before);
}

// ---- what the issuer security domain says about itself

#[test]
fn data_objects_of_the_issuer_security_domain() {
    let mut card = new_card();
    let cplc = card.handle(WIRED, &apdu("80 CA 9F 7F 00"));
    assert_eq!(cplc.data[..3], [0x9F, 0x7F, 0x2A]);
    assert_eq!((cplc.data.len(), cplc.sw), (45, Sw::OK));
    assert_eq!(
        card.handle(WIRED, &apdu("80 CA 00 E0 00")).data,
        [0xE0, 0x12, 0xC0, 4, 1, 0x21, 0x88, 16, 0xC0, 4, 2, 0x21, 0x88, 16, 0xC0, 4, 3, 0x21, 0x88, 16]
    );
    let card_data = card.handle(WIRED, &apdu("00 CA 00 66 00")).data;
    assert!(tlv::walk_deep(&card_data).any(|object| object.unwrap().1.value.ends_with(&[0x6B, 4, 3, 0x71])));
    assert_eq!(card.handle(WIRED, &apdu("80 CA 00 C1 00")).data, [0xC1, 3, 0, 0, 0]);
    assert_eq!(card.handle(WIRED, &apdu("80 CA 00 42 00")).data[..2], [0x42, 3]);
    assert_eq!(sw(&mut card, WIRED, "80 CA 00 99 00"), 0x6A88);
}

#[test]
fn two_cards_have_two_serial_numbers_and_one_card_keeps_its_own() {
    let cplc = |card: &mut Card| card.handle(WIRED, &apdu("80 CA 9F 7F 00")).data;
    let mut one = Card::new(&CardProfile::default(), Rng::new(1));
    let mut other = Card::new(&CardProfile::default(), Rng::new(2));
    assert_ne!(cplc(&mut one), cplc(&mut other));
    let before = cplc(&mut one);
    one.power_off();
    one.power_on();
    assert_eq!(cplc(&mut one), before);
}

#[test]
fn get_status_lists_domain_applications_files_and_modules() {
    let (mut card, mut host) = opened();
    for n in 1..=2 {
        host.send(&mut card, install(&instance(n)));
    }
    let listed = |card: &mut Card, host: &mut Host, p1, p2, data: &[u8]| {
        host.send(card, CApdu::new(0x80, 0xF2, p1, p2).with_data(data).with_ne(256))
    };
    let answer = listed(&mut card, &mut host, 0x80, 0x02, &[0x4F, 0x00]);
    assert_eq!(tlv::find_path(&answer.data, &[tag::TAG_E3_REGISTRY_DATA, tag::TAG_4F_ADF_NAME]), Some(ISD));
    let answer = listed(&mut card, &mut host, 0x40, 0x02, &[0x4F, 0x00]);
    let templates = tlv::walk(&answer.data).map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(templates.len(), 2);
    assert_eq!(tlv::find(templates[1].value, tag::TAG_4F_ADF_NAME), Some(&instance(2)[..]));
    assert_eq!(tlv::find(templates[0].value, tag::TAG_9F70_LIFE_CYCLE_STATE), Some(&[0x07][..]));
    assert_eq!(tlv::find(templates[0].value, tag::TAG_C4_LOAD_FILE_AID), Some(LOAD_FILE));
    let plain = listed(&mut card, &mut host, 0x40, 0x00, &object_4f(&instance(2)));
    assert_eq!(plain.data, [&[9][..], &instance(2), &[0x07, 0x00]].concat());
    let answer = listed(&mut card, &mut host, 0x10, 0x02, &[0x4F, 0x00]);
    assert_eq!(tlv::find_deep(&answer.data, tag::TAG_84_DF_NAME), Some(MODULE));
    let nothing = listed(&mut card, &mut host, 0x40, 0x02, &object_4f(&instance(3)));
    assert_eq!(nothing.sw, Sw::REFERENCED_DATA_NOT_FOUND);
    let unknown = listed(&mut card, &mut host, 0x40, 0x01, &[0x4F, 0x00]);
    assert_eq!(unknown.sw, Sw::CONDITIONS_NOT_SATISFIED);
}

#[test]
fn long_lists_come_in_parts() {
    let (mut card, mut host) = opened();
    for n in 1..=6 {
        host.send(&mut card, install(&instance(n)));
    }
    let first = host.send(&mut card, CApdu::new(0x80, 0xF2, 0x40, 0x02).with_data([0x4F, 0x00]).with_ne(256));
    assert_eq!(first.sw, Sw::MORE_DATA_AVAILABLE);
    let rest = host.send(&mut card, CApdu::new(0x80, 0xF2, 0x40, 0x03).with_data([0x4F, 0x00]).with_ne(256));
    assert_eq!(rest.sw, Sw::OK);
    assert_eq!(tlv::walk(&first.data).count() + tlv::walk(&rest.data).count(), 6);
    let after = host.send(&mut card, CApdu::new(0x80, 0xF2, 0x40, 0x03).with_data([0x4F, 0x00]).with_ne(256));
    assert_eq!(after.sw, Sw::CONDITIONS_NOT_SATISFIED);
}

// ---- the secure channel's edges

#[test]
fn a_wrong_c_mac_ends_the_channel() {
    let (mut card, mut host) = opened();
    let mut command = host.wrap(install(&instance(1)));
    let last = command.data.len() - 1;
    command.data[last] ^= 1;
    let before = card.nvm_digest();
    assert_eq!(card.handle(WIRED, &command), RApdu::sw(Sw::SECURITY_STATUS_NOT_SATISFIED));
    command.data[last] ^= 1;
    assert_eq!(card.handle(WIRED, &command).sw, Sw::SECURITY_STATUS_NOT_SATISFIED, "the channel is gone");
    assert_eq!(card.nvm_digest(), before);
}

#[test]
fn an_unprotected_command_ends_a_protected_channel() {
    let (mut card, mut host) = opened();
    assert_eq!(card.handle(WIRED, &install(&instance(1))).sw, Sw::SECURITY_STATUS_NOT_SATISFIED);
    let wrapped = host.wrap(install(&instance(1)));
    assert_eq!(card.handle(WIRED, &wrapped).sw, Sw::SECURITY_STATUS_NOT_SATISFIED);
}

#[test]
fn a_refused_command_does_not_end_the_channel() {
    let (mut card, mut host) = opened();
    assert_eq!(host.send(&mut card, delete(&instance(1))).sw, Sw::REFERENCED_DATA_NOT_FOUND);
    assert_eq!(host.send(&mut card, install(&instance(1))).sw, Sw::OK);
}

#[test]
fn a_wrong_host_cryptogram_is_6300_and_a_wrong_mac_6982_and_each_try_needs_a_new_challenge() {
    for (at, expected) in [(0, Sw::AUTHENTICATION_FAILED), (31, Sw::SECURITY_STATUS_NOT_SATISFIED)] {
        let mut card = new_card();
        let mut host = Host::new(&CardProfile::default());
        let mut command = host.initialize(&mut card, 0x33);
        command.data[at] ^= 1;
        assert_eq!(card.handle(WIRED, &command).sw, expected);
        command.data[at] ^= 1;
        assert_eq!(card.handle(WIRED, &command).sw, Sw::CONDITIONS_NOT_SATISFIED);
    }
}

#[test]
fn select_and_reset_end_the_channel_and_each_interface_has_its_own() {
    let (mut card, mut host) = opened();
    card.reset(CONTACTLESS);
    select(&mut card, CONTACTLESS, PPSE);
    assert_eq!(host.send(&mut card, install(&instance(1))).sw, Sw::OK);
    card.reset(WIRED);
    let wrapped = host.wrap(install(&instance(2)));
    assert_eq!(card.handle(WIRED, &wrapped).sw, Sw::SECURITY_STATUS_NOT_SATISFIED);
    assert_eq!(host.open(&mut card, 0x33), Sw::OK);
    select(&mut card, WIRED, ISD);
    let wrapped = host.wrap(install(&instance(2)));
    assert_eq!(card.handle(WIRED, &wrapped).sw, Sw::SECURITY_STATUS_NOT_SATISFIED);
}

#[test]
fn a_failed_select_keeps_channel_and_selection() {
    let (mut card, mut host) = opened();
    assert_eq!(select(&mut card, WIRED, &instance(9)).sw, Sw::NOT_FOUND);
    assert_eq!(host.send(&mut card, install(&instance(1))).sw, Sw::OK);
}

#[test]
fn a_chained_command_is_one_command() {
    let (mut card, mut host) = opened();
    let whole = host.wrap(install(&instance(1)));
    let parts = crate::wire::chain::split(&whole, 20);
    assert!(parts.len() > 2);
    for part in &parts[..parts.len() - 1] {
        assert_eq!(card.handle(WIRED, part).sw, Sw::OK);
        assert!(card.applets().is_empty());
    }
    assert_eq!(card.handle(WIRED, parts.last().unwrap()).sw, Sw::OK);
    assert_eq!(card.applets().len(), 1);
    assert_eq!(sw(&mut card, CONTACTLESS, "10 A4 04 00 02 32 50"), 0x6884);
}

#[test]
fn an_answer_waits_for_get_response_when_no_le_was_given() {
    let mut card = new_card();
    let bare = card.handle(WIRED, &apdu("80 CA 9F 7F"));
    assert_eq!(bare, RApdu::sw(Sw::more(45)));
    let part = card.handle(WIRED, &apdu("00 C0 00 00 05"));
    assert_eq!((part.data.len(), part.sw), (5, Sw::more(40)));
    let rest = card.handle(WIRED, &apdu("00 C0 00 00 00"));
    assert_eq!((rest.data.len(), rest.sw), (40, Sw::OK));
    assert_eq!(sw(&mut card, WIRED, "00 C0 00 00 00"), 0x6985);
    card.handle(WIRED, &apdu("80 CA 9F 7F"));
    select(&mut card, WIRED, ISD);
    assert_eq!(sw(&mut card, WIRED, "00 C0 00 00 00"), 0x6985, "another command forgets it");
}

// ---- life of an instance

#[test]
fn the_seventh_instance_is_refused_until_one_is_deleted() {
    let (mut card, mut host) = opened();
    for n in 1..=6 {
        assert_eq!(host.send(&mut card, install(&instance(n))).sw, Sw::OK);
    }
    let before = card.nvm_digest();
    assert_eq!(host.send(&mut card, install(&instance(7))).sw, Sw::NOT_ENOUGH_MEMORY);
    assert_eq!(card.nvm_digest(), before);
    assert_eq!(host.send(&mut card, delete(&instance(3))), RApdu::ok([0x00]));
    assert_eq!(host.send(&mut card, install(&instance(7))).sw, Sw::OK);
    let aids = card.applets().iter().map(|applet| applet.aid.as_bytes()[8]).collect::<Vec<_>>();
    assert_eq!(aids, [1, 2, 4, 5, 6, 7]);
}

#[test]
fn deleting_leaves_nothing_of_an_instance_behind() {
    let (mut card, mut host) = opened();
    let empty = card.nvm_digest();
    host.send(&mut card, install(&instance(1)));
    personalise(&mut card, &mut host, &instance(1), &Personalisation::default());
    assert_ne!(card.nvm_digest(), empty);
    host.send(&mut card, delete(&instance(1)));
    assert_eq!(card.nvm_digest(), empty);
}

#[test]
fn before_personalisation_readers_see_nothing_and_the_band_sees_an_empty_instance() {
    let (mut card, mut host) = opened();
    host.send(&mut card, install(&instance(1)));
    assert_eq!(select(&mut card, CONTACTLESS, &instance(1)).sw, Sw::NOT_FOUND);
    assert_eq!(select(&mut card, WIRED, &instance(1)).sw, Sw::OK);
    for text in ["80 A8 00 00 02 83 00 00", "00 B2 01 0C 00", "80 CA 9F 36 00"] {
        assert_eq!(sw(&mut card, WIRED, text), 0x6985);
    }
    let status = &card.applets()[0];
    assert_eq!((status.personalised, status.activation), (false, Activation::NonActivatable));
}

#[test]
fn a_round_takes_effect_with_its_last_block_only() {
    let (mut card, mut host) = opened();
    host.send(&mut card, install(&instance(1)));
    let before = card.nvm_digest();
    host.send(&mut card, install_for_personalisation(&instance(1)));
    let blocks = blocks(&Personalisation::default().dgis(&host));
    for (number, block) in blocks.iter().enumerate() {
        assert_eq!(card.nvm_digest(), before, "before block {number}");
        assert_eq!(host.send(&mut card, block.clone()).sw, Sw::OK);
    }
    assert!(card.applets()[0].personalised);
    assert_eq!(host.send(&mut card, blocks[0].clone()).sw, Sw::CONDITIONS_NOT_SATISFIED, "the round is over");
}

#[test]
fn a_round_without_a_mandatory_data_grouping_or_with_a_bad_one_is_refused_whole() {
    let (card, host) = opened();
    let good = Personalisation::default().dgis(&host);
    let without = |dgi: u16| good.iter().filter(|entry| entry.0 != dgi).cloned().collect::<Vec<_>>();
    let with = |dgi: u16, content: &[u8]| {
        let mut dgis = without(dgi);
        dgis.push((dgi, content.to_vec(), false));
        dgis
    };
    let mut rows = vec![];
    for dgi in [0x0101, 0x9102, 0x9104, 0x8000, 0x9000, 0xA001] {
        rows.push((without(dgi), Sw::CONDITIONS_NOT_SATISFIED));
    }
    rows.push((with(0x9000, &[0; 9]), Sw::WRONG_DATA));
    rows.push((with(0x9102, &[0x50, 0x05]), Sw::WRONG_DATA));
    rows.push((with(0x9104, &[0x82, 0x02, 0x19, 0x80]), Sw::WRONG_DATA));
    rows.push((with(0xA001, &[0xC1, 0x01, 0x10]), Sw::WRONG_DATA));
    rows.push((with(0xA0FF, &[0x02]), Sw::WRONG_DATA));
    rows.push((with(0xA0FE, &[0x02]), Sw::WRONG_DATA));
    rows.push((with(0x0101, &[0x71, 0x00]), Sw::WRONG_DATA));
    rows.push((with(0x8000, &[0; 48]), Sw::WRONG_DATA));
    rows.push((with(0x7777, &[0; 4]), Sw::REFERENCED_DATA_NOT_FOUND));
    for (dgis, expected) in rows {
        let (mut card, mut host) = (card.clone(), Host::new(&CardProfile::default()));
        host.open(&mut card, 0x33);
        host.send(&mut card, install(&instance(1)));
        let before = card.nvm_digest();
        host.send(&mut card, install_for_personalisation(&instance(1)));
        let refusal = blocks(&dgis).into_iter().map(|block| host.send(&mut card, block).sw).find(|sw| !sw.is_ok());
        assert_eq!(refusal, Some(expected), "{:04X?}", dgis.iter().map(|entry| entry.0).collect::<Vec<_>>());
        assert_eq!(card.nvm_digest(), before);
    }
}

#[test]
fn a_missing_repeated_or_misordered_block_ends_the_round() {
    let (mut card, mut host) = opened();
    host.send(&mut card, install(&instance(1)));
    let blocks = blocks(&Personalisation::default().dgis(&host));
    let wrong = Sw::INCORRECT_P1_P2;
    let rows = [([1, 0], [wrong, Sw::CONDITIONS_NOT_SATISFIED]), ([0, 0], [Sw::OK, wrong]), ([0, 2], [Sw::OK, wrong])];
    for (order, expected) in rows {
        host.send(&mut card, install_for_personalisation(&instance(1)));
        assert_eq!(order.map(|number| host.send(&mut card, blocks[number].clone()).sw), expected);
        assert_eq!(host.send(&mut card, blocks[1].clone()).sw, Sw::CONDITIONS_NOT_SATISFIED);
    }
}

#[test]
fn a_data_grouping_may_span_blocks() {
    let (mut card, mut host) = opened();
    host.send(&mut card, install(&instance(1)));
    host.send(&mut card, install_for_personalisation(&instance(1)));
    let dgis = Personalisation::default().dgis(&host);
    let mut pieces = vec![];
    for (dgi, content, encrypted) in dgis {
        pieces.extend(data_grouping(dgi, &content).chunks(7).map(|piece| (piece.to_vec(), encrypted)));
    }
    let last = pieces.len() - 1;
    for (number, (data, encrypted)) in pieces.into_iter().enumerate() {
        let p1 = 0x08 | u8::from(number == last) << 7 | if encrypted { 0x60 } else { 0x00 };
        let block = CApdu::new(0x80, 0xE2, p1, number as u8).with_data(data);
        assert_eq!(host.send(&mut card, block).sw, Sw::OK);
    }
    assert!(card.applets()[0].personalised);
}

#[test]
fn an_unconfirmed_card_cannot_be_activated_and_a_suspended_one_no_longer_pays() {
    let (mut card, mut host) = opened();
    host.send(&mut card, install(&instance(1)));
    let data = Personalisation { activatable: None, ..Personalisation::default() };
    personalise(&mut card, &mut host, &instance(1), &data);
    select(&mut card, WIRED, CRS);
    let refused = card.handle(WIRED, &set_activation(true, &instance(1)));
    assert_eq!(refused.sw, Sw::SOME_FAILED);
    assert_eq!(
        tlv::find_path(&refused.data, &[tag::TAG_A1_FAILED_APPLICATIONS, tag::TAG_4F_ADF_NAME]),
        Some(&instance(1)[..])
    );
    assert_eq!(select(&mut card, CONTACTLESS, &instance(1)).sw, Sw::NOT_FOUND);

    // Confirmed in a round of its own.
    host.open(&mut card, 0x33);
    store(&mut card, &mut host, &instance(1), &[(0xA0FF, vec![1], false)]);
    assert_eq!(card.applets()[0].activation, Activation::Deactivated);
    select(&mut card, WIRED, CRS);
    assert_eq!(card.handle(WIRED, &set_activation(true, &instance(1))).sw, Sw::OK);
    assert_eq!(select(&mut card, CONTACTLESS, &instance(1)).sw, Sw::OK);

    // Suspended while a reader has it selected: it is gone at once.
    host.open(&mut card, 0x33);
    store(&mut card, &mut host, &instance(1), &[(0xA0FF, vec![0], false)]);
    assert_eq!(card.handle(CONTACTLESS, &processing_options()).sw, Sw::CONDITIONS_NOT_SATISFIED);
    assert_eq!(select(&mut card, CONTACTLESS, &instance(1)).sw, Sw::NOT_FOUND);
}

#[test]
fn a_locked_instance_is_selectable_nowhere_until_unlocked() {
    let mut card = activated(1);
    let mut host = Host::new(&CardProfile::default());
    host.open(&mut card, 0x33);
    let lock = CApdu::new(0x80, 0xF0, 0x40, 0x80).with_data(instance(1));
    assert_eq!(host.send(&mut card, lock).sw, Sw::OK);
    assert_eq!(select(&mut card, CONTACTLESS, &instance(1)).sw, Sw::NOT_FOUND);
    assert_eq!(host.send(&mut card, install_for_personalisation(&instance(1))).sw, Sw::CONDITIONS_NOT_SATISFIED);
    let unlock = CApdu::new(0x80, 0xF0, 0x40, 0x07).with_data(instance(1));
    assert_eq!(host.send(&mut card, unlock).sw, Sw::OK);
    assert_eq!(select(&mut card, CONTACTLESS, &instance(1)).sw, Sw::OK);
}

#[test]
fn a_locked_card_pays_nothing_and_can_be_unlocked_and_a_terminated_one_cannot() {
    let mut card = activated(1);
    let mut host = Host::new(&CardProfile::default());
    host.open(&mut card, 0x33);
    let set = |state| CApdu::new(0x80, 0xF0, 0x80, state);
    assert_eq!(host.send(&mut card, set(0x07)).sw, Sw::CONDITIONS_NOT_SATISFIED, "the life cycle goes forward only");
    assert_eq!(host.send(&mut card, set(0x7F)).sw, Sw::OK);
    assert_eq!(select(&mut card, CONTACTLESS, PPSE).sw, Sw::FUNCTION_NOT_SUPPORTED);
    assert_eq!(host.send(&mut card, install(&instance(2))).sw, Sw::CONDITIONS_NOT_SATISFIED);
    assert_eq!(host.send(&mut card, set(0x0F)).sw, Sw::OK);
    assert_eq!(select(&mut card, CONTACTLESS, PPSE).sw, Sw::OK);
    assert_eq!(host.send(&mut card, set(0xFF)).sw, Sw::OK);
    assert_eq!(select(&mut card, CONTACTLESS, PPSE).sw, Sw::FUNCTION_NOT_SUPPORTED);
    assert_eq!(sw(&mut card, WIRED, "80 50 00 00 00"), 0x6985);
}

#[test]
fn wiping_removes_every_instance_at_once() {
    let mut card = activated(3);
    let writes = card.nvm_writes();
    card.wipe_applets();
    assert!(card.applets().is_empty());
    assert!(card.nvm_writes() > writes);
    card.power_off();
    card.power_on();
    assert!(card.applets().is_empty());
    assert_eq!(select(&mut card, CONTACTLESS, &instance(1)).sw, Sw::NOT_FOUND);
}

// ---- contactless registry

#[test]
fn the_registry_answers_both_phone_sides() {
    let mut card = activated(1);
    assert_eq!(card.handle(WIRED, &apdu("00 A4 04 00 09 A0 00 00 01 51 43 52 53 00")), RApdu::sw(Sw::OK));
    let entry = [&[0x61, 0x10, 0x4F, 0x09][..], &instance(1), &[0x9F, 0x70, 0x02, 0x07, 0x01]].concat();
    let question = |p2, data: Vec<u8>| CApdu::new(0x80, 0xF2, 0x40, p2).with_data(data).with_ne(256);
    assert_eq!(card.handle(WIRED, &question(0x02, object_4f(&instance(1)))), RApdu::ok(entry.clone()));
    let with_tags = [object_4f(&instance(1)), vec![0x5C, 0x03, 0x4F, 0x9F, 0x70]].concat();
    assert_eq!(card.handle(WIRED, &question(0x00, with_tags)), RApdu::ok(entry));
    let with_priority = card.handle(WIRED, &question(0x00, vec![0x4F, 0x00, 0x5C, 0x01, 0x81]));
    assert_eq!(with_priority, RApdu::ok([0x61, 0x03, 0x81, 0x01, 0x01]));
    assert_eq!(card.handle(WIRED, &question(0x00, vec![0x5C, 0x01, 0x4F])).sw, Sw::WRONG_DATA, "4F is mandatory");
    assert_eq!(card.handle(WIRED, &question(0x01, vec![0x4F, 0x00])).sw, Sw::CONDITIONS_NOT_SATISFIED);
    assert_eq!(card.handle(WIRED, &question(0x00, object_4f(&instance(2)))).sw, Sw::REFERENCED_DATA_NOT_FOUND);
}

#[test]
fn the_order_decides_what_a_reader_sees_first() {
    let mut card = activated(3);
    select(&mut card, WIRED, CRS);
    let order = |numbers: &[u8]| {
        let data = numbers.iter().flat_map(|n| object_4f(&instance(*n))).collect::<Vec<_>>();
        CApdu::new(0x80, 0xF0, 0x08, 0x00).with_data(data)
    };
    assert_eq!(card.handle(WIRED, &order(&[3, 1, 2])).sw, Sw::OK);
    let listed = |card: &mut Card| {
        let ppse = select(card, CONTACTLESS, PPSE).data;
        let objects = tlv::walk_deep(&ppse).map(Result::unwrap).map(|(_, object)| object);
        objects.filter(|object| object.tag == tag::TAG_4F_ADF_NAME).map(|object| object.value[8]).collect::<Vec<_>>()
    };
    assert_eq!(listed(&mut card), [3, 1, 2]);
    card.power_off();
    card.power_on();
    assert_eq!(listed(&mut card), [3, 1, 2]);
    select(&mut card, WIRED, CRS);
    let before = card.nvm_digest();
    for wrong in [&[3, 1][..], &[3, 1, 1], &[3, 1, 4], &[3, 1, 2, 2], &[]] {
        assert_eq!(card.handle(WIRED, &order(wrong)).sw, Sw::WRONG_DATA);
    }
    assert_eq!(card.nvm_digest(), before);
    // Partial selection follows the same order.
    let scheme = &instance(1)[..7];
    let mut names = vec![];
    for p2 in [0x00, 0x02, 0x02] {
        let answer = card.handle(CONTACTLESS, &CApdu::new(0, 0xA4, 4, p2).with_data(scheme).with_ne(256));
        names.push(tlv::find_deep(&answer.data, tag::TAG_84_DF_NAME).unwrap()[8]);
    }
    assert_eq!(names, [3, 1, 2]);
    let end = card.handle(CONTACTLESS, &CApdu::new(0, 0xA4, 4, 2).with_data(scheme).with_ne(256));
    assert_eq!(end.sw, Sw::NOT_FOUND);
}

#[test]
fn the_ppse_lists_only_the_default_card_if_the_profile_says_so() {
    let mut profile = CardProfile::default();
    profile.ppse.lists.value = PpseLists::DefaultOnly;
    let mut card = activated(3);
    card.profile = Arc::new(profile);
    let ppse = select(&mut card, CONTACTLESS, PPSE).data;
    let listed = tlv::walk_deep(&ppse).filter(|object| object.unwrap().1.tag == tag::TAG_4F_ADF_NAME).count();
    assert_eq!(listed, 1);
}

#[test]
fn clashing_activations_name_who_is_in_the_way() {
    let mut card = activated(2);
    let mut profile = CardProfile::default();
    profile.contactless_registry.conflicts.value = Conflicts::All;
    card.profile = Arc::new(profile);
    select(&mut card, WIRED, CRS);
    card.handle(WIRED, &set_activation(false, &instance(2)));
    let clash = card.handle(WIRED, &set_activation(true, &instance(2)));
    assert_eq!(clash.sw, Sw::CONFLICT);
    assert_eq!(
        tlv::find_path(&clash.data, &[tag::TAG_61_APPLICATION_TEMPLATE, tag::TAG_4F_ADF_NAME]),
        Some(&instance(1)[..])
    );
    card.handle(WIRED, &set_activation(false, &instance(1)));
    assert_eq!(card.handle(WIRED, &set_activation(true, &instance(2))).sw, Sw::OK);
}

#[test]
fn readers_reach_neither_domain_nor_registry() {
    let mut card = activated(1);
    assert_eq!(select(&mut card, CONTACTLESS, ISD).sw, Sw::NOT_FOUND);
    assert_eq!(select(&mut card, CONTACTLESS, CRS).sw, Sw::NOT_FOUND);
    assert_eq!(select(&mut card, CONTACTLESS, &[]).sw, Sw::NOT_FOUND);
    assert_eq!(sw(&mut card, CONTACTLESS, "80 CA 9F 7F 00"), 0x6985);
}

// ---- payment

#[test]
fn the_atc_never_repeats_and_survives_power_loss() {
    let mut card = activated(1);
    let mut last = 0;
    for round in 0..20 {
        card.reset(CONTACTLESS);
        select(&mut card, CONTACTLESS, &instance(1));
        // Every third time power is cut in the middle of counting.
        if round % 3 == 2 {
            card.cut_power_at_write(Some(1));
        }
        let answer = card.handle(CONTACTLESS, &processing_options());
        if !card.is_powered() {
            assert_eq!(answer.sw, Sw::UNKNOWN);
            card.power_on();
            continue;
        }
        assert_eq!(answer.sw, Sw::OK);
        let answer = card.handle(CONTACTLESS, &apdu("80 CA 9F 36 00")).data;
        let atc = u16::from_be_bytes([answer[3], answer[4]]);
        assert!(atc > last, "{atc} after {last}");
        last = atc;
    }
}

#[test]
fn when_the_atc_has_run_out_the_application_is_blocked() {
    let mut card = activated(1);
    let slot = card.registry.applets[0].slot;
    let counters = registry::Counters { atc: 65_534, ..card.registry.applets[0].counters };
    card.registry.commit_counters(&mut card.nvm, slot, counters, None).unwrap();
    assert_eq!(tap(&mut card, &instance(1), &Purchase::default(), 0x80).sw, Sw::OK, "ATC 65535 is the last");
    let before = card.nvm_digest();
    assert_eq!(select(&mut card, CONTACTLESS, &instance(1)).sw, Sw::SELECTED_FILE_DEACTIVATED);
    assert_eq!(card.handle(CONTACTLESS, &processing_options()).sw, Sw::CONDITIONS_NOT_SATISFIED);
    assert_eq!(card.nvm_digest(), before);
    let ppse = select(&mut card, CONTACTLESS, PPSE).data;
    assert_eq!(tlv::find_deep(&ppse, tag::TAG_4F_ADF_NAME), None);
}

#[test]
fn offline_limits_decide_between_approval_and_going_online() {
    let cid = |answer: &RApdu| tlv::find_deep(&answer.data, tag::TAG_9F27_CID).unwrap()[0];
    let cvr5 = |answer: &RApdu| tlv::find_deep(&answer.data, tag::TAG_9F10_IAD).unwrap()[6];
    let small = Purchase::default();
    // Two in a row are allowed, the third goes online.
    let mut card = activated(1);
    let answers = [0x40, 0x40, 0x40].map(|p1| tap(&mut card, &instance(1), &small, p1));
    assert_eq!(answers.each_ref().map(cid), [0x40, 0x40, 0x80]);
    assert_eq!(answers.each_ref().map(cvr5), [0x00, 0x00, 0x80]);
    // 50.00 in sum is allowed, one cent more is not.
    let mut card = activated(1);
    let most = Purchase { amount: [0, 0, 0, 0, 0x50, 0x00], ..small };
    let more = Purchase { amount: [0, 0, 0, 0, 0x50, 0x01], ..small };
    assert_eq!(cid(&tap(&mut card.clone(), &instance(1), &most, 0x40)), 0x40);
    let over = tap(&mut card.clone(), &instance(1), &more, 0x40);
    assert_eq!((cid(&over), cvr5(&over)), (0x80, 0x20));
    // Another currency always goes online; what is asked for is never exceeded.
    let foreign = Purchase { currency: [0x08, 0x40], ..small };
    assert_eq!(cid(&tap(&mut card, &instance(1), &foreign, 0x40)), 0x80);
    assert_eq!(cid(&tap(&mut card, &instance(1), &small, 0x80)), 0x80);
    assert_eq!(cid(&tap(&mut card, &instance(1), &small, 0x00)), 0x00);
}

#[test]
fn the_counters_in_the_issuer_application_data_follow_offline_approvals() {
    let mut card = activated(1);
    let answer = tap(&mut card, &instance(1), &Purchase::default(), 0x40);
    let iad = tlv::find_deep(&answer.data, tag::TAG_9F10_IAD).unwrap();
    assert_eq!(iad[10..], [0, 0, 0, 0, 0x04, 0x20, 0x01, 0xFF]);
    assert_eq!(iad[2..8], [0x90, 0x00, 0x00, 0x22, 0x00, 0x00]);
    let abroad = Purchase { country: [0x02, 0x76], ..Purchase::default() };
    let answer = tap(&mut card, &instance(1), &abroad, 0x80);
    assert_eq!(tlv::find_deep(&answer.data, tag::TAG_9F10_IAD).unwrap()[5], 0x24);
}

#[test]
fn the_log_keeps_ten_newest_first_and_no_declined_ones() {
    let mut card = activated(1);
    for n in 1..=12 {
        let purchase = Purchase { amount: [0, 0, 0, 0, 0, n], ..Purchase::default() };
        tap(&mut card, &instance(1), &purchase, 0x80);
    }
    tap(&mut card, &instance(1), &Purchase::default(), 0x00);
    let read = |card: &mut Card, record| card.handle(CONTACTLESS, &CApdu::new(0, 0xB2, record, 0x5C).with_ne(256));
    select(&mut card, CONTACTLESS, &instance(1));
    let amounts = (1..=10).map(|record| read(&mut card, record).data[6]).collect::<Vec<_>>();
    assert_eq!(amounts, [12, 11, 10, 9, 8, 7, 6, 5, 4, 3]);
    assert_eq!(read(&mut card, 11).sw, Sw::RECORD_NOT_FOUND);
    let newest = read(&mut card, 1).data;
    // 9F27 9F02 5F2A 9A 9F36 9F21
    assert_eq!(newest, [0x80, 0, 0, 0, 0, 0, 12, 0x09, 0x80, 0x26, 0x11, 0x22, 0x00, 0x0C, 0x12, 0x34, 0x56]);
    assert_eq!(card.handle(CONTACTLESS, &apdu("80 CA 9F 4D 00")).data, [0x9F, 0x4D, 2, 0x0B, 0x0A]);
    assert_eq!(card.handle(CONTACTLESS, &apdu("80 CA 9F 4F 00")).data[..2], [0x9F, 0x4F]);
    card.power_off();
    card.power_on();
    select(&mut card, CONTACTLESS, &instance(1));
    assert_eq!(read(&mut card, 1).data, newest);
}

#[test]
fn declined_transactions_are_logged_if_personalisation_says_so() {
    let (mut card, mut host) = opened();
    host.send(&mut card, install(&instance(1)));
    let data = Personalisation { log_declined: true, ..Personalisation::default() };
    personalise(&mut card, &mut host, &instance(1), &data);
    select(&mut card, WIRED, CRS);
    card.handle(WIRED, &set_activation(true, &instance(1)));
    tap(&mut card, &instance(1), &Purchase::default(), 0x00);
    assert_eq!(card.handle(CONTACTLESS, &apdu("00 B2 01 5C 00")).data[0], 0x00);
}

#[test]
fn an_interrupted_transaction_leaves_no_trace_but_its_atc() {
    let mut card = activated(1);
    select(&mut card, CONTACTLESS, &instance(1));
    card.handle(CONTACTLESS, &processing_options());
    card.reset(CONTACTLESS);
    assert_eq!(card.handle(CONTACTLESS, &Purchase::default().generate_ac(0x80)).sw, Sw::CONDITIONS_NOT_SATISFIED);
    select(&mut card, CONTACTLESS, &instance(1));
    assert_eq!(card.handle(CONTACTLESS, &Purchase::default().generate_ac(0x80)).sw, Sw::CONDITIONS_NOT_SATISFIED);
    assert_eq!(sw(&mut card, CONTACTLESS, "00 B2 01 5C 00"), 0x6A83);
}

// ---- power

/// The commands of an add, and how far they get when power is cut at a write: the memory's digest after each.
fn add_with_cut(cut: Option<u64>) -> (Card, Vec<[u8; 32]>) {
    let (mut card, mut host) = opened();
    let mut commands = vec![install(&instance(1)), install_for_personalisation(&instance(1))];
    commands.extend(blocks(&Personalisation::default().dgis(&host)));
    card.cut_power_at_write(cut);
    let mut digests = vec![card.nvm_digest()];
    for command in commands {
        let answer = card.handle(WIRED, &host.wrap(command));
        if !card.is_powered() {
            break;
        }
        assert_eq!(answer.sw, Sw::OK);
        digests.push(card.nvm_digest());
    }
    (card, digests)
}

#[test]
fn power_cut_at_any_write_of_an_add_leaves_the_state_before_or_after_a_command() {
    let (whole, all) = add_with_cut(None);
    let writes = whole.nvm_writes() - opened().0.nvm_writes();
    assert!(writes > 3, "an add takes {writes} writes");
    for cut in 1..=writes {
        let (mut card, seen) = add_with_cut(Some(cut));
        assert!(!card.is_powered());
        card.power_on();
        let found = all.iter().rposition(|digest| *digest == card.nvm_digest());
        assert!(found.is_some_and(|at| at + 1 >= seen.len()), "cut at write {cut} left something in between");
        // Adding can simply be repeated.
        let mut host = Host::new(&CardProfile::default());
        assert_eq!(host.open(&mut card, 0x33), Sw::OK);
        host.send(&mut card, delete(&instance(1)));
        assert_eq!(host.send(&mut card, install(&instance(1))).sw, Sw::OK);
        personalise(&mut card, &mut host, &instance(1), &Personalisation::default());
        assert!(card.applets()[0].personalised);
    }
}

#[test]
fn without_power_the_card_says_nothing_useful() {
    let mut card = activated(1);
    card.power_off();
    assert_eq!(select(&mut card, CONTACTLESS, PPSE).sw, Sw::UNKNOWN);
    card.wipe_applets();
    card.power_on();
    assert_eq!(card.applets().len(), 1);
    assert_eq!(card.nvm.commit(&[]), Ok::<(), PowerLost>(()));
}

// ---- refusals

/// Every state worth asking in: name, card, interface.
fn states() -> Vec<(&'static str, Card, Interface)> {
    let selected = |mut card: Card, interface, name: &[u8]| {
        select(&mut card, interface, name);
        card
    };
    let fresh = new_card();
    let (installed, _) = {
        let (mut card, mut host) = opened();
        host.send(&mut card, install(&instance(1)));
        (card, host)
    };
    let paying = activated(6);
    let mut initiated = selected(paying.clone(), CONTACTLESS, &instance(1));
    initiated.handle(CONTACTLESS, &processing_options());
    let mut done = initiated.clone();
    done.handle(CONTACTLESS, &Purchase::default().generate_ac(0x80));
    let authenticated = {
        let mut card = paying.clone();
        Host::new(&CardProfile::default()).open(&mut card, 0x00);
        card
    };
    let mut personalising = authenticated.clone();
    personalising.handle(WIRED, &install_for_personalisation(&instance(1)));
    vec![
        ("fresh", fresh.clone(), WIRED),
        ("fresh, reader", fresh, CONTACTLESS),
        ("channel at level 33", installed.clone(), WIRED),
        ("installed instance selected", selected(installed, WIRED, &instance(1)), WIRED),
        ("ISD, authenticated at level 00", authenticated, WIRED),
        ("personalising", personalising, WIRED),
        ("CRS selected", selected(paying.clone(), WIRED, CRS), WIRED),
        ("PPSE selected", selected(paying.clone(), CONTACTLESS, PPSE), CONTACTLESS),
        ("application selected", selected(paying, CONTACTLESS, &instance(1)), CONTACTLESS),
        ("transaction initiated", initiated, CONTACTLESS),
        ("transaction done", done, CONTACTLESS),
    ]
}

/// Commands no state takes as they are, and the status words they may get.
const REFUSED: &[(&str, &[u16])] = &[
    ("00 00 00 00", &[0x6D00]),
    ("80 FF 00 00", &[0x6D00]),
    ("20 A4 04 00 00", &[0x6E00]),
    ("FF CA 00 00 00", &[0x6E00]),
    ("01 A4 04 00 00", &[0x6881]),
    ("40 A4 04 00 00", &[0x6881]),
    ("0C A4 04 00 00", &[0x6882]),
    ("00 70 00 00 01", &[0x6A81]),
    ("00 70 40 00 00", &[0x6A86]),
    ("00 A4 00 00 02 3F 00", &[0x6A86]),
    ("00 A4 04 0C 02 32 50", &[0x6A86]),
    ("80 A4 04 00 02 32 50", &[0x6E00]),
    ("00 A4 04 00 05 A0 00 00 09 99", &[0x6A82]),
    ("00 A4 04 00 11 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", &[0x6700]),
    ("00 C0 00 00 00", &[0x6985]),
    ("00 C0 01 00 00", &[0x6A86]),
    ("80 50 22 00 08 00 00 00 00 00 00 00 00 00", &[0x6A88, 0x6D00]),
    ("80 50 00 01 10 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", &[0x6A86, 0x6D00]),
    ("80 50 00 00 08 00 00 00 00 00 00 00 00 00", &[0x6700, 0x6D00]),
    (
        "84 82 33 00 20 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
        &[0x6985, 0x6882, 0x6982],
    ),
    ("80 82 33 00 00", &[0x6E00, 0x6D00, 0x6982]),
    ("80 E6 0C 00 01 00", &[0x6982, 0x6D00, 0x6A80]),
    ("80 E6 04 00 01 00", &[0x6982, 0x6D00, 0x6A86]),
    ("80 E2 80 00 02 01 02", &[0x6982, 0x6D00, 0x6A86, 0x6985]),
    ("80 E2 88 07 02 01 02", &[0x6982, 0x6D00, 0x6A86, 0x6985]),
    ("80 E2 88 00 02 01 02", &[0x6982, 0x6D00, 0x6985, 0x6A80]),
    ("80 E4 00 00 07 4F 05 A0 00 00 09 99", &[0x6982, 0x6D00, 0x6A88]),
    ("80 E4 00 00 0A 4F 08 A0 00 00 01 51 00 00 00", &[0x6982, 0x6D00, 0x6985]),
    ("80 E4 01 00 00", &[0x6982, 0x6D00, 0x6A86]),
    ("80 F2 40 02 02 4F 20", &[0x6982, 0x6D00, 0x6A80]),
    ("80 F2 55 02 02 4F 00", &[0x6982, 0x6D00, 0x6A86]),
    ("80 F0 01 01 07 4F 05 A0 00 00 09 99", &[0x6982, 0x6D00, 0x6A86, 0x6A88]),
    ("80 F0 01 01", &[0x6982, 0x6D00, 0x6A86, 0x6A80]),
    ("80 F0 08 00", &[0x6982, 0x6D00, 0x6A86, 0x6A80]),
    ("80 F0 40 80 05 A0 00 00 09 99", &[0x6982, 0x6D00, 0x6A86, 0x6A88]),
    ("80 A8 00 00 00", &[0x6985, 0x6D00, 0x6A80]),
    ("80 A8 01 00 02 83 00 00", &[0x6985, 0x6D00, 0x6A86]),
    ("80 A8 00 00 03 83 01 00 00", &[0x6985, 0x6D00, 0x6700]),
    ("80 A8 00 00 02 84 00 00", &[0x6985, 0x6D00, 0x6A80]),
    ("80 AE 80 00 01 00", &[0x6985, 0x6D00, 0x6700]),
    ("80 AE C0 00 01 00", &[0x6985, 0x6D00, 0x6A86]),
    ("80 AE 81 00 01 00", &[0x6985, 0x6D00, 0x6A86]),
    ("00 B2 00 0C 00", &[0x6985, 0x6D00, 0x6A86]),
    ("00 B2 01 0D 00", &[0x6985, 0x6D00, 0x6A86]),
    ("00 B2 01 FC 00", &[0x6985, 0x6D00, 0x6A86]),
    ("00 B2 7F 0C 00", &[0x6985, 0x6D00, 0x6A83]),
    ("80 CA 9F 17 00", &[0x6985, 0x6D00, 0x6A88, 0x6982]),
    ("80 CA 9F 36 01 00 00", &[0x6985, 0x6D00, 0x6700, 0x6982]),
    ("84 CA 9F 36 00", &[0x6882, 0x6982]),
];

#[test]
fn every_refusal_has_its_status_word_and_leaves_memory_as_it_was() {
    for (state, card, interface) in states() {
        let before = card.nvm_digest();
        let writes = card.nvm_writes();
        for (text, allowed) in REFUSED {
            let mut card = card.clone();
            let answer = card.handle(interface, &apdu(text));
            // A protected channel is ended by anything bare, and says 6982 to it.
            let ended = state.contains("level 33") && answer.sw == Sw::SECURITY_STATUS_NOT_SATISFIED;
            assert!(ended || allowed.contains(&answer.sw.value()), "{text} in state {state}: {}", answer.sw);
            assert!(answer.data.is_empty(), "{text} in state {state} answers data");
            assert_eq!(card.nvm_digest(), before, "{text} in state {state} changed memory");
            assert_eq!(card.nvm_writes(), writes);
        }
    }
}

#[test]
fn what_is_no_command_is_a_wrong_length() {
    let mut card = new_card();
    for bytes in [&[][..], &[0x00], &[0x00, 0xA4, 0x04], &[0x00, 0xA4, 0x04, 0x00, 0x05, 0x00]] {
        assert_eq!(card.handle_bytes(WIRED, bytes), [0x67, 0x00]);
    }
}

/// Commands near to meaningful ones: known instructions, plausible parameters, names that exist.
fn some_command() -> impl Strategy<Value = CApdu> {
    let instruction =
        prop::sample::select(vec![0x50, 0x70, 0x82, 0xA4, 0xA8, 0xAE, 0xB2, 0xC0, 0xCA, 0xE2, 0xE4, 0xE6, 0xF0, 0xF2]);
    let name = prop::sample::select(vec![instance(1), instance(7), CRS.to_vec(), ISD.to_vec(), PPSE.to_vec()]);
    let data = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        name.clone(),
        name.clone().prop_map(|aid| object_4f(&aid)),
        name.prop_map(|aid| install(&aid).data),
        Just(vec![0x83, 0x02, 0x00, 0x00]),
        Just(Purchase::default().generate_ac(0x80).data),
        Just(vec![0xA0, 0xFF, 0x01, 0x00]),
    ];
    let class = prop::sample::select(vec![0x00, 0x80, 0x84, 0x90]);
    let parameters = prop_oneof![
        any::<(u8, u8)>(),
        prop::sample::select(vec![
            (0x04, 0x00),
            (0x04, 0x02),
            (0x0C, 0x00),
            (0x20, 0x00),
            (0x88, 0x00),
            (0x08, 0x00),
            (0x40, 0x02),
            (0x01, 0x01),
            (0x01, 0x00),
            (0x08, 0x00),
            (0x80, 0x00),
            (0x00, 0x00),
            (0x01, 0x5C),
            (0x9F, 0x36),
            (0x40, 0x80),
            (0x80, 0x7F),
        ]),
    ];
    let ne = prop::option::of(1..=256_u32);
    (class, instruction, parameters, data, ne).prop_map(|(cla, ins, (p1, p2), data, ne)| CApdu {
        cla,
        ins,
        p1,
        p2,
        data,
        ne,
        extended: false,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_error_ever_changes_memory(start in 0..11_usize, commands in prop::collection::vec(some_command(), 1..30)) {
        let (_, mut card, interface) = states().swap_remove(start);
        for command in commands {
            let before = card.nvm_digest();
            let answer = card.handle(interface, &command);
            if !answer.sw.is_ok() && answer.sw.sw1() != 0x61 {
                prop_assert_eq!(card.nvm_digest(), before, "{:?} was answered {}", command, answer.sw);
            }
            // What is in RAM is what would be read back.
            let mut reloaded = card.clone();
            reloaded.power_off();
            reloaded.power_on();
            prop_assert_eq!(reloaded.applets(), card.applets());
        }
    }

    #[test]
    fn any_bytes_get_an_answer(start in 0..11_usize, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (_, mut card, interface) = states().swap_remove(start);
        prop_assert!(card.handle_bytes(interface, &bytes).len() >= 2);
    }
}

#[test]
fn a_card_is_small() {
    let empty = new_card();
    assert!(empty.flash_bytes() < 512, "{}", empty.flash_bytes());
    let mut full = activated(6);
    for n in 1..=6 {
        for _ in 0..40 {
            tap(&mut full, &instance(n), &Purchase::default(), 0x80);
        }
    }
    assert!(full.flash_bytes() < 16 * 1024, "{}", full.flash_bytes());
    assert!(size_of::<Card>() < 4096, "{}", size_of::<Card>());
}

#[test]
fn the_contact_interface_has_a_directory_in_the_holders_order() {
    let mut card = activated(2);
    assert_eq!(sw(&mut card, Interface::Contact, "FF CA 00 00 00"), 0x6A81);
    assert_eq!(select(&mut card, Interface::Contact, PPSE).sw, Sw::NOT_FOUND);
    assert_eq!(select(&mut card, Interface::Contactless, b"1PAY.SYS.DDF01").sw, Sw::NOT_FOUND);
    let environment = select(&mut card, Interface::Contact, b"1PAY.SYS.DDF01");
    assert_eq!(environment.sw, Sw::OK);
    assert_eq!(tlv::find_deep(&environment.data, tag::TAG_88_SFI), Some(&[0x01][..]));
    for n in 1..=2 {
        let record = card.handle(Interface::Contact, &CApdu::new(0x00, 0xB2, n, 0x0C).with_ne(256));
        assert_eq!(tlv::find_deep(&record.data, tag::TAG_4F_ADF_NAME), Some(&instance(n)[..]));
        assert_eq!(tlv::find_deep(&record.data, tag::TAG_87_PRIORITY), Some(&[n][..]));
    }
    assert_eq!(sw(&mut card, Interface::Contact, "00 B2 03 0C 00"), 0x6A83);
    assert_eq!(sw(&mut card, Interface::Contact, "80 A8 00 00 02 83 00 00"), 0x6985);
    assert_eq!(select(&mut card, Interface::Contact, &instance(1)).sw, Sw::OK);
    assert_eq!(card.handle(Interface::Contact, &processing_options()).sw, Sw::OK);
    card.reset(Interface::Contact);
    assert_eq!(card.handle(Interface::Contact, &processing_options()).sw, Sw::CONDITIONS_NOT_SATISFIED);
}

// ---- signatures, and what contact readers do

/// A card that signs, and may approve a little by itself.
fn signing_card() -> Card {
    signing(&Personalisation { signs: true, cvn: 0x14, ..Personalisation::default() })
}

fn value(answer: &RApdu, tag: tlv::Tag) -> Vec<u8> {
    tlv::find_path(&answer.data, &[tag::TAG_77_RESPONSE_TEMPLATE_2, tag]).unwrap().to_vec()
}

/// CID, cryptogram and hash of the exchange out of a combined signature, whose own hash is right.
fn signed_cryptogram(answer: &RApdu, unpredictable_number: &[u8]) -> (u8, [u8; 8], Vec<u8>) {
    let message = recover(&value(answer, tag::TAG_9F4B_SDAD));
    let (signed, hash) = message.split_at(106);
    let expected = <sha1::Sha1 as sha1::Digest>::digest([signed, unpredictable_number].concat());
    assert_eq!(hash, &expected[..]);
    assert_eq!(signed[..4], [0x05, 0x01, 38, 8]);
    (signed[12], signed[13..21].try_into().unwrap(), signed[21..41].to_vec())
}

/// The answer's data objects without the signature, which stands between 9F36 and 9F10.
fn without_signature(answer: &RApdu) -> Vec<u8> {
    let iad = value(answer, tag::TAG_9F10_IAD);
    let (cid, atc) = (value(answer, tag::TAG_9F27_CID), value(answer, tag::TAG_9F36_ATC));
    let iad_len = iad.len() as u8;
    [&[0x9F, 0x27, 1][..], &cid, &[0x9F, 0x36, 2], &atc, &[0x9F, 0x10, iad_len], &iad].concat()
}

#[test]
fn a_combined_signature_covers_cryptogram_decision_and_exchange() {
    for (p1, cid) in [(0x90, 0x80), (0x50, 0x40)] {
        let mut card = signing_card();
        let purchase = Purchase::default();
        let answer = tap(&mut card, &instance(1), &purchase, p1);
        assert_eq!(answer.sw, Sw::OK);
        assert_eq!(tlv::find_deep(&answer.data, tag::TAG_9F26_APPLICATION_CRYPTOGRAM), None);
        let (signed_cid, cryptogram, exchange) = signed_cryptogram(&answer, &[1, 2, 3, 4]);
        assert_eq!(signed_cid, cid);
        let iad = value(&answer, tag::TAG_9F10_IAD);
        assert_eq!(iad[3], 0x40, "the card verification results say that it is signed");
        assert_eq!(cryptogram, cryptogram_of(&purchase, [0x3D, 0x80], 1, &iad));
        // PDOL, CDOL1, answer.
        let exchanged = [&[0, 0][..], &purchase.generate_ac(p1).data, &without_signature(&answer)].concat();
        assert_eq!(exchange, <sha1::Sha1 as sha1::Digest>::digest(exchanged).to_vec());
    }
}

#[test]
fn a_decline_is_not_signed() {
    let answer = tap(&mut signing_card(), &instance(1), &Purchase::default(), 0x10);
    assert_eq!(tlv::find_deep(&answer.data, tag::TAG_9F4B_SDAD), None);
    assert_eq!(value(&answer, tag::TAG_9F27_CID), [0x00]);
}

#[test]
fn the_rsa_key_comes_whole_or_not_at_all() {
    let (mut card, mut host) = opened();
    host.send(&mut card, install(&instance(1)));
    let dgis = Personalisation { signs: true, ..Personalisation::default() }.dgis(&host);
    let attempt = |card: &mut Card, host: &mut Host, dgis: &[(u16, Vec<u8>, bool)]| {
        assert_eq!(host.send(card, install_for_personalisation(&instance(1))).sw, Sw::OK);
        blocks(dgis).into_iter().map(|block| host.send(card, block).sw).last().unwrap()
    };
    let without = dgis.iter().filter(|(dgi, ..)| *dgi != 0x8203).cloned().collect::<Vec<_>>();
    assert_eq!(attempt(&mut card, &mut host, &without), Sw::CONDITIONS_NOT_SATISFIED);
    let mut bare = dgis.clone();
    bare.iter_mut().filter(|(dgi, ..)| *dgi == 0x8205).for_each(|dgi| dgi.2 = false);
    assert_eq!(attempt(&mut card, &mut host, &bare), Sw::WRONG_DATA);
    let mut foreign = dgis.clone();
    let other = host.encrypt_key(&[0x55; 64]);
    foreign.iter_mut().filter(|(dgi, ..)| *dgi == 0x8201).for_each(|dgi| dgi.1.clone_from(&other));
    assert_eq!(attempt(&mut card, &mut host, &foreign), Sw::WRONG_DATA);
    assert_eq!(attempt(&mut card, &mut host, &dgis), Sw::OK);
}

const CONTACT: Interface = Interface::Contact;

/// A contact transaction up to its first cryptogram.
fn inserted(p1: u8) -> (Card, RApdu) {
    let mut card = signing_card();
    assert_eq!(select(&mut card, CONTACT, &instance(1)).sw, Sw::OK);
    assert_eq!(card.handle(CONTACT, &processing_options()).sw, Sw::OK);
    let answer = card.handle(CONTACT, &Purchase::default().generate_ac(p1));
    assert_eq!(answer.sw, Sw::OK);
    (card, answer)
}

/// Response code, TVR, unpredictable number.
fn second(p1: u8, response_code: &[u8; 2]) -> CApdu {
    let data = [&response_code[..], &[0; 5], &[5, 6, 7, 8]].concat();
    CApdu::new(0x80, 0xAE, p1, 0x00).with_data(data).with_ne(256)
}

/// What the issuer answers: ARPC under the session key, and the response code.
fn issuer_authentication(arqc: [u8; 8]) -> Vec<u8> {
    let cvn = cvn::Cvn::find(0x14).unwrap();
    let key = cvn.session_key(&crypto::TdesKey::new(ICC_KEY), 1, [1, 2, 3, 4]);
    [&cvn::arpc_1(&key, arqc, *b"00")[..], b"00"].concat()
}

fn external_authenticate(data: &[u8]) -> CApdu {
    CApdu::new(0x00, 0x82, 0x00, 0x00).with_data(data)
}

#[test]
fn a_contact_transaction_asks_the_issuer_and_approves() {
    let (mut card, first) = inserted(0x80);
    let arqc = value(&first, tag::TAG_9F26_APPLICATION_CRYPTOGRAM).try_into().unwrap();
    assert_eq!(card.handle(CONTACT, &external_authenticate(&issuer_authentication(arqc))).sw, Sw::OK);
    // Once per ARQC.
    let again = external_authenticate(&issuer_authentication(arqc));
    assert_eq!(card.handle(CONTACT, &again).sw, Sw::CONDITIONS_NOT_SATISFIED);
    let answer = card.handle(CONTACT, &second(0x50, b"00"));
    assert_eq!(answer.sw, Sw::OK);
    let (cid, _, exchange) = signed_cryptogram(&answer, &[5, 6, 7, 8]);
    assert_eq!(cid, 0x40);
    // Second cryptogram TC, first ARQC; signed in the second, issuer authenticated.
    assert_eq!(value(&answer, tag::TAG_9F10_IAD)[2..4], [0x60, 0x30]);
    let sent = [&[0, 0][..], &Purchase::default().generate_ac(0x80).data, &second(0x50, b"00").data].concat();
    let exchanged = [&sent[..], &without_signature(&answer)].concat();
    assert_eq!(exchange, <sha1::Sha1 as sha1::Digest>::digest(exchanged).to_vec());
    assert_eq!(card.handle(CONTACT, &second(0x40, b"00")).sw, Sw::CONDITIONS_NOT_SATISFIED);
    assert_eq!(card.handle(CONTACT, &apdu("80 CA 9F 13 00")).data, [0x9F, 0x13, 2, 0, 1]);
}

#[test]
fn a_false_issuer_is_declined() {
    let (mut card, first) = inserted(0x80);
    let arqc = value(&first, tag::TAG_9F26_APPLICATION_CRYPTOGRAM).try_into().unwrap();
    let mut data = issuer_authentication(arqc);
    data[0] ^= 1;
    assert_eq!(card.handle(CONTACT, &external_authenticate(&data)).sw, Sw::AUTHENTICATION_FAILED);
    let answer = card.handle(CONTACT, &second(0x40, b"00"));
    assert_eq!(value(&answer, tag::TAG_9F27_CID), [0x00]);
    assert_eq!(card.handle(CONTACT, &apdu("80 CA 9F 13 00")).data, [0x9F, 0x13, 2, 0, 0]);
}

#[test]
fn where_nobody_could_be_asked_the_limits_hold() {
    // 4.20 EUR are within them, 60.00 EUR are not.
    for (amount, cid) in [(0x04, 0x40), (0x60, 0x00)] {
        let mut card = signing_card();
        select(&mut card, CONTACT, &instance(1));
        card.handle(CONTACT, &processing_options());
        let purchase = Purchase { amount: [0, 0, 0, 0, amount, 0x20], ..Purchase::default() };
        card.handle(CONTACT, &purchase.generate_ac(0x80));
        let answer = card.handle(CONTACT, &second(0x40, b"Y3"));
        assert_eq!(value(&answer, tag::TAG_9F27_CID), [cid]);
    }
}

#[test]
fn no_second_cryptogram_follows_a_decision() {
    for p1 in [0x00, 0x40] {
        let (mut card, _) = inserted(p1);
        assert_eq!(card.handle(CONTACT, &second(0x40, b"00")).sw, Sw::CONDITIONS_NOT_SATISFIED);
        let data = external_authenticate(&[0; 10]);
        assert_eq!(card.handle(CONTACT, &data).sw, Sw::CONDITIONS_NOT_SATISFIED);
    }
    let (mut card, _) = inserted(0x80);
    assert_eq!(card.handle(CONTACT, &second(0x80, b"00")).sw, Sw::CONDITIONS_NOT_SATISFIED);
    let short = CApdu::new(0x80, 0xAE, 0x40, 0x00).with_data(vec![0; 10]).with_ne(256);
    assert_eq!(card.handle(CONTACT, &short).sw, Sw::WRONG_LENGTH);
}

#[test]
fn a_card_proves_itself_over_contacts_with_its_own_key() {
    let mut card = signing_card();
    let internal = CApdu::new(0x00, 0x88, 0x00, 0x00).with_data(vec![9, 8, 7, 6]).with_ne(256);
    select(&mut card, CONTACT, &instance(1));
    assert_eq!(card.handle(CONTACT, &internal).sw, Sw::CONDITIONS_NOT_SATISFIED);
    card.handle(CONTACT, &processing_options());
    let answer = card.handle(CONTACT, &internal);
    assert_eq!(answer.sw, Sw::OK);
    let message = recover(tlv::find(&answer.data, tag::TAG_80_RESPONSE_TEMPLATE_1).unwrap());
    let (signed, hash) = message.split_at(106);
    assert_eq!(signed[..4], [0x05, 0x01, 9, 8]);
    assert_eq!(hash, &<sha1::Sha1 as sha1::Digest>::digest([signed, &[9, 8, 7, 6]].concat())[..]);
    let short = CApdu::new(0x00, 0x88, 0x00, 0x00).with_data(vec![9, 8, 7]).with_ne(256);
    assert_eq!(card.handle(CONTACT, &short).sw, Sw::WRONG_LENGTH);
    // There is no PIN in the card.
    assert_eq!(sw(&mut card, CONTACT, "00 20 00 80 08 24 12 34 FF FF FF FF FF"), 0x6D00);
    assert_eq!(sw(&mut card, CONTACT, "80 CA 9F 17 00"), 0x6A88);
    // Not in the field, and not without a key.
    select(&mut card, CONTACTLESS, &instance(1));
    card.handle(CONTACTLESS, &processing_options());
    assert_eq!(card.handle(CONTACTLESS, &internal).sw, Sw::INS_NOT_SUPPORTED);
    let mut without = activated(1);
    select(&mut without, CONTACT, &instance(1));
    without.handle(CONTACT, &processing_options());
    assert_eq!(without.handle(CONTACT, &internal).sw, Sw::CONDITIONS_NOT_SATISFIED);
}

#[test]
fn the_card_can_say_what_its_last_cryptogram_covers() {
    let mut card = activated(1);
    tap(&mut card, &instance(1), &Purchase::default(), 0x80);
    let input = card.cryptogram_input(CONTACTLESS).to_vec();
    assert_eq!(input[..6], Purchase::default().amount);
    card.reset(CONTACTLESS);
    assert!(card.cryptogram_input(CONTACTLESS).is_empty());
}

/// An issuer's script with its MAC, bound to this cryptogram.
fn script(instruction: u8, atc: u16, cryptogram: [u8; 8]) -> CApdu {
    let header = [0x84, instruction, 0x00, 0x00, 0x08];
    let cvn = cvn::Cvn::find(0x14).unwrap();
    let mac = cvn.script_mac(&crypto::TdesKey::new(*b"ICC master key 2"), header, atc, cryptogram);
    CApdu::new(0x84, instruction, 0x00, 0x00).with_data(mac)
}

fn cryptogram_in(answer: &RApdu) -> [u8; 8] {
    value(answer, tag::TAG_9F26_APPLICATION_CRYPTOGRAM).try_into().unwrap()
}

/// A card whose issuer blocked its application in a contact transaction, ATC 1.
fn blocked_by_its_issuer() -> Card {
    let (mut card, first) = inserted(0x80);
    assert_eq!(card.handle(CONTACT, &script(ins::APPLICATION_BLOCK, 1, cryptogram_in(&first))).sw, Sw::OK);
    card.reset(CONTACT);
    card
}

#[test]
fn an_application_that_its_issuer_blocks_in_a_transaction_declines_it() {
    let (mut card, first) = inserted(0x80);
    let arqc = cryptogram_in(&first);
    assert_eq!(card.handle(CONTACT, &external_authenticate(&issuer_authentication(arqc))).sw, Sw::OK);
    assert_eq!(card.handle(CONTACT, &script(ins::APPLICATION_BLOCK, 1, arqc)).sw, Sw::OK);
    let answer = card.handle(CONTACT, &second(0x40, b"00"));
    assert_eq!(value(&answer, tag::TAG_9F27_CID), [0x00]);
}

#[test]
fn a_blocked_application_is_selected_with_a_warning_and_gives_nothing_but_an_aac() {
    let mut card = blocked_by_its_issuer();
    // EMV 4.4 B3 6.5.1.1
    for interface in [CONTACT, CONTACTLESS] {
        for p1 in [0x40, 0x80, 0x00] {
            card.reset(interface);
            assert_eq!(select(&mut card, interface, &instance(1)).sw, Sw::SELECTED_FILE_DEACTIVATED);
            assert_eq!(card.handle(interface, &processing_options()).sw, Sw::OK);
            let answer = card.handle(interface, &Purchase::default().generate_ac(p1));
            assert_eq!((answer.sw, value(&answer, tag::TAG_9F27_CID)), (Sw::OK, vec![0x00]), "{p1:02X}");
        }
    }
    // The ARQC before the block is the only transaction in the log.
    assert_eq!(sw(&mut card, CONTACTLESS, "00 B2 01 5C 00"), 0x9000);
    assert_eq!(sw(&mut card, CONTACTLESS, "00 B2 02 5C 00"), 0x6A83);
    let ppse = select(&mut card, CONTACTLESS, PPSE).data;
    assert_eq!(tlv::find_deep(&ppse, tag::TAG_4F_ADF_NAME), None);
    card.power_off();
    card.power_on();
    assert_eq!(select(&mut card, CONTACTLESS, &instance(1)).sw, Sw::SELECTED_FILE_DEACTIVATED);
}

#[test]
fn an_issuer_blocks_and_unblocks_over_its_own_channel_too() {
    let (mut card, mut host) = opened();
    host.send(&mut card, install(&instance(1)));
    personalise(&mut card, &mut host, &instance(1), &Personalisation::default());
    select(&mut card, WIRED, CRS);
    card.handle(WIRED, &set_activation(true, &instance(1)));
    for (blocked, selected, cid) in [(1, Sw::SELECTED_FILE_DEACTIVATED, 0x00), (0, Sw::OK, 0x40)] {
        assert_eq!(host.open(&mut card, 0x33), Sw::OK);
        store(&mut card, &mut host, &instance(1), &[(0xA0FE, vec![blocked], false)]);
        assert_eq!((card.applets()[0].blocked, card.applets()[0].activation), (blocked == 1, Activation::Activated));
        card.reset(CONTACTLESS);
        assert_eq!(select(&mut card, CONTACTLESS, &instance(1)).sw, selected);
        assert_eq!(card.handle(CONTACTLESS, &processing_options()).sw, Sw::OK);
        let answer = card.handle(CONTACTLESS, &Purchase::default().generate_ac(0x40));
        assert_eq!(value(&answer, tag::TAG_9F27_CID), [cid]);
    }
}

#[test]
fn a_blocked_application_is_unblocked_by_a_script_that_answers_its_aac() {
    let mut card = blocked_by_its_issuer();
    select(&mut card, CONTACT, &instance(1));
    card.handle(CONTACT, &processing_options());
    let declined = card.handle(CONTACT, &Purchase::default().generate_ac(0x80));
    assert_eq!(card.handle(CONTACT, &script(ins::APPLICATION_UNBLOCK, 2, cryptogram_in(&declined))).sw, Sw::OK);
    assert_eq!(select(&mut card, CONTACTLESS, &instance(1)).sw, Sw::OK);
    let answer = tap(&mut card, &instance(1), &Purchase::default(), 0x40);
    assert_eq!(value(&answer, tag::TAG_9F27_CID), [0x40]);
}

#[test]
fn a_script_that_is_not_the_issuer_s_changes_nothing() {
    let (card, first) = inserted(0x80);
    let genuine = script(ins::APPLICATION_BLOCK, 1, cryptogram_in(&first));
    let before = card.nvm_digest();
    let refused = |mut card: Card, interface, command: &CApdu, sw| {
        assert_eq!(card.handle(interface, command).sw, sw, "{command:02X?}");
        assert_eq!(card.nvm_digest(), before);
    };
    let with = |data: &[u8]| CApdu::new(0x84, ins::APPLICATION_BLOCK, 0x00, 0x00).with_data(data);
    for at in 0..8 {
        let mut mac = genuine.data.clone();
        mac[at] ^= 0x10;
        refused(card.clone(), CONTACT, &with(&mac), Sw::SECURE_MESSAGING_INCORRECT);
    }
    refused(card.clone(), CONTACT, &with(&[]), Sw::SECURE_MESSAGING_MISSING);
    refused(card.clone(), CONTACT, &with(&genuine.data[..3]), Sw::WRONG_LENGTH);
    refused(card.clone(), CONTACT, &with(&[&genuine.data[..], &[0]].concat()), Sw::WRONG_LENGTH);
    refused(card.clone(), CONTACT, &CApdu { p1: 1, ..genuine.clone() }, Sw::INCORRECT_P1_P2);
    refused(card.clone(), CONTACT, &CApdu { cla: 0x80, ..genuine.clone() }, Sw::CLA_NOT_SUPPORTED);
    // The header is in the MAC.
    let other = CApdu { ins: ins::APPLICATION_UNBLOCK, ..genuine.clone() };
    refused(card.clone(), CONTACT, &other, Sw::SECURE_MESSAGING_INCORRECT);
    // Not before a cryptogram, and not in the field.
    for interface in [CONTACT, CONTACTLESS] {
        let mut selected = card.clone();
        select(&mut selected, interface, &instance(1));
        let sw = if interface == CONTACT { Sw::CONDITIONS_NOT_SATISFIED } else { Sw::INS_NOT_SUPPORTED };
        refused(selected, interface, &genuine, sw);
    }
    // The MAC of one script is not the next one's.
    let mut card = card;
    assert_eq!(card.handle(CONTACT, &genuine).sw, Sw::OK);
    assert_eq!(card.handle(CONTACT, &genuine).sw, Sw::SECURE_MESSAGING_INCORRECT);
}

#[test]
fn a_blocked_application_may_refuse_to_begin_if_the_profile_says_so() {
    let mut card = blocked_by_its_issuer();
    let profile = CardProfile::default();
    let refused = profile::BlockedApplication::Refused;
    let blocked_application = crate::wire::marked::Marked { value: refused, ..profile.blocked_application.clone() };
    card.profile = Arc::new(CardProfile { blocked_application, ..profile });
    assert_eq!(select(&mut card, CONTACTLESS, &instance(1)).sw, Sw::SELECTED_FILE_DEACTIVATED);
    assert_eq!(card.handle(CONTACTLESS, &processing_options()).sw, Sw::CONDITIONS_NOT_SATISFIED);
}
