//! A reader made of a TCP listener, and the card in it.

use alloc::vec;
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread::JoinHandle;

use super::*;
use crate::band::Band;
use crate::edge::clock::Clock;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// What was told, without what it borrows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Unreachable,
    Plugged,
    Power(bool),
    Reset,
    Exchange(Vec<u8>),
    Unplugged(Reason),
}

struct Bench {
    listener: TcpListener,
    band: Handle,
    plug: Plug,
    told: mpsc::Receiver<Told>,
    serving: Option<JoinHandle<()>>,
}

impl Bench {
    fn new(change: impl FnOnce(&mut Config)) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        Self::on(listener, |config| {
            config.port = port;
            change(config);
        })
    }

    fn on(listener: TcpListener, change: impl FnOnce(&mut Config)) -> Self {
        let file = include_str!("../../../../fixtures/profiles/mi-smart-band-4-nfc.yaml");
        let clock = Clock::start();
        let band = Band::new(Arc::new(serde_yaml::from_str(file).unwrap()), Rng::new(1), clock.epoch_unix_us());
        let band = Handle::new(band, clock);
        let plug = Plug::new(true);
        let away = Duration::from_millis(1);
        let mut config = Config { host: "127.0.0.1".into(), watchdog: PATIENCE, away, ..Config::new(Rng::new(2)) };
        change(&mut config);
        let (sender, told) = mpsc::channel();
        let serving = std::thread::spawn({
            let (mut band, plug) = (band.clone(), plug.clone());
            move || serve(&mut band, &plug, config, |event| drop(sender.send(tell(&event))))
        });
        Self { listener, band, plug, told, serving: Some(serving) }
    }

    fn accept(&self) -> Reader {
        let (connection, _) = self.listener.accept().unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        Reader(connection)
    }

    #[track_caller]
    fn expect(&self, told: Told) {
        assert_eq!(self.told.recv_timeout(PATIENCE), Ok(told));
    }

    /// Waits until this is told, past everything else.
    #[track_caller]
    fn wait_for(&self, told: &Told) {
        while self.told.recv_timeout(PATIENCE).unwrap() != *told {}
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.plug.stop();
        self.serving.take().unwrap().join().unwrap();
    }
}

fn tell(event: &Event<'_>) -> Told {
    match event {
        Event::Unreachable(_) => Told::Unreachable,
        Event::Plugged(_) => Told::Plugged,
        Event::Power(on) => Told::Power(*on),
        Event::Reset => Told::Reset,
        Event::Exchange(command, _) => Told::Exchange(command.to_vec()),
        Event::Unplugged(reason) => Told::Unplugged(*reason),
    }
}

struct Reader(TcpStream);

impl Reader {
    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    fn receive(&mut self) -> Vec<u8> {
        let mut length = [0; 2];
        self.0.read_exact(&mut length).unwrap();
        let mut body = vec![0; usize::from(u16::from_be_bytes(length))];
        self.0.read_exact(&mut body).unwrap();
        body
    }

    fn transmit(&mut self, apdu: &[u8]) -> Vec<u8> {
        self.send(&[&u16::try_from(apdu.len()).unwrap().to_be_bytes()[..], apdu].concat());
        self.receive()
    }

    fn closes(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 16]), Ok(0))
    }
}

const POWER_ON: [u8; 3] = [0, 1, 1];
const SELECT_PPSE: [u8; 20] = [
    0x00, 0xA4, 0x04, 0x00, 0x0E, 0x32, 0x50, 0x41, 0x59, 0x2E, 0x53, 0x59, 0x53, 0x2E, 0x44, 0x44, 0x46, 0x30, 0x31,
    0x00,
];
/// Wants an instance that is selected.
const READ_RECORD: [u8; 5] = [0x00, 0xB2, 0x01, 0x0C, 0x00];

#[test]
fn joined_messages_are_done_in_their_order() {
    let bench = Bench::new(|_| {});
    let mut reader = bench.accept();
    // Reset and "get ATR" in one packet, then the halves of one command in two.
    reader.send(&[0x00, 0x01, 0x02, 0x00, 0x01, 0x04]);
    assert_eq!(reader.receive(), [0x3B, 0x80, 0x80, 0x01, 0x01]);
    reader.send(&[0x00]);
    reader.send(&[0x05, 0xFF, 0xCA]);
    reader.send(&[0x00, 0x00, 0x00]);
    let uid = reader.receive();
    assert!(uid.len() == 6 && uid[0] == 0x08 && uid.ends_with(&[0x90, 0x00]), "{uid:02X?}");
    bench.expect(Told::Plugged);
    bench.expect(Told::Reset);
    bench.expect(Told::Exchange(vec![0xFF, 0xCA, 0x00, 0x00, 0x00]));
}

#[test]
fn nothing_that_is_volatile_survives_a_reset() {
    let bench = Bench::new(|_| {});
    let mut reader = bench.accept();
    reader.send(&POWER_ON);
    let first = reader.transmit(&[0xFF, 0xCA, 0x00, 0x00, 0x00]);
    assert!(reader.transmit(&SELECT_PPSE).ends_with(&[0x90, 0x00]));
    let selected = bench.band.inspect(|band| alloc::format!("{:?}", band.card()));
    for control in [0x02, 0x00] {
        reader.send(&[0x00, 0x01, control]);
        reader.send(&POWER_ON);
        assert_eq!(reader.transmit(&READ_RECORD), [0x69, 0x85], "nothing is selected");
        let reset = bench.band.inspect(|band| alloc::format!("{:?}", band.card()));
        assert_ne!(reset, selected);
        assert!(reader.transmit(&SELECT_PPSE).ends_with(&[0x90, 0x00]));
    }
    assert_ne!(reader.transmit(&[0xFF, 0xCA, 0x00, 0x00, 0x00]), first, "another field, another number");
}

#[test]
fn a_command_of_any_length_has_an_answer_of_two_bytes_at_least() {
    let bench = Bench::new(|_| {});
    let mut reader = bench.accept();
    reader.send(&POWER_ON);
    for length in [3, 4, 5, 6, 255, 261, 262, 1000, 65_535] {
        let answer = reader.transmit(&vec![0x55; length]);
        assert!(answer.len() >= 2, "{length} bytes");
    }
    assert_eq!(reader.transmit(&[]), [0x67, 0x00]);
    assert_eq!(reader.transmit(&[0x03]), [0x67, 0x00]);
}

#[test]
fn a_reader_that_comes_back_gets_its_card_again() {
    let bench = Bench::new(|_| {});
    let reader = bench.accept();
    bench.expect(Told::Plugged);
    drop(reader);
    bench.expect(Told::Unplugged(Reason::ReaderClosed));
    let mut reader = bench.accept();
    bench.expect(Told::Plugged);
    reader.send(&[0, 1, 4]);
    assert!(reader.receive().starts_with(&[0x3B]));
}

#[test]
fn a_reader_that_is_not_there_yet_is_found_when_it_comes() {
    let port = {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.local_addr().unwrap().port()
    };
    let other = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut bench = Bench::on(other, |config| config.port = port);
    bench.expect(Told::Unreachable);
    bench.listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    bench.expect(Told::Plugged);
    bench.accept();
}

#[test]
fn the_watchdog_frees_a_reader_that_hangs() {
    let watchdog = Duration::from_millis(30);
    let bench = Bench::new(|config| config.watchdog = watchdog);
    let mut reader = bench.accept();
    // A command of the single byte 00: for the card its power goes, for the reader an answer is due.
    reader.send(&[0x00, 0x01, 0x00]);
    assert!(reader.closes(), "no answer, but an end");
    bench.wait_for(&Told::Unplugged(Reason::Silence(watchdog)));
    bench.accept();
}

#[test]
fn a_reader_that_takes_it_for_an_earlier_card_sees_it_come_once_more() {
    let noticed = Duration::ZERO;
    let bench = Bench::new(|config| config.noticed = noticed);
    let mut reader = bench.accept();
    reader.send(&[0x00, 0x01, 0x04]);
    assert!(reader.closes(), "no power, and the reader asks as it would of a card that it knows");
    bench.wait_for(&Told::Unplugged(Reason::Unnoticed(noticed)));
    // Not for ever: a reader may well give power only to who asks for it.
    let mut reader = bench.accept();
    reader.send(&[0x00, 0x01, 0x04]);
    assert_eq!(reader.receive(), [0x3B, 0x80, 0x80, 0x01, 0x01]);
}

#[test]
fn a_band_that_is_taken_away_is_gone_until_it_is_held_there_again() {
    let bench = Bench::new(|_| {});
    let mut reader = bench.accept();
    bench.expect(Told::Plugged);
    bench.plug.hold_to_reader(false);
    assert!(reader.closes());
    bench.expect(Told::Unplugged(Reason::TakenAway));
    bench.plug.hold_to_reader(true);
    bench.accept();
    bench.expect(Told::Plugged);
}

#[test]
fn a_band_without_power_is_no_card() {
    let bench = Bench::new(|_| {});
    let mut reader = bench.accept();
    reader.send(&POWER_ON);
    assert_eq!(reader.transmit(&READ_RECORD), [0x69, 0x85]);
    bench.band.input(Input::PowerLost);
    reader.send(&[&[0x00, 0x05], &READ_RECORD[..]].concat());
    assert!(reader.closes());
    bench.wait_for(&Told::Unplugged(Reason::CardGone));
    bench.band.input(Input::PowerOn);
    bench.accept();
}

#[test]
fn stopping_ends_it_wherever_it_is() {
    let mut bench = Bench::new(|_| {});
    let mut reader = bench.accept();
    bench.plug.stop();
    assert!(reader.closes());
    bench.serving.take().unwrap().join().unwrap();
    bench.wait_for(&Told::Unplugged(Reason::Stopped));
    assert!(bench.plug.is_stopped());
    bench.serving = Some(std::thread::spawn(|| {}));
}
