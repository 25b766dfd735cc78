//! A whole add-and-activate over real bytes: phone, link, band, secure element and cloud; as a run goes by default, and with every
//! exchange written down and masked as for `--events`.
//!
//! The last lines are rates; `ratio` is against the bare cryptography of the secure channel, measured in the same run.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aes::Aes128;
use aes::cipher::{BlockEncrypt, KeyInit};
use band_sim::rng::Rng;
use bandrig::cloud::api::{AccountId, OtpMethod};
use bandrig::cloud::bank::BankSettings;
use bandrig::link::in_process::Timing;
use bandrig::phone::PhoneConfig;
use bandrig::phone::io::{Shown, UserAction};
use bandrig::scenario::set_up::{Ground, world};
use bandrig::station::embedded::World;
use bandrig::station::fixtures::Fixtures;
use bandrig::station::recorder::{Detail, Recorder};
use criterion::{BatchSize, Criterion, Throughput, criterion_group};

fn linked_world(detail: Detail) -> World {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let fixtures = Fixtures::load(&fixtures).expect("the fixtures load");
    let ground = Ground {
        profile: Arc::clone(&fixtures.profiles["mi-smart-band-4-nfc"]),
        fixtures: &fixtures,
        bank: BankSettings::default(),
        phone: PhoneConfig::default(),
        timing: Timing::default(),
        network: Duration::from_millis(40),
        reaction: Duration::from_secs(1),
        epoch_unix_us: 1_767_268_800_000_000,
    };
    let mut world = world(ground, &Rng::new(0), Recorder::new(0, detail));
    must(&mut world, UserAction::SignIn { account: AccountId("alice".to_owned()) });
    must(&mut world, UserAction::LinkBand);
    world
}

fn must(world: &mut World, action: UserAction) -> Shown {
    world.act(action).expect("the app answers").0.expect("the app does it")
}

fn add_and_activate(mut world: World) -> World {
    let Shown::CardAdded { card } = must(&mut world, UserAction::AddCard { product: "mastercard-debit".to_owned() })
    else {
        panic!("an add shows the card");
    };
    must(&mut world, UserAction::RequestCode { card: card.card.clone(), method: OtpMethod::Sms });
    let code = world.inbox().last().expect("the message has come").code.clone();
    must(&mut world, UserAction::EnterCode { card: card.card, code });
    world
}

fn life(criterion: &mut Criterion) {
    let lives = [
        ("add and activate", linked_world(Detail::Verdicts)),
        ("add and activate, written down", linked_world(Detail::Exchanges)),
    ];
    let mut group = criterion.benchmark_group("life");
    group.throughput(Throughput::Elements(1));
    for (name, base) in &lives {
        group.bench_function(*name, |bencher| {
            bencher.iter_batched(|| base.clone(), |world| black_box(add_and_activate(world)), BatchSize::SmallInput);
        });
    }
    group.finish();
    for (name, base) in &lives {
        rates(name, base);
    }
}

/// Plain rates, for a log.
fn rates(name: &str, base: &World) {
    const LIVES: u32 = 2_000;
    let mut spent = Duration::ZERO;
    let mut simulated = Duration::ZERO;
    for _ in 0..LIVES {
        let before = base.clone();
        let since = before.now();
        let began = Instant::now();
        let after = add_and_activate(before);
        spent += began.elapsed();
        simulated += after.now().saturating_since(since);
    }
    let cipher = Aes128::new(&[7; 16].into());
    let mut block = [0; 16].into();
    let began = Instant::now();
    for _ in 0..LIVES * BLOCKS {
        cipher.encrypt_block(&mut block);
    }
    black_box(block);
    let floor = began.elapsed();
    let each = spent / LIVES;
    println!("rate {name}: {:.0} per second, {each:?} each", 1.0 / each.as_secs_f64());
    println!("rate simulated time, {name}: {:.0} s per second", simulated.as_secs_f64() / spent.as_secs_f64());
    println!("ratio {name} / {BLOCKS} AES blocks: {:.1}", spent.as_secs_f64() / floor.as_secs_f64());
}

/// About what the secure channel of one add and one activation enciphers and authenticates, on both sides.
const BLOCKS: u32 = 1_000;

criterion_group!(benches, life);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
}
