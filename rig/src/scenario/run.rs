//! One case from its first step to its verdict.
//!
//! A case is given its world, its steps run in order until one does not come out as expected, and `finally` runs whatever
//! happened. A sweep runs up to the swept step once, then clones the world there and runs the rest for every point at which the
//! fault can strike: each point is the same case in everything but the fault.

#![allow(clippy::result_large_err, reason = "an error ends its case, and is made at most once in it")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use band_sim::rng::Rng;

use super::expect::OutcomeExpect;
use super::fault::{Fault, FaultKind, Point, PointKind};
use super::file::Case;
use super::load::Sources;
use super::matcher::{self, Mismatch};
use super::needs;
use super::perform::{Broken, Stage};
use super::set_up;
use super::span::Span;
use super::step::{Step, Verb};
use crate::link::fault as link_fault;
use crate::report::event::{Event, Kind, Reason, Verdict};
use crate::report::words;
use crate::station::embedded::{ActionFault, Points, Strike, Where};
use crate::station::fixtures::Fixtures;
use crate::station::recorder::{Detail, Recorder};
use crate::station::{Capability, Station};

/// What a case is run with.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The fixtures.
    pub fixtures: Arc<Fixtures>,
    /// Where it runs.
    pub station: Arc<dyn Station>,
    /// The texts of the scenario files, which a failure quotes.
    pub sources: Sources,
    /// The seed of the run; each case draws its own from it and its id.
    pub seed: u64,
    /// What is written down of cases that pass.
    pub keep: Keep,
    /// The words before the id in the command that repeats a case.
    pub repeat_with: String,
}

/// What is written down of cases that pass; of one that does not pass it is always every exchange up to its failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// That they passed: nobody reads more. The quickest.
    #[default]
    Verdicts,
    /// Every exchange, but only the end of each point of a sweep.
    Cases,
    /// Every exchange of every point of a sweep, too.
    Points,
}

/// What came of a case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Everything that happened, in order.
    pub events: Vec<Event>,
    /// How it ended.
    pub verdict: Verdict,
    /// Virtual time that passed, over all points of a sweep.
    pub simulated: Duration,
}

/// Runs one case. `index` is its place in file order.
#[must_use]
pub fn run(case: &Case, index: u32, setting: &Setting) -> Outcome {
    let mut simulated = Duration::ZERO;
    let mut events = vec![];
    let mut verdict = Verdict::Passed;
    for round in 0..case.repeat.max(1) {
        let seed = seed_of(case, setting.seed, round);
        let mut run = Run { case, setting, seed, detail: detail(case, setting), simulated: Duration::ZERO };
        let mut outcome = run.run(index);
        simulated += run.simulated;
        if run.detail == Detail::Verdicts && outcome.1.is_trouble() {
            outcome = run.once_more(index, outcome);
        }
        verdict = outcome.1;
        if round > 0 {
            // One case has one start; a later round is told by its seed in the command that repeats it.
            outcome.0.retain(|event| !matches!(event.kind, Kind::CaseStarted { .. }));
        }
        if verdict != Verdict::Passed || round + 1 == case.repeat.max(1) {
            events.extend(outcome.0);
            break;
        }
        outcome.0.retain(|event| !matches!(event.kind, Kind::CaseFinished { .. }));
        events.extend(outcome.0);
    }
    Outcome { events, verdict, simulated }
}

/// How much of a case is written down at first.
fn detail(case: &Case, setting: &Setting) -> Detail {
    match setting.keep {
        // Where time is the world's own, a failure does not come back by running the case again.
        Keep::Verdicts if setting.station.offer().can(Capability::VirtualTime) => Detail::Verdicts,
        Keep::Verdicts | Keep::Cases => detail_to_tell(case),
        Keep::Points => Detail::Exchanges,
    }
}

/// How much of a case is written down for somebody to read: of a sweep only the steps, as its points are many.
const fn detail_to_tell(case: &Case) -> Detail {
    if case.sweep.is_some() { Detail::Steps } else { Detail::Exchanges }
}

/// Ends a case whose station went away in the middle of it, or before: `events` are those it had come to.
pub fn cut_off(case: &Case, index: u32, setting: &Setting, (verdict, words): (Verdict, &str), events: &mut Vec<Event>) {
    let run = Run { case, setting, seed: setting.seed, detail: Detail::Verdicts, simulated: Duration::ZERO };
    let mut recorder = Recorder::new(index, run.detail);
    recorder.note(band_sim::time::Instant::ZERO, run.started());
    let trouble = Trouble::without_exchanges(verdict, words.to_owned(), case.title.span.clone());
    let (whole, _) = run.end_before_the_steps(recorder, trouble);
    let at_us = events.last().map_or(0, |last| last.at_us);
    let from = usize::from(!events.is_empty());
    events.extend(whole.into_iter().skip(from).map(|event| Event { at_us, ..event }));
}

/// Two runs with one seed differ: the case is broken, whatever its verdict was.
pub fn call_nondeterministic(outcome: &mut Outcome, again: &Outcome) {
    let differs = outcome.events.iter().zip(&again.events).position(|(one, other)| one != other);
    let at = differs.unwrap_or_else(|| outcome.events.len().min(again.events.len()));
    let message = format!("two runs with the same seed differ from event {at} on; this is a bug in bandrig");
    outcome.verdict = Verdict::Broken;
    let Some(Event { kind: Kind::CaseFinished { verdict, reason, .. }, .. }) = outcome.events.last_mut() else {
        return;
    };
    *verdict = Verdict::Broken;
    let mut broken = reason.take().unwrap_or_default();
    broken.message = message;
    *reason = Some(broken);
}

/// The seed of one round of one case: the same whatever else is run.
fn seed_of(case: &Case, seed: u64, round: u32) -> u64 {
    if round == 0 { seed } else { Rng::new(seed).fork(&format!("{} round {round}", case.id)).next_u64() }
}

struct Run<'a> {
    case: &'a Case,
    setting: &'a Setting,
    seed: u64,
    detail: Detail,
    simulated: Duration,
}

/// Why a case did not pass.
#[derive(Clone, Debug)]
struct Trouble {
    verdict: Verdict,
    message: String,
    at: Span,
    /// What was not as expected, most telling first; empty when the trouble is of another kind.
    mismatches: Vec<Mismatch>,
    /// The exchanges before it, in words; what `finally` did after it tells nothing of it.
    exchanges: Vec<String>,
}

/// The state of a case between two steps.
#[derive(Debug)]
struct Progress {
    stage: Stage,
    /// Ids of the steps that succeeded.
    succeeded: BTreeSet<String>,
    /// What the steps so far have passed, for the faults of the whole case.
    passed: Points,
}

impl Progress {
    /// The same state once more, to go on from in another way.
    fn fork(&self) -> Result<Self, Broken> {
        let stage = self.stage.fork().ok_or_else(|| Broken("this station cannot keep a state to sweep from".into()))?;
        Ok(Self { stage, succeeded: self.succeeded.clone(), passed: self.passed })
    }
}

/// A fault of the sweep and the step it strikes in.
#[derive(Clone, Copy, Debug)]
struct Strikes<'a> {
    during: &'a str,
    fault: &'a ActionFault,
}

/// How a sweep ended: the state that tells of it, and the first fault under which the case did not come out.
struct Swept {
    progress: Progress,
    trouble: Option<Trouble>,
    also: Vec<String>,
    fault: Option<String>,
}

impl Run<'_> {
    /// The case again, for its failure to be told with everything that led to it. `first` stands when it passes this time.
    fn once_more(&self, index: u32, mut first: (Vec<Event>, Verdict)) -> (Vec<Event>, Verdict) {
        let mut again = Run { detail: detail_to_tell(self.case), simulated: Duration::ZERO, ..*self };
        let second = again.run(index);
        if second.1 != Verdict::Passed {
            return second;
        }
        if let Some(Event { kind: Kind::CaseFinished { reason: Some(reason), .. }, .. }) = first.0.last_mut() {
            reason
                .also
                .push("the case passed when it was run again with the same seed, to write down its exchanges".into());
        }
        first
    }

    fn run(&mut self, index: u32) -> (Vec<Event>, Verdict) {
        let mut recorder = Recorder::new(index, self.detail);
        recorder.note(band_sim::time::Instant::ZERO, self.started());
        if let Some(unmet) = needs::unmet(self.case, self.setting.station.offer()) {
            return self
                .end_before_the_steps(recorder, Trouble::without_exchanges(Verdict::Skipped, unmet.words, unmet.at));
        }
        let mut progress = match self.begin(recorder.clone()) {
            Ok(progress) => progress,
            Err((broken, stage)) => {
                let recorder = stage.map_or(recorder, |mut stage| stage.world.recorder().clone());
                return self.end_before_the_steps(recorder, Trouble::broken(broken, self.case.title.span.clone()));
            }
        };
        match &self.case.sweep {
            None => {
                let (trouble, also) = self.play(&mut progress, 0, None);
                self.end(progress, trouble, also, None, 0)
            }
            Some(sweep) => {
                let during = sweep.during.value.clone();
                self.sweep(progress, &during, sweep.fault.value, sweep.at.value.0)
            }
        }
    }

    fn end_before_the_steps(&self, mut recorder: Recorder, trouble: Trouble) -> (Vec<Event>, Verdict) {
        let reason = self.reason(&trouble, &mut recorder, None, vec![]);
        recorder.note(band_sim::time::Instant::ZERO, finished(trouble.verdict, Some(reason), 0));
        (recorder.into_events(), trouble.verdict)
    }

    fn started(&self) -> Kind {
        Kind::CaseStarted {
            id: self.case.id.clone(),
            title: self.case.title.value.clone(),
            rules: self.case.rules.iter().map(|rule| rule.value.clone()).collect(),
            tags: self.case.tags.iter().map(|tag| tag.value.clone()).collect(),
            seed: self.seed,
        }
    }

    fn begin(&self, recorder: Recorder) -> Result<Progress, (Broken, Option<Box<Stage>>)> {
        let rng = Rng::new(self.seed).fork(&self.case.id);
        let stage = set_up::stage(self.case, self.setting, &rng, recorder)?;
        Ok(Progress { stage, succeeded: BTreeSet::new(), passed: Points::default() })
    }

    /// Runs the steps from the `from`-th on, then `finally`. Answers what went wrong, and what also went wrong in `finally`.
    fn play(
        &mut self,
        progress: &mut Progress,
        from: usize,
        strikes: Option<Strikes<'_>>,
    ) -> (Option<Trouble>, Vec<String>) {
        let began = progress.stage.world.now();
        let mut trouble = None;
        for (at, step) in self.case.steps.iter().enumerate().skip(from) {
            if let Err(found) = self.step(progress, &format!("{}", at + 1), step, strikes) {
                let exchanges = progress.stage.world.recorder().last_exchanges();
                trouble = Some(Trouble { exchanges, ..found });
                break;
            }
        }
        let mut also = vec![];
        for (at, step) in self.case.finally.iter().enumerate() {
            let Err(found) = self.step(progress, &format!("finally {}", at + 1), step, None) else { continue };
            if trouble.is_none() {
                trouble = Some(found);
            } else {
                also.push(format!("{}: {}", found.at, found.message));
            }
        }
        self.simulated += progress.stage.world.now().saturating_since(began);
        (trouble, also)
    }

    /// One step, as often as it says.
    fn step(
        &self,
        progress: &mut Progress,
        name: &str,
        step: &Step,
        strikes: Option<Strikes<'_>>,
    ) -> Result<(), Trouble> {
        let Some((step, retried)) = self.resolve_retry(progress, step)? else { return Ok(()) };
        let times = step.repeat.as_ref().map_or(1, |repeat| repeat.value);
        for _ in 0..times {
            self.step_once(progress, name, &step, strikes.filter(|_| !retried))?;
        }
        Ok(())
    }

    /// A `retry` is the step it names, done under the expectation of the retry; nothing when that step had succeeded.
    fn resolve_retry(&self, progress: &Progress, step: &Step) -> Result<Option<(Step, bool)>, Trouble> {
        let Verb::Retry(retry) = &step.verb else { return Ok(Some((step.clone(), false))) };
        let id = &retry.step.value;
        if progress.succeeded.contains(id) {
            return Ok(None);
        }
        let named = self.case.steps.iter().find(|step| step.id.as_ref().is_some_and(|it| it.value == *id));
        let Some(named) = named else {
            let message = format!("no step has the id `{id}`");
            return Err(Trouble {
                verdict: Verdict::Broken,
                message,
                at: step.at.clone(),
                mismatches: vec![],
                exchanges: vec![],
            });
        };
        Ok(Some((Step { verb: named.verb.clone(), ..step.clone() }, true)))
    }

    fn step_once(
        &self,
        progress: &mut Progress,
        name: &str,
        step: &Step,
        strikes: Option<Strikes<'_>>,
    ) -> Result<(), Trouble> {
        let id = step.id.as_ref().map(|id| id.value.as_str());
        let struck = strikes.filter(|strikes| id == Some(strikes.during));
        let stage = &mut progress.stage;
        let now = stage.world.now();
        stage.world.recorder().step_started(now, name, step);
        let mut faults: Vec<ActionFault> = vec![];
        for fault in &step.faults {
            faults.push(stage.action_fault(fault).map_err(|broken| Trouble::broken(broken, step.at.clone()))?);
        }
        for fault in &self.case.faults {
            let fault = stage.action_fault(fault).map_err(|broken| Trouble::broken(broken, step.at.clone()))?;
            faults.extend(fault.after(&progress.passed));
        }
        faults.extend(struck.map(|strikes| *strikes.fault));
        stage.world.arm(faults);
        let before = stage.world.writes();
        let got = stage.perform(step);
        progress.passed += stage.world.points(before);
        stage.world.disarm();
        let got = got.map_err(|broken| Trouble::broken(broken, step.at.clone()))?;
        // Under a fault of the sweep the step may end either way; what must hold is what the following steps say.
        let mismatches = if struck.is_some() { vec![] } else { matcher::compare(step, &got) };
        let now = stage.world.now();
        stage.world.recorder().step_finished(now, name, mismatches.is_empty(), &got);
        let unpaid = got.outcome.is_some_and(|outcome| outcome != OutcomeExpect::Approved);
        if let (Some(id), None, false) = (id, got.refused, unpaid) {
            progress.succeeded.insert(id.to_owned());
        }
        if mismatches.is_empty() { Ok(()) } else { Err(Trouble::failed(step, mismatches)) }
    }

    // --- sweeping

    fn sweep(
        &mut self,
        mut progress: Progress,
        during: &str,
        kind: FaultKind,
        every: PointKind,
    ) -> (Vec<Event>, Verdict) {
        let at =
            self.case.steps.iter().position(|step| step.id.as_ref().is_some_and(|id| id.value == during)).unwrap_or(0);
        let began = progress.stage.world.now();
        for (index, step) in self.case.steps.iter().enumerate().take(at) {
            if let Err(trouble) = self.step(&mut progress, &format!("{}", index + 1), step, None) {
                return self.end(progress, Some(trouble), vec![], None, 0);
            }
        }
        self.simulated += progress.stage.world.now().saturating_since(began);
        let points = match self.points(&progress, at) {
            Ok(points) => points,
            Err(broken) => return self.cannot_sweep(progress, broken),
        };
        let faults = faults_of(kind, every, &points);
        // Each of the many copies would put it into words again.
        progress.stage.world.recorder().tell();
        match self.every_point(&progress, at, during, &faults) {
            Ok(swept) => {
                let of = u32::try_from(faults.len()).unwrap_or(u32::MAX);
                self.end(swept.progress, swept.trouble, swept.also, swept.fault, of)
            }
            Err(broken) => self.cannot_sweep(progress, broken),
        }
    }

    fn cannot_sweep(&self, progress: Progress, broken: Broken) -> (Vec<Event>, Verdict) {
        let at = self.case.sweep.as_ref().map_or_else(Span::default, |sweep| sweep.during.span.clone());
        self.end(progress, Some(Trouble::broken(broken, at)), vec![], None, 0)
    }

    /// The rest of the case, once without a fault and once for every fault, until one does not come out.
    fn every_point(
        &mut self,
        progress: &Progress,
        at: usize,
        during: &str,
        faults: &[(String, ActionFault)],
    ) -> Result<Swept, Broken> {
        let of = u32::try_from(faults.len()).unwrap_or(u32::MAX);
        let mut told = progress.fork()?;
        let (trouble, also) = self.play(&mut told, at, None);
        if trouble.is_some() {
            return Ok(Swept { progress: told, trouble, also, fault: Some("no fault at all".to_owned()) });
        }
        let mut told = progress.fork()?;
        for (point, (named, fault)) in faults.iter().enumerate() {
            let strikes = Strikes { during, fault };
            let mut attempt = progress.fork()?;
            // A try tells all or nothing.
            let detail = if self.detail == Detail::Exchanges { Detail::Exchanges } else { Detail::Verdicts };
            attempt.stage.world.recorder().begin_try(detail);
            let (trouble, _) = self.play(&mut attempt, at, Some(strikes));
            let now = attempt.stage.world.now();
            let kind = Kind::SweepPoint { point: point as u32, of, fault: named.clone(), ok: trouble.is_none() };
            if trouble.is_some() {
                // Once more with everything written down: the same seed gives the same run.
                let mut traced = progress.fork()?;
                traced.stage.world.recorder().switch_on();
                let (traced_trouble, also) = self.play(&mut traced, at, Some(strikes));
                traced.stage.world.recorder().note(now, kind);
                let trouble = traced_trouble.or(trouble);
                return Ok(Swept { progress: traced, trouble, also, fault: Some(named.clone()) });
            }
            told.stage.world.recorder().append(attempt.stage.world.recorder());
            told.stage.world.recorder().note(now, kind);
        }
        Ok(Swept { progress: told, trouble: None, also: vec![], fault: None })
    }

    /// How many points the swept step offers when nothing goes wrong.
    fn points(&self, progress: &Progress, at: usize) -> Result<Points, Broken> {
        let mut attempt = progress.fork()?;
        let Some(step) = self.case.steps.get(at) else { return Ok(Points::default()) };
        attempt.stage.world.arm(vec![]);
        let before = attempt.stage.world.writes();
        let _ = attempt.stage.perform(step);
        Ok(attempt.stage.world.points(before))
    }

    // --- the end

    fn end(
        &self,
        mut progress: Progress,
        trouble: Option<Trouble>,
        also: Vec<String>,
        sweep: Option<String>,
        points: u32,
    ) -> (Vec<Event>, Verdict) {
        let now = progress.stage.world.now();
        let recorder = progress.stage.world.recorder();
        let (verdict, reason) = match trouble {
            None => (Verdict::Passed, None),
            Some(trouble) => (trouble.verdict, Some(self.reason(&trouble, recorder, sweep, also))),
        };
        recorder.note(now, finished(verdict, reason, points));
        let recorder = std::mem::take(recorder);
        let is_read = verdict != Verdict::Passed || self.setting.keep != Keep::Verdicts;
        (if is_read { recorder.into_events() } else { recorder.into_verdict() }, verdict)
    }

    fn reason(&self, trouble: &Trouble, recorder: &mut Recorder, sweep: Option<String>, also: Vec<String>) -> Reason {
        let (first, others) = match trouble.mismatches.split_first() {
            Some((first, others)) => (Some(first), others),
            None => (None, &[][..]),
        };
        let at = first.map_or(&trouble.at, |mismatch| &mismatch.span);
        let at = if at.line == 0 { &trouble.at } else { at };
        Reason {
            message: trouble.message.clone(),
            file: at.file.to_string(),
            line: at.line,
            column: at.column,
            length: at.length,
            source: self.setting.sources.line(at).to_owned(),
            expected: first.map(|mismatch| mismatch.expected.clone()).unwrap_or_default(),
            got: first.map(|mismatch| mismatch.got.clone()).unwrap_or_default(),
            objects: first.map(|mismatch| mismatch.objects.clone()).unwrap_or_default(),
            others: others.iter().map(told).collect(),
            sweep,
            rules: self.case.rules.iter().map(|rule| rule.value.clone()).collect(),
            last_exchanges: match trouble.exchanges.is_empty() {
                true => recorder.last_exchanges(),
                false => trouble.exchanges.clone(),
            },
            repeat_with: format!(
                "{} {} --seed {}",
                self.setting.repeat_with,
                words::shell_word(&self.case.id),
                self.seed
            ),
            also,
        }
    }
}

impl Trouble {
    fn broken(broken: Broken, at: Span) -> Self {
        Self::without_exchanges(Verdict::Broken, broken.0, at)
    }

    const fn without_exchanges(verdict: Verdict, message: String, at: Span) -> Self {
        Self { verdict, message, at, mismatches: vec![], exchanges: vec![] }
    }

    fn failed(step: &Step, mismatches: Vec<Mismatch>) -> Self {
        let message = match mismatches.first().map(|mismatch| mismatch.field.as_str()) {
            // The file need not say that a step must succeed.
            Some("ok") => format!("{}: the step did not succeed", step.text),
            Some(field) => format!("{}: {field} is not as expected", step.text),
            None => format!("{}: not as expected", step.text),
        };
        Self { verdict: Verdict::Failed, message, at: step.at.clone(), mismatches, exchanges: vec![] }
    }
}

/// A mismatch beside the first one, in one line.
fn told(mismatch: &Mismatch) -> String {
    let one_line = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("; ");
    let (expected, got) = (one_line(&mismatch.expected), one_line(&mismatch.got));
    format!("{}: {}: expected {expected}, got {got}", mismatch.span, mismatch.field)
}

fn finished(verdict: Verdict, reason: Option<Reason>, sweep_points: u32) -> Kind {
    Kind::CaseFinished { verdict, reason: reason.map(Box::new), sweep_points }
}

/// Every fault of a sweep, named for the report.
fn faults_of(kind: FaultKind, every: PointKind, points: &Points) -> Vec<(String, ActionFault)> {
    let places: Vec<(String, Where)> = match every {
        PointKind::ToBand => {
            (1..=points.to_band).map(|n| (format!("packet {n} to the band"), Where::ToBand(n))).collect()
        }
        PointKind::ToPhone => {
            (1..=points.to_phone).map(|n| (format!("packet {n} to the phone"), Where::ToPhone(n))).collect()
        }
        PointKind::Request => {
            (1..=points.cloud_requests).map(|n| (format!("cloud request {n}"), Where::Request(n))).collect()
        }
        PointKind::ContactlessByte => (1..=points.contactless_bytes)
            .map(|n| (format!("byte {n} between band and reader"), Where::ContactlessByte(n)))
            .collect(),
        PointKind::NvmWrite => {
            let card = (1..=points.secure_element_writes)
                .map(|n| (format!("write {n} to the secure element's memory"), Where::SecureElementWrite(n)));
            let device = (1..=points.device_writes)
                .map(|n| (format!("write {n} to the device's memory"), Where::DeviceWrite(n)));
            card.chain(device).collect()
        }
    };
    places
        .into_iter()
        .map(|(named, at)| (format!("{} at {named}", kind_word(kind)), ActionFault { at, strike: strike_of(kind) }))
        .collect()
}

const fn kind_word(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Drop => "loss",
        FaultKind::Duplicate => "duplication",
        FaultKind::Reorder => "reordering",
        FaultKind::Corrupt => "one flipped bit",
        FaultKind::Disconnect => "disconnection",
        FaultKind::PowerLoss => "power loss",
        FaultKind::LeaveForeground => "leaving the foreground",
        FaultKind::FactoryReset => "factory reset",
        FaultKind::CloudLost => "no answer from the cloud",
        FaultKind::FieldLoss => "loss of the field",
    }
}

const fn strike_of(kind: FaultKind) -> Strike {
    match kind {
        FaultKind::Drop => Strike::Link(link_fault::Fault::Drop),
        FaultKind::Duplicate => Strike::Link(link_fault::Fault::Duplicate),
        FaultKind::Reorder => Strike::Link(link_fault::Fault::Reorder),
        FaultKind::Corrupt => Strike::Link(link_fault::Fault::Corrupt),
        FaultKind::Disconnect => Strike::Link(link_fault::Fault::Disconnect),
        FaultKind::PowerLoss => Strike::PowerLoss,
        FaultKind::LeaveForeground => Strike::LeaveForeground,
        FaultKind::FactoryReset => Strike::FactoryReset,
        FaultKind::CloudLost => Strike::CloudLost,
        FaultKind::FieldLoss => Strike::FieldLoss,
    }
}

impl Stage {
    /// A fault of the file as the station understands it.
    fn action_fault(&self, fault: &Fault) -> Result<ActionFault, Broken> {
        let (at, strike) = match fault {
            Fault::Drop(it) => (it.at.value, Strike::Link(link_fault::Fault::Drop)),
            Fault::Duplicate(it) => (it.at.value, Strike::Link(link_fault::Fault::Duplicate)),
            Fault::Reorder(it) => (it.at.value, Strike::Link(link_fault::Fault::Reorder)),
            Fault::Delay(it) => (it.at.value, Strike::Link(link_fault::Fault::Delay(self.duration(&it.by.value)?))),
            Fault::Corrupt(it) => (it.at.value, Strike::Link(link_fault::Fault::Corrupt)),
            Fault::Disconnect(it) => (it.at.value, Strike::Link(link_fault::Fault::Disconnect)),
            Fault::PowerLoss(it) => (it.at.value, Strike::PowerLoss),
            Fault::LeaveForeground(it) => (it.at.value, Strike::LeaveForeground),
            Fault::FactoryReset(it) => (it.at.value, Strike::FactoryReset),
            Fault::CloudLost(it) => (it.at.value, Strike::CloudLost),
            Fault::FieldLoss(it) => (it.at.value, Strike::FieldLoss),
        };
        Ok(ActionFault { at: place(at), strike })
    }
}

fn place(point: Point) -> Where {
    let nth = u64::from(point.nth);
    match point.kind {
        PointKind::ToBand => Where::ToBand(nth),
        PointKind::ToPhone => Where::ToPhone(nth),
        PointKind::NvmWrite => Where::SecureElementWrite(nth),
        PointKind::Request => Where::Request(nth),
        PointKind::ContactlessByte => Where::ContactlessByte(nth),
    }
}
