//! What was expected against what came, field by field.
//!
//! A step without `expect` must succeed: the app does not refuse, a tap is approved, a warranty question is answered. One that
//! expects something of the outcome expects it of a success, unless it names a refusal.

use std::time::Duration;

use band_sim::wire::sw::Sw;
use band_sim::wire::tlv::{self, Tag};

use super::expect::{
    CardRow, Entries, EntryRow, Expect, Got, GotCard, GotEntry, GotSides, GotWarranty, OkExpect, OutcomeExpect,
    RefusedExpect, TimeExpect, WarrantyExpect,
};
use super::span::{At, Span};
use super::step::{Check, Step, Verb};
use super::units::{DurationExpr, HexPattern, TagPattern};
use crate::cloud::api::Refusal;
use crate::decode::{explain_tlv, is_tlv, masked_hex, masked_value, spaced_hex, tlv_diff};
use crate::money::Currency;

/// How far a band's clock may be from the case's and still show the time. *Assumed*: a minute, which is what its face shows.
const NOW_WITHIN_S: u64 = 60;

/// One thing that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The field, `outcome`, or `tlv 9F36`.
    pub field: String,
    /// What was expected, in the words of the language; may have several lines.
    pub expected: String,
    /// What came, in the same words.
    pub got: String,
    /// Both sides data object by data object, where there are some; may be empty.
    pub objects: String,
    /// The expectation in its file.
    pub span: Span,
}

/// Everything in which an answer differs from what the step expects, most telling first; empty when it is as expected.
#[must_use]
pub fn compare(step: &Step, got: &Got) -> Vec<Mismatch> {
    let mut differences = Differences { step, found: Vec::new() };
    match (&step.expect, &step.verb) {
        (Some(expect), _) => differences.expect(expect, got),
        (None, Verb::Check(check)) => match &got.sides {
            Some(sides) => differences.sides(check, sides),
            None => differences.success(got),
        },
        (None, _) => differences.success(got),
    }
    differences.found
}

struct Differences<'a> {
    step: &'a Step,
    found: Vec<Mismatch>,
}

impl Differences<'_> {
    fn note(&mut self, field: &str, span: &Span, expected: impl Into<String>, got: impl Into<String>) {
        let span = if span.line == 0 { &self.step.at } else { span };
        self.found.push(Mismatch {
            field: field.to_owned(),
            expected: expected.into(),
            got: got.into(),
            objects: String::new(),
            span: span.clone(),
        });
    }

    /// Compares one field, when it is expected at all.
    fn field<E, G>(
        &mut self,
        name: &str,
        expected: Option<&At<E>>,
        got: Option<G>,
        fits: impl Fn(&E, &G) -> bool,
        say: impl Fn(&E) -> String,
    ) where
        G: Shown,
    {
        let Some(expected) = expected else { return };
        match got {
            Some(got) if fits(&expected.value, &got) => {}
            got => {
                let got = got.map_or_else(|| "nothing of the kind".to_owned(), |got| got.shown());
                self.note(name, &expected.span, say(&expected.value), got);
            }
        }
    }

    fn equal<T: Shown + PartialEq + Clone>(&mut self, name: &str, expected: Option<&At<T>>, got: Option<&T>) {
        self.field(name, expected, got.cloned(), |expected, got| expected == got, Shown::shown);
    }

    /// Success, where the file does not say what else.
    fn success(&mut self, got: &Got) {
        let at = self.step.at.clone();
        if let Some(refusal) = got.refused {
            self.note("ok", &at, "success", refused(refusal));
        } else if matches!(self.step.verb, Verb::Tap(_)) && got.outcome != Some(OutcomeExpect::Approved) {
            let outcome = got.outcome.map_or_else(|| "no outcome".to_owned(), |outcome| outcome.shown());
            self.note("outcome", &at, "approved", outcome);
        } else if let Some(refused) = got.warranty.as_ref().and_then(|warranty| warranty.refused.as_ref()) {
            self.note("warranty", &at, "an answer", format!("refused: {refused}"));
        }
    }

    fn expect(&mut self, expect: &At<Expect>, got: &Got) {
        self.ending(expect, got);
        if !self.found.is_empty() {
            // What a step shows that ended otherwise says nothing more.
            return;
        }
        self.payment(expect, got);
        self.app(expect, got);
        self.band(expect, got);
        if let Some(warranty) = &expect.warranty {
            self.warranty(warranty, got.warranty.as_ref());
        }
    }

    /// Whether it succeeded or was refused as it should.
    fn ending(&mut self, expect: &At<Expect>, got: &Got) {
        let either = expect.ok.as_ref().is_some_and(|ok| ok.value == OkExpect::Either);
        match (&expect.refused, got.refused) {
            (Some(wanted), None) => self.note("refused", &wanted.span, wanted_refusal(&wanted.value), "success"),
            (Some(wanted), Some(refusal)) if !accepts(&wanted.value, refusal) => {
                self.note("refused", &wanted.span, wanted_refusal(&wanted.value), refused(refusal));
            }
            (None, Some(refusal)) if !either => {
                let at = expect.ok.as_ref().map_or(&expect.span, |ok| &ok.span).clone();
                self.note("ok", &at, "success", refused(refusal));
            }
            _ => {}
        }
        // A payment is never refused; it succeeds when it is approved.
        let outcome = got.outcome.filter(|outcome| *outcome != OutcomeExpect::Approved && expect.outcome.is_none());
        if let (Some(ok), Some(outcome)) = (&expect.ok, outcome.filter(|_| !either)) {
            self.note("ok", &ok.span, "approved", outcome.shown());
        }
    }

    fn payment(&mut self, expect: &Expect, got: &Got) {
        let fits = |expected: &OutcomeExpect, got: &OutcomeExpect| match expected {
            OutcomeExpect::NotPaid => *got != OutcomeExpect::Approved,
            _ => expected == got,
        };
        self.field("outcome", expect.outcome.as_ref(), got.outcome, fits, Shown::shown);
        self.equal("card", expect.card.as_ref(), got.card.as_ref());
        self.equal("cvm", expect.cvm.as_ref(), got.cvm.as_ref());
        self.equal("pin_asked", expect.pin_asked.as_ref(), got.pin_asked.as_ref());
        self.equal("online", expect.online.as_ref(), got.online.as_ref());
        self.equal("arc", expect.arc.as_ref(), got.arc.as_ref());
        self.equal("reason", expect.reason.as_ref(), got.reason.as_ref());
        self.equal("suspicious", expect.suspicious.as_ref(), got.suspicious.as_ref());
        if let Some(within) = &expect.within {
            self.within(within, got);
        }
    }

    fn within(&mut self, within: &At<DurationExpr>, got: &Got) {
        let most = got.card_time_most.unwrap_or_default();
        match got.card_time_us.map(Duration::from_micros) {
            Some(took) if took <= most => {}
            Some(took) => {
                self.note("within", &within.span, format!("at most {most:?}"), format!("{took:?} in the field"))
            }
            None => self.note("within", &within.span, format!("at most {most:?}"), "nothing of the kind"),
        }
    }

    fn app(&mut self, expect: &Expect, got: &Got) {
        self.equal("requests_left", expect.requests_left.as_ref(), got.requests_left.as_ref());
        self.equal("on_band", expect.on_band.as_ref(), got.on_band.as_ref());
        self.equal("serial", expect.serial.as_ref(), got.serial.as_ref());
        self.equal("battery", expect.battery.as_ref(), got.battery.as_ref());
        self.field(
            "time",
            expect.time.as_ref(),
            got.time_unix_s,
            |time, seen| match time {
                TimeExpect::Now => got.now_unix_s.is_some_and(|now| now.abs_diff(*seen) <= NOW_WITHIN_S),
                TimeExpect::At(date) => date.0.as_second() == *seen,
            },
            |time| match time {
                TimeExpect::Now => format!("now ({})", got.now_unix_s.unwrap_or_default()),
                TimeExpect::At(date) => format!("{} ({})", date.0, date.0.as_second()),
            },
        );
        if let Some(cards) = &expect.cards {
            self.cards("cards", cards, got.cards.as_deref());
        }
        if let Some(entries) = &expect.entries {
            self.entries(entries, got.entries.as_deref());
        }
        self.equal("unknown_to_bank", expect.unknown_to_bank.as_ref(), got.unknown_to_bank.as_ref());
        if let Some(notice) = &expect.notice {
            let shown: Vec<_> = got.notices.iter().map(Shown::shown).collect();
            let wanted = notice.value.shown();
            let fits = if wanted == "none" { shown.is_empty() } else { shown.contains(&wanted) };
            if !fits {
                let shown = if shown.is_empty() { "none".to_owned() } else { shown.join(", ") };
                self.note("notice", &notice.span, wanted, shown);
            }
        }
    }

    fn band(&mut self, expect: &Expect, got: &Got) {
        self.field(
            "sw",
            expect.sw.as_ref(),
            got.sw.map(Sw::new),
            |sw, got| sw.matches(&got.value().to_be_bytes()),
            ToString::to_string,
        );
        if let Some(data) = &expect.data {
            self.data(data, got.data.as_deref());
        }
        for (tag, pattern) in expect.tlv.iter().flatten() {
            self.object(Tag::new(tag.0), pattern, got.data.as_deref().unwrap_or_default());
        }
        if let Some(notified) = &expect.notified {
            let came = got.notified.as_deref().unwrap_or_default();
            let fits =
                notified.len() == came.len() && notified.iter().zip(came).all(|(wanted, got)| wanted.matches(got));
            if !fits {
                let wanted: Vec<_> = notified.iter().map(|pattern| pattern.to_string()).collect();
                let came: Vec<_> = came.iter().map(|bytes| spaced_hex(bytes)).collect();
                self.note("notified", &notified.span, one_per_line(&wanted), one_per_line(&came));
            }
        }
        self.equal("att_error", expect.att_error.as_ref(), got.att_error.as_ref());
        self.field(
            "unchanged",
            expect.unchanged.as_ref(),
            got.unchanged,
            |wanted, got| wanted == got,
            |unchanged| format!("unchanged: {unchanged}"),
        );
    }

    fn data(&mut self, pattern: &At<HexPattern>, got: Option<&[u8]>) {
        let got = got.unwrap_or_default();
        if pattern.matches(got) {
            return;
        }
        let Some(bytes) = pattern.bytes() else {
            return self.note("data", &pattern.span, pattern.to_string(), masked_hex(got));
        };
        self.note("data", &pattern.span, masked_hex(&bytes), masked_hex(got));
        if let Some(noted) = self.found.last_mut().filter(|_| is_tlv(&bytes) && is_tlv(got)) {
            noted.objects = tlv_diff(&bytes, got);
        }
    }

    fn object(&mut self, tag: Tag, pattern: &At<TagPattern>, data: &[u8]) {
        let found = tlv::find_deep(data, tag);
        let fits = match (&pattern.value, found) {
            (TagPattern::Any, found) => found.is_some(),
            (TagPattern::Absent, found) => found.is_none(),
            (TagPattern::Hex(pattern), Some(value)) => pattern.matches(value),
            (TagPattern::Hex(_), None) => false,
        };
        if fits {
            return;
        }
        let name = tlv_name(tag);
        let expected = match &pattern.value {
            TagPattern::Any => format!("{name}, whatever value"),
            TagPattern::Absent => format!("no {name}"),
            TagPattern::Hex(pattern) => format!("{name} = {pattern}"),
        };
        let got = match found {
            Some(value) => format!("{name} = {}", masked_value(tag, value)),
            None => format!("no {tag} in\n{}", explain_tlv(data, 2).trim_end()),
        };
        self.note(&format!("tlv {tag}"), &pattern.span, expected, got);
    }

    fn cards(&mut self, field: &str, wanted: &At<Vec<CardRow>>, got: Option<&[GotCard]>) {
        let got = got.unwrap_or_default();
        if wanted.len() == got.len() && wanted.iter().zip(got).all(|(row, card)| row_fits(row, card)) {
            return;
        }
        // With the same cards in the same order the row that differs is marked.
        let same = wanted.len() == got.len() && wanted.iter().zip(got).all(|(row, card)| *row.alias == card.alias);
        let differs = wanted.iter().zip(got).find(|(row, card)| !row_fits(row, card)).filter(|_| same);
        let span = differs.map_or(&wanted.span, |(row, _)| &row.alias.span).clone();
        let expected: Vec<_> = wanted.iter().map(said_row).collect();
        let got: Vec<_> = got.iter().map(said_card).collect();
        self.note(field, &span, one_per_line(&expected), one_per_line(&got));
    }

    fn entries(&mut self, wanted: &At<Entries>, got: Option<&[GotEntry]>) {
        let got = got.unwrap_or_default();
        let came: Vec<_> = got.iter().map(said_entry).collect();
        match &wanted.value {
            Entries::Count(count) if usize::try_from(*count) == Ok(got.len()) => {}
            Entries::Count(count) => self.note(
                "entries",
                &wanted.span,
                format!("{count} entries"),
                format!("{} entries\n{}", got.len(), one_per_line(&came)),
            ),
            Entries::List(rows) => {
                if rows.len() != got.len() || !rows.iter().zip(got).all(|(row, entry)| entry_fits(row, entry)) {
                    let rows: Vec<_> = rows.iter().map(said_entry_row).collect();
                    self.note("entries", &wanted.span, one_per_line(&rows), one_per_line(&came));
                }
            }
        }
    }

    fn warranty(&mut self, wanted: &At<WarrantyExpect>, got: Option<&GotWarranty>) {
        let nothing = GotWarranty::default();
        let got = got.unwrap_or(&nothing);
        match (&wanted.refused, &got.refused) {
            (Some(word), got) if got.as_ref() != Some(&word.value) => {
                self.note(
                    "warranty refused",
                    &word.span,
                    word.value.clone(),
                    got.clone().unwrap_or_else(|| "an answer".into()),
                );
                return;
            }
            (None, Some(refused)) => {
                self.note("warranty", &wanted.span, "an answer", format!("refused: {refused}"));
                return;
            }
            _ => {}
        }
        self.equal("warranty validity", wanted.validity.as_ref(), got.validity.as_ref());
        self.field(
            "warranty until",
            wanted.until.as_ref(),
            got.until.clone(),
            |day, got| day.0.to_string() == *got,
            |day| day.0.to_string(),
        );
        self.equal("warranty remaining", wanted.remaining.as_ref(), got.remaining.as_ref());
        self.equal("warranty checked_before", wanted.checked_before.as_ref(), got.checked_before.as_ref());
        self.equal("warranty coverage", wanted.coverage.as_ref(), got.coverage.as_ref());
        self.equal("warranty contact", wanted.contact.as_ref(), got.contact.as_ref());
        self.equal("warranty have_ready", wanted.have_ready.as_ref(), got.have_ready.as_ref());
    }

    fn sides(&mut self, check: &Check, got: &GotSides) {
        if let Some(agree) = &check.agree
            && agree.value != got.disagreement.is_none()
        {
            let said = got.disagreement.clone().unwrap_or_else(|| "they agree".into());
            self.note(
                "agree",
                &agree.span,
                if agree.value { "app, band and bank agree" } else { "app, band and bank differ" },
                said,
            );
        }
        for (name, wanted, side) in
            [("app", &check.app, &got.app), ("band", &check.band, &got.band), ("bank", &check.bank, &got.bank)]
        {
            if let Some(wanted) = wanted {
                self.cards(name, wanted, Some(side));
            }
        }
        self.equal("applets", check.applets.as_ref(), Some(&got.applets));
        self.equal("messages", check.messages.as_ref(), Some(&got.messages));
        self.equal("linked", check.linked.as_ref(), Some(&got.linked));
    }
}

fn accepts(wanted: &RefusedExpect, refusal: Refusal) -> bool {
    match wanted {
        RefusedExpect::Any => true,
        RefusedExpect::OneOf(reasons) => reasons.contains(&refusal),
    }
}

fn wanted_refusal(wanted: &RefusedExpect) -> String {
    match wanted {
        RefusedExpect::Any => "refused, for whatever reason".into(),
        RefusedExpect::OneOf(reasons) => {
            let reasons: Vec<_> = reasons.iter().map(|reason| numbered(*reason)).collect();
            format!("refused: {}", reasons.join(" or "))
        }
    }
}

fn refused(refusal: Refusal) -> String {
    format!("refused: {}", numbered(refusal))
}

fn numbered(refusal: Refusal) -> String {
    match refusal.number() {
        Some(number) => format!("{} ({number})", word(&refusal)),
        None => word(&refusal),
    }
}

fn row_fits(row: &CardRow, card: &GotCard) -> bool {
    fn fits<T: PartialEq>(wanted: &Option<At<T>>, got: &Option<T>) -> bool {
        wanted.as_ref().is_none_or(|wanted| got.as_ref() == Some(&wanted.value))
    }
    *row.alias == card.alias
        && fits(&row.state, &card.state)
        && fits(&row.history, &card.history)
        && fits(&row.requests_left, &card.requests_left)
        && fits(&row.contactless, &card.contactless)
        && fits(&row.old_service, &card.old_service)
}

fn said_row(row: &CardRow) -> String {
    let as_card = GotCard {
        alias: row.alias.value.clone(),
        state: row.state.as_ref().map(|at| at.value),
        history: row.history.as_ref().map(|at| at.value),
        requests_left: row.requests_left.as_ref().map(|at| at.value),
        contactless: row.contactless.as_ref().map(|at| at.value),
        old_service: row.old_service.as_ref().map(|at| at.value),
    };
    said_card(&as_card)
}

fn said_card(card: &GotCard) -> String {
    let mut parts = vec![card.alias.clone()];
    let mut part = |name: &str, said: Option<String>| parts.extend(said.map(|said| format!("{name}: {said}")));
    part("state", card.state.map(|state| word(&state)));
    part("history", card.history.map(|yes| yes.to_string()));
    part("requests_left", card.requests_left.map(|left| left.to_string()));
    part("contactless", card.contactless.map(|yes| yes.to_string()));
    part("old_service", card.old_service.map(|yes| yes.to_string()));
    parts.join(", ")
}

fn entry_fits(row: &EntryRow, entry: &GotEntry) -> bool {
    row.amount.minor == entry.amount_minor
        && row.amount.currency.number == entry.currency
        && row.approved.as_ref().is_none_or(|wanted| entry.approved == Some(wanted.value))
}

fn said_entry_row(row: &EntryRow) -> String {
    match &row.approved {
        Some(approved) => format!("{}, approved: {}", row.amount.value, approved.value),
        None => row.amount.value.to_string(),
    }
}

fn said_entry(entry: &GotEntry) -> String {
    let amount = match Currency::of_number(entry.currency) {
        Some(currency) => currency.of(entry.amount_minor).to_string(),
        None => format!("{} minor units of currency {}", entry.amount_minor, entry.currency),
    };
    match entry.approved {
        Some(approved) => format!("{amount}, approved: {approved}"),
        None => amount,
    }
}

fn one_per_line(lines: &[String]) -> String {
    if lines.is_empty() { "none".into() } else { lines.join("\n") }
}

fn tlv_name(tag: Tag) -> String {
    match band_sim::wire::tag::info(tag) {
        Some(info) => format!("{tag} {}", info.name),
        None => tag.to_string(),
    }
}

/// The word of an enum of plain words.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// How a value is shown in `expected` and `got`.
trait Shown {
    fn shown(&self) -> String;
}

macro_rules! shown {
    ($($type:ty => $how:expr;)*) => {$(
        impl Shown for $type {
            fn shown(&self) -> String {
                let how: fn(&Self) -> String = $how;
                how(self)
            }
        }
    )*};
}

shown! {
    bool => ToString::to_string;
    u8 => ToString::to_string;
    u32 => ToString::to_string;
    i64 => |seconds| match jiff::Timestamp::from_second(*seconds) {
        Ok(time) => format!("{time} ({seconds})"),
        Err(_) => seconds.to_string(),
    };
    String => Clone::clone;
    Vec<String> => |lines| one_per_line(lines);
    Sw => ToString::to_string;
    OutcomeExpect => |it| word(it);
    super::expect::CvmExpect => |it| word(it);
    super::expect::NoticeExpect => |it| word(it);
    super::expect::Validity => |it| word(it);
    crate::cloud::api::AuthorisationReason => |it| word(it);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::api::{AuthorisationReason, CardState};
    use crate::scenario::expect::CvmExpect;
    use crate::scenario::load::{Options, load_text};
    use crate::scenario::names::Names;

    /// The one step of a scenario in YAML.
    fn step(yaml: &str) -> Step {
        let set = |words: &str| words.split(' ').map(str::to_owned).collect();
        let names = Names {
            cards: set("mastercard-debit"),
            profiles: set("mi-smart-band-4-nfc"),
            terminals: set("corner-shop"),
            accounts: set("alice"),
            countries: set("DE"),
            characteristics: set("authentication"),
        };
        let given = "given: { cards: [{ card: mastercard-debit, as: a }, { card: mastercard-debit, as: b }] }";
        let text = format!(
            "scenario: a\n{given}\nsteps:\n  - {}\n  - check: {{ agree: true }}\n",
            yaml.replace('\n', "\n    ")
        );
        let loaded = load_text("m.yaml", &text, &Options { names, ..Options::default() });
        assert!(loaded.errors.is_empty(), "{}", loaded.errors[0]);
        loaded.cases[0].steps[0].clone()
    }

    /// Each difference in one line: `field line:column expected ≠ got`.
    fn differences(yaml: &str, got: &Got) -> Vec<String> {
        let line = |text: &str| text.replace('\n', " | ");
        let say = |it: Mismatch| {
            format!("{} {}:{} {} ≠ {}", it.field, it.span.line, it.span.column, line(&it.expected), line(&it.got))
        };
        compare(&step(yaml), got).into_iter().map(say).collect()
    }

    fn refused(refusal: Refusal) -> Got {
        Got { refused: Some(refusal), ..Got::default() }
    }

    const NONE: [&str; 0] = [];

    #[test]
    fn a_step_without_expectation_must_succeed() {
        assert_eq!(differences("refresh", &Got::default()), NONE);
        assert_eq!(differences("refresh", &refused(Refusal::Busy)), ["ok 4:5 success ≠ refused: busy"]);
        let got = |outcome| Got { outcome: Some(outcome), ..Got::default() };
        assert_eq!(differences("tap: 4.20 EUR", &got(OutcomeExpect::Approved)), NONE);
        assert_eq!(differences("tap: 4.20 EUR", &got(OutcomeExpect::Declined)), ["outcome 4:5 approved ≠ declined"]);
        assert_eq!(differences("tap: 4.20 EUR", &Got::default()), ["outcome 4:5 approved ≠ no outcome"]);
    }

    #[test]
    fn a_refusal_is_expected_by_its_reason_and_shown_with_its_number() {
        let late = "refresh:\nexpect: { refused: code_expired }";
        assert_eq!(differences(late, &refused(Refusal::CodeExpired)), NONE);
        assert_eq!(
            differences(late, &refused(Refusal::CodeWrong)),
            ["refused 5:24 refused: code_expired (3005) ≠ refused: code_wrong (3004)"]
        );
        assert_eq!(differences(late, &Got::default()), ["refused 5:24 refused: code_expired (3005) ≠ success"]);
        assert_eq!(differences("refresh:\nexpect: { refused: any }", &refused(Refusal::Busy)), NONE);
        assert_eq!(
            differences("refresh:\nexpect: { refused: [busy, code_wrong] }", &refused(Refusal::CodeWrong)),
            NONE
        );
        assert_eq!(differences("refresh:\nexpect: { ok: either }", &refused(Refusal::Busy)), NONE);
        assert_eq!(
            differences("refresh:\nexpect: { ok: true }", &refused(Refusal::Busy)),
            ["ok 5:19 success ≠ refused: busy"]
        );
    }

    #[test]
    fn what_is_expected_of_a_success_is_not_looked_for_in_a_refusal() {
        let got = refused(Refusal::Busy);
        assert_eq!(
            differences("request_code: a\nexpect: { requests_left: 2 }", &got),
            ["ok 5:5 success ≠ refused: busy"]
        );
    }

    #[test]
    fn every_field_of_a_payment_is_compared() {
        let yaml = "tap: 4.20 EUR\nexpect: { outcome: approved, card: a, cvm: none, pin_asked: false, online: true, arc: '00', reason: approved }";
        let right = Got {
            outcome: Some(OutcomeExpect::Approved),
            card: Some("a".into()),
            cvm: Some(CvmExpect::None),
            pin_asked: Some(false),
            online: Some(true),
            arc: Some("00".into()),
            reason: Some(AuthorisationReason::Approved),
            ..Got::default()
        };
        assert_eq!(differences(yaml, &right), NONE);
        let wrong = Got {
            outcome: Some(OutcomeExpect::Declined),
            card: Some("b".into()),
            cvm: Some(CvmExpect::OnlinePin),
            pin_asked: Some(true),
            online: Some(false),
            arc: None,
            reason: Some(AuthorisationReason::PinWrong),
            ..Got::default()
        };
        insta::assert_snapshot!(differences(yaml, &wrong).join("\n"), @"
        outcome 5:24 approved ≠ declined
        card 5:40 a ≠ b
        cvm 5:48 none ≠ online_pin
        pin_asked 5:65 false ≠ true
        online 5:80 true ≠ false
        arc 5:91 00 ≠ nothing of the kind
        reason 5:105 approved ≠ pin_wrong
        ");
    }

    #[test]
    fn not_paid_is_every_outcome_but_approved() {
        for (outcome, fits) in [
            (OutcomeExpect::Approved, false),
            (OutcomeExpect::Declined, true),
            (OutcomeExpect::EndApplication, true),
            (OutcomeExpect::FieldLost, true),
        ] {
            let got = Got { outcome: Some(outcome), ..Got::default() };
            assert_eq!(differences("tap: 4.20 EUR\nexpect: { outcome: not_paid }", &got).is_empty(), fits);
        }
    }

    fn card(alias: &str, state: CardState) -> GotCard {
        GotCard {
            alias: alias.into(),
            state: Some(state),
            history: Some(state == CardState::Active),
            ..GotCard::default()
        }
    }

    #[test]
    fn lists_of_cards_are_compared_in_order_and_the_wrong_row_is_marked() {
        let yaml = "card_list:\nexpect: { cards: [a, { as: b, state: active, history: true }] }";
        let got = |cards: Vec<GotCard>| Got { cards: Some(cards), ..Got::default() };
        assert_eq!(differences(yaml, &got(vec![card("a", CardState::Dead), card("b", CardState::Active)])), NONE);
        insta::assert_snapshot!(differences(yaml, &got(vec![card("a", CardState::Dead), card("b", CardState::Dead)])).join("\n"),
            @"cards 5:32 a | b, state: active, history: true ≠ a, state: dead, history: false | b, state: dead, history: false");
        insta::assert_snapshot!(differences(yaml, &got(vec![card("b", CardState::Active), card("a", CardState::Dead)])).join("\n"),
            @"cards 5:22 a | b, state: active, history: true ≠ b, state: active, history: true | a, state: dead, history: false");
        assert_eq!(differences("card_list:\nexpect: { cards: [] }", &got(vec![])), NONE);
        assert_eq!(differences("card_list:\nexpect: { cards: [a] }", &Got::default()), ["cards 5:22 a ≠ none"]);
    }

    #[test]
    fn histories_are_compared_by_number_or_entry_by_entry() {
        let entry = |minor| GotEntry { amount_minor: minor, currency: 978, atc: 1, approved: None };
        let got = Got { entries: Some(vec![entry(200), entry(100)]), ..Got::default() };
        assert_eq!(differences("history: a\nexpect: { entries: 2 }", &got), NONE);
        assert_eq!(differences("history: a\nexpect: { entries: [2.00 EUR, 1.00 EUR] }", &got), NONE);
        assert_eq!(
            differences("history: a\nexpect: { entries: 3 }", &got),
            ["entries 5:24 3 entries ≠ 2 entries | 2.00 EUR | 1.00 EUR"]
        );
        assert_eq!(
            differences("history: a\nexpect: { entries: [1.00 EUR, 2.00 EUR] }", &got),
            ["entries 5:24 1.00 EUR | 2.00 EUR ≠ 2.00 EUR | 1.00 EUR"]
        );
        assert_eq!(
            differences("history: a\nexpect: { entries: [{ amount: 2.00 EUR, approved: true }, 1.00 EUR] }", &got),
            ["entries 5:24 2.00 EUR, approved: true | 1.00 EUR ≠ 2.00 EUR | 1.00 EUR"]
        );
    }

    #[test]
    fn answers_are_compared_by_status_word_data_and_data_object() {
        let got = Got { sw: Some(0x63C2), data: Some(vec![0x6F, 0x04, 0x84, 0x02, 0xA0, 0x00]), ..Got::default() };
        let expect = |expect: &str| {
            differences(&format!("apdu: {{ via: contactless, send: 00 }}\nexpect: {{ {expect} }}"), &got)
        };
        assert_eq!(expect("sw: 63 Cx"), NONE);
        assert_eq!(expect("data: 6F 04 84 02 A0 xx"), NONE);
        assert_eq!(expect("tlv: { 84: A0 00, 6F: any, 9F38: absent }"), NONE);
        let wrong = expect("sw: 90 00, data: 6F 04 84 02 A0 01, tlv: { 84: A0 01, 9F38: any, 6F: absent }");
        insta::assert_snapshot!(wrong.join("\n"));
    }

    #[test]
    fn what_changed_in_the_band_is_told() {
        let got = Got { unchanged: Some(false), ..Got::default() };
        assert_eq!(
            differences("refresh:\nexpect: { unchanged: true }", &got),
            ["unchanged 5:26 unchanged: true ≠ false"]
        );
    }

    #[test]
    fn notices_and_notifications_are_compared() {
        let got = Got {
            notices: vec![super::super::expect::NoticeExpect::TapTheBand],
            notified: Some(vec![vec![0x10, 0x03, 0x08]]),
            ..Got::default()
        };
        let notice = |word: &str| differences(&format!("refresh:\nexpect: {{ notice: {word} }}"), &got);
        assert_eq!(notice("tap_the_band"), NONE);
        assert_eq!(notice("none"), ["notice 5:23 none ≠ tap_the_band"]);
        let write = |patterns: &str| {
            differences(
                &format!(
                    "write: {{ characteristic: authentication, value: 00 }}\nexpect: {{ notified: [{patterns}] }}"
                ),
                &got,
            )
        };
        assert_eq!(write("10 03 0x"), NONE);
        assert_eq!(write(""), ["notified 5:25 none ≠ 10 03 08"]);
        assert_eq!(write("10 03 01, 10 01 01"), ["notified 5:25 10 03 01 | 10 01 01 ≠ 10 03 08"]);
    }

    #[test]
    fn a_warranty_answer_is_compared_and_a_refusal_is_no_answer() {
        let ask = "check_warranty: { country: DE, code: '1' }";
        let refused = Got {
            warranty: Some(GotWarranty { refused: Some("unknown_code".into()), ..GotWarranty::default() }),
            ..Got::default()
        };
        assert_eq!(differences(ask, &refused), ["warranty 4:5 an answer ≠ refused: unknown_code"]);
        assert_eq!(differences(&format!("{ask}\nexpect: {{ warranty: {{ refused: unknown_code }} }}"), &refused), NONE);
        assert_eq!(
            differences(&format!("{ask}\nexpect: {{ warranty: {{ refused: wrong_length }} }}"), &refused),
            ["warranty refused 5:36 wrong_length ≠ unknown_code"]
        );
        assert_eq!(
            differences(&format!("{ask}\nexpect: {{ warranty: {{ until: 2026-02-28 }} }}"), &refused),
            ["warranty 5:25 an answer ≠ refused: unknown_code"]
        );
        let answer =
            GotWarranty { until: Some("2026-02-28".into()), checked_before: Some(1), ..GotWarranty::default() };
        let answer = Got { warranty: Some(answer), ..Got::default() };
        assert_eq!(
            differences(&format!("{ask}\nexpect: {{ warranty: {{ until: 2026-02-28, checked_before: 0 }} }}"), &answer),
            ["warranty checked_before 5:62 0 ≠ 1"]
        );
    }

    #[test]
    fn a_check_compares_all_sides() {
        let sides = GotSides {
            app: vec![card("a", CardState::Active)],
            band: vec![],
            bank: vec![card("a", CardState::Active)],
            disagreement: Some("the band lists none".into()),
            applets: 0,
            messages: 1,
            linked: true,
        };
        let got = Got { sides: Some(sides), ..Got::default() };
        assert_eq!(
            differences(
                "check: { agree: false, app: [a], band: [], bank: [a], applets: 0, messages: 1, linked: true }",
                &got
            ),
            NONE
        );
        insta::assert_snapshot!(differences("check: { agree: true, app: [], band: [a], bank: [b], applets: 1, messages: 2, linked: false }", &got).join("\n"), @"
        agree 4:21 app, band and bank agree ≠ the band lists none
        app 4:32 none ≠ a, state: active, history: true
        band 4:42 a ≠ none
        bank 4:53 b ≠ a, state: active, history: true
        applets 4:67 1 ≠ 0
        messages 4:80 2 ≠ 1
        linked 4:91 false ≠ true
        ");
        assert_eq!(
            differences("check: { agree: true }", &refused(Refusal::OutOfReach)),
            ["ok 4:5 success ≠ refused: out_of_reach"]
        );
    }
}
