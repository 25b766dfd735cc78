//! Random lives of a band: the naive model of the rules beside the whole system, over real bytes, compared after every action.
//!
//! All latencies are zero, so that the model knows the instant at which the bank decides and may stand exactly on its edges.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use band_sim::rng::Rng;
use bandrig::cloud::api::{AccountId, CardId, CardView, OtpMethod, Refusal};
use bandrig::link::fault::Fault;
use bandrig::link::in_process::Timing;
use bandrig::model::invariant::{Seen, violation};
use bandrig::model::{Action, CODE_VALID_FOR_US, Code, Expected, MOST_CARDS, Model, VISIT_US};
use bandrig::phone::io::{Shown, UserAction};
use bandrig::scenario::set_up::{Ground, world};
use bandrig::station::embedded::{ActionFault, Strike, Tap, Where, World};
use bandrig::station::fixtures::Fixtures;
use bandrig::station::recorder::{Detail, Recorder};
use bandrig::terminal::io::{Outcome, Purchase};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

/// Seven products, so that six can be in the band and a seventh be refused.
const PRODUCTS: [&str; 7] = [
    "mastercard-debit",
    "mastercard-credit",
    "mastercard-prepaid",
    "mastercard-business",
    "mastercard-student",
    "mastercard-travel",
    "mastercard-gold",
];
const ACCOUNTS: [&str; 2] = ["alice", "bob"];

static FIXTURES: LazyLock<Arc<Fixtures>> = LazyLock::new(|| {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    Arc::new(Fixtures::load(&root).expect("the fixtures load"))
});

impl ReferenceStateMachine for Rules {
    type State = Model;
    type Transition = Action;

    fn init_state() -> BoxedStrategy<Model> {
        Just(Model::new()).boxed()
    }

    fn transitions(model: &Model) -> BoxedStrategy<Action> {
        let product = 0..PRODUCTS.len();
        let mut choices: Vec<(u32, BoxedStrategy<Action>)> = vec![
            (6, product.clone().prop_map(Action::Add).boxed()),
            (3, waits().prop_map(Action::Wait).boxed()),
            (3, Just(Action::Tap).boxed()),
            (1, Just(if model.in_reach() { Action::Lose } else { Action::Find }).boxed()),
        ];
        if model.in_reach() {
            choices
                .push((1, (product.clone(), 1..400_u64).prop_map(|(p, n)| Action::AddWhileLinkBreaks(p, n)).boxed()));
            choices.push((1, (product, 1..60_u64).prop_map(|(p, n)| Action::AddWhilePowerFails(p, n)).boxed()));
            choices.push((1, Just(Action::Reset).boxed()));
            choices.push((1, Just(Action::SwitchAccount).boxed()));
            choices.push((2, (0..6_usize).prop_map(Action::Reorder).boxed()));
        }
        if !model.cards().is_empty() {
            let card = 0..model.cards().len();
            let code = prop_oneof![5 => Just(Code::Newest), 1 => Just(Code::Previous), 2 => Just(Code::Wrong)];
            choices.push((8, card.clone().prop_map(Action::RequestCode).boxed()));
            choices.push((8, (card.clone(), code).prop_map(|(at, code)| Action::Enter(at, code)).boxed()));
            choices.push((2, card.clone().prop_map(Action::Remove).boxed()));
            choices.push((1, card.clone().prop_map(Action::Suspend).boxed()));
            choices.push((1, card.prop_map(Action::Resume).boxed()));
        }
        proptest::strategy::Union::new_weighted(choices).boxed()
    }

    fn apply(mut model: Model, action: &Action) -> Model {
        model.apply(action);
        // Whether an add that was struck came through only the system knows; the system's model is put right there.
        model
    }

    fn preconditions(model: &Model, action: &Action) -> bool {
        match action {
            Action::RequestCode(at)
            | Action::Enter(at, _)
            | Action::Remove(at)
            | Action::Suspend(at)
            | Action::Resume(at) => *at < model.cards().len(),
            Action::AddWhileLinkBreaks(..)
            | Action::AddWhilePowerFails(..)
            | Action::Reset
            | Action::SwitchAccount
            | Action::Reorder(_) => model.in_reach(),
            _ => true,
        }
    }
}

/// Waits that stand on the edges of a code's validity.
fn waits() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(1),
        Just(1_000_000),
        Just(CODE_VALID_FOR_US / 2),
        Just(CODE_VALID_FOR_US - 1),
        Just(CODE_VALID_FOR_US),
        Just(CODE_VALID_FOR_US - 1_000_000),
    ]
}

/// The generator's side.
#[derive(Debug)]
struct Rules;

/// The whole system, the model beside it, and which card of the one is which of the other.
struct System {
    world: World,
    model: Model,
    cards: BTreeMap<u32, CardView>,
    purchases: u32,
}

impl StateMachineTest for System {
    type SystemUnderTest = Self;
    type Reference = Rules;

    fn init_test(_: &Model) -> Self {
        let mut system = Self { world: a_world(), model: Model::new(), cards: BTreeMap::new(), purchases: 0 };
        system.must(UserAction::SignIn { account: AccountId(ACCOUNTS[0].to_owned()) });
        system.must(UserAction::LinkBand);
        system
    }

    fn apply(mut system: Self, _: &Model, action: Action) -> Self {
        let before = system.model.clone();
        let expected = system.model.apply(&action);
        system.perform(&before, &action, &expected);
        system
    }

    fn check_invariants(system: &Self, model: &Model) {
        assert_eq!(&system.model, model, "the generator and the test agree about the rules");
        let seen = system.look();
        if let Some(violation) = violation(&system.model, &seen) {
            panic!("{violation}");
        }
    }
}

/// 2026-01-01T12:00:00Z.
const EPOCH_UNIX_US: i64 = 1_767_268_800_000_000;

fn a_world() -> World {
    let profile = Arc::clone(&FIXTURES.profiles["mi-smart-band-4-nfc"]);
    let timing = Timing {
        latency: Duration::ZERO,
        connect: Duration::ZERO,
        scan: Duration::ZERO,
        supervision: Duration::ZERO,
        ..Timing::default()
    };
    let ground = Ground {
        timing,
        network: Duration::ZERO,
        reaction: Duration::ZERO,
        ..Ground::usual(&FIXTURES, profile, EPOCH_UNIX_US)
    };
    world(ground, &Rng::new(1), Recorder::new(0, Detail::Verdicts))
}

impl System {
    fn act(&mut self, action: UserAction) -> Result<Shown, Refusal> {
        self.world.act(action).expect("the app always answers").0
    }

    fn must(&mut self, action: UserAction) -> Shown {
        let named = format!("{action:?}");
        self.act(action).unwrap_or_else(|refusal| panic!("{named} was refused: {refusal:?}"))
    }

    fn perform(&mut self, before: &Model, action: &Action, expected: &Expected) {
        let card = |system: &Self, at: usize| system.cards[&before.cards()[at].serial].card.clone();
        match *action {
            Action::Add(product) => {
                let got = self.act(UserAction::AddCard { product: PRODUCTS[product].to_owned() });
                if let Ok(Shown::CardAdded { card }) = &got {
                    let serial = self.model.cards().last().map_or(0, |card| card.serial);
                    self.cards.insert(serial, card.clone());
                }
                self.compare(action, expected, got.map(|_| ()));
            }
            Action::AddWhileLinkBreaks(product, nth) => {
                let strike = Strike::Link(Fault::Disconnect);
                let at = if nth % 2 == 0 { Where::ToBand(nth / 2 + 1) } else { Where::ToPhone(nth / 2 + 1) };
                self.add_under(ActionFault { at, strike }, product, action, expected);
            }
            Action::AddWhilePowerFails(product, nth) => {
                let at = if nth % 4 == 0 { Where::DeviceWrite(nth / 4) } else { Where::SecureElementWrite(nth) };
                self.add_under(ActionFault { at, strike: Strike::PowerLoss }, product, action, expected);
            }
            Action::RequestCode(at) => {
                let got = self.act(UserAction::RequestCode { card: card(self, at), method: OtpMethod::Sms });
                self.compare(action, expected, got.map(|_| ()));
            }
            Action::Enter(at, code) => {
                let card = card(self, at);
                let code = self.code(&card, code);
                let got = self.act(UserAction::EnterCode { card, code });
                self.compare(action, expected, got.map(|_| ()));
            }
            Action::Wait(micros) => self.world.wait(Duration::from_micros(micros)),
            Action::Remove(at) => {
                let got = self.act(UserAction::RemoveCard { card: card(self, at) });
                self.compare(action, expected, got.map(|_| ()));
            }
            Action::Reorder(_) => {
                let confirmed = self.model.cards().iter().filter(|card| card.confirmed);
                let cards = confirmed.map(|card| self.cards[&card.serial].card.clone()).collect();
                let got = self.act(UserAction::SetOrder { cards });
                self.compare(action, expected, got.map(|_| ()));
            }
            Action::Reset => {
                self.must(UserAction::FactoryReset);
                self.must(UserAction::LinkBand);
            }
            Action::SwitchAccount => {
                self.must(UserAction::SignOut);
                self.must(UserAction::SignIn { account: AccountId(ACCOUNTS[self.model.account()].to_owned()) });
                self.must(UserAction::LinkBand);
            }
            Action::Tap => {
                let began = self.world.now();
                self.tap(before, expected);
                let took = self.world.now().saturating_since(began);
                let visit = Duration::from_micros(VISIT_US);
                self.world.wait(visit.checked_sub(took).expect("a payment ends within a visit"));
            }
            Action::Suspend(at) => {
                let card = card(self, at);
                let got = self.world.cloud_mut().bank_suspend(&card);
                self.compare(action, expected, got);
                self.refresh();
            }
            Action::Resume(at) => {
                let card = card(self, at);
                let got = self.world.cloud_mut().bank_resume(&card);
                self.compare(action, expected, got);
                self.refresh();
            }
            Action::Lose => self.world.set_reach(false),
            Action::Find => {
                self.world.set_reach(true);
                self.refresh();
            }
        }
    }

    fn refresh(&mut self) {
        if self.model.in_reach() {
            self.must(UserAction::Refresh);
        }
    }

    fn compare(&self, action: &Action, expected: &Expected, got: Result<(), Refusal>) {
        let expected = match expected {
            Expected::Ok => Ok(()),
            Expected::Refused(refusal) => Err(*refusal),
            Expected::WholeOrNothing | Expected::Payment(_) => return,
        };
        assert_eq!(got, expected, "{action:?}: got (left) and what the rules say (right)");
    }

    /// An add under a fault: it ends whole or leaves no trace; when it came through, the card is removed again, as the generator
    /// takes it to have failed.
    fn add_under(&mut self, fault: ActionFault, product: usize, action: &Action, expected: &Expected) {
        self.world.arm(vec![fault]);
        let got = self.act(UserAction::AddCard { product: PRODUCTS[product].to_owned() });
        self.world.disarm();
        self.compare(action, expected, got.clone().map(|_| ()));
        self.must(UserAction::Refresh);
        if let Ok(Shown::CardAdded { card }) = got {
            self.must(UserAction::RemoveCard { card: card.card });
        }
    }

    fn code(&self, card: &CardId, code: Code) -> String {
        let codes: Vec<&String> =
            self.world.inbox().iter().filter(|sms| sms.card == *card).map(|sms| &sms.code).collect();
        let wrong =
            || (0..).map(|n: u32| format!("{n:06}")).find(|it| !codes.contains(&it)).expect("some code is unused");
        match code {
            Code::Newest => codes.last().map(|code| (*code).clone()).unwrap_or_else(wrong),
            Code::Previous => codes.iter().rev().nth(1).map(|code| (*code).clone()).unwrap_or_else(wrong),
            Code::Wrong => wrong(),
        }
    }

    fn tap(&mut self, before: &Model, expected: &Expected) {
        self.purchases += 1;
        let purchase = Purchase {
            amount_minor: u64::from(self.purchases),
            amount_other_minor: 0,
            currency: 978,
            unix_s: self.world.unix_us().div_euclid(1_000_000),
            unpredictable_number: self.world.unpredictable_number(),
        };
        let terminal = Arc::clone(&FIXTURES.terminals["corner-shop"]);
        let tap =
            Tap { terminal, purchase, pin: None, online: true, field_lost_after: None, man_in_the_middle: vec![] };
        let receipt = self.world.pay(tap).expect("the terminal always ends");
        let Expected::Payment(paid) = expected else { return };
        let approved = receipt.outcome == Outcome::Approved;
        assert_eq!(approved, paid.is_some(), "{receipt:?}, and the rules say {expected:?} of {:?}", before.cards());
        if let Some(at) = paid {
            let card = &self.cards[&before.cards()[*at].serial];
            assert_eq!(receipt.aid.as_ref(), Some(&card.instance_aid), "R8: the first payable card pays");
        }
    }

    fn look(&self) -> Seen {
        // Looking costs time and traffic, so it is done on a clone: the life goes on as if nobody had looked.
        let mut aside =
            Self { world: self.world.clone(), model: self.model.clone(), cards: BTreeMap::new(), purchases: 0 };
        let app = match aside.must(UserAction::CardList) {
            Shown::Cards { cards } => cards,
            other => panic!("a card list shows {other:?}"),
        };
        let account = AccountId(ACCOUNTS[self.model.account()].to_owned());
        let cloud = self.world.cloud();
        let bank = cloud.cards_of(self.world.now(), &account);
        let counters = |view: &CardView| {
            (view.card.clone(), cloud.history_of(&view.card).iter().map(|entry| entry.atc).collect::<Vec<_>>())
        };
        let counters = bank.iter().map(counters).collect();
        let mut logs = BTreeMap::new();
        if self.model.in_reach() {
            for view in app.iter().filter(|view| view.history) {
                if let Ok(Shown::History { entries }) = aside.act(UserAction::History { card: view.card.clone() }) {
                    logs.insert(view.card.clone(), entries.iter().map(|entry| entry.atc).collect());
                }
            }
        }
        let band = self.world.band();
        Seen {
            app,
            bank,
            band: band.card_list().iter().map(|entry| entry.aid.to_vec()).collect(),
            applets: band.card().applets().len(),
            counters,
            logs,
        }
    }
}

/// The seed of all lives: another one with `BANDRIG_MODEL_SEED=7 cargo test -p bandrig --test model`.
fn config() -> ProptestConfig {
    let seed = std::env::var("BANDRIG_MODEL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0);
    let cases = std::env::var("BANDRIG_MODEL_LIVES").ok().and_then(|lives| lives.parse().ok()).unwrap_or(64);
    println!("repeat with: BANDRIG_MODEL_SEED={seed} BANDRIG_MODEL_LIVES={cases} cargo test -p bandrig --test model");
    ProptestConfig {
        cases,
        max_shrink_iters: 2_000,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[test]
fn six_cards_are_the_most() {
    const { assert!(PRODUCTS.len() > MOST_CARDS, "a seventh card is needed to see it refused") }
}

prop_state_machine! {
    #![proptest_config(config())]

    /// A failure prints the shortest life that breaks a rule, and the command that repeats it.
    #[test]
    fn any_life_of_a_band_keeps_the_rules(sequential 1..40 => System);
}
