//! Exchanges in words: one line per event, as a person follows the talk between phone, band, bank and shop.

use super::event::{AttOp, Event, Kind, Via};
use super::said::said;
use crate::decode::{Direction, Form, parse_hex, summarize_as, summarize_att};

/// Short UUID of the APDU channel; its fragments are noise beside the APDU they carry.
const NFC_CHANNEL: &str = "H:0011";

/// Bytes shown of a value on a line; a trace has them all.
const SHOWN_BYTES: usize = 24;

/// The last `count` exchanges before the end of `events`, oldest first; of a payment that ends there all, and their bytes.
///
/// Fragments on the APDU channel are left out when the whole APDU follows; of an exchange that was cut off they stay.
#[must_use]
pub fn last_exchanges(events: &[Event], count: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut fragments = 0;
    // A failed payment is shown from its first command on.
    let payment = last_payment(events);
    let mut before_payment = None;
    for (at, event) in events.iter().enumerate() {
        if payment == Some(at) {
            before_payment = Some(lines.len());
        }
        if matches!(event.kind, Kind::Apdu { via: Via::NfcChannel, .. }) {
            lines.truncate(lines.len() - fragments);
            fragments = 0;
        }
        let Some(line) = is_exchange(&event.kind).then(|| line(event)).flatten() else { continue };
        fragments = if is_fragment(&event.kind) { fragments + 1 } else { 0 };
        lines.push(line);
        if let (Some(_), Kind::Apdu { via: Via::Contactless, command, response }) = (before_payment, &event.kind) {
            lines.extend(rows(">", command));
            lines.extend(rows("<", response));
        }
    }
    let last = lines.len().saturating_sub(count);
    lines.split_off(before_payment.map_or(last, |payment| last.min(payment)))
}

/// All bytes of a command or answer, in rows below its line.
fn rows(sign: &str, hex: &str) -> Vec<String> {
    const WIDTH: usize = 3 * 24;
    let row = |(at, row): (usize, &[u8])| {
        let sign = if at == 0 { sign } else { " " };
        format!("{:16}{sign} {}", "", String::from_utf8_lossy(row).trim_end())
    };
    hex.as_bytes().chunks(WIDTH).enumerate().map(row).collect()
}

/// Where the step begins that spoke to a reader last, when nothing but looking came after it.
fn last_payment(events: &[Event]) -> Option<usize> {
    let is_step = |event: &Event| matches!(event.kind, Kind::StepStarted { .. });
    let spoke = events.iter().rposition(|event| matches!(event.kind, Kind::Apdu { via: Via::Contactless, .. }))?;
    let done_since = events.iter().skip(spoke).any(|event| matches!(event.kind, Kind::Att { .. }));
    let began = events.iter().take(spoke).rposition(is_step)?;
    (!done_since).then_some(began)
}

/// One event in words, with its time; `None` for the ends of steps and cases, which a report shows in its own way.
#[must_use]
pub fn line(event: &Event) -> Option<String> {
    let (who, what) = in_words(&event.kind)?;
    Some(format!("{:>5}.{:06}  {who:<13} {what}", event.at_us / 1_000_000, event.at_us % 1_000_000))
}

/// A word of a command as a shell takes it: quoted where that is needed, also when there is a quote in it.
#[must_use]
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Who spoke, and what was said.
fn in_words(kind: &Kind) -> Option<(&'static str, String)> {
    Some(match kind {
        Kind::StepStarted { line, text, .. } => ("step", format!("line {line}: {text}")),
        Kind::Att { op, characteristic, hex, ok } => att(*op, characteristic, hex, *ok),
        Kind::Apdu { via, command, response } => (way(*via), apdu(command, response)),
        Kind::Cloud { request, reply } => ("phone ↔ cloud", format!("{} → {}", said(request), said(reply))),
        Kind::Sms { account, text } => ("bank → phone", format!("SMS to {account}: {text}")),
        Kind::App { text } => ("app shows", said(text)),
        Kind::Band { text } => ("band", said(text)),
        Kind::Terminal { step, text } => ("shop", format!("{}: {text}", step.replace('_', " "))),
        Kind::Fault { text } => ("FAULT", text.clone()),
        Kind::SweepPoint { point, of, fault, ok } => {
            let end = if *ok { "as expected" } else { "NOT as expected" };
            ("sweep", format!("point {} of {of}: {fault}: {end}", point + 1))
        }
        Kind::CaseStarted { .. } | Kind::StepFinished { .. } | Kind::CaseFinished { .. } => return None,
    })
}

fn is_exchange(kind: &Kind) -> bool {
    !matches!(kind, Kind::StepStarted { .. } | Kind::SweepPoint { .. })
}

/// Whether this carries a piece of an APDU: opcodes 03, 04, 05, 06 and their answers; open and close stay.
fn is_fragment(kind: &Kind) -> bool {
    let Kind::Att { op: AttOp::Write | AttOp::WriteCommand | AttOp::Notify, characteristic, hex, ok: true } = kind
    else {
        return false;
    };
    let opcode = hex.get(..2).and_then(|byte| u8::from_str_radix(byte, 16).ok());
    short(characteristic) == NFC_CHANNEL && opcode.is_some_and(|opcode| (3..=6).contains(&(opcode & 0x7F)))
}

const fn way(via: Via) -> &'static str {
    match via {
        Via::NfcChannel => "NFC channel",
        Via::Contactless => "shop ↔ band",
    }
}

/// `READ RECORD 1 of file 2 → 9000 ok, 62 bytes`; bytes that are no APDU as they are.
fn apdu(command: &str, response: &str) -> String {
    let in_words =
        |hex: &str, form| bytes(hex).and_then(|bytes| summarize_as(&bytes, form)).unwrap_or_else(|| shortened(hex));
    let response = if response.is_empty() { "no answer".to_owned() } else { in_words(response, Form::Response) };
    format!("{} → {response}", in_words(command, Form::Command))
}

/// The bytes of spaced hex. Masked digits count as zeros: they are none of those a summary shows.
fn bytes(hex: &str) -> Option<Vec<u8>> {
    parse_hex(&hex.replace('*', "0")).ok()
}

fn att(op: AttOp, characteristic: &str, hex: &str, ok: bool) -> (&'static str, String) {
    let (who, verb, direction) = match op {
        AttOp::Connect => ("phone → band", "connect", None),
        AttOp::Disconnect => ("link", "lost", None),
        AttOp::Subscribe => ("phone → band", "subscribe to", None),
        AttOp::Read => ("phone ← band", "read", Some(Direction::FromBand)),
        AttOp::Write => ("phone → band", "write", Some(Direction::ToBand)),
        AttOp::WriteCommand => ("phone → band", "write command", Some(Direction::ToBand)),
        AttOp::Notify => ("phone ← band", "notify", Some(Direction::FromBand)),
    };
    let meaning =
        direction.zip(bytes(hex)).and_then(|(direction, value)| summarize_att(characteristic, direction, &value));
    let mut what = verb.to_owned();
    for part in [characteristic, &shortened(hex)] {
        if !part.is_empty() {
            what.push(' ');
            what.push_str(part);
        }
    }
    if let Some(meaning) = meaning {
        what.push_str(" = ");
        what.push_str(&meaning);
    }
    if !ok {
        what.push_str(": refused");
    }
    (who, what)
}

/// `NFC channel (H:0011)` is `H:0011` for short.
fn short(characteristic: &str) -> &str {
    match characteristic.rsplit_once('(') {
        Some((_, tail)) => tail.trim_end_matches(')'),
        None => characteristic,
    }
}

/// Spaced hex, cut after [`SHOWN_BYTES`].
fn shortened(hex: &str) -> String {
    let bytes = hex.split(' ').count();
    if bytes <= SHOWN_BYTES {
        return hex.to_owned();
    }
    let shown: Vec<_> = hex.split(' ').take(SHOWN_BYTES).collect();
    format!("{} … ({bytes} bytes)", shown.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn write(hex: &str) -> Event {
        let kind = Kind::Att {
            op: AttOp::WriteCommand,
            characteristic: "NFC channel (H:0011)".into(),
            hex: hex.into(),
            ok: true,
        };
        Event { case: 0, at_us: 1, kind }
    }

    fn apdu_of(command: &str) -> Event {
        let kind = Kind::Apdu { via: Via::NfcChannel, command: command.into(), response: "90 00".into() };
        Event { case: 0, at_us: 2, kind }
    }

    #[test]
    fn the_sample_in_words() {
        let lines: Vec<_> = sample::cases().iter().flatten().filter_map(line).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_word_of_a_command_survives_the_shell() {
        let words = ["a/b-c.yaml", "x.yaml[how=it's wrong]", "", "$HOME `id` \"\\", "two words"];
        let command = format!("printf '%s\\n' {}", words.map(shell_word).join(" "));
        let said = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
        assert_eq!(String::from_utf8(said.stdout).unwrap(), words.join("\n") + "\n");
        assert_eq!(shell_word("a/b-c.yaml"), "a/b-c.yaml");
    }

    #[test]
    fn fragments_give_way_to_the_apdu_they_carry() {
        let events = [write("01"), write("04 00 A4"), write("03 04 00"), apdu_of("00 A4 04 00")];
        let lines = last_exchanges(&events, 9);
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(lines[0].contains("open the channel") && lines[1].contains("SELECT"), "{lines:#?}");
    }

    #[test]
    fn fragments_of_an_exchange_that_was_cut_off_stay() {
        let lost = Kind::Att { op: AttOp::Disconnect, characteristic: String::new(), hex: String::new(), ok: true };
        let events = [apdu_of("00 A4 04 00"), write("04 80 F0"), Event { case: 0, at_us: 3, kind: lost }];
        let lines = last_exchanges(&events, 9);
        assert_eq!(lines.len(), 3, "{lines:#?}");
        assert_eq!(lines[2], "    0.000003  link          lost");
    }

    #[test]
    fn only_the_last_ones_are_given_oldest_first() {
        let events: Vec<_> = (0..9).map(|number| apdu_of(&format!("00 B2 0{number} 0C"))).collect();
        let lines = last_exchanges(&events, 2);
        assert!(lines[0].contains("RECORD 7") && lines[1].contains("RECORD 8"), "{lines:#?}");
        assert!(last_exchanges(&[], 2).is_empty());
    }

    #[test]
    fn of_a_payment_at_the_end_all_is_given_and_every_byte() {
        let step = Kind::StepStarted { step: "1".into(), file: "a.yaml".into(), line: 3, text: "tap".into() };
        let over_the_air = |number: u8| {
            let response = ["AB"; 30].join(" ") + " 90 00";
            let kind = Kind::Apdu { via: Via::Contactless, command: format!("00 B2 0{number} 0C 00"), response };
            Event { case: 0, at_us: 2, kind }
        };
        let mut events = vec![apdu_of("00 A4 04 00"), Event { case: 0, at_us: 1, kind: step }];
        events.extend((0..9).map(over_the_air));
        let lines = last_exchanges(&events, 2);
        assert_eq!(lines.len(), 9 * 4, "{lines:#?}");
        assert!(lines[0].contains("RECORD 0"), "{lines:#?}");
        assert_eq!(lines[1], "                > 00 B2 00 0C 00");
        assert_eq!(lines[3].trim(), "AB AB AB AB AB AB 90 00");
        // What was done since is what counts.
        events.push(write("01"));
        assert_eq!(last_exchanges(&events, 2).len(), 2);
    }

    #[test]
    fn a_long_value_is_cut_and_says_how_long_it_was() {
        let hex = ["AB"; 40].join(" ");
        assert!(shortened(&hex).ends_with("AB … (40 bytes)"));
        assert_eq!(shortened("90 00"), "90 00");
    }
}
