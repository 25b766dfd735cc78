//! The receipt as the terminal prints it: 40 columns, of the card's number only the last four digits (EMV 4.4 B4 11.4 and the
//! schemes' rules for receipts: application label, AID, cryptogram, verification).

use std::fmt;

use band_sim::wire::hex::Hex;

use super::io::{Cvm, Outcome, Receipt};

/// Columns of the paper.
pub const COLUMNS: usize = 40;

impl Receipt {
    /// Its lines, none longer than [`COLUMNS`] characters.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![centred(&self.merchant), both(&self.terminal_id, &self.local_time), String::new()];
        if let Some(label) = &self.label {
            lines.push(clipped(label));
        }
        if let Some(aid) = &self.aid {
            lines.push(both("AID", &compact(aid)));
        }
        if let Some(last4) = &self.last4 {
            lines.push(both("CARD", &format!("**** **** **** {last4}")));
        }
        lines.extend([String::new(), both("SALE, CONTACTLESS", &self.amount), centred(&self.verdict()), String::new()]);
        lines.extend(self.verification().map(clipped));
        if let Some((name, cryptogram)) = self.named_cryptogram() {
            lines.push(both(name, &compact(&cryptogram)));
        }
        if let Some(atc) = self.atc {
            lines.push(both("ATC", &format!("{atc:04X}")));
        }
        lines.push(both("TVR", &compact(&self.tvr)));
        lines
    }

    fn verdict(&self) -> String {
        let code = self.arc.map(|arc| format!(" ({})", String::from_utf8_lossy(&arc))).unwrap_or_default();
        match (self.outcome, self.online) {
            (Outcome::Approved, true) => format!("APPROVED{code}"),
            (Outcome::Approved, false) => "APPROVED OFFLINE".to_owned(),
            (Outcome::Declined, _) => format!("DECLINED{code}"),
            (Outcome::TryAnotherInterface, _) => "NOT PAID: INSERT OR SWIPE".to_owned(),
            (Outcome::PresentAgain | Outcome::FieldLost, _) => "NOT PAID: PRESENT AGAIN".to_owned(),
            (Outcome::EndApplication, _) => "NOT PAID: TRY ANOTHER CARD".to_owned(),
        }
    }

    /// The line about the holder; none when nothing was paid.
    fn verification(&self) -> Option<&'static str> {
        (self.outcome == Outcome::Approved).then_some(match self.cvm {
            Cvm::None => "NO CARDHOLDER VERIFICATION",
            Cvm::OnlinePin => "VERIFIED BY PIN",
            Cvm::Signature => "SIGNATURE X ___________________________",
            Cvm::Cdcvm => "VERIFIED ON THE DEVICE",
            Cvm::Failed => "CARDHOLDER NOT VERIFIED",
        })
    }

    /// The cryptogram and its kind (EMV 4.4 B3 table 15).
    fn named_cryptogram(&self) -> Option<(&'static str, [u8; 8])> {
        let name = match self.cid? >> 6 {
            0 => "AAC",
            1 => "TC",
            2 => "ARQC",
            _ => return None,
        };
        Some((name, self.cryptogram?))
    }
}

impl fmt::Display for Receipt {
    /// One line; of the number only its last four digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.outcome, self.reason)?;
        if let Some(last4) = &self.last4 {
            write!(f, ", card **** {last4}")?;
        }
        if let Some(aid) = &self.aid {
            write!(f, ", AID {}", Hex(aid.clone()))?;
        }
        if let Some(atc) = self.atc {
            write!(f, ", ATC {atc:04X}")?;
        }
        write!(f, ", TVR {}", Hex(self.tvr.to_vec()))
    }
}

fn compact(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// What the card said may be anything: control characters stay off the paper.
fn clipped(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '?' } else { character }).take(COLUMNS).collect()
}

fn centred(text: &str) -> String {
    format!("{:^COLUMNS$}", clipped(text)).trim_end().to_owned()
}

/// One text at the left, another at the right.
fn both(left: &str, right: &str) -> String {
    let (left, right) = (clipped(left), clipped(right));
    let width = COLUMNS.saturating_sub(left.chars().count());
    if right.chars().count() < width { format!("{left}{right:>width$}") } else { clipped(&format!("{left} {right}")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::ui::Message;

    fn receipt() -> Receipt {
        Receipt {
            outcome: Outcome::Approved,
            reason: "the issuer approved (00)".into(),
            message: Message::Approved,
            cvm: Cvm::OnlinePin,
            online: true,
            merchant: "Restaurant, Vienna".into(),
            terminal_id: "RESTAU01".into(),
            amount: "60.00 EUR".into(),
            local_time: "2026-03-01 10:00:05".into(),
            aid: Some(vec![0xA0, 0, 0, 0, 0x04, 0x10, 0x10, 1]),
            label: Some("DEBIT MASTERCARD".into()),
            last4: Some("0434".into()),
            atc: Some(7),
            cid: Some(0x80),
            cryptogram: Some([0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]),
            tvr: [0x80, 0, 4, 0x80, 0],
            arc: Some(*b"00"),
        }
    }

    #[test]
    fn a_receipt_says_what_a_customer_may_ask_for_later() {
        insta::assert_snapshot!(receipt().lines().join("\n"));
    }

    #[test]
    fn what_was_not_paid_is_not_verified_and_says_what_to_do() {
        let lines = Receipt { outcome: Outcome::EndApplication, arc: None, ..receipt() }.lines();
        assert!(lines.iter().any(|line| line.trim() == "NOT PAID: TRY ANOTHER CARD"));
        assert!(!lines.iter().any(|line| line.contains("PIN")));
    }

    #[test]
    fn a_label_of_a_hostile_card_stays_on_its_line() {
        let label = "\u{1b}[2J\n".repeat(100);
        let lines = Receipt { label: Some(label), aid: Some(vec![0xA0; 300]), ..receipt() }.lines();
        assert!(lines.iter().all(|line| line.chars().count() <= COLUMNS && !line.contains(char::is_control)));
    }
}
