//! Payments with a kernel 2 card.

use std::time::Duration;

use band_sim::wire::tag;

use super::*;
use crate::terminal::io::Cvm;
use crate::terminal::ui::Message;

fn command(text: &str) -> Vec<Output> {
    vec![Output::Command(hex(text))]
}

#[test]
fn a_plain_payment_goes_online_step_by_step() {
    let mut till = Till::new(config("corner-shop"));
    assert_eq!(till.start(420), command("00 A4 04 00 0E 32 50 41 59 2E 53 59 53 2E 44 44 46 30 31 00"));
    assert_eq!(
        till.handle(answer(
            "6F 25 84 0E 32 50 41 59 2E 53 59 53 2E 44 44 46 30 31 A5 13 BF 0C 10 61 0E \
             4F 09 A0 00 00 00 04 10 10 00 01 87 01 01 90 00"
        )),
        command("00 A4 04 00 09 A0 00 00 00 04 10 10 00 01 00")
    );
    assert_eq!(
        till.handle(answer("6F 14 84 09 A0 00 00 00 04 10 10 00 01 A5 07 50 05 44 45 42 49 54 90 00")),
        command("80 A8 00 00 02 83 00 00")
    );
    assert_eq!(till.handle(answer("77 0A 82 02 18 80 94 04 08 01 01 00 90 00")), command("00 B2 01 0C 00"));
    assert_eq!(
        till.handle(answer(
            "70 42 57 0D 54 13 33 00 89 01 04 34 D2 91 22 01 0F 5A 08 54 13 33 00 89 01 04 34 5F 24 03 29 12 31 \
             5F 34 01 01 8C 0F 9F 02 06 95 05 9A 03 9C 01 9F 37 04 9F 34 03 8E 0C 00 00 00 00 00 00 00 00 42 03 1F 03 90 00"
        )),
        // ODA not performed, floor limit exceeded, no relay resistance; no CVM, rule 2.
        command("80 AE 80 00 16 00 00 00 00 04 20 80 00 00 80 01 25 06 15 00 52 BF 45 85 1F 03 02 00")
    );
    let online = till.handle(answer("80 12 80 00 07 11 22 33 44 55 66 77 88 06 01 0A 03 A0 20 00 90 00"));
    let [Output::Online(authorisation)] = &online[..] else { panic!("{online:?}") };
    assert_eq!(
        Hex(authorisation.chip_data.clone()).to_string(),
        "9F 26 08 11 22 33 44 55 66 77 88 9F 27 01 80 9F 10 07 06 01 0A 03 A0 20 00 9F 37 04 52 BF 45 85 9F 36 02 00 07 \
         95 05 80 00 00 80 01 9A 03 25 06 15 9C 01 00 9F 02 06 00 00 00 00 04 20 5F 2A 02 09 78 82 02 18 80 9F 1A 02 04 28 \
         9F 34 03 1F 03 02 9F 03 06 00 00 00 00 00 00 84 09 A0 00 00 00 04 10 10 00 01 9F 33 03 20 08 08 9F 35 01 22 \
         9F 09 02 00 02 9F 39 01 07 5F 34 01 01"
    );
    assert_eq!(authorisation.track2, hex("54 13 33 00 89 01 04 34 D2 91 22 01 0F"));
    assert_eq!((authorisation.pan_sequence, authorisation.online_pin.as_deref()), (Some(1), None));
    let receipt = Receipt {
        outcome: Outcome::Approved,
        reason: "the issuer approved (00)".into(),
        message: Message::Approved,
        cvm: Cvm::None,
        online: true,
        merchant: "Corner Shop, Riga".into(),
        terminal_id: "CORNER01".into(),
        amount: "4.20 EUR".into(),
        local_time: "2025-06-15 14:00:00".into(),
        aid: Some(hex("A0 00 00 00 04 10 10 00 01")),
        label: Some("DEBIT".into()),
        last4: Some("0434".into()),
        atc: Some(7),
        cid: Some(0x80),
        cryptogram: Some([0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]),
        tvr: [0x80, 0, 0, 0x80, 0x01],
        arc: Some(*b"00"),
    };
    assert_eq!(till.handle(Input::Online(Some(approval()))), [Output::Done(Box::new(receipt))]);
    assert!(!till.terminal.is_busy());
}

#[test]
fn a_pin_is_asked_above_the_limit_of_the_terminal_and_only_then() {
    let at_limit = pay(config("restaurant"), 50_00, &mut FakeCard::mastercard(), Some(approval()));
    assert_eq!((at_limit.asked_pin, at_limit.receipt().cvm), (false, Cvm::None));
    at_limit.assert_said("cvm: 50.00 EUR is within the CVM limit 50.00 EUR of restaurant: no CVM");

    let above = pay(config("restaurant"), 50_01, &mut FakeCard::mastercard(), Some(approval()));
    assert_eq!((above.asked_pin, above.receipt().cvm, above.outcome()), (true, Cvm::OnlinePin, Outcome::Approved));
    above.assert_said("cvm: 50.01 EUR is above the CVM limit 50.00 EUR of restaurant: online PIN");
    assert_eq!(above.authorisation.as_ref().unwrap().online_pin.as_deref(), Some("1234"));
    assert_eq!(above.chip_data(tag::TAG_95_TVR).unwrap(), "80 00 04 80 01", "online PIN entered");
    assert_eq!(above.chip_data(tag::TAG_9F34_CVM_RESULTS).unwrap(), "42 03 00");
}

#[test]
fn a_signature_is_asked_where_there_is_no_pin_pad() {
    let payment = pay(config("signature-shop"), 25_01, &mut FakeCard::mastercard(), Some(approval()));
    assert_eq!((payment.outcome(), payment.receipt().cvm), (Outcome::Approved, Cvm::Signature));
    assert_eq!(payment.chip_data(tag::TAG_9F34_CVM_RESULTS).unwrap(), "5E 03 00");
    payment.assert_said("Approved, please sign");
}

#[test]
fn a_device_that_verifies_its_holder_needs_no_pin() {
    let mut card = FakeCard::mastercard().with_option(tag::TAG_82_AIP, "1A 80");
    let payment = pay(config("restaurant"), 60_00, &mut card, Some(approval()));
    assert_eq!((payment.outcome(), payment.receipt().cvm, payment.asked_pin), (Outcome::Approved, Cvm::Cdcvm, false));
    assert_eq!(payment.chip_data(tag::TAG_9F34_CVM_RESULTS).unwrap(), "01 00 02");
    let below = pay(config("restaurant"), 10_00, &mut card, Some(approval()));
    assert_eq!(below.chip_data(tag::TAG_9F34_CVM_RESULTS).unwrap(), "3F 00 02");
    let disbelieved = pay(config("no-cdcvm"), 2000_00, &mut card, Some(approval()));
    assert_eq!((disbelieved.asked_pin, disbelieved.receipt().cvm), (true, Cvm::OnlinePin));
}

#[test]
fn a_device_s_word_without_cda_is_believed_only_by_a_terminal_set_so() {
    let mut strict = config("restaurant");
    strict.cardholder_verification.cdcvm_without_cda = false;
    let mut card = FakeCard::mastercard().with_option(tag::TAG_82_AIP, "1A 80");
    let payment = pay(strict, 60_00, &mut card, Some(approval()));
    assert_eq!((payment.outcome(), payment.receipt().cid), (Outcome::Declined, Some(0x00)));
    payment.assert_said("a verification on the device without CDA is not believed here");
}

#[test]
fn above_the_contactless_limit_the_card_must_be_inserted() {
    let payment = pay(config("corner-shop"), 50_01, &mut FakeCard::mastercard(), Some(approval()));
    assert_eq!(payment.outcome(), Outcome::TryAnotherInterface);
    assert_eq!(
        payment.reason(),
        "50.01 EUR is above the contactless limit 50.00 EUR of corner-shop (DF8124, without verification on the device)"
    );
    let nowhere = pay(config("corner-shop"), 500_01, &mut FakeCard::mastercard(), Some(approval()));
    assert_eq!((nowhere.outcome(), nowhere.commands.len()), (Outcome::TryAnotherInterface, 0), "known before the tap");
    let gate = pay(config("transit-gate"), 50_01, &mut FakeCard::mastercard(), Some(approval()));
    assert_eq!(gate.outcome(), Outcome::EndApplication, "a gate has no other interface");
}

#[test]
fn with_verification_on_the_device_the_higher_limit_holds() {
    let mut card = FakeCard::mastercard().with_option(tag::TAG_82_AIP, "1A 80");
    let payment = pay(config("corner-shop"), 60_00, &mut card, Some(approval()));
    assert_eq!((payment.outcome(), payment.receipt().cvm), (Outcome::Approved, Cvm::Cdcvm));
}

#[test]
fn the_issuer_s_no_is_a_decline() {
    let payment = pay(config("corner-shop"), 420, &mut FakeCard::mastercard(), Some(refusal()));
    assert_eq!((payment.outcome(), payment.receipt().arc), (Outcome::Declined, Some(*b"51")));
    assert_eq!(payment.reason(), "the issuer declined (51): insufficient funds");
}

#[test]
fn without_the_acquirer_a_shop_declines_and_a_gate_lets_a_fare_through() {
    let shop = pay(config("corner-shop"), 420, &mut FakeCard::mastercard(), None);
    assert_eq!((shop.outcome(), shop.reason()), (Outcome::Declined, "the acquirer cannot be reached"));
    let gate = pay(config("transit-gate"), 10_00, &mut FakeCard::mastercard(), None);
    assert_eq!((gate.outcome(), gate.receipt().online), (Outcome::Approved, true));
    let dear = pay(config("transit-gate"), 10_01, &mut FakeCard::mastercard(), None);
    assert_eq!(dear.outcome(), Outcome::Declined);
}

#[test]
fn a_terminal_without_a_line_declines_a_card_it_cannot_authenticate() {
    let payment = pay(config("petrol-pump"), 30_00, &mut FakeCard::mastercard(), Some(approval()));
    assert_eq!((payment.outcome(), payment.receipt().cid), (Outcome::Declined, Some(0)));
    payment.assert_said("the default action codes name: offline data authentication was not performed");
}

#[test]
fn a_card_that_declines_is_declined_but_a_plastic_one_may_be_inserted() {
    let mut band = FakeCard { laxest: 0x00, ..FakeCard::mastercard() };
    let payment = pay(config("corner-shop"), 420, &mut band, Some(approval()));
    assert_eq!(
        (payment.outcome(), payment.receipt().cid, payment.receipt().online),
        (Outcome::Declined, Some(0), false)
    );
    let mut plastic = band.clone().with(tag::TAG_9F6E_THIRD_PARTY_DATA, None);
    assert_eq!(pay(config("corner-shop"), 420, &mut plastic, None).outcome(), Outcome::TryAnotherInterface);
    assert_eq!(pay(config("transit-gate"), 420, &mut plastic, None).outcome(), Outcome::Declined, "no contacts there");
}

#[test]
fn a_band_without_an_active_card_ends_the_application() {
    let mut empty = FakeCard { directory: Vec::new(), ..FakeCard::mastercard() };
    let payment = pay(config("corner-shop"), 420, &mut empty, None);
    assert_eq!((payment.outcome(), payment.reason()), (Outcome::EndApplication, "no application in common"));
    let mut silent = FakeCard::mastercard();
    silent.status_words.insert(0xA4, 0x6A82);
    let payment = pay(config("corner-shop"), 420, &mut silent, None);
    assert_eq!(payment.outcome(), Outcome::EndApplication);
    assert_eq!(
        payment.reason(),
        "the card has no directory of contactless applications: 6A82 file or application not found"
    );
}

#[test]
fn the_card_s_first_application_is_used_and_the_next_when_it_refuses() {
    let (first, second) = (hex("A0 00 00 00 04 10 10 00 02"), hex("A0 00 00 00 04 10 10 00 01"));
    let mut card = FakeCard::mastercard();
    // In the directory's order the other way round; 0 comes after every priority.
    card.directory = vec![(hex("A0 00 00 00 04 10 10 00 03"), 0), (second.clone(), 2), (first.clone(), 1)];
    let payment = pay(config("corner-shop"), 420, &mut card, Some(approval()));
    assert_eq!(payment.receipt().aid.as_ref(), Some(&first));
    card.refused_names.push(first);
    let payment = pay(config("corner-shop"), 420, &mut card, Some(approval()));
    assert_eq!((payment.outcome(), payment.receipt().aid.as_ref()), (Outcome::Approved, Some(&second)));
    payment.assert_said("6A82 file or application not found: next candidate");
}

#[test]
fn conditions_of_use_at_gpo_drop_the_application() {
    let mut card = FakeCard::mastercard();
    card.status_words.insert(0xA8, 0x6985);
    let payment = pay(config("corner-shop"), 420, &mut card, None);
    assert_eq!(payment.outcome(), Outcome::EndApplication);
    assert_eq!(payment.reason(), "GET PROCESSING OPTIONS: 6985 conditions of use not satisfied");
}

#[test]
fn an_expired_card_goes_online_and_the_issuer_sees_it() {
    let mut card = FakeCard::mastercard();
    card.records[0].insert(tag::TAG_5F24_EXPIRATION_DATE, hex("25 06 14"));
    let payment = pay(config("corner-shop"), 420, &mut card, Some(refusal()));
    assert_eq!(payment.receipt().tvr, [0x80, 0x40, 0, 0x80, 0x01]);
    payment.assert_said("restrictions: expired on 2025-06-14, today is 2025-06-15");
    card.records[0].insert(tag::TAG_5F24_EXPIRATION_DATE, hex("25 06 15"));
    assert_eq!(
        pay(config("corner-shop"), 420, &mut card, None).receipt().tvr,
        [0x80, 0, 0, 0x80, 0x01],
        "its last day"
    );
}

#[test]
fn what_does_not_fit_the_card_is_found_and_told_to_the_issuer() {
    let cases = [
        (tag::TAG_5F25_EFFECTIVE_DATE, "25 06 16", [0x80, 0x20, 0, 0x80, 0x01]),
        (tag::TAG_9F07_AUC, "FE 00", [0x80, 0x10, 0, 0x80, 0x01]),
        (tag::TAG_9F07_AUC, "D7 00", [0x80, 0x10, 0, 0x80, 0x01]),
        (tag::TAG_9F08_APPLICATION_VERSION, "00 03", [0x80, 0x80, 0, 0x80, 0x01]),
        (tag::TAG_8E_CVM_LIST, "00 00 00 00 00 00 00 00", [0xA0, 0, 0, 0x80, 0x01]),
        (tag::TAG_8E_CVM_LIST, "00 00 00 00 00 00 00 00 00 00", [0x80, 0, 0x80, 0x80, 0x01]),
        (tag::TAG_8E_CVM_LIST, "00 00 00 00 00 00 00 00 60 00 1F 00", [0x80, 0, 0x40, 0x80, 0x01]),
        (tag::TAG_8E_CVM_LIST, "00 00 00 00 00 00 00 00 02 00 1F 00", [0x80, 0, 0x80, 0x80, 0x01]),
        (tag::TAG_8E_CVM_LIST, "00 00 01 A4 00 00 00 00 1F 06", [0x80, 0, 0x80, 0x80, 0x01]),
        (tag::TAG_8E_CVM_LIST, "00 00 01 A5 00 00 00 00 1F 06", [0x80, 0, 0, 0x80, 0x01]),
        (tag::TAG_8E_CVM_LIST, "00 00 00 00 00 00 01 A3 1F 09", [0x80, 0, 0, 0x80, 0x01]),
    ];
    for (tag, value, tvr) in cases {
        let mut card = FakeCard::mastercard();
        let record = card.records.iter_mut().find(|record| record.contains_key(&tag)).unwrap();
        record.insert(tag, hex(value));
        let payment = pay(config("corner-shop"), 420, &mut card, Some(approval()));
        assert_eq!(payment.receipt().tvr, tvr, "{tag} {value}");
    }
}

#[test]
fn an_issuer_that_forbids_a_failed_verification_gets_an_aac() {
    let mut card = FakeCard::mastercard();
    card.records[1].insert(tag::TAG_8E_CVM_LIST, hex("00 00 00 00 00 00 00 00 02 00"));
    card.records[1].insert(tag::TAG_9F0E_IAC_DENIAL, hex("00 00 80 00 00"));
    let payment = pay(config("corner-shop"), 420, &mut card, Some(approval()));
    assert_eq!((payment.outcome(), payment.receipt().cvm), (Outcome::Declined, Cvm::Failed));
    payment
        .assert_said("AAC, decline offline: the denial action codes name: cardholder verification was not successful");
}

#[test]
fn a_customer_who_gives_up_at_the_pin_pad_pays_nothing() {
    for give_up in [Input::Pin(None), Input::Pin(Some("12".into())), Input::Pin(Some("12x4".into()))] {
        let mut till = Till::new(config("restaurant"));
        let mut card = FakeCard::mastercard();
        let mut outputs = till.start(60_00);
        while let [Output::Command(command)] = &outputs[..] {
            outputs = till.handle(Input::Answer(card.answer(&CApdu::decode(command).unwrap())));
        }
        assert_eq!(outputs, [Output::AskPin]);
        assert_eq!(till.handle(Input::FieldLost), [], "the band may leave now");
        let [Output::Done(receipt)] = &till.handle(give_up)[..] else { panic!() };
        assert_eq!((receipt.outcome, receipt.cvm, receipt.online), (Outcome::Declined, Cvm::Failed, false));
    }
}

#[test]
fn each_wait_has_its_end() {
    let mut till = Till::new(config("restaurant"));
    let mut card = FakeCard::mastercard();
    assert_eq!(till.start(60_00).len(), 1);
    assert_eq!(till.wait(Duration::from_micros(4_999_999)), []);
    let [Output::Done(receipt)] = &till.wait(Duration::from_micros(1))[..] else { panic!() };
    assert_eq!(
        (receipt.outcome, receipt.reason.as_str()),
        (Outcome::EndApplication, "the card did not answer in time")
    );
    assert_eq!(till.handle(answer("90 00")), [], "an answer after the end changes nothing");

    let mut outputs = till.start(60_00);
    while let [Output::Command(command)] = &outputs[..] {
        outputs = till.handle(Input::Answer(card.answer(&CApdu::decode(command).unwrap())));
    }
    assert_eq!(outputs, [Output::AskPin]);
    let [Output::Done(receipt)] = &till.wait(Duration::from_secs(60))[..] else { panic!() };
    assert_eq!((receipt.outcome, receipt.cvm), (Outcome::Declined, Cvm::Failed));

    let mut outputs = till.start(1_00);
    while let [Output::Command(command)] = &outputs[..] {
        outputs = till.handle(Input::Answer(card.answer(&CApdu::decode(command).unwrap())));
    }
    assert!(matches!(outputs[..], [Output::Online(_)]));
    let [Output::Done(receipt)] = &till.wait(Duration::from_secs(30))[..] else { panic!() };
    assert_eq!(receipt.reason, "the acquirer cannot be reached");
}

#[test]
fn a_late_answer_counts_as_none() {
    let mut till = Till::new(config("corner-shop"));
    let _ = till.start(420);
    till.now = till.now + Duration::from_micros(5_000_001);
    let [Output::Done(receipt)] = &till.handle(answer("6A 82"))[..] else { panic!() };
    assert_eq!(receipt.reason, "the card did not answer in time");
}

#[test]
fn a_band_that_leaves_the_field_ends_the_payment() {
    let mut till = Till::new(config("corner-shop"));
    let _ = till.start(420);
    let [Output::Done(receipt)] = &till.handle(Input::FieldLost)[..] else { panic!() };
    assert_eq!(receipt.outcome, Outcome::FieldLost);
}

#[test]
fn another_currency_is_not_taken() {
    let mut till = Till::new(config("supermarket-uah"));
    let foreign = Purchase { currency: 978, ..purchase(&config("supermarket-uah"), 420) };
    let [Output::Done(receipt)] = &till.handle(Input::Start(foreign))[..] else { panic!() };
    assert_eq!(
        (receipt.outcome, receipt.reason.as_str()),
        (Outcome::EndApplication, "supermarket-uah takes UAH, not EUR")
    );
    assert_eq!(receipt.amount, "4.20 EUR");
    assert!(receipt.lines().contains(&format!("SALE, CONTACTLESS{:>23}", "4.20 EUR")), "{:?}", receipt.lines());
}

#[test]
fn a_currency_that_nobody_knows_is_not_taken_for_the_terminals_own() {
    let mut till = Till::new(config("corner-shop"));
    let unknown = Purchase { currency: 999, ..purchase(&config("corner-shop"), 420) };
    let [Output::Done(receipt)] = &till.handle(Input::Start(unknown))[..] else { panic!() };
    assert_eq!(
        (receipt.reason.as_str(), receipt.amount.as_str()),
        ("corner-shop takes EUR, not currency 999", "420 minor units of currency 999")
    );
}

#[test]
fn the_device_may_ask_for_its_holder_first() {
    let mut card = FakeCard { laxest: 0x00, ..FakeCard::mastercard() };
    card.cryptogram.insert(tag::TAG_DF4B_POS_CARDHOLDER_INTERACTION, hex("00 02 00"));
    assert_eq!(pay(config("corner-shop"), 420, &mut card, None).outcome(), Outcome::PresentAgain);
}

#[test]
fn a_visa_number_in_a_mastercard_application_is_reported() {
    let mut card = FakeCard::mastercard();
    card.records[0].insert(tag::TAG_5A_PAN, hex(fake_card::VISA_PAN));
    card.records[0].remove(&tag::TAG_57_TRACK_2_EQUIVALENT_DATA);
    let payment = pay(config("corner-shop"), 420, &mut card, Some(approval()));
    payment.assert_said("warning: 476173******0119 is not a number of the scheme that kernel 2 serves");
    let track2 = &payment.authorisation.as_ref().unwrap().track2;
    assert_eq!(Hex(track2.clone()).to_string(), "47 61 73 90 01 01 01 19 D2 91 2F", "made of number and expiry");
}
