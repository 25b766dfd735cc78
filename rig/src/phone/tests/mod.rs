//! Ladder tests: what happens to the phone on the left, everything it does about it on the right.

mod adding;
mod cards;
mod channel;
mod connecting;
mod device;
mod pairing;
mod property;
mod world;

use std::time::Duration;

use band_sim::rng::Rng;
use band_sim::time::Instant;
use band_sim::wire::frame::auth::AuthKey;
use band_sim::wire::gatt::{AttError, CharacteristicId};
use band_sim::wire::hex::Hex;

use super::io::{Input, LinkCommand, LinkEvent, Notice, Output, Shown, UserAction};
use super::{Phone, PhoneConfig};
use crate::cloud::api::{
    AccountId, AppVersion, CardId, CardState, CardView, Envelope, JobId, Refusal, Reply, Request, ScriptAnswer,
    ScriptCommand, Unit,
};
use world::World;

const AUTH: CharacteristicId = CharacteristicId::AUTH;
const CHUNKED: CharacteristicId = CharacteristicId::CHUNKED;
const EVENT: CharacteristicId = CharacteristicId::DEVICE_EVENT;
const CONFIG: CharacteristicId = CharacteristicId::CONFIG;
const NFC: CharacteristicId = CharacteristicId::NFC_CHANNEL;
const SERIAL: CharacteristicId = CharacteristicId::SERIAL_NUMBER;
const TIME: CharacteristicId = CharacteristicId::CURRENT_TIME;

/// Key and answers of the public sources' checked example.
const KEY: AuthKey = AuthKey(*b"0123456789@ABCDE");
const ADDRESS: [u8; 6] = [0xD1, 0xC5, 0x15, 0x51, 0x03, 0x89];

/// A phone, and the time it is.
#[derive(Clone)]
struct Ladder {
    phone: Phone,
    now: Instant,
}

impl Ladder {
    /// Alice, who has a Xiaomi account, and a phone that was paired with a band but has not seen it yet.
    fn new() -> Self {
        Self::with(PhoneConfig { stored_key: Some(KEY), ..PhoneConfig::default() })
    }

    fn with(config: PhoneConfig) -> Self {
        let mut ladder = Self::signed_out(config);
        ladder.go([user(sign_in("alice"))]);
        ladder.go([signed_in("alice", Some("alice"))]);
        ladder
    }

    fn signed_out(config: PhoneConfig) -> Self {
        Self { phone: Phone::new(config, Rng::new(1)), now: Instant::from_micros(1) }
    }

    /// The same, connected and in agreement with a band that has these cards.
    fn ready(cards: &[CardView]) -> Self {
        let mut ladder = Self::new();
        let mut world = World::new(cards);
        assert_eq!(ladder.play(&mut world, UserAction::Refresh), Ok(Shown::Done));
        ladder
    }

    /// Inputs on the left, all outputs on the right.
    #[track_caller]
    fn assert(&mut self, inputs: impl IntoIterator<Item = Input>, outputs: impl IntoIterator<Item = Output>) {
        let got = self.go(inputs);
        let expected: Vec<_> = outputs.into_iter().collect();
        assert!(got == expected, "expected {expected:#?}\n\ngot {got:#?}");
    }

    /// Time passes; all outputs on the right.
    #[track_caller]
    fn wait(&mut self, time: Duration, outputs: impl IntoIterator<Item = Output>) {
        self.now = self.now + time;
        self.assert([Input::Tick], outputs);
    }

    fn go(&mut self, inputs: impl IntoIterator<Item = Input>) -> Vec<Output> {
        inputs.into_iter().for_each(|input| self.phone.handle(self.now, input));
        std::iter::from_fn(|| Some(self.phone.poll()).filter(|output| !matches!(output, Output::Wait(_)))).collect()
    }

    /// Runs an action to its end against a world that answers everything; gives what the person saw last.
    fn play(&mut self, world: &mut World, action: UserAction) -> Result<Shown, Refusal> {
        world.play(self, [user(action)])
    }
}

fn user(action: UserAction) -> Input {
    Input::User(action)
}

fn sign_in(account: &str) -> UserAction {
    UserAction::SignIn { account: AccountId(account.into()) }
}

fn signed_in(account: &str, xiaomi: Option<&str>) -> Input {
    let id = |name: &str| AccountId(name.into());
    Input::Cloud(Some(Reply::SignedIn { account: id(account), xiaomi: xiaomi.map(id) }))
}

fn ask(request: Request) -> Output {
    let account = Some(AccountId("alice".into()));
    Output::Cloud(Envelope { account, app_version: PhoneConfig::default().app_version, request })
}

fn reply(reply: Reply) -> Input {
    Input::Cloud(Some(reply))
}

fn refused(refusal: Refusal) -> Input {
    reply(Reply::Refused { refusal })
}

const CLOUD_LOST: Input = Input::Cloud(None);

fn connect() -> Output {
    Output::Link(LinkCommand::Connect)
}

fn disconnect() -> Output {
    Output::Link(LinkCommand::Disconnect)
}

fn connected() -> Input {
    Input::Link(LinkEvent::Connected { address: ADDRESS, mtu: 23 })
}

fn connect_failed() -> Input {
    Input::Link(LinkEvent::ConnectFailed)
}

fn link_lost() -> Input {
    Input::Link(LinkEvent::Disconnected)
}

fn subscribe(characteristic: CharacteristicId) -> Output {
    Output::Link(LinkCommand::Subscribe { characteristic })
}

fn subscribed(characteristic: CharacteristicId) -> Input {
    Input::Link(LinkEvent::Subscribed { characteristic, result: Ok(()) })
}

fn read(characteristic: CharacteristicId) -> Output {
    Output::Link(LinkCommand::Read { characteristic })
}

fn read_done(characteristic: CharacteristicId, value: &[u8]) -> Input {
    Input::Link(LinkEvent::ReadDone { characteristic, result: Ok(value.to_vec()) })
}

fn write(characteristic: CharacteristicId, hex: &str) -> Output {
    Output::Link(LinkCommand::Write { characteristic, value: bytes(hex), with_response: false })
}

fn request(characteristic: CharacteristicId, hex: &str) -> Output {
    Output::Link(LinkCommand::Write { characteristic, value: bytes(hex), with_response: true })
}

fn write_done(characteristic: CharacteristicId, result: Result<(), AttError>) -> Input {
    Input::Link(LinkEvent::WriteDone { characteristic, result })
}

fn notify(characteristic: CharacteristicId, hex: &str) -> Input {
    Input::Link(LinkEvent::Notified { characteristic, value: bytes(hex) })
}

fn show(shown: Shown) -> Output {
    Output::Done(Ok(shown))
}

fn fail(refusal: Refusal) -> Output {
    Output::Done(Err(refusal))
}

fn progress(percent: u8) -> Output {
    Output::Ui(Notice::Progress { percent })
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.parse::<Hex>().expect("hex in a test").0
}

fn card_id(name: &str) -> CardId {
    CardId(name.into())
}

fn unit() -> Unit {
    Unit { serial: "5f00d0c0ffee".into(), cplc: (0..42).collect() }
}

fn card(name: &str, state: CardState) -> CardView {
    CardView {
        card: card_id(name),
        product: "mastercard-debit".into(),
        masked_number: "•••• 4242".into(),
        token_last4: "0001".into(),
        instance_aid: bytes("A0 00 00 00 04 10 10 00 01"),
        state,
        history: state == CardState::Active,
        requests_left: 3,
        old_service: false,
    }
}

fn job(number: u32, apdus: &[&str]) -> Reply {
    let batch = apdus.iter().map(|apdu| ScriptCommand { apdu: bytes(apdu), expected: vec![] }).collect();
    Reply::Job { job: JobId(number), batch }
}

fn post(number: u32, answers: &[(&str, u16)]) -> Output {
    let answers = (0..).zip(answers).map(|(index, (data, sw))| ScriptAnswer { index, data: bytes(data), sw: *sw });
    ask(Request::PostAnswers { job: JobId(number), answers: answers.collect() })
}

fn cancel(number: u32) -> Output {
    ask(Request::CancelJob { job: JobId(number) })
}

fn job_done(number: u32, card: Option<CardView>) -> Input {
    reply(Reply::JobDone { job: JobId(number), card })
}

fn sync() -> Output {
    ask(Request::Sync { unit: unit() })
}

fn list() -> Output {
    ask(Request::Cards { unit: unit() })
}

fn cards(cards: &[CardView]) -> Input {
    reply(Reply::Cards { cards: cards.to_vec() })
}

fn add_card() -> UserAction {
    UserAction::AddCard { product: "mastercard-debit".into() }
}

fn ask_for_card() -> Output {
    ask(Request::AddCard { product: "mastercard-debit".into(), unit: unit() })
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
