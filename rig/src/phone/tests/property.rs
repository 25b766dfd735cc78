//! Whatever band, cloud and person do: no panic, every action ends once, nothing grows without bound.

use super::*;
use crate::cloud::api::OtpMethod;
use proptest::prelude::*;

/// More than one input ever asks for: the longest APDU in fragments, and some.
const MAX_OUTPUTS: usize = 4_000;

/// What the world does with the next thing the phone asks of it.
#[derive(Clone, Debug)]
enum Fate {
    Answered,
    Lost,
    Garbled(Vec<u8>),
    Refused(Refusal),
    LinkLost,
    Left,
    Returned,
    Late(u64),
    Second(UserAction),
    Answer(Reply),
}

fn any_action() -> impl Strategy<Value = UserAction> {
    let card = || card_id("a");
    prop_oneof![
        Just(UserAction::Refresh),
        Just(UserAction::LinkBand),
        Just(UserAction::UnlinkBand),
        Just(UserAction::SignOut),
        Just(sign_in("alice")),
        Just(UserAction::LinkXiaomiAccount { xiaomi: AccountId("alice".into()) }),
        Just(add_card()),
        Just(add_card()),
        Just(add_card()),
        Just(UserAction::RequestCode { card: card(), method: OtpMethod::Sms }),
        Just(UserAction::EnterCode { card: card(), code: "1".into() }),
        Just(UserAction::RemoveCard { card: card() }),
        Just(UserAction::SetOrder { cards: vec![card()] }),
        Just(UserAction::CardList),
        Just(UserAction::History { card: card() }),
        Just(UserAction::ReadIdentity),
        Just(UserAction::ReadBattery),
        Just(UserAction::ReadTime),
        any::<i64>().prop_map(|unix_s| UserAction::SetTime { unix_s }),
        Just(UserAction::FactoryReset),
        any::<bool>().prop_map(|wrong| UserAction::Authenticate { wrong }),
        any::<bool>().prop_map(|open| UserAction::NfcChannel { open }),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|apdu| UserAction::RawApdu { apdu }),
        (any_characteristic(), prop::collection::vec(any::<u8>(), 0..30), any::<bool>()).prop_map(
            |(characteristic, value, authenticated)| UserAction::RawWrite { characteristic, value, authenticated }
        ),
    ]
}

fn any_characteristic() -> impl Strategy<Value = CharacteristicId> {
    prop::sample::select(vec![AUTH, CHUNKED, EVENT, CONFIG, NFC, SERIAL, TIME, CharacteristicId::BATTERY])
}

fn any_refusal() -> impl Strategy<Value = Refusal> {
    prop::sample::select(vec![
        Refusal::UnknownJob,
        Refusal::BandNotBound,
        Refusal::XiaomiAccountRequired,
        Refusal::UnexpectedStatusWord,
        Refusal::Interrupted,
    ])
}

fn any_reply() -> impl Strategy<Value = Reply> {
    let script = prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4);
    let states = vec![CardState::Adding, CardState::WaitingForCode, CardState::Active, CardState::Deleting];
    prop_oneof![
        Just(Reply::Done),
        (any::<u32>(), script).prop_map(|(number, apdus)| Reply::Job {
            job: JobId(number),
            batch: apdus.into_iter().map(|apdu| ScriptCommand { apdu, expected: vec![] }).collect(),
        }),
        any::<u32>().prop_map(|number| Reply::JobDone { job: JobId(number), card: None }),
        Just(Reply::JobDone { job: JobId(1), card: Some(card("z", CardState::WaitingForCode)) }),
        any::<u64>().prop_map(|millis| Reply::NotReady { job: JobId(1), retry_after: Duration::from_millis(millis) }),
        prop::sample::subsequence(states, 0..4).prop_map(|states| Reply::Cards {
            cards: ["a", "b", "c"].iter().zip(states).map(|(name, state)| card(name, state)).collect()
        }),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(|signature| Reply::PairingSignature { signature }),
        Just(Reply::SignedIn { account: AccountId("bob".into()), xiaomi: None }),
    ]
}

fn any_fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        20 => Just(Fate::Answered),
        1 => Just(Fate::Lost),
        1 => prop::collection::vec(any::<u8>(), 0..24).prop_map(Fate::Garbled),
        1 => any_refusal().prop_map(Fate::Refused),
        1 => Just(Fate::LinkLost),
        1 => Just(Fate::Left),
        1 => Just(Fate::Returned),
        1 => (0..70u64).prop_map(Fate::Late),
        1 => any_action().prop_map(Fate::Second),
        1 => any_reply().prop_map(Fate::Answer),
    ]
}

fn any_input() -> impl Strategy<Value = Input> {
    let value = || prop::collection::vec(any::<u8>(), 0..24);
    let opcode = prop::sample::select(vec![0x10, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86]);
    let likely = (opcode, value()).prop_map(|(opcode, rest)| [&[opcode], &rest[..]].concat());
    prop_oneof![
        4 => any_action().prop_map(Input::User),
        1 => any::<bool>().prop_map(Input::Foreground),
        3 => any_reply().prop_map(|reply| Input::Cloud(Some(reply))),
        1 => Just(CLOUD_LOST),
        2 => any::<u16>().prop_map(|mtu| Input::Link(LinkEvent::Connected { address: ADDRESS, mtu })),
        1 => Just(connect_failed()),
        1 => Just(link_lost()),
        6 => any_characteristic().prop_map(subscribed),
        2 => (any_characteristic(), value()).prop_map(|(from, value)| read_done(from, &value)),
        1 => any_characteristic().prop_map(|to| write_done(to, Ok(()))),
        6 => (any_characteristic(), prop_oneof![value(), likely]).prop_map(|(characteristic, value)| {
            Input::Link(LinkEvent::Notified { characteristic, value })
        }),
        2 => Just(Input::Tick),
    ]
}

fn any_config() -> impl Strategy<Value = PhoneConfig> {
    (any::<bool>(), 0..3u64, any::<i64>(), any::<i8>()).prop_map(|(paired, grace, epoch_unix_us, zone_quarters)| {
        PhoneConfig {
            stored_key: paired.then_some(KEY),
            foreground_grace: seconds(grace),
            epoch_unix_us,
            zone_quarters,
            ..PhoneConfig::default()
        }
    })
}

/// A phone under test, with what must hold at any time.
struct Watched {
    ladder: Ladder,
    started: usize,
    ended: usize,
    /// Requests the cloud has not answered; it never answers more than it was asked.
    unanswered: usize,
}

impl Watched {
    fn new(config: PhoneConfig, signed_in: bool) -> Self {
        let ladder = if signed_in { Ladder::with(config) } else { Ladder::signed_out(config) };
        Self { ladder, started: 0, ended: 0, unanswered: 0 }
    }

    fn go(&mut self, input: Input) -> Vec<Output> {
        self.started += usize::from(matches!(input, Input::User(_)));
        self.unanswered = self.unanswered.saturating_sub(usize::from(matches!(input, Input::Cloud(_))));
        let outputs = self.ladder.go([input]);
        self.unanswered += outputs.iter().filter(|output| matches!(output, Output::Cloud(_))).count();
        assert!(outputs.len() <= MAX_OUTPUTS, "{} outputs", outputs.len());
        self.ended += outputs.iter().filter(|output| matches!(output, Output::Done(_))).count();
        let busy = self.ladder.phone.is_busy();
        assert_eq!(self.started - self.ended, usize::from(busy), "each action ends exactly once");
        let Output::Wait(until) = self.ladder.phone.poll() else { panic!("not drained") };
        assert!(!busy || until.is_some(), "waits without a deadline");
        assert!(until.is_none_or(|until| until > self.ladder.now), "a deadline that has passed is still waited for");
        outputs
    }

    /// Nothing happens any more but time; then what the cloud owes turns out to be lost.
    fn left_alone(&mut self) {
        for _ in 0..1_000 {
            let Output::Wait(Some(until)) = self.ladder.phone.poll() else { break };
            self.ladder.now = until;
            self.go(Input::Tick);
        }
        assert!(!self.ladder.phone.is_busy(), "never ends");
        while self.unanswered > 0 {
            self.go(CLOUD_LOST);
        }
        assert_eq!(self.started, self.ended);
    }

    /// Runs an action in a world that has other plans now and then.
    fn play(&mut self, world: &mut World, action: UserAction, fates: &mut impl Iterator<Item = Fate>) {
        let mut outputs = std::collections::VecDeque::from(self.go(user(action)));
        while let Some(output) = outputs.pop_front() {
            let fate = if matches!(output, Output::Link(_) | Output::Cloud(_)) { fates.next() } else { None };
            for input in self.inputs(world, &output, fate.unwrap_or(Fate::Answered)) {
                outputs.extend(self.go(input));
            }
        }
    }

    fn inputs(&mut self, world: &mut World, output: &Output, fate: Fate) -> Vec<Input> {
        let mut answers = world.answers(output);
        let asked_cloud = matches!(output, Output::Cloud(_));
        match fate {
            Fate::Answered => {}
            Fate::Lost => answers = if asked_cloud { vec![CLOUD_LOST] } else { vec![] },
            Fate::Garbled(value) if !asked_cloud => answers.iter_mut().for_each(|answer| garble(answer, &value)),
            Fate::Refused(refusal) if asked_cloud => answers = vec![refused(refusal)],
            Fate::Answer(answer) if asked_cloud => answers = vec![reply(answer)],
            Fate::Garbled(_) | Fate::Refused(_) | Fate::Answer(_) => {}
            Fate::LinkLost => answers.insert(0, link_lost()),
            Fate::Left => answers.insert(0, Input::Foreground(false)),
            Fate::Returned => answers.insert(0, Input::Foreground(true)),
            Fate::Late(seconds_late) => {
                self.ladder.now = self.ladder.now + seconds(seconds_late);
                answers.insert(0, Input::Tick);
            }
            Fate::Second(action) => answers.insert(0, user(action)),
        }
        answers
    }
}

fn garble(input: &mut Input, garbage: &[u8]) {
    if let Input::Link(LinkEvent::Notified { value, .. } | LinkEvent::ReadDone { result: Ok(value), .. }) = input {
        *value = garbage.to_vec();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_inputs_are_harmless(
        config in any_config(),
        signed_in: bool,
        inputs in prop::collection::vec((any_input(), 0..20_000_000u64), 0..120),
    ) {
        let mut watched = Watched::new(config, signed_in);
        for (input, micros) in inputs {
            if micros % 4 == 0 {
                watched.ladder.now = watched.ladder.now + Duration::from_micros(micros);
            }
            watched.go(input);
        }
        watched.left_alone();
    }

    #[test]
    fn any_mishap_ends_the_action_and_the_app_recovers(
        config in any_config(),
        actions in prop::collection::vec(any_action(), 1..5),
        fates in prop::collection::vec(any_fate(), 0..200),
    ) {
        let mut watched = Watched::new(config, true);
        let mut world = World::new(&[card("a", CardState::Active)]);
        let mut fates = fates.into_iter();
        for action in actions {
            watched.play(&mut world, action, &mut fates);
            watched.left_alone();
        }
        // Once the world answers again, the app is of use again.
        let mut ladder = watched.ladder;
        ladder.go([Input::Foreground(true)]);
        let mut world = World::new(&[]);
        for action in [sign_in("alice"), UserAction::LinkBand, add_card()] {
            let shown = ladder.play(&mut world, action.clone());
            prop_assert!(shown.is_ok(), "{action:?} ended {shown:?}");
        }
    }
}
