//! Benchmarks live in `benches/`; this crate carries them and what they share.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long one call of `work` takes, in nanoseconds: the best of many short batches, for lines that set two things side
/// by side. Criterion's own figures say more about each of them.
pub fn best_ns<T>(mut work: impl FnMut() -> T) -> f64 {
    const BATCHES: usize = 200;
    let calls = calls_within(Duration::from_millis(1), &mut work);
    let batch = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        (0..calls).for_each(|_| work());
        start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
    };
    let mut work = || {
        black_box(work());
    };
    (0..BATCHES).map(|_| batch(&mut work)).fold(f64::INFINITY, f64::min)
}

/// Prints `ratio NAME: …` for this thing beside another one, and how often a second this one goes.
pub fn print_ratio(name: &str, ours_ns: f64, theirs: &str, theirs_ns: f64) {
    println!(
        "ratio {name}: {ours_ns:.1} ns, {theirs} {theirs_ns:.1} ns, {:.1} times as fast, {:.1} million/s",
        theirs_ns / ours_ns,
        1e3 / ours_ns
    );
}

/// Prints `rate NAME: …`.
pub fn print_rate(name: &str, ns: f64) {
    println!("rate {name}: {ns:.1} ns, {:.1} million/s", 1e3 / ns);
}

fn calls_within<T>(time: Duration, work: &mut impl FnMut() -> T) -> u32 {
    let mut calls = 1;
    loop {
        let start = Instant::now();
        for _ in 0..calls {
            black_box(work());
        }
        if start.elapsed() >= time || calls > u32::MAX / 2 {
            return calls;
        }
        calls *= 2;
    }
}
