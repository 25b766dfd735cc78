//! Ten thousand bands in one process, each with its own memories and one connection: how much memory they take.
//!
//! `cargo run --release -p benches --example ten_thousand_bands`

use std::path::PathBuf;
use std::sync::Arc;

use band_sim::band::{Band, Input, Output};
use band_sim::rng::Rng;
use band_sim::time::Instant;
use bandrig::station::fixtures::Fixtures;

const BANDS: u64 = 10_000;

fn main() {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let fixtures = Fixtures::load(&fixtures).expect("the fixtures load");
    let profile = &fixtures.profiles["mi-smart-band-4-nfc"];
    let before = resident_kib();
    let bands: Vec<Band> = (0..BANDS)
        .map(|seed| {
            let mut band = Band::new(Arc::clone(profile), Rng::new(seed), 0);
            band.handle(Instant::ZERO, Input::Connected { mtu: 23 });
            while !matches!(band.poll(), Output::Wait(_)) {}
            band
        })
        .collect();
    let used = resident_kib().saturating_sub(before);
    println!("{} bands: {} MiB, {:.1} KiB each", bands.len(), used / 1024, used as f64 / BANDS as f64);
}

/// Resident memory of this process.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default()
}
