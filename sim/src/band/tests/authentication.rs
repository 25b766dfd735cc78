//! Authentication and pairing.

use super::*;

// ---- authentication

#[test]
fn a_phone_with_the_key_gets_in_by_either_dialect_and_any_flags() {
    for (ask, answer, replies) in [
        ("02 00", "03 00", "10 03 01"),
        ("02 08", "03 08", "10 03 01"),
        ("82 00 02 01 00", "83 00", "10 83 01"),
        ("82 14 02", "83 14", "10 83 01"),
        ("82 14", "83 14", "10 83 01"),
    ] {
        let mut bench = Bench::paired();
        let block = pairing::answer(&KEY, &bench.random(ask));
        let outputs = bench.write(AUTH, &format!("{answer} {}", Hex(block.to_vec())));
        assert_eq!(outputs, [format!("notify H:0009 {replies}"), "event Authenticated".into()], "{ask}");
        assert!(bench.band.is_authenticated());
    }
}

#[test]
fn each_random_number_is_fresh_and_good_for_one_answer() {
    let mut bench = Bench::paired();
    let first = bench.random("02 00");
    let second = bench.random("02 00");
    assert_ne!(first, second);
    let old = format!("03 00 {}", Hex(pairing::answer(&KEY, &first).to_vec()));
    assert_eq!(bench.write(AUTH, &old), ["notify H:0009 10 03 08", "event WrongKey"]);
    let late = format!("03 00 {}", Hex(pairing::answer(&KEY, &second).to_vec()));
    let refused = "refused: answer to a challenge while unauthenticated: ATT error 0x03 write not permitted";
    assert_eq!(bench.write(AUTH, &late), ["notify H:0009 10 03 02", refused]);
    assert!(!bench.band.is_authenticated());
}

#[test]
fn the_code_for_a_wrong_key_comes_from_the_profile() {
    for code in [0x04, 0x07, 0x08] {
        let mut bench = Bench::with(|profile| profile.authentication.wrong_key_code = Marked::assumed(code));
        bench.band.settings.set_auth_key(&KEY).unwrap();
        bench.link();
        bench.random("82 00 02 01 00");
        let outputs = bench.write(AUTH, &format!("83 00 {}", Hex(vec![0; 16])));
        assert_eq!(outputs, [format!("notify H:0009 10 83 {code:02X}"), "event WrongKey".into()]);
    }
}

#[test]
fn authentication_ends_with_its_connection() {
    let mut bench = Bench::authenticated();
    bench.outputs(Input::Disconnected);
    bench.link();
    assert!(!bench.band.is_authenticated());
    assert_eq!(bench.read(CharacteristicId::STEPS), Err(AttError::ReadNotPermitted));
}

#[test]
fn a_second_phone_takes_the_link_but_not_the_authentication() {
    let mut bench = Bench::with_channel();
    bench.outputs(Input::Connected { mtu: 100 });
    assert!(bench.band.is_linked() && !bench.band.is_authenticated() && !bench.band.is_channel_open());
}

#[test]
fn asking_for_a_new_random_number_lapses_the_authentication() {
    let mut bench = Bench::authenticated();
    bench.random("02 00");
    assert!(!bench.band.is_authenticated());
}

#[test]
fn the_key_survives_power_loss_and_nothing_else_of_the_session_does() {
    let mut bench = Bench::with_channel();
    assert_eq!(bench.words(Input::PowerLost), ["event PowerLost", "disconnect"]);
    assert!(!bench.band.is_powered() && !bench.band.is_linked());
    assert_eq!(bench.words(Input::Connected { mtu: 23 }), ["disconnect"]);
    assert_eq!(bench.words(Input::PowerOn), ["event PoweredOn"]);
    bench.link();
    bench.authenticate();
    assert!(!bench.band.is_channel_open());
}

// ---- pairing

#[test]
fn a_signed_pairing_that_the_wearer_confirms_gives_the_key() {
    let mut bench = Bench::linked();
    let key = ask_to_pair(&mut bench);
    assert!(!bench.band.is_paired());
    assert_eq!(bench.words(Input::Button(Button::Confirm)), ["display Idle", "notify H:0009 10 01 01", "event Paired"]);
    let block = pairing::answer(&key, &bench.random("82 14 02"));
    assert_eq!(bench.write(AUTH, &format!("83 14 {}", Hex(block.to_vec())))[0], "notify H:0009 10 83 01");
}

#[test]
fn a_pairing_the_wearer_denies_changes_nothing() {
    let mut bench = Bench::paired();
    let before = bench.digests();
    ask_to_pair(&mut bench);
    assert_eq!(
        bench.words(Input::Button(Button::Deny)),
        ["display Idle", "notify H:0009 10 01 02", "event PairingDenied"]
    );
    assert_eq!(bench.digests(), before);
    bench.authenticate();
}

#[test]
fn a_pairing_nobody_confirms_ends_at_thirty_seconds_sharp_and_silently() {
    let thirty = Duration::from_secs(30);
    let micro = Duration::from_micros(1);
    let mut bench = Bench::linked();
    ask_to_pair(&mut bench);
    assert_eq!(bench.band.poll(), Output::Wait(Some(Instant::ZERO + thirty)));

    let mut in_time = bench.clone();
    assert!(in_time.pass(thirty - micro).is_empty());
    assert_eq!(in_time.words(Input::Button(Button::Confirm)).len(), 3);
    assert_eq!(in_time.band.poll(), Output::Wait(None));

    bench.now = bench.now + thirty;
    let timed_out = ["display Idle", "event PairingTimedOut"];
    assert_eq!(bench.words(Input::Button(Button::Confirm)), timed_out);
    assert!(!bench.band.is_paired());
}

#[test]
fn a_wrong_signature_is_refused_before_the_wearer_is_asked() {
    let mut bench = Bench::linked();
    bench.write(AUTH, "01 14");
    let random = bench.random("82 14 02");
    let mut digest = pairing::pairing_digest(PROFILE.identity.address(), &random);
    digest[31] ^= 1;
    for signature in [sign(&digest), vec![], vec![0xFF; 128], vec![0; 512]] {
        let mut bench = bench.clone();
        let answer = SignedAnswer { flags: 0x14, signature };
        let outputs = bench.transfer(chunked::Kind::AuthSignature, &answer.encode());
        assert_eq!(outputs[1..], ["notify H:0009 10 83 04", "event PairingSignatureWrong"]);
        assert_eq!(bench.words(Input::Button(Button::Confirm)), Vec::<String>::new());
        assert!(!bench.band.is_paired());
    }
}

#[test]
fn a_signature_nobody_asked_for_is_refused() {
    let mut bench = Bench::linked();
    let answer = SignedAnswer { flags: 0x14, signature: sign(&[0; 32]) };
    let outputs = bench.transfer(chunked::Kind::AuthSignature, &answer.encode());
    let refused = "refused: pairing signature while unauthenticated: ATT error 0x03 write not permitted";
    assert_eq!(outputs, ["notify H:0020 10 00 84 02 01", refused]);
}

#[test]
fn a_phone_may_bring_its_own_key_where_the_profile_allows_it() {
    let bring = format!("01 00 {}", Hex(KEY.0.to_vec()));
    let mut bench = Bench::linked();
    assert_eq!(bench.write(AUTH, &bring), ["display ConfirmPairing", "event PairingAsked"]);
    assert_eq!(bench.words(Input::Button(Button::Confirm))[1], "notify H:0009 10 01 01");
    bench.authenticate();

    let mut strict = Bench::with(|profile| profile.authentication.legacy_pairing = Marked::assumed(false));
    strict.link();
    assert_eq!(strict.write(AUTH, &bring)[0], "notify H:0009 10 01 02");
    assert_eq!(strict.words(Input::Button(Button::Confirm)), Vec::<String>::new());
}

#[test]
fn a_lost_link_takes_the_question_off_the_display() {
    let mut bench = Bench::linked();
    ask_to_pair(&mut bench);
    assert_eq!(bench.words(Input::Disconnected), ["display Idle"]);
    assert_eq!(bench.words(Input::Button(Button::Confirm)), Vec::<String>::new());
    assert_eq!(bench.band.poll(), Output::Wait(None));
    assert!(!bench.band.is_paired());
}
