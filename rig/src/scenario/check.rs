//! What can be wrong with a case whose every word is right: names that no fixture has, cards that were never added, a sweep
//! of a step that does not exist, a file that proves nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::error::FileError;
use super::expect::{CardRow, Expect, OkExpect};
use super::fault::{Fault, FaultKind, PointKind};
use super::file::Case;
use super::middle::Bend;
use super::names::Names;
use super::rules;
use super::span::{At, Span};
use super::step::{CheckWarranty, Step, Verb};
use super::units::{DurationExpr, Quantity, Setting};

/// All mistakes of one case. `start` is where its file starts. Of one that is not `complete` because parts could not be read,
/// only what needs no other part is judged.
pub(super) fn case(case: &Case, complete: bool, start: &Span, names: &Names) -> Vec<FileError> {
    let mut check =
        Checker { case, complete, names, errors: Vec::new(), aliases: BTreeMap::new(), ids: BTreeMap::new() };
    check.head();
    check.given();
    check.steps();
    if complete {
        check.sweep();
        check.asserts_something(start);
    }
    check.errors
}

struct Checker<'a> {
    case: &'a Case,
    complete: bool,
    names: &'a Names,
    errors: Vec<FileError>,
    /// Cards by what the scenario calls them, and where it does so first.
    aliases: BTreeMap<&'a str, &'a Span>,
    /// Steps with a name.
    ids: BTreeMap<&'a str, &'a Step>,
}

impl<'a> Checker<'a> {
    fn error(&mut self, error: FileError) {
        self.errors.push(error);
    }

    fn known(&mut self, name: &At<String>, what: &str, known: &BTreeSet<String>) {
        if !known.contains(&name.value) {
            let known: Vec<_> = known.iter().collect();
            let (one, many) = what.split_once('/').unwrap_or((what, what));
            self.error(
                FileError::at(&name.span, format!("there is no {one} `{}`", name.value)).allowed(many, name, &known),
            );
        }
    }

    fn head(&mut self) {
        let case = self.case;
        if self.complete && case.title.trim().is_empty() {
            self.error(
                FileError::at(&case.title.span, "`scenario` is empty").hint("write the sentence that this file proves"),
            );
        }
        let ids = rules::ids();
        for rule in &case.rules {
            if !ids.contains(&rule.as_str()) {
                self.error(
                    FileError::at(&rule.span, format!("there is no rule `{}`", rule.value))
                        .allowed("rules", rule, &ids),
                );
            }
        }
        for tag in &case.tags {
            if !is_word(tag) || matches!(tag.as_str(), "and" | "or" | "not") {
                self.error(
                    FileError::at(&tag.span, format!("`{}` cannot be a tag", tag.value))
                        .hint("one word of small letters, digits, `-` and `_`"),
                );
            }
        }
        self.twice(&case.rules);
        self.twice(&case.tags);
    }

    fn twice(&mut self, words: &[At<String>]) {
        for (index, word) in words.iter().enumerate() {
            if words.iter().take(index).any(|earlier| earlier.value == word.value) {
                self.error(FileError::at(&word.span, format!("`{}` is written twice", word.value)));
            }
        }
    }

    fn given(&mut self) {
        let given = &self.case.given;
        if given.account.value != "nobody" {
            let mut known = self.names.accounts.clone();
            known.insert("nobody".into());
            self.known(&given.account, "account/accounts", &known);
        }
        self.known(&given.band, "band/bands", &self.names.profiles);
        self.known(&given.terminal, "terminal/terminals", &self.names.terminals);
        for card in &given.cards {
            self.known(&card.card, "card/cards", &self.names.cards);
            self.introduce(&card.alias);
        }
        if given.account.value == "nobody" && !given.cards.is_empty() || !given.linked && !given.cards.is_empty() {
            let at = given.cards.first().map_or(&given.account.span, |card| &card.card.span);
            let error = FileError::at(at, "cards cannot be given to a band that is linked to nobody");
            self.error(error.note("take `linked: false` and `account: nobody` out, or add the cards in steps"));
        }
        if let Some(mtu) = &given.link.mtu {
            self.mtu(mtu);
        }
        let settings = [
            (&given.bank.code_valid_for, "code_valid_for"),
            (&given.phone.foreground_grace, "foreground_grace"),
            (&given.band_settings.pairing_timeout, "pairing_timeout"),
            (&given.link.latency, "latency"),
            (&given.link.cloud_latency, "cloud_latency"),
        ];
        for (setting, name) in settings {
            let Some(setting) = setting else { continue };
            if setting.terms.iter().any(|term| matches!(term.of, Quantity::Setting(_))) {
                self.error(FileError::at(
                    &setting.span,
                    format!("`{name}` is a setting itself; write a fixed length of time such as `10m`"),
                ));
            } else {
                self.duration(setting);
            }
        }
    }

    /// Core 5.3 Vol 3 F 3.2.8 and 3.2.9: 23 is the least, and a value of 512 bytes is the longest.
    fn mtu(&mut self, mtu: &At<u16>) {
        if !(23..=517).contains(&mtu.value) {
            self.error(FileError::at(&mtu.span, format!("`mtu` takes a number from 23 to 517, not `{}`", mtu.value)));
        }
    }

    fn duration(&mut self, duration: &At<DurationExpr>) {
        if duration.evaluate(|setting| self.setting(setting)).is_none() {
            self.error(FileError::at(&duration.span, "this length of time is below zero, or too long"));
        }
    }

    /// A setting as this case has it.
    fn setting(&self, setting: Setting) -> Duration {
        let given = &self.case.given;
        let stated = match setting {
            Setting::CodeValidFor => &given.bank.code_valid_for,
            Setting::ForegroundGrace => &given.phone.foreground_grace,
            Setting::PairingTimeout => &given.band_settings.pairing_timeout,
            Setting::ApduTimeout | Setting::DataRetryAfter => &None,
        };
        stated.as_ref().and_then(|stated| stated.evaluate(|_| Duration::ZERO)).unwrap_or(setting.default_value())
    }

    fn steps(&mut self) {
        let case = self.case;
        for step in case.steps.iter().chain(&case.finally) {
            self.step(step);
        }
    }

    fn step(&mut self, step: &'a Step) {
        self.id(step);
        self.verb(step);
        if let Some(expect) = &step.expect {
            self.expect(expect);
        }
        if let Some(repeat) = &step.repeat
            && !(1..=10_000).contains(&repeat.value)
        {
            self.error(FileError::at(
                &repeat.span,
                format!("`repeat` takes a whole number from 1 to 10000, not `{}`", repeat.value),
            ));
        }
        if !step.faults.is_empty() && !step.verb.exchanges() {
            let word = step.verb.word();
            self.error(FileError::at(&step.at, format!("nothing is sent in `{word}`, so no fault can strike in it")));
        }
        for fault in step.faults.iter().chain(&self.case.faults) {
            self.fault(fault);
        }
    }

    fn id(&mut self, step: &'a Step) {
        let Some(id) = &step.id else { return };
        if !is_word(id) {
            self.error(
                FileError::at(&id.span, format!("`{}` cannot be an `id`", id.value))
                    .hint("one word of small letters, digits, `-` and `_`"),
            );
        }
        if let Some(first) = self.ids.insert(id, step) {
            let line = first.at.line;
            self.error(
                FileError::at(&id.span, format!("the `id` `{}` is taken", id.value))
                    .note(format!("by the step in line {line}")),
            );
        }
    }

    fn verb(&mut self, step: &'a Step) {
        match &step.verb {
            Verb::SignIn(it) | Verb::LinkXiaomiAccount(it) => {
                self.known(&it.account, "account/accounts", &self.names.accounts)
            }
            Verb::AddCard(it) => {
                self.known(&it.card, "card/cards", &self.names.cards);
                self.add_card(step, &it.alias);
            }
            Verb::RequestCode(it) => self.alias(&it.card),
            Verb::EnterCode(it) => self.alias(&it.card),
            Verb::Activate(it)
            | Verb::RemoveCard(it)
            | Verb::History(it)
            | Verb::BankSuspend(it)
            | Verb::BankResume(it)
            | Verb::BankDelete(it) => self.alias(&it.card),
            Verb::Reorder(it) => {
                it.cards.iter().for_each(|card| self.alias(card));
                self.twice(&it.cards);
            }
            Verb::Tap(it) => {
                if let Some(terminal) = &it.terminal {
                    self.known(terminal, "terminal/terminals", &self.names.terminals);
                }
                it.man_in_the_middle.iter().for_each(|bend| self.bend(bend));
            }
            Verb::Wait(it) => self.duration(&it.time),
            Verb::Retry(it) => self.retry(&it.step),
            Verb::CheckWarranty(it) => self.warranty(step, it),
            Verb::Write(it) => {
                self.known(&it.characteristic, "characteristic/characteristics", &self.names.characteristics)
            }
            Verb::Check(it) => {
                let sides = [&it.app, &it.band, &it.bank];
                sides.into_iter().flatten().for_each(|rows| self.rows(rows));
            }
            _ => {}
        }
    }

    fn add_card(&mut self, step: &'a Step, alias: &'a At<String>) {
        // A refused card does not exist, so its name stays free.
        if step.expect.as_ref().is_some_and(|expect| expect.refused.is_some()) {
            return;
        }
        if step.repeat.as_ref().is_some_and(|repeat| repeat.value > 1) {
            let error = FileError::at(&step.at, format!("`repeat` would call several cards `{}`", alias.value));
            self.error(error.hint("write the steps out"));
        }
        self.introduce(alias);
    }

    fn introduce(&mut self, alias: &'a At<String>) {
        if !is_word(alias) {
            self.error(
                FileError::at(&alias.span, format!("`{}` cannot be the name of a card", alias.value))
                    .hint("one word of small letters, digits, `-` and `_`"),
            );
        }
        if let Some(first) = self.aliases.insert(alias, &alias.span) {
            let line = first.line;
            let error = FileError::at(&alias.span, format!("there is a card `{}` already", alias.value));
            self.error(
                error
                    .hint("choose another name")
                    .note(format!("it was named in line {line}; a card added again is another card")),
            );
        }
    }

    fn alias(&mut self, alias: &At<String>) {
        if self.complete && !self.aliases.contains_key(alias.as_str()) {
            let known: Vec<_> = self.aliases.keys().copied().collect();
            let error = FileError::at(&alias.span, format!("no card is called `{}` up to here", alias.value));
            self.error(error.allowed("cards so far", alias, &known));
        }
    }

    fn rows(&mut self, rows: &At<Vec<CardRow>>) {
        for row in &rows.value {
            self.alias(&row.alias);
        }
    }

    fn retry(&mut self, id: &At<String>) {
        if self.complete && !self.ids.contains_key(id.as_str()) {
            let known: Vec<_> = self.ids.keys().copied().collect();
            let error = FileError::at(&id.span, format!("no step up to here has the `id` `{}`", id.value));
            self.error(error.allowed("ids so far", id, &known));
        }
    }

    fn warranty(&mut self, step: &Step, it: &CheckWarranty) {
        let refused = |expect: &At<Expect>| expect.warranty.as_ref().is_some_and(|warranty| warranty.refused.is_some());
        if !step.expect.as_ref().is_some_and(refused) {
            self.known(&it.country, "country/countries", &self.names.countries);
        }
    }

    fn bend(&mut self, bend: &Bend) {
        if self.complete && !bend.changes_something() {
            let error = FileError::at(&bend.at.span, "this man in the middle changes nothing");
            self.error(
                error
                    .note("say what: command, answer, set, flip, leave_out, double, append, keep, late or endless_wtx"),
            );
        }
        if let Some(late) = &bend.late {
            self.duration(late);
        }
    }

    fn expect(&mut self, expect: &At<Expect>) {
        if let Some(card) = &expect.card {
            self.alias(card);
        }
        if let Some(rows) = &expect.cards {
            self.rows(rows);
        }
        if let Some(within) = &expect.within {
            self.duration(within);
        }
    }

    fn fault(&mut self, fault: &Fault) {
        let (kind, at) = match fault {
            Fault::Drop(it) => (FaultKind::Drop, &it.at),
            Fault::Duplicate(it) => (FaultKind::Duplicate, &it.at),
            Fault::Reorder(it) => (FaultKind::Reorder, &it.at),
            Fault::Corrupt(it) => (FaultKind::Corrupt, &it.at),
            Fault::Disconnect(it) => (FaultKind::Disconnect, &it.at),
            Fault::PowerLoss(it) => (FaultKind::PowerLoss, &it.at),
            Fault::LeaveForeground(it) => (FaultKind::LeaveForeground, &it.at),
            Fault::FactoryReset(it) => (FaultKind::FactoryReset, &it.at),
            Fault::CloudLost(it) => (FaultKind::CloudLost, &it.at),
            Fault::FieldLoss(it) => (FaultKind::FieldLoss, &it.at),
            Fault::Delay(it) => {
                self.duration(&it.by);
                if !MESSAGES.contains(&it.at.kind) {
                    self.error(
                        FileError::at(&it.at.span, format!("`delay` cannot strike at a `{}`", it.at.kind.word()))
                            .note("it strikes at to_band and to_phone"),
                    );
                }
                return;
            }
        };
        self.strikes(kind, at.kind, &at.span);
    }

    fn strikes(&mut self, kind: FaultKind, at: PointKind, span: &Span) {
        let points = kind.points();
        if !points.contains(&at) {
            let words: Vec<_> = points.iter().map(|point| point.word()).collect();
            let error = FileError::at(span, format!("`{}` cannot strike at a `{}`", kind.word(), at.word()));
            self.error(error.note(format!("it strikes at {}", words.join(" and "))));
        }
    }

    fn sweep(&mut self) {
        let Some(sweep) = &self.case.sweep else { return };
        self.strikes(sweep.fault.value, sweep.at.0, &sweep.at.span);
        let found =
            self.case.steps.iter().find(|step| step.id.as_ref().is_some_and(|id| id.value == sweep.during.value));
        match found {
            None => {
                let known: Vec<_> = self.ids.keys().copied().collect();
                let error = FileError::at(&sweep.during.span, format!("no step has the `id` `{}`", sweep.during.value));
                self.error(error.allowed("ids", &sweep.during, &known));
            }
            Some(step) if !step.verb.exchanges() => {
                let words = format!("nothing is sent in `{}`, so no fault can strike in it", step.verb.word());
                self.error(FileError::at(&sweep.during.span, words));
            }
            Some(_) => {}
        }
    }

    /// A scenario that expects nothing is green whatever happens.
    fn asserts_something(&mut self, start: &Span) {
        let says = |expect: &At<Expect>| expect.ok.as_ref().is_none_or(|ok| ok.value != OkExpect::Either);
        let asserts = |step: &Step| match &step.verb {
            Verb::Check(_) => true,
            _ => step.expect.as_ref().is_some_and(says),
        };
        if !self.case.steps.is_empty() && !self.case.steps.iter().any(asserts) {
            let error = FileError::at(start, "this scenario expects nothing, so it proves nothing");
            self.error(error.note("give a step an `expect`, or add a `check`"));
        }
    }
}

/// Points at which a message can be held or lost.
const MESSAGES: [PointKind; 2] = [PointKind::ToBand, PointKind::ToPhone];

/// One word of small letters, digits, `-` and `_`.
fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
}
