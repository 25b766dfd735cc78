//! Every state with every event, as a table to read.

use super::*;

/// One of each event, the interesting ones in several forms.
fn events(bench: &Bench) -> Vec<(String, Event)> {
    use crate::wire::frame::{auth, config, fetch, heart_rate, reply::ReplyCode};
    let random = match bench.band.state {
        State::Challenged(random) | State::PairingChallenged(random) => random,
        _ => [0; 16],
    };
    let digest = pairing::pairing_digest(PROFILE.identity.address(), &random);
    let answered = |block| Event::Answered { dialect: auth::Dialect::Plain, block };
    let signed = |signature| Event::Signed { chunk: 0x84, answer: SignedAnswer { flags: 0x14, signature } };
    let fragment = |last, data: &str| Event::Fragment(nfc_channel::Fragment { last, secure: false, data: hex(data) });
    let set = |id, value: &[u8]| Event::Set { id, value: value.to_vec() };
    let junk = config::Reply::Other { command: 0x77, code: ReplyCode::UnknownCommand, data: vec![] };
    let events = [
        ("", Event::PowerOn),
        ("", Event::PowerLost),
        ("", Event::Connected { mtu: 23 }),
        ("", Event::Disconnected),
        ("", Event::ResetButton),
        ("", Event::Confirm),
        ("", Event::Deny),
        ("", Event::ConfirmTimeout),
        ("", Event::FieldOn),
        ("", Event::PairProbe),
        ("", Event::PairWithKey(KEY)),
        (" (02)", Event::RandomAsked(auth::Dialect::Plain)),
        (" (82)", Event::RandomAsked(auth::Dialect::Crypt)),
        (" (right)", answered(pairing::answer(&KEY, &random))),
        (" (wrong)", answered([0xEE; 16])),
        ("", Event::AuthJunk { command: 0x77, code: ReplyCode::UnknownCommand }),
        (" (right)", signed(sign(&digest))),
        (" (wrong)", signed(vec![1, 2, 3])),
        ("", Event::OpenChannel),
        ("", Event::CloseChannel),
        (" (more)", fragment(false, "80 CA")),
        (" (last)", fragment(true, "80 CA 00 42 00 05 00")),
        ("", Event::MifareTag),
        ("", Event::ChannelJunk),
        ("", Event::ChannelTimeout),
        ("", Event::FactoryReset),
        (" (known)", set(SettingId::UNIT, &[1])),
        (" (unknown)", set(SettingId(0x99), &[1])),
        ("", Event::Query { command: 0x0D }),
        ("", Event::ConfigJunk { reply: junk }),
        ("", Event::CardHint { chunk: 0xC2, hint: AidCommand::Unknown(vec![0x0A]) }),
        ("", Event::Transfer { chunk: 0xC0 }),
        ("", Event::TransferJunk { chunk: 0xC9, code: ReplyCode::UnknownCommand }),
        (" (goal)", Event::SetUser(UserSetting::Goal(8000))),
        ("", Event::SetTime(CurrentTime::from_unix_micros(EPOCH, 4))),
        ("", Event::HeartRate(heart_rate::Request::StillHere)),
        ("", Event::HeartRateMeasured),
        ("", Event::NobodyListens),
        ("", Event::Fetch(fetch::Request::Give)),
        ("", Event::Restart),
    ];
    events.into_iter().map(|(form, event)| (format!("{}{form}", event.name()), event)).collect()
}

#[test]
fn the_table_of_states_and_events() {
    let mut table = String::new();
    for (name, bench) in states() {
        table += &format!("{name}\n");
        for (event_name, event) in events(&bench) {
            let mut bench = bench.clone();
            bench.band.field = event == Event::FieldOn;
            let before = bench.digests();
            bench.band.handle_event(bench.now, event);
            let outputs: Vec<_> = bench.drain().iter().map(words).collect();
            if outputs.iter().any(|line| line.starts_with("refused")) {
                assert_eq!(bench.digests(), before, "{event_name} while {name}");
            }
            let outputs: Vec<_> = outputs.iter().map(|line| line.split(" while ").next().unwrap()).collect();
            table += &format!("  {event_name} -> {}\n", bench.band.state.name());
            for output in outputs {
                table += &format!("      {output}\n");
            }
        }
    }
    insta::assert_snapshot!(table);
}
