//! Any bytes anywhere.

use proptest::prelude::*;

use super::*;

static STATES: LazyLock<Vec<(&'static str, Bench)>> = LazyLock::new(states);

fn any_input() -> impl Strategy<Value = Input> {
    let handle = (0..=0x78u16).prop_map(Handle);
    let first =
        prop::sample::select(vec![0x00u8, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x10, 0x15, 0x1B, 0x4F, 0x82, 0x83]);
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..=24),
        prop::collection::vec(any::<u8>(), 0..=512),
        (first, prop::collection::vec(any::<u8>(), 0..=24)).prop_map(|(first, rest)| [vec![first], rest].concat()),
    ];
    let mode = prop_oneof![Just(WriteMode::Request), Just(WriteMode::Command)];
    prop_oneof![
        8 => (handle.clone(), bytes.clone(), mode).prop_map(|(handle, value, mode)| Input::Write { handle, value, mode }),
        1 => handle.clone().prop_map(|handle| Input::Read { handle }),
        1 => (handle, any::<bool>()).prop_map(|(handle, on)| Input::Subscribe { handle, on }),
        1 => bytes.prop_map(Input::Contactless),
        1 => any::<bool>().prop_map(|on| Input::Field { on }),
    ]
}

/// What a phone has no right to change without authentication.
fn is_attribute(input: &Input) -> bool {
    matches!(input, Input::Write { .. } | Input::Read { .. } | Input::Subscribe { .. })
}

proptest! {
    #[test]
    fn any_bytes_on_any_attribute_in_any_state_are_harmless(
        state in 0..11usize,
        inputs in prop::collection::vec(any_input(), 1..12),
    ) {
        let mut bench = STATES[state].1.clone();
        for input in inputs {
            let (before, authenticated) = (bench.digests(), bench.band.is_authenticated());
            let outputs = bench.outputs(input.clone());
            let is_refused = |output: &Output| matches!(
                output,
                Output::WriteReply(Err(_)) | Output::ReadReply(_) | Output::Event(BandEvent::Refused(_))
            );
            if outputs.iter().any(is_refused) || (is_attribute(&input) && !authenticated) {
                prop_assert_eq!(bench.digests(), before, "{:?}", input);
            }
            for output in &outputs {
                if let Output::Notify { value, .. } = output {
                    prop_assert!(value.len() <= 20);
                }
            }
            let answers = outputs.iter().filter(|it| matches!(it, Output::ReadReply(_) | Output::WriteReply(_))).count();
            let expected = match &input {
                Input::Read { .. } | Input::Subscribe { .. } => 1,
                Input::Write { mode: WriteMode::Request, .. } => 1,
                _ => 0,
            };
            prop_assert_eq!(answers, expected, "{:?}", input);
        }
    }
}

#[test]
fn every_length_up_to_512_on_every_handle_is_harmless_before_authentication() {
    for (name, bench) in STATES.iter().filter(|(_, bench)| !bench.band.is_authenticated()) {
        let before = bench.digests();
        let mut bench = bench.clone();
        for handle in (0..=0x77).map(Handle) {
            for length in 0..=512 {
                for mode in [WriteMode::Request, WriteMode::Command] {
                    let value = vec![handle.0 as u8; length];
                    bench.outputs(Input::Write { handle, value, mode });
                }
            }
        }
        assert_eq!(bench.digests(), before, "{name}");
    }
}

#[test]
fn after_every_length_up_to_512_on_every_handle_the_next_phone_is_served() {
    for (name, bench) in STATES.iter().filter(|(_, bench)| bench.band.is_authenticated()) {
        for handle in (0..=0x77).map(Handle) {
            let mut bench = bench.clone();
            for length in 0..=512 {
                for mode in [WriteMode::Request, WriteMode::Command] {
                    // No opcode that would unpair it.
                    for output in bench.outputs(Input::Write { handle, value: vec![0xEE; length], mode }) {
                        let is_long = matches!(output, Output::Notify { value, .. } if value.len() > 20);
                        assert!(!is_long, "{name}, {handle:?}");
                    }
                }
            }
            bench.outputs(Input::Disconnected);
            bench.outputs(Input::Connected { mtu: 23 });
            bench.outputs(Input::Subscribe { handle: PROFILE.gatt.value_handle(&AUTH).unwrap(), on: true });
            assert!(!bench.band.is_authenticated(), "{name}, {handle:?}");
            bench.random("02 00");
        }
    }
}

#[test]
fn the_gates_before_authentication_are_those_of_the_profile() {
    let mut bench = Bench::paired();
    for handle in (1..=0x76).map(Handle) {
        let Some(Attribute::Value(id, found)) = PROFILE.gatt.attribute(handle) else { continue };
        let open = found.has(Property::Read) && found.read.value == Gate::Open;
        assert_eq!(bench.read(id).is_ok(), open, "{id}");
    }
}

#[test]
fn outputs_nobody_drains_are_bounded() {
    let mut bench = Bench::paired();
    for _ in 0..MAX_OUTPUTS_QUEUED + 10 {
        bench.band.handle(bench.now, Input::Read { handle: Handle(3) });
    }
    assert_eq!(bench.band.outputs.len(), MAX_OUTPUTS_QUEUED);
}

#[test]
fn clones_run_on_alike() {
    let mut one = Bench::paired();
    let mut other = one.clone();
    assert_eq!(one.random("02 00"), other.random("02 00"));
    assert_eq!(one.digests(), other.digests());
}

#[test]
fn a_band_is_small() {
    let bench = Bench::new();
    let memory = bench.band.card().flash_bytes() + bench.band.settings.nvm().flash_bytes();
    assert!(size_of::<Band>() + memory < 20_000);
}
