//! A whole add-and-activate over real bytes: phone, link, band, secure element and cloud; as a run goes by default, and with every
//! exchange written down and masked as for `--events`.
//!
//! The last lines are rates; `ratio` is against the bare cryptography of the secure channel, measured in the same run.

use std::hint::black_box;
use std::time::{Duration, Instant};

use aes::Aes128;
use aes::cipher::{BlockEncrypt, KeyInit};
use bandrig::station::embedded::World;
use bandrig::station::fixtures::Fixtures;
use bandrig::station::recorder::Detail;
use benches::{fixtures_folder, linked_world};
use criterion::{BatchSize, Criterion, Throughput, criterion_group};

fn add_and_activate(mut world: World) -> World {
    benches::add_and_activate(&mut world, "mastercard-debit");
    world.recorder().tell();
    world
}

fn life(criterion: &mut Criterion) {
    let fixtures = Fixtures::load(&fixtures_folder()).expect("the fixtures load");
    let lives = [
        ("add and activate", linked_world(&fixtures, Detail::Verdicts)),
        ("add and activate, written down", linked_world(&fixtures, Detail::Exchanges)),
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
