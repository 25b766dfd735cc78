//! Decoding as a person sees it: snapshots of whole explanations, and properties of the masks.

use super::*;
use insta::assert_snapshot;
use proptest::prelude::*;

const PPSE: &str = "6F23 840E 325041592E5359532E4444463031 A511 BF0C0E 610C 4F07 A0000000041010 870101";
/// A test number of the Mastercard range.
const PAN: &str = "5413330089010434";

fn bytes(hex: &str) -> Vec<u8> {
    parse_hex(hex).unwrap()
}

fn explained(hex: &str) -> String {
    explain(&bytes(hex))
}

/// `head`, the length of `content`, `content`: a data object, or a command up to its data.
fn with_length(head: &str, content: &str) -> String {
    let mut length = Vec::new();
    tlv::encode_length(bytes(content).len(), &mut length);
    format!("{head} {} {content}", spaced_hex(&length))
}

fn command(hex: &str) -> CApdu {
    CApdu::decode(&bytes(hex)).unwrap()
}

#[test]
fn the_form_is_seen_from_the_bytes() {
    for (hex, form) in [
        ("00A40400 0E 325041592E5359532E4444463031 00", Some(Form::Command)),
        ("80CA9F7F00", Some(Form::Command)),
        ("00B2010C00", Some(Form::Command)),
        ("FFCA000000", Some(Form::Command)),
        ("9000", Some(Form::Response)),
        ("6A82", Some(Form::Response)),
        ("6C0A", Some(Form::Response)),
        (&format!("{PPSE} 9000"), Some(Form::Response)),
        // A log record: values without tags.
        ("40 000000000420 0978 261122 0001 9000", Some(Form::Response)),
        (PPSE, Some(Form::Tlv)),
        ("9F3602 9000", Some(Form::Tlv)),
        ("8006 1980 08010100", Some(Form::Tlv)),
        ("DF7E01AA", Some(Form::Tlv)),
        ("0011223344", Some(Form::Command)),
        ("0011", None),
        ("0000", Some(Form::Tlv)),
    ] {
        assert_eq!(detect(&bytes(hex)), form, "{hex}");
    }
    assert_eq!(detect(&[]), None);
}

#[test]
fn a_form_can_be_imposed() {
    assert_eq!(Form::WORDS.map(|(word, _)| word), ["tlv", "command", "response"]);
    assert_eq!(
        explain_as(&bytes("9F36029000"), Form::Response).unwrap(),
        "R-APDU: 9000 ok, 3 bytes\n  data, 3 bytes: 9F 36 02\n"
    );
    assert_eq!(explain_as(&bytes("9F3602"), Form::Tlv).unwrap_err().to_string(), "the bytes end too early at offset 3");
    assert!(explain_as(&bytes("9F36"), Form::Command).is_err());
    assert_eq!(explain(&[0; 4]), "no data object, 4 bytes of padding\n");
    assert_eq!(explain_as(&[], Form::Tlv).unwrap(), "no data object, 0 bytes of padding\n");
}

#[test]
fn bytes_of_a_known_form_have_a_line() {
    let line = |hex, form| summarize_as(&bytes(hex), form);
    assert_eq!(line("00B2011400", Form::Command).as_deref(), Some("READ RECORD 1 of file 2"));
    assert_eq!(line("9F36029000", Form::Response).as_deref(), Some("9000 ok, 3 bytes"));
    assert_eq!(line(PPSE, Form::Tlv).as_deref(), Some("1 data object"));
    for form in [Form::Tlv, Form::Command, Form::Response] {
        assert_eq!(line("6F", form), None);
    }
}

#[test]
fn selecting_the_payment_environment() {
    assert_snapshot!(explained("00A40400 0E 325041592E5359532E4444463031 00") + &explained(&format!("{PPSE} 9000")));
}

#[test]
fn processing_options_and_a_record() {
    let record = [
        &with_length("5A", PAN),
        "5F340101 5F2403291231 5F28020978",
        &with_length("57", &format!("{PAN}D29122010123456789F0")),
        &with_length("5F20", "544553542F434152442E"),
        &with_length("8E", "00000000 00001388 4203 1E03 1F03 01"),
        &with_length("8C", "9F0206 9F0306 9F1A02 9505 5F2A02 9A03 9C01 9F3704 DF7E01"),
        "9F0D05FC50A00000 9F42020978 9F08020002 9F49039F3704 9F49029F37",
        &with_length("9F47", "0300000000000000000000000000000001"),
        "DF7E03AABBCC 5C039F365A 6100 87018F 870100 9F4D020B0A 9F4D010B 8A023030 8A023007",
    ]
    .join(" ");
    assert_snapshot!(
        explained("80A80000 02 8300 00")
            + &explained(&(with_length("77", "82021981 940C 08010100 10010201 18010200") + "9000"))
            + &explained("00B2011400")
            + &explained(&(with_length("70", &record) + "9000"))
            + &explained(&with_length("70", "95058000048080 9F34031F0302 9F6C020080 9F6604B6804000"))
            + &explained("9F34031F0302 9F34034E0001 9F3403420300")
    );
}

#[test]
fn each_bit_of_the_verification_results_has_its_words() {
    for byte in 0..5 {
        for bit in 0..8 {
            let mut value = [0; 5];
            value[byte] = 1 << bit;
            let reserved = matches!((byte, bit), (1, 0..=2) | (2, 0..=1) | (3, 0..=2));
            let lines = explain(&[&[0x95, 0x05][..], &value].concat()).lines().count();
            assert_eq!(lines, if reserved { 1 } else { 2 }, "byte {byte}, bit {bit}");
        }
    }
    let explained = explain(&bytes("9505 0000000003"));
    assert!(
        explained.ends_with("  = relay resistance protocol performed\n  = relay resistance protocol not performed\n")
    );
}

#[test]
fn asking_for_a_cryptogram() {
    assert_snapshot!(
        explained("80AE9000 1D 000000000420000000000000097880000480000978261122 00 52BF4585 00")
            + &explained("771E 9F270180 9F360200FF 9F2608 29CCA15AE665FA2E 9F1007 06011203A0B800 9000")
    );
}

#[test]
fn personalising_a_card() {
    assert_snapshot!(
        [
            "00A40400 08 A000000151000000 00".to_owned(),
            "80502100 08 0001020304050607 00".to_owned(),
            "84823300 10 C28A6A8B99435E370102030405060708".to_owned(),
            with_length("80E60C00", "08F062616E64726967 09F062616E6472696701 09A00000000410100001 0100 02C900 00"),
            "80E62000 0F 0000 09A00000000410100001 0000 00".to_owned(),
            with_length("80E20801", "010111 700F 5A085413330089010434 5F24022912 A0FF 01 01"),
            "80E28803 11 8000 0A 01020304050607080910 A0FF 0101".to_owned(),
            "80E28801 11 8000 08 0102030405060708 9000 03 BAB0F0".to_owned(),
            "84E28802 08 0102030405060708".to_owned(),
            "80E40000 0B 4F09A00000000410100001".to_owned(),
            "80D80081 08 0102030405060708".to_owned(),
            "00200080 08 2412345FFFFFFFFF".to_owned(),
        ]
        .map(|hex| explain_as(&bytes(&hex), Form::Command).unwrap_or_else(|error| format!("{hex}: {error}\n")))
        .concat()
    );
}

#[test]
fn the_contactless_registry() {
    assert_snapshot!(
        explained("80F24000 0E 4F07A0000000041010 5C 03 4F 9F70 00")
            + &explained("610E 4F07A0000000041010 9F70020701 6310")
            + &explained("80F00101 09 4F07A0000000041010 00")
            + &explained("A109 4F07A0000000041010 6320")
    );
}

#[test]
fn bytes_of_no_form_are_shown_as_bytes() {
    assert_snapshot!(
        explained("00 11") + &explained(&"F1".repeat(40)) + &explained("0011223344") + &explained("61 05 87 01")
    );
}

#[test]
fn every_command_has_a_line() {
    assert_snapshot!(
        [
            "00A4040007A0000000041010",
            "00A4040207A000000004101000",
            "00A40400",
            "00B2021400",
            "00B0000000",
            "0084000008",
            "0088000004010203 04",
            "00820000080102030405060708",
            "84820300080102030405060708",
            "0070000001",
            "00C0000010",
            "80CA9F3600",
            "80CA00E000",
            "80DA9F3602 0001",
            "80A8000002830000",
            "80AE000000",
            "80AE400000",
            "80AE900000",
            "80AE880000",
            "80AEC00000",
            "80EA00000411223344",
            "802A8E800411223344",
            "841E000000",
            "8418000000",
            "8416000000",
            "8424000000",
            "80502000",
            "80E60200",
            "80E60100",
            "80E8000500",
            "80E20007",
            "80E28007",
            "80E4000000",
            "80D80100",
            "80F24000024F00",
            "80F24001024F00",
            "80F00100094F07A0000000041010",
            "80F04080",
            "FFCA000000",
            "80FF0102",
            "E0A40400",
        ]
        .map(|hex| format!("{hex}: {}\n", summarize_command(&command(hex))))
        .concat()
    );
}

#[test]
fn a_transcript_is_read_line_by_line() {
    let text = "# a tap\n> 00 B2 01 0C 00   # first record\n\n< 6A 83\n87 01 01\n";
    assert_snapshot!(explain_text(text, None).unwrap());
    assert_eq!(explain_text("8701 01\n> 00 A4 04\n", None), Err((2, "the bytes end too early at offset 3".to_owned())));
    assert_eq!(explain_text("\n0G", None), Err((2, "'G' at character 2 is no hex digit".to_owned())));
    assert_eq!(explain_text("9000", Some(Form::Tlv)).unwrap(), "90 Issuer Public Key Certificate, empty\n");
}

#[test]
fn one_wrong_object_is_one_marked_line() {
    let got = "6F 2B 840E325041592E5359532E4444463031 A519 BF0C16 6114 4F07A0000000041010 870102 5006 4D4153544552";
    assert_snapshot!(tlv_diff(&bytes(PPSE), &bytes(got)));
}

#[test]
fn missing_and_strange_objects_are_told_apart() {
    let expected = format!("5A08{PAN} 5F340101 9F4614 000102030405060708090A0B0C0D0E0F10111213 9F3600");
    let got = "5A085413330000000434 9F4614 000102030405060708090A0B0C0D0E0F10111214 DF7E01AA 9F3600";
    assert_snapshot!(tlv_diff(&bytes(&with_length("70", &expected)), &bytes(&with_length("70", got))));
}

#[test]
fn bytes_without_tags_are_compared_line_by_line() {
    assert_snapshot!(
        tlv_diff(&bytes("9000"), &bytes("6A82"))
            + &tlv_diff(&[7; 40], &[7; 17])
            + &tlv_diff(&[], &[1])
            + &tlv_diff(&[], &[])
    );
}

#[test]
fn bytes_of_a_command_are_masked_in_place() {
    for (hex, masked) in [
        ("00B2010C00", "00 B2 01 0C 00".to_owned()),
        ("00A40400", "00 A4 04 00".to_owned()),
        ("00200080082412345FFFFFFFFF", format!("00 20 00 80 08 {}", ["**"; 8].join(" "))),
        ("80200080082412345FFFFFFFFF", format!("80 20 00 80 08 {}", ["**"; 8].join(" "))),
        ("002400010824123456FFFFFFFF", format!("00 24 00 01 08 {}", ["**"; 8].join(" "))),
        ("80D80001 02 0102 00", "80 D8 00 01 02 ** ** 00".to_owned()),
        (&format!("80E20001 0E 0101 0A 5A08{PAN} 0001"), format!("80 E2 00 01 0E {} 01", ["**"; 14].join(" "))),
        ("80E20001 07 8201 02 0102 0304 00", "80 E2 00 01 07 82 01 02 01 02 03 04 00".to_owned()),
        // A grouping that runs on into the next command, and its rest; the same under a secure channel is nobody's to read.
        ("80E20801 09 0203 0A 7008 9F4605 6A", format!("80 E2 08 01 09 {}", ["**"; 9].join(" "))),
        ("80E28802 04 04541333", "80 E2 88 02 04 ** ** ** **".to_owned()),
        ("84E28802 04 04541333", "84 E2 88 02 04 04 54 13 33".to_owned()),
        ("80E20001 06 9F46 03 6A0454", "80 E2 00 01 06 9F 46 03 ** ** **".to_owned()),
        ("80DA9F46 03 6A0454", "80 DA 9F 46 03 ** ** **".to_owned()),
        ("80E20001 05 8201 02 0102 00", "80 E2 00 01 05 82 01 02 ** ** 00".to_owned()),
        ("80AE9000000002 0102 0000", "80 AE 90 00 00 00 02 01 02 00 00".to_owned()),
        ("00B2010C000000", "00 B2 01 0C 00 00 00".to_owned()),
    ] {
        let Ok(command) = CApdu::decode(&bytes(hex)) else { panic!("{hex}") };
        assert_eq!(masked_command(&command), masked);
    }
    assert_eq!(masked_no_command(&bytes("00200080 08 241234")), "00 20 00 80 ** ** ** **");
    assert_eq!(masked_no_command(&bytes("00B2010C 08 01")), "00 B2 01 0C 08 01");
    let response = RApdu::decode(&bytes(&format!("700A5A08{PAN}9000"))).unwrap();
    assert_eq!(masked_response(&response), "70 0A 5A 08 54 13 33 ** ** ** 04 34 90 00");
    assert_eq!(masked_response(&RApdu::sw(Sw::NOT_FOUND)), "6A 82");
    assert_eq!(summarize_response(&response), "9000 ok, 12 bytes");
    assert_eq!(summarize_response(&RApdu::sw(Sw::NOT_FOUND)), "6A82 file or application not found");
}

#[test]
fn no_way_of_wrapping_a_card_number_shows_it() {
    let object = format!("5A08{PAN}");
    let track = format!("5713{PAN}D29122010123456789F0");
    for hex in [
        object.clone(),
        track.clone(),
        format!("70 21 {object} {track} 5F20 01 41"),
        format!("70 21 {object} {track} 9000"),
        format!("70 40 {object} {track} 9000"),
        format!("00 D6 00 00 0A {object}"),
        format!("80E20000 0D 0101 0A {object}"),
        format!("80E20000 0E 0101 0A {object} 77"),
        format!("84E20000 15 0101 0A {object} 0102030405060708"),
        format!("80E20000 0F 0101 FF000A {object}"),
        format!("FF FF {PAN} FF"),
        format!("DF7E 08 {PAN}"),
        format!("80 CA 9F 36 08 {PAN}"),
        PAN.to_owned(),
        format!("{PAN} 9000"),
    ] {
        let bytes = bytes(&hex);
        let mut shown = explain(&bytes) + &masked_hex(&bytes) + &tlv_diff(&bytes, &[]) + &tlv_diff(&[0x50, 0], &bytes);
        for form in [Form::Tlv, Form::Command] {
            shown += &explain_as(&bytes, form).unwrap_or_default();
        }
        shown += &CApdu::decode(&bytes)
            .map(|command| masked_command(&command) + &summarize_command(&command))
            .unwrap_or_default();
        if let Some(response) = RApdu::decode(&bytes).ok().filter(|response| response.sw.is_ok()) {
            shown += &(masked_response(&response) + &explain_response(&response));
        }
        let digits = shown.replace([' ', '\n'], "");
        assert!(!digits.contains(PAN), "{hex} shows\n{shown}");
        assert!(!digits.contains("9122010123456789"), "{hex} shows\n{shown}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_explained(bytes in prop::collection::vec(any::<u8>(), 0..80), other in prop::collection::vec(any::<u8>(), 0..80)) {
        prop_assert!(explain(&bytes).ends_with('\n'));
        prop_assert!(tlv_diff(&bytes, &other).ends_with('\n'));
        for (_, form) in Form::WORDS {
            let _ = explain_as(&bytes, form);
        }
    }

    #[test]
    fn masking_a_command_changes_no_length(header: [u8; 4], instruction in prop::sample::select(&[0xE2_u8, 0xE6, 0x20, 0xAE, 0xCA, 0xA4][..]), data in prop::collection::vec(any::<u8>(), 0..300), ne in prop::option::of(1_u32..=65_536)) {
        let mut command = CApdu::new(0x80, instruction, header[2], header[3]).with_data(data);
        if let Some(ne) = ne {
            command = command.with_ne(ne);
        }
        prop_assert_eq!(masked_command(&command).split(' ').count(), command.encode().len());
        prop_assert!(!explain_command(&command).is_empty());
    }

    #[test]
    fn equal_bytes_have_no_marked_line(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let diff = tlv_diff(&bytes, &bytes);
        prop_assert!(diff.lines().all(|line| line.starts_with("  ")), "{}", diff);
    }
}

#[test]
fn templates_nested_without_end_do_not_exhaust_the_stack() {
    let mut nested = Vec::new();
    for _ in 0..10_000 {
        nested = tlv::Writer::new().put(tag::TAG_61_APPLICATION_TEMPLATE, nested).finish();
    }
    assert!(explain_tlv(&nested, 0).lines().count() > tlv::MAX_DEPTH);
    assert!(!masked_hex(&nested).is_empty());
}
