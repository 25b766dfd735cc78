//! Linking the band: first pairings, and what comes after them.

use super::*;

/// SHA-256 of address and random number: the public sources' checked example.
const DIGEST: &str = "088702F9E9359A50C1DAC236AEE9C1A792C831E6BE99D7F144A76248ADA30270";
const RANDOM: &str = "10 82 01 000102030405060708090A0B0C0D0E0F";
const INFO: &str = "10 01 81 01 A0A1A2A3A4A5A6A7A8A9AAABACADAEAF";

fn new_key() -> AuthKey {
    AuthKey(bytes(DIGEST)[..16].try_into().expect("half a digest"))
}

/// Asked how it wants to be paired.
fn probed() -> Ladder {
    let mut ladder = Ladder::with(PhoneConfig::default());
    ladder.go([user(UserAction::LinkBand), connected(), subscribed(AUTH), subscribed(CHUNKED)]);
    ladder.assert([subscribed(EVENT)], [write(AUTH, "01 14")]);
    ladder
}

/// Waiting for the band's verdict on the signature, which needs one chunk.
fn signed() -> Ladder {
    let mut ladder = probed();
    ladder.assert([notify(AUTH, INFO)], [write(AUTH, "82 14 02")]);
    let request = Request::SignPairing {
        address: ADDRESS,
        digest: bytes(DIGEST),
        public_key_hash: bytes("A0A1A2A3A4A5A6A7A8A9AAABACADAEAF"),
    };
    ladder.assert([notify(AUTH, RANDOM)], [ask(request)]);
    ladder.assert(
        [reply(Reply::PairingSignature { signature: vec![0x5A; 4] })],
        [write(CHUNKED, "00 C4 00 83 14 5A5A5A5A 00000000")],
    );
    ladder
}

fn waiting_for_tap() -> Ladder {
    let mut ladder = signed();
    ladder.assert([notify(CHUNKED, "10 00 C4 01 01")], []);
    ladder.assert([notify(AUTH, "10 83 01")], [Output::Ui(Notice::TapTheBand)]);
    ladder
}

#[test]
fn a_first_pairing_is_signed_tapped_and_proven() {
    let mut ladder = waiting_for_tap();
    ladder.assert([notify(AUTH, "10 01 01")], [write(AUTH, "82 14 02")]);
    assert_eq!(ladder.phone.stored_key(), Some(new_key()));
    let proof = ladder.go([notify(AUTH, RANDOM)]);
    assert!(matches!(&proof[..], [Output::Link(LinkCommand::Write { value, .. })] if value[..2] == [0x83, 0x14]));
    // The default epoch: 1970-01-01, a Thursday.
    ladder.assert([notify(AUTH, "10 83 01")], [request(TIME, "B2 07 01 01 00 00 00 04 00 00 00")]);
    ladder.assert([write_done(TIME, Ok(()))], [subscribe(CONFIG)]);
    ladder.assert([subscribed(CONFIG)], [subscribe(NFC)]);
    ladder.assert([subscribed(NFC)], [read(SERIAL)]);
    ladder.assert([read_done(SERIAL, b"5f00d0c0ffee")], [write(NFC, "01")]);
    ladder.go([notify(NFC, "81 00"), notify(NFC, "83 9000 0200")]);
    let cplc = [&[0x9F, 0x7F, 0x2A][..], &unit().cplc, &[0x90, 0x00]].concat();
    ladder.assert(world::rapdu(&cplc), [ask(Request::BindBand { unit: unit() })]);
    ladder.assert([reply(Reply::Done)], [sync()]);
    ladder.assert([reply(Reply::Done)], [list()]);
    ladder.assert([cards(&[])], [write(NFC, "02")]);
    ladder.assert([notify(NFC, "82 00")], [show(Shown::Done)]);
}

#[test]
fn acknowledgement_and_verdict_may_come_in_either_order() {
    let mut ladder = signed();
    ladder.assert([notify(AUTH, "10 83 01")], []);
    ladder.assert([notify(CHUNKED, "10 00 C4 01 01")], [Output::Ui(Notice::TapTheBand)]);
}

#[test]
fn the_band_denies_the_pairing() {
    waiting_for_tap().assert([notify(AUTH, "10 01 02")], [fail(Refusal::PairingDenied)]);
}

#[test]
fn nobody_taps_the_band() {
    let mut ladder = waiting_for_tap();
    ladder.wait(seconds(29), []);
    ladder.wait(seconds(1), [fail(Refusal::PairingTimeout)]);
    assert_eq!(ladder.phone.stored_key(), None);
}

#[test]
fn the_band_refuses_the_signature() {
    let mut ladder = signed();
    ladder.go([notify(CHUNKED, "10 00 C4 01 01")]);
    ladder.assert([notify(AUTH, "10 83 04")], [fail(Refusal::PairingFailed)]);
    signed().assert([notify(CHUNKED, "10 00 C4 04")], [fail(Refusal::PairingFailed)]);
    signed().assert([notify(CHUNKED, "10 00 82 01")], [fail(Refusal::PairingFailed)]);
}

#[test]
fn the_band_says_nothing_to_the_signature() {
    let mut ladder = signed();
    ladder.wait(seconds(6), [fail(Refusal::PairingFailed)]);
    let mut ladder = signed();
    ladder.go([notify(CHUNKED, "10 00 C4 01 01")]);
    ladder.wait(seconds(5), [fail(Refusal::PairingFailed)]);
}

#[test]
fn the_cloud_does_not_sign() {
    let mut ladder = probed();
    ladder.go([notify(AUTH, INFO), notify(AUTH, RANDOM)]);
    ladder.assert([refused(Refusal::UnknownUnit)], [fail(Refusal::UnknownUnit)]);
}

#[test]
fn a_band_that_knows_no_signatures_is_handed_a_key() {
    for answer in [Some("10 01 81 02"), Some("10 01 03"), None] {
        let mut ladder = probed();
        let outputs = match answer {
            Some(answer) => ladder.go([notify(AUTH, answer)]),
            None => {
                ladder.now = ladder.now + seconds(5);
                ladder.go([Input::Tick])
            }
        };
        let [Output::Link(LinkCommand::Write { characteristic: AUTH, value, .. }), Output::Ui(Notice::TapTheBand)] =
            &outputs[..]
        else {
            panic!("{outputs:?}");
        };
        let key = AuthKey(value[2..].try_into().expect("a key"));
        assert_eq!(value[..2], [0x01, 0x00]);
        ladder.assert([notify(AUTH, "10 01 01")], [write(AUTH, "02 00")]);
        assert_eq!(ladder.phone.stored_key(), Some(key));
    }
}

#[test]
fn a_link_lost_while_pairing_leaves_no_key() {
    let mut ladder = waiting_for_tap();
    ladder.assert([link_lost()], [fail(Refusal::Interrupted)]);
    assert_eq!(ladder.phone.stored_key(), None);
}

/// The band keeps the new key from the tap on, so the phone must too.
#[test]
fn a_link_lost_after_the_tap_keeps_the_key() {
    let mut ladder = waiting_for_tap();
    ladder.go([notify(AUTH, "10 01 01")]);
    ladder.assert([link_lost()], [fail(Refusal::Interrupted)]);
    assert_eq!(ladder.phone.stored_key(), Some(new_key()));
}

#[test]
fn a_band_that_is_asking_its_wearer_already_refuses() {
    probed().assert([notify(AUTH, "10 01 02")], [fail(Refusal::PairingFailed)]);
}

/// After a factory reset the stored key opens nothing; linking the band again pairs it anew.
#[test]
fn a_band_that_was_reset_is_paired_anew() {
    let mut ladder = Ladder::new();
    ladder.go([user(UserAction::LinkBand), connected(), subscribed(AUTH), subscribed(CHUNKED)]);
    ladder.assert([subscribed(EVENT)], [write(AUTH, "02 00")]);
    ladder.go([notify(AUTH, "10 02 01 000102030405060708090A0B0C0D0E0F")]);
    ladder.assert([notify(AUTH, "10 03 08")], [write(AUTH, "01 14")]);
}

#[test]
fn linking_a_band_whose_key_still_works_needs_no_tap() {
    let mut ladder = Ladder::new();
    let mut world = World::new(&[]);
    assert_eq!(ladder.play(&mut world, UserAction::LinkBand), Ok(Shown::Done));
    assert!(!world.seen.contains(&Output::Ui(Notice::TapTheBand)));
    assert_eq!(ladder.phone.stored_key(), Some(KEY));
}

/// R6: the band was another account's: its cards go before anything else happens.
#[test]
fn linking_another_accounts_band_cleans_it() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([user(UserAction::LinkBand)]);
    ladder.assert([write_done(TIME, Ok(()))], [ask(Request::BindBand { unit: unit() })]);
    ladder.assert([reply(job(4, &["80E40000"]))], [write(NFC, "01")]);
    ladder.assert([notify(NFC, "81 00")], [write(NFC, "03 80E40000 0400")]);
    ladder.assert([notify(NFC, "83 9000 0200")], [post(4, &[("", 0x9000)])]);
    ladder.assert([job_done(4, None)], [sync()]);
}

#[test]
fn linking_the_band_needs_an_account() {
    let mut ladder = Ladder::signed_out(PhoneConfig::default());
    ladder.assert([user(UserAction::LinkBand)], [fail(Refusal::NotSignedIn)]);
}

/// R11: the band is linked for everything but cards, and for cards once there is a Xiaomi account.
#[test]
fn a_band_linked_without_a_xiaomi_account_is_bound_when_there_is_one() {
    let mut ladder = Ladder::signed_out(PhoneConfig::default());
    ladder.go([user(sign_in("alice")), signed_in("alice", None)]);
    let mut world = World::new(&[]);
    assert_eq!(ladder.play(&mut world, UserAction::LinkBand), Ok(Shown::Done));
    assert!(world.seen.contains(&Output::Ui(Notice::LinkXiaomiAccount)));
    let bind = ask(Request::BindBand { unit: unit() });
    assert!(!world.seen.contains(&bind));
    ladder.go([user(UserAction::LinkXiaomiAccount { xiaomi: AccountId("alice".into()) })]);
    ladder.go([signed_in("alice", Some("alice")), user(UserAction::Refresh)]);
    ladder.go([read_done(SERIAL, b"5f00d0c0ffee"), notify(NFC, "81 00"), notify(NFC, "83 9000 0200")]);
    let cplc = [&[0x9F, 0x7F, 0x2A][..], &unit().cplc, &[0x90, 0x00]].concat();
    ladder.assert(world::rapdu(&cplc), [bind]);
    ladder.assert([reply(Reply::Done)], [sync()]);
    // Once is enough.
    ladder.go([reply(Reply::Done), cards(&[]), notify(NFC, "82 00")]);
    ladder.assert([user(UserAction::Refresh)], [sync()]);
}

#[test]
fn a_band_that_was_never_bound_is_unlinked_without_a_word_to_the_cloud() {
    let mut ladder = Ladder::signed_out(PhoneConfig::default());
    ladder.go([user(sign_in("alice")), signed_in("alice", None)]);
    assert_eq!(ladder.play(&mut World::new(&[]), UserAction::LinkBand), Ok(Shown::Done));
    let mut world = World::new(&[]);
    assert_eq!(ladder.play(&mut world, UserAction::UnlinkBand), Ok(Shown::Done));
    assert!(!world.seen.iter().any(|output| matches!(output, Output::Cloud(_))));
    assert_eq!(ladder.phone.stored_key(), None);
}

/// R6: the app warns, and lets go of the band all the same.
#[test]
fn unlinking_with_cards_in_the_band_warns() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([link_lost()]);
    ladder.assert([user(UserAction::UnlinkBand)], [list()]);
    ladder.assert(
        [cards(&[card("a", CardState::Active), card("b", CardState::Dead)])],
        [Output::Ui(Notice::DeleteCardsFirst { cards: 2 }), ask(Request::UnbindBand { unit: unit() })],
    );
    ladder.assert([reply(Reply::Done)], [show(Shown::Done)]);
    assert_eq!((ladder.phone.stored_key(), ladder.phone.unit()), (None, None));
    assert!(ladder.phone.card_list().is_empty());
}

#[test]
fn unlinking_an_empty_band_does_not_warn() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([user(UserAction::UnlinkBand)]);
    ladder.assert([cards(&[])], [ask(Request::UnbindBand { unit: unit() })]);
    ladder.assert([reply(Reply::Done)], [disconnect(), show(Shown::Done)]);
}

#[test]
fn a_band_that_could_not_be_unbound_stays_linked() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([user(UserAction::UnlinkBand), cards(&[])]);
    ladder.assert([CLOUD_LOST], [fail(Refusal::Interrupted)]);
    assert_eq!(ladder.phone.stored_key(), Some(KEY));
}
