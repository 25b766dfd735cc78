//! Every scenario is a test of `cargo test`, named by its id.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use bandrig::report::block::{Block, Page};
use bandrig::report::event::Verdict;
use bandrig::report::summary::CaseResult;
use bandrig::scenario::load::{self, Options};
use bandrig::scenario::run::{self, Keep, Setting};
use bandrig::station::Embedded;
use bandrig::station::fixtures::Fixtures;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    let top = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let fixtures = Fixtures::load(&top.join("fixtures")).expect("the fixtures load");
    let root = top.join("scenarios");
    let options = Options { root: root.clone(), vars: vec![], names: fixtures.names() };
    let loaded = load::load(std::slice::from_ref(&root), &options);
    let errors = bandrig::scenario::error::render_all(&loaded.errors, bandrig::scenario::error::Style::Plain);
    assert!(loaded.errors.is_empty(), "{errors}");
    assert!(!loaded.cases.is_empty(), "there are no scenarios");
    let setting = Arc::new(Setting {
        fixtures: Arc::new(fixtures),
        station: Arc::new(Embedded::default()),
        sources: loaded.sources,
        seed: 0,
        keep: Keep::default(),
        repeat_with: "cargo run --release -- run --filter".to_owned(),
    });
    let trials = loaded.cases.into_iter().enumerate().map(|(at, case)| {
        let setting = Arc::clone(&setting);
        let index = u32::try_from(at).expect("fewer cases than 2^32");
        Trial::test(case.id.clone(), move || {
            let outcome = run::run(&case, index, &setting);
            if outcome.verdict == Verdict::Passed {
                return Ok(());
            }
            let result = CaseResult::from_events(index, &outcome.events);
            Err(Failed::from(Block::new(&result, &Page::plain("scenarios")).to_string()))
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
