//! `bandrig doctor`: what of the world outside is there, what is missing, and the command that mends it.

use std::io::IsTerminal;

use clap::Args;

use super::{Color, EXIT_STATION};
use crate::report::paint::{ColorChoice, Paint, Role};

mod bluetooth;
mod smart_cards;
mod virtual_station;

pub(super) const EXAMPLES: &str = "\
Examples:
  bandrig doctor          everything
  bandrig doctor --json   for machines

The embedded station needs nothing of all that.

Exit codes: 0 all is there, 2 bad usage, 3 something is missing.";

/// Say what of the world outside is there, what is missing, and what mends it.
#[derive(Clone, Debug, Args)]
pub(super) struct Doctor {
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
    /// Colours.
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    color: Color,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What: `pcscd`.
    pub(super) what: String,
    /// How it is.
    pub(super) state: State,
    /// In words.
    pub(super) words: String,
    /// The command that mends it, or what else to do.
    pub(super) mend: Option<String>,
}

/// How a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It is there and works.
    Good,
    /// Good to know.
    Note,
    /// Something cannot be done without it.
    Missing,
}

impl Finding {
    pub(super) fn good(what: &str, words: impl Into<String>) -> Self {
        Self { what: what.to_owned(), state: State::Good, words: words.into(), mend: None }
    }

    pub(super) fn note(what: &str, words: impl Into<String>) -> Self {
        Self { what: what.to_owned(), state: State::Note, words: words.into(), mend: None }
    }

    pub(super) fn missing(what: &str, words: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.to_owned(), state: State::Missing, words: words.into(), mend: Some(mend.into()) }
    }
}

/// What belongs together.
type Section = (&'static str, fn() -> Vec<Finding>);

/// All that is looked at, in order.
const SECTIONS: &[Section] = &[
    ("this program", this_program),
    ("smart cards (PC/SC)", smart_cards::look),
    ("Bluetooth (BlueZ)", bluetooth::look),
    ("the virtual station", virtual_station::look),
];

pub(super) fn doctor(args: &Doctor) -> u8 {
    let found: Vec<_> = SECTIONS.iter().map(|(title, look)| (*title, look())).collect();
    let choice = ColorChoice::from(args.color);
    let paint = Paint::choose(choice, std::io::stdout().is_terminal());
    super::print(&if args.json { as_json(&found) } else { as_text(&found, paint) });
    let missing = found.iter().flat_map(|(_, findings)| findings).any(|finding| finding.state == State::Missing);
    if missing { EXIT_STATION } else { 0 }
}

fn this_program() -> Vec<Finding> {
    let feature = |name: &str, there: bool, gives: &str, packages: &str| {
        if there {
            Finding::good(name, gives)
        } else {
            let mend = format!("apt-get install {packages} && cargo build --release --features {name}");
            Finding::missing(name, format!("not built in: no {gives}"), mend)
        }
    };
    vec![
        Finding::note("version", env!("CARGO_PKG_VERSION")),
        feature("pcsc", cfg!(feature = "pcsc"), "taps through readers", "libpcsclite-dev pkg-config"),
        feature("bluez", cfg!(feature = "bluez"), "Bluetooth through BlueZ", "libdbus-1-dev pkg-config"),
    ]
}

fn as_text(found: &[(&str, Vec<Finding>)], paint: Paint) -> String {
    let width = found.iter().flat_map(|(_, findings)| findings).map(|it| it.what.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (title, findings) in found {
        text.push_str(&format!("{}\n", paint.paint(Role::Head, title)));
        for Finding { what, state, words, mend } in findings {
            let mark = match state {
                State::Good => paint.paint(Role::Good, "good   ").to_string(),
                State::Note => "       ".to_owned(),
                State::Missing => paint.paint(Role::Bad, "MISSING").to_string(),
            };
            text.push_str(&format!("  {mark}  {what:<width$}  {words}\n"));
            if let Some(mend) = mend {
                text.push_str(&format!("           {:<width$}  mend it: {mend}\n", ""));
            }
        }
    }
    text
}

fn as_json(found: &[(&str, Vec<Finding>)]) -> String {
    let findings = found.iter().flat_map(|(section, findings)| findings.iter().map(move |finding| (section, finding)));
    let rows = findings.map(|(section, finding)| {
        let state = match finding.state {
            State::Good => "good",
            State::Note => "note",
            State::Missing => "missing",
        };
        let Finding { what, words, mend, .. } = finding;
        serde_json::json!({ "section": section, "what": what, "state": state, "words": words, "mend": mend })
    });
    serde_json::to_string_pretty(&rows.collect::<Vec<_>>()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_comes_with_what_mends_it() {
        let found =
            [("cards", vec![Finding::good("a", "there"), Finding::missing("long name", "gone", "apt-get install x")])];
        let text = as_text(&found, Paint::choose(ColorChoice::Never, false));
        let expected = "cards\n  good     a          there\n  MISSING  long name  gone\n                      mend it: apt-get install x\n";
        assert_eq!(text, expected);
        let rows: serde_json::Value = serde_json::from_str(&as_json(&found)).expect("JSON");
        assert_eq!(rows[1]["state"], "missing");
        assert_eq!(rows[1]["mend"], "apt-get install x");
        assert_eq!(rows[0]["mend"], serde_json::Value::Null);
    }
}
