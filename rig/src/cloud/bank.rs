//! The bank: tokens and where they stand, confirmation codes, suspension, deletion. The band is never asked here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use band_sim::rng::Rng;
use band_sim::time::Instant;
use serde::{Deserialize, Serialize};

use super::account::AccountRecord;
use super::api::{AccountId, AppVersion, BankEntry, CardId, CardState, CardView, OtpMethod, Refusal, Sms};
use super::certificates::CardKeys;
use super::code::{CodeRules, Codes};
use super::perso::{self, Token};
use super::product::{Admission, CardProduct, Pan};
use super::unit::Cplc;

/// Messages that nobody has read; the oldest is dropped beyond that.
const MAX_UNREAD_SMS: usize = 64;

/// Payments that the bank remembers per card.
const MAX_HISTORY: usize = 100;

/// Payments that a history shows.
// R4
const HISTORY_SHOWN: usize = 10;

/// Dead tokens that the bank still knows as such; older ones are unknown to it.
const MAX_DEAD_TOKENS: usize = 1024;

/// The number of the first card; it only rises.
const FIRST_CARD: u32 = 1;

/// The bank's rules. Defaults are those of the rules' "open points".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BankSettings {
    /// R2: how long a confirmation code is valid, from the bank's instant of issue. Default `10m`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub code_valid_for: Duration,
    /// R1: how many codes may be requested per added card. Default 3.
    pub code_requests: u8,
    /// R1: how many wrong codes are taken before the card is locked. Default 3.
    pub code_attempts: u8,
    /// R1: whether a new code makes the older ones worthless. Default true.
    pub new_code_replaces_old: bool,
    /// R9: how many cards a band may hold, in any state. Default 6.
    pub max_cards: u8,
    /// R12: what becomes of payments with tokens of the old NFC service. Default `declined`.
    pub old_service_payments: OldServicePayments,
    /// R7: what a suspension does to the card in the band. Default `deactivates`.
    pub suspension: Suspension,
    /// R12: the app of the service update; tokens issued to an older app are old-service tokens. Default 4.0.0 (assumed).
    pub service_update: AppVersion,
    /// R10: how often, in each add, the bank says that its data is not ready (3007). Default 0.
    pub data_not_ready_times: u8,
    /// R10: how long the app then waits before it asks again (facts/band-ble.md 2.4). Default `4s`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub data_retry_after: Duration,
    /// R10: how often the app asks again before the add fails (facts/band-ble.md 2.4). Default 10.
    pub data_retries: u8,
}

impl Default for BankSettings {
    fn default() -> Self {
        Self {
            code_valid_for: Duration::from_secs(600),
            code_requests: 3,
            code_attempts: 3,
            new_code_replaces_old: true,
            max_cards: 6,
            old_service_payments: OldServicePayments::Declined,
            suspension: Suspension::Deactivates,
            service_update: AppVersion(4, 0, 0),
            data_not_ready_times: 0,
            data_retry_after: Duration::from_secs(4),
            data_retries: 10,
        }
    }
}

impl BankSettings {
    const fn code_rules(&self) -> CodeRules {
        CodeRules {
            valid_for: self.code_valid_for,
            requests: self.code_requests,
            attempts: self.code_attempts,
            new_replaces_old: self.new_code_replaces_old,
        }
    }
}

/// What becomes of payments with tokens of the old NFC service (R12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OldServicePayments {
    /// The bank declines them.
    #[default]
    Declined,
    /// The bank treats them like any other.
    Allowed,
}

/// What a suspension does to the card in the band (R7). Which one the real band's issuers use is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suspension {
    /// It may no longer be activated: readers do not find it.
    #[default]
    Deactivates,
    /// Its application is blocked, as by APPLICATION BLOCK: readers find it with a warning, and it declines (EMV 4.4 B3 6.5.1).
    BlocksApplication,
}

/// The bank's own number of an added card. Its [`CardId`] is `card-N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CardKey(u32);

impl CardKey {
    pub(super) fn id(self) -> CardId {
        CardId(format!("card-{}", self.0))
    }

    fn of(id: &CardId) -> Option<Self> {
        let number = id.0.strip_prefix("card-")?.parse().ok()?;
        (Self(number).id() == *id).then_some(Self(number))
    }
}

/// How far a card has come at the bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its personalisation has not ended.
    Adding,
    /// In the band, not confirmed.
    Waiting,
    /// Confirmed by a code.
    Confirmed,
    /// Dead; the band may still hold its data.
    Deleted,
    /// Dead, and nowhere any more.
    Gone,
}

/// One added card.
#[derive(Clone, Debug)]
pub(super) struct BankCard {
    pub(super) key: CardKey,
    pub(super) owner: AccountId,
    pub(super) unit: Cplc,
    pub(super) product: Arc<CardProduct>,
    pub(super) token: Token,
    pub(super) instance: Vec<u8>,
    pub(super) phase: Phase,
    pub(super) suspended: bool,
    pub(super) old_service: bool,
    pub(super) codes: Codes,
    /// Application transaction counters that came with a right cryptogram.
    pub(super) counters: BTreeSet<u16>,
    history: VecDeque<BankEntry>,
}

impl BankCard {
    /// Whether the token lives: payments aside, whether the holder still has the card.
    pub(super) const fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Adding | Phase::Waiting | Phase::Confirmed)
    }

    /// Whether lists show it.
    pub(super) const fn is_listed(&self) -> bool {
        !matches!(self.phase, Phase::Gone)
    }

    /// Whether its holder has proved to be one.
    pub(super) const fn is_confirmed(&self) -> bool {
        matches!(self.phase, Phase::Confirmed)
    }

    /// Takes a payment into the record.
    // R4
    pub(super) fn record(&mut self, entry: BankEntry) {
        self.history.push_front(entry);
        self.history.truncate(MAX_HISTORY);
    }
}

/// The bank.
#[derive(Clone, Debug)]
pub(super) struct Bank {
    pub(super) settings: BankSettings,
    products: BTreeMap<String, Arc<CardProduct>>,
    pub(super) card_keys: CardKeys,
    cards: BTreeMap<CardKey, BankCard>,
    by_number: BTreeMap<Pan, CardKey>,
    dead: VecDeque<CardKey>,
    /// What the accounts behind the plastic cards hold, minor units, by holder and product.
    pub(super) funds: BTreeMap<AccountId, BTreeMap<String, u64>>,
    sms: VecDeque<Sms>,
    next_card: u32,
    numbers: Rng,
    codes: Rng,
}

impl Bank {
    pub(super) fn new(settings: BankSettings, products: Vec<CardProduct>, card_keys: CardKeys, rng: &Rng) -> Self {
        Self {
            settings,
            products: products.into_iter().map(|product| (product.name.clone(), Arc::new(product))).collect(),
            card_keys,
            cards: BTreeMap::new(),
            by_number: BTreeMap::new(),
            dead: VecDeque::new(),
            funds: BTreeMap::new(),
            sms: VecDeque::new(),
            next_card: FIRST_CARD,
            numbers: rng.fork("token numbers"),
            codes: rng.fork("confirmation codes"),
        }
    }

    pub(super) fn products(&self) -> impl Iterator<Item = &CardProduct> {
        self.products.values().map(Arc::as_ref)
    }

    pub(super) fn cards(&self) -> impl Iterator<Item = &BankCard> {
        self.cards.values()
    }

    /// Cards whose tokens were made after the first `made` ones.
    pub(super) fn cards_after(&self, made: u32) -> impl Iterator<Item = &BankCard> {
        self.cards.range(CardKey(made.saturating_add(FIRST_CARD))..).map(|(_, card)| card)
    }

    /// The certificate over a card's key (9F46); `None` when its issuer has no keys.
    pub(super) fn certificate(&self, card: &BankCard) -> Option<Vec<u8>> {
        perso::certify(&card.product, &card.token, &self.card_keys).map(|made| made.certificate)
    }

    pub(super) const fn tokens_made(&self) -> u32 {
        self.next_card - FIRST_CARD
    }

    pub(super) fn card(&self, key: CardKey) -> Option<&BankCard> {
        self.cards.get(&key)
    }

    pub(super) fn card_mut(&mut self, key: CardKey) -> Option<&mut BankCard> {
        self.cards.get_mut(&key)
    }

    /// The card of this number, dead ones included.
    pub(super) fn by_number(&self, number: &Pan) -> Option<CardKey> {
        self.by_number.get(number).copied()
    }

    /// A listed card by its public name, whoever owns it.
    pub(super) fn find(&self, id: &CardId) -> Result<&BankCard, Refusal> {
        let card = CardKey::of(id).and_then(|key| self.cards.get(&key)).filter(|card| card.is_listed());
        card.ok_or(Refusal::UnknownCard)
    }

    /// A listed card of this account.
    pub(super) fn find_of(&self, owner: &AccountId, id: &CardId) -> Result<&BankCard, Refusal> {
        self.find(id).ok().filter(|card| card.owner == *owner).ok_or(Refusal::UnknownCard)
    }

    /// Whether a card of this product may be added to the band, and the product.
    // R9; facts/band-ble.md 2.4 for the numbers
    pub(super) fn admit(&self, owner: &AccountId, unit: &Cplc, name: &str) -> Result<Arc<CardProduct>, Refusal> {
        let product = self.products.get(name).ok_or(Refusal::UnknownProduct)?;
        match product.admission {
            Admission::Supported => {}
            Admission::NotSupported => return Err(Refusal::CardNotSupported),
            Admission::Blacklisted => return Err(Refusal::CardBlacklisted),
        }
        let in_band = || self.cards.values().filter(|card| card.is_listed() && card.unit == *unit);
        if in_band().any(|card| card.is_live() && card.owner == *owner && card.product.name == name) {
            return Err(Refusal::DuplicateCard);
        }
        if in_band().count() >= usize::from(self.settings.max_cards) {
            return Err(Refusal::CardLimit);
        }
        Ok(product.clone())
    }

    /// Makes a token of an admitted product.
    // R12: what the app's version decides
    pub(super) fn issue(
        &mut self,
        owner: AccountId,
        unit: Cplc,
        product: Arc<CardProduct>,
        instance: Vec<u8>,
        app: AppVersion,
    ) -> CardKey {
        let key = CardKey(self.next_card);
        self.next_card = self.next_card.saturating_add(1);
        let number = self.draw_number(&product);
        let par = self.draw_account_reference();
        self.by_number.insert(number.clone(), key);
        let card = BankCard {
            key,
            owner,
            unit,
            token: Token::new(&product, number, par),
            product,
            instance,
            phase: Phase::Adding,
            suspended: false,
            old_service: app < self.settings.service_update,
            codes: Codes::default(),
            counters: BTreeSet::new(),
            history: VecDeque::new(),
        };
        self.cards.insert(key, card);
        key
    }

    /// The personalisation has ended: the card waits for its code.
    pub(super) fn personalised(&mut self, key: CardKey) {
        if let Some(card) = self.cards.get_mut(&key).filter(|card| card.phase == Phase::Adding) {
            card.phase = Phase::Waiting;
        }
    }

    /// The token dies now; the band may still hold its data.
    // R5, R7
    pub(super) fn delete(&mut self, key: CardKey) {
        if let Some(card) = self.cards.get_mut(&key).filter(|card| card.is_live()) {
            card.phase = Phase::Deleted;
        }
    }

    /// The card is nowhere any more. The bank remembers for a while that its number is dead.
    pub(super) fn forget(&mut self, key: CardKey) {
        let Some(card) = self.cards.get_mut(&key).filter(|card| card.is_listed()) else { return };
        card.phase = Phase::Gone;
        self.dead.push_back(key);
        while self.dead.len() > MAX_DEAD_TOKENS {
            let oldest = self.dead.pop_front().and_then(|oldest| self.cards.remove(&oldest));
            if let Some(card) = oldest {
                self.by_number.remove(&card.token.number);
            }
        }
    }

    /// An add that never ended leaves nothing at the bank, not even a dead number.
    // R10
    pub(super) fn cancel(&mut self, key: CardKey) {
        if let Some(card) = self.cards.remove(&key) {
            self.by_number.remove(&card.token.number);
        }
    }

    /// Sends a code.
    // R1, R2
    pub(super) fn request_code(
        &mut self,
        now: Instant,
        key: CardKey,
        holder: &AccountRecord,
        method: OtpMethod,
        app: AppVersion,
    ) -> Result<(u8, Duration), Refusal> {
        let rules = self.settings.code_rules();
        self.waiting_for_code(key, app)?.codes.may_request(now, &rules)?;
        if !holder.reachable_by(method) {
            return Err(Refusal::NoPhoneAtBank);
        }
        let digits = format!("{:06}", self.codes.below(1_000_000));
        let card = self.cards.get_mut(&key).ok_or(Refusal::UnknownCard)?;
        card.codes.issue(now, &rules, digits.clone());
        let left = card.codes.requests_left(&rules);
        self.sms.push_back(Sms {
            account: card.owner.clone(),
            card: key.id(),
            code: digits,
            valid_for: rules.valid_for,
        });
        if self.sms.len() > MAX_UNREAD_SMS {
            self.sms.pop_front();
        }
        Ok((left, rules.valid_for))
    }

    /// Takes a code; `Ok` confirms the card.
    // R1, R2: this instant decides
    pub(super) fn enter_code(
        &mut self,
        now: Instant,
        key: CardKey,
        digits: &str,
        app: AppVersion,
    ) -> Result<(), Refusal> {
        let rules = self.settings.code_rules();
        self.waiting_for_code(key, app)?;
        let card = self.cards.get_mut(&key).ok_or(Refusal::UnknownCard)?;
        card.codes.enter(now, &rules, digits)?;
        card.phase = Phase::Confirmed;
        Ok(())
    }

    /// The card, if it can be confirmed at all.
    fn waiting_for_code(&self, key: CardKey, app: AppVersion) -> Result<&BankCard, Refusal> {
        let card = self.cards.get(&key).ok_or(Refusal::UnknownCard)?;
        match card.phase {
            Phase::Waiting => {}
            Phase::Confirmed => return Err(Refusal::AlreadyConfirmed),
            Phase::Adding => return Err(Refusal::Busy),
            Phase::Deleted | Phase::Gone => return Err(Refusal::UnknownCard),
        }
        // R12: with the new app, a token of the old service must be removed and added again.
        if card.old_service && app >= self.settings.service_update {
            return Err(Refusal::ServiceUpdateRequired);
        }
        Ok(card)
    }

    /// The clerk blocks a confirmed card.
    // R7
    pub(super) fn suspend(&mut self, id: &CardId, suspended: bool) -> Result<(), Refusal> {
        let key = self.find(id)?.key;
        let card = self.cards.get_mut(&key).ok_or(Refusal::UnknownCard)?;
        if card.phase != Phase::Confirmed {
            return Err(Refusal::NotConfirmed);
        }
        card.suspended = suspended;
        Ok(())
    }

    /// Messages not yet read, oldest first.
    pub(super) fn take_sms(&mut self) -> Vec<Sms> {
        self.sms.drain(..).collect()
    }

    /// The bank's record of a card.
    // R4: confirmed cards only, the last ten, newest first
    pub(super) fn history(&self, key: CardKey) -> Result<Vec<BankEntry>, Refusal> {
        let card = self.cards.get(&key).ok_or(Refusal::UnknownCard)?;
        if card.phase != Phase::Confirmed {
            return Err(Refusal::NotConfirmed);
        }
        Ok(card.history.iter().take(HISTORY_SHOWN).cloned().collect())
    }

    /// One line of the card list.
    // R13
    pub(super) fn view(&self, now: Instant, card: &BankCard) -> CardView {
        let rules = self.settings.code_rules();
        CardView {
            card: card.key.id(),
            product: card.product.name.clone(),
            masked_number: card.product.pan.masked(),
            token_last4: card.token.number.last4().to_owned(),
            instance_aid: card.instance.clone(),
            state: self.state(now, card),
            history: card.phase == Phase::Confirmed,
            requests_left: card.codes.requests_left(&rules),
            old_service: card.old_service,
        }
    }

    /// Where a card stands now.
    pub(super) fn state(&self, now: Instant, card: &BankCard) -> CardState {
        match card.phase {
            Phase::Adding => CardState::Adding,
            Phase::Waiting if card.codes.death(now, &self.settings.code_rules()).is_some() => CardState::Dead,
            Phase::Waiting => CardState::WaitingForCode,
            Phase::Confirmed if card.suspended => CardState::Suspended,
            Phase::Confirmed => CardState::Active,
            Phase::Deleted | Phase::Gone => CardState::Deleting,
        }
    }

    /// A fresh number under the product's token BIN, as long as the plastic card's where that leaves enough numbers: seven free
    /// digits are a thousand times what the bank can remember.
    fn draw_number(&mut self, product: &CardProduct) -> Pan {
        let prefix = product.token_bin.as_str();
        let drawn = product.pan.digits().len().saturating_sub(1 + prefix.len()).max(7);
        let bound = 10_u64.pow(u32::try_from(drawn).unwrap_or(0));
        loop {
            let digits = format!("{prefix}{:0drawn$}", self.numbers.below(bound));
            // A check digit always makes a right number of right length.
            let Some(number) = Pan::with_check_digit(&digits) else { continue };
            if !self.by_number.contains_key(&number) && self.products.values().all(|known| known.pan != number) {
                return number;
            }
        }
    }

    /// Payment account reference: four characters of a controller, 25 random ones.
    // EMV payment tokenisation framework (facts/emv.md 3.6); controller 5001 is invented
    fn draw_account_reference(&mut self) -> String {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
        let mut drawn = [0; 25];
        self.numbers.fill(&mut drawn);
        let letters = drawn.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32)));
        "5001".chars().chain(letters.map(|letter| char::from(*letter))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::fixtures;

    fn unit() -> Cplc {
        Cplc::try_from(&[7; 42][..]).expect("42 bytes")
    }

    fn alice() -> AccountId {
        AccountId("alice".to_owned())
    }

    fn bank() -> Bank {
        let products = fixtures::PRODUCTS.map(fixtures::product).to_vec();
        Bank::new(BankSettings::default(), products, fixtures::card_keys(), &Rng::new(3))
    }

    fn issue(bank: &mut Bank) -> CardKey {
        let product = bank.admit(&alice(), &unit(), "mastercard-debit").expect("admitted");
        bank.issue(alice(), unit(), product, vec![0xA0], AppVersion(4, 0, 0))
    }

    #[test]
    fn settings_are_the_rules_unless_a_file_says_otherwise() {
        let settings: BankSettings = serde_yaml::from_str("{}").expect("settings");
        assert_eq!(settings, BankSettings::default());
        let text = "code_valid_for: 90s\ndata_retry_after: 500ms\nold_service_payments: allowed\nmax_cards: 2\nsuspension: blocks_application\n";
        let settings: BankSettings = serde_yaml::from_str(text).expect("settings");
        assert_eq!(settings.code_valid_for, Duration::from_secs(90));
        assert_eq!(settings.data_retry_after, Duration::from_millis(500));
        assert_eq!(settings.old_service_payments, OldServicePayments::Allowed);
        assert_eq!(settings.suspension, Suspension::BlocksApplication);
        assert_eq!((settings.max_cards, settings.code_requests), (2, 3));
        for wrong in ["code_valid_for: 10", "code_valid_for: -1s", "codes: 3"] {
            assert!(serde_yaml::from_str::<BankSettings>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_token_number_is_fresh_right_and_under_the_products_token_bin() {
        let mut bank = bank();
        let product = bank.products["mastercard-business"].clone();
        let mut numbers = BTreeSet::new();
        for _ in 0..200 {
            let key = bank.issue(alice(), unit(), product.clone(), vec![], AppVersion(4, 0, 0));
            let token = &bank.card(key).expect("issued").token;
            assert_eq!(token.number.digits().len(), 16);
            assert!(token.number.digits().starts_with("222300") && token.number != product.pan);
            assert!(token.par.len() == 29 && token.par.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            assert!(token.par[4..].bytes().collect::<BTreeSet<_>>().len() > 8, "it is drawn");
            numbers.insert(token.number.clone());
        }
        assert_eq!(numbers.len(), 200);
    }

    #[test]
    fn no_two_tokens_have_one_number_and_none_has_a_plastic_cards() {
        // The generator is rewound, so the numbers that it draws first are taken.
        let mut bank = bank();
        let product = bank.products["mastercard-business"].clone();
        let first = bank.numbers.clone();
        let taken = bank.draw_number(&product);
        bank.numbers = first.clone();
        let key = bank.issue(alice(), unit(), product.clone(), vec![], AppVersion(4, 0, 0));
        assert_eq!(bank.card(key).expect("issued").token.number, taken);
        bank.numbers = first.clone();
        assert_ne!(bank.draw_number(&product), taken, "another token has it");

        let mut bank = self::bank();
        bank.products.values_mut().next().map(|known| Arc::make_mut(known).pan = taken.clone()).expect("a product");
        bank.numbers = first;
        assert_ne!(bank.draw_number(&product), taken, "a plastic card has it");
    }

    #[test]
    fn a_short_card_number_leaves_enough_tokens() {
        let mut bank = bank();
        let mut product = (*bank.products["mastercard-business"]).clone();
        product.pan = Pan::with_check_digit("54252334301").expect("twelve digits");
        assert_eq!(bank.draw_number(&product).digits().len(), 14);
    }

    #[test]
    fn a_card_is_known_by_its_own_name_only() {
        let mut bank = bank();
        let key = issue(&mut bank);
        assert_eq!(bank.find(&key.id()).map(|card| card.key), Ok(key));
        for other in ["card-01", "card-+1", "card-2", "card-", "1", "card-99999999999999"] {
            assert_eq!(bank.find(&CardId(other.to_owned())).map(|card| card.key), Err(Refusal::UnknownCard), "{other}");
        }
        let bob = AccountId("bob".to_owned());
        assert_eq!(bank.find_of(&bob, &key.id()).map(|card| card.key), Err(Refusal::UnknownCard));
    }

    #[test]
    fn a_cancelled_add_leaves_not_even_a_dead_number() {
        let mut bank = bank();
        let key = issue(&mut bank);
        let number = bank.card(key).expect("issued").token.number.clone();
        bank.cancel(key);
        assert_eq!((bank.by_number(&number), bank.cards().count()), (None, 0));
    }

    #[test]
    fn no_code_is_sent_while_the_card_is_still_being_added() {
        let mut bank = bank();
        let key = issue(&mut bank);
        let holder = fixtures::accounts().remove(0);
        let ask = |bank: &mut Bank| {
            bank.request_code(Instant::ZERO, key, &holder, OtpMethod::Sms, AppVersion(4, 0, 0)).map(|(left, _)| left)
        };
        assert_eq!(ask(&mut bank), Err(Refusal::Busy));
        bank.personalised(key);
        assert_eq!(ask(&mut bank), Ok(2));
    }

    #[test]
    fn a_refused_request_sends_and_costs_nothing() {
        let mut bank = bank();
        let key = issue(&mut bank);
        bank.personalised(key);
        let dave = fixtures::accounts().into_iter().find(|account| account.phone.is_none()).expect("dave");
        for _ in 0..5 {
            let refused = bank.request_code(Instant::ZERO, key, &dave, OtpMethod::Tel, AppVersion(4, 0, 0));
            assert_eq!(refused, Err(Refusal::NoPhoneAtBank));
        }
        assert_eq!(bank.take_sms(), []);
        assert_eq!(bank.view(Instant::ZERO, bank.card(key).expect("waiting")).requests_left, 3);
    }

    #[test]
    fn what_nobody_reads_and_what_is_long_dead_is_bounded() {
        let mut bank = bank();
        bank.settings.code_requests = u8::MAX;
        let holder = fixtures::accounts().remove(0);
        let key = issue(&mut bank);
        bank.personalised(key);
        for _ in 0..MAX_UNREAD_SMS + 5 {
            bank.request_code(Instant::ZERO, key, &holder, OtpMethod::Sms, AppVersion(4, 0, 0)).expect("sent");
        }
        let sms = bank.take_sms();
        assert_eq!(sms.len(), MAX_UNREAD_SMS);
        assert_eq!(bank.card(key).and_then(|card| card.codes.newest()), sms.last().map(|sms| sms.code.as_str()));
        bank.delete(key);
        bank.forget(key);
        let oldest = bank.card(key).expect("remembered").token.number.clone();
        for _ in 0..MAX_DEAD_TOKENS {
            let key = issue(&mut bank);
            bank.delete(key);
            bank.forget(key);
        }
        assert_eq!((bank.cards().count(), bank.by_number(&oldest)), (MAX_DEAD_TOKENS, None));
    }
}
