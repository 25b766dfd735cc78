//! What must hold after every action, whatever came before: the model's view against every side of the system.

use std::collections::BTreeMap;

use super::Model;
use crate::cloud::api::{CardId, CardState, CardView};

/// All that can be seen of the system from outside after an action.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The app's card list.
    pub app: Vec<CardView>,
    /// The bank's card list.
    pub bank: Vec<CardView>,
    /// The instances that the band lists, in order.
    pub band: Vec<Vec<u8>>,
    /// Instances in the secure element.
    pub applets: usize,
    /// Counters of the payments that the bank has recorded, per card, newest first.
    pub counters: BTreeMap<CardId, Vec<u16>>,
    /// Counters in each card's own log, newest first.
    pub logs: BTreeMap<CardId, Vec<u16>>,
}

/// What is not as it must be; `None` when all holds.
#[must_use]
pub fn violation(model: &Model, seen: &Seen) -> Option<String> {
    six_at_most(seen)
        .or_else(|| requests(seen))
        .or_else(|| bank_as_the_model(model, seen))
        .or_else(|| app_as_the_bank(model, seen))
        .or_else(|| band_as_the_bank(model, seen))
        .or_else(|| counters_never_repeat(seen))
        .or_else(|| history(seen))
}

// R9
fn six_at_most(seen: &Seen) -> Option<String> {
    let most = seen.app.len().max(seen.bank.len()).max(seen.band.len()).max(seen.applets);
    (most > super::MOST_CARDS).then(|| format!("R9: there are {most} cards"))
}

// R1
fn requests(seen: &Seen) -> Option<String> {
    let over = seen.bank.iter().find(|card| card.requests_left > super::CODE_REQUESTS)?;
    Some(format!("R1: {:?} has {} requests left", over.card, over.requests_left))
}

// R2, R5, R6, R7, R8
fn bank_as_the_model(model: &Model, seen: &Seen) -> Option<String> {
    let expected: Vec<CardState> = model.cards().iter().map(|card| model.state(card)).collect();
    let got: Vec<CardState> = seen.bank.iter().map(|card| card.state).collect();
    (expected != got).then(|| format!("the bank lists {got:?}, the rules say {expected:?}"))
}

// R13
fn app_as_the_bank(model: &Model, seen: &Seen) -> Option<String> {
    let row = |view: &CardView| (view.card.clone(), view.state);
    let (app, bank): (Vec<_>, Vec<_>) = (seen.app.iter().map(row).collect(), seen.bank.iter().map(row).collect());
    (model.in_reach() && app != bank).then(|| format!("R13: the app lists {app:?}, the bank {bank:?}"))
}

// R13
fn band_as_the_bank(model: &Model, seen: &Seen) -> Option<String> {
    let bank: Vec<&Vec<u8>> = seen.bank.iter().map(|view| &view.instance_aid).collect();
    let band: Vec<&Vec<u8>> = seen.band.iter().collect();
    (model.in_reach() && band != bank).then(|| format!("R13: the band lists {band:02X?}, the bank {bank:02X?}"))
}

fn counters_never_repeat(seen: &Seen) -> Option<String> {
    let (card, counters) = seen.counters.iter().find(|(_, counters)| !falls(counters))?;
    Some(format!("transaction counters of {card:?} do not rise: newest first {counters:?}"))
}

// R4
fn history(seen: &Seen) -> Option<String> {
    let wrong = seen.logs.iter().find(|(_, log)| log.len() > 10 || !falls(log));
    wrong.map(|(card, log)| format!("R4: the history of {card:?} is not ten at most, newest first: {log:?}"))
}

fn falls(numbers: &[u16]) -> bool {
    numbers.is_sorted_by(|newer, older| newer > older)
}
