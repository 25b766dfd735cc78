//! The band in the virtual reader of a real pcscd, beside the cheapest card that could lie there. Ratios only: everything is measured
//! in one run, turn and turn about. Pinned to one core, as any other way measures the scheduler:
//!
//! ```text
//! cargo build --release -p bandrig --bin band
//! cargo bench -p benches --features pcsc --bench pcsc --no-run
//! taskset -c 1 .ci/with-pcscd cargo bench -p benches --features pcsc --bench pcsc
//! ```
//!
//! `BAND` names the program when it is not `target/release/band`.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use band_sim::card::crypto::{Padding, TdesKey, common_session_key, mac_algorithm_3};
use bandrig::cloud::api::AuthorisationReply;
use bandrig::station::fixtures::Fixtures;
use bandrig::terminal::Terminal;
use bandrig::terminal::io::{Input, Outcome, Output, Purchase};
use benches::best_ns;
use pcsc::{Card, Context, Protocols, ReaderState, Scope, ShareMode, State};

const BAND_PORT: u16 = 35963;
const FLOOR_PORT: u16 = BAND_PORT + 1;
const BAND_READER: &CStr = c"Virtual PCD 00 00";
const FLOOR_READER: &CStr = c"Virtual PCD 00 01";
const BLOCKS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(20);

type Answers = BTreeMap<Vec<u8>, Vec<u8>>;

fn main() {
    let context = match Context::establish(Scope::User) {
        Ok(context) => context,
        Err(error) => return println!("SKIPPED: no pcscd ({error}); run it as this file says"),
    };
    let band = Band::start();
    let card = connect(&context, BAND_READER);

    let commands = Commands::of(&card);
    let recorded = commands.all().map(|command| (command.clone(), transmit(&card, command))).collect();
    std::thread::spawn(move || floor_card(&recorded));
    let floor = connect(&context, FLOOR_READER);

    let reading = [commands.select.clone(), commands.read.clone()];
    compare("SELECT and READ RECORD", &card, &floor, &reading);

    let whole = [commands.select.clone(), commands.options.clone(), commands.generate.clone()];
    let excess = compare("GENERATE AC with what leads to it", &card, &floor, &whole);
    let crypto = best_ns(bare_cryptogram) / 1e3;
    println!(
        "beside its crypto: three exchanges cost {:.1} µs more than those of the floor card; a session key and a cryptogram alone {crypto:.1} µs",
        excess * 1e6
    );

    payment(&card);
    drop(band);
}

/// `band --vpcd` with one card, ended with this value.
struct Band(Child);

impl Band {
    fn start() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let program = std::env::var_os("BAND").map_or_else(|| root.join("target/release/band"), PathBuf::from);
        let mut command = Command::new(&program);
        command.args([
            "--vpcd",
            "--reader-port",
            &BAND_PORT.to_string(),
            "--cards",
            "mastercard-debit",
            "--log",
            "warn",
        ]);
        command.arg("--fixtures").arg(root.join("fixtures")).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!(
                "failed to start {}: {error}; build it: cargo build --release -p bandrig --bin band",
                program.display()
            )
        });
        let lines = BufReader::new(child.stdout.take().expect("its output is a pipe")).lines();
        lines.map_while(Result::ok).find(|line| line == "ready").expect("the band is ready");
        Self(child)
    }
}

impl Drop for Band {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is sent.
struct Commands {
    select: Vec<u8>,
    read: Vec<u8>,
    options: Vec<u8>,
    generate: Vec<u8>,
}

impl Commands {
    fn of(card: &Card) -> Self {
        let aid = [0xA0, 0, 0, 0, 4, 0x10, 0x10];
        let select = [&[0x00, 0xA4, 0x04, 0x00, 7][..], &aid, &[0x00]].concat();
        transmit(card, &select);
        let options = vec![0x80, 0xA8, 0x00, 0x00, 0x02, 0x83, 0x00, 0x00];
        // CDOL1 of the card: the length is asked of the card itself, by what it refuses.
        transmit(card, &options);
        let generate = (0..=252_u8).map(|length| {
            let lists = vec![0; usize::from(length)];
            [&[0x80, 0xAE, 0x80, 0x00, length][..], &lists, &[0x00]].concat()
        });
        let generate = generate.skip(1).find(|command| transmit(card, command).ends_with(&[0x90, 0x00]));
        Self {
            select,
            read: vec![0x00, 0xB2, 0x01, 0x14, 0x00],
            options,
            generate: generate.expect("some length is that of the list"),
        }
    }

    /// In the order that a card wants.
    fn all(&self) -> impl Iterator<Item = &Vec<u8>> {
        [&self.select, &self.read, &self.options, &self.generate].into_iter()
    }
}

/// Runs both in turns and prints the median of the blocks' ratios; answers how many seconds more ours takes for the whole.
fn compare(name: &str, ours: &Card, floor: &Card, commands: &[Vec<u8>]) -> f64 {
    let block = |card: &Card| {
        const ROUNDS: u32 = 300;
        let began = Instant::now();
        for _ in 0..ROUNDS {
            for command in commands {
                let answer = transmit(card, command);
                assert!(answer.ends_with(&[0x90, 0x00]), "{command:02X?} was answered {answer:02X?}");
            }
        }
        began.elapsed().as_secs_f64() / f64::from(ROUNDS)
    };
    block(ours);
    block(floor);
    let mut pairs = Vec::new();
    for at in 0..BLOCKS {
        // Who goes first has no advantage.
        let pair = if at % 2 == 0 {
            let ours = block(ours);
            (ours, block(floor))
        } else {
            let floor = block(floor);
            (block(ours), floor)
        };
        pairs.push(pair);
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let ratio = median(pairs.iter().map(|(ours, floor)| ours / floor).collect());
    let ours = median(pairs.iter().map(|(ours, _)| *ours).collect());
    let floor = median(pairs.iter().map(|(_, floor)| *floor).collect());
    let each = |seconds: f64| seconds * 1e6 / commands.len() as f64;
    println!(
        "ratio {name}: {ratio:.3} of the floor card (median of {BLOCKS} pairs of blocks; an exchange {:.1} µs and {:.1} µs)",
        each(ours),
        each(floor)
    );
    ours - floor
}

/// From the first SELECT to the outcome, beside the sum of the exchanges in it: what the terminal itself costs. Without data
/// authentication, and nothing is printed.
fn payment(card: &Card) {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let fixtures = Fixtures::load(&fixtures).expect("the fixtures load");
    let mut shop = (*fixtures.terminals["corner-shop"]).clone();
    shop.kernels.kernel_2.as_mut().expect("it takes Mastercard").cda = false;
    let shop = Arc::new(shop);
    let mut ratios: Vec<f64> = (0..200).map(|number| one_payment(card, &shop, number)).collect();
    ratios.sort_by(f64::total_cmp);
    println!("ratio from first SELECT to outcome: {:.3} of its exchanges (median of 200 payments)", ratios[100]);
}

fn one_payment(card: &Card, shop: &Arc<bandrig::terminal::config::TerminalConfig>, number: u8) -> f64 {
    let purchase = Purchase {
        amount_minor: 100 + u64::from(number),
        amount_other_minor: 0,
        currency: 978,
        unix_s: 1_772_355_600,
        unpredictable_number: [1, 2, 3, number],
    };
    let now = band_sim::time::Instant::ZERO;
    let mut terminal = Terminal::new(Arc::clone(shop));
    let (mut began, mut exchanges) = (None, Duration::ZERO);
    terminal.handle(now, Input::Start(purchase));
    loop {
        match terminal.poll() {
            Output::Note(_) => {}
            Output::Command(command) => {
                let sent = Instant::now();
                let began = *began.get_or_insert(sent);
                let answer = transmit(card, &command);
                exchanges += sent.elapsed();
                assert!(began.elapsed() < PATIENCE, "the payment ends");
                terminal.handle(now, Input::Answer(answer));
            }
            Output::Online(_) => {
                terminal.handle(now, Input::Online(Some(AuthorisationReply::stand_in_approval())));
            }
            Output::Done(receipt) => {
                assert_eq!(receipt.outcome, Outcome::Approved, "{}", receipt.reason);
                let whole = began.expect("the card was asked").elapsed();
                return whole.as_secs_f64() / exchanges.as_secs_f64();
            }
            other => panic!("nothing else is asked: {other:?}"),
        }
    }
}

/// What no card can do without for one cryptogram: a session key and a MAC over 45 bytes.
fn bare_cryptogram() -> [u8; 8] {
    let key = TdesKey::new([0x5A; 16]);
    let session_key = common_session_key(&key, [0, 1, 0, 0, 0, 0, 0, 0]);
    mac_algorithm_3(&session_key, Padding::Method2, &[0x11; 45])
}

/// The cheapest card: looks the answer up and sends it.
fn floor_card(answers: &Answers) -> std::io::Result<()> {
    let answer_to_reset = [0x3B, 0x80, 0x80, 0x01, 0x01];
    let mut stream = TcpStream::connect(("127.0.0.1", FLOOR_PORT))?;
    let quick = |stream: &TcpStream| std::os::linux::net::TcpStreamExt::set_quickack(stream, true);
    stream.set_nodelay(true)?;
    quick(&stream)?;
    let mut room = [0; 300];
    loop {
        stream.read_exact(&mut room[..2])?;
        quick(&stream)?;
        let length = usize::from(u16::from_be_bytes([room[0], room[1]]));
        stream.read_exact(&mut room[..length])?;
        quick(&stream)?;
        let answer: &[u8] = match &room[..length] {
            [0..=2] => continue,
            [4] => &answer_to_reset,
            command => answers.get(command).map_or(&[0x6D, 0x00], |answer| answer),
        };
        let length = u16::try_from(answer.len()).unwrap_or(0).to_be_bytes();
        stream.write_all(&[&length, answer].concat())?;
    }
}

/// The card in a reader; waits until pcscd has seen it.
fn connect(context: &Context, reader: &CStr) -> Card {
    let deadline = Instant::now() + PATIENCE;
    let mut states = [ReaderState::new(CString::from(reader), State::UNAWARE)];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        context.get_status_change(left, &mut states).expect("the reader is there");
        let [state] = &mut states;
        if state.event_state().contains(State::PRESENT) {
            return context.connect(reader, ShareMode::Exclusive, Protocols::T1).expect("the card can be had");
        }
        state.sync_current_state();
    }
}

fn transmit(card: &Card, command: &[u8]) -> Vec<u8> {
    let mut room = [0; 300];
    card.transmit(command, &mut room).expect("the card answers").to_vec()
}
