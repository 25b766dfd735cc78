//! What the band and the phone cost beside BlueZ. Everything is measured in one run: figures of a virtual machine mean something
//! only against each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use band_sim::rng::Rng;
use band_sim::wire::gatt::CharacteristicId;
use bandrig::cloud::api::AccountId;
use bandrig::link::ble::{Ble, BleError, HangUp};
use bandrig::phone::io::UserAction;
use bandrig::scenario::set_up::{Ground, world};
use bandrig::station::embedded::World;
use bandrig::station::fixtures::Fixtures;
use bandrig::station::recorder::{Detail, Recorder};

use crate::bench::{Bench, PROFILE};
use crate::echo::ECHO;
use crate::raw::Raw;
use crate::{Checks, Cli};

/// A command that the secure element refuses at once: what is measured is the way, not the card. One fragment, both ways.
const SELECT_NOTHING: &[u8] = &[0x03, 0x00, 0xA4, 0x04, 0x00, 0x01, 0xFF, 0x06, 0x00];
/// 2026-01-01T12:00:00Z.
const EPOCH_UNIX_US: i64 = 1_767_268_800_000_000;
const PRODUCT: &str = "mastercard-debit";
const WARM_UP: usize = 20;
/// Round trips of the one, then as many of the other.
const BLOCK: usize = 25;
/// The round trip of the band against that of the echo server, at most.
const MAX_RATIO: f64 = 1.15;
/// Of the time of adding a card, BlueZ's part at least.
const MIN_SHARE: f64 = 0.80;

pub fn run(cli: &Cli, blocks: usize, adds: usize, checks: &mut Checks) -> Result<(), BleError> {
    round_trips(cli, blocks, checks)?;
    share(cli, adds, checks)
}

/// Write and notification over the same link, through the band's NFC channel and through the echo server beside it.
fn round_trips(cli: &Cli, blocks: usize, checks: &mut Checks) -> Result<(), BleError> {
    let mut raw = Raw::new(Ble::open(cli.config(&cli.adapter, HangUp::default()))?);
    raw.connect()?;
    let ready = raw.authenticate(&cli.key())
        && raw.subscribe(CharacteristicId::NFC_CHANNEL)
        && raw.open_channel()
        && raw.subscribe(ECHO);
    checks.check("both channels are open", ready, &raw.ble.trouble());
    let mut block = |through, count| -> Option<Vec<Duration>> {
        (0..count)
            .map(|_| {
                let began = Instant::now();
                raw.command(through, SELECT_NOTHING);
                raw.notified(through, Duration::from_secs(20))?;
                Some(began.elapsed())
            })
            .collect()
    };
    let warm = block(CharacteristicId::NFC_CHANNEL, WARM_UP).is_some() && block(ECHO, WARM_UP).is_some();
    let (mut band, mut echo, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..blocks {
        let (Some(ours), Some(bare)) = (block(CharacteristicId::NFC_CHANNEL, BLOCK), block(ECHO, BLOCK)) else {
            break;
        };
        ratios.push(median(ours.clone()).as_secs_f64() / median(bare.clone()).as_secs_f64());
        band.extend(ours);
        echo.extend(bare);
    }
    checks.check("every write is answered", warm && band.len() == blocks * BLOCK, &(warm, band.len()));
    raw.disconnect();
    if band.is_empty() {
        return Ok(());
    }
    let (band, echo) = (median(band), median(echo));
    let ratio = band.as_secs_f64() / echo.as_secs_f64();
    ratios.sort_by(f64::total_cmp);
    println!(
        "        round trip: band {band:.2?}, echo server {echo:.2?}, ratio {ratio:.3} (medians of {blocks} blocks of {BLOCK}; blocks' ratios {:.3} to {:.3})",
        ratios[0],
        ratios[ratios.len() - 1],
    );
    checks.weigh(&format!("the band's round trip is at most {MAX_RATIO} of a bare one"), ratio <= MAX_RATIO, ratio);
    Ok(())
}

/// Whose time it is while a card is added: the same add without BlueZ, phone, cloud and band in one process, is what we take.
fn share(cli: &Cli, adds: usize, checks: &mut Checks) -> Result<(), BleError> {
    let alone = alone(cli, adds);
    let mut bench = Bench::new(cli, 1, HangUp::default())?;
    let linked = bench.sign_in_and_link();
    checks.check("the band is linked", linked.is_ok(), &(&linked, bench.trouble()));
    let band = cli.pid.map(|pid| pid.to_string()).unwrap_or_default();
    let mut times = Vec::new();
    for _ in 0..adds {
        let (phone_before, band_before, began) = (computed("self"), computed(&band), Instant::now());
        let added = bench.add(PRODUCT);
        times.push(began.elapsed());
        let (phone, band) = (computed("self") - phone_before, computed(&band) - band_before);
        println!(
            "        a card in {:.0?}; with all that goes to sockets and D-Bus the phone's process computed {phone:.1?}, the band's {band:.1?}",
            began.elapsed()
        );
        let Ok(card) = added else {
            checks.check("a card is added", false, &(&added, bench.trouble()));
            return Ok(());
        };
        let removed = bench.act(UserAction::RemoveCard { card });
        checks.check("it is removed", removed.is_ok(), &removed);
    }
    let took = median(times);
    let share = 1.0 - alone.as_secs_f64() / took.as_secs_f64();
    println!(
        "        adding a card: {took:.0?}, without BlueZ {alone:.1?}: BlueZ's share is {:.1} % (medians of {adds})",
        share * 100.0
    );
    checks.weigh(&format!("BlueZ has at least {MIN_SHARE} of the time"), share >= MIN_SHARE, share);
    Ok(())
}

/// What the same add takes here in virtual time: nobody is waited for.
fn alone(cli: &Cli, adds: usize) -> Duration {
    let fixtures = Fixtures::load(&cli.fixtures).expect("the fixtures");
    let ground = Ground {
        network: Duration::ZERO,
        reaction: Duration::ZERO,
        ..Ground::usual(&fixtures, Arc::clone(&fixtures.profiles[PROFILE]), EPOCH_UNIX_US)
    };
    let mut base = world(ground, &Rng::new(0), Recorder::new(0, Detail::Verdicts));
    let act = |world: &mut World, action| world.act(action).expect("the app answers").0.expect("the app does it");
    act(&mut base, UserAction::SignIn { account: AccountId("alice".into()) });
    act(&mut base, UserAction::LinkBand);
    let add = |mut world: World| {
        let began = Instant::now();
        act(&mut world, UserAction::AddCard { product: PRODUCT.into() });
        began.elapsed()
    };
    add(base.clone());
    median((0..adds).map(|_| add(base.clone())).collect())
}

/// What the threads of a process have computed so far.
fn computed(process: &str) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| {
        let schedstat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        schedstat.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
