//! Each rule by itself: which application is tried, which usage is allowed, which action code decides, what a limit does.

use band_sim::wire::tag;

use super::*;
use crate::terminal::config::Bytes;

const MASTERCARD: &str = "A0 00 00 00 04 10 10 00 01";
const NOTHING: [u8; 5] = [0; 5];
/// Offline data authentication was not performed.
const NO_ODA: [u8; 5] = [0x80, 0, 0, 0, 0];

#[test]
fn a_card_may_ask_for_a_kernel_and_gets_no_other() {
    let cases = [
        (None, Some(2)),
        (Some("00"), Some(2)),
        (Some("02"), Some(2)),
        // Of another scheme, of no kernel here, a domestic one.
        (Some("03"), None),
        (Some("2D"), None),
        (Some("82 04 28"), None),
    ];
    for (identifier, kernel) in cases {
        let mut card = FakeCard::mastercard();
        if let Some(identifier) = identifier {
            card.kernel_identifiers.insert(hex(MASTERCARD), hex(identifier));
        }
        let payment = pay(config("corner-shop"), 420, &mut card, Some(approval()));
        let outcome = if kernel.is_some() { Outcome::Approved } else { Outcome::EndApplication };
        assert_eq!(payment.outcome(), outcome, "{identifier:?}: {}", payment.reason());
        match kernel {
            Some(kernel) => payment.assert_said(&format!("select {MASTERCARD} for kernel {kernel}")),
            None => assert_eq!(payment.reason(), "no application in common", "{identifier:?}"),
        }
    }
}

#[test]
fn of_equal_priority_the_card_s_order_holds() {
    let names = ["A0 00 00 00 04 10 10 00 03", "A0 00 00 00 04 10 10 00 02"].map(hex);
    let mut card = FakeCard::mastercard();
    card.directory = names.iter().map(|name| (name.clone(), 1)).collect();
    let payment = pay(config("corner-shop"), 420, &mut card, Some(approval()));
    assert_eq!(payment.receipt().aid.as_ref(), Some(&names[0]));
}

#[test]
fn an_application_dropped_at_processing_options_makes_way_for_the_next_candidate() {
    let select = |text: &str| vec![Output::Command([hex("00 A4 04 00 09"), hex(text), vec![0]].concat())];
    let (first, second) = ("A0 00 00 00 04 10 10 00 02", "A0 00 00 00 04 10 10 00 01");
    let mut card = FakeCard::mastercard();
    card.directory = vec![(hex(second), 2), (hex(first), 1)];
    let mut till = Till::new(config("corner-shop"));
    let mut outputs = till.start(420);
    assert_eq!(outputs.len(), 1);
    let mut next = |card: &mut FakeCard, answer: Option<&str>| {
        let [Output::Command(command)] = &outputs[..] else { panic!("{outputs:?}") };
        let answer = answer.map_or_else(|| card.answer(&CApdu::decode(command).unwrap()), hex);
        outputs = till.handle(Input::Answer(answer));
        outputs.clone()
    };
    assert_eq!(next(&mut card, None), select(first));
    assert_eq!(next(&mut card, None), vec![Output::Command(hex("80 A8 00 00 02 83 00 00"))]);
    assert_eq!(next(&mut card, Some("69 85")), select(second), "the next one");
    assert_eq!(next(&mut card, None), vec![Output::Command(hex("80 A8 00 00 02 83 00 00"))]);
    let [Output::Done(receipt)] = &next(&mut card, Some("69 85"))[..] else { panic!() };
    assert_eq!(receipt.outcome, Outcome::EndApplication, "there is none left");
}

#[test]
fn the_card_s_usage_control_is_held_against_country_and_kind_of_payment() {
    const HERE: &str = "04 28";
    const ABROAD: &str = "08 04";
    // Usage control, issuer country, whether cashback; whether the service is allowed.
    let cases = [
        ("FF 00", Some(HERE), false, true),
        // Nothing domestic, nothing international: goods and services are two bits each.
        ("D7 00", Some(HERE), false, false),
        ("D7 00", Some(ABROAD), false, true),
        ("EB 00", Some(HERE), false, true),
        ("EB 00", Some(ABROAD), false, false),
        ("DF 00", Some(HERE), false, true),
        ("F7 00", Some(HERE), false, true),
        ("EF 00", Some(ABROAD), false, true),
        ("FB 00", Some(ABROAD), false, true),
        // Valid at cash machines only, wherever the issuer is.
        ("FE 00", Some(HERE), false, false),
        ("FE 00", None, false, false),
        // Without the issuer's country nothing more is checked.
        ("C3 00", None, true, true),
        ("FF 80", Some(HERE), true, true),
        ("FF 40", Some(HERE), true, false),
        ("FF 80", Some(ABROAD), true, false),
        ("FF 40", Some(ABROAD), true, true),
    ];
    for (usage, country, cashback, allowed) in cases {
        let mut card = FakeCard::mastercard();
        card.records[0].insert(tag::TAG_9F07_AUC, hex(usage));
        card.records[0].remove(&tag::TAG_5F28_ISSUER_COUNTRY_CODE);
        card.records[0].extend(country.map(|country| (tag::TAG_5F28_ISSUER_COUNTRY_CODE, hex(country))));
        let pay = if cashback { pay_with_cashback } else { pay };
        let payment = pay(config("corner-shop"), 20_00, &mut card, Some(approval()));
        let found = if allowed { 0x00 } else { 0x10 };
        assert_eq!(payment.receipt().tvr, [0x80, found, 0, 0x80, 0x01], "{usage} {country:?} {cashback}");
    }
}

#[test]
fn a_kernel_3_card_that_forbids_cashback_pays_none_out_offline() {
    let card = |usage: &str, qualifiers: &str| {
        FakeCard::visa()
            .with_option(tag::TAG_9F27_CID, "40")
            .with_option(tag::TAG_9F6C_CTQ, qualifiers)
            .with(tag::TAG_9F07_AUC, Some(usage))
            .with(tag::TAG_5F28_ISSUER_COUNTRY_CODE, Some("00 40"))
    };
    let pump = |card: &mut FakeCard| pay_with_cashback(config("petrol-pump"), 20_00, card, None);
    let forbidden = pump(&mut card("FF 40", "00 00"));
    assert_eq!(forbidden.outcome(), Outcome::Declined);
    assert_eq!(forbidden.reason(), "the card is not valid for domestic cashback (9F07)");
    assert_eq!(pump(&mut card("FF 40", "02 00")).outcome(), Outcome::TryAnotherInterface);
    let allowed = pump(&mut card("FF 80", "00 00"));
    assert_eq!(allowed.reason(), "card authentication failed: the card gave no signature (9F4B)", "the next check");
}

/// The cryptogram that a terminal asks a card without CDA for, 4.20 EUR, with these action codes (denial, online, default) of
/// its own and of the issuer's; `None`: the card gives none.
fn asked_for(terminal: &str, own: [[u8; 5]; 3], issuer: [Option<[u8; 5]>; 3]) -> &'static str {
    let mut config = config(terminal);
    let codes = &mut config.kernels.kernel_2.as_mut().unwrap().action_codes;
    [codes.denial, codes.online, codes.default] = own.map(Bytes);
    let mut card = FakeCard::mastercard();
    let tags = [tag::TAG_9F0E_IAC_DENIAL, tag::TAG_9F0F_IAC_ONLINE, tag::TAG_9F0D_IAC_DEFAULT];
    for (tag, code) in tags.into_iter().zip(issuer) {
        card.records[1].remove(&tag);
        card.records[1].extend(code.map(|code| (tag, code.to_vec())));
    }
    let payment = pay(config, 420, &mut card, Some(approval()));
    let last = payment.commands.last().unwrap();
    let known = [("80 AE 00", "AAC"), ("80 AE 40", "TC"), ("80 AE 80", "ARQC")];
    known.iter().find(|(command, _)| last.starts_with(command)).unwrap().1
}

#[test]
fn terminal_and_issuer_action_codes_each_decide_alone() {
    const NONE: [[u8; 5]; 3] = [NOTHING; 3];
    const DENIAL: [[u8; 5]; 3] = [NO_ODA, NOTHING, NOTHING];
    const ONLINE: [[u8; 5]; 3] = [NOTHING, NO_ODA, NOTHING];
    const DEFAULT: [[u8; 5]; 3] = [NOTHING, NOTHING, NO_ODA];
    let gate = "transit-gate";
    let pump = "petrol-pump";
    let cases = [
        (gate, NONE, "TC"),
        (gate, DENIAL, "AAC"),
        (gate, ONLINE, "ARQC"),
        // A terminal with a line does not look at the default codes, one without does not look at those for online.
        (gate, DEFAULT, "TC"),
        (pump, NONE, "TC"),
        (pump, DENIAL, "AAC"),
        (pump, ONLINE, "TC"),
        (pump, DEFAULT, "AAC"),
    ];
    for (terminal, codes, wanted) in cases {
        assert_eq!(asked_for(terminal, codes, NONE.map(Some)), wanted, "the terminal's: {terminal} {codes:02X?}");
        assert_eq!(asked_for(terminal, NONE, codes.map(Some)), wanted, "the issuer's: {terminal} {codes:02X?}");
    }
}

#[test]
fn action_codes_that_the_issuer_does_not_give_name_everything_but_for_denial() {
    let given = Some(NOTHING);
    assert_eq!(asked_for("transit-gate", [NOTHING; 3], [None, given, given]), "TC");
    assert_eq!(asked_for("transit-gate", [NOTHING; 3], [given, None, given]), "ARQC");
    assert_eq!(asked_for("petrol-pump", [NOTHING; 3], [given, given, None]), "AAC");
}

#[test]
fn above_the_floor_limit_a_payment_goes_online() {
    // 10.00 EUR at the gate.
    for (amount, tvr, online_cryptogram) in [(10_00, 0x00, "00"), (10_01, 0x80, "80")] {
        let mut gate = config("transit-gate");
        let codes = &mut gate.kernels.kernel_2.as_mut().unwrap().action_codes;
        codes.online = Bytes([0, 0, 0, 0x80, 0]);
        let mut card = FakeCard::mastercard();
        card.records[1].insert(tag::TAG_9F0F_IAC_ONLINE, NOTHING.to_vec());
        let payment = pay(gate.clone(), amount, &mut card, Some(approval()));
        assert_eq!(payment.receipt().tvr, [0x80, 0, 0, tvr, 0x01], "kernel 2, {amount}");
        assert_eq!(payment.receipt().online, tvr != 0, "kernel 2, {amount}");
        // Kernel 3 tells the card before (9F66 b2.80).
        let payment = pay(gate, amount, &mut FakeCard::visa(), Some(approval()));
        let qualifiers = payment.chip_data(tag::TAG_9F66_TTQ).unwrap();
        assert_eq!(&qualifiers[3..5], online_cryptogram, "kernel 3, {amount}: {qualifiers}");
    }
}
