//! The app against a real band and a real cloud: everything between them crosses as bytes, in no time.

use std::collections::VecDeque;
use std::sync::Arc;

use band_sim::band::profile::BandProfile;
use band_sim::band::{Band, Button, Display, Input as BandInput, Output as BandOutput, WriteMode};
use band_sim::card::Interface;
use band_sim::card::profile::KeyHex;
use band_sim::rng::Rng;
use band_sim::time::Instant;
use band_sim::wire::apdu::CApdu;
use band_sim::wire::gatt::{CharacteristicId, Handle};
use band_sim::wire::hex::Hex;
use band_sim::wire::tag::TAG_9F7F_CPLC;
use band_sim::wire::tlv;
use bandrig::cloud::api::{AccountId, CardId, CardState, OtpMethod, Refusal};
use bandrig::cloud::bank::BankSettings;
use bandrig::cloud::certificates::CardKeys;
use bandrig::cloud::pairing::PairingKey;
use bandrig::cloud::scp03_host::{AesKey, IsdKeys};
use bandrig::cloud::unit::UnitRecord;
use bandrig::cloud::{Cloud, CloudConfig};
use bandrig::phone::io::{Input, LinkCommand, LinkEvent, Notice, Output, Shown, UserAction};
use bandrig::phone::{Phone, PhoneConfig};

/// 2025-06-15 in the afternoon.
const EPOCH_UNIX_US: i64 = 1_750_000_000_000_000;
/// More than any action asks for.
const MAX_STEPS: usize = 20_000;

/// What the wearer does when the band asks for a tap.
#[derive(Clone, Copy)]
enum Wearer {
    Taps,
    Denies,
    Sleeps,
}

/// Something that goes wrong once. The first two count writes and notifications on the NFC channel, the others requests to the
/// cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    LinkLost { at: usize },
    AppLeft { at: usize },
    RequestLost { at: usize },
    ReplyLost { at: usize },
}

#[derive(Clone)]
struct Bench {
    phone: Phone,
    band: Band,
    cloud: Cloud,
    now: Instant,
    linked: bool,
    in_reach: bool,
    wearer: Wearer,
    mishap: Option<Mishap>,
    fragments: usize,
    requests: usize,
    /// What the link asked of the band and awaits an answer to.
    awaited: VecDeque<LinkCommand>,
    shown: Vec<Notice>,
}

fn fixture(path: &str) -> String {
    std::fs::read_to_string(format!("{}/../fixtures/{path}", env!("CARGO_MANIFEST_DIR"))).expect(path)
}

fn profile() -> BandProfile {
    serde_yaml::from_str(&fixture("profiles/mi-smart-band-4-nfc.yaml")).expect("profile")
}

fn cloud_for(profile: &BandProfile, band: &Band, bank: BankSettings) -> Cloud {
    let cplc = band.card().clone().handle(Interface::Wired, &CApdu::new(0x80, 0xCA, 0x9F, 0x7F).with_ne(256)).data;
    let cplc = Hex(tlv::find(&cplc, TAG_9F7F_CPLC).expect("CPLC").to_vec());
    let domain = &profile.secure_element.issuer_security_domain;
    let key = |KeyHex(bytes): &KeyHex| AesKey::new(bytes).expect("length");
    let keys = &domain.keys.value;
    let keys =
        IsdKeys { version: domain.key_version.value, enc: key(&keys.enc), mac: key(&keys.mac), dek: key(&keys.dek) };
    let product = |name: &str| serde_yaml::from_str(&fixture(&format!("cards/{name}.yaml"))).expect("product");
    let config = CloudConfig {
        accounts: serde_yaml::from_str(&fixture("accounts.yaml")).expect("accounts"),
        products: ["mastercard-debit", "mastercard-credit"].map(product).into(),
        card_keys: CardKeys::default(),
        bank,
        units: vec![UnitRecord { cplc, keys, scp03_i: domain.scp03_i.value.0 }],
        pairing_key: PairingKey::from_pem(&fixture("keys/pairing.pem")).expect("key"),
        warranty: serde_yaml::from_str(&fixture("warranty/registry.yaml")).expect("registry"),
        epoch_unix_us: EPOCH_UNIX_US,
    };
    Cloud::new(config, Rng::new(1).fork("cloud"))
}

impl Bench {
    fn new() -> Self {
        let profile = profile();
        let band = Band::new(Arc::new(profile.clone()), Rng::new(1).fork("band"), EPOCH_UNIX_US);
        let cloud = cloud_for(&profile, &band, BankSettings::default());
        let config = PhoneConfig { epoch_unix_us: EPOCH_UNIX_US, ..PhoneConfig::default() };
        Self {
            phone: Phone::new(config, Rng::new(1).fork("phone")),
            band,
            cloud,
            now: Instant::from_micros(1_000_000),
            linked: false,
            in_reach: true,
            wearer: Wearer::Taps,
            mishap: None,
            fragments: 0,
            requests: 0,
            awaited: VecDeque::new(),
            shown: Vec::new(),
        }
    }

    fn linked() -> Self {
        let mut bench = Self::new();
        bench.sign_in("alice");
        assert_eq!(bench.act(UserAction::LinkBand), Ok(Shown::Done));
        bench
    }

    fn sign_in(&mut self, name: &str) {
        let shown = self.act(UserAction::SignIn { account: AccountId(name.into()) });
        assert!(matches!(shown, Ok(Shown::SignedIn { .. })), "{shown:?}");
    }

    /// Runs an action to its end, however long that takes.
    #[track_caller]
    fn act(&mut self, action: UserAction) -> Result<Shown, Refusal> {
        let mut done = self.settle(Input::User(action));
        while self.phone.is_busy() {
            let Output::Wait(Some(until)) = self.phone.poll() else { panic!("the phone waits for nothing") };
            self.now = until;
            self.give_band(BandInput::Tick);
            done = done.or(self.settle(Input::Tick));
        }
        done.expect("an action that has ended")
    }

    /// One input to the phone, and all that follows from it.
    fn settle(&mut self, input: Input) -> Option<Result<Shown, Refusal>> {
        let mut done = None;
        self.phone.handle(self.now, input);
        for _ in 0..MAX_STEPS {
            if let Some(input) = self.next_from_band() {
                self.phone.handle(self.now, input);
                continue;
            }
            match self.phone.poll() {
                Output::Link(command) => self.link(command),
                Output::Cloud(envelope) => {
                    let here = self.requests;
                    self.requests += 1;
                    let is_heard = self.mishap != Some(Mishap::RequestLost { at: here });
                    let reply = is_heard.then(|| self.cloud.handle(self.now, envelope));
                    let reply = reply.filter(|_| self.mishap != Some(Mishap::ReplyLost { at: here }));
                    self.phone.handle(self.now, Input::Cloud(reply));
                }
                Output::Ui(notice) => self.shown.push(notice),
                Output::Done(result) => done = Some(result),
                Output::Wait(_) => return done,
            }
        }
        panic!("never settles");
    }

    fn handle(&self, characteristic: CharacteristicId) -> Handle {
        self.band.profile().gatt.value_handle(&characteristic).expect("in the table")
    }

    fn give_band(&mut self, input: BandInput) {
        self.band.handle(self.now, input);
    }

    fn link(&mut self, command: LinkCommand) {
        match command.clone() {
            LinkCommand::Connect if self.in_reach => {
                self.linked = true;
                self.give_band(BandInput::Connected { mtu: 23 });
                let address = self.band.profile().identity.address();
                let connected = LinkEvent::Connected { address, mtu: 23 };
                self.phone.handle(self.now, Input::Link(connected));
            }
            LinkCommand::Connect => self.phone.handle(self.now, Input::Link(LinkEvent::ConnectFailed)),
            LinkCommand::Disconnect => self.lose_link(),
            _ if !self.linked => {}
            LinkCommand::Subscribe { characteristic } => {
                self.awaited.push_back(command);
                let handle = self.handle(characteristic);
                self.give_band(BandInput::Subscribe { handle, on: true });
            }
            LinkCommand::Read { characteristic } => {
                self.awaited.push_back(command);
                let handle = self.handle(characteristic);
                self.give_band(BandInput::Read { handle });
            }
            LinkCommand::Write { characteristic, value, with_response } => {
                if characteristic == CharacteristicId::NFC_CHANNEL && self.strikes() {
                    return;
                }
                if with_response {
                    self.awaited.push_back(command);
                }
                let mode = if with_response { WriteMode::Request } else { WriteMode::Command };
                let handle = self.handle(characteristic);
                self.give_band(BandInput::Write { handle, value, mode });
            }
        }
    }

    fn lose_link(&mut self) {
        if std::mem::take(&mut self.linked) {
            self.awaited.clear();
            self.give_band(BandInput::Disconnected);
            self.phone.handle(self.now, Input::Link(LinkEvent::Disconnected));
        }
    }

    /// Counts what crosses the NFC channel; whether the link is lost by it.
    fn strikes(&mut self) -> bool {
        let here = self.fragments;
        self.fragments += 1;
        match self.mishap {
            Some(Mishap::LinkLost { at }) if at == here => self.lose_link(),
            Some(Mishap::AppLeft { at }) if at == here => self.phone.handle(self.now, Input::Foreground(false)),
            _ => return false,
        }
        !self.linked
    }

    /// What the band says next, as the link tells the phone.
    fn next_from_band(&mut self) -> Option<Input> {
        loop {
            match self.band.poll() {
                BandOutput::Wait(_) => return None,
                BandOutput::Notify { handle, value } => {
                    let characteristic = self.characteristic(handle);
                    if characteristic == CharacteristicId::NFC_CHANNEL && self.strikes() || !self.linked {
                        continue;
                    }
                    return Some(Input::Link(LinkEvent::Notified { characteristic, value }));
                }
                BandOutput::ReadReply(result) => match self.awaited.pop_front() {
                    Some(LinkCommand::Read { characteristic }) => {
                        return Some(Input::Link(LinkEvent::ReadDone { characteristic, result }));
                    }
                    other => panic!("a read is answered, awaited was {other:?}"),
                },
                BandOutput::WriteReply(result) => match self.awaited.pop_front() {
                    Some(LinkCommand::Subscribe { characteristic }) => {
                        return Some(Input::Link(LinkEvent::Subscribed { characteristic, result }));
                    }
                    Some(LinkCommand::Write { characteristic, .. }) => {
                        return Some(Input::Link(LinkEvent::WriteDone { characteristic, result }));
                    }
                    // Asked of a link that is gone.
                    None if !self.linked => {}
                    other => panic!("a write is answered, awaited was {other:?}"),
                },
                BandOutput::Disconnect => self.lose_link(),
                BandOutput::Display(Display::ConfirmPairing) => match self.wearer {
                    Wearer::Taps => self.give_band(BandInput::Button(Button::Confirm)),
                    Wearer::Denies => self.give_band(BandInput::Button(Button::Deny)),
                    Wearer::Sleeps => {}
                },
                BandOutput::Display(_) | BandOutput::Event(_) | BandOutput::Contactless(_) => {}
            }
        }
    }

    fn characteristic(&self, handle: Handle) -> CharacteristicId {
        let gatt = &self.band.profile().gatt;
        let id = CharacteristicId::ALL.iter().find(|id| gatt.value_handle(id) == Some(handle));
        *id.expect("in the table")
    }

    #[track_caller]
    fn add(&mut self, product: &str) -> CardId {
        match self.act(UserAction::AddCard { product: product.into() }) {
            Ok(Shown::CardAdded { card }) => {
                assert_eq!(card.state, CardState::WaitingForCode);
                card.card
            }
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn activate(&mut self, card: &CardId) {
        let request = UserAction::RequestCode { card: card.clone(), method: OtpMethod::Sms };
        assert!(matches!(self.act(request), Ok(Shown::CodeSent { requests_left: 2, .. })));
        let code = self.cloud.take_sms().pop().expect("a message").code;
        let confirmed = Shown::Confirmed { card: card.clone(), on_band: true };
        assert_eq!(self.act(UserAction::EnterCode { card: card.clone(), code }), Ok(confirmed));
    }

    /// R13: app, bank and band have the same cards, in the same order.
    #[track_caller]
    fn assert_agreement(&mut self, cards: usize) {
        let shown = self.act(UserAction::CardList);
        let Ok(Shown::Cards { cards: listed }) = shown else { panic!("{shown:?}") };
        let bank: Vec<_> = self.cloud.cards_of(self.now, &AccountId("alice".into()));
        assert_eq!(listed, bank, "the app's list is the bank's");
        let instances: Vec<_> = listed.iter().map(|card| card.instance_aid.clone()).collect();
        let band: Vec<_> = self.band.card_list().into_iter().map(|card| card.aid.0).collect();
        assert_eq!(band, instances, "the band's list is the bank's");
        assert_eq!(listed.len(), cards);
    }
}

fn raw(bytes: &str) -> UserAction {
    UserAction::RawApdu { apdu: bytes.parse::<Hex>().expect("hex").0 }
}

fn answer(bench: &mut Bench, apdu: &str) -> Vec<u8> {
    match bench.act(raw(apdu)) {
        Ok(Shown::Answer { rapdu }) => rapdu,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_new_band_is_paired_linked_and_known() {
    let mut bench = Bench::linked();
    assert!(bench.shown.contains(&Notice::TapTheBand));
    let identity = bench.act(UserAction::ReadIdentity);
    let Ok(Shown::Identity { serial, software_revision, system_id, pnp_id, .. }) = identity else {
        panic!("{identity:?}")
    };
    assert_eq!((serial.as_str(), software_revision.as_str()), ("4f0a17c2d96e", "V1.0.9.70"));
    assert_eq!((system_id.len(), pnp_id.len()), (8, 7));
    assert!(matches!(bench.act(UserAction::ReadBattery), Ok(Shown::Battery { percent: 1..=100, .. })));
    let unix_s = (EPOCH_UNIX_US + i64::try_from(bench.now.as_micros()).expect("soon")) / 1_000_000;
    assert_eq!(bench.act(UserAction::ReadTime), Ok(Shown::Time { unix_s }));
    assert_eq!(bench.act(UserAction::SetTime { unix_s: 1 }), Ok(Shown::Done));
    assert_eq!(bench.act(UserAction::ReadTime), Ok(Shown::Time { unix_s: 1 }));
}

/// W1: a band nobody has paired says who it is.
#[test]
fn a_band_out_of_the_box_tells_its_serial_number() {
    let shown = Bench::new().act(UserAction::ReadIdentity);
    assert!(matches!(shown, Ok(Shown::Identity { serial, .. }) if serial == "4f0a17c2d96e"));
}

#[test]
fn the_wearer_may_deny_a_pairing_or_sleep_through_it() {
    for (wearer, refusal) in [(Wearer::Denies, Refusal::PairingDenied), (Wearer::Sleeps, Refusal::PairingTimeout)] {
        let mut bench = Bench::new();
        bench.sign_in("alice");
        bench.wearer = wearer;
        assert_eq!(bench.act(UserAction::LinkBand), Err(refusal));
        bench.wearer = Wearer::Taps;
        assert_eq!(bench.act(UserAction::LinkBand), Ok(Shown::Done));
    }
}

#[test]
fn raw_apdus_find_the_card_as_the_last_one_left_it() {
    let mut bench = Bench::linked();
    let selected = answer(&mut bench, "00 A4 04 00 08 A0 00 00 01 51 00 00 00 00");
    assert_eq!((selected.first(), &selected[selected.len() - 2..]), (Some(&0x6F), &[0x90, 0x00][..]));
    let cplc = answer(&mut bench, "80 CA 9F 7F 00");
    assert_eq!(cplc[..3], [0x9F, 0x7F, 0x2A]);
    assert_eq!(answer(&mut bench, "00 A4 04 00 07 A0 00 00 00 04 10 10 00"), [0x6A, 0x82]);
    assert_eq!(bench.act(UserAction::Refresh), Ok(Shown::Done));
}

#[test]
fn a_card_is_added_confirmed_looked_at_and_removed() {
    let mut bench = Bench::linked();
    let debit = bench.add("mastercard-debit");
    bench.assert_agreement(1);
    assert_eq!(bench.act(UserAction::History { card: debit.clone() }), Err(Refusal::NotConfirmed));
    bench.activate(&debit);
    bench.assert_agreement(1);
    assert_eq!(bench.act(UserAction::History { card: debit.clone() }), Ok(Shown::History { entries: vec![] }));
    let credit = bench.add("mastercard-credit");
    bench.activate(&credit);
    assert_eq!(bench.act(UserAction::SetOrder { cards: vec![credit.clone(), debit.clone()] }), Ok(Shown::Done));
    bench.assert_agreement(2);
    assert_eq!(bench.phone.card_list().first().map(|card| &card.card), Some(&credit));
    let removed = Shown::Removed { card: credit.clone(), pending: false };
    assert_eq!(bench.act(UserAction::RemoveCard { card: credit }), Ok(removed));
    bench.assert_agreement(1);
}

/// R2: the bank hears the code although the band is out of reach; the band follows when it is seen.
#[test]
fn a_code_may_be_entered_while_the_band_is_away() {
    let mut bench = Bench::linked();
    let card = bench.add("mastercard-debit");
    bench.act(UserAction::RequestCode { card: card.clone(), method: OtpMethod::Sms }).expect("sent");
    let code = bench.cloud.take_sms().pop().expect("a message").code;
    bench.in_reach = false;
    bench.lose_link();
    let confirmed = Shown::Confirmed { card: card.clone(), on_band: false };
    assert_eq!(bench.act(UserAction::EnterCode { card: card.clone(), code }), Ok(confirmed));
    bench.in_reach = true;
    bench.assert_agreement(1);
    assert_eq!(bench.act(UserAction::History { card }), Ok(Shown::History { entries: vec![] }));
}

/// R7: the data leaves the band when it is next seen.
#[test]
fn a_card_removed_from_a_lost_band_leaves_it_later() {
    let mut bench = Bench::linked();
    let card = bench.add("mastercard-debit");
    bench.activate(&card);
    bench.in_reach = false;
    bench.lose_link();
    let removed = Shown::Removed { card: card.clone(), pending: true };
    assert_eq!(bench.act(UserAction::RemoveCard { card }), Ok(removed));
    let shown = bench.act(UserAction::CardList);
    assert!(matches!(shown, Ok(Shown::Cards { cards }) if cards[0].state == CardState::Deleting));
    assert_eq!(bench.band.card_list().len(), 1);
    bench.in_reach = true;
    bench.assert_agreement(0);
}

/// R6: the band was alice's; once bob links it, her cards are gone.
#[test]
fn another_account_finds_the_band_empty() {
    let mut bench = Bench::linked();
    let card = bench.add("mastercard-debit");
    bench.activate(&card);
    assert_eq!(bench.act(UserAction::UnlinkBand), Ok(Shown::Done));
    assert!(bench.shown.contains(&Notice::DeleteCardsFirst { cards: 1 }));
    let mut same = bench.clone();
    assert_eq!(same.act(UserAction::LinkBand), Ok(Shown::Done));
    same.assert_agreement(1);
    bench.sign_in("bob");
    assert_eq!(bench.act(UserAction::LinkBand), Ok(Shown::Done));
    assert!(bench.band.card_list().is_empty());
}

#[test]
fn a_band_that_was_reset_knows_the_key_no_more() {
    let mut bench = Bench::linked();
    assert_eq!(bench.act(UserAction::FactoryReset), Ok(Shown::Done));
    assert_eq!(bench.act(UserAction::Refresh), Err(Refusal::WrongKey));
    assert_eq!(bench.act(UserAction::LinkBand), Ok(Shown::Done));
    bench.assert_agreement(0);
}

#[test]
fn a_raw_write_without_a_key_opens_nothing() {
    let mut bench = Bench::linked();
    let open =
        UserAction::RawWrite { characteristic: CharacteristicId::NFC_CHANNEL, value: vec![0x01], authenticated: false };
    let shown = bench.act(open);
    let Ok(Shown::Notifications { values, .. }) = shown else { panic!("{shown:?}") };
    assert!(values.iter().all(|(_, value)| value[..] != [0x81, 0x00]), "{values:?}");
    assert_eq!(bench.act(UserAction::Refresh), Ok(Shown::Done));
}

/// R10: whatever goes wrong in an add, nothing of the card stays anywhere, and adding it again works.
fn a_mishap_leaves_no_half_card(points: impl Fn(&Bench) -> usize, mishap: impl Fn(usize) -> Mishap) {
    let mut start = Bench::linked();
    (start.fragments, start.requests) = (0, 0);
    let mut whole = start.clone();
    whole.add("mastercard-debit");
    let points = points(&whole);
    assert!(points >= 3, "{points} points");
    let mut failed = 0;
    for at in 0..points {
        let mut bench = start.clone();
        bench.mishap = Some(mishap(at));
        let shown = bench.act(UserAction::AddCard { product: "mastercard-debit".into() });
        bench.mishap = None;
        bench.settle(Input::Foreground(true));
        match shown {
            // It waited for its code already.
            Ok(Shown::CardAdded { .. }) => bench.assert_agreement(1),
            Err(Refusal::Interrupted) => {
                failed += 1;
                if bench.linked {
                    assert!(bench.band.card_list().is_empty(), "at {at}: cleaned up at once");
                }
                bench.assert_agreement(0);
                bench.add("mastercard-debit");
                bench.assert_agreement(1);
            }
            other => panic!("at {at}: {other:?}"),
        }
    }
    assert!(failed + 2 >= points, "{failed} of {points} points made the add fail");
}

#[test]
fn a_link_lost_at_any_fragment_of_an_add_leaves_no_half_card() {
    a_mishap_leaves_no_half_card(|whole| whole.fragments, |at| Mishap::LinkLost { at });
}

#[test]
fn an_app_left_at_any_fragment_of_an_add_leaves_no_half_card() {
    a_mishap_leaves_no_half_card(|whole| whole.fragments, |at| Mishap::AppLeft { at });
}

#[test]
fn a_request_lost_in_an_add_leaves_no_half_card() {
    a_mishap_leaves_no_half_card(|whole| whole.requests, |at| Mishap::RequestLost { at });
}

#[test]
fn a_reply_lost_in_an_add_leaves_no_half_card() {
    a_mishap_leaves_no_half_card(|whole| whole.requests, |at| Mishap::ReplyLost { at });
}
