//! The whole phone with its cloud, in real time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use band_sim::band::profile::BandProfile;
use band_sim::rng::Rng;
use band_sim::time;
use band_sim::wire::hex::Hex;
use band_sim::wire::tag::TAG_9F7F_CPLC;
use band_sim::wire::tlv;
use bandrig::cloud::api::{AccountId, CardId, OtpMethod, Refusal};
use bandrig::cloud::bank::BankSettings;
use bandrig::cloud::scp03_host::{AesKey, IsdKeys};
use bandrig::cloud::unit::UnitRecord;
use bandrig::cloud::{Cloud, CloudConfig};
use bandrig::link::ble::{Ble, BleError, HangUp};
use bandrig::phone::io::{Input, LinkCommand, Output, Shown, UserAction};
use bandrig::phone::{Phone, PhoneConfig};
use bandrig::station::fixtures::Fixtures;

use crate::{Checks, Cli, broken};

pub const PROFILE: &str = "mi-smart-band-4-nfc";
const SELECT_ISD: &[u8] = &[0x00, 0xA4, 0x04, 0x00, 0x08, 0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00];
const GET_CPLC: &[u8] = &[0x80, 0xCA, 0x9F, 0x7F, 0x00];
/// Where the phone waits for nothing with a deadline.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Bench {
    phone: Phone,
    cloud: Cloud,
    ble: Ble,
    started: Instant,
    /// Time spent waiting for the link.
    waited: Duration,
    commands: usize,
    /// The link is dropped instead of sending the command of this number.
    drop_at: Option<usize>,
}

impl Bench {
    /// A phone that knows the band's key, and a cloud that knows its secure element.
    pub fn new(cli: &Cli, seed: u64, hang_up: HangUp) -> Result<Self, BleError> {
        let fixtures = Fixtures::load(&cli.fixtures).expect("the fixtures");
        let started = Instant::now();
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let epoch_unix_us = i64::try_from(since_1970.as_micros()).unwrap_or_default();
        let phone = || {
            let config = PhoneConfig { epoch_unix_us, stored_key: Some(cli.key()), ..PhoneConfig::default() };
            Phone::new(config, Rng::new(seed).fork("phone"))
        };
        let cloud = |units| {
            let config = CloudConfig {
                accounts: fixtures.accounts.clone(),
                products: fixtures.products.values().cloned().collect(),
                bank: BankSettings::default(),
                units,
                card_keys: fixtures.card_keys.clone(),
                pairing_key: fixtures.pairing_key.clone(),
                warranty: fixtures.warranty.clone(),
                epoch_unix_us,
            };
            Cloud::new(config, Rng::new(seed).fork("cloud"))
        };
        let ble = Ble::open(cli.config(&cli.adapter, hang_up))?;
        let mut bench = Self {
            phone: phone(),
            cloud: cloud(Vec::new()),
            ble,
            started,
            waited: Duration::ZERO,
            commands: 0,
            drop_at: None,
        };
        let unit = bench.unit(&fixtures.profiles[PROFILE])?;
        bench.ble.send(LinkCommand::Disconnect);
        bench.listen(Instant::now() + Duration::from_secs(5));
        bench.phone = phone();
        bench.cloud = cloud(vec![unit]);
        Ok(bench)
    }

    fn unit(&mut self, profile: &BandProfile) -> Result<UnitRecord, BleError> {
        for apdu in [SELECT_ISD, GET_CPLC] {
            let Ok(Shown::Answer { rapdu }) = self.act(UserAction::RawApdu { apdu: apdu.to_vec() }) else {
                return Err(broken(self.ble.trouble()));
            };
            if let Some(cplc) = tlv::find(&rapdu, TAG_9F7F_CPLC) {
                let domain = &profile.secure_element.issuer_security_domain;
                let key = |bytes: &[u8]| AesKey::new(bytes).expect("a key of the profile");
                let keys = &domain.keys.value;
                let (enc, mac, dek) = (key(&keys.enc.0), key(&keys.mac.0), key(&keys.dek.0));
                let keys = IsdKeys { version: domain.key_version.value, enc, mac, dek };
                return Ok(UnitRecord { cplc: Hex(cplc.to_vec()), keys, scp03_i: domain.scp03_i.value.0 });
            }
        }
        Err(broken(self.ble.trouble()))
    }

    fn now(&self) -> time::Instant {
        time::Instant::ZERO + self.started.elapsed()
    }

    /// Runs an action to its end.
    pub fn act(&mut self, action: UserAction) -> Result<Shown, Refusal> {
        let mut input = Input::User(action);
        loop {
            let now = self.now();
            self.phone.handle(now, input);
            let until = loop {
                match self.phone.poll() {
                    Output::Link(command) => self.send(command),
                    Output::Cloud(envelope) => {
                        let now = self.now();
                        let reply = self.cloud.handle(now, envelope);
                        self.phone.handle(now, Input::Cloud(Some(reply)));
                    }
                    Output::Ui(_) => {}
                    Output::Done(result) => return result,
                    Output::Wait(until) => break until,
                }
            };
            let until = until
                .map_or(Instant::now() + PATIENCE, |until| self.started + Duration::from_micros(until.as_micros()));
            let waiting = Instant::now();
            input = self.ble.recv_deadline(until).map_or(Input::Tick, Input::Link);
            self.waited += waiting.elapsed();
        }
    }

    /// Hears what comes while nothing is being done.
    fn listen(&mut self, until: Instant) {
        while let Some(event) = self.ble.recv_deadline(until) {
            let ended = matches!(event, bandrig::phone::io::LinkEvent::Disconnected);
            let now = self.now();
            self.phone.handle(now, Input::Link(event));
            if ended {
                return;
            }
        }
    }

    fn send(&mut self, command: LinkCommand) {
        self.commands += 1;
        let command = if self.drop_at == Some(self.commands) { LinkCommand::Disconnect } else { command };
        self.ble.send(command);
    }

    /// Counts from here; the link is dropped instead of sending the command of this number, once.
    pub fn drop_at(&mut self, command: Option<usize>) {
        self.commands = 0;
        self.drop_at = command;
    }

    pub fn sign_in_and_link(&mut self) -> Result<Shown, Refusal> {
        self.act(UserAction::SignIn { account: AccountId("alice".into()) })?;
        self.act(UserAction::LinkBand)
    }

    pub fn add(&mut self, product: &str) -> Result<CardId, Refusal> {
        match self.act(UserAction::AddCard { product: product.into() })? {
            Shown::CardAdded { card } => Ok(card.card),
            other => panic!("an add ends with {other:?}"),
        }
    }

    pub fn activate(&mut self, card: &CardId) -> Result<Shown, Refusal> {
        self.act(UserAction::RequestCode { card: card.clone(), method: OtpMethod::Sms })?;
        let code = self.cloud.take_sms().pop().expect("a message").code;
        self.act(UserAction::EnterCode { card: card.clone(), code })
    }

    pub fn trouble(&self) -> Option<BleError> {
        self.ble.trouble()
    }
}

pub fn add_card(cli: &Cli, checks: &mut Checks) -> Result<(), BleError> {
    let mut bench = Bench::new(cli, 1, HangUp::default())?;
    let linked = bench.sign_in_and_link();
    checks.check("the band is linked", linked.is_ok(), &(&linked, bench.trouble()));
    let identity = bench.act(UserAction::ReadIdentity);
    checks.check("its identity is read", matches!(identity, Ok(Shown::Identity { .. })), &identity);
    let battery = bench.act(UserAction::ReadBattery);
    checks.check("its battery is read", matches!(battery, Ok(Shown::Battery { percent: 81, .. })), &battery);
    let time = bench.act(UserAction::ReadTime);
    checks.check("its clock is read", matches!(time, Ok(Shown::Time { .. })), &time);

    (bench.waited, bench.commands) = (Duration::ZERO, 0);
    let began = Instant::now();
    let added = bench.add("mastercard-debit");
    let (took, waited, commands) = (began.elapsed(), bench.waited, bench.commands);
    checks.check("a card is added", added.is_ok(), &(&added, bench.trouble()));
    let share = waited.as_secs_f64() / took.as_secs_f64();
    println!("        in {took:.2?}, {commands} commands, {:.1} % of it waiting for BlueZ", share * 100.0);
    let Ok(card) = added else { return Ok(()) };
    let confirmed = bench.activate(&card);
    let on_band = matches!(confirmed, Ok(Shown::Confirmed { on_band: true, .. }));
    checks.check("it is confirmed and active in the band", on_band, &confirmed);
    let history = bench.act(UserAction::History { card: card.clone() });
    checks.check("its history is read", matches!(history, Ok(Shown::History { .. })), &history);
    let removed = bench.act(UserAction::RemoveCard { card });
    checks.check("it is removed", matches!(removed, Ok(Shown::Removed { pending: false, .. })), &removed);
    Ok(())
}
