//! The band as a device: identity, battery, clock, factory reset, raw writes.

use super::*;

#[test]
fn the_identity_is_read_from_the_device_information() {
    let mut ladder = Ladder::ready(&[]);
    let shown = ladder.play(&mut World::new(&[]), UserAction::ReadIdentity);
    assert_eq!(
        shown,
        Ok(Shown::Identity {
            serial: "5f00d0c0ffee".into(),
            hardware_revision: "V1.0.9.70".into(),
            software_revision: "V1.0.9.70".into(),
            system_id: bytes("D1C515 FFFE 510389"),
            pnp_id: bytes("01 5701 2400 0101"),
        })
    );
}

/// W1: whoever holds a band in their hands can ask it who it is.
#[test]
fn the_identity_needs_neither_key_nor_account() {
    let mut ladder = Ladder::signed_out(PhoneConfig::default());
    let mut world = World::new(&[]);
    assert!(matches!(ladder.play(&mut world, UserAction::ReadIdentity), Ok(Shown::Identity { .. })));
    assert!(!world.seen.iter().any(|output| matches!(output, Output::Cloud(_))));
    assert!(!world.seen.contains(&write(AUTH, "02 00")));
}

/// The bank's quarrel with the band does not matter to its battery.
#[test]
fn the_battery_is_read_even_without_agreement() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([link_lost(), user(UserAction::ReadBattery)]);
    ladder.go([connected(), subscribed(AUTH), subscribed(CHUNKED), subscribed(EVENT)]);
    ladder.go([notify(AUTH, "10 02 01 000102030405060708090A0B0C0D0E0F"), notify(AUTH, "10 03 01")]);
    ladder.go([subscribed(CONFIG), subscribed(NFC)]);
    ladder.assert([read_done(SERIAL, b"5f00d0c0ffee")], [sync()]);
    ladder.assert([refused(Refusal::BandOfAnotherAccount)], [read(CharacteristicId::BATTERY)]);
    let value = bytes("0F 51 01 E7070516000A03 1C E7070516000A0B 1C 64");
    ladder
        .assert([read_done(CharacteristicId::BATTERY, &value)], [show(Shown::Battery { percent: 81, charging: true })]);
}

#[test]
fn a_battery_of_another_length_is_an_error() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([user(UserAction::ReadBattery)]);
    ladder.assert([read_done(CharacteristicId::BATTERY, &[0x0F, 0x51])], [fail(Refusal::BandError)]);
}

#[test]
fn a_read_the_band_refuses_is_an_error() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([user(UserAction::ReadTime)]);
    let refused = LinkEvent::ReadDone { characteristic: TIME, result: Err(AttError::ReadNotPermitted) };
    ladder.assert([Input::Link(refused)], [fail(Refusal::BandError)]);
}

#[test]
fn the_clock_is_read_and_set() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([user(UserAction::ReadTime)]);
    // 2023-05-22 05:24:43 in a zone seven hours ahead.
    let value = bytes("E7 07 05 16 05 18 2B 01 00 00 1C");
    ladder.assert([read_done(TIME, &value)], [show(Shown::Time { unix_s: 1_684_707_883 })]);
    ladder.assert(
        [user(UserAction::SetTime { unix_s: 1_684_707_883 })],
        [request(TIME, "E7 07 05 15 16 18 2B 07 00 00 00")],
    );
    ladder.assert([write_done(TIME, Ok(()))], [show(Shown::Done)]);
}

/// R6: the app warns before a factory reset, too.
#[test]
fn a_factory_reset_warns_and_drops_the_link() {
    let mut ladder = Ladder::ready(&[card("a", CardState::Active)]);
    ladder.assert(
        [user(UserAction::FactoryReset)],
        [Output::Ui(Notice::DeleteCardsFirst { cards: 1 }), write(CONFIG, "06 0B 00 01")],
    );
    ladder.assert([notify(CONFIG, "10 06 0B 00 01")], [disconnect(), show(Shown::Done)]);
    // The band knows the key no more; the app finds out.
    ladder.go([link_lost(), user(UserAction::Refresh)]);
    ladder.go([connected(), subscribed(AUTH), subscribed(CHUNKED), subscribed(EVENT)]);
    ladder.go([notify(AUTH, "10 02 01 000102030405060708090A0B0C0D0E0F")]);
    ladder.assert([notify(AUTH, "10 03 08")], [fail(Refusal::WrongKey)]);
}

#[test]
fn a_factory_reset_the_band_refuses_or_does_not_answer() {
    let mut ladder = Ladder::ready(&[]);
    ladder.assert([user(UserAction::FactoryReset)], [write(CONFIG, "06 0B 00 01")]);
    ladder.clone().assert([notify(CONFIG, "10 06 0B 00 04")], [fail(Refusal::BandError)]);
    ladder.clone().assert([link_lost()], [fail(Refusal::Interrupted)]);
    ladder.wait(seconds(10), [fail(Refusal::BandError)]);
}

fn raw_write(characteristic: CharacteristicId, hex: &str, authenticated: bool) -> Input {
    user(UserAction::RawWrite { characteristic, value: bytes(hex), authenticated })
}

#[test]
fn a_raw_write_shows_what_the_band_says_until_it_is_quiet() {
    let mut ladder = Ladder::ready(&[]);
    ladder.assert([raw_write(CONFIG, "FF 00", true)], [write(CONFIG, "FF 00")]);
    ladder.assert([notify(CONFIG, "10 FF 03")], []);
    ladder.wait(Duration::from_millis(499), []);
    ladder.assert([notify(EVENT, "0E")], []);
    ladder.wait(Duration::from_millis(499), []);
    // Of a new link, not of what was written.
    ladder.assert([notify(EVENT, "16 05 02")], []);
    let values = vec![(CONFIG, bytes("10 FF 03")), (EVENT, bytes("0E"))];
    ladder.wait(Duration::from_millis(1), [show(Shown::Notifications { result: None, values })]);
}

#[test]
fn a_raw_write_with_response_shows_why_it_was_refused() {
    let mut ladder = Ladder::ready(&[]);
    ladder.assert([raw_write(TIME, "00", true)], [subscribe(TIME)]);
    ladder.assert([subscribed(TIME)], [request(TIME, "00")]);
    ladder.assert([write_done(TIME, Err(AttError::InvalidLength))], []);
    let result = Some(AttError::InvalidLength);
    ladder.wait(Duration::from_millis(500), [show(Shown::Notifications { result, values: vec![] })]);
}

#[test]
fn a_raw_write_without_authentication_takes_a_new_connection() {
    let mut ladder = Ladder::ready(&[]);
    ladder.assert([raw_write(NFC, "01", false)], [disconnect(), connect()]);
    ladder.assert([link_lost()], []);
    ladder.go([connected(), subscribed(AUTH), subscribed(CHUNKED)]);
    ladder.assert([subscribed(EVENT)], [subscribe(NFC)]);
    let refused = LinkEvent::Subscribed { characteristic: NFC, result: Err(AttError::InsufficientAuthentication) };
    ladder.assert([Input::Link(refused)], [write(NFC, "01")]);
    ladder.wait(Duration::from_millis(500), [show(Shown::Notifications { result: None, values: vec![] })]);
}

#[test]
fn a_band_that_drops_the_link_has_said_what_it_had_to_say() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([raw_write(CONFIG, "FF", true), notify(CONFIG, "10 FF 03")]);
    let values = vec![(CONFIG, bytes("10 FF 03"))];
    ladder.assert([link_lost()], [show(Shown::Notifications { result: None, values })]);
}

#[test]
fn after_a_raw_write_the_next_action_starts_with_a_new_connection() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([raw_write(CONFIG, "FF", true)]);
    ladder.now = ladder.now + seconds(1);
    ladder.go([Input::Tick]);
    ladder.assert([raw_write(CONFIG, "FE", true)], [write(CONFIG, "FE")]);
    ladder.now = ladder.now + seconds(1);
    ladder.go([Input::Tick]);
    ladder.assert([user(UserAction::Refresh)], [disconnect(), connect()]);
}

#[test]
fn the_band_announces_its_mtu() {
    let mut ladder = Ladder::ready(&[card("a", CardState::WaitingForCode)]);
    let code = UserAction::EnterCode { card: card_id("a"), code: "1".into() };
    ladder.go([notify(EVENT, "16 16 00"), user(code), reply(job(2, &["80F00101"]))]);
    ladder.go([notify(NFC, "81 00"), notify(NFC, "83 9000 0200")]);
    // Less than every link has: the least there is counts.
    ladder.assert([job_done(2, None)], [write(CHUNKED, "00 C2 00 06 1C 00 01 03 09 A0 00 00 00 04 10 10 00 01")]);
}

/// What the raw writes know of the attribute table is what the table says.
#[test]
fn raw_writes_use_what_the_characteristic_offers() {
    use band_sim::wire::gatt::Property;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/profiles/mi-smart-band-4-nfc.yaml");
    let file = std::fs::read_to_string(file).expect("the profile");
    let profile: band_sim::band::profile::BandProfile = serde_yaml::from_str(&file).expect("a profile");
    for id in CharacteristicId::ALL {
        let handle = profile.gatt.value_handle(id).expect("in the table");
        let characteristic = profile.gatt.characteristic(handle).expect("in the table");
        if characteristic.has(Property::Write) || characteristic.has(Property::WriteWithoutResponse) {
            assert_eq!(crate::phone::actions::raw::takes_requests(*id), characteristic.has(Property::Write), "{id}");
        }
    }
}
