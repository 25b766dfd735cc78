//! Codes, removing, ordering, looking; accounts and app versions.

use super::*;
use crate::cloud::api::OtpMethod;

const ORDER_SCRIPT: &str = "80F00800";

fn remove(name: &str) -> UserAction {
    UserAction::RemoveCard { card: card_id(name) }
}

fn ask_to_remove(name: &str) -> Output {
    ask(Request::RemoveCard { card: card_id(name) })
}

fn enter_code() -> UserAction {
    UserAction::EnterCode { card: card_id("a"), code: "123456".into() }
}

fn hand_in_code() -> Output {
    ask(Request::EnterCode { card: card_id("a"), code: "123456".into(), unit: unit() })
}

fn confirmed(on_band: bool) -> Output {
    show(Shown::Confirmed { card: card_id("a"), on_band })
}

/// Runs the one-command script of a job up to its end.
fn runs(ladder: &mut Ladder, number: u32) {
    ladder.assert([reply(job(number, &[ORDER_SCRIPT]))], [write(NFC, "01")]);
    ladder.assert([notify(NFC, "81 00")], [write(NFC, "03 80F00800 0400")]);
    ladder.assert([notify(NFC, "83 9000 0200")], [post(number, &[("", 0x9000)])]);
}

#[test]
fn a_card_is_removed_from_bank_band_and_app() {
    let mut ladder = Ladder::ready(&[card("a", CardState::Active)]);
    ladder.assert([user(remove("a"))], [ask_to_remove("a")]);
    runs(&mut ladder, 5);
    ladder.assert([job_done(5, None)], [write(CHUNKED, "00 C2 00 06 1C 00 02 03 09 A0 00 00 00 04 10 10 00 01")]);
    ladder.assert([notify(CHUNKED, "10 00 C2 01 01")], [write(NFC, "02")]);
    ladder.assert([notify(NFC, "82 00")], [show(Shown::Removed { card: card_id("a"), pending: false })]);
    assert!(ladder.phone.card_list().is_empty());
}

/// R7: the token dies before the app looks for the band.
#[test]
fn a_card_of_a_lost_band_dies_at_once_and_leaves_the_band_later() {
    let mut ladder = Ladder::ready(&[card("a", CardState::Active)]);
    ladder.go([link_lost()]);
    ladder.assert([user(remove("a"))], [ask_to_remove("a")]);
    ladder.assert([reply(job(5, &[ORDER_SCRIPT]))], [cancel(5)]);
    ladder.assert([reply(Reply::Done)], [connect()]);
    ladder.assert([connect_failed()], [show(Shown::Removed { card: card_id("a"), pending: true })]);
    // R13: out of reach, the app's own list says so.
    assert_eq!(ladder.phone.card_list()[0].state, CardState::Deleting);
}

#[test]
fn a_card_of_a_band_that_comes_back_in_time_is_removed_for_good() {
    let mut ladder = Ladder::ready(&[card("a", CardState::Active)]);
    ladder.go([link_lost()]);
    let mut world = World::new(&[]);
    let removed = Shown::Removed { card: card_id("a"), pending: false };
    assert_eq!(ladder.play(&mut world, remove("a")), Ok(removed));
}

#[test]
fn a_link_lost_while_removing_leaves_the_rest_for_later() {
    let mut ladder = Ladder::ready(&[card("a", CardState::Active)]);
    ladder.go([user(remove("a")), reply(job(5, &[ORDER_SCRIPT])), notify(NFC, "81 00")]);
    ladder.assert([link_lost()], [cancel(5)]);
    ladder.assert([reply(Reply::Done)], [show(Shown::Removed { card: card_id("a"), pending: true })]);
}

#[test]
fn a_removal_the_band_refuses_is_tried_once_more() {
    let mut ladder = Ladder::ready(&[card("a", CardState::Active)]);
    ladder.go([user(remove("a")), reply(job(5, &[ORDER_SCRIPT])), notify(NFC, "81 00")]);
    ladder.assert([notify(NFC, "83 6985 0200")], [post(5, &[("", 0x6985)])]);
    ladder.assert([refused(Refusal::UnexpectedStatusWord)], [write(NFC, "02")]);
    ladder.assert([notify(NFC, "82 00")], [sync()]);
    let mut refused_again = ladder.clone();
    refused_again
        .assert([refused(Refusal::BandNotBound)], [show(Shown::Removed { card: card_id("a"), pending: true })]);
    ladder.assert([reply(Reply::Done)], [list()]);
    ladder.assert([cards(&[])], [show(Shown::Removed { card: card_id("a"), pending: false })]);
}

#[test]
fn a_card_the_bank_does_not_know_is_not_removed() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([user(remove("x"))]);
    ladder.assert([refused(Refusal::UnknownCard)], [fail(Refusal::UnknownCard)]);
}

/// R2: the bank's instant of receipt decides, so nothing comes before the code, not even the connection.
#[test]
fn a_code_goes_to_the_bank_before_anything_else() {
    let mut ladder = Ladder::ready(&[card("a", CardState::WaitingForCode)]);
    ladder.go([link_lost()]);
    ladder.assert([user(enter_code())], [hand_in_code()]);
    ladder.assert([reply(job(6, &[ORDER_SCRIPT]))], [cancel(6)]);
    ladder.assert([reply(Reply::Done)], [connect()]);
    ladder.assert([connect_failed()], [confirmed(false)]);
    assert_eq!(ladder.phone.card_list()[0].state, CardState::Active);
}

#[test]
fn a_phone_that_has_not_seen_its_band_hands_the_code_in_all_the_same() {
    let mut ladder = Ladder::new();
    let unit = Unit { serial: String::new(), cplc: vec![] };
    let request = Request::EnterCode { card: card_id("a"), code: "123456".into(), unit };
    ladder.assert([user(enter_code())], [ask(request)]);
    ladder.assert([reply(Reply::Done)], [connect()]);
    ladder.assert([connect_failed()], [confirmed(false)]);
}

#[test]
fn a_right_code_activates_the_card_on_the_band() {
    let mut ladder = Ladder::ready(&[card("a", CardState::WaitingForCode)]);
    ladder.assert([user(enter_code())], [hand_in_code()]);
    runs(&mut ladder, 6);
    ladder.assert(
        [job_done(6, Some(card("a", CardState::Active)))],
        [write(CHUNKED, "00 C2 00 06 1C 00 01 03 09 A0 00 00 00 04 10 10 00 01")],
    );
    ladder.assert([notify(CHUNKED, "10 00 C2 01 01")], [write(NFC, "02")]);
    ladder.assert([notify(NFC, "82 00")], [confirmed(true)]);
    assert!(ladder.phone.card_list()[0].history);
}

#[test]
fn a_code_the_band_must_be_seen_for_looks_for_it() {
    let mut ladder = Ladder::ready(&[card("a", CardState::WaitingForCode)]);
    ladder.go([user(enter_code())]);
    ladder.assert([reply(Reply::Done)], [sync()]);
    ladder.assert([reply(Reply::Done)], [list()]);
    ladder.assert([cards(&[card("a", CardState::Active)])], [confirmed(true)]);
}

#[test]
fn what_the_bank_says_to_a_code_is_shown_as_it_is() {
    for refusal in [Refusal::CodeWrong, Refusal::CodeExpired, Refusal::TooManyFailures, Refusal::AlreadyConfirmed] {
        let mut ladder = Ladder::ready(&[card("a", CardState::WaitingForCode)]);
        ladder.go([user(enter_code())]);
        ladder.assert([refused(refusal)], [fail(refusal)]);
    }
}

#[test]
fn a_code_is_requested_from_the_bank_alone() {
    let mut ladder = Ladder::ready(&[card("a", CardState::WaitingForCode)]);
    ladder.go([link_lost()]);
    let action = UserAction::RequestCode { card: card_id("a"), method: OtpMethod::Tel };
    let request = Request::RequestCode { card: card_id("a"), method: OtpMethod::Tel };
    ladder.assert([user(action.clone())], [ask(request)]);
    let sent = Reply::CodeSent { requests_left: 1, valid_for: seconds(600) };
    ladder.assert([reply(sent)], [show(Shown::CodeSent { requests_left: 1, valid_for: seconds(600) })]);
    assert_eq!(ladder.phone.card_list()[0].requests_left, 1);
    ladder.go([user(action)]);
    ladder.assert([refused(Refusal::TooManyRequests)], [fail(Refusal::TooManyRequests)]);
}

#[test]
fn the_cards_are_put_into_another_order() {
    let (a, b) = (card("a", CardState::Active), card("b", CardState::Active));
    let mut ladder = Ladder::ready(&[a.clone(), card("w", CardState::WaitingForCode), b.clone()]);
    let order = vec![card_id("b"), card_id("a")];
    ladder.assert([user(UserAction::SetOrder { cards: order.clone() })], [ask(Request::SetOrder { cards: order })]);
    runs(&mut ladder, 7);
    ladder.assert([job_done(7, None)], [write(CHUNKED, "00 C2 00 06 1C 00 03 03 09 A0 00 00 00 04 10 10 00 01")]);
    ladder.go([notify(CHUNKED, "10 00 C2 01 01")]);
    ladder.assert([notify(NFC, "82 00")], [show(Shown::Done)]);
    assert_eq!(ladder.phone.card_list(), [b, a, card("w", CardState::WaitingForCode)]);
}

#[test]
fn an_order_the_band_did_not_take_is_set_right() {
    let mut ladder = Ladder::ready(&[card("a", CardState::Active)]);
    ladder.go([user(UserAction::SetOrder { cards: vec![card_id("a")] }), reply(job(7, &[ORDER_SCRIPT]))]);
    ladder.assert([notify(NFC, "81 01")], [cancel(7)]);
    ladder.assert([reply(Reply::Done)], [sync()]);
    ladder.assert([reply(Reply::Done)], [list()]);
    ladder.assert([cards(&[])], [fail(Refusal::NfcChannel)]);
}

#[test]
fn an_order_needs_the_band() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([link_lost(), user(UserAction::SetOrder { cards: vec![] })]);
    ladder.assert([connect_failed()], [fail(Refusal::OutOfReach)]);
}

#[test]
fn the_card_list_agrees_with_the_band_first() {
    let mut ladder = Ladder::ready(&[]);
    ladder.assert([user(UserAction::CardList)], [sync()]);
    ladder.assert([reply(Reply::Done)], [list()]);
    let shown = vec![card("a", CardState::Suspended)];
    ladder.assert([cards(&shown)], [show(Shown::Cards { cards: shown })]);
}

/// R13: out of reach, the bank is authoritative.
#[test]
fn out_of_reach_the_card_list_is_the_banks() {
    let mut ladder = Ladder::ready(&[card("a", CardState::Active)]);
    ladder.go([link_lost(), user(UserAction::CardList)]);
    ladder.assert([connect_failed()], [list()]);
    let deleting = vec![card("a", CardState::Deleting)];
    ladder.assert([cards(&deleting)], [show(Shown::Cards { cards: deleting.clone() })]);
    ladder.go([user(UserAction::CardList), connect_failed()]);
    ladder.assert([CLOUD_LOST], [show(Shown::Cards { cards: deleting })]);
}

#[test]
fn old_tokens_are_worth_a_word() {
    let old = CardView { old_service: true, ..card("a", CardState::Active) };
    let mut ladder = Ladder::ready(&[]);
    ladder.go([user(UserAction::CardList), reply(Reply::Done)]);
    let outputs = [Output::Ui(Notice::ServiceUpdate), show(Shown::Cards { cards: vec![old.clone()] })];
    ladder.assert([cards(&[old])], outputs);
}

/// R12: the cloud hears the version; the app says what to do when it is too old.
#[test]
fn an_updated_app_says_so() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([user(add_card())]);
    ladder.assert(
        [refused(Refusal::ServiceUpdateRequired)],
        [Output::Ui(Notice::ServiceUpdate), fail(Refusal::ServiceUpdateRequired)],
    );
    ladder.assert([user(UserAction::UpdateApp { version: AppVersion(5, 0, 0) })], [show(Shown::Done)]);
    let outputs = ladder.go([user(UserAction::Refresh)]);
    assert!(matches!(&outputs[..], [Output::Cloud(Envelope { app_version: AppVersion(5, 0, 0), .. })]));
}

fn card_functions() -> [UserAction; 7] {
    [
        add_card(),
        UserAction::RequestCode { card: card_id("a"), method: OtpMethod::Sms },
        enter_code(),
        remove("a"),
        UserAction::SetOrder { cards: vec![] },
        UserAction::CardList,
        UserAction::History { card: card_id("a") },
    ]
}

/// R11: no card function works without a Xiaomi account, and the app asks for one.
#[test]
fn card_functions_need_a_xiaomi_account() {
    for action in card_functions() {
        let mut ladder = Ladder::signed_out(PhoneConfig { stored_key: Some(KEY), ..PhoneConfig::default() });
        ladder.assert([user(action.clone())], [fail(Refusal::NotSignedIn)]);
        ladder.go([user(sign_in("bob")), signed_in("bob", None)]);
        ladder.assert([user(action)], [Output::Ui(Notice::LinkXiaomiAccount), fail(Refusal::XiaomiAccountRequired)]);
    }
}

#[test]
fn linking_a_xiaomi_account_opens_the_card_functions() {
    let mut ladder = Ladder::signed_out(PhoneConfig { stored_key: Some(KEY), ..PhoneConfig::default() });
    let link = UserAction::LinkXiaomiAccount { xiaomi: AccountId("alice".into()) };
    ladder.assert([user(link.clone())], [fail(Refusal::NotSignedIn)]);
    ladder.go([user(sign_in("bob")), signed_in("bob", None), user(link)]);
    let alice = || AccountId("alice".into());
    let shown = Shown::SignedIn { account: alice(), xiaomi: Some(alice()) };
    ladder.assert([signed_in("alice", Some("alice"))], [show(shown)]);
    ladder.assert([user(UserAction::CardList)], [connect()]);
}

#[test]
fn without_a_xiaomi_account_the_app_opens_all_the_same() {
    let mut ladder = Ladder::signed_out(PhoneConfig { stored_key: Some(KEY), ..PhoneConfig::default() });
    ladder.go([user(sign_in("bob")), signed_in("bob", None)]);
    let mut world = World::new(&[]);
    assert_eq!(ladder.play(&mut world, UserAction::Refresh), Ok(Shown::Done));
    assert!(!world.seen.iter().any(|output| matches!(output, Output::Cloud(_))));
}

#[test]
fn an_unknown_account_is_not_signed_in() {
    let mut ladder = Ladder::signed_out(PhoneConfig::default());
    ladder.go([user(sign_in("nobody"))]);
    ladder.assert([refused(Refusal::UnknownAccount)], [fail(Refusal::UnknownAccount)]);
    ladder.assert([user(UserAction::CardList)], [fail(Refusal::NotSignedIn)]);
}

#[test]
fn another_account_does_not_see_the_cards_of_the_last() {
    let mut ladder = Ladder::ready(&[card("a", CardState::Active)]);
    ladder.assert([user(UserAction::SignOut)], [show(Shown::Done)]);
    assert!(ladder.phone.card_list().is_empty());
    ladder.go([user(sign_in("alice")), signed_in("alice", Some("alice"))]);
    // R13: and the band is looked at anew.
    ladder.assert([user(UserAction::SetOrder { cards: vec![] })], [sync()]);
}
