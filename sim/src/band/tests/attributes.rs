//! The attribute table: what reads, what writes, who is notified.

use rsa::traits::PublicKeyParts;

use super::*;

// ---- the profile

#[test]
fn the_table_of_the_profile_is_the_one_of_the_dumps() {
    let gatt = &PROFILE.gatt;
    assert_eq!(gatt.characteristics().count(), CharacteristicId::ALL.len());
    for id in CharacteristicId::ALL {
        assert!(gatt.value_handle(id).is_some(), "{id}");
    }
    for (id, value) in [(AUTH, 0x60), (NFC, 0x56), (CHUNKED, 0x4D), (CharacteristicId::DEVICE_EVENT, 74)] {
        assert_eq!(gatt.value_handle(&id), Some(Handle(value)), "{id}");
    }
    // Two characteristics are called 2A04; each has its own handle.
    assert_eq!(gatt.value_handle(&CharacteristicId::PREFERRED_CONNECTION_PARAMETERS), Some(Handle(0x07)));
    assert_eq!(gatt.value_handle(&CharacteristicId::CONNECTION_PARAMETERS), Some(Handle(0x38)));
}

#[test]
fn handles_rise_by_one_through_the_whole_table() {
    let rows = PROFILE.gatt.services.iter().flat_map(|service| {
        let characteristics = service.characteristics.iter().flat_map(|found| {
            let descriptors = found.descriptors.iter().map(|descriptor| descriptor.handle);
            [found.declaration, found.handle].into_iter().chain(descriptors)
        });
        core::iter::once(service.handle).chain(characteristics)
    });
    let handles: Vec<_> = rows.map(|handle| handle.0).collect();
    assert_eq!(handles, (1..=0x76).collect::<Vec<u16>>());
}

#[test]
fn what_notifies_can_be_subscribed_to_and_nothing_else() {
    for (_, found) in PROFILE.gatt.characteristics() {
        assert_eq!(found.has(Property::Notify), found.cccd().is_some(), "{}", found.uuid);
    }
}

#[test]
fn the_key_of_the_profile_is_the_public_half_of_the_clouds() {
    let public = &PROFILE.authentication.pairing_public_key.value;
    assert_eq!(public.modulus.0, SIGNING_KEY.n().to_bytes_be());
    assert_eq!(public.public_exponent.0, SIGNING_KEY.e().to_bytes_be());
    let hash = <sha1::Sha1 as sha1::Digest>::digest(&*public.modulus);
    assert_eq!(PROFILE.authentication.pairing_public_key_hash.value[..], hash[..16]);
}

// The secure element's own tests use its default profile.
#[test]
fn the_secure_element_of_the_profile_is_the_default_one() {
    assert_eq!(PROFILE.secure_element, crate::card::profile::CardProfile::default());
}

#[test]
fn a_profile_survives_its_file_form() {
    let text = serde_json::to_string(&**PROFILE).unwrap();
    assert_eq!(serde_json::from_str::<BandProfile>(&text).unwrap(), **PROFILE);
}

// ---- advertising

#[test]
fn it_advertises_as_the_dumps_show_it() {
    let bench = Bench::new();
    let (data, response) = bench.band.advertising().unwrap();
    assert_eq!(data, hex("02 01 06 1B FF 57 01 02 FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF 02 D42F6B0A517E"));
    assert_eq!(response, [&hex("03 03 E0 FE 10 09")[..], b"Mi Smart Band 4"].concat());
    assert!(data.len() <= advertising::MAX_BYTES && response.len() <= advertising::MAX_BYTES);
}

#[test]
fn it_is_silent_while_linked_unless_it_was_told_to_go_on() {
    let mut bench = Bench::authenticated();
    assert_eq!(bench.band.advertising(), None);
    assert_eq!(bench.write(CONFIG, "06 01 00 01"), ["notify H:0003 10 06 01 00 01"]);
    assert!(bench.band.advertising().is_some());
    bench.outputs(Input::PowerLost);
    assert_eq!(bench.band.advertising(), None);
}

// ---- reading

#[test]
fn identity_reads_as_the_profile_says() {
    let mut bench = Bench::linked();
    assert_eq!(bench.read(CharacteristicId::DEVICE_NAME).unwrap(), b"Mi Smart Band 4");
    assert_eq!(bench.read(CharacteristicId::SERIAL_NUMBER).unwrap(), b"4f0a17c2d96e");
    assert_eq!(bench.read(CharacteristicId::SYSTEM_ID).unwrap(), hex("D4 2F 6B FF FE 0A 51 7E"));
    assert_eq!(bench.read(CharacteristicId::PNP_ID).unwrap(), hex("01 57 01 24 00 01 01"));
    assert_eq!(bench.read(CHUNKED).unwrap(), [0x04]);
    assert_eq!(bench.read(CharacteristicId::BATTERY).unwrap().len(), 20);
}

#[test]
fn steps_and_heart_rate_are_read_only_after_authentication_and_the_channel_never() {
    let gated = [CharacteristicId::STEPS, CharacteristicId::HEART_RATE_CONTROL];
    let never = [NFC, CharacteristicId::UNNAMED_4A02];
    let mut bench = Bench::paired();
    for id in gated.iter().chain(&never) {
        assert_eq!(bench.read(*id), Err(AttError::ReadNotPermitted), "{id}");
    }
    bench.authenticate();
    for id in gated {
        assert!(bench.read(id).is_ok(), "{id}");
    }
    for id in never {
        assert_eq!(bench.read(id), Err(AttError::ReadNotPermitted), "{id}");
    }
}

#[test]
fn declarations_and_descriptors_read_too() {
    let mut bench = Bench::linked();
    let mut read = |handle| bench.words(Input::Read { handle: Handle(handle) }).remove(0);
    assert_eq!(read(0x2A), "read E0 FE");
    assert_eq!(read(0x55), "read 16 56 00 00 07 10 AF 09 00 18 21 12 35 00 00 11 00 00 00");
    assert_eq!(read(0x57), "read 01 00");
    assert_eq!(read(0x1D), format!("read {}", Hex(b"Long Value".to_vec())));
    assert_eq!(read(0x77), "ATT error 0x01 invalid handle");
    assert_eq!(read(0x00), "ATT error 0x01 invalid handle");
    assert_eq!(read(0x19), "ATT error 0x02 read not permitted");
}

#[test]
fn without_a_link_nothing_is_read_or_written() {
    let mut bench = Bench::new();
    assert_eq!(bench.read(CharacteristicId::DEVICE_NAME), Err(AttError::UnlikelyError));
    assert_eq!(bench.write(CharacteristicId::CURRENT_TIME, ""), ["ATT error 0x0e unlikely error"]);
    assert_eq!(bench.write(AUTH, "02 00"), Vec::<String>::new());
}

// ---- subscriptions

#[test]
fn only_who_has_subscribed_is_notified_and_only_on_this_connection() {
    let mut bench = Bench::new();
    bench.band.settings.set_auth_key(&KEY).unwrap();
    bench.outputs(Input::Connected { mtu: 23 });
    assert!(bench.write(AUTH, "02 00").is_empty());
    // By a write to the descriptor.
    let cccd = Input::Write { handle: Handle(0x61), value: vec![1, 0], mode: WriteMode::Request };
    assert_eq!(bench.words(cccd), ["written"]);
    assert_eq!(bench.write(AUTH, "02 00").len(), 1);
    assert_eq!(bench.words(Input::Subscribe { handle: handle(AUTH), on: false }), ["written"]);
    assert!(bench.write(AUTH, "02 00").is_empty());
    assert_eq!(bench.words(Input::Subscribe { handle: handle(AUTH), on: true }), ["written"]);
    bench.outputs(Input::Disconnected);
    bench.outputs(Input::Connected { mtu: 23 });
    assert!(bench.write(AUTH, "02 00").is_empty());
}

#[test]
fn a_subscription_that_makes_no_sense_is_refused() {
    let mut bench = Bench::linked();
    let mut subscribe = |handle| bench.words(Input::Subscribe { handle: Handle(handle), on: true });
    assert_eq!(subscribe(0x0B), ["ATT error 0x03 write not permitted"]);
    assert_eq!(subscribe(0xFFFF), ["ATT error 0x01 invalid handle"]);
    for (value, reply) in [
        (vec![2, 0], "ATT error 0x13 value not allowed"),
        (vec![1], "ATT error 0x0d invalid attribute value length"),
        (vec![0, 0], "written"),
    ] {
        let write = Input::Write { handle: Handle(0x61), value, mode: WriteMode::Request };
        assert_eq!(bench.words(write), [reply]);
    }
}
