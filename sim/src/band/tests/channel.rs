//! The NFC channel, the reader and the transfers.

use super::*;
use crate::card::Interface;

// ---- the NFC channel

#[test]
fn the_channel_carries_an_apdu_and_its_answer() {
    let mut bench = Bench::authenticated();
    assert_eq!(bench.write(NFC, "01"), ["notify H:0011 81 00", "event ChannelOpened"]);
    let (answer, others) = bench.exchange(&hex(SELECT_CRS));
    assert!(answer.ends_with(&[0x90, 0x00]), "{answer:02X?}");
    assert_eq!(others, Vec::<String>::new());
    let closed = ["event ChannelClosed { status: Success }", "notify H:0011 82 00"];
    assert_eq!(bench.write(NFC, "02"), closed);
    assert_eq!(bench.write(NFC, "02"), ["notify H:0011 82 00"]);
}

#[test]
fn the_channel_needs_an_authenticated_connection() {
    let mut bench = Bench::paired();
    assert_eq!(bench.write(NFC, "01")[0], "notify H:0011 81 04");
    assert_eq!(bench.write(NFC, "03 90 00 02 00")[0], "notify H:0011 82 04");
    assert!(!bench.band.is_channel_open());
}

#[test]
fn a_command_to_a_closed_channel_does_not_reach_the_card() {
    let mut bench = Bench::authenticated();
    let before = bench.digests();
    let refused = "refused: command fragment while authenticated, channel closed: ATT error 0x03 write not permitted";
    assert_eq!(bench.write(NFC, "03 80 CA 9F 7F 00 05 00"), ["notify H:0011 82 03", refused]);
    assert_eq!(bench.digests(), before);
}

#[test]
fn closing_the_channel_forgets_what_the_card_had_selected() {
    let mut bench = Bench::with_channel();
    bench.exchange(&hex(SELECT_CRS));
    let status = hex("80 F2 40 00 02 4F 00 00");
    let crs_answer = bench.exchange(&status).0;
    bench.write(NFC, "02");
    bench.write(NFC, "01");
    assert_ne!(bench.exchange(&status).0, crs_answer);
}

#[test]
fn a_message_that_makes_no_sense_closes_the_channel() {
    for junk in ["7F", "01 00", "03", "05 90 00 02 00", "03 90 00", "03 90 00 03 00", ""] {
        let mut bench = Bench::with_channel();
        let outputs = bench.write(NFC, junk);
        assert_eq!(outputs, ["event ChannelClosed { status: NfcError }", "notify H:0011 82 03"], "{junk}");
    }
}

#[test]
fn a_command_past_the_bound_closes_the_channel() {
    let mut bench = Bench::with_channel();
    let fragment = format!("04 {}", Hex(vec![0xAA; 19]));
    let sent = (0..).take_while(|_| bench.write(NFC, &fragment).is_empty()).count();
    assert_eq!(sent, (4096 + 2) / 19);
    assert!(!bench.band.is_channel_open());
}

#[test]
fn an_unused_channel_closes_after_a_minute() {
    let minute = Duration::from_secs(60);
    let mut bench = Bench::with_channel();
    bench.pass(minute - Duration::from_micros(1));
    // An exchange starts the minute anew.
    bench.exchange(&hex(SELECT_CRS));
    assert!(bench.pass(minute - Duration::from_micros(1)).is_empty());
    let closed = ["event ChannelClosed { status: DisconnectTimeout }", "notify H:0011 82 02"];
    assert_eq!(bench.pass(Duration::from_micros(1)), closed);
    assert_eq!(bench.band.poll(), Output::Wait(None));
}

#[test]
fn a_command_that_breaks_off_closes_the_channel_after_ten_seconds() {
    let mut bench = Bench::with_channel();
    assert!(bench.write(NFC, "04 80 CA").is_empty());
    assert!(bench.pass(Duration::from_micros(9_999_999)).is_empty());
    assert_eq!(bench.pass(Duration::from_micros(1))[1], "notify H:0011 82 02");
    bench.write(NFC, "01");
    let (answer, _) = bench.exchange(&hex("80 CA 9F 7F 00"));
    assert_eq!(answer.len(), 47);
}

#[test]
fn a_readers_field_closes_the_channel_and_keeps_it_closed() {
    let mut bench = Bench::with_channel();
    let closed = ["event ChannelClosed { status: DisconnectNear }", "notify H:0011 82 01"];
    assert_eq!(bench.words(Input::Field { on: true }), closed);
    assert_eq!(bench.write(NFC, "01")[0], "notify H:0011 81 25");
    bench.outputs(Input::Field { on: false });
    assert_eq!(bench.write(NFC, "01")[0], "notify H:0011 81 00");

    let mut bench = Bench::with(|profile| profile.behaviour.field_closes_channel = Marked::assumed(false));
    bench.band.settings.set_auth_key(&KEY).unwrap();
    bench.link();
    bench.authenticate();
    bench.write(NFC, "01");
    assert!(bench.outputs(Input::Field { on: true }).is_empty());
    assert!(bench.band.is_channel_open());
}

#[test]
fn no_physical_card_is_near_the_band() {
    let mut bench = Bench::authenticated();
    assert_eq!(bench.write(NFC, "0D"), ["notify H:0011 8D"]);
}

// ---- the reader

#[test]
fn a_reader_gets_answers_only_in_its_field_and_with_power() {
    let select_ppse = [&hex("00 A4 04 00 0E")[..], b"2PAY.SYS.DDF01", &[0x00]].concat();
    let mut bench = Bench::new();
    assert!(bench.outputs(Input::Contactless(select_ppse.clone())).is_empty());
    bench.outputs(Input::Field { on: true });
    assert_eq!(bench.outputs(Input::Contactless(select_ppse.clone())).len(), 1);
    assert_eq!(bench.words(Input::Contactless(hex("00 A4"))), ["contactless 67 00"]);
    bench.outputs(Input::PowerLost);
    assert!(bench.outputs(Input::Contactless(select_ppse)).is_empty());
}

#[test]
fn behind_a_reader_with_contacts_the_band_is_a_contact_card() {
    let mut bench = Bench::new();
    bench.band = bench.band.clone().behind_reader(Interface::Contact);
    bench.outputs(Input::Field { on: true });
    assert_eq!(bench.words(Input::Contactless(hex("FF CA 00 00 00"))), ["contactless 6A 81"]);
    let environment = |name: &[u8]| [&hex("00 A4 04 00 0E")[..], name, &[0x00]].concat();
    assert_eq!(bench.words(Input::Contactless(environment(b"2PAY.SYS.DDF01"))), ["contactless 6A 82"]);
    let directory = bench.words(Input::Contactless(environment(b"1PAY.SYS.DDF01")));
    assert!(directory[0].ends_with("90 00"), "{directory:?}");
    bench.outputs(Input::Field { on: false });
    assert!(bench.outputs(Input::Contactless(environment(b"1PAY.SYS.DDF01"))).is_empty());
}

// ---- transfers

#[test]
fn transfers_are_acknowledged_with_flags_and_type_of_their_last_chunk() {
    let mut bench = Bench::authenticated();
    let payload = hex("06 1C 00 01 01 10 A0 00 00 03 33 01 01 06 00 03 00 03 33 01 01 00");
    assert_eq!(bench.transfer(chunked::Kind::Config, &payload), ["notify H:0020 10 00 82 01 01"]);
    assert_eq!(bench.transfer(chunked::Kind::Weather, &[1]), ["notify H:0020 10 00 C1 01 01"]);
    assert_eq!(bench.transfer(chunked::Kind::Unknown(9), &[1])[0], "notify H:0020 10 00 C9 03 01");
    assert_eq!(bench.write(CHUNKED, "00 82 01 AA")[0], "notify H:0020 10 00 82 04 01");
    assert_eq!(bench.write(CHUNKED, "77")[0], "notify H:0020 10 00 00 04 01");
    assert_eq!(bench.transfer(chunked::Kind::Config, &payload[..9])[0], "notify H:0020 10 00 C2 04 01");
}

#[test]
fn before_authentication_only_a_signature_may_be_transferred() {
    let mut bench = Bench::paired();
    assert_eq!(bench.transfer(chunked::Kind::Config, &[0x0A])[0], "notify H:0020 10 00 C2 02 01");
    assert_eq!(bench.transfer(chunked::Kind::Music, &[0x0A])[0], "notify H:0020 10 00 C3 02 01");
}
