//! Replays `fixtures/corpus/` through the properties the fuzzer checks. A corpus that is not there is a failure, not a
//! pass.

use std::fs;
use std::path::{Path, PathBuf};

use bandrig::decode::parse_hex;
use bandrig::fuzzing::TARGETS;

/// The seeds, by target and by the behaviour they reach. Findings of the fuzzer are files beside them and have no row.
const SEEDS: &[(&str, &str, &str)] = &[
    ("apdu", "case_1_without_data_and_le", "00 70 00 00"),
    ("apdu", "case_2s_read_record", "00 B2 01 0C 00"),
    ("apdu", "case_3s_part_of_a_chain", "90 E2 00 00 02 01 02"),
    ("apdu", "case_4s_select_ppse", "00 A4 04 00 0E 32 50 41 59 2E 53 59 53 2E 44 44 46 30 31 00"),
    ("apdu", "case_2e_le_65536", "00 B0 00 00 00 00 00"),
    ("apdu", "case_3e_one_byte", "80 E2 88 00 00 00 01 AA"),
    ("apdu", "case_4e_one_byte", "80 E2 88 00 00 00 01 AA 00 00"),
    ("apdu", "lc_zero_and_more_bytes", "00 A4 04 00 00 00 00 01"),
    ("apdu", "le_one_byte_short_of_extended", "80 E2 88 00 00 00 01 AA 00"),
    ("apdu", "select_mastercard", "00 A4 04 00 07 A0 00 00 00 04 10 10 00"),
    ("apdu", "get_processing_options_without_pdol", "80 A8 00 00 02 83 00 00"),
    (
        "apdu",
        "generate_ac_with_cda",
        "80 AE 90 00 1D 00 00 00 00 04 20 00 00 00 00 00 00 09 78 80 00 04 80 00 09 78 26 11 22 00 52 BF 45 85 00",
    ),
    ("apdu", "get_data_cplc", "80 CA 9F 7F 00"),
    ("apdu", "initialize_update", "80 50 21 00 08 00 01 02 03 04 05 06 07 00"),
    ("apdu", "external_authenticate_level_33", "84 82 33 00 10 C2 8A 6A 8B 99 43 5E 37 01 02 03 04 05 06 07 08"),
    (
        "apdu",
        "install_and_make_selectable",
        "80 E6 0C 00 23 08 F0 62 61 6E 64 72 69 67 09 F0 62 61 6E 64 72 69 67 01 09 A0 00 00 00 04 10 10 00 01 01 00 \
         02 C9 00 00",
    ),
    (
        "apdu",
        "store_data_with_a_record_and_keys",
        "80 E2 88 01 17 01 01 0C 70 0A 5A 08 54 13 33 00 89 01 04 34 80 00 05 01 02 03 04 05",
    ),
    ("apdu", "store_data_with_a_long_grouping_cut_short", "80 E2 00 00 06 80 00 FF 01 00 AA"),
    ("apdu", "registry_status_next", "80 F2 40 01 0E 4F 07 A0 00 00 00 04 10 10 5C 03 4F 9F 70 00"),
    ("apdu", "registry_activate", "80 F0 01 01 09 4F 07 A0 00 00 00 04 10 10 00"),
    ("apdu", "verify_pin", "00 20 00 80 08 24 12 34 5F FF FF FF FF"),
    ("apdu", "get_uid_of_the_reader", "FF CA 00 00 00"),
    (
        "apdu",
        "response_with_a_ppse",
        "6F 23 84 0E 32 50 41 59 2E 53 59 53 2E 44 44 46 30 31 A5 11 BF 0C 0E 61 0C 4F 07 A0 00 00 00 04 10 10 87 01 01 \
         90 00",
    ),
    ("apdu", "response_of_a_log_record", "40 00 00 00 00 04 20 09 78 26 11 22 00 01 90 00"),
    ("apdu", "response_more_data", "01 02 03 61 10"),
    ("apdu", "response_wrong_le", "6C 13"),
    ("apdu", "response_not_found", "6A 82"),
    // The first byte chooses a prepared card, then come steps: see `bandrig::fuzzing_card`.
    ("card_session", "add_activate_and_pay", "00 08 01 09 01 80"),
    ("card_session", "offline_limits_are_reached", "01 09 01 40 09 01 40 09 01 40 09 01 00"),
    ("card_session", "a_seventh_card_has_no_place", "02 08 07"),
    ("card_session", "delete_through_the_channel", "01 04 05 01 0A 0E 02 01 02 09 01 80"),
    ("card_session", "a_spoilt_c_mac_ends_the_channel", "01 04 07 01 0A 0E 02 01 02 05 05 01 0A 0E 02 01 02"),
    ("card_session", "order_of_six_cards", "02 01 00 00 03 00 01 09 02 01 00 01 0C 04 09 02"),
    ("card_session", "a_second_cryptogram_is_refused", "01 09 01 80 01 01 01 05 0D 06 01 02"),
    (
        "card_session",
        "power_cut_while_the_atc_counts",
        "01 09 01 80 01 01 00 03 00 01 01 02 0B 00 01 01 04 0E 05 02 09 01 80",
    ),
    ("card_session", "power_cut_while_deleting", "02 04 0B 00 00 01 0A 0E 02 01 02 08 01"),
    ("card_session", "bytes_that_are_no_command", "00 00 00 03 00 A4 04"),
    ("card_session", "field_lost_between_two_commands", "01 01 01 00 03 00 01 01 02 0A 01 01 01 01 04 0E 05 02"),
    ("card_session", "answer_fetched_with_get_response", "00 01 00 01 08 13 00 00 01 00 00 07 0E 00 02"),
    (
        "tlv",
        "ppse_of_one_card",
        "6F 23 84 0E 32 50 41 59 2E 53 59 53 2E 44 44 46 30 31 A5 11 BF 0C 0E 61 0C 4F 07 A0 00 00 00 04 10 10 87 01 01",
    ),
    ("tlv", "processing_options_format_1", "80 06 19 80 08 01 01 00"),
    ("tlv", "processing_options_format_2", "77 0E 82 02 19 80 94 08 08 01 01 00 10 01 02 01"),
    (
        "tlv",
        "record_with_card_data",
        "70 27 5A 08 54 13 33 00 89 01 04 34 5F 34 01 01 57 12 54 13 33 00 89 01 04 34 D2 91 22 01 01 23 45 67 89 F0 \
         5F 20 02 41 42",
    ),
    ("tlv", "data_object_list", "9F 02 06 9F 03 06 9F 1A 02 95 05 5F 2A 02 9A 03 9C 01 9F 37 04"),
    ("tlv", "padding_between_objects", "00 61 05 00 87 01 01 00 00 50 00 00"),
    ("tlv", "padding_and_nothing_else", "00 00 00 00"),
    ("tlv", "tag_of_four_bytes", "DF 81 80 01 01 AA"),
    ("tlv", "tag_of_five_bytes", "DF 81 81 81 01 01 AA"),
    ("tlv", "tag_that_begins_with_ff", "FF 81 05 04 9F 36 01 AA"),
    ("tlv", "length_longer_than_needed", "50 84 00 00 00 01 41"),
    ("tlv", "length_indefinite", "61 80 50 00 00 00"),
    ("tlv", "length_of_five_bytes", "50 85 00 00 00 00 01 41"),
    ("tlv", "length_past_the_end", "70 05 5A 08 54 13 33"),
    ("tlv", "length_past_the_template", "61 04 50 03 41 42 43"),
    ("tlv", "nested_to_the_bound", "61 10 61 0E 61 0C 61 0A 61 08 61 06 61 04 50 02 41 42"),
    ("tlv", "nested_past_the_bound", "61 12 61 10 61 0E 61 0C 61 0A 61 08 61 06 61 04 50 02 41 42"),
    ("tlv", "empty_template", "61 00"),
    ("tlv", "registry_entry", "61 0E 4F 07 A0 00 00 00 04 10 10 9F 70 02 07 01"),
    ("tlv", "card_number_without_a_tag", "FF 54 13 33 00 89 01 04 34 D2 91 22"),
];

#[test]
fn every_target_replays_its_corpus() {
    for (target, property) in TARGETS {
        let files = files(&corpus().join(target));
        assert!(!files.is_empty(), "fixtures/corpus/{target} is empty or missing");
        for file in files {
            let bytes = fs::read(&file).unwrap();
            let held = std::panic::catch_unwind(|| property(&bytes));
            assert!(held.is_ok(), "{} breaks a property of {target}; the panic is above", file.display());
        }
    }
}

#[test]
fn every_seed_is_the_file_its_row_says() {
    let write = std::env::var_os("BANDRIG_WRITE_CORPUS").is_some();
    for &(target, name, hex) in SEEDS {
        let file = corpus().join(target).join(name).with_extension("bin");
        let bytes = parse_hex(hex).unwrap();
        if write {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, &bytes).unwrap();
        }
        let found = fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        assert_eq!(found, bytes, "{}; write it again with BANDRIG_WRITE_CORPUS=1", file.display());
    }
}

#[test]
fn corpus_folders_targets_and_shims_are_the_same_set() {
    let targets = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&corpus()), targets, "a corpus folder is a fuzz target; TARGETS is in alphabetical order");
    let shims = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    assert_eq!(names(&shims), targets, "a fuzz target is a shim in rig/fuzz/fuzz_targets");
    for shim in files(&shims) {
        let lines = fs::read_to_string(&shim).unwrap().lines().count();
        assert!(lines <= 10, "{} has {lines} lines; a shim only calls bandrig::fuzzing", shim.display());
    }
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/corpus")
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect::<Vec<_>>();
    files.sort();
    files
}

/// What is in a folder, without extensions and without the page that explains it.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut names = entries
        .filter(|path| path.file_name().is_some_and(|name| name != "README.md"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect::<Vec<_>>();
    names.sort();
    names
}
