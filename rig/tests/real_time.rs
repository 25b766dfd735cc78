//! The scenarios in real time: every case that a station on the wall clock can run, over a band that runs by that clock too.
//!
//! No Bluetooth and no reader is needed: the band's attributes and its field are called. What differs from the embedded station is
//! who moves the time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bandrig::report::block::{Block, Page};
use bandrig::report::event::{Kind, Verdict};
use bandrig::report::summary::CaseResult;
use bandrig::scenario::load::{self, Options};
use bandrig::scenario::run::{self, Keep, Setting};
use bandrig::scenario::units;
use bandrig::station::fixtures::Fixtures;
use bandrig::station::live::Live;
use bandrig::station::local::Local;
use bandrig::station::{Capability, Offer};

/// Benches at once: cases mostly wait.
const BENCHES: usize = 32;

fn offer() -> Offer {
    use Capability as C;
    Offer {
        name: "local".into(),
        can: C::ALL
            .into_iter()
            .filter(|it| !matches!(it, C::VirtualTime | C::InjectFaults | C::Sweep | C::LinkSettings))
            .collect(),
        settings: BTreeMap::from([
            (units::Setting::CodeValidFor, Duration::from_secs(4)),
            (units::Setting::PairingTimeout, Duration::from_secs(2)),
        ]),
        clock: Duration::from_millis(500),
        longest_wait: Duration::from_secs(12),
    }
}

#[test]
fn every_case_that_needs_no_virtual_time_passes_in_real_time() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let fixtures = Arc::new(Fixtures::load(&top.join("fixtures")).unwrap());
    let root = top.join("scenarios");
    let loaded =
        load::load(std::slice::from_ref(&root), &Options { root: root.clone(), vars: vec![], names: fixtures.names() });
    assert!(loaded.errors.is_empty());
    let profile = Arc::clone(&fixtures.profiles["mi-smart-band-4-nfc"]);
    let next = Mutex::new(loaded.cases.iter().enumerate());
    let results = Mutex::new(vec![]);
    std::thread::scope(|scope| {
        for _ in 0..BENCHES {
            scope.spawn(|| {
                let (_band, bench) = Local::start(Arc::clone(&profile)).unwrap();
                let setting = Setting {
                    fixtures: Arc::clone(&fixtures),
                    station: Arc::new(Live::new(offer(), bench)),
                    sources: loaded.sources.clone(),
                    seed: 0,
                    keep: Keep::default(),
                    repeat_with: "cargo test --test real_time".into(),
                };
                loop {
                    let Some((at, case)) = next.lock().unwrap().next() else { return };
                    let index = u32::try_from(at).unwrap();
                    let outcome = run::run(case, index, &setting);
                    results.lock().unwrap().push((
                        case.id.clone(),
                        CaseResult::from_events(index, &outcome.events),
                        outcome,
                    ));
                }
            });
        }
    });
    let results = results.into_inner().unwrap();
    let count = |verdict| results.iter().filter(|(_, result, _)| result.verdict == verdict).count();
    let bad = results.iter().filter(|(_, result, _)| matches!(result.verdict, Verdict::Failed | Verdict::Broken));
    let told: Vec<String> =
        bad.map(|(_, result, _)| Block::new(result, &Page::plain("scenarios")).to_string()).collect();
    assert!(told.is_empty(), "{}\n{} of {} did not pass", told.join("\n"), told.len(), results.len());
    assert!(count(Verdict::Passed) >= 100, "only {} cases ran", count(Verdict::Passed));
    // Whatever was not run says what it wants.
    for (id, _, outcome) in results.iter().filter(|(_, result, _)| result.verdict == Verdict::Skipped) {
        let Some(Kind::CaseFinished { reason: Some(reason), .. }) = outcome.events.last().map(|event| &event.kind)
        else {
            panic!("{id} gives no reason");
        };
        assert!(reason.message.starts_with("the station `local` has no "), "{id}: {}", reason.message);
    }
}
