//! A phone's, a reader's and a wearer's view of the band: what happens on the left, what comes of it on the right.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use core::time::Duration;
use std::sync::LazyLock;

use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};

use super::*;
use crate::card::host::{self, Host};
use crate::rng::Rng;
use crate::wire::frame::aid::AidCommand;
use crate::wire::frame::auth::{AuthKey, SignedAnswer};
use crate::wire::frame::config::SettingId;
use crate::wire::frame::nfc_channel::{Framing, Request};
use crate::wire::frame::time::{CurrentTime, Stamp};
use crate::wire::frame::user::{UserInfo, UserSetting};
use crate::wire::gatt::{AttError, Attribute, Gate, Property};
use crate::wire::hex::Hex;
use crate::wire::marked::Marked;

mod attributes;
mod authentication;
mod channel;
mod device;
mod harmless;
mod health;
mod image;
mod table;

/// 2020-06-16 00:00:00 UTC.
const EPOCH: i64 = 1_592_265_600_000_000;
const KEY: AuthKey = AuthKey(*b"0123456789abcdef");

const AUTH: CharacteristicId = CharacteristicId::AUTH;
const NFC: CharacteristicId = CharacteristicId::NFC_CHANNEL;
const CONFIG: CharacteristicId = CharacteristicId::CONFIG;
/// SELECT of the contactless registry service.
const SELECT_CRS: &str = "00 A4 04 00 09 A0 00 00 01 51 43 52 53 00";

const CHUNKED: CharacteristicId = CharacteristicId::CHUNKED;

static PROFILE: LazyLock<Arc<BandProfile>> = LazyLock::new(|| {
    let file = include_str!("../../../../fixtures/profiles/mi-smart-band-4-nfc.yaml");
    Arc::new(serde_yaml::from_str(file).unwrap())
});

fn hex(text: &str) -> Vec<u8> {
    text.parse::<Hex>().unwrap().0
}

/// A band and the hands that drive it.
#[derive(Clone)]
struct Bench {
    band: Band,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut BandProfile)) -> Self {
        let mut profile = (**PROFILE).clone();
        change(&mut profile);
        Self { band: Band::new(Arc::new(profile), Rng::new(7), EPOCH), now: Instant::ZERO }
    }

    /// A band with a phone that listens to everything.
    fn linked() -> Self {
        let mut bench = Self::new();
        bench.link();
        bench
    }

    /// The same, and the phone's key is the band's.
    fn paired() -> Self {
        let mut bench = Self::new();
        bench.band.settings.set_auth_key(&KEY).unwrap();
        bench.link();
        bench
    }

    fn authenticated() -> Self {
        let mut bench = Self::paired();
        bench.authenticate();
        bench
    }

    fn with_channel() -> Self {
        let mut bench = Self::authenticated();
        assert_eq!(bench.write(NFC, "01")[0], "notify H:0011 81 00");
        bench
    }

    fn link(&mut self) {
        self.outputs(Input::Connected { mtu: 23 });
        let notifying = |(_, found): &(_, &crate::wire::gatt::Characteristic)| found.has(Property::Notify);
        let handles: Vec<_> = PROFILE.gatt.characteristics().filter(notifying).map(|(_, found)| found.handle).collect();
        for handle in handles {
            assert_eq!(self.outputs(Input::Subscribe { handle, on: true }), [Output::WriteReply(Ok(()))]);
        }
    }

    fn authenticate(&mut self) {
        let random = self.random("02 00");
        let block = pairing::answer(&KEY, &random);
        assert_eq!(
            self.write(AUTH, &format!("03 00 {}", Hex(block.to_vec()))),
            ["notify H:0009 10 03 01", "event Authenticated"]
        );
    }

    /// Asks for a random number.
    fn random(&mut self, ask: &str) -> [u8; 16] {
        let outputs = self.write(AUTH, ask);
        let reply = hex(outputs[0].strip_prefix("notify H:0009 ").unwrap());
        assert_eq!((reply.len(), reply[0], reply[2]), (19, 0x10, 0x01), "{outputs:?}");
        reply[3..].try_into().unwrap()
    }

    fn outputs(&mut self, input: Input) -> Vec<Output> {
        self.band.handle(self.now, input);
        self.drain()
    }

    fn drain(&mut self) -> Vec<Output> {
        let mut outputs = vec![];
        loop {
            match self.band.poll() {
                Output::Wait(_) => return outputs,
                output => outputs.push(output),
            }
        }
    }

    fn words(&mut self, input: Input) -> Vec<String> {
        self.outputs(input).iter().map(words).collect()
    }

    /// A write in the way the characteristic offers.
    fn write(&mut self, id: CharacteristicId, value: &str) -> Vec<String> {
        self.write_bytes(id, hex(value))
    }

    fn write_bytes(&mut self, id: CharacteristicId, value: Vec<u8>) -> Vec<String> {
        let handle = handle(id);
        let found = PROFILE.gatt.characteristic(handle).unwrap();
        let command = found.has(Property::WriteWithoutResponse);
        let mode = if command { WriteMode::Command } else { WriteMode::Request };
        self.words(Input::Write { handle, value, mode })
    }

    fn transfer(&mut self, kind: chunked::Kind, payload: &[u8]) -> Vec<String> {
        let chunks = chunked::split(kind, payload, 23);
        chunks.iter().flat_map(|chunk| self.write_bytes(CHUNKED, chunk.encode())).collect()
    }

    fn read(&mut self, id: CharacteristicId) -> Result<Vec<u8>, AttError> {
        match self.outputs(Input::Read { handle: handle(id) }).remove(0) {
            Output::ReadReply(reply) => reply,
            other => panic!("{other:?}"),
        }
    }

    /// One APDU over the channel; the answer, and what else came.
    fn exchange(&mut self, apdu: &[u8]) -> (Vec<u8>, Vec<String>) {
        let mut others = vec![];
        let mut assembler = nfc_channel::Assembler::new(Framing::HUAMI, 4096);
        let mut answer = None;
        for fragment in Framing::HUAMI.fragments(apdu).unwrap() {
            let value = Framing::HUAMI.encode_request(&Request::Fragment(fragment));
            for output in self.outputs(Input::Write { handle: handle(NFC), value, mode: WriteMode::Command }) {
                let Output::Notify { value, .. } = &output else {
                    others.push(words(&output));
                    continue;
                };
                match Framing::HUAMI.decode_notification(value) {
                    Ok(nfc_channel::Notification::Fragment(fragment)) => answer = assembler.push(fragment).unwrap(),
                    _ => others.push(words(&output)),
                }
            }
        }
        (answer.unwrap_or_default(), others)
    }

    fn pass(&mut self, time: Duration) -> Vec<String> {
        self.now = self.now + time;
        self.words(Input::Tick)
    }

    fn digests(&self) -> [[u8; 32]; 2] {
        [Memory::SecureElement, Memory::Device].map(|memory| self.band.nvm_digest(memory))
    }

    /// Puts cards into the secure element, over the channel and a secure channel in it.
    fn add_cards(&mut self, count: u8) -> Vec<String> {
        let mut host = Host::new(&PROFILE.secure_element);
        assert_eq!(host.open(&mut self.band.card, 0x33).value(), 0x9000);
        let mut told = vec![];
        for number in 1..=count {
            let aid = host::instance(number);
            let dgis = host::Personalisation::default().dgis(&host);
            let commands = [vec![host::install(&aid), host::install_for_personalisation(&aid)], host::blocks(&dgis)];
            for command in commands.concat() {
                let (answer, others) = self.exchange(&host.wrap(command).encode());
                assert!(answer.ends_with(&[0x90, 0x00]), "{answer:02X?}");
                told.extend(others);
            }
        }
        told
    }
}

fn handle(id: CharacteristicId) -> Handle {
    PROFILE.gatt.value_handle(&id).unwrap()
}

fn words(output: &Output) -> String {
    match output {
        Output::Notify { handle, value } => {
            format!("notify {} {}", PROFILE.gatt.id(*handle).unwrap().characteristic, Hex(value.clone()))
        }
        Output::ReadReply(Ok(value)) => format!("read {}", Hex(value.clone())),
        Output::ReadReply(Err(error)) | Output::WriteReply(Err(error)) => error.to_string(),
        Output::WriteReply(Ok(())) => "written".into(),
        Output::Contactless(answer) => format!("contactless {}", Hex(answer.clone())),
        Output::Event(BandEvent::Refused(refused)) => format!("refused: {refused}"),
        Output::Event(BandEvent::CardsChanged { cards }) => format!("event CardsChanged {}", card_words(cards)),
        Output::Event(event) => format!("event {event:?}"),
        Output::Display(Display::Cards(cards)) => format!("display {}", card_words(cards)),
        Output::Display(display) => format!("display {display:?}"),
        Output::Disconnect | Output::Wait(_) => format!("{output:?}").to_lowercase(),
    }
}

fn card_words(cards: &[CardEntry]) -> String {
    let card = |card: &CardEntry| format!("{} {} {:?}", card.name, card.last4.as_deref().unwrap_or("-"), card.state);
    format!("[{}]", cards.iter().map(card).collect::<Vec<_>>().join(", "))
}

/// The private half of the key in the profile.
static SIGNING_KEY: LazyLock<RsaPrivateKey> =
    LazyLock::new(|| RsaPrivateKey::from_pkcs1_pem(include_str!("../../../../fixtures/keys/pairing.pem")).unwrap());

/// What the vendor's cloud does.
fn sign(digest: &[u8; 32]) -> Vec<u8> {
    let prefix = hex("30 31 30 0D 06 09 60 86 48 01 65 03 04 02 01 05 00 04 20");
    let scheme = Pkcs1v15Sign { hash_len: Some(32), prefix: prefix.into() };
    SIGNING_KEY.sign(scheme, digest).unwrap()
}

/// Probe, random number, signature, up to the question on the display. Gives the key.
fn ask_to_pair(bench: &mut Bench) -> AuthKey {
    let info = bench.write(AUTH, "01 14").remove(0);
    let hash = &PROFILE.authentication.pairing_public_key_hash.value;
    assert_eq!(info, format!("notify H:0009 10 01 81 01 {hash}"));
    let digest = pairing::pairing_digest(PROFILE.identity.address(), &bench.random("82 14 02"));
    let answer = SignedAnswer { flags: 0x14, signature: sign(&digest) };
    let outputs = bench.transfer(chunked::Kind::AuthSignature, &answer.encode());
    let asked =
        ["notify H:0020 10 00 84 01 01", "notify H:0009 10 83 01", "display ConfirmPairing", "event PairingAsked"];
    assert_eq!(outputs, asked);
    pairing::pairing_key(&digest)
}

/// One band in each state, with its name.
fn states() -> Vec<(&'static str, Bench)> {
    let off = {
        let mut bench = Bench::paired();
        bench.outputs(Input::PowerLost);
        bench
    };
    let disconnected = {
        let mut bench = Bench::paired();
        bench.outputs(Input::Disconnected);
        bench
    };
    let probed = {
        let mut bench = Bench::paired();
        bench.write(AUTH, "01 14");
        bench
    };
    let challenged = {
        let mut bench = Bench::paired();
        bench.random("02 00");
        bench
    };
    let pairing_challenged = {
        let mut bench = probed.clone();
        bench.random("82 14 02");
        bench
    };
    let awaiting = {
        let mut bench = Bench::paired();
        bench.write(AUTH, &format!("01 00 {}", Hex(vec![0x5A; 16])));
        bench
    };
    let busy = {
        let mut bench = Bench::with_channel();
        bench.write(NFC, "04 80 CA");
        bench
    };
    let all = [
        Bench::linked(),
        off,
        disconnected,
        Bench::paired(),
        probed,
        challenged,
        pairing_challenged,
        awaiting,
        Bench::authenticated(),
        Bench::with_channel(),
        busy,
    ];
    let name = |(index, bench): (usize, Bench)| {
        let name = if index == 0 { "unauthenticated, never paired" } else { bench.band.state.name() };
        (name, bench)
    };
    all.into_iter().enumerate().map(name).collect()
}
