//! No output shows a card number, a track, a PIN or a key, nor a certificate that public keys open to the number.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use band_sim::wire::{tag, tlv};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPrivateKey, RsaPublicKey};
use virtual_reader::Slot;

mod virtual_reader;

/// Payments that fail in every way in which card data could be shown, with what the app and raw commands answer. The record with the
/// card's certificate is read whole and in pieces, in the field and through the app.
const TELLTALES: &str = r#"
scenario: whatever goes wrong, ${card} is not shown
matrix:
  - { card: mastercard-debit, aid: A0 00 00 00 04 10 10, record: 00 B2 01 0C 00, bend: { at: read_record 1, keep: 15 } }
  - { card: mastercard-debit, aid: A0 00 00 00 04 10 10, record: 00 B2 01 14 00, bend: { at: read_record 2, append: DF } }
  - { card: visa-credit, aid: A0 00 00 00 03 10 10, record: 00 B2 01 1C 00, bend: { at: gpo, keep: 40 } }
  - { card: visa-credit, aid: A0 00 00 00 03 10 10, record: 00 B2 01 1C 00, bend: { at: gpo, flip: [9F26] } }
given: { cards: [{ card: "${card}", as: it }] }
steps:
  - tap: { amount: 60.00 EUR, terminal: restaurant, pin: wrong }
    expect: { outcome: not_paid }
  - tap: { amount: 61.00 EUR, terminal: restaurant, pin: right }
    expect: { outcome: approved }
  - apdu: { via: contactless, send: [ "00 A4 04 00 07 ${aid} 00", 80 A8 00 00 02 83 00 00, "${record}" ] }
  - apdu: { via: contactless, send: [ "00 A4 04 00 07 ${aid} 00", 80 A8 00 00 02 83 00 00, 00 B2 03 14 00, 00 B2 03 14 30, 00 C0 00 00 30, 00 C0 00 00 00 ] }
  - apdu: { via: nfc_channel, send: [ "00 A4 04 00 07 ${aid} 00", 80 A8 00 00 02 83 00 00, 00 B2 03 14 00, 00 B2 03 14 30, 00 C0 00 00 30, 00 C0 00 00 00 ] }
  - apdu: { via: contactless, send: [ "00 A4 04 00 07 ${aid} 00", 00 20 00 80 08 24 26 84 FF FF FF FF FF, 00 A4 04 00 08 24 26 84 FF FF FF FF FF ] }
    expect: { sw: 6A 82 }
  - history: it
  - tap: { amount: 60.00 EUR, terminal: restaurant, man_in_the_middle: ["${bend}"] }
    expect: { outcome: field_lost, card: it, arc: "99" }
"#;

/// A name and what stands there: text as it is, a capture in hex.
type Shown = (String, String);

#[test]
fn no_output_shows_a_card_number_a_track_a_pin_or_a_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut outputs = of_a_run(folder.path());
    outputs.extend(of_payments(folder.path()));
    let bands = ["mastercard-debit", "visa-credit"].map(|card| {
        let (log, numbers) = of_a_band(card);
        outputs.push((format!("the log of a band with {card}"), log));
        numbers
    });
    assert!(outputs.len() >= 30, "{:?}", outputs.iter().map(|(name, _)| name).collect::<Vec<_>>());

    let mut masked = 0;
    for (name, text) in &outputs {
        let plain: String =
            text.chars().filter(|it| !it.is_whitespace() && !matches!(it, ':' | '-' | '_' | '"')).collect();
        masked += plain.matches("541333***").count() + plain.matches("476173***").count();
        for secret in secrets().iter().chain(bands.iter().flatten()) {
            assert!(!plain.to_uppercase().contains(secret.as_str()), "{secret} stands in {name}");
        }
        let words = || text.split(|it: char| !it.is_alphanumeric());
        for pin in pins() {
            assert!(!words().any(|word| word == pin), "the PIN {pin} stands in {name}");
            let ascii: String = pin.bytes().map(|digit| format!("{digit:02X}")).collect();
            assert!(!plain.to_uppercase().contains(&ascii), "the PIN {pin} stands in {name} as {ascii}");
            let block = format!("2{:X}{pin}F", pin.len());
            assert!(!plain.to_uppercase().contains(&block), "the PIN {pin} stands in {name} as {block}");
        }
        // Tokens are made by the bank, in the ranges of their schemes: none of their other digits may follow. In a capture a masked
        // digit is a 0.
        for (start, digits) in [("541333", 3), ("476173", 3), ("353431333333", 6), ("343736313733", 6)] {
            for (at, _) in plain.match_indices(start) {
                let follows: String = plain[at + start.len()..].chars().take(digits).collect();
                let shown = follows.chars().all(|it| it.is_ascii_digit()) && follows.chars().any(|it| it != '0');
                assert!(!shown, "{start}{follows} stands in {name}");
            }
        }
        for start in ["84,19,51,", "71,97,115,"] {
            assert!(!plain.contains(start), "{start} stands in {name}");
        }
    }
    assert!(masked >= 40, "only {masked} masked numbers were seen, so nothing was tried");
    let opened = Opener::new().numbers_in(outputs.iter().map(|(_, text)| text.as_str()));
    assert_eq!(opened, BTreeSet::new(), "public keys open these from what is shown");
}

/// All that a run prints and writes.
fn of_a_run(folder: &Path) -> Vec<Shown> {
    let scenarios = folder.join("scenarios");
    let reports = folder.join("reports");
    fs::create_dir(&scenarios).expect("a folder");
    fs::write(scenarios.join("a.yaml"), TELLTALES).expect("a file");
    let arguments = ["run", "--color", "never", "--fixtures", "fixtures", "--trace", "--out"];
    let run = bandrig(&[&arguments[..], &[&reports.display().to_string(), &scenarios.display().to_string()]].concat());
    assert_eq!(run.status.code(), Some(1), "{}", said(&run));
    let mut outputs = vec![("run".to_owned(), said(&run))];
    let mut folders = vec![reports];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => folders.push(path),
                false => outputs.push((path.display().to_string(), file(&path))),
            }
        }
    }
    let events = outputs.iter().find(|(name, _)| name.ends_with("events.jsonl")).expect("events").1.clone();
    outputs.extend(put_together(&events));
    outputs
}

/// What somebody has who puts the pieces of answers together: what the app said of them, and the fragments they came in.
fn put_together(events: &str) -> [Shown; 2] {
    let (mut answers, mut fragments) = (String::new(), String::new());
    for line in events.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        if let Some(answer) = text("text").strip_prefix("answer ") {
            // Without the status word.
            answers += answer.get(..answer.len() - 5).unwrap_or_default();
        }
        if text("op") == "notify" && text("characteristic") == "H:0011" {
            // Without the opcode.
            fragments += text("hex").get(2..).unwrap_or_default();
        }
    }
    assert!(answers.contains("9F 46") && fragments.contains("9F 46"), "nothing was put together");
    [("answers put together".to_owned(), answers), ("fragments put together".to_owned(), fragments)]
}

/// All that payments of one command print and write.
fn of_payments(folder: &Path) -> Vec<Shown> {
    let mut outputs = vec![];
    let capture = folder.join("tap.pcapng");
    let capture_option = capture.display().to_string();
    let fixed = ["tap", "--amount", "60.00 EUR", "--color", "never", "--capture", &capture_option, "--card"];
    for card in ["mastercard-debit", "mastercard-prepaid", "visa-credit"] {
        for more in [&[][..], &["--json"], &["--pin", "wrong"], &["--offline"], &["--terminal", "petrol-pump"]] {
            let place: &[&str] = if more.contains(&"--terminal") { &[] } else { &["--terminal", "restaurant"] };
            let arguments = [&fixed[..], &[card], place, more].concat();
            outputs.push((arguments.join(" "), said(&bandrig(&arguments))));
            outputs.push((format!("the capture of {}", arguments.join(" ")), file(&capture)));
        }
    }
    outputs
}

/// The whole log of a band in a virtual reader, and the numbers that were read from it there.
fn of_a_band(card: &str) -> (String, Vec<String>) {
    let slot = Slot::new();
    let mut band = Command::new(env!("CARGO_BIN_EXE_band"))
        .args(slot.options())
        .args(["--cards", card, "--log", "trace"])
        .current_dir(top())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the band starts");
    let log = slot.log_of(&mut band);
    let mut reader = slot.accept();
    let aid = if card.starts_with("visa") { 0x03 } else { 0x04 };
    reader.answer(&[&[0x00, 0xA4, 0x04, 0x00, 0x07, 0xA0, 0x00, 0x00, 0x00, aid, 0x10, 0x10], &[0x00][..]].concat());
    reader.answer(&[0x80, 0xA8, 0x00, 0x00, 0x02, 0x83, 0x00, 0x00]);
    let mut numbers = vec![];
    let mut certificates = 0;
    for (file, record) in [(1, 1), (2, 1), (2, 2), (2, 3)] {
        let answer = reader.answer(&[0x00, 0xB2, record, file << 3 | 4, 0x00]);
        let (data, status_word) = answer.split_at(answer.len() - 2);
        assert_eq!(status_word, [0x90, 0x00], "record {record} of file {file}");
        numbers.extend(tlv::find_deep(data, tag::TAG_5A_PAN).map(hex));
        if tlv::find_deep(data, tag::TAG_9F46_ICC_PUBLIC_KEY_CERTIFICATE).is_some() {
            // Whoever reads the card opens its certificate: the search would find one that is shown.
            assert_eq!(Opener::new().numbers_in([hex(data).as_str()]), numbers.iter().cloned().collect());
            certificates += 1;
        }
        // The same in pieces.
        let mut answer = reader.answer(&[0x00, 0xB2, record, file << 3 | 4, 0x20]);
        while let [.., 0x61, _] = answer[..] {
            answer = reader.answer(&[0x00, 0xC0, 0x00, 0x00, 0x20]);
        }
    }
    assert_eq!((numbers.len(), certificates), (1, 1));
    drop(reader);
    band.kill().expect("the band is there");
    band.wait().expect("the band ends");
    let log = log.recv().expect("the log");
    assert!(log.contains("R-APDU 70 81"), "{log}");
    (log, numbers)
}

/// Opens certificates as anybody can who has the public keys of the issuers.
struct Opener {
    issuers: Vec<RsaPublicKey>,
}

impl Opener {
    fn new() -> Self {
        let text = fs::read_to_string(top().join("fixtures/keys/issuers.yaml")).expect("the keys");
        let file: serde_json::Value = serde_yaml::from_str(&text).expect("YAML");
        let issuers = file["issuers"].as_array().expect("a list").iter().map(|issuer| {
            let key = issuer["key"].as_str().expect("a key");
            RsaPrivateKey::from_pkcs1_pem(key).expect("a key").to_public_key()
        });
        Self { issuers: issuers.collect() }
    }

    /// The card numbers of all certificates that stand in these texts as hex, whatever stands between its digits.
    fn numbers_in<'t>(&self, texts: impl IntoIterator<Item = &'t str>) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut numbers = BTreeSet::new();
        for text in texts {
            let text = text.to_uppercase().replace("0X", "");
            let digits: String = text.chars().filter(|it| it.is_ascii_hexdigit() || !separates(*it)).collect();
            // What is the same in many outputs is opened once.
            for run in digits.split(|it: char| !it.is_ascii_hexdigit()).filter(|run| seen.insert((*run).to_owned())) {
                for issuer in &self.issuers {
                    let length = 2 * issuer.size();
                    let windows = (0..run.len().saturating_sub(length - 1)).map(|at| &run[at..at + length]);
                    numbers.extend(windows.filter_map(|window| number_in(issuer, window)));
                }
            }
        }
        numbers
    }
}

/// What may stand between the digits of a value.
fn separates(character: char) -> bool {
    character.is_whitespace() || matches!(character, ':' | '-' | '_' | '.' | ',' | '"')
}

/// The number in a certificate over a card's key, as far as this is one.
// EMV 4.4 B2 6.4: header 6A, format 04, the number in ten bytes, …, trailer BC
fn number_in(issuer: &RsaPublicKey, certificate: &str) -> Option<String> {
    let certificate = BigUint::parse_bytes(certificate.as_bytes(), 16)?;
    // The exponent of all issuers is 3, and this is a hundred times as fast as any exponent.
    let opened = &(&certificate * &certificate % issuer.n()) * certificate % issuer.n();
    match &opened.to_bytes_be()[..] {
        [0x6A, 0x04, rest @ .., 0xBC] => Some(hex(rest.get(..10)?).trim_end_matches('F').to_owned()),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn top() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn bandrig(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bandrig")).args(arguments).current_dir(top()).output().expect("the binary starts")
}

/// Both streams.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

/// A file's text; in hex when it has none.
fn file(path: &Path) -> String {
    let bytes = fs::read(path).expect("a file");
    String::from_utf8(bytes).unwrap_or_else(|error| hex(error.as_bytes()))
}

/// Numbers and keys of the card fixtures, as hex digits.
fn secrets() -> Vec<String> {
    let secrets = of_all_cards(&["pan", "ac", "smi", "smc"]);
    assert!(secrets.len() >= 40, "{} secrets", secrets.len());
    secrets
}

/// PINs of the card fixtures.
fn pins() -> Vec<String> {
    let pins = of_all_cards(&["online_pin", "digits"]);
    assert!(pins.len() >= 8, "{} PINs", pins.len());
    pins
}

/// The values of these fields in the card fixtures.
fn of_all_cards(fields: &[&str]) -> Vec<String> {
    let mut values = vec![];
    for entry in fs::read_dir(top().join("fixtures/cards")).expect("the card fixtures") {
        let text = fs::read_to_string(entry.expect("an entry").path()).expect("text");
        let named = text.lines().filter_map(|line| line.trim().split_once(": "));
        values.extend(named.filter(|(name, _)| fields.contains(name)).map(|(_, value)| value.replace([' ', '"'], "")));
    }
    values
}
