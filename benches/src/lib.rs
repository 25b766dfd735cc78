//! Benchmarks live in `benches/`; this crate carries them and what they share.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use band_sim::rng::Rng;
use bandrig::cloud::api::{AccountId, OtpMethod};
use bandrig::phone::io::{Shown, UserAction};
use bandrig::scenario::set_up::{Ground, world};
use bandrig::station::embedded::World;
use bandrig::station::fixtures::Fixtures;
use bandrig::station::recorder::{Detail, Recorder};

/// When the worlds of the benches begin: 2026-01-01T12:00:00Z.
pub const EPOCH_UNIX_S: i64 = 1_767_268_800;

/// The folder of the fixtures.
#[must_use]
pub fn fixtures_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// A band that is linked to an account which may have cards.
///
/// # Panics
/// When the app does not do it.
#[must_use]
pub fn linked_world(fixtures: &Fixtures, detail: Detail) -> World {
    let profile = Arc::clone(&fixtures.profiles["mi-smart-band-4-nfc"]);
    let ground = Ground::usual(fixtures, profile, EPOCH_UNIX_S * 1_000_000);
    let mut world = world(ground, &Rng::new(0), Recorder::new(0, detail));
    must(&mut world, UserAction::SignIn { account: AccountId("alice".to_owned()) });
    must(&mut world, UserAction::LinkBand);
    world
}

/// Adds a card of this product and activates it.
///
/// # Panics
/// When the app does not do it.
pub fn add_and_activate(world: &mut World, product: &str) {
    let added = must(world, UserAction::AddCard { product: product.to_owned() });
    let Shown::CardAdded { card } = added else { panic!("an add shows the card") };
    must(world, UserAction::RequestCode { card: card.card.clone(), method: OtpMethod::Sms });
    let code = world.inbox().last().expect("the message has come").code.clone();
    must(world, UserAction::EnterCode { card: card.card, code });
}

fn must(world: &mut World, action: UserAction) -> Shown {
    world.act(action).expect("the app answers").0.expect("the app does it")
}

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
