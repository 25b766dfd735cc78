//! What a case needs of its station: read from its words before anything is done.

use std::time::Duration;

use super::expect::TimeExpect;
use super::fault::Fault;
use super::file::{self, Case, Given, LinkSettings};
use super::span::Span;
use super::step::{self, Confirm, ResetFrom, Serial, Step, Verb, Via};
use super::units::{DurationExpr, Quantity, Setting};
use crate::station::{Capability, Offer};

/// Why a case cannot run on a station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unmet {
    /// One sentence: what is needed and what for.
    pub(super) words: String,
    /// The words of the file that need it.
    pub(super) at: Span,
}

/// The first thing that the case needs and the station has not.
pub(super) fn unmet(case: &Case, offer: &Offer) -> Option<Unmet> {
    if offer.can.len() == Capability::ALL.len() {
        return None;
    }
    let lacks = |needs: &Need| !offer.can(needs.capability);
    if let Some(need) = needs(case).into_iter().find(lacks) {
        let words = format!("the station `{}` has no {}: {}", offer.name, need.capability, need.for_what);
        return Some(Unmet { words, at: need.at.clone() });
    }
    if offer.can(Capability::VirtualTime) { None } else { untimely(case, offer) }
}

struct Need<'a> {
    capability: Capability,
    for_what: String,
    at: &'a Span,
}

fn needs(case: &Case) -> Vec<Need<'_>> {
    let mut needs = needs_of_given(&case.given, &case.title.span);
    if let Some(sweep) = &case.sweep {
        let for_what = format!("it sweeps a fault over `{}`", sweep.during.value);
        needs.push(Need { capability: Capability::Sweep, for_what, at: &sweep.during.span });
    }
    needs.extend(case.faults.iter().map(|fault| {
        let for_what = format!("{} in it", fault_word(fault));
        Need { capability: needs_of_fault(fault), for_what, at: &case.title.span }
    }));
    for step in case.steps.iter().chain(&case.finally) {
        for capability in needs_of_verb(&step.verb).into_iter().chain(needs_of_expect(step)) {
            let for_what = match capability {
                Capability::AnyBytes => format!("no PC/SC reader passes this on: {}", step.text),
                _ => step.text.clone(),
            };
            needs.push(Need { capability, for_what, at: &step.at });
        }
        needs.extend(step.faults.iter().map(|fault| {
            let for_what = format!("{} in `{}`", fault_word(fault), step.text);
            Need { capability: needs_of_fault(fault), for_what, at: &step.at }
        }));
    }
    needs
}

fn needs_of_given<'a>(given: &'a Given, title: &'a Span) -> Vec<Need<'a>> {
    let mut needs = vec![];
    let mut need = |capability, for_what: &str, at| {
        needs.push(Need { capability, for_what: for_what.to_owned(), at });
    };
    if !given.linked {
        need(Capability::NewBand, "the band is not linked before the first step", title);
    } else if given.account.value != "nobody" {
        need(Capability::Linked, "the band is linked before the first step", title);
    }
    if given.date.span.line > 0 {
        need(Capability::SetsClock, "the case starts at a date of its own", &given.date.span);
    }
    if given.band_settings != file::BandSettings::default() {
        need(Capability::NewBand, "the band has settings of the case", title);
    }
    if sets_links(&given.link) {
        need(Capability::LinkSettings, "the links have settings of the case", title);
    }
    if let Some(card) = given.cards.first() {
        need(Capability::Cloud, "cards are in the band before the first step", &card.card.span);
    }
    needs
}

/// Whether the links are to be other than they are where nothing simulates them. A cloud that answers at once is what every station
/// has, as the cloud is in its process: that the network takes no time is a setting for those that simulate one.
fn sets_links(link: &LinkSettings) -> bool {
    let LinkSettings { latency, cloud_latency, mtu } = link;
    // Measured in any settings, nothing is nothing.
    let at_once = |of: &DurationExpr| of.evaluate(Setting::default_value).is_some_and(|time| time.is_zero());
    latency.is_some() || mtu.is_some() || cloud_latency.as_ref().is_some_and(|latency| !at_once(&latency.value))
}

fn needs_of_verb(verb: &Verb) -> Vec<Capability> {
    use Capability as C;
    match verb {
        Verb::LinkBand(_) | Verb::UnlinkBand(_) | Verb::SetTime(_) => vec![C::SwapAccount],
        Verb::FactoryReset(it) => match it.from {
            ResetFrom::App => vec![C::SwapAccount],
            ResetFrom::Band => vec![C::SwapAccount, C::PressKeys],
        },
        Verb::AddCard(_)
        | Verb::RequestCode(_)
        | Verb::EnterCode(_)
        | Verb::Activate(_)
        | Verb::RemoveCard(_)
        | Verb::Reorder(_)
        | Verb::History(_)
        | Verb::BankSuspend(_)
        | Verb::BankResume(_)
        | Verb::BankDelete(_)
        | Verb::Refresh(_)
        | Verb::CardList(_) => vec![C::Cloud],
        Verb::Tap(it) => {
            let bends = &it.man_in_the_middle;
            let middle = (!bends.is_empty()).then_some(C::ManInTheMiddle);
            let sent = bends.iter().filter_map(|bend| bend.command.as_ref());
            let bare = sent.map(|sent| &sent.value.0).any(|apdu| !passes_a_reader(apdu)).then_some(C::AnyBytes);
            [C::Contactless].into_iter().chain(middle).chain(bare).collect()
        }
        Verb::LoseBand(_) | Verb::FindBand(_) => vec![C::Reach],
        Verb::CutPower(_) | Verb::RestorePower(_) => vec![C::CutPower],
        Verb::Press(_) => vec![C::PressKeys],
        Verb::Apdu(it) => {
            let in_field = it.via.value == Via::Contactless;
            let way = in_field.then_some(C::Contactless);
            let bare = (in_field && it.send.value.0.iter().any(|apdu| !passes_a_reader(apdu))).then_some(C::AnyBytes);
            let harm = it.send.value.0.iter().any(|apdu| !is_harmless(apdu)).then_some(C::Hostile);
            way.into_iter().chain(bare).chain(harm).collect()
        }
        Verb::Write(_) => vec![C::Hostile],
        Verb::Check(it) if looks_inside(it) => vec![C::Cloud, C::LookInside],
        Verb::Check(_) => vec![C::Cloud],
        Verb::CheckWarranty(it) if it.serial.as_ref().is_some_and(|it| it.value == Serial::FromBand) => {
            vec![C::NewBand]
        }
        Verb::Authenticate(_) | Verb::NfcChannel(_) => vec![C::Linked],
        Verb::SignIn(_)
        | Verb::SignOut(_)
        | Verb::LinkXiaomiAccount(_)
        | Verb::UpdateApp(_)
        | Verb::LeaveForeground(_)
        | Verb::ReturnToForeground(_)
        | Verb::Retry(_)
        | Verb::Wait(_)
        | Verb::ReadIdentity(_)
        | Verb::ReadBattery(_)
        | Verb::ReadTime(_)
        | Verb::CheckWarranty(_) => vec![],
    }
}

fn needs_of_expect(step: &Step) -> Vec<Capability> {
    let Some(expect) = &step.expect else { return vec![] };
    let expect = &expect.value;
    [
        (expect.unchanged.is_some(), Capability::SeeMemory),
        (expect.serial.is_some() || expect.battery.is_some(), Capability::NewBand),
        (expect.time.as_ref().is_some_and(|time| time.value != TimeExpect::Now), Capability::VirtualTime),
        (expect.within.is_some(), Capability::VirtualTime),
    ]
    .into_iter()
    .filter_map(|(stated, capability)| stated.then_some(capability))
    .collect()
}

const fn looks_inside(check: &step::Check) -> bool {
    check.band.is_some() || check.agree.is_some() || check.applets.is_some() || check.linked.is_some()
}

/// Whether an APDU only looks: SELECT, READ RECORD, GET RESPONSE, GET DATA, GET STATUS (ISO 7816-4, GPCS 11).
fn is_harmless(apdu: &[u8]) -> bool {
    matches!(apdu, [_, 0xA4 | 0xB2 | 0xC0 | 0xCA | 0xF2, ..])
}

/// Whether a PC/SC reader passes it on to the card: a whole header, and not of the class that is the reader's own.
fn passes_a_reader(apdu: &[u8]) -> bool {
    matches!(apdu, [class, _, _, _, ..] if *class != 0xFF)
}

/// What is lost on the phone's side needs nothing but the phone.
const fn needs_of_fault(fault: &Fault) -> Capability {
    match fault {
        Fault::LeaveForeground(_) | Fault::CloudLost(_) => Capability::PhoneFaults,
        _ => Capability::InjectFaults,
    }
}

const fn fault_word(fault: &Fault) -> &'static str {
    match fault {
        Fault::Drop(_) => "a message is lost",
        Fault::Duplicate(_) => "a message comes twice",
        Fault::Reorder(_) => "messages change places",
        Fault::Delay(_) => "a message comes late",
        Fault::Corrupt(_) => "a message is damaged",
        Fault::Disconnect(_) => "the link breaks",
        Fault::PowerLoss(_) => "the band loses power",
        Fault::LeaveForeground(_) => "the app leaves the foreground",
        Fault::FactoryReset(_) => "the band is reset",
        Fault::CloudLost(_) => "the cloud is lost",
        Fault::FieldLoss(_) => "the band leaves the field",
    }
}

// --- the wall clock

/// What a clock on the wall cannot give: lengths of time finer than it, or longer than anyone waits.
fn untimely(case: &Case, offer: &Offer) -> Option<Unmet> {
    let unmet = |why: String, at: &Span| -> Option<Unmet> {
        let words = format!("the station `{}` has no {}: {why}", offer.name, Capability::VirtualTime);
        Some(Unmet { words, at: at.clone() })
    };
    let date = &case.given.date;
    if date.value.0.subsec_nanosecond() != 0 {
        return unmet(format!("the case starts at {}, exact to less than a second", date.value.0), &date.span);
    }
    let mut total = Duration::ZERO;
    for step in case.steps.iter().chain(&case.finally) {
        let times = step.repeat.as_ref().map_or(1, |repeat| repeat.value);
        let Verb::Wait(wait) = &step.verb else {
            total = total.saturating_add(waits_in(step, case, offer).saturating_mul(times));
            continue;
        };
        if let Some(fine) = finest(&wait.time.value).filter(|fine| *fine < offer.clock) {
            return unmet(format!("`{}` is exact to {fine:?}", step.text), &step.at);
        }
        let Some(time) = evaluate(&wait.time.value, case, offer) else {
            return unmet(format!("`{}` is negative under the station's settings", step.text), &step.at);
        };
        total = total.saturating_add(time.saturating_mul(times));
        if total > offer.longest_wait {
            return unmet(format!("it waits longer than {:?} by `{}`", offer.longest_wait, step.text), &step.at);
        }
    }
    if total > offer.longest_wait {
        let why = format!("what it waits for takes {total:?}, longer than {:?}", offer.longest_wait);
        return unmet(why, &case.title.span);
    }
    None
}

/// How long a step waits without saying so.
fn waits_in(step: &Step, case: &Case, offer: &Offer) -> Duration {
    match &step.verb {
        Verb::LinkBand(it) if it.confirm == Confirm::Ignore => value_of(Setting::PairingTimeout, case, offer),
        Verb::AddCard(_) => {
            let times = case.given.bank.data_not_ready_times.as_ref().map_or(0, |times| times.value);
            value_of(Setting::DataRetryAfter, case, offer).saturating_mul(u32::from(times))
        }
        Verb::Tap(it) => {
            let late = it.man_in_the_middle.iter().filter_map(|bend| bend.late.as_ref());
            late.filter_map(|late| evaluate(&late.value, case, offer)).sum()
        }
        _ => Duration::ZERO,
    }
}

/// The smallest length that is written out beside a setting; one that stands alone is as exact as the clock.
fn finest(of: &DurationExpr) -> Option<Duration> {
    let fixed = of.terms.iter().filter_map(|term| match term.of {
        Quantity::Fixed(fixed) if !fixed.is_zero() => Some(fixed),
        _ => None,
    });
    fixed.min()
}

fn evaluate(of: &DurationExpr, case: &Case, offer: &Offer) -> Option<Duration> {
    of.evaluate(|setting| value_of(setting, case, offer))
}

/// A setting as it will be in force: the case's, else the station's own, else the usual one.
fn value_of(setting: Setting, case: &Case, offer: &Offer) -> Duration {
    let given = &case.given;
    let stated = match setting {
        Setting::CodeValidFor => given.bank.code_valid_for.as_ref(),
        Setting::ForegroundGrace => given.phone.foreground_grace.as_ref(),
        Setting::PairingTimeout => given.band_settings.pairing_timeout.as_ref(),
        Setting::ApduTimeout | Setting::DataRetryAfter => None,
    };
    let usual = || offer.settings.get(&setting).copied().unwrap_or_else(|| setting.default_value());
    stated.and_then(|stated| stated.value.evaluate(Setting::default_value)).unwrap_or_else(usual)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;
    use std::sync::Arc;

    use band_sim::rng::Rng;

    use super::*;
    use crate::report::event::{Kind, Verdict};
    use crate::scenario::load::{self, Options};
    use crate::scenario::run;
    use crate::scenario::set_up::Ground;
    use crate::station::fixtures::Fixtures;
    use crate::station::recorder::Recorder;
    use crate::station::{Embedded, Station, Trouble, World};

    fn fixtures() -> Arc<Fixtures> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
        Arc::new(Fixtures::load(&root).expect("the fixtures load"))
    }

    fn loaded(steps: &str) -> load::Loaded {
        let options = Options { names: fixtures().names(), ..Options::default() };
        // A scenario that expects nothing is refused.
        let text = format!("scenario: a case\n{steps}  - sign_in: alice\n    expect: {{ ok: true }}\n");
        let loaded = load::load_text("case.yaml", &text, &options);
        assert!(loaded.errors.is_empty(), "{:?}", loaded.errors);
        loaded
    }

    /// All but these.
    fn without(lacking: &[Capability]) -> Offer {
        Offer {
            name: "bench".into(),
            can: Capability::ALL.into_iter().filter(|it| !lacking.contains(it)).collect::<BTreeSet<_>>(),
            settings: BTreeMap::from([(Setting::CodeValidFor, Duration::from_secs(3))]),
            clock: Duration::from_millis(500),
            longest_wait: Duration::from_secs(10),
        }
    }

    fn words(steps: &str, lacking: &[Capability]) -> Option<String> {
        let loaded = loaded(steps);
        unmet(loaded.cases.first().expect("one case"), &without(lacking)).map(|unmet| unmet.words)
    }

    #[test]
    fn a_case_says_what_its_station_lacks_and_which_words_need_it() {
        use Capability as C;
        let add = "steps:\n  - add_card: { card: mastercard-debit, as: debit }\n";
        assert_eq!(words(add, &[C::CutPower]), None);
        assert_eq!(
            words(add, &[C::Cloud]).as_deref(),
            Some("the station `bench` has no cloud: add_card: { card: mastercard-debit, as: debit }")
        );
        let cases: &[(&str, C)] = &[
            ("steps:\n  - cut_power\n  - restore_power\n", C::CutPower),
            ("steps:\n  - lose_band\n", C::Reach),
            ("steps:\n  - press: confirm\n", C::PressKeys),
            ("steps:\n  - factory_reset: band\n", C::PressKeys),
            ("steps:\n  - unlink_band\n", C::SwapAccount),
            ("steps:\n  - tap: { amount: 1.00 EUR }\n", C::Contactless),
            ("steps:\n  - check: { agree: true }\n", C::LookInside),
            ("steps:\n  - refresh:\n    expect: { unchanged: true }\n", C::SeeMemory),
            ("steps:\n  - refresh:\n    faults: [ { drop: to_band 1 } ]\n", C::InjectFaults),
            ("steps:\n  - refresh:\n    faults: [ { cloud_lost: request 1 } ]\n", C::PhoneFaults),
            ("steps:\n  - refresh:\n    faults: [ { leave_foreground: to_band 2 } ]\n", C::PhoneFaults),
            ("faults: [ { cloud_lost: request 9 } ]\nsteps:\n  - refresh\n", C::PhoneFaults),
            ("faults: [ { cloud_lost: request 9 }, { drop: to_band 9 } ]\nsteps:\n  - refresh\n", C::InjectFaults),
            (
                "steps:\n  - tap: { amount: 1.00 EUR, man_in_the_middle: [{ at: gpo, flip: [82] }] }\n",
                C::ManInTheMiddle,
            ),
            (
                "steps:\n  - tap: { amount: 1.00 EUR, man_in_the_middle: [{ at: gpo, command: FF A8 00 00 }] }\n",
                C::AnyBytes,
            ),
            ("steps:\n  - apdu: { via: nfc_channel, send: \"80 E4 00 00 00\" }\n", C::Hostile),
            ("steps:\n  - apdu: { via: contactless, send: \"FF A4 04 00\" }\n", C::AnyBytes),
            ("steps:\n  - apdu: { via: contactless, send: \"\" }\n", C::AnyBytes),
            ("given: { link: { mtu: 247 } }\nsteps:\n  - refresh\n", C::LinkSettings),
            ("given: { link: { cloud_latency: 1s } }\nsteps:\n  - refresh\n", C::LinkSettings),
            ("given: { link: { latency: 1ms } }\nsteps:\n  - refresh\n", C::LinkSettings),
            ("given: { date: \"2026-03-01T09:00:00Z\" }\nsteps:\n  - refresh\n", C::SetsClock),
            ("given: { band_settings: { factory_reset_wipes_cards: true } }\nsteps:\n  - refresh\n", C::NewBand),
        ];
        for (steps, needed) in cases {
            let said = words(steps, &[*needed]).unwrap_or_else(|| panic!("nothing is said about\n{steps}"));
            assert!(said.starts_with(&format!("the station `bench` has no {needed}: ")), "{said}");
        }
        assert_eq!(words("steps:\n  - apdu: { via: nfc_channel, send: \"00 A4 04 00 00\" }\n", &[C::Hostile]), None);
        assert_eq!(words("steps:\n  - apdu: { via: contactless, send: \"00 A4 04 00\" }\n", &[C::AnyBytes]), None);
        assert_eq!(words("steps:\n  - apdu: { via: nfc_channel, send: \"FF A4\" }\n", &[C::AnyBytes]), None);
        let at_once = "given: { link: { cloud_latency: 0s } }\nsteps:\n  - refresh\n";
        assert_eq!(words(at_once, &[C::LinkSettings]), None);
    }

    #[test]
    fn a_clock_on_the_wall_gives_no_microseconds_and_no_ten_minutes() {
        let wait = |time: &str| {
            let steps = format!("steps:\n  - wait: {time}\n");
            words(&steps, &[Capability::VirtualTime]).unwrap_or_default()
        };
        assert_eq!(wait("code_valid_for + 1s"), "");
        assert_eq!(wait("code_valid_for"), "");
        assert!(wait("code_valid_for - 1us").ends_with("is exact to 1µs"), "{}", wait("code_valid_for - 1us"));
        assert!(wait("10m").contains("it waits longer than 10s by"), "{}", wait("10m"));
        assert!(wait("code_valid_for - 1m").contains("is negative under the station's settings"));
        let stated = |valid: &str| {
            let given = format!("given: {{ bank: {{ code_valid_for: {valid} }} }}\nsteps:\n  - wait: code_valid_for\n");
            words(&given, &[Capability::VirtualTime]).unwrap_or_default()
        };
        assert_eq!(stated("1s"), "");
        assert!(stated("24h").contains("it waits longer than 10s by"), "{}", stated("24h"));
        let ignored = words("steps:\n  - link_band: { confirm: ignore }\n", &[Capability::VirtualTime]);
        assert!(ignored.expect("a pairing takes half a minute").contains("takes 30s, longer than 10s"));
    }

    #[test]
    fn on_somebodys_own_band_nothing_is_run_that_could_change_it() {
        use Capability as C;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
        let loaded = load::load(&[root], &Options { names: fixtures().names(), ..Options::default() });
        let own = Offer {
            can: [C::Contactless, C::PressKeys, C::Reach, C::Linked].into(),
            settings: BTreeMap::new(),
            ..without(&[])
        };
        let run = loaded.cases.iter().filter(|case| unmet(case, &own).is_none()).map(|case| case.id.as_str());
        // The warranty desk asks no band.
        let (lab, others): (Vec<_>, Vec<_>) = run.partition(|id| id.starts_with("lab/"));
        assert_eq!(
            lab,
            loaded.cases.iter().map(|case| &case.id).filter(|id| id.starts_with("lab/")).collect::<Vec<_>>()
        );
        assert!(lab.len() >= 8 && others.iter().all(|id| id.starts_with("warranty/")), "{others:#?}");
    }

    /// The embedded station with something missing.
    #[derive(Debug)]
    struct Lesser(Offer);

    impl Station for Lesser {
        fn offer(&self) -> &Offer {
            &self.0
        }

        fn open(&self, ground: Ground<'_>, rng: &Rng, recorder: Recorder) -> Result<Box<dyn World>, Trouble> {
            Embedded::default().open(ground, rng, recorder)
        }
    }

    #[test]
    fn a_case_that_needs_more_is_skipped_with_its_reason_and_another_runs_under_the_stations_settings() {
        let setting = |loaded: &load::Loaded| run::Setting {
            fixtures: fixtures(),
            station: Arc::new(Lesser(without(&[Capability::CutPower]))),
            sources: loaded.sources.clone(),
            seed: 0,
            keep: run::Keep::default(),
            repeat_with: String::new(),
        };
        let skipped = loaded("steps:\n  - cut_power\n");
        let outcome = run::run(&skipped.cases[0], 0, &setting(&skipped));
        assert_eq!(outcome.verdict, Verdict::Skipped);
        let [_, last] = outcome.events.as_slice() else { panic!("{:?}", outcome.events) };
        let Kind::CaseFinished { reason: Some(reason), .. } = &last.kind else { panic!("{last:?}") };
        assert_eq!(
            (reason.message.as_str(), reason.line),
            ("the station `bench` has no cut_power: cut_power", 3),
            "{reason:?}"
        );

        // Three seconds, not ten minutes.
        let expires = loaded(
            "steps:\n  - add_card: { card: mastercard-debit, as: debit }\n  - request_code: debit\n  - wait: 3s\n  \
             - enter_code: { card: debit, code: from_sms }\n    expect: { refused: code_expired }\n",
        );
        let outcome = run::run(&expires.cases[0], 0, &setting(&expires));
        assert_eq!(outcome.verdict, Verdict::Passed, "{:?}", outcome.events.last());
    }
}
