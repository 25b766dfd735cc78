//! The scenarios in real time: every case that a station on the wall clock can run, over a band that runs by that clock too.
//!
//! No Bluetooth and no reader is needed: the band's attributes and its field are called. What differs from the embedded station is
//! who moves the time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use band_sim::wire::frame::auth::AuthKey;
use bandrig::phone::io::{LinkCommand, LinkEvent};
use bandrig::report::block::{Block, Page};
use bandrig::report::event::{Kind, Verdict};
use bandrig::report::summary::CaseResult;
use bandrig::scenario::load::{self, Loaded, Options};
use bandrig::scenario::run::{self, Keep, Setting};
use bandrig::scenario::units;
use bandrig::station::fixtures::Fixtures;
use bandrig::station::hardware::Nobody;
use bandrig::station::live::{Air, AirTrouble, Live};
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
            (units::Setting::DataRetryAfter, Duration::from_millis(200)),
        ]),
        clock: Duration::from_millis(500),
        longest_wait: Duration::from_secs(12),
    }
}

#[test]
fn every_case_that_needs_no_virtual_time_passes_in_real_time() {
    let (fixtures, loaded) = scenarios("scenarios");
    let profile = Arc::clone(&fixtures.profiles["mi-smart-band-4-nfc"]);
    let next = Mutex::new(loaded.cases.iter().enumerate());
    let results = Mutex::new(vec![]);
    std::thread::scope(|scope| {
        for _ in 0..BENCHES {
            scope.spawn(|| {
                let (_band, bench) = Local::start(Arc::clone(&profile)).unwrap();
                let setting = setting(Arc::clone(&fixtures), Live::new(offer(), bench), &loaded);
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

/// The link until the band is subscribed to; then the adapter is pulled out.
#[derive(Debug)]
struct PulledOut {
    air: Box<dyn Air>,
    is_gone: bool,
    trouble: Option<AirTrouble>,
}

impl Air for PulledOut {
    fn send(&mut self, command: LinkCommand) -> Result<(), String> {
        if matches!(command, LinkCommand::Subscribe { .. }) {
            self.is_gone = true;
        }
        self.air.send(command)
    }

    fn next(&mut self, at_most: Duration) -> Result<Option<LinkEvent>, String> {
        if !std::mem::take(&mut self.is_gone) {
            return self.air.next(at_most);
        }
        self.trouble = Some(AirTrouble { words: "adapter hci0 is gone".into(), is_the_bench: true });
        Ok(Some(LinkEvent::Disconnected))
    }

    fn trouble(&mut self) -> Option<AirTrouble> {
        self.trouble.take()
    }
}

#[test]
fn an_adapter_that_goes_breaks_the_case_and_does_not_fail_it_whoever_has_the_band_in_hand() {
    let (fixtures, loaded) = scenarios("scenarios/lab/the-apdu-channel-opens-and-closes.yaml");
    let profile = Arc::clone(&fixtures.profiles["mi-smart-band-4-nfc"]);
    let (_band, mut bench) = Local::start(profile).unwrap();
    bench.air = Box::new(PulledOut { air: bench.air, is_gone: false, trouble: None });
    bench.hands = Box::new(Nobody);
    let offer = Offer { can: [Capability::Linked].into(), ..offer() };
    let setting = setting(fixtures, Live::new(offer, bench).linked(AuthKey([0x30; 16])), &loaded);
    let outcome = run::run(&loaded.cases[0], 0, &setting);
    let result = CaseResult::from_events(0, &outcome.events);
    let told = Block::new(&result, &Page::plain("scenarios")).to_string();
    assert_eq!(result.verdict, Verdict::Broken, "{told}");
    assert!(told.contains("adapter hci0 is gone"), "{told}");
}

fn scenarios(path: &str) -> (Arc<Fixtures>, Loaded) {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let fixtures = Arc::new(Fixtures::load(&top.join("fixtures")).unwrap());
    let options = Options { root: top.join("scenarios"), vars: vec![], names: fixtures.names() };
    let loaded = load::load(&[top.join(path)], &options);
    assert!(loaded.errors.is_empty());
    (fixtures, loaded)
}

fn setting(fixtures: Arc<Fixtures>, station: Live, loaded: &Loaded) -> Setting {
    Setting {
        fixtures,
        station: Arc::new(station),
        sources: loaded.sources.clone(),
        seed: 0,
        keep: Keep::default(),
        repeat_with: "cargo test --test real_time".into(),
    }
}
