//! Settings, owner, clock, battery, cards, factory reset.

use super::*;

// ---- settings, owner, clock, battery, events

#[test]
fn settings_are_kept_and_answered() {
    let mut bench = Bench::authenticated();
    assert_eq!(bench.write(CONFIG, "06 0A 00 03"), ["notify H:0003 10 06 0A 00 01"]);
    assert_eq!(bench.band.settings.setting(SettingId::DATE_FORMAT), Some(&[3][..]));
    assert_eq!(bench.write(CONFIG, "06 18 00 01 02 AA BB"), ["notify H:0003 10 06 18 00 01"]);
    assert_eq!(bench.write(CONFIG, "0E"), ["notify H:0003 10 0E 01"]);
    for (wrong, reply) in [
        ("06 99 00 01", "10 06 99 00 03"),
        ("06 18 00 01 02 AA", "10 06 18 00 04"),
        ("06 0B 00 02", "10 06 0B 00 04"),
        ("06 0B 00", "10 06 0B 00 04"),
        ("06 0B", "10 06 04"),
        ("77 01", "10 77 03"),
        ("", "10 00 04"),
    ] {
        let before = bench.digests();
        assert_eq!(bench.write(CONFIG, wrong)[0], format!("notify H:0003 {reply}"), "{wrong}");
        assert_eq!(bench.digests(), before);
    }
    let long = format!("06 17 00 {}", Hex(vec![0x41; 33]));
    assert_eq!(bench.write(CONFIG, &long)[0], "notify H:0003 10 06 17 00 04");
}

#[test]
fn nothing_is_set_before_authentication() {
    let mut bench = Bench::paired();
    let before = bench.digests();
    assert_eq!(bench.write(CONFIG, "06 0A 00 03")[0], "notify H:0003 10 06 0A 00 02");
    assert_eq!(bench.write(CONFIG, "06 0B 00 01")[0], "notify H:0003 10 06 0B 00 02");
    let time = CurrentTime::from_unix_micros(EPOCH, 0).encode();
    assert_eq!(
        bench.write_bytes(CharacteristicId::CURRENT_TIME, time).last().unwrap(),
        "ATT error 0x03 write not permitted"
    );
    let user = UserSetting::Info(UserInfo::default()).encode();
    assert_eq!(
        bench.write_bytes(CharacteristicId::USER_SETTINGS, user).last().unwrap(),
        "ATT error 0x03 write not permitted"
    );
    assert_eq!(bench.digests(), before);
}

#[test]
fn the_band_remembers_whose_it_is() {
    let mut bench = Bench::authenticated();
    let user = |user_id| UserSetting::Info(UserInfo { user_id, ..UserInfo::default() }).encode();
    let outputs = bench.write_bytes(CharacteristicId::USER_SETTINGS, user(42));
    assert_eq!(outputs, ["event Bound { user_id: 42 }", "written"]);
    bench.outputs(Input::PowerLost);
    bench.outputs(Input::PowerOn);
    assert_eq!(bench.band.user_id(), Some(42));
    bench.link();
    bench.authenticate();
    for (wrong, error) in [("4F 00", "ATT error 0x0d"), ("20 00 00 77", "ATT error 0x13"), ("99", "ATT error 0x13")] {
        let outputs = bench.write(CharacteristicId::USER_SETTINGS, wrong);
        assert!(outputs.last().unwrap().starts_with(error), "{outputs:?}");
    }
    assert_eq!(bench.write(CharacteristicId::USER_SETTINGS, "10 00 00 40 1F 00 00"), ["written"]);
}

#[test]
fn the_clock_runs_from_what_it_was_set_to() {
    let mut bench = Bench::authenticated();
    let read = |bench: &mut Bench| CurrentTime::decode(&bench.read(CharacteristicId::CURRENT_TIME).unwrap()).unwrap();
    assert_eq!(read(&mut bench).stamp.unix_seconds(), Some(EPOCH / 1_000_000));
    // 2023-05-22 05:24:43, UTC+7.
    let outputs = bench.write(CharacteristicId::CURRENT_TIME, "E7 07 05 16 05 18 2B 01 00 00 1C");
    let offset = 1_684_707_883_000_000 - EPOCH;
    let set = format!("event ClockSet {{ offset_micros: {offset}, zone_quarters: 28 }}");
    assert_eq!(outputs, [set, "written".into()]);
    bench.outputs(Input::PowerLost);
    bench.pass(Duration::from_secs(60));
    bench.outputs(Input::PowerOn);
    bench.link();
    let shown = Stamp { year: 2023, month: 5, day: 22, hour: 5, minute: 25, second: 43, zone_quarters: 28 };
    assert_eq!(read(&mut bench).stamp, shown);
}

#[test]
fn a_date_no_calendar_has_is_refused() {
    let mut bench = Bench::authenticated();
    let before = bench.digests();
    let outputs = bench.write(CharacteristicId::CURRENT_TIME, "E7 07 02 1E 05 18 2B 01 00 00 1C");
    assert_eq!(outputs.last().unwrap(), "ATT error 0x13 value not allowed");
    let outputs = bench.write(CharacteristicId::CURRENT_TIME, "E7 07 02");
    assert_eq!(outputs, ["ATT error 0x0d invalid attribute value length"]);
    assert_eq!(bench.digests(), before);
}

#[test]
fn a_clock_without_its_own_supply_forgets() {
    let mut bench = Bench::with(|profile| profile.behaviour.clock_survives_power_loss = Marked::assumed(false));
    bench.band.settings.set_clock(settings::Clock { offset_micros: 5_000_000, zone_quarters: 4 }).unwrap();
    bench.outputs(Input::PowerLost);
    bench.outputs(Input::PowerOn);
    bench.link();
    let time = CurrentTime::decode(&bench.read(CharacteristicId::CURRENT_TIME).unwrap()).unwrap();
    assert_eq!((time.stamp.unix_seconds(), time.stamp.zone_quarters), (Some(EPOCH / 1_000_000), 0));
}

#[test]
fn the_battery_tells_when_it_changes() {
    let mut bench = Bench::linked();
    let battery = |level, charging| Input::Battery { level, charging };
    assert!(bench.words(battery(81, true))[0].starts_with("notify H:0006 0F 51 01"));
    assert!(bench.words(battery(81, true)).is_empty());
    let outputs = bench.words(battery(100, false));
    // Taken off its charger on 2020-06-16 at 00:00:00.
    assert_eq!(outputs, ["notify H:0006 0F 64 00 B2 07 01 01 00 00 00 00 E4 07 06 10 00 00 00 00 64"]);
    assert!(bench.words(battery(200, false)).is_empty());
}

#[test]
fn the_button_and_the_mtu_are_device_events() {
    let mut bench = Bench::authenticated();
    assert_eq!(bench.words(Input::Button(Button::Confirm)), ["notify H:0010 04"]);
    assert_eq!(bench.words(Input::MtuChanged(247)), ["notify H:0010 16 F7 00"]);
    assert!(bench.words(Input::MtuChanged(247)).is_empty());
}

#[test]
fn an_mtu_that_was_exchanged_before_anybody_listened_is_told_to_the_first_who_does() {
    let mut bench = Bench::new();
    bench.outputs(Input::Connected { mtu: 23 });
    assert!(bench.words(Input::MtuChanged(247)).is_empty());
    let subscribe = |id, on| Input::Subscribe { handle: handle(id), on };
    assert!(bench.words(subscribe(AUTH, true)).iter().all(|words| !words.contains("notify")));
    let outputs = bench.outputs(subscribe(CharacteristicId::DEVICE_EVENT, true));
    assert_eq!(outputs[0], Output::WriteReply(Ok(())));
    assert_eq!(outputs[1..].iter().map(words).collect::<Vec<_>>(), ["notify H:0010 16 F7 00"]);
    bench.outputs(subscribe(CharacteristicId::DEVICE_EVENT, false));
    assert_eq!(bench.outputs(subscribe(CharacteristicId::DEVICE_EVENT, true)).len(), 1, "it is known");
    // The next link begins anew.
    bench.outputs(Input::Disconnected);
    bench.link();
    assert!(bench.words(Input::Tick).is_empty());
}

#[test]
fn a_value_nobody_knows_the_meaning_of_is_kept_until_power_is_lost() {
    let mut bench = Bench::authenticated();
    assert_eq!(bench.write(CharacteristicId::UNNAMED_FED0, "AA BB"), ["written"]);
    assert_eq!(bench.read(CharacteristicId::UNNAMED_FED0).unwrap(), [0xAA, 0xBB]);
    bench.outputs(Input::PowerLost);
    bench.outputs(Input::PowerOn);
    bench.link();
    assert_eq!(bench.read(CharacteristicId::UNNAMED_FED0).unwrap(), Vec::<u8>::new());
}

#[test]
fn a_write_in_a_way_the_characteristic_does_not_offer_is_refused() {
    let mut bench = Bench::authenticated();
    let mut write =
        |handle, mode, length| bench.words(Input::Write { handle: Handle(handle), value: vec![1; length], mode });
    assert_eq!(write(0x60, WriteMode::Request, 2), ["ATT error 0x03 write not permitted"]);
    assert_eq!(write(0x0B, WriteMode::Request, 2), ["ATT error 0x03 write not permitted"]);
    assert_eq!(write(0x2A, WriteMode::Request, 2), ["ATT error 0x03 write not permitted"]);
    assert_eq!(write(0x51, WriteMode::Request, 2), ["ATT error 0x03 write not permitted"]);
    assert_eq!(write(0x69, WriteMode::Request, 512), ["written"]);
    assert_eq!(write(0x69, WriteMode::Request, 513), ["ATT error 0x0d invalid attribute value length"]);
    assert_eq!(write(0x69, WriteMode::Command, 2), Vec::<String>::new());
}

// ---- the wallet

#[test]
fn the_list_follows_the_secure_element_card_by_card() {
    let mut bench = Bench::with_channel();
    let told = bench.add_cards(2);
    assert_eq!(
        told,
        [
            "display [ - Unfinished]",
            "event CardsChanged [ - Unfinished]",
            "display [MASTERCARD 0434 Deactivated]",
            "event CardsChanged [MASTERCARD 0434 Deactivated]",
            "display [MASTERCARD 0434 Deactivated,  - Unfinished]",
            "event CardsChanged [MASTERCARD 0434 Deactivated,  - Unfinished]",
            "display [MASTERCARD 0434 Deactivated, MASTERCARD 0434 Deactivated]",
            "event CardsChanged [MASTERCARD 0434 Deactivated, MASTERCARD 0434 Deactivated]",
        ]
    );
    bench.exchange(&hex(SELECT_CRS));
    let activate = host::set_activation(true, &host::instance(2)).encode();
    let (answer, told) = bench.exchange(&activate);
    assert_eq!(answer, [0x90, 0x00]);
    assert_eq!(told[1], "event CardsChanged [MASTERCARD 0434 Deactivated, MASTERCARD 0434 Activated]");
    assert_agrees_with_card(&bench.band);
}

fn assert_agrees_with_card(band: &Band) {
    let listed: Vec<_> = band.card_list().iter().map(|card| card.aid.to_vec()).collect();
    let stored: Vec<_> = band.card().applets().iter().map(|applet| applet.aid.as_bytes().to_vec()).collect();
    assert_eq!(listed, stored);
}

#[test]
fn a_name_from_the_phone_is_shown_and_a_hint_never_makes_a_card() {
    let mut bench = Bench::with_channel();
    bench.add_cards(1);
    let name = |aid: Vec<u8>, name: &str| AidCommand::Name { aid, name: name.into() }.encode();
    let told = bench.transfer(chunked::Kind::Config, &name(host::instance(1), "Salary"));
    assert_eq!(told[1], "event CardsChanged [Salary 0434 Deactivated]");
    let told = bench.transfer(chunked::Kind::Config, &name(host::instance(2), "Ghost"));
    assert_eq!(told, ["notify H:0020 10 00 C2 01 01"]);
    assert_eq!(bench.band.card_list().len(), 1);
    bench.outputs(Input::PowerLost);
    bench.outputs(Input::PowerOn);
    assert_eq!(bench.band.card_list()[0].name, "Salary");
}

// ---- factory reset

#[test]
fn a_factory_reset_forgets_phone_and_owner_and_keeps_the_cards() {
    let mut bench = Bench::with_channel();
    bench.add_cards(1);
    bench.write_bytes(CharacteristicId::USER_SETTINGS, UserSetting::Info(UserInfo::default()).encode());
    let cards = bench.band.nvm_digest(Memory::SecureElement);
    let fresh = Bench::new().band.nvm_digest(Memory::Device);
    assert_eq!(
        bench.write(CONFIG, "06 0B 00 01"),
        [
            "event FactoryReset { cards_wiped: false }",
            "notify H:0003 10 06 0B 00 01",
            "event ChannelClosed { status: Success }",
            "disconnect",
        ]
    );
    assert!(!bench.band.is_linked() && !bench.band.is_paired());
    assert_eq!(bench.band.user_id(), None);
    assert_eq!(bench.band.nvm_digest(Memory::SecureElement), cards);
    assert_eq!(bench.band.nvm_digest(Memory::Device), fresh);
    assert_eq!(bench.band.card_list().len(), 1);
}

#[test]
fn a_factory_reset_takes_the_cards_along_where_the_profile_says_so() {
    let mut bench = Bench::with(|profile| profile.behaviour.factory_reset_wipes_cards = Marked::assumed(true));
    bench.band.settings.set_auth_key(&KEY).unwrap();
    bench.link();
    bench.authenticate();
    bench.write(NFC, "01");
    bench.add_cards(2);
    let told = bench.words(Input::Button(Button::FactoryReset));
    let wiped = ["event FactoryReset { cards_wiped: true }", "display []", "event CardsChanged []"];
    assert_eq!(told[..3], wiped);
    assert!(bench.band.card().applets().is_empty());
}

#[test]
fn a_factory_reset_at_the_band_needs_no_phone() {
    let mut bench = Bench::paired();
    bench.outputs(Input::Disconnected);
    assert_eq!(bench.words(Input::Button(Button::FactoryReset)), ["event FactoryReset { cards_wiped: false }"]);
    assert!(!bench.band.is_paired());
}

#[test]
fn a_band_that_keeps_the_link_after_a_reset_starts_it_over() {
    let mut bench = Bench::with(|profile| profile.behaviour.factory_reset_disconnects = Marked::assumed(false));
    bench.band.settings.set_auth_key(&KEY).unwrap();
    bench.link();
    bench.authenticate();
    bench.write(NFC, "01");
    let told = bench.write(CONFIG, "06 0B 00 01");
    assert_eq!(
        told[1..],
        ["notify H:0003 10 06 0B 00 01", "event ChannelClosed { status: Success }", "notify H:0011 82 00"]
    );
    assert!(bench.band.is_linked() && !bench.band.is_authenticated());
}

#[test]
fn a_reset_cut_off_at_any_write_is_done_wholly_or_not_at_all() {
    for memory in [Memory::SecureElement, Memory::Device] {
        let mut points = 0;
        for nth in 1.. {
            let mut bench = Bench::with(|profile| profile.behaviour.factory_reset_wipes_cards = Marked::assumed(true));
            bench.band.settings.set_auth_key(&KEY).unwrap();
            bench.link();
            bench.authenticate();
            bench.write(NFC, "01");
            bench.add_cards(2);
            bench.band.cut_power_at_write(memory, Some(nth));
            let told = bench.write(CONFIG, "06 0B 00 01");
            if bench.band.is_powered() {
                break;
            }
            points += 1;
            assert!(!told.iter().any(|line| line.contains("10 06 0B 00 01")), "no reply before it is done: {told:?}");
            assert!(told.ends_with(&["event PowerLost".into(), "disconnect".into()]), "{told:?}");
            bench.outputs(Input::PowerOn);
            let (paired, cards) = (bench.band.is_paired(), bench.band.card_list().len());
            assert!(
                (paired, cards) == (true, 2) || (paired, cards) == (false, 0),
                "{memory:?} {nth}: {paired} {cards}"
            );
            assert_agrees_with_card(&bench.band);
        }
        assert!(points > 1, "{memory:?}");
    }
}

#[test]
fn a_pairing_cut_off_at_any_write_leaves_the_old_key_or_the_new_one() {
    let mut points = 0;
    for nth in 1.. {
        let mut bench = Bench::paired();
        let new = ask_to_pair(&mut bench);
        bench.band.cut_power_at_write(Memory::Device, Some(nth));
        bench.outputs(Input::Button(Button::Confirm));
        if bench.band.is_powered() {
            break;
        }
        points += 1;
        bench.outputs(Input::PowerOn);
        let key = bench.band.settings.auth_key();
        assert!(key == Some(KEY) || key == Some(new), "{nth}");
    }
    assert!(points > 0);
}

#[test]
fn a_cut_in_the_secure_element_is_a_band_without_power() {
    let mut bench = Bench::with_channel();
    let mut host = Host::new(&PROFILE.secure_element);
    assert_eq!(host.open(&mut bench.band.card, 0x33).value(), 0x9000);
    bench.band.cut_power_at_write(Memory::SecureElement, Some(1));
    let (answer, told) = bench.exchange(&host.wrap(host::install(&host::instance(1))).encode());
    assert!(answer.is_empty());
    assert_eq!(told, ["event PowerLost", "disconnect"]);
    assert_eq!(bench.words(Input::PowerOn), ["event PoweredOn"]);
    assert!(bench.band.card_list().is_empty());
}
