//! The product rules that scenarios name in `rules:`, in one line each.

/// A rule and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `R1`.
    pub id: &'static str,
    /// What it says, in one line.
    pub says: &'static str,
}

/// All rules, in order.
pub const RULES: [Rule; 17] = [
    Rule { id: "R1", says: "a confirmation code may be requested three times per added card" },
    Rule { id: "R2", says: "a card whose code has expired is never activated; it is removed and added again" },
    Rule { id: "R3", says: "whether a PIN is asked is the terminal's decision alone" },
    Rule { id: "R4", says: "an activated card shows its last ten payments, newest first; another card shows none" },
    Rule { id: "R5", says: "a removed card is gone from the app and the band, and its token is dead at the bank" },
    Rule {
        id: "R6",
        says: "after unlinking or reset the cards stay for the same account and are deleted for another one",
    },
    Rule { id: "R7", says: "a lost band does not pay once its holder or the bank has deleted or blocked the cards" },
    Rule { id: "R8", says: "the order of the cards can be changed; a tap uses the first" },
    Rule { id: "R9", says: "a band holds at most six cards" },
    Rule { id: "R10", says: "an interrupted add leaves no half card and can be repeated" },
    Rule { id: "R11", says: "cards need a Xiaomi account" },
    Rule { id: "R12", says: "tokens of the old NFC service keep limited function until the card is attached again" },
    Rule { id: "R13", says: "app, band and bank agree about the cards whenever the link is up" },
    Rule { id: "W1", says: "a unit is identified by its serial number and the security code on its box" },
    Rule { id: "W2", says: "a claim needs proof of purchase, and its date decides" },
    Rule { id: "W3", says: "the check answers with validity, coverage and remaining duration, and says what is wrong" },
    Rule { id: "W4", says: "a unit that needs service gets its country's support contact and what to have ready" },
];

/// The ids alone.
#[must_use]
pub fn ids() -> Vec<&'static str> {
    RULES.iter().map(|rule| rule.id).collect()
}
