//! Shows a recorded run as `bandrig run` would: `cargo run --example report [EVENTS.jsonl] [PAUSE_MS]`. For work on the reports.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use bandrig::report::event::{Event, Kind};
use bandrig::report::reporter::{Reporter, Settings};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/report/sample.jsonl");

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let text = std::fs::read_to_string(arguments.next().unwrap_or_else(|| SAMPLE.to_owned()))?;
    let pause = Duration::from_millis(arguments.next().map_or(Ok(0), |text| text.parse())?);

    let events = text.lines().map(serde_json::from_str).collect::<Result<Vec<Event>, _>>()?;
    let cases: Vec<&[Event]> = events.chunk_by(|a, b| a.case == b.case).collect();
    let numbers: Vec<u32> = cases.iter().filter_map(|case| case.first()).map(|event| event.case).collect();

    let start = Instant::now();
    let mut reporter = Reporter::open(Settings { root: "scenarios".into(), ..Settings::default() }, &numbers)?;
    for (number, case) in numbers.iter().zip(cases) {
        if let Some(Event { kind: Kind::CaseStarted { id, .. }, .. }) = case.first() {
            reporter.started(id);
        }
        // A person has to see the bar move.
        std::thread::sleep(pause);
        reporter.finished(*number, case.to_vec(), None)?;
    }
    Ok(ExitCode::from(reporter.close(start.elapsed())?.code()))
}
