//! The command as its user sees it, and nothing of a card number in any of its outputs.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    tap: Tap,
}

fn output(words: &str) -> (String, Outcome) {
    output_on(None, words)
}

/// The same for a terminal of so many columns.
fn output_on(columns: Option<usize>, words: &str) -> (String, Outcome) {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");
    let words = ["tap", "--fixtures", fixtures, "--color", "never"].into_iter().chain(words.split(' '));
    let line = Line::try_parse_from(words.map(|word| word.replace('_', " "))).unwrap_or_else(|error| panic!("{error}"));
    let Explained { text, outcome, trouble } =
        explained(&line.tap, columns).unwrap_or_else(|failed| panic!("{}", failed.message));
    assert_eq!(trouble, None);
    (text, outcome)
}

#[test]
fn a_payment_is_told_from_the_first_select_to_the_receipt() {
    let (text, outcome) = output("--amount 60.00_EUR --terminal restaurant");
    assert_eq!(outcome, Outcome::Approved);
    for words in [
        "60.00 EUR at restaurant",
        "SELECT",
        "GET PROCESSING OPTIONS",
        "READ RECORD",
        "GENERATE AC",
        "» cvm: 60.00 EUR is above the CVM limit 50.00 EUR of restaurant: online PIN",
        "The customer is asked for the PIN",
        "APPROVED: the issuer approved (00)",
        "on the display: 03 \"Approved\"",
        "VERIFIED BY PIN",
        "**** **** ****",
    ] {
        assert!(text.contains(words), "nothing is said about {words:?}:\n{text}");
    }
    assert!(text.lines().all(|line| line == line.trim_end()));
}

#[test]
fn no_line_is_wider_than_the_page() {
    for payment in [
        "--amount 60.00_EUR --terminal restaurant",
        "--amount 60.00_EUR --terminal restaurant --card visa-credit",
        "--amount 60_USD",
    ] {
        let widest = |columns| output_on(columns, payment).0.lines().map(|line| line.chars().count()).max();
        assert_eq!(widest(Some(80)), Some(80), "{payment}");
        assert_eq!(widest(Some(60)), Some(60), "{payment}");
        assert_eq!(widest(None), Some(100), "{payment}");
    }
    let unfolded = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let payment = "--amount 4.20_EUR --terminal transit-gate";
    let (narrow, wide) = (output_on(Some(40), payment).0, output_on(Some(120), payment).0);
    assert_eq!(unfolded(narrow.replace('-', "")), unfolded(wide.replace('-', "")), "nothing is lost");
}

#[test]
fn machines_get_the_same_in_fields() {
    let (text, outcome) = output("--amount 4.20_EUR --offline --json");
    assert_eq!(outcome, Outcome::Declined);
    let whole: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(whole["outcome"], "declined");
    assert_eq!(whole["message"], serde_json::json!({ "id": "07", "words": "Not authorised" }));
    let steps = whole["steps"].as_array().expect("steps");
    let exchanges: Vec<_> = steps.iter().filter(|step| step["step"] == "exchange").collect();
    assert!(exchanges.len() >= 5, "{text}");
    let sum: u64 = exchanges.iter().filter_map(|step| step["time_us"].as_u64()).sum();
    assert_eq!(whole["card_time_us"].as_u64(), Some(sum), "nothing but exchanges takes the card's time");
}

#[test]
fn a_mistake_is_said_before_anything_is_paid() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");
    for (wrong, words) in [
        (&["--terminal", "corner-store"][..], "no terminal `corner-store` among the fixtures; there are corner-shop"),
        (&["--card", "visa-none"], "no card `visa-none` among the fixtures"),
        (&["--band", "other"], "no band `other` among the fixtures"),
        (&["--pin", "12"], "`12` is no PIN"),
    ] {
        let common = ["tap", "--fixtures", fixtures, "--amount", "4.20 EUR"];
        let line = common.iter().chain(wrong);
        let line = Line::try_parse_from(line).unwrap_or_else(|error| panic!("{error}"));
        let Err(failed) = explained(&line.tap, None) else { panic!("it is refused") };
        assert_eq!(failed.code, EXIT_BAD_INPUT);
        assert!(failed.message.contains(words), "{}", failed.message);
    }
}
