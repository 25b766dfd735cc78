//! Payments with a kernel 3 card.

use band_sim::wire::tag;

use super::*;
use crate::terminal::io::Cvm;

#[test]
fn the_cryptogram_comes_with_the_processing_options() {
    let payment = pay(config("restaurant"), 420, &mut FakeCard::visa(), Some(approval()));
    assert_eq!(
        payment.commands,
        [
            "00 A4 04 00 0E 32 50 41 59 2E 53 59 53 2E 44 44 46 30 31 00",
            "00 A4 04 00 07 A0 00 00 00 03 10 10 00",
            // EMV mode, contacts, online PIN; online cryptogram required; CDCVM; fDDA.
            "80 A8 00 00 12 83 10 34 80 40 80 00 00 00 00 04 20 52 BF 45 85 09 78 00",
            "00 B2 01 0C 00",
        ]
    );
    assert_eq!(
        (payment.outcome(), payment.receipt().cvm, payment.receipt().tvr),
        (Outcome::Approved, Cvm::None, [0; 5])
    );
    assert_eq!(payment.chip_data(tag::TAG_9F66_TTQ).unwrap(), "34 80 40 80");
    assert_eq!(payment.chip_data(tag::TAG_9F34_CVM_RESULTS), None);
}

#[test]
fn a_card_without_records_pays_too() {
    let mut card = FakeCard::visa();
    card.options.remove(&tag::TAG_94_AFL);
    let payment = pay(config("restaurant"), 420, &mut card, Some(approval()));
    assert_eq!((payment.outcome(), payment.commands.len()), (Outcome::Approved, 3));
}

#[test]
fn at_the_cvm_limit_the_card_s_qualifiers_say_how() {
    let cases = [
        ("restaurant", None, Cvm::OnlinePin, Outcome::Approved),
        ("restaurant", Some("80 00"), Cvm::OnlinePin, Outcome::Approved),
        ("restaurant", Some("00 80"), Cvm::Cdcvm, Outcome::Approved),
        ("restaurant", Some("80 80"), Cvm::OnlinePin, Outcome::Approved),
        ("restaurant", Some("40 00"), Cvm::Failed, Outcome::Declined),
        ("restaurant", Some("00 00"), Cvm::Failed, Outcome::Declined),
        ("signature-shop", None, Cvm::Signature, Outcome::Approved),
        ("signature-shop", Some("C0 00"), Cvm::Signature, Outcome::Approved),
        ("no-cdcvm", Some("00 80"), Cvm::Failed, Outcome::Declined),
    ];
    for (terminal, qualifiers, cvm, outcome) in cases {
        let config = config(terminal);
        let limit = config.limits.cvm_required.minor;
        let mut card = FakeCard::visa();
        if let Some(qualifiers) = qualifiers {
            card = card.with_option(tag::TAG_9F6C_CTQ, qualifiers);
        }
        let payment = pay(config, limit, &mut card, Some(approval()));
        assert_eq!((payment.receipt().cvm, payment.outcome()), (cvm, outcome), "{terminal} {qualifiers:?}");
        assert_eq!(payment.asked_pin, cvm == Cvm::OnlinePin);
    }
}

#[test]
fn below_the_cvm_limit_nobody_is_asked() {
    let payment = pay(config("restaurant"), 49_99, &mut FakeCard::visa(), Some(approval()));
    assert_eq!((payment.receipt().cvm, payment.asked_pin), (Cvm::None, false));
    payment.assert_said("cvm: 49.99 EUR is below the CVM limit 50.00 EUR of restaurant: no CVM");
}

#[test]
fn qualifiers_that_differ_from_their_copy_are_a_decline() {
    let mut card = FakeCard::visa().with_option(tag::TAG_9F6C_CTQ, "00 80");
    card = card.with_option(tag::TAG_9F69_CARD_AUTHENTICATION_DATA, "01 11 22 33 44 80 00");
    let payment = pay(config("restaurant"), 60_00, &mut card, Some(approval()));
    assert_eq!(payment.outcome(), Outcome::Declined);
    assert_eq!(payment.reason(), "9F6C says verified on the device, but its copy in 9F69 differs");
}

#[test]
fn what_gpo_s_status_words_mean() {
    for (sw, outcome) in [
        (0x6984, Outcome::TryAnotherInterface),
        (0x6985, Outcome::EndApplication),
        (0x6986, Outcome::PresentAgain),
        (0x6700, Outcome::EndApplication),
    ] {
        let mut card = FakeCard::visa();
        card.status_words.insert(0xA8, sw);
        assert_eq!(pay(config("restaurant"), 420, &mut card, None).outcome(), outcome, "{sw:04X}");
    }
}

#[test]
fn an_aac_is_a_decline_wherever_it_is_said() {
    let mut said = FakeCard::visa().with_option(tag::TAG_9F27_CID, "00");
    assert_eq!(pay(config("restaurant"), 420, &mut said, None).reason(), "the card declined (AAC)");
    let mut in_results = FakeCard::visa().with_option(tag::TAG_9F10_IAD, "06 01 12 03 80 00 00");
    assert_eq!(pay(config("restaurant"), 420, &mut in_results, None).reason(), "the card declined (AAC)");
}

#[test]
fn an_application_that_does_not_ask_for_the_qualifiers_is_not_for_this_kernel() {
    let mut card = FakeCard::visa();
    card.pdol = hex("9F 02 06");
    let payment = pay(config("restaurant"), 420, &mut card, None);
    assert_eq!(payment.outcome(), Outcome::EndApplication);
    assert!(payment.reason().contains("9F66"), "{}", payment.reason());
}

#[test]
fn an_online_cryptogram_is_no_use_without_a_line() {
    let payment = pay(config("petrol-pump"), 10_00, &mut FakeCard::visa(), None);
    assert_eq!(payment.reason(), "the payment must go online, and the terminal has no line");
}

#[test]
fn an_offline_approval_without_authentication_is_not_enough() {
    let mut card = FakeCard::visa().with_option(tag::TAG_9F27_CID, "40");
    let payment = pay(config("petrol-pump"), 10_00, &mut card, None);
    assert_eq!(payment.outcome(), Outcome::Declined);
    assert_eq!(payment.reason(), "card authentication failed: the card gave no signature (9F4B)");
    card = card.with_option(tag::TAG_9F6C_CTQ, "10 00");
    assert_eq!(pay(config("petrol-pump"), 10_00, &mut card, None).outcome(), Outcome::TryAnotherInterface);
    card = card.with_option(tag::TAG_9F6C_CTQ, "20 00");
    let gate = pay(config("transit-gate"), 10_00, &mut card, Some(approval()));
    assert_eq!((gate.outcome(), gate.receipt().online), (Outcome::Approved, true), "goes online instead");
}

#[test]
fn an_expired_application_is_declined_offline_unless_the_card_goes_online_then() {
    let mut card =
        FakeCard::visa().with_option(tag::TAG_9F27_CID, "40").with(tag::TAG_5F24_EXPIRATION_DATE, Some("25 06 14"));
    assert_eq!(pay(config("petrol-pump"), 10_00, &mut card, None).reason(), "the application has expired");
    card = card.with_option(tag::TAG_9F6C_CTQ, "08 00");
    let gate = pay(config("transit-gate"), 10_00, &mut card, Some(approval()));
    assert_eq!((gate.outcome(), gate.receipt().online), (Outcome::Approved, true));
}
