//! Connecting, authenticating, coming to agreement.

use super::*;
use band_sim::wire::frame::auth::Dialect;

/// Up to an authenticated link with everything subscribed.
fn authenticate(ladder: &mut Ladder) {
    ladder.go([connected(), subscribed(AUTH), subscribed(CHUNKED), subscribed(EVENT)]);
    ladder.go([notify(AUTH, "10 02 01 000102030405060708090A0B0C0D0E0F"), notify(AUTH, "10 03 01")]);
    ladder.go([subscribed(CONFIG), subscribed(NFC)]);
}

#[test]
fn opening_the_app_connects_authenticates_and_agrees() {
    let mut ladder = Ladder::new();
    ladder.assert([user(UserAction::Refresh)], [connect()]);
    ladder.assert([connected()], [subscribe(AUTH)]);
    ladder.assert([subscribed(AUTH)], [subscribe(CHUNKED)]);
    ladder.assert([subscribed(CHUNKED)], [subscribe(EVENT)]);
    ladder.assert([subscribed(EVENT)], [write(AUTH, "02 00")]);
    ladder.assert(
        [notify(AUTH, "10 02 01 000102030405060708090A0B0C0D0E0F")],
        [write(AUTH, "03 00 F5003494346BFFAC69990BF7F317E5DB")],
    );
    ladder.assert([notify(AUTH, "10 03 01")], [subscribe(CONFIG)]);
    ladder.assert([subscribed(CONFIG)], [subscribe(NFC)]);
    ladder.assert([subscribed(NFC)], [read(SERIAL)]);
    ladder.assert([read_done(SERIAL, b"5f00d0c0ffee")], [write(NFC, "01")]);
    ladder.assert([notify(NFC, "81 00")], [write(NFC, "03 00A4040008A000000151000000 0D00")]);
    ladder.assert([notify(NFC, "83 9000 0200")], [write(NFC, "03 80CA9F7F00 0500")]);
    let cplc = [&[0x9F, 0x7F, 0x2A][..], &unit().cplc, &[0x90, 0x00]].concat();
    ladder.assert(world::rapdu(&cplc), [sync()]);
    ladder.assert([reply(Reply::Done)], [list()]);
    ladder.assert([cards(&[card("a", CardState::Active)])], [write(NFC, "02")]);
    ladder.assert([notify(NFC, "82 00")], [show(Shown::Done)]);
    assert_eq!(ladder.phone.card_list(), [card("a", CardState::Active)]);
    assert_eq!(ladder.phone.unit(), Some(&unit()));
}

#[test]
fn the_other_dialect_says_the_same_with_the_top_bit_set() {
    let config = PhoneConfig { stored_key: Some(KEY), dialect: Dialect::Crypt, ..PhoneConfig::default() };
    let mut ladder = Ladder::with(config);
    ladder.go([user(UserAction::Refresh), connected(), subscribed(AUTH), subscribed(CHUNKED)]);
    ladder.assert([subscribed(EVENT)], [write(AUTH, "82 00 02 01 00")]);
    ladder.assert(
        [notify(AUTH, "10 82 01 000102030405060708090A0B0C0D0E0F")],
        [write(AUTH, "83 00 F5003494346BFFAC69990BF7F317E5DB")],
    );
    ladder.assert([notify(AUTH, "10 83 01")], [subscribe(CONFIG)]);
}

#[test]
fn a_band_with_another_key_is_not_ours() {
    for (answer, refusal) in [
        ("10 03 08", Refusal::WrongKey),
        ("10 03 07", Refusal::WrongKey),
        ("10 03 04", Refusal::WrongKey),
        ("10 03 02", Refusal::BandError),
    ] {
        let mut ladder = Ladder::new();
        ladder.go([user(UserAction::Refresh), connected(), subscribed(AUTH), subscribed(CHUNKED), subscribed(EVENT)]);
        ladder.go([notify(AUTH, "10 02 01 000102030405060708090A0B0C0D0E0F")]);
        ladder.assert([notify(AUTH, answer)], [fail(refusal)]);
    }
}

#[test]
fn who_proves_another_key_is_not_let_in_and_begins_anew() {
    let right = write(AUTH, "03 00 F5003494346BFFAC69990BF7F317E5DB");
    let prove = |ladder: &mut Ladder, wrong| {
        ladder.assert([user(UserAction::Authenticate { wrong })], [disconnect(), connect()]);
        ladder.go([link_lost(), connected(), subscribed(AUTH), subscribed(CHUNKED), subscribed(EVENT)]);
        ladder.go([notify(AUTH, "10 02 01 000102030405060708090A0B0C0D0E0F")])
    };
    let mut ladder = Ladder::ready(&[]);
    let proof = prove(&mut ladder, true);
    assert!(proof.len() == 1 && !proof.contains(&right), "{proof:?}");
    ladder.assert([notify(AUTH, "10 03 08")], [disconnect(), fail(Refusal::WrongKey)]);
    ladder.assert([link_lost(), user(UserAction::Authenticate { wrong: false })], [connect()]);
    ladder.go([connected(), subscribed(AUTH), subscribed(CHUNKED), subscribed(EVENT)]);
    ladder.assert([notify(AUTH, "10 02 01 000102030405060708090A0B0C0D0E0F")], [right.clone()]);
    ladder.assert([notify(AUTH, "10 03 01")], [show(Shown::Done)]);
    assert_eq!(prove(&mut ladder, false), [right]);
}

/// Another app's cards are in it: agreement might delete them.
#[test]
fn nothing_is_changed_in_a_band_that_is_somebodys_own() {
    let config = PhoneConfig { stored_key: Some(KEY), manages_band: false, ..PhoneConfig::default() };
    let mut ladder = Ladder::with(config);
    ladder.go([user(UserAction::RawApdu { apdu: bytes("00A40400") })]);
    ladder.go([connected(), subscribed(AUTH), subscribed(CHUNKED), subscribed(EVENT)]);
    ladder.go([notify(AUTH, "10 02 01 000102030405060708090A0B0C0D0E0F"), notify(AUTH, "10 03 01")]);
    ladder.assert([subscribed(CONFIG), subscribed(NFC)], [subscribe(NFC), write(NFC, "01")]);
    ladder.go([notify(NFC, "81 00"), notify(NFC, "83 9000 0200")]);
    ladder.wait(seconds(1), [write(NFC, "02")]);
    for action in [
        UserAction::Refresh,
        UserAction::AddCard { product: "a".into() },
        UserAction::LinkBand,
        UserAction::FactoryReset,
        UserAction::SetTime { unix_s: 0 },
        UserAction::RawWrite { characteristic: CONFIG, value: bytes("06 0B 00 01"), authenticated: true },
    ] {
        ladder.assert([user(action)], [fail(Refusal::UnknownUnit)]);
    }
}

#[test]
fn a_band_out_of_reach_is_out_of_reach() {
    let mut ladder = Ladder::new();
    ladder.assert([user(UserAction::Refresh)], [connect()]);
    ladder.assert([connect_failed()], [fail(Refusal::OutOfReach)]);
    ladder.assert([user(UserAction::Refresh)], [connect()]);
    ladder.wait(seconds(29), []);
    ladder.wait(seconds(1), [disconnect(), fail(Refusal::OutOfReach)]);
}

#[test]
fn without_a_key_no_band_is_linked() {
    let mut ladder = Ladder::with(PhoneConfig::default());
    ladder.go([user(UserAction::FactoryReset), connected(), subscribed(AUTH), subscribed(CHUNKED)]);
    ladder.assert([subscribed(EVENT)], [fail(Refusal::BandNotBound)]);
}

#[test]
fn silence_of_the_band_ends_the_action() {
    let mut ladder = Ladder::new();
    ladder.go([user(UserAction::Refresh), connected()]);
    ladder.wait(seconds(30), [disconnect(), fail(Refusal::BandError)]);
    ladder.go([link_lost(), user(UserAction::Refresh), connected(), subscribed(AUTH), subscribed(CHUNKED)]);
    ladder.assert([subscribed(EVENT)], [write(AUTH, "02 00")]);
    ladder.wait(seconds(5), [fail(Refusal::BandError)]);
}

#[test]
fn a_lost_link_ends_the_action() {
    let mut ladder = Ladder::new();
    ladder.go([user(UserAction::Refresh), connected(), subscribed(AUTH)]);
    ladder.assert([link_lost()], [fail(Refusal::Interrupted)]);
    assert!(!ladder.phone.is_connected());
}

#[test]
fn silence_of_the_cloud_ends_the_action() {
    let mut ladder = Ladder::ready(&[]);
    ladder.assert([user(UserAction::Refresh)], [sync()]);
    ladder.wait(seconds(30), [fail(Refusal::Interrupted)]);
}

/// R13: what came too late is undone before anything else.
#[test]
fn a_job_that_comes_too_late_is_cancelled_at_the_next_agreement() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([user(UserAction::Refresh)]);
    ladder.wait(seconds(30), [fail(Refusal::Interrupted)]);
    ladder.assert([reply(job(7, &["00A40400"]))], []);
    ladder.assert([user(UserAction::Refresh)], [cancel(7)]);
    ladder.assert([reply(Reply::Done)], [sync()]);
    ladder.assert([reply(Reply::Done)], [list()]);
    ladder.assert([cards(&[])], [show(Shown::Done)]);
}

#[test]
fn a_known_band_is_recognised_by_its_serial_number() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([link_lost(), user(UserAction::Refresh)]);
    authenticate(&mut ladder);
    ladder.assert([read_done(SERIAL, b"5f00d0c0ffee")], [sync()]);
}

#[test]
fn another_band_is_asked_for_its_cplc() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([link_lost(), user(UserAction::Refresh)]);
    authenticate(&mut ladder);
    ladder.assert([read_done(SERIAL, b"5f00d0c0ffff")], [write(NFC, "01")]);
    ladder.assert([notify(NFC, "81 00")], [write(NFC, "03 00A4040008A000000151000000 0D00")]);
}

#[test]
fn a_secure_element_that_does_not_say_who_it_is_is_no_good() {
    for (isd, cplc, refusal) in [
        ("83 6A82 0200", "", Refusal::Cplc),
        ("83 66A5 0200", "", Refusal::SecureElementRestricted),
        ("83 9000 0200", "83 6A88 0200", Refusal::Cplc),
        ("83 9000 0200", "83 9F7F0101 9000 0600", Refusal::Cplc),
    ] {
        let mut ladder = Ladder::new();
        ladder.go([user(UserAction::Refresh)]);
        authenticate(&mut ladder);
        ladder.go([read_done(SERIAL, b"5f00d0c0ffee"), notify(NFC, "81 00"), notify(NFC, isd)]);
        if !cplc.is_empty() {
            ladder.go([notify(NFC, cplc)]);
        }
        ladder.assert([notify(NFC, "82 00")], [fail(refusal)]);
    }
}

/// R13: after the link was lost, the band is looked at before the next action does anything.
#[test]
fn each_new_connection_agrees_first() {
    let mut ladder = Ladder::ready(&[card("a", CardState::Active)]);
    ladder.go([link_lost(), user(UserAction::SetOrder { cards: vec![card_id("a")] })]);
    authenticate(&mut ladder);
    ladder.assert([read_done(SERIAL, b"5f00d0c0ffee")], [sync()]);
    ladder.assert([reply(job(3, &["80F20000"]))], [write(NFC, "01")]);
    ladder.assert([notify(NFC, "81 00")], [write(NFC, "03 80F20000 0400")]);
    ladder.assert([notify(NFC, "83 9000 0200")], [post(3, &[("", 0x9000)])]);
    ladder.assert([job_done(3, None)], [list()]);
    ladder.assert([cards(&[card("a", CardState::Active)])], [ask(Request::SetOrder { cards: vec![card_id("a")] })]);
}

#[test]
fn a_band_that_keeps_dropping_the_link_is_out_of_reach() {
    let mut ladder = Ladder::ready(&[]);
    ladder.assert([user(UserAction::Refresh)], [sync()]);
    // Lost while the cloud was being asked: connect anew, at most three times in one action.
    for _ in 0..3 {
        ladder.go([link_lost(), reply(Reply::Done)]);
        ladder.assert([cards(&[])], [connect()]);
        authenticate(&mut ladder);
        ladder.assert([read_done(SERIAL, b"5f00d0c0ffee")], [sync()]);
    }
    ladder.go([link_lost(), reply(Reply::Done)]);
    ladder.assert([cards(&[])], [fail(Refusal::OutOfReach)]);
}

#[test]
fn one_thing_at_a_time() {
    let mut ladder = Ladder::ready(&[]);
    ladder.assert([user(UserAction::Refresh)], [sync()]);
    ladder.assert([user(UserAction::ReadBattery)], [fail(Refusal::Busy)]);
    ladder.assert([reply(Reply::Done)], [list()]);
    ladder.assert([cards(&[])], [show(Shown::Done)]);
}

#[test]
fn answers_nobody_asked_for_change_nothing() {
    let mut ladder = Ladder::ready(&[]);
    let strangers = [
        reply(Reply::Done),
        CLOUD_LOST,
        connect_failed(),
        read_done(SERIAL, b"x"),
        subscribed(AUTH),
        write_done(TIME, Ok(())),
        notify(AUTH, "10 03 08"),
        notify(NFC, ""),
        Input::Tick,
    ];
    ladder.assert(strangers, []);
    ladder.assert([user(UserAction::Refresh)], [sync()]);
}
