//! What no phone should do, over real BlueZ: the band stays alive, says what its profile says, and the next good phone is served.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use band_sim::band::profile::BandProfile;
use band_sim::band::{Band, Input, Output, WriteMode};
use band_sim::edge::clock::Clock;
use band_sim::edge::drive::Handle;
use band_sim::rng::Rng;
use band_sim::wire::frame::auth::AuthKey;
use band_sim::wire::gatt::{AttError, Characteristic, CharacteristicId, Profile, Property};
use bandrig::link::ble::{Ble, BleError, HangUp};
use bandrig::phone::io::{LinkCommand, LinkEvent, UserAction};
use bandrig::station::fixtures::Fixtures;

use crate::bench::{Bench, PROFILE};
use crate::raw::{ASK_RANDOM, AUTHENTICATED, OPEN_CHANNEL, PATIENCE, Raw, answer_to};
use crate::{Checks, Cli};

/// Empty, the shortest, around one fragment, around one packet, the longest.
const LENGTHS: [usize; 12] = [0, 1, 2, 3, 19, 20, 21, 22, 244, 509, 510, MAX_VALUE_BYTES];
/// Core 5.4 vol 3 part F 3.2.9.
const MAX_VALUE_BYTES: usize = 512;
/// Before the value in a write.
const HANDLE_BYTES: usize = 2;
/// No command of the band begins with it.
const NO_COMMAND: u8 = 0xEE;
const SELECT_NOTHING: &[u8] = &[0x00, 0xA4, 0x04, 0x00, 0x01, 0xFF];
/// What is in flight at most; a band's radio holds no more either.
const BURST: usize = 100;
/// More than what bluetoothd's sockets hold.
const FLOOD: usize = 1_000;
/// Time enough for all of them to be on the air.
const STANDSTILL: Duration = Duration::from_secs(6);
/// How often each characteristic is subscribed and left.
const STORM: usize = 60;
/// How often the second phone tries to get in.
const TRIES: usize = 8;
const DISCONNECTS: usize = 10;
/// What the band may grow by, KiB: pages of its allocator, no more.
const MAX_GROWTH_KIB: u64 = 1_024;

/// Commands that no band knows, at the NFC channel once it is open.
const BAD_FRAMES: [&[u8]; 6] = [
    &[],
    &[0x7F],
    &[0x00, 0x01],
    &[0x03],
    &[0x03, 0x00, 0xA4, 0x10, 0x00],
    &[0x05, 0x00, 0xA4, 0x04, 0x00, 0x04, 0x00],
];
/// Transfers that cannot be understood: no header, another opcode, out of order, an unknown type.
const BAD_CHUNKS: [&[u8]; 5] =
    [&[], &[0x00], &[0x01, 0xC2, 0x00, 0x01], &[0x00, 0x82, 0x05, 0x01], &[0x00, 0xCF, 0x00, 0x01]];

pub fn run(cli: &Cli, second: (&str, &str), seed: u64, writes: usize, checks: &mut Checks) -> Result<(), BleError> {
    let mut raw = Raw::new(Ble::open(cli.config(&cli.adapter, HangUp::RadioOff))?);
    let mut rng = Rng::new(seed);
    let mut phase = Phase { cli, began: Instant::now() };
    lengths(cli, &mut raw, checks)?;
    phase.ends("all lengths");
    // All the band will ever do at once has been done once: from here on it has no reason to grow.
    bursts(cli, &mut raw, &mut rng, writes / 10, checks)?;
    let before = memory_kib(cli);
    phase.ends("the first bursts");
    bursts(cli, &mut raw, &mut rng, writes - writes / 10, checks)?;
    phase.ends("bursts");
    flood(cli, &mut raw, checks)?;
    phase.ends("a flood");
    storm(cli, &mut raw, checks)?;
    phase.ends("subscriptions");
    bad_frames(cli, &mut raw, checks)?;
    phase.ends("wrong frames");
    second_phone(cli, &mut raw, second, checks)?;
    raw.disconnect();
    drop(raw);
    phase.ends("a second phone");
    disconnects(cli, &mut rng, checks)?;
    phase.ends("disconnects");
    if let (Some(before), Some(after)) = (before, memory_kib(cli)) {
        checks.check(
            &format!("the band's memory is flat: {before} KiB before, {after} KiB after"),
            after <= before + MAX_GROWTH_KIB,
            &(before, after),
        );
    }
    Ok(())
}

/// A part of the suite, for its line.
struct Phase<'a> {
    cli: &'a Cli,
    began: Instant,
}

impl Phase<'_> {
    fn ends(&mut self, what: &str) {
        let memory = memory_kib(self.cli).map_or_else(String::new, |kib| format!(", the band has {kib} KiB"));
        println!("        {what}: {:.1?}{memory}", self.began.elapsed());
        self.began = Instant::now();
    }
}

/// All lengths to all that can be written, with a response and without, before and after authentication.
fn lengths(cli: &Cli, raw: &mut Raw, checks: &mut Checks) -> Result<(), BleError> {
    let twin = Twin::new(cli);
    let gatt = twin.gatt();
    let is_writable = |found: &Characteristic| found.has(Property::Write) || found.has(Property::WriteWithoutResponse);
    let mut wrong = Vec::new();
    let mut writes = 0;
    for authenticated in [false, true] {
        for (service, found) in gatt.characteristics().filter(|(_, found)| is_writable(found)) {
            if !raw.connected {
                twin.connect(raw.connect()?.1);
                if authenticated && !(raw.authenticate(&cli.key()) && twin.authenticate(&cli.key())) {
                    wrong.push(("authentication".to_owned(), 0, None));
                }
            }
            let id = CharacteristicId::new(service.uuid, found.uuid);
            // Turn about, each would open a socket and close it again.
            for length in LENGTHS {
                raw.command(id, &vec![NO_COMMAND; length]);
                let _ = twin.write(found, vec![NO_COMMAND; length]);
                writes += 1;
            }
            for length in LENGTHS {
                let result = raw.write(id, vec![NO_COMMAND; length]);
                let expected = told_by_bluez(found, length, twin.write(found, vec![NO_COMMAND; length]));
                writes += 1;
                if result != Some(expected) {
                    wrong.push((
                        format!("{id}, authenticated: {authenticated}, {expected:?} expected"),
                        length,
                        result,
                    ));
                }
            }
            let alive = raw.read(CharacteristicId::BATTERY);
            if !matches!(alive, Some(Ok(_))) {
                wrong.push((format!("battery after {id}"), 0, None));
            }
        }
        raw.disconnect();
    }
    checks.check(&format!("{writes} writes of all lengths end as the profile says"), wrong.is_empty(), &wrong);
    Ok(())
}

/// How a write with a response that the band ends so ends for a phone.
fn told_by_bluez(found: &Characteristic, length: usize, by_the_band: Result<(), AttError>) -> Result<(), AttError> {
    // bluetoothd 5.66 counts the handle to the value's length, and asks nobody.
    if length + HANDLE_BYTES > MAX_VALUE_BYTES {
        return Err(AttError::InvalidLength);
    }
    // What takes commands alone is written through its socket, and it answers for it.
    if !found.has(Property::Write) {
        return Ok(());
    }
    by_the_band.map_err(|error| match error {
        AttError::WriteNotPermitted | AttError::InvalidLength => error,
        // It has no name for any other.
        _ => AttError::Other(0x80),
    })
}

/// The same band without a radio: it is told what the one on the air is told, and says how each write ends.
struct Twin {
    band: Handle,
    profile: Arc<BandProfile>,
    said: mpsc::Receiver<Vec<u8>>,
}

impl Twin {
    fn new(cli: &Cli) -> Self {
        let fixtures = Fixtures::load(&cli.fixtures).expect("the fixtures");
        let profile = Arc::clone(&fixtures.profiles[PROFILE]);
        let clock = Clock::start();
        let mut band = Band::new(Arc::clone(&profile), Rng::new(1), clock.epoch_unix_us());
        band.set_key(&cli.key());
        let band = Handle::new(band, clock);
        let (says, said) = mpsc::channel();
        band.on_output(move |output| {
            if let Output::Notify { value, .. } = output {
                let _ = says.send(value.clone());
            }
        });
        Self { band, profile, said }
    }

    fn gatt(&self) -> &Profile {
        &self.profile.gatt
    }

    /// A new link.
    fn connect(&self, mtu: u16) {
        self.band.input(Input::Disconnected);
        self.band.input(Input::Connected { mtu });
    }

    fn write(&self, found: &Characteristic, value: Vec<u8>) -> Result<(), AttError> {
        // As the band on BlueZ takes it.
        let mode = if found.has(Property::Write) { WriteMode::Request } else { WriteMode::Command };
        self.band.write(found.handle, value, mode)
    }

    fn authenticate(&self, key: &AuthKey) -> bool {
        let Some(handle) = self.gatt().value_handle(&CharacteristicId::AUTH) else { return false };
        let write = |value: &[u8]| self.band.write(handle, value.to_vec(), WriteMode::Command).is_ok();
        if self.band.subscribe(handle, true).is_err() || !write(ASK_RANDOM) {
            return false;
        }
        let Some(answer) = self.said.try_iter().last().and_then(|reply| answer_to(&reply, key)) else { return false };
        write(&answer) && self.said.try_iter().last().as_deref() == Some(AUTHENTICATED)
    }
}

/// Many writes, at most a hundred in flight.
fn bursts(cli: &Cli, raw: &mut Raw, rng: &mut Rng, writes: usize, checks: &mut Checks) -> Result<(), BleError> {
    let targets = [CharacteristicId::NFC_CHANNEL, CharacteristicId::CHUNKED, CharacteristicId::AUTH];
    let bursts = writes / BURST;
    let (mut alive, mut links) = (0, 0);
    for burst in 0..bursts {
        if !raw.connected {
            raw.connect()?;
            links += 1;
            let _ = raw.authenticate(&cli.key());
        }
        for _ in 0..BURST {
            let length = 1 + rng.next_u64() as usize % 20;
            let mut value = (0..length).map(|_| rng.next_u64() as u8).collect::<Vec<_>>();
            // Nothing that would reset or pair by chance.
            value[0] |= 0x40;
            raw.command(targets[burst % targets.len()], &value);
        }
        alive += usize::from(matches!(raw.read(CharacteristicId::BATTERY), Some(Ok(_))));
    }
    raw.disconnect();
    let done = alive == bursts && links == 1;
    checks.check(&format!("{writes} writes in bursts of {BURST}, over one link"), done, &(alive, links));
    Ok(())
}

/// Commands without a pause at a band that stands still: what bluetoothd's sockets cannot hold is held back, and none is lost.
fn flood(cli: &Cli, raw: &mut Raw, checks: &mut Checks) -> Result<(), BleError> {
    raw.connect()?;
    let ready = raw.authenticate(&cli.key()) && raw.subscribe(CharacteristicId::NFC_CHANNEL);
    let stopped = cli.signal("STOP");
    for _ in 0..FLOOD {
        raw.command(CharacteristicId::NFC_CHANNEL, OPEN_CHANNEL);
    }
    let early = raw.notified(CharacteristicId::NFC_CHANNEL, STANDSTILL);
    checks.check("a band that stands still answers nothing", stopped && early.is_none(), &early);
    let goes_on = cli.signal("CONT");
    let answered = (0..FLOOD).take_while(|_| raw.notified(CharacteristicId::NFC_CHANNEL, PATIENCE).is_some()).count();
    let all = ready && goes_on && answered == FLOOD;
    checks.check(&format!("{FLOOD} commands without a pause are all answered after that"), all, &answered);
    raw.disconnect();
    Ok(())
}

/// Characteristics that are subscribed and left as fast as BlueZ does it.
fn storm(cli: &Cli, raw: &mut Raw, checks: &mut Checks) -> Result<(), BleError> {
    raw.connect()?;
    let ids = [CharacteristicId::NFC_CHANNEL, CharacteristicId::AUTH, CharacteristicId::BATTERY];
    let stormed = crate::raw::storm(cli, &ids, STORM);
    let good = matches!(stormed, Ok(done) if done >= STORM);
    checks.check("characteristics are subscribed and left over and over", good, &stormed);
    let ready = raw.authenticate(&cli.key()) && raw.subscribe(CharacteristicId::NFC_CHANNEL) && raw.open_channel();
    let answer = raw.exchange(SELECT_NOTHING);
    let good = ready && matches!(answer.as_deref(), Some([0x83, .., 2, 0]));
    checks.check("after that each answer comes", good, &answer);
    // What is read now comes after anything that might have been notified twice.
    raw.ble.send(LinkCommand::Read { characteristic: CharacteristicId::BATTERY });
    let next = raw.event(Duration::from_secs(20), |_| true);
    let once = matches!(next, Some(LinkEvent::ReadDone { .. }));
    checks.check("and comes once", once, &next);
    raw.disconnect();
    Ok(())
}

/// Wrong opcodes and lengths on the NFC channel and in transfers, each refused in the protocol's words.
fn bad_frames(cli: &Cli, raw: &mut Raw, checks: &mut Checks) -> Result<(), BleError> {
    raw.connect()?;
    let ready = raw.authenticate(&cli.key())
        && raw.subscribe(CharacteristicId::NFC_CHANNEL)
        && raw.subscribe(CharacteristicId::CHUNKED);
    checks.check("a client authenticates after that", ready, &raw.ble.trouble());
    let mut wrong = Vec::new();
    for bad in BAD_FRAMES {
        let opened = raw.open_channel();
        raw.command(CharacteristicId::NFC_CHANNEL, bad);
        let answer = raw.notified(CharacteristicId::NFC_CHANNEL, Duration::from_secs(20));
        if !opened || !matches!(answer.as_deref(), Some([0x82, 1..=0xFF])) {
            wrong.push((bad, answer));
        }
    }
    checks.check("wrong frames close the NFC channel with a status", wrong.is_empty(), &wrong);
    let mut wrong = Vec::new();
    for bad in BAD_CHUNKS {
        raw.command(CharacteristicId::CHUNKED, bad);
        let answer = raw.notified(CharacteristicId::CHUNKED, Duration::from_secs(20));
        if !matches!(answer.as_deref(), Some([0x10, 0x00, _, 2..=0xFF, ..])) {
            wrong.push((bad, answer));
        }
    }
    checks.check("wrong transfers are acknowledged as failed", wrong.is_empty(), &wrong);
    let opened = raw.open_channel();
    let answer = raw.exchange(SELECT_NOTHING);
    let good = opened && matches!(answer.as_deref(), Some([0x83, .., 2, 0]));
    checks.check("a good exchange works after that", good, &answer);
    Ok(())
}

/// The first phone is connected and has the channel open.
fn second_phone(cli: &Cli, raw: &mut Raw, (adapter, other): (&str, &str), checks: &mut Checks) -> Result<(), BleError> {
    // btvirt hands what a link carries on under the sender's number of the link, which may be that of another link at the receiver.
    // The band's first link and the second phone's first link both have the first number; so this takes it.
    let mut first = Raw::new(Ble::open(Cli::config_for(other, adapter, HangUp::default()))?);
    first.connect()?;
    let event = looked_for(cli, adapter)?;
    checks.check("a connected band is not found", event == Some(LinkEvent::ConnectFailed), &event);

    // H:0003 `06 01 00 01`: advertise while connected.
    raw.subscribe(CharacteristicId::CONFIG);
    raw.command(CharacteristicId::CONFIG, &[0x06, 0x01, 0x00, 0x01]);
    let set = raw.notified(CharacteristicId::CONFIG, Duration::from_secs(20));
    checks.check("it may advertise while connected", set.as_deref() == Some(&[0x10, 0x06, 0x01, 0x00, 0x01]), &set);
    // Now it may be looked for as long as phones do.
    let mut second = Raw::new(Ble::open(cli.config(adapter, HangUp::default()))?);
    let over = |event: &LinkEvent| matches!(event, LinkEvent::Disconnected | LinkEvent::ConnectFailed);
    // A scan may miss what is advertised once; a phone that was let in and sent away may hear of either.
    let mut events = Vec::new();
    // After each try, as the channel closes by itself when nothing is asked for a minute.
    let mut answers = Vec::new();
    for _ in 0..TRIES {
        second.ble.send(LinkCommand::Connect);
        events.push(second.event(Duration::from_secs(60), over));
        answers.push(raw.exchange(SELECT_NOTHING));
        if events.last() != Some(&Some(LinkEvent::ConnectFailed)) {
            break;
        }
    }
    let turned_away = events.iter().all(Option::is_some);
    checks.check("a second phone is turned away", turned_away, &(events, second.ble.trouble()));
    first.disconnect();
    answers.push(raw.exchange(SELECT_NOTHING));
    let undisturbed = answers.iter().all(|answer| matches!(answer.as_deref(), Some([0x83, .., 2, 0])));
    checks.check("the first phone still has its session", undisturbed, &answers);
    drop(second);
    raw.command(CharacteristicId::CONFIG, &[0x06, 0x01, 0x00, 0x00]);
    let _ = raw.notified(CharacteristicId::CONFIG, Duration::from_secs(20));
    let event = looked_for(cli, adapter)?;
    checks.check("nor is it when it may not be any more", event == Some(LinkEvent::ConnectFailed), &event);

    raw.disconnect();
    inherits_nothing(cli, &mut Raw::new(Ble::open(cli.config(adapter, HangUp::default()))?), checks)
}

/// What comes of looking for the band for a few seconds.
fn looked_for(cli: &Cli, adapter: &str) -> Result<Option<LinkEvent>, BleError> {
    let mut config = cli.config(adapter, HangUp::default());
    (config.deadlines.scan, config.deadlines.connect) = (Duration::from_secs(4), Duration::from_secs(4));
    let mut phone = Raw::new(Ble::open(config)?);
    phone.ble.send(LinkCommand::Connect);
    Ok(phone.event(Duration::from_secs(30), |_| true))
}

/// The phone after one that had authenticated and opened the channel.
fn inherits_nothing(cli: &Cli, next: &mut Raw, checks: &mut Checks) -> Result<(), BleError> {
    next.connect()?;
    let steps = next.read(CharacteristicId::STEPS);
    checks.check("the next phone reads no steps", steps == Some(Err(AttError::ReadNotPermitted)), &steps);
    let opened = next.subscribe(CharacteristicId::NFC_CHANNEL) && next.open_channel();
    checks.check("nor has it a channel", !opened, &opened);
    let ready = next.authenticate(&cli.key()) && next.open_channel();
    checks.check("before it has authenticated", ready, &ready);
    next.disconnect();
    Ok(())
}

/// The link is dropped in the middle of adding a card, ten times; then the card is added.
fn disconnects(cli: &Cli, rng: &mut Rng, checks: &mut Checks) -> Result<(), BleError> {
    let mut bench = Bench::new(cli, rng.next_u64(), HangUp::RadioOff)?;
    let linked = bench.sign_in_and_link();
    checks.check("the next good phone links the band", linked.is_ok(), &(&linked, bench.trouble()));
    let mut ends = Vec::new();
    for _ in 0..DISCONNECTS {
        // An add is ninety commands.
        let at = 1 + rng.next_u64() as usize % 60;
        bench.drop_at(Some(at));
        ends.push((at, bench.add("mastercard-debit")));
    }
    bench.drop_at(None);
    let dropped = ends.iter().map(|(at, _)| at).collect::<Vec<_>>();
    let what = format!("{DISCONNECTS} adds end without a card when the link is dropped at command {dropped:?}");
    checks.check(&what, ends.iter().all(|(_, end)| end.is_err()), &ends);
    let added = bench.add("mastercard-debit");
    checks.check("the card is added after that", added.is_ok(), &(&added, bench.trouble()));
    if let Ok(card) = added {
        let removed = bench.act(UserAction::RemoveCard { card });
        checks.check("and removed", removed.is_ok(), &removed);
    }
    Ok(())
}

fn memory_kib(cli: &Cli) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", cli.pid?)).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.split_whitespace().next()?.parse().ok())
}
