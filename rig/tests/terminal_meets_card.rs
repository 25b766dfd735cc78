//! The terminal against the real secure element and the real bank: personalised by the cloud's scripts, tapped in the field.

use band_sim::card::profile::CardProfile;
use band_sim::card::{Card, Interface};
use band_sim::rng::Rng;
use band_sim::time::Instant;
use band_sim::wire::apdu::{CApdu, RApdu};
use band_sim::wire::hex::Hex;
use band_sim::wire::{tag, tlv};
use bandrig::cloud::api::{
    AccountId, AppVersion, AuthorisationReason, CardId, Envelope, OtpMethod, Reply, Request, ScriptAnswer, Unit,
};
use bandrig::cloud::bank::BankSettings;
use bandrig::cloud::pairing::PairingKey;
use bandrig::cloud::product::CardProduct;
use bandrig::cloud::unit::UnitRecord;
use bandrig::cloud::warranty::WarrantyRegistry;
use bandrig::cloud::{Cloud, CloudConfig};
use bandrig::terminal::Terminal;
use bandrig::terminal::config::TerminalConfig;
use bandrig::terminal::io::{Cvm, Input, Outcome, Output, Purchase, Receipt};

/// 2025-06-15 12:00:00 UTC.
const NOON: i64 = 1_749_988_800;

/// A band's secure element with what stands behind it.
struct World {
    cloud: Cloud,
    card: Card,
    unit: Unit,
    rng: Rng,
    reason: Option<AuthorisationReason>,
}

fn fixture(path: &str) -> String {
    std::fs::read_to_string(format!("{}/../fixtures/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn terminal(name: &str) -> TerminalConfig {
    let mut terminal: TerminalConfig = serde_yaml::from_str(&fixture(&format!("terminals/{name}.yaml"))).unwrap();
    terminal.ca_public_keys = serde_yaml::from_str(&fixture("keys/authorities.yaml")).unwrap();
    terminal
}

impl World {
    fn new(products: &[&str]) -> Self {
        let profile = CardProfile::default();
        let mut card = Card::new(&profile, Rng::new(1));
        let cplc = card.handle(Interface::Wired, &CApdu::new(0x80, 0xCA, 0x9F, 0x7F).with_ne(256)).data;
        let cplc = tlv::find(&cplc, tag::TAG_9F7F_CPLC).unwrap().to_vec();
        let product =
            |name: &&str| serde_yaml::from_str::<CardProduct>(&fixture(&format!("cards/{name}.yaml"))).unwrap();
        let config = CloudConfig {
            accounts: serde_yaml::from_str(&fixture("accounts.yaml")).unwrap(),
            products: products.iter().map(product).collect(),
            card_keys: serde_yaml::from_str(&fixture("keys/issuers.yaml")).unwrap(),
            bank: BankSettings::default(),
            units: vec![unit_record(&profile, &cplc)],
            pairing_key: PairingKey::from_pem(&fixture("keys/pairing.pem")).unwrap(),
            warranty: WarrantyRegistry::default(),
            epoch_unix_us: NOON * 1_000_000,
        };
        let unit = Unit { serial: "1".into(), cplc };
        let mut world = Self { cloud: Cloud::new(config, Rng::new(2)), card, unit, rng: Rng::new(3), reason: None };
        let _ = world.ask(Request::BindBand { unit: world.unit.clone() });
        world
    }

    fn ask(&mut self, request: Request) -> Reply {
        let account = Some(AccountId("alice".into()));
        self.cloud.handle(Instant::ZERO, Envelope { account, app_version: AppVersion(4, 0, 0), request })
    }

    /// Asks, and lets the secure element carry out what the cloud wants done. Gives the card that the job was about.
    fn perform(&mut self, request: Request) -> Option<CardId> {
        let mut reply = self.ask(request);
        loop {
            match reply {
                Reply::Job { job, batch } => {
                    let answers = batch.iter().enumerate().map(|(index, command)| {
                        let answer = self.card.handle_bytes(Interface::Wired, &command.apdu);
                        let RApdu { data, sw } = RApdu::decode(&answer).unwrap();
                        ScriptAnswer { index: index.try_into().unwrap(), data, sw: sw.value() }
                    });
                    let answers = answers.collect();
                    reply = self.ask(Request::PostAnswers { job, answers });
                }
                Reply::JobDone { card, .. } => return card.map(|view| view.card),
                Reply::Done => return None,
                other => panic!("{other:?}"),
            }
        }
    }

    fn add(&mut self, product: &str) -> CardId {
        self.perform(Request::AddCard { product: product.into(), unit: self.unit.clone() }).unwrap()
    }

    fn activate(&mut self, card: &CardId) {
        let _ = self.ask(Request::RequestCode { card: card.clone(), method: OtpMethod::Sms });
        let code = self.cloud.take_sms().pop().unwrap().code;
        self.perform(Request::EnterCode { card: card.clone(), code, unit: self.unit.clone() });
    }

    /// One tap; the customer types `pin`.
    fn tap(&mut self, config: &TerminalConfig, amount_minor: u64, pin: &str) -> Receipt {
        self.card.reset(Interface::Contactless);
        let mut terminal = Terminal::new(config.clone().into());
        let purchase = Purchase {
            amount_minor,
            amount_other_minor: 0,
            currency: config.currency.number,
            unix_s: NOON,
            unpredictable_number: self.rng.array(),
        };
        terminal.handle(Instant::ZERO, Input::Start(purchase));
        loop {
            let input = match terminal.poll() {
                Output::Note(_) => continue,
                Output::Command(command) => Input::Answer(self.card.handle_bytes(Interface::Contactless, &command)),
                Output::AskPin => Input::Pin(Some(pin.into())),
                Output::Online(request) => {
                    let reply = self.cloud.authorise(Instant::ZERO, &request);
                    self.reason = Some(reply.reason);
                    Input::Online(Some(reply))
                }
                Output::Done(receipt) => return *receipt,
                Output::Wait(_) => panic!("nothing left to do"),
            };
            terminal.handle(Instant::ZERO, input);
        }
    }
}

fn unit_record(profile: &CardProfile, cplc: &[u8]) -> UnitRecord {
    let domain = &profile.issuer_security_domain;
    let keys = &domain.keys.value;
    let text = format!(
        "cplc: \"{}\"\nkeys: {{ version: {}, enc: \"{}\", mac: \"{}\", dek: \"{}\" }}\nscp03_i: 0x{:02X}\n",
        Hex(cplc.to_vec()),
        domain.key_version.value,
        keys.enc.0,
        keys.mac.0,
        keys.dek.0,
        domain.scp03_i.value.0
    );
    serde_yaml::from_str(&text).unwrap()
}

#[test]
fn a_band_pays_everywhere_as_the_settings_of_the_shop_demand() {
    let cases = [
        ("corner-shop", 420, Outcome::Approved, Cvm::None),
        ("corner-shop", 5000, Outcome::Approved, Cvm::None),
        ("corner-shop", 5001, Outcome::TryAnotherInterface, Cvm::None),
        ("restaurant", 5000, Outcome::Approved, Cvm::None),
        ("restaurant", 5001, Outcome::Approved, Cvm::OnlinePin),
        ("transit-gate", 280, Outcome::Approved, Cvm::None),
        ("supermarket-uah", 10_000, Outcome::Approved, Cvm::None),
        ("signature-shop", 3000, Outcome::Approved, Cvm::Signature),
        ("no-cdcvm", 20_000, Outcome::Approved, Cvm::None),
        // No line, and a card that may decide nothing alone.
        ("petrol-pump", 3000, Outcome::Declined, Cvm::None),
    ];
    let mut world = World::new(&["mastercard-debit"]);
    let card = world.add("mastercard-debit");
    world.activate(&card);
    for (name, amount, outcome, cvm) in cases {
        let receipt = world.tap(&terminal(name), amount, "4315");
        assert_eq!((receipt.outcome, receipt.cvm), (outcome, cvm), "{name} {amount}: {receipt}");
    }
}

#[test]
fn a_visa_band_pays_everywhere_as_the_settings_of_the_shop_demand() {
    let cases = [
        ("corner-shop", 420, Outcome::Approved, Cvm::None),
        // Kernel 3 has an outcome of its own for no verification in common.
        ("corner-shop", 5001, Outcome::Declined, Cvm::Failed),
        ("restaurant", 4999, Outcome::Approved, Cvm::None),
        ("restaurant", 5001, Outcome::Approved, Cvm::OnlinePin),
        ("transit-gate", 280, Outcome::Approved, Cvm::None),
        ("signature-shop", 3000, Outcome::Approved, Cvm::Signature),
        // No line, and a card that may decide nothing alone.
        ("petrol-pump", 3000, Outcome::Declined, Cvm::None),
    ];
    for product in ["visa-debit", "visa-platinum"] {
        let mut world = World::new(&[product]);
        let card = world.add(product);
        world.activate(&card);
        let pin = if product == "visa-debit" { "5161" } else { "7383" };
        for (name, amount, outcome, cvm) in cases {
            let receipt = world.tap(&terminal(name), amount, pin);
            assert_eq!((receipt.outcome, receipt.cvm), (outcome, cvm), "{product} {name} {amount}: {receipt}");
        }
    }
}

#[test]
fn a_card_with_offline_limits_pays_without_a_line_until_they_are_reached() {
    for product in ["mastercard-prepaid", "visa-credit"] {
        let mut world = World::new(&[product]);
        let card = world.add(product);
        world.activate(&card);
        let mut pay = |amount| {
            let receipt = world.tap(&terminal("petrol-pump"), amount, "");
            (receipt.outcome, receipt.online, receipt.to_string())
        };
        for amount in [1000, 2000] {
            let (outcome, online, receipt) = pay(amount);
            assert_eq!((outcome, online), (Outcome::Approved, false), "{product} {amount}: {receipt}");
        }
        // 50.00 EUR in sum would be exceeded.
        assert_eq!(pay(2001).0, Outcome::Declined, "{product}");
        assert_eq!(pay(2000).0, Outcome::Approved, "{product}");
        // The fourth in a row.
        assert_eq!(pay(1).0, Outcome::Declined, "{product}");
    }
}

#[test]
fn a_terminal_that_authenticates_online_payments_sees_what_a_card_signed() {
    for product in ["mastercard-credit", "visa-debit"] {
        let mut world = World::new(&[product]);
        let card = world.add(product);
        world.activate(&card);
        let mut careful = terminal("corner-shop");
        careful.kernels.kernel_3.as_mut().unwrap().oda_for_online_authorisation = true;
        let receipt = world.tap(&careful, 420, "");
        assert_eq!((receipt.outcome, receipt.online), (Outcome::Approved, true), "{product}: {receipt}");
        // Another authority under the same index: the chain does not hold.
        careful.ca_public_keys.iter_mut().for_each(|key| key.modulus.0[5] ^= 0x10);
        let receipt = world.tap(&careful, 420, "");
        assert_ne!(receipt.outcome, Outcome::Approved, "{product}: {receipt}");
    }
}

#[test]
fn each_tap_has_its_own_counter_and_the_bank_records_it() {
    let mut world = World::new(&["mastercard-debit"]);
    let card = world.add("mastercard-debit");
    world.activate(&card);
    let counters: Vec<_> = (0..3).map(|_| world.tap(&terminal("corner-shop"), 420, "").atc.unwrap()).collect();
    assert_eq!(counters, [1, 2, 3]);
    let Reply::History { entries } = world.ask(Request::History { card }) else { panic!() };
    let recorded: Vec<_> = entries.iter().map(|entry| (entry.atc, entry.amount_minor, entry.approved)).collect();
    assert_eq!(recorded, [(3, 420, true), (2, 420, true), (1, 420, true)]);
}

#[test]
fn a_wrong_pin_is_the_bank_s_no() {
    let mut world = World::new(&["mastercard-debit"]);
    let card = world.add("mastercard-debit");
    world.activate(&card);
    let receipt = world.tap(&terminal("restaurant"), 6000, "0000");
    assert_eq!((receipt.outcome, world.reason), (Outcome::Declined, Some(AuthorisationReason::PinWrong)), "{receipt}");
}

#[test]
fn a_card_that_waits_for_its_code_is_not_in_the_field() {
    let mut world = World::new(&["mastercard-debit"]);
    let _ = world.add("mastercard-debit");
    let receipt = world.tap(&terminal("corner-shop"), 420, "");
    assert_eq!((receipt.outcome, receipt.atc), (Outcome::EndApplication, None), "{receipt}");
}

#[test]
fn a_blocked_card_goes_online_and_is_declined_there() {
    let mut world = World::new(&["mastercard-debit"]);
    let card = world.add("mastercard-debit");
    world.activate(&card);
    world.cloud.bank_suspend(&card).unwrap();
    let receipt = world.tap(&terminal("corner-shop"), 420, "");
    assert_eq!((receipt.outcome, world.reason), (Outcome::Declined, Some(AuthorisationReason::TokenSuspended)));
}

#[test]
fn the_first_card_in_the_order_pays() {
    let mut world = World::new(&["mastercard-debit", "mastercard-credit"]);
    let cards = ["mastercard-debit", "mastercard-credit"].map(|product| world.add(product));
    cards.iter().for_each(|card| world.activate(card));
    let [debit, credit] = cards;
    let first = world.tap(&terminal("corner-shop"), 420, "").aid;
    world.perform(Request::SetOrder { cards: vec![credit, debit] });
    let second = world.tap(&terminal("corner-shop"), 420, "").aid;
    assert!(first.is_some() && second.is_some() && first != second);
}
