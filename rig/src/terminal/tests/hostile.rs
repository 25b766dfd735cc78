//! Cards that do not behave: whatever comes, the payment ends with an EMV outcome after a bounded number of commands.

use band_sim::wire::tag;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::terminal::MAX_COMMANDS;

/// Answers every command with the next of `answers` (the last for ever), and says how it ended.
fn face(config: TerminalConfig, answers: &[Vec<u8>]) -> (Receipt, usize) {
    let mut till = Till::new(config);
    let mut outputs = till.start(420);
    for sent in 0.. {
        assert!(sent <= usize::from(MAX_COMMANDS), "it never ends");
        let input = match &outputs[..] {
            [Output::Command(_)] => Input::Answer(answers.get(sent).or(answers.last()).cloned().unwrap_or_default()),
            [Output::Online(_)] => Input::Online(None),
            [Output::AskPin] => Input::Pin(None),
            [Output::Done(receipt)] => return ((**receipt).clone(), sent),
            other => panic!("{other:?}"),
        };
        outputs = till.handle(input);
    }
    unreachable!("the loop has no other end")
}

#[test]
fn an_answer_that_is_none_ends_the_application() {
    for wrong in [
        vec![],
        vec![0x90],
        vec![0; 65_538],
        hex("61 00"),
        hex("6C 01"),
        hex("FF FF"),
        hex("90 00"),
        hex("6F 00 90 00"),
    ] {
        let (receipt, commands) = face(config("corner-shop"), std::slice::from_ref(&wrong));
        assert_eq!(receipt.outcome, Outcome::EndApplication, "{:02X?}", &wrong[..wrong.len().min(8)]);
        assert!(commands <= 8);
    }
}

#[test]
fn a_directory_of_many_applications_that_all_refuse_comes_to_an_end() {
    let mut card = FakeCard::mastercard();
    let name = |number: u8| [&hex("A0 00 00 00 04 10 10")[..], &[number]].concat();
    card.directory = (0..15).map(|number| (name(number), number)).collect();
    card.refused_names = (0..15).map(name).collect();
    let payment = pay(config("corner-shop"), 420, &mut card, None);
    assert_eq!((payment.outcome(), payment.commands.len()), (Outcome::EndApplication, 16));
}

#[test]
fn missing_empty_wrong_and_double_data_end_the_application() {
    let cases: &[(&str, &str)] = &[
        // GET PROCESSING OPTIONS
        ("gpo", ""),
        ("gpo", "77 00"),
        ("gpo", "77 04 82 02 18 80"),
        ("gpo", "77 06 94 04 08 01 01 00"),
        ("gpo", "77 09 82 01 19 94 04 08 01 01 00"),
        ("gpo", "77 0A 82 02 19 00 94 04 08 01 01 00"),
        ("gpo", "77 0E 82 02 18 80 82 02 18 80 94 04 08 01 01 00"),
        ("gpo", "77 0B 82 02 18 80 94 05 08 01 01 00 00"),
        ("gpo", "77 0A 82 02 18 80 94 04 F8 01 01 00"),
        ("gpo", "77 0A 82 02 18 80 94 04 08 00 01 00"),
        ("gpo", "77 0A 82 02 18 80 94 04 08 02 01 00"),
        ("gpo", "77 0A 82 02 18 80 94 04 08 01 01 02"),
        ("gpo", "77 0A 82 02 18 80 94 04 08 01 FF 00"),
        ("gpo", "77 0B 82 02 18 80 94 04 08 01 01 00"),
        ("gpo", "77 0A 82 02 18 80 94 04 08 01 01 00 00 00 80 00"),
        ("gpo", "80 01 19"),
        ("gpo", "80 05 18 80 08 01 01"),
        ("gpo", "80 02 18 80"),
        ("gpo", "70 0A 82 02 18 80 94 04 08 01 01 00"),
        ("gpo", "77 LL 82 02 18 80 94 04 08 01 01 00 95 03 00 00 00"),
        // READ RECORD
        ("record", ""),
        ("record", "70 00"),
        ("record", "77 00"),
        ("record", "70 82 00"),
        ("record", "70 84 FF FF FF FF"),
        ("record", "70 80 00 00"),
        ("record", "70 03 5A 00 8C"),
        ("record", "70 LL 5A 08 54 13 33 00 89 01 04 34"),
        ("record", "70 LL 5A 08 54 13 33 00 89 01 04 34 5F 24 03 29 13 31 8C 05 9F 02 06 9F 37"),
        ("record", "70 LL 5A 08 54 13 33 00 89 01 04 34 5F 24 03 29 12 31"),
        ("record", "70 LL 5A 08 54 13 3A 00 89 01 04 34 5F 24 03 29 12 31 8C 06 9F 02 06 9F 37 04"),
        ("record", "70 LL 5A 08 54 13 33 00 89 01 04 34 5F 24 03 29 12 31 8C 05 9F 02 06 9F 37"),
        ("record", "70 LL 5A 08 54 13 33 00 89 01 04 34 5F 24 03 29 12 31 8C 07 9F 02 FF 9F 37 FF 00"),
        // GENERATE AC
        ("generate_ac", ""),
        ("generate_ac", "77 00"),
        ("generate_ac", "80 0A 80 00 07 11 22 33 44 55 66 77"),
        ("generate_ac", "80 0B C0 00 07 11 22 33 44 55 66 77 88"),
        ("generate_ac", "80 0B 40 00 07 11 22 33 44 55 66 77 88"),
        ("generate_ac", "77 04 9F 27 01 80"),
        ("generate_ac", "77 09 9F 27 01 80 9F 36 02 00 01"),
        ("generate_ac", "77 09 9F 36 02 00 01 9F 27 01 80 00"),
        ("generate_ac", "77 LL 9F 27 01 80 9F 36 02 00 01 9F 26 07 11 22 33 44 55 66 77"),
        ("generate_ac", "77 LL 9F 27 01 80 9F 36 02 00 01 9F 26 08 11 22 33 44 55 66 77 88 9F 27 01 80"),
        ("generate_ac", "77 LL 9F 27 01 80 9F 36 02 00 01 9F 26 08 11 22 33 44 55 66 77 88 9F 4B 04 01 02 03 04"),
    ];
    for &(place, wrong) in cases {
        let ok = |text: &str| [hex(&sized(text)), hex("90 00")].concat();
        let mut answers = vec![
            FakeCard::mastercard().answer(&CApdu::new(0, 0xA4, 4, 0).with_data(*b"2PAY.SYS.DDF01")),
            FakeCard::mastercard().answer(&CApdu::new(0, 0xA4, 4, 0).with_data(hex("A0 00 00 00 04 10 10 00 01"))),
            ok("77 0A 82 02 18 80 94 04 08 01 01 00"),
            ok("70 LL 5A 08 54 13 33 00 89 01 04 34 5F 24 03 29 12 31 8C 06 9F 02 06 9F 37 04"),
            ok("80 0B 80 00 07 11 22 33 44 55 66 77 88"),
        ];
        let index = ["ppse", "select", "gpo", "record", "generate_ac"].iter().position(|name| *name == place).unwrap();
        assert_eq!(
            face(config("corner-shop"), &answers).0.reason,
            "the acquirer cannot be reached",
            "the base is good"
        );
        answers[index] = ok(wrong);
        let (receipt, commands) = face(config("corner-shop"), &answers);
        assert_eq!(receipt.outcome, Outcome::EndApplication, "{place} {wrong}: {}", receipt.reason);
        // Records are judged together, after the last of them.
        assert_eq!(commands, index + 1, "{place} {wrong}: {}", receipt.reason);
    }
}

#[test]
fn a_number_that_differs_between_5a_and_57_ends_the_application() {
    let mut card = FakeCard::mastercard();
    card.records[0].insert(tag::TAG_5A_PAN, hex("54 13 33 00 89 01 04 42"));
    let payment = pay(config("corner-shop"), 420, &mut card, None);
    assert_eq!(payment.reason(), "track 2 (57) has another card number than 5A");
}

#[test]
fn a_card_that_selects_another_application_than_the_wanted_one_is_not_used() {
    let answers = [
        FakeCard::mastercard().answer(&CApdu::new(0, 0xA4, 4, 0).with_data(*b"2PAY.SYS.DDF01")),
        [hex("6F 0D 84 07 A0 00 00 00 03 10 10 A5 02 50 00"), hex("90 00")].concat(),
    ];
    let (receipt, _) = face(config("corner-shop"), &answers);
    assert_eq!(receipt.reason, "the card selected A0 00 00 00 03 10 10 where A0 00 00 00 04 10 10 00 01 was wanted");
}

#[test]
fn as_many_records_as_a_terminal_reads_are_no_trouble_for_it() {
    let mut answers = vec![
        FakeCard::mastercard().answer(&CApdu::new(0, 0xA4, 4, 0).with_data(*b"2PAY.SYS.DDF01")),
        FakeCard::mastercard().answer(&CApdu::new(0, 0xA4, 4, 0).with_data(hex("A0 00 00 00 04 10 10 00 01"))),
        hex("77 0A 82 02 18 80 94 04 08 01 40 00 90 00"),
    ];
    // Each record comes in two pieces.
    answers.extend((0..64).flat_map(|_| [hex("70 61 01"), hex("00 90 00")]));
    let (receipt, commands) = face(config("corner-shop"), &answers);
    assert_eq!((receipt.outcome, commands), (Outcome::EndApplication, 3 + 128));
}

#[test]
fn nothing_of_a_payment_under_way_shows_a_card_number() {
    let (plain, in_decimal) = ("5413330089010434", "84, 19, 51, 0, 137, 1, 4, 52");
    let mut till = Till::new(config("restaurant"));
    let mut card = FakeCard::mastercard();
    let mut outputs = till.start(60_00);
    loop {
        let shown = format!("{:?} {:?}", till.terminal, till.notes);
        let compact: String = shown.chars().filter(|character| !character.is_whitespace()).collect();
        assert!(!compact.contains(plain) && !shown.contains(in_decimal), "{shown}");
        assert!(!shown.contains("1234\""), "the PIN: {shown}");
        let input = match &outputs[..] {
            [Output::Command(command)] => Input::Answer(card.answer(&CApdu::decode(command).unwrap())),
            [Output::AskPin] => Input::Pin(Some("1234".into())),
            [Output::Online(authorisation)] => {
                let shown = format!("{authorisation:?}");
                assert!(!shown.contains(in_decimal) && !shown.contains("\"1234\""), "{shown}");
                Input::Online(Some(approval()))
            }
            [Output::Done(receipt)] => {
                let shown = format!("{receipt} {receipt:?}");
                return assert!(!shown.contains(plain) && !shown.contains(in_decimal), "{shown}");
            }
            other => panic!("{other:?}"),
        };
        outputs = till.handle(input);
    }
}

/// `LL` becomes the number of bytes behind it.
fn sized(text: &str) -> String {
    match text.split_once(" LL ") {
        Some((before, content)) => format!("{before} {:02X} {content}", content.split(' ').count()),
        None => text.into(),
    }
}

fn any_answer() -> impl Strategy<Value = Vec<u8>> {
    let status_word = prop_oneof![Just([0x90, 0x00]), Just([0x61, 0x10]), Just([0x6C, 0x00]), any::<[u8; 2]>()];
    let good = prop_oneof![
        Just(hex(
            "6F 25 84 0E 32 50 41 59 2E 53 59 53 2E 44 44 46 30 31 A5 13 BF 0C 10 61 0E 4F 09 A0 00 00 00 04 10 10 00 01 87 01 01"
        )),
        Just(hex("6F 14 84 09 A0 00 00 00 04 10 10 00 01 A5 07 50 05 44 45 42 49 54")),
        Just(hex("77 0A 82 02 1A 80 94 04 08 01 03 01")),
        Just(hex("70 18 5A 08 54 13 33 00 89 01 04 34 5F 24 03 29 12 31 8C 06 9F 02 06 9F 37 04")),
        Just(hex("80 0B 80 00 07 11 22 33 44 55 66 77 88")),
    ];
    let flipped = (good.clone(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(mut bytes, at, value)| {
        let at = at.index(bytes.len());
        bytes[at] = value;
        bytes
    });
    let cut =
        (good.clone(), any::<prop::sample::Index>()).prop_map(|(bytes, at)| bytes[..at.index(bytes.len())].to_vec());
    let data = prop_oneof![4 => good, 3 => flipped, 1 => cut, 1 => vec(any::<u8>(), 0..300)];
    prop_oneof![
        9 => (data, status_word).prop_map(|(data, sw)| [data, sw.to_vec()].concat()),
        1 => vec(any::<u8>(), 0..3),
    ]
}

/// A good card whose answers are bent at random places.
fn bent() -> impl Strategy<Value = Vec<Option<(prop::sample::Index, u8)>>> {
    vec(proptest::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())), 12)
}

proptest! {
    #[test]
    fn whatever_a_card_answers_the_payment_ends(answers in vec(any_answer(), 1..40)) {
        let (receipt, commands) = face(config("restaurant"), &answers);
        prop_assert!(commands <= usize::from(MAX_COMMANDS));
        prop_assert!(receipt.outcome != Outcome::Approved, "nobody approved: {receipt}");
    }

    #[test]
    fn a_good_card_with_bent_answers_ends_too(bends in bent(), visa in any::<bool>(), amount in 0_u64..10_000) {
        let mut card = if visa { FakeCard::visa() } else { FakeCard::mastercard() };
        let mut till = Till::new(config("restaurant"));
        let mut outputs = till.start(amount);
        let mut commands = 0;
        loop {
            let input = match &outputs[..] {
                [Output::Command(command)] => {
                    commands += 1;
                    prop_assert!(commands <= MAX_COMMANDS);
                    let mut answer = card.answer(&CApdu::decode(command).unwrap());
                    if let Some(Some((at, value))) = bends.get(usize::from(commands)) {
                        let at = at.index(answer.len());
                        answer[at] = *value;
                    }
                    Input::Answer(answer)
                }
                [Output::Online(_)] => Input::Online(None),
                [Output::AskPin] => Input::Pin(Some("1234".into())),
                [Output::Done(receipt)] => {
                    prop_assert!(receipt.outcome != Outcome::Approved);
                    break;
                }
                other => panic!("{other:?}"),
            };
            outputs = till.handle(input);
        }
    }
}
