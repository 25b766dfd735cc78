//! Adding a card, and every way it can fail (R10).

use super::*;

const SCRIPT: &str = "00A40400";
const SCRIPT_FRAGMENT: &str = "03 00A40400 0400";
const OK: &str = "83 9000 0200";

fn new_card() -> CardView {
    card("new", CardState::WaitingForCode)
}

/// The bank was asked for a card.
fn asked() -> Ladder {
    let mut ladder = Ladder::ready(&[]);
    ladder.assert([user(add_card())], [progress(1), ask_for_card()]);
    ladder
}

/// The first command of the script is on its way.
fn exchanging() -> Ladder {
    let mut ladder = asked();
    ladder.assert([reply(job(1, &[SCRIPT, SCRIPT]))], [progress(20), write(NFC, "01")]);
    ladder.assert([notify(NFC, "81 00")], [write(NFC, SCRIPT_FRAGMENT)]);
    ladder
}

/// The answers to the last batch were posted.
fn posted() -> Ladder {
    let mut ladder = exchanging();
    ladder.assert([notify(NFC, OK)], [write(NFC, SCRIPT_FRAGMENT)]);
    ladder.assert([notify(NFC, OK)], [post(1, &[("", 0x9000), ("", 0x9000)])]);
    ladder
}

/// From the cancelled job to the end, with the link up and the bank's list as given.
#[track_caller]
fn cleans_up(ladder: &mut Ladder, refusal: Refusal) {
    ladder.assert([reply(Reply::Done)], [write(NFC, "02")]);
    agrees_after(ladder, [notify(NFC, "82 00")], refusal);
}

#[track_caller]
fn agrees_after(ladder: &mut Ladder, inputs: impl IntoIterator<Item = Input>, refusal: Refusal) {
    ladder.assert(inputs, [sync()]);
    ladder.assert([reply(job(2, &["80E40000"]))], [write(NFC, "01")]);
    ladder.assert([notify(NFC, "81 00")], [write(NFC, "03 80E40000 0400")]);
    ladder.assert([notify(NFC, OK)], [post(2, &[("", 0x9000)])]);
    ladder.assert([job_done(2, None)], [list()]);
    ladder.assert([cards(&[])], [write(NFC, "02")]);
    ladder.assert([notify(NFC, "82 00")], [fail(refusal)]);
}

/// The next connection, up to the agreement.
#[track_caller]
fn reconnects(ladder: &mut Ladder, then: Output) {
    ladder.assert([user(UserAction::Refresh)], [connect()]);
    ladder.go([connected(), subscribed(AUTH), subscribed(CHUNKED), subscribed(EVENT)]);
    ladder.go([notify(AUTH, "10 02 01 000102030405060708090A0B0C0D0E0F"), notify(AUTH, "10 03 01")]);
    ladder.go([subscribed(CONFIG), subscribed(NFC)]);
    ladder.assert([read_done(SERIAL, b"5f00d0c0ffee")], [then]);
}

#[test]
fn adding_a_card_runs_the_banks_scripts_and_tells_the_menu() {
    let mut ladder = posted();
    ladder.assert([reply(job(1, &[SCRIPT]))], [progress(40), write(NFC, SCRIPT_FRAGMENT)]);
    ladder.assert([notify(NFC, OK)], [post(1, &[("", 0x9000)])]);
    ladder.assert(
        [job_done(1, Some(new_card()))],
        [progress(100), write(CHUNKED, "00 C2 00 06 1C 00 01 03 09 A0 00 00 00 04 10 10 00 01")],
    );
    ladder.assert([notify(CHUNKED, "10 00 C2 01 01")], [write(NFC, "02")]);
    ladder.assert([notify(NFC, "82 00")], [show(Shown::CardAdded { card: new_card() })]);
    assert_eq!(ladder.phone.card_list(), [new_card()]);
}

/// R10: from then on the card waits for its code: neither the menu nor the foreground can undo it.
#[test]
fn a_card_that_waits_for_its_code_is_added_whatever_follows() {
    let ladder = {
        let mut ladder = posted();
        ladder.go([job_done(1, Some(new_card()))]);
        ladder
    };
    let mut unheard = ladder.clone();
    unheard.wait(seconds(6), [write(NFC, "02")]);
    unheard.assert([notify(NFC, "82 00")], [show(Shown::CardAdded { card: new_card() })]);
    ladder.clone().assert([link_lost()], [show(Shown::CardAdded { card: new_card() })]);
    let mut left = ladder.clone();
    left.assert([Input::Foreground(false)], []);
    left.assert([notify(CHUNKED, "10 00 C2 01 01")], [write(NFC, "02")]);
    left.assert([notify(NFC, "82 00")], [show(Shown::CardAdded { card: new_card() })]);
    let mut stuck = ladder.clone();
    stuck.go([notify(CHUNKED, "10 00 C2 01 01")]);
    stuck.wait(seconds(10), [disconnect(), show(Shown::CardAdded { card: new_card() })]);
}

#[test]
fn the_bank_refuses_a_card() {
    let mut ladder = asked();
    ladder.assert([refused(Refusal::CardLimit)], [fail(Refusal::CardLimit)]);
    // Nothing was begun, so nothing is cleaned.
    ladder.assert([user(add_card())], [progress(1), ask_for_card()]);
}

#[test]
fn a_card_is_added_in_the_foreground_only() {
    let mut ladder = Ladder::ready(&[]);
    ladder.assert([Input::Foreground(false), user(add_card())], [fail(Refusal::NotInForeground)]);
    ladder.assert([Input::Foreground(true), user(add_card())], [progress(1), ask_for_card()]);
}

#[test]
fn leaving_the_app_in_an_exchange_undoes_the_card() {
    let mut ladder = exchanging();
    ladder.assert([Input::Foreground(false)], [cancel(1)]);
    // What the band still answers is dropped.
    ladder.assert([notify(NFC, OK)], []);
    cleans_up(&mut ladder, Refusal::Interrupted);
    assert!(ladder.phone.card_list().is_empty());
}

#[test]
fn leaving_the_app_while_the_channel_opens_undoes_the_card() {
    let mut ladder = asked();
    ladder.go([reply(job(1, &[SCRIPT]))]);
    ladder.assert([Input::Foreground(false)], [cancel(1)]);
    cleans_up(&mut ladder, Refusal::Interrupted);
}

/// Only the answer tells which job must be cancelled.
#[test]
fn leaving_the_app_while_the_bank_is_asked_undoes_the_card() {
    let mut ladder = asked();
    ladder.assert([Input::Foreground(false)], []);
    ladder.assert([reply(job(1, &[SCRIPT]))], [cancel(1)]);
    agrees_after(&mut ladder, [reply(Reply::Done)], Refusal::Interrupted);
}

#[test]
fn leaving_the_app_between_two_batches_undoes_the_card() {
    let mut ladder = posted();
    ladder.assert([Input::Foreground(false)], []);
    ladder.assert([reply(job(1, &[SCRIPT]))], [cancel(1)]);
    cleans_up(&mut ladder, Refusal::Interrupted);
}

/// The bank was done when it heard nothing of it: the card is whole, but nobody was told, so it goes.
#[test]
fn leaving_the_app_at_the_very_end_removes_the_finished_card() {
    let mut ladder = posted();
    ladder.assert([Input::Foreground(false)], []);
    ladder.assert([job_done(1, Some(new_card()))], [write(NFC, "02")]);
    ladder.assert([notify(NFC, "82 00")], [sync()]);
    ladder.assert([reply(Reply::Done)], [list()]);
    ladder.assert([cards(&[new_card()])], [ask(Request::RemoveCard { card: card_id("new") })]);
    ladder.assert([reply(job(3, &["80E40000"]))], [write(NFC, "01")]);
    ladder.assert([notify(NFC, "81 00")], [write(NFC, "03 80E40000 0400")]);
    ladder.assert([notify(NFC, OK)], [post(3, &[("", 0x9000)])]);
    ladder.assert([job_done(3, None)], [list()]);
    ladder.assert([cards(&[])], [write(NFC, "02")]);
    ladder.assert([notify(NFC, "82 00")], [fail(Refusal::Interrupted)]);
}

#[test]
fn leaving_the_app_before_the_bank_is_asked_begins_nothing() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([link_lost()]);
    ladder.assert([user(add_card())], [connect()]);
    ladder.assert([Input::Foreground(false)], [fail(Refusal::Interrupted)]);
    ladder.go([Input::Foreground(true), user(add_card()), connected()]);
    ladder.assert([Input::Foreground(false)], [disconnect(), fail(Refusal::Interrupted)]);
}

#[test]
fn a_grace_lets_the_person_come_back() {
    let config = PhoneConfig { stored_key: Some(KEY), foreground_grace: seconds(2), ..PhoneConfig::default() };
    let mut ladder = Ladder::with(config);
    let mut world = World::new(&[]);
    assert_eq!(ladder.play(&mut world, UserAction::Refresh), Ok(Shown::Done));
    ladder.go([user(add_card()), reply(job(1, &[SCRIPT])), notify(NFC, "81 00")]);
    ladder.assert([Input::Foreground(false)], []);
    ladder.wait(seconds(1), []);
    ladder.assert([Input::Foreground(true), Input::Foreground(false)], []);
    ladder.wait(seconds(1), []);
    ladder.wait(seconds(1), [cancel(1)]);
}

#[test]
fn waiting_for_the_code_in_the_background_is_harmless() {
    let mut ladder = Ladder::ready(&[new_card()]);
    let code = UserAction::RequestCode { card: card_id("new"), method: Default::default() };
    ladder.go([Input::Foreground(false), user(code)]);
    let sent = Reply::CodeSent { requests_left: 2, valid_for: seconds(600) };
    ladder.assert([reply(sent)], [show(Shown::CodeSent { requests_left: 2, valid_for: seconds(600) })]);
}

#[test]
fn a_lost_link_is_cleaned_up_at_the_next_connection() {
    let mut ladder = exchanging();
    ladder.assert([link_lost()], [cancel(1)]);
    ladder.assert([reply(Reply::Done)], [fail(Refusal::Interrupted)]);
    reconnects(&mut ladder, sync());
}

#[test]
fn a_job_that_could_not_be_cancelled_is_cancelled_before_anything_else() {
    let mut ladder = exchanging();
    ladder.assert([link_lost()], [cancel(1)]);
    ladder.assert([CLOUD_LOST], [fail(Refusal::Interrupted)]);
    reconnects(&mut ladder, cancel(1));
    ladder.assert([CLOUD_LOST], [fail(Refusal::Interrupted)]);
    ladder.assert([user(UserAction::Refresh)], [cancel(1)]);
    ladder.assert([refused(Refusal::UnknownJob)], [sync()]);
}

#[test]
fn a_link_lost_while_the_bank_is_asked_undoes_the_card() {
    let mut ladder = asked();
    ladder.assert([link_lost()], []);
    ladder.assert([reply(job(1, &[SCRIPT]))], [progress(20), cancel(1)]);
    ladder.assert([reply(Reply::Done)], [fail(Refusal::Interrupted)]);
}

/// Everything is in the band and the bank knows it: the card waits for its code.
#[test]
fn a_link_lost_while_the_last_answers_are_posted_does_no_harm() {
    let mut ladder = posted();
    ladder.assert([link_lost()], []);
    ladder.assert([job_done(1, Some(new_card()))], [progress(100), show(Shown::CardAdded { card: new_card() })]);
}

#[test]
fn a_lost_cloud_is_asked_for_nothing_it_did_not_begin() {
    let mut ladder = asked();
    ladder.assert([CLOUD_LOST], [sync()]);
    // Still lost: the rest is left to the next agreement.
    ladder.assert([CLOUD_LOST], [fail(Refusal::Interrupted)]);
    ladder.assert([user(UserAction::Refresh)], [sync()]);
}

#[test]
fn a_card_whose_last_answer_was_lost_is_removed() {
    let mut ladder = posted();
    ladder.assert([CLOUD_LOST], [cancel(1)]);
    ladder.assert([refused(Refusal::UnknownJob)], [write(NFC, "02")]);
    ladder.assert([notify(NFC, "82 00")], [sync()]);
    ladder.assert([reply(Reply::Done)], [list()]);
    ladder.assert([cards(&[new_card()])], [ask(Request::RemoveCard { card: card_id("new") })]);
    ladder.assert([reply(Reply::Done)], [list()]);
    ladder.assert([cards(&[])], [fail(Refusal::Interrupted)]);
}

#[test]
fn a_bank_that_refuses_the_answers_has_ended_the_job() {
    let mut ladder = exchanging();
    ladder.assert([notify(NFC, "83 6A84 0200")], [post(1, &[("", 0x6A84)])]);
    ladder.assert([refused(Refusal::UnexpectedStatusWord)], [write(NFC, "02")]);
    agrees_after(&mut ladder, [notify(NFC, "82 00")], Refusal::UnexpectedStatusWord);
}

#[test]
fn the_channel_does_not_open() {
    let mut ladder = asked();
    ladder.go([reply(job(1, &[SCRIPT]))]);
    ladder.assert([notify(NFC, "81 25")], [cancel(1)]);
    agrees_after(&mut ladder, [reply(Reply::Done)], Refusal::NfcChannel);
}

#[test]
fn the_channel_closes_by_itself() {
    let mut ladder = exchanging();
    ladder.assert([notify(NFC, "82 02")], [cancel(1)]);
    agrees_after(&mut ladder, [reply(Reply::Done)], Refusal::NfcChannel);
}

/// A new channel would find another session: the job cannot go on.
#[test]
fn a_channel_that_closes_between_two_batches_ends_the_job() {
    let mut ladder = posted();
    ladder.assert([notify(NFC, "82 02")], []);
    ladder.assert([reply(job(1, &[SCRIPT]))], [progress(40), cancel(1)]);
    agrees_after(&mut ladder, [reply(Reply::Done)], Refusal::NfcChannel);
}

#[test]
fn a_band_that_falls_silent_is_disconnected() {
    let mut ladder = exchanging();
    ladder.wait(seconds(59), []);
    ladder.wait(seconds(1), [cancel(1)]);
    ladder.assert([reply(Reply::Done)], [write(NFC, "02")]);
    ladder.wait(seconds(10), [disconnect(), fail(Refusal::TransmitFailed)]);
}

#[test]
fn the_bank_is_asked_again_while_its_data_is_not_ready_but_not_for_ever() {
    let not_ready = |after| reply(Reply::NotReady { job: JobId(1), retry_after: seconds(after) });
    let ask_again = || ask(Request::Continue { job: JobId(1) });
    let mut ladder = posted();
    ladder.assert([not_ready(1)], []);
    ladder.wait(seconds(1), [ask_again()]);
    for _ in 1..10 {
        ladder.assert([not_ready(60)], []);
        ladder.wait(seconds(3), []);
        ladder.wait(seconds(1), [ask_again()]);
    }
    let mut lucky = ladder.clone();
    lucky.assert([reply(job(1, &[SCRIPT]))], [progress(40), write(NFC, SCRIPT_FRAGMENT)]);
    ladder.assert([not_ready(4)], [cancel(1)]);
    cleans_up(&mut ladder, Refusal::DataNotReady);
}

#[test]
fn leaving_the_app_while_the_banks_data_is_not_ready_undoes_the_card() {
    let mut ladder = posted();
    ladder.go([reply(Reply::NotReady { job: JobId(1), retry_after: seconds(4) })]);
    ladder.assert([Input::Foreground(false)], [cancel(1)]);
    cleans_up(&mut ladder, Refusal::Interrupted);
}

#[test]
fn a_failed_add_can_be_repeated_at_once() {
    let mut ladder = exchanging();
    ladder.go([Input::Foreground(false)]);
    cleans_up_quietly(&mut ladder);
    ladder.assert([Input::Foreground(true), user(add_card())], [progress(1), ask_for_card()]);
}

fn cleans_up_quietly(ladder: &mut Ladder) {
    ladder.go([reply(Reply::Done), notify(NFC, "82 00"), reply(Reply::Done), cards(&[])]);
}

/// The job of an agreement is not the add: its end neither shows progress nor lets the person leave.
#[test]
fn the_agreement_before_an_add_belongs_to_it() {
    let mut ladder = Ladder::ready(&[]);
    ladder.go([link_lost(), user(add_card())]);
    ladder.go([connected(), subscribed(AUTH), subscribed(CHUNKED), subscribed(EVENT)]);
    ladder.go([notify(AUTH, "10 02 01 000102030405060708090A0B0C0D0E0F"), notify(AUTH, "10 03 01")]);
    ladder.go([subscribed(CONFIG), subscribed(NFC)]);
    ladder.assert([read_done(SERIAL, b"5f00d0c0ffee")], [sync()]);
    ladder.go([reply(job(9, &[SCRIPT])), notify(NFC, "81 00"), notify(NFC, OK)]);
    ladder.assert([job_done(9, None)], [list()]);
    ladder.assert([Input::Foreground(false)], []);
    ladder.assert([cards(&[])], [write(NFC, "02")]);
    ladder.assert([notify(NFC, "82 00")], [fail(Refusal::Interrupted)]);
}

#[test]
fn a_cloud_that_never_ends_a_job_is_given_up() {
    let mut ladder = asked();
    ladder.go([reply(job(1, &[])), notify(NFC, "81 00")]);
    let mut outputs = vec![];
    for _ in 0..300 {
        outputs = ladder.go([reply(job(1, &[]))]);
        if outputs == [cancel(1)] {
            return;
        }
    }
    panic!("still running: {outputs:?}");
}
