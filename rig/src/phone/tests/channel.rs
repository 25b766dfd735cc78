//! The APDU channel, command by command, and what is built on it: raw APDUs and the history.

use super::*;
use crate::phone::io::LogEntry;
use world::rapdu;

fn raw(apdu: &str) -> Input {
    user(UserAction::RawApdu { apdu: bytes(apdu) })
}

fn answer(rapdu: &str) -> Output {
    show(Shown::Answer { rapdu: bytes(rapdu) })
}

fn opened() -> Ladder {
    let mut ladder = Ladder::ready(&[card("a", CardState::Active)]);
    ladder.assert([raw("00A4040009A00000015143525300")], [write(NFC, "01")]);
    ladder.assert([notify(NFC, "81 00")], [write(NFC, "03 00A4040009A00000015143525300 0E00")]);
    ladder
}

// The checked examples of the public sources.
#[test]
fn apdus_are_cut_into_fragments_of_twenty_bytes() {
    let mut ladder = opened();
    ladder.assert([notify(NFC, "83 9000 0200")], [answer("9000")]);
    ladder.assert(
        [raw("80F24002124F10A000000333010106000300033301010000")],
        [
            write(NFC, "04 80 F2 40 02 12 4F 10 A0 00 00 03 33 01 01 06 00 03 00 03"),
            write(NFC, "03 33 01 01 00 00 18 00"),
        ],
    );
    ladder.assert([notify(NFC, "84 61 17 4F 10 A0 00 00 03 33 01 01 06 00 03 00 03 33 01 01")], []);
    ladder.assert(
        [notify(NFC, "83 00 9F 70 02 07 01 90 00 1B 00")],
        [answer("61174F10A00000033301010600030003330101009F700207019000")],
    );
}

#[test]
fn a_raw_apdu_leaves_the_channel_open_for_the_next_one_for_a_while() {
    let mut ladder = opened();
    ladder.go([notify(NFC, "83 9000 0200")]);
    ladder.wait(Duration::from_millis(999), []);
    ladder.assert([raw("00B2010C00")], [write(NFC, "03 00B2010C00 0500")]);
    ladder.go([notify(NFC, "83 6A83 0200")]);
    ladder.wait(seconds(1), [write(NFC, "02")]);
    // The answer to a close that nobody waited for does not disturb the next opening.
    ladder.assert([raw("00B2010C00")], [write(NFC, "01")]);
    ladder.assert([notify(NFC, "82 00")], []);
    ladder.assert([notify(NFC, "81 00")], [write(NFC, "03 00B2010C00 0500")]);
}

#[test]
fn the_channel_is_opened_and_closed_by_itself() {
    let mut ladder = Ladder::ready(&[card("a", CardState::Active)]);
    let (open, close) = ([true, false]).map(|open| user(UserAction::NfcChannel { open })).into();
    ladder.assert([close.clone()], [fail(Refusal::NfcChannel)]);
    ladder.assert([open.clone()], [write(NFC, "01")]);
    ladder.assert([notify(NFC, "81 00")], [show(Shown::Done)]);
    ladder.assert([open.clone()], [fail(Refusal::NfcChannel)]);
    ladder.assert([close], [write(NFC, "02")]);
    ladder.assert([notify(NFC, "82 00")], [show(Shown::Done)]);
    // Nobody leaves it open for long.
    ladder.assert([open], [write(NFC, "01")]);
    ladder.assert([notify(NFC, "81 00")], [show(Shown::Done)]);
    ladder.wait(seconds(1), [write(NFC, "02")]);
}

#[test]
fn any_other_action_closes_the_channel_first() {
    let mut ladder = opened();
    ladder.go([notify(NFC, "83 9000 0200")]);
    ladder.assert([user(UserAction::Refresh)], [write(NFC, "02"), sync()]);
}

#[test]
fn an_answer_shorter_than_it_says_is_dropped() {
    opened().assert([notify(NFC, "83 9000 0300")], [fail(Refusal::TransmitFailed)]);
}

#[test]
fn an_answer_of_fewer_than_four_bytes_fails_the_exchange() {
    opened().assert([notify(NFC, "83 90 0000")], [fail(Refusal::TransmitFailed)]);
}

#[test]
fn any_other_first_byte_fails_the_exchange() {
    for strange in ["81 00", "03 9000 0200", "8D 00", "FF", ""] {
        let mut ladder = opened();
        ladder.go([notify(NFC, "84 61")]);
        ladder.assert([notify(NFC, strange)], [fail(Refusal::TransmitFailed)]);
    }
}

#[test]
fn a_band_that_closes_the_channel_fails_the_exchange() {
    let mut ladder = opened();
    ladder.assert([notify(NFC, "82 01")], [fail(Refusal::NfcChannel)]);
    ladder.assert([raw("00B2010C00")], [write(NFC, "01")]);
}

#[test]
fn a_channel_that_does_not_open_fails_the_exchange() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([raw("00B2010C00")]);
    ladder.clone().assert([notify(NFC, "81 04")], [fail(Refusal::NfcChannel)]);
    ladder.clone().assert([notify(NFC, "82 02")], [fail(Refusal::NfcChannel)]);
    ladder.wait(seconds(9), []);
    ladder.wait(seconds(1), [fail(Refusal::NfcChannel)]);
}

#[test]
fn an_answer_takes_a_minute_at_most() {
    let mut ladder = opened();
    ladder.wait(seconds(59), []);
    ladder.assert([notify(NFC, "84 61")], []);
    ladder.wait(seconds(1), [fail(Refusal::TransmitFailed)]);
}

#[test]
fn an_apdu_too_long_for_the_length_field_is_not_sent() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([user(UserAction::RawApdu { apdu: vec![0; 0x1_0000] })]);
    ladder.assert([notify(NFC, "81 00")], [fail(Refusal::TransmitFailed)]);
}

/// A job whose only command is on its way.
fn in_script(apdu: &str, fragment: &str) -> Ladder {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([user(UserAction::Refresh), reply(job(1, &[apdu]))]);
    ladder.assert([notify(NFC, "81 00")], [write(NFC, fragment)]);
    ladder
}

#[test]
fn more_data_is_fetched_unseen() {
    let mut ladder = in_script("84F2400000", "03 84F2400000 0500");
    ladder.assert([notify(NFC, "83 AA 6102 0300")], [write(NFC, "03 00C0000002 0500")]);
    ladder.assert([notify(NFC, "83 BBCC 6100 0400")], [write(NFC, "03 00C0000000 0500")]);
    ladder.assert([notify(NFC, "83 DD 9000 0300")], [post(1, &[("AABBCCDD", 0x9000)])]);
}

#[test]
fn a_wrong_le_is_mended_unseen() {
    let mut ladder = in_script("80CA9F7F00", "03 80CA9F7F00 0500");
    ladder.assert([notify(NFC, "83 6C2D 0200")], [write(NFC, "03 80CA9F7F2D 0500")]);
    ladder.assert([notify(NFC, "83 AA 9000 0300")], [post(1, &[("AA", 0x9000)])]);
}

#[test]
fn a_card_that_never_has_enough_is_given_up() {
    let mut ladder = in_script("80CA9F7F00", "03 80CA9F7F00 0500");
    for _ in 0..=u16::from(u8::MAX) * 2 {
        if let [Output::Cloud(_)] = ladder.go([notify(NFC, "83 6101 0200")])[..] {
            return;
        }
    }
    panic!("still fetching");
}

#[test]
fn a_script_stops_at_the_first_status_word_it_does_not_expect() {
    let expecting = |expected: &[u16]| ScriptCommand { apdu: bytes("00A40400"), expected: expected.to_vec() };
    let batch = vec![expecting(&[0x9000, 0x6A88]), expecting(&[]), expecting(&[])];
    let mut ladder = Ladder::ready(&[]);
    ladder.go([user(UserAction::Refresh), reply(Reply::Job { job: JobId(1), batch }), notify(NFC, "81 00")]);
    ladder.assert([notify(NFC, "83 6A88 0200")], [write(NFC, "03 00A40400 0400")]);
    ladder.assert([notify(NFC, "83 01 6A88 0300")], [post(1, &[("", 0x6A88), ("01", 0x6A88)])]);
}

/// The card's log, as the sources show it.
#[test]
fn the_history_is_the_cards_own_log() {
    let mut ladder = Ladder::ready(&[card("a", CardState::Active)]);
    ladder.assert([user(UserAction::History { card: card_id("a") })], [write(NFC, "01")]);
    ladder.assert([notify(NFC, "81 00")], [write(NFC, "03 00A4040009 A0 00 00 00 04 10 10 00 01 00 0F00")]);
    ladder.assert(
        rapdu(&bytes("6F 13 84 07 A0000000041010 A5 08 BF0C 05 9F4D 02 0B 0A 9000")),
        [write(NFC, "03 80CA9F4F00 0500")],
    );
    ladder.assert(
        rapdu(&bytes("9F4F 11 9F2701 9F0206 5F2A02 9A03 9F3602 9F2103 9000")),
        [write(NFC, "03 00B2015C00 0500")],
    );
    ladder.assert(rapdu(&bytes("80 000000000420 0978 260702 0007 123456 9000")), [write(NFC, "03 00B2025C00 0500")]);
    ladder.assert(rapdu(&bytes("40 000000001000 0978 260701 0006 000000 9000")), [write(NFC, "03 00B2035C00 0500")]);
    ladder.assert([notify(NFC, "83 6A83 0200")], [write(NFC, "02")]);
    let entry = |amount_minor, date, time, atc, cid| LogEntry { amount_minor, currency: 978, date, time, atc, cid };
    let entries = vec![
        entry(420, [0x26, 0x07, 0x02], [0x12, 0x34, 0x56], 7, 0x80),
        entry(1000, [0x26, 0x07, 0x01], [0, 0, 0], 6, 0x40),
    ];
    ladder.assert([notify(NFC, "82 00")], [show(Shown::History { entries })]);
}

/// R4: ten, even if the card has more.
#[test]
fn the_history_ends_after_ten_entries() {
    let mut ladder = Ladder::ready(&[card("a", CardState::Active)]);
    ladder.go([user(UserAction::History { card: card_id("a") }), notify(NFC, "81 00")]);
    ladder.go(rapdu(&bytes("9F4D 02 0B 1E 9000")));
    ladder.go(rapdu(&bytes("9F4F 03 9F3602 9000")));
    for number in 2..=10 {
        ladder.assert(rapdu(&bytes("0001 9000")), [write(NFC, &format!("03 00B2{number:02X}5C00 0500"))]);
    }
    ladder.assert(rapdu(&bytes("0001 9000")), [write(NFC, "02")]);
    let outputs = ladder.go([notify(NFC, "82 00")]);
    assert!(matches!(&outputs[..], [Output::Done(Ok(Shown::History { entries }))] if entries.len() == 10));
}

#[test]
fn a_card_that_was_not_confirmed_has_no_history() {
    let mut ladder = Ladder::ready(&[card("a", CardState::WaitingForCode)]);
    ladder.assert([user(UserAction::History { card: card_id("a") })], [fail(Refusal::NotConfirmed)]);
    ladder.assert([user(UserAction::History { card: card_id("b") })], [fail(Refusal::UnknownCard)]);
}

#[test]
fn a_card_that_does_not_show_its_log_fails_the_history() {
    for answers in [&["6A82"][..], &["9F4D020B0A9000", "6A88"], &["9F4D020B0A9000", "9F4F029F369000"]] {
        let mut ladder = Ladder::ready(&[card("a", CardState::Active)]);
        ladder.go([user(UserAction::History { card: card_id("a") }), notify(NFC, "81 00")]);
        for answer in answers {
            ladder.go(rapdu(&bytes(answer)));
        }
        ladder.assert([notify(NFC, "82 00")], [fail(Refusal::UnexpectedStatusWord)]);
    }
}

#[test]
fn a_card_without_a_log_has_an_empty_history() {
    let mut ladder = Ladder::ready(&[card("a", CardState::Active)]);
    ladder.go([user(UserAction::History { card: card_id("a") }), notify(NFC, "81 00"), notify(NFC, "83 9000 0200")]);
    ladder.assert([notify(NFC, "82 00")], [show(Shown::History { entries: vec![] })]);
}
